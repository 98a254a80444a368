/*
 * serve.c: see serve.h.
 */
#include "tests/mockllm/serve.h"
#include "tests/mockllm/cloud.h"
#include "tests/mockllm/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct dialect *const dialects[] = {
    &dialect_openai, &dialect_openai_objects, &dialect_gemini_cache, &dialect_anthropic,
    &dialect_gemini, &dialect_bedrock,        &dialect_cohere};

/* ---- answers that are kept ---- */

enum { CACHE_SLOTS = 64, CACHE_KEY = 400, REPEAT_MIN_BODY = 4096 };

struct cache_slot {
    char key[CACHE_KEY];
    size_t key_length;
    struct answer *answer;
};

/* The last large body that was read, with the answer that it got: a benchmark sends the same one
 * over and over, and comparing it is many times as fast as reading it. */
struct repeat {
    struct bytes body, model, in_header;
    const struct route *route;
    bool keepalive, annotates;
    struct answer *answer;
};

struct serve_cache {
    struct cache_slot slots[CACHE_SLOTS];
    struct repeat repeat;
};

struct serve_cache *serve_cache_new(void)
{
    return xcalloc(1, sizeof(struct serve_cache));
}

void serve_cache_free(struct serve_cache *c)
{
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        answer_unref(c->slots[i].answer);
    bytes_fini(&c->repeat.body);
    bytes_fini(&c->repeat.model);
    bytes_fini(&c->repeat.in_header);
    answer_unref(c->repeat.answer);
    free(c);
}

static struct answer *repeat_get(struct repeat *r, struct call *call)
{
    const struct request *req = call->req;
    if (r->answer == NULL || r->route != call->route || r->keepalive != req->keepalive ||
        r->annotates != req->annotates || registry_pending() > 0 ||
        !slice_eq(bytes_slice(&r->body), req->body) ||
        !slice_eq(bytes_slice(&r->in_header), http_header(req, "x-mock")))
        return NULL;
    bytes_add_slice(&call->model, bytes_slice(&r->model));
    r->answer->refs++;
    return r->answer;
}

static void repeat_put(struct repeat *r, const struct call *call, struct answer *a)
{
    if (call->req->body.len < REPEAT_MIN_BODY)
        return;
    r->body.len = r->model.len = r->in_header.len = 0;
    bytes_add_slice(&r->body, call->req->body);
    bytes_add_slice(&r->model, bytes_slice(&call->model));
    bytes_add_slice(&r->in_header, http_header(call->req, "x-mock"));
    r->route = call->route;
    r->keepalive = call->req->keepalive;
    r->annotates = call->req->annotates;
    answer_unref(r->answer);
    r->answer = a;
    a->refs++;
}

/* All that an answer depends on. 0 where that is too long to be kept. */
static size_t cache_key(char *key, const struct call *call, struct slice model, struct slice script)
{
    int n = snprintf(key, CACHE_KEY, "%p %d %d %d %d %lld %lld " SLICE_FMT "\n" SLICE_FMT,
                     (const void *)call->route, call->stream, call->include_usage,
                     call->req->keepalive, call->req->annotates, (long long)call->n,
                     (long long)call->prompt_tokens, SLICE_ARG(model), SLICE_ARG(script));
    return n < CACHE_KEY ? (size_t)n : 0;
}

static struct cache_slot *cache_slot(struct serve_cache *c, struct slice key)
{
    return &c->slots[slice_hash(key) % CACHE_SLOTS];
}

static struct answer *cache_get(struct serve_cache *c, struct slice key)
{
    struct cache_slot *slot = cache_slot(c, key);
    if (key.len == 0 || !slice_eq(key, (struct slice){slot->key, slot->key_length}))
        return NULL;
    slot->answer->refs++;
    return slot->answer;
}

static void cache_put(struct serve_cache *c, struct slice key, struct answer *a)
{
    struct cache_slot *slot = cache_slot(c, key);
    if (key.len == 0)
        return;
    answer_unref(slot->answer);
    memcpy(slot->key, key.p, key.len);
    slot->key_length = key.len;
    slot->answer = a;
    a->refs++;
}

/* ---- refusals ---- */

static struct answer *answer_error(const struct dialect *d, const struct error *err, bool keepalive)
{
    struct reply reply = {0};
    struct script s;
    script_init(&s);
    d->write_error(err, &reply);
    struct answer *a = answer_new(&reply, &s, (struct slice){NULL, 0}, keepalive);
    reply_fini(&reply);
    return a;
}

static struct answer *refuse(const struct dialect *d, const struct request *req, int status,
                             const char *code, const char *fmt, ...) CHECKED_FMT(5);
static struct answer *refuse(const struct dialect *d, const struct request *req, int status,
                             const char *code, const char *fmt, ...)
{
    struct error err = {.status = status, .type = "invalid_request_error", .code = code};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err.message, sizeof err.message, fmt, ap);
    va_end(ap);
    return answer_error(d, &err, req->keepalive);
}

struct answer *serve_bad_request(const char *why)
{
    struct error err = {.status = 400, .type = "invalid_request_error", .code = "bad_http"};
    snprintf(err.message, sizeof err.message, "%s", why);
    return answer_error(dialects[0], &err, false);
}

/* ---- routes ---- */

static bool path_fits(const struct route *r, struct slice path, struct slice *suffix)
{
    size_t n = strlen(r->path);
    *suffix = (struct slice){NULL, 0};
    if (r->path[n - 1] != '*')
        return slice_is(path, r->path);
    if (path.len < n || memcmp(path.p, r->path, n - 1) != 0)
        return false;
    *suffix = (struct slice){path.p + n - 1, path.len - n + 1};
    return true;
}

/* NULL and the status why. The dialect is that of the path, else the first. */
static const struct route *find_route(const struct request *req, const struct dialect **dialect,
                                      struct slice *suffix, int *status)
{
    *status = 404;
    *dialect = dialects[0];
    for (size_t d = 0; d < ARRAY_LEN(dialects); d++) {
        for (size_t i = 0; i < dialects[d]->nroutes; i++) {
            const struct route *r = &dialects[d]->routes[i];
            if (!path_fits(r, req->path, suffix))
                continue;
            *dialect = dialects[d];
            if (slice_is(req->method, r->method))
                return r;
            *status = 405;
        }
    }
    return NULL;
}

static struct answer *refuse_route(const struct dialect *d, const struct request *req, int status)
{
    if (status == 405)
        return refuse(d, req, 405, "method_not_supported",
                      "Not allowed to " SLICE_FMT " on " SLICE_FMT ".", SLICE_ARG(req->method),
                      SLICE_ARG(req->path));
    return refuse(d, req, 404, NULL, "Invalid URL (" SLICE_FMT " " SLICE_FMT ")",
                  SLICE_ARG(req->method), SLICE_ARG(req->path));
}

/* ---- who and what ---- */

static bool is_key(const struct serve_options *o, struct slice credential)
{
    for (size_t i = 0; i < o->nkeys; i++)
        if (slice_eq(o->keys[i], credential))
            return true;
    return o->nkeys == 0;
}

/* NULL when the request may go on. */
static struct answer *check(const struct serve_options *o, const struct dialect *d,
                            const struct route *route, const struct request *req, struct slice key)
{
    struct slice type = http_header(req, "content-type"), media;
    if (d->refuse_key != NULL && (key.len == 0 || !is_key(o, key))) {
        struct error err;
        d->refuse_key(key, &err);
        return answer_error(d, &err, req->keepalive);
    }
    if (key.len == 0)
        return refuse(d, req, 401, NULL,
                      "You didn't provide an API key. You need to provide your API key in an "
                      "Authorization header using Bearer auth.");
    if (!is_key(o, key))
        return refuse(d, req, 401, "invalid_api_key", "Incorrect API key provided: %.*s***.",
                      (int)(key.len < 3 ? key.len : 3), key.p);
    if (d->any_body)
        return NULL;
    if (!slice_is(req->method, "POST"))
        return req->body.len == 0 ? NULL : refuse(d, req, 400, NULL, "This method takes no body.");
    if (!slice_split(&type, ";", &media))
        media = SLICE("");
    media = slice_trim(media);
    enum body_type takes = d->body_type != NULL ? d->body_type(route) : TAKES_JSON;
    if (takes != TAKES_JSON && slice_is_nocase(media, "multipart/form-data"))
        return NULL;
    if (takes == TAKES_FORM)
        return refuse(d, req, 400, "unsupported_content_type",
                      "Unsupported content type. This API method only accepts "
                      "'multipart/form-data' requests.");
    if (!slice_is_nocase(media, "application/json"))
        return refuse(d, req, 400, "unsupported_content_type",
                      "Unsupported content type. This API method only accepts "
                      "'application/json' requests.");
    return NULL;
}

/* Parts "mock-chat;ttft=1s" into the model and its script. */
static struct slice split_model(struct bytes *model)
{
    for (size_t i = 0; i < model->len; i++) {
        if (model->p[i] != ';' && model->p[i] != '?')
            continue;
        struct slice script = {model->p + i + 1, model->len - i - 1};
        model->len = i;
        return script;
    }
    return (struct slice){NULL, 0};
}

static void copy_text(char *to, size_t size, struct slice from)
{
    size_t n = from.len < size - 1 ? from.len : size - 1;
    if (n > 0)
        memcpy(to, from.p, n);
    to[n] = '\0';
}

static void note_request(struct record *rec, const struct request *req)
{
    copy_text(rec->method, sizeof rec->method, req->method);
    copy_text(rec->path, sizeof rec->path, req->path);
    copy_text(rec->client_id, sizeof rec->client_id, http_header(req, "x-request-id"));
}

/* ---- the answer ---- */

static struct answer *write_answer(const struct dialect *d, const struct call *call,
                                   const struct script *s, struct slice payload)
{
    struct reply reply = {0};
    if (s->status == 0 || (s->status >= 200 && s->status < 300)) {
        call->route->write(call, s, &reply);
        if (s->status != 0)
            reply.status = (int)s->status;
    } else {
        struct error err;
        answer_status_error(s, &err);
        d->write_error(&err, &reply);
    }
    struct answer *a = answer_new(&reply, s, payload, call->req->keepalive);
    reply_fini(&reply);
    return a;
}

/* A script chosen for one request; its payload is owned by the caller. */
struct choice {
    struct script script;
    struct bytes payload;
    bool has_payload, from_registry;
    char why[120];
};

/* Lays the scripts of the model name, the header and the control port over the standing one. */
static bool choose_script(const struct call *call, struct slice in_model, struct choice *c)
{
    struct slice in_header = http_header(call->req, "x-mock");
    if (!script_parse(&c->script, in_model, c->why, sizeof c->why) ||
        !script_parse(&c->script, in_header, c->why, sizeof c->why))
        return false;
    c->from_registry = registry_take(bytes_slice(&call->model), call->credential, call->req->path,
                                     &c->script, &c->payload, &c->has_payload);
    return true;
}

/* Takes `keep` back where the answer is for this request alone. */
static struct answer *build_answer(const struct serve_options *o, const struct dialect *d,
                                   const struct call *call, struct slice in_model, bool *keep)
{
    struct choice c = {.script = o->script};
    if (slice_is(bytes_slice(&call->model), "mock-missing"))
        return refuse(d, call->req, 404, "model_not_found",
                      "The model `mock-missing` does not exist or you do not have access to it.");
    if (!choose_script(call, in_model, &c))
        return refuse(d, call->req, 400, "mock_script", "%s", c.why);
    struct slice none = {NULL, 0};
    struct answer *a =
        write_answer(d, call, &c.script, c.has_payload ? bytes_slice(&c.payload) : none);
    bytes_fini(&c.payload);
    *keep = *keep && !c.from_registry;
    return a;
}

static struct answer *answer_call(const struct serve_options *o, struct serve_cache *cache,
                                  const struct dialect *d, struct call *call)
{
    char text[CACHE_KEY];
    struct slice key = {
        text, cache_key(text, call, bytes_slice(&call->model), http_header(call->req, "x-mock"))};
    struct slice in_model = split_model(&call->model);
    bool keep = !call->from_content && registry_pending() == 0;
    struct answer *a = keep ? cache_get(cache, key) : NULL;
    if (a == NULL) {
        a = build_answer(o, d, call, in_model, &keep);
        if (keep)
            cache_put(cache, key, a);
    }
    if (keep)
        repeat_put(&cache->repeat, call, a);
    return a;
}

static struct answer *serve_dialect(const struct serve_options *o, struct serve_cache *cache,
                                    const struct request *req, struct record *rec)
{
    struct call call = {.req = req, .n = 1};
    const struct dialect *d;
    struct error err = {0};
    int status;
    rec->outcome = OUTCOME_REFUSED;
    call.route = find_route(req, &d, &call.suffix, &status);
    call.credential = d->credential(req);
    copy_text(rec->credential, sizeof rec->credential, call.credential);
    if (call.route == NULL)
        return refuse_route(d, req, status);
    struct answer *a = check(o, d, call.route, req, call.credential);
    if (a == NULL) {
        rec->outcome = OUTCOME_OPEN;
        a = repeat_get(&cache->repeat, &call);
    }
    if (a == NULL && call.route->read(&call, &err)) {
        a = answer_call(o, cache, d, &call);
    } else if (a == NULL) {
        rec->outcome = OUTCOME_REFUSED;
        a = answer_error(d, &err, req->keepalive);
    }
    copy_text(rec->model, sizeof rec->model, bytes_slice(&call.model));
    rec->stream = a->stream;
    bytes_fini(&call.model);
    return a;
}

struct answer *serve_request(const struct serve_options *o, struct serve_cache *cache,
                             const struct request *req, struct record *rec)
{
    struct cloud_view view;
    struct error err;
    note_request(rec, req);
    if (!cloud_is_path(req->path))
        return serve_dialect(o, cache, req, rec);
    rec->outcome = OUTCOME_REFUSED;
    struct answer *a = cloud_view(req, &view, &err)
                           ? serve_dialect(o, cache, &view.req, rec)
                           : answer_error(view.refuses, &err, req->keepalive);
    cloud_view_fini(&view);
    return a;
}
