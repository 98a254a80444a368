/*
 * conn.c: the client's side of the data path.
 *
 * Input that is whole when it arrives is handled where it was read, in the worker's scratch; only
 * what has to wait is copied to `in`. Output goes out at once where the socket takes it; only the
 * rest is copied to `out`.
 *
 * Invariants: req != NULL exactly in BODY and BUSY; `in` is bounded by CONN_IN_MAX_BYTES; the timer
 * means whatever the state says (see on_timer).
 */
#include "gatewayd/worker/conn.h"

#include "common/check.h"
#include "common/log.h"
#include "gatewayd/http/proxy_protocol.h"
#include "gatewayd/worker/reply.h"
#include "gatewayd/worker/req.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CONN_MAGIC = 0x434f4e21,
    CONN_IN_MAX_BYTES = 128 * 1024,
    LINGER_US = 2000000,
    /* A client that has shut its sending side is looked at this often: has it gone altogether? */
    EOF_POLL_US = 50000,
    LINGER_MAX_BYTES = 4 * 1024 * 1024,
    /* A first read takes a head and an ordinary body; the rest of a large one is read to where it
       stays. */
    FIRST_READ_BYTES = 16 * 1024,
    /* Reads before others get their turn. */
    READS_PER_EVENT = 16,
    /* A body gets body_timeout, and a second more for each of these that have arrived. */
    BODY_BYTES_PER_SECOND = 64 * 1024,
};

static const char *const state_names[] = {
#define X(name) #name,
    CONN_STATES(X)
#undef X
};

const char *conn_state_name(enum conn_state s)
{
    return state_names[s];
}

static void on_read_event(evutil_socket_t fd, short what, void *arg);
static void on_write_event(evutil_socket_t fd, short what, void *arg);
static void on_timer(struct wheel_timer *t);
static void conn_close(struct conn *c);

static const struct conf_http *limits_of(const struct conn *c)
{
    return &c->w->current->conf->http;
}

/* What TLS has taken off the socket wakes nobody. */
static void read_soon(struct conn *c)
{
    static const struct timeval soon = {0, 1}; /* of 0 libevent takes a lasting event away */
    event_add(&c->ev_read, &soon);
}

static void want_read(struct conn *c, bool on)
{
    if (c->reading == on || c->state == CONN_CLOSED)
        return;
    c->reading = on;
    if (!on)
        event_del(&c->ev_read);
    else if (io_has_buffered(&c->io))
        read_soon(c);
    else
        event_add(&c->ev_read, NULL);
}

static void want_write(struct conn *c, bool on)
{
    if (c->writing == on || c->state == CONN_CLOSED)
        return;
    c->writing = on;
    if (on)
        event_add(&c->ev_write, NULL);
    else
        event_del(&c->ev_write);
}

/* Deadline of the state that is being entered. */
static int64_t state_deadline(const struct conn *c)
{
    const struct conf_http *h = limits_of(c);
    int64_t now = clock_mono_us();
    switch (c->state) {
    case CONN_PROXY:
    case CONN_TLS:
        return now + h->header_timeout_us;
    case CONN_HEAD:
        return now + (c->head_since_us || c->n_requests == 0 ? h->header_timeout_us
                                                             : h->keepalive_timeout_us);
    case CONN_BODY:
        return now + h->body_timeout_us;
    case CONN_LINGER:
        return now + LINGER_US;
    case CONN_BUSY:
        return c->eof ? now + EOF_POLL_US : -1;
    default:
        return -1;
    }
}

static void arm_state_deadline(struct conn *c)
{
    int64_t at = state_deadline(c);
    if (at >= 0)
        worker_arm(c->w, &c->timer, at);
    else
        worker_cancel(c->w, &c->timer);
}

static void conn_set_state(struct conn *c, enum conn_state to)
{
    c->state = to;
    arm_state_deadline(c);
}

/* ---- birth and death ---- */

static void free_conn(struct later *l)
{
    struct conn *c = container_of(l, struct conn, end);
    buf_release(&c->in);
    buf_release(&c->out);
    free(c);
}

/* Whether an orderly end could be taken for that of the answer: HTTP/1.0 has no other. */
static bool must_be_seen_cut(const struct conn *c)
{
    return conn_pending(c) > 0 ||
           (c->http10 && (c->cut || (c->req && c->req->bytes_to_client > 0)));
}

static void conn_close(struct conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    struct worker *w = c->w;
    want_read(c, false);
    want_write(c, false);
    worker_cancel(w, &c->timer);
    c->state = CONN_CLOSED;
    if (must_be_seen_cut(c))
        io_abort(&c->io);
    else
        io_close(&c->io);
    list_del(&c->node);
    w->n_conns--;
    worker_account(w, &c->in_held, 0);
    worker_account(w, &c->out_held, 0);
    if (c->req) {
        struct req *r = c->req;
        c->req = NULL;
        req_on_client_lost(r);
    }
    worker_later(w, &c->end, free_conn);
    worker_check_drained(w);
}

static void set_socket_options(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
}

/* A TLS client can't be told without a handshake, and whoever is behind a proxy is answered by it.
 */
static void refuse_overload(int fd, bool answer)
{
    char mem[REPLY_OVERLOAD_BYTES];
    struct slice text = answer ? reply_overload(mem) : slice_of(NULL, 0);
    bool answered =
        text.n && send(fd, text.p, text.n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)text.n;
    LOG_EVERY(1000000, LOG_LEVEL_WARN, "max_connections reached, connection refused",
              LOG_B("answered", answered));
    close(fd);
}

void conn_new(struct worker *w, int fd, const struct sockaddr *sa, socklen_t sa_len, bool tls,
              bool proxy_protocol)
{
    if (w->n_conns >= w->current->max_connections) {
        refuse_overload(fd, !tls && !proxy_protocol);
        return;
    }
    struct conn *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    c->magic = CONN_MAGIC;
    c->w = w;
    c->tls = tls;
    if (sa->sa_family != AF_UNIX)
        set_socket_options(fd);
    net_addr_from_sockaddr(&c->peer, sa, sa_len);
    if (!tls || proxy_protocol)
        io_init(&c->io, fd);
    else if (io_init_tls_server(&c->io, fd, w->current->server_tls) < 0) {
        close(fd);
        free(c);
        return;
    }
    buf_init(&c->in, CONN_IN_MAX_BYTES);
    buf_init(&c->out, SIZE_MAX / 4);
    wheel_timer_init(&c->timer, on_timer);
    event_assign(&c->ev_read, w->base, fd, EV_READ | EV_PERSIST, on_read_event, c);
    event_assign(&c->ev_write, w->base, fd, EV_WRITE | EV_PERSIST, on_write_event, c);
    list_append(&w->conns, &c->node);
    w->n_conns++;
    worker_count(w);
    conn_set_state(c, proxy_protocol ? CONN_PROXY : tls ? CONN_TLS : CONN_HEAD);
    want_read(c, true);
}

static void linger(struct conn *c)
{
    io_shutdown(&c->io);
    if (c->eof) {
        conn_close(c);
        return;
    }
    conn_set_state(c, CONN_LINGER);
    c->in.len = 0;
    want_read(c, true);
}

/* ---- output ---- */

static void mark_lost(struct conn *c)
{
    c->lost = true;
    want_write(c, false);
    c->out_at = c->out.len = 0;
    worker_account(c->w, &c->out_held, 0);
}

static bool keep_rest(struct conn *c, const struct iovec *iov, int n_iov, size_t skip)
{
    /* A slow client may never take all that waits: what it took has to go all the same. */
    if (c->out_at >= c->out.len / 2) {
        buf_consume(&c->out, c->out_at);
        c->out_at = 0;
    }
    for (int i = 0; i < n_iov; i++) {
        size_t n = iov[i].iov_len;
        size_t from = GW_MIN(skip, n);
        skip -= from;
        if (buf_append(&c->out, (const char *)iov[i].iov_base + from, n - from) < 0)
            return false;
    }
    worker_account(c->w, &c->out_held, c->out.cap);
    return true;
}

bool conn_send(struct conn *c, const struct iovec *iov, int n_iov)
{
    size_t n = 0;
    if (c->lost)
        return false;
    bool was_empty = conn_pending(c) == 0;
    if (was_empty) {
        size_t total = 0;
        for (int i = 0; i < n_iov; i++)
            total += iov[i].iov_len;
        enum io_status st = io_writev(&c->io, iov, n_iov, &n);
        if (st == IO_OK && n == total)
            return true;
        if (st != IO_OK && st != IO_WANT_WRITE && st != IO_WANT_READ) {
            mark_lost(c);
            return false;
        }
        if (st != IO_OK)
            n = 0;
    }
    if (!keep_rest(c, iov, n_iov, n)) {
        mark_lost(c);
        return false;
    }
    if (was_empty)
        worker_arm(c->w, &c->timer, clock_mono_us() + limits_of(c)->write_timeout_us);
    want_write(c, true);
    return true;
}

static void out_emptied(struct conn *c)
{
    c->out.len = c->out_at = 0;
    if (c->out.cap > 4096)
        buf_release(&c->out);
    worker_account(c->w, &c->out_held, c->out.cap);
    want_write(c, false);
    arm_state_deadline(c);
}

/* True while the connection is sound. */
static bool flush_out(struct conn *c)
{
    while (conn_pending(c) > 0) {
        size_t n;
        enum io_status st = io_write(&c->io, c->out.data + c->out_at, conn_pending(c), &n);
        if (st == IO_WANT_WRITE || st == IO_WANT_READ)
            return true;
        if (st != IO_OK) {
            mark_lost(c);
            return false;
        }
        c->out_at += n;
        worker_arm(c->w, &c->timer, clock_mono_us() + limits_of(c)->write_timeout_us);
    }
    out_emptied(c);
    return true;
}

void conn_busy(struct conn *c)
{
    conn_set_state(c, CONN_BUSY);
}

/* ---- between requests ---- */

static void process_in(struct conn *c);

static void on_again(struct later *l)
{
    struct conn *c = container_of(l, struct conn, again);
    if (c->state == CONN_HEAD)
        process_in(c);
}

static void next_request(struct conn *c)
{
    c->n_requests++;
    c->head_since_us = 0;
    c->scan_from = 0;
    conn_set_state(c, CONN_HEAD);
    if (c->in.len == 0 && c->in.cap > 4096)
        buf_release(&c->in);
    worker_account(c->w, &c->in_held, c->in.cap);
    want_read(c, !c->eof);
    if (c->in.len > 0 && !c->running)
        worker_later(c->w, &c->again, on_again);
    else if (c->eof && c->in.len == 0)
        conn_close(c);
}

/* The answer is with the socket and the request is gone. */
static void answered(struct conn *c)
{
    if (c->lost || (c->cut && c->http10))
        conn_close(c);
    else if (c->close_after)
        linger(c);
    else
        next_request(c);
}

static void end_request(struct conn *c)
{
    c->req = NULL;
    if (c->lost || conn_pending(c) == 0)
        answered(c);
    else
        c->state = CONN_BUSY; /* without a request: on_write_event goes on when all is written */
}

void conn_finish(struct conn *c)
{
    if (c->w->mode != WORKER_SERVING)
        c->close_after = true;
    end_request(c);
}

void conn_abort(struct conn *c)
{
    c->close_after = true;
    c->cut = true;
    c->io.broken = true; /* no close_notify: a TLS client must see the cut as well */
    end_request(c);
}

/* ---- input ---- */

static void refuse_head(struct conn *c, struct slice head, const struct http_error *err)
{
    c->close_after = true;
    reply_bad_head(c, head, err);
    answered(c);
}

static size_t consume_head(struct conn *c, const char *p, size_t n)
{
    struct http_error err;
    size_t head_len, skipped = 0;
    /* RFC 9112 section 2.2: an empty line in front of a request is ignored, once. */
    if (c->scan_from == 0 && c->n_requests > 0 && n >= 2 && p[0] == '\r' && p[1] == '\n') {
        skipped = 2;
        p += 2;
        n -= 2;
        if (n == 0)
            return skipped;
    }
    if (c->head_since_us == 0) {
        c->head_since_us = clock_mono_us();
        worker_arm(c->w, &c->timer, c->head_since_us + limits_of(c)->header_timeout_us);
    }
    switch (http_head_find(p, n, &c->w->current->limits, &c->scan_from, &head_len, &err)) {
    case HTTP_STEP_MORE:
        return skipped;
    case HTTP_STEP_BAD:
        refuse_head(c, slice_of(p, n), &err);
        return skipped;
    case HTTP_STEP_DONE:
        break;
    }
    conn_set_state(c, CONN_BODY);
    if (!req_begin(c, p, head_len, &err))
        refuse_head(c, slice_of(p, head_len), &err);
    return skipped + head_len;
}

/* Hands input on for as long as anything takes it; returns how much was taken. */
static size_t consume(struct conn *c, const char *p, size_t n)
{
    size_t used = 0;
    c->running = true;
    while (used < n) {
        size_t took = 0;
        if (c->state == CONN_HEAD)
            took = consume_head(c, p + used, n - used);
        else if (c->state == CONN_BODY)
            took = req_feed(c->req, p + used, n - used);
        if (took == 0)
            break;
        used += took;
    }
    c->running = false;
    return used;
}

static bool accepts_input(const struct conn *c)
{
    return c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_BUSY;
}

static void stash(struct conn *c, const char *p, size_t n)
{
    if (n == 0 || !accepts_input(c))
        return;
    if (buf_append(&c->in, p, n) < 0) {
        conn_close(c);
        return;
    }
    worker_account(c->w, &c->in_held, c->in.cap);
}

static void process_in(struct conn *c)
{
    size_t used = consume(c, c->in.data, c->in.len);
    if (c->state == CONN_CLOSED || c->state == CONN_LINGER)
        return;
    buf_consume(&c->in, used);
    if (c->eof && (c->state == CONN_HEAD || c->state == CONN_BODY))
        conn_close(c); /* the rest won't come */
}

/* A FIN says only that no more will be sent: that may be half a close, or the end of the client.
 * What is written to the latter comes back as a reset, which the poll sees. */
static void client_eof(struct conn *c)
{
    c->eof = true;
    want_read(c, false);
    if (c->state != CONN_BUSY) {
        conn_close(c);
        return;
    }
    if (conn_pending(c) == 0)
        arm_state_deadline(c);
    if (c->req)
        req_on_client_eof(c->req);
    if (c->lost)
        conn_close(c);
}

/* Behind a FIN, recv() goes on saying 0 when a reset comes: Linux looks at SOCK_DONE before sk_err.
 */
static bool was_reset(const struct conn *c)
{
    struct pollfd p = {.fd = c->io.fd};
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP));
}

/* false: nothing more to read for now */
static bool read_result(struct conn *c, enum io_status st)
{
    if (st == IO_OK)
        return true;
    if (st == IO_WANT_WRITE)
        want_write(c, true);
    else if (st == IO_EOF || st == IO_CUT)
        client_eof(c);
    else if (st != IO_WANT_READ)
        conn_close(c);
    return false;
}

static void body_progress(struct conn *c)
{
    if (c->state != CONN_BODY)
        return;
    int64_t more_us = c->req->bytes_from_client / BODY_BYTES_PER_SECOND * 1000000;
    worker_arm(c->w, &c->timer, c->req->started_us + limits_of(c)->body_timeout_us + more_us);
}

/* Large bodies are read to where they stay. */
static bool read_body_direct(struct conn *c, bool *more)
{
    char *p;
    size_t room, n;
    if (c->state != CONN_BODY || c->in.len > 0 || !req_body_room(c->req, &p, &room))
        return false;
    *more = read_result(c, io_read(&c->io, p, room, &n));
    if (*more) {
        req_body_filled(c->req, n);
        body_progress(c);
    }
    return true;
}

static bool read_more(struct conn *c)
{
    bool more;
    size_t n;
    if (read_body_direct(c, &more))
        return more;
    size_t room = c->state == CONN_HEAD ? FIRST_READ_BYTES : WORKER_SCRATCH_BYTES;
    if (c->state == CONN_BUSY || c->in.len > 0)
        room = GW_MIN(room, c->in.max_bytes - c->in.len);
    if (room == 0) {
        want_read(c, false); /* next_request goes on */
        return false;
    }
    if (!read_result(c, io_read(&c->io, c->w->scratch, room, &n)))
        return false;
    if (c->state == CONN_LINGER) {
        c->scan_from += n;
        if (c->scan_from > LINGER_MAX_BYTES)
            conn_close(c);
        return true;
    }
    if (c->in.len > 0) {
        stash(c, c->w->scratch, n);
        if (c->state == CONN_HEAD || c->state == CONN_BODY)
            process_in(c);
    } else {
        size_t used = consume(c, c->w->scratch, n);
        stash(c, c->w->scratch + used, n - used);
    }
    body_progress(c);
    return true;
}

/* What is behind the header may belong to TLS: bytes are taken off the socket only as far as they
 * are known to be the header's. Of an unfinished one that is all there is; left there, it would
 * wake the loop again and again. */
static enum proxy_protocol_result take_proxy_header(struct conn *c, struct proxy_protocol *pp)
{
    char head[PROXY_PROTOCOL_MAX_BYTES];
    size_t kept = c->in.len;
    if (kept)
        memcpy(head, c->in.data, kept);
    ssize_t n = recv(c->io.fd, head + kept, sizeof head - kept, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return PROXY_PROTOCOL_MORE;
    if (n <= 0)
        return PROXY_PROTOCOL_BAD;
    enum proxy_protocol_result res = proxy_protocol_parse(head, kept + (size_t)n, pp);
    size_t take = res == PROXY_PROTOCOL_OK ? pp->len - kept : (size_t)n;
    if (res == PROXY_PROTOCOL_BAD || recv(c->io.fd, head + kept, take, 0) != (ssize_t)take ||
        buf_append(&c->in, head + kept, take) < 0)
        return PROXY_PROTOCOL_BAD;
    return res;
}

static void run_proxy_header(struct conn *c)
{
    struct proxy_protocol pp;
    enum proxy_protocol_result res = take_proxy_header(c, &pp);
    if (res == PROXY_PROTOCOL_BAD) {
        LOG_EVERY(1000000, LOG_LEVEL_WARN, "PROXY header expected, connection closed");
        conn_close(c);
        return;
    }
    if (res == PROXY_PROTOCOL_MORE)
        return;
    buf_release(&c->in);
    if (pp.has_addresses)
        net_addr_from_sockaddr(&c->peer, &pp.src.sa,
                               pp.src.sa.sa_family == AF_INET ? sizeof pp.src.in
                                                              : sizeof pp.src.in6);
    if (c->tls && io_init_tls_server(&c->io, c->io.fd, c->w->current->server_tls) < 0) {
        conn_close(c);
        return;
    }
    conn_set_state(c, c->tls ? CONN_TLS : CONN_HEAD);
}

static void run_handshake(struct conn *c)
{
    enum io_status st = io_handshake(&c->io);
    if (st == IO_OK) {
        want_write(c, false);
        conn_set_state(c, CONN_HEAD);
    } else if (st == IO_WANT_WRITE || st == IO_WANT_READ) {
        want_write(c, st == IO_WANT_WRITE);
    } else {
        char reason[128];
        if (log_enabled(LOG_LEVEL_DEBUG))
            log_debug("TLS handshake with a client failed",
                      LOG_S("error", io_reason(&c->io, reason, sizeof reason)));
        conn_close(c);
    }
}

static void on_read_event(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    GW_REQUIRE(c->magic == CONN_MAGIC);
    if (what & EV_TIMEOUT)
        event_remove_timer(&c->ev_read);
    if (c->state == CONN_PROXY)
        run_proxy_header(c);
    if (c->state == CONN_TLS) {
        run_handshake(c);
        if (c->state != CONN_HEAD || !io_has_buffered(&c->io))
            return;
    }
    if (c->state == CONN_PROXY)
        return;
    for (int i = 0; i < READS_PER_EVENT; i++)
        if (c->state == CONN_CLOSED || !c->reading || !read_more(c) || c->state == CONN_CLOSED ||
            !io_has_buffered(&c->io))
            return;
    read_soon(c);
}

static void on_write_event(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    GW_REQUIRE(c->magic == CONN_MAGIC);
    if (c->state == CONN_TLS) {
        run_handshake(c);
        return;
    }
    if (conn_pending(c) == 0) { /* TLS wanted to write in order to read */
        want_write(c, false);
        on_read_event(fd, what, arg);
        return;
    }
    bool sound = flush_out(c);
    if (!c->req) {
        if (!sound)
            conn_close(c);
        else if (c->state == CONN_BUSY && conn_pending(c) == 0)
            answered(c);
    } else if (!sound) {
        conn_close(c);
    } else if (conn_pending(c) == 0 ||
               (conn_pending(c) <= WORKER_OUT_LOW_BYTES && worker_may_buffer(c->w, 0))) {
        req_on_client_drained(c->req);
    }
}

static void on_timer(struct wheel_timer *t)
{
    struct conn *c = container_of(t, struct conn, timer);
    if (c->state == CONN_HEAD && c->head_since_us) {
        static const struct http_error late = {408, 0, "the request head did not arrive in time"};
        refuse_head(c, buf_slice(&c->in), &late);
    } else if (c->state == CONN_BODY) {
        c->close_after = true;
        req_body_failed(c->req, 408, "body_timeout", "the request body did not arrive in time");
    } else if (c->state == CONN_BUSY && c->req && conn_pending(c) == 0 && !was_reset(c)) {
        arm_state_deadline(c);
    } else {
        conn_close(c); /* idle, handshake, linger, reset, or a client that doesn't read */
    }
}

/* ---- drain ---- */

void conn_drain_all(struct worker *w)
{
    list_foreach(it, &w->conns)
    {
        struct conn *c = list_entry(it, struct conn, node);
        c->close_after = true;
        if (c->state == CONN_HEAD && c->in.len == 0 && c->head_since_us == 0)
            linger(c);
    }
}

void conn_close_all(struct worker *w)
{
    while (!list_empty(&w->conns))
        conn_close(list_entry(w->conns.next, struct conn, node));
}
