/*
 * test_dialects.c: the table of dialects against the kinds of providers, the routes and the tables
 * of fields: nothing is offered that isn't whole. Run with `write` in the root of the sources it
 * writes docs/translation.md anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/check.h"
#include "gatewayd/dialect/dialects.h"
#include "gatewayd/dialect/fields_doc.h"

#include <stdio.h>
#include <stdlib.h>

static void test_kinds_are_served(void **state)
{
    size_t n;
    const struct provider_kind *kinds = provider_kinds(&n);
    for (size_t i = 0; i < n; i++) {
        unsigned offered = 0;
        for (unsigned op = 0; op < PROVIDER_N_OPS; op++) {
            const char *path = kinds[i].paths[op];
            if (!path || op == PROVIDER_OP_MODELS)
                continue;
            offered++;
            if (!dialects_native(dialects_of_op((enum provider_op)op)))
                fail_msg("%s offers an operation of a dialect that isn't served", kinds[i].name);
            if (strstr(path, "{api_version}") && !kinds[i].needs_api_version)
                fail_msg("%s has {api_version} in a path and doesn't need it", kinds[i].name);
        }
        if (!offered)
            fail_msg("%s offers nothing", kinds[i].name);
    }
}

static void check_fields(const struct codec *c, enum dialect_op op)
{
    for (unsigned f = 0; f < ir_op_fields(op); f++) {
        const struct ir_field_row *row = &c->fields[f];
        if (row->fate == IR_UNSTATED)
            fail_msg("%s has no row for: %s", c->name, ir_op_field_text(op, f));
        if (!row->note || (row->fate != IR_CARRIED && !row->note[0]))
            fail_msg("%s doesn't say how or why: %s", c->name, ir_op_field_text(op, f));
    }
}

static void test_tables_are_whole(void **state)
{
    static const enum dialect_op ops[] = {DIALECT_CHAT, DIALECT_EMBEDDINGS, DIALECT_EMBED_CONTENT,
                                          DIALECT_RERANK};
    for (unsigned id = 1; id < DIALECT_N_IDS; id++) {
        const struct dialect *d = dialects_native((enum dialect_id)id);
        if (!d)
            continue;
        assert_non_null(d->read_request);
        assert_non_null(d->rewrite_request);
        assert_non_null(d->read_response);
        assert_non_null(d->read_error);
        assert_non_null(d->stream_init);
        assert_non_null(d->stream_event);
        assert_non_null(d->error_type);
        assert_non_null(d->write_error);
        assert_non_null(d->write_stream_error);
        for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
            const struct codec *c = dialects_codec((enum dialect_id)id, ops[i]);
            if (!c)
                continue;
            check_fields(c, ops[i]);
            assert_int_equal(c->framing, d->framing);
        }
    }
    assert_null(dialects_codec(DIALECT_OPENAI, DIALECT_COMPLETIONS));
    assert_null(dialects_codec(DIALECT_OPENAI, DIALECT_COUNT_TOKENS));
}

static enum provider_op choose(enum dialect_id id, enum dialect_op op, bool stream,
                               enum provider_op a, enum provider_op b)
{
    return dialects_choose(id, op, stream, PROVIDER_OP_BIT(a) | PROVIDER_OP_BIT(b));
}

static void test_own_dialect_first(void **state)
{
    assert_int_equal(
        choose(DIALECT_OPENAI, DIALECT_CHAT, true, PROVIDER_OP_CHAT, PROVIDER_OP_MESSAGES),
        PROVIDER_OP_CHAT);
    assert_int_equal(
        choose(DIALECT_ANTHROPIC, DIALECT_CHAT, false, PROVIDER_OP_CHAT, PROVIDER_OP_MESSAGES),
        PROVIDER_OP_MESSAGES);
    assert_int_equal(choose(DIALECT_GEMINI, DIALECT_CHAT, true, PROVIDER_OP_GENERATE,
                            PROVIDER_OP_STREAM_GENERATE),
                     PROVIDER_OP_STREAM_GENERATE);
    assert_int_equal(choose(DIALECT_GEMINI, DIALECT_CHAT, false, PROVIDER_OP_GENERATE,
                            PROVIDER_OP_STREAM_GENERATE),
                     PROVIDER_OP_GENERATE);
    /* two operations of one dialect: which of them isn't the table's affair */
    assert_int_equal(choose(DIALECT_ANTHROPIC, DIALECT_CHAT, true, PROVIDER_OP_STREAM_GENERATE,
                            PROVIDER_OP_STREAM_RAW_PREDICT),
                     PROVIDER_OP_STREAM_RAW_PREDICT);
    /* what isn't translated */
    assert_int_equal(
        choose(DIALECT_OPENAI, DIALECT_COMPLETIONS, false, PROVIDER_OP_CHAT, PROVIDER_OP_MESSAGES),
        PROVIDER_N_OPS);
    assert_int_equal(choose(DIALECT_ANTHROPIC, DIALECT_COUNT_TOKENS, false, PROVIDER_OP_CHAT,
                            PROVIDER_OP_CONVERSE),
                     PROVIDER_N_OPS);
    /* one input goes as a list to another dialect, and as one to its own */
    assert_int_equal(choose(DIALECT_GEMINI, DIALECT_EMBED_CONTENT, false, PROVIDER_OP_BATCH_EMBED,
                            PROVIDER_OP_EMBED_CONTENT),
                     PROVIDER_OP_EMBED_CONTENT);
    assert_int_equal(choose(DIALECT_GEMINI, DIALECT_EMBED_CONTENT, false, PROVIDER_OP_EMBEDDINGS,
                            PROVIDER_OP_COMPLETIONS),
                     PROVIDER_OP_EMBEDDINGS);
}

static void test_families(void **state)
{
    static const struct provider_family families[] = {
        {"claude-*", 1}, {"*/*", 2}, {"*vendor.embed-*", 4}, {"exact", 8}, {NULL, 0}};
    static const struct {
        const char *model;
        uint64_t ops;
    } cases[] = {{"claude-x@1", 1},
                 {"claude-", 1},
                 {"claude", 0},
                 {"meta/llama", 2},
                 {"us.vendor.embed-3", 4},
                 {"vendor.embed-", 4},
                 {"us.vendor.embed", 0},
                 {"exact", 8},
                 {"exactly", 0},
                 {"", 0}};
    struct provider_kind kind = {.name = "test", .families = families};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (provider_model_ops(&kind, slice_str(cases[i].model)) != cases[i].ops)
            fail_msg("%s", cases[i].model);
    kind.families = NULL;
    assert_true(provider_model_ops(&kind, SLICE_LIT("exact")) == UINT64_MAX);
}

static void test_every_pair_of_chats(void **state)
{
    for (unsigned from = 1; from < DIALECT_N_IDS; from++)
        for (unsigned to = 1; to < DIALECT_N_IDS; to++)
            for (int stream = 0; stream < 2; stream++) {
                enum provider_op op = dialects_op((enum dialect_id)to, DIALECT_CHAT, stream != 0);
                bool both = dialects_codec((enum dialect_id)from, DIALECT_CHAT) &&
                            dialects_codec((enum dialect_id)to, DIALECT_CHAT);
                if (to == DIALECT_OPENAI_RELAY || to == DIALECT_GEMINI_CACHE) {
                    assert_int_equal(op, PROVIDER_N_OPS);
                    continue;
                }
                assert_int_not_equal(op, PROVIDER_N_OPS);
                assert_int_equal(choose((enum dialect_id)from, DIALECT_CHAT, stream != 0, op, op),
                                 from == to || both ? op : PROVIDER_N_OPS);
            }
}

static const struct {
    const char *path;
    int (*write)(struct buf *out);
} pages[] = {
    {"docs/translation.md", dialects_write_reference},
    {"docs/translation.json", dialects_write_reference_json},
};

static struct buf generated(size_t i)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    GW_REQUIRE(pages[i].write(&b) == 0);
    return b;
}

static void test_pages_are_current(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        struct buf want = generated(i);
        char *have = gw_xcalloc(1, want.len + 2);
        FILE *f = fopen(pages[i].path, "r");
        if (!f)
            fail_msg("%s can't be read; run in the root of the sources", pages[i].path);
        size_t n = fread(have, 1, want.len + 1, f);
        fclose(f);
        if (n != want.len || memcmp(have, want.data, n) != 0)
            fail_msg("%s is not what the tables say: build/unit/test_dialects write",
                     pages[i].path);
        free(have);
        buf_release(&want);
    }
}

static int write_pages(void)
{
    bool ok = true;
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        struct buf b = generated(i);
        FILE *f = fopen(pages[i].path, "w");
        ok = ok && f && fwrite(b.data, 1, b.len, f) == b.len;
        ok = f && fclose(f) == 0 && ok;
        buf_release(&b);
    }
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "write") == 0)
        return write_pages();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_are_served),    cmocka_unit_test(test_tables_are_whole),
        cmocka_unit_test(test_own_dialect_first),   cmocka_unit_test(test_families),
        cmocka_unit_test(test_every_pair_of_chats), cmocka_unit_test(test_pages_are_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
