/*
 * conf_diff.h: what changes between two generations.
 *
 * Works on entries: sections and keys, added, removed, changed. Order, comments and the places of
 * lines are no change. Values are shown as written; secrets aren't among them.
 */
#ifndef GW_COMMON_CONF_DIFF_H
#define GW_COMMON_CONF_DIFF_H

#include "common/conf.h"

enum conf_change_kind { CONF_ADDED, CONF_REMOVED, CONF_CHANGED };

struct conf_change {
    enum conf_change_kind kind;
    const struct conf_entry *before; /* NULL when added */
    const struct conf_entry *after;  /* NULL when removed */
};

/* before == NULL is an empty configuration. A section head is reported (with an empty key) where
 * the section came or went. In the order of `after`, then what was removed. */
void conf_diff(const struct conf_entries *before, const struct conf_entries *after,
               void (*fn)(void *arg, const struct conf_change *c), void *arg);

/* Reports every change of a key that takes effect only at a restart, and returns their number. */
uint32_t conf_diff_restart_only(const struct conf_entries *before, const struct conf_entries *after,
                                struct conf_errors *errs);

#endif
