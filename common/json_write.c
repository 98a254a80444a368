/*
 * json_write.c: the JSON writer.
 *
 * Every piece is written behind one check for room; growing a struct buf happens there only.
 */
#include "common/check.h"
#include "common/json_scan.h"

#include <endian.h>

void jw_init_buf(struct json_writer *w, struct buf *b)
{
    *w = (struct json_writer){.buf = b};
    w->base = w->at = b->data ? b->data + b->len : NULL;
    w->end = b->data ? b->data + b->cap : NULL;
}

void jw_init_fixed(struct json_writer *w, char *mem, size_t cap)
{
    *w = (struct json_writer){.base = mem, .at = mem, .end = mem + cap};
}

int jw_finish(struct json_writer *w, size_t *len)
{
    if (w->failed)
        return -1;
    *len = (size_t)(w->at - w->base);
    if (w->buf)
        w->buf->len += *len;
    return 0;
}

bool jw_grow(struct json_writer *w, size_t n)
{
    size_t used = (size_t)(w->at - w->base);
    if (w->failed || !w->buf || buf_reserve(w->buf, used + n) < 0) {
        w->failed = true;
        w->end = w->at; /* no room for anything from here on */
        return false;
    }
    w->base = w->buf->data + w->buf->len;
    w->at = w->base + used;
    w->end = w->buf->data + w->buf->cap;
    return true;
}

/* Room for n bytes and the comma that may stand before them, which is written. */
static inline bool begin(struct json_writer *w, size_t n)
{
    if (!jw_room(w, n + w->comma))
        return false;
    if (w->comma)
        *w->at++ = ',';
    w->comma = true;
    return true;
}

static inline void append(struct json_writer *w, const char *s, size_t n)
{
    if (n == 0 || !jw_room(w, n))
        return;
    memcpy(w->at, s, n);
    w->at += n;
}

static void put(struct json_writer *w, const char *s, size_t n)
{
    if (begin(w, n))
        append(w, s, n);
}

/* 0: stands for itself; 'u': \u00XX; else the letter behind the backslash. */
static const char escapes[0x80] = {
    [0x00 ... 0x07] = 'u', ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n',          [0x0b] = 'u',
    ['\f'] = 'f',          ['\r'] = 'r', ['"'] = '"',  [0x0e ... 0x1f] = 'u', ['\\'] = '\\',
};

enum { WORD_BYTES = sizeof(uint64_t) };

/* Of the next 8 bytes, how many stand before the first that can't be copied as it is. The zero-byte
 * test on words of Hacker's Delight, section 6-1: a borrow can mark a byte above a true hit, never
 * one below it. */
static size_t plain_bytes(const char *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);
    uint64_t v;
    memcpy(&v, p, sizeof v);
    v = le64toh(v);
    uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
    uint64_t hit = v | (v - ones * ' ') | ((quote - ones) & ~quote) | ((slash - ones) & ~slash);
    hit &= high;
    return hit ? (size_t)__builtin_ctzll(hit) / 8 : WORD_BYTES;
}

/* Length of the run of bytes that can be copied as they are. */
static size_t plain_run(const char *p, size_t n)
{
    size_t i = 0;
    while (n - i >= WORD_BYTES) {
        size_t plain = plain_bytes(p + i);
        i += plain;
        if (plain < WORD_BYTES)
            return i;
    }
    while (i < n && (unsigned char)p[i] < 0x80 && !escapes[(unsigned char)p[i]])
        i++;
    return i;
}

enum { ESCAPE_MAX = 6 };

/* Spells the character at p, which can't be copied blindly: *n bytes at out. Returns how many bytes
 * of the string it takes. */
static size_t spell(const char *p, const char *end, char out[ESCAPE_MAX], size_t *n)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char c = (unsigned char)*p;
    if (c >= 0x80) {
        size_t taken = json_utf8_length((const uint8_t *)p, (const uint8_t *)end);
        *n = taken ? taken : 3;
        memcpy(out, taken ? p : "\xef\xbf\xbd", *n);
        return taken ? taken : 1;
    }
    out[0] = '\\';
    out[1] = escapes[c];
    *n = 2;
    if (escapes[c] == 'u') {
        memcpy(out + 2, "00", 2);
        out[4] = digits[c >> 4];
        out[5] = digits[c & 15];
        *n = 6;
    }
    return 1;
}

static void put_spelled(struct json_writer *w, struct slice s)
{
    if (s.n == 0) /* which may be NULL */
        return;
    const char *p = s.p, *end = s.p + s.n;
    while (p < end) {
        size_t run = plain_run(p, (size_t)(end - p));
        append(w, p, run);
        p += run;
        if (p < end) {
            char spelling[ESCAPE_MAX];
            size_t n;
            p += spell(p, end, spelling, &n);
            append(w, spelling, n);
        }
    }
}

void jw_str_begin(struct json_writer *w)
{
    put(w, "\"", 1);
}

void jw_str_add(struct json_writer *w, struct slice s)
{
    put_spelled(w, s);
}

void jw_str_add_escaped(struct json_writer *w, struct slice inside)
{
    if (inside.n)
        append(w, inside.p, inside.n);
}

void jw_str_end(struct json_writer *w)
{
    append(w, "\"", 1);
}

static void put_quoted(struct json_writer *w, struct slice s)
{
    if (!begin(w, s.n + 2))
        return;
    *w->at++ = '"';
    put_spelled(w, s);
    if (jw_room(w, 1))
        *w->at++ = '"';
}

void jw_key(struct json_writer *w, struct slice name)
{
    put_quoted(w, name);
    if (jw_room(w, 1))
        *w->at++ = ':';
    w->comma = false;
}

void jw_str(struct json_writer *w, struct slice s)
{
    put_quoted(w, s);
}

void jw_str_escaped(struct json_writer *w, struct slice inside)
{
    if (!begin(w, inside.n + 2))
        return;
    char *at = w->at;
    *at++ = '"';
    if (inside.n)
        memcpy(at, inside.p, inside.n);
    at += inside.n;
    *at++ = '"';
    w->at = at;
}

enum { U64_DIGITS = 20 };

static void put_decimal(struct json_writer *w, uint64_t v, bool negative)
{
    char text[U64_DIGITS + 1];
    char *p = text + sizeof text;
    do {
        *--p = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    if (negative)
        *--p = '-';
    put(w, p, (size_t)(text + sizeof text - p));
}

void jw_i64(struct json_writer *w, int64_t v)
{
    put_decimal(w, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

void jw_u64(struct json_writer *w, uint64_t v)
{
    put_decimal(w, v, false);
}

void jw_bool(struct json_writer *w, bool v)
{
    put(w, v ? "true" : "false", v ? 4 : 5);
}

void jw_null(struct json_writer *w)
{
    put(w, "null", 4);
}

void jw_raw(struct json_writer *w, struct slice json)
{
    put(w, json.p, json.n);
}
