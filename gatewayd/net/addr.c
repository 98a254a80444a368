/*
 * addr.c: parsing and formatting of socket addresses.
 */
#include "gatewayd/net/addr.h"

#include <arpa/inet.h>
#include <stdio.h>

static int parse_port(struct slice text, uint16_t *out)
{
    uint64_t port;
    if (text.n > 5 || slice_to_u64(text, 65535, &port) < 0)
        return -1;
    *out = (uint16_t)port;
    return 0;
}

int net_hostport_split(struct slice text, struct slice *host, uint16_t *port)
{
    const char *colon = NULL;
    size_t n_host;
    *port = 0;
    if (text.n > 0 && text.p[0] == '[') {
        const char *close = memchr(text.p, ']', text.n);
        if (!close)
            return -1;
        n_host = (size_t)(close - text.p) + 1;
        *host = slice_of(text.p + 1, n_host - 2);
        if (n_host < text.n)
            colon = close + 1;
    } else {
        colon = memchr(text.p, ':', text.n);
        n_host = colon ? (size_t)(colon - text.p) : text.n;
        *host = slice_of(text.p, n_host);
    }
    if (host->n == 0 || (colon && *colon != ':'))
        return -1;
    return colon ? parse_port(slice_of(colon + 1, text.n - n_host - 1), port) : 0;
}

static void set_in(struct net_addr *a, struct in_addr ip)
{
    *a = (struct net_addr){.len = sizeof a->in, .in = {.sin_family = AF_INET, .sin_addr = ip}};
}

static void set_in6(struct net_addr *a, const struct in6_addr *ip)
{
    *a =
        (struct net_addr){.len = sizeof a->in6, .in6 = {.sin6_family = AF_INET6, .sin6_addr = *ip}};
}

int net_addr_parse_ip(struct slice text, struct net_addr *out)
{
    char z[INET6_ADDRSTRLEN];
    struct in_addr in;
    struct in6_addr in6;
    bool bracketed = text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';
    if (bracketed)
        text = slice_of(text.p + 1, text.n - 2);
    if (text.n == 0 || text.n >= sizeof z || memchr(text.p, '\0', text.n))
        return -1;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    if (!bracketed && inet_pton(AF_INET, z, &in) == 1)
        set_in(out, in);
    else if (inet_pton(AF_INET6, z, &in6) == 1)
        set_in6(out, &in6);
    else
        return -1;
    return 0;
}

static int parse_unix(struct slice path, struct net_addr *out, struct errbuf *err)
{
    size_t max = sizeof out->un.sun_path - 1;
    if (path.n == 0 || path.p[0] != '/' || memchr(path.p, '\0', path.n))
        return err_set(err, "\"unix:%.*s\": the path must be absolute", SLICE_FMT(path));
    if (path.n > max)
        return err_set(err, "\"unix:%.*s\": the path is longer than %zu bytes", SLICE_FMT(path),
                       max);
    *out = (struct net_addr){.len = sizeof out->un, .un = {.sun_family = AF_UNIX}};
    memcpy(out->un.sun_path, path.p, path.n);
    return 0;
}

int net_addr_parse(struct slice text, struct net_addr *out, struct errbuf *err)
{
    struct slice unix_prefix = SLICE_LIT("unix:"), host;
    uint16_t port;
    if (slice_starts_with(text, unix_prefix))
        return parse_unix(slice_of(text.p + unix_prefix.n, text.n - unix_prefix.n), out, err);
    if (net_hostport_split(text, &host, &port) < 0 || text.p[text.n - 1] == ']' ||
        !memchr(text.p, ':', text.n))
        return err_set(err,
                       "\"%.*s\": expected address:port, [v6 address]:port or unix:/path with a "
                       "port of 0 to 65535",
                       SLICE_FMT(text));
    if (slice_eq(host, SLICE_LIT("localhost")))
        host = SLICE_LIT("127.0.0.1");
    else if (slice_eq(host, SLICE_LIT("*")))
        host = SLICE_LIT("0.0.0.0");
    if (net_addr_parse_ip(host, out) < 0 || (out->sa.sa_family == AF_INET6) != (text.p[0] == '['))
        return err_set(err, "\"%.*s\": \"%.*s\" is not an IP address", SLICE_FMT(text),
                       SLICE_FMT(host));
    net_addr_set_port(out, port);
    return 0;
}

void net_addr_from_sockaddr(struct net_addr *out, const struct sockaddr *sa, socklen_t len)
{
    *out = (struct net_addr){0};
    out->len = (socklen_t)GW_MIN((size_t)len, sizeof out->un);
    memcpy(&out->un, sa, out->len);
}

void net_addr_set_port(struct net_addr *a, uint16_t port)
{
    if (a->sa.sa_family == AF_INET)
        a->in.sin_port = htons(port);
    else if (a->sa.sa_family == AF_INET6)
        a->in6.sin6_port = htons(port);
}

uint16_t net_addr_port(const struct net_addr *a)
{
    if (a->sa.sa_family == AF_INET)
        return ntohs(a->in.sin_port);
    return a->sa.sa_family == AF_INET6 ? ntohs(a->in6.sin6_port) : 0;
}

static bool is_mapped(const struct net_addr *a)
{
    return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr);
}

/* The address where inet_ntop wants it, and its family; a mapped one as IPv4. */
static int ip_bytes(const struct net_addr *a, const void **ip)
{
    if (a->sa.sa_family == AF_INET) {
        *ip = &a->in.sin_addr;
        return AF_INET;
    }
    *ip = is_mapped(a) ? a->in6.sin6_addr.s6_addr + 12 : a->in6.sin6_addr.s6_addr;
    return is_mapped(a) ? AF_INET : AF_INET6;
}

/* inet_ntop is printf, which a request line can do without. */
static char *format_ipv4(const uint8_t *ip, char *out)
{
    char *at = out;
    for (int i = 0; i < 4; i++) {
        unsigned v = ip[i];
        if (v >= 100)
            *at++ = (char)('0' + v / 100);
        if (v >= 10)
            *at++ = (char)('0' + v / 10 % 10);
        *at++ = (char)('0' + v % 10);
        *at++ = i < 3 ? '.' : '\0';
    }
    return out;
}

char *net_addr_format_ip(const struct net_addr *a, char out[NET_ADDR_TEXT_BYTES])
{
    const void *ip;
    if (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6)
        return strcpy(out, net_addr_is_unix(a) ? "unix" : "unknown");
    int family = ip_bytes(a, &ip);
    if (family == AF_INET)
        return format_ipv4(ip, out);
    if (!inet_ntop(family, ip, out, NET_ADDR_TEXT_BYTES))
        strcpy(out, "unknown");
    return out;
}

char *net_addr_format(const struct net_addr *a, char out[NET_ADDR_TEXT_BYTES])
{
    char ip[NET_ADDR_TEXT_BYTES];
    if (net_addr_is_unix(a)) {
        size_t n_path = a->len - GW_MIN((size_t)a->len, offsetof(struct sockaddr_un, sun_path));
        snprintf(out, NET_ADDR_TEXT_BYTES, "unix:%.*s", (int)n_path, a->un.sun_path);
        return out;
    }
    net_addr_format_ip(a, ip);
    snprintf(out, NET_ADDR_TEXT_BYTES, strchr(ip, ':') ? "[%.100s]:%u" : "%.100s:%u", ip,
             net_addr_port(a));
    return out;
}

bool net_addr_eq(const struct net_addr *a, const struct net_addr *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    switch (a->sa.sa_family) {
    case AF_INET:
        return a->in.sin_port == b->in.sin_port && a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    case AF_INET6:
        return a->in6.sin6_port == b->in6.sin6_port &&
               IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
    case AF_UNIX:
        return strncmp(a->un.sun_path, b->un.sun_path, sizeof a->un.sun_path) == 0;
    default:
        return false;
    }
}

bool net_addr_is_loopback(const struct net_addr *a)
{
    if (a->sa.sa_family == AF_INET)
        return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
    if (is_mapped(a))
        return a->in6.sin6_addr.s6_addr[12] == 127;
    return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

bool net_addr_is_unix(const struct net_addr *a)
{
    return a->sa.sa_family == AF_UNIX;
}
