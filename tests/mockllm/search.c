/*
 * search.c: see search.h.
 *
 * Formats: https://docs.cohere.com/reference/embed, https://docs.cohere.com/reference/rerank,
 * https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html (Re-rank API),
 * https://docs.together.ai/reference/rerank-1. A document's score is the better the more of its
 * bytes are the query's first letter.
 */
#include "tests/mockllm/search.h"

#include "tests/mockllm/json.h"
#include "tests/mockllm/shape.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool refuse(struct error *err, const char *text)
{
    err->status = 400;
    err->type = "invalid_request_error";
    snprintf(err->message, sizeof err->message, "%s", text);
    return false;
}

static bool read_body(struct call *call, const struct shape_member *table, struct error *err)
{
    static const char *const texts[] = {
        [SHAPE_EXTRA] = "is not valid",
        [SHAPE_TYPE] = "is not of its type",
        [SHAPE_MISSING] = "is required",
    };
    struct slice body = slice_trim(call->req->body), key, value, name;
    struct json j;
    bool started = false;
    json_init(&j, body);
    json_enter(&j, '{');
    while (j.error == NULL && json_next_member(&j, &started, &key, &value))
        continue;
    if (!json_finish(&j))
        return refuse(err, "invalid request: the body is no JSON object");
    enum shape_fault fault = shape_check(body, table, &name);
    if (fault != SHAPE_FITS) {
        char text[200];
        snprintf(text, sizeof text, "invalid request: parameter '" SLICE_FMT "' %s",
                 SLICE_ARG(name), texts[fault]);
        return refuse(err, text);
    }
    json_decode(json_get(body, "model"), &call->model);
    call->n = 1;
    call->from_content = true;
    return true;
}

static int64_t count_of(struct slice array)
{
    struct json j;
    struct slice one;
    bool started = false;
    int64_t n = 0;
    json_init(&j, array);
    json_enter(&j, '[');
    while (json_next_element(&j, &started, &one))
        n++;
    return n;
}

static void begin(struct reply *out)
{
    out->status = 200;
    out->ctype = "application/json";
}

/* ---- embed ---- */

static const char *const purposes[] = {"search_document", "search_query", "classification",
                                       "clustering",      "image",        NULL};
static const char *const cuts[] = {"NONE", "START", "END", NULL};
static const struct shape_member embed[] = {{"model", SHAPE_STRING, true, NULL},
                                            {"texts", SHAPE_STRINGS, false, NULL},
                                            {"images", SHAPE_STRINGS, false, NULL},
                                            {"inputs", SHAPE_ANY, false, NULL},
                                            {"input_type", SHAPE_STRING, true, purposes},
                                            {"embedding_types", SHAPE_STRINGS, false, NULL},
                                            {"output_dimension", SHAPE_INT, false, NULL},
                                            {"max_tokens", SHAPE_INT, false, NULL},
                                            {"truncate", SHAPE_STRING, false, cuts},
                                            {"priority", SHAPE_INT, false, NULL},
                                            {0}};

bool cohere_embed_read(struct call *call, struct error *err)
{
    struct slice body = call->req->body, texts;
    if (!read_body(call, embed, err))
        return false;
    texts = json_get(body, "texts");
    if (texts.p == NULL && json_get(body, "images").p == NULL && json_get(body, "inputs").p == NULL)
        return refuse(err, "invalid request: at least one of texts, images or inputs is required");
    if (texts.p != NULL && (count_of(texts) < 1 || count_of(texts) > 96))
        return refuse(err, "invalid request: total number of texts must be at most 96 - received "
                           "another number");
    call->prompt_tokens = (int64_t)(body.len + 3) / 4;
    return true;
}

static void add_vector(struct bytes *b, struct slice text, int64_t dimensions)
{
    uint64_t seed = slice_hash(text);
    bytes_adds(b, "[");
    for (int64_t i = 0; i < dimensions; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
        bytes_addf(b, "%s%.9g", i > 0 ? "," : "", (double)(int32_t)(seed >> 32) / 2147483648.0);
    }
    bytes_adds(b, "]");
}

void cohere_embed_write(const struct call *call, const struct script *s, struct reply *out)
{
    struct slice body = call->req->body, texts = json_get(body, "texts"), text;
    struct bytes *b = &out->text;
    struct json j;
    bool started = false;
    int64_t size;
    const char *glue = "";
    if (!slice_to_int(json_get(body, "output_dimension"), &size))
        size = 64;
    begin(out);
    out->prompt_tokens = s->prompt != INT64_MIN ? s->prompt : call->prompt_tokens;
    bytes_adds(b, "{\"id\":\"mock-id\",\"embeddings\":{\"float\":[");
    json_init(&j, texts);
    json_enter(&j, '[');
    while (texts.p != NULL && json_next_element(&j, &started, &text)) {
        bytes_adds(b, glue);
        add_vector(b, text, size);
        glue = ",";
    }
    bytes_adds(b, "]},\"texts\":");
    bytes_add_slice(b, texts.p != NULL ? texts : SLICE("[]"));
    bytes_adds(b, ",\"meta\":{\"api_version\":{\"version\":\"2\"}");
    if (s->usage != USAGE_ABSENT)
        bytes_addf(b, ",\"billed_units\":{\"input_tokens\":%" PRId64 "}", out->prompt_tokens);
    bytes_adds(b, "},\"response_type\":\"embeddings_by_type\"}");
    reply_end_piece(out, PIECE_WHOLE, 0);
}

/* ---- rerank ---- */

static const struct shape_member cohere_rerank[] = {{"model", SHAPE_STRING, true, NULL},
                                                    {"query", SHAPE_STRING, true, NULL},
                                                    {"documents", SHAPE_STRINGS, true, NULL},
                                                    {"top_n", SHAPE_INT, false, NULL},
                                                    {"max_tokens_per_doc", SHAPE_INT, false, NULL},
                                                    {"priority", SHAPE_INT, false, NULL},
                                                    {0}};
static const struct shape_member openai_rerank[] = {
    {"model", SHAPE_STRING, true, NULL},
    {"query", SHAPE_STRING, true, NULL},
    {"documents", SHAPE_ANY, true, NULL},
    {"top_n", SHAPE_INT, false, NULL},
    {"return_documents", SHAPE_BOOL, false, NULL},
    {"rank_fields", SHAPE_STRINGS, false, NULL},
    {"truncate_prompt_tokens", SHAPE_INT, false, NULL},
    {0}};

static bool read_rerank(struct call *call, const struct shape_member *table, struct error *err)
{
    struct slice body = call->req->body, documents;
    int64_t top;
    if (!read_body(call, table, err))
        return false;
    documents = json_get(body, "documents");
    if (documents.p[0] != '[' || count_of(documents) == 0)
        return refuse(err, "invalid request: documents must not be empty");
    if (slice_to_int(json_get(body, "top_n"), &top) && top < 1)
        return refuse(err, "invalid request: top_n must be at least 1");
    call->prompt_tokens = (int64_t)(documents.len + json_get(body, "query").len + 3) / 4;
    return true;
}

bool cohere_rerank_read(struct call *call, struct error *err)
{
    return read_rerank(call, cohere_rerank, err);
}

bool openai_rerank_read(struct call *call, struct error *err)
{
    return read_rerank(call, openai_rerank, err);
}

struct rank {
    int64_t index;
    double score;
    struct slice document;
};

static int better_first(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

static double score_of(struct slice document, char letter)
{
    size_t hits = 0;
    for (size_t i = 0; i < document.len; i++)
        hits += document.p[i] == letter;
    return (double)hits / (double)document.len;
}

static void add_ranks(struct bytes *b, struct slice body, bool documents)
{
    struct slice list = json_get(body, "documents"), one,
                 query = json_inner(json_get(body, "query"));
    int64_t n = count_of(list), i = 0, top;
    struct rank *ranks = xcalloc((size_t)n, sizeof *ranks);
    struct json j;
    bool started = false;
    json_init(&j, list);
    json_enter(&j, '[');
    while (json_next_element(&j, &started, &one)) {
        ranks[i] = (struct rank){i, score_of(one, query.len > 0 ? query.p[0] : 'a'), one};
        i++;
    }
    qsort(ranks, (size_t)n, sizeof *ranks, better_first);
    if (!slice_to_int(json_get(body, "top_n"), &top) || top > n)
        top = n;
    bytes_adds(b, "\"results\":[");
    for (i = 0; i < top; i++) {
        bytes_addf(b, "%s{\"index\":%" PRId64 ",\"relevance_score\":%.9g", i > 0 ? "," : "",
                   ranks[i].index, ranks[i].score);
        if (documents && json_is_string(ranks[i].document))
            bytes_addf(b, ",\"document\":{\"text\":" SLICE_FMT "}", SLICE_ARG(ranks[i].document));
        bytes_adds(b, "}");
    }
    bytes_adds(b, "]");
    free(ranks);
}

/* Billed by search units, not by tokens. */
void cohere_rerank_write(const struct call *call, const struct script *s, struct reply *out)
{
    struct bytes *b = &out->text;
    int64_t units = (count_of(json_get(call->req->body, "documents")) + 99) / 100;
    begin(out);
    out->units = units;
    bytes_adds(b, "{\"id\":\"mock-id\",");
    add_ranks(b, call->req->body, false);
    bytes_adds(b, ",\"meta\":{\"api_version\":{\"version\":\"2\"}");
    if (s->usage != USAGE_ABSENT)
        bytes_addf(b, ",\"billed_units\":{\"search_units\":%" PRId64 "}", units);
    bytes_adds(b, "}}");
    reply_end_piece(out, PIECE_WHOLE, 0);
}

void openai_rerank_write(const struct call *call, const struct script *s, struct reply *out)
{
    struct bytes *b = &out->text;
    begin(out);
    out->prompt_tokens = s->prompt != INT64_MIN ? s->prompt : call->prompt_tokens;
    bytes_adds(b, "{\"id\":\"rerank-mock\",\"model\":");
    bytes_add_json(b, bytes_slice(&call->model));
    bytes_adds(b, ",");
    add_ranks(b, call->req->body, true);
    if (s->usage != USAGE_ABSENT)
        bytes_addf(b, ",\"usage\":{\"prompt_tokens\":%" PRId64 ",\"total_tokens\":%" PRId64 "}",
                   out->prompt_tokens, out->prompt_tokens);
    bytes_adds(b, "}");
    reply_end_piece(out, PIECE_WHOLE, 0);
}
