/*
 * tls_pem.c: certificates and keys out of PEM bytes, with errors that name the setting.
 */
#include "gatewayd/net/tls_ca.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>

const char *tls_last_error(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return reason ? reason : "unknown OpenSSL error";
}

static BIO *open_pem(struct tls_pem pem, struct errbuf *err)
{
    ERR_clear_error();
    BIO *bio = pem.bytes.n <= INT_MAX ? BIO_new_mem_buf(pem.bytes.p, (int)pem.bytes.n) : NULL;
    if (!bio)
        err_set(err, "%s: too long, or out of memory", pem.setting);
    return bio;
}

static bool is_end_of_pem(void)
{
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

int tls_pem_each_certificate(struct tls_pem pem, int (*fn)(void *arg, X509 *cert, unsigned index),
                             void *arg, struct errbuf *err)
{
    BIO *bio = open_pem(pem, err);
    unsigned n = 0;
    int rc = 0;
    X509 *cert;
    if (!bio)
        return -1;
    while (rc == 0 && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        rc = fn(arg, cert, n++);
        X509_free(cert);
    }
    if (rc < 0)
        err_set(err, "%s: certificate %u can't be used: %s", pem.setting, n, tls_last_error());
    else if (!is_end_of_pem())
        rc = err_set(err, "%s: certificate %u is broken: %s", pem.setting, n + 1, tls_last_error());
    else if (n == 0)
        rc = err_set(err, "%s: holds no certificate (-----BEGIN CERTIFICATE-----)", pem.setting);
    ERR_clear_error();
    BIO_free(bio);
    return rc;
}

/* OpenSSL 3 calls a text without a key "unsupported". */
static bool names_a_key(struct slice text)
{
    struct slice label = SLICE_LIT("PRIVATE KEY-----");
    return text.n > 0 && memmem(text.p, text.n, label.p, label.n);
}

static int no_passphrase(char *out, int cap, int writing, void *was_asked)
{
    *(bool *)was_asked = true;
    return -1;
}

EVP_PKEY *tls_pem_key(struct tls_pem pem, struct errbuf *err)
{
    bool was_asked = false;
    BIO *bio = open_pem(pem, err);
    if (!bio)
        return NULL;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &was_asked);
    if (!key && was_asked)
        err_set(err, "%s: the key is encrypted; store it without a passphrase", pem.setting);
    else if (!key && !names_a_key(pem.bytes))
        err_set(err, "%s: holds no private key (-----BEGIN PRIVATE KEY-----)", pem.setting);
    else if (!key)
        err_set(err, "%s: the private key is broken: %s", pem.setting, tls_last_error());
    ERR_clear_error();
    BIO_free(bio);
    return key;
}
