/*
 * proxy_protocol.c: both versions of the header, each as its own short parser.
 */
#include "gatewayd/http/proxy_protocol.h"

#include "common/slice.h"

#include <arpa/inet.h>

static const char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";
static const char v1_signature[6] = "PROXY ";

enum { V1_MAX_BYTES = 107, V2_FIXED_BYTES = 16 };

static int parse_v1_ip(struct slice text, int family, void *out)
{
    char z[INET6_ADDRSTRLEN];
    if (text.n >= sizeof z || memchr(text.p, '\0', text.n))
        return -1;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    return inet_pton(family, z, out) == 1 ? 0 : -1;
}

static int parse_v1_port(struct slice text, in_port_t *out)
{
    uint64_t port;
    if ((text.n > 1 && text.p[0] == '0') || slice_to_u64(text, 65535, &port) < 0)
        return -1;
    *out = htons((uint16_t)port);
    return 0;
}

static int parse_v1_addr(struct slice ip, struct slice port, int family,
                         union proxy_protocol_addr *out)
{
    memset(out, 0, sizeof *out);
    out->sa.sa_family = (sa_family_t)family;
    if (family == AF_INET)
        return parse_v1_ip(ip, family, &out->in.sin_addr) < 0
                   ? -1
                   : parse_v1_port(port, &out->in.sin_port);
    return parse_v1_ip(ip, family, &out->in6.sin6_addr) < 0
               ? -1
               : parse_v1_port(port, &out->in6.sin6_port);
}

/* "TCP4 src dst sport dport", single spaces; "UNKNOWN" may be followed by anything. */
static int parse_v1_line(struct slice line, struct proxy_protocol *out)
{
    struct slice rest = line;
    struct slice proto = slice_split(&rest, ' ');
    out->has_addresses = false;
    if (slice_eq(proto, SLICE_LIT("UNKNOWN")))
        return 0;
    int family = slice_eq(proto, SLICE_LIT("TCP4"))   ? AF_INET
                 : slice_eq(proto, SLICE_LIT("TCP6")) ? AF_INET6
                                                      : AF_UNSPEC;
    struct slice f[4];
    for (size_t i = 0; i < ARRAY_LEN(f); i++) {
        if (!rest.p)
            return -1;
        f[i] = slice_split(&rest, ' ');
    }
    if (family == AF_UNSPEC || rest.p || parse_v1_addr(f[0], f[2], family, &out->src) < 0 ||
        parse_v1_addr(f[1], f[3], family, &out->dst) < 0)
        return -1;
    out->has_addresses = true;
    return 0;
}

static enum proxy_protocol_result parse_v1(const char *buf, size_t len, struct proxy_protocol *out)
{
    const char *lf = memchr(buf, '\n', GW_MIN(len, V1_MAX_BYTES));
    if (!lf)
        return len >= V1_MAX_BYTES ? PROXY_PROTOCOL_BAD : PROXY_PROTOCOL_MORE;
    if (lf[-1] != '\r')
        return PROXY_PROTOCOL_BAD;
    const char *line = buf + sizeof v1_signature;
    out->len = (size_t)(lf + 1 - buf);
    if (lf - 1 < line || parse_v1_line(slice_of(line, (size_t)(lf - 1 - line)), out) < 0)
        return PROXY_PROTOCOL_BAD;
    return PROXY_PROTOCOL_OK;
}

static void set_in(union proxy_protocol_addr *a, const char *ip, const char *port)
{
    *a = (union proxy_protocol_addr){.in = {.sin_family = AF_INET}};
    memcpy(&a->in.sin_addr, ip, 4);
    memcpy(&a->in.sin_port, port, 2);
}

static void set_in6(union proxy_protocol_addr *a, const char *ip, const char *port)
{
    *a = (union proxy_protocol_addr){.in6 = {.sin6_family = AF_INET6}};
    memcpy(&a->in6.sin6_addr, ip, 16);
    memcpy(&a->in6.sin6_port, port, 2);
}

/* The address block: both addresses, then both ports. */
static int parse_v2_addresses(const char *p, size_t n, unsigned family, struct proxy_protocol *out)
{
    enum { UNSPEC, INET, INET6, UNIX };
    out->has_addresses = family == INET || family == INET6;
    if (family == UNSPEC || family == UNIX)
        return 0;
    if (family == INET && n >= 12) {
        set_in(&out->src, p, p + 8);
        set_in(&out->dst, p + 4, p + 10);
        return 0;
    }
    if (family == INET6 && n >= 36) {
        set_in6(&out->src, p, p + 32);
        set_in6(&out->dst, p + 16, p + 34);
        return 0;
    }
    return -1;
}

static enum proxy_protocol_result parse_v2(const char *buf, size_t len, struct proxy_protocol *out)
{
    enum { LOCAL = 0x20, PROXY = 0x21, STREAM = 1 };
    if (len < V2_FIXED_BYTES)
        return PROXY_PROTOCOL_MORE;
    unsigned command = (unsigned char)buf[12], family = (unsigned char)buf[13];
    size_t n = (size_t)(unsigned char)buf[14] << 8 | (unsigned char)buf[15];
    if ((command != LOCAL && command != PROXY) || n > PROXY_PROTOCOL_MAX_BYTES - V2_FIXED_BYTES)
        return PROXY_PROTOCOL_BAD;
    if (len - V2_FIXED_BYTES < n)
        return PROXY_PROTOCOL_MORE;
    out->len = V2_FIXED_BYTES + n;
    out->has_addresses = false;
    if (command == LOCAL || family == 0)
        return PROXY_PROTOCOL_OK;
    if ((family & 15) != STREAM ||
        parse_v2_addresses(buf + V2_FIXED_BYTES, n, family >> 4, out) < 0)
        return PROXY_PROTOCOL_BAD;
    return PROXY_PROTOCOL_OK;
}

static bool begins_with(const char *buf, size_t len, const char *signature, size_t n)
{
    return memcmp(buf, signature, GW_MIN(len, n)) == 0;
}

enum proxy_protocol_result proxy_protocol_parse(const char *buf, size_t len,
                                                struct proxy_protocol *out)
{
    if (len == 0)
        return PROXY_PROTOCOL_MORE;
    if (begins_with(buf, len, v2_signature, sizeof v2_signature))
        return parse_v2(buf, len, out);
    if (!begins_with(buf, len, v1_signature, sizeof v1_signature))
        return PROXY_PROTOCOL_BAD;
    return len < sizeof v1_signature ? PROXY_PROTOCOL_MORE : parse_v1(buf, len, out);
}
