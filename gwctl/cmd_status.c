/*
 * cmd_status.c: status, workers, dns, version, help, and what is asked of the master.
 */
#include "gwctl/client.h"
#include "gwctl/table.h"

#include <stdlib.h>
#include <string.h>

/* GET and print: as JSON, as rows of `array`, or, array NULL, as fields. */
static int get_and_print(struct ctl *ctl, const char *path, const char *array,
                         const struct column *columns, size_t n)
{
    struct ctl_answer a;
    ctl_answer_init(&a);
    int rc = ctl_call(ctl, "GET", path, NULL, &a);
    if (rc == CTL_DONE && ctl->format == CTL_JSON)
        ctl_print_json(ctl, &a);
    else if (rc == CTL_DONE && array)
        table_print(ctl, &a.doc, json_get(&a.doc, JSON_ROOT, slice_str(array)), columns, n);
    else if (rc == CTL_DONE)
        table_print_fields(ctl, &a.doc, JSON_ROOT, columns, n);
    ctl_answer_release(&a);
    return rc;
}

int ctl_status(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"status", "status", COLUMN_STATE, NULL},
        {"version", "version", COLUMN_TEXT, NULL},
        {"uptime", "uptime_us", COLUMN_DURATION, NULL},
        {"master pid", "master_pid", COLUMN_NUMBER, NULL},
        {"configuration", "config_file", COLUMN_TEXT, NULL},
        {"generation", "generation", COLUMN_NUMBER, NULL},
        {"last reload", "last_reload", COLUMN_TIME, "never"},
        {"reloads refused", "reloads_failed", COLUMN_NUMBER, NULL},
        {"listening on", "listen", COLUMN_LIST, NULL},
        {"admin", "admin", COLUMN_LIST, NULL},
        {"workers ready", "workers_ready", COLUMN_NUMBER, NULL},
        {"workers wanted", "workers_wanted", COLUMN_NUMBER, NULL},
        {"worker restarts", "worker_restarts", COLUMN_NUMBER, NULL},
        {"connections", "connections", COLUMN_NUMBER, NULL},
        {"in flight", "inflight", COLUMN_NUMBER, NULL},
        {"requests", "requests", COLUMN_NUMBER, NULL},
        {"models", "models", COLUMN_NUMBER, NULL},
        {"providers", "providers", COLUMN_NUMBER, NULL},
        {"names resolved", "dns.ok", COLUMN_NUMBER, NULL},
        {"names stale", "dns.stale", COLUMN_NUMBER, NULL},
        {"names failed", "dns.failed", COLUMN_NUMBER, NULL},
        {"tokens ok", "tokens.ok", COLUMN_NUMBER, NULL},
        {"tokens failing", "tokens.failing", COLUMN_NUMBER, NULL},
        {"tokens missing", "tokens.missing", COLUMN_NUMBER, NULL},
        {"key store", "state_store.used_bytes", COLUMN_BYTES, NULL},
        {"log lines dropped", "log_lines_dropped", COLUMN_NUMBER, NULL},
    };
    return get_and_print(ctl, "/admin/v1/status", NULL, columns, ARRAY_LEN(columns));
}

int ctl_workers(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"ROLE", "role", COLUMN_TEXT, NULL},
        {"SLOT", "slot", COLUMN_NUMBER, NULL},
        {"STATE", "state", COLUMN_STATE, NULL},
        {"PID", "pid", COLUMN_NUMBER, NULL},
        {"GENERATION", "generation", COLUMN_NUMBER, NULL},
        {"UPTIME", "uptime_us", COLUMN_DURATION, NULL},
        {"CONNECTIONS", "connections", COLUMN_NUMBER, NULL},
        {"IN FLIGHT", "inflight", COLUMN_NUMBER, NULL},
        {"REQUESTS", "requests", COLUMN_NUMBER, NULL},
        {"BUFFERED", "buffered_bytes", COLUMN_BYTES, NULL},
        {"RESTARTS", "restarts", COLUMN_NUMBER, NULL},
        {"LAST EXIT", "last_exit", COLUMN_TEXT, ""},
    };
    return get_and_print(ctl, "/admin/v1/workers", "workers", columns, ARRAY_LEN(columns));
}

int ctl_dns(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"HOST", "host", COLUMN_TEXT, NULL},           {"STATE", "state", COLUMN_STATE, NULL},
        {"ADDRESSES", "addresses", COLUMN_LIST, NULL}, {"ASKED", "age_us", COLUMN_DURATION, NULL},
        {"ERROR", "error", COLUMN_TEXT, ""},
    };
    return get_and_print(ctl, "/admin/v1/dns", "names", columns, ARRAY_LEN(columns));
}

int ctl_credentials(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"NAME", "name", COLUMN_TEXT, NULL},
        {"PROVIDER", "provider", COLUMN_TEXT, NULL},
        {"AUTH", "auth", COLUMN_TEXT, NULL},
        {"STATE", "state", COLUMN_STATE, NULL},
        {"EXPIRES IN", "expires_in_us", COLUMN_DURATION, ""},
        {"NEXT IN", "next_in_us", COLUMN_DURATION, ""},
        {"FAILURES", "failures", COLUMN_NUMBER, ""},
        {"ERROR", "error", COLUMN_TEXT, ""},
    };
    return get_and_print(ctl, "/admin/v1/credentials", "credentials", columns, ARRAY_LEN(columns));
}

int ctl_audit(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"TIME", "at", COLUMN_TIME, NULL},
        {"WHO", "who", COLUMN_TEXT, NULL},
        {"WHAT", "what", COLUMN_TEXT, NULL},
        {"KEY", "key", COLUMN_TEXT, NULL},
        {"NAME BEFORE", "before.name", COLUMN_TEXT, NULL},
        {"NAME AFTER", "after.name", COLUMN_TEXT, NULL},
        {"STATE AFTER", "after.state", COLUMN_STATE, NULL},
    };
    struct buf path;
    buf_init(&path, 4096);
    int rc = buf_printf(&path, "/admin/v1/audit?limit=");
    ctl_put_escaped(&path, ctl_flag(ctl, "--limit") ? ctl_flag(ctl, "--limit") : "50");
    if (rc == 0 && buf_reserve(&path, 1) == 0) {
        path.data[path.len] = '\0';
        rc = get_and_print(ctl, path.data, "audit", columns, ARRAY_LEN(columns));
    }
    buf_release(&path);
    return rc;
}

int ctl_version(struct ctl *ctl)
{
    struct ctl_answer a;
    FILE *err = ctl->err;
    char *text = NULL;
    size_t n = 0;
    ctl_answer_init(&a);
    ctl->err = open_memstream(&text, &n); /* no daemon is no error here */
    int rc = ctl_call(ctl, "GET", "/admin/v1/version", NULL, &a);
    fclose(ctl->err);
    ctl->err = err;
    uint32_t v = rc == CTL_DONE ? json_get_lit(&a.doc, JSON_ROOT, "version") : JSON_NONE;
    struct slice daemon = json_raw(&a.doc, v);
    if (ctl->format == CTL_JSON)
        fprintf(ctl->out, "{\"gwctl\":\"%s\",\"gatewayd\":%.*s}\n", GW_VERSION,
                daemon.n ? (int)daemon.n : 4, daemon.n ? daemon.p : "null");
    else if (daemon.n > 2)
        fprintf(ctl->out, "gwctl %s\ngatewayd %.*s\n", GW_VERSION, (int)daemon.n - 2, daemon.p + 1);
    else
        fprintf(ctl->out, "gwctl %s\ngatewayd does not run\n", GW_VERSION);
    free(text);
    ctl_answer_release(&a);
    return CTL_DONE;
}

int ctl_show_help(struct ctl *ctl)
{
    bool found = false;
    for (size_t i = 0; ctl->n_words && i < ctl_command_count; i++) {
        const struct ctl_command *c = &ctl_commands[i];
        const char *first = c->group ? c->group : c->verb;
        const char *second = c->group ? c->verb : NULL;
        if (strcmp(first, ctl->word[0]) != 0 ||
            (ctl->n_words > 1 && (!second || strcmp(second, ctl->word[1]) != 0)))
            continue;
        found = true;
        if (c->group && ctl->n_words == 1) {
            fprintf(ctl->out, "  %s %-8s %-6s %s\n", c->group, c->verb, c->params, c->summary);
            continue;
        }
        ctl_help(c, ctl->out);
    }
    if (ctl->n_words == 0)
        ctl_help_all(ctl->out);
    else if (!found)
        return ctl_usage(ctl, "there is no command \"%s%s%s\"", ctl->word[0],
                         ctl->n_words > 1 ? " " : "", ctl->n_words > 1 ? ctl->word[1] : "");
    return CTL_DONE;
}

/* ---- asked of the master ---- */

static void print_lines(struct ctl *ctl, const struct json_doc *d, const char *member)
{
    struct buf b;
    buf_init(&b, 65536);
    json_foreach_element(d, json_get(d, JSON_ROOT, slice_str(member)), e)
    {
        b.len = 0;
        table_text(d, e, &b);
        fprintf(ctl->out, "%.*s\n", SLICE_FMT(buf_slice(&b)));
    }
    buf_release(&b);
}

static int ask_master(struct ctl *ctl, const char *path, const char *done)
{
    struct ctl_answer a;
    ctl_answer_init(&a);
    a.doc.n = 0;
    int rc = ctl_call_quiet(ctl, "POST", path, NULL, &a);
    if (rc <= CTL_REFUSED && a.doc.n && ctl->format == CTL_JSON) {
        ctl_print_json(ctl, &a);
    } else if (rc == CTL_REFUSED && a.doc.n) {
        ctl_say_error(ctl, &a);
    } else if (rc == CTL_DONE) {
        bool unchanged =
            json_str_eq_lit(&a.doc, json_get_lit(&a.doc, JSON_ROOT, "outcome"), "unchanged");
        print_lines(ctl, &a.doc, unchanged ? "notes" : "diff");
        if (!unchanged)
            fprintf(ctl->out, "%s (generation %.*s)\n", done,
                    SLICE_FMT(json_raw(&a.doc, json_get_lit(&a.doc, JSON_ROOT, "generation"))));
    }
    ctl_answer_release(&a);
    return rc;
}

int ctl_reload(struct ctl *ctl)
{
    return ask_master(ctl, "/admin/v1/reload", "reloaded");
}

int ctl_drain(struct ctl *ctl)
{
    return ask_master(ctl, "/admin/v1/drain",
                      "draining: not ready for balancers, still serving; `gwctl resume` undoes it");
}

int ctl_resume(struct ctl *ctl)
{
    return ask_master(ctl, "/admin/v1/resume", "serving");
}
