/*
 * anthropic_stream_read.c: reads the events of a stream.
 *
 * message_start, then blocks one after another (start, deltas, stop), message_delta with the stop
 * reason and the usage so far, message_stop; pings anywhere, and an error in place of the rest.
 * Kinds of events, blocks and deltas that aren't known are passed over, as the reference's
 * versioning policy asks (platform.claude.com/docs/en/api/versioning).
 */
#include "gatewayd/dialect/anthropic.h"

struct emit {
    struct anthropic_stream_reader *s;
    const struct json_doc *d;
    ir_sink_fn sink;
    void *ctx;
};

static void send(const struct emit *e, struct ir_event ev)
{
    ev.part = e->s->part;
    e->sink(e->ctx, &ev);
}

static uint32_t get(const struct emit *e, uint32_t object, const char *name)
{
    return json_get(e->d, object, slice_str(name));
}

static struct ir_text text_of(const struct emit *e, uint32_t object, const char *name)
{
    return ir_text_of(e->d, get(e, object, name));
}

/* NULL: nothing is known yet. */
static const struct dialect_usage *read_usage(const struct emit *e, uint32_t object)
{
    anthropic_read_usage(e->d, object, &e->s->usage);
    anthropic_usage_ir(&e->s->usage, &e->s->said);
    return e->s->said.flags ? &e->s->said : NULL;
}

static int on_start(const struct emit *e)
{
    uint32_t message = get(e, JSON_ROOT, "message");
    if (json_type(e->d, message) != JSON_OBJECT)
        return -1;
    send(e, (struct ir_event){
                .kind = IR_EV_START,
                .id = text_of(e, message, "id"),
                .model = text_of(e, message, "model"),
                .usage = read_usage(e, message),
            });
    return 0;
}

/* ---- blocks ---- */

static void send_text(const struct emit *e, enum ir_event_kind kind, struct ir_text text)
{
    if (text.s.n)
        send(e, (struct ir_event){.kind = kind, .text = text});
}

/* Some servers of this dialect put all of a block into its start. */
static void start_call(const struct emit *e, uint32_t block)
{
    uint32_t input = get(e, block, "input");
    send(e, (struct ir_event){
                .kind = IR_EV_PART_START,
                .part_kind = IR_PART_TOOL_CALL,
                .call_id = text_of(e, block, "id"),
                .name = text_of(e, block, "name"),
            });
    if (json_count(e->d, input))
        send_text(e, IR_EV_DELTA, ir_plain(json_raw(e->d, input)));
}

static void start_reasoning(const struct emit *e, uint32_t block, bool redacted)
{
    send(e, (struct ir_event){
                .kind = IR_EV_PART_START, .part_kind = IR_PART_REASONING, .redacted = redacted});
    send_text(e, IR_EV_DELTA, text_of(e, block, "thinking"));
    send_text(e, IR_EV_SIGNATURE, text_of(e, block, redacted ? "data" : "signature"));
}

static int on_block_start(const struct emit *e)
{
    struct anthropic_stream_reader *s = e->s;
    uint32_t block = get(e, JSON_ROOT, "content_block"), type = get(e, block, "type");
    bool text = json_str_eq_lit(e->d, type, "text"), call = json_str_eq_lit(e->d, type, "tool_use");
    bool redacted = json_str_eq_lit(e->d, type, "redacted_thinking");
    if (s->open || json_i64(e->d, get(e, JSON_ROOT, "index"), &s->index) < 0)
        return -1;
    s->open = true;
    s->shown = text || call || redacted || json_str_eq_lit(e->d, type, "thinking");
    s->kind = text ? IR_PART_TEXT : call ? IR_PART_TOOL_CALL : IR_PART_REASONING;
    if (!s->shown)
        return 0;
    s->part = s->parts++;
    if (call) {
        start_call(e, block);
    } else if (text) {
        send(e, (struct ir_event){.kind = IR_EV_PART_START, .part_kind = IR_PART_TEXT});
        send_text(e, IR_EV_DELTA, text_of(e, block, "text"));
    } else {
        start_reasoning(e, block, redacted);
    }
    return 0;
}

static bool is_open(const struct emit *e)
{
    int64_t index;
    return e->s->open && json_i64(e->d, get(e, JSON_ROOT, "index"), &index) == 0 &&
           index == e->s->index;
}

static void on_citation(const struct emit *e, uint32_t citation)
{
    char mem[256];
    struct arena scratch;
    struct ir_citation *c = NULL;
    arena_init(&scratch, mem, sizeof mem, 2 * sizeof mem);
    if (anthropic_read_citation(e->d, citation, &scratch, &c) == 0)
        send(e, (struct ir_event){.kind = IR_EV_CITATION, .citation = c});
    arena_reset(&scratch);
}

static int on_block_delta(const struct emit *e)
{
    uint32_t delta = get(e, JSON_ROOT, "delta"), type = get(e, delta, "type");
    enum ir_part_kind kind = e->s->kind;
    if (!is_open(e))
        return -1;
    if (!e->s->shown)
        return 0;
    if (kind == IR_PART_TEXT && json_str_eq_lit(e->d, type, "text_delta"))
        send_text(e, IR_EV_DELTA, text_of(e, delta, "text"));
    else if (kind == IR_PART_TOOL_CALL && json_str_eq_lit(e->d, type, "input_json_delta"))
        send_text(e, IR_EV_DELTA, text_of(e, delta, "partial_json"));
    else if (kind == IR_PART_REASONING && json_str_eq_lit(e->d, type, "thinking_delta"))
        send_text(e, IR_EV_DELTA, text_of(e, delta, "thinking"));
    else if (kind == IR_PART_REASONING && json_str_eq_lit(e->d, type, "signature_delta"))
        send_text(e, IR_EV_SIGNATURE, text_of(e, delta, "signature"));
    else if (kind == IR_PART_TEXT && json_str_eq_lit(e->d, type, "citations_delta"))
        on_citation(e, get(e, delta, "citation"));
    return 0;
}

static int on_block_stop(const struct emit *e)
{
    if (!is_open(e))
        return -1;
    e->s->open = false;
    if (e->s->shown)
        send(e, (struct ir_event){.kind = IR_EV_PART_END});
    return 0;
}

/* ---- the end ---- */

static int on_message_delta(const struct emit *e)
{
    uint32_t delta = get(e, JSON_ROOT, "delta");
    enum ir_finish finish = anthropic_finish(e->d, get(e, delta, "stop_reason"));
    const struct dialect_usage *usage = read_usage(e, JSON_ROOT);
    if (finish == IR_FINISH_NONE) {
        if (usage)
            send(e, (struct ir_event){.kind = IR_EV_USAGE, .usage = usage});
        return 0;
    }
    e->s->finished = true;
    send(e, (struct ir_event){
                .kind = IR_EV_FINISH,
                .finish = finish,
                .stop_sequence = text_of(e, delta, "stop_sequence"),
                .usage = usage,
            });
    return 0;
}

static int on_stop(const struct emit *e)
{
    if (!e->s->finished || e->s->ended)
        return -1;
    e->s->ended = true;
    send(e, (struct ir_event){.kind = IR_EV_END});
    return 0;
}

static int on_ping(const struct emit *e)
{
    send(e, (struct ir_event){.kind = IR_EV_PING});
    return 0;
}

static int on_error(const struct emit *e)
{
    uint32_t error = get(e, JSON_ROOT, "error");
    send(e, (struct ir_event){
                .kind = IR_EV_ERROR,
                .fault = anthropic_fault(e->d, error, 200),
                .text = text_of(e, error, "message"),
            });
    return 0;
}

static const struct {
    struct slice type;
    int (*read)(const struct emit *e);
} events[] = {
#define EVENT(lit, fn)                                                                             \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, fn                                                                 \
    }
    EVENT("content_block_delta", on_block_delta),
    EVENT("content_block_start", on_block_start),
    EVENT("content_block_stop", on_block_stop),
    EVENT("ping", on_ping),
    EVENT("message_start", on_start),
    EVENT("message_delta", on_message_delta),
    EVENT("message_stop", on_stop),
    EVENT("error", on_error),
#undef EVENT
};

int anthropic_read_event(void *state, const struct json_doc *d, struct slice type,
                         struct slice data, ir_sink_fn sink, void *ctx)
{
    struct emit e = {state, d, sink, ctx};
    if (!d || json_type(d, JSON_ROOT) != JSON_OBJECT)
        return -1;
    uint32_t word = json_get_lit(d, JSON_ROOT, "type");
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (word == JSON_NONE ? slice_eq(type, events[i].type)
                              : json_str_eq(d, word, events[i].type))
            return events[i].read(&e);
    return 0;
}

/* A stop reason is all that an answer needs; message_stop says nothing that is new. */
int anthropic_read_end(void *state, ir_sink_fn sink, void *ctx)
{
    struct anthropic_stream_reader *s = state;
    if (!s->finished || s->open)
        return -1;
    if (!s->ended)
        sink(ctx, &(struct ir_event){.kind = IR_EV_END});
    s->ended = true;
    return 0;
}
