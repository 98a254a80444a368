/*
 * openai.c: the OpenAI dialect as the worker sees it.
 */
#include "gatewayd/dialect/openai.h"

const struct dialect dialect_openai = {
    .name = "openai",
    .content_type_stream = "text/event-stream",
    .tells_processing_ms = true,
    .read_request = openai_read_request,
    .rewrite_request = openai_rewrite_request,
    .read_response = openai_read_response,
    .read_error = openai_read_error,
    .stream_init = openai_stream_init,
    .stream_event = openai_stream_event,
    .error_type = openai_error_type,
    .write_error = openai_write_error,
    .write_stream_error = openai_write_stream_error,
};
