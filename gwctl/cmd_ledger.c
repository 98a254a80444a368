/*
 * cmd_ledger.c: usage and ledger.
 */
#include "common/check.h"
#include "gwctl/table.h"

#include <string.h>

/* Appends the flags of the command that the daemon knows as parameters. */
static void put_query(struct ctl *ctl, struct buf *path, const char *const *names, size_t n)
{
    char mark = memchr(path->data, '?', path->len) ? '&' : '?';
    for (size_t i = 0; i < n; i++) {
        const char *v = ctl_flag(ctl, names[i]);
        if (!v)
            continue;
        GW_REQUIRE(buf_printf(path, "%c%s=", mark, names[i] + 2) == 0);
        ctl_put_escaped(path, v);
        mark = '&';
    }
}

int ctl_usage_report(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"KEY NAME", "key_name", COLUMN_TEXT, ""}, /* by key only */
        {"NAME", "name", COLUMN_TEXT, "(none)"},
        {"REQUESTS", "requests", COLUMN_NUMBER, NULL},
        {"ATTEMPTS", "attempts", COLUMN_NUMBER, NULL},
        {"SETTLED", "settled", COLUMN_NUMBER, NULL},
        {"ESTIMATED", "estimated", COLUMN_NUMBER, NULL},
        {"UNSETTLED", "unsettled", COLUMN_NUMBER, NULL},
        {"INPUT", "input_tokens", COLUMN_NUMBER, NULL},
        {"CACHED", "cached_tokens", COLUMN_NUMBER, NULL},
        {"OUTPUT", "output_tokens", COLUMN_NUMBER, NULL},
        {"UNPRICED", "unpriced", COLUMN_NUMBER, NULL},
        {"COST", "cost_nusd", COLUMN_MONEY, NULL},
    };
    static const struct column sums[] = {
        {"requests in all", "requests", COLUMN_NUMBER, NULL},
        {"input tokens", "input_tokens", COLUMN_NUMBER, NULL},
        {"output tokens", "output_tokens", COLUMN_NUMBER, NULL},
        {"cost", "cost_nusd", COLUMN_MONEY, NULL},
    };
    static const char *const names[] = {"--by", "--since", "--until"};
    const char *by = ctl_flag(ctl, "--by");
    bool by_key = by && strcmp(by, "key") == 0;
    struct ctl_answer a;
    struct buf path;
    buf_init(&path, 8192);
    ctl_answer_init(&a);
    GW_REQUIRE(buf_printf(&path, "/admin/v1/usage") == 0);
    put_query(ctl, &path, names, ARRAY_LEN(names));
    int rc = ctl_call(ctl, "GET", path.data, NULL, &a);
    if (rc == CTL_DONE && ctl->format == CTL_JSON)
        ctl_print_json(ctl, &a);
    else if (rc == CTL_DONE)
        table_print(ctl, &a.doc, json_get_lit(&a.doc, JSON_ROOT, "usage"), columns + !by_key,
                    ARRAY_LEN(columns) - !by_key);
    if (rc == CTL_DONE && ctl->format == CTL_TABLE) {
        fputc('\n', ctl->out);
        table_print_fields(ctl, &a.doc, json_get_lit(&a.doc, JSON_ROOT, "total"), sums,
                           ARRAY_LEN(sums));
    }
    ctl_answer_release(&a);
    buf_release(&path);
    return rc;
}

static int verify(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"whole", "valid", COLUMN_TEXT, NULL},
        {"fault", "fault", COLUMN_TEXT, "none"},
        {"records", "records", COLUMN_NUMBER, NULL},
        {"first", "first_seq", COLUMN_NUMBER, NULL},
        {"last", "last_seq", COLUMN_NUMBER, NULL},
        {"days", "days", COLUMN_NUMBER, NULL},
        {"of them unpriced", "unpriced", COLUMN_NUMBER, NULL},
        {"cost", "cost_nusd", COLUMN_MONEY, NULL},
        {"hash of the last", "head", COLUMN_TEXT, NULL},
    };
    struct ctl_answer a;
    bool valid = false;
    ctl_answer_init(&a);
    int rc = ctl_call(ctl, "GET", "/admin/v1/ledger/verify", NULL, &a);
    if (rc == CTL_DONE && ctl->format == CTL_JSON)
        ctl_print_json(ctl, &a);
    else if (rc == CTL_DONE)
        table_print_fields(ctl, &a.doc, JSON_ROOT, columns, ARRAY_LEN(columns));
    if (rc == CTL_DONE &&
        (json_bool(&a.doc, json_get_lit(&a.doc, JSON_ROOT, "valid"), &valid) < 0 || !valid))
        rc = CTL_REFUSED;
    ctl_answer_release(&a);
    return rc;
}

/* Pages into one array: what scripts want is one document. */
static int fetch_records(struct ctl *ctl, uint64_t limit, struct ctl_answer *all)
{
    static const char *const names[] = {"--key", "--model", "--since", "--until"};
    struct ctl_answer page;
    struct json_writer w;
    struct buf path;
    char next[64] = "";
    size_t len;
    uint64_t n = 0;
    int rc;
    ctl_answer_init(&page);
    buf_init(&path, 8192);
    jw_init_buf(&w, &all->body);
    jw_object(&w);
    jw_member_array(&w, "records");
    do {
        path.len = 0;
        GW_REQUIRE(buf_printf(&path, "/admin/v1/ledger?limit=%llu",
                              (unsigned long long)GW_MIN(limit - n, 1000u)) == 0);
        put_query(ctl, &path, names, ARRAY_LEN(names));
        if (*next)
            GW_REQUIRE(buf_printf(&path, "&after=%s", next) == 0);
        rc = ctl_call(ctl, "GET", path.data, NULL, &page);
        json_foreach_element(&page.doc, json_get_lit(&page.doc, JSON_ROOT, "records"), e)
        {
            jw_raw(&w, json_raw(&page.doc, e));
            n++;
        }
        len = 0;
        uint32_t v = json_get_lit(&page.doc, JSON_ROOT, "next");
        if (json_str_decode(&page.doc, v, next, sizeof(next) - 1, &len) < 0)
            len = 0;
        next[len] = '\0';
    } while (rc == CTL_DONE && *next && n < limit);
    jw_array_end(&w);
    jw_object_end(&w);
    if (rc == CTL_DONE &&
        (jw_finish(&w, &len) < 0 || json_parse(&all->doc, all->body.data, all->body.len) < 0))
        rc = ctl_fail(ctl, "too many records for one answer: use --since, --until or --limit");
    ctl_answer_release(&page);
    buf_release(&path);
    return rc;
}

int ctl_ledger(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"STARTED", "started", COLUMN_TIME, NULL},
        {"REQUEST", "request_id", COLUMN_TEXT, NULL},
        {"TRY", "attempt", COLUMN_NUMBER, NULL},
        {"STATE", "state", COLUMN_STATE, NULL},
        {"KEY", "key", COLUMN_TEXT, NULL},
        {"KEY NAME", "key_name", COLUMN_TEXT, ""},
        {"MODEL", "model", COLUMN_TEXT, NULL},
        {"PROVIDER", "provider", COLUMN_TEXT, NULL},
        {"HTTP", "http_status", COLUMN_NUMBER, ""},
        {"INPUT", "input_tokens", COLUMN_NUMBER, NULL},
        {"CACHED", "cached_tokens", COLUMN_NUMBER, NULL},
        {"OUTPUT", "output_tokens", COLUMN_NUMBER, NULL},
        {"COST", "cost_nusd", COLUMN_MONEY, NULL},
        {"FLAGS", "flags", COLUMN_LIST, ""},
    };
    uint64_t limit = UINT64_MAX;
    const char *text = ctl_flag(ctl, "--limit");
    if (ctl_flag(ctl, "--verify")) {
        static const char *const of_lists[] = {"--key", "--model", "--since", "--until", "--limit"};
        for (size_t i = 0; i < ARRAY_LEN(of_lists); i++)
            if (ctl_flag(ctl, of_lists[i]))
                return ctl_usage(ctl, "--verify looks at the whole ledger: no %s", of_lists[i]);
        if (ctl->format == CTL_CSV)
            return ctl_usage(ctl, "--csv is for lists; --json is possible here");
        return verify(ctl);
    }
    if (text && (slice_to_u64(slice_str(text), UINT64_MAX, &limit) < 0 || limit == 0))
        return ctl_usage(ctl, "--limit %s: expected a number above 0", text);
    struct ctl_answer a;
    ctl_answer_init(&a);
    int rc = fetch_records(ctl, limit, &a);
    if (rc == CTL_DONE && ctl->format == CTL_JSON)
        ctl_print_json(ctl, &a);
    else if (rc == CTL_DONE)
        table_print(ctl, &a.doc, json_get_lit(&a.doc, JSON_ROOT, "records"), columns,
                    ARRAY_LEN(columns));
    ctl_answer_release(&a);
    return rc;
}
