/*
 * child.c: start-up, heartbeat, generations, drain and end of a child process, for all roles.
 *
 * Descriptors that arrive in a message are either stored in struct child, handed to the role with
 * struct child_build, or closed here; none is left over. The process ends by itself when the
 * master is gone, whatever the role does or doesn't.
 */
#include "gatewayd/child.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/confdb.h"
#include "common/log.h"
#include "common/secrets.h"
#include "gatewayd/segments.h"
#include "gatewayd/title.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    START_TIMEOUT_MS = 30 * 1000,
    /* The keeper leaves after the workers, then writes out what they left. */
    ORPHAN_KEEPER_EXTRA_US = 5 * 1000 * 1000,
};

/* ---- start ---- */

static void set_limits(pid_t master_pid)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
#if !(defined(GW_DEBUG) && GW_DEBUG)
    prctl(PR_SET_DUMPABLE, 0); /* no ptrace, no core: keys are in memory */
#endif
    /* Terminals and service managers signal the whole group; only the master decides. TERM is what
     * the kernel sends when the master dies. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    if (master_pid > 0)
        prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static void keep_fd(struct child *c, const struct ipc_fd_tag *tag, int fd)
{
    if (tag->kind == IPC_FD_LISTEN && c->first.n_listeners < IPC_MAX_LISTENERS) {
        c->first.listener[c->first.n_listeners++] =
            (struct child_listener){.kind = tag->listen_kind, .index = tag->index, .fd = fd};
    } else if (tag->kind < IPC_FD_KIND_COUNT && tag->kind != IPC_FD_LISTEN &&
               c->fd[tag->kind] < 0) {
        c->fd[tag->kind] = fd;
    } else {
        close(fd);
    }
}

static int take_start(struct child *c, const struct ipc_msg *m, const int *fds, struct errbuf *e)
{
    const struct ipc_start *s = &m->start;
    if (m->head.type != IPC_START || s->role != c->role || s->slot != c->slot ||
        s->n_tags != m->head.n_fds) {
        for (unsigned i = 0; i < m->head.n_fds; i++)
            close(fds[i]);
        return err_set(e, "expected START for %s/%u, got %s", role_name(c->role), c->slot,
                       ipc_type_name(m->head.type));
    }
    c->incarnation = s->incarnation;
    c->generation = s->generation;
    c->n_workers = s->n_workers;
    c->reload = s->reload;
    c->master_pid = (pid_t)s->master_pid;
    snprintf(c->config_path, sizeof c->config_path, "%s", s->config_path);
    snprintf(c->state_dir, sizeof c->state_dir, "%s", s->state_dir);
    snprintf(c->runtime_dir, sizeof c->runtime_dir, "%s", s->runtime_dir);
    snprintf(c->by, sizeof c->by, "%s", s->by);
    for (unsigned i = 0; i < m->head.n_fds; i++)
        keep_fd(c, &s->tag[i], fds[i]);
    if (c->fd[IPC_FD_LOG] >= 0 || s->log.output == LOG_TO_JOURNAL)
        return log_open(c->fd[IPC_FD_LOG], s->log.output, s->log.format, s->log.level, e);
    return 0;
}

static int receive_start(struct child *c, struct errbuf *e)
{
    struct pollfd pfd = {.fd = c->ipc_fd, .events = POLLIN};
    struct ipc_msg m;
    int fds[IPC_MAX_FDS];
    int n = poll(&pfd, 1, START_TIMEOUT_MS);
    if (n <= 0)
        return err_set(e, "the master said nothing for %d s", START_TIMEOUT_MS / 1000);
    n = ipc_recv(c->ipc_fd, &m, fds);
    if (n == 0)
        return err_set(e, "not started by a gatewayd master");
    if (n < 0)
        return err_set_errno(e, "descriptor %d speaks no gatewayd IPC (--role is for the master)",
                             c->ipc_fd);
    return take_start(c, &m, fds, e);
}

static int map_control(struct child *c, struct errbuf *e)
{
    if (c->fd[IPC_FD_CONTROL] < 0)
        return 0;
    if (control_attach(c->fd[IPC_FD_CONTROL], &c->control_map, e) < 0)
        return -1;
    c->control = control_of(&c->control_map);
    if (c->role == ROLE_WORKER)
        c->self = &c->control->slot[c->slot];
    else if (c->role == ROLE_KEEPER)
        c->self = &c->control->slot[CONTROL_SLOT_KEEPER];
    if (c->self)
        log_set_drop_counter(&c->self->log_dropped);
    return 0;
}

int child_open(struct child *c, enum role role, unsigned slot)
{
    struct errbuf e;
    char who[32];
    *c = (struct child){.role = role, .slot = slot, .ipc_fd = IPC_FD};
    for (int k = 0; k < IPC_FD_KIND_COUNT; k++)
        c->fd[k] = -1;
    if (role == ROLE_WORKER)
        snprintf(who, sizeof who, "worker/%u", slot);
    else
        snprintf(who, sizeof who, "%s", role_name(role));
    log_init(who);
    close_range(IPC_FD + 1, ~0U, 0);
    fcntl(IPC_FD, F_SETFD, FD_CLOEXEC);
    if (receive_start(c, &e) < 0 || map_control(c, &e) < 0) {
        log_error("can't start", LOG_S("error", e.msg));
        return -1;
    }
    set_limits(c->master_pid);
    if (getppid() != c->master_pid) { /* died before PR_SET_PDEATHSIG */
        log_error("can't start", LOG_S("error", "the master is gone"));
        return -1;
    }
    if (role == ROLE_WORKER)
        title_set("worker %u", slot);
    else
        title_set("%s", who);
    return 0;
}

int child_attach(struct child *c, enum ipc_fd_kind kind, struct shm *out, struct errbuf *e)
{
    if (kind >= IPC_FD_KIND_COUNT || c->fd[kind] < 0)
        return err_set(e, "the master handed over no descriptor of kind %d", (int)kind);
    if (segment_attach(kind, c->fd[kind], out, e) < 0)
        return -1;
    c->fd[kind] = -1; /* the mapping owns it now */
    return 0;
}

/* ---- talking to the master ---- */

static void tell(struct child *c, enum ipc_type type, struct ipc_msg *m)
{
    if (ipc_send(c->ipc_fd, type, m, NULL, 0) == 0 || c->orphaned)
        return;
    if (errno == EPIPE || errno == ECONNRESET)
        return; /* EOF follows */
    log_error("can't tell the master", LOG_S("message", ipc_type_name(type)), LOG_ERRNO(errno));
    child_exit(c, CHILD_EXIT_FAULT);
}

void child_drained(struct child *c)
{
    struct ipc_msg m = {0};
    if (c->drained_sent)
        return;
    c->drained_sent = true;
    if (c->orphaned)
        child_exit(c, CHILD_EXIT_OK);
    else
        tell(c, IPC_DRAINED, &m);
}

void child_exit(struct child *c, int code)
{
    if (!c->exiting) {
        c->exiting = true;
        c->exit_code = code;
    }
    if (c->base)
        event_base_loopexit(c->base, NULL);
}

int child_request(struct child *c, uint32_t id, enum ipc_verb verb, int arg)
{
    struct ipc_msg m = {.request = {.id = id, .verb = verb, .arg = arg}};
    return ipc_send(c->ipc_fd, IPC_REQUEST, &m, NULL, 0);
}

/* ---- generations ---- */

static void close_listeners(struct child_build *b)
{
    for (size_t i = 0; i < b->n_listeners; i++)
        close(b->listener[i].fd);
    b->n_listeners = 0;
}

/* Loads what `b` names and lets the role build it. Whatever the outcome, nothing of b is left. */
static int build(struct child *c, struct child_build *b, int secrets_fd, struct errbuf *e)
{
    b->secrets = secrets_attach(secrets_fd, e);
    if (secrets_fd >= 0)
        close(secrets_fd);
    if (!b->secrets)
        goto fail;
    b->conf = confdb_load(c->confdb, b->generation, e);
    if (!b->conf)
        goto fail;
    if (c->ops->build(c, b, e) < 0)
        return -1;
    c->built_generation = b->generation;
    return 0;
fail:
    secrets_detach(b->secrets);
    close_listeners(b);
    return -1;
}

static void swap(struct child *c)
{
    if (!c->built_generation)
        return;
    c->generation = c->built_generation;
    c->built_generation = 0;
    c->ops->swap(c);
}

static void discard(struct child *c)
{
    if (c->built_generation)
        c->ops->discard(c);
    c->built_generation = 0;
}

static void on_build(struct child *c, const struct ipc_msg *m, int *fds)
{
    struct child_build b = {.generation = m->build.generation, .n_workers = m->build.n_workers};
    struct ipc_msg answer = {.built = {.generation = m->build.generation}};
    struct errbuf e = {.msg = ""};
    int secrets_fd = -1;
    discard(c);
    for (unsigned i = 0; i < m->head.n_fds; i++) {
        const struct ipc_fd_tag *tag = &m->build.tag[i];
        if (tag->kind == IPC_FD_SECRETS && secrets_fd < 0)
            secrets_fd = fds[i];
        else if (tag->kind == IPC_FD_LISTEN && b.n_listeners < IPC_MAX_LISTENERS)
            b.listener[b.n_listeners++] = (struct child_listener){
                .kind = tag->listen_kind, .index = tag->index, .fd = fds[i]};
        else
            close(fds[i]);
        fds[i] = -1;
    }
    answer.built.ok = build(c, &b, secrets_fd, &e) == 0;
    snprintf(answer.built.why, sizeof answer.built.why, "%s", answer.built.ok ? "" : e.msg);
    tell(c, IPC_BUILT, &answer);
}

/* ---- messages ---- */

static void on_reopen_log(struct child *c, const struct ipc_msg *m, int *fds)
{
    const struct ipc_log *l = &m->reopen_log.log;
    struct errbuf e;
    int fd = m->head.n_fds ? fds[0] : -1;
    if (log_open(fd, l->output, l->format, l->level, &e) < 0)
        log_error("can't reopen the log", LOG_S("error", e.msg));
    if (fd >= 0)
        close(fd);
    fds[0] = -1;
}

static void on_result(struct child *c, const struct ipc_result *r)
{
    if (!ipc_text_add(&c->result_text, &r->text))
        return;
    if (c->ops->result)
        c->ops->result(c, r->id, r->ok, c->result_text.data);
    ipc_text_release(&c->result_text);
}

static void drain(struct child *c, int64_t deadline_us)
{
    if (deadline_us > 0 && c->role == ROLE_WORKER)
        title_set("worker %u (draining)", c->slot);
    if (c->ops->drain)
        c->ops->drain(c, deadline_us);
    else if (deadline_us > 0)
        child_drained(c);
}

static void stop(struct child *c)
{
    if (c->ops->stop)
        c->ops->stop(c);
    else
        child_exit(c, CHILD_EXIT_OK);
}

static void dispatch(struct child *c, const struct ipc_msg *m, int *fds)
{
    switch (m->head.type) {
    case IPC_BUILD:
        on_build(c, m, fds);
        break;
    case IPC_SWAP:
        if (m->generation.generation == c->built_generation)
            swap(c);
        break;
    case IPC_DISCARD:
        discard(c);
        break;
    case IPC_DRAIN:
        drain(c, m->drain.deadline_us);
        break;
    case IPC_RESUME:
        if (c->ops->resume)
            c->ops->resume(c);
        break;
    case IPC_STOP:
        stop(c);
        break;
    case IPC_REOPEN_LOG:
        on_reopen_log(c, m, fds);
        break;
    case IPC_CHILD_DIED:
        if (c->ops->child_died)
            c->ops->child_died(c, &m->child_died);
        break;
    case IPC_RESULT:
        on_result(c, &m->result);
        break;
    default:
        log_error("the master sent what this role doesn't know",
                  LOG_S("message", ipc_type_name(m->head.type)));
        child_exit(c, CHILD_EXIT_FAULT);
    }
}

static void on_orphan_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct child *c = arg;
    log_warn("master is gone, leaving with work unfinished");
    child_exit(c, CHILD_EXIT_FAULT);
}

static void orphaned(struct child *c)
{
    if (c->orphaned)
        return;
    c->orphaned = true;
    event_del(c->ipc_event);
    int64_t grace_us = CHILD_ORPHAN_US;
    log_warn("master is gone", LOG_I("grace_ms", grace_us / 1000));
    if (!c->ops->orphaned || c->exiting) {
        child_exit(c, CHILD_EXIT_FAULT);
        return;
    }
    /* A little beyond the role's own deadline: it cuts what is left in order. */
    int64_t hard_us = grace_us + 500 * 1000;
    if (c->role == ROLE_KEEPER)
        hard_us += ORPHAN_KEEPER_EXTRA_US;
    struct timeval tv = {.tv_sec = hard_us / 1000000, .tv_usec = hard_us % 1000000};
    event_base_once(c->base, -1, EV_TIMEOUT, on_orphan_deadline, c, &tv);
    c->ops->orphaned(c, clock_mono_us() + grace_us);
}

static void on_ipc(evutil_socket_t sock, short what, void *arg)
{
    struct child *c = arg;
    struct ipc_msg m;
    int fds[IPC_MAX_FDS];
    for (int rounds = 0; rounds < 16 && !c->exiting; rounds++) {
        int n = ipc_recv(sock, &m, fds);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            orphaned(c);
            return;
        }
        dispatch(c, &m, fds);
    }
}

static void on_term(evutil_socket_t sig, short what, void *arg)
{
    struct child *c = arg;
    if (getppid() != c->master_pid)
        orphaned(c);
}

static void on_beat(evutil_socket_t fd, short what, void *arg)
{
    struct child *c = arg;
    if (c->self)
        atomic_store_explicit(&c->self->heartbeat_us, (uint64_t)clock_mono_us(),
                              memory_order_relaxed);
    log_flush(); /* a sink that was blocked when the last line came */
}

/* ---- the loop ---- */

/* The exit code that a failure calls for; CHILD_EXIT_OK: it is built. */
static int first_generation(struct child *c, struct errbuf *e)
{
    c->first.generation = c->generation;
    c->first.n_workers = c->n_workers;
    int secrets_fd = c->fd[IPC_FD_SECRETS];
    c->fd[IPC_FD_SECRETS] = -1;
    c->confdb = confdb_open(c->state_dir, 0, e);
    if (!c->confdb || (c->ops->start && c->ops->start(c, e) < 0)) {
        close(secrets_fd);
        close_listeners(&c->first);
        return CHILD_EXIT_FAULT;
    }
    return build(c, &c->first, secrets_fd, e) < 0 ? CHILD_EXIT_CONFIG : CHILD_EXIT_OK;
}

int child_run(struct child *c, const struct child_ops *ops, void *arg)
{
    static const struct timeval beat = {.tv_usec = CHILD_HEARTBEAT_US};
    struct errbuf e = {.msg = ""};
    struct ipc_msg ready;
    c->ops = ops;
    c->arg = arg;
    c->base = event_base_new();
    GW_REQUIRE(c->base);
    evutil_make_socket_nonblocking(c->ipc_fd);
    c->ipc_event = event_new(c->base, c->ipc_fd, EV_READ | EV_PERSIST, on_ipc, c);
    c->beat_event = event_new(c->base, -1, EV_PERSIST, on_beat, c);
    c->term_event = evsignal_new(c->base, SIGTERM, on_term, c);
    GW_REQUIRE(c->ipc_event && c->beat_event && c->term_event);
    event_add(c->term_event, NULL);
    on_beat(-1, 0, c);
    int failed = first_generation(c, &e);
    if (failed) {
        log_error("can't serve the configuration", LOG_U("generation", c->generation),
                  LOG_S("error", e.msg));
        return failed;
    }
    swap(c);
    event_add(c->ipc_event, NULL);
    event_add(c->beat_event, &beat);
    on_beat(-1, 0, c);
    ready = (struct ipc_msg){.generation.generation = c->generation};
    tell(c, IPC_READY, &ready);
    if (!c->exiting)
        event_base_dispatch(c->base);
    log_flush();
    return c->exit_code;
}
