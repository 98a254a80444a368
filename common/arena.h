/*
 * arena.h: bump allocation for things that die together (a request, an attempt).
 *
 * The first block is the owner's own memory, so that an ordinary request costs no malloc at all;
 * further blocks are malloc'ed up to max_bytes. arena_alloc returns NULL beyond it: sizes may come
 * from outside. arena_reset frees the further blocks and starts over. Sanitizer builds give each
 * allocation a block of its own, so that an overrun or a use after reset is seen.
 */
#ifndef GW_COMMON_ARENA_H
#define GW_COMMON_ARENA_H

#include "common/slice.h"

struct arena_block;

struct arena {
    char *first;
    size_t first_bytes;
    char *at, *end;
    struct arena_block *more;
    size_t used_bytes;
    size_t max_bytes;
};

void arena_init(struct arena *a, void *first, size_t first_bytes, size_t max_bytes);
void arena_reset(struct arena *a);
/* Aligned to 16 bytes, not zeroed. NULL when max_bytes would be exceeded. */
void *arena_alloc(struct arena *a, size_t n_bytes);
/* A copy in the arena; {NULL, 0} when it doesn't fit. */
struct slice arena_dup(struct arena *a, struct slice s);

#endif
