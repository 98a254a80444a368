/*
 * routes.c: matching of normalised paths against the route table.
 */
#include "gatewayd/worker/routes.h"

#include "gatewayd/dialect/relay.h"

#include <stdio.h>

static const struct route routes[ROUTE_COUNT] = {
#define X(id, method, path, rest, auth, metering, dialect, op, stream)                             \
    {ROUTE_##id, HTTP_M_##method, SLICE_LIT(path), rest, auth, metering, dialect, op, stream},
    ROUTES(X)
#undef X
};

/* What stands in front of a dialect's own paths where a client is told one base URL. */
static const struct {
    struct slice prefix;
    enum dialect_id dialect;
} aliases[] = {
    {SLICE_LIT("/openai"), DIALECT_OPENAI}, {SLICE_LIT("/anthropic"), DIALECT_ANTHROPIC},
    {SLICE_LIT("/genai"), DIALECT_GEMINI},  {SLICE_LIT("/bedrock"), DIALECT_BEDROCK},
    {SLICE_LIT("/cohere"), DIALECT_COHERE},
};

/* Beginnings of paths that only callers of one dialect ask for. */
static const struct {
    struct slice prefix;
    enum dialect_id dialect;
} habits[] = {
    {SLICE_LIT("/v1/messages"), DIALECT_ANTHROPIC},
    {SLICE_LIT("/messages"), DIALECT_ANTHROPIC},
    {SLICE_LIT("/v1beta/"), DIALECT_GEMINI},
    {SLICE_LIT("/model/"), DIALECT_BEDROCK},
    {SLICE_LIT("/v2/"), DIALECT_COHERE},
};

const struct route *route_of(enum route_id id)
{
    return &routes[id];
}

static bool strip_prefix(struct slice *s, struct slice prefix)
{
    if (!slice_starts_with(*s, prefix))
        return false;
    s->p += prefix.n;
    s->n -= prefix.n;
    return true;
}

/* Azure: /openai/deployments/{deployment}/chat/completions. *rest becomes "/chat/completions". */
static bool strip_deployment(struct slice *rest, struct slice *model)
{
    struct slice s = *rest;
    if (!strip_prefix(&s, SLICE_LIT("/openai/deployments/")))
        return false;
    const char *slash = s.n ? memchr(s.p, '/', s.n) : NULL;
    if (!slash || slash == s.p)
        return false;
    *model = slice_of(s.p, (size_t)(slash - s.p));
    *rest = slice_of(slash, s.n - model->n);
    return true;
}

static enum dialect_id strip_alias(struct slice *path)
{
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
        struct slice s = *path;
        if (!strip_prefix(&s, aliases[i].prefix) || s.n == 0 || s.p[0] != '/')
            continue;
        *path = s;
        return aliases[i].dialect;
    }
    return DIALECT_NONE;
}

/* Whether `segment` is all of the path's first one. */
static bool begins_with(struct slice path, struct slice segment)
{
    return slice_starts_with(path, segment) && path.n > segment.n && path.p[segment.n] == '/';
}

/* `path` with or without the version in front. Gemini's clients ask for /v1beta or for /v1 (the
 * default of @google/genai since 3.0). */
static bool matches(const struct route *r, struct slice path, struct slice *model)
{
    static const struct slice v1 = SLICE_LIT("/v1"), v1beta = SLICE_LIT("/v1beta");
    struct slice want = r->path;
    bool beta = r->dialect == DIALECT_GEMINI || r->dialect == DIALECT_GEMINI_CACHE;
    struct slice version = beta ? v1beta : v1;
    if (beta && begins_with(path, v1)) {
        strip_prefix(&path, v1);
        strip_prefix(&want, version);
    } else if (!begins_with(path, version)) {
        strip_prefix(&want, version);
    }
    if (!r->rest)
        return slice_eq(path, want);
    size_t rest = strlen(r->rest);
    if (path.n <= want.n + rest || !slice_starts_with(path, want) ||
        memcmp(path.p + path.n - rest, r->rest, rest) != 0)
        return false;
    *model = slice_of(path.p + want.n, path.n - want.n - rest);
    if (beta && rest == 0) /* a colon begins a method */
        return !memchr(model->p, ':', model->n);
    /* Names of models have slashes, ids of objects have none. */
    const struct relay *relay = relay_of(r->op);
    return !relay || !relay_has_object(relay) || !memchr(model->p, '/', model->n);
}

/* A deployment takes the place of the model: what is about none has none in its path. */
static bool is_of_deployments(const struct route *r)
{
    const struct relay *relay = relay_of(r->op);
    if (r->dialect == DIALECT_OPENAI_RELAY)
        return relay->model != RELAY_MODEL_NONE;
    return r->metering == ROUTE_METERED && r->dialect == DIALECT_OPENAI;
}

static bool is_spoken(const struct route *r, enum dialect_id alias, bool deployment)
{
    if (deployment)
        return is_of_deployments(r);
    if (alias == DIALECT_NONE)
        return true;
    bool openai = r->dialect == DIALECT_OPENAI_RESPONSES || r->dialect == DIALECT_OPENAI_RELAY;
    bool same = r->dialect == alias ||
                (alias == DIALECT_GEMINI && r->dialect == DIALECT_GEMINI_CACHE) ||
                (alias == DIALECT_OPENAI && openai);
    return same && r->auth != ROUTE_AUTH_PUBLIC;
}

static bool takes(const struct route *r, enum http_method_id method)
{
    return r->method == method ||
           (method == HTTP_M_HEAD && r->method == HTTP_M_GET && r->metering == ROUTE_UNMETERED);
}

enum route_result route_find(enum http_method_id method, struct slice path,
                             const struct route **out, struct slice *model)
{
    struct slice named = slice_of(NULL, 0);
    bool deployment = strip_deployment(&path, &named);
    enum dialect_id alias = deployment ? DIALECT_NONE : strip_alias(&path);
    *out = NULL;
    *model = named;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *r = &routes[i];
        struct slice m = named;
        if (!matches(r, path, &m) || !is_spoken(r, alias, deployment) ||
            !dialects_native(r->dialect))
            continue;
        bool found = takes(r, method);
        if (!found && *out)
            continue;
        *out = r;
        *model = m;
        if (found)
            return ROUTE_FOUND;
    }
    return *out ? ROUTE_NO_METHOD : ROUTE_NO_PATH;
}

void route_methods(struct slice path, char out[ROUTE_METHODS_BYTES])
{
    static const enum http_method_id methods[] = {HTTP_M_GET, HTTP_M_POST, HTTP_M_PATCH,
                                                  HTTP_M_DELETE};
    const struct route *r;
    struct slice model;
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (route_find(methods[i], path, &r, &model) == ROUTE_FOUND)
            n += (size_t)snprintf(out + n, ROUTE_METHODS_BYTES - n, "%s%s", n ? ", " : "",
                                  http_method_name(methods[i]));
}

const struct dialect *route_error_dialect(struct slice path)
{
    enum dialect_id id = strip_alias(&path);
    for (size_t i = 0; id == DIALECT_NONE && i < ARRAY_LEN(habits); i++)
        if (slice_starts_with(path, habits[i].prefix))
            id = habits[i].dialect;
    return id != DIALECT_NONE && dialects_native(id) ? dialects_native(id) : &dialect_openai;
}
