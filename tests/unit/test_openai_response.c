/*
 * test_openai_response.c: what whole answers, streams and errors say, and what is taken out of a
 * stream again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/dialect/dialect.h"

#include <stdio.h>

static const struct dialect *const openai = &dialect_openai;
static struct json_doc doc;
static struct splices cuts;

static void test_whole_answer(void **state)
{
    struct dialect_response r;
    static const char body[] =
        "{\"id\":\"c-1\",\"model\":\"gpt\",\"choices\":[{\"message\":{\"content\":\"a\\u00e9\","
        "\"refusal\":null,\"reasoning_content\":\"xyz\",\"reasoning\":\"xyz\",\"tool_calls\":[{"
        "\"id\":\"call\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}"
        "}]},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,"
        "\"total_tokens\":13,\"prompt_tokens_details\":{\"cached_tokens\":5},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":2}}}";
    assert_int_equal(openai->read_response(&doc, slice_str(body), DIALECT_CHAT, &r), 0);
    assert_int_equal(r.usage.flags, USAGE_PRESENT);
    assert_int_equal(r.usage.input_tokens, 9);
    assert_int_equal(r.usage.cached_tokens, 5);
    assert_int_equal(r.usage.output_tokens, 4);
    assert_int_equal(r.usage.reasoning_tokens, 2);
    assert_int_equal(r.output_bytes, 3 + 3 + 1 + 2);
    assert_int_equal(r.choices, 1);
    assert_int_equal(r.fault, DIALECT_FAULT_NONE);
    assert_true(slice_eq_str(dialect_name_slice(&r.id), "c-1"));
    assert_true(slice_eq_str(dialect_name_slice(&r.model), "gpt"));
    assert_true(slice_eq_str(dialect_name_slice(&r.finish_reason), "stop"));
    assert_int_equal(openai->read_response(&doc, SLICE_LIT("<html>"), DIALECT_CHAT, &r), -1);
    assert_int_equal(
        openai->read_response(&doc, SLICE_LIT("{\"error\":{\"code\":429}}"), DIALECT_CHAT, &r), 0);
    assert_int_equal(r.fault, DIALECT_FAULT_RATE_LIMIT);
}

static void test_usage_values(void **state)
{
    static const struct {
        const char *usage;
        unsigned flags;
        int64_t input, output;
    } cases[] = {
        {"null", 0, 0, 0},
        {"{\"prompt_tokens\":8,\"total_tokens\":8}", USAGE_PRESENT, 8, 0},
        {"{\"prompt_tokens\":0,\"completion_tokens\":0}", USAGE_PRESENT | USAGE_ZERO, 0, 0},
        {"{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":9}",
         USAGE_PRESENT | USAGE_TOTAL_OFF, 1, 2},
        {"{\"prompt_tokens\":1,\"completion_tokens\":2,\"prompt_cache_hit_tokens\":1}",
         USAGE_PRESENT, 1, 2},
        {"{}", USAGE_ODD, 0, 0},
        {"[]", USAGE_ODD, 0, 0},
        {"7", USAGE_ODD, 0, 0},
        {"{\"prompt_tokens\":-1,\"completion_tokens\":2}", USAGE_ODD, 0, 0},
        {"{\"prompt_tokens\":1.5,\"completion_tokens\":2}", USAGE_ODD, 0, 0},
        {"{\"prompt_tokens\":\"1\",\"completion_tokens\":2}", USAGE_ODD, 0, 0},
        {"{\"prompt_tokens\":null,\"completion_tokens\":2}", USAGE_ODD, 0, 0},
        {"{\"prompt_tokens\":1,\"completion_tokens\":1000000001}", USAGE_ODD, 0, 0},
        {"{\"prompt_tokens\":1,\"completion_tokens\":1e300}", USAGE_ODD, 0, 0},
        {"{\"prompt_tokens\":9,\"total_tokens\":8}", USAGE_ODD, 0, 0},
        {"{\"prompt_tokens\":1,\"completion_tokens\":2,\"prompt_tokens_details\":"
         "{\"cached_tokens\":2}}",
         USAGE_ODD, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char body[256];
        struct dialect_response r;
        int n = snprintf(body, sizeof body, "{\"usage\":%s}", cases[i].usage);
        assert_int_equal(
            openai->read_response(&doc, slice_of(body, (size_t)n), DIALECT_EMBEDDINGS, &r), 0);
        if (r.usage.flags != cases[i].flags)
            fail_msg("%s: flags %x", body, r.usage.flags);
        assert_int_equal(r.usage.input_tokens, cases[i].input);
        assert_int_equal(r.usage.output_tokens, cases[i].output);
    }
}

static enum dialect_verdict feed(struct dialect_stream *s, const char *data)
{
    return openai->stream_event(s, &doc, slice_of(NULL, 0), slice_str(data), &cuts);
}

static void test_stream(void **state)
{
    struct dialect_stream s;
    openai->stream_init(&s, DIALECT_CHAT, false);
    assert_int_equal(feed(&s, "{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":"
                              "\"ab\"},\"finish_reason\":null}]}"),
                     DIALECT_PASS);
    assert_int_equal(feed(&s, "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":"
                              "{\"arguments\":\"{\\\"\"}}]}}]}"),
                     DIALECT_PASS);
    assert_int_equal(feed(&s, "not json"), DIALECT_PASS);
    assert_false(s.finished);
    assert_int_equal(feed(&s, "{\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}"),
                     DIALECT_PASS);
    assert_int_equal(feed(&s, "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,"
                              "\"completion_tokens\":2}}"),
                     DIALECT_PASS);
    assert_int_equal(feed(&s, "[DONE]"), DIALECT_PASS);
    assert_true(s.done && s.finished && !s.failed);
    assert_int_equal(s.events, 6);
    assert_int_equal(s.malformed, 1);
    assert_int_equal(s.output_bytes, 4);
    assert_int_equal(s.usage.flags, USAGE_PRESENT);
    assert_int_equal(s.usage.output_tokens, 2);
    assert_true(slice_eq_str(dialect_name_slice(&s.finish_reason), "length"));
}

static void test_stream_errors(void **state)
{
    struct dialect_stream s;
    openai->stream_init(&s, DIALECT_CHAT, true);
    assert_int_equal(feed(&s, "{\"error\":{\"message\":\"x\",\"type\":\"server_error\"},"
                              "\"usage\":{}}"),
                     DIALECT_PASS);
    assert_true(s.failed);
    assert_int_equal(s.fault, DIALECT_FAULT_SERVER);
    openai->stream_init(&s, DIALECT_CHAT, false);
    feed(&s, "{\"error\":null,\"choices\":[]}");
    assert_false(s.failed);
    openai->stream_event(&s, &doc, SLICE_LIT("error"), SLICE_LIT("{\"code\":503}"), &cuts);
    assert_true(s.failed);
    assert_int_equal(s.fault, DIALECT_FAULT_OVERLOADED);
}

static void test_usage_given_twice(void **state)
{
    static const char *const bodies[] = {
        "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2},"
        "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":900}}",
        "{\"usage\":null,\"us\\u0061ge\":{\"prompt_tokens\":3,\"completion_tokens\":2}}",
        "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"completion_tokens\":900}}",
        "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"prompt_tokens_details\":"
        "{\"cached_tokens\":1,\"cached_tokens\":2}}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct dialect_response r;
        struct dialect_stream s;
        print_message("%s\n", bodies[i]);
        assert_int_equal(openai->read_response(&doc, slice_str(bodies[i]), DIALECT_CHAT, &r), 0);
        assert_int_equal(r.usage.flags, USAGE_ODD);
        openai->stream_init(&s, DIALECT_CHAT, false);
        feed(&s, bodies[i]);
        assert_int_equal(s.usage.flags, USAGE_ODD);
    }
}

static void test_stream_usage_that_decreases(void **state)
{
    struct dialect_stream s;
    openai->stream_init(&s, DIALECT_CHAT, false);
    feed(&s, "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}");
    feed(&s, "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}");
    assert_int_equal(s.usage.output_tokens, 5);
    feed(&s, "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}");
    assert_int_equal(s.usage.flags, USAGE_ODD);
    feed(&s, "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":9}}");
    assert_int_equal(s.usage.flags, USAGE_ODD);
}

static void test_injected_usage(void **state)
{
    static const struct {
        const char *data;
        enum dialect_verdict verdict;
        const char *want;
    } cases[] = {
        {"{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}", DIALECT_DROP,
         NULL},
        {"{\"choices\":null,\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}", DIALECT_DROP,
         NULL},
        {"{\"choices\":[{}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}",
         DIALECT_REWRITE, "{\"choices\":[{}]}"},
        {"{\"choices\":[],\"prompt_filter_results\":[],\"usage\":null}", DIALECT_REWRITE,
         "{\"choices\":[],\"prompt_filter_results\":[]}"},
        {"{\"choices\":[],\"prompt_filter_results\":[]}", DIALECT_PASS, NULL},
        {"{\"usage\": null, \"choices\":[{}]}", DIALECT_REWRITE, "{\"choices\":[{}]}"},
        {"{\"choices\":[{\"usage\":1}], \"us\\u0061ge\" : null , \"x\":1}", DIALECT_REWRITE,
         "{\"choices\":[{\"usage\":1}] , \"x\":1}"},
        {"{\"usage\":null,\"usage\":null,\"choices\":[{}],\"usage\":null}", DIALECT_REWRITE,
         "{\"choices\":[{}]}"},
        {"[DONE]", DIALECT_PASS, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_stream s;
        struct buf b;
        buf_init(&b, 4096);
        openai->stream_init(&s, DIALECT_CHAT, true);
        assert_int_equal(feed(&s, cases[i].data), cases[i].verdict);
        if (cases[i].want) {
            assert_int_equal(splices_append(&cuts, slice_str(cases[i].data), &b), 0);
            if (!slice_eq_str(buf_slice(&b), cases[i].want))
                fail_msg("%.*s", (int)b.len, b.data);
        }
        buf_release(&b);
    }
}

static uint64_t seed = 7;

static unsigned pick(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

/* Chunks of random members in some style of white space; the same with a usage member at any place
 * must come out as the chunk without it. */
static void test_cut_gives_back_what_was(void **state)
{
    static const char *const members[][2] = {
        {"id", "\"c\""},
        {"choices", "[{\"usage\":null, \"delta\":{\"content\":\"\\\",\"}}]"},
        {"usag", "{}"},
        {"x", "[ 1 , {} ]"},
        {"\\u0075", "\"usage\""},
        {"\xe6\xa8\xa1", "-1e5"},
    };
    static const char *const usages[] = {"null", "{\"prompt_tokens\":1,\"completion_tokens\":2}",
                                         "{ \"a\" : [ \"}\" ] }", "0"};
    static const char *const blanks[] = {"", " ", "\n  ", "\t"};
    for (int round = 0; round < 20000; round++) {
        char with[1024], without[1024], member[256];
        size_t n = 0, m = 0;
        unsigned count = 1 + pick(5), place = pick(count + 1), kept = 0;
        const char *edge = blanks[pick(4)], *gap = blanks[pick(4)], *colon = blanks[pick(4)];
        n += (size_t)sprintf(with, "{%s", edge);
        m += (size_t)sprintf(without, "{%s", edge);
        for (unsigned i = 0; i <= count; i++) {
            if (i == place) {
                snprintf(member, sizeof member, "\"usage\"%s:%s%s", colon, colon, usages[pick(4)]);
            } else {
                /* Choices first, so that no chunk is one to drop. */
                const char *const *it = members[kept ? pick(ARRAY_LEN(members)) : 1];
                snprintf(member, sizeof member, "\"%s\"%s:%s%s", it[0], colon, colon, it[1]);
                m += (size_t)sprintf(without + m, "%s%s%s", kept ? "," : "", kept ? gap : "",
                                     member);
                kept++;
            }
            n += (size_t)sprintf(with + n, "%s%s%s", i ? "," : "", i ? gap : "", member);
        }
        n += (size_t)sprintf(with + n, "%s}", edge);
        m += (size_t)sprintf(without + m, "%s}", edge);
        struct dialect_stream s;
        struct buf b;
        buf_init(&b, 4096);
        openai->stream_init(&s, DIALECT_CHAT, true);
        assert_int_equal(feed(&s, with), DIALECT_REWRITE);
        assert_int_equal(splices_append(&cuts, slice_of(with, n), &b), 0);
        if (!slice_eq(buf_slice(&b), slice_of(without, m)))
            fail_msg("%s\nbecame %.*s\nnot    %s", with, (int)b.len, b.data, without);
        buf_release(&b);
    }
}

static void test_classifies_errors(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum dialect_fault fault;
    } cases[] = {
        {400, "{\"error\":{\"code\":\"context_length_exceeded\"}}", DIALECT_FAULT_CONTEXT_LENGTH},
        {400, "{\"error\":{\"message\":\"This model's maximum context length is 4096 tokens.\"}}",
         DIALECT_FAULT_CONTEXT_LENGTH},
        {400, "{\"object\":\"error\",\"message\":\"maximum context length\",\"code\":400}",
         DIALECT_FAULT_CONTEXT_LENGTH},
        {400, "{\"error\":{\"code\":\"content_filter\"}}", DIALECT_FAULT_CONTENT_POLICY},
        {400, "{\"error\":{\"type\":\"invalid_request_error\"}}", DIALECT_FAULT_INVALID_REQUEST},
        {401, "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"invalid_api_key\"}}",
         DIALECT_FAULT_INVALID_KEY},
        {401, "{\"error\":{\"type\":\"invalid_request_error\",\"code\":null}}",
         DIALECT_FAULT_INVALID_KEY},
        {403, "", DIALECT_FAULT_PERMISSION},
        {404, "{\"error\":{\"code\":\"model_not_found\"}}", DIALECT_FAULT_MODEL_NOT_FOUND},
        {429, "{\"error\":{\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\"}}",
         DIALECT_FAULT_QUOTA},
        {429, "{\"error\":{\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}",
         DIALECT_FAULT_RATE_LIMIT},
        {429, "slow down", DIALECT_FAULT_RATE_LIMIT},
        {500, "<html>", DIALECT_FAULT_SERVER},
        {503, "{\"error\":\"busy\"}", DIALECT_FAULT_OVERLOADED},
        {504, "", DIALECT_FAULT_TIMEOUT},
        {200, "{\"error\":{}}", DIALECT_FAULT_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum dialect_fault f = openai->read_error(&doc, cases[i].status, slice_str(cases[i].body));
        if (f != cases[i].fault)
            fail_msg("%d %s: %s", cases[i].status, cases[i].body, dialect_fault_name(f));
    }
}

static void test_writes_errors(void **state)
{
    struct dialect_error e = {SLICE_LIT("no \"x\""), "invalid_request_error", "model", NULL};
    static const char want[] = "data: {\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":"
                               "\"invalid_request_error\",\"param\":\"model\",\"code\":null}}\n\n";
    struct buf b;
    buf_init(&b, sizeof want - 1);
    assert_int_equal(openai->write_stream_error(&b, &e), 0);
    assert_true(slice_eq_str(buf_slice(&b), want));
    assert_int_equal(openai->write_stream_error(&b, &e), -1);
    assert_int_equal(b.len, sizeof want - 1);
    buf_release(&b);
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
        cmocka_unit_test(test_whole_answer),
        cmocka_unit_test(test_usage_values),
        cmocka_unit_test(test_usage_given_twice),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_stream_errors),
        cmocka_unit_test(test_stream_usage_that_decreases),
        cmocka_unit_test(test_injected_usage),
        cmocka_unit_test(test_cut_gives_back_what_was),
        cmocka_unit_test(test_classifies_errors),
        cmocka_unit_test(test_writes_errors),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
