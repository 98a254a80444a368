/*
 * rerank.c: reranking in two forms that differ in little.
 *
 *   Cohere  docs.cohere.com/reference/rerank: documents are strings; billed by search units
 *   Jina    jina.ai/reranker, docs.cohere.com/v1/reference/rerank, docs.vllm.ai/en/latest/serving/
 *           openai_compatible_server.html ("Re-rank API"), docs.together.ai/reference/rerank-1,
 *           github.com/ggml-org/llama.cpp/tree/master/tools/server ("POST /reranking"): documents
 *           are strings or objects with a text, which the answer may repeat; billed by tokens
 *
 * Documents that the caller wants back are its own: they are put into the answer here, whatever the
 * provider does about them.
 */
#include "gatewayd/dialect/rerank.h"

#include <stdarg.h>
#include <stdio.h>

static const struct ir_field_row openai_fields[IR_RERANK_FIELD_COUNT] = {
    [IR_R_OBJECTS] = {"documents[].text", IR_MAPPED, "their texts alone are sent"},
    [IR_R_RANK_FIELDS] = {"rank_fields", IR_REFUSED, "documents are ranked by their text"},
    [IR_R_TOP_N] = {"top_n", IR_CARRIED, ""},
    [IR_R_RETURN_DOCUMENTS] = {"return_documents", IR_MAPPED,
                               "not sent: the caller's documents are put into the answer"},
    [IR_R_MAX_TOKENS] = {"max_tokens_per_doc", IR_DROPPED, "the model's own limit holds"},
    [IR_R_PRIORITY] = {NULL, IR_DROPPED, "the API has no priorities"},
};
static const struct ir_field_row cohere_fields[IR_RERANK_FIELD_COUNT] = {
    [IR_R_OBJECTS] = {NULL, IR_MAPPED, "their texts alone are sent"},
    [IR_R_RANK_FIELDS] = {NULL, IR_REFUSED, "documents are ranked by their text"},
    [IR_R_TOP_N] = {"top_n", IR_CARRIED, ""},
    [IR_R_RETURN_DOCUMENTS] = {NULL, IR_MAPPED,
                               "not sent: the caller's documents are put into the answer"},
    [IR_R_MAX_TOKENS] = {"max_tokens_per_doc", IR_CARRIED, ""},
    [IR_R_PRIORITY] = {"priority", IR_DROPPED, "what it may be is a matter of the account"},
};

/* ---- requests, read ---- */

struct reader {
    const struct json_doc *d;
    struct ir_request *out;
    struct dialect_refusal *why;
    bool takes_objects;
};

static int refuse(const struct reader *r, const char *code, const char *path, const char *fmt, ...)
    GW_PRINTF(4, 5);
static int refuse(const struct reader *r, const char *code, const char *path, const char *fmt, ...)
{
    int n = snprintf(r->why->message, sizeof r->why->message, "'%s' ", path);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->why->message + n, sizeof r->why->message - (size_t)n, fmt, ap);
    va_end(ap);
    snprintf(r->why->param, sizeof r->why->param, "%s", path);
    r->why->code = code;
    return -1;
}

static int wrong_type(const struct reader *r, const char *path, uint32_t v, const char *expected)
{
    return refuse(r, "invalid_type", path, "must be %s, not %s.", expected,
                  json_type_name(json_type(r->d, v)));
}

static int read_document(struct reader *r, uint32_t i, uint32_t v)
{
    struct ir_rerank_document *to = &r->out->rerank->documents[i];
    uint32_t text =
        json_type(r->d, v) == JSON_OBJECT && r->takes_objects ? json_get_lit(r->d, v, "text") : v;
    char path[48];
    if (json_type(r->d, text) != JSON_STRING) {
        snprintf(path, sizeof path, "documents[%u]", i);
        return wrong_type(r, path, v,
                          r->takes_objects ? "a string or an object with a text" : "a string");
    }
    to->text = ir_text_of(r->d, text);
    if (text != v) {
        to->object = json_raw(r->d, v);
        ir_note(r->out, IR_R_OBJECTS);
    }
    return 0;
}

/* Read first: it makes the form. */
static int read_documents(struct reader *r, const char *path, uint32_t v)
{
    uint32_t i = 0;
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, path, v, "an array");
    if (json_count(r->d, v) == 0)
        return refuse(r, "invalid_value", path, "must not be empty.");
    if (!ir_add_rerank(r->out, json_count(r->d, v)))
        return refuse(r, "request_too_large", path, "holds too many values.");
    json_foreach_element(r->d, v, e)
    {
        if (read_document(r, i++, e) < 0)
            return -1;
    }
    return 0;
}

static int read_query(struct reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, path, v, "a string");
    r->out->rerank->query = ir_text_of(r->d, v);
    return 0;
}

static int read_count(struct reader *r, const char *path, uint32_t v, int64_t *to,
                      enum ir_rerank_field f)
{
    if (json_type(r->d, v) != JSON_NUMBER)
        return wrong_type(r, path, v, "an integer");
    if (json_i64(r->d, v, to) < 0 || *to < 1)
        return refuse(r, "invalid_value", path, "must be an integer from 1.");
    ir_note(r->out, f);
    return 0;
}

static int read_top_n(struct reader *r, const char *path, uint32_t v)
{
    return read_count(r, path, v, &r->out->rerank->top_n, IR_R_TOP_N);
}

static int read_max_tokens(struct reader *r, const char *path, uint32_t v)
{
    return read_count(r, path, v, &r->out->rerank->max_tokens, IR_R_MAX_TOKENS);
}

static int read_return(struct reader *r, const char *path, uint32_t v)
{
    if (json_bool(r->d, v, &r->out->rerank->return_documents) < 0)
        return wrong_type(r, path, v, "a boolean");
    ir_note(r->out, IR_R_RETURN_DOCUMENTS);
    return 0;
}

static int read_rank_fields(struct reader *r, const char *path, uint32_t v)
{
    bool only_text =
        json_count(r->d, v) == 1 && json_str_eq_lit(r->d, v + 1, "text"); /* as it is anyway */
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, path, v, "an array");
    if (json_count(r->d, v) && !only_text)
        ir_note(r->out, IR_R_RANK_FIELDS);
    return 0;
}

static int read_priority(struct reader *r, const char *path, uint32_t v)
{
    (void)path;
    (void)v;
    ir_note(r->out, IR_R_PRIORITY);
    return 0;
}

static int skip(struct reader *r, const char *path, uint32_t v)
{
    return 0;
}

enum { DOCUMENTS, QUERY, OF_OPENAI = 1, OF_COHERE = 2, OF_BOTH = 3 };
static const struct {
    const char *name;
    unsigned of;
    int (*read)(struct reader *r, const char *path, uint32_t v);
} members[] = {
    [DOCUMENTS] = {"documents", OF_BOTH, read_documents},
    [QUERY] = {"query", OF_BOTH, read_query},
    {"model", OF_BOTH, skip},
    {"top_n", OF_BOTH, read_top_n},
    {"max_tokens_per_doc", OF_BOTH, read_max_tokens},
    {"priority", OF_COHERE, read_priority},
    {"return_documents", OF_OPENAI, read_return},
    {"rank_fields", OF_OPENAI, read_rank_fields},
};

/* ARRAY_LEN(members): none of that form. */
static size_t find_member(const struct json_doc *d, uint32_t k, unsigned of)
{
    size_t i = 0;
    for (; i < ARRAY_LEN(members); i++)
        if ((members[i].of & of) && json_str_eq(d, k, slice_str(members[i].name)))
            break;
    return i;
}

static int read_members(struct reader *r, unsigned of)
{
    uint32_t at[ARRAY_LEN(members)];
    memset(at, 0xff, sizeof at); /* JSON_NONE */
    json_foreach_member(r->d, JSON_ROOT, k)
    {
        size_t i = find_member(r->d, k, of);
        if (i == ARRAY_LEN(members))
            ir_note_unknown(r->out, "%.*s", SLICE_FMT(ir_text_of(r->d, k).s));
        else if (at[i] != JSON_NONE)
            return refuse(r, "duplicate_member", members[i].name, "is given more than once.");
        else if (!json_is_null(r->d, k + 1))
            at[i] = k + 1;
    }
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (i <= QUERY && at[i] == JSON_NONE)
            return refuse(r, "missing_required_parameter", members[i].name, "is required.");
        if (at[i] != JSON_NONE && members[i].read(r, members[i].name, at[i]) < 0)
            return -1;
    }
    return 0;
}

static int read_openai(const struct json_doc *d, struct ir_request *out,
                       struct dialect_refusal *why)
{
    struct reader r = {d, out, why, .takes_objects = true};
    out->names = openai_fields;
    out->list = "documents";
    return read_members(&r, OF_OPENAI);
}

static int read_cohere(const struct json_doc *d, struct ir_request *out,
                       struct dialect_refusal *why)
{
    struct reader r = {d, out, why, .takes_objects = false};
    out->names = cohere_fields;
    out->list = "documents";
    return read_members(&r, OF_COHERE);
}

/* ---- requests, written ---- */

static int write_request(const struct ir_request *r, const struct codec_target *t, struct buf *out,
                         struct dialect_refusal *why, bool cohere)
{
    const struct ir_rerank *k = r->rerank;
    struct json_writer w;
    size_t n;
    why->message[0] = '\0';
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_str(&w, "model", t->model);
    ir_member(&w, "query", k->query);
    jw_member_array(&w, "documents");
    for (size_t i = 0; i < k->n; i++)
        ir_write_str(&w, k->documents[i].text);
    jw_array_end(&w);
    if (k->top_n >= 0)
        jw_member_i64(&w, "top_n", k->top_n);
    if (cohere && k->max_tokens >= 0)
        jw_member_i64(&w, "max_tokens_per_doc", k->max_tokens);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}

static int write_openai(const struct ir_request *r, const struct codec_target *t, struct buf *out,
                        struct dialect_refusal *why)
{
    return write_request(r, t, out, why, false);
}

static int write_cohere(const struct ir_request *r, const struct codec_target *t, struct buf *out,
                        struct dialect_refusal *why)
{
    return write_request(r, t, out, why, true);
}

/* ---- answers, read ---- */

static int read_ranks(const struct json_doc *d, struct ir_response *out)
{
    uint32_t results = json_get_lit(d, JSON_ROOT, "results");
    size_t i = 0;
    if (json_type(d, results) != JSON_ARRAY || !ir_add_ranks(out, json_count(d, results)))
        return -1;
    json_foreach_element(d, results, e)
    {
        struct ir_rank *to = &out->ranks->v[i++];
        uint32_t score = json_get_lit(d, e, "relevance_score");
        if (json_i64(d, json_get_lit(d, e, "index"), &to->index) < 0 || to->index < 0 ||
            json_type(d, score) != JSON_NUMBER)
            return -1;
        to->score = json_raw(d, score);
    }
    out->id = ir_text_of(d, json_get_lit(d, JSON_ROOT, "id"));
    out->model = ir_text_of(d, json_get_lit(d, JSON_ROOT, "model"));
    return 0;
}

/* False: something stands there that is no count. */
static bool take_count(const struct json_doc *d, uint32_t v, int64_t *to, bool *there)
{
    int64_t n;
    if (v == JSON_NONE || json_is_null(d, v))
        return true;
    *there = true;
    if (json_i64(d, v, &n) < 0 || n < 0 || n > USAGE_MAX_TOKENS)
        return false;
    *to = n;
    return true;
}

static void settle_usage(struct dialect_usage *u, bool sane, bool there)
{
    if (!there)
        return;
    if (!sane)
        *u = (struct dialect_usage){.flags = USAGE_ODD, .total_tokens = -1};
    else
        u->flags = USAGE_PRESENT | (u->input_tokens == 0 && u->units == 0 ? USAGE_ZERO : 0u);
}

/* Nothing is generated, so that all tokens are the input's; some servers tell only their sum. */
static int read_openai_answer(const struct json_doc *d, struct ir_response *out)
{
    uint32_t usage = json_get_lit(d, JSON_ROOT, "usage");
    struct dialect_usage *u = &out->usage;
    bool there = false;
    if (read_ranks(d, out) < 0)
        return -1;
    bool sane =
        take_count(d, json_get_lit(d, usage, "total_tokens"), &u->input_tokens, &there) &&
        (there || take_count(d, json_get_lit(d, usage, "prompt_tokens"), &u->input_tokens, &there));
    settle_usage(u, sane, there);
    return 0;
}

static int read_cohere_answer(const struct json_doc *d, struct ir_response *out)
{
    uint32_t billed = json_get_lit(d, json_get_lit(d, JSON_ROOT, "meta"), "billed_units");
    struct dialect_usage *u = &out->usage;
    bool there = false;
    if (read_ranks(d, out) < 0)
        return -1;
    bool sane = take_count(d, json_get_lit(d, billed, "search_units"), &u->units, &there) &&
                take_count(d, json_get_lit(d, billed, "input_tokens"), &u->input_tokens, &there);
    settle_usage(u, sane, there);
    return 0;
}

/* ---- answers, written ---- */

static bool is_whole(const struct ir_response *r, const struct codec_caller *c)
{
    if (!c->request || !c->request->rerank)
        return false;
    for (size_t i = 0; i < r->ranks->n; i++)
        if ((size_t)r->ranks->v[i].index >= c->request->rerank->n)
            return false;
    return true;
}

static void write_document(struct json_writer *w, const struct ir_rerank_document *doc)
{
    jw_key_plain(w, SLICE_LIT("document"));
    if (doc->object.p) {
        jw_raw(w, doc->object);
        return;
    }
    jw_object(w);
    ir_member(w, "text", doc->text);
    jw_object_end(w);
}

static void write_results(struct json_writer *w, const struct ir_response *r,
                          const struct ir_rerank *asked)
{
    jw_member_array(w, "results");
    for (size_t i = 0; i < r->ranks->n; i++) {
        const struct ir_rank *rank = &r->ranks->v[i];
        jw_object(w);
        jw_member_i64(w, "index", rank->index);
        jw_member_raw(w, "relevance_score", rank->score);
        if (asked->return_documents)
            write_document(w, &asked->documents[rank->index]);
        jw_object_end(w);
    }
    jw_array_end(w);
}

/* What the provider counted, in tokens or in searches; else the gateway's estimate. */
static void write_billed(struct json_writer *w, const struct ir_response *r,
                         const struct codec_caller *c)
{
    bool present = r->usage.flags & USAGE_PRESENT;
    jw_member_object(w, "billed_units");
    if (r->usage.units)
        jw_member_i64(w, "search_units", r->usage.units);
    if (!present || r->usage.input_tokens || !r->usage.units)
        jw_member_i64(w, "input_tokens", present ? r->usage.input_tokens : c->estimated_input);
    jw_object_end(w);
}

static int write_openai_answer(const struct ir_response *r, const struct codec_caller *c,
                               struct buf *out)
{
    struct json_writer w;
    size_t n;
    bool present = r->usage.flags & USAGE_PRESENT;
    int64_t tokens = present ? r->usage.input_tokens : c->estimated_input;
    if (!is_whole(r, c))
        return -1;
    jw_init_buf(&w, out);
    jw_object(&w);
    ir_member(&w, "id", r->id.s.n ? r->id : ir_plain(c->request_id));
    ir_member(&w, "model", ir_has(c->model) ? c->model : r->model);
    write_results(&w, r, c->request->rerank);
    if (tokens || !r->usage.units) {
        jw_member_object(&w, "usage");
        jw_member_i64(&w, "prompt_tokens", tokens);
        jw_member_i64(&w, "total_tokens", tokens);
        jw_object_end(&w);
    }
    jw_member_object(&w, "meta");
    write_billed(&w, r, c);
    jw_object_end(&w);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}

static int write_cohere_answer(const struct ir_response *r, const struct codec_caller *c,
                               struct buf *out)
{
    struct json_writer w;
    size_t n;
    if (!is_whole(r, c))
        return -1;
    jw_init_buf(&w, out);
    jw_object(&w);
    ir_member(&w, "id", r->id.s.n ? r->id : ir_plain(c->request_id));
    write_results(&w, r, c->request->rerank);
    jw_member_object(&w, "meta");
    jw_member_object(&w, "api_version");
    jw_member_str(&w, "version", SLICE_LIT("2"));
    jw_object_end(&w);
    write_billed(&w, r, c);
    jw_object_end(&w);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}

const struct codec codec_openai_rerank = {
    .name = "openai-compatible rerank",
    .framing = CODEC_SSE,
    .fields = openai_fields,
    .read_request = read_openai,
    .write_request = write_openai,
    .read_response = read_openai_answer,
    .write_response = write_openai_answer,
};

const struct codec codec_cohere_rerank = {
    .name = "cohere.rerank",
    .framing = CODEC_SSE,
    .fields = cohere_fields,
    .read_request = read_cohere,
    .write_request = write_cohere,
    .read_response = read_cohere_answer,
    .write_response = write_cohere_answer,
};
