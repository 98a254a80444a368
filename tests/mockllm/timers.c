/*
 * timers.c: see timers.h.
 */
#include "tests/mockllm/timers.h"
#include "tests/mockllm/bytes.h"

#include <stdlib.h>

static void put(struct timers *t, size_t slot, struct timer *timer)
{
    t->heap[slot] = timer;
    timer->slot = slot;
}

static void sift_up(struct timers *t, size_t slot)
{
    struct timer *timer = t->heap[slot];
    for (; slot > 1 && t->heap[slot / 2]->due_us > timer->due_us; slot /= 2)
        put(t, slot, t->heap[slot / 2]);
    put(t, slot, timer);
}

static void sift_down(struct timers *t, size_t slot)
{
    struct timer *timer = t->heap[slot];
    for (size_t child; (child = slot * 2) <= t->n; slot = child) {
        if (child < t->n && t->heap[child + 1]->due_us < t->heap[child]->due_us)
            child++;
        if (t->heap[child]->due_us >= timer->due_us)
            break;
        put(t, slot, t->heap[child]);
    }
    put(t, slot, timer);
}

void timer_set(struct timers *t, struct timer *timer, int64_t due_us)
{
    timer_unset(t, timer);
    if (t->n + 2 > t->cap) {
        t->cap = t->cap > 0 ? t->cap * 2 : 64;
        t->heap = xrealloc(t->heap, t->cap * sizeof *t->heap);
    }
    timer->due_us = due_us;
    t->heap[++t->n] = timer;
    sift_up(t, t->n);
}

void timer_unset(struct timers *t, struct timer *timer)
{
    size_t slot = timer->slot;
    if (slot == 0)
        return;
    timer->slot = 0;
    struct timer *last = t->heap[t->n--];
    if (last == timer)
        return;
    put(t, slot, last);
    sift_up(t, slot);
    sift_down(t, last->slot);
}

struct timer *timers_first(const struct timers *t)
{
    return t->n > 0 ? t->heap[1] : NULL;
}

void timers_fini(struct timers *t)
{
    free(t->heap);
}
