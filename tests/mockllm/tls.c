/*
 * tls.c: see tls.h.
 */
#include "tests/mockllm/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAY = 86400 };

struct issue {
    const char *name; /* common name */
    const char *san;  /* subjectAltName as X509V3_EXT_conf_nid() takes it */
    long from, to;    /* seconds from now */
    bool ca;
};

static bool complain(const char *what)
{
    fprintf(stderr, "mockllm: %s: %s\n", what, ERR_error_string(ERR_get_error(), NULL));
    return false;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

/* Signed by `issuer` and its key; NULL for its own issuer. */
static X509 *make_certificate(const struct issue *issue, EVP_PKEY *key, X509 *issuer,
                              EVP_PKEY *issuer_key)
{
    static long serial = 1;
    X509 *cert = X509_new();
    if (issuer == NULL)
        issuer = cert;
    bool ok = X509_set_version(cert, 2) == 1 &&
              ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(cert), issue->from) != NULL &&
              X509_gmtime_adj(X509_getm_notAfter(cert), issue->to) != NULL &&
              X509_set_pubkey(cert, key) == 1 &&
              X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                                         (const unsigned char *)issue->name, -1, -1, 0) == 1 &&
              X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1;
    ok = ok && add_extension(cert, issuer, NID_basic_constraints,
                             issue->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    ok = ok && add_extension(cert, issuer, NID_subject_key_identifier, "hash");
    ok = ok && (issue->ca || add_extension(cert, issuer, NID_subject_alt_name, issue->san));
    if (ok && X509_sign(cert, issuer_key, EVP_sha256()) > 0)
        return cert;
    X509_free(cert);
    return NULL;
}

static FILE *open_in(const char *dir, const char *name, mode_t mode)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (f == NULL)
        perror(path);
    else
        fchmod(fileno(f), mode);
    return f;
}

static bool write_certificate(const char *dir, const char *name, X509 *cert)
{
    FILE *f = cert != NULL ? open_in(dir, name, 0644) : NULL;
    bool ok = f != NULL && PEM_write_X509(f, cert) == 1;
    if (f != NULL && fclose(f) != 0)
        ok = false;
    X509_free(cert);
    return ok || complain(name);
}

static bool write_key(const char *dir, EVP_PKEY *key)
{
    FILE *f = open_in(dir, "key.pem", 0600);
    bool ok = f != NULL && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1;
    if (f != NULL && fclose(f) != 0)
        ok = false;
    return ok || complain("key.pem");
}

static const char *const local = "DNS:localhost,IP:127.0.0.1,IP:::1";

/* cert.pem comes last: it tells the next start that the folder is complete. */
static bool write_all(const char *dir, EVP_PKEY *ca_key, EVP_PKEY *key)
{
    const struct issue authority = {"mockllm CA", NULL, -DAY, 3650L * DAY, true};
    const struct issue good = {"localhost", local, -DAY, 3650L * DAY, false};
    const struct issue expired = {"localhost", local, -30L * DAY, -DAY, false};
    const struct issue wrong = {"wrong.invalid", "DNS:wrong.invalid", -DAY, 3650L * DAY, false};
    X509 *ca = make_certificate(&authority, ca_key, NULL, ca_key);
    if (ca == NULL)
        return complain("cannot make a CA");
    bool ok = write_key(dir, key) &&
              write_certificate(dir, "expired.pem", make_certificate(&expired, key, ca, ca_key)) &&
              write_certificate(dir, "wrong-host.pem", make_certificate(&wrong, key, ca, ca_key)) &&
              write_certificate(dir, "untrusted.pem", make_certificate(&good, key, NULL, key));
    X509 *cert = make_certificate(&good, key, ca, ca_key);
    return write_certificate(dir, "ca.pem", ca) && ok && write_certificate(dir, "cert.pem", cert);
}

bool tls_write_certificates(const char *dir)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/cert.pem", dir);
    if (access(path, R_OK) == 0)
        return true;
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    bool ok = ca_key != NULL && key != NULL && write_all(dir, ca_key, key);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
    return ok;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                           const unsigned char *in, unsigned in_length, void *arg)
{
    static const unsigned char http11[] = "\x08http/1.1";
    if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_length, http11,
                              sizeof http11 - 1, in, in_length) == OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_OK;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

SSL_CTX *tls_context(const char *cert, const char *key)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"mockllm", 7);
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) == 1 &&
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1)
        return ctx;
    complain(cert);
    SSL_CTX_free(ctx);
    return NULL;
}
