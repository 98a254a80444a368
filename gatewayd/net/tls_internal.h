/*
 * tls_internal.h: what io.c needs of the TLS objects. Internal to gatewayd/net.
 */
#ifndef GW_NET_TLS_INTERNAL_H
#define GW_NET_TLS_INTERNAL_H

#include "gatewayd/net/tls.h"

#include <openssl/ssl.h>

struct tls_ctx {
    SSL_CTX *ssl_ctx;
};

struct tls_sessions *tls_sessions_ref(struct tls_sessions *s);
/* Takes the reference. */
void tls_sessions_put(struct tls_sessions *s, SSL_SESSION *session);
/* An owned reference to the newest session that can still be resumed, or NULL. */
SSL_SESSION *tls_sessions_take(struct tls_sessions *s);

#endif
