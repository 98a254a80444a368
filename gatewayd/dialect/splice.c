/*
 * splice.c: the sorted list of cuts and inserts, and what it makes of a text.
 */
#include "gatewayd/dialect/splice.h"
#include "common/buf.h"

/* Where the new one belongs: behind all that begin before it, and behind the inserts that stand at
 * the same place. */
static unsigned place_of(const struct splices *l, uint32_t off)
{
    unsigned i = l->n;
    while (i > 0 && (l->v[i - 1].off > off || (l->v[i - 1].off == off && l->v[i - 1].cut > 0)))
        i--;
    return i;
}

int splices_add(struct splices *l, uint32_t off, uint32_t cut, struct slice insert)
{
    unsigned i = place_of(l, off);
    if (l->n == SPLICES_MAX)
        return -1;
    if (i > 0 && (uint64_t)l->v[i - 1].off + l->v[i - 1].cut > off)
        return -1;
    if (i < l->n && cut && (uint64_t)off + cut > l->v[i].off)
        return -1;
    memmove(&l->v[i + 1], &l->v[i], (l->n - i) * sizeof l->v[0]);
    l->v[i] = (struct splice){off, cut, insert};
    l->n++;
    return 0;
}

struct slice splices_note(struct splices *l, struct slice bytes)
{
    if (bytes.n > sizeof l->scratch - l->scratch_used)
        return slice_of(NULL, 0);
    char *p = l->scratch + l->scratch_used;
    if (bytes.n)
        memcpy(p, bytes.p, bytes.n);
    l->scratch_used += (uint32_t)bytes.n;
    return slice_of(p, bytes.n);
}

size_t splices_length(const struct splices *l, size_t text_bytes)
{
    size_t n = text_bytes;
    for (unsigned i = 0; i < l->n; i++)
        n = n - l->v[i].cut + l->v[i].insert.n;
    return n;
}

static int add_segment(struct iovec *iov, int n, int max, struct slice s)
{
    if (n < 0 || s.n == 0)
        return n;
    if (n == max)
        return -1;
    iov[n] = (struct iovec){(void *)(uintptr_t)s.p, s.n};
    return n + 1;
}

int splices_iov(const struct splices *l, struct slice text, struct iovec *iov, int max)
{
    size_t at = 0;
    int n = 0;
    for (unsigned i = 0; i < l->n; i++) {
        const struct splice *s = &l->v[i];
        n = add_segment(iov, n, max, slice_of(text.p + at, s->off - at));
        n = add_segment(iov, n, max, s->insert);
        at = (size_t)s->off + s->cut;
    }
    return add_segment(iov, n, max, slice_of(text.p + at, text.n - at));
}

int splices_append(const struct splices *l, struct slice text, struct buf *b)
{
    struct iovec iov[SPLICES_MAX_IOV];
    int n = splices_iov(l, text, iov, SPLICES_MAX_IOV);
    if (n < 0 || buf_reserve(b, splices_length(l, text.n)) < 0)
        return -1;
    for (int i = 0; i < n; i++)
        if (buf_append(b, iov[i].iov_base, iov[i].iov_len) < 0)
            return -1;
    return 0;
}
