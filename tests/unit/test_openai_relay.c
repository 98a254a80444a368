/*
 * test_openai_relay.c: forms and JSON of relayed operations, the model in them, and what their
 * answers and events say about usage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/dialect/relay.h"

#include <stdio.h>
#include <string.h>

static struct json_doc doc;
static struct splices list;

#define PART(name, value)                                                                          \
    "--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_PART(name)                                                                            \
    "--b\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"f\"\r\n\r\nDATA\r\n"
#define END "--b--\r\n"

static int read_form(const char *body, enum dialect_op op, const char *model,
                     struct dialect_request *out, struct dialect_refusal *why)
{
    return relay_read_form(slice_str(body), SLICE_LIT("b"), op, slice_str(model), out, why);
}

static int read_json(const char *body, enum dialect_op op, struct dialect_request *out,
                     struct dialect_refusal *why)
{
    return dialect_openai_relay.read_request(&doc, slice_str(body), op, slice_of(NULL, 0), out,
                                             why);
}

static void expect_rewritten(const struct dialect_request *ask, const char *body, const char *model,
                             const char *want)
{
    struct dialect_rewrite how = {.model = slice_str(model)};
    struct buf b;
    bool injected;
    buf_init(&b, 65536);
    assert_int_equal(dialect_openai_relay.rewrite_request(ask, &how, &list, &injected), 0);
    assert_int_equal(splices_append(&list, slice_str(body), &b), 0);
    if (!slice_eq_str(buf_slice(&b), want))
        fail_msg("got %.*s", (int)b.len, b.data);
    buf_release(&b);
}

static void test_model_of_a_form(void **state)
{
    static const char body[] = PART("x", "1") PART("model", "w") FILE_PART("file") END;
    static const char bare[] = FILE_PART("file") END;
    struct dialect_request a;
    struct dialect_refusal why;
    assert_int_equal(read_form(body, DIALECT_TRANSCRIPTIONS, "", &a, &why), 0);
    assert_true(slice_eq_str(dialect_name_slice(&a.model), "w"));
    assert_int_equal(a.media_bytes, 4);
    expect_rewritten(&a, body, "whisper-1",
                     PART("x", "1") PART("model", "whisper-1") FILE_PART("file") END);
    expect_rewritten(&a, body, "w", body);
    assert_int_equal(read_form(bare, DIALECT_TRANSCRIPTIONS, "path", &a, &why), 0);
    expect_rewritten(&a, bare, "whisper-1", PART("model", "whisper-1") FILE_PART("file") END);
    assert_int_equal(read_form(bare, DIALECT_TRANSCRIPTIONS, "", &a, &why), -1);
    assert_string_equal(why.param, "model");
}

static void test_forms_of_images(void **state)
{
    static const char body[] = FILE_PART("image[]") FILE_PART("image[]") PART("n", "3")
        PART("stream", "True") PART("prompt", "red") PART("user", "u") END;
    struct dialect_request a;
    struct dialect_refusal why;
    assert_int_equal(read_form(body, DIALECT_IMAGE_EDITS, "", &a, &why), 0);
    assert_int_equal(a.images, 2);
    assert_int_equal(a.n, 3);
    assert_true(a.stream);
    assert_int_equal(a.prompt_bytes, 3);
    assert_int_equal(a.model.n, 0);
    expect_rewritten(&a, body, "", body);
    assert_int_equal(read_form(PART("image", "x") END, DIALECT_IMAGE_EDITS, "", &a, &why), -1);
    assert_string_equal(why.param, "image");
}

static void test_json(void **state)
{
    static const struct {
        enum dialect_op op;
        const char *body, *param; /* NULL: taken */
    } cases[] = {
        {DIALECT_MODERATIONS, "{\"input\":\"a\"}", NULL},
        {DIALECT_MODERATIONS, "{\"input\":[{\"type\":\"text\"}],\"model\":\"m\"}", NULL},
        {DIALECT_MODERATIONS, "{}", "input"},
        {DIALECT_SPEECH, "{\"input\":\"a\",\"model\":\"m\"}", NULL},
        {DIALECT_SPEECH, "{\"input\":\"a\"}", "model"},
        {DIALECT_SPEECH, "{\"input\":[],\"model\":\"m\"}", "input"},
        {DIALECT_SPEECH, "{\"input\":\"a\",\"input\":\"b\",\"model\":\"m\"}", "input"},
        {DIALECT_IMAGES, "{\"prompt\":\"a\",\"n\":0}", "n"},
        {DIALECT_IMAGES, "{\"prompt\":1}", "prompt"},
        {DIALECT_IMAGES, "{\"prompt\":\"a\",\"stream\":1}", "stream"},
        {DIALECT_IMAGE_EDITS, "{\"prompt\":\"a\",\"images\":{}}", "images"},
        {DIALECT_IMAGE_EDITS, "{\"prompt\":\"a\",\"images\":[{}],\"user\":\"u\"}", NULL},
        {DIALECT_IMAGES, "[]", ""},
    };
    struct dialect_request a;
    struct dialect_refusal why;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int rc = read_json(cases[i].body, cases[i].op, &a, &why);
        if ((rc < 0) != (cases[i].param != NULL) || (rc < 0 && strcmp(why.param, cases[i].param)))
            fail_msg("%s: %s", cases[i].body, rc < 0 ? why.param : "taken");
    }
    assert_int_equal(read_json("{\"input\":\"\\u00e9\\ud83d\\ude00 \xc3\xa9\",\"model\":\"m\","
                               "\"stream_format\":\"sse\"}",
                               DIALECT_SPEECH, &a, &why),
                     0);
    assert_int_equal(a.characters, 4);
    assert_true(a.stream);
}

static void test_usage_of_answers(void **state)
{
    static const struct {
        enum dialect_op op;
        const char *body;
        unsigned flags;
        int64_t input, output, units;
    } cases[] = {
        {DIALECT_MODERATIONS, "{\"results\":[]}", USAGE_PRESENT | USAGE_ZERO, 0, 0, 0},
        {DIALECT_TRANSCRIPTIONS, "{\"usage\":{\"type\":\"duration\",\"seconds\":9}}", USAGE_PRESENT,
         0, 0, 9},
        {DIALECT_TRANSCRIPTIONS, "{\"usage\":{\"seconds\":9.01}}", USAGE_PRESENT, 0, 0, 10},
        {DIALECT_TRANSCRIPTIONS, "{\"usage\":{\"seconds\":9.00}}", USAGE_PRESENT, 0, 0, 9},
        {DIALECT_TRANSCRIPTIONS, "{\"usage\":{\"seconds\":-1}}", USAGE_ODD, 0, 0, 0},
        {DIALECT_TRANSCRIPTIONS, "{\"usage\":{\"seconds\":1.5e300}}", USAGE_ODD, 0, 0, 0},
        {DIALECT_TRANSCRIPTIONS, "{\"usage\":{\"seconds\":1},\"usage\":{\"seconds\":2}}", USAGE_ODD,
         0, 0, 0},
        {DIALECT_TRANSCRIPTIONS, "{\"duration\":8.47}", USAGE_PRESENT, 0, 0, 9},
        {DIALECT_TRANSCRIPTIONS, "{\"duration\":\"8.470000267028809\"}", USAGE_PRESENT, 0, 0, 9},
        {DIALECT_TRANSCRIPTIONS, "{\"text\":\"a\"}", 0, 0, 0, 0},
        {DIALECT_TRANSCRIPTIONS,
         "{\"usage\":{\"type\":\"tokens\",\"input_tokens\":5,\"output_tokens\":7,"
         "\"total_tokens\":12}}",
         USAGE_PRESENT, 5, 7, 0},
        {DIALECT_IMAGES, "{\"data\":[{},{}]}", 0, 0, 0, 2},
        {DIALECT_IMAGES,
         "{\"data\":[{}],\"usage\":{\"input_tokens\":5,\"output_tokens\":7,\"total_tokens\":12}}",
         USAGE_PRESENT, 5, 7, 1},
    };
    struct dialect_response r;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(
            dialect_openai_relay.read_response(&doc, slice_str(cases[i].body), cases[i].op, &r), 0);
        if (r.usage.flags != cases[i].flags || r.usage.units != cases[i].units ||
            r.usage.input_tokens != cases[i].input || r.usage.output_tokens != cases[i].output)
            fail_msg("%s: flags %u units %lld", cases[i].body, r.usage.flags,
                     (long long)r.usage.units);
    }
    assert_int_equal(dialect_openai_relay.read_response(&doc, SLICE_LIT("[]"), DIALECT_IMAGES, &r),
                     -1);
}

static enum dialect_verdict event(struct dialect_stream *s, const char *data)
{
    return dialect_openai_relay.stream_event(s, &doc, slice_of(NULL, 0), slice_str(data), &list);
}

static void test_events(void **state)
{
    struct dialect_stream s;
    dialect_openai_relay.stream_init(&s, DIALECT_TRANSCRIPTIONS, false);
    assert_int_equal(event(&s, "{\"type\":\"transcript.text.delta\",\"delta\":\"four\"}"),
                     DIALECT_PASS);
    assert_int_equal(s.output_bytes, 4);
    assert_false(s.finished);
    event(&s, "{\"type\":\"transcript.text.done\",\"text\":\"four\","
              "\"usage\":{\"input_tokens\":1,\"output_tokens\":2,\"total_tokens\":3}}");
    assert_true(s.finished && !s.done);
    assert_int_equal(s.usage.output_tokens, 2);
    dialect_openai_relay.stream_init(&s, DIALECT_SPEECH, false);
    event(&s, "{\"type\":\"speech.audio.delta\",\"audio\":\"AAAAAAAA\"}");
    assert_int_equal(s.output_bytes, 1);
    event(&s, "{\"type\":\"error\",\"error\":{\"message\":\"m\",\"type\":\"server_error\"}}");
    assert_true(s.failed);
    dialect_openai_relay.stream_init(&s, DIALECT_IMAGES, false);
    event(&s, "{\"type\":\"image_generation.partial_image\",\"b64_json\":\"AAAA\"}");
    assert_true(s.output_bytes >= 16384 && !s.finished);
    for (int i = 1; i <= 2; i++) {
        event(&s, "{\"type\":\"image_generation.completed\",\"b64_json\":\"AAAA\"}");
        assert_int_equal(s.usage.units, i);
    }
    assert_true(s.finished);
    event(&s, "[DONE]");
    assert_true(s.done);
    dialect_openai_relay.stream_init(&s, DIALECT_TRANSCRIPTIONS, false);
    event(&s, "{\"choices\":[{\"delta\":{\"content\":\"abc\"},\"finish_reason\":\"stop\"}]}");
    assert_true(s.finished);
    assert_int_equal(s.output_bytes, 3);
    event(&s, "no json");
    assert_int_equal(s.malformed, 1);
}

static void test_audio_tokens(void **state)
{
    assert_int_equal(relay_audio_tokens(0), 0);
    assert_int_equal(relay_audio_tokens(1), 1);
    assert_int_equal(relay_audio_tokens(100), 1);
    assert_int_equal(relay_audio_tokens(101), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_of_a_form),
        cmocka_unit_test(test_forms_of_images),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_usage_of_answers),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_audio_tokens),
    };
    json_doc_init(&doc, 1000);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    json_doc_release(&doc);
    return rc;
}
