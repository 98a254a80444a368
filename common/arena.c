/*
 * arena.c: the bump allocator.
 */
#include "common/arena.h"
#include "common/check.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_ALIGN = 16, ARENA_BLOCK_BYTES = 8192 };

struct arena_block {
    struct arena_block *next;
    size_t bytes;
    _Alignas(ARENA_ALIGN) char data[];
};

#if defined(__SANITIZE_ADDRESS__)
static const bool one_block_each = true;
#else
static const bool one_block_each = false;
#endif

void arena_init(struct arena *a, void *first, size_t first_bytes, size_t max_bytes)
{
    *a = (struct arena){.first = first, .first_bytes = first_bytes, .max_bytes = max_bytes};
    arena_reset(a);
}

void arena_reset(struct arena *a)
{
    while (a->more) {
        struct arena_block *b = a->more;
        a->more = b->next;
        free(b);
    }
    a->at = a->first;
    a->end = one_block_each ? a->first : a->first + a->first_bytes;
    a->used_bytes = 0;
}

static bool add_block(struct arena *a, size_t need)
{
    size_t bytes = one_block_each ? need : GW_MAX(need, (size_t)ARENA_BLOCK_BYTES);
    struct arena_block *b = malloc(sizeof *b + bytes);
    if (!b)
        return false;
    b->bytes = bytes;
    b->next = a->more;
    a->more = b;
    a->at = b->data;
    a->end = b->data + bytes;
    return true;
}

void *arena_alloc(struct arena *a, size_t n_bytes)
{
    if (n_bytes > a->max_bytes || a->used_bytes > a->max_bytes - n_bytes)
        return NULL;
    size_t pad = (size_t)(-(uintptr_t)a->at & (ARENA_ALIGN - 1));
    if (one_block_each || (size_t)(a->end - a->at) < n_bytes + pad) {
        if (!add_block(a, n_bytes))
            return NULL;
        pad = 0;
    }
    char *p = a->at + pad;
    a->at = p + n_bytes;
    a->used_bytes += n_bytes + pad;
    return p;
}

struct slice arena_dup(struct arena *a, struct slice s)
{
    char *p = arena_alloc(a, s.n);
    if (!p)
        return slice_of(NULL, 0);
    if (s.n)
        memcpy(p, s.p, s.n);
    return slice_of(p, s.n);
}
