/*
 * confdb.h: generations of the configuration in LMDB, state_dir/config.mdb.
 *
 * The loader writes a generation whole, in one transaction, inactive; it becomes the active one
 * when every process has built it. Readers copy what they need and end their transaction before
 * they return. Entries hold references to secrets, never secrets.
 *
 * The content is a copy of files: deleting config.mdb while the daemon is down costs the history
 * and nothing else.
 */
#ifndef GW_COMMON_CONFDB_H
#define GW_COMMON_CONFDB_H

#include "common/conf.h"
#include "common/errbuf.h"

enum {
    CONFDB_HISTORY = 20, /* generations that were active once and are kept */
    CONFDB_HASH_BYTES = 32,
    CONFDB_SALT_BYTES = 32,
    CONFDB_BY_MAX = 255,
};

struct confdb;

/* store_flags: STORE_WRITE creates it. NULL and *e. */
struct confdb *confdb_open(const char *state_dir, unsigned store_flags,
                           struct errbuf *e) GW_MUSTUSE;
void confdb_close(struct confdb *db);

struct confdb_generation {
    uint64_t generation;
    int64_t written_us;              /* wall clock */
    int64_t activated_us;            /* 0: never was active */
    uint8_t hash[CONFDB_HASH_BYTES]; /* of all input, secrets and certificates included */
    uint32_t n_entries;
    char by[CONFDB_BY_MAX + 1]; /* who asked for it */
};

/* The active generation; generation == 0: there is none. */
GW_MUSTUSE int confdb_active(struct confdb *db, struct confdb_generation *out, struct errbuf *e);
/* One that is there, active or not. */
GW_MUSTUSE int confdb_find(struct confdb *db, uint64_t generation, struct confdb_generation *out,
                           struct errbuf *e);
/* Newest first. */
GW_MUSTUSE int confdb_history(struct confdb *db, struct confdb_generation out[CONFDB_HISTORY],
                              size_t *n, struct errbuf *e);

/* Returns owned, or NULL and *e (also when there is no such generation). */
struct conf_entries *confdb_entries(struct confdb *db, uint64_t generation,
                                    struct errbuf *e) GW_MUSTUSE;
/* Reads and builds. */
struct conf *confdb_load(struct confdb *db, uint64_t generation, struct errbuf *e) GW_MUSTUSE;

/* ---- the loader alone ---- */

/* Random, made when the database is, the same for the life of the installation. */
GW_MUSTUSE int confdb_salt(struct confdb *db, uint8_t out[CONFDB_SALT_BYTES], struct errbuf *e);
/* Writes the next generation, inactive. Generations that never became active and those beyond the
 * history go in the same transaction. */
GW_MUSTUSE int confdb_write(struct confdb *db, const struct conf_entries *entries,
                            const uint8_t hash[CONFDB_HASH_BYTES], const char *by, int64_t now_us,
                            uint64_t *generation, struct errbuf *e);
GW_MUSTUSE int confdb_activate(struct confdb *db, uint64_t generation, int64_t now_us,
                               struct errbuf *e);
/* Deletes a generation unless it is, or was, active. */
GW_MUSTUSE int confdb_discard(struct confdb *db, uint64_t generation, struct errbuf *e);

#endif
