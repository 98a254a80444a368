/*
 * admin_route.h: the table of the admin API's commands, and how a request finds its row.
 *
 * One row says everything that decides over a request before its handler sees it: method, path
 * template, who may, and on which thread it runs. A row without a role doesn't compile into an open
 * route: ADMIN_ROLE_NONE is no role, and the table's test refuses it.
 */
#ifndef GW_KEEPER_ADMIN_ROUTE_H
#define GW_KEEPER_ADMIN_ROUTE_H

#include "gatewayd/http/head.h"

/* Each includes those before it. */
#define ADMIN_ROLES(X)                                                                             \
    X(NONE, "none")                                                                                \
    X(OPEN, "anyone")                                                                              \
    X(METRICS, "metrics")                                                                          \
    X(VIEWER, "viewer")                                                                            \
    X(ADMIN, "admin")
enum admin_role {
#define X(name, text) ADMIN_ROLE_##name,
    ADMIN_ROLES(X)
#undef X
};
const char *admin_role_name(enum admin_role r);

/* Where a handler runs: on the loop it may not wait for anything; the others are the threads of the
 * job queues and may touch LMDB and what the call itself holds. VERIFIER is for what takes minutes.
 */
enum admin_where { ADMIN_ON_LOOP, ADMIN_ON_READER, ADMIN_ON_WRITER, ADMIN_ON_VERIFIER };

enum { ADMIN_PARAMS_MAX = 2 };

struct admin_call;
typedef void (*admin_handler_fn)(struct admin_call *call);

struct admin_route {
    enum http_method_id method;
    const char *path; /* "/admin/v1/keys/{id}/rotate" */
    enum admin_role role;
    enum admin_where where;
    admin_handler_fn handler;
};

extern const struct admin_route admin_routes[];
extern const size_t admin_route_count;

enum admin_match {
    ADMIN_MATCH_FOUND,
    ADMIN_MATCH_NO_PATH,   /* 404 */
    ADMIN_MATCH_NO_METHOD, /* 405; *allow names the methods that there are */
};

/* path: normalised (gatewayd/http/path.h). param[i] is what stands for the i-th {name}, borrowed
 * from path. HEAD finds GET. */
enum admin_match admin_route_match(enum http_method_id method, struct slice path,
                                   const struct admin_route **route,
                                   struct slice param[ADMIN_PARAMS_MAX], char allow[64]);

#endif
