/*
 * headwriter.c: numbers and fields of message heads.
 */
#include "gatewayd/worker/headwriter.h"

void headwriter_u64(struct headwriter *h, uint64_t v)
{
    char digits[20];
    size_t i = sizeof digits;
    do {
        digits[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    headwriter_put(h, slice_of(digits + i, sizeof digits - i));
}

void headwriter_field(struct headwriter *h, struct slice name, struct slice value)
{
    headwriter_put(h, name);
    headwriter_lit(h, ": ");
    headwriter_put(h, value);
    headwriter_lit(h, "\r\n");
}

struct slice headwriter_end(struct headwriter *h)
{
    headwriter_lit(h, "\r\n");
    return h->full ? slice_of(NULL, 0) : slice_of(h->base, (size_t)(h->at - h->base));
}
