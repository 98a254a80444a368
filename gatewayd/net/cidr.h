/*
 * cidr.h: lists of networks (`allow`, `trusted_proxies`), and the client's address behind trusted
 * proxies.
 *
 * IPv4 is kept and compared in its v4-mapped form, so that a dual-stack socket's ::ffff:a.b.c.d
 * and a.b.c.d are the same address.
 */
#ifndef GW_NET_CIDR_H
#define GW_NET_CIDR_H

#include "gatewayd/net/addr.h"

struct cidr {
    uint8_t addr[16];
    uint8_t bits; /* 0..128, in the mapped form */
};

struct cidr_list {
    struct cidr *v; /* owned */
    size_t n;
};

/* "10.0.0.0/8, ::1, fd00::/8": blanks around, an address alone is a network of one; an empty text
 * is an empty list. Bits set behind the prefix are an error. On failure the list is empty. */
GW_MUSTUSE int cidr_list_parse(struct slice text, struct cidr_list *out, struct errbuf *err);
void cidr_list_release(struct cidr_list *l);

/* A unix socket matches no network. */
bool cidr_list_has(const struct cidr_list *l, const struct net_addr *a);

/* The client: the rightmost address that isn't a trusted proxy. `xff` are the values of the
 * X-Forwarded-For fields in the order they came. If the peer itself isn't trusted it is the client
 * and the fields are ignored. An element that isn't an address ends the walk: the hop that sent it
 * counts. When all are trusted, the leftmost is the client. Ports in elements are dropped. */
void cidr_client_address(const struct cidr_list *trusted, const struct net_addr *peer,
                         const struct slice *xff, size_t n_xff, struct net_addr *client);

#endif
