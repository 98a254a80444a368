/*
 * gemini_usage.c: usageMetadata, and the words for why an answer ended.
 *
 * promptTokenCount holds what came from a cache; thoughts and the results of the provider's own
 * tools are counted apart from candidates and prompt, and totalTokenCount is the sum of the four
 * (ai.google.dev/api/generate-content#UsageMetadata). A count that is 0 is left out, as all
 * defaults are in JSON of Protocol Buffers.
 */
#include "gatewayd/dialect/gemini.h"

/* False: something that is no count stands there. */
static bool read_count(const struct json_doc *d, uint32_t usage, const char *name, int64_t *out)
{
    uint32_t v = gemini_get(d, usage, name);
    *out = 0;
    return v == JSON_NONE || (gemini_i64(d, v, out) == 0 && *out >= 0 && *out <= USAGE_MAX_TOKENS);
}

static int64_t audio_count(const struct json_doc *d, uint32_t usage, const char *name)
{
    int64_t n = 0;
    json_foreach_element(d, gemini_get(d, usage, name), e)
    {
        int64_t v;
        if (json_str_eq_lit(d, gemini_get(d, e, "modality"), "AUDIO") &&
            read_count(d, e, "tokenCount", &v))
            n = v;
    }
    return n;
}

static bool read_counts(const struct json_doc *d, uint32_t usage, struct dialect_usage *u)
{
    int64_t prompt, tools, candidates, thoughts, total;
    if (!read_count(d, usage, "promptTokenCount", &prompt) ||
        !read_count(d, usage, "toolUsePromptTokenCount", &tools) ||
        !read_count(d, usage, "candidatesTokenCount", &candidates) ||
        !read_count(d, usage, "thoughtsTokenCount", &thoughts) ||
        !read_count(d, usage, "totalTokenCount", &total) ||
        !read_count(d, usage, "cachedContentTokenCount", &u->cached_tokens))
        return false;
    u->input_tokens = prompt + tools;
    u->output_tokens = candidates + thoughts;
    u->reasoning_tokens = thoughts;
    u->total_tokens = gemini_get(d, usage, "totalTokenCount") == JSON_NONE ? -1 : total;
    u->audio_input_tokens = audio_count(d, usage, "promptTokensDetails");
    u->audio_output_tokens = audio_count(d, usage, "candidatesTokensDetails");
    return u->cached_tokens <= u->input_tokens && u->audio_input_tokens <= u->input_tokens &&
           u->audio_output_tokens <= u->output_tokens;
}

/* What a cut in the middle of the answer leaves says nothing of the candidates. */
static bool says_output(const struct json_doc *d, uint32_t usage)
{
    return gemini_get(d, usage, "candidatesTokenCount") != JSON_NONE ||
           gemini_get(d, usage, "thoughtsTokenCount") != JSON_NONE ||
           gemini_get(d, usage, "totalTokenCount") != JSON_NONE;
}

void gemini_read_usage(const struct json_doc *d, uint32_t usage, struct dialect_usage *out)
{
    struct dialect_usage u = {.flags = USAGE_PRESENT};
    if (usage == JSON_NONE || json_is_null(d, usage))
        return;
    if (json_type(d, usage) != JSON_OBJECT || !read_counts(d, usage, &u)) {
        *out = (struct dialect_usage){.flags = USAGE_ODD, .total_tokens = -1};
        return;
    }
    if (!says_output(d, usage))
        return;
    if (u.input_tokens == 0 && u.output_tokens == 0)
        u.flags |= USAGE_ZERO;
    if (u.total_tokens > u.input_tokens + u.output_tokens)
        u.flags |= USAGE_TOTAL_OFF;
    *out = u;
}

void gemini_write_usage(struct json_writer *w, const struct dialect_usage *u)
{
    if (!(u->flags & USAGE_PRESENT))
        return;
    jw_member_object(w, "usageMetadata");
    jw_member_i64(w, "promptTokenCount", u->input_tokens);
    if (u->cached_tokens)
        jw_member_i64(w, "cachedContentTokenCount", u->cached_tokens);
    jw_member_i64(w, "candidatesTokenCount",
                  GW_MAX(u->output_tokens - u->reasoning_tokens, (int64_t)0));
    if (u->reasoning_tokens)
        jw_member_i64(w, "thoughtsTokenCount", u->reasoning_tokens);
    jw_member_i64(w, "totalTokenCount", u->input_tokens + u->output_tokens);
    jw_object_end(w);
}

/* ai.google.dev/api/generate-content#FinishReason. What isn't here (OTHER, LANGUAGE,
 * MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL, TOO_MANY_TOOL_CALLS, NO_IMAGE, …) is OTHER. */
static const struct {
    const char *word;
    enum ir_finish finish;
} finishes[] = {
    {"STOP", IR_FINISH_STOP},
    {"MAX_TOKENS", IR_FINISH_LENGTH},
    {"SAFETY", IR_FINISH_CONTENT_FILTER},
    {"RECITATION", IR_FINISH_CONTENT_FILTER},
    {"BLOCKLIST", IR_FINISH_CONTENT_FILTER},
    {"PROHIBITED_CONTENT", IR_FINISH_CONTENT_FILTER},
    {"SPII", IR_FINISH_CONTENT_FILTER},
    {"IMAGE_SAFETY", IR_FINISH_CONTENT_FILTER},
    {"IMAGE_PROHIBITED_CONTENT", IR_FINISH_CONTENT_FILTER},
    {"IMAGE_RECITATION", IR_FINISH_CONTENT_FILTER},
    {"MODEL_ARMOR", IR_FINISH_CONTENT_FILTER},
    {"JAILBREAK", IR_FINISH_CONTENT_FILTER},
    {"FINISH_REASON_UNSPECIFIED", IR_FINISH_NONE},
};

enum ir_finish gemini_finish(const struct json_doc *d, uint32_t reason, bool has_calls)
{
    if (json_type(d, reason) != JSON_STRING)
        return IR_FINISH_NONE;
    for (size_t i = 0; i < ARRAY_LEN(finishes); i++)
        if (json_str_eq(d, reason, slice_str(finishes[i].word)))
            return finishes[i].finish == IR_FINISH_STOP && has_calls ? IR_FINISH_TOOL_CALLS
                                                                     : finishes[i].finish;
    return IR_FINISH_OTHER;
}

/* A prompt that was blocked has no candidates, whatever the reason. */
enum ir_finish gemini_block(const struct json_doc *d)
{
    uint32_t reason = gemini_get(d, gemini_get(d, JSON_ROOT, "promptFeedback"), "blockReason");
    bool blocked = json_type(d, reason) == JSON_STRING &&
                   !json_str_eq_lit(d, reason, "BLOCKED_REASON_UNSPECIFIED");
    return blocked ? IR_FINISH_CONTENT_FILTER : IR_FINISH_NONE;
}

const char *gemini_finish_word(enum ir_finish f)
{
    switch (f) {
    case IR_FINISH_LENGTH:
    case IR_FINISH_CONTEXT:
        return "MAX_TOKENS";
    case IR_FINISH_CONTENT_FILTER:
    case IR_FINISH_REFUSAL:
        return "SAFETY";
    case IR_FINISH_PAUSE:
    case IR_FINISH_OTHER:
        return "OTHER";
    default:
        return "STOP";
    }
}
