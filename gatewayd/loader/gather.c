/*
 * gather.c: walks the secret references of a snapshot.
 *
 * PEM texts are kept until their group is complete (certificate, key, client CA), so that OpenSSL
 * can say here, and not in every worker, what is wrong with them.
 */
#include "gatewayd/loader/gather.h"
#include "common/check.h"
#include "gatewayd/loader/secret_source.h"
#include "gatewayd/net/tls.h"

#include <stdlib.h>

enum { TICKET_KEY_BYTES = 64 };

struct text {
    char *p;
    size_t n;
    bool on_trust; /* exec: that isn't run */
};

static void text_free(struct text *t)
{
    if (t->p)
        crypto_wipe(t->p, t->n);
    free(t->p);
}

static void add_blob(struct gather *g, struct slice name, struct slice data)
{
    struct errbuf why;
    if (g->hash) {
        uint64_t lengths[2] = {name.n, data.n};
        crypto_hash_update(g->hash, lengths, sizeof lengths);
        crypto_hash_update(g->hash, name.p, name.n);
        crypto_hash_update(g->hash, data.p, data.n);
    }
    if (g->out && secrets_writer_add(g->out, name, data, g->now_us, &why) < 0)
        conf_errors_add(g->errs, slice_of(NULL, 0), 0, "%s", why.msg);
}

/* Reads a blob, if it is configured, and keeps its text in *t. */
static void read_blob(struct gather *g, const struct conf_secret *s, enum secret_class class,
                      const char *section, struct slice name, const char *key, struct text *t)
{
    struct errbuf why;
    *t = (struct text){0};
    if (!s->ref.n)
        return;
    t->on_trust = !g->run_programs && slice_starts_with(s->ref, SLICE_LIT("exec:"));
    if (t->on_trust)
        return;
    t->p = secret_source_read(s->ref, class, &t->n, &why);
    if (t->p)
        add_blob(g, s->blob, slice_of(t->p, t->n));
    else
        conf_errors_add(g->errs, slice_of(NULL, 0), 0, "[%s%s%.*s] %s: %.*s %s", section,
                        name.n ? ":" : "", SLICE_FMT(name), key, SLICE_FMT(s->ref), why.msg);
}

static void read_token(struct gather *g, const struct conf_secret *s, const char *section,
                       struct slice name, const char *key)
{
    struct text t;
    read_blob(g, s, SECRET_TOKEN, section, name, key, &t);
    text_free(&t);
}

static struct tls_pem pem(const struct text *t, const char *setting)
{
    return (struct tls_pem){slice_of(t->p, t->n), setting};
}

/* Whether all of a group that is configured has been read. */
static bool complete(const struct conf_secret *s, const struct text *t)
{
    return !s->ref.n || t->p;
}

static void gather_server_tls(struct gather *g)
{
    static const uint8_t any_ticket[TICKET_KEY_BYTES];
    const struct conf_tls *c = &g->conf->tls;
    struct slice none = slice_of(NULL, 0);
    struct text cert, key, ca;
    struct errbuf why;
    read_blob(g, &c->certificate, SECRET_PUBLIC, "tls", none, "certificate", &cert);
    read_blob(g, &c->key, SECRET_PRIVATE_KEY, "tls", none, "key", &key);
    read_blob(g, &c->client_ca, SECRET_PUBLIC, "tls", none, "client_ca", &ca);
    struct tls_server_options o = {.certificate = pem(&cert, "[tls] certificate"),
                                   .key = pem(&key, "[tls] key"),
                                   .client_ca = pem(&ca, "[tls] client_ca"),
                                   .ticket_secret =
                                       slice_of((const char *)any_ticket, sizeof any_ticket)};
    if (cert.p && key.p && complete(&c->client_ca, &ca)) {
        struct tls_ctx *ctx = tls_server_new(&o, &why);
        if (!ctx)
            conf_errors_add(g->errs, none, 0, "%s", why.msg);
        tls_ctx_free(ctx);
    }
    text_free(&cert);
    text_free(&key);
    text_free(&ca);
}

static void check_client_tls(struct gather *g, const struct conf_provider *p, struct tls_ca *ca,
                             const struct text *cert, const struct text *key)
{
    struct errbuf why;
    struct tls_client_options o = {.ca = ca,
                                   .client_certificate = pem(cert, "client_certificate"),
                                   .client_key = pem(key, "client_key")};
    struct tls_ctx *ctx = tls_client_new(&o, &why);
    if (!ctx)
        conf_errors_add(g->errs, slice_of(NULL, 0), 0, "[provider:%.*s] %s", SLICE_FMT(p->name),
                        why.msg);
    tls_ctx_free(ctx);
}

/* Providers share trust stores: the blob is read with the first that names it. */
static bool is_first_with_ca(const struct conf *c, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++)
        if (slice_eq(c->providers[i].ca.blob, c->providers[at].ca.blob))
            return false;
    return c->providers[at].ca.ref.n > 0;
}

static struct tls_ca *gather_ca(struct gather *g, uint32_t at)
{
    const struct conf_provider *p = &g->conf->providers[at];
    struct tls_ca *ca = NULL;
    struct errbuf why;
    struct text t;
    if (!is_first_with_ca(g->conf, at))
        return NULL;
    read_blob(g, &p->ca, SECRET_PUBLIC, "provider", p->name, "ca_file", &t);
    if (t.p && !(ca = tls_ca_load(pem(&t, "ca_file"), &why)))
        conf_errors_add(g->errs, slice_of(NULL, 0), 0, "[provider:%.*s] %s", SLICE_FMT(p->name),
                        why.msg);
    text_free(&t);
    return ca;
}

static void gather_provider(struct gather *g, uint32_t at)
{
    const struct conf_provider *p = &g->conf->providers[at];
    struct text cert, key;
    struct tls_ca *ca = gather_ca(g, at);
    read_blob(g, &p->client_certificate, SECRET_PUBLIC, "provider", p->name, "client_certificate",
              &cert);
    read_blob(g, &p->client_key, SECRET_PRIVATE_KEY, "provider", p->name, "client_key", &key);
    if (ca && cert.p && key.p)
        check_client_tls(g, p, ca, &cert, &key);
    tls_ca_free(ca);
    text_free(&cert);
    text_free(&key);
}

/* Not part of the hash: new keys are no change of the input. */
static void add_ticket_keys(struct gather *g, const struct secrets *running)
{
    const struct slice name = g->conf->tls.tickets.blob;
    uint8_t fresh[TICKET_KEY_BYTES];
    struct secret old;
    struct errbuf why;
    int rc;
    if (!name.n || !g->out)
        return;
    if (running && secrets_get(running, name, &old)) {
        rc = secrets_writer_add(g->out, name, old.data, old.loaded_us, &why);
    } else {
        crypto_random(fresh, sizeof fresh);
        rc = secrets_writer_add(g->out, name, slice_of((char *)fresh, sizeof fresh), g->now_us,
                                &why);
        crypto_wipe(fresh, sizeof fresh);
    }
    if (rc < 0)
        conf_errors_add(g->errs, slice_of(NULL, 0), 0, "%s", why.msg);
}

int gather_secrets(struct gather *g, const struct secrets *running)
{
    const struct conf *c = g->conf;
    uint32_t before = g->errs->n;
    struct slice none = slice_of(NULL, 0);
    read_token(g, &c->admin.token, "admin", none, "token");
    read_token(g, &c->admin.viewer_token, "admin", none, "viewer_token");
    read_token(g, &c->admin.metrics_token, "admin", none, "metrics_token");
    gather_server_tls(g);
    for (uint32_t i = 0; i < c->n_providers; i++)
        gather_provider(g, i);
    for (uint32_t i = 0; i < c->n_credentials; i++)
        read_token(g, &c->credentials[i].secret, "credential", c->credentials[i].name, "secret");
    add_ticket_keys(g, running);
    return g->errs->n == before ? 0 : -1;
}
