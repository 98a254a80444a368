/*
 * gemini_stream_write.c: writes the events of streamGenerateContent, as server-sent events
 * (alt=sse) or as the elements of one JSON array.
 *
 * Text goes out as it comes. A functionCall and an inlineData part are whole objects in this
 * dialect, so their pieces are gathered, up to a bound. The finish reasons go out with the usage in
 * the last element, when the end has come: a stream that is cut before never looks finished.
 */
#include "gatewayd/dialect/gemini.h"

#include <stdlib.h>

enum {
    GATHERED_MAX_BYTES = 32 << 20,
    SIGNATURE_MAX_BYTES = 1 << 20,
    CITED_MAX_BYTES = 1 << 20,
    CHOICES_MAX = 128,
};

struct gemini_choice {
    struct gemini_choice *next;
    uint32_t index;
    enum ir_part_kind kind; /* of the part that is open */
    bool malformed;         /* a call had to be left out */
    bool finished;
    enum ir_finish finish;
    struct buf gathered;         /* the string of arguments or base64, its first quote in front */
    struct buf call;             /* members id and name, or mimeType */
    struct buf signature;        /* like gathered */
    struct buf chunks, supports; /* elements of the arrays of groundingMetadata */
    uint32_t n_cited;
};

/* ---- state ---- */

static struct gemini_choice *find(struct gemini_writer *s, uint32_t index)
{
    struct gemini_choice **at = &s->choices;
    unsigned n = 0;
    for (; *at; at = &(*at)->next, n++)
        if ((*at)->index == index)
            return *at;
    struct gemini_choice *c = n < CHOICES_MAX ? calloc(1, sizeof *c) : NULL;
    if (!c)
        return NULL;
    c->index = index;
    buf_init(&c->gathered, GATHERED_MAX_BYTES);
    buf_init(&c->call, GATHERED_MAX_BYTES);
    buf_init(&c->signature, SIGNATURE_MAX_BYTES);
    buf_init(&c->chunks, CITED_MAX_BYTES);
    buf_init(&c->supports, CITED_MAX_BYTES);
    return *at = c;
}

void gemini_writer_fini(void *state)
{
    struct gemini_writer *s = state;
    while (s->choices) {
        struct gemini_choice *c = s->choices;
        s->choices = c->next;
        buf_release(&c->gathered);
        buf_release(&c->call);
        buf_release(&c->signature);
        buf_release(&c->chunks);
        buf_release(&c->supports);
        free(c);
    }
}

/* A name that is too long for its place is left out. */
static void keep(struct gemini_kept *k, struct ir_text t)
{
    struct json_writer w;
    size_t n;
    if (!t.s.n)
        return;
    jw_init_fixed(&w, k->s, sizeof k->s);
    ir_write_str(&w, t);
    k->n = jw_finish(&w, &n) == 0 ? (uint16_t)n : 0;
}

/* Appends to a string that is begun with its quote and ended by close_string: pieces may end
 * anywhere, also between the two escapes of one character, so nothing is decoded before the end. */
static int gather(struct buf *b, struct ir_text piece)
{
    struct json_writer w;
    size_t n, before = b->len;
    if (b->len == 0 && buf_append(b, "\"", 1) < 0)
        return -1;
    if (piece.escaped)
        return buf_append(b, piece.s.p, piece.s.n);
    jw_init_buf(&w, b);
    jw_str_begin(&w);
    jw_str_add(&w, piece.s);
    if (jw_finish(&w, &n) < 0) {
        b->len = before;
        return -1;
    }
    size_t from = b->len - n;
    memmove(b->data + from, b->data + from + 1, n - 1);
    b->len--;
    return 0;
}

/* The inside of the gathered string, its quotes standing around it; {NULL}: nothing came. */
static struct ir_text gathered(struct buf *b)
{
    if (b->len == 0 || buf_append(b, "\"", 1) < 0)
        return (struct ir_text){{NULL, 0}, false};
    return (struct ir_text){slice_of(b->data + 1, b->len - 2), true};
}

/* ---- elements ---- */

static void open_frame(struct gemini_writer *s, const struct codec_caller *c, struct json_writer *w)
{
    if (c->framing == CODEC_JSON_ARRAY)
        jw_raw(w, s->begun ? SLICE_LIT(",\r\n") : SLICE_LIT("["));
    else
        jw_raw(w, SLICE_LIT("data: "));
    w->comma = false;
    s->begun = true;
}

static void close_frame(const struct codec_caller *c, struct json_writer *w)
{
    w->comma = false;
    if (c->framing != CODEC_JSON_ARRAY)
        jw_raw(w, SLICE_LIT("\n\n"));
}

static void put_names(const struct gemini_writer *s, const struct codec_caller *c,
                      struct json_writer *w)
{
    if (ir_has(c->model))
        ir_member(w, "modelVersion", c->model);
    else if (s->model.n)
        jw_member_raw(w, "modelVersion", slice_of(s->model.s, s->model.n));
    if (s->id.n)
        jw_member_raw(w, "responseId", slice_of(s->id.s, s->id.n));
    else if (c->request_id.n)
        jw_member_str(w, "responseId", c->request_id);
}

/* What follows is written between the two: the members of one part. */
static void open_chunk(struct gemini_writer *s, const struct codec_caller *c, struct json_writer *w)
{
    open_frame(s, c, w);
    jw_object(w);
    jw_member_array(w, "candidates");
    jw_object(w);
    jw_member_object(w, "content");
    jw_member_array(w, "parts");
    jw_object(w);
}

static void close_chunk(struct gemini_writer *s, const struct codec_caller *c,
                        struct json_writer *w, uint32_t index, struct slice logprobs)
{
    jw_object_end(w);
    jw_array_end(w);
    jw_member_str(w, "role", SLICE_LIT("model"));
    jw_object_end(w);
    jw_member_i64(w, "index", index);
    if (logprobs.p)
        gemini_write_logprobs(w, logprobs);
    jw_object_end(w);
    jw_array_end(w);
    put_names(s, c, w);
    jw_object_end(w);
    close_frame(c, w);
}

static void put_text(struct json_writer *w, enum ir_part_kind kind, struct ir_text text)
{
    ir_member(w, "text", text);
    if (kind == IR_PART_REASONING)
        jw_member_bool(w, "thought", true);
}

static void put_signature(struct json_writer *w, struct gemini_choice *ch)
{
    struct ir_text signature = gathered(&ch->signature);
    if (ir_has(signature))
        ir_member(w, "thoughtSignature", signature);
}

/* ---- parts ---- */

static int start_part(struct gemini_choice *ch, const struct ir_event *ev)
{
    struct json_writer w;
    size_t n;
    ch->kind = ev->part_kind;
    ch->gathered.len = ch->call.len = ch->signature.len = 0;
    if (ev->signature.s.n && gather(&ch->signature, ev->signature) < 0)
        return -1;
    jw_init_buf(&w, &ch->call);
    if (ev->part_kind == IR_PART_TOOL_CALL) {
        if (ev->call_id.s.n)
            ir_member(&w, "id", ev->call_id);
        ir_member(&w, "name", ir_has(ev->name) ? ev->name : IR_LIT(""));
    } else if (ir_has(ev->media_type))
        ir_member(&w, "mimeType", ev->media_type);
    return jw_finish(&w, &n);
}

static bool is_text(enum ir_part_kind kind)
{
    return kind == IR_PART_TEXT || kind == IR_PART_REASONING || kind == IR_PART_REFUSAL;
}

static int put_delta(struct gemini_writer *s, struct gemini_choice *ch,
                     const struct codec_caller *c, const struct ir_event *ev, struct buf *out)
{
    struct json_writer w;
    size_t n;
    if (!is_text(ch->kind))
        return gather(&ch->gathered, ev->text);
    if (!ev->text.s.n && !ev->logprobs.p)
        return 0;
    jw_init_buf(&w, out);
    open_chunk(s, c, &w);
    put_text(&w, ch->kind, ir_has(ev->text) ? ev->text : IR_LIT(""));
    close_chunk(s, c, &w, ch->index, ev->logprobs);
    return jw_finish(&w, &n);
}

static void put_call(struct json_writer *w, struct gemini_choice *ch, struct slice args)
{
    jw_member_object(w, "functionCall");
    jw_raw(w, buf_slice(&ch->call));
    jw_key_plain(w, SLICE_LIT("args"));
    jw_raw(w, args);
    jw_object_end(w);
}

static int end_call(struct gemini_writer *s, struct gemini_choice *ch, const struct codec_caller *c,
                    struct buf *out)
{
    char mem[1024];
    struct arena a;
    struct json_writer w;
    struct buf args;
    size_t n;
    int rc = -1;
    arena_init(&a, mem, sizeof mem, 2 * (size_t)GATHERED_MAX_BYTES);
    buf_init(&args, GATHERED_MAX_BYTES);
    struct ir_text text = gathered(&ch->gathered);
    jw_init_buf(&w, &args);
    if (!ir_has(text))
        text = IR_LIT("");
    ch->malformed |= ir_write_object(&w, &a, text) < 0;
    if (jw_finish(&w, &n) == 0) {
        rc = 0;
        if (args.len) {
            jw_init_buf(&w, out);
            open_chunk(s, c, &w);
            put_call(&w, ch, buf_slice(&args));
            put_signature(&w, ch);
            close_chunk(s, c, &w, ch->index, slice_of(NULL, 0));
            rc = jw_finish(&w, &n);
        }
    }
    buf_release(&args);
    arena_reset(&a);
    return rc;
}

static int end_part(struct gemini_writer *s, struct gemini_choice *ch, const struct codec_caller *c,
                    struct buf *out)
{
    struct json_writer w;
    size_t n;
    if (ch->kind == IR_PART_TOOL_CALL)
        return end_call(s, ch, c, out);
    if (is_text(ch->kind) && !ch->signature.len)
        return 0;
    jw_init_buf(&w, out);
    open_chunk(s, c, &w);
    if (is_text(ch->kind))
        put_text(&w, ch->kind, IR_LIT(""));
    else {
        struct ir_text data = gathered(&ch->gathered);
        jw_member_object(&w, "inlineData");
        if (ch->call.len)
            jw_raw(&w, buf_slice(&ch->call));
        ir_member(&w, "data", ir_has(data) ? data : IR_LIT(""));
        jw_object_end(&w);
    }
    put_signature(&w, ch);
    close_chunk(s, c, &w, ch->index, slice_of(NULL, 0));
    return jw_finish(&w, &n);
}

static int take_citation(struct gemini_choice *ch, const struct ir_citation *cited)
{
    struct json_writer w;
    size_t n;
    jw_init_buf(&w, &ch->chunks);
    w.comma = ch->n_cited > 0;
    gemini_write_chunk(&w, cited);
    if (jw_finish(&w, &n) < 0)
        return -1;
    jw_init_buf(&w, &ch->supports);
    w.comma = ch->n_cited > 0;
    gemini_write_support(&w, cited, -1, -1, 0, ch->n_cited++);
    return jw_finish(&w, &n);
}

/* ---- the end ---- */

static const char *finish_word(const struct gemini_choice *ch)
{
    if (ch->malformed && ch->finish != IR_FINISH_LENGTH && ch->finish != IR_FINISH_CONTENT_FILTER)
        return "MALFORMED_FUNCTION_CALL";
    return gemini_finish_word(ch->finish);
}

static void put_finish(struct json_writer *w, const struct gemini_choice *ch)
{
    jw_object(w);
    jw_member_object(w, "content");
    jw_member_array(w, "parts");
    jw_object(w);
    jw_member_str(w, "text", SLICE_LIT(""));
    jw_object_end(w);
    jw_array_end(w);
    jw_member_str(w, "role", SLICE_LIT("model"));
    jw_object_end(w);
    jw_member_str(w, "finishReason", slice_str(finish_word(ch)));
    jw_member_i64(w, "index", ch->index);
    if (ch->n_cited) {
        jw_member_object(w, "groundingMetadata");
        jw_member_array(w, "groundingChunks");
        jw_raw(w, buf_slice(&ch->chunks));
        jw_array_end(w);
        jw_member_array(w, "groundingSupports");
        jw_raw(w, buf_slice(&ch->supports));
        jw_array_end(w);
        jw_object_end(w);
    }
    jw_object_end(w);
}

static int put_end(struct gemini_writer *s, const struct codec_caller *c, struct buf *out)
{
    struct json_writer w;
    size_t n;
    jw_init_buf(&w, out);
    open_frame(s, c, &w);
    jw_object(&w);
    jw_member_array(&w, "candidates");
    for (const struct gemini_choice *ch = s->choices; ch; ch = ch->next)
        if (ch->finished)
            put_finish(&w, ch);
    jw_array_end(&w);
    gemini_write_usage(&w, &s->usage);
    put_names(s, c, &w);
    jw_object_end(&w);
    close_frame(c, &w);
    if (c->framing == CODEC_JSON_ARRAY)
        jw_raw(&w, SLICE_LIT("]"));
    return jw_finish(&w, &n);
}

static int status_of(enum dialect_fault f)
{
    switch (f) {
    case DIALECT_FAULT_INVALID_REQUEST:
    case DIALECT_FAULT_CONTEXT_LENGTH:
    case DIALECT_FAULT_CONTENT_POLICY:
        return 400;
    case DIALECT_FAULT_RATE_LIMIT:
    case DIALECT_FAULT_QUOTA:
        return 429;
    case DIALECT_FAULT_OVERLOADED:
        return 503;
    case DIALECT_FAULT_TIMEOUT:
        return 504;
    default:
        return 500;
    }
}

/* The array is closed behind an error: a reader that parses the whole finds it as the last
 * element. */
static int put_error(struct gemini_writer *s, const struct codec_caller *c,
                     const struct ir_event *ev, struct buf *out)
{
    struct json_writer w;
    size_t n;
    int status = status_of(ev->fault);
    jw_init_buf(&w, out);
    open_frame(s, c, &w);
    jw_object(&w);
    jw_member_object(&w, "error");
    jw_member_i64(&w, "code", status);
    ir_member(&w, "message", ev->text.s.n ? ev->text : IR_LIT("The model's provider failed."));
    jw_member_str(&w, "status", slice_str(gemini_error_type(status, NULL)));
    jw_object_end(&w);
    jw_object_end(&w);
    close_frame(c, &w);
    if (c->framing == CODEC_JSON_ARRAY)
        jw_raw(&w, SLICE_LIT("]"));
    return jw_finish(&w, &n);
}

static int write_part_event(struct gemini_writer *s, struct gemini_choice *ch,
                            const struct codec_caller *c, const struct ir_event *ev,
                            struct buf *out)
{
    switch (ev->kind) {
    case IR_EV_PART_START:
        return start_part(ch, ev);
    case IR_EV_DELTA:
        return put_delta(s, ch, c, ev, out);
    case IR_EV_SIGNATURE:
        if (!ev->appends)
            ch->signature.len = 0;
        return gather(&ch->signature, ev->text);
    case IR_EV_CITATION:
        return take_citation(ch, ev->citation);
    case IR_EV_PART_END:
        return end_part(s, ch, c, out);
    default:
        ch->finished = true;
        ch->finish = ev->finish;
        return 0;
    }
}

int gemini_write_event(void *state, const struct codec_caller *c, const struct ir_event *ev,
                       struct buf *out)
{
    struct gemini_writer *s = state;
    if (ev->usage && (ev->usage->flags & USAGE_PRESENT))
        s->usage = *ev->usage;
    switch (ev->kind) {
    case IR_EV_START:
        keep(&s->id, ev->id);
        keep(&s->model, ev->model);
        return 0;
    case IR_EV_USAGE:
    case IR_EV_PING:
        return 0;
    case IR_EV_ERROR:
        return put_error(s, c, ev, out);
    case IR_EV_END:
        return put_end(s, c, out);
    default:
        break;
    }
    struct gemini_choice *ch = find(s, ev->choice);
    return ch ? write_part_event(s, ch, c, ev, out) : -1;
}
