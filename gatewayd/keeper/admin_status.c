/*
 * admin_status.c: what runs, how it does, which names it knows. Reads shared memory only.
 */
#include "gatewayd/keeper/admin.h"
#include "gatewayd/keeper/admin_commands.h"

#include "common/clock.h"
#include "gatewayd/keeper/ledger_writer.h"
#include "gatewayd/keeper/tokens.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOAD(word) atomic_load_explicit(&(word), memory_order_relaxed)

void admin_healthz(struct admin_call *call)
{
    struct json_writer *w = admin_json(call);
    jw_member_str(w, "status", SLICE_LIT("ok"));
}

void admin_version(struct admin_call *call)
{
    struct json_writer *w = admin_json(call);
    jw_member_str(w, "version", SLICE_LIT(GW_VERSION));
    jw_member_str(w, "api", SLICE_LIT("v1"));
    jw_member_str(w, "libevent", slice_str(event_get_version()));
}

struct totals {
    unsigned by_state[CHILD_STATE_COUNT];
    uint64_t connections, inflight, requests, restarts, log_dropped;
};

static void sum_workers(const struct control_shm *c, struct totals *t)
{
    *t = (struct totals){0};
    for (unsigned i = 0; i < CONTROL_MAX_WORKERS; i++) {
        const struct control_slot *s = &c->slot[i];
        uint32_t state = LOAD(s->state);
        if (state >= CHILD_STATE_COUNT)
            continue;
        t->by_state[state]++;
        t->connections += LOAD(s->connections);
        t->inflight += LOAD(s->inflight);
        t->requests += LOAD(s->requests_total);
        t->restarts += LOAD(s->restarts);
        t->log_dropped += LOAD(s->log_dropped);
    }
}

static const char *overall(const struct control_shm *c, const struct totals *t)
{
    if (LOAD(c->draining))
        return "draining";
    if (t->by_state[CHILD_READY] == 0)
        return "down";
    return t->by_state[CHILD_READY] < LOAD(c->n_workers) ? "degraded" : "ready";
}

static void put_dns_summary(struct json_writer *w, const struct dns_seg *seg)
{
    unsigned n[DNS_FAILED + 1] = {0}, names = 0;
    struct dns_record r;
    for (unsigned i = 0; seg && i < DNS_SLOTS; i++)
        if (dns_read_slot(seg, i, &r) && r.state <= DNS_FAILED) {
            n[r.state]++;
            names++;
        }
    jw_member_object(w, "dns");
    jw_member_u64(w, "names", names);
    for (int s = DNS_RESOLVING; s <= DNS_FAILED; s++) {
        jw_key(w, slice_str(dns_state_name(s)));
        jw_u64(w, n[s]);
    }
    jw_object_end(w);
}

static void put_tokens(struct json_writer *w, const struct admin_call *call)
{
    struct token_counts counts;
    tokens_count(call->keeper->tokens, call->gen, &counts);
    jw_member_object(w, "tokens");
    for (int s = 0; s < TOKEN_N_STATES; s++) {
        jw_key(w, slice_str(token_state_name((enum token_state)s)));
        jw_u64(w, counts.n[s]);
    }
    jw_object_end(w);
}

static void put_listeners(struct json_writer *w, const char *name, const struct conf_listeners *l)
{
    jw_key(w, slice_str(name));
    jw_array(w);
    for (uint32_t i = 0; i < l->n; i++)
        jw_str(w, l->v[i].text);
    jw_array_end(w);
}

static void put_ledger(struct json_writer *w, struct keeper *k)
{
    struct ledger_writer_stats st;
    ledger_writer_stats(k->ledger, &st);
    jw_member_object(w, "ledger");
    jw_member_bool(w, "writable", !st.unwritable);
    if (st.unwritable)
        jw_member_str(w, "error", slice_str(store_err_text(st.last_err)));
    jw_member_u64(w, "records", st.records);
    jw_member_u64(w, "commits", st.commits);
    jw_member_u64(w, "failures", st.failures);
    jw_member_u64(w, "reaped", st.reaped);
    jw_member_u64(w, "lost_settled", st.lost_settled);
    jw_member_u64(w, "malformed", st.malformed);
    jw_member_u64(w, "quarantined", st.quarantined);
    jw_object_end(w);
}

static void put_store(struct json_writer *w, const char *name, struct store *s)
{
    struct store_stats st;
    store_stats(s, &st);
    jw_key(w, slice_str(name));
    jw_object(w);
    jw_member_u64(w, "used_bytes", st.used_bytes);
    jw_member_u64(w, "map_bytes", st.map_bytes);
    jw_member_u64(w, "readers", st.readers_used);
    jw_object_end(w);
}

void admin_status(struct admin_call *call)
{
    struct keeper *k = call->keeper;
    const struct control_shm *c = k->child->control;
    struct totals t;
    sum_workers(c, &t);
    struct json_writer *w = admin_json(call);
    jw_member_str(w, "status", slice_str(overall(c, &t)));
    jw_member_str(w, "version", SLICE_LIT(GW_VERSION));
    jw_member_i64(w, "master_pid", LOAD(c->master_pid));
    report_put_time(w, "started", (int64_t)LOAD(c->started_wall_us));
    jw_member_i64(w, "uptime_us", clock_mono_us() - (int64_t)LOAD(c->started_us));
    jw_member_u64(w, "generation", call->gen->conf->generation);
    jw_member_str(w, "config_file", slice_str(k->child->config_path));
    jw_member_u64(w, "reloads_ok", LOAD(c->reloads_ok));
    jw_member_u64(w, "reloads_failed", LOAD(c->reloads_failed));
    report_put_time(w, "last_reload", (int64_t)LOAD(c->reload_wall_us));
    put_listeners(w, "listen", &call->gen->conf->gateway.listen);
    put_listeners(w, "admin", &call->gen->conf->gateway.admin);
    jw_member_u64(w, "workers_wanted", LOAD(c->n_workers));
    jw_member_u64(w, "workers_ready", t.by_state[CHILD_READY]);
    jw_member_u64(w, "worker_restarts", t.restarts);
    jw_member_u64(w, "connections", t.connections);
    jw_member_u64(w, "inflight", t.inflight);
    jw_member_u64(w, "requests", t.requests);
    jw_member_u64(w, "log_lines_dropped", t.log_dropped + LOAD(c->log_dropped));
    jw_member_u64(w, "models", call->gen->conf->n_models);
    jw_member_u64(w, "providers", call->gen->conf->n_providers);
    put_store(w, "state_store", k->state);
    put_store(w, "ledger_store", k->ledger_store);
    put_ledger(w, k);
    put_dns_summary(w, k->dns_seg);
    put_tokens(w, call);
}

static void put_last_exit(struct json_writer *w, const struct control_slot *s)
{
    uint32_t status = LOAD(s->last_exit);
    char text[64];
    if (LOAD(s->restarts) == 0 && status == 0)
        return;
    if (WIFSIGNALED(status))
        snprintf(text, sizeof(text), "signal %s", sigabbrev_np(WTERMSIG(status)));
    else
        snprintf(text, sizeof(text), "exit %d", WEXITSTATUS(status));
    jw_member_str(w, "last_exit", slice_str(text));
}

static void put_slot(struct json_writer *w, const struct control_slot *s, const char *role,
                     unsigned number)
{
    int64_t now = clock_mono_us();
    uint32_t state = LOAD(s->state);
    jw_object(w);
    jw_member_str(w, "role", slice_str(role));
    jw_member_u64(w, "slot", number);
    jw_member_str(w, "state", slice_str(child_state_name(state)));
    jw_member_u64(w, "pid", LOAD(s->pid));
    jw_member_u64(w, "generation", LOAD(s->generation));
    jw_member_i64(w, "uptime_us", LOAD(s->started_us) ? now - (int64_t)LOAD(s->started_us) : 0);
    jw_member_i64(w, "heartbeat_age_us",
                  LOAD(s->heartbeat_us) ? now - (int64_t)LOAD(s->heartbeat_us) : -1);
    jw_member_u64(w, "connections", LOAD(s->connections));
    jw_member_u64(w, "inflight", LOAD(s->inflight));
    jw_member_u64(w, "requests", LOAD(s->requests_total));
    jw_member_u64(w, "buffered_bytes", LOAD(s->buffered_bytes));
    jw_member_u64(w, "restarts", LOAD(s->restarts));
    jw_member_u64(w, "log_lines_dropped", LOAD(s->log_dropped));
    put_last_exit(w, s);
    jw_object_end(w);
}

void admin_workers(struct admin_call *call)
{
    const struct control_shm *c = call->keeper->child->control;
    struct json_writer *w = admin_json(call);
    jw_member_array(w, "workers");
    for (unsigned i = 0; i < CONTROL_MAX_WORKERS; i++)
        if (LOAD(c->slot[i].state) != CHILD_NONE)
            put_slot(w, &c->slot[i], "worker", i);
    put_slot(w, &c->slot[CONTROL_SLOT_KEEPER], "keeper", 0);
    jw_array_end(w);
}

static void put_name(struct json_writer *w, const struct dns_record *r)
{
    char text[INET6_ADDRSTRLEN];
    int64_t now = clock_mono_us();
    jw_object(w);
    jw_member_str(w, "host", slice_of(r->host, r->host_len));
    jw_member_str(w, "state", slice_str(dns_state_name(r->state)));
    if (r->error != DNS_ERR_NONE)
        jw_member_str(w, "error", slice_str(dns_error_text(r->error)));
    jw_member_array(w, "addresses");
    for (unsigned i = 0; i < r->n_addrs && i < DNS_MAX_ADDRS; i++)
        jw_str(w, slice_str(inet_ntop(r->addr[i].family == 4 ? AF_INET : AF_INET6, r->addr[i].bytes,
                                      text, sizeof(text))));
    jw_array_end(w);
    if (r->n_addrs)
        jw_member_i64(w, "expires_in_us", r->expires_mono_us - now);
    if (r->updated_mono_us)
        jw_member_i64(w, "age_us", now - r->updated_mono_us);
    jw_object_end(w);
}

void admin_dns(struct admin_call *call)
{
    struct dns_record r;
    struct json_writer *w = admin_json(call);
    jw_member_array(w, "names");
    for (unsigned i = 0; call->keeper->dns_seg && i < DNS_SLOTS; i++)
        if (dns_read_slot(call->keeper->dns_seg, i, &r))
            put_name(w, &r);
    jw_array_end(w);
}
