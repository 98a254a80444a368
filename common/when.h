/*
 * when.h: times as people write them in commands: "30d", "2026-12-31", RFC 3339.
 */
#ifndef GW_COMMON_WHEN_H
#define GW_COMMON_WHEN_H

#include "common/slice.h"

/* Whole number and one unit, us ms s m h d w: "90s", "30d". -1: malformed, or over 100 years. */
GW_MUSTUSE int when_parse_duration(struct slice s, int64_t *us);
/* RFC 3339 §5.6 date-time ("2026-01-31T23:59:59.5Z", "...+02:00"), or a date alone, which is its
 * first moment in UTC. Wall clock µs since 1970. -1: malformed, or before 1970. */
GW_MUSTUSE int when_parse_time(struct slice s, int64_t *wall_us);
/* The UTC day of a wall time, days since 1970-01-01. */
static inline int64_t when_day(int64_t wall_us)
{
    return wall_us / INT64_C(86400000000);
}

/* "3d 4h", "5h 12m", "42s", "0s": the two largest units. Returns out. */
enum { WHEN_DURATION_BYTES = 32 };
char *when_format_duration(int64_t us, char out[WHEN_DURATION_BYTES]);

#endif
