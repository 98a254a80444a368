/*
 * json_read.c: questions to a parsed doc: members, strings, numbers.
 *
 * Works on text that the scanner has accepted, so nothing is checked twice.
 */
#include "common/json.h"

uint32_t json_get(const struct json_doc *d, uint32_t object, struct slice name)
{
    const struct json_tok *toks = d->toks;
    size_t quoted = name.n + 2;
    json_foreach_member(d, object, k)
    {
        const struct json_tok *t = &toks[k];
        if (GW_UNLIKELY(t->info & JSON_TOK_ESCAPED)
                ? json_str_eq_slow(d, k, name)
                : t->end - t->off == quoted && memcmp(d->text + t->off + 1, name.p, name.n) == 0)
            return k + 1;
    }
    return JSON_NONE;
}

uint32_t json_get_unique(const struct json_doc *d, uint32_t object, struct slice name, bool *more)
{
    uint32_t found = JSON_NONE;
    *more = false;
    json_foreach_member(d, object, k)
    {
        if (!json_str_eq(d, k, name))
            continue;
        if (found != JSON_NONE) {
            *more = true;
            break;
        }
        found = k + 1;
    }
    return found;
}

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t c = (unsigned char)p[i];
        v = v << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

static bool is_high_surrogate(uint32_t c)
{
    return c >= 0xd800 && c <= 0xdbff;
}

static bool is_low_surrogate(uint32_t c)
{
    return c >= 0xdc00 && c <= 0xdfff;
}

/* Code point of the escape at p, a lone surrogate as its own number; *n its length in the text. */
static uint32_t read_escape(const char *p, const char *end, size_t *n)
{
    static const char simple[] = {['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r',
                                  ['t'] = '\t', ['"'] = '"',  ['/'] = '/',  ['\\'] = '\\'};
    *n = 2;
    if (p[1] != 'u')
        return (unsigned char)simple[(unsigned char)p[1]];
    *n = 6;
    uint32_t c = hex4(p + 2);
    if (is_high_surrogate(c) && end - p >= 12 && p[6] == '\\' && p[7] == 'u') {
        uint32_t low = hex4(p + 8);
        if (is_low_surrogate(low)) {
            *n = 12;
            return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return c;
}

static size_t encode_utf8(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* A decoded piece of a string: a run of raw bytes or one escaped character. */
struct piece {
    struct slice bytes;
    char mem[4];
    bool lone_surrogate;
};

/* Takes the next piece off the encoded string. False at its end. */
static bool next_piece(struct slice *s, struct piece *out)
{
    if (s->n == 0)
        return false;
    size_t taken;
    out->lone_surrogate = false;
    if (*s->p == '\\') {
        uint32_t c = read_escape(s->p, s->p + s->n, &taken);
        out->lone_surrogate = is_high_surrogate(c) || is_low_surrogate(c);
        out->bytes = slice_of(out->mem, encode_utf8(c, out->mem));
    } else {
        const char *slash = memchr(s->p, '\\', s->n);
        taken = slash ? (size_t)(slash - s->p) : s->n;
        out->bytes = slice_of(s->p, taken);
    }
    *s = slice_of(s->p + taken, s->n - taken);
    return true;
}

/* What stands between the quotes; {NULL, 0} if v is no string. */
static struct slice encoded(const struct json_doc *d, uint32_t v)
{
    if (json_type(d, v) != JSON_STRING)
        return slice_of(NULL, 0);
    return slice_of(d->text + d->toks[v].off + 1, d->toks[v].end - d->toks[v].off - 2);
}

bool json_str_eq_slow(const struct json_doc *d, uint32_t v, struct slice s)
{
    struct slice rest = encoded(d, v);
    struct piece piece;
    if (!rest.p)
        return false;
    while (next_piece(&rest, &piece)) {
        if (piece.lone_surrogate || !slice_starts_with(s, piece.bytes))
            return false;
        s = slice_of(s.p + piece.bytes.n, s.n - piece.bytes.n);
    }
    return s.n == 0;
}

int json_str_decode(const struct json_doc *d, uint32_t v, char *out, size_t cap, size_t *len)
{
    struct slice rest = encoded(d, v);
    struct piece piece;
    size_t used = 0;
    if (!rest.p)
        return -1;
    while (next_piece(&rest, &piece)) {
        if (piece.lone_surrogate || piece.bytes.n > cap - used)
            return -1;
        memcpy(out + used, piece.bytes.p, piece.bytes.n);
        used += piece.bytes.n;
    }
    *len = used;
    return 0;
}

int json_str(const struct json_doc *d, uint32_t v, char *scratch, size_t cap, struct slice *out)
{
    if (json_str_plain(d, v, out))
        return out->n <= cap ? 0 : -1;
    out->p = scratch;
    return json_str_decode(d, v, scratch, cap, &out->n);
}

size_t json_str_bytes(const struct json_doc *d, uint32_t v)
{
    struct slice rest;
    if (json_str_plain(d, v, &rest))
        return rest.n;
    rest = encoded(d, v);
    struct piece piece;
    size_t n = 0;
    while (next_piece(&rest, &piece))
        n += piece.bytes.n;
    return n;
}

static size_t lead_bytes(struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

size_t json_str_chars(const struct json_doc *d, uint32_t v)
{
    struct slice rest;
    if (json_str_plain(d, v, &rest))
        return lead_bytes(rest);
    rest = encoded(d, v);
    struct piece piece;
    size_t n = 0;
    while (next_piece(&rest, &piece))
        n += lead_bytes(piece.bytes);
    return n;
}

/* A number taken apart: its digits without leading and trailing zeros, times a power of ten. */
struct decimal {
    bool negative;
    uint64_t digits;
    int64_t exponent;
};

enum { EXPONENT_CAP = 1000000 }; /* far beyond what can still be an int64 */

static int64_t read_exponent(const char *p, const char *end)
{
    bool negative = *p == '-';
    int64_t e = 0;
    p += *p == '-' || *p == '+';
    for (; p < end && e < EXPONENT_CAP; p++)
        e = e * 10 + (*p - '0');
    return negative ? -e : e;
}

/* -1 if the significant digits alone are beyond 64 bits. */
static int read_decimal(const char *p, const char *end, struct decimal *out)
{
    int64_t zeros = 0, scale = 0; /* zeros: seen since the last other digit, not yet in digits */
    bool fraction = false;
    *out = (struct decimal){.negative = *p == '-'};
    for (p += out->negative; p < end && (*p | 0x20) != 'e'; p++) {
        if (*p == '.') {
            fraction = true;
            continue;
        }
        scale -= fraction;
        zeros++;
        if (*p == '0')
            continue;
        for (; zeros > 0; zeros--)
            if (out->digits && __builtin_mul_overflow(out->digits, 10, &out->digits))
                return -1;
        if (__builtin_add_overflow(out->digits, (uint64_t)(*p - '0'), &out->digits))
            return -1;
    }
    out->exponent = scale + zeros + (p < end ? read_exponent(p + 1, end) : 0);
    return 0;
}

int json_i64(const struct json_doc *d, uint32_t v, int64_t *out)
{
    struct decimal n;
    struct slice raw = json_raw(d, v);
    if (json_type(d, v) != JSON_NUMBER || read_decimal(raw.p, raw.p + raw.n, &n) < 0)
        return -1;
    if (n.digits == 0) {
        *out = 0;
        return 0;
    }
    if (n.exponent < 0)
        return -1;
    for (; n.exponent > 0; n.exponent--)
        if (__builtin_mul_overflow(n.digits, 10, &n.digits))
            return -1;
    if (n.digits > (uint64_t)INT64_MAX + n.negative)
        return -1;
    *out = n.negative ? (int64_t)(0 - n.digits) : (int64_t)n.digits;
    return 0;
}

int json_bool(const struct json_doc *d, uint32_t v, bool *out)
{
    enum json_type t = json_type(d, v);
    if (t != JSON_TRUE && t != JSON_FALSE)
        return -1;
    *out = t == JSON_TRUE;
    return 0;
}
