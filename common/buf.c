/*
 * buf.c: the bounded growing buffer.
 */
#include "common/buf.h"
#include "common/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_MIN_CAP = 256 };

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max_bytes = max_bytes};
}

void buf_release(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max_bytes);
}

int buf_reserve(struct buf *b, size_t n)
{
    if (b->cap - b->len >= n)
        return 0;
    if (n > b->max_bytes - b->len)
        return -1;
    size_t need = b->len + n;
    size_t cap = GW_MAX(b->cap * 2, (size_t)BUF_MIN_CAP);
    cap = GW_MIN(GW_MAX(cap, need), b->max_bytes);
    char *p = realloc(b->data, cap);
    if (!p)
        return -1;
    b->data = p;
    b->cap = cap;
    return 0;
}

int buf_append(struct buf *b, const void *p, size_t n)
{
    if (buf_reserve(b, n) < 0)
        return -1;
    if (n)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    size_t room = b->cap - b->len;
    int n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap);
    va_end(ap);
    int rc = 0;
    if (n < 0 || ((size_t)n >= room && buf_reserve(b, (size_t)n + 1) < 0))
        rc = -1;
    else if ((size_t)n >= room)
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    va_end(again);
    if (rc == 0)
        b->len += (size_t)n;
    return rc;
}

void buf_consume(struct buf *b, size_t n)
{
    GW_REQUIRE(n <= b->len);
    b->len -= n;
    if (b->len)
        memmove(b->data, b->data + n, b->len);
}

void buf_trim(struct buf *b)
{
    if (b->len == 0) {
        buf_release(b);
        return;
    }
    char *p = realloc(b->data, b->len);
    if (!p)
        return;
    b->data = p;
    b->cap = b->len;
}
