/*
 * base.h: attributes and small macros that every file may use.
 *
 * Includes nothing but the freestanding headers, so that including it never couples two modules.
 */
#ifndef GW_COMMON_BASE_H
#define GW_COMMON_BASE_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define GW_MUSTUSE      __attribute__((warn_unused_result))
#define GW_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define GW_NORETURN     __attribute__((noreturn))
#define GW_LIKELY(x)    __builtin_expect(!!(x), 1)
#define GW_UNLIKELY(x)  __builtin_expect(!!(x), 0)
#define GW_CACHELINE    64

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define GW_MIN(a, b) ((a) < (b) ? (a) : (b))
#define GW_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
