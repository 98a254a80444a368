/*
 * objects_store.h: object records in the LMDB environment `state`.
 *
 * The keeper is the only writer. Workers look up on the request path, each call a read transaction
 * of its own; what isn't committed yet they find in the outbox (objects_shm.h), which has to be
 * looked through before.
 *
 * A record is found by kind, owner, credential and id: another owner's isn't found at all, and an
 * owner's credentials are walked without walking its objects.
 */
#ifndef GW_COMMON_OBJECTS_STORE_H
#define GW_COMMON_OBJECTS_STORE_H

#include "common/object_record.h"
#include "common/store.h"

/* ---- the request path ---- */

/* STORE_NOTFOUND: this owner has none of that id. */
GW_MUSTUSE enum store_err objects_find(struct store_txn *reader, enum object_kind kind,
                                       const struct object_owner *owner, struct slice id,
                                       struct object_record *out);
/* Calls fn with one record for each credential by which the owner has objects of that kind; the
 * record is borrowed for the call. */
typedef void (*objects_credential_fn)(void *arg, const struct object_record *r);
GW_MUSTUSE enum store_err objects_each_credential(struct store_txn *reader, enum object_kind kind,
                                                  const struct object_owner *owner,
                                                  objects_credential_fn fn, void *arg);

/* ---- the keeper: within a write transaction ---- */

/* Carries out what the record asks (its `change`). Any change may be applied again. STORE_NOTFOUND:
 * it is about an object that isn't there. A bill that is to be written from now on is found by
 * objects_next_bill. */
GW_MUSTUSE enum store_err objects_apply(struct store_txn *t, const struct object_record *r);
/* Deletes at most `max` records that have expired. Of those, *unsettled were OPEN and leave a bill
 * of their bound, ESTIMATED. */
GW_MUSTUSE enum store_err objects_prune(struct store_txn *t, int64_t now_wall_us, uint32_t max,
                                        uint32_t *pruned, uint32_t *unsettled);
/* The bill is in the ledger. */
GW_MUSTUSE enum store_err objects_billed(struct store_txn *t, const struct object_record *r,
                                         int64_t now_wall_us);
/* Whichever bill is to be written; STORE_NOTFOUND: none is. *malformed stand before it and can't be
 * read. */
GW_MUSTUSE enum store_err objects_next_bill(struct store_txn *t, struct object_record *out,
                                            uint32_t *malformed);

/* ---- the admin path ---- */

/* In order of kind and owner, from behind `after` (OBJECTS_KEY_BYTES; empty: from the start).
 * fn gets the key to go on from; false from it ends the page. */
enum { OBJECTS_KEY_BYTES = 41 };
typedef bool (*objects_record_fn)(void *arg, struct slice key, const struct object_record *r);
GW_MUSTUSE enum store_err objects_each(struct store_txn *reader, struct slice after,
                                       objects_record_fn fn, void *arg);

#endif
