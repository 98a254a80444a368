/*
 * admin_credentials.c: the credentials of the running generation, and how their tokens do. No
 * secret, nothing of one.
 */
#include "gatewayd/keeper/admin.h"
#include "gatewayd/keeper/admin_commands.h"

#include "common/clock.h"
#include "gatewayd/keeper/tokens.h"

static void put_token(struct json_writer *w, const struct token_status *st)
{
    int64_t now = clock_mono_us();
    jw_member_str(w, "state", slice_str(token_state_name(st->state)));
    if (st->expires_us)
        jw_member_i64(w, "expires_in_us", st->expires_us - now);
    if (st->fetched_us)
        jw_member_i64(w, "age_us", now - st->fetched_us);
    if (st->next_us)
        jw_member_i64(w, "next_in_us", GW_MAX(st->next_us - now, INT64_C(0)));
    jw_member_u64(w, "failures", st->failures);
    if (st->error[0])
        jw_member_str(w, "error", slice_str(st->error));
}

void admin_credentials(struct admin_call *call)
{
    const struct conf *c = call->gen->conf;
    struct json_writer *w = admin_json(call);
    jw_member_array(w, "credentials");
    for (uint32_t i = 0; i < c->n_credentials; i++) {
        const struct conf_credential *cr = &c->credentials[i];
        struct token_status st;
        jw_object(w);
        jw_member_str(w, "name", cr->name);
        jw_member_str(w, "provider", cr->provider->name);
        jw_member_str(w, "auth", slice_str(conf_cred_auth_name((enum conf_cred_auth)cr->auth)));
        if (conf_credential_fetched(cr)) {
            tokens_status(call->keeper->tokens, call->gen, cr, &st);
            put_token(w, &st);
        } else {
            jw_member_str(w, "state", SLICE_LIT("static"));
        }
        jw_object_end(w);
    }
    jw_array_end(w);
}
