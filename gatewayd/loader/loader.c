/*
 * loader.c: the steps of a load.
 */
#include "gatewayd/loader/loader.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/keystore.h"
#include "common/conf_diff.h"
#include "common/store.h"
#include "gatewayd/loader/gather.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int failed(struct loader *l, const char *what)
{
    conf_errors_add(&l->errs, slice_of(NULL, 0), 0, "%s", what);
    return -1;
}

void loader_init(struct loader *l)
{
    *l = (struct loader){0};
    conf_errors_init(&l->errs);
}

void loader_fini(struct loader *l)
{
    secrets_writer_free(l->secrets);
    confdb_close(l->db);
    conf_free(l->conf);
    conf_entries_free(l->entries);
    conf_errors_fini(&l->errs);
}

int loader_read(struct loader *l, const char *path)
{
    l->entries = conf_read_file(path, &l->errs);
    if (l->entries)
        l->conf = conf_build(l->entries, 0, &l->errs);
    if (l->entries && !l->conf)
        gather_try_secrets(l->entries, &l->errs);
    return l->conf ? 0 : -1;
}

static void hash_entries(const struct loader *l, struct crypto_hash *h)
{
    for (uint32_t i = 0; i < l->entries->n; i++) {
        const struct conf_entry *e = &l->entries->v[i];
        const struct slice texts[] = {e->section, e->key, e->value, e->file};
        uint64_t numbers[] = {e->section.n, e->key.n, e->value.n, e->file.n, e->line, e->quoted};
        crypto_hash_update(h, numbers, sizeof numbers);
        for (size_t t = 0; t < ARRAY_LEN(texts); t++)
            crypto_hash_update(h, texts[t].p, texts[t].n);
    }
}

/* Before anything is opened under the new directories. */
static int check_dirs(struct loader *l, const char *running_dir)
{
    if (!running_dir || slice_eq_str(l->conf->gateway.state_dir, running_dir))
        return 0;
    const struct conf_entry *at =
        conf_entry_find(l->entries, SLICE_LIT("gateway"), SLICE_LIT("state_dir"));
    conf_errors_add(&l->errs, at ? at->file : slice_of(NULL, 0), at ? at->line : 0,
                    "[gateway] state_dir: changes at a restart only; it is %s now", running_dir);
    return -1;
}

static int check_restart_only(struct loader *l)
{
    struct errbuf why;
    struct conf_entries *old = confdb_entries(l->db, l->active.generation, &why);
    if (!old)
        return failed(l, why.msg);
    uint32_t n = conf_diff_restart_only(old, l->entries, &l->errs);
    conf_entries_free(old);
    return n ? -1 : 0;
}

/* Workers open the database of virtual keys read-only, and may be up before the keeper is. */
static int ensure_keystore(struct loader *l, struct errbuf *why)
{
    struct store *s;
    if (keystore_open(l->conf->gateway.state_dir.p, STORE_WRITE, 0, &s, why) != STORE_OK)
        return -1;
    store_close(s);
    return 0;
}

/* On a reload it is the one that the processes serve. What is active in the database is a later one
 * if the loader before this one died, or took too long, between making it that and saying so. */
static int find_active(struct loader *l, struct errbuf *why)
{
    if (confdb_active(l->db, &l->active, why) < 0)
        return -1;
    return l->running == 0 || l->running == l->active.generation
               ? 0
               : confdb_find(l->db, l->running, &l->active, why);
}

int loader_gather(struct loader *l, const char *running_dir, const struct secrets *running)
{
    uint8_t salt[CONFDB_SALT_BYTES];
    struct errbuf why;
    if (check_dirs(l, running_dir) < 0)
        return -1;
    l->db = confdb_open(l->conf->gateway.state_dir.p, STORE_WRITE, &why);
    if (!l->db || find_active(l, &why) < 0 || confdb_salt(l->db, salt, &why) < 0)
        return failed(l, why.msg);
    if (!running_dir && ensure_keystore(l, &why) < 0)
        return failed(l, why.msg);
    if (running_dir && l->active.generation && check_restart_only(l) < 0)
        return -1;
    l->secrets = secrets_writer_new(salt);
    struct gather g = {.conf = l->conf,
                       .entries = l->entries,
                       .out = l->secrets,
                       .running = running,
                       .hash = crypto_hash_new(),
                       .errs = &l->errs,
                       .run_programs = true,
                       .now_us = clock_wall_us()};
    crypto_hash_update(g.hash, salt, sizeof salt); /* it will lie beside the references */
    hash_entries(l, g.hash);
    int rc = gather_secrets(&g);
    crypto_hash_final(g.hash, l->hash);
    crypto_hash_free(g.hash);
    if (rc == 0 && !(running && loader_is_unchanged(l)))
        rc = gather_prove(&g);
    return rc;
}

bool loader_is_unchanged(const struct loader *l)
{
    return l->active.generation && memcmp(l->active.hash, l->hash, sizeof l->hash) == 0;
}

/* A text for people: what doesn't fit is left out. */
static void print_change(void *arg, const struct conf_change *c)
{
    struct buf *out = arg;
    const struct conf_entry *e = c->after ? c->after : c->before;
    char sign = c->kind == CONF_CHANGED ? '~' : c->after ? '+' : '-';
    if (!e->key.n)
        (void)!buf_printf(out, "%c [%.*s]\n", sign, SLICE_FMT(e->section));
    else if (c->kind == CONF_CHANGED)
        (void)!buf_printf(out, "~ [%.*s] %.*s = %.*s -> %.*s\n", SLICE_FMT(e->section),
                          SLICE_FMT(e->key), SLICE_FMT(c->before->value),
                          SLICE_FMT(c->after->value));
    else
        (void)!buf_printf(out, "%c [%.*s] %.*s = %.*s\n", sign, SLICE_FMT(e->section),
                          SLICE_FMT(e->key), SLICE_FMT(e->value));
}

void loader_diff(struct loader *l, struct buf *out)
{
    struct conf_entries *old = NULL;
    struct errbuf why;
    size_t before = out->len;
    if (l->active.generation)
        old = confdb_entries(l->db, l->active.generation, &why);
    conf_diff(old, l->entries, print_change, out);
    if (out->len == before && !loader_is_unchanged(l))
        (void)!buf_printf(out, "~ content of secrets or certificates, or places of lines\n");
    conf_entries_free(old);
}

int loader_write(struct loader *l, const char *by, int *secrets_fd)
{
    struct errbuf why;
    *secrets_fd = secrets_writer_seal(l->secrets, &why);
    if (*secrets_fd < 0)
        return failed(l, why.msg);
    l->generation = l->active.generation;
    if (loader_is_unchanged(l))
        return 0;
    if (confdb_write(l->db, l->entries, l->hash, by, clock_wall_us(), &l->generation, &why) == 0) {
        l->written = true;
        return 0;
    }
    close(*secrets_fd);
    *secrets_fd = -1;
    return failed(l, why.msg);
}

int loader_commit(struct loader *l)
{
    struct errbuf why;
    if (l->written && confdb_activate(l->db, l->generation, clock_wall_us(), &why) < 0)
        return failed(l, why.msg);
    l->written = false;
    return 0;
}

int loader_abort(struct loader *l)
{
    struct errbuf why;
    if (l->written && confdb_discard(l->db, l->generation, &why) < 0)
        return failed(l, why.msg);
    l->written = false;
    return 0;
}

char *loader_error_text(const struct loader *l)
{
    size_t n = 1;
    for (uint32_t i = 0; i < l->errs.n; i++)
        n += strlen(l->errs.v[i]) + 1;
    char *text = gw_xmalloc(n), *at = text;
    for (uint32_t i = 0; i < l->errs.n; i++)
        at = stpcpy(stpcpy(at, l->errs.v[i]), "\n");
    *at = '\0';
    return text;
}
