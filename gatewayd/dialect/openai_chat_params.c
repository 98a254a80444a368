/*
 * openai_chat_params.c: the members of a chat completion request beside its messages.
 *
 * A value that is the API's own default isn't noted as a field: it asks for nothing.
 */
#include "gatewayd/dialect/openai_chat.h"

/* ---- tools ---- */

static const struct openai_member function_members[] = {
    OPENAI_MEMBER("name", TEXT, struct ir_tool, name),
    OPENAI_MEMBER("description", TEXT, struct ir_tool, description),
    OPENAI_MEMBER("parameters", OBJECT, struct ir_tool, parameters),
    OPENAI_MEMBER("strict", FLAG, struct ir_tool, strict),
};

static int read_function(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                         struct ir_tool *t)
{
    struct openai_at name_at = openai_in(at, "name");
    if (OPENAI_READ(r, at, v, function_members, t) < 0)
        return -1;
    if (!t->name.s.n)
        return openai_refuse(r, &name_at, "missing_required_parameter", "is required.");
    ir_note(r->out, IR_F_TOOLS);
    if (t->strict == 1)
        ir_note(r->out, IR_F_TOOL_STRICT);
    return 0;
}

struct tool_in {
    uint32_t type, function;
    enum ir_cache cache;
};
static const struct openai_member tool_members[] = {
    OPENAI_MEMBER("type", VALUE, struct tool_in, type),
    OPENAI_MEMBER("function", VALUE, struct tool_in, function),
    OPENAI_MEMBER_FN_AT("cache_control", openai_read_cache_control, struct tool_in, cache),
};

static int read_hosted(struct openai_reader *r, uint32_t type, struct slice raw)
{
    struct ir_tool *t = ir_add_tool(r->out);
    if (!t)
        return openai_too_large(r);
    t->hosted_type = type == JSON_NONE ? IR_LIT("web_search") : ir_text_of(r->d, type);
    t->hosted = raw;
    ir_note(r->out, IR_F_HOSTED_TOOLS);
    return 0;
}

static int read_tool(struct openai_reader *r, const struct openai_at *at, uint32_t v)
{
    struct tool_in in = {.type = JSON_NONE, .function = JSON_NONE};
    struct openai_at type_at = openai_in(at, "type"), function_at = openai_in(at, "function");
    uint32_t type = json_get_lit(r->d, v, "type");
    if (json_type(r->d, type) == JSON_STRING && json_str_eq_lit(r->d, type, "custom"))
        return openai_refuse(r, &type_at, "unsupported_parameter",
                             "is custom: such tools can't be sent to this model's provider.");
    if (json_type(r->d, type) == JSON_STRING && !json_str_eq_lit(r->d, type, "function"))
        return read_hosted(r, type, json_raw(r->d, v));
    if (OPENAI_READ(r, at, v, tool_members, &in) < 0)
        return -1;
    if (in.type != JSON_NONE && json_type(r->d, in.type) != JSON_STRING)
        return openai_wrong_type(r, &type_at, in.type, "a string");
    if (in.function == JSON_NONE)
        return openai_refuse(r, &function_at, "missing_required_parameter", "is required.");
    struct ir_tool *t = ir_add_tool(r->out);
    if (!t)
        return openai_too_large(r);
    t->cache = in.cache;
    return read_function(r, &function_at, in.function, t);
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

static int read_functions(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                          void *into)
{
    uint32_t i = 0;
    (void)into;
    if (openai_need_array(r, at, v) < 0)
        return -1;
    json_foreach_element(r->d, v, e)
    {
        struct openai_at here = openai_elem(at, i++);
        struct ir_tool *t = ir_add_tool(r->out);
        if (!t)
            return openai_too_large(r);
        if (read_function(r, &here, e, t) < 0)
            return -1;
    }
    return 0;
}

static int read_web_search(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                           void *into)
{
    (void)into;
    if (json_type(r->d, v) != JSON_OBJECT)
        return openai_wrong_type(r, at, v, "an object");
    return read_hosted(r, JSON_NONE, json_raw(r->d, v));
}

/* ---- tool_choice ---- */

/* The name in {"name":…}. */
static int choose_tool(struct openai_reader *r, const struct openai_at *at, uint32_t v)
{
    struct openai_at name_at = openai_in(at, "name");
    uint32_t name = json_get_lit(r->d, v, "name");
    if (json_type(r->d, name) != JSON_STRING)
        return openai_wrong_type(r, &name_at, name, "a string");
    r->out->tool_choice = IR_CHOICE_TOOL;
    r->out->tool_choice_name = ir_text_of(r->d, name);
    ir_note(r->out, IR_F_TOOL_CHOICE_TOOL);
    return 0;
}

static int read_allowed(struct openai_reader *r, const struct openai_at *up, uint32_t v)
{
    struct openai_at at = openai_in(up, "allowed_tools"), mode_at = openai_in(&at, "mode");
    struct openai_at tools_at = openai_in(&at, "tools");
    uint32_t mode = json_get_lit(r->d, v, "mode"), tools = json_get_lit(r->d, v, "tools");
    struct ir_request *out = r->out;
    if (json_type(r->d, v) != JSON_OBJECT)
        return openai_wrong_type(r, &at, v, "an object");
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
        struct openai_at name_at = openai_in(&here, "function");
        uint32_t name = json_get_lit(r->d, json_get_lit(r->d, e, "function"), "name");
        if (json_type(r->d, name) != JSON_STRING)
            return openai_refuse(r, &name_at, "invalid_value", "must name a function tool.");
        out->allowed_tools[out->n_allowed_tools++] = ir_text_of(r->d, name);
    }
    ir_note(out, IR_F_TOOL_CHOICE_ALLOWED);
    return 0;
}

static int read_tool_choice(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                            void *into)
{
    uint32_t type = json_get_lit(r->d, v, "type");
    struct openai_at function_at = openai_in(at, "function");
    (void)into;
    if (json_type(r->d, v) == JSON_STRING && openai_choice_word(r, v))
        return 0;
    if (json_str_eq_lit(r->d, type, "function"))
        return choose_tool(r, &function_at, json_get_lit(r->d, v, "function"));
    if (json_str_eq_lit(r->d, type, "allowed_tools"))
        return read_allowed(r, at, json_get_lit(r->d, v, "allowed_tools"));
    if (json_str_eq_lit(r->d, type, "custom"))
        return openai_refuse(r, at, "unsupported_parameter",
                             "asks for a custom tool, which this model's provider doesn't have.");
    return openai_refuse(r, at, "invalid_value",
                         "must be none, auto, required, or an object of type function or "
                         "allowed_tools.");
}

/* The legacy form: a word, or {"name":…}. */
static int read_function_call(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                              void *into)
{
    (void)into;
    if (r->out->tool_choice != IR_CHOICE_UNSET)
        return 0;
    if (json_type(r->d, v) == JSON_STRING && openai_choice_word(r, v))
        return 0;
    return choose_tool(r, at, v);
}

/* ---- response_format ---- */

static const struct openai_member schema_members[] = {
    OPENAI_MEMBER("name", TEXT, struct ir_request, format_name),
    OPENAI_MEMBER("description", TEXT, struct ir_request, format_description),
    OPENAI_MEMBER("schema", OBJECT, struct ir_request, format_schema),
    OPENAI_MEMBER("strict", FLAG, struct ir_request, format_strict),
};

static int read_format(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into)
{
    struct ir_request *out = into;
    struct openai_at type_at = openai_in(at, "type"), schema_at = openai_in(at, "json_schema");
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
        return OPENAI_READ(r, &schema_at, json_get_lit(r->d, v, "json_schema"), schema_members,
                           out);
    } else {
        return openai_refuse(r, &type_at, "invalid_value",
                             "must be text, json_object or json_schema.");
    }
    return 0;
}

/* ---- the rest ---- */

static int read_max_tokens(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                           void *into)
{
    struct ir_request *out = into;
    int64_t n;
    if (json_type(r->d, v) != JSON_NUMBER)
        return openai_wrong_type(r, at, v, "an integer");
    if (json_i64(r->d, v, &n) < 0 || n < 0)
        return openai_refuse(r, at, "invalid_value", "must be an integer from 0.");
    out->max_tokens = GW_MAX(out->max_tokens, n);
    ir_note(out, IR_F_MAX_TOKENS);
    return 0;
}

static int read_n(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into)
{
    struct ir_request *out = into;
    if (json_type(r->d, v) != JSON_NUMBER)
        return openai_wrong_type(r, at, v, "an integer");
    if (json_i64(r->d, v, &out->n) < 0 || out->n < 1)
        return openai_refuse(r, at, "invalid_value", "must be an integer from 1.");
    if (out->n > 1)
        ir_note(out, IR_F_N);
    return 0;
}

static int read_logprobs(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                         void *into)
{
    struct ir_request *out = into;
    if (json_bool(r->d, v, &out->logprobs) < 0)
        return openai_wrong_type(r, at, v, "a boolean");
    if (out->logprobs)
        ir_note(out, IR_F_LOGPROBS);
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

static int read_logit_bias(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                           void *into)
{
    struct ir_request *out = into;
    if (json_type(r->d, v) != JSON_OBJECT)
        return openai_wrong_type(r, at, v, "an object");
    out->logit_bias = json_raw(r->d, v);
    if (json_count(r->d, v))
        ir_note(out, IR_F_LOGIT_BIAS);
    return 0;
}

static int read_modalities(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                           void *into)
{
    struct ir_request *out = into;
    if (json_type(r->d, v) != JSON_ARRAY)
        return openai_wrong_type(r, at, v, "an array");
    json_foreach_element(r->d, v, e)
    {
        if (json_str_eq_lit(r->d, e, "text"))
            continue;
        out->modalities = json_raw(r->d, v);
        ir_note(out, IR_F_MODALITIES);
    }
    return 0;
}

static const struct openai_member stream_members[] = {
    OPENAI_MEMBER("include_usage", BOOL, struct ir_request, include_usage),
    OPENAI_MEMBER_KNOWN("include_obfuscation"),
};

static int read_stream_options(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                               void *into)
{
    return OPENAI_READ(r, at, v, stream_members, into);
}

/* OpenRouter's unified form of reasoning_effort. */
static const struct openai_member reasoning_members[] = {
    OPENAI_MEMBER_FN("effort", openai_read_effort),
    OPENAI_MEMBER_NOTED("max_tokens", COUNT, struct ir_request, thinking_budget, THINKING_BUDGET),
    OPENAI_MEMBER_KNOWN("enabled"),
    OPENAI_MEMBER_KNOWN("exclude"),
};

static int read_reasoning(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                          void *into)
{
    return OPENAI_READ(r, at, v, reasoning_members, into);
}

#define MEMBER(lit, kind, field) OPENAI_MEMBER(lit, kind, struct ir_request, field)
#define NOTED(lit, kind, field, ir_field)                                                          \
    OPENAI_MEMBER_NOTED(lit, kind, struct ir_request, field, ir_field)
#define READ(lit, fn) OPENAI_MEMBER_FN(lit, fn)

static const struct openai_member members[] = {
    READ("messages", openai_chat_read_messages),
    OPENAI_MEMBER_KNOWN("model"),
    MEMBER("stream", BOOL, stream),
    READ("stream_options", read_stream_options),
    READ("max_completion_tokens", read_max_tokens),
    READ("max_tokens", read_max_tokens),
    NOTED("temperature", NUMBER, temperature, TEMPERATURE),
    NOTED("top_p", NUMBER, top_p, TOP_P),
    NOTED("top_k", NUMBER, top_k, TOP_K),
    NOTED("presence_penalty", NUMBER, presence_penalty, PRESENCE_PENALTY),
    NOTED("frequency_penalty", NUMBER, frequency_penalty, FREQUENCY_PENALTY),
    NOTED("seed", NUMBER, seed, SEED),
    READ("stop", openai_read_stop),
    READ("n", read_n),
    READ("logprobs", read_logprobs),
    MEMBER("top_logprobs", COUNT, top_logprobs),
    READ("logit_bias", read_logit_bias),
    READ("tools", read_tools),
    READ("tool_choice", read_tool_choice),
    READ("parallel_tool_calls", openai_read_parallel),
    READ("functions", read_functions),
    READ("function_call", read_function_call),
    READ("response_format", read_format),
    READ("reasoning_effort", openai_read_effort),
    READ("reasoning", read_reasoning),
    READ("user", openai_read_user),
    READ("safety_identifier", openai_read_user),
    READ("metadata", openai_read_metadata),
    READ("service_tier", openai_read_tier),
    READ("store", read_store),
    NOTED("prediction", OBJECT, prediction, PREDICTION),
    READ("modalities", read_modalities),
    OPENAI_MEMBER_KNOWN("audio"), /* says how the audio of `modalities` shall be */
    NOTED("verbosity", TEXT, verbosity, VERBOSITY),
    NOTED("prompt_cache_key", TEXT, prompt_cache_key, PROMPT_CACHE_KEY),
    NOTED("prompt_cache_retention", TEXT, prompt_cache_retention, PROMPT_CACHE_KEY),
    READ("web_search_options", read_web_search),
};

int openai_chat_read_request(const struct json_doc *d, struct ir_request *out,
                             struct dialect_refusal *why)
{
    struct openai_reader r = {.d = d, .out = out, .why = why};
    struct openai_at messages_at = openai_in(NULL, "messages");
    out->names = openai_chat_fields;
    if (OPENAI_READ(&r, NULL, JSON_ROOT, members, out) < 0)
        return -1;
    if (!out->messages)
        return openai_refuse(&r, &messages_at, "missing_required_parameter", "is required.");
    return 0;
}
