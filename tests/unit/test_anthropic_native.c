/*
 * test_anthropic_native.c: requests and answers that stay in Anthropic's dialect.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/buf.h"
#include "gatewayd/dialect/dialect.h"

#include <stdio.h>

static const struct dialect *const anthropic = &dialect_anthropic;
static struct json_doc doc;
static struct dialect_request req;
static struct dialect_refusal why;
static struct dialect_response res;
static struct splices splices;

static int setup(void **state)
{
    json_doc_init(&doc, 4096);
    return 0;
}

static int teardown(void **state)
{
    json_doc_release(&doc);
    return 0;
}

static int read_request(const char *body)
{
    return anthropic->read_request(&doc, slice_str(body), DIALECT_CHAT, slice_of(NULL, 0), &req,
                                   &why);
}

#define TEXT_DOCUMENT                                                                              \
    "{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\","          \
    "\"data\":\"long\"}}"
#define IMAGE_OF(source) "{\"type\":\"image\",\"source\":" source "}"
#define PDF_OF(source)   "{\"type\":\"document\",\"source\":" source "}"
#define BASE64           "{\"type\":\"base64\",\"media_type\":\"x/y\",\"data\":\"aaaaaaaaaaaaaaaaaa\"}"
#define BLOCKS(source)                                                                             \
    "[{\"role\":\"user\",\"content\":[" TEXT_DOCUMENT                                              \
    "," IMAGE_OF(source) ","                                                                       \
                         "{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":[" IMAGE_OF( \
                             source) "]},"                                                         \
                                     "{\"type\":\"document\",\"source\":{\"type\":\"content\","    \
                                     "\"content\":[" IMAGE_OF(source) "]}}," PDF_OF(               \
                                         source) "]},{\"role\":\"assistant\",\"content\":\"x\"}]"

static void test_reads_request(void **state)
{
    static const char tools[] = "[{\"name\":\"f\"},{\"type\":\"bash_20250124\"}]";
    char body[2048];
    snprintf(body, sizeof body,
             "{\"model\":\"claude\\u002dx\",\"max_tokens\":77,\"stream\":true,\"system\":\"sys\","
             "\"metadata\":{\"user_id\":\"u\\u0031\"},\"tools\":%s,\"unknown\":{\"model\":1},"
             "\"messages\":" BLOCKS(BASE64) "}",
             tools);
    assert_int_equal(read_request(body), 0);
    assert_true(slice_eq_str(dialect_name_slice(&req.model), "claude-x"));
    assert_true(slice_eq_str(dialect_name_slice(&req.user), "u1"));
    assert_true(req.stream && !req.hosted_tools);
    assert_int_equal(req.max_output_tokens, 77);
    assert_int_equal(req.messages, 2);
    assert_int_equal(req.tools, 2);
    assert_int_equal(req.images, 3);
    assert_int_equal(req.files, 1);
    assert_int_equal(req.prompt_bytes, strlen(BLOCKS("")) + strlen("\"sys\"") + strlen(tools));
}

static void test_refuses(void **state)
{
    static const struct {
        const char *body, *param, *message;
    } cases[] = {
        {"{", "", "The request body is not valid JSON: the text ends too early at byte 1"},
        {"[]", "", "The request body must be a JSON object, not an array."},
        {"{\"messages\":[]}", "model", "model: field required."},
        {"{\"model\":\"m\"}", "messages", "messages: field required."},
        {"{\"model\":5,\"messages\":[]}", "model", "model: must be a string, not a number."},
        {"{\"model\":\"\",\"messages\":[]}", "model",
         "model: must be a name without control characters."},
        {"{\"model\":\"a\\n\",\"messages\":[]}", "model",
         "model: must be a name without control characters."},
        {"{\"model\":\"m\",\"model\":\"m\",\"messages\":[]}", "model",
         "model: is given more than once."},
        {"{\"model\":\"m\",\"messages\":[5]}", "messages.0",
         "messages.0: must be an object, not a number."},
        {"{\"model\":\"m\",\"messages\":[],\"max_tokens\":-1}", "max_tokens",
         "max_tokens: must be an integer from 0 to 1000000000."},
        {"{\"model\":\"m\",\"messages\":[],\"stream\":1}", "stream",
         "stream: must be a boolean, not a number."},
        {"{\"model\":\"m\",\"messages\":[],\"metadata\":{\"user_id\":1}}", "metadata.user_id",
         "metadata.user_id: must be a string, not a number."},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(read_request(cases[i].body), -1);
        assert_string_equal(why.param, cases[i].param);
        assert_memory_equal(why.message, cases[i].message, strlen(cases[i].message));
    }
}

static void test_hosted_tools(void **state)
{
    static const char *const bodies[] = {
        "{\"model\":\"m\",\"messages\":[],\"tools\":[{\"type\":\"web_search_20250305\"}]}",
        "{\"model\":\"m\",\"messages\":[],\"mcp_servers\":[{}]}",
        "{\"model\":\"m\",\"messages\":[],\"container\":\"c\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        assert_int_equal(read_request(bodies[i]), 0);
        assert_true(req.hosted_tools);
    }
}

/* All but the model stays byte for byte. */
static void test_splices_the_model(void **state)
{
    static const struct {
        const char *body, *expected;
    } cases[] = {
        {"{ \"messages\" : [] ,\"max_tokens\":1e1, \"model\": \"m\\u0031\" }",
         "{ \"messages\" : [] ,\"max_tokens\":1e1, \"model\": \"claude-x\" }"},
        {"{\"model\":\"claude-x\",\"messages\":[],\"stream\":true}",
         "{\"model\":\"claude-x\",\"messages\":[],\"stream\":true}"},
        {"{\"messages\":[]}", "{\"model\":\"claude-x\",\"messages\":[]}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static const struct dialect_rewrite how = {.model = SLICE_LIT("claude-x"),
                                                   .inject_usage = true};
        struct slice body = slice_str(cases[i].body);
        struct buf b;
        bool injected = true;
        buf_init(&b, 4096);
        assert_int_equal(
            anthropic->read_request(&doc, body, DIALECT_CHAT, SLICE_LIT("default"), &req, &why), 0);
        assert_int_equal(anthropic->rewrite_request(&req, &how, &splices, &injected), 0);
        assert_false(injected);
        assert_int_equal(splices_append(&splices, body, &b), 0);
        assert_true(slice_eq_str(buf_slice(&b), cases[i].expected));
        buf_release(&b);
    }
}

/* The model's member leaves, the version's comes; the rest stays byte for byte. */
static void test_splices_for_vertex(void **state)
{
#define VERSION "\"anthropic_version\":\"vertex-2023-10-16\","
    static const struct {
        const char *body, *version, *expected;
        enum dialect_envelope envelope;
    } cases[] = {
        {"{\"model\":\"m\",\"messages\":[]}", "", "{" VERSION "\"messages\":[]}",
         DIALECT_RAW_PREDICT},
        {"{ \"messages\" : [] , \"model\" : \"m\" , \"stream\":true }", "2023-06-01",
         "{" VERSION " \"messages\" : [] , \"stream\":true }", DIALECT_RAW_PREDICT},
        {"{\"messages\":[],\"model\":\"m\" }", "2026-10-21",
         "{\"anthropic_version\":\"2026-10-21\",\"messages\":[] }", DIALECT_RAW_PREDICT},
        {"{\"messages\":[{\"model\":\"m\"}]}", "", "{" VERSION "\"messages\":[{\"model\":\"m\"}]}",
         DIALECT_RAW_PREDICT},
        {"{\"anthropic_version\":\"x\",\"messages\":[],\"mod\\u0065l\":\"m\"}", "2023-06-01",
         "{\"anthropic_version\":\"x\",\"messages\":[]}", DIALECT_RAW_PREDICT},
        {"{\"messages\":[],\"model\":\"m\"}", "",
         "{" VERSION "\"messages\":[],\"model\":\"claude-x\"}", DIALECT_COUNT_RAW_PREDICT},
    };
#undef VERSION
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_rewrite how = {.model = SLICE_LIT("claude-x"),
                                      .envelope = cases[i].envelope,
                                      .version = slice_str(cases[i].version)};
        struct slice body = slice_str(cases[i].body);
        struct buf b;
        bool injected = true;
        buf_init(&b, 4096);
        assert_int_equal(
            anthropic->read_request(&doc, body, DIALECT_CHAT, SLICE_LIT("default"), &req, &why), 0);
        assert_int_equal(anthropic->rewrite_request(&req, &how, &splices, &injected), 0);
        assert_int_equal(splices_append(&splices, body, &b), 0);
        if (!slice_eq_str(buf_slice(&b), cases[i].expected))
            fail_msg("%.*s", SLICE_FMT(buf_slice(&b)));
        buf_release(&b);
    }
}

static void test_reads_response(void **state)
{
    assert_int_equal(
        anthropic->read_response(
            &doc,
            SLICE_LIT("{\"id\":\"msg_1\",\"model\":\"claude-x\",\"content\":[{\"type\":\"text\","
                      "\"text\":\"four\"}],\"stop_reason\":\"end_turn\",\"usage\":{"
                      "\"input_tokens\":3,\"cache_read_input_tokens\":2,\"output_tokens\":1}}"),
            DIALECT_CHAT, &res),
        0);
    assert_int_equal(res.usage.flags, USAGE_PRESENT);
    assert_int_equal(res.usage.input_tokens, 5);
    assert_int_equal(res.output_bytes, 4);
    assert_true(slice_eq_str(dialect_name_slice(&res.id), "msg_1"));
    assert_true(slice_eq_str(dialect_name_slice(&res.finish_reason), "stop"));
    assert_int_equal(anthropic->read_response(
                         &doc,
                         SLICE_LIT("{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
                                   "\"message\":\"Overloaded\"}}"),
                         DIALECT_CHAT, &res),
                     0);
    assert_int_equal(res.fault, DIALECT_FAULT_OVERLOADED);
    assert_int_equal(anthropic->read_response(&doc, SLICE_LIT("[1]"), DIALECT_CHAT, &res), -1);
    assert_int_equal(anthropic->read_response(&doc, SLICE_LIT("<html>"), DIALECT_CHAT, &res), -1);
}

static void event(struct dialect_stream *s, const char *type, const char *data)
{
    assert_int_equal(anthropic->stream_event(s, &doc, slice_str(type), slice_str(data), &splices),
                     DIALECT_PASS);
}

static void test_meters_a_stream(void **state)
{
    struct dialect_stream s;
    anthropic->stream_init(&s, DIALECT_CHAT, false);
    event(&s, "message_start",
          "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{"
          "\"input_tokens\":3,\"cache_creation_input_tokens\":4,\"output_tokens\":1}}}");
    event(&s, "ping", "{\"type\":\"ping\"}");
    event(&s, "content_block_start",
          "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
          "\"text\":\"\"}}");
    event(&s, "content_block_delta",
          "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
          "\"text\":\"four\"}}");
    assert_true(s.usage.flags & USAGE_PARTIAL);
    event(&s, "content_block_stop", "{\"type\":\"content_block_stop\",\"index\":0}");
    event(&s, "message_delta",
          "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"max_tokens\"},\"usage\":{"
          "\"output_tokens\":9}}");
    assert_false(s.done);
    event(&s, "message_stop", "{\"type\":\"message_stop\"}");
    assert_true(s.done && s.finished && !s.failed && s.malformed == 0);
    assert_int_equal(s.usage.flags, USAGE_PRESENT);
    assert_int_equal(s.usage.input_tokens, 7);
    assert_int_equal(s.usage.cache_write_tokens, 4);
    assert_int_equal(s.usage.output_tokens, 9);
    assert_int_equal(s.output_bytes, 4);
    assert_true(slice_eq_str(dialect_name_slice(&s.finish_reason), "length"));
    anthropic->stream_fini(&s);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_reads_request),      TEST(test_refuses),
        TEST(test_hosted_tools),       TEST(test_splices_the_model),
        TEST(test_splices_for_vertex), TEST(test_reads_response),
        TEST(test_meters_a_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
