/*
 * worker.h: what the objects of one worker process share.
 *
 * One event loop, one thread. Everything here belongs to it; nothing is locked. Connections,
 * requests, attempts and upstream connections refer to each other, so none is freed where it ends:
 * it goes to the dead list and is freed when the loop turn is over (worker_later).
 */
#ifndef GW_WORKER_WORKER_H
#define GW_WORKER_WORKER_H

#include "common/buf.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/keystore.h"
#include "common/list.h"
#include "common/money.h"
#include "common/objects_shm.h"
#include "common/token_shm.h"
#include "gatewayd/child.h"
#include "gatewayd/dialect/dialect.h"
#include "gatewayd/http/head.h"
#include "gatewayd/worker/wheel.h"

struct snapshot;
struct dns_seg;

enum {
    WORKER_SCRATCH_BYTES = 64 * 1024,
    /* Pending output towards a client at which its provider is paused, and below which it goes on.
     */
    WORKER_OUT_HIGH_BYTES = 256 * 1024,
    WORKER_OUT_LOW_BYTES = 64 * 1024,
};

#define WORKER_MODES(X) X(SERVING) X(ANNOUNCED) X(DRAINING)
enum worker_mode {
#define X(name) WORKER_##name,
    WORKER_MODES(X)
#undef X
};

/* Work for the end of this loop turn, embedded in the object that it is for. */
struct later {
    struct later *next;
    void (*fn)(struct later *l);
    bool queued;
};

struct worker {
    struct child *child;
    struct event_base *base;
    struct wheel wheel;
    struct event *wheel_event;
    int64_t wheel_at_us; /* when wheel_event fires; 0: it is not pending */

    struct snapshot *current; /* running generation */
    struct snapshot *built;   /* built, not swapped in */
    struct list endpoints;    /* struct endpoint: shared by generations */

    struct list conns; /* struct conn */
    struct list reqs;  /* struct req, those whose client is gone included */
    size_t n_conns, n_reqs;
    enum worker_mode mode;
    bool leaving; /* exits by itself once nothing is left */
    struct wheel_timer drain_timer;
    struct accept_gate *gate;

    struct store *state;
    struct store_txn *state_reader;
    struct shm money_shm, dns_shm, tokens_shm;
    struct money money;
    struct money_owner owner;
    struct shm objects_shm;
    struct objects objects;
    uint32_t objects_promised; /* places in the outbox kept for requests under way */
    const struct dns_seg *dns;
    struct token_seg *tokens;
    struct token_record token; /* of the head that is being written */

    /* Scratch for one callback: never holds anything over a return to the loop. */
    char *scratch; /* WORKER_SCRATCH_BYTES */
    struct buf stage;
    struct json_doc doc;
    struct splices splices;
    struct http_request head;

    size_t buffered_bytes;
    /* About how much memory was in use at most: in this tick of the trim timer, and before it. */
    size_t use_now_max, use_peak;
    struct wheel_timer trim_timer;
    struct later *later, **later_tail;
    struct event *later_event;
    struct wheel_timer log_timer;
};

/* Runs fn(l) when the callbacks of this loop turn are through; frees happen there. Once queued, a
 * second call does nothing. */
void worker_later(struct worker *w, struct later *l, void (*fn)(struct later *l));

/* Accounts for a buffer whose capacity went from *held to `now`; see [http] max_buffered. */
void worker_account(struct worker *w, size_t *held, size_t now);
/* Whether `more` bytes may still be buffered. */
bool worker_may_buffer(const struct worker *w, size_t more);

/* A request or connection ended: in a drain, this may have been the last one. */
void worker_check_drained(struct worker *w);
/* Publishes the numbers of connections and requests. */
void worker_count(struct worker *w);
/* A log line was queued: it is to be written out soon. */
void worker_logged(struct worker *w);

/* Arms a timer and makes sure that the loop wakes for it. */
void worker_arm(struct worker *w, struct wheel_timer *t, int64_t at_us);

static inline void worker_cancel(struct worker *w, struct wheel_timer *t)
{
    wheel_cancel(&w->wheel, t);
}

#endif
