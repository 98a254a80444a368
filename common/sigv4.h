/*
 * sigv4.h: AWS Signature Version 4 in the Authorization field, for every service but S3
 * (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv4-create-signed-request.html).
 *
 * A signer belongs to one credential, region and service, and to one thread. It keeps the signing
 * key of the day, so a signature costs two hashes and one HMAC. The caller says which fields are
 * signed; the signer adds x-amz-date and, for temporary credentials, x-amz-security-token, which
 * must be sent as it gives them.
 */
#ifndef GW_COMMON_SIGV4_H
#define GW_COMMON_SIGV4_H

#include "common/buf.h"
#include "common/crypto.h"

enum {
    SIGV4_DATE_BYTES = 17, /* "20150830T123600Z" and a NUL */
    SIGV4_MAX_FIELDS = 32,
    SIGV4_MAX_REQUEST_BYTES = 64 << 10, /* canonical form, without the body */
};

struct sigv4_credentials {
    struct slice access_key_id, secret;
    struct slice session_token; /* n = 0: none */
};

struct sigv4_field {
    struct slice name, value; /* the name in any case; no colon, no CRLF */
};

struct sigv4_request {
    struct slice method;
    struct slice target; /* path and query, as on the request line */
    const struct sigv4_field *fields;
    size_t n_fields; /* of those that are signed; `host` must be among them */
    const uint8_t *body_sha256;
};

struct sigv4_signer {
    struct sigv4_credentials credentials; /* borrowed, as are the next two */
    struct slice region, service;
    char day[9]; /* of the key: "20150830" */
    uint8_t key[CRYPTO_SHA256_BYTES];
    struct buf text;
};

struct sigv4_signature {
    char date[SIGV4_DATE_BYTES]; /* value of x-amz-date */
    struct slice security_token; /* value of x-amz-security-token; n = 0: don't send it */
    struct slice authorization;  /* value of authorization; stands until the signer's next call */
    struct slice canonical;      /* what was signed, for tests: likewise */
    char hex[CRYPTO_SHA256_HEX + 1];
};

/* Everything given is borrowed and must stand until sigv4_signer_fini, which wipes the key. */
void sigv4_signer_init(struct sigv4_signer *s, const struct sigv4_credentials *c,
                       struct slice region, struct slice service);
void sigv4_signer_fini(struct sigv4_signer *s);
/* Other keys from now on; the key of the day is derived anew from them. */
void sigv4_signer_use(struct sigv4_signer *s, const struct sigv4_credentials *c);

/* -1: too many fields, or more than SIGV4_MAX_REQUEST_BYTES. */
GW_MUSTUSE int sigv4_sign(struct sigv4_signer *s, const struct sigv4_request *r, int64_t wall_us,
                          struct sigv4_signature *out);

#endif
