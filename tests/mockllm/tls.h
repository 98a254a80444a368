/*
 * tls.h: certificates, good and bad, and the contexts of TLS listeners.
 */
#ifndef MOCKLLM_TLS_H
#define MOCKLLM_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* Writes into `dir`, unless they are there already: ca.pem, key.pem, cert.pem (localhost,
 * 127.0.0.1,
 * ::1), and with the same key expired.pem, wrong-host.pem and untrusted.pem (no CA of this folder).
 * Says on stderr what went wrong. */
bool tls_write_certificates(const char *dir);

/* A server context that speaks TLS 1.2 and later and http/1.1. NULL, said on stderr, on an error.
 */
SSL_CTX *tls_context(const char *cert, const char *key);

#endif
