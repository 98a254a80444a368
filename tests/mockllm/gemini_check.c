/*
 * gemini_check.c: requests as strictly as Google's front end and Gemini itself read them.
 *
 * Messages: https://ai.google.dev/api/generate-content, https://ai.google.dev/api/caching (Content,
 * Tool, Schema), https://ai.google.dev/api/embeddings. Wordings of refusals are those of the API:
 * "Invalid JSON payload received. Unknown name …" comes from its JSON transcoder.
 */
#include "tests/mockllm/gemini.h"
#include "tests/mockllm/json.h"
#include "tests/mockllm/sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum type { STRING, INT, NUMBER, BOOL, BYTES, STRUCT, VALUE, MESSAGE, MAP };

struct message;
struct field {
    const char *name;
    enum type type;
    bool repeated;
    const struct message *message; /* of MESSAGE and MAP */
};
struct message {
    const struct field *fields;
    size_t n;
};
#define MESSAGE_OF(name)                                                                           \
    static const struct message name##_message = {name##_fields, ARRAY_LEN(name##_fields)}

static const struct message schema_message;
static const struct field schema_fields[] = {
    {"type", STRING, false, NULL},
    {"format", STRING, false, NULL},
    {"title", STRING, false, NULL},
    {"description", STRING, false, NULL},
    {"nullable", BOOL, false, NULL},
    {"enum", STRING, true, NULL},
    {"maxItems", INT, false, NULL},
    {"minItems", INT, false, NULL},
    {"properties", MAP, false, &schema_message},
    {"required", STRING, true, NULL},
    {"minProperties", INT, false, NULL},
    {"maxProperties", INT, false, NULL},
    {"minLength", INT, false, NULL},
    {"maxLength", INT, false, NULL},
    {"pattern", STRING, false, NULL},
    {"example", VALUE, false, NULL},
    {"anyOf", MESSAGE, true, &schema_message},
    {"propertyOrdering", STRING, true, NULL},
    {"default", VALUE, false, NULL},
    {"items", MESSAGE, false, &schema_message},
    {"minimum", NUMBER, false, NULL},
    {"maximum", NUMBER, false, NULL},
};
static const struct message schema_message = {schema_fields, ARRAY_LEN(schema_fields)};

static const struct field blob_fields[] = {
    {"mimeType", STRING, false, NULL},
    {"data", BYTES, false, NULL},
};
MESSAGE_OF(blob);
static const struct field file_fields[] = {
    {"mimeType", STRING, false, NULL},
    {"fileUri", STRING, false, NULL},
};
MESSAGE_OF(file);
static const struct field call_fields[] = {
    {"id", STRING, false, NULL},
    {"name", STRING, false, NULL},
    {"args", STRUCT, false, NULL},
};
MESSAGE_OF(call);
static const struct field result_part_fields[] = {{"inlineData", MESSAGE, false, &blob_message}};
MESSAGE_OF(result_part);
static const struct field result_fields[] = {
    {"id", STRING, false, NULL},         {"name", STRING, false, NULL},
    {"response", STRUCT, false, NULL},   {"parts", MESSAGE, true, &result_part_message},
    {"willContinue", BOOL, false, NULL}, {"scheduling", STRING, false, NULL},
};
MESSAGE_OF(result);
static const struct field part_fields[] = {
    {"text", STRING, false, NULL},
    {"inlineData", MESSAGE, false, &blob_message},
    {"fileData", MESSAGE, false, &file_message},
    {"functionCall", MESSAGE, false, &call_message},
    {"functionResponse", MESSAGE, false, &result_message},
    {"executableCode", STRUCT, false, NULL},
    {"codeExecutionResult", STRUCT, false, NULL},
    {"thought", BOOL, false, NULL},
    {"thoughtSignature", BYTES, false, NULL},
    {"videoMetadata", STRUCT, false, NULL},
    {"mediaResolution", STRUCT, false, NULL},
    {"partMetadata", STRUCT, false, NULL},
};
MESSAGE_OF(part);
static const struct field content_fields[] = {
    {"role", STRING, false, NULL},
    {"parts", MESSAGE, true, &part_message},
};
MESSAGE_OF(content);
static const struct field function_fields[] = {
    {"name", STRING, false, NULL},
    {"description", STRING, false, NULL},
    {"behavior", STRING, false, NULL},
    {"parameters", MESSAGE, false, &schema_message},
    {"parametersJsonSchema", VALUE, false, NULL},
    {"response", MESSAGE, false, &schema_message},
    {"responseJsonSchema", VALUE, false, NULL},
};
MESSAGE_OF(function);
static const struct field tool_fields[] = {
    {"functionDeclarations", MESSAGE, true, &function_message},
    {"googleSearch", STRUCT, false, NULL},
    {"googleSearchRetrieval", STRUCT, false, NULL},
    {"codeExecution", STRUCT, false, NULL},
    {"urlContext", STRUCT, false, NULL},
    {"computerUse", STRUCT, false, NULL},
    {"fileSearch", STRUCT, false, NULL},
    {"googleMaps", STRUCT, false, NULL},
    {"mcpServers", STRUCT, true, NULL},
};
MESSAGE_OF(tool);
static const struct field calling_fields[] = {
    {"mode", STRING, false, NULL},
    {"allowedFunctionNames", STRING, true, NULL},
};
MESSAGE_OF(calling);
static const struct field tool_config_fields[] = {
    {"functionCallingConfig", MESSAGE, false, &calling_message},
    {"retrievalConfig", STRUCT, false, NULL},
    {"includeServerSideToolInvocations", BOOL, false, NULL},
};
MESSAGE_OF(tool_config);
static const struct field thinking_fields[] = {
    {"includeThoughts", BOOL, false, NULL},
    {"thinkingBudget", INT, false, NULL},
    {"thinkingLevel", STRING, false, NULL},
};
MESSAGE_OF(thinking);
static const struct field config_fields[] = {
    {"stopSequences", STRING, true, NULL},
    {"responseMimeType", STRING, false, NULL},
    {"responseSchema", MESSAGE, false, &schema_message},
    {"responseJsonSchema", VALUE, false, NULL},
    {"_responseJsonSchema", VALUE, false, NULL},
    {"responseModalities", STRING, true, NULL},
    {"candidateCount", INT, false, NULL},
    {"maxOutputTokens", INT, false, NULL},
    {"temperature", NUMBER, false, NULL},
    {"topP", NUMBER, false, NULL},
    {"topK", INT, false, NULL},
    {"seed", INT, false, NULL},
    {"presencePenalty", NUMBER, false, NULL},
    {"frequencyPenalty", NUMBER, false, NULL},
    {"responseLogprobs", BOOL, false, NULL},
    {"logprobs", INT, false, NULL},
    {"enableEnhancedCivicAnswers", BOOL, false, NULL},
    {"speechConfig", STRUCT, false, NULL},
    {"thinkingConfig", MESSAGE, false, &thinking_message},
    {"imageConfig", STRUCT, false, NULL},
    {"mediaResolution", STRING, false, NULL},
};
MESSAGE_OF(config);
static const struct field safety_fields[] = {
    {"category", STRING, false, NULL},
    {"threshold", STRING, false, NULL},
};
MESSAGE_OF(safety);
static const struct field generate_fields[] = {
    {"model", STRING, false, NULL},
    {"contents", MESSAGE, true, &content_message},
    {"tools", MESSAGE, true, &tool_message},
    {"toolConfig", MESSAGE, false, &tool_config_message},
    {"safetySettings", MESSAGE, true, &safety_message},
    {"systemInstruction", MESSAGE, false, &content_message},
    {"generationConfig", MESSAGE, false, &config_message},
    {"cachedContent", STRING, false, NULL},
    {"serviceTier", STRING, false, NULL},
    {"store", BOOL, false, NULL},
};
MESSAGE_OF(generate);
static const struct field count_fields[] = {
    {"contents", MESSAGE, true, &content_message},
    {"generateContentRequest", MESSAGE, false, &generate_message},
};
MESSAGE_OF(count);
static const struct field embed_fields[] = {
    {"model", STRING, false, NULL},
    {"content", MESSAGE, false, &content_message},
    {"taskType", STRING, false, NULL},
    {"title", STRING, false, NULL},
    {"outputDimensionality", INT, false, NULL},
};
MESSAGE_OF(embed);
static const struct field batch_embed_fields[] = {{"requests", MESSAGE, true, &embed_message}};
MESSAGE_OF(batch_embed);

/* ---- names and values ---- */

bool gemini_refuse(struct error *err, const char *fmt, ...)
{
    va_list ap;
    *err = (struct error){.status = 400, .type = "INVALID_ARGUMENT"};
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    return false;
}

/* "topK" is top_k in the .proto file. */
static void add_snake(struct bytes *out, const char *camel)
{
    for (; *camel != '\0'; camel++) {
        char lower = *camel;
        if (*camel >= 'A' && *camel <= 'Z') {
            bytes_adds(out, "_");
            lower = (char)(*camel - 'A' + 'a');
        }
        bytes_add(out, &lower, 1);
    }
}

static bool is_name(struct slice key, const char *camel)
{
    struct bytes snake = {0};
    add_snake(&snake, camel);
    bool is = slice_is(key, camel) || slice_eq(key, bytes_slice(&snake));
    bytes_fini(&snake);
    return is;
}

struct slice gemini_get(struct slice object, const char *camel)
{
    struct bytes snake = {0};
    add_snake(&snake, camel);
    bytes_add(&snake, "", 1);
    struct slice v = json_get(object, camel);
    if (v.p == NULL)
        v = json_get(object, snake.p);
    bytes_fini(&snake);
    return slice_is(v, "null") ? (struct slice){NULL, 0} : v;
}

static bool is_base64(struct slice s)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";
    size_t n = s.len;
    while (n > 0 && s.p[n - 1] == '=' && s.len - n < 2)
        n--;
    for (size_t i = 0; i < n; i++)
        if (memchr(digits, s.p[i], sizeof digits - 1) == NULL)
            return false;
    return n % 4 != 1 && (n == s.len || s.len % 4 == 0);
}

static bool fits(enum type type, struct slice v)
{
    int64_t n;
    bool string = json_is_string(v),
         number = !string && (v.p[0] == '-' || (v.p[0] >= '0' && v.p[0] <= '9'));
    switch (type) {
    case STRING:
        return string;
    case INT:
        return slice_to_int(string ? json_inner(v) : v, &n);
    case NUMBER:
        return number;
    case BOOL:
        return slice_is(v, "true") || slice_is(v, "false");
    case BYTES:
        return string && is_base64(json_inner(v));
    case VALUE:
        return true;
    default:
        return v.p[0] == '{';
    }
}

static const char *type_word(enum type type)
{
    static const char *const words[] = {"TYPE_STRING",  "TYPE_INT32",   "TYPE_FLOAT",
                                        "TYPE_BOOL",    "TYPE_BYTES",   "TYPE_MESSAGE",
                                        "TYPE_MESSAGE", "TYPE_MESSAGE", "TYPE_MESSAGE"};
    return words[type];
}

static bool check_message(const struct message *m, struct slice object, const char *where,
                          struct error *err);

static bool check_map(const struct message *m, struct slice map, const char *where,
                      struct error *err)
{
    struct json j;
    struct slice key, value;
    bool started = false;
    json_init(&j, map);
    json_enter(&j, '{');
    while (json_next_member(&j, &started, &key, &value)) {
        if (value.p[0] != '{')
            return gemini_refuse(err, "Invalid value at '%s'", where);
        if (!check_message(m, value, where, err))
            return false;
    }
    return true;
}

static bool check_value(const struct field *f, struct slice v, const char *where, struct error *err)
{
    if (!fits(f->type, v))
        return gemini_refuse(err, "Invalid value at '%s' (%s), " SLICE_FMT, where,
                             type_word(f->type), (int)(v.len < 40 ? v.len : 40), v.p);
    if (f->type == MAP)
        return check_map(f->message, v, where, err);
    return f->type != MESSAGE || check_message(f->message, v, where, err);
}

static bool check_list(const struct field *f, struct slice list, const char *where,
                       struct error *err)
{
    struct json j;
    struct slice v;
    bool started = false;
    char at[160];
    size_t i = 0;
    json_init(&j, list);
    if (list.p[0] != '[')
        return gemini_refuse(err, "Invalid value at '%s': a list was expected", where);
    json_enter(&j, '[');
    while (json_next_element(&j, &started, &v)) {
        snprintf(at, sizeof at, "%.140s[%zu]", where, i++);
        if (!check_value(f, v, at, err))
            return false;
    }
    return true;
}

static const struct field *find_field(const struct message *m, struct slice key)
{
    for (size_t i = 0; i < m->n; i++)
        if (is_name(key, m->fields[i].name))
            return &m->fields[i];
    return NULL;
}

static bool check_member(const struct field *f, struct slice value, const char *where,
                         bool repeated, struct error *err)
{
    struct bytes snake = {0};
    char at[160];
    add_snake(&snake, f->name);
    snprintf(at, sizeof at, "%.80s%s" SLICE_FMT, where, *where ? "." : "",
             SLICE_ARG(bytes_slice(&snake)));
    bytes_fini(&snake);
    if (repeated)
        return gemini_refuse(err, "Invalid value at '%s': given more than once", at);
    if (slice_is(value, "null"))
        return true;
    return f->repeated ? check_list(f, value, at, err) : check_value(f, value, at, err);
}

static bool check_message(const struct message *m, struct slice object, const char *where,
                          struct error *err)
{
    struct json j;
    struct slice key, value;
    bool started = false;
    uint64_t seen = 0;
    json_init(&j, object);
    json_enter(&j, '{');
    while (json_next_member(&j, &started, &key, &value)) {
        const struct field *f = find_field(m, key);
        if (f == NULL)
            return gemini_refuse(err,
                                 "Invalid JSON payload received. Unknown name \"" SLICE_FMT
                                 "\"%s%s%s: Cannot find field.",
                                 SLICE_ARG(key), *where ? " at '" : "", where, *where ? "'" : "");
        uint64_t bit = UINT64_C(1) << (f - m->fields);
        if (!check_member(f, value, where, (seen & bit) != 0, err))
            return false;
        seen |= bit;
    }
    return true;
}

/* ---- what belongs together ---- */

struct list {
    struct json j;
    bool started;
};

static struct list list_of(struct slice array)
{
    struct list l = {.started = false};
    json_init(&l.j, array.p != NULL ? array : SLICE("[]"));
    json_enter(&l.j, '[');
    return l;
}

static bool next(struct list *l, struct slice *v)
{
    return json_next_element(&l->j, &l->started, v);
}

static bool is_empty(struct slice array)
{
    struct list l = list_of(array);
    struct slice v;
    return !next(&l, &v);
}

static bool check_part(struct slice p, bool of_model, struct error *err)
{
    static const char *const data[] = {
        "text",           "inlineData",         "fileData", "functionCall", "functionResponse",
        "executableCode", "codeExecutionResult"};
    int n = 0;
    for (size_t i = 0; i < ARRAY_LEN(data); i++)
        n += gemini_get(p, data[i]).p != NULL;
    if (n != 1)
        return gemini_refuse(err, "contents.parts: required oneof field 'data' must have one "
                                  "initialized field");
    struct slice text = gemini_get(p, "text");
    if (text.len == 2 && gemini_get(p, "thoughtSignature").p == NULL)
        return gemini_refuse(err,
                             "Unable to submit request because it must have a text parameter.");
    struct slice blob = gemini_get(p, "inlineData"), file = gemini_get(p, "fileData");
    if (blob.p != NULL &&
        (gemini_get(blob, "mimeType").p == NULL || gemini_get(blob, "data").p == NULL))
        return gemini_refuse(err, "contents.parts.inline_data: mime_type and data are required");
    if (file.p != NULL && gemini_get(file, "fileUri").p == NULL)
        return gemini_refuse(err, "contents.parts.file_data.file_uri: required");
    if (gemini_get(p, "functionCall").p != NULL && !of_model)
        return gemini_refuse(err, "Function calls must come from the model role");
    if (gemini_get(p, "functionResponse").p != NULL && of_model)
        return gemini_refuse(err, "Function responses must not come from the model role");
    return true;
}

/* What was signed here has to come back with its signature: a call by its id and name, a thought by
 * its text. */
static bool check_signature(struct slice p, struct error *err)
{
    struct slice call = gemini_get(p, "functionCall"), id = gemini_get(call, "id");
    struct slice signature = gemini_get(p, "thoughtSignature");
    static const char mark[] = "\"" GEMINI_SIGNED_ID;
    struct bytes text = {0};
    bool fit = true;
    bool of_us = id.len > sizeof mark && memcmp(id.p, mark, sizeof mark - 1) == 0;
    if (of_us) {
        json_decode(id, &text);
        json_decode(gemini_get(call, "name"), &text);
    } else if (slice_is(gemini_get(p, "thought"), "true") && signature.p != NULL)
        json_decode(gemini_get(p, "text"), &text);
    if (of_us && signature.p == NULL)
        fit = gemini_refuse(err,
                            "Function call " SLICE_FMT " is missing a thought_signature in "
                            "functionCall parts. This is required for tools to work correctly.",
                            SLICE_ARG(gemini_get(call, "name")));
    else if (text.len > 0 &&
             !sample_signature_fits(json_inner(signature), SAMPLE_GEMINI, bytes_slice(&text)))
        fit = gemini_refuse(err, "Invalid thought signature.");
    bytes_fini(&text);
    return fit;
}

/* Parts of that kind. */
static size_t count_parts(struct slice parts, const char *kind)
{
    struct list l = list_of(parts);
    struct slice p;
    size_t n = 0;
    while (next(&l, &p))
        n += gemini_get(p, kind).p != NULL;
    return n;
}

static bool names_a_call(struct slice calls, struct slice response)
{
    struct list l = list_of(calls);
    struct slice p, id = gemini_get(response, "id"), name = gemini_get(response, "name");
    while (next(&l, &p)) {
        struct slice call = gemini_get(p, "functionCall");
        if (call.p != NULL && slice_eq(gemini_get(call, "name"), name) &&
            (id.p == NULL || slice_eq(gemini_get(call, "id"), id)))
            return true;
    }
    return false;
}

static bool check_responses(struct slice calls, struct slice parts, struct error *err)
{
    struct list l = list_of(parts);
    struct slice p;
    size_t n = count_parts(parts, "functionResponse");
    size_t open = count_parts(calls, "functionCall");
    if (n > 0 && open == 0)
        return gemini_refuse(err, "Please ensure that function response turn comes immediately "
                                  "after a function call turn.");
    if (n != open)
        return gemini_refuse(err, "Please ensure that the number of function response parts is "
                                  "equal to the number of function call parts of the function call "
                                  "turn.");
    while (next(&l, &p)) {
        struct slice response = gemini_get(p, "functionResponse");
        if (response.p == NULL)
            continue;
        if (gemini_get(response, "name").len <= 2 || gemini_get(response, "response").p == NULL)
            return gemini_refuse(err, "function_response.name: Name cannot be empty.");
        if (!names_a_call(calls, response))
            return gemini_refuse(
                err, "The function response " SLICE_FMT " answers no call of the turn before it.",
                SLICE_ARG(gemini_get(response, "name")));
    }
    return true;
}

static bool check_contents(struct slice contents, struct error *err)
{
    struct list l = list_of(contents);
    struct slice c, p, calls = {NULL, 0};
    if (is_empty(contents))
        return gemini_refuse(err, "* GenerateContentRequest.contents: contents is not specified");
    while (next(&l, &c)) {
        struct slice role = gemini_get(c, "role"), parts = gemini_get(c, "parts");
        bool of_model = slice_is(role, "\"model\"");
        if (role.p != NULL && !of_model && !slice_is(role, "\"user\"") &&
            !slice_is(role, "\"function\""))
            return gemini_refuse(err, "Please use a valid role: user, model.");
        if (is_empty(parts))
            return gemini_refuse(err, "* GenerateContentRequest.contents.parts: contents.parts "
                                      "must not be empty.");
        struct list each = list_of(parts);
        while (next(&each, &p))
            if (!check_part(p, of_model, err) || !check_signature(p, err))
                return false;
        if (!check_responses(calls, parts, err))
            return false;
        calls = of_model ? parts : (struct slice){NULL, 0};
    }
    if (count_parts(calls, "functionCall") > 0)
        return gemini_refuse(err, "Please ensure that function call turn comes immediately before "
                                  "a function response turn.");
    return true;
}

static bool check_system(struct slice system, struct error *err)
{
    struct slice parts = gemini_get(system, "parts");
    struct list l = list_of(parts);
    struct slice p;
    if (system.p != NULL && is_empty(parts))
        return gemini_refuse(err, "system_instruction.parts: must not be empty.");
    while (next(&l, &p))
        if (gemini_get(p, "text").len <= 2)
            return gemini_refuse(err, "system_instruction: only text is supported.");
    return true;
}

/* The declaration of that name, by its place; -1: none. */
static int64_t find_function(struct slice tools, struct slice name)
{
    struct list l = list_of(tools);
    struct slice tool, f;
    int64_t i = 0;
    while (next(&l, &tool)) {
        struct list each = list_of(gemini_get(tool, "functionDeclarations"));
        for (; next(&each, &f); i++)
            if (slice_eq(gemini_get(f, "name"), name))
                return i;
    }
    return -1;
}

static bool check_function(struct slice tools, struct slice f, int64_t nth, struct error *err)
{
    struct slice name = gemini_get(f, "name"), json = gemini_get(f, "parametersJsonSchema");
    if (name.len <= 2)
        return gemini_refuse(err, "tools.function_declarations.name: Invalid function name. Must "
                                  "start with a letter or an underscore.");
    if (find_function(tools, name) != nth)
        return gemini_refuse(err, "Duplicate function declaration found: " SLICE_FMT,
                             SLICE_ARG(name));
    if (json.p != NULL && gemini_get(f, "parameters").p != NULL)
        return gemini_refuse(err, "Only one of parameters and parameters_json_schema may be set.");
    if (json.p != NULL && json.p[0] != '{')
        return gemini_refuse(err, "parameters_json_schema must be an object.");
    return true;
}

static bool check_tools(struct slice tools, struct error *err)
{
    struct list l = list_of(tools);
    struct slice tool, f;
    int64_t i = 0;
    while (next(&l, &tool)) {
        struct list each = list_of(gemini_get(tool, "functionDeclarations"));
        while (next(&each, &f))
            if (!check_function(tools, f, i++, err))
                return false;
    }
    return true;
}

static bool is_one_of(struct slice v, const char *const *words)
{
    for (; *words != NULL; words++)
        if (json_is_string(v) && slice_is(json_inner(v), *words))
            return true;
    return false;
}

static bool check_calling(struct slice body, struct error *err)
{
    static const char *const modes[] = {"AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED",
                                        NULL};
    struct slice c = gemini_get(gemini_get(body, "toolConfig"), "functionCallingConfig"), name;
    struct slice mode = gemini_get(c, "mode"), allowed = gemini_get(c, "allowedFunctionNames");
    struct list l = list_of(allowed);
    if (mode.p != NULL && !is_one_of(mode, modes))
        return gemini_refuse(err, "Invalid value at 'tool_config.function_calling_config.mode'");
    bool limits = slice_is(mode, "\"ANY\"") || slice_is(mode, "\"VALIDATED\"");
    if (!is_empty(allowed) && !limits)
        return gemini_refuse(err, "Function calling config: allowed_function_names should only be "
                                  "set when the mode is ANY or VALIDATED.");
    while (next(&l, &name))
        if (find_function(gemini_get(body, "tools"), name) < 0)
            return gemini_refuse(
                err, "Function calling config: the function " SLICE_FMT " is not declared.",
                SLICE_ARG(name));
    if (slice_is(mode, "\"ANY\"") && is_empty(gemini_get(body, "tools")))
        return gemini_refuse(err, "Function calling config is set without function_declarations.");
    return true;
}

static bool in_range(struct slice v, double min, double max)
{
    double n = 0;
    char text[40];
    if (v.p == NULL)
        return true;
    if (json_is_string(v))
        v = json_inner(v);
    snprintf(text, sizeof text, SLICE_FMT, (int)(v.len < 39 ? v.len : 39), v.p);
    return sscanf(text, "%lf", &n) == 1 && n >= min && n <= max;
}

static bool check_thinking(struct slice t, struct error *err)
{
    static const char *const levels[] = {"MINIMAL", "LOW",    "MEDIUM", "HIGH", "minimal",
                                         "low",     "medium", "high",   NULL};
    struct slice level = gemini_get(t, "thinkingLevel");
    if (level.p != NULL && !is_one_of(level, levels))
        return gemini_refuse(err, "Invalid value at "
                                  "'generation_config.thinking_config.thinking_level'");
    if (level.p != NULL && gemini_get(t, "thinkingBudget").p != NULL)
        return gemini_refuse(err, "You can only set only one of thinking budget and thinking "
                                  "level.");
    if (!in_range(gemini_get(t, "thinkingBudget"), -1, 32768))
        return gemini_refuse(err, "The thinking budget is invalid. Please choose a value between 0 "
                                  "and 32768.");
    return true;
}

static bool check_format(struct slice c, struct error *err)
{
    static const char *const types[] = {"text/plain", "application/json", "text/x.enum", NULL};
    struct slice mime = gemini_get(c, "responseMimeType");
    bool schema = gemini_get(c, "responseSchema").p != NULL;
    bool json = gemini_get(c, "responseJsonSchema").p != NULL;
    if (mime.p != NULL && !is_one_of(mime, types))
        return gemini_refuse(err, "* GenerateContentRequest.generation_config.response_mime_type: "
                                  "allowed mimetypes are `text/plain`, `application/json` and "
                                  "`text/x.enum`.");
    if (schema && json)
        return gemini_refuse(err, "Only one of response_schema and response_json_schema may be "
                                  "set.");
    if ((schema || json) && (mime.p == NULL || slice_is(mime, "\"text/plain\"")))
        return gemini_refuse(err, "Function calling or response schema with a response mime type: "
                                  "'text/plain' is unsupported");
    return true;
}

static bool check_config(struct slice c, struct error *err)
{
    static const struct {
        const char *name;
        double min, max;
    } ranges[] = {
        {"maxOutputTokens", 1, 1e9},
        {"candidateCount", 1, 8},
        {"temperature", 0, 2},
        {"topP", 0, 1},
        {"topK", 1, 1e9},
        {"logprobs", 0, 20},
        {"presencePenalty", -2, 2},
        {"frequencyPenalty", -2, 2},
        {"seed", -2147483648.0, 2147483647.0},
    };
    struct list l = list_of(gemini_get(c, "stopSequences"));
    struct slice v;
    int stops = 0;
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        if (!in_range(gemini_get(c, ranges[i].name), ranges[i].min, ranges[i].max))
            return gemini_refuse(err, "* GenerateContentRequest.generation_config.%s: out of range",
                                 ranges[i].name);
    while (next(&l, &v))
        if (v.len <= 2 || ++stops > 5)
            return gemini_refuse(err, "* GenerateContentRequest.generation_config.stop_sequences: "
                                      "at most 5, none of them empty");
    if (gemini_get(c, "logprobs").p != NULL && !slice_is(gemini_get(c, "responseLogprobs"), "true"))
        return gemini_refuse(err, "generation_config.logprobs is set, but response_logprobs is "
                                  "not.");
    return check_thinking(gemini_get(c, "thinkingConfig"), err) && check_format(c, err);
}

static bool check_generate(struct slice body, struct error *err)
{
    return check_contents(gemini_get(body, "contents"), err) &&
           check_system(gemini_get(body, "systemInstruction"), err) &&
           check_tools(gemini_get(body, "tools"), err) && check_calling(body, err) &&
           check_config(gemini_get(body, "generationConfig"), err);
}

static bool check_embed(struct slice body, struct error *err)
{
    if (is_empty(gemini_get(gemini_get(body, "content"), "parts")))
        return gemini_refuse(err, "* EmbedContentRequest.content: contents is not specified");
    if (!in_range(gemini_get(body, "outputDimensionality"), 1, 3072))
        return gemini_refuse(err, "* EmbedContentRequest.output_dimensionality: out of range");
    return true;
}

static bool check_batch(struct slice body, struct error *err)
{
    struct list l = list_of(gemini_get(body, "requests"));
    struct slice r;
    if (is_empty(gemini_get(body, "requests")))
        return gemini_refuse(err, "* BatchEmbedContentsRequest.requests: must not be empty");
    while (next(&l, &r)) {
        struct slice model = gemini_get(r, "model");
        if (model.len < 9 || memcmp(model.p, "\"models/", 8) != 0)
            return gemini_refuse(err, "* BatchEmbedContentsRequest.requests.model: unexpected "
                                      "model name format");
        if (!check_embed(r, err))
            return false;
    }
    return true;
}

bool gemini_check(enum gemini_message message, struct slice body, struct error *err)
{
    static const struct message *const messages[] = {
        [GEMINI_GENERATE] = &generate_message,
        [GEMINI_COUNT] = &count_message,
        [GEMINI_EMBED] = &embed_message,
        [GEMINI_BATCH_EMBED] = &batch_embed_message,
    };
    struct json j;
    struct slice key, value;
    bool started = false;
    json_init(&j, body);
    json_enter(&j, '{');
    while (j.error == NULL && json_next_member(&j, &started, &key, &value))
        ;
    if (!json_finish(&j))
        return gemini_refuse(err, "Invalid JSON payload received. %s at byte %zu.", j.error,
                             json_offset(&j));
    if (!check_message(messages[message], body, "", err))
        return false;
    switch (message) {
    case GEMINI_GENERATE:
        return check_generate(body, err);
    case GEMINI_COUNT: {
        struct slice inner = gemini_get(body, "generateContentRequest");
        return inner.p != NULL ? check_generate(inner, err)
                               : check_contents(gemini_get(body, "contents"), err);
    }
    case GEMINI_EMBED:
        return check_embed(body, err);
    default:
        return check_batch(body, err);
    }
}
