/*
 * openai_response.c: what a whole answer says about itself: usage, names, amount of text.
 */
#include "gatewayd/dialect/openai.h"

#include "gatewayd/dialect/meter.h"
#include "gatewayd/dialect/rerank.h"

void openai_copy_name(const struct json_doc *d, uint32_t v, struct dialect_name *out)
{
    char decoded[DIALECT_NAME_BYTES];
    struct slice s;
    if (json_str(d, v, decoded, sizeof decoded, &s) < 0 || s.n == 0)
        return;
    memcpy(out->s, s.p, s.n);
    out->n = (uint8_t)s.n;
}

/* A count, 0 where there is none. False: something else stands there. */
static bool read_tokens(const struct json_doc *d, uint32_t v, int64_t *out)
{
    *out = 0;
    if (v == JSON_NONE || json_is_null(d, v))
        return true;
    return json_i64(d, v, out) == 0 && *out >= 0 && *out <= USAGE_MAX_TOKENS;
}

static bool is_given(const struct json_doc *d, uint32_t v)
{
    return v != JSON_NONE && !json_is_null(d, v);
}

/* The value of a member, JSON_NONE without one; *twice is set where the name is there again. */
static uint32_t only_member(const struct json_doc *d, uint32_t object, struct slice name,
                            bool *twice)
{
    bool more = false;
    uint32_t v = json_get_unique(d, object, name, &more);
    *twice |= more;
    return v;
}

/* The members of CompletionUsage in the API reference, else those of ResponseUsage. DeepSeek gives
 * cached tokens as prompt_cache_hit_tokens beside the others; embeddings have no output. */
static bool read_counts(const struct json_doc *d, uint32_t usage, struct dialect_usage *u)
{
    bool twice = false;
    uint32_t input = only_member(d, usage, SLICE_LIT("prompt_tokens"), &twice);
    uint32_t output = only_member(d, usage, SLICE_LIT("completion_tokens"), &twice);
    uint32_t total = only_member(d, usage, SLICE_LIT("total_tokens"), &twice);
    uint32_t in_details = only_member(d, usage, SLICE_LIT("prompt_tokens_details"), &twice);
    uint32_t out_details = only_member(d, usage, SLICE_LIT("completion_tokens_details"), &twice);
    if (input == JSON_NONE && output == JSON_NONE) {
        input = only_member(d, usage, SLICE_LIT("input_tokens"), &twice);
        output = only_member(d, usage, SLICE_LIT("output_tokens"), &twice);
        in_details = only_member(d, usage, SLICE_LIT("input_tokens_details"), &twice);
        out_details = only_member(d, usage, SLICE_LIT("output_tokens_details"), &twice);
    }
    uint32_t cached = only_member(d, in_details, SLICE_LIT("cached_tokens"), &twice);
    uint32_t reasoning = only_member(d, out_details, SLICE_LIT("reasoning_tokens"), &twice);
    if (!is_given(d, cached))
        cached = only_member(d, usage, SLICE_LIT("prompt_cache_hit_tokens"), &twice);
    if (!is_given(d, input) || (!is_given(d, output) && !is_given(d, total)))
        return false;
    if (!read_tokens(d, input, &u->input_tokens) || !read_tokens(d, output, &u->output_tokens) ||
        !read_tokens(d, total, &u->total_tokens) || !read_tokens(d, cached, &u->cached_tokens) ||
        !read_tokens(d, reasoning, &u->reasoning_tokens) ||
        !read_tokens(d, only_member(d, in_details, SLICE_LIT("cache_write_tokens"), &twice),
                     &u->cache_write_tokens) ||
        !read_tokens(d, only_member(d, in_details, SLICE_LIT("audio_tokens"), &twice),
                     &u->audio_input_tokens) ||
        !read_tokens(d, only_member(d, out_details, SLICE_LIT("audio_tokens"), &twice),
                     &u->audio_output_tokens))
        return false;
    if (!is_given(d, output))
        u->output_tokens = u->total_tokens - u->input_tokens;
    if (!is_given(d, total))
        u->total_tokens = -1;
    return !twice && u->output_tokens >= 0 && u->cached_tokens <= u->input_tokens;
}

void openai_usage_is_odd(struct dialect_usage *out)
{
    *out = (struct dialect_usage){.flags = USAGE_ODD, .total_tokens = -1};
}

void openai_read_usage(const struct json_doc *d, uint32_t usage, struct dialect_usage *out)
{
    struct dialect_usage u = {.flags = USAGE_PRESENT};
    if (!is_given(d, usage) || (out->flags & USAGE_ODD))
        return;
    bool behind = false;
    bool sane = read_counts(d, usage, &u);
    if (out->flags & USAGE_PRESENT)
        behind = u.input_tokens < out->input_tokens || u.output_tokens < out->output_tokens;
    if (!sane || behind) {
        openai_usage_is_odd(out);
        return;
    }
    if (u.input_tokens == 0 && u.output_tokens == 0)
        u.flags |= USAGE_ZERO;
    if (u.total_tokens > u.input_tokens + u.output_tokens)
        u.flags |= USAGE_TOTAL_OFF;
    *out = u;
}

/* Text that is given in parts counts with all strings in it, the parts' type names too: a count
 * may be a little above what was generated, never below. */
static uint64_t text_bytes(const struct json_doc *d, uint32_t v)
{
    uint64_t n = 0;
    enum json_type t = json_type(d, v);
    if (t == JSON_STRING)
        return json_str_bytes(d, v);
    if (t != JSON_ARRAY && t != JSON_OBJECT)
        return 0;
    for (uint32_t i = v + 1; i < d->toks[v].next; i++)
        if (!(d->toks[i].info & JSON_TOK_KEY))
            n += json_str_bytes(d, i);
    return n;
}

static uint64_t call_bytes(const struct json_doc *d, uint32_t call)
{
    return text_bytes(d, json_get_lit(d, call, "name")) +
           text_bytes(d, json_get_lit(d, call, "arguments"));
}

static uint64_t tool_calls_bytes(const struct json_doc *d, uint32_t calls)
{
    uint64_t n = 0;
    json_foreach_element(d, calls, c)
    {
        uint32_t custom = json_get_lit(d, c, "custom");
        n += call_bytes(d, json_get_lit(d, c, "function"));
        n += text_bytes(d, json_get_lit(d, custom, "name")) +
             text_bytes(d, json_get_lit(d, custom, "input"));
    }
    return n;
}

/* reasoning_content: DeepSeek and what follows it; reasoning: OpenRouter, Groq, newer vLLM. Where
 * both stand they hold the same text, so the longer counts. */
static uint64_t message_bytes(const struct json_doc *d, uint32_t message)
{
    uint64_t n = 0, reasoning = 0;
    json_foreach_member(d, message, k)
    {
        if (json_str_eq_lit(d, k, "content") || json_str_eq_lit(d, k, "refusal"))
            n += text_bytes(d, k + 1);
        else if (json_str_eq_lit(d, k, "reasoning_content") || json_str_eq_lit(d, k, "reasoning"))
            reasoning = GW_MAX(reasoning, text_bytes(d, k + 1));
        else if (json_str_eq_lit(d, k, "tool_calls"))
            n += tool_calls_bytes(d, k + 1);
        else if (json_str_eq_lit(d, k, "function_call"))
            n += call_bytes(d, k + 1);
    }
    return n + reasoning;
}

uint64_t openai_choice_bytes(const struct json_doc *d, uint32_t choice)
{
    uint64_t n = 0;
    json_foreach_member(d, choice, k)
    {
        if (json_str_eq_lit(d, k, "delta") || json_str_eq_lit(d, k, "message"))
            n += message_bytes(d, k + 1);
        else if (json_str_eq_lit(d, k, "text"))
            n += text_bytes(d, k + 1);
    }
    return n;
}

static void read_choices(const struct json_doc *d, uint32_t choices, struct dialect_response *out)
{
    out->choices = json_type(d, choices) == JSON_ARRAY ? json_count(d, choices) : 0;
    json_foreach_element(d, choices, c)
    {
        out->output_bytes += openai_choice_bytes(d, c);
        if (out->finish_reason.n == 0)
            openai_copy_name(d, json_get_lit(d, c, "finish_reason"), &out->finish_reason);
    }
}

int openai_begin_response(struct json_doc *d, struct slice body, struct dialect_response *out)
{
    memset(out, 0, sizeof *out);
    out->usage.total_tokens = -1;
    if (json_parse(d, body.p, body.n) < 0 || json_type(d, JSON_ROOT) != JSON_OBJECT)
        return -1;
    uint32_t model = json_get_lit(d, JSON_ROOT, "model");
    uint32_t error = openai_error_object(d);
    if (error != JSON_NONE)
        out->fault = openai_fault(d, error, 200);
    openai_copy_name(d, json_get_lit(d, JSON_ROOT, "id"), &out->id);
    openai_copy_name(d, model, &out->model);
    if (json_type(d, model) == JSON_STRING)
        out->model_value = openai_span(d, model);
    return 0;
}

int openai_read_response(struct json_doc *d, struct slice body, enum dialect_op op,
                         struct dialect_response *out)
{
    if (op == DIALECT_RERANK && meter_response(&codec_openai_rerank, d, body, op, out) == 0)
        return 0;
    if (openai_begin_response(d, body, out) < 0)
        return -1;
    bool twice = false;
    openai_read_usage(d, only_member(d, JSON_ROOT, SLICE_LIT("usage"), &twice), &out->usage);
    if (twice)
        openai_usage_is_odd(&out->usage);
    if (op != DIALECT_EMBEDDINGS)
        read_choices(d, json_get_lit(d, JSON_ROOT, "choices"), out);
    return 0;
}
