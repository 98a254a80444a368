/*
 * child.h: the child's side of supervision, the same for every role.
 *
 * main() calls child_open(), which takes START from descriptor 3, sets title, log and limits and
 * maps the control segment; then the role's main with the open struct child.
 *
 *   loader   speaks the loader messages of ipc.h over child->ipc_fd itself, with blocking calls
 *   worker,  call child_run() with their operations: it makes the event base, builds the first
 *   keeper   generation, says READY, beats, and dispatches messages until the process is to end
 *
 * All operations run on the loop's thread, never nested. Exit codes: 0 done, 1 fault (started again
 * after a back-off), 2 the configuration can't be served (not started again).
 */
#ifndef GW_GATEWAYD_CHILD_H
#define GW_GATEWAYD_CHILD_H

#include "gatewayd/control_shm.h"
#include "gatewayd/ipc.h"

#include <event2/event.h>

struct conf;
struct confdb;
struct secrets;

enum {
    CHILD_EXIT_OK = 0,
    CHILD_EXIT_FAULT = 1,
    CHILD_EXIT_CONFIG = 2,
    /* What a worker may still take to finish once the master is gone. */
    CHILD_ORPHAN_US = 5 * 1000 * 1000,
    CHILD_HEARTBEAT_US = 250 * 1000,
};

struct child_listener {
    enum listen_kind kind;
    unsigned index; /* in that list of struct conf */
    int fd;         /* non-blocking */
};

/* What a generation is built from. */
struct child_build {
    uint64_t generation;
    unsigned n_workers;
    struct conf *conf;       /* taken by build() in any case, failure included */
    struct secrets *secrets; /* likewise */
    struct child_listener listener[IPC_MAX_LISTENERS]; /* the descriptors: likewise */
    size_t n_listeners;
};

struct child;

/* NULL where a role has nothing to do. */
struct child_ops {
    /* Once, before the first build: open stores, attach segments. */
    int (*start)(struct child *c, struct errbuf *e);
    /* Builds everything of a generation beside the running one, or fails and leaves no trace.
     * Listeners are not yet read from. */
    int (*build)(struct child *c, struct child_build *b, struct errbuf *e);
    /* The built generation is now the running one: new listeners are read, the others closed
     * (the master keeps the sockets that stay). Can't fail. Also after the first build. */
    void (*swap)(struct child *c);
    void (*discard)(struct child *c);
    /* deadline_us 0: announce (not ready, Connection: close), go on serving. Else: stop accepting,
     * finish what runs, cut what is left at the deadline, then child_drained(). May come again
     * with an earlier deadline. */
    void (*drain)(struct child *c, int64_t deadline_us);
    void (*resume)(struct child *c);
    /* End at once: close, write out, child_exit(c, 0) when done (NULL: at once). */
    void (*stop)(struct child *c);
    /* The master is gone. Like drain with this deadline, then child_exit(). NULL: exits at once. */
    void (*orphaned)(struct child *c, int64_t deadline_us);
    /* keeper */
    void (*child_died)(struct child *c, const struct ipc_child_died *d);
    void (*result)(struct child *c, uint32_t id, bool ok, const char *text);
};

struct child {
    enum role role;
    unsigned slot; /* worker number */
    uint64_t incarnation;
    uint64_t generation; /* running */
    unsigned n_workers;
    bool reload; /* loader: a generation is running */
    pid_t master_pid;
    int ipc_fd;
    int fd[IPC_FD_KIND_COUNT]; /* of START, -1 where none came; IPC_FD_LISTEN unused */
    char config_path[IPC_PATH_BYTES];
    char state_dir[IPC_PATH_BYTES];
    char runtime_dir[IPC_PATH_BYTES];
    char by[IPC_BY_BYTES];       /* loader: who asked for this load */
    struct control_shm *control; /* NULL in a loader before the directories are known */
    struct control_slot *self;   /* own slot in it; worker and keeper */
    struct confdb *confdb;       /* open, read-only; worker, keeper: from child_run on */
    struct event_base *base;     /* worker, keeper: from child_run on */
    void *arg;                   /* the role's own */

    /* private to child.c */
    const struct child_ops *ops;
    struct shm control_map;
    struct event *ipc_event, *beat_event, *term_event;
    struct child_build first;
    uint64_t built_generation;
    struct ipc_text_acc result_text;
    int exit_code;
    bool exiting, drained_sent, orphaned;
};

/* Takes START (blocking, at most 30 s). 0 or -1 (already logged). */
GW_MUSTUSE int child_open(struct child *c, enum role role, unsigned slot);
/* Maps the segment that came in START as `kind` (IPC_FD_MONEY, IPC_FD_DNS, ...). 0 or -1. */
GW_MUSTUSE int child_attach(struct child *c, enum ipc_fd_kind kind, struct shm *out,
                            struct errbuf *e);
/* Runs the loop until child_exit(); returns the exit code. */
int child_run(struct child *c, const struct child_ops *ops, void *arg);
/* Everything that drain() asked for is done. */
void child_drained(struct child *c);
/* Leaves the loop after this turn. */
void child_exit(struct child *c, int code);
/* keeper: asks the master; the outcome comes to ops->result. 0, or -1 (master doesn't answer). */
GW_MUSTUSE int child_request(struct child *c, uint32_t id, enum ipc_verb verb, int arg);

/* The roles' entry points, each in its folder. They return the exit code. */
int loader_main(struct child *c);
int worker_main(struct child *c);
int keeper_main(struct child *c);
/* `gatewayd -t`: prints every error to stderr; 0 or CHILD_EXIT_CONFIG. Writes and binds nothing. */
int loader_check(const char *config_path);

#endif
