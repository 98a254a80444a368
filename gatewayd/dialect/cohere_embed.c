/*
 * cohere_embed.c: the codec of /v2/embed (docs.cohere.com/reference/embed).
 *
 * Floats are asked for, whatever the caller wants: base64 is made here. Callers may ask for both at
 * once. Texts may stand in `texts`, or as the only part of the contents of `inputs`.
 */
#include "gatewayd/dialect/cohere.h"
#include "gatewayd/dialect/embed.h"

#include <stdio.h>

static const struct ir_field_row fields[IR_EMBED_FIELD_COUNT] = {
    [IR_E_TOKENS] = {NULL, IR_REFUSED, "the API takes text, not token ids"},
    [IR_E_IMAGE] = {"images, inputs", IR_REFUSED, "only text is translated"},
    [IR_E_DIMENSIONS] = {"output_dimension", IR_CARRIED, ""},
    [IR_E_PURPOSE] = {"input_type", IR_MAPPED,
                      "the nearest of its four; search_document where none is given"},
    [IR_E_TITLE] = {NULL, IR_DROPPED, "the API knows no titles"},
    [IR_E_TRUNCATE] = {"truncate", IR_CARRIED, ""},
    [IR_E_MAX_TOKENS] = {"max_tokens", IR_CARRIED, ""},
    [IR_E_BASE64] = {"embedding_types", IR_MAPPED, "floats are asked for and turned here"},
    [IR_E_TYPES] = {"embedding_types", IR_REFUSED, "only floats are translated"},
    [IR_E_USER] = {NULL, IR_DROPPED, "the API takes no end user"},
};

static const char *const cuts[] = {
    [IR_CUT_NONE] = "NONE", [IR_CUT_START] = "START", [IR_CUT_END] = "END"};

struct reader {
    const struct json_doc *d;
    struct ir_request *out;
    struct dialect_refusal *why;
};

/* ---- requests ---- */

static int read_texts(struct reader *r, const char *path, uint32_t v)
{
    uint32_t i = 0;
    if (json_type(r->d, v) != JSON_ARRAY || json_count(r->d, v) == 0)
        return cohere_refuse(r->why, "invalid_value", path,
                             "must be an array of at least one string.");
    if (!ir_add_embed(r->out, json_count(r->d, v)))
        return cohere_refuse(r->why, "request_too_large", path, "holds too many values.");
    json_foreach_element(r->d, v, e)
    {
        if (json_type(r->d, e) != JSON_STRING)
            return cohere_wrong_type(r->why, r->d, e, "texts[]", "a string");
        r->out->embed->inputs[i++].text = ir_text_of(r->d, e);
    }
    return 0;
}

static int read_inputs(struct reader *r, const char *path, uint32_t v)
{
    uint32_t i = 0;
    if (json_type(r->d, v) != JSON_ARRAY || json_count(r->d, v) == 0)
        return cohere_refuse(r->why, "invalid_value", path,
                             "must be an array of at least one object.");
    if (!ir_add_embed(r->out, json_count(r->d, v)))
        return cohere_refuse(r->why, "request_too_large", path, "holds too many values.");
    json_foreach_element(r->d, v, e)
    {
        uint32_t content = json_get_lit(r->d, e, "content");
        if (json_type(r->d, content) != JSON_ARRAY || json_count(r->d, content) == 0)
            return cohere_wrong_type(r->why, r->d, content, "inputs[].content", "an array");
        uint32_t text = json_get_lit(r->d, content + 1, "text");
        if (json_count(r->d, content) > 1 || json_type(r->d, text) != JSON_STRING)
            ir_note(r->out, IR_E_IMAGE);
        r->out->embed->inputs[i++].text = ir_text_of(r->d, text);
    }
    return 0;
}

static int read_images(struct reader *r, const char *path, uint32_t v)
{
    (void)path;
    (void)v;
    ir_note(r->out, IR_E_IMAGE);
    return ir_add_embed(r->out, 0) ? 0 : -1;
}

static int read_type(struct reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_STRING)
        return cohere_wrong_type(r->why, r->d, v, path, "a string");
    r->out->embed->purpose = embed_purpose_find(ir_text_of(r->d, v));
    if (json_str_eq_lit(r->d, v, "image"))
        ir_note(r->out, IR_E_IMAGE);
    else if (r->out->embed->purpose == IR_PURPOSE_UNSET)
        return cohere_refuse(r->why, "invalid_value", path,
                             "must be search_document, search_query, classification, clustering or "
                             "image.");
    ir_note(r->out, IR_E_PURPOSE);
    return 0;
}

static int read_types(struct reader *r, const char *path, uint32_t v)
{
    struct ir_embed *e = r->out->embed;
    if (json_type(r->d, v) != JSON_ARRAY)
        return cohere_wrong_type(r->why, r->d, v, path, "an array");
    json_foreach_element(r->d, v, t)
    {
        if (json_type(r->d, t) != JSON_STRING)
            return cohere_wrong_type(r->why, r->d, t, path, "an array of strings");
        if (json_str_eq_lit(r->d, t, "float"))
            e->floats = true;
        else if (json_str_eq_lit(r->d, t, "base64")) {
            e->base64 = true;
            ir_note(r->out, IR_E_BASE64);
        } else
            ir_note(r->out, IR_E_TYPES);
    }
    return 0;
}

static int read_cut(struct reader *r, const char *path, uint32_t v)
{
    for (size_t i = IR_CUT_NONE; i < ARRAY_LEN(cuts); i++)
        if (json_str_eq(r->d, v, slice_str(cuts[i]))) {
            r->out->embed->cut = (enum ir_cut)i;
            ir_note(r->out, IR_E_TRUNCATE);
            return 0;
        }
    return cohere_refuse(r->why, "invalid_value", path, "must be NONE, START or END.");
}

static int read_count(struct reader *r, const char *path, uint32_t v, int64_t *out,
                      enum ir_embed_field f)
{
    if (json_type(r->d, v) != JSON_NUMBER)
        return cohere_wrong_type(r->why, r->d, v, path, "an integer");
    if (json_i64(r->d, v, out) < 0 || *out < 1)
        return cohere_refuse(r->why, "invalid_value", path, "must be an integer from 1.");
    ir_note(r->out, f);
    return 0;
}

static int read_dimension(struct reader *r, const char *path, uint32_t v)
{
    return read_count(r, path, v, &r->out->embed->dimensions, IR_E_DIMENSIONS);
}

static int read_max_tokens(struct reader *r, const char *path, uint32_t v)
{
    return read_count(r, path, v, &r->out->embed->max_tokens, IR_E_MAX_TOKENS);
}

static int skip(struct reader *r, const char *path, uint32_t v)
{
    return 0;
}

/* What is embedded is read first: the others say something about it. */
static const struct {
    const char *name;
    int (*read)(struct reader *r, const char *path, uint32_t v);
} members[] = {
    {"texts", read_texts},
    {"inputs", read_inputs},
    {"images", read_images},
    {"input_type", read_type},
    {"embedding_types", read_types},
    {"truncate", read_cut},
    {"output_dimension", read_dimension},
    {"max_tokens", read_max_tokens},
    {"model", skip},
};
enum { OF_INPUT = 3 };

static int find_members(struct reader *r, uint32_t at[ARRAY_LEN(members)])
{
    json_foreach_member(r->d, JSON_ROOT, k)
    {
        size_t i = 0;
        while (i < ARRAY_LEN(members) && !json_str_eq(r->d, k, slice_str(members[i].name)))
            i++;
        if (i == ARRAY_LEN(members))
            ir_note_unknown(r->out, "%.*s", SLICE_FMT(ir_text_of(r->d, k).s));
        else if (at[i] != JSON_NONE)
            return cohere_refuse(r->why, "duplicate_member", members[i].name,
                                 "is given more than once.");
        else if (!json_is_null(r->d, k + 1))
            at[i] = k + 1;
    }
    return 0;
}

static int read_request(const struct json_doc *d, struct ir_request *out,
                        struct dialect_refusal *why)
{
    struct reader r = {d, out, why};
    uint32_t at[ARRAY_LEN(members)];
    unsigned inputs = 0;
    memset(at, 0xff, sizeof at); /* JSON_NONE */
    out->names = fields;
    out->list = "texts";
    if (find_members(&r, at) < 0)
        return -1;
    for (size_t i = 0; i < OF_INPUT; i++)
        inputs += at[i] != JSON_NONE;
    if (inputs != 1)
        return cohere_refuse(why, "invalid_value", "texts",
                             "exactly one of texts, images and inputs is required.");
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (at[i] != JSON_NONE && members[i].read(&r, members[i].name, at[i]) < 0)
            return -1;
    out->embed->list = true;
    return 0;
}

static int write_request(const struct ir_request *r, const struct codec_target *t, struct buf *out,
                         struct dialect_refusal *why)
{
    enum { TEXTS_MAX = 96 };
    const struct ir_embed *e = r->embed;
    struct json_writer w;
    size_t n;
    memset(why, 0, sizeof *why);
    if (e->n > TEXTS_MAX) {
        snprintf(why->message, sizeof why->message,
                 "This model's provider embeds at most %d inputs in one request.", TEXTS_MAX);
        snprintf(why->param, sizeof why->param, "%s", r->list);
        why->code = "invalid_value";
        return -1;
    }
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_str(&w, "model", t->model);
    jw_member_array(&w, "texts");
    for (size_t i = 0; i < e->n; i++)
        ir_write_str(&w, e->inputs[i].text);
    jw_array_end(&w);
    jw_member_str(&w, "input_type", slice_str(embed_cohere_purpose(e->purpose)));
    jw_member_array(&w, "embedding_types");
    jw_str(&w, SLICE_LIT("float"));
    jw_array_end(&w);
    if (e->dimensions >= 0)
        jw_member_i64(&w, "output_dimension", e->dimensions);
    if (e->max_tokens >= 0)
        jw_member_i64(&w, "max_tokens", e->max_tokens);
    if (e->cut != IR_CUT_UNSET)
        jw_member_str(&w, "truncate", slice_str(cuts[e->cut]));
    jw_object_end(&w);
    return jw_finish(&w, &n);
}

/* ---- answers ---- */

static void read_units(const struct json_doc *d, struct dialect_usage *out)
{
    uint32_t billed = json_get_lit(d, json_get_lit(d, JSON_ROOT, "meta"), "billed_units");
    uint32_t tokens = json_get_lit(d, billed, "input_tokens");
    uint32_t images = json_get_lit(d, billed, "image_tokens");
    int64_t n = 0, more = 0;
    if (tokens == JSON_NONE && images == JSON_NONE)
        return;
    bool sane = (tokens == JSON_NONE || json_i64(d, tokens, &n) == 0) &&
                (images == JSON_NONE || json_i64(d, images, &more) == 0) && n >= 0 && more >= 0 &&
                n <= USAGE_MAX_TOKENS && more <= USAGE_MAX_TOKENS;
    out->flags = sane ? USAGE_PRESENT : USAGE_ODD;
    out->input_tokens = sane ? n + more : 0;
    if (sane && n + more == 0)
        out->flags |= USAGE_ZERO;
}

/* A caller of this dialect may have asked for any types: where there are no floats or base64, no
 * vectors are read and the figures alone are. */
static int read_response(const struct json_doc *d, struct ir_response *out)
{
    uint32_t embeddings = json_get_lit(d, JSON_ROOT, "embeddings");
    uint32_t numbers = json_get_lit(d, embeddings, "float");
    uint32_t packed = json_get_lit(d, embeddings, "base64");
    uint32_t list = numbers != JSON_NONE ? numbers : packed;
    size_t i = 0;
    if (json_type(d, embeddings) != JSON_OBJECT || !ir_add_vectors(out, json_count(d, list)))
        return -1;
    json_foreach_element(d, list, v)
    {
        struct ir_vector *to = &out->vectors->v[i++];
        if ((list == packed ? ir_read_base64(d, v, out->arena, to) : ir_read_numbers(d, v, to)) < 0)
            return -1;
    }
    out->id = ir_text_of(d, json_get_lit(d, JSON_ROOT, "id"));
    read_units(d, &out->usage);
    return 0;
}

static void write_vectors(struct json_writer *w, const struct ir_vectors *l, bool base64)
{
    jw_key_plain(w, base64 ? SLICE_LIT("base64") : SLICE_LIT("float"));
    jw_array(w);
    for (size_t i = 0; i < l->n; i++)
        (base64 ? ir_write_base64 : ir_write_numbers)(w, &l->v[i]);
    jw_array_end(w);
}

static int write_response(const struct ir_response *r, const struct codec_caller *c,
                          struct buf *out)
{
    struct json_writer w;
    size_t n;
    if (!embed_is_complete(r, c))
        return -1;
    const struct ir_embed *e = c->request->embed;
    jw_init_buf(&w, out);
    jw_object(&w);
    ir_member(&w, "id", r->id.s.n ? r->id : ir_plain(c->request_id));
    jw_member_object(&w, "embeddings");
    if (e->floats || !e->base64)
        write_vectors(&w, r->vectors, false);
    if (e->base64)
        write_vectors(&w, r->vectors, true);
    jw_object_end(&w);
    jw_member_array(&w, "texts");
    for (size_t i = 0; i < e->n; i++)
        ir_write_str(&w, e->inputs[i].text);
    jw_array_end(&w);
    jw_member_object(&w, "meta");
    jw_member_object(&w, "api_version");
    jw_member_str(&w, "version", SLICE_LIT("2"));
    jw_object_end(&w);
    jw_member_object(&w, "billed_units");
    jw_member_i64(&w, "input_tokens", embed_input_tokens(r, c));
    jw_object_end(&w);
    jw_object_end(&w);
    jw_member_str(&w, "response_type", SLICE_LIT("embeddings_by_type"));
    jw_object_end(&w);
    return jw_finish(&w, &n);
}

const struct codec codec_cohere_embed = {
    .name = "cohere.embed",
    .framing = CODEC_SSE,
    .fields = fields,
    .read_request = read_request,
    .write_request = write_request,
    .read_response = read_response,
    .write_response = write_response,
};
