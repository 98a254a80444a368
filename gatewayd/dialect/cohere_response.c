/*
 * cohere_response.c: whole answers, read and written.
 *
 * A tool plan, which models give that don't think, is text in front of the calls. Images and audio
 * are passed over when an answer is written: the API has no content for them.
 */
#include "gatewayd/dialect/cohere.h"

/* ---- reading ---- */

static struct ir_part *add(struct ir_response *out, struct ir_choice *c, enum ir_part_kind kind)
{
    return ir_add_part(out->arena, &c->parts, kind);
}

static int read_text(struct ir_response *out, struct ir_choice *c, struct ir_text text)
{
    struct ir_part *p = ir_has(text) ? add(out, c, IR_PART_TEXT) : NULL;
    if (!p)
        return ir_has(text) ? -1 : 0;
    p->text = text;
    return 0;
}

static int read_content(const struct json_doc *d, uint32_t v, struct ir_response *out,
                        struct ir_choice *c)
{
    json_foreach_element(d, v, e)
    {
        uint32_t type = json_get_lit(d, e, "type");
        if (json_str_eq_lit(d, type, "thinking")) {
            struct ir_part *p = add(out, c, IR_PART_REASONING);
            if (!p)
                return -1;
            p->text = ir_text_of(d, json_get_lit(d, e, "thinking"));
            p->signature = ir_plain(COHERE_SIGNATURE);
        } else if (json_str_eq_lit(d, type, "text")) {
            if (read_text(out, c, ir_text_of(d, json_get_lit(d, e, "text"))) < 0)
                return -1;
        }
    }
    return 0;
}

static int read_calls(const struct json_doc *d, uint32_t v, struct ir_response *out,
                      struct ir_choice *c)
{
    json_foreach_element(d, v, e)
    {
        uint32_t function = json_get_lit(d, e, "function");
        struct ir_part *p = add(out, c, IR_PART_TOOL_CALL);
        if (!p)
            return -1;
        p->call_id = ir_text_of(d, json_get_lit(d, e, "id"));
        p->name = ir_text_of(d, json_get_lit(d, function, "name"));
        p->arguments = ir_text_of(d, json_get_lit(d, function, "arguments"));
    }
    return 0;
}

/* content_index counts the blocks of content, which are the first parts. */
static struct ir_part *cited_part(const struct json_doc *d, uint32_t citation, struct ir_choice *c)
{
    int64_t at;
    struct ir_part *p = c->parts;
    if (json_i64(d, json_get_lit(d, citation, "content_index"), &at) < 0)
        at = 0;
    while (p && at-- > 0)
        p = p->next;
    for (p = p ? p : c->parts; p && p->kind != IR_PART_TEXT; p = p->next)
        continue;
    return p;
}

static int read_citations(const struct json_doc *d, uint32_t v, struct ir_response *out,
                          struct ir_choice *c)
{
    json_foreach_element(d, v, e)
    {
        struct ir_part *p = cited_part(d, e, c);
        struct ir_citation found = {0}, **tail;
        if (!p || !cohere_read_citation(d, e, &found))
            continue;
        for (tail = &p->citations; *tail; tail = &(*tail)->next)
            continue;
        *tail = arena_alloc(out->arena, sizeof found);
        if (!*tail)
            return -1;
        **tail = found;
    }
    return 0;
}

int cohere_read_response_ir(const struct json_doc *d, struct ir_response *out)
{
    uint32_t message = json_get_lit(d, JSON_ROOT, "message");
    uint32_t content = json_get_lit(d, message, "content");
    struct cohere_finish finish = cohere_finish(d, json_get_lit(d, JSON_ROOT, "finish_reason"));
    cohere_read_usage(d, JSON_ROOT, &out->usage);
    out->fault = finish.fault;
    if (json_type(d, message) != JSON_OBJECT)
        return out->fault == DIALECT_FAULT_NONE ? -1 : 0;
    struct ir_choice *c = ir_add_choice(out, 0);
    if (!c)
        return -1;
    out->id = ir_text_of(d, json_get_lit(d, JSON_ROOT, "id"));
    if (read_content(d, content, out, c) < 0 || read_text(out, c, ir_text_of(d, content)) < 0 ||
        read_citations(d, json_get_lit(d, message, "citations"), out, c) < 0 ||
        read_text(out, c, ir_text_of(d, json_get_lit(d, message, "tool_plan"))) < 0 ||
        read_calls(d, json_get_lit(d, message, "tool_calls"), out, c) < 0)
        return -1;
    c->finish = finish.finish;
    c->logprobs = cohere_read_logprobs(d, json_get_lit(d, JSON_ROOT, "logprobs"), out->arena);
    return 0;
}

/* ---- writing ---- */

void cohere_write_call(struct json_writer *w, struct ir_text id, struct ir_text signature,
                       struct ir_text name, struct ir_text arguments)
{
    jw_key_plain(w, SLICE_LIT("id"));
    ir_write_signed_id(w, id, signature);
    jw_member_str(w, "type", SLICE_LIT("function"));
    jw_member_object(w, "function");
    ir_member(w, "name", name);
    ir_member(w, "arguments", arguments);
    jw_object_end(w);
}

static bool is_text(const struct ir_part *p)
{
    return (p->kind == IR_PART_TEXT || p->kind == IR_PART_REFUSAL) && p->text.s.n;
}

static bool is_thinking(const struct ir_part *p)
{
    return p->kind == IR_PART_REASONING && (p->text.s.n || p->signature.s.n);
}

/* Beside calls there is none where nothing was said: clients send the message back as it is, and an
 * empty content is refused. */
static void write_content(struct json_writer *w, const struct ir_part *p)
{
    bool any = false, called = false;
    for (const struct ir_part *q = p; q; q = q->next) {
        any |= is_text(q) || is_thinking(q);
        called |= q->kind == IR_PART_TOOL_CALL;
    }
    if (called && !any)
        return;
    jw_member_array(w, "content");
    for (; p; p = p->next) {
        if (!is_text(p) && !is_thinking(p))
            continue;
        jw_object(w);
        if (is_text(p)) {
            jw_member_str(w, "type", SLICE_LIT("text"));
            ir_member(w, "text", p->text);
        } else {
            jw_member_str(w, "type", SLICE_LIT("thinking"));
            ir_member(w, "thinking", ir_has(p->text) ? p->text : IR_LIT(""));
            if (p->signature.s.n && !ir_text_is(p->signature, COHERE_SIGNATURE))
                ir_member(w, "signature", p->signature);
        }
        jw_object_end(w);
    }
    jw_array_end(w);
}

static bool write_calls(struct json_writer *w, const struct ir_part *p)
{
    bool any = false;
    for (; p; p = p->next) {
        if (p->kind != IR_PART_TOOL_CALL)
            continue;
        if (!any)
            jw_member_array(w, "tool_calls");
        any = true;
        jw_object(w);
        cohere_write_call(w, p->call_id, p->signature, p->name,
                          p->arguments.s.n ? p->arguments : IR_LIT("{}"));
        jw_object_end(w);
    }
    if (any)
        jw_array_end(w);
    return any;
}

static void write_citations(struct json_writer *w, const struct ir_part *p)
{
    uint32_t content = 0;
    bool any = false;
    for (; p; p = p->next) {
        for (const struct ir_citation *c = p->citations; c; c = c->next) {
            if (!any)
                jw_member_array(w, "citations");
            any = true;
            cohere_write_citation(w, c, content);
        }
        content += is_text(p) || is_thinking(p);
    }
    if (any)
        jw_array_end(w);
}

int cohere_write_response_ir(const struct ir_response *r, const struct codec_caller *c,
                             struct buf *out)
{
    const struct ir_choice *choice = r->choices;
    const struct ir_part *parts = choice ? choice->parts : NULL;
    struct json_writer w;
    size_t n;
    jw_init_buf(&w, out);
    jw_object(&w);
    ir_member(&w, "id", r->id.s.n ? r->id : ir_plain(c->request_id));
    jw_member_object(&w, "message");
    jw_member_str(&w, "role", SLICE_LIT("assistant"));
    write_content(&w, parts);
    bool called = write_calls(&w, parts);
    write_citations(&w, parts);
    jw_object_end(&w);
    jw_member_str(&w, "finish_reason",
                  cohere_finish_reason(choice ? choice->finish : IR_FINISH_NONE, called));
    cohere_write_usage(&w, &r->usage);
    if (choice)
        cohere_write_logprobs(&w, choice->logprobs);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}
