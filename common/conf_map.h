/*
 * conf_map.h: names to positions, built once; for conf_*.c only.
 *
 * Open addressing over configuration names; what is looked up may come from outside, what is in it
 * not, so nobody can make its chains long.
 */
#ifndef GW_COMMON_CONF_MAP_H
#define GW_COMMON_CONF_MAP_H

#include "common/conf_value.h"

#define CONF_MAP_NONE UINT32_MAX

struct conf_map_slot {
    struct slice key; /* p == NULL: free */
    uint32_t value;
};

struct conf_map {
    struct conf_map_slot *slots;
    uint32_t mask;
};

/* Room for n keys. */
static inline void conf_map_init(struct conf_map *m, struct arena *a, size_t n)
{
    size_t cap = 8;
    while (cap < n * 2)
        cap *= 2;
    m->slots = conf_alloc(a, cap * sizeof *m->slots);
    m->mask = (uint32_t)(cap - 1);
}

static inline struct conf_map_slot *conf_map_slot(const struct conf_map *m, struct slice key)
{
    uint64_t h = slice_hash(key);
    uint32_t i = (uint32_t)(h ^ (h >> 32)) & m->mask;
    while (m->slots[i].key.p && !slice_eq(m->slots[i].key, key))
        i = (i + 1) & m->mask;
    return &m->slots[i];
}

static inline uint32_t conf_map_get(const struct conf_map *m, struct slice key)
{
    const struct conf_map_slot *s = conf_map_slot(m, key);
    return s->key.p ? s->value : CONF_MAP_NONE;
}

/* Borrows the key. Returns what is there already under it, or CONF_MAP_NONE when it was put. */
static inline uint32_t conf_map_put(struct conf_map *m, struct slice key, uint32_t value)
{
    struct conf_map_slot *s = conf_map_slot(m, key);
    if (s->key.p)
        return s->value;
    *s = (struct conf_map_slot){key, value};
    return CONF_MAP_NONE;
}

/* The lookups of conf.h. */
struct conf_index {
    struct conf_map models; /* names and aliases */
    struct conf_map providers;
    struct conf_map credentials;
    struct conf_map teams;
    struct conf_map key_names;
    struct conf_map key_digests;
};

#endif
