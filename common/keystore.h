/*
 * keystore.h: virtual keys in the LMDB environment `state`.
 *
 * A key is stored as the SHA-256 of its text and nothing else of it; the text exists only in the
 * answer to create, rotate and in the request that carries it. Records are found by digest with one
 * LMDB get, so workers look up on every request and a change counts everywhere at once.
 *
 * The keeper is the only writer. Every change writes its audit record in the same transaction.
 */
#ifndef GW_COMMON_KEYSTORE_H
#define GW_COMMON_KEYSTORE_H

#include "common/crypto.h"
#include "common/store.h"

enum {
    KEYSTORE_ID_BYTES = 24,    /* "key_", 16 base62 characters, NUL */
    KEYSTORE_NAME_MAX = 255,   /* name, team, customer, each model */
    KEYSTORE_TEXT_MAX = 65536, /* all fields of one key together */
    KEYSTORE_DIGESTS_MAX = 4,  /* the key's own and those in their grace time */
};

/* Opens state_dir/state.mdb with every database that lives there. STORE_WRITE creates it; workers
 * open it without. map_bytes 0: default. */
GW_MUSTUSE enum store_err keystore_open(const char *state_dir, unsigned store_flags,
                                        size_t map_bytes, struct store **out, struct errbuf *e);

/* --- the request path ---------------------------------------------------------------------- */

enum keystore_verdict {
    KEYSTORE_VALID,
    KEYSTORE_UNKNOWN,
    KEYSTORE_DISABLED,
    KEYSTORE_EXPIRED, /* its own expiry or the end of a rotated key's grace time */
};

/* What a request keeps of its key: a copy, 1 KiB. */
struct keystore_key {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    char id[KEYSTORE_ID_BYTES];
    char name[KEYSTORE_NAME_MAX + 1];
    char team[KEYSTORE_NAME_MAX + 1];
    char customer[KEYSTORE_NAME_MAX + 1];
    int64_t expires_us; /* wall clock; 0 never */
    uint32_t version;   /* grows with each change */
    bool all_models;    /* no allow-list */
};

/* Looks the digest up in a transaction of its own on `reader`. *out is filled unless the verdict is
 * KEYSTORE_UNKNOWN. STORE_OK, or what broke: then the caller refuses with 503 (fail closed). */
GW_MUSTUSE enum store_err keystore_lookup(struct store_txn *reader,
                                          const uint8_t digest[CRYPTO_SHA256_BYTES],
                                          int64_t now_wall_us, struct keystore_key *out,
                                          enum keystore_verdict *verdict);
/* Whether the key's allow-list names the model exactly, read afresh. *listed is true for a key
 * without a list only if `key->all_models`. STORE_NOTFOUND: the key is gone. */
GW_MUSTUSE enum store_err keystore_lists_model(struct store_txn *reader,
                                               const struct keystore_key *key, struct slice model,
                                               bool *listed);
/* Calls fn for each model of the allow-list within one read transaction; fn must not block. */
typedef void (*keystore_model_fn)(void *arg, struct slice model);
GW_MUSTUSE enum store_err keystore_each_model(struct store_txn *reader,
                                              const struct keystore_key *key, keystore_model_fn fn,
                                              void *arg);

/* --- the admin path ------------------------------------------------------------------------ */

/* Everything of a key. Slices are borrowed: from the caller on the way in, from the transaction on
 * the way out. */
struct keystore_record {
    char id[KEYSTORE_ID_BYTES];
    struct slice name; /* unique, 1 to 255 bytes, no control characters */
    struct slice team, customer;
    struct slice models;   /* names separated by '\n'; empty: all [model:...] names */
    struct slice tags;     /* "a=b,c=d" */
    struct slice metadata; /* JSON object or empty; kept as given */
    struct slice limits;   /* room for the limits of later versions; kept as given */
    int64_t expires_us;    /* 0 never */
    int64_t created_us, updated_us;
    uint32_t version;
    bool disabled;
    uint32_t digest_count; /* [0] is the current one */
    struct {
        uint8_t sha256[CRYPTO_SHA256_BYTES];
        int64_t valid_until_us; /* 0: no end */
    } digests[KEYSTORE_DIGESTS_MAX];
};

/* Who changes, for the audit trail: "unix:uid=0", "admin-token", "ini", ... */
struct keystore_actor {
    struct slice who;
    int64_t now_wall_us;
};

/* Adds a key with the digest given in in->digests[0]; fills id, times and version of *in.
 * STORE_EXISTS: the name or the digest is taken (e says which); STORE_REFUSED: a field is wrong.
 * For a new key the caller makes the text with crypto_key_text and hashes it; an import gives the
 * hash of a text with any prefix. */
GW_MUSTUSE enum store_err keystore_create(struct store *s, const struct keystore_actor *by,
                                          struct keystore_record *in, struct errbuf *e);

/* "a=b,c=d": each a name, '=' and a value, neither with a comma or control character; or empty. */
bool keystore_tags_valid(struct slice tags);

enum keystore_field {
    KEYSTORE_F_NAME = 1 << 0,
    KEYSTORE_F_TEAM = 1 << 1,
    KEYSTORE_F_CUSTOMER = 1 << 2,
    KEYSTORE_F_MODELS = 1 << 3,
    KEYSTORE_F_TAGS = 1 << 4,
    KEYSTORE_F_METADATA = 1 << 5,
    KEYSTORE_F_LIMITS = 1 << 6,
    KEYSTORE_F_EXPIRES = 1 << 7,
    KEYSTORE_F_DISABLED = 1 << 8,
};
/* `ref` is an id or a name in all calls below; STORE_NOTFOUND when it is neither. Sets the fields
 * of `mask` (enum keystore_field) to those of `values`. */
GW_MUSTUSE enum store_err keystore_update(struct store *s, const struct keystore_actor *by,
                                          struct slice ref, unsigned mask,
                                          const struct keystore_record *values, struct errbuf *e);
/* The new digest counts at once; the old one for `grace_us` more. */
GW_MUSTUSE enum store_err keystore_rotate(struct store *s, const struct keystore_actor *by,
                                          struct slice ref,
                                          const uint8_t sha256[CRYPTO_SHA256_BYTES],
                                          int64_t grace_us, struct errbuf *e);
GW_MUSTUSE enum store_err keystore_delete(struct store *s, const struct keystore_actor *by,
                                          struct slice ref, struct errbuf *e);

/* Calls fn with the record, borrowed for the call. fn returns false to stop a listing. */
typedef bool (*keystore_record_fn)(void *arg, const struct keystore_record *r);
GW_MUSTUSE enum store_err keystore_get(struct store_txn *reader, struct slice ref,
                                       keystore_record_fn fn, void *arg);
/* In order of name, from the first name behind `after` (empty: from the start), at most `limit`.
 * A page is one read transaction; ask again with the last name seen. */
GW_MUSTUSE enum store_err keystore_list(struct store_txn *reader, struct slice after,
                                        uint32_t limit, keystore_record_fn fn, void *arg);
GW_MUSTUSE enum store_err keystore_count(struct store_txn *reader, uint64_t *out);

/* One change: the key as it was and as it is, without digests. */
struct keystore_audit {
    uint64_t seq;
    int64_t at_us;
    struct slice who, what; /* what: "create", "update", "rotate", "delete" */
    bool has_before, has_after;
    struct keystore_record before, after;
};
typedef bool (*keystore_audit_fn)(void *arg, const struct keystore_audit *a);
/* Newest first, from before `before_seq` (0: from the newest), at most `limit`. */
GW_MUSTUSE enum store_err keystore_audit_list(struct store_txn *reader, uint64_t before_seq,
                                              uint32_t limit, keystore_audit_fn fn, void *arg);

#endif
