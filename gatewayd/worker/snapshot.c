/*
 * snapshot.c: building and freeing what a generation needs to run.
 */
#include "gatewayd/worker/snapshot.h"

#include "common/check.h"
#include "common/secrets.h"
#include "gatewayd/net/tls.h"
#include "gatewayd/worker/accept.h"
#include "gatewayd/worker/uconn.h"
#include "gatewayd/worker/upstream_head.h"

#include <stdlib.h>
#include <unistd.h>

static struct tls_pem pem_of(const struct secrets *secrets, const struct conf_secret *ref,
                             const char *setting)
{
    struct secret s;
    if (ref->blob.n == 0 || !secrets_get(secrets, ref->blob, &s))
        return (struct tls_pem){{NULL, 0}, setting};
    return (struct tls_pem){s.data, setting};
}

static int build_server_tls(struct snapshot *s, struct errbuf *e)
{
    const struct conf_tls *tls = &s->conf->tls;
    bool wanted = false;
    for (size_t i = 0; i < s->n_listeners; i++)
        wanted |= s->listeners[i].tls;
    if (!wanted)
        return 0;
    struct tls_server_options o = {
        .certificate = pem_of(s->secrets, &tls->certificate, "[tls] certificate"),
        .key = pem_of(s->secrets, &tls->key, "[tls] key"),
        .client_ca = pem_of(s->secrets, &tls->client_ca, "[tls] client_ca"),
        .ticket_secret = pem_of(s->secrets, &tls->tickets, "").bytes,
    };
    s->server_tls = tls_server_new(&o, e);
    return s->server_tls ? 0 : -1;
}

/* Of fetched keys it has none until the first request brings them (upstream_token.h). */
static struct sigv4_signer *new_signer(const struct snapshot *s, const struct conf_credential *c)
{
    struct secret secret, token = {.data = {NULL, 0}};
    struct sigv4_credentials keys = {.access_key_id = {NULL, 0}};
    if (!conf_credential_signs(c))
        return NULL;
    if (!conf_credential_fetched(c)) {
        if (!secrets_get(s->secrets, c->secret.blob, &secret) ||
            (c->session_token.blob.n && !secrets_get(s->secrets, c->session_token.blob, &token) &&
             !c->session_token.optional))
            return NULL;
        keys = (struct sigv4_credentials){.access_key_id = c->access_key_id,
                                          .secret = slice_trim(secret.data),
                                          .session_token = slice_trim(token.data)};
    }
    struct sigv4_signer *signer = gw_xcalloc(1, sizeof *signer);
    sigv4_signer_init(signer, &keys, c->provider->region,
                      slice_str(c->provider->kind->aws_service));
    return signer;
}

static int build_credentials(struct snapshot *s, struct errbuf *e)
{
    const struct conf *conf = s->conf;
    s->credentials = gw_xcalloc(conf->n_credentials + 1, sizeof *s->credentials);
    for (uint32_t i = 0; i < conf->n_credentials; i++) {
        const struct conf_credential *c = &conf->credentials[i];
        s->credentials[i].endpoint = endpoint_get(s->worker, conf, s->secrets, c, e);
        if (!s->credentials[i].endpoint)
            return -1;
        s->credentials[i].signer = new_signer(s, c);
        credential_token_init(&s->credentials[i].token, c, s->secrets);
        for (int op = 0; op < PROVIDER_N_OPS; op++) {
            struct upstream_head *head = &s->credentials[i].head[op];
            upstream_head_constant(s->secrets, c, (enum provider_op)op, head);
            if (head->bytes.n > 0)
                s->credentials[i].offers |= PROVIDER_OP_BIT(op);
        }
    }
    return 0;
}

static void add_edits(struct snapshot_model *sm, const struct conf_json_members *m,
                      enum edit_kind kind)
{
    for (uint32_t i = 0; i < m->n; i++)
        sm->edits[sm->n_edits++] = (struct edit){kind, m->v[i].path, m->v[i].json};
}

static int build_models(struct snapshot *s, struct errbuf *e)
{
    const struct conf *conf = s->conf;
    s->models = gw_xcalloc(conf->n_models + 1, sizeof *s->models);
    for (uint32_t i = 0; i < conf->n_models; i++) {
        const struct conf_model *m = &conf->models[i];
        struct snapshot_model *sm = &s->models[i];
        size_t n = m->set.n + m->defaults.n + m->drop.n;
        if (n == 0)
            continue;
        sm->edits = gw_xcalloc(n, sizeof *sm->edits);
        add_edits(sm, &m->set, EDIT_SET);
        add_edits(sm, &m->defaults, EDIT_DEFAULT);
        for (uint32_t k = 0; k < m->drop.n; k++)
            sm->edits[sm->n_edits++] = (struct edit){EDIT_DROP, m->drop.v[k], {NULL, 0}};
        struct errbuf why;
        if (edits_prepare(sm->edits, sm->n_edits, &why) < 0)
            return err_set(e, "[model:%.*s]: %s", SLICE_FMT(m->name), why.msg);
    }
    return 0;
}

static void build_listeners(struct snapshot *s, struct child_build *b)
{
    const struct conf_listeners *conf = &s->conf->gateway.listen;
    s->listeners = gw_xcalloc(b->n_listeners + 1, sizeof *s->listeners);
    for (size_t i = 0; i < b->n_listeners; i++) {
        const struct child_listener *l = &b->listener[i];
        if (l->kind != LISTEN_DATA || l->index >= conf->n) {
            close(l->fd);
            continue;
        }
        s->listeners[s->n_listeners++] =
            (struct listener){.fd = l->fd,
                              .tls = conf->v[l->index].tls,
                              .proxy_protocol = conf->v[l->index].proxy_protocol};
    }
}

/* The configuration keeps networks in the layout of struct cidr. */
static struct cidr_list cidrs_of(const struct conf_cidrs *c)
{
    return (struct cidr_list){(struct cidr *)c->v, c->n};
}

static void build_limits(struct snapshot *s, unsigned n_workers)
{
    const struct conf_http *h = &s->conf->http;
    s->limits = (struct http_limits){
        .max_head_bytes = (size_t)h->max_header,
        .max_target_bytes = (size_t)h->max_url,
        .max_fields = (unsigned)h->max_headers,
        .max_body_bytes = UINT64_MAX, /* told by the request, in its caller's dialect */
    };
    /* The gate keeps workers within an eighth of each other. */
    size_t share = ((size_t)h->max_connections + n_workers - 1) / GW_MAX(n_workers, 1u);
    s->max_connections = n_workers > 1 ? share + share / 8 + 1 : share;
}

struct snapshot *snapshot_build(struct worker *w, struct child_build *b, struct errbuf *e)
{
    struct snapshot *s = gw_xcalloc(1, sizeof *s);
    s->refs = 1;
    s->worker = w;
    s->generation = b->generation;
    s->conf = b->conf;
    s->secrets = b->secrets;
    build_listeners(s, b);
    s->trusted_proxies = cidrs_of(&s->conf->gateway.trusted_proxies);
    s->allow = cidrs_of(&s->conf->http.allow);
    build_limits(s, b->n_workers);
    if (build_server_tls(s, e) == 0 && build_credentials(s, e) == 0 && build_models(s, e) == 0)
        return s;
    snapshot_unref(s);
    return NULL;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
    s->refs++;
    return s;
}

void snapshot_close_listeners(struct snapshot *s)
{
    for (size_t i = 0; i < s->n_listeners; i++)
        close(s->listeners[i].fd);
    s->n_listeners = 0;
}

static void free_credentials(struct snapshot *s)
{
    for (uint32_t i = 0; s->credentials && i < s->conf->n_credentials; i++) {
        endpoint_unref(s->credentials[i].endpoint);
        if (s->credentials[i].signer)
            sigv4_signer_fini(s->credentials[i].signer);
        free(s->credentials[i].signer);
        credential_token_fini(&s->credentials[i].token);
        for (int op = 0; op < PROVIDER_N_OPS; op++) {
            struct slice head = s->credentials[i].head[op].bytes;
            crypto_wipe((void *)head.p, head.n);
            free((void *)head.p);
        }
    }
    free(s->credentials);
}

void snapshot_unref(struct snapshot *s)
{
    if (!s || --s->refs > 0)
        return;
    free_credentials(s);
    for (uint32_t i = 0; s->models && i < s->conf->n_models; i++)
        free(s->models[i].edits);
    free(s->models);
    snapshot_close_listeners(s);
    free(s->listeners);
    tls_ctx_free(s->server_tls);
    secrets_detach(s->secrets);
    conf_free(s->conf);
    free(s);
}
