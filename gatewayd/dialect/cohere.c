/*
 * cohere.c: the Cohere dialect as translation and the worker see it.
 */
#include "gatewayd/dialect/cohere.h"

#include "gatewayd/dialect/meter.h"
#include "gatewayd/dialect/provenance.h"

const struct codec codec_cohere = {
    .name = "cohere.chat",
    .framing = CODEC_SSE,
    .fields = cohere_fields,
    .made_by = provenance_cohere,
    .reader_bytes = sizeof(struct cohere_stream_reader),
    .writer_bytes = sizeof(struct cohere_stream_writer),
    .read_request = cohere_read_request_ir,
    .write_request = cohere_write_request_ir,
    .read_response = cohere_read_response_ir,
    .write_response = cohere_write_response_ir,
    .read_event = cohere_read_event,
    .read_end = cohere_read_end,
    .write_event = cohere_write_event,
    .writer_fini = cohere_writer_fini,
};

const struct dialect dialect_cohere = {
    .name = "cohere",
    .content_type_stream = "text/event-stream",
    .framing = CODEC_SSE,
    .read_request = cohere_read_request,
    .rewrite_request = cohere_rewrite_request,
    .read_response = cohere_read_response,
    .read_error = cohere_read_error,
    .stream_init = cohere_stream_init,
    .stream_fini = meter_stream_fini,
    .stream_event = meter_stream_event,
    .error_type = cohere_error_type,
    .write_error = cohere_write_error,
    .write_stream_error = cohere_write_stream_error,
};
