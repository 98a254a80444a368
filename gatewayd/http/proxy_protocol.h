/*
 * proxy_protocol.h: the PROXY protocol header, versions 1 and 2
 * (https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt).
 *
 * Parses the first bytes of a connection whose peer is configured to send it; there is no guessing
 * whether it is there. TLVs of version 2 are skipped unread.
 */
#ifndef GW_HTTP_PROXY_PROTOCOL_H
#define GW_HTTP_PROXY_PROTOCOL_H

#include "common/base.h"

#include <netinet/in.h>

/* Longest header taken: the fixed part of version 2 with 4 KiB of addresses and TLVs. The caller's
 * buffer must hold that much. */
enum { PROXY_PROTOCOL_MAX_BYTES = 16 + 4096 };

enum proxy_protocol_result {
    PROXY_PROTOCOL_MORE,
    PROXY_PROTOCOL_OK,
    PROXY_PROTOCOL_BAD, /* not a PROXY header, or malformed: close without an answer */
};

union proxy_protocol_addr {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct proxy_protocol {
    size_t len;         /* bytes of the header, to be dropped from the front */
    bool has_addresses; /* false: LOCAL (a health check of the balancer itself), UNKNOWN or a family
                           other than IP: the peer's own address counts */
    union proxy_protocol_addr src, dst; /* AF_INET or AF_INET6 */
};

enum proxy_protocol_result proxy_protocol_parse(const char *buf, size_t len,
                                                struct proxy_protocol *out);

#endif
