/*
 * objects.h: objects that providers keep, as a worker deals with them: whose they are, where they
 * are, and that a new one is on record before its maker hears of it.
 *
 * An owner is the team of the key that made the object, or the key itself where it has none. What
 * belongs to another owner doesn't exist: 404, and no provider is asked.
 */
#ifndef GW_WORKER_OBJECTS_H
#define GW_WORKER_OBJECTS_H

#include "common/objects_store.h"
#include "gatewayd/worker/req.h"

/* ---- what a provider makes ---- */

/* Keeps a place in the outbox before a request is sent that makes an object. Given back by
 * objects_unpromise, or used by objects_record. */
enum objects_promise {
    OBJECTS_PROMISED,
    OBJECTS_FULL,     /* the keeper is behind: try again in a moment */
    OBJECTS_TOO_LONG, /* the names that belong on record don't fit into one */
};
enum objects_promise objects_promise(struct req *r, const struct candidate *cand);
void objects_unpromise(struct worker *w);

struct object_seen {
    enum object_kind kind;
    struct slice id;
    struct slice model;   /* n = 0: it has none */
    int64_t expires_us;   /* wall clock; 0: it stays until it is deleted */
    uint8_t batch_url;    /* enum openai_batch_url of a batch or of its input */
    bool billed_later;    /* what it costs is seen when it is through */
    const int64_t *bound; /* of a batch, of its input, of what is billed later: what it may use;
                           * NULL: nothing */
};
/* Puts what `cand` has made for r on record; a place must have been kept. An id that can't be one
 * (empty, too long) is left out and logged: the object can't be reached afterwards. */
void objects_record(struct req *r, const struct candidate *cand, const struct object_seen *seen);

/* An answer that is on record is OPEN from now on. False: there is no room in the outbox. */
GW_MUSTUSE bool objects_reopen(struct req *r, const struct candidate *cand,
                               const struct object_seen *seen);

/* Puts on record what another object turned out to have made: the output of a batch, or its
 * errors. False: there is no room in the outbox at the moment. */
GW_MUSTUSE bool objects_record_output(struct worker *w, const struct object_record *parent,
                                      struct slice id, bool errors);
/* Says of a known object that it is gone or, with its usage, through. Without room in the outbox it
 * is left out: the next who sees it says it again. */
void objects_tell(struct worker *w, const struct object_record *known, enum object_change change,
                  const int64_t usage[LEDGER_USAGE_MAX]);
/* Its figures are none of the provider's. */
void objects_tell_estimate(struct worker *w, const struct object_record *known,
                           const int64_t usage[LEDGER_USAGE_MAX]);

/* ---- what is known ---- */

/* STORE_NOTFOUND: the caller has none of that id. */
GW_MUSTUSE enum store_err objects_lookup(struct req *r, enum object_kind kind, struct slice id,
                                         struct object_record *out);
/* The credential that made it; NULL: it isn't in the configuration any more. */
const struct conf_credential *objects_credential(const struct req *r,
                                                 const struct object_record *o);

/* Ends the request: what is known can't be read at the moment. */
void objects_fail_store(struct req *r, enum store_err err);

/* The objects that the body names bind the request to the credential that made them: of the
 * candidates only those are left that can reach all of them. False: the request has been ended. */
GW_MUSTUSE bool objects_bind(struct req *r, struct slice body);

#endif
