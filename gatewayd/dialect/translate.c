/*
 * translate.c: caller's codec, internal form, provider's codec, and back.
 */
#include "gatewayd/dialect/translate.h"

#include "gatewayd/dialect/meter.h"
#include "gatewayd/dialect/provenance.h"
#include "gatewayd/dialect/sequence.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ARENA_FIRST_BYTES = 8192,
    ARENA_MAX_BYTES = 128 << 20,
    DROPPED_MAX_BYTES = 1024,
    MESSAGE_MAX_BYTES = 4096,
    LEFT_OUT_CHOICES = 128, /* as many as any dialect can be asked for */
};

struct translation {
    const struct codec *caller, *provider;
    enum dialect_op op;
    struct arena arena; /* of the request's form */
    struct ir_request request;
    struct codec_caller as;
    int64_t head_tokens; /* of the input, as the answer's head says; -1: it doesn't */
    struct slice model;  /* upstream: what is said of it where the provider doesn't name it */
    struct buf body, dropped, answer;
    /* streams */
    struct dialect_stream *meter;
    struct sequence *sequence;
    void *reader, *writer;
    struct {
        uint32_t choice, part;
        bool open, redacted, tagged;
    } reasoning; /* the part of it that began last */
    /* What of the answer the caller's dialect has no place for. */
    struct {
        struct buf names;
        unsigned kinds;              /* told of so far, bits of enum ir_part_kind */
        bool open[LEFT_OUT_CHOICES]; /* by choice: its part that is open is left out */
    } left_out;
    struct buf *out; /* during a call */
    bool unwritten;  /* an event didn't fit */
    char first[ARENA_FIRST_BYTES] __attribute__((aligned(16)));
};

struct translation *translation_new(const struct codec *caller, const struct codec *provider,
                                    enum dialect_op op)
{
    struct translation *t = malloc(sizeof *t);
    if (!t)
        return NULL;
    memset(t, 0, offsetof(struct translation, first));
    t->caller = caller;
    t->provider = provider;
    t->op = op;
    t->head_tokens = -1;
    arena_init(&t->arena, t->first, sizeof t->first, ARENA_MAX_BYTES);
    buf_init(&t->body, 0);
    buf_init(&t->dropped, DROPPED_MAX_BYTES);
    buf_init(&t->answer, 0);
    buf_init(&t->left_out.names, DROPPED_MAX_BYTES);
    return t;
}

void translation_free(struct translation *t)
{
    if (!t)
        return;
    if (t->reader && t->provider->reader_fini)
        t->provider->reader_fini(t->reader);
    if (t->writer && t->caller->writer_fini)
        t->caller->writer_fini(t->writer);
    free(t->reader);
    free(t->writer);
    sequence_free(t->sequence);
    arena_reset(&t->arena);
    buf_release(&t->body);
    buf_release(&t->dropped);
    buf_release(&t->answer);
    buf_release(&t->left_out.names);
    free(t);
}

size_t translation_bytes(const struct translation *t)
{
    return sizeof *t + t->arena.used_bytes + t->body.cap + t->answer.cap;
}

/* ---- the request ---- */

static int too_large(struct dialect_refusal *why)
{
    snprintf(why->message, sizeof why->message,
             "The request is too large to be translated for this model's provider.");
    why->code = "request_too_complex";
    return -1;
}

/* Names of members are the caller's: nothing of them may end a header's line. */
static void make_printable(struct buf *b)
{
    for (size_t i = 0; i < b->len; i++)
        if (b->data[i] < 0x20 || b->data[i] >= 0x7f)
            b->data[i] = '?';
}

/* Room for what a text of n bytes usually becomes: a writer's growth copies what it has so far. */
static void make_room(struct buf *b, size_t n, size_t max_bytes)
{
    b->len = 0;
    b->max_bytes = max_bytes;
    if (buf_reserve(b, GW_MIN(n + n / 8 + 1024, max_bytes)) < 0)
        return; /* the writer will say so */
}

static int write_body(struct translation *t, const struct codec_target *target, size_t from_bytes,
                      size_t max_bytes, struct dialect_refusal *why)
{
    struct codec_target own = *target;
    own.dropped = &t->dropped;
    t->model = target->model;
    make_room(&t->body, from_bytes, max_bytes);
    int rc = t->provider->write_request(&t->request, &own, &t->body, why);
    make_printable(&t->dropped);
    return rc == 0 || why->message[0] ? rc : too_large(why);
}

int translation_request(struct translation *t, struct json_doc *scratch, struct slice body,
                        bool stream, const struct codec_target *target, size_t max_bytes,
                        struct dialect_refusal *why)
{
    memset(why, 0, sizeof *why);
    ir_request_init(&t->request, &t->arena, t->op);
    t->request.names = t->caller->fields;
    if (json_parse_once(scratch, body.p, body.n) < 0 ||
        json_type(scratch, JSON_ROOT) != JSON_OBJECT) {
        snprintf(why->message, sizeof why->message, "The body must be a JSON object.");
        return -1;
    }
    if (t->caller->read_request(scratch, &t->request, why) < 0)
        return why->message[0] ? -1 : too_large(why);
    t->request.stream = stream;
    if (ir_link_tools(&t->request, why) < 0)
        return -1;
    provenance_settle(&t->request, t->caller, t->provider, target->model, &t->dropped);
    if (ir_check_fields(&t->request, t->provider, &t->dropped, why) < 0)
        return -1;
    return write_body(t, target, body.n, max_bytes, why);
}

struct slice translation_body(const struct translation *t)
{
    return buf_slice(&t->body);
}

struct slice translation_dropped(const struct translation *t)
{
    return buf_slice(&t->dropped);
}

/* ---- what an answer has and the caller's dialect no place for ---- */

static bool has_place(const struct translation *t, enum ir_part_kind kind, bool is_base64)
{
    static const unsigned media =
        1u << IR_PART_IMAGE | 1u << IR_PART_AUDIO | 1u << IR_PART_VIDEO | 1u << IR_PART_FILE;
    unsigned bit = 1u << kind;
    return !(media & bit) || (is_base64 && t->caller->answer_media & bit);
}

/* Its name, the first time; {NULL} from then on. */
static struct slice leave_out(struct translation *t, enum ir_part_kind kind)
{
    static const char *const names[] = {[IR_PART_IMAGE] = "answer.image",
                                        [IR_PART_AUDIO] = "answer.audio",
                                        [IR_PART_VIDEO] = "answer.video",
                                        [IR_PART_FILE] = "answer.file"};
    if (t->left_out.kinds & 1u << kind)
        return slice_of(NULL, 0);
    t->left_out.kinds |= 1u << kind;
    return slice_str(names[kind]);
}

/* What was spoken is still told, where the provider wrote it down. */
static void leave_out_of(struct translation *t, struct ir_choice *c)
{
    for (struct ir_part *p, **at = &c->parts; (p = *at) != NULL;) {
        if (has_place(t, p->kind, p->source == IR_SOURCE_BASE64)) {
            at = &p->next;
            continue;
        }
        struct slice name = leave_out(t, p->kind);
        if (name.n)
            ir_list_name(&t->dropped, name);
        if (p->kind == IR_PART_AUDIO && p->text.s.n)
            p->kind = IR_PART_TEXT;
        else
            *at = p->next;
    }
}

/* The head has been sent: a comment is all that every reader of SSE passes over. */
static int tell_left_out(struct translation *t, struct slice name)
{
    if (!name.n)
        return 0;
    ir_list_name(&t->left_out.names, name);
    t->as.left_out = buf_slice(&t->left_out.names);
    return t->as.framing == CODEC_SSE
               ? buf_printf(t->out, ": x-gw-dropped: %.*s\n\n", SLICE_FMT(name))
               : 0;
}

/* Whether the event is of a part that the caller isn't given. */
static bool is_left_out(struct translation *t, const struct ir_event *ev)
{
    bool of_part = ev->kind == IR_EV_PART_START || ev->kind == IR_EV_DELTA ||
                   ev->kind == IR_EV_SIGNATURE || ev->kind == IR_EV_CITATION ||
                   ev->kind == IR_EV_PART_END;
    if (!of_part || ev->choice >= LEFT_OUT_CHOICES)
        return false;
    bool *open = &t->left_out.open[ev->choice];
    if (ev->kind == IR_EV_PART_START) {
        *open = !has_place(t, ev->part_kind, !ev->by_url);
        if (*open && tell_left_out(t, leave_out(t, ev->part_kind)) < 0)
            t->unwritten = true;
    }
    return *open;
}

/* ---- whole answers ---- */

void translation_answer_as(struct translation *t, const struct codec_caller *c)
{
    t->as = *c;
    t->as.request = &t->request;
}

void translation_head_tells(struct translation *t, int64_t input_tokens)
{
    t->head_tokens = input_tokens;
}

/* The figures of a count are its answer, not what it costs. */
static void take_meter(const struct translation *t, struct ir_response *r,
                       struct dialect_response *meter)
{
    if (!(r->usage.flags & (USAGE_PRESENT | USAGE_ODD)) && t->head_tokens >= 0) {
        r->usage.flags = USAGE_PRESENT;
        r->usage.input_tokens = t->head_tokens;
    }
    meter_take_response(r, slice_of(NULL, 0), meter);
    if (t->op == DIALECT_COUNT_TOKENS)
        meter->usage =
            (struct dialect_usage){.flags = USAGE_PRESENT | USAGE_ZERO, .total_tokens = -1};
}

int translation_response(struct translation *t, struct json_doc *scratch, struct slice body,
                         size_t max_bytes, struct dialect_response *meter, struct slice *out,
                         const char **why)
{
    struct arena arena;
    struct ir_response r;
    if (json_parse(scratch, body.p, body.n) < 0 || json_type(scratch, JSON_ROOT) != JSON_OBJECT) {
        *why = "the body is not a JSON object";
        return -1;
    }
    char mem[4096];
    arena_init(&arena, mem, sizeof mem, ARENA_MAX_BYTES);
    ir_response_init(&r, &arena, t->op);
    make_room(&t->answer, body.n, max_bytes);
    *why = NULL;
    if (t->provider->read_response(scratch, &r) < 0)
        *why = "the body is no answer of the provider's dialect";
    else {
        take_meter(t, &r, meter);
        provenance_mark(&r, t->provider, t->caller, t->model);
        for (struct ir_choice *c = r.choices; c; c = c->next)
            leave_out_of(t, c);
        if (!ir_has(r.model))
            r.model = ir_plain(t->model);
        if (r.fault == DIALECT_FAULT_NONE && t->caller->write_response(&r, &t->as, &t->answer) < 0)
            *why = "the answer can't be written in the caller's dialect";
    }
    *out = buf_slice(&t->answer);
    arena_reset(&arena);
    return *why ? -1 : 0;
}

/* ---- streams ---- */

static void write_event(void *ctx, const struct ir_event *ev)
{
    struct translation *t = ctx;
    if (!t->unwritten && !is_left_out(t, ev) &&
        t->caller->write_event(t->writer, &t->as, ev, t->out) < 0)
        t->unwritten = true;
}

/* Of a signature in pieces the first is tagged. */
static void mark_signature(struct translation *t, struct arena *a, struct ir_event *ev)
{
    bool tag = ev->maker != provenance_untagged(t->caller) && ev->maker != IR_MAKER_UNSAID;
    if (tag && ev->text.s.n && !(ev->appends && t->reasoning.tagged))
        ev->text = provenance_tag(a, ev->maker, ev->text, t->reasoning.redacted,
                                  t->caller->signature_is_bytes && !ev->appends);
    t->reasoning.tagged = tag;
}

static void mark_reasoning(struct translation *t, struct arena *a, struct ir_event *ev)
{
    if (ev->kind == IR_EV_PART_START && ev->part_kind == IR_PART_REASONING) {
        t->reasoning.open = true;
        t->reasoning.choice = ev->choice;
        t->reasoning.part = ev->part;
        t->reasoning.redacted = ev->redacted;
        t->reasoning.tagged = false;
    }
    if (!t->reasoning.open || ev->choice != t->reasoning.choice || ev->part != t->reasoning.part)
        return;
    if (ev->maker == IR_MAKER_UNSAID && t->provider->made_by)
        ev->maker = t->provider->made_by(t->model);
    if (ev->kind == IR_EV_SIGNATURE)
        mark_signature(t, a, ev);
}

static void take_event(void *ctx, const struct ir_event *ev)
{
    struct translation *t = ctx;
    struct ir_event own = *ev;
    struct arena arena;
    char mem[4096];
    meter_take_event(t->meter, ev);
    if (ev->kind == IR_EV_START && !ir_has(ev->model))
        own.model = ir_plain(t->model);
    arena_init(&arena, mem, sizeof mem, SEQUENCE_HELD_MAX_BYTES);
    mark_reasoning(t, &arena, &own);
    sequence_take(t->sequence, &own);
    arena_reset(&arena);
}

void translation_stream_init(struct translation *t, struct dialect_stream *meter)
{
    memset(meter, 0, sizeof *meter);
    meter->op = t->op;
    meter->usage.total_tokens = -1;
    t->meter = meter;
    t->sequence = sequence_new(write_event, t);
    t->reader = calloc(1, GW_MAX(t->provider->reader_bytes, (size_t)1));
    t->writer = calloc(1, GW_MAX(t->caller->writer_bytes, (size_t)1));
}

static const char *fault_of(const struct translation *t)
{
    if (t->unwritten)
        return "an event can't be written in the caller's dialect";
    return sequence_fault(t->sequence);
}

int translation_event(struct translation *t, struct json_doc *scratch, struct slice type,
                      struct slice data, struct buf *out, const char **why)
{
    if (!t->sequence || !t->reader || !t->writer) {
        *why = "out of memory";
        return -1;
    }
    t->out = out;
    t->meter->events++;
    bool is_json = json_parse(scratch, data.p, data.n) == 0;
    if (t->provider->read_event(t->reader, is_json ? scratch : NULL, type, data, take_event, t) <
        0) {
        t->meter->malformed++;
        *why = "an event can't be read";
        return -1;
    }
    *why = fault_of(t);
    return *why ? -1 : 0;
}

int translation_end(struct translation *t, struct buf *out)
{
    if (!t->sequence || !t->reader || !t->writer)
        return -1;
    t->out = out;
    if (t->provider->read_end && t->provider->read_end(t->reader, take_event, t) < 0)
        return -1;
    if (!sequence_ended(t->sequence) && !t->meter->failed)
        sequence_take(t->sequence, &(struct ir_event){.kind = IR_EV_END});
    return sequence_ended(t->sequence) && !fault_of(t) ? 0 : -1;
}

/* ---- errors ---- */

int translation_stream_error(struct translation *t, const struct dialect *caller,
                             const struct dialect_error *e, struct buf *out)
{
    if (t->caller->write_own_error && t->writer)
        return t->caller->write_own_error(t->writer, &t->as, e, out);
    return caller->write_stream_error(out, e);
}

/* What a validator lists: [{"loc","msg"}], alone or as `detail` (FastAPI, which Mistral and many
 * servers of one's own are built on). The first says enough. */
static uint32_t listed_in(const struct json_doc *d, uint32_t v)
{
    uint32_t list = json_type(d, v) == JSON_OBJECT ? json_get_lit(d, v, "detail") : v;
    bool some = json_type(d, list) == JSON_ARRAY && json_count(d, list);
    return some ? json_get_lit(d, list + 1, "msg") : list;
}

/* {"error":{"message"}} of OpenAI, Anthropic and Google (which may put it into an array),
 * {"error":"…"} of some servers, {"message"} of Amazon and Cohere,
 * {"message"} or {"detail"} that is a list. */
static uint32_t message_in(const struct json_doc *d)
{
    uint32_t root =
        json_type(d, JSON_ROOT) == JSON_ARRAY && json_count(d, JSON_ROOT) ? 1 : JSON_ROOT;
    uint32_t error = json_get_lit(d, root, "error");
    if (json_type(d, error) == JSON_STRING)
        return error;
    uint32_t message = json_get_lit(d, error == JSON_NONE ? root : error, "message");
    if (message == JSON_NONE)
        message = json_get_lit(d, root, "Message");
    if (message == JSON_NONE)
        message = json_get_lit(d, root, "detail");
    return json_type(d, message) == JSON_STRING ? message : listed_in(d, message);
}

struct slice translation_error(struct translation *t, struct json_doc *scratch,
                               const struct dialect *caller, int status, enum dialect_fault fault,
                               struct slice body)
{
    char message[MESSAGE_MAX_BYTES];
    size_t n;
    if (json_parse(scratch, body.p, body.n) < 0 ||
        json_str_decode(scratch, message_in(scratch), message, sizeof message, &n) < 0 || n == 0)
        return slice_of(NULL, 0);
    bool known = fault != DIALECT_FAULT_NONE && fault != DIALECT_FAULT_UNKNOWN;
    const char *code = known ? dialect_fault_name(fault) : NULL;
    struct dialect_error e = {.message = slice_of(message, n),
                              .type = caller->error_type(status, code),
                              .code = code,
                              .status = status,
                              .request_id = t->as.request_id};
    struct json_writer w;
    t->answer.len = 0;
    t->answer.max_bytes = 8 * MESSAGE_MAX_BYTES;
    jw_init_buf(&w, &t->answer);
    caller->write_error(&w, &e);
    return jw_finish(&w, &n) == 0 ? buf_slice(&t->answer) : slice_of(NULL, 0);
}
