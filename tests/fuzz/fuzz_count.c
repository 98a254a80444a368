/*
 * fuzz_count.c: whatever the readers of token counting take, every writer of it can write, as JSON.
 *
 * The first byte chooses the reader and the writer, its top bit an answer instead of a request.
 */
#include "common/check.h"
#include "gatewayd/dialect/count.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 1 << 22 };

static const struct codec *const codecs[] = {&codec_anthropic_count, &codec_gemini_count,
                                             &codec_responses_count, &codec_bedrock_count};

static void run_request(struct json_doc *d, struct arena *a, unsigned choice, struct buf *out)
{
    const struct codec *from = codecs[choice % 4], *to = codecs[choice / 4 % 4];
    struct ir_request r;
    struct dialect_refusal why = {0};
    struct buf dropped;
    struct codec_target t = {.model = SLICE_LIT("us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
                             .quirks = choice & 64 ? PROVIDER_QUIRK_COUNTS_FLAT : 0,
                             .dropped = &dropped};
    buf_init(&dropped, 256);
    ir_request_init(&r, a, DIALECT_COUNT_TOKENS);
    if (from->read_request(d, &r, &why) == 0 && ir_link_tools(&r, &why) == 0 &&
        ir_check_fields(&r, to, &dropped, &why) == 0 && to->write_request(&r, &t, out, &why) == 0)
        GW_REQUIRE(json_parse(d, out->data, out->len) == 0);
    buf_release(&dropped);
}

static void run_answer(struct json_doc *d, struct arena *a, unsigned choice, struct buf *out)
{
    struct ir_response r;
    const struct codec_caller c = {.request_id = SLICE_LIT("id")};
    ir_response_init(&r, a, DIALECT_COUNT_TOKENS);
    if (codecs[choice % 4]->read_response(d, &r) == 0) {
        GW_REQUIRE(codecs[choice / 4 % 4]->write_response(&r, &c, out) == 0);
        GW_REQUIRE(json_parse(d, out->data, out->len) == 0);
    }
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
