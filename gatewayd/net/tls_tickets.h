/*
 * tls_tickets.h: session tickets whose keys change with time. Internal to gatewayd/net.
 */
#ifndef GW_NET_TLS_TICKETS_H
#define GW_NET_TLS_TICKETS_H

#include "common/errbuf.h"
#include "common/slice.h"

#include <openssl/ssl.h>

enum { TLS_TICKET_SECRET_MIN = 32 };
#define TLS_TICKET_EPOCH_US (INT64_C(12) * 3600 * 1000000)

/* Contexts with the same secret resume each other's sessions. The secret is copied. */
GW_MUSTUSE int tls_tickets_use(SSL_CTX *ctx, struct slice secret, struct errbuf *err);

#endif
