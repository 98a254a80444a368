/*
 * cohere_logprobs.c: log probabilities (docs.cohere.com/reference/chat, `logprobs`) to OpenAI's
 * form, {"content":[{"token","logprob","bytes","top_logprobs":[…]}]}, and back.
 *
 * An item is a piece of text and the log probability of each of its tokens, whose own texts aren't
 * said: the piece becomes one token whose log probability is their sum. Tokens of others have no
 * ids here: token_ids is empty.
 */
#include "gatewayd/dialect/cohere.h"

#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_BYTES = 32 };

static double number(struct slice s)
{
    char mem[NUMBER_BYTES * 2];
    size_t n = GW_MIN(s.n, sizeof mem - 1);
    memcpy(mem, s.p, n);
    mem[n] = '\0';
    return strtod(mem, NULL);
}

/* One number stays as it was spelled. */
static void put_sum(struct json_writer *w, const struct json_doc *d, uint32_t list)
{
    char text[NUMBER_BYTES];
    double sum = 0;
    if (json_count(d, list) == 1 && json_type(d, list + 1) == JSON_NUMBER) {
        jw_raw(w, json_raw(d, list + 1));
        return;
    }
    json_foreach_element(d, list, e)
    {
        if (json_type(d, e) == JSON_NUMBER)
            sum += number(json_raw(d, e));
    }
    if (!(sum > -1e300 && sum < 1e300)) /* no number of JSON's */
        sum = -1e300;
    int n = snprintf(text, sizeof text, "%.12g", sum);
    jw_raw(w, slice_of(text, (size_t)n));
}

static void put_item(struct json_writer *w, const struct json_doc *d, uint32_t item)
{
    uint32_t list = json_get_lit(d, item, "logprobs"), text = json_get_lit(d, item, "text");
    if (json_count(d, list) == 0 || json_type(d, list) != JSON_ARRAY)
        return;
    jw_object(w);
    jw_key_plain(w, SLICE_LIT("token"));
    jw_raw(w, json_type(d, text) == JSON_STRING ? json_raw(d, text) : SLICE_LIT("\"\""));
    jw_key_plain(w, SLICE_LIT("logprob"));
    put_sum(w, d, list);
    jw_member_null(w, "bytes");
    jw_member_raw(w, "top_logprobs", SLICE_LIT("[]"));
    jw_object_end(w);
}

/* An item takes at most 128 bytes more than what it came from, and there are no more of them than
 * values in the text. */
struct slice cohere_read_logprobs(const struct json_doc *d, uint32_t v, struct arena *a)
{
    struct json_writer w;
    size_t n;
    if (json_type(d, v) != JSON_ARRAY && json_type(d, v) != JSON_OBJECT)
        return slice_of(NULL, 0);
    size_t cap = json_raw(d, v).n + 64 + 128 * (size_t)(d->toks[v].next - v);
    char *mem = arena_alloc(a, cap);
    if (!mem)
        return slice_of(NULL, 0);
    jw_init_fixed(&w, mem, cap);
    jw_object(&w);
    jw_member_array(&w, "content");
    if (json_type(d, v) == JSON_OBJECT)
        put_item(&w, d, v);
    json_foreach_element(d, v, e) put_item(&w, d, e);
    jw_array_end(&w);
    jw_object_end(&w);
    return jw_finish(&w, &n) == 0 ? slice_of(mem, n) : slice_of(NULL, 0);
}

/* ---- writing ---- */

static void put_logprob(struct json_writer *w, const struct json_doc *d, uint32_t token)
{
    uint32_t logprob = json_get_lit(d, token, "logprob");
    if (json_type(d, logprob) == JSON_NUMBER)
        jw_raw(w, json_raw(d, logprob));
}

static void put_token(struct json_writer *w, const struct json_doc *d, uint32_t token)
{
    uint32_t text = json_get_lit(d, token, "token");
    jw_object(w);
    if (json_type(d, text) == JSON_STRING)
        jw_member_raw(w, "text", json_raw(d, text));
    jw_member_raw(w, "token_ids", SLICE_LIT("[]"));
    jw_member_array(w, "logprobs");
    put_logprob(w, d, token);
    jw_array_end(w);
    jw_object_end(w);
}

void cohere_write_logprobs(struct json_writer *w, struct slice openai)
{
    struct json_doc d;
    json_doc_init(&d, JSON_MAX_TOKENS);
    if (openai.p && json_parse(&d, openai.p, openai.n) == 0) {
        jw_member_array(w, "logprobs");
        json_foreach_element(&d, json_get_lit(&d, JSON_ROOT, "content"), e) put_token(w, &d, e);
        jw_array_end(w);
    }
    json_doc_release(&d);
}

void cohere_write_logprob(struct json_writer *w, struct slice openai, struct ir_text text)
{
    struct json_doc d;
    json_doc_init(&d, JSON_MAX_TOKENS);
    if (openai.p && json_parse(&d, openai.p, openai.n) == 0) {
        jw_member_object(w, "logprobs");
        ir_member(w, "text", text);
        jw_member_raw(w, "token_ids", SLICE_LIT("[]"));
        jw_member_array(w, "logprobs");
        json_foreach_element(&d, json_get_lit(&d, JSON_ROOT, "content"), e) put_logprob(w, &d, e);
        jw_array_end(w);
        jw_object_end(w);
    }
    json_doc_release(&d);
}
