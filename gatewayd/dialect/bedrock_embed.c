/*
 * bedrock_embed.c: the codec of embeddings on Amazon Bedrock: InvokeModel with the bodies of the
 * models themselves, which the upstream model's name tells.
 *
 * Titan (docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html) takes
 * one text a call. A list of several is refused: a try is one call, one record of the ledger and
 * one answer to retry, and calls of which some fail would be billed for vectors that nobody gets. A
 * model with a further target gets it asked next, and clients that embed many have a batch size.
 * Cohere (.../model-parameters-embed-v3.html and -v4.html) takes lists.
 */
#include "gatewayd/dialect/bedrock.h"
#include "gatewayd/dialect/embed.h"

#include <stdio.h>

static const struct ir_field_row fields[IR_EMBED_FIELD_COUNT] = {
    [IR_E_TOKENS] = {NULL, IR_REFUSED, "its models take text, not token ids"},
    [IR_E_IMAGE] = {NULL, IR_REFUSED, "only text is translated"},
    [IR_E_DIMENSIONS] = {"dimensions, output_dimension", IR_MAPPED,
                         "Titan v2 and Cohere v4; refused for the models before them"},
    [IR_E_PURPOSE] = {"input_type", IR_MAPPED,
                      "Cohere: the nearest of its four, search_document where none is given; "
                      "dropped for Titan"},
    [IR_E_TITLE] = {NULL, IR_DROPPED, "its models know no titles"},
    [IR_E_TRUNCATE] = {"truncate", IR_MAPPED,
                       "Cohere; left and right in v4; dropped for Titan, which refuses what is too "
                       "long"},
    [IR_E_MAX_TOKENS] = {"max_tokens", IR_MAPPED, "Cohere v4; dropped for the others"},
    [IR_E_BASE64] = {NULL, IR_MAPPED, "numbers are asked for and turned here"},
    [IR_E_TYPES] = {"embedding_types, embeddingTypes", IR_REFUSED, "only floats are translated"},
    [IR_E_USER] = {NULL, IR_DROPPED, "its models take no end user"},
};

enum model { UNKNOWN, TITAN_V1, TITAN_V2, COHERE_V3, COHERE_V4 };

static bool names(struct slice model, const char *part)
{
    return memmem(model.p, model.n, part, strlen(part)) != NULL;
}

static enum model model_of(struct slice name)
{
    if (names(name, "amazon.titan-embed-text-v1") || names(name, "amazon.titan-embed-g1"))
        return TITAN_V1;
    if (names(name, "amazon.titan-embed-text-v"))
        return TITAN_V2;
    if (names(name, "cohere.embed-english-v3") || names(name, "cohere.embed-multilingual-v3"))
        return COHERE_V3;
    return names(name, "cohere.embed-v") ? COHERE_V4 : UNKNOWN;
}

/* ---- requests ---- */

static void drop(const struct ir_request *r, const struct codec_target *t, enum ir_embed_field f)
{
    if (ir_noted(r, f))
        ir_list_dropped(r, f, t->dropped);
}

static int write_titan(struct json_writer *w, const struct ir_request *r,
                       const struct codec_target *t, enum model m, struct dialect_refusal *why)
{
    const struct ir_embed *e = r->embed;
    if (e->n > 1) {
        snprintf(
            why->message, sizeof why->message,
            "This model (Amazon Titan) embeds one text a request, not %zu: give one input at a "
            "time.",
            e->n);
        snprintf(why->param, sizeof why->param, "%s", r->list);
        why->code = "unsupported_parameter";
        return -1;
    }
    if (m == TITAN_V1 && e->dimensions >= 0)
        return ir_refuse_field(r, IR_E_DIMENSIONS, why, "Titan's first version has 1536, always");
    drop(r, t, IR_E_PURPOSE);
    drop(r, t, IR_E_TRUNCATE);
    drop(r, t, IR_E_MAX_TOKENS);
    jw_object(w);
    ir_member(w, "inputText", e->inputs[0].text);
    if (e->dimensions >= 0)
        jw_member_i64(w, "dimensions", e->dimensions);
    jw_object_end(w);
    return 0;
}

static void write_cut(struct json_writer *w, enum ir_cut cut, bool v4)
{
    static const char *const v3_words[] = {
        [IR_CUT_NONE] = "NONE", [IR_CUT_START] = "START", [IR_CUT_END] = "END"};
    static const char *const v4_words[] = {
        [IR_CUT_NONE] = "NONE", [IR_CUT_START] = "LEFT", [IR_CUT_END] = "RIGHT"};
    if (cut != IR_CUT_UNSET)
        jw_member_str(w, "truncate", slice_str((v4 ? v4_words : v3_words)[cut]));
}

static int write_cohere(struct json_writer *w, const struct ir_request *r,
                        const struct codec_target *t, enum model m, struct dialect_refusal *why)
{
    const struct ir_embed *e = r->embed;
    if (m == COHERE_V3 && e->dimensions >= 0)
        return ir_refuse_field(r, IR_E_DIMENSIONS, why, "Cohere's third version has 1024, always");
    if (m == COHERE_V3)
        drop(r, t, IR_E_MAX_TOKENS);
    jw_object(w);
    jw_member_array(w, "texts");
    for (size_t i = 0; i < e->n; i++)
        ir_write_str(w, e->inputs[i].text);
    jw_array_end(w);
    jw_member_str(w, "input_type", slice_str(embed_cohere_purpose(e->purpose)));
    write_cut(w, e->cut, m == COHERE_V4);
    jw_member_array(w, "embedding_types");
    jw_str(w, SLICE_LIT("float"));
    jw_array_end(w);
    if (e->dimensions >= 0)
        jw_member_i64(w, "output_dimension", e->dimensions);
    if (m == COHERE_V4 && e->max_tokens >= 0)
        jw_member_i64(w, "max_tokens", e->max_tokens);
    jw_object_end(w);
    return 0;
}

static int write_request(const struct ir_request *r, const struct codec_target *t, struct buf *out,
                         struct dialect_refusal *why)
{
    enum model m = model_of(t->model);
    struct json_writer w;
    size_t n;
    int rc = -1;
    memset(why, 0, sizeof *why);
    jw_init_buf(&w, out);
    switch (m) {
    case TITAN_V1:
    case TITAN_V2:
        rc = write_titan(&w, r, t, m, why);
        break;
    case COHERE_V3:
    case COHERE_V4:
        rc = write_cohere(&w, r, t, m, why);
        break;
    case UNKNOWN:
        snprintf(
            why->message, sizeof why->message,
            "The model behind this name is no text embeddings model of Amazon Titan or Cohere, "
            "of which Bedrock's bodies are known.");
        snprintf(why->param, sizeof why->param, "model");
        why->code = "unsupported_operation";
        break;
    }
    return rc < 0 ? -1 : jw_finish(&w, &n);
}

/* ---- answers ---- */

static int read_titan(const struct json_doc *d, uint32_t embedding, struct ir_response *out)
{
    int64_t n;
    uint32_t count = json_get_lit(d, JSON_ROOT, "inputTextTokenCount");
    if (!ir_add_vectors(out, 1) || ir_read_numbers(d, embedding, &out->vectors->v[0]) < 0)
        return -1;
    if (count == JSON_NONE)
        return 0;
    bool sane = json_i64(d, count, &n) == 0 && n >= 0 && n <= USAGE_MAX_TOKENS;
    out->usage.flags = sane ? USAGE_PRESENT : USAGE_ODD;
    out->usage.input_tokens = sane ? n : 0;
    return 0;
}

/* The lists stand under their type where types were asked for, as they are here. */
static int read_response(const struct json_doc *d, struct ir_response *out)
{
    uint32_t titan = json_get_lit(d, JSON_ROOT, "embedding");
    uint32_t list = json_get_lit(d, JSON_ROOT, "embeddings");
    size_t i = 0;
    if (titan != JSON_NONE)
        return read_titan(d, titan, out);
    if (json_type(d, list) == JSON_OBJECT)
        list = json_get_lit(d, list, "float");
    if (json_type(d, list) != JSON_ARRAY || !ir_add_vectors(out, json_count(d, list)))
        return -1;
    out->id = ir_text_of(d, json_get_lit(d, JSON_ROOT, "id"));
    json_foreach_element(d, list, v)
    {
        if (ir_read_numbers(d, v, &out->vectors->v[i++]) < 0)
            return -1;
    }
    return 0;
}

/* Never a caller's: InvokeModel is no route. */
const struct codec codec_bedrock_embed = {
    .name = "bedrock.invokeModel (embeddings)",
    .framing = CODEC_EVENTSTREAM,
    .fields = fields,
    .write_request = write_request,
    .read_response = read_response,
};
