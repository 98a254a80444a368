/*
 * headwriter.h: writes a message head into memory of fixed size.
 *
 * Values come from the configuration, from checked heads, or from us: the writer checks nothing but
 * the room, and remembers an overflow until headwriter_end().
 */
#ifndef GW_WORKER_HEADWRITER_H
#define GW_WORKER_HEADWRITER_H

#include "common/slice.h"

struct headwriter {
    char *base, *at, *end;
    bool full;
};

static inline void headwriter_init(struct headwriter *h, char *mem, size_t cap)
{
    *h = (struct headwriter){mem, mem, mem + cap, false};
}

static inline void headwriter_put(struct headwriter *h, struct slice s)
{
    if ((size_t)(h->end - h->at) < s.n) {
        h->full = true;
        return;
    }
    if (s.n)
        memcpy(h->at, s.p, s.n);
    h->at += s.n;
}

#define headwriter_lit(h, lit) headwriter_put((h), SLICE_LIT(lit))

void headwriter_u64(struct headwriter *h, uint64_t v);
void headwriter_field(struct headwriter *h, struct slice name, struct slice value);
/* A field whose name is a literal, without its colon. */
#define headwriter_field_lit(h, lit, value)                                                        \
    (headwriter_put((h), SLICE_LIT(lit ": ")), headwriter_put((h), (value)),                       \
     headwriter_lit((h), "\r\n"))
#define headwriter_field_u64(h, lit, v)                                                            \
    (headwriter_put((h), SLICE_LIT(lit ": ")), headwriter_u64((h), (v)),                           \
     headwriter_lit((h), "\r\n"))

/* The empty line. The whole head, or {NULL, 0} if it didn't fit. */
struct slice headwriter_end(struct headwriter *h);

#endif
