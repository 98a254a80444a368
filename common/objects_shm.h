/*
 * objects_shm.h: the outbox of object records: from the workers to the keeper.
 *
 * A ring a worker. The worker publishes a record before its client gets to see the object's id; the
 * keeper commits what is published to LMDB in groups and frees it afterwards. So a worker that
 * looks an object up in the rings first, and then in LMDB in a read transaction begun after that,
 * can't miss it. No lock and no system call but the wake-up of a keeper that waits.
 *
 * A region belongs to whoever holds the region of the same number in the money segment, so it has
 * one producer at a time; what a dead one has published stays for the keeper. A record is published
 * by one store of the ring's head: killed before it, there is nothing; behind it, nothing is lost.
 *
 * Room is asked for before a request is sent (objects_room), so that no object is ever made that
 * can't be recorded.
 */
#ifndef GW_COMMON_OBJECTS_SHM_H
#define GW_COMMON_OBJECTS_SHM_H

#include "common/object_record.h"
#include "common/shm.h"

#include <stdatomic.h>

enum { OBJECTS_LAYOUT = 1, OBJECTS_SLOTS = 2048 };

/* Positions only grow; position p is slot p % slots_per_region. [drained, published) wait. */
struct objects_region {
    _Atomic uint64_t published; /* the worker's */
    uint8_t pad0[GW_CACHELINE - 8];
    _Atomic uint64_t drained; /* the keeper's */
    uint8_t pad1[GW_CACHELINE - 8];
};
_Static_assert(sizeof(struct objects_region) == 128, "shared layout");

struct objects_header {
    struct shm_header shm;
    uint32_t region_count, slots_per_region;
    uint32_t region_bytes, slot_bytes;
    uint64_t regions_at, slots_at; /* offsets from the start of the segment */
    _Atomic uint32_t keeper_waits; /* who publishes clears it and then writes wake_fd */
    uint8_t reserved[92];
};
_Static_assert(sizeof(struct objects_header) == 256, "shared layout");

/* Master: adopts the segment of this boot if it has that many regions, else makes a new one, with
 * what waits in the old one. */
GW_MUSTUSE int objects_segment_open(int dir_fd, uint32_t regions, struct shm *out,
                                    struct errbuf *e);

struct objects {
    char *base;
    struct objects_header *header;
    int wake_fd; /* eventfd, borrowed; -1 none */
};
/* `shm` must outlive o. */
GW_MUSTUSE int objects_attach(struct objects *o, const struct shm *shm, int wake_fd,
                              struct errbuf *e);

/* ---- the worker that owns the region ---- */

/* Records that may still be published. Shrinks by publishing alone. */
uint32_t objects_room(const struct objects *o, uint32_t region);
/* False: there is no room, nothing was published. */
GW_MUSTUSE bool objects_publish(struct objects *o, uint32_t region, const struct object_record *r);

/* ---- every process ---- */

/* Calls fn for each record that waits, in order within a region; a copy, true while fn runs. False
 * from fn ends the walk. Whatever was published before the call and isn't met is in LMDB. */
typedef bool (*objects_fn)(void *arg, const struct object_record *r);
void objects_each_pending(const struct objects *o, objects_fn fn, void *arg);
bool objects_any_pending(const struct objects *o);

/* ---- the keeper ---- */

uint64_t objects_published(const struct objects *o, uint32_t region);
uint64_t objects_drained(const struct objects *o, uint32_t region);
/* The record at a position of [drained, published). Borrowed until it is freed. */
const struct object_record *objects_at(const struct objects *o, uint32_t region, uint64_t position);
/* Frees what lies before `position`: it is durable. */
void objects_free_before(struct objects *o, uint32_t region, uint64_t position);
/* Asks to be woken by the next record. False: there is one already. */
GW_MUSTUSE bool objects_wait(struct objects *o);

#endif
