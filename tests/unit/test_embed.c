/*
 * test_embed.c: the codecs of embeddings: bodies of one dialect as another's, answers back, vectors
 * in both spellings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/crypto.h"
#include "gatewayd/dialect/embed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static char told[65536];

struct fixture {
    struct json_doc d;
    struct arena a;
    char mem[64];
    struct ir_request r;
    struct ir_response answer;
    struct buf out, dropped;
};

static void open_fixture(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    buf_init(&f->out, 1 << 20);
    buf_init(&f->dropped, 1024);
    arena_init(&f->a, f->mem, sizeof f->mem, 1 << 22);
    json_doc_init(&f->d, JSON_MAX_TOKENS);
}

static void close_fixture(struct fixture *f)
{
    buf_release(&f->out);
    buf_release(&f->dropped);
    json_doc_release(&f->d);
    arena_reset(&f->a);
}

static int read(struct fixture *f, const struct codec *from, enum dialect_op op, const char *json,
                struct dialect_refusal *why)
{
    memset(why, 0, sizeof *why);
    assert_int_equal(json_parse(&f->d, json, strlen(json)), 0);
    ir_request_init(&f->r, &f->a, op);
    return from->read_request(&f->d, &f->r, why);
}

/* The body as the second codec writes it, " | dropped: …" behind it; or "param: message". */
static const char *request(const struct codec *from, const struct codec *to, const char *model,
                           const char *json)
{
    struct fixture f;
    struct dialect_refusal why;
    enum dialect_op op =
        from == &codec_gemini_embed_content ? DIALECT_EMBED_CONTENT : DIALECT_EMBEDDINGS;
    open_fixture(&f);
    struct codec_target t = {.model = slice_str(model), .dropped = &f.dropped};
    if (read(&f, from, op, json, &why) < 0 || ir_check_fields(&f.r, to, &f.dropped, &why) < 0 ||
        to->write_request(&f.r, &t, &f.out, &why) < 0) {
        assert_non_null(why.code);
        snprintf(told, sizeof told, "%s: %s", why.param, why.message);
    } else
        snprintf(told, sizeof told, "%.*s%s%.*s", SLICE_FMT(buf_slice(&f.out)),
                 f.dropped.len ? " | dropped: " : "", SLICE_FMT(buf_slice(&f.dropped)));
    close_fixture(&f);
    return told;
}

#define OPENAI "text-embedding-3-small"
#define TITAN2 "amazon.titan-embed-text-v2:0"

static void test_requests(void **state)
{
    static const struct {
        const struct codec *from, *to;
        const char *model, *json, *want;
    } cases[] = {
        {&codec_openai_embed, &codec_gemini_embed, "g",
         "{\"model\":\"x\",\"input\":\"a\\u0062\",\"dimensions\":8,\"input_type\":\"query\"}",
         "{\"requests\":[{\"model\":\"models/g\",\"content\":{\"parts\":[{\"text\":\"a\\u0062\"}]},"
         "\"taskType\":\"RETRIEVAL_QUERY\",\"outputDimensionality\":8}]}"},
        {&codec_openai_embed, &codec_openai_embed, OPENAI,
         "{\"input\":[[1,2],[3]],\"encoding_format\":\"base64\",\"user\":\"u\"}",
         "{\"model\":\"" OPENAI "\",\"input\":[[1,2],[3]],\"user\":\"u\"}"},
        {&codec_openai_embed, &codec_openai_embed, OPENAI, "{\"input\":[1,2]}",
         "{\"model\":\"" OPENAI "\",\"input\":[1,2]}"},
        {&codec_openai_embed, &codec_openai_embed, OPENAI, "{\"input\":[\"a\"],\"odd\":1}",
         "{\"model\":\"" OPENAI "\",\"input\":[\"a\"]} | dropped: odd"},
        {&codec_openai_embed, &codec_bedrock_embed, "arn:aws:x/" TITAN2,
         "{\"input\":[\"a\"],\"dimensions\":256}", "{\"inputText\":\"a\",\"dimensions\":256}"},
        {&codec_openai_embed, &codec_bedrock_embed, "us.cohere.embed-v4:0",
         "{\"input\":[\"a\",\"b\"],\"dimensions\":256,\"input_type\":\"clustering\"}",
         "{\"texts\":[\"a\",\"b\"],\"input_type\":\"clustering\",\"embedding_types\":[\"float\"],"
         "\"output_dimension\":256}"},
        {&codec_gemini_embed_content, &codec_openai_embed, OPENAI,
         "{\"model\":\"models/x\",\"content\":{\"parts\":[{\"text\":\"a\"},{\"text\":\"\\n\"}]},"
         "\"task_type\":\"CODE_RETRIEVAL_QUERY\"}",
         "{\"model\":\"" OPENAI "\",\"input\":\"a\\n\"} | dropped: taskType"},
        {&codec_gemini_embed, &codec_bedrock_embed, "cohere.embed-english-v3",
         "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"taskType\":"
         "\"FACT_VERIFICATION\"}]}",
         "{\"texts\":[\"a\"],\"input_type\":\"search_query\",\"embedding_types\":[\"float\"]}"},
        /* refusals */
        {&codec_openai_embed, &codec_bedrock_embed, "amazon.nova-pro", "{\"input\":\"a\"}",
         "model: The model behind this name is no text embeddings model of Amazon Titan or Cohere, "
         "of which Bedrock's bodies are known."},
        {&codec_openai_embed, &codec_bedrock_embed, TITAN2, "{\"input\":[\"a\",\"b\"]}",
         "input: This model (Amazon Titan) embeds one text a request, not 2: give one input at a "
         "time."},
        {&codec_openai_embed, &codec_gemini_embed, "g", "{\"input\":[[1]]}",
         "input: 'input' can't be sent to this model, whose provider speaks "
         "gemini.batchEmbedContents: the API takes text, not token ids."},
        {&codec_openai_embed, &codec_gemini_embed, "g", "{\"input\":{}}",
         "input: 'input' must be a string, an array of strings, an array of token ids, or an array "
         "of these, not an object."},
        {&codec_openai_embed, &codec_gemini_embed, "g", "{\"input\":[\"a\",null]}",
         "input[1]: 'input[1]' must be a string or an array of token ids, not null."},
        {&codec_openai_embed, &codec_gemini_embed, "g", "{\"input\":\"a\",\"input\":\"b\"}",
         "input: 'input' is given more than once."},
        {&codec_gemini_embed, &codec_openai_embed, OPENAI,
         "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"\\ud800\"},{\"text\":\"\"}]}}]}",
         "requests[0].content.parts.text: 'requests[0].content.parts.text' must be valid Unicode, "
         "not a string."},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(request(cases[i].from, cases[i].to, cases[i].model, cases[i].json),
                            cases[i].want);
}

/* A batch of more than Google takes. */
static void test_largest_batch(void **state)
{
    char json[2048] = "{\"input\":[\"a\"";
    for (int i = 1; i < 100; i++)
        strcat(json, ",\"a\"");
    char *end = json + strlen(json);
    strcpy(end, "]}");
    assert_non_null(strstr(request(&codec_openai_embed, &codec_gemini_embed, "g", json), "{\"req"));
    strcpy(end, ",\"a\"]}");
    assert_non_null(
        strstr(request(&codec_openai_embed, &codec_gemini_embed, "g", json), "at most 100 inputs"));
}

/* What the caller gets of a provider's answer to `asked`. */
static const char *answer(const struct codec *caller, const char *asked,
                          const struct codec *provider, const char *json)
{
    struct fixture f;
    struct dialect_refusal why;
    open_fixture(&f);
    assert_int_equal(read(&f, caller, DIALECT_EMBEDDINGS, asked, &why), 0);
    struct codec_caller c = {
        .model = IR_LIT("alias"), .request = &f.r, .estimated_input = 77, .now_s = 7};
    ir_response_init(&f.answer, &f.a, DIALECT_EMBEDDINGS);
    assert_int_equal(json_parse(&f.d, json, strlen(json)), 0);
    if (provider->read_response(&f.d, &f.answer) < 0)
        snprintf(told, sizeof told, "not read");
    else if (caller->write_response(&f.answer, &c, &f.out) < 0)
        snprintf(told, sizeof told, "not written");
    else
        snprintf(told, sizeof told, "%.*s", SLICE_FMT(buf_slice(&f.out)));
    close_fixture(&f);
    return told;
}

#define ONE_OPENAI(v, n)                                                                           \
    "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":" v        \
    "}],\"model\":\"alias\",\"usage\":{\"prompt_tokens\":" n ",\"total_tokens\":" n "}}"

static void test_answers(void **state)
{
    static const char one[] = "{\"input\":\"a\"}";
    static const char packed[] = "{\"input\":\"a\",\"encoding_format\":\"base64\"}";
    static const char batch[] = "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}";
    static const struct {
        const struct codec *caller;
        const char *asked;
        const struct codec *provider;
        const char *json, *want;
    } cases[] = {
        {&codec_openai_embed, one, &codec_gemini_embed,
         "{\"embeddings\":[{\"values\":[1e-2, 2]}],\"usageMetadata\":{\"promptTokenCount\":5}}",
         ONE_OPENAI("[1e-2, 2]", "5")},
        {&codec_openai_embed, one, &codec_gemini_embed, "{\"embeddings\":[{\"values\":[1]}]}",
         ONE_OPENAI("[1]", "77")},
        {&codec_openai_embed, packed, &codec_bedrock_embed,
         "{\"embedding\":[1, -2.5, 0.1],\"inputTextTokenCount\":3}",
         ONE_OPENAI("\"AACAPwAAIMDNzMw9\"", "3")},
        {&codec_openai_embed, packed, &codec_bedrock_embed,
         "{\"embeddings\":{\"float\":[[1,2]]},\"id\":\"x\"}", ONE_OPENAI("\"AACAPwAAAEA=\"", "77")},
        {&codec_openai_embed, one, &codec_bedrock_embed, "{\"embeddings\":[[1,2]]}",
         ONE_OPENAI("[1,2]", "77")},
        {&codec_gemini_embed, batch, &codec_openai_embed,
         "{\"data\":[{\"embedding\":\"AACAPwAAIMDNzMw9\"}],\"model\":\"m\",\"usage\":{"
         "\"prompt_tokens\":3,\"total_tokens\":3}}",
         "{\"embeddings\":[{\"values\":[1,-2.5,0.1]}],\"usageMetadata\":{\"promptTokenCount\":3}}"},
        {&codec_gemini_embed, batch, &codec_openai_embed,
         "{\"data\":[{\"embedding\":\"AACA\\/w==\"}]}",
         "not written"}, /* NaN is no number of JSON */
        {&codec_openai_embed, packed, &codec_gemini_embed, "{\"embeddings\":[{\"values\":[1e99]}]}",
         "not written"},
        {&codec_openai_embed, one, &codec_gemini_embed, "{\"embeddings\":[]}", "not written"},
        {&codec_openai_embed, one, &codec_gemini_embed, "{\"embeddings\":[{}]}", "not read"},
        {&codec_gemini_embed, batch, &codec_openai_embed, "{\"data\":[{\"embedding\":\"AAA=\"}]}",
         "not read"},
        {&codec_gemini_embed, batch, &codec_openai_embed, "{\"data\":[{\"embedding\":\"AA=A\"}]}",
         "not read"},
        {&codec_gemini_embed, batch, &codec_openai_embed,
         "{\"data\":[{\"index\":1,\"embedding\":[1]}]}", "not read"},
        {&codec_gemini_embed, batch, &codec_openai_embed,
         "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":0,\"embedding\":[1]}]}",
         "not read"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(
            answer(cases[i].caller, cases[i].asked, cases[i].provider, cases[i].json),
            cases[i].want);
}

static struct slice quoted(struct fixture *f, const struct ir_vector *v, bool base64)
{
    struct json_writer w;
    size_t n;
    jw_init_buf(&w, &f->out);
    size_t before = f->out.len;
    (base64 ? ir_write_base64 : ir_write_numbers)(&w, v);
    assert_int_equal(jw_finish(&w, &n), 0);
    return slice_of(f->out.data + before, f->out.len - before);
}

/* Any bits but those of no number, to base64, to numbers and back again. */
static void test_floats_come_back(void **state)
{
    enum { N = 4096 };
    struct fixture f;
    uint32_t bits[N];
    open_fixture(&f);
    assert_int_equal(buf_reserve(&f.out, 1 << 19), 0); /* nothing moves */
    crypto_random(bits, sizeof bits);
    bits[0] = 0x80000000; /* -0 */
    bits[1] = 1;          /* the least */
    bits[2] = 0x7f7fffff; /* the greatest */
    bits[3] = 0x00800000;
    char *numbers = malloc(N * 32);
    size_t n = 0;
    numbers[n++] = '[';
    for (int i = 0; i < N; i++) {
        float x;
        memcpy(&x, &bits[i], sizeof x);
        if (!isfinite(x))
            x = (float)i;
        memcpy(&bits[i], &x, sizeof x);
        n += (size_t)sprintf(numbers + n, "%s%.17g", i ? " , " : "", (double)x);
    }
    numbers[n++] = ']';
    struct ir_vector v = {.numbers = slice_of(numbers, n)}, back = {0}, again = {0};
    struct slice packed = quoted(&f, &v, true);
    assert_int_equal(json_parse(&f.d, packed.p, packed.n), 0);
    assert_int_equal(ir_read_base64(&f.d, JSON_ROOT, &f.a, &back), 0);
    struct slice spelled = quoted(&f, &back, false);
    assert_int_equal(json_parse(&f.d, spelled.p, spelled.n), 0);
    assert_int_equal(ir_read_numbers(&f.d, JSON_ROOT, &again), 0);
    struct slice repacked = quoted(&f, &again, true);
    assert_true(slice_eq(packed, repacked));
    uint32_t i = 0;
    json_foreach_element(&f.d, JSON_ROOT, e)
    {
        float x = strtof(json_raw(&f.d, e).p, NULL);
        assert_memory_equal(&x, &bits[i++], sizeof x);
    }
    assert_int_equal(i, N);
    free(numbers);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_largest_batch),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_floats_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
