/*
 * anthropic_check.c: see anthropic_check.h.
 *
 * Members and their types are those of the API reference
 * (https://platform.claude.com/docs/en/api/messages/create); the rules between them and the words
 * of refusals are from its guides to tool use, extended thinking, prompt caching and errors. Server
 * tools are taken with any members; blocks that only they make are refused.
 */
#include "tests/mockllm/anthropic_check.h"
#include "tests/mockllm/json.h"
#include "tests/mockllm/passed.h"
#include "tests/mockllm/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_BLOCKS_MAX = 4, IDS_MAX = 256 };

struct ids {
    struct slice v[IDS_MAX]; /* raw, with quotes */
    size_t n;
};

struct check {
    struct error *err;
    int breakpoints;
    bool has_tools, thinking_budget, thinking;
    struct ids seen;    /* of all calls */
    struct ids pending; /* of the last turn, without a result yet */
};

static bool refuse(struct check *c, const char *fmt, ...) CHECKED_FMT(2);
static bool refuse(struct check *c, const char *fmt, ...)
{
    va_list ap;
    c->err->status = 400;
    c->err->type = "invalid_request_error";
    va_start(ap, fmt);
    vsnprintf(c->err->message, sizeof c->err->message, fmt, ap);
    va_end(ap);
    return false;
}

/* ---- members ---- */

enum kind { STRING, INTEGER, NUMBER, BOOLEAN, OBJECT, ARRAY, EITHER /* a string or an array */ };

struct member {
    const char *name;
    enum kind kind;
    bool required;
    bool nullable;
};
#define MEMBERS(...) ((const struct member[]){__VA_ARGS__, {NULL, STRING, false, false}})

static bool is_kind(struct slice v, enum kind kind)
{
    char first = v.len > 0 ? v.p[0] : '\0';
    int64_t n;
    switch (kind) {
    case STRING:
        return json_is_string(v);
    case INTEGER:
        return slice_to_int(v, &n);
    case NUMBER:
        return first == '-' || (first >= '0' && first <= '9');
    case BOOLEAN:
        return slice_is(v, "true") || slice_is(v, "false");
    case OBJECT:
        return first == '{';
    case ARRAY:
        return first == '[';
    case EITHER:
        return first == '[' || json_is_string(v);
    }
    return false;
}

static bool check_member(struct check *c, const char *path, const struct member *m, struct slice v)
{
    static const char *const wants[] = {
        [STRING] = "string",         [INTEGER] = "integer", [NUMBER] = "number",
        [BOOLEAN] = "boolean",       [OBJECT] = "object",   [ARRAY] = "list",
        [EITHER] = "string or list",
    };
    if ((m->nullable && slice_is(v, "null")) || is_kind(v, m->kind))
        return true;
    return refuse(c, "%s%s: Input should be a valid %s", path, m->name, wants[m->kind]);
}

/* `path` ends in a dot, or is empty. */
static bool check_object(struct check *c, const char *path, struct slice object,
                         const struct member *members)
{
    struct json j;
    struct slice key, v;
    bool started = false;
    uint64_t seen = 0;
    json_init(&j, object);
    if (!json_enter(&j, '{'))
        return refuse(c, "%sInput should be a valid dictionary", path);
    while (json_next_member(&j, &started, &key, &v)) {
        size_t i = 0;
        while (members[i].name != NULL && !slice_is(key, members[i].name))
            i++;
        if (members[i].name == NULL)
            return refuse(c, "%s" SLICE_FMT ": Extra inputs are not permitted", path,
                          SLICE_ARG(key));
        if (seen >> i & 1)
            return refuse(c, "%s%s: given twice", path, members[i].name);
        seen |= UINT64_C(1) << i;
        if (!check_member(c, path, &members[i], v))
            return false;
    }
    for (size_t i = 0; members[i].name != NULL; i++)
        if (members[i].required && !(seen >> i & 1))
            return refuse(c, "%s%s: Field required", path, members[i].name);
    return true;
}

static bool is_absent(struct slice v)
{
    return v.p == NULL || slice_is(v, "null");
}

static bool check_cache(struct check *c, const char *path, struct slice object)
{
    struct slice v = json_get(object, "cache_control"), ttl = json_get(v, "ttl");
    char inner[128];
    if (is_absent(v))
        return true;
    snprintf(inner, sizeof inner, "%scache_control.", path);
    if (!check_object(c, inner, v,
                      MEMBERS({"type", STRING, true, false}, {"ttl", STRING, false, false})))
        return false;
    if (!slice_is(json_get(v, "type"), "\"ephemeral\""))
        return refuse(c, "%stype: Input should be 'ephemeral'", inner);
    if (ttl.p != NULL && !slice_is(ttl, "\"5m\"") && !slice_is(ttl, "\"1h\""))
        return refuse(c, "%sttl: Input should be '5m' or '1h'", inner);
    if (++c->breakpoints > CACHE_BLOCKS_MAX)
        return refuse(c, "A maximum of 4 blocks with cache_control may be provided. Found %d.",
                      c->breakpoints);
    return true;
}

#define CACHE                                                                                      \
    {                                                                                              \
        "cache_control", OBJECT, false, true                                                       \
    }
#define TYPE                                                                                       \
    {                                                                                              \
        "type", STRING, true, false                                                                \
    }

/* ---- ids ---- */

static bool has_id(const struct ids *ids, struct slice id)
{
    for (size_t i = 0; i < ids->n; i++)
        if (slice_eq(ids->v[i], id))
            return true;
    return false;
}

static void add_id(struct ids *ids, struct slice id)
{
    if (ids->n < IDS_MAX)
        ids->v[ids->n++] = id;
}

static void remove_id(struct ids *ids, struct slice id)
{
    for (size_t i = 0; i < ids->n; i++)
        if (slice_eq(ids->v[i], id)) {
            ids->v[i] = ids->v[--ids->n];
            return;
        }
}

static bool check_name(struct check *c, const char *path, const char *name, struct slice value,
                       size_t max)
{
    struct slice s = json_inner(value);
    bool fits = s.len > 0 && s.len <= max;
    for (size_t i = 0; i < s.len; i++)
        fits &= strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-",
                       s.p[i]) != NULL;
    if (fits)
        return true;
    return refuse(c, "%s%s: String should match pattern '^[a-zA-Z0-9_-]{1,%zu}$'", path, name, max);
}

/* ---- blocks ---- */

static bool is_blank(struct slice string)
{
    struct bytes text = {0};
    json_decode(string, &text);
    bool blank = true;
    for (size_t i = 0; i < text.len; i++)
        blank &= strchr(" \t\r\n", text.p[i]) != NULL;
    bytes_fini(&text);
    return blank;
}

static bool check_text(struct check *c, const char *path, struct slice b)
{
    if (!check_object(
            c, path, b,
            MEMBERS(TYPE, {"text", STRING, true, false}, {"citations", ARRAY, false, true}, CACHE)))
        return false;
    if (json_inner(json_get(b, "text")).len == 0)
        return refuse(c, "messages: text content blocks must be non-empty");
    if (is_blank(json_get(b, "text")))
        return refuse(c, "messages: text content blocks must contain non-whitespace text");
    return true;
}

static bool check_media(struct check *c, const char *path, struct slice type,
                        const char *const *types)
{
    for (size_t i = 0; types[i] != NULL; i++)
        if (slice_is(json_inner(type), types[i]))
            return true;
    return refuse(c, "%smedia_type: Input should be '%s'%s", path, types[0],
                  types[1] != NULL ? " or another that is listed" : "");
}

static bool check_base64(struct check *c, const char *path, struct slice data)
{
    struct slice s = json_inner(data);
    size_t n = s.len;
    while (n > 0 && s.p[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", s.p[i]) ==
            NULL)
            return refuse(c, "%sdata: Invalid base64 data", path);
    return s.len % 4 == 0 && n > 0 ? true : refuse(c, "%sdata: Invalid base64 data", path);
}

static bool check_source(struct check *c, const char *path, struct slice source, bool image)
{
    static const char *const images[] = {"image/jpeg", "image/png", "image/gif", "image/webp",
                                         NULL};
    static const char *const documents[] = {"application/pdf", NULL}, *const texts[] = {
                                                                          "text/plain", NULL};
    struct slice type = json_get(source, "type");
    char inner[128];
    snprintf(inner, sizeof inner, "%ssource.", path);
    if (slice_is(type, "\"base64\"") || (!image && slice_is(type, "\"text\""))) {
        bool text = slice_is(type, "\"text\"");
        return check_object(c, inner, source,
                            MEMBERS(TYPE, {"media_type", STRING, true, false},
                                    {"data", STRING, true, false})) &&
               check_media(c, inner, json_get(source, "media_type"),
                           image  ? images
                           : text ? texts
                                  : documents) &&
               (text || check_base64(c, inner, json_get(source, "data")));
    }
    if (slice_is(type, "\"url\""))
        return check_object(c, inner, source, MEMBERS(TYPE, {"url", STRING, true, false}));
    if (slice_is(type, "\"file\""))
        return check_object(c, inner, source, MEMBERS(TYPE, {"file_id", STRING, true, false}));
    if (!image && slice_is(type, "\"content\""))
        return check_object(c, inner, source, MEMBERS(TYPE, {"content", EITHER, true, false}));
    return refuse(c, "%stype: Input tag is not one of the expected tags", inner);
}

static bool check_image(struct check *c, const char *path, struct slice b)
{
    return check_object(c, path, b, MEMBERS(TYPE, {"source", OBJECT, true, false}, CACHE)) &&
           check_source(c, path, json_get(b, "source"), true);
}

static bool check_document(struct check *c, const char *path, struct slice b)
{
    return check_object(c, path, b,
                        MEMBERS(TYPE, {"source", OBJECT, true, false},
                                {"title", STRING, false, true}, {"context", STRING, false, true},
                                {"citations", OBJECT, false, true}, CACHE)) &&
           check_source(c, path, json_get(b, "source"), false);
}

static bool check_thinking(struct check *c, const char *path, struct slice b)
{
    if (!check_object(
            c, path, b,
            MEMBERS(TYPE, {"thinking", STRING, true, false}, {"signature", STRING, true, false})))
        return false;
    struct bytes text = {0}, signature = {0};
    json_decode(json_get(b, "thinking"), &text);
    json_decode(json_get(b, "signature"), &signature);
    bool fits = sample_signature_fits(bytes_slice(&signature), SAMPLE_CLAUDE, bytes_slice(&text));
    bytes_fini(&text);
    bytes_fini(&signature);
    return fits ? true : refuse(c, "%ssignature: Invalid `signature` in `thinking` block", path);
}

static bool check_redacted(struct check *c, const char *path, struct slice b)
{
    return check_object(c, path, b, MEMBERS(TYPE, {"data", STRING, true, false})) &&
           check_base64(c, path, json_get(b, "data"));
}

static bool check_call(struct check *c, const char *path, struct slice b)
{
    struct slice id = json_get(b, "id");
    if (!check_object(c, path, b,
                      MEMBERS(TYPE, {"id", STRING, true, false}, {"name", STRING, true, false},
                              {"input", OBJECT, true, false}, {"caller", OBJECT, false, true},
                              CACHE)) ||
        !check_name(c, path, "tool_use.id", id, 8192) ||
        !check_name(c, path, "tool_use.name", json_get(b, "name"), 200))
        return false;
    if (has_id(&c->seen, id))
        return refuse(c, "messages: `tool_use` ids must be unique");
    add_id(&c->seen, id);
    add_id(&c->pending, id);
    return true;
}

static bool check_blocks(struct check *c, const char *path, struct slice content, int where);
enum { IN_USER = 1, IN_ASSISTANT = 2, IN_SYSTEM = 4, IN_RESULT = 8 };

static bool check_result(struct check *c, const char *path, struct slice b)
{
    struct slice id = json_get(b, "tool_use_id"), content = json_get(b, "content");
    char inner[128];
    if (!check_object(c, path, b,
                      MEMBERS(TYPE, {"tool_use_id", STRING, true, false},
                              {"content", EITHER, false, true}, {"is_error", BOOLEAN, false, true},
                              CACHE)))
        return false;
    if (!has_id(&c->pending, id))
        return refuse(c,
                      "%.*s: unexpected `tool_use_id` found in `tool_result` blocks: " SLICE_FMT
                      ". Each `tool_result` block must have a corresponding `tool_use` block in "
                      "the previous message.",
                      (int)strlen(path) - 1, path, SLICE_ARG(json_inner(id)));
    remove_id(&c->pending, id);
    snprintf(inner, sizeof inner, "%scontent", path);
    return is_absent(content) || json_is_string(content) ||
           check_blocks(c, inner, content, IN_RESULT);
}

static const struct {
    const char *type;
    int where;
    bool (*check)(struct check *c, const char *path, struct slice b);
} kinds[] = {
    {"\"text\"", IN_USER | IN_ASSISTANT | IN_SYSTEM | IN_RESULT, check_text},
    {"\"image\"", IN_USER | IN_RESULT, check_image},
    {"\"document\"", IN_USER | IN_RESULT, check_document},
    {"\"tool_result\"", IN_USER, check_result},
    {"\"tool_use\"", IN_ASSISTANT, check_call},
    {"\"thinking\"", IN_ASSISTANT, check_thinking},
    {"\"redacted_thinking\"", IN_ASSISTANT, check_redacted},
};

static bool check_block(struct check *c, const char *path, struct slice b, int where)
{
    struct slice type = json_get(b, "type");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if ((kinds[i].where & where) && slice_is(type, kinds[i].type))
            return kinds[i].check(c, path, b) && check_cache(c, path, b);
    return refuse(c,
                  "%stype: Input tag " SLICE_FMT " found using 'type' does not match any of the "
                  "expected tags",
                  path, SLICE_ARG(type));
}

static bool check_blocks(struct check *c, const char *path, struct slice content, int where)
{
    struct json j;
    struct slice b;
    bool started = false;
    char inner[128];
    json_init(&j, content);
    json_enter(&j, '[');
    for (size_t i = 0; json_next_element(&j, &started, &b); i++) {
        snprintf(inner, sizeof inner, "%s.%zu.", path, i);
        if (!check_block(c, inner, b, where))
            return false;
    }
    return true;
}

/* ---- messages ---- */

static struct slice element(struct slice array, size_t at)
{
    struct json j;
    struct slice v;
    bool started = false;
    json_init(&j, array);
    if (json_enter(&j, '['))
        for (size_t i = 0; json_next_element(&j, &started, &v); i++)
            if (i == at)
                return v;
    return (struct slice){NULL, 0};
}

static bool is_type(struct slice block, const char *type)
{
    return slice_is(json_get(block, "type"), type);
}

/* Results stand in front, and leave no call open. */
static bool check_answers(struct check *c, size_t index, struct slice content)
{
    bool other = false;
    for (size_t i = 0;; i++) {
        struct slice b = content.p[0] == '[' ? element(content, i) : (struct slice){NULL, 0};
        if (b.p == NULL)
            break;
        if (is_type(b, "\"tool_result\"") && other)
            return refuse(c, "messages.%zu: `tool_result` blocks must come first in the message",
                          index);
        other |= !is_type(b, "\"tool_result\"");
    }
    if (c->pending.n == 0)
        return true;
    return refuse(c,
                  "messages.%zu: `tool_use` ids were found without `tool_result` blocks "
                  "immediately after: " SLICE_FMT ". Each `tool_use` block must have a "
                  "corresponding `tool_result` block in the next message.",
                  index - 1, SLICE_ARG(json_inner(c->pending.v[0])));
}

static bool check_assistant(struct check *c, size_t index, struct slice content, bool last)
{
    struct slice first = content.p[0] == '[' ? element(content, 0) : content;
    if (c->pending.n > 0)
        return check_answers(c, index, SLICE("\"\""));
    if (!last && (first.p == NULL || slice_is(content, "\"\"")))
        return refuse(c,
                      "messages.%zu: all messages must have non-empty content except for the "
                      "optional final assistant message",
                      index);
    return true;
}

/* The turn whose calls the conversation ends with the results of. */
static bool check_thinking_order(struct check *c, size_t index, struct slice content)
{
    struct slice first = element(content, 0);
    if (!c->thinking_budget || is_type(first, "\"thinking\"") ||
        is_type(first, "\"redacted_thinking\""))
        return true;
    return refuse(c,
                  "messages.%zu.content.0.type: Expected `thinking` or `redacted_thinking`, but "
                  "found " SLICE_FMT ". When `thinking` is enabled, a final `assistant` message "
                  "must start with a thinking block",
                  index, SLICE_ARG(json_get(first, "type")));
}

static bool check_message(struct check *c, size_t index, struct slice m, struct slice next,
                          bool last_but_one)
{
    struct slice content = json_get(m, "content"), role = json_get(m, "role");
    char path[64];
    snprintf(path, sizeof path, "messages.%zu.", index);
    if (!check_object(c, path, m,
                      MEMBERS({"role", STRING, true, false}, {"content", EITHER, true, false})))
        return false;
    bool user = slice_is(role, "\"user\"");
    if (!user && !slice_is(role, "\"assistant\""))
        return refuse(c, "%srole: Input should be 'user' or 'assistant'", path);
    if (index == 0 && !user)
        return refuse(c, "messages: first message must use the \"user\" role");
    if (!user && !check_assistant(c, index, content, next.p == NULL))
        return false;
    if (user && (slice_is(content, "\"\"") || slice_is(content, "[]")))
        return refuse(c, "messages.%zu: user messages must have non-empty content", index);
    snprintf(path, sizeof path, "messages.%zu.content", index);
    if (content.p[0] == '[' && !check_blocks(c, path, content, user ? IN_USER : IN_ASSISTANT))
        return false;
    if (user)
        return check_answers(c, index, content);
    bool answered = c->pending.n > 0 && last_but_one;
    return !answered || check_thinking_order(c, index, content);
}

static bool check_messages(struct check *c, struct slice messages)
{
    struct slice m = element(messages, 0), role = {NULL, 0};
    if (m.p == NULL)
        return refuse(c, "messages: at least one message is required");
    for (size_t i = 0; m.p != NULL; i++) {
        struct slice next = element(messages, i + 1);
        bool last_but_one = next.p != NULL && element(messages, i + 2).p == NULL;
        if (!check_message(c, i, m, next, last_but_one))
            return false;
        if (slice_eq(role, json_get(m, "role")))
            return refuse(c,
                          "messages: roles must alternate between \"user\" and \"assistant\", "
                          "but found multiple " SLICE_FMT " roles in a row",
                          SLICE_ARG(role));
        role = json_get(m, "role");
        m = next;
    }
    return true;
}

/* ---- tools ---- */

static bool check_tool(struct check *c, const char *path, struct slice tool)
{
    struct slice type = json_get(tool, "type");
    if (!is_absent(type) && !slice_is(type, "\"custom\""))
        return json_is_string(type) ? check_cache(c, path, tool)
                                    : refuse(c, "%stype: Input should be a valid string", path);
    if (!check_object(
            c, path, tool,
            MEMBERS(
                {"type", STRING, false, true}, {"name", STRING, true, false},
                {"description", STRING, false, false}, {"input_schema", OBJECT, true, false},
                {"strict", BOOLEAN, false, false}, {"eager_input_streaming", BOOLEAN, false, true},
                {"defer_loading", BOOLEAN, false, false}, {"input_examples", ARRAY, false, false},
                {"allowed_callers", ARRAY, false, false}, CACHE)) ||
        !check_name(c, path, "custom.name", json_get(tool, "name"), 128))
        return false;
    if (!slice_is(json_get(json_get(tool, "input_schema"), "type"), "\"object\""))
        return refuse(c, "%scustom.input_schema.type: Input should be 'object'", path);
    return check_cache(c, path, tool);
}

static bool check_tools(struct check *c, struct slice tools)
{
    char path[32];
    for (size_t i = 0;; i++) {
        struct slice tool = element(tools, i);
        if (tool.p == NULL)
            return true;
        c->has_tools = true;
        snprintf(path, sizeof path, "tools.%zu.", i);
        if (!check_tool(c, path, tool))
            return false;
    }
}

static bool check_tool_choice(struct check *c, struct slice choice, struct slice tools)
{
    struct slice type = json_get(choice, "type"), name = json_get(choice, "name");
    bool named = slice_is(type, "\"tool\""), forced = named || slice_is(type, "\"any\"");
    if (is_absent(choice))
        return true;
    if (!check_object(c, "tool_choice.", choice,
                      MEMBERS(TYPE, {"name", STRING, false, false},
                              {"disable_parallel_tool_use", BOOLEAN, false, false})))
        return false;
    if (!forced && !slice_is(type, "\"auto\"") && !slice_is(type, "\"none\""))
        return refuse(c,
                      "tool_choice: Input tag " SLICE_FMT " found using 'type' does not match "
                      "any of the expected tags: 'auto', 'any', 'tool', 'none'",
                      SLICE_ARG(type));
    if (named != (name.p != NULL))
        return refuse(c, "tool_choice.%sname: %s", named ? "tool." : "",
                      named ? "Field required" : "Extra inputs are not permitted");
    if (!c->has_tools)
        return refuse(c, "tool_choice: may only be specified while providing tools");
    if (forced && c->thinking)
        return refuse(c, "Thinking may not be enabled when tool_choice forces tool use.");
    if (slice_is(type, "\"none\"") && json_get(choice, "disable_parallel_tool_use").p != NULL)
        return refuse(c, "tool_choice.none.disable_parallel_tool_use: Extra inputs are not "
                         "permitted");
    for (size_t i = 0; named; i++) {
        struct slice tool = element(tools, i);
        if (tool.p == NULL)
            return refuse(c, "Tool '" SLICE_FMT "' not found in provided tools",
                          SLICE_ARG(json_inner(name)));
        if (slice_eq(json_get(tool, "name"), name))
            return true;
    }
    return true;
}

/* ---- thinking, sampling, the rest ---- */

static bool check_thinking_config(struct check *c, struct slice v, int64_t max_tokens)
{
    struct slice type = json_get(v, "type"), display = json_get(v, "display");
    int64_t budget;
    if (is_absent(v))
        return true;
    c->thinking_budget = slice_is(type, "\"enabled\"");
    c->thinking = c->thinking_budget || slice_is(type, "\"adaptive\"");
    if (!c->thinking && !slice_is(type, "\"disabled\""))
        return refuse(c,
                      "thinking: Input tag " SLICE_FMT " found using 'type' does not match any "
                      "of the expected tags: 'disabled', 'enabled', 'adaptive'",
                      SLICE_ARG(type));
    if (!check_object(c, "thinking.", v,
                      MEMBERS(TYPE, {"budget_tokens", INTEGER, c->thinking_budget, false},
                              {"display", STRING, false, true})))
        return false;
    if (!is_absent(display) && !slice_is(display, "\"summarized\"") &&
        !slice_is(display, "\"omitted\""))
        return refuse(c, "thinking.display: Input should be 'summarized' or 'omitted'");
    if (!c->thinking_budget)
        return true;
    slice_to_int(json_get(v, "budget_tokens"), &budget);
    if (budget < 1024)
        return refuse(c, "thinking.enabled.budget_tokens: Input should be greater than or equal to "
                         "1024");
    if (budget >= max_tokens)
        return refuse(c, "`max_tokens` must be greater than `thinking.budget_tokens`. Please "
                         "consult our documentation at https://docs.claude.com/en/docs/"
                         "build-with-claude/extended-thinking#max-tokens-and-context-window-size");
    return true;
}

static double number(struct slice v)
{
    char text[64];
    size_t n = v.len < sizeof text - 1 ? v.len : sizeof text - 1;
    if (n > 0)
        memcpy(text, v.p, n);
    text[n] = '\0';
    return strtod(text, NULL);
}

static bool check_sampling(struct check *c, struct slice body)
{
    struct slice temperature = json_get(body, "temperature"), top_p = json_get(body, "top_p");
    if (!is_absent(temperature) && (number(temperature) < 0 || number(temperature) > 1))
        return refuse(c, "temperature: range: 0..1");
    if (!is_absent(top_p) && (number(top_p) < 0 || number(top_p) > 1))
        return refuse(c, "top_p: range: 0..1");
    if (c->thinking && !is_absent(temperature) && number(temperature) != 1)
        return refuse(c, "`temperature` may only be set to 1 when thinking is enabled or in "
                         "adaptive mode.");
    if (c->thinking && !is_absent(json_get(body, "top_k")))
        return refuse(c, "`top_k` must be unset when thinking is enabled or in adaptive mode.");
    if (c->thinking && !is_absent(top_p) && number(top_p) < 0.95)
        return refuse(c, "`top_p` must be greater than or equal to 0.95 or unset when thinking is "
                         "enabled or in adaptive mode.");
    return true;
}

static bool check_stop(struct check *c, struct slice stop)
{
    for (size_t i = 0;; i++) {
        struct slice v = element(stop, i);
        if (v.p == NULL)
            return true;
        if (!json_is_string(v))
            return refuse(c, "stop_sequences.%zu: Input should be a valid string", i);
        if (is_blank(v))
            return refuse(c, "stop_sequences: each stop sequence must contain non-whitespace");
    }
}

static bool check_output_config(struct check *c, struct slice v)
{
    static const char *const efforts[] = {"\"low\"", "\"medium\"", "\"high\"", "\"xhigh\"",
                                          "\"max\""};
    struct slice effort = json_get(v, "effort"), format = json_get(v, "format");
    bool known = is_absent(effort);
    if (is_absent(v))
        return true;
    if (!check_object(c, "output_config.", v,
                      MEMBERS({"effort", STRING, false, true}, {"format", OBJECT, false, true})))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(efforts); i++)
        known |= slice_is(effort, efforts[i]);
    if (!known)
        return refuse(c, "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' "
                         "or 'max'");
    if (is_absent(format))
        return true;
    if (!check_object(c, "output_config.format.", format,
                      MEMBERS(TYPE, {"schema", OBJECT, true, false})))
        return false;
    return slice_is(json_get(format, "type"), "\"json_schema\"")
               ? true
               : refuse(c, "output_config.format.type: Input should be 'json_schema'");
}

static bool check_rest(struct check *c, struct slice body)
{
    struct slice metadata = json_get(body, "metadata"), tier = json_get(body, "service_tier");
    if (!is_absent(metadata) &&
        !check_object(c, "metadata.", metadata, MEMBERS({"user_id", STRING, false, true})))
        return false;
    if (!is_absent(tier) && !slice_is(tier, "\"auto\"") && !slice_is(tier, "\"standard_only\""))
        return refuse(c, "service_tier: Input should be 'auto' or 'standard_only'");
    return true;
}

static bool check_body(struct slice body, bool counting, struct error *err)
{
    struct check *c = xcalloc(1, sizeof *c);
    struct slice system = json_get(body, "system"), tools = json_get(body, "tools");
    int64_t max_tokens = INT64_MAX;
    c->err = err;
    bool ok =
        counting
            ? check_object(c, "", body,
                           MEMBERS({"model", STRING, true, false}, {"messages", ARRAY, true, false},
                                   {"system", EITHER, false, false}, {"tools", ARRAY, false, false},
                                   {"tool_choice", OBJECT, false, false},
                                   {"thinking", OBJECT, false, false},
                                   {"output_config", OBJECT, false, false}, CACHE))
            : check_object(
                  c, "", body,
                  MEMBERS(
                      {"model", STRING, true, false}, {"messages", ARRAY, true, false},
                      {"max_tokens", INTEGER, true, false}, {"system", EITHER, false, false},
                      {"tools", ARRAY, false, false}, {"tool_choice", OBJECT, false, false},
                      {"thinking", OBJECT, false, false}, {"output_config", OBJECT, false, false},
                      {"stream", BOOLEAN, false, false}, {"stop_sequences", ARRAY, false, true},
                      {"temperature", NUMBER, false, true}, {"top_p", NUMBER, false, true},
                      {"top_k", INTEGER, false, true}, {"metadata", OBJECT, false, false},
                      {"service_tier", STRING, false, false}, {"container", EITHER, false, true},
                      {"inference_geo", STRING, false, true},
                      {"context_management", OBJECT, false, true},
                      {"mcp_servers", ARRAY, false, false}, CACHE));
    if (ok && !counting)
        slice_to_int(json_get(body, "max_tokens"), &max_tokens);
    ok = ok && check_cache(c, "", body) &&
         (system.p == NULL || system.p[0] != '[' || check_blocks(c, "system", system, IN_SYSTEM)) &&
         check_tools(c, tools) &&
         check_thinking_config(c, json_get(body, "thinking"), max_tokens) &&
         check_tool_choice(c, json_get(body, "tool_choice"), tools) && check_sampling(c, body) &&
         check_stop(c, json_get(body, "stop_sequences")) &&
         check_output_config(c, json_get(body, "output_config")) && check_rest(c, body) &&
         check_messages(c, json_get(body, "messages"));
    free(c);
    return ok;
}

bool anthropic_check(struct slice body, bool counting, struct error *err)
{
    static _Thread_local struct passed passed;
    if (!counting && passed_before(&passed, body))
        return true;
    if (!check_body(body, counting, err))
        return false;
    if (!counting)
        passed_note(&passed, body);
    return true;
}
