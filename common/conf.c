/*
 * conf.c: lookups in a snapshot, its end, and the list of errors.
 */
#include "common/conf.h"
#include "common/check.h"
#include "common/conf_map.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ERROR_TEXT_MAX = 4096 + 1024 };

#define FIND(conf, map, list, key)                                                                 \
    uint32_t at = conf_map_get(&(conf)->index->map, key);                                          \
    return at == CONF_MAP_NONE ? NULL : &(conf)->list[at]

const struct conf_model *conf_model_find(const struct conf *conf, struct slice name)
{
    FIND(conf, models, models, name);
}

const struct conf_provider *conf_provider_find(const struct conf *conf, struct slice name)
{
    FIND(conf, providers, providers, name);
}

const struct conf_credential *conf_credential_find(const struct conf *conf, struct slice name)
{
    FIND(conf, credentials, credentials, name);
}

const struct conf_team *conf_team_find(const struct conf *conf, struct slice name)
{
    FIND(conf, teams, teams, name);
}

const struct conf_key *conf_key_find_name(const struct conf *conf, struct slice name)
{
    FIND(conf, key_names, keys, name);
}

const struct conf_key *conf_key_find(const struct conf *conf,
                                     const uint8_t sha256[CONF_KEY_DIGEST_BYTES])
{
    FIND(conf, key_digests, keys, slice_of((const char *)sha256, CONF_KEY_DIGEST_BYTES));
}

void conf_free(struct conf *conf)
{
    if (!conf)
        return;
    struct arena *a = conf->arena; /* conf itself lies in it */
    arena_reset(a);
    free(a);
}

void conf_entries_free(struct conf_entries *entries)
{
    if (!entries)
        return;
    arena_reset(entries->arena);
    free(entries->arena);
    free(entries->v);
    free(entries);
}

void conf_errors_init(struct conf_errors *errs)
{
    *errs = (struct conf_errors){NULL, 0};
}

void conf_errors_fini(struct conf_errors *errs)
{
    for (uint32_t i = 0; i < errs->n; i++)
        free(errs->v[i]);
    free(errs->v);
    conf_errors_init(errs);
}

void conf_errors_add(struct conf_errors *errs, struct slice file, uint32_t line, const char *fmt,
                     ...)
{
    char text[ERROR_TEXT_MAX];
    int at = 0;
    va_list ap;
    if (file.n)
        at = snprintf(text, sizeof text, "%.*s:%u: ", SLICE_FMT(file), line);
    va_start(ap, fmt);
    vsnprintf(text + at, sizeof text - (size_t)at, fmt, ap);
    va_end(ap);
    if ((errs->n & (errs->n - 1)) == 0)
        errs->v = gw_xrealloc(errs->v, GW_MAX(errs->n * 2, 1u) * sizeof *errs->v);
    errs->v[errs->n++] = gw_xstrdup(text);
}
