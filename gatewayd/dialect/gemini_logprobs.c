/*
 * gemini_logprobs.c: logprobsResult (ai.google.dev/api/generate-content#LogprobsResult) to
 * OpenAI's form, {"content":[{"token","logprob","bytes","top_logprobs":[…]}]}, and back.
 *
 * `bytes` is null, as OpenAI's reference allows: Gemini gives the token's text only.
 */
#include "gatewayd/dialect/gemini.h"

static void put_token(struct json_writer *w, const struct json_doc *d, uint32_t candidate)
{
    uint32_t token = gemini_get(d, candidate, "token");
    uint32_t logprob = gemini_get(d, candidate, "logProbability");
    jw_key_plain(w, SLICE_LIT("token"));
    if (json_type(d, token) == JSON_STRING)
        jw_raw(w, json_raw(d, token));
    else
        jw_str(w, SLICE_LIT(""));
    jw_key_plain(w, SLICE_LIT("logprob"));
    if (json_type(d, logprob) == JSON_NUMBER)
        jw_raw(w, json_raw(d, logprob));
    else
        jw_i64(w, 0);
    jw_member_null(w, "bytes");
}

static void put_top(struct json_writer *w, const struct json_doc *d, uint32_t top)
{
    jw_member_array(w, "top_logprobs");
    json_foreach_element(d, gemini_get(d, top, "candidates"), e)
    {
        jw_object(w);
        put_token(w, d, e);
        jw_object_end(w);
    }
    jw_array_end(w);
}

/* Every object here takes at most 40 bytes more than the one that it came from, and there are no
 * more of them than values in the text. */
struct slice gemini_read_logprobs(const struct json_doc *d, uint32_t v, struct arena *a)
{
    uint32_t chosen = gemini_get(d, v, "chosenCandidates"), top = gemini_get(d, v, "topCandidates");
    uint32_t at = top + 1, end = json_children_end(d, top, JSON_ARRAY);
    struct json_writer w;
    size_t n;
    if (json_type(d, chosen) != JSON_ARRAY)
        return slice_of(NULL, 0);
    size_t cap = json_raw(d, v).n + 64 + 48 * (size_t)(d->toks[v].next - v);
    char *mem = arena_alloc(a, cap);
    if (!mem)
        return slice_of(NULL, 0);
    jw_init_fixed(&w, mem, cap);
    jw_object(&w);
    jw_member_array(&w, "content");
    json_foreach_element(d, chosen, e)
    {
        jw_object(&w);
        put_token(&w, d, e);
        put_top(&w, d, at < end ? at : JSON_NONE);
        at = at < end ? d->toks[at].next : at;
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_object_end(&w);
    return jw_finish(&w, &n) == 0 ? slice_of(mem, n) : slice_of(NULL, 0);
}

static void put_candidate(struct json_writer *w, const struct json_doc *d, uint32_t token)
{
    uint32_t text = json_get_lit(d, token, "token"), logprob = json_get_lit(d, token, "logprob");
    jw_object(w);
    if (json_type(d, text) == JSON_STRING)
        jw_member_raw(w, "token", json_raw(d, text));
    if (json_type(d, logprob) == JSON_NUMBER)
        jw_member_raw(w, "logProbability", json_raw(d, logprob));
    jw_object_end(w);
}

void gemini_write_logprobs(struct json_writer *w, struct slice openai)
{
    struct json_doc d;
    json_doc_init(&d, JSON_MAX_TOKENS);
    if (openai.p && json_parse(&d, openai.p, openai.n) == 0) {
        uint32_t content = json_get_lit(&d, JSON_ROOT, "content");
        jw_member_object(w, "logprobsResult");
        jw_member_array(w, "topCandidates");
        json_foreach_element(&d, content, e)
        {
            jw_object(w);
            jw_member_array(w, "candidates");
            json_foreach_element(&d, json_get_lit(&d, e, "top_logprobs"), t)
                put_candidate(w, &d, t);
            jw_array_end(w);
            jw_object_end(w);
        }
        jw_array_end(w);
        jw_member_array(w, "chosenCandidates");
        json_foreach_element(&d, content, e) put_candidate(w, &d, e);
        jw_array_end(w);
        jw_object_end(w);
    }
    json_doc_release(&d);
}
