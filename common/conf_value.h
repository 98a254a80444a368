/*
 * conf_value.h: texts of settings to values and back. Pure; for conf_*.c only.
 *
 * Every reader fills *e on failure with what is wrong and what would be right; the caller adds the
 * key and the place.
 */
#ifndef GW_COMMON_CONF_VALUE_H
#define GW_COMMON_CONF_VALUE_H

#include "common/arena.h"
#include "common/conf_raw.h"
#include "common/errbuf.h"

struct conf_value {
    const struct conf_row *row;
    struct slice suffix; /* of a family */
    struct slice text;   /* lives as long as the arena */
    bool quoted;
    struct slice dir; /* relative paths start here; n == 0: they are refused */
};

/* Memory of the snapshot: never NULL (the process can't go on without its configuration), zeroed.
 * conf_dup keeps the promise of conf.h: a NUL behind every slice. */
void *conf_alloc(struct arena *a, size_t n_bytes);
struct slice conf_dup(struct arena *a, struct slice s);
struct slice conf_printf(struct arena *a, const char *fmt, ...) GW_PRINTF(2, 3);

/* Reads v->text into base + row->offset. */
GW_MUSTUSE int conf_value_read(const struct conf_value *v, struct arena *a, void *base,
                               struct errbuf *e);

/* Joins what is wrong with the items of a list: adds `one` to `all`, or says that there is more. */
void conf_faults_add(struct errbuf *all, const struct errbuf *one);
/* 0 when nothing was added, else -1 and all of it in *e. */
GW_MUSTUSE int conf_faults_end(const struct errbuf *all, struct errbuf *e);

/* "50ms", "64MiB": the largest unit that divides. */
enum { CONF_NUMBER_BYTES = 32 };
char *conf_format_number(enum conf_type type, int64_t v, char out[CONF_NUMBER_BYTES]);

#endif
