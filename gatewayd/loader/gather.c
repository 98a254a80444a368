/*
 * gather.c: walks the secret references of a snapshot.
 *
 * Reading and proving are apart because a trust store takes some 18 ms to load: a reload that finds
 * its input unchanged, or changes something else, doesn't pay for it.
 */
#include "gatewayd/loader/gather.h"
#include "common/gcp_jwt.h"
#include "gatewayd/loader/secret_source.h"
#include "gatewayd/net/tls.h"

#include <stdio.h>
#include <stdlib.h>

enum { TICKET_KEY_BYTES = 64, SECTION_BYTES = CONF_NAME_MAX + 32 };

static const struct slice nowhere = {NULL, 0};

static void fault(struct gather *g, struct slice section, struct slice key, const char *text)
{
    const struct conf_entry *at = conf_entry_find(g->entries, section, key);
    conf_errors_add(g->errs, at ? at->file : nowhere, at ? at->line : 0, "[%.*s]%s%.*s: %s",
                    SLICE_FMT(section), key.n ? " " : "", SLICE_FMT(key), text);
}

static struct slice section_of(const char *kind, struct slice name, char *out, size_t size)
{
    int n = snprintf(out, size, "%s%s%.*s", kind, name.n ? ":" : "", SLICE_FMT(name));
    return slice_of(out, (size_t)n);
}

/* ---- reading ---- */

static void add_blob(struct gather *g, struct slice name, struct slice data, int64_t loaded_us)
{
    struct errbuf why;
    if (secrets_writer_add(g->out, name, data, loaded_us, &why) < 0)
        conf_errors_add(g->errs, nowhere, 0, "%s", why.msg);
}

static void hash_blob(struct gather *g, struct slice name, struct slice data)
{
    uint64_t lengths[2] = {name.n, data.n};
    if (!g->hash)
        return;
    crypto_hash_update(g->hash, lengths, sizeof lengths);
    crypto_hash_update(g->hash, name.p, name.n);
    crypto_hash_update(g->hash, data.p, data.n);
}

static bool is_absent(const struct conf_secret *s)
{
    struct slice name = s->ref, scheme = slice_split(&name, ':');
    return s->optional && slice_eq_str(scheme, "env") && !getenv(name.p);
}

/* Providers share trust stores: what has been read under its name isn't read again. */
static void read_blob(struct gather *g, const struct conf_secret *s, enum secret_class class,
                      const char *section, struct slice name, const char *key)
{
    struct errbuf why;
    struct slice known;
    size_t n;
    if (!s->ref.n || secrets_writer_get(g->out, s->blob, &known) || is_absent(s))
        return;
    if (!g->run_programs && slice_starts_with(s->ref, SLICE_LIT("exec:")))
        return;
    char *p = secret_source_read(s->ref, class, &n, &why);
    if (!p) {
        char place[SECTION_BYTES], text[sizeof why.msg + 4096];
        snprintf(text, sizeof text, "%.*s %s", SLICE_FMT(s->ref), why.msg);
        fault(g, section_of(section, name, place, sizeof place), slice_str(key), text);
        return;
    }
    hash_blob(g, s->blob, slice_of(p, n));
    add_blob(g, s->blob, slice_of(p, n), g->now_us);
    crypto_wipe(p, n);
    free(p);
}

struct trial {
    const struct conf_entries *entries;
    struct conf_errors *errs;
};

static enum secret_class class_of(const struct conf_entries *entries, const struct conf_entry *at,
                                  bool pem)
{
    const struct conf_entry *auth = conf_entry_find(entries, at->section, SLICE_LIT("auth"));
    if (pem)
        return slice_eq_str(at->key, "key") || slice_eq_str(at->key, "client_key")
                   ? SECRET_PRIVATE_KEY
                   : SECRET_PUBLIC;
    return auth && slice_eq_str(auth->value, "gcp-sa") ? SECRET_DOCUMENT : SECRET_TOKEN;
}

static void try_secret(void *arg, const struct conf_entry *at, struct slice ref, bool pem)
{
    const struct trial *t = arg;
    struct errbuf why;
    size_t n;
    if (slice_starts_with(ref, SLICE_LIT("exec:")))
        return;
    char *p = secret_source_read(ref, class_of(t->entries, at, pem), &n, &why);
    if (p)
        crypto_wipe(p, n);
    else
        conf_errors_add(t->errs, at->file, at->line, "[%.*s] %.*s: %.*s %s", SLICE_FMT(at->section),
                        SLICE_FMT(at->key), SLICE_FMT(ref), why.msg);
    free(p);
}

void gather_try_secrets(const struct conf_entries *entries, struct conf_errors *errs)
{
    struct trial t = {entries, errs};
    conf_each_secret(entries, try_secret, &t);
}

/* Not part of the hash: new keys are no change of the input. */
static void add_ticket_keys(struct gather *g)
{
    const struct slice name = g->conf->tls.tickets.blob;
    uint8_t fresh[TICKET_KEY_BYTES];
    struct secret old;
    if (!name.n)
        return;
    if (g->running && secrets_get(g->running, name, &old)) {
        add_blob(g, name, old.data, old.loaded_us);
        return;
    }
    crypto_random(fresh, sizeof fresh);
    add_blob(g, name, slice_of((const char *)fresh, sizeof fresh), g->now_us);
    crypto_wipe(fresh, sizeof fresh);
}

int gather_secrets(struct gather *g)
{
    const struct conf *c = g->conf;
    uint32_t before = g->errs->n;
    read_blob(g, &c->admin.token, SECRET_TOKEN, "admin", nowhere, "token");
    read_blob(g, &c->admin.viewer_token, SECRET_TOKEN, "admin", nowhere, "viewer_token");
    read_blob(g, &c->admin.metrics_token, SECRET_TOKEN, "admin", nowhere, "metrics_token");
    read_blob(g, &c->tls.certificate, SECRET_PUBLIC, "tls", nowhere, "certificate");
    read_blob(g, &c->tls.key, SECRET_PRIVATE_KEY, "tls", nowhere, "key");
    read_blob(g, &c->tls.client_ca, SECRET_PUBLIC, "tls", nowhere, "client_ca");
    for (uint32_t i = 0; i < c->n_providers; i++) {
        const struct conf_provider *p = &c->providers[i];
        bool own = !slice_eq(p->ca.blob, c->gateway.ca.blob);
        read_blob(g, &p->ca, SECRET_PUBLIC, own ? "provider" : "gateway", own ? p->name : nowhere,
                  "ca_file");
        read_blob(g, &p->client_certificate, SECRET_PUBLIC, "provider", p->name,
                  "client_certificate");
        read_blob(g, &p->client_key, SECRET_PRIVATE_KEY, "provider", p->name, "client_key");
    }
    for (uint32_t i = 0; i < c->n_credentials; i++) {
        const struct conf_credential *cr = &c->credentials[i];
        bool own = !slice_eq(cr->token.ca.blob, c->gateway.ca.blob);
        read_blob(g, &cr->secret, cr->auth == CONF_CRED_GCP_SA ? SECRET_DOCUMENT : SECRET_TOKEN,
                  "credential", cr->name, "secret");
        read_blob(g, &cr->session_token, SECRET_TOKEN, "credential", cr->name, "session_token");
        read_blob(g, &cr->token.container_token, SECRET_TOKEN, "credential", cr->name, "auth");
        read_blob(g, &cr->token.ca, SECRET_PUBLIC, own ? "credential" : "gateway",
                  own ? cr->name : nowhere, own ? "token_ca_file" : "ca_file");
    }
    add_ticket_keys(g);
    return g->errs->n == before ? 0 : -1;
}

/* ---- proving ---- */

static bool is_new(const struct gather *g, const struct conf_secret *s)
{
    struct slice data;
    struct secret old;
    if (!s->ref.n || !secrets_writer_get(g->out, s->blob, &data))
        return false;
    return !g->running || !secrets_get(g->running, s->blob, &old) || !slice_eq(old.data, data);
}

/* What tls.h says begins with the key of the setting that is wrong. */
static void proof_fault(struct gather *g, const char *kind, struct slice name, const char *said)
{
    char place[SECTION_BYTES];
    struct slice text = slice_str(said), key = slice_split(&text, ':');
    struct slice section = section_of(kind, name, place, sizeof place);
    if (text.p)
        fault(g, section, key, slice_trim(text).p);
    else
        fault(g, section, nowhere, said);
}

static struct tls_pem pem(const struct gather *g, const struct conf_secret *s, const char *setting)
{
    struct tls_pem p = {.setting = setting};
    (void)(s->ref.n && secrets_writer_get(g->out, s->blob, &p.bytes));
    return p;
}

/* Configured, but taken on trust. */
static bool is_missing(const struct conf_secret *s, const struct tls_pem *p)
{
    return s->ref.n && !p->bytes.n;
}

static void prove_server(struct gather *g)
{
    static const char any_ticket[TICKET_KEY_BYTES];
    const struct conf_tls *c = &g->conf->tls;
    struct errbuf why;
    struct tls_server_options o = {.certificate = pem(g, &c->certificate, "certificate"),
                                   .key = pem(g, &c->key, "key"),
                                   .client_ca = pem(g, &c->client_ca, "client_ca"),
                                   .ticket_secret = slice_of(any_ticket, sizeof any_ticket)};
    if (!is_new(g, &c->certificate) && !is_new(g, &c->key) && !is_new(g, &c->client_ca))
        return;
    if (is_missing(&c->certificate, &o.certificate) || is_missing(&c->key, &o.key) ||
        is_missing(&c->client_ca, &o.client_ca))
        return;
    struct tls_ctx *ctx = tls_server_new(&o, &why);
    if (!ctx)
        proof_fault(g, "tls", nowhere, why.msg);
    tls_ctx_free(ctx);
}

static void prove_client(struct gather *g, const struct conf_provider *p, struct tls_ca *ca)
{
    struct errbuf why;
    struct tls_client_options o = {.ca = ca,
                                   .client_certificate =
                                       pem(g, &p->client_certificate, "client_certificate"),
                                   .client_key = pem(g, &p->client_key, "client_key")};
    if (is_missing(&p->client_certificate, &o.client_certificate) ||
        is_missing(&p->client_key, &o.client_key))
        return;
    struct tls_ctx *ctx = tls_client_new(&o, &why);
    if (!ctx)
        proof_fault(g, "provider", p->name, why.msg);
    tls_ctx_free(ctx);
}

/* An owned store; while one with the same bytes is held, that one. NULL: on trust, or *wrong. */
static struct tls_ca *prove_ca(struct gather *g, const struct conf_provider *p, bool *wrong)
{
    struct errbuf why;
    struct tls_pem store = pem(g, &p->ca, "ca_file");
    if (!store.bytes.n)
        return NULL;
    struct tls_ca *ca = tls_ca_load(store, &why);
    *wrong = !ca;
    bool own = !slice_eq(p->ca.blob, g->conf->gateway.ca.blob);
    if (!ca)
        proof_fault(g, own ? "provider" : "gateway", own ? p->name : nowhere, why.msg);
    return ca;
}

static void prove_providers(struct gather *g)
{
    const struct conf *c = g->conf;
    struct tls_ca *held = NULL; /* keeps the store alive while the next provider asks for it */
    struct slice wrong_blob = nowhere;
    for (uint32_t i = 0; i < c->n_providers; i++) {
        const struct conf_provider *p = &c->providers[i];
        bool new_client = is_new(g, &p->client_certificate) || is_new(g, &p->client_key);
        bool wrong = false;
        if ((!is_new(g, &p->ca) && !new_client) || slice_eq(p->ca.blob, wrong_blob))
            continue;
        struct tls_ca *ca = prove_ca(g, p, &wrong);
        if (wrong)
            wrong_blob = p->ca.blob;
        if (ca && new_client)
            prove_client(g, p, ca);
        if (ca) {
            tls_ca_free(held);
            held = ca;
        }
    }
    tls_ca_free(held);
}

static void prove_token_trust(struct gather *g, const struct conf_credential *c)
{
    struct errbuf why;
    struct tls_pem store = pem(g, &c->token.ca, "token_ca_file");
    if (!store.bytes.n || !is_new(g, &c->token.ca) ||
        slice_eq(c->token.ca.blob, g->conf->gateway.ca.blob))
        return;
    struct tls_ca *ca = tls_ca_load(store, &why);
    if (!ca)
        proof_fault(g, "credential", c->name, why.msg);
    tls_ca_free(ca);
}

static int check_token_uri(const struct conf_credential *c, const struct gcp_account *a,
                           struct errbuf *e)
{
    if (c->token.token_url.host.n ||
        slice_starts_with(slice_str(a->token_uri), SLICE_LIT("https://")))
        return 0;
    return err_set(e, "service account: `token_uri` must begin with https://; `token_url` of the "
                      "credential overrides it");
}

/* A file with a key that signs, and a token service that secrets may be shown to. */
static void prove_service_account(struct gather *g, const struct conf_credential *c)
{
    struct gcp_account account;
    struct errbuf why;
    struct buf assertion;
    struct slice file;
    char place[SECTION_BYTES];
    if (c->token.source != CONF_TOKEN_GCP_SA || !is_new(g, &c->secret) ||
        !secrets_writer_get(g->out, c->secret.blob, &file))
        return;
    buf_init(&assertion, GCP_JWT_MAX_BYTES);
    if (gcp_account_read(&account, file, &why) < 0 ||
        gcp_jwt_write(&account, c->token.scope, g->now_us / 1000000, &assertion, &why) < 0 ||
        check_token_uri(c, &account, &why) < 0)
        fault(g, section_of("credential", c->name, place, sizeof place), SLICE_LIT("secret"),
              why.msg);
    gcp_account_wipe(&account);
    buf_release(&assertion);
}

static void prove_credentials(struct gather *g)
{
    for (uint32_t i = 0; i < g->conf->n_credentials; i++) {
        prove_token_trust(g, &g->conf->credentials[i]);
        prove_service_account(g, &g->conf->credentials[i]);
    }
}

int gather_prove(struct gather *g)
{
    uint32_t before = g->errs->n;
    prove_server(g);
    prove_providers(g);
    prove_credentials(g);
    return g->errs->n == before ? 0 : -1;
}
