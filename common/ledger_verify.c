/*
 * ledger_verify.c: the full check of the ledger.
 *
 * Goes through the records in chunks, a read transaction each, while the writer goes on. A day's
 * roll-ups are compared when the first record of a later day is seen (commit times never go back,
 * so they are final then); those of the last day within the transaction that saw the end.
 */
#include "common/check.h"
#include "common/ledger_internal.h"

#include <inttypes.h>
#include <stdlib.h>

enum { CHUNK = 4096 };

struct day_sum {
    uint8_t key[LEDGER_ROLLUP_KEY_BYTES];
    bool used;
    struct ledger_totals totals;
};

struct verifier {
    struct store_txn *txn;
    struct ledger_verified *out;
    struct errbuf *e;
    struct ledger_mark anchor;
    struct ledger_position last;
    uint32_t day; /* whose sums are being made; 0 none */
    struct day_sum *sums;
    size_t sums_used, sums_size; /* size is a power of two */
};

static enum store_err bad(struct verifier *v, const struct ledger_position *at, const char *what)
{
    err_set(v->e, "ledger record %" PRIu64 ": %s", at->seq, what);
    return STORE_CORRUPT;
}

static struct day_sum *sum_of(struct verifier *v, const uint8_t key[LEDGER_ROLLUP_KEY_BYTES])
{
    uint64_t h;
    memcpy(&h, key + 4, sizeof h); /* of a SHA-256: spread well enough */
    for (size_t at = h & (v->sums_size - 1);; at = (at + 1) & (v->sums_size - 1)) {
        struct day_sum *s = &v->sums[at];
        if (!s->used || memcmp(s->key, key, sizeof s->key) == 0)
            return s;
    }
}

static void grow_sums(struct verifier *v)
{
    struct day_sum *old = v->sums;
    size_t old_size = v->sums_size;
    v->sums_size = old_size ? old_size * 2 : 256;
    v->sums = gw_xcalloc(v->sums_size, sizeof *v->sums);
    for (size_t i = 0; i < old_size; i++)
        if (old[i].used)
            *sum_of(v, old[i].key) = old[i];
    free(old);
}

static void add_to_day(struct verifier *v, const struct ledger_entry *entry)
{
    struct ledger_identity id;
    struct ledger_totals one;
    uint8_t key[LEDGER_ROLLUP_KEY_BYTES];
    if (v->sums_used * 2 >= v->sums_size)
        grow_sums(v);
    ledger_identity_of(&entry->body, &id);
    ledger_rollup_key(v->day, &id, key);
    ledger_totals_of(&entry->body, &one);
    struct day_sum *s = sum_of(v, key);
    if (!s->used) {
        s->used = true;
        v->sums_used++;
        memcpy(s->key, key, sizeof s->key);
    }
    ledger_totals_add(&s->totals, &one);
    ledger_totals_add(&v->out->totals, &one);
}

static enum store_err compare_rollups(struct verifier *v, struct store_cursor *c)
{
    uint32_t be_day = __builtin_bswap32(v->day);
    struct slice k, val;
    struct ledger_rollup r;
    size_t found = 0;
    enum store_err err = store_cursor_seek(c, slice_of((char *)&be_day, sizeof be_day), &k, &val);
    for (; err == STORE_OK && k.n >= 4 && memcmp(k.p, &be_day, 4) == 0; found++) {
        if (!ledger_rollup_decode(k, val, &r)) {
            err_set(v->e, "a roll-up of day %u is malformed", v->day);
            return STORE_CORRUPT;
        }
        const struct day_sum *s = sum_of(v, (const uint8_t *)k.p);
        if (!s->used || memcmp(&s->totals, &r.totals, sizeof r.totals) != 0) {
            err_set(v->e,
                    "the roll-up of day %u, key %.*s, model %.*s says %" PRId64 " nUSD in %" PRId64
                    " attempts, its records say %" PRId64 " in %" PRId64,
                    v->day, SLICE_FMT(r.names[LEDGER_KEY]), SLICE_FMT(r.names[LEDGER_MODEL]),
                    r.totals.cost_nusd, r.totals.attempts, s->totals.cost_nusd, s->totals.attempts);
            return STORE_CORRUPT;
        }
        err = store_cursor_next(c, &k, &val);
    }
    if (err != STORE_OK && err != STORE_NOTFOUND)
        return err;
    if (found != v->sums_used) {
        err_set(v->e, "day %u has %zu roll-ups, its records need %zu", v->day, found, v->sums_used);
        return STORE_CORRUPT;
    }
    return STORE_OK;
}

static enum store_err end_day(struct verifier *v)
{
    struct store_cursor *c;
    enum store_err err = STORE_OK;
    /* Of a day that retention has begun to delete the records are not all there. */
    if (v->day != 0 && (v->anchor.seq == 0 || v->day > ledger_day(v->anchor.committed_us))) {
        err = store_cursor_open(v->txn, LDB_ROLLUPS, &c);
        if (err == STORE_OK) {
            err = compare_rollups(v, c);
            store_cursor_close(c);
        }
        v->out->days += err == STORE_OK;
    }
    if (v->sums)
        memset(v->sums, 0, v->sums_size * sizeof *v->sums);
    v->sums_used = 0;
    return err;
}

static enum store_err check_entry(struct verifier *v, struct slice k, struct slice val)
{
    struct ledger_entry entry;
    uint8_t hash[LEDGER_HASH_BYTES], id[LEDGER_RECORD_ID_BYTES];
    struct slice indexed;
    if (!ledger_entry_decode(k, val, &entry)) {
        struct ledger_position next = {0, v->last.seq + 1};
        return bad(v, &next, "malformed");
    }
    if (entry.at.seq != v->last.seq + 1)
        return bad(v, &entry.at, "a record before it is missing");
    if (entry.at.committed_us < v->last.committed_us)
        return bad(v, &entry.at, "its time is before that of the record before it");
    ledger_chain(v->out->head, (const uint8_t *)k.p,
                 slice_of(val.p + LEDGER_HASH_BYTES, val.n - LEDGER_HASH_BYTES), hash);
    if (memcmp(hash, entry.hash, sizeof hash) != 0)
        return bad(v, &entry.at, "its hash doesn't follow from it and the record before it");
    ledger_record_id(&entry.body, id);
    if (store_get(v->txn, LDB_IDS, slice_of((char *)id, sizeof id), &indexed) != STORE_OK ||
        !slice_eq(indexed, k))
        return bad(v, &entry.at, "the index of ids doesn't know it");
    uint32_t day = ledger_day(entry.at.committed_us);
    if (day != v->day) {
        enum store_err err = end_day(v);
        if (err != STORE_OK)
            return err;
        v->day = day;
    }
    add_to_day(v, &entry);
    if (v->out->records++ == 0)
        v->out->first_seq = entry.at.seq;
    v->out->last_seq = entry.at.seq;
    memcpy(v->out->head, hash, sizeof hash);
    v->last = entry.at;
    return STORE_OK;
}

/* What only the transaction that sees the last record can say. */
static enum store_err check_end(struct verifier *v)
{
    struct ledger_mark head;
    uint64_t records, ids;
    enum store_err err = ledger_mark_get(v->txn, "head", &head);
    if (err == STORE_OK &&
        (head.seq != v->last.seq || memcmp(head.hash, v->out->head, sizeof head.hash) != 0)) {
        err_set(v->e, "the ledger ends at record %" PRIu64 ", its head names %" PRIu64, v->last.seq,
                head.seq);
        return STORE_CORRUPT;
    }
    if (err == STORE_OK)
        err = end_day(v);
    if (err == STORE_OK)
        err = store_count(v->txn, LDB_RECORDS, &records);
    if (err == STORE_OK)
        err = store_count(v->txn, LDB_IDS, &ids);
    if (err == STORE_OK && records != ids) {
        err_set(v->e, "%" PRIu64 " records, but %" PRIu64 " ids in the index", records, ids);
        return STORE_CORRUPT;
    }
    return err;
}

static enum store_err check_chunk(struct verifier *v, bool *end)
{
    struct store_cursor *c;
    struct slice k, val;
    uint8_t key[LEDGER_KEY_BYTES];
    ledger_key_encode(&v->last, key);
    enum store_err err = store_cursor_open(v->txn, LDB_RECORDS, &c);
    if (err != STORE_OK)
        return err;
    err = store_cursor_seek(c, slice_of((char *)key, sizeof key), &k, &val);
    if (err == STORE_OK && k.n == sizeof key && memcmp(k.p, key, sizeof key) == 0)
        err = store_cursor_next(c, &k, &val);
    for (int n = 0; err == STORE_OK && n < CHUNK; n++) {
        err = check_entry(v, k, val);
        if (err == STORE_OK)
            err = store_cursor_next(c, &k, &val);
    }
    store_cursor_close(c);
    *end = err == STORE_NOTFOUND;
    return *end ? check_end(v) : err;
}

enum store_err ledger_verify(struct store_txn *reader, struct ledger_verified *out,
                             struct errbuf *e)
{
    struct verifier v = {.txn = reader, .out = out, .e = e};
    bool end = false, first = true;
    enum store_err err = STORE_OK;
    *out = (struct ledger_verified){0};
    err_set(e, "%s", "");
    while (err == STORE_OK && !end) {
        err = store_read_begin(reader);
        if (err != STORE_OK)
            break;
        if (first)
            err = ledger_mark_get(reader, "anchor", &v.anchor);
        if (first) {
            memcpy(out->head, v.anchor.hash, sizeof out->head);
            v.last = (struct ledger_position){v.anchor.committed_us, v.anchor.seq};
            first = false;
        }
        if (err == STORE_OK)
            err = check_chunk(&v, &end);
        store_read_end(reader);
    }
    free(v.sums);
    if (err != STORE_OK && e && e->msg[0] == '\0')
        err_set(e, "cannot read the ledger: %s", store_err_text(err));
    return err;
}
