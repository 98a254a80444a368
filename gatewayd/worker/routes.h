/*
 * routes.h: the one table of what the data listener answers.
 *
 * A path is normalised once (http/path.h) and then matched exactly. Each route names what a caller
 * must show (auth class) and how its cost is known (metering class); both are arguments of the
 * X-macro, so a route that names neither doesn't compile. Aliases (`/openai`, no `/v1`, Azure's
 * deployments) are resolved here and nowhere else.
 */
#ifndef GW_WORKER_ROUTES_H
#define GW_WORKER_ROUTES_H

#include "common/slice.h"
#include "gatewayd/http/head.h"

enum route_auth {
    ROUTE_AUTH_PUBLIC, /* says nothing about anyone: health */
    ROUTE_AUTH_KEY,    /* a valid virtual key (or auth = open) */
};

enum route_metering {
    ROUTE_UNMETERED, /* never reaches a provider */
    ROUTE_METERED,   /* every provider call is a ledger record */
};

/* id, method, path, auth, metering */
#define ROUTES(X)                                                                                  \
    X(HEALTHZ, GET, "/healthz", ROUTE_AUTH_PUBLIC, ROUTE_UNMETERED)                                \
    X(READYZ, GET, "/readyz", ROUTE_AUTH_PUBLIC, ROUTE_UNMETERED)                                  \
    X(MODELS, GET, "/v1/models", ROUTE_AUTH_KEY, ROUTE_UNMETERED)                                  \
    X(MODEL, GET, "/v1/models/", ROUTE_AUTH_KEY,                                                   \
      ROUTE_UNMETERED) /* the rest of the path is the name */                                      \
    X(CHAT, POST, "/v1/chat/completions", ROUTE_AUTH_KEY, ROUTE_METERED)                           \
    X(COMPLETIONS, POST, "/v1/completions", ROUTE_AUTH_KEY, ROUTE_METERED)                         \
    X(EMBEDDINGS, POST, "/v1/embeddings", ROUTE_AUTH_KEY, ROUTE_METERED)

enum route_id {
#define X(id, method, path, auth, metering) ROUTE_##id,
    ROUTES(X)
#undef X
        ROUTE_COUNT
};

struct route {
    enum route_id id;
    enum http_method_id method;
    struct slice path;
    enum route_auth auth;
    enum route_metering metering;
};

enum route_result { ROUTE_FOUND, ROUTE_NO_PATH, ROUTE_NO_METHOD };

/* What a path means. `model` is the name that the path carries (`/v1/models/{model}`, Azure's
 * deployment), or {NULL, 0}; it borrows from `path`. On ROUTE_NO_METHOD *out is the route that the
 * path has. HEAD is taken for GET. */
enum route_result route_find(enum http_method_id method, struct slice path,
                             const struct route **out, struct slice *model);

#endif
