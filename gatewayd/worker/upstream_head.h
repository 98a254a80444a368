/*
 * upstream_head.h: the head of a request to a provider.
 *
 * Made anew, never copied: the constant part once a generation for each credential and operation,
 * the rest from an allow-list. Hop-by-hop fields, cookies, the caller's credentials and
 * organization, and forwarding fields never leave (RFC 9110 section 7.6).
 */
#ifndef GW_WORKER_UPSTREAM_HEAD_H
#define GW_WORKER_UPSTREAM_HEAD_H

#include "common/conf.h"
#include "gatewayd/worker/req.h"

struct secrets;

/* Fills *out with the request line and the constant fields, credential included; bytes.n == 0: the
 * kind doesn't offer the operation. */
void upstream_head_constant(const struct secrets *secrets, const struct conf_credential *cred,
                            enum provider_op op, struct upstream_head *out);
/* The whole head with what was taken for the credential, signed over the body's pieces where it
 * asks for that; in the request's arena. {NULL, 0} if it doesn't fit. */
struct slice upstream_head_write(struct req *r, const struct candidate *cand,
                                 const struct upstream_token *token, const struct iovec *body,
                                 int n_body);
/* Whether a parameter ("name=value") of the caller's query may go on: nothing that a provider could
 * take for a credential beside ours or for another method, however its name is encoded, and not
 * Azure's version. */
bool upstream_query_passes(struct slice param);

#endif
