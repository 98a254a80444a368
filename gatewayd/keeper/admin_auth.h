/*
 * admin_auth.h: who is calling the admin API, and may they.
 *
 * Unix socket: the kernel's word for the peer. Root, the daemon's own user and members of
 * `[admin] group` are admins, all others are refused.
 * TCP: a bearer token decides: admin, viewer or metrics. Without one only the open routes, and the
 * metrics on a loopback listener while no metrics_token is set, are answered.
 * Against web pages: an Origin that isn't the API's own is refused, whatever else the request
 * brings; and Host must be an address, localhost or the machine's own name, so that a name which
 * its owner points at this machine (DNS rebinding) opens nothing.
 *
 * Decides only; answering is the server's part. Guessing is slowed by a bucket per address.
 */
#ifndef GW_KEEPER_ADMIN_AUTH_H
#define GW_KEEPER_ADMIN_AUTH_H

#include "common/crypto.h"
#include "common/errbuf.h"
#include "gatewayd/http/head.h"
#include "gatewayd/keeper/admin_route.h"
#include "gatewayd/net/addr.h"

#include <sys/types.h>

struct conf;
struct secrets;

enum { ADMIN_WHO_BYTES = 64, ADMIN_AUTH_BUCKETS = 256 };

/* Of one generation. Tokens are kept as their digests. */
struct admin_policy {
    bool has_group;
    gid_t group;
    struct {
        bool set;
        uint8_t digest[CRYPTO_SHA256_BYTES];
    } token[ADMIN_ROLE_ADMIN + 1]; /* by role */
};
GW_MUSTUSE int admin_policy_build(struct admin_policy *p, const struct conf *conf,
                                  const struct secrets *secrets, struct errbuf *e);

/* The other end of a connection. */
struct admin_peer {
    bool is_unix;
    bool loopback; /* the listener's own address */
    struct net_addr addr;
    uid_t uid; /* unix */
    gid_t gid;
    gid_t groups[64]; /* supplementary */
    unsigned n_groups;
};
/* Asks the kernel about an accepted socket. */
GW_MUSTUSE int admin_peer_of(int fd, struct admin_peer *out, struct errbuf *e);

/* Failed attempts: ten at once, then one in six seconds, by address; addresses of the same hash
 * share a bucket. */
struct admin_throttle {
    int64_t paid_at_us[ADMIN_AUTH_BUCKETS]; /* the bucket's debt, as the time when it is paid */
};

struct admin_verdict {
    enum admin_role role;      /* at least what the route wants, if status is 0 */
    uint16_t status;           /* 0, or 401, 403, 429 */
    const char *code;          /* of the error */
    const char *message;       /* what to do */
    uint32_t retry_after_s;    /* of 429 */
    char who[ADMIN_WHO_BYTES]; /* for the audit trail: "unix:uid=0", "admin-token" */
};
void admin_auth(const struct admin_policy *p, struct admin_throttle *t,
                const struct admin_peer *peer, const struct http_request *req,
                enum admin_role wanted, int64_t now_mono_us, struct admin_verdict *v);

#endif
