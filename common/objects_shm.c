/*
 * objects_shm.c: the rings.
 *
 * A record is copied in and out as relaxed atomic words, so that the race between a reader and a
 * producer that has come round is defined; the reader then sees by `drained` that it was overtaken
 * and forgets the copy.
 */
#include "common/objects_shm.h"

#include "common/check.h"
#include "common/fault.h"

#include <errno.h>
#include <unistd.h>

static const char SEGMENT_NAME[] = "objects";
enum { WORD_BYTES = 8, SLOT_WORDS = sizeof(struct object_record) / WORD_BYTES };
static const size_t FIXED_BYTES = offsetof(struct object_record, text);

static size_t segment_bytes(uint32_t regions)
{
    return sizeof(struct objects_header) +
           regions * (sizeof(struct objects_region) +
                      (size_t)OBJECTS_SLOTS * sizeof(struct object_record));
}

static struct objects_region *region_at(const struct objects *o, uint32_t region)
{
    GW_DCHECK(region < o->header->region_count);
    return (struct objects_region *)(o->base + o->header->regions_at +
                                     (uint64_t)region * o->header->region_bytes);
}

static _Atomic uint64_t *slot_at(const struct objects *o, uint32_t region, uint64_t position)
{
    const struct objects_header *h = o->header;
    uint64_t index = (uint64_t)region * h->slots_per_region + position % h->slots_per_region;
    return (_Atomic uint64_t *)(o->base + h->slots_at + index * h->slot_bytes);
}

static const char *layout_fault(const struct objects_header *h, uint64_t total)
{
    if (total < sizeof *h || h->region_bytes != sizeof(struct objects_region) ||
        h->slot_bytes != sizeof(struct object_record) || h->slots_per_region != OBJECTS_SLOTS ||
        h->region_count == 0 || total != segment_bytes(h->region_count) ||
        h->regions_at != sizeof *h ||
        h->slots_at != sizeof *h + (uint64_t)h->region_count * h->region_bytes)
        return "its layout is another version's, or it is not finished";
    return NULL;
}

int objects_attach(struct objects *o, const struct shm *shm, int wake_fd, struct errbuf *e)
{
    struct objects_header *h = (struct objects_header *)shm->header;
    const char *fault = layout_fault(h, shm->total_bytes);
    if (fault)
        return err_set(e, "objects segment: %s", fault);
    *o = (struct objects){(char *)h, h, wake_fd};
    return 0;
}

/* What waits in `from` goes on waiting in `to`, which has at least as many regions. */
static void carry_over(const struct objects *from, struct objects *to)
{
    for (uint32_t r = 0; r < from->header->region_count; r++) {
        struct objects_region *src = region_at(from, r), *dst = region_at(to, r);
        uint64_t published = atomic_load(&src->published), drained = atomic_load(&src->drained);
        for (uint64_t p = drained; p < published; p++)
            memcpy((void *)slot_at(to, r, p), (const void *)slot_at(from, r, p),
                   sizeof(struct object_record));
        atomic_store(&dst->drained, drained);
        atomic_store(&dst->published, published);
    }
}

static int create(int dir_fd, uint32_t regions, struct shm *out, struct errbuf *e)
{
    struct shm_spec spec = {SEGMENT_NAME, OBJECTS_LAYOUT, segment_bytes(regions)};
    if (shm_create(dir_fd, &spec, out, e) < 0)
        return -1;
    struct objects_header *h = (struct objects_header *)out->header;
    h->region_count = regions;
    h->slots_per_region = OBJECTS_SLOTS;
    h->region_bytes = sizeof(struct objects_region);
    h->slot_bytes = sizeof(struct object_record);
    h->regions_at = sizeof *h;
    h->slots_at = sizeof *h + (uint64_t)regions * h->region_bytes;
    return 0;
}

int objects_segment_open(int dir_fd, uint32_t regions, struct shm *out, struct errbuf *e)
{
    struct objects was = {.wake_fd = -1}, is;
    struct shm old;
    int found = shm_open_existing(dir_fd, SEGMENT_NAME, &old, e);
    if (found < 0)
        return -1;
    if (found &&
        (old.header->layout != OBJECTS_LAYOUT || objects_attach(&was, &old, -1, NULL) < 0)) {
        shm_detach(&old);
        found = 0;
    }
    if (found && was.header && was.header->region_count >= regions &&
        (was.header->region_count == regions || objects_any_pending(&was))) {
        *out = old;
        return 0;
    }
    int rc = create(dir_fd, regions, out, e);
    if (rc == 0)
        rc = objects_attach(&is, out, -1, e);
    if (rc == 0 && found && was.header->region_count < regions)
        carry_over(&was, &is);
    if (found)
        shm_detach(&old);
    return rc;
}

/* ---- the worker ---- */

uint32_t objects_room(const struct objects *o, uint32_t region)
{
    struct objects_region *r = region_at(o, region);
    uint64_t waiting = atomic_load_explicit(&r->published, memory_order_relaxed) -
                       atomic_load_explicit(&r->drained, memory_order_acquire);
    return o->header->slots_per_region - (uint32_t)waiting;
}

static void wake_keeper(struct objects *o)
{
    uint64_t one = 1;
    if (!atomic_load(&o->header->keeper_waits) || !atomic_exchange(&o->header->keeper_waits, 0))
        return;
    if (o->wake_fd >= 0 && write(o->wake_fd, &one, sizeof one) < 0)
        GW_DCHECK(errno == EAGAIN);
}

bool objects_publish(struct objects *o, uint32_t region, const struct object_record *r)
{
    struct objects_region *ring = region_at(o, region);
    uint64_t at = atomic_load_explicit(&ring->published, memory_order_relaxed);
    size_t n = object_record_bytes(r);
    uint64_t words[SLOT_WORDS] = {0};
    if (objects_room(o, region) == 0)
        return false;
    memcpy(words, r, n);
    _Atomic uint64_t *slot = slot_at(o, region, at);
    for (size_t i = 0; i < (n + WORD_BYTES - 1) / WORD_BYTES; i++)
        atomic_store_explicit(&slot[i], words[i], memory_order_relaxed);
    GW_FAULT("objects.filled");
    atomic_store(&ring->published, at + 1);
    GW_FAULT("objects.published");
    wake_keeper(o);
    return true;
}

/* ---- every process ---- */

static void copy_words(const _Atomic uint64_t *slot, size_t from, size_t to, void *out)
{
    for (size_t i = from / WORD_BYTES; i < (to + WORD_BYTES - 1) / WORD_BYTES; i++) {
        uint64_t word = atomic_load_explicit(&slot[i], memory_order_relaxed);
        memcpy((char *)out + i * WORD_BYTES, &word, WORD_BYTES);
    }
}

/* False: it was freed meanwhile, so LMDB has it. */
static bool read_at(const struct objects *o, uint32_t region, uint64_t position,
                    struct object_record *out)
{
    const _Atomic uint64_t *slot = slot_at(o, region, position);
    copy_words(slot, 0, FIXED_BYTES, out);
    copy_words(slot, FIXED_BYTES, GW_MIN(object_record_bytes(out), sizeof *out), out);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&region_at(o, region)->drained, memory_order_acquire) <= position;
}

void objects_each_pending(const struct objects *o, objects_fn fn, void *arg)
{
    struct object_record r;
    for (uint32_t i = 0; i < o->header->region_count; i++) {
        uint64_t end = objects_published(o, i);
        for (uint64_t p = objects_drained(o, i); p < end; p++)
            if (read_at(o, i, p, &r) && !fn(arg, &r))
                return;
    }
}

bool objects_any_pending(const struct objects *o)
{
    for (uint32_t i = 0; i < o->header->region_count; i++)
        if (objects_published(o, i) != objects_drained(o, i))
            return true;
    return false;
}

/* ---- the keeper ---- */

uint64_t objects_published(const struct objects *o, uint32_t region)
{
    return atomic_load(&region_at(o, region)->published);
}

uint64_t objects_drained(const struct objects *o, uint32_t region)
{
    return atomic_load(&region_at(o, region)->drained);
}

const struct object_record *objects_at(const struct objects *o, uint32_t region, uint64_t position)
{
    return (const struct object_record *)slot_at(o, region, position);
}

void objects_free_before(struct objects *o, uint32_t region, uint64_t position)
{
    atomic_store(&region_at(o, region)->drained, position);
}

bool objects_wait(struct objects *o)
{
    atomic_store(&o->header->keeper_waits, 1);
    if (!objects_any_pending(o))
        return true;
    atomic_store(&o->header->keeper_waits, 0);
    return false;
}
