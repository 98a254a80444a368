/*
 * uconn.h: connections to providers, and the pools that keep them.
 *
 * An endpoint is one place to connect to on behalf of one credential: address, TLS context, proxy,
 * limits, and a pool of idle connections. It outlives a reload when nothing of that changed.
 * Connections are never shared between credentials: whatever one leaves behind can't reach
 * another's request.
 *
 * A uconn is used by one attempt at a time:
 *
 *     RESOLVE -> CONNECT -> PROXY -> TLS -> BUSY <-> IDLE
 *          any state -> CLOSED
 *
 * An idle connection on which anything arrives, or that has ended, is closed; it is looked at once
 * more right before it is used. The request itself is the attempt's business: this file never
 * writes a byte of it.
 */
#ifndef GW_WORKER_UCONN_H
#define GW_WORKER_UCONN_H

#include "common/buf.h"
#include "gatewayd/net/io.h"
#include "gatewayd/worker/outcome.h"
#include "gatewayd/worker/snapshot.h"
#include "gatewayd/worker/worker.h"

#include <event2/event_struct.h>

#define UCONN_STATES(X) X(RESOLVE) X(CONNECT) X(PROXY) X(TLS) X(BUSY) X(IDLE) X(CLOSED)
enum uconn_state {
#define X(name) UCONN_##name,
    UCONN_STATES(X)
#undef X
};
const char *uconn_state_name(enum uconn_state s);

struct attempt;

struct uconn {
    uint32_t magic;
    enum uconn_state state;
    struct worker *w;
    struct endpoint *ep; /* counted */
    struct attempt *owner;
    struct list node; /* of the endpoint's idle list */
    struct later start, end;
    struct io io;
    struct event ev_read, ev_write;
    bool reading, writing;
    bool reused;
    struct wheel_timer timer; /* connecting: next address; idle: expiry */
    struct uconn_dial *dial;  /* while connecting */
};

/* Of a provider and credential in a new generation: the running endpoint with the same properties,
 * or a new one. Counted. NULL with e filled. */
struct endpoint *endpoint_get(struct worker *w, const struct conf *conf,
                              const struct secrets *secrets, const struct conf_credential *cred,
                              struct errbuf *e);
void endpoint_unref(struct endpoint *ep);

enum uconn_acquired {
    UCONN_READY,   /* uc is BUSY and the attempt's */
    UCONN_PENDING, /* attempt_on_connected or attempt_on_connect_failed comes later */
    UCONN_NONE,    /* max_connections of the endpoint are in use */
};

/* A connection for an attempt. `fresh` refuses pooled ones. */
enum uconn_acquired uconn_acquire(struct endpoint *ep, struct attempt *owner, bool fresh,
                                  struct uconn **out);
/* The attempt is done with it. reusable: the answer was complete and nothing followed it. */
void uconn_release(struct uconn *uc, bool reusable);
/* Whether the attempt is to be told that the socket is readable (back-pressure) or writable. */
void uconn_want_read(struct uconn *uc, bool on);
void uconn_want_write(struct uconn *uc, bool on);
/* Bytes are left that TLS has taken off the socket already: nothing would tell of them. */
void uconn_read_soon(struct uconn *uc);
/* Closes every idle connection of the worker. */
void uconn_close_idle(struct worker *w);

#endif
