/*
 * money_worker.c: the worker's side: claim a region, open, progress, settle.
 *
 * Invariants: only the owner of a region takes from its ring or settles its slots while it lives. A
 * slot is filled before it is opened and its outcome written before it is settled, both outside the
 * lock: what it holds counts by its state alone.
 */
#include "common/check.h"
#include "common/clock.h"
#include "common/fault.h"
#include "common/money_internal.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void wake_keeper(const struct money *m)
{
    uint64_t one = 1;
    /* Full (EAGAIN) means that the keeper has been told already. */
    if (m->wake_fd >= 0 && write(m->wake_fd, &one, sizeof one) < 0)
        GW_DCHECK(errno == EAGAIN);
}

/* --- regions ---------------------------------------------------------------------------------- */

/* Takes the life lock of an unclaimed region, of whatever owner before. */
static bool take_life(struct money_region *r)
{
    int rc = pthread_mutex_trylock(&r->life);
    if (rc == EBUSY)
        return false;
    if (rc == EOWNERDEAD)
        rc = pthread_mutex_consistent(&r->life);
    GW_REQUIRE(rc == 0);
    if (__atomic_load_n(&r->claimed, __ATOMIC_ACQUIRE) == 0)
        return true;
    /* Its owner is dead: the keeper's to reap. */
    GW_REQUIRE(pthread_mutex_unlock(&r->life) == 0);
    return false;
}

enum money_err money_claim(struct money *m, uint32_t worker, uint64_t incarnation,
                           struct money_owner *out)
{
    for (uint32_t i = 0; i < m->header->region_count; i++) {
        struct money_region *r = money_region_at(m, i);
        if (__atomic_load_n(&r->claimed, __ATOMIC_ACQUIRE) != 0 || !take_life(r))
            continue;
        GW_FAULT("money.claim.locked");
        r->incarnation = incarnation;
        r->worker = worker;
        r->pid = getpid();
        memset(r->counters, 0, sizeof r->counters);
        __atomic_store_n(&r->claimed, 1, __ATOMIC_RELEASE);
        GW_FAULT("money.claim.done");
        *out = (struct money_owner){m, r, i};
        return MONEY_OK;
    }
    return MONEY_NO_REGION;
}

void money_resign(struct money_owner *o)
{
    if (!o->region)
        return;
    GW_REQUIRE(pthread_mutex_unlock(&o->region->life) == 0);
    wake_keeper(o->m);
    *o = (struct money_owner){0};
}

static void count(struct money_owner *o, enum money_counter c)
{
    __atomic_store_n(&o->region->counters[c], o->region->counters[c] + 1, __ATOMIC_RELAXED);
}

/* --- open ---------------------------------------------------------------------------------------
 */

/* Where the next slot comes from: the ring if the keeper has freed one, else one never used. */
struct pick {
    uint32_t slot;
    bool fresh;
};

static bool pick_slot(const struct money_owner *o, struct pick *out)
{
    struct money_region *r = o->region;
    int64_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);
    int64_t fresh = atomic_load_explicit(&r->fresh, memory_order_relaxed);
    if (taken < atomic_load_explicit(&r->committed, memory_order_acquire)) {
        *out = (struct pick){(uint32_t)*money_ring_at(o->m, o->index, taken), false};
        return true;
    }
    *out = (struct pick){(uint32_t)fresh, true};
    return fresh < o->m->header->slots_per_region;
}

static void fill_slot(const struct money_owner *o, struct money_slot *s,
                      const struct money_attempt *a)
{
    s->opened_mono_us = clock_mono_us();
    s->hold_count = a->hold_count;
    for (uint32_t i = 0; i < a->hold_count; i++) {
        s->hold_cell[i] = a->holds[i].cell;
        s->hold_kind[i] = (uint8_t)a->holds[i].kind;
        s->hold_amount[i] = a->holds[i].amount;
    }
    atomic_store_explicit(&s->progress.sent, MONEY_SENT_NOTHING, memory_order_relaxed);
    for (unsigned i = 0; i < LEDGER_USAGE_MAX; i++)
        atomic_store_explicit(&s->progress.usage[i], 0, memory_order_relaxed);
    atomic_store_explicit(&s->progress.cost_nusd, 0, memory_order_relaxed);
    memcpy(s->reserved_usage, a->reserved_usage, sizeof s->reserved_usage);

    struct ledger_body *b = &s->body;
    memset(b, 0, sizeof *b);
    b->version = LEDGER_VERSION;
    b->fixed_bytes = sizeof *b;
    memcpy(b->request_id, a->request_id, sizeof b->request_id);
    b->attempt = a->attempt;
    b->worker = (uint16_t)o->region->worker;
    b->flags = a->flags;
    b->started_us = clock_wall_us();
    b->ttfb_us = -1;
    b->reserved_nusd = a->reserved_nusd;
    b->price_id = a->price_id;
    b->config_generation = a->config_generation;
    memcpy(b->end_user, a->end_user, sizeof b->end_user);
    ledger_body_set_names(b, a->names);
}

/* Adds every hold to its cell, or finds the first that doesn't fit. */
static bool reserve(struct money_txn *t, const struct money_attempt *a, struct money_refusal *why)
{
    for (uint32_t i = 0; i < a->hold_count; i++) {
        const struct money_hold *h = &a->holds[i];
        struct money_cell *c = money_cell_at(t->m, h->cell);
        int64_t held = money_txn_get(t, &c->held), sum;
        if (__builtin_add_overflow(c->settled, held, &sum) ||
            __builtin_add_overflow(sum, h->amount, &sum) || sum > h->limit) {
            if (why)
                *why = (struct money_refusal){i, c->settled, held};
            return false;
        }
        money_txn_add(t, &c->held, h->amount);
    }
    return true;
}

static bool attempt_is_sane(const struct money_owner *o, const struct money_attempt *a)
{
    if (a->attempt == 0 || a->reserved_nusd < 0 || a->hold_count > MONEY_HOLDS_MAX)
        return false;
    for (uint32_t i = 0; i < a->hold_count; i++)
        if (a->holds[i].amount < 0 || a->holds[i].cell >= o->m->header->cell_count)
            return false;
    return true;
}

enum money_err money_open(struct money_owner *o, const struct money_attempt *a,
                          struct money_ticket *ticket, struct money_refusal *why)
{
    struct pick pick;
    GW_REQUIRE(attempt_is_sane(o, a));
    *ticket = (struct money_ticket){0};
    if (!pick_slot(o, &pick)) {
        count(o, MONEY_C_NO_SLOT);
        return MONEY_NO_SLOT;
    }
    struct money_slot *s = money_slot_at(o->m, o->index, pick.slot);
    int64_t generation = (atomic_load_explicit(&s->state, memory_order_relaxed) >> 2) + 1;
    fill_slot(o, s, a);
    GW_FAULT("money.open.filled");

    money_lock(o->m);
    GW_FAULT("money.open.locked");
    struct money_txn t = money_txn_begin(o->m);
    if (!reserve(&t, a, why)) {
        money_unlock(o->m);
        count(o, MONEY_C_REFUSED);
        return MONEY_REFUSED;
    }
    money_txn_set(&t, MONEY_WORD(&s->state), generation * 4 + MONEY_OPEN);
    money_txn_add(&t, MONEY_WORD(pick.fresh ? &o->region->fresh : &o->region->taken), 1);
    money_txn_commit(&t);
    bool wake = o->m->header->keeper_sleeps != 0;
    money_unlock(o->m);

    GW_FAULT("money.open.done");
    if (wake)
        wake_keeper(o->m);
    count(o, MONEY_C_OPENED);
    *ticket = (struct money_ticket){pick.slot, generation};
    return MONEY_OK;
}

/* --- progress and settlement ----------------------------------------------------------------- */

static struct money_slot *open_slot(const struct money_owner *o, const struct money_ticket *t)
{
    if (t->generation <= 0 || gw_fails(t->slot < o->m->header->slots_per_region))
        return NULL;
    struct money_slot *s = money_slot_at(o->m, o->index, t->slot);
    bool same =
        atomic_load_explicit(&s->state, memory_order_relaxed) == t->generation * 4 + MONEY_OPEN;
    return same ? s : NULL;
}

void money_progress(struct money_owner *o, const struct money_ticket *t, enum money_sent sent,
                    const int64_t usage[LEDGER_USAGE_MAX], int64_t cost_nusd)
{
    struct money_slot *s = open_slot(o, t);
    if (!s)
        return;
    struct money_progress *p = &s->progress;
    /* Usage first: when `sent` says that an answer has begun, what was counted is there. */
    for (unsigned i = 0; usage && i < LEDGER_USAGE_MAX; i++)
        atomic_store_explicit(&p->usage[i], usage[i], memory_order_relaxed);
    atomic_store_explicit(&p->cost_nusd, cost_nusd, memory_order_relaxed);
    if ((int64_t)sent > atomic_load_explicit(&p->sent, memory_order_relaxed))
        atomic_store_explicit(&p->sent, sent, memory_order_release);
}

static int64_t charge_of(enum money_hold_kind kind, int64_t amount, const struct ledger_body *b)
{
    switch (kind) {
    case MONEY_HOLD_COST:
        return b->cost_nusd;
    case MONEY_HOLD_TOKENS:
        return b->usage[LEDGER_INPUT] + b->usage[LEDGER_CACHED] + b->usage[LEDGER_CACHE_WRITE] +
               b->usage[LEDGER_OUTPUT];
    case MONEY_HOLD_KEEP:
        return amount;
    case MONEY_HOLD_RELEASE:
        break;
    }
    return 0;
}

bool money_slot_finish(struct money *m, uint32_t region, uint32_t slot, enum ledger_state state)
{
    struct money_region *r = money_region_at(m, region);
    struct money_slot *s = money_slot_at(m, region, slot);
    s->body.state = (uint8_t)state;
    GW_FAULT("money.settle.filled");

    money_lock(m);
    GW_FAULT("money.settle.locked");
    struct money_txn t = money_txn_begin(m);
    for (uint32_t i = 0; i < s->hold_count; i++) {
        struct money_cell *c = money_cell_at(m, s->hold_cell[i]);
        money_txn_add(&t, &c->held, -s->hold_amount[i]);
        if (state != LEDGER_VOID)
            money_txn_add(
                &t, &c->settled,
                charge_of((enum money_hold_kind)s->hold_kind[i], s->hold_amount[i], &s->body));
    }
    int64_t position = atomic_load_explicit(&r->settled, memory_order_relaxed);
    int64_t generation = atomic_load_explicit(&s->state, memory_order_relaxed) >> 2;
    money_txn_set(&t, MONEY_WORD(&s->state),
                  generation * 4 + (state == LEDGER_VOID ? MONEY_VOIDED : MONEY_SETTLED));
    money_txn_set(&t, money_ring_at(m, region, position), slot);
    money_txn_set(&t, MONEY_WORD(&r->settled), position + 1);
    money_txn_commit(&t);
    bool wake = m->header->keeper_sleeps != 0;
    money_unlock(m);
    GW_FAULT("money.settle.done");
    return wake;
}

enum money_err money_settle(struct money_owner *o, const struct money_ticket *t,
                            const struct money_outcome *outcome)
{
    struct money_slot *s = open_slot(o, t);
    if (!s)
        return MONEY_STALE;
    struct ledger_body *b = &s->body;
    bool unsettled = outcome->state == LEDGER_UNSETTLED;
    memcpy(b->usage, unsettled ? s->reserved_usage : outcome->usage, sizeof b->usage);
    b->cost_nusd = unsettled ? b->reserved_nusd : outcome->cost_nusd;
    b->reason = outcome->reason;
    b->http_status = outcome->http_status;
    b->flags |= outcome->flags;
    if (b->cost_nusd > b->reserved_nusd && !(b->flags & LEDGER_F_UNPRICED))
        b->flags |= LEDGER_F_OVERRUN;
    b->ended_us = clock_wall_us();
    b->duration_us = clock_mono_us() - s->opened_mono_us;
    b->ttfb_us = outcome->ttfb_us;
    ledger_body_add_upstream_id(b, outcome->upstream_request_id);
    if (money_slot_finish(o->m, o->index, t->slot, outcome->state))
        wake_keeper(o->m);
    count(o, outcome->state == LEDGER_VOID ? MONEY_C_RELEASED : MONEY_C_SETTLED);
    return MONEY_OK;
}

enum money_err money_release(struct money_owner *o, const struct money_ticket *t)
{
    struct money_outcome nothing = {.state = LEDGER_VOID, .ttfb_us = -1};
    return money_settle(o, t, &nothing);
}
