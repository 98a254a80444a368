/*
 * timers.h: a binary heap of due times, linked into the objects that wait.
 */
#ifndef MOCKLLM_TIMERS_H
#define MOCKLLM_TIMERS_H

#include <stddef.h>
#include <stdint.h>

struct timer {
    int64_t due_us;
    size_t slot; /* place in the heap, from 1; 0: not set */
};

struct timers {
    struct timer **heap; /* from index 1 */
    size_t n, cap;
};

void timer_set(struct timers *t, struct timer *timer, int64_t due_us);
void timer_unset(struct timers *t, struct timer *timer);
/* The first, or NULL. */
struct timer *timers_first(const struct timers *t);
void timers_fini(struct timers *t);

#endif
