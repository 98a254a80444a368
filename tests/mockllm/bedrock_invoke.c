/*
 * bedrock_invoke.c: InvokeModel as Titan's and Cohere's embeddings models take and answer it, and
 * CountTokens.
 *
 * Bodies:
 * https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html,
 * model-parameters-embed-v3.html, model-parameters-embed-v4.html; refusals are worded as the
 * service words a body that is not of its model's schema. CountTokens:
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html.
 */
#include "tests/mockllm/bedrock_invoke.h"

#include "tests/mockllm/bedrock_check.h"
#include "tests/mockllm/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool refuse(char *why, size_t size, const char *text)
{
    snprintf(why, size, "%s", text);
    return false;
}

/* "type" of a member: s string, i integer, b boolean, t list of strings. */
struct member {
    const char *name, *type;
    bool required;
    const char *const *words; /* it must be one of; ends with NULL */
};

static bool is_int(struct slice v)
{
    int64_t n;
    return slice_to_int(v, &n);
}

static bool fits(const struct member *m, struct slice v)
{
    struct slice one;
    struct json j;
    bool started = false;
    switch (m->type[0]) {
    case 's':
        break;
    case 'i':
        return is_int(v);
    case 'b':
        return slice_is(v, "true") || slice_is(v, "false");
    default:
        json_init(&j, v);
        if (v.p[0] != '[' || !json_enter(&j, '['))
            return false;
        while (json_next_element(&j, &started, &one))
            if (!json_is_string(one))
                return false;
        return true;
    }
    if (!json_is_string(v))
        return false;
    for (const char *const *w = m->words; w != NULL && *w != NULL; w++)
        if (slice_is(json_inner(v), *w))
            return true;
    return m->words == NULL;
}

static bool check(struct slice body, const struct member *table, char *why, size_t size)
{
    struct json j;
    struct slice key, value;
    bool started = false;
    json_init(&j, body);
    json_enter(&j, '{');
    while (json_next_member(&j, &started, &key, &value)) {
        const struct member *m = table;
        while (m->name != NULL && !slice_is(key, m->name))
            m++;
        if (m->name == NULL) {
            snprintf(why, size,
                     "Malformed input request: #: extraneous key [" SLICE_FMT
                     "] is not permitted, please reformat your input and try again.",
                     SLICE_ARG(key));
            return false;
        }
        if (!fits(m, value)) {
            snprintf(why, size,
                     "Malformed input request: #/%s: not of its type, please reformat your input "
                     "and try again.",
                     m->name);
            return false;
        }
    }
    for (const struct member *m = table; m->name != NULL; m++)
        if (m->required && json_get(body, m->name).p == NULL) {
            snprintf(
                why, size,
                "Malformed input request: #: required key [%s] not found, please reformat your "
                "input and try again.",
                m->name);
            return false;
        }
    return true;
}

static const char *const purposes[] = {"search_document", "search_query", "classification",
                                       "clustering", NULL};
static const char *const v3_cuts[] = {"NONE", "START", "END", NULL};
static const char *const v4_cuts[] = {"NONE", "LEFT", "RIGHT", NULL};
static const struct member titan_v1[] = {{"inputText", "s", true, NULL}, {0}};
static const struct member titan_v2[] = {{"inputText", "s", true, NULL},
                                         {"dimensions", "i", false, NULL},
                                         {"normalize", "b", false, NULL},
                                         {"embeddingTypes", "t", false, NULL},
                                         {0}};
static const struct member cohere_v3[] = {{"texts", "t", true, NULL},
                                          {"input_type", "s", true, purposes},
                                          {"truncate", "s", false, v3_cuts},
                                          {"embedding_types", "t", false, NULL},
                                          {0}};
static const struct member cohere_v4[] = {{"texts", "t", true, NULL},
                                          {"input_type", "s", true, purposes},
                                          {"truncate", "s", false, v4_cuts},
                                          {"embedding_types", "t", false, NULL},
                                          {"output_dimension", "i", false, NULL},
                                          {"max_tokens", "i", false, NULL},
                                          {0}};

static bool is_model(const struct call *call, const char *part)
{
    return memmem(call->model.p, call->model.len, part, strlen(part)) != NULL;
}

static bool one_of(struct slice v, const char *const *sizes)
{
    for (; *sizes != NULL; sizes++)
        if (slice_is(v, *sizes))
            return true;
    return v.p == NULL;
}

bool bedrock_invoke_read(struct call *call, char *why, size_t why_size)
{
    static const char *const titan_sizes[] = {"256", "512", "1024", NULL};
    static const char *const cohere_sizes[] = {"256", "512", "1024", "1536", NULL};
    struct slice body = call->req->body;
    const struct member *table = is_model(call, "titan-embed-text-v1") ? titan_v1
                                 : is_model(call, "titan-embed-text")  ? titan_v2
                                 : is_model(call, "cohere.embed-v4")   ? cohere_v4
                                 : is_model(call, "cohere.embed-")     ? cohere_v3
                                                                       : NULL;
    if (table == NULL)
        return refuse(why, why_size, "The provided model identifier is invalid.");
    if (!check(body, table, why, why_size))
        return false;
    if (!one_of(json_get(body, "dimensions"), titan_sizes))
        return refuse(why, why_size,
                      "Malformed input request: #/dimensions: is not a valid enum value");
    if (!one_of(json_get(body, "output_dimension"), cohere_sizes))
        return refuse(why, why_size, "output_dimension must be one of 256, 512, 1024, 1536");
    struct slice text =
        json_get(body, table == titan_v1 || table == titan_v2 ? "inputText" : "texts");
    call->prompt_tokens = (int64_t)(text.len + 3) / 4;
    return true;
}

/* ---- answers ---- */

/* The same text has the same vector. */
static void add_vector(struct bytes *b, struct slice text, int64_t dimensions)
{
    uint64_t seed = slice_hash(text);
    bytes_adds(b, "[");
    for (int64_t i = 0; i < dimensions; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
        bytes_addf(b, "%s%.9g", i > 0 ? ", " : "", (double)(int32_t)(seed >> 32) / 2147483648.0);
    }
    bytes_adds(b, "]");
}

static int64_t size_of(struct slice given, int64_t normal)
{
    int64_t n;
    return slice_to_int(given, &n) ? n : normal;
}

static void write_titan(const struct call *call, const struct script *s, struct reply *out)
{
    struct slice body = call->req->body;
    struct bytes *b = &out->text;
    int64_t size = size_of(json_get(body, "dimensions"), is_model(call, "v1") ? 1536 : 1024);
    bytes_adds(b, "{\"embedding\":");
    add_vector(b, json_get(body, "inputText"), size);
    if (s->usage != USAGE_ABSENT)
        bytes_addf(b, ",\"inputTextTokenCount\":%" PRId64, out->prompt_tokens);
    bytes_adds(b, "}");
}

/* Its bodies tell no tokens: the answer's head does. */
static void write_cohere(const struct call *call, const struct script *s, struct reply *out)
{
    struct slice body = call->req->body, text;
    struct bytes *b = &out->text;
    struct json j;
    bool started = false;
    int64_t size = size_of(json_get(body, "output_dimension"), is_model(call, "v4") ? 1536 : 1024);
    const char *glue = "";
    bytes_adds(b, "{\"id\":\"mock-embed\",\"response_type\":\"embeddings_by_type\",\"embeddings\":{"
                  "\"float\":[");
    json_init(&j, json_get(body, "texts"));
    json_enter(&j, '[');
    while (json_next_element(&j, &started, &text)) {
        bytes_adds(b, glue);
        add_vector(b, text, size);
        glue = ",";
    }
    bytes_adds(b, "]},\"texts\":");
    bytes_add_slice(b, json_get(body, "texts"));
    bytes_adds(b, "}");
    if (s->usage != USAGE_ABSENT)
        bytes_addf(&out->headers, "X-Amzn-Bedrock-Input-Token-Count: %" PRId64 "\r\n",
                   out->prompt_tokens);
}

void bedrock_invoke_write(const struct call *call, const struct script *s, struct reply *out)
{
    out->prompt_tokens = s->prompt != INT64_MIN ? s->prompt : call->prompt_tokens;
    if (is_model(call, "titan"))
        write_titan(call, s, out);
    else
        write_cohere(call, s, out);
    reply_end_piece(out, PIECE_WHOLE, 0);
}

/* ---- CountTokens ---- */

bool bedrock_count_read(struct call *call, char *why, size_t why_size)
{
    struct slice body = call->req->body, input = json_get(body, "input");
    struct slice converse = json_get(input, "converse"), key, value;
    static const char *const known[] = {"messages", "system", "toolConfig",
                                        "additionalModelRequestFields"};
    struct json j;
    bool started = false;
    if (input.p == NULL || input.p[0] != '{' || converse.p == NULL || converse.p[0] != '{')
        return refuse(why, why_size,
                      "1 validation error detected: Value at 'input' failed to satisfy constraint: "
                      "Member must be a union with exactly one member set");
    json_init(&j, converse);
    json_enter(&j, '{');
    while (json_next_member(&j, &started, &key, &value)) {
        size_t i = 0;
        while (i < ARRAY_LEN(known) && !slice_is(key, known[i]))
            i++;
        if (i == ARRAY_LEN(known)) {
            snprintf(why, why_size, "#/input/converse: extraneous key [" SLICE_FMT "]",
                     SLICE_ARG(key));
            return false;
        }
    }
    if (!bedrock_check(converse, why, why_size))
        return false;
    call->prompt_tokens = (int64_t)(converse.len + 3) / 4;
    return true;
}

void bedrock_count_write(const struct call *call, struct reply *out)
{
    bytes_addf(&out->text, "{\"inputTokens\":%" PRId64 "}", call->prompt_tokens);
    reply_end_piece(out, PIECE_WHOLE, 0);
}
