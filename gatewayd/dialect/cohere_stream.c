/*
 * cohere_stream.c: reads the events of a stream.
 *
 * message-start; content blocks (start, deltas, citations, end), the deltas of a tool plan and tool
 * calls (start, deltas, end); message-end with the finish reason and usage, or with the error that
 * ended it. The official clients take "[DONE]" for the end of a stream, which may lack it. Events
 * that aren't known are passed over.
 */
#include "gatewayd/dialect/cohere.h"

enum { LOGPROBS_MAX_BYTES = 1 << 20 };

struct emit {
    struct cohere_stream_reader *s;
    const struct json_doc *d;
    ir_sink_fn sink;
    void *ctx;
};

static uint32_t get(const struct emit *e, uint32_t object, const char *name)
{
    return json_get(e->d, object, slice_str(name));
}

static uint32_t message_member(const struct emit *e, const char *name)
{
    return get(e, get(e, get(e, JSON_ROOT, "delta"), "message"), name);
}

static void send(const struct emit *e, uint32_t part, struct ir_event ev)
{
    ev.part = part;
    e->sink(e->ctx, &ev);
}

static int on_start(const struct emit *e)
{
    send(e, 0,
         (struct ir_event){.kind = IR_EV_START, .id = ir_text_of(e->d, get(e, JSON_ROOT, "id"))});
    return 0;
}

/* ---- text and thinking ---- */

static void end_content(const struct emit *e)
{
    if (e->s->open && e->s->kind == IR_PART_REASONING)
        send(e, e->s->part,
             (struct ir_event){.kind = IR_EV_SIGNATURE, .text = ir_plain(COHERE_SIGNATURE)});
    if (e->s->open)
        send(e, e->s->part, (struct ir_event){.kind = IR_EV_PART_END});
    e->s->open = false;
}

static void start_content(const struct emit *e, enum ir_part_kind kind)
{
    end_content(e);
    e->s->open = true;
    e->s->kind = kind;
    e->s->part = e->s->parts++;
    send(e, e->s->part, (struct ir_event){.kind = IR_EV_PART_START, .part_kind = kind});
}

/* The member says which kind it is, also where its start said another or never came. */
static void send_text(const struct emit *e, enum ir_part_kind kind, struct ir_text text,
                      struct slice logprobs)
{
    if (text.s.n == 0 && !logprobs.p)
        return;
    if (!e->s->open || e->s->kind != kind)
        start_content(e, kind);
    send(e, e->s->part, (struct ir_event){.kind = IR_EV_DELTA, .text = text, .logprobs = logprobs});
}

static void send_content(const struct emit *e, uint32_t content)
{
    char mem[512];
    struct arena scratch;
    struct ir_text text = ir_text_of(e->d, get(e, content, "text"));
    send_text(e, IR_PART_REASONING, ir_text_of(e->d, get(e, content, "thinking")),
              slice_of(NULL, 0));
    if (!ir_has(text))
        return;
    arena_init(&scratch, mem, sizeof mem, LOGPROBS_MAX_BYTES);
    send_text(e, IR_PART_TEXT, text,
              cohere_read_logprobs(e->d, get(e, JSON_ROOT, "logprobs"), &scratch));
    arena_reset(&scratch);
}

static int on_content_start(const struct emit *e)
{
    uint32_t content = message_member(e, "content");
    bool thinking = json_str_eq_lit(e->d, get(e, content, "type"), "thinking");
    start_content(e, thinking ? IR_PART_REASONING : IR_PART_TEXT);
    send_content(e, content);
    return 0;
}

static int on_content_delta(const struct emit *e)
{
    send_content(e, message_member(e, "content"));
    return 0;
}

static int on_content_end(const struct emit *e)
{
    end_content(e);
    return 0;
}

static int on_plan(const struct emit *e)
{
    send_text(e, IR_PART_TEXT, ir_text_of(e->d, message_member(e, "tool_plan")), slice_of(NULL, 0));
    return 0;
}

static int on_citation(const struct emit *e)
{
    struct ir_citation c;
    if (e->s->open && e->s->kind == IR_PART_TEXT &&
        cohere_read_citation(e->d, message_member(e, "citations"), &c))
        send(e, e->s->part, (struct ir_event){.kind = IR_EV_CITATION, .citation = &c});
    return 0;
}

/* ---- calls ---- */

/* An object by the SDK's types, a list by the words of the guide. */
static uint32_t call_of(const struct emit *e)
{
    uint32_t calls = message_member(e, "tool_calls");
    return json_type(e->d, calls) == JSON_ARRAY && json_count(e->d, calls) ? calls + 1 : calls;
}

/* Where no index is given it is the last call's. */
static bool call_index(const struct emit *e, uint32_t *out)
{
    int64_t index;
    uint32_t v = get(e, JSON_ROOT, "index");
    *out = e->s->call;
    if (v == JSON_NONE || json_is_null(e->d, v))
        return true;
    if (json_i64(e->d, v, &index) < 0 || index < 0 || index >= COHERE_CALLS_MAX)
        return false;
    *out = (uint32_t)index;
    return true;
}

static void send_arguments(const struct emit *e, uint32_t call)
{
    struct ir_text t = ir_text_of(e->d, get(e, get(e, call_of(e), "function"), "arguments"));
    if (t.s.n)
        send(e, e->s->calls[call], (struct ir_event){.kind = IR_EV_DELTA, .text = t});
}

static int on_call_start(const struct emit *e)
{
    struct cohere_stream_reader *s = e->s;
    uint32_t call = call_of(e), at;
    bool numbered = get(e, JSON_ROOT, "index") != JSON_NONE;
    if (!numbered && s->call_open[s->call])
        s->call++;
    if (s->call >= COHERE_CALLS_MAX || !call_index(e, &at) || s->call_open[at])
        return -1;
    end_content(e);
    s->call = at;
    s->call_open[at] = true;
    s->calls[at] = s->parts++;
    send(e, s->calls[at],
         (struct ir_event){
             .kind = IR_EV_PART_START,
             .part_kind = IR_PART_TOOL_CALL,
             .call_id = ir_text_of(e->d, get(e, call, "id")),
             .name = ir_text_of(e->d, get(e, get(e, call, "function"), "name")),
         });
    send_arguments(e, at);
    return 0;
}

static int on_call_delta(const struct emit *e)
{
    uint32_t at;
    if (!call_index(e, &at) || !e->s->call_open[at])
        return -1;
    send_arguments(e, at);
    return 0;
}

static void end_call(const struct emit *e, uint32_t at)
{
    if (e->s->call_open[at])
        send(e, e->s->calls[at], (struct ir_event){.kind = IR_EV_PART_END});
    e->s->call_open[at] = false;
}

static int on_call_end(const struct emit *e)
{
    uint32_t at;
    if (!call_index(e, &at))
        return -1;
    end_call(e, at);
    return 0;
}

/* ---- the end ---- */

static int on_end(const struct emit *e)
{
    struct cohere_stream_reader *s = e->s;
    uint32_t delta = get(e, JSON_ROOT, "delta"), error = get(e, delta, "error");
    struct cohere_finish f = cohere_finish(e->d, get(e, delta, "finish_reason"));
    cohere_read_usage(e->d, delta, &s->usage);
    const struct dialect_usage *usage = s->usage.flags ? &s->usage : NULL;
    if (f.fault != DIALECT_FAULT_NONE) {
        send(e, 0,
             (struct ir_event){.kind = IR_EV_ERROR,
                               .fault = f.fault,
                               .text = ir_text_of(e->d, error),
                               .usage = usage});
        return 0;
    }
    if (s->finished)
        return -1;
    end_content(e);
    for (uint32_t i = 0; i < COHERE_CALLS_MAX; i++)
        end_call(e, i);
    if (f.finish == IR_FINISH_NONE)
        return -1;
    s->finished = true;
    send(e, 0, (struct ir_event){.kind = IR_EV_FINISH, .finish = f.finish, .usage = usage});
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
    EVENT("content-delta", on_content_delta), EVENT("content-start", on_content_start),
    EVENT("content-end", on_content_end),     EVENT("tool-call-delta", on_call_delta),
    EVENT("tool-call-start", on_call_start),  EVENT("tool-call-end", on_call_end),
    EVENT("tool-plan-delta", on_plan),        EVENT("citation-start", on_citation),
    EVENT("message-start", on_start),         EVENT("message-end", on_end),
#undef EVENT
};

int cohere_read_event(void *state, const struct json_doc *d, struct slice type, struct slice data,
                      ir_sink_fn sink, void *ctx)
{
    struct emit e = {state, d, sink, ctx};
    if (!d && slice_eq(slice_trim(data), SLICE_LIT("[DONE]")))
        return cohere_read_end(state, sink, ctx);
    if (!d || json_type(d, JSON_ROOT) != JSON_OBJECT)
        return -1;
    uint32_t word = json_get_lit(d, JSON_ROOT, "type");
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (word == JSON_NONE ? slice_eq(type, events[i].type)
                              : json_str_eq(d, word, events[i].type))
            return events[i].read(&e);
    return 0;
}

int cohere_read_end(void *state, ir_sink_fn sink, void *ctx)
{
    struct cohere_stream_reader *s = state;
    if (!s->finished)
        return -1;
    if (!s->ended)
        sink(ctx, &(struct ir_event){.kind = IR_EV_END});
    s->ended = true;
    return 0;
}
