/*
 * attempt_opaque.c: bytes from the provider to the client.
 */
#include "gatewayd/worker/attempt_opaque.h"

#include "gatewayd/worker/attempt_stream.h"
#include "gatewayd/worker/bound.h"
#include "gatewayd/worker/req_answer.h"
#include "gatewayd/worker/req_objects.h"

static void note_progress(struct attempt *a)
{
    int64_t usage[LEDGER_USAGE_MAX];
    bound_counted(a->reserved_usage, attempt_opaque_tokens(a), usage);
    money_progress(&a->w->owner, &a->ticket, MONEY_SENT_ANSWER, usage, 0);
}

static void send_on(struct attempt *a, struct slice data, bool last)
{
    struct req *r = a->req;
    req_objects_content(r, data);
    bool ok = last ? req_answer_stream_end(r, data) : data.n == 0 || req_answer_stream(r, data);
    note_progress(a);
    if (last)
        attempt_finish(a, END_ANSWERED, "");
    else if (!ok)
        a->counting = true; /* attempt_on_readable goes on with attempt_cancel */
    else
        attempt_pause_if_slow(a);
}

void attempt_opaque_feed(struct attempt *a, char *p, size_t n)
{
    size_t n_data = n, n_used = n;
    enum http_body_step step = http_body_compact(&a->body, p, n, &n_data, &n_used);
    a->poisoned |= step == HTTP_BODY_END && n_used < n;
    if (a->counting)
        return;
    if (step == HTTP_BODY_BAD)
        attempt_finish(a, END_CUT, http_body_reason(&a->body));
    else
        send_on(a, slice_of(p, n_data), step == HTTP_BODY_END);
}

void attempt_opaque_closed(struct attempt *a)
{
    if (!a->counting)
        send_on(a, slice_of(NULL, 0), true);
}
