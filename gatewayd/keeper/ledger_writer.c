/*
 * ledger_writer.c: group commit of settled attempts.
 *
 * One pass: begin, append every settled slot of every region, note intents, commit, free the slots.
 * A slot is freed only behind a commit; a death between the two is mended by the ledger's index of
 * ids, which refuses a record that it has.
 */
#include "gatewayd/keeper/ledger_writer.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    BATCH_MAX = 16384,      /* records in one transaction */
    DROP_MAX = 2000,        /* records that retention deletes in one pass */
    RELEASE_EVERY = 16384,  /* records, some 5 MiB of the file, until its pages are unmapped */
    LOOK_FOR_DEAD_MS = 1000 /* without being told */
};
static const int64_t DEFAULT_INTERVAL_US = 50000;
static const int64_t RETRY_MAX_US = INT64_C(5) * 1000000;
static const int64_t RETENTION_EVERY_US = INT64_C(60) * 1000000;

/* What the writer knows of a region; all of it can be found again. */
struct region_view {
    int64_t *noted;      /* per slot: state word of the open attempt that is noted as an intent */
    int64_t opened_seen; /* money_region_opened at the last look at its open slots */
    uint32_t young;      /* open, but not yet for an interval */
    uint32_t taken;      /* slots whose records are in the open batch */
};

/* A record that is handed in (ledger_writer_add); one at a time. */
struct addition {
    const struct ledger_body *body; /* of who waits for it */
    enum { NONE, WAITING, WRITTEN, REFUSED } state;
};

struct ledger_writer {
    struct ledger_writer_config cfg;
    struct ledger_appender *appender;
    struct region_view *regions;
    uint32_t region_count;
    struct money_seen *seen;
    pthread_t thread;
    atomic_bool stop, look_for_dead;
    _Atomic int64_t interval_us; /* these two change with a reload */
    _Atomic uint32_t retention_days;
    int64_t last_commit_us, last_look_us, last_retention_us;
    int64_t retry_us; /* pause before the next try while it is unwritable */
    uint64_t tries;   /* in vain, since it is */
    uint32_t in_batch;
    uint32_t since_release; /* records written since the ledger's pages were unmapped */
    bool batch_full, unwritable;
    pthread_mutex_t add_lock;
    pthread_cond_t added;
    struct addition addition;
    pthread_mutex_t stats_lock;
    struct ledger_writer_stats stats;
    struct ledger_writer_stats pending; /* of the open batch */
};

/* --- draining ----------------------------------------------------------------------------------
 */

static bool is_settled(const struct money_slot *s)
{
    return money_state_of(atomic_load_explicit(&s->state, memory_order_relaxed)) == MONEY_SETTLED;
}

/* The reserved usage, but for figures that are part of the damage: the roll-ups sum them. */
static void charge_reserved_usage(const struct money_slot *s, struct ledger_body *b)
{
    static const int64_t PLAUSIBLE_TOKENS = INT64_C(1000000000);
    for (unsigned i = 0; i < LEDGER_USAGE_MAX; i++)
        if (s->reserved_usage[i] >= 0 && s->reserved_usage[i] <= PLAUSIBLE_TOKENS)
            b->usage[i] = s->reserved_usage[i];
}

static enum store_err append(struct ledger_writer *w, const struct ledger_body *b)
{
    enum store_err err = ledger_append(w->appender, b);
    if (err == STORE_EXISTS) {
        w->pending.duplicates++;
        return STORE_OK;
    }
    w->pending.records += err == STORE_OK;
    return err;
}

static enum store_err take_malformed(struct ledger_writer *w, const struct money_slot *s)
{
    struct ledger_entry mended;
    w->pending.malformed++;
    if (!ledger_body_mend(&s->body, &mended.body)) {
        w->pending.quarantined++;
        return ledger_quarantine(w->appender, slice_of((const char *)&s->body, LEDGER_BODY_MAX));
    }
    charge_reserved_usage(s, &mended.body);
    return append(w, &mended.body);
}

static enum store_err take_slot(struct ledger_writer *w, const struct money_slot *s)
{
    if (!is_settled(s))
        return ledger_drop_intent(w->appender, &s->body);
    return ledger_body_fault(&s->body) ? take_malformed(w, s) : append(w, &s->body);
}

/* Behind the commit, so that a batch that is tried again says it once. */
static void report_malformed(struct ledger_writer *w)
{
    struct money *m = w->cfg.money;
    for (uint32_t r = 0; r < w->region_count; r++) {
        int64_t first;
        (void)money_drain_pending(m, r, &first);
        for (uint32_t i = 0; i < w->regions[r].taken; i++) {
            uint32_t slot = money_drain_slot(m, r, first + i);
            const struct money_slot *s = money_slot_at(m, r, slot);
            const char *fault = is_settled(s) ? ledger_body_fault(&s->body) : NULL;
            struct ledger_entry mended;
            if (!fault)
                continue;
            bool kept = ledger_body_mend(&s->body, &mended.body);
            log_error("an attempt slot is malformed and was set aside", LOG_U("region", r),
                      LOG_U("slot", slot), LOG_U("worker", money_region_at(m, r)->worker),
                      LOG_S("reason", fault),
                      LOG_S("kept_as", kept ? "unsettled record" : "quarantine"));
        }
    }
}

static enum store_err take_region(struct ledger_writer *w, uint32_t region)
{
    struct money *m = w->cfg.money;
    int64_t first;
    uint32_t n = money_drain_pending(m, region, &first);
    enum store_err err = STORE_OK;
    w->regions[region].taken = 0;
    for (uint32_t i = 0; err == STORE_OK && i < n && !w->batch_full; i++) {
        err = take_slot(w, money_slot_at(m, region, money_drain_slot(m, region, first + i)));
        if (err != STORE_OK)
            break;
        w->regions[region].taken++;
        w->batch_full = ++w->in_batch >= BATCH_MAX;
    }
    return err;
}

/* The record that an open attempt becomes if it is lost; false if it was settled meanwhile. */
static bool copy_as_intent(const struct money_slot *s, int64_t word, struct ledger_entry *out)
{
    size_t n = GW_MIN(ledger_body_bytes(&s->body), (size_t)LEDGER_BODY_MAX);
    memcpy(out->room, &s->body, n);
    out->body.state = LEDGER_UNSETTLED;
    out->body.cost_nusd = out->body.reserved_nusd;
    out->body.flags = (out->body.flags & ~(uint64_t)LEDGER_F_OVERRUN) | LEDGER_F_FROM_INTENT;
    memcpy(out->body.usage, s->reserved_usage, sizeof out->body.usage);
    out->body.ended_us = out->body.started_us;
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&s->state, memory_order_relaxed) == word &&
           ledger_body_valid(out->room, n);
}

/* Notes the attempts of a region that are open for longer than an interval. */
static enum store_err note_open(struct ledger_writer *w, uint32_t region)
{
    struct money *m = w->cfg.money;
    struct region_view *view = &w->regions[region];
    int64_t opened = money_region_opened(m, region);
    if (opened == view->opened_seen && view->young == 0)
        return STORE_OK;
    uint32_t fresh = (uint32_t)atomic_load(&money_region_at(m, region)->fresh);
    int64_t before = clock_mono_us() - w->interval_us;
    view->young = 0;
    for (uint32_t i = 0; i < fresh; i++) {
        struct money_slot *s = money_slot_at(m, region, i);
        int64_t word = atomic_load_explicit(&s->state, memory_order_acquire);
        struct ledger_entry intent;
        if (money_state_of(word) != MONEY_OPEN || view->noted[i] == word)
            continue;
        if (s->opened_mono_us > before) {
            view->young++;
            continue;
        }
        if (!copy_as_intent(s, word, &intent)) {
            view->young++; /* being settled this moment: looked at again */
            continue;
        }
        enum store_err err = ledger_put_intent(w->appender, &intent.body);
        if (err != STORE_OK)
            return err;
        view->noted[i] = word;
        w->pending.intents++;
    }
    view->opened_seen = opened;
    return STORE_OK;
}

/* After a failed commit nothing is noted: everything is looked at again. */
static void forget_notes(struct ledger_writer *w)
{
    for (uint32_t r = 0; r < w->region_count; r++) {
        memset(w->regions[r].noted, 0, w->cfg.money->header->slots_per_region * sizeof(int64_t));
        w->regions[r].opened_seen = -1;
    }
}

/* NULL: nothing waits. */
static const struct ledger_body *added_body(struct ledger_writer *w)
{
    pthread_mutex_lock(&w->add_lock);
    const struct ledger_body *b = w->addition.state == WAITING ? w->addition.body : NULL;
    pthread_mutex_unlock(&w->add_lock);
    return b;
}

static void end_addition(struct ledger_writer *w, bool written)
{
    pthread_mutex_lock(&w->add_lock);
    if (w->addition.state == WAITING)
        w->addition.state = written ? WRITTEN : REFUSED;
    pthread_cond_broadcast(&w->added);
    pthread_mutex_unlock(&w->add_lock);
}

static bool has_work(struct ledger_writer *w)
{
    int64_t first;
    if (added_body(w))
        return true;
    for (uint32_t r = 0; r < w->region_count; r++)
        if (money_drain_pending(w->cfg.money, r, &first) > 0 || w->regions[r].young > 0 ||
            w->regions[r].opened_seen != money_region_opened(w->cfg.money, r))
            return true;
    return false;
}

static bool retention_is_due(const struct ledger_writer *w)
{
    return w->retention_days != 0 && (w->last_retention_us == 0 ||
                                      clock_mono_us() - w->last_retention_us >= RETENTION_EVERY_US);
}

static enum store_err apply_retention(struct ledger_writer *w)
{
    uint32_t today = ledger_day(clock_wall_us()), days = w->retention_days, dropped;
    if (!retention_is_due(w) || days == 0 || today < days)
        return STORE_OK;
    enum store_err err = ledger_drop_before(w->appender, today - days, DROP_MAX, &dropped);
    if (err == STORE_OK && dropped < DROP_MAX)
        w->last_retention_us = clock_mono_us();
    w->pending.dropped += err == STORE_OK ? dropped : 0;
    return err;
}

static enum store_err fill_batch(struct ledger_writer *w, const struct ledger_body *more)
{
    enum store_err err = more ? append(w, more) : STORE_OK;
    for (uint32_t r = 0; err == STORE_OK && r < w->region_count; r++) {
        err = take_region(w, r);
        if (err == STORE_OK)
            err = note_open(w, r);
    }
    return err == STORE_OK ? apply_retention(w) : err;
}

static void add_stats(struct ledger_writer *w, enum store_err err)
{
    struct ledger_writer_stats *s = &w->stats, *p = &w->pending;
    pthread_mutex_lock(&w->stats_lock);
    if (err == STORE_OK) {
        s->records += p->records;
        s->duplicates += p->duplicates;
        s->intents += p->intents;
        s->lost_settled += p->lost_settled;
        s->dropped += p->dropped;
        s->malformed += p->malformed;
        s->quarantined += p->quarantined;
        s->commits++;
    } else {
        s->failures++;
        s->last_err = err;
    }
    s->unwritable = w->unwritable = err != STORE_OK;
    pthread_mutex_unlock(&w->stats_lock);
    *p = (struct ledger_writer_stats){0};
}

/* One line when it begins, one when it is over; between them the pauses grow. */
static void report_unwritable(struct ledger_writer *w, enum store_err err)
{
    if (w->tries++ > 0) {
        w->retry_us = GW_MIN(2 * w->retry_us, RETRY_MAX_US);
        return;
    }
    w->retry_us = w->interval_us;
    log_error("the ledger can't be written; records wait in shared memory, and when that is full "
              "requests are refused; tried again until it can",
              LOG_S("error", store_err_text(err)));
    if (money_ledger_unwritable_since(w->cfg.money) == 0)
        money_set_ledger_unwritable(w->cfg.money, clock_wall_us());
}

static void report_writable(struct ledger_writer *w)
{
    struct money *m = w->cfg.money;
    int64_t since_us = money_ledger_unwritable_since(m);
    if (since_us)
        log_warn("the ledger is written again", LOG_I("after_us", clock_wall_us() - since_us),
                 LOG_U("tries", w->tries));
    money_set_ledger_unwritable(m, 0);
    w->tries = 0;
}

static void report_outcome(struct ledger_writer *w, enum store_err err)
{
    if (err == STORE_OK && w->pending.malformed > 0)
        report_malformed(w);
    if (err == STORE_OK)
        report_writable(w);
    else
        report_unwritable(w, err);
    add_stats(w, err);
    w->last_commit_us = clock_mono_us();
    if (err == STORE_OK)
        return;
    forget_notes(w);
    /* Refused while a reader runs: then at the next try. */
    if (err == STORE_PANIC && store_reopen(w->cfg.ledger, NULL) != STORE_OK)
        atomic_store(&w->look_for_dead, true);
}

/* What was written is not looked at again soon. */
static void release_pages(struct ledger_writer *w)
{
    w->since_release += w->in_batch;
    if (w->since_release < RELEASE_EVERY)
        return;
    w->since_release = 0;
    store_release_pages(w->cfg.ledger);
}

/* Writes what there is. False when nothing could be written. */
static bool pass(struct ledger_writer *w)
{
    w->in_batch = 0;
    w->batch_full = false;
    if (!has_work(w) && !retention_is_due(w))
        return true;
    const struct ledger_body *more = added_body(w);
    enum store_err err = ledger_begin(w->appender, clock_wall_us());
    if (err == STORE_OK) {
        err = fill_batch(w, more);
        if (err == STORE_OK)
            err = ledger_commit(w->appender);
        else
            ledger_rollback(w->appender);
    }
    report_outcome(w, err);
    GW_FAULT("ledger.committed");
    if (more)
        end_addition(w, err == STORE_OK);
    for (uint32_t r = 0; err == STORE_OK && r < w->region_count; r++)
        money_drain_done(w->cfg.money, r, w->regions[r].taken);
    release_pages(w);
    return err == STORE_OK;
}

/* --- the dead -----------------------------------------------------------------------------------
 */

static void reap(struct ledger_writer *w, uint32_t region)
{
    struct money *m = w->cfg.money;
    int64_t first;
    if (!money_reap_begin(m, region))
        return;
    uint32_t settled = money_reap_settle(m, region);
    /* Free for the next worker once its records are durable: at a later look. */
    bool drained = money_drain_pending(m, region, &first) == 0;
    money_reap_done(m, region, drained);
    if (!drained)
        atomic_store(&w->look_for_dead, true);
    pthread_mutex_lock(&w->stats_lock);
    w->stats.reaped += settled;
    pthread_mutex_unlock(&w->stats_lock);
}

static void look_for_dead(struct ledger_writer *w)
{
    int64_t now = clock_mono_us();
    if (!atomic_exchange(&w->look_for_dead, false) &&
        now - w->last_look_us < LOOK_FOR_DEAD_MS * 1000)
        return;
    w->last_look_us = now;
    for (uint32_t r = 0; r < w->region_count; r++)
        reap(w, r);
}

struct live_ids {
    uint8_t (*ids)[LEDGER_RECORD_ID_BYTES];
    size_t count;
};

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, LEDGER_RECORD_ID_BYTES);
}

static bool is_live(void *arg, const uint8_t id[LEDGER_RECORD_ID_BYTES])
{
    const struct live_ids *live = arg;
    return live->count > 0 &&
           bsearch(id, live->ids, live->count, sizeof live->ids[0], compare_ids) != NULL;
}

/* Intents of attempts that the segment doesn't know were lost with an earlier one (power cut). */
static enum store_err settle_lost(struct ledger_writer *w)
{
    struct money *m = w->cfg.money;
    struct live_ids live = {0};
    uint32_t settled = 0, quarantined = 0;
    size_t most = 0;
    for (uint32_t r = 0; r < w->region_count; r++)
        most += (size_t)atomic_load(&money_region_at(m, r)->fresh);
    live.ids = gw_xcalloc(most + 1, sizeof live.ids[0]);
    for (uint32_t r = 0; r < w->region_count; r++)
        for (uint32_t i = 0;
             live.count < most && i < (uint32_t)atomic_load(&money_region_at(m, r)->fresh); i++) {
            const struct money_slot *s = money_slot_at(m, r, i);
            if (money_state_of(atomic_load(&s->state)) != MONEY_FREE)
                ledger_record_id(&s->body, live.ids[live.count++]);
        }
    qsort(live.ids, live.count, sizeof live.ids[0], compare_ids);
    enum store_err err = ledger_begin(w->appender, clock_wall_us());
    if (err == STORE_OK) {
        err = ledger_settle_intents(w->appender, is_live, &live, &settled, &quarantined);
        if (err == STORE_OK)
            err = ledger_commit(w->appender);
        else
            ledger_rollback(w->appender);
    }
    free(live.ids);
    if (err == STORE_OK && quarantined > 0)
        log_error("intents in the ledger are malformed and were put into quarantine",
                  LOG_U("count", quarantined));
    w->pending.lost_settled = settled;
    w->pending.quarantined = quarantined;
    report_outcome(w, err);
    return err;
}

/* --- the thread ---------------------------------------------------------------------------------
 */

static void block(struct ledger_writer *w, int64_t us)
{
    struct pollfd p = {.fd = w->cfg.money->wake_fd, .events = POLLIN};
    uint64_t told;
    if (poll(&p, 1, (int)((us + 999) / 1000)) > 0 && read(p.fd, &told, sizeof told) < 0)
        GW_DCHECK(errno == EAGAIN);
}

static int64_t next_try_us(const struct ledger_writer *w)
{
    return w->last_commit_us + (w->unwritable ? w->retry_us : w->interval_us);
}

static void wait_for_work(struct ledger_writer *w)
{
    struct money *m = w->cfg.money;
    int64_t rest = next_try_us(w) - clock_mono_us();
    uint32_t young = 0;
    if (rest > 0) {
        block(w, GW_MIN(rest, (int64_t)LOOK_FOR_DEAD_MS * 1000));
        return;
    }
    for (uint32_t r = 0; r < w->region_count; r++) {
        young += w->regions[r].young;
        w->seen[r].opened = w->regions[r].opened_seen;
        w->seen[r].settled =
            atomic_load_explicit(&money_region_at(m, r)->committed, memory_order_relaxed);
    }
    if (young > 0) {
        block(w, w->interval_us);
    } else if (money_sleep(m, w->seen)) {
        block(w, LOOK_FOR_DEAD_MS * 1000);
        money_awake(m);
    }
}

static void *run(void *arg)
{
    struct ledger_writer *w = arg;
    bool lost_settled = false;
    while (true) {
        bool stop = atomic_load(&w->stop);
        look_for_dead(w);
        if (w->unwritable && !stop && clock_mono_us() < next_try_us(w)) {
            wait_for_work(w);
            continue;
        }
        if (!lost_settled)
            lost_settled = settle_lost(w) == STORE_OK;
        bool ok = lost_settled && pass(w);
        if (stop && (!ok || !w->batch_full)) {
            end_addition(w, false);
            return NULL;
        }
        if (!stop && (!ok || !w->batch_full))
            wait_for_work(w);
    }
}

static void tell(struct ledger_writer *w)
{
    uint64_t one = 1;
    if (write(w->cfg.money->wake_fd, &one, sizeof one) < 0)
        GW_DCHECK(errno == EAGAIN);
}

int ledger_writer_add(struct ledger_writer *w, const struct ledger_body *b)
{
    pthread_mutex_lock(&w->add_lock);
    while (w->addition.state != NONE)
        pthread_cond_wait(&w->added, &w->add_lock);
    w->addition = (struct addition){b, WAITING};
    tell(w);
    while (w->addition.state == WAITING)
        pthread_cond_wait(&w->added, &w->add_lock);
    bool written = w->addition.state == WRITTEN;
    w->addition.state = NONE;
    pthread_cond_broadcast(&w->added);
    pthread_mutex_unlock(&w->add_lock);
    return written ? 0 : -1;
}

static void set_rules(struct ledger_writer *w, int64_t commit_interval_us, uint32_t retention_days)
{
    atomic_store(&w->interval_us,
                 commit_interval_us > 0 ? commit_interval_us : DEFAULT_INTERVAL_US);
    atomic_store(&w->retention_days, retention_days);
}

void ledger_writer_configure(struct ledger_writer *w, int64_t commit_interval_us,
                             uint32_t retention_days)
{
    set_rules(w, commit_interval_us, retention_days);
    tell(w);
}

static void free_writer(struct ledger_writer *w)
{
    ledger_appender_free(w->appender);
    for (uint32_t r = 0; r < w->region_count; r++)
        free(w->regions[r].noted);
    free(w->regions);
    free(w->seen);
    pthread_mutex_destroy(&w->stats_lock);
    pthread_mutex_destroy(&w->add_lock);
    pthread_cond_destroy(&w->added);
    free(w);
}

int ledger_writer_start(const struct ledger_writer_config *cfg, struct ledger_writer **out,
                        struct errbuf *e)
{
    const struct money_header *h = cfg->money->header;
    struct ledger_writer *w = gw_xcalloc(1, sizeof *w);
    w->cfg = *cfg;
    set_rules(w, cfg->commit_interval_us, cfg->retention_days);
    w->region_count = h->region_count;
    w->regions = gw_xcalloc(w->region_count, sizeof *w->regions);
    w->seen = gw_xcalloc(w->region_count, sizeof *w->seen);
    for (uint32_t r = 0; r < w->region_count; r++) {
        w->regions[r].noted = gw_xcalloc(h->slots_per_region, sizeof(int64_t));
        w->regions[r].opened_seen = -1;
    }
    atomic_store(&w->look_for_dead, true);
    GW_REQUIRE(pthread_mutex_init(&w->stats_lock, NULL) == 0);
    GW_REQUIRE(pthread_mutex_init(&w->add_lock, NULL) == 0);
    GW_REQUIRE(pthread_cond_init(&w->added, NULL) == 0);
    enum store_err err = ledger_appender_new(cfg->ledger, &w->appender);
    if (err != STORE_OK) {
        free_writer(w);
        return err_set(e, "cannot start the ledger writer: %s", store_err_text(err));
    }
    errno = pthread_create(&w->thread, NULL, run, w);
    if (errno != 0) {
        err_set_errno(e, "cannot start the ledger writer");
        free_writer(w);
        return -1;
    }
    *out = w;
    return 0;
}

void ledger_writer_stop(struct ledger_writer *w)
{
    if (!w)
        return;
    atomic_store(&w->look_for_dead, true);
    atomic_store(&w->stop, true);
    tell(w);
    GW_REQUIRE(pthread_join(w->thread, NULL) == 0);
    free_writer(w);
}

void ledger_writer_region_dead(struct ledger_writer *w, uint32_t worker, uint64_t incarnation)
{
    /* Which region is dead shows in its life lock; the names are what the master knows it by. */
    for (uint32_t r = 0; r < w->region_count; r++) {
        const struct money_region *region = money_region_at(w->cfg.money, r);
        if (region->worker != worker || region->incarnation != incarnation)
            continue;
        atomic_store(&w->look_for_dead, true);
        tell(w);
        return;
    }
}

void ledger_writer_stats(struct ledger_writer *w, struct ledger_writer_stats *out)
{
    pthread_mutex_lock(&w->stats_lock);
    *out = w->stats;
    pthread_mutex_unlock(&w->stats_lock);
}
