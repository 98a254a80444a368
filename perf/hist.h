/*
 * hist.h: a histogram of durations with a relative error below 1 %.
 *
 * Log-linear buckets as in HdrHistogram (http://hdrhistogram.org): each power of two is cut into
 * 128 equal parts.
 */
#ifndef PERF_HIST_H
#define PERF_HIST_H

#include <stdint.h>

enum { HIST_PARTS = 128, HIST_BUCKETS = HIST_PARTS * 58 };

struct hist {
    uint64_t count, max;
    uint64_t buckets[HIST_BUCKETS];
};

static inline unsigned hist_index(uint64_t v)
{
    if (v < HIST_PARTS)
        return (unsigned)v;
    unsigned shift = 63 - (unsigned)__builtin_clzll(v) - 7;
    return (shift + 1) * HIST_PARTS + (unsigned)(v >> shift) - HIST_PARTS;
}

/* The middle of a bucket. */
static inline uint64_t hist_value(unsigned index)
{
    if (index < 2 * HIST_PARTS)
        return index;
    unsigned shift = index / HIST_PARTS - 1;
    return ((uint64_t)(index % HIST_PARTS + HIST_PARTS) << shift) + ((uint64_t)1 << shift) / 2;
}

static inline void hist_add(struct hist *h, uint64_t v)
{
    h->count++;
    h->buckets[hist_index(v)]++;
    if (v > h->max)
        h->max = v;
}

static inline uint64_t hist_percentile(const struct hist *h, double percent)
{
    uint64_t want = (uint64_t)((double)h->count * percent / 100.0 + 0.5), seen = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= want && seen > 0)
            return hist_value(i) < h->max ? hist_value(i) : h->max;
    }
    return 0;
}

#endif
