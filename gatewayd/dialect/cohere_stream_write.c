/*
 * cohere_stream_write.c: writes the events of a stream.
 *
 * Blocks of content have indexes of their own, and so have calls and citations. A block begins with
 * its first content. message-end waits for the end of the answer, because usage may come behind the
 * finish and clients read both from this one event.
 */
#include "gatewayd/dialect/cohere.h"

enum { KEPT_MAX_BYTES = 1 << 20 };

void cohere_writer_fini(void *state)
{
    struct cohere_stream_writer *s = state;
    buf_release(&s->signature);
}

/* ---- frames ---- */

static int begin(struct json_writer *w, struct buf *out, const char *type)
{
    struct slice word = slice_str(type);
    if (ir_begin_sse(out, word) < 0)
        return -1;
    jw_init_buf(w, out);
    jw_object(w);
    jw_member_str(w, "type", word);
    return 0;
}

static int begin_indexed(struct json_writer *w, struct buf *out, const char *type, uint32_t index)
{
    if (begin(w, out, type) < 0)
        return -1;
    jw_member_u64(w, "index", index);
    return 0;
}

/* …,"delta":{"message":{"MEMBER": */
static void begin_message(struct json_writer *w, struct slice member)
{
    jw_member_object(w, "delta");
    jw_member_object(w, "message");
    jw_key_plain(w, member);
}

static void end_message(struct json_writer *w)
{
    jw_object_end(w);
    jw_object_end(w);
}

static int end(struct json_writer *w, struct buf *out)
{
    size_t n;
    jw_object_end(w);
    if (jw_finish(w, &n) < 0)
        return -1;
    return buf_append(out, "\n\n", 2);
}

static int write_end_of(struct buf *out, const char *type, uint32_t index)
{
    struct json_writer w;
    return begin_indexed(&w, out, type, index) < 0 ? -1 : end(&w, out);
}

/* ---- the message ---- */

static int write_start(struct cohere_stream_writer *s, const struct codec_caller *c,
                       const struct ir_event *ev, struct buf *out)
{
    struct json_writer w;
    if (s->started || begin(&w, out, "message-start") < 0)
        return -1;
    s->started = true;
    ir_member(&w, "id", ev->id.s.n ? ev->id : ir_plain(c->request_id));
    jw_member_object(&w, "delta");
    jw_member_raw(&w, "message",
                  SLICE_LIT("{\"role\":\"assistant\",\"content\":[],\"tool_plan\":\"\","
                            "\"tool_calls\":[],\"citations\":[]}"));
    jw_object_end(&w);
    return end(&w, out);
}

static int write_end(struct cohere_stream_writer *s, struct buf *out)
{
    static const char done[] = "data: [DONE]\n\n";
    struct json_writer w;
    if (begin(&w, out, "message-end") < 0)
        return -1;
    jw_member_object(&w, "delta");
    jw_member_str(&w, "finish_reason", cohere_finish_reason(s->finish, s->called));
    cohere_write_usage(&w, &s->usage);
    jw_object_end(&w);
    s->ended = true;
    return end(&w, out) < 0 ? -1 : buf_append(out, done, sizeof done - 1);
}

/* ---- parts ---- */

static bool is_thinking(const struct cohere_stream_writer *s)
{
    return s->kind == IR_PART_REASONING;
}

/* Of text and thinking, once there is content. */
static int start_late(struct cohere_stream_writer *s, struct buf *out)
{
    struct json_writer w;
    if (s->open)
        return 0;
    if (begin_indexed(&w, out, "content-start", s->content) < 0)
        return -1;
    s->open = true;
    begin_message(&w, SLICE_LIT("content"));
    jw_raw(&w, is_thinking(s) ? SLICE_LIT("{\"type\":\"thinking\",\"thinking\":\"\"}")
                              : SLICE_LIT("{\"type\":\"text\",\"text\":\"\"}"));
    end_message(&w);
    return end(&w, out);
}

static int begin_delta(struct cohere_stream_writer *s, struct json_writer *w, struct buf *out)
{
    if (start_late(s, out) < 0 || begin_indexed(w, out, "content-delta", s->content) < 0)
        return -1;
    begin_message(w, SLICE_LIT("content"));
    jw_object(w);
    return 0;
}

static int start_call(struct cohere_stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct json_writer w;
    if (begin_indexed(&w, out, "tool-call-start", s->calls) < 0)
        return -1;
    begin_message(&w, SLICE_LIT("tool_calls"));
    jw_object(&w);
    cohere_write_call(&w, ev->call_id, ev->signature, ev->name, IR_LIT(""));
    jw_object_end(&w);
    end_message(&w);
    return end(&w, out);
}

static int write_part_start(struct cohere_stream_writer *s, const struct ir_event *ev,
                            struct buf *out)
{
    bool call = ev->part_kind == IR_PART_TOOL_CALL;
    s->kind = ev->part_kind == IR_PART_REFUSAL ? IR_PART_TEXT : ev->part_kind;
    s->redacted = ev->redacted;
    s->signature.len = 0;
    s->in_part = call || is_thinking(s) || s->kind == IR_PART_TEXT;
    s->open = call;
    s->called |= call;
    return call ? start_call(s, ev, out) : 0;
}

static int write_arguments(struct cohere_stream_writer *s, struct ir_text text, struct buf *out)
{
    struct json_writer w;
    if (begin_indexed(&w, out, "tool-call-delta", s->calls) < 0)
        return -1;
    begin_message(&w, SLICE_LIT("tool_calls"));
    jw_object(&w);
    jw_member_object(&w, "function");
    ir_member(&w, "arguments", text);
    jw_object_end(&w);
    jw_object_end(&w);
    end_message(&w);
    return end(&w, out);
}

static int write_content(struct cohere_stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct json_writer w;
    bool logprobs = s->kind == IR_PART_TEXT && ev->logprobs.p;
    if ((ev->text.s.n == 0 && !logprobs) || s->redacted)
        return 0;
    if (s->kind == IR_PART_TOOL_CALL)
        return write_arguments(s, ev->text, out);
    if (begin_delta(s, &w, out) < 0)
        return -1;
    jw_key_plain(&w, is_thinking(s) ? SLICE_LIT("thinking") : SLICE_LIT("text"));
    ir_write_str(&w, ir_has(ev->text) ? ev->text : IR_LIT(""));
    jw_object_end(&w);
    end_message(&w);
    if (logprobs)
        cohere_write_logprob(&w, ev->logprobs, ir_has(ev->text) ? ev->text : IR_LIT(""));
    return end(&w, out);
}

static int write_citation(struct cohere_stream_writer *s, const struct ir_citation *c,
                          struct buf *out)
{
    struct json_writer w;
    if (s->kind != IR_PART_TEXT)
        return 0;
    if (start_late(s, out) < 0 || begin_indexed(&w, out, "citation-start", s->citations) < 0)
        return -1;
    begin_message(&w, SLICE_LIT("citations"));
    cohere_write_citation(&w, c, s->content);
    end_message(&w);
    return end(&w, out) < 0 ? -1 : write_end_of(out, "citation-end", s->citations++);
}

/* Keeps a text's characters behind what is kept already. */
static int keep_signature(struct cohere_stream_writer *s, const struct ir_event *ev)
{
    struct json_writer w;
    struct buf *b = &s->signature;
    size_t n;
    if (!is_thinking(s))
        return 0;
    if (!ev->appends)
        b->len = 0;
    size_t before = b->len;
    b->max_bytes = KEPT_MAX_BYTES;
    jw_init_buf(&w, b);
    ir_write_str(&w, ev->text);
    if (jw_finish(&w, &n) < 0)
        return -1;
    memmove(b->data + before, b->data + before + 1, b->len - before - 2);
    b->len -= 2;
    return 0;
}

static int write_signature(struct cohere_stream_writer *s, struct buf *out)
{
    struct json_writer w;
    struct ir_text signature = {buf_slice(&s->signature), true};
    if (begin_delta(s, &w, out) < 0)
        return -1;
    jw_member_str(&w, "thinking", SLICE_LIT(""));
    ir_member(&w, "signature", signature);
    jw_object_end(&w);
    end_message(&w);
    return end(&w, out);
}

static int write_part_end(struct cohere_stream_writer *s, struct buf *out)
{
    bool foreign = s->signature.len && !slice_eq(buf_slice(&s->signature), COHERE_SIGNATURE);
    if (is_thinking(s) && foreign && write_signature(s, out) < 0)
        return -1;
    s->in_part = false;
    if (!s->open)
        return 0;
    s->open = false;
    return s->kind == IR_PART_TOOL_CALL ? write_end_of(out, "tool-call-end", s->calls++)
                                        : write_end_of(out, "content-end", s->content++);
}

/* ---- events ---- */

static int write_one(struct cohere_stream_writer *s, const struct codec_caller *c,
                     const struct ir_event *ev, struct buf *out)
{
    switch (ev->kind) {
    case IR_EV_START:
        return write_start(s, c, ev, out);
    case IR_EV_PART_START:
        return write_part_start(s, ev, out);
    case IR_EV_DELTA:
        return s->in_part ? write_content(s, ev, out) : 0;
    case IR_EV_SIGNATURE:
        return s->in_part ? keep_signature(s, ev) : 0;
    case IR_EV_CITATION:
        return s->in_part ? write_citation(s, ev->citation, out) : 0;
    case IR_EV_PART_END:
        return s->in_part ? write_part_end(s, out) : 0;
    case IR_EV_FINISH:
        s->finish = ev->finish;
        return 0;
    case IR_EV_USAGE:
    case IR_EV_PING:
        return 0;
    case IR_EV_ERROR:
        s->ended = true;
        return cohere_write_error_event(out, ev->text);
    case IR_EV_END:
        return write_end(s, out);
    }
    return 0;
}

int cohere_write_event(void *state, const struct codec_caller *c, const struct ir_event *ev,
                       struct buf *out)
{
    struct cohere_stream_writer *s = state;
    size_t before = out->len;
    if (s->ended || ev->choice > 0)
        return 0;
    if (ev->usage && ev->usage->flags & USAGE_PRESENT)
        s->usage = *ev->usage;
    if (write_one(s, c, ev, out) == 0)
        return 0;
    out->len = before;
    return -1;
}
