/*
 * bedrock_write.c: writes a request in the internal form as the body of Converse or ConverseStream.
 *
 * Turns must alternate and begin with the user's: messages that follow each other in one turn are
 * merged, and what the API would refuse as blank is left out.
 */
#include "gatewayd/dialect/bedrock.h"

#include <stdio.h>
#include <stdlib.h>

static int refuse(struct bedrock_writer *bw, const char *param, const char *text)
{
    snprintf(bw->why->message, sizeof bw->why->message, "%s: %s", param, text);
    snprintf(bw->why->param, sizeof bw->why->param, "%s", param);
    bw->why->code = "invalid_value";
    return -1;
}

static bool is_system(const struct ir_message *m)
{
    return m->role == IR_SYSTEM || m->role == IR_DEVELOPER;
}

static void write_text_block(struct json_writer *w, struct ir_text t)
{
    jw_object(w);
    ir_member(w, "text", t);
    jw_object_end(w);
}

/* ---- system ---- */

static int write_system(struct bedrock_writer *bw)
{
    bool open = false;
    for (const struct ir_message *m = bw->r->messages; m; m = m->next) {
        for (const struct ir_part *p = is_system(m) ? m->parts : NULL; p; p = p->next) {
            if (p->kind != IR_PART_TEXT)
                return bedrock_refuse_part(bw, m, "system messages can hold text only here.");
            if (!bedrock_has_block(p))
                continue;
            if (!open)
                jw_member_array(bw->w, "system");
            open = true;
            if (bedrock_write_block(bw, m, p) < 0)
                return -1;
        }
    }
    if (bw->r->format == IR_FORMAT_JSON) {
        if (!open)
            jw_member_array(bw->w, "system");
        open = true;
        write_text_block(bw->w, IR_LIT("Answer with one JSON object and nothing else."));
    }
    if (open)
        jw_array_end(bw->w);
    return 0;
}

/* ---- messages ---- */

struct turn {
    enum { NO_TURN, USER_TURN, ASSISTANT_TURN } of;
    bool has_text, has_document;
};

static void end_turn(struct json_writer *w, struct turn *t)
{
    if (t->of == NO_TURN)
        return;
    /* "If you include a ContentBlock with a document field in the array, you must also include a
     * ContentBlock with a text field" (API_runtime_Message). */
    if (t->has_document && !t->has_text)
        write_text_block(w, IR_LIT("."));
    jw_array_end(w);
    jw_object_end(w);
    *t = (struct turn){NO_TURN, false, false};
}

static void begin_turn(struct json_writer *w, struct turn *t, bool assistant)
{
    end_turn(w, t);
    t->of = assistant ? ASSISTANT_TURN : USER_TURN;
    jw_object(w);
    jw_member_str(w, "role", assistant ? SLICE_LIT("assistant") : SLICE_LIT("user"));
    jw_member_array(w, "content");
}

static int write_message(struct bedrock_writer *bw, const struct ir_message *m, struct turn *t,
                         bool first)
{
    bool assistant = m->role == IR_ASSISTANT, begun = false;
    for (const struct ir_part *p = m->parts; p; p = p->next) {
        if (!bedrock_has_block(p)) {
            bw->left_reasoning |= p->kind == IR_PART_REASONING;
            continue;
        }
        if (!begun && t->of == NO_TURN && first && assistant) {
            begin_turn(bw->w, t, false);
            write_text_block(bw->w, IR_LIT("."));
        }
        if (!begun && t->of != (assistant ? ASSISTANT_TURN : USER_TURN))
            begin_turn(bw->w, t, assistant);
        begun = true;
        t->has_text |= p->kind == IR_PART_TEXT;
        t->has_document |= p->kind == IR_PART_FILE;
        if (bedrock_write_block(bw, m, p) < 0)
            return -1;
    }
    return 0;
}

static int write_messages(struct bedrock_writer *bw)
{
    struct turn t = {NO_TURN, false, false};
    jw_member_array(bw->w, "messages");
    for (const struct ir_message *m = bw->r->messages; m; m = m->next)
        if (!is_system(m) && write_message(bw, m, &t, t.of == NO_TURN) < 0)
            return -1;
    if (t.of == NO_TURN)
        return refuse(bw, "messages", "at least one message must have content.");
    end_turn(bw->w, &t);
    jw_array_end(bw->w);
    if (bw->left_reasoning)
        ir_list_dropped(bw->r, IR_F_REASONING, bw->t->dropped);
    return 0;
}

/* ---- tools ---- */

/* ToolName: [a-zA-Z0-9_-]{1,64}. Names are not changed, as calls come back under them. */
static bool is_tool_name(struct ir_text t)
{
    if (t.escaped || t.s.n == 0 || t.s.n > 64)
        return false;
    for (size_t i = 0; i < t.s.n; i++) {
        char c = t.s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            return false;
    }
    return true;
}

static int write_tool(struct bedrock_writer *bw, const struct ir_tool *tool)
{
    struct json_writer *w = bw->w;
    if (!is_tool_name(tool->name))
        return refuse(bw, "tools",
                      "a tool's name must be 1 to 64 letters, digits, '_' or '-' for this model.");
    jw_object(w);
    jw_member_object(w, "toolSpec");
    ir_member(w, "name", tool->name);
    if (tool->description.s.n)
        ir_member(w, "description", tool->description);
    jw_member_object(w, "inputSchema");
    jw_member_raw(w, "json",
                  tool->parameters.p ? tool->parameters
                                     : SLICE_LIT("{\"type\":\"object\",\"properties\":{}}"));
    jw_object_end(w);
    if (tool->strict == 1)
        jw_member_bool(w, "strict", true);
    jw_object_end(w);
    jw_object_end(w);
    /* Nova caches no tools (userguide/prompt-caching.html). */
    if (tool->cache != IR_CACHE_NONE && bw->caches &&
        bedrock_model(bw->t->model).family == BEDROCK_CLAUDE)
        bedrock_write_cache_point(w, tool->cache);
    return 0;
}

static bool is_allowed(const struct ir_request *r, const struct ir_tool *tool)
{
    if (!ir_noted(r, IR_F_TOOL_CHOICE_ALLOWED))
        return true;
    for (size_t i = 0; i < r->n_allowed_tools; i++)
        if (ir_text_eq(r->allowed_tools[i], tool->name))
            return true;
    return false;
}

/* The next tool call of the conversation behind p, whose message is *m. */
static const struct ir_part *next_call(const struct ir_message **m, const struct ir_part *p)
{
    p = p ? p->next : *m ? (*m)->parts : NULL;
    while (*m) {
        for (; p; p = p->next)
            if (p->kind == IR_PART_TOOL_CALL)
                return p;
        *m = (*m)->next;
        p = *m ? (*m)->parts : NULL;
    }
    return NULL;
}

static bool called_before(const struct ir_request *r, const struct ir_part *call)
{
    const struct ir_message *m = r->messages;
    const struct ir_part *p = NULL;
    while ((p = next_call(&m, p)) != call)
        if (ir_text_eq(p->name, call->name))
            return true;
    return false;
}

/* "The toolConfig field must be defined when using toolUse and toolResult content blocks." */
static int write_called_tools(struct bedrock_writer *bw)
{
    const struct ir_message *m = bw->r->messages;
    for (const struct ir_part *p = NULL; (p = next_call(&m, p));) {
        struct ir_tool tool = {.name = p->name, .strict = -1};
        if (!called_before(bw->r, p) && write_tool(bw, &tool) < 0)
            return -1;
    }
    return 0;
}

static void write_tool_choice(struct bedrock_writer *bw)
{
    const struct ir_request *r = bw->r;
    static const struct slice any = SLICE_LIT("{\"any\":{}}"),
                              automatic = SLICE_LIT("{\"auto\":{}}");
    switch (r->tool_choice) {
    case IR_CHOICE_AUTO:
        jw_member_raw(bw->w, "toolChoice", automatic);
        break;
    case IR_CHOICE_ANY:
        jw_member_raw(bw->w, "toolChoice", any);
        break;
    case IR_CHOICE_TOOL:
        jw_member_object(bw->w, "toolChoice");
        jw_member_object(bw->w, "tool");
        ir_member(bw->w, "name", r->tool_choice_name);
        jw_object_end(bw->w);
        jw_object_end(bw->w);
        break;
    case IR_CHOICE_NONE:
        ir_list_dropped(r, IR_F_TOOL_CHOICE_NONE, bw->t->dropped);
        break;
    case IR_CHOICE_UNSET:
        break;
    }
}

static int write_tools(struct bedrock_writer *bw)
{
    const struct ir_request *r = bw->r;
    const struct ir_message *m = r->messages;
    bool history = next_call(&m, NULL) != NULL, declared = false;
    for (const struct ir_tool *tool = r->tools; tool; tool = tool->next)
        declared |= is_allowed(r, tool);
    if (!history && (!declared || r->tool_choice == IR_CHOICE_NONE))
        return 0;
    jw_member_object(bw->w, "toolConfig");
    jw_member_array(bw->w, "tools");
    for (const struct ir_tool *tool = r->tools; tool; tool = tool->next)
        if (is_allowed(r, tool) && write_tool(bw, tool) < 0)
            return -1;
    if (!declared && write_called_tools(bw) < 0)
        return -1;
    jw_array_end(bw->w);
    if (declared)
        write_tool_choice(bw);
    jw_object_end(bw->w);
    return 0;
}

/* ---- settings ---- */

/* Numbers go as they were spelled, but for what is beyond the API's 1. */
static void write_temperature(struct json_writer *w, struct slice number)
{
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)GW_MIN(number.n, sizeof text - 1), number.p);
    jw_member_raw(w, "temperature", strtod(text, NULL) > 1 ? SLICE_LIT("1") : number);
}

static void write_inference(struct bedrock_writer *bw, const struct bedrock_plan *plan)
{
    const struct ir_request *r = bw->r;
    struct json_writer *w = bw->w;
    if (plan->max_tokens < 0 && !plan->temperature && !plan->top_p && r->n_stop == 0)
        return;
    jw_member_object(w, "inferenceConfig");
    if (plan->max_tokens >= 0)
        jw_member_i64(w, "maxTokens", plan->max_tokens);
    if (plan->temperature)
        write_temperature(w, r->temperature);
    if (plan->top_p)
        jw_member_raw(w, "topP", r->top_p);
    if (r->n_stop) {
        jw_member_array(w, "stopSequences");
        for (size_t i = 0; i < r->n_stop; i++)
            ir_write_str(w, r->stop[i]);
        jw_array_end(w);
    }
    jw_object_end(w);
}

static void write_thinking(struct bedrock_writer *bw, const struct bedrock_plan *plan)
{
    struct json_writer *w = bw->w;
    bool adaptive = plan->thinking == BEDROCK_THINKING_ADAPTIVE;
    jw_member_object(w, "thinking");
    jw_member_str(w, "type", adaptive ? SLICE_LIT("adaptive") : SLICE_LIT("enabled"));
    if (!adaptive)
        jw_member_i64(w, "budget_tokens", plan->budget);
    else if (bw->r->include_thoughts >= 0)
        jw_member_str(w, "display",
                      bw->r->include_thoughts ? SLICE_LIT("summarized") : SLICE_LIT("omitted"));
    jw_object_end(w);
    if (!plan->effort)
        return;
    jw_member_object(w, "output_config");
    jw_member_str(w, "effort", slice_str(plan->effort));
    jw_object_end(w);
}

static void write_model_fields(struct bedrock_writer *bw, const struct bedrock_plan *plan)
{
    struct json_writer *w = bw->w;
    bool claude = plan->model.family == BEDROCK_CLAUDE;
    if (plan->thinking != BEDROCK_THINKING_NONE || plan->top_k) {
        jw_member_object(w, "additionalModelRequestFields");
        if (plan->thinking != BEDROCK_THINKING_NONE)
            write_thinking(bw, plan);
        if (plan->top_k && claude)
            jw_member_raw(w, "top_k", bw->r->top_k);
        if (plan->top_k && !claude) {
            jw_member_object(w, "inferenceConfig");
            jw_member_raw(w, "topK", bw->r->top_k);
            jw_object_end(w);
        }
        jw_object_end(w);
    }
    /* Which of the sequences it was is said only if asked for: in the answer itself by the first
     * path, in a stream by the second. A path that leads nowhere is ignored. */
    if (bw->r->n_stop)
        jw_member_raw(w, "additionalModelResponseFieldPaths",
                      SLICE_LIT("[\"/stop_sequence\",\"/delta/stop_sequence\"]"));
}

static void write_schema(struct bedrock_writer *bw)
{
    const struct ir_request *r = bw->r;
    struct json_writer *w = bw->w;
    if (r->format != IR_FORMAT_SCHEMA)
        return;
    jw_member_object(w, "outputConfig");
    jw_member_object(w, "textFormat");
    jw_member_str(w, "type", SLICE_LIT("json_schema"));
    jw_member_object(w, "structure");
    jw_member_object(w, "jsonSchema");
    jw_member_str(w, "schema", r->format_schema.p ? r->format_schema : SLICE_LIT("{}"));
    if (r->format_name.s.n)
        ir_member(w, "name", r->format_name);
    if (r->format_description.s.n)
        ir_member(w, "description", r->format_description);
    for (int i = 0; i < 4; i++)
        jw_object_end(w);
}

/* RequestMetadata: 16 strings, names of 1 to 256 characters, values of up to 256, both of
 * [a-zA-Z0-9\s:_@$#=/+,-.]. */
static bool is_metadata_text(const struct json_doc *d, uint32_t v, size_t min)
{
    struct slice s;
    if (!json_str_plain(d, v, &s) || s.n < min || s.n > 256)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr(" :_@$#=/+,-.", c))))
            return false;
    }
    return true;
}

static bool is_metadata(struct slice metadata)
{
    struct json_doc d;
    json_doc_init(&d, JSON_MAX_TOKENS);
    bool ok = json_parse(&d, metadata.p, metadata.n) == 0 &&
              json_type(&d, JSON_ROOT) == JSON_OBJECT && json_count(&d, JSON_ROOT) > 0 &&
              json_count(&d, JSON_ROOT) <= 16;
    if (ok)
        json_foreach_member(&d, JSON_ROOT, k)
        {
            ok = ok && is_metadata_text(&d, k, 1) && is_metadata_text(&d, k + 1, 0);
        }
    json_doc_release(&d);
    return ok;
}

static void write_hints(struct bedrock_writer *bw)
{
    static const struct slice tiers[] = {SLICE_LIT("default"), SLICE_LIT("priority"),
                                         SLICE_LIT("flex"), SLICE_LIT("reserved")};
    const struct ir_request *r = bw->r;
    if (r->metadata.p && is_metadata(r->metadata))
        jw_member_raw(bw->w, "requestMetadata", r->metadata);
    else if (ir_noted(r, IR_F_METADATA))
        ir_list_dropped(r, IR_F_METADATA, bw->t->dropped);
    for (size_t i = 0; i < ARRAY_LEN(tiers); i++) {
        if (!ir_text_is(r->service_tier, tiers[i]))
            continue;
        jw_member_object(bw->w, "serviceTier");
        jw_member_str(bw->w, "type", tiers[i]);
        jw_object_end(bw->w);
        return;
    }
    if (ir_noted(r, IR_F_SERVICE_TIER) && !ir_text_is(r->service_tier, SLICE_LIT("auto")))
        ir_list_dropped(r, IR_F_SERVICE_TIER, bw->t->dropped);
}

int bedrock_write_request_ir(const struct ir_request *r, const struct codec_target *t,
                             struct buf *out, struct dialect_refusal *why)
{
    struct json_writer w;
    struct bedrock_plan plan;
    struct bedrock_writer bw = {.w = &w, .r = r, .t = t, .why = why};
    size_t n;
    bedrock_plan(r, t, &plan);
    bw.caches = plan.model.family != BEDROCK_OTHER;
    if (!bw.caches && ir_noted(r, IR_F_CACHE_CONTROL))
        ir_list_dropped(r, IR_F_CACHE_CONTROL, t->dropped);
    jw_init_buf(&w, out);
    jw_object(&w);
    if (write_system(&bw) < 0 || write_messages(&bw) < 0)
        return -1;
    if (r->op != DIALECT_COUNT_TOKENS)
        write_inference(&bw, &plan);
    if (write_tools(&bw) < 0)
        return -1;
    write_model_fields(&bw, &plan);
    if (r->op != DIALECT_COUNT_TOKENS) { /* ConverseTokensRequest has neither */
        write_schema(&bw);
        write_hints(&bw);
    }
    jw_object_end(&w);
    if (jw_finish(&w, &n) == 0)
        return 0;
    why->message[0] = '\0';
    return -1;
}
