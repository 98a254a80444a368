/*
 * openai_responses_native.c: the Responses API as the worker sees it where the provider has it too:
 * requests are spliced, answers are metered by what the codec reads.
 *
 * Usage comes with every response: none is asked for, and nothing has to be taken out again.
 */
#include "gatewayd/dialect/meter.h"
#include "gatewayd/dialect/openai.h"

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

/* The error event of the reference; which number it has in the stream isn't known here. */
static int write_stream_error(struct buf *out, const struct dialect_error *e)
{
    struct json_writer w;
    size_t before = out->len, n;
    if (buf_append(out, "event: error\ndata: ", 19) < 0)
        return -1;
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_str(&w, "type", SLICE_LIT("error"));
    jw_key_plain(&w, SLICE_LIT("code"));
    if (e->code && *e->code)
        jw_str(&w, slice_str(e->code));
    else
        jw_str(&w, slice_str(e->type));
    jw_member_str(&w, "message", e->message);
    jw_key_plain(&w, SLICE_LIT("param"));
    if (e->param && *e->param)
        jw_str(&w, slice_str(e->param));
    else
        jw_null(&w);
    jw_member_i64(&w, "sequence_number", 0);
    jw_object_end(&w);
    if (jw_finish(&w, &n) == 0 && buf_append(out, "\n\n", 2) == 0)
        return 0;
    out->len = before;
    return -1;
}

const struct dialect dialect_openai_responses = {
    .name = "openai.responses",
    .content_type_stream = "text/event-stream",
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
