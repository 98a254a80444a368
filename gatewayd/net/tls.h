/*
 * tls.h: TLS contexts for both sides, CA stores, client session caches.
 *
 * Everything comes in as PEM bytes: no file is opened here, except for the system's CA bundle.
 * TLS 1.2 with ECDHE and AEAD ciphers, and 1.3; no renegotiation, no compression, no early data;
 * ALPN http/1.1. Contexts, CA stores and session caches are counted references: a connection keeps
 * what it uses, so a reload frees the old ones at once and old connections go on.
 */
#ifndef GW_NET_TLS_H
#define GW_NET_TLS_H

#include "common/errbuf.h"
#include "common/slice.h"

struct tls_ctx;
struct tls_ca;
struct tls_sessions;

/* PEM bytes and the setting that they came from, for error texts: "[tls] certificate". */
struct tls_pem {
    struct slice bytes; /* n == 0: not given */
    const char *setting;
};

struct tls_server_options {
    struct tls_pem certificate; /* leaf first, then the chain */
    struct tls_pem key;
    struct tls_pem client_ca; /* if given, clients must show a certificate of it */
    /* At least 32 secret bytes, the same in all workers and over reloads, so that each resumes the
     * others' sessions; n == 0: no session tickets. The keys derived from it change every twelve
     * hours; a ticket of the twelve hours before still counts. */
    struct slice ticket_secret;
};

/* Returns an owned context, or NULL with an error that names the setting. */
struct tls_ctx *tls_server_new(const struct tls_server_options *o, struct errbuf *err);

struct tls_client_options {
    struct tls_ca *ca; /* borrowed; the context takes its own reference */
    struct tls_pem client_certificate;
    struct tls_pem client_key;
};

/* Verifies the peer always; there is no switch to turn that off. */
struct tls_ctx *tls_client_new(const struct tls_client_options *o, struct errbuf *err);
void tls_ctx_free(struct tls_ctx *ctx);

/* A store of trusted roots. Parsing the system's bundle takes some 18 ms, so stores are shared:
 * as long as one with the same bytes is alive in this process, the next load returns it. Not
 * thread-safe: one thread of a process deals with TLS contexts. */
struct tls_ca *tls_ca_load(struct tls_pem pem, struct errbuf *err);
/* Of the system's bundle, /etc/ssl/certs/ca-certificates.crt. */
struct tls_ca *tls_ca_load_system(struct errbuf *err);
struct tls_ca *tls_ca_ref(struct tls_ca *ca);
void tls_ca_free(struct tls_ca *ca);
/* For the context of somebody else's TLS connection (an SSL_CTX): verifies by this store alone. */
void tls_ca_install(const struct tls_ca *ca, void *ssl_ctx);

/* Sessions to resume, of one target: never share a cache between hosts, client certificates or
 * tenants. Holds up to 8, newest first. A TLS 1.3 ticket is offered once (RFC 8446 §C.4). */
struct tls_sessions *tls_sessions_new(void);
/* Drops this reference; connections still using it keep theirs. */
void tls_sessions_free(struct tls_sessions *s);

#endif
