/*
 * test_ini.c: what the INI reader takes, what it refuses and with which words, and that nothing is
 * ever cut in silence.
 */
#include "common/buf.h"
#include "common/check.h"
#include "common/ini.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct seen {
    struct buf out; /* "S name@line\n", "E section|key|value@line[q]\n", "! line: text\n" */
};

static void on_section(void *user, struct slice section, uint32_t line)
{
    struct seen *s = user;
    assert_int_equal(buf_printf(&s->out, "S %.*s@%u\n", SLICE_FMT(section), line), 0);
}

static void on_entry(void *user, const struct ini_entry *e)
{
    struct seen *s = user;
    assert_int_equal(e->value.p[e->value.n], '\0');
    assert_int_equal(buf_printf(&s->out, "E %.*s|%.*s|%.*s@%u%s\n", SLICE_FMT(e->section),
                                SLICE_FMT(e->key), SLICE_FMT(e->value), e->line,
                                e->quoted ? "q" : ""),
                     0);
}

static void on_error(void *user, uint32_t line, const char *text)
{
    struct seen *s = user;
    assert_int_equal(buf_printf(&s->out, "! %u: %s\n", line, text), 0);
}

static const struct ini_sink sink = {on_section, on_entry, on_error};

static uint32_t read_text(struct slice text, struct seen *s)
{
    buf_init(&s->out, 64 << 20);
    uint32_t n = ini_read(text, &sink, s);
    assert_int_equal(buf_append(&s->out, "", 1), 0);
    return n;
}

static void reads(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"\xef\xbb\xbf[a]\nk=v", "S a@1\nE a|k|v@2\n"},
        {"[a]\r\nk = v\r\n", "S a@1\nE a|k|v@2\n"},
        {"k = v\n[a]\n", "E |k|v@1\nS a@2\n"},
        {"[a] ; why\n; c\n# c\n  ; c\nk = v ; c\nl = v;c\nm = ; c\nn =;c\n",
         "S a@1\nE a|k|v@5\nE a|l|v;c@6\nE a|m|@7\nE a|n|@8\n"},
        {"[a]\nk = v # no comment\n", "S a@1\nE a|k|v # no comment@2\n"},
        {"[a]\nk = 1,\n  2, ; two\n\t3\nl = 4\n", "S a@1\nE a|k|1, 2, 3@2\nE a|l|4@5\n"},
        {"[a]\nk =\n  1\n  ; c\n  2\n", "S a@1\nE a|k|1 2@2\n"},
        {"[a]\nk = \"a ; b \\\" \\\\ \\n\\t \" ; c\n", "S a@1\nE a|k|a ; b \" \\ \n\t @2q\n"},
        {"[a]\nk = \"\"\n", "S a@1\nE a|k|@2q\n"},
        {"[a]\nk = {\"x\":[1, 2]}\n", "S a@1\nE a|k|{\"x\":[1, 2]}@2\n"},
        {"[a]\nlimit.us.v1:0 = a=b:c\n", "S a@1\nE a|limit.us.v1:0|a=b:c@2\n"},
        {"[model:us.anthropic.claude-v1:0]\nk=v\n",
         "S model:us.anthropic.claude-v1:0@1\nE model:us.anthropic.claude-v1:0|k|v@2\n"},
        {"[a]\n[b]\nk=v\n[a]\nk=w\n", "S a@1\nS b@2\nE b|k|v@3\nS a@4\nE a|k|w@5\n"},
        {"[\xc3\xa9]\nk\xc3\xa9 = \xe2\x82\xac\n",
         "S \xc3\xa9@1\nE \xc3\xa9|k\xc3\xa9|\xe2\x82\xac@2\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct seen s;
        assert_int_equal(read_text(slice_str(cases[i].text), &s), 0);
        assert_string_equal(s.out.data, cases[i].want);
        buf_release(&s.out);
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *text, *want; /* a part of what is reported */
    } cases[] = {
        {"[a]\nnothing\n", "! 2: expected `key = value` or `[section]`"},
        {"[a]\nk : v\n", "! 2: expected `key = value`"},
        {"[a]\n = v\n", "! 2: an indented line goes on with the value above it"},
        {"[a]\n  k = v\n", "! 2: an indented line goes on with the value above it"},
        {"[a]\nk = v\n\n  w\n", "! 4: an indented line goes on with the value above it"},
        {"[a]\n= v\n", "! 2: there is no key before '='"},
        {"[a\nk=v\n", "! 1: a section head ends with ']'"},
        {"[]\n", "! 1: a section head is one name"},
        {"[a]b]\n", "! 1: a section head is one name"},
        {"[a] b\n", "! 1: a section head ends with ']'"},
        {"[a]\nk = \"v\n", "! 2: the quoted value has no closing quote"},
        {"[a]\nk = \"v\" w\n", "! 2: text behind the closing quote"},
        {"[a]\nk = \"v\"\n  w\n", "! 3: a quoted value stands whole on the line"},
        {"[a]\nk = \"v\"\n  ; c\n  w\n", "! 4: a quoted value stands whole on the line"},
        {"[a]\nk =\n  \"v\"\n", "! 3: a quoted value stands whole on the line of its key"},
        {"[a]\nk = \"\\x\"\n", "! 2: unknown escape"},
        {"[a]\nk = a\rb\n", "! 2: byte 6 is a control character (0x0d)"},
        {"[a]\nk = \xff\n", "! 2: byte 5 (0xff) is not UTF-8"},
        {"[a]\nk = \xed\xa0\x80\n", "! 2: byte 5 (0xed) is not UTF-8"},
        {"[a]\nk = \xc0\x80\n", "! 2: byte 5 (0xc0) is not UTF-8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct seen s;
        assert_int_not_equal(read_text(slice_str(cases[i].text), &s), 0);
        if (!strstr(s.out.data, cases[i].want))
            fail_msg("case %zu: wanted %s, got %s", i, cases[i].want, s.out.data);
        buf_release(&s.out);
    }
}

static void refuses_a_nul_byte(void **state)
{
    struct seen s;
    assert_int_equal(read_text(SLICE_LIT("[a]\nk = a\0b\n"), &s), 1);
    assert_string_equal(s.out.data, "S a@1\n! 2: byte 6 is a control character (0x00)\n");
    buf_release(&s.out);
}

static void reports_every_error(void **state)
{
    struct seen s;
    assert_int_equal(read_text(slice_str("[a]\nx\nk=v\n[b\nl=w\ny\n[c]\nm=1\n"), &s), 3);
    assert_string_equal(s.out.data, "S a@1\n! 2: expected `key = value` or `[section]`\n"
                                    "E a|k|v@3\n! 4: a section head ends with ']'\n"
                                    "! 6: expected `key = value` or `[section]`\n"
                                    "S c@7\nE c|m|1@8\n");
    buf_release(&s.out);
}

static char *repeated(const char *before, char c, size_t n, const char *after)
{
    size_t b = strlen(before), a = strlen(after);
    char *p = gw_xmalloc(b + n + a + 1);
    memcpy(p, before, b);
    memset(p + b, c, n);
    memcpy(p + b + n, after, a + 1);
    return p;
}

static void check_whole(const char *before, size_t n, const char *after)
{
    char *text = repeated(before, 'x', n, after), *want = repeated("", 'x', n, "");
    struct seen s;
    assert_int_equal(read_text(slice_str(text), &s), 0);
    assert_non_null(strstr(s.out.data, want));
    buf_release(&s.out);
    free(want);
    free(text);
}

/* inih's own limits are 49, 49 and 200: ours are far beyond, and what is beyond ours is an error.
 */
static void cuts_nothing_in_silence(void **state)
{
    static const struct {
        const char *before, *after;
        size_t limit;
        const char *error;
    } cases[] = {
        {"[", "]\nk=v\n", INI_NAME_MAX, "the section name has 321 bytes; the limit is 320"},
        {"[a]\n", "=v\n", INI_NAME_MAX, "the key has 321 bytes; the limit is 320"},
        {"[a]\nk = ", "\n", INI_VALUE_MAX, "has 65537 bytes; the limit is 65536"},
        {"[a]\nk = x\n  ", "\n", INI_VALUE_MAX - 2, "has 65537 bytes; the limit is 65536"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const size_t edges[] = {1, 48, 49, 50, 51, 196, 199, 200, 201, 319, cases[i].limit};
        for (size_t k = 0; k < ARRAY_LEN(edges); k++) {
            if (edges[k] <= cases[i].limit)
                check_whole(cases[i].before, edges[k], cases[i].after);
        }
        char *text = repeated(cases[i].before, 'x', cases[i].limit + 1, cases[i].after);
        struct seen s;
        assert_int_not_equal(read_text(slice_str(text), &s), 0);
        if (!strstr(s.out.data, cases[i].error))
            fail_msg("case %zu: %.300s", i, s.out.data);
        assert_null(strstr(s.out.data, "E "));
        buf_release(&s.out);
        free(text);
    }
}

/* Two names that are equal in their first 49 bytes stay two sections. */
static void keeps_long_names_apart(void **state)
{
    char *a = repeated("[", 'm', 60, "1]\nk=1\n"), *b = repeated("[", 'm', 60, "2]\nk=2\n");
    char *both = gw_xmalloc(strlen(a) + strlen(b) + 1);
    struct seen s;
    stpcpy(stpcpy(both, a), b);
    assert_int_equal(read_text(slice_str(both), &s), 0);
    assert_non_null(strstr(s.out.data, "m1|k|1@2\n"));
    assert_non_null(strstr(s.out.data, "m2|k|2@4\n"));
    buf_release(&s.out);
    free(a);
    free(b);
    free(both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_a_nul_byte),
        cmocka_unit_test(reports_every_error),
        cmocka_unit_test(cuts_nothing_in_silence),
        cmocka_unit_test(keeps_long_names_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
