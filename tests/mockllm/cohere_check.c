/*
 * cohere_check.c: see cohere_check.h.
 *
 * Members, types and ranges are those of the API reference
 * (https://docs.cohere.com/reference/chat); what excludes each other and the words of refusals are
 * from there and from https://docs.cohere.com/reference/errors.
 */
#include "tests/mockllm/cohere_check.h"
#include "tests/mockllm/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDS_MAX = 256, STOP_MAX = 5 };

struct check {
    struct error *err;
    struct slice calls[IDS_MAX]; /* ids of the last turn without a result yet, raw */
    size_t ncalls;
    bool tools, documents;
};

static bool refuse(struct check *c, const char *fmt, ...) CHECKED_FMT(2);
static bool refuse(struct check *c, const char *fmt, ...)
{
    va_list ap;
    int n = snprintf(c->err->message, sizeof c->err->message, "invalid request: ");
    c->err->status = 400;
    va_start(ap, fmt);
    vsnprintf(c->err->message + n, sizeof c->err->message - (size_t)n, fmt, ap);
    va_end(ap);
    return false;
}

/* ---- members ---- */

enum kind { STRING, INTEGER, NUMBER, BOOLEAN, OBJECT, ARRAY, TEXT_OR_LIST, TEXT_OR_OBJECT };

struct member {
    const char *name;
    enum kind kind;
    bool required;
};
#define MEMBERS(...) ((const struct member[]){__VA_ARGS__, {NULL, STRING, false}})

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
    case TEXT_OR_LIST:
        return first == '[' || json_is_string(v);
    case TEXT_OR_OBJECT:
        return first == '{' || json_is_string(v);
    }
    return false;
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
        return refuse(c, "%.*s must be an object", (int)strlen(path) - 1, path);
    while (json_next_member(&j, &started, &key, &v)) {
        size_t i = 0;
        while (members[i].name != NULL && !slice_is(key, members[i].name))
            i++;
        if (members[i].name == NULL)
            return refuse(c, "unknown field: %s" SLICE_FMT, path, SLICE_ARG(key));
        if (seen >> i & 1)
            return refuse(c, "%s%s is given twice", path, members[i].name);
        seen |= UINT64_C(1) << i;
        if (!is_kind(v, members[i].kind))
            return refuse(c, "%s%s is of the wrong type", path, members[i].name);
    }
    for (size_t i = 0; members[i].name != NULL; i++)
        if (members[i].required && !(seen >> i & 1))
            return refuse(c, "%s%s is required", path, members[i].name);
    return true;
}

static bool is_one_of(struct slice v, const char *const *words)
{
    for (; *words != NULL; words++)
        if (slice_is(json_inner(v), *words))
            return true;
    return false;
}
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct slice element(struct slice array, size_t at)
{
    struct json j;
    struct slice v;
    bool started = false;
    json_init(&j, array);
    if (array.p != NULL && json_enter(&j, '['))
        for (size_t i = 0; json_next_element(&j, &started, &v); i++)
            if (i == at)
                return v;
    return (struct slice){NULL, 0};
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

/* ---- content ---- */

#define TYPE                                                                                       \
    {                                                                                              \
        "type", STRING, true                                                                       \
    }
enum { IN_USER = 1, IN_ASSISTANT = 2, IN_SYSTEM = 4, IN_TOOL = 8 };

static bool check_text(struct check *c, const char *path, struct slice v)
{
    return check_object(c, path, v, MEMBERS(TYPE, {"text", STRING, true})) &&
           (json_inner(json_get(v, "text")).len > 0 ||
            refuse(c, "%stext must be at least 1 token long", path));
}

static bool check_thinking(struct check *c, const char *path, struct slice v)
{
    return check_object(c, path, v, MEMBERS(TYPE, {"thinking", STRING, true}));
}

static bool check_image(struct check *c, const char *path, struct slice v)
{
    struct slice image = json_get(v, "image_url"), url = json_inner(json_get(image, "url"));
    struct slice detail = json_get(image, "detail");
    static const char web[] = "https://", data[] = "data:image/", base64[] = ";base64,";
    char inner[128];
    snprintf(inner, sizeof inner, "%simage_url.", path);
    if (!check_object(c, path, v, MEMBERS(TYPE, {"image_url", OBJECT, true})) ||
        !check_object(c, inner, image, MEMBERS({"url", STRING, true}, {"detail", STRING, false})))
        return false;
    if (detail.p != NULL && !is_one_of(detail, WORDS("auto", "low", "high")))
        return refuse(c, "%sdetail must be auto, low or high", inner);
    bool is_web = url.len > sizeof web - 1 && memcmp(url.p, web, sizeof web - 1) == 0;
    bool is_data = url.len > sizeof data - 1 && memcmp(url.p, data, sizeof data - 1) == 0 &&
                   memmem(url.p, url.len < 64 ? url.len : 64, base64, sizeof base64 - 1) != NULL;
    return is_web || is_data || refuse(c, "%surl must be a base64 data URI or a web URL", inner);
}

static bool check_document(struct check *c, const char *path, struct slice v)
{
    return check_object(c, path, v, MEMBERS({"data", TEXT_OR_OBJECT, true}, {"id", STRING, false}));
}

static bool check_document_block(struct check *c, const char *path, struct slice v)
{
    char inner[128];
    snprintf(inner, sizeof inner, "%sdocument.", path);
    return check_object(c, path, v, MEMBERS(TYPE, {"document", OBJECT, true})) &&
           check_document(c, inner, json_get(v, "document"));
}

static const struct {
    const char *type;
    int where;
    bool (*check)(struct check *c, const char *path, struct slice v);
} blocks[] = {
    {"\"text\"", IN_USER | IN_ASSISTANT | IN_SYSTEM | IN_TOOL, check_text},
    {"\"thinking\"", IN_ASSISTANT, check_thinking},
    {"\"image_url\"", IN_USER, check_image},
    {"\"document\"", IN_TOOL, check_document_block},
};

static bool check_block(struct check *c, const char *path, struct slice v, int where)
{
    struct slice type = json_get(v, "type");
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        if ((blocks[i].where & where) && slice_is(type, blocks[i].type))
            return blocks[i].check(c, path, v);
    return refuse(c, "%stype isn't a valid one here", path);
}

static bool check_content(struct check *c, size_t index, struct slice content, int where)
{
    struct json j;
    struct slice v;
    bool started = false;
    char path[64];
    size_t n = 0;
    json_init(&j, content);
    if (content.p[0] == '[' && json_enter(&j, '['))
        for (; json_next_element(&j, &started, &v); n++) {
            snprintf(path, sizeof path, "messages[%zu].content[%zu].", index, n);
            if (!check_block(c, path, v, where))
                return false;
        }
    if (content.p[0] == '[' ? n > 0 : json_inner(content).len > 0)
        return true;
    snprintf(c->err->message, sizeof c->err->message, "message must not be empty in a turn");
    c->err->status = 400;
    return false;
}

/* ---- messages ---- */

static bool check_call(struct check *c, const char *path, struct slice call)
{
    struct slice function = json_get(call, "function"), id = json_get(call, "id");
    char inner[96];
    snprintf(inner, sizeof inner, "%sfunction.", path);
    if (!check_object(c, path, call,
                      MEMBERS({"id", STRING, true}, TYPE, {"function", OBJECT, true})) ||
        !check_object(c, inner, function,
                      MEMBERS({"name", STRING, true}, {"arguments", STRING, true})))
        return false;
    struct bytes arguments = {0};
    struct json j;
    struct slice key, value;
    bool started = false;
    json_decode(json_get(function, "arguments"), &arguments);
    json_init(&j, bytes_slice(&arguments));
    if (json_enter(&j, '{'))
        while (json_next_member(&j, &started, &key, &value))
            continue;
    bool object = json_finish(&j);
    bytes_fini(&arguments);
    if (!object)
        return refuse(c, "%sarguments must be a JSON object", inner);
    for (size_t i = 0; i < c->ncalls; i++)
        if (slice_eq(c->calls[i], id))
            return refuse(c, "%sid is given to two calls", path);
    if (c->ncalls < IDS_MAX)
        c->calls[c->ncalls++] = id;
    return true;
}

static bool check_assistant(struct check *c, size_t index, struct slice m)
{
    struct slice content = json_get(m, "content"), calls = json_get(m, "tool_calls"), v;
    char path[64];
    snprintf(path, sizeof path, "messages[%zu].", index);
    if (!check_object(c, path, m,
                      MEMBERS({"role", STRING, true}, {"content", TEXT_OR_LIST, false},
                              {"tool_plan", STRING, false}, {"tool_calls", ARRAY, false},
                              {"citations", ARRAY, false})))
        return false;
    for (size_t i = 0; (v = element(calls, i)).p != NULL; i++) {
        snprintf(path, sizeof path, "messages[%zu].tool_calls[%zu].", index, i);
        if (!check_call(c, path, v))
            return false;
    }
    if (content.p == NULL && c->ncalls == 0)
        return refuse(c, "all elements in history must have a message.");
    return content.p == NULL || check_content(c, index, content, IN_ASSISTANT);
}

static bool check_tool_message(struct check *c, size_t index, struct slice m)
{
    struct slice id = json_get(m, "tool_call_id");
    char path[64];
    snprintf(path, sizeof path, "messages[%zu].", index);
    if (!check_object(c, path, m,
                      MEMBERS({"role", STRING, true}, {"tool_call_id", STRING, true},
                              {"content", TEXT_OR_LIST, true})))
        return false;
    for (size_t i = 0; i < c->ncalls; i++)
        if (slice_eq(c->calls[i], id)) {
            c->calls[i] = c->calls[--c->ncalls];
            return check_content(c, index, json_get(m, "content"), IN_TOOL);
        }
    return refuse(c, "tool call id not found in previous tool calls");
}

static bool check_message(struct check *c, size_t index, struct slice m, bool begun)
{
    struct slice role = json_get(m, "role");
    char path[64];
    snprintf(path, sizeof path, "messages[%zu].", index);
    if (slice_is(role, "\"tool\""))
        return check_tool_message(c, index, m);
    if (c->ncalls > 0)
        return refuse(c, "all tool calls must be answered by tool messages: " SLICE_FMT " isn't",
                      SLICE_ARG(c->calls[0]));
    if (slice_is(role, "\"assistant\""))
        return check_assistant(c, index, m);
    bool system = slice_is(role, "\"system\"");
    if (!system && !slice_is(role, "\"user\""))
        return refuse(c, "Invalid role in chat_history at index %zu", index);
    if (system && begun) {
        snprintf(c->err->message, sizeof c->err->message,
                 "system turn must be the first in the list");
        c->err->status = 400;
        return false;
    }
    return check_object(c, path, m,
                        MEMBERS({"role", STRING, true}, {"content", TEXT_OR_LIST, true})) &&
           check_content(c, index, json_get(m, "content"), system ? IN_SYSTEM : IN_USER);
}

static bool check_messages(struct check *c, struct slice messages)
{
    struct slice m;
    size_t i = 0;
    for (; (m = element(messages, i)).p != NULL; i++)
        if (!check_message(c, i, m, i > 0))
            return false;
    if (i == 0)
        return refuse(c, "message must be at least 1 token long or tool results must be "
                         "specified.");
    return c->ncalls == 0 || refuse(c, "the last tool calls have no results");
}

/* ---- the rest ---- */

static bool check_tools(struct check *c, struct slice body)
{
    struct slice choice = json_get(body, "tool_choice"), tools = json_get(body, "tools"), tool;
    char path[64];
    for (size_t i = 0; (tool = element(tools, i)).p != NULL; i++) {
        c->tools = true;
        snprintf(path, sizeof path, "tools[%zu].", i);
        if (!check_object(c, path, tool, MEMBERS(TYPE, {"function", OBJECT, true})))
            return false;
        snprintf(path, sizeof path, "tools[%zu].function.", i);
        if (!check_object(c, path, json_get(tool, "function"),
                          MEMBERS({"name", STRING, true}, {"description", STRING, false},
                                  {"parameters", OBJECT, true})))
            return false;
    }
    if (choice.p != NULL && !is_one_of(choice, WORDS("REQUIRED", "NONE")))
        return refuse(c, "tool_choice must be REQUIRED or NONE");
    if (!c->tools && (choice.p != NULL || slice_is(json_get(body, "strict_tools"), "true")))
        return refuse(c, "tool_choice and strict_tools need tools");
    return true;
}

static bool check_documents(struct check *c, struct slice documents)
{
    struct slice v;
    char path[64];
    for (size_t i = 0; (v = element(documents, i)).p != NULL; i++) {
        c->documents = true;
        snprintf(path, sizeof path, "documents[%zu].", i);
        if (!json_is_string(v) && !check_document(c, path, v))
            return false;
    }
    return documents.p == NULL || c->documents || refuse(c, "list of documents must not be empty");
}

static bool check_range(struct check *c, struct slice body, const char *name, double least,
                        double most)
{
    struct slice v = json_get(body, name);
    if (v.p == NULL || (number(v) >= least && number(v) <= most))
        return true;
    return refuse(c, "%s must be between %g and %g inclusive.", name, least, most);
}

static bool check_sampling(struct check *c, struct slice body)
{
    if (json_get(body, "frequency_penalty").p != NULL &&
        json_get(body, "presence_penalty").p != NULL)
        return refuse(c, "cannot specify both frequency_penalty and presence_penalty.");
    return check_range(c, body, "temperature", 0, 1) && check_range(c, body, "p", 0.01, 0.99) &&
           check_range(c, body, "k", 0, 500) && check_range(c, body, "seed", 0, 1.8446744e19) &&
           check_range(c, body, "frequency_penalty", 0, 1) &&
           check_range(c, body, "presence_penalty", 0, 1) &&
           check_range(c, body, "max_tokens", 0, 1e9);
}

static bool check_stop(struct check *c, struct slice stop)
{
    struct slice v;
    for (size_t i = 0; (v = element(stop, i)).p != NULL; i++) {
        if (i == STOP_MAX)
            return refuse(c, "stop_sequences must hold at most %d elements", STOP_MAX);
        if (!json_is_string(v))
            return refuse(c, "stop_sequences must hold strings");
    }
    return true;
}

static bool check_thinking_config(struct check *c, struct slice v)
{
    struct slice type = json_get(v, "type"), budget = json_get(v, "token_budget");
    if (v.p == NULL)
        return true;
    if (!check_object(c, "thinking.", v,
                      MEMBERS({"type", STRING, false}, {"token_budget", INTEGER, false})))
        return false;
    if (type.p != NULL && !is_one_of(type, WORDS("enabled", "disabled")))
        return refuse(c, "thinking.type must be enabled or disabled");
    return budget.p == NULL || number(budget) > 0 ||
           refuse(c, "thinking.token_budget must be a positive integer");
}

static bool check_format(struct check *c, struct slice v)
{
    struct slice type = json_get(v, "type");
    if (v.p == NULL)
        return true;
    if (!check_object(c, "response_format.", v,
                      MEMBERS(TYPE, {"json_schema", OBJECT, false}, {"schema", OBJECT, false})))
        return false;
    if (!is_one_of(type, WORDS("text", "json_object")))
        return refuse(c, "response_format.type must be text or json_object");
    if (slice_is(type, "\"text\""))
        return json_get(v, "json_schema").p == NULL ||
               refuse(c, "json_schema must not be specified when the type is text");
    if (c->documents)
        return refuse(c, "response_format is not supported with RAG.");
    return !c->tools || refuse(c, "response_format is not supported with tools.");
}

static bool check_modes(struct check *c, struct slice body)
{
    struct slice safety = json_get(body, "safety_mode"), cite = json_get(body, "citation_options");
    if (safety.p != NULL && !is_one_of(safety, WORDS("CONTEXTUAL", "STRICT", "OFF")))
        return refuse(c, "safety_mode must be CONTEXTUAL, STRICT or OFF");
    if (safety.p != NULL && (c->tools || c->documents))
        return refuse(c, "safety_mode is not supported with tools and documents");
    if (cite.p == NULL)
        return true;
    return check_object(c, "citation_options.", cite, MEMBERS({"mode", STRING, false})) &&
           (json_get(cite, "mode").p == NULL ||
            is_one_of(json_get(cite, "mode"),
                      WORDS("ENABLED", "DISABLED", "FAST", "ACCURATE", "OFF")) ||
            refuse(c, "citation_options.mode isn't a valid one"));
}

bool cohere_check(struct slice body, struct error *err)
{
    struct check *c = xcalloc(1, sizeof *c);
    c->err = err;
    bool ok = check_object(c, "", body,
                           MEMBERS({"model", STRING, true}, {"messages", ARRAY, true},
                                   {"stream", BOOLEAN, false}, {"tools", ARRAY, false},
                                   {"strict_tools", BOOLEAN, false}, {"tool_choice", STRING, false},
                                   {"documents", ARRAY, false}, {"citation_options", OBJECT, false},
                                   {"response_format", OBJECT, false},
                                   {"safety_mode", STRING, false}, {"max_tokens", INTEGER, false},
                                   {"stop_sequences", ARRAY, false}, {"temperature", NUMBER, false},
                                   {"seed", INTEGER, false}, {"frequency_penalty", NUMBER, false},
                                   {"presence_penalty", NUMBER, false}, {"k", INTEGER, false},
                                   {"p", NUMBER, false}, {"logprobs", BOOLEAN, false},
                                   {"thinking", OBJECT, false}, {"priority", INTEGER, false})) &&
              check_tools(c, body) && check_documents(c, json_get(body, "documents")) &&
              check_sampling(c, body) && check_stop(c, json_get(body, "stop_sequences")) &&
              check_thinking_config(c, json_get(body, "thinking")) &&
              check_format(c, json_get(body, "response_format")) && check_modes(c, body) &&
              check_messages(c, json_get(body, "messages"));
    free(c);
    return ok;
}
