/*
 * gemini_response.c: whole answers, GenerateContentResponse
 * (ai.google.dev/api/generate-content#GenerateContentResponse).
 */
#include "gatewayd/dialect/gemini.h"

#include <stdio.h>

/* ---- reading ---- */

struct reading {
    const struct json_doc *d;
    struct ir_response *r;
    struct ir_choice *choice;
    uint32_t calls;
    bool full; /* the arena is */
};

struct ir_text gemini_call_id(struct arena *a, struct ir_text response_id, uint32_t choice,
                              uint32_t nth)
{
    enum { ID_BYTES = 64 };
    char id[ID_BYTES + 48];
    bool named = !response_id.escaped && response_id.s.n && response_id.s.n <= ID_BYTES;
    if (named)
        snprintf(id, sizeof id, "call_%.*s_%u_%u", SLICE_FMT(response_id.s), choice, nth);
    else
        snprintf(id, sizeof id, "call_%u_%u", choice, nth);
    return ir_plain(arena_dup(a, slice_str(id)));
}

static struct ir_part *add(struct reading *in, enum ir_part_kind kind, uint32_t part)
{
    struct ir_part *p = ir_add_part(in->r->arena, &in->choice->parts, kind);
    uint32_t signature = gemini_get(in->d, part, "thoughtSignature");
    if (!p) {
        in->full = true;
        return NULL;
    }
    if (json_type(in->d, signature) == JSON_STRING)
        p->signature = gemini_base64(in->d, signature, in->r->arena);
    return p;
}

static void read_call(struct reading *in, uint32_t part, uint32_t call)
{
    const struct json_doc *d = in->d;
    struct ir_part *p = add(in, IR_PART_TOOL_CALL, part);
    uint32_t args = gemini_get(d, call, "args");
    if (!p)
        return;
    p->name = ir_text_of(d, gemini_get(d, call, "name"));
    p->call_id = ir_text_of(d, gemini_get(d, call, "id"));
    if (!p->call_id.s.n)
        p->call_id = gemini_call_id(in->r->arena, in->r->id, in->choice->index, in->calls);
    p->arguments = json_type(d, args) == JSON_OBJECT ? ir_plain(json_raw(d, args)) : IR_LIT("{}");
    in->calls++;
}

static void read_blob(struct reading *in, uint32_t part, uint32_t blob)
{
    struct ir_text type = ir_text_of(in->d, gemini_get(in->d, blob, "mimeType"));
    struct ir_part *p = add(in, gemini_media_kind(type), part);
    if (!p)
        return;
    p->source = IR_SOURCE_BASE64;
    p->media_type = type;
    p->data = gemini_base64(in->d, gemini_get(in->d, blob, "data"), in->r->arena);
}

static void read_part(struct reading *in, uint32_t part)
{
    const struct json_doc *d = in->d;
    uint32_t text = gemini_get(d, part, "text"), call = gemini_get(d, part, "functionCall");
    uint32_t blob = gemini_get(d, part, "inlineData");
    bool thought = false;
    if (json_type(d, call) == JSON_OBJECT)
        read_call(in, part, call);
    else if (json_type(d, blob) == JSON_OBJECT)
        read_blob(in, part, blob);
    else if (json_type(d, text) == JSON_STRING ||
             gemini_get(d, part, "thoughtSignature") != JSON_NONE) {
        if (json_bool(d, gemini_get(d, part, "thought"), &thought) < 0)
            thought = false;
        struct ir_part *p = add(in, thought ? IR_PART_REASONING : IR_PART_TEXT, part);
        if (p)
            p->text = json_type(d, text) == JSON_STRING ? ir_text_of(d, text) : IR_LIT("");
    }
}

/* Characters in the first n bytes of the decoded text; -1 where it has fewer. */
static int64_t characters(struct slice text, int64_t n)
{
    int64_t count = 0;
    if (n < 0 || !text.p || (uint64_t)n > text.n)
        return -1;
    for (int64_t i = 0; i < n; i++)
        count += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return count;
}

/* The part that a source belongs to isn't always said: it is the answer's first text. */
static void take_citation(void *ctx, const struct ir_citation *c, int64_t start, int64_t end)
{
    struct reading *in = ctx;
    struct ir_part *p = in->choice->parts;
    while (p && p->kind != IR_PART_TEXT)
        p = p->next;
    struct ir_citation *own = arena_alloc(in->r->arena, sizeof *own);
    if (!p || !own)
        return;
    struct slice text = ir_decode(in->r->arena, p->text);
    *own = *c;
    own->start = characters(text, start);
    own->end = characters(text, end);
    struct ir_citation **at = &p->citations;
    while (*at)
        at = &(*at)->next;
    *at = own;
}

static void read_candidate(struct reading *in, uint32_t candidate, uint32_t nth)
{
    const struct json_doc *d = in->d;
    int64_t index;
    if (gemini_i64(d, gemini_get(d, candidate, "index"), &index) < 0 || index < 0 ||
        index > UINT16_MAX)
        index = nth;
    in->choice = ir_add_choice(in->r, (uint32_t)index);
    in->calls = 0;
    if (!in->choice) {
        in->full = true;
        return;
    }
    uint32_t parts = gemini_get(d, gemini_get(d, candidate, "content"), "parts");
    json_foreach_element(d, parts, e) read_part(in, e);
    in->choice->finish = gemini_finish(d, gemini_get(d, candidate, "finishReason"), in->calls > 0);
    in->choice->logprobs =
        gemini_read_logprobs(d, gemini_get(d, candidate, "logprobsResult"), in->r->arena);
    gemini_read_citations(d, candidate, take_citation, in);
}

/* countTokens and its cousins: totalTokens. */
static int read_count(const struct json_doc *d, struct ir_response *out)
{
    int64_t n;
    if (gemini_i64(d, gemini_get(d, JSON_ROOT, "totalTokens"), &n) < 0 || n < 0 ||
        n > USAGE_MAX_TOKENS)
        return -1;
    out->usage.input_tokens = n;
    return 0;
}

int gemini_read_response(const struct json_doc *d, struct ir_response *out)
{
    struct reading in = {.d = d, .r = out};
    uint32_t candidates = gemini_get(d, JSON_ROOT, "candidates"), nth = 0;
    if (out->op == DIALECT_COUNT_TOKENS)
        return read_count(d, out);
    if (json_type(d, candidates) != JSON_ARRAY &&
        gemini_get(d, JSON_ROOT, "promptFeedback") == JSON_NONE &&
        gemini_get(d, JSON_ROOT, "usageMetadata") == JSON_NONE)
        return -1;
    out->id = ir_text_of(d, gemini_get(d, JSON_ROOT, "responseId"));
    out->model = ir_text_of(d, gemini_get(d, JSON_ROOT, "modelVersion"));
    gemini_read_usage(d, gemini_get(d, JSON_ROOT, "usageMetadata"), &out->usage);
    json_foreach_element(d, candidates, e) read_candidate(&in, e, nth++);
    if (!out->choices && gemini_block(d) != IR_FINISH_NONE) {
        in.choice = ir_add_choice(out, 0);
        if (in.choice)
            in.choice->finish = gemini_block(d);
    }
    return in.full ? -1 : 0;
}

/* ---- writing ---- */

static bool put_part(struct json_writer *w, struct arena *a, const struct ir_part *p)
{
    jw_object(w);
    switch (p->kind) {
    case IR_PART_TOOL_CALL:
        jw_member_object(w, "functionCall");
        if (p->call_id.s.n)
            ir_member(w, "id", p->call_id);
        ir_member(w, "name", ir_has(p->name) ? p->name : IR_LIT(""));
        jw_key_plain(w, SLICE_LIT("args"));
        if (ir_write_object(w, a, p->arguments) < 0)
            return false;
        jw_object_end(w);
        break;
    case IR_PART_IMAGE:
    case IR_PART_AUDIO:
    case IR_PART_VIDEO:
    case IR_PART_FILE:
        jw_member_object(w, "inlineData");
        if (ir_has(p->media_type))
            ir_member(w, "mimeType", p->media_type);
        ir_member(w, "data", ir_has(p->data) ? p->data : IR_LIT(""));
        jw_object_end(w);
        break;
    default:
        ir_member(w, "text", ir_has(p->text) && !p->redacted ? p->text : IR_LIT(""));
        if (p->kind == IR_PART_REASONING)
            jw_member_bool(w, "thought", true);
        break;
    }
    if (p->signature.s.n)
        ir_member(w, "thoughtSignature", p->signature);
    jw_object_end(w);
    return true;
}

/* A call whose arguments are no JSON object can't be said here; Gemini itself leaves such a call
 * out and says so by the finish reason. */
static bool is_sayable(struct arena *a, const struct ir_part *p)
{
    struct json_doc d;
    if (p->kind != IR_PART_TOOL_CALL || !p->arguments.s.n)
        return true;
    struct slice text = slice_trim(ir_decode(a, p->arguments));
    if (!text.p)
        return false;
    json_doc_init(&d, JSON_MAX_TOKENS);
    bool ok = json_parse(&d, text.p, text.n) == 0 && json_type(&d, JSON_ROOT) == JSON_OBJECT;
    json_doc_release(&d);
    return ok;
}

/* Bytes of the first n characters; -1: not said, or the text has fewer. */
static int64_t bytes_of(struct slice text, int64_t n)
{
    size_t i = 0;
    if (n < 0 || !text.p)
        return -1;
    while (n > 0 && i < text.n) {
        for (i++; i < text.n && ((unsigned char)text.p[i] & 0xc0) == 0x80; i++)
            ;
        n--;
    }
    return n ? -1 : (int64_t)i;
}

static void put_citations(struct json_writer *w, struct arena *a, const struct ir_choice *c)
{
    bool any = false;
    for (const struct ir_part *p = c->parts; p; p = p->next)
        any |= p->citations != NULL;
    if (!any)
        return;
    jw_member_object(w, "groundingMetadata");
    jw_member_array(w, "groundingChunks");
    for (const struct ir_part *p = c->parts; p; p = p->next)
        for (const struct ir_citation *s = p->citations; s; s = s->next)
            gemini_write_chunk(w, s);
    jw_array_end(w);
    jw_member_array(w, "groundingSupports");
    int64_t chunk = 0, part = 0;
    for (const struct ir_part *p = c->parts; p; p = p->next, part++) {
        struct slice text = p->citations ? ir_decode(a, p->text) : slice_of(NULL, 0);
        for (const struct ir_citation *s = p->citations; s; s = s->next)
            gemini_write_support(w, s, bytes_of(text, s->start), bytes_of(text, s->end), part,
                                 chunk++);
    }
    jw_array_end(w);
    jw_object_end(w);
}

static void put_candidate(struct json_writer *w, struct arena *a, const struct ir_choice *c)
{
    const char *finish = gemini_finish_word(c->finish);
    jw_object(w);
    jw_member_object(w, "content");
    jw_member_array(w, "parts");
    for (const struct ir_part *p = c->parts; p; p = p->next) {
        if (is_sayable(a, p) && put_part(w, a, p))
            continue;
        if (c->finish != IR_FINISH_LENGTH)
            finish = "MALFORMED_FUNCTION_CALL";
    }
    jw_array_end(w);
    jw_member_str(w, "role", SLICE_LIT("model"));
    jw_object_end(w);
    jw_member_str(w, "finishReason", slice_str(finish));
    jw_member_i64(w, "index", c->index);
    put_citations(w, a, c);
    if (c->logprobs.p)
        gemini_write_logprobs(w, c->logprobs);
    jw_object_end(w);
}

int gemini_write_response(const struct ir_response *r, const struct codec_caller *c,
                          struct buf *out)
{
    struct json_writer w;
    size_t n;
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_array(&w, "candidates");
    for (const struct ir_choice *choice = r->choices; choice; choice = choice->next)
        put_candidate(&w, r->arena, choice);
    jw_array_end(&w);
    gemini_write_usage(&w, &r->usage);
    if (ir_has(c->model) || ir_has(r->model))
        ir_member(&w, "modelVersion", ir_has(c->model) ? c->model : r->model);
    if (r->id.s.n || c->request_id.n)
        ir_member(&w, "responseId", r->id.s.n ? r->id : ir_plain(c->request_id));
    jw_object_end(&w);
    return jw_finish(&w, &n);
}
