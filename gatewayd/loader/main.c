/*
 * main.c: the loader process: the steps of loader.h, told to the master over IPC.
 *
 * Blocking calls all the way: the process has nothing else to do. When the master goes away it
 * leaves; the generation that it may have written is inactive and goes with the next load.
 */
#include "common/check.h"
#include "common/log.h"
#include "gatewayd/child.h"
#include "gatewayd/loader/loader.h"

#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int failed(struct loader *l, const char *what)
{
    conf_errors_add(&l->errs, slice_of(NULL, 0), 0, "%s", what);
    return -1;
}

static int copy_path(struct loader *l, struct slice from, char out[IPC_PATH_BYTES])
{
    if (from.n >= IPC_PATH_BYTES)
        return failed(l, "a path of the configuration has more than 511 bytes");
    if (from.n)
        memcpy(out, from.p, from.n);
    out[from.n] = '\0';
    return 0;
}

static int send_dirs(struct child *c, struct loader *l)
{
    struct ipc_msg m = {0};
    if (copy_path(l, l->conf->gateway.state_dir, m.dirs.state_dir) < 0 ||
        copy_path(l, l->conf->gateway.runtime_dir, m.dirs.runtime_dir) < 0)
        return -1;
    if (ipc_send(c->ipc_fd, IPC_DIRS, &m, NULL, 0) < 0)
        return failed(l, "the master is gone");
    return 0;
}

/* The next message, which must be one of two. IPC_NONE: the master is gone or confused. */
static enum ipc_type await(struct child *c, enum ipc_type one, enum ipc_type other)
{
    struct ipc_msg m;
    int fds[IPC_MAX_FDS];
    if (ipc_recv(c->ipc_fd, &m, fds) != 1)
        return IPC_NONE;
    for (unsigned i = 0; i < m.head.n_fds; i++)
        close(fds[i]);
    return m.head.type == one || m.head.type == other ? (enum ipc_type)m.head.type : IPC_NONE;
}

static uint16_t count_workers(const struct conf *conf)
{
    cpu_set_t cpus;
    int64_t n = conf->gateway.workers;
    if (n == 0 && sched_getaffinity(0, sizeof cpus, &cpus) == 0)
        n = CPU_COUNT(&cpus);
    return (uint16_t)GW_MIN(GW_MAX(n, 1), CONF_WORKERS_MAX);
}

static void add_listeners(struct ipc_prepared *p, const struct conf_listeners *list,
                          enum listen_kind kind, int32_t gid)
{
    for (uint32_t i = 0; i < list->n; i++) {
        struct ipc_listen *l = &p->listener[p->n_listeners++];
        *l = (struct ipc_listen){.kind = (uint8_t)kind,
                                 .index = (uint16_t)i,
                                 .addr_len = list->v[i].addr_len,
                                 .mode = kind == LISTEN_ADMIN ? 0660 : 0666,
                                 .gid = kind == LISTEN_ADMIN ? gid : -1};
        memcpy(&l->addr, &list->v[i].addr, list->v[i].addr_len);
    }
}
_Static_assert(LISTEN_KIND_COUNT *CONF_LISTENERS_MAX <= IPC_MAX_LISTENERS, "all listeners fit");

static int find_group(struct loader *l, int32_t *gid)
{
    struct slice name = l->conf->admin.group;
    char text[512];
    *gid = -1;
    if (!name.n)
        return 0;
    const struct group *g = getgrnam(name.p);
    if (!g) {
        snprintf(text, sizeof text, "[admin] group: there is no group `%.*s`",
                 (int)GW_MIN(name.n, (size_t)255), name.p);
        return failed(l, text);
    }
    *gid = (int32_t)g->gr_gid;
    return 0;
}

static int describe(struct loader *l, struct ipc_prepared *p)
{
    const struct conf *conf = l->conf;
    int32_t gid;
    if (find_group(l, &gid) < 0)
        return -1;
    *p = (struct ipc_prepared){.n_workers = count_workers(conf),
                               .drain_timeout_us = conf->gateway.drain_timeout_us,
                               .log = {.output = (uint8_t)conf->log.output,
                                       .format = (uint8_t)conf->log.format,
                                       .level = (uint8_t)conf->log.level}};
    add_listeners(p, &conf->gateway.listen, LISTEN_DATA, gid);
    add_listeners(p, &conf->gateway.admin, LISTEN_ADMIN, gid);
    add_listeners(p, &conf->gateway.metrics, LISTEN_METRICS, gid);
    return copy_path(l, conf->log.file_path, p->log.path);
}

static int gather(struct child *c, struct loader *l)
{
    struct secrets *running = NULL;
    struct errbuf why;
    int fd = c->fd[IPC_FD_SECRETS];
    if (c->reload && !slice_eq_str(l->conf->gateway.runtime_dir, c->runtime_dir))
        return failed(l, "[gateway] runtime_dir: changes at a restart only");
    if (fd >= 0 && !(running = secrets_attach(fd, &why)))
        return failed(l, why.msg);
    l->running = c->reload ? c->generation : 0;
    int rc = loader_gather(l, c->reload ? c->state_dir : NULL, running);
    secrets_detach(running);
    return rc;
}

static int prepare(struct child *c, struct loader *l)
{
    struct ipc_msg m = {0};
    struct buf diff;
    int secrets_fd;
    if (describe(l, &m.prepared) < 0 || loader_write(l, c->by, &secrets_fd) < 0)
        return -1;
    buf_init(&diff, IPC_TEXT_MAX_BYTES);
    loader_diff(l, &diff);
    m.prepared.generation = l->generation;
    int rc = ipc_send_text(c->ipc_fd, IPC_DIFF, 0, true, diff.data, diff.len);
    if (rc == 0)
        rc = ipc_send(c->ipc_fd, IPC_PREPARED, &m, &secrets_fd, 1);
    buf_release(&diff);
    close(secrets_fd);
    return rc == 0 ? 0 : failed(l, "the master is gone");
}

static int finish(struct child *c, struct loader *l)
{
    if (await(c, IPC_COMMIT, IPC_ABORT) != IPC_COMMIT)
        return loader_abort(l);
    if (loader_commit(l) < 0)
        return -1;
    return ipc_send_generation(c->ipc_fd, IPC_COMMITTED, l->generation);
}

static void log_warnings(const struct conf *conf)
{
    for (uint32_t i = 0; i < conf->warnings.n; i++)
        log_warn("configuration", LOG_SL("warning", conf->warnings.v[i]));
}

static int run(struct child *c, struct loader *l)
{
    if (loader_read(l, c->config_path) < 0 || send_dirs(c, l) < 0)
        return -1;
    if (await(c, IPC_GO, IPC_GO) != IPC_GO)
        return 0;
    if (gather(c, l) < 0)
        return -1;
    if (c->reload && loader_is_unchanged(l))
        return ipc_send_generation(c->ipc_fd, IPC_UNCHANGED, l->active.generation);
    log_warnings(l->conf);
    return prepare(c, l) < 0 ? -1 : finish(c, l);
}

int loader_main(struct child *c)
{
    struct loader l;
    loader_init(&l);
    int rc = run(c, &l);
    if (rc < 0) {
        char *text = loader_error_text(&l);
        (void)!ipc_send_text(c->ipc_fd, IPC_FAILED, 0, false, text, strlen(text));
        free(text);
    }
    loader_fini(&l);
    return rc < 0 ? CHILD_EXIT_CONFIG : CHILD_EXIT_OK;
}
