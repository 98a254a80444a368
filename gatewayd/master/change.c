/*
 * change.c: from one generation of the configuration to the next, the first one included.
 *
 *   IDLE -> LOADING -> BUILDING -> COMMITTING -> IDLE
 *              \-> LOCKING -> LOADING   at the first start: the directories are locked
 *
 * All or nothing: what fails or takes too long anywhere ends the change, children forget what they
 * built, and the running generation stays. At most one change is in progress; what is asked for
 * meanwhile makes one more after it, however often it is asked.
 *
 * A child that starts or returns during a change starts with the running generation and joins: it
 * is told to build as soon as it is ready, and caught up if the change went through before.
 */
#include "gatewayd/master/master.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/instance.h"
#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LOAD_US = 120 * 1000 * 1000, /* secrets may come from programs (exec:) */
    BUILD_US = 60 * 1000 * 1000,
    COMMIT_US = 30 * 1000 * 1000,
    LOADER_EXIT_US = 5 * 1000 * 1000,
    LOCK_POLL_MS = 20,
    /* Orphans of a crashed master end within CHILD_ORPHAN_US, its keeper somewhat later. */
    LOCK_US = 20 * 1000 * 1000,
};

static const char *const state_names[] = {
#define X(name) [CHANGE_##name] = #name,
    CHANGE_STATES(X)
#undef X
};

static bool is_first(const struct master *m)
{
    return m->active.number == 0;
}

static void set_state(struct master *m, enum change_state state, int64_t timeout_us)
{
    log_debug("change", LOG_S("from", state_names[m->change.state]),
              LOG_S("to", state_names[state]));
    m->change.state = state;
    m->change.deadline_us = timeout_us ? clock_mono_us() + timeout_us : 0;
}

static void swapped(struct proc *p)
{
    p->generation = p->built;
    p->built = 0;
    if (p->ctl)
        atomic_store(&p->ctl->generation, p->generation);
}

static void swap_one(struct proc *p)
{
    if (p->built != p->m->change.next.number)
        return;
    proc_send_generation(p, IPC_SWAP, p->built);
    swapped(p);
}

static void discard_one(struct proc *p)
{
    uint64_t next = p->m->change.next.number;
    if (next && (p->built == next || p->building == next)) {
        proc_send_generation(p, IPC_DISCARD, next);
        p->built = p->building = 0;
    }
}

/* ---- the outcome ---- */

static void tell_waiters(struct master *m, bool ok, const char *text)
{
    struct waiters *w = &m->change.waiters;
    struct proc *k = &m->keeper;
    for (size_t i = 0; i < w->n; i++)
        if (k->ipc >= 0 && k->incarnation == w->v[i].incarnation &&
            ipc_send_text(k->ipc, IPC_RESULT, w->v[i].id, ok, text, strlen(text)) < 0 &&
            errno == EAGAIN)
            proc_kill(k, "it doesn't read its messages");
    w->n = 0;
}

static void say_status(const struct master *m)
{
    sdnotify_send("STATUS=Serving generation %llu with %u workers",
                  (unsigned long long)m->active.number, m->n_workers);
}

/* One line a line of the text; at the first start to stderr as it is, for the person there. */
static void log_text(bool first, const char *text)
{
    struct slice rest = slice_str(text);
    while (rest.p) {
        struct slice line = slice_split(&rest, '\n');
        if (line.n && first)
            fprintf(stderr, "gatewayd: %.*s\n", SLICE_FMT(line));
        else if (line.n)
            log_error("configuration", LOG_SL("problem", line));
    }
}

/* The one after, once the loader of this one is gone too. */
static void start_queued(struct master *m)
{
    if (!m->change.again || m->loader.pid || master_is_leaving(m))
        return;
    m->change.again = false;
    m->change.waiters = m->change.queued;
    m->change.queued.n = 0;
    change_request(m, m->change.by, NULL);
}

static void finish(struct master *m)
{
    ipc_text_release(&m->change.text);
    set_state(m, CHANGE_IDLE, 0);
    start_queued(m);
}

static void forget_next(struct master *m)
{
    struct generation *g = &m->change.next;
    listen_discard(&g->listeners);
    if (g->secrets_fd >= 0)
        close(g->secrets_fd);
    *g = (struct generation){.secrets_fd = -1};
}

static void dismiss_loader(struct master *m, enum ipc_type type)
{
    if (m->loader.pid == 0)
        return;
    proc_send_generation(&m->loader, type, m->change.next.number);
    m->loader.kill_at_us = clock_mono_us() + LOADER_EXIT_US;
}

static void fail_with(struct master *m, const char *text, int exit_code)
{
    if (m->change.state == CHANGE_IDLE)
        return;
    bool first = is_first(m);
    log_text(first, text);
    dismiss_loader(m, IPC_ABORT);
    if (first) {
        sdnotify_status(text);
        forget_next(m);
        set_state(m, CHANGE_IDLE, 0);
        master_fail(m, exit_code);
        return;
    }
    log_error("reload failed, the running configuration stays",
              LOG_U("generation", m->active.number));
    master_each_child(m, discard_one);
    forget_next(m);
    atomic_fetch_add(&m->control->reloads_failed, 1);
    tell_waiters(m, false, text);
    sdnotify_send("READY=1");
    char status[512];
    snprintf(status, sizeof status, "Reload failed, serving generation %llu: %s",
             (unsigned long long)m->active.number, text);
    sdnotify_status(status);
    finish(m);
}

static void fail(struct master *m, const char *text)
{
    fail_with(m, text, CHILD_EXIT_FAULT);
}

void change_abandon(struct master *m)
{
    static const char why[] = "the daemon is shutting down";
    m->change.again = false;
    if (m->change.state == CHANGE_IDLE)
        return;
    dismiss_loader(m, IPC_ABORT);
    tell_waiters(m, false, why);
    forget_next(m);
    set_state(m, CHANGE_IDLE, 0);
}

/* ---- asking ---- */

static void add_waiter(struct master *m, struct waiters *list, const struct waiter *w)
{
    if (list->n < MAX_WAITERS) {
        list->v[list->n++] = *w;
    } else {
        static const char busy[] = "too many reloads are waiting already";
        if (m->keeper.ipc >= 0 &&
            ipc_send_text(m->keeper.ipc, IPC_RESULT, w->id, false, busy, sizeof busy - 1) < 0)
            proc_kill(&m->keeper, "it doesn't read its messages");
    }
}

void change_request(struct master *m, const char *by, const struct waiter *w)
{
    struct change *c = &m->change;
    /* The loader before may still be on its way out. */
    bool busy = c->state != CHANGE_IDLE || m->loader.pid != 0;
    c->by = by;
    if (w)
        add_waiter(m, busy ? &c->queued : &c->waiters, w);
    if (busy) {
        c->again = true;
        return;
    }
    if (!is_first(m))
        sdnotify_send("RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reloading",
                      (long long)clock_mono_us());
    set_state(m, CHANGE_LOADING, LOAD_US);
    if (proc_spawn(&m->loader) < 0)
        fail(m, "can't start the loader process");
}

/* ---- directories and locks, at the first start ---- */

static int make_dir(const char *path, mode_t mode, struct errbuf *e)
{
    if (mkdir(path, mode) == 0)
        return chmod(path, mode) == 0 ? 0 : err_set_errno(e, "can't set the mode of %s", path);
    return errno == EEXIST ? 0 : err_set_errno(e, "can't make directory %s", path);
}

static int lock_one(const char *dir, int *fd, pid_t *holder, struct errbuf *e)
{
    return *fd >= 0 ? 1 : instance_lock(dir, fd, holder, e);
}

static void try_locks(struct master *m)
{
    struct errbuf e;
    pid_t holder = 0;
    int rc = lock_one(m->state_dir, &m->state_lock, &holder, &e);
    if (rc == 0) {
        err_set(&e, "another gatewayd runs on state_dir %s (pid %d)", m->state_dir, (int)holder);
        rc = -1;
    }
    if (rc > 0)
        rc = lock_one(m->runtime_dir, &m->runtime_lock, &holder, &e);
    if (rc < 0) {
        fail(m, e.msg);
    } else if (rc == 0) {
        static const struct timeval poll = {.tv_usec = LOCK_POLL_MS * 1000};
        if (m->change.state != CHANGE_LOCKING) {
            log_info("waiting for the processes of a former master to end",
                     LOG_S("runtime_dir", m->runtime_dir), LOG_I("master_pid", holder));
            set_state(m, CHANGE_LOCKING, LOCK_US);
        }
        event_add(m->lock_event, &poll);
    } else {
        struct ipc_msg go;
        memset(&go, 0, sizeof go);
        set_state(m, CHANGE_LOADING, LOAD_US);
        proc_send(&m->loader, IPC_GO, &go, NULL, 0);
    }
}

static void on_lock_poll(evutil_socket_t fd, short what, void *arg)
{
    struct master *m = arg;
    if (m->change.state == CHANGE_LOCKING)
        try_locks(m);
}

static void on_dirs(struct master *m, const struct ipc_dirs *d)
{
    struct errbuf e;
    if (!is_first(m)) {
        struct ipc_msg go;
        memset(&go, 0, sizeof go);
        if (strcmp(m->state_dir, d->state_dir) || strcmp(m->runtime_dir, d->runtime_dir))
            fail(m, "state_dir and runtime_dir can't change while the daemon runs: restart it");
        else
            proc_send(&m->loader, IPC_GO, &go, NULL, 0);
        return;
    }
    snprintf(m->state_dir, sizeof m->state_dir, "%s", d->state_dir);
    snprintf(m->runtime_dir, sizeof m->runtime_dir, "%s", d->runtime_dir);
    if (make_dir(m->state_dir, 0700, &e) < 0 || make_dir(m->runtime_dir, 0755, &e) < 0) {
        fail(m, e.msg);
        return;
    }
    if (!m->lock_event)
        m->lock_event = event_new(m->base, -1, 0, on_lock_poll, m);
    GW_REQUIRE(m->lock_event);
    try_locks(m);
}

/* ---- building ---- */

static void send_build(struct proc *p, const struct generation *g)
{
    struct ipc_msg msg;
    int fds[IPC_MAX_FDS];
    memset(&msg, 0, sizeof msg);
    msg.build.generation = g->number;
    msg.build.n_workers = g->prepared.n_workers;
    size_t n = proc_add_generation(p, g, msg.build.tag, fds, 0);
    msg.build.n_tags = (uint16_t)n;
    p->building = g->number;
    p->built = 0;
    proc_send(p, IPC_BUILD, &msg, fds, n);
}

/* Who got ready while the change was being committed. */
static void catch_up_one(struct proc *p)
{
    if (p->state == CHILD_READY && p->generation != p->m->active.number)
        send_build(p, &p->m->active);
}

static bool takes_part(const struct proc *p)
{
    bool surplus = p->role == ROLE_WORKER && p->slot >= p->m->change.next.prepared.n_workers;
    return p->pid && p->state == CHILD_READY && !surplus;
}

static bool has_built(const struct proc *p)
{
    uint64_t next = p->m->change.next.number;
    if (is_first(p->m))
        return p->generation == next;
    return !takes_part(p) || p->built == next;
}

static void check_built(struct master *m)
{
    if (m->change.state != CHANGE_BUILDING || !has_built(&m->keeper))
        return;
    for (unsigned i = 0; i < m->change.next.prepared.n_workers; i++)
        if (!has_built(&m->worker[i]))
            return;
    set_state(m, CHANGE_COMMITTING, COMMIT_US);
    proc_send_generation(&m->loader, IPC_COMMIT, m->change.next.number);
}

static int open_shared(struct master *m, const struct ipc_prepared *p, struct errbuf *e)
{
    if (segments_open(m->runtime_dir, p->n_workers, &m->segments, e) < 0)
        return -1;
    m->control = control_of(&m->segments.control);
    atomic_store(&m->control->master_pid, (uint32_t)getpid());
    atomic_store(&m->control->started_us, (uint64_t)clock_mono_us());
    atomic_store(&m->control->started_wall_us, (uint64_t)clock_wall_us());
    atomic_store(&m->control->n_workers, p->n_workers);
    m->keeper.ctl = &m->control->slot[CONTROL_SLOT_KEEPER];
    for (unsigned i = 0; i < CONTROL_MAX_WORKERS; i++)
        m->worker[i].ctl = &m->control->slot[i];
    log_set_drop_counter(&m->control->log_dropped);
    return 0;
}

static void start_all(struct master *m)
{
    m->n_workers = m->change.next.prepared.n_workers;
    children_adjust(m);
}

static void build_one(struct proc *p)
{
    if (takes_part(p))
        send_build(p, &p->m->change.next);
}

static int accept_prepared(struct master *m, const struct ipc_prepared *p, struct errbuf *e)
{
    struct generation *g = &m->change.next;
    if (p->n_workers == 0 || p->n_workers > CONTROL_MAX_WORKERS ||
        p->n_listeners > IPC_MAX_LISTENERS)
        return err_set(e, "the loader prepared %u workers and %u listeners", p->n_workers,
                       p->n_listeners);
    if (!is_first(m) && p->n_workers > m->segments.max_workers)
        return err_set(e,
                       "workers = %u: shared memory was made for %u, more need a restart of the "
                       "daemon",
                       p->n_workers, m->segments.max_workers);
    g->number = p->generation;
    g->prepared = *p;
    if (listen_open(&g->listeners, p->listener, p->n_listeners, &m->active.listeners, &m->pool, e))
        return -1;
    if (!is_first(m))
        return 0;
    if (open_shared(m, p, e) < 0)
        return -1;
    return master_reopen_log(m, &p->log, e);
}

static void on_prepared(struct master *m, const struct ipc_msg *msg, int *fds)
{
    struct errbuf e;
    if (m->change.state != CHANGE_LOADING || msg->head.n_fds != 1) {
        fail(m, "the loader sent PREPARED out of turn");
        return;
    }
    m->change.next.secrets_fd = fds[0];
    fds[0] = -1;
    if (accept_prepared(m, &msg->prepared, &e) < 0) {
        fail(m, e.msg);
        return;
    }
    set_state(m, CHANGE_BUILDING, BUILD_US);
    if (is_first(m))
        start_all(m);
    else
        master_each_child(m, build_one);
    check_built(m);
}

static void child_failed(struct proc *p, const char *why)
{
    char text[640];
    snprintf(text, sizeof text, "%s %u can't serve it: %s", role_name(p->role), p->slot, why);
    fail(p->m, text);
}

void change_child_built(struct proc *p, const struct ipc_built *b)
{
    struct master *m = p->m;
    if (b->generation != p->building) /* an answer to what was called off */
        return;
    p->building = 0;
    bool joins = m->change.state == CHANGE_BUILDING && b->generation == m->change.next.number;
    if (!b->ok) {
        if (joins)
            child_failed(p, b->why);
        else /* all others serve it: a fresh process may, too */
            proc_kill(p, b->why);
        return;
    }
    p->built = b->generation;
    if (joins) {
        check_built(m);
    } else if (b->generation == m->active.number) {
        proc_send_generation(p, IPC_SWAP, p->built);
        swapped(p);
        if (m->change.state == CHANGE_BUILDING && takes_part(p))
            send_build(p, &m->change.next);
    }
}

void change_child_ready(struct proc *p)
{
    struct master *m = p->m;
    if (!is_first(m) && p->generation != m->active.number)
        send_build(p, &m->active);
    else if (!is_first(m) && m->change.state == CHANGE_BUILDING && takes_part(p))
        send_build(p, &m->change.next);
    check_built(m);
}

void change_child_died(struct proc *p, int status)
{
    struct master *m = p->m;
    bool was_building = p->building && p->building == m->change.next.number;
    p->building = p->built = 0;
    if (m->change.state != CHANGE_BUILDING)
        return;
    char why[64];
    if (WIFSIGNALED(status))
        snprintf(why, sizeof why, "it was ended by signal %d", WTERMSIG(status));
    else
        snprintf(why, sizeof why, "it exited with status %d", WEXITSTATUS(status));
    if (is_first(m) || was_building)
        child_failed(p, why);
    else
        check_built(m);
}

/* ---- the end of the loader's part ---- */

static void log_changed(struct master *m, const struct ipc_log *log)
{
    struct errbuf e;
    if (memcmp(log, &m->log, sizeof *log) != 0 && master_reopen_log(m, log, &e) < 0)
        log_error("can't open the new log, the old one stays", LOG_S("error", e.msg));
}

static void became_active(struct master *m)
{
    bool first = is_first(m);
    struct generation *next = &m->change.next;
    if (!first)
        master_each_child(m, swap_one);
    listen_replace(&next->listeners, &m->active.listeners);
    if (m->active.secrets_fd >= 0)
        close(m->active.secrets_fd);
    m->active = *next;
    *next = (struct generation){.secrets_fd = -1};
    m->n_workers = m->active.prepared.n_workers;
    atomic_store(&m->control->generation, m->active.number);
    atomic_store(&m->control->n_workers, m->n_workers);
    if (first) {
        m->phase = PHASE_RUNNING;
        for (size_t i = 0; i < m->pool.n; i++)
            log_warn("a socket from systemd is not used: no `listen` names its address",
                     LOG_S("name", m->pool.v[i].name));
    } else {
        atomic_fetch_add(&m->control->reloads_ok, 1);
        log_changed(m, &m->active.prepared.log);
    }
    atomic_store(&m->control->reload_wall_us, (uint64_t)clock_wall_us());
    master_each_child(m, catch_up_one);
    children_adjust(m);
}

static void succeed(struct master *m, const char *text)
{
    log_info("serving", LOG_U("generation", m->active.number), LOG_U("workers", m->n_workers));
    tell_waiters(m, true, text);
    sdnotify_send("READY=1");
    say_status(m);
    finish(m);
}

static void on_unchanged(struct master *m)
{
    char text[80];
    snprintf(text, sizeof text, "unchanged: generation %llu serves this file already\n",
             (unsigned long long)m->active.number);
    succeed(m, text);
}

void change_on_message(struct master *m, const struct ipc_msg *msg, int *fds)
{
    struct change *c = &m->change;
    if (c->state == CHANGE_IDLE) /* a loader that was dismissed */
        return;
    switch (msg->head.type) {
    case IPC_DIRS:
        on_dirs(m, &msg->dirs);
        break;
    case IPC_DIFF:
        ipc_text_add(&c->text, &msg->text);
        break;
    case IPC_PREPARED:
        on_prepared(m, msg, fds);
        break;
    case IPC_UNCHANGED:
        if (is_first(m))
            fail(m, "the loader said UNCHANGED at the first start");
        else
            on_unchanged(m);
        break;
    case IPC_FAILED:
        if (ipc_text_add(&c->text, &msg->text))
            fail_with(m, c->text.data, CHILD_EXIT_CONFIG);
        break;
    case IPC_COMMITTED:
        if (c->state != CHANGE_COMMITTING) {
            fail(m, "the loader sent COMMITTED out of turn");
            break;
        }
        became_active(m);
        succeed(m, c->text.data ? c->text.data : "");
        break;
    default:
        fail(m, "the loader sent what it shouldn't");
    }
}

void change_on_loader_exit(struct master *m, int status)
{
    char text[96];
    if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "the loader was ended by signal %d", WTERMSIG(status));
    else
        snprintf(text, sizeof text, "the loader exited with status %d before it was done",
                 WEXITSTATUS(status));
    if (m->change.state != CHANGE_IDLE)
        fail(m, text);
    else
        start_queued(m);
}

void change_check(struct master *m, int64_t now_us)
{
    struct proc *l = &m->loader;
    if (l->pid && l->kill_at_us && now_us >= l->kill_at_us && !l->killed_us)
        proc_kill(l, "it didn't leave in time");
    if (m->change.state == CHANGE_IDLE || now_us < m->change.deadline_us)
        return;
    char text[96];
    snprintf(text, sizeof text, "timed out in state %s", state_names[m->change.state]);
    if (m->change.state == CHANGE_LOADING)
        proc_kill(l, "it takes too long");
    fail(m, text);
}
