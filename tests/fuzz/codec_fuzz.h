/*
 * codec_fuzz.h: a codec's readers on any bytes, through to its writers. What a writer makes must be
 * JSON, event by event.
 *
 * The input is a request, an answer, and, line by line, the events of a stream at once.
 */
#ifndef GW_TESTS_FUZZ_CODEC_FUZZ_H
#define GW_TESTS_FUZZ_CODEC_FUZZ_H

#include "common/check.h"
#include "gatewayd/dialect/codec.h"
#include "gatewayd/dialect/sequence.h"

#include <stdlib.h>

enum { FUZZ_MAX_BYTES = 64 << 20 };

static void fuzz_check_json(struct slice s)
{
    struct json_doc d;
    json_doc_init(&d, JSON_MAX_TOKENS);
    GW_REQUIRE(json_parse(&d, s.p, s.n) == 0);
    json_doc_release(&d);
}

static void fuzz_request(const struct codec *c, const struct json_doc *d)
{
    struct arena a;
    char mem[64];
    struct ir_request r;
    struct dialect_refusal why = {.message = ""};
    struct buf out, dropped;
    buf_init(&out, FUZZ_MAX_BYTES);
    buf_init(&dropped, 256);
    struct codec_target t = {.model = SLICE_LIT("m"), .quirks = UINT32_MAX, .dropped = &dropped};
    arena_init(&a, mem, sizeof mem, FUZZ_MAX_BYTES);
    ir_request_init(&r, &a, DIALECT_CHAT);
    if (c->read_request(d, &r, &why) < 0) {
        GW_REQUIRE(why.message[0] && why.code);
    } else if (ir_link_tools(&r, &why) == 0 && ir_check_fields(&r, c, &dropped, &why) == 0) {
        if (c->write_request(&r, &t, &out, &why) == 0)
            fuzz_check_json(buf_slice(&out));
    }
    buf_release(&out);
    buf_release(&dropped);
    arena_reset(&a);
}

static void fuzz_response(const struct codec *c, const struct json_doc *d)
{
    struct arena a;
    char mem[64];
    struct ir_response r;
    struct buf out;
    struct codec_caller caller = {.request_id = SLICE_LIT("req")};
    buf_init(&out, FUZZ_MAX_BYTES);
    arena_init(&a, mem, sizeof mem, FUZZ_MAX_BYTES);
    ir_response_init(&r, &a, DIALECT_CHAT);
    if (c->read_response(d, &r) == 0 && c->write_response(&r, &caller, &out) == 0)
        fuzz_check_json(buf_slice(&out));
    buf_release(&out);
    arena_reset(&a);
}

struct fuzz_stream {
    const struct codec *c;
    struct codec_caller caller;
    void *writer;
    struct buf out;
};

static void fuzz_take(void *ctx, const struct ir_event *ev)
{
    struct fuzz_stream *s = ctx;
    s->out.len = 0;
    if (s->c->write_event(s->writer, &s->caller, ev, &s->out) < 0)
        return;
    struct slice rest = buf_slice(&s->out);
    while (rest.p && s->c->framing == CODEC_SSE) {
        struct slice line = slice_split(&rest, '\n');
        if (slice_starts_with(line, SLICE_LIT("data: ")) && !slice_eq_str(line, "data: [DONE]"))
            fuzz_check_json(slice_of(line.p + 6, line.n - 6));
    }
}

static void fuzz_events(const struct codec *c, struct json_doc *d, struct slice rest)
{
    struct fuzz_stream s = {.c = c, .caller = {.include_usage = true}};
    void *reader = gw_xcalloc(1, c->reader_bytes + 1);
    s.writer = gw_xcalloc(1, c->writer_bytes + 1);
    buf_init(&s.out, FUZZ_MAX_BYTES);
    struct sequence *seq = sequence_new(fuzz_take, &s);
    while (rest.p) {
        struct slice line = slice_split(&rest, '\n');
        char *own = gw_xmalloc(line.n + 1);
        memcpy(own, line.p, line.n);
        bool json = json_parse(d, own, line.n) == 0;
        (void)c->read_event(reader, json ? d : NULL, slice_of(NULL, 0), slice_of(own, line.n),
                            sequence_take, seq);
        free(own);
    }
    if (c->read_end)
        (void)c->read_end(reader, sequence_take, seq);
    sequence_free(seq);
    if (c->reader_fini)
        c->reader_fini(reader);
    if (c->writer_fini)
        c->writer_fini(s.writer);
    free(reader);
    free(s.writer);
    buf_release(&s.out);
}

static inline int fuzz_codec(const struct codec *c, const uint8_t *data, size_t size)
{
    struct json_doc d;
    json_doc_init(&d, JSON_MAX_TOKENS);
    if (size && json_parse(&d, (const char *)data, size) == 0 &&
        json_type(&d, JSON_ROOT) == JSON_OBJECT) {
        fuzz_request(c, &d);
        fuzz_response(c, &d);
    }
    if (size)
        fuzz_events(c, &d, slice_of((const char *)data, size));
    json_doc_release(&d);
    return 0;
}

#endif
