/*
 * accept.h: taking connections from the shared listening sockets, fairly between workers.
 *
 * All workers wait on one descriptor an address. Who wakes takes one connection and goes back; a
 * worker that holds clearly more than its share stops listening for about 2 ms, so that long-lived
 * streams don't pile up where the kernel happens to wake first (with EPOLLEXCLUSIVE alone one of
 * four workers got all of 2,000).
 */
#ifndef GW_WORKER_ACCEPT_H
#define GW_WORKER_ACCEPT_H

#include "gatewayd/worker/worker.h"

struct conf_listener;

struct listener {
    int fd; /* owned */
    bool tls;
    bool proxy_protocol;
    /* while it is listened on */
    struct accept_gate *gate;
    struct event *ready;
};

/* Once a worker. */
GW_MUSTUSE int accept_init(struct worker *w, struct errbuf *e);
void accept_fini(struct worker *w);
/* Listens on these from now on (they stay the snapshot's), and on no others. */
void accept_set(struct worker *w, struct listener *listeners, size_t n);

#endif
