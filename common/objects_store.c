/*
 * objects_store.c: object records in LMDB.
 *
 * Databases of `state`:
 * - objects: kind (1), owner (16), credential (8), id (16) -> record. Owner, credential and id are
 *   the beginnings of SHA-256 digests; the record has them in full.
 * - object_expiry: expires_us, big endian (8), key in objects -> nothing.
 * - object_bills: key in objects of what is SETTLING -> record.
 */
#include "common/objects_store.h"

#include "common/crypto.h"
#include "common/state_db.h"

#include <endian.h>

enum {
    OWNER_AT = 1,
    CREDENTIAL_AT = OWNER_AT + OBJECT_OWNER_BYTES,
    CREDENTIAL_BYTES = 8,
    ID_AT = CREDENTIAL_AT + CREDENTIAL_BYTES,
    ID_BYTES = 16,
    EXPIRY_BYTES = 8,
};
_Static_assert(ID_AT + ID_BYTES == OBJECTS_KEY_BYTES, "key format");

struct key {
    uint8_t b[OBJECTS_KEY_BYTES];
};

static struct slice key_slice(const struct key *k)
{
    return slice_of((const char *)k->b, sizeof k->b);
}

static void put_digest(uint8_t *out, size_t n, struct slice s)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_sha256(s.p, s.n, digest);
    memcpy(out, digest, n);
}

static void key_begin(struct key *k, enum object_kind kind, const struct object_owner *owner)
{
    memset(k, 0, sizeof *k);
    k->b[0] = (uint8_t)kind;
    memcpy(k->b + OWNER_AT, owner->digest, sizeof owner->digest);
}

static void key_of(const struct object_record *r, struct key *k)
{
    struct object_owner owner;
    object_record_owner(r, &owner);
    key_begin(k, (enum object_kind)r->kind, &owner);
    put_digest(k->b + CREDENTIAL_AT, CREDENTIAL_BYTES, object_name(r, OBJECT_CREDENTIAL));
    put_digest(k->b + ID_AT, ID_BYTES, object_name(r, OBJECT_ID));
}

static enum store_err get(struct store_txn *t, const struct key *k, struct object_record *out)
{
    struct slice v;
    enum store_err err = store_get(t, STATE_DB_OBJECTS, key_slice(k), &v);
    if (err == STORE_OK && !object_record_decode(v.p, v.n, out))
        return STORE_CORRUPT;
    return err;
}

/* ---- the request path ---- */

/* Puts the cursor on the first record of the next credential of k's owner and k's credential to it.
 */
static enum store_err next_credential(struct store_cursor *c, struct key *k, bool first,
                                      struct slice *v)
{
    uint8_t from[OBJECTS_KEY_BYTES + 1];
    struct slice at;
    memcpy(from, k->b, ID_AT);
    memset(from + ID_AT, first ? 0 : 0xff, sizeof from - ID_AT);
    enum store_err err = store_cursor_seek(c, slice_of((char *)from, sizeof from), &at, v);
    if (err != STORE_OK)
        return err;
    if (at.n != sizeof k->b || memcmp(at.p, k->b, CREDENTIAL_AT) != 0)
        return STORE_NOTFOUND;
    memcpy(k->b + CREDENTIAL_AT, at.p + CREDENTIAL_AT, CREDENTIAL_BYTES);
    return STORE_OK;
}

static enum store_err find(struct store_txn *t, struct key *k, struct slice id,
                           struct object_record *out)
{
    struct store_cursor *c;
    struct slice v;
    enum store_err err = store_cursor_open(t, STATE_DB_OBJECTS, &c);
    if (err != STORE_OK)
        return err;
    for (err = next_credential(c, k, true, &v); err == STORE_OK;
         err = next_credential(c, k, false, &v)) {
        put_digest(k->b + ID_AT, ID_BYTES, id);
        err = get(t, k, out);
        if (err == STORE_OK && slice_eq(object_name(out, OBJECT_ID), id))
            break;
        if (err != STORE_OK && err != STORE_NOTFOUND)
            break;
    }
    store_cursor_close(c);
    return err;
}

enum store_err objects_find(struct store_txn *reader, enum object_kind kind,
                            const struct object_owner *owner, struct slice id,
                            struct object_record *out)
{
    struct key k;
    key_begin(&k, kind, owner);
    enum store_err err = store_read_begin(reader);
    if (err != STORE_OK)
        return err;
    err = find(reader, &k, id, out);
    store_read_end(reader);
    return err;
}

enum store_err objects_each_credential(struct store_txn *reader, enum object_kind kind,
                                       const struct object_owner *owner, objects_credential_fn fn,
                                       void *arg)
{
    struct store_cursor *c;
    struct object_record r;
    struct key k;
    struct slice v;
    key_begin(&k, kind, owner);
    enum store_err err = store_read_begin(reader);
    if (err != STORE_OK)
        return err;
    err = store_cursor_open(reader, STATE_DB_OBJECTS, &c);
    if (err == STORE_OK) {
        for (err = next_credential(c, &k, true, &v); err == STORE_OK;
             err = next_credential(c, &k, false, &v))
            if (object_record_decode(v.p, v.n, &r))
                fn(arg, &r);
        store_cursor_close(c);
    }
    store_read_end(reader);
    return err == STORE_NOTFOUND ? STORE_OK : err;
}

/* ---- changes ---- */

static struct slice expiry_key(uint8_t out[EXPIRY_BYTES + OBJECTS_KEY_BYTES], int64_t expires_us,
                               const struct key *k)
{
    uint64_t at = htobe64((uint64_t)expires_us);
    memcpy(out, &at, EXPIRY_BYTES);
    memcpy(out + EXPIRY_BYTES, k->b, sizeof k->b);
    return slice_of((char *)out, EXPIRY_BYTES + OBJECTS_KEY_BYTES);
}

static enum store_err gone_is_fine(enum store_err err)
{
    return err == STORE_NOTFOUND ? STORE_OK : err;
}

static enum store_err drop_expiry(struct store_txn *t, const struct key *k, int64_t expires_us)
{
    uint8_t room[EXPIRY_BYTES + OBJECTS_KEY_BYTES];
    if (expires_us == 0)
        return STORE_OK;
    return gone_is_fine(store_del(t, STATE_DB_OBJECT_EXPIRY, expiry_key(room, expires_us, k)));
}

static enum store_err put(struct store_txn *t, const struct key *k, const struct object_record *r)
{
    uint8_t room[EXPIRY_BYTES + OBJECTS_KEY_BYTES];
    enum store_err err = store_put(t, STATE_DB_OBJECTS, key_slice(k),
                                   slice_of((const char *)r, object_record_bytes(r)), 0);
    if (err == STORE_OK && r->expires_us)
        err = store_put(t, STATE_DB_OBJECT_EXPIRY, expiry_key(room, r->expires_us, k),
                        SLICE_LIT(""), 0);
    return err;
}

static enum store_err add(struct store_txn *t, const struct key *k, const struct object_record *r)
{
    struct object_record was, now = *r;
    enum store_err err = get(t, k, &was);
    now.change = 0;
    if (err == STORE_OK) {
        now = was;
        now.expires_us = r->expires_us;
        if (was.state == OBJECT_PLAIN && r->state == OBJECT_OPEN) {
            now.state = OBJECT_OPEN;
            memcpy(now.usage, r->usage, sizeof now.usage);
        }
        err = drop_expiry(t, k, was.expires_us);
    }
    return err == STORE_OK || err == STORE_NOTFOUND ? put(t, k, &now) : err;
}

static enum store_err drop(struct store_txn *t, const struct key *k)
{
    struct object_record was;
    enum store_err err = get(t, k, &was);
    if (err == STORE_OK)
        err = drop_expiry(t, k, was.expires_us);
    return err == STORE_OK ? store_del(t, STATE_DB_OBJECTS, key_slice(k)) : err;
}

static enum store_err put_bill(struct store_txn *t, const struct key *k,
                               const struct object_record *r)
{
    return store_put(t, STATE_DB_OBJECT_BILLS, key_slice(k),
                     slice_of((const char *)r, object_record_bytes(r)), 0);
}

static enum store_err settle(struct store_txn *t, const struct key *k,
                             const struct object_record *r)
{
    struct object_record was;
    enum store_err err = get(t, k, &was);
    if (err != STORE_OK || was.state != OBJECT_OPEN)
        return err;
    was.state = OBJECT_SETTLING;
    was.flags |= r->flags & OBJECT_F_ESTIMATED;
    memcpy(was.usage, r->usage, sizeof was.usage);
    err = put(t, k, &was);
    return err == STORE_OK ? put_bill(t, k, &was) : err;
}

enum store_err objects_apply(struct store_txn *t, const struct object_record *r)
{
    struct key k;
    key_of(r, &k);
    switch ((enum object_change)r->change) {
    case OBJECT_ADD:
        return add(t, &k, r);
    case OBJECT_REMOVE:
        return drop(t, &k);
    case OBJECT_SETTLE:
        return settle(t, &k, r);
    }
    return STORE_REFUSED;
}

/* An OPEN one goes with a bill of its bound: nobody can ask for its figures any more. */
static enum store_err expire(struct store_txn *t, const struct key *k, uint32_t *unsettled)
{
    struct object_record r;
    enum store_err err = get(t, k, &r);
    if (err == STORE_OK && r.state == OBJECT_OPEN) {
        r.state = OBJECT_SETTLING;
        r.flags |= OBJECT_F_ESTIMATED;
        err = put_bill(t, k, &r);
        (*unsettled)++;
    }
    if (err != STORE_OK && err != STORE_CORRUPT)
        return gone_is_fine(err);
    return gone_is_fine(store_del(t, STATE_DB_OBJECTS, key_slice(k)));
}

enum store_err objects_prune(struct store_txn *t, int64_t now_wall_us, uint32_t max,
                             uint32_t *pruned, uint32_t *unsettled)
{
    struct store_cursor *c;
    struct slice at, v;
    struct key k;
    uint64_t expires;
    *pruned = *unsettled = 0;
    enum store_err err = store_cursor_open(t, STATE_DB_OBJECT_EXPIRY, &c);
    if (err != STORE_OK)
        return err;
    for (err = store_cursor_seek(c, SLICE_LIT(""), &at, &v); err == STORE_OK && *pruned < max;
         err = store_cursor_next(c, &at, &v)) {
        if (at.n != EXPIRY_BYTES + OBJECTS_KEY_BYTES) {
            err = STORE_CORRUPT;
            break;
        }
        memcpy(&expires, at.p, EXPIRY_BYTES);
        if ((int64_t)be64toh(expires) > now_wall_us)
            break;
        memcpy(k.b, at.p + EXPIRY_BYTES, sizeof k.b);
        err = expire(t, &k, unsettled);
        if (err == STORE_OK)
            err = store_cursor_del(c);
        if (err != STORE_OK)
            break;
        (*pruned)++;
    }
    store_cursor_close(c);
    return gone_is_fine(err);
}

enum store_err objects_billed(struct store_txn *t, const struct object_record *r,
                              int64_t now_wall_us)
{
    struct object_record was;
    struct key k;
    key_of(r, &k);
    enum store_err err = get(t, &k, &was);
    if (err == STORE_OK) {
        was.state = OBJECT_SETTLED;
        was.settled_us = now_wall_us;
        err = put(t, &k, &was);
    }
    if (err != STORE_OK && err != STORE_NOTFOUND && err != STORE_CORRUPT)
        return err;
    return gone_is_fine(store_del(t, STATE_DB_OBJECT_BILLS, key_slice(&k)));
}

enum store_err objects_next_bill(struct store_txn *t, struct object_record *out,
                                 uint32_t *malformed)
{
    struct store_cursor *c;
    struct slice at, v;
    enum store_err err = store_cursor_open(t, STATE_DB_OBJECT_BILLS, &c);
    if (err != STORE_OK)
        return err;
    *malformed = 0;
    err = store_cursor_seek(c, SLICE_LIT(""), &at, &v);
    while (err == STORE_OK && !object_record_decode(v.p, v.n, out)) {
        (*malformed)++;
        err = store_cursor_next(c, &at, &v);
    }
    store_cursor_close(c);
    return err;
}

/* ---- the admin path ---- */

enum store_err objects_each(struct store_txn *reader, struct slice after, objects_record_fn fn,
                            void *arg)
{
    struct store_cursor *c;
    struct object_record r;
    struct slice at, v;
    bool more = true;
    enum store_err err = store_read_begin(reader);
    if (err != STORE_OK)
        return err;
    err = store_cursor_open(reader, STATE_DB_OBJECTS, &c);
    if (err == STORE_OK) {
        for (err = store_cursor_seek(c, after, &at, &v); err == STORE_OK && more;
             err = store_cursor_next(c, &at, &v))
            if (!slice_eq(at, after) && object_record_decode(v.p, v.n, &r))
                more = fn(arg, at, &r);
        store_cursor_close(c);
    }
    store_read_end(reader);
    return gone_is_fine(err);
}
