/*
 * cidr.c: networks as 128-bit prefixes, IPv4 below ::ffff:0:0/96.
 */
#include "gatewayd/net/cidr.h"

#include <stdlib.h>

static bool to_mapped(const struct net_addr *a, uint8_t out[16])
{
    if (a->sa.sa_family == AF_INET) {
        memset(out, 0, 10);
        memset(out + 10, 0xff, 2);
        memcpy(out + 12, &a->in.sin_addr, 4);
        return true;
    }
    if (a->sa.sa_family != AF_INET6)
        return false;
    memcpy(out, &a->in6.sin6_addr, 16);
    return true;
}

static bool same_prefix(const uint8_t a[16], const uint8_t b[16], unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool has_host_bits(const struct cidr *c)
{
    for (unsigned bit = c->bits; bit < 128; bit++)
        if (c->addr[bit / 8] & (0x80 >> bit % 8))
            return true;
    return false;
}

static int parse_one(struct slice text, struct cidr *out, struct errbuf *err)
{
    struct net_addr a;
    uint64_t bits;
    struct slice prefix = text;
    struct slice ip = slice_split(&prefix, '/');
    if (net_addr_parse_ip(ip, &a) < 0)
        return err_set(err, "\"%.*s\" is not an IP address or network", SLICE_FMT(text));
    unsigned max = a.sa.sa_family == AF_INET ? 32 : 128;
    bits = max;
    if (prefix.p && slice_to_u64(prefix, max, &bits) < 0)
        return err_set(err, "\"%.*s\": the prefix length must be 0 to %u", SLICE_FMT(text), max);
    to_mapped(&a, out->addr);
    out->bits = (uint8_t)(128 - max + bits);
    if (has_host_bits(out))
        return err_set(err, "\"%.*s\": bits are set behind the prefix", SLICE_FMT(text));
    return 0;
}

int cidr_list_parse(struct slice text, struct cidr_list *out, struct errbuf *err)
{
    size_t cap = 1;
    *out = (struct cidr_list){0};
    if (slice_trim(text).n == 0)
        return 0;
    for (size_t i = 0; i < text.n; i++)
        cap += text.p[i] == ',';
    out->v = calloc(cap, sizeof *out->v);
    if (!out->v)
        return err_set(err, "out of memory");
    for (struct slice rest = text; rest.p;) {
        struct slice one = slice_trim(slice_split(&rest, ','));
        if (parse_one(one, &out->v[out->n++], err) < 0) {
            cidr_list_release(out);
            return -1;
        }
    }
    return 0;
}

void cidr_list_release(struct cidr_list *l)
{
    free(l->v);
    *l = (struct cidr_list){0};
}

bool cidr_list_has(const struct cidr_list *l, const struct net_addr *a)
{
    uint8_t mapped[16];
    if (!to_mapped(a, mapped))
        return false;
    for (size_t i = 0; i < l->n; i++)
        if (same_prefix(l->v[i].addr, mapped, l->v[i].bits))
            return true;
    return false;
}

/* Cuts the last element off *list. */
static struct slice split_last(struct slice *list)
{
    const char *comma = list->n ? memrchr(list->p, ',', list->n) : NULL;
    struct slice last = *list;
    if (!comma) {
        *list = slice_of(NULL, 0);
        return slice_trim(last);
    }
    size_t before = (size_t)(comma - list->p);
    *list = slice_of(list->p, before);
    return slice_trim(slice_of(comma + 1, last.n - before - 1));
}

/* "1.2.3.4", "1.2.3.4:5", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:5" */
static int parse_hop(struct slice text, struct net_addr *out)
{
    struct slice host;
    uint16_t port;
    if (net_addr_parse_ip(text, out) == 0)
        return 0;
    if (net_hostport_split(text, &host, &port) < 0)
        return -1;
    return net_addr_parse_ip(host, out);
}

void cidr_client_address(const struct cidr_list *trusted, const struct net_addr *peer,
                         const struct slice *xff, size_t n_xff, struct net_addr *client)
{
    *client = *peer;
    for (size_t i = n_xff; i-- > 0;) {
        struct slice list = xff[i];
        while (list.p) {
            struct net_addr hop;
            if (!cidr_list_has(trusted, client) || parse_hop(split_last(&list), &hop) < 0)
                return;
            *client = hop;
        }
    }
}
