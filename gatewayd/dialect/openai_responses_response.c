/*
 * openai_responses_response.c: response objects, read and written.
 */
#include "gatewayd/dialect/openai.h"
#include "gatewayd/dialect/openai_responses.h"

#include <stdio.h>

static const struct ir_text no_text = {{NULL, 0}, false};

/* ---- signatures ---- */

struct ir_text openai_responses_signature(struct arena *a, struct ir_text id,
                                          struct ir_text content)
{
    if (content.s.n == 0 || id.s.n == 0 || id.escaped || content.escaped ||
        slice_starts_with(id.s, SLICE_LIT(OPENAI_RESPONSES_OWN_ID)))
        return content;
    char *mem = arena_alloc(a, id.s.n + 1 + content.s.n);
    if (!mem)
        return no_text;
    memcpy(mem, id.s.p, id.s.n);
    mem[id.s.n] = '-';
    memcpy(mem + id.s.n + 1, content.s.p, content.s.n);
    return ir_plain(slice_of(mem, id.s.n + 1 + content.s.n));
}

bool openai_responses_split(struct ir_text signature, struct ir_text *id, struct ir_text *content)
{
    struct slice rest = signature.s;
    if (signature.escaped || !slice_starts_with(rest, SLICE_LIT("rs_")))
        return false;
    *id = ir_plain(slice_split(&rest, '-'));
    *content = ir_plain(rest);
    return rest.n > 0;
}

/* ---- citations, finishes ---- */

bool openai_responses_read_citation(const struct json_doc *d, uint32_t annotation,
                                    struct ir_citation *out)
{
    memset(out, 0, sizeof *out);
    if (!json_str_eq_lit(d, json_get_lit(d, annotation, "type"), "url_citation"))
        return false;
    out->url = ir_text_of(d, json_get_lit(d, annotation, "url"));
    out->title = ir_text_of(d, json_get_lit(d, annotation, "title"));
    if (json_i64(d, json_get_lit(d, annotation, "start_index"), &out->start) < 0)
        out->start = -1;
    if (json_i64(d, json_get_lit(d, annotation, "end_index"), &out->end) < 0)
        out->end = -1;
    return ir_has(out->url);
}

void openai_responses_write_citation(struct json_writer *w, const struct ir_citation *c)
{
    jw_object(w);
    jw_member_str(w, "type", SLICE_LIT("url_citation"));
    jw_member_i64(w, "start_index", GW_MAX(c->start, 0));
    jw_member_i64(w, "end_index", GW_MAX(c->end, 0));
    ir_member(w, "url", c->url);
    ir_member(w, "title", ir_has(c->title) ? c->title : c->url);
    jw_object_end(w);
}

enum ir_finish openai_responses_finish(const struct json_doc *d, uint32_t response, unsigned kinds)
{
    uint32_t status = json_get_lit(d, response, "status");
    uint32_t reason = json_get_lit(d, json_get_lit(d, response, "incomplete_details"), "reason");
    if (json_str_eq_lit(d, status, "incomplete")) {
        if (json_str_eq_lit(d, reason, "max_output_tokens"))
            return IR_FINISH_LENGTH;
        return json_str_eq_lit(d, reason, "content_filter") ? IR_FINISH_CONTENT_FILTER
                                                            : IR_FINISH_OTHER;
    }
    if (kinds & 1u << IR_PART_TOOL_CALL)
        return IR_FINISH_TOOL_CALLS;
    return kinds & 1u << IR_PART_REFUSAL ? IR_FINISH_REFUSAL : IR_FINISH_STOP;
}

/* What was cut short for a reason that has no word here is said to be by the length: it isn't
 * complete. */
void openai_responses_status(enum ir_finish f, bool refused, struct openai_responses_object *o)
{
    o->status = "incomplete";
    switch (f) {
    case IR_FINISH_LENGTH:
    case IR_FINISH_CONTEXT:
    case IR_FINISH_PAUSE:
    case IR_FINISH_OTHER:
        o->incomplete = "max_output_tokens";
        return;
    case IR_FINISH_CONTENT_FILTER:
        o->incomplete = "content_filter";
        return;
    case IR_FINISH_REFUSAL:
        if (!refused) {
            o->incomplete = "content_filter";
            return;
        }
        break;
    default:
        break;
    }
    o->status = "completed";
    o->incomplete = NULL;
}

/* ---- reading ---- */

struct in {
    const struct json_doc *d;
    struct ir_response *out;
    struct ir_choice *c;
    bool full;
};

static struct ir_part *add(struct in *in, enum ir_part_kind kind, struct ir_text text)
{
    struct ir_part *p = ir_add_part(in->out->arena, &in->c->parts, kind);
    in->full |= !p;
    if (p)
        p->text = text;
    return p;
}

static void read_annotations(struct in *in, struct ir_part *p, uint32_t annotations)
{
    struct ir_citation **at = &p->citations, found;
    json_foreach_element(in->d, annotations, e)
    {
        if (!openai_responses_read_citation(in->d, e, &found))
            continue;
        *at = arena_alloc(in->out->arena, sizeof **at);
        in->full |= !*at;
        if (!*at)
            return;
        **at = found;
        at = &(*at)->next;
    }
}

static void read_logprobs(struct in *in, uint32_t logprobs)
{
    static const char head[] = "{\"content\":", tail[] = ",\"refusal\":null}";
    struct slice raw = json_raw(in->d, logprobs);
    if (json_count(in->d, logprobs) == 0 || in->c->logprobs.p)
        return;
    char *mem = arena_alloc(in->out->arena, raw.n + sizeof head + sizeof tail);
    in->full |= !mem;
    if (!mem)
        return;
    int n =
        snprintf(mem, raw.n + sizeof head + sizeof tail, "%s%.*s%s", head, SLICE_FMT(raw), tail);
    in->c->logprobs = slice_of(mem, (size_t)n);
}

static void read_message(struct in *in, uint32_t item)
{
    const struct json_doc *d = in->d;
    json_foreach_element(d, json_get_lit(d, item, "content"), e)
    {
        struct ir_text refusal = ir_text_of(d, json_get_lit(d, e, "refusal"));
        struct ir_text text = ir_text_of(d, json_get_lit(d, e, "text"));
        if (ir_has(refusal)) {
            add(in, IR_PART_REFUSAL, refusal);
            continue;
        }
        struct ir_part *p = ir_has(text) ? add(in, IR_PART_TEXT, text) : NULL;
        if (!p)
            continue;
        read_annotations(in, p, json_get_lit(d, e, "annotations"));
        read_logprobs(in, json_get_lit(d, e, "logprobs"));
    }
}

static void read_reasoning(struct in *in, uint32_t item)
{
    const struct json_doc *d = in->d;
    struct ir_text content = ir_text_of(d, json_get_lit(d, item, "encrypted_content"));
    uint32_t thoughts = json_get_lit(d, item, "summary");
    struct ir_part *last = NULL;
    if (json_count(d, thoughts) == 0)
        thoughts = json_get_lit(d, item, "content");
    json_foreach_element(d, thoughts, e)
    {
        last = add(in, IR_PART_REASONING, ir_text_of(d, json_get_lit(d, e, "text")));
    }
    if (!content.s.n)
        return;
    if (!last && (last = add(in, IR_PART_REASONING, no_text)))
        last->redacted = true;
    if (last)
        last->signature = openai_responses_signature(
            in->out->arena, ir_text_of(d, json_get_lit(d, item, "id")), content);
}

static void read_item(struct in *in, uint32_t item)
{
    const struct json_doc *d = in->d;
    uint32_t type = json_get_lit(d, item, "type");
    if (json_str_eq_lit(d, type, "message")) {
        read_message(in, item);
    } else if (json_str_eq_lit(d, type, "reasoning")) {
        read_reasoning(in, item);
    } else if (json_str_eq_lit(d, type, "function_call")) {
        struct ir_part *p = add(in, IR_PART_TOOL_CALL, no_text);
        if (!p)
            return;
        p->call_id = ir_text_of(d, json_get_lit(d, item, "call_id"));
        p->name = ir_text_of(d, json_get_lit(d, item, "name"));
        p->arguments = ir_text_of(d, json_get_lit(d, item, "arguments"));
    }
}

int openai_responses_read_response(const struct json_doc *d, struct ir_response *out)
{
    struct in in = {.d = d, .out = out, .c = ir_add_choice(out, 0)};
    uint32_t output = json_get_lit(d, JSON_ROOT, "output"), error = openai_error_object(d);
    uint32_t status = json_get_lit(d, JSON_ROOT, "status");
    unsigned kinds = 0;
    if (!in.c || error != JSON_NONE || json_type(d, output) != JSON_ARRAY ||
        json_str_eq_lit(d, status, "failed") || json_str_eq_lit(d, status, "cancelled"))
        return -1;
    out->id = ir_text_of(d, json_get_lit(d, JSON_ROOT, "id"));
    out->model = ir_text_of(d, json_get_lit(d, JSON_ROOT, "model"));
    out->service_tier = ir_text_of(d, json_get_lit(d, JSON_ROOT, "service_tier"));
    if (json_i64(d, json_get_lit(d, JSON_ROOT, "created_at"), &out->created_s) < 0)
        out->created_s = 0;
    json_foreach_element(d, output, e)
    {
        read_item(&in, e);
    }
    for (const struct ir_part *p = in.c->parts; p; p = p->next)
        kinds |= 1u << p->kind;
    if (json_str_eq_lit(d, status, "completed") || json_str_eq_lit(d, status, "incomplete"))
        in.c->finish = openai_responses_finish(d, JSON_ROOT, kinds);
    openai_read_usage(d, json_get_lit(d, JSON_ROOT, "usage"), &out->usage);
    return in.full ? -1 : 0;
}

/* ---- writing ---- */

static void text_or_null(struct json_writer *w, const char *name, struct ir_text t)
{
    jw_key_plain(w, slice_str(name));
    if (ir_has(t))
        ir_write_str(w, t);
    else
        jw_null(w);
}

static void number_or(struct json_writer *w, const char *name, struct slice spelled,
                      const char *otherwise)
{
    jw_key_plain(w, slice_str(name));
    jw_raw(w, spelled.p ? spelled : slice_str(otherwise));
}

static void write_usage(struct json_writer *w, const struct dialect_usage *u)
{
    jw_key_plain(w, SLICE_LIT("usage"));
    if (!u || !(u->flags & USAGE_PRESENT)) {
        jw_null(w);
        return;
    }
    jw_object(w);
    jw_member_i64(w, "input_tokens", u->input_tokens);
    jw_member_object(w, "input_tokens_details");
    jw_member_i64(w, "cached_tokens", u->cached_tokens);
    jw_member_i64(w, "cache_write_tokens", u->cache_write_tokens);
    jw_object_end(w);
    jw_member_i64(w, "output_tokens", u->output_tokens);
    jw_member_object(w, "output_tokens_details");
    jw_member_i64(w, "reasoning_tokens", u->reasoning_tokens);
    jw_object_end(w);
    jw_member_i64(w, "total_tokens", u->input_tokens + u->output_tokens);
    jw_object_end(w);
}

/* The members of the request that the object repeats, or what they are by default. */
static void write_echo(struct json_writer *w, const struct ir_request *asked)
{
    struct ir_request none;
    const struct ir_request *r = asked;
    if (!r) {
        ir_request_init(&none, NULL, DIALECT_CHAT);
        r = &none;
    }
    jw_key_plain(w, SLICE_LIT("max_output_tokens"));
    if (r->max_tokens >= 0)
        jw_i64(w, r->max_tokens);
    else
        jw_null(w);
    jw_member_bool(w, "parallel_tool_calls", r->parallel_tools != 0);
    jw_member_null(w, "previous_response_id");
    jw_member_object(w, "reasoning");
    text_or_null(w, "effort",
                 r->effort == IR_EFFORT_UNSET ? no_text
                                              : ir_plain(slice_str(ir_effort_name(r->effort))));
    text_or_null(w, "summary", r->include_thoughts > 0 ? IR_LIT("auto") : no_text);
    jw_object_end(w);
    jw_member_bool(w, "store", false);
    number_or(w, "temperature", r->temperature, "1.0");
    jw_key_plain(w, SLICE_LIT("text"));
    openai_responses_write_text(w, r);
    jw_key_plain(w, SLICE_LIT("tool_choice"));
    openai_responses_write_choice(w, r);
    jw_key_plain(w, SLICE_LIT("tools"));
    openai_responses_write_tools(w, r);
    number_or(w, "top_p", r->top_p, "1.0");
    jw_member_str(w, "truncation", SLICE_LIT("disabled"));
    text_or_null(w, "user", r->user);
    number_or(w, "metadata", r->metadata, "{}");
}

void openai_responses_write_object(struct json_writer *w, const struct openai_responses_object *o,
                                   const struct codec_caller *c, struct slice output)
{
    struct ir_text own[] = {IR_LIT("resp_"), ir_plain(c->request_id)};
    struct ir_text model = ir_has(c->model) ? c->model : o->model;
    jw_object(w);
    jw_key_plain(w, SLICE_LIT("id"));
    if (slice_starts_with(o->id.s, SLICE_LIT("resp_")))
        ir_write_str(w, o->id);
    else
        ir_write_str_parts(w, own, ARRAY_LEN(own));
    jw_member_str(w, "object", SLICE_LIT("response"));
    jw_member_i64(w, "created_at", o->created_s ? o->created_s : c->now_s);
    jw_member_str(w, "status", slice_str(o->status));
    jw_member_bool(w, "background", false);
    jw_key_plain(w, SLICE_LIT("error"));
    if (o->error) {
        jw_object(w);
        jw_member_str(w, "code", slice_str(o->error));
        ir_member(w, "message", o->message);
        jw_object_end(w);
    } else {
        jw_null(w);
    }
    jw_key_plain(w, SLICE_LIT("incomplete_details"));
    if (o->incomplete) {
        jw_object(w);
        jw_member_str(w, "reason", slice_str(o->incomplete));
        jw_object_end(w);
    } else {
        jw_null(w);
    }
    jw_member_null(w, "instructions");
    ir_member(w, "model", model);
    jw_member_raw(w, "output", output);
    write_echo(w, c->request);
    if (ir_has(o->service_tier))
        ir_member(w, "service_tier", openai_tier(o->service_tier));
    write_usage(w, o->usage);
    jw_object_end(w);
}

struct out {
    struct json_writer w;
    const struct codec_caller *c;
    unsigned n; /* items so far */
};

static void begin_item(struct out *o, const char *prefix, const char *type)
{
    char id[96];
    snprintf(id, sizeof id, "%s_%.*s_%u", prefix, (int)GW_MIN(o->c->request_id.n, (size_t)64),
             o->c->request_id.p ? o->c->request_id.p : "", o->n++);
    jw_object(&o->w);
    jw_member_str(&o->w, "id", slice_str(id));
    jw_member_str(&o->w, "type", slice_str(type));
}

static void write_text_part(struct json_writer *w, const struct ir_part *p, struct slice logprobs)
{
    jw_object(w);
    if (p->kind == IR_PART_REFUSAL) {
        jw_member_str(w, "type", SLICE_LIT("refusal"));
        ir_member(w, "refusal", p->text);
        jw_object_end(w);
        return;
    }
    jw_member_str(w, "type", SLICE_LIT("output_text"));
    ir_member(w, "text", p->text);
    jw_member_array(w, "annotations");
    for (const struct ir_citation *c = p->citations; c; c = c->next)
        if (ir_has(c->url))
            openai_responses_write_citation(w, c);
    jw_array_end(w);
    jw_member_raw(w, "logprobs", logprobs.p ? logprobs : SLICE_LIT("[]"));
    jw_object_end(w);
}

static const struct ir_part *write_message(struct out *o, const struct ir_part *p,
                                           struct slice logprobs)
{
    begin_item(o, "msg", "message");
    jw_member_str(&o->w, "status", SLICE_LIT("completed"));
    jw_member_str(&o->w, "role", SLICE_LIT("assistant"));
    jw_member_array(&o->w, "content");
    for (; p && (p->kind == IR_PART_TEXT || p->kind == IR_PART_REFUSAL); p = p->next) {
        write_text_part(&o->w, p, p->kind == IR_PART_TEXT ? logprobs : slice_of(NULL, 0));
        logprobs = slice_of(NULL, 0);
    }
    jw_array_end(&o->w);
    jw_object_end(&o->w);
    return p;
}

static const struct ir_part *write_reasoning(struct out *o, const struct ir_part *p)
{
    struct ir_text signature = no_text;
    begin_item(o, OPENAI_RESPONSES_OWN_ID, "reasoning");
    jw_member_array(&o->w, "summary");
    for (; p && p->kind == IR_PART_REASONING && !ir_has(signature); p = p->next) {
        signature = p->signature;
        if (p->text.s.n == 0)
            continue;
        jw_object(&o->w);
        jw_member_str(&o->w, "type", SLICE_LIT("summary_text"));
        ir_member(&o->w, "text", p->text);
        jw_object_end(&o->w);
    }
    jw_array_end(&o->w);
    if (ir_has(signature))
        ir_member(&o->w, "encrypted_content", signature);
    jw_object_end(&o->w);
    return p;
}

static void write_call(struct out *o, const struct ir_part *p)
{
    begin_item(o, "fc", "function_call");
    jw_member_str(&o->w, "status", SLICE_LIT("completed"));
    ir_member(&o->w, "arguments", p->arguments.s.n ? p->arguments : IR_LIT("{}"));
    jw_key_plain(&o->w, SLICE_LIT("call_id"));
    ir_write_signed_id(&o->w, p->call_id, p->signature);
    ir_member(&o->w, "name", p->name);
    jw_object_end(&o->w);
}

struct slice openai_responses_logprobs(struct json_doc *d, struct slice logprobs)
{
    if (!logprobs.p || json_parse(d, logprobs.p, logprobs.n) < 0)
        return slice_of(NULL, 0);
    uint32_t content = json_get_lit(d, JSON_ROOT, "content");
    return json_type(d, content) == JSON_ARRAY ? json_raw(d, content) : slice_of(NULL, 0);
}

static bool write_output(struct out *o, const struct ir_choice *c)
{
    const struct ir_part *p = c ? c->parts : NULL;
    struct json_doc d;
    bool refused = false;
    json_doc_init(&d, JSON_MAX_TOKENS);
    struct slice logprobs = openai_responses_logprobs(&d, c ? c->logprobs : slice_of(NULL, 0));
    json_doc_release(&d);
    jw_array(&o->w);
    while (p) {
        refused |= p->kind == IR_PART_REFUSAL;
        if (p->kind == IR_PART_TEXT || p->kind == IR_PART_REFUSAL) {
            p = write_message(o, p, logprobs);
            logprobs = slice_of(NULL, 0);
            continue;
        }
        if (p->kind == IR_PART_REASONING) {
            p = write_reasoning(o, p);
            continue;
        }
        if (p->kind == IR_PART_TOOL_CALL)
            write_call(o, p);
        p = p->next;
    }
    jw_array_end(&o->w);
    return refused;
}

int openai_responses_write_response(const struct ir_response *r, const struct codec_caller *c,
                                    struct buf *out)
{
    struct openai_responses_object object = {.id = r->id,
                                             .model = r->model,
                                             .service_tier = r->service_tier,
                                             .created_s = r->created_s,
                                             .usage = &r->usage};
    struct out o = {.c = c};
    struct buf output;
    struct json_writer w;
    size_t n;
    int rc = -1;
    buf_init(&output, out->max_bytes);
    jw_init_buf(&o.w, &output);
    bool refused = write_output(&o, r->choices);
    if (jw_finish(&o.w, &n) < 0)
        goto done;
    openai_responses_status(r->choices ? r->choices->finish : IR_FINISH_NONE, refused, &object);
    jw_init_buf(&w, out);
    openai_responses_write_object(&w, &object, c, buf_slice(&output));
    rc = jw_finish(&w, &n);
done:
    buf_release(&output);
    return rc;
}
