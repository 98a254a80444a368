/*
 * anthropic_write.c: writes a request of the internal form for /v1/messages.
 *
 * Turns. The API has two roles that follow each other; results of tools are blocks of the user's,
 * and stand first in the turn behind the calls. So messages between two of the assistant's become
 * one user turn, its results first; the assistant's neighbouring ones become one. What holds no
 * block is left out, and a conversation that doesn't begin with the user gets a turn that does.
 */
#include "gatewayd/dialect/anthropic.h"

/* ---- system ---- */

static bool is_system(const struct ir_message *m)
{
    return m->role == IR_SYSTEM || m->role == IR_DEVELOPER;
}

static int write_system(struct anthropic_writer *aw)
{
    bool json = aw->r->format == IR_FORMAT_JSON, open = false;
    for (const struct ir_message *m = aw->r->messages; m; m = m->next) {
        for (const struct ir_part *p = is_system(m) ? m->parts : NULL; p; p = p->next) {
            if (p->kind != IR_PART_TEXT)
                return anthropic_refuse(aw->why, "invalid_value", "messages",
                                        "a system message may hold text only.");
            if (!anthropic_has_block(p))
                continue;
            if (!open)
                jw_member_array(aw->w, "system");
            open = true;
            if (anthropic_write_block(aw, m, p) < 0)
                return -1;
        }
    }
    if (!open && !json)
        return 0;
    if (!open)
        jw_member_array(aw->w, "system");
    if (json)
        jw_raw(aw->w, SLICE_LIT("{\"type\":\"text\",\"text\":\"Answer with one JSON object and "
                                "nothing else.\"}"));
    jw_array_end(aw->w);
    return 0;
}

/* ---- turns ---- */

struct turn {
    const struct ir_message *from, *to; /* to isn't in it */
    bool assistant;
    bool any; /* it holds a block */
};

static struct turn next_turn(const struct ir_message *from)
{
    struct turn t = {.from = from};
    const struct ir_message *m = from;
    while (m && is_system(m))
        m = m->next;
    t.assistant = m && m->role == IR_ASSISTANT;
    for (; m && (is_system(m) || (m->role == IR_ASSISTANT) == t.assistant); m = m->next)
        for (const struct ir_part *p = is_system(m) ? NULL : m->parts; p && !t.any; p = p->next)
            t.any = anthropic_has_block(p);
    t.to = m;
    return t;
}

static int write_parts(struct anthropic_writer *aw, const struct turn *t, bool results)
{
    for (const struct ir_message *m = t->from; m != t->to; m = m->next) {
        for (const struct ir_part *p = is_system(m) ? NULL : m->parts; p; p = p->next) {
            if ((p->kind == IR_PART_TOOL_RESULT) != results || !anthropic_has_block(p))
                continue;
            if (anthropic_write_block(aw, m, p) < 0)
                return -1;
        }
    }
    return 0;
}

static int write_turn(struct anthropic_writer *aw, const struct turn *t)
{
    jw_object(aw->w);
    jw_member_str(aw->w, "role", t->assistant ? SLICE_LIT("assistant") : SLICE_LIT("user"));
    jw_member_array(aw->w, "content");
    if (write_parts(aw, t, true) < 0 || write_parts(aw, t, false) < 0)
        return -1;
    jw_array_end(aw->w);
    jw_object_end(aw->w);
    return 0;
}

static int write_messages(struct anthropic_writer *aw)
{
    bool begun = false;
    jw_member_array(aw->w, "messages");
    for (const struct ir_message *m = aw->r->messages; m;) {
        struct turn t = next_turn(m);
        m = t.to;
        if (!t.any)
            continue;
        if (!begun && t.assistant)
            jw_raw(aw->w, SLICE_LIT("{\"role\":\"user\",\"content\":\".\"}"));
        begun = true;
        if (write_turn(aw, &t) < 0)
            return -1;
    }
    if (!begun)
        jw_raw(aw->w, SLICE_LIT("{\"role\":\"user\",\"content\":\".\"}"));
    jw_array_end(aw->w);
    return 0;
}

static void list_unsigned(const struct ir_request *r, const struct codec_target *t)
{
    for (const struct ir_message *m = r->messages; m; m = m->next)
        for (const struct ir_part *p = m->parts; p; p = p->next)
            if (p->kind == IR_PART_REASONING && !anthropic_has_block(p)) {
                ir_list_dropped(r, IR_F_REASONING, t->dropped);
                return;
            }
}

/* ---- tools ---- */

#define ANY_OBJECT "{\"type\":\"object\",\"properties\":{}}"

static bool is_allowed(const struct ir_request *r, const struct ir_tool *t)
{
    for (size_t i = 0; i < r->n_allowed_tools; i++)
        if (ir_text_eq(r->allowed_tools[i], t->name))
            return true;
    return r->n_allowed_tools == 0;
}

/* The API wants "type":"object" in it, which others take as said. */
static void write_schema(struct json_writer *w, struct slice schema)
{
    static const struct slice usual = SLICE_LIT("{\"type\":\"object\""),
                              open = SLICE_LIT(ANY_OBJECT);
    struct json_doc d;
    if (!schema.p || slice_starts_with(schema, usual)) {
        jw_raw(w, schema.p ? schema : open);
        return;
    }
    json_doc_init(&d, JSON_MAX_TOKENS);
    bool object =
        json_parse(&d, schema.p, schema.n) == 0 && json_type(&d, JSON_ROOT) == JSON_OBJECT;
    bool typed = object && json_get_lit(&d, JSON_ROOT, "type") != JSON_NONE;
    if (!object || typed) {
        jw_raw(w, schema);
    } else {
        jw_object(w);
        jw_member_str(w, "type", SLICE_LIT("object"));
        json_foreach_member(&d, JSON_ROOT, k)
        {
            struct slice name = json_raw(&d, k);
            jw_key_plain(w, slice_of(name.p + 1, name.n - 2));
            jw_raw(w, json_raw(&d, k + 1));
        }
        jw_object_end(w);
    }
    json_doc_release(&d);
}

static void write_tool(struct json_writer *w, const struct ir_tool *t)
{
    if (ir_has(t->hosted_type)) {
        jw_raw(w, t->hosted);
        return;
    }
    jw_object(w);
    ir_member(w, "name", t->name);
    if (t->description.s.n)
        ir_member(w, "description", t->description);
    jw_key_plain(w, SLICE_LIT("input_schema"));
    write_schema(w, t->parameters);
    if (t->strict >= 0)
        jw_member_bool(w, "strict", t->strict);
    anthropic_write_cache(w, t->cache);
    jw_object_end(w);
}

static void write_tool_choice(struct json_writer *w, const struct ir_request *r)
{
    static const char *const words[] = {
        [IR_CHOICE_UNSET] = "auto", [IR_CHOICE_AUTO] = "auto", [IR_CHOICE_NONE] = "none",
        [IR_CHOICE_ANY] = "any",    [IR_CHOICE_TOOL] = "tool",
    };
    if (r->tool_choice == IR_CHOICE_UNSET && r->parallel_tools < 0)
        return;
    jw_member_object(w, "tool_choice");
    jw_member_str(w, "type", slice_str(words[r->tool_choice]));
    if (r->tool_choice == IR_CHOICE_TOOL)
        ir_member(w, "name", r->tool_choice_name);
    if (r->parallel_tools >= 0 && r->tool_choice != IR_CHOICE_NONE)
        jw_member_bool(w, "disable_parallel_tool_use", !r->parallel_tools);
    jw_object_end(w);
}

static bool is_first_of_its_name(const struct ir_request *r, const struct ir_part *call)
{
    for (const struct ir_message *m = r->messages; m; m = m->next)
        for (const struct ir_part *p = m->parts; p; p = p->next) {
            if (p == call)
                return true;
            if (p->kind == IR_PART_TOOL_CALL && ir_text_eq(p->name, call->name))
                return false;
        }
    return true;
}

/* Calls in a conversation must be of tools that are declared, also when none may be called. */
static void write_tools_of_history(struct json_writer *w, const struct ir_request *r)
{
    bool any = false;
    for (const struct ir_message *m = r->messages; m; m = m->next)
        for (const struct ir_part *p = m->parts; p; p = p->next) {
            if (p->kind != IR_PART_TOOL_CALL || !is_first_of_its_name(r, p))
                continue;
            if (!any)
                jw_member_array(w, "tools");
            any = true;
            jw_object(w);
            ir_member(w, "name", p->name);
            jw_member_raw(w, "input_schema", SLICE_LIT(ANY_OBJECT));
            jw_object_end(w);
        }
    if (!any)
        return;
    jw_array_end(w);
    jw_member_raw(w, "tool_choice", SLICE_LIT("{\"type\":\"none\"}"));
}

/* tool_choice without tools is an error there. */
static void write_tools(struct json_writer *w, const struct ir_request *r)
{
    if (!r->tools) {
        write_tools_of_history(w, r);
        return;
    }
    jw_member_array(w, "tools");
    for (const struct ir_tool *t = r->tools; t; t = t->next)
        if (is_allowed(r, t))
            write_tool(w, t);
    jw_array_end(w);
    write_tool_choice(w, r);
}

/* ---- the rest ---- */

static void write_thinking(struct json_writer *w, const struct ir_request *r,
                           const struct anthropic_plan *plan)
{
    static const char *const types[] = {
        [ANTHROPIC_THINKING_OFF] = "disabled",
        [ANTHROPIC_THINKING_BUDGET] = "enabled",
        [ANTHROPIC_THINKING_ADAPTIVE] = "adaptive",
    };
    if (plan->thinking == ANTHROPIC_THINKING_UNSAID)
        return;
    jw_member_object(w, "thinking");
    jw_member_str(w, "type", slice_str(types[plan->thinking]));
    if (plan->thinking == ANTHROPIC_THINKING_BUDGET)
        jw_member_i64(w, "budget_tokens", plan->budget);
    if (plan->thinking != ANTHROPIC_THINKING_OFF && r->include_thoughts >= 0)
        jw_member_str(w, "display",
                      r->include_thoughts ? SLICE_LIT("summarized") : SLICE_LIT("omitted"));
    jw_object_end(w);
}

static void write_output_config(struct json_writer *w, const struct ir_request *r,
                                const struct anthropic_plan *plan)
{
    bool schema = r->format == IR_FORMAT_SCHEMA && r->format_schema.p;
    if (!schema && !plan->effort)
        return;
    jw_member_object(w, "output_config");
    if (plan->effort)
        jw_member_str(w, "effort", slice_str(plan->effort));
    if (schema) {
        jw_member_object(w, "format");
        jw_member_str(w, "type", SLICE_LIT("json_schema"));
        jw_member_raw(w, "schema", r->format_schema);
        jw_object_end(w);
    }
    jw_object_end(w);
}

static void write_sampling(struct json_writer *w, const struct ir_request *r,
                           const struct anthropic_plan *plan)
{
    if (plan->temperature)
        jw_member_raw(w, "temperature", plan->temperature_is_1 ? SLICE_LIT("1") : r->temperature);
    if (plan->top_p)
        jw_member_raw(w, "top_p", r->top_p);
    if (plan->top_k)
        jw_member_raw(w, "top_k", r->top_k);
}

static void write_service_tier(struct json_writer *w, const struct ir_request *r,
                               const struct codec_target *t)
{
    struct ir_text tier = r->service_tier;
    if (!ir_has(tier))
        return;
    if (ir_text_is(tier, SLICE_LIT("default")))
        jw_member_str(w, "service_tier", SLICE_LIT("standard_only"));
    else if (ir_text_is(tier, SLICE_LIT("auto")) || ir_text_is(tier, SLICE_LIT("priority")))
        jw_member_str(w, "service_tier", SLICE_LIT("auto"));
    else
        ir_list_dropped(r, IR_F_SERVICE_TIER, t->dropped);
}

static void write_stop(struct json_writer *w, const struct ir_request *r,
                       const struct codec_target *t)
{
    bool left_out = false;
    jw_member_array(w, "stop_sequences");
    for (size_t i = 0; i < r->n_stop; i++) {
        if (anthropic_is_blank(r->stop[i]))
            left_out = true;
        else
            ir_write_str(w, r->stop[i]);
    }
    jw_array_end(w);
    if (left_out)
        ir_list_dropped(r, IR_F_STOP, t->dropped);
}

/* What isn't asked when tokens are only counted. */
static void write_generation(struct json_writer *w, const struct ir_request *r,
                             const struct codec_target *t, const struct anthropic_plan *plan)
{
    jw_member_i64(w, "max_tokens", plan->max_tokens);
    if (r->stream)
        jw_member_bool(w, "stream", true);
    if (r->n_stop)
        write_stop(w, r, t);
    write_sampling(w, r, plan);
    if (ir_has(r->user)) {
        jw_member_object(w, "metadata");
        ir_member(w, "user_id", r->user);
        jw_object_end(w);
    }
    write_service_tier(w, r, t);
}

int anthropic_write_request_ir(const struct ir_request *r, const struct codec_target *t,
                               struct buf *out, struct dialect_refusal *why)
{
    struct json_writer w;
    struct anthropic_writer aw = {&w, r, t, why};
    struct anthropic_plan plan;
    size_t n;
    why->message[0] = '\0';
    anthropic_plan(r, t, &plan);
    jw_init_buf(&w, out);
    jw_object(&w);
    if (t->envelope != DIALECT_RAW_PREDICT)
        jw_member_str(&w, "model", t->model);
    if (t->envelope != DIALECT_PLAIN)
        jw_member_str(&w, "anthropic_version", SLICE_LIT(ANTHROPIC_VERTEX_VERSION));
    if (r->op != DIALECT_COUNT_TOKENS)
        write_generation(&w, r, t, &plan);
    if (write_system(&aw) < 0)
        return -1;
    write_tools(&w, r);
    write_thinking(&w, r, &plan);
    write_output_config(&w, r, &plan);
    if (write_messages(&aw) < 0)
        return -1;
    list_unsigned(r, t);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}
