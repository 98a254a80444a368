/*
 * upstream_token.h: what a worker shows of a credential that the keeper fetches.
 *
 * Looked up in the shared table when the head of a try is written, so a token that was renewed a
 * moment ago is the one that is sent. A few loads and a copy: no lock, no system call. Temporary
 * AWS keys are copied once for each of their lives, into the signer, which keeps the key of the day
 * that it derives from them.
 */
#ifndef GW_WORKER_UPSTREAM_TOKEN_H
#define GW_WORKER_UPSTREAM_TOKEN_H

#include "common/sigv4.h"
#include "common/token_shm.h"

struct conf_credential;
struct secrets;
struct worker;

/* Part of a snapshot, one a credential. */
struct credential_token {
    bool fetched; /* else there is nothing here to do */
    uint8_t identity[TOKEN_IDENTITY_BYTES];
    uint32_t hint;                     /* of token_find */
    uint32_t signing_serial;           /* whose keys the signer has; 0: none yet */
    struct token_record *signing_keys; /* owned: what the signer borrows */
};

void credential_token_init(struct credential_token *t, const struct conf_credential *c,
                           const struct secrets *secrets);
/* Wipes. */
void credential_token_fini(struct credential_token *t);

enum upstream_token_state {
    UPSTREAM_TOKEN_OK,
    UPSTREAM_TOKEN_COMING,  /* the keeper hasn't come to it yet */
    UPSTREAM_TOKEN_MISSING, /* it can't be had, or has run out and wasn't renewed */
};

/* What goes with one try. */
struct upstream_token {
    uint32_t serial;     /* 0: the credential isn't fetched */
    struct slice bearer; /* n = 0: none; in the worker's scratch, until its next call */
};

/* Brings `signer` up to date, where there is one, or finds the bearer token. */
enum upstream_token_state upstream_token_take(struct worker *w, struct credential_token *t,
                                              struct sigv4_signer *signer,
                                              struct upstream_token *out);
/* The provider has refused it: the keeper may want to fetch another one. */
void upstream_token_refused(struct worker *w, struct credential_token *t, uint32_t serial);

#endif
