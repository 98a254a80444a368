/*
 * auth.c: keys of requests.
 */
#include "gatewayd/worker/auth.h"

#include "common/log.h"

enum { KEY_MAX_BYTES = 4096 };

static int refuse(struct auth_refusal *why, int status, const char *code, const char *message)
{
    *why = (struct auth_refusal){status, code, message};
    return -1;
}

/* The token of "Bearer TOKEN" (RFC 6750 section 2.1; the scheme's case doesn't matter). */
static struct slice bearer_token(struct slice value)
{
    static const struct slice scheme = SLICE_LIT("bearer ");
    if (value.n <= scheme.n || !slice_ieq(slice_of(value.p, scheme.n), scheme))
        return slice_of(NULL, 0);
    return slice_trim(slice_of(value.p + scheme.n, value.n - scheme.n));
}

/* One place's key. -1: another place gave a different one. */
static int take_key(struct slice *key, struct slice v, struct auth_refusal *why)
{
    if (v.n == 0)
        return 0;
    if (key->n && !slice_eq(*key, v))
        return refuse(why, 401, "conflicting_credentials",
                      "two different keys are given; send one, in one place");
    *key = v;
    return 0;
}

/* `?key=`, where Google's clients may put it (cloud.google.com/docs/authentication/api-keys-use);
 * the value as it stands: no key has a character that a query must encode. */
static int key_of_query(const struct req *r, struct slice *key, struct auth_refusal *why)
{
    struct slice query = http_request_query(&r->head);
    while (query.p) {
        struct slice value = slice_split(&query, '&');
        struct slice name = slice_split(&value, '=');
        if (slice_eq(name, SLICE_LIT("key")) && value.p && take_key(key, value, why) < 0)
            return -1;
    }
    return 0;
}

/* All places together must name one key. */
static int find_key(const struct req *r, struct slice *key, struct auth_refusal *why)
{
    static const enum http_header_id places[] = {HTTP_H_AUTHORIZATION, HTTP_H_X_API_KEY,
                                                 HTTP_H_X_GOOG_API_KEY, HTTP_H_API_KEY};
    const struct http_fields *f = &r->head.fields;
    *key = slice_of(NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (http_fields_count(f, places[i]) > 1)
            return refuse(why, 400, "duplicate_credentials",
                          "an authentication header is given more than once");
        struct slice v = http_fields_get(f, places[i]);
        if (places[i] == HTTP_H_AUTHORIZATION)
            v = bearer_token(v);
        if (take_key(key, v, why) < 0)
            return -1;
    }
    bool gemini = r->route->dialect == DIALECT_GEMINI || r->route->dialect == DIALECT_GEMINI_CACHE;
    if (gemini && key_of_query(r, key, why) < 0)
        return -1;
    if (key->n == 0)
        return refuse(why, 401, "missing_api_key",
                      "no key is given; send one as `Authorization: Bearer KEY`");
    if (key->n > KEY_MAX_BYTES)
        return refuse(why, 401, "invalid_api_key", "the key is not valid");
    return 0;
}

static int from_conf(struct req *r, const struct conf_key *k, struct auth_refusal *why)
{
    r->who = (struct principal){
        .known = true, .from_conf = true, .id = k->name, .name = k->name, .conf_key = k};
    r->who.conf_team = k->team;
    if (k->team) {
        r->who.team = k->team->name;
        r->who.customer = k->team->customer;
    }
    if (!k->enabled)
        return refuse(why, 401, "key_disabled", "this key is disabled");
    if (k->expires_us && k->expires_us <= r->started_wall_us)
        return refuse(why, 401, "key_expired", "this key has expired");
    return 0;
}

static int from_store(struct req *r, const uint8_t digest[CRYPTO_SHA256_BYTES],
                      struct auth_refusal *why)
{
    enum keystore_verdict verdict;
    struct keystore_key *k = arena_alloc(&r->arena, sizeof *k);
    enum store_err err =
        k ? keystore_lookup(r->w->state_reader, digest, r->started_wall_us, k, &verdict) : STORE_IO;
    if (err != STORE_OK) {
        LOG_EVERY(1000000, LOG_LEVEL_ERROR, "key lookup failed",
                  LOG_S("error", store_err_text(err)));
        return refuse(why, 503, "key_store_unavailable", "keys can't be checked at the moment");
    }
    if (verdict == KEYSTORE_UNKNOWN)
        return refuse(why, 401, "invalid_api_key", "the key is not valid");
    r->who = (struct principal){
        .known = true,
        .id = slice_str(k->id),
        .name = slice_str(k->name),
        .team = slice_str(k->team),
        .customer = slice_str(k->customer),
        .stored = k,
        .conf_team = k->team[0] ? conf_team_find(r->snap->conf, slice_str(k->team)) : NULL,
    };
    if (r->who.conf_team && r->who.customer.n == 0)
        r->who.customer = r->who.conf_team->customer;
    if (verdict == KEYSTORE_DISABLED)
        return refuse(why, 401, "key_disabled", "this key is disabled");
    if (verdict == KEYSTORE_EXPIRED)
        return refuse(why, 401, "key_expired", "this key has expired");
    return 0;
}

int auth_check(struct req *r, struct auth_refusal *why)
{
    const struct conf *conf = r->snap->conf;
    struct slice key;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    if (conf->gateway.auth == CONF_AUTH_OPEN)
        return 0;
    if (find_key(r, &key, why) < 0)
        return -1;
    crypto_sha256(key.p, key.n, digest);
    const struct conf_key *k = conf_key_find(conf, digest);
    return k ? from_conf(r, k, why) : from_store(r, digest, why);
}

static bool in_list(const struct conf_slices *list, struct slice name)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (slice_eq(list->v[i], name))
            return true;
    return false;
}

bool auth_lists(struct req *r, struct slice model)
{
    bool listed = false;
    if (r->who.conf_key)
        return in_list(&r->who.conf_key->models, model);
    if (r->who.stored && !r->who.stored->all_models &&
        keystore_lists_model(r->w->state_reader, r->who.stored, model, &listed) == STORE_OK)
        return listed;
    return false;
}

static bool key_has_no_list(const struct req *r)
{
    if (!r->who.known)
        return true; /* auth = open */
    if (r->who.conf_key)
        return r->who.conf_key->models.n == 0;
    return r->who.stored && r->who.stored->all_models;
}

static bool key_allows(struct req *r, struct slice model)
{
    return key_has_no_list(r) || auth_lists(r, model);
}

static bool team_allows(const struct req *r, struct slice model)
{
    const struct conf_team *t = r->who.conf_team;
    if (!t || t->n_models == 0)
        return true;
    for (uint32_t i = 0; i < t->n_models; i++)
        if (slice_eq(t->models[i]->name, model))
            return true;
    return false;
}

bool auth_may_use(struct req *r, struct slice model)
{
    return key_allows(r, model) && team_allows(r, model);
}

bool auth_is_unrestricted(const struct req *r)
{
    return key_has_no_list(r) && (!r->who.conf_team || r->who.conf_team->n_models == 0);
}
