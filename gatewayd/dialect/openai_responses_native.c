/*
 * openai_responses_native.c: the Responses API as the worker sees it where the provider has it too:
 * requests are spliced, answers are metered by what the codec reads.
 *
 * Usage comes with every response: none is asked for, and nothing has to be taken out again.
 */
#include "gatewayd/dialect/meter.h"
#include "gatewayd/dialect/openai.h"
#include "gatewayd/dialect/openai_responses.h"

static int rewrite(const struct dialect_request *req, const struct dialect_rewrite *how,
                   struct splices *out, bool *injected)
{
    struct dialect_rewrite only_model = *how;
    only_model.inject_usage = false;
    return openai_rewrite_request(req, &only_model, out, injected);
}

static int read_response(struct json_doc *d, struct slice body, enum dialect_op op,
                         struct dialect_response *out)
{
    return meter_response(&codec_openai_responses, d, body, op, out);
}

static void stream_init(struct dialect_stream *s, enum dialect_op op, bool usage_injected)
{
    meter_stream_init(s, &codec_openai_responses, op);
    s->usage_injected = usage_injected;
}

/* The provider numbers its events from 0: what comes behind them goes on from their count. Of the
 * response, which response.failed ends, only its names are known here. */
static int write_stream_error(struct buf *out, const struct dialect_error *e)
{
    const struct dialect_stream *s = e->stream;
    struct openai_responses_writer state = {.sequence = s ? s->events : 0};
    struct codec_caller caller = {.request_id = slice_of(NULL, 0)};
    struct ir_event start = {.kind = IR_EV_START};
    size_t before = out->len;
    int rc = 0;
    if (s && s->id.n) {
        start.id = ir_plain(dialect_name_slice(&s->id));
        start.model = ir_plain(dialect_name_slice(&s->model));
        start.created_s = s->created_s;
        rc = openai_responses_resume(&state, &start);
    }
    if (rc == 0)
        rc = openai_responses_write_own_error(&state, &caller, e, out);
    openai_responses_writer_fini(&state);
    if (rc < 0)
        out->len = before;
    return rc;
}

const struct dialect dialect_openai_responses = {
    .name = "openai.responses",
    .content_type_stream = "text/event-stream",
    .tells_processing_ms = true,
    .read_request = openai_responses_read_native,
    .rewrite_request = rewrite,
    .read_response = read_response,
    .read_error = openai_read_error,
    .stream_init = stream_init,
    .stream_fini = meter_stream_fini,
    .stream_event = meter_stream_event,
    .error_type = openai_error_type,
    .write_error = openai_write_error,
    .write_stream_error = write_stream_error,
};
