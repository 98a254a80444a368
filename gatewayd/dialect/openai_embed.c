/*
 * openai_embed.c: the codec of OpenAI's embeddings
 * (platform.openai.com/docs/api-reference/embeddings).
 *
 * A provider is asked for numbers, which every compatible server gives; base64 is made here for
 * callers that want it. input_type is not OpenAI's: callers may give it all the same, for providers
 * whose vectors depend on it (docs.nvidia.com/nim/nemo-retriever/text-embedding has it too).
 */
#include "gatewayd/dialect/embed.h"
#include "gatewayd/dialect/openai.h"
#include "gatewayd/dialect/openai_read.h"

static const struct ir_field_row fields[IR_EMBED_FIELD_COUNT] = {
    [IR_E_TOKENS] = {"input", IR_CARRIED, ""},
    [IR_E_IMAGE] = {NULL, IR_REFUSED, "the API embeds text only"},
    [IR_E_DIMENSIONS] = {"dimensions", IR_CARRIED, ""},
    [IR_E_PURPOSE] = {"input_type", IR_DROPPED, "the API's vectors have no purpose"},
    [IR_E_TITLE] = {NULL, IR_DROPPED, "the API knows no titles"},
    [IR_E_TRUNCATE] = {NULL, IR_DROPPED, "an input that is too long is refused by the provider"},
    [IR_E_MAX_TOKENS] = {NULL, IR_DROPPED, "an input that is too long is refused by the provider"},
    [IR_E_BASE64] = {"encoding_format", IR_MAPPED, "numbers are asked for and turned here"},
    [IR_E_TYPES] = {NULL, IR_REFUSED, "the API has floats only"},
    [IR_E_USER] = {"user", IR_CARRIED, ""},
};

/* ---- requests ---- */

struct body {
    uint32_t input;
    int64_t dimensions;
    struct ir_text format, purpose, user;
};

static const struct openai_member members[] = {
    OPENAI_MEMBER_KNOWN("model"),
    OPENAI_MEMBER("input", VALUE, struct body, input),
    OPENAI_MEMBER("dimensions", COUNT, struct body, dimensions),
    OPENAI_MEMBER("encoding_format", TEXT, struct body, format),
    OPENAI_MEMBER("input_type", TEXT, struct body, purpose),
    OPENAI_MEMBER("user", TEXT, struct body, user),
};

static bool all_are(const struct json_doc *d, uint32_t array, enum json_type t)
{
    json_foreach_element(d, array, e)
    {
        if (json_type(d, e) != t)
            return false;
    }
    return json_count(d, array) > 0;
}

static bool is_tokens(const struct json_doc *d, uint32_t v)
{
    return json_type(d, v) == JSON_ARRAY && all_are(d, v, JSON_NUMBER);
}

static bool take_input(const struct json_doc *d, uint32_t v, struct ir_request *r,
                       struct ir_embed_input *out)
{
    if (json_type(d, v) == JSON_STRING)
        out->text = ir_text_of(d, v);
    else if (is_tokens(d, v)) {
        out->tokens = json_raw(d, v);
        ir_note(r, IR_E_TOKENS);
    } else
        return false;
    return true;
}

static int read_inputs(struct openai_reader *r, uint32_t v)
{
    static const char expected[] = "a string, an array of strings, an array of token ids, or an "
                                   "array of these";
    const struct json_doc *d = r->d;
    struct openai_at at = openai_in(NULL, "input");
    bool list = json_type(d, v) == JSON_ARRAY && !is_tokens(d, v);
    if (list && json_count(d, v) == 0)
        return openai_refuse(r, &at, "invalid_value", "must not be empty.");
    struct ir_embed *e = ir_add_embed(r->out, list ? json_count(d, v) : 1);
    if (!e)
        return openai_too_large(r);
    e->list = list;
    if (!list)
        return take_input(d, v, r->out, &e->inputs[0]) ? 0 : openai_wrong_type(r, &at, v, expected);
    uint32_t i = 0;
    json_foreach_element(d, v, input)
    {
        struct openai_at in = openai_elem(&at, i);
        if (!take_input(d, input, r->out, &e->inputs[i++]))
            return openai_wrong_type(r, &in, input, "a string or an array of token ids");
    }
    return 0;
}

static int read_format(struct openai_reader *r, struct ir_text format)
{
    struct openai_at at = openai_in(NULL, "encoding_format");
    if (!ir_has(format))
        return 0;
    r->out->embed->base64 = ir_text_is(format, SLICE_LIT("base64"));
    if (!r->out->embed->base64 && !ir_text_is(format, SLICE_LIT("float")))
        return openai_refuse(r, &at, "invalid_value", "must be float or base64.");
    if (r->out->embed->base64)
        ir_note(r->out, IR_E_BASE64);
    return 0;
}

static int read_purpose(struct openai_reader *r, struct ir_text word)
{
    struct openai_at at = openai_in(NULL, "input_type");
    if (!ir_has(word))
        return 0;
    r->out->embed->purpose = embed_purpose_find(word);
    if (r->out->embed->purpose == IR_PURPOSE_UNSET)
        return openai_refuse(r, &at, "invalid_value",
                             "must be search_document, search_query, classification or "
                             "clustering.");
    ir_note(r->out, IR_E_PURPOSE);
    return 0;
}

static int read_request(const struct json_doc *d, struct ir_request *out,
                        struct dialect_refusal *why)
{
    struct openai_reader r = {.d = d, .out = out, .why = why};
    struct body b = {.input = JSON_NONE, .dimensions = -1};
    out->names = fields;
    out->list = "input";
    if (OPENAI_READ(&r, NULL, JSON_ROOT, members, &b) < 0)
        return -1;
    struct openai_at at = openai_in(NULL, "input");
    if (b.input == JSON_NONE)
        return openai_refuse(&r, &at, "missing_required_parameter", "is required.");
    if (read_inputs(&r, b.input) < 0 || read_format(&r, b.format) < 0 ||
        read_purpose(&r, b.purpose) < 0)
        return -1;
    out->embed->dimensions = b.dimensions;
    if (b.dimensions >= 0)
        ir_note(out, IR_E_DIMENSIONS);
    out->embed->user = b.user;
    if (ir_has(b.user))
        ir_note(out, IR_E_USER);
    return 0;
}

static void write_input(struct json_writer *w, const struct ir_embed_input *in)
{
    if (in->tokens.p)
        jw_raw(w, in->tokens);
    else
        ir_write_str(w, in->text);
}

static int write_request(const struct ir_request *r, const struct codec_target *t, struct buf *out,
                         struct dialect_refusal *why)
{
    const struct ir_embed *e = r->embed;
    struct json_writer w;
    size_t n;
    why->message[0] = '\0';
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_str(&w, "model", t->model);
    jw_key_plain(&w, SLICE_LIT("input"));
    if (e->list)
        jw_array(&w);
    for (size_t i = 0; i < e->n; i++)
        write_input(&w, &e->inputs[i]);
    if (e->list)
        jw_array_end(&w);
    if (e->dimensions >= 0)
        jw_member_i64(&w, "dimensions", e->dimensions);
    if (ir_has(e->user))
        ir_member(&w, "user", e->user);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}

/* ---- answers ---- */

/* Vectors have their place by `index`. */
static int read_vector(const struct json_doc *d, uint32_t item, struct ir_response *out, int64_t at)
{
    uint32_t index = json_get_lit(d, item, "index"), v = json_get_lit(d, item, "embedding");
    if (index != JSON_NONE && json_i64(d, index, &at) < 0)
        return -1;
    if (at < 0 || (size_t)at >= out->vectors->n)
        return -1;
    struct ir_vector *to = &out->vectors->v[at];
    if (to->numbers.p || ir_has(to->base64))
        return -1;
    return json_type(d, v) == JSON_STRING ? ir_read_base64(d, v, out->arena, to)
                                          : ir_read_numbers(d, v, to);
}

static int read_response(const struct json_doc *d, struct ir_response *out)
{
    uint32_t data = json_get_lit(d, JSON_ROOT, "data");
    int64_t i = 0;
    if (json_type(d, data) != JSON_ARRAY || !ir_add_vectors(out, json_count(d, data)))
        return -1;
    json_foreach_element(d, data, item)
    {
        if (read_vector(d, item, out, i++) < 0)
            return -1;
    }
    out->id = ir_text_of(d, json_get_lit(d, JSON_ROOT, "id"));
    out->model = ir_text_of(d, json_get_lit(d, JSON_ROOT, "model"));
    openai_read_usage(d, json_get_lit(d, JSON_ROOT, "usage"), &out->usage);
    return 0;
}

static int write_response(const struct ir_response *r, const struct codec_caller *c,
                          struct buf *out)
{
    struct json_writer w;
    size_t n;
    int64_t tokens = embed_input_tokens(r, c);
    if (!embed_is_complete(r, c))
        return -1;
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_str(&w, "object", SLICE_LIT("list"));
    jw_member_array(&w, "data");
    for (size_t i = 0; i < r->vectors->n; i++) {
        jw_object(&w);
        jw_member_str(&w, "object", SLICE_LIT("embedding"));
        jw_member_u64(&w, "index", i);
        jw_key_plain(&w, SLICE_LIT("embedding"));
        if (c->request->embed->base64)
            ir_write_base64(&w, &r->vectors->v[i]);
        else
            ir_write_numbers(&w, &r->vectors->v[i]);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    ir_member(&w, "model", ir_has(c->model) ? c->model : r->model);
    jw_member_object(&w, "usage");
    jw_member_i64(&w, "prompt_tokens", tokens);
    jw_member_i64(&w, "total_tokens", tokens);
    jw_object_end(&w);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}

const struct codec codec_openai_embed = {
    .name = "openai.embeddings",
    .fields = fields,
    .read_request = read_request,
    .write_request = write_request,
    .read_response = read_response,
    .write_response = write_response,
};
