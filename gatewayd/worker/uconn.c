/*
 * uconn.c: connecting to providers, and keeping connections.
 *
 * Invariants: ep->n_open counts all uconns of an endpoint that aren't CLOSED; a uconn is on the
 * idle list exactly in IDLE; dial exists exactly in RESOLVE..TLS; while BUSY the events belong to
 * the owner.
 */
#include "gatewayd/worker/uconn.h"

#include "common/check.h"
#include "common/dns_shm.h"
#include "common/log.h"
#include "common/secrets.h"
#include "gatewayd/http/response.h"
#include "gatewayd/net/addr.h"
#include "gatewayd/net/tls.h"
#include "gatewayd/worker/attempt.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    UCONN_MAGIC = 0x75634e21,
    /* A name that isn't resolved yet is looked at again after this. */
    DNS_POLL_US = 10000,
    /* One address may take this share of the deadline when others are left. */
    ADDRESS_MIN_US = 250000,
    PROXY_HEAD_MAX_BYTES = 8192,
};

struct endpoint {
    struct list node; /* of worker.endpoints */
    struct worker *w;
    unsigned refs;
    char *key; /* all that makes two endpoints different; holds no secret */
    char *host;
    uint16_t port;
    char *sni; /* NULL: plain */
    struct tls_ctx *tls;
    struct tls_sessions *sessions;
    bool has_proxy;
    char *proxy_host;
    uint16_t proxy_port;
    int64_t connect_timeout_us, pool_idle_us;
    size_t max_connections;
    struct list idle; /* struct uconn, most recently used first */
    size_t n_open;
};

/* What only connecting needs. */
struct uconn_dial {
    struct sockaddr_storage addrs[DNS_MAX_ADDRS];
    unsigned n_addrs, next;
    int64_t deadline_us;
    enum attempt_end failure; /* of the last address */
    char reason[128];
    struct buf proxy; /* CONNECT request, then the proxy's answer */
    size_t proxy_sent;
    bool proxy_request_sent;
    struct http_response_reader proxy_reader;
};

static const char *const state_names[] = {
#define X(name) #name,
    UCONN_STATES(X)
#undef X
};

const char *uconn_state_name(enum uconn_state s)
{
    return state_names[s];
}

/* ---- endpoints ---- */

static struct slice secret_bytes(const struct secrets *secrets, const struct conf_secret *ref)
{
    struct secret s;
    if (ref->blob.n == 0 || !secrets_get(secrets, ref->blob, &s))
        return slice_of(NULL, 0);
    return s.data;
}

static int key_add_digest(struct buf *key, struct slice bytes)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    char hex[CRYPTO_SHA256_HEX + 1];
    crypto_sha256(bytes.p, bytes.n, digest);
    crypto_hex(digest, sizeof digest, hex);
    return buf_printf(key, "|%s", hex);
}

/* The credential is in the key by its name and the digest of its secret: a pool is a tenant's. */
static char *endpoint_key(const struct conf *conf, const struct secrets *secrets,
                          const struct conf_credential *cred)
{
    const struct conf_provider *p = cred->provider;
    struct buf key;
    buf_init(&key, 8192);
    int rc =
        buf_printf(&key, "%.*s|%.*s|%d|%.*s|%u|%.*s|%.*s|%u|%lld|%lld|%lld", SLICE_FMT(p->name),
                   SLICE_FMT(cred->name), p->base_url.tls, SLICE_FMT(p->base_url.host),
                   p->base_url.port, SLICE_FMT(p->host_header), SLICE_FMT(p->proxy.host),
                   p->has_proxy ? p->proxy.port : 0, (long long)p->connect_timeout_us,
                   (long long)p->pool_idle_us, (long long)p->max_connections);
    const struct conf_secret *blobs[] = {&cred->secret, p->ca.blob.n ? &p->ca : &conf->gateway.ca,
                                         &p->client_certificate, &p->client_key};
    for (size_t i = 0; i < ARRAY_LEN(blobs); i++)
        if (key_add_digest(&key, secret_bytes(secrets, blobs[i])) < 0)
            rc = -1;
    GW_REQUIRE(rc >= 0);
    char *text = gw_xstrndup(key.data, key.len);
    buf_release(&key);
    return text;
}

static struct tls_ctx *client_tls(const struct conf *conf, const struct secrets *secrets,
                                  const struct conf_provider *p, struct errbuf *e)
{
    struct slice pem = secret_bytes(secrets, p->ca.blob.n ? &p->ca : &conf->gateway.ca);
    struct tls_ca *ca =
        pem.n ? tls_ca_load((struct tls_pem){pem, "ca_file"}, e) : tls_ca_load_system(e);
    if (!ca)
        return NULL;
    struct tls_client_options o = {
        .ca = ca,
        .client_certificate = {secret_bytes(secrets, &p->client_certificate), "client_certificate"},
        .client_key = {secret_bytes(secrets, &p->client_key), "client_key"},
    };
    struct tls_ctx *ctx = tls_client_new(&o, e);
    tls_ca_free(ca);
    return ctx;
}

/* Host part of "host" or "host:port"; brackets of an IPv6 literal are taken off. */
static char *host_of(struct slice authority)
{
    struct slice host;
    uint16_t port;
    if (net_hostport_split(authority, &host, &port) < 0)
        host = authority;
    return gw_xstrndup(host.p, host.n);
}

static void endpoint_free(struct endpoint *ep)
{
    list_del(&ep->node);
    tls_ctx_free(ep->tls);
    tls_sessions_free(ep->sessions);
    free(ep->key);
    free(ep->host);
    free(ep->sni);
    free(ep->proxy_host);
    free(ep);
}

static struct endpoint *endpoint_new(struct worker *w, char *key, const struct conf *conf,
                                     const struct secrets *secrets, const struct conf_provider *p,
                                     struct errbuf *e)
{
    struct endpoint *ep = gw_xcalloc(1, sizeof *ep);
    ep->w = w;
    ep->refs = 1;
    ep->key = key;
    ep->host = gw_xstrndup(p->base_url.host.p, p->base_url.host.n);
    ep->port = p->base_url.port;
    ep->has_proxy = p->has_proxy;
    ep->proxy_host = gw_xstrndup(p->proxy.host.p ? p->proxy.host.p : "", p->proxy.host.n);
    ep->proxy_port = p->proxy.port;
    ep->connect_timeout_us = p->connect_timeout_us;
    ep->pool_idle_us = p->pool_idle_us;
    ep->max_connections = p->max_connections > 0 ? (size_t)p->max_connections : SIZE_MAX;
    list_init(&ep->idle);
    list_append(&w->endpoints, &ep->node);
    if (p->base_url.tls) {
        ep->sni = host_of(p->host_header);
        ep->sessions = tls_sessions_new();
        ep->tls = client_tls(conf, secrets, p, e);
        if (!ep->tls) {
            endpoint_free(ep);
            return NULL;
        }
    }
    return ep;
}

struct endpoint *endpoint_get(struct worker *w, const struct conf *conf,
                              const struct secrets *secrets, const struct conf_credential *cred,
                              struct errbuf *e)
{
    char *key = endpoint_key(conf, secrets, cred);
    list_foreach(it, &w->endpoints)
    {
        struct endpoint *ep = list_entry(it, struct endpoint, node);
        if (strcmp(ep->key, key) == 0) {
            free(key);
            ep->refs++;
            return ep;
        }
    }
    return endpoint_new(w, key, conf, secrets, cred->provider, e);
}

static void uconn_close(struct uconn *uc);

void endpoint_unref(struct endpoint *ep)
{
    if (!ep || --ep->refs > 0)
        return;
    endpoint_free(ep);
}

/* ---- the machine ---- */

static void uconn_set_state(struct uconn *uc, enum uconn_state to)
{
    uc->state = to;
}

static void on_read_event(evutil_socket_t fd, short what, void *arg);
static void on_write_event(evutil_socket_t fd, short what, void *arg);
static void on_timer(struct wheel_timer *t);
static void dial_run(struct uconn *uc);

static void start_dial(struct later *l)
{
    struct uconn *uc = container_of(l, struct uconn, start);
    if (uc->state == UCONN_RESOLVE)
        dial_run(uc);
}

void uconn_want_read(struct uconn *uc, bool on)
{
    if (uc->reading == on || uc->io.fd < 0)
        return;
    uc->reading = on;
    if (!on)
        event_del(&uc->ev_read);
    else if (io_has_buffered(&uc->io))
        uconn_read_soon(uc);
    else
        event_add(&uc->ev_read, NULL);
}

void uconn_read_soon(struct uconn *uc)
{
    static const struct timeval soon = {0, 1}; /* of 0 libevent takes a lasting event away */
    event_add(&uc->ev_read, &soon);
}

void uconn_want_write(struct uconn *uc, bool on)
{
    if (uc->writing == on || uc->io.fd < 0)
        return;
    uc->writing = on;
    if (on)
        event_add(&uc->ev_write, NULL);
    else
        event_del(&uc->ev_write);
}

static void free_uconn(struct later *l)
{
    struct uconn *uc = container_of(l, struct uconn, end);
    endpoint_unref(uc->ep);
    free(uc);
}

static void dial_free(struct uconn *uc)
{
    if (!uc->dial)
        return;
    buf_release(&uc->dial->proxy);
    free(uc->dial);
    uc->dial = NULL;
}

static void close_socket(struct uconn *uc)
{
    uconn_want_read(uc, false);
    uconn_want_write(uc, false);
    io_close(&uc->io);
}

static void uconn_close(struct uconn *uc)
{
    if (uc->state == UCONN_CLOSED)
        return;
    uconn_set_state(uc, UCONN_CLOSED);
    worker_cancel(uc->w, &uc->timer);
    list_del(&uc->node);
    close_socket(uc);
    dial_free(uc);
    uc->owner = NULL;
    uc->ep->n_open--;
    worker_later(uc->w, &uc->end, free_uconn);
}

void uconn_close_idle(struct worker *w)
{
    list_foreach(e, &w->endpoints)
    {
        struct endpoint *ep = list_entry(e, struct endpoint, node);
        list_foreach(it, &ep->idle) uconn_close(list_entry(it, struct uconn, node));
    }
}

static struct uconn *uconn_new(struct endpoint *ep, struct attempt *owner)
{
    struct uconn *uc = gw_xcalloc(1, sizeof *uc);
    uc->magic = UCONN_MAGIC;
    uc->w = ep->w;
    uc->ep = ep;
    ep->refs++;
    ep->n_open++;
    uc->owner = owner;
    uc->io.fd = -1;
    list_init(&uc->node);
    wheel_timer_init(&uc->timer, on_timer);
    uc->dial = gw_xcalloc(1, sizeof *uc->dial);
    buf_init(&uc->dial->proxy, PROXY_HEAD_MAX_BYTES);
    uc->dial->deadline_us = clock_mono_us() + ep->connect_timeout_us;
    uc->dial->failure = END_NO_ADDRESS;
    return uc;
}

static struct uconn *take_idle(struct endpoint *ep)
{
    while (!list_empty(&ep->idle)) {
        struct uconn *uc = list_entry(ep->idle.next, struct uconn, node);
        if (!io_peek_dead(&uc->io))
            return uc;
        uconn_close(uc);
    }
    return NULL;
}

enum uconn_acquired uconn_acquire(struct endpoint *ep, struct attempt *owner, bool fresh,
                                  struct uconn **out)
{
    struct uconn *uc = fresh ? NULL : take_idle(ep);
    if (uc) {
        list_del(&uc->node);
        worker_cancel(uc->w, &uc->timer);
        uc->owner = owner;
        uc->reused = true;
        uconn_set_state(uc, UCONN_BUSY);
        *out = uc;
        return UCONN_READY;
    }
    if (ep->n_open >= ep->max_connections && fresh && !list_empty(&ep->idle))
        uconn_close(list_entry(ep->idle.prev, struct uconn, node));
    if (ep->n_open >= ep->max_connections)
        return UCONN_NONE;
    *out = uc = uconn_new(ep, owner);
    uconn_set_state(uc, UCONN_RESOLVE);
    worker_later(uc->w, &uc->start, start_dial); /* never calls the owner from in here */
    return UCONN_PENDING;
}

void uconn_release(struct uconn *uc, bool reusable)
{
    struct endpoint *ep = uc->ep;
    bool keep = reusable && uc->state == UCONN_BUSY && ep->refs > 1 && ep->pool_idle_us > 0 &&
                uc->w->mode != WORKER_DRAINING;
    uc->owner = NULL;
    if (!keep || io_has_buffered(&uc->io)) {
        uconn_close(uc);
        return;
    }
    uconn_set_state(uc, UCONN_IDLE);
    uconn_want_write(uc, false);
    uconn_want_read(uc, true);
    list_prepend(&ep->idle, &uc->node);
    worker_arm(uc->w, &uc->timer, clock_mono_us() + ep->pool_idle_us);
}

/* ---- dialling ---- */

static void dial_fail(struct uconn *uc)
{
    struct attempt *owner = uc->owner;
    enum attempt_end end = uc->dial->failure;
    char reason[sizeof uc->dial->reason];
    memcpy(reason, uc->dial->reason, sizeof reason);
    uconn_close(uc);
    attempt_on_connect_failed(owner, end, reason);
}

/* Of several addresses, the one that came furthest tells most: a bad certificate on the first is
 * not forgotten because nobody listens on the second. */
static void dial_note(struct uconn *uc, enum attempt_end end, const char *reason)
{
    static const enum attempt_end by_stage[] = {
        END_NO_ADDRESS, END_CONNECT_TIMEOUT, END_CONNECT_FAILED, END_PROXY_FAILED, END_TLS_FAILED};
    size_t had = 0, now = 0;
    for (size_t i = 0; i < ARRAY_LEN(by_stage); i++) {
        had = by_stage[i] == uc->dial->failure ? i : had;
        now = by_stage[i] == end ? i : now;
    }
    if (now < had)
        return;
    uc->dial->failure = end;
    snprintf(uc->dial->reason, sizeof uc->dial->reason, "%s", reason);
}

/* This address didn't do: the next one, or the end. */
static void dial_next(struct uconn *uc)
{
    struct uconn_dial *d = uc->dial;
    close_socket(uc);
    buf_release(&d->proxy);
    d->proxy_sent = 0;
    d->proxy_request_sent = false;
    if (d->next >= d->n_addrs || clock_mono_us() >= d->deadline_us)
        dial_fail(uc);
    else {
        uconn_set_state(uc, UCONN_CONNECT);
        dial_run(uc);
    }
}

static void dial_failed_errno(struct uconn *uc, int err)
{
    dial_note(uc, END_CONNECT_FAILED, strerrordesc_np(err));
    dial_next(uc);
}

static void dial_resolve(struct uconn *uc)
{
    struct uconn_dial *d = uc->dial;
    const struct endpoint *ep = uc->ep;
    struct slice host = slice_str(ep->has_proxy ? ep->proxy_host : ep->host);
    uint16_t port = ep->has_proxy ? ep->proxy_port : ep->port;
    int64_t now = clock_mono_us();
    enum dns_state st = dns_lookup(uc->w->dns, host, port, d->addrs, &d->n_addrs);
    if (d->n_addrs > 0) {
        uconn_set_state(uc, UCONN_CONNECT);
        dial_run(uc);
    } else if (st != DNS_FAILED && now < d->deadline_us) {
        worker_arm(uc->w, &uc->timer, now + DNS_POLL_US);
    } else {
        dial_note(uc, END_NO_ADDRESS, dns_state_name(st));
        dial_fail(uc);
    }
}

static int64_t address_deadline(const struct uconn_dial *d, int64_t now)
{
    int64_t left = d->deadline_us - now;
    unsigned more = d->n_addrs - d->next; /* behind the current one */
    if (more > 0)
        left = GW_MAX(left / (more + 1), GW_MIN(left, (int64_t)ADDRESS_MIN_US));
    return now + left;
}

static bool is_our_want(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

static void socket_failed(struct uconn *uc, int err)
{
    struct uconn_dial *d = uc->dial;
    if (!is_our_want(err)) {
        dial_failed_errno(uc, err);
        return;
    }
    LOG_EVERY(1000000, LOG_LEVEL_ERROR, "no socket for a connection to a provider", LOG_ERRNO(err));
    d->failure = END_NO_SOCKET;
    snprintf(d->reason, sizeof d->reason, "%s", strerrordesc_np(err));
    dial_fail(uc);
}

static void start_connect(struct uconn *uc)
{
    struct uconn_dial *d = uc->dial;
    const struct sockaddr_storage *ss = &d->addrs[d->next++];
    int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        socket_failed(uc, errno);
        return;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    io_init(&uc->io, fd);
    event_assign(&uc->ev_read, uc->w->base, fd, EV_READ | EV_PERSIST, on_read_event, uc);
    event_assign(&uc->ev_write, uc->w->base, fd, EV_WRITE | EV_PERSIST, on_write_event, uc);
    worker_arm(uc->w, &uc->timer, address_deadline(d, clock_mono_us()));
    if (connect(fd, (const struct sockaddr *)ss, dns_sockaddr_len(ss)) < 0 && errno != EINPROGRESS)
        dial_failed_errno(uc, errno);
    else
        uconn_want_write(uc, true);
}

static void finish_connect(struct uconn *uc)
{
    int err = 0;
    socklen_t len = sizeof err;
    uconn_want_write(uc, false);
    if (getsockopt(uc->io.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        err = errno;
    if (err) {
        dial_failed_errno(uc, err);
        return;
    }
    uconn_set_state(uc, uc->ep->has_proxy ? UCONN_PROXY : UCONN_TLS);
    dial_run(uc);
}

static void dial_connect(struct uconn *uc)
{
    if (uc->io.fd < 0)
        start_connect(uc);
    else
        finish_connect(uc);
}

static void proxy_failed(struct uconn *uc, const char *why)
{
    dial_note(uc, END_PROXY_FAILED, why);
    dial_next(uc);
}

/* RFC 9110 section 9.3.6 */
static int proxy_write_request(struct uconn *uc)
{
    struct uconn_dial *d = uc->dial;
    const struct endpoint *ep = uc->ep;
    const char *l = strchr(ep->host, ':') ? "[" : "", *r = *l ? "]" : "";
    return buf_printf(&d->proxy, "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n\r\n", l,
                      ep->host, r, ep->port, l, ep->host, r, ep->port);
}

static void proxy_send(struct uconn *uc)
{
    struct uconn_dial *d = uc->dial;
    if (d->proxy.len == 0 && proxy_write_request(uc) < 0) {
        proxy_failed(uc, "provider host too long");
        return;
    }
    size_t n;
    enum io_status st =
        io_write(&uc->io, d->proxy.data + d->proxy_sent, d->proxy.len - d->proxy_sent, &n);
    if (st == IO_OK)
        d->proxy_sent += n;
    else if (st != IO_WANT_WRITE) {
        proxy_failed(uc, "connection to the proxy lost");
        return;
    }
    d->proxy_request_sent = d->proxy_sent == d->proxy.len;
    uconn_want_write(uc, !d->proxy_request_sent);
    if (d->proxy_request_sent) {
        d->proxy.len = 0;
        http_response_reader_init(&d->proxy_reader);
        uconn_want_read(uc, true);
    }
}

static void proxy_read(struct uconn *uc)
{
    struct uconn_dial *d = uc->dial;
    size_t n, body_at;
    struct http_response res;
    struct http_error err;
    const struct http_limits limits = {.max_head_bytes = PROXY_HEAD_MAX_BYTES};
    if (buf_reserve(&d->proxy, 1) < 0) {
        proxy_failed(uc, "answer of the proxy too long");
        return;
    }
    enum io_status st =
        io_read(&uc->io, d->proxy.data + d->proxy.len, d->proxy.cap - d->proxy.len, &n);
    if (st == IO_WANT_READ)
        return;
    if (st != IO_OK) {
        proxy_failed(uc, "connection to the proxy lost");
        return;
    }
    d->proxy.len += n;
    enum http_step step = http_response_read(&d->proxy_reader, d->proxy.data, d->proxy.len, &limits,
                                             false, &res, &body_at, &err);
    if (step == HTTP_STEP_MORE)
        return;
    if (step == HTTP_STEP_BAD || res.status / 100 != 2 || body_at != d->proxy.len) {
        char why[64];
        snprintf(why, sizeof why, "proxy answered %d to CONNECT",
                 step == HTTP_STEP_BAD ? 0 : res.status);
        proxy_failed(uc, step == HTTP_STEP_BAD ? err.reason : why);
        return;
    }
    uconn_want_read(uc, false);
    uconn_set_state(uc, UCONN_TLS);
    dial_run(uc);
}

static void dial_proxy(struct uconn *uc)
{
    if (uc->dial->proxy_request_sent)
        proxy_read(uc);
    else
        proxy_send(uc);
}

static void dial_done(struct uconn *uc)
{
    worker_cancel(uc->w, &uc->timer);
    dial_free(uc);
    uconn_set_state(uc, UCONN_BUSY);
    uconn_want_write(uc, false);
    uconn_want_read(uc, true);
    attempt_on_connected(uc->owner);
}

static void dial_tls(struct uconn *uc)
{
    struct endpoint *ep = uc->ep;
    if (!ep->tls) {
        dial_done(uc);
        return;
    }
    if (!uc->io.ssl && io_init_tls_client(&uc->io, uc->io.fd, ep->tls, ep->sni, ep->sessions) < 0) {
        dial_note(uc, END_TLS_FAILED, "out of memory");
        dial_next(uc);
        return;
    }
    enum io_status st = io_handshake(&uc->io);
    if (st == IO_OK) {
        dial_done(uc);
    } else if (st == IO_WANT_READ || st == IO_WANT_WRITE) {
        uconn_want_read(uc, st == IO_WANT_READ);
        uconn_want_write(uc, st == IO_WANT_WRITE);
    } else {
        char reason[128];
        dial_note(uc, END_TLS_FAILED, io_reason(&uc->io, reason, sizeof reason));
        dial_next(uc);
    }
}

static void dial_run(struct uconn *uc)
{
    static void (*const steps[])(struct uconn *) = {
        [UCONN_RESOLVE] = dial_resolve,
        [UCONN_CONNECT] = dial_connect,
        [UCONN_PROXY] = dial_proxy,
        [UCONN_TLS] = dial_tls,
    };
    steps[uc->state](uc);
}

/* ---- events ---- */

/* Whatever comes on an idle connection, nobody asked for it. TLS tickets are taken in silence. */
static void idle_readable(struct uconn *uc)
{
    if (io_peek_dead(&uc->io))
        uconn_close(uc);
}

static void on_read_event(evutil_socket_t fd, short what, void *arg)
{
    struct uconn *uc = arg;
    GW_REQUIRE(uc->magic == UCONN_MAGIC);
    if (what & EV_TIMEOUT)
        event_remove_timer(&uc->ev_read);
    if (uc->state == UCONN_IDLE)
        idle_readable(uc);
    else if (uc->state == UCONN_BUSY)
        attempt_on_readable(uc->owner);
    else if (uc->state != UCONN_CLOSED)
        dial_run(uc);
}

static void on_write_event(evutil_socket_t fd, short what, void *arg)
{
    struct uconn *uc = arg;
    GW_REQUIRE(uc->magic == UCONN_MAGIC);
    if (uc->state == UCONN_BUSY)
        attempt_on_writable(uc->owner);
    else if (uc->state != UCONN_CLOSED)
        dial_run(uc);
}

static void on_timer(struct wheel_timer *t)
{
    struct uconn *uc = container_of(t, struct uconn, timer);
    if (uc->state == UCONN_IDLE) {
        uconn_close(uc);
    } else if (uc->state == UCONN_RESOLVE) {
        dial_run(uc);
    } else {
        dial_note(uc, uc->state == UCONN_TLS ? END_TLS_FAILED : END_CONNECT_TIMEOUT, "deadline");
        dial_next(uc);
    }
}
