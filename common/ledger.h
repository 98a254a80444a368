/*
 * ledger.h: the record of one attempt, as it lies in an attempt slot and in the ledger.
 *
 * One struct ledger_body with its names behind it is written by the worker into its slot and copied
 * from there byte for byte into LMDB, so there is no second encoding. Little endian, no padding,
 * versioned; docs/ledger.md describes every byte. What comes later goes into the reserved bytes or
 * behind `fixed_bytes`: a reader takes names from fixed_bytes on, not from sizeof.
 *
 * Amounts are int64 nanodollars (USD * 1e9), each rounded up once per attempt. No floats.
 */
#ifndef GW_COMMON_LEDGER_H
#define GW_COMMON_LEDGER_H

#include "common/errbuf.h"
#include "common/slice.h"

enum { LEDGER_REQUEST_ID_BYTES = 16, LEDGER_HASH_BYTES = 32, LEDGER_RECORD_ID_BYTES = 20 };

/* How sure the charge is; the table in docs/ledger.md. 0 never occurs in a record. */
#define LEDGER_STATES(X)                                                                           \
    X(LEDGER_SETTLED, 1, "settled")     /* by the provider's own figures */                        \
    X(LEDGER_ESTIMATED, 2, "estimated") /* by what was counted here */                             \
    X(LEDGER_UNSETTLED, 3, "unsettled") /* outcome unknown: charged at the reservation */          \
    X(LEDGER_VOID, 4, "void")           /* nothing was sent: no charge, no record */

enum ledger_state {
#define X(name, number, text) name = number,
    LEDGER_STATES(X)
#undef X
};
/* "?" for a number that isn't one. */
const char *ledger_state_name(unsigned state);

/* Kinds of usage: tokens, and at the end units. `input` includes neither cached nor cache_write
 * tokens; `output` includes reasoning, which is also given by itself. `units` are what the model is
 * billed by beside or instead of tokens; a model has one kind of them: characters spoken, seconds
 * heard (begun ones included), images made. */
#define LEDGER_USAGES(X)                                                                           \
    X(LEDGER_INPUT, "input")                                                                       \
    X(LEDGER_CACHED, "cached")                                                                     \
    X(LEDGER_CACHE_WRITE, "cache_write")                                                           \
    X(LEDGER_OUTPUT, "output")                                                                     \
    X(LEDGER_REASONING, "reasoning")                                                               \
    X(LEDGER_UNITS, "units")

enum ledger_usage {
#define X(name, text) name,
    LEDGER_USAGES(X)
#undef X
        LEDGER_USAGE_COUNT,
    LEDGER_USAGE_MAX = 8
};
const char *ledger_usage_name(unsigned usage);
static inline bool ledger_usage_is_tokens(unsigned usage)
{
    return usage != LEDGER_UNITS;
}

enum ledger_flags {
    LEDGER_F_OVERRUN = 1 << 0,      /* the provider billed more than was reserved */
    LEDGER_F_UNPRICED = 1 << 1,     /* cost_nusd is 0 because no price is known */
    LEDGER_F_STREAM = 1 << 2,       /* the answer was a stream */
    LEDGER_F_CLIENT_GONE = 1 << 3,  /* the client left before the end */
    LEDGER_F_WORKER_DIED = 1 << 4,  /* settled by the keeper in place of its worker */
    LEDGER_F_FROM_INTENT = 1 << 5,  /* settled by the keeper from an intent: segment was lost */
    LEDGER_F_NAMES_SHORT = 1 << 6,  /* names didn't fit: those over 60 bytes are shortened */
    LEDGER_F_CLIENT_RETRY = 1 << 7, /* the client says that it repeats a request */
    LEDGER_F_MALFORMED = 1 << 8,    /* made from a malformed slot: what couldn't be read is 0 */
    LEDGER_F_BATCH = 1 << 9,        /* a whole batch, at the provider's prices for one */
    LEDGER_F_BACKGROUND = 1 << 10, /* an answer that was made after its request had been answered */
};

/* Strings of a record, in this order behind the fixed part. */
#define LEDGER_NAMES(X)                                                                            \
    X(LEDGER_KEY, "key") /* key id (key_...), not the key */                                       \
    X(LEDGER_TEAM, "team")                                                                         \
    X(LEDGER_CUSTOMER, "customer")                                                                 \
    X(LEDGER_MODEL, "model") /* as the caller named it */                                          \
    X(LEDGER_PROVIDER, "provider")                                                                 \
    X(LEDGER_UPSTREAM_MODEL, "upstream_model")                                                     \
    X(LEDGER_CREDENTIAL, "credential")                                                             \
    X(LEDGER_TAGS, "tags")                               /* a=b,c=d */                             \
    X(LEDGER_UPSTREAM_REQUEST_ID, "upstream_request_id") /* known at settlement only */

enum ledger_name {
#define X(name, text) name,
    LEDGER_NAMES(X)
#undef X
        LEDGER_NAME_COUNT,
    LEDGER_NAME_MAX = 12
};
const char *ledger_name_name(unsigned name);

enum { LEDGER_VERSION = 1, LEDGER_NAMES_BYTES = 576, LEDGER_NAME_SHORT_BYTES = 60 };

struct ledger_body {
    uint16_t version;
    uint16_t fixed_bytes; /* of this struct */
    uint16_t names_bytes; /* behind it */
    uint8_t state;        /* enum ledger_state */
    uint8_t reason;       /* the worker's exit reason; 0 none */
    uint8_t request_id[LEDGER_REQUEST_ID_BYTES];
    uint32_t attempt;     /* from 1 within the request */
    uint16_t http_status; /* of the provider; 0 none */
    uint16_t worker;      /* slot number */
    uint64_t flags;       /* enum ledger_flags */
    int64_t started_us;   /* wall clock, when the slot was opened */
    int64_t ended_us;     /* wall clock, when it was settled */
    int64_t duration_us;  /* by the monotonic clock */
    int64_t ttfb_us;      /* -1: no byte of an answer came */
    int64_t usage[LEDGER_USAGE_MAX];
    int64_t cost_nusd;
    int64_t reserved_nusd;
    uint64_t price_id; /* price snapshot, 0 none */
    uint64_t config_generation;
    uint8_t end_user[16]; /* first half of SHA-256 of the caller's end-user id; zeros: none */
    uint16_t name_bytes[LEDGER_NAME_MAX];
    uint8_t reserved[48];
};
_Static_assert(sizeof(struct ledger_body) == 256, "record format");
_Static_assert(offsetof(struct ledger_body, usage) == 72, "record format");
_Static_assert(offsetof(struct ledger_body, name_bytes) == 184, "record format");
_Static_assert(LEDGER_NAME_COUNT <= LEDGER_NAME_MAX, "record format");
_Static_assert(LEDGER_USAGE_COUNT <= LEDGER_USAGE_MAX, "record format");

enum { LEDGER_BODY_MAX = sizeof(struct ledger_body) + LEDGER_NAMES_BYTES };

/* Writes the names behind the fixed part (which must have LEDGER_NAMES_BYTES of room behind it) and
 * sets name_bytes and names_bytes. Together they may exceed LEDGER_NAMES_BYTES only in pathological
 * configurations; then every name over 60 bytes becomes its first 51 bytes, '~' and 8 hex digits of
 * its hash, so that it stays distinct, and LEDGER_F_NAMES_SHORT says so. */
void ledger_body_set_names(struct ledger_body *b, const struct slice names[LEDGER_NAME_COUNT]);
/* Adds the upstream request id, which is known last; left out when there is no room. */
void ledger_body_add_upstream_id(struct ledger_body *b, struct slice id);
/* Borrowed from the body; empty when absent. */
struct slice ledger_body_name(const struct ledger_body *b, enum ledger_name name);
/* Fixed part and names. */
size_t ledger_body_bytes(const struct ledger_body *b);
/* True when the lengths of an encoded body of n bytes agree with each other and its version is
 * known: checked before anything in it is believed. */
bool ledger_body_valid(const void *p, size_t n);

/* Why the body of a settled slot (LEDGER_BODY_MAX bytes) can't go into the ledger as it is, for
 * people; NULL when it can. */
const char *ledger_body_fault(const struct ledger_body *b);
/* What can be charged of a body that has a fault: an unsettled record of its reservation, flagged
 * malformed, with its names if their lengths agree. `out` has LEDGER_BODY_MAX bytes. False when not
 * even request id and attempt can be read. */
GW_MUSTUSE bool ledger_body_mend(const struct ledger_body *b, struct ledger_body *out);

/* Request id and attempt (big endian): what no two records share. */
void ledger_record_id(const struct ledger_body *b, uint8_t out[LEDGER_RECORD_ID_BYTES]);

#endif
