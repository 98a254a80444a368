/*
 * table.h: rows of an answer as an aligned table, as CSV, or as a list of fields.
 *
 * A column says where in a row's object its value is and what it is. What comes from outside is
 * printed without control characters, so that no name can steer a terminal.
 */
#ifndef GW_GWCTL_TABLE_H
#define GW_GWCTL_TABLE_H

#include "gwctl/gwctl.h"

enum column_kind {
    COLUMN_TEXT,
    COLUMN_NUMBER,   /* right-aligned */
    COLUMN_BYTES,    /* 12 MiB */
    COLUMN_DURATION, /* of µs: 3h 12m */
    COLUMN_TIME,     /* RFC 3339, shown to the second */
    COLUMN_LIST,     /* array of texts, joined by commas */
    COLUMN_STATE,    /* a word with a colour of its own */
    COLUMN_BOOL,     /* yes or nothing */
    COLUMN_MONEY,    /* nanodollars; of a row whose `unpriced` isn't 0: at least that */
};

struct column {
    const char *title;
    const char *member; /* of the row; "a.b": of the object within */
    enum column_kind kind;
    const char *missing; /* for null and absent ones; NULL: "-" */
};

/* The elements of `array` as rows: aligned, or CSV (raw values, RFC 4180). */
void table_print(struct ctl *ctl, const struct json_doc *d, uint32_t array,
                 const struct column *columns, size_t n_columns);
/* One object: "title  value" lines. */
void table_print_fields(struct ctl *ctl, const struct json_doc *d, uint32_t object,
                        const struct column *columns, size_t n_columns);
/* The value as it is printed, into out; its length on a terminal is its number of UTF-8
 * characters. */
void table_format(const struct json_doc *d, uint32_t row, const struct column *c, struct buf *out);
/* Decoded text of a member, made printable; "" if absent. */
void table_text(const struct json_doc *d, uint32_t v, struct buf *out);

#endif
