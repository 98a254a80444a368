/*
 * splice.h: a text with a few places cut and filled, without copying it.
 *
 * A splice is (offset, bytes cut, bytes inserted) against one original text; a list of them is kept
 * sorted by offset and free of overlaps, so the result is told as segments that borrow from the
 * text and from the inserts. Inserts are borrowed from the caller, or live in the list's own
 * scratch (splices_note). A list refers to itself: it must not be copied or moved while in use.
 */
#ifndef GW_GATEWAYD_DIALECT_SPLICE_H
#define GW_GATEWAYD_DIALECT_SPLICE_H

#include "common/slice.h"

#include <sys/uio.h>

struct buf;

enum {
    SPLICES_MAX = 128,
    SPLICES_SCRATCH_BYTES = 4096,
    SPLICES_MAX_IOV = 2 * SPLICES_MAX + 1,
};

struct splice {
    uint32_t off;
    uint32_t cut;
    struct slice insert;
};

struct splices {
    unsigned n;
    uint32_t scratch_used;
    struct splice v[SPLICES_MAX];
    char scratch[SPLICES_SCRATCH_BYTES];
};

static inline void splices_reset(struct splices *l)
{
    l->n = 0;
    l->scratch_used = 0;
}

/* Adds one, anywhere: the list sorts itself. Inserts at one offset follow each other in the order
 * of adding, before what a cut at that offset puts in its place. -1: the list is full, or the cut
 * overlaps another. */
GW_MUSTUSE int splices_add(struct splices *l, uint32_t off, uint32_t cut, struct slice insert);
/* Copies the bytes into the list's scratch and returns them from there; {NULL, 0} if full. */
struct slice splices_note(struct splices *l, struct slice bytes);

/* Length of the spliced text. */
size_t splices_length(const struct splices *l, size_t text_bytes);
/* The spliced text as non-empty segments, at most `max`. Returns their number, or -1 if there are
 * more; SPLICES_MAX_IOV always suffice. */
GW_MUSTUSE int splices_iov(const struct splices *l, struct slice text, struct iovec *iov, int max);
/* Appends the spliced text to b. -1: does not fit. */
GW_MUSTUSE int splices_append(const struct splices *l, struct slice text, struct buf *b);

#endif
