/*
 * req.c: the request machine: its states, its driver, its one exit.
 *
 * What a state does is in its step function; routing and the choice of targets are in req_route.c,
 * the way of the answer to the client in req_answer.c.
 */
#include "gatewayd/worker/req.h"

#include "common/check.h"
#include "common/log.h"
#include "gatewayd/dialect/relay.h"
#include "gatewayd/http/path.h"
#include "gatewayd/worker/accesslog.h"
#include "gatewayd/worker/attempt.h"
#include "gatewayd/worker/auth.h"
#include "gatewayd/worker/models.h"
#include "gatewayd/worker/reply.h"
#include "gatewayd/worker/req_answer.h"
#include "gatewayd/worker/req_route.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    REQ_MAGIC = 0x52455121,
    REQ_ARENA_MAX_BYTES = 512 * 1024,
    /* Steps in a row without waiting; more is a loop in the machine. */
    REQ_STEPS_MAX = 256,
    BODY_FIRST_BYTES = 64 * 1024,
    SLOT_POLL_US = 8000,
    TOKEN_WAIT_MAX_US = 3000000,
    TOKEN_POLL_US = 20000,
    SLOT_WAIT_MAX_US = 2000000,
    BODY_READ_BYTES = 256 * 1024,
    BODY_RESERVED_MAX_BYTES = 1024 * 1024,
};

static const char *const state_names[] = {
#define X(name) #name,
    REQ_STATES(X)
#undef X
};

const char *req_state_name(enum req_state s)
{
    return state_names[s];
}

void req_set_state(struct req *r, enum req_state to)
{
    if (log_enabled(LOG_LEVEL_DEBUG))
        log_debug("request", LOG_S("id", r->id_text), LOG_S("from", req_state_name(r->state)),
                  LOG_S("to", req_state_name(to)));
    GW_DCHECK(r->state != REQ_DONE);
    r->state = to;
}

/* ---- birth and death ---- */

static void free_req(struct later *l)
{
    struct req *r = container_of(l, struct req, end);
    snapshot_unref(r->snap);
    arena_reset(&r->arena);
    buf_release(&r->body);
    buf_release(&r->edited);
    buf_release(&r->last_event);
    free(r);
}

static void on_timer(struct wheel_timer *t);

static struct req *req_new(struct conn *c)
{
    struct worker *w = c->w;
    struct req *r = malloc(sizeof *r);
    if (!r)
        return NULL;
    memset(r, 0, offsetof(struct req, first_mem));
    r->magic = REQ_MAGIC;
    r->w = w;
    r->conn = c;
    r->snap = snapshot_ref(w->current);
    arena_init(&r->arena, r->first_mem, sizeof r->first_mem, REQ_ARENA_MAX_BYTES);
    buf_init(&r->body, (size_t)r->snap->conf->http.max_body);
    buf_init(&r->edited, (size_t)r->snap->conf->http.max_body + 64 * 1024);
    wheel_timer_init(&r->timer, on_timer);
    r->started_us = clock_mono_us();
    r->started_wall_us = clock_wall_us();
    r->min_retry_after_us = -1;
    r->dialect = &dialect_openai;
    crypto_request_id(r->started_wall_us, r->id);
    crypto_request_id_text(r->id, r->id_text);
    list_append(&w->reqs, &r->node);
    w->n_reqs++;
    worker_count(w);
    return r;
}

/* The one exit. */
static void req_finish(struct req *r)
{
    struct worker *w = r->w;
    struct conn *c = r->conn;
    req_set_state(r, REQ_DONE);
    worker_cancel(w, &r->timer);
    accesslog_request(r);
    list_del(&r->node);
    w->n_reqs--;
    worker_account(w, &r->body_held, 0);
    worker_account(w, &r->edited_held, 0);
    r->conn = NULL;
    if (c && r->answer_complete)
        conn_finish(c);
    else if (c)
        conn_abort(c);
    worker_later(w, &r->end, free_req);
    worker_check_drained(w);
}

/* ---- own answers ---- */

void req_fail(struct req *r, int status, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->detail, sizeof r->detail, fmt, ap);
    va_end(ap);
    r->code = code;
    r->fail_status = status;
    if (r->bytes_to_client == 0)
        r->status = status;
    req_set_state(r, REQ_REJECT);
}

static enum req_step step_reject(struct req *r)
{
    if (r->conn && r->last_event.len)
        (void)req_answer_stream(r, buf_slice(&r->last_event));
    else if (r->conn && !r->streamed && r->bytes_to_client == 0)
        reply_error(r, r->param);
    req_set_state(r, REQ_SETTLE);
    return REQ_STEP_MORE;
}

/* ---- head ---- */

static enum req_step answered_locally(struct req *r)
{
    if (r->state != REQ_REJECT)
        req_set_state(r, REQ_SETTLE);
    return REQ_STEP_MORE;
}

static void find_client(struct req *r)
{
    const struct http_fields *f = &r->head.fields;
    struct slice xff[HTTP_MAX_FIELDS];
    size_t n = 0;
    for (unsigned i = f->first[HTTP_H_X_FORWARDED_FOR]; i != HTTP_NO_FIELD; i = f->f[i].next)
        xff[n++] = http_fields_value(f, i);
    if (n == 0 || r->snap->trusted_proxies.n == 0)
        r->client = r->conn->peer;
    else
        cidr_client_address(&r->snap->trusted_proxies, &r->conn->peer, xff, n, &r->client);
}

static void wrong_method(struct req *r)
{
    char methods[ROUTE_METHODS_BYTES];
    route_methods(r->path, methods);
    req_fail(r, 405, "method_not_allowed", "this path takes %s only", methods);
}

/* The path is a copy of this request's own, and the name gets shorter. */
static void decode_path_model(struct req *r)
{
    if (r->path_model.n && memchr(r->path_model.p, '%', r->path_model.n))
        r->path_model.n = http_path_name(r->path_model, (char *)r->path_model.p);
}

static enum req_step step_head(struct req *r)
{
    find_client(r);
    if (!net_addr_is_unix(&r->client) && !cidr_list_has(&r->snap->allow, &r->client)) {
        r->dialect = route_error_dialect(r->path);
        req_fail(r, 403, "address_not_allowed", "requests from this address are not allowed");
        return REQ_STEP_MORE;
    }
    if (reply_preflight(r))
        return answered_locally(r);
    switch (route_find(r->head.method, r->path, &r->route, &r->path_model)) {
    case ROUTE_NO_PATH:
        r->dialect = route_error_dialect(r->path);
        req_fail(r, 404, "unknown_route", "there is nothing at this path");
        break;
    case ROUTE_NO_METHOD:
        r->dialect = dialects_native(r->route->dialect);
        wrong_method(r);
        break;
    case ROUTE_FOUND:
        r->route = models_route(r);
        r->dialect = dialects_native(r->route->dialect);
        r->relay = relay_of(r->route->op);
        if (r->relay && relay_has_object(r->relay)) {
            r->path_object = r->path_model;
            r->path_model = slice_of(NULL, 0);
        }
        decode_path_model(r);
        req_set_state(r, REQ_AUTH);
        break;
    }
    return REQ_STEP_MORE;
}

static void too_large(struct req *r)
{
    req_fail(r, 413, "request_too_large", "the request body is larger than max_body (%lld bytes)",
             (long long)r->snap->conf->http.max_body);
}

static enum req_step step_auth(struct req *r)
{
    struct auth_refusal why;
    if (r->route->auth == ROUTE_AUTH_KEY && auth_check(r, &why) < 0) {
        req_fail(r, why.status, why.code, "%s", why.message);
        return REQ_STEP_MORE;
    }
    if (r->route->metering == ROUTE_UNMETERED) {
        reply_local(r);
        return answered_locally(r);
    }
    if (r->head.content_length > (uint64_t)r->snap->conf->http.max_body) {
        too_large(r);
        return REQ_STEP_MORE;
    }
    req_set_state(r, REQ_BODY);
    if (r->head.expect_continue && !r->body_complete) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        struct iovec iov = {(void *)go_on, sizeof go_on - 1};
        conn_send(r->conn, &iov, 1);
    }
    return REQ_STEP_MORE;
}

/* ---- body ---- */

static enum req_step step_body(struct req *r)
{
    if (!r->body_complete)
        return REQ_STEP_WAIT;
    r->body_complete_us = clock_mono_us();
    conn_busy(r->conn);
    req_set_state(r, REQ_ROUTE);
    return REQ_STEP_MORE;
}

static void no_room(struct req *r)
{
    r->min_retry_after_us = 1000000;
    req_fail(r, 503, "overloaded", "the gateway's buffers are full, try again");
}

/* Of a body of known length all at once, so that it never moves; of a long one as it comes, since
 * what a client announces costs it nothing. */
static int reserve_body(struct req *r, size_t n)
{
    const struct http_body *b = &r->reader;
    if (r->body.cap == 0 && b->kind == HTTP_BODY_LENGTH && b->left + n <= BODY_RESERVED_MAX_BYTES)
        n += (size_t)b->left;
    return buf_reserve(&r->body, n);
}

static bool store_body(struct req *r, struct slice data)
{
    if (data.n > r->body.max_bytes - r->body.len)
        too_large(r);
    else if (!worker_may_buffer(r->w, data.n) || reserve_body(r, data.n) < 0 ||
             buf_append(&r->body, data.p, data.n) < 0)
        no_room(r);
    else {
        worker_account(r->w, &r->body_held, r->body.cap);
        return true;
    }
    return false;
}

size_t req_feed(struct req *r, const char *p, size_t n)
{
    const char *at = p, *end = p + n;
    struct slice data;
    r->bytes_from_client += (int64_t)n;
    if (r->state != REQ_BODY)
        return 0;
    for (;;) {
        switch (http_body_step(&r->reader, &at, end, &data)) {
        case HTTP_BODY_DATA:
            if (store_body(r, data))
                continue;
            break;
        case HTTP_BODY_MORE:
            return n;
        case HTTP_BODY_END:
            r->body_complete = true;
            break;
        case HTTP_BODY_BAD:
            req_fail(r, 400, "bad_framing", "malformed request body: %s",
                     http_body_reason(&r->reader));
            break;
        }
        break;
    }
    size_t used = (size_t)(at - p);
    r->bytes_from_client -= (int64_t)(n - used);
    req_run(r);
    return used;
}

bool req_body_room(struct req *r, char **p, size_t *n)
{
    const struct http_body *b = &r->reader;
    if (r->state != REQ_BODY || b->kind != HTTP_BODY_LENGTH || b->left < BODY_FIRST_BYTES / 4)
        return false;
    size_t want = (size_t)GW_MIN(b->left, (uint64_t)BODY_READ_BYTES);
    if (!worker_may_buffer(r->w, want) || buf_reserve(&r->body, want) < 0)
        return false;
    worker_account(r->w, &r->body_held, r->body.cap);
    *p = r->body.data + r->body.len;
    *n = want;
    return true;
}

void req_body_filled(struct req *r, size_t n)
{
    const char *at = r->body.data + r->body.len;
    struct slice data;
    const char *end = at + n;
    r->bytes_from_client += (int64_t)n;
    while (at < end && http_body_step(&r->reader, &at, end, &data) == HTTP_BODY_DATA)
        r->body.len += data.n;
    if (r->reader.done) {
        r->body_complete = true;
        req_run(r);
    }
}

void req_body_failed(struct req *r, int status, const char *code, const char *why)
{
    req_fail(r, status, code, "%s", why);
    req_run(r);
}

/* ---- trying ---- */

/* Limits and budgets of the request itself are judged here, once; there are none that this version
 * knows. */
static enum req_step step_admit(struct req *r)
{
    req_set_state(r, REQ_TRY);
    return REQ_STEP_MORE;
}

/* All slots are open or not yet in the ledger. Under a burst the keeper needs a moment for its
 * disk; waiting for it holds the clients back by just as much as is needed. */
static void wait_for_slot(struct req *r, struct candidate *cand)
{
    int64_t now = clock_mono_us();
    if (now - r->body_complete_us > SLOT_WAIT_MAX_US) {
        r->min_retry_after_us = 1000000;
        req_fail(r, 503, "overloaded", "too many requests are in flight, try again");
        return;
    }
    cand->tried = false;
    r->retry_at_us = now + SLOT_POLL_US;
    req_set_state(r, REQ_RETRY_WAIT);
    worker_arm(r->w, &r->timer, r->retry_at_us);
}

/* A credential of a generation that has just begun, and no other is left: its token is being
 * fetched for the first time, which is a matter of a round trip or two. */
static void wait_for_token(struct req *r, struct candidate *cand)
{
    int64_t now = clock_mono_us();
    if (!r->token_wait_until_us)
        r->token_wait_until_us = GW_MIN(now + TOKEN_WAIT_MAX_US, r->deadline_us);
    if (now < r->token_wait_until_us && r->n_failed == 0 && !req_route_has_other(r)) {
        cand->tried = false;
        r->retry_at_us = now + TOKEN_POLL_US;
        req_set_state(r, REQ_RETRY_WAIT);
        worker_arm(r->w, &r->timer, r->retry_at_us);
        return;
    }
    r->n_tokenless++;
    req_set_state(r, REQ_TRY);
}

static enum req_step step_try(struct req *r)
{
    struct candidate *cand =
        r->current && !r->current->tried ? (struct candidate *)r->current : req_route_next(r);
    struct dialect_refusal why;
    if (r->n_candidates == 0) {
        reply_count(r);
        return answered_locally(r);
    }
    if (!cand) {
        req_answer_exhausted(r);
        return REQ_STEP_MORE;
    }
    r->current = cand;
    cand->tried = true;
    req_set_state(r, REQ_WAIT_HEAD);
    switch (attempt_start(r, cand, &why)) {
    case ATTEMPT_STARTED:
        return REQ_STEP_WAIT;
    case ATTEMPT_NO_SLOT:
        wait_for_slot(r, cand);
        return REQ_STEP_MORE;
    case ATTEMPT_NO_CONNECTION:
        r->n_failed++;
        req_set_state(r, REQ_TRY);
        return REQ_STEP_MORE;
    case ATTEMPT_TOKEN_COMING:
        wait_for_token(r, cand);
        return REQ_STEP_MORE;
    case ATTEMPT_NO_TOKEN:
        r->n_tokenless++;
        req_set_state(r, REQ_TRY);
        return REQ_STEP_MORE;
    case ATTEMPT_REFUSED:
        if (!r->refusal)
            r->refusal = (void *)arena_dup(&r->arena, slice_of((char *)&why, sizeof why)).p;
        req_set_state(r, REQ_TRY);
        return REQ_STEP_MORE;
    case ATTEMPT_TOO_BIG:
        break;
    }
    req_fail(r, 400, "request_too_complex", "the request can't be rewritten for this model");
    return REQ_STEP_MORE;
}

static enum req_step step_wait_head(struct req *r)
{
    if (!r->attempt || !attempt_is_over(r->attempt))
        return REQ_STEP_WAIT;
    req_answer_attempt_ended(r);
    return REQ_STEP_MORE;
}

static enum req_step step_retry_wait(struct req *r)
{
    if (clock_mono_us() < r->retry_at_us)
        return REQ_STEP_WAIT;
    worker_arm(r->w, &r->timer, r->deadline_us);
    req_set_state(r, REQ_TRY);
    return REQ_STEP_MORE;
}

static enum req_step step_settle(struct req *r)
{
    if (r->attempt) {
        attempt_finish(r->attempt, r->client_gone ? END_CLIENT_GONE_STREAM : END_DRAINED,
                       "request ended");
        attempt_release(r->attempt);
    }
    return REQ_STEP_END;
}

static enum req_step step_done(struct req *r)
{
    return REQ_STEP_WAIT;
}

static enum req_step (*const steps[])(struct req *) = {
    [REQ_HEAD] = step_head,
    [REQ_AUTH] = step_auth,
    [REQ_BODY] = step_body,
    [REQ_ROUTE] = req_route_step,
    [REQ_ADMIT] = step_admit,
    [REQ_TRY] = step_try,
    [REQ_WAIT_HEAD] = step_wait_head,
    [REQ_STREAM] = step_wait_head,
    [REQ_RETRY_WAIT] = step_retry_wait,
    [REQ_REJECT] = step_reject,
    [REQ_ABORT] = step_wait_head,
    [REQ_SETTLE] = step_settle,
    [REQ_DONE] = step_done,
};

void req_run(struct req *r)
{
    GW_REQUIRE(r->magic == REQ_MAGIC);
    if (r->running) {
        r->run_again = true;
        return;
    }
    r->running = true;
    enum req_step v = REQ_STEP_MORE;
    for (int i = 0; v == REQ_STEP_MORE || r->run_again; i++) {
        GW_REQUIRE(i < REQ_STEPS_MAX);
        r->run_again = false;
        v = steps[r->state](r);
        if (v == REQ_STEP_END)
            break;
    }
    r->running = false;
    if (v == REQ_STEP_END)
        req_finish(r);
}

/* ---- events of the connection ---- */

static bool take_head(struct req *r, const char *head, size_t len, struct http_error *err)
{
    struct slice copy = arena_dup(&r->arena, slice_of(head, len));
    if (!copy.p || http_request_parse(copy.p, len, &r->snap->limits, &r->head, err) < 0)
        return false;
    struct slice raw = http_request_path(&r->head);
    char *scratch = arena_alloc(&r->arena, raw.n + 1);
    return scratch && http_path_normalise(raw, scratch, &r->path, err) == 0;
}

bool req_begin(struct conn *c, const char *head, size_t len, struct http_error *err)
{
    struct req *r = req_new(c);
    *err = (struct http_error){503, 0, "out of memory"};
    if (!r)
        return false;
    if (!take_head(r, head, len, err)) {
        r->conn = NULL;
        list_del(&r->node);
        r->w->n_reqs--;
        worker_later(r->w, &r->end, free_req);
        return false;
    }
    c->req = r;
    c->http10 = r->http10 = r->head.version_minor == 0;
    if (!r->head.keep_alive)
        c->close_after = true;
    r->bytes_from_client = (int64_t)len;
    http_body_init_request(&r->reader, &r->head);
    r->body_complete = r->reader.done;
    atomic_fetch_add_explicit(&r->w->child->self->requests_total, 1, memory_order_relaxed);
    req_run(r);
    return true;
}

void req_on_client_drained(struct req *r)
{
    if (r->attempt)
        attempt_resume(r->attempt);
}

/* Nobody waits for the rest of a stream. A whole answer is still worth its usage figures. */
static void client_gone(struct req *r)
{
    struct attempt *a = r->attempt;
    r->client_gone = true;
    if (!a) {
        r->reason = "client gone before a provider was asked";
        req_set_state(r, REQ_SETTLE);
    } else if (r->ask.stream || r->streamed || !a->sent) {
        attempt_cancel(a);
        return;
    } else {
        int64_t drain_until = clock_mono_us() + r->model->abort_drain_us;
        req_set_state(r, REQ_ABORT);
        worker_arm(r->w, &r->timer, GW_MIN(drain_until, r->deadline_us));
        return;
    }
    req_run(r);
}

void req_on_client_lost(struct req *r)
{
    r->conn = NULL;
    if (r->state != REQ_ABORT && r->state != REQ_DONE)
        client_gone(r);
}

/* Makes a client that has gone altogether answer with a reset; one that still reads takes no
 * notice. Before the answer's head that is an interim response, which any HTTP/1.1 client skips
 * (RFC 9110 section 15.2); inside a stream a comment between events. */
static void probe_client(struct req *r)
{
    static const char interim[] = "HTTP/1.1 102 Processing\r\n\r\n";
    struct iovec iov = {(void *)interim, sizeof interim - 1};
    if (r->streamed && r->attempt && r->attempt->sse.passing)
        return; /* inside an event: its next bytes will do */
    if (r->streamed && r->attempt && r->attempt->opaque)
        return; /* has nothing that may stand in it */
    if (r->streamed)
        req_answer_ping(r);
    else if (!r->http10)
        conn_send(r->conn, &iov, 1);
}

void req_on_client_eof(struct req *r)
{
    if (r->ask.stream || r->streamed)
        probe_client(r);
    else if (r->attempt)
        worker_arm(r->w, &r->timer,
                   GW_MIN(clock_mono_us() + r->model->abort_drain_us, r->deadline_us));
}

static void on_timer(struct wheel_timer *t)
{
    struct req *r = container_of(t, struct req, timer);
    if (r->state == REQ_RETRY_WAIT) {
        req_run(r);
    } else if (r->attempt) {
        bool gone = r->client_gone || (r->conn && r->conn->eof);
        attempt_finish(r->attempt, gone ? END_CLIENT_GONE_WHOLE : END_TOTAL_TIMEOUT,
                       gone ? "abort_drain passed" : "timeout of the model passed");
    } else {
        req_fail(r, 504, "timeout", "the request did not finish within the model's timeout");
        req_run(r);
    }
}
