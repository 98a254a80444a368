/*
 * money.c: the money segment itself: layout, lock, redo record, cells, check.
 *
 * Doesn't know workers or the keeper (money_worker.c, money_keeper.c). Invariant: outside the lock
 * redo_count is 0 unless a holder died; every word that the lock protects changes by a redo entry
 * only.
 */
#include "common/money.h"

#include "common/check.h"
#include "common/fault.h"
#include "common/money_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static const char SEGMENT_NAME[] = "money";

static const char *const err_texts[] = {
#define X(name, text) text,
    MONEY_ERRORS(X)
#undef X
};

const char *money_err_text(enum money_err err)
{
    return (unsigned)err < ARRAY_LEN(err_texts) ? err_texts[err] : "?";
}

/* --- layout --------------------------------------------------------------------------------- */

static uint64_t page_align(uint64_t n)
{
    return (n + 4095) & ~UINT64_C(4095);
}

static void lay_out(const struct money_geometry *g, struct money_header *h)
{
    h->header_bytes = sizeof *h;
    h->region_bytes = sizeof(struct money_region);
    h->slot_bytes = sizeof(struct money_slot);
    h->cell_bytes = sizeof(struct money_cell);
    h->region_count = g->regions;
    h->slots_per_region = g->slots_per_region;
    h->cell_count = g->cells;
    uint64_t slots = (uint64_t)g->regions * g->slots_per_region;
    h->regions_at = page_align(sizeof *h);
    h->rings_at = page_align(h->regions_at + (uint64_t)g->regions * h->region_bytes);
    h->slots_at = page_align(h->rings_at + slots * sizeof(int64_t));
    h->cells_at = page_align(h->slots_at + slots * h->slot_bytes);
}

size_t money_segment_bytes(const struct money_geometry *g)
{
    struct money_header h = {0};
    lay_out(g, &h);
    return page_align(h.cells_at + (uint64_t)g->cells * h.cell_bytes);
}

static void init_robust(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t a;
    GW_REQUIRE(pthread_mutexattr_init(&a) == 0);
    GW_REQUIRE(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED) == 0);
    GW_REQUIRE(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST) == 0);
    GW_REQUIRE(pthread_mutex_init(mutex, &a) == 0);
    pthread_mutexattr_destroy(&a);
}

static int create(int dir_fd, const struct money_geometry *g, struct shm *out, struct errbuf *e)
{
    struct shm_spec spec = {SEGMENT_NAME, MONEY_LAYOUT, money_segment_bytes(g)};
    if (shm_create(dir_fd, &spec, out, e) != 0)
        return -1;
    struct money m = {.base = (char *)out->header, .header = (struct money_header *)out->header};
    struct money_header laid = {0};
    lay_out(g, &laid);
    m.header->region_bytes = laid.region_bytes;
    m.header->slot_bytes = laid.slot_bytes;
    m.header->cell_bytes = laid.cell_bytes;
    m.header->region_count = laid.region_count;
    m.header->slots_per_region = laid.slots_per_region;
    m.header->cell_count = laid.cell_count;
    m.header->regions_at = laid.regions_at;
    m.header->rings_at = laid.rings_at;
    m.header->slots_at = laid.slots_at;
    m.header->cells_at = laid.cells_at;
    init_robust(&m.header->lock);
    for (uint32_t i = 0; i < g->regions; i++)
        init_robust(&money_region_at(&m, i)->life);
    /* Last: a segment without it was never finished. */
    __atomic_store_n(&m.header->header_bytes, laid.header_bytes, __ATOMIC_RELEASE);
    return 0;
}

static bool area_inside(uint64_t at, uint64_t count, uint64_t bytes, uint64_t total)
{
    return at % 64 == 0 && at <= total && count <= UINT32_MAX && bytes <= (1 << 20) &&
           count * bytes <= total - at;
}

static const char *layout_fault(const struct money_header *h, uint64_t total)
{
    if (total < sizeof *h || h->header_bytes < sizeof *h ||
        h->region_bytes < sizeof(struct money_region) ||
        h->slot_bytes < sizeof(struct money_slot) || h->cell_bytes < sizeof(struct money_cell))
        return "its records are smaller than this program's: it is not finished, or an older one";
    if (h->region_count == 0 || h->slots_per_region == 0 || h->cell_count == 0 ||
        (h->cell_count & (h->cell_count - 1)) != 0)
        return "its geometry makes no sense";
    uint64_t slots = (uint64_t)h->region_count * h->slots_per_region;
    if (!area_inside(h->regions_at, h->region_count, h->region_bytes, total) ||
        !area_inside(h->rings_at, slots, sizeof(int64_t), total) ||
        !area_inside(h->slots_at, slots, h->slot_bytes, total) ||
        !area_inside(h->cells_at, h->cell_count, h->cell_bytes, total))
        return "an area lies outside of it";
    return NULL;
}

int money_attach(struct money *m, const struct shm *shm, int wake_fd, struct errbuf *e)
{
    struct money_header *h = (struct money_header *)shm->header;
    const char *fault = layout_fault(h, shm->total_bytes);
    if (fault)
        return err_set(e, "money segment: %s", fault);
    *m = (struct money){(char *)h, h, wake_fd};
    return 0;
}

/* Nothing open and nothing that the ledger lacks: the segment may be thrown away. */
static bool is_idle(struct money *m)
{
    bool idle = true;
    money_lock(m);
    for (uint32_t i = 0; i < m->header->region_count; i++) {
        struct money_region *r = money_region_at(m, i);
        int64_t fresh = atomic_load(&r->fresh), taken = atomic_load(&r->taken),
                settled = atomic_load(&r->settled), committed = atomic_load(&r->committed);
        idle = idle && committed == settled && settled - taken == fresh;
    }
    money_unlock(m);
    return idle;
}

static bool same_geometry(const struct money_header *h, const struct money_geometry *g)
{
    return h->region_count == g->regions && h->slots_per_region == g->slots_per_region &&
           h->cell_count == g->cells;
}

int money_segment_open(int dir_fd, const struct money_geometry *want, struct shm *out,
                       enum shm_origin *origin, struct errbuf *e)
{
    struct money m;
    GW_REQUIRE(want->cells != 0 && (want->cells & (want->cells - 1)) == 0);
    GW_REQUIRE(want->regions != 0 && want->slots_per_region != 0);
    int found = shm_open_existing(dir_fd, SEGMENT_NAME, out, e);
    if (found < 0)
        return -1;
    if (found && out->header->layout != MONEY_LAYOUT) {
        unsigned layout = out->header->layout;
        shm_detach(out);
        return err_set(e,
                       "money.shm in runtime_dir has layout %u, this program knows %d: start the "
                       "version that made it and stop it in order",
                       layout, MONEY_LAYOUT);
    }
    if (found && money_attach(&m, out, -1, NULL) == 0 &&
        (same_geometry(m.header, want) || !is_idle(&m))) {
        *origin = SHM_ADOPTED;
        return 0;
    }
    if (found)
        shm_detach(out);
    *origin = SHM_CREATED;
    return create(dir_fd, want, out, e);
}

struct money_region *money_region_at(const struct money *m, uint32_t region)
{
    GW_DCHECK(region < m->header->region_count);
    return (struct money_region *)(m->base + m->header->regions_at +
                                   (uint64_t)region * m->header->region_bytes);
}

struct money_slot *money_slot_at(const struct money *m, uint32_t region, uint32_t slot)
{
    GW_DCHECK(slot < m->header->slots_per_region);
    uint64_t index = (uint64_t)region * m->header->slots_per_region + slot;
    return (struct money_slot *)(m->base + m->header->slots_at + index * m->header->slot_bytes);
}

struct money_cell *money_cell_at(const struct money *m, uint32_t cell)
{
    GW_DCHECK(cell < m->header->cell_count);
    return (struct money_cell *)(m->base + m->header->cells_at +
                                 (uint64_t)cell * m->header->cell_bytes);
}

int64_t *money_ring_at(const struct money *m, uint32_t region, int64_t position)
{
    uint32_t slots = m->header->slots_per_region;
    uint64_t index = (uint64_t)region * slots + (uint64_t)position % slots;
    return (int64_t *)(m->base + m->header->rings_at) + index;
}

/* --- lock and redo record ------------------------------------------------------------------- */

static void store_word(struct money *m, uint64_t offset, int64_t value)
{
    __atomic_store_n((int64_t *)(m->base + offset), value, __ATOMIC_RELEASE);
}

static void apply(struct money *m, int64_t count)
{
    const struct money_header *h = m->header;
    for (int64_t i = 0; i < count; i++) {
        store_word(m, h->redo[i].offset, h->redo[i].value);
        GW_FAULT("money.redo.applied_one");
    }
}

static void finish_redo(struct money *m)
{
    struct money_header *h = m->header;
    int64_t count = atomic_load_explicit(&h->redo_count, memory_order_acquire);
    if (count == 0)
        return;
    GW_REQUIRE(count > 0 && count <= MONEY_REDO_MAX);
    apply(m, count);
    atomic_store_explicit(&h->redo_count, 0, memory_order_release);
    h->repairs++;
}

void money_lock(struct money *m)
{
    int rc = pthread_mutex_lock(&m->header->lock);
    if (GW_UNLIKELY(rc == EOWNERDEAD)) {
        /* A death in here leaves the mutex with a dead owner again and the record as it was. */
        finish_redo(m);
        GW_FAULT("money.lock.repaired");
        rc = pthread_mutex_consistent(&m->header->lock);
    }
    GW_REQUIRE(rc == 0);
}

void money_unlock(struct money *m)
{
    GW_REQUIRE(pthread_mutex_unlock(&m->header->lock) == 0);
}

static struct money_redo_entry *find(const struct money_txn *t, const int64_t *word)
{
    struct money_redo_entry *redo = t->m->header->redo;
    uint64_t offset = (uint64_t)((const char *)word - t->m->base);
    for (unsigned i = 0; i < t->count; i++)
        if (redo[i].offset == offset)
            return &redo[i];
    return NULL;
}

int64_t money_txn_get(const struct money_txn *t, const int64_t *word)
{
    const struct money_redo_entry *pending = find(t, word);
    return pending ? pending->value : __atomic_load_n(word, __ATOMIC_RELAXED);
}

void money_txn_set(struct money_txn *t, int64_t *word, int64_t value)
{
    struct money_redo_entry *entry = find(t, word);
    if (!entry) {
        GW_REQUIRE(t->count < MONEY_REDO_MAX);
        entry = &t->m->header->redo[t->count++];
        entry->offset = (uint64_t)((char *)word - t->m->base);
    }
    entry->value = value;
}

void money_txn_add(struct money_txn *t, int64_t *word, int64_t delta)
{
    int64_t sum;
    if (__builtin_add_overflow(money_txn_get(t, word), delta, &sum))
        sum = delta > 0 ? INT64_MAX : INT64_MIN;
    money_txn_set(t, word, sum);
}

void money_txn_commit(struct money_txn *t)
{
    struct money_header *h = t->m->header;
    GW_FAULT("money.redo.written");
    atomic_store_explicit(&h->redo_count, t->count, memory_order_release);
    GW_FAULT("money.redo.counted");
    apply(t->m, t->count);
    GW_FAULT("money.redo.applied");
    atomic_store_explicit(&h->redo_count, 0, memory_order_release);
    GW_FAULT("money.redo.cleared");
}

/* --- cells ------------------------------------------------------------------------------------ */

enum money_err money_cell_get(struct money *m, const uint64_t id[2], uint64_t kind, int64_t settled,
                              uint32_t *out)
{
    uint32_t mask = m->header->cell_count - 1;
    enum money_err err = MONEY_NO_CELL;
    GW_REQUIRE(id[0] != 0 || id[1] != 0);
    money_lock(m);
    /* A quarter stays empty, so that a search for what isn't there ends soon. */
    bool room = m->header->cells_used < (int64_t)m->header->cell_count / 4 * 3;
    for (uint32_t i = 0; i <= mask; i++) {
        uint32_t at = ((uint32_t)id[0] + i) & mask;
        struct money_cell *c = money_cell_at(m, at);
        bool empty = c->id[0] == 0 && c->id[1] == 0;
        if (empty && room) {
            struct money_txn t = money_txn_begin(m);
            money_txn_set(&t, (int64_t *)&c->id[0], (int64_t)id[0]);
            money_txn_set(&t, (int64_t *)&c->id[1], (int64_t)id[1]);
            money_txn_set(&t, (int64_t *)&c->kind, (int64_t)kind);
            money_txn_set(&t, &c->settled, settled);
            money_txn_set(&t, &c->held, 0);
            money_txn_add(&t, &m->header->cells_used, 1);
            money_txn_commit(&t);
        }
        if (c->id[0] == id[0] && c->id[1] == id[1]) {
            *out = at;
            err = MONEY_OK;
            break;
        }
        if (empty)
            break;
    }
    money_unlock(m);
    return err;
}

/* --- check --------------------------------------------------------------------------------------
 */

static int check_region(struct money *m, uint32_t index, int64_t *held, struct errbuf *e)
{
    struct money_region *r = money_region_at(m, index);
    int64_t fresh = atomic_load(&r->fresh), taken = atomic_load(&r->taken),
            settled = atomic_load(&r->settled), committed = atomic_load(&r->committed), open = 0;
    if (!(0 <= taken && taken <= committed && committed <= settled && settled - taken <= fresh &&
          fresh <= m->header->slots_per_region))
        return err_set(e, "region %u: positions out of order", index);
    for (uint32_t i = 0; i < fresh; i++) {
        const struct money_slot *s = money_slot_at(m, index, i);
        if (money_state_of(atomic_load(&s->state)) != MONEY_OPEN)
            continue;
        open++;
        for (uint32_t h = 0; h < s->hold_count; h++)
            held[s->hold_cell[h]] += s->hold_amount[h];
    }
    if (open != fresh - (settled - taken))
        return err_set(e, "region %u: %" PRId64 " slots are open, its positions say %" PRId64,
                       index, open, fresh - (settled - taken));
    for (int64_t p = taken; p < settled; p++) {
        int64_t slot = *money_ring_at(m, index, p);
        if (slot < 0 || slot >= fresh ||
            money_state_of(atomic_load(&money_slot_at(m, index, (uint32_t)slot)->state)) ==
                MONEY_OPEN)
            return err_set(e, "region %u: the ring names slot %" PRId64 " which is open", index,
                           slot);
    }
    return 0;
}

int money_check(struct money *m, struct errbuf *e)
{
    int64_t *held = gw_xcalloc(m->header->cell_count, sizeof *held);
    int rc = 0;
    money_lock(m);
    for (uint32_t i = 0; rc == 0 && i < m->header->region_count; i++)
        rc = check_region(m, i, held, e);
    for (uint32_t i = 0; rc == 0 && i < m->header->cell_count; i++)
        if (money_cell_at(m, i)->held != held[i])
            rc = err_set(e, "cell %u holds %" PRId64 ", its open slots hold %" PRId64, i,
                         money_cell_at(m, i)->held, held[i]);
    money_unlock(m);
    free(held);
    return rc;
}
