/*
 * cmd_keys.c: keys create, list, show, update, enable, disable, rotate, delete, import, export.
 */
#include "common/check.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/keystore.h"
#include "common/when.h"
#include "gwctl/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 1024 * 1024, IMPORT_CHUNK = 500, LINE_MAX_BYTES = 64 * 1024 };

static const struct column key_columns[] = {
    {"id", "id", COLUMN_TEXT, NULL},
    {"name", "name", COLUMN_TEXT, NULL},
    {"state", "state", COLUMN_STATE, NULL},
    {"declared at", "declared_at", COLUMN_TEXT, NULL},
    {"team", "team", COLUMN_TEXT, NULL},
    {"customer", "customer", COLUMN_TEXT, NULL},
    {"models", "models", COLUMN_LIST, "all"},
    {"tags", "tags", COLUMN_TEXT, NULL},
    {"expires", "expires", COLUMN_TIME, "never"},
    {"created", "created", COLUMN_TIME, NULL},
    {"updated", "updated", COLUMN_TIME, NULL},
    {"metadata", "metadata", COLUMN_TEXT, NULL},
    {"sha256", "sha256", COLUMN_TEXT, NULL},
};

/* The texts before, while their grace lasts. */
static const struct column rotated_columns[] = {
    {"before it", "sha256", COLUMN_TEXT, NULL},
    {"works until", "valid_until", COLUMN_TIME, NULL},
};

static void print_key(struct ctl *ctl, const struct ctl_answer *a)
{
    if (ctl->format == CTL_JSON) {
        ctl_print_json(ctl, a);
        return;
    }
    table_print_fields(ctl, &a->doc, JSON_ROOT, key_columns, ARRAY_LEN(key_columns));
    json_foreach_element(&a->doc, json_get_lit(&a->doc, JSON_ROOT, "rotated"), old)
    {
        table_print_fields(ctl, &a->doc, old, rotated_columns, ARRAY_LEN(rotated_columns));
    }
    uint32_t key = json_get_lit(&a->doc, JSON_ROOT, "key");
    struct slice text;
    if (json_str_plain(&a->doc, key, &text))
        fprintf(ctl->out, "\n%.*s\n\nKeep it: it is not stored and not shown again.\n",
                SLICE_FMT(text));
}

static int key_call(struct ctl *ctl, const char *method, const char *verb, const struct buf *body)
{
    struct ctl_answer a;
    struct buf path;
    buf_init(&path, 8192);
    ctl_answer_init(&a);
    GW_REQUIRE(buf_printf(&path, "/admin/v1/keys%s", ctl->n_words ? "/" : "") == 0);
    if (ctl->n_words)
        ctl_put_escaped(&path, ctl->word[0]);
    GW_REQUIRE(buf_printf(&path, "%s%s", *verb ? "/" : "", verb) == 0);
    int rc = ctl_call(ctl, method, path.data, body, &a);
    bool deleted = json_get_lit(&a.doc, JSON_ROOT, "deleted") != JSON_NONE;
    if (rc == CTL_DONE && deleted && ctl->format != CTL_JSON)
        fprintf(ctl->out, "deleted %s\n", ctl->word[0]);
    else if (rc == CTL_DONE)
        print_key(ctl, &a);
    if (a.body.data)
        crypto_wipe(a.body.data, a.body.len);
    ctl_answer_release(&a);
    buf_release(&path);
    return rc;
}

/* ---- what is said about a key ---- */

static void put_list(struct json_writer *w, const char *text)
{
    struct slice rest = slice_str(text);
    jw_array(w);
    while (rest.p) {
        struct slice part = slice_trim(slice_split(&rest, ','));
        if (part.n)
            jw_str(w, part);
    }
    jw_array_end(w);
}

/* "30d" becomes a time. */
static int put_expires(struct ctl *ctl, struct json_writer *w, const char *text)
{
    int64_t us;
    char when[CLOCK_RFC3339_BYTES];
    if (strcmp(text, "never") == 0 || *text == '\0') {
        jw_null(w);
    } else if (when_parse_duration(slice_str(text), &us) == 0) {
        clock_format_rfc3339(clock_wall_us() + us, when);
        jw_str(w, slice_str(when));
    } else if (when_parse_time(slice_str(text), &us) == 0) {
        jw_str(w, slice_str(text));
    } else {
        return ctl_usage(ctl,
                         "--expires %s: expected a time from now such as 30d, a date such as "
                         "2030-12-31, an RFC 3339 time, or never",
                         text);
    }
    return CTL_DONE;
}

static int put_metadata(struct ctl *ctl, struct json_writer *w, const char *text)
{
    struct json_doc d;
    struct errbuf e;
    json_doc_init(&d, 65536);
    int rc = CTL_DONE;
    if (*text == '\0')
        jw_null(w);
    else if (json_parse(&d, text, strlen(text)) == 0)
        jw_raw(w, slice_str(text));
    else
        rc = (json_parse_error(&d, &e), ctl_fail(ctl, "--metadata %s: not JSON: %s", text, e.msg));
    json_doc_release(&d);
    return rc;
}

static int put_tags(struct ctl *ctl, struct json_writer *w, const char *text)
{
    if (!keystore_tags_valid(slice_str(text)))
        return ctl_usage(ctl, "--tags %s: expected NAME=VALUE,NAME=VALUE, or \"\" for none", text);
    jw_str(w, slice_str(text));
    return CTL_DONE;
}

static int put_fields(struct ctl *ctl, struct json_writer *w)
{
    int rc = CTL_DONE;
    for (const struct ctl_flag *f = ctl->command->flags; f->name && rc == CTL_DONE; f++) {
        const char *v = ctl_flag(ctl, f->name);
        if (!v)
            continue;
        jw_key(w, slice_str(f->name + 2));
        if (strcmp(f->name, "--models") == 0)
            put_list(w, v);
        else if (strcmp(f->name, "--expires") == 0)
            rc = put_expires(ctl, w, v);
        else if (strcmp(f->name, "--metadata") == 0)
            rc = put_metadata(ctl, w, v);
        else if (strcmp(f->name, "--tags") == 0)
            rc = put_tags(ctl, w, v);
        else
            jw_str(w, slice_str(v));
    }
    return rc;
}

static int send_fields(struct ctl *ctl, const char *method)
{
    struct buf body;
    struct json_writer w;
    size_t n;
    buf_init(&body, BODY_MAX);
    jw_init_buf(&w, &body);
    jw_object(&w);
    int rc = put_fields(ctl, &w);
    jw_object_end(&w);
    if (rc == CTL_DONE && jw_finish(&w, &n) < 0)
        rc = ctl_fail(ctl, "that is too much for one key");
    if (rc == CTL_DONE)
        rc = key_call(ctl, method, "", &body);
    buf_release(&body);
    return rc;
}

int ctl_keys_create(struct ctl *ctl)
{
    if (!ctl_flag(ctl, "--name"))
        return ctl_usage(ctl, "--name is missing");
    return send_fields(ctl, "POST");
}

int ctl_keys_update(struct ctl *ctl)
{
    for (const struct ctl_flag *f = ctl->command->flags; f->name; f++)
        if (ctl_flag(ctl, f->name))
            return send_fields(ctl, "PATCH");
    return ctl_usage(ctl, "nothing to change: give at least one option");
}

int ctl_keys_show(struct ctl *ctl)
{
    return key_call(ctl, "GET", "", NULL);
}

int ctl_keys_enable(struct ctl *ctl)
{
    return key_call(ctl, "POST", "enable", NULL);
}

int ctl_keys_disable(struct ctl *ctl)
{
    return key_call(ctl, "POST", "disable", NULL);
}

int ctl_keys_delete(struct ctl *ctl)
{
    return key_call(ctl, "DELETE", "", NULL);
}

int ctl_keys_rotate(struct ctl *ctl)
{
    const char *grace = ctl_flag(ctl, "--grace");
    int64_t us = 0;
    struct buf body;
    if (grace && when_parse_duration(slice_str(grace), &us) < 0)
        return ctl_usage(ctl, "--grace %s: expected a number and a unit, such as 1h", grace);
    buf_init(&body, 4096);
    GW_REQUIRE(buf_printf(&body, "{\"grace_us\":%lld}", (long long)us) == 0);
    int rc = key_call(ctl, "POST", "rotate", &body);
    buf_release(&body);
    return rc;
}

/* ---- all of them ---- */

/* Every key of every page into one array of one answer. */
static int fetch_all(struct ctl *ctl, struct ctl_answer *all)
{
    struct ctl_answer page;
    struct buf path;
    struct json_writer w;
    int rc;
    size_t n;
    ctl_answer_init(&page);
    buf_init(&path, 8192);
    jw_init_buf(&w, &all->body);
    jw_object(&w);
    jw_member_array(&w, "keys");
    GW_REQUIRE(buf_printf(&path, "/admin/v1/keys?limit=1000") == 0);
    for (;;) {
        rc = ctl_call(ctl, "GET", path.data, NULL, &page);
        if (rc != CTL_DONE)
            break;
        json_foreach_element(&page.doc, json_get_lit(&page.doc, JSON_ROOT, "keys"), e)
        {
            jw_raw(&w, json_raw(&page.doc, e));
        }
        char next[1024];
        size_t len;
        if (json_str_decode(&page.doc, json_get_lit(&page.doc, JSON_ROOT, "next"), next,
                            sizeof(next) - 1, &len) < 0)
            break;
        next[len] = '\0';
        path.len = 0;
        GW_REQUIRE(buf_printf(&path, "/admin/v1/keys?limit=1000&after=") == 0);
        ctl_put_escaped(&path, next);
    }
    jw_array_end(&w);
    jw_object_end(&w);
    if (rc == CTL_DONE &&
        (jw_finish(&w, &n) < 0 || json_parse(&all->doc, all->body.data, all->body.len) < 0))
        rc = ctl_fail(ctl, "there are too many keys for one answer");
    ctl_answer_release(&page);
    buf_release(&path);
    return rc;
}

int ctl_keys_list(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"ID", "id", COLUMN_TEXT, NULL},          {"NAME", "name", COLUMN_TEXT, NULL},
        {"STATE", "state", COLUMN_STATE, NULL},   {"TEAM", "team", COLUMN_TEXT, NULL},
        {"MODELS", "models", COLUMN_LIST, "all"}, {"EXPIRES", "expires", COLUMN_TIME, "never"},
        {"CREATED", "created", COLUMN_TIME, ""},  {"DECLARED AT", "declared_at", COLUMN_TEXT, ""},
    };
    struct ctl_answer a;
    ctl_answer_init(&a);
    int rc = fetch_all(ctl, &a);
    if (rc == CTL_DONE && ctl->format == CTL_JSON)
        ctl_print_json(ctl, &a);
    else if (rc == CTL_DONE)
        table_print(ctl, &a.doc, json_get_lit(&a.doc, JSON_ROOT, "keys"), columns,
                    ARRAY_LEN(columns));
    ctl_answer_release(&a);
    return rc;
}

/* One line a key, with the fields that import takes. The INI's keys stay with the INI. */
int ctl_keys_export(struct ctl *ctl)
{
    static const char *const members[] = {"name",   "sha256", "team",     "customer",
                                          "models", "tags",   "metadata", "expires"};
    struct ctl_answer a;
    ctl_answer_init(&a);
    int rc = fetch_all(ctl, &a);
    uint32_t keys = json_get_lit(&a.doc, JSON_ROOT, "keys");
    for (uint32_t e = keys + 1,
                  end = rc == CTL_DONE ? json_children_end(&a.doc, keys, JSON_ARRAY) : 0;
         e < end; e = a.doc.toks[e].next) {
        if (!json_str_eq_lit(&a.doc, json_get_lit(&a.doc, e, "source"), "api"))
            continue;
        const char *comma = "{";
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
            uint32_t v = json_get(&a.doc, e, slice_str(members[i]));
            if (v == JSON_NONE || json_is_null(&a.doc, v))
                continue;
            fprintf(ctl->out, "%s\"%s\":%.*s", comma, members[i], SLICE_FMT(json_raw(&a.doc, v)));
            comma = ",";
        }
        if (json_str_eq_lit(&a.doc, json_get_lit(&a.doc, e, "state"), "disabled"))
            fprintf(ctl->out, "%s\"disabled\":true", comma);
        fputs("}\n", ctl->out);
    }
    ctl_answer_release(&a);
    return rc;
}

/* ---- import ---- */

struct import {
    struct ctl *ctl;
    const char *file;
    bool sha256;
    struct buf body;
    struct json_writer w;
    unsigned n, line;
    unsigned lines[IMPORT_CHUNK];
    uint64_t n_ok, n_bad;
};

static size_t chunk_bytes(const struct import *im)
{
    return (size_t)(im->w.at - im->w.base);
}

static void chunk_begin(struct import *im)
{
    if (im->body.data)
        crypto_wipe(im->body.data, im->body.cap);
    im->body.len = 0;
    im->n = 0;
    jw_init_buf(&im->w, &im->body);
    jw_object(&im->w);
    jw_member_array(&im->w, "keys");
}

static void say_refused(struct import *im, const struct json_doc *d, uint32_t error, unsigned line)
{
    struct buf b;
    buf_init(&b, 4096);
    table_text(d, json_get_lit(d, error, "message"), &b);
    fprintf(im->ctl->err, "%s:%u: %.*s\n", im->file, line, SLICE_FMT(buf_slice(&b)));
    buf_release(&b);
}

static int chunk_send(struct import *im)
{
    struct ctl_answer a;
    size_t n;
    if (im->n == 0)
        return CTL_DONE;
    jw_array_end(&im->w);
    jw_object_end(&im->w);
    if (jw_finish(&im->w, &n) < 0)
        return ctl_fail(im->ctl, "%s: the lines before %u are too long together", im->file,
                        im->line);
    ctl_answer_init(&a);
    int rc = ctl_call(im->ctl, "POST", "/admin/v1/keys/import", &im->body, &a);
    unsigned i = 0;
    json_foreach_element(&a.doc, json_get_lit(&a.doc, JSON_ROOT, "results"), e)
    {
        uint32_t error = json_get_lit(&a.doc, e, "error");
        im->n_ok += error == JSON_NONE;
        im->n_bad += error != JSON_NONE;
        if (error != JSON_NONE && i < im->n)
            say_refused(im, &a.doc, error, im->lines[i]);
        i++;
    }
    ctl_answer_release(&a);
    chunk_begin(im);
    return rc;
}

/* NAME KEY, with white space, a comma or a tab between. */
static int put_plain(struct import *im, struct slice line)
{
    size_t n = 0;
    while (n < line.n && !strchr(" \t,", line.p[n]))
        n++;
    struct slice name = slice_of(line.p, n), key = slice_of(line.p + n, line.n - n);
    while (key.n && strchr(" \t,", *key.p))
        key = slice_of(key.p + 1, key.n - 1);
    if (!name.n || !key.n) {
        fprintf(im->ctl->err, "%s:%u: expected a JSON object, or NAME %s\n", im->file, im->line,
                im->sha256 ? "SHA256" : "KEY");
        return CTL_REFUSED;
    }
    jw_object(&im->w);
    jw_member_str(&im->w, "name", name);
    jw_key(&im->w, slice_str(im->sha256 ? "sha256" : "key"));
    jw_str(&im->w, key);
    jw_object_end(&im->w);
    return CTL_DONE;
}

static int put_json(struct import *im, struct slice line)
{
    struct json_doc d;
    struct errbuf e;
    int rc = CTL_DONE;
    json_doc_init(&d, LINE_MAX_BYTES);
    if (json_parse(&d, line.p, line.n) == 0) {
        jw_raw(&im->w, line);
    } else {
        json_parse_error(&d, &e);
        fprintf(im->ctl->err, "%s:%u: not JSON: %s\n", im->file, im->line, e.msg);
        rc = CTL_REFUSED;
    }
    json_doc_release(&d);
    return rc;
}

static int import_line(struct import *im, struct slice line)
{
    line = slice_trim(line);
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0 || *line.p == '#')
        return CTL_DONE;
    int rc = *line.p == '{' ? put_json(im, line) : put_plain(im, line);
    if (rc != CTL_DONE) {
        im->n_bad++;
        return CTL_DONE;
    }
    im->lines[im->n++] = im->line;
    return im->n == IMPORT_CHUNK || chunk_bytes(im) > BODY_MAX / 2 ? chunk_send(im) : CTL_DONE;
}

static int import_file(struct import *im, FILE *f)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int rc = CTL_DONE;
    chunk_begin(im);
    while (rc == CTL_DONE && (n = getline(&line, &cap, f)) >= 0) {
        im->line++;
        n -= n > 0 && line[n - 1] == '\n';
        if (n < LINE_MAX_BYTES) {
            rc = import_line(im, slice_of(line, (size_t)n));
            continue;
        }
        fprintf(im->ctl->err, "%s:%u: longer than %d bytes\n", im->file, im->line,
                LINE_MAX_BYTES - 1);
        im->n_bad++;
    }
    int err = rc == CTL_DONE && ferror(f) ? errno : 0;
    if (rc == CTL_DONE)
        rc = chunk_send(im);
    if (err && rc == CTL_DONE)
        rc = ctl_fail(im->ctl, "%s: %s", im->file, strerror(err));
    if (line)
        crypto_wipe(line, cap);
    free(line);
    return rc;
}

int ctl_keys_import(struct ctl *ctl)
{
    bool from_stdin = strcmp(ctl->word[0], "-") == 0;
    FILE *f = from_stdin ? stdin : fopen(ctl->word[0], "re");
    if (!f)
        return ctl_fail(ctl, "%s: %s", ctl->word[0], strerror(errno));
    struct import im = {.ctl = ctl, .file = ctl->word[0], .sha256 = ctl_flag(ctl, "--sha256")};
    buf_init(&im.body, BODY_MAX);
    int rc = import_file(&im, f);
    if (ctl->format == CTL_JSON)
        fprintf(ctl->out, "{\"imported\":%llu,\"refused\":%llu}\n", (unsigned long long)im.n_ok,
                (unsigned long long)im.n_bad);
    else
        fprintf(ctl->out, "imported %llu, refused %llu\n", (unsigned long long)im.n_ok,
                (unsigned long long)im.n_bad);
    if (im.body.data)
        crypto_wipe(im.body.data, im.body.cap);
    buf_release(&im.body);
    if (!from_stdin)
        fclose(f);
    return rc != CTL_DONE ? rc : im.n_bad ? CTL_REFUSED : CTL_DONE;
}
