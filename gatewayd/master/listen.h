/*
 * listen.h: the listening sockets of a generation.
 *
 * The master owns every one of them for as long as a generation names its address, so that a dying
 * worker takes no queued connection with it and a reload never closes an address that stays. What
 * systemd handed over is used before anything is bound.
 */
#ifndef GW_MASTER_LISTEN_H
#define GW_MASTER_LISTEN_H

#include "gatewayd/ipc.h"
#include "gatewayd/master/sdnotify.h"

struct listener {
    struct ipc_listen spec;
    int fd;       /* non-blocking, close-on-exec, listening */
    bool shared;  /* the set before owns the same descriptor */
    bool adopted; /* from systemd: its file is not ours to remove */
};

struct listen_set {
    struct listener v[IPC_MAX_LISTENERS];
    size_t n;
};

/* Sockets that systemd handed over and no generation has asked for yet. */
struct listen_pool {
    struct sdnotify_fd v[SDNOTIFY_MAX_FDS];
    size_t n;
};

enum { LISTEN_TEXT_BYTES = 160 };
/* "127.0.0.1:8080", "[::1]:8080", "unix:/run/x.sock" */
const char *listen_text(const struct ipc_listen *spec, char out[LISTEN_TEXT_BYTES]);

/* Makes the sockets for `spec`: those that `old` has are shared with it, then the pool's, the rest
 * is bound. -1: nothing of it is left open and e names the address. */
GW_MUSTUSE int listen_open(struct listen_set *set, const struct ipc_listen *spec, size_t n,
                           const struct listen_set *old, struct listen_pool *pool,
                           struct errbuf *e);
/* `set` is dropped while the one before stays: closes what it doesn't share. */
void listen_discard(struct listen_set *set);
/* `set` replaces `old`: closes (and unlinks) what only old has, set owns the rest; old is empty. */
void listen_replace(struct listen_set *set, struct listen_set *old);
/* Closes those of `kind`; unix sockets of our own are unlinked. */
void listen_close(struct listen_set *set, enum listen_kind kind);

#endif
