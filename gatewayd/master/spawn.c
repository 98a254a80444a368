/*
 * spawn.c: making and reaping processes.
 *
 * A child is this very binary, executed through a descriptor that was opened when the master
 * started, with the IPC socket at descriptor 3 and nothing else open but 0, 1 and 2.
 */
#include "gatewayd/master/master.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EOF_GRACE_US = 2 * 1000 * 1000 };

void proc_init(struct proc *p, struct master *m, enum role role, unsigned slot)
{
    *p = (struct proc){.m = m, .role = role, .slot = slot, .ipc = -1};
}

void proc_set_state(struct proc *p, enum child_state state)
{
    p->state = state;
    if (p->ctl)
        atomic_store(&p->ctl->state, (uint32_t)state);
}

/* Names of the variables that workers and keeper need to come to the same configuration as the
 * loader (conf_credential.c reads those of the clouds; none of them is a secret). Provider secrets
 * come by environment variables too, and those are the loader's alone. */
static bool may_inherit(const char *variable)
{
    static const char *const names[] = {"PATH=",
                                        "HOME=",
                                        "LANG=",
                                        "TZ=",
                                        "HTTP_PROXY=",
                                        "HTTPS_PROXY=",
                                        "NO_PROXY=",
                                        "http_proxy=",
                                        "https_proxy=",
                                        "no_proxy=",
                                        "AWS_ACCESS_KEY_ID=",
                                        "AWS_CONTAINER_CREDENTIALS_FULL_URI=",
                                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=",
                                        "AZURE_CLIENT_ID=",
                                        "AZURE_TENANT_ID=",
                                        "AZURE_AUTHORITY_HOST=",
                                        "AZURE_FEDERATED_TOKEN_FILE=",
                                        "ASAN_OPTIONS=",
                                        "UBSAN_OPTIONS=",
                                        "LSAN_OPTIONS=",
                                        "TSAN_OPTIONS=",
                                        "GATEWAYD_FAULT="};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static char **child_environment(enum role role)
{
    size_t n = 0, kept = 0;
    while (environ[n])
        n++;
    char **env = gw_xcalloc(n + 1, sizeof *env);
    for (size_t i = 0; i < n; i++)
        if (role == ROLE_LOADER || may_inherit(environ[i]))
            env[kept++] = environ[i];
    return env;
}

GW_NORETURN static void exec_child(const struct proc *p, int sock, char **env)
{
    char role[32], slot[32];
    snprintf(role, sizeof role, "--role=%s", role_name(p->role));
    snprintf(slot, sizeof slot, "--slot=%u", p->slot);
    char name[] = "gatewayd: a child of the master, starting up"; /* room for the title */
    char *argv[] = {name, role, slot, NULL};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (sock == IPC_FD)
        fcntl(sock, F_SETFD, 0);
    else if (dup2(sock, IPC_FD) < 0)
        _exit(CHILD_EXIT_FAULT);
    fexecve(p->m->self_fd, argv, env);
    _exit(CHILD_EXIT_FAULT);
}

size_t proc_add_generation(const struct proc *p, const struct generation *g, struct ipc_fd_tag *tag,
                           int *fds, size_t n)
{
    tag[n] = (struct ipc_fd_tag){.kind = IPC_FD_SECRETS};
    fds[n++] = g->secrets_fd;
    for (size_t i = 0; i < g->listeners.n; i++) {
        const struct listener *l = &g->listeners.v[i];
        if ((l->spec.kind == LISTEN_DATA) != (p->role == ROLE_WORKER))
            continue;
        tag[n] = (struct ipc_fd_tag){
            .kind = IPC_FD_LISTEN, .listen_kind = l->spec.kind, .index = l->spec.index};
        fds[n++] = l->fd;
    }
    return n;
}

static size_t add_segments(const struct proc *p, struct ipc_fd_tag *tag, int *fds)
{
    const struct master *m = p->m;
    const struct {
        enum ipc_fd_kind kind;
        int fd;
    } all[] = {{IPC_FD_MONEY, m->segments.money.fd},   {IPC_FD_CONTROL, m->segments.control.fd},
               {IPC_FD_DNS, m->segments.dns.fd},       {IPC_FD_LOG, m->log_fd},
               {IPC_FD_LEDGER_WAKE, m->ledger_wake},   {IPC_FD_INSTANCE, m->runtime_lock},
               {IPC_FD_TOKENS, m->segments.tokens.fd}, {IPC_FD_OBJECTS, m->segments.objects.fd},
               {IPC_FD_OBJECTS_WAKE, m->objects_wake}};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        /* The loader needs the log; the rest isn't its business. */
        if (all[i].fd < 0 || (p->role == ROLE_LOADER && all[i].kind != IPC_FD_LOG))
            continue;
        tag[n] = (struct ipc_fd_tag){.kind = (uint8_t)all[i].kind};
        fds[n++] = all[i].fd;
    }
    return n;
}

/* The generation that a child starts with: the active one, or at the first start the next. */
static const struct generation *start_generation(const struct master *m)
{
    return m->active.number ? &m->active : &m->change.next;
}

static void send_start(struct proc *p)
{
    struct master *m = p->m;
    struct ipc_msg msg;
    int fds[IPC_MAX_FDS];
    memset(&msg, 0, sizeof msg);
    struct ipc_start *s = &msg.start;
    s->role = (uint8_t)p->role;
    s->slot = (uint16_t)p->slot;
    s->reload = m->active.number != 0;
    s->master_pid = (uint32_t)getpid();
    s->incarnation = p->incarnation;
    s->log = m->log;
    snprintf(s->config_path, sizeof s->config_path, "%s", m->config_path);
    snprintf(s->state_dir, sizeof s->state_dir, "%s", m->state_dir);
    snprintf(s->runtime_dir, sizeof s->runtime_dir, "%s", m->runtime_dir);
    size_t n = add_segments(p, s->tag, fds);
    if (p->role == ROLE_LOADER) {
        s->generation = m->active.number;
        if (m->active.number) { /* what didn't change is taken from it */
            s->tag[n] = (struct ipc_fd_tag){.kind = IPC_FD_SECRETS};
            fds[n++] = m->active.secrets_fd;
        }
        snprintf(s->by, sizeof s->by, "%s", m->change.by);
    } else {
        const struct generation *g = start_generation(m);
        s->generation = p->started_with = g->number;
        s->n_workers = g->prepared.n_workers;
        n = proc_add_generation(p, g, s->tag, fds, n);
    }
    s->n_tags = (uint16_t)n;
    proc_send(p, IPC_START, &msg, fds, n);
}

/* Never used twice within a boot: the money segment outlives a master. */
static uint64_t new_incarnation(struct master *m)
{
    m->last_incarnation = GW_MAX(m->last_incarnation + 1, (uint64_t)clock_mono_us());
    return m->last_incarnation;
}

static void read_messages(struct proc *p)
{
    struct ipc_msg msg;
    int fds[IPC_MAX_FDS];
    while (p->ipc >= 0) {
        int n = ipc_recv(p->ipc, &msg, fds);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            if (n < 0)
                proc_kill(p, "it sent a malformed message");
            event_del(p->ipc_event);
            if (p->kill_at_us == 0) /* it is about to end; if not, it is ended */
                p->kill_at_us = clock_mono_us() + EOF_GRACE_US;
            return;
        }
        unsigned n_fds = msg.head.n_fds;
        if (p->role == ROLE_LOADER)
            change_on_message(p->m, &msg, fds);
        else
            children_on_message(p, &msg);
        for (unsigned i = 0; i < n_fds; i++)
            if (fds[i] >= 0)
                close(fds[i]);
    }
}

static void on_ipc(evutil_socket_t fd, short what, void *arg)
{
    read_messages(arg);
}

static void show(struct proc *p)
{
    struct control_slot *s = p->ctl;
    if (!s)
        return;
    atomic_store(&s->role, (uint32_t)p->role);
    atomic_store(&s->connections, 0);
    atomic_store(&s->inflight, 0);
    atomic_store(&s->requests_total, 0);
    atomic_store(&s->accepted_total, 0);
    atomic_store(&s->buffered_bytes, 0);
    atomic_store(&s->generation, 0);
    atomic_store(&s->heartbeat_us, (uint64_t)p->started_us);
    atomic_store(&s->started_us, (uint64_t)p->started_us);
    atomic_store(&s->pid, (uint32_t)p->pid);
    atomic_store(&s->incarnation, p->incarnation);
}

int proc_spawn(struct proc *p)
{
    int pair[2] = {-1, -1};
    char **env = child_environment(p->role);
    GW_REQUIRE(p->pid == 0);
    pid_t pid = ipc_pair(pair) < 0 ? -1 : fork();
    if (pid == 0)
        exec_child(p, pair[1], env);
    int err = errno;
    free(env);
    if (pair[1] >= 0)
        close(pair[1]);
    if (pid < 0) {
        log_error("can't start a process", LOG_S("role", role_name(p->role)), LOG_ERRNO(err));
        if (pair[0] >= 0)
            close(pair[0]);
        return -1;
    }
    p->pid = pid;
    p->ipc = pair[0];
    p->incarnation = new_incarnation(p->m);
    p->started_us = clock_mono_us();
    p->generation = p->building = p->built = 0;
    p->kill_at_us = p->killed_us = 0;
    p->restart = false;
    fcntl(p->ipc, F_SETFL, O_NONBLOCK);
    p->ipc_event = event_new(p->m->base, p->ipc, EV_READ | EV_PERSIST, on_ipc, p);
    GW_REQUIRE(p->ipc_event);
    event_add(p->ipc_event, NULL);
    show(p);
    proc_set_state(p, CHILD_STARTING);
    send_start(p);
    return 0;
}

void proc_send(struct proc *p, enum ipc_type type, struct ipc_msg *msg, const int *fds, size_t n)
{
    if (p->ipc < 0 || ipc_send(p->ipc, type, msg, fds, n) == 0)
        return;
    if (errno == EAGAIN)
        proc_kill(p, "it doesn't read its messages");
    else if (errno != EPIPE && errno != ECONNRESET) /* those: its end is on the way */
        proc_kill(p, strerrordesc_np(errno));
}

void proc_send_generation(struct proc *p, enum ipc_type type, uint64_t generation)
{
    struct ipc_msg msg = {.generation.generation = generation};
    proc_send(p, type, &msg, NULL, 0);
}

void proc_kill(struct proc *p, const char *why)
{
    if (p->pid == 0)
        return;
    log_error("killing a child", LOG_S("role", role_name(p->role)), LOG_U("slot", p->slot),
              LOG_I("child_pid", p->pid), LOG_S("why", why));
    p->killed_us = clock_mono_us();
    kill(p->pid, SIGKILL);
}

static void log_exit(const struct proc *p, int status, bool expected)
{
    enum log_level level = !expected                ? LOG_LEVEL_WARN
                           : p->role == ROLE_LOADER ? LOG_LEVEL_DEBUG
                                                    : LOG_LEVEL_INFO;
    LOG_AT(level, "child is gone", LOG_S("role", role_name(p->role)), LOG_U("slot", p->slot),
           LOG_I("child_pid", p->pid),
           LOG_IF(WIFEXITED(status), LOG_I("exit", WEXITSTATUS(status))),
           LOG_IF(WIFSIGNALED(status), LOG_S("signal", sigabbrev_np(WTERMSIG(status)))),
           LOG_I("uptime_ms", (clock_mono_us() - p->started_us) / 1000));
}

static struct proc *find_pid(struct master *m, pid_t pid)
{
    if (m->keeper.pid == pid)
        return &m->keeper;
    if (m->loader.pid == pid)
        return &m->loader;
    for (unsigned i = 0; i < CONTROL_MAX_WORKERS; i++)
        if (m->worker[i].pid == pid)
            return &m->worker[i];
    return NULL;
}

static void gone(struct proc *p, int status)
{
    bool expected = p->state == CHILD_STOPPING || p->role == ROLE_LOADER;
    read_messages(p); /* what it still had to say */
    log_exit(p, status, expected && !WIFSIGNALED(status));
    event_free(p->ipc_event);
    close(p->ipc);
    p->ipc_event = NULL;
    p->ipc = -1;
    if (p->ctl) {
        atomic_store(&p->ctl->last_exit, (uint32_t)status);
        atomic_store(&p->ctl->last_exit_us, (uint64_t)clock_mono_us());
        atomic_store(&p->ctl->connections, 0);
        atomic_store(&p->ctl->inflight, 0);
        atomic_store(&p->ctl->pid, 0);
        atomic_store(&p->ctl->incarnation, 0);
    }
    if (p->role == ROLE_LOADER) {
        p->pid = 0;
        proc_set_state(p, CHILD_NONE);
        change_on_loader_exit(p->m, status);
    } else {
        children_on_exit(p, status);
    }
}

void proc_reap_all(struct master *m)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        struct proc *p = find_pid(m, pid);
        if (p)
            gone(p, status);
    }
}
