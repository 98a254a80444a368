/*
 * conf_build.h: what conf_build.c, conf_resolve.c and conf_credential.c share.
 */
#ifndef GW_COMMON_CONF_BUILD_H
#define GW_COMMON_CONF_BUILD_H

#include "common/conf_map.h"
#include "common/conf_raw.h"

#include <stdarg.h>
#include <stdio.h>

struct section {
    enum conf_section kind;
    struct slice name;
    const struct conf_entry *head;
    const struct conf_entry *entries;
    uint32_t n;
    void *raw;
};

struct build {
    const struct conf_entries *entries;
    struct conf *conf;
    struct arena *arena;   /* of the snapshot */
    struct arena *scratch; /* gone when conf_build returns */
    struct conf_errors *errs;
    struct section *sections;
    uint32_t n_sections;
    uint32_t count[CONF_N_SECTIONS];
};

/* Names section, key and place of *at (NULL: none). */
void build_error(struct build *b, const struct conf_entry *at, const char *fmt, ...)
    GW_PRINTF(3, 4);
/* The line of a key, else the section's head, for errors. */
const struct conf_entry *build_entry(const struct build *b, const struct section *s,
                                     const char *key);
/* NULL: not in the file. */
struct section *build_singleton(const struct build *b, enum conf_section kind);

/* Puts the defaults of a kind of section into its raw structure. */
void build_defaults(struct build *b, enum conf_section kind, void *raw);

/* Names every reference to a section that isn't there. For where conf_resolve() doesn't come to it.
 */
void conf_check_dangling(struct build *b);

/* Fills the rest of b->conf: references, order, indexes; checks what is between sections. */
void conf_resolve(struct build *b);

/* Its provider, how it is shown, and where its token comes from. conf_credential.c. */
void conf_resolve_credential(struct build *b, struct raw_credential *r, const struct section *s);
/* Somebody has to verify a certificate and has no store of their own: [gateway] ca_file is read. */
void conf_use_system_trust(struct build *b);

#endif
