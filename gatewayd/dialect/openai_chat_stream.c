/*
 * openai_chat_stream.c: reads the chunks of a chat completion.
 *
 * Parts have no marks of their own here: a text-like part (text, reasoning, refusal) begins with
 * its first delta and ends where anything else begins, calls of tools stay open until the choice
 * finishes. Providers differ in how they stream a call: id and name first and arguments in pieces
 * (the reference); all in one chunk; the id repeated in each; no index, or the same index for
 * every call with ids that differ. Usage may come in any chunk and is cumulative.
 */
#include "common/check.h"
#include "gatewayd/dialect/openai.h"
#include "gatewayd/dialect/openai_chat.h"
#include "gatewayd/dialect/provenance.h"

#include <stdio.h>
#include <stdlib.h>

/* More than the API allows of each. */
enum { MAX_CHOICES = 128, MAX_CALLS = 128 };

struct in {
    struct openai_chat_reader *s;
    const struct json_doc *d;
    ir_sink_fn sink;
    void *ctx;
    struct openai_chat_choice_in *c;
    uint32_t index; /* of the choice */
};

static const struct ir_text no_text = {{NULL, 0}, false};

static void emit(const struct in *in, struct ir_event *ev)
{
    ev->choice = in->index;
    in->sink(in->ctx, ev);
}

/* ---- parts ---- */

static void end_current(struct in *in)
{
    if (!in->c->open)
        return;
    in->c->open = false;
    emit(in, &(struct ir_event){.kind = IR_EV_PART_END, .part = in->c->current});
}

static uint32_t begin_part(struct in *in, struct ir_event *ev)
{
    end_current(in);
    ev->kind = IR_EV_PART_START;
    ev->part = in->c->next_part++;
    in->c->kinds |= 1u << ev->part_kind;
    emit(in, ev);
    return ev->part;
}

static void take_text_part(struct in *in, enum ir_part_kind kind)
{
    struct openai_chat_choice_in *c = in->c;
    if (c->open && c->kind == kind && !c->redacted)
        return;
    c->current = begin_part(in, &(struct ir_event){.part_kind = kind});
    c->open = true;
    c->kind = kind;
    c->redacted = false;
    c->detail = -1;
}

static void take_delta(struct in *in, enum ir_part_kind kind, struct ir_text text,
                       struct slice logprobs)
{
    if (text.s.n == 0)
        return;
    take_text_part(in, kind);
    emit(in, &(struct ir_event){
                 .kind = IR_EV_DELTA, .part = in->c->current, .text = text, .logprobs = logprobs});
}

/* ---- reasoning ---- */

static void take_signature(struct in *in, struct ir_text signature, enum ir_maker maker,
                           bool appends)
{
    if (signature.s.n)
        emit(in, &(struct ir_event){.kind = IR_EV_SIGNATURE,
                                    .part = in->c->current,
                                    .text = signature,
                                    .maker = maker,
                                    .appends = appends});
}

static void take_encrypted(struct in *in, struct ir_text data, enum ir_maker maker)
{
    struct openai_chat_choice_in *c = in->c;
    c->current = begin_part(
        in, &(struct ir_event){.part_kind = IR_PART_REASONING, .redacted = true, .maker = maker});
    c->open = c->redacted = true;
    c->kind = IR_PART_REASONING;
    take_signature(in, data, maker, false);
    end_current(in);
}

/* True if the detail held text. */
static bool take_detail(struct in *in, uint32_t e)
{
    const struct json_doc *d = in->d;
    struct openai_chat_choice_in *c = in->c;
    struct ir_text text = ir_text_of(d, json_get_lit(d, e, "text"));
    struct ir_text data = ir_text_of(d, json_get_lit(d, e, "data"));
    struct ir_text signature = ir_text_of(d, json_get_lit(d, e, "signature"));
    enum ir_maker maker = provenance_of_format(ir_text_of(d, json_get_lit(d, e, "format")));
    int64_t index;
    if (!ir_has(text))
        text = ir_text_of(d, json_get_lit(d, e, "summary"));
    if (json_i64(d, json_get_lit(d, e, "index"), &index) < 0 || index < 0)
        index = 0;
    if (data.s.n) {
        take_encrypted(in, data, maker);
        return false;
    }
    if (text.s.n == 0 && signature.s.n == 0)
        return false;
    if (c->open && c->kind == IR_PART_REASONING && c->detail >= 0 && c->detail != index)
        end_current(in);
    take_text_part(in, IR_PART_REASONING);
    c->detail = index;
    take_delta(in, IR_PART_REASONING, text, slice_of(NULL, 0));
    take_signature(in, signature, maker, true);
    return text.s.n > 0;
}

static void take_reasoning(struct in *in, uint32_t delta)
{
    struct openai_chat_reasoning found = openai_chat_find_reasoning(in->d, delta);
    bool said = false;
    if (found.details == JSON_NONE) {
        take_delta(in, IR_PART_REASONING, found.plain, slice_of(NULL, 0));
        return;
    }
    json_foreach_element(in->d, found.details, e)
    {
        said |= take_detail(in, e);
    }
    if (!said)
        take_delta(in, IR_PART_REASONING, found.plain, slice_of(NULL, 0));
}

/* ---- calls of tools ---- */

static struct openai_chat_call *add_call(struct openai_chat_choice_in *c, int64_t index)
{
    if (c->n_calls == MAX_CALLS)
        return NULL;
    c->calls = gw_xrealloc(c->calls, (c->n_calls + 1) * sizeof *c->calls);
    struct openai_chat_call *call = &c->calls[c->n_calls++];
    *call = (struct openai_chat_call){.index = index};
    return call;
}

static struct openai_chat_call *find_call(struct openai_chat_choice_in *c, int64_t index)
{
    for (size_t i = c->n_calls; i > 0; i--)
        if (c->calls[i - 1].index == index)
            return &c->calls[i - 1];
    return NULL;
}

/* The call that a delta belongs to: that of its index, unless it brings another id. */
static struct openai_chat_call *call_of(struct in *in, uint32_t e, struct ir_text id, bool named)
{
    struct openai_chat_choice_in *c = in->c;
    struct openai_chat_call *call = c->n_calls ? &c->calls[c->n_calls - 1] : NULL;
    int64_t index = (int64_t)c->n_calls;
    bool indexed = json_i64(in->d, json_get_lit(in->d, e, "index"), &index) == 0;
    if (indexed)
        call = find_call(c, index);
    bool other = call && id.s.n && named && call->id_hash && call->id_hash != slice_hash(id.s);
    if (!call || other || (!indexed && named && id.s.n == 0 && call->started))
        call = add_call(c, index);
    if (call && id.s.n && !call->id_hash) {
        call->id_hash = slice_hash(id.s);
        call->id = id;
        call->id.s.p = gw_xstrndup(id.s.p, id.s.n);
    }
    return call;
}

/* An id for a call that its provider gave none: unlike those of other answers in a conversation. */
static struct ir_text make_id(struct in *in, const struct openai_chat_call *call, char *mem,
                              size_t cap)
{
    int n =
        snprintf(mem, cap, "call_%08x%02x%02x", (unsigned)(in->s->id_hash ^ in->s->id_hash >> 32),
                 in->index & 255, (unsigned)(call - in->c->calls));
    return ir_plain(slice_of(mem, (size_t)n));
}

static void start_call(struct in *in, struct openai_chat_call *call, struct ir_text name)
{
    char mem[32];
    struct ir_text id = call->id.s.n ? call->id : make_id(in, call, mem, sizeof mem);
    call->part = begin_part(
        in, &(struct ir_event){.part_kind = IR_PART_TOOL_CALL, .call_id = id, .name = name});
    call->started = true;
    free((void *)(uintptr_t)call->id.s.p);
    call->id = no_text;
}

static int take_call(struct in *in, uint32_t e, uint32_t function)
{
    const struct json_doc *d = in->d;
    uint32_t arguments = json_get_lit(d, function, "arguments");
    struct ir_text id = ir_text_of(d, json_get_lit(d, e, "id"));
    struct ir_text name = ir_text_of(d, json_get_lit(d, function, "name"));
    struct ir_text more = json_type(d, arguments) == JSON_OBJECT ? ir_plain(json_raw(d, arguments))
                                                                 : ir_text_of(d, arguments);
    struct openai_chat_call *call = call_of(in, e, id, name.s.n > 0);
    if (!call)
        return -1;
    if (!call->started && (name.s.n || more.s.n))
        start_call(in, call, name.s.n ? name : IR_LIT(""));
    if (more.s.n)
        emit(in, &(struct ir_event){.kind = IR_EV_DELTA, .part = call->part, .text = more});
    return 0;
}

/* ---- the rest of a delta ---- */

static void take_content_part(struct in *in, uint32_t e)
{
    const struct json_doc *d = in->d;
    const struct slice none = {NULL, 0};
    uint32_t thinking = json_get_lit(d, e, "thinking");
    take_delta(in, IR_PART_REASONING, ir_text_of(d, thinking), none);
    json_foreach_element(d, thinking, t)
    {
        take_delta(in, IR_PART_REASONING, ir_text_of(d, json_get_lit(d, t, "text")), none);
    }
    take_delta(in, IR_PART_TEXT, ir_text_of(d, json_get_lit(d, e, "text")), none);
}

static void take_image(struct in *in, const struct ir_part *p)
{
    uint32_t part = begin_part(in, &(struct ir_event){.part_kind = IR_PART_IMAGE,
                                                      .media_type = p->media_type,
                                                      .by_url = p->source != IR_SOURCE_BASE64});
    emit(in, &(struct ir_event){.kind = IR_EV_DELTA, .part = part, .text = p->data});
    emit(in, &(struct ir_event){.kind = IR_EV_PART_END, .part = part});
}

static void take_images(struct in *in, uint32_t images)
{
    struct dialect_refusal why;
    struct openai_reader r = {.d = in->d, .why = &why};
    json_foreach_element(in->d, images, e)
    {
        struct ir_part p = {.kind = IR_PART_IMAGE};
        struct ir_text url =
            ir_text_of(in->d, json_get_lit(in->d, json_get_lit(in->d, e, "image_url"), "url"));
        if (ir_has(url) && openai_read_url(&r, NULL, url, &p) == 0)
            take_image(in, &p);
    }
}

static void take_citations(struct in *in, uint32_t annotations)
{
    struct ir_citation c;
    json_foreach_element(in->d, annotations, e)
    {
        if (in->c->open && in->c->kind == IR_PART_TEXT && openai_chat_read_citation(in->d, e, &c))
            emit(in, &(struct ir_event){
                         .kind = IR_EV_CITATION, .part = in->c->current, .citation = &c});
    }
}

static int take_message(struct in *in, uint32_t delta, struct slice logprobs)
{
    const struct json_doc *d = in->d;
    uint32_t content = json_get_lit(d, delta, "content");
    uint32_t function = json_get_lit(d, delta, "function_call");
    take_reasoning(in, delta);
    take_delta(in, IR_PART_TEXT, ir_text_of(d, content), logprobs);
    json_foreach_element(d, content, e)
    {
        take_content_part(in, e);
    }
    take_delta(in, IR_PART_REFUSAL, ir_text_of(d, json_get_lit(d, delta, "refusal")),
               slice_of(NULL, 0));
    take_citations(in, json_get_lit(d, delta, "annotations"));
    take_images(in, json_get_lit(d, delta, "images"));
    json_foreach_element(d, json_get_lit(d, delta, "tool_calls"), e)
    {
        if (take_call(in, e, json_get_lit(d, e, "function")) < 0)
            return -1;
    }
    if (json_type(d, function) == JSON_OBJECT)
        return take_call(in, JSON_NONE, function);
    return 0;
}

/* ---- choices ---- */

static void finish(struct in *in, uint32_t choice)
{
    struct openai_chat_choice_in *c = in->c;
    struct ir_event ev = {.kind = IR_EV_FINISH};
    end_current(in);
    for (size_t i = 0; i < c->n_calls; i++)
        if (c->calls[i].started)
            emit(in, &(struct ir_event){.kind = IR_EV_PART_END, .part = c->calls[i].part});
    ev.finish = openai_chat_finish(in->d, choice, c->kinds, &ev.stop_sequence);
    if (in->s->usage.flags & USAGE_PRESENT)
        ev.usage = &in->s->usage;
    c->finished = true;
    emit(in, &ev);
}

static struct openai_chat_choice_in *choice_at(struct openai_chat_reader *s, uint32_t index)
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

static int take_choice(struct in *in, uint32_t choice)
{
    const struct json_doc *d = in->d;
    uint32_t logprobs = json_get_lit(d, choice, "logprobs");
    uint32_t delta = json_get_lit(d, choice, "delta");
    int64_t index;
    if (json_i64(d, json_get_lit(d, choice, "index"), &index) < 0)
        index = 0;
    in->index = (uint32_t)index;
    in->c = index < 0 || index > UINT32_MAX ? NULL : choice_at(in->s, (uint32_t)index);
    if (!in->c)
        return -1;
    if (in->c->finished)
        return 0;
    if (delta == JSON_NONE)
        delta = json_get_lit(d, choice, "message");
    if (take_message(in, delta,
                     json_type(d, logprobs) == JSON_OBJECT ? json_raw(d, logprobs)
                                                           : slice_of(NULL, 0)) < 0)
        return -1;
    if (json_type(d, json_get_lit(d, choice, "finish_reason")) == JSON_STRING)
        finish(in, choice);
    return 0;
}

/* ---- events ---- */

static void take_start(struct in *in)
{
    const struct json_doc *d = in->d;
    struct ir_event ev = {.kind = IR_EV_START};
    ev.id = ir_text_of(d, json_get_lit(d, JSON_ROOT, "id"));
    ev.model = ir_text_of(d, json_get_lit(d, JSON_ROOT, "model"));
    ev.service_tier = ir_text_of(d, json_get_lit(d, JSON_ROOT, "service_tier"));
    ev.system_fingerprint = ir_text_of(d, json_get_lit(d, JSON_ROOT, "system_fingerprint"));
    if (json_i64(d, json_get_lit(d, JSON_ROOT, "created"), &ev.created_s) < 0)
        ev.created_s = 0;
    in->s->started = true;
    in->s->id_hash = slice_hash(ev.id.s);
    in->index = 0;
    emit(in, &ev);
}

static int take_error(struct in *in, uint32_t error)
{
    struct ir_event ev = {.kind = IR_EV_ERROR};
    uint32_t message = json_get_lit(in->d, error, "message");
    ev.text = ir_text_of(in->d, message == JSON_NONE ? error : message);
    ev.fault = openai_fault(in->d, error, 200);
    in->s->failed = true;
    in->index = 0;
    emit(in, &ev);
    return 0;
}

static void take_usage(struct in *in)
{
    uint32_t usage = json_get_lit(in->d, JSON_ROOT, "usage");
    if (json_type(in->d, usage) == JSON_OBJECT)
        openai_read_usage(in->d, usage, &in->s->usage);
}

static int take_done(struct in *in)
{
    struct openai_chat_reader *s = in->s;
    static const struct json_doc nothing;
    in->d = &nothing;
    if (!s->started || s->failed)
        return -1;
    for (size_t i = 0; i < s->n_choices; i++) {
        in->c = &s->choices[i];
        in->index = (uint32_t)i;
        if (!in->c->finished)
            finish(in, JSON_NONE);
    }
    in->index = 0;
    s->ended = true;
    emit(in, &(struct ir_event){.kind = IR_EV_END});
    return 0;
}

static bool is_done(struct slice data)
{
    return data.n >= 6 && data.n <= 16 && slice_eq_str(slice_trim(data), "[DONE]");
}

int openai_chat_read_event(void *state, const struct json_doc *d, struct slice type,
                           struct slice data, ir_sink_fn sink, void *ctx)
{
    struct openai_chat_reader *s = state;
    struct in in = {.s = s, .d = d, .sink = sink, .ctx = ctx};
    if (s->ended || s->failed)
        return 0;
    if (is_done(data))
        return take_done(&in);
    if (!d || json_type(d, JSON_ROOT) != JSON_OBJECT)
        return -1;
    uint32_t error = openai_error_object(d), choices = json_get_lit(d, JSON_ROOT, "choices");
    if (error != JSON_NONE || slice_eq_str(type, "error"))
        return take_error(&in, error == JSON_NONE ? JSON_ROOT : error);
    if (!s->started)
        s->usage.total_tokens = -1;
    /* Azure's first chunk has no choice and no id, only what its filter says of the prompt. */
    if (!s->started && json_count(d, choices))
        take_start(&in);
    take_usage(&in);
    json_foreach_element(d, choices, e)
    {
        if (take_choice(&in, e) < 0)
            return -1;
    }
    in.index = 0;
    if (s->started && s->usage.flags &&
        json_type(d, json_get_lit(d, JSON_ROOT, "usage")) == JSON_OBJECT)
        emit(&in, &(struct ir_event){.kind = IR_EV_USAGE, .usage = &s->usage});
    return 0;
}

/* Some servers close without [DONE]: all is there when every choice has its finish. */
int openai_chat_read_end(void *state, ir_sink_fn sink, void *ctx)
{
    struct openai_chat_reader *s = state;
    struct in in = {.s = s, .sink = sink, .ctx = ctx};
    if (s->ended)
        return 0;
    if (s->failed || s->n_choices == 0)
        return -1;
    for (size_t i = 0; i < s->n_choices; i++)
        if (!s->choices[i].finished)
            return -1;
    return take_done(&in);
}

void openai_chat_reader_fini(void *state)
{
    struct openai_chat_reader *s = state;
    for (size_t i = 0; i < s->n_choices; i++) {
        struct openai_chat_choice_in *c = &s->choices[i];
        for (size_t k = 0; k < c->n_calls; k++)
            free((void *)(uintptr_t)c->calls[k].id.s.p);
        free(c->calls);
    }
    free(s->choices);
    memset(s, 0, sizeof *s);
}
