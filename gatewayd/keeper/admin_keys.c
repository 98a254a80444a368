/*
 * admin_keys.c: changes of virtual keys.
 *
 * Keys that the INI declares are changed by nobody but the INI. The text
 * of a key is in the answer to create and rotate, and nowhere else. Changes run on the writer
 * thread, one after the other; each is one LMDB transaction that holds its audit record.
 */
#include "gatewayd/keeper/admin.h"
#include "gatewayd/keeper/admin_commands.h"

#include "common/arena.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/keystore.h"
#include "common/when.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIELDS_BYTES = KEYSTORE_TEXT_MAX,
    IMPORT_MAX = 5000,
    /* Shorter texts can be guessed; an import that is refused here is refused as a whole. */
    IMPORT_KEY_MIN_BYTES = 8,
    IMPORT_KEY_MAX_BYTES = 512,
};
static const int64_t GRACE_MAX_US = INT64_C(30) * 86400 * 1000000;

/* ---- answering for the store ---- */

static void store_failed(struct admin_call *call, enum store_err err, const struct errbuf *e)
{
    const char *why = e && e->msg[0] ? e->msg : store_err_text(err);
    switch (err) {
    case STORE_NOTFOUND:
        admin_error(call, 404, "no_such_key", "%s; `gwctl keys list` shows all", why);
        break;
    case STORE_EXISTS:
        admin_error(call, 409, "exists", "%s", why);
        break;
    case STORE_REFUSED:
    case STORE_TOO_BIG:
        admin_error(call, 400, "bad_field", "%s", why);
        break;
    default:
        admin_error(call, 503, "store_failed",
                    "keys: %s; nothing was changed; see the disk of state_dir and the log", why);
    }
}

static struct keystore_actor actor_of(const struct admin_call *call)
{
    return (struct keystore_actor){slice_str(call->who), clock_wall_us()};
}

/* The INI's keys belong to the INI. */
static bool declared(struct admin_call *call, struct slice name)
{
    const struct conf_key *k = conf_key_find_name(call->gen->conf, name);
    if (k)
        admin_error(call, 409, "declared_in_ini",
                    "key \"%.*s\" is declared at %.*s:%u; change it there and reload",
                    SLICE_FMT(name), SLICE_FMT(k->file), k->line);
    return k != NULL;
}

/* ---- reading in ---- */

/* What a request says about a key: the fields of `mask` are set. Slices live in the arena or in
 * the call. */
struct fields {
    struct arena arena;
    char memory[FIELDS_BYTES];
    struct keystore_record r;
    unsigned mask;
    struct slice key, sha256; /* import only */
};

static struct fields *fields_new(void)
{
    struct fields *f = gw_xcalloc(1, sizeof(*f));
    arena_init(&f->arena, f->memory, sizeof(f->memory), 4 * FIELDS_BYTES);
    return f;
}

static void fields_free(struct fields *f)
{
    crypto_wipe(f->memory, sizeof(f->memory));
    arena_reset(&f->arena);
    free(f);
}

/* null and "" both mean: none. */
static int take_str(struct admin_call *call, struct fields *f, uint32_t v, const char *name,
                    struct slice *out)
{
    *out = slice_of("", 0);
    if (json_is_null(&call->doc, v))
        return 0;
    size_t n = json_str_bytes(&call->doc, v);
    char *p = arena_alloc(&f->arena, n + 1);
    if (!p || json_type(&call->doc, v) != JSON_STRING ||
        json_str_decode(&call->doc, v, p, n, &n) < 0) {
        admin_error(call, 400, "bad_field", "%s: expected text", name);
        return -1;
    }
    *out = slice_of(p, n);
    return 0;
}

static bool model_known(const struct conf *conf, struct slice m)
{
    if (conf_model_find(conf, m))
        return true;
    struct slice rest = m, provider = slice_split(&rest, '/');
    return rest.n && conf_provider_find(conf, provider);
}

static int take_models(struct admin_call *call, struct fields *f, uint32_t v)
{
    struct buf b;
    int rc = -1;
    buf_init(&b, FIELDS_BYTES);
    if (!json_is_null(&call->doc, v) && json_type(&call->doc, v) != JSON_ARRAY) {
        admin_error(call, 400, "bad_field", "models: expected an array of names");
        goto out;
    }
    json_foreach_element(&call->doc, v, e)
    {
        struct slice m;
        if (take_str(call, f, e, "models", &m) < 0)
            goto out;
        if (m.n == 0 || memchr(m.p, '\n', m.n) || !model_known(call->gen->conf, m)) {
            admin_error(call, 400, "unknown_model",
                        "models: there is no [model:%.*s], nor a provider/model of that name",
                        SLICE_FMT(m));
            goto out;
        }
        if ((b.len && buf_append(&b, "\n", 1) < 0) || buf_append(&b, m.p, m.n) < 0) {
            admin_error(call, 400, "bad_field", "models: the list is too long");
            goto out;
        }
    }
    f->r.models = arena_dup(&f->arena, slice_of(b.data ? b.data : "", b.len));
    rc = 0;
out:
    buf_release(&b);
    return rc;
}

static int take_expires(struct admin_call *call, struct fields *f, uint32_t v)
{
    struct slice text;
    if (take_str(call, f, v, "expires", &text) < 0)
        return -1;
    f->r.expires_us = 0;
    if (text.n == 0 || when_parse_time(text, &f->r.expires_us) == 0)
        return 0;
    admin_error(call, 400, "bad_field",
                "expires: expected a time such as 2026-12-31 or 2026-12-31T23:59:59Z, got \"%.*s\"",
                SLICE_FMT(text));
    return -1;
}

static int take_metadata(struct admin_call *call, struct fields *f, uint32_t v)
{
    f->r.metadata = slice_of("", 0);
    if (json_is_null(&call->doc, v))
        return 0;
    if (json_type(&call->doc, v) != JSON_OBJECT) {
        admin_error(call, 400, "bad_field", "metadata: expected an object");
        return -1;
    }
    f->r.metadata = json_raw(&call->doc, v);
    return 0;
}

static int take_team(struct admin_call *call, struct fields *f, uint32_t v)
{
    if (take_str(call, f, v, "team", &f->r.team) < 0)
        return -1;
    if (!f->r.team.n || conf_team_find(call->gen->conf, f->r.team))
        return 0;
    admin_error(call, 400, "unknown_team", "team: there is no [team:%.*s]", SLICE_FMT(f->r.team));
    return -1;
}

static int take_tags(struct admin_call *call, struct fields *f, uint32_t v)
{
    if (take_str(call, f, v, "tags", &f->r.tags) < 0)
        return -1;
    if (keystore_tags_valid(f->r.tags))
        return 0;
    admin_error(call, 400, "bad_field", "tags: expected NAME=VALUE,NAME=VALUE, got \"%.*s\"",
                SLICE_FMT(f->r.tags));
    return -1;
}

static int take_disabled(struct admin_call *call, struct fields *f, uint32_t v)
{
    if (json_bool(&call->doc, v, &f->r.disabled) == 0)
        return 0;
    admin_error(call, 400, "bad_field", "disabled: expected true or false");
    return -1;
}

/* The member k of an object that describes a key. */
static int take_member(struct admin_call *call, struct fields *f, uint32_t k, bool import)
{
    const struct json_doc *d = &call->doc;
    uint32_t v = k + 1;
    unsigned bit = 0;
    int rc;
    if (json_str_eq_lit(d, k, "name"))
        bit = KEYSTORE_F_NAME, rc = take_str(call, f, v, "name", &f->r.name);
    else if (json_str_eq_lit(d, k, "team"))
        bit = KEYSTORE_F_TEAM, rc = take_team(call, f, v);
    else if (json_str_eq_lit(d, k, "customer"))
        bit = KEYSTORE_F_CUSTOMER, rc = take_str(call, f, v, "customer", &f->r.customer);
    else if (json_str_eq_lit(d, k, "models"))
        bit = KEYSTORE_F_MODELS, rc = take_models(call, f, v);
    else if (json_str_eq_lit(d, k, "tags"))
        bit = KEYSTORE_F_TAGS, rc = take_tags(call, f, v);
    else if (json_str_eq_lit(d, k, "metadata"))
        bit = KEYSTORE_F_METADATA, rc = take_metadata(call, f, v);
    else if (json_str_eq_lit(d, k, "expires"))
        bit = KEYSTORE_F_EXPIRES, rc = take_expires(call, f, v);
    else if (json_str_eq_lit(d, k, "disabled"))
        bit = KEYSTORE_F_DISABLED, rc = take_disabled(call, f, v);
    else if (import && json_str_eq_lit(d, k, "key"))
        rc = take_str(call, f, v, "key", &f->key);
    else if (import && json_str_eq_lit(d, k, "sha256"))
        rc = take_str(call, f, v, "sha256", &f->sha256);
    else {
        struct slice raw = json_raw(d, k);
        admin_error(call, 400, "unknown_field", "%.*s is not a field of a key in this version",
                    SLICE_FMT(raw));
        return -1;
    }
    if (rc == 0 && bit && (f->mask & bit)) {
        admin_error(call, 400, "bad_field", "%.*s is given twice", SLICE_FMT(json_raw(d, k)));
        return -1;
    }
    f->mask |= bit;
    return rc;
}

static int take_fields(struct admin_call *call, struct fields *f, uint32_t object, bool import)
{
    if (json_type(&call->doc, object) != JSON_OBJECT) {
        admin_error(call, 400, "bad_field", "a key must be a JSON object");
        return -1;
    }
    json_foreach_member(&call->doc, object, k)
    {
        if (take_member(call, f, k, import) < 0)
            return -1;
    }
    return 0;
}

/* ---- create, import ---- */

static int create_one(struct admin_call *call, struct fields *f)
{
    struct keystore_actor by = actor_of(call);
    struct errbuf e = {0};
    if (f->r.name.n == 0) {
        admin_error(call, 400, "bad_field", "name: every key needs one");
        return -1;
    }
    if (declared(call, f->r.name))
        return -1;
    const struct conf_key *k = conf_key_find(call->gen->conf, f->r.digests[0].sha256);
    if (k) {
        admin_error(call, 409, "declared_in_ini", "this key is [key:%.*s] at %.*s:%u",
                    SLICE_FMT(k->name), SLICE_FMT(k->file), k->line);
        return -1;
    }
    enum store_err err = keystore_create(call->keeper->state, &by, &f->r, &e);
    if (err == STORE_OK)
        return 0;
    store_failed(call, err, &e);
    return -1;
}

static void show_one(struct admin_call *call, const struct keystore_record *r, const char *text)
{
    report_key(&call->report, r);
    if (text)
        jw_member_str(&call->report.w, "key", slice_str(text));
}

/* An import may bring what has expired; nobody makes such a key on purpose. */
static int check_not_over(struct admin_call *call, const struct fields *f)
{
    if (!f->r.expires_us || f->r.expires_us > clock_wall_us())
        return 0;
    admin_error(call, 400, "bad_field", "expires: this time is past, the key would never work");
    return -1;
}

void admin_keys_create(struct admin_call *call)
{
    char text[CRYPTO_KEY_TEXT_BYTES];
    if (admin_body(call) < 0)
        return;
    struct fields *f = fields_new();
    crypto_key_text(text);
    crypto_sha256(text, strlen(text), f->r.digests[0].sha256);
    if (take_fields(call, f, JSON_ROOT, false) == 0 && check_not_over(call, f) == 0 &&
        create_one(call, f) == 0) {
        show_one(call, &f->r, text);
        call->report.status = 201;
    }
    crypto_wipe(text, sizeof(text));
    fields_free(f);
}

static int import_digest(struct admin_call *call, struct fields *f)
{
    uint8_t *out = f->r.digests[0].sha256;
    if (!f->key.n == !f->sha256.n) {
        admin_error(call, 400, "bad_field", "give either key or sha256");
        return -1;
    }
    if (f->sha256.n) {
        if (crypto_unhex(f->sha256, out, CRYPTO_SHA256_BYTES) == 0)
            return 0;
        admin_error(call, 400, "bad_field", "sha256: expected 64 hex digits");
        return -1;
    }
    if (f->key.n < IMPORT_KEY_MIN_BYTES || f->key.n > IMPORT_KEY_MAX_BYTES) {
        admin_error(call, 400, "bad_field", "key: expected %d to %d bytes, got %zu",
                    IMPORT_KEY_MIN_BYTES, IMPORT_KEY_MAX_BYTES, f->key.n);
        return -1;
    }
    crypto_sha256(f->key.p, f->key.n, out);
    return 0;
}

/* One entry of an import. The answer so far isn't touched unless it fails: then it is the error,
 * which says how far the import came. */
static int import_one(struct admin_call *call, uint32_t entry, char id[KEYSTORE_ID_BYTES])
{
    struct fields *f = fields_new();
    int rc = -1;
    if (take_fields(call, f, entry, true) == 0 && import_digest(call, f) == 0 &&
        create_one(call, f) == 0) {
        memcpy(id, f->r.id, KEYSTORE_ID_BYTES);
        rc = 0;
    }
    fields_free(f);
    return rc;
}

/* Each key is a transaction of its own; the report says of each what became of it. */
void admin_keys_import(struct admin_call *call)
{
    if (admin_body(call) < 0)
        return;
    uint32_t keys = json_get_lit(&call->doc, JSON_ROOT, "keys");
    if (json_type(&call->doc, keys) != JSON_ARRAY || json_count(&call->doc, keys) > IMPORT_MAX) {
        admin_error(call, 400, "bad_field", "keys: expected an array of at most %d keys",
                    IMPORT_MAX);
        return;
    }
    struct buf report;
    struct json_writer w;
    unsigned n_ok = 0, n_bad = 0;
    buf_init(&report, REPORT_MAX_BYTES / 2);
    jw_init_buf(&w, &report);
    jw_array(&w);
    json_foreach_element(&call->doc, keys, e)
    {
        char id[KEYSTORE_ID_BYTES];
        jw_object(&w);
        if (import_one(call, e, id) == 0) {
            n_ok++;
            jw_member_str(&w, "id", slice_str(id));
        } else {
            size_t n;
            n_bad++;
            /* `{"error":{...}` as admin_error left it, its outer object open. */
            if (jw_finish(&call->report.w, &n) == 0)
                jw_member_raw(&w, "error",
                              slice_of(call->report.out.data + sizeof("{\"error\":") - 1,
                                       n - (sizeof("{\"error\":") - 1)));
        }
        jw_object_end(&w);
    }
    jw_array_end(&w);
    size_t n;
    struct json_writer *out = admin_json(call);
    jw_member_u64(out, "imported", n_ok);
    jw_member_u64(out, "refused", n_bad);
    if (jw_finish(&w, &n) == 0)
        jw_member_raw(out, "results", buf_slice(&report));
    buf_release(&report);
}

/* ---- after a change ---- */

static bool put_shown(void *arg, const struct keystore_record *r)
{
    show_one(arg, r, NULL);
    return true;
}

/* After a change: the key as it is now, read on the writer thread with a reader of its own. */
static void show_changed(struct admin_call *call, struct slice ref, const char *text)
{
    struct store_txn *reader;
    enum store_err err = store_reader_new(call->keeper->state, &reader);
    if (err == STORE_OK) {
        err = keystore_get(reader, ref, put_shown, call);
        store_reader_free(reader);
    }
    if (err != STORE_OK) {
        struct json_writer *w = admin_json(call);
        jw_member_str(w, "name", ref);
    }
    if (text)
        jw_member_str(&call->report.w, "key", slice_str(text));
}

/* ---- change ---- */

static void change(struct admin_call *call, unsigned mask, const struct keystore_record *values)
{
    struct keystore_actor by = actor_of(call);
    struct slice ref = call->param[0];
    struct errbuf e = {0};
    enum store_err err = keystore_update(call->keeper->state, &by, ref, mask, values, &e);
    if (err != STORE_OK)
        store_failed(call, err, &e);
    else
        show_changed(call,
                     (mask & KEYSTORE_F_NAME) && memcmp(ref.p, "key_", GW_MIN(ref.n, 4u))
                         ? values->name
                         : ref,
                     NULL);
}

void admin_keys_update(struct admin_call *call)
{
    if (declared(call, call->param[0]) || admin_body(call) < 0)
        return;
    struct fields *f = fields_new();
    if (take_fields(call, f, JSON_ROOT, false) == 0) {
        if (f->mask == 0)
            admin_error(call, 400, "bad_field", "nothing to change: give at least one field");
        else if (!(f->mask & KEYSTORE_F_NAME) || !declared(call, f->r.name))
            change(call, f->mask, &f->r);
    }
    fields_free(f);
}

static void set_disabled(struct admin_call *call, bool disabled)
{
    struct keystore_record values = {.disabled = disabled};
    if (!declared(call, call->param[0]))
        change(call, KEYSTORE_F_DISABLED, &values);
}

void admin_keys_enable(struct admin_call *call)
{
    set_disabled(call, false);
}

void admin_keys_disable(struct admin_call *call)
{
    set_disabled(call, true);
}

void admin_keys_delete(struct admin_call *call)
{
    struct keystore_actor by = actor_of(call);
    struct errbuf e = {0};
    if (declared(call, call->param[0]))
        return;
    enum store_err err = keystore_delete(call->keeper->state, &by, call->param[0], &e);
    if (err != STORE_OK) {
        store_failed(call, err, &e);
        return;
    }
    struct json_writer *w = admin_json(call);
    jw_member_str(w, "deleted", call->param[0]);
}

/* {"grace_us": N}: how long the old text goes on; 0 or nothing: it ends at once. */
void admin_keys_rotate(struct admin_call *call)
{
    int64_t grace_us = 0;
    if (declared(call, call->param[0]) || admin_body(call) < 0)
        return;
    uint32_t v = json_get_lit(&call->doc, JSON_ROOT, "grace_us");
    if (v != JSON_NONE &&
        (json_i64(&call->doc, v, &grace_us) < 0 || grace_us < 0 || grace_us > GRACE_MAX_US)) {
        admin_error(call, 400, "bad_field", "grace_us: expected 0 to %lld (30 days)",
                    (long long)GRACE_MAX_US);
        return;
    }
    char text[CRYPTO_KEY_TEXT_BYTES];
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct keystore_actor by = actor_of(call);
    struct errbuf e = {0};
    crypto_key_text(text);
    crypto_sha256(text, strlen(text), digest);
    enum store_err err =
        keystore_rotate(call->keeper->state, &by, call->param[0], digest, grace_us, &e);
    if (err != STORE_OK)
        store_failed(call, err, &e);
    else
        show_changed(call, call->param[0], text);
    crypto_wipe(text, sizeof(text));
}
