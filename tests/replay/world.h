/*
 * world.h: a whole worker in this process, on a clock that stands still.
 *
 * The worker's own code runs unchanged from worker_main() on; what is replaced is the child side of
 * supervision (gatewayd/child.h): child_run() here builds one generation through the loader, starts
 * the worker and hands over to world_script(). Sockets are real and on loopback; time moves only by
 * world_advance(). Waiting for something (world_wait) turns the loop until it is there or, after a
 * generous real time, fails: nothing sleeps for a while and hopes.
 */
#ifndef GW_TESTS_REPLAY_WORLD_H
#define GW_TESTS_REPLAY_WORLD_H

#include "common/log.h"
#include "gatewayd/loader/loader.h"
#include "gatewayd/segments.h"
#include "gatewayd/worker/worker.h"
#include "tests/unit/tmpdir.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    WORLD_START_US = 1000000000,
    WORLD_PATIENCE_S = 10, /* real time */
    WORLD_TURNS = 12,      /* of the loop, to let all that is ready happen */
};
#define WORLD_WALL_US INT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */

struct world {
    char dir[256];
    char log_path[300];
    struct segments segs;
    struct child child;
    struct worker *w;
    const struct child_ops *ops;
    int listen_fd;
    uint16_t listen_port;
    int64_t now_us;
    size_t buffered_peak;
    bool drained, left;
    char why[512]; /* what went wrong while it was set up */
};

static struct world world;

/* The part that differs: runs while the worker is up. */
static void world_script(void);

/* A socket that is bound to a free port of 127.0.0.1, listening or (refusing everything) not. */
static int world_bind(bool listening, uint16_t *port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sin;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof sin) < 0 ||
        (listening && listen(fd, 64) < 0) || getsockname(fd, (struct sockaddr *)&sin, &len) < 0)
        abort();
    *port = ntohs(sin.sin_port);
    return fd;
}

/* ---- time and events ---- */

static void world_turn(void)
{
    for (int i = 0; i < WORLD_TURNS; i++) {
        event_base_loop(world.child.base, EVLOOP_NONBLOCK);
        world.buffered_peak = GW_MAX(world.buffered_peak, world.w->buffered_bytes);
    }
}

static void world_set_clock(int64_t us)
{
    world.now_us = us;
    clock_fake_set(us, WORLD_WALL_US + us - WORLD_START_US);
}

/* Timers fire one after the other, each at its own time. */
static void world_advance(int64_t by_us)
{
    int64_t until = world.now_us + by_us;
    world_turn();
    while (world.now_us < until) {
        int64_t step = wheel_next_us(&world.w->wheel, world.now_us);
        if (step < 1)
            step = step < 0 ? until - world.now_us : 1;
        world_set_clock(GW_MIN(world.now_us + step, until));
        event_active(world.w->wheel_event, EV_TIMEOUT, 0);
        world_turn();
    }
}

/* True once done() says so. */
static bool world_wait(bool (*done)(void *arg), void *arg)
{
    struct timespec began, now;
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (;;) {
        world_turn();
        if (done(arg))
            return true;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - began.tv_sec > WORLD_PATIENCE_S)
            return false;
        poll(NULL, 0, 1);
    }
}

/* ---- in place of gatewayd/child.c ---- */

void child_exit(struct child *c, int code)
{
    world.left = true;
    c->exit_code = code;
}

void child_drained(struct child *c)
{
    world.drained = true;
}

static int world_load(struct child_build *b, struct errbuf *e)
{
    char path[300];
    struct loader l;
    int fd = -1;
    loader_init(&l);
    snprintf(path, sizeof path, "%s/gatewayd.ini", world.dir);
    const char *running_dir = world.w->current ? world.dir : NULL;
    if (loader_read(&l, path) < 0 || loader_gather(&l, running_dir, NULL) < 0 ||
        loader_write(&l, "replay", &fd) < 0) {
        char *text = loader_error_text(&l);
        err_set(e, "%s", text);
        free(text);
    } else {
        b->generation = l.generation;
        b->secrets = secrets_attach(fd, e);
        b->conf = confdb_load(l.db, l.generation, e);
    }
    if (fd >= 0)
        close(fd);
    loader_fini(&l);
    return b->conf && b->secrets ? 0 : -1;
}

int child_run(struct child *c, const struct child_ops *ops, void *arg)
{
    struct errbuf e = {""};
    struct child_build b = {.n_workers = 1, .n_listeners = 1};
    world.w = arg;
    world.ops = ops;
    c->ops = ops;
    c->arg = arg;
    c->base = event_base_new();
    b.listener[0] = (struct child_listener){.kind = LISTEN_DATA, .fd = dup(world.listen_fd)};
    if (world_load(&b, &e) < 0 || ops->start(c, &e) < 0 || ops->build(c, &b, &e) < 0) {
        snprintf(world.why, sizeof world.why, "%s", e.msg);
        return CHILD_EXIT_CONFIG;
    }
    ops->swap(c);
    world_script();
    return CHILD_EXIT_OK;
}

/* ---- beginning and end ---- */

/* dir: empty, and its maker's to remove. */
static void world_open(const char *dir)
{
    world = (struct world){.child.slot = 0};
    snprintf(world.dir, sizeof world.dir, "%s", dir);
    world.listen_fd = world_bind(true, &world.listen_port);
    world_set_clock(WORLD_START_US);
}

static void world_write_config(const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/gatewayd.ini", world.dir);
    FILE *f = fopen(path, "w");
    if (!f)
        abort();
    fprintf(f,
            "[gateway]\nlisten = 127.0.0.1:%u\nadmin = unix:%s/admin.sock\nstate_dir = %s\n"
            "runtime_dir = %s\nworkers = 1\n%s%s",
            world.listen_port, world.dir, world.dir, world.dir,
            strstr(text, "auth = keys") ? "" : "auth = open\n", text);
    fclose(f);
}

static void world_open_log(void)
{
    struct errbuf e;
    snprintf(world.log_path, sizeof world.log_path, "%s/log", world.dir);
    int fd = open(world.log_path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || log_open(fd, LOG_TO_FILE, LOG_FORMAT_JSON, LOG_LEVEL_DEBUG, &e) < 0)
        abort();
    close(fd);
}

/* Starts the worker, runs world_script(), ends. False: it could not be set up, see world.why. */
static bool world_run(void)
{
    struct errbuf e = {""};
    struct child *c = &world.child;
    if (segments_open(world.dir, 1, &world.segs, &e) < 0) {
        snprintf(world.why, sizeof world.why, "%s", e.msg);
        return false;
    }
    world_open_log();
    c->role = ROLE_WORKER;
    c->incarnation = 1;
    c->n_workers = 1;
    snprintf(c->state_dir, sizeof c->state_dir, "%s", world.dir);
    for (int k = 0; k < IPC_FD_KIND_COUNT; k++)
        c->fd[k] = -1;
    c->fd[IPC_FD_MONEY] = dup(world.segs.money.fd);
    c->fd[IPC_FD_DNS] = dup(world.segs.dns.fd);
    c->fd[IPC_FD_OBJECTS] = dup(world.segs.objects.fd);
    c->fd[IPC_FD_TOKENS] = dup(world.segs.tokens.fd);
    c->control = control_of(&world.segs.control);
    c->self = &c->control->slot[0];
    worker_main(c);
    event_base_free(c->base);
    return world.why[0] == 0;
}

static void world_close(void)
{
    segments_close(&world.segs);
    close(world.listen_fd);
    clock_fake_set(-1, -1);
}

#endif
