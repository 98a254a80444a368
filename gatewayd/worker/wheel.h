/*
 * wheel.h: the worker's timers.
 *
 * A hashed timing wheel of 8 ms ticks: arming, re-arming and cancelling are O(1) list operations
 * without a system call, which matters because every request moves half a dozen deadlines that
 * almost never fire. A deadline further away than one turn stays in its slot and is looked at once
 * a turn (about 33 s). The wheel has no clock and no event of its own: the loop asks
 * wheel_next_us() how long it may sleep and calls wheel_advance().
 *
 * A timer never fires early, and at most one tick plus the loop's own delay late. Its callback may
 * arm or cancel any timer, its own included.
 */
#ifndef GW_WORKER_WHEEL_H
#define GW_WORKER_WHEEL_H

#include "common/list.h"

enum { WHEEL_TICK_US = 8192, WHEEL_SLOTS = 4096 };

struct wheel_timer;
typedef void (*wheel_fn)(struct wheel_timer *t);

struct wheel_timer {
    struct list node;
    int64_t tick;
    wheel_fn fn;
};

struct wheel {
    struct list slots[WHEEL_SLOTS];
    uint64_t occupied[WHEEL_SLOTS / 64];
    int64_t now_tick;
    size_t armed;
};

void wheel_init(struct wheel *w, int64_t now_us);
void wheel_timer_init(struct wheel_timer *t, wheel_fn fn);
/* (Re-)arms for the first tick at or after at_us. */
void wheel_arm(struct wheel *w, struct wheel_timer *t, int64_t at_us);
void wheel_cancel(struct wheel *w, struct wheel_timer *t);
bool wheel_is_armed(const struct wheel_timer *t);
/* Runs all that is due. */
void wheel_advance(struct wheel *w, int64_t now_us);
/* µs from now_us until something may be due; -1 if nothing is armed. */
int64_t wheel_next_us(const struct wheel *w, int64_t now_us);

#endif
