/*
 * ledger_store.c: formats of the ledger in LMDB, and its readers.
 *
 * No reader keeps a transaction over more than one chunk: an old page that is pinned makes the file
 * grow. Writing is in ledger_append.c, the full check in ledger_verify.c.
 */
#include "common/ledger_store.h"

#include "common/check.h"
#include "common/crypto.h"
#include "common/ledger_internal.h"

#include <stdio.h>

enum { LEDGER_SCHEMA = 1 };
static const size_t LEDGER_MAP_BYTES = (size_t)8 << 30;
static const char *const db_names[LDB_COUNT] = {"records", "ids",  "intents",
                                                "rollups", "meta", "quarantine"};

enum store_err ledger_open(const char *state_dir, unsigned store_flags, size_t map_bytes,
                           struct store **out, struct errbuf *e)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/ledger.mdb", state_dir) >= (int)sizeof path) {
        err_set(e, "state_dir is too long");
        return STORE_TOO_BIG;
    }
    struct store_config cfg = {
        .path = path,
        .flags = store_flags,
        .map_bytes = map_bytes ? map_bytes : LEDGER_MAP_BYTES,
        .schema = LEDGER_SCHEMA,
        .dbs = db_names,
        .db_count = LDB_COUNT,
    };
    return store_open(&cfg, out, e);
}

/* --- formats ------------------------------------------------------------------------------------
 */

static void put_be64(uint8_t *out, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(out, &v, sizeof v);
}

static uint64_t get_be64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

void ledger_key_encode(const struct ledger_position *at, uint8_t out[LEDGER_KEY_BYTES])
{
    put_be64(out, (uint64_t)at->committed_us);
    put_be64(out + 8, at->seq);
}

bool ledger_key_decode(struct slice k, struct ledger_position *at)
{
    if (k.n != LEDGER_KEY_BYTES)
        return false;
    *at = (struct ledger_position){(int64_t)get_be64(k.p), get_be64(k.p + 8)};
    return true;
}

void ledger_chain(const uint8_t before[LEDGER_HASH_BYTES], const uint8_t key[LEDGER_KEY_BYTES],
                  struct slice body, uint8_t out[LEDGER_HASH_BYTES])
{
    struct slice parts[] = {slice_of((const char *)before, LEDGER_HASH_BYTES),
                            slice_of((const char *)key, LEDGER_KEY_BYTES), body};
    crypto_sha256_parts(parts, ARRAY_LEN(parts), out);
}

bool ledger_entry_decode(struct slice k, struct slice v, struct ledger_entry *out)
{
    if (!ledger_key_decode(k, &out->at) || v.n < LEDGER_HASH_BYTES ||
        v.n - LEDGER_HASH_BYTES > sizeof out->room ||
        !ledger_body_valid(v.p + LEDGER_HASH_BYTES, v.n - LEDGER_HASH_BYTES))
        return false;
    memcpy(out->hash, v.p, LEDGER_HASH_BYTES);
    memcpy(out->room, v.p + LEDGER_HASH_BYTES, v.n - LEDGER_HASH_BYTES);
    return true;
}

enum store_err ledger_mark_get(struct store_txn *t, const char *name, struct ledger_mark *out)
{
    struct slice v;
    memset(out, 0, sizeof *out);
    enum store_err err = store_get(t, LDB_META, slice_str(name), &v);
    if (err == STORE_NOTFOUND)
        return STORE_OK;
    if (err == STORE_OK && v.n != sizeof *out)
        return STORE_CORRUPT;
    if (err == STORE_OK)
        memcpy(out, v.p, sizeof *out);
    return err;
}

void ledger_identity_of(const struct ledger_body *b, struct ledger_identity *out)
{
    memcpy(out->name_bytes, b->name_bytes, sizeof out->name_bytes);
    size_t last = b->name_bytes[LEDGER_UPSTREAM_REQUEST_ID];
    out->name_bytes[LEDGER_UPSTREAM_REQUEST_ID] = 0;
    out->names = slice_of((const char *)b + b->fixed_bytes, b->names_bytes - last);
}

void ledger_rollup_key(uint32_t day, const struct ledger_identity *id,
                       uint8_t out[LEDGER_ROLLUP_KEY_BYTES])
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct slice parts[] = {slice_of((const char *)id->name_bytes, sizeof id->name_bytes),
                            id->names};
    crypto_sha256_parts(parts, ARRAY_LEN(parts), digest);
    uint32_t be_day = __builtin_bswap32(day);
    memcpy(out, &be_day, sizeof be_day);
    memcpy(out + sizeof be_day, digest, LEDGER_ROLLUP_KEY_BYTES - sizeof be_day);
}

void ledger_totals_of(const struct ledger_body *b, struct ledger_totals *out)
{
    *out = (struct ledger_totals){
        .attempts = 1,
        .requests = b->attempt == 1,
        .unpriced = (b->flags & LEDGER_F_UNPRICED) != 0,
        .cost_nusd = b->cost_nusd,
        .duration_us = b->duration_us,
    };
    if (b->state >= 1 && b->state <= ARRAY_LEN(out->states))
        out->states[b->state - 1] = 1;
    memcpy(out->usage, b->usage, sizeof out->usage);
}

_Static_assert(sizeof(struct ledger_totals) % sizeof(int64_t) == 0, "an array of int64");

void ledger_totals_add(struct ledger_totals *t, const struct ledger_totals *more)
{
    t->attempts += more->attempts;
    t->requests += more->requests;
    t->unpriced += more->unpriced;
    t->cost_nusd += more->cost_nusd;
    t->duration_us += more->duration_us;
    for (size_t i = 0; i < ARRAY_LEN(t->states); i++)
        t->states[i] += more->states[i];
    for (size_t i = 0; i < ARRAY_LEN(t->usage); i++)
        t->usage[i] += more->usage[i];
}

bool ledger_rollup_decode(struct slice k, struct slice v, struct ledger_rollup *out)
{
    struct ledger_rollup_disk d;
    uint32_t be_day;
    if (k.n != LEDGER_ROLLUP_KEY_BYTES || v.n < sizeof d)
        return false;
    memcpy(&d, v.p, sizeof d);
    memcpy(&be_day, k.p, sizeof be_day);
    if (d.version != LEDGER_ROLLUP_VERSION || d.fixed_bytes < sizeof d ||
        v.n != (size_t)d.fixed_bytes + d.names_bytes)
        return false;
    *out = (struct ledger_rollup){.day = __builtin_bswap32(be_day), .totals = d.totals};
    size_t at = 0;
    for (unsigned i = 0; i < LEDGER_NAME_COUNT; i++) {
        if (at + d.name_bytes[i] > d.names_bytes)
            return false;
        out->names[i] = slice_of(v.p + d.fixed_bytes + at, d.name_bytes[i]);
        at += d.name_bytes[i];
    }
    return at == d.names_bytes;
}

/* --- readers ------------------------------------------------------------------------------------
 */

static enum store_err scan_chunk(struct store_cursor *c, struct ledger_position *from,
                                 int64_t until_us, uint32_t limit, ledger_entry_fn fn, void *arg,
                                 bool *more)
{
    uint8_t key[LEDGER_KEY_BYTES];
    struct slice k, v;
    struct ledger_entry entry;
    ledger_key_encode(from, key);
    enum store_err err = store_cursor_seek(c, slice_of((char *)key, sizeof key), &k, &v);
    if (err == STORE_OK && k.n == sizeof key && memcmp(k.p, key, sizeof key) == 0)
        err = store_cursor_next(c, &k, &v);
    for (; err == STORE_OK; err = store_cursor_next(c, &k, &v)) {
        if (!ledger_entry_decode(k, v, &entry))
            return STORE_CORRUPT;
        if (entry.at.committed_us >= until_us)
            return STORE_OK;
        if (limit-- == 0) {
            *more = true;
            return STORE_OK;
        }
        *from = entry.at;
        if (!fn(arg, &entry))
            return STORE_OK;
    }
    return err == STORE_NOTFOUND ? STORE_OK : err;
}

enum store_err ledger_scan(struct store_txn *reader, struct ledger_position *from, int64_t until_us,
                           uint32_t limit, ledger_entry_fn fn, void *arg, bool *more)
{
    struct store_cursor *c;
    *more = false;
    enum store_err err = store_read_begin(reader);
    if (err != STORE_OK)
        return err;
    err = store_cursor_open(reader, LDB_RECORDS, &c);
    if (err == STORE_OK) {
        err = scan_chunk(c, from, until_us, limit, fn, arg, more);
        store_cursor_close(c);
    }
    store_read_end(reader);
    return err;
}

static enum store_err find_attempts(struct store_txn *t, struct store_cursor *c,
                                    struct slice request_id, ledger_entry_fn fn, void *arg)
{
    struct slice id, key, v;
    struct ledger_entry entry;
    bool found = false;
    enum store_err err = store_cursor_seek(c, request_id, &id, &key);
    for (; err == STORE_OK && slice_starts_with(id, request_id);
         err = store_cursor_next(c, &id, &key)) {
        if (store_get(t, LDB_RECORDS, key, &v) != STORE_OK || !ledger_entry_decode(key, v, &entry))
            return STORE_CORRUPT;
        found = true;
        if (!fn(arg, &entry))
            break;
    }
    if (err != STORE_OK && err != STORE_NOTFOUND)
        return err;
    return found ? STORE_OK : STORE_NOTFOUND;
}

enum store_err ledger_find(struct store_txn *reader,
                           const uint8_t request_id[LEDGER_REQUEST_ID_BYTES], ledger_entry_fn fn,
                           void *arg)
{
    struct store_cursor *c;
    enum store_err err = store_read_begin(reader);
    if (err != STORE_OK)
        return err;
    err = store_cursor_open(reader, LDB_IDS, &c);
    if (err == STORE_OK) {
        err = find_attempts(reader, c, slice_of((const char *)request_id, LEDGER_REQUEST_ID_BYTES),
                            fn, arg);
        store_cursor_close(c);
    }
    store_read_end(reader);
    return err;
}

/* One day; *day moves to the next day that has any, past to_day at the end. */
static enum store_err rollups_of_day(struct store_cursor *c, uint32_t *day, uint32_t to_day,
                                     ledger_rollup_fn fn, void *arg)
{
    uint32_t be_day = __builtin_bswap32(*day), current = 0;
    struct slice k, v;
    struct ledger_rollup r;
    bool first = true;
    enum store_err err = store_cursor_seek(c, slice_of((char *)&be_day, sizeof be_day), &k, &v);
    for (; err == STORE_OK; err = store_cursor_next(c, &k, &v)) {
        if (!ledger_rollup_decode(k, v, &r))
            return STORE_CORRUPT;
        if (first)
            current = r.day;
        first = false;
        *day = r.day;
        if (r.day > to_day || r.day != current)
            return STORE_OK;
        if (!fn(arg, &r)) {
            *day = UINT32_MAX;
            return STORE_OK;
        }
    }
    *day = UINT32_MAX;
    return err == STORE_NOTFOUND ? STORE_OK : err;
}

enum store_err ledger_rollups(struct store_txn *reader, uint32_t from_day, uint32_t to_day,
                              ledger_rollup_fn fn, void *arg)
{
    enum store_err err = STORE_OK;
    for (uint32_t day = from_day; err == STORE_OK && day <= to_day && day != UINT32_MAX;) {
        struct store_cursor *c;
        err = store_read_begin(reader);
        if (err != STORE_OK)
            return err;
        err = store_cursor_open(reader, LDB_ROLLUPS, &c);
        if (err == STORE_OK) {
            err = rollups_of_day(c, &day, to_day, fn, arg);
            store_cursor_close(c);
        }
        store_read_end(reader);
    }
    return err;
}
