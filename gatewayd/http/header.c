/*
 * header.c: known header names, byte classes, and the array of fields.
 */
#include "gatewayd/http/header.h"

#include "common/check.h"
#include "gatewayd/http/rawhead.h"

#define T HTTP_BYTE_TOKEN
#define V HTTP_BYTE_VALUE
#define P HTTP_BYTE_TARGET
#define H HTTP_BYTE_HOST
#define X HTTP_BYTE_HEX
/* tchar: RFC 9110 §5.6.2; unreserved: RFC 3986 §2.3. What isn't named here is in no class. */
const uint8_t http_byte_class[256] = {
    ['\t'] = V,
    [' '] = V,
    ['!'] = T | V | P,
    ['"'] = V | P,
    ['#'] = T | V,
    ['$' ... '\''] = T | V | P,
    ['(' ... ')'] = V | P,
    ['*' ... '+'] = T | V | P,
    [','] = V | P,
    ['-' ... '.'] = T | V | P | H,
    ['/'] = V | P,
    ['0' ... '9'] = T | V | P | H | X,
    [':' ... '@'] = V | P,
    ['A' ... 'F'] = T | V | P | H | X,
    ['G' ... 'Z'] = T | V | P | H,
    ['[' ... ']'] = V | P,
    ['^'] = T | V | P,
    ['_'] = T | V | P | H,
    ['`'] = T | V | P,
    ['a' ... 'f'] = T | V | P | H | X,
    ['g' ... 'z'] = T | V | P | H,
    ['{'] = V | P,
    ['|'] = T | V | P,
    ['}'] = V | P,
    ['~'] = T | V | P | H,
    [0x80 ... 0xff] = V,
};
#undef T
#undef V
#undef P
#undef H
#undef X

#define NAME(a, id, name) {name, sizeof(name) - 1},
static const struct slice names[] = {HTTP_HEADER_NAMES(NAME, _)
                                         HTTP_HEADER_FAMILIES(NAME, _){"", 0}};
_Static_assert(ARRAY_LEN(names) == HTTP_H_COUNT, "one name an id");

/* names[shorter[n]] is the first name of n or more bytes. */
#define IS_SHORTER(n, id, name) +(sizeof(name) - 1 < (n))
#define SHORTER(n)              (0 HTTP_HEADER_NAMES(IS_SHORTER, n))
enum { MAX_NAME = 32 };
static const uint8_t shorter[MAX_NAME + 2] = {
    SHORTER(0),  SHORTER(1),  SHORTER(2),  SHORTER(3),  SHORTER(4),  SHORTER(5),  SHORTER(6),
    SHORTER(7),  SHORTER(8),  SHORTER(9),  SHORTER(10), SHORTER(11), SHORTER(12), SHORTER(13),
    SHORTER(14), SHORTER(15), SHORTER(16), SHORTER(17), SHORTER(18), SHORTER(19), SHORTER(20),
    SHORTER(21), SHORTER(22), SHORTER(23), SHORTER(24), SHORTER(25), SHORTER(26), SHORTER(27),
    SHORTER(28), SHORTER(29), SHORTER(30), SHORTER(31), SHORTER(32), SHORTER(33)};
_Static_assert(SHORTER(MAX_NAME + 1) == HTTP_H_X_GW, "MAX_NAME is the length of the longest name");

struct slice http_header_name(enum http_header_id id)
{
    return names[id];
}

/* `known` is in lower case. For token characters, setting bit 5 folds case and makes no two
 * different characters of a-z, 0-9 and '-' equal. */
static bool same_name(const char *p, const char *known, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((p[i] | 0x20) != known[i])
            return false;
    return true;
}

static enum http_header_id lookup_family(struct slice name)
{
    for (unsigned id = HTTP_H_X_GW; id < HTTP_H_OTHER; id++)
        if (name.n > names[id].n && same_name(name.p, names[id].p, names[id].n))
            return id;
    return HTTP_H_OTHER;
}

enum http_header_id http_header_lookup(struct slice name)
{
    if (name.n <= MAX_NAME)
        for (unsigned id = shorter[name.n]; id < shorter[name.n + 1]; id++)
            if (same_name(name.p, names[id].p, name.n))
                return id;
    return lookup_family(name);
}

static bool all_in_class(struct slice s, unsigned class_bits)
{
    for (size_t i = 0; i < s.n; i++)
        if (!http_byte_is(s.p[i], class_bits))
            return false;
    return true;
}

bool http_is_token(struct slice s)
{
    return s.n > 0 && all_in_class(s, HTTP_BYTE_TOKEN);
}

bool http_is_field_value(struct slice s)
{
    return all_in_class(s, HTTP_BYTE_VALUE);
}

void http_fields_init(struct http_fields *fs, const char *base)
{
    fs->base = base;
    fs->n = 0;
    memset(fs->first, HTTP_NO_FIELD, sizeof fs->first);
    memset(fs->count, 0, sizeof fs->count);
}

static void append_to_chain(struct http_fields *fs, unsigned id, uint8_t index)
{
    if (fs->count[id]++ == 0) {
        fs->first[id] = index;
        return;
    }
    if (id == HTTP_H_OTHER) /* nobody walks those by id */
        return;
    uint8_t last = fs->first[id];
    while (fs->f[last].next != HTTP_NO_FIELD)
        last = fs->f[last].next;
    fs->f[last].next = index;
}

bool http_fields_add(struct http_fields *fs, struct slice name, struct slice value)
{
    if (fs->n >= HTTP_MAX_FIELDS)
        return false;
    GW_DCHECK(name.n <= UINT8_MAX && value.n <= UINT32_MAX);
    uint8_t index = fs->n++;
    enum http_header_id id = http_header_lookup(name);
    fs->f[index] = (struct http_field){
        .name_off = (uint32_t)(name.p - fs->base),
        .value_off = (uint32_t)(value.p - fs->base),
        .value_len = (uint32_t)value.n,
        .name_len = (uint8_t)name.n,
        .id = (uint8_t)id,
        .next = HTTP_NO_FIELD,
    };
    append_to_chain(fs, id, index);
    return true;
}

struct slice http_list_next(struct slice *rest)
{
    while (rest->p) {
        struct slice element = slice_trim(slice_split(rest, ','));
        if (element.n > 0)
            return element;
    }
    return slice_of(NULL, 0);
}
