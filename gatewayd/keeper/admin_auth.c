/*
 * admin_auth.c: peer credentials, bearer tokens, Host and Origin.
 */
#include "gatewayd/keeper/admin_auth.h"

#include "common/conf.h"
#include "common/dns_shm.h"
#include "common/secrets.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THROTTLE_STEP_US = 6 * 1000 * 1000, THROTTLE_BURST = 10 };

static void take_token(struct admin_policy *p, enum admin_role role, const struct conf_secret *ref,
                       const struct secrets *secrets)
{
    struct secret s;
    if (!ref->blob.n || !secrets_get(secrets, ref->blob, &s))
        return;
    p->token[role].set = true;
    crypto_sha256(s.data.p, s.data.n, p->token[role].digest);
}

int admin_policy_build(struct admin_policy *p, const struct conf *conf,
                       const struct secrets *secrets, struct errbuf *e)
{
    *p = (struct admin_policy){0};
    if (conf->admin.group.n) {
        errno = 0;
        const struct group *g = getgrnam(conf->admin.group.p);
        if (!g)
            return err_set(e, "[admin] group = %s: no such group; create it or change the line",
                           conf->admin.group.p);
        p->has_group = true;
        p->group = g->gr_gid;
    }
    take_token(p, ADMIN_ROLE_ADMIN, &conf->admin.token, secrets);
    take_token(p, ADMIN_ROLE_VIEWER, &conf->admin.viewer_token, secrets);
    take_token(p, ADMIN_ROLE_METRICS, &conf->admin.metrics_token, secrets);
    return 0;
}

int admin_peer_of(int fd, struct admin_peer *out, struct errbuf *e)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    *out = (struct admin_peer){0};
    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        return err_set_errno(e, "getsockname");
    if (ss.ss_family != AF_UNIX) {
        struct net_addr own;
        net_addr_from_sockaddr(&own, (struct sockaddr *)&ss, len);
        out->loopback = net_addr_is_loopback(&own);
        len = sizeof(ss);
        if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
            return err_set_errno(e, "getpeername");
        net_addr_from_sockaddr(&out->addr, (struct sockaddr *)&ss, len);
        return 0;
    }
    out->is_unix = true;
    struct ucred cred;
    len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return err_set_errno(e, "SO_PEERCRED");
    out->uid = cred.uid;
    out->gid = cred.gid;
    /* The supplementary groups that the peer had when it connected: no look-up in any user
     * database (unix(7) has SO_PEERCRED only; SO_PEERGROUPS is Linux 4.13). */
    len = sizeof(out->groups);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, out->groups, &len) == 0)
        out->n_groups = len / sizeof(out->groups[0]);
    else if (errno != ERANGE)
        return err_set_errno(e, "SO_PEERGROUPS");
    return 0;
}

static bool in_group(const struct admin_peer *peer, gid_t gid)
{
    for (unsigned i = 0; i < peer->n_groups; i++)
        if (peer->groups[i] == gid)
            return true;
    return peer->gid == gid;
}

static void refuse(struct admin_verdict *v, uint16_t status, const char *code, const char *message)
{
    v->status = status;
    v->code = code;
    v->message = message;
}

/* The address alone, v6 by its /64: what one guesser commands. */
static uint64_t guesser_of(const struct admin_peer *peer)
{
    if (peer->addr.sa.sa_family == AF_INET6)
        return slice_hash(slice_of((const char *)&peer->addr.in6.sin6_addr, 8));
    return slice_hash(slice_of((const char *)&peer->addr.in.sin_addr, 4));
}

/* Seconds until the address may try again; 0: now. `charge`: it has just failed. */
static uint32_t throttle(struct admin_throttle *t, const struct admin_peer *peer, int64_t now_us,
                         bool charge)
{
    int64_t *paid_at = &t->paid_at_us[guesser_of(peer) % ADMIN_AUTH_BUCKETS];
    if (charge)
        *paid_at = GW_MAX(*paid_at, now_us) + THROTTLE_STEP_US;
    int64_t over_us = *paid_at - now_us - (int64_t)(THROTTLE_BURST - 1) * THROTTLE_STEP_US;
    return over_us > 0 ? (uint32_t)(over_us / 1000000 + 1) : 0;
}

/* "Bearer" and a token (RFC 6750 §2.1). */
static bool bearer_of(const struct http_request *req, struct slice *token)
{
    struct slice v = http_fields_get(&req->fields, HTTP_H_AUTHORIZATION);
    struct slice scheme = slice_split(&v, ' ');
    if (!v.p || !slice_ieq(scheme, SLICE_LIT("Bearer")))
        return false;
    *token = slice_trim(v);
    return token->n > 0;
}

static enum admin_role role_of_token(const struct admin_policy *p, struct slice token)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_sha256(token.p, token.n, digest);
    enum admin_role found = ADMIN_ROLE_NONE;
    for (int r = ADMIN_ROLE_METRICS; r <= ADMIN_ROLE_ADMIN; r++)
        if (p->token[r].set && crypto_equal(p->token[r].digest, digest, sizeof(digest)))
            found = r;
    return found;
}

/* An address, localhost, or this machine's own name: what no stranger's domain can be. */
static bool host_is_own(const struct http_request *req)
{
    struct slice host, text = http_request_host(req);
    uint16_t port;
    char own[HOST_NAME_MAX + 1] = "";
    if (!text.p || net_hostport_split(text, &host, &port) < 0)
        return false;
    if (dns_host_is_local(host))
        return true;
    return gethostname(own, sizeof(own) - 1) == 0 && slice_ieq(host, slice_str(own));
}

/* Origin: SCHEME "://" Host, where there is one at all (RFC 6454 §6.2). */
static bool origin_is_own(const struct http_request *req)
{
    struct slice origin = http_fields_get(&req->fields, HTTP_H_ORIGIN);
    if (!origin.p)
        return true;
    static const struct slice schemes[] = {{"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (slice_starts_with(origin, schemes[i]))
            return slice_ieq(slice_of(origin.p + schemes[i].n, origin.n - schemes[i].n),
                             http_request_host(req));
    return false;
}

static void auth_unix(const struct admin_policy *p, const struct admin_peer *peer,
                      struct admin_verdict *v)
{
    snprintf(v->who, sizeof(v->who), "unix:uid=%u", (unsigned)peer->uid);
    if (peer->uid == 0 || peer->uid == geteuid() || (p->has_group && in_group(peer, p->group)))
        v->role = ADMIN_ROLE_ADMIN;
    else
        refuse(v, 403, "peer_not_allowed",
               "this user may not use the admin socket: be root, the daemon's own user, or a "
               "member of the group named in [admin] group");
}

static void auth_tcp(const struct admin_policy *p, struct admin_throttle *t,
                     const struct admin_peer *peer, const struct http_request *req,
                     enum admin_role wanted, int64_t now_us, struct admin_verdict *v)
{
    struct slice token;
    bool has_token = bearer_of(req, &token);
    if (has_token) {
        v->retry_after_s = throttle(t, peer, now_us, false);
        if (v->retry_after_s) {
            refuse(v, 429, "too_many_failures", "too many wrong tokens from this address: wait");
            return;
        }
        v->role = role_of_token(p, token);
        snprintf(v->who, sizeof(v->who), "%s-token", admin_role_name(v->role));
        if (v->role == ADMIN_ROLE_NONE) {
            throttle(t, peer, now_us, true);
            refuse(v, 401, "bad_token", "the token is not one of those in [admin]");
        }
        return;
    }
    snprintf(v->who, sizeof(v->who), "tcp:anonymous");
    bool open_metrics = peer->loopback && !p->token[ADMIN_ROLE_METRICS].set;
    v->role = open_metrics ? ADMIN_ROLE_METRICS : ADMIN_ROLE_OPEN;
    if (wanted > v->role)
        refuse(v, 401, "token_required",
               "send `Authorization: Bearer TOKEN` with the token of [admin] token or "
               "viewer_token, or use the unix socket");
}

void admin_auth(const struct admin_policy *p, struct admin_throttle *t,
                const struct admin_peer *peer, const struct http_request *req,
                enum admin_role wanted, int64_t now_us, struct admin_verdict *v)
{
    *v = (struct admin_verdict){.role = ADMIN_ROLE_NONE};
    if (peer->is_unix)
        auth_unix(p, peer, v);
    else
        auth_tcp(p, t, peer, req, wanted, now_us, v);
    if (v->status)
        return;
    if (!peer->is_unix && !host_is_own(req))
        refuse(v, 403, "host_not_allowed",
               "the Host header must be an IP address, localhost or this machine's host name");
    else if (!origin_is_own(req))
        refuse(v, 403, "origin_not_allowed",
               "the request comes from a web page of another origin and is refused");
    else if (v->role < wanted)
        refuse(v, 403, "role_not_allowed",
               "this needs the admin token; the one given may only "
               "look");
}
