/*
 * loader.h: from an INI file to a generation that master, workers and keeper can take over.
 *
 * loader_main() (declared in gatewayd/child.h) is the process; what it does is here in steps, so
 * that tests run them without one. Everything is built and checked before anything is written.
 */
#ifndef GW_GATEWAYD_LOADER_LOADER_H
#define GW_GATEWAYD_LOADER_LOADER_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/confdb.h"
#include "common/secrets.h"

struct loader {
    struct conf_errors errs;
    struct conf_entries *entries;
    struct conf *conf;
    struct confdb *db;
    struct secrets_writer *secrets;
    uint64_t running; /* set before loader_gather on a reload: the generation that is served */
    struct confdb_generation active; /* what the file is compared with; generation 0: none */
    uint8_t hash[CONFDB_HASH_BYTES];
    uint64_t generation;
    bool written; /* generation is new, and inactive until loader_commit */
};

void loader_init(struct loader *l);
/* Frees and wipes; a generation that was neither committed nor aborted stays inactive. */
void loader_fini(struct loader *l);

/* Each step: 0, or -1 and l->errs. */

/* Reads and validates the file. */
GW_MUSTUSE int loader_read(struct loader *l, const char *path);
/* Opens config.mdb, reads secrets and certificates and proves that they can be used. On a reload
 * (`running_dir` is the state_dir in use, else NULL) what changes at a restart only is refused.
 * `running` (may be NULL) are the secrets in use: their ticket keys go on. */
GW_MUSTUSE int loader_gather(struct loader *l, const char *running_dir,
                             const struct secrets *running);
/* Whether all of the input is equal to that of the running generation, at a start of the active
 * one.
 */
bool loader_is_unchanged(const struct loader *l);
/* What changes, for people, one change a line, appended to out. */
void loader_diff(struct loader *l, struct buf *out);
/* Writes the generation, inactive (or takes the active one where nothing changed), and gives the
 * sealed memfd, which is the caller's. */
GW_MUSTUSE int loader_write(struct loader *l, const char *by, int *secrets_fd);
GW_MUSTUSE int loader_commit(struct loader *l);
GW_MUSTUSE int loader_abort(struct loader *l);

/* Every error, one a line; owned by the caller. */
char *loader_error_text(const struct loader *l);

#endif
