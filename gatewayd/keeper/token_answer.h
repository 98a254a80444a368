/*
 * token_answer.h: reads what token services say. Pure; their bytes are nobody's who can be trusted.
 *
 *   OAuth   {"access_token","expires_in","token_type"}: RFC 6749 §5.1; expires_in is a text in
 *           Azure's metadata service
 *   keys    {"AccessKeyId","SecretAccessKey","Token","Expiration"}: container endpoints and IMDS
 *   STS     <AssumeRoleResponse>, docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
 *
 * What is taken goes into header fields and signatures, so it is printable ASCII without blanks.
 */
#ifndef GW_KEEPER_TOKEN_ANSWER_H
#define GW_KEEPER_TOKEN_ANSWER_H

#include "common/errbuf.h"
#include "common/token_shm.h"

enum {
    TOKEN_ANSWER_MAX_BYTES = 64 * 1024,
    TOKEN_ERROR_CODE_BYTES = 64,
    /* No token is believed to be good for longer. */
    TOKEN_LIFE_MAX_S = 7 * 24 * 3600,
    /* Of keys that don't say when they expire. */
    TOKEN_LIFE_UNSAID_S = 3600,
};

/* 0: parts and lengths of *out, and for how many seconds it is good. -1 and why, without a byte of
 * it. */
GW_MUSTUSE int token_answer_oauth(struct slice json, struct token_record *out, int64_t *life_s,
                                  struct errbuf *e);
GW_MUSTUSE int token_answer_keys(struct slice json, int64_t wall_us, struct token_record *out,
                                 int64_t *life_s, struct errbuf *e);
GW_MUSTUSE int token_answer_sts(struct slice xml, int64_t wall_us, struct token_record *out,
                                int64_t *life_s, struct errbuf *e);
/* The code that an error answer names ("invalid_grant", "AccessDenied"), for the log; "" if it
 * names none, or something that isn't one word. */
void token_answer_error(struct slice body, char out[TOKEN_ERROR_CODE_BYTES]);

/* Printable ASCII without blanks, at least a byte. */
bool token_answer_is_plain(struct slice s);

#endif
