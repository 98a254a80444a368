/*
 * control_shm.h: the control segment: what every process of the daemon knows of the others.
 *
 * Created by the master, mapped by all children. Lock-free words only, one writer each as noted;
 * readers take what they see. Nothing here outlives a crash of the daemon on purpose: the segment
 * is built anew by each master.
 */
#ifndef GW_GATEWAYD_CONTROL_SHM_H
#define GW_GATEWAYD_CONTROL_SHM_H

#include "common/shm.h"

#include <stdatomic.h>
#include <assert.h>

enum {
    CONTROL_MAX_WORKERS = 64,
    CONTROL_SLOT_KEEPER = CONTROL_MAX_WORKERS,
    CONTROL_SLOT_LOADER,
    CONTROL_SLOTS = CONTROL_MAX_WORKERS + 8,
};

#define CHILD_STATES(X)                                                                            \
    X(NONE, "none")         /* no process in this slot */                                          \
    X(STARTING, "starting") /* spawned, not READY */                                               \
    X(READY, "ready")                                                                              \
    X(DRAINING, "draining") /* finishing, then exits */                                            \
    X(STOPPING, "stopping") /* told to exit */                                                     \
    X(WAITING, "waiting")   /* dead, back-off before the next start */                             \
    X(FAILED, "failed")     /* not started again: configuration fault */
enum child_state {
#define X(name, text) CHILD_##name,
    CHILD_STATES(X)
#undef X
        CHILD_STATE_COUNT
};
const char *child_state_name(enum child_state s);

/* Two cache lines: the first is written by the child itself, the second by the master. */
struct control_slot {
    /* the child */
    _Alignas(GW_CACHELINE) _Atomic uint64_t heartbeat_us; /* monotonic, of the last timer run */
    _Atomic uint64_t connections;    /* open client connections (accept gate) */
    _Atomic uint64_t inflight;       /* requests between head and end */
    _Atomic uint64_t requests_total; /* of this incarnation */
    _Atomic uint64_t accepted_total; /* of this incarnation */
    _Atomic uint64_t log_dropped;    /* lines; of this slot since the master started */
    _Atomic uint64_t buffered_bytes; /* in all connections together (max_buffered) */
    _Atomic uint64_t spare_child;
    /* the master */
    _Alignas(GW_CACHELINE) _Atomic uint64_t incarnation; /* 0: no process */
    _Atomic uint64_t started_us;                         /* monotonic, of the spawn */
    _Atomic uint32_t role;
    _Atomic uint32_t state; /* enum child_state */
    _Atomic uint32_t pid;
    _Atomic uint32_t restarts;  /* deaths that nobody asked for, since the master started */
    _Atomic uint32_t last_exit; /* wait status of the process before this one */
    _Atomic uint32_t spare_word;
    _Atomic uint64_t last_exit_us;
    _Atomic uint64_t generation; /* that it serves */
};
static_assert(sizeof(struct control_slot) == 2 * GW_CACHELINE, "layout is shared");

struct control_shm {
    _Atomic uint64_t master_incarnation;
    _Atomic uint64_t started_us; /* monotonic */
    _Atomic uint64_t started_wall_us;
    _Atomic uint64_t generation; /* active */
    _Atomic uint64_t reloads_ok;
    _Atomic uint64_t reloads_failed;
    _Atomic uint64_t reload_wall_us; /* of the last one that went through */
    _Atomic uint32_t master_pid;
    _Atomic uint32_t n_workers;   /* wanted */
    _Atomic uint32_t draining;    /* 1: announced by gwctl; 2: on the way out */
    _Atomic uint64_t log_dropped; /* lines, by the master itself */
    struct control_slot slot[CONTROL_SLOTS];
};
static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
              "atomics must work between processes");

/* The segment runtime_dir/control.shm. create: master only, empty, replaces that of a former
 * master. attach: maps a descriptor that came in START (taken on success). 0 / -1 with e filled. */
GW_MUSTUSE int control_create(int dir_fd, struct shm *out, struct errbuf *e);
GW_MUSTUSE int control_attach(int fd, struct shm *out, struct errbuf *e);

static inline struct control_shm *control_of(const struct shm *s)
{
    return (struct control_shm *)shm_body(s);
}

/* Is a process with this incarnation alive as far as the master knows? For the keeper at its own
 * start: regions of incarnations that no slot names belong to the dead. */
bool control_incarnation_lives(const struct control_shm *c, uint64_t incarnation);

/* Sum of the connections and number of workers that are READY: what a worker's accept gate
 * compares its own count with. */
void control_connections(const struct control_shm *c, uint64_t *sum, uint32_t *n_ready);

/* Whether a worker process still runs, by asking the kernel: for the keeper, which leaves last,
 * when there is no master any more to keep this segment true. */
bool control_workers_run(const struct control_shm *c);

#endif
