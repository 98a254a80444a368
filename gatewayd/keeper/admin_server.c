/*
 * admin_server.c: connections of the admin API: accept, read, decide, dispatch, answer.
 *
 * A connection is READING a request, HANDLING one (its call is with a handler), WRITING the answer,
 * or LINGERING: after a refusal in the middle of a request the rest is read away, so that the
 * answer isn't lost to a reset. One absolute deadline a phase; conn_set_phase() sets it. Dead
 * connections are freed by an event of their own, never inside a callback that stands on them.
 */
#include "gatewayd/keeper/admin.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "gatewayd/http/path.h"
#include "gatewayd/http/reader.h"
#include "gatewayd/net/io.h"
#include "gatewayd/net/tls.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONN_PHASES(X)                                                                             \
    X(READING, 30)                                                                                 \
    X(HANDLING, 0)                                                                                 \
    X(WRITING, 30)                                                                                 \
    X(LINGERING, 2)                                                                                \
    X(CLOSED, 0)
enum conn_phase {
#define X(name, seconds) CONN_##name,
    CONN_PHASES(X)
#undef X
};

struct admin_conn {
    struct list node; /* of server->conns or server->dead */
    struct admin_server *server;
    enum conn_phase phase;
    bool metrics_only;
    bool close_after; /* the answer is the connection's last */
    bool advancing;   /* inside conn_advance */
    bool head_only;   /* HEAD: the answer has no body */
    struct admin_peer peer;
    struct io io;
    struct event *io_event, *timer;
    short waits_for;
    struct http_reader reader;
    struct admin_call *call;
    struct buf out;
    size_t out_at;
};

struct listener {
    struct admin_server *server;
    struct event *event;
    bool metrics_only;
    bool tls;
};

struct admin_server {
    struct keeper *keeper;
    struct event_base *base;
    struct listener listener[IPC_MAX_LISTENERS];
    size_t n_listeners;
    struct list conns, dead;
    unsigned n_conns;
    struct event *reap_event, *resume_event;
    struct admin_throttle throttle;
};

static const struct http_limits limits = {
    .max_head_bytes = 16 * 1024,
    .max_target_bytes = HTTP_MAX_TARGET_BYTES,
    .max_body_bytes = ADMIN_MAX_BODY_BYTES,
};

static void conn_go_on(struct admin_conn *c);
static void on_conn_io(evutil_socket_t fd, short what, void *arg);

/* ---- connections ---- */

static void conn_set_phase(struct admin_conn *c, enum conn_phase phase)
{
    static const int seconds[] = {
#define X(name, seconds) [CONN_##name] = seconds,
        CONN_PHASES(X)
#undef X
    };
    c->phase = phase;
    struct timeval tv = {.tv_sec = seconds[phase]};
    if (seconds[phase])
        event_add(c->timer, &tv);
    else
        event_del(c->timer);
}

static void conn_close(struct admin_conn *c)
{
    if (c->phase == CONN_CLOSED)
        return;
    conn_set_phase(c, CONN_CLOSED);
    event_free(c->io_event);
    io_close(&c->io);
    list_del(&c->node);
    list_append(&c->server->dead, &c->node);
    c->server->n_conns--;
    event_active(c->server->reap_event, EV_TIMEOUT, 0);
}

static void conn_wait(struct admin_conn *c, short what)
{
    if (c->waits_for == what)
        return;
    event_del(c->io_event);
    c->waits_for = what;
    if (what == 0)
        return;
    event_assign(c->io_event, c->server->base, c->io.fd, (short)(what | EV_PERSIST), on_conn_io, c);
    event_add(c->io_event, NULL);
}

/* True: done for now, wait for the event. False: the connection is over. */
static bool conn_wait_status(struct admin_conn *c, enum io_status st)
{
    if (st != IO_WANT_READ && st != IO_WANT_WRITE)
        return false;
    conn_wait(c, st == IO_WANT_READ ? EV_READ : EV_WRITE);
    return true;
}

static void wipe(struct buf *b)
{
    if (b->data)
        crypto_wipe(b->data, b->cap);
    buf_release(b);
}

static void call_free(struct admin_call *call)
{
    keeper_gen_unref(call->gen);
    conf_entries_free(call->entries);
    wipe(&call->body); /* an import brings keys, create and rotate answer with one */
    wipe(&call->report.out);
    buf_release(&call->target);
    json_doc_release(&call->doc);
    free(call);
}

static void conn_free(struct admin_conn *c)
{
    if (c->call)
        call_free(c->call);
    event_free(c->timer);
    http_reader_release(&c->reader);
    wipe(&c->out);
    list_del(&c->node);
    free(c);
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
    struct admin_server *s = arg;
    list_foreach(it, &s->dead) conn_free(list_entry(it, struct admin_conn, node));
}

static void on_conn_deadline(evutil_socket_t fd, short what, void *arg)
{
    conn_close(arg);
}

/* ---- answering ---- */

static const char *status_text(uint16_t status)
{
    static const struct {
        uint16_t status;
        const char *text;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].text;
    return "Refused";
}

struct json_writer *admin_json(struct admin_call *call)
{
    call->is_text = false;
    return report_json(&call->report);
}

void admin_error(struct admin_call *call, uint16_t status, const char *code, const char *fmt, ...)
{
    va_list ap;
    call->is_text = false;
    va_start(ap, fmt);
    report_verror(&call->report, status, code, fmt, ap);
    va_end(ap);
}

static void finish_json(struct admin_call *call)
{
    GW_REQUIRE(call->report.status != 0);
    if (!call->is_text)
        report_finish(&call->report);
}

static int put_head(struct admin_conn *c, const struct admin_call *call)
{
    struct buf *b = &c->out;
    if (buf_printf(b,
                   "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                   "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
                   call->report.status, status_text(call->report.status),
                   call->is_text ? "text/plain; version=0.0.4; charset=utf-8" : "application/json",
                   call->report.out.len) < 0)
        return -1;
    if (call->retry_after_s && buf_printf(b, "Retry-After: %u\r\n", call->retry_after_s) < 0)
        return -1;
    if (call->allow[0] && buf_printf(b, "Allow: %s\r\n", call->allow) < 0)
        return -1;
    if (call->report.status == 401 && buf_printf(b, "WWW-Authenticate: Bearer\r\n") < 0)
        return -1;
    return buf_printf(b, "%s\r\n", c->close_after ? "Connection: close\r\n" : "");
}

static void conn_write(struct admin_conn *c)
{
    while (c->out_at < c->out.len) {
        size_t n = 0;
        enum io_status st = io_write(&c->io, c->out.data + c->out_at, c->out.len - c->out_at, &n);
        if (st != IO_OK) {
            if (!conn_wait_status(c, st))
                conn_close(c);
            return;
        }
        c->out_at += n;
    }
    wipe(&c->out);
    c->out_at = 0;
    if (c->close_after) {
        io_shutdown(&c->io);
        conn_set_phase(c, CONN_LINGERING);
        conn_wait(c, EV_READ);
        return;
    }
    conn_set_phase(c, CONN_READING);
    conn_wait(c, EV_READ);
    conn_go_on(c);
}

void admin_call_done(struct admin_call *call)
{
    struct admin_conn *c = call->conn;
    finish_json(call);
    if (put_head(c, call) < 0 ||
        (!c->head_only && buf_append(&c->out, call->report.out.data, call->report.out.len) < 0)) {
        conn_close(c); /* frees the call */
        return;
    }
    c->call = NULL;
    call_free(call);
    conn_set_phase(c, CONN_WRITING);
    conn_write(c);
}

/* ---- requests ---- */

static struct admin_call *call_new(struct admin_conn *c)
{
    struct admin_call *call = gw_xcalloc(1, sizeof(*call));
    call->conn = c;
    call->keeper = c->server->keeper;
    call->gen = keeper_gen_ref(call->keeper->running);
    list_init(&call->node);
    buf_init(&call->target, HTTP_MAX_TARGET_BYTES + 1);
    buf_init(&call->body, ADMIN_MAX_BODY_BYTES);
    report_init(&call->report);
    call->report.conf = call->gen->conf;
    call->report.secrets = call->gen->secrets;
    call->report.config_path = call->keeper->child->config_path;
    call->report.confdb = call->keeper->child->confdb;
    call->report.state = call->keeper->state_reader;
    call->report.ledger = call->keeper->ledger_store;
    json_doc_init(&call->doc, ADMIN_MAX_JSON_TOKENS);
    c->call = call;
    return call;
}

/* Answers before the body was read: what follows can't be a request any more. */
static void refuse_early(struct admin_conn *c)
{
    c->close_after = true;
    conn_set_phase(c, CONN_HANDLING);
    admin_call_done(c->call);
}

/* Path and query into memory of the call: the head's goes with the next request. */
static int keep_target(struct admin_call *call, const struct http_request *req,
                       struct http_error *err)
{
    struct slice path = http_request_path(req), query = http_request_query(req), normal;
    char scratch[HTTP_MAX_TARGET_BYTES];
    if (http_path_normalise(path, scratch, &normal, err) < 0)
        return -1;
    if (buf_append(&call->target, normal.p, normal.n) < 0 ||
        buf_append(&call->target, query.p, query.n) < 0) {
        *err = (struct http_error){.status = 400, .reason = "target too long"};
        return -1;
    }
    call->report.query = slice_of(query.p ? call->target.data + normal.n : NULL, query.n);
    call->target.len = normal.n;
    return 0;
}

/* Forms that a web page can post anywhere without asking first (Fetch §2.2.2: CORS-safelisted
 * content types) change nothing here. */
static bool type_is_json(const struct http_request *req)
{
    struct slice v = http_fields_get(&req->fields, HTTP_H_CONTENT_TYPE);
    return slice_ieq(slice_trim(slice_split(&v, ';')), SLICE_LIT("application/json"));
}

/* Everything that is decided by the head alone. False: the call holds the refusal. */
static bool admit(struct admin_conn *c, const struct http_request *req)
{
    struct admin_call *call = call_new(c);
    struct http_error err;
    struct admin_verdict v;
    c->head_only = req->method == HTTP_M_HEAD;
    c->close_after = !req->keep_alive;
    if (keep_target(call, req, &err) < 0) {
        admin_error(call, err.status, "bad_request", "%s", err.reason);
        return false;
    }
    enum admin_match m = admin_route_match(req->method, buf_slice(&call->target), &call->route,
                                           call->param, call->allow);
    enum admin_role wanted = m == ADMIN_MATCH_FOUND ? call->route->role : ADMIN_ROLE_VIEWER;
    admin_auth(&call->gen->policy, &c->server->throttle, &c->peer, req, wanted, clock_mono_us(),
               &v);
    if (v.status) {
        call->retry_after_s = v.retry_after_s;
        call->allow[0] = '\0';
        admin_error(call, v.status, v.code, "%s", v.message);
        log_warn("admin request refused", LOG_S("who", v.who), LOG_S("code", v.code),
                 LOG_S("method", http_method_name(req->method)),
                 LOG_SL("path", buf_slice(&call->target)));
        return false;
    }
    call->role = v.role;
    memcpy(call->who, v.who, sizeof(call->who));
    bool hidden = c->metrics_only && m == ADMIN_MATCH_FOUND && wanted > ADMIN_ROLE_METRICS;
    if (m == ADMIN_MATCH_NO_METHOD)
        admin_error(call, 405, "method_not_allowed", "%s is not possible here, only %s",
                    http_method_name(req->method), call->allow);
    else if (m == ADMIN_MATCH_NO_PATH || hidden)
        admin_error(call, 404, "not_found",
                    "no such path; the paths are in docs/admin-api.yaml, and `gwctl help` has a "
                    "command for each");
    else if (!c->peer.is_unix && call->route->role == ADMIN_ROLE_ADMIN &&
             (req->chunked || req->content_length) && !type_is_json(req))
        admin_error(call, 415, "not_json", "send the body with Content-Type: application/json");
    else
        return true;
    return false;
}

static void call_run(struct job *j)
{
    struct admin_call *call = container_of(j, struct admin_call, job);
    call->run(call);
}

static void call_finish(struct job *j)
{
    admin_call_done(container_of(j, struct admin_call, job));
}

static void call_submit(struct admin_call *call, struct jobs *q, admin_handler_fn fn)
{
    call->job = (struct job){.run = call_run, .finish = call_finish};
    call->run = fn;
    call->pending = jobs_submit(q, &call->job) == 0;
    if (!call->pending) {
        call->retry_after_s = 1;
        admin_error(call, 503, "busy", "too many admin requests are waiting: try again");
    }
}

void admin_call_on_reader(struct admin_call *call, admin_handler_fn fn)
{
    call_submit(call, call->keeper->readers, fn);
}

static void dispatch(struct admin_conn *c)
{
    struct admin_call *call = c->call;
    conn_set_phase(c, CONN_HANDLING);
    conn_wait(c, 0);
    switch (call->route->where) {
    case ADMIN_ON_LOOP:
        call->route->handler(call);
        break;
    case ADMIN_ON_READER:
        call_submit(call, call->keeper->readers, call->route->handler);
        break;
    case ADMIN_ON_VERIFIER:
        call_submit(call, call->keeper->verifiers, call->route->handler);
        break;
    case ADMIN_ON_WRITER:
        call_submit(call, call->keeper->writers, call->route->handler);
        break;
    }
    if (!call->pending)
        admin_call_done(call);
}

static void say_continue(struct admin_conn *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    size_t n;
    /* A few bytes into an empty socket buffer; a client that doesn't get it goes on by itself
     * (RFC 9110 §10.1.1). */
    (void)io_write(&c->io, text, sizeof(text) - 1, &n);
}

static void conn_event(struct admin_conn *c, enum http_reader_event ev, struct slice piece)
{
    switch (ev) {
    case HTTP_READER_HEAD:
        if (!admit(c, &c->reader.req))
            refuse_early(c);
        else if (c->reader.req.expect_continue)
            say_continue(c);
        break;
    case HTTP_READER_BODY:
        if (buf_append(&c->call->body, piece.p, piece.n) < 0) {
            admin_error(c->call, 413, "body_too_large", "the body is longer than %d bytes",
                        ADMIN_MAX_BODY_BYTES);
            refuse_early(c);
        }
        break;
    case HTTP_READER_END:
        dispatch(c);
        break;
    case HTTP_READER_BAD:
        if (!c->call)
            call_new(c);
        admin_error(c->call, c->reader.err.status, "bad_request", "%s", c->reader.err.reason);
        refuse_early(c);
        break;
    case HTTP_READER_CLOSED:
    case HTTP_READER_MORE:
        break;
    }
}

/* Takes events from the reader until it wants more bytes or a request is with its handler. */
static void conn_advance(struct admin_conn *c)
{
    struct slice piece = {NULL, 0};
    c->advancing = true;
    while (c->phase == CONN_READING) {
        enum http_reader_event ev = http_reader_next(&c->reader, &piece);
        if (ev == HTTP_READER_MORE || ev == HTTP_READER_CLOSED)
            break;
        conn_event(c, ev, piece);
    }
    c->advancing = false;
}

static void conn_read(struct admin_conn *c)
{
    while (c->phase == CONN_READING) {
        size_t room, n = 0;
        char *p = http_reader_space(&c->reader, &room);
        enum io_status st = p ? io_read(&c->io, p, room, &n) : IO_ERROR;
        if (st != IO_OK) {
            if (!conn_wait_status(c, st))
                conn_close(c);
            return;
        }
        http_reader_added(&c->reader, n);
        conn_advance(c);
    }
}

/* An answer has left: takes the next pipelined request, or reads on. Within conn_advance its own
 * loop does that, so that a row of requests doesn't become a row of stack frames. */
static void conn_go_on(struct admin_conn *c)
{
    if (c->advancing)
        return;
    conn_advance(c);
    conn_read(c);
}

static void conn_linger(struct admin_conn *c)
{
    char sink[4096];
    size_t n;
    enum io_status st;
    while ((st = io_read(&c->io, sink, sizeof(sink), &n)) == IO_OK)
        ;
    if (!conn_wait_status(c, st))
        conn_close(c);
}

static void on_conn_io(evutil_socket_t fd, short what, void *arg)
{
    struct admin_conn *c = arg;
    switch (c->phase) {
    case CONN_READING:
        conn_read(c);
        break;
    case CONN_WRITING:
        conn_write(c);
        break;
    case CONN_LINGERING:
        conn_linger(c);
        break;
    case CONN_HANDLING:
    case CONN_CLOSED:
        break;
    }
}

/* ---- what handlers ask of the request ---- */

int admin_body(struct admin_call *call)
{
    struct slice text = call->body.len ? buf_slice(&call->body) : SLICE_LIT("{}");
    struct errbuf e;
    if (json_parse(&call->doc, text.p, text.n) < 0) {
        json_parse_error(&call->doc, &e);
        admin_error(call, 400, "bad_json", "the body is not JSON: %s", e.msg);
        return -1;
    }
    if (json_type(&call->doc, JSON_ROOT) != JSON_OBJECT) {
        admin_error(call, 400, "bad_json", "the body must be a JSON object");
        return -1;
    }
    return 0;
}
/* ---- listeners ---- */

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct admin_server *s = arg;
    for (size_t i = 0; i < s->n_listeners; i++)
        event_add(s->listener[i].event, NULL);
}

/* Out of descriptors or memory: accept would fail again at once, so look away for a moment. */
static void pause_accepting(struct admin_server *s)
{
    LOG_EVERY(60 * 1000000, LOG_LEVEL_WARN, "admin listeners pause: can't accept",
              LOG_ERRNO(errno));
    for (size_t i = 0; i < s->n_listeners; i++)
        event_del(s->listener[i].event);
    struct timeval tv = {.tv_usec = 100 * 1000};
    event_add(s->resume_event, &tv);
}

static int conn_open_io(struct admin_conn *c, int fd, bool tls)
{
    struct tls_ctx *ctx = c->server->keeper->running->tls;
    if (tls && ctx)
        return io_init_tls_server(&c->io, fd, ctx);
    io_init(&c->io, fd);
    return 0;
}

static void conn_new(struct admin_server *s, const struct listener *l, int fd)
{
    struct admin_conn *c = gw_xcalloc(1, sizeof(*c));
    struct errbuf e;
    c->server = s;
    c->metrics_only = l->metrics_only;
    if (admin_peer_of(fd, &c->peer, &e) < 0 || conn_open_io(c, fd, l->tls) < 0) {
        close(fd);
        free(c);
        return;
    }
    list_append(&s->conns, &c->node);
    s->n_conns++;
    http_reader_init(&c->reader, &limits);
    buf_init(&c->out, REPORT_MAX_BYTES + 4096);
    c->timer = event_new(s->base, -1, 0, on_conn_deadline, c);
    c->io_event = event_new(s->base, fd, EV_READ | EV_PERSIST, on_conn_io, c);
    GW_REQUIRE(c->timer && c->io_event);
    conn_set_phase(c, CONN_READING);
    conn_wait(c, EV_READ);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;
    struct admin_server *s = l->server;
    int c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (c >= 0 && s->n_conns < ADMIN_MAX_CONNECTIONS) {
        conn_new(s, l, c);
    } else if (c >= 0) {
        static const char full[] =
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        if (!l->tls)
            (void)!send(c, full, sizeof(full) - 1, MSG_NOSIGNAL);
        close(c);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        pause_accepting(s);
    }
}

static void close_listeners(struct admin_server *s)
{
    for (size_t i = 0; i < s->n_listeners; i++)
        event_free(s->listener[i].event);
    s->n_listeners = 0;
}

void admin_server_listen(struct admin_server *s, const struct child_listener *l, size_t n,
                         const struct conf *conf)
{
    close_listeners(s);
    for (size_t i = 0; i < n; i++) {
        const struct conf_listeners *of =
            l[i].kind == LISTEN_METRICS ? &conf->gateway.metrics : &conf->gateway.admin;
        struct listener *to = &s->listener[s->n_listeners++];
        *to = (struct listener){.server = s,
                                .metrics_only = l[i].kind == LISTEN_METRICS,
                                .tls = l[i].index < of->n && of->v[l[i].index].tls};
        to->event = event_new(s->base, l[i].fd, EV_READ | EV_PERSIST, on_accept, to);
        GW_REQUIRE(to->event && event_add(to->event, NULL) == 0);
    }
}

struct admin_server *admin_server_new(struct keeper *k)
{
    struct admin_server *s = gw_xcalloc(1, sizeof(*s));
    s->keeper = k;
    s->base = k->child->base;
    list_init(&s->conns);
    list_init(&s->dead);
    s->reap_event = event_new(s->base, -1, 0, on_reap, s);
    s->resume_event = event_new(s->base, -1, 0, on_resume, s);
    GW_REQUIRE(s->reap_event && s->resume_event);
    return s;
}

void admin_server_free(struct admin_server *s)
{
    if (!s)
        return;
    close_listeners(s);
    list_foreach(it, &s->conns) conn_close(list_entry(it, struct admin_conn, node));
    on_reap(-1, 0, s);
    event_free(s->reap_event);
    event_free(s->resume_event);
    free(s);
}
