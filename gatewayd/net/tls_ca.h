/*
 * tls_ca.h: what the context builder needs of CA stores and PEM. Internal to gatewayd/net.
 */
#ifndef GW_NET_TLS_CA_H
#define GW_NET_TLS_CA_H

#include "common/buf.h"
#include "gatewayd/net/tls.h"

#include <openssl/x509.h>

/* Borrowed. */
X509_STORE *tls_ca_store(const struct tls_ca *ca);

/* Calls fn for every certificate of the PEM text, in order; fn takes its own reference and returns
 * -1 to stop. Fails when there is none, one is broken, or fn failed. */
int tls_pem_each_certificate(struct tls_pem pem, int (*fn)(void *arg, X509 *cert, unsigned index),
                             void *arg, struct errbuf *err);
/* Owned, or NULL. An encrypted key is an error: nobody could enter its passphrase. */
EVP_PKEY *tls_pem_key(struct tls_pem pem, struct errbuf *err);
/* The reason of the newest error that OpenSSL has queued; empties the queue. */
const char *tls_last_error(void);

#endif
