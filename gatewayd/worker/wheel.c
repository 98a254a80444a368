/*
 * wheel.c: the hashed timing wheel.
 *
 * A bit in `occupied` may be stale-set (its slot emptied by cancellation); it is cleared when the
 * slot is next looked at. It is never stale-clear.
 */
#include "gatewayd/worker/wheel.h"
#include "common/check.h"

static size_t slot_of(int64_t tick)
{
    return (size_t)tick & (WHEEL_SLOTS - 1);
}

void wheel_init(struct wheel *w, int64_t now_us)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        list_init(&w->slots[i]);
    for (size_t i = 0; i < ARRAY_LEN(w->occupied); i++)
        w->occupied[i] = 0;
    w->now_tick = now_us / WHEEL_TICK_US;
    w->armed = 0;
}

void wheel_timer_init(struct wheel_timer *t, wheel_fn fn)
{
    list_init(&t->node);
    t->tick = 0;
    t->fn = fn;
}

bool wheel_is_armed(const struct wheel_timer *t)
{
    return !list_empty(&t->node);
}

void wheel_cancel(struct wheel *w, struct wheel_timer *t)
{
    if (!wheel_is_armed(t))
        return;
    list_del(&t->node);
    w->armed--;
}

void wheel_arm(struct wheel *w, struct wheel_timer *t, int64_t at_us)
{
    int64_t tick = (at_us + WHEEL_TICK_US - 1) / WHEEL_TICK_US;
    tick = GW_MAX(tick, w->now_tick + 1);
    if (wheel_is_armed(t)) {
        if (t->tick == tick)
            return;
        wheel_cancel(w, t);
    }
    t->tick = tick;
    size_t slot = slot_of(tick);
    list_append(&w->slots[slot], &t->node);
    w->occupied[slot / 64] |= UINT64_C(1) << (slot % 64);
    w->armed++;
}

/* Moves what is due of one slot to `due`, so that callbacks may touch the slot freely. */
static void collect_due(struct wheel *w, size_t slot, int64_t tick, struct list *due)
{
    list_foreach(it, &w->slots[slot])
    {
        struct wheel_timer *t = list_entry(it, struct wheel_timer, node);
        if (t->tick <= tick) {
            list_del(it);
            list_append(due, it);
        }
    }
    if (list_empty(&w->slots[slot]))
        w->occupied[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}

void wheel_advance(struct wheel *w, int64_t now_us)
{
    int64_t now_tick = now_us / WHEEL_TICK_US;
    if (now_tick <= w->now_tick)
        return;
    struct list due;
    list_init(&due);
    int64_t first = GW_MAX(w->now_tick + 1, now_tick - WHEEL_SLOTS + 1);
    for (int64_t tick = first; tick <= now_tick; tick++) {
        size_t slot = slot_of(tick);
        if (w->occupied[slot / 64] & (UINT64_C(1) << (slot % 64)))
            collect_due(w, slot, now_tick, &due);
    }
    w->now_tick = now_tick;
    while (!list_empty(&due)) {
        struct wheel_timer *t = list_entry(due.next, struct wheel_timer, node);
        list_del(&t->node);
        w->armed--;
        t->fn(t);
    }
}

int64_t wheel_next_us(const struct wheel *w, int64_t now_us)
{
    if (w->armed == 0)
        return -1;
    for (int64_t ahead = 1; ahead <= WHEEL_SLOTS;) {
        size_t slot = slot_of(w->now_tick + ahead);
        uint64_t word = w->occupied[slot / 64] >> (slot % 64);
        if (word) {
            int64_t tick = w->now_tick + ahead + __builtin_ctzll(word);
            return GW_MAX(tick * WHEEL_TICK_US - now_us, (int64_t)0);
        }
        ahead += 64 - (int64_t)(slot % 64);
    }
    return (int64_t)WHEEL_SLOTS * WHEEL_TICK_US;
}
