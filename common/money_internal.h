/*
 * money_internal.h: what money.c (lock, redo record, cells) offers to the worker's and the keeper's
 * side of the segment. Nobody else includes it.
 */
#ifndef GW_COMMON_MONEY_INTERNAL_H
#define GW_COMMON_MONEY_INTERNAL_H

#include "common/money.h"

/* Takes the lock, finishing what a dead holder had written down. */
void money_lock(struct money *m);
void money_unlock(struct money *m);

/* A change of words under the lock: collected in the redo record, then applied as a whole. Words
 * are read through money_txn_get so that a word set twice counts twice. */
struct money_txn {
    struct money *m;
    unsigned count;
};
static inline struct money_txn money_txn_begin(struct money *m)
{
    return (struct money_txn){.m = m};
}
int64_t money_txn_get(const struct money_txn *t, const int64_t *word);
void money_txn_set(struct money_txn *t, int64_t *word, int64_t value);
/* Adds; stops at the ends of int64 instead of wrapping. */
void money_txn_add(struct money_txn *t, int64_t *word, int64_t delta);
void money_txn_commit(struct money_txn *t);

/* The int64 behind an atomic word, for the redo record: all changes of shared words go through
 * aligned 8-byte stores. */
#define MONEY_WORD(atomic_word) ((int64_t *)(atomic_word))

int64_t *money_ring_at(const struct money *m, uint32_t region, int64_t position);

/* The one way out of OPEN: gives the holds back, charges them, moves the slot into the ring.
 * Takes and releases the lock. The body is complete but for its state. Returns whether the keeper
 * has to be woken. */
bool money_slot_finish(struct money *m, uint32_t region, uint32_t slot, enum ledger_state state);

#endif
