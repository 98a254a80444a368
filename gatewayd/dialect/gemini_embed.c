/*
 * gemini_embed.c: the codecs of embedContent and batchEmbedContents (ai.google.dev/api/embeddings).
 *
 * A batch gives purpose, title and dimensions with each of its requests. Other APIs know one
 * purpose and one number of dimensions for all inputs, so a batch whose requests differ in these is
 * refused where it must be translated.
 */
#include "gatewayd/dialect/embed.h"
#include "gatewayd/dialect/gemini.h"

#include <stdio.h>

#define ROWS(prefix)                                                                               \
    {                                                                                              \
        [IR_E_TOKENS] = {NULL, IR_REFUSED, "the API takes text, not token ids"},                   \
        [IR_E_IMAGE] = {prefix "content.parts", IR_REFUSED, "only text is translated"},            \
        [IR_E_DIMENSIONS] = {prefix "outputDimensionality", IR_CARRIED, ""},                       \
        [IR_E_PURPOSE] = {prefix "taskType", IR_CARRIED, ""},                                      \
        [IR_E_TITLE] = {prefix "title", IR_CARRIED, ""},                                           \
        [IR_E_TRUNCATE] = {NULL, IR_DROPPED, "inputs that are too long are cut at their end"},     \
        [IR_E_MAX_TOKENS] = {NULL, IR_DROPPED, "the model's own limit holds"},                     \
        [IR_E_BASE64] = {NULL, IR_MAPPED, "the API gives numbers, which are turned here"},         \
        [IR_E_TYPES] = {NULL, IR_REFUSED, "the API has floats only"},                              \
        [IR_E_USER] = {NULL, IR_DROPPED, "the API takes no end user"},                             \
    }
static const struct ir_field_row fields[IR_EMBED_FIELD_COUNT] = ROWS("requests[].");
static const struct ir_field_row one_fields[IR_EMBED_FIELD_COUNT] = ROWS("");

/* ai.google.dev/api/embeddings#v1beta.TaskType */
static const struct {
    const char *word;
    enum ir_purpose purpose;
} tasks[] = {
    {"TASK_TYPE_UNSPECIFIED", IR_PURPOSE_UNSET},     {"RETRIEVAL_QUERY", IR_PURPOSE_QUERY},
    {"RETRIEVAL_DOCUMENT", IR_PURPOSE_DOCUMENT},     {"SEMANTIC_SIMILARITY", IR_PURPOSE_SIMILARITY},
    {"CLASSIFICATION", IR_PURPOSE_CLASSIFICATION},   {"CLUSTERING", IR_PURPOSE_CLUSTERING},
    {"QUESTION_ANSWERING", IR_PURPOSE_QUESTION},     {"FACT_VERIFICATION", IR_PURPOSE_FACT},
    {"CODE_RETRIEVAL_QUERY", IR_PURPOSE_CODE_QUERY},
};

/* ---- requests, read ---- */

/* One EmbedContentRequest: the body, or an element of `requests`. */
struct one {
    const struct gemini_in *in;
    uint32_t v;
    char where[32]; /* "requests[2]."; "" */
    struct ir_embed_input *input;
    enum ir_purpose purpose;
    int64_t dimensions;
};

static int wrong(const struct one *o, const char *name, uint32_t v, const char *expected)
{
    char param[64];
    snprintf(param, sizeof param, "%s%s", o->where, name);
    return gemini_wrong_type(o->in, param, v, expected);
}

static int read_task(struct one *o, uint32_t v)
{
    const struct json_doc *d = o->in->d;
    char param[64];
    if (json_type(d, v) != JSON_STRING)
        return wrong(o, "taskType", v, "a string");
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++) {
        if (!json_str_eq(d, v, slice_str(tasks[i].word)))
            continue;
        o->purpose = tasks[i].purpose;
        if (o->purpose != IR_PURPOSE_UNSET)
            ir_note(o->in->r, IR_E_PURPOSE);
        return 0;
    }
    snprintf(param, sizeof param, "%staskType", o->where);
    return gemini_refuse(o->in, "invalid_value", param, "'%s' is no task type of the API.", param);
}

static int read_title(struct one *o, uint32_t v)
{
    if (json_type(o->in->d, v) != JSON_STRING)
        return wrong(o, "title", v, "a string");
    o->input->title = ir_text_of(o->in->d, v);
    ir_note(o->in->r, IR_E_TITLE);
    return 0;
}

static int read_dimensions(struct one *o, uint32_t v)
{
    if (gemini_i64(o->in->d, v, &o->dimensions) < 0 || o->dimensions < 1)
        return wrong(o, "outputDimensionality", v, "an integer from 1");
    ir_note(o->in->r, IR_E_DIMENSIONS);
    return 0;
}

/* The texts of several parts are one input. */
static int join_texts(struct one *o, uint32_t parts)
{
    const struct json_doc *d = o->in->d;
    struct arena *a = o->in->r->arena;
    size_t room = 0, n = 0;
    json_foreach_element(d, parts, p) room += json_str_bytes(d, gemini_get(d, p, "text"));
    char *mem = arena_alloc(a, room + 1);
    if (!mem)
        return gemini_too_large(o->in);
    json_foreach_element(d, parts, p)
    {
        size_t got = 0;
        uint32_t text = gemini_get(d, p, "text");
        if (text != JSON_NONE && json_str_decode(d, text, mem + n, room - n, &got) < 0)
            return wrong(o, "content.parts.text", text, "valid Unicode");
        n += got;
    }
    o->input->text = ir_plain(slice_of(mem, n));
    return 0;
}

static int read_content(struct one *o, uint32_t content)
{
    const struct json_doc *d = o->in->d;
    uint32_t parts = gemini_get(d, content, "parts");
    if (json_type(d, content) != JSON_OBJECT)
        return wrong(o, "content", content, "an object");
    if (json_type(d, parts) != JSON_ARRAY || json_count(d, parts) == 0)
        return wrong(o, "content.parts", parts, "an array of at least one part");
    json_foreach_element(d, parts, p)
    {
        uint32_t text = gemini_get(d, p, "text");
        if (json_type(d, p) != JSON_OBJECT)
            return wrong(o, "content.parts", p, "objects");
        if (text == JSON_NONE)
            ir_note(o->in->r, IR_E_IMAGE);
        else if (json_type(d, text) != JSON_STRING)
            return wrong(o, "content.parts.text", text, "a string");
    }
    if (json_count(d, parts) > 1)
        return join_texts(o, parts);
    uint32_t only = gemini_get(d, parts + 1, "text");
    o->input->text = only == JSON_NONE ? IR_LIT("") : ir_text_of(d, only);
    return 0;
}

static int read_one(struct one *o)
{
    static const struct {
        const char *name;
        int (*read)(struct one *o, uint32_t v);
    } members[] = {{"content", read_content},
                   {"taskType", read_task},
                   {"title", read_title},
                   {"outputDimensionality", read_dimensions}};
    const struct json_doc *d = o->in->d;
    unsigned seen = 0;
    if (json_type(d, o->v) != JSON_OBJECT)
        return wrong(o, "content", JSON_NONE, "an object");
    json_foreach_member(d, o->v, k)
    {
        size_t i = 0;
        while (i < ARRAY_LEN(members) && !gemini_is(d, k, members[i].name))
            i++;
        if (i == ARRAY_LEN(members)) {
            if (!gemini_is(d, k, "model")) /* that of the path, said again */
                ir_note_unknown(o->in->r, "%s%.*s", o->where, SLICE_FMT(gemini_name(d, k)));
            continue;
        }
        if (json_is_null(d, k + 1) || seen >> i & 1)
            continue;
        seen |= 1u << i;
        if (members[i].read(o, k + 1) < 0)
            return -1;
    }
    return seen & 1 ? 0 : wrong(o, "content", JSON_NONE, "an object");
}

static int differs(const struct one *o, const char *name)
{
    char param[64];
    snprintf(param, sizeof param, "%s%s", o->where, name);
    return gemini_refuse(o->in, "unsupported_parameter", param,
                         "'%s' differs from that of the first request: this model's provider takes "
                         "one for all.",
                         param);
}

static int read_batch(const struct json_doc *d, struct ir_request *out, struct dialect_refusal *why)
{
    struct gemini_in in = {.d = d, .r = out, .why = why};
    uint32_t requests = gemini_get(d, JSON_ROOT, "requests"), i = 0;
    out->names = fields;
    out->list = "requests";
    if (json_type(d, requests) != JSON_ARRAY)
        return gemini_wrong_type(&in, "requests", requests, "an array");
    if (json_count(d, requests) == 0)
        return gemini_refuse(&in, "invalid_value", "requests", "'requests' must not be empty.");
    struct ir_embed *e = ir_add_embed(out, json_count(d, requests));
    if (!e)
        return gemini_too_large(&in);
    e->list = true;
    json_foreach_member(d, JSON_ROOT, k)
    {
        if (!gemini_is(d, k, "requests"))
            ir_note_unknown(out, "%.*s", SLICE_FMT(gemini_name(d, k)));
    }
    json_foreach_element(d, requests, v)
    {
        struct one o = {.in = &in, .v = v, .input = &e->inputs[i], .dimensions = -1};
        snprintf(o.where, sizeof o.where, "requests[%u].", i);
        if (read_one(&o) < 0)
            return -1;
        if (i > 0 && o.purpose != e->purpose)
            return differs(&o, "taskType");
        if (i > 0 && o.dimensions != e->dimensions)
            return differs(&o, "outputDimensionality");
        e->purpose = o.purpose;
        e->dimensions = o.dimensions;
        i++;
    }
    return 0;
}

static int read_single(const struct json_doc *d, struct ir_request *out,
                       struct dialect_refusal *why)
{
    struct gemini_in in = {.d = d, .r = out, .why = why};
    struct ir_embed *e = ir_add_embed(out, 1);
    out->names = one_fields;
    out->list = "content";
    if (!e)
        return gemini_too_large(&in);
    struct one o = {.in = &in, .v = JSON_ROOT, .input = &e->inputs[0], .dimensions = -1};
    if (read_one(&o) < 0)
        return -1;
    e->purpose = o.purpose;
    e->dimensions = o.dimensions;
    return 0;
}

/* ---- requests, written ---- */

static const char *task_of(enum ir_purpose p)
{
    for (size_t i = 1; i < ARRAY_LEN(tasks); i++)
        if (tasks[i].purpose == p)
            return tasks[i].word;
    return NULL;
}

static void write_one(struct json_writer *w, const struct ir_embed *e, size_t i, struct slice model)
{
    const struct ir_embed_input *in = &e->inputs[i];
    const char *task = task_of(e->purpose);
    jw_object(w);
    jw_key_plain(w, SLICE_LIT("model"));
    jw_str_begin(w);
    jw_str_add(w, SLICE_LIT("models/"));
    jw_str_add(w, model);
    jw_str_end(w);
    jw_member_object(w, "content");
    jw_member_array(w, "parts");
    jw_object(w);
    ir_member(w, "text", in->text);
    jw_object_end(w);
    jw_array_end(w);
    jw_object_end(w);
    if (task)
        jw_member_str(w, "taskType", slice_str(task));
    if (ir_has(in->title))
        ir_member(w, "title", in->title);
    if (e->dimensions >= 0)
        jw_member_i64(w, "outputDimensionality", e->dimensions);
    jw_object_end(w);
}

static int write_batch(const struct ir_request *r, const struct codec_target *t, struct buf *out,
                       struct dialect_refusal *why)
{
    struct json_writer w;
    size_t n;
    why->message[0] = '\0';
    if (r->embed->n > GEMINI_BATCH_MAX) {
        snprintf(why->message, sizeof why->message,
                 "This model's provider embeds at most %d inputs in one request.",
                 GEMINI_BATCH_MAX);
        why->code = "invalid_value";
        return -1;
    }
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_array(&w, "requests");
    for (size_t i = 0; i < r->embed->n; i++)
        write_one(&w, r->embed, i, t->model);
    jw_array_end(&w);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}

/* ---- answers ---- */

/* usageMetadata of embeddings has the prompt's count alone, and older models none. */
static void read_usage(const struct json_doc *d, struct dialect_usage *out)
{
    uint32_t v = gemini_get(d, gemini_get(d, JSON_ROOT, "usageMetadata"), "promptTokenCount");
    int64_t n;
    if (v == JSON_NONE)
        return;
    bool sane = gemini_i64(d, v, &n) == 0 && n >= 0 && n <= USAGE_MAX_TOKENS;
    *out = (struct dialect_usage){.flags = sane ? USAGE_PRESENT : USAGE_ODD, .total_tokens = -1};
    if (!sane)
        return;
    out->input_tokens = n;
    if (n == 0)
        out->flags |= USAGE_ZERO;
}

static int read_batch_response(const struct json_doc *d, struct ir_response *out)
{
    uint32_t list = gemini_get(d, JSON_ROOT, "embeddings");
    size_t i = 0;
    if (json_type(d, list) != JSON_ARRAY || !ir_add_vectors(out, json_count(d, list)))
        return -1;
    json_foreach_element(d, list, e)
    {
        if (ir_read_numbers(d, gemini_get(d, e, "values"), &out->vectors->v[i++]) < 0)
            return -1;
    }
    read_usage(d, &out->usage);
    return 0;
}

static int read_single_response(const struct json_doc *d, struct ir_response *out)
{
    uint32_t e = gemini_get(d, JSON_ROOT, "embedding");
    if (!ir_add_vectors(out, 1) ||
        ir_read_numbers(d, gemini_get(d, e, "values"), &out->vectors->v[0]) < 0)
        return -1;
    read_usage(d, &out->usage);
    return 0;
}

static void write_usage(struct json_writer *w, const struct ir_response *r)
{
    if (!(r->usage.flags & USAGE_PRESENT))
        return;
    jw_member_object(w, "usageMetadata");
    jw_member_i64(w, "promptTokenCount", r->usage.input_tokens);
    jw_object_end(w);
}

static void write_values(struct json_writer *w, const struct ir_vector *v)
{
    jw_object(w);
    jw_key_plain(w, SLICE_LIT("values"));
    ir_write_numbers(w, v);
    jw_object_end(w);
}

static int write_batch_response(const struct ir_response *r, const struct codec_caller *c,
                                struct buf *out)
{
    struct json_writer w;
    size_t n;
    if (!embed_is_complete(r, c))
        return -1;
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_array(&w, "embeddings");
    for (size_t i = 0; i < r->vectors->n; i++)
        write_values(&w, &r->vectors->v[i]);
    jw_array_end(&w);
    write_usage(&w, r);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}

static int write_single_response(const struct ir_response *r, const struct codec_caller *c,
                                 struct buf *out)
{
    struct json_writer w;
    size_t n;
    if (!embed_is_complete(r, c))
        return -1;
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_key_plain(&w, SLICE_LIT("embedding"));
    write_values(&w, &r->vectors->v[0]);
    write_usage(&w, r);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}

const struct codec codec_gemini_embed = {
    .name = "gemini.batchEmbedContents",
    .fields = fields,
    .read_request = read_batch,
    .write_request = write_batch,
    .read_response = read_batch_response,
    .write_response = write_batch_response,
};

/* Never a target: what is translated for Gemini goes as a batch. */
const struct codec codec_gemini_embed_content = {
    .name = "gemini.embedContent",
    .fields = one_fields,
    .read_request = read_single,
    .read_response = read_single_response,
    .write_response = write_single_response,
};
