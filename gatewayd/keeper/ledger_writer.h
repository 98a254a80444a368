/*
 * ledger_writer.h: the keeper's thread that moves records from the money segment into the ledger.
 *
 * Once a commit interval (or at once when much is waiting) it appends every settled attempt in one
 * transaction and frees their slots; notes attempts that stay open as intents; settles for dead
 * workers; deletes what retention lets go. Nothing to do: it sleeps on the eventfd that workers
 * write. It never loses a record: what can't be written stays in its slot, the segment says so
 * (money_ledger_unwritable_since), it is tried again after ever longer pauses of at most 5 s, and
 * when slots run out workers answer 503. A slot whose body is malformed stops nobody: it becomes an
 * unsettled record of its reservation, or goes to quarantine when it doesn't say what it belongs
 * to.
 *
 * All functions but ledger_writer_add are for the keeper's main thread; none of these waits for a
 * disk but stop.
 */
#ifndef GW_KEEPER_LEDGER_WRITER_H
#define GW_KEEPER_LEDGER_WRITER_H

#include "common/ledger_store.h"
#include "common/money.h"

struct ledger_writer_config {
    struct money *money;        /* borrowed until stop; its wake_fd is the eventfd, non-blocking */
    struct store *ledger;       /* borrowed until stop; opened with STORE_WRITE */
    int64_t commit_interval_us; /* 0: 50 ms */
    uint32_t retention_days;    /* 0: for ever */
};

struct ledger_writer;
/* Starts the thread. What died with its segment is settled first, from the intents. */
GW_MUSTUSE int ledger_writer_start(const struct ledger_writer_config *cfg,
                                   struct ledger_writer **out, struct errbuf *e);
/* Counts from now on; the values as in the configuration above. */
void ledger_writer_configure(struct ledger_writer *w, int64_t commit_interval_us,
                             uint32_t retention_days);
/* Writes what is waiting (one try, if the disk refuses) and ends the thread. NULL is fine. */
void ledger_writer_stop(struct ledger_writer *w);
/* The master says that a worker died: look for its region now instead of within a second. */
void ledger_writer_region_dead(struct ledger_writer *w, uint32_t worker, uint64_t incarnation);

/* Appends a record that no worker's slot holds, unless one of its id is there, and waits until that
 * is durable. -1: the ledger can't be written at the moment, or the writer is being stopped. For
 * the job threads. */
GW_MUSTUSE int ledger_writer_add(struct ledger_writer *w, const struct ledger_body *b);

struct ledger_writer_stats {
    uint64_t records, duplicates, commits, intents, failures;
    uint64_t reaped;         /* attempts settled for dead workers */
    uint64_t lost_settled;   /* attempts settled from intents */
    uint64_t dropped;        /* records deleted by retention */
    uint64_t malformed;      /* slots set aside: charged at the reservation, or quarantined */
    uint64_t quarantined;    /* of them, and of intents, those without a record */
    enum store_err last_err; /* of the last failure */
    bool unwritable;         /* the last try failed */
};
void ledger_writer_stats(struct ledger_writer *w, struct ledger_writer_stats *out);

#endif
