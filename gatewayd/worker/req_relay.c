/*
 * req_relay.c: see req_relay.h.
 */
#include "gatewayd/worker/req_relay.h"

#include "gatewayd/dialect/relay.h"
#include "gatewayd/worker/auth.h"

/* An operation whose path needs a model (Azure's deployments) can't do without one. */
static bool offers(const struct req *r, const struct conf_provider *p)
{
    enum provider_op op = dialects_op(r->route->dialect, r->route->op, r->ask.stream);
    const char *path = op == PROVIDER_N_OPS ? NULL : p->kind->paths[op];
    return path && !strstr(path, "{model}");
}

static bool has_target_at(const struct conf_model *m, const struct conf_provider *p)
{
    for (uint32_t i = 0; i < m->n_targets; i++)
        if (m->targets[i].provider == p)
            return true;
    return false;
}

bool req_relay_may_reach(struct req *r, const struct conf_provider *p)
{
    const struct conf *conf = r->snap->conf;
    if (auth_is_unrestricted(r) && (conf->gateway.direct || conf->gateway.relay_provider_ref == p))
        return true;
    for (uint32_t i = 0; i < conf->n_models; i++)
        if (has_target_at(&conf->models[i], p) && auth_may_use(r, conf->models[i].name))
            return true;
    return false;
}

/* ---- the target ---- */

static bool add_credentials(struct req *r, struct conf_target *t,
                            const struct conf_credential *only)
{
    const struct conf_provider *p = t->provider;
    const struct conf_credential **v = arena_alloc(&r->arena, p->n_credentials * sizeof *v);
    for (uint32_t i = 0; v && i < p->n_credentials; i++)
        if (only ? p->credentials[i] == only : p->credentials[i]->models.n == 0)
            v[t->n_credentials++] = p->credentials[i];
    t->credentials = v;
    return t->n_credentials > 0;
}

const struct conf_model *req_relay_to(struct req *r, const struct conf_provider *p,
                                      const struct conf_credential *only)
{
    struct conf_model *m = arena_alloc(&r->arena, sizeof *m);
    struct conf_target *t = arena_alloc(&r->arena, sizeof *t);
    if (!m || !t) {
        req_fail(r, 503, "overloaded", "out of memory");
        return NULL;
    }
    *t = (struct conf_target){.provider = p, .weight = 1};
    if (!add_credentials(r, t, only)) {
        req_fail(r, 503, "no_healthy_target",
                 "no credential of the provider `%.*s` is for requests without a model",
                 SLICE_FMT(p->name));
        return NULL;
    }
    *m = *r->snap->conf->direct_model;
    m->targets = t;
    m->n_targets = 1;
    r->direct = true;
    return m;
}

/* ---- the provider ---- */

static const struct conf_provider *named_by_caller(struct req *r, struct slice name)
{
    const struct conf_provider *p = conf_provider_find(r->snap->conf, name);
    if (!p || !req_relay_may_reach(r, p)) {
        /* Which providers there are is nobody's affair who can't reach them. */
        req_fail(r, 404, "provider_not_found",
                 "x-gw-provider: there is no provider `%.*s` for this key", SLICE_FMT(name));
        return NULL;
    }
    if (!offers(r, p)) {
        req_fail(r, 400, "unsupported_operation",
                 "x-gw-provider: the provider `%.*s` does not offer %s%s", SLICE_FMT(name),
                 dialect_op_name(r->route->op),
                 r->relay->model == RELAY_MODEL_NONE ? "" : " without a model");
        return NULL;
    }
    return p;
}

static bool fits(struct req *r, const struct conf_provider *p)
{
    return offers(r, p) && req_relay_may_reach(r, p);
}

/* NULL: none, or the choice isn't clear: *n says how many could be meant. */
static const struct conf_provider *by_configuration(struct req *r, uint32_t *n)
{
    const struct conf *conf = r->snap->conf;
    const struct conf_provider *fallback = conf->gateway.relay_provider_ref, *only = NULL;
    const struct conf_model *m = conf->gateway.default_model_ref;
    *n = 0;
    if (fallback)
        return fits(r, fallback) ? fallback : NULL;
    for (uint32_t i = 0; m && i < m->n_targets; i++)
        if (fits(r, m->targets[i].provider))
            return m->targets[i].provider;
    for (uint32_t i = 0; i < conf->n_providers; i++) {
        if (!fits(r, &conf->providers[i]))
            continue;
        only = &conf->providers[i];
        ++*n;
    }
    return *n == 1 ? only : NULL;
}

const struct conf_model *req_relay_model(struct req *r)
{
    struct slice name = http_fields_get(&r->head.fields, HTTP_H_X_GW_PROVIDER);
    const struct conf_provider *p;
    uint32_t n = 0;
    if (name.n) {
        p = named_by_caller(r, name);
        return p ? req_relay_to(r, p, NULL) : NULL;
    }
    p = by_configuration(r, &n);
    if (p)
        return req_relay_to(r, p, NULL);
    bool model = r->relay->model == RELAY_MODEL_OPTIONAL;
    r->param = model ? "model" : NULL;
    if (n > 1)
        req_fail(r, 400, "provider_ambiguous",
                 "%u providers offer %s: name one in the header x-gw-provider%s, or set "
                 "[gateway] relay_provider",
                 n, dialect_op_name(r->route->op), model ? " or a model in `model`" : "");
    else
        req_fail(r, 400, "unsupported_operation", "no provider of this key offers %s%s",
                 dialect_op_name(r->route->op), model ? " without a model: name one" : "");
    return NULL;
}
