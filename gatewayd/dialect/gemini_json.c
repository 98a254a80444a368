/*
 * gemini_json.c: members and values as JSON of Protocol Buffers spells them
 * (protobuf.dev/programming-guides/json).
 */
#include "gatewayd/dialect/gemini.h"

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

bool gemini_is(const struct json_doc *d, uint32_t k, const char *camel)
{
    struct slice name;
    size_t i = 0;
    if (!json_str_plain(d, k, &name))
        return json_str_eq(d, k, slice_str(camel));
    for (; *camel; camel++) {
        if (i < name.n && name.p[i] == *camel)
            i++;
        else if (is_upper(*camel) && i + 1 < name.n && name.p[i] == '_' &&
                 name.p[i + 1] == (*camel | 0x20))
            i += 2;
        else
            return false;
    }
    return i == name.n;
}

uint32_t gemini_get(const struct json_doc *d, uint32_t object, const char *camel)
{
    json_foreach_member(d, object, k)
    {
        if (gemini_is(d, k, camel))
            return json_is_null(d, k + 1) ? JSON_NONE : k + 1;
    }
    return JSON_NONE;
}

struct slice gemini_name(const struct json_doc *d, uint32_t k)
{
    enum { SHOWN_BYTES = 64 };
    struct slice s = ir_text_of(d, k).s;
    if (s.n <= SHOWN_BYTES)
        return s;
    s.n = SHOWN_BYTES;
    while (s.n && ((unsigned char)s.p[s.n] & 0xc0) == 0x80)
        s.n--;
    return s;
}

int gemini_i64(const struct json_doc *d, uint32_t v, int64_t *out)
{
    struct slice s;
    uint64_t n;
    if (!json_str_plain(d, v, &s))
        return json_i64(d, v, out);
    bool negative = s.n > 0 && s.p[0] == '-';
    if (negative)
        s = slice_of(s.p + 1, s.n - 1);
    if (slice_to_u64(s, INT64_MAX, &n) < 0)
        return -1;
    *out = negative ? -(int64_t)n : (int64_t)n;
    return 0;
}

static bool is_standard(struct slice s)
{
    return s.n % 4 == 0 && (s.n == 0 || (!memchr(s.p, '-', s.n) && !memchr(s.p, '_', s.n)));
}

struct ir_text gemini_base64(const struct json_doc *d, uint32_t v, struct arena *a)
{
    struct ir_text none = {{NULL, 0}, false};
    struct ir_text t = ir_text_of(d, v);
    struct slice s = ir_decode(a, t);
    if (!s.p || is_standard(s))
        return s.p ? ir_plain(s) : none;
    while (s.n && s.p[s.n - 1] == '=')
        s.n--;
    size_t padded = (s.n + 3) / 4 * 4;
    char *mem = arena_alloc(a, padded);
    if (!mem)
        return none;
    for (size_t i = 0; i < s.n; i++)
        mem[i] = s.p[i] == '-' ? '+' : s.p[i] == '_' ? '/' : s.p[i];
    memset(mem + s.n, '=', padded - s.n);
    return ir_plain(slice_of(mem, padded));
}
