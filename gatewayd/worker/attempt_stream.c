/*
 * attempt_stream.c: a provider's stream on its way to the client: events out of its framing, each
 * looked at by the dialect or translated, then sent on.
 *
 * Untouched events leave as one run of the bytes that came; what is changed, translated or reframed
 * is staged in the worker's buffer. Only the bytes of an unfinished event stay, in `in`.
 */
#include "gatewayd/worker/attempt_stream.h"

#include "common/check.h"
#include "gatewayd/worker/attempt_read.h"
#include "gatewayd/worker/bound.h"
#include "gatewayd/worker/req_answer.h"

enum {
    /* Of an unfinished event, whatever max_buffered says. */
    EVENT_SMALL_BYTES = 4096,
};

void attempt_stream_begin(struct attempt *a)
{
    if (a->dialect->framing == CODEC_EVENTSTREAM)
        eventstream_reader_init(&a->frames, EVENTSTREAM_MAX_MESSAGE_BYTES);
    else
        sse_reader_init(&a->sse, SSE_MAX_EVENT_BYTES);
    if (a->translation) {
        translation_stream_init(a->translation, &a->stream);
        return;
    }
    a->dialect->stream_init(&a->stream, a->req->ask.op, a->usage_injected);
    a->stream.model_alias = req_answer_alias(a->req);
}

/* Events on their way to the client: a run of untouched bytes, and, once something was cut, what
 * was staged. */
struct outgoing {
    struct buf *stage;
    const char *run;
    size_t run_n;
};

static bool out_flush_run(struct outgoing *o)
{
    bool ok = buf_append(o->stage, o->run, o->run_n) == 0;
    o->run_n = 0;
    return ok;
}

static bool out_pass(struct outgoing *o, struct slice raw)
{
    if (o->run_n && o->run + o->run_n != raw.p && !out_flush_run(o))
        return false;
    if (o->run_n == 0)
        o->run = raw.p;
    o->run_n += raw.n;
    return true;
}

/* What isn't data (id, event, retry, comments) stays as it came. */
static bool out_other_lines(struct outgoing *o, struct slice raw)
{
    bool ok = true;
    while (ok && raw.p) {
        struct slice line = slice_split(&raw, '\n');
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n && !slice_starts_with(line, SLICE_LIT("data")))
            ok = buf_append(o->stage, line.p, line.n) == 0 && buf_append(o->stage, "\n", 1) == 0;
    }
    return ok;
}

/* Data that was joined from several lines: written anew, a `data:` for each line. */
static bool out_rewrite_joined(struct outgoing *o, const struct sse_event *ev,
                               const struct splices *cuts)
{
    struct buf text;
    bool ok = out_flush_run(o);
    buf_init(&text, SSE_MAX_EVENT_BYTES * 2);
    ok = ok && out_other_lines(o, ev->raw) && splices_append(cuts, ev->data, &text) == 0;
    struct slice rest = buf_slice(&text);
    while (ok && rest.p) {
        struct slice line = slice_split(&rest, '\n');
        ok = buf_append(o->stage, "data: ", 6) == 0 && buf_append(o->stage, line.p, line.n) == 0 &&
             buf_append(o->stage, "\n", 1) == 0;
    }
    ok = ok && buf_append(o->stage, "\n", 1) == 0;
    buf_release(&text);
    return ok;
}

static bool out_rewrite(struct outgoing *o, const struct sse_event *ev, const struct splices *cuts)
{
    const char *raw_end = ev->raw.p + ev->raw.n;
    if (ev->data.p < ev->raw.p || ev->data.p + ev->data.n > raw_end)
        return out_rewrite_joined(o, ev, cuts);
    size_t before = (size_t)(ev->data.p - ev->raw.p);
    const char *behind = ev->data.p + ev->data.n;
    return out_flush_run(o) && buf_append(o->stage, ev->raw.p, before) == 0 &&
           splices_append(cuts, ev->data, o->stage) == 0 &&
           buf_append(o->stage, behind, (size_t)(raw_end - behind)) == 0;
}

/* Between events a translated stream keeps only that the provider is alive. */
static bool out_comment(struct attempt *a, struct outgoing *o, struct slice raw)
{
    const struct req *r = a->req;
    bool sse = r->dialect->framing == CODEC_SSE && !r->as_array;
    if (!a->translation && !r->as_array)
        return out_pass(o, raw);
    return !sse || raw.n == 0 || raw.p[0] != ':' || buf_append(o->stage, ":\n\n", 3) == 0;
}

static bool out_translated(struct attempt *a, struct outgoing *o, const struct sse_event *ev)
{
    size_t before = o->stage->len;
    bool ok = translation_event(a->translation, &a->w->doc, ev->type, ev->data, o->stage,
                                &a->stream_fault) == 0;
    a->data_seen |= o->stage->len > before;
    return ok;
}

/* An event as an element of an array. */
static bool out_element(struct attempt *a, struct outgoing *o, const struct sse_event *ev,
                        const struct splices *cuts)
{
    struct slice glue = a->stream.events == 1 ? SLICE_LIT("[") : SLICE_LIT(",\r\n");
    return buf_append(o->stage, glue.p, glue.n) == 0 &&
           splices_append(cuts, ev->data, o->stage) == 0;
}

static bool take_event(struct attempt *a, struct outgoing *o, const struct sse_event *ev)
{
    struct splices *cuts = &a->w->splices;
    if (!ev->data.p)
        return out_comment(a, o, ev->raw);
    if (!a->first_byte_us)
        a->first_byte_us = a->last_read_us;
    if (a->translation)
        return out_translated(a, o, ev);
    a->data_seen = true;
    enum dialect_verdict verdict =
        a->dialect->stream_event(&a->stream, &a->w->doc, ev->type, ev->data, cuts);
    if (a->req->as_array)
        return out_element(a, o, ev, cuts);
    if (verdict == DIALECT_DROP) {
        /* A line feed in front ends the event before: its CRLF came in two reads. */
        bool split = ev->raw.p[0] == '\n';
        return (!split || out_pass(o, slice_of(ev->raw.p, 1))) && out_flush_run(o);
    }
    if (verdict == DIALECT_REWRITE)
        return out_rewrite(o, ev, cuts);
    return out_pass(o, ev->raw);
}

/* A frame as an event. */
static enum sse_result next_frame(struct attempt *a, const char *p, size_t n, struct sse_event *ev)
{
    struct eventstream_message m;
    switch (eventstream_reader_next(&a->frames, p, n, &m)) {
    case EVENTSTREAM_MESSAGE:
        *ev = (struct sse_event){.raw = m.raw, .data = m.payload};
        ev->type = eventstream_event_type(&m, a->frame_type, sizeof a->frame_type);
        if (!ev->type.p) /* the name of an exception is longer than any that there is */
            ev->type = SLICE_LIT("exception:");
        return SSE_EVENT;
    case EVENTSTREAM_BAD:
        a->stream_fault = eventstream_fault_text(a->frames.fault);
        break;
    case EVENTSTREAM_MORE:
        break;
    }
    return SSE_MORE;
}

static enum sse_result next_event(struct attempt *a, const char *p, size_t n, struct sse_event *ev)
{
    if (a->dialect->framing == CODEC_EVENTSTREAM)
        return next_frame(a, p, n, ev);
    return sse_reader_next(&a->sse, p, n, ev);
}

/* An event that is too large is passed on unread: all of it counts as generated. */
static bool take_unread(struct attempt *a, struct outgoing *o, const struct sse_event *ev)
{
    a->stream.output_bytes += ev->raw.n;
    if (!a->translation && !a->req->as_array)
        return out_pass(o, ev->raw);
    a->stream_fault = "an event is too long to be translated";
    return false;
}

/* Takes whole events off p; returns how many bytes they are. */
static size_t take_events(struct attempt *a, struct outgoing *o, const char *p, size_t n, bool *ok)
{
    size_t used = 0;
    struct sse_event ev;
    *ok = true;
    while (*ok && !a->stream.done && !a->stream.failed) {
        enum sse_result res = next_event(a, p + used, n - used, &ev);
        if (res == SSE_MORE)
            break;
        *ok = res == SSE_PASS ? take_unread(a, o, &ev) : take_event(a, o, &ev);
        used += ev.raw.n;
    }
    *ok = *ok && !a->stream_fault;
    return used;
}

static void note_progress(struct attempt *a)
{
    int64_t usage[LEDGER_USAGE_MAX];
    if ((a->stream.usage.flags & (USAGE_PRESENT | USAGE_PARTIAL)) == USAGE_PRESENT)
        bound_from_usage(&a->stream.usage, usage);
    else
        bound_counted(a->reserved_usage, a->stream.output_bytes, usage);
    money_progress(&a->w->owner, &a->ticket, MONEY_SENT_ANSWER, usage, 0);
}

void attempt_pause_if_slow(struct attempt *a)
{
    struct conn *c = a->req->conn;
    size_t pending = c ? conn_pending(c) : 0;
    /* With max_buffered reached nobody may lag behind any further. */
    if (pending < WORKER_OUT_HIGH_BYTES && (pending == 0 || worker_may_buffer(a->w, 0)))
        return;
    a->paused = true;
    uconn_want_read(a->uc, false);
    worker_cancel(a->w, &a->timer); /* the client's own deadline counts while it holds us up */
}

/* Before the first event with data nothing may reach the client: keep-alive comments are held back.
 */
static bool hold_back(struct attempt *a, struct slice out)
{
    return !a->data_seen && buf_append(&a->held, out.p, out.n) == 0;
}

static bool send_on(struct attempt *a, struct slice out, bool last)
{
    struct req *r = a->req;
    bool ok = a->held.len == 0 || req_answer_stream(r, buf_slice(&a->held));
    a->held.len = 0;
    r->inside_event = a->sse.passing;
    if (last)
        return ok && req_answer_stream_end(r, out);
    return ok && (out.n == 0 || req_answer_stream(r, out));
}

static bool out_bytes(struct outgoing *o, struct slice *out)
{
    bool ok = o->stage->len == 0 || out_flush_run(o);
    *out = o->stage->len == 0 ? slice_of(o->run, o->run_n) : buf_slice(o->stage);
    return ok;
}

enum stream_turn { STREAM_GOES_ON, STREAM_COMPLETE, STREAM_FAILED, STREAM_CUT };

static enum stream_turn turn_of(const struct attempt *a)
{
    if (a->stream.failed)
        return STREAM_FAILED;
    if (a->stream.done || (a->body.done && a->stream.finished))
        return STREAM_COMPLETE;
    return a->body.done ? STREAM_CUT : STREAM_GOES_ON;
}

static void stream_out(struct attempt *a, struct outgoing *o)
{
    struct req *r = a->req;
    attempt_record_object(a);
    if (a->counting)
        return;
    enum stream_turn turn = turn_of(a);
    if (turn == STREAM_COMPLETE && r->as_array && !a->translation &&
        buf_append(o->stage, "]", 1) < 0)
        turn = STREAM_CUT;
    bool committed = r->bytes_to_client > 0;
    /* An error before anything went out is another try's chance. */
    bool silent = !committed && (turn == STREAM_FAILED || turn == STREAM_CUT);
    struct slice out;
    bool ok = true;
    if (!out_bytes(o, &out)) {
        attempt_finish(a, END_NO_BUFFER, "out of memory");
        return;
    }
    if (turn == STREAM_COMPLETE)
        ok = send_on(a, out, true);
    else if (!silent && !hold_back(a, out))
        ok = send_on(a, out, false);
    note_progress(a);
    if (turn == STREAM_COMPLETE)
        attempt_finish(a, END_ANSWERED, "");
    else if (turn == STREAM_FAILED) {
        r->error_passed_on = committed;
        attempt_finish(a, END_STREAM_ERROR, dialect_fault_name(a->stream.fault));
    } else if (turn == STREAM_CUT)
        attempt_finish(a, END_CUT, "the stream ended without its terminator");
    else if (!ok)
        a->counting = true; /* attempt_on_readable goes on with attempt_cancel */
    else
        attempt_pause_if_slow(a);
}

/* The body is through and these bytes lack the blank line that ends an event. They are taken for
 * one only if they can be read and the stream is complete with them: a cut one's error event must
 * not be glued to them. */
static void take_unfinished(struct attempt *a, struct outgoing *o, const char *p, size_t n)
{
    struct outgoing before = *o;
    size_t staged = o->stage->len;
    struct sse_event ev;
    uint32_t malformed = a->stream.malformed;
    if (a->body.done && !a->stream.done && !a->stream.failed && a->dialect->framing == CODEC_SSE &&
        sse_reader_finish(&a->sse, p, n, &ev) == SSE_EVENT && take_event(a, o, &ev) &&
        turn_of(a) == STREAM_COMPLETE && a->stream.malformed == malformed)
        return;
    *o = before;
    o->stage->len = staged;
}

/* With max_buffered reached only a small event still waits for its end; of a larger one the client
 * gets what there is. */
static size_t take_what_has_no_room(struct attempt *a, struct outgoing *o, const char *p, size_t n,
                                    bool *ok)
{
    struct sse_event ev;
    size_t more = n - GW_MIN(n, a->in_held);
    if (n <= EVENT_SMALL_BYTES || worker_may_buffer(a->w, more) ||
        a->dialect->framing != CODEC_SSE || sse_reader_give_up(&a->sse, p, n, &ev) != SSE_PASS)
        return 0;
    *ok = take_unread(a, o, &ev);
    return n;
}

static void account_unfinished(struct attempt *a)
{
    if (a->in.cap > EVENT_SMALL_BYTES && a->in.cap / 2 > a->in.len)
        buf_trim(&a->in);
    worker_account(a->w, &a->in_held, a->in.cap);
}

/* The provider's side is through: what the caller's dialect still owes its end. */
static void end_translation(struct attempt *a, struct outgoing *o)
{
    size_t staged = o->stage->len;
    if (!a->translation || !a->body.done || a->stream.done || a->stream.failed)
        return;
    if (translation_end(a->translation, o->stage) == 0)
        a->stream.done = true;
    else {
        a->stream.finished = false;
        o->stage->len = staged;
    }
}

static void fail_stream(struct attempt *a)
{
    attempt_finish(a, END_MALFORMED, a->stream_fault ? a->stream_fault : "an event is too long");
}

void attempt_stream_feed(struct attempt *a, char *p, size_t n)
{
    size_t n_data = n, n_used = n;
    enum http_body_step step = http_body_compact(&a->body, p, n, &n_data, &n_used);
    struct outgoing o = {.stage = &a->w->stage};
    const char *from = p;
    bool ok, kept = a->in.len > 0;
    a->poisoned |= step == HTTP_BODY_END && n_used < n;
    if (kept) {
        if (buf_append(&a->in, p, n_data) < 0) {
            attempt_finish(a, END_MALFORMED, "an event is too long");
            return;
        }
        from = a->in.data;
        n_data = a->in.len;
    }
    o.stage->len = 0;
    size_t used = take_events(a, &o, from, n_data, &ok);
    if (ok && step == HTTP_BODY_MORE)
        used += take_what_has_no_room(a, &o, from + used, n_data - used, &ok);
    if (!ok) {
        fail_stream(a);
        return;
    }
    if (a->stream.events > 0)
        worker_arm(a->w, &a->timer, clock_mono_us() + a->cand->model->idle_timeout_us);
    if (step == HTTP_BODY_BAD) {
        attempt_finish(a, END_CUT, http_body_reason(&a->body));
        return;
    }
    take_unfinished(a, &o, from + used, n_data - used);
    end_translation(a, &o);
    bool over = turn_of(a) != STREAM_GOES_ON;
    /* stream_out may end the request and free nothing before the loop turn is over: `from` stays
     * valid in it. */
    if (!over && !kept && used < n_data && buf_append(&a->in, from + used, n_data - used) < 0) {
        attempt_finish(a, END_MALFORMED, "an event is too long");
        return;
    }
    stream_out(a, &o);
    if (!over && kept && a->state == ATTEMPT_STREAM)
        buf_consume(&a->in, used);
    if (a->state == ATTEMPT_STREAM)
        account_unfinished(a);
}

void attempt_stream_closed(struct attempt *a)
{
    struct outgoing o = {.stage = &a->w->stage};
    o.stage->len = 0;
    take_unfinished(a, &o, a->in.data, a->in.len);
    end_translation(a, &o);
    stream_out(a, &o);
}
