/*
 * crypto.h: hashing, randomness and the ids made of it. The one home of libcrypto in common/.
 *
 * Thread-safe: the hash context that the fast path reuses belongs to the calling thread. After a
 * fork the child draws new randomness.
 */
#ifndef GW_COMMON_CRYPTO_H
#define GW_COMMON_CRYPTO_H

#include "common/slice.h"

enum {
    CRYPTO_SHA256_BYTES = 32,
    CRYPTO_SHA256_HEX = 64,
    /* "sk-gw-", 43 characters, NUL */
    CRYPTO_KEY_TEXT_BYTES = 6 + 43 + 1,
    CRYPTO_REQUEST_ID_BYTES = 16,
    /* 8-4-4-4-12 hex digits, NUL */
    CRYPTO_REQUEST_ID_TEXT_BYTES = 37,
    CRYPTO_RSA_MAX_BYTES = 1024, /* a signature by a key of 8192 bits */
};

/* Aborts only where libcrypto itself is broken. No allocation after a thread's first call. */
void crypto_sha256(const void *p, size_t n, uint8_t out[CRYPTO_SHA256_BYTES]);
/* The hash of the parts one behind the other. */
void crypto_sha256_parts(const struct slice *parts, size_t count, uint8_t out[CRYPTO_SHA256_BYTES]);

/* Hash of something that comes in pieces. free also without final; final may be called once. */
struct crypto_hash;
struct crypto_hash *crypto_hash_new(void);
void crypto_hash_update(struct crypto_hash *h, const void *p, size_t n);
void crypto_hash_final(struct crypto_hash *h, uint8_t out[CRYPTO_SHA256_BYTES]);
void crypto_hash_free(struct crypto_hash *h);

/* HMAC-SHA256 (RFC 2104) of the text under a key of any length. No allocation after a thread's
 * first call. */
void crypto_hmac_sha256(struct slice key, struct slice text, uint8_t out[CRYPTO_SHA256_BYTES]);

/* getrandom(2); blocks only before the kernel's pool is ready, aborts where there is none. */
void crypto_random(void *p, size_t n);
/* Takes the same time wherever the first difference is. */
bool crypto_equal(const void *a, const void *b, size_t n);
/* Overwrites n bytes in a way that the compiler keeps. */
void crypto_wipe(void *p, size_t n);

/* RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2; RS256 of RFC 7518 §3.3) by a private key in PEM.
 * 0 and *n bytes at out, or -1: it is no RSA key, one under 2048 bits, or one that is encrypted. */
GW_MUSTUSE int crypto_rs256_sign(struct slice pem, struct slice text,
                                 uint8_t out[CRYPTO_RSA_MAX_BYTES], size_t *n);

/* Lower-case hex of n bytes: 2 n characters and a NUL. */
void crypto_hex(const void *p, size_t n, char *out);
/* Either case. 0, or -1 when s isn't exactly 2 n hex digits. */
GW_MUSTUSE int crypto_unhex(struct slice s, void *out, size_t n);

/* n random base62 characters (5.95 bits each) and a NUL. */
void crypto_base62(char *out, size_t n);
/* A new virtual key: "sk-gw-" and 43 base62 characters, log2(62^43) = 256.03 random bits. */
void crypto_key_text(char out[CRYPTO_KEY_TEXT_BYTES]);

/* A request id: UUID version 7 (RFC 9562 §5.7), ordered by time between processes and, within one
 * process, by a 12-bit counter inside the millisecond. Not a secret. `wall_us` is the time of the
 * request; a clock that steps back doesn't make ids of one thread go back. */
void crypto_request_id(int64_t wall_us, uint8_t out[CRYPTO_REQUEST_ID_BYTES]);
void crypto_request_id_text(const uint8_t id[CRYPTO_REQUEST_ID_BYTES],
                            char out[CRYPTO_REQUEST_ID_TEXT_BYTES]);
/* Reads the text form; 0 or -1. */
GW_MUSTUSE int crypto_request_id_parse(struct slice text, uint8_t id[CRYPTO_REQUEST_ID_BYTES]);

#endif
