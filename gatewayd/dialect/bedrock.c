/*
 * bedrock.c: the Bedrock dialect as the worker and the translation see it.
 */
#include "gatewayd/dialect/bedrock.h"

#include "gatewayd/dialect/meter.h"
#include "gatewayd/http/eventstream.h"

const struct codec codec_bedrock = {
    .name = "bedrock",
    .framing = CODEC_EVENTSTREAM,
    .fields = bedrock_fields,
    .made_by = bedrock_made_by,
    .signature_is_bytes = true,
    .answer_media = 1u << IR_PART_IMAGE,
    .reader_bytes = BEDROCK_READER_BYTES,
    .writer_bytes = BEDROCK_WRITER_BYTES,
    .read_request = bedrock_read_request_ir,
    .write_request = bedrock_write_request_ir,
    .read_response = bedrock_read_response_ir,
    .write_response = bedrock_write_response_ir,
    .read_event = bedrock_read_event,
    .read_end = bedrock_read_end,
    .write_event = bedrock_write_event,
    .writer_fini = bedrock_writer_fini,
};

const struct dialect dialect_bedrock = {
    .name = "bedrock",
    .content_type_stream = EVENTSTREAM_CONTENT_TYPE,
    .framing = CODEC_EVENTSTREAM,
    .request_id_field = "x-amzn-requestid",
    .error_type_field = "x-amzn-errortype",
    .read_request = bedrock_read_request,
    .rewrite_request = bedrock_rewrite_request,
    .read_response = bedrock_read_response,
    .read_error = bedrock_read_error,
    .read_named_error = bedrock_read_named_error,
    .stream_init = bedrock_stream_init,
    .stream_fini = meter_stream_fini,
    .stream_event = meter_stream_event,
    .error_type = bedrock_error_type,
    .write_error = bedrock_write_error,
    .write_stream_error = bedrock_write_stream_error,
    .write_ping = bedrock_write_ping,
};
