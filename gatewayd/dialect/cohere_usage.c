/*
 * cohere_usage.c: usage, finish reasons and citations, read and written.
 *
 * `billed_units` is what is paid for; `tokens` counts the provider's own prompt around the request
 * as well (docs.cohere.com/docs/how-does-cohere-pricing-work). cached_tokens are of the latter, so
 * there may be more of them than tokens that are billed.
 */
#include "gatewayd/dialect/cohere.h"

/* ---- usage ---- */

/* False: something stands there that is no count. Leaves *out where nothing is said. */
static bool read_tokens(const struct json_doc *d, uint32_t v, int64_t *out)
{
    int64_t n;
    if (v == JSON_NONE || json_is_null(d, v))
        return true;
    if (json_i64(d, v, &n) < 0 || n < 0 || n > USAGE_MAX_TOKENS)
        return false;
    *out = n;
    return true;
}

static bool is_absent(const struct json_doc *d, uint32_t v)
{
    return v == JSON_NONE || json_is_null(d, v);
}

void cohere_read_usage(const struct json_doc *d, uint32_t object, struct dialect_usage *out)
{
    bool more;
    uint32_t usage = json_get_unique(d, object, SLICE_LIT("usage"), &more);
    int64_t input = -1, output = -1, cached = 0;
    *out = (struct dialect_usage){.total_tokens = -1};
    if (!more && is_absent(d, usage))
        return;
    uint32_t units = json_get_lit(d, usage, "billed_units");
    if (is_absent(d, json_get_lit(d, units, "input_tokens")) &&
        is_absent(d, json_get_lit(d, units, "output_tokens")))
        units = json_get_lit(d, usage, "tokens");
    if (more || json_type(d, usage) != JSON_OBJECT ||
        !read_tokens(d, json_get_lit(d, units, "input_tokens"), &input) ||
        !read_tokens(d, json_get_lit(d, units, "output_tokens"), &output) ||
        !read_tokens(d, json_get_lit(d, usage, "cached_tokens"), &cached)) {
        out->flags = USAGE_ODD;
        return;
    }
    if (input < 0 && output < 0)
        return;
    out->flags = USAGE_PRESENT;
    out->input_tokens = GW_MAX(input, INT64_C(0));
    out->output_tokens = GW_MAX(output, INT64_C(0));
    out->cached_tokens = GW_MIN(cached, out->input_tokens);
    if (out->input_tokens == 0 && out->output_tokens == 0)
        out->flags |= USAGE_ZERO;
}

static void write_tokens(struct json_writer *w, const struct dialect_usage *u)
{
    jw_object(w);
    jw_member_i64(w, "input_tokens", u->input_tokens);
    jw_member_i64(w, "output_tokens", u->output_tokens);
    jw_object_end(w);
}

void cohere_write_usage(struct json_writer *w, const struct dialect_usage *u)
{
    jw_member_object(w, "usage");
    if (u->flags & USAGE_PRESENT) {
        jw_key_plain(w, SLICE_LIT("billed_units"));
        write_tokens(w, u);
        jw_key_plain(w, SLICE_LIT("tokens"));
        write_tokens(w, u);
        jw_member_i64(w, "cached_tokens", u->cached_tokens);
    }
    jw_object_end(w);
}

/* ---- finish reasons ---- */

/* Which sequence it was isn't said, as dialects do that tell one apart from an ordinary end. What
 * was kept back or refused is ERROR, as it was ERROR_TOXIC in version 1. */
static const struct {
    struct slice word;
    enum ir_finish finish;
    enum dialect_fault fault;
} reasons[] = {
#define REASON(lit, f, fault)                                                                      \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, IR_FINISH_##f, DIALECT_FAULT_##fault                               \
    }
    REASON("COMPLETE", STOP, NONE),
    REASON("STOP_SEQUENCE", STOP, NONE),
    REASON("MAX_TOKENS", LENGTH, NONE),
    REASON("TOOL_CALL", TOOL_CALLS, NONE),
    REASON("ERROR", NONE, SERVER),
    REASON("TIMEOUT", NONE, TIMEOUT),
    /* Written only. */
    REASON("STOP_SEQUENCE", STOP_SEQUENCE, NONE),
    REASON("MAX_TOKENS", CONTEXT, NONE),
    REASON("ERROR", CONTENT_FILTER, NONE),
    REASON("ERROR", REFUSAL, NONE),
#undef REASON
};

struct cohere_finish cohere_finish(const struct json_doc *d, uint32_t reason)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (json_str_eq(d, reason, reasons[i].word))
            return (struct cohere_finish){reasons[i].finish, reasons[i].fault};
    return (struct cohere_finish){
        json_type(d, reason) == JSON_STRING ? IR_FINISH_OTHER : IR_FINISH_NONE, DIALECT_FAULT_NONE};
}

/* Some providers end with a plain stop although tools are called; clients go by the reason. */
struct slice cohere_finish_reason(enum ir_finish f, bool called_tools)
{
    if (called_tools && (f == IR_FINISH_STOP || f == IR_FINISH_OTHER || f == IR_FINISH_NONE))
        return SLICE_LIT("TOOL_CALL");
    for (size_t i = 0; i < ARRAY_LEN(reasons) && f != IR_FINISH_NONE; i++)
        if (reasons[i].finish == f)
            return reasons[i].word;
    return SLICE_LIT("COMPLETE");
}

/* ---- citations ---- */

static struct ir_text first_text(const struct json_doc *d, uint32_t object,
                                 const char *const *names)
{
    struct ir_text t = {.escaped = false};
    for (; *names && !ir_has(t); names++)
        t = ir_text_of(d, json_get(d, object, slice_str(*names)));
    return t;
}

static void read_place(const struct json_doc *d, uint32_t v, int64_t *out)
{
    if (json_i64(d, v, out) < 0 || *out < 0)
        *out = -1;
}

/* `text` is the piece of the answer; what it rests on is in the source, whose members are the
 * caller's own. */
bool cohere_read_citation(const struct json_doc *d, uint32_t v, struct ir_citation *out)
{
    static const char *const urls[] = {"url", NULL}, *const titles[] = {"title", NULL},
                             *const texts[] = {"snippet", "text", "content", NULL};
    uint32_t type = json_get_lit(d, v, "type"), sources = json_get_lit(d, v, "sources");
    if (json_type(d, v) != JSON_OBJECT ||
        (type != JSON_NONE && !json_str_eq_lit(d, type, "TEXT_CONTENT")))
        return false;
    uint32_t source = json_count(d, sources) ? sources + 1 : JSON_NONE;
    uint32_t data = json_get_lit(d, source, "document");
    if (data == JSON_NONE)
        data = json_get_lit(d, source, "tool_output");
    *out = (struct ir_citation){.url = first_text(d, data, urls),
                                .title = first_text(d, data, titles),
                                .cited_text = first_text(d, data, texts)};
    if (!ir_has(out->title))
        out->title = ir_text_of(d, json_get_lit(d, source, "id"));
    if (!ir_has(out->cited_text))
        out->cited_text = ir_text_of(d, json_get_lit(d, v, "text"));
    read_place(d, json_get_lit(d, v, "start"), &out->start);
    read_place(d, json_get_lit(d, v, "end"), &out->end);
    return true;
}

void cohere_write_citation(struct json_writer *w, const struct ir_citation *c, uint32_t content)
{
    jw_object(w);
    if (c->start >= 0)
        jw_member_i64(w, "start", c->start);
    if (c->end >= 0)
        jw_member_i64(w, "end", c->end);
    ir_member(w, "text", ir_has(c->cited_text) ? c->cited_text : IR_LIT(""));
    jw_member_array(w, "sources");
    jw_object(w);
    jw_member_str(w, "type", SLICE_LIT("document"));
    ir_member(w, "id", ir_has(c->url) ? c->url : ir_has(c->title) ? c->title : IR_LIT("0"));
    jw_member_object(w, "document");
    if (ir_has(c->title))
        ir_member(w, "title", c->title);
    if (ir_has(c->url))
        ir_member(w, "url", c->url);
    jw_object_end(w);
    jw_object_end(w);
    jw_array_end(w);
    jw_member_u64(w, "content_index", content);
    jw_member_str(w, "type", SLICE_LIT("TEXT_CONTENT"));
    jw_object_end(w);
}
