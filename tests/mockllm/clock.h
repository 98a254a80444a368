/*
 * clock.h: microseconds of the monotonic and of the wall clock.
 */
#ifndef MOCKLLM_CLOCK_H
#define MOCKLLM_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_read_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static inline int64_t clock_now_us(void)
{
    return clock_read_us(CLOCK_MONOTONIC);
}

static inline int64_t clock_wall_us(void)
{
    return clock_read_us(CLOCK_REALTIME);
}

#endif
