/*
 * report_keys.c: virtual keys and the audit trail, as people and scripts see them.
 *
 * Keys that the INI declares are shown with the others. No text of a key is known here.
 */
#include "common/report.h"

#include "common/clock.h"
#include "common/crypto.h"
#include "common/keystore.h"

#include <stdio.h>
#include <string.h>

enum { DEFAULT_PAGE = 200 };

static void put_lines(struct json_writer *w, const char *name, struct slice text)
{
    jw_key(w, slice_str(name));
    jw_array(w);
    for (struct slice rest = text; rest.p && text.n;)
        jw_str(w, slice_split(&rest, '\n'));
    jw_array_end(w);
}

static void put_text(struct json_writer *w, const char *name, struct slice s)
{
    jw_key(w, slice_str(name));
    if (s.n)
        jw_str(w, s);
    else
        jw_null(w);
}

static void put_state(struct json_writer *w, bool enabled, int64_t expires_us)
{
    bool expired = expires_us && expires_us <= clock_wall_us();
    jw_member_str(w, "state", slice_str(!enabled ? "disabled" : expired ? "expired" : "enabled"));
}

static void put_digests(struct json_writer *w, const struct keystore_record *r)
{
    char hex[CRYPTO_SHA256_HEX + 1];
    for (uint32_t i = 0; i < r->digest_count; i++) {
        crypto_hex(r->digests[i].sha256, CRYPTO_SHA256_BYTES, hex);
        if (i == 0) {
            jw_member_str(w, "sha256", slice_str(hex));
            continue;
        }
        if (i == 1)
            jw_member_array(w, "rotated");
        jw_object(w);
        jw_member_str(w, "sha256", slice_str(hex));
        report_put_time(w, "valid_until", r->digests[i].valid_until_us);
        jw_object_end(w);
    }
    if (r->digest_count > 1)
        jw_array_end(w);
}

static void put_members(struct json_writer *w, const struct keystore_record *r)
{
    jw_member_str(w, "id", slice_str(r->id));
    jw_member_str(w, "name", r->name);
    put_state(w, !r->disabled, r->expires_us);
    put_text(w, "team", r->team);
    put_text(w, "customer", r->customer);
    put_lines(w, "models", r->models);
    put_text(w, "tags", r->tags);
    if (r->metadata.n)
        jw_member_raw(w, "metadata", r->metadata);
    report_put_time(w, "expires", r->expires_us);
    report_put_time(w, "created", r->created_us);
    report_put_time(w, "updated", r->updated_us);
    jw_member_u64(w, "version", r->version);
    put_digests(w, r);
}

static void put_record(struct json_writer *w, const struct keystore_record *r)
{
    jw_object(w);
    jw_member_str(w, "source", SLICE_LIT("api"));
    put_members(w, r);
    jw_object_end(w);
}

static void put_declared_members(struct json_writer *w, const struct conf_key *k)
{
    char hex[CRYPTO_SHA256_HEX + 1], place[1024];
    crypto_hex(k->sha256, CRYPTO_SHA256_BYTES, hex);
    snprintf(place, sizeof(place), "%.*s:%u", SLICE_FMT(k->file), k->line);
    jw_member_str(w, "source", SLICE_LIT("ini"));
    jw_member_str(w, "declared_at", slice_str(place));
    jw_member_null(w, "id");
    jw_member_str(w, "name", k->name);
    put_state(w, k->enabled, k->expires_us);
    put_text(w, "team", k->team ? k->team->name : slice_of(NULL, 0));
    put_text(w, "customer", k->team ? k->team->customer : slice_of(NULL, 0));
    jw_member_array(w, "models");
    for (uint32_t i = 0; i < k->models.n; i++)
        jw_str(w, k->models.v[i]);
    jw_array_end(w);
    report_put_time(w, "expires", k->expires_us);
    jw_member_str(w, "sha256", slice_str(hex));
}

static void store_failed(struct report *r, enum store_err err)
{
    report_error(r, 503, "store_failed", "keys: %s; see the disk of state_dir and the log",
                 store_err_text(err));
}

/* ---- list, show ---- */

struct page {
    struct json_writer *w;
    struct slice last; /* into `name` */
    char name[KEYSTORE_NAME_MAX];
    uint64_t n;
};

static bool put_listed(void *arg, const struct keystore_record *k)
{
    struct page *p = arg;
    put_record(p->w, k);
    memcpy(p->name, k->name.p, k->name.n);
    p->last = slice_of(p->name, k->name.n);
    p->n++;
    return true;
}

/* The INI's keys stand on the first page, before the others. */
void report_keys_list(struct report *r)
{
    char after[KEYSTORE_NAME_MAX + 1] = "";
    uint64_t limit;
    if (report_query_u64(r, "limit", DEFAULT_PAGE, 1, REPORT_PAGE_MAX, &limit) < 0)
        return;
    bool first = !report_query(r, "after", after, sizeof(after));
    struct page page = {.w = report_json(r)};
    jw_member_array(page.w, "keys");
    const struct conf *conf = r->conf;
    for (uint32_t i = 0; first && i < conf->n_keys; i++) {
        jw_object(page.w);
        put_declared_members(page.w, &conf->keys[i]);
        jw_object_end(page.w);
    }
    enum store_err err =
        keystore_list(r->state, slice_str(after), (uint32_t)limit, put_listed, &page);
    if (err != STORE_OK) {
        store_failed(r, err);
        return;
    }
    jw_array_end(page.w);
    put_text(page.w, "next", page.n == limit ? page.last : slice_of(NULL, 0));
}

void report_key(struct report *r, const struct keystore_record *k)
{
    struct json_writer *w = report_json(r);
    jw_member_str(w, "source", SLICE_LIT("api"));
    put_members(w, k);
}

static bool put_shown(void *arg, const struct keystore_record *k)
{
    report_key(arg, k);
    return true;
}

void report_keys_show(struct report *r, struct slice ref)
{
    const struct conf_key *k = conf_key_find_name(r->conf, ref);
    if (k) {
        put_declared_members(report_json(r), k);
        return;
    }
    enum store_err err = keystore_get(r->state, ref, put_shown, r);
    if (err == STORE_NOTFOUND)
        report_error(r, 404, "no_such_key", "there is no key \"%.*s\"; `gwctl keys list` shows all",
                     SLICE_FMT(ref));
    else if (err != STORE_OK)
        store_failed(r, err);
}

/* ---- audit ---- */

static bool put_audit(void *arg, const struct keystore_audit *a)
{
    struct json_writer *w = arg;
    jw_object(w);
    jw_member_u64(w, "seq", a->seq);
    report_put_time(w, "at", a->at_us);
    jw_member_str(w, "who", a->who);
    jw_member_str(w, "what", a->what);
    jw_member_str(w, "key", slice_str(a->has_after ? a->after.id : a->before.id));
    jw_key(w, SLICE_LIT("before"));
    if (a->has_before)
        put_record(w, &a->before);
    else
        jw_null(w);
    jw_key(w, SLICE_LIT("after"));
    if (a->has_after)
        put_record(w, &a->after);
    else
        jw_null(w);
    jw_object_end(w);
    return true;
}

void report_audit(struct report *r)
{
    uint64_t limit, before;
    if (report_query_u64(r, "limit", 50, 1, REPORT_PAGE_MAX, &limit) < 0 ||
        report_query_u64(r, "before", 0, 0, UINT64_MAX, &before) < 0)
        return;
    struct json_writer *w = report_json(r);
    jw_member_array(w, "audit");
    enum store_err err = keystore_audit_list(r->state, before, (uint32_t)limit, put_audit, w);
    if (err != STORE_OK)
        store_failed(r, err);
    else
        jw_array_end(w);
}
