/*
 * admin_metrics.c: /metrics in the Prometheus text format, from the control segment.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4).
 */
#include "gatewayd/keeper/admin.h"
#include "gatewayd/keeper/admin_commands.h"

#define LOAD(word) atomic_load_explicit(&(word), memory_order_relaxed)

static int put(struct buf *b, const char *name, const char *type, const char *help, uint64_t v)
{
    return buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name,
                      (unsigned long long)v);
}

static int put_workers(struct buf *b, const struct control_shm *c)
{
    uint64_t restarts = 0, connections = 0, inflight = 0, dropped = LOAD(c->log_dropped);
    uint64_t ready = 0;
    for (unsigned i = 0; i < CONTROL_MAX_WORKERS; i++) {
        const struct control_slot *s = &c->slot[i];
        restarts += LOAD(s->restarts);
        dropped += LOAD(s->log_dropped);
        connections += LOAD(s->connections);
        inflight += LOAD(s->inflight);
        ready += LOAD(s->state) == CHILD_READY;
    }
    if (put(b, "gatewayd_worker_restarts_total", "counter",
            "Deaths of workers that nobody asked for.", restarts) < 0 ||
        put(b, "gatewayd_workers_ready", "gauge", "Workers that serve.", ready) < 0 ||
        put(b, "gatewayd_connections", "gauge", "Open client connections.", connections) < 0 ||
        put(b, "gatewayd_inflight_requests", "gauge", "Requests between head and end.", inflight) <
            0)
        return -1;
    return put(b, "gatewayd_log_dropped_total", "counter",
               "Log lines dropped because the sink did not take them.", dropped);
}

void admin_metrics(struct admin_call *call)
{
    const struct control_shm *c = call->keeper->child->control;
    struct buf *b = &call->report.out;
    call->report.status = 200;
    call->is_text = true;
    if (buf_printf(b,
                   "# HELP gatewayd_build_info Version of the running program.\n"
                   "# TYPE gatewayd_build_info gauge\n"
                   "gatewayd_build_info{version=\"%s\"} 1\n",
                   GW_VERSION) < 0 ||
        put(b, "gatewayd_config_generation", "gauge", "Active configuration generation.",
            call->gen->conf->generation) < 0 ||
        put(b, "gatewayd_reloads_total", "counter", "Reloads that went through.",
            LOAD(c->reloads_ok)) < 0 ||
        put(b, "gatewayd_reload_failures_total", "counter", "Reloads that were refused.",
            LOAD(c->reloads_failed)) < 0 ||
        put_workers(b, c) < 0)
        admin_error(call, 500, "answer_too_large", "the metrics don't fit");
}
