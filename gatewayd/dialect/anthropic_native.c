/*
 * anthropic_native.c: requests that stay in this dialect: the members that the gateway acts on, the
 * splice of the model's name, and metering by the codec.
 *
 * Every member that is read is checked for its type and must stand once: a second one would let
 * the gateway and the provider act on different values. All others pass unread.
 */
#include "gatewayd/dialect/anthropic.h"

#include "gatewayd/dialect/meter.h"

#include <stdio.h>

struct reader {
    const struct json_doc *d;
    struct dialect_request *out;
    struct dialect_refusal *why;
};

static struct dialect_span span(const struct json_doc *d, uint32_t v)
{
    return (struct dialect_span){d->toks[v].off, d->toks[v].end};
}

static int wrong_type(struct reader *r, const char *path, uint32_t v, const char *expected)
{
    return anthropic_wrong_type(r->why, r->d, v, path, expected);
}

/* Names go into header fields and logs. */
static bool has_control(const struct dialect_name *name)
{
    for (size_t i = 0; i < name->n; i++)
        if ((unsigned char)name->s[i] < 0x20 || name->s[i] == 0x7f)
            return true;
    return false;
}

static int read_name(struct reader *r, const char *path, uint32_t v, struct dialect_name *out)
{
    size_t n;
    if (json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, path, v, "a string");
    if (json_str_decode(r->d, v, out->s, sizeof out->s, &n) < 0)
        return anthropic_refuse(r->why, "invalid_value", path,
                                "must be at most %d bytes of valid Unicode.", DIALECT_NAME_BYTES);
    out->n = (uint8_t)n;
    return 0;
}

static int read_model(struct reader *r, const char *path, uint32_t v)
{
    if (read_name(r, path, v, &r->out->model) < 0)
        return -1;
    if (r->out->model.n == 0 || has_control(&r->out->model))
        return anthropic_refuse(r->why, "invalid_value", path,
                                "must be a name without control characters.");
    r->out->model_value = span(r->d, v);
    return 0;
}

static int read_max_tokens(struct reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_NUMBER)
        return wrong_type(r, path, v, "an integer");
    if (json_i64(r->d, v, &r->out->max_output_tokens) < 0 || r->out->max_output_tokens < 0 ||
        r->out->max_output_tokens > USAGE_MAX_TOKENS)
        return anthropic_refuse(r->why, "invalid_value", path, "must be an integer from 0 to %d.",
                                (int)USAGE_MAX_TOKENS);
    return 0;
}

static int read_stream(struct reader *r, const char *path, uint32_t v)
{
    if (!json_is_null(r->d, v) && json_bool(r->d, v, &r->out->stream) < 0)
        return wrong_type(r, path, v, "a boolean");
    r->out->include_usage = r->out->stream; /* its streams always carry it */
    return 0;
}

static int read_metadata(struct reader *r, const char *path, uint32_t v)
{
    bool more;
    uint32_t user = json_get_unique(r->d, v, SLICE_LIT("user_id"), &more);
    if (json_type(r->d, v) != JSON_OBJECT && !json_is_null(r->d, v))
        return wrong_type(r, path, v, "an object");
    if (more)
        return anthropic_refuse(r->why, "duplicate_member", "metadata.user_id",
                                "is given more than once.");
    if (user == JSON_NONE || json_is_null(r->d, user))
        return 0;
    return read_name(r, "metadata.user_id", user, &r->out->user);
}

/* ---- the prompt ---- */

static int read_prompt_part(struct reader *r, const char *path, uint32_t v)
{
    if (!json_is_null(r->d, v))
        r->out->prompt_bytes += json_raw(r->d, v).n;
    return 0;
}

static void count_blocks(struct reader *r, uint32_t content);

/* Text in a document is counted by its bytes like any other; what is shown, read from a PDF or
 * kept elsewhere isn't. */
static void count_block(struct reader *r, uint32_t block)
{
    struct dialect_request *out = r->out;
    bool more, more_sources, more_types;
    uint32_t type = json_get_unique(r->d, block, SLICE_LIT("type"), &more);
    uint32_t source = json_get_unique(r->d, block, SLICE_LIT("source"), &more_sources);
    uint32_t kind = json_get_unique(r->d, source, SLICE_LIT("type"), &more_types);
    bool image = json_str_eq_lit(r->d, type, "image");
    if (json_str_eq_lit(r->d, type, "tool_result"))
        count_blocks(r, json_get_lit(r->d, block, "content"));
    else if (json_str_eq_lit(r->d, type, "container_upload"))
        out->files++;
    if (!image && !json_str_eq_lit(r->d, type, "document"))
        return;
    if (json_str_eq_lit(r->d, kind, "content"))
        count_blocks(r, json_get_lit(r->d, source, "content"));
    if (json_str_eq_lit(r->d, kind, "content") || json_str_eq_lit(r->d, kind, "text"))
        return;
    if (image)
        out->images++;
    else
        out->files++;
    if (!more && !more_sources && !more_types) /* given twice it may still be read as text */
        out->prompt_bytes -= json_raw(r->d, source).n;
}

/* Results and documents hold blocks; the recursion is bounded by the depth of the JSON. */
static void count_blocks(struct reader *r, uint32_t content)
{
    json_foreach_element(r->d, content, block)
    {
        count_block(r, block);
    }
}

static int read_messages(struct reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, path, v, "an array");
    r->out->messages = json_count(r->d, v);
    r->out->prompt_bytes += json_raw(r->d, v).n;
    uint32_t index = 0;
    json_foreach_element(r->d, v, m)
    {
        if (json_type(r->d, m) != JSON_OBJECT) {
            char at[32];
            snprintf(at, sizeof at, "messages.%u", index);
            return wrong_type(r, at, m, "an object");
        }
        index++;
        json_foreach_member(r->d, m, k)
        {
            if (json_str_eq_lit(r->d, k, "content"))
                count_blocks(r, k + 1);
        }
    }
    return 0;
}

/* bash, text editor, computer and memory tools are the caller's to run, though the provider
 * defines them (platform.claude.com/docs/en/agents-and-tools/tool-use/overview). */
static bool is_run_by_caller(const struct json_doc *d, uint32_t type)
{
    static const struct slice own[] = {SLICE_LIT("\"bash_"), SLICE_LIT("\"text_editor_"),
                                       SLICE_LIT("\"computer_"), SLICE_LIT("\"memory_")};
    struct slice word = json_raw(d, type);
    if (type == JSON_NONE || json_is_null(d, type) || json_str_eq_lit(d, type, "custom"))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (slice_starts_with(word, own[i]))
            return true;
    return false;
}

static int read_tools(struct reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY && !json_is_null(r->d, v))
        return wrong_type(r, path, v, "an array");
    r->out->tools = json_count(r->d, v);
    read_prompt_part(r, path, v);
    json_foreach_element(r->d, v, tool)
    {
        r->out->hosted_tools |= !is_run_by_caller(r->d, json_get_lit(r->d, tool, "type"));
    }
    return 0;
}

static int read_version(struct reader *r, const char *path, uint32_t v)
{
    if (json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, path, v, "a string");
    r->out->version_value = span(r->d, v);
    return 0;
}

static int read_hosted(struct reader *r, const char *path, uint32_t v)
{
    r->out->hosted_tools |= !json_is_null(r->d, v);
    return 0;
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
    MEMBER("system", read_prompt_part),
    MEMBER("tools", read_tools),
    MEMBER("tool_choice", read_prompt_part),
    MEMBER("output_config", read_prompt_part),
    MEMBER("output_format", read_prompt_part),
    MEMBER("metadata", read_metadata),
    MEMBER("mcp_servers", read_hosted),
    MEMBER("container", read_hosted),
    MEMBER("anthropic_version", read_version),
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
                return anthropic_refuse(r->why, "duplicate_member", members[i].name.p,
                                        "is given more than once.");
            *seen |= UINT32_C(1) << i;
            if (members[i].read(r, members[i].name.p, k + 1) < 0)
                return -1;
            break;
        }
    }
    return 0;
}

/* From its name to the next member's, or from the end of the member before to its own. */
static struct dialect_span find_model_member(const struct json_doc *d)
{
    uint32_t before = JSON_NONE;
    json_foreach_member(d, JSON_ROOT, k)
    {
        uint32_t next = d->toks[k + 1].next;
        if (!json_str_eq_lit(d, k, "model")) {
            before = k + 1;
            continue;
        }
        if (next < k_end)
            return (struct dialect_span){d->toks[k].off, d->toks[next].off};
        return (struct dialect_span){before == JSON_NONE ? d->toks[k].off : d->toks[before].end,
                                     d->toks[k + 1].end};
    }
    return (struct dialect_span){0, 0};
}

int anthropic_read_request(struct json_doc *d, struct slice body, enum dialect_op op,
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
        return anthropic_refuse(why, "invalid_json", "", "The request body is not valid JSON: %s.",
                                e.msg);
    }
    if (json_type(d, JSON_ROOT) != JSON_OBJECT)
        return anthropic_refuse(why, "invalid_json", "",
                                "The request body must be a JSON object, not %s.",
                                json_type_name(json_type(d, JSON_ROOT)));
    out->root = span(d, JSON_ROOT);
    if (read_members(&r, &seen) < 0)
        return -1;
    if (!(seen >> MESSAGES & 1))
        return anthropic_refuse(why, "missing_required_parameter", "messages", "field required.");
    out->model_member = find_model_member(d);
    if (seen >> MODEL & 1)
        return 0;
    if (default_model.n == 0 || default_model.n > DIALECT_NAME_BYTES)
        return anthropic_refuse(why, "missing_required_parameter", "model", "field required.");
    memcpy(out->model.s, default_model.p, default_model.n);
    out->model.n = (uint8_t)default_model.n;
    return 0;
}

/* 2023-06-01 has another name on Vertex; later versions have the same, and Anthropic's own client
 * for Vertex puts what stands in its header into the body (@anthropic-ai/vertex-sdk 1.0). */
static struct slice vertex_version(struct slice version)
{
    if (!version.n || slice_eq_str(version, "2023-06-01"))
        return SLICE_LIT(ANTHROPIC_VERTEX_VERSION);
    return version;
}

/* The first member of an object that has others. */
static int put_version(struct splices *out, uint32_t off, struct slice version)
{
    char text[6 * DIALECT_NAME_BYTES + 32];
    struct json_writer w;
    size_t n;
    jw_init_fixed(&w, text, sizeof text - 1);
    jw_raw(&w, SLICE_LIT("\"anthropic_version\":"));
    w.comma = false;
    jw_str(&w, version);
    if (jw_finish(&w, &n) < 0)
        return -1;
    text[n++] = ',';
    struct slice own = splices_note(out, slice_of(text, n));
    return own.p ? splices_add(out, off, 0, own) : -1;
}

static int rewrite_for_vertex(const struct dialect_request *req, const struct dialect_rewrite *how,
                              struct splices *out)
{
    struct dialect_span model = req->model_member;
    if (!req->version_value.end &&
        put_version(out, req->root.off + 1, vertex_version(how->version)) < 0)
        return -1;
    if (how->envelope == DIALECT_COUNT_RAW_PREDICT)
        return dialect_splice_model(req, how->model, out);
    return model.end ? splices_add(out, model.off, model.end - model.off, slice_of(NULL, 0)) : 0;
}

/* Usage stands in every stream unasked. */
int anthropic_rewrite_request(const struct dialect_request *req, const struct dialect_rewrite *how,
                              struct splices *out, bool *injected)
{
    splices_reset(out);
    *injected = false;
    if (how->envelope != DIALECT_PLAIN)
        return rewrite_for_vertex(req, how, out);
    return dialect_splice_model(req, how->model, out);
}

int anthropic_read_response(struct json_doc *d, struct slice body, enum dialect_op op,
                            struct dialect_response *out)
{
    if (meter_response(&codec_anthropic, d, body, op, out) == 0)
        return 0;
    if (json_type(d, JSON_ROOT) != JSON_OBJECT)
        return -1;
    memset(out, 0, sizeof *out);
    out->usage.total_tokens = -1;
    uint32_t error = json_get_lit(d, JSON_ROOT, "error");
    if (json_type(d, error) == JSON_OBJECT)
        out->fault = anthropic_fault(d, error, 200);
    return 0;
}

void anthropic_stream_init(struct dialect_stream *s, enum dialect_op op, bool usage_injected)
{
    meter_stream_init(s, &codec_anthropic, op);
}
