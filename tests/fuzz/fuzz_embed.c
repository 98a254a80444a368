/*
 * fuzz_embed.c: whatever the readers of embeddings and of reranking take, every writer can write,
 * as JSON; what it can't is a refusal with its words.
 *
 * The first byte chooses the reader and the writer, its top bit an answer instead of a request;
 * from 72 on (of the rest) it is about reranking.
 */
#include "common/check.h"
#include "gatewayd/dialect/embed.h"
#include "gatewayd/dialect/rerank.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 1 << 22 };

static const struct codec *const callers[] = {&codec_openai_embed, &codec_gemini_embed,
                                              &codec_gemini_embed_content, &codec_cohere_embed};
static const struct codec *const providers[] = {&codec_openai_embed, &codec_gemini_embed,
                                                &codec_bedrock_embed, &codec_cohere_embed};
static const struct codec *const rankers[] = {&codec_openai_rerank, &codec_cohere_rerank};
static const char *const models[] = {"amazon.titan-embed-text-v1", "amazon.titan-embed-text-v2:0",
                                     "cohere.embed-english-v3", "cohere.embed-v4:0"};

/* The two ends of a translation. */
struct pair {
    enum dialect_op op;
    const struct codec *caller, *provider;
    bool base64;
    struct slice model;
};
enum { EMBEDDING_PAIRS = 72 };

static struct pair pair_of(unsigned choice)
{
    struct pair p = {.op = DIALECT_EMBEDDINGS, .model = slice_str(models[choice / 16 % 4])};
    if (choice >= EMBEDDING_PAIRS) {
        p.op = DIALECT_RERANK;
        p.caller = rankers[choice % 2];
        p.provider = rankers[choice / 2 % 2];
        return p;
    }
    p.caller = callers[choice % 4];
    p.provider = providers[choice / 4 % 4];
    p.base64 = choice / 16 % 2;
    return p;
}

static void run_request(struct json_doc *d, struct arena *a, struct pair p, struct buf *out)
{
    struct ir_request r;
    struct dialect_refusal why = {0};
    struct buf dropped;
    struct codec_target t = {.model = p.model, .dropped = &dropped};
    buf_init(&dropped, 256);
    ir_request_init(&r, a, p.op);
    if (p.caller->read_request(d, &r, &why) < 0 ||
        ir_check_fields(&r, p.provider, &dropped, &why) < 0 ||
        p.provider->write_request(&r, &t, out, &why) < 0)
        GW_REQUIRE(why.message[0] && why.code);
    else
        GW_REQUIRE(json_parse(d, out->data, out->len) == 0);
    buf_release(&dropped);
}

static void run_answer(struct json_doc *d, struct arena *a, struct pair p, struct buf *out)
{
    struct ir_request asked;
    struct ir_response r;
    struct codec_caller c = {
        .model = IR_LIT("m"), .request_id = SLICE_LIT("id"), .request = &asked};
    ir_request_init(&asked, a, p.op);
    ir_response_init(&r, a, p.op);
    if (p.provider->read_response(d, &r) < 0)
        return;
    if (p.op == DIALECT_RERANK ? !ir_add_rerank(&asked, r.ranks->n)
                               : !ir_add_embed(&asked, r.vectors->n))
        return;
    if (asked.embed)
        asked.embed->base64 = p.base64;
    else
        asked.rerank->return_documents = true;
    if (p.caller->write_response(&r, &c, out) == 0)
        GW_REQUIRE(json_parse(d, out->data, out->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_doc d;
    char mem[1024];
    struct arena a;
    struct buf out;
    if (size < 1 || size > 1 << 16)
        return 0;
    buf_init(&out, MAX_BYTES);
    json_doc_init(&d, 1 << 16);
    arena_init(&a, mem, sizeof mem, MAX_BYTES);
    if (json_parse(&d, (const char *)data + 1, size - 1) == 0 &&
        json_type(&d, JSON_ROOT) == JSON_OBJECT) {
        if (data[0] & 0x80)
            run_answer(&d, &a, pair_of(data[0] & 0x7f), &out);
        else
            run_request(&d, &a, pair_of(data[0]), &out);
    }
    arena_reset(&a);
    json_doc_release(&d);
    buf_release(&out);
    return 0;
}
