/*
 * ipc.h: the messages between the master and its children.
 *
 * One SOCK_SEQPACKET socketpair a child, the child's end at descriptor 3 (IPC_FD). A message is one
 * packet: struct ipc_head and the fixed struct of its type; descriptors travel beside it with
 * SCM_RIGHTS and arrive close-on-exec. A packet of the wrong length, an unknown type, or with more
 * descriptors than its type allows is an error and ends the connection: both ends are the same
 * binary, so a mismatch is a fault and never something to negotiate. Only messages that end in
 * struct ipc_text are of variable length (by its `len`).
 *
 * Who sends what:
 *
 *   master -> any          START       once, first: who you are, your descriptors
 *   master -> worker,keeper BUILD      build this generation beside the running one
 *                          SWAP        make the built one the running one
 *                          DISCARD     forget the built one
 *                          DRAIN       deadline 0: announce only; else finish and answer DRAINED
 *                          RESUME      takes an announced drain back
 *                          STOP        exit now (keeper: write out what is settled first)
 *                          REOPEN_LOG  new log descriptor (1 fd)
 *   master -> keeper       CHILD_DIED  a child is gone: clear its LMDB readers, reap its region
 *                          RESULT      outcome of a REQUEST, in pieces
 *   master -> loader       GO          directories are locked, write the generation
 *                          COMMIT      every child has built it: make it the active one
 *                          ABORT       forget it (inactive in LMDB, deleted)
 *   worker,keeper -> master READY      START was carried out, serving `generation`
 *                          BUILT       outcome of BUILD: ok, or why not
 *                          DRAINED     nothing is left to finish
 *   keeper -> master       REQUEST     gwctl wants something of the supervisor
 *   loader -> master       DIRS        parsed; where state lives. Waits for GO. At the first start
 *                                      (START.reload = 0) PREPARED follows in any case, on a reload
 *                                      it has the running generation's secrets to compare with
 *                          DIFF        what changes, in pieces, before PREPARED
 *                          PREPARED    generation written, inactive (1 fd: sealed secrets memfd)
 *                          UNCHANGED   equal to the active generation; exits 0
 *                          FAILED      all that is wrong, in pieces; exits 2
 *                          COMMITTED   the generation is the active one; exits 0
 *
 * Loss of the other end is EOF (ipc_recv returns 0).
 */
#ifndef GW_GATEWAYD_IPC_H
#define GW_GATEWAYD_IPC_H

#include "common/base.h"
#include "common/errbuf.h"
#include "common/log.h"

#include <sys/socket.h>
#include <sys/types.h>

enum {
    IPC_FD = 3,
    IPC_MAX_FDS = 64,
    IPC_MAX_LISTENERS = 48,
    IPC_PATH_BYTES = 512,
    IPC_BY_BYTES = 64,
    IPC_TEXT_BYTES = 4000,
    /* All pieces of one text together; who has more says how much is left out. */
    IPC_TEXT_MAX_BYTES = 64 * 1024,
};

#define ROLE_LIST(X)                                                                               \
    X(MASTER, master)                                                                              \
    X(LOADER, loader)                                                                              \
    X(WORKER, worker)                                                                              \
    X(KEEPER, keeper)
enum role {
#define X(up, low) ROLE_##up,
    ROLE_LIST(X)
#undef X
        ROLE_COUNT
};
const char *role_name(enum role r);
/* -1 for an unknown name. */
int role_by_name(const char *name);

#define IPC_TYPES(X)                                                                               \
    X(START)                                                                                       \
    X(READY)                                                                                       \
    X(BUILD)                                                                                       \
    X(BUILT)                                                                                       \
    X(SWAP)                                                                                        \
    X(DISCARD)                                                                                     \
    X(DRAIN)                                                                                       \
    X(DRAINED)                                                                                     \
    X(RESUME)                                                                                      \
    X(STOP)                                                                                        \
    X(REOPEN_LOG)                                                                                  \
    X(CHILD_DIED)                                                                                  \
    X(REQUEST)                                                                                     \
    X(RESULT)                                                                                      \
    X(DIRS)                                                                                        \
    X(GO)                                                                                          \
    X(DIFF)                                                                                        \
    X(PREPARED)                                                                                    \
    X(UNCHANGED)                                                                                   \
    X(FAILED)                                                                                      \
    X(COMMIT)                                                                                      \
    X(COMMITTED)                                                                                   \
    X(ABORT)
enum ipc_type {
    IPC_NONE,
#define X(name) IPC_##name,
    IPC_TYPES(X)
#undef X
        IPC_TYPE_COUNT
};
const char *ipc_type_name(enum ipc_type t);

/* What a descriptor that travels in START or BUILD is. */
enum ipc_fd_kind {
    IPC_FD_SECRETS, /* sealed memfd of the generation, read-only */
    IPC_FD_MONEY,
    IPC_FD_CONTROL,
    IPC_FD_DNS,
    IPC_FD_TOKENS,
    IPC_FD_LOG,
    IPC_FD_LEDGER_WAKE, /* eventfd: a worker writes when it settled, the keeper reads */
    IPC_FD_OBJECTS,
    IPC_FD_OBJECTS_WAKE, /* eventfd: a worker writes when it recorded an object */
    IPC_FD_LISTEN,       /* data listeners to workers, admin and metrics ones to the keeper */
    IPC_FD_INSTANCE,     /* runtime_dir's lock: kept open, so that it is busy while a child lives */
    IPC_FD_KIND_COUNT
};

/* Which list of struct conf a listener stands in. */
enum listen_kind { LISTEN_DATA, LISTEN_ADMIN, LISTEN_METRICS, LISTEN_KIND_COUNT };

/* The i-th descriptor of a message is described by the i-th of these. */
struct ipc_fd_tag {
    uint8_t kind;        /* enum ipc_fd_kind */
    uint8_t listen_kind; /* of IPC_FD_LISTEN */
    uint16_t index;      /* of IPC_FD_LISTEN: position in that list of struct conf */
};

/* An address to listen on, as the loader found it in the file. */
struct ipc_listen {
    uint8_t kind; /* enum listen_kind */
    uint8_t pad;
    uint16_t index; /* position in that list of struct conf */
    uint32_t addr_len;
    struct sockaddr_storage addr; /* AF_INET, AF_INET6 or AF_UNIX */
    int32_t mode;                 /* AF_UNIX: permission bits, e.g. 0660 */
    int32_t gid;                  /* AF_UNIX: group of the socket file, -1 keeps ours */
};

struct ipc_log {
    uint8_t output; /* enum log_output */
    uint8_t format; /* enum log_format */
    uint8_t level;  /* enum log_level */
    uint8_t pad;
    char path[IPC_PATH_BYTES]; /* of LOG_TO_FILE */
};

/* A piece of text. Receivers put pieces together until one has more = 0. Not NUL-terminated. */
struct ipc_text {
    uint16_t len;
    uint8_t more;
    uint8_t pad;
    char text[IPC_TEXT_BYTES];
};

struct ipc_start {
    uint8_t role;   /* enum role */
    uint8_t reload; /* loader: 1 = a generation is running */
    uint16_t slot;
    uint32_t master_pid;
    uint64_t incarnation; /* unique within a boot, over restarts of the master too */
    uint64_t generation;  /* to serve; loader: the active one, 0 = none known yet */
    uint16_t n_workers;
    uint16_t n_tags;
    struct ipc_log log;
    char config_path[IPC_PATH_BYTES]; /* absolute */
    char by[IPC_BY_BYTES];            /* loader: "start", "SIGHUP", "gwctl" */
    char state_dir[IPC_PATH_BYTES];   /* empty at the first loader: not known yet */
    char runtime_dir[IPC_PATH_BYTES];
    struct ipc_fd_tag tag[IPC_MAX_FDS];
};

struct ipc_build {
    uint64_t generation;
    uint16_t n_workers;
    uint16_t n_tags;
    struct ipc_fd_tag tag[IPC_MAX_FDS]; /* secrets and the whole set of listeners, old and new */
};

/* READY, SWAP, DISCARD, COMMIT, COMMITTED, ABORT, UNCHANGED */
struct ipc_generation {
    uint64_t generation;
};

struct ipc_built {
    uint64_t generation;
    uint8_t ok;
    uint8_t pad[3];
    char why[512]; /* NUL-terminated; empty when ok */
};

struct ipc_drain {
    int64_t deadline_us; /* monotonic; 0: announce only (/readyz 503, Connection: close) */
};

struct ipc_reopen_log {
    struct ipc_log log;
};

struct ipc_child_died {
    uint8_t role;
    uint8_t pad;
    uint16_t slot;
    int32_t pid;
    uint64_t incarnation;
};

#define IPC_VERBS(X)                                                                               \
    X(RELOAD, "reload")          /* read the file again; the text is the diff or the errors */     \
    X(DRAIN, "drain")            /* announce a drain in all workers */                             \
    X(RESUME, "resume")          /* take it back */                                                \
    X(RESTART_WORKER, "restart") /* arg = slot: drain it, start a fresh one */                     \
    X(REOPEN_LOG, "reopen-log")                                                                    \
    X(STOP, "stop") /* like SIGTERM */
enum ipc_verb {
#define X(name, text) IPC_VERB_##name,
    IPC_VERBS(X)
#undef X
        IPC_VERB_COUNT
};
const char *ipc_verb_name(enum ipc_verb v);

struct ipc_request {
    uint32_t id; /* the keeper's own, comes back in RESULT */
    uint32_t verb;
    int32_t arg;
};

struct ipc_result {
    uint32_t id;
    uint8_t ok;
    uint8_t pad[3];
    struct ipc_text text;
};

struct ipc_dirs {
    char state_dir[IPC_PATH_BYTES];
    char runtime_dir[IPC_PATH_BYTES];
};

struct ipc_prepared {
    uint64_t generation;
    uint16_t n_workers;
    uint16_t n_listeners;
    int64_t drain_timeout_us;
    struct ipc_log log;
    struct ipc_listen listener[IPC_MAX_LISTENERS];
};

struct ipc_head {
    uint32_t magic;
    uint16_t type;
    uint16_t n_fds;
};

struct ipc_msg {
    struct ipc_head head;
    union {
        struct ipc_start start;
        struct ipc_build build;
        struct ipc_built built;
        struct ipc_generation generation;
        struct ipc_drain drain;
        struct ipc_reopen_log reopen_log;
        struct ipc_child_died child_died;
        struct ipc_request request;
        struct ipc_result result;
        struct ipc_dirs dirs;
        struct ipc_prepared prepared;
        struct ipc_text text; /* DIFF, FAILED */
    };
};

/* A connected pair, both ends close-on-exec. 0 or -1 with errno. */
GW_MUSTUSE int ipc_pair(int fd[2]);

/*
 * Sends msg (its head is filled in here) with n_fds descriptors, which stay the caller's. `type`
 * decides the length. 0, or -1 with errno: EAGAIN when the receiver doesn't read (only on a
 * non-blocking descriptor), EPIPE when it is gone.
 */
GW_MUSTUSE int ipc_send(int sock, enum ipc_type type, struct ipc_msg *msg, const int *fds,
                        size_t n_fds);
/* For types without a body, or whose body is struct ipc_generation. */
GW_MUSTUSE int ipc_send_generation(int sock, enum ipc_type type, uint64_t generation);
/* DIFF, FAILED (id and ok unused) or RESULT: cuts text into pieces, at most IPC_TEXT_MAX_BYTES. */
GW_MUSTUSE int ipc_send_text(int sock, enum ipc_type type, uint32_t id, bool ok, const char *text,
                             size_t len);

/*
 * Receives one message. 1 = received, head.n_fds descriptors in fds (the caller's now); 0 = EOF;
 * -1 = error with errno (EAGAIN: nothing there; EPROTO: malformed, what came is closed).
 */
GW_MUSTUSE int ipc_recv(int sock, struct ipc_msg *msg, int fds[IPC_MAX_FDS]);

/* Puts pieces of text together. */
struct ipc_text_acc {
    char *data; /* NUL-terminated after the last piece; NULL when nothing came */
    size_t len;
};
/* true when the text is whole. What is beyond IPC_TEXT_MAX_BYTES is dropped. */
bool ipc_text_add(struct ipc_text_acc *acc, const struct ipc_text *piece);
void ipc_text_release(struct ipc_text_acc *acc);

#endif
