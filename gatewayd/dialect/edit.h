/*
 * edit.h: changes of a request body that configuration asks for: `default.X`, `set.X`,
 * `set_json.X` and `drop` of a [model:…].
 *
 * A path is member names joined by dots. `set` makes the member be the value, building objects on
 * the way and replacing what is no object; `default` does so only where the member is absent and
 * nothing but objects stands on its way; `drop` removes it. The result is a list of splices, so
 * whatever isn't named stays byte-exact. What the gateway itself acts on is read after the edits:
 * apply them first, then read the edited body.
 */
#ifndef GW_GATEWAYD_DIALECT_EDIT_H
#define GW_GATEWAYD_DIALECT_EDIT_H

#include "common/json.h"
#include "gatewayd/dialect/splice.h"

enum edit_kind {
    EDIT_SET,
    EDIT_DEFAULT,
    EDIT_DROP,
};

struct edit {
    enum edit_kind kind;
    struct slice path; /* "metadata.source" */
    struct slice json; /* the value as JSON; unused by EDIT_DROP */
};

enum {
    EDITS_MAX = 40,
    EDIT_PATH_PARTS_MAX = 8,
};

/* Sorts edits and checks them as a whole: paths well-formed, values valid JSON, no path twice or
 * beneath another, members the gateway owns (model, stream, stream_options) untouched. For the
 * loading of a configuration. 0, or -1 with e. */
GW_MUSTUSE int edits_prepare(struct edit *edits, size_t n, struct errbuf *e);
/* The JSON of a value as it is written behind `set.X =`: true, false, null and numbers stand for
 * themselves, all else is a string. Appends to out; -1: does not fit. */
GW_MUSTUSE int edit_value_json(struct slice value, struct buf *out);
/* Turns prepared edits into splices of the parsed body; out is reset first. -1: they don't fit. */
GW_MUSTUSE int edits_apply(const struct edit *edits, size_t n, const struct json_doc *body,
                           struct splices *out);

/* Cuts every member of that (decoded) name out of an object, each with one comma and the white
 * space on one side of it: what is left is the text as it would be had the member not been written.
 * -1: they don't fit. */
GW_MUSTUSE int edit_cut_members(const struct json_doc *d, uint32_t object, struct slice name,
                                struct splices *out);

#endif
