/*
 * openai_responses_stream.c: reads the events of a response.
 *
 * A part is what content_part.added, reasoning_summary_part.added or, for calls,
 * output_item.added begins. Reasoning stays open until its item is done, for only that event has
 * the encrypted content. Whole texts that the *.done events repeat are passed over; arguments that
 * came without a delta are taken from the item.
 */
#include "common/check.h"
#include "gatewayd/dialect/openai.h"
#include "gatewayd/dialect/openai_responses.h"

#include <stdlib.h>

enum { MAX_OPEN = 256, SCRATCH_MAX_BYTES = 4 << 20 };

struct in {
    struct openai_responses_reader *s;
    const struct json_doc *d;
    ir_sink_fn sink;
    void *ctx;
    int64_t item, content;
};

static void emit(const struct in *in, const struct ir_event *ev)
{
    in->sink(in->ctx, ev);
}

/* ---- open parts ---- */

static struct openai_responses_open *find(const struct in *in, int64_t content)
{
    for (size_t i = in->s->n_open; i > 0; i--) {
        struct openai_responses_open *o = &in->s->open[i - 1];
        if (o->item == in->item && (content < 0 || o->content == content))
            return o;
    }
    return NULL;
}

static struct openai_responses_open *begin_part(const struct in *in, int64_t content,
                                                struct ir_event *ev)
{
    struct openai_responses_reader *s = in->s;
    if (s->n_open == MAX_OPEN)
        return NULL;
    s->open = gw_xrealloc(s->open, (s->n_open + 1) * sizeof *s->open);
    struct openai_responses_open *o = &s->open[s->n_open++];
    *o = (struct openai_responses_open){
        .item = in->item, .content = content, .part = s->next_part++, .kind = ev->part_kind};
    s->kinds |= 1u << o->kind;
    ev->kind = IR_EV_PART_START;
    ev->part = o->part;
    emit(in, ev);
    return o;
}

static void end_part(const struct in *in, struct openai_responses_open *o)
{
    struct openai_responses_reader *s = in->s;
    size_t at = (size_t)(o - s->open);
    emit(in, &(struct ir_event){.kind = IR_EV_PART_END, .part = o->part});
    memmove(o, o + 1, (s->n_open - at - 1) * sizeof *o);
    s->n_open--;
}

static int take_delta(const struct in *in, enum ir_part_kind kind, int64_t content,
                      struct slice logprobs)
{
    struct ir_text text = ir_text_of(in->d, json_get_lit(in->d, JSON_ROOT, "delta"));
    struct openai_responses_open *o = find(in, content);
    if (!ir_has(text))
        return -1;
    if (!o && kind == IR_PART_TOOL_CALL)
        return -1;
    if (!o) /* a server that leaves out the event that begins a part */
        o = begin_part(in, content, &(struct ir_event){.part_kind = kind});
    if (!o || o->kind != kind)
        return -1;
    o->said = true;
    if (text.s.n)
        emit(in, &(struct ir_event){
                     .kind = IR_EV_DELTA, .part = o->part, .text = text, .logprobs = logprobs});
    return 0;
}

/* ---- items ---- */

static int add_item(const struct in *in)
{
    const struct json_doc *d = in->d;
    uint32_t item = json_get_lit(d, JSON_ROOT, "item");
    if (!json_str_eq_lit(d, json_get_lit(d, item, "type"), "function_call"))
        return 0;
    struct ir_event ev = {.part_kind = IR_PART_TOOL_CALL};
    ev.call_id = ir_text_of(d, json_get_lit(d, item, "call_id"));
    ev.name = ir_text_of(d, json_get_lit(d, item, "name"));
    return begin_part(in, 0, &ev) ? 0 : -1;
}

static void end_call(const struct in *in, struct openai_responses_open *o, uint32_t item)
{
    struct ir_text arguments = ir_text_of(in->d, json_get_lit(in->d, item, "arguments"));
    if (!o->said && arguments.s.n)
        emit(in, &(struct ir_event){.kind = IR_EV_DELTA, .part = o->part, .text = arguments});
}

/* ID "-" CONTENT, see openai_responses.h. */
static struct ir_text signature_of(const struct in *in, uint32_t item)
{
    struct buf *b = &in->s->scratch;
    struct ir_text id = ir_text_of(in->d, json_get_lit(in->d, item, "id"));
    struct ir_text content = ir_text_of(in->d, json_get_lit(in->d, item, "encrypted_content"));
    if (content.s.n == 0 || content.escaped || id.escaped || id.s.n == 0 ||
        slice_starts_with(id.s, SLICE_LIT(OPENAI_RESPONSES_OWN_ID)))
        return content;
    if (!b->max_bytes)
        buf_init(b, SCRATCH_MAX_BYTES);
    b->len = 0;
    if (buf_append(b, id.s.p, id.s.n) < 0 || buf_append(b, "-", 1) < 0 ||
        buf_append(b, content.s.p, content.s.n) < 0)
        return (struct ir_text){{NULL, 0}, false};
    return ir_plain(buf_slice(b));
}

static int end_reasoning(const struct in *in, uint32_t item)
{
    struct ir_text signature = signature_of(in, item);
    struct openai_responses_open *o = find(in, -1);
    if (!o && signature.s.n)
        o = begin_part(in, 0, &(struct ir_event){.part_kind = IR_PART_REASONING, .redacted = true});
    if (!o)
        return signature.s.n ? -1 : 0;
    if (signature.s.n)
        emit(in, &(struct ir_event){.kind = IR_EV_SIGNATURE, .part = o->part, .text = signature});
    end_part(in, o);
    return 0;
}

static int end_item(const struct in *in)
{
    uint32_t item = json_get_lit(in->d, JSON_ROOT, "item");
    struct openai_responses_open *o;
    if (json_str_eq_lit(in->d, json_get_lit(in->d, item, "type"), "reasoning"))
        return end_reasoning(in, item);
    while ((o = find(in, -1))) {
        if (o->kind == IR_PART_TOOL_CALL)
            end_call(in, o, item);
        end_part(in, o);
    }
    return 0;
}

/* ---- content ---- */

static int add_content(const struct in *in)
{
    uint32_t part = json_get_lit(in->d, JSON_ROOT, "part");
    uint32_t type = json_get_lit(in->d, part, "type");
    enum ir_part_kind kind = json_str_eq_lit(in->d, type, "refusal")          ? IR_PART_REFUSAL
                             : json_str_eq_lit(in->d, type, "reasoning_text") ? IR_PART_REASONING
                                                                              : IR_PART_TEXT;
    return begin_part(in, in->content, &(struct ir_event){.part_kind = kind}) ? 0 : -1;
}

static int end_content(const struct in *in)
{
    struct openai_responses_open *o = find(in, in->content);
    if (o && o->kind != IR_PART_REASONING)
        end_part(in, o);
    return 0;
}

static int add_summary(const struct in *in)
{
    struct openai_responses_open *before = find(in, -1);
    if (before)
        end_part(in, before);
    return begin_part(in, in->content, &(struct ir_event){.part_kind = IR_PART_REASONING}) ? 0 : -1;
}

static int take_annotation(const struct in *in)
{
    struct ir_citation c;
    struct openai_responses_open *o = find(in, in->content);
    if (o &&
        openai_responses_read_citation(in->d, json_get_lit(in->d, JSON_ROOT, "annotation"), &c))
        emit(in, &(struct ir_event){.kind = IR_EV_CITATION, .part = o->part, .citation = &c});
    return 0;
}

/* {"content":[…]}, as chat completions have it. */
static struct slice logprobs_of(const struct in *in)
{
    static const char head[] = "{\"content\":", tail[] = ",\"refusal\":null}";
    struct buf *b = &in->s->scratch;
    uint32_t v = json_get_lit(in->d, JSON_ROOT, "logprobs");
    struct slice raw = json_raw(in->d, v);
    if (json_type(in->d, v) != JSON_ARRAY || json_count(in->d, v) == 0)
        return slice_of(NULL, 0);
    if (!b->max_bytes)
        buf_init(b, SCRATCH_MAX_BYTES);
    b->len = 0;
    if (buf_append(b, head, sizeof head - 1) < 0 || buf_append(b, raw.p, raw.n) < 0 ||
        buf_append(b, tail, sizeof tail - 1) < 0)
        return slice_of(NULL, 0);
    return buf_slice(b);
}

/* ---- the response ---- */

static void take_start(const struct in *in)
{
    const struct json_doc *d = in->d;
    uint32_t response = json_get_lit(d, JSON_ROOT, "response");
    struct ir_event ev = {.kind = IR_EV_START};
    if (in->s->started)
        return;
    in->s->started = true;
    in->s->usage.total_tokens = -1;
    ev.id = ir_text_of(d, json_get_lit(d, response, "id"));
    ev.model = ir_text_of(d, json_get_lit(d, response, "model"));
    ev.service_tier = ir_text_of(d, json_get_lit(d, response, "service_tier"));
    if (json_i64(d, json_get_lit(d, response, "created_at"), &ev.created_s) < 0)
        ev.created_s = 0;
    emit(in, &ev);
}

static int take_completed(const struct in *in)
{
    struct openai_responses_reader *s = in->s;
    uint32_t response = json_get_lit(in->d, JSON_ROOT, "response");
    struct ir_event ev = {.kind = IR_EV_FINISH};
    if (!s->started)
        return -1;
    while (s->n_open)
        end_part(in, &s->open[0]);
    openai_read_usage(in->d, json_get_lit(in->d, response, "usage"), &s->usage);
    ev.finish = openai_responses_finish(in->d, response, s->kinds);
    if (s->usage.flags)
        ev.usage = &s->usage;
    emit(in, &ev);
    s->ended = true;
    emit(in, &(struct ir_event){.kind = IR_EV_END});
    return 0;
}

static int take_failure(const struct in *in, uint32_t error)
{
    struct ir_event ev = {.kind = IR_EV_ERROR};
    ev.text = ir_text_of(in->d, json_get_lit(in->d, error, "message"));
    ev.fault = openai_fault(in->d, error, 200);
    in->s->failed = true;
    emit(in, &ev);
    return 0;
}

/* The error stands in the event itself, as the reference has it, or in a member, as it is sent. */
static int take_error(const struct in *in)
{
    uint32_t error = json_get_lit(in->d, JSON_ROOT, "error");
    return take_failure(in, json_type(in->d, error) == JSON_OBJECT ? error : JSON_ROOT);
}

static int take_failed(const struct in *in)
{
    uint32_t response = json_get_lit(in->d, JSON_ROOT, "response");
    openai_read_usage(in->d, json_get_lit(in->d, response, "usage"), &in->s->usage);
    return take_failure(in, json_get_lit(in->d, response, "error"));
}

/* ---- events ---- */

static int64_t index_of(const struct json_doc *d, struct slice name)
{
    int64_t i;
    return json_i64(d, json_get(d, JSON_ROOT, name), &i) == 0 && i >= 0 ? i : 0;
}

enum what {
    START,
    ITEM_ADDED,
    ITEM_DONE,
    PART_ADDED,
    PART_DONE,
    SUMMARY_ADDED,
    TEXT,
    REFUSAL,
    ARGUMENTS,
    SUMMARY,
    THOUGHT,
    ANNOTATION,
    COMPLETED,
    FAILED,
    ERROR,
};
static const struct {
    struct slice type;
    enum what what;
} types[] = {
    {{"response.output_text.delta", 26}, TEXT},
    {{"response.function_call_arguments.delta", 38}, ARGUMENTS},
    {{"response.reasoning_summary_text.delta", 37}, SUMMARY},
    {{"response.reasoning_text.delta", 29}, THOUGHT},
    {{"response.refusal.delta", 22}, REFUSAL},
    {{"response.created", 16}, START},
    {{"response.in_progress", 20}, START},
    {{"response.queued", 15}, START},
    {{"response.output_item.added", 26}, ITEM_ADDED},
    {{"response.output_item.done", 25}, ITEM_DONE},
    {{"response.content_part.added", 27}, PART_ADDED},
    {{"response.content_part.done", 26}, PART_DONE},
    {{"response.reasoning_summary_part.added", 37}, SUMMARY_ADDED},
    {{"response.output_text.annotation.added", 37}, ANNOTATION},
    {{"response.completed", 18}, COMPLETED},
    {{"response.incomplete", 19}, COMPLETED},
    {{"response.failed", 15}, FAILED},
    {{"error", 5}, ERROR},
};

static int take(struct in *in, enum what what)
{
    const struct slice none = {NULL, 0};
    switch (what) {
    case START:
        take_start(in);
        return 0;
    case ITEM_ADDED:
        return add_item(in);
    case ITEM_DONE:
        return end_item(in);
    case PART_ADDED:
        return add_content(in);
    case PART_DONE:
        return end_content(in);
    case SUMMARY_ADDED:
        return add_summary(in);
    case TEXT:
        return take_delta(in, IR_PART_TEXT, in->content, logprobs_of(in));
    case REFUSAL:
        return take_delta(in, IR_PART_REFUSAL, in->content, none);
    case ARGUMENTS:
        return take_delta(in, IR_PART_TOOL_CALL, 0, none);
    case SUMMARY:
    case THOUGHT:
        return take_delta(in, IR_PART_REASONING, in->content, none);
    case ANNOTATION:
        return take_annotation(in);
    case COMPLETED:
        return take_completed(in);
    case FAILED:
        return take_failed(in);
    case ERROR:
        return take_error(in);
    }
    return 0;
}

int openai_responses_read_event(void *state, const struct json_doc *d, struct slice type,
                                struct slice data, ir_sink_fn sink, void *ctx)
{
    struct openai_responses_reader *s = state;
    struct in in = {.s = s, .d = d, .sink = sink, .ctx = ctx};
    (void)data;
    if (s->ended || s->failed)
        return 0;
    if (!d || json_type(d, JSON_ROOT) != JSON_OBJECT)
        return -1;
    uint32_t v = json_get_lit(d, JSON_ROOT, "type");
    bool named = json_type(d, v) == JSON_STRING;
    uint32_t summary = json_get_lit(d, JSON_ROOT, "summary_index");
    in.item = index_of(d, SLICE_LIT("output_index"));
    in.content =
        index_of(d, summary == JSON_NONE ? SLICE_LIT("content_index") : SLICE_LIT("summary_index"));
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (named ? json_str_eq(d, v, types[i].type) : slice_eq(type, types[i].type))
            return take(&in, types[i].what);
    /* An error of the kind that chat completions send. */
    uint32_t error = openai_error_object(d);
    return !named && error != JSON_NONE ? take_failure(&in, error) : 0;
}

int openai_responses_read_end(void *state, ir_sink_fn sink, void *ctx)
{
    const struct openai_responses_reader *s = state;
    (void)sink;
    (void)ctx;
    return s->ended ? 0 : -1;
}

void openai_responses_reader_fini(void *state)
{
    struct openai_responses_reader *s = state;
    free(s->open);
    buf_release(&s->scratch);
    memset(s, 0, sizeof *s);
}
