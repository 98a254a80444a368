/*
 * money_keeper.c: the keeper's side: draining settled slots, settling for the dead, sleeping.
 *
 * Draining takes no lock: settled slots don't change, and freeing is one store of the position
 * `committed`. A keeper that dies between its commit and that store leaves slots that its successor
 * drains again; the ledger refuses the doubles by record id.
 */
#include "common/check.h"
#include "common/clock.h"
#include "common/fault.h"
#include "common/money_internal.h"

#include <errno.h>

uint32_t money_drain_pending(const struct money *m, uint32_t region, int64_t *first)
{
    struct money_region *r = money_region_at(m, region);
    *first = atomic_load_explicit(&r->committed, memory_order_relaxed);
    return (uint32_t)(atomic_load_explicit(&r->settled, memory_order_acquire) - *first);
}

uint32_t money_drain_slot(const struct money *m, uint32_t region, int64_t position)
{
    return (uint32_t)__atomic_load_n(money_ring_at(m, region, position), __ATOMIC_RELAXED);
}

void money_drain_done(struct money *m, uint32_t region, uint32_t count)
{
    struct money_region *r = money_region_at(m, region);
    int64_t first = atomic_load_explicit(&r->committed, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        struct money_slot *s = money_slot_at(m, region, money_drain_slot(m, region, first + i));
        int64_t word = atomic_load_explicit(&s->state, memory_order_relaxed);
        atomic_store_explicit(&s->state, (word & ~INT64_C(3)) | MONEY_FREE, memory_order_relaxed);
        GW_FAULT("money.drain.freed_one");
    }
    atomic_store_explicit(&r->committed, first + count, memory_order_release);
}

int64_t money_region_opened(const struct money *m, uint32_t region)
{
    struct money_region *r = money_region_at(m, region);
    return atomic_load_explicit(&r->fresh, memory_order_acquire) +
           atomic_load_explicit(&r->taken, memory_order_acquire);
}

bool money_reap_begin(struct money *m, uint32_t region)
{
    struct money_region *r = money_region_at(m, region);
    if (__atomic_load_n(&r->claimed, __ATOMIC_ACQUIRE) == 0)
        return false;
    int rc = pthread_mutex_trylock(&r->life);
    if (rc == EBUSY)
        return false;
    if (rc == EOWNERDEAD)
        rc = pthread_mutex_consistent(&r->life);
    GW_REQUIRE(rc == 0);
    if (__atomic_load_n(&r->claimed, __ATOMIC_ACQUIRE) != 0)
        return true;
    GW_REQUIRE(pthread_mutex_unlock(&r->life) == 0);
    return false;
}

/* The rule for an attempt whose worker is gone, by how far it had come. */
static enum ledger_state judge(struct money_slot *s)
{
    struct ledger_body *b = &s->body;
    switch (atomic_load_explicit(&s->progress.sent, memory_order_acquire)) {
    case MONEY_SENT_NOTHING:
        return LEDGER_VOID;
    case MONEY_SENT_ANSWER:
        for (unsigned i = 0; i < LEDGER_USAGE_MAX; i++)
            b->usage[i] = atomic_load_explicit(&s->progress.usage[i], memory_order_relaxed);
        b->cost_nusd = atomic_load_explicit(&s->progress.cost_nusd, memory_order_relaxed);
        return LEDGER_ESTIMATED;
    default:
        memcpy(b->usage, s->reserved_usage, sizeof b->usage);
        b->cost_nusd = b->reserved_nusd;
        return LEDGER_UNSETTLED;
    }
}

uint32_t money_reap_settle(struct money *m, uint32_t region)
{
    struct money_region *r = money_region_at(m, region);
    uint32_t settled = 0;
    /* The owner may have died with the lock: what it had written down has to be finished before its
     * slots are looked at. */
    money_lock(m);
    uint32_t fresh = (uint32_t)atomic_load(&r->fresh);
    money_unlock(m);
    for (uint32_t i = 0; i < fresh; i++) {
        struct money_slot *s = money_slot_at(m, region, i);
        if (money_state_of(atomic_load(&s->state)) != MONEY_OPEN)
            continue;
        enum ledger_state state = judge(s);
        /* The worker may have died while it wrote an outcome: what it said of it doesn't count. */
        s->body.flags &= ~(uint64_t)LEDGER_F_OVERRUN;
        s->body.flags |= LEDGER_F_WORKER_DIED;
        if (s->body.cost_nusd > s->body.reserved_nusd)
            s->body.flags |= LEDGER_F_OVERRUN;
        s->body.ended_us = clock_wall_us();
        s->body.duration_us = clock_mono_us() - s->opened_mono_us;
        (void)money_slot_finish(m, region, i, state);
        settled++;
    }
    return settled;
}

void money_reap_done(struct money *m, uint32_t region, bool free)
{
    struct money_region *r = money_region_at(m, region);
    if (free)
        __atomic_store_n(&r->claimed, 0, __ATOMIC_RELEASE);
    GW_REQUIRE(pthread_mutex_unlock(&r->life) == 0);
}

bool money_sleep(struct money *m, const struct money_seen *seen_of_region)
{
    bool quiet = true;
    money_lock(m);
    /* Under the lock: a worker publishes either before, and is seen here, or after, and then sees
     * keeper_sleeps. */
    for (uint32_t i = 0; quiet && i < m->header->region_count; i++)
        quiet = atomic_load(&money_region_at(m, i)->settled) == seen_of_region[i].settled &&
                money_region_opened(m, i) == seen_of_region[i].opened;
    m->header->keeper_sleeps = quiet;
    money_unlock(m);
    return quiet;
}

void money_awake(struct money *m)
{
    money_lock(m);
    m->header->keeper_sleeps = 0;
    money_unlock(m);
}

void money_set_ledger_unwritable(struct money *m, int64_t since_wall_us)
{
    atomic_store_explicit(&m->header->ledger_unwritable_since_us, since_wall_us,
                          memory_order_relaxed);
}
