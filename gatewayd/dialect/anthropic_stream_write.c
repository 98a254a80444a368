/*
 * anthropic_stream_write.c: writes the events of a stream.
 *
 * Clients build a message out of them and go by index, so blocks follow each other without a gap
 * and never overlap. A block of text or thinking begins with its first content: an empty one would
 * be sent back in the next turn, and refused. A signature is one delta, for the official clients
 * keep the last one only. message_delta waits for the end of the answer, because usage may come
 * behind the finish and clients read both from this one event.
 */
#include "gatewayd/dialect/anthropic.h"

enum { KEPT_MAX_BYTES = 1 << 20 };

void anthropic_writer_fini(void *state)
{
    struct anthropic_stream_writer *s = state;
    buf_release(&s->signature);
    buf_release(&s->stop_sequence);
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

static int end(struct json_writer *w, struct buf *out)
{
    size_t n;
    jw_object_end(w);
    if (jw_finish(w, &n) < 0)
        return -1;
    return buf_append(out, "\n\n", 2);
}

static int write_bare(struct buf *out, const char *type)
{
    struct json_writer w;
    return begin(&w, out, type) < 0 ? -1 : end(&w, out);
}

/* Keeps a text's characters behind what is kept already. */
static int keep(struct buf *b, struct ir_text t)
{
    struct json_writer w;
    size_t before = b->len, n;
    b->max_bytes = KEPT_MAX_BYTES;
    jw_init_buf(&w, b);
    ir_write_str(&w, t);
    if (jw_finish(&w, &n) < 0)
        return -1;
    memmove(b->data + before, b->data + before + 1, b->len - before - 2);
    b->len -= 2;
    return 0;
}

static struct ir_text kept(const struct buf *b)
{
    return (struct ir_text){b->len ? buf_slice(b) : SLICE_LIT(""), true};
}

/* ---- the message ---- */

static int write_start(struct anthropic_stream_writer *s, const struct codec_caller *c,
                       const struct ir_event *ev, struct buf *out)
{
    struct json_writer w;
    struct ir_text made[] = {IR_LIT("msg_"), ir_plain(c->request_id)};
    if (s->started || begin(&w, out, "message_start") < 0)
        return -1;
    s->started = true;
    jw_member_object(&w, "message");
    jw_key_plain(&w, SLICE_LIT("id"));
    if (ev->id.s.n)
        ir_write_str(&w, ev->id);
    else
        ir_write_str_parts(&w, made, ARRAY_LEN(made));
    jw_member_str(&w, "type", SLICE_LIT("message"));
    jw_member_str(&w, "role", SLICE_LIT("assistant"));
    ir_member(&w, "model", ir_has(c->model) ? c->model : ev->model);
    jw_member_raw(&w, "content", SLICE_LIT("[]"));
    jw_member_null(&w, "stop_reason");
    jw_member_null(&w, "stop_sequence");
    anthropic_write_usage(&w, ev->usage);
    jw_object_end(&w);
    return end(&w, out);
}

static int write_end(struct anthropic_stream_writer *s, struct buf *out)
{
    struct json_writer w;
    if (begin(&w, out, "message_delta") < 0)
        return -1;
    jw_member_object(&w, "delta");
    jw_member_str(&w, "stop_reason", slice_str(anthropic_stop_reason(s->finish, s->called)));
    jw_key_plain(&w, SLICE_LIT("stop_sequence"));
    if (s->stop_sequence.len)
        ir_write_str(&w, kept(&s->stop_sequence));
    else
        jw_null(&w);
    jw_object_end(&w);
    anthropic_write_delta_usage(&w, s->has_usage ? &s->usage : NULL);
    s->ended = true;
    return end(&w, out) < 0 ? -1 : write_bare(out, "message_stop");
}

/* ---- blocks ---- */

static int begin_block(struct anthropic_stream_writer *s, struct json_writer *w, struct buf *out)
{
    if (begin(w, out, "content_block_start") < 0)
        return -1;
    s->open = true;
    jw_member_u64(w, "index", s->index);
    jw_member_object(w, "content_block");
    return 0;
}

static int end_block_start(struct json_writer *w, struct buf *out)
{
    jw_object_end(w);
    return end(w, out);
}

static int start_call(struct anthropic_stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    char mem[1024];
    struct arena scratch;
    struct json_writer w;
    if (begin_block(s, &w, out) < 0)
        return -1;
    arena_init(&scratch, mem, sizeof mem, sizeof mem + 4 * ev->call_id.s.n);
    jw_member_str(&w, "type", SLICE_LIT("tool_use"));
    jw_key_plain(&w, SLICE_LIT("id"));
    anthropic_write_call_id(&w, &scratch, ev->call_id, ev->signature);
    arena_reset(&scratch);
    ir_member(&w, "name", ev->name);
    jw_member_raw(&w, "input", SLICE_LIT("{}"));
    return end_block_start(&w, out);
}

/* Of text and thinking, once there is content. */
static int start_late(struct anthropic_stream_writer *s, struct buf *out)
{
    struct json_writer w;
    if (s->open)
        return 0;
    if (begin_block(s, &w, out) < 0)
        return -1;
    if (s->kind != IR_PART_REASONING) {
        jw_member_str(&w, "type", SLICE_LIT("text"));
        jw_member_str(&w, "text", SLICE_LIT(""));
    } else if (s->redacted) {
        jw_member_str(&w, "type", SLICE_LIT("redacted_thinking"));
        ir_member(&w, "data", kept(&s->signature));
    } else {
        jw_member_str(&w, "type", SLICE_LIT("thinking"));
        jw_member_str(&w, "thinking", SLICE_LIT(""));
        jw_member_str(&w, "signature", SLICE_LIT(""));
    }
    return end_block_start(&w, out);
}

static int begin_delta(struct anthropic_stream_writer *s, struct json_writer *w, struct slice type,
                       struct buf *out)
{
    if (start_late(s, out) < 0 || begin(w, out, "content_block_delta") < 0)
        return -1;
    jw_member_u64(w, "index", s->index);
    jw_member_object(w, "delta");
    jw_member_str(w, "type", type);
    return 0;
}

static int write_delta(struct anthropic_stream_writer *s, struct slice type, struct slice member,
                       struct ir_text text, struct buf *out)
{
    struct json_writer w;
    if (begin_delta(s, &w, type, out) < 0)
        return -1;
    jw_key_plain(&w, member);
    ir_write_str(&w, text);
    jw_object_end(&w);
    return end(&w, out);
}

static int write_part_start(struct anthropic_stream_writer *s, const struct ir_event *ev,
                            struct buf *out)
{
    s->kind = ev->part_kind;
    s->redacted = ev->redacted;
    s->signature.len = 0;
    s->in_part = s->kind == IR_PART_TEXT || s->kind == IR_PART_REFUSAL ||
                 s->kind == IR_PART_REASONING || s->kind == IR_PART_TOOL_CALL;
    if (s->kind != IR_PART_TOOL_CALL)
        return 0;
    s->called = true;
    return start_call(s, ev, out);
}

static int write_content(struct anthropic_stream_writer *s, struct ir_text text, struct buf *out)
{
    if (text.s.n == 0 || s->redacted)
        return 0;
    if (s->kind == IR_PART_TOOL_CALL)
        return write_delta(s, SLICE_LIT("input_json_delta"), SLICE_LIT("partial_json"), text, out);
    if (s->kind == IR_PART_REASONING)
        return write_delta(s, SLICE_LIT("thinking_delta"), SLICE_LIT("thinking"), text, out);
    return write_delta(s, SLICE_LIT("text_delta"), SLICE_LIT("text"), text, out);
}

static int write_citation(struct anthropic_stream_writer *s, const struct ir_citation *c,
                          struct buf *out)
{
    struct json_writer w;
    if (s->kind != IR_PART_TEXT || begin_delta(s, &w, SLICE_LIT("citations_delta"), out) < 0)
        return s->kind == IR_PART_TEXT ? -1 : 0;
    jw_key_plain(&w, SLICE_LIT("citation"));
    anthropic_write_citation(&w, c);
    jw_object_end(&w);
    return end(&w, out);
}

static int keep_signature(struct anthropic_stream_writer *s, const struct ir_event *ev)
{
    if (s->kind != IR_PART_REASONING)
        return 0;
    if (!ev->appends)
        s->signature.len = 0;
    return keep(&s->signature, ev->text);
}

static int write_part_end(struct anthropic_stream_writer *s, struct buf *out)
{
    struct json_writer w;
    bool sign = s->kind == IR_PART_REASONING && s->signature.len;
    if (sign && s->redacted && start_late(s, out) < 0)
        return -1;
    if (sign && !s->redacted &&
        write_delta(s, SLICE_LIT("signature_delta"), SLICE_LIT("signature"), kept(&s->signature),
                    out) < 0)
        return -1;
    s->in_part = false;
    if (!s->open)
        return 0;
    s->open = false;
    if (begin(&w, out, "content_block_stop") < 0)
        return -1;
    jw_member_u64(&w, "index", s->index++);
    return end(&w, out);
}

/* ---- events ---- */

static int finish(struct anthropic_stream_writer *s, const struct ir_event *ev)
{
    s->finish = ev->finish;
    return ir_has(ev->stop_sequence) ? keep(&s->stop_sequence, ev->stop_sequence) : 0;
}

static int write_one(struct anthropic_stream_writer *s, const struct codec_caller *c,
                     const struct ir_event *ev, struct buf *out)
{
    switch (ev->kind) {
    case IR_EV_START:
        return write_start(s, c, ev, out);
    case IR_EV_PART_START:
        return write_part_start(s, ev, out);
    case IR_EV_DELTA:
        return s->in_part ? write_content(s, ev->text, out) : 0;
    case IR_EV_SIGNATURE:
        return s->in_part ? keep_signature(s, ev) : 0;
    case IR_EV_CITATION:
        return s->in_part ? write_citation(s, ev->citation, out) : 0;
    case IR_EV_PART_END:
        return s->in_part ? write_part_end(s, out) : 0;
    case IR_EV_FINISH:
        return finish(s, ev);
    case IR_EV_USAGE:
        return 0;
    case IR_EV_PING:
        return write_bare(out, "ping");
    case IR_EV_ERROR:
        s->ended = true;
        return anthropic_write_error_event(out, anthropic_fault_type(ev->fault), ev->text,
                                           c->request_id);
    case IR_EV_END:
        return write_end(s, out);
    }
    return 0;
}

int anthropic_write_event(void *state, const struct codec_caller *c, const struct ir_event *ev,
                          struct buf *out)
{
    struct anthropic_stream_writer *s = state;
    size_t before = out->len;
    if (s->ended || ev->choice > 0)
        return 0;
    if (ev->usage && ev->usage->flags & USAGE_PRESENT) {
        s->usage = *ev->usage;
        s->has_usage = true;
    }
    if (write_one(s, c, ev, out) == 0)
        return 0;
    out->len = before;
    return -1;
}
