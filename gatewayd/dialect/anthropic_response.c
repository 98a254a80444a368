/*
 * anthropic_response.c: whole answers, usage, stop reasons and citations, read and written.
 *
 * Blocks that only the provider's own tools make (server_tool_use and their results) are passed
 * over; so are images and audio when an answer is written: the API has no blocks for them.
 */
#include "gatewayd/dialect/anthropic.h"

/* ---- usage ---- */

/* Leaves *out where nothing is said. False: something stands there that is no count. */
static bool read_tokens(const struct json_doc *d, uint32_t v, int64_t *out)
{
    if (v == JSON_NONE || json_is_null(d, v))
        return true;
    int64_t n;
    if (json_i64(d, v, &n) < 0 || n < 0 || n > USAGE_MAX_TOKENS)
        return false;
    *out = n;
    return true;
}

void anthropic_read_usage(const struct json_doc *d, uint32_t object, struct anthropic_usage *u)
{
    bool more;
    uint32_t usage = json_get_unique(d, object, SLICE_LIT("usage"), &more);
    if (!more && (usage == JSON_NONE || json_is_null(d, usage)))
        return;
    if (more || json_type(d, usage) != JSON_OBJECT) {
        u->odd = true;
        return;
    }
    int64_t input = -1, output = -1;
    uint32_t written = json_get_lit(d, usage, "cache_creation");
    uint32_t details = json_get_lit(d, usage, "output_tokens_details");
    bool sane =
        read_tokens(d, json_get_lit(d, usage, "input_tokens"), &input) &&
        read_tokens(d, json_get_lit(d, usage, "output_tokens"), &output) &&
        read_tokens(d, json_get_lit(d, usage, "cache_read_input_tokens"), &u->cache_read) &&
        read_tokens(d, json_get_lit(d, usage, "cache_creation_input_tokens"), &u->cache_write) &&
        read_tokens(d, json_get_lit(d, written, "ephemeral_1h_input_tokens"), &u->cache_write_1h) &&
        read_tokens(d, json_get_lit(d, details, "thinking_tokens"), &u->thinking);
    if (!sane || (u->has_output && output >= 0 && output < u->output))
        u->odd = true;
    if (input >= 0) {
        u->input = input;
        u->has_input = true;
    }
    if (output >= 0) {
        u->output = output;
        u->has_output = true;
    }
}

void anthropic_usage_ir(const struct anthropic_usage *u, struct dialect_usage *out)
{
    *out = (struct dialect_usage){.total_tokens = -1};
    if (u->odd || u->cache_write_1h > u->cache_write) {
        out->flags = USAGE_ODD;
        return;
    }
    if (!u->has_input || !u->has_output)
        return;
    out->flags = USAGE_PRESENT;
    out->input_tokens = u->input + u->cache_read + u->cache_write;
    out->cached_tokens = u->cache_read;
    out->cache_write_tokens = u->cache_write;
    out->cache_write_1h_tokens = u->cache_write_1h;
    out->output_tokens = u->output;
    out->reasoning_tokens = GW_MIN(u->thinking, u->output);
    if (out->input_tokens == 0 && out->output_tokens == 0)
        out->flags |= USAGE_ZERO;
}

static int64_t plain_input(const struct dialect_usage *u)
{
    int64_t n = u->input_tokens - u->cached_tokens - u->cache_write_tokens;
    return GW_MAX(n, 0);
}

static void write_counts(struct json_writer *w, const struct dialect_usage *u)
{
    jw_member_i64(w, "input_tokens", plain_input(u));
    jw_member_i64(w, "cache_creation_input_tokens", u->cache_write_tokens);
    jw_member_i64(w, "cache_read_input_tokens", u->cached_tokens);
    jw_member_i64(w, "output_tokens", u->output_tokens);
    if (u->reasoning_tokens) {
        jw_member_object(w, "output_tokens_details");
        jw_member_i64(w, "thinking_tokens", u->reasoning_tokens);
        jw_object_end(w);
    }
}

static const struct dialect_usage no_usage;

/* Clients add up every member: none may be missing or null, whatever the provider said. */
void anthropic_write_usage(struct json_writer *w, const struct dialect_usage *u)
{
    u = u ? u : &no_usage;
    jw_member_object(w, "usage");
    write_counts(w, u);
    jw_member_object(w, "cache_creation");
    jw_member_i64(w, "ephemeral_5m_input_tokens", u->cache_write_tokens - u->cache_write_1h_tokens);
    jw_member_i64(w, "ephemeral_1h_input_tokens", u->cache_write_1h_tokens);
    jw_object_end(w);
    jw_member_str(w, "service_tier", SLICE_LIT("standard"));
    jw_object_end(w);
}

void anthropic_write_delta_usage(struct json_writer *w, const struct dialect_usage *u)
{
    jw_member_object(w, "usage");
    write_counts(w, u ? u : &no_usage);
    jw_object_end(w);
}

/* ---- stop reasons ---- */

static const struct {
    struct slice word;
    enum ir_finish finish;
} reasons[] = {
#define REASON(lit, f)                                                                             \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, IR_FINISH_##f                                                      \
    }
    REASON("end_turn", STOP),
    REASON("tool_use", TOOL_CALLS),
    REASON("max_tokens", LENGTH),
    REASON("stop_sequence", STOP_SEQUENCE),
    REASON("pause_turn", PAUSE),
    REASON("refusal", REFUSAL),
    REASON("model_context_window_exceeded", CONTEXT),
    REASON("refusal", CONTENT_FILTER), /* written only */
#undef REASON
};

enum ir_finish anthropic_finish(const struct json_doc *d, uint32_t stop_reason)
{
    if (json_type(d, stop_reason) != JSON_STRING)
        return IR_FINISH_NONE;
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (json_str_eq(d, stop_reason, reasons[i].word))
            return reasons[i].finish;
    return IR_FINISH_OTHER;
}

/* Some providers end with a plain stop although tools are called; clients go by the reason. */
const char *anthropic_stop_reason(enum ir_finish f, bool called_tools)
{
    if (called_tools && (f == IR_FINISH_STOP || f == IR_FINISH_OTHER || f == IR_FINISH_NONE))
        return "tool_use";
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].finish == f)
            return reasons[i].word.p;
    return "end_turn";
}

/* ---- citations ---- */

/* Places in documents have no equal elsewhere; what is cited, its title and its URL do. */
int anthropic_read_citation(const struct json_doc *d, uint32_t v, struct arena *a,
                            struct ir_citation **list)
{
    struct ir_citation *c = arena_alloc(a, sizeof *c);
    if (!c)
        return -1;
    uint32_t title = json_get_lit(d, v, "title"), url = json_get_lit(d, v, "url");
    if (title == JSON_NONE)
        title = json_get_lit(d, v, "document_title");
    if (url == JSON_NONE)
        url = json_get_lit(d, v, "source");
    *c = (struct ir_citation){
        .url = ir_text_of(d, url),
        .title = ir_text_of(d, title),
        .cited_text = ir_text_of(d, json_get_lit(d, v, "cited_text")),
        .start = -1,
        .end = -1,
    };
    while (*list)
        list = &(*list)->next;
    *list = c;
    return 0;
}

static void write_text_or_null(struct json_writer *w, struct slice name, struct ir_text t)
{
    jw_key_plain(w, name);
    if (ir_has(t))
        ir_write_str(w, t);
    else
        jw_null(w);
}

void anthropic_write_citation(struct json_writer *w, const struct ir_citation *c)
{
    bool web = ir_has(c->url);
    jw_object(w);
    jw_member_str(w, "type",
                  web ? SLICE_LIT("web_search_result_location") : SLICE_LIT("char_location"));
    jw_key_plain(w, SLICE_LIT("cited_text"));
    ir_write_str(w, ir_has(c->cited_text) ? c->cited_text : IR_LIT(""));
    if (web) {
        ir_member(w, "url", c->url);
        write_text_or_null(w, SLICE_LIT("title"), c->title);
        jw_member_str(w, "encrypted_index", SLICE_LIT(""));
    } else {
        write_text_or_null(w, SLICE_LIT("document_title"), c->title);
        jw_member_i64(w, "document_index", 0);
        jw_member_i64(w, "start_char_index", GW_MAX(c->start, 0));
        jw_member_i64(w, "end_char_index", GW_MAX(c->end, 0));
        jw_member_null(w, "file_id");
    }
    jw_object_end(w);
}

/* ---- reading ---- */

static int read_citations(const struct json_doc *d, uint32_t list, struct arena *a,
                          struct ir_part *p)
{
    json_foreach_element(d, list, c)
    {
        if (anthropic_read_citation(d, c, a, &p->citations) < 0)
            return -1;
    }
    return 0;
}

static void read_call(const struct json_doc *d, uint32_t block, struct ir_part *p)
{
    p->call_id = ir_text_of(d, json_get_lit(d, block, "id"));
    p->name = ir_text_of(d, json_get_lit(d, block, "name"));
    p->arguments = ir_plain(json_raw(d, json_get_lit(d, block, "input")));
}

/* Moves *tail behind what it adds, if anything. -1: the arena is full. */
static int read_block(const struct json_doc *d, uint32_t block, struct arena *a,
                      struct ir_part ***tail)
{
    uint32_t type = json_get_lit(d, block, "type");
    bool text = json_str_eq_lit(d, type, "text"), call = json_str_eq_lit(d, type, "tool_use");
    bool redacted = json_str_eq_lit(d, type, "redacted_thinking");
    if (!text && !call && !redacted && !json_str_eq_lit(d, type, "thinking"))
        return 0;
    struct ir_part *p = ir_add_part(a, *tail,
                                    text   ? IR_PART_TEXT
                                    : call ? IR_PART_TOOL_CALL
                                           : IR_PART_REASONING);
    if (!p)
        return -1;
    *tail = &p->next;
    p->redacted = redacted;
    if (text) {
        p->text = ir_text_of(d, json_get_lit(d, block, "text"));
        return read_citations(d, json_get_lit(d, block, "citations"), a, p);
    }
    if (call) {
        read_call(d, block, p);
    } else if (redacted) {
        p->signature = ir_text_of(d, json_get_lit(d, block, "data"));
    } else {
        p->text = ir_text_of(d, json_get_lit(d, block, "thinking"));
        p->signature = ir_text_of(d, json_get_lit(d, block, "signature"));
    }
    return 0;
}

static int read_count(const struct json_doc *d, struct ir_response *out)
{
    int64_t n;
    if (json_i64(d, json_get_lit(d, JSON_ROOT, "input_tokens"), &n) < 0 || n < 0)
        return -1;
    out->usage.input_tokens = n;
    out->usage.flags = USAGE_PRESENT;
    return 0;
}

int anthropic_read_response_ir(const struct json_doc *d, struct ir_response *out)
{
    uint32_t content = json_get_lit(d, JSON_ROOT, "content");
    uint32_t usage = json_get_lit(d, JSON_ROOT, "usage");
    struct anthropic_usage u = {0};
    if (out->op == DIALECT_COUNT_TOKENS)
        return read_count(d, out);
    if (json_type(d, content) != JSON_ARRAY)
        return -1;
    out->id = ir_text_of(d, json_get_lit(d, JSON_ROOT, "id"));
    out->model = ir_text_of(d, json_get_lit(d, JSON_ROOT, "model"));
    struct ir_choice *c = ir_add_choice(out, 0);
    if (!c)
        return -1;
    struct ir_part **tail = &c->parts;
    json_foreach_element(d, content, b)
    {
        if (read_block(d, b, out->arena, &tail) < 0)
            return -1;
    }
    c->finish = anthropic_finish(d, json_get_lit(d, JSON_ROOT, "stop_reason"));
    c->stop_sequence = ir_text_of(d, json_get_lit(d, JSON_ROOT, "stop_sequence"));
    anthropic_read_usage(d, JSON_ROOT, &u);
    anthropic_usage_ir(&u, &out->usage);
    out->service_tier = ir_text_of(d, json_get_lit(d, usage, "service_tier"));
    if (ir_text_is(out->service_tier, SLICE_LIT("standard")))
        out->service_tier = IR_LIT("default");
    return 0;
}

/* ---- writing ---- */

static void write_text(struct json_writer *w, const struct ir_part *p)
{
    jw_member_str(w, "type", SLICE_LIT("text"));
    ir_member(w, "text", p->text);
    if (!p->citations)
        return;
    jw_member_array(w, "citations");
    for (const struct ir_citation *c = p->citations; c; c = c->next)
        anthropic_write_citation(w, c);
    jw_array_end(w);
}

static int write_call(struct json_writer *w, struct arena *a, const struct ir_part *p)
{
    jw_member_str(w, "type", SLICE_LIT("tool_use"));
    jw_key_plain(w, SLICE_LIT("id"));
    anthropic_write_call_id(w, a, p->call_id, p->signature);
    ir_member(w, "name", p->name);
    jw_key_plain(w, SLICE_LIT("input"));
    return ir_write_object(w, a, p->arguments);
}

static void write_reasoning(struct json_writer *w, const struct ir_part *p)
{
    static const struct ir_text none = {{"", 0}, false};
    if (p->redacted) {
        jw_member_str(w, "type", SLICE_LIT("redacted_thinking"));
        ir_member(w, "data", p->signature);
        return;
    }
    jw_member_str(w, "type", SLICE_LIT("thinking"));
    ir_member(w, "thinking", ir_has(p->text) ? p->text : none);
    ir_member(w, "signature", ir_has(p->signature) ? p->signature : none);
}

static bool is_shown(const struct ir_part *p)
{
    switch (p->kind) {
    case IR_PART_TEXT:
    case IR_PART_REFUSAL:
        return p->text.s.n > 0;
    case IR_PART_REASONING:
        return p->text.s.n > 0 || p->signature.s.n > 0;
    case IR_PART_TOOL_CALL:
        return true;
    default:
        return false;
    }
}

static int write_block(struct json_writer *w, struct arena *a, const struct ir_part *p)
{
    int rc = 0;
    jw_object(w);
    if (p->kind == IR_PART_TOOL_CALL)
        rc = write_call(w, a, p);
    else if (p->kind == IR_PART_REASONING)
        write_reasoning(w, p);
    else
        write_text(w, p);
    jw_object_end(w);
    return rc;
}

static void write_id(struct json_writer *w, const struct ir_response *r,
                     const struct codec_caller *c)
{
    struct ir_text made[] = {IR_LIT("msg_"), ir_plain(c->request_id)};
    jw_key_plain(w, SLICE_LIT("id"));
    if (r->id.s.n)
        ir_write_str(w, r->id);
    else
        ir_write_str_parts(w, made, ARRAY_LEN(made));
}

int anthropic_write_response_ir(const struct ir_response *r, const struct codec_caller *c,
                                struct buf *out)
{
    const struct ir_choice *choice = r->choices;
    struct json_writer w;
    bool called = false;
    size_t n;
    jw_init_buf(&w, out);
    jw_object(&w);
    if (r->op == DIALECT_COUNT_TOKENS) {
        jw_member_i64(&w, "input_tokens", r->usage.input_tokens);
        jw_object_end(&w);
        return jw_finish(&w, &n);
    }
    write_id(&w, r, c);
    jw_member_str(&w, "type", SLICE_LIT("message"));
    jw_member_str(&w, "role", SLICE_LIT("assistant"));
    ir_member(&w, "model", ir_has(c->model) ? c->model : r->model);
    jw_member_array(&w, "content");
    for (const struct ir_part *p = choice ? choice->parts : NULL; p; p = p->next) {
        called |= p->kind == IR_PART_TOOL_CALL;
        if (is_shown(p) && write_block(&w, r->arena, p) < 0)
            return -1;
    }
    jw_array_end(&w);
    jw_member_str(
        &w, "stop_reason",
        slice_str(anthropic_stop_reason(choice ? choice->finish : IR_FINISH_STOP, called)));
    write_text_or_null(&w, SLICE_LIT("stop_sequence"),
                       choice ? choice->stop_sequence : (struct ir_text){{NULL, 0}, false});
    anthropic_write_usage(&w, &r->usage);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}
