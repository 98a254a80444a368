/*
 * gemini.c: the Gemini dialect as the engine sees it.
 */
#include "gatewayd/dialect/gemini.h"
#include "gatewayd/dialect/provenance.h"

const struct codec codec_gemini = {
    .name = "gemini",
    .framing = CODEC_SSE,
    .fields = gemini_fields,
    .made_by = provenance_gemini,
    .signature_is_bytes = true,
    .answer_media =
        1u << IR_PART_IMAGE | 1u << IR_PART_AUDIO | 1u << IR_PART_VIDEO | 1u << IR_PART_FILE,
    .reader_bytes = sizeof(struct gemini_reader),
    .writer_bytes = sizeof(struct gemini_writer),
    .read_request = gemini_read_request,
    .write_request = gemini_write_request,
    .read_response = gemini_read_response,
    .write_response = gemini_write_response,
    .read_event = gemini_read_event,
    .read_end = gemini_read_end,
    .write_event = gemini_write_event,
    .writer_fini = gemini_writer_fini,
};
