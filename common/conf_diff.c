/*
 * conf_diff.c: comparison of two lists of entries through one map.
 */
#include "common/conf_diff.h"
#include "common/conf_keys.h"
#include "common/conf_map.h"

/* "section\nkey": neither holds a line break. */
static struct slice identity(struct arena *a, const struct conf_entry *e)
{
    return conf_printf(a, "%.*s\n%.*s", SLICE_FMT(e->section), SLICE_FMT(e->key));
}

static void index_entries(struct conf_map *m, struct arena *a, const struct conf_entries *list)
{
    uint32_t n = list ? list->n : 0;
    conf_map_init(m, a, n);
    for (uint32_t i = 0; i < n; i++)
        conf_map_put(m, identity(a, &list->v[i]), i);
}

static bool same_value(const struct conf_entry *x, const struct conf_entry *y)
{
    return slice_eq(x->value, y->value) && x->quoted == y->quoted;
}

void conf_diff(const struct conf_entries *before, const struct conf_entries *after,
               void (*fn)(void *arg, const struct conf_change *c), void *arg)
{
    struct arena a;
    struct conf_map old, new;
    arena_init(&a, NULL, 0, SIZE_MAX / 2);
    index_entries(&old, &a, before);
    index_entries(&new, &a, after);
    for (uint32_t i = 0; i < after->n; i++) {
        struct conf_change c = {.kind = CONF_ADDED, .after = &after->v[i]};
        uint32_t at = conf_map_get(&old, identity(&a, c.after));
        if (at != CONF_MAP_NONE) {
            c.kind = CONF_CHANGED;
            c.before = &before->v[at];
        }
        if (!c.before || !same_value(c.before, c.after))
            fn(arg, &c);
    }
    for (uint32_t i = 0; before && i < before->n; i++) {
        struct conf_change c = {.kind = CONF_REMOVED, .before = &before->v[i]};
        if (conf_map_get(&new, identity(&a, c.before)) == CONF_MAP_NONE)
            fn(arg, &c);
    }
    arena_reset(&a);
}

struct restart_check {
    struct conf_errors *errs;
    uint32_t n;
};

static void check_change(void *arg, const struct conf_change *c)
{
    struct restart_check *check = arg;
    const struct conf_entry *e = c->after ? c->after : c->before;
    enum conf_section section;
    struct slice name, suffix;
    if (!e->key.n || !conf_section_parse(e->section, &section, &name))
        return;
    const struct conf_row *row = conf_row_find(section, e->key, &suffix);
    if (!row || !(row->flags & CONF_RESTART))
        return;
    struct slice none = slice_str(row->def);
    struct slice old = c->before ? c->before->value : none, new = c->after ? c->after->value : none;
    if (slice_eq(old, new))
        return;
    check->n++;
    conf_errors_add(check->errs, e->file, e->line,
                    "[%.*s] %.*s: changes at a restart only; it is %.*s now", SLICE_FMT(e->section),
                    SLICE_FMT(e->key), SLICE_FMT(old));
}

uint32_t conf_diff_restart_only(const struct conf_entries *before, const struct conf_entries *after,
                                struct conf_errors *errs)
{
    struct restart_check check = {errs, 0};
    conf_diff(before, after, check_change, &check);
    return check.n;
}
