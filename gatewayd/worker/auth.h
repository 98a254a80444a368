/*
 * auth.h: whose request it is, and what it may use.
 *
 * The key is taken from where each SDK puts it, hashed, and looked up on every request: declared
 * keys in the snapshot, created ones in LMDB, so a revoked key stops at once everywhere. Fails
 * closed.
 */
#ifndef GW_WORKER_AUTH_H
#define GW_WORKER_AUTH_H

#include "gatewayd/worker/req.h"

struct auth_refusal {
    int status;
    const char *code;
    const char *message;
};

/* Fills r->who. 0, or -1 with *why. */
GW_MUSTUSE int auth_check(struct req *r, struct auth_refusal *why);
/* Whether this key (and its team) may use a name: a [model:...] or `provider/model`. */
bool auth_may_use(struct req *r, struct slice model);
/* Whether neither the key nor its team has a list of models. */
bool auth_is_unrestricted(const struct req *r);
/* Whether the key's own list names `provider/model`, which allows it without [gateway] direct. */
bool auth_lists(struct req *r, struct slice model);

#endif
