/*
 * openai_chat_events.c: writes a stream as chunks of a chat completion.
 *
 * In the order of the reference: a chunk with the role, one delta a chunk, a chunk with the
 * finish_reason, the chunk with usage and no choice if the caller asked for it (`usage` is null in
 * all others then), [DONE]. All chunks have the same id, created and model: what stands in front of
 * the choices is made once.
 */
#include "common/check.h"
#include "gatewayd/dialect/openai.h"
#include "gatewayd/dialect/openai_chat.h"

#include <stdlib.h>

enum { PREFIX_MAX_BYTES = 8192, MAX_CHOICES = 65536 };

struct out {
    struct openai_chat_writer *s;
    const struct codec_caller *caller;
    struct buf *buf;
    struct json_writer w;
    size_t before;
};

/* ---- chunks ---- */

static int make_prefix(struct openai_chat_writer *s, const struct codec_caller *c,
                       const struct ir_event *ev)
{
    struct json_writer w;
    size_t n;
    struct ir_text own[] = {IR_LIT("chatcmpl-"), ir_plain(c->request_id)};
    struct ir_text model = ir_has(c->model) ? c->model : ev->model;
    buf_release(&s->prefix);
    buf_init(&s->prefix, PREFIX_MAX_BYTES);
    if (buf_append(&s->prefix, "data: ", 6) < 0)
        return -1;
    jw_init_buf(&w, &s->prefix);
    jw_object(&w);
    jw_key_plain(&w, SLICE_LIT("id"));
    if (ev->id.s.n)
        ir_write_str(&w, ev->id);
    else
        ir_write_str_parts(&w, own, ARRAY_LEN(own));
    jw_member_str(&w, "object", SLICE_LIT("chat.completion.chunk"));
    jw_member_i64(&w, "created", ev->created_s ? ev->created_s : c->now_s);
    ir_member(&w, "model", ir_has(model) ? model : IR_LIT(""));
    if (ir_has(ev->service_tier))
        ir_member(&w, "service_tier", openai_tier(ev->service_tier));
    if (ir_has(ev->system_fingerprint))
        ir_member(&w, "system_fingerprint", ev->system_fingerprint);
    jw_member_array(&w, "choices");
    return jw_finish(&w, &n);
}

static int begin_chunk(struct out *o)
{
    const struct ir_event none = {.kind = IR_EV_START};
    o->before = o->buf->len;
    if (!o->s->prefix.len && make_prefix(o->s, o->caller, &none) < 0)
        return -1;
    if (buf_append(o->buf, o->s->prefix.data, o->s->prefix.len) < 0)
        return -1;
    jw_init_buf(&o->w, o->buf);
    return 0;
}

static int end_chunk(struct out *o, const char *tail)
{
    size_t n;
    if (jw_finish(&o->w, &n) == 0 && buf_append(o->buf, tail, strlen(tail)) == 0)
        return 0;
    o->buf->len = o->before;
    return -1;
}

static int begin_delta(struct out *o, const struct ir_event *ev)
{
    if (begin_chunk(o) < 0)
        return -1;
    jw_object(&o->w);
    jw_member_i64(&o->w, "index", ev->choice);
    jw_member_object(&o->w, "delta");
    return 0;
}

static int end_delta(struct out *o, struct slice logprobs, const char *finish)
{
    jw_object_end(&o->w);
    jw_key_plain(&o->w, SLICE_LIT("logprobs"));
    if (logprobs.p)
        jw_raw(&o->w, logprobs);
    else
        jw_null(&o->w);
    jw_key_plain(&o->w, SLICE_LIT("finish_reason"));
    if (finish)
        jw_str(&o->w, slice_str(finish));
    else
        jw_null(&o->w);
    jw_object_end(&o->w);
    return end_chunk(o, o->caller->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n");
}

static const struct slice none = {NULL, 0};

/* ---- choices ---- */

static struct openai_chat_choice_out *choice_of(struct openai_chat_writer *s, uint32_t index)
{
    if (index >= MAX_CHOICES)
        return NULL;
    if (index >= s->n_choices) {
        size_t n = (size_t)index + 1;
        s->choices = gw_xrealloc(s->choices, n * sizeof *s->choices);
        memset(s->choices + s->n_choices, 0, (n - s->n_choices) * sizeof *s->choices);
        s->n_choices = n;
    }
    return &s->choices[index];
}

static int write_role(struct out *o, const struct ir_event *ev, struct openai_chat_choice_out *c)
{
    if (c->begun)
        return 0;
    if (begin_delta(o, ev) < 0)
        return -1;
    c->begun = true;
    jw_member_str(&o->w, "role", SLICE_LIT("assistant"));
    jw_member_str(&o->w, "content", SLICE_LIT(""));
    jw_member_null(&o->w, "refusal");
    return end_delta(o, none, NULL);
}

static int write_call(struct out *o, const struct ir_event *ev, int32_t index)
{
    if (begin_delta(o, ev) < 0)
        return -1;
    jw_member_array(&o->w, "tool_calls");
    jw_object(&o->w);
    jw_member_i64(&o->w, "index", index);
    jw_key_plain(&o->w, SLICE_LIT("id"));
    ir_write_signed_id(&o->w, ev->call_id, ev->signature);
    jw_member_str(&o->w, "type", SLICE_LIT("function"));
    jw_member_object(&o->w, "function");
    ir_member(&o->w, "name", ev->name);
    jw_member_str(&o->w, "arguments", SLICE_LIT(""));
    jw_object_end(&o->w);
    jw_object_end(&o->w);
    jw_array_end(&o->w);
    return end_delta(o, none, NULL);
}

static int write_arguments(struct out *o, const struct ir_event *ev, int32_t index)
{
    if (begin_delta(o, ev) < 0)
        return -1;
    jw_member_array(&o->w, "tool_calls");
    jw_object(&o->w);
    jw_member_i64(&o->w, "index", index);
    jw_member_object(&o->w, "function");
    ir_member(&o->w, "arguments", ev->text);
    jw_object_end(&o->w);
    jw_object_end(&o->w);
    jw_array_end(&o->w);
    return end_delta(o, none, NULL);
}

/* One entry of reasoning_details; pieces of one index belong together. */
static void write_detail(struct out *o, const struct openai_chat_choice_out *c, struct slice member,
                         struct ir_text t)
{
    jw_member_array(&o->w, "reasoning_details");
    jw_object(&o->w);
    jw_member_str(&o->w, "type",
                  c->redacted ? SLICE_LIT("reasoning.encrypted") : SLICE_LIT("reasoning.text"));
    jw_key_plain(&o->w, member);
    ir_write_str(&o->w, t);
    openai_chat_write_format(&o->w, c->maker);
    jw_member_i64(&o->w, "index", c->details - 1);
    jw_object_end(&o->w);
    jw_array_end(&o->w);
}

static int write_signature(struct out *o, const struct ir_event *ev,
                           const struct openai_chat_choice_out *c)
{
    if (c->kind != IR_PART_REASONING)
        return 0;
    if (begin_delta(o, ev) < 0)
        return -1;
    write_detail(o, c, c->redacted ? SLICE_LIT("data") : SLICE_LIT("signature"), ev->text);
    return end_delta(o, none, NULL);
}

static int write_image(struct out *o, const struct ir_event *ev)
{
    struct ir_part p = {.kind = IR_PART_IMAGE, .source = IR_SOURCE_BASE64, .data = ev->text};
    if (begin_delta(o, ev) < 0)
        return -1;
    jw_member_array(&o->w, "images");
    jw_object(&o->w);
    jw_member_str(&o->w, "type", SLICE_LIT("image_url"));
    jw_member_object(&o->w, "image_url");
    jw_key_plain(&o->w, SLICE_LIT("url"));
    openai_chat_write_url(&o->w, &p);
    jw_object_end(&o->w);
    jw_object_end(&o->w);
    jw_array_end(&o->w);
    return end_delta(o, none, NULL);
}

static int write_delta(struct out *o, const struct ir_event *ev, struct openai_chat_choice_out *c)
{
    if (c->kind == IR_PART_TOOL_CALL)
        return write_arguments(o, ev, c->calls - 1);
    if (c->kind == IR_PART_IMAGE)
        return write_image(o, ev);
    if (begin_delta(o, ev) < 0)
        return -1;
    if (c->kind == IR_PART_REASONING) {
        ir_member(&o->w, "reasoning_content", ev->text);
        write_detail(o, c, SLICE_LIT("text"), ev->text);
    } else if (c->kind == IR_PART_REFUSAL) {
        ir_member(&o->w, "refusal", ev->text);
    } else {
        ir_member(&o->w, "content", ev->text);
    }
    return end_delta(o, ev->logprobs, NULL);
}

static int write_citation(struct out *o, const struct ir_event *ev)
{
    if (!ir_has(ev->citation->url))
        return 0;
    if (begin_delta(o, ev) < 0)
        return -1;
    jw_member_array(&o->w, "annotations");
    (void)openai_chat_write_citation(&o->w, ev->citation, 0);
    jw_array_end(&o->w);
    return end_delta(o, none, NULL);
}

static int start_part(struct out *o, const struct ir_event *ev, struct openai_chat_choice_out *c)
{
    c->kind = ev->part_kind;
    c->redacted = ev->redacted;
    c->maker = ev->maker;
    c->refused |= ev->part_kind == IR_PART_REFUSAL;
    if (ev->part_kind == IR_PART_REASONING)
        c->details++;
    return ev->part_kind == IR_PART_TOOL_CALL ? write_call(o, ev, c->calls++) : 0;
}

static int write_finish(struct out *o, const struct ir_event *ev,
                        const struct openai_chat_choice_out *c)
{
    if (begin_delta(o, ev) < 0)
        return -1;
    return end_delta(o, none, openai_chat_finish_word(ev->finish, c->refused));
}

static int write_choice_event(struct out *o, const struct ir_event *ev)
{
    struct openai_chat_choice_out *c = choice_of(o->s, ev->choice);
    if (!c || write_role(o, ev, c) < 0)
        return -1;
    switch (ev->kind) {
    case IR_EV_PART_START:
        return start_part(o, ev, c);
    case IR_EV_DELTA:
        return write_delta(o, ev, c);
    case IR_EV_SIGNATURE:
        return write_signature(o, ev, c);
    case IR_EV_CITATION:
        return write_citation(o, ev);
    case IR_EV_FINISH:
        return write_finish(o, ev, c);
    default:
        return 0;
    }
}

/* ---- the stream ---- */

static int write_start(struct out *o, const struct ir_event *ev)
{
    struct openai_chat_choice_out *c = choice_of(o->s, 0);
    if (make_prefix(o->s, o->caller, ev) < 0)
        return -1;
    return write_role(o, &(struct ir_event){.kind = IR_EV_START}, c);
}

static int write_end(struct out *o)
{
    static const char done[] = "data: [DONE]\n\n";
    if (o->caller->include_usage && o->s->usage.flags & USAGE_PRESENT) {
        if (begin_chunk(o) < 0)
            return -1;
        jw_array_end(&o->w);
        jw_key_plain(&o->w, SLICE_LIT("usage"));
        openai_chat_write_usage(&o->w, &o->s->usage);
        if (end_chunk(o, "}\n\n") < 0)
            return -1;
    }
    return buf_append(o->buf, done, sizeof done - 1);
}

static int write_error(struct out *o, const struct ir_event *ev)
{
    o->before = o->buf->len;
    if (buf_append(o->buf, "data: ", 6) < 0)
        return -1;
    jw_init_buf(&o->w, o->buf);
    openai_write_fault(&o->w, ev->text, ev->fault);
    return end_chunk(o, "\n\n");
}

int openai_chat_write_event(void *state, const struct codec_caller *c, const struct ir_event *ev,
                            struct buf *out)
{
    struct openai_chat_writer *s = state;
    struct out o = {.s = s, .caller = c, .buf = out, .before = out->len};
    if (ev->usage)
        s->usage = *ev->usage;
    int rc = 0;
    switch (ev->kind) {
    case IR_EV_START:
        rc = write_start(&o, ev);
        break;
    case IR_EV_PING:
        rc = buf_append(out, ": ping\n\n", 8);
        break;
    case IR_EV_ERROR:
        rc = write_error(&o, ev);
        break;
    case IR_EV_END:
        rc = write_end(&o);
        break;
    case IR_EV_USAGE:
        break;
    default:
        rc = write_choice_event(&o, ev);
        break;
    }
    return rc;
}

void openai_chat_writer_fini(void *state)
{
    struct openai_chat_writer *s = state;
    buf_release(&s->prefix);
    free(s->choices);
    memset(s, 0, sizeof *s);
}
