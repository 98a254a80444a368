/*
 * gemini_cache.c: cached contents of the Gemini API (ai.google.dev/api/caching): the model that one
 * is made for, and when it expires. Relayed, never translated.
 */
#include "common/when.h"
#include "gatewayd/dialect/gemini.h"

#include <stdio.h>

static int refuse(struct dialect_refusal *why, const char *code, const char *param,
                  const char *text)
{
    snprintf(why->message, sizeof why->message, "%s", text);
    snprintf(why->param, sizeof why->param, "%s", param);
    why->code = code;
    return -1;
}

/* `models/NAME`; the caller's names may have slashes themselves. */
static int read_model(const struct json_doc *d, uint32_t v, struct dialect_request *out,
                      struct dialect_refusal *why)
{
    static const struct slice prefix = SLICE_LIT("models/");
    struct slice name;
    if (!json_str_plain(d, v, &name))
        return refuse(why, "invalid_value", "model", "'model' is required: models/NAME.");
    if (slice_starts_with(name, prefix))
        name = slice_of(name.p + prefix.n, name.n - prefix.n);
    if (name.n == 0 || name.n > DIALECT_NAME_BYTES)
        return refuse(why, "invalid_value", "model", "'model' must be models/NAME.");
    memcpy(out->model.s, name.p, name.n);
    out->model.n = (uint8_t)name.n;
    return 0;
}

static int read_request(struct json_doc *d, struct slice body, enum dialect_op op,
                        struct slice default_model, struct dialect_request *out,
                        struct dialect_refusal *why)
{
    (void)default_model;
    memset(out, 0, sizeof *out);
    out->op = op;
    out->max_output_tokens = out->n = out->best_of = -1;
    if (json_parse(d, body.p, body.n) < 0 || json_type(d, JSON_ROOT) != JSON_OBJECT)
        return refuse(why, "invalid_json", "", "The request body must be a JSON object.");
    out->root = (struct dialect_span){d->toks[JSON_ROOT].off, d->toks[JSON_ROOT].end};
    out->prompt_bytes = body.n;
    if (op != DIALECT_CACHE_CREATE)
        return 0;
    if (gemini_note_models(d, JSON_ROOT, out) < 0)
        return refuse(why, "duplicate_member", "model", "'model' is given more than once.");
    return read_model(d, gemini_get(d, JSON_ROOT, "model"), out, why);
}

static int rewrite_request(const struct dialect_request *req, const struct dialect_rewrite *how,
                           struct splices *out, bool *injected)
{
    splices_reset(out);
    *injected = false;
    return req->op == DIALECT_CACHE_CREATE ? gemini_splice_models(req, how->model, out) : 0;
}

/* What is cached is billed as input once, when it is made. */
static void read_usage(const struct json_doc *d, enum dialect_op op, struct dialect_usage *out)
{
    uint32_t usage = gemini_get(d, JSON_ROOT, "usageMetadata");
    int64_t n;
    out->flags = USAGE_PRESENT | USAGE_ZERO;
    if (op != DIALECT_CACHE_CREATE ||
        gemini_i64(d, gemini_get(d, usage, "totalTokenCount"), &n) < 0 || n < 0 ||
        n > USAGE_MAX_TOKENS)
        return;
    out->flags = USAGE_PRESENT;
    out->input_tokens = n;
}

static int read_response(struct json_doc *d, struct slice body, enum dialect_op op,
                         struct dialect_response *out)
{
    struct slice name, expires;
    int64_t us;
    memset(out, 0, sizeof *out);
    out->usage.total_tokens = -1;
    if (json_parse(d, body.p, body.n) < 0 || json_type(d, JSON_ROOT) != JSON_OBJECT)
        return -1;
    uint32_t error = gemini_error_object(d);
    if (error != JSON_NONE)
        out->fault = gemini_fault(d, error, 200);
    if (json_str_plain(d, gemini_get(d, JSON_ROOT, "name"), &name) &&
        name.n <= DIALECT_NAME_BYTES) {
        memcpy(out->id.s, name.p, name.n);
        out->id.n = (uint8_t)name.n;
    }
    if (json_str_plain(d, gemini_get(d, JSON_ROOT, "expireTime"), &expires) &&
        when_parse_time(expires, &us) == 0)
        out->expires_s = us / 1000000;
    read_usage(d, op, &out->usage);
    return 0;
}

static void stream_init(struct dialect_stream *s, enum dialect_op op, bool usage_injected)
{
    dialect_gemini.stream_init(s, op, usage_injected);
}

static void stream_fini(struct dialect_stream *s)
{
    dialect_gemini.stream_fini(s);
}

static enum dialect_verdict stream_event(struct dialect_stream *s, struct json_doc *scratch,
                                         struct slice event, struct slice data,
                                         struct splices *cuts)
{
    return dialect_gemini.stream_event(s, scratch, event, data, cuts);
}

static int write_stream_error(struct buf *out, const struct dialect_error *e)
{
    return dialect_gemini.write_stream_error(out, e);
}

const struct dialect dialect_gemini_cache = {
    .name = "gemini",
    .content_type_stream = "text/event-stream",
    .framing = CODEC_SSE,
    .read_request = read_request,
    .rewrite_request = rewrite_request,
    .read_response = read_response,
    .read_error = gemini_read_error,
    .read_retry_us = gemini_read_retry_us,
    .stream_init = stream_init,
    .stream_fini = stream_fini,
    .stream_event = stream_event,
    .error_type = gemini_error_type,
    .write_error = gemini_write_error,
    .write_stream_error = write_stream_error,
};
