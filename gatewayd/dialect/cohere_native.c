/*
 * cohere_native.c: requests that stay in this dialect: the members that the gateway acts on, the
 * splice of the model's name, and metering by the codec.
 *
 * Every member that is read is checked for its type and must stand once: a second one would let
 * the gateway and the provider act on different values. All others pass unread.
 */
#include "gatewayd/dialect/cohere.h"

#include "gatewayd/dialect/embed.h"
#include "gatewayd/dialect/meter.h"
#include "gatewayd/dialect/rerank.h"

struct reader {
    const struct json_doc *d;
    struct dialect_request *out;
    struct dialect_refusal *why;
};

static struct dialect_span span(const struct json_doc *d, uint32_t v)
{
    return (struct dialect_span){d->toks[v].off, d->toks[v].end};
}

/* Names go into header fields and logs. */
static bool has_control(const struct dialect_name *name)
{
    for (size_t i = 0; i < name->n; i++)
        if ((unsigned char)name->s[i] < 0x20 || name->s[i] == 0x7f)
            return true;
    return false;
}

static int read_model(struct reader *r, const char *path, uint32_t v)
{
    struct dialect_name *name = &r->out->model;
    size_t n;
    if (json_type(r->d, v) != JSON_STRING)
        return cohere_wrong_type(r->why, r->d, v, path, "a string");
    if (json_str_decode(r->d, v, name->s, sizeof name->s, &n) < 0)
        return cohere_refuse(r->why, "invalid_value", path,
                             "must be at most %d bytes of valid Unicode.", DIALECT_NAME_BYTES);
    name->n = (uint8_t)n;
    if (name->n == 0 || has_control(name))
        return cohere_refuse(r->why, "invalid_value", path,
                             "must be a name without control characters.");
    r->out->model_value = span(r->d, v);
    return 0;
}

static int read_max_tokens(struct reader *r, const char *path, uint32_t v)
{
    if (json_is_null(r->d, v))
        return 0;
    if (json_type(r->d, v) != JSON_NUMBER)
        return cohere_wrong_type(r->why, r->d, v, path, "an integer");
    if (json_i64(r->d, v, &r->out->max_output_tokens) < 0 || r->out->max_output_tokens < 0 ||
        r->out->max_output_tokens > USAGE_MAX_TOKENS)
        return cohere_refuse(r->why, "invalid_value", path, "must be an integer from 0 to %d.",
                             (int)USAGE_MAX_TOKENS);
    return 0;
}

static int read_stream(struct reader *r, const char *path, uint32_t v)
{
    if (!json_is_null(r->d, v) && json_bool(r->d, v, &r->out->stream) < 0)
        return cohere_wrong_type(r->why, r->d, v, path, "a boolean");
    r->out->include_usage = r->out->stream; /* its streams always carry it */
    return 0;
}

/* ---- the prompt ---- */

static int read_prompt_part(struct reader *r, const char *path, uint32_t v)
{
    if (!json_is_null(r->d, v))
        r->out->prompt_bytes += json_raw(r->d, v).n;
    return 0;
}

static void count_images(struct reader *r, uint32_t content)
{
    json_foreach_element(r->d, content, part)
    {
        bool more, more_types;
        uint32_t type = json_get_unique(r->d, part, SLICE_LIT("type"), &more_types);
        uint32_t url = json_get_unique(r->d, part, SLICE_LIT("image_url"), &more);
        if (!json_str_eq_lit(r->d, type, "image_url"))
            continue;
        r->out->images++;
        if (!more && !more_types && url != JSON_NONE) /* given twice it may still be read as text */
            r->out->prompt_bytes -= json_raw(r->d, url).n;
    }
}

static int read_messages(struct reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY)
        return cohere_wrong_type(r->why, r->d, v, path, "an array");
    r->out->messages = json_count(r->d, v);
    r->out->prompt_bytes += json_raw(r->d, v).n;
    json_foreach_element(r->d, v, m)
    {
        if (json_type(r->d, m) != JSON_OBJECT)
            return cohere_wrong_type(r->why, r->d, m, "messages[]", "an object");
        json_foreach_member(r->d, m, k)
        {
            if (json_str_eq_lit(r->d, k, "content"))
                count_images(r, k + 1);
        }
    }
    return 0;
}

/* Of a search, and of what is embedded: each counts. */
static int read_list(struct reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY && !json_is_null(r->d, v))
        return cohere_wrong_type(r->why, r->d, v, path, "an array");
    r->out->prompts += json_count(r->d, v);
    return read_prompt_part(r, path, v);
}

static int read_tools(struct reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY && !json_is_null(r->d, v))
        return cohere_wrong_type(r->why, r->d, v, path, "an array");
    r->out->tools = json_count(r->d, v);
    return read_prompt_part(r, path, v);
}

static const struct {
    struct slice name;
    int (*read)(struct reader *r, const char *path, uint32_t v);
} members[] = {
#define MEMBER(lit, fn)                                                                            \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, fn                                                                 \
    }
    MEMBER("model", read_model),
    MEMBER("messages", read_messages),
    MEMBER("max_tokens", read_max_tokens),
    MEMBER("stream", read_stream),
    MEMBER("tools", read_tools),
    MEMBER("documents", read_list),
    MEMBER("query", read_prompt_part),
    MEMBER("texts", read_list),
    MEMBER("images", read_list),
    MEMBER("inputs", read_list),
    MEMBER("response_format", read_prompt_part),
#undef MEMBER
};
enum { MODEL = 0, MESSAGES = 1 };

static int read_members(struct reader *r, uint32_t *seen)
{
    json_foreach_member(r->d, JSON_ROOT, k)
    {
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
            if (!json_str_eq(r->d, k, members[i].name))
                continue;
            if (*seen >> i & 1)
                return cohere_refuse(r->why, "duplicate_member", members[i].name.p,
                                     "is given more than once.");
            *seen |= UINT32_C(1) << i;
            if (members[i].read(r, members[i].name.p, k + 1) < 0)
                return -1;
            break;
        }
    }
    return 0;
}

int cohere_read_request(struct json_doc *d, struct slice body, enum dialect_op op,
                        struct slice default_model, struct dialect_request *out,
                        struct dialect_refusal *why)
{
    struct reader r = {d, out, why};
    uint32_t seen = 0;
    struct errbuf e;
    memset(out, 0, sizeof *out);
    out->op = op;
    out->max_output_tokens = out->n = out->best_of = -1;
    if (json_parse(d, body.p, body.n) < 0) {
        json_parse_error(d, &e);
        return cohere_refuse(why, "invalid_json", "", "the body is not valid JSON: %s.", e.msg);
    }
    if (json_type(d, JSON_ROOT) != JSON_OBJECT)
        return cohere_refuse(why, "invalid_json", "", "the body must be a JSON object, not %s.",
                             json_type_name(json_type(d, JSON_ROOT)));
    out->root = span(d, JSON_ROOT);
    if (read_members(&r, &seen) < 0)
        return -1;
    if (op == DIALECT_CHAT && !(seen >> MESSAGES & 1))
        return cohere_refuse(why, "missing_required_parameter", "messages", "is required.");
    if (seen >> MODEL & 1)
        return 0;
    if (default_model.n == 0 || default_model.n > DIALECT_NAME_BYTES)
        return cohere_refuse(why, "missing_required_parameter", "model", "is required.");
    memcpy(out->model.s, default_model.p, default_model.n);
    out->model.n = (uint8_t)default_model.n;
    return 0;
}

/* Usage stands in every stream unasked. */
int cohere_rewrite_request(const struct dialect_request *req, const struct dialect_rewrite *how,
                           struct splices *out, bool *injected)
{
    splices_reset(out);
    *injected = false;
    return dialect_splice_model(req, how->model, out);
}

/* ---- answers ---- */

int cohere_read_response(struct json_doc *d, struct slice body, enum dialect_op op,
                         struct dialect_response *out)
{
    const struct codec *codec = op == DIALECT_EMBEDDINGS ? &codec_cohere_embed
                                : op == DIALECT_RERANK   ? &codec_cohere_rerank
                                                         : &codec_cohere;
    if (meter_response(codec, d, body, op, out) == 0)
        return 0;
    if (json_type(d, JSON_ROOT) != JSON_OBJECT)
        return -1;
    memset(out, 0, sizeof *out);
    cohere_read_usage(d, JSON_ROOT, &out->usage);
    return 0;
}

void cohere_stream_init(struct dialect_stream *s, enum dialect_op op, bool usage_injected)
{
    meter_stream_init(s, &codec_cohere, op);
}
