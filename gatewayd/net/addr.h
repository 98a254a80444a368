/*
 * addr.h: socket addresses as text and back: "127.0.0.1:8080", "[::]:8443", "unix:/path".
 *
 * Numeric addresses only: names are the keeper's business.
 */
#ifndef GW_NET_ADDR_H
#define GW_NET_ADDR_H

#include "common/errbuf.h"
#include "common/slice.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

struct net_addr {
    socklen_t len; /* of the sockaddr, as bind and connect want it */
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
};

/* "a.b.c.d:port", "[v6]:port", "unix:/path" ("localhost:port" is 127.0.0.1, "*:port" is
 * 0.0.0.0). Port 0 is allowed: the kernel chooses. */
GW_MUSTUSE int net_addr_parse(struct slice text, struct net_addr *out, struct errbuf *err);
/* An IP address alone, with or without brackets around v6; port 0. -1 if it isn't one. */
GW_MUSTUSE int net_addr_parse_ip(struct slice text, struct net_addr *out);
/* Copies what accept, getpeername or the PROXY protocol gave. */
void net_addr_from_sockaddr(struct net_addr *out, const struct sockaddr *sa, socklen_t len);
void net_addr_set_port(struct net_addr *a, uint16_t port);
uint16_t net_addr_port(const struct net_addr *a);

/* Longest text: "unix:" and a path. NUL included. */
enum { NET_ADDR_TEXT_BYTES = 128 };
/* As net_addr_parse takes it; returns out. A v4-mapped v6 address is written as IPv4. */
char *net_addr_format(const struct net_addr *a, char out[NET_ADDR_TEXT_BYTES]);
/* Without port and brackets; "unix" for a unix socket. */
char *net_addr_format_ip(const struct net_addr *a, char out[NET_ADDR_TEXT_BYTES]);

bool net_addr_eq(const struct net_addr *a, const struct net_addr *b);
bool net_addr_is_loopback(const struct net_addr *a);
bool net_addr_is_unix(const struct net_addr *a);

/* Splits "host:port" or "[v6]:port" without looking at what the host is: no DNS, no copy. The port
 * is 0 when the text has none. -1 if malformed. Brackets are taken off. */
GW_MUSTUSE int net_hostport_split(struct slice text, struct slice *host, uint16_t *port);

#endif
