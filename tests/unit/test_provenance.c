/*
 * test_provenance.c: signatures come back whole to their own maker, and go to nobody else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/dialect/provenance.h"

#include <stdio.h>

static struct arena arena;

static int set_up(void **state)
{
    arena_init(&arena, NULL, 0, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    arena_reset(&arena);
    return 0;
}

/* ---- tags ---- */

static void test_tags(void **state)
{
    static const struct {
        const char *signature;
        bool redacted, bytes;
        const char *tagged;
    } rows[] = {
        {"c2lnbmVk", false, false, "gwSignedCld0c2lnbmVk"},
        {"c2lnbmVk", false, true, "gwSignedCld0c2lnbmVk"},
        {"YQ==", true, true, "gwSignedCld1YQ=="},
        {"rs_1-g_A", false, false, "gwSignedCld0rs_1-g_A"},
        {"rs_1-g_A", false, true, "gwSignedCldAcnNfMS1nX0E="},
        {"a", true, true, "gwSignedCldBYQ=="},
        {"ab", true, true, "gwSignedCldBYWI="},
        {"gwSignedGem0YQ==", false, true, "gwSignedCld0gwSignedGem0YQ=="},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool redacted = !rows[i].redacted;
        struct ir_text plain = ir_plain(slice_str(rows[i].signature));
        struct ir_text t =
            provenance_tag(&arena, IR_MAKER_CLAUDE, plain, rows[i].redacted, rows[i].bytes);
        assert_true(ir_text_is(t, slice_str(rows[i].tagged)));
        assert_int_equal(provenance_untag(&arena, &t, &redacted), IR_MAKER_CLAUDE);
        assert_true(ir_text_eq(t, plain));
        assert_int_equal(redacted, rows[i].redacted);
    }
}

/* A client may have spelled the slash of base64 as an escape. */
static void test_escaped_tags(void **state)
{
    static const char json[] = "\"gwSignedGem0a\\/b=\"";
    struct ir_text t = {slice_of(json + 1, sizeof json - 3), true};
    bool redacted = true;
    assert_int_equal(provenance_untag(&arena, &t, &redacted), IR_MAKER_GEMINI);
    assert_true(ir_text_is(t, SLICE_LIT("a/b=")));
    assert_false(redacted);
}

static void test_what_is_no_tag(void **state)
{
    static const char *const rows[] = {"",
                                       "c2ln",
                                       "gwSigned",
                                       "gwSignedGem",
                                       "gwSignedXyz0YQ==",
                                       "gwSignedGem2YQ==",
                                       " gwSignedGem0YQ=="};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ir_text t = ir_plain(slice_str(rows[i]));
        bool redacted = false;
        assert_int_equal(provenance_untag(&arena, &t, &redacted), IR_MAKER_UNSAID);
        assert_true(ir_text_is(t, slice_str(rows[i])));
    }
}

static void test_bodies(void **state)
{
    static const struct {
        const char *json;
        bool in;
    } rows[] = {
        {"{}", false},
        {"{\"signature\":\"gwSign\"}", false},
        {"{\"signature\":\"gwSignedCld0c2lnbmVk\"}", true},
        {"[\"a\",{\"data\":[\"gwSignedGem0a\\/b=\"]}]", true},
        {"{\"tool_call_id\":\"call_1gwSignedY2Fs\"}", true},
        {"{\"gwSigned\":1}", false},
        {"{\"content\":\"what does gwSigned mean?\"}", false},
        {"{\"content\":\"gwSigned\"}", true},
    };
    struct json_doc d;
    json_doc_init(&d, 16);
    assert_false(provenance_in(&d));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(json_parse(&d, rows[i].json, strlen(rows[i].json)), 0);
        assert_int_equal(provenance_in(&d), rows[i].in);
    }
    json_doc_release(&d);
}

static void test_formats(void **state)
{
    for (enum ir_maker m = IR_MAKER_CLAUDE; m <= IR_MAKER_BEDROCK; m++)
        if (provenance_format(m))
            assert_int_equal(provenance_of_format(ir_plain(slice_str(provenance_format(m)))), m);
    assert_int_equal(provenance_of_format(IR_LIT("unknown")), IR_MAKER_UNSAID);
    assert_null(provenance_format(IR_MAKER_UNSAID));
}

static void test_makers(void **state)
{
    static const struct {
        const struct codec *codec;
        struct slice model;
        enum ir_maker maker;
    } rows[] = {
        {&codec_anthropic, SLICE_LIT("claude-opus-4-6"), IR_MAKER_CLAUDE},
        {&codec_bedrock, SLICE_LIT("us.anthropic.claude-sonnet-4-5-v1:0"), IR_MAKER_CLAUDE},
        {&codec_bedrock, SLICE_LIT("amazon.nova-2-lite-v1:0"), IR_MAKER_BEDROCK},
        {&codec_bedrock, SLICE_LIT(""), IR_MAKER_CLAUDE},
        {&codec_gemini, SLICE_LIT("gemini-3-pro"), IR_MAKER_GEMINI},
        {&codec_openai_responses, SLICE_LIT("gpt-5"), IR_MAKER_OPENAI},
        {&codec_openai_responses, SLICE_LIT("grok-4"), IR_MAKER_XAI},
        {&codec_openai_chat, SLICE_LIT("anthropic/claude-opus-4.5"), IR_MAKER_CLAUDE},
        {&codec_openai_chat, SLICE_LIT("google/gemini-3-pro"), IR_MAKER_GEMINI},
        {&codec_openai_chat, SLICE_LIT("openai/gpt-5"), IR_MAKER_OPENAI},
        {&codec_openai_chat, SLICE_LIT("deepseek-reasoner"), IR_MAKER_CHAT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(rows[i].codec->made_by(rows[i].model), rows[i].maker);
}

/* ---- requests ---- */

static void add(struct ir_request *r, const char *text, const char *signature, bool redacted)
{
    struct ir_message *m = ir_add_message(r, IR_ASSISTANT, 0);
    struct ir_part *p = ir_add_part(r->arena, &m->parts, IR_PART_REASONING);
    p->text = ir_plain(slice_str(text));
    p->signature = ir_plain(slice_str(signature));
    p->redacted = redacted;
    ir_note(r, IR_F_REASONING);
    ir_note(r, IR_F_REASONING_SIGNATURE);
}

static void test_requests(void **state)
{
    static const struct {
        const struct codec *from, *to;
        const char *model, *text, *signature;
        bool redacted;
        const char *left; /* signature as it is sent; NULL: none, and it is told */
        bool message;     /* something of the message is left */
    } rows[] = {
        {&codec_anthropic, &codec_bedrock, "anthropic.claude-x", "t", "YQ==", false, "YQ==", true},
        {&codec_anthropic, &codec_bedrock, "amazon.nova-2", "t", "YQ==", false, NULL, true},
        {&codec_anthropic, &codec_gemini, "g", "t", "YQ==", false, NULL, true},
        {&codec_anthropic, &codec_gemini, "g", "t", "gwSignedGem0YQ==", false, "YQ==", true},
        {&codec_anthropic, &codec_anthropic, "c", "t", "gwSignedGem0YQ==", false, NULL, true},
        {&codec_anthropic, &codec_anthropic, "c", "", "gwSignedOai1YQ==", true, NULL, false},
        {&codec_anthropic, &codec_gemini, "g", "", "YQ==", true, NULL, false},
        {&codec_gemini, &codec_anthropic, "c", "", "gwSignedCld1YQ==", false, "YQ==", true},
        {&codec_openai_chat, &codec_openai_chat, "c", "t", "YQ==", false, "YQ==", true},
        {&codec_openai_chat, &codec_openai_chat, "c", "t", "gwSignedCld0YQ==", false, NULL, true},
        {&codec_openai_chat, &codec_openai_chat, "a/claude", "t", "gwSignedCld0Y", false, "Y",
         true},
        {&codec_openai_chat, &codec_openai_chat, "openai/o", "t", "gwSignedAzu0Y", false, "Y",
         true},
        {&codec_openai_chat, &codec_anthropic, "c", "t", "YQ==", false, NULL, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ir_request r;
        struct buf dropped;
        buf_init(&dropped, 1024);
        ir_request_init(&r, &arena, DIALECT_CHAT);
        r.names = rows[i].from->fields;
        add(&r, rows[i].text, rows[i].signature, rows[i].redacted);
        provenance_settle(&r, rows[i].from, rows[i].to, slice_str(rows[i].model), &dropped);
        assert_int_equal(r.messages != NULL, rows[i].message);
        assert_int_equal(ir_noted(&r, IR_F_REASONING_SIGNATURE), rows[i].left != NULL);
        assert_int_equal(dropped.len > 0, rows[i].left == NULL);
        if (rows[i].left)
            assert_true(ir_text_is(r.messages->parts->signature, slice_str(rows[i].left)));
        else if (r.messages)
            assert_int_equal(r.messages->parts->signature.s.n, 0);
        buf_release(&dropped);
    }
}

/* What is all encrypted stays so, though the dialect between has one place for both. */
static void test_redacted_comes_back_redacted(void **state)
{
    struct ir_request r;
    ir_request_init(&r, &arena, DIALECT_CHAT);
    add(&r, "", "gwSignedCld1YQ==", false);
    provenance_settle(&r, &codec_gemini, &codec_anthropic, SLICE_LIT("c"), NULL);
    assert_true(r.messages->parts->redacted);
}

/* ---- answers ---- */

static void test_answers(void **state)
{
    static const struct {
        const struct codec *from, *to;
        enum ir_maker said;
        const char *signature;
    } rows[] = {
        {&codec_anthropic, &codec_anthropic, IR_MAKER_UNSAID, "a_"},
        {&codec_anthropic, &codec_bedrock, IR_MAKER_UNSAID, "a_"},
        {&codec_anthropic, &codec_openai_responses, IR_MAKER_UNSAID, "gwSignedCld0a_"},
        {&codec_anthropic, &codec_gemini, IR_MAKER_UNSAID, "gwSignedCldAYV8="},
        {&codec_anthropic, &codec_openai_chat, IR_MAKER_UNSAID, "gwSignedCld0a_"},
        {&codec_openai_chat, &codec_anthropic, IR_MAKER_UNSAID, "gwSignedCht0a_"},
        {&codec_openai_chat, &codec_anthropic, IR_MAKER_CLAUDE, "a_"},
        {&codec_openai_responses, &codec_anthropic, IR_MAKER_UNSAID, "gwSignedOai0a_"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ir_response r;
        ir_response_init(&r, &arena, DIALECT_CHAT);
        struct ir_part *p = ir_add_part(&arena, &ir_add_choice(&r, 0)->parts, IR_PART_REASONING);
        p->text = IR_LIT("t");
        p->signature = IR_LIT("a_");
        p->maker = rows[i].said;
        provenance_mark(&r, rows[i].from, rows[i].to, SLICE_LIT("m"));
        assert_true(ir_text_is(p->signature, slice_str(rows[i].signature)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tags),           cmocka_unit_test(test_escaped_tags),
        cmocka_unit_test(test_what_is_no_tag), cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_formats),        cmocka_unit_test(test_makers),
        cmocka_unit_test(test_requests),       cmocka_unit_test(test_redacted_comes_back_redacted),
        cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
