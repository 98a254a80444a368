/*
 * ledger_internal.h: formats shared by the ledger's writer and its readers. Nobody else includes
 * it.
 */
#ifndef GW_COMMON_LEDGER_INTERNAL_H
#define GW_COMMON_LEDGER_INTERNAL_H

#include "common/ledger_store.h"

enum ledger_db {
    LDB_RECORDS,
    LDB_IDS,
    LDB_INTENTS,
    LDB_ROLLUPS,
    LDB_META,
    LDB_QUARANTINE,
    LDB_COUNT
};

enum { LEDGER_KEY_BYTES = 16, LEDGER_ROLLUP_KEY_BYTES = 20 };

void ledger_key_encode(const struct ledger_position *at, uint8_t out[LEDGER_KEY_BYTES]);
bool ledger_key_decode(struct slice k, struct ledger_position *at);

/* SHA-256(hash of the record before, key, body): what chains a record. */
void ledger_chain(const uint8_t before[LEDGER_HASH_BYTES], const uint8_t key[LEDGER_KEY_BYTES],
                  struct slice body, uint8_t out[LEDGER_HASH_BYTES]);

/* Value of a record: its hash, then its body. Copies it out of the page; false if malformed. */
bool ledger_entry_decode(struct slice k, struct slice v, struct ledger_entry *out);

/* Under "head" the last record, under "anchor" the last one that retention deleted. */
struct ledger_mark {
    uint64_t seq;
    int64_t committed_us;
    uint8_t hash[LEDGER_HASH_BYTES];
};
_Static_assert(sizeof(struct ledger_mark) == 48, "record format");
/* Zeros when there is none. */
enum store_err ledger_mark_get(struct store_txn *t, const char *name, struct ledger_mark *out);

/* The names by which records are rolled up, as they lie in the body: lengths, then bytes. */
struct ledger_identity {
    uint16_t name_bytes[LEDGER_NAME_MAX];
    struct slice names;
};
void ledger_identity_of(const struct ledger_body *b, struct ledger_identity *out);
void ledger_rollup_key(uint32_t day, const struct ledger_identity *id,
                       uint8_t out[LEDGER_ROLLUP_KEY_BYTES]);
void ledger_totals_of(const struct ledger_body *b, struct ledger_totals *out);

/* Value of a roll-up; the names follow. */
struct ledger_rollup_disk {
    uint16_t version, fixed_bytes, names_bytes, reserved;
    struct ledger_totals totals;
    uint16_t name_bytes[LEDGER_NAME_MAX];
};
_Static_assert(sizeof(struct ledger_rollup_disk) == 8 + 17 * 8 + 24, "record format");
enum { LEDGER_ROLLUP_VERSION = 1 };
bool ledger_rollup_decode(struct slice k, struct slice v, struct ledger_rollup *out);

#endif
