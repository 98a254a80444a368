/*
 * dns_policy.c: the table of special-purpose networks (RFC 6890 and the IANA registries that it
 * founded) that an answer of a name server may not point into.
 */
#include "gatewayd/keeper/dns_policy.h"

struct refused_net {
    uint8_t family;
    uint8_t bits;
    bool internal_ok;
    uint8_t prefix[16];
    const char *what;
};

/* First match wins. */
static const struct refused_net nets[] = {
    {4, 8, false, {0}, "unspecified"},
    {4, 8, true, {127}, "loopback"},
    {4, 8, true, {10}, "private network"},
    {4, 12, true, {172, 16}, "private network"},
    {4, 16, true, {192, 168}, "private network"},
    {4, 10, true, {100, 64}, "shared address space"},
    {4, 16, false, {169, 254}, "link-local or metadata service"},
    {4, 24, false, {192, 0, 0}, "protocol assignment"},
    {4, 15, true, {198, 18}, "benchmarking network"},
    {4, 4, false, {224}, "multicast"},
    {4, 4, false, {240}, "reserved or broadcast"},
    {6, 128, false, {0}, "unspecified"},
    {6, 128, true, {[15] = 1}, "loopback"},
    {6, 128, false, {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}, "metadata service"},
    {6, 7, true, {0xfc}, "unique local address"},
    {6, 10, false, {0xfe, 0x80}, "link-local"},
    {6, 10, true, {0xfe, 0xc0}, "site-local"},
    {6, 8, false, {0xff}, "multicast"},
    {6, 32, false, {0x20, 0x01, 0x00, 0x00}, "Teredo"},
};

/* IPv6 forms that carry an IPv4 address which the packet ends up at. */
static const struct {
    uint8_t bytes; /* of the prefix; the address follows */
    uint8_t prefix[12];
} carriers[] = {
    {12, {[10] = 0xff, 0xff}},      /* ::ffff:0:0/96, RFC 4291 §2.5.5.2 */
    {12, {0x00, 0x64, 0xff, 0x9b}}, /* 64:ff9b::/96, RFC 6052 §2.1 */
    {2, {0x20, 0x02}},              /* 2002::/16, RFC 3056 §2 */
};

static bool prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    uint8_t mask = (uint8_t)(0xff00 >> rest);
    return rest == 0 || (a[whole] & mask) == (b[whole] & mask);
}

const char *dns_policy_refuses(const struct dns_addr *a, bool internal)
{
    for (size_t i = 0; a->family == 6 && i < ARRAY_LEN(carriers); i++) {
        if (memcmp(a->bytes, carriers[i].prefix, carriers[i].bytes) != 0)
            continue;
        struct dns_addr inner = {.family = 4};
        memcpy(inner.bytes, a->bytes + carriers[i].bytes, 4);
        return dns_policy_refuses(&inner, internal);
    }
    for (size_t i = 0; i < ARRAY_LEN(nets); i++)
        if (nets[i].family == a->family && prefix_equal(nets[i].prefix, a->bytes, nets[i].bits))
            return internal && nets[i].internal_ok ? NULL : nets[i].what;
    return NULL;
}
