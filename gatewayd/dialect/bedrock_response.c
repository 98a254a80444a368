/*
 * bedrock_response.c: whole answers of Converse, usage and stop reasons, read and written.
 */
#include "gatewayd/dialect/bedrock.h"

/* ---- usage ---- */

static bool is_given(const struct json_doc *d, uint32_t v)
{
    return v != JSON_NONE && !json_is_null(d, v);
}

/* A count, 0 where there is none. False: something else stands there. */
static bool read_tokens(const struct json_doc *d, uint32_t v, int64_t *out)
{
    *out = 0;
    if (!is_given(d, v))
        return true;
    return json_i64(d, v, out) == 0 && *out >= 0 && *out <= USAGE_MAX_TOKENS;
}

static bool read_written_1h(const struct json_doc *d, uint32_t details, int64_t *out)
{
    int64_t n;
    json_foreach_element(d, details, e)
    {
        if (!json_str_eq_lit(d, json_get_lit(d, e, "ttl"), "1h"))
            continue;
        if (!read_tokens(d, json_get_lit(d, e, "inputTokens"), &n))
            return false;
        *out += n;
    }
    return true;
}

/* inputTokens counts neither what was read from the cache nor what was written to it
 * (docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html). */
static bool read_counts(const struct json_doc *d, uint32_t usage, struct dialect_usage *u)
{
    uint32_t input = json_get_lit(d, usage, "inputTokens");
    uint32_t output = json_get_lit(d, usage, "outputTokens");
    uint32_t total = json_get_lit(d, usage, "totalTokens");
    if (!is_given(d, input) || !is_given(d, output))
        return false;
    if (!read_tokens(d, input, &u->input_tokens) || !read_tokens(d, output, &u->output_tokens) ||
        !read_tokens(d, total, &u->total_tokens) ||
        !read_tokens(d, json_get_lit(d, usage, "cacheReadInputTokens"), &u->cached_tokens) ||
        !read_tokens(d, json_get_lit(d, usage, "cacheWriteInputTokens"), &u->cache_write_tokens) ||
        !read_written_1h(d, json_get_lit(d, usage, "cacheDetails"), &u->cache_write_1h_tokens))
        return false;
    u->input_tokens += u->cached_tokens + u->cache_write_tokens;
    if (!is_given(d, total))
        u->total_tokens = -1;
    return u->input_tokens <= USAGE_MAX_TOKENS && u->cache_write_1h_tokens <= u->cache_write_tokens;
}

void bedrock_read_usage(const struct json_doc *d, uint32_t usage, struct dialect_usage *out)
{
    struct dialect_usage u = {.flags = USAGE_PRESENT};
    if (!is_given(d, usage) || (out->flags & USAGE_ODD))
        return;
    if (!read_counts(d, usage, &u)) {
        *out = (struct dialect_usage){.flags = USAGE_ODD, .total_tokens = -1};
        return;
    }
    if (u.input_tokens == 0 && u.output_tokens == 0)
        u.flags |= USAGE_ZERO;
    if (u.total_tokens > u.input_tokens + u.output_tokens)
        u.flags |= USAGE_TOTAL_OFF;
    *out = u;
}

void bedrock_write_usage(struct json_writer *w, const struct dialect_usage *u)
{
    if (!u || !(u->flags & USAGE_PRESENT))
        return;
    jw_member_object(w, "usage");
    jw_member_i64(w, "inputTokens", u->input_tokens - u->cached_tokens - u->cache_write_tokens);
    jw_member_i64(w, "outputTokens", u->output_tokens);
    jw_member_i64(w, "totalTokens", u->input_tokens + u->output_tokens);
    jw_member_i64(w, "cacheReadInputTokens", u->cached_tokens);
    jw_member_i64(w, "cacheWriteInputTokens", u->cache_write_tokens);
    jw_object_end(w);
}

/* ---- stop reasons ---- */

static const struct {
    const char *reason;
    enum ir_finish finish;
} reasons[] = {
    {"end_turn", IR_FINISH_STOP},
    {"tool_use", IR_FINISH_TOOL_CALLS},
    {"max_tokens", IR_FINISH_LENGTH},
    {"stop_sequence", IR_FINISH_STOP_SEQUENCE},
    {"guardrail_intervened", IR_FINISH_CONTENT_FILTER},
    {"content_filtered", IR_FINISH_CONTENT_FILTER},
    {"model_context_window_exceeded", IR_FINISH_CONTEXT},
    {"malformed_model_output", IR_FINISH_OTHER},
    {"malformed_tool_use", IR_FINISH_OTHER},
};

enum ir_finish bedrock_finish(const struct json_doc *d, uint32_t stop_reason)
{
    if (json_type(d, stop_reason) != JSON_STRING)
        return IR_FINISH_NONE;
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (json_str_eq(d, stop_reason, slice_str(reasons[i].reason)))
            return reasons[i].finish;
    return IR_FINISH_OTHER;
}

const char *bedrock_stop_reason(enum ir_finish f)
{
    switch (f) {
    case IR_FINISH_STOP_SEQUENCE:
        return "stop_sequence";
    case IR_FINISH_LENGTH:
        return "max_tokens";
    case IR_FINISH_CONTEXT:
        return "model_context_window_exceeded";
    case IR_FINISH_TOOL_CALLS:
        return "tool_use";
    case IR_FINISH_CONTENT_FILTER:
    case IR_FINISH_REFUSAL:
        return "content_filtered";
    default:
        return "end_turn";
    }
}

struct ir_text bedrock_stop_sequence(const struct json_doc *d, uint32_t fields)
{
    struct ir_text t = ir_text_of(d, json_get_lit(d, fields, "stop_sequence"));
    if (ir_has(t))
        return t;
    return ir_text_of(d, json_get_lit(d, json_get_lit(d, fields, "delta"), "stop_sequence"));
}

void bedrock_write_more(struct json_writer *w, struct ir_text stop_sequence, struct slice left_out)
{
    if (!ir_has(stop_sequence) && !left_out.n)
        return;
    jw_member_object(w, "additionalModelResponseFields");
    if (ir_has(stop_sequence))
        ir_member(w, "stop_sequence", stop_sequence);
    if (left_out.n)
        jw_member_str(w, "x-gw-dropped", left_out);
    jw_object_end(w);
}

/* ---- answers, read ---- */

static struct ir_part *add_part(struct ir_response *r, struct ir_choice *c, enum ir_part_kind kind)
{
    return ir_add_part(r->arena, &c->parts, kind);
}

static int read_text(const struct json_doc *d, uint32_t v, struct ir_response *r,
                     struct ir_choice *c)
{
    struct ir_part *p = add_part(r, c, IR_PART_TEXT);
    if (!p)
        return -1;
    p->text = ir_text_of(d, v);
    return ir_has(p->text) ? 0 : -1;
}

static int read_tool_use(const struct json_doc *d, uint32_t v, struct ir_response *r,
                         struct ir_choice *c)
{
    uint32_t input = json_get_lit(d, v, "input");
    if (json_get_lit(d, v, "type") != JSON_NONE)
        return 0; /* of a tool that the provider ran */
    struct ir_part *p = add_part(r, c, IR_PART_TOOL_CALL);
    if (!p)
        return -1;
    p->call_id = ir_text_of(d, json_get_lit(d, v, "toolUseId"));
    p->name = ir_text_of(d, json_get_lit(d, v, "name"));
    p->arguments =
        ir_plain(json_type(d, input) == JSON_OBJECT ? json_raw(d, input) : SLICE_LIT("{}"));
    return ir_has(p->name) ? 0 : -1;
}

static int read_reasoning(const struct json_doc *d, uint32_t v, struct ir_response *r,
                          struct ir_choice *c)
{
    uint32_t text = json_get_lit(d, v, "reasoningText");
    struct ir_part *p = add_part(r, c, IR_PART_REASONING);
    if (!p)
        return -1;
    p->redacted = text == JSON_NONE;
    p->text = ir_text_of(d, json_get_lit(d, text, "text"));
    p->signature = ir_text_of(d, p->redacted ? json_get_lit(d, v, "redactedContent")
                                             : json_get_lit(d, text, "signature"));
    return 0;
}

/* The first piece of text carries the citations: they are of the block as a whole. */
static int read_cited(const struct json_doc *d, uint32_t v, struct ir_response *r,
                      struct ir_choice *c)
{
    struct ir_part *first = NULL;
    json_foreach_element(d, json_get_lit(d, v, "content"), e)
    {
        struct ir_part *p = add_part(r, c, IR_PART_TEXT);
        if (!p)
            return -1;
        p->text = ir_text_of(d, json_get_lit(d, e, "text"));
        first = first ? first : p;
    }
    struct ir_citation **at = first ? &first->citations : NULL;
    json_foreach_element(d, json_get_lit(d, v, "citations"), e)
    {
        if (!at)
            break;
        *at = arena_alloc(r->arena, sizeof **at);
        if (!*at)
            return -1;
        bedrock_read_citation(d, e, *at);
        at = &(*at)->next;
    }
    return 0;
}

static int read_image(const struct json_doc *d, uint32_t v, struct ir_response *r,
                      struct ir_choice *c)
{
    struct ir_part *p = add_part(r, c, IR_PART_IMAGE);
    if (!p)
        return -1;
    p->media_type = bedrock_image_type(d, json_get_lit(d, v, "format"));
    p->data = ir_text_of(d, json_get_lit(d, json_get_lit(d, v, "source"), "bytes"));
    p->source = IR_SOURCE_BASE64;
    return 0;
}

/* Blocks of kinds that are not asked for in requests that are written here are passed over. */
static int read_block(const struct json_doc *d, uint32_t v, struct ir_response *r,
                      struct ir_choice *c)
{
    static const struct {
        struct slice name;
        int (*read)(const struct json_doc *d, uint32_t v, struct ir_response *r,
                    struct ir_choice *c);
    } blocks[] = {
        {SLICE_LIT("text"), read_text},
        {SLICE_LIT("toolUse"), read_tool_use},
        {SLICE_LIT("reasoningContent"), read_reasoning},
        {SLICE_LIT("citationsContent"), read_cited},
        {SLICE_LIT("image"), read_image},
    };
    json_foreach_member(d, v, k)
    {
        for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
            if (json_str_eq(d, k, blocks[i].name) && !json_is_null(d, k + 1))
                return blocks[i].read(d, k + 1, r, c);
    }
    return 0;
}

int bedrock_read_response_ir(const struct json_doc *d, struct ir_response *out)
{
    uint32_t message = json_get_lit(d, json_get_lit(d, JSON_ROOT, "output"), "message");
    uint32_t content = json_get_lit(d, message, "content");
    uint32_t tier = json_get_lit(d, json_get_lit(d, JSON_ROOT, "serviceTier"), "type");
    struct ir_choice *c = ir_add_choice(out, 0);
    if (!c || json_type(d, content) != JSON_ARRAY)
        return -1;
    json_foreach_element(d, content, block)
    {
        if (read_block(d, block, out, c) < 0)
            return -1;
    }
    c->finish = bedrock_finish(d, json_get_lit(d, JSON_ROOT, "stopReason"));
    c->stop_sequence =
        bedrock_stop_sequence(d, json_get_lit(d, JSON_ROOT, "additionalModelResponseFields"));
    out->service_tier = ir_text_of(d, tier);
    bedrock_read_usage(d, json_get_lit(d, JSON_ROOT, "usage"), &out->usage);
    return c->finish == IR_FINISH_NONE ? -1 : 0;
}

/* ---- answers, written ---- */

void bedrock_write_citation(struct json_writer *w, const struct ir_citation *c)
{
    jw_object(w);
    if (ir_has(c->title))
        ir_member(w, "title", c->title);
    if (ir_has(c->cited_text)) {
        jw_member_array(w, "sourceContent");
        jw_object(w);
        ir_member(w, "text", c->cited_text);
        jw_object_end(w);
        jw_array_end(w);
    }
    if (ir_has(c->url)) {
        jw_member_object(w, "location");
        jw_member_object(w, "web");
        ir_member(w, "url", c->url);
        jw_object_end(w);
        jw_object_end(w);
    }
    jw_object_end(w);
}

static void write_text(struct json_writer *w, const struct ir_part *p)
{
    if (!p->citations) {
        ir_member(w, "text", p->text);
        return;
    }
    jw_member_object(w, "citationsContent");
    jw_member_array(w, "content");
    jw_object(w);
    ir_member(w, "text", p->text);
    jw_object_end(w);
    jw_array_end(w);
    jw_member_array(w, "citations");
    for (const struct ir_citation *c = p->citations; c; c = c->next)
        bedrock_write_citation(w, c);
    jw_array_end(w);
    jw_object_end(w);
}

static void write_reasoning(struct json_writer *w, const struct ir_part *p)
{
    jw_member_object(w, "reasoningContent");
    if (p->redacted)
        ir_member(w, "redactedContent", p->signature);
    else {
        jw_member_object(w, "reasoningText");
        ir_member(w, "text", p->text);
        if (ir_has(p->signature))
            ir_member(w, "signature", p->signature);
        jw_object_end(w);
    }
    jw_object_end(w);
}

static int write_tool_use(struct json_writer *w, struct arena *a, const struct ir_part *p)
{
    jw_member_object(w, "toolUse");
    jw_key_plain(w, SLICE_LIT("toolUseId"));
    ir_write_signed_id(w, p->call_id, p->signature);
    ir_member(w, "name", p->name);
    jw_key_plain(w, SLICE_LIT("input"));
    if (ir_write_object(w, a, p->arguments) < 0)
        return -1;
    jw_object_end(w);
    return 0;
}

static void write_image(struct json_writer *w, const struct ir_part *p)
{
    const char *format = bedrock_format(IR_PART_IMAGE, p->media_type);
    jw_member_object(w, "image");
    jw_member_str(w, "format", slice_str(format ? format : "png"));
    jw_member_object(w, "source");
    ir_member(w, "bytes", p->data);
    jw_object_end(w);
    jw_object_end(w);
}

static int write_part(struct json_writer *w, struct arena *a, const struct ir_part *p)
{
    int rc = 0;
    jw_object(w);
    switch (p->kind) {
    case IR_PART_TOOL_CALL:
        rc = write_tool_use(w, a, p);
        break;
    case IR_PART_REASONING:
        write_reasoning(w, p);
        break;
    case IR_PART_IMAGE:
        write_image(w, p);
        break;
    default:
        write_text(w, p);
        break;
    }
    jw_object_end(w);
    return rc;
}

/* The format has one answer and no room for the model's name; the latency isn't known here. */
int bedrock_write_response_ir(const struct ir_response *r, const struct codec_caller *c,
                              struct buf *out)
{
    const struct ir_choice *choice = r->choices;
    struct json_writer w;
    size_t n;
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_object(&w, "output");
    jw_member_object(&w, "message");
    jw_member_str(&w, "role", SLICE_LIT("assistant"));
    jw_member_array(&w, "content");
    for (const struct ir_part *p = choice ? choice->parts : NULL; p; p = p->next)
        if (write_part(&w, r->arena, p) < 0)
            return -1;
    jw_array_end(&w);
    jw_object_end(&w);
    jw_object_end(&w);
    jw_member_str(&w, "stopReason",
                  slice_str(bedrock_stop_reason(choice ? choice->finish : IR_FINISH_OTHER)));
    bedrock_write_usage(&w, &r->usage);
    jw_member_object(&w, "metrics");
    jw_member_i64(&w, "latencyMs", 0);
    jw_object_end(&w);
    if (choice)
        bedrock_write_more(&w, choice->stop_sequence, slice_of(NULL, 0));
    jw_object_end(&w);
    return jw_finish(&w, &n);
}
