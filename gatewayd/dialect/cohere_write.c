/*
 * cohere_write.c: writes a request of the internal form for /v2/chat.
 *
 * "message must not be empty in a turn" (docs.cohere.com/reference/errors): what holds nothing is
 * left out. An assistant's message has either content or calls, and beside calls what was said with
 * them as its tool_plan, as the official clients write it. Bounds of numbers are those of
 * docs.cohere.com/reference/chat.
 */
#include "gatewayd/dialect/cohere.h"

#include <stdio.h>
#include <stdlib.h>

enum { STOP_SEQUENCES_MAX = 5 };

struct out {
    struct json_writer w;
    const struct ir_request *r;
    const struct codec_target *t;
    struct dialect_refusal *why;
};

static int refuse(struct out *o, enum ir_field f, const char *what)
{
    const char *name = o->r->names ? o->r->names[f].member : NULL;
    return cohere_refuse(o->why, "unsupported_parameter", name ? name : ir_field_text(f), "%s",
                         what);
}

/* ---- content ---- */

static bool is_system(const struct ir_message *m)
{
    return m->role == IR_SYSTEM || m->role == IR_DEVELOPER;
}

static bool is_text(const struct ir_part *p)
{
    return (p->kind == IR_PART_TEXT || p->kind == IR_PART_REFUSAL) && p->text.s.n;
}

static bool is_thinking(const struct ir_part *p)
{
    return p->kind == IR_PART_REASONING && p->text.s.n;
}

static bool is_said(const struct ir_part *p)
{
    return is_text(p) || is_thinking(p);
}

static bool is_content(const struct ir_part *p)
{
    return is_text(p) || p->kind == IR_PART_IMAGE || (p->kind == IR_PART_FILE && p->data.s.n);
}

static bool is_call(const struct ir_part *p)
{
    return p->kind == IR_PART_TOOL_CALL;
}

static const struct ir_part *first(const struct ir_part *p, bool (*which)(const struct ir_part *))
{
    while (p && !which(p))
        p = p->next;
    return p;
}

static void write_image(struct out *o, const struct ir_part *p)
{
    struct ir_text data[] = {IR_LIT("data:"), p->media_type, IR_LIT(";base64,"), p->data};
    if (!ir_has(p->media_type))
        data[1] = IR_LIT("image/png");
    jw_member_str(&o->w, "type", SLICE_LIT("image_url"));
    jw_member_object(&o->w, "image_url");
    jw_key_plain(&o->w, SLICE_LIT("url"));
    if (p->source == IR_SOURCE_BASE64)
        ir_write_str_parts(&o->w, data, ARRAY_LEN(data));
    else
        ir_write_str(&o->w, p->data);
    if (ir_has(p->detail))
        ir_member(&o->w, "detail", p->detail);
    jw_object_end(&o->w);
}

static void write_part(struct out *o, const struct ir_part *p)
{
    jw_object(&o->w);
    if (p->kind == IR_PART_IMAGE) {
        write_image(o, p);
    } else if (p->kind == IR_PART_REASONING) {
        jw_member_str(&o->w, "type", SLICE_LIT("thinking"));
        ir_member(&o->w, "thinking", p->text);
    } else {
        jw_member_str(&o->w, "type", SLICE_LIT("text"));
        ir_member(&o->w, "text", p->kind == IR_PART_FILE ? p->data : p->text);
    }
    jw_object_end(&o->w);
}

/* One text is a string; several, or anything else, are parts. */
static void write_content(struct out *o, const struct ir_part *list,
                          bool (*which)(const struct ir_part *))
{
    const struct ir_part *p = first(list, which);
    jw_key_plain(&o->w, SLICE_LIT("content"));
    if (!p) {
        jw_str(&o->w, SLICE_LIT(""));
    } else if (is_text(p) && !first(p->next, which)) {
        ir_write_str(&o->w, p->text);
    } else {
        jw_array(&o->w);
        for (; p; p = first(p->next, which))
            write_part(o, p);
        jw_array_end(&o->w);
    }
}

/* ---- messages ---- */

static void begin_message(struct out *o, const char *role)
{
    jw_object(&o->w);
    jw_member_str(&o->w, "role", slice_str(role));
}

static void write_system(struct out *o)
{
    bool open = false;
    for (const struct ir_message *m = o->r->messages; m; m = m->next) {
        for (const struct ir_part *p = is_system(m) ? m->parts : NULL; p; p = p->next) {
            if (!is_text(p))
                continue;
            if (!open) {
                begin_message(o, "system");
                jw_member_array(&o->w, "content");
            }
            open = true;
            write_part(o, p);
        }
    }
    if (!open)
        return;
    jw_array_end(&o->w);
    jw_object_end(&o->w);
}

static void write_calls(struct out *o, const struct ir_part *p)
{
    static const struct ir_text none = {.escaped = false};
    jw_member_array(&o->w, "tool_calls");
    for (; p; p = first(p->next, is_call)) {
        jw_object(&o->w);
        cohere_write_call(&o->w, p->call_id, none, p->name,
                          p->arguments.s.n ? p->arguments : IR_LIT("{}"));
        jw_object_end(&o->w);
    }
    jw_array_end(&o->w);
}

static void write_plan(struct out *o, const struct ir_part *p)
{
    jw_key_plain(&o->w, SLICE_LIT("tool_plan"));
    jw_str_begin(&o->w);
    for (; p; p = first(p->next, is_text))
        ir_add_text(&o->w, p->text);
    jw_str_end(&o->w);
}

static void write_assistant(struct out *o, const struct ir_message *m)
{
    const struct ir_part *calls = first(m->parts, is_call), *plan = first(m->parts, is_text);
    if (!calls && !first(m->parts, is_said))
        return;
    begin_message(o, "assistant");
    if (!calls || first(m->parts, is_thinking))
        write_content(o, m->parts, calls ? is_thinking : is_said);
    if (calls && plan)
        write_plan(o, plan);
    if (calls)
        write_calls(o, calls);
    jw_object_end(&o->w);
}

/* What holds nothing is an empty object: content is a text that spells one, or any other. */
static void write_result(struct out *o, const struct ir_part *p)
{
    begin_message(o, "tool");
    ir_member(&o->w, "tool_call_id", p->call_id);
    if (p->result_json.p)
        jw_member_str(&o->w, "content", p->result_json);
    else if (!first(p->content, is_content))
        jw_member_str(&o->w, "content", SLICE_LIT("{}"));
    else
        write_content(o, p->content, is_content);
    jw_object_end(&o->w);
}

static void write_messages(struct out *o)
{
    jw_member_array(&o->w, "messages");
    write_system(o);
    for (const struct ir_message *m = o->r->messages; m; m = m->next) {
        if (m->role == IR_ASSISTANT)
            write_assistant(o, m);
        for (const struct ir_part *p = m->role == IR_TOOL ? m->parts : NULL; p; p = p->next)
            if (p->kind == IR_PART_TOOL_RESULT)
                write_result(o, p);
        if (m->role != IR_USER || !first(m->parts, is_content))
            continue;
        begin_message(o, "user");
        write_content(o, m->parts, is_content);
        jw_object_end(&o->w);
    }
    jw_array_end(&o->w);
}

/* ---- tools ---- */

static bool is_sent(const struct ir_request *r, const struct ir_tool *t)
{
    bool listed = r->n_allowed_tools == 0;
    for (size_t i = 0; i < r->n_allowed_tools && !listed; i++)
        listed = ir_text_eq(r->allowed_tools[i], t->name);
    if (r->tool_choice == IR_CHOICE_TOOL)
        return listed && ir_text_eq(r->tool_choice_name, t->name);
    return listed;
}

static void write_tool(struct out *o, const struct ir_tool *t)
{
    jw_object(&o->w);
    jw_member_str(&o->w, "type", SLICE_LIT("function"));
    jw_member_object(&o->w, "function");
    ir_member(&o->w, "name", t->name);
    if (t->description.s.n)
        ir_member(&o->w, "description", t->description);
    jw_member_raw(&o->w, "parameters",
                  t->parameters.p ? t->parameters
                                  : SLICE_LIT("{\"type\":\"object\",\"properties\":{}}"));
    jw_object_end(&o->w);
    jw_object_end(&o->w);
}

static int write_tools(struct out *o)
{
    const struct ir_request *r = o->r;
    bool any = false, all_strict = true, some_strict = false;
    for (const struct ir_tool *t = r->tools; t; t = t->next) {
        if (!is_sent(r, t))
            continue;
        if (!any)
            jw_member_array(&o->w, "tools");
        any = true;
        all_strict &= t->strict == 1;
        some_strict |= t->strict == 1;
        write_tool(o, t);
    }
    if (any)
        jw_array_end(&o->w);
    else if (r->tool_choice == IR_CHOICE_TOOL)
        return refuse(o, IR_F_TOOL_CHOICE_TOOL, "names a tool that isn't among the tools.");
    if (any && all_strict)
        jw_member_bool(&o->w, "strict_tools", true);
    else if (some_strict)
        ir_list_dropped(r, IR_F_TOOL_STRICT, o->t->dropped);
    if (any && (r->tool_choice == IR_CHOICE_ANY || r->tool_choice == IR_CHOICE_TOOL))
        jw_member_str(&o->w, "tool_choice", SLICE_LIT("REQUIRED"));
    else if (any && r->tool_choice == IR_CHOICE_NONE)
        jw_member_str(&o->w, "tool_choice", SLICE_LIT("NONE"));
    return 0;
}

/* ---- numbers ---- */

static double value_of(struct slice number)
{
    char text[64];
    size_t n = GW_MIN(number.n, sizeof text - 1);
    memcpy(text, number.p, n);
    text[n] = '\0';
    return strtod(text, NULL);
}

/* As it was spelled, or the bound that it is beyond. */
static struct slice within(struct slice number, struct slice least, struct slice most)
{
    double v = value_of(number);
    return v < value_of(least) ? least : v > value_of(most) ? most : number;
}

/* 0 is what there is without a word. */
static bool takes_penalty(struct out *o, struct slice number, enum ir_field f)
{
    if (!number.p || value_of(number) == 0)
        return false;
    if (value_of(number) < 0)
        ir_list_dropped(o->r, f, o->t->dropped);
    return value_of(number) > 0;
}

static void write_penalties(struct out *o)
{
    const struct ir_request *r = o->r;
    static const struct slice zero = SLICE_LIT("0"), one = SLICE_LIT("1");
    bool frequency = takes_penalty(o, r->frequency_penalty, IR_F_FREQUENCY_PENALTY);
    bool presence = takes_penalty(o, r->presence_penalty, IR_F_PRESENCE_PENALTY);
    if (frequency)
        jw_member_raw(&o->w, "frequency_penalty", within(r->frequency_penalty, zero, one));
    if (presence && frequency)
        ir_list_dropped(r, IR_F_PRESENCE_PENALTY, o->t->dropped);
    else if (presence)
        jw_member_raw(&o->w, "presence_penalty", within(r->presence_penalty, zero, one));
}

static void write_sampling(struct out *o)
{
    const struct ir_request *r = o->r;
    if (r->temperature.p)
        jw_member_raw(&o->w, "temperature", within(r->temperature, SLICE_LIT("0"), SLICE_LIT("1")));
    if (r->top_p.p)
        jw_member_raw(&o->w, "p", within(r->top_p, SLICE_LIT("0.01"), SLICE_LIT("0.99")));
    if (r->top_k.p)
        jw_member_raw(&o->w, "k", within(r->top_k, SLICE_LIT("0"), SLICE_LIT("500")));
    if (r->seed.p && r->seed.p[0] != '-')
        jw_member_raw(&o->w, "seed", r->seed);
    else if (r->seed.p)
        ir_list_dropped(r, IR_F_SEED, o->t->dropped);
    write_penalties(o);
}

/* ---- the rest ---- */

static int write_stop(struct out *o)
{
    const struct ir_request *r = o->r;
    if (r->n_stop > STOP_SEQUENCES_MAX)
        return refuse(o, IR_F_STOP, "this model's provider takes at most 5 stop sequences.");
    if (r->n_stop == 0)
        return 0;
    jw_member_array(&o->w, "stop_sequences");
    for (size_t i = 0; i < r->n_stop; i++)
        ir_write_str(&o->w, r->stop[i]);
    jw_array_end(&o->w);
    return 0;
}

static int write_logprobs(struct out *o)
{
    if (o->r->top_logprobs > 0)
        return refuse(
            o, IR_F_LOGPROBS,
            "this model's provider gives log probabilities of the tokens chosen, and none "
            "of alternatives.");
    if (o->r->logprobs)
        jw_member_bool(&o->w, "logprobs", true);
    return 0;
}

static int write_format(struct out *o)
{
    const struct ir_request *r = o->r;
    if (r->format != IR_FORMAT_JSON && r->format != IR_FORMAT_SCHEMA)
        return 0;
    if (r->tools)
        return refuse(o, r->format == IR_FORMAT_JSON ? IR_F_FORMAT_JSON : IR_F_FORMAT_SCHEMA,
                      "this model's provider takes no response format beside tools.");
    jw_member_object(&o->w, "response_format");
    jw_member_str(&o->w, "type", SLICE_LIT("json_object"));
    if (r->format == IR_FORMAT_SCHEMA && r->format_schema.p)
        jw_member_raw(&o->w, "json_schema", r->format_schema);
    jw_object_end(&o->w);
    return 0;
}

static int64_t budget_of(enum ir_effort effort)
{
    switch (effort) {
    case IR_EFFORT_NONE:
        return 0;
    case IR_EFFORT_MINIMAL:
        return 1024;
    case IR_EFFORT_LOW:
        return 2048;
    case IR_EFFORT_MEDIUM:
        return 8192;
    default:
        return IR_BUDGET_DYNAMIC;
    }
}

static void write_thinking(struct out *o)
{
    const struct ir_request *r = o->r;
    int64_t budget = r->thinking_budget;
    if (budget == -1 && r->effort == IR_EFFORT_UNSET)
        return;
    if (budget == -1)
        budget = budget_of(r->effort);
    jw_member_object(&o->w, "thinking");
    jw_member_str(&o->w, "type", budget == 0 ? SLICE_LIT("disabled") : SLICE_LIT("enabled"));
    if (budget > 0)
        jw_member_i64(&o->w, "token_budget", budget);
    jw_object_end(&o->w);
}

int cohere_write_request_ir(const struct ir_request *r, const struct codec_target *t,
                            struct buf *out, struct dialect_refusal *why)
{
    struct out o = {.r = r, .t = t, .why = why};
    size_t n;
    why->message[0] = '\0';
    jw_init_buf(&o.w, out);
    jw_object(&o.w);
    jw_member_str(&o.w, "model", t->model);
    if (r->stream)
        jw_member_bool(&o.w, "stream", true);
    if (r->max_tokens >= 0)
        jw_member_i64(&o.w, "max_tokens", r->max_tokens);
    write_sampling(&o);
    write_thinking(&o);
    if (write_stop(&o) < 0 || write_logprobs(&o) < 0 || write_format(&o) < 0 || write_tools(&o) < 0)
        return -1;
    write_messages(&o);
    jw_object_end(&o.w);
    return jw_finish(&o.w, &n);
}
