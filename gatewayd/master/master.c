/*
 * master.c: start-up, signals, the tick, and the way out.
 *
 * The way out: workers drain until `drain_timeout` and leave one by one, then the keeper writes the
 * rest of the ledger and leaves, then the master. A second TERM leaves no time to drain.
 */
#include "gatewayd/master/master.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"
#include "gatewayd/title.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TICK_US = 100 * 1000,
    NOTIFY_US = 1000 * 1000,
    EXTEND_US = 10 * 1000 * 1000, /* asked of systemd once a NOTIFY_US while draining */
    STOP_NOW_US = 2 * 1000 * 1000,
    STOP_KEEPER_US = 30 * 1000 * 1000, /* a slow disk may hold the last commit */
};

void master_each_child(struct master *m, void (*fn)(struct proc *p))
{
    if (m->keeper.pid)
        fn(&m->keeper);
    for (unsigned i = 0; i < CONTROL_MAX_WORKERS; i++)
        if (m->worker[i].pid)
            fn(&m->worker[i]);
}

bool master_is_leaving(const struct master *m)
{
    return m->phase >= PHASE_DRAINING;
}

/* ---- the way out ---- */

static bool any_worker(const struct master *m)
{
    for (unsigned i = 0; i < CONTROL_MAX_WORKERS; i++)
        if (m->worker[i].pid)
            return true;
    return false;
}

static void check_end(struct master *m)
{
    if (m->phase == PHASE_DRAINING && !any_worker(m)) {
        m->phase = PHASE_ENDING;
        children_stop(&m->keeper, STOP_KEEPER_US);
    }
    if (m->phase == PHASE_ENDING && m->keeper.pid == 0 && m->loader.pid == 0)
        event_base_loopexit(m->base, NULL);
}

static void stop_now(struct proc *p)
{
    if (p->role == ROLE_WORKER)
        children_stop(p, STOP_NOW_US);
}

static void drain_one(struct proc *p)
{
    if (p->role == ROLE_WORKER)
        children_drain(p, p->m->drain_deadline_us);
}

static void begin_to_leave(struct master *m)
{
    sdnotify_send("STOPPING=1\nSTATUS=Draining");
    m->phase = PHASE_DRAINING;
    change_abandon(m);
    if (m->control)
        atomic_store(&m->control->draining, 2);
    listen_close(&m->active.listeners, LISTEN_DATA);
}

void master_fail(struct master *m, int code)
{
    m->exit_code = code;
    begin_to_leave(m);
    master_each_child(m, stop_now);
    check_end(m);
}

void master_stop(struct master *m)
{
    if (m->phase == PHASE_STARTING) {
        log_info("stopping before the start was through");
        master_fail(m, EXIT_SUCCESS);
    } else if (m->phase == PHASE_RUNNING) {
        int64_t timeout_us = m->active.prepared.drain_timeout_us;
        log_info("draining", LOG_I("drain_timeout_ms", timeout_us / 1000));
        title_set("master (draining) %s", m->config_path);
        begin_to_leave(m);
        m->drain_deadline_us = clock_mono_us() + timeout_us;
        master_each_child(m, drain_one);
        check_end(m);
    } else {
        log_warn("stopping at once");
        master_each_child(m, stop_now);
    }
}

/* ---- on request ---- */

static void announce_one(struct proc *p)
{
    struct ipc_msg msg;
    memset(&msg, 0, sizeof msg);
    if (p->state == CHILD_READY)
        proc_send(p, p->m->announced ? IPC_DRAIN : IPC_RESUME, &msg, NULL, 0);
}

void master_drain_announce(struct master *m, bool on)
{
    log_info("drain", LOG_B("announced", on));
    m->announced = on;
    atomic_store(&m->control->draining, on ? 1 : 0);
    master_each_child(m, announce_one);
}

static void send_log(struct proc *p)
{
    struct ipc_msg msg;
    memset(&msg, 0, sizeof msg);
    msg.reopen_log.log = p->m->log;
    proc_send(p, IPC_REOPEN_LOG, &msg, &p->m->log_fd, p->m->log_fd >= 0);
}

int master_reopen_log(struct master *m, const struct ipc_log *log, struct errbuf *e)
{
    int fd = log_sink_open((enum log_output)log->output, log->path, e);
    if (fd < 0 && (log->output != LOG_TO_JOURNAL || errno != 0))
        return -1;
    if (log_open(fd, (enum log_output)log->output, (enum log_format)log->format,
                 (enum log_level)log->level, e) < 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (m->log_fd >= 0)
        close(m->log_fd);
    m->log_fd = fd;
    m->log = *log;
    master_each_child(m, send_log);
    return 0;
}

/* ---- signals and the tick ---- */

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
    struct master *m = arg;
    struct errbuf e;
    switch (sig) {
    case SIGCHLD:
        proc_reap_all(m);
        check_end(m);
        break;
    case SIGHUP:
        if (m->phase == PHASE_RUNNING)
            change_request(m, "SIGHUP", NULL);
        break;
    case SIGUSR1:
        if (m->control && master_reopen_log(m, &m->log, &e) < 0)
            log_error("can't reopen the log", LOG_S("error", e.msg));
        break;
    default:
        master_stop(m);
    }
}

static void notify(struct master *m, int64_t now_us)
{
    if (now_us < m->next_notify_us)
        return;
    int64_t watchdog_us = sdnotify_watchdog_us();
    m->next_notify_us =
        now_us + (watchdog_us ? GW_MIN(watchdog_us / 3, (int64_t)NOTIFY_US) : (int64_t)NOTIFY_US);
    if (watchdog_us && children_beat(m, now_us))
        sdnotify_send("WATCHDOG=1");
    if (m->phase == PHASE_STARTING || master_is_leaving(m))
        sdnotify_send("EXTEND_TIMEOUT_USEC=%d", EXTEND_US);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct master *m = arg;
    int64_t now_us = clock_mono_us();
    children_check(m, now_us);
    change_check(m, now_us);
    notify(m, now_us);
    check_end(m);
    log_flush();
}

/* ---- start ---- */

/* A daemon started with 0, 1 or 2 closed would get a socket there. */
static void fill_standard_fds(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static void set_limits(void)
{
    struct rlimit files, none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    umask(027);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
}

static void set_events(struct master *m)
{
    static const int signals[] = {SIGCHLD, SIGHUP, SIGUSR1, SIGTERM, SIGINT};
    static const struct timeval tick = {.tv_usec = TICK_US};
    m->base = event_base_new();
    GW_REQUIRE(m->base);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        m->signal_event[i] = evsignal_new(m->base, signals[i], on_signal, m);
        GW_REQUIRE(m->signal_event[i]);
        event_add(m->signal_event[i], NULL);
    }
    m->tick_event = event_new(m->base, -1, EV_PERSIST, on_tick, m);
    GW_REQUIRE(m->tick_event);
    event_add(m->tick_event, &tick);
    m->last_tick_us = clock_mono_us();
}

/* Above IPC_FD, which is written over before the descriptor is executed. */
static int open_self(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int high = fcntl(fd, F_DUPFD_CLOEXEC, IPC_FD + 1);
    close(fd);
    return high;
}

static void init(struct master *m, const char *config_path)
{
    *m = (struct master){.config_path = config_path,
                         .state_lock = -1,
                         .runtime_lock = -1,
                         .log_fd = -1,
                         .active.secrets_fd = -1,
                         .change.next.secrets_fd = -1};
    m->segments = (struct segments){
        .control.fd = -1, .money.fd = -1, .dns.fd = -1, .objects.fd = -1, .tokens.fd = -1};
    m->log.format = LOG_FORMAT_TEXT;
    m->log.level = LOG_LEVEL_INFO;
    m->pool.n = sdnotify_listen_fds(m->pool.v);
    m->self_fd = open_self();
    m->ledger_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    m->objects_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    GW_REQUIRE(m->self_fd >= 0 && m->ledger_wake >= 0 && m->objects_wake >= 0);
    proc_init(&m->keeper, m, ROLE_KEEPER, 0);
    proc_init(&m->loader, m, ROLE_LOADER, 0);
    for (unsigned i = 0; i < CONTROL_MAX_WORKERS; i++)
        proc_init(&m->worker[i], m, ROLE_WORKER, i);
}

int master_main(const char *config_path)
{
    static struct master master; /* large */
    struct master *m = &master;
    fill_standard_fds();
    log_init("master");
    title_set("master %s", config_path);
    sdnotify_init();
    set_limits();
    init(m, config_path);
    set_events(m);
    change_request(m, "start", NULL);
    event_base_dispatch(m->base);
    listen_close(&m->active.listeners, LISTEN_ADMIN);
    listen_close(&m->active.listeners, LISTEN_METRICS);
    if (m->control)
        log_info("stopped", LOG_I("exit", m->exit_code));
    log_flush();
    return m->exit_code;
}
