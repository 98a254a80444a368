/*
 * attempt.h: one try of a request at one target.
 *
 *     CONNECT -> SEND -> HEAD -> WHOLE | STREAM | OPAQUE -> ENDED        (TAIL: the answer is
 * through, the connection isn't)
 *
 * Sends the spliced request, reads the answer, and ends exactly once with an enum attempt_end. A
 * whole answer is held until it is complete; a stream is handed on event by event through the
 * request. An attempt owns its slot in the money segment from start to end, so whatever happens to
 * this process it is charged by the published rule.
 */
#ifndef GW_WORKER_ATTEMPT_H
#define GW_WORKER_ATTEMPT_H

#include "gatewayd/dialect/translate.h"
#include "gatewayd/http/eventstream.h"
#include "gatewayd/http/response.h"
#include "gatewayd/http/sse.h"
#include "gatewayd/worker/req.h"
#include "gatewayd/worker/uconn.h"

#define ATTEMPT_STATES(X) X(CONNECT) X(SEND) X(HEAD) X(WHOLE) X(STREAM) X(OPAQUE) X(TAIL) X(ENDED)
enum attempt_state {
#define X(name) ATTEMPT_##name,
    ATTEMPT_STATES(X)
#undef X
};
const char *attempt_state_name(enum attempt_state s);

enum { ATTEMPT_HELD_MAX_BYTES = 16 * 1024 };

struct attempt {
    uint32_t magic;
    enum attempt_state state;
    enum attempt_end end;
    struct worker *w;
    struct req *req; /* NULL in TAIL */
    struct snapshot *snap;
    const struct candidate *cand;
    const struct dialect *dialect;   /* the provider's */
    struct translation *translation; /* NULL: it is the caller's too */
    struct translation *rewritten;   /* of a request in the caller's dialect that can't be sent as
                                      * it came; the answer is passed on as it comes */
    size_t translation_held;
    struct uconn *uc;
    struct later free_later;
    struct wheel_timer timer;

    /* sending */
    struct slice head; /* in the request's arena */
    struct iovec *iov; /* likewise */
    int n_iov;
    int iov_at;
    uint32_t token_serial; /* that the head shows; 0: the credential isn't fetched */
    bool usage_injected;
    bool fresh; /* a pooled connection failed before anything was sent on it: a new one is made */

    /* facts */
    bool sent; /* a byte may have left */
    bool sent_all;
    bool paused;   /* the client is slower than the provider */
    bool counting; /* nobody wants the answer any more: it is only counted */
    bool head_seen;
    bool answer_began; /* a 2xx head */
    bool data_seen;    /* an event with data */
    bool poisoned;     /* bytes behind the end: the connection is not used again */
    int64_t started_us, sent_us, first_byte_us, last_read_us;
    char why[128]; /* of a failure, for the log */

    /* the answer */
    struct http_response_reader reader;
    struct http_response res;
    char *head_copy;                  /* owned: res.fields refers to it */
    struct slice upstream_request_id; /* in head_copy */
    struct http_body body;
    struct buf in;   /* unparsed head; whole body; unfinished event */
    struct buf held; /* comments in front of the first event with data */
    size_t in_held;
    bool is_stream; /* its events are read */
    bool opaque;    /* nothing of it is read: attempt_opaque.c */
    struct slice
        whole; /* the complete body: in `in`, or in the worker's scratch during the callback */
    struct dialect_response answer;
    bool answer_read; /* `answer` is filled */
    enum dialect_fault fault;
    struct sse_reader sse; /* by dialect->framing one of these */
    struct eventstream_reader frames;
    char frame_type[128];     /* of the last frame, where it is an exception or an error */
    const char *stream_fault; /* why it can't go on; NULL: nothing known */
    struct dialect_stream stream;
    int64_t retry_after_us; /* -1: not said */
    bool object_promised;   /* a place in the outbox is kept for what the provider makes */
    bool object_recorded;   /* it was used */
    struct money_ticket ticket;
    bool ticket_open;
    int64_t reserved_usage[LEDGER_USAGE_MAX];
    int64_t charged_usage[LEDGER_USAGE_MAX];
    enum charge_rule charged;
    const char *money_state; /* of the record; NULL: none was written */
};

/* Its outcome stands. In TAIL that is so too: only the connection goes on. */
static inline bool attempt_is_over(const struct attempt *a)
{
    return a->state == ATTEMPT_ENDED || a->state == ATTEMPT_TAIL;
}

enum attempt_started {
    ATTEMPT_STARTED,
    ATTEMPT_NO_SLOT, /* no free slot in the money segment: 503, nothing was sent */
    ATTEMPT_REFUSED, /* the provider's dialect can't say it: *why */
    ATTEMPT_TOO_BIG, /* the request doesn't fit its own limits (name too long) */
    ATTEMPT_NO_CONNECTION,
    ATTEMPT_TOKEN_COMING, /* nothing to show to the provider yet; the keeper will have it soon */
    ATTEMPT_NO_TOKEN,     /* nothing to show to the provider */
};

/* Starts a try; on success r->attempt is set. */
enum attempt_started attempt_start(struct req *r, const struct candidate *cand,
                                   struct dialect_refusal *why);
/* Ends it: closes or keeps the connection, settles the slot, tells the request (req_run).
 * Idempotent. */
void attempt_finish(struct attempt *a, enum attempt_end end, const char *why);
/* The client is gone and nobody wants the rest: takes what has arrived, for the count, and closes.
 */
void attempt_cancel(struct attempt *a);
/* The client takes bytes again. */
void attempt_resume(struct attempt *a);
/* Puts the object that the answer is on record, once its id is known and before the client gets to
 * see it. */
void attempt_record_object(struct attempt *a);
/* The tokens for which the bytes of an opaque answer that have come stand at most. */
uint64_t attempt_opaque_tokens(const struct attempt *a);
/* Frees it (after ENDED; the request has taken what it needs). */
void attempt_release(struct attempt *a);

/* ---- events, from uconn.c ---- */
void attempt_on_connected(struct attempt *a);
void attempt_on_connect_failed(struct attempt *a, enum attempt_end end, const char *why);
void attempt_on_readable(struct attempt *a);
void attempt_on_writable(struct attempt *a);

#endif
