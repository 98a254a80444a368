/*
 * keeper.h: what the parts of the keeper share.
 *
 * One struct keeper a process. It belongs to the loop; the job threads may use the stores, and what
 * hangs on the call that they work for.
 */
#ifndef GW_KEEPER_KEEPER_H
#define GW_KEEPER_KEEPER_H

#include "common/conf.h"
#include "common/dns_shm.h"
#include "common/money.h"
#include "common/objects_shm.h"
#include "common/secrets.h"
#include "common/shm.h"
#include "common/store.h"
#include "gatewayd/child.h"
#include "gatewayd/keeper/admin_auth.h"
#include "gatewayd/keeper/jobs.h"

struct dns;
struct admin_server;
struct reloads;
struct ledger_writer;
struct object_writer;
struct tls_ctx;
struct token_seg;
struct fetcher;
struct tokens;

/* One generation as the keeper needs it. Counted, by the loop only: calls in flight keep theirs. */
struct keeper_gen {
    unsigned refs;
    struct conf *conf;
    struct secrets *secrets;
    struct admin_policy policy;
    struct tls_ctx *tls; /* of admin listeners with the word tls; NULL: none */
    struct child_listener listener[IPC_MAX_LISTENERS];
    size_t n_listeners;
};
struct keeper_gen *keeper_gen_ref(struct keeper_gen *g);
void keeper_gen_unref(struct keeper_gen *g);

struct keeper {
    struct child *child;
    struct keeper_gen *running, *built;
    struct store *state;
    struct store_txn *state_reader; /* the reader thread's */
    struct store *ledger_store;
    struct shm money_shm;
    struct money money;
    struct jobs *readers, *writers, *verifiers;
    struct shm dns_shm;
    struct dns_seg *dns_seg; /* in it */
    struct dns *dns;
    struct shm tokens_shm;
    struct token_seg *token_seg; /* in it */
    struct fetcher *fetcher;
    struct tokens *tokens;
    struct admin_server *admin;
    struct reloads *reloads;
    struct ledger_writer *ledger;
    struct shm objects_shm;
    struct objects objects;
    struct object_writer *object_writer;
    struct event *stale_timer;
    struct event *orphan_timer; /* once the master is gone */
    int64_t leave_at_us;
};

#endif
