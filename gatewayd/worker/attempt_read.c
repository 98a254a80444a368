/*
 * attempt_read.c: reading a provider's answer: the socket, the head, a whole body. Events are
 * attempt_stream.c's.
 *
 * Reads go to the worker's scratch and are handled there; only an unfinished head, body or event is
 * kept in `in`. What the provider says is believed as far as it was checked: framing strictly
 * (http/), content by its dialect.
 */
#include "gatewayd/worker/attempt_read.h"

#include "common/check.h"
#include "gatewayd/dialect/relay.h"
#include "gatewayd/http/date.h"
#include "gatewayd/worker/attempt_opaque.h"
#include "gatewayd/worker/attempt_stream.h"

#include <stdlib.h>

enum {
    READS_PER_EVENT = 8,
    /* As much as a socket holds: the kernel's tcp_rmem allows 6 MiB. */
    READS_OF_THE_REST = 128,
    ERROR_BODY_MAX_BYTES = 1024 * 1024,
    DIRECT_READ_BYTES = 256 * 1024,
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

/* A page is what a proxy in between says, never an answer. */
static bool may_be_opaque(const struct attempt *a, struct slice type)
{
    const struct relay *relay = a->req->relay;
    return relay && (relay->raw || (relay->opaque && !media_is(type, SLICE_LIT("text/html"))));
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
    bool raw = a->req->relay && a->req->relay->raw;
    a->is_stream = !raw && media_is(type, slice_str(a->dialect->content_type_stream));
    bool json = !raw && media_is(type, SLICE_LIT("application/json"));
    if (raw)
        a->answer.usage.flags = USAGE_PRESENT | USAGE_ZERO;
    a->opaque = !a->is_stream && !json && may_be_opaque(a, type);
    if ((a->is_stream && !a->req->ask.stream) || (!a->is_stream && !json && !a->opaque)) {
        attempt_finish(a, END_MALFORMED, "unexpected content-type");
        return false;
    }
    a->answer_began = true;
    money_progress(&a->w->owner, &a->ticket, MONEY_SENT_ANSWER, NULL, 0);
    if (a->opaque)
        attempt_set_state(a, ATTEMPT_OPAQUE);
    else
        attempt_set_state(a, a->is_stream ? ATTEMPT_STREAM : ATTEMPT_WHOLE);
    return true;
}

/* Whoever asked for a stream waits for no silent provider, whatever form its answer has. A whole
 * answer that was asked for may take as long as it takes, within the model's timeout. */
static void arm_idle(struct attempt *a)
{
    worker_arm(a->w, &a->timer, a->last_read_us + a->cand->model->idle_timeout_us);
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
        attempt_stream_begin(a);
    else {
        a->first_byte_us = a->last_read_us;
        worker_cancel(a->w, &a->timer);
        if (a->req->ask.stream || a->opaque)
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

static void read_error(struct attempt *a, struct slice body)
{
    const struct dialect *d = a->dialect;
    struct json_doc *doc = &a->w->doc;
    struct slice name = http_fields_get(&a->res.fields, HTTP_H_X_AMZN_ERRORTYPE);
    a->fault = d->read_named_error && name.n ? d->read_named_error(doc, a->res.status, name, body)
                                             : d->read_error(doc, a->res.status, body);
    if (a->retry_after_us < 0 && d->read_retry_us)
        a->retry_after_us = d->read_retry_us(doc, body);
}

static void error_complete(struct attempt *a, struct slice body)
{
    struct json_doc *doc = &a->w->doc;
    read_error(a, body);
    if (!media_is(http_fields_get(&a->res.fields, HTTP_H_CONTENT_TYPE),
                  SLICE_LIT("application/json")))
        a->whole = slice_of(NULL, 0);
    else if (a->translation)
        a->whole =
            translation_error(a->translation, doc, a->req->dialect, a->res.status, a->fault, body);
    attempt_finish(a, classify(a), "");
}

/* InvokeModel tells the input's tokens in its head, as github.com/langchain-ai/langchain-aws reads
 * them; the bodies of some of its models don't. */
static void tell_head(struct attempt *a)
{
    uint64_t n;
    struct slice v = http_fields_get(&a->res.fields, HTTP_H_X_AMZN_BEDROCK_INPUT_TOKEN_COUNT);
    if (slice_to_u64(v, USAGE_MAX_TOKENS, &n) == 0)
        translation_head_tells(a->translation, (int64_t)n);
}

/* Of which the caller's answer says something, though the provider's didn't. */
static bool is_estimated(const struct attempt *a)
{
    enum dialect_op op = a->req->ask.op;
    return (op == DIALECT_EMBEDDINGS || op == DIALECT_RERANK) &&
           !(a->answer.usage.flags & USAGE_PRESENT);
}

static void answer_translated(struct attempt *a)
{
    struct slice dropped = translation_dropped(a->translation);
    worker_account(a->w, &a->translation_held, translation_bytes(a->translation));
    if (dropped.n > a->req->dropped.n)
        a->req->dropped = arena_dup(&a->req->arena, dropped);
}

/* NULL, or why it can't be passed on. */
static const char *read_whole(struct attempt *a, struct slice body)
{
    struct json_doc *doc = &a->w->doc;
    enum dialect_op op = a->req->ask.op;
    const char *why = NULL;
    if (a->translation) {
        tell_head(a);
        if (translation_response(a->translation, doc, body, a->in.max_bytes, &a->answer, &a->whole,
                                 &why) == 0)
            answer_translated(a);
        a->req->estimated = !why && is_estimated(a);
        return why;
    }
    if (op == DIALECT_COUNT_TOKENS) {
        a->answer.usage.flags = USAGE_PRESENT | USAGE_ZERO;
        return json_parse(doc, body.p, body.n) < 0 ? "the body is not JSON" : NULL;
    }
    if (a->dialect->read_response(doc, body, op, &a->answer) < 0)
        return "the body is no answer of the provider's dialect";
    /* Queued: what it costs is seen when it is through (req_objects.c). */
    if (a->req->ask.background && !(a->answer.usage.flags & USAGE_PRESENT))
        a->answer.usage.flags = USAGE_PRESENT | USAGE_ZERO;
    return NULL;
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
    attempt_record_object(a);
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
        attempt_stream_feed(a, p, n);
    else if (a->state == ATTEMPT_OPAQUE)
        attempt_opaque_feed(a, p, n);
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
    else if (st == IO_EOF && a->state == ATTEMPT_OPAQUE && http_body_eof(&a->body) == HTTP_BODY_END)
        attempt_opaque_closed(a);
    else if (st == IO_EOF && a->body.done)
        attempt_stream_closed(a);
    else
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
    if ((a->state == ATTEMPT_WHOLE && a->req->ask.stream) || a->state == ATTEMPT_OPAQUE)
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
