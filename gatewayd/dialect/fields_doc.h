/*
 * fields_doc.h: docs/translation.md and docs/translation.json, written from the tables that the
 * codecs work by.
 */
#ifndef GW_GATEWAYD_DIALECT_FIELDS_DOC_H
#define GW_GATEWAYD_DIALECT_FIELDS_DOC_H

#include "common/buf.h"

/* Appends the whole page. -1: it doesn't fit. */
GW_MUSTUSE int dialects_write_reference(struct buf *out);
/* The tables of chats for programs: {dialect: {field: {"member", "fate", "note"}}}, member null
 * where the dialect has none. */
GW_MUSTUSE int dialects_write_reference_json(struct buf *out);

#endif
