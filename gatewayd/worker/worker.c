/*
 * worker.c: the worker process: start-up, generations, drain; timers and deferred work of its loop.
 */
#include "gatewayd/worker/worker.h"

#include "common/check.h"
#include "common/dns_shm.h"
#include "common/log.h"
#include "common/token_shm.h"
#include "gatewayd/segments.h"
#include "gatewayd/worker/accept.h"
#include "gatewayd/worker/attempt.h"
#include "gatewayd/worker/conn.h"
#include "gatewayd/worker/req.h"
#include "gatewayd/worker/snapshot.h"
#include "gatewayd/worker/uconn.h"

#include <malloc.h>
#include <stdlib.h>

enum {
    JSON_TOKENS_MAX = 1 << 20,
    JSON_TOKENS_KEPT = 1 << 14,
    STAGE_MAX_BYTES = 8 * 1024 * 1024,
    STAGE_KEPT_BYTES = 256 * 1024,
    /* Log lines wait at most this long; under load many leave in one write. */
    LOG_DELAY_US = 16000,
    MALLOC_KEPT_BYTES = 4 * 1024 * 1024,
    MALLOC_PAD_BYTES = 256 * 1024,
    /* A burst that took this much is worth a trim of the heap once it is over. */
    TRIM_BEHIND_BYTES = 2 * 1024 * 1024,
    TRIM_KEPT_BYTES = 512 * 1024,
    TRIM_LOOK_US = 1000000,
    /* What a request with its attempt and a connection take besides buffers, roughly. */
    REQUEST_BYTES = 16 * 1024,
    CONNECTION_BYTES = 2 * 1024,
};

/* ---- services ---- */

static void schedule_wheel(struct worker *w)
{
    int64_t now = clock_mono_us();
    int64_t us = wheel_next_us(&w->wheel, now);
    if (us < 0 || (w->wheel_at_us && w->wheel_at_us <= now + us))
        return;
    w->wheel_at_us = now + us;
    struct timeval tv = {.tv_sec = us / 1000000, .tv_usec = us % 1000000};
    event_add(w->wheel_event, &tv);
}

static void on_wheel(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    w->wheel_at_us = 0;
    wheel_advance(&w->wheel, clock_mono_us());
    schedule_wheel(w);
}

void worker_arm(struct worker *w, struct wheel_timer *t, int64_t at_us)
{
    wheel_arm(&w->wheel, t, at_us);
    if (w->wheel_at_us == 0 || at_us + WHEEL_TICK_US < w->wheel_at_us)
        schedule_wheel(w);
}

static void run_later(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    while (w->later) {
        struct later *l = w->later;
        w->later = l->next;
        if (!w->later)
            w->later_tail = &w->later;
        l->queued = false;
        l->fn(l);
    }
    json_doc_trim(&w->doc, JSON_TOKENS_KEPT);
    if (w->stage.cap > STAGE_KEPT_BYTES)
        buf_release(&w->stage);
}

void worker_later(struct worker *w, struct later *l, void (*fn)(struct later *l))
{
    if (l->queued)
        return;
    *l = (struct later){.fn = fn, .queued = true};
    *w->later_tail = l;
    w->later_tail = &l->next;
    event_active(w->later_event, 0, 0);
}

/* ---- memory ---- */

static size_t memory_in_use(const struct worker *w)
{
    return w->buffered_bytes + w->n_reqs * REQUEST_BYTES + w->n_conns * CONNECTION_BYTES;
}

static void note_memory(struct worker *w)
{
    size_t use = memory_in_use(w);
    if (use <= w->use_now_max)
        return;
    w->use_now_max = use;
    if (use > TRIM_BEHIND_BYTES && !wheel_is_armed(&w->trim_timer))
        worker_arm(w, &w->trim_timer, clock_mono_us() + TRIM_LOOK_US);
}

/* Gives memory back once the load has stayed well below its peak: a trim at each trough would have
 * the next crest fault it all in anew. */
static void on_trim_timer(struct wheel_timer *t)
{
    struct worker *w = container_of(t, struct worker, trim_timer);
    w->use_peak = GW_MAX(w->use_peak, w->use_now_max);
    if (w->use_now_max < w->use_peak / 4) {
        w->use_peak = w->use_now_max;
        malloc_trim(TRIM_KEPT_BYTES);
    }
    w->use_now_max = memory_in_use(w);
    if (w->use_peak > TRIM_BEHIND_BYTES)
        worker_arm(w, t, clock_mono_us() + TRIM_LOOK_US);
}

void worker_account(struct worker *w, size_t *held, size_t now)
{
    w->buffered_bytes += now - *held;
    *held = now;
    note_memory(w);
    atomic_store_explicit(&w->child->self->buffered_bytes, w->buffered_bytes, memory_order_relaxed);
}

bool worker_may_buffer(const struct worker *w, size_t more)
{
    size_t max = (size_t)w->current->conf->http.max_buffered;
    return w->buffered_bytes <= max && more <= max - w->buffered_bytes;
}

static void on_log_timer(struct wheel_timer *t)
{
    log_flush();
}

void worker_logged(struct worker *w)
{
    if (!wheel_is_armed(&w->log_timer))
        worker_arm(w, &w->log_timer, clock_mono_us() + LOG_DELAY_US);
}

void worker_count(struct worker *w)
{
    atomic_store_explicit(&w->child->self->connections, w->n_conns, memory_order_relaxed);
    atomic_store_explicit(&w->child->self->inflight, w->n_reqs, memory_order_relaxed);
    note_memory(w);
}

/* ---- drain ---- */

static void quit(struct worker *w)
{
    log_flush();
    money_resign(&w->owner);
    child_exit(w->child, CHILD_EXIT_OK);
}

void worker_check_drained(struct worker *w)
{
    worker_count(w);
    if (w->mode != WORKER_DRAINING || w->n_reqs > 0 || w->n_conns > 0)
        return;
    if (w->leaving)
        quit(w);
    else
        child_drained(w->child);
}

static void cut_all(struct worker *w)
{
    list_foreach(it, &w->reqs)
    {
        struct req *r = list_entry(it, struct req, node);
        if (r->attempt)
            attempt_finish(r->attempt, END_DRAINED, "drain deadline");
        else
            req_body_failed(r, 503, "draining", "the gateway is shutting down");
    }
    conn_close_all(w);
}

static void on_drain_deadline(struct wheel_timer *t)
{
    struct worker *w = container_of(t, struct worker, drain_timer);
    log_warn("drain deadline, cutting what is left", LOG_U("requests", w->n_reqs),
             LOG_U("connections", w->n_conns));
    cut_all(w);
    worker_check_drained(w);
}

static void op_drain(struct child *c, int64_t deadline_us)
{
    struct worker *w = c->arg;
    if (deadline_us == 0) {
        if (w->mode == WORKER_SERVING)
            w->mode = WORKER_ANNOUNCED;
        return;
    }
    w->mode = WORKER_DRAINING;
    accept_set(w, NULL, 0);
    uconn_close_idle(w);
    conn_drain_all(w);
    worker_arm(w, &w->drain_timer, deadline_us);
    worker_check_drained(w);
}

static void op_resume(struct child *c)
{
    struct worker *w = c->arg;
    if (w->mode == WORKER_ANNOUNCED)
        w->mode = WORKER_SERVING;
}

static void op_stop(struct child *c)
{
    struct worker *w = c->arg;
    w->mode = WORKER_DRAINING;
    w->leaving = true;
    accept_set(w, NULL, 0);
    cut_all(w);
    worker_check_drained(w);
}

static void op_orphaned(struct child *c, int64_t deadline_us)
{
    struct worker *w = c->arg;
    w->leaving = true;
    op_drain(c, deadline_us);
}

/* ---- generations ---- */

static int op_build(struct child *c, struct child_build *b, struct errbuf *e)
{
    struct worker *w = c->arg;
    w->built = snapshot_build(w, b, e);
    return w->built ? 0 : -1;
}

static void op_discard(struct child *c)
{
    struct worker *w = c->arg;
    snapshot_unref(w->built);
    w->built = NULL;
}

static void op_swap(struct child *c)
{
    struct worker *w = c->arg;
    struct snapshot *old = w->current;
    if (!w->built)
        return;
    w->current = w->built;
    w->built = NULL;
    if (w->mode != WORKER_DRAINING)
        accept_set(w, w->current->listeners, w->current->n_listeners);
    if (!old)
        return;
    /* The sockets live on with the master and the new generation; requests of the old one only need
     * the rest. */
    snapshot_close_listeners(old);
    snapshot_unref(old);
}

/* ---- start ---- */

static int attach_segments(struct worker *w, struct errbuf *e)
{
    struct child *c = w->child;
    struct shm *dns = &w->dns_shm;
    if (segment_attach(IPC_FD_MONEY, c->fd[IPC_FD_MONEY], &w->money_shm, e) < 0 ||
        segment_attach(IPC_FD_OBJECTS, c->fd[IPC_FD_OBJECTS], &w->objects_shm, e) < 0 ||
        segment_attach(IPC_FD_TOKENS, c->fd[IPC_FD_TOKENS], &w->tokens_shm, e) < 0 ||
        segment_attach(IPC_FD_DNS, c->fd[IPC_FD_DNS], dns, e) < 0)
        return -1;
    w->dns = shm_body(dns);
    w->tokens = token_seg_of(&w->tokens_shm);
    if (money_attach(&w->money, &w->money_shm, c->fd[IPC_FD_LEDGER_WAKE], e) < 0 ||
        objects_attach(&w->objects, &w->objects_shm, c->fd[IPC_FD_OBJECTS_WAKE], e) < 0)
        return -1;
    enum money_err err = money_claim(&w->money, c->slot, c->incarnation, &w->owner);
    return err == MONEY_OK ? 0 : err_set(e, "money segment: %s", money_err_text(err));
}

static int open_state(struct worker *w, struct errbuf *e)
{
    enum store_err err = keystore_open(w->child->state_dir, 0, 0, &w->state, e);
    if (err == STORE_OK)
        err = store_reader_new(w->state, &w->state_reader);
    return err == STORE_OK ? 0 : -1;
}

static int op_start(struct child *c, struct errbuf *e)
{
    struct worker *w = c->arg;
    w->base = c->base;
    w->wheel_event = event_new(w->base, -1, 0, on_wheel, w);
    w->later_event = event_new(w->base, -1, 0, run_later, w);
    if (!w->wheel_event || !w->later_event)
        return err_set(e, "out of memory");
    if (attach_segments(w, e) < 0 || open_state(w, e) < 0)
        return -1;
    return accept_init(w, e);
}

/* Bodies of a few hundred kilobytes come and go: without this each of them would be mapped, faulted
 * in and given back anew (a tenth of the CPU time of a 100 KB request). The memory is returned when
 * a burst is over. */
static void keep_freed_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, MALLOC_KEPT_BYTES);
    mallopt(M_TRIM_THRESHOLD, MALLOC_KEPT_BYTES);
    mallopt(M_TOP_PAD, MALLOC_PAD_BYTES);
}

static void init(struct worker *w, struct child *c)
{
    keep_freed_memory();
    w->child = c;
    w->later_tail = &w->later;
    w->scratch = gw_xmalloc(WORKER_SCRATCH_BYTES);
    wheel_init(&w->wheel, clock_mono_us());
    wheel_timer_init(&w->log_timer, on_log_timer);
    wheel_timer_init(&w->drain_timer, on_drain_deadline);
    wheel_timer_init(&w->trim_timer, on_trim_timer);
    list_init(&w->endpoints);
    list_init(&w->conns);
    list_init(&w->reqs);
    buf_init(&w->stage, STAGE_MAX_BYTES);
    json_doc_init(&w->doc, JSON_TOKENS_MAX);
}

static void fini(struct worker *w)
{
    conn_close_all(w);
    uconn_close_idle(w);
    accept_fini(w);
    run_later(-1, 0, w);
    snapshot_unref(w->built);
    snapshot_unref(w->current);
    run_later(-1, 0, w);
    json_doc_release(&w->doc);
    buf_release(&w->stage);
    free(w->scratch);
    store_reader_free(w->state_reader);
    store_close(w->state);
    if (w->wheel_event)
        event_free(w->wheel_event);
    if (w->later_event)
        event_free(w->later_event);
    free(w);
}

int worker_main(struct child *c)
{
    static const struct child_ops ops = {
        .start = op_start,
        .build = op_build,
        .swap = op_swap,
        .discard = op_discard,
        .drain = op_drain,
        .resume = op_resume,
        .stop = op_stop,
        .orphaned = op_orphaned,
    };
    struct worker *w = gw_xcalloc(1, sizeof *w);
    init(w, c);
    int code = child_run(c, &ops, w);
    fini(w);
    return code;
}
