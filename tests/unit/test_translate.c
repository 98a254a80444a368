/*
 * test_translate.c: the way of a request and its answers between two codecs, which are as small as
 * can be here: what the codecs of real dialects do is tested with them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/dialect/meter.h"
#include "gatewayd/dialect/translate.h"

#include <stdio.h>
#include <stdlib.h>

static struct ir_field_row fields[IR_FIELD_COUNT];
static struct json_doc doc;

/* {"text","top_k","seed","answers"}: `answers` makes a tool result that has no call. */
static int tiny_read_request(const struct json_doc *d, struct ir_request *r,
                             struct dialect_refusal *why)
{
    json_foreach_member(d, JSON_ROOT, k)
    {
        struct ir_message *m;
        if (json_str_eq_lit(d, k, "text")) {
            m = ir_add_message(r, IR_USER, 0);
            ir_add_part(r->arena, &m->parts, IR_PART_TEXT)->text = ir_text_of(d, k + 1);
            if (json_type(d, k + 1) != JSON_STRING) {
                snprintf(why->message, sizeof why->message, "'text' must be a string.");
                return -1;
            }
        } else if (json_str_eq_lit(d, k, "answers")) {
            m = ir_add_message(r, IR_TOOL, 1);
            ir_add_part(r->arena, &m->parts, IR_PART_TOOL_RESULT)->call_id = ir_text_of(d, k + 1);
        } else if (json_str_eq_lit(d, k, "top_k"))
            ir_note(r, IR_F_TOP_K);
        else if (json_str_eq_lit(d, k, "seed"))
            ir_note(r, IR_F_SEED);
        else
            ir_note_unknown(r, "%.*s", SLICE_FMT(json_raw(d, k)));
    }
    return 0;
}

static int tiny_write_request(const struct ir_request *r, const struct codec_target *t,
                              struct buf *out, struct dialect_refusal *why)
{
    struct json_writer w;
    size_t n;
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_str(&w, "model", t->model);
    ir_member(&w, "text", r->messages->parts->text);
    jw_member_bool(&w, "stream", r->stream);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}

/* {"id","text","image","sound"} */
static int tiny_read_response(const struct json_doc *d, struct ir_response *r)
{
    uint32_t text = json_get_lit(d, JSON_ROOT, "text");
    if (json_type(d, text) != JSON_STRING)
        return -1;
    struct ir_choice *c = ir_add_choice(r, 0);
    r->id = ir_text_of(d, json_get_lit(d, JSON_ROOT, "id"));
    r->model = ir_text_of(d, json_get_lit(d, JSON_ROOT, "model"));
    c->finish = IR_FINISH_STOP;
    ir_add_part(r->arena, &c->parts, IR_PART_TEXT)->text = ir_text_of(d, text);
    json_foreach_member(d, JSON_ROOT, k)
    {
        bool image = json_str_eq_lit(d, k, "image");
        if (!image && !json_str_eq_lit(d, k, "sound"))
            continue;
        struct ir_part *p = ir_add_part(r->arena, &c->parts, image ? IR_PART_IMAGE : IR_PART_AUDIO);
        p->source = json_str_eq_lit(d, k + 1, "url") ? IR_SOURCE_URL : IR_SOURCE_BASE64;
        p->text = image ? p->text : ir_text_of(d, k + 1);
    }
    r->usage = (struct dialect_usage){
        .flags = USAGE_PRESENT, .input_tokens = 3, .output_tokens = 2, .total_tokens = -1};
    return 0;
}

static int tiny_write_response(const struct ir_response *r, const struct codec_caller *c,
                               struct buf *out)
{
    struct json_writer w;
    size_t n;
    jw_init_buf(&w, out);
    jw_object(&w);
    ir_member(&w, "said", r->choices->parts->text);
    for (const struct ir_part *p = r->choices->parts->next; p; p = p->next)
        ir_member(&w, "more", ir_has(p->text) ? p->text : IR_LIT("pixels"));
    ir_member(&w, "by", ir_has(c->model) ? c->model : r->model);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}

/* Events are named by their type: start, text, usage, finish, error, end; anything else is none. */
static int tiny_read_event(void *state, const struct json_doc *d, struct slice type,
                           struct slice data, ir_sink_fn sink, void *ctx)
{
    static const struct dialect_usage usage = {.flags = USAGE_PRESENT, .output_tokens = 7};
    int *n = state;
    struct ir_event ev = {.kind = IR_EV_START, .model = IR_LIT("big")};
    if (slice_eq_str(type, "start")) {
        sink(ctx, &ev);
        ev = (struct ir_event){.kind = IR_EV_PART_START, .part_kind = IR_PART_TEXT};
    } else if (slice_eq_str(type, "text"))
        ev = (struct ir_event){.kind = IR_EV_DELTA, .text = ir_plain(data)};
    else if (slice_eq_str(type, "image")) {
        ev = (struct ir_event){.kind = IR_EV_PART_START,
                               .part = 1,
                               .part_kind = IR_PART_IMAGE,
                               .by_url = slice_eq_str(data, "url")};
        sink(ctx, &ev);
        ev = (struct ir_event){.kind = IR_EV_DELTA, .part = 1, .text = IR_LIT("pixels")};
    } else if (slice_eq_str(type, "usage"))
        ev = (struct ir_event){.kind = IR_EV_USAGE, .usage = &usage};
    else if (slice_eq_str(type, "finish")) {
        *n = 1;
        ev = (struct ir_event){.kind = IR_EV_FINISH, .finish = IR_FINISH_LENGTH};
    } else if (slice_eq_str(type, "error"))
        ev = (struct ir_event){
            .kind = IR_EV_ERROR, .text = ir_plain(data), .fault = DIALECT_FAULT_OVERLOADED};
    else if (slice_eq_str(type, "end"))
        ev = (struct ir_event){.kind = IR_EV_END};
    else
        return -1;
    sink(ctx, &ev);
    return 0;
}

static int tiny_read_end(void *state, ir_sink_fn sink, void *ctx)
{
    return *(int *)state ? 0 : -1;
}

static int tiny_write_event(void *state, const struct codec_caller *c, const struct ir_event *ev,
                            struct buf *out)
{
    return buf_printf(out, "<%s%.*s>", ir_event_name(ev->kind), SLICE_FMT(ev->text.s));
}

static struct codec tiny = {
    .name = "tiny",
    .fields = fields,
    .reader_bytes = sizeof(int),
    .read_request = tiny_read_request,
    .write_request = tiny_write_request,
    .read_response = tiny_read_response,
    .write_response = tiny_write_response,
    .read_event = tiny_read_event,
    .read_end = tiny_read_end,
    .write_event = tiny_write_event,
};

static int set_up(void **state)
{
    for (size_t f = 0; f < IR_FIELD_COUNT; f++)
        fields[f] = (struct ir_field_row){NULL, IR_CARRIED, ""};
    fields[IR_F_TOP_K] = (struct ir_field_row){"top_k", IR_DROPPED, "a hint"};
    fields[IR_F_SEED] = (struct ir_field_row){"seed", IR_REFUSED, "there is none"};
    json_doc_init(&doc, JSON_MAX_TOKENS);
    return 0;
}

static int tear_down(void **state)
{
    json_doc_release(&doc);
    return 0;
}

static struct translation *translate(const char *body, size_t max, struct dialect_refusal *why,
                                     int *rc)
{
    struct codec_target target = {.model = SLICE_LIT("up")};
    struct translation *t = translation_new(&tiny, &tiny, DIALECT_CHAT);
    *rc = translation_request(t, &doc, slice_str(body), true, &target, max, why);
    return t;
}

static void test_requests(void **state)
{
    static const struct {
        const char *in, *out, *dropped;
    } cases[] = {
        {"{\"text\":\"a\\u00e9\"}", "{\"model\":\"up\",\"text\":\"a\\u00e9\",\"stream\":true}", ""},
        {"{\"text\":\"a\",\"top_k\":1,\"x\":2}",
         "{\"model\":\"up\",\"text\":\"a\",\"stream\":true}", "top_k, \"x\""},
        {"{\"text\":\"a\",\"\xc3\xa9\":2}", "{\"model\":\"up\",\"text\":\"a\",\"stream\":true}",
         "\"??\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_refusal why;
        int rc;
        struct translation *t = translate(cases[i].in, 4096, &why, &rc);
        assert_int_equal(rc, 0);
        assert_true(slice_eq_str(translation_body(t), cases[i].out));
        assert_true(slice_eq_str(translation_dropped(t), cases[i].dropped));
        translation_free(t);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        const char *in, *message;
        size_t max;
    } cases[] = {
        {"[]", "The body must be a JSON object.", 4096},
        {"{\"text\":7}", "'text' must be a string.", 4096},
        {"{\"text\":\"a\",\"seed\":1}",
         "'seed' can't be sent to this model, whose provider speaks tiny: there is none.", 4096},
        {"{\"text\":\"a\",\"answers\":\"c1\"}",
         "The tool result in messages[1] has no tool call before it that it answers.", 4096},
        {"{\"text\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
         "The request is too large to be translated for this model's provider.", 16},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_refusal why;
        int rc;
        struct translation *t = translate(cases[i].in, cases[i].max, &why, &rc);
        assert_int_equal(rc, -1);
        assert_string_equal(why.message, cases[i].message);
        translation_free(t);
    }
}

static struct translation *asked(struct ir_text alias)
{
    struct dialect_refusal why;
    int rc;
    struct translation *t = translate("{\"text\":\"a\"}", 4096, &why, &rc);
    assert_int_equal(rc, 0);
    translation_answer_as(t, &(struct codec_caller){.model = alias});
    return t;
}

static void test_whole_answers(void **state)
{
    struct dialect_response meter;
    struct slice out;
    const char *why;
    struct translation *t = asked(IR_LIT("mine"));
    assert_int_equal(translation_response(t, &doc, SLICE_LIT("{\"id\":\"r1\",\"text\":\"hi\"}"),
                                          4096, &meter, &out, &why),
                     0);
    assert_true(slice_eq_str(out, "{\"said\":\"hi\",\"by\":\"mine\"}"));
    assert_int_equal(meter.usage.output_tokens, 2);
    assert_int_equal(meter.output_bytes, 2);
    assert_true(slice_eq_str(dialect_name_slice(&meter.id), "r1"));
    assert_true(slice_eq_str(dialect_name_slice(&meter.finish_reason), "stop"));
    assert_int_equal(meter.model_value.end, 0);
    assert_int_equal(
        translation_response(t, &doc, SLICE_LIT("{\"text\":1}"), 4096, &meter, &out, &why), -1);
    assert_string_equal(why, "the body is no answer of the provider's dialect");
    assert_int_equal(translation_response(t, &doc, SLICE_LIT("<html>"), 4096, &meter, &out, &why),
                     -1);
    translation_free(t);
    t = asked(IR_LIT("mine"));
    assert_int_equal(
        translation_response(t, &doc, SLICE_LIT("{\"text\":\"hi\"}"), 4, &meter, &out, &why), -1);
    translation_free(t);
}

/* What the caller's dialect has no place for is named, once; what was spoken is told in words. */
static void test_what_is_left_out(void **state)
{
    static const struct {
        unsigned media;
        const char *in, *out, *dropped;
    } cases[] = {
        {0, "{\"text\":\"hi\",\"image\":\"b\",\"sound\":\"words\"}",
         "{\"said\":\"hi\",\"more\":\"words\",\"by\":\"up\"}", "answer.image, answer.audio"},
        {0, "{\"text\":\"hi\",\"image\":\"b\",\"sound\":\"\",\"image\":\"c\"}",
         "{\"said\":\"hi\",\"by\":\"up\"}", "answer.image, answer.audio"},
        {1u << IR_PART_IMAGE, "{\"text\":\"hi\",\"image\":\"b\"}",
         "{\"said\":\"hi\",\"more\":\"pixels\",\"by\":\"up\"}", ""},
        {1u << IR_PART_IMAGE, "{\"text\":\"hi\",\"image\":\"url\"}",
         "{\"said\":\"hi\",\"by\":\"up\"}", "answer.image"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_response meter;
        struct slice out;
        const char *why;
        struct translation *t = asked((struct ir_text){{NULL, 0}, false});
        tiny.answer_media = cases[i].media;
        assert_int_equal(
            translation_response(t, &doc, slice_str(cases[i].in), 4096, &meter, &out, &why), 0);
        assert_true(slice_eq_str(out, cases[i].out));
        assert_true(slice_eq_str(translation_dropped(t), cases[i].dropped));
        translation_free(t);
    }
    tiny.answer_media = 0;
}

/* "type:data type:data ..."; "." is the end of the provider's connection. */
static int play(struct translation *t, const char *script, struct buf *out, const char **why)
{
    char copy[512];
    int rc = 0;
    snprintf(copy, sizeof copy, "%s", script);
    for (char *at, *word = strtok_r(copy, " ", &at); word && rc == 0;
         word = strtok_r(NULL, " ", &at)) {
        struct slice data = slice_str(word);
        struct slice type = slice_split(&data, ':');
        if (word[0] == '.')
            rc = translation_end(t, out);
        else
            rc = translation_event(t, &doc, type, data.p ? data : SLICE_LIT(""), out, why);
    }
    return rc;
}

static void test_streams(void **state)
{
    static const struct {
        const char *in, *out;
        int rc;
        bool done, failed;
        const char *why;
    } cases[] = {
        {"start text:a text:b finish usage end",
         "<START><PART_START><DELTAa><DELTAb><PART_END><FINISH><USAGE><END>", 0, true, false, NULL},
        /* no terminator, but a finish reason and a proper end of the connection */
        {"start text:a finish .", "<START><PART_START><DELTAa><PART_END><FINISH><END>", 0, false,
         false, NULL},
        {"start text:a image:b text:c image:d finish end",
         "<START><PART_START><DELTAa><PART_END>: x-gw-dropped: answer.image\n\n<PART_START><DELTAc>"
         "<PART_END><FINISH><END>",
         0, true, false, NULL},
        {"start text:a .", "<START><PART_START><DELTAa>", -1, false, false, NULL},
        {"start text:a error:busy", "<START><PART_START><DELTAa><ERRORbusy>", 0, false, true, NULL},
        {"error:busy", "<ERRORbusy>", 0, false, true, NULL},
        {"start nonsense", "<START><PART_START>", -1, false, false, "an event can't be read"},
        {"text:a", "", -1, false, false, "the stream doesn't begin with its start"},
        {"start end", "<START><PART_START>", -1, true, false,
         "the stream ends without a finish reason"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_stream meter;
        const char *why = NULL;
        struct buf out;
        struct translation *t = asked((struct ir_text){{NULL, 0}, false});
        buf_init(&out, 4096);
        translation_stream_init(t, &meter);
        assert_int_equal(play(t, cases[i].in, &out, &why), cases[i].rc);
        assert_true(slice_eq_str(buf_slice(&out), cases[i].out));
        assert_int_equal(meter.done, cases[i].done);
        assert_int_equal(meter.failed, cases[i].failed);
        if (cases[i].why)
            assert_string_equal(why, cases[i].why);
        buf_release(&out);
        translation_free(t);
    }
}

/* What isn't said to the end isn't the whole bill. */
static void test_usage_of_streams(void **state)
{
    static const struct {
        const char *in;
        unsigned flags;
    } cases[] = {
        {"start usage", USAGE_PRESENT | USAGE_PARTIAL},
        {"start usage finish", USAGE_PRESENT},
        {"start finish usage", USAGE_PRESENT},
        {"start finish", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_stream meter;
        const char *why = NULL;
        struct buf out;
        struct translation *t = asked((struct ir_text){{NULL, 0}, false});
        buf_init(&out, 4096);
        translation_stream_init(t, &meter);
        assert_int_equal(play(t, cases[i].in, &out, &why), 0);
        assert_int_equal(meter.usage.flags, cases[i].flags);
        buf_release(&out);
        translation_free(t);
    }
}

static void test_unwritten_event(void **state)
{
    struct dialect_stream meter;
    const char *why = NULL;
    struct buf out;
    struct translation *t = asked((struct ir_text){{NULL, 0}, false});
    buf_init(&out, 8);
    translation_stream_init(t, &meter);
    assert_int_equal(play(t, "start", &out, &why), -1);
    assert_string_equal(why, "an event can't be written in the caller's dialect");
    buf_release(&out);
    translation_free(t);
}

static void test_errors(void **state)
{
    static const struct {
        const char *in, *message;
    } cases[] = {
        {"{\"error\":{\"message\":\"too long\"}}", "too long"},
        {"{\"type\":\"error\",\"error\":{\"type\":\"x\",\"message\":\"too long\"}}", "too long"},
        {"[{\"error\":{\"code\":400,\"message\":\"too long\"}}]", "too long"},
        {"{\"message\":\"too long\"}", "too long"},
        {"{\"error\":\"too long\"}", "too long"},
        {"{\"detail\":[]}", NULL},
        {"<html>", NULL},
    };
    struct translation *t = asked((struct ir_text){{NULL, 0}, false});
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice out = translation_error(t, &doc, &dialect_openai, 400,
                                             DIALECT_FAULT_CONTEXT_LENGTH, slice_str(cases[i].in));
        if (!cases[i].message) {
            assert_null(out.p);
            continue;
        }
        assert_true(slice_eq_str(
            out, "{\"error\":{\"message\":\"too long\",\"type\":\"invalid_request_error\","
                 "\"param\":null,\"code\":\"context_length_exceeded\"}}"));
    }
    translation_free(t);
}

/* The native path of a dialect that has a codec: the same reader, bytes untouched but the model. */
static void test_meter(void **state)
{
    static const char body[] = "{\"id\":\"r1\",\"model\":\"up-1\",\"text\":\"hi\"}";
    struct dialect_response r;
    struct dialect_stream s;
    struct splices cuts;
    assert_int_equal(meter_response(&tiny, &doc, slice_str(body), DIALECT_CHAT, &r), 0);
    assert_int_equal(r.usage.input_tokens, 3);
    assert_memory_equal(body + r.model_value.off, "\"up-1\"",
                        r.model_value.end - r.model_value.off);
    assert_int_equal(meter_response(&tiny, &doc, SLICE_LIT("[]"), DIALECT_CHAT, &r), -1);
    meter_stream_init(&s, &tiny, DIALECT_CHAT);
    assert_int_equal(meter_stream_event(&s, &doc, SLICE_LIT("start"), SLICE_LIT("{}"), &cuts),
                     DIALECT_PASS);
    assert_int_equal(meter_stream_event(&s, &doc, SLICE_LIT("text"), SLICE_LIT("abc"), &cuts),
                     DIALECT_PASS);
    assert_int_equal(meter_stream_event(&s, &doc, SLICE_LIT("?"), SLICE_LIT("abc"), &cuts),
                     DIALECT_PASS);
    assert_int_equal(meter_stream_event(&s, &doc, SLICE_LIT("finish"), SLICE_LIT(""), &cuts),
                     DIALECT_PASS);
    assert_int_equal(s.output_bytes, 3);
    assert_int_equal(s.malformed, 1);
    assert_int_equal(s.events, 4);
    assert_true(s.finished);
    assert_true(slice_eq_str(dialect_name_slice(&s.finish_reason), "length"));
    assert_true(slice_eq_str(dialect_name_slice(&s.model), "big"));
    meter_stream_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_whole_answers),   cmocka_unit_test(test_what_is_left_out),
        cmocka_unit_test(test_streams),         cmocka_unit_test(test_usage_of_streams),
        cmocka_unit_test(test_unwritten_event), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_meter),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
