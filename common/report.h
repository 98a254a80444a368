/*
 * report.h: what can be read of the daemon's state, as JSON.
 *
 * The same answers for both who ask: the keeper's admin API, and gwctl when no daemon runs and it
 * reads the databases itself. A report is one answer: an object, or {"error":{"message","code"}}
 * with an HTTP status. Each function may be called on any thread that may use the readers.
 */
#ifndef GW_COMMON_REPORT_H
#define GW_COMMON_REPORT_H

#include "common/conf.h"
#include "common/confdb.h"
#include "common/json.h"
#include "common/keystore.h"
#include "common/secrets.h"
#include "common/store.h"

#include <stdarg.h>

enum { REPORT_PAGE_MAX = 1000, REPORT_MAX_BYTES = 16 * 1024 * 1024 };

struct report {
    /* What is asked: the query of the URL, "a=1&b=2". */
    struct slice query;
    /* Where from; borrowed. */
    const struct conf *conf;
    const struct secrets *secrets; /* NULL: not known to who answers */
    const char *config_path;
    struct confdb *confdb;
    struct store_txn *state; /* a reader */
    struct store *ledger;
    /* The answer. */
    uint16_t status;
    struct buf out;
    struct json_writer w; /* its outer object is open until report_finish */
};

void report_init(struct report *r);
void report_release(struct report *r);

/* Begins the answer (200) anew and returns the writer with an open object. */
struct json_writer *report_json(struct report *r);
/* Answers with an error instead of whatever was begun. The message says what, where and what to do.
 */
void report_error(struct report *r, uint16_t status, const char *code, const char *fmt, ...)
    GW_PRINTF(4, 5);
void report_verror(struct report *r, uint16_t status, const char *code, const char *fmt,
                   va_list ap);
/* Closes the object; an answer that became too large becomes an error. */
void report_finish(struct report *r);

/* "name": a wall-clock time by RFC 3339, or null for 0: never. */
void report_put_time(struct json_writer *w, const char *name, int64_t wall_us);
/* Percent-decoding. -1: malformed, holds a NUL, or doesn't fit into cap with a NUL. */
GW_MUSTUSE int report_decode(struct slice s, char *out, size_t cap);
/* A query parameter, decoded into out (at most cap - 1 bytes, NUL-terminated). False: not there.
 * What doesn't fit or is malformed counts as not there. */
bool report_query(const struct report *r, const char *name, char *out, size_t cap);
/* An unsigned number between min and max, `dflt` where absent. -1: malformed, answered already. */
GW_MUSTUSE int report_query_u64(struct report *r, const char *name, uint64_t dflt, uint64_t min,
                                uint64_t max, uint64_t *out);

/* ---- report_keys.c ---- */

/* The INI's keys stand on the first page, before the others. Query: limit, after. */
void report_keys_list(struct report *r);
/* By id or name. */
void report_keys_show(struct report *r, struct slice ref);
void report_key(struct report *r, const struct keystore_record *k);
/* Query: limit, before. */
void report_audit(struct report *r);

/* ---- report_ledger.c ---- */

/* Whole UTC days. Query: by, since, until. */
void report_usage(struct report *r);
/* Query: limit, after, since, until, key, model. */
void report_ledger_list(struct report *r);
void report_ledger_verify(struct report *r);

/* ---- report_config.c ---- */

void report_config(struct report *r);
void report_config_history(struct report *r);
/* Query: from=N&to=N compare two generations. Without `to` nothing is answered yet: returns the
 * entries of `from` (default: the active generation), owned, for report_config_diff_file(), which
 * reads the file. NULL: answered. */
struct conf_entries *report_config_diff(struct report *r, uint64_t *from);
void report_config_diff_file(struct report *r, const struct conf_entries *before, uint64_t from);
void report_config_errors(struct report *r, const struct conf_errors *errs);

#endif
