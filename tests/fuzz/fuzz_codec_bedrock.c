/*
 * fuzz_codec_bedrock.c: Converse: whatever is read as a request, an answer or a stream can be
 * written again, and what is written can be read.
 *
 * The first byte chooses what the rest is: a request, an answer, or frames of a stream.
 */
#include "common/check.h"
#include "gatewayd/dialect/codec.h"
#include "gatewayd/dialect/sequence.h"
#include "gatewayd/http/eventstream.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX_BYTES = 16 << 20, ARENA_MAX_BYTES = 16 << 20 };

static struct json_doc doc;
static char first[4096];

static bool parse(struct slice in)
{
    if (doc.max_tokens == 0)
        json_doc_init(&doc, JSON_MAX_TOKENS);
    return json_parse(&doc, in.p, in.n) == 0 && json_type(&doc, JSON_ROOT) == JSON_OBJECT;
}

static void fuzz_request(struct slice in, const char *model)
{
    struct codec_target t = {.model = slice_str(model)};
    struct dialect_refusal why;
    struct ir_request r;
    struct arena a;
    struct buf out, dropped;
    arena_init(&a, first, sizeof first, ARENA_MAX_BYTES);
    buf_init(&out, OUT_MAX_BYTES);
    buf_init(&dropped, 256);
    t.dropped = &dropped;
    ir_request_init(&r, &a, DIALECT_CHAT);
    if (parse(in) && codec_bedrock.read_request(&doc, &r, &why) == 0 &&
        ir_link_tools(&r, &why) == 0 && ir_check_fields(&r, &codec_bedrock, &dropped, &why) == 0 &&
        codec_bedrock.write_request(&r, &t, &out, &why) == 0) {
        GW_REQUIRE(parse(buf_slice(&out)));
        arena_reset(&a);
        ir_request_init(&r, &a, DIALECT_CHAT);
        GW_REQUIRE(codec_bedrock.read_request(&doc, &r, &why) == 0);
    }
    arena_reset(&a);
    buf_release(&out);
    buf_release(&dropped);
}

static void fuzz_response(struct slice in)
{
    struct codec_caller caller = {.framing = CODEC_EVENTSTREAM};
    struct ir_response r;
    struct arena a;
    struct buf out;
    arena_init(&a, first, sizeof first, ARENA_MAX_BYTES);
    buf_init(&out, OUT_MAX_BYTES);
    ir_response_init(&r, &a, DIALECT_CHAT);
    if (parse(in) && codec_bedrock.read_response(&doc, &r) == 0 &&
        codec_bedrock.write_response(&r, &caller, &out) == 0) {
        GW_REQUIRE(parse(buf_slice(&out)));
        arena_reset(&a);
        ir_response_init(&r, &a, DIALECT_CHAT);
        GW_REQUIRE(codec_bedrock.read_response(&doc, &r) == 0);
    }
    arena_reset(&a);
    buf_release(&out);
}

struct written {
    void *state;
    struct buf out;
};

static void write_event(void *ctx, const struct ir_event *ev)
{
    struct codec_caller caller = {.framing = CODEC_EVENTSTREAM};
    struct written *w = ctx;
    (void)codec_bedrock.write_event(w->state, &caller, ev, &w->out);
}

static void check_frames(struct slice in)
{
    struct eventstream_reader r;
    struct eventstream_message m;
    eventstream_reader_init(&r, EVENTSTREAM_LIMIT_BYTES);
    while (in.n) {
        GW_REQUIRE(eventstream_reader_next(&r, in.p, in.n, &m) == EVENTSTREAM_MESSAGE);
        GW_REQUIRE(parse(m.payload));
        in = slice_of(in.p + m.raw.n, in.n - m.raw.n);
    }
}

/* Events as lines "type data", so that no checksum stands in the way. */
static void fuzz_stream(struct slice in)
{
    struct written w = {.state = calloc(1, codec_bedrock.writer_bytes)};
    void *state = calloc(1, codec_bedrock.reader_bytes);
    struct sequence *s = sequence_new(write_event, &w);
    int rc = 0;
    GW_REQUIRE(w.state && state && s);
    buf_init(&w.out, OUT_MAX_BYTES);
    while (in.p && rc == 0) {
        struct slice data = slice_split(&in, '\n'), type = slice_split(&data, ' ');
        bool json = data.p && json_parse(&doc, data.p, data.n) == 0;
        rc = codec_bedrock.read_event(state, json ? &doc : NULL, type, data, sequence_take, s);
    }
    if (rc == 0)
        (void)codec_bedrock.read_end(state, sequence_take, s);
    check_frames(buf_slice(&w.out));
    codec_bedrock.writer_fini(w.state);
    sequence_free(s);
    free(state);
    free(w.state);
    buf_release(&w.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const models[] = {"anthropic.claude-sonnet-4-5-20250929-v1:0",
                                         "anthropic.claude-opus-5", "amazon.nova-pro-v1:0", "x"};
    if (size < 1)
        return 0;
    /* A copy of its own, so that a step beyond the end is seen. */
    char *copy = malloc(size);
    GW_REQUIRE(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    struct slice in = slice_of(copy, size - 1);
    switch (data[0] % 3) {
    case 0:
        fuzz_request(in, models[data[0] / 3 % ARRAY_LEN(models)]);
        break;
    case 1:
        fuzz_response(in);
        break;
    default:
        (void)parse(SLICE_LIT("{}"));
        fuzz_stream(in);
        break;
    }
    free(copy);
    return 0;
}
