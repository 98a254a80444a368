/*
 * anthropic_read.c: reads a request into the internal form; its content blocks are read by
 * anthropic_read_blocks.c.
 *
 * What another provider could not honour without a word is refused (inference_geo), or noted as a
 * field that most tables refuse (server tools); a member that is only a hint and has no place in
 * the form is noted as unknown, and so reported as dropped.
 */
#include "gatewayd/dialect/anthropic.h"

#include <stdarg.h>
#include <stdio.h>

int anthropic_refuse(struct dialect_refusal *why, const char *code, const char *path,
                     const char *fmt, ...)
{
    va_list ap;
    int n = snprintf(why->message, sizeof why->message, "%s%s", path, *path ? ": " : "");
    va_start(ap, fmt);
    if (n >= 0 && (size_t)n < sizeof why->message)
        vsnprintf(why->message + n, sizeof why->message - (size_t)n, fmt, ap);
    va_end(ap);
    snprintf(why->param, sizeof why->param, "%s", path);
    why->code = code;
    return -1;
}

int anthropic_wrong_type(struct dialect_refusal *why, const struct json_doc *d, uint32_t v,
                         const char *path, const char *expected)
{
    return anthropic_refuse(why, "invalid_type", path, "must be %s, not %s.", expected,
                            json_type_name(json_type(d, v)));
}

static int wrong_type(struct anthropic_reader *r, uint32_t v, const char *path,
                      const char *expected)
{
    return anthropic_wrong_type(r->why, r->d, v, path, expected);
}

static int out_of_memory(struct anthropic_reader *r, const char *path)
{
    return anthropic_refuse(r->why, "request_too_large", path, "the request is too large.");
}

void anthropic_note_unknown(struct anthropic_reader *r, const char *path, uint32_t key)
{
    struct slice name = json_raw(r->d, key);
    ir_note_unknown(r->out, "%s%s%.*s", path, *path ? "." : "", GW_MIN((int)name.n - 2, 60),
                    name.p + 1);
}

static int read_string(struct anthropic_reader *r, const char *path, uint32_t v,
                       struct ir_text *out)
{
    if (json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, v, path, "a string");
    *out = ir_text_of(r->d, v);
    return 0;
}

static int read_number(struct anthropic_reader *r, const char *path, uint32_t v, enum ir_field f,
                       struct slice *out)
{
    if (json_type(r->d, v) != JSON_NUMBER)
        return wrong_type(r, v, path, "a number");
    *out = json_raw(r->d, v);
    ir_note(r->out, f);
    return 0;
}

static int read_count(struct anthropic_reader *r, const char *path, uint32_t v, int64_t *out)
{
    if (json_type(r->d, v) != JSON_NUMBER)
        return wrong_type(r, v, path, "an integer");
    if (json_i64(r->d, v, out) < 0 || *out < 0 || *out > USAGE_MAX_TOKENS)
        return anthropic_refuse(r->why, "invalid_value", path, "must be an integer from 0 to %d.",
                                (int)USAGE_MAX_TOKENS);
    return 0;
}

int anthropic_read_cache(struct anthropic_reader *r, const char *path, uint32_t v,
                         enum ir_cache *out)
{
    if (v == JSON_NONE || json_is_null(r->d, v))
        return 0;
    if (json_type(r->d, v) != JSON_OBJECT)
        return wrong_type(r, v, path, "an object");
    if (!json_str_eq_lit(r->d, json_get_lit(r->d, v, "type"), "ephemeral"))
        return anthropic_refuse(r->why, "invalid_value", path, "type must be \"ephemeral\".");
    uint32_t ttl = json_get_lit(r->d, v, "ttl");
    if (json_str_eq_lit(r->d, ttl, "1h"))
        *out = IR_CACHE_1H;
    else if (ttl == JSON_NONE || json_is_null(r->d, ttl) || json_str_eq_lit(r->d, ttl, "5m"))
        *out = IR_CACHE_5M;
    else
        return anthropic_refuse(r->why, "invalid_value", path, "ttl must be \"5m\" or \"1h\".");
    ir_note(r->out, IR_F_CACHE_CONTROL);
    return 0;
}

/* ---- the members ---- */

static int read_model(struct anthropic_reader *r, const char *path, uint32_t v)
{
    return json_type(r->d, v) == JSON_STRING ? 0 : wrong_type(r, v, path, "a string");
}

static int read_max_tokens(struct anthropic_reader *r, const char *path, uint32_t v)
{
    ir_note(r->out, IR_F_MAX_TOKENS);
    return read_count(r, path, v, &r->out->max_tokens);
}

static int read_message(struct anthropic_reader *r, uint32_t index, uint32_t m)
{
    char path[48];
    enum ir_role role;
    size_t n_path = ir_place_text(path, sizeof path, 0, "messages.");
    n_path = ir_place_index(path, sizeof path, n_path, index);
    if (json_type(r->d, m) != JSON_OBJECT)
        return wrong_type(r, m, path, "an object");
    uint32_t word = json_get_lit(r->d, m, "role"), content = json_get_lit(r->d, m, "content");
    if (json_str_eq_lit(r->d, word, "user"))
        role = IR_USER;
    else if (json_str_eq_lit(r->d, word, "assistant"))
        role = IR_ASSISTANT;
    else if (json_str_eq_lit(r->d, word, "system"))
        role = IR_SYSTEM;
    else
        return anthropic_refuse(r->why, "invalid_value", path,
                                "role must be \"user\", \"assistant\" or \"system\".");
    json_foreach_member(r->d, m, k)
    {
        if (!json_str_eq_lit(r->d, k, "role") && !json_str_eq_lit(r->d, k, "content"))
            anthropic_note_unknown(r, path, k);
    }
    ir_place_text(path, sizeof path, n_path, ".content");
    if (role == IR_SYSTEM)
        ir_note(r->out, IR_F_SYSTEM);
    return anthropic_read_content(r, role, index, path, content);
}

static int read_messages(struct anthropic_reader *r, const char *path, uint32_t v)
{
    uint32_t index = 0;
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, v, path, "an array");
    if (json_count(r->d, v) == 0)
        return anthropic_refuse(r->why, "invalid_value", path, "at least one message is required.");
    json_foreach_element(r->d, v, m)
    {
        if (read_message(r, index++, m) < 0)
            return -1;
    }
    return 0;
}

/* Read before the messages wherever it stands: its message comes first. */
static int read_system(struct anthropic_reader *r, const char *path, uint32_t v)
{
    ir_note(r->out, IR_F_SYSTEM);
    return anthropic_read_content(r, IR_SYSTEM, 0, path, v);
}

static int read_metadata(struct anthropic_reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_OBJECT)
        return wrong_type(r, v, path, "an object");
    json_foreach_member(r->d, v, k)
    {
        if (!json_str_eq_lit(r->d, k, "user_id")) {
            anthropic_note_unknown(r, path, k);
            continue;
        }
        if (json_is_null(r->d, k + 1))
            continue;
        ir_note(r->out, IR_F_USER);
        if (read_string(r, "metadata.user_id", k + 1, &r->out->user) < 0)
            return -1;
    }
    return 0;
}

static int read_stop_sequences(struct anthropic_reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, v, path, "an array");
    uint32_t n = json_count(r->d, v);
    if (n == 0)
        return 0;
    r->out->stop = arena_alloc(r->out->arena, n * sizeof *r->out->stop);
    if (!r->out->stop)
        return out_of_memory(r, path);
    json_foreach_element(r->d, v, e)
    {
        if (read_string(r, path, e, &r->out->stop[r->out->n_stop++]) < 0)
            return -1;
    }
    ir_note(r->out, IR_F_STOP);
    return 0;
}

static int read_stream(struct anthropic_reader *r, const char *path, uint32_t v)
{
    if (json_bool(r->d, v, &r->out->stream) < 0)
        return wrong_type(r, v, path, "a boolean");
    r->out->include_usage = r->out->stream; /* its streams always carry it */
    return 0;
}

static int read_temperature(struct anthropic_reader *r, const char *path, uint32_t v)
{
    return read_number(r, path, v, IR_F_TEMPERATURE, &r->out->temperature);
}

static int read_top_p(struct anthropic_reader *r, const char *path, uint32_t v)
{
    return read_number(r, path, v, IR_F_TOP_P, &r->out->top_p);
}

static int read_top_k(struct anthropic_reader *r, const char *path, uint32_t v)
{
    return read_number(r, path, v, IR_F_TOP_K, &r->out->top_k);
}

/* "standard_only" is what others call "default". */
static int read_service_tier(struct anthropic_reader *r, const char *path, uint32_t v)
{
    ir_note(r->out, IR_F_SERVICE_TIER);
    if (read_string(r, path, v, &r->out->service_tier) < 0)
        return -1;
    if (ir_text_is(r->out->service_tier, SLICE_LIT("standard_only")))
        r->out->service_tier = IR_LIT("default");
    return 0;
}

static int read_display(struct anthropic_reader *r, uint32_t v)
{
    if (v == JSON_NONE || json_is_null(r->d, v))
        return 0;
    if (json_str_eq_lit(r->d, v, "summarized"))
        r->out->include_thoughts = 1;
    else if (json_str_eq_lit(r->d, v, "omitted"))
        r->out->include_thoughts = 0;
    else
        return anthropic_refuse(r->why, "invalid_value", "thinking.display",
                                "must be \"summarized\" or \"omitted\".");
    ir_note(r->out, IR_F_INCLUDE_THOUGHTS);
    return 0;
}

static int read_thinking(struct anthropic_reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_OBJECT)
        return wrong_type(r, v, path, "an object");
    uint32_t type = json_get_lit(r->d, v, "type");
    if (json_str_eq_lit(r->d, type, "adaptive")) {
        r->out->thinking_budget = IR_BUDGET_DYNAMIC;
    } else if (json_str_eq_lit(r->d, type, "disabled")) {
        ir_note(r->out, IR_F_THINKING_BUDGET);
        r->out->thinking_budget = 0;
    } else if (json_str_eq_lit(r->d, type, "enabled")) {
        ir_note(r->out, IR_F_THINKING_BUDGET);
        if (read_count(r, "thinking.budget_tokens", json_get_lit(r->d, v, "budget_tokens"),
                       &r->out->thinking_budget) < 0)
            return -1;
        if (r->out->thinking_budget < 1024)
            return anthropic_refuse(r->why, "invalid_value", "thinking.budget_tokens",
                                    "must be 1024 or more.");
    } else {
        return anthropic_refuse(r->why, "invalid_value", "thinking.type",
                                "must be \"enabled\", \"adaptive\" or \"disabled\".");
    }
    return read_display(r, json_get_lit(r->d, v, "display"));
}

static int read_format(struct anthropic_reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_OBJECT)
        return wrong_type(r, v, path, "an object");
    uint32_t schema = json_get_lit(r->d, v, "schema");
    if (!json_str_eq_lit(r->d, json_get_lit(r->d, v, "type"), "json_schema"))
        return anthropic_refuse(r->why, "invalid_value", path, "type must be \"json_schema\".");
    if (json_type(r->d, schema) != JSON_OBJECT)
        return anthropic_refuse(r->why, "invalid_type", path, "schema must be an object.");
    r->out->format = IR_FORMAT_SCHEMA;
    r->out->format_schema = json_raw(r->d, schema);
    r->out->format_strict = 1;
    ir_note(r->out, IR_F_FORMAT_SCHEMA);
    return 0;
}

static int read_output_config(struct anthropic_reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_OBJECT)
        return wrong_type(r, v, path, "an object");
    json_foreach_member(r->d, v, k)
    {
        if (json_is_null(r->d, k + 1))
            continue;
        if (json_str_eq_lit(r->d, k, "format")) {
            if (read_format(r, "output_config.format", k + 1) < 0)
                return -1;
        } else if (json_str_eq_lit(r->d, k, "effort")) {
            r->out->effort = anthropic_effort(r->d, k + 1);
            if (r->out->effort == IR_EFFORT_UNSET)
                return anthropic_refuse(r->why, "invalid_value", "output_config.effort",
                                        "must be \"low\", \"medium\", \"high\", \"xhigh\" or "
                                        "\"max\".");
            ir_note(r->out, IR_F_EFFORT);
        } else {
            anthropic_note_unknown(r, path, k);
        }
    }
    return 0;
}

/* ---- tools ---- */

static bool is_function(const struct json_doc *d, uint32_t type)
{
    return type == JSON_NONE || json_is_null(d, type) || json_str_eq_lit(d, type, "custom");
}

static int read_string_in(struct anthropic_reader *r, const char *path, const char *member,
                          uint32_t v, struct ir_text *out)
{
    char at[64];
    snprintf(at, sizeof at, "%s%s", path, member);
    return read_string(r, at, v, out);
}

static int read_function(struct anthropic_reader *r, const char *path, uint32_t v,
                         struct ir_tool *t)
{
    json_foreach_member(r->d, v, k)
    {
        bool on;
        if (json_str_eq_lit(r->d, k, "type") || json_is_null(r->d, k + 1))
            continue;
        if (json_str_eq_lit(r->d, k, "name")) {
            if (read_string_in(r, path, ".name", k + 1, &t->name) < 0)
                return -1;
        } else if (json_str_eq_lit(r->d, k, "description")) {
            if (read_string_in(r, path, ".description", k + 1, &t->description) < 0)
                return -1;
        } else if (json_str_eq_lit(r->d, k, "input_schema")) {
            if (json_type(r->d, k + 1) != JSON_OBJECT)
                return anthropic_refuse(r->why, "invalid_type", path,
                                        "input_schema must be an object.");
            t->parameters = json_raw(r->d, k + 1);
        } else if (json_str_eq_lit(r->d, k, "strict")) {
            if (json_bool(r->d, k + 1, &on) < 0)
                return anthropic_refuse(r->why, "invalid_type", path, "strict must be a boolean.");
            t->strict = on;
            ir_note(r->out, IR_F_TOOL_STRICT);
        } else if (json_str_eq_lit(r->d, k, "cache_control")) {
            if (anthropic_read_cache(r, path, k + 1, &t->cache) < 0)
                return -1;
        } else {
            anthropic_note_unknown(r, path, k);
        }
    }
    if (!ir_has(t->name) || t->name.s.n == 0)
        return anthropic_refuse(r->why, "missing_required_parameter", path, "name is required.");
    if (!t->parameters.p)
        return anthropic_refuse(r->why, "missing_required_parameter", path,
                                "input_schema is required.");
    ir_note(r->out, IR_F_TOOLS);
    return 0;
}

static int read_tools(struct anthropic_reader *r, const char *path, uint32_t v)
{
    unsigned index = 0;
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, v, path, "an array");
    json_foreach_element(r->d, v, e)
    {
        char at[32];
        ir_place_index(at, sizeof at, ir_place_text(at, sizeof at, 0, "tools."), index++);
        if (json_type(r->d, e) != JSON_OBJECT)
            return wrong_type(r, e, at, "an object");
        struct ir_tool *t = ir_add_tool(r->out);
        uint32_t type = json_get_lit(r->d, e, "type");
        if (!t)
            return out_of_memory(r, at);
        if (is_function(r->d, type)) {
            if (read_function(r, at, e, t) < 0)
                return -1;
            continue;
        }
        if (read_string(r, at, type, &t->hosted_type) < 0)
            return -1;
        t->name = ir_text_of(r->d, json_get_lit(r->d, e, "name"));
        t->hosted = json_raw(r->d, e);
        ir_note(r->out, IR_F_HOSTED_TOOLS);
    }
    return 0;
}

static int read_mcp_servers(struct anthropic_reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, v, path, "an array");
    if (json_count(r->d, v))
        ir_note(r->out, IR_F_HOSTED_TOOLS);
    return 0;
}

static int read_tool_choice(struct anthropic_reader *r, const char *path, uint32_t v)
{
    static const struct {
        const char *word;
        enum ir_tool_choice choice;
        enum ir_field field;
    } words[] = {
        {"auto", IR_CHOICE_AUTO, IR_F_TOOL_CHOICE_AUTO},
        {"any", IR_CHOICE_ANY, IR_F_TOOL_CHOICE_ANY},
        {"tool", IR_CHOICE_TOOL, IR_F_TOOL_CHOICE_TOOL},
        {"none", IR_CHOICE_NONE, IR_F_TOOL_CHOICE_NONE},
    };
    if (json_type(r->d, v) != JSON_OBJECT)
        return wrong_type(r, v, path, "an object");
    uint32_t type = json_get_lit(r->d, v, "type");
    uint32_t serial = json_get_lit(r->d, v, "disable_parallel_tool_use");
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (json_str_eq(r->d, type, slice_str(words[i].word))) {
            r->out->tool_choice = words[i].choice;
            ir_note(r->out, words[i].field);
        }
    if (r->out->tool_choice == IR_CHOICE_UNSET)
        return anthropic_refuse(r->why, "invalid_value", "tool_choice.type",
                                "must be \"auto\", \"any\", \"tool\" or \"none\".");
    if (r->out->tool_choice == IR_CHOICE_TOOL &&
        read_string(r, "tool_choice.name", json_get_lit(r->d, v, "name"),
                    &r->out->tool_choice_name) < 0)
        return -1;
    if (serial == JSON_NONE || json_is_null(r->d, serial))
        return 0;
    bool on;
    if (json_bool(r->d, serial, &on) < 0)
        return wrong_type(r, serial, "tool_choice.disable_parallel_tool_use", "a boolean");
    r->out->parallel_tools = !on;
    ir_note(r->out, IR_F_PARALLEL_TOOLS);
    return 0;
}

/* ---- members that stand for the whole request ---- */

/* The API puts a breakpoint on the last block that can have one. */
static int read_cache_control(struct anthropic_reader *r, const char *path, uint32_t v)
{
    enum ir_cache cache = IR_CACHE_NONE;
    struct ir_part *last = NULL;
    if (anthropic_read_cache(r, path, v, &cache) < 0)
        return -1;
    for (struct ir_message *m = r->out->messages; m; m = m->next)
        for (struct ir_part *p = m->parts; p; p = p->next)
            if (p->kind != IR_PART_REASONING)
                last = p;
    if (last && last->cache == IR_CACHE_NONE)
        last->cache = cache;
    return 0;
}

static int refuse_geo(struct anthropic_reader *r, const char *path, uint32_t v)
{
    return anthropic_refuse(r->why, "unsupported_parameter", path,
                            "this model's provider can't be told where to run it.");
}

struct member {
    struct slice name;
    bool counted; /* means something when tokens are counted */
    int (*read)(struct anthropic_reader *r, const char *path, uint32_t v);
};
#define MEMBER(lit, counted, fn)                                                                   \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, counted, fn                                                        \
    }
/* In the order in which they are read. */
static const struct member members[] = {
    MEMBER("model", true, read_model),
    MEMBER("system", true, read_system),
    MEMBER("messages", true, read_messages),
    MEMBER("cache_control", true, read_cache_control),
    MEMBER("max_tokens", false, read_max_tokens),
    MEMBER("metadata", false, read_metadata),
    MEMBER("stop_sequences", false, read_stop_sequences),
    MEMBER("stream", false, read_stream),
    MEMBER("temperature", false, read_temperature),
    MEMBER("top_p", false, read_top_p),
    MEMBER("top_k", false, read_top_k),
    MEMBER("service_tier", false, read_service_tier),
    MEMBER("thinking", true, read_thinking),
    MEMBER("output_config", true, read_output_config),
    MEMBER("output_format", true, read_format), /* output_config.format before it was general */
    MEMBER("tools", true, read_tools),
    MEMBER("tool_choice", true, read_tool_choice),
    MEMBER("mcp_servers", true, read_mcp_servers),
    MEMBER("inference_geo", false, refuse_geo),
};

static int find_member(const struct json_doc *d, uint32_t key)
{
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (json_str_eq(d, key, members[i].name))
            return (int)i;
    return -1;
}

int anthropic_read_request_ir(const struct json_doc *d, struct ir_request *out,
                              struct dialect_refusal *why)
{
    struct anthropic_reader r = {d, out, why};
    uint32_t at[ARRAY_LEN(members)] = {0};
    out->names = anthropic_fields;
    json_foreach_member(d, JSON_ROOT, k)
    {
        int i = find_member(d, k);
        if (i < 0) {
            if (!json_is_null(d, k + 1))
                anthropic_note_unknown(&r, "", k);
            continue;
        }
        if (at[i])
            return anthropic_refuse(why, "duplicate_member", members[i].name.p,
                                    "is given more than once.");
        at[i] = k + 1;
    }
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        bool optional = members[i].read != read_messages;
        if (!at[i] && !optional)
            return anthropic_refuse(why, "missing_required_parameter", members[i].name.p,
                                    "field required.");
        if (!at[i] || (optional && json_is_null(d, at[i])) ||
            (out->op == DIALECT_COUNT_TOKENS && !members[i].counted))
            continue;
        if (members[i].read(&r, members[i].name.p, at[i]) < 0)
            return -1;
    }
    return 0;
}
