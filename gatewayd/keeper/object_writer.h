/*
 * object_writer.h: the keeper's side of the records of objects: out of the workers' rings into
 * LMDB, bills of batches into the ledger, expired records away.
 *
 * Woken by the first record that is published; what comes within a commit interval is one
 * transaction, on the thread that writes `state`. A record is freed behind its commit, so a death
 * in between has it applied twice, which changes nothing.
 *
 * A batch is charged once: the first usage that is seen makes its record SETTLING, in LMDB; the
 * ledger gets one record whose id is made of the batch's, and refuses a second; then it is SETTLED.
 * Killed anywhere in this, the keeper goes on from what LMDB says.
 */
#ifndef GW_KEEPER_OBJECT_WRITER_H
#define GW_KEEPER_OBJECT_WRITER_H

#include "common/errbuf.h"

struct keeper;
struct object_writer;
struct object_record;
struct ledger_body;

/* Begins at once with what waits. Uses the keeper's segment, state, writers and ledger. */
struct object_writer *object_writer_new(struct keeper *k, struct errbuf *e);
/* Submits no job any more. NULL is fine. */
void object_writer_stop(struct object_writer *w);
/* After the job threads have ended: writes what still waits. NULL is fine. */
void object_writer_free(struct object_writer *w);

/* The ledger's record of a batch: the same for the same batch, whenever it is made. `body` has
 * LEDGER_BODY_MAX bytes. */
void object_bill(const struct object_record *r, int64_t now_wall_us, struct ledger_body *body);

#endif
