/*
 * bedrock_stream.c: the events of ConverseStream, read and written.
 *
 * messageStart, for each block contentBlockStart (of tools and images alone: texts begin with their
 * first delta), contentBlockDelta, contentBlockStop, then messageStop and metadata, which ends the
 * stream. The type of an event is its frame's :event-type; of an exception "exception:" and its
 * :exception-type, of an unmodeled error "error:" and its :error-code.
 */
#include "gatewayd/dialect/bedrock.h"

#include "gatewayd/http/eventstream.h"

/* ---- reading ---- */

enum { OPEN_BLOCKS_MAX = 32 };

struct reader {
    struct {
        int64_t index; /* contentBlockIndex */
        uint32_t part;
        enum ir_part_kind kind;
        bool skipped; /* a block of a kind that is passed over */
    } open[OPEN_BLOCKS_MAX];
    uint32_t n_open, n_parts;
    bool started, finished, ended;
    struct dialect_usage usage;
};

_Static_assert(sizeof(struct reader) <= BEDROCK_READER_BYTES, "room of the reader's state");

struct sink {
    struct reader *r;
    const struct json_doc *d;
    ir_sink_fn fn;
    void *ctx;
};

static void emit(const struct sink *s, const struct ir_event *ev)
{
    s->fn(s->ctx, ev);
}

static void start(const struct sink *s)
{
    if (s->r->started)
        return;
    s->r->started = true;
    emit(s, &(struct ir_event){.kind = IR_EV_START});
}

static int block_index(const struct sink *s, int64_t *out)
{
    uint32_t v = json_get_lit(s->d, JSON_ROOT, "contentBlockIndex");
    return json_i64(s->d, v, out) < 0 || *out < 0 ? -1 : 0;
}

static uint32_t find(const struct reader *r, int64_t index)
{
    uint32_t i = 0;
    while (i < r->n_open && r->open[i].index != index)
        i++;
    return i;
}

static void close_at(struct reader *r, uint32_t i)
{
    r->open[i] = r->open[--r->n_open];
}

/* Begins a part for a block; ev has what the kind needs. -1: too many are open. */
static int begin(const struct sink *s, int64_t index, struct ir_event *ev)
{
    struct reader *r = s->r;
    if (r->n_open == OPEN_BLOCKS_MAX)
        return -1;
    ev->kind = IR_EV_PART_START;
    ev->part = r->n_parts++;
    r->open[r->n_open].index = index;
    r->open[r->n_open].part = ev->part;
    r->open[r->n_open].kind = ev->part_kind;
    r->open[r->n_open++].skipped = false;
    start(s);
    emit(s, ev);
    return 0;
}

static int skip(struct reader *r, int64_t index)
{
    if (r->n_open == OPEN_BLOCKS_MAX)
        return -1;
    r->open[r->n_open].index = index;
    r->open[r->n_open++].skipped = true;
    return 0;
}

static int read_block_start(const struct sink *s)
{
    uint32_t begun = json_get_lit(s->d, JSON_ROOT, "start");
    uint32_t tool = json_get_lit(s->d, begun, "toolUse");
    uint32_t image = json_get_lit(s->d, begun, "image");
    struct ir_event ev = {.part_kind = IR_PART_TOOL_CALL};
    int64_t index;
    if (block_index(s, &index) < 0 || find(s->r, index) < s->r->n_open)
        return -1;
    if (json_type(s->d, image) == JSON_OBJECT) {
        ev.part_kind = IR_PART_IMAGE;
        ev.media_type = bedrock_image_type(s->d, json_get_lit(s->d, image, "format"));
        return begin(s, index, &ev);
    }
    if (json_type(s->d, tool) != JSON_OBJECT || json_get_lit(s->d, tool, "type") != JSON_NONE)
        return skip(s->r, index);
    ev.call_id = ir_text_of(s->d, json_get_lit(s->d, tool, "toolUseId"));
    ev.name = ir_text_of(s->d, json_get_lit(s->d, tool, "name"));
    return ir_has(ev.name) ? begin(s, index, &ev) : -1;
}

/* Begins the part if this is its block's first delta. A block that goes on as another kind is
 * ended first: a part is of one kind. -1: it can't begin. */
static int ensure(const struct sink *s, int64_t index, enum ir_part_kind kind, bool redacted,
                  uint32_t *part)
{
    uint32_t i = find(s->r, index);
    struct ir_event ev = {.part_kind = kind, .redacted = redacted};
    if (i < s->r->n_open && s->r->open[i].kind != kind) {
        emit(s, &(struct ir_event){.kind = IR_EV_PART_END, .part = s->r->open[i].part});
        close_at(s->r, i);
        i = s->r->n_open;
    }
    if (i == s->r->n_open && (kind == IR_PART_TOOL_CALL || begin(s, index, &ev) < 0))
        return -1;
    *part = s->r->open[i].part;
    return 0;
}

static int delta(const struct sink *s, int64_t index, enum ir_part_kind kind, uint32_t text)
{
    struct ir_event ev = {.kind = IR_EV_DELTA, .text = ir_text_of(s->d, text)};
    if (!ir_has(ev.text) || ensure(s, index, kind, false, &ev.part) < 0)
        return -1;
    emit(s, &ev);
    return 0;
}

static int read_reasoning(const struct sink *s, int64_t index, uint32_t v)
{
    uint32_t text = json_get_lit(s->d, v, "text"), sig = json_get_lit(s->d, v, "signature");
    uint32_t redacted = json_get_lit(s->d, v, "redactedContent");
    struct ir_event ev = {.kind = IR_EV_SIGNATURE, .appends = true};
    if (json_type(s->d, text) == JSON_STRING)
        return delta(s, index, IR_PART_REASONING, text);
    ev.text = ir_text_of(s->d, json_type(s->d, sig) == JSON_STRING ? sig : redacted);
    if (!ir_has(ev.text))
        return 0;
    if (ensure(s, index, IR_PART_REASONING, json_type(s->d, sig) != JSON_STRING, &ev.part) < 0)
        return -1;
    emit(s, &ev);
    return 0;
}

static int read_citation(const struct sink *s, int64_t index, uint32_t v)
{
    struct ir_citation c;
    struct ir_event ev = {.kind = IR_EV_CITATION, .citation = &c};
    bedrock_read_citation(s->d, v, &c);
    if (ensure(s, index, IR_PART_TEXT, false, &ev.part) < 0)
        return -1;
    emit(s, &ev);
    return 0;
}

static int read_delta(const struct sink *s)
{
    const struct json_doc *d = s->d;
    uint32_t v = json_get_lit(d, JSON_ROOT, "delta");
    int64_t index;
    if (block_index(s, &index) < 0)
        return -1;
    uint32_t i = find(s->r, index);
    if (i < s->r->n_open && s->r->open[i].skipped)
        return 0;
    json_foreach_member(d, v, k)
    {
        if (json_str_eq_lit(d, k, "text"))
            return delta(s, index, IR_PART_TEXT, k + 1);
        if (json_str_eq_lit(d, k, "toolUse"))
            return delta(s, index, IR_PART_TOOL_CALL, json_get_lit(d, k + 1, "input"));
        if (json_str_eq_lit(d, k, "reasoningContent"))
            return read_reasoning(s, index, k + 1);
        if (json_str_eq_lit(d, k, "citation"))
            return read_citation(s, index, k + 1);
        if (json_str_eq_lit(d, k, "image")) {
            uint32_t source = json_get_lit(d, k + 1, "source");
            return delta(s, index, IR_PART_IMAGE, json_get_lit(d, source, "bytes"));
        }
    }
    return 0;
}

static int read_block_stop(const struct sink *s)
{
    int64_t index;
    if (block_index(s, &index) < 0)
        return -1;
    uint32_t i = find(s->r, index);
    if (i == s->r->n_open) /* it had neither start nor delta */
        return 0;
    if (!s->r->open[i].skipped)
        emit(s, &(struct ir_event){.kind = IR_EV_PART_END, .part = s->r->open[i].part});
    close_at(s->r, i);
    return 0;
}

static int read_message_stop(const struct sink *s)
{
    const struct json_doc *d = s->d;
    struct ir_event ev = {
        .kind = IR_EV_FINISH,
        .finish = bedrock_finish(d, json_get_lit(d, JSON_ROOT, "stopReason")),
        .stop_sequence =
            bedrock_stop_sequence(d, json_get_lit(d, JSON_ROOT, "additionalModelResponseFields")),
    };
    if (ev.finish == IR_FINISH_NONE)
        return -1;
    s->r->finished = true;
    start(s);
    emit(s, &ev);
    return 0;
}

static int read_metadata(const struct sink *s)
{
    struct reader *r = s->r;
    r->usage.total_tokens = -1;
    bedrock_read_usage(s->d, json_get_lit(s->d, JSON_ROOT, "usage"), &r->usage);
    start(s);
    if (r->usage.flags)
        emit(s, &(struct ir_event){.kind = IR_EV_USAGE, .usage = &r->usage});
    if (!r->finished || r->ended)
        return 0;
    r->ended = true;
    emit(s, &(struct ir_event){.kind = IR_EV_END});
    return 0;
}

static int read_exception(const struct sink *s, struct slice name)
{
    struct ir_event ev = {.kind = IR_EV_ERROR};
    if (s->d)
        ev.text = ir_text_of(s->d, json_get_lit(s->d, JSON_ROOT, "message"));
    ev.fault = bedrock_fault(name, ev.text.s, 0);
    if (!ir_has(ev.text))
        ev.text = ir_plain(name);
    emit(s, &ev);
    return 0;
}

int bedrock_read_event(void *state, const struct json_doc *d, struct slice type, struct slice data,
                       ir_sink_fn fn, void *ctx)
{
    struct sink s = {state, d, fn, ctx};
    static const struct {
        struct slice type;
        int (*read)(const struct sink *s);
    } events[] = {
        {SLICE_LIT("contentBlockDelta"), read_delta},
        {SLICE_LIT("contentBlockStart"), read_block_start},
        {SLICE_LIT("contentBlockStop"), read_block_stop},
        {SLICE_LIT("messageStop"), read_message_stop},
        {SLICE_LIT("metadata"), read_metadata},
    };
    struct slice name = type, prefix = slice_split(&name, ':');
    if (name.p && (slice_eq_str(prefix, "exception") || slice_eq_str(prefix, "error")))
        return read_exception(&s, name);
    if (!d || json_type(d, JSON_ROOT) != JSON_OBJECT)
        return -1;
    if (slice_eq_str(type, "messageStart"))
        start(&s);
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (slice_eq(type, events[i].type))
            return events[i].read(&s);
    return 0;
}

/* A stream that has its messageStop but no metadata is complete; what it used isn't known. */
int bedrock_read_end(void *state, ir_sink_fn fn, void *ctx)
{
    struct reader *r = state;
    if (!r->finished)
        return -1;
    if (!r->ended)
        fn(ctx, &(struct ir_event){.kind = IR_EV_END});
    r->ended = true;
    return 0;
}

/* ---- writing ---- */

struct writer {
    uint32_t n_blocks; /* begun */
    enum ir_part_kind kind;
    bool redacted;
    bool has_delta;       /* of the open block */
    struct buf signature; /* comes in one piece, at the block's end */
    bool signature_escaped;
    struct dialect_usage usage;
};

_Static_assert(sizeof(struct writer) <= BEDROCK_WRITER_BYTES, "room of the writer's state");

enum { SIGNATURE_MAX_BYTES = 1 << 20 };

void bedrock_writer_fini(void *state)
{
    buf_release(&((struct writer *)state)->signature);
}

struct frame {
    struct eventstream_frame f;
    struct json_writer w;
    struct buf *out;
};

static int open_frame(struct frame *f, struct buf *out, struct slice type)
{
    f->out = out;
    if (eventstream_begin_event(out, type, &f->f) < 0)
        return -1;
    jw_init_buf(&f->w, out);
    jw_object(&f->w);
    return 0;
}

static int close_frame(struct frame *f)
{
    size_t n;
    jw_object_end(&f->w);
    if (jw_finish(&f->w, &n) < 0) {
        f->out->len = f->f.start;
        return -1;
    }
    return eventstream_end(f->out, &f->f);
}

static void write_index(struct frame *f, const struct writer *s)
{
    jw_member_i64(&f->w, "contentBlockIndex", s->n_blocks - 1);
}

static int write_start(struct buf *out)
{
    struct frame f;
    if (open_frame(&f, out, SLICE_LIT("messageStart")) < 0)
        return -1;
    jw_member_str(&f.w, "role", SLICE_LIT("assistant"));
    return close_frame(&f);
}

static int write_part_start(struct writer *s, const struct ir_event *ev, struct buf *out)
{
    struct frame f;
    s->n_blocks++;
    s->kind = ev->part_kind;
    s->redacted = ev->redacted;
    s->has_delta = false;
    s->signature.max_bytes = SIGNATURE_MAX_BYTES;
    s->signature.len = 0;
    if (s->kind != IR_PART_TOOL_CALL && s->kind != IR_PART_IMAGE)
        return 0;
    if (open_frame(&f, out, SLICE_LIT("contentBlockStart")) < 0)
        return -1;
    jw_member_object(&f.w, "start");
    if (s->kind == IR_PART_IMAGE) {
        const char *format = bedrock_format(IR_PART_IMAGE, ev->media_type);
        jw_member_object(&f.w, "image");
        jw_member_str(&f.w, "format", slice_str(format ? format : "png"));
    } else {
        jw_member_object(&f.w, "toolUse");
        jw_key_plain(&f.w, SLICE_LIT("toolUseId"));
        ir_write_signed_id(&f.w, ev->call_id, ev->signature);
        ir_member(&f.w, "name", ev->name);
    }
    jw_object_end(&f.w);
    jw_object_end(&f.w);
    write_index(&f, s);
    return close_frame(&f);
}

/* One delta of text, arguments, reasoning or an image. */
static int write_text_delta(struct writer *s, struct ir_text text, struct buf *out)
{
    struct frame f;
    s->has_delta = true;
    if (open_frame(&f, out, SLICE_LIT("contentBlockDelta")) < 0)
        return -1;
    jw_member_object(&f.w, "delta");
    switch (s->kind) {
    case IR_PART_TOOL_CALL:
        jw_member_object(&f.w, "toolUse");
        ir_member(&f.w, "input", text);
        jw_object_end(&f.w);
        break;
    case IR_PART_REASONING:
        jw_member_object(&f.w, "reasoningContent");
        ir_member(&f.w, "text", text);
        jw_object_end(&f.w);
        break;
    case IR_PART_IMAGE:
        jw_member_object(&f.w, "image");
        jw_member_object(&f.w, "source");
        ir_member(&f.w, "bytes", text);
        jw_object_end(&f.w);
        jw_object_end(&f.w);
        break;
    default:
        ir_member(&f.w, "text", text);
        break;
    }
    jw_object_end(&f.w);
    write_index(&f, s);
    return close_frame(&f);
}

/* An escaped piece may follow a plain one: what is plain in JSON needs no escape. */
static int take_signature(struct writer *s, const struct ir_event *ev)
{
    if (!ev->appends)
        s->signature.len = 0;
    if (s->signature.len == 0) {
        s->signature_escaped = false;
        if (buf_append(&s->signature, "\"", 1) < 0)
            return -1;
    }
    s->signature_escaped |= ev->text.escaped;
    return buf_append(&s->signature, ev->text.s.p, ev->text.s.n);
}

static int write_signature(struct writer *s, struct buf *out)
{
    struct frame f;
    struct ir_text text = {slice_of(s->signature.data + 1, s->signature.len - 1),
                           s->signature_escaped};
    if (open_frame(&f, out, SLICE_LIT("contentBlockDelta")) < 0)
        return -1;
    jw_member_object(&f.w, "delta");
    jw_member_object(&f.w, "reasoningContent");
    jw_key_plain(&f.w, s->redacted ? SLICE_LIT("redactedContent") : SLICE_LIT("signature"));
    ir_write_str(&f.w, text);
    jw_object_end(&f.w);
    jw_object_end(&f.w);
    write_index(&f, s);
    s->has_delta = true;
    return close_frame(&f);
}

static int write_cited(struct writer *s, const struct ir_event *ev, struct buf *out)
{
    struct frame f;
    s->has_delta = true;
    if (open_frame(&f, out, SLICE_LIT("contentBlockDelta")) < 0)
        return -1;
    jw_member_object(&f.w, "delta");
    jw_key_plain(&f.w, SLICE_LIT("citation"));
    bedrock_write_citation(&f.w, ev->citation);
    jw_object_end(&f.w);
    write_index(&f, s);
    return close_frame(&f);
}

static int write_part_end(struct writer *s, struct buf *out)
{
    struct frame f;
    if (s->signature.len && s->kind == IR_PART_REASONING && write_signature(s, out) < 0)
        return -1;
    /* A block of text begins with its first delta, so it must have one. */
    if (!s->has_delta && s->kind != IR_PART_IMAGE && write_text_delta(s, IR_LIT(""), out) < 0)
        return -1;
    s->signature.len = 0;
    if (open_frame(&f, out, SLICE_LIT("contentBlockStop")) < 0)
        return -1;
    write_index(&f, s);
    return close_frame(&f);
}

static int write_finish(const struct codec_caller *c, const struct ir_event *ev, struct buf *out)
{
    struct frame f;
    if (open_frame(&f, out, SLICE_LIT("messageStop")) < 0)
        return -1;
    jw_member_str(&f.w, "stopReason", slice_str(bedrock_stop_reason(ev->finish)));
    bedrock_write_more(&f.w, ev->stop_sequence, c->left_out);
    return close_frame(&f);
}

static int write_end(const struct writer *s, struct buf *out)
{
    struct frame f;
    if (open_frame(&f, out, SLICE_LIT("metadata")) < 0)
        return -1;
    bedrock_write_usage(&f.w, &s->usage);
    jw_member_object(&f.w, "metrics");
    jw_member_i64(&f.w, "latencyMs", 0);
    jw_object_end(&f.w);
    return close_frame(&f);
}

static struct slice exception_of(enum dialect_fault fault)
{
    switch (fault) {
    case DIALECT_FAULT_RATE_LIMIT:
    case DIALECT_FAULT_QUOTA:
        return SLICE_LIT("throttlingException");
    case DIALECT_FAULT_OVERLOADED:
        return SLICE_LIT("serviceUnavailableException");
    case DIALECT_FAULT_INVALID_REQUEST:
    case DIALECT_FAULT_CONTEXT_LENGTH:
    case DIALECT_FAULT_CONTENT_POLICY:
        return SLICE_LIT("validationException");
    case DIALECT_FAULT_TIMEOUT:
        return SLICE_LIT("modelStreamErrorException");
    default:
        return SLICE_LIT("internalServerException");
    }
}

/* The format has one answer: events of further choices say nothing. */
int bedrock_write_event(void *state, const struct codec_caller *c, const struct ir_event *ev,
                        struct buf *out)
{
    struct writer *s = state;
    if (ev->usage)
        s->usage = *ev->usage;
    if (ev->choice != 0)
        return 0;
    switch (ev->kind) {
    case IR_EV_START:
        return write_start(out);
    case IR_EV_PART_START:
        return write_part_start(s, ev, out);
    case IR_EV_DELTA:
        return ev->text.s.n ? write_text_delta(s, ev->text, out) : 0;
    case IR_EV_SIGNATURE:
        return s->kind == IR_PART_REASONING ? take_signature(s, ev) : 0;
    case IR_EV_CITATION:
        return write_cited(s, ev, out);
    case IR_EV_PART_END:
        return write_part_end(s, out);
    case IR_EV_FINISH:
        return write_finish(c, ev, out);
    case IR_EV_ERROR:
        return bedrock_write_exception(out, exception_of(ev->fault), ev->text);
    case IR_EV_END:
        return write_end(s, out);
    case IR_EV_USAGE:
    case IR_EV_PING:
        return 0;
    }
    return 0;
}
