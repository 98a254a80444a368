/*
 * conf_reference.h: pages for people, written from the table of conf_keys.h.
 *
 * docs/configuration.md and etc/gatewayd.ini are the output of these two; a test compares them with
 * the committed files.
 */
#ifndef GW_COMMON_CONF_REFERENCE_H
#define GW_COMMON_CONF_REFERENCE_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/conf_keys.h"

/* The reference page, Markdown. -1: out's maximum is reached. */
GW_MUSTUSE int conf_write_reference(struct buf *out);
/* The sample: every key commented out, so that the file as it is means the defaults. */
GW_MUSTUSE int conf_write_sample(struct buf *out);

/* What is in force: each key that has a value, from the file or by default. */
struct conf_setting {
    struct slice section; /* "http", "model:smart" */
    struct slice key;
    struct slice value;
    const struct conf_entry *entry; /* NULL: the default */
    const struct conf_row *row;
};

/* For `gwctl config show`: sections that aren't named first, in the order of the table, then the
 * named ones as they stand in the file. Entries that conf_build refuses are left out. */
void conf_each_setting(const struct conf_entries *entries,
                       void (*fn)(void *arg, const struct conf_setting *s), void *arg);

#endif
