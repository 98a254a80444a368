/*
 * conf_addr.c: listeners, networks, URLs.
 */
#include "common/conf_addr.h"
#include "common/conf_value.h"

#include <arpa/inet.h>

enum { HOST_MAX = 253 /* RFC 1035, section 2.3.4, without the final dot */ };

static struct slice next_item(struct slice *rest)
{
    struct slice item = slice_trim(slice_split(rest, ','));
    if (rest->p && slice_trim(*rest).n == 0)
        *rest = slice_of(NULL, 0);
    return item;
}

/* inet_pton wants a C string. */
static bool parse_ip(int family, struct slice s, void *out)
{
    char text[INET6_ADDRSTRLEN];
    if (s.n >= sizeof text)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(family, text, out) == 1;
}

/* "host", "host:port", "[v6]", "[v6]:port". *port.p == NULL: none given. */
static bool split_host_port(struct slice s, struct slice *host, struct slice *port, bool *brackets)
{
    struct slice rest = s;
    *brackets = s.n && s.p[0] == '[';
    if (!*brackets) {
        *host = slice_split(&rest, ':');
        *port = rest;
        return !(rest.p && memchr(rest.p, ':', rest.n));
    }
    const char *end = memchr(s.p, ']', s.n);
    if (!end)
        return false;
    *host = slice_of(s.p + 1, (size_t)(end - s.p) - 1);
    rest = slice_of(end + 1, s.n - host->n - 2);
    *port = rest.n ? slice_of(rest.p + 1, rest.n - 1) : slice_of(NULL, 0);
    return rest.n == 0 || rest.p[0] == ':';
}

/* ---- listeners ---- */

static int read_unix(struct slice path, struct conf_listener *out, struct errbuf *e)
{
    struct sockaddr_un *un = &out->addr.un;
    if (path.n == 0 || path.p[0] != '/')
        return err_set(e, "the path of a unix socket must begin with '/'");
    if (path.n >= sizeof un->sun_path)
        return err_set(e, "the path of a unix socket has at most %zu bytes, this one %zu",
                       sizeof un->sun_path - 1, path.n);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.p, path.n);
    out->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
    return 0;
}

static int read_inet(struct slice text, struct conf_listener *out, struct errbuf *e)
{
    struct slice host, port;
    uint64_t number;
    bool brackets;
    if (!split_host_port(text, &host, &port, &brackets) || !port.p ||
        slice_to_u64(port, 65535, &number) < 0)
        return err_set(e, "`%.*s`: expected IP:PORT, [IPV6]:PORT or unix:/PATH", SLICE_FMT(text));
    if (!brackets && parse_ip(AF_INET, host, &out->addr.in.sin_addr)) {
        out->addr.in.sin_family = AF_INET;
        out->addr.in.sin_port = htons((uint16_t)number);
        out->addr_len = sizeof out->addr.in;
        return 0;
    }
    if (brackets && parse_ip(AF_INET6, host, &out->addr.in6.sin6_addr)) {
        out->addr.in6.sin6_family = AF_INET6;
        out->addr.in6.sin6_port = htons((uint16_t)number);
        out->addr_len = sizeof out->addr.in6;
        return 0;
    }
    return err_set(e, "`%.*s` is not an IP address; names are not looked up here", SLICE_FMT(host));
}

static int read_listener(struct slice item, struct arena *a, struct conf_listener *out,
                         struct errbuf *e)
{
    size_t n = 0;
    while (n < item.n && item.p[n] != ' ' && item.p[n] != '\t')
        n++;
    struct slice text = slice_of(item.p, n);
    struct slice words = slice_trim(slice_of(item.p + n, item.n - n));
    *out = (struct conf_listener){.text = conf_dup(a, text)};
    for (struct slice rest = words; rest.n;) {
        struct slice word = slice_split(&rest, ' ');
        rest = slice_trim(rest);
        if (slice_eq_str(word, "tls"))
            out->tls = true;
        else if (slice_eq_str(word, "proxy_protocol"))
            out->proxy_protocol = true;
        else
            return err_set(e, "`%.*s` behind an address: there are tls and proxy_protocol",
                           SLICE_FMT(word));
    }
    if (slice_starts_with(text, SLICE_LIT("unix:")))
        return read_unix(slice_of(text.p + 5, text.n - 5), out, e);
    return read_inet(text, out, e);
}

bool conf_listener_eq(const struct conf_listener *x, const struct conf_listener *y)
{
    bool any_port = (x->addr.sa.sa_family == AF_INET && x->addr.in.sin_port == 0) ||
                    (x->addr.sa.sa_family == AF_INET6 && x->addr.in6.sin6_port == 0);
    return !any_port && x->addr_len == y->addr_len && memcmp(&x->addr, &y->addr, x->addr_len) == 0;
}

bool conf_listener_is_local(const struct conf_listener *l)
{
    switch (l->addr.sa.sa_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        return ntohl(l->addr.in.sin_addr.s_addr) >> 24 == 127;
    default:
        return IN6_IS_ADDR_LOOPBACK(&l->addr.in6.sin6_addr);
    }
}

static int check_listener(const struct conf_listener *l, const struct conf_listener *before,
                          uint32_t n, struct errbuf *e)
{
    for (uint32_t i = 0; i < n; i++)
        if (conf_listener_eq(&before[i], l))
            return err_set(e, "`%.*s` stands there twice", SLICE_FMT(l->text));
    return 0;
}

int conf_listeners_read(struct slice text, struct arena *a, struct conf_listeners *out,
                        struct errbuf *e)
{
    struct conf_listener *v = conf_alloc(a, CONF_LISTENERS_MAX * sizeof *v);
    struct slice rest = text.n ? text : slice_of(NULL, 0);
    struct errbuf faults = {""}, one;
    uint32_t n = 0;
    while (rest.p) {
        struct slice item = next_item(&rest);
        if (n == CONF_LISTENERS_MAX)
            return err_set(e, "there are at most %d addresses", CONF_LISTENERS_MAX);
        int rc = item.n == 0 ? err_set(&one, "an item of the list is empty")
                             : read_listener(item, a, &v[n], &one);
        if (rc < 0 || check_listener(&v[n], v, n, &one) < 0)
            conf_faults_add(&faults, &one);
        else
            n++;
    }
    *out = (struct conf_listeners){v, n};
    return conf_faults_end(&faults, e);
}

/* ---- networks ---- */

static bool bits_behind_prefix(const struct conf_cidr *c)
{
    for (unsigned bit = c->bits; bit < 128; bit++)
        if (c->addr[bit / 8] & (0x80 >> (bit % 8)))
            return true;
    return false;
}

static int read_cidr(struct slice item, struct conf_cidr *out, struct errbuf *e)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct slice bits = item;
    struct slice ip = slice_split(&bits, '/');
    uint64_t n = 0;
    memcpy(out->addr, mapped, sizeof mapped);
    bool v4 = parse_ip(AF_INET, ip, out->addr + 12);
    unsigned width = v4 ? 32 : 128;
    if (!v4 && !parse_ip(AF_INET6, ip, out->addr))
        return err_set(e, "`%.*s`: expected a network such as 10.0.0.0/8 or fd00::/8",
                       SLICE_FMT(item));
    if (bits.p && slice_to_u64(bits, width, &n) < 0)
        return err_set(e, "`%.*s`: the prefix goes from 0 to %u", SLICE_FMT(item), width);
    out->bits = (uint8_t)(128 - width + (bits.p ? n : width));
    if (bits_behind_prefix(out))
        return err_set(e, "`%.*s` has bits set behind its prefix", SLICE_FMT(item));
    return 0;
}

int conf_cidrs_read(struct slice text, struct arena *a, struct conf_cidrs *out, struct errbuf *e)
{
    struct slice rest = text.n ? text : slice_of(NULL, 0);
    size_t cap = 1;
    uint32_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        cap += text.p[i] == ',';
    struct conf_cidr *v = conf_alloc(a, cap * sizeof *v);
    struct errbuf faults = {""}, one;
    while (rest.p)
        if (read_cidr(next_item(&rest), &v[n++], &one) < 0)
            conf_faults_add(&faults, &one);
    *out = (struct conf_cidrs){v, n};
    return conf_faults_end(&faults, e);
}

/* ---- URLs ---- */

bool conf_url_is_local(const struct conf_url *u)
{
    static const struct slice name = {".localhost", 10}; /* RFC 6761 §6.3 */
    struct in_addr v4;
    struct in6_addr v6;
    if (u->is_ip && parse_ip(AF_INET, u->host, &v4))
        return ntohl(v4.s_addr) >> 24 == 127;
    if (u->is_ip && parse_ip(AF_INET6, u->host, &v6))
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return slice_eq_str(u->host, "localhost") ||
           (u->host.n > name.n && slice_eq(slice_of(u->host.p + u->host.n - name.n, name.n), name));
}

static int read_host(struct slice host, bool brackets, struct arena *a, struct conf_url *out,
                     struct errbuf *e)
{
    uint8_t ip[16];
    if (host.n == 0 || host.n > HOST_MAX)
        return err_set(e, "the URL's host has from 1 to %d bytes", HOST_MAX);
    struct slice lower = conf_dup(a, host);
    char *p = (char *)lower.p;
    for (size_t i = 0; i < host.n; i++) {
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] | 0x20);
        if (!brackets && !((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9') ||
                           p[i] == '-' || p[i] == '.' || p[i] == '_'))
            return err_set(e, "the URL's host holds a byte that no host name has");
    }
    out->host = lower;
    out->is_ip = brackets ? parse_ip(AF_INET6, host, ip) : parse_ip(AF_INET, host, ip);
    if (brackets && !out->is_ip)
        return err_set(e, "`%.*s` is not an IPv6 address", SLICE_FMT(host));
    return 0;
}

static int read_url_path(struct slice path, struct arena *a, struct conf_url *out, struct errbuf *e)
{
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] <= ' ' || path.p[i] >= 0x7f || path.p[i] == '?' || path.p[i] == '#')
            return err_set(e, "the URL ends with its path: no query, no fragment, no blanks");
    out->path = conf_dup(a, path);
    return 0;
}

int conf_url_read(struct slice text, struct arena *a, struct conf_url *out, struct errbuf *e)
{
    struct slice rest, host, port;
    uint64_t number;
    bool brackets;
    *out = (struct conf_url){0};
    if (slice_starts_with(text, SLICE_LIT("https://"))) {
        out->tls = true;
        rest = slice_of(text.p + 8, text.n - 8);
    } else if (slice_starts_with(text, SLICE_LIT("http://"))) {
        rest = slice_of(text.p + 7, text.n - 7);
    } else {
        return err_set(e, "expected a URL that begins with https:// or http://");
    }
    const char *slash = rest.n ? memchr(rest.p, '/', rest.n) : NULL;
    size_t authority = slash ? (size_t)(slash - rest.p) : rest.n;
    struct slice hostport = slice_of(rest.p, authority);
    if (hostport.n && memchr(hostport.p, '@', hostport.n))
        return err_set(e, "a URL with a user or password in it is refused: this file is no place "
                          "for secrets");
    if (!split_host_port(hostport, &host, &port, &brackets))
        return err_set(e, "the URL's host and port are malformed");
    out->port = out->tls ? 443 : 80;
    if (port.p) {
        if (slice_to_u64(port, 65535, &number) < 0 || number == 0)
            return err_set(e, "the URL's port goes from 1 to 65535");
        out->port = (uint16_t)number;
    }
    if (read_host(host, brackets, a, out, e) < 0 ||
        read_url_path(slice_of(rest.p + authority, rest.n - authority), a, out, e) < 0)
        return -1;
    const char *open = brackets ? "[" : "", *close = brackets ? "]" : "";
    if (out->port == (out->tls ? 443 : 80))
        out->authority = conf_printf(a, "%s%s%s", open, out->host.p, close);
    else
        out->authority = conf_printf(a, "%s%s%s:%u", open, out->host.p, close, out->port);
    return 0;
}
