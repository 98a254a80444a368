/*
 * anthropic_codec.c: the Anthropic dialect as translation sees it.
 */
#include "gatewayd/dialect/anthropic.h"

const struct codec codec_anthropic = {
    .name = "anthropic.messages",
    .framing = CODEC_SSE,
    .fields = anthropic_fields,
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
