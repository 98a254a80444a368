/*
 * confdb.c: layout and transactions of config.mdb.
 *
 *   meta         "active" → generation (8 bytes, big-endian); "salt" → 32 bytes
 *   generations  generation (big-endian, so that keys sort) → struct generation_record and `by`
 *   entries      generation, ordinal (4 bytes, big-endian) → struct entry_record and its texts
 */
#include "common/confdb.h"
#include "common/check.h"
#include "common/conf_value.h"
#include "common/crypto.h"
#include "common/store.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

enum { DB_META, DB_GENERATIONS, DB_ENTRIES, DB_COUNT };
static const char *const db_names[DB_COUNT] = {"meta", "generations", "entries"};

enum { SCHEMA = 1, MAP_BYTES = 1 << 30 };

struct confdb {
    struct store *store;
    struct store_txn *reader;
};

struct generation_record {
    int64_t written_us;
    int64_t activated_us;
    uint8_t hash[CONFDB_HASH_BYTES];
    uint32_t n_entries;
    uint32_t by_bytes;
};

struct entry_record {
    uint32_t line;
    uint32_t value_bytes;
    uint16_t section_bytes;
    uint16_t key_bytes;
    uint16_t file_bytes;
    uint8_t quoted;
    uint8_t pad;
};

struct entry_key {
    uint64_t generation_be;
    uint32_t ordinal_be;
} __attribute__((packed));

static int failed(struct errbuf *e, const char *what, enum store_err err)
{
    return err_set(e, "configuration database: %s: %s", what, store_err_text(err));
}

#define BYTES_OF(obj) slice_of((const char *)&(obj), sizeof(obj))

struct confdb *confdb_open(const char *state_dir, unsigned store_flags, struct errbuf *e)
{
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/config.mdb", state_dir) >= sizeof path)
        return err_set(e, "state_dir is too long"), NULL;
    struct store_config cfg = {.path = path,
                               .flags = store_flags,
                               .map_bytes = MAP_BYTES,
                               .schema = SCHEMA,
                               .dbs = db_names,
                               .db_count = DB_COUNT};
    struct confdb *db = gw_xcalloc(1, sizeof *db);
    enum store_err err = store_open(&cfg, &db->store, e);
    if (err == STORE_OK && (err = store_reader_new(db->store, &db->reader)) == STORE_OK)
        return db;
    if (db->store) {
        failed(e, "open", err);
        store_close(db->store);
    }
    free(db);
    return NULL;
}

void confdb_close(struct confdb *db)
{
    if (!db)
        return;
    store_reader_free(db->reader);
    store_close(db->store);
    free(db);
}

/* ---- reading; all within a transaction ---- */

static enum store_err get_generation(struct store_txn *t, uint64_t generation,
                                     struct confdb_generation *out)
{
    uint64_t be = htobe64(generation);
    struct generation_record r;
    struct slice v;
    enum store_err err = store_get(t, DB_GENERATIONS, BYTES_OF(be), &v);
    if (err != STORE_OK)
        return err;
    if (v.n < sizeof r)
        return STORE_CORRUPT;
    memcpy(&r, v.p, sizeof r);
    if (v.n != sizeof r + r.by_bytes || r.by_bytes > CONFDB_BY_MAX)
        return STORE_CORRUPT;
    *out = (struct confdb_generation){.generation = generation,
                                      .written_us = r.written_us,
                                      .activated_us = r.activated_us,
                                      .n_entries = r.n_entries};
    memcpy(out->hash, r.hash, sizeof out->hash);
    memcpy(out->by, v.p + sizeof r, r.by_bytes);
    return STORE_OK;
}

static enum store_err get_active(struct store_txn *t, uint64_t *generation)
{
    struct slice v;
    uint64_t be;
    *generation = 0;
    enum store_err err = store_get(t, DB_META, SLICE_LIT("active"), &v);
    if (err != STORE_OK)
        return err == STORE_NOTFOUND ? STORE_OK : err;
    if (v.n != sizeof be)
        return STORE_CORRUPT;
    memcpy(&be, v.p, sizeof be);
    *generation = be64toh(be);
    return STORE_OK;
}

int confdb_active(struct confdb *db, struct confdb_generation *out, struct errbuf *e)
{
    uint64_t generation;
    *out = (struct confdb_generation){0};
    enum store_err err = store_read_begin(db->reader);
    if (err != STORE_OK)
        return failed(e, "read", err);
    err = get_active(db->reader, &generation);
    if (err == STORE_OK && generation)
        err = get_generation(db->reader, generation, out);
    store_read_end(db->reader);
    return err == STORE_OK ? 0 : failed(e, "active generation", err);
}

int confdb_find(struct confdb *db, uint64_t generation, struct confdb_generation *out,
                struct errbuf *e)
{
    *out = (struct confdb_generation){0};
    enum store_err err = store_read_begin(db->reader);
    if (err != STORE_OK)
        return failed(e, "read", err);
    err = get_generation(db->reader, generation, out);
    store_read_end(db->reader);
    return err == STORE_OK ? 0 : failed(e, "running generation", err);
}

static enum store_err walk_history(struct store_cursor *c, struct store_txn *t,
                                   struct confdb_generation *out, size_t *n)
{
    struct slice k, v;
    enum store_err err = store_cursor_last(c, &k, &v);
    while (err == STORE_OK && *n < CONFDB_HISTORY) {
        uint64_t be;
        if (k.n != sizeof be)
            return STORE_CORRUPT;
        memcpy(&be, k.p, sizeof be);
        err = get_generation(t, be64toh(be), &out[*n]);
        if (err != STORE_OK)
            return err;
        *n += out[*n].activated_us != 0;
        err = store_cursor_prev(c, &k, &v);
    }
    return err == STORE_NOTFOUND ? STORE_OK : err;
}

int confdb_history(struct confdb *db, struct confdb_generation out[CONFDB_HISTORY], size_t *n,
                   struct errbuf *e)
{
    struct store_cursor *c;
    *n = 0;
    enum store_err err = store_read_begin(db->reader);
    if (err != STORE_OK)
        return failed(e, "read", err);
    err = store_cursor_open(db->reader, DB_GENERATIONS, &c);
    if (err == STORE_OK) {
        err = walk_history(c, db->reader, out, n);
        store_cursor_close(c);
    }
    store_read_end(db->reader);
    return err == STORE_OK ? 0 : failed(e, "history", err);
}

static struct slice take(struct slice *rest, size_t n)
{
    struct slice s = slice_of(rest->p, n);
    *rest = slice_of(rest->p + n, rest->n - n);
    return s;
}

static enum store_err read_entry(struct slice v, struct arena *a, struct conf_entry *out)
{
    struct entry_record r;
    if (v.n < sizeof r)
        return STORE_CORRUPT;
    memcpy(&r, v.p, sizeof r);
    struct slice rest = slice_of(v.p + sizeof r, v.n - sizeof r);
    if (rest.n != (size_t)r.section_bytes + r.key_bytes + r.file_bytes + r.value_bytes)
        return STORE_CORRUPT;
    out->section = conf_dup(a, take(&rest, r.section_bytes));
    out->key = conf_dup(a, take(&rest, r.key_bytes));
    out->file = conf_dup(a, take(&rest, r.file_bytes));
    out->value = conf_dup(a, rest);
    out->line = r.line;
    out->quoted = r.quoted;
    return STORE_OK;
}

static enum store_err read_entries(struct store_txn *t, uint64_t generation,
                                   struct conf_entries *out)
{
    struct confdb_generation g;
    struct entry_key key = {.generation_be = htobe64(generation)};
    struct store_cursor *c;
    struct slice k, v;
    enum store_err err = get_generation(t, generation, &g);
    if (err != STORE_OK)
        return err;
    out->v = gw_xcalloc(GW_MAX(g.n_entries, 1u), sizeof *out->v);
    err = store_cursor_open(t, DB_ENTRIES, &c);
    if (err != STORE_OK)
        return err;
    err = store_cursor_seek(c, BYTES_OF(key), &k, &v);
    while (err == STORE_OK && out->n < g.n_entries) {
        key.ordinal_be = htobe32(out->n);
        err =
            slice_eq(k, BYTES_OF(key)) ? read_entry(v, out->arena, &out->v[out->n]) : STORE_CORRUPT;
        if (err == STORE_OK && ++out->n < g.n_entries)
            err = store_cursor_next(c, &k, &v);
    }
    store_cursor_close(c);
    return out->n == g.n_entries ? STORE_OK : err == STORE_OK ? STORE_CORRUPT : err;
}

struct conf_entries *confdb_entries(struct confdb *db, uint64_t generation, struct errbuf *e)
{
    struct conf_entries *out = gw_xcalloc(1, sizeof *out);
    out->arena = gw_xmalloc(sizeof *out->arena);
    arena_init(out->arena, NULL, 0, SIZE_MAX / 2);
    enum store_err err = store_read_begin(db->reader);
    if (err == STORE_OK) {
        err = read_entries(db->reader, generation, out);
        store_read_end(db->reader);
    }
    if (err == STORE_OK)
        return out;
    err_set(e, "configuration database: generation %llu: %s", (unsigned long long)generation,
            store_err_text(err));
    conf_entries_free(out);
    return NULL;
}

struct conf *confdb_load(struct confdb *db, uint64_t generation, struct errbuf *e)
{
    struct conf_errors errs;
    struct conf_entries *entries = confdb_entries(db, generation, e);
    if (!entries)
        return NULL;
    conf_errors_init(&errs);
    struct conf *conf = conf_build(entries, generation, &errs);
    if (!conf)
        err_set(e, "%s", errs.v[0]);
    conf_errors_fini(&errs);
    conf_entries_free(entries);
    return conf;
}

/* ---- writing ---- */

static enum store_err put_entry(struct store_txn *t, uint64_t generation, uint32_t ordinal,
                                const struct conf_entry *e)
{
    struct entry_key key = {htobe64(generation), htobe32(ordinal)};
    struct entry_record r = {.line = e->line,
                             .value_bytes = (uint32_t)e->value.n,
                             .section_bytes = (uint16_t)e->section.n,
                             .key_bytes = (uint16_t)e->key.n,
                             .file_bytes = (uint16_t)e->file.n,
                             .quoted = e->quoted};
    const struct slice parts[] = {BYTES_OF(r), e->section, e->key, e->file, e->value};
    size_t n = 0;
    void *to;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        n += parts[i].n;
    enum store_err err = store_put_reserve(t, DB_ENTRIES, BYTES_OF(key), n, STORE_PUT_NEW, &to);
    for (size_t i = 0; err == STORE_OK && i < ARRAY_LEN(parts); i++) {
        if (parts[i].n)
            memcpy(to, parts[i].p, parts[i].n);
        to = (char *)to + parts[i].n;
    }
    return err;
}

static enum store_err put_generation(struct store_txn *t, const struct confdb_generation *g)
{
    char record[sizeof(struct generation_record) + CONFDB_BY_MAX];
    uint64_t be = htobe64(g->generation);
    struct generation_record r = {.written_us = g->written_us,
                                  .activated_us = g->activated_us,
                                  .n_entries = g->n_entries,
                                  .by_bytes = (uint32_t)strlen(g->by)};
    memcpy(r.hash, g->hash, sizeof r.hash);
    memcpy(record, &r, sizeof r);
    memcpy(record + sizeof r, g->by, r.by_bytes);
    return store_put(t, DB_GENERATIONS, BYTES_OF(be), slice_of(record, sizeof r + r.by_bytes), 0);
}

static enum store_err del_generation(struct store_txn *t, const struct confdb_generation *g)
{
    uint64_t be = htobe64(g->generation);
    enum store_err err = store_del(t, DB_GENERATIONS, BYTES_OF(be));
    for (uint32_t i = 0; err == STORE_OK && i < g->n_entries; i++) {
        struct entry_key key = {be, htobe32(i)};
        err = store_del(t, DB_ENTRIES, BYTES_OF(key));
    }
    return err;
}

/* Walks from the newest down, so that the first CONFDB_HISTORY - 1 that were active stay: the one
 * being written makes it CONFDB_HISTORY. Returns the newest number that was ever used. */
static enum store_err prune(struct store_txn *t, uint64_t active, uint64_t *newest)
{
    struct store_cursor *c;
    struct slice k, v;
    size_t kept = 0;
    *newest = active;
    enum store_err err = store_cursor_open(t, DB_GENERATIONS, &c);
    if (err != STORE_OK)
        return err;
    err = store_cursor_last(c, &k, &v);
    while (err == STORE_OK) {
        struct confdb_generation g;
        uint64_t be;
        memcpy(&be, k.p, sizeof be);
        uint64_t generation = be64toh(be);
        *newest = GW_MAX(*newest, generation);
        if ((err = get_generation(t, generation, &g)) != STORE_OK)
            break;
        if (generation == active || (g.activated_us && kept < CONFDB_HISTORY - 1))
            kept++;
        else if ((err = del_generation(t, &g)) != STORE_OK)
            break;
        /* The cursor may have lost its place with the deletion. */
        err = store_cursor_seek(c, BYTES_OF(be), &k, &v);
        if (err == STORE_OK)
            err = store_cursor_prev(c, &k, &v);
        else if (err == STORE_NOTFOUND)
            err = store_cursor_last(c, &k, &v);
    }
    store_cursor_close(c);
    return err == STORE_NOTFOUND ? STORE_OK : err;
}

static enum store_err write_generation(struct store_txn *t, const struct conf_entries *entries,
                                       struct confdb_generation *g)
{
    uint64_t active, newest;
    enum store_err err = get_active(t, &active);
    if (err == STORE_OK)
        err = prune(t, active, &newest);
    if (err != STORE_OK)
        return err;
    g->generation = newest + 1;
    g->n_entries = entries->n;
    err = put_generation(t, g);
    for (uint32_t i = 0; err == STORE_OK && i < entries->n; i++)
        err = put_entry(t, g->generation, i, &entries->v[i]);
    return err;
}

/* Commits if err is STORE_OK, else aborts. */
static int finish(struct store_txn *t, enum store_err err, const char *what, struct errbuf *e)
{
    if (err == STORE_OK)
        err = store_commit(t);
    else
        store_abort(t);
    return err == STORE_OK ? 0 : failed(e, what, err);
}

int confdb_write(struct confdb *db, const struct conf_entries *entries,
                 const uint8_t hash[CONFDB_HASH_BYTES], const char *by, int64_t now_us,
                 uint64_t *generation, struct errbuf *e)
{
    struct confdb_generation g = {.written_us = now_us};
    struct store_txn *t;
    memcpy(g.hash, hash, sizeof g.hash);
    snprintf(g.by, sizeof g.by, "%s", by);
    enum store_err err = store_write_begin(db->store, &t);
    if (err != STORE_OK)
        return failed(e, "write", err);
    err = write_generation(t, entries, &g);
    *generation = g.generation;
    return finish(t, err, "write", e);
}

int confdb_activate(struct confdb *db, uint64_t generation, int64_t now_us, struct errbuf *e)
{
    struct confdb_generation g;
    uint64_t be = htobe64(generation);
    struct store_txn *t;
    enum store_err err = store_write_begin(db->store, &t);
    if (err != STORE_OK)
        return failed(e, "write", err);
    err = get_generation(t, generation, &g);
    if (err == STORE_OK) {
        g.activated_us = now_us;
        err = put_generation(t, &g);
    }
    if (err == STORE_OK)
        err = store_put(t, DB_META, SLICE_LIT("active"), BYTES_OF(be), 0);
    return finish(t, err, "activate", e);
}

int confdb_discard(struct confdb *db, uint64_t generation, struct errbuf *e)
{
    struct confdb_generation g;
    struct store_txn *t;
    enum store_err err = store_write_begin(db->store, &t);
    if (err != STORE_OK)
        return failed(e, "write", err);
    err = get_generation(t, generation, &g);
    if (err == STORE_OK && !g.activated_us)
        err = del_generation(t, &g);
    return finish(t, err == STORE_NOTFOUND ? STORE_OK : err, "discard", e);
}

int confdb_salt(struct confdb *db, uint8_t out[CONFDB_SALT_BYTES], struct errbuf *e)
{
    struct store_txn *t;
    struct slice v;
    enum store_err err = store_write_begin(db->store, &t);
    if (err != STORE_OK)
        return failed(e, "write", err);
    err = store_get(t, DB_META, SLICE_LIT("salt"), &v);
    if (err == STORE_OK && v.n == CONFDB_SALT_BYTES) {
        memcpy(out, v.p, CONFDB_SALT_BYTES);
    } else if (err == STORE_NOTFOUND) {
        crypto_random(out, CONFDB_SALT_BYTES);
        err = store_put(t, DB_META, SLICE_LIT("salt"),
                        slice_of((const char *)out, CONFDB_SALT_BYTES), 0);
    } else if (err == STORE_OK) {
        err = STORE_CORRUPT;
    }
    return finish(t, err, "salt", e);
}
