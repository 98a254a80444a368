/*
 * anthropic_fields.c: what becomes of each field of a request that is written for this API.
 */
#include "gatewayd/dialect/anthropic.h"

#define ROW(field, member, fate, note) [IR_F_##field] = {member, IR_##fate, note}
#define CARRIED(field, member)         ROW(field, member, CARRIED, "")

const struct ir_field_row anthropic_fields[IR_FIELD_COUNT] = {
    ROW(SYSTEM, "system", MAPPED,
        "all system messages are joined in front, as blocks of `system`; a conversation that "
        "doesn't begin with the user gets a first user turn \".\""),
    ROW(DEVELOPER, NULL, MAPPED, "system"),
    ROW(NAME, NULL, DROPPED, "the API has no names of participants"),
    CARRIED(IMAGE_BASE64, "messages[].content[].source"),
    CARRIED(IMAGE_URL, "messages[].content[].source.url"),
    CARRIED(IMAGE_FILE_ID, "messages[].content[].source.file_id"),
    ROW(IMAGE_DETAIL, NULL, DROPPED, "the API scales images by itself"),
    ROW(AUDIO, NULL, REFUSED, "it takes no audio"),
    ROW(VIDEO, NULL, REFUSED, "it takes no video"),
    ROW(FILE_BASE64, "messages[].content[].source", MAPPED,
        "PDF as it is, text decoded into a text document; other types are refused"),
    CARRIED(FILE_URL, "messages[].content[].source.url"),
    CARRIED(FILE_ID, "messages[].content[].source.file_id"),
    CARRIED(FILE_TEXT, "messages[].content[].source.data"),
    ROW(TOOLS, "tools", MAPPED,
        "a schema without a type gets \"type\":\"object\"; where a conversation holds calls and "
        "the "
        "request no tools, those called are declared and none may be called"),
    CARRIED(TOOL_STRICT, "tools[].strict"),
    CARRIED(TOOL_CHOICE_AUTO, "tool_choice.type"),
    CARRIED(TOOL_CHOICE_NONE, "tool_choice.type"),
    CARRIED(TOOL_CHOICE_ANY, "tool_choice.type"),
    CARRIED(TOOL_CHOICE_TOOL, "tool_choice.name"),
    ROW(TOOL_CHOICE_ALLOWED, NULL, MAPPED, "only the allowed tools are sent"),
    ROW(PARALLEL_TOOLS, "tool_choice.disable_parallel_tool_use", MAPPED,
        "turned round, where a tool may be called"),
    CARRIED(TOOL_RESULT_ERROR, "messages[].content[].is_error"),
    CARRIED(TOOL_RESULT_IMAGE, "messages[].content[].content"),
    ROW(HOSTED_TOOLS, "tools[].type", REFUSED,
        "tools that a provider runs work with that provider only"),
    ROW(MAX_TOKENS, "max_tokens", CARRIED, ""),
    ROW(TEMPERATURE, "temperature", MAPPED,
        "values above 1 become 1; left out, and reported, where thinking is on and for models "
        "later than Opus 4.6, which take none"),
    ROW(TOP_P, "top_p", MAPPED,
        "left out, and reported, beside a temperature for Claude 4.1 and later, below 0.95 where "
        "thinking is on, and for models later than Opus 4.6"),
    ROW(TOP_K, "top_k", MAPPED,
        "left out, and reported, where thinking is on and for models later than Opus 4.6"),
    ROW(PRESENCE_PENALTY, NULL, DROPPED, "the API has no penalties"),
    ROW(FREQUENCY_PENALTY, NULL, DROPPED, "the API has no penalties"),
    ROW(SEED, NULL, DROPPED, "the API has no seed"),
    ROW(STOP, "stop_sequences", MAPPED,
        "the API takes none of white space alone: such are left out and reported"),
    ROW(N, NULL, REFUSED, "it gives one answer a request"),
    ROW(LOGPROBS, NULL, REFUSED, "it gives no log probabilities"),
    ROW(LOGIT_BIAS, NULL, REFUSED, "it has no logit bias"),
    ROW(FORMAT_JSON, NULL, MAPPED,
        "a system block at the end: \"Answer with one JSON object and nothing else.\""),
    ROW(FORMAT_SCHEMA, "output_config.format", MAPPED,
        "the schema; its name, description and strictness are left out: it always is strict"),
    ROW(EFFORT, "output_config.effort", MAPPED,
        "from Claude 4.6: output_config.effort with adaptive thinking (minimal is low, xhigh is "
        "high for 4.6); before: a budget of 20 % of max_tokens for minimal and low, 50 % medium, "
        "80 % high, 95 % above, from 1024 to 32000, left out and reported where max_tokens has no "
        "room for 1024, a tool is forced, or the tool calls being answered came without their "
        "signed thinking; none: thinking disabled"),
    ROW(THINKING_BUDGET, "thinking.budget_tokens", MAPPED,
        "kept below max_tokens; for models later than Opus 4.6 adaptive thinking with effort low "
        "up to 4096, medium up to 16384, else high; left out and reported as effort is"),
    ROW(INCLUDE_THOUGHTS, "thinking.display", CARRIED, ""),
    ROW(REASONING, "messages[].content[].thinking", MAPPED,
        "a thinking block where it has a signature; without one the API takes none back: left out "
        "and reported"),
    CARRIED(REASONING_SIGNATURE, "messages[].content[].signature"),
    ROW(REFUSAL, NULL, MAPPED, "text"),
    ROW(CITATIONS, "messages[].content[].citations", DROPPED,
        "the API takes back only its own, with their encrypted index"),
    CARRIED(CACHE_CONTROL, "messages[].content[].cache_control"),
    ROW(CACHED_CONTENT, NULL, REFUSED, "cached content can't be named here"),
    ROW(PROMPT_CACHE_KEY, NULL, DROPPED, "caching goes by cache_control"),
    CARRIED(USER, "metadata.user_id"),
    ROW(METADATA, NULL, DROPPED, "the API keeps no metadata"),
    ROW(SERVICE_TIER, "service_tier", MAPPED,
        "default is standard_only, auto and priority are auto; others are left out and reported"),
    ROW(STORE, NULL, DROPPED, "the API keeps no answers"),
    ROW(PREVIOUS_RESPONSE, NULL, REFUSED, "the API keeps no answers: send the conversation"),
    ROW(MODALITIES, NULL, REFUSED, "it gives text only"),
    ROW(VERBOSITY, NULL, DROPPED, "the API has no verbosity"),
    ROW(PREDICTION, NULL, DROPPED, "the API takes no predictions"),
    ROW(SAFETY, NULL, DROPPED, "the API has no safety settings"),
    ROW(BACKGROUND, NULL, REFUSED, "it has no background responses"),
};
