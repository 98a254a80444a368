/*
 * openai_responses_read.c: a request to the Responses API.
 *
 * The items of `input` become messages: what the assistant did in one turn (reasoning, text, calls)
 * stands in items of their own and becomes one message. Items that only the provider can make sense
 * of (calls of its own tools, references to what it keeps) are refused.
 */
#include "gatewayd/dialect/openai_responses.h"

static const struct ir_text no_text = {{NULL, 0}, false};

static int missing(struct openai_reader *r, const struct openai_at *at, const char *name)
{
    struct openai_at here = openai_in(at, name);
    return openai_refuse(r, &here, "missing_required_parameter", "is required.");
}

/* ---- content parts ---- */

struct part_in {
    uint32_t type;
    struct ir_text text, refusal, image_url, detail, file_id, file_data, file_url, filename;
    enum ir_cache cache;
};
static const struct openai_member part_members[] = {
    OPENAI_MEMBER("type", VALUE, struct part_in, type),
    OPENAI_MEMBER("text", TEXT, struct part_in, text),
    OPENAI_MEMBER("refusal", TEXT, struct part_in, refusal),
    OPENAI_MEMBER("image_url", TEXT, struct part_in, image_url),
    OPENAI_MEMBER("detail", TEXT, struct part_in, detail),
    OPENAI_MEMBER("file_id", TEXT, struct part_in, file_id),
    OPENAI_MEMBER("file_data", TEXT, struct part_in, file_data),
    OPENAI_MEMBER("file_url", TEXT, struct part_in, file_url),
    OPENAI_MEMBER("filename", TEXT, struct part_in, filename),
    OPENAI_MEMBER_FN_AT("prompt_cache_breakpoint", openai_read_breakpoint, struct part_in, cache),
    OPENAI_MEMBER_KNOWN("annotations"),
    OPENAI_MEMBER_KNOWN("logprobs"),
};

static int read_image(struct openai_reader *r, const struct openai_at *at, const struct part_in *in,
                      struct ir_part *p)
{
    struct openai_at here = openai_in(at, "image_url");
    p->detail = in->detail;
    if (!ir_has(in->image_url) && !ir_has(in->file_id))
        return missing(r, at, "image_url");
    if (ir_has(in->file_id)) {
        p->source = IR_SOURCE_FILE_ID;
        p->data = in->file_id;
        return 0;
    }
    return openai_read_url(r, &here, in->image_url, p);
}

static int read_file(struct openai_reader *r, const struct openai_at *at, const struct part_in *in,
                     struct ir_part *p)
{
    struct openai_at here = openai_in(at, "file_data");
    p->filename = in->filename;
    if (ir_has(in->file_data))
        return openai_read_file_data(r, &here, in->file_data, p);
    p->source = ir_has(in->file_url) ? IR_SOURCE_URL : IR_SOURCE_FILE_ID;
    p->data = ir_has(in->file_url) ? in->file_url : in->file_id;
    return ir_has(p->data) ? 0 : missing(r, at, "file_data");
}

static int fill_part(struct openai_reader *r, const struct openai_at *at, const struct part_in *in,
                     struct ir_part *p)
{
    switch (p->kind) {
    case IR_PART_IMAGE:
        return read_image(r, at, in, p);
    case IR_PART_FILE:
        return read_file(r, at, in, p);
    case IR_PART_REFUSAL:
        p->text = in->refusal;
        ir_note(r->out, IR_F_REFUSAL);
        return ir_has(p->text) ? 0 : missing(r, at, "refusal");
    default:
        p->text = in->text;
        return ir_has(p->text) ? 0 : missing(r, at, "text");
    }
}

static int read_part(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                     struct ir_part **list)
{
    static const struct {
        struct slice type;
        enum ir_part_kind kind;
    } kinds[] = {
        {{"input_text", 10}, IR_PART_TEXT},   {{"output_text", 11}, IR_PART_TEXT},
        {{"input_image", 11}, IR_PART_IMAGE}, {{"input_file", 10}, IR_PART_FILE},
        {{"refusal", 7}, IR_PART_REFUSAL},    {{"text", 4}, IR_PART_TEXT},
    };
    struct part_in in = {.type = JSON_NONE};
    struct openai_at type_at = openai_in(at, "type");
    if (OPENAI_READ(r, at, v, part_members, &in) < 0)
        return -1;
    size_t k = 0;
    while (k < ARRAY_LEN(kinds) && !json_str_eq(r->d, in.type, kinds[k].type))
        k++;
    if (in.type == JSON_NONE)
        return missing(r, at, "type");
    if (k == ARRAY_LEN(kinds))
        return openai_refuse(r, &type_at, "invalid_value",
                             "must be input_text, input_image, input_file, output_text or "
                             "refusal.");
    struct ir_part *p = ir_add_part(r->out->arena, list, kinds[k].kind);
    if (!p)
        return openai_too_large(r);
    p->cache = in.cache;
    if (fill_part(r, at, &in, p) < 0)
        return -1;
    if (p->kind == IR_PART_IMAGE || p->kind == IR_PART_FILE)
        openai_note_media(r->out, p);
    return 0;
}

/* A string or parts, under the name that the member has. */
static int read_content(struct openai_reader *r, const struct openai_at *up, const char *name,
                        uint32_t v, struct ir_part **list)
{
    struct openai_at at = openai_in(up, name);
    uint32_t i = 0;
    if (v == JSON_NONE)
        return missing(r, up, name);
    if (json_type(r->d, v) == JSON_STRING) {
        struct ir_part *p = ir_add_part(r->out->arena, list, IR_PART_TEXT);
        if (!p)
            return openai_too_large(r);
        p->text = ir_text_of(r->d, v);
        return 0;
    }
    if (json_type(r->d, v) != JSON_ARRAY)
        return openai_wrong_type(r, &at, v, "a string or an array of parts");
    json_foreach_element(r->d, v, e)
    {
        struct openai_at here = openai_elem(&at, i++);
        if (read_part(r, &here, e, list) < 0)
            return -1;
    }
    return 0;
}

/* ---- items ---- */

struct item_in {
    uint32_t type, role, content, output, summary;
    struct ir_text id, call_id, name, arguments, encrypted;
};
static const struct openai_member item_members[] = {
    OPENAI_MEMBER("type", VALUE, struct item_in, type),
    OPENAI_MEMBER("role", VALUE, struct item_in, role),
    OPENAI_MEMBER("content", VALUE, struct item_in, content),
    OPENAI_MEMBER("output", VALUE, struct item_in, output),
    OPENAI_MEMBER("summary", VALUE, struct item_in, summary),
    OPENAI_MEMBER("id", TEXT, struct item_in, id),
    OPENAI_MEMBER("call_id", TEXT, struct item_in, call_id),
    OPENAI_MEMBER("name", TEXT, struct item_in, name),
    OPENAI_MEMBER("arguments", TEXT, struct item_in, arguments),
    OPENAI_MEMBER("encrypted_content", TEXT, struct item_in, encrypted),
    OPENAI_MEMBER_KNOWN("status"),
    OPENAI_MEMBER_KNOWN("phase"),
};

static struct ir_message *assistant(struct openai_reader *r, uint32_t index)
{
    struct ir_message *last = r->out->last_message;
    if (last && last->role == IR_ASSISTANT)
        return last;
    return ir_add_message(r->out, IR_ASSISTANT, index);
}

static int read_message(struct openai_reader *r, const struct openai_at *at,
                        const struct item_in *in, uint32_t index)
{
    static const struct {
        struct slice word;
        enum ir_role role;
        unsigned note;
    } roles[] = {
        {{"user", 4}, IR_USER, 0},
        {{"assistant", 9}, IR_ASSISTANT, 0},
        {{"system", 6}, IR_SYSTEM, 1 + IR_F_SYSTEM},
        {{"developer", 9}, IR_DEVELOPER, 1 + IR_F_DEVELOPER},
    };
    struct openai_at role_at = openai_in(at, "role");
    size_t k = 0;
    if (in->role == JSON_NONE)
        return missing(r, at, "role");
    while (k < ARRAY_LEN(roles) && !json_str_eq(r->d, in->role, roles[k].word))
        k++;
    if (k == ARRAY_LEN(roles))
        return openai_refuse(r, &role_at, "invalid_value",
                             "must be user, assistant, system or developer.");
    struct ir_message *m = roles[k].role == IR_ASSISTANT
                               ? assistant(r, index)
                               : ir_add_message(r->out, roles[k].role, index);
    if (!m)
        return openai_too_large(r);
    if (roles[k].note)
        ir_note(r->out, (enum ir_field)(roles[k].note - 1));
    return read_content(r, at, "content", in->content, &m->parts);
}

static int read_call(struct openai_reader *r, const struct openai_at *at, const struct item_in *in,
                     uint32_t index)
{
    if (!ir_has(in->name))
        return missing(r, at, "name");
    if (!ir_has(in->call_id))
        return missing(r, at, "call_id");
    struct ir_message *m = assistant(r, index);
    struct ir_part *p = m ? ir_add_part(r->out->arena, &m->parts, IR_PART_TOOL_CALL) : NULL;
    if (!p)
        return openai_too_large(r);
    p->call_id = in->call_id;
    p->name = in->name;
    p->arguments = in->arguments;
    return 0;
}

static int read_output(struct openai_reader *r, const struct openai_at *at,
                       const struct item_in *in, uint32_t index)
{
    if (!ir_has(in->call_id))
        return missing(r, at, "call_id");
    struct ir_message *m = ir_add_message(r->out, IR_TOOL, index);
    struct ir_part *p = m ? ir_add_part(r->out->arena, &m->parts, IR_PART_TOOL_RESULT) : NULL;
    if (!p)
        return openai_too_large(r);
    p->call_id = in->call_id;
    if (read_content(r, at, "output", in->output, &p->content) < 0)
        return -1;
    for (const struct ir_part *c = p->content; c; c = c->next)
        if (c->kind == IR_PART_IMAGE)
            ir_note(r->out, IR_F_TOOL_RESULT_IMAGE);
    return 0;
}

/* Texts of a summary or, where it has none, of the reasoning itself. */
static int read_thoughts(struct openai_reader *r, const struct openai_at *up, const char *name,
                         uint32_t v, struct ir_part **list, struct ir_part **last)
{
    struct openai_at at = openai_in(up, name);
    if (openai_need_array(r, &at, v) < 0)
        return -1;
    json_foreach_element(r->d, v, e)
    {
        struct ir_text text = ir_text_of(r->d, json_get_lit(r->d, e, "text"));
        if (!ir_has(text))
            continue;
        *last = ir_add_part(r->out->arena, list, IR_PART_REASONING);
        if (!*last)
            return openai_too_large(r);
        (*last)->text = text;
    }
    return 0;
}

static int read_reasoning(struct openai_reader *r, const struct openai_at *at,
                          const struct item_in *in, uint32_t index)
{
    struct ir_message *m = assistant(r, index);
    struct ir_part *last = NULL;
    if (!m)
        return openai_too_large(r);
    if (read_thoughts(r, at, "summary", in->summary, &m->parts, &last) < 0 ||
        (!last && read_thoughts(r, at, "content", in->content, &m->parts, &last) < 0))
        return -1;
    if (ir_has(in->encrypted)) {
        if (!last) {
            last = ir_add_part(r->out->arena, &m->parts, IR_PART_REASONING);
            if (!last)
                return openai_too_large(r);
            last->redacted = true;
        }
        last->signature = openai_responses_signature(r->out->arena, in->id, in->encrypted);
        ir_note(r->out, IR_F_REASONING_SIGNATURE);
    }
    if (last)
        ir_note(r->out, IR_F_REASONING);
    return 0;
}

static int read_item(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                     uint32_t index)
{
    struct item_in in = {JSON_NONE, JSON_NONE, JSON_NONE, JSON_NONE, JSON_NONE,
                         no_text,   no_text,   no_text,   no_text,   no_text};
    struct openai_at type_at = openai_in(at, "type");
    uint32_t type = json_get_lit(r->d, v, "type");
    bool known = !openai_given(r->d, type) || json_str_eq_lit(r->d, type, "message") ||
                 json_str_eq_lit(r->d, type, "function_call") ||
                 json_str_eq_lit(r->d, type, "function_call_output") ||
                 json_str_eq_lit(r->d, type, "reasoning");
    if (json_type(r->d, v) == JSON_OBJECT && !known)
        return openai_refuse(r, &type_at, "unsupported_parameter",
                             "is of a kind that can't be sent to this model's provider: only "
                             "messages, function calls, their outputs and reasoning can.");
    if (OPENAI_READ(r, at, v, item_members, &in) < 0)
        return -1;
    if (json_str_eq_lit(r->d, in.type, "function_call"))
        return read_call(r, at, &in, index);
    if (json_str_eq_lit(r->d, in.type, "function_call_output"))
        return read_output(r, at, &in, index);
    if (json_str_eq_lit(r->d, in.type, "reasoning"))
        return read_reasoning(r, at, &in, index);
    return read_message(r, at, &in, index);
}

static int read_input(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into)
{
    uint32_t i = 0;
    (void)into;
    if (json_type(r->d, v) == JSON_STRING) {
        struct ir_message *m = ir_add_message(r->out, IR_USER, 0);
        struct ir_part *p = m ? ir_add_part(r->out->arena, &m->parts, IR_PART_TEXT) : NULL;
        if (!p)
            return openai_too_large(r);
        p->text = ir_text_of(r->d, v);
        return 0;
    }
    if (json_type(r->d, v) != JSON_ARRAY)
        return openai_wrong_type(r, at, v, "a string or an array of items");
    json_foreach_element(r->d, v, e)
    {
        struct openai_at here = openai_elem(at, i);
        if (read_item(r, &here, e, i++) < 0)
            return -1;
    }
    return 0;
}

/* Wherever it stands in the body, it is the first message. */
static int read_instructions(struct openai_reader *r, const struct json_doc *d)
{
    struct openai_at at = openai_in(NULL, "instructions");
    uint32_t v = json_get_lit(d, JSON_ROOT, "instructions");
    if (!openai_given(d, v))
        return 0;
    if (json_type(d, v) != JSON_STRING)
        return openai_wrong_type(r, &at, v, "a string");
    struct ir_message *m = ir_add_message(r->out, IR_SYSTEM, 0);
    struct ir_part *p = m ? ir_add_part(r->out->arena, &m->parts, IR_PART_TEXT) : NULL;
    if (!p)
        return openai_too_large(r);
    p->text = ir_text_of(d, v);
    ir_note(r->out, IR_F_SYSTEM);
    return 0;
}

/* ---- tools ---- */

static const struct openai_member tool_members[] = {
    OPENAI_MEMBER_KNOWN("type"),
    OPENAI_MEMBER("name", TEXT, struct ir_tool, name),
    OPENAI_MEMBER("description", TEXT, struct ir_tool, description),
    OPENAI_MEMBER("parameters", OBJECT, struct ir_tool, parameters),
    OPENAI_MEMBER("strict", FLAG, struct ir_tool, strict),
};

static int read_tool(struct openai_reader *r, const struct openai_at *at, uint32_t v)
{
    struct openai_at type_at = openai_in(at, "type");
    uint32_t type = json_get_lit(r->d, v, "type");
    if (json_type(r->d, v) != JSON_OBJECT)
        return openai_wrong_type(r, at, v, "an object");
    if (json_type(r->d, type) != JSON_STRING)
        return openai_wrong_type(r, &type_at, type, "a string");
    if (json_str_eq_lit(r->d, type, "custom"))
        return openai_refuse(r, &type_at, "unsupported_parameter",
                             "is custom: such tools can't be sent to this model's provider.");
    struct ir_tool *t = ir_add_tool(r->out);
    if (!t)
        return openai_too_large(r);
    if (!json_str_eq_lit(r->d, type, "function")) {
        t->hosted_type = ir_text_of(r->d, type);
        t->hosted = json_raw(r->d, v);
        ir_note(r->out, IR_F_HOSTED_TOOLS);
        return 0;
    }
    if (OPENAI_READ(r, at, v, tool_members, t) < 0)
        return -1;
    ir_note(r->out, IR_F_TOOLS);
    if (t->strict == 1)
        ir_note(r->out, IR_F_TOOL_STRICT);
    return t->name.s.n ? 0 : missing(r, at, "name");
}

static int read_tools(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into)
{
    uint32_t i = 0;
    (void)into;
    if (openai_need_array(r, at, v) < 0)
        return -1;
    json_foreach_element(r->d, v, e)
    {
        struct openai_at here = openai_elem(at, i++);
        if (read_tool(r, &here, e) < 0)
            return -1;
    }
    return 0;
}

static int read_allowed(struct openai_reader *r, const struct openai_at *at, uint32_t v)
{
    struct openai_at mode_at = openai_in(at, "mode"), tools_at = openai_in(at, "tools");
    uint32_t mode = json_get_lit(r->d, v, "mode"), tools = json_get_lit(r->d, v, "tools");
    struct ir_request *out = r->out;
    if (json_type(r->d, tools) != JSON_ARRAY)
        return openai_wrong_type(r, &tools_at, tools, "an array");
    if (json_str_eq_lit(r->d, mode, "none") || !openai_choice_word(r, mode))
        return openai_refuse(r, &mode_at, "invalid_value", "must be auto or required.");
    out->allowed_tools =
        arena_alloc(out->arena, (json_count(r->d, tools) + 1) * sizeof *out->allowed_tools);
    if (!out->allowed_tools)
        return openai_too_large(r);
    json_foreach_element(r->d, tools, e)
    {
        struct openai_at here = openai_elem(&tools_at, (uint32_t)out->n_allowed_tools);
        uint32_t name = json_get_lit(r->d, e, "name");
        if (json_type(r->d, name) != JSON_STRING)
            return openai_refuse(r, &here, "invalid_value", "must name a function tool.");
        out->allowed_tools[out->n_allowed_tools++] = ir_text_of(r->d, name);
    }
    ir_note(out, IR_F_TOOL_CHOICE_ALLOWED);
    return 0;
}

static int read_tool_choice(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                            void *into)
{
    uint32_t type = json_get_lit(r->d, v, "type"), name = json_get_lit(r->d, v, "name");
    (void)into;
    if (json_type(r->d, v) == JSON_STRING && openai_choice_word(r, v))
        return 0;
    if (json_str_eq_lit(r->d, type, "allowed_tools"))
        return read_allowed(r, at, v);
    if (json_str_eq_lit(r->d, type, "function")) {
        if (json_type(r->d, name) != JSON_STRING)
            return missing(r, at, "name");
        r->out->tool_choice = IR_CHOICE_TOOL;
        r->out->tool_choice_name = ir_text_of(r->d, name);
        ir_note(r->out, IR_F_TOOL_CHOICE_TOOL);
        return 0;
    }
    if (json_type(r->d, type) == JSON_STRING)
        return openai_refuse(r, at, "unsupported_parameter",
                             "asks for a tool that this model's provider doesn't have.");
    return openai_refuse(r, at, "invalid_value",
                         "must be none, auto, required, or an object of type function or "
                         "allowed_tools.");
}

/* ---- text, reasoning ---- */

static const struct openai_member schema_members[] = {
    OPENAI_MEMBER_KNOWN("type"),
    OPENAI_MEMBER("name", TEXT, struct ir_request, format_name),
    OPENAI_MEMBER("description", TEXT, struct ir_request, format_description),
    OPENAI_MEMBER("schema", OBJECT, struct ir_request, format_schema),
    OPENAI_MEMBER("strict", FLAG, struct ir_request, format_strict),
};

static int read_format(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into)
{
    struct ir_request *out = into;
    struct openai_at type_at = openai_in(at, "type");
    uint32_t type = json_get_lit(r->d, v, "type");
    if (json_type(r->d, v) != JSON_OBJECT)
        return openai_wrong_type(r, at, v, "an object");
    if (json_str_eq_lit(r->d, type, "text")) {
        out->format = IR_FORMAT_TEXT;
    } else if (json_str_eq_lit(r->d, type, "json_object")) {
        out->format = IR_FORMAT_JSON;
        ir_note(out, IR_F_FORMAT_JSON);
    } else if (json_str_eq_lit(r->d, type, "json_schema")) {
        out->format = IR_FORMAT_SCHEMA;
        ir_note(out, IR_F_FORMAT_SCHEMA);
        return OPENAI_READ(r, at, v, schema_members, out);
    } else {
        return openai_refuse(r, &type_at, "invalid_value",
                             "must be text, json_object or json_schema.");
    }
    return 0;
}

static const struct openai_member text_members[] = {
    OPENAI_MEMBER_FN("format", read_format),
    OPENAI_MEMBER_NOTED("verbosity", TEXT, struct ir_request, verbosity, VERBOSITY),
};

static int read_text(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into)
{
    return OPENAI_READ(r, at, v, text_members, into);
}

static int read_summary(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into)
{
    struct ir_request *out = into;
    if (json_type(r->d, v) != JSON_STRING)
        return openai_wrong_type(r, at, v, "a string");
    out->include_thoughts = 1;
    ir_note(out, IR_F_INCLUDE_THOUGHTS);
    return 0;
}

static const struct openai_member reasoning_members[] = {
    OPENAI_MEMBER_FN("effort", openai_read_effort),
    OPENAI_MEMBER_FN("summary", read_summary),
    OPENAI_MEMBER_FN("generate_summary", read_summary),
};

static int read_reasoning_options(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                                  void *into)
{
    return OPENAI_READ(r, at, v, reasoning_members, into);
}

/* ---- the rest ---- */

static int read_include(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into)
{
    struct ir_request *out = into;
    uint32_t i = 0;
    if (openai_need_array(r, at, v) < 0)
        return -1;
    json_foreach_element(r->d, v, e)
    {
        struct openai_at here = openai_elem(at, i++);
        if (json_str_eq_lit(r->d, e, "message.output_text.logprobs")) {
            out->logprobs = true;
            ir_note(out, IR_F_LOGPROBS);
        } else if (!json_str_eq_lit(r->d, e, "reasoning.encrypted_content")) {
            openai_unknown(r, &here);
        }
    }
    return 0;
}

static int read_store(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into)
{
    struct ir_request *out = into;
    bool b;
    if (json_bool(r->d, v, &b) < 0)
        return openai_wrong_type(r, at, v, "a boolean");
    out->store = b;
    if (b)
        ir_note(out, IR_F_STORE);
    return 0;
}

static int read_background(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                           void *into)
{
    bool b;
    (void)into;
    if (json_bool(r->d, v, &b) < 0)
        return openai_wrong_type(r, at, v, "a boolean");
    if (b)
        ir_note(r->out, IR_F_BACKGROUND);
    return 0;
}

/* A conversation or a prompt that the provider keeps. */
static int read_kept(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into)
{
    (void)at;
    (void)v;
    (void)into;
    ir_note(r->out, IR_F_PREVIOUS_RESPONSE);
    return 0;
}

static int read_truncation(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                           void *into)
{
    (void)into;
    if (json_type(r->d, v) != JSON_STRING)
        return openai_wrong_type(r, at, v, "a string");
    if (!json_str_eq_lit(r->d, v, "disabled"))
        openai_unknown(r, at);
    return 0;
}

static int read_top_logprobs(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                             void *into)
{
    struct ir_request *out = into;
    if (json_i64(r->d, v, &out->top_logprobs) < 0 || out->top_logprobs < 0)
        return openai_refuse(r, at, "invalid_value", "must be an integer from 0.");
    if (out->top_logprobs) {
        out->logprobs = true;
        ir_note(out, IR_F_LOGPROBS);
    }
    return 0;
}

#define MEMBER(lit, kind, field) OPENAI_MEMBER(lit, kind, struct ir_request, field)
#define NOTED(lit, kind, field, ir_field)                                                          \
    OPENAI_MEMBER_NOTED(lit, kind, struct ir_request, field, ir_field)
#define READ(lit, fn) OPENAI_MEMBER_FN(lit, fn)

static const struct openai_member members[] = {
    READ("input", read_input),
    OPENAI_MEMBER_KNOWN("model"),
    OPENAI_MEMBER_KNOWN("instructions"),
    MEMBER("stream", BOOL, stream),
    OPENAI_MEMBER_KNOWN("stream_options"),
    NOTED("max_output_tokens", COUNT, max_tokens, MAX_TOKENS),
    NOTED("temperature", NUMBER, temperature, TEMPERATURE),
    NOTED("top_p", NUMBER, top_p, TOP_P),
    READ("top_logprobs", read_top_logprobs),
    READ("tools", read_tools),
    READ("tool_choice", read_tool_choice),
    READ("parallel_tool_calls", openai_read_parallel),
    READ("text", read_text),
    READ("reasoning", read_reasoning_options),
    READ("include", read_include),
    READ("truncation", read_truncation),
    READ("store", read_store),
    READ("background", read_background),
    NOTED("previous_response_id", TEXT, previous_response, PREVIOUS_RESPONSE),
    READ("conversation", read_kept),
    READ("prompt", read_kept),
    READ("user", openai_read_user),
    READ("safety_identifier", openai_read_user),
    READ("metadata", openai_read_metadata),
    READ("service_tier", openai_read_tier),
    NOTED("prompt_cache_key", TEXT, prompt_cache_key, PROMPT_CACHE_KEY),
    NOTED("prompt_cache_retention", TEXT, prompt_cache_retention, PROMPT_CACHE_KEY),
};

int openai_responses_read_request(const struct json_doc *d, struct ir_request *out,
                                  struct dialect_refusal *why)
{
    struct openai_reader r = {.d = d, .out = out, .why = why};
    struct openai_at input_at = openai_in(NULL, "input");
    out->names = openai_responses_fields;
    out->list = "input";
    out->include_usage = true; /* each answer of this API has it */
    if (read_instructions(&r, d) < 0 || OPENAI_READ(&r, NULL, JSON_ROOT, members, out) < 0)
        return -1;
    if (!ir_noted(out, IR_F_PREVIOUS_RESPONSE) &&
        !openai_given(d, json_get_lit(d, JSON_ROOT, "input")))
        return openai_refuse(&r, &input_at, "missing_required_parameter", "is required.");
    return 0;
}
