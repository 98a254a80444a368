/*
 * children.c: supervision of workers and keeper from READY to their end.
 *
 * A child is let alone while it beats. One that doesn't beat, doesn't get ready, or doesn't leave
 * when told to gets SIGKILL: a stopped process ignores all else.
 */
#include "gatewayd/master/master.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <string.h>

enum {
#if defined(GW_DEBUG) && GW_DEBUG
    HANG_US = 20 * 1000 * 1000, /* sanitizers are slow */
#else
    HANG_US = 5 * 1000 * 1000,
#endif
    START_US = 60 * 1000 * 1000,
    STOP_WORKER_US = 5 * 1000 * 1000,
    KILL_AGAIN_US = 5 * 1000 * 1000,
    /* Beyond its deadline a worker has this long to cut what is left. */
    DRAIN_SLACK_US = 2 * 1000 * 1000,
};

/* ---- stopping ---- */

void children_stop(struct proc *p, int64_t grace_us)
{
    if (p->pid == 0)
        return;
    struct ipc_msg msg;
    memset(&msg, 0, sizeof msg);
    int64_t at = clock_mono_us() + grace_us;
    p->kill_at_us = p->kill_at_us ? GW_MIN(p->kill_at_us, at) : at;
    if (p->state != CHILD_STOPPING)
        proc_send(p, IPC_STOP, &msg, NULL, 0);
    proc_set_state(p, CHILD_STOPPING);
}

void children_drain(struct proc *p, int64_t deadline_us)
{
    if (p->pid == 0 || p->state == CHILD_STOPPING)
        return;
    if (p->state == CHILD_STARTING) { /* serves nobody yet */
        children_stop(p, STOP_WORKER_US);
        return;
    }
    struct ipc_msg msg = {.drain.deadline_us = deadline_us};
    p->kill_at_us = deadline_us + DRAIN_SLACK_US;
    proc_set_state(p, CHILD_DRAINING);
    proc_send(p, IPC_DRAIN, &msg, NULL, 0);
}

/* ---- messages ---- */

static void answer(struct proc *keeper, uint32_t id, bool ok, const char *text)
{
    if (keeper->ipc >= 0 &&
        ipc_send_text(keeper->ipc, IPC_RESULT, id, ok, text, strlen(text)) < 0 && errno == EAGAIN)
        proc_kill(keeper, "it doesn't read its messages");
}

static bool restart_worker(struct master *m, int slot)
{
    if (slot < 0 || (unsigned)slot >= m->n_workers || m->worker[slot].state != CHILD_READY)
        return false;
    m->worker[slot].restart = true;
    children_drain(&m->worker[slot], clock_mono_us() + m->active.prepared.drain_timeout_us);
    return true;
}

static void on_request(struct proc *keeper, const struct ipc_request *r)
{
    struct master *m = keeper->m;
    struct waiter w = {.id = r->id, .incarnation = keeper->incarnation};
    struct errbuf e;
    log_info("request", LOG_S("verb", ipc_verb_name((enum ipc_verb)r->verb)), LOG_I("arg", r->arg));
    if (master_is_leaving(m)) {
        answer(keeper, r->id, false, "the daemon is shutting down");
        return;
    }
    switch ((enum ipc_verb)r->verb) {
    case IPC_VERB_RELOAD:
        change_request(m, "gwctl", &w);
        break;
    case IPC_VERB_DRAIN:
        master_drain_announce(m, true);
        answer(keeper, r->id, true, "draining");
        break;
    case IPC_VERB_RESUME:
        master_drain_announce(m, false);
        answer(keeper, r->id, true, "serving");
        break;
    case IPC_VERB_RESTART_WORKER:
        if (restart_worker(m, r->arg))
            answer(keeper, r->id, true, "the worker drains, then a fresh one starts");
        else
            answer(keeper, r->id, false, "there is no such worker, or it isn't ready");
        break;
    case IPC_VERB_REOPEN_LOG:
        if (master_reopen_log(m, &m->log, &e) == 0)
            answer(keeper, r->id, true, "log reopened");
        else
            answer(keeper, r->id, false, e.msg);
        break;
    case IPC_VERB_STOP:
        answer(keeper, r->id, true, "stopping");
        master_stop(m);
        break;
    default:
        answer(keeper, r->id, false, "unknown request");
    }
}

static void on_ready(struct proc *p, uint64_t generation)
{
    struct master *m = p->m;
    p->generation = generation;
    if (p->ctl)
        atomic_store(&p->ctl->generation, generation);
    if (p->state != CHILD_STARTING)
        return;
    proc_set_state(p, CHILD_READY);
    log_info("child is ready", LOG_S("role", role_name(p->role)), LOG_U("slot", p->slot),
             LOG_I("child_pid", p->pid), LOG_U("generation", generation),
             LOG_I("after_us", clock_mono_us() - p->started_us));
    if (m->announced) {
        struct ipc_msg msg = {.drain.deadline_us = 0};
        proc_send(p, IPC_DRAIN, &msg, NULL, 0);
    }
    change_child_ready(p);
}

void children_on_message(struct proc *p, const struct ipc_msg *msg)
{
    switch (msg->head.type) {
    case IPC_READY:
        on_ready(p, msg->generation.generation);
        break;
    case IPC_BUILT:
        change_child_built(p, &msg->built);
        break;
    case IPC_DRAINED:
        if (p->state == CHILD_DRAINING)
            children_stop(p, STOP_WORKER_US);
        break;
    case IPC_REQUEST:
        if (p->role == ROLE_KEEPER)
            on_request(p, &msg->request);
        break;
    default:
        proc_kill(p, "it sent what its role doesn't send");
    }
}

/* ---- death and return ---- */

static void tell_keeper(const struct proc *dead)
{
    struct master *m = dead->m;
    struct ipc_msg msg = {.child_died = {.role = (uint8_t)dead->role,
                                         .slot = (uint16_t)dead->slot,
                                         .pid = dead->pid,
                                         .incarnation = dead->incarnation}};
    if (dead != &m->keeper && m->keeper.state == CHILD_READY)
        proc_send(&m->keeper, IPC_CHILD_DIED, &msg, NULL, 0);
}

static void start(struct proc *p)
{
    if (p->pid == 0 && proc_spawn(p) < 0) {
        /* No memory or no process id: try again with the tick's patience. */
        struct timeval tv = {.tv_sec = 1};
        proc_set_state(p, CHILD_WAITING);
        event_add(p->respawn_event, &tv);
    }
}

static void on_respawn(evutil_socket_t fd, short what, void *arg)
{
    struct proc *p = arg;
    if (p->state == CHILD_WAITING)
        start(p);
}

static void start_after(struct proc *p, int64_t delay_us)
{
    if (!p->respawn_event)
        p->respawn_event = event_new(p->m->base, -1, 0, on_respawn, p);
    GW_REQUIRE(p->respawn_event);
    if (delay_us == 0) {
        start(p);
        return;
    }
    struct timeval tv = {.tv_sec = delay_us / 1000000, .tv_usec = delay_us % 1000000};
    proc_set_state(p, CHILD_WAITING);
    event_add(p->respawn_event, &tv);
}

static bool is_wanted(const struct proc *p)
{
    const struct master *m = p->m;
    if (p->role == ROLE_KEEPER)
        return m->phase != PHASE_ENDING;
    return !master_is_leaving(m) && p->slot < m->n_workers;
}

static void respawn(struct proc *p, int status)
{
    struct respawn_decision d =
        respawn_decide(&p->history, status, p->generation != 0, clock_mono_us() - p->started_us);
    if (p->ctl)
        atomic_fetch_add(&p->ctl->restarts, 1);
    if (d.give_up) {
        proc_set_state(p, CHILD_FAILED);
        log_error("child can't serve the configuration and is not started again; a reload that "
                  "mends it starts it",
                  LOG_S("role", role_name(p->role)), LOG_U("slot", p->slot));
        return;
    }
    if (d.loop_alarm)
        log_error("child is in a crash loop, its starts are spaced out",
                  LOG_S("role", role_name(p->role)), LOG_U("slot", p->slot));
    start_after(p, d.delay_us);
}

void children_on_exit(struct proc *p, int status)
{
    struct master *m = p->m;
    bool asked = p->state == CHILD_STOPPING || p->restart;
    /* What it couldn't serve was replaced meanwhile. */
    bool outdated = m->active.number && p->started_with != m->active.number;
    tell_keeper(p);
    p->pid = 0;
    proc_set_state(p, CHILD_NONE);
    change_child_died(p, status);
    if (!is_wanted(p))
        return;
    if (asked || outdated)
        start_after(p, 0);
    else
        respawn(p, status);
}

/* What kept it from running may be mended by the new configuration. */
static void start_afresh(struct proc *p)
{
    if (p->pid)
        return;
    if (p->respawn_event)
        event_del(p->respawn_event);
    p->history = (struct respawn){0};
    start_after(p, 0);
}

void children_adjust(struct master *m)
{
    for (unsigned i = 0; i < CONTROL_MAX_WORKERS; i++) {
        struct proc *p = &m->worker[i];
        if (i >= m->n_workers)
            children_drain(p, clock_mono_us() + m->active.prepared.drain_timeout_us);
        else
            start_afresh(p);
    }
    start_afresh(&m->keeper);
}

/* ---- the watch ---- */

static int64_t silence_us(const struct proc *p, int64_t now_us)
{
    return p->ctl ? now_us - (int64_t)atomic_load(&p->ctl->heartbeat_us) : 0;
}

static bool beats(const struct proc *p)
{
    return p->pid && (p->state == CHILD_READY || p->state == CHILD_DRAINING);
}

static void check(struct proc *p, int64_t now_us)
{
    if (p->pid == 0 || (p->killed_us && now_us - p->killed_us < KILL_AGAIN_US))
        return;
    if (p->kill_at_us && now_us >= p->kill_at_us)
        proc_kill(p, "it didn't leave in time");
    else if (p->state == CHILD_STARTING && now_us - p->started_us > START_US)
        proc_kill(p, "it didn't get ready in time");
    else if (beats(p) && silence_us(p, now_us) > HANG_US && now_us > p->m->hang_check_from_us)
        proc_kill(p, "it hangs: no heartbeat");
}

void children_check(struct master *m, int64_t now_us)
{
    /* Our own pause (a frozen cgroup, a stopped machine) says nothing about the children. */
    if (now_us - m->last_tick_us > 1000 * 1000)
        m->hang_check_from_us = now_us + HANG_US;
    m->last_tick_us = now_us;
    check(&m->keeper, now_us);
    for (unsigned i = 0; i < CONTROL_MAX_WORKERS; i++)
        check(&m->worker[i], now_us);
}

bool children_beat(const struct master *m, int64_t now_us)
{
    if (beats(&m->keeper) && silence_us(&m->keeper, now_us) > HANG_US)
        return false;
    for (unsigned i = 0; i < CONTROL_MAX_WORKERS; i++)
        if (beats(&m->worker[i]) && silence_us(&m->worker[i], now_us) > HANG_US)
            return false;
    return true;
}
