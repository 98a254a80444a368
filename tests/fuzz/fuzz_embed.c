/*
 * fuzz_embed.c: whatever the readers of embeddings take, every writer can write, as JSON; what it
 * can't is a refusal with its words.
 *
 * The first byte chooses the reader and the writer, its top bit an answer instead of a request.
 */
#include "common/check.h"
#include "gatewayd/dialect/embed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 1 << 22 };

static const struct codec *const callers[] = {&codec_openai_embed, &codec_gemini_embed,
                                              &codec_gemini_embed_content};
static const struct codec *const providers[] = {&codec_openai_embed, &codec_gemini_embed,
                                                &codec_bedrock_embed};
static const char *const models[] = {"amazon.titan-embed-text-v1", "amazon.titan-embed-text-v2:0",
                                     "cohere.embed-english-v3", "cohere.embed-v4:0"};

static void run_request(struct json_doc *d, struct arena *a, unsigned choice, struct buf *out)
{
    const struct codec *from = callers[choice % 3], *to = providers[choice / 3 % 3];
    struct ir_request r;
    struct dialect_refusal why = {0};
    struct buf dropped;
    struct codec_target t = {.model = slice_str(models[choice / 9 % 4]), .dropped = &dropped};
    buf_init(&dropped, 256);
    ir_request_init(&r, a, DIALECT_EMBEDDINGS);
    if (from->read_request(d, &r, &why) < 0 || ir_check_fields(&r, to, &dropped, &why) < 0 ||
        to->write_request(&r, &t, out, &why) < 0)
        GW_REQUIRE(why.message[0] && why.code);
    else
        GW_REQUIRE(json_parse(d, out->data, out->len) == 0);
    buf_release(&dropped);
}

static void run_answer(struct json_doc *d, struct arena *a, unsigned choice, struct buf *out)
{
    const struct codec *to = callers[choice % 3], *from = providers[choice / 3 % 3];
    struct ir_request asked;
    struct ir_response r;
    struct codec_caller c = {.model = IR_LIT("m"), .request = &asked};
    ir_request_init(&asked, a, DIALECT_EMBEDDINGS);
    ir_response_init(&r, a, DIALECT_EMBEDDINGS);
    if (from->read_response(d, &r) < 0 || !ir_add_embed(&asked, r.vectors->n))
        return;
    asked.embed->base64 = choice / 9 % 2;
    if (to->write_response(&r, &c, out) == 0)
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
            run_answer(&d, &a, data[0] & 0x7f, &out);
        else
            run_request(&d, &a, data[0], &out);
    }
    arena_reset(&a);
    json_doc_release(&d);
    buf_release(&out);
    return 0;
}
