/*
 * test_rerank.c: the two forms of reranking, each as the other's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/dialect/rerank.h"

#include <stdio.h>

static char told[16384];

struct fixture {
    struct json_doc d;
    struct arena a;
    char mem[64];
    struct ir_request r;
    struct dialect_refusal why;
    struct buf out, dropped;
};

static void open_fixture(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    buf_init(&f->out, 1 << 20);
    buf_init(&f->dropped, 1024);
    arena_init(&f->a, f->mem, sizeof f->mem, 1 << 20);
    json_doc_init(&f->d, JSON_MAX_TOKENS);
}

static void close_fixture(struct fixture *f)
{
    buf_release(&f->out);
    buf_release(&f->dropped);
    json_doc_release(&f->d);
    arena_reset(&f->a);
}

static int read(struct fixture *f, const struct codec *from, const char *json)
{
    assert_int_equal(json_parse(&f->d, json, strlen(json)), 0);
    ir_request_init(&f->r, &f->a, DIALECT_RERANK);
    return from->read_request(&f->d, &f->r, &f->why);
}

static const char *request(const struct codec *from, const struct codec *to, const char *json)
{
    struct fixture f;
    open_fixture(&f);
    struct codec_target t = {.model = SLICE_LIT("up"), .dropped = &f.dropped};
    if (read(&f, from, json) < 0 || ir_check_fields(&f.r, to, &f.dropped, &f.why) < 0 ||
        to->write_request(&f.r, &t, &f.out, &f.why) < 0) {
        assert_non_null(f.why.code);
        snprintf(told, sizeof told, "%s: %s", f.why.param, f.why.message);
    } else
        snprintf(told, sizeof told, "%.*s%s%.*s", SLICE_FMT(buf_slice(&f.out)),
                 f.dropped.len ? " | dropped: " : "", SLICE_FMT(buf_slice(&f.dropped)));
    close_fixture(&f);
    return told;
}

static void test_requests(void **state)
{
    static const struct codec *const openai = &codec_openai_rerank, *const own =
                                                                        &codec_cohere_rerank;
    static const struct {
        const struct codec *from, *to;
        const char *json, *want;
    } cases[] = {
        {openai, own,
         "{\"model\":\"m\",\"query\":\"q\\u0021\",\"documents\":[\"a\",{\"text\":\"b\",\"x\":1}],"
         "\"top_n\":2,\"return_documents\":true,\"max_tokens_per_doc\":9,\"rank_fields\":[\"text\"]"
         "}",
         "{\"model\":\"up\",\"query\":\"q\\u0021\",\"documents\":[\"a\",\"b\"],\"top_n\":2,"
         "\"max_tokens_per_doc\":9}"},
        {own, openai,
         "{\"query\":\"q\",\"documents\":[\"a\"],\"max_tokens_per_doc\":9,\"priority\":1,"
         "\"odd\":{}}",
         "{\"model\":\"up\",\"query\":\"q\",\"documents\":[\"a\"]} | dropped: max_tokens_per_doc, "
         "priority, odd"},
        {openai, own, "{\"query\":\"q\",\"documents\":[\"a\"],\"rank_fields\":[\"x\"]}",
         "rank_fields: 'rank_fields' can't be sent to this model, whose provider speaks "
         "cohere.rerank: documents are ranked by their text."},
        {own, openai, "{\"query\":\"q\",\"documents\":[{\"text\":\"a\"}]}",
         "documents[0]: 'documents[0]' must be a string, not an object."},
        {own, openai, "{\"query\":\"q\",\"query\":\"r\",\"documents\":[\"a\"]}",
         "query: 'query' is given more than once."},
        {own, openai, "{\"query\":null,\"documents\":[\"a\"]}", "query: 'query' is required."},
        {own, openai, "{\"query\":\"q\",\"documents\":[\"a\"],\"top_n\":1.5}",
         "top_n: 'top_n' must be an integer from 1."},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(request(cases[i].from, cases[i].to, cases[i].json), cases[i].want);
}

static const char *answer(const struct codec *caller, const char *asked,
                          const struct codec *provider, const char *json)
{
    struct fixture f;
    struct ir_response r;
    open_fixture(&f);
    assert_int_equal(read(&f, caller, asked), 0);
    struct codec_caller c = {.model = IR_LIT("alias"),
                             .request_id = SLICE_LIT("req"),
                             .request = &f.r,
                             .estimated_input = 77};
    ir_response_init(&r, &f.a, DIALECT_RERANK);
    assert_int_equal(json_parse(&f.d, json, strlen(json)), 0);
    if (provider->read_response(&f.d, &r) < 0)
        snprintf(told, sizeof told, "not read");
    else if (caller->write_response(&r, &c, &f.out) < 0)
        snprintf(told, sizeof told, "not written");
    else
        snprintf(told, sizeof told, "%.*s", SLICE_FMT(buf_slice(&f.out)));
    close_fixture(&f);
    return told;
}

#define ASKED "{\"query\":\"q\",\"documents\":[\"a\",\"b\"]}"
#define ASKED_BACK                                                                                 \
    "{\"query\":\"q\",\"documents\":[\"\\u0061\",{\"text\":\"b\", \"x\":1e0}],"                    \
    "\"return_documents\":true}"
#define COHERE_META "\"meta\":{\"api_version\":{\"version\":\"2\"},\"billed_units\":{"

static void test_answers(void **state)
{
    static const struct codec *const openai = &codec_openai_rerank, *const own =
                                                                        &codec_cohere_rerank;
    static const struct {
        const struct codec *caller;
        const char *asked;
        const struct codec *provider;
        const char *json, *want;
    } cases[] = {
        {openai, ASKED, own,
         "{\"id\":\"x\",\"results\":[{\"index\":1,\"relevance_score\":0.990}],\"meta\":{"
         "\"billed_units\":{\"search_units\":3}}}",
         "{\"id\":\"x\",\"model\":\"alias\",\"results\":[{\"index\":1,\"relevance_score\":0.990}],"
         "\"meta\":{\"billed_units\":{\"search_units\":3}}}"},
        {openai, ASKED_BACK, own,
         "{\"results\":[{\"index\":1,\"relevance_score\":1},{\"index\":0,\"relevance_score\":0}]}",
         "{\"id\":\"req\",\"model\":\"alias\",\"results\":[{\"index\":1,\"relevance_score\":1,"
         "\"document\":{\"text\":\"b\", \"x\":1e0}},{\"index\":0,\"relevance_score\":0,"
         "\"document\":{\"text\":\"\\u0061\"}}],\"usage\":{\"prompt_tokens\":77,\"total_tokens\":"
         "77},\"meta\":{\"billed_units\":{\"input_tokens\":77}}}"},
        {own, ASKED, openai,
         "{\"results\":[{\"index\":0,\"relevance_score\":-1e-3,\"document\":{\"text\":\"a\"}}],"
         "\"usage\":{\"total_tokens\":5}}",
         "{\"id\":\"req\",\"results\":[{\"index\":0,\"relevance_score\":-1e-3}]," COHERE_META
         "\"input_tokens\":5}}}"},
        {own, ASKED, openai, "{\"results\":[],\"usage\":{\"prompt_tokens\":0}}",
         "{\"id\":\"req\",\"results\":[]," COHERE_META "\"input_tokens\":0}}}"},
        {own, ASKED, openai, "{\"results\":[],\"usage\":{\"total_tokens\":-1}}",
         "{\"id\":\"req\",\"results\":[]," COHERE_META "\"input_tokens\":77}}}"},
        {own, ASKED, openai, "{\"results\":[{\"index\":2,\"relevance_score\":1}]}", "not written"},
        {own, ASKED, openai, "{\"results\":[{\"index\":0}]}", "not read"},
        {own, ASKED, openai, "{\"data\":[]}", "not read"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(
            answer(cases[i].caller, cases[i].asked, cases[i].provider, cases[i].json),
            cases[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
