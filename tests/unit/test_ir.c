/*
 * test_ir.c: texts that keep their spelling, tool calls and their results, what a dialect can't
 * say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/dialect/codec.h"

#include <stdio.h>
#include <stdlib.h>

static struct json_doc doc;
static struct arena arena;

static int set_up(void **state)
{
    json_doc_init(&doc, 1024);
    arena_init(&arena, NULL, 0, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    json_doc_release(&doc);
    arena_reset(&arena);
    return 0;
}

/* json is a string value; it must stand as long as the text. */
static struct ir_text text_of(const char *json)
{
    assert_int_equal(json_parse(&doc, json, strlen(json)), 0);
    return ir_text_of(&doc, JSON_ROOT);
}

static void test_texts(void **state)
{
    static const struct {
        const char *json, *plain;
    } cases[] = {
        {"\"abc\"", "abc"},         {"\"\"", ""},
        {"\"a\\nb\"", "a\nb"},      {"\"\\u00e9\\ud83d\\ude00\"", "\xc3\xa9\xf0\x9f\x98\x80"},
        {"\"a\\\"\\\\\"", "a\"\\"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[64];
        struct json_writer w;
        size_t n;
        struct ir_text t = text_of(cases[i].json);
        assert_true(slice_eq_str(ir_decode(&arena, t), cases[i].plain));
        assert_true(ir_text_is(t, slice_str(cases[i].plain)));
        assert_true(ir_text_eq(t, ir_plain(slice_str(cases[i].plain))));
        assert_int_equal(ir_text_bytes(t), strlen(cases[i].plain));
        jw_init_fixed(&w, out, sizeof out);
        ir_write_str(&w, t);
        assert_int_equal(jw_finish(&w, &n), 0);
        assert_true(slice_eq_str(slice_of(out, n), cases[i].json));
    }
    assert_false(ir_has(text_of("7")));
    assert_null(ir_decode(&arena, text_of("\"\\ud800\"")).p);
    assert_false(ir_text_is(text_of("\"\\ud800\""), SLICE_LIT("?")));
}

static void test_joined_texts(void **state)
{
    char out[64];
    struct json_writer w;
    size_t n;
    struct ir_text parts[] = {IR_LIT("data:"), text_of("\"a\\tb\""), IR_LIT("\"")};
    jw_init_fixed(&w, out, sizeof out);
    ir_write_str_parts(&w, parts, ARRAY_LEN(parts));
    assert_int_equal(jw_finish(&w, &n), 0);
    assert_true(slice_eq_str(slice_of(out, n), "\"data:a\\tb\\\"\""));
}

static void test_arguments(void **state)
{
    static const struct {
        const char *json, *object; /* NULL: refused */
    } cases[] = {
        {"\"{\\\"a\\\":[1,\\\"\\\\n\\\"]}\"", "{\"a\":[1,\"\\n\"]}"},
        {"\" {} \"", "{}"},
        {"\"\"", "{}"},
        {"\"[]\"", NULL},
        {"\"{\"", NULL},
        {"\"{\\\"a\\\":1}x\"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[64];
        struct json_writer w;
        size_t n;
        jw_init_fixed(&w, out, sizeof out);
        int rc = ir_write_object(&w, &arena, text_of(cases[i].json));
        assert_int_equal(rc, cases[i].object ? 0 : -1);
        if (rc == 0) {
            assert_int_equal(jw_finish(&w, &n), 0);
            assert_true(slice_eq_str(slice_of(out, n), cases[i].object));
        }
    }
}

/* ---- tools ---- */

/* A history in words: c:ID:NAME a call, r:ID:NAME a result; either may be empty. Each is a message
 * of its own. */
static struct ir_request *history(const char *script)
{
    struct ir_request *r = arena_alloc(&arena, sizeof *r);
    uint32_t index = 0;
    ir_request_init(r, &arena, DIALECT_CHAT);
    for (struct slice rest = arena_dup(&arena, slice_str(script)); rest.p; index++) {
        struct slice word = slice_split(&rest, ' ');
        struct slice kind = slice_split(&word, ':'), id = slice_split(&word, ':');
        bool call = slice_eq_str(kind, "c");
        struct ir_message *m = ir_add_message(r, call ? IR_ASSISTANT : IR_TOOL, index);
        struct ir_part *p =
            ir_add_part(&arena, &m->parts, call ? IR_PART_TOOL_CALL : IR_PART_TOOL_RESULT);
        p->call_id = ir_plain(id);
        p->name = ir_plain(word);
    }
    return r;
}

static void told(const struct ir_request *r, char *out, size_t cap)
{
    out[0] = 0;
    for (const struct ir_message *m = r->messages; m; m = m->next)
        for (const struct ir_part *p = m->parts; p; p = p->next) {
            size_t n = strlen(out);
            snprintf(out + n, cap - n, "%s%c:%.*s:%.*s", n ? " " : "",
                     p->kind == IR_PART_TOOL_CALL ? 'c' : 'r', SLICE_FMT(p->call_id.s),
                     SLICE_FMT(p->name.s));
        }
}

static void test_links(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"c:1:f r:1:", "c:1:f r:1:f"},
        {"c:1:f c:2:g r:2: r:1:", "c:1:f c:2:g r:2:g r:1:f"},
        /* without ids: by name, in order */
        {"c::f c::f r::f r::f", "c:call_0_0:f c:call_1_0:f r:call_0_0:f r:call_1_0:f"},
        {"c::f c::g r::g r::f", "c:call_0_0:f c:call_1_0:g r:call_1_0:g r:call_0_0:f"},
        /* an id that is used again: the newest call counts */
        {"c:1:f r:1: c:1:g r:1:", "c:1:f r:1:f c:1:g r:1:g"},
        /* a call that has no result yet */
        {"c:1:f", "c:1:f"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_refusal why;
        char out[256];
        struct ir_request *r = history(cases[i].in);
        assert_int_equal(ir_link_tools(r, &why), 0);
        told(r, out, sizeof out);
        assert_string_equal(out, cases[i].out);
    }
}

/* Nothing in it takes steps by the square of what a body holds: it would take minutes. */
static void test_many_links(void **state)
{
    enum { MANY = 100000 };
    for (int by_name = 0; by_name < 2; by_name++) {
        struct arena a;
        struct ir_request r;
        struct dialect_refusal why;
        arena_init(&a, NULL, 0, (size_t)1 << 30);
        ir_request_init(&r, &a, DIALECT_CHAT);
        struct ir_message *m = ir_add_message(&r, IR_ASSISTANT, 0);
        for (int i = 0; i < 2 * MANY; i++) {
            struct ir_part *p =
                ir_add_part(&a, &m->parts, i < MANY ? IR_PART_TOOL_CALL : IR_PART_TOOL_RESULT);
            char id[16];
            snprintf(id, sizeof id, "%d", i % MANY);
            p->name = IR_LIT("f");
            if (!by_name)
                p->call_id = ir_plain(arena_dup(&a, slice_str(id)));
            ir_note_unknown(&r, "x[%d]", i);
            assert_non_null(ir_add_tool(&r));
        }
        assert_int_equal(ir_link_tools(&r, &why), 0);
        assert_true(ir_text_eq(r.messages->parts->last->call_id,
                               by_name ? IR_LIT("call_0_99999") : IR_LIT("99999")));
        arena_reset(&a);
    }
}

static void test_broken_links(void **state)
{
    static const struct {
        const char *in, *param;
    } cases[] = {
        {"r:1:", "messages[0]"},
        {"c:1:f r:2:", "messages[1]"},
        {"c:1:f r:1: r:1:", "messages[2]"},
        {"c::f r::g", "messages[1]"},
        {"c::f r::f r::f", "messages[2]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_refusal why;
        assert_int_equal(ir_link_tools(history(cases[i].in), &why), -1);
        assert_string_equal(why.param, cases[i].param);
        assert_string_equal(why.code, "invalid_value");
        assert_true(why.message[0]);
    }
}

/* A signature goes out in an id and comes back from it. */
static void test_signed_ids(void **state)
{
    static const char *const signatures[] = {"YWJj", "YWI=", "YQ==", "+/+/"};
    for (size_t i = 0; i < ARRAY_LEN(signatures); i++) {
        char out[128], script[160], again[256];
        struct json_writer w;
        struct dialect_refusal why;
        size_t n;
        jw_init_fixed(&w, out, sizeof out);
        ir_write_signed_id(&w, IR_LIT("call_1"), ir_plain(slice_str(signatures[i])));
        assert_int_equal(jw_finish(&w, &n), 0);
        for (size_t k = 1; k < n - 1; k++) /* what every dialect takes in an id */
            assert_non_null(
                strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", out[k]));
        snprintf(script, sizeof script, "c:%.*s:f r:%.*s:", (int)n - 2, out + 1, (int)n - 2,
                 out + 1);
        struct ir_request *r = history(script);
        assert_int_equal(ir_link_tools(r, &why), 0);
        told(r, again, sizeof again);
        assert_string_equal(again, "c:call_1:f r:call_1:f");
        assert_true(slice_eq_str(r->messages->parts->signature.s, signatures[i]));
        assert_true(ir_noted(r, IR_F_REASONING_SIGNATURE));
    }
}

/* ---- what a dialect can't say ---- */

static void test_check_fields(void **state)
{
    static struct ir_field_row rows[IR_FIELD_COUNT], names[IR_FIELD_COUNT];
    const struct codec target = {.name = "there", .fields = rows};
    struct dialect_refusal why;
    struct ir_request r;
    struct buf dropped;
    for (size_t f = 0; f < IR_FIELD_COUNT; f++)
        rows[f] = (struct ir_field_row){NULL, IR_CARRIED, ""};
    rows[IR_F_TOP_K].fate = rows[IR_F_SEED].fate = IR_DROPPED;
    rows[IR_F_N] = (struct ir_field_row){NULL, IR_REFUSED, "one answer only"};
    names[IR_F_TOP_K].member = "config.topK";
    names[IR_F_N].member = "candidates";
    buf_init(&dropped, 64);
    ir_request_init(&r, &arena, DIALECT_CHAT);
    r.names = names;
    ir_note(&r, IR_F_TOOLS);
    assert_int_equal(ir_check_fields(&r, &target, &dropped, &why), 0);
    assert_int_equal(dropped.len, 0);
    ir_note(&r, IR_F_TOP_K);
    ir_note(&r, IR_F_SEED);
    ir_note_unknown(&r, "messages[%d].foo", 2);
    assert_int_equal(ir_check_fields(&r, &target, &dropped, &why), 0);
    assert_true(slice_eq_str(buf_slice(&dropped), "config.topK, seed, messages[2].foo"));
    for (int i = 0; i < 9; i++)
        ir_note_unknown(&r, "member_%d", i);
    dropped.len = 0;
    assert_int_equal(ir_check_fields(&r, &target, &dropped, &why), 0);
    assert_true(dropped.len <= 64);
    assert_memory_equal(dropped.data + dropped.len - 5, ", ...", 5);
    ir_note(&r, IR_F_N);
    assert_int_equal(ir_check_fields(&r, &target, &dropped, &why), -1);
    assert_string_equal(why.param, "candidates");
    assert_string_equal(why.code, "unsupported_parameter");
    assert_non_null(strstr(why.message, "there: one answer only"));
    rows[IR_F_TOOLS].fate = IR_UNSTATED;
    r.fields = 0;
    ir_note(&r, IR_F_TOOLS);
    assert_int_equal(ir_check_fields(&r, &target, &dropped, &why), -1);
    buf_release(&dropped);
}

static void test_places(void **state)
{
    char out[64];
    size_t n = ir_place_text(out, sizeof out, 0, "messages.");
    n = ir_place_index(out, sizeof out, n, 0);
    assert_string_equal(out, "messages.0");
    assert_int_equal(n, 10);
    n = ir_place_index(out, sizeof out, ir_place_text(out, sizeof out, n, "."), UINT32_MAX);
    assert_string_equal(out, "messages.0.4294967295");
    for (size_t cap = 1; cap < 12; cap++) {
        n = ir_place_index(out, cap, ir_place_text(out, cap, 0, "tools."), 1203);
        assert_int_equal(n, GW_MIN(cap - 1, strlen("tools.1203")));
        assert_memory_equal(out, "tools.1203", n);
        assert_int_equal(out[n], '\0');
    }
}

static void test_sse_head(void **state)
{
    struct buf b;
    buf_init(&b, 40);
    assert_int_equal(ir_begin_sse(&b, SLICE_LIT("ping")), 0);
    assert_true(slice_eq_str(buf_slice(&b), "event: ping\ndata: "));
    assert_int_equal(ir_begin_sse(&b, SLICE_LIT("content_block_delta")), -1);
    assert_int_equal(b.len, strlen("event: ping\ndata: "));
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),        cmocka_unit_test(test_joined_texts),
        cmocka_unit_test(test_arguments),    cmocka_unit_test(test_links),
        cmocka_unit_test(test_broken_links), cmocka_unit_test(test_many_links),
        cmocka_unit_test(test_signed_ids),   cmocka_unit_test(test_check_fields),
        cmocka_unit_test(test_places),       cmocka_unit_test(test_sse_head),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
