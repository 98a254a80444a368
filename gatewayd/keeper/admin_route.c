/*
 * admin_route.c: the command table and its matcher.
 */
#include "gatewayd/keeper/admin_route.h"

#include "gatewayd/keeper/admin_commands.h"

#include <stdio.h>

#define ROUTE(m, p, who, on, fn)                                                                   \
    {                                                                                              \
        HTTP_M_##m, p, ADMIN_ROLE_##who, ADMIN_ON_##on, admin_##fn                                 \
    }
const struct admin_route admin_routes[] = {
    ROUTE(GET, "/healthz", OPEN, LOOP, healthz),
    ROUTE(GET, "/metrics", METRICS, LOOP, metrics),
    ROUTE(GET, "/admin/v1/version", VIEWER, LOOP, version),
    ROUTE(GET, "/admin/v1/status", VIEWER, LOOP, status),
    ROUTE(GET, "/admin/v1/workers", VIEWER, LOOP, workers),
    ROUTE(GET, "/admin/v1/dns", VIEWER, LOOP, dns),
    ROUTE(GET, "/admin/v1/credentials", VIEWER, LOOP, credentials),
    ROUTE(POST, "/admin/v1/reload", ADMIN, LOOP, reload),
    ROUTE(POST, "/admin/v1/drain", ADMIN, LOOP, drain),
    ROUTE(POST, "/admin/v1/resume", ADMIN, LOOP, resume),
    ROUTE(GET, "/admin/v1/config", VIEWER, LOOP, config_show),
    ROUTE(GET, "/admin/v1/config/diff", VIEWER, LOOP, config_diff),
    ROUTE(GET, "/admin/v1/config/history", VIEWER, LOOP, config_history),
    ROUTE(POST, "/admin/v1/config/check", ADMIN, READER, config_check),
    ROUTE(GET, "/admin/v1/keys", VIEWER, READER, keys_list),
    ROUTE(POST, "/admin/v1/keys", ADMIN, WRITER, keys_create),
    ROUTE(POST, "/admin/v1/keys/import", ADMIN, WRITER, keys_import),
    ROUTE(GET, "/admin/v1/keys/{id}", VIEWER, READER, keys_show),
    ROUTE(PATCH, "/admin/v1/keys/{id}", ADMIN, WRITER, keys_update),
    ROUTE(DELETE, "/admin/v1/keys/{id}", ADMIN, WRITER, keys_delete),
    ROUTE(POST, "/admin/v1/keys/{id}/enable", ADMIN, WRITER, keys_enable),
    ROUTE(POST, "/admin/v1/keys/{id}/disable", ADMIN, WRITER, keys_disable),
    ROUTE(POST, "/admin/v1/keys/{id}/rotate", ADMIN, WRITER, keys_rotate),
    ROUTE(GET, "/admin/v1/usage", VIEWER, READER, usage),
    ROUTE(GET, "/admin/v1/ledger", VIEWER, READER, ledger_list),
    ROUTE(GET, "/admin/v1/ledger/verify", VIEWER, VERIFIER, ledger_verify),
    ROUTE(GET, "/admin/v1/audit", VIEWER, READER, audit_list),
};
const size_t admin_route_count = ARRAY_LEN(admin_routes);

const char *admin_role_name(enum admin_role r)
{
    static const char *const names[] = {
#define X(name, text) [ADMIN_ROLE_##name] = text,
        ADMIN_ROLES(X)
#undef X
    };
    return (unsigned)r < ARRAY_LEN(names) ? names[r] : "invalid";
}

static bool path_matches(struct slice path, const char *template,
                         struct slice param[ADMIN_PARAMS_MAX])
{
    struct slice want = slice_str(template);
    unsigned n = 0;
    while (path.p && want.p) {
        struct slice w = slice_split(&want, '/'), p = slice_split(&path, '/');
        if (w.n && w.p[0] == '{') {
            if (p.n == 0 || n == ADMIN_PARAMS_MAX)
                return false;
            param[n++] = p;
        } else if (!slice_eq(w, p)) {
            return false;
        }
    }
    return !path.p && !want.p;
}

/* A literal segment goes before {id}: "import" is no key id, since ids begin with "key_" and the
 * rows with literals stand first. */
enum admin_match admin_route_match(enum http_method_id method, struct slice path,
                                   const struct admin_route **route,
                                   struct slice param[ADMIN_PARAMS_MAX], char allow[64])
{
    if (method == HTTP_M_HEAD)
        method = HTTP_M_GET;
    size_t n = 0;
    allow[0] = '\0';
    for (size_t i = 0; i < admin_route_count; i++) {
        const struct admin_route *r = &admin_routes[i];
        if (!path_matches(path, r->path, param))
            continue;
        if (r->method == method) {
            *route = r;
            return ADMIN_MATCH_FOUND;
        }
        n +=
            (size_t)snprintf(allow + n, 64 - n, "%s%s", n ? ", " : "", http_method_name(r->method));
    }
    return n ? ADMIN_MATCH_NO_METHOD : ADMIN_MATCH_NO_PATH;
}
