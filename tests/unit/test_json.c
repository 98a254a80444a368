/*
 * test_json.c: what the reader accepts, refuses and says about it, on every scanner of this CPU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/json_scan.h"

#include <stdio.h>
#include <stdlib.h>

#define LIT(s)                                                                                     \
    {                                                                                              \
        s, sizeof(s) - 1                                                                           \
    }

static struct json_doc doc;

/* Scans a copy that ends where its memory ends, so that a sanitizer sees any byte read behind it.
 */
static enum json_error scan_with(const struct json_scanner *scanner, struct slice text, size_t *at)
{
    char *exact = malloc(text.n ? text.n : 1);
    assert_non_null(exact);
    memcpy(exact, text.p, text.n);
    doc.text = exact;
    doc.n = 0;
    enum json_error err = scanner->scan(&doc, text.n, at);
    doc.text = text.p;
    free(exact);
    return err;
}

/* What an implementation must accept (RFC 8259), and what it may, where we do. */
static const struct slice accepted[] = {
    LIT("{}"),
    LIT("[]"),
    LIT("\"\""),
    LIT("0"),
    LIT("-0"),
    LIT("true"),
    LIT("false"),
    LIT("null"),
    LIT(" \t\r\n1 \t\r\n"),
    LIT("[ ]"),
    LIT("{ }"),
    LIT("[[],[[]],{}]"),
    LIT("{\"\":0}"),
    LIT("{\"a\":1,\"a\":2}"),
    LIT("[1,2 , 3]"),
    LIT("{\"a\" : [ { } ] }"),
    LIT("\"\\u0000\""),
    LIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    LIT("\"\\uD834\\uDD1E\""),
    LIT("\"\\uaBcD\""),
    LIT("123.456e78"),
    LIT("1E+2"),
    LIT("1e-2"),
    LIT("0e1"),
    LIT("0.0"),
    LIT("-1.5"),
    LIT("1e400"),
    LIT("123456789012345678901234567890"),
    LIT("\"\xc2\x80\xdf\xbf\""),
    LIT("\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""),
    LIT("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
    LIT("\"\x7f\""),
    LIT("\"\xe2\x80\xa8\""),
    /* lone surrogates, as escapes */
    LIT("\"\\ud800\""),
    LIT("\"\\udc00\\ud800\""),
    LIT("[\"\\uD800\\n\"]"),
};

static void test_accepts(void **state)
{
    for (const struct json_scanner *s = json_scanners(); s->name; s++)
        for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
            size_t at;
            enum json_error err = scan_with(s, accepted[i], &at);
            if (err)
                fail_msg("%s: %.*s: %s at %zu", s->name, SLICE_FMT(accepted[i]),
                         json_error_text(err), at);
        }
}

static const struct {
    struct slice text;
    enum json_error err;
    size_t at;
} refused[] = {
    {LIT(""), JSON_ERR_END, 0},
    {LIT(" "), JSON_ERR_END, 1},
    {LIT("["), JSON_ERR_END, 1},
    {LIT("{"), JSON_ERR_END, 1},
    {LIT("{\"a\""), JSON_ERR_END, 4},
    {LIT("{\"a\":"), JSON_ERR_END, 5},
    {LIT("[1"), JSON_ERR_END, 2},
    {LIT("[1,"), JSON_ERR_END, 3},
    {LIT("\""), JSON_ERR_END, 1},
    {LIT("\"abc"), JSON_ERR_END, 4},
    {LIT("-"), JSON_ERR_END, 1},
    {LIT("1."), JSON_ERR_END, 2},
    {LIT("1e"), JSON_ERR_END, 2},
    {LIT("[1,]"), JSON_ERR_VALUE, 3},
    {LIT("[,1]"), JSON_ERR_VALUE, 1},
    {LIT("[1,,2]"), JSON_ERR_VALUE, 3},
    {LIT("]"), JSON_ERR_VALUE, 0},
    {LIT("{\"a\":}"), JSON_ERR_VALUE, 5},
    {LIT("+1"), JSON_ERR_VALUE, 0},
    {LIT(".5"), JSON_ERR_VALUE, 0},
    {LIT("NaN"), JSON_ERR_VALUE, 0},
    {LIT("'a'"), JSON_ERR_VALUE, 0},
    {LIT("/**/1"), JSON_ERR_VALUE, 0},
    {LIT("\x01"), JSON_ERR_VALUE, 0},
    {LIT("\xc2\xa0"), JSON_ERR_VALUE, 0},
    {LIT("[\v1]"), JSON_ERR_VALUE, 1},
    {LIT("{1:2}"), JSON_ERR_KEY, 1},
    {LIT("{a:2}"), JSON_ERR_KEY, 1},
    {LIT("{\"a\":1,}"), JSON_ERR_KEY, 7},
    {LIT("{,}"), JSON_ERR_KEY, 1},
    {LIT("{]"), JSON_ERR_KEY, 1},
    {LIT("{\"a\" 1}"), JSON_ERR_COLON, 5},
    {LIT("{\"a\",1}"), JSON_ERR_COLON, 4},
    {LIT("{\"a\"}"), JSON_ERR_COLON, 4},
    {LIT("[1 2]"), JSON_ERR_COMMA, 3},
    {LIT("[1}"), JSON_ERR_COMMA, 2},
    {LIT("{\"a\":1]"), JSON_ERR_COMMA, 6},
    {LIT("{\"a\":1 \"b\":2}"), JSON_ERR_COMMA, 7},
    {LIT("[\"a\"x]"), JSON_ERR_COMMA, 4},
    {LIT("[1a]"), JSON_ERR_COMMA, 2},
    {LIT("[0x1]"), JSON_ERR_COMMA, 2},
    {LIT("[truex]"), JSON_ERR_COMMA, 5},
    {LIT("01"), JSON_ERR_NUMBER, 2},
    {LIT("[-]"), JSON_ERR_NUMBER, 2},
    {LIT("[-01]"), JSON_ERR_NUMBER, 4},
    {LIT("[1.]"), JSON_ERR_NUMBER, 3},
    {LIT("[1.e1]"), JSON_ERR_NUMBER, 3},
    {LIT("[1e+]"), JSON_ERR_NUMBER, 4},
    {LIT("[1ea]"), JSON_ERR_NUMBER, 3},
    {LIT("[-Infinity]"), JSON_ERR_NUMBER, 2},
    {LIT("[True]"), JSON_ERR_VALUE, 1},
    {LIT("[tru]"), JSON_ERR_LITERAL, 1},
    {LIT("nul"), JSON_ERR_LITERAL, 0},
    {LIT("[fals\x00]"), JSON_ERR_LITERAL, 1},
    {LIT("\"\n\""), JSON_ERR_CONTROL, 1},
    {LIT("\"a\x00\""), JSON_ERR_CONTROL, 2},
    {LIT("[\"\x1f\"]"), JSON_ERR_CONTROL, 2},
    {LIT("\"\\x41\""), JSON_ERR_ESCAPE, 1},
    {LIT("\"\\u12G4\""), JSON_ERR_ESCAPE, 1},
    {LIT("\"\\u123\""), JSON_ERR_ESCAPE, 1},
    {LIT("\"\\"), JSON_ERR_ESCAPE, 1},
    {LIT("\"\\\xc3\xa9\""), JSON_ERR_ESCAPE, 1},
    {LIT("\"\x80\""), JSON_ERR_UTF8, 1},
    {LIT("\"\xc3\""), JSON_ERR_UTF8, 1},
    {LIT("\"\xc0\xaf\""), JSON_ERR_UTF8, 1},
    {LIT("\"\xc1\xbf\""), JSON_ERR_UTF8, 1},
    {LIT("\"\xe0\x80\xaf\""), JSON_ERR_UTF8, 1},
    {LIT("\"\xe6\x97\""), JSON_ERR_UTF8, 1},
    {LIT("\"\xed\xa0\x80\""), JSON_ERR_UTF8, 1},
    {LIT("\"\xf0\x8f\xbf\xbf\""), JSON_ERR_UTF8, 1},
    {LIT("\"\xf4\x90\x80\x80\""), JSON_ERR_UTF8, 1},
    {LIT("\"\xf5\x80\x80\x80\""), JSON_ERR_UTF8, 1},
    {LIT("\"\xf0\x9f\x98\""), JSON_ERR_UTF8, 1},
    {LIT("\"\xff\""), JSON_ERR_UTF8, 1},
    {LIT("\"\xc3\xa9\xa9\""), JSON_ERR_UTF8, 3},
    {LIT("{}{}"), JSON_ERR_TRAILING, 2},
    {LIT("1 1"), JSON_ERR_TRAILING, 2},
    {LIT("[]]"), JSON_ERR_TRAILING, 2},
    {LIT("null\x00"), JSON_ERR_TRAILING, 4},
};

static void test_refuses(void **state)
{
    for (const struct json_scanner *s = json_scanners(); s->name; s++)
        for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
            size_t at = 0;
            enum json_error err = scan_with(s, refused[i].text, &at);
            if (err != refused[i].err || at != refused[i].at)
                fail_msg("%s: case %zu %.*s: %s at %zu, not %s at %zu", s->name, i,
                         SLICE_FMT(refused[i].text), json_error_text(err), at,
                         json_error_text(refused[i].err), refused[i].at);
        }
}

static void test_refuses_byte_order_mark(void **state)
{
    assert_int_equal(json_parse(&doc, "\xef\xbb\xbf{}", 5), -1);
    assert_int_equal(doc.err, JSON_ERR_BOM);
    assert_int_equal(doc.n, 0);
}

/* A bad or good sequence at every distance from the string's beginning and from the text's end, so
 * that it meets every place in a block. */
static void test_every_alignment(void **state)
{
    static const struct {
        struct slice bytes;
        enum json_error err;
    } cases[] = {
        {LIT("\xf0\x9f\x98\x80"), JSON_ERR_OK},
        {LIT("\xe6\xa8\xa1\xe5\x9e\x8b"), JSON_ERR_OK},
        {LIT("\\\""), JSON_ERR_OK},
        {LIT("\\\\\\\\"), JSON_ERR_OK},
        {LIT("\\ud83d\\ude00"), JSON_ERR_OK},
        {LIT("\xf0\x9f\x98"), JSON_ERR_UTF8},
        {LIT("\xe6\xa8"), JSON_ERR_UTF8},
        {LIT("\x80"), JSON_ERR_UTF8},
        {LIT("\xed\xa0\x80"), JSON_ERR_UTF8},
        {LIT("\\x"), JSON_ERR_ESCAPE},
        {LIT("\\u12g4"), JSON_ERR_ESCAPE},
        {LIT("\t"), JSON_ERR_CONTROL},
    };
    for (const struct json_scanner *s = json_scanners(); s->name; s++)
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
            for (size_t before = 0; before < 70; before++)
                for (size_t after = 0; after < 40; after += before % 3 + 1) {
                    char text[160];
                    size_t at, n = 0;
                    text[n++] = '"';
                    memset(text + n, 'a', before);
                    n += before;
                    memcpy(text + n, cases[i].bytes.p, cases[i].bytes.n);
                    n += cases[i].bytes.n;
                    memset(text + n, 'b', after);
                    n += after;
                    text[n++] = '"';
                    enum json_error err = scan_with(s, slice_of(text, n), &at);
                    if (err != cases[i].err || (err && at != before + 1))
                        fail_msg("%s: case %zu, %zu before, %zu behind: %s at %zu", s->name, i,
                                 before, after, json_error_text(err), at);
                }
}

static void test_depth(void **state)
{
    char text[2 * JSON_MAX_DEPTH + 2];
    memset(text, '[', JSON_MAX_DEPTH + 1);
    memset(text + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
    assert_int_equal(json_parse(&doc, text + 1, 2 * JSON_MAX_DEPTH), 0);
    assert_int_equal(json_parse(&doc, text, sizeof text), -1);
    assert_int_equal(doc.err, JSON_ERR_DEPTH);
    assert_int_equal(doc.err_off, JSON_MAX_DEPTH);
}

static void test_token_limit(void **state)
{
    struct json_doc small;
    json_doc_init(&small, 3);
    assert_int_equal(json_parse(&small, "[1,2]", 5), 0);
    assert_int_equal(json_parse(&small, "[1,2,3]", 7), -1);
    assert_int_equal(small.err, JSON_ERR_TOKENS);
    assert_int_equal(small.n, 0);
    json_doc_trim(&small, 2);
    assert_int_equal(small.cap, 0);
    assert_int_equal(json_parse(&small, "[1,2]", 5), 0);
    json_doc_release(&small);
}

static void parse(const char *text)
{
    assert_int_equal(json_parse(&doc, text, strlen(text)), 0);
}

static void test_tape(void **state)
{
    parse("{\"a\": [1, {\"b\": null}], \"c\": \"x\"}");
    uint32_t a = json_get_lit(&doc, JSON_ROOT, "a");
    assert_int_equal(json_count(&doc, JSON_ROOT), 2);
    assert_int_equal(json_count(&doc, a), 2);
    assert_true(slice_eq_str(json_raw(&doc, a), "[1, {\"b\": null}]"));
    assert_true(slice_eq_str(json_raw(&doc, json_get_lit(&doc, JSON_ROOT, "c")), "\"x\""));
    assert_true(json_is_null(&doc, json_get_lit(&doc, a + 2, "b")));
    assert_int_equal(doc.toks[a].next, a + 5);
    unsigned elements = 0;
    json_foreach_element(&doc, a, e)
    {
        elements++;
    }
    assert_int_equal(elements, 2);
}

static void test_absent_is_harmless(void **state)
{
    int64_t n;
    bool b;
    struct slice s;
    parse("[1]");
    uint32_t none = json_get_lit(&doc, json_get_lit(&doc, JSON_ROOT, "x"), "y");
    assert_int_equal(none, JSON_NONE);
    assert_int_equal(json_type(&doc, none), JSON_ABSENT);
    assert_int_equal(json_count(&doc, none), 0);
    assert_int_equal(json_i64(&doc, none, &n), -1);
    assert_int_equal(json_bool(&doc, none, &b), -1);
    assert_false(json_str_plain(&doc, none, &s));
    assert_false(json_str_eq_lit(&doc, none, ""));
    assert_null(json_raw(&doc, none).p);
    json_foreach_member(&doc, none, k)
    {
        fail();
    }
    json_foreach_element(&doc, none, e)
    {
        fail();
    }
}

static void test_parse_once(void **state)
{
    char text[] = "[1,2]";
    assert_int_equal(json_parse_once(&doc, text, 5), 0);
    assert_int_equal(doc.n, 3);
    doc.toks[1].info |= JSON_TOK_ESCAPED; /* a mark that another parse would wipe out */
    assert_int_equal(json_parse_once(&doc, text, 5), 0);
    assert_true(doc.toks[1].info & JSON_TOK_ESCAPED);
    assert_int_equal(json_parse_once(&doc, text, 4), -1);
    assert_int_equal(json_parse_once(&doc, text, 4), -1);
    assert_int_equal(json_parse_once(&doc, text, 5), 0);
    assert_false(doc.toks[1].info & JSON_TOK_ESCAPED);
    assert_int_equal(json_parse_once(&doc, text + 1, 1), 0);
    assert_int_equal(doc.n, 1);
    json_doc_trim(&doc, 0);
    assert_int_equal(json_parse_once(&doc, text + 1, 1), 0);
    assert_int_equal(doc.n, 1);
}

static void test_decoded_names(void **state)
{
    bool more;
    parse("{\"mod\\u0065l\":1,\"model\":2,\"mode\":3,\"model\\u0000\":4}");
    uint32_t v = json_get_unique(&doc, JSON_ROOT, SLICE_LIT("model"), &more);
    assert_true(more);
    assert_true(slice_eq_str(json_raw(&doc, v), "1"));
    v = json_get_unique(&doc, JSON_ROOT, SLICE_LIT("model\0"), &more);
    assert_false(more);
    assert_true(slice_eq_str(json_raw(&doc, v), "4"));
}

static void test_decode(void **state)
{
    static const struct {
        const char *json;
        struct slice decoded; /* p NULL: can't be */
    } cases[] = {
        {"\"\"", LIT("")},
        {"\"abc\"", LIT("abc")},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", LIT("\"\\/\b\f\n\r\t")},
        {"\"a\\u0000b\"", LIT("a\0b")},
        {"\"\\u00e9\\u20AC\"", LIT("\xc3\xa9\xe2\x82\xac")},
        {"\"\\ud83d\\ude00!\"", LIT("\xf0\x9f\x98\x80!")},
        {"\"\\ud83d\"", {NULL, 0}},
        {"\"\\ud83dx\"", {NULL, 0}},
        {"\"\\ude00\\ud83d\"", {NULL, 0}},
        {"\"\\ud83d\\u0041\"", {NULL, 0}},
        {"12", {NULL, 0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[16];
        size_t n;
        struct slice want = cases[i].decoded, got;
        parse(cases[i].json);
        int rc = json_str_decode(&doc, JSON_ROOT, out, sizeof out, &n);
        assert_int_equal(rc, want.p ? 0 : -1);
        assert_int_equal(json_str(&doc, JSON_ROOT, out, sizeof out, &got), rc);
        if (!want.p)
            continue;
        assert_true(slice_eq(got, want));
        assert_int_equal(n, want.n);
        assert_int_equal(json_str_bytes(&doc, JSON_ROOT), n);
        assert_true(json_str_eq(&doc, JSON_ROOT, want));
        assert_false(json_str_eq(&doc, JSON_ROOT, slice_of(want.p, want.n + 1)));
        if (n) {
            assert_int_equal(json_str_decode(&doc, JSON_ROOT, out, n - 1, &n), -1);
            assert_false(json_str_eq(&doc, JSON_ROOT, slice_of(want.p, want.n - 1)));
        }
    }
}

static void test_integers(void **state)
{
    static const struct {
        const char *json;
        bool fits;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"7", true, 7},
        {"-7", true, -7},
        {"1.0", true, 1},
        {"1e3", true, 1000},
        {"1.5e1", true, 15},
        {"1000e-3", true, 1},
        {"0e999999999999", true, 0},
        {"0.000e5", true, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"18446744073709551616", false, 0},
        {"1.5", false, 0},
        {"1e-1", false, 0},
        {"1e19", false, 0},
        {"1e400", false, 0},
        {"1e-400", false, 0},
        {"1e999999999999999999999", false, 0},
        {"0.1", false, 0},
        {"\"7\"", false, 0},
        {"null", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t v;
        parse(cases[i].json);
        if (json_i64(&doc, JSON_ROOT, &v) != (cases[i].fits ? 0 : -1))
            fail_msg("%s", cases[i].json);
        if (cases[i].fits)
            assert_int_equal(v, cases[i].value);
    }
}

static uint64_t seed = 1;

static unsigned pick(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

/* Texts of random fragments, right and wrong: all scanners must say the same. */
static void test_scanners_agree(void **state)
{
    static const char *const parts[] = {"{",
                                        "}",
                                        "[",
                                        "]",
                                        ",",
                                        ":",
                                        "\"",
                                        "\\",
                                        "\"a\"",
                                        "\"abc\xc3\xa9\"",
                                        "1",
                                        "-1.5e3",
                                        "true",
                                        "null",
                                        " ",
                                        "\n",
                                        "\\n",
                                        "\\u12aF",
                                        "\xe6\xa8\xa1",
                                        "\xf0\x9f\x98\x80",
                                        "\xc3",
                                        "\x80",
                                        "\x01",
                                        "\xed\xa0\x80",
                                        "{\"k\":",
                                        "[1,",
                                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    static const char *const inside[] = {"\xe6\xa8\xa1",     "aaaaaaaaaaaaa", "\\n",
                                         "\xf0\x9f\x98\x80", "\xc3\xa9",      "b"};
    struct json_tok first[64];
    for (int round = 0; round < 100000; round++) {
        char text[1024];
        size_t n = 0;
        bool quoted = pick(2);
        if (quoted)
            text[n++] = '"';
        for (unsigned left = pick(14); left > 0; left--) {
            const char *part =
                quoted && pick(4) ? inside[pick(ARRAY_LEN(inside))] : parts[pick(ARRAY_LEN(parts))];
            memcpy(text + n, part, strlen(part));
            n += strlen(part);
        }
        if (quoted)
            text[n++] = '"';
        enum json_error want = JSON_ERR_OK;
        size_t want_at = 0;
        for (const struct json_scanner *s = json_scanners(); s->name; s++) {
            size_t at = 0;
            enum json_error err = scan_with(s, slice_of(text, n), &at);
            if (s == json_scanners()) {
                want = err;
                want_at = at;
                memcpy(first, doc.toks, doc.n * sizeof *first);
            } else if (err != want || at != want_at ||
                       memcmp(first, doc.toks, doc.n * sizeof *first) != 0) {
                fail_msg("%s differs on %.*s", s->name, (int)n, text);
            }
        }
    }
}

static int setup(void **state)
{
    json_doc_init(&doc, 1 << 16);
    return 0;
}

static int teardown(void **state)
{
    json_doc_release(&doc);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_refuses_byte_order_mark),
        cmocka_unit_test(test_every_alignment),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_token_limit),
        cmocka_unit_test(test_tape),
        cmocka_unit_test(test_absent_is_harmless),
        cmocka_unit_test(test_parse_once),
        cmocka_unit_test(test_decoded_names),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_scanners_agree),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
