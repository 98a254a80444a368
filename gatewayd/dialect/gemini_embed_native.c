/*
 * gemini_embed_native.c: embedContent and batchEmbedContents that leave in the dialect they came
 * in.
 *
 * Their bodies name the model again, each request of a batch too, and the API wants these to be the
 * path's: they are replaced where the provider's model has another name.
 */
#include "gatewayd/dialect/gemini.h"

#include <stdio.h>

static int refuse(struct dialect_refusal *why, const char *code, const char *param,
                  const char *what)
{
    snprintf(why->message, sizeof why->message, "'%s' %s", param, what);
    snprintf(why->param, sizeof why->param, "%s", param);
    why->code = code;
    return -1;
}

int gemini_note_models(const struct json_doc *d, uint32_t object, struct dialect_request *out)
{
    json_foreach_member(d, object, k)
    {
        if (!gemini_is(d, k, "model") || json_type(d, k + 1) != JSON_STRING)
            continue;
        if (out->n_more_models == DIALECT_MORE_MODELS)
            return -1;
        out->more_models[out->n_more_models++] =
            (struct dialect_span){d->toks[k + 1].off, d->toks[k + 1].end};
    }
    return 0;
}

static int read_one(const struct json_doc *d, uint32_t v, struct dialect_request *out,
                    struct dialect_refusal *why)
{
    if (json_type(d, v) != JSON_OBJECT)
        return refuse(why, "invalid_type", "requests", "must be an array of objects.");
    out->prompts++;
    json_foreach_member(d, v, k)
    {
        if (gemini_is(d, k, "content") || gemini_is(d, k, "title"))
            out->prompt_bytes += json_raw(d, k + 1).n;
    }
    if (gemini_note_models(d, v, out) < 0)
        return refuse(why, "invalid_value", "requests", "names more than one model a request.");
    return 0;
}

int gemini_read_embed(const struct json_doc *d, enum dialect_op op, struct dialect_request *out,
                      struct dialect_refusal *why)
{
    if (op == DIALECT_EMBED_CONTENT)
        return read_one(d, JSON_ROOT, out, why);
    uint32_t requests = gemini_get(d, JSON_ROOT, "requests");
    if (json_type(d, requests) != JSON_ARRAY || json_count(d, requests) == 0)
        return refuse(why, "missing_required_parameter", "requests",
                      "must be an array of at least one request.");
    if (json_count(d, requests) > GEMINI_BATCH_MAX)
        return refuse(why, "invalid_value", "requests", "must hold at most 100 requests.");
    json_foreach_element(d, requests, e)
    {
        if (read_one(d, e, out, why) < 0)
            return -1;
    }
    return 0;
}

int gemini_splice_models(const struct dialect_request *req, struct slice model, struct splices *out)
{
    char text[6 * DIALECT_NAME_BYTES + 32];
    struct json_writer w;
    size_t n;
    if (req->n_more_models == 0 || slice_eq(model, dialect_name_slice(&req->model)))
        return 0;
    jw_init_fixed(&w, text, sizeof text);
    jw_str_begin(&w);
    jw_str_add(&w, SLICE_LIT("models/"));
    jw_str_add(&w, model);
    jw_str_end(&w);
    if (jw_finish(&w, &n) < 0)
        return -1;
    struct slice own = splices_note(out, slice_of(text, n));
    if (!own.p)
        return -1;
    for (uint32_t i = 0; i < req->n_more_models; i++) {
        const struct dialect_span *at = &req->more_models[i];
        if (splices_add(out, at->off, at->end - at->off, own) < 0)
            return -1;
    }
    return 0;
}
