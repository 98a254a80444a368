/*
 * slice.h: a borrowed run of bytes, and the strict number readers that work on it.
 *
 * A slice never owns and is never NUL-terminated. Its lifetime is that of what it points into.
 */
#ifndef GW_COMMON_SLICE_H
#define GW_COMMON_SLICE_H

#include "common/base.h"

#include <string.h>

struct slice {
    const char *p;
    size_t n;
};

/* For printf: "%.*s", SLICE_FMT(s) */
#define SLICE_FMT(s)   (int)(s).n, (s).p
#define SLICE_LIT(lit) ((struct slice){(lit), sizeof(lit) - 1})

static inline struct slice slice_of(const char *p, size_t n)
{
    return (struct slice){p, n};
}

static inline struct slice slice_str(const char *s)
{
    return (struct slice){s, s ? strlen(s) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool slice_eq_str(struct slice a, const char *s)
{
    return slice_eq(a, slice_str(s));
}

/* ASCII only and independent of the locale (a Turkish locale folds I differently). */
bool slice_ieq(struct slice a, struct slice b);
bool slice_starts_with(struct slice s, struct slice prefix);
/* Removes SP and HTAB at both ends. */
struct slice slice_trim(struct slice s);
/* Splits at the first `sep`: returns what is before it and moves *rest behind it. At the end
 * *rest is {NULL, 0}; `while (rest.p)` walks all parts, empty ones included. */
struct slice slice_split(struct slice *rest, char sep);

/* 1*DIGIT and nothing else, no sign, no space. 0 or -1 (malformed, or above `max`). */
GW_MUSTUSE int slice_to_u64(struct slice s, uint64_t max, uint64_t *out);

/* FNV-1a, for hash tables of trusted (configuration) names only. */
uint64_t slice_hash(struct slice s);

#endif
