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
#include "tests/mockllm/shape.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool refuse(char *why, size_t size, const char *text)
{
    snprintf(why, size, "%s", text);
    return false;
}

static bool check(struct slice body, const struct shape_member *table, char *why, size_t size)
{
    static const char *const texts[][2] = {
        [SHAPE_EXTRA] = {"extraneous key [", "] is not permitted"},
        [SHAPE_TYPE] = {"/", " is not of its type"},
        [SHAPE_MISSING] = {"required key [", "] not found"},
    };
    struct slice name;
    enum shape_fault fault = shape_check(body, table, &name);
    if (fault == SHAPE_FITS)
        return true;
    snprintf(why, size,
             "Malformed input request: #: %s" SLICE_FMT
             "%s, please reformat your input and try again.",
             texts[fault][0], SLICE_ARG(name), texts[fault][1]);
    return false;
}

static const char *const purposes[] = {"search_document", "search_query", "classification",
                                       "clustering", NULL};
static const char *const v3_cuts[] = {"NONE", "START", "END", NULL};
static const char *const v4_cuts[] = {"NONE", "LEFT", "RIGHT", NULL};
static const struct shape_member titan_v1[] = {{"inputText", SHAPE_STRING, true, NULL}, {0}};
static const struct shape_member titan_v2[] = {{"inputText", SHAPE_STRING, true, NULL},
                                               {"dimensions", SHAPE_INT, false, NULL},
                                               {"normalize", SHAPE_BOOL, false, NULL},
                                               {"embeddingTypes", SHAPE_STRINGS, false, NULL},
                                               {0}};
static const struct shape_member cohere_v3[] = {{"texts", SHAPE_STRINGS, true, NULL},
                                                {"input_type", SHAPE_STRING, true, purposes},
                                                {"truncate", SHAPE_STRING, false, v3_cuts},
                                                {"embedding_types", SHAPE_STRINGS, false, NULL},
                                                {0}};
static const struct shape_member cohere_v4[] = {{"texts", SHAPE_STRINGS, true, NULL},
                                                {"input_type", SHAPE_STRING, true, purposes},
                                                {"truncate", SHAPE_STRING, false, v4_cuts},
                                                {"embedding_types", SHAPE_STRINGS, false, NULL},
                                                {"output_dimension", SHAPE_INT, false, NULL},
                                                {"max_tokens", SHAPE_INT, false, NULL},
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
    const struct shape_member *table = is_model(call, "titan-embed-text-v1") ? titan_v1
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
