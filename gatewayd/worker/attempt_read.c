/*
 * attempt_read.c: reading a provider's answer: head, whole body, or events.
 *
 * Reads go to the worker's scratch and are handled there; only an unfinished head, body or event is
 * kept in `in`. What the provider says is believed as far as it was checked: framing strictly
 * (http/), content by its dialect.
 */
#include "gatewayd/worker/attempt_read.h"

#include "common/check.h"
#include "gatewayd/http/date.h"
#include "gatewayd/worker/bound.h"
#include "gatewayd/worker/req_answer.h"

#include <stdlib.h>

enum {
    READS_PER_EVENT = 8,
    /* As much as a socket holds: the kernel's tcp_rmem allows 6 MiB. */
    READS_OF_THE_REST = 128,
    ERROR_BODY_MAX_BYTES = 1024 * 1024,
    DIRECT_READ_BYTES = 256 * 1024,
    /* Of an unfinished event, whatever max_buffered says. */
    EVENT_SMALL_BYTES = 4096,
};

/* ---- head ---- */

static bool media_is(struct slice content_type, struct slice want)
{
    struct slice media = slice_trim(slice_split(&content_type, ';'));
    return slice_ieq(media, want);
}

/* Seconds or an HTTP date (RFC 9110 section 10.2.3); OpenAI and Anthropic also send retry-after-ms.
 */
static int64_t retry_after_us(const struct http_fields *f)
{
    uint64_t v;
    if (slice_to_u64(http_fields_get(f, HTTP_H_RETRY_AFTER_MS), 86400000, &v) == 0)
        return (int64_t)v * 1000;
    struct slice text = http_fields_get(f, HTTP_H_RETRY_AFTER);
    if (slice_to_u64(text, 864000, &v) == 0)
        return (int64_t)v * 1000000;
    int64_t at_us;
    if (text.n && http_date_parse(text, &at_us) == 0)
        return GW_MAX(at_us - clock_wall_us(), (int64_t)0);
    return -1;
}

static void keep_head(struct attempt *a, size_t head_len)
{
    a->head_copy = gw_xmalloc(head_len);
    memcpy(a->head_copy, a->res.fields.base, head_len);
    a->res.fields.base = a->head_copy;
    struct slice id = http_fields_get(&a->res.fields, HTTP_H_X_REQUEST_ID);
    if (!id.p)
        id = http_fields_get(&a->res.fields, HTTP_H_REQUEST_ID);
    if (id.n <= 128)
        a->upstream_request_id = id;
}

/* Which way the body goes; false when the answer is not one to this request. */
static bool choose_way(struct attempt *a)
{
    const struct http_fields *f = &a->res.fields;
    struct slice type = http_fields_get(f, HTTP_H_CONTENT_TYPE);
    struct slice coding = http_fields_get(f, HTTP_H_CONTENT_ENCODING);
    if (coding.n && !slice_ieq(coding, SLICE_LIT("identity"))) {
        attempt_finish(a, END_MALFORMED, "content-encoding was not asked for");
        return false;
    }
    if (a->res.status < 200 || (a->res.status >= 300 && a->res.status < 400)) {
        attempt_finish(a, END_MALFORMED, "redirects and upgrades are not followed");
        return false;
    }
    if (a->res.status >= 300) {
        attempt_set_state(a, ATTEMPT_WHOLE);
        return true;
    }
    a->is_stream = media_is(type, slice_str(a->dialect->content_type_stream));
    if ((a->is_stream && !a->req->ask.stream) ||
        (!a->is_stream && !media_is(type, SLICE_LIT("application/json")))) {
        attempt_finish(a, END_MALFORMED, "unexpected content-type");
        return false;
    }
    a->answer_began = true;
    money_progress(&a->w->owner, &a->ticket, MONEY_SENT_ANSWER, NULL, 0);
    attempt_set_state(a, a->is_stream ? ATTEMPT_STREAM : ATTEMPT_WHOLE);
    return true;
}

/* Whoever asked for a stream waits for no silent provider, whatever form its answer has. A whole
 * answer that was asked for may take as long as it takes, within the model's timeout. */
static void arm_idle(struct attempt *a)
{
    worker_arm(a->w, &a->timer, a->last_read_us + a->cand->model->idle_timeout_us);
}

static void begin_stream(struct attempt *a)
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

/* Returns how much of p was the head, 0 if more is needed or the attempt has ended. */
static size_t feed_head(struct attempt *a, const char *p, size_t n)
{
    struct http_error err;
    size_t body_at;
    switch (
        http_response_read(&a->reader, p, n, &a->snap->limits, false, &a->res, &body_at, &err)) {
    case HTTP_STEP_MORE:
        return 0;
    case HTTP_STEP_BAD:
        attempt_finish(a, END_MALFORMED, err.reason);
        return 0;
    case HTTP_STEP_DONE:
        break;
    }
    a->head_seen = true;
    keep_head(a, (size_t)(p + body_at - a->res.fields.base));
    a->retry_after_us = retry_after_us(&a->res.fields);
    http_body_init(&a->body, a->res.framing, a->res.content_length, true);
    if (!choose_way(a))
        return 0;
    if (a->is_stream)
        begin_stream(a);
    else {
        a->first_byte_us = a->last_read_us;
        worker_cancel(a->w, &a->timer);
        if (a->req->ask.stream)
            arm_idle(a);
    }
    return body_at;
}

/* ---- whole answers ---- */

static enum attempt_end classify(const struct attempt *a)
{
    enum attempt_end end = outcome_of_status(a->res.status);
    /* The account behind the credential is spent: not a matter of waiting, and not the caller's. */
    bool spent = a->res.status == 402 || a->fault == DIALECT_FAULT_QUOTA;
    if (end == END_CALLER_ERROR && (spent || a->fault == DIALECT_FAULT_INVALID_KEY))
        return END_CREDENTIAL_REFUSED;
    return a->res.status == 429 && spent ? END_CREDENTIAL_REFUSED : end;
}

static void error_complete(struct attempt *a, struct slice body)
{
    struct json_doc *doc = &a->w->doc;
    a->fault = a->dialect->read_error(doc, a->res.status, body);
    if (!media_is(http_fields_get(&a->res.fields, HTTP_H_CONTENT_TYPE),
                  SLICE_LIT("application/json")))
        a->whole = slice_of(NULL, 0);
    else if (a->translation)
        a->whole =
            translation_error(a->translation, doc, a->req->dialect, a->res.status, a->fault, body);
    attempt_finish(a, classify(a), "");
}

/* NULL, or why it can't be passed on. */
static const char *read_whole(struct attempt *a, struct slice body)
{
    struct json_doc *doc = &a->w->doc;
    enum dialect_op op = a->req->ask.op;
    const char *why = NULL;
    if (a->translation) {
        if (translation_response(a->translation, doc, body, a->in.max_bytes, &a->answer, &a->whole,
                                 &why) == 0)
            worker_account(a->w, &a->translation_held, translation_bytes(a->translation));
        return why;
    }
    if (op == DIALECT_COUNT_TOKENS) {
        a->answer.usage.flags = USAGE_PRESENT | USAGE_ZERO;
        return json_parse(doc, body.p, body.n) < 0 ? "the body is not JSON" : NULL;
    }
    return a->dialect->read_response(doc, body, op, &a->answer) < 0
               ? "the body is no answer of the provider's dialect"
               : NULL;
}

static void whole_complete(struct attempt *a, struct slice body)
{
    a->whole = body;
    if (a->res.status >= 300) {
        error_complete(a, body);
        return;
    }
    const char *why = read_whole(a, body);
    if (why) {
        attempt_finish(a, END_MALFORMED, why);
        return;
    }
    a->answer_read = true;
    a->fault = a->answer.fault;
    if (a->fault != DIALECT_FAULT_NONE)
        attempt_finish(a, END_STREAM_ERROR, "an error object in a 2xx answer");
    else
        attempt_finish(a, END_ANSWERED, "");
}

static bool keep_whole(struct attempt *a, struct slice data)
{
    size_t max = a->res.status >= 300 ? ERROR_BODY_MAX_BYTES : a->in.max_bytes;
    if (data.n > max - GW_MIN(max, a->in.len)) {
        attempt_finish(a, END_MALFORMED, "the answer is larger than max_response");
        return false;
    }
    if (!worker_may_buffer(a->w, data.n) || buf_append(&a->in, data.p, data.n) < 0) {
        attempt_finish(a, END_NO_BUFFER, "max_buffered is reached");
        return false;
    }
    worker_account(a->w, &a->in_held, a->in.cap);
    return true;
}

static void whole_end(struct attempt *a, struct slice body, size_t left_over)
{
    if (left_over > 0) {
        a->poisoned = true;
        attempt_finish(a, END_MALFORMED, "bytes after the end of the answer");
        return;
    }
    whole_complete(a, body);
}

/* The whole body in one read needs no copy. */
static bool whole_at_once(struct attempt *a, const char *p, size_t n)
{
    if (a->in.len > 0 || a->body.kind != HTTP_BODY_LENGTH || a->body.left > n || a->body.done)
        return false;
    struct slice body = slice_of(p, (size_t)a->body.left);
    const char *at = p;
    struct slice data;
    while (!a->body.done)
        (void)http_body_step(&a->body, &at, p + n, &data);
    whole_end(a, body, n - body.n);
    return true;
}

static void feed_whole(struct attempt *a, const char *p, size_t n)
{
    const char *at = p, *end = p + n;
    struct slice data;
    if (whole_at_once(a, p, n))
        return;
    for (;;) {
        switch (http_body_step(&a->body, &at, end, &data)) {
        case HTTP_BODY_DATA:
            if (!keep_whole(a, data))
                return;
            break;
        case HTTP_BODY_MORE:
            return;
        case HTTP_BODY_END:
            whole_end(a, buf_slice(&a->in), (size_t)(end - at));
            return;
        case HTTP_BODY_BAD:
            attempt_finish(a, END_MALFORMED, http_body_reason(&a->body));
            return;
        }
    }
}

/* ---- streams ---- */

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

static void pause_if_slow(struct attempt *a)
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
        pause_if_slow(a);
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

/* p is the worker's scratch: the framing is taken out in place. */
static void feed_stream(struct attempt *a, char *p, size_t n)
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

/* ---- the socket ---- */

static void feed_tail(struct attempt *a, const char *p, size_t n)
{
    const char *at = p, *end = p + n;
    struct slice data;
    enum http_body_step step = http_body_step(&a->body, &at, end, &data);
    if (step == HTTP_BODY_END)
        attempt_end_tail(a, at == end);
    else if (step != HTTP_BODY_MORE)
        attempt_end_tail(a, false);
}

static void feed_body(struct attempt *a, char *p, size_t n)
{
    if (a->state == ATTEMPT_WHOLE)
        feed_whole(a, p, n);
    else if (a->state == ATTEMPT_STREAM)
        feed_stream(a, p, n);
}

static void feed_waiting_head(struct attempt *a, char *p, size_t n)
{
    bool kept = a->in.len > 0;
    if (kept && buf_append(&a->in, p, n) < 0) {
        attempt_finish(a, END_MALFORMED, "the head is too long");
        return;
    }
    const char *from = kept ? a->in.data : p;
    size_t have = kept ? a->in.len : n;
    size_t used = feed_head(a, from, have);
    if (attempt_is_over(a))
        return;
    if (used == 0) {
        if (!kept && buf_append(&a->in, p, n) < 0)
            attempt_finish(a, END_MALFORMED, "the head is too long");
        return;
    }
    /* What is behind the head lies at the end of this read, in the scratch. */
    size_t behind = have - used;
    a->in.len = 0;
    feed_body(a, p + n - behind, behind);
}

/* Large bodies of known length are read to where they stay. */
static bool direct_room(struct attempt *a, char **p, size_t *room)
{
    if (a->state != ATTEMPT_WHOLE || a->body.kind != HTTP_BODY_LENGTH || a->in.len == 0)
        return false;
    size_t want = (size_t)GW_MIN(a->body.left + 1, (uint64_t)DIRECT_READ_BYTES);
    if (a->res.status >= 300 || !worker_may_buffer(a->w, want) || buf_reserve(&a->in, want) < 0)
        return false;
    worker_account(a->w, &a->in_held, a->in.cap);
    *p = a->in.data + a->in.len;
    *room = want;
    return true;
}

static void feed_direct(struct attempt *a, const char *p, size_t n)
{
    const char *at = p, *end = p + n;
    struct slice data;
    while (at < end && http_body_step(&a->body, &at, end, &data) == HTTP_BODY_DATA)
        a->in.len += data.n;
    if (a->body.done)
        whole_end(a, buf_slice(&a->in), (size_t)(end - at));
}

static void connection_ended(struct attempt *a, enum io_status st)
{
    char reason[sizeof a->why];
    io_reason(&a->uc->io, reason, sizeof reason);
    if (a->state == ATTEMPT_TAIL)
        attempt_end_tail(a, false);
    else if (!a->head_seen)
        attempt_finish(a, a->sent ? END_LOST : END_CONNECT_FAILED,
                       st == IO_EOF ? "closed" : reason);
    else if (st == IO_EOF && http_body_eof(&a->body) == HTTP_BODY_END && a->state == ATTEMPT_WHOLE)
        whole_complete(a, buf_slice(&a->in));
    else if (st == IO_EOF && a->body.done) {
        struct outgoing o = {.stage = &a->w->stage};
        o.stage->len = 0;
        take_unfinished(a, &o, a->in.data, a->in.len);
        end_translation(a, &o);
        stream_out(a, &o);
    } else
        attempt_finish(a, END_CUT, st == IO_EOF ? "closed inside the answer" : reason);
}

static void feed(struct attempt *a, char *p, size_t n)
{
    if (a->state == ATTEMPT_TAIL)
        feed_tail(a, p, n);
    else if (a->state == ATTEMPT_SEND || a->state == ATTEMPT_HEAD)
        feed_waiting_head(a, p, n);
    else
        feed_body(a, p, n);
}

static bool read_once(struct attempt *a, bool *full)
{
    char *p = a->w->scratch;
    size_t room = WORKER_SCRATCH_BYTES, n;
    bool direct = direct_room(a, &p, &room);
    enum io_status st = io_read(&a->uc->io, p, room, &n);
    if (st == IO_WANT_READ || st == IO_WANT_WRITE) {
        if (st == IO_WANT_WRITE)
            uconn_want_write(a->uc, true);
        return false;
    }
    if (st != IO_OK) {
        connection_ended(a, st);
        return false;
    }
    a->last_read_us = clock_mono_us();
    if (a->state == ATTEMPT_WHOLE && a->req->ask.stream)
        arm_idle(a);
    *full = n == room;
    if (direct)
        feed_direct(a, p, n);
    else
        feed(a, p, n);
    return true;
}

void attempt_count_rest(struct attempt *a)
{
    bool full = true;
    a->counting = true;
    for (int i = 0; i < READS_OF_THE_REST && (full || io_has_buffered(&a->uc->io)); i++)
        if (!read_once(a, &full) || attempt_is_over(a) || a->stream.done || a->stream.failed)
            return;
}

void attempt_on_readable(struct attempt *a)
{
    bool full = false;
    for (int i = 0; i < READS_PER_EVENT; i++) {
        bool more = read_once(a, &full);
        if (a->counting && !attempt_is_over(a)) {
            attempt_cancel(a);
            return;
        }
        if (!more || a->state == ATTEMPT_ENDED || a->paused || !a->uc ||
            (!full && !io_has_buffered(&a->uc->io)))
            return;
    }
    if (io_has_buffered(&a->uc->io))
        uconn_read_soon(a->uc);
}
