/*
 * token_identity.c: the hash over a credential's settings and secrets.
 */
#include "common/token_identity.h"

#include "common/crypto.h"

_Static_assert((int)CRYPTO_SHA256_BYTES == (int)TOKEN_IDENTITY_BYTES, "an identity is a SHA-256");

/* With its length, so that no two lists of parts are the same bytes. */
static void add(struct crypto_hash *h, struct slice s)
{
    uint64_t n = s.n;
    crypto_hash_update(h, &n, sizeof n);
    if (s.n)
        crypto_hash_update(h, s.p, s.n);
}

static void add_number(struct crypto_hash *h, uint64_t v)
{
    add(h, slice_of((const char *)&v, sizeof v));
}

static void add_url(struct crypto_hash *h, const struct conf_url *u)
{
    add_number(h, u->tls);
    add(h, u->authority);
    add(h, u->path);
}

static void add_secret(struct crypto_hash *h, const struct secrets *secrets,
                       const struct conf_secret *s)
{
    struct secret found;
    add(h, s->blob.n && secrets_get(secrets, s->blob, &found) ? found.data : slice_of(NULL, 0));
}

void token_identity(const struct conf_credential *c, const struct secrets *secrets,
                    uint8_t out[TOKEN_IDENTITY_BYTES])
{
    const struct conf_token *t = &c->token;
    struct crypto_hash *h = crypto_hash_new();
    add(h, c->name);
    add_number(h, (uint64_t)c->auth);
    add_number(h, (uint64_t)t->source);
    add_secret(h, secrets, &c->secret);
    add(h, c->access_key_id);
    add_secret(h, secrets, &c->session_token);
    add_url(h, &t->token_url);
    add_url(h, &t->authority);
    add_url(h, &t->metadata_url);
    add_url(h, &t->sts_url);
    add(h, t->tenant);
    add(h, t->client_id);
    add(h, t->scope);
    add(h, t->role_arn);
    add(h, t->external_id);
    add_secret(h, secrets, &t->container_token);
    add(h, t->token_file);
    add(h, c->provider->region);
    crypto_hash_final(h, out);
    crypto_hash_free(h);
}
