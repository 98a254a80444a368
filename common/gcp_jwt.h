/*
 * gcp_jwt.h: what a Google service account shows to be given an access token: a JWT signed with its
 * key (RFC 7523; developers.google.com/identity/protocols/oauth2/service-account#jwt-auth).
 *
 * Pure: no clock, no network. Who holds the account wipes it.
 */
#ifndef GW_COMMON_GCP_JWT_H
#define GW_COMMON_GCP_JWT_H

#include "common/buf.h"
#include "common/errbuf.h"
#include "common/json.h"

enum {
    GCP_NAME_BYTES = 256,
    GCP_KEY_PEM_BYTES = 4096, /* RSA of 4096 bits takes 3272 in PKCS #8 */
    GCP_JWT_LIFE_S = 3600,    /* the longest that Google takes */
    GCP_JWT_MAX_BYTES = 64 * 1024,
};

/* Of the key file that Google hands out. */
struct gcp_account {
    char email[GCP_NAME_BYTES];
    char key_id[GCP_NAME_BYTES];
    char token_uri[GCP_NAME_BYTES];
    char project[GCP_NAME_BYTES]; /* "": the file names none */
    char key_pem[GCP_KEY_PEM_BYTES];
};

/* 0, or -1 with the member that is wrong in e; never a value of it. */
GW_MUSTUSE int gcp_account_read(struct gcp_account *a, struct slice json, struct errbuf *e);
void gcp_account_wipe(struct gcp_account *a);

/* Appends the assertion for a token of `scope`, good from now_s on. -1 with e: the key is no RSA
 * key, or out is full. */
GW_MUSTUSE int gcp_jwt_write(const struct gcp_account *a, struct slice scope, int64_t now_s,
                             struct buf *out, struct errbuf *e);

#endif
