/*
 * keystore.c: virtual keys in LMDB, and their audit trail.
 *
 * Databases of the environment `state` (state_db.h has the others):
 *   keys     key id -> record
 *   digests  SHA-256 -> the part of the record that a request needs, once for each digest of a key
 *   names    name -> key id
 *   audit    sequence number, big endian -> who, what, record before, record after
 * The four change in one transaction. A record is struct disk_record, the digests, the fields.
 *
 * It doesn't decide who may change keys, and it never sees a key's text.
 */
#include "common/keystore.h"

#include "common/check.h"
#include "common/state_db.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    DB_KEYS = STATE_DB_KEYS,
    DB_DIGESTS = STATE_DB_DIGESTS,
    DB_NAMES = STATE_DB_NAMES,
    DB_AUDIT = STATE_DB_AUDIT,
};
static const char *const db_names[STATE_DB_COUNT] = {
#define X(id, name) [STATE_DB_##id] = name,
    STATE_DBS(X)
#undef X
};

enum { STATE_SCHEMA = 1, RECORD_VERSION = 1 };
static const size_t STATE_MAP_BYTES = (size_t)4 << 30;

enum field { NAME, TEAM, CUSTOMER, MODELS, TAGS, METADATA, LIMITS, FIELD_COUNT, FIELD_MAX = 8 };
enum { FLAG_DISABLED = 1 };

struct disk_record {
    uint16_t version;
    uint16_t fixed_bytes;
    uint32_t flags;
    uint32_t changes;
    uint32_t digest_count; /* struct disk_digest behind this one */
    int64_t expires_us, created_us, updated_us;
    int64_t valid_until_us; /* of the digest under which this copy lies; 0 no end */
    char id[KEYSTORE_ID_BYTES];
    uint32_t field_bytes[FIELD_MAX]; /* behind the digests, in order */
};
_Static_assert(sizeof(struct disk_record) == 104, "record format");

struct disk_digest {
    uint8_t sha256[CRYPTO_SHA256_BYTES];
    int64_t valid_until_us;
};
_Static_assert(sizeof(struct disk_digest) == 40, "record format");

enum store_err keystore_open(const char *state_dir, unsigned store_flags, size_t map_bytes,
                             struct store **out, struct errbuf *e)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/state.mdb", state_dir) >= (int)sizeof path) {
        err_set(e, "state_dir is too long");
        return STORE_TOO_BIG;
    }
    struct store_config cfg = {
        .path = path,
        .flags = store_flags,
        .map_bytes = map_bytes ? map_bytes : STATE_MAP_BYTES,
        .schema = STATE_SCHEMA,
        .dbs = db_names,
        .db_count = STATE_DB_COUNT,
    };
    return store_open(&cfg, out, e);
}

/* --- encoding --------------------------------------------------------------------------------- */

static struct slice *field_of(struct keystore_record *r, enum field f)
{
    struct slice *const fields[FIELD_COUNT] = {&r->name, &r->team,     &r->customer, &r->models,
                                               &r->tags, &r->metadata, &r->limits};
    return fields[f];
}

static struct slice field_value(const struct keystore_record *r, enum field f)
{
    return *field_of((struct keystore_record *)r, f);
}

/* What a request may need to know; the rest would only make the lookups of a million keys slower.
 */
static bool is_hot(enum field f)
{
    return f != METADATA;
}

enum copy { COPY_FULL, COPY_HOT, COPY_AUDIT };

static bool has_field(enum copy kind, enum field f)
{
    return kind != COPY_HOT || is_hot(f);
}

static size_t encoded_bytes(const struct keystore_record *r, enum copy kind)
{
    size_t n = sizeof(struct disk_record);
    if (kind == COPY_FULL)
        n += r->digest_count * sizeof(struct disk_digest);
    for (enum field f = 0; f < FIELD_COUNT; f++)
        n += has_field(kind, f) ? field_value(r, f).n : 0;
    return n;
}

static void encode(const struct keystore_record *r, enum copy kind, int64_t valid_until_us,
                   char *out)
{
    struct disk_record d = {
        .version = RECORD_VERSION,
        .fixed_bytes = sizeof d,
        .flags = r->disabled ? FLAG_DISABLED : 0,
        .changes = r->version,
        .digest_count = kind == COPY_FULL ? r->digest_count : 0,
        .expires_us = r->expires_us,
        .created_us = r->created_us,
        .updated_us = r->updated_us,
        .valid_until_us = valid_until_us,
    };
    memcpy(d.id, r->id, sizeof d.id);
    for (enum field f = 0; f < FIELD_COUNT; f++)
        d.field_bytes[f] = has_field(kind, f) ? (uint32_t)field_value(r, f).n : 0;
    memcpy(out, &d, sizeof d);
    out += sizeof d;
    for (uint32_t i = 0; i < d.digest_count; i++, out += sizeof(struct disk_digest)) {
        struct disk_digest dd = {.valid_until_us = r->digests[i].valid_until_us};
        memcpy(dd.sha256, r->digests[i].sha256, sizeof dd.sha256);
        memcpy(out, &dd, sizeof dd);
    }
    for (enum field f = 0; f < FIELD_COUNT; f++)
        if (d.field_bytes[f]) {
            memcpy(out, field_value(r, f).p, d.field_bytes[f]);
            out += d.field_bytes[f];
        }
}

/* Reads the fixed part and finds digests and fields; false when the lengths don't agree. */
static bool decode_head(struct slice v, struct disk_record *d, const char **digests,
                        const char **fields)
{
    if (v.n < sizeof *d)
        return false;
    memcpy(d, v.p, sizeof *d);
    size_t n = d->fixed_bytes + (size_t)d->digest_count * sizeof(struct disk_digest);
    if (d->version != RECORD_VERSION || d->fixed_bytes < sizeof *d ||
        d->digest_count > KEYSTORE_DIGESTS_MAX || d->id[KEYSTORE_ID_BYTES - 1] != '\0')
        return false;
    *digests = v.p + d->fixed_bytes;
    *fields = v.p + n;
    for (unsigned f = 0; f < FIELD_MAX; f++)
        n += d->field_bytes[f];
    return n == v.n;
}

static bool decode(struct slice v, struct keystore_record *r)
{
    struct disk_record d;
    const char *digests, *at;
    if (!decode_head(v, &d, &digests, &at))
        return false;
    *r = (struct keystore_record){
        .expires_us = d.expires_us,
        .created_us = d.created_us,
        .updated_us = d.updated_us,
        .version = d.changes,
        .disabled = d.flags & FLAG_DISABLED,
        .digest_count = d.digest_count,
    };
    memcpy(r->id, d.id, sizeof r->id);
    for (uint32_t i = 0; i < d.digest_count; i++) {
        struct disk_digest dd;
        memcpy(&dd, digests + i * sizeof dd, sizeof dd);
        memcpy(r->digests[i].sha256, dd.sha256, sizeof dd.sha256);
        r->digests[i].valid_until_us = dd.valid_until_us;
    }
    for (enum field f = 0; f < FIELD_COUNT; f++) {
        *field_of(r, f) = slice_of(at, d.field_bytes[f]);
        at += d.field_bytes[f];
    }
    return true;
}

static struct slice digest_key(const uint8_t digest[CRYPTO_SHA256_BYTES])
{
    return slice_of((const char *)digest, CRYPTO_SHA256_BYTES);
}

/* --- the request path ------------------------------------------------------------------------- */

static bool copy_text(char out[KEYSTORE_NAME_MAX + 1], const char *from, size_t n)
{
    if (n > KEYSTORE_NAME_MAX)
        return false;
    memcpy(out, from, n);
    out[n] = '\0';
    return true;
}

static enum keystore_verdict judge(const struct disk_record *d, int64_t now_us)
{
    if (d->flags & FLAG_DISABLED)
        return KEYSTORE_DISABLED;
    if ((d->expires_us != 0 && now_us >= d->expires_us) ||
        (d->valid_until_us != 0 && now_us >= d->valid_until_us))
        return KEYSTORE_EXPIRED;
    return KEYSTORE_VALID;
}

static enum store_err fill_key(struct slice v, const uint8_t digest[CRYPTO_SHA256_BYTES],
                               int64_t now_us, struct keystore_key *out,
                               enum keystore_verdict *verdict)
{
    struct disk_record d;
    const char *digests, *at;
    if (!decode_head(v, &d, &digests, &at) || !copy_text(out->name, at, d.field_bytes[NAME]) ||
        !copy_text(out->team, at + d.field_bytes[NAME], d.field_bytes[TEAM]) ||
        !copy_text(out->customer, at + d.field_bytes[NAME] + d.field_bytes[TEAM],
                   d.field_bytes[CUSTOMER]))
        return STORE_CORRUPT;
    memcpy(out->digest, digest, sizeof out->digest);
    memcpy(out->id, d.id, sizeof out->id);
    out->expires_us = d.expires_us;
    if (d.valid_until_us && (!out->expires_us || d.valid_until_us < out->expires_us))
        out->expires_us = d.valid_until_us;
    out->version = d.changes;
    out->all_models = d.field_bytes[MODELS] == 0;
    *verdict = judge(&d, now_us);
    return STORE_OK;
}

enum store_err keystore_lookup(struct store_txn *reader, const uint8_t digest[CRYPTO_SHA256_BYTES],
                               int64_t now_wall_us, struct keystore_key *out,
                               enum keystore_verdict *verdict)
{
    struct slice v;
    *verdict = KEYSTORE_UNKNOWN;
    enum store_err err = store_read_begin(reader);
    if (err != STORE_OK)
        return err;
    err = store_get(reader, DB_DIGESTS, digest_key(digest), &v);
    if (err == STORE_OK)
        err = fill_key(v, digest, now_wall_us, out, verdict);
    else if (err == STORE_NOTFOUND)
        err = STORE_OK;
    store_read_end(reader);
    return err;
}

enum store_err keystore_each_model(struct store_txn *reader, const struct keystore_key *key,
                                   keystore_model_fn fn, void *arg)
{
    struct slice v;
    struct keystore_record r;
    enum store_err err = store_read_begin(reader);
    if (err != STORE_OK)
        return err;
    err = store_get(reader, DB_DIGESTS, digest_key(key->digest), &v);
    if (err == STORE_OK && !decode(v, &r))
        err = STORE_CORRUPT;
    if (err == STORE_OK && r.models.n)
        for (struct slice rest = r.models; rest.p;)
            fn(arg, slice_split(&rest, '\n'));
    store_read_end(reader);
    return err;
}

struct model_search {
    struct slice model;
    bool found;
};

static void compare_model(void *arg, struct slice model)
{
    struct model_search *s = arg;
    s->found = s->found || slice_eq(model, s->model);
}

enum store_err keystore_lists_model(struct store_txn *reader, const struct keystore_key *key,
                                    struct slice model, bool *listed)
{
    struct model_search search = {model, false};
    enum store_err err = keystore_each_model(reader, key, compare_model, &search);
    *listed = search.found || key->all_models;
    return err;
}

/* --- checks -------------------------------------------------------------------------------------
 */

/* Well-formed UTF-8 (RFC 3629 §4) without control characters. */
static bool is_text(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
    while (p < end) {
        unsigned c = *p++, extra = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        if (c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xc2) || c > 0xf4 ||
            (size_t)(end - p) < extra)
            return false;
        unsigned low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        unsigned high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        for (; extra > 0; extra--, p++, low = 0x80, high = 0xbf)
            if (*p < low || *p > high)
                return false;
    }
    return true;
}

static int check_name(struct slice s, const char *what, bool required, struct errbuf *e)
{
    if (required && s.n == 0)
        return err_set(e, "%s is missing", what);
    if (s.n > KEYSTORE_NAME_MAX)
        return err_set(e, "%s is %zu bytes long, at most %d are allowed", what, s.n,
                       KEYSTORE_NAME_MAX);
    if (!is_text(s))
        return err_set(e, "%s holds a control character or isn't UTF-8", what);
    return 0;
}

static int check_models(struct slice models, struct errbuf *e)
{
    if (models.n == 0)
        return 0;
    for (struct slice rest = models; rest.p;)
        if (check_name(slice_split(&rest, '\n'), "a model of the list", true, e) != 0)
            return -1;
    return 0;
}

static int check_record(const struct keystore_record *r, struct errbuf *e)
{
    if (check_name(r->name, "name", true, e) != 0 || check_name(r->team, "team", false, e) != 0 ||
        check_name(r->customer, "customer", false, e) != 0 || check_models(r->models, e) != 0)
        return -1;
    if (r->name.n > 4 && memcmp(r->name.p, "key_", 4) == 0)
        return err_set(e, "a name can't begin with key_: that is how ids begin");
    if (r->expires_us < 0)
        return err_set(e, "expires is before 1970");
    if (encoded_bytes(r, COPY_FULL) > KEYSTORE_TEXT_MAX)
        return err_set(e, "all fields together are longer than %d bytes", KEYSTORE_TEXT_MAX);
    return 0;
}

/* --- changes ------------------------------------------------------------------------------------
 */

static void be64(uint64_t v, uint8_t out[8])
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (56 - 8 * i));
}

static uint64_t from_be64(const char *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

struct disk_audit {
    int64_t at_us;
    uint32_t who_bytes, what_bytes, before_bytes, after_bytes;
};

static enum store_err next_audit_seq(struct store_txn *t, uint64_t *seq)
{
    struct store_cursor *c;
    struct slice k, v;
    *seq = 1;
    enum store_err err = store_cursor_open(t, DB_AUDIT, &c);
    if (err != STORE_OK)
        return err;
    err = store_cursor_last(c, &k, &v);
    if (err == STORE_OK && k.n == 8)
        *seq = from_be64(k.p) + 1;
    store_cursor_close(c);
    return err == STORE_NOTFOUND ? STORE_OK : err;
}

static enum store_err write_audit(struct store_txn *t, const struct keystore_actor *by,
                                  const char *what, const struct keystore_record *before,
                                  const struct keystore_record *after)
{
    uint8_t key[8];
    uint64_t seq;
    void *room;
    enum store_err err = next_audit_seq(t, &seq);
    if (err != STORE_OK)
        return err;
    struct disk_audit a = {
        .at_us = by->now_wall_us,
        .who_bytes = (uint32_t)GW_MIN(by->who.n, (size_t)KEYSTORE_NAME_MAX),
        .what_bytes = (uint32_t)strlen(what),
        .before_bytes = before ? (uint32_t)encoded_bytes(before, COPY_AUDIT) : 0,
        .after_bytes = after ? (uint32_t)encoded_bytes(after, COPY_AUDIT) : 0,
    };
    be64(seq, key);
    err = store_put_reserve(t, DB_AUDIT, slice_of((char *)key, sizeof key),
                            sizeof a + a.who_bytes + a.what_bytes + a.before_bytes + a.after_bytes,
                            STORE_PUT_APPEND, &room);
    if (err != STORE_OK)
        return err;
    char *at = room;
    memcpy(at, &a, sizeof a);
    at += sizeof a;
    if (a.who_bytes)
        memcpy(at, by->who.p, a.who_bytes);
    at += a.who_bytes;
    memcpy(at, what, a.what_bytes);
    at += a.what_bytes;
    if (before)
        encode(before, COPY_AUDIT, 0, at);
    if (after)
        encode(after, COPY_AUDIT, 0, at + a.before_bytes);
    return STORE_OK;
}

static enum store_err put_encoded(struct store_txn *t, unsigned db, struct slice key,
                                  const struct keystore_record *r, enum copy kind,
                                  int64_t valid_until_us, unsigned flags)
{
    void *room;
    enum store_err err = store_put_reserve(t, db, key, encoded_bytes(r, kind), flags, &room);
    if (err == STORE_OK)
        encode(r, kind, valid_until_us, room);
    return err;
}

/* Takes a key out of keys, names and digests; `r` may lie in none of their pages. */
static enum store_err remove_all(struct store_txn *t, const struct keystore_record *r)
{
    enum store_err err = store_del(t, DB_KEYS, slice_str(r->id));
    if (err == STORE_OK)
        err = store_del(t, DB_NAMES, r->name);
    for (uint32_t i = 0; err == STORE_OK && i < r->digest_count; i++)
        err = store_del(t, DB_DIGESTS, digest_key(r->digests[i].sha256));
    return err == STORE_NOTFOUND ? STORE_CORRUPT : err;
}

static enum store_err insert_all(struct store_txn *t, const struct keystore_record *r,
                                 struct errbuf *e)
{
    enum store_err err = store_put(t, DB_NAMES, r->name, slice_str(r->id), STORE_PUT_NEW);
    if (err == STORE_EXISTS)
        err_set(e, "a key named \"%.*s\" exists", SLICE_FMT(r->name));
    for (uint32_t i = 0; err == STORE_OK && i < r->digest_count; i++) {
        err = put_encoded(t, DB_DIGESTS, digest_key(r->digests[i].sha256), r, COPY_HOT,
                          r->digests[i].valid_until_us, STORE_PUT_NEW);
        if (err == STORE_EXISTS)
            err_set(e, "a key with this SHA-256 exists");
    }
    if (err == STORE_OK)
        err = put_encoded(t, DB_KEYS, slice_str(r->id), r, COPY_FULL, 0, STORE_PUT_NEW);
    return err;
}

static enum store_err finish(struct store_txn *t, enum store_err err, struct errbuf *e)
{
    if (err == STORE_OK)
        err = store_commit(t);
    else
        store_abort(t);
    if (err != STORE_OK && err != STORE_EXISTS && err != STORE_NOTFOUND && err != STORE_REFUSED)
        err_set(e, "cannot write the keys: %s", store_err_text(err));
    return err;
}

bool keystore_tags_valid(struct slice tags)
{
    for (size_t i = 0; i < tags.n; i++)
        if ((unsigned char)tags.p[i] < 0x20 || tags.p[i] == 0x7f)
            return false;
    for (struct slice rest = tags; rest.p && tags.n;) {
        struct slice value = slice_split(&rest, ','), name = slice_split(&value, '=');
        if (slice_trim(name).n == 0 || slice_trim(value).n == 0)
            return false;
    }
    return true;
}

enum store_err keystore_create(struct store *s, const struct keystore_actor *by,
                               struct keystore_record *in, struct errbuf *e)
{
    struct store_txn *t;
    in->digest_count = 1;
    in->digests[0].valid_until_us = 0;
    in->version = 1;
    in->created_us = in->updated_us = by->now_wall_us;
    memcpy(in->id, "key_", 4);
    crypto_base62(in->id + 4, 16);
    if (check_record(in, e) != 0)
        return STORE_REFUSED;
    enum store_err err = store_write_begin(s, &t);
    if (err != STORE_OK) {
        err_set(e, "cannot write the keys: %s", store_err_text(err));
        return err;
    }
    err = insert_all(t, in, e);
    if (err == STORE_OK)
        err = write_audit(t, by, "create", NULL, in);
    return finish(t, err, e);
}

/* Finds by id or name; the record is borrowed from the transaction. */
static enum store_err find(struct store_txn *t, struct slice ref, struct keystore_record *r)
{
    struct slice v, id = ref;
    if (ref.n < 4 || memcmp(ref.p, "key_", 4) != 0) {
        enum store_err err = store_get(t, DB_NAMES, ref, &id);
        if (err != STORE_OK)
            return err;
    }
    enum store_err err = store_get(t, DB_KEYS, id, &v);
    if (err == STORE_OK && !decode(v, r))
        err = STORE_CORRUPT;
    return err;
}

/* A change of one key: begin finds it and copies it out of the pages that are about to change. */
struct change {
    struct store_txn *t;
    char *copy; /* owned */
    struct keystore_record before, after;
};

static enum store_err change_begin(struct change *c, struct store *s,
                                   const struct keystore_actor *by, struct slice ref,
                                   struct errbuf *e)
{
    struct keystore_record found;
    *c = (struct change){0};
    enum store_err err = store_write_begin(s, &c->t);
    if (err != STORE_OK) {
        err_set(e, "cannot write the keys: %s", store_err_text(err));
        return err;
    }
    err = find(c->t, ref, &found);
    if (err != STORE_OK) {
        if (err == STORE_NOTFOUND)
            err_set(e, "there is no key \"%.*s\"", SLICE_FMT(ref));
        return finish(c->t, err, e);
    }
    size_t n = encoded_bytes(&found, COPY_FULL);
    c->copy = gw_xmalloc(n);
    encode(&found, COPY_FULL, 0, c->copy);
    GW_REQUIRE(decode(slice_of(c->copy, n), &c->before));
    c->after = c->before;
    c->after.version++;
    c->after.updated_us = by->now_wall_us;
    return STORE_OK;
}

/* Writes `after` in place of `before` (remove: nothing) and the audit record, and commits. */
static enum store_err change_end(struct change *c, const struct keystore_actor *by,
                                 const char *what, bool remove, struct errbuf *e)
{
    enum store_err err = STORE_OK;
    if (!remove && check_record(&c->after, e) != 0)
        err = STORE_REFUSED;
    if (err == STORE_OK)
        err = remove_all(c->t, &c->before);
    if (err == STORE_OK && !remove)
        err = insert_all(c->t, &c->after, e);
    if (err == STORE_OK)
        err = write_audit(c->t, by, what, &c->before, remove ? NULL : &c->after);
    err = finish(c->t, err, e);
    free(c->copy);
    return err;
}

/* Digests whose grace time is over don't come along. */
static void drop_ended_digests(struct keystore_record *r, int64_t now_us)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->digest_count; i++)
        if (i == 0 || r->digests[i].valid_until_us > now_us)
            r->digests[kept++] = r->digests[i];
    r->digest_count = kept;
}

enum store_err keystore_update(struct store *s, const struct keystore_actor *by, struct slice ref,
                               unsigned mask, const struct keystore_record *values,
                               struct errbuf *e)
{
    struct change c;
    enum store_err err = change_begin(&c, s, by, ref, e);
    if (err != STORE_OK)
        return err;
    for (enum field f = 0; f < FIELD_COUNT; f++)
        if (mask & (1u << f))
            *field_of(&c.after, f) = field_value(values, f);
    if (mask & KEYSTORE_F_EXPIRES)
        c.after.expires_us = values->expires_us;
    if (mask & KEYSTORE_F_DISABLED)
        c.after.disabled = values->disabled;
    drop_ended_digests(&c.after, by->now_wall_us);
    return change_end(&c, by, "update", false, e);
}

enum store_err keystore_rotate(struct store *s, const struct keystore_actor *by, struct slice ref,
                               const uint8_t sha256[CRYPTO_SHA256_BYTES], int64_t grace_us,
                               struct errbuf *e)
{
    struct change c;
    enum store_err err = change_begin(&c, s, by, ref, e);
    if (err != STORE_OK)
        return err;
    struct keystore_record *r = &c.after;
    drop_ended_digests(r, by->now_wall_us);
    /* The newest few stay; with no grace the old one ends now. */
    uint32_t keep = grace_us > 0 ? r->digest_count : r->digest_count - 1;
    uint32_t from = grace_us > 0 ? 0 : 1;
    keep = GW_MIN(keep, (uint32_t)KEYSTORE_DIGESTS_MAX - 1);
    memmove(&r->digests[1], &r->digests[from], keep * sizeof r->digests[0]);
    if (grace_us > 0 && keep > 0)
        r->digests[1].valid_until_us = by->now_wall_us + grace_us;
    memcpy(r->digests[0].sha256, sha256, CRYPTO_SHA256_BYTES);
    r->digests[0].valid_until_us = 0;
    r->digest_count = keep + 1;
    return change_end(&c, by, "rotate", false, e);
}

enum store_err keystore_delete(struct store *s, const struct keystore_actor *by, struct slice ref,
                               struct errbuf *e)
{
    struct change c;
    enum store_err err = change_begin(&c, s, by, ref, e);
    if (err != STORE_OK)
        return err;
    return change_end(&c, by, "delete", true, e);
}

/* --- reading ------------------------------------------------------------------------------------
 */

enum store_err keystore_get(struct store_txn *reader, struct slice ref, keystore_record_fn fn,
                            void *arg)
{
    struct keystore_record r;
    enum store_err err = store_read_begin(reader);
    if (err != STORE_OK)
        return err;
    err = find(reader, ref, &r);
    if (err == STORE_OK)
        (void)fn(arg, &r);
    store_read_end(reader);
    return err;
}

static enum store_err list_names(struct store_txn *reader, struct store_cursor *c,
                                 struct slice after, uint32_t limit, keystore_record_fn fn,
                                 void *arg)
{
    struct slice name, id, v;
    struct keystore_record r;
    enum store_err err = store_cursor_seek(c, after, &name, &id);
    if (err == STORE_OK && after.n && slice_eq(name, after))
        err = store_cursor_next(c, &name, &id);
    for (; err == STORE_OK && limit > 0; limit--) {
        err = store_get(reader, DB_KEYS, id, &v);
        if (err != STORE_OK || !decode(v, &r))
            return STORE_CORRUPT;
        if (!fn(arg, &r))
            return STORE_OK;
        err = store_cursor_next(c, &name, &id);
    }
    return err == STORE_NOTFOUND ? STORE_OK : err;
}

enum store_err keystore_list(struct store_txn *reader, struct slice after, uint32_t limit,
                             keystore_record_fn fn, void *arg)
{
    struct store_cursor *c;
    enum store_err err = store_read_begin(reader);
    if (err != STORE_OK)
        return err;
    err = store_cursor_open(reader, DB_NAMES, &c);
    if (err == STORE_OK) {
        err = list_names(reader, c, after, limit, fn, arg);
        store_cursor_close(c);
    }
    store_read_end(reader);
    return err;
}

enum store_err keystore_count(struct store_txn *reader, uint64_t *out)
{
    enum store_err err = store_read_begin(reader);
    if (err != STORE_OK)
        return err;
    err = store_count(reader, DB_KEYS, out);
    store_read_end(reader);
    return err;
}

static bool decode_audit(struct slice k, struct slice v, struct keystore_audit *out)
{
    struct disk_audit a;
    if (k.n != 8 || v.n < sizeof a)
        return false;
    memcpy(&a, v.p, sizeof a);
    if (v.n != sizeof a + (size_t)a.who_bytes + a.what_bytes + a.before_bytes + a.after_bytes)
        return false;
    const char *at = v.p + sizeof a;
    *out = (struct keystore_audit){.seq = from_be64(k.p), .at_us = a.at_us};
    out->who = slice_of(at, a.who_bytes);
    out->what = slice_of(at += a.who_bytes, a.what_bytes);
    struct slice before = slice_of(at += a.what_bytes, a.before_bytes);
    struct slice after = slice_of(at + a.before_bytes, a.after_bytes);
    out->has_before = before.n != 0;
    out->has_after = after.n != 0;
    return (!before.n || decode(before, &out->before)) && (!after.n || decode(after, &out->after));
}

static enum store_err list_audit(struct store_cursor *c, uint64_t before_seq, uint32_t limit,
                                 keystore_audit_fn fn, void *arg)
{
    struct slice k, v;
    struct keystore_audit a;
    uint8_t key[8];
    be64(before_seq, key);
    enum store_err err = STORE_NOTFOUND;
    if (before_seq)
        err = store_cursor_seek(c, slice_of((char *)key, sizeof key), &k, &v);
    if (err == STORE_NOTFOUND)
        err = store_cursor_last(c, &k, &v);
    if (err == STORE_OK && before_seq && k.n == 8 && from_be64(k.p) >= before_seq)
        err = store_cursor_prev(c, &k, &v);
    for (; err == STORE_OK && limit > 0; limit--) {
        if (!decode_audit(k, v, &a))
            return STORE_CORRUPT;
        if (!fn(arg, &a))
            return STORE_OK;
        err = store_cursor_prev(c, &k, &v);
    }
    return err == STORE_NOTFOUND ? STORE_OK : err;
}

enum store_err keystore_audit_list(struct store_txn *reader, uint64_t before_seq, uint32_t limit,
                                   keystore_audit_fn fn, void *arg)
{
    struct store_cursor *c;
    enum store_err err = store_read_begin(reader);
    if (err != STORE_OK)
        return err;
    err = store_cursor_open(reader, DB_AUDIT, &c);
    if (err == STORE_OK) {
        err = list_audit(c, before_seq, limit, fn, arg);
        store_cursor_close(c);
    }
    store_read_end(reader);
    return err;
}
