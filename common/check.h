/*
 * check.h: the three classes of assertion.
 *
 *   GW_REQUIRE(x)  always on; the process can't go on if it is false: says where, aborts.
 *   gw_fails(x)    always on; `if (gw_fails(p != NULL)) return -1;` logs once a place, counts, and
 * lets the caller take its error path, so that one bad request doesn't end a thousand streams.
 *   GW_DCHECK(x)   debug and sanitizer builds only; may be expensive.
 *
 * Plain assert() is for tests alone; `make lint` says so.
 */
#ifndef GW_COMMON_CHECK_H
#define GW_COMMON_CHECK_H

#include "common/base.h"

GW_NORETURN void gw_require_failed(const char *expr, const char *file, int line);
bool gw_check_failed(const char *expr, const char *file, int line);

#define GW_REQUIRE(x) ((void)(GW_LIKELY(x) ? 0 : (gw_require_failed(#x, __FILE__, __LINE__), 0)))
#define gw_fails(x)   (GW_UNLIKELY(!(x)) && gw_check_failed(#x, __FILE__, __LINE__))
#if defined(GW_DEBUG) && GW_DEBUG
#define GW_DCHECK(x) GW_REQUIRE(x)
#else
#define GW_DCHECK(x) ((void)sizeof(!(x)))
#endif

/* Allocation of a bounded, small size: never returns NULL, aborts instead (the master restarts us).
 * Sizes that an outside party chooses go through plain malloc with a cap and an error path. */
void *gw_xmalloc(size_t n_bytes);
void *gw_xcalloc(size_t count, size_t size_bytes);
void *gw_xrealloc(void *p, size_t n_bytes);
char *gw_xstrdup(const char *s);
char *gw_xstrndup(const char *s, size_t n_bytes);

#endif
