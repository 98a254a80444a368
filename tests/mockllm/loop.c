/*
 * loop.c: a connection is a small machine (states below) that reads one request, sends its answer
 * step by step, and does to the connection what the script says.
 *
 * Events record what happened and run the machine; connections are freed at the end of a turn.
 * Level-triggered epoll; EPOLLOUT is asked for only while the socket is full.
 */
#include "tests/mockllm/loop.h"
#include "tests/mockllm/clock.h"
#include "tests/mockllm/timers.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum conn_state {
    CONN_HANDSHAKE, /* TLS */
    CONN_STALLED,   /* accepted by a listener that never answers */
    CONN_READ,      /* reading a request */
    CONN_SEND,      /* between steps of an answer, or waiting for room */
    CONN_HUNG,      /* has sent all that it will, waits for the client to leave */
    CONN_CLOSED,    /* to be freed at the end of the turn */
};

enum {
    SCRATCH_BYTES = 65536,
    TLS_WRITE_BYTES = 16384,
    MAX_PIPELINED = 1048576,
    EVENTS_PER_TURN = 256,
};

struct conn {
    struct loop *loop;
    int fd;
    SSL *ssl;
    enum conn_state state;
    uint32_t events; /* asked of epoll */
    uint64_t number;
    struct timer timer;

    struct bytes in; /* of the request that isn't whole yet, and what follows it */
    struct chunked chunked;
    bool told_continue;

    /* Between two requests: a fault armed with the timer, or kept for the next request. */
    bool close_armed, stray_armed, drop_next, reset_next;

    struct answer *answer;
    size_t sent, step;
    int64_t due_us;
    bool waited; /* the current step's delay is over */
    bool held, closing;
    char id[ANSWER_ID_LENGTH + 1];
    struct record record;

    struct conn *prev, *next;
    struct conn *next_closed;
};

struct listener {
    struct loop_listener l;
    bool paused;
};

struct loop {
    const struct serve_options *options;
    int epoll, wake;
    struct listener listeners[LOOP_MAX_LISTENERS];
    size_t nlisteners;
    struct serve_cache *cache;
    struct timers timers;
    struct conn *conns, *closed;
    atomic_bool stop, release;
    char scratch[SCRATCH_BYTES];
};

static atomic_int_fast64_t accept_pause_until_us;
static atomic_uint_fast64_t connection_number;

/* ---- sockets ---- */

static void want(struct conn *c, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};
    if (c->events == events)
        return;
    epoll_ctl(c->loop->epoll, EPOLL_CTL_MOD, c->fd, &ev);
    c->events = events;
}

/* -1: over; 0: would block. */
static ssize_t tls_result(struct conn *c, int n)
{
    if (n > 0)
        return n;
    int why = SSL_get_error(c->ssl, n);
    ERR_clear_error();
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        if (why == SSL_ERROR_WANT_WRITE)
            want(c, EPOLLIN | EPOLLOUT);
        return 0;
    }
    return -1;
}

static ssize_t conn_recv(struct conn *c, char *to, size_t room)
{
    if (c->ssl != NULL)
        return tls_result(c, SSL_read(c->ssl, to, (int)room));
    ssize_t n = recv(c->fd, to, room, 0);
    if (n > 0)
        return n;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* The answer from c->sent to `end` in up to three parts: before, in and after the request id. */
static int gather(const struct conn *c, size_t end, struct iovec *iov)
{
    const struct answer *a = c->answer;
    size_t id = a->id_offset, id_end = id + ANSWER_ID_LENGTH, at = c->sent;
    int n = 0;
    if (id == 0)
        id = id_end = 0;
    if (at < id && at < end) {
        size_t to = end < id ? end : id;
        iov[n++] = (struct iovec){a->wire.p + at, to - at};
        at = to;
    }
    if (at >= id && at < id_end && at < end) {
        size_t to = end < id_end ? end : id_end;
        iov[n++] = (struct iovec){(char *)c->id + (at - id), to - at};
        at = to;
    }
    if (at < end)
        iov[n++] = (struct iovec){a->wire.p + at, end - at};
    return n;
}

static ssize_t conn_send(struct conn *c, size_t end)
{
    struct iovec iov[3];
    int parts = gather(c, end, iov);
    if (c->ssl == NULL) {
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)parts};
        ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
        return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -1;
    }
    char buf[TLS_WRITE_BYTES];
    size_t len = 0;
    for (int i = 0; i < parts; i++) {
        size_t n = iov[i].iov_len < sizeof buf - len ? iov[i].iov_len : sizeof buf - len;
        memcpy(buf + len, iov[i].iov_base, n);
        len += n;
    }
    return tls_result(c, SSL_write(c->ssl, buf, (int)len));
}

/* ---- the end of answers and connections ---- */

static void close_record(struct conn *c, enum outcome outcome)
{
    struct record *r = &c->record;
    const struct answer *a = c->answer;
    if (r->outcome != OUTCOME_REFUSED)
        r->outcome = outcome;
    r->bytes_sent = c->sent;
    r->fully_sent = c->sent == a->full_length;
    r->events = answer_events_sent(a, c->sent);
    r->billed = r->outcome != OUTCOME_REFUSED && a->billed;
    r->prompt_tokens = r->billed ? a->prompt_tokens : 0;
    r->units = r->billed ? a->units : 0;
    r->completion_tokens = 0;
    if (r->billed)
        r->completion_tokens =
            a->stream && !r->fully_sent ? answer_tokens_sent(a, c->sent) : a->completion_tokens;
    bill_close(r);
    answer_unref(c->answer);
    c->answer = NULL;
}

static void conn_close(struct conn *c, bool reset)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (c->state == CONN_CLOSED)
        return;
    if (reset)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    timer_unset(&c->loop->timers, &c->timer);
    SSL_free(c->ssl);
    c->ssl = NULL;
    close(c->fd);
    c->fd = -1;
    c->state = CONN_CLOSED;
    c->next_closed = c->loop->closed;
    c->loop->closed = c;
    bill_count(TOTAL_OPEN, -1);
}

static void conn_lost(struct conn *c)
{
    if (c->answer != NULL)
        close_record(c, c->state == CONN_HUNG ? OUTCOME_HUNG : OUTCOME_CLIENT_GONE);
    conn_close(c, false);
}

static void close_politely(struct conn *c)
{
    if (c->ssl != NULL)
        SSL_shutdown(c->ssl);
    conn_close(c, false);
}

static void conn_free(struct conn *c)
{
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        c->loop->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    bytes_fini(&c->in);
    free(c);
}

/* ---- answers ---- */

static void arm(struct conn *c, int64_t due_us)
{
    timer_set(&c->loop->timers, &c->timer, due_us);
}

static void begin_answer(struct conn *c, struct answer *a, bool keepalive)
{
    c->answer = a;
    c->sent = c->step = 0;
    c->waited = c->held = false;
    c->due_us = clock_now_us();
    c->closing = !keepalive;
    c->record.status = a->status;
    snprintf(c->id, sizeof c->id, "%016llx", (unsigned long long)c->record.n);
    c->state = CONN_SEND;
}

/* What the script does to the connection after an answer. */
static void go_idle(struct conn *c, enum idle_fault fault, int64_t after_us)
{
    c->close_armed = fault == IDLE_CLOSE;
    c->stray_armed = fault == IDLE_STRAY;
    c->drop_next = fault == IDLE_NEXT;
    c->reset_next = fault == IDLE_RESET;
    if (c->close_armed || c->stray_armed)
        arm(c, clock_now_us() + after_us);
}

static void finish_answer(struct conn *c)
{
    enum ending ending = c->answer->ending;
    enum idle_fault idle = c->answer->idle;
    int64_t idle_us = c->answer->idle_us;
    bool whole = c->sent == c->answer->full_length;
    if (ending == ENDING_HANG) {
        c->state = CONN_HUNG;
        return;
    }
    if (ending == ENDING_RESET) {
        close_record(c, OUTCOME_RESET);
        conn_close(c, true);
        return;
    }
    close_record(c, whole ? OUTCOME_COMPLETE : OUTCOME_CUT);
    if (!whole) {
        conn_close(c, false);
    } else if (ending == ENDING_FIN || c->closing) {
        close_politely(c);
    } else {
        c->state = CONN_READ;
        go_idle(c, idle, idle_us);
    }
}

/* True when the current step may go out now. */
static bool step_is_due(struct conn *c)
{
    const struct step *step = &c->answer->steps[c->step];
    if (!c->waited) {
        c->due_us += step->delay_us;
        c->waited = true;
        c->held = step->hold;
        if (step->delay_us > 0)
            arm(c, c->due_us);
    }
    return !c->held && (step->delay_us == 0 || c->timer.slot == 0);
}

static void send_answer(struct conn *c)
{
    struct answer *a = c->answer;
    while (c->step < a->nsteps) {
        if (!step_is_due(c))
            return;
        while (c->sent < a->steps[c->step].end) {
            ssize_t n = conn_send(c, a->steps[c->step].end);
            if (n < 0) {
                conn_lost(c);
                return;
            }
            if (n == 0) {
                want(c, EPOLLIN | EPOLLOUT);
                return;
            }
            c->sent += (size_t)n;
        }
        c->step++;
        c->waited = false;
    }
    want(c, EPOLLIN);
    finish_answer(c);
}

/* ---- requests ---- */

/* Tells the client to go on with the body. Where there is no room for 25 bytes nobody listens. */
static void send_continue(struct conn *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    ssize_t n = c->ssl != NULL ? SSL_write(c->ssl, text, sizeof text - 1)
                               : send(c->fd, text, sizeof text - 1, MSG_NOSIGNAL);
    c->told_continue = true;
    if (n < 0)
        conn_close(c, false);
}

static void refuse_bytes(struct conn *c, struct slice in, const char *why)
{
    struct request none = {.head = in};
    bill_count(TOTAL_BAD_REQUESTS, 1);
    c->record = (struct record){.connection = c->number, .tls = c->ssl != NULL};
    c->record.outcome = OUTCOME_REFUSED;
    bill_open(&c->record, &none);
    begin_answer(c, serve_bad_request(why), false);
}

/* Finds out whether the request in `in` is whole. */
static enum http_result read_body(struct conn *c, struct slice in, struct request *req,
                                  size_t *length, const char **why)
{
    size_t have = in.len - req->head.len;
    if (req->chunked) {
        enum http_result r = http_dechunk(&c->chunked, (char *)in.p + req->head.len, have, why);
        *length = req->head.len + c->chunked.raw;
        req->body = (struct slice){in.p + req->head.len, c->chunked.decoded};
        return r;
    }
    *length = req->head.len + req->content_length;
    req->body = (struct slice){in.p + req->head.len, req->content_length};
    return have >= req->content_length ? HTTP_OK : HTTP_MORE;
}

static void serve(struct conn *c, const struct request *req)
{
    c->record = (struct record){.connection = c->number, .tls = c->ssl != NULL};
    c->chunked = (struct chunked){0};
    c->told_continue = false;
    if (c->drop_next || c->reset_next) {
        c->record.outcome = OUTCOME_DROPPED;
        bill_open(&c->record, req);
        conn_close(c, c->reset_next);
        return;
    }
    struct answer *a = serve_request(c->loop->options, c->loop->cache, req, &c->record);
    bill_open(&c->record, req);
    begin_answer(c, a, req->keepalive);
    send_answer(c);
}

/* Takes one request from the front of `in`; returns how many bytes it had, 0 where it isn't whole
 * yet. `*need` is how much more is known to come. */
static size_t take_request(struct conn *c, struct slice in, size_t *need)
{
    struct request req;
    const char *why = NULL;
    size_t length = 0;
    *need = 0;
    enum http_result r = http_parse_head(in, &req, &why);
    if (r == HTTP_OK) {
        if (req.expect_continue && !c->told_continue)
            send_continue(c);
        if (c->state == CONN_CLOSED)
            return in.len;
        r = read_body(c, in, &req, &length, &why);
        if (r == HTTP_MORE && !req.chunked)
            *need = length - in.len;
    }
    if (r == HTTP_BAD) {
        refuse_bytes(c, in, why);
        send_answer(c);
        return in.len;
    }
    if (r == HTTP_MORE)
        return 0;
    serve(c, &req);
    return length;
}

/* Requests that lie in the connection's own buffer. */
static void take_buffered(struct conn *c)
{
    size_t n, need;
    while (c->state == CONN_READ && c->in.len > 0) {
        n = take_request(c, bytes_slice(&c->in), &need);
        if (n == 0) {
            bytes_reserve(&c->in, need > 0 ? need : SCRATCH_BYTES);
            return;
        }
        bytes_shift(&c->in, n);
    }
    if (c->in.len == 0)
        bytes_fini(&c->in);
}

/* Fresh bytes are read into the loop's buffer and answered from there; only what is left over gets
 * memory of its own. False when there is no more to read. */
static bool read_fresh(struct conn *c)
{
    struct loop *l = c->loop;
    size_t need = 0, used = 0;
    ssize_t n = conn_recv(c, l->scratch, sizeof l->scratch);
    if (n < 0)
        conn_lost(c);
    if (n <= 0)
        return false;
    if (c->state == CONN_READ)
        used = take_request(c, (struct slice){l->scratch, (size_t)n}, &need);
    if (c->state != CONN_CLOSED && used < (size_t)n) {
        bytes_reserve(&c->in, (size_t)n - used + need);
        bytes_add(&c->in, l->scratch + used, (size_t)n - used);
    }
    return c->state != CONN_CLOSED && ((size_t)n == sizeof l->scratch || c->ssl != NULL);
}

static bool read_more(struct conn *c)
{
    size_t room = c->in.cap - c->in.len;
    if (room < 4096)
        room = SCRATCH_BYTES;
    ssize_t n = conn_recv(c, bytes_reserve(&c->in, room), room);
    if (n < 0)
        conn_lost(c);
    if (n <= 0)
        return false;
    c->in.len += (size_t)n;
    take_buffered(c);
    return c->state != CONN_CLOSED && ((size_t)n == room || c->ssl != NULL);
}

static void read_requests(struct conn *c)
{
    bool more = true;
    if (c->close_armed || c->stray_armed) {
        timer_unset(&c->loop->timers, &c->timer);
        c->close_armed = c->stray_armed = false;
    }
    while (more && c->state != CONN_CLOSED) {
        if (c->state != CONN_READ && c->in.len >= MAX_PIPELINED) {
            want(c, c->events & ~(uint32_t)EPOLLIN);
            return;
        }
        more = c->in.len == 0 ? read_fresh(c) : read_more(c);
    }
}

/* ---- events ---- */

static void shake_hands(struct conn *c)
{
    int n = SSL_accept(c->ssl);
    if (n == 1) {
        bill_count(TOTAL_HANDSHAKES, 1);
        if (SSL_session_reused(c->ssl))
            bill_count(TOTAL_RESUMED, 1);
        want(c, EPOLLIN);
        c->state = CONN_READ;
    } else if (tls_result(c, n) < 0) {
        conn_close(c, false);
    }
}

static void discard(struct conn *c)
{
    ssize_t n = recv(c->fd, c->loop->scratch, sizeof c->loop->scratch, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        conn_close(c, false);
}

static void conn_run(struct conn *c)
{
    if (c->state == CONN_SEND)
        send_answer(c);
    if (c->state == CONN_READ && c->in.len > 0)
        take_buffered(c);
}

static void on_conn_event(struct conn *c, uint32_t events)
{
    if (c->state == CONN_HANDSHAKE)
        shake_hands(c);
    if (c->state == CONN_STALLED) {
        discard(c);
        return;
    }
    if (c->state != CONN_CLOSED && c->state != CONN_HANDSHAKE && (events & ~(uint32_t)EPOLLOUT))
        read_requests(c);
    conn_run(c);
}

static void send_stray(struct conn *c)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nSTRAY";
    if (c->ssl != NULL)
        SSL_write(c->ssl, text, sizeof text - 1);
    else
        send(c->fd, text, sizeof text - 1, MSG_NOSIGNAL);
}

static void on_timer(struct conn *c)
{
    if (c->close_armed) {
        close_politely(c);
    } else if (c->stray_armed) {
        c->stray_armed = false;
        send_stray(c);
    } else {
        conn_run(c);
    }
}

static void open_conn(struct loop *l, int fd, const struct loop_listener *from)
{
    struct conn *c = xcalloc(1, sizeof *c);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->loop = l;
    c->fd = fd;
    c->number = atomic_fetch_add(&connection_number, 1) + 1;
    c->state = from->stall ? CONN_STALLED : CONN_READ;
    if (from->tls != NULL) {
        c->ssl = SSL_new(from->tls);
        SSL_set_fd(c->ssl, fd);
        c->state = CONN_HANDSHAKE;
    }
    c->next = l->conns;
    if (l->conns != NULL)
        l->conns->prev = c;
    l->conns = c;
    c->events = EPOLLIN;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev);
    bill_count(TOTAL_ACCEPTED, 1);
    bill_count(TOTAL_OPEN, 1);
}

static void listen_to(struct loop *l, struct listener *from, bool on)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = from};
    epoll_ctl(l->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, from->l.fd, &ev);
    from->paused = !on;
}

static void on_accept(struct loop *l, struct listener *from)
{
    if (clock_now_us() < atomic_load(&accept_pause_until_us)) {
        listen_to(l, from, false);
        return;
    }
    for (int i = 0; i < 64; i++) {
        int fd = accept4(from->l.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        open_conn(l, fd, &from->l);
    }
}

static bool is_listener(const struct loop *l, const void *p)
{
    return (const char *)p >= (const char *)l->listeners &&
           (const char *)p < (const char *)(l->listeners + LOOP_MAX_LISTENERS);
}

/* ---- the loop ---- */

static void reap(struct loop *l)
{
    while (l->closed != NULL) {
        struct conn *c = l->closed;
        l->closed = c->next_closed;
        conn_free(c);
    }
}

static void run_timers(struct loop *l)
{
    int64_t now = clock_now_us();
    for (struct timer *t; (t = timers_first(&l->timers)) != NULL && t->due_us <= now;) {
        timer_unset(&l->timers, t);
        on_timer((struct conn *)((char *)t - offsetof(struct conn, timer)));
    }
}

static void release_held(struct loop *l)
{
    for (struct conn *c = l->conns; c != NULL; c = c->next) {
        if (c->state != CONN_SEND || !c->held)
            continue;
        c->held = false;
        conn_run(c);
    }
}

static void on_wake(struct loop *l)
{
    uint64_t n;
    if (read(l->wake, &n, sizeof n) < 0 && errno != EAGAIN)
        abort();
    if (atomic_exchange(&l->release, false))
        release_held(l);
}

/* Microseconds until something is due; < 0: nothing is. */
static int64_t time_left(struct loop *l)
{
    int64_t now = clock_now_us(), due = -1, pause = atomic_load(&accept_pause_until_us);
    const struct timer *t = timers_first(&l->timers);
    if (t != NULL)
        due = t->due_us;
    for (size_t i = 0; i < l->nlisteners; i++) {
        if (!l->listeners[i].paused)
            continue;
        if (pause <= now)
            listen_to(l, &l->listeners[i], true);
        else if (due < 0 || pause < due)
            due = pause;
    }
    return due < 0 ? -1 : due > now ? due - now : 0;
}

static void turn(struct loop *l)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int64_t left = time_left(l);
    struct timespec ts = {left / 1000000, left % 1000000 * 1000};
    int n = epoll_pwait2(l->epoll, events, EVENTS_PER_TURN, left < 0 ? NULL : &ts, NULL);
    for (int i = 0; i < n; i++) {
        void *p = events[i].data.ptr;
        if (p == l)
            on_wake(l);
        else if (is_listener(l, p))
            on_accept(l, p);
        else
            on_conn_event(p, events[i].events);
    }
    run_timers(l);
    reap(l);
}

struct loop *loop_new(const struct serve_options *o, const struct loop_listener *listeners,
                      size_t n)
{
    struct loop *l = xcalloc(1, sizeof *l);
    l->options = o;
    l->cache = serve_cache_new();
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = l};
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &ev);
    for (size_t i = 0; i < n; i++) {
        l->listeners[i].l = listeners[i];
        listen_to(l, &l->listeners[i], true);
    }
    l->nlisteners = n;
    return l;
}

void loop_run(struct loop *l)
{
    while (!atomic_load(&l->stop))
        turn(l);
}

void loop_free(struct loop *l)
{
    for (struct conn *c = l->conns; c != NULL; c = c->next)
        conn_lost(c);
    reap(l);
    for (size_t i = 0; i < l->nlisteners; i++)
        close(l->listeners[i].l.fd);
    timers_fini(&l->timers);
    serve_cache_free(l->cache);
    close(l->epoll);
    close(l->wake);
    free(l);
}

static void wake(struct loop *l)
{
    uint64_t one = 1;
    if (write(l->wake, &one, sizeof one) < 0 && errno != EAGAIN)
        abort();
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->stop, true);
    wake(l);
}

void loop_release(struct loop *l)
{
    atomic_store(&l->release, true);
    wake(l);
}

void loop_pause_accept(int64_t until_us)
{
    atomic_store(&accept_pause_until_us, until_us);
}
