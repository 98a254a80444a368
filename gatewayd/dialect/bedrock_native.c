/*
 * bedrock_native.c: requests that stay in this dialect.
 *
 * The model stands in the path, so the body goes as it came, byte for byte; what is read is what
 * the bounds need: who may generate how much, and how large the prompt is. Answers and events are
 * read by the codec.
 */
#include "gatewayd/dialect/bedrock.h"
#include "gatewayd/dialect/meter.h"

#include <stdio.h>

struct light {
    const struct json_doc *d;
    struct dialect_request *out;
    struct dialect_refusal *why;
};

static int wrong_type(struct light *r, const char *param, uint32_t v, const char *expected)
{
    return dialect_refuse(r->why, "invalid_type", param, "%s: must be %s, not %s.", param, expected,
                          json_type_name(json_type(r->d, v)));
}

/* The largest of all limits that are given: models take some of their own beside the API's. */
static int read_limit(struct light *r, const char *param, uint32_t v)
{
    int64_t n;
    if (v == JSON_NONE || json_is_null(r->d, v))
        return 0;
    if (json_i64(r->d, v, &n) < 0 || n < 0 || n > USAGE_MAX_TOKENS)
        return dialect_refuse(r->why, "invalid_value", param,
                              "%s: must be an integer from 0 to %d.", param, (int)USAGE_MAX_TOKENS);
    r->out->max_output_tokens = GW_MAX(r->out->max_output_tokens, n);
    return 0;
}

/* ---- what the prompt holds ---- */

static bool holds_bytes(const struct json_doc *d, uint32_t media)
{
    uint32_t source = json_get_lit(d, media, "source");
    return json_get_lit(d, source, "bytes") != JSON_NONE ||
           json_get_lit(d, source, "s3Location") != JSON_NONE;
}

static void count_media(struct light *r, uint32_t *counter, uint32_t media)
{
    if (!holds_bytes(r->d, media))
        return;
    ++*counter;
    r->out->prompt_bytes -= json_raw(r->d, media).n;
}

static bool count_member(struct light *r, uint32_t k)
{
    if (json_str_eq_lit(r->d, k, "image"))
        count_media(r, &r->out->images, k + 1);
    else if (json_str_eq_lit(r->d, k, "audio"))
        count_media(r, &r->out->audios, k + 1);
    else if (json_str_eq_lit(r->d, k, "document") || json_str_eq_lit(r->d, k, "video"))
        count_media(r, &r->out->files, k + 1);
    else
        return false;
    return true;
}

/* Blocks that are metered by what they show or hold, not by their bytes here; results of tools and
 * guarded content hold such blocks too. */
static void count_blocks(struct light *r, uint32_t content)
{
    json_foreach_element(r->d, content, block)
    {
        json_foreach_member(r->d, block, k)
        {
            if (count_member(r, k))
                continue;
            if (json_str_eq_lit(r->d, k, "toolResult"))
                json_foreach_element(r->d, json_get_lit(r->d, k + 1, "content"), inner)
                {
                    json_foreach_member(r->d, inner, ik)
                    {
                        (void)count_member(r, ik);
                    }
                }
            if (json_str_eq_lit(r->d, k, "guardContent"))
                json_foreach_member(r->d, k + 1, ik)
                {
                    (void)count_member(r, ik);
                }
        }
    }
}

static int read_messages(struct light *r, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, "messages", v, "an array");
    r->out->messages = json_count(r->d, v);
    r->out->prompt_bytes += json_raw(r->d, v).n;
    uint32_t index = 0;
    json_foreach_element(r->d, v, m)
    {
        if (json_type(r->d, m) != JSON_OBJECT) {
            char at[32];
            snprintf(at, sizeof at, "messages[%u]", index);
            return wrong_type(r, at, m, "an object");
        }
        index++;
        json_foreach_member(r->d, m, k)
        {
            if (json_str_eq_lit(r->d, k, "content"))
                count_blocks(r, k + 1);
        }
    }
    return 0;
}

static int read_system(struct light *r, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, "system", v, "an array");
    r->out->prompt_bytes += json_raw(r->d, v).n;
    count_blocks(r, v);
    return 0;
}

static int read_inference(struct light *r, uint32_t v)
{
    if (json_type(r->d, v) != JSON_OBJECT)
        return wrong_type(r, "inferenceConfig", v, "an object");
    json_foreach_member(r->d, v, k)
    {
        if (json_str_eq_lit(r->d, k, "maxTokens") &&
            read_limit(r, "inferenceConfig.maxTokens", k + 1) < 0)
            return -1;
    }
    return 0;
}

static int read_tools(struct light *r, uint32_t v)
{
    if (json_type(r->d, v) != JSON_OBJECT)
        return wrong_type(r, "toolConfig", v, "an object");
    r->out->prompt_bytes += json_raw(r->d, v).n;
    json_foreach_element(r->d, json_get_lit(r->d, v, "tools"), tool)
    {
        r->out->tools += json_get_lit(r->d, tool, "cachePoint") == JSON_NONE;
        r->out->hosted_tools |= json_get_lit(r->d, tool, "systemTool") != JSON_NONE;
    }
    return 0;
}

/* Limits by the models' own names: Claude, Mistral, DeepSeek; Llama; Titan; Nova. */
static int read_model_fields(struct light *r, uint32_t v)
{
    static const struct slice limits[] = {
        SLICE_LIT("max_tokens"),
        SLICE_LIT("max_tokens_to_sample"),
        SLICE_LIT("max_gen_len"),
        SLICE_LIT("maxTokens"),
        SLICE_LIT("max_new_tokens"),
        SLICE_LIT("maxTokenCount"),
        SLICE_LIT("max_completion_tokens"),
    };
    static const struct slice nested[] = {SLICE_LIT("inferenceConfig"),
                                          SLICE_LIT("textGenerationConfig")};
    json_foreach_member(r->d, v, k)
    {
        for (size_t i = 0; i < ARRAY_LEN(limits); i++)
            if (json_str_eq(r->d, k, limits[i]) &&
                read_limit(r, "additionalModelRequestFields", k + 1) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_LEN(nested); i++)
            if (json_str_eq(r->d, k, nested[i]))
                json_foreach_member(r->d, k + 1, ik)
                {
                    for (size_t j = 0; j < ARRAY_LEN(limits); j++)
                        if (json_str_eq(r->d, ik, limits[j]) &&
                            read_limit(r, "additionalModelRequestFields", ik + 1) < 0)
                            return -1;
                }
    }
    return 0;
}

/* A stored prompt brings text that isn't seen here. */
static int read_variables(struct light *r, uint32_t v)
{
    r->out->hosted_tools = true;
    r->out->prompt_bytes += json_raw(r->d, v).n;
    return 0;
}

static const struct {
    struct slice name;
    int (*read)(struct light *r, uint32_t v);
} members[] = {
    {SLICE_LIT("messages"), read_messages},
    {SLICE_LIT("system"), read_system},
    {SLICE_LIT("inferenceConfig"), read_inference},
    {SLICE_LIT("toolConfig"), read_tools},
    {SLICE_LIT("additionalModelRequestFields"), read_model_fields},
    {SLICE_LIT("promptVariables"), read_variables},
};

/* What CountTokens counts: a Converse request. The body of an InvokeModel is not looked into. */
static uint32_t counted(const struct json_doc *d)
{
    return json_get_lit(d, json_get_lit(d, JSON_ROOT, "input"), "converse");
}

static int read_members(struct light *r, uint32_t request)
{
    uint32_t seen = 0;
    json_foreach_member(r->d, request, k)
    {
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
            if (!json_str_eq(r->d, k, members[i].name))
                continue;
            if (seen >> i & 1)
                return dialect_refuse(r->why, "duplicate_member", members[i].name.p,
                                      "%s: is given more than once.", members[i].name.p);
            seen |= 1u << i;
            if (!json_is_null(r->d, k + 1) && members[i].read(r, k + 1) < 0)
                return -1;
        }
    }
    return 0;
}

static bool is_stored_prompt(struct slice model)
{
    static const struct slice mark = SLICE_LIT(":prompt/");
    return memmem(model.p, model.n, mark.p, mark.n) != NULL;
}

int bedrock_read_request(struct json_doc *d, struct slice body, enum dialect_op op,
                         struct slice default_model, struct dialect_request *out,
                         struct dialect_refusal *why)
{
    struct light r = {.d = d, .out = out, .why = why};
    struct errbuf e;
    memset(out, 0, sizeof *out);
    out->op = op;
    out->max_output_tokens = out->n = out->best_of = -1;
    if (default_model.n == 0 || default_model.n > DIALECT_NAME_BYTES)
        return dialect_refuse(why, "invalid_value", "modelId",
                              "modelId: must be a name of 1 to %d bytes in the path.",
                              DIALECT_NAME_BYTES);
    memcpy(out->model.s, default_model.p, default_model.n);
    out->model.n = (uint8_t)default_model.n;
    if (json_parse(d, body.p, body.n) < 0) {
        json_parse_error(d, &e);
        return dialect_refuse(why, "invalid_json", "", "The request body is not valid JSON: %s.",
                              e.msg);
    }
    if (json_type(d, JSON_ROOT) != JSON_OBJECT)
        return dialect_refuse(why, "invalid_json", "",
                              "The request body must be a JSON object, not %s.",
                              json_type_name(json_type(d, JSON_ROOT)));
    out->root = (struct dialect_span){d->toks[JSON_ROOT].off, d->toks[JSON_ROOT].end};
    out->include_usage = true; /* its streams always carry it */
    out->hosted_tools = is_stored_prompt(default_model);
    uint32_t request = op == DIALECT_COUNT_TOKENS ? counted(d) : JSON_ROOT;
    if (request == JSON_NONE)
        out->prompt_bytes = body.n;
    return read_members(&r, request);
}

int bedrock_rewrite_request(const struct dialect_request *req, const struct dialect_rewrite *how,
                            struct splices *out, bool *injected)
{
    splices_reset(out);
    *injected = false;
    return 0;
}

int bedrock_read_response(struct json_doc *d, struct slice body, enum dialect_op op,
                          struct dialect_response *out)
{
    return meter_response(&codec_bedrock, d, body, op, out);
}

void bedrock_stream_init(struct dialect_stream *s, enum dialect_op op, bool usage_injected)
{
    meter_stream_init(s, &codec_bedrock, op);
}
