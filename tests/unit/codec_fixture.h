/*
 * codec_fixture.h: runs bodies and streams through a codec into another and gives back text to
 * compare. Results stand until the next call.
 */
#ifndef GW_TESTS_UNIT_CODEC_FIXTURE_H
#define GW_TESTS_UNIT_CODEC_FIXTURE_H

#include "gatewayd/dialect/codec.h"
#include "gatewayd/dialect/sequence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static char codec_text[65536];

static const char *codec_told(const struct buf *out)
{
    snprintf(codec_text, sizeof codec_text, "%.*s", SLICE_FMT(buf_slice(out)));
    return codec_text;
}

/* The body as the second codec writes it, with " | dropped: …" behind it; or "param: message" of a
 * refusal. */
static const char *codec_request(const struct codec *from, const struct codec *to, const char *json,
                                 uint32_t quirks)
{
    struct json_doc d;
    struct arena a;
    char mem[64];
    struct ir_request r;
    struct dialect_refusal why = {.message = ""};
    struct buf out, dropped;
    struct codec_target t = {.model = SLICE_LIT("up"), .quirks = quirks, .dropped = &dropped};
    buf_init(&out, 1 << 20);
    buf_init(&dropped, 1024);
    arena_init(&a, mem, sizeof mem, 1 << 20);
    json_doc_init(&d, JSON_MAX_TOKENS);
    assert_int_equal(json_parse(&d, json, strlen(json)), 0);
    ir_request_init(&r, &a, DIALECT_CHAT);
    if (from->read_request(&d, &r, &why) < 0 || ir_link_tools(&r, &why) < 0 ||
        ir_check_fields(&r, to, &dropped, &why) < 0 || to->write_request(&r, &t, &out, &why) < 0)
        snprintf(codec_text, sizeof codec_text, "%s: %s", why.param, why.message);
    else if (dropped.len)
        snprintf(codec_text, sizeof codec_text, "%.*s | dropped: %.*s", SLICE_FMT(buf_slice(&out)),
                 SLICE_FMT(buf_slice(&dropped)));
    else
        codec_told(&out);
    buf_release(&out);
    buf_release(&dropped);
    json_doc_release(&d);
    arena_reset(&a);
    return codec_text;
}

static const char *codec_response(const struct codec *from, const struct codec *to,
                                  const char *json)
{
    struct json_doc d;
    struct arena a;
    char mem[64];
    struct ir_response r;
    struct buf out;
    struct codec_caller c = {.request_id = SLICE_LIT("req"), .now_s = 7};
    buf_init(&out, 1 << 20);
    arena_init(&a, mem, sizeof mem, 1 << 20);
    json_doc_init(&d, JSON_MAX_TOKENS);
    assert_int_equal(json_parse(&d, json, strlen(json)), 0);
    ir_response_init(&r, &a, DIALECT_CHAT);
    if (from->read_response(&d, &r) < 0)
        snprintf(codec_text, sizeof codec_text, "not read");
    else if (r.fault != DIALECT_FAULT_NONE)
        snprintf(codec_text, sizeof codec_text, "failed, %" PRId64 " in, %" PRId64 " out",
                 r.usage.input_tokens, r.usage.output_tokens);
    else if (to->write_response(&r, &c, &out) < 0)
        snprintf(codec_text, sizeof codec_text, "not written");
    else
        codec_told(&out);
    buf_release(&out);
    json_doc_release(&d);
    arena_reset(&a);
    return codec_text;
}

struct codec_stream {
    const struct codec *to;
    void *writer;
    struct codec_caller caller;
    struct buf out;
};

static void codec_stream_take(void *ctx, const struct ir_event *ev)
{
    struct codec_stream *s = ctx;
    assert_int_equal(s->to->write_event(s->writer, &s->caller, ev, &s->out), 0);
}

/* Events in their framing, one after another: of each the lines `event: …` and `data: …`. */
static const char *codec_stream_with(const struct codec *from, const struct codec *to,
                                     const char *sse, const struct codec_caller *caller)
{
    struct codec_stream s = {.to = to, .caller = *caller};
    struct json_doc d;
    void *reader = calloc(1, from->reader_bytes + 1);
    s.writer = calloc(1, to->writer_bytes + 1);
    buf_init(&s.out, 1 << 20);
    json_doc_init(&d, JSON_MAX_TOKENS);
    struct sequence *seq = sequence_new(codec_stream_take, &s);
    struct slice rest = slice_str(sse), type = {NULL, 0};
    const char *end = "";
    while (rest.p) {
        struct slice line = slice_split(&rest, '\n');
        if (slice_starts_with(line, SLICE_LIT("event: ")))
            type = slice_of(line.p + 7, line.n - 7);
        if (!slice_starts_with(line, SLICE_LIT("data: ")))
            continue;
        /* A copy of its own: what is read beyond it, or after it is gone, is seen. */
        struct slice data = slice_of(line.p + 6, line.n - 6);
        char *own = malloc(data.n + 1);
        memcpy(own, data.p, data.n);
        bool json = json_parse(&d, own, data.n) == 0;
        if (from->read_event(reader, json ? &d : NULL, type, slice_of(own, data.n), sequence_take,
                             seq) < 0)
            end = "unread\n";
        free(own);
        type = slice_of(NULL, 0);
    }
    if (from->read_end && from->read_end(reader, sequence_take, seq) < 0)
        end = "incomplete\n";
    if (sequence_fault(seq))
        end = sequence_fault(seq);
    assert_int_equal(buf_append(&s.out, end, strlen(end)), 0);
    codec_told(&s.out);
    sequence_free(seq);
    if (from->reader_fini)
        from->reader_fini(reader);
    if (to->writer_fini)
        to->writer_fini(s.writer);
    free(reader);
    free(s.writer);
    buf_release(&s.out);
    json_doc_release(&d);
    return codec_text;
}

#endif
