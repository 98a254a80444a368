/*
 * snapshot.h: what a worker builds of one generation beside the configuration itself: TLS contexts,
 * endpoints, the constant part of upstream request heads, the prepared body edits of models.
 *
 * Immutable and counted: a request holds a reference to the snapshot it began with and never looks
 * at another, so a reload changes nothing under a request's feet. Endpoints (connection pools) are
 * shared with the generation before where nothing that matters to a connection changed.
 */
#ifndef GW_WORKER_SNAPSHOT_H
#define GW_WORKER_SNAPSHOT_H

#include "common/conf.h"
#include "common/errbuf.h"
#include "common/sigv4.h"
#include "gatewayd/child.h"
#include "gatewayd/dialect/edit.h"
#include "gatewayd/http/head.h"
#include "gatewayd/net/cidr.h"
#include "gatewayd/worker/upstream_token.h"

struct worker;
struct endpoint;
struct listener;
struct tls_ctx;

/* Request line and constant fields of an operation. */
struct upstream_head {
    struct slice bytes; /* owned */
    uint32_t model_at;  /* where the model's name or an object's id goes; 0: not in the path */
    uint32_t path_end;  /* where a query can be added */
    bool wants_version; /* anthropic-version, where the caller gives none */
};

/* Of one conf_credential, by its index. */
struct snapshot_credential {
    struct endpoint *endpoint;
    struct sigv4_signer *signer; /* owned; NULL: its requests aren't signed */
    struct credential_token token;
    uint64_t offers; /* PROVIDER_OP_BIT()s; provider_model_ops() says which of them a model has */
    struct upstream_head head[PROVIDER_N_OPS];
};

/* Of one conf_model, by its index. */
struct snapshot_model {
    struct edit *edits; /* owned */
    size_t n_edits;
};

struct snapshot {
    unsigned refs;
    uint64_t generation;
    struct worker *worker;
    struct conf *conf;
    struct secrets *secrets;
    struct tls_ctx *server_tls;
    struct cidr_list trusted_proxies, allow; /* borrowed from conf */
    struct snapshot_credential *credentials;
    struct snapshot_model *models;
    struct listener *listeners;
    size_t n_listeners;
    size_t max_connections; /* this worker's share */
    struct http_limits limits;
};

/* Takes conf, secrets and the listeners' descriptors of b in any case. NULL with e filled. One
 * reference is the caller's. */
struct snapshot *snapshot_build(struct worker *w, struct child_build *b, struct errbuf *e);
struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s);
/* The generation isn't the running one any more: its listening descriptors are closed at once. */
void snapshot_close_listeners(struct snapshot *s);

#endif
