/*
 * clock.h: the two clocks.
 *
 * Everything that measures or expires uses the monotonic clock; wall time is for people, log lines
 * and calendar windows only. Tests set both by hand (clock_fake_set), so no test ever sleeps.
 */
#ifndef GW_COMMON_CLOCK_H
#define GW_COMMON_CLOCK_H

#include "common/base.h"

/* CLOCK_MONOTONIC, comparable between all processes of one boot. */
int64_t clock_mono_us(void);
int64_t clock_mono_ns(void);
/* CLOCK_REALTIME, µs since the epoch. */
int64_t clock_wall_us(void);

/* From now on both clocks stand at these values in this process; negative values end it. Tests
 * only. */
void clock_fake_set(int64_t mono_us, int64_t wall_us);

/* RFC 3339 UTC with microseconds, "2026-01-31T23:59:59.123456Z" (27 bytes and a NUL). */
enum { CLOCK_RFC3339_BYTES = 28 };
void clock_format_rfc3339(int64_t wall_us, char out[CLOCK_RFC3339_BYTES]);

#endif
