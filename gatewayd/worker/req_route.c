/*
 * req_route.c: the ROUTE step and the order of candidates.
 *
 * Does not know health: that is a later strategy's business. What it guarantees is the order of
 * tiers, shares by weight within a tier and among a target's credentials, and that no pair is tried
 * twice unless asked.
 */
#include "gatewayd/worker/req_route.h"

#include "gatewayd/dialect/relay.h"
#include "gatewayd/http/multipart.h"
#include "gatewayd/worker/auth.h"
#include "gatewayd/worker/objects.h"
#include "gatewayd/worker/req_objects.h"
#include "gatewayd/worker/req_relay.h"

#include <stdlib.h>

/* ---- the body ---- */

static bool media_is(struct slice content_type, const char *want)
{
    struct slice media = slice_trim(slice_split(&content_type, ';'));
    return slice_ieq(media, slice_str(want));
}

static bool refuse_body(struct req *r, const struct dialect_refusal *why)
{
    struct slice param = arena_dup(&r->arena, slice_of(why->param, strlen(why->param) + 1));
    r->param = param.p;
    req_fail(r, 400, why->code ? why->code : "invalid_request", "%s", why->message);
    return false;
}

static bool read_body(struct req *r, const struct buf *body)
{
    struct dialect_refusal why;
    struct slice model = r->path_model.n ? r->path_model : r->snap->conf->gateway.default_model;
    if (r->dialect->read_request(&r->w->doc, buf_slice(body), r->route->op, model, &r->ask, &why) <
        0)
        return refuse_body(r, &why);
    if (r->route->stream != ROUTE_BODY_SAYS)
        r->ask.stream = r->route->stream == ROUTE_STREAM;
    return true;
}

/* default_model is a model to chat with: it stands in for none of these. */
static bool read_relayed(struct req *r, const struct buf *body)
{
    struct slice type = http_fields_get(&r->head.fields, HTTP_H_CONTENT_TYPE), boundary;
    struct dialect_refusal why;
    int rc;
    if (r->relay->body == RELAY_NO_BODY) {
        r->ask = (struct dialect_request){.op = r->route->op};
        /* Some clients send an empty object with every method (@google/genai with DELETE). */
        if (slice_eq_str(slice_trim(buf_slice(body)), "{}"))
            r->body.len = 0;
        if (body->len == 0)
            return true;
        req_fail(r, 400, "invalid_request", "%s takes no body", dialect_op_name(r->route->op));
        return false;
    }
    if (media_is(type, "multipart/form-data")) {
        const char *bad = multipart_boundary(type, &boundary);
        if (bad) {
            req_fail(r, 400, "invalid_form", "content-type: %s", bad);
            return false;
        }
        rc = relay_read_form(buf_slice(body), boundary, r->route->op, r->path_model, &r->ask, &why);
    } else {
        rc = r->dialect->read_request(&r->w->doc, buf_slice(body), r->route->op, r->path_model,
                                      &r->ask, &why);
    }
    return rc == 0 || refuse_body(r, &why);
}

/* The settings speak of generating text: max_tokens or temperature has no place in an embedding, a
 * count of tokens or an image, whose providers refuse members they don't know. */
static bool takes_edits(const struct req *r)
{
    return r->route->op == DIALECT_CHAT || r->route->op == DIALECT_COMPLETIONS;
}

/* default.X, set.X and drop of the model; then the edited body is what counts. */
static bool apply_edits(struct req *r, const struct conf_model *m)
{
    const struct snapshot_model *sm =
        m == r->snap->conf->direct_model ? NULL : &r->snap->models[m->index];
    struct worker *w = r->w;
    if (!sm || sm->n_edits == 0 || !takes_edits(r))
        return true;
    if (json_parse_once(&w->doc, r->body.data, r->body.len) < 0 ||
        edits_apply(sm->edits, sm->n_edits, &w->doc, &w->splices) < 0 ||
        splices_append(&w->splices, buf_slice(&r->body), &r->edited) < 0) {
        req_fail(r, 400, "request_too_complex",
                 "the settings of this model can't be applied to the request");
        return false;
    }
    worker_account(w, &r->edited_held, r->edited.cap);
    return read_body(r, &r->edited);
}

/* A body without a type is taken for JSON, never for a form: that needs its boundary. */
static bool content_type_ok(struct req *r)
{
    struct slice type = http_fields_get(&r->head.fields, HTTP_H_CONTENT_TYPE);
    unsigned takes = r->relay ? r->relay->body : RELAY_JSON;
    bool json = type.n == 0 || media_is(type, "application/json");
    if ((takes & RELAY_JSON && json) || takes == RELAY_NO_BODY ||
        (takes & RELAY_FORM && media_is(type, "multipart/form-data")))
        return true;
    req_fail(r, 415, "unsupported_media_type", "the body must be %s",
             takes == RELAY_EITHER ? "multipart/form-data or application/json"
             : takes == RELAY_FORM ? "multipart/form-data"
                                   : "application/json");
    return false;
}

/* ---- the model ---- */

/* The operation by which a target answers with that credential; PROVIDER_N_OPS: it can't. */
static enum provider_op op_of(const struct req *r, const struct conf_target *t,
                              const struct conf_credential *c)
{
    uint64_t offered = r->snap->credentials[c->index].offers;
    return dialects_choose(r->route->dialect, r->route->op, r->ask.stream,
                           offered & provider_model_ops(t->provider->kind, t->upstream_model));
}

/* Gemini's streams are one JSON array unless the query asks for events
 * (ai.google.dev/api/generate-content#method:-models.streamgeneratecontent). */
static bool wants_array(const struct req *r)
{
    struct slice query = http_request_query(&r->head);
    if (r->route->id != ROUTE_STREAM_GENERATE)
        return false;
    while (query.p)
        if (slice_eq(slice_split(&query, '&'), SLICE_LIT("alt=sse")))
            return false;
    return true;
}

static uint32_t below(uint32_t n)
{
    static _Thread_local uint64_t state;
    if (state == 0)
        crypto_random(&state, sizeof state);
    state ^= state << 13; /* xorshift64, Marsaglia 2003 */
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(((state >> 32) * n) >> 32);
}

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate t = *a;
    *a = *b;
    *b = t;
}

/* Orders [first, last) so that each place is drawn by weight from what is left. */
static void draw_by_weight(struct candidate *first, struct candidate *last,
                           uint32_t (*weight)(const struct candidate *))
{
    for (; last - first > 1; first++) {
        uint32_t total = 0;
        for (struct candidate *c = first; c < last; c++)
            total += weight(c);
        uint32_t at = total ? below(total) : 0;
        struct candidate *pick = first;
        while (total && at >= weight(pick))
            at -= weight(pick++);
        swap(first, pick);
    }
}

static uint32_t target_weight(const struct candidate *c)
{
    return c->target->weight;
}

static uint32_t credential_weight(const struct candidate *c)
{
    return (uint32_t)c->credential->weight;
}

/* One candidate a target of the tier, by weight; then each grows into its credentials. */
static void add_tier(struct req *r, const struct conf_model *m, uint32_t from, uint32_t to)
{
    struct candidate drawn[REQ_CANDIDATES_MAX];
    uint32_t n = 0;
    for (uint32_t i = from; i < to && n < REQ_CANDIDATES_MAX; i++)
        drawn[n++] = (struct candidate){.model = m, .target = &m->targets[i]};
    draw_by_weight(drawn, drawn + n, target_weight);
    for (uint32_t i = 0; i < n; i++) {
        const struct conf_target *t = drawn[i].target;
        struct candidate *first = r->candidates + r->n_candidates;
        for (uint32_t k = 0; k < t->n_credentials && r->n_candidates < REQ_CANDIDATES_MAX; k++) {
            enum provider_op op = op_of(r, t, t->credentials[k]);
            if (op != PROVIDER_N_OPS)
                r->candidates[r->n_candidates++] =
                    (struct candidate){m, t, t->credentials[k], op, false};
        }
        draw_by_weight(first, r->candidates + r->n_candidates, credential_weight);
    }
}

static void add_model(struct req *r, const struct conf_model *m)
{
    uint32_t from = 0;
    while (from < m->n_targets) {
        uint32_t to = from;
        while (to < m->n_targets && m->targets[to].tier == m->targets[from].tier)
            to++;
        add_tier(r, m, from, to);
        from = to;
    }
}

bool req_route_candidates(struct req *r)
{
    r->candidates = arena_alloc(&r->arena, REQ_CANDIDATES_MAX * sizeof *r->candidates);
    if (!r->candidates) {
        req_fail(r, 503, "overloaded", "out of memory");
        return false;
    }
    add_model(r, r->model);
    for (uint32_t i = 0; i < r->model->n_fallbacks; i++)
        if (auth_may_use(r, r->model->fallbacks[i]->name))
            add_model(r, r->model->fallbacks[i]);
    if (r->n_candidates > 0 || r->ask.op == DIALECT_COUNT_TOKENS) /* which we can do ourselves */
        return true;
    r->param = "model";
    req_fail(r, 400, "unsupported_operation", "no target of this model offers %s",
             dialect_op_name(r->ask.op));
    return false;
}

static bool credential_serves(const struct conf_credential *c, struct slice upstream_model)
{
    for (uint32_t i = 0; i < c->models.n; i++)
        if (slice_eq(c->models.v[i], upstream_model))
            return true;
    return c->models.n == 0;
}

static bool add_credentials(struct req *r, struct conf_target *t)
{
    const struct conf_provider *p = t->provider;
    const struct conf_credential **v = arena_alloc(&r->arena, p->n_credentials * sizeof *v);
    for (uint32_t i = 0; v && i < p->n_credentials; i++)
        if (credential_serves(p->credentials[i], t->upstream_model))
            v[t->n_credentials++] = p->credentials[i];
    t->credentials = v;
    return t->n_credentials > 0;
}

/* `provider/upstream-model`, named by the caller. */
static const struct conf_model *direct_model(struct req *r, struct slice name)
{
    const struct conf *conf = r->snap->conf;
    struct slice rest = name;
    struct slice provider_name = slice_split(&rest, '/');
    const struct conf_provider *p = rest.p ? conf_provider_find(conf, provider_name) : NULL;
    if (!p || rest.n == 0 || !(conf->gateway.direct || auth_lists(r, name)))
        return NULL;
    struct conf_model *m = arena_alloc(&r->arena, sizeof *m);
    struct conf_target *t = arena_alloc(&r->arena, sizeof *t);
    struct slice upstream = arena_dup(&r->arena, rest);
    struct slice own_name = arena_dup(&r->arena, name);
    if (!m || !t || !upstream.p || !own_name.p)
        return NULL;
    *t = (struct conf_target){.provider = p, .upstream_model = upstream, .weight = 1};
    if (!add_credentials(r, t))
        return NULL;
    *m = *conf->direct_model;
    m->name = own_name;
    m->targets = t;
    m->n_targets = 1;
    r->direct = true;
    return m;
}

const struct conf_model *req_route_find_model(struct req *r)
{
    struct slice name = dialect_name_slice(&r->ask.model);
    const struct conf_model *m = conf_model_find(r->snap->conf, name);
    if (!m)
        m = direct_model(r, name);
    r->param = "model";
    if (!m)
        req_fail(r, 404, "model_not_found", "the model `%.*s` does not exist here",
                 SLICE_FMT(name));
    else if (!auth_may_use(r, m->name)) {
        req_fail(r, 403, "model_not_allowed", "this key may not use the model `%.*s`",
                 SLICE_FMT(name));
        m = NULL;
    } else
        r->param = NULL;
    return m;
}

static const struct conf_model *choose_model(struct req *r)
{
    if (r->relay && r->relay->role != RELAY_PLAIN)
        return req_objects_model(r);
    return r->ask.model.n || !r->relay ? req_route_find_model(r) : req_relay_model(r);
}

enum req_step req_route_step(struct req *r)
{
    if (!content_type_ok(r))
        return REQ_STEP_MORE;
    if (http_fields_count(&r->head.fields, HTTP_H_CONTENT_ENCODING)) {
        req_fail(r, 415, "unsupported_encoding", "compressed request bodies are not supported");
        return REQ_STEP_MORE;
    }
    r->as_array = wants_array(r);
    if (r->relay ? !read_relayed(r, &r->body) : !read_body(r, &r->body))
        return REQ_STEP_MORE;
    r->model = choose_model(r);
    if (!r->model || (!r->direct && !apply_edits(r, r->model)) || !req_route_candidates(r) ||
        !objects_bind(r, buf_slice(r->edited.len ? &r->edited : &r->body)) ||
        !req_objects_prepare(r))
        return REQ_STEP_MORE;
    r->deadline_us = r->body_complete_us + r->model->timeout_us;
    worker_arm(r->w, &r->timer, r->deadline_us);
    req_set_state(r, REQ_ADMIT);
    return REQ_STEP_MORE;
}

/* ---- choosing ---- */

struct candidate *req_route_next(struct req *r)
{
    for (uint32_t i = 0; i < r->n_candidates; i++)
        if (!r->candidates[i].tried)
            return &r->candidates[i];
    return NULL;
}

bool req_route_has_other(const struct req *r)
{
    return req_route_next((struct req *)r) != NULL;
}

static struct candidate *other_credential(const struct req *r)
{
    for (uint32_t i = 0; i < r->n_candidates; i++)
        if (!r->candidates[i].tried && r->candidates[i].target == r->current->target)
            return &r->candidates[i];
    return NULL;
}

bool req_route_has_other_credential(const struct req *r)
{
    return r->current && other_credential(r) != NULL;
}

void req_route_prefer_same_target(struct req *r)
{
    struct candidate *c = other_credential(r);
    if (c)
        r->current = c;
}
