/*
 * openai_responses_fields.c: what becomes of each field in a request to the Responses API, and the
 * codec's table.
 */
#include "gatewayd/dialect/openai_responses.h"
#include "gatewayd/dialect/provenance.h"

#define CARRIED(member)                                                                            \
    {                                                                                              \
        member, IR_CARRIED, ""                                                                     \
    }
#define MAPPED(member, note)                                                                       \
    {                                                                                              \
        member, IR_MAPPED, note                                                                    \
    }
#define REFUSED(member, note)                                                                      \
    {                                                                                              \
        member, IR_REFUSED, note                                                                   \
    }
#define DROPPED(member, note)                                                                      \
    {                                                                                              \
        member, IR_DROPPED, note                                                                   \
    }

const struct ir_field_row openai_responses_fields[IR_FIELD_COUNT] = {
    [IR_F_SYSTEM] = CARRIED("instructions"),
    [IR_F_DEVELOPER] = CARRIED("input[].role: developer"),
    [IR_F_NAME] = DROPPED(NULL, "messages have no names"),
    [IR_F_IMAGE_BASE64] = CARRIED("input_image.image_url (data: URL)"),
    [IR_F_IMAGE_URL] = CARRIED("input_image.image_url"),
    [IR_F_IMAGE_FILE_ID] = CARRIED("input_image.file_id"),
    [IR_F_IMAGE_DETAIL] = CARRIED("input_image.detail"),
    [IR_F_AUDIO] = REFUSED(NULL, "it takes no audio"),
    [IR_F_VIDEO] = REFUSED(NULL, "it takes no video"),
    [IR_F_FILE_BASE64] = CARRIED("input_file.file_data"),
    [IR_F_FILE_URL] = CARRIED("input_file.file_url"),
    [IR_F_FILE_ID] = CARRIED("input_file.file_id"),
    [IR_F_FILE_TEXT] = MAPPED(NULL, "a text part"),
    [IR_F_TOOLS] = CARRIED("tools"),
    [IR_F_TOOL_STRICT] = CARRIED("tools[].strict"),
    [IR_F_TOOL_CHOICE_AUTO] = CARRIED("tool_choice: auto"),
    [IR_F_TOOL_CHOICE_NONE] = CARRIED("tool_choice: none"),
    [IR_F_TOOL_CHOICE_ANY] = CARRIED("tool_choice: required"),
    [IR_F_TOOL_CHOICE_TOOL] = CARRIED("tool_choice: function"),
    [IR_F_TOOL_CHOICE_ALLOWED] = CARRIED("tool_choice: allowed_tools"),
    [IR_F_PARALLEL_TOOLS] = CARRIED("parallel_tool_calls"),
    [IR_F_TOOL_RESULT_ERROR] = DROPPED(NULL, "a result has no mark of an error; its text stays"),
    [IR_F_TOOL_RESULT_IMAGE] = CARRIED("function_call_output.output: input_image"),
    [IR_F_HOSTED_TOOLS] = REFUSED("tools", "no provider has another's tools"),
    [IR_F_MAX_TOKENS] = CARRIED("max_output_tokens"),
    [IR_F_TEMPERATURE] = CARRIED("temperature"),
    [IR_F_TOP_P] = CARRIED("top_p"),
    [IR_F_TOP_K] = DROPPED(NULL, "it has no such setting"),
    [IR_F_PRESENCE_PENALTY] = DROPPED(NULL, "it has no such setting"),
    [IR_F_FREQUENCY_PENALTY] = DROPPED(NULL, "it has no such setting"),
    [IR_F_SEED] = DROPPED(NULL, "it has no such setting"),
    [IR_F_STOP] = REFUSED(NULL, "it knows no stop sequences"),
    [IR_F_N] = REFUSED(NULL, "it gives one answer"),
    [IR_F_LOGPROBS] = MAPPED("top_logprobs", "with message.output_text.logprobs in include"),
    [IR_F_LOGIT_BIAS] = REFUSED(NULL, "it has no such setting"),
    [IR_F_FORMAT_JSON] = CARRIED("text.format: json_object"),
    [IR_F_FORMAT_SCHEMA] = CARRIED("text.format: json_schema"),
    [IR_F_EFFORT] = CARRIED("reasoning.effort"),
    [IR_F_THINKING_BUDGET] = MAPPED(NULL, "the nearest reasoning.effort; none is left out"),
    [IR_F_INCLUDE_THOUGHTS] = MAPPED("reasoning.summary", "auto"),
    [IR_F_REASONING] = MAPPED("input[].type: reasoning", "left out where OpenAI didn't sign it"),
    [IR_F_REASONING_SIGNATURE] =
        MAPPED("input[].encrypted_content", "left out where OpenAI didn't sign it"),
    [IR_F_REFUSAL] = CARRIED("input[].content[].refusal"),
    [IR_F_CITATIONS] =
        DROPPED("input[].content[].annotations", "citations of earlier turns aren't sent back"),
    [IR_F_CACHE_CONTROL] = DROPPED(NULL, "the provider caches on its own"),
    [IR_F_CACHED_CONTENT] = REFUSED(NULL, "another provider's cached content"),
    [IR_F_PROMPT_CACHE_KEY] = CARRIED("prompt_cache_key"),
    [IR_F_USER] = CARRIED("user"),
    [IR_F_METADATA] = CARRIED("metadata"),
    [IR_F_SERVICE_TIER] = MAPPED("service_tier", "standard_only and standard become default"),
    [IR_F_STORE] = CARRIED("store"),
    [IR_F_PREVIOUS_RESPONSE] =
        REFUSED("previous_response_id", "the response is kept by another provider"),
    [IR_F_MODALITIES] = REFUSED(NULL, "other output than text isn't translated"),
    [IR_F_VERBOSITY] = CARRIED("text.verbosity"),
    [IR_F_PREDICTION] = DROPPED(NULL, "it has no such setting; it would only save time"),
    [IR_F_SAFETY] = DROPPED(NULL, "the provider has one policy for all requests"),
    [IR_F_BACKGROUND] = REFUSED("background", "it answers only while the caller waits"),
};

const struct codec codec_openai_responses = {
    .name = "openai.responses",
    .framing = CODEC_SSE,
    .fields = openai_responses_fields,
    .made_by = provenance_responses,
    .reader_bytes = sizeof(struct openai_responses_reader),
    .writer_bytes = sizeof(struct openai_responses_writer),
    .read_request = openai_responses_read_request,
    .write_request = openai_responses_write_request,
    .read_response = openai_responses_read_response,
    .write_response = openai_responses_write_response,
    .read_event = openai_responses_read_event,
    .read_end = openai_responses_read_end,
    .write_event = openai_responses_write_event,
    .write_own_error = openai_responses_write_own_error,
    .reader_fini = openai_responses_reader_fini,
    .writer_fini = openai_responses_writer_fini,
};
