/*
 * gemini_read.c: reads the body of generateContent and streamGenerateContent into the internal
 * form (ai.google.dev/api/generate-content).
 */
#include "gatewayd/dialect/gemini.h"

#include <stdarg.h>
#include <stdio.h>

int gemini_refuse(const struct gemini_in *in, const char *code, const char *param, const char *fmt,
                  ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(in->why->message, sizeof in->why->message, fmt, ap);
    va_end(ap);
    snprintf(in->why->param, sizeof in->why->param, "%s", param);
    in->why->code = code;
    return -1;
}

int gemini_wrong_type(const struct gemini_in *in, const char *param, uint32_t v,
                      const char *expected)
{
    if (v == JSON_NONE)
        return gemini_refuse(in, "missing_required_parameter", param, "'%s' is required: %s.",
                             param, expected);
    return gemini_refuse(in, "invalid_type", param, "'%s' must be %s, not %s.", param, expected,
                         json_type_name(json_type(in->d, v)));
}

int gemini_too_large(const struct gemini_in *in)
{
    return gemini_refuse(in, "request_too_large", "", "The request holds too many values.");
}

/* ---- generationConfig ---- */

#define CONFIG "generationConfig."

enum { COUNT_MAX = 1000000000 };

static int read_int(const struct gemini_in *in, const char *param, uint32_t v, int64_t min,
                    int64_t *out)
{
    enum json_type t = json_type(in->d, v);
    if (t != JSON_NUMBER && t != JSON_STRING)
        return gemini_wrong_type(in, param, v, "an integer");
    if (gemini_i64(in->d, v, out) < 0 || *out < min || *out > COUNT_MAX)
        return gemini_refuse(in, "invalid_value", param, "'%s' must be an integer from %lld to %d.",
                             param, (long long)min, COUNT_MAX);
    return 0;
}

static bool is_number(struct slice s)
{
    struct json_doc d;
    json_doc_init(&d, 4);
    bool ok = json_parse(&d, s.p, s.n) == 0 && json_type(&d, JSON_ROOT) == JSON_NUMBER;
    json_doc_release(&d);
    return ok;
}

/* As it was spelled; a number in a string is one too. */
static int read_number(const struct gemini_in *in, const char *param, uint32_t v, struct slice *out)
{
    if (json_type(in->d, v) == JSON_NUMBER) {
        *out = json_raw(in->d, v);
        return 0;
    }
    if (!json_str_plain(in->d, v, out) || !is_number(*out))
        return gemini_wrong_type(in, param, v, "a number");
    return 0;
}

struct number_row {
    const char *name, *param;
    size_t offset;
    enum ir_field field;
};
#define ROW(name, member, field)                                                                   \
    {                                                                                              \
        name, CONFIG name, offsetof(struct ir_request, member), field                              \
    }
static const struct number_row numbers[] = {
    ROW("temperature", temperature, IR_F_TEMPERATURE),
    ROW("topP", top_p, IR_F_TOP_P),
    ROW("topK", top_k, IR_F_TOP_K),
    ROW("presencePenalty", presence_penalty, IR_F_PRESENCE_PENALTY),
    ROW("frequencyPenalty", frequency_penalty, IR_F_FREQUENCY_PENALTY),
    ROW("seed", seed, IR_F_SEED),
};
static const struct number_row integers[] = {
    ROW("maxOutputTokens", max_tokens, IR_F_MAX_TOKENS),
    ROW("candidateCount", n, IR_F_N),
};
#undef ROW

static int read_stops(const struct gemini_in *in, uint32_t v)
{
    struct ir_request *r = in->r;
    if (json_type(in->d, v) != JSON_ARRAY)
        return gemini_wrong_type(in, CONFIG "stopSequences", v, "an array of strings");
    if (json_count(in->d, v) == 0)
        return 0;
    r->stop = arena_alloc(r->arena, json_count(in->d, v) * sizeof *r->stop);
    if (!r->stop)
        return gemini_too_large(in);
    json_foreach_element(in->d, v, e)
    {
        if (json_type(in->d, e) != JSON_STRING)
            return gemini_wrong_type(in, CONFIG "stopSequences", e, "an array of strings");
        r->stop[r->n_stop++] = ir_text_of(in->d, e);
    }
    ir_note(r, IR_F_STOP);
    return 0;
}

static int read_flag(const struct gemini_in *in, const char *param, uint32_t v, bool *out)
{
    return json_bool(in->d, v, out) < 0 ? gemini_wrong_type(in, param, v, "a boolean") : 0;
}

/* text/x.enum would come back as one bare word, which no other dialect can ask for. */
static int read_mime_type(const struct gemini_in *in, uint32_t v)
{
    static const char param[] = CONFIG "responseMimeType";
    if (json_type(in->d, v) != JSON_STRING)
        return gemini_wrong_type(in, param, v, "a string");
    if (json_str_eq_lit(in->d, v, "application/json")) {
        if (in->r->format != IR_FORMAT_SCHEMA) {
            in->r->format = IR_FORMAT_JSON;
            ir_note(in->r, IR_F_FORMAT_JSON);
        }
        return 0;
    }
    if (json_str_eq_lit(in->d, v, "text/plain") || json_str_eq_lit(in->d, v, ""))
        return 0;
    return gemini_refuse(in, "invalid_value", param,
                         "'%s' must be 'text/plain' or 'application/json': this model's provider "
                         "knows no other.",
                         param);
}

static int take_schema(const struct gemini_in *in, struct slice schema)
{
    in->r->format = IR_FORMAT_SCHEMA;
    in->r->format_schema = schema;
    in->r->fields &= ~(UINT64_C(1) << IR_F_FORMAT_JSON);
    ir_note(in->r, IR_F_FORMAT_SCHEMA);
    return schema.p ? 0 : gemini_too_large(in);
}

static int read_schema(const struct gemini_in *in, const char *param, uint32_t v, bool is_json)
{
    if (json_type(in->d, v) != JSON_OBJECT)
        return gemini_wrong_type(in, param, v, "an object");
    return take_schema(in,
                       is_json ? json_raw(in->d, v) : gemini_json_schema(in->d, v, in->r->arena));
}

static int read_modalities(const struct gemini_in *in, uint32_t v)
{
    if (json_type(in->d, v) != JSON_ARRAY)
        return gemini_wrong_type(in, CONFIG "responseModalities", v, "an array of strings");
    json_foreach_element(in->d, v, e)
    {
        if (json_type(in->d, e) != JSON_STRING)
            return gemini_wrong_type(in, CONFIG "responseModalities", e, "an array of strings");
        if (!json_str_eq_lit(in->d, e, "TEXT"))
            ir_note(in->r, IR_F_MODALITIES);
    }
    in->r->modalities = json_raw(in->d, v);
    return 0;
}

static int read_level(const struct gemini_in *in, uint32_t v)
{
    static const struct {
        const char *upper, *lower;
        enum ir_effort effort;
    } levels[] = {
        {"MINIMAL", "minimal", IR_EFFORT_MINIMAL},
        {"LOW", "low", IR_EFFORT_LOW},
        {"MEDIUM", "medium", IR_EFFORT_MEDIUM},
        {"HIGH", "high", IR_EFFORT_HIGH},
    };
    static const char param[] = CONFIG "thinkingConfig.thinkingLevel";
    if (json_type(in->d, v) != JSON_STRING)
        return gemini_wrong_type(in, param, v, "a string");
    if (json_str_eq_lit(in->d, v, "THINKING_LEVEL_UNSPECIFIED"))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        if (!json_str_eq(in->d, v, slice_str(levels[i].upper)) &&
            !json_str_eq(in->d, v, slice_str(levels[i].lower)))
            continue;
        in->r->effort = levels[i].effort;
        ir_note(in->r, IR_F_EFFORT);
        return 0;
    }
    return gemini_refuse(in, "invalid_value", param, "'%s' must be MINIMAL, LOW, MEDIUM or HIGH.",
                         param);
}

/* -1: the model decides how much. */
static int read_budget(const struct gemini_in *in, uint32_t v)
{
    int64_t n;
    if (read_int(in, CONFIG "thinkingConfig.thinkingBudget", v, -1, &n) < 0)
        return -1;
    in->r->thinking_budget = n < 0 ? IR_BUDGET_DYNAMIC : n;
    ir_note(in->r, IR_F_THINKING_BUDGET);
    return 0;
}

static int read_thinking(const struct gemini_in *in, uint32_t v)
{
    const struct json_doc *d = in->d;
    if (json_type(d, v) != JSON_OBJECT)
        return gemini_wrong_type(in, CONFIG "thinkingConfig", v, "an object");
    json_foreach_member(d, v, k)
    {
        int rc = 0;
        bool show;
        if (json_is_null(d, k + 1))
            continue;
        if (gemini_is(d, k, "includeThoughts")) {
            rc = read_flag(in, CONFIG "thinkingConfig.includeThoughts", k + 1, &show);
            in->r->include_thoughts = rc == 0 ? show : -1;
            ir_note(in->r, IR_F_INCLUDE_THOUGHTS);
        } else if (gemini_is(d, k, "thinkingBudget"))
            rc = read_budget(in, k + 1);
        else if (gemini_is(d, k, "thinkingLevel"))
            rc = read_level(in, k + 1);
        else
            ir_note_unknown(in->r, CONFIG "thinkingConfig.%.*s", SLICE_FMT(gemini_name(d, k)));
        if (rc < 0)
            return -1;
    }
    return 0;
}

static int read_logprobs(const struct gemini_in *in, uint32_t k)
{
    ir_note(in->r, IR_F_LOGPROBS);
    if (gemini_is(in->d, k, "logprobs"))
        return read_int(in, CONFIG "logprobs", k + 1, 0, &in->r->top_logprobs);
    return read_flag(in, CONFIG "responseLogprobs", k + 1, &in->r->logprobs);
}

/* 1: it is none of these tables. */
static int read_figure(const struct gemini_in *in, uint32_t k)
{
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (!gemini_is(in->d, k, numbers[i].name))
            continue;
        ir_note(in->r, numbers[i].field);
        return read_number(in, numbers[i].param, k + 1,
                           (struct slice *)((char *)in->r + numbers[i].offset));
    }
    for (size_t i = 0; i < ARRAY_LEN(integers); i++) {
        if (!gemini_is(in->d, k, integers[i].name))
            continue;
        ir_note(in->r, integers[i].field);
        return read_int(in, integers[i].param, k + 1, 1,
                        (int64_t *)((char *)in->r + integers[i].offset));
    }
    return 1;
}

static int read_setting(const struct gemini_in *in, uint32_t k)
{
    const struct json_doc *d = in->d;
    int rc = read_figure(in, k);
    if (rc <= 0)
        return rc;
    if (gemini_is(d, k, "stopSequences"))
        return read_stops(in, k + 1);
    if (gemini_is(d, k, "responseMimeType"))
        return read_mime_type(in, k + 1);
    if (gemini_is(d, k, "responseSchema"))
        return read_schema(in, CONFIG "responseSchema", k + 1, false);
    if (gemini_is(d, k, "responseJsonSchema") || gemini_is(d, k, "_responseJsonSchema"))
        return read_schema(in, CONFIG "responseJsonSchema", k + 1, true);
    if (gemini_is(d, k, "thinkingConfig"))
        return read_thinking(in, k + 1);
    if (gemini_is(d, k, "responseModalities"))
        return read_modalities(in, k + 1);
    if (gemini_is(d, k, "logprobs") || gemini_is(d, k, "responseLogprobs"))
        return read_logprobs(in, k);
    ir_note_unknown(in->r, CONFIG "%.*s", SLICE_FMT(gemini_name(d, k)));
    return 0;
}

static int read_config(const struct gemini_in *in, uint32_t v)
{
    if (json_type(in->d, v) != JSON_OBJECT)
        return gemini_wrong_type(in, "generationConfig", v, "an object");
    json_foreach_member(in->d, v, k)
    {
        if (!json_is_null(in->d, k + 1) && read_setting(in, k) < 0)
            return -1;
    }
    return 0;
}

/* ---- tools ---- */

static int read_function(const struct gemini_in *in, const char *where, uint32_t v)
{
    const struct json_doc *d = in->d;
    char param[96];
    struct ir_tool *tool = ir_add_tool(in->r);
    if (!tool)
        return gemini_too_large(in);
    if (json_type(d, v) != JSON_OBJECT)
        return gemini_wrong_type(in, where, v, "an object");
    json_foreach_member(d, v, k)
    {
        bool is_json = gemini_is(d, k, "parametersJsonSchema");
        snprintf(param, sizeof param, "%s.%.*s", where, SLICE_FMT(gemini_name(d, k)));
        if (json_is_null(d, k + 1))
            continue;
        if (is_json || gemini_is(d, k, "parameters")) {
            if (json_type(d, k + 1) != JSON_OBJECT)
                return gemini_wrong_type(in, param, k + 1, "an object");
            tool->parameters =
                is_json ? json_raw(d, k + 1) : gemini_json_schema(d, k + 1, in->r->arena);
            if (!tool->parameters.p)
                return gemini_too_large(in);
        } else if (gemini_is(d, k, "name") || gemini_is(d, k, "description")) {
            if (json_type(d, k + 1) != JSON_STRING)
                return gemini_wrong_type(in, param, k + 1, "a string");
            *(gemini_is(d, k, "name") ? &tool->name : &tool->description) = ir_text_of(d, k + 1);
        } else
            ir_note_unknown(in->r, "%s", param);
    }
    snprintf(param, sizeof param, "%s.name", where);
    return ir_has(tool->name) ? 0 : gemini_wrong_type(in, param, JSON_NONE, "a string");
}

static int read_functions(const struct gemini_in *in, uint32_t nth, uint32_t v)
{
    char where[80];
    uint32_t i = 0;
    snprintf(where, sizeof where, "tools[%u].functionDeclarations", nth);
    if (json_type(in->d, v) != JSON_ARRAY)
        return gemini_wrong_type(in, where, v, "an array");
    json_foreach_element(in->d, v, e)
    {
        snprintf(where, sizeof where, "tools[%u].functionDeclarations[%u]", nth, i++);
        ir_note(in->r, IR_F_TOOLS);
        if (read_function(in, where, e) < 0)
            return -1;
    }
    return 0;
}

static int read_tool(const struct gemini_in *in, uint32_t nth, uint32_t v)
{
    char where[32];
    snprintf(where, sizeof where, "tools[%u]", nth);
    if (json_type(in->d, v) != JSON_OBJECT)
        return gemini_wrong_type(in, where, v, "an object");
    json_foreach_member(in->d, v, k)
    {
        if (json_is_null(in->d, k + 1))
            continue;
        if (gemini_is(in->d, k, "functionDeclarations")) {
            if (read_functions(in, nth, k + 1) < 0)
                return -1;
            continue;
        }
        struct ir_tool *tool = ir_add_tool(in->r);
        if (!tool)
            return gemini_too_large(in);
        tool->hosted_type = ir_text_of(in->d, k);
        tool->hosted = json_raw(in->d, k + 1);
        ir_note(in->r, IR_F_HOSTED_TOOLS);
    }
    return 0;
}

static int read_tools(const struct gemini_in *in, uint32_t v)
{
    uint32_t i = 0;
    if (json_type(in->d, v) != JSON_ARRAY)
        return gemini_wrong_type(in, "tools", v, "an array");
    json_foreach_element(in->d, v, e)
    {
        if (read_tool(in, i++, e) < 0)
            return -1;
    }
    return 0;
}

static int read_allowed(const struct gemini_in *in, uint32_t v)
{
    static const char param[] = "toolConfig.functionCallingConfig.allowedFunctionNames";
    struct ir_request *r = in->r;
    if (v == JSON_NONE || (json_type(in->d, v) == JSON_ARRAY && json_count(in->d, v) == 0))
        return 0;
    if (json_type(in->d, v) != JSON_ARRAY)
        return gemini_wrong_type(in, param, v, "an array of strings");
    r->allowed_tools = arena_alloc(r->arena, json_count(in->d, v) * sizeof *r->allowed_tools);
    if (!r->allowed_tools)
        return gemini_too_large(in);
    json_foreach_element(in->d, v, e)
    {
        if (json_type(in->d, e) != JSON_STRING)
            return gemini_wrong_type(in, param, e, "an array of strings");
        r->allowed_tools[r->n_allowed_tools++] = ir_text_of(in->d, e);
    }
    return 0;
}

/* VALIDATED is AUTO with a promise that calls fit their schemas, which is what a strict tool is. */
static int read_mode(const struct gemini_in *in, uint32_t mode)
{
    static const char param[] = "toolConfig.functionCallingConfig.mode";
    struct ir_request *r = in->r;
    if (mode != JSON_NONE && json_type(in->d, mode) != JSON_STRING)
        return gemini_wrong_type(in, param, mode, "a string");
    if (mode == JSON_NONE || json_str_eq_lit(in->d, mode, "MODE_UNSPECIFIED"))
        return 0;
    if (json_str_eq_lit(in->d, mode, "VALIDATED")) {
        for (struct ir_tool *t = r->tools; t; t = t->next)
            t->strict = ir_has(t->hosted_type) ? -1 : 1;
        ir_note(r, IR_F_TOOL_STRICT);
        r->tool_choice = IR_CHOICE_AUTO;
    } else if (json_str_eq_lit(in->d, mode, "AUTO"))
        r->tool_choice = IR_CHOICE_AUTO;
    else if (json_str_eq_lit(in->d, mode, "ANY"))
        r->tool_choice = IR_CHOICE_ANY;
    else if (json_str_eq_lit(in->d, mode, "NONE"))
        r->tool_choice = IR_CHOICE_NONE;
    else
        return gemini_refuse(in, "invalid_value", param,
                             "'%s' must be AUTO, ANY, NONE or VALIDATED.", param);
    return 0;
}

static void settle_choice(struct ir_request *r)
{
    if (r->tool_choice == IR_CHOICE_ANY && r->n_allowed_tools == 1) {
        r->tool_choice = IR_CHOICE_TOOL;
        r->tool_choice_name = r->allowed_tools[0];
        r->n_allowed_tools = 0;
    }
    if (r->tool_choice == IR_CHOICE_NONE || r->tool_choice == IR_CHOICE_UNSET)
        r->n_allowed_tools = 0;
    if (r->n_allowed_tools)
        ir_note(r, IR_F_TOOL_CHOICE_ALLOWED);
    switch (r->tool_choice) {
    case IR_CHOICE_AUTO:
        ir_note(r, IR_F_TOOL_CHOICE_AUTO);
        break;
    case IR_CHOICE_NONE:
        ir_note(r, IR_F_TOOL_CHOICE_NONE);
        break;
    case IR_CHOICE_ANY:
        ir_note(r, IR_F_TOOL_CHOICE_ANY);
        break;
    case IR_CHOICE_TOOL:
        ir_note(r, IR_F_TOOL_CHOICE_TOOL);
        break;
    default:
        break;
    }
}

static int read_tool_config(const struct gemini_in *in, uint32_t v)
{
    const struct json_doc *d = in->d;
    if (json_type(d, v) != JSON_OBJECT)
        return gemini_wrong_type(in, "toolConfig", v, "an object");
    json_foreach_member(d, v, k)
    {
        if (!gemini_is(d, k, "functionCallingConfig"))
            ir_note_unknown(in->r, "toolConfig.%.*s", SLICE_FMT(gemini_name(d, k)));
    }
    uint32_t config = gemini_get(d, v, "functionCallingConfig");
    if (config == JSON_NONE)
        return 0;
    if (json_type(d, config) != JSON_OBJECT)
        return gemini_wrong_type(in, "toolConfig.functionCallingConfig", config, "an object");
    if (read_mode(in, gemini_get(d, config, "mode")) < 0 ||
        read_allowed(in, gemini_get(d, config, "allowedFunctionNames")) < 0)
        return -1;
    settle_choice(in->r);
    return 0;
}

/* ---- the body ---- */

static int read_contents(const struct gemini_in *in, uint32_t v)
{
    uint32_t i = 0;
    if (json_type(in->d, v) != JSON_ARRAY)
        return gemini_wrong_type(in, "contents", v, "an array");
    if (json_count(in->d, v) == 0)
        return gemini_refuse(in, "invalid_value", "contents", "'contents' must not be empty.");
    json_foreach_element(in->d, v, e)
    {
        if (gemini_read_content(in, e, i++) < 0)
            return -1;
    }
    return 0;
}

static int read_safety(const struct gemini_in *in, uint32_t v)
{
    if (json_type(in->d, v) != JSON_ARRAY)
        return gemini_wrong_type(in, "safetySettings", v, "an array");
    in->r->safety = json_raw(in->d, v);
    if (json_count(in->d, v))
        ir_note(in->r, IR_F_SAFETY);
    return 0;
}

static int read_labels(const struct gemini_in *in, uint32_t v)
{
    if (json_type(in->d, v) != JSON_OBJECT)
        return gemini_wrong_type(in, "labels", v, "an object");
    in->r->metadata = json_raw(in->d, v);
    ir_note(in->r, IR_F_METADATA);
    return 0;
}

static int read_cached(const struct gemini_in *in, uint32_t v)
{
    if (json_type(in->d, v) != JSON_STRING)
        return gemini_wrong_type(in, "cachedContent", v, "a string");
    in->r->cached_content = ir_text_of(in->d, v);
    ir_note(in->r, IR_F_CACHED_CONTENT);
    return 0;
}

/* The form has OpenAI's words: what is standard here is default there. */
static int read_tier(const struct gemini_in *in, uint32_t v)
{
    if (json_type(in->d, v) != JSON_STRING)
        return gemini_wrong_type(in, "serviceTier", v, "a string");
    in->r->service_tier =
        json_str_eq_lit(in->d, v, "standard") ? IR_LIT("default") : ir_text_of(in->d, v);
    ir_note(in->r, IR_F_SERVICE_TIER);
    return 0;
}

/* toolConfig is read behind tools, which a mode says something about. */
static const struct {
    const char *name;
    int (*read)(const struct gemini_in *in, uint32_t v);
} members[] = {
    {"systemInstruction", gemini_read_system},
    {"contents", read_contents},
    {"tools", read_tools},
    {"toolConfig", read_tool_config},
    {"generationConfig", read_config},
    {"safetySettings", read_safety},
    {"cachedContent", read_cached},
    {"labels", read_labels},
    {"serviceTier", read_tier},
};

static void note_others(const struct gemini_in *in)
{
    const struct json_doc *d = in->d;
    json_foreach_member(d, JSON_ROOT, k)
    {
        size_t i = 0;
        while (i < ARRAY_LEN(members) && !gemini_is(d, k, members[i].name))
            i++;
        /* The path names the model; some clients repeat it. */
        if (i == ARRAY_LEN(members) && !gemini_is(d, k, "model"))
            ir_note_unknown(in->r, "%.*s", SLICE_FMT(gemini_name(d, k)));
    }
}

int gemini_read_request(const struct json_doc *d, struct ir_request *out,
                        struct dialect_refusal *why)
{
    struct gemini_in in = {.d = d, .r = out, .why = why};
    out->names = gemini_fields;
    out->list = "contents";
    if (gemini_get(d, JSON_ROOT, "contents") == JSON_NONE)
        return gemini_wrong_type(&in, "contents", JSON_NONE, "an array");
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        uint32_t v = gemini_get(d, JSON_ROOT, members[i].name);
        if (v != JSON_NONE && members[i].read(&in, v) < 0)
            return -1;
    }
    note_others(&in);
    return 0;
}
