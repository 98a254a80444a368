/*
 * bedrock_check.c: see bedrock_check.h.
 */
#include "tests/mockllm/bedrock_check.h"

#include "tests/mockllm/json.h"
#include "tests/mockllm/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- shapes ---- */

enum kind { S_STRUCT, S_UNION, S_LIST, S_STRING, S_INT, S_NUMBER, S_BOOL, S_OBJECT, S_BLOB };

struct member;
struct shape {
    enum kind kind;
    int64_t min, max;             /* of a list's or string's length, or of a number; max 0: none */
    const char *chars;            /* beside letters and digits; NULL: any */
    const char *words;            /* "|a|b|": nothing else is allowed; NULL: anything */
    const struct member *members; /* of S_STRUCT and S_UNION, ended by a NULL name */
    const struct shape *element;
};
struct member {
    const char *name;
    const struct shape *shape;
    bool required;
};

#define STRUCT(...)                                                                                \
    {                                                                                              \
        .kind = S_STRUCT, .members = (const struct member[])                                       \
        {                                                                                          \
            __VA_ARGS__,                                                                           \
            {                                                                                      \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define UNION(...)                                                                                 \
    {                                                                                              \
        .kind = S_UNION, .members = (const struct member[])                                        \
        {                                                                                          \
            __VA_ARGS__,                                                                           \
            {                                                                                      \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define LIST(of)                                                                                   \
    {                                                                                              \
        .kind = S_LIST, .element = (of)                                                            \
    }
#define WORDS(text)                                                                                \
    {                                                                                              \
        .kind = S_STRING, .words = (text)                                                          \
    }

static const struct shape any_object = {.kind = S_OBJECT}, text = {.kind = S_STRING},
                          filled = {.kind = S_STRING, .min = 1}, flag = {.kind = S_BOOL},
                          blob = {.kind = S_BLOB, .min = 1},
                          empty = {.kind = S_STRUCT, .members = (const struct member[]){{0}}};
static const struct shape tool_name = {.kind = S_STRING, .min = 1, .max = 64, .chars = "_-"},
                          tool_use_id = {.kind = S_STRING, .min = 1, .max = 64, .chars = "_.:-"};

static const struct shape cache_type = WORDS("|default|"), cache_ttl = WORDS("|5m|1h|");
static const struct shape cache_point =
    STRUCT({"type", &cache_type, true}, {"ttl", &cache_ttl, false});

static const struct shape s3_location =
    STRUCT({"uri", &filled, true}, {"bucketOwner", &text, false});
static const struct shape source =
    UNION({"bytes", &blob, false}, {"s3Location", &s3_location, false});

static const struct shape image_format = WORDS("|png|jpeg|gif|webp|"),
                          video_format = WORDS("|mkv|mov|mp4|webm|flv|mpeg|mpg|wmv|three_gp|"),
                          audio_format = WORDS("|mp3|opus|wav|aac|flac|mp4|ogg|mkv|mka|x-aac|m4a|"
                                               "mpeg|mpga|pcm|webm|"),
                          document_format = WORDS("|pdf|csv|doc|docx|xls|xlsx|html|txt|md|");
static const struct shape image =
                              STRUCT({"format", &image_format, true}, {"source", &source, true}),
                          video =
                              STRUCT({"format", &video_format, true}, {"source", &source, true}),
                          audio =
                              STRUCT({"format", &audio_format, true}, {"source", &source, true});

static const struct shape text_block = UNION({"text", &text, false}),
                          text_blocks = LIST(&text_block);
static const struct shape citations_config = STRUCT({"enabled", &flag, true});
static const struct shape document_name = {
    .kind = S_STRING, .min = 1, .max = 200, .chars = " \t-()[]"};
static const struct shape document_source =
    UNION({"bytes", &blob, false}, {"s3Location", &s3_location, false}, {"text", &text, false},
          {"content", &text_blocks, false});
static const struct shape document =
    STRUCT({"format", &document_format, false}, {"name", &document_name, true},
           {"source", &document_source, true}, {"context", &text, false},
           {"citations", &citations_config, false});

static const struct shape tool_use = STRUCT(
    {"toolUseId", &tool_use_id, true}, {"name", &tool_name, true}, {"input", &any_object, true});
static const struct shape result_block =
    UNION({"json", &any_object, false}, {"text", &text, false}, {"image", &image, false},
          {"document", &document, false}, {"video", &video, false});
static const struct shape result_blocks = LIST(&result_block),
                          result_status = WORDS("|success|error|");
static const struct shape tool_result =
    STRUCT({"toolUseId", &tool_use_id, true}, {"content", &result_blocks, true},
           {"status", &result_status, false});

static const struct shape guard_qualifier = WORDS("|grounding_source|query|guard_content|"),
                          guard_qualifiers = LIST(&guard_qualifier);
static const struct shape guard_text =
    STRUCT({"text", &text, true}, {"qualifiers", &guard_qualifiers, false});
static const struct shape guard_content =
    UNION({"text", &guard_text, false}, {"image", &image, false});

static const struct shape reasoning_text =
    STRUCT({"text", &text, true}, {"signature", &text, false});
static const struct shape reasoning =
    UNION({"reasoningText", &reasoning_text, false}, {"redactedContent", &blob, false});
static const struct shape citation_list = LIST(&any_object);
static const struct shape cited =
    STRUCT({"content", &text_blocks, false}, {"citations", &citation_list, false});

static const struct shape block =
    UNION({"text", &text, false}, {"image", &image, false}, {"document", &document, false},
          {"video", &video, false}, {"audio", &audio, false}, {"toolUse", &tool_use, false},
          {"toolResult", &tool_result, false}, {"guardContent", &guard_content, false},
          {"cachePoint", &cache_point, false}, {"reasoningContent", &reasoning, false},
          {"citationsContent", &cited, false});
static const struct shape blocks = LIST(&block), role = WORDS("|user|assistant|");
static const struct shape message = STRUCT({"role", &role, true}, {"content", &blocks, true});
static const struct shape messages = LIST(&message);

static const struct shape system_block =
    UNION({"text", &filled, false}, {"guardContent", &guard_content, false},
          {"cachePoint", &cache_point, false});
static const struct shape system_blocks = LIST(&system_block);

static const struct shape max_tokens = {.kind = S_INT, .min = 1, .max = 1000000000},
                          fraction = {.kind = S_NUMBER, .max = 1},
                          stop_sequences = {.kind = S_LIST, .max = 2500, .element = &filled};
static const struct shape inference =
    STRUCT({"maxTokens", &max_tokens, false}, {"temperature", &fraction, false},
           {"topP", &fraction, false}, {"stopSequences", &stop_sequences, false});

static const struct shape input_schema = UNION({"json", &any_object, false});
static const struct shape tool_spec =
    STRUCT({"name", &tool_name, true}, {"description", &filled, false},
           {"inputSchema", &input_schema, true}, {"strict", &flag, false});
static const struct shape system_tool = STRUCT({"name", &tool_name, true});
static const struct shape tool =
    UNION({"toolSpec", &tool_spec, false}, {"systemTool", &system_tool, false},
          {"cachePoint", &cache_point, false});
static const struct shape tools = {.kind = S_LIST, .min = 1, .element = &tool};
static const struct shape named_choice = STRUCT({"name", &tool_name, true});
static const struct shape tool_choice =
    UNION({"auto", &empty, false}, {"any", &empty, false}, {"tool", &named_choice, false});
static const struct shape tool_config =
    STRUCT({"tools", &tools, true}, {"toolChoice", &tool_choice, false});

static const struct shape latency = WORDS("|standard|optimized|"),
                          performance = STRUCT({"latency", &latency, false});
static const struct shape tier = WORDS("|priority|default|flex|reserved|"),
                          service_tier = STRUCT({"type", &tier, true});
static const struct shape format_type = WORDS("|json_schema|");
static const struct shape json_schema =
    STRUCT({"schema", &text, true}, {"name", &text, false}, {"description", &text, false});
static const struct shape structure = UNION({"jsonSchema", &json_schema, false});
static const struct shape text_format =
    STRUCT({"type", &format_type, true}, {"structure", &structure, true});
static const struct shape effort = WORDS("|low|medium|high|xhigh|max|");
static const struct shape output_config =
    STRUCT({"textFormat", &text_format, false}, {"effort", &effort, false});
static const struct shape pointer = {.kind = S_STRING, .min = 1, .max = 256},
                          pointers = {.kind = S_LIST, .max = 10, .element = &pointer};

static const struct shape request = STRUCT(
    {"messages", &messages, true}, {"system", &system_blocks, false},
    {"inferenceConfig", &inference, false}, {"toolConfig", &tool_config, false},
    {"guardrailConfig", &any_object, false}, {"additionalModelRequestFields", &any_object, false},
    {"additionalModelResponseFieldPaths", &pointers, false},
    {"requestMetadata", &any_object, false}, {"performanceConfig", &performance, false},
    {"serviceTier", &service_tier, false}, {"outputConfig", &output_config, false});

/* ---- shapes, checked ---- */

struct check {
    char *why;
    size_t why_size;
};

static bool refuse(struct check *c, const char *fmt, ...) CHECKED_FMT(2);
static bool refuse(struct check *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->why, c->why_size, fmt, ap);
    va_end(ap);
    return false;
}

static bool fits(struct check *c, const char *path, const struct shape *s, struct slice v);

static bool members_fit(struct check *c, const char *path, const struct shape *s, struct slice v)
{
    struct json j;
    struct slice key, value;
    bool started = false;
    uint32_t seen = 0;
    char inner[200];
    json_init(&j, v);
    if (v.p[0] != '{' || !json_enter(&j, '{'))
        return refuse(c, "Malformed input request: %s: must be an object.", path);
    while (json_next_member(&j, &started, &key, &value)) {
        size_t i = 0;
        while (s->members[i].name != NULL && !slice_is(key, s->members[i].name))
            i++;
        if (s->members[i].name == NULL)
            return refuse(
                c, "Malformed input request: %s: extraneous key [" SLICE_FMT "] is not permitted.",
                path, SLICE_ARG(key));
        if (seen >> i & 1)
            return refuse(c, "Malformed input request: %s: [" SLICE_FMT "] is given twice.", path,
                          SLICE_ARG(key));
        seen |= 1u << i;
        snprintf(inner, sizeof inner, "%s/%s", path, s->members[i].name);
        if (!fits(c, inner, s->members[i].shape, value))
            return false;
    }
    if (s->kind == S_UNION)
        return __builtin_popcount(seen) == 1 ||
               refuse(c, "Malformed input request: %s: exactly one member must be set.", path);
    for (size_t i = 0; s->members[i].name != NULL; i++)
        if (s->members[i].required && !(seen >> i & 1))
            return refuse(c, "Malformed input request: %s: required key [%s] not found.", path,
                          s->members[i].name);
    return true;
}

static bool elements_fit(struct check *c, const char *path, const struct shape *s, struct slice v)
{
    struct json j;
    struct slice value;
    bool started = false;
    int64_t n = 0;
    char inner[200];
    json_init(&j, v);
    if (v.p[0] != '[' || !json_enter(&j, '['))
        return refuse(c, "Malformed input request: %s: must be a list.", path);
    while (json_next_element(&j, &started, &value)) {
        snprintf(inner, sizeof inner, "%s/%d", path, (int)n++);
        if (!fits(c, inner, s->element, value))
            return false;
    }
    if (n < s->min || (s->max > 0 && n > s->max))
        return refuse(c, "%s: has %d elements, which is too few or too many.", path, (int)n);
    return true;
}

static bool in_chars(char ch, const char *chars)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
           (ch != '\0' && strchr(chars, ch) != NULL);
}

static bool text_fits(struct check *c, const char *path, const struct shape *s, struct slice plain)
{
    char word[128];
    if ((int64_t)plain.len < s->min || (s->max > 0 && (int64_t)plain.len > s->max))
        return refuse(c, "Value at '%s' failed to satisfy constraint: length.", path);
    for (size_t i = 0; s->chars != NULL && i < plain.len; i++)
        if (!in_chars(plain.p[i], s->chars))
            return refuse(c, "Value at '%s' failed to satisfy constraint: pattern.", path);
    if (s->words == NULL)
        return true;
    snprintf(word, sizeof word, "|" SLICE_FMT "|", SLICE_ARG(plain));
    return strstr(s->words, word) != NULL ||
           refuse(c, "Value '" SLICE_FMT "' at '%s' failed to satisfy constraint: enum value set.",
                  SLICE_ARG(plain), path);
}

static bool string_fits(struct check *c, const char *path, const struct shape *s, struct slice v)
{
    struct bytes plain = {0};
    if (!json_is_string(v))
        return refuse(c, "Malformed input request: %s: must be a string.", path);
    json_decode(v, &plain);
    bool ok = text_fits(c, path, s, bytes_slice(&plain));
    bytes_fini(&plain);
    return ok;
}

/* Base64 with its padding (RFC 4648 section 4). */
static bool blob_fits(struct check *c, const char *path, struct slice v)
{
    struct bytes plain = {0};
    if (!json_is_string(v))
        return refuse(c, "Malformed input request: %s: must be a string.", path);
    json_decode(v, &plain);
    size_t n = plain.len, i = 0;
    while (i < n && in_chars(plain.p[i], "+/"))
        i++;
    bool ok = n > 0 && n % 4 == 0 && n - i <= 2;
    for (; i < n; i++)
        ok = ok && plain.p[i] == '=';
    bytes_fini(&plain);
    return ok || refuse(c, "Malformed input request: %s: is not base64.", path);
}

static bool number_fits(struct check *c, const char *path, const struct shape *s, struct slice v)
{
    char number[64];
    int64_t whole;
    if (v.len == 0 || v.len >= sizeof number || !strchr("-0123456789", v.p[0]))
        return refuse(c, "Malformed input request: %s: must be a number.", path);
    snprintf(number, sizeof number, SLICE_FMT, SLICE_ARG(v));
    double d = strtod(number, NULL);
    if (s->kind == S_INT && !slice_to_int(v, &whole))
        return refuse(c, "Malformed input request: %s: must be an integer.", path);
    if (d < (double)s->min || d > (double)s->max)
        return refuse(c, "Value '%s' at '%s' failed to satisfy constraint: range.", number, path);
    return true;
}

static bool fits(struct check *c, const char *path, const struct shape *s, struct slice v)
{
    switch (s->kind) {
    case S_STRUCT:
    case S_UNION:
        return members_fit(c, path, s, v);
    case S_LIST:
        return elements_fit(c, path, s, v);
    case S_STRING:
        return string_fits(c, path, s, v);
    case S_INT:
    case S_NUMBER:
        return number_fits(c, path, s, v);
    case S_BOOL:
        return slice_is(v, "true") || slice_is(v, "false") ||
               refuse(c, "Malformed input request: %s: must be a boolean.", path);
    case S_OBJECT:
        return v.p[0] == '{' || refuse(c, "Malformed input request: %s: must be an object.", path);
    case S_BLOB:
        return blob_fits(c, path, v);
    }
    return false;
}

/* ---- what has to hold between blocks ---- */

enum { MAX_CALLS = 64 };

struct conversation {
    struct check *c;
    struct slice calls[MAX_CALLS]; /* ids of the last turn's, raw; answered ones are {NULL,0} */
    size_t n_calls;
    struct slice documents[64];
    size_t n_documents;
    bool has_tools, user;
    int turn;
};

static bool is_blank(struct slice value)
{
    struct bytes plain = {0};
    json_decode(value, &plain);
    struct slice s = bytes_slice(&plain);
    while (s.len > 0 && memchr(" \t\r\n", s.p[0], 4) != NULL) {
        s.p++;
        s.len--;
    }
    bytes_fini(&plain);
    return s.len == 0;
}

static bool document_ok(struct conversation *v, struct slice value)
{
    struct slice name = json_inner(json_get(value, "name"));
    for (size_t i = 0; i + 1 < name.len; i++)
        if (name.p[i] == ' ' && name.p[i + 1] == ' ')
            return refuse(v->c, "The document file name can only contain one whitespace character "
                                "in a row.");
    for (size_t i = 0; i < v->n_documents; i++)
        if (slice_eq(v->documents[i], name))
            return refuse(v->c, "Document names must be unique: '" SLICE_FMT "'.", SLICE_ARG(name));
    if (v->n_documents < ARRAY_LEN(v->documents))
        v->documents[v->n_documents++] = name;
    return true;
}

static bool call_ok(struct conversation *v, struct slice value)
{
    v->has_tools = true;
    if (v->user)
        return refuse(v->c, "User messages cannot contain tool uses.");
    if (v->n_calls == MAX_CALLS)
        return refuse(v->c, "Too many tool uses.");
    v->calls[v->n_calls++] = json_inner(json_get(value, "toolUseId"));
    return true;
}

static bool result_blocks_ok(struct conversation *v, struct slice content)
{
    struct json j;
    struct slice one;
    bool started = false;
    json_init(&j, content);
    json_enter(&j, '[');
    while (json_next_element(&j, &started, &one)) {
        struct slice said = json_get(one, "text"), file = json_get(one, "document");
        if (said.p != NULL && is_blank(said))
            return refuse(v->c, "The text field in the ContentBlock object is blank.");
        if (file.p != NULL && !document_ok(v, file))
            return false;
    }
    return true;
}

static bool result_ok(struct conversation *v, struct slice value)
{
    struct slice id = json_inner(json_get(value, "toolUseId"));
    v->has_tools = true;
    if (!v->user)
        return refuse(v->c, "Assistant messages cannot contain tool results.");
    for (size_t i = 0; i < v->n_calls; i++) {
        if (v->calls[i].p == NULL || !slice_eq(v->calls[i], id))
            continue;
        v->calls[i] = (struct slice){NULL, 0};
        return result_blocks_ok(v, json_get(value, "content"));
    }
    return refuse(v->c,
                  "The number of toolResult blocks at messages.%d.content exceeds the number "
                  "of toolUse blocks of previous turn.",
                  v->turn);
}

static bool reasoning_ok(struct conversation *v, struct slice value)
{
    struct slice said = json_get(value, "reasoningText"), sig = json_get(said, "signature");
    struct bytes plain = {0}, signature = {0};
    if (v->user)
        return refuse(v->c, "User messages cannot contain reasoning content.");
    if (said.p == NULL)
        return true;
    if (sig.p == NULL)
        return refuse(v->c, "messages.%d.content: reasoningText.signature: Field required.",
                      v->turn);
    json_decode(json_get(said, "text"), &plain);
    json_decode(sig, &signature);
    bool ok = sample_signature_fits(bytes_slice(&signature), SAMPLE_CLAUDE, bytes_slice(&plain));
    bytes_fini(&plain);
    bytes_fini(&signature);
    return ok ||
           refuse(v->c, "messages.%d.content: Invalid `signature` in `thinking` block.", v->turn);
}

struct turn {
    bool has_text, has_document;
};

static bool block_ok(struct conversation *v, struct slice value, struct turn *t)
{
    static const char *const of_users[] = {"image", "document", "video", "audio", "guardContent"};
    struct slice said = json_get(value, "text"), call = json_get(value, "toolUse"),
                 result = json_get(value, "toolResult"),
                 thought = json_get(value, "reasoningContent"), file = json_get(value, "document");
    for (size_t i = 0; i < ARRAY_LEN(of_users) && !v->user; i++)
        if (json_get(value, of_users[i]).p != NULL)
            return refuse(v->c, "messages.%d: %s can only stand in messages of the user.", v->turn,
                          of_users[i]);
    if (said.p != NULL && is_blank(said))
        return refuse(v->c,
                      "The text field in the ContentBlock object at messages.%d.content is "
                      "blank. Add text to the text field, and try again.",
                      v->turn);
    t->has_text |= said.p != NULL;
    t->has_document |= file.p != NULL;
    if (call.p != NULL)
        return call_ok(v, call);
    if (result.p != NULL)
        return result_ok(v, result);
    if (thought.p != NULL)
        return reasoning_ok(v, thought);
    return file.p == NULL || document_ok(v, file);
}

static bool all_answered(struct conversation *v)
{
    for (size_t i = 0; i < v->n_calls; i++)
        if (v->calls[i].p != NULL)
            return refuse(v->c,
                          "Expected toolResult blocks at messages.%d.content for the "
                          "following Ids: " SLICE_FMT,
                          v->turn, SLICE_ARG(v->calls[i]));
    v->n_calls = 0;
    return true;
}

static bool turn_ok(struct conversation *v, struct slice value)
{
    struct json j;
    struct slice one, content = json_get(value, "content");
    struct turn t = {false, false};
    bool started = false, user = slice_is(json_get(value, "role"), "\"user\"");
    if (v->turn == 0 && !user)
        return refuse(v->c, "A conversation must start with a user message. Try again with a "
                            "conversation that starts with a user message.");
    if (v->turn > 0 && user == v->user)
        return refuse(v->c, "A conversation must alternate between user and assistant roles. Make "
                            "sure the conversation alternates between user and assistant roles "
                            "and try again.");
    v->user = user;
    json_init(&j, content);
    json_enter(&j, '[');
    while (json_next_element(&j, &started, &one))
        if (!block_ok(v, one, &t))
            return false;
    if (!started || content.len <= 2)
        return refuse(v->c,
                      "The content field in the Message object at messages.%d is empty. Add a "
                      "ContentBlock object to the content field and try again.",
                      v->turn);
    if (t.has_document && !t.has_text)
        return refuse(v->c, "A text block is required in a message that has a document.");
    if (user && !all_answered(v))
        return false;
    v->turn++;
    return true;
}

static bool choice_ok(struct check *c, struct slice config)
{
    struct slice name = json_get(json_get(json_get(config, "toolChoice"), "tool"), "name"), one;
    struct json j;
    bool started = false;
    if (name.p == NULL)
        return true;
    json_init(&j, json_get(config, "tools"));
    json_enter(&j, '[');
    while (json_next_element(&j, &started, &one))
        if (slice_eq(json_get(json_get(one, "toolSpec"), "name"), name))
            return true;
    return refuse(c, "The tool choice names a tool that is not among the tools.");
}

/* Claude's rules for thinking (userguide/claude-messages-extended-thinking.html). */
static bool thinking_ok(struct check *c, struct slice body)
{
    struct slice fields = json_get(body, "additionalModelRequestFields"),
                 thinking = json_get(fields, "thinking"), type = json_get(thinking, "type"),
                 config = json_get(body, "inferenceConfig"),
                 choice = json_get(json_get(body, "toolConfig"), "toolChoice"),
                 temperature = json_get(config, "temperature");
    int64_t budget = 0, max = INT64_MAX;
    if (thinking.p == NULL || slice_is(type, "\"disabled\""))
        return true;
    if (!slice_is(type, "\"enabled\"") && !slice_is(type, "\"adaptive\""))
        return refuse(c, "thinking.type: Input should be 'enabled', 'adaptive' or 'disabled'.");
    if (slice_is(type, "\"enabled\"") &&
        (!slice_to_int(json_get(thinking, "budget_tokens"), &budget) || budget < 1024))
        return refuse(c, "thinking.enabled.budget_tokens: Input should be greater than or equal to "
                         "1024.");
    if (slice_to_int(json_get(config, "maxTokens"), &max) && budget >= max)
        return refuse(c, "`max_tokens` must be greater than `thinking.budget_tokens`.");
    if (temperature.p != NULL && !slice_is(temperature, "1"))
        return refuse(c, "`temperature` may only be set to 1 when thinking is enabled.");
    if (json_get(fields, "top_k").p != NULL)
        return refuse(c, "`top_k` must be unset when thinking is enabled.");
    if (json_get(choice, "any").p != NULL || json_get(choice, "tool").p != NULL)
        return refuse(c, "Thinking may not be enabled when tool_choice forces tool use.");
    return true;
}

bool bedrock_check(struct slice body, char *why, size_t why_size)
{
    struct check c = {why, why_size};
    struct conversation *v = xcalloc(1, sizeof *v);
    struct json j;
    struct slice one;
    bool started = false, ok = fits(&c, "#", &request, body);
    v->c = &c;
    if (ok) {
        json_init(&j, json_get(body, "messages"));
        json_enter(&j, '[');
        while (ok && json_next_element(&j, &started, &one))
            ok = turn_ok(v, one);
        if (ok && v->turn == 0)
            ok = refuse(&c, "The messages field is empty. Add messages and try again.");
    }
    if (ok && v->has_tools && json_get(body, "toolConfig").p == NULL)
        ok = refuse(&c, "The toolConfig field must be defined when using toolUse and toolResult "
                        "content blocks.");
    ok = ok && choice_ok(&c, json_get(body, "toolConfig")) && thinking_ok(&c, body);
    free(v);
    return ok;
}
