/*
 * tls_tickets.c: the keys of session tickets, new ones every twelve hours.
 *
 * Keys are derived (HKDF, RFC 5869) from the secret that all workers share and the number of the
 * twelve-hour epoch of the wall clock, so every worker changes at the same moment without being
 * told. A ticket of the epoch before is still taken and replaced; an older one, or one of another
 * secret, only costs the client a full handshake. The construction of tickets is that of RFC 5077
 * §4: AES-256-CBC, then HMAC-SHA-256.
 */
#include "gatewayd/net/tls_tickets.h"

#include "common/check.h"
#include "common/clock.h"
#include "gatewayd/net/tls_ca.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_BYTES = 16, KEY_BYTES = 32 };

struct ticket_key {
    unsigned char name[NAME_BYTES], mac[KEY_BYTES], cipher[KEY_BYTES];
};
_Static_assert(sizeof(struct ticket_key) == NAME_BYTES + 2 * KEY_BYTES, "filled as one run");

struct tickets {
    int64_t epoch; /* of key[0]; key[1] is of the one before */
    struct ticket_key key[2];
    size_t secret_bytes;
    unsigned char secret[];
};

static char digest[] = "SHA256"; /* the library takes no const */
static int index_of_tickets;

static void free_tickets(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl,
                         void *argp)
{
    struct tickets *t = ptr;
    if (t)
        OPENSSL_clear_free(t, sizeof *t + t->secret_bytes);
}

/* The library frees them with the context, which outlives ours while connections use it. */
static void make_index(void)
{
    index_of_tickets = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_tickets);
    GW_REQUIRE(index_of_tickets >= 0);
}

static bool derive(const struct tickets *t, int64_t epoch, struct ticket_key *out)
{
    char info[64];
    int n = snprintf(info, sizeof info, "gatewayd tls ticket %lld", (long long)epoch);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)t->secret, t->secret_bytes),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, (size_t)n),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    bool ok = ctx && EVP_KDF_derive(ctx, (unsigned char *)out, sizeof *out, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok;
}

static bool follow_clock(struct tickets *t)
{
    int64_t epoch = clock_wall_us() / TLS_TICKET_EPOCH_US;
    if (epoch == t->epoch)
        return true;
    t->epoch = -1; /* until both are there */
    if (!derive(t, epoch, &t->key[0]) || !derive(t, epoch - 1, &t->key[1]))
        return false;
    t->epoch = epoch;
    return true;
}

static bool use_mac(EVP_MAC_CTX *ctx, struct ticket_key *k)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof k->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(ctx, params) == 1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): -1 ends the handshake, 0 goes on without the ticket, 1
 * goes on with it, 2 as well and replaces it, which a TLS 1.3 client needs each time since it
 * offers a ticket once (RFC 8446 §C.4). */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int sealing)
{
    struct tickets *t = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), index_of_tickets);
    if (!follow_clock(t))
        return sealing ? -1 : 0;
    if (sealing) {
        struct ticket_key *k = &t->key[0];
        memcpy(name, k->name, sizeof k->name);
        bool ok = RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
                  EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv) == 1 &&
                  use_mac(mac, k);
        return ok ? 1 : -1;
    }
    for (int i = 0; i < 2; i++) {
        struct ticket_key *k = &t->key[i];
        if (memcmp(name, k->name, sizeof k->name) != 0)
            continue;
        bool ok = use_mac(mac, k) &&
                  EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv) == 1;
        bool replace = i > 0 || SSL_version(ssl) >= TLS1_3_VERSION;
        return !ok ? -1 : replace ? 2 : 1;
    }
    return 0;
}

int tls_tickets_use(SSL_CTX *ctx, struct slice secret, struct errbuf *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (secret.n < TLS_TICKET_SECRET_MIN)
        return err_set(err, "the session ticket secret has %zu bytes, %d are needed", secret.n,
                       TLS_TICKET_SECRET_MIN);
    pthread_once(&once, make_index);
    struct tickets *t = OPENSSL_zalloc(sizeof *t + secret.n);
    if (!t)
        return err_set(err, "session ticket keys: out of memory");
    t->epoch = -1;
    t->secret_bytes = secret.n;
    memcpy(t->secret, secret.p, secret.n);
    if (!follow_clock(t) || !SSL_CTX_set_ex_data(ctx, index_of_tickets, t)) {
        OPENSSL_clear_free(t, sizeof *t + secret.n);
        return err_set(err, "session ticket keys: %s", tls_last_error());
    }
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
    SSL_CTX_set_num_tickets(ctx, 1);
    return 0;
}
