/*
 * report_config.c: the configuration as it is in force, its history, and how two of them differ.
 *
 * Secrets appear as the reference in the file, a fingerprint and a load time.
 */
#include "common/report.h"

#include "common/conf_diff.h"
#include "common/conf_keys.h"
#include "common/confdb.h"
#include "common/crypto.h"

#include <stdio.h>

static void put_setting(struct json_writer *w, struct slice section, struct slice key,
                        struct slice value, const struct conf_entry *at)
{
    jw_object(w);
    jw_member_str(w, "section", section);
    jw_member_str(w, "key", key);
    jw_member_str(w, "value", value);
    jw_member_bool(w, "default", at == NULL);
    if (at) {
        jw_member_str(w, "file", at->file);
        jw_member_u64(w, "line", at->line);
    }
    jw_object_end(w);
}

static bool section_has(const struct conf_entries *entries, struct slice section,
                        const struct conf_row *row)
{
    struct slice suffix;
    for (uint32_t i = 0; i < entries->n; i++)
        if (slice_eq(entries->v[i].section, section) &&
            conf_row_find(row->section, entries->v[i].key, &suffix) == row)
            return true;
    return false;
}

/* The defaults of what a section doesn't say. */
static void put_defaults(struct json_writer *w, const struct conf_entries *entries,
                         struct slice section)
{
    size_t n;
    const struct conf_row *rows = conf_rows(&n);
    enum conf_section kind;
    struct slice name;
    if (!conf_section_parse(section, &kind, &name))
        return;
    for (size_t i = 0; i < n; i++) {
        const struct conf_row *row = &rows[i];
        const char *value = row->def ? row->def : row->def_doc;
        if (row->section != kind || !value || (row->flags & (CONF_LATER | CONF_FAMILY)))
            continue;
        if (!section_has(entries, section, row))
            put_setting(w, section, slice_str(row->name), slice_str(value), NULL);
    }
}

static bool is_first_of_section(const struct conf_entries *entries, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++)
        if (slice_eq(entries->v[i].section, entries->v[at].section))
            return false;
    return true;
}

static bool has_section(const struct conf_entries *entries, struct slice section)
{
    for (uint32_t i = 0; i < entries->n; i++)
        if (slice_eq(entries->v[i].section, section))
            return true;
    return false;
}

/* Section by section: what is written, then what is left to its default. */
static void put_settings(struct json_writer *w, const struct conf_entries *entries)
{
    for (uint32_t i = 0; i < entries->n; i++) {
        struct slice section = entries->v[i].section;
        if (!is_first_of_section(entries, i))
            continue;
        for (uint32_t j = i; j < entries->n; j++)
            if (slice_eq(entries->v[j].section, section) && entries->v[j].key.n)
                put_setting(w, section, entries->v[j].key, entries->v[j].value, &entries->v[j]);
        put_defaults(w, entries, section);
    }
    for (int s = 0; s < CONF_N_SECTIONS; s++) {
        const struct conf_section_info *info = conf_section_info(s);
        if (!info->named && !info->later && !has_section(entries, slice_str(info->name)))
            put_defaults(w, entries, slice_str(info->name));
    }
}

static void put_secrets(struct json_writer *w, const struct secrets *secrets)
{
    for (size_t i = 0; i < secrets_count(secrets); i++) {
        struct secret s = secrets_at(secrets, i);
        jw_object(w);
        jw_member_str(w, "name", s.name);
        jw_member_str(w, "fingerprint", slice_str(s.fingerprint));
        report_put_time(w, "loaded", s.loaded_us);
        jw_object_end(w);
    }
}

static struct conf_entries *entries_of(struct report *r, uint64_t generation)
{
    struct errbuf e;
    struct conf_entries *entries = confdb_entries(r->confdb, generation, &e);
    if (!entries)
        report_error(r, 404, "no_such_generation", "%s; `gwctl config history` shows those kept",
                     e.msg);
    return entries;
}

void report_config(struct report *r)
{
    uint64_t generation = r->conf->generation;
    struct conf_entries *entries = entries_of(r, generation);
    if (!entries)
        return;
    struct json_writer *w = report_json(r);
    jw_member_u64(w, "generation", generation);
    jw_member_str(w, "config_file", slice_str(r->config_path));
    jw_member_array(w, "settings");
    put_settings(w, entries);
    jw_array_end(w);
    if (r->secrets) {
        jw_member_array(w, "secrets");
        put_secrets(w, r->secrets);
        jw_array_end(w);
    }
    conf_entries_free(entries);
}

/* ---- history ---- */

void report_config_history(struct report *r)
{
    struct confdb_generation g[CONFDB_HISTORY];
    struct errbuf e;
    size_t n;
    if (confdb_history(r->confdb, g, &n, &e) < 0) {
        report_error(r, 503, "store_failed", "%s", e.msg);
        return;
    }
    struct json_writer *w = report_json(r);
    jw_member_array(w, "generations");
    for (size_t i = 0; i < n; i++) {
        char hash[2 * CONFDB_HASH_BYTES + 1];
        crypto_hex(g[i].hash, CONFDB_HASH_BYTES, hash);
        jw_object(w);
        jw_member_u64(w, "generation", g[i].generation);
        jw_member_bool(w, "active", g[i].generation == r->conf->generation);
        report_put_time(w, "written", g[i].written_us);
        report_put_time(w, "activated", g[i].activated_us);
        jw_member_str(w, "by", slice_str(g[i].by));
        jw_member_u64(w, "entries", g[i].n_entries);
        jw_member_str(w, "input_sha256", slice_str(hash));
        jw_object_end(w);
    }
    jw_array_end(w);
}

/* ---- diff ---- */

static void put_side(struct json_writer *w, const char *name, const struct conf_entry *e)
{
    jw_key(w, slice_str(name));
    if (e)
        jw_str(w, e->value);
    else
        jw_null(w);
}

static void put_change(void *arg, const struct conf_change *c)
{
    static const char *const kinds[] = {
        [CONF_ADDED] = "added", [CONF_REMOVED] = "removed", [CONF_CHANGED] = "changed"};
    const struct conf_entry *at = c->after ? c->after : c->before;
    struct json_writer *w = arg;
    jw_object(w);
    jw_member_str(w, "change", slice_str(kinds[c->kind]));
    jw_member_str(w, "section", at->section);
    jw_member_str(w, "key", at->key);
    put_side(w, "before", c->before);
    put_side(w, "after", c->after);
    jw_member_str(w, "file", at->file);
    jw_member_u64(w, "line", at->line);
    jw_object_end(w);
}

static void answer_diff(struct report *r, uint64_t from, const char *to,
                        const struct conf_entries *before, const struct conf_entries *after)
{
    struct json_writer *w = report_json(r);
    jw_member_u64(w, "from", from);
    jw_member_str(w, "to", slice_str(to));
    jw_member_array(w, "changes");
    conf_diff(before, after, put_change, w);
    jw_array_end(w);
}

void report_config_errors(struct report *r, const struct conf_errors *errs)
{
    report_error(r, 409, "config_invalid", "%u error%s in %s", errs->n, errs->n == 1 ? "" : "s",
                 r->config_path);
    jw_member_array(&r->w, "errors");
    for (uint32_t i = 0; i < errs->n; i++)
        jw_str(&r->w, slice_str(errs->v[i]));
    jw_array_end(&r->w);
}

void report_config_diff_file(struct report *r, const struct conf_entries *before, uint64_t from)
{
    struct conf_errors errs;
    conf_errors_init(&errs);
    struct conf_entries *now = conf_read_file(r->config_path, &errs);
    if (now)
        answer_diff(r, from, "file", before, now);
    else
        report_config_errors(r, &errs);
    conf_entries_free(now);
    conf_errors_fini(&errs);
}

struct conf_entries *report_config_diff(struct report *r, uint64_t *from)
{
    uint64_t to;
    if (report_query_u64(r, "from", r->conf->generation, 1, UINT64_MAX, from) < 0 ||
        report_query_u64(r, "to", 0, 1, UINT64_MAX, &to) < 0)
        return NULL;
    struct conf_entries *before = entries_of(r, *from);
    if (!before || to == 0)
        return before;
    struct conf_entries *after = entries_of(r, to);
    if (after) {
        char name[32];
        snprintf(name, sizeof(name), "%llu", (unsigned long long)to);
        answer_diff(r, *from, name, before, after);
    }
    conf_entries_free(after);
    conf_entries_free(before);
    return NULL;
}
