/*
 * tls_ca.c: stores of trusted roots, one a content and process.
 */
#include "gatewayd/net/tls_ca.h"

#include "common/check.h"
#include "common/list.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <unistd.h>

#define SYSTEM_BUNDLE "/etc/ssl/certs/ca-certificates.crt"
enum { MAX_BUNDLE_BYTES = 16 << 20 };

struct tls_ca {
    struct list node; /* in `live` */
    unsigned refs;
    unsigned char sha256[32];
    X509_STORE *store;
};

static struct list live = {&live, &live};

X509_STORE *tls_ca_store(const struct tls_ca *ca)
{
    return ca->store;
}

void tls_ca_install(const struct tls_ca *ca, void *ssl_ctx)
{
    SSL_CTX_set1_cert_store(ssl_ctx, ca->store);
}

struct tls_ca *tls_ca_ref(struct tls_ca *ca)
{
    ca->refs++;
    return ca;
}

void tls_ca_free(struct tls_ca *ca)
{
    if (!ca || --ca->refs > 0)
        return;
    list_del(&ca->node);
    X509_STORE_free(ca->store);
    free(ca);
}

static struct tls_ca *find(const unsigned char sha256[32])
{
    list_foreach(it, &live)
    {
        struct tls_ca *ca = list_entry(it, struct tls_ca, node);
        if (memcmp(ca->sha256, sha256, sizeof ca->sha256) == 0)
            return tls_ca_ref(ca);
    }
    return NULL;
}

static int add_certificate(void *store, X509 *cert, unsigned index)
{
    return X509_STORE_add_cert(store, cert) == 1 ? 0 : -1;
}

static X509_STORE *parse_store(struct tls_pem pem, struct errbuf *err)
{
    X509_STORE *store = X509_STORE_new();
    if (!store) {
        err_set(err, "out of memory");
        return NULL;
    }
    /* What the operator lists is trusted, be it a root, an intermediate or the certificate itself.
     */
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    if (tls_pem_each_certificate(pem, add_certificate, store, err) < 0) {
        X509_STORE_free(store);
        return NULL;
    }
    return store;
}

struct tls_ca *tls_ca_load(struct tls_pem pem, struct errbuf *err)
{
    unsigned char sha256[32];
    if (!EVP_Digest(pem.bytes.p, pem.bytes.n, sha256, NULL, EVP_sha256(), NULL)) {
        err_set(err, "%s: SHA-256 failed", pem.setting);
        return NULL;
    }
    struct tls_ca *ca = find(sha256);
    if (ca)
        return ca;
    X509_STORE *store = parse_store(pem, err);
    if (!store)
        return NULL;
    ca = gw_xcalloc(1, sizeof *ca);
    ca->refs = 1;
    ca->store = store;
    memcpy(ca->sha256, sha256, sizeof sha256);
    list_append(&live, &ca->node);
    return ca;
}

static int read_bundle(int fd, struct buf *out, struct errbuf *err)
{
    ssize_t n;
    do {
        if (buf_reserve(out, 64 << 10) < 0)
            return err_set(err, SYSTEM_BUNDLE ": longer than %d MiB", MAX_BUNDLE_BYTES >> 20);
        n = read(fd, out->data + out->len, out->cap - out->len);
        if (n < 0)
            return err_set_errno(err, SYSTEM_BUNDLE);
        out->len += (size_t)n;
    } while (n > 0);
    return 0;
}

struct tls_ca *tls_ca_load_system(struct errbuf *err)
{
    struct tls_ca *ca = NULL;
    struct buf bundle;
    int fd = open(SYSTEM_BUNDLE, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_set_errno(err, SYSTEM_BUNDLE " (Debian package ca-certificates)");
        return NULL;
    }
    buf_init(&bundle, MAX_BUNDLE_BYTES);
    if (read_bundle(fd, &bundle, err) == 0)
        ca = tls_ca_load((struct tls_pem){buf_slice(&bundle), SYSTEM_BUNDLE}, err);
    buf_release(&bundle);
    close(fd);
    return ca;
}
