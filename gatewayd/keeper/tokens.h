/*
 * tokens.h: fetches the tokens of credentials and keeps them fresh in the shared table.
 *
 * A token is replaced when three quarters of its life are over, a little earlier by chance so that
 * a fleet doesn't come all at once. While that fails the old one is used as long as it is good, and
 * asking goes on with a growing pause. A provider that refuses a token brings the next one forward;
 * one that goes on refusing does so less and less often.
 *
 * Belongs to the keeper's loop. A keeper that starts anew takes over what it finds in the table.
 */
#ifndef GW_KEEPER_TOKENS_H
#define GW_KEEPER_TOKENS_H

#include "common/token_shm.h"
#include "gatewayd/keeper/fetch.h"
#include "gatewayd/keeper/jobs.h"

struct keeper_gen;
struct conf_credential;
struct tokens;

enum {
    TOKENS_RETRY_MIN_US = 1000 * 1000,
    TOKENS_RETRY_MAX_US = 60 * 1000 * 1000,
    TOKENS_EARLY_US = 5 * 1000 * 1000, /* doubled with every token that is refused in its turn */
    TOKENS_EARLY_DOUBLINGS = 6,
    TOKENS_TIMEOUT_US = 10 * 1000 * 1000, /* of a request */
    /* Workers swap generations a moment apart, and requests keep the one that they began with: that
     * long the tokens of a credential that is gone stay where they are. */
    TOKENS_GRACE_US = 60 * 1000 * 1000,
};

/* All of them borrowed; they must outlive it. Returns owned. */
struct tokens *tokens_new(struct event_base *base, struct token_seg *seg, struct fetcher *fetcher,
                          struct jobs *files);
/* NULL is fine. What is in the table stays there. */
void tokens_free(struct tokens *t);

/* The generations whose credentials are to have tokens, the running one first; either may be NULL.
 * New ones are fetched at once, known ones stay as they are. */
void tokens_want(struct tokens *t, struct keeper_gen *running, struct keeper_gen *built);

#define TOKEN_STATES(X)                                                                            \
    X(OK, "ok")                                                                                    \
    X(FETCHING, "fetching") /* there is none yet */                                                \
    X(FAILING, "failing")   /* the old one is still good */                                        \
    X(MISSING, "missing")
enum token_state {
#define X(name, text) TOKEN_##name,
    TOKEN_STATES(X)
#undef X
        TOKEN_N_STATES
};
const char *token_state_name(enum token_state s);

/* What is known of a fetched credential's token. */
struct token_status {
    enum token_state state;
    int64_t expires_us; /* monotonic; 0: there is none */
    int64_t fetched_us; /* likewise */
    int64_t next_us;    /* when it is asked again */
    unsigned failures;  /* in a row */
    const char *error;  /* of the last try; "": none */
};
/* By their state. */
struct token_counts {
    unsigned n[TOKEN_N_STATES];
};
void tokens_count(const struct tokens *t, const struct keeper_gen *gen, struct token_counts *out);
void tokens_status(const struct tokens *t, const struct keeper_gen *gen,
                   const struct conf_credential *c, struct token_status *out);

#endif
