/*
 * req_answer.c: answers on their way to the client, and what follows a failed try.
 *
 * A whole answer is sent in one piece once it is complete. A stream's head goes out with its first
 * event, so that until then a failure can still be another try. No stream that was cut ever gets a
 * proper end.
 */
#include "gatewayd/worker/req_answer.h"

#include "common/check.h"
#include "gatewayd/dialect/relay.h"
#include "gatewayd/worker/attempt.h"
#include "gatewayd/worker/headwriter.h"
#include "gatewayd/worker/reply.h"
#include "gatewayd/worker/req_objects.h"
#include "gatewayd/worker/req_route.h"

#include <stdlib.h>

enum {
    CONTENT_TYPE_MAX_BYTES = 256,
    /* Of the Responses API it repeats the answer so far. */
    LAST_EVENT_MAX_BYTES = 64 << 20,
};

static void pass_back(struct headwriter *h, const struct attempt *a, enum http_header_id id)
{
    struct slice v = http_fields_get(&a->res.fields, id);
    if (v.n && v.n <= 256)
        headwriter_field(h, http_header_name(id), v);
}

/* Of the provider's answer, what the client may see. Everything else stays here. */
static struct slice answer_extra(const struct attempt *a, char *mem, size_t cap)
{
    const struct dialect *d = a->req->dialect;
    struct headwriter h;
    headwriter_init(&h, mem, cap);
    if (d->tells_processing_ms)
        pass_back(&h, a, HTTP_H_OPENAI_PROCESSING_MS);
    pass_back(&h, a, HTTP_H_CONTENT_DISPOSITION);
    if (d->error_type_field && a->res.status >= 400)
        headwriter_field(&h, slice_str(d->error_type_field),
                         slice_str(d->error_type(a->res.status, NULL)));
    return slice_of(mem, (size_t)(h.at - mem));
}

/* ---- whole answers ---- */

static void count_sent(struct req *r, int64_t bytes)
{
    if (r->bytes_to_client == 0)
        r->first_byte_us = clock_mono_us();
    r->bytes_to_client += bytes;
}

struct slice req_answer_alias(struct req *r)
{
    char mem[DIALECT_NAME_BYTES * 6 + 2];
    struct json_writer w;
    size_t n;
    if (r->model->response_model != CONF_RESPONSE_MODEL_ALIAS)
        return slice_of(NULL, 0);
    jw_init_fixed(&w, mem, sizeof mem);
    jw_str(&w, dialect_name_slice(&r->ask.model));
    return jw_finish(&w, &n) == 0 ? arena_dup(&r->arena, slice_of(mem, n)) : slice_of(NULL, 0);
}

static int alias_model(struct req *r, const struct attempt *a, struct iovec iov[3])
{
    struct dialect_span at = a->answer.model_value;
    struct slice alias = at.end ? req_answer_alias(r) : slice_of(NULL, 0);
    if (alias.n == 0) {
        iov[0] = (struct iovec){(void *)a->whole.p, a->whole.n};
        return 1;
    }
    iov[0] = (struct iovec){(void *)a->whole.p, at.off};
    iov[1] = (struct iovec){(void *)alias.p, alias.n};
    iov[2] = (struct iovec){(void *)(a->whole.p + at.end), a->whole.n - at.end};
    return 3;
}

static void send_whole(struct req *r, int status)
{
    const struct attempt *a = r->attempt;
    char mem[REPLY_HEAD_BYTES], extra[512];
    struct iovec iov[4];
    int n_iov = 1 + alias_model(r, a, iov + 1);
    size_t total = 0;
    for (int i = 1; i < n_iov; i++)
        total += iov[i].iov_len;
    struct slice type = a->translation ? SLICE_LIT("application/json")
                                       : http_fields_get(&a->res.fields, HTTP_H_CONTENT_TYPE);
    struct reply_head rh = {
        .status = status,
        .content_type = type.n <= CONTENT_TYPE_MAX_BYTES ? type : SLICE_LIT("application/json"),
        .framing = REPLY_LENGTH,
        .length = total,
        .extra = answer_extra(a, extra, sizeof extra),
    };
    struct slice head = reply_write_head(r, &rh, mem);
    if (gw_fails(head.n > 0)) {
        req_fail(r, 500, "internal_error", "the answer's head is too long");
        return;
    }
    iov[0] = (struct iovec){(void *)head.p, head.n};
    r->status = status;
    r->answer_complete = conn_send(r->conn, iov, n_iov);
    count_sent(r, (int64_t)(head.n + total));
    req_set_state(r, REQ_SETTLE);
}

/* ---- streams ---- */

static struct slice stream_type(const struct req *r)
{
    if (r->as_array)
        return SLICE_LIT("application/json; charset=utf-8");
    if (r->dialect->framing == CODEC_SSE)
        return SLICE_LIT("text/event-stream; charset=utf-8");
    return slice_str(r->dialect->content_type_stream);
}

/* Where the provider said the length of an opaque answer, the client is told it as well. */
static void opaque_head(const struct attempt *a, struct reply_head *rh, struct slice fields)
{
    struct slice type = http_fields_get(&a->res.fields, HTTP_H_CONTENT_TYPE);
    rh->content_type = type.n <= CONTENT_TYPE_MAX_BYTES ? type : slice_of(NULL, 0);
    rh->extra = fields;
    a->req->by_length = a->res.framing == HTTP_BODY_LENGTH;
    if (a->req->by_length) {
        rh->framing = REPLY_LENGTH;
        rh->length = a->res.content_length;
    }
}

static struct slice stream_head(struct req *r, char mem[REPLY_HEAD_BYTES])
{
    char extra[640];
    struct slice fields = answer_extra(r->attempt, extra, 512);
    static const struct slice no_cache = SLICE_LIT("cache-control: no-cache\r\n");
    memcpy(extra + fields.n, no_cache.p, no_cache.n);
    struct reply_head rh = {
        .status = r->attempt->res.status,
        .content_type = stream_type(r),
        .framing = r->http10 ? REPLY_UNTIL_CLOSE : REPLY_CHUNKED,
        .extra = slice_of(extra, fields.n + no_cache.n),
    };
    if (r->attempt->opaque)
        opaque_head(r->attempt, &rh, fields);
    r->status = rh.status;
    return reply_write_head(r, &rh, mem);
}

static bool send_stream(struct req *r, struct slice data, bool last)
{
    char mem[REPLY_HEAD_BYTES], size[HTTP_CHUNK_HEADER_BYTES];
    struct iovec iov[4];
    int n = 0;
    size_t total = 0;
    if (!r->streamed) {
        struct slice head = stream_head(r, mem);
        if (gw_fails(head.n > 0))
            return false;
        iov[n++] = (struct iovec){(void *)head.p, head.n};
        r->streamed = true;
        if (r->state == REQ_WAIT_HEAD)
            req_set_state(r, REQ_STREAM);
    }
    bool chunked = !r->http10 && !r->by_length;
    if (data.n && chunked)
        iov[n++] = (struct iovec){size, http_chunk_header(size, data.n)};
    if (data.n)
        iov[n++] = (struct iovec){(void *)data.p, data.n};
    static const char mid[] = "\r\n", end[] = "\r\n" HTTP_CHUNKED_END,
                      bare_end[] = HTTP_CHUNKED_END;
    if (chunked && data.n)
        iov[n++] =
            last ? (struct iovec){(void *)end, sizeof end - 1} : (struct iovec){(void *)mid, 2};
    else if (chunked && last)
        iov[n++] = (struct iovec){(void *)bare_end, sizeof bare_end - 1};
    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    count_sent(r, (int64_t)total);
    return n == 0 || conn_send(r->conn, iov, n);
}

bool req_answer_stream(struct req *r, struct slice events)
{
    return r->conn && send_stream(r, events, false);
}

void req_answer_ping(struct req *r)
{
    struct buf b;
    buf_init(&b, 256);
    if (r->as_array)
        (void)req_answer_stream(r, SLICE_LIT("\n"));
    else if (!r->dialect->write_ping)
        (void)req_answer_stream(r, SLICE_LIT(":\n\n"));
    else if (r->dialect->write_ping(&b) == 0)
        (void)req_answer_stream(r, buf_slice(&b));
    buf_release(&b);
}

bool req_answer_stream_end(struct req *r, struct slice last)
{
    if (!r->conn || !send_stream(r, last, true))
        return false;
    r->answer_complete = true;
    return true;
}

/* The next element of an array that won't be closed. */
static int write_array_error(struct buf *b, const struct dialect *d, const struct dialect_error *e)
{
    struct json_writer w;
    size_t n;
    if (buf_append(b, ",\r\n", 3) < 0)
        return -1;
    jw_init_buf(&w, b);
    d->write_error(&w, e);
    return jw_finish(&w, &n);
}

/* The event that tells of a failure is made while the attempt stands: it may depend on what of the
 * stream has been sent. */
static void prepare_last_event(struct req *r, const struct attempt *a)
{
    struct buf *b = &r->last_event;
    struct dialect_error e = {.message = slice_str(r->detail),
                              .type = r->dialect->error_type(r->fail_status, r->code),
                              .code = r->code,
                              .status = r->fail_status,
                              .request_id = slice_str(r->id_text),
                              .stream = a->translation ? NULL : &a->stream};
    buf_init(b, LAST_EVENT_MAX_BYTES);
    if (a->opaque)
        return;
    /* An event that was cut ends as a broken one, so that ours isn't part of it. */
    int rc = r->inside_event ? buf_append(b, "\n\n", 2) : 0;
    if (rc == 0 && r->as_array)
        rc = write_array_error(b, r->dialect, &e);
    else if (rc == 0)
        rc = a->translation ? translation_stream_error(a->translation, r->dialect, &e, b)
                            : r->dialect->write_stream_error(b, &e);
    if (rc < 0)
        b->len = 0;
}

/* ---- after a failure ---- */

/* Own status, code and text for an end that the client gets to see. Names no host and no
 * credential. */
static void fail_with(struct req *r, const struct attempt *a)
{
    switch (a->end) {
    case END_NO_ADDRESS:
    case END_CONNECT_FAILED:
    case END_PROXY_FAILED:
    case END_TLS_FAILED:
    case END_NO_CONNECTION:
        req_fail(r, 502, "upstream_unreachable", "the provider can't be reached (%s)",
                 attempt_end_text(a->end));
        break;
    case END_CONNECT_TIMEOUT:
    case END_FIRST_BYTE_TIMEOUT:
    case END_IDLE_TIMEOUT:
    case END_TOTAL_TIMEOUT:
    case END_CLIENT_GONE_WHOLE: /* it had shut its sending side, and may be there all the same */
        req_fail(r, 504, "upstream_timeout", "the provider did not answer in time (%s)",
                 attempt_end_text(a->end));
        break;
    case END_CREDENTIAL_REFUSED:
        req_fail(r, 502, "upstream_auth", "the provider refused the gateway's credential");
        break;
    case END_ERROR_ANSWER:
        req_fail(r, 502, "upstream_error", "the provider answered with an error (status %d)",
                 a->res.status);
        break;
    case END_CUT:
    case END_STREAM_ERROR:
        req_fail(r, 502, "upstream_cut", "the provider's answer ended before it was complete (%s)",
                 attempt_end_text(a->end));
        break;
    case END_NO_SOCKET:
    case END_NO_BUFFER:
        req_fail(r, 503, "overloaded", "the gateway has %s, try again", attempt_end_text(a->end));
        break;
    case END_DRAINED:
        req_fail(r, 503, "draining", "the gateway is shutting down");
        break;
    default:
        req_fail(r, 502, "upstream_invalid_response", "the provider's answer is not valid (%s)",
                 attempt_end_text(a->end));
        break;
    }
}

/* Several tries, none of them answered. */
static void fail_exhausted(struct req *r)
{
    if (r->n_rate_limited > 0 && r->n_rate_limited == r->n_failed) {
        req_fail(r, 429, "upstream_rate_limited",
                 "every target of this model is rate-limited by its provider");
        return;
    }
    r->min_retry_after_us = -1;
    req_fail(r, 503, "no_healthy_target", "no target of this model could answer (%u tried)",
             r->n_failed);
}

void req_answer_exhausted(struct req *r)
{
    if (r->n_failed == 0 && r->refusal) {
        r->param = r->refusal->param;
        req_fail(r, 400, r->refusal->code ? r->refusal->code : "invalid_request", "%s",
                 r->refusal->message);
        return;
    }
    if (r->n_failed == 0 && r->n_tokenless > 0) {
        req_fail(r, 503, "upstream_credential_unavailable",
                 "the gateway has no valid access token for the provider at the moment, try again");
        return;
    }
    if (r->n_failed == 0)
        r->n_failed = r->n_candidates;
    fail_exhausted(r);
}

static struct retry_decision decide(struct req *r, const struct attempt *a)
{
    struct retry_facts f = {
        .end = a->end,
        .sent = a->sent,
        .client_gone = r->client_gone,
        /* Nobody wants a batch twice. */
        .retry_unknown = r->model->retry_unknown && !(r->relay && r->relay->role == RELAY_MAKES),
        .bytes_to_client = r->bytes_to_client,
        .retries_used = (int)r->retries_used,
        .retries_max = (int)r->model->retries,
        .credential_switches_left = REQ_CREDENTIAL_SWITCHES - (int)r->credential_switches,
        .other_credential = req_route_has_other_credential(r),
        .other_target = req_route_has_other(r),
        .retry_after_us = a->retry_after_us,
        .remaining_us = r->deadline_us - clock_mono_us(),
    };
    crypto_random(&f.jitter, sizeof f.jitter);
    return retry_decide(&f);
}

static void note_failure(struct req *r, const struct attempt *a)
{
    bool limited = a->end == END_ERROR_ANSWER && a->res.status == 429;
    r->n_failed++;
    r->n_rate_limited += limited;
    if (limited && a->retry_after_us >= 0 &&
        (r->min_retry_after_us < 0 || a->retry_after_us < r->min_retry_after_us))
        r->min_retry_after_us = a->retry_after_us;
}

static void try_again(struct req *r, const struct retry_decision *d)
{
    r->retries_used += d->counts;
    r->credential_switches += !d->counts;
    if (!d->counts)
        req_route_prefer_same_target(r);
    if (d->verdict == RETRY_SAME_LATER) {
        ((struct candidate *)r->current)->tried = false;
        r->retry_at_us = clock_mono_us() + d->delay_us;
        req_set_state(r, REQ_RETRY_WAIT);
        worker_arm(r->w, &r->timer, r->retry_at_us);
    } else {
        req_set_state(r, REQ_TRY);
    }
}

static bool distinct_targets_failed(const struct req *r)
{
    const struct conf_target *first = NULL;
    for (uint32_t i = 0; i < r->n_candidates; i++) {
        if (!r->candidates[i].tried)
            continue;
        if (first && r->candidates[i].target != first)
            return true;
        first = r->candidates[i].target;
    }
    return false;
}

static void after_failure(struct req *r, const struct attempt *a)
{
    note_failure(r, a);
    struct retry_decision d = decide(r, a);
    if (d.verdict != RETRY_GIVE_UP)
        try_again(r, &d);
    else if (r->client_gone)
        req_set_state(r, REQ_SETTLE);
    else if (r->streamed || a->end == END_TOTAL_TIMEOUT || a->end == END_DRAINED ||
             a->end == END_NO_SOCKET || a->end == END_NO_BUFFER)
        fail_with(r, a);
    else if (distinct_targets_failed(r) || r->n_rate_limited == r->n_failed)
        fail_exhausted(r);
    else
        fail_with(r, a);
}

static void deliver(struct req *r, const struct attempt *a)
{
    if (r->streamed || !r->conn)
        req_set_state(r, REQ_SETTLE);
    else
        send_whole(r, a->res.status);
}

void req_answer_attempt_ended(struct req *r)
{
    struct attempt *a = r->attempt;
    r->reason = attempt_end_text(a->end);
    if (r->relay && r->relay->role != RELAY_PLAIN && !req_objects_answered(r, a))
        ;
    else if (a->end == END_ANSWERED || (a->end == END_CALLER_ERROR && a->whole.n > 0))
        deliver(r, a);
    else if (a->end == END_CALLER_ERROR)
        req_fail(r, a->res.status, "upstream_error", "the provider refused the request (status %d)",
                 a->res.status);
    else
        after_failure(r, a);
    if (r->state == REQ_REJECT && r->streamed && !r->error_passed_on)
        prepare_last_event(r, a);
    r->attempt = NULL;
    attempt_release(a);
}
