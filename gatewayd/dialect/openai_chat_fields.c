/*
 * openai_chat_fields.c: what becomes of each field in a chat completion, and the codec's table.
 *
 * What a quirk of the provider decides is called mapped here; the writer reports it as dropped
 * where the provider hasn't the quirk.
 */
#include "gatewayd/dialect/openai_chat.h"
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

const struct ir_field_row openai_chat_fields[IR_FIELD_COUNT] = {
    [IR_F_SYSTEM] = MAPPED("messages[].role: system",
                           "in its place; in front of the turns where the provider wants these to "
                           "alternate, as Perplexity"),
    [IR_F_DEVELOPER] = MAPPED(
        "messages[].role: developer",
        "system where the provider isn't OpenAI or Azure; its place is that of a system message"),
    [IR_F_NAME] = CARRIED("messages[].name"),
    [IR_F_IMAGE_BASE64] = CARRIED("image_url (data: URL)"),
    [IR_F_IMAGE_URL] = CARRIED("image_url"),
    [IR_F_IMAGE_FILE_ID] = REFUSED(NULL, "it takes no image by file id"),
    [IR_F_IMAGE_DETAIL] = CARRIED("image_url.detail"),
    [IR_F_AUDIO] = CARRIED("input_audio"),
    [IR_F_VIDEO] = CARRIED("video_url"),
    [IR_F_FILE_BASE64] = CARRIED("file.file_data"),
    [IR_F_FILE_URL] = REFUSED(NULL, "it takes no file by URL"),
    [IR_F_FILE_ID] = CARRIED("file.file_id"),
    [IR_F_FILE_TEXT] = MAPPED(NULL, "a text part"),
    [IR_F_TOOLS] = CARRIED("tools"),
    [IR_F_TOOL_STRICT] = CARRIED("tools[].function.strict"),
    [IR_F_TOOL_CHOICE_AUTO] = CARRIED("tool_choice: auto"),
    [IR_F_TOOL_CHOICE_NONE] = CARRIED("tool_choice: none"),
    [IR_F_TOOL_CHOICE_ANY] = CARRIED("tool_choice: required"),
    [IR_F_TOOL_CHOICE_TOOL] = CARRIED("tool_choice: function"),
    [IR_F_TOOL_CHOICE_ALLOWED] =
        MAPPED("tool_choice: allowed_tools",
               "only the allowed tools are sent where the provider isn't OpenAI or Azure"),
    [IR_F_PARALLEL_TOOLS] = CARRIED("parallel_tool_calls"),
    [IR_F_TOOL_RESULT_ERROR] = DROPPED(NULL, "a result has no mark of an error; its text stays"),
    [IR_F_TOOL_RESULT_IMAGE] = MAPPED(NULL, "a user message behind the results, naming the call"),
    [IR_F_HOSTED_TOOLS] = REFUSED("tools, web_search_options", "no provider has another's tools"),
    [IR_F_MAX_TOKENS] =
        MAPPED("max_completion_tokens", "max_tokens where the provider isn't OpenAI or Azure"),
    [IR_F_TEMPERATURE] = CARRIED("temperature"),
    [IR_F_TOP_P] = CARRIED("top_p"),
    [IR_F_TOP_K] = MAPPED("top_k", "dropped where the provider doesn't take it, as OpenAI"),
    [IR_F_PRESENCE_PENALTY] = CARRIED("presence_penalty"),
    [IR_F_FREQUENCY_PENALTY] = CARRIED("frequency_penalty"),
    [IR_F_SEED] = CARRIED("seed"),
    [IR_F_STOP] = CARRIED("stop"),
    [IR_F_N] = CARRIED("n"),
    [IR_F_LOGPROBS] = CARRIED("logprobs"),
    [IR_F_LOGIT_BIAS] = CARRIED("logit_bias"),
    [IR_F_FORMAT_JSON] = CARRIED("response_format: json_object"),
    [IR_F_FORMAT_SCHEMA] = CARRIED("response_format: json_schema"),
    [IR_F_EFFORT] = CARRIED("reasoning_effort"),
    [IR_F_THINKING_BUDGET] =
        MAPPED("reasoning.max_tokens", "the nearest reasoning_effort; none is left out"),
    [IR_F_INCLUDE_THOUGHTS] = DROPPED(NULL, "the provider decides what it shows"),
    [IR_F_REASONING] = MAPPED("messages[].reasoning_content",
                              "dropped where the provider doesn't take it back, as OpenAI"),
    [IR_F_REASONING_SIGNATURE] =
        MAPPED("messages[].reasoning_details", "dropped where the provider doesn't take it back"),
    [IR_F_REFUSAL] = CARRIED("messages[].refusal"),
    [IR_F_CITATIONS] = DROPPED(NULL, "citations of earlier turns aren't sent back"),
    [IR_F_CACHE_CONTROL] = MAPPED("cache_control", "dropped where the provider caches on its own"),
    [IR_F_CACHED_CONTENT] = REFUSED(NULL, "another provider's cached content"),
    [IR_F_PROMPT_CACHE_KEY] = MAPPED("prompt_cache_key", "dropped where the provider isn't OpenAI "
                                                         "or Azure"),
    [IR_F_USER] = CARRIED("user"),
    [IR_F_METADATA] = MAPPED("metadata", "dropped where the provider isn't OpenAI or Azure"),
    [IR_F_SERVICE_TIER] = MAPPED("service_tier", "standard_only and standard become default"),
    [IR_F_STORE] = MAPPED("store", "dropped where the provider isn't OpenAI or Azure"),
    [IR_F_PREVIOUS_RESPONSE] = REFUSED(NULL, "it keeps no responses"),
    [IR_F_MODALITIES] = REFUSED("modalities", "other output than text isn't translated"),
    [IR_F_VERBOSITY] = MAPPED("verbosity", "dropped where the provider isn't OpenAI or Azure"),
    [IR_F_PREDICTION] = MAPPED("prediction", "dropped where the provider isn't OpenAI or Azure"),
    [IR_F_SAFETY] = DROPPED(NULL, "the provider has one policy for all requests"),
    [IR_F_BACKGROUND] = REFUSED(NULL, "it answers only while the caller waits"),
};

const struct codec codec_openai_chat = {
    .name = "openai.chat",
    .framing = CODEC_SSE,
    .fields = openai_chat_fields,
    .made_by = provenance_chat,
    .answer_media = 1u << IR_PART_IMAGE,
    .reader_bytes = sizeof(struct openai_chat_reader),
    .writer_bytes = sizeof(struct openai_chat_writer),
    .read_request = openai_chat_read_request,
    .write_request = openai_chat_write_request,
    .read_response = openai_chat_read_response,
    .write_response = openai_chat_write_response,
    .read_event = openai_chat_read_event,
    .read_end = openai_chat_read_end,
    .write_event = openai_chat_write_event,
    .reader_fini = openai_chat_reader_fini,
    .writer_fini = openai_chat_writer_fini,
};
