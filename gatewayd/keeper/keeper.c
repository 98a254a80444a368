/*
 * keeper.c: the keeper's main: generations, the threads, DNS, the admin server, the reaping of the
 * dead.
 *
 * It may die and start again without a client noticing: what workers need of it lies in shared
 * memory and in LMDB. Its loop never waits for a disk: writes and long reads are the job threads',
 * the ledger is its writer's own thread.
 */
#include "gatewayd/keeper/keeper.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/keystore.h"
#include "common/log.h"
#include "common/token_shm.h"
#include "gatewayd/keeper/admin.h"
#include "gatewayd/keeper/dns.h"
#include "gatewayd/keeper/fetch.h"
#include "gatewayd/keeper/ledger_writer.h"
#include "gatewayd/keeper/object_writer.h"
#include "gatewayd/keeper/reloads.h"
#include "gatewayd/keeper/tokens.h"
#include "gatewayd/net/tls.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { STALE_READERS_S = 30, ORPHAN_LOOK_US = 50 * 1000 };

/* ---- generations ---- */

struct keeper_gen *keeper_gen_ref(struct keeper_gen *g)
{
    g->refs++;
    return g;
}

void keeper_gen_unref(struct keeper_gen *g)
{
    if (!g || --g->refs > 0)
        return;
    for (size_t i = 0; i < g->n_listeners; i++)
        close(g->listener[i].fd);
    tls_ctx_free(g->tls);
    secrets_detach(g->secrets);
    conf_free(g->conf);
    free(g);
}

static bool any_tls(const struct conf_listeners *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (l->v[i].tls)
            return true;
    return false;
}

static struct tls_pem pem_of(const struct keeper_gen *g, const struct conf_secret *ref,
                             const char *setting)
{
    struct secret s;
    if (ref->blob.n && secrets_get(g->secrets, ref->blob, &s))
        return (struct tls_pem){s.data, setting};
    return (struct tls_pem){{NULL, 0}, setting};
}

static int build_tls(struct keeper_gen *g, struct errbuf *e)
{
    const struct conf_tls *t = &g->conf->tls;
    if (!any_tls(&g->conf->gateway.admin) && !any_tls(&g->conf->gateway.metrics))
        return 0;
    struct tls_server_options o = {
        .certificate = pem_of(g, &t->certificate, "[tls] certificate"),
        .key = pem_of(g, &t->key, "[tls] key"),
    };
    g->tls = tls_server_new(&o, e);
    return g->tls ? 0 : -1;
}

/* The names of both generations while one is being built: its workers need them at their first
 * request. */
static void want_names(struct keeper *k)
{
    struct keeper_gen *const gens[] = {k->running, k->built};
    size_t n = 0, cap = 0;
    for (size_t i = 0; i < ARRAY_LEN(gens); i++)
        cap += gens[i] ? 2 * (size_t)gens[i]->conf->n_providers : 0;
    struct dns_want *want = gw_xcalloc(cap + 1, sizeof(*want));
    for (size_t i = 0; i < ARRAY_LEN(gens); i++)
        for (uint32_t p = 0; gens[i] && p < gens[i]->conf->n_providers; p++) {
            const struct conf_provider *v = &gens[i]->conf->providers[p];
            /* A plain http:// URL and a proxy are nothing that one uses over the internet: they
             * are meant to be near. */
            want[n++] = (struct dns_want){v->base_url.host, v->internal || !v->base_url.tls};
            if (v->has_proxy)
                want[n++] = (struct dns_want){v->proxy.host, true};
        }
    dns_want(k->dns, want, n);
    free(want);
}

static uint32_t retention_days(const struct conf_store *conf)
{
    static const int64_t day_us = INT64_C(86400000000);
    return (uint32_t)((conf->ledger_retention_us + day_us - 1) / day_us);
}

/* With the first generation: its [store] says how. */
static int start_ledger(struct keeper *k, const struct conf_store *conf, struct errbuf *e)
{
    enum store_err err =
        ledger_open(k->child->state_dir, STORE_WRITE, (size_t)conf->map_size, &k->ledger_store, e);
    if (err != STORE_OK)
        return -1;
    struct ledger_writer_config cfg = {
        .money = &k->money,
        .ledger = k->ledger_store,
        .commit_interval_us = conf->commit_interval_us,
        .retention_days = retention_days(conf),
    };
    if (ledger_writer_start(&cfg, &k->ledger, e) < 0)
        return -1;
    k->object_writer = object_writer_new(k, e);
    return k->object_writer ? 0 : -1;
}

static bool needs_tokens(const struct conf *c)
{
    for (uint32_t i = 0; i < c->n_credentials; i++)
        if (conf_credential_fetched(&c->credentials[i]))
            return true;
    return false;
}

static int keeper_build(struct child *c, struct child_build *b, struct errbuf *e)
{
    struct keeper *k = c->arg;
    struct keeper_gen *g = gw_xcalloc(1, sizeof(*g));
    g->refs = 1;
    g->conf = b->conf;
    g->secrets = b->secrets;
    g->n_listeners = b->n_listeners;
    memcpy(g->listener, b->listener, sizeof(g->listener));
    if (admin_policy_build(&g->policy, g->conf, g->secrets, e) < 0 || build_tls(g, e) < 0 ||
        (needs_tokens(g->conf) && fetcher_load(k->fetcher, e) < 0) ||
        (!k->ledger && start_ledger(k, &g->conf->store, e) < 0)) {
        keeper_gen_unref(g);
        return -1;
    }
    k->built = g;
    want_names(k);
    tokens_want(k->tokens, k->running, k->built);
    return 0;
}

static void keeper_swap(struct child *c)
{
    struct keeper *k = c->arg;
    struct keeper_gen *old = k->running;
    k->running = k->built;
    k->built = NULL;
    const struct conf_store *store = &k->running->conf->store;
    ledger_writer_configure(k->ledger, store->commit_interval_us, retention_days(store));
    admin_server_listen(k->admin, k->running->listener, k->running->n_listeners, k->running->conf);
    keeper_gen_unref(old);
    want_names(k);
    tokens_want(k->tokens, k->running, k->built);
    if (old)
        dns_check_files(k->dns);
}

static void keeper_discard(struct child *c)
{
    struct keeper *k = c->arg;
    keeper_gen_unref(k->built);
    k->built = NULL;
    want_names(k);
    tokens_want(k->tokens, k->running, k->built);
}

/* ---- the dead ---- */

struct stale_job {
    struct job job;
    struct store *state, *ledger;
};

static void clear_stale(struct job *j)
{
    struct stale_job *s = container_of(j, struct stale_job, job);
    unsigned n = store_clear_stale_readers(s->state) + store_clear_stale_readers(s->ledger);
    if (n)
        log_info("cleared database readers of dead processes", LOG_U("readers", n));
}

static void free_stale(struct job *j)
{
    free(container_of(j, struct stale_job, job));
}

static void clear_stale_readers(struct keeper *k)
{
    struct stale_job *s = gw_xcalloc(1, sizeof(*s));
    *s = (struct stale_job){.job = {.run = clear_stale, .finish = free_stale},
                            .state = k->state,
                            .ledger = k->ledger_store};
    if (jobs_submit(k->writers, &s->job) < 0)
        free(s); /* the timer comes again */
}

static void on_stale_timer(evutil_socket_t fd, short what, void *arg)
{
    clear_stale_readers(arg);
}

static void keeper_child_died(struct child *c, const struct ipc_child_died *d)
{
    struct keeper *k = c->arg;
    clear_stale_readers(k);
    if (d->role == ROLE_WORKER)
        ledger_writer_region_dead(k->ledger, d->slot, d->incarnation);
}

static void keeper_result(struct child *c, uint32_t id, bool ok, const char *text)
{
    struct keeper *k = c->arg;
    reloads_result(k->reloads, id, ok, text);
}

/* ---- without a master ---- */

static bool workers_live(const struct control_shm *c)
{
    for (unsigned i = 0; i < CONTROL_MAX_WORKERS; i++) {
        pid_t pid = (pid_t)atomic_load(&c->slot[i].pid);
        if (pid > 0 && atomic_load(&c->slot[i].incarnation) && kill(pid, 0) == 0)
            return true;
    }
    return false;
}

static void on_orphan_timer(evutil_socket_t fd, short what, void *arg)
{
    struct keeper *k = arg;
    if (clock_mono_us() >= k->leave_at_us || !workers_live(k->child->control))
        child_exit(k->child, CHILD_EXIT_OK);
}

/* Leaves last: what the workers settle in their last seconds is still written, and a new master,
 * which waits for us, finds the ledger complete. */
static void keeper_orphaned(struct child *c, int64_t deadline_us)
{
    struct keeper *k = c->arg;
    k->leave_at_us = deadline_us;
    admin_server_listen(k->admin, NULL, 0, k->running->conf);
    k->orphan_timer = event_new(c->base, -1, EV_PERSIST, on_orphan_timer, k);
    GW_REQUIRE(k->orphan_timer != NULL);
    event_add(k->orphan_timer, &(struct timeval){.tv_usec = ORPHAN_LOOK_US});
}

/* ---- life ---- */

static int open_stores(struct keeper *k, struct errbuf *e)
{
    enum store_err err = keystore_open(k->child->state_dir, STORE_WRITE, 0, &k->state, e);
    if (err != STORE_OK)
        return -1;
    err = store_reader_new(k->state, &k->state_reader);
    if (err != STORE_OK)
        return err_set(e, "state.mdb: %s", store_err_text(err));
    return 0;
}

static int attach_segments(struct keeper *k, struct errbuf *e)
{
    struct child *c = k->child;
    if (child_attach(c, IPC_FD_DNS, &k->dns_shm, e) < 0 ||
        child_attach(c, IPC_FD_TOKENS, &k->tokens_shm, e) < 0 ||
        child_attach(c, IPC_FD_MONEY, &k->money_shm, e) < 0 ||
        child_attach(c, IPC_FD_OBJECTS, &k->objects_shm, e) < 0 ||
        objects_attach(&k->objects, &k->objects_shm, c->fd[IPC_FD_OBJECTS_WAKE], e) < 0)
        return -1;
    k->dns_seg = shm_body(&k->dns_shm);
    k->token_seg = token_seg_of(&k->tokens_shm);
    return money_attach(&k->money, &k->money_shm, c->fd[IPC_FD_LEDGER_WAKE], e);
}

static int keeper_start(struct child *c, struct errbuf *e)
{
    struct keeper *k = c->arg;
    if (open_stores(k, e) < 0 || attach_segments(k, e) < 0)
        return -1;
    k->readers = jobs_new(c->base, "keeper-read", e);
    k->writers = jobs_new(c->base, "keeper-write", e);
    k->verifiers = jobs_new(c->base, "keeper-verify", e);
    if (!k->readers || !k->writers || !k->verifiers)
        return -1;
    k->dns = dns_new(c->base, k->dns_seg, NULL, e);
    if (!k->dns)
        return -1;
    k->fetcher = fetcher_new(c->base);
    k->tokens = tokens_new(c->base, k->token_seg, k->fetcher, k->readers);
    k->reloads = reloads_new(k);
    k->admin = admin_server_new(k);
    k->stale_timer = event_new(c->base, -1, EV_PERSIST, on_stale_timer, k);
    GW_REQUIRE(k->stale_timer != NULL);
    event_add(k->stale_timer, &(struct timeval){.tv_sec = STALE_READERS_S});
    return 0;
}

/* The order matters: first nobody waits for an answer any more, then the connections go. */
static void keeper_close(struct keeper *k)
{
    object_writer_stop(k->object_writer);
    jobs_free(k->readers);
    jobs_free(k->writers);
    object_writer_free(k->object_writer);
    jobs_free(k->verifiers);
    reloads_free(k->reloads);
    admin_server_free(k->admin);
    dns_free(k->dns);
    tokens_free(k->tokens);
    fetcher_free(k->fetcher);
    if (k->stale_timer)
        event_free(k->stale_timer);
    if (k->orphan_timer)
        event_free(k->orphan_timer);
    keeper_gen_unref(k->running);
    keeper_gen_unref(k->built);
    store_reader_free(k->state_reader);
    store_close(k->state);
    ledger_writer_stop(k->ledger);
    store_close(k->ledger_store);
    shm_detach(&k->dns_shm);
    shm_detach(&k->tokens_shm);
    shm_detach(&k->money_shm);
    shm_detach(&k->objects_shm);
}

int keeper_main(struct child *c)
{
    static const struct child_ops ops = {
        .start = keeper_start,
        .build = keeper_build,
        .swap = keeper_swap,
        .discard = keeper_discard,
        .orphaned = keeper_orphaned,
        .child_died = keeper_child_died,
        .result = keeper_result,
    };
    struct keeper k = {.child = c,
                       .dns_shm = {.fd = -1},
                       .tokens_shm = {.fd = -1},
                       .money_shm = {.fd = -1},
                       .objects_shm = {.fd = -1}};
    int code = child_run(c, &ops, &k);
    keeper_close(&k);
    return code;
}
