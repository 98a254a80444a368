/*
 * bytes.c: see bytes.h.
 */
#include "tests/mockllm/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool slice_is(struct slice s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

bool slice_is_nocase(struct slice s, const char *text)
{
    return s.len == strlen(text) && strncasecmp(s.p, text, s.len) == 0;
}

bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && strchr(" \t\r\n", s.p[0]) != NULL && s.p[0] != '\0') {
        s.p++;
        s.len--;
    }
    while (s.len > 0 && strchr(" \t\r\n", s.p[s.len - 1]) != NULL && s.p[s.len - 1] != '\0')
        s.len--;
    return s;
}

bool slice_split(struct slice *rest, const char *seps, struct slice *part)
{
    if (rest->p == NULL)
        return false;
    size_t n = 0;
    while (n < rest->len && (rest->p[n] == '\0' || strchr(seps, rest->p[n]) == NULL))
        n++;
    *part = (struct slice){rest->p, n};
    if (n < rest->len)
        *rest = (struct slice){rest->p + n + 1, rest->len - n - 1};
    else
        *rest = (struct slice){NULL, 0};
    return true;
}

bool slice_to_int(struct slice s, int64_t *out)
{
    bool negative = s.len > 0 && s.p[0] == '-';
    if (negative) {
        s.p++;
        s.len--;
    }
    if (s.len == 0 || s.len > 18)
        return false;
    int64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (s.p[i] - '0');
    }
    *out = negative ? -v : v;
    return true;
}

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
uint64_t slice_hash(struct slice s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    return h;
}

static void die_of_memory(void)
{
    fputs("mockllm: out of memory\n", stderr);
    abort();
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (p == NULL)
        die_of_memory();
    return p;
}

void *xrealloc(void *p, size_t size)
{
    void *q = realloc(p, size);
    if (q == NULL)
        die_of_memory();
    return q;
}

char *xstrndup(const char *p, size_t len)
{
    char *s = xcalloc(1, len + 1);
    if (len > 0)
        memcpy(s, p, len);
    return s;
}

char *bytes_reserve(struct bytes *b, size_t more)
{
    if (b->cap - b->len < more) {
        size_t cap = b->cap * 2 > b->len + more ? b->cap * 2 : b->len + more;
        b->p = xrealloc(b->p, cap);
        b->cap = cap;
    }
    return b->p + b->len;
}

void bytes_add(struct bytes *b, const void *p, size_t len)
{
    if (len == 0)
        return;
    memcpy(bytes_reserve(b, len), p, len);
    b->len += len;
}

void bytes_adds(struct bytes *b, const char *text)
{
    bytes_add(b, text, strlen(text));
}

void bytes_add_slice(struct bytes *b, struct slice s)
{
    bytes_add(b, s.p, s.len);
}

void bytes_addf(struct bytes *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    vsnprintf(bytes_reserve(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
    va_end(again);
    b->len += (size_t)n;
}

void bytes_add_json(struct bytes *b, struct slice s)
{
    bytes_adds(b, "\"");
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            bytes_addf(b, "\\%c", c);
        else if (c >= 0x20 && c < 0x7f)
            bytes_add(b, &c, 1);
        else
            bytes_addf(b, "\\u%04x", c);
    }
    bytes_adds(b, "\"");
}

void bytes_shift(struct bytes *b, size_t n)
{
    if (n > 0 && n < b->len)
        memmove(b->p, b->p + n, b->len - n);
    b->len -= n;
}

void bytes_fini(struct bytes *b)
{
    free(b->p);
    *b = (struct bytes){0};
}

struct slice bytes_slice(const struct bytes *b)
{
    return (struct slice){b->p, b->len};
}
