/*
 * json.c: see json.h.
 */
#include "tests/mockllm/json.h"

#include <endian.h>
#include <string.h>

void json_init(struct json *j, struct slice text)
{
    *j = (struct json){.start = text.p, .p = text.p, .end = text.p + text.len};
}

size_t json_offset(const struct json *j)
{
    return (size_t)(j->p - j->start);
}

static bool fail(struct json *j, const char *why)
{
    if (j->error == NULL)
        j->error = why;
    return false;
}

static void skip_space(struct json *j)
{
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\r' || *j->p == '\t'))
        j->p++;
}

/* How many of the next 8 bytes need no closer look, up to the first that is a quote, a backslash, a
 * control byte or not ASCII. The usual zero-byte test on words, Hacker's Delight §6-1: a borrow can
 * mark bytes above a true hit, never below it. */
static size_t plain_bytes(const char *p)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t v;
    memcpy(&v, p, sizeof v);
    v = le64toh(v);
    uint64_t quote = v ^ (ones * '"'), slash = v ^ (ones * '\\');
    uint64_t hit = v | (v - ones * 0x20) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash);
    hit &= high;
    return hit != 0 ? (size_t)__builtin_ctzll(hit) / 8 : sizeof v;
}

/* Length of the UTF-8 sequence at p, 0 where it is none. RFC 3629 §4. */
static size_t utf8_length(const char *text, const char *end)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t left = (size_t)(end - text);
    unsigned char lo = 0x80, hi = 0xbf;
    size_t n;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        n = 2;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        n = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if (p[0] == 0xe0)
        lo = 0xa0;
    else if (p[0] == 0xed)
        hi = 0x9f;
    else if (p[0] == 0xf0)
        lo = 0x90;
    else if (p[0] == 0xf4)
        hi = 0x8f;
    if (left < n || p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool scan_escape(struct json *j)
{
    if (j->end - j->p < 2)
        return fail(j, "unfinished string");
    if (j->p[1] == 'u') {
        if (j->end - j->p < 6 || !is_hex(j->p[2]) || !is_hex(j->p[3]) || !is_hex(j->p[4]) ||
            !is_hex(j->p[5]))
            return fail(j, "bad \\u escape");
        j->p += 6;
        return true;
    }
    switch (j->p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        j->p += 2;
        return true;
    default:
        return fail(j, "bad escape");
    }
}

static bool scan_string(struct json *j)
{
    j->p++;
    for (;;) {
        for (size_t n = 8; n == 8 && j->end - j->p >= 8; j->p += n)
            n = plain_bytes(j->p);
        if (j->p >= j->end)
            return fail(j, "unfinished string");
        unsigned char c = (unsigned char)*j->p;
        if (c == '"') {
            j->p++;
            return true;
        }
        if (c < 0x20)
            return fail(j, "control byte in a string");
        if (c == '\\') {
            if (!scan_escape(j))
                return false;
            continue;
        }
        size_t n = utf8_length(j->p, j->end);
        if (n == 0)
            return fail(j, "invalid UTF-8");
        j->p += n;
    }
}

static bool scan_digits(struct json *j)
{
    const char *from = j->p;
    while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
        j->p++;
    return j->p > from ? true : fail(j, "bad number");
}

static bool scan_number(struct json *j)
{
    if (*j->p == '-')
        j->p++;
    if (j->p < j->end && *j->p == '0')
        j->p++;
    else if (!scan_digits(j))
        return false;
    if (j->p < j->end && *j->p == '.') {
        j->p++;
        if (!scan_digits(j))
            return false;
    }
    if (j->p < j->end && (*j->p == 'e' || *j->p == 'E')) {
        j->p++;
        if (j->p < j->end && (*j->p == '+' || *j->p == '-'))
            j->p++;
        return scan_digits(j);
    }
    return true;
}

static bool scan_word(struct json *j, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(j->end - j->p) < n || memcmp(j->p, word, n) != 0)
        return fail(j, "unexpected word");
    j->p += n;
    return true;
}

static bool scan_value(struct json *j, int depth);

static bool scan_key(struct json *j)
{
    skip_space(j);
    if (j->p >= j->end || *j->p != '"')
        return fail(j, "expected a member name");
    if (!scan_string(j))
        return false;
    skip_space(j);
    if (j->p >= j->end || *j->p != ':')
        return fail(j, "expected ':'");
    j->p++;
    return true;
}

static bool scan_container(struct json *j, char close, int depth)
{
    if (depth >= JSON_DEPTH)
        return fail(j, "nested too deep");
    j->p++;
    skip_space(j);
    if (j->p < j->end && *j->p == close) {
        j->p++;
        return true;
    }
    for (;;) {
        if (close == '}' && !scan_key(j))
            return false;
        if (!scan_value(j, depth + 1))
            return false;
        skip_space(j);
        if (j->p >= j->end)
            return fail(j, "unfinished object or array");
        if (*j->p == close) {
            j->p++;
            return true;
        }
        if (*j->p != ',')
            return fail(j, "expected ',' or the end of the object or array");
        j->p++;
    }
}

static bool scan_value(struct json *j, int depth)
{
    skip_space(j);
    if (j->p >= j->end)
        return fail(j, "expected a value");
    switch (*j->p) {
    case '"':
        return scan_string(j);
    case '{':
        return scan_container(j, '}', depth);
    case '[':
        return scan_container(j, ']', depth);
    case 't':
        return scan_word(j, "true");
    case 'f':
        return scan_word(j, "false");
    case 'n':
        return scan_word(j, "null");
    default:
        if (*j->p != '-' && (*j->p < '0' || *j->p > '9'))
            return fail(j, "expected a value");
        return scan_number(j);
    }
}

static bool take_value(struct json *j, struct slice *value)
{
    skip_space(j);
    const char *from = j->p;
    if (!scan_value(j, 1))
        return false;
    *value = (struct slice){from, (size_t)(j->p - from)};
    return true;
}

bool json_enter(struct json *j, char open)
{
    skip_space(j);
    if (j->p >= j->end || *j->p != open)
        return fail(j, open == '{' ? "expected an object" : "expected an array");
    j->p++;
    return true;
}

/* At the place between two members or elements: true when one more follows. */
static bool more(struct json *j, bool *started, char close)
{
    skip_space(j);
    if (j->p >= j->end)
        return fail(j, "unfinished object or array");
    if (*j->p == close) {
        j->p++;
        return false;
    }
    if (*started) {
        if (*j->p != ',')
            return fail(j, "expected ',' or the end of the object or array");
        j->p++;
    }
    *started = true;
    return true;
}

bool json_next_member(struct json *j, bool *started, struct slice *key, struct slice *value)
{
    if (!more(j, started, '}'))
        return false;
    skip_space(j);
    const char *from = j->p;
    if (!scan_key(j))
        return false;
    const char *quote = from + 1;
    const char *close = j->p - 1;
    while (*close != '"')
        close--;
    *key = (struct slice){quote, (size_t)(close - quote)};
    return take_value(j, value);
}

bool json_next_element(struct json *j, bool *started, struct slice *value)
{
    return more(j, started, ']') && take_value(j, value);
}

bool json_finish(struct json *j)
{
    skip_space(j);
    if (j->error == NULL && j->p != j->end)
        fail(j, "bytes after the end of the value");
    return j->error == NULL;
}

struct slice json_get(struct slice object, const char *key)
{
    struct json j;
    struct slice k, v;
    bool started = false;
    json_init(&j, object);
    if (object.len > 0 && json_enter(&j, '{'))
        while (json_next_member(&j, &started, &k, &v))
            if (slice_is(k, key))
                return v;
    return (struct slice){NULL, 0};
}

bool json_is_string(struct slice value)
{
    return value.len >= 2 && value.p[0] == '"';
}

struct slice json_inner(struct slice string)
{
    return (struct slice){string.p + 1, string.len - 2};
}

static unsigned hex4(const char *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        v = v * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

static void add_utf8(struct bytes *out, unsigned c)
{
    char b[4];
    size_t n = 0;
    if (c < 0x80) {
        b[n++] = (char)c;
    } else if (c < 0x800) {
        b[n++] = (char)(0xc0 | c >> 6);
        b[n++] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        b[n++] = (char)(0xe0 | c >> 12);
        b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        b[n++] = (char)(0x80 | (c & 0x3f));
    } else {
        b[n++] = (char)(0xf0 | c >> 18);
        b[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        b[n++] = (char)(0x80 | (c & 0x3f));
    }
    bytes_add(out, b, n);
}

static bool is_high_surrogate(unsigned c)
{
    return c >= 0xd800 && c < 0xdc00;
}

static bool is_low_surrogate(unsigned c)
{
    return c >= 0xdc00 && c < 0xe000;
}

/* Bytes of the character that the raw text begins with, a surrogate pair counted as one. */
static size_t raw_char(struct slice raw)
{
    if (raw.p[0] != '\\')
        return utf8_length(raw.p, raw.p + raw.len);
    if (raw.p[1] != 'u')
        return 2;
    if (is_high_surrogate(hex4(raw.p + 2)) && raw.len >= 12 && raw.p[6] == '\\' &&
        raw.p[7] == 'u' && is_low_surrogate(hex4(raw.p + 8)))
        return 12;
    return 6;
}

void json_decode(struct slice string, struct bytes *out)
{
    struct slice raw = json_inner(string);
    while (raw.len > 0) {
        size_t n = raw_char(raw);
        if (raw.p[0] != '\\')
            bytes_add(out, raw.p, n);
        else if (n == 12)
            add_utf8(out, 0x10000 + ((hex4(raw.p + 2) & 0x3ff) << 10) + (hex4(raw.p + 8) & 0x3ff));
        else if (n == 6)
            add_utf8(out, hex4(raw.p + 2));
        else
            bytes_add(out, &"\"\\/\b\f\n\r\t"[strchr("\"\\/bfnrt", raw.p[1]) - "\"\\/bfnrt"], 1);
        raw.p += n;
        raw.len -= n;
    }
}

size_t json_safe_prefix(struct slice raw, size_t max)
{
    size_t n = 0;
    while (n < raw.len) {
        size_t c = raw_char((struct slice){raw.p + n, raw.len - n});
        if (n > 0 && n + c > max)
            break;
        n += c;
    }
    return n;
}
