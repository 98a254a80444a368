/*
 * master.h: the state of the supervisor, shared by the files of this folder.
 *
 * One thread, one libevent loop, nothing that waits. The master reads no configuration and no
 * network: what it knows it was told by the loader in fixed structs.
 *
 *   master.c    start-up, signals, the tick, the way out
 *   spawn.c     fork, exec, START, reaping
 *   children.c  what workers and keeper say, respawn, hang detection, drain
 *   change.c    from one generation to the next, the first one included
 *   listen.c    the sockets            sdnotify.c   systemd
 *   respawn.c   the back-off policy
 */
#ifndef GW_MASTER_MASTER_H
#define GW_MASTER_MASTER_H

#include "gatewayd/child.h"
#include "gatewayd/master/listen.h"
#include "gatewayd/master/respawn.h"
#include "gatewayd/segments.h"

struct master;

/* A place for a child: worker 0.., the keeper, or the loader. */
struct proc {
    struct master *m;
    enum role role;
    unsigned slot;
    enum child_state state;
    pid_t pid; /* 0: none */
    int ipc;   /* -1: none */
    struct event *ipc_event;
    struct event *respawn_event;
    uint64_t incarnation;
    uint64_t started_with; /* generation of its START */
    uint64_t generation;   /* that it runs; 0 before READY */
    uint64_t building;     /* BUILD was sent, no answer yet */
    uint64_t built;        /* answered ok, not swapped in */
    int64_t started_us;
    int64_t kill_at_us; /* SIGKILL when the clock reaches it; 0: never */
    int64_t killed_us;  /* SIGKILL was sent; 0: no */
    bool restart;       /* start a fresh one when this one is gone, whatever its exit */
    struct respawn history;
    struct control_slot *ctl; /* NULL for the loader and before the segment exists */
};

/* A generation as the loader prepared it. */
struct generation {
    uint64_t number; /* 0: none */
    int secrets_fd;
    struct ipc_prepared prepared;
    struct listen_set listeners;
};

/* Who waits for the outcome of a reload. */
struct waiter {
    uint32_t id;
    uint64_t incarnation; /* of the keeper that asked */
};

enum { MAX_WAITERS = 64 };
struct waiters {
    struct waiter v[MAX_WAITERS];
    size_t n;
};

#define CHANGE_STATES(X)                                                                           \
    X(IDLE)       /* no loader runs */                                                             \
    X(LOADING)    /* it reads and validates */                                                     \
    X(LOCKING)    /* it waits for the directories; first start only */                             \
    X(BUILDING)   /* children build, or start with it */                                           \
    X(COMMITTING) /* all have; the loader makes it the active one */
enum change_state {
#define X(name) CHANGE_##name,
    CHANGE_STATES(X)
#undef X
};

struct change {
    enum change_state state;
    struct generation next;
    int64_t deadline_us;
    struct ipc_text_acc text; /* the diff, or what is wrong */
    struct waiters waiters;   /* of this one */
    struct waiters queued;    /* of the one after it */
    const char *by;           /* who asked, for the history */
    bool again;               /* asked for while one was in progress */
};

#define PHASES(X)                                                                                  \
    X(STARTING)                                                                                    \
    X(RUNNING)                                                                                     \
    X(DRAINING) /* workers finish */                                                               \
    X(ENDING)   /* workers are gone, the keeper writes out */
enum phase {
#define X(name) PHASE_##name,
    PHASES(X)
#undef X
};

struct master {
    struct event_base *base;
    enum phase phase;
    int exit_code;
    const char *config_path;
    int self_fd; /* our own binary, as it was at the start */
    char state_dir[IPC_PATH_BYTES], runtime_dir[IPC_PATH_BYTES];
    int state_lock, runtime_lock;
    struct segments segments;
    struct control_shm *control; /* NULL before the segments exist */
    int ledger_wake, objects_wake;
    struct ipc_log log;
    int log_fd;
    struct listen_pool pool;
    struct generation active;
    struct change change;
    bool announced; /* gwctl drain */
    unsigned n_workers;
    struct proc worker[CONTROL_MAX_WORKERS];
    struct proc keeper;
    struct proc loader;
    uint64_t last_incarnation;
    int64_t last_tick_us;
    int64_t hang_check_from_us; /* no child is called hung before this */
    int64_t next_notify_us;
    int64_t drain_deadline_us;
    struct event *tick_event, *lock_event;
    struct event *signal_event[6];
};

/* master.c */
int master_main(const char *config_path);
/* Ends the daemon with this code as soon as its children are gone. */
void master_fail(struct master *m, int code);
void master_stop(struct master *m);
void master_drain_announce(struct master *m, bool on);
int master_reopen_log(struct master *m, const struct ipc_log *log, struct errbuf *e);
/* Calls fn for the keeper and every worker that has a process. */
void master_each_child(struct master *m, void (*fn)(struct proc *p));
bool master_is_leaving(const struct master *m);

/* spawn.c */
void proc_init(struct proc *p, struct master *m, enum role role, unsigned slot);
/* Starts a process in p. 0, or -1 (logged). */
int proc_spawn(struct proc *p);
void proc_set_state(struct proc *p, enum child_state state);
/* Sends; a child that doesn't take it is hung and is killed. */
void proc_send(struct proc *p, enum ipc_type type, struct ipc_msg *msg, const int *fds, size_t n);
void proc_send_generation(struct proc *p, enum ipc_type type, uint64_t generation);
void proc_kill(struct proc *p, const char *why);
/* Descriptors and tags of a generation for a child of this role, behind what is there. */
size_t proc_add_generation(const struct proc *p, const struct generation *g, struct ipc_fd_tag *tag,
                           int *fds, size_t n);
void proc_reap_all(struct master *m);

/* children.c */
void children_on_message(struct proc *p, const struct ipc_msg *msg);
void children_on_exit(struct proc *p, int wait_status);
void children_check(struct master *m, int64_t now_us);
/* true when every child that is ready has beaten lately. */
bool children_beat(const struct master *m, int64_t now_us);
/* Starts what is missing and drains what is too much for n_workers. */
void children_adjust(struct master *m);
void children_stop(struct proc *p, int64_t grace_us);
void children_drain(struct proc *p, int64_t deadline_us);

/* change.c */
/* Reads the configuration anew, now or after the change in progress; answers `w` (may be NULL).
 * `by` is static text: who asked. */
void change_request(struct master *m, const char *by, const struct waiter *w);
void change_on_message(struct master *m, const struct ipc_msg *msg, int *fds);
void change_on_loader_exit(struct master *m, int wait_status);
void change_child_ready(struct proc *p);
void change_child_built(struct proc *p, const struct ipc_built *b);
void change_child_died(struct proc *p, int wait_status);
void change_check(struct master *m, int64_t now_us);
/* The daemon goes: no further change. */
void change_abandon(struct master *m);

#endif
