/*
 * tls.c: building contexts. Every option that both sides share is set in one place.
 */
#include "gatewayd/net/tls_internal.h"

#include "common/check.h"
#include "gatewayd/net/tls_ca.h"
#include "gatewayd/net/tls_tickets.h"

#include <openssl/err.h>
#include <stdlib.h>

/* Forward secret and authenticated; 1.3 has no others. */
#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS        "X25519:P-256:P-384"
static const unsigned char alpn_http11[] = "\x08http/1.1";

/* PARTIAL_WRITE and MOVING_WRITE_BUFFER are what io_writev's contract needs; RELEASE_BUFFERS gives
 * some 34 KiB back while a connection is quiet; read-ahead takes a record in one system call
 * instead of two. */
static SSL_CTX *new_common(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (!ctx)
        return NULL;
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_read_ahead(ctx, 1);
    if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
        !SSL_CTX_set_cipher_list(ctx, TLS12_CIPHERS) || !SSL_CTX_set1_groups_list(ctx, GROUPS)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static struct tls_ctx *wrap(SSL_CTX *ssl_ctx)
{
    struct tls_ctx *ctx = gw_xmalloc(sizeof *ctx);
    ctx->ssl_ctx = ssl_ctx;
    return ctx;
}

void tls_ctx_free(struct tls_ctx *ctx)
{
    if (!ctx)
        return;
    SSL_CTX_free(ctx->ssl_ctx);
    free(ctx);
}

static int add_own_certificate(void *ctx, X509 *cert, unsigned index)
{
    int ok = index == 0 ? SSL_CTX_use_certificate(ctx, cert) : SSL_CTX_add1_chain_cert(ctx, cert);
    return ok ? 0 : -1;
}

static int use_identity(SSL_CTX *ctx, struct tls_pem certificate, struct tls_pem key,
                        struct errbuf *err)
{
    if (tls_pem_each_certificate(certificate, add_own_certificate, ctx, err) < 0)
        return -1;
    EVP_PKEY *pkey = tls_pem_key(key, err);
    if (!pkey)
        return -1;
    int rc = 0;
    if (!SSL_CTX_use_PrivateKey(ctx, pkey) || !SSL_CTX_check_private_key(ctx))
        rc = err_set(err, "%s: the key doesn't belong to the first certificate of %s: %s",
                     key.setting, certificate.setting, tls_last_error());
    EVP_PKEY_free(pkey);
    return rc;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg)
{
    unsigned char *selected;
    if (SSL_select_next_proto(&selected, out_len, alpn_http11, sizeof alpn_http11 - 1, in,
                              in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = selected;
    return SSL_TLSEXT_ERR_OK;
}

static int use_ticket_secret(SSL_CTX *ctx, struct slice secret, struct errbuf *err)
{
    if (secret.n > 0)
        return tls_tickets_use(ctx, secret, err);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0);
    return 0;
}

static int add_client_ca_name(void *ctx, X509 *cert, unsigned index)
{
    return SSL_CTX_add_client_CA(ctx, cert) ? 0 : -1;
}

static int demand_client_certificate(SSL_CTX *ctx, struct tls_pem client_ca, struct errbuf *err)
{
    struct tls_ca *ca = tls_ca_load(client_ca, err);
    if (!ca)
        return -1;
    SSL_CTX_set1_cert_store(ctx, tls_ca_store(ca));
    tls_ca_free(ca);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return tls_pem_each_certificate(client_ca, add_client_ca_name, ctx, err);
}

/* A session counts only under the client_ca that it was made under. */
static int set_session_context(SSL_CTX *ctx, struct tls_pem client_ca, struct errbuf *err)
{
    unsigned char id[32];
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (!EVP_Digest(client_ca.bytes.p, client_ca.bytes.n, id, NULL, EVP_sha256(), NULL) ||
        !SSL_CTX_set_session_id_context(ctx, id, sizeof id))
        return err_set(err, "TLS session context: %s", tls_last_error());
    return 0;
}

struct tls_ctx *tls_server_new(const struct tls_server_options *o, struct errbuf *err)
{
    ERR_clear_error();
    SSL_CTX *ctx = new_common(TLS_server_method());
    if (!ctx) {
        err_set(err, "TLS: %s", tls_last_error());
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
    if (use_identity(ctx, o->certificate, o->key, err) < 0 ||
        use_ticket_secret(ctx, o->ticket_secret, err) < 0 ||
        set_session_context(ctx, o->client_ca, err) < 0)
        goto fail;
    if (o->client_ca.bytes.n > 0 && demand_client_certificate(ctx, o->client_ca, err) < 0)
        goto fail;
    return wrap(ctx);
fail:
    SSL_CTX_free(ctx);
    return NULL;
}

/* 1: the reference is taken. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_sessions *sessions = SSL_get_app_data(ssl);
    if (!sessions)
        return 0;
    tls_sessions_put(sessions, session);
    return 1;
}

struct tls_ctx *tls_client_new(const struct tls_client_options *o, struct errbuf *err)
{
    ERR_clear_error();
    SSL_CTX *ctx = new_common(TLS_client_method());
    if (!ctx || SSL_CTX_set_alpn_protos(ctx, alpn_http11, sizeof alpn_http11 - 1) != 0) {
        err_set(err, "TLS: %s", tls_last_error());
        goto fail;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set1_cert_store(ctx, tls_ca_store(o->ca));
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_new_session);
    if (o->client_certificate.bytes.n > 0 &&
        use_identity(ctx, o->client_certificate, o->client_key, err) < 0)
        goto fail;
    return wrap(ctx);
fail:
    SSL_CTX_free(ctx);
    return NULL;
}
