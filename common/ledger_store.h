/*
 * ledger_store.h: the ledger in LMDB: records in order of commit, chained by hash; roll-ups by day;
 * the index of record ids; intents.
 *
 * One writer (the keeper's ledger thread) through struct ledger_appender; any number of readers,
 * each call a chunk in a read transaction of its own. Record key: commit time and sequence number,
 * both big endian; commit times never go back, so the order of keys is the order of the chain and a
 * day is a run of keys. Formats: docs/ledger.md.
 */
#ifndef GW_COMMON_LEDGER_STORE_H
#define GW_COMMON_LEDGER_STORE_H

#include "common/ledger.h"
#include "common/store.h"

/* Opens state_dir/ledger.mdb. STORE_WRITE creates it. map_bytes 0: 8 GiB, sparse. */
GW_MUSTUSE enum store_err ledger_open(const char *state_dir, unsigned store_flags, size_t map_bytes,
                                      struct store **out, struct errbuf *e);

/* Days since 1970-01-01 UTC. */
static inline uint32_t ledger_day(int64_t wall_us)
{
    return (uint32_t)(wall_us / (INT64_C(86400) * 1000000));
}

/* --- writing --------------------------------------------------------------------------------- */

struct ledger_appender;
GW_MUSTUSE enum store_err ledger_appender_new(struct store *s, struct ledger_appender **out);
/* Ends a batch that is open without writing it. NULL is fine. */
void ledger_appender_free(struct ledger_appender *a);

/* A batch is one write transaction: begin, any of the calls below, commit. After an error of any of
 * them other than STORE_EXISTS the batch must be rolled back; then nothing of it was written. */
GW_MUSTUSE enum store_err ledger_begin(struct ledger_appender *a, int64_t now_wall_us);
/* STORE_EXISTS: a record of that id is there, nothing was added. Replaces its intent. */
GW_MUSTUSE enum store_err ledger_append(struct ledger_appender *a, const struct ledger_body *body);
/* Notes that this attempt is in flight: `body` is the record that it becomes if nobody settles it
 * (state unsettled, charged at the reservation). */
GW_MUSTUSE enum store_err ledger_put_intent(struct ledger_appender *a,
                                            const struct ledger_body *body);
GW_MUSTUSE enum store_err ledger_drop_intent(struct ledger_appender *a,
                                             const struct ledger_body *body);
/* Keeps bytes from which no record can be made, for whoever looks into it. */
GW_MUSTUSE enum store_err ledger_quarantine(struct ledger_appender *a, struct slice raw);
/* Intents for which alive() is false become records, malformed ones go to quarantine. For the
 * writer's start. */
typedef bool (*ledger_alive_fn)(void *arg, const uint8_t id[LEDGER_RECORD_ID_BYTES]);
GW_MUSTUSE enum store_err ledger_settle_intents(struct ledger_appender *a, ledger_alive_fn alive,
                                                void *arg, uint32_t *settled,
                                                uint32_t *quarantined);
/* Retention: deletes at most `max` records of days before `day`; their roll-ups stay. *dropped less
 * than max: that was all. */
GW_MUSTUSE enum store_err ledger_drop_before(struct ledger_appender *a, uint32_t day, uint32_t max,
                                             uint32_t *dropped);
GW_MUSTUSE enum store_err ledger_commit(struct ledger_appender *a);
void ledger_rollback(struct ledger_appender *a);

/* --- reading ---------------------------------------------------------------------------------- */

struct ledger_position {
    int64_t committed_us;
    uint64_t seq;
};

struct ledger_entry {
    struct ledger_position at;
    uint8_t hash[LEDGER_HASH_BYTES];
    union {
        struct ledger_body body;
        char room[LEDGER_BODY_MAX];
    };
};

/* fn gets a copy that lives for the call; false ends the scan. */
typedef bool (*ledger_entry_fn)(void *arg, const struct ledger_entry *entry);

/* At most `limit` records with key greater than *from and committed before until_us, oldest first,
 * in one read transaction. *from is moved to the last one seen: call again until *more is false.
 * To start at a time: {time, 0}. */
GW_MUSTUSE enum store_err ledger_scan(struct store_txn *reader, struct ledger_position *from,
                                      int64_t until_us, uint32_t limit, ledger_entry_fn fn,
                                      void *arg, bool *more);
/* All attempts of one request, in order of attempt. STORE_NOTFOUND: none. */
GW_MUSTUSE enum store_err ledger_find(struct store_txn *reader,
                                      const uint8_t request_id[LEDGER_REQUEST_ID_BYTES],
                                      ledger_entry_fn fn, void *arg);

/* What the records of one day and one combination of names come to. */
struct ledger_totals {
    int64_t attempts;
    int64_t requests;  /* records with attempt 1 */
    int64_t states[4]; /* settled, estimated, unsettled, reserved */
    int64_t unpriced;
    int64_t usage[LEDGER_USAGE_MAX];
    int64_t cost_nusd;
    int64_t duration_us;
};
void ledger_totals_add(struct ledger_totals *t, const struct ledger_totals *more);
struct ledger_rollup {
    uint32_t day;
    struct ledger_totals totals;
    struct slice names[LEDGER_NAME_COUNT]; /* without upstream_request_id; borrowed */
};
typedef bool (*ledger_rollup_fn)(void *arg, const struct ledger_rollup *r);
/* Roll-ups of the days [from_day, to_day], a day a read transaction. */
GW_MUSTUSE enum store_err ledger_rollups(struct store_txn *reader, uint32_t from_day,
                                         uint32_t to_day, ledger_rollup_fn fn, void *arg);

struct ledger_verified {
    uint64_t records, first_seq, last_seq;
    uint64_t days; /* whose roll-ups were compared */
    struct ledger_totals totals;
    uint8_t head[LEDGER_HASH_BYTES];
};
/* Recomputes the hash chain, the id index and the roll-ups, chunk by chunk while the writer goes
 * on. STORE_CORRUPT with the first fault in words; what was checked until then is in *out. */
GW_MUSTUSE enum store_err ledger_verify(struct store_txn *reader, struct ledger_verified *out,
                                        struct errbuf *e);

#endif
