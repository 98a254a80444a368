/*
 * conn.h: a client's connection: reading requests, writing answers, keep-alive, limits and
 * deadlines.
 *
 *     PROXY -> TLS -> HEAD -> BODY -> BUSY -> HEAD ...      LINGER -> CLOSED
 *
 * PROXY and TLS only where the listener says so. One request at a time: what a client pipelines
 * waits in `in` and is looked at in order. After an error that leaves the framing in doubt the
 * answer goes out with `Connection: close`, the sending side is shut, what still comes is read and
 * dropped for a short while (LINGER, so that the client gets the answer and not a reset), then the
 * socket is closed.
 *
 * Knows bytes, heads and deadlines; what a request means is req.h's.
 */
#ifndef GW_WORKER_CONN_H
#define GW_WORKER_CONN_H

#include "gatewayd/net/addr.h"
#include "gatewayd/net/io.h"
#include "gatewayd/worker/snapshot.h"
#include "gatewayd/worker/worker.h"

#include <event2/event_struct.h>

#define CONN_STATES(X) X(PROXY) X(TLS) X(HEAD) X(BODY) X(BUSY) X(LINGER) X(CLOSED)
enum conn_state {
#define X(name) CONN_##name,
    CONN_STATES(X)
#undef X
};
const char *conn_state_name(enum conn_state s);

struct req;

struct conn {
    uint32_t magic;
    enum conn_state state;
    struct worker *w;
    struct list node;
    struct later again, end;
    struct io io;
    struct event ev_read, ev_write;
    bool reading, writing;
    bool close_after; /* no further request on this connection */
    bool eof;         /* the client has shut its sending side */
    bool lost;        /* nothing can be written any more */
    bool cut;         /* the last answer is incomplete, which the client must see */
    bool tls;
    bool running; /* inside consume(): a finished request is followed there */
    bool http10;  /* of the current request */
    struct wheel_timer timer;
    struct net_addr peer;
    struct buf in; /* bytes of the next request(s) */
    size_t in_held, out_held;
    size_t scan_from;
    struct buf out;
    size_t out_at; /* written so far */
    struct req *req;
    uint64_t n_requests;
    int64_t head_since_us; /* first byte of the head that is being read; 0: idle */
};

/* Takes an accepted, non-blocking fd. Closes it on failure. */
void conn_new(struct worker *w, int fd, const struct sockaddr *sa, socklen_t sa_len, bool tls,
              bool proxy_protocol);

/*
 * For the request. Writes what goes at once and keeps the rest, in order; bytes are copied when
 * they have to wait. False when the client can't be reached any more (then conn->lost is set).
 */
bool conn_send(struct conn *c, const struct iovec *iov, int n_iov);
/* Bytes that wait for the client. Above WORKER_OUT_HIGH_BYTES the request must pause its provider
 * until req_on_client_drained comes. */
static inline size_t conn_pending(const struct conn *c)
{
    return c->out.len - c->out_at;
}
/* The body is complete: what comes now belongs to the next request. */
void conn_busy(struct conn *c);
/* The answer is complete: the next request, or the end of the connection. */
void conn_finish(struct conn *c);
/* The answer can't be completed: closes so that no client takes it for complete. */
void conn_abort(struct conn *c);
/* In drain: ends idle connections; the others close behind their answer. */
void conn_drain_all(struct worker *w);
void conn_close_all(struct worker *w);

#endif
