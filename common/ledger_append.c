/*
 * ledger_append.c: writing the ledger: records, id index, intents, roll-ups, retention.
 *
 * Everything of a batch is one transaction, so chain, index and roll-ups can't disagree. Roll-ups
 * are summed in memory per batch and written once per combination of names.
 */
#include "common/check.h"
#include "common/ledger_internal.h"

#include <stdlib.h>

enum { SUMS = 1024 }; /* combinations of names per flush; a power of two */

struct sum {
    bool used;
    uint16_t name_bytes[LEDGER_NAME_MAX];
    uint16_t names_bytes;
    struct ledger_totals totals;
    char names[LEDGER_NAMES_BYTES];
};

struct ledger_appender {
    struct store *store;
    struct store_txn *txn; /* of the open batch */
    struct ledger_mark head;
    struct ledger_position at; /* commit time of the batch, sequence number of its last record */
    uint64_t intents;          /* in the database, so that most appends need not look */
    unsigned sums_used;
    struct sum sums[SUMS];
};

enum store_err ledger_appender_new(struct store *s, struct ledger_appender **out)
{
    struct ledger_appender *a = gw_xcalloc(1, sizeof *a);
    a->store = s;
    *out = a;
    return STORE_OK;
}

void ledger_appender_free(struct ledger_appender *a)
{
    if (!a)
        return;
    if (a->txn)
        ledger_rollback(a);
    free(a);
}

static void forget_sums(struct ledger_appender *a)
{
    for (unsigned i = 0; a->sums_used > 0 && i < SUMS; i++)
        a->sums[i].used = false;
    a->sums_used = 0;
}

enum store_err ledger_begin(struct ledger_appender *a, int64_t now_wall_us)
{
    GW_REQUIRE(a->txn == NULL);
    enum store_err err = store_write_begin(a->store, &a->txn);
    if (err != STORE_OK)
        return err;
    err = ledger_mark_get(a->txn, "head", &a->head);
    if (err == STORE_OK)
        err = store_count(a->txn, LDB_INTENTS, &a->intents);
    if (err != STORE_OK) {
        ledger_rollback(a);
        return err;
    }
    /* A clock that was set back doesn't take the ledger with it. */
    a->at.committed_us = GW_MAX(now_wall_us, a->head.committed_us);
    a->at.seq = a->head.seq;
    return STORE_OK;
}

void ledger_rollback(struct ledger_appender *a)
{
    store_abort(a->txn);
    a->txn = NULL;
    forget_sums(a);
}

/* --- roll-ups -----------------------------------------------------------------------------------
 */

static enum store_err flush_sum(struct ledger_appender *a, const struct sum *s)
{
    struct ledger_identity id = {.names = slice_of(s->names, s->names_bytes)};
    uint8_t key_bytes[LEDGER_ROLLUP_KEY_BYTES];
    struct ledger_rollup old;
    struct slice v;
    void *room;
    memcpy(id.name_bytes, s->name_bytes, sizeof id.name_bytes);
    ledger_rollup_key(ledger_day(a->at.committed_us), &id, key_bytes);
    struct slice key = slice_of((char *)key_bytes, sizeof key_bytes);
    struct ledger_rollup_disk d = {
        .version = LEDGER_ROLLUP_VERSION,
        .fixed_bytes = sizeof d,
        .names_bytes = s->names_bytes,
        .totals = s->totals,
    };
    memcpy(d.name_bytes, s->name_bytes, sizeof d.name_bytes);
    enum store_err err = store_get(a->txn, LDB_ROLLUPS, key, &v);
    if (err == STORE_OK) {
        if (!ledger_rollup_decode(key, v, &old))
            return STORE_CORRUPT;
        ledger_totals_add(&d.totals, &old.totals);
    } else if (err != STORE_NOTFOUND) {
        return err;
    }
    err = store_put_reserve(a->txn, LDB_ROLLUPS, key, sizeof d + s->names_bytes, 0, &room);
    if (err != STORE_OK)
        return err;
    memcpy(room, &d, sizeof d);
    memcpy((char *)room + sizeof d, s->names, s->names_bytes);
    return STORE_OK;
}

static enum store_err flush_sums(struct ledger_appender *a)
{
    enum store_err err = STORE_OK;
    for (unsigned i = 0; err == STORE_OK && a->sums_used > 0 && i < SUMS; i++)
        if (a->sums[i].used)
            err = flush_sum(a, &a->sums[i]);
    forget_sums(a);
    return err;
}

static enum store_err add_to_sums(struct ledger_appender *a, const struct ledger_body *b)
{
    struct ledger_identity id;
    struct ledger_totals one;
    if (a->sums_used > SUMS / 4 * 3) {
        enum store_err err = flush_sums(a);
        if (err != STORE_OK)
            return err;
    }
    ledger_identity_of(b, &id);
    ledger_totals_of(b, &one);
    size_t at = slice_hash(id.names) & (SUMS - 1);
    struct sum *s;
    for (;; at = (at + 1) & (SUMS - 1)) {
        s = &a->sums[at];
        if (!s->used)
            break;
        if (memcmp(s->name_bytes, id.name_bytes, sizeof s->name_bytes) == 0 &&
            slice_eq(slice_of(s->names, s->names_bytes), id.names)) {
            ledger_totals_add(&s->totals, &one);
            return STORE_OK;
        }
    }
    s->used = true;
    a->sums_used++;
    memcpy(s->name_bytes, id.name_bytes, sizeof s->name_bytes);
    s->names_bytes = (uint16_t)id.names.n;
    memcpy(s->names, id.names.p, id.names.n);
    s->totals = one;
    return STORE_OK;
}

/* --- records and intents ------------------------------------------------------------------------
 */

static struct slice id_slice(const struct ledger_body *b, uint8_t room[LEDGER_RECORD_ID_BYTES])
{
    ledger_record_id(b, room);
    return slice_of((char *)room, LEDGER_RECORD_ID_BYTES);
}

static enum store_err drop_intent(struct ledger_appender *a, struct slice id)
{
    if (a->intents == 0)
        return STORE_OK;
    enum store_err err = store_del(a->txn, LDB_INTENTS, id);
    if (err == STORE_OK)
        a->intents--;
    return err == STORE_NOTFOUND ? STORE_OK : err;
}

enum store_err ledger_append(struct ledger_appender *a, const struct ledger_body *body)
{
    uint8_t id_room[LEDGER_RECORD_ID_BYTES], key_bytes[LEDGER_KEY_BYTES];
    void *room;
    size_t n = ledger_body_bytes(body);
    GW_REQUIRE(a->txn != NULL);
    if (gw_fails(n <= LEDGER_BODY_MAX && ledger_body_valid(body, n)))
        return STORE_REFUSED;
    struct slice id = id_slice(body, id_room);
    struct ledger_position at = {a->at.committed_us, a->at.seq + 1};
    ledger_key_encode(&at, key_bytes);
    struct slice key = slice_of((char *)key_bytes, sizeof key_bytes);

    enum store_err err = store_put(a->txn, LDB_IDS, id, key, STORE_PUT_NEW);
    if (err == STORE_EXISTS)
        return drop_intent(a, id) == STORE_OK ? STORE_EXISTS : STORE_IO;
    if (err == STORE_OK)
        err = store_put_reserve(a->txn, LDB_RECORDS, key, LEDGER_HASH_BYTES + n, STORE_PUT_APPEND,
                                &room);
    if (err != STORE_OK) /* a key behind the head: the caller must not take it for a double */
        return err == STORE_EXISTS ? STORE_CORRUPT : err;
    a->at = at;
    ledger_chain(a->head.hash, key_bytes, slice_of((const char *)body, n), a->head.hash);
    memcpy(room, a->head.hash, LEDGER_HASH_BYTES);
    memcpy((char *)room + LEDGER_HASH_BYTES, body, n);
    err = drop_intent(a, id);
    return err == STORE_OK ? add_to_sums(a, body) : err;
}

enum store_err ledger_put_intent(struct ledger_appender *a, const struct ledger_body *body)
{
    uint8_t id_room[LEDGER_RECORD_ID_BYTES];
    size_t n = ledger_body_bytes(body);
    if (gw_fails(n <= LEDGER_BODY_MAX && ledger_body_valid(body, n)))
        return STORE_REFUSED;
    enum store_err err = store_put(a->txn, LDB_INTENTS, id_slice(body, id_room),
                                   slice_of((const char *)body, n), STORE_PUT_NEW);
    if (err == STORE_OK)
        a->intents++;
    return err == STORE_EXISTS ? STORE_OK : err;
}

enum store_err ledger_drop_intent(struct ledger_appender *a, const struct ledger_body *body)
{
    uint8_t id_room[LEDGER_RECORD_ID_BYTES];
    return drop_intent(a, id_slice(body, id_room));
}

enum store_err ledger_quarantine(struct ledger_appender *a, struct slice raw)
{
    uint64_t before;
    uint8_t key[LEDGER_KEY_BYTES];
    enum store_err err = store_count(a->txn, LDB_QUARANTINE, &before);
    if (err != STORE_OK)
        return err;
    ledger_key_encode(&(struct ledger_position){a->at.committed_us, before + 1}, key);
    return store_put(a->txn, LDB_QUARANTINE, slice_of((char *)key, sizeof key), raw, 0);
}

static enum store_err quarantine_intent(struct ledger_appender *a, struct store_cursor *c,
                                        struct slice v)
{
    char room[LEDGER_BODY_MAX];
    size_t n = GW_MIN(v.n, sizeof room);
    memcpy(room, v.p, n); /* the page may move under the put */
    enum store_err err = ledger_quarantine(a, slice_of(room, n));
    if (err == STORE_OK)
        err = store_cursor_del(c);
    if (err == STORE_OK)
        a->intents--;
    return err;
}

enum store_err ledger_settle_intents(struct ledger_appender *a, ledger_alive_fn alive, void *arg,
                                     uint32_t *settled, uint32_t *quarantined)
{
    struct store_cursor *c;
    struct slice id, v;
    struct ledger_entry lost;
    *settled = *quarantined = 0;
    enum store_err err = store_cursor_open(a->txn, LDB_INTENTS, &c);
    if (err != STORE_OK)
        return err;
    for (err = store_cursor_seek(c, SLICE_LIT(""), &id, &v); err == STORE_OK;
         err = store_cursor_next(c, &id, &v)) {
        if (id.n != LEDGER_RECORD_ID_BYTES || v.n > sizeof lost.room ||
            !ledger_body_valid(v.p, v.n)) {
            err = quarantine_intent(a, c, v);
            if (err != STORE_OK)
                break;
            (*quarantined)++;
            continue;
        }
        if (alive(arg, (const uint8_t *)id.p))
            continue;
        memcpy(lost.room, v.p, v.n);
        /* Already deleted here: the append need not look for it. */
        uint64_t before = a->intents;
        err = store_cursor_del(c);
        if (err != STORE_OK)
            break;
        a->intents = 0;
        err = ledger_append(a, &lost.body);
        a->intents = before - 1;
        if (err == STORE_OK)
            (*settled)++;
        else if (err != STORE_EXISTS)
            break;
    }
    store_cursor_close(c);
    return err == STORE_NOTFOUND ? STORE_OK : err;
}

enum store_err ledger_drop_before(struct ledger_appender *a, uint32_t day, uint32_t max,
                                  uint32_t *dropped)
{
    struct store_cursor *c;
    struct slice k, v;
    struct ledger_entry entry;
    struct ledger_mark anchor = {0};
    uint8_t id_room[LEDGER_RECORD_ID_BYTES];
    *dropped = 0;
    enum store_err err = store_cursor_open(a->txn, LDB_RECORDS, &c);
    if (err != STORE_OK)
        return err;
    for (err = store_cursor_seek(c, SLICE_LIT(""), &k, &v); err == STORE_OK && *dropped < max;
         err = store_cursor_next(c, &k, &v)) {
        if (!ledger_entry_decode(k, v, &entry)) {
            err = STORE_CORRUPT;
            break;
        }
        if (ledger_day(entry.at.committed_us) >= day)
            break;
        anchor.seq = entry.at.seq;
        anchor.committed_us = entry.at.committed_us;
        memcpy(anchor.hash, entry.hash, sizeof anchor.hash);
        err = store_del(a->txn, LDB_IDS, id_slice(&entry.body, id_room));
        if (err == STORE_OK)
            err = store_cursor_del(c);
        if (err != STORE_OK)
            break;
        (*dropped)++;
    }
    store_cursor_close(c);
    if (err == STORE_NOTFOUND)
        err = STORE_OK;
    if (err == STORE_OK && *dropped > 0)
        err = store_put(a->txn, LDB_META, SLICE_LIT("anchor"),
                        slice_of((char *)&anchor, sizeof anchor), 0);
    return err;
}

enum store_err ledger_commit(struct ledger_appender *a)
{
    GW_REQUIRE(a->txn != NULL);
    enum store_err err = flush_sums(a);
    if (err == STORE_OK && a->at.seq != a->head.seq) {
        a->head.seq = a->at.seq;
        a->head.committed_us = a->at.committed_us;
        err = store_put(a->txn, LDB_META, SLICE_LIT("head"),
                        slice_of((char *)&a->head, sizeof a->head), 0);
    }
    if (err != STORE_OK) {
        ledger_rollback(a);
        return err;
    }
    err = store_commit(a->txn);
    a->txn = NULL;
    return err;
}
