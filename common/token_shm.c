/*
 * token_shm.c: layout, lock-free readers and single writer of the table of fetched tokens.
 *
 * Two copies and a counter: seqcount_latch of the Linux kernel (Documentation/locking/seqlock.rst),
 * with the copies accessed as relaxed atomic words so that the race between a reader and the writer
 * that overtakes it is defined.
 */
#include "common/token_shm.h"

#include "common/check.h"

#include <sys/mman.h>

enum {
    RECORD_WORDS = sizeof(struct token_record) / sizeof(uint64_t),
    HEAD_WORDS = sizeof(struct token_head) / sizeof(uint64_t),
    TEXT_WORDS = TOKEN_TEXT_BYTES / sizeof(uint64_t),
    /* A reader is overtaken only while the keeper rewrites one slot twice within the copy; hitting
     * this bound means that the counter is not a counter. */
    READ_TRIES = 1000,
};

struct token_slot {
    _Atomic uint32_t published; /* times; copy[published & 1] holds the record; 0: never */
    _Atomic uint32_t refused;   /* the serial that a provider last refused */
};

struct token_copies {
    _Atomic uint64_t copy[2][RECORD_WORDS];
};

/* What is looked at to find a slot stands close together: walking the table doesn't touch, and so
 * take, the memory of records that were never used. */
struct token_seg {
    _Atomic uint64_t refusals;
    uint8_t pad[GW_CACHELINE - 8];
    struct token_slot slot[TOKEN_SLOTS];
    struct token_copies record[TOKEN_SLOTS];
};
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
               "a lock inside an atomic would be private to each process");
_Static_assert((TOKEN_SLOTS & (TOKEN_SLOTS - 1)) == 0, "the probe masks");
_Static_assert(sizeof(struct token_head) % sizeof(uint64_t) == 0, "copied in words");
_Static_assert(TOKEN_SLOTS == 2 * TOKEN_CREDENTIALS_MAX, "room for two generations");
_Static_assert(TOKEN_TEXT_BYTES <= UINT16_MAX, "lengths have 16 bits");

struct shm_spec token_seg_spec(void)
{
    return (struct shm_spec){.name = "tokens",
                             .layout = TOKEN_LAYOUT,
                             .total_bytes = SHM_HEADER_BYTES + sizeof(struct token_seg)};
}

struct token_seg *token_seg_of(const struct shm *s)
{
    (void)madvise(s->header, s->total_bytes, MADV_DONTDUMP);
    return shm_body(s);
}

/* ---- reading ---- */

static void load_words(const struct token_seg *seg, int slot, uint32_t published, size_t first,
                       size_t n, void *out)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t word = atomic_load_explicit(&seg->record[slot].copy[published & 1][first + i],
                                             memory_order_relaxed);
        memcpy((char *)out + i * sizeof word, &word, sizeof word);
    }
}

static size_t text_bytes(const struct token_head *h)
{
    size_t n = 0;
    for (int p = 0; p < TOKEN_N_PARTS; p++)
        n += h->length[p];
    return GW_MIN(n, (size_t)TOKEN_TEXT_BYTES);
}

static size_t text_words(const struct token_head *h)
{
    return (text_bytes(h) + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

/* The head, and the text where text isn't NULL. False: never used. */
static bool slot_read(const struct token_seg *seg, int slot, struct token_head *head, char *text)
{
    const _Atomic uint32_t *published = &seg->slot[slot].published;
    for (int try = 0; try < READ_TRIES; try++) {
        uint32_t before = atomic_load_explicit(published, memory_order_acquire);
        if (before == 0)
            return false;
        load_words(seg, slot, before, 0, HEAD_WORDS, head);
        if (text)
            load_words(seg, slot, before, HEAD_WORDS, text_words(head), text);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(published, memory_order_relaxed) == before)
            return true;
    }
    return !gw_fails(!"a token's slot changes faster than it can be read");
}

static bool same_identity(const uint8_t a[TOKEN_IDENTITY_BYTES],
                          const uint8_t b[TOKEN_IDENTITY_BYTES])
{
    return memcmp(a, b, TOKEN_IDENTITY_BYTES) == 0;
}

static bool is_vacant(const struct token_head *h)
{
    static const uint8_t nobody[TOKEN_IDENTITY_BYTES];
    return same_identity(h->identity, nobody);
}

/* Walks the probe chain: the identity's slot, or -1; *vacant is then the first that could take it,
 * or -1. An identity is a hash already. */
static int find(const struct token_seg *seg, const uint8_t identity[TOKEN_IDENTITY_BYTES],
                int *vacant)
{
    uint32_t h;
    struct token_head head;
    memcpy(&h, identity, sizeof h);
    *vacant = -1;
    for (uint32_t i = 0; i < TOKEN_SLOTS; i++) {
        int at = (int)((h + i) & (TOKEN_SLOTS - 1));
        bool used = slot_read(seg, at, &head, NULL);
        if (used && same_identity(head.identity, identity))
            return at;
        if ((!used || is_vacant(&head)) && *vacant < 0)
            *vacant = at;
        if (!used)
            return -1;
    }
    return -1;
}

static bool is_usable(const struct token_head *h, const uint8_t identity[TOKEN_IDENTITY_BYTES],
                      int64_t now_us)
{
    return same_identity(h->identity, identity) && now_us < h->usable_until_us;
}

int token_find(const struct token_seg *seg, const uint8_t identity[TOKEN_IDENTITY_BYTES],
               uint32_t *hint)
{
    struct token_head head;
    int vacant;
    if (*hint < TOKEN_SLOTS && slot_read(seg, (int)*hint, &head, NULL) &&
        same_identity(head.identity, identity))
        return (int)*hint;
    int at = find(seg, identity, &vacant);
    if (at >= 0)
        *hint = (uint32_t)at;
    return at;
}

uint32_t token_serial(const struct token_seg *seg, int slot,
                      const uint8_t identity[TOKEN_IDENTITY_BYTES], int64_t now_us)
{
    struct token_head head;
    if (!slot_read(seg, slot, &head, NULL) || !is_usable(&head, identity, now_us))
        return 0;
    return head.serial;
}

bool token_read(const struct token_seg *seg, int slot, const uint8_t identity[TOKEN_IDENTITY_BYTES],
                int64_t now_us, struct token_record *out)
{
    return slot_read(seg, slot, &out->head, out->text) && is_usable(&out->head, identity, now_us);
}

struct slice token_part(const struct token_record *r, enum token_part p)
{
    size_t at = 0;
    for (int before = 0; before < (int)p; before++)
        at += r->head.length[before];
    if (gw_fails(at + r->head.length[p] <= TOKEN_TEXT_BYTES))
        return slice_of(NULL, 0);
    return slice_of(r->text + at, r->head.length[p]);
}

void token_refused(struct token_seg *seg, int slot, uint32_t serial)
{
    atomic_store_explicit(&seg->slot[slot].refused, serial, memory_order_relaxed);
    atomic_fetch_add_explicit(&seg->refusals, 1, memory_order_release);
}

/* ---- writing ---- */

static void store_words(struct token_seg *seg, int slot, uint32_t published, size_t first, size_t n,
                        const void *from)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t word;
        memcpy(&word, (const char *)from + i * sizeof word, sizeof word);
        atomic_store_explicit(&seg->record[slot].copy[published & 1][first + i], word,
                              memory_order_relaxed);
    }
}

static void slot_write(struct token_seg *seg, int slot, const struct token_head *head,
                       const char *text, size_t n_words)
{
    _Atomic uint32_t *published = &seg->slot[slot].published;
    uint32_t now = atomic_load_explicit(published, memory_order_relaxed);
    uint32_t next = now + 1 ? now + 1 : 2; /* 0 means never; keep the parity */
    /* The previous publication must be visible before its older copy is overwritten. */
    atomic_thread_fence(memory_order_release);
    store_words(seg, slot, next, 0, HEAD_WORDS, head);
    store_words(seg, slot, next, HEAD_WORDS, n_words, text);
    atomic_store_explicit(published, next, memory_order_release);
}

int token_publish(struct token_seg *seg, struct token_record *r)
{
    int vacant;
    struct token_head old;
    int at = find(seg, r->head.identity, &vacant);
    if (at < 0 && vacant < 0)
        return -1;
    if (at < 0)
        at = vacant;
    bool known = slot_read(seg, at, &old, NULL);
    r->head.serial = known ? old.serial + 1 : 1;
    if (r->head.serial == 0)
        r->head.serial = 1;
    slot_write(seg, at, &r->head, r->text, text_words(&r->head));
    return at;
}

/* The whole of both copies, so that not even a longer token of before is left behind. */
void token_forget(struct token_seg *seg, int slot)
{
    static const char blank[TOKEN_TEXT_BYTES];
    struct token_head old = {.serial = 0};
    (void)slot_read(seg, slot, &old, NULL);
    const struct token_head gone = {.serial = old.serial};
    for (int copy = 0; copy < 2; copy++)
        slot_write(seg, slot, &gone, blank, TEXT_WORDS);
}

bool token_peek(const struct token_seg *seg, int slot, struct token_head *out)
{
    return slot_read(seg, slot, out, NULL) && !is_vacant(out);
}

uint64_t token_refusals(const struct token_seg *seg)
{
    return atomic_load_explicit(&seg->refusals, memory_order_acquire);
}

uint32_t token_refused_serial(const struct token_seg *seg, int slot)
{
    return atomic_load_explicit(&seg->slot[slot].refused, memory_order_relaxed);
}
