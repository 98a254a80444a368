/*
 * accept.c: the accept gate.
 *
 * A wake-up takes one connection: who is busy comes late and takes less. EPOLLEXCLUSIVE would spare
 * the other workers the wake-up, but libevent 2.1 can't ask for it, and through a nested epoll
 * descriptor it has no effect (nobody sleeps in the inner one).
 */
#include "gatewayd/worker/accept.h"

#include "common/check.h"
#include "common/log.h"
#include "gatewayd/worker/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <event2/event.h>
#include <unistd.h>

enum {
    GATE_US = 2000,
    ACCEPT_PAUSE_US = 100000,
    /* So many pauses in a row with a connection in the queue: the others can't take it. */
    STUCK_PAUSES = 5,
};

struct accept_gate {
    struct worker *w;
    int spare_fd; /* given up for a moment when descriptors run out, to answer at all */
    bool armed;
    unsigned stuck; /* pauses in a row at whose end somebody waited */
    struct listener *listeners;
    size_t n;
    struct event *timer;
};

static void arm(struct accept_gate *g, bool on)
{
    if (g->armed == on)
        return;
    g->armed = on;
    for (size_t i = 0; i < g->n; i++) {
        if (on)
            event_add(g->listeners[i].ready, NULL);
        else
            event_del(g->listeners[i].ready);
    }
}

static void pause_for(struct accept_gate *g, long us)
{
    struct timeval tv = {.tv_usec = us};
    arm(g, false);
    event_add(g->timer, &tv);
}

/* More than 1.125 times the average and one. */
static bool over_share(const struct accept_gate *g)
{
    uint64_t sum;
    uint32_t n_ready;
    control_connections(g->w->child->control, &sum, &n_ready);
    return n_ready > 1 && (uint64_t)g->w->n_conns * n_ready * 8 > sum * 9 + 8 * n_ready;
}

/* No descriptor is left: with the spare one the client is at least not kept waiting. */
static void out_of_descriptors(struct accept_gate *g, int listen_fd)
{
    LOG_EVERY(1000000, LOG_LEVEL_ERROR, "out of file descriptors, connection refused");
    close(g->spare_fd);
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    g->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pause_for(g, ACCEPT_PAUSE_US);
}

static void accept_one(struct accept_gate *g, const struct listener *l)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    int fd = accept4(l->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        atomic_fetch_add_explicit(&g->w->child->self->accepted_total, 1, memory_order_relaxed);
        conn_new(g->w, fd, (struct sockaddr *)&ss, len, l->tls, l->proxy_protocol);
    } else if (errno == EMFILE || errno == ENFILE) {
        out_of_descriptors(g, l->fd);
    } else if (errno == ENOBUFS || errno == ENOMEM) {
        pause_for(g, ACCEPT_PAUSE_US);
    }
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;
    if (over_share(l->gate))
        pause_for(l->gate, GATE_US);
    else
        accept_one(l->gate, l);
}

/* A listener whose queue isn't empty, or NULL. */
static const struct listener *waited_for(const struct accept_gate *g)
{
    for (size_t i = 0; i < g->n; i++) {
        struct pollfd p = {.fd = g->listeners[i].fd, .events = POLLIN};
        if (poll(&p, 1, 0) > 0)
            return &g->listeners[i];
    }
    return NULL;
}

/* The share counts workers that are stopped or hang, until the master has noticed: their part of
 * the connections is for those that run. */
static void on_gate_timer(evutil_socket_t fd, short what, void *arg)
{
    struct accept_gate *g = arg;
    if (!over_share(g)) {
        g->stuck = 0;
        arm(g, true);
        return;
    }
    const struct listener *l = waited_for(g);
    g->stuck = l ? g->stuck + 1 : 0;
    pause_for(g, GATE_US);
    if (g->stuck > STUCK_PAUSES)
        accept_one(g, l);
}

int accept_init(struct worker *w, struct errbuf *e)
{
    struct accept_gate *g = calloc(1, sizeof *g);
    if (!g)
        return err_set(e, "out of memory");
    g->w = w;
    g->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    w->gate = g;
    if (g->spare_fd < 0)
        return err_set_errno(e, "/dev/null");
    g->timer = event_new(w->base, -1, 0, on_gate_timer, g);
    return g->timer ? 0 : err_set(e, "out of memory");
}

void accept_fini(struct worker *w)
{
    struct accept_gate *g = w->gate;
    if (!g || !g->timer)
        return;
    accept_set(w, NULL, 0);
    event_free(g->timer);
    close(g->spare_fd);
    free(g);
    w->gate = NULL;
}

void accept_set(struct worker *w, struct listener *listeners, size_t n)
{
    struct accept_gate *g = w->gate;
    event_del(g->timer);
    arm(g, false);
    for (size_t i = 0; i < g->n; i++) {
        event_free(g->listeners[i].ready);
        g->listeners[i].ready = NULL;
    }
    g->listeners = listeners;
    g->n = n;
    for (size_t i = 0; i < n; i++) {
        listeners[i].gate = g;
        listeners[i].ready =
            event_new(w->base, listeners[i].fd, EV_READ | EV_PERSIST, on_ready, &listeners[i]);
        GW_REQUIRE(listeners[i].ready);
    }
    arm(g, true);
}
