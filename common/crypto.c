/*
 * crypto.c: SHA-256, HMAC, randomness and ids.
 *
 * Algorithms are fetched once a process and a context of each is kept a thread: OpenSSL 3 otherwise
 * looks the algorithm up by name on every call, which costs more than hashing a key does
 * (openssl-3.0 doc/man7/crypto.pod "ALGORITHM FETCHING", "performance").
 */
#include "common/crypto.h"

#include "common/check.h"

#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

static EVP_MD *sha256;
static EVP_MAC *hmac;
static pthread_key_t ctx_key, mac_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Grows in the child of a fork, so that a pool filled before it is not used twice. */
static atomic_uint forks;

static _Thread_local EVP_MD_CTX *thread_ctx;
static _Thread_local EVP_MAC_CTX *thread_mac;

static void free_ctx(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

static void free_mac(void *ctx)
{
    EVP_MAC_CTX_free(ctx);
}

static void on_fork_child(void)
{
    atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
}

static void release_process(void)
{
    EVP_MD_CTX_free(thread_ctx);
    EVP_MAC_CTX_free(thread_mac);
    thread_ctx = NULL;
    thread_mac = NULL;
    pthread_setspecific(ctx_key, NULL);
    pthread_setspecific(mac_key, NULL);
    EVP_MD_free(sha256);
    EVP_MAC_free(hmac);
    sha256 = NULL;
    hmac = NULL;
}

static void init_process(void)
{
    GW_REQUIRE(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1);
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    GW_REQUIRE(sha256 != NULL && hmac != NULL);
    GW_REQUIRE(pthread_key_create(&ctx_key, free_ctx) == 0);
    GW_REQUIRE(pthread_key_create(&mac_key, free_mac) == 0);
    /* Runs before libcrypto's own clean-up, which was registered by the call above. */
    GW_REQUIRE(OPENSSL_atexit(release_process) == 1);
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, on_fork_child);
}

static EVP_MD_CTX *begin(void)
{
    if (GW_UNLIKELY(thread_ctx == NULL)) {
        GW_REQUIRE(pthread_once(&once, init_process) == 0);
        thread_ctx = EVP_MD_CTX_new();
        GW_REQUIRE(thread_ctx != NULL);
        pthread_setspecific(ctx_key, thread_ctx);
        GW_REQUIRE(EVP_DigestInit_ex2(thread_ctx, sha256, NULL) == 1);
        return thread_ctx;
    }
    /* NULL keeps the algorithm of the last time and only resets the state. */
    GW_REQUIRE(EVP_DigestInit_ex2(thread_ctx, NULL, NULL) == 1);
    return thread_ctx;
}

void crypto_sha256(const void *p, size_t n, uint8_t out[CRYPTO_SHA256_BYTES])
{
    struct slice part = slice_of(p, n);
    crypto_sha256_parts(&part, 1, out);
}

void crypto_sha256_parts(const struct slice *parts, size_t count, uint8_t out[CRYPTO_SHA256_BYTES])
{
    EVP_MD_CTX *ctx = begin();
    for (size_t i = 0; i < count; i++)
        GW_REQUIRE(EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) == 1);
    GW_REQUIRE(EVP_DigestFinal_ex(ctx, out, NULL) == 1);
}

/* Asked for the passphrase of an encrypted key: there is none. */
static int no_passphrase(char *out, int cap, int writing, void *ctx)
{
    (void)out, (void)cap, (void)writing, (void)ctx;
    return -1;
}

int crypto_rs256_sign(struct slice pem, struct slice text, uint8_t out[CRYPTO_RSA_MAX_BYTES],
                      size_t *n)
{
    enum { RSA_MIN_BITS = 2048 };
    int rc = -1;
    (void)begin();
    BIO *in = pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    *n = CRYPTO_RSA_MAX_BYTES;
    if (key && ctx && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= RSA_MIN_BITS &&
        EVP_PKEY_get_size(key) <= CRYPTO_RSA_MAX_BYTES &&
        EVP_DigestSignInit(ctx, NULL, sha256, NULL, key) == 1 &&
        EVP_DigestSign(ctx, out, n, (const uint8_t *)text.p, text.n) == 1)
        rc = 0;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    BIO_free(in);
    ERR_clear_error();
    return rc;
}

struct crypto_hash {
    EVP_MD_CTX *ctx;
};

struct crypto_hash *crypto_hash_new(void)
{
    (void)begin();
    struct crypto_hash *h = gw_xmalloc(sizeof *h);
    h->ctx = EVP_MD_CTX_new();
    GW_REQUIRE(h->ctx != NULL && EVP_DigestInit_ex2(h->ctx, sha256, NULL) == 1);
    return h;
}

void crypto_hash_update(struct crypto_hash *h, const void *p, size_t n)
{
    GW_REQUIRE(EVP_DigestUpdate(h->ctx, p, n) == 1);
}

void crypto_hash_final(struct crypto_hash *h, uint8_t out[CRYPTO_SHA256_BYTES])
{
    GW_REQUIRE(EVP_DigestFinal_ex(h->ctx, out, NULL) == 1);
}

void crypto_hash_free(struct crypto_hash *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    free(h);
}

/* A thread's context keeps the digest that it was given first (EVP_MAC-HMAC(7)). */
static EVP_MAC_CTX *mac_context(void)
{
    if (GW_LIKELY(thread_mac != NULL))
        return thread_mac;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end(),
    };
    GW_REQUIRE(pthread_once(&once, init_process) == 0);
    thread_mac = EVP_MAC_CTX_new(hmac);
    GW_REQUIRE(thread_mac != NULL && EVP_MAC_CTX_set_params(thread_mac, params) == 1);
    pthread_setspecific(mac_key, thread_mac);
    return thread_mac;
}

void crypto_hmac_sha256(struct slice key, struct slice text, uint8_t out[CRYPTO_SHA256_BYTES])
{
    EVP_MAC_CTX *ctx = mac_context();
    size_t n = 0;
    /* A NULL key would mean the one of the last time. */
    const char *k = key.p ? key.p : "";
    GW_REQUIRE(EVP_MAC_init(ctx, (const unsigned char *)k, key.n, NULL) == 1);
    GW_REQUIRE(EVP_MAC_update(ctx, (const unsigned char *)text.p, text.n) == 1);
    GW_REQUIRE(EVP_MAC_final(ctx, out, &n, CRYPTO_SHA256_BYTES) == 1 && n == CRYPTO_SHA256_BYTES);
}

void crypto_random(void *p, size_t n)
{
    uint8_t *at = p;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        GW_REQUIRE(got > 0);
        at += got;
        n -= (size_t)got;
    }
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}

void crypto_wipe(void *p, size_t n)
{
    OPENSSL_cleanse(p, n);
}

void crypto_hex(const void *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[b[i] >> 4];
        out[2 * i + 1] = digits[b[i] & 15];
    }
    out[2 * n] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int crypto_unhex(struct slice s, void *out, size_t n)
{
    uint8_t *b = out;
    if (s.n != 2 * n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        int hi = hex_value(s.p[2 * i]), lo = hex_value(s.p[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return -1;
        b[i] = (uint8_t)(hi << 4 | lo);
    }
    return 0;
}

void crypto_base62(char *out, size_t n)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint8_t pool[64];
    size_t have = 0;
    for (size_t i = 0; i < n;) {
        if (have == 0) {
            crypto_random(pool, sizeof pool);
            have = sizeof pool;
        }
        /* 248 = 4 * 62: what is above would favour the first digits. */
        uint8_t b = pool[--have];
        if (b < 248)
            out[i++] = digits[b % 62];
    }
    out[n] = '\0';
    crypto_wipe(pool, sizeof pool);
}

void crypto_key_text(char out[CRYPTO_KEY_TEXT_BYTES])
{
    memcpy(out, "sk-gw-", 6);
    crypto_base62(out + 6, CRYPTO_KEY_TEXT_BYTES - 7);
}

/* Randomness for ids is drawn in advance: a getrandom call a request would cost more than all the
 * rest of the id. */
struct id_pool {
    uint8_t bytes[512];
    size_t have;
    unsigned forks;
    int64_t last_ms;
    unsigned counter;
};
static _Thread_local struct id_pool id_pool;

static void id_pool_take(struct id_pool *p, uint8_t out[8])
{
    unsigned now = atomic_load_explicit(&forks, memory_order_relaxed);
    if (p->have < 8 || p->forks != now) {
        crypto_random(p->bytes, sizeof p->bytes);
        p->have = sizeof p->bytes;
        p->forks = now;
    }
    p->have -= 8;
    memcpy(out, p->bytes + p->have, 8);
}

void crypto_request_id(int64_t wall_us, uint8_t out[CRYPTO_REQUEST_ID_BYTES])
{
    struct id_pool *p = &id_pool;
    int64_t ms = wall_us / 1000;
    if (ms > p->last_ms) {
        p->last_ms = ms;
        p->counter = 0;
    } else if (++p->counter > 0xfff) {
        p->last_ms++;
        p->counter = 0;
    }
    ms = p->last_ms;
    for (int i = 0; i < 6; i++)
        out[i] = (uint8_t)(ms >> (40 - 8 * i));
    out[6] = (uint8_t)(0x70 | p->counter >> 8);
    out[7] = (uint8_t)p->counter;
    id_pool_take(p, out + 8);
    out[8] = (uint8_t)(0x80 | (out[8] & 0x3f));
}

/* Where the text has hyphens: before these bytes. */
static bool hyphen_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void crypto_request_id_text(const uint8_t id[CRYPTO_REQUEST_ID_BYTES],
                            char out[CRYPTO_REQUEST_ID_TEXT_BYTES])
{
    for (size_t i = 0; i < CRYPTO_REQUEST_ID_BYTES; i++) {
        if (hyphen_before(i))
            *out++ = '-';
        crypto_hex(id + i, 1, out);
        out += 2;
    }
}

int crypto_request_id_parse(struct slice text, uint8_t id[CRYPTO_REQUEST_ID_BYTES])
{
    if (text.n != CRYPTO_REQUEST_ID_TEXT_BYTES - 1)
        return -1;
    const char *p = text.p;
    for (size_t i = 0; i < CRYPTO_REQUEST_ID_BYTES; i++, p += 2) {
        if (hyphen_before(i) && *p++ != '-')
            return -1;
        if (crypto_unhex(slice_of(p, 2), id + i, 1) != 0)
            return -1;
    }
    return 0;
}
