/*
 * store.h: the LMDB wrapper, the only place that knows LMDB.
 *
 * One struct store is one environment (a file and its -lock beside it) in one process. Rules that
 * it enforces because LMDB doesn't (lmdb.h "Caveats"):
 *   - An environment is opened once a process; a second open of the same file is refused, since
 *     closing either would drop the POSIX locks of both.
 *   - It is used by the process that opened it, never after a fork.
 *   - No read transaction survives a return to the event loop: begin, get, copy, end.
 *   - A value is borrowed: valid until the end of its transaction, in a write transaction until the
 *     next change.
 * Native errors are translated here; above it only enum store_err travels.
 *
 * Threads: a struct store may be shared; a struct store_txn belongs to one thread at a time.
 */
#ifndef GW_COMMON_STORE_H
#define GW_COMMON_STORE_H

#include "common/errbuf.h"
#include "common/slice.h"

#define STORE_ERRORS(X)                                                                            \
    X(STORE_OK, "ok")                                                                              \
    X(STORE_NOTFOUND, "not found")                                                                 \
    X(STORE_EXISTS, "exists already")                                                              \
    X(STORE_MAP_FULL, "database has reached map_size")                                             \
    X(STORE_DISK_FULL, "no space left on the file system")                                         \
    X(STORE_MAP_RESIZED, "database grew in another process, try again")                            \
    X(STORE_READERS_FULL, "too many readers")                                                      \
    X(STORE_TOO_BIG, "key or value too long")                                                      \
    X(STORE_ALREADY_OPEN, "already open in this process")                                          \
    X(STORE_NEWER, "written by a newer version")                                                   \
    X(STORE_CORRUPT, "damaged, or not a database of this program")                                 \
    X(STORE_PANIC, "failed while writing, has to be reopened")                                     \
    X(STORE_DENIED, "permission denied")                                                           \
    X(STORE_REFUSED, "refused by a rule of the record")                                            \
    X(STORE_IO, "input/output error")

enum store_err {
#define X(name, text) name,
    STORE_ERRORS(X)
#undef X
};

/* Words for people, never NULL. */
const char *store_err_text(enum store_err err);
/* The enum's name, for logs. */
const char *store_err_name(enum store_err err);

enum store_flags {
    STORE_WRITE = 1 << 0,   /* else read-only: put and write_begin are errors of the program */
    STORE_NOSYNC = 1 << 1,  /* disposable content only: a power cut may destroy the file */
    STORE_PARTIAL = 1 << 2, /* read-only: a database that an older version didn't make is empty */
};

enum { STORE_DBS_MAX = 32, STORE_KEY_MAX = 511 };

struct store_config {
    const char *path; /* the file itself; borrowed during the call */
    unsigned flags;
    size_t map_bytes;     /* upper bound of the file; sparse. 0: 1 GiB */
    unsigned max_readers; /* of all processes together. 0: 512 */
    uint32_t schema;      /* newest schema this program knows, >= 1 */
    /* Databases inside; the index into this array is the `db` of every call below. */
    const char *const *dbs;
    size_t db_count;
};

struct store;
struct store_txn;

/* Opens (with STORE_WRITE creates, 0600) the environment, clears stale readers, opens every
 * database and checks the schema. A read-only open of one that doesn't exist yet is
 * STORE_NOTFOUND. */
GW_MUSTUSE enum store_err store_open(const struct store_config *cfg, struct store **out,
                                     struct errbuf *e);
/* Every transaction must have ended. NULL is fine. */
void store_close(struct store *s);
/* Schema number on disk. */
uint32_t store_schema(const struct store *s);
/* Closes and opens the environment again after STORE_PANIC. No transaction may be running in this
 * process; readers stay valid and renew by themselves. */
GW_MUSTUSE enum store_err store_reopen(struct store *s, struct errbuf *e);
/* Frees reader slots of dead processes: they pin old pages and the file grows. For the keeper,
 * whenever the master reports a child's death. Returns how many were cleared. */
unsigned store_clear_stale_readers(struct store *s);

/* A cached read transaction, one a thread that reads often; begin/end cost about 0.1 us.
 * It starts ended. Free before store_close. */
GW_MUSTUSE enum store_err store_reader_new(struct store *s, struct store_txn **out);
void store_reader_free(struct store_txn *r);
GW_MUSTUSE enum store_err store_read_begin(struct store_txn *r);
void store_read_end(struct store_txn *r);

/* The one write transaction of all processes: blocks while another holds it, so never on an event
 * loop that serves. commit and abort both end it. */
GW_MUSTUSE enum store_err store_write_begin(struct store *s, struct store_txn **out);
/* Durable when it returns STORE_OK (unless STORE_NOSYNC). On error nothing was written. */
GW_MUSTUSE enum store_err store_commit(struct store_txn *t);
void store_abort(struct store_txn *t);

enum store_put_flags {
    STORE_PUT_NEW = 1 << 0,    /* STORE_EXISTS instead of replacing */
    STORE_PUT_APPEND = 1 << 1, /* the key is greater than all others: no search */
};

GW_MUSTUSE enum store_err store_get(struct store_txn *t, unsigned db, struct slice key,
                                    struct slice *value);
GW_MUSTUSE enum store_err store_put(struct store_txn *t, unsigned db, struct slice key,
                                    struct slice value, unsigned put_flags);
/* Room for n bytes in the page itself; the caller fills it before its next call. */
GW_MUSTUSE enum store_err store_put_reserve(struct store_txn *t, unsigned db, struct slice key,
                                            size_t n, unsigned put_flags, void **out);
GW_MUSTUSE enum store_err store_del(struct store_txn *t, unsigned db, struct slice key);
/* Number of records. */
GW_MUSTUSE enum store_err store_count(struct store_txn *t, unsigned db, uint64_t *out);

/* Walks a database in key order within one transaction; close it before that ends. STORE_NOTFOUND
 * is the end. */
struct store_cursor;
GW_MUSTUSE enum store_err store_cursor_open(struct store_txn *t, unsigned db,
                                            struct store_cursor **out);
void store_cursor_close(struct store_cursor *c);
/* The first record whose key is >= `key` (an empty key: the first of all). */
GW_MUSTUSE enum store_err store_cursor_seek(struct store_cursor *c, struct slice key,
                                            struct slice *k, struct slice *v);
GW_MUSTUSE enum store_err store_cursor_next(struct store_cursor *c, struct slice *k,
                                            struct slice *v);
GW_MUSTUSE enum store_err store_cursor_prev(struct store_cursor *c, struct slice *k,
                                            struct slice *v);
GW_MUSTUSE enum store_err store_cursor_last(struct store_cursor *c, struct slice *k,
                                            struct slice *v);
/* Deletes the record the cursor stands on; next then gives the one behind it. */
GW_MUSTUSE enum store_err store_cursor_del(struct store_cursor *c);

/* A consistent copy while everything goes on, into a new file (0600, synced). Takes a read
 * transaction for as long as it runs: not on an event loop. */
GW_MUSTUSE enum store_err store_copy(struct store *s, const char *path, struct errbuf *e);

struct store_stats {
    uint64_t map_bytes;
    uint64_t used_bytes; /* last page that was ever used */
    uint64_t last_txn;
    unsigned readers_max;
    unsigned readers_used;
};
void store_stats(struct store *s, struct store_stats *out);
/* Unmaps what this process has touched of the file; the kernel's cache of it stays, so the next
 * access costs a minor fault a page. For who walks through much and needs little of it again: LMDB
 * maps the file whole, and every page once read counts as this process's memory. */
void store_release_pages(struct store *s);

#endif
