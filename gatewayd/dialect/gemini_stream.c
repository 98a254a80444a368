/*
 * gemini_stream.c: reads the events of streamGenerateContent with alt=sse.
 *
 * Each event is a GenerateContentResponse that holds what is new: a piece of text or of thought
 * belongs to the part before it if that was of the same kind, a functionCall is whole. There is no
 * terminator: a stream is complete when every candidate has given its finishReason and the
 * connection has ended well. usageMetadata is cumulative.
 */
#include "gatewayd/dialect/gemini.h"

enum { ARENA_MAX_BYTES = 64 << 20 };

/* One event on its way through the reader. */
struct pass {
    struct gemini_reader *s;
    const struct json_doc *d;
    struct arena *arena; /* of texts that live as long as the event */
    ir_sink_fn sink;
    void *ctx;
    uint32_t choice;
    struct gemini_candidate *c;
};

static void emit(const struct pass *p, struct ir_event ev)
{
    ev.choice = p->choice;
    ev.part = p->c && p->c->parts ? p->c->parts - 1 : 0;
    p->sink(p->ctx, &ev);
}

static void close_part(struct pass *p)
{
    if (!p->c->open)
        return;
    p->c->open = false;
    emit(p, (struct ir_event){.kind = IR_EV_PART_END});
}

static void open_part(struct pass *p, struct ir_event ev)
{
    close_part(p);
    p->c->open = true;
    p->c->kind = ev.part_kind;
    p->c->parts++;
    ev.kind = IR_EV_PART_START;
    emit(p, ev);
}

static struct ir_text signature_of(const struct pass *p, uint32_t part)
{
    uint32_t v = gemini_get(p->d, part, "thoughtSignature");
    return gemini_base64(p->d, v, p->arena);
}

/* A signature closes the part that it signs: what follows has its own, or none. */
static void read_text(struct pass *p, uint32_t part, uint32_t text, struct slice *logprobs)
{
    struct ir_text t = ir_text_of(p->d, text), signature = signature_of(p, part);
    bool thought = false;
    if (json_bool(p->d, gemini_get(p->d, part, "thought"), &thought) < 0)
        thought = false;
    enum ir_part_kind kind = thought ? IR_PART_REASONING : IR_PART_TEXT;
    if (!t.s.n && !signature.s.n)
        return;
    if (!p->c->open || p->c->kind != kind)
        open_part(p, (struct ir_event){.part_kind = kind});
    if (t.s.n) {
        emit(p, (struct ir_event){.kind = IR_EV_DELTA,
                                  .part_kind = kind,
                                  .text = t,
                                  .logprobs = thought ? slice_of(NULL, 0) : *logprobs});
        if (!thought)
            *logprobs = slice_of(NULL, 0);
    }
    if (signature.s.n) {
        emit(p, (struct ir_event){.kind = IR_EV_SIGNATURE, .part_kind = kind, .text = signature});
        close_part(p);
    }
}

static void read_call(struct pass *p, uint32_t part, uint32_t call)
{
    const struct json_doc *d = p->d;
    uint32_t args = gemini_get(d, call, "args");
    struct ir_event ev = {.part_kind = IR_PART_TOOL_CALL, .signature = signature_of(p, part)};
    ev.name = ir_text_of(d, gemini_get(d, call, "name"));
    ev.call_id = ir_text_of(d, gemini_get(d, call, "id"));
    if (!ev.call_id.s.n)
        ev.call_id = gemini_call_id(p->arena, ir_plain(slice_of(p->s->id, p->s->id_length)),
                                    p->choice, p->c->calls);
    p->c->calls++;
    open_part(p, ev);
    emit(p,
         (struct ir_event){.kind = IR_EV_DELTA,
                           .part_kind = IR_PART_TOOL_CALL,
                           .text = json_type(d, args) == JSON_OBJECT ? ir_plain(json_raw(d, args))
                                                                     : IR_LIT("{}")});
    close_part(p);
}

static void read_blob(struct pass *p, uint32_t blob)
{
    struct ir_event ev = {.media_type = ir_text_of(p->d, gemini_get(p->d, blob, "mimeType"))};
    ev.part_kind = gemini_media_kind(ev.media_type);
    open_part(p, ev);
    emit(p,
         (struct ir_event){.kind = IR_EV_DELTA,
                           .part_kind = ev.part_kind,
                           .text = gemini_base64(p->d, gemini_get(p->d, blob, "data"), p->arena)});
    close_part(p);
}

static void read_part(struct pass *p, uint32_t part, struct slice *logprobs)
{
    uint32_t call = gemini_get(p->d, part, "functionCall");
    uint32_t blob = gemini_get(p->d, part, "inlineData");
    if (json_type(p->d, call) == JSON_OBJECT)
        read_call(p, part, call);
    else if (json_type(p->d, blob) == JSON_OBJECT)
        read_blob(p, blob);
    else
        read_text(p, part, gemini_get(p->d, part, "text"), logprobs);
}

/* Places are counted from the start of a text that has gone by: they aren't known here. */
static void take_citation(void *ctx, const struct ir_citation *c, int64_t start, int64_t end)
{
    struct pass *p = ctx;
    (void)start, (void)end;
    if (p->c->open && p->c->kind == IR_PART_TEXT)
        emit(p,
             (struct ir_event){.kind = IR_EV_CITATION, .part_kind = IR_PART_TEXT, .citation = c});
}

static void finish(struct pass *p, enum ir_finish f)
{
    close_part(p);
    if (p->c->finished || f == IR_FINISH_NONE)
        return;
    p->c->finished = true;
    emit(p, (struct ir_event){.kind = IR_EV_FINISH, .finish = f});
}

static int begin_candidate(struct pass *p, int64_t index)
{
    if (index < 0 || index >= GEMINI_CANDIDATES_MAX)
        return -1;
    p->choice = (uint32_t)index;
    p->c = &p->s->candidates[index];
    p->c->seen = true;
    return 0;
}

static int read_candidate(struct pass *p, uint32_t candidate, uint32_t nth)
{
    const struct json_doc *d = p->d;
    int64_t index = nth;
    uint32_t at = gemini_get(d, candidate, "index");
    if (at != JSON_NONE && gemini_i64(d, at, &index) < 0)
        return -1;
    if (begin_candidate(p, index) < 0)
        return -1;
    struct slice logprobs =
        gemini_read_logprobs(d, gemini_get(d, candidate, "logprobsResult"), p->arena);
    uint32_t parts = gemini_get(d, gemini_get(d, candidate, "content"), "parts");
    json_foreach_element(d, parts, e) read_part(p, e, &logprobs);
    gemini_read_citations(d, candidate, take_citation, p);
    uint32_t reason = gemini_get(d, candidate, "finishReason");
    enum ir_finish f = gemini_finish(d, reason, p->c->calls > 0);
    if (f != IR_FINISH_NONE)
        finish(p, f);
    return 0;
}

static void start(struct pass *p, const struct dialect_usage *usage)
{
    struct ir_text id = ir_text_of(p->d, gemini_get(p->d, JSON_ROOT, "responseId"));
    p->s->started = true;
    if (!id.escaped && id.s.n && id.s.n <= sizeof p->s->id) {
        memcpy(p->s->id, id.s.p, id.s.n);
        p->s->id_length = (uint8_t)id.s.n;
    }
    emit(p,
         (struct ir_event){.kind = IR_EV_START,
                           .id = id,
                           .model = ir_text_of(p->d, gemini_get(p->d, JSON_ROOT, "modelVersion")),
                           .usage = usage->flags ? usage : NULL});
}

static void fail(struct pass *p, uint32_t error)
{
    p->s->failed = true;
    emit(p, (struct ir_event){.kind = IR_EV_ERROR,
                              .text = ir_text_of(p->d, gemini_get(p->d, error, "message")),
                              .fault = gemini_fault(p->d, error, 200)});
}

static int read_chunk(struct pass *p)
{
    const struct json_doc *d = p->d;
    uint32_t nth = 0, error = gemini_error_object(d);
    struct dialect_usage usage = {.total_tokens = -1};
    if (error != JSON_NONE) {
        fail(p, error);
        return 0;
    }
    gemini_read_usage(d, gemini_get(d, JSON_ROOT, "usageMetadata"), &usage);
    if (!p->s->started)
        start(p, &usage);
    json_foreach_element(d, gemini_get(d, JSON_ROOT, "candidates"), e)
    {
        if (read_candidate(p, e, nth++) < 0)
            return -1;
    }
    if (!nth && gemini_block(d) != IR_FINISH_NONE && begin_candidate(p, 0) == 0)
        finish(p, gemini_block(d));
    p->c = NULL;
    p->choice = 0;
    if (usage.flags)
        emit(p, (struct ir_event){.kind = IR_EV_USAGE, .usage = &usage});
    return 0;
}

int gemini_read_event(void *state, const struct json_doc *d, struct slice type, struct slice data,
                      ir_sink_fn sink, void *ctx)
{
    struct gemini_reader *s = state;
    char mem[4096];
    struct arena arena;
    (void)type, (void)data;
    if (!d || json_type(d, JSON_ROOT) != JSON_OBJECT)
        return -1;
    if (s->failed)
        return 0;
    arena_init(&arena, mem, sizeof mem, ARENA_MAX_BYTES);
    struct pass p = {.s = s, .d = d, .arena = &arena, .sink = sink, .ctx = ctx};
    int rc = read_chunk(&p);
    arena_reset(&arena);
    return rc;
}

int gemini_read_end(void *state, ir_sink_fn sink, void *ctx)
{
    struct gemini_reader *s = state;
    bool any = false;
    if (s->failed)
        return -1;
    for (unsigned i = 0; i < GEMINI_CANDIDATES_MAX; i++) {
        if (s->candidates[i].seen && !s->candidates[i].finished)
            return -1;
        any |= s->candidates[i].finished;
    }
    if (!any)
        return -1;
    sink(ctx, &(struct ir_event){.kind = IR_EV_END});
    return 0;
}
