/*
 * bedrock_read.c: reads a request into the internal form; its content blocks are read by
 * bedrock_read_blocks.c.
 *
 * What only Bedrock can do and nobody may do without (a guardrail, a stored prompt, an object in
 * S3) is refused: a request is read here only when it goes elsewhere. What is a hint and has no
 * place in the form is noted as unknown.
 */
#include "gatewayd/dialect/bedrock.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- places and refusals ---- */

static void write_place(const struct bedrock_at *at, struct buf *out)
{
    if (!at)
        return;
    write_place(at->up, out);
    int rc = at->name ? buf_printf(out, "%s%s", out->len ? "." : "", at->name)
                      : buf_printf(out, "[%u]", at->index);
    if (rc < 0)
        return;
}

/* At most cap - 1 bytes of the place's text. */
static void place_text(const struct bedrock_at *at, char *text, size_t cap)
{
    struct buf b;
    buf_init(&b, 4096);
    write_place(at, &b);
    snprintf(text, cap, "%.*s", (int)b.len, b.len ? b.data : "");
    buf_release(&b);
}

int bedrock_refuse(struct bedrock_reader *r, const struct bedrock_at *at, const char *code,
                   const char *fmt, ...)
{
    struct dialect_refusal *why = r->why;
    char place[sizeof why->message / 2];
    va_list ap;
    place_text(at, place, sizeof place);
    int n = snprintf(why->message, sizeof why->message, "%s%s", place, at ? ": " : "");
    va_start(ap, fmt);
    if (n >= 0 && (size_t)n < sizeof why->message)
        vsnprintf(why->message + n, sizeof why->message - (size_t)n, fmt, ap);
    va_end(ap);
    place_text(at, why->param, sizeof why->param);
    why->code = code;
    return -1;
}

int bedrock_wrong_type(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v,
                       const char *expected)
{
    return bedrock_refuse(r, at, "invalid_type", "must be %s, not %s.", expected,
                          json_type_name(json_type(r->d, v)));
}

int bedrock_too_large(struct bedrock_reader *r, const struct bedrock_at *at)
{
    return bedrock_refuse(r, at, "request_too_large", "the request is too large.");
}

void bedrock_note_unknown(struct bedrock_reader *r, const struct bedrock_at *at)
{
    char place[160];
    place_text(at, place, sizeof place);
    ir_note_unknown(r->out, "%s", place);
}

/* ---- objects ---- */

static int read_count(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v,
                      int64_t *out)
{
    if (json_type(r->d, v) != JSON_NUMBER)
        return bedrock_wrong_type(r, at, v, "an integer");
    if (json_i64(r->d, v, out) < 0 || *out < 0 || *out > USAGE_MAX_TOKENS)
        return bedrock_refuse(r, at, "invalid_value", "must be an integer from 0 to %d.",
                              (int)USAGE_MAX_TOKENS);
    return 0;
}

static int read_member(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v,
                       enum bedrock_kind kind, void *into)
{
    enum json_type t = json_type(r->d, v);
    switch (kind) {
    case BEDROCK_TEXT:
        *(struct ir_text *)into = ir_text_of(r->d, v);
        return t == JSON_STRING ? 0 : bedrock_wrong_type(r, at, v, "a string");
    case BEDROCK_NUMBER:
        *(struct slice *)into = json_raw(r->d, v);
        return t == JSON_NUMBER ? 0 : bedrock_wrong_type(r, at, v, "a number");
    case BEDROCK_COUNT:
        return read_count(r, at, v, into);
    case BEDROCK_OBJECT:
        *(uint32_t *)into = v;
        return t == JSON_OBJECT ? 0 : bedrock_wrong_type(r, at, v, "an object");
    case BEDROCK_ARRAY:
        *(uint32_t *)into = v;
        return t == JSON_ARRAY ? 0 : bedrock_wrong_type(r, at, v, "an array");
    case BEDROCK_VALUE:
        *(uint32_t *)into = v;
        return 0;
    }
    return -1;
}

static void note_unknown_key(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t k)
{
    char name[64];
    size_t n;
    if (json_str_decode(r->d, k, name, sizeof name - 1, &n) < 0)
        n = (size_t)snprintf(name, sizeof name, "?");
    name[n] = '\0';
    struct bedrock_at here = bedrock_in(at, name);
    bedrock_note_unknown(r, &here);
}

int bedrock_read_object(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v,
                        const struct bedrock_member *table, size_t n, void *into)
{
    uint32_t seen = 0;
    if (json_type(r->d, v) != JSON_OBJECT)
        return bedrock_wrong_type(r, at, v, "an object");
    json_foreach_member(r->d, v, k)
    {
        size_t i = 0;
        while (i < n && !json_str_eq(r->d, k, slice_str(table[i].name)))
            i++;
        if (i == n) {
            note_unknown_key(r, at, k);
            continue;
        }
        struct bedrock_at here = bedrock_in(at, table[i].name);
        if (seen >> i & 1)
            return bedrock_refuse(r, &here, "duplicate_member", "is given more than once.");
        seen |= 1u << i;
        if (!json_is_null(r->d, k + 1) &&
            read_member(r, &here, k + 1, table[i].kind, (char *)into + table[i].offset) < 0)
            return -1;
    }
    return 0;
}

uint32_t bedrock_read_union(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v)
{
    uint32_t found = JSON_NONE;
    if (json_type(r->d, v) != JSON_OBJECT) {
        (void)bedrock_wrong_type(r, at, v, "an object");
        return JSON_NONE;
    }
    json_foreach_member(r->d, v, k)
    {
        if (json_is_null(r->d, k + 1))
            continue;
        if (found != JSON_NONE) {
            (void)bedrock_refuse(r, at, "invalid_value", "must have exactly one member.");
            return JSON_NONE;
        }
        found = k;
    }
    if (found == JSON_NONE)
        (void)bedrock_refuse(r, at, "invalid_value", "must have exactly one member.");
    return found;
}

/* ---- tools ---- */

struct tool_spec {
    struct ir_text name, description;
    uint32_t schema, strict;
};

static int read_tool_spec(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v)
{
    static const struct bedrock_member members[] = {
        BEDROCK_MEMBER("name", TEXT, struct tool_spec, name),
        BEDROCK_MEMBER("description", TEXT, struct tool_spec, description),
        BEDROCK_MEMBER("inputSchema", OBJECT, struct tool_spec, schema),
        BEDROCK_MEMBER("strict", VALUE, struct tool_spec, strict),
    };
    struct tool_spec in = {.schema = JSON_NONE, .strict = JSON_NONE};
    bool strict;
    if (BEDROCK_READ(r, at, v, members, &in) < 0)
        return -1;
    struct bedrock_at name = bedrock_in(at, "name"), schema = bedrock_in(at, "inputSchema"),
                      strict_at = bedrock_in(at, "strict");
    uint32_t json = json_get_lit(r->d, in.schema, "json");
    if (!in.name.s.n)
        return bedrock_refuse(r, &name, "missing_required_parameter", "is required.");
    if (json_type(r->d, json) != JSON_OBJECT)
        return bedrock_refuse(r, &schema, "missing_required_parameter",
                              "must have a JSON schema as its member 'json'.");
    if (in.strict != JSON_NONE && json_bool(r->d, in.strict, &strict) < 0)
        return bedrock_wrong_type(r, &strict_at, in.strict, "a boolean");
    struct ir_tool *tool = ir_add_tool(r->out);
    if (!tool)
        return bedrock_too_large(r, at);
    tool->name = in.name;
    tool->description = in.description;
    tool->parameters = json_raw(r->d, json);
    ir_note(r->out, IR_F_TOOLS);
    if (in.strict != JSON_NONE) {
        tool->strict = strict;
        if (strict)
            ir_note(r->out, IR_F_TOOL_STRICT);
    }
    return 0;
}

static int read_tool(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v,
                     struct ir_tool **last)
{
    uint32_t k = bedrock_read_union(r, at, v);
    if (k == JSON_NONE)
        return -1;
    if (json_str_eq_lit(r->d, k, "toolSpec")) {
        struct bedrock_at here = bedrock_in(at, "toolSpec");
        return read_tool_spec(r, &here, k + 1);
    }
    if (json_str_eq_lit(r->d, k, "cachePoint")) {
        struct bedrock_at here = bedrock_in(at, "cachePoint");
        enum ir_cache cache = IR_CACHE_NONE;
        if (bedrock_read_cache_point(r, &here, k + 1, &cache) < 0)
            return -1;
        if (*last)
            (*last)->cache = cache;
        return 0;
    }
    if (!json_str_eq_lit(r->d, k, "systemTool"))
        return bedrock_refuse(r, at, "invalid_value",
                              "must be a toolSpec, a systemTool or a cachePoint.");
    struct ir_tool *tool = ir_add_tool(r->out);
    if (!tool)
        return bedrock_too_large(r, at);
    tool->hosted_type = IR_LIT("systemTool");
    tool->hosted = json_raw(r->d, k + 1);
    ir_note(r->out, IR_F_HOSTED_TOOLS);
    return 0;
}

static int read_tool_choice(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v)
{
    struct ir_request *out = r->out;
    uint32_t k = bedrock_read_union(r, at, v);
    if (k == JSON_NONE)
        return -1;
    if (json_str_eq_lit(r->d, k, "auto")) {
        out->tool_choice = IR_CHOICE_AUTO;
        ir_note(out, IR_F_TOOL_CHOICE_AUTO);
        return 0;
    }
    if (json_str_eq_lit(r->d, k, "any")) {
        out->tool_choice = IR_CHOICE_ANY;
        ir_note(out, IR_F_TOOL_CHOICE_ANY);
        return 0;
    }
    if (!json_str_eq_lit(r->d, k, "tool"))
        return bedrock_refuse(r, at, "invalid_value", "must be auto, any or tool.");
    struct bedrock_at tool = bedrock_in(at, "tool"), name = bedrock_in(&tool, "name");
    uint32_t value = json_get_lit(r->d, k + 1, "name");
    if (json_type(r->d, value) != JSON_STRING)
        return bedrock_wrong_type(r, &name, value, "a string");
    out->tool_choice = IR_CHOICE_TOOL;
    out->tool_choice_name = ir_text_of(r->d, value);
    ir_note(out, IR_F_TOOL_CHOICE_TOOL);
    return 0;
}

struct tool_config {
    uint32_t tools, choice;
};

static int read_tool_config(struct bedrock_reader *r, uint32_t v)
{
    static const struct bedrock_member members[] = {
        BEDROCK_MEMBER("tools", ARRAY, struct tool_config, tools),
        BEDROCK_MEMBER("toolChoice", OBJECT, struct tool_config, choice),
    };
    struct bedrock_at at = bedrock_in(NULL, "toolConfig"), tools = bedrock_in(&at, "tools"),
                      choice = bedrock_in(&at, "toolChoice");
    struct tool_config in = {JSON_NONE, JSON_NONE};
    struct ir_tool *last = NULL;
    uint32_t i = 0;
    if (BEDROCK_READ(r, &at, v, members, &in) < 0)
        return -1;
    json_foreach_element(r->d, in.tools, tool)
    {
        struct bedrock_at here = bedrock_element(&tools, i++);
        if (read_tool(r, &here, tool, &last) < 0)
            return -1;
        for (last = last ? last : r->out->tools; last && last->next; last = last->next)
            ;
    }
    return in.choice == JSON_NONE ? 0 : read_tool_choice(r, &choice, in.choice);
}

/* ---- settings ---- */

struct inference {
    int64_t max_tokens;
    struct slice temperature, top_p;
    uint32_t stop;
};

static int read_stop(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v)
{
    uint32_t n = json_count(r->d, v), i = 0;
    if (n == 0)
        return 0;
    r->out->stop = arena_alloc(r->out->arena, n * sizeof *r->out->stop);
    if (!r->out->stop)
        return bedrock_too_large(r, at);
    json_foreach_element(r->d, v, e)
    {
        struct bedrock_at here = bedrock_element(at, i);
        if (json_type(r->d, e) != JSON_STRING)
            return bedrock_wrong_type(r, &here, e, "a string");
        r->out->stop[i++] = ir_text_of(r->d, e);
    }
    r->out->n_stop = n;
    ir_note(r->out, IR_F_STOP);
    return 0;
}

static int read_inference(struct bedrock_reader *r, uint32_t v)
{
    static const struct bedrock_member members[] = {
        BEDROCK_MEMBER("maxTokens", COUNT, struct inference, max_tokens),
        BEDROCK_MEMBER("temperature", NUMBER, struct inference, temperature),
        BEDROCK_MEMBER("topP", NUMBER, struct inference, top_p),
        BEDROCK_MEMBER("stopSequences", ARRAY, struct inference, stop),
    };
    struct bedrock_at at = bedrock_in(NULL, "inferenceConfig"),
                      stop = bedrock_in(&at, "stopSequences");
    struct inference in = {.max_tokens = -1, .stop = JSON_NONE};
    if (BEDROCK_READ(r, &at, v, members, &in) < 0)
        return -1;
    r->out->max_tokens = in.max_tokens;
    r->out->temperature = in.temperature;
    r->out->top_p = in.top_p;
    if (in.max_tokens >= 0)
        ir_note(r->out, IR_F_MAX_TOKENS);
    if (in.temperature.p)
        ir_note(r->out, IR_F_TEMPERATURE);
    if (in.top_p.p)
        ir_note(r->out, IR_F_TOP_P);
    return in.stop == JSON_NONE ? 0 : read_stop(r, &stop, in.stop);
}

static int read_effort(struct bedrock_reader *r, const struct bedrock_at *at, struct ir_text word)
{
    if (!ir_has(word))
        return 0;
    r->out->effort = ir_effort_find(word);
    if (r->out->effort == IR_EFFORT_UNSET)
        return bedrock_refuse(r, at, "invalid_value", "must be low, medium, high, xhigh or max.");
    ir_note(r->out, IR_F_EFFORT);
    return 0;
}

struct thinking {
    struct ir_text type;
    int64_t budget;
    struct ir_text display;
};

/* Claude's, docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html */
static int read_thinking(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v)
{
    static const struct bedrock_member members[] = {
        BEDROCK_MEMBER("type", TEXT, struct thinking, type),
        BEDROCK_MEMBER("budget_tokens", COUNT, struct thinking, budget),
        BEDROCK_MEMBER("display", TEXT, struct thinking, display),
    };
    struct thinking in = {.budget = -1};
    struct bedrock_at type = bedrock_in(at, "type"), budget = bedrock_in(at, "budget_tokens");
    if (BEDROCK_READ(r, at, v, members, &in) < 0)
        return -1;
    if (ir_has(in.display)) {
        r->out->include_thoughts = !ir_text_is(in.display, SLICE_LIT("omitted"));
        ir_note(r->out, IR_F_INCLUDE_THOUGHTS);
    }
    ir_note(r->out, IR_F_THINKING_BUDGET);
    if (ir_text_is(in.type, SLICE_LIT("disabled")))
        r->out->thinking_budget = 0;
    else if (ir_text_is(in.type, SLICE_LIT("adaptive")))
        r->out->thinking_budget = IR_BUDGET_DYNAMIC;
    else if (!ir_text_is(in.type, SLICE_LIT("enabled")))
        return bedrock_refuse(r, &type, "invalid_value", "must be enabled, adaptive or disabled.");
    else if (in.budget < 0)
        return bedrock_refuse(r, &budget, "missing_required_parameter", "is required.");
    else
        r->out->thinking_budget = in.budget;
    return 0;
}

struct model_fields {
    uint32_t thinking, reasoning, output, inference;
    struct slice top_k;
    struct ir_text effort;
};
struct nested {
    struct slice top_k;
    struct ir_text effort;
};

static const struct bedrock_member nested_top_k[] = {
    BEDROCK_MEMBER("topK", NUMBER, struct nested, top_k),
};
static const struct bedrock_member nested_effort[] = {
    BEDROCK_MEMBER("effort", TEXT, struct nested, effort),
};

/* What the models take beside the API's own parameters, as far as other providers know it. */
static int read_model_fields(struct bedrock_reader *r, uint32_t v)
{
    static const struct bedrock_member members[] = {
        BEDROCK_MEMBER("thinking", OBJECT, struct model_fields, thinking),
        BEDROCK_MEMBER("reasoning_config", OBJECT, struct model_fields, reasoning),
        BEDROCK_MEMBER("output_config", OBJECT, struct model_fields, output),
        BEDROCK_MEMBER("inferenceConfig", OBJECT, struct model_fields, inference),
        BEDROCK_MEMBER("top_k", NUMBER, struct model_fields, top_k),
        BEDROCK_MEMBER("reasoning_effort", TEXT, struct model_fields, effort),
    };
    struct bedrock_at at = bedrock_in(NULL, "additionalModelRequestFields");
    struct bedrock_at thinking = bedrock_in(&at, "thinking"),
                      reasoning = bedrock_in(&at, "reasoning_config"),
                      output = bedrock_in(&at, "output_config"),
                      inference = bedrock_in(&at, "inferenceConfig"),
                      effort = bedrock_in(&at, "reasoning_effort");
    struct model_fields in = {JSON_NONE, JSON_NONE, JSON_NONE,
                              JSON_NONE, {NULL, 0}, {{NULL, 0}, 0}};
    struct nested inner = {{NULL, 0}, {{NULL, 0}, 0}};
    if (BEDROCK_READ(r, &at, v, members, &in) < 0)
        return -1;
    if (in.thinking != JSON_NONE && read_thinking(r, &thinking, in.thinking) < 0)
        return -1;
    if (in.reasoning != JSON_NONE && read_thinking(r, &reasoning, in.reasoning) < 0)
        return -1;
    if (in.output != JSON_NONE && BEDROCK_READ(r, &output, in.output, nested_effort, &inner) < 0)
        return -1;
    if (in.inference != JSON_NONE &&
        BEDROCK_READ(r, &inference, in.inference, nested_top_k, &inner) < 0)
        return -1;
    r->out->top_k = in.top_k.p ? in.top_k : inner.top_k;
    if (r->out->top_k.p)
        ir_note(r->out, IR_F_TOP_K);
    if (ir_has(inner.effort)) {
        struct bedrock_at nested_at = bedrock_in(&output, "effort");
        return read_effort(r, &nested_at, inner.effort);
    }
    return read_effort(r, &effort, in.effort);
}

struct output_config {
    uint32_t format;
    struct ir_text effort;
};
struct text_format {
    struct ir_text type;
    uint32_t structure;
};
struct json_schema {
    struct ir_text schema, name, description;
};

/* The schema is given as the text of a JSON object. */
static int read_schema(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v)
{
    static const struct bedrock_member members[] = {
        BEDROCK_MEMBER("schema", TEXT, struct json_schema, schema),
        BEDROCK_MEMBER("name", TEXT, struct json_schema, name),
        BEDROCK_MEMBER("description", TEXT, struct json_schema, description),
    };
    struct bedrock_at here = bedrock_in(at, "schema");
    struct json_schema in = {0};
    struct json_doc d;
    if (BEDROCK_READ(r, at, v, members, &in) < 0)
        return -1;
    struct slice schema = ir_decode(r->out->arena, in.schema);
    json_doc_init(&d, JSON_MAX_TOKENS);
    bool ok = schema.p && json_parse(&d, schema.p, schema.n) == 0 &&
              json_type(&d, JSON_ROOT) == JSON_OBJECT;
    json_doc_release(&d);
    if (!ok)
        return bedrock_refuse(r, &here, "invalid_value", "must be the text of a JSON object.");
    r->out->format = IR_FORMAT_SCHEMA;
    r->out->format_schema = schema;
    r->out->format_name = in.name;
    r->out->format_description = in.description;
    ir_note(r->out, IR_F_FORMAT_SCHEMA);
    return 0;
}

static int read_output_config(struct bedrock_reader *r, uint32_t v)
{
    static const struct bedrock_member members[] = {
        BEDROCK_MEMBER("textFormat", OBJECT, struct output_config, format),
        BEDROCK_MEMBER("effort", TEXT, struct output_config, effort),
    };
    static const struct bedrock_member format_members[] = {
        BEDROCK_MEMBER("type", TEXT, struct text_format, type),
        BEDROCK_MEMBER("structure", OBJECT, struct text_format, structure),
    };
    struct bedrock_at at = bedrock_in(NULL, "outputConfig"), effort = bedrock_in(&at, "effort"),
                      format = bedrock_in(&at, "textFormat"),
                      structure = bedrock_in(&format, "structure"),
                      schema = bedrock_in(&structure, "jsonSchema");
    struct output_config in = {JSON_NONE, {{NULL, 0}, 0}};
    struct text_format f = {{{NULL, 0}, 0}, JSON_NONE};
    if (BEDROCK_READ(r, &at, v, members, &in) < 0 || read_effort(r, &effort, in.effort) < 0)
        return -1;
    if (in.format == JSON_NONE)
        return 0;
    if (BEDROCK_READ(r, &format, in.format, format_members, &f) < 0)
        return -1;
    if (!ir_text_is(f.type, SLICE_LIT("json_schema")))
        return bedrock_refuse(r, &format, "invalid_value", "its type must be json_schema.");
    return read_schema(r, &schema, json_get_lit(r->d, f.structure, "jsonSchema"));
}

static int read_tier(struct bedrock_reader *r, uint32_t v)
{
    struct bedrock_at at = bedrock_in(NULL, "serviceTier"), type_at = bedrock_in(&at, "type");
    uint32_t type = json_get_lit(r->d, v, "type");
    if (json_type(r->d, type) != JSON_STRING)
        return bedrock_wrong_type(r, &type_at, type, "a string");
    r->out->service_tier = ir_text_of(r->d, type);
    ir_note(r->out, IR_F_SERVICE_TIER);
    return 0;
}

/* ---- the body ---- */

struct body {
    uint32_t messages, system, inference, tools, guardrail, model_fields, variables, metadata, tier,
        output;
};

static int refuse_own(struct bedrock_reader *r, const char *name, uint32_t v, const char *what)
{
    struct bedrock_at at = bedrock_in(NULL, name);
    if (v == JSON_NONE)
        return 0;
    return bedrock_refuse(r, &at, "unsupported_parameter",
                          "%s, and this model's provider is another.", what);
}

static int read_body(struct bedrock_reader *r, const struct body *in)
{
    struct bedrock_at messages = bedrock_in(NULL, "messages");
    if (refuse_own(r, "guardrailConfig", in->guardrail, "guardrails are Bedrock's own") < 0 ||
        refuse_own(r, "promptVariables", in->variables, "stored prompts are Bedrock's own") < 0)
        return -1;
    if (in->messages == JSON_NONE)
        return bedrock_refuse(r, &messages, "missing_required_parameter", "is required.");
    /* The system prompt's messages come first wherever it stands. */
    if ((in->system != JSON_NONE && bedrock_read_system(r, in->system) < 0) ||
        bedrock_read_messages(r, in->messages) < 0)
        return -1;
    if ((in->inference != JSON_NONE && read_inference(r, in->inference) < 0) ||
        (in->tools != JSON_NONE && read_tool_config(r, in->tools) < 0) ||
        (in->model_fields != JSON_NONE && read_model_fields(r, in->model_fields) < 0) ||
        (in->output != JSON_NONE && read_output_config(r, in->output) < 0) ||
        (in->tier != JSON_NONE && read_tier(r, in->tier) < 0))
        return -1;
    if (in->metadata != JSON_NONE) {
        r->out->metadata = json_raw(r->d, in->metadata);
        ir_note(r->out, IR_F_METADATA);
    }
    return 0;
}

int bedrock_read_request_ir(const struct json_doc *d, struct ir_request *out,
                            struct dialect_refusal *why)
{
    static const struct bedrock_member members[] = {
        BEDROCK_MEMBER("messages", ARRAY, struct body, messages),
        BEDROCK_MEMBER("system", ARRAY, struct body, system),
        BEDROCK_MEMBER("inferenceConfig", OBJECT, struct body, inference),
        BEDROCK_MEMBER("toolConfig", OBJECT, struct body, tools),
        BEDROCK_MEMBER("guardrailConfig", OBJECT, struct body, guardrail),
        BEDROCK_MEMBER("additionalModelRequestFields", OBJECT, struct body, model_fields),
        BEDROCK_MEMBER("promptVariables", OBJECT, struct body, variables),
        BEDROCK_MEMBER("requestMetadata", OBJECT, struct body, metadata),
        BEDROCK_MEMBER("serviceTier", OBJECT, struct body, tier),
        BEDROCK_MEMBER("outputConfig", OBJECT, struct body, output),
    };
    struct bedrock_reader r = {.d = d, .out = out, .why = why};
    struct body in = {JSON_NONE, JSON_NONE, JSON_NONE, JSON_NONE, JSON_NONE,
                      JSON_NONE, JSON_NONE, JSON_NONE, JSON_NONE, JSON_NONE};
    out->names = bedrock_fields;
    out->include_usage = true; /* its streams always carry it */
    if (BEDROCK_READ(&r, NULL, JSON_ROOT, members, &in) < 0)
        return -1;
    return read_body(&r, &in);
}
