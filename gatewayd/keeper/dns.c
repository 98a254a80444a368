/*
 * dns.c: c-ares on the keeper's loop; one small machine a host name.
 *
 * A host waits (timer), is queued, or has a query in flight; at most MAX_IN_FLIGHT queries run at
 * once so that a thousand providers don't flood a resolver at start. Every outcome goes through
 * host_settle(), which alone publishes, logs changes and sets the next timer.
 *
 * c-ares 1.18 can't read resolv.conf again in a living channel: dns_reload() opens a new one and
 * destroys the old, whose queries come back as ARES_EDESTRUCTION and are queued anew.
 */
#include "gatewayd/keeper/dns.h"

#include "common/buf.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/list.h"
#include "common/log.h"
#include "gatewayd/keeper/dns_policy.h"

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_IN_FLIGHT = 32,
    MAX_SOCKETS = 64,
    HOSTS_MAX_BYTES = 1024 * 1024,
    WATCH_US = 5 * 1000 * 1000,
    /* What a refresh may take before the addresses that it renews count as stale. */
    REFRESH_GRACE_US = 15 * 1000 * 1000,
};

static const char RESOLV_CONF[] = "/etc/resolv.conf";

#define HOST_PHASES(X)                                                                             \
    X(WAITING)                                                                                     \
    X(QUEUED)                                                                                      \
    X(ASKING)
enum host_phase {
#define X(name) HOST_##name,
    HOST_PHASES(X)
#undef X
};

struct host {
    struct list node;  /* of dns->hosts */
    struct list queue; /* of dns->queue while HOST_QUEUED */
    struct dns *dns;
    struct event *timer;
    enum host_phase phase;
    bool internal;
    bool wanted;
    bool unwanted_while_asking; /* freed when the query comes back */
    uint32_t fails;             /* in a row */
    const char *refused;        /* what was logged of the last answer's refused addresses */
    struct dns_record rec;      /* as published */
};

struct dns_socket {
    struct dns *dns;
    ares_socket_t fd;
    struct event *ev;
};

struct file_stamp {
    struct timespec mtime;
    off_t size;
    ino_t ino;
};

struct dns {
    struct event_base *base;
    struct dns_seg *seg;
    struct dns_options opt;
    ares_channel channel;
    struct event *ares_timer, *watch_timer;
    struct dns_socket sockets[MAX_SOCKETS];
    struct list hosts;
    struct list queue;
    unsigned n_asking;
    bool closing;
    struct buf hosts_text;
    struct file_stamp hosts_stamp, resolv_stamp;
};

static void run_queue(struct dns *d);
static void host_free(struct host *h);

static struct timeval tv_of_us(int64_t us)
{
    return (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
}

/* ---- the files ---- */

static struct file_stamp stamp_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return (struct file_stamp){0};
    return (struct file_stamp){st.st_mtim, st.st_size, st.st_ino};
}

static bool same_stamp(struct file_stamp a, struct file_stamp b)
{
    return a.mtime.tv_sec == b.mtime.tv_sec && a.mtime.tv_nsec == b.mtime.tv_nsec &&
           a.size == b.size && a.ino == b.ino;
}

static void read_hosts_file(struct dns *d)
{
    d->hosts_stamp = stamp_of(d->opt.hosts_path);
    d->hosts_text.len = 0;
    int fd = open(d->opt.hosts_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    ssize_t n = 1;
    while (n > 0 && buf_reserve(&d->hosts_text, 4096) == 0) {
        n = read(fd, d->hosts_text.data + d->hosts_text.len, 4096);
        if (n > 0)
            d->hosts_text.len += (size_t)n;
    }
    close(fd);
    if (n > 0)
        log_warn("hosts file is too long, the rest is ignored", LOG_S("file", d->opt.hosts_path),
                 LOG_U("bytes", d->hosts_text.len));
}

static bool next_word(struct slice *line, struct slice *word)
{
    while (line->n && (*line->p == ' ' || *line->p == '\t' || *line->p == '\r'))
        *line = slice_of(line->p + 1, line->n - 1);
    size_t n = 0;
    while (n < line->n && !strchr(" \t\r", line->p[n]))
        n++;
    *word = slice_of(line->p, n);
    *line = slice_of(line->p + n, line->n - n);
    return n > 0;
}

static bool addr_of_text(struct slice text, struct dns_addr *out)
{
    char s[INET6_ADDRSTRLEN];
    if (text.n >= sizeof(s))
        return false;
    memcpy(s, text.p, text.n);
    s[text.n] = '\0';
    *out = (struct dns_addr){0};
    if (inet_pton(AF_INET, s, out->bytes) == 1)
        out->family = 4;
    else if (inet_pton(AF_INET6, s, out->bytes) == 1)
        out->family = 6;
    return out->family != 0;
}

/* hosts(5): ADDRESS NAME [ALIAS...], # to the end of the line is a comment. */
static unsigned hosts_find(const struct dns *d, const char *host, struct dns_addr *out)
{
    struct slice rest = buf_slice(&d->hosts_text), addr, name;
    unsigned n = 0;
    while (rest.p && n < DNS_MAX_ADDRS) {
        struct slice line = slice_split(&rest, '\n');
        line = slice_split(&line, '#');
        if (!next_word(&line, &addr))
            continue;
        while (next_word(&line, &name))
            if (slice_ieq(name, slice_str(host))) {
                n += addr_of_text(addr, &out[n]);
                break;
            }
    }
    return n;
}

/* ---- c-ares on libevent ---- */

static void arm_ares_timer(struct dns *d)
{
    struct timeval tv, *next = ares_timeout(d->channel, NULL, &tv);
    if (next)
        event_add(d->ares_timer, next);
    else
        event_del(d->ares_timer);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct dns *d = ((struct dns_socket *)arg)->dns;
    ares_process_fd(d->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
                    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
    run_queue(d);
}

static void on_ares_timer(evutil_socket_t fd, short what, void *arg)
{
    struct dns *d = arg;
    ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    run_queue(d);
}

/* c-ares says which of its sockets it wants watched for what. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct dns *d = arg;
    struct dns_socket *slot = NULL;
    for (size_t i = 0; i < MAX_SOCKETS; i++) {
        if (d->sockets[i].ev && d->sockets[i].fd == fd) {
            slot = &d->sockets[i];
            break;
        }
        if (!d->sockets[i].ev && !slot)
            slot = &d->sockets[i];
    }
    if (slot && slot->ev) {
        event_free(slot->ev);
        slot->ev = NULL;
    }
    if (!readable && !writable)
        return;
    if (gw_fails(slot != NULL))
        return; /* unwatched: the query ends by its timeout */
    *slot = (struct dns_socket){.dns = d, .fd = fd};
    short what = (short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    slot->ev = event_new(d->base, fd, what, on_socket, slot);
    GW_REQUIRE(slot->ev != NULL);
    event_add(slot->ev, NULL);
}

static int open_channel(struct dns *d, struct errbuf *e)
{
    struct ares_options o = {.timeout = d->opt.query_timeout_ms,
                             .tries = 3,
                             .lookups = (char *)(uintptr_t) "b",
                             .sock_state_cb = on_socket_state,
                             .sock_state_cb_data = d};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB |
               ARES_OPT_NOROTATE;
    d->resolv_stamp = stamp_of(RESOLV_CONF);
    int rc = ares_init_options(&d->channel, &o, mask);
    if (rc != ARES_SUCCESS) {
        d->channel = NULL;
        return err_set(e, "resolver: %s", ares_strerror(rc));
    }
    if (d->opt.servers && (rc = ares_set_servers_ports_csv(d->channel, d->opt.servers)))
        return err_set(e, "resolver: servers %s: %s", d->opt.servers, ares_strerror(rc));
    return 0;
}

/* ---- the machine of one host ---- */

static void host_set_phase(struct host *h, enum host_phase phase)
{
    list_del(&h->queue);
    h->dns->n_asking -= h->phase == HOST_ASKING;
    h->dns->n_asking += phase == HOST_ASKING;
    h->phase = phase;
    if (phase == HOST_QUEUED)
        list_append(&h->dns->queue, &h->queue);
}

static void host_queue(struct host *h)
{
    event_del(h->timer);
    if (h->phase == HOST_WAITING)
        host_set_phase(h, HOST_QUEUED);
}

static void on_host_timer(evutil_socket_t fd, short what, void *arg)
{
    struct host *h = arg;
    host_queue(h);
    run_queue(h->dns);
}

/* Up to a quarter earlier, so that hosts that failed together don't ask together for ever. */
static int64_t retry_delay(const struct host *h)
{
    const struct dns_options *o = &h->dns->opt;
    int64_t us = GW_MIN(o->retry_min_us << GW_MIN(h->fails - 1, 16u), o->retry_max_us);
    return us - clock_mono_ns() % (us / 4 + 1);
}

static void log_change(const struct host *h, enum dns_state before, enum dns_error error_before)
{
    const struct dns_record *r = &h->rec;
    if (r->error == error_before && (r->error != DNS_ERR_NONE || before != DNS_FAILED))
        return;
    if (r->error == DNS_ERR_NONE)
        log_info("name resolves", LOG_S("host", r->host), LOG_U("addresses", r->n_addrs));
    else if (r->error == DNS_ERR_DENIED)
        log_warn("name is not used: a name server says that it is an internal address; write "
                 "`internal = on` in its provider section if that is meant",
                 LOG_S("host", r->host), LOG_S("address", h->refused),
                 LOG_B("last_good_kept", r->n_addrs > 0));
    else
        log_warn("name does not resolve", LOG_S("host", r->host),
                 LOG_S("error", dns_error_text(r->error)), LOG_B("last_good_kept", r->n_addrs > 0));
}

static void host_publish(struct host *h)
{
    if (dns_publish(h->dns->seg, &h->rec) < 0)
        LOG_EVERY(60 * 1000000, LOG_LEVEL_ERROR,
                  "table of resolved names is full; use fewer host names",
                  LOG_S("host", h->rec.host), LOG_U("capacity", DNS_SLOTS));
}

/* The one end of every lookup: addresses (n > 0), or an error with n == 0. */
static void host_settle(struct host *h, const struct dns_addr *addrs, unsigned n,
                        enum dns_error error, int64_t ttl_us)
{
    const struct dns_options *o = &h->dns->opt;
    enum dns_state state = h->rec.state;
    enum dns_error error_before = h->rec.error;
    int64_t now = clock_mono_us(), delay;

    h->rec.updated_mono_us = now;
    h->rec.error = (uint8_t)error;
    if (n > 0) {
        h->fails = 0;
        delay = GW_MAX(o->ttl_floor_us, GW_MIN(ttl_us, o->ttl_ceiling_us));
        h->rec.state = DNS_OK;
        h->rec.n_addrs = (uint8_t)n;
        memset(h->rec.addr, 0, sizeof(h->rec.addr));
        memcpy(h->rec.addr, addrs, n * sizeof(addrs[0]));
        h->rec.expires_mono_us = now + delay + REFRESH_GRACE_US;
    } else {
        h->fails++;
        delay = retry_delay(h);
        h->rec.state = h->rec.n_addrs ? DNS_STALE : DNS_FAILED;
    }
    host_set_phase(h, HOST_WAITING);
    host_publish(h);
    log_change(h, state, error_before);
    struct timeval tv = tv_of_us(delay);
    event_add(h->timer, &tv);
}

static enum dns_error error_of_ares(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
        return DNS_ERR_NXDOMAIN;
    case ARES_ENODATA:
        return DNS_ERR_NODATA;
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
    case ARES_ECONNREFUSED: /* also: every server said SERVFAIL, NOTIMP or REFUSED */
        return DNS_ERR_SERVFAIL;
    case ARES_ETIMEOUT:
        return DNS_ERR_TIMEOUT;
    default:
        return DNS_ERR_OTHER;
    }
}

static bool addr_of_node(const struct ares_addrinfo_node *node, struct dns_addr *out)
{
    *out = (struct dns_addr){0};
    if (node->ai_family == AF_INET) {
        const struct sockaddr_in *sin = (const void *)node->ai_addr;
        out->family = 4;
        memcpy(out->bytes, &sin->sin_addr, 4);
    } else if (node->ai_family == AF_INET6) {
        const struct sockaddr_in6 *sin6 = (const void *)node->ai_addr;
        out->family = 6;
        memcpy(out->bytes, &sin6->sin6_addr, 16);
    }
    return out->family != 0;
}

static void settle_answer(struct host *h, const struct ares_addrinfo *ai)
{
    struct dns_addr addrs[DNS_MAX_ADDRS];
    unsigned n = 0;
    int64_t ttl_s = INT32_MAX;
    const char *refused = NULL;
    for (const struct ares_addrinfo_node *node = ai->nodes; node; node = node->ai_next) {
        struct dns_addr a;
        if (!addr_of_node(node, &a))
            continue;
        ttl_s = GW_MIN(ttl_s, (int64_t)GW_MAX(node->ai_ttl, 0));
        const char *why = dns_policy_refuses(&a, h->internal);
        if (why)
            refused = why;
        else if (n < DNS_MAX_ADDRS)
            addrs[n++] = a;
    }
    if (refused && n && refused != h->refused)
        log_warn("some addresses of a name are not used: they are internal",
                 LOG_S("host", h->rec.host), LOG_S("address", refused));
    h->refused = refused;
    enum dns_error error = n ? DNS_ERR_NONE : refused ? DNS_ERR_DENIED : DNS_ERR_NODATA;
    host_settle(h, addrs, n, error, ttl_s * 1000000);
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *ai)
{
    struct host *h = arg;
    if (h->unwanted_while_asking || h->dns->closing) {
        host_set_phase(h, HOST_WAITING);
        host_free(h);
    } else if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) {
        host_set_phase(h, HOST_QUEUED);
    } else if (status == ARES_SUCCESS) {
        settle_answer(h, ai);
    } else {
        host_settle(h, NULL, 0, error_of_ares(status), 0);
    }
    ares_freeaddrinfo(ai);
}

static void host_ask(struct host *h)
{
    struct dns_addr addrs[DNS_MAX_ADDRS];
    unsigned n = hosts_find(h->dns, h->rec.host, addrs);
    if (n > 0) {
        host_settle(h, addrs, n, DNS_ERR_NONE, INT64_MAX);
        return;
    }
    /* A trailing dot keeps the search list away from names that are whole already. */
    char name[sizeof(h->rec.host) + 1];
    snprintf(name, sizeof(name), "%s%s", h->rec.host, strchr(h->rec.host, '.') ? "." : "");
    host_set_phase(h, HOST_ASKING);
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ares_getaddrinfo(h->dns->channel, name, NULL, &hints, on_answer, h);
}

static void run_queue(struct dns *d)
{
    while (!list_empty(&d->queue) && d->n_asking < MAX_IN_FLIGHT)
        host_ask(list_entry(d->queue.next, struct host, queue));
    arm_ares_timer(d);
}

/* ---- the set of hosts ---- */

static struct host *host_find(struct dns *d, const char *name)
{
    list_foreach(it, &d->hosts)
    {
        struct host *h = list_entry(it, struct host, node);
        if (!h->unwanted_while_asking && strcmp(h->rec.host, name) == 0)
            return h;
    }
    return NULL;
}

static struct host *host_new(struct dns *d, const char *name, bool internal)
{
    struct host *h = gw_xcalloc(1, sizeof(*h));
    h->dns = d;
    h->internal = internal;
    list_init(&h->queue);
    list_append(&d->hosts, &h->node);
    h->timer = event_new(d->base, -1, 0, on_host_timer, h);
    GW_REQUIRE(h->timer != NULL);
    /* A keeper that starts again carries on with what the last one published. */
    if (!dns_read(d->seg, slice_str(name), &h->rec)) {
        h->rec = (struct dns_record){.state = DNS_RESOLVING, .host_len = (uint8_t)strlen(name)};
        memcpy(h->rec.host, name, h->rec.host_len);
        host_publish(h);
    }
    host_set_phase(h, HOST_QUEUED);
    return h;
}

static void host_free(struct host *h)
{
    list_del(&h->node);
    list_del(&h->queue);
    event_free(h->timer);
    free(h);
}

static void host_drop(struct host *h)
{
    dns_forget(h->dns->seg, slice_of(h->rec.host, h->rec.host_len));
    if (h->phase == HOST_ASKING)
        h->unwanted_while_asking = true;
    else
        host_free(h);
}

void dns_want(struct dns *d, const struct dns_want *want, size_t n)
{
    list_foreach(it, &d->hosts) list_entry(it, struct host, node)->wanted = false;
    for (size_t i = 0; i < n; i++) {
        char name[DNS_HOST_MAX + 1];
        if (dns_host_is_local(want[i].host) || dns_host_normalize(want[i].host, name) < 0)
            continue;
        struct host *h = host_find(d, name);
        if (!h)
            h = host_new(d, name, want[i].internal);
        else if (!h->wanted && h->internal != want[i].internal)
            host_queue(h);
        h->internal = want[i].internal || (h->wanted && h->internal);
        h->wanted = true;
    }
    list_foreach(it, &d->hosts)
    {
        struct host *h = list_entry(it, struct host, node);
        if (!h->wanted && !h->unwanted_while_asking)
            host_drop(h);
    }
    run_queue(d);
}

/* ---- life ---- */

void dns_reload(struct dns *d)
{
    read_hosts_file(d);
    ares_channel old = d->channel;
    struct errbuf e;
    if (open_channel(d, &e) < 0) {
        log_error("resolver configuration is not read again", LOG_S("error", e.msg));
        if (d->channel && d->channel != old)
            ares_destroy(d->channel);
        d->channel = old;
    } else {
        ares_destroy(old);
    }
    list_foreach(it, &d->hosts) host_queue(list_entry(it, struct host, node));
    run_queue(d);
}

void dns_check_files(struct dns *d)
{
    if (same_stamp(stamp_of(RESOLV_CONF), d->resolv_stamp) &&
        same_stamp(stamp_of(d->opt.hosts_path), d->hosts_stamp))
        return;
    log_info("resolver configuration changed, reading it again");
    dns_reload(d);
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
    dns_check_files(arg);
}

static void default_to(int64_t *v, int64_t dflt)
{
    if (*v == 0)
        *v = dflt;
}

struct dns *dns_new(struct event_base *base, struct dns_seg *seg, const struct dns_options *opt,
                    struct errbuf *e)
{
    struct dns *d = gw_xcalloc(1, sizeof(*d));
    d->base = base;
    d->seg = seg;
    if (opt)
        d->opt = *opt;
    default_to(&d->opt.ttl_floor_us, 5 * 1000000);
    default_to(&d->opt.ttl_ceiling_us, 300 * 1000000);
    default_to(&d->opt.retry_min_us, 1000000);
    default_to(&d->opt.retry_max_us, 30 * 1000000);
    if (!d->opt.hosts_path)
        d->opt.hosts_path = "/etc/hosts";
    if (!d->opt.query_timeout_ms)
        d->opt.query_timeout_ms = 2000;
    list_init(&d->hosts);
    list_init(&d->queue);
    buf_init(&d->hosts_text, HOSTS_MAX_BYTES);
    d->ares_timer = event_new(base, -1, 0, on_ares_timer, d);
    d->watch_timer = event_new(base, -1, EV_PERSIST, on_watch, d);
    GW_REQUIRE(d->ares_timer && d->watch_timer);
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        err_set(e, "resolver: can't initialise c-ares");
        goto fail;
    }
    read_hosts_file(d);
    if (open_channel(d, e) < 0)
        goto fail;
    struct timeval tv = tv_of_us(WATCH_US);
    event_add(d->watch_timer, &tv);
    return d;
fail:
    dns_free(d);
    return NULL;
}

void dns_free(struct dns *d)
{
    if (!d)
        return;
    d->closing = true;
    if (d->channel)
        ares_destroy(d->channel); /* frees the hosts that are asking */
    list_foreach(it, &d->hosts) host_free(list_entry(it, struct host, node));
    for (size_t i = 0; i < MAX_SOCKETS; i++)
        if (d->sockets[i].ev)
            event_free(d->sockets[i].ev);
    event_free(d->ares_timer);
    event_free(d->watch_timer);
    buf_release(&d->hosts_text);
    free(d);
}
