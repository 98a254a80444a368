/*
 * token_round.h: what is asked of whom, and in which order, until a credential has its token.
 *
 * Pure: no socket, no clock, no file. The caller (tokens.c) sends what token_round_ask() says, and
 * gives the answer to token_round_answer(), until that is done or has failed. Nothing is kept from
 * one round to the next.
 *
 *   gcp-sa           POST the account's token_uri: a JWT signed with its key
 *   gcp-metadata     GET the metadata server
 *   entra            POST the tenant's endpoint: the client's secret, or a federated token (read
 *                    from its file first); or GET the metadata service (managed identity)
 *   sigv4-container  GET the endpoint (its authorization token may be read from a file first)
 *   sigv4-imds       PUT a session, GET the role's name, GET the role's keys
 *   role_arn         behind these, or with static keys: POST AssumeRole to STS
 *
 * Sources stand at the steps in token_round.c.
 */
#ifndef GW_KEEPER_TOKEN_ROUND_H
#define GW_KEEPER_TOKEN_ROUND_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/secrets.h"
#include "common/token_shm.h"
#include "gatewayd/keeper/fetch.h"

#define TOKEN_STEPS(X)                                                                             \
    X(FILE, "file")          /* the caller reads conf_token.token_file */                          \
    X(SESSION, "session")    /* of IMDSv2 */                                                       \
    X(ROLE, "role")          /* its name, of IMDS */                                               \
    X(TOKEN, "token")        /* the token, or the (base) keys */                                   \
    X(ASSUME, "assume-role") /* STS */
enum token_step {
#define X(name, text) TOKEN_STEP_##name,
    TOKEN_STEPS(X)
#undef X
};
const char *token_step_name(enum token_step s);

enum {
    TOKEN_FILE_MAX_BYTES = 16 * 1024,
    TOKEN_ASK_FIELDS_MAX = 6,
    TOKEN_ASK_MAX_BYTES = 64 * 1024,
};

struct token_round {
    const struct conf_credential *credential; /* borrowed, as is the next */
    const struct secrets *secrets;
    enum token_step step;
    char file[TOKEN_FILE_MAX_BYTES];
    size_t file_bytes;
    char session[1024];
    size_t session_bytes;
    char role[128];
    size_t role_bytes;
    struct token_record got; /* parts and lengths */
    int64_t life_s;
};

/* A request, with everything that it refers to. */
struct token_ask {
    const char *method;
    struct buf url; /* NUL-terminated */
    struct buf body;
    struct buf values; /* of the fields */
    struct fetch_field fields[TOKEN_ASK_FIELDS_MAX];
    size_t n_fields;
    const char *const *want;
    size_t n_want;
};

void token_round_begin(struct token_round *r, const struct conf_credential *c,
                       const struct secrets *secrets);
/* Of step FILE: what the file holds. -1 and why: it is of no use. */
GW_MUSTUSE int token_round_file(struct token_round *r, struct slice content, struct errbuf *e);
/* The request of any other step. -1 and why, without a secret. Release it in any case. */
GW_MUSTUSE int token_round_ask(const struct token_round *r, int64_t wall_us, struct token_ask *a,
                               struct errbuf *e);
void token_ask_release(struct token_ask *a);
/* 1: r->got and r->life_s are there; 0: the next step is to be asked; -1 and why. */
GW_MUSTUSE int token_round_answer(struct token_round *r, const struct fetch_answer *answer,
                                  int64_t wall_us, struct errbuf *e);
/* Wipes what it has seen. */
void token_round_end(struct token_round *r);

#endif
