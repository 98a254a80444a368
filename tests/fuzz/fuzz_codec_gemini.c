/*
 * fuzz_codec_gemini.c: whatever the readers of the Gemini dialect take, its writers can write, as
 * JSON.
 *
 * The first byte chooses: a request, an answer, or a stream whose events stand one a line.
 */
#include "common/check.h"
#include "gatewayd/dialect/codec.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 1 << 22 };

static void require_json(struct json_doc *d, const struct buf *b)
{
    GW_REQUIRE(json_parse(d, b->data, b->len) == 0);
}

static void run_request(struct json_doc *d, struct arena *a)
{
    struct ir_request r;
    struct dialect_refusal why = {0};
    struct buf out, dropped;
    struct codec_target t = {.model = SLICE_LIT("gemini-3-pro"), .dropped = &dropped};
    buf_init(&out, MAX_BYTES);
    buf_init(&dropped, 256);
    ir_request_init(&r, a, DIALECT_CHAT);
    if (codec_gemini.read_request(d, &r, &why) == 0) {
        if (ir_link_tools(&r, &why) == 0 &&
            ir_check_fields(&r, &codec_gemini, &dropped, &why) == 0 &&
            codec_gemini.write_request(&r, &t, &out, &why) == 0)
            require_json(d, &out);
    } else
        GW_REQUIRE(why.message[0] && why.code);
    buf_release(&out);
    buf_release(&dropped);
}

static void run_response(struct json_doc *d, struct arena *a)
{
    struct ir_response r;
    struct codec_caller c = {.request_id = SLICE_LIT("id")};
    struct buf out;
    buf_init(&out, MAX_BYTES);
    ir_response_init(&r, a, DIALECT_CHAT);
    if (codec_gemini.read_response(d, &r) == 0 && codec_gemini.write_response(&r, &c, &out) == 0)
        require_json(d, &out);
    buf_release(&out);
}

struct writing {
    void *state;
    struct codec_caller caller;
    struct buf out;
};

static void put(void *ctx, const struct ir_event *ev)
{
    struct writing *w = ctx;
    (void)!codec_gemini.write_event(w->state, &w->caller, ev, &w->out);
}

static void run_stream(struct json_doc *d, struct slice rest)
{
    void *reader = calloc(1, codec_gemini.reader_bytes);
    struct writing w = {.state = calloc(1, codec_gemini.writer_bytes),
                        .caller.framing = CODEC_JSON_ARRAY};
    GW_REQUIRE(reader && w.state);
    buf_init(&w.out, MAX_BYTES);
    while (rest.p) {
        struct slice line = slice_split(&rest, '\n');
        bool is_json = json_parse(d, line.p, line.n) == 0;
        (void)!codec_gemini.read_event(reader, is_json ? d : NULL, slice_of("", 0), line, put, &w);
    }
    if (codec_gemini.read_end(reader, put, &w) == 0)
        require_json(d, &w.out);
    codec_gemini.writer_fini(w.state);
    buf_release(&w.out);
    free(w.state);
    free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_doc d;
    char mem[1024];
    struct arena a;
    if (size < 1 || size > 1 << 16)
        return 0;
    struct slice in = slice_of((const char *)data + 1, size - 1);
    json_doc_init(&d, 1 << 16);
    arena_init(&a, mem, sizeof mem, MAX_BYTES);
    if (data[0] % 3 == 2)
        run_stream(&d, in);
    else if (json_parse(&d, in.p, in.n) == 0 && json_type(&d, JSON_ROOT) == JSON_OBJECT) {
        if (data[0] % 3 == 0)
            run_request(&d, &a);
        else
            run_response(&d, &a);
    }
    arena_reset(&a);
    json_doc_release(&d);
    return 0;
}
