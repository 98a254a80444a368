/*
 * test_gwctl.c: the command line, the table of commands and its page, and how values are printed.
 */
#include "gwctl/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ARGS_MAX = 12 };

struct run {
    struct ctl ctl;
    char *out, *err;
    size_t n_out, n_err;
};

static void run_open(struct run *r)
{
    memset(r, 0, sizeof(*r));
    r->ctl.out = open_memstream(&r->out, &r->n_out);
    r->ctl.err = open_memstream(&r->err, &r->n_err);
}

static void run_close(struct run *r)
{
    fclose(r->ctl.out);
    fclose(r->ctl.err);
    free(r->out);
    free(r->err);
}

static int parse(struct run *r, const char *const *words)
{
    char *argv[ARGS_MAX + 1];
    int argc = 1;
    argv[0] = (char *)(uintptr_t) "gwctl";
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    int rc = ctl_parse(&r->ctl, argc, argv);
    fflush(r->ctl.err);
    return rc;
}

static void test_parse(void **state)
{
    static const struct {
        const char *words[ARGS_MAX];
        int rc;
        const char *verb;
        const char *says;
    } rows[] = {
        {{"status"}, CTL_DONE, "status", ""},
        {{"--json", "status"}, CTL_DONE, "status", ""},
        {{"status", "--json"}, CTL_DONE, "status", ""},
        {{"workers", "--csv"}, CTL_DONE, "workers", ""},
        {{"status", "--csv"}, CTL_USAGE, "status", "--csv is for lists"},
        {{NULL}, CTL_USAGE, NULL, "no command"},
        {{"nonsense"}, CTL_USAGE, NULL, "no command \"nonsense\""},
        {{"keys"}, CTL_USAGE, NULL, "which command"},
        {{"keys", "nonsense"}, CTL_USAGE, NULL, "keys nonsense"},
        {{"keys", "show"}, CTL_USAGE, "show", "ID is missing"},
        {{"keys", "show", "a", "b"}, CTL_USAGE, "show", "\"b\" is one word too many"},
        {{"keys", "show", "ci"}, CTL_DONE, "show", ""},
        {{"keys", "show", "--", "--ci"}, CTL_DONE, "show", ""},
        {{"keys", "create", "--name"}, CTL_USAGE, "create", "needs a value"},
        {{"keys", "create", "--name", "a", "--name=b"}, CTL_USAGE, "create", "given twice"},
        {{"keys", "create", "--no-such-option"}, CTL_USAGE, "create", "--no-such-option"},
        {{"keys", "rotate", "ci", "--grace=1h"}, CTL_DONE, "rotate", ""},
        {{"status", "--grace", "1h"}, CTL_USAGE, "status", "--grace"},
        {{"--socket", "/a", "--url", "http://b", "status"}, CTL_USAGE, "status", "either"},
        {{"--socket"}, CTL_USAGE, NULL, "needs a value"},
        {{"keys", "create", "--help"}, CTL_DONE, "create", ""},
        {{"--help"}, CTL_DONE, NULL, ""},
        {{"help"}, CTL_DONE, "help", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct run r;
        run_open(&r);
        int rc = parse(&r, rows[i].words);
        if (rc != rows[i].rc || !strstr(r.err, rows[i].says))
            fail_msg("row %zu: %d, says: %s", i, rc, r.err);
        assert_int_equal(r.ctl.command != NULL, rows[i].verb != NULL);
        if (rows[i].verb)
            assert_string_equal(r.ctl.command->verb, rows[i].verb);
        assert_int_equal(rc == CTL_USAGE, r.n_err > 0);
        run_close(&r);
    }
}

static void test_flags_and_places(void **state)
{
    static const char *const words[] = {"--socket", "/x", "keys",         "create",
                                        "--name",   "ci", "--models=a,b", NULL};
    struct run r;
    run_open(&r);
    assert_int_equal(parse(&r, words), CTL_DONE);
    assert_string_equal(r.ctl.socket_path, "/x");
    assert_string_equal(ctl_flag(&r.ctl, "--name"), "ci");
    assert_string_equal(ctl_flag(&r.ctl, "--models"), "a,b");
    assert_null(ctl_flag(&r.ctl, "--team"));
    run_close(&r);
}

/* Every command has a help with an example that parses, and is on the page. */
static void test_commands_are_documented(void **state)
{
    static char page[256 * 1024];
    FILE *f = fopen("docs/gwctl.md", "r");
    if (!f)
        fail_msg("docs/gwctl.md can't be read: run the tests in the top folder");
    page[fread(page, 1, sizeof(page) - 1, f)] = '\0';
    fclose(f);
    for (size_t i = 0; i < ctl_command_count; i++) {
        const struct ctl_command *c = &ctl_commands[i];
        char words[64];
        snprintf(words, sizeof(words), "%s%s%s", c->group ? c->group : "", c->group ? " " : "",
                 c->verb);
        assert_true(strlen(c->summary) > 10 && strstr(c->example, words));
        char head[80];
        snprintf(head, sizeof(head), "`gwctl %s", words);
        if (!strstr(page, head))
            fail_msg("docs/gwctl.md doesn't have %s", head);
        for (const struct ctl_flag *flag = c->flags; flag && flag->name; flag++)
            if (!strstr(page, flag->name))
                fail_msg("docs/gwctl.md doesn't have %s", flag->name);
    }
}

static void test_formats(void **state)
{
    static const char text[] =
        "{\"n\":1536,\"big\":734003200,\"us\":93784000000,\"t\":\"2026-01-31T23:59:59.123456Z\","
        "\"l\":[\"a\",\"b\"],\"e\":[],\"yes\":true,\"no\":false,\"nil\":null,\"o\":{\"in\":7},"
        "\"evil\":\"a\\u001b[31mb\\n\",\"cents\":12500,\"usd\":1500000000,\"neg\":-10000000}";
    static const struct {
        struct column c;
        const char *want;
    } rows[] = {
        {{"", "n", COLUMN_NUMBER, NULL}, "1536"},
        {{"", "n", COLUMN_BYTES, NULL}, "1.5 KiB"},
        {{"", "big", COLUMN_BYTES, NULL}, "700 MiB"},
        {{"", "us", COLUMN_DURATION, NULL}, "1d 2h"},
        {{"", "t", COLUMN_TIME, NULL}, "2026-01-31 23:59:59Z"},
        {{"", "l", COLUMN_LIST, NULL}, "a,b"},
        {{"", "e", COLUMN_LIST, "all"}, "all"},
        {{"", "yes", COLUMN_BOOL, NULL}, "yes"},
        {{"", "no", COLUMN_BOOL, NULL}, ""},
        {{"", "no", COLUMN_TEXT, NULL}, "no"},
        {{"", "nil", COLUMN_TEXT, NULL}, "-"},
        {{"", "absent", COLUMN_TEXT, "never"}, "never"},
        {{"", "o.in", COLUMN_NUMBER, NULL}, "7"},
        {{"", "evil", COLUMN_TEXT, NULL}, "a?[31mb?"},
        {{"", "cents", COLUMN_MONEY, NULL}, "$0.0000125"},
        {{"", "usd", COLUMN_MONEY, NULL}, "$1.50"},
        {{"", "neg", COLUMN_MONEY, NULL}, "-$0.01"},
    };
    struct json_doc d;
    json_doc_init(&d, 1000);
    assert_int_equal(json_parse(&d, text, sizeof(text) - 1), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b;
        buf_init(&b, 4096);
        table_format(&d, JSON_ROOT, &rows[i].c, &b);
        if (!slice_eq_str(buf_slice(&b), rows[i].want))
            fail_msg("row %zu: %.*s", i, SLICE_FMT(buf_slice(&b)));
        buf_release(&b);
    }
    json_doc_release(&d);
}

/* No figure where a price was missing looks like the whole cost. */
static void test_cost_without_a_price(void **state)
{
    static const struct {
        const char *row, *want;
    } rows[] = {
        {"{\"c\":0,\"unpriced\":0}", "$0.00"},
        {"{\"c\":0,\"unpriced\":2}", "unknown"},
        {"{\"c\":1500000000,\"unpriced\":2}", ">$1.50"},
        {"{\"c\":0,\"flags\":[\"estimated\",\"unpriced\"]}", "unknown"},
        {"{\"c\":0,\"flags\":[\"estimated\"]}", "$0.00"},
    };
    static const struct column c = {"", "c", COLUMN_MONEY, NULL};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_doc d;
        struct buf b;
        json_doc_init(&d, 100);
        buf_init(&b, 100);
        assert_int_equal(json_parse(&d, rows[i].row, strlen(rows[i].row)), 0);
        table_format(&d, JSON_ROOT, &c, &b);
        if (!slice_eq_str(buf_slice(&b), rows[i].want))
            fail_msg("row %zu: %.*s", i, SLICE_FMT(buf_slice(&b)));
        buf_release(&b);
        json_doc_release(&d);
    }
}

static const struct column two_columns[] = {{"NAME", "name", COLUMN_TEXT, NULL},
                                            {"N", "n", COLUMN_NUMBER, NULL}};

static void print_rows(struct run *r, const char *text)
{
    struct json_doc d;
    json_doc_init(&d, 1000);
    assert_int_equal(json_parse(&d, text, strlen(text)), 0);
    table_print(&r->ctl, &d, JSON_ROOT, two_columns, 2);
    fflush(r->ctl.out);
    json_doc_release(&d);
}

static void test_table_is_aligned_by_characters(void **state)
{
    struct run r;
    run_open(&r);
    print_rows(&r, "[{\"name\":\"\xc3\xa9t\xc3\xa9\",\"n\":5},{\"name\":\"longer\",\"n\":1234}]");
    assert_string_equal(r.out, "NAME       N\n"
                               "\xc3\xa9t\xc3\xa9        5\n"
                               "longer  1234\n");
    run_close(&r);
}

static void test_csv_is_quoted(void **state)
{
    struct run r;
    run_open(&r);
    r.ctl.format = CTL_CSV;
    print_rows(&r, "[{\"name\":\"a,\\\"b\\\"\",\"n\":null},{\"name\":\"c\",\"n\":2}]");
    assert_string_equal(r.out, "name,n\r\n\"a,\"\"b\"\"\",\r\nc,2\r\n");
    run_close(&r);
}

static void test_escaping(void **state)
{
    struct buf b;
    buf_init(&b, 256);
    ctl_put_escaped(&b, "a b/\xc3\xa9?&=%~");
    assert_true(slice_eq_str(buf_slice(&b), "a%20b%2F%C3%A9%3F%26%3D%25~"));
    buf_release(&b);
}

static void test_no_daemon_says_so(void **state)
{
    static const char *const words[] = {"--socket", "/nonexistent/admin.sock", "status", NULL};
    struct run r;
    run_open(&r);
    assert_int_equal(parse(&r, words), CTL_DONE);
    assert_int_equal(r.ctl.command->run(&r.ctl), CTL_DOWN);
    ctl_disconnect(&r.ctl);
    fflush(r.ctl.err);
    assert_non_null(strstr(r.err, "not running"));
    assert_non_null(strstr(r.err, "/nonexistent/admin.sock"));
    run_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_flags_and_places),
        cmocka_unit_test(test_commands_are_documented),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_cost_without_a_price),
        cmocka_unit_test(test_table_is_aligned_by_characters),
        cmocka_unit_test(test_csv_is_quoted),
        cmocka_unit_test(test_escaping),
        cmocka_unit_test(test_no_daemon_says_so),
    };
    return cmocka_run_group_tests_name("gwctl", tests, NULL, NULL);
}
