/*
 * cmd_config.c: config check, show, diff, history.
 */
#include "common/conf.h"
#include "gwctl/table.h"

#include <string.h>

/* Offline: the same reader and the same builder as the daemon's loader. The files of secrets and
 * certificates are not opened: `gatewayd -t` does that, as the user that it runs as. */
int ctl_config_check(struct ctl *ctl)
{
    struct conf_errors errs;
    conf_errors_init(&errs);
    struct conf_entries *entries = conf_read_file(ctl->word[0], &errs);
    struct conf *conf = entries ? conf_build(entries, 0, &errs) : NULL;
    struct buf b;
    struct json_writer w;
    size_t n;
    buf_init(&b, 16 * 1024 * 1024);
    jw_init_buf(&w, &b);
    jw_object(&w);
    jw_member_bool(&w, "valid", conf != NULL);
    jw_member_array(&w, "errors");
    for (uint32_t i = 0; i < errs.n; i++)
        jw_str(&w, slice_str(errs.v[i]));
    jw_array_end(&w);
    jw_member_array(&w, "warnings");
    for (uint32_t i = 0; conf && i < conf->warnings.n; i++)
        jw_str(&w, conf->warnings.v[i]);
    jw_array_end(&w);
    jw_object_end(&w);
    if (ctl->format == CTL_JSON && jw_finish(&w, &n) == 0)
        fprintf(ctl->out, "%.*s\n", SLICE_FMT(buf_slice(&b)));
    for (uint32_t i = 0; ctl->format != CTL_JSON && i < errs.n; i++)
        fprintf(ctl->err, "%s\n", errs.v[i]);
    for (uint32_t i = 0; ctl->format != CTL_JSON && conf && i < conf->warnings.n; i++)
        fprintf(ctl->err, "warning: %s\n", conf->warnings.v[i].p);
    if (ctl->format != CTL_JSON && conf)
        fprintf(ctl->out, "%s: no errors (%u models, %u providers, %u keys)\n", ctl->word[0],
                conf->n_models, conf->n_providers, conf->n_keys);
    else if (ctl->format != CTL_JSON)
        fprintf(ctl->err, "gwctl: %s: %u error%s\n", ctl->word[0], errs.n, errs.n == 1 ? "" : "s");
    int rc = conf ? CTL_DONE : CTL_REFUSED;
    buf_release(&b);
    conf_free(conf);
    conf_entries_free(entries);
    conf_errors_fini(&errs);
    return rc;
}

static int get_list(struct ctl *ctl, const char *path, const char *array,
                    const struct column *columns, size_t n, struct ctl_answer *a)
{
    int rc = ctl_call(ctl, "GET", path, NULL, a);
    if (rc == CTL_DONE && ctl->format == CTL_JSON)
        ctl_print_json(ctl, a);
    else if (rc == CTL_DONE)
        table_print(ctl, &a->doc, json_get(&a->doc, JSON_ROOT, slice_str(array)), columns, n);
    return rc;
}

int ctl_config_show(struct ctl *ctl)
{
    static const struct column settings[] = {
        {"SECTION", "section", COLUMN_TEXT, NULL}, {"KEY", "key", COLUMN_TEXT, NULL},
        {"VALUE", "value", COLUMN_TEXT, ""},       {"DEFAULT", "default", COLUMN_BOOL, NULL},
        {"FILE", "file", COLUMN_TEXT, ""},         {"LINE", "line", COLUMN_NUMBER, ""},
    };
    static const struct column secrets[] = {
        {"SECRET", "name", COLUMN_TEXT, NULL},
        {"FINGERPRINT", "fingerprint", COLUMN_TEXT, NULL},
        {"LOADED", "loaded", COLUMN_TIME, NULL},
    };
    struct ctl_answer a;
    ctl_answer_init(&a);
    int rc = get_list(ctl, "/admin/v1/config", "settings", settings, ARRAY_LEN(settings), &a);
    uint32_t list = json_get_lit(&a.doc, JSON_ROOT, "secrets");
    if (rc == CTL_DONE && ctl->format == CTL_TABLE && json_count(&a.doc, list)) {
        fputc('\n', ctl->out);
        table_print(ctl, &a.doc, list, secrets, ARRAY_LEN(secrets));
    }
    ctl_answer_release(&a);
    return rc;
}

int ctl_config_history(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"GENERATION", "generation", COLUMN_NUMBER, NULL}, {"ACTIVE", "active", COLUMN_BOOL, NULL},
        {"ACTIVATED", "activated", COLUMN_TIME, "never"},  {"BY", "by", COLUMN_TEXT, NULL},
        {"ENTRIES", "entries", COLUMN_NUMBER, NULL},
    };
    struct ctl_answer a;
    ctl_answer_init(&a);
    int rc =
        get_list(ctl, "/admin/v1/config/history", "generations", columns, ARRAY_LEN(columns), &a);
    ctl_answer_release(&a);
    return rc;
}

int ctl_config_diff(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"CHANGE", "change", COLUMN_TEXT, NULL}, {"SECTION", "section", COLUMN_TEXT, NULL},
        {"KEY", "key", COLUMN_TEXT, ""},         {"BEFORE", "before", COLUMN_TEXT, ""},
        {"AFTER", "after", COLUMN_TEXT, ""},     {"FILE", "file", COLUMN_TEXT, ""},
        {"LINE", "line", COLUMN_NUMBER, ""},
    };
    static const char *const flags[] = {"--from", "--to"};
    struct ctl_answer a;
    struct buf path;
    buf_init(&path, 4096);
    ctl_answer_init(&a);
    int rc = buf_printf(&path, "/admin/v1/config/diff");
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(flags); i++) {
        const char *v = ctl_flag(ctl, flags[i]);
        if (!v)
            continue;
        rc = buf_printf(&path, "%c%s=", strchr(path.data, '?') ? '&' : '?', flags[i] + 2);
        ctl_put_escaped(&path, v);
    }
    if (rc == 0)
        rc = get_list(ctl, path.data, "changes", columns, ARRAY_LEN(columns), &a);
    ctl_answer_release(&a);
    buf_release(&path);
    return rc;
}
