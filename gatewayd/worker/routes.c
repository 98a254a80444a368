/*
 * routes.c: matching of normalised paths against the route table.
 */
#include "gatewayd/worker/routes.h"

static const struct route routes[ROUTE_COUNT] = {
#define X(id, method, path, auth, metering)                                                        \
    {ROUTE_##id, HTTP_M_##method, SLICE_LIT(path), auth, metering},
    ROUTES(X)
#undef X
};

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

/* `path` with or without /v1 in front. */
static bool matches(const struct route *r, struct slice path, struct slice *model)
{
    struct slice want = r->path;
    if (!slice_starts_with(path, SLICE_LIT("/v1/")))
        strip_prefix(&want, SLICE_LIT("/v1"));
    if (r->id != ROUTE_MODEL)
        return slice_eq(path, want);
    if (path.n <= want.n || !slice_starts_with(path, want))
        return false;
    *model = slice_of(path.p + want.n, path.n - want.n);
    return true;
}

enum route_result route_find(enum http_method_id method, struct slice path,
                             const struct route **out, struct slice *model)
{
    *model = slice_of(NULL, 0);
    bool deployment = strip_deployment(&path, model);
    bool aliased = deployment || strip_prefix(&path, SLICE_LIT("/openai"));
    if (method == HTTP_M_HEAD)
        method = HTTP_M_GET;
    *out = NULL;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if ((deployment && routes[i].metering == ROUTE_UNMETERED) ||
            (aliased && routes[i].auth == ROUTE_AUTH_PUBLIC) || !matches(&routes[i], path, model))
            continue;
        *out = &routes[i];
        return routes[i].method == method ? ROUTE_FOUND : ROUTE_NO_METHOD;
    }
    return ROUTE_NO_PATH;
}
