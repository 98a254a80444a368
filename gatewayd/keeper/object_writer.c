/*
 * object_writer.c: group commits of object records, bills, pruning.
 *
 * Only one job is under way. Records are added before any is removed or settled: the one that says
 * so was published after the object's own, but perhaps in a ring that is read before it.
 */
#include "gatewayd/keeper/object_writer.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/objects_store.h"
#include "gatewayd/keeper/keeper.h"
#include "gatewayd/keeper/ledger_writer.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    RETRY_MS = 500,
    PRUNE_EVERY_S = 60,
    PRUNE_MAX = 1000,
    BILLS_MAX = 64, /* of one job */
};

/* Of a ring in this pass. */
struct ring_view {
    uint64_t changes_end; /* removals and settlements before this position may be applied */
    uint64_t end;         /* of what this pass takes */
};

struct object_writer {
    struct keeper *k;
    struct event *wake_event, *timer_event;
    struct job job;
    bool busy, stopped, failing;
    /* The job's. */
    struct ring_view *rings;
    int64_t last_prune_us;
    bool bills_due, more, ok;
};

/* ---- a pass ---- */

/* Twice over: an addition is published before what refers to it, so it is met by the second look
 * at the latest. */
static void look_at_rings(struct object_writer *w)
{
    const struct objects *o = &w->k->objects;
    for (uint32_t r = 0; r < o->header->region_count; r++)
        w->rings[r].changes_end = objects_published(o, r);
    for (uint32_t r = 0; r < o->header->region_count; r++) {
        uint64_t p = objects_drained(o, r), end = objects_published(o, r);
        while (p < end &&
               (p < w->rings[r].changes_end || objects_at(o, r, p)->change == OBJECT_ADD))
            p++;
        w->rings[r].end = p;
    }
}

static enum store_err apply_one(struct object_writer *w, struct store_txn *t,
                                const struct object_record *shared)
{
    struct object_record r;
    size_t n = GW_MIN(object_record_bytes(shared), sizeof r);
    if (!object_record_decode(shared, n, &r)) {
        log_error("a record of an object is malformed and was left out");
        return STORE_OK;
    }
    enum store_err err = objects_apply(t, &r);
    w->bills_due |= err == STORE_OK && r.change == OBJECT_SETTLE;
    if (err == STORE_CORRUPT) {
        log_error("what is kept of an object is malformed: a change of it was left out",
                  LOG_S("kind", object_kind_name(r.kind)));
        return STORE_OK;
    }
    return err == STORE_NOTFOUND ? STORE_OK : err;
}

static enum store_err apply_all(struct object_writer *w, struct store_txn *t, bool additions)
{
    const struct objects *o = &w->k->objects;
    enum store_err err = STORE_OK;
    for (uint32_t r = 0; r < o->header->region_count; r++)
        for (uint64_t p = objects_drained(o, r); err == STORE_OK && p < w->rings[r].end; p++)
            if ((objects_at(o, r, p)->change == OBJECT_ADD) == additions)
                err = apply_one(w, t, objects_at(o, r, p));
    return err;
}

static bool prune_is_due(const struct object_writer *w)
{
    return w->last_prune_us == 0 ||
           clock_mono_us() - w->last_prune_us >= (int64_t)PRUNE_EVERY_S * 1000000;
}

static enum store_err prune(struct object_writer *w, struct store_txn *t)
{
    uint32_t pruned, unsettled;
    if (!prune_is_due(w))
        return STORE_OK;
    enum store_err err = objects_prune(t, clock_wall_us(), PRUNE_MAX, &pruned, &unsettled);
    if (err == STORE_OK && unsettled > 0) {
        log_warn("objects have expired and nobody has seen what they used: they are billed by "
                 "their bound",
                 LOG_U("objects", unsettled));
        w->bills_due = true;
    }
    if (err == STORE_OK && pruned < PRUNE_MAX)
        w->last_prune_us = clock_mono_us();
    w->more |= pruned == PRUNE_MAX;
    return err;
}

static enum store_err commit_records(struct object_writer *w)
{
    struct objects *o = &w->k->objects;
    struct store_txn *t;
    if (!objects_any_pending(o) && !prune_is_due(w))
        return STORE_OK;
    look_at_rings(w);
    enum store_err err = store_write_begin(w->k->state, &t);
    if (err != STORE_OK)
        return err;
    err = apply_all(w, t, true);
    if (err == STORE_OK)
        err = apply_all(w, t, false);
    if (err == STORE_OK)
        err = prune(w, t);
    if (err != STORE_OK) {
        store_abort(t);
        return err;
    }
    GW_FAULT("objects.commit");
    err = store_commit(t);
    GW_FAULT("objects.committed");
    for (uint32_t r = 0; err == STORE_OK && r < o->header->region_count; r++)
        objects_free_before(o, r, w->rings[r].end);
    return err;
}

/* ---- bills ---- */

void object_bill(const struct object_record *r, int64_t now_wall_us, struct ledger_body *b)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    const struct slice newline = SLICE_LIT("\n"), id[] = {slice_str(object_kind_name(r->kind)),
                                                          newline,
                                                          object_name(r, OBJECT_PROVIDER),
                                                          newline,
                                                          object_name(r, OBJECT_CREDENTIAL),
                                                          newline,
                                                          object_name(r, OBJECT_ID)};
    const struct slice names[LEDGER_NAME_COUNT] = {
        [LEDGER_KEY] = object_name(r, OBJECT_KEY),
        [LEDGER_TEAM] = object_name(r, OBJECT_TEAM),
        [LEDGER_CUSTOMER] = object_name(r, OBJECT_CUSTOMER),
        [LEDGER_MODEL] = object_name(r, OBJECT_MODEL),
        [LEDGER_PROVIDER] = object_name(r, OBJECT_PROVIDER),
        [LEDGER_CREDENTIAL] = object_name(r, OBJECT_CREDENTIAL),
    };
    crypto_sha256_parts(id, ARRAY_LEN(id), digest);
    memset(b, 0, sizeof *b);
    b->version = LEDGER_VERSION;
    b->fixed_bytes = sizeof *b;
    b->state = r->flags & OBJECT_F_ESTIMATED ? LEDGER_ESTIMATED : LEDGER_SETTLED;
    memcpy(b->request_id, digest, sizeof b->request_id);
    b->attempt = 1;
    b->flags = LEDGER_F_UNPRICED | (r->kind == OBJECT_BATCH ? LEDGER_F_BATCH : LEDGER_F_BACKGROUND);
    b->started_us = r->created_us;
    b->ended_us = GW_MAX(now_wall_us, r->created_us);
    b->duration_us = b->ended_us - b->started_us;
    b->ttfb_us = -1;
    memcpy(b->usage, r->usage, sizeof b->usage);
    ledger_body_set_names(b, names);
    ledger_body_add_upstream_id(b, object_name(r, OBJECT_ID));
}

static enum store_err next_bill(struct object_writer *w, struct object_record *out)
{
    struct store_txn *t;
    uint32_t malformed;
    enum store_err err = store_write_begin(w->k->state, &t);
    if (err != STORE_OK)
        return err;
    err = objects_next_bill(t, out, &malformed);
    store_abort(t);
    if (malformed > 0)
        LOG_EVERY(60000000, LOG_LEVEL_ERROR, "bills of objects are malformed and can't be written",
                  LOG_U("bills", malformed));
    return err;
}

static enum store_err note_billed(struct object_writer *w, const struct object_record *r)
{
    struct store_txn *t;
    enum store_err err = store_write_begin(w->k->state, &t);
    if (err != STORE_OK)
        return err;
    err = objects_billed(t, r, clock_wall_us());
    if (err == STORE_OK)
        return store_commit(t);
    store_abort(t);
    return err;
}

static enum store_err write_bills(struct object_writer *w)
{
    struct object_record r;
    struct ledger_entry bill;
    enum store_err err = STORE_OK;
    for (int i = 0; i < BILLS_MAX && err == STORE_OK; i++) {
        err = next_bill(w, &r);
        if (err != STORE_OK)
            break;
        object_bill(&r, clock_wall_us(), &bill.body);
        GW_FAULT("objects.bill");
        if (ledger_writer_add(w->k->ledger, &bill.body) < 0)
            return STORE_IO;
        GW_FAULT("objects.billed");
        err = note_billed(w, &r);
    }
    w->bills_due = err != STORE_NOTFOUND;
    w->more |= err == STORE_OK;
    return err == STORE_NOTFOUND ? STORE_OK : err;
}

static void report(struct object_writer *w, enum store_err err)
{
    bool failed = err != STORE_OK;
    if (failed && !w->failing)
        log_error("records of objects can't be written; they wait in shared memory; tried again "
                  "until it can",
                  LOG_S("error", store_err_text(err)));
    else if (!failed && w->failing)
        log_warn("records of objects are written again");
    w->failing = failed;
    w->ok = !failed;
    if (err == STORE_PANIC && store_reopen(w->k->state, NULL) != STORE_OK)
        log_warn("state.mdb could not be opened again yet");
}

static void pass(struct object_writer *w)
{
    w->more = false;
    enum store_err err = commit_records(w);
    if (err == STORE_OK && w->bills_due)
        err = write_bills(w);
    report(w, err);
}

/* ---- on the loop ---- */

static void run_job(struct job *j)
{
    pass(container_of(j, struct object_writer, job));
}

static void arm(struct object_writer *w, int64_t us)
{
    struct timeval tv = {.tv_sec = us / 1000000, .tv_usec = us % 1000000};
    event_add(w->timer_event, &tv);
}

static void finish_job(struct job *j)
{
    struct object_writer *w = container_of(j, struct object_writer, job);
    w->busy = false;
    if (w->stopped)
        return;
    if (!w->ok)
        arm(w, RETRY_MS * 1000);
    else if (w->more || !objects_wait(&w->k->objects))
        arm(w, w->k->running ? w->k->running->conf->store.commit_interval_us : 0);
    else
        arm(w, (int64_t)PRUNE_EVERY_S * 1000000);
}

static void submit(struct object_writer *w)
{
    if (w->busy || w->stopped)
        return;
    w->job = (struct job){.run = run_job, .finish = finish_job};
    w->busy = jobs_submit(w->k->writers, &w->job) == 0;
    if (!w->busy)
        arm(w, RETRY_MS * 1000);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    submit(arg);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t told;
    (void)!read(fd, &told, sizeof told);
    submit(arg);
}

struct object_writer *object_writer_new(struct keeper *k, struct errbuf *e)
{
    struct object_writer *w = gw_xcalloc(1, sizeof *w);
    w->k = k;
    w->bills_due = true;
    w->rings = gw_xcalloc(k->objects.header->region_count, sizeof *w->rings);
    w->wake_event = event_new(k->child->base, k->objects.wake_fd, EV_READ | EV_PERSIST, on_wake, w);
    w->timer_event = event_new(k->child->base, -1, 0, on_timer, w);
    if (!w->wake_event || !w->timer_event || event_add(w->wake_event, NULL) != 0) {
        err_set(e, "out of memory");
        object_writer_free(w);
        return NULL;
    }
    submit(w);
    return w;
}

void object_writer_stop(struct object_writer *w)
{
    if (!w)
        return;
    w->stopped = true;
    event_del(w->wake_event);
    event_del(w->timer_event);
}

void object_writer_free(struct object_writer *w)
{
    if (!w)
        return;
    if (w->stopped)
        pass(w);
    if (w->wake_event)
        event_free(w->wake_event);
    if (w->timer_event)
        event_free(w->timer_event);
    free(w->rings);
    free(w);
}
