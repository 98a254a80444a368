/*
 * buf.h: a growing byte buffer that always has a maximum.
 *
 * Owns its memory. Grows by doubling up to `max_bytes`; what would go beyond fails with -1 and
 * leaves the content as it was, so every buffer that an outside party fills has a bound by
 * construction. Layout: [data, data + len) is the content; consuming from the front is the caller's
 * cursor or buf_consume.
 */
#ifndef GW_COMMON_BUF_H
#define GW_COMMON_BUF_H

#include "common/slice.h"

struct buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max_bytes;
};

void buf_init(struct buf *b, size_t max_bytes);
/* Frees the memory; the buffer can be used again. */
void buf_release(struct buf *b);
/* Makes room for n more bytes behind len. */
GW_MUSTUSE int buf_reserve(struct buf *b, size_t n);
GW_MUSTUSE int buf_append(struct buf *b, const void *p, size_t n);
/* NUL-terminates behind len without counting it. */
GW_MUSTUSE int buf_printf(struct buf *b, const char *fmt, ...) GW_PRINTF(2, 3);
/* Drops n bytes at the front (memmove of the rest). */
void buf_consume(struct buf *b, size_t n);
/* Gives back what capacity there is beyond the content. */
void buf_trim(struct buf *b);

static inline struct slice buf_slice(const struct buf *b)
{
    return slice_of(b->data, b->len);
}

#endif
