/*
 * anthropic.c: the Anthropic dialect as translation and the worker see it.
 */
#include "gatewayd/dialect/anthropic.h"

#include "gatewayd/dialect/meter.h"
#include "gatewayd/dialect/provenance.h"

const struct codec codec_anthropic = {
    .name = "anthropic.messages",
    .framing = CODEC_SSE,
    .fields = anthropic_fields,
    .made_by = provenance_claude,
    .reader_bytes = sizeof(struct anthropic_stream_reader),
    .writer_bytes = sizeof(struct anthropic_stream_writer),
    .read_request = anthropic_read_request_ir,
    .write_request = anthropic_write_request_ir,
    .read_response = anthropic_read_response_ir,
    .write_response = anthropic_write_response_ir,
    .read_event = anthropic_read_event,
    .read_end = anthropic_read_end,
    .write_event = anthropic_write_event,
    .writer_fini = anthropic_writer_fini,
};

/* Its clients look for the request's id in `request-id`
 * (platform.claude.com/docs/en/api/overview). */
const struct dialect dialect_anthropic = {
    .name = "anthropic",
    .content_type_stream = "text/event-stream",
    .framing = CODEC_SSE,
    .request_id_field = "request-id",
    .read_request = anthropic_read_request,
    .rewrite_request = anthropic_rewrite_request,
    .read_response = anthropic_read_response,
    .read_error = anthropic_read_error,
    .stream_init = anthropic_stream_init,
    .stream_fini = meter_stream_fini,
    .stream_event = meter_stream_event,
    .error_type = anthropic_error_type,
    .write_error = anthropic_write_error,
    .write_stream_error = anthropic_write_stream_error,
};
