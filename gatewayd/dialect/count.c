/*
 * count.c: token counting as four APIs have it.
 *
 * - Anthropic, messages/count_tokens: the members of a message that make its prompt
 *   (docs.claude.com/en/api/messages-count-tokens).
 * - Gemini, countTokens: contents, or a whole generateContentRequest, which names its model
 *   (ai.google.dev/api/tokens); Vertex AI takes the latter's members without the envelope
 *   (cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens).
 * - OpenAI, responses/input_tokens: what a response takes that its input tokens depend on
 *   (platform.openai.com/docs/api-reference/responses/input-tokens).
 * - Bedrock, CountTokens: a Converse request, or the body of an InvokeModel, which is not
 *   translated (docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html).
 */
#include "gatewayd/dialect/count.h"

#include "gatewayd/dialect/anthropic.h"
#include "gatewayd/dialect/bedrock.h"
#include "gatewayd/dialect/gemini.h"
#include "gatewayd/dialect/openai_responses.h"

#include <stdio.h>

/* ---- what a prompt is made of ---- */

static const enum ir_field of_the_answer[] = {
    IR_F_MAX_TOKENS,
    IR_F_TEMPERATURE,
    IR_F_TOP_P,
    IR_F_TOP_K,
    IR_F_PRESENCE_PENALTY,
    IR_F_FREQUENCY_PENALTY,
    IR_F_SEED,
    IR_F_STOP,
    IR_F_N,
    IR_F_LOGPROBS,
    IR_F_LOGIT_BIAS,
    IR_F_PROMPT_CACHE_KEY,
    IR_F_USER,
    IR_F_METADATA,
    IR_F_SERVICE_TIER,
    IR_F_STORE,
    IR_F_MODALITIES,
    IR_F_VERBOSITY,
    IR_F_PREDICTION,
    IR_F_SAFETY,
    IR_F_BACKGROUND,
};

/* A caller may send its whole request to have it counted: what says how to answer is no part of it,
 * and is neither refused nor reported. */
static void keep_prompt(struct ir_request *r)
{
    static const struct ir_text none = {{NULL, 0}, false};
    for (size_t i = 0; i < ARRAY_LEN(of_the_answer); i++)
        r->fields &= ~(UINT64_C(1) << of_the_answer[i]);
    r->stream = false;
    r->max_tokens = r->n = r->top_logprobs = -1;
    r->logprobs = false;
    r->temperature = r->top_p = r->top_k = r->presence_penalty = r->frequency_penalty = r->seed =
        slice_of(NULL, 0);
    r->n_stop = 0;
    r->user = r->service_tier = r->prompt_cache_key = r->prompt_cache_retention = r->verbosity =
        none;
    r->store = -1;
    r->metadata = r->logit_bias = r->prediction = r->modalities = r->safety = slice_of(NULL, 0);
}

/* Reads the object v of the document, which the chat's reader takes for its root. */
static int read_inner(const struct codec *chat, const struct json_doc *d, uint32_t v,
                      struct ir_request *out, struct dialect_refusal *why)
{
    struct json_doc inner;
    struct slice raw = json_raw(d, v);
    json_doc_init(&inner, JSON_MAX_TOKENS);
    why->message[0] = '\0';
    int rc = json_parse(&inner, raw.p, raw.n) == 0 ? chat->read_request(&inner, out, why) : -1;
    json_doc_release(&inner);
    return rc;
}

static int read_tokens(const struct json_doc *d, uint32_t v, struct ir_response *out)
{
    int64_t n;
    if (gemini_i64(d, v, &n) < 0 || n < 0 || n > USAGE_MAX_TOKENS)
        return -1;
    out->usage.input_tokens = n;
    return 0;
}

static int put(struct buf *out, const char *text)
{
    return buf_append(out, text, strlen(text));
}

/* ---- Anthropic ---- */

static int read_anthropic(const struct json_doc *d, struct ir_request *out,
                          struct dialect_refusal *why)
{
    int rc = codec_anthropic.read_request(d, out, why);
    keep_prompt(out);
    return rc;
}

static int read_anthropic_count(const struct json_doc *d, struct ir_response *out)
{
    return read_tokens(d, json_get_lit(d, JSON_ROOT, "input_tokens"), out);
}

const struct codec codec_anthropic_count = {
    .name = "anthropic.count_tokens",
    .framing = CODEC_SSE,
    .fields = anthropic_fields,
    .read_request = read_anthropic,
    .write_request = anthropic_write_request_ir,
    .read_response = read_anthropic_count,
    .write_response = anthropic_write_response_ir,
};

/* ---- Gemini ---- */

static int read_gemini(const struct json_doc *d, struct ir_request *out,
                       struct dialect_refusal *why)
{
    uint32_t whole = gemini_get(d, JSON_ROOT, "generateContentRequest");
    struct gemini_in in = {.d = d, .r = out, .why = why};
    if (whole != JSON_NONE && json_type(d, whole) != JSON_OBJECT)
        return gemini_wrong_type(&in, "generateContentRequest", whole, "an object");
    int rc = whole != JSON_NONE ? read_inner(&codec_gemini, d, whole, out, why)
                                : gemini_read_request(d, out, why);
    keep_prompt(out);
    return rc;
}

/* `{"generateContentRequest":{"model":"models/…"`: the members of the chat's body follow. */
static int open_gemini(struct buf *out, struct slice model)
{
    struct json_writer w;
    size_t n;
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_object(&w, "generateContentRequest");
    jw_key_plain(&w, SLICE_LIT("model"));
    jw_str_begin(&w);
    jw_str_add(&w, SLICE_LIT("models/"));
    jw_str_add(&w, model);
    jw_str_end(&w);
    return jw_finish(&w, &n);
}

static int write_gemini(const struct ir_request *r, const struct codec_target *t, struct buf *out,
                        struct dialect_refusal *why)
{
    struct ir_request flat = *r;
    why->message[0] = '\0';
    if (t->quirks & PROVIDER_QUIRK_COUNTS_FLAT) { /* it has no place for the choice of tools */
        flat.tool_choice = IR_CHOICE_UNSET;
        return gemini_write_request(&flat, t, out, why);
    }
    if (open_gemini(out, t->model) < 0)
        return -1;
    size_t at = out->len;
    if (gemini_write_request(r, t, out, why) < 0)
        return -1;
    out->data[at] = ',';
    return put(out, "}");
}

static int read_gemini_count(const struct json_doc *d, struct ir_response *out)
{
    return read_tokens(d, gemini_get(d, JSON_ROOT, "totalTokens"), out);
}

static int write_one_number(struct buf *out, struct slice name, int64_t n)
{
    struct json_writer w;
    size_t length;
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_key_plain(&w, name);
    jw_i64(&w, n);
    jw_object_end(&w);
    return jw_finish(&w, &length);
}

static int write_gemini_count(const struct ir_response *r, const struct codec_caller *c,
                              struct buf *out)
{
    return write_one_number(out, SLICE_LIT("totalTokens"), r->usage.input_tokens);
}

const struct codec codec_gemini_count = {
    .name = "gemini.countTokens",
    .framing = CODEC_SSE,
    .fields = gemini_fields,
    .read_request = read_gemini,
    .write_request = write_gemini,
    .read_response = read_gemini_count,
    .write_response = write_gemini_count,
};

/* ---- OpenAI ---- */

static int read_responses(const struct json_doc *d, struct ir_request *out,
                          struct dialect_refusal *why)
{
    int rc = openai_responses_read_request(d, out, why);
    keep_prompt(out);
    return rc;
}

static int write_responses_count(const struct ir_response *r, const struct codec_caller *c,
                                 struct buf *out)
{
    struct json_writer w;
    size_t n;
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_str(&w, "object", SLICE_LIT("response.input_tokens"));
    jw_member_i64(&w, "input_tokens", r->usage.input_tokens);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}

const struct codec codec_responses_count = {
    .name = "openai.responses.input_tokens",
    .framing = CODEC_SSE,
    .fields = openai_responses_fields,
    .read_request = read_responses,
    .write_request = openai_responses_write_request,
    .read_response = read_anthropic_count,
    .write_response = write_responses_count,
};

/* ---- Bedrock ---- */

static int read_bedrock(const struct json_doc *d, struct ir_request *out,
                        struct dialect_refusal *why)
{
    uint32_t converse = json_get_lit(d, json_get_lit(d, JSON_ROOT, "input"), "converse");
    if (json_type(d, converse) != JSON_OBJECT) {
        snprintf(why->message, sizeof why->message,
                 "input.converse: must be an object (input.invokeModel can't be sent to this "
                 "model's provider).");
        snprintf(why->param, sizeof why->param, "input.converse");
        why->code = "invalid_value";
        return -1;
    }
    int rc = read_inner(&codec_bedrock, d, converse, out, why);
    keep_prompt(out);
    return rc;
}

static int write_bedrock(const struct ir_request *r, const struct codec_target *t, struct buf *out,
                         struct dialect_refusal *why)
{
    why->message[0] = '\0';
    if (put(out, "{\"input\":{\"converse\":") < 0 || bedrock_write_request_ir(r, t, out, why) < 0)
        return -1;
    return put(out, "}}");
}

static int read_bedrock_count(const struct json_doc *d, struct ir_response *out)
{
    return read_tokens(d, json_get_lit(d, JSON_ROOT, "inputTokens"), out);
}

static int write_bedrock_count(const struct ir_response *r, const struct codec_caller *c,
                               struct buf *out)
{
    return write_one_number(out, SLICE_LIT("inputTokens"), r->usage.input_tokens);
}

const struct codec codec_bedrock_count = {
    .name = "bedrock.countTokens",
    .framing = CODEC_EVENTSTREAM,
    .fields = bedrock_fields,
    .read_request = read_bedrock,
    .write_request = write_bedrock,
    .read_response = read_bedrock_count,
    .write_response = write_bedrock_count,
};
