/*
 * object_record.h: what is known of an object that a provider keeps for a caller: a file, a batch,
 * a stored response, a conversation, cached content.
 *
 * The provider knows only our credential, not whose request made the object. This record does: its
 * owner (the key's team, or the key where it has none), and the credential that alone can reach it.
 * It lies in the shared outbox (objects_shm.h) until the keeper has committed it to LMDB
 * (objects_store.h), in the same bytes. Little endian, versioned; docs/objects.md describes them.
 */
#ifndef GW_COMMON_OBJECT_RECORD_H
#define GW_COMMON_OBJECT_RECORD_H

#include "common/ledger.h"

#define OBJECT_KINDS(X)                                                                            \
    X(FILE, "file")                                                                                \
    X(BATCH, "batch")                                                                              \
    X(RESPONSE, "response")                                                                        \
    X(CONVERSATION, "conversation")                                                                \
    X(CACHE, "cached_content")
enum object_kind {
#define X(name, text) OBJECT_##name,
    OBJECT_KINDS(X)
#undef X
        OBJECT_KIND_COUNT
};
/* "?" for a number that is none. */
const char *object_kind_name(unsigned kind);
/* OBJECT_KIND_COUNT for an unknown name. */
enum object_kind object_kind_find(struct slice name);

/* What a record in the outbox asks of the keeper. */
enum object_change {
    OBJECT_ADD,    /* it exists; adding it again changes when it expires */
    OBJECT_REMOVE, /* it is gone */
    OBJECT_SETTLE, /* it is through and this is its usage: charged once, however often said */
};

/* How far the bill of a batch, or of a response made in the background, has come. */
#define OBJECT_STATES(X)                                                                           \
    X(PLAIN, "plain")                                                                              \
    X(OPEN, "open")         /* runs, or nobody has seen its end */                                 \
    X(SETTLING, "settling") /* its usage is known, the ledger may not have it yet */               \
    X(SETTLED, "settled")
enum object_state {
#define X(name, text) OBJECT_##name,
    OBJECT_STATES(X)
#undef X
        OBJECT_STATE_COUNT
};
const char *object_state_name(unsigned state);

/* Strings of a record, in this order behind the fixed part. */
#define OBJECT_NAMES(X)                                                                            \
    X(OBJECT_ID, "id")   /* the provider's */                                                      \
    X(OBJECT_KEY, "key") /* key id that made it */                                                 \
    X(OBJECT_TEAM, "team")                                                                         \
    X(OBJECT_CUSTOMER, "customer")                                                                 \
    X(OBJECT_PROVIDER, "provider")                                                                 \
    X(OBJECT_CREDENTIAL, "credential")                                                             \
    X(OBJECT_MODEL, "model")   /* as its requests name it here; empty: none */                     \
    X(OBJECT_PARENT, "parent") /* of a file: the batch whose output it is; empty: none */
enum object_name {
#define X(name, text) name,
    OBJECT_NAMES(X)
#undef X
        OBJECT_NAME_COUNT,
    OBJECT_NAME_MAX = 8
};

enum {
    OBJECT_VERSION = 1,
    OBJECT_ID_MAX = 256,
    OBJECT_TEXT_MAX = 896,
    OBJECT_OWNER_BYTES = 16,
};

enum {
    OBJECT_F_ESTIMATED = 1, /* what is billed isn't the provider's figure */
    OBJECT_F_ERRORS = 2,    /* of a batch's file: it isn't its output but its errors */
};

struct object_record {
    uint16_t version;
    uint16_t fixed_bytes; /* of this struct without text */
    uint8_t kind;
    uint8_t change; /* in the outbox */
    uint8_t state;
    uint8_t url;        /* of a batch's input: enum openai_batch_url of its lines; 0: not known */
    int64_t created_us; /* wall clock, when it was first seen here */
    int64_t expires_us; /* wall clock; the record goes then; 0: never */
    int64_t settled_us; /* of a batch; 0: it isn't */
    int64_t usage[LEDGER_USAGE_MAX]; /* OPEN: its bound; of a batch's input: that of its lines */
    uint16_t name_bytes[OBJECT_NAME_MAX];
    uint8_t flags; /* OBJECT_F_* */
    uint8_t reserved[15];
    char text[OBJECT_TEXT_MAX];
};
_Static_assert(offsetof(struct object_record, text) == 128, "record format");
_Static_assert(sizeof(struct object_record) == 1024, "record format");
_Static_assert(OBJECT_NAME_COUNT <= OBJECT_NAME_MAX, "record format");

/* Whose it is: a digest of the team's name, or of the key's id. */
struct object_owner {
    uint8_t digest[OBJECT_OWNER_BYTES];
};
void object_owner_of(struct slice key, struct slice team, struct object_owner *out);
bool object_owner_eq(const struct object_owner *a, const struct object_owner *b);

/* Makes a record of these names. -1: together they are longer than OBJECT_TEXT_MAX, or the id is
 * empty or longer than OBJECT_ID_MAX. */
GW_MUSTUSE int object_record_init(struct object_record *r, enum object_kind kind,
                                  const struct slice names[OBJECT_NAME_COUNT]);
/* Borrowed from the record; empty when absent. */
struct slice object_name(const struct object_record *r, enum object_name name);
/* Fixed part and text. */
size_t object_record_bytes(const struct object_record *r);
/* Copies n encoded bytes to *out if their lengths agree and the version is known. */
GW_MUSTUSE bool object_record_decode(const void *p, size_t n, struct object_record *out);
/* Of the record's key and team. */
void object_record_owner(const struct object_record *r, struct object_owner *out);

#endif
