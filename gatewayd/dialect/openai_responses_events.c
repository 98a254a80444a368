/*
 * openai_responses_events.c: writes a stream as the events of a response.
 *
 * The order is what the official clients' accumulators demand: created, in_progress, then for each
 * item added, its parts (added, deltas, done), done, and at last the whole response once more. So
 * the output is kept as it is written, in its JSON form, within the bound below. Text and refusals
 * that follow each other are parts of one message, summaries of one reasoning item until it is
 * signed.
 */
#include "gatewayd/dialect/openai.h"
#include "gatewayd/dialect/openai_responses.h"

#include <stdio.h>

enum { KEPT_MAX_BYTES = 64 << 20, NAME_MAX_BYTES = 4096 };

struct out {
    struct openai_responses_writer *s;
    const struct codec_caller *caller;
    struct buf *buf;
    struct json_writer w;
    bool full;
};

/* ---- kept texts ---- */

/* The inside of a JSON string behind what b holds. */
static void keep(struct out *o, struct buf *b, struct ir_text t)
{
    struct json_writer w;
    size_t n;
    if (t.s.n == 0)
        return;
    jw_init_buf(&w, b);
    ir_add_text(&w, t);
    o->full |= jw_finish(&w, &n) < 0;
}

static void keep_raw(struct out *o, struct buf *b, const char *lit)
{
    o->full |= buf_append(b, lit, strlen(lit)) < 0;
}

static struct ir_text kept(const struct buf *b)
{
    return (struct ir_text){b->len ? buf_slice(b) : slice_of("", 0), true};
}

static void init_bufs(struct openai_responses_writer *s)
{
    if (s->begun)
        return;
    s->begun = true;
    buf_init(&s->id, NAME_MAX_BYTES);
    buf_init(&s->model, NAME_MAX_BYTES);
    buf_init(&s->tier, NAME_MAX_BYTES);
    buf_init(&s->output, KEPT_MAX_BYTES);
    buf_init(&s->content, KEPT_MAX_BYTES);
    buf_init(&s->text, KEPT_MAX_BYTES);
    buf_init(&s->notes, KEPT_MAX_BYTES);
    buf_init(&s->logprobs, KEPT_MAX_BYTES);
    buf_init(&s->call, KEPT_MAX_BYTES);
    buf_init(&s->name, KEPT_MAX_BYTES);
    buf_init(&s->signature, KEPT_MAX_BYTES);
}

/* ---- events ---- */

static void begin_event(struct out *o, const char *type)
{
    struct slice word = slice_str(type);
    o->full |= ir_begin_sse(o->buf, word) < 0;
    jw_init_buf(&o->w, o->buf);
    jw_object(&o->w);
    jw_member_str(&o->w, "type", word);
    jw_member_i64(&o->w, "sequence_number", o->s->sequence++);
}

static void end_event(struct out *o)
{
    size_t n;
    jw_object_end(&o->w);
    o->full |= jw_finish(&o->w, &n) < 0 || buf_append(o->buf, "\n\n", 2) < 0;
}

static void place_of_item(struct out *o)
{
    jw_member_str(&o->w, "item_id", slice_str(o->s->item_id));
    jw_member_i64(&o->w, "output_index", o->s->outputs - 1);
}

static void place_of_part(struct out *o)
{
    place_of_item(o);
    if (o->s->item == ITEM_REASONING)
        jw_member_i64(&o->w, "summary_index", o->s->contents - 1);
    else if (o->s->item == ITEM_MESSAGE)
        jw_member_i64(&o->w, "content_index", o->s->contents - 1);
}

static void write_response(struct out *o, const char *event, struct openai_responses_object *r,
                           struct slice output)
{
    struct openai_responses_writer *s = o->s;
    r->id = kept(&s->id);
    r->model = kept(&s->model);
    if (s->tier.len)
        r->service_tier = kept(&s->tier);
    r->created_s = s->created_s;
    begin_event(o, event);
    jw_key_plain(&o->w, SLICE_LIT("response"));
    openai_responses_write_object(&o->w, r, o->caller, output);
    end_event(o);
}

/* ---- items ---- */

static void write_item(struct out *o, struct json_writer *w, bool done)
{
    const struct openai_responses_writer *s = o->s;
    const struct slice status = done ? SLICE_LIT("completed") : SLICE_LIT("in_progress");
    struct slice content = done ? buf_slice(&s->content) : slice_of(NULL, 0);
    jw_object(w);
    jw_member_str(w, "id", slice_str(s->item_id));
    if (s->item == ITEM_MESSAGE) {
        jw_member_str(w, "type", SLICE_LIT("message"));
        jw_member_str(w, "status", status);
        jw_member_str(w, "role", SLICE_LIT("assistant"));
        jw_member_array(w, "content");
    } else if (s->item == ITEM_REASONING) {
        jw_member_str(w, "type", SLICE_LIT("reasoning"));
        jw_member_array(w, "summary");
    } else {
        jw_member_str(w, "type", SLICE_LIT("function_call"));
        jw_member_str(w, "status", status);
        ir_member(w, "arguments", done ? kept(&s->text) : IR_LIT(""));
        ir_member(w, "call_id", kept(&s->call));
        ir_member(w, "name", kept(&s->name));
        jw_object_end(w);
        return;
    }
    if (content.n)
        jw_raw(w, content);
    jw_array_end(w);
    if (s->item == ITEM_REASONING && done && s->signature.len)
        ir_member(w, "encrypted_content", kept(&s->signature));
    jw_object_end(w);
}

static void begin_item(struct out *o, enum openai_responses_item item)
{
    static const char *const prefixes[] = {
        [ITEM_MESSAGE] = "msg", [ITEM_CALL] = "fc", [ITEM_REASONING] = OPENAI_RESPONSES_OWN_ID};
    struct openai_responses_writer *s = o->s;
    struct slice id = o->caller->request_id;
    snprintf(s->item_id, sizeof s->item_id, "%s_%.*s_%u", prefixes[item],
             (int)GW_MIN(id.n, (size_t)64), id.p ? id.p : "", (unsigned)s->outputs);
    s->item = item;
    s->outputs++;
    s->contents = 0;
    s->content.len = s->signature.len = 0;
    s->signed_ = false;
    begin_event(o, "response.output_item.added");
    jw_member_i64(&o->w, "output_index", s->outputs - 1);
    jw_key_plain(&o->w, SLICE_LIT("item"));
    write_item(o, &o->w, false);
    end_event(o);
}

static void end_item(struct out *o)
{
    struct openai_responses_writer *s = o->s;
    struct json_writer w;
    size_t n;
    if (s->item == ITEM_NONE)
        return;
    begin_event(o, "response.output_item.done");
    jw_member_i64(&o->w, "output_index", s->outputs - 1);
    jw_key_plain(&o->w, SLICE_LIT("item"));
    write_item(o, &o->w, true);
    end_event(o);
    if (s->output.len)
        keep_raw(o, &s->output, ",");
    jw_init_buf(&w, &s->output);
    write_item(o, &w, true);
    o->full |= jw_finish(&w, &n) < 0;
    s->item = ITEM_NONE;
}

/* ---- parts ---- */

static void write_logprobs(struct json_writer *w, struct slice elements)
{
    jw_member_array(w, "logprobs");
    if (elements.n)
        jw_raw(w, elements);
    jw_array_end(w);
}

/* A part as it stands in its item; empty when it begins. */
static void write_part(struct out *o, struct json_writer *w, bool done)
{
    const struct openai_responses_writer *s = o->s;
    struct ir_text text = done ? kept(&s->text) : IR_LIT("");
    jw_object(w);
    if (s->part == IR_PART_REASONING) {
        jw_member_str(w, "type", SLICE_LIT("summary_text"));
        ir_member(w, "text", text);
    } else if (s->part == IR_PART_REFUSAL) {
        jw_member_str(w, "type", SLICE_LIT("refusal"));
        ir_member(w, "refusal", text);
    } else {
        jw_member_str(w, "type", SLICE_LIT("output_text"));
        ir_member(w, "text", text);
        jw_member_array(w, "annotations");
        if (done && s->notes.len)
            jw_raw(w, buf_slice(&s->notes));
        jw_array_end(w);
        write_logprobs(w, done ? buf_slice(&s->logprobs) : slice_of(NULL, 0));
    }
    jw_object_end(w);
}

static void begin_part(struct out *o, const struct ir_event *ev)
{
    struct openai_responses_writer *s = o->s;
    enum openai_responses_item item =
        ev->part_kind == IR_PART_REASONING ? ITEM_REASONING : ITEM_MESSAGE;
    if (s->item != item || s->signed_) {
        end_item(o);
        begin_item(o, item);
    }
    s->part = ev->part_kind;
    s->refused |= ev->part_kind == IR_PART_REFUSAL;
    s->text.len = s->notes.len = s->logprobs.len = 0;
    s->annotations = 0;
    if (ev->redacted)
        return;
    s->part_open = true;
    s->contents++;
    begin_event(o, item == ITEM_REASONING ? "response.reasoning_summary_part.added"
                                          : "response.content_part.added");
    place_of_part(o);
    jw_key_plain(&o->w, SLICE_LIT("part"));
    write_part(o, &o->w, false);
    end_event(o);
}

static void begin_call(struct out *o, const struct ir_event *ev)
{
    struct openai_responses_writer *s = o->s;
    struct json_writer w;
    size_t n;
    end_item(o);
    s->text.len = s->call.len = s->name.len = 0;
    jw_init_buf(&w, &s->call);
    ir_write_signed_id(&w, ev->call_id, ev->signature);
    o->full |= jw_finish(&w, &n) < 0;
    if (s->call.len >= 2) { /* without its quotes */
        buf_consume(&s->call, 1);
        s->call.len--;
    }
    keep(o, &s->name, ev->name);
    s->part = IR_PART_TOOL_CALL;
    begin_item(o, ITEM_CALL);
    s->part_open = true;
}

/* Those that came now, as they stand in the state: for the part's end they are kept. */
static struct slice keep_logprobs(struct out *o, struct slice logprobs)
{
    struct buf *all = &o->s->logprobs;
    struct json_doc d;
    if (!logprobs.p)
        return slice_of(NULL, 0);
    json_doc_init(&d, JSON_MAX_TOKENS);
    struct slice list = openai_responses_logprobs(&d, logprobs);
    size_t from = all->len + (all->len > 0);
    if (list.n > 2) {
        if (all->len)
            keep_raw(o, all, ",");
        o->full |= buf_append(all, list.p + 1, list.n - 2) < 0;
    }
    json_doc_release(&d);
    return from < all->len ? slice_of(all->data + from, all->len - from) : slice_of(NULL, 0);
}

static void write_delta(struct out *o, const struct ir_event *ev)
{
    struct openai_responses_writer *s = o->s;
    const char *type = s->part == IR_PART_TOOL_CALL   ? "response.function_call_arguments.delta"
                       : s->part == IR_PART_REASONING ? "response.reasoning_summary_text.delta"
                       : s->part == IR_PART_REFUSAL   ? "response.refusal.delta"
                                                      : "response.output_text.delta";
    if (!s->part_open)
        return;
    keep(o, &s->text, ev->text);
    begin_event(o, type);
    place_of_part(o);
    ir_member(&o->w, "delta", ev->text);
    if (s->part == IR_PART_TEXT)
        write_logprobs(&o->w, keep_logprobs(o, ev->logprobs));
    end_event(o);
}

static void write_citation(struct out *o, const struct ir_event *ev)
{
    struct openai_responses_writer *s = o->s;
    struct json_writer w;
    size_t n;
    if (!s->part_open || s->part != IR_PART_TEXT || !ir_has(ev->citation->url))
        return;
    begin_event(o, "response.output_text.annotation.added");
    place_of_part(o);
    jw_member_i64(&o->w, "annotation_index", s->annotations);
    jw_key_plain(&o->w, SLICE_LIT("annotation"));
    openai_responses_write_citation(&o->w, ev->citation);
    end_event(o);
    if (s->annotations++)
        keep_raw(o, &s->notes, ",");
    jw_init_buf(&w, &s->notes);
    openai_responses_write_citation(&w, ev->citation);
    o->full |= jw_finish(&w, &n) < 0;
}

static void end_call(struct out *o)
{
    begin_event(o, "response.function_call_arguments.done");
    place_of_item(o);
    if (o->s->text.len == 0)
        keep_raw(o, &o->s->text, "{}");
    ir_member(&o->w, "name", kept(&o->s->name));
    ir_member(&o->w, "arguments", kept(&o->s->text));
    end_event(o);
    end_item(o);
}

static void end_part(struct out *o)
{
    struct openai_responses_writer *s = o->s;
    struct json_writer w;
    size_t n;
    bool thought = s->part == IR_PART_REASONING, refusal = s->part == IR_PART_REFUSAL;
    if (!s->part_open)
        return;
    s->part_open = false;
    if (s->part == IR_PART_TOOL_CALL) {
        end_call(o);
        return;
    }
    begin_event(o, thought   ? "response.reasoning_summary_text.done"
                   : refusal ? "response.refusal.done"
                             : "response.output_text.done");
    place_of_part(o);
    jw_key_plain(&o->w, refusal ? SLICE_LIT("refusal") : SLICE_LIT("text"));
    ir_write_str(&o->w, kept(&s->text));
    if (s->part == IR_PART_TEXT)
        write_logprobs(&o->w, buf_slice(&s->logprobs));
    end_event(o);
    begin_event(o, thought ? "response.reasoning_summary_part.done" : "response.content_part.done");
    place_of_part(o);
    jw_key_plain(&o->w, SLICE_LIT("part"));
    write_part(o, &o->w, true);
    end_event(o);
    if (s->content.len)
        keep_raw(o, &s->content, ",");
    jw_init_buf(&w, &s->content);
    write_part(o, &w, true);
    o->full |= jw_finish(&w, &n) < 0;
}

/* ---- the response ---- */

static void keep_start(struct out *o, const struct ir_event *ev)
{
    struct openai_responses_writer *s = o->s;
    s->started = true;
    s->created_s = ev->created_s;
    keep(o, &s->id, ev->id);
    keep(o, &s->model, ev->model);
    keep(o, &s->tier, ev->service_tier);
}

int openai_responses_resume(struct openai_responses_writer *s, const struct ir_event *start)
{
    struct out o = {.s = s};
    init_bufs(s);
    keep_start(&o, start);
    return o.full ? -1 : 0;
}

static void write_start(struct out *o, const struct ir_event *ev)
{
    struct openai_responses_object r = {.status = "in_progress"};
    keep_start(o, ev);
    write_response(o, "response.created", &r, SLICE_LIT("[]"));
    write_response(o, "response.in_progress", &r, SLICE_LIT("[]"));
}

/* "[…]" of the items that are done. */
static void write_last(struct out *o, const char *event, struct openai_responses_object *r)
{
    struct buf all;
    buf_init(&all, KEPT_MAX_BYTES + 2);
    o->full |= buf_append(&all, "[", 1) < 0 ||
               (o->s->output.len && buf_append(&all, o->s->output.data, o->s->output.len) < 0) ||
               buf_append(&all, "]", 1) < 0;
    r->usage = &o->s->usage;
    write_response(o, event, r, buf_slice(&all));
    buf_release(&all);
}

static void write_end(struct out *o)
{
    struct openai_responses_object r = {.status = NULL};
    end_part(o);
    end_item(o);
    openai_responses_status(o->s->finish, o->s->refused, &r);
    write_last(o, r.incomplete ? "response.incomplete" : "response.completed", &r);
}

/* Of an error there is an event, and a response that was created ends with response.failed
 * (platform.openai.com/docs/api-reference/responses-streaming). Some clients look for the one, some
 * for the other: both are sent, as the API does. `lasting` is the code in the response. */
static void write_failure(struct out *o, const char *code, const char *lasting,
                          struct ir_text message)
{
    struct openai_responses_object r = {.status = "failed", .error = lasting, .message = message};
    begin_event(o, "error");
    jw_member_str(&o->w, "code", slice_str(code));
    ir_member(&o->w, "message", message);
    jw_member_null(&o->w, "param");
    end_event(o);
    o->s->failed = true;
    if (o->s->started)
        write_last(o, "response.failed", &r);
}

static void write_error(struct out *o, const struct ir_event *ev)
{
    const char *code = openai_fault_code(ev->fault);
    write_failure(o, code, code,
                  ir_has(ev->text) ? ev->text : IR_LIT("The provider reported an error."));
}

int openai_responses_write_own_error(void *state, const struct codec_caller *c,
                                     const struct dialect_error *e, struct buf *out)
{
    struct openai_responses_writer *s = state;
    struct out o = {.s = s, .caller = c, .buf = out};
    size_t before = out->len;
    init_bufs(s);
    write_failure(&o, e->code && *e->code ? e->code : e->type, "server_error",
                  ir_plain(e->message));
    if (o.full)
        out->len = before;
    return o.full ? -1 : 0;
}

static void start_part(struct out *o, const struct ir_event *ev)
{
    o->s->part_open = false;
    if (ev->part_kind == IR_PART_TOOL_CALL)
        begin_call(o, ev);
    else if (ev->part_kind == IR_PART_TEXT || ev->part_kind == IR_PART_REFUSAL ||
             ev->part_kind == IR_PART_REASONING)
        begin_part(o, ev);
}

static void take_signature(struct out *o, const struct ir_event *ev)
{
    struct openai_responses_writer *s = o->s;
    if (s->item != ITEM_REASONING)
        return;
    if (!ev->appends)
        s->signature.len = 0;
    keep(o, &s->signature, ev->text);
    s->signed_ = true;
}

int openai_responses_write_event(void *state, const struct codec_caller *c,
                                 const struct ir_event *ev, struct buf *out)
{
    struct openai_responses_writer *s = state;
    struct out o = {.s = s, .caller = c, .buf = out};
    size_t before = out->len;
    init_bufs(s);
    if (ev->usage)
        s->usage = *ev->usage;
    if (s->failed || ev->choice != 0)
        return 0;
    switch (ev->kind) {
    case IR_EV_START:
        write_start(&o, ev);
        break;
    case IR_EV_PART_START:
        start_part(&o, ev);
        break;
    case IR_EV_DELTA:
        write_delta(&o, ev);
        break;
    case IR_EV_SIGNATURE:
        take_signature(&o, ev);
        break;
    case IR_EV_CITATION:
        write_citation(&o, ev);
        break;
    case IR_EV_PART_END:
        end_part(&o);
        break;
    case IR_EV_FINISH:
        s->finish = ev->finish;
        end_part(&o);
        end_item(&o);
        break;
    case IR_EV_PING:
        o.full |= buf_append(out, ": ping\n\n", 8) < 0;
        break;
    case IR_EV_ERROR:
        write_error(&o, ev);
        break;
    case IR_EV_END:
        write_end(&o);
        break;
    case IR_EV_USAGE:
        break;
    }
    if (o.full)
        out->len = before;
    return o.full ? -1 : 0;
}

void openai_responses_writer_fini(void *state)
{
    struct openai_responses_writer *s = state;
    struct buf *const all[] = {&s->id,      &s->model, &s->tier,     &s->output,
                               &s->content, &s->text,  &s->notes,    &s->logprobs,
                               &s->call,    &s->name,  &s->signature};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_release(all[i]);
    memset(s, 0, sizeof *s);
}
