/*
 * upstream_token.c: from the shared table into a signer or a head.
 */
#include "gatewayd/worker/upstream_token.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/crypto.h"
#include "common/token_identity.h"
#include "gatewayd/worker/worker.h"

#include <stdlib.h>

void credential_token_init(struct credential_token *t, const struct conf_credential *c,
                           const struct secrets *secrets)
{
    *t = (struct credential_token){.fetched = conf_credential_fetched(c), .hint = UINT32_MAX};
    if (t->fetched)
        token_identity(c, secrets, t->identity);
}

void credential_token_fini(struct credential_token *t)
{
    if (t->signing_keys)
        crypto_wipe(t->signing_keys, sizeof *t->signing_keys);
    free(t->signing_keys);
    t->signing_keys = NULL;
}

/* The signer keeps what it derived from keys that are still the same. */
static bool renew_signer(const struct token_seg *seg, int slot, struct credential_token *t,
                         struct sigv4_signer *signer, int64_t now_us)
{
    uint32_t serial = token_serial(seg, slot, t->identity, now_us);
    if (serial == 0 || serial == t->signing_serial)
        return serial != 0;
    if (!t->signing_keys)
        t->signing_keys = gw_xcalloc(1, sizeof *t->signing_keys);
    struct token_record *r = t->signing_keys;
    crypto_wipe(r, sizeof *r);
    t->signing_serial = 0;
    if (!token_read(seg, slot, t->identity, now_us, r))
        return false;
    struct sigv4_credentials keys = {.access_key_id = token_part(r, TOKEN_ACCESS_KEY_ID),
                                     .secret = token_part(r, TOKEN_SECRET),
                                     .session_token = token_part(r, TOKEN_SESSION)};
    sigv4_signer_use(signer, &keys);
    t->signing_serial = r->head.serial;
    return true;
}

enum upstream_token_state upstream_token_take(struct worker *w, struct credential_token *t,
                                              struct sigv4_signer *signer,
                                              struct upstream_token *out)
{
    *out = (struct upstream_token){0};
    if (!t->fetched)
        return UPSTREAM_TOKEN_OK;
    int64_t now_us = clock_mono_us();
    int slot = token_find(w->tokens, t->identity, &t->hint);
    if (slot < 0)
        return UPSTREAM_TOKEN_COMING;
    if (signer) {
        if (!renew_signer(w->tokens, slot, t, signer, now_us))
            return UPSTREAM_TOKEN_MISSING;
        out->serial = t->signing_serial;
        return UPSTREAM_TOKEN_OK;
    }
    if (!token_read(w->tokens, slot, t->identity, now_us, &w->token))
        return UPSTREAM_TOKEN_MISSING;
    out->serial = w->token.head.serial;
    out->bearer = token_part(&w->token, TOKEN_SECRET);
    return UPSTREAM_TOKEN_OK;
}

void upstream_token_refused(struct worker *w, struct credential_token *t, uint32_t serial)
{
    int slot = t->fetched && serial ? token_find(w->tokens, t->identity, &t->hint) : -1;
    if (slot >= 0)
        token_refused(w->tokens, slot, serial);
}
