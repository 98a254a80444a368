/*
 * test_openai_request.c: what is read of a request, what is refused, and what goes upstream.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/dialect/dialect.h"
#include "gatewayd/dialect/edit.h"

#include <stdio.h>

static const struct dialect *const openai = &dialect_openai;
static struct json_doc doc;
static struct dialect_request req;
static struct dialect_refusal why;

static int read_request(enum dialect_op op, const char *body)
{
    return openai->read_request(&doc, slice_str(body), op, slice_of(NULL, 0), &req, &why);
}

static void test_reads_chat(void **state)
{
    assert_int_equal(
        read_request(DIALECT_CHAT,
                     "{\"mod\\u0065l\":\"gpt\\u002d4o\",\"stream\":true,\"stream_options\":"
                     "{\"include_usage\":true},\"max_tokens\":5,\"max_completion_tokens\":7,"
                     "\"n\":2,\"user\":\"a\\u0000b\",\"messages\":[{\"role\":\"user\",\"content\":"
                     "[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"image_url\",\"image_url\":"
                     "{\"url\":\"data:aaaaaaaaaaaaaaaaaaaaaaaaa\"}}]},{\"role\":\"user\"}],"
                     "\"tools\":[{\"type\":\"function\"}],\"unknown\":{\"model\":1}}"),
        0);
    assert_true(slice_eq_str(dialect_name_slice(&req.model), "gpt-4o"));
    assert_true(slice_eq(dialect_name_slice(&req.user), SLICE_LIT("a\0b")));
    assert_true(req.stream && req.include_usage && !req.hosted_tools);
    assert_int_equal(req.max_output_tokens, 7);
    assert_int_equal(req.n, 2);
    assert_int_equal(req.best_of, -1);
    assert_int_equal(req.messages, 2);
    assert_int_equal(req.tools, 1);
    assert_int_equal(req.images, 1);
    /* messages less the image part, and tools */
    size_t messages = strlen("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},"
                             "]},{\"role\":\"user\"}]");
    assert_int_equal(req.prompt_bytes, messages + strlen("[{\"type\":\"function\"}]"));
}

/* A part that could be read as text as well stays in the bound. */
static void test_part_of_two_types_counts_in_full(void **state)
{
    static const char part[] = "{\"type\":\"image_url\",\"type\":\"text\",\"text\":\"long\"}";
    char body[256];
    snprintf(body, sizeof body, "{\"model\":\"m\",\"messages\":[{\"content\":[%s]}]}", part);
    assert_int_equal(read_request(DIALECT_CHAT, body), 0);
    assert_true(req.prompt_bytes > sizeof part);
    assert_int_equal(req.images, 1);
}

static void test_reads_others(void **state)
{
    assert_int_equal(read_request(DIALECT_COMPLETIONS,
                                  "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"best_of\":3}"),
                     0);
    assert_int_equal(req.prompts, 2);
    assert_int_equal(req.best_of, 3);
    assert_int_equal(req.prompt_bytes, strlen("[\"a\",\"b\"]"));
    assert_int_equal(read_request(DIALECT_EMBEDDINGS, "{\"model\":\"m\",\"input\":[1,2,3]}"), 0);
    assert_int_equal(req.prompts, 1);
    assert_int_equal(read_request(DIALECT_CHAT,
                                  "{\"model\":\"m\",\"messages\":[],\"stream\":null,\"n\":null,"
                                  "\"max_tokens\":null,\"user\":null,\"stream_options\":null,"
                                  "\"tools\":null}"),
                     0);
    assert_false(req.stream);
    assert_int_equal(req.n, -1);
    assert_int_equal(read_request(DIALECT_CHAT,
                                  "{\"model\":\"m\",\"messages\":[],\"tools\":[{\"type\":"
                                  "\"web_search\"}]}"),
                     0);
    assert_true(req.hosted_tools);
}

static void test_refuses(void **state)
{
    static const struct {
        enum dialect_op op;
        const char *body, *param, *code;
    } cases[] = {
        {DIALECT_CHAT, "", "", "invalid_json"},
        {DIALECT_CHAT, "{", "", "invalid_json"},
        {DIALECT_CHAT, "[]", "", "invalid_json"},
        {DIALECT_CHAT, "{}", "messages", "missing_required_parameter"},
        {DIALECT_CHAT, "{\"messages\":[]}", "model", "missing_required_parameter"},
        {DIALECT_CHAT, "{\"model\":\"m\"}", "messages", "missing_required_parameter"},
        {DIALECT_COMPLETIONS, "{\"model\":\"m\"}", "prompt", "missing_required_parameter"},
        {DIALECT_EMBEDDINGS, "{\"model\":\"m\"}", "input", "missing_required_parameter"},
        {DIALECT_CHAT, "{\"model\":1}", "model", "invalid_type"},
        {DIALECT_CHAT, "{\"model\":null}", "model", "invalid_type"},
        {DIALECT_CHAT, "{\"model\":\"\"}", "model", "invalid_value"},
        {DIALECT_CHAT, "{\"model\":\"\\ud800\"}", "model", "invalid_value"},
        {DIALECT_CHAT, "{\"model\":\"a\",\"model\":\"b\"}", "model", "duplicate_member"},
        {DIALECT_CHAT, "{\"model\":\"a\",\"mod\\u0065l\":\"a\"}", "model", "duplicate_member"},
        {DIALECT_CHAT, "{\"stream\":true,\"stream\":false}", "stream", "duplicate_member"},
        {DIALECT_CHAT, "{\"stream\":\"true\"}", "stream", "invalid_type"},
        {DIALECT_CHAT, "{\"stream_options\":[]}", "stream_options", "invalid_type"},
        {DIALECT_CHAT, "{\"stream_options\":{\"include_usage\":1}}", "stream_options.include_usage",
         "invalid_type"},
        {DIALECT_CHAT, "{\"stream_options\":{\"include_usage\":true,\"include_usage\":false}}",
         "stream_options.include_usage", "duplicate_member"},
        {DIALECT_CHAT, "{\"max_tokens\":-1}", "max_tokens", "invalid_value"},
        {DIALECT_CHAT, "{\"max_tokens\":1.5}", "max_tokens", "invalid_value"},
        {DIALECT_CHAT, "{\"max_tokens\":9223372036854775808}", "max_tokens", "invalid_value"},
        {DIALECT_CHAT, "{\"max_tokens\":\"5\"}", "max_tokens", "invalid_type"},
        {DIALECT_CHAT, "{\"n\":0}", "n", "invalid_value"},
        {DIALECT_CHAT, "{\"user\":7}", "user", "invalid_type"},
        {DIALECT_CHAT, "{\"messages\":\"hi\"}", "messages", "invalid_type"},
        {DIALECT_CHAT, "{\"messages\":[\"hi\"]}", "messages[0]", "invalid_type"},
        {DIALECT_CHAT, "{\"tools\":{}}", "tools", "invalid_type"},
        {DIALECT_COMPLETIONS, "{\"prompt\":1}", "prompt", "invalid_type"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(read_request(cases[i].op, cases[i].body), -1);
        assert_string_equal(why.param, cases[i].param);
        assert_string_equal(why.code, cases[i].code);
        assert_true(why.message[0]);
    }
    read_request(DIALECT_CHAT, "{\"model\":\"\xff\"}");
    assert_string_equal(why.message,
                        "The request body is not valid JSON: invalid UTF-8 at byte 10.");
}

static void expect_spliced(const struct splices *l, const char *body, const char *want)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    assert_int_equal(splices_append(l, slice_str(body), &b), 0);
    assert_int_equal(splices_length(l, strlen(body)), b.len);
    if (!slice_eq_str(buf_slice(&b), want))
        fail_msg("%.*s\nnot %s", (int)b.len, b.data, want);
    buf_release(&b);
}

static void test_rewrites(void **state)
{
    static const struct {
        const char *body, *model;
        bool usage, injected;
        const char *want;
    } cases[] = {
        {"{ \"messages\" :[], \"model\" : \"a\" }", "b\"", false, false,
         "{ \"messages\" :[], \"model\" : \"b\\\"\" }"},
        {"{\"model\":\"\\u0061\",\"messages\":[]}", "a", false, false,
         "{\"model\":\"\\u0061\",\"messages\":[]}"},
        {"{\"messages\":[]}", "up", false, false, "{\"model\":\"up\",\"messages\":[]}"},
        {"{\"messages\":[],\"stream\":true}", "up", true, true,
         "{\"model\":\"up\",\"stream_options\":{\"include_usage\":true},\"messages\":[],"
         "\"stream\":true}"},
        {"{\"model\":\"a\",\"messages\":[]}", "a", true, false,
         "{\"model\":\"a\",\"messages\":[]}"},
        {"{\"model\":\"a\",\"messages\":[],\"stream\":true}", "a", true, true,
         "{\"stream_options\":{\"include_usage\":true},\"model\":\"a\",\"messages\":[],"
         "\"stream\":true}"},
        {"{\"model\":\"a\",\"messages\":[],\"stream\":true,\"stream_options\":null}", "b", true,
         true,
         "{\"model\":\"b\",\"messages\":[],\"stream\":true,\"stream_options\":"
         "{\"include_usage\":true}}"},
        {"{\"stream_options\":{ },\"model\":\"a\",\"messages\":[],\"stream\":true}", "b", true,
         true,
         "{\"stream_options\":{\"include_usage\":true},\"model\":\"b\",\"messages\":[],"
         "\"stream\":true}"},
        {"{\"stream_options\":{ \"x\":1},\"model\":\"a\",\"messages\":[],\"stream\":true}", "b",
         true, true,
         "{\"stream_options\":{\"include_usage\":true, \"x\":1},\"model\":\"b\",\"messages\":[],"
         "\"stream\":true}"},
        {"{\"stream_options\":{\"include_usage\":false},\"model\":\"a\",\"messages\":[],"
         "\"stream\":true}",
         "a", true, true,
         "{\"stream_options\":{\"include_usage\":true},\"model\":\"a\",\"messages\":[],"
         "\"stream\":true}"},
        {"{\"stream_options\":{\"include_usage\":true},\"model\":\"a\",\"messages\":[],"
         "\"stream\":true}",
         "a", true, false,
         "{\"stream_options\":{\"include_usage\":true},\"model\":\"a\",\"messages\":[],"
         "\"stream\":true}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct splices l;
        bool injected;
        struct dialect_rewrite how = {slice_str(cases[i].model), cases[i].usage};
        assert_int_equal(openai->read_request(&doc, slice_str(cases[i].body), DIALECT_CHAT,
                                              SLICE_LIT("default"), &req, &why),
                         0);
        assert_int_equal(openai->rewrite_request(&req, &how, &l, &injected), 0);
        assert_int_equal(injected, cases[i].injected);
        expect_spliced(&l, cases[i].body, cases[i].want);
    }
}

#define SET(path, json)                                                                            \
    {                                                                                              \
        EDIT_SET, {path, sizeof(path) - 1},                                                        \
        {                                                                                          \
            json, sizeof(json) - 1                                                                 \
        }                                                                                          \
    }
#define DEFAULT(path, json)                                                                        \
    {                                                                                              \
        EDIT_DEFAULT, {path, sizeof(path) - 1},                                                    \
        {                                                                                          \
            json, sizeof(json) - 1                                                                 \
        }                                                                                          \
    }
#define DROP(path)                                                                                 \
    {                                                                                              \
        EDIT_DROP, {path, sizeof(path) - 1},                                                       \
        {                                                                                          \
            NULL, 0                                                                                \
        }                                                                                          \
    }

static void test_edits(void **state)
{
    static const struct {
        struct edit edits[4];
        const char *body, *want;
    } cases[] = {
        {{SET("a", "1")}, "{}", "{\"a\":1}"},
        {{SET("a", "1")}, "{ \"b\":2}", "{\"a\":1, \"b\":2}"},
        {{SET("a", "1")}, "{\"b\":2,\"a\":{}}", "{\"b\":2,\"a\":1}"},
        {{SET("a", "1")}, "{\"a\":2,\"\\u0061\":3,\"b\":4}", "{\"a\":1,\"b\":4}"},
        {{DEFAULT("a", "1")}, "{\"a\":null}", "{\"a\":null}"},
        {{DEFAULT("a", "1"), DEFAULT("b", "2")}, "{}", "{\"a\":1,\"b\":2}"},
        {{DROP("a")}, "{\"a\":1}", "{}"},
        {{DROP("a")}, "{\"a\":1, \"b\":2}", "{\"b\":2}"},
        {{DROP("a")}, "{\"b\":2, \"a\":1}", "{\"b\":2}"},
        {{DROP("a")}, "{\"b\":2, \"a\":1, \"c\":3}", "{\"b\":2, \"c\":3}"},
        {{DROP("a"), DROP("b")}, "{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":3}"},
        {{DROP("a"), DROP("b")}, "{\"c\":3,\"a\":1,\"b\":2}", "{\"c\":3}"},
        {{DROP("a"), DROP("b")}, "{\"a\":1,\"c\":3,\"b\":2}", "{\"c\":3}"},
        {{DROP("a"), DROP("b")}, "{\"b\":1,\"a\":3,\"b\":2}", "{}"},
        {{DROP("a"), SET("b", "1")}, "{\"a\":1}", "{\"b\":1}"},
        {{DROP("a"), SET("b", "1")}, "{\"a\":1,\"c\":2}", "{\"b\":1,\"c\":2}"},
        {{SET("m.s", "\"x\""), SET("m.t", "2")},
         "{\"z\":0}",
         "{\"m\":{\"s\":\"x\",\"t\":2},\"z\":0}"},
        {{SET("m.s", "\"x\""), DROP("m.t")}, "{\"m\":{\"t\":1}}", "{\"m\":{\"s\":\"x\"}}"},
        {{SET("m.s", "1"), DEFAULT("m.t", "2")}, "{\"m\":7}", "{\"m\":{\"s\":1}}"},
        {{DEFAULT("m.s", "1")}, "{\"m\":7}", "{\"m\":7}"},
        {{DEFAULT("m.s", "1"), DROP("m.t")}, "{}", "{\"m\":{\"s\":1}}"},
        {{DROP("m.t.u")}, "{\"m\":{\"t\":{\"u\":1,\"v\":2}}}", "{\"m\":{\"t\":{\"v\":2}}}"},
        {{DROP("m.t.u")}, "{\"m\":[]}", "{\"m\":[]}"},
        {{SET("b", "1"), SET("a", "0")}, "{\"c\":2}", "{\"a\":0,\"b\":1,\"c\":2}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct edit edits[4];
        struct splices l;
        struct errbuf e;
        size_t n = 0;
        memcpy(edits, cases[i].edits, sizeof edits);
        while (n < ARRAY_LEN(edits) && edits[n].path.p)
            n++;
        assert_int_equal(edits_prepare(edits, n, &e), 0);
        assert_int_equal(json_parse(&doc, cases[i].body, strlen(cases[i].body)), 0);
        assert_int_equal(edits_apply(edits, n, &doc, &l), 0);
        expect_spliced(&l, cases[i].body, cases[i].want);
    }
}

static void test_edits_that_are_refused(void **state)
{
    static const struct {
        struct edit edits[2];
        const char *word;
    } cases[] = {
        {{SET("", "1")}, "empty"},
        {{SET("a..b", "1")}, "visible ASCII"},
        {{SET("a.\"", "1")}, "visible ASCII"},
        {{SET("a.b.c.d.e.f.g.h.i", "1")}, "parts"},
        {{SET("model", "1")}, "gateway"},
        {{DROP("stream_options.include_usage")}, "gateway"},
        {{SET("a", "x")}, "not JSON"},
        {{SET("a", "1"), DROP("a")}, "same member"},
        {{SET("a.b", "1"), DROP("a")}, "same member"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct edit edits[2];
        struct errbuf e;
        memcpy(edits, cases[i].edits, sizeof edits);
        assert_int_equal(edits_prepare(edits, edits[1].path.p ? 2 : 1, &e), -1);
        assert_non_null(strstr(e.msg, cases[i].word));
    }
}

static void test_edit_values(void **state)
{
    static const struct {
        const char *value, *json;
    } cases[] = {
        {"true", "true"},           {"0.7", "0.7"},   {"null", "null"}, {"gateway", "\"gateway\""},
        {"\"q\"", "\"\\\"q\\\"\""}, {"[]", "\"[]\""}, {"", "\"\""},     {"1 2", "\"1 2\""}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b;
        buf_init(&b, 1024);
        assert_int_equal(edit_value_json(slice_str(cases[i].value), &b), 0);
        assert_true(slice_eq_str(buf_slice(&b), cases[i].json));
        buf_release(&b);
    }
}

static void test_splices_refuse_overlap(void **state)
{
    struct splices l;
    splices_reset(&l);
    assert_int_equal(splices_add(&l, 5, 5, SLICE_LIT("x")), 0);
    assert_int_equal(splices_add(&l, 9, 1, SLICE_LIT("")), -1);
    assert_int_equal(splices_add(&l, 4, 2, SLICE_LIT("")), -1);
    assert_int_equal(splices_add(&l, 7, 0, SLICE_LIT("y")), -1);
    assert_int_equal(splices_add(&l, 10, 2, SLICE_LIT("")), 0);
    assert_int_equal(splices_add(&l, 5, 0, SLICE_LIT("a")), 0);
    assert_int_equal(splices_add(&l, 5, 0, SLICE_LIT("b")), 0);
    assert_int_equal(splices_add(&l, 0, 1, SLICE_LIT("")), 0);
    expect_spliced(&l, "0123456789abcdef", "1234abxcdef");
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
        cmocka_unit_test(test_reads_chat),
        cmocka_unit_test(test_part_of_two_types_counts_in_full),
        cmocka_unit_test(test_reads_others),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_rewrites),
        cmocka_unit_test(test_edits),
        cmocka_unit_test(test_edits_that_are_refused),
        cmocka_unit_test(test_edit_values),
        cmocka_unit_test(test_splices_refuse_overlap),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
