/*
 * meter.c: usage, finish, id, model and size of an answer out of the internal form.
 */
#include "gatewayd/dialect/meter.h"

#include "common/check.h"

#include <stdlib.h>

enum { RESPONSE_ARENA_MAX_BYTES = 64 << 20 };

static void take_name(struct ir_text t, struct dialect_name *out)
{
    char mem[4 * DIALECT_NAME_BYTES];
    struct arena scratch;
    if (!ir_has(t) || out->n)
        return;
    arena_init(&scratch, mem, sizeof mem, sizeof mem);
    struct slice plain = ir_decode(&scratch, t);
    if (plain.p && plain.n <= DIALECT_NAME_BYTES) {
        out->n = (uint8_t)plain.n;
        memcpy(out->s, plain.p, plain.n);
    }
    arena_reset(&scratch);
}

static void take_finish(enum ir_finish f, struct dialect_name *out)
{
    if (f != IR_FINISH_NONE && out->n == 0)
        take_name(ir_plain(slice_str(ir_finish_name(f))), out);
}

/* The string token that t is the inside of, with its quotes; false where t doesn't lie in `in`. */
static bool span_in(struct slice in, struct ir_text t, struct dialect_span *out)
{
    if (!ir_has(t) || !in.p || t.s.p <= in.p || t.s.p + t.s.n >= in.p + in.n)
        return false;
    out->off = (uint32_t)(t.s.p - in.p) - 1;
    out->end = out->off + (uint32_t)t.s.n + 2;
    return true;
}

/* ---- whole answers ---- */

static uint64_t part_bytes(const struct ir_part *p)
{
    return ir_text_bytes(p->text) + ir_text_bytes(p->name) + ir_text_bytes(p->arguments);
}

void meter_take_response(const struct ir_response *r, struct slice body,
                         struct dialect_response *out)
{
    memset(out, 0, sizeof *out);
    out->usage = r->usage;
    out->fault = r->fault;
    take_name(r->id, &out->id);
    take_name(r->model, &out->model);
    (void)span_in(body, r->model, &out->model_value);
    for (const struct ir_choice *c = r->choices; c; c = c->next) {
        out->choices++;
        take_finish(c->finish, &out->finish_reason);
        for (const struct ir_part *p = c->parts; p; p = p->next)
            out->output_bytes += part_bytes(p);
    }
}

int meter_response(const struct codec *c, struct json_doc *scratch, struct slice body,
                   enum dialect_op op, struct dialect_response *out)
{
    char mem[4096];
    struct arena arena;
    struct ir_response r;
    if (json_parse(scratch, body.p, body.n) < 0 || json_type(scratch, JSON_ROOT) != JSON_OBJECT)
        return -1;
    arena_init(&arena, mem, sizeof mem, RESPONSE_ARENA_MAX_BYTES);
    ir_response_init(&r, &arena, op);
    int rc = c->read_response(scratch, &r);
    if (rc == 0)
        meter_take_response(&r, body, out);
    arena_reset(&arena);
    return rc;
}

/* ---- streams ---- */

void meter_stream_init(struct dialect_stream *s, const struct codec *c, enum dialect_op op)
{
    memset(s, 0, sizeof *s);
    s->op = op;
    s->codec = c;
    s->usage.total_tokens = -1;
    s->reader = gw_xcalloc(1, GW_MAX(c->reader_bytes, (size_t)1));
}

void meter_stream_fini(struct dialect_stream *s)
{
    if (s->reader && s->codec->reader_fini)
        s->codec->reader_fini(s->reader);
    free(s->reader);
    s->reader = NULL;
}

/* Figures that are said before a finish may grow: a stream that is cut behind them was billed for
 * more. Those of a START never are the whole bill. */
static void take_usage(struct dialect_stream *s, const struct ir_event *ev)
{
    if (ev->usage) {
        s->usage = *ev->usage;
        s->usage_counts = ev->kind != IR_EV_START;
    }
    if (s->usage_counts && s->finished)
        s->usage.flags &= ~(unsigned)USAGE_PARTIAL;
    else if (s->usage.flags & USAGE_PRESENT)
        s->usage.flags |= USAGE_PARTIAL;
}

void meter_take_event(struct dialect_stream *s, const struct ir_event *ev)
{
    switch (ev->kind) {
    case IR_EV_START:
        take_name(ev->id, &s->id);
        take_name(ev->model, &s->model);
        s->created_s = ev->created_s;
        break;
    case IR_EV_PART_START:
        s->output_bytes += ir_text_bytes(ev->name);
        break;
    case IR_EV_DELTA:
        s->output_bytes += ir_text_bytes(ev->text);
        break;
    case IR_EV_FINISH:
        s->finished = true;
        take_finish(ev->finish, &s->finish_reason);
        break;
    case IR_EV_ERROR:
        s->failed = true;
        s->fault = ev->fault;
        break;
    case IR_EV_END:
        s->done = true;
        break;
    default:
        break;
    }
    take_usage(s, ev);
}

struct metered {
    struct dialect_stream *stream;
    struct slice data;
    struct dialect_span model;
};

static void take(void *ctx, const struct ir_event *ev)
{
    struct metered *m = ctx;
    if (ev->kind == IR_EV_START)
        (void)span_in(m->data, ev->model, &m->model);
    meter_take_event(m->stream, ev);
}

enum dialect_verdict meter_stream_event(struct dialect_stream *s, struct json_doc *scratch,
                                        struct slice event, struct slice data, struct splices *cuts)
{
    struct metered m = {.stream = s, .data = data};
    splices_reset(cuts);
    s->events++;
    bool is_json = json_parse(scratch, data.p, data.n) == 0;
    if (s->codec->read_event(s->reader, is_json ? scratch : NULL, event, data, take, &m) < 0)
        s->malformed++;
    if (m.model.end && s->model_alias.n && !s->failed &&
        splices_add(cuts, m.model.off, m.model.end - m.model.off, s->model_alias) == 0)
        return DIALECT_REWRITE;
    return DIALECT_PASS;
}
