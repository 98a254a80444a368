/*
 * gemini_native.c: requests that leave in the dialect they came in.
 *
 * The path tells the model and whether the answer streams, so nothing is spliced: the body goes as
 * it came. Of it only what bounds the cost is read; answers are metered by what the codec reads.
 * A member that is read must stand once, in whichever of its two spellings: a second one would let
 * the gateway and the provider act on different values.
 */
#include "gatewayd/dialect/embed.h"
#include "gatewayd/dialect/gemini.h"

#include "gatewayd/dialect/meter.h"

#include <stdarg.h>
#include <stdio.h>

struct reader {
    const struct json_doc *d;
    struct dialect_request *out;
    struct dialect_refusal *why;
};

static int refuse(const struct reader *r, const char *code, const char *param, const char *fmt, ...)
    GW_PRINTF(4, 5);
static int refuse(const struct reader *r, const char *code, const char *param, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->why->message, sizeof r->why->message, fmt, ap);
    va_end(ap);
    snprintf(r->why->param, sizeof r->why->param, "%s", param);
    r->why->code = code;
    return -1;
}

static int wrong_type(const struct reader *r, const char *param, uint32_t v, const char *expected)
{
    return refuse(r, "invalid_type", param, "'%s' must be %s, not %s.", param, expected,
                  json_type_name(json_type(r->d, v)));
}

static void add_prompt_bytes(struct reader *r, uint32_t v)
{
    r->out->prompt_bytes += json_raw(r->d, v).n;
}

/* ---- members ---- */

struct member {
    const char *name, *param;
    int (*read)(struct reader *r, const char *param, uint32_t v);
};

/* Runs over an object's members and reads those of the table. */
static int read_members(struct reader *r, uint32_t object, const struct member *table, size_t n)
{
    uint32_t seen = 0;
    json_foreach_member(r->d, object, k)
    {
        for (size_t i = 0; i < n; i++) {
            const struct member *m = &table[i];
            if (!gemini_is(r->d, k, m->name))
                continue;
            if (seen >> i & 1)
                return refuse(r, "duplicate_member", m->param, "'%s' is given more than once.",
                              m->param);
            seen |= UINT32_C(1) << i;
            if (!json_is_null(r->d, k + 1) && m->read(r, m->param, k + 1) < 0)
                return -1;
        }
    }
    return 0;
}

enum { COUNT_MAX = 1000000000 };

static int read_count(const struct reader *r, const char *param, uint32_t v, int64_t *out)
{
    enum json_type t = json_type(r->d, v);
    if (t != JSON_NUMBER && t != JSON_STRING)
        return wrong_type(r, param, v, "an integer");
    if (gemini_i64(r->d, v, out) < 0 || *out < 0 || *out > COUNT_MAX)
        return refuse(r, "invalid_value", param, "'%s' must be an integer from 0 to %d.", param,
                      COUNT_MAX);
    return 0;
}

/* 0 is what the API takes for "not given". */
static int read_max_tokens(struct reader *r, const char *param, uint32_t v)
{
    int64_t n;
    if (read_count(r, param, v, &n) < 0)
        return -1;
    r->out->max_output_tokens = n ? n : -1;
    return 0;
}

static int read_candidates(struct reader *r, const char *param, uint32_t v)
{
    return read_count(r, param, v, &r->out->n);
}

static int read_schema(struct reader *r, const char *param, uint32_t v)
{
    (void)param;
    add_prompt_bytes(r, v);
    return 0;
}

static int read_config(struct reader *r, const char *param, uint32_t v)
{
    static const struct member table[] = {
        {"maxOutputTokens", "generationConfig.maxOutputTokens", read_max_tokens},
        {"candidateCount", "generationConfig.candidateCount", read_candidates},
        {"responseSchema", "generationConfig.responseSchema", read_schema},
        {"responseJsonSchema", "generationConfig.responseJsonSchema", read_schema},
        {"_responseJsonSchema", "generationConfig._responseJsonSchema", read_schema},
    };
    if (json_type(r->d, v) != JSON_OBJECT)
        return wrong_type(r, param, v, "an object");
    return read_members(r, v, table, ARRAY_LEN(table));
}

/* A part whose tokens don't follow from its bytes counts as what it is, and its bytes don't. */
static void read_media(struct reader *r, uint32_t part, uint32_t blob)
{
    struct ir_text type = ir_text_of(r->d, gemini_get(r->d, blob, "mimeType"));
    enum ir_part_kind kind = gemini_media_kind(type);
    r->out->prompt_bytes -= GW_MIN(r->out->prompt_bytes, (uint64_t)json_raw(r->d, part).n);
    if (kind == IR_PART_IMAGE)
        r->out->images++;
    else if (kind == IR_PART_AUDIO)
        r->out->audios++;
    else
        r->out->files++;
}

static void read_part(struct reader *r, uint32_t part)
{
    json_foreach_member(r->d, part, k)
    {
        if (gemini_is(r->d, k, "inlineData") || gemini_is(r->d, k, "fileData"))
            read_media(r, part, k + 1);
        if (!gemini_is(r->d, k, "functionResponse"))
            continue;
        json_foreach_element(r->d, gemini_get(r->d, k + 1, "parts"), e) read_part(r, e);
    }
}

static int read_content(struct reader *r, const char *param, uint32_t v)
{
    if (json_type(r->d, v) != JSON_OBJECT)
        return wrong_type(r, param, v, "an object");
    r->out->messages++;
    add_prompt_bytes(r, v);
    json_foreach_member(r->d, v, k)
    {
        if (gemini_is(r->d, k, "parts"))
            json_foreach_element(r->d, k + 1, e) read_part(r, e);
    }
    return 0;
}

static int read_contents(struct reader *r, const char *param, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, param, v, "an array");
    uint32_t index = 0;
    json_foreach_element(r->d, v, e)
    {
        char at[32];
        if (json_type(r->d, e) != JSON_OBJECT) {
            snprintf(at, sizeof at, "contents[%u]", index);
            return wrong_type(r, at, e, "an object");
        }
        if (read_content(r, param, e) < 0)
            return -1;
        index++;
    }
    return 0;
}

static int read_tools(struct reader *r, const char *param, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, param, v, "an array");
    add_prompt_bytes(r, v);
    json_foreach_element(r->d, v, tool)
    {
        json_foreach_member(r->d, tool, k)
        {
            if (gemini_is(r->d, k, "functionDeclarations"))
                r->out->tools += json_count(r->d, k + 1);
            else
                r->out->hosted_tools |= !json_is_null(r->d, k + 1);
        }
    }
    return 0;
}

/* What a cache holds is part of the prompt and isn't here to be counted. */
static int read_cached(struct reader *r, const char *param, uint32_t v)
{
    if (json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, param, v, "a string");
    r->out->hosted_tools = true;
    dialect_add_ref(r->out, r->d, v, OBJECT_CACHE, "cachedContent");
    return 0;
}

static int read_inner(struct reader *r, const char *param, uint32_t v);

static const struct member members[] = {
    {"contents", "contents", read_contents},
    {"systemInstruction", "systemInstruction", read_content},
    {"tools", "tools", read_tools},
    {"generationConfig", "generationConfig", read_config},
    {"cachedContent", "cachedContent", read_cached},
    {"generateContentRequest", "generateContentRequest", read_inner},
};
enum { N_OF_GENERATE = ARRAY_LEN(members) - 1 };

/* countTokens takes a whole request as well, which names the model again. */
static int read_inner(struct reader *r, const char *param, uint32_t v)
{
    if (json_type(r->d, v) != JSON_OBJECT)
        return wrong_type(r, param, v, "an object");
    r->out->enveloped = true;
    if (gemini_note_models(r->d, v, r->out) < 0)
        return refuse(r, "duplicate_member", "generateContentRequest.model",
                      "'generateContentRequest.model' is given too often.");
    return read_members(r, v, members, N_OF_GENERATE);
}

static int read_request(struct json_doc *d, struct slice body, enum dialect_op op,
                        struct slice default_model, struct dialect_request *out,
                        struct dialect_refusal *why)
{
    struct reader r = {.d = d, .out = out, .why = why};
    struct errbuf e;
    memset(out, 0, sizeof *out);
    out->op = op;
    out->max_output_tokens = out->n = out->best_of = -1;
    if (json_parse(d, body.p, body.n) < 0) {
        json_parse_error(d, &e);
        return refuse(&r, "invalid_json", "", "The request body is not valid JSON: %s.", e.msg);
    }
    if (json_type(d, JSON_ROOT) != JSON_OBJECT)
        return refuse(&r, "invalid_json", "", "The request body must be a JSON object, not %s.",
                      json_type_name(json_type(d, JSON_ROOT)));
    if (default_model.n == 0 || default_model.n > DIALECT_NAME_BYTES)
        return refuse(&r, "missing_required_parameter", "model",
                      "The path must name a model of 1 to %d bytes.", DIALECT_NAME_BYTES);
    memcpy(out->model.s, default_model.p, default_model.n);
    out->model.n = (uint8_t)default_model.n;
    out->root = (struct dialect_span){d->toks[JSON_ROOT].off, d->toks[JSON_ROOT].end};
    if (op == DIALECT_EMBEDDINGS || op == DIALECT_EMBED_CONTENT)
        return gemini_read_embed(d, op, out, why);
    if (read_members(&r, JSON_ROOT, members,
                     op == DIALECT_COUNT_TOKENS ? ARRAY_LEN(members) : N_OF_GENERATE) < 0)
        return -1;
    if (op != DIALECT_COUNT_TOKENS && out->messages == 0)
        return refuse(&r, "missing_required_parameter", "contents", "'contents' is required.");
    return 0;
}

/* Usage stands in every stream unasked. */
static int rewrite_request(const struct dialect_request *req, const struct dialect_rewrite *how,
                           struct splices *out, bool *injected)
{
    splices_reset(out);
    *injected = false;
    return gemini_splice_models(req, how->model, out);
}

static int read_response(struct json_doc *scratch, struct slice body, enum dialect_op op,
                         struct dialect_response *out)
{
    const struct codec *codec = op == DIALECT_EMBEDDINGS      ? &codec_gemini_embed
                                : op == DIALECT_EMBED_CONTENT ? &codec_gemini_embed_content
                                                              : &codec_gemini;
    if (meter_response(codec, scratch, body, op, out) == 0)
        return 0;
    uint32_t error = scratch->n ? gemini_error_object(scratch) : JSON_NONE;
    if (error == JSON_NONE)
        return -1;
    memset(out, 0, sizeof *out);
    out->usage.total_tokens = -1;
    out->fault = gemini_fault(scratch, error, 200);
    return 0;
}

static void stream_init(struct dialect_stream *s, enum dialect_op op, bool usage_injected)
{
    (void)usage_injected;
    meter_stream_init(s, &codec_gemini, op);
}

const struct dialect dialect_gemini = {
    .name = "gemini",
    .content_type_stream = "text/event-stream",
    .framing = CODEC_SSE,
    .read_request = read_request,
    .rewrite_request = rewrite_request,
    .read_response = read_response,
    .read_error = gemini_read_error,
    .read_retry_us = gemini_read_retry_us,
    .stream_init = stream_init,
    .stream_fini = meter_stream_fini,
    .stream_event = meter_stream_event,
    .error_type = gemini_error_type,
    .write_error = gemini_write_error,
    .write_stream_error = gemini_write_stream_error,
};
