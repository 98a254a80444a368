/*
 * req.h: a client's request, from its head to its record.
 *
 *     HEAD -> AUTH -> BODY -> ROUTE -> ADMIT -> TRY -> WAIT_HEAD -> STREAM -> SETTLE -> DONE
 *                                       RETRY_WAIT <-'     REJECT (own answer)   ABORT (client
 * gone, draining)
 *
 * Events record facts on the request or its attempt and call req_run(); each state has one step
 * function; the state changes in req_set_state() alone; req_finish() is the one exit.
 * bytes_to_client > 0 is the commit point: from there on nothing is tried again.
 *
 * A request may outlive its connection: a whole answer that nobody waits for any more is still
 * fetched for its usage (abort_drain). It holds the snapshot that it began with.
 */
#ifndef GW_WORKER_REQ_H
#define GW_WORKER_REQ_H

#include "common/arena.h"
#include "common/keystore.h"
#include "gatewayd/http/body.h"
#include "gatewayd/worker/conn.h"
#include "gatewayd/worker/outcome.h"
#include "gatewayd/worker/routes.h"

#define REQ_STATES(X)                                                                              \
    X(HEAD) /* head parsed, nothing decided */                                                     \
    X(AUTH)                                                                                        \
    X(BODY)       /* waits for the body */                                                         \
    X(ROUTE)      /* what is asked, of which targets */                                            \
    X(ADMIT)      /* the request's own limits */                                                   \
    X(TRY)        /* picks a target and starts an attempt */                                       \
    X(WAIT_HEAD)  /* waits for the attempt's answer, or for its connection */                      \
    X(STREAM)     /* the answer goes to the client as it comes */                                  \
    X(RETRY_WAIT) /* pause before the next try */                                                  \
    X(REJECT)     /* answers by itself */                                                          \
    X(ABORT)      /* client gone: the attempt drains */                                            \
    X(SETTLE)     /* record, log line */                                                           \
    X(DONE)
enum req_state {
#define X(name) REQ_##name,
    REQ_STATES(X)
#undef X
};
const char *req_state_name(enum req_state s);

/* What a step says: the state changed, run on; an event will come; the request is over. */
enum req_step { REQ_STEP_MORE, REQ_STEP_WAIT, REQ_STEP_END };

/* Who asks. Names are copies in the request's arena. */
struct principal {
    bool known;
    bool from_conf;
    struct slice id; /* what log and ledger call the key */
    struct slice name;
    struct slice team;
    struct slice customer;
    const struct conf_key *conf_key;   /* declared in the INI */
    const struct conf_team *conf_team; /* its team, if that is declared */
    struct keystore_key *stored;       /* else, in the arena */
};

struct attempt;
struct object_record;
struct objects_list;

/* One (target, credential) pair that this request may use. */
struct candidate {
    const struct conf_model *model;
    const struct conf_target *target;
    const struct conf_credential *credential;
    enum provider_op
        op; /* by which it answers: of the caller's dialect, or one that is translated */
    bool tried;
};

enum { REQ_ARENA_FIRST_BYTES = 3072, REQ_CANDIDATES_MAX = 64, REQ_CREDENTIAL_SWITCHES = 8 };

struct req {
    uint32_t magic;
    enum req_state state;
    struct worker *w;
    struct conn *conn; /* NULL once the client is gone */
    struct snapshot *snap;
    struct list node;
    struct later end;
    struct wheel_timer timer; /* total deadline, retry pause, abort_drain */

    uint8_t id[CRYPTO_REQUEST_ID_BYTES];
    char id_text[CRYPTO_REQUEST_ID_TEXT_BYTES];
    struct arena arena;

    /* HEAD */
    struct http_request head; /* its base is a copy in the arena */
    struct slice path;        /* normalised, in the arena */
    const struct route *route;
    const struct dialect *dialect; /* in which the caller is answered */
    const struct relay *relay;     /* NULL: the operation isn't one that is only relayed */
    struct slice path_model;
    struct slice path_object; /* the id that the path of a relayed operation carries */
    bool as_array;            /* a stream as one JSON array (Gemini without alt=sse) */
    struct net_addr client;
    bool http10;
    bool running, run_again; /* req_run is on the stack; it was called again meanwhile */
    int64_t started_us, started_wall_us;

    /* AUTH */
    struct principal who;

    /* BODY */
    struct buf body;
    size_t body_held;
    struct http_body reader;
    bool body_complete;
    int64_t body_complete_us;

    /* ROUTE */
    struct dialect_request ask;
    struct buf edited; /* the body after default.X, set.X and drop; else empty */
    size_t edited_held;
    struct object_record *object; /* that the request is about, or the input of its batch */
    const struct conf_credential *object_credential; /* that what is uploaded names; NULL: none */
    struct objects_list *list;                       /* it lists objects: req_objects.c */
    int64_t content_usage[LEDGER_USAGE_MAX]; /* said in the lines of a batch's output so far */
    uint32_t content_lines;                  /* that said any */
    uint32_t content_lost;                   /* lines that were too long to be read, */
    uint64_t content_lost_bytes;             /* their bytes, */
    bool content_skips;                      /* and this is one */
    uint64_t content_bytes;
    int64_t batch_bound[LEDGER_USAGE_MAX]; /* what the lines of a batch's input may use */
    struct slice upstream_query;           /* in place of the caller's query; {NULL}: that one */
    const struct conf_model *model;
    bool direct; /* without a [model:...]: `provider/model`, or a provider without a model */
    struct candidate *candidates;
    uint32_t n_candidates;
    int64_t deadline_us;

    /* TRY */
    struct attempt *attempt;
    const struct candidate *current;
    uint32_t n_attempts, retries_used, credential_switches;
    uint32_t n_failed, n_rate_limited;
    uint32_t n_tokenless; /* candidates whose credential has nothing to show */
    int64_t token_wait_until_us;
    int64_t min_retry_after_us; /* of the rate-limited tries; -1 none */
    int64_t retry_at_us;
    const struct dialect_refusal *refusal; /* of the first target that can't be told this request */
    bool maybe_sent;                       /* some try may have reached a provider */
    bool maybe_billed;                     /* some try that failed may have been billed */

    /* the answer */
    int status;           /* sent to the client; 0: none yet */
    int fail_status;      /* of an own error: what `status` is, or would be had nothing been sent */
    const char *code;     /* error code of the log line */
    const char *reason;   /* why it ended so, static text */
    const char *param;    /* member that an own error is about; NULL: none */
    char detail[320];     /* for people; the message of an own error */
    bool answer_complete; /* all of it has been handed to the connection */
    bool client_gone;
    bool streamed;
    bool by_length;        /* what is streamed has a Content-Length: no chunks */
    bool inside_event;     /* what the client has of the stream ends in the middle of an event */
    bool error_passed_on;  /* the provider's own error event has gone to the client */
    struct buf last_event; /* what a stream that can't go on ends with */
    int64_t bytes_to_client, bytes_from_client;
    int64_t first_byte_us; /* to the client */
    int64_t upstream_us;   /* spent waiting for providers */

    /* of the last attempt, for the log line */
    int64_t charged_usage[LEDGER_USAGE_MAX];
    const char *money_state; /* NULL: nothing was charged */
    struct dialect_name finish_reason;
    struct slice upstream_request_id;
    bool estimated;       /* the answer's input tokens are the gateway's estimate */
    struct slice dropped; /* what the translation left out; n = 0: nothing */
    int upstream_status;
    char first_mem[REQ_ARENA_FIRST_BYTES] __attribute__((aligned(16)));
};

/* A head of `len` bytes has been found at `head`. Makes the request and runs it as far as it gets
 * without a body. False with *err when the head can't be taken: there is no request then. */
GW_MUSTUSE bool req_begin(struct conn *c, const char *head, size_t len, struct http_error *err);
/* Feeds body bytes; returns how many were taken. Once req->body_complete is set the rest is the
 * next request's. */
size_t req_feed(struct req *r, const char *p, size_t n);
/* Where the next body bytes may be read to directly; false if the body isn't plain bytes of a known
 * length. */
bool req_body_room(struct req *r, char **p, size_t *n);
void req_body_filled(struct req *r, size_t n);
/* The body can't be had: deadline, disconnect, or malformed. */
void req_body_failed(struct req *r, int status, const char *code, const char *why);

void req_on_client_drained(struct req *r);
/* The client has shut its sending side (it may still read). */
void req_on_client_eof(struct req *r);
/* Nothing can be written to the client any more; the connection forgets the request. */
void req_on_client_lost(struct req *r);

/* ---- for attempts ---- */

void req_run(struct req *r);
void req_set_state(struct req *r, enum req_state to);
/* Ends the request with an answer of our own, or, after the commit point, with an unclean end. */
void req_fail(struct req *r, int status, const char *code, const char *fmt, ...) GW_PRINTF(4, 5);

#endif
