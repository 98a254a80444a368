/*
 * fuzz_codec_anthropic.c: the codec of the Anthropic dialect on any bytes.
 *
 * The first byte chooses what the rest is: a request, a whole answer, or events one a line. What is
 * read is written again; what is written is JSON, and is read again.
 */
#include "common/check.h"
#include "gatewayd/dialect/anthropic.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_MAX_BYTES = 16 << 20, OUT_MAX_BYTES = 4 << 20 };

static const struct codec *const codec = &codec_anthropic;
static const struct codec_caller caller = {.request_id = SLICE_LIT("1")};

/* True where it has been written, for every kind of model. */
static bool rewrite(struct json_doc *d, struct arena *a, struct buf *out, bool must_read)
{
    static const char *const models[] = {"claude-sonnet-4-5", "claude-opus-4-8", "other"};
    struct ir_request r;
    struct dialect_refusal why;
    ir_request_init(&r, a, DIALECT_CHAT);
    if (codec->read_request(d, &r, &why) < 0) {
        GW_REQUIRE(!must_read && why.message[0]);
        return false;
    }
    if (ir_link_tools(&r, &why) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        struct codec_target t = {.model = slice_str(models[i])};
        out->len = 0;
        if (codec->write_request(&r, &t, out, &why) < 0)
            return false;
    }
    return !ir_noted(&r, IR_F_HOSTED_TOOLS);
}

static void check_request(struct json_doc *d, struct arena *a, struct buf *out)
{
    struct buf again;
    if (!rewrite(d, a, out, false))
        return;
    GW_REQUIRE(json_parse(d, out->data, out->len) == 0);
    buf_init(&again, OUT_MAX_BYTES);
    (void)rewrite(d, a, &again, true);
    buf_release(&again);
}

static void check_response(struct json_doc *d, struct arena *a, struct buf *out)
{
    struct ir_response r;
    ir_response_init(&r, a, DIALECT_CHAT);
    if (codec->read_response(d, &r) < 0 || codec->write_response(&r, &caller, out) < 0)
        return;
    GW_REQUIRE(json_parse(d, out->data, out->len) == 0);
    GW_REQUIRE(codec->read_response(d, &r) == 0);
}

struct relay {
    void *writer;
    struct buf *out;
};

static void take(void *ctx, const struct ir_event *ev)
{
    struct relay *r = ctx;
    (void)codec->write_event(r->writer, &caller, ev, r->out);
}

static void check_stream(struct json_doc *d, struct slice lines, struct buf *out)
{
    void *reader = calloc(1, codec->reader_bytes);
    struct relay r = {calloc(1, codec->writer_bytes), out};
    GW_REQUIRE(reader && r.writer);
    while (lines.p) {
        struct slice line = slice_split(&lines, '\n');
        bool ok = json_parse(d, line.p, line.n) == 0;
        (void)codec->read_event(reader, ok ? d : NULL, slice_of("", 0), line, take, &r);
    }
    (void)codec->read_end(reader, take, &r);
    codec->writer_fini(r.writer);
    free(r.writer);
    free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char first[1024];
    struct json_doc d;
    struct arena a;
    struct buf out;
    if (size < 1)
        return 0;
    struct slice body = slice_of((const char *)data + 1, size - 1);
    json_doc_init(&d, JSON_MAX_TOKENS);
    arena_init(&a, first, sizeof first, ARENA_MAX_BYTES);
    buf_init(&out, OUT_MAX_BYTES);
    bool object = json_parse(&d, body.p, body.n) == 0 && json_type(&d, JSON_ROOT) == JSON_OBJECT;
    if (data[0] == 's')
        check_stream(&d, body, &out);
    else if (object && data[0] == 'r')
        check_response(&d, &a, &out);
    else if (object)
        check_request(&d, &a, &out);
    arena_reset(&a);
    buf_release(&out);
    json_doc_release(&d);
    return 0;
}
