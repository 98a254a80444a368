/*
 * money.h: the money segment: what is reserved, what is in flight, and the outbox of the ledger.
 *
 * Every attempt at a provider holds one slot of its worker's region:
 *
 *     FREE -> OPEN -> SETTLED -> FREE once the keeper has committed the record
 *                \--> VOIDED  -> FREE (nothing was sent: no record)
 *
 * and, while OPEN, what it reserved in the cells (one a limit or budget window). Words and states
 * change together under one robust process-shared mutex by a redo record: the after-values are
 * written down, then applied, then cleared; whoever takes the lock after a death finishes what was
 * written down. So a kill -9 at any instruction leaves the segment as before or as after.
 * No system call, allocation or LMDB call happens while it is held.
 *
 * A worker uses: money_claim once, then for each attempt money_open, money_progress as it goes, and
 * exactly one that counts of money_settle / money_release (the second does nothing).
 * The keeper uses money_drain_* and money_reap. All of it is single-threaded per region: the worker
 * that owns a region is its only producer, the keeper the only consumer.
 *
 * The layout is open here since tests and the ledger writer read it; docs/ledger.md describes it.
 * It only ever grows: its header gives record sizes and offsets, and code goes by those.
 */
#ifndef GW_COMMON_MONEY_H
#define GW_COMMON_MONEY_H

#include "common/ledger.h"
#include "common/shm.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MONEY_LAYOUT = 1, MONEY_HOLDS_MAX = 24, MONEY_REDO_MAX = 128 };

#define MONEY_ERRORS(X)                                                                            \
    X(MONEY_OK, "ok")                                                                              \
    X(MONEY_NO_SLOT, "no free attempt slot")           /* answer 503 with Retry-After */           \
    X(MONEY_REFUSED, "a limit or budget is full")      /* answer by struct money_refusal */        \
    X(MONEY_NO_CELL, "table of live entities is full") /* answer 503, never a free pass */         \
    X(MONEY_NO_REGION, "no free region")                                                           \
    X(MONEY_STALE, "settled already")

enum money_err {
#define X(name, text) name,
    MONEY_ERRORS(X)
#undef X
};
const char *money_err_text(enum money_err err);

/* --- layout --------------------------------------------------------------------------------- */

/* One limit or budget window of one entity. Both words change under the lock only. */
struct money_cell {
    uint64_t id[2];  /* hash of (entity, dimension, window); {0,0}: unused */
    uint64_t kind;   /* its user's; 0 none */
    int64_t settled; /* spent in this window */
    int64_t held;    /* sum of the open slots' holds: invariant I2 */
    int64_t mark_us; /* last refill or start of the window */
    int64_t reserved[2];
};
_Static_assert(sizeof(struct money_cell) == 64, "shared layout");

enum money_slot_state { MONEY_FREE, MONEY_OPEN, MONEY_SETTLED, MONEY_VOIDED };

/* How far an attempt came: written by its worker without the lock, read by the keeper when the
 * worker is dead. `sent` goes up only. */
enum money_sent {
    MONEY_SENT_NOTHING, /* no byte of the request has left: charged 0 */
    MONEY_SENT_MAYBE,   /* the request may have been sent, no answer yet: the reservation */
    MONEY_SENT_ANSWER,  /* a 2xx answer has begun: what was counted so far */
};

struct money_progress {
    _Atomic int64_t sent; /* enum money_sent */
    _Atomic int64_t usage[LEDGER_USAGE_MAX];
    _Atomic int64_t cost_nusd; /* of that usage */
};

struct money_slot {
    /* generation * 4 + enum money_slot_state, through the redo record, except for the keeper's step
     * to FREE. The generation tells attempts apart that used the same slot. */
    _Atomic int64_t state;
    int64_t opened_mono_us;
    uint32_t hold_count;
    uint32_t hold_cell[MONEY_HOLDS_MAX];
    uint8_t hold_kind[MONEY_HOLDS_MAX];
    uint8_t pad0[4];
    int64_t hold_amount[MONEY_HOLDS_MAX];
    struct money_progress progress;
    struct ledger_body body;
    char names[LEDGER_NAMES_BYTES];
    int64_t reserved_usage[LEDGER_USAGE_MAX];
    uint8_t reserved[32];
};
_Static_assert(offsetof(struct money_slot, hold_amount) == 144, "shared layout");
_Static_assert(offsetof(struct money_slot, progress) == 336, "shared layout");
_Static_assert(offsetof(struct money_slot, body) == 416, "shared layout");
_Static_assert(offsetof(struct money_slot, names) == 416 + sizeof(struct ledger_body), "names");
_Static_assert(sizeof(struct money_slot) == 1344, "shared layout");

/* One worker incarnation. Slots go round through `ring`:
 *   [taken, committed) are FREE, [committed, settled) wait for the keeper; `fresh` slots have been
 *   used at all, so memory is touched only as far as the peak of attempts in flight.
 * The positions only grow; position p is ring[p % slots]. */
struct money_region {
    pthread_mutex_t life; /* robust, held by the owner for its whole life: how its death shows */
    uint8_t pad0[64 - sizeof(pthread_mutex_t)];
    uint64_t claimed; /* 1 from claim until reaped and drained */
    uint64_t incarnation;
    uint32_t worker;
    int32_t pid; /* for people */
    _Atomic int64_t fresh;
    _Atomic int64_t taken;
    _Atomic int64_t settled;
    _Atomic int64_t committed; /* the keeper's */
    uint64_t counters[8];      /* enum money_counter, the worker's */
    uint8_t reserved[64 + 8];
};
_Static_assert(sizeof(pthread_mutex_t) <= 64, "shared layout");
_Static_assert(sizeof(struct money_region) == 256, "shared layout");

enum money_counter {
    MONEY_C_OPENED,
    MONEY_C_SETTLED,
    MONEY_C_RELEASED,
    MONEY_C_REFUSED,
    MONEY_C_NO_SLOT
};

struct money_redo_entry {
    uint64_t offset; /* of an int64 word, from the start of the segment */
    int64_t value;   /* after */
};

struct money_header {
    struct shm_header shm;
    uint32_t header_bytes, region_bytes, slot_bytes, cell_bytes;
    uint32_t region_count, slots_per_region, cell_count, reserved0;
    uint64_t regions_at, rings_at, slots_at, cells_at; /* offsets from the start of the segment */
    pthread_mutex_t lock;
    uint8_t pad0[64 - sizeof(pthread_mutex_t)];
    _Atomic int64_t redo_count; /* > 0: these after-values have to be applied */
    struct money_redo_entry redo[MONEY_REDO_MAX];
    int64_t cells_used;
    int64_t repairs; /* redo records that were finished for a dead holder */
    /* Set by the keeper under the lock before it sleeps; who publishes work then writes wake_fd. */
    int64_t keeper_sleeps;
    _Atomic int64_t ledger_unwritable_since_us; /* wall clock; 0: the ledger takes records */
    uint8_t reserved[88];
};
_Static_assert(offsetof(struct money_header, lock) == 192, "shared layout");
_Static_assert(sizeof(struct money_header) == 192 + 64 + 8 + 16 * MONEY_REDO_MAX + 120,
               "shared layout");

/* --- master ----------------------------------------------------------------------------------- */

struct money_geometry {
    uint32_t regions; /* workers, and as many again for the dead that wait for the keeper */
    uint32_t slots_per_region; /* attempts a worker may have open or not yet committed */
    uint32_t cells;            /* live (entity, dimension, window); a power of two */
};
size_t money_segment_bytes(const struct money_geometry *g);
/* Adopts the segment of this boot if it holds anything that isn't committed or has the wanted
 * geometry, else makes a new one. What was adopted with another geometry is used as it is:
 * m->header says what there is. The master waits for the children of a former one before it calls
 * this. Map it with money_attach. */
GW_MUSTUSE int money_segment_open(int dir_fd, const struct money_geometry *want, struct shm *out,
                                  enum shm_origin *origin, struct errbuf *e);

/* --- every process ------------------------------------------------------------------------------
 */

struct money {
    char *base;
    struct money_header *header;
    int wake_fd; /* eventfd, borrowed; -1 none */
};
/* Checks the header against the mapping. `shm` must outlive m. */
GW_MUSTUSE int money_attach(struct money *m, const struct shm *shm, int wake_fd, struct errbuf *e);
static inline int64_t money_ledger_unwritable_since(const struct money *m)
{
    return atomic_load_explicit(&m->header->ledger_unwritable_since_us, memory_order_relaxed);
}

struct money_region *money_region_at(const struct money *m, uint32_t region);
struct money_slot *money_slot_at(const struct money *m, uint32_t region, uint32_t slot);
struct money_cell *money_cell_at(const struct money *m, uint32_t cell);
static inline enum money_slot_state money_state_of(int64_t word)
{
    return (enum money_slot_state)(word & 3);
}

/* Finds the cell of that id or makes it with `settled` already spent. Table full: MONEY_NO_CELL. */
GW_MUSTUSE enum money_err money_cell_get(struct money *m, const uint64_t id[2], uint64_t kind,
                                         int64_t settled, uint32_t *out);

/* --- worker -------------------------------------------------------------------------------------
 */

struct money_owner {
    struct money *m;
    struct money_region *region;
    uint32_t index;
};

/* Takes a free region for this thread's life. Incarnations are the master's, never used twice. */
GW_MUSTUSE enum money_err money_claim(struct money *m, uint32_t worker, uint64_t incarnation,
                                      struct money_owner *out);
/* At an orderly end: gives the region up; slots still open are then settled by the keeper as if the
 * worker had died. Must be called by the thread that claimed, before the segment is unmapped (glibc
 * keeps a list of the robust locks that a thread holds). */
void money_resign(struct money_owner *o);

/* What a hold costs for good once the outcome is known. */
enum money_hold_kind {
    MONEY_HOLD_COST,    /* cost_nusd: budgets */
    MONEY_HOLD_TOKENS,  /* input, cached, cache_write and output tokens */
    MONEY_HOLD_KEEP,    /* the whole amount, once anything may have been sent: requests */
    MONEY_HOLD_RELEASE, /* nothing: parallel */
};

/* Admitted when settled + held + amount <= limit, for all holds of an attempt in one decision. */
struct money_hold {
    uint32_t cell;
    enum money_hold_kind kind;
    int64_t amount; /* >= 0 */
    int64_t limit;
};

/* The first hold that didn't fit, as it was at that moment. settled + amount > limit means that
 * nothing in flight is to blame (402, not 429 budget_reserved). */
struct money_refusal {
    uint32_t hold;
    int64_t settled, held;
};

struct money_attempt {
    uint8_t request_id[LEDGER_REQUEST_ID_BYTES];
    uint32_t attempt; /* from 1 */
    uint64_t flags;   /* enum ledger_flags known so far */
    int64_t reserved_nusd;
    uint64_t price_id;
    uint64_t config_generation;
    uint8_t end_user[16];
    /* Worst case: input estimate, output bound. Charged as usage when nothing better is known. */
    int64_t reserved_usage[LEDGER_USAGE_MAX];
    struct slice names[LEDGER_NAME_COUNT]; /* borrowed during the call */
    const struct money_hold *holds;        /* borrowed during the call */
    uint32_t hold_count;
};

/* Names an open attempt; plain data, copy it freely. A zeroed one names none. */
struct money_ticket {
    uint32_t slot;
    int64_t generation; /* > 0 */
};

/* All or nothing: reserves every hold and opens a slot, or changes nothing and says why. `why` may
 * be NULL. */
GW_MUSTUSE enum money_err money_open(struct money_owner *o, const struct money_attempt *a,
                                     struct money_ticket *ticket, struct money_refusal *why);

/* To be called before the first byte of the request is handed to the kernel (MONEY_SENT_MAYBE), at
 * the head of a 2xx answer (MONEY_SENT_ANSWER), and as tokens are counted. A few plain stores.
 * `usage` NULL leaves the usage as it was. */
void money_progress(struct money_owner *o, const struct money_ticket *t, enum money_sent sent,
                    const int64_t usage[LEDGER_USAGE_MAX], int64_t cost_nusd);

struct money_outcome {
    enum ledger_state state; /* LEDGER_VOID: like money_release */
    uint8_t reason;
    uint16_t http_status;
    uint64_t flags; /* added to those of the attempt */
    int64_t usage[LEDGER_USAGE_MAX];
    int64_t cost_nusd; /* above reserved_nusd: the record is flagged overrun */
    int64_t ttfb_us;   /* -1 none */
    struct slice upstream_request_id;
};

/* Exactly once: returns the holds, adds what they cost, hands the record to the keeper. A second
 * call for the same ticket changes nothing and returns MONEY_STALE. With LEDGER_UNSETTLED usage and
 * cost are those of the reservation, whatever the outcome says. */
enum money_err money_settle(struct money_owner *o, const struct money_ticket *t,
                            const struct money_outcome *outcome);
/* Nothing was sent: holds are returned, nothing is charged, no record. MONEY_STALE as above. */
enum money_err money_release(struct money_owner *o, const struct money_ticket *t);

/* --- keeper -------------------------------------------------------------------------------------
 */

/* Frees the next `count` settled slots, in ring order: their records are durable. */
void money_drain_done(struct money *m, uint32_t region, uint32_t count);
/* How many slots wait for the keeper; *first is the ring position of the first. */
uint32_t money_drain_pending(const struct money *m, uint32_t region, int64_t *first);
/* The slot at a ring position of [first, first + pending). */
uint32_t money_drain_slot(const struct money *m, uint32_t region, int64_t position);

/* Whether the owner of a claimed region has died (or resigned). On true the caller holds its `life`
 * lock and ends with money_reap_done; no other process will find it dead meanwhile. */
bool money_reap_begin(struct money *m, uint32_t region);
/* Settles the open slots of that region by how far each came. Returns how many. */
uint32_t money_reap_settle(struct money *m, uint32_t region);
/* Ends the reaping; free = true (only when nothing is pending) gives the region to the next
 * claimer, else money_reap_begin finds it again. */
void money_reap_done(struct money *m, uint32_t region, bool free);

/* Announces sleep; false (and no announcement) when some region already has work beyond what
 * `seen` describes. After true the caller blocks on wake_fd. money_awake ends it. */
struct money_seen {
    int64_t settled; /* position behind the last settled slot that was drained */
    int64_t opened;  /* money_region_opened when its open slots were looked at */
};
/* Attempts ever opened in a region: grows with each. */
int64_t money_region_opened(const struct money *m, uint32_t region);
GW_MUSTUSE bool money_sleep(struct money *m, const struct money_seen *seen_of_region);
void money_awake(struct money *m);

void money_set_ledger_unwritable(struct money *m, int64_t since_wall_us);

/* Recomputes what the words must be from the slots (invariants I2, I9, I10 of docs/ledger.md),
 * under the lock. Cold: for tests and gwctl. 0 or -1 with the first difference. */
GW_MUSTUSE int money_check(struct money *m, struct errbuf *e);

#endif
