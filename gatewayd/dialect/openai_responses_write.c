/*
 * openai_responses_write.c: a request of the internal form as one to the Responses API.
 *
 * Nothing is stored unless the caller asked for it, as in every dialect that it can have come in.
 */
#include "gatewayd/dialect/openai_chat.h"
#include "gatewayd/dialect/openai_responses.h"

static void type_of(struct json_writer *w, const char *type)
{
    jw_member_str(w, "type", slice_str(type));
}

static void optional(struct json_writer *w, const char *name, struct ir_text t)
{
    if (!ir_has(t))
        return;
    jw_key_plain(w, slice_str(name));
    ir_write_str(w, t);
}

/* ---- content ---- */

static void write_image(struct json_writer *w, const struct ir_part *p)
{
    type_of(w, "input_image");
    ir_member(w, "detail", ir_has(p->detail) ? p->detail : IR_LIT("auto"));
    if (p->source == IR_SOURCE_FILE_ID) {
        ir_member(w, "file_id", p->data);
        return;
    }
    jw_key_plain(w, SLICE_LIT("image_url"));
    openai_chat_write_url(w, p);
}

static void write_file(struct json_writer *w, const struct ir_part *p)
{
    if (p->source == IR_SOURCE_TEXT) {
        type_of(w, "input_text");
        ir_member(w, "text", p->data);
        return;
    }
    type_of(w, "input_file");
    if (p->source == IR_SOURCE_FILE_ID) {
        ir_member(w, "file_id", p->data);
    } else if (p->source == IR_SOURCE_URL) {
        ir_member(w, "file_url", p->data);
    } else {
        ir_member(w, "filename", p->filename.s.n ? p->filename : IR_LIT("document.pdf"));
        jw_key_plain(w, SLICE_LIT("file_data"));
        openai_chat_write_url(w, p);
    }
}

static void write_part(struct json_writer *w, const struct ir_part *p, bool output)
{
    jw_object(w);
    switch (p->kind) {
    case IR_PART_IMAGE:
        write_image(w, p);
        break;
    case IR_PART_FILE:
        write_file(w, p);
        break;
    case IR_PART_REFUSAL:
        type_of(w, "refusal");
        ir_member(w, "refusal", p->text);
        break;
    default:
        type_of(w, output ? "output_text" : "input_text");
        ir_member(w, "text", p->text);
        break;
    }
    jw_object_end(w);
}

static bool is_content(const struct ir_part *p)
{
    return p->kind < IR_PART_TOOL_CALL || p->kind == IR_PART_REFUSAL;
}

/* The parts from p up to the first that is no content. */
static const struct ir_part *write_content(struct json_writer *w, const struct ir_part *p,
                                           const char *name, bool output)
{
    jw_key_plain(w, slice_str(name));
    if (!p) {
        jw_str(w, SLICE_LIT(""));
        return NULL;
    }
    if (p->kind == IR_PART_TEXT && (!p->next || !is_content(p->next))) {
        ir_write_str(w, p->text);
        return p->next;
    }
    jw_array(w);
    for (; p && is_content(p); p = p->next)
        write_part(w, p, output);
    jw_array_end(w);
    return p;
}

/* ---- items ---- */

static void write_call(struct json_writer *w, const struct ir_part *p)
{
    jw_object(w);
    type_of(w, "function_call");
    ir_member(w, "call_id", p->call_id);
    ir_member(w, "name", p->name);
    ir_member(w, "arguments", p->arguments.s.n ? p->arguments : IR_LIT("{}"));
    jw_object_end(w);
}

static void write_result(struct json_writer *w, const struct ir_part *p)
{
    jw_object(w);
    type_of(w, "function_call_output");
    ir_member(w, "call_id", p->call_id);
    if (p->result_json.p)
        jw_member_str(w, "output", p->result_json);
    else
        write_content(w, p->content, "output", false);
    jw_object_end(w);
}

/* One item of the parts up to that which is signed; returns what follows. Nothing is written of
 * what OpenAI didn't sign: it would refuse it. */
static const struct ir_part *write_reasoning(struct json_writer *w, const struct ir_part *p,
                                             bool *left_out)
{
    const struct ir_part *last = p;
    struct ir_text id, content;
    while (!ir_has(last->signature) && last->next && last->next->kind == IR_PART_REASONING)
        last = last->next;
    if (!openai_responses_split(last->signature, &id, &content)) {
        *left_out = true;
        return last->next;
    }
    jw_object(w);
    type_of(w, "reasoning");
    ir_member(w, "id", id);
    jw_member_array(w, "summary");
    for (const struct ir_part *t = p; t != last->next; t = t->next) {
        if (t->text.s.n == 0)
            continue;
        jw_object(w);
        type_of(w, "summary_text");
        ir_member(w, "text", t->text);
        jw_object_end(w);
    }
    jw_array_end(w);
    ir_member(w, "encrypted_content", content);
    jw_object_end(w);
    return last->next;
}

static void write_assistant(struct json_writer *w, const struct ir_part *p, bool *left_out)
{
    while (p) {
        if (p->kind == IR_PART_TOOL_CALL) {
            write_call(w, p);
            p = p->next;
        } else if (p->kind == IR_PART_REASONING) {
            p = write_reasoning(w, p, left_out);
        } else if (is_content(p)) {
            jw_object(w);
            jw_member_str(w, "role", SLICE_LIT("assistant"));
            p = write_content(w, p, "content", true);
            jw_object_end(w);
        } else {
            p = p->next;
        }
    }
}

static void write_message(struct json_writer *w, const struct ir_message *m, bool *left_out)
{
    static const char *const roles[] = {
        [IR_SYSTEM] = "system", [IR_DEVELOPER] = "developer", [IR_USER] = "user"};
    if (m->role == IR_ASSISTANT) {
        write_assistant(w, m->parts, left_out);
        return;
    }
    if (m->role == IR_TOOL) {
        for (const struct ir_part *p = m->parts; p; p = p->next)
            if (p->kind == IR_PART_TOOL_RESULT)
                write_result(w, p);
        return;
    }
    jw_object(w);
    jw_member_str(w, "role", slice_str(roles[m->role]));
    write_content(w, m->parts, "content", false);
    jw_object_end(w);
}

static void write_input(struct json_writer *w, const struct ir_request *r,
                        const struct codec_target *t)
{
    bool left_out = false;
    jw_member_array(w, "input");
    for (const struct ir_message *m = r->messages; m; m = m->next)
        write_message(w, m, &left_out);
    jw_array_end(w);
    if (left_out)
        ir_list_dropped(r, IR_F_REASONING, t->dropped);
}

/* ---- tools ---- */

static void write_named(struct json_writer *w, struct ir_text name)
{
    jw_object(w);
    type_of(w, "function");
    ir_member(w, "name", name);
    jw_object_end(w);
}

void openai_responses_write_tools(struct json_writer *w, const struct ir_request *r)
{
    jw_array(w);
    for (const struct ir_tool *t = r->tools; t; t = t->next) {
        if (ir_has(t->hosted_type))
            continue;
        jw_object(w);
        type_of(w, "function");
        ir_member(w, "name", t->name);
        optional(w, "description", t->description);
        jw_key_plain(w, SLICE_LIT("parameters"));
        jw_raw(w, t->parameters.p ? t->parameters
                                  : SLICE_LIT("{\"type\":\"object\",\"properties\":{}}"));
        jw_member_bool(w, "strict", t->strict == 1);
        jw_object_end(w);
    }
    jw_array_end(w);
}

void openai_responses_write_choice(struct json_writer *w, const struct ir_request *r)
{
    static const char *const words[] = {[IR_CHOICE_UNSET] = "auto",
                                        [IR_CHOICE_AUTO] = "auto",
                                        [IR_CHOICE_NONE] = "none",
                                        [IR_CHOICE_ANY] = "required"};
    if (r->tool_choice == IR_CHOICE_TOOL) {
        write_named(w, r->tool_choice_name);
        return;
    }
    if (r->n_allowed_tools == 0) {
        jw_str(w, slice_str(words[r->tool_choice]));
        return;
    }
    jw_object(w);
    type_of(w, "allowed_tools");
    jw_member_str(w, "mode", slice_str(words[r->tool_choice]));
    jw_member_array(w, "tools");
    for (size_t i = 0; i < r->n_allowed_tools; i++)
        write_named(w, r->allowed_tools[i]);
    jw_array_end(w);
    jw_object_end(w);
}

/* ---- the rest ---- */

void openai_responses_write_text(struct json_writer *w, const struct ir_request *r)
{
    static const char *const types[] = {[IR_FORMAT_UNSET] = "text",
                                        [IR_FORMAT_TEXT] = "text",
                                        [IR_FORMAT_JSON] = "json_object",
                                        [IR_FORMAT_SCHEMA] = "json_schema"};
    jw_object(w);
    jw_member_object(w, "format");
    type_of(w, types[r->format]);
    if (r->format == IR_FORMAT_SCHEMA) {
        ir_member(w, "name", r->format_name.s.n ? r->format_name : IR_LIT("response"));
        optional(w, "description", r->format_description);
        if (r->format_schema.p)
            jw_member_raw(w, "schema", r->format_schema);
        jw_member_bool(w, "strict", r->format_strict == 1);
    }
    jw_object_end(w);
    optional(w, "verbosity", r->verbosity);
    jw_object_end(w);
}

static void write_reasoning_options(struct json_writer *w, const struct ir_request *r)
{
    enum ir_effort e = r->effort;
    if (e == IR_EFFORT_UNSET && r->thinking_budget != 0)
        e = ir_effort_of_budget(r->thinking_budget);
    if (e == IR_EFFORT_UNSET && r->include_thoughts <= 0)
        return;
    jw_member_object(w, "reasoning");
    if (e != IR_EFFORT_UNSET)
        jw_member_str(w, "effort", slice_str(ir_effort_name(e)));
    if (r->include_thoughts > 0)
        jw_member_str(w, "summary", SLICE_LIT("auto"));
    jw_object_end(w);
}

/* Encrypted reasoning is asked for where the request is about reasoning: models without it refuse
 * the wish. */
static void write_include(struct json_writer *w, const struct ir_request *r)
{
    bool reasons = (r->effort != IR_EFFORT_UNSET && r->effort != IR_EFFORT_NONE) ||
                   r->thinking_budget > 0 || r->thinking_budget == IR_BUDGET_DYNAMIC ||
                   r->include_thoughts > 0 || ir_noted(r, IR_F_REASONING_SIGNATURE);
    if (!reasons && !r->logprobs)
        return;
    jw_member_array(w, "include");
    if (reasons)
        jw_str(w, SLICE_LIT("reasoning.encrypted_content"));
    if (r->logprobs)
        jw_str(w, SLICE_LIT("message.output_text.logprobs"));
    jw_array_end(w);
}

static void number(struct json_writer *w, const char *name, struct slice spelled)
{
    if (!spelled.p)
        return;
    jw_key_plain(w, slice_str(name));
    jw_raw(w, spelled);
}

/* Of the settings those on which the input's tokens depend. */
static void write_counted(struct json_writer *w, const struct ir_request *r)
{
    if (r->format != IR_FORMAT_UNSET) {
        jw_key_plain(w, SLICE_LIT("text"));
        openai_responses_write_text(w, r);
    }
    write_reasoning_options(w, r);
}

static void write_settings(struct json_writer *w, const struct ir_request *r)
{
    if (r->max_tokens >= 0)
        jw_member_i64(w, "max_output_tokens", r->max_tokens);
    number(w, "temperature", r->temperature);
    number(w, "top_p", r->top_p);
    if (r->top_logprobs >= 0)
        jw_member_i64(w, "top_logprobs", r->top_logprobs);
    if (r->format != IR_FORMAT_UNSET || ir_has(r->verbosity)) {
        jw_key_plain(w, SLICE_LIT("text"));
        openai_responses_write_text(w, r);
    }
    write_reasoning_options(w, r);
    write_include(w, r);
    optional(w, "user", r->user);
    if (ir_noted(r, IR_F_METADATA))
        number(w, "metadata", r->metadata);
    optional(w, "service_tier", openai_tier(r->service_tier));
    optional(w, "prompt_cache_key", r->prompt_cache_key);
    optional(w, "prompt_cache_retention", r->prompt_cache_retention);
    jw_member_bool(w, "store", r->store == 1);
    if (r->stream)
        jw_member_bool(w, "stream", true);
}

int openai_responses_write_request(const struct ir_request *r, const struct codec_target *t,
                                   struct buf *out, struct dialect_refusal *why)
{
    struct json_writer w;
    size_t n;
    memset(why, 0, sizeof *why);
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_str(&w, "model", t->model);
    write_input(&w, r, t);
    if (ir_noted(r, IR_F_TOOLS)) {
        jw_key_plain(&w, SLICE_LIT("tools"));
        openai_responses_write_tools(&w, r);
        if (r->tool_choice != IR_CHOICE_UNSET) {
            jw_key_plain(&w, SLICE_LIT("tool_choice"));
            openai_responses_write_choice(&w, r);
        }
        if (r->parallel_tools >= 0)
            jw_member_bool(&w, "parallel_tool_calls", r->parallel_tools);
    }
    if (r->op == DIALECT_COUNT_TOKENS)
        write_counted(&w, r);
    else
        write_settings(&w, r);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}
