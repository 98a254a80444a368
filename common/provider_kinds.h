/*
 * provider_kinds.h: one row a kind of provider.
 *
 * A provider that speaks a dialect that is already here is one row and nothing else. A row with
 * `dialect == DIALECT_NONE` names a kind that is known but not served by this version; the
 * configuration refuses it with a message of its own.
 */
#ifndef GW_COMMON_PROVIDER_KINDS_H
#define GW_COMMON_PROVIDER_KINDS_H

#include "common/slice.h"

enum dialect_id {
    DIALECT_NONE,
    DIALECT_OPENAI,
};

enum provider_auth {
    PROVIDER_AUTH_BEARER,          /* Authorization: Bearer SECRET */
    PROVIDER_AUTH_BEARER_OPTIONAL, /* the same where a credential is configured */
    PROVIDER_AUTH_NONE,            /* never */
};

enum {
    /* Refuses stream_options: nothing is injected, usage is counted. */
    PROVIDER_QUIRK_NO_STREAM_OPTIONS = 1u << 0,
    /* Sends usage in its streams without being asked. */
    PROVIDER_QUIRK_USAGE_UNASKED = 1u << 1,
};

/* Paths of the operations, behind the prefix of base_url. NULL: the kind doesn't offer it. */
enum provider_op {
    PROVIDER_OP_CHAT,
    PROVIDER_OP_COMPLETIONS,
    PROVIDER_OP_EMBEDDINGS,
    PROVIDER_OP_MODELS,
    PROVIDER_N_OPS,
};

struct provider_kind {
    const char *name;
    enum dialect_id dialect;
    const char *base_url; /* NULL: base_url must be configured */
    enum provider_auth auth;
    uint32_t quirks;
    const char *paths[PROVIDER_N_OPS];
    const char *title; /* for the reference page */
};

/* NULL: no such kind. */
const struct provider_kind *provider_kind_find(struct slice name);
/* All rows, in the order of the documentation. */
const struct provider_kind *provider_kinds(size_t *n);

#endif
