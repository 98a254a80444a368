/*
 * bedrock_fields.c: what becomes of each field of a request that is written for Converse.
 */
#include "gatewayd/dialect/bedrock.h"

#define ROW(field, member, fate, note) [IR_F_##field] = {member, IR_##fate, note}
#define CARRIED(field, member)         ROW(field, member, CARRIED, "")

const struct ir_field_row bedrock_fields[IR_FIELD_COUNT] = {
    ROW(SYSTEM, "system", MAPPED,
        "all system messages are joined in front, as blocks of `system`; a conversation that "
        "doesn't begin with the user gets a first user turn \".\""),
    ROW(DEVELOPER, NULL, MAPPED, "system"),
    ROW(NAME, NULL, DROPPED, "the API has no names of participants"),
    CARRIED(IMAGE_BASE64, "messages[].content[].image.source.bytes"),
    ROW(IMAGE_URL, "messages[].content[].image.source.s3Location", REFUSED,
        "it takes images as bytes, not by URL"),
    ROW(IMAGE_FILE_ID, NULL, REFUSED, "it keeps no files"),
    ROW(IMAGE_DETAIL, NULL, DROPPED, "the models scale images by themselves"),
    CARRIED(AUDIO, "messages[].content[].audio"),
    ROW(VIDEO, "messages[].content[].video", MAPPED, "as bytes; a video by URL is refused"),
    ROW(FILE_BASE64, "messages[].content[].document.source.bytes", MAPPED,
        "the file's name is cut down to the characters that are allowed, with the document's "
        "number behind it; a message without text gets the text \".\", which documents require"),
    ROW(FILE_URL, "messages[].content[].document.source.s3Location", REFUSED,
        "it takes documents as bytes, not by URL"),
    ROW(FILE_ID, NULL, REFUSED, "it keeps no files"),
    ROW(FILE_TEXT, "messages[].content[].document.source.text", MAPPED, "as a base64 file is"),
    ROW(TOOLS, "toolConfig.tools", MAPPED,
        "where the conversation has tool calls but the request no tools, the tools that were "
        "called are declared without a schema: the API requires it"),
    CARRIED(TOOL_STRICT, "toolConfig.tools[].toolSpec.strict"),
    CARRIED(TOOL_CHOICE_AUTO, "toolConfig.toolChoice.auto"),
    ROW(TOOL_CHOICE_NONE, NULL, MAPPED,
        "the tools are left out; where the conversation has tool calls they must be sent, and "
        "the choice is dropped and reported"),
    CARRIED(TOOL_CHOICE_ANY, "toolConfig.toolChoice.any"),
    CARRIED(TOOL_CHOICE_TOOL, "toolConfig.toolChoice.tool"),
    ROW(TOOL_CHOICE_ALLOWED, NULL, MAPPED, "only the allowed tools are sent"),
    ROW(PARALLEL_TOOLS, NULL, DROPPED, "the API has no switch for parallel tool calls"),
    CARRIED(TOOL_RESULT_ERROR, "messages[].content[].toolResult.status"),
    CARRIED(TOOL_RESULT_IMAGE, "messages[].content[].toolResult.content[].image"),
    ROW(HOSTED_TOOLS, "toolConfig.tools[].systemTool", REFUSED,
        "tools that a provider runs work with that provider only"),
    CARRIED(MAX_TOKENS, "inferenceConfig.maxTokens"),
    ROW(TEMPERATURE, "inferenceConfig.temperature", MAPPED,
        "values above 1 become 1; left out, and reported, where Claude thinks and for Claude "
        "models later than 4.6, which take none"),
    ROW(TOP_P, "inferenceConfig.topP", MAPPED,
        "left out, and reported, beside a temperature for Claude 4.5 and later, where Claude "
        "thinks, and for Claude models later than 4.6"),
    ROW(TOP_K, "additionalModelRequestFields.top_k", MAPPED,
        "for Claude top_k, for Nova inferenceConfig.topK; left out, and reported, for other models "
        "and where Claude thinks or is later than 4.6"),
    ROW(PRESENCE_PENALTY, NULL, DROPPED, "the API has no penalties"),
    ROW(FREQUENCY_PENALTY, NULL, DROPPED, "the API has no penalties"),
    ROW(SEED, NULL, DROPPED, "the API has no seed"),
    CARRIED(STOP, "inferenceConfig.stopSequences"),
    ROW(N, NULL, REFUSED, "it gives one answer a request"),
    ROW(LOGPROBS, NULL, REFUSED, "it gives no log probabilities"),
    ROW(LOGIT_BIAS, NULL, REFUSED, "it has no logit bias"),
    ROW(FORMAT_JSON, NULL, MAPPED,
        "a system block at the end: \"Answer with one JSON object and nothing else.\""),
    ROW(FORMAT_SCHEMA, "outputConfig.textFormat", MAPPED,
        "the schema with its name and description; it always is strict"),
    ROW(EFFORT, "outputConfig.effort", MAPPED,
        "for Claude, and names that don't tell the model's maker, in additionalModelRequestFields: "
        "from 4.6 adaptive thinking with "
        "output_config.effort, before a budget (minimal 1024, low 1024, medium 8192, high 24576, "
        "above 32768) below max_tokens; left out, and reported, for other models, where there is "
        "no room for 1024 tokens, where a tool is forced, and where the tool calls being answered "
        "came without their signed reasoning"),
    ROW(THINKING_BUDGET, "additionalModelRequestFields.thinking.budget_tokens", MAPPED,
        "for Claude before 4.6 below max_tokens; later an effort, as above"),
    ROW(INCLUDE_THOUGHTS, "additionalModelRequestFields.thinking.display", MAPPED,
        "where Claude thinks adaptively; elsewhere thoughts are shown wherever there are some"),
    ROW(REASONING, "messages[].content[].reasoningContent.reasoningText", MAPPED,
        "where it has a signature; without one it is left out and reported"),
    CARRIED(REASONING_SIGNATURE, "messages[].content[].reasoningContent.reasoningText.signature"),
    ROW(REFUSAL, NULL, MAPPED, "text"),
    ROW(CITATIONS, "messages[].content[].citationsContent", DROPPED,
        "the text goes without its citations"),
    ROW(CACHE_CONTROL, "messages[].content[].cachePoint", MAPPED,
        "cache points behind what is marked, for Claude, Nova and names that don't tell the "
        "model's maker; left out, and reported, for others"),
    ROW(CACHED_CONTENT, NULL, REFUSED, "cached content can't be named here"),
    ROW(PROMPT_CACHE_KEY, NULL, DROPPED, "caching goes by cache points"),
    ROW(USER, NULL, DROPPED, "the API has no end user"),
    ROW(METADATA, "requestMetadata", MAPPED,
        "up to 16 strings of the characters that are allowed; else left out and reported"),
    ROW(SERVICE_TIER, "serviceTier.type", MAPPED,
        "default, priority, flex and reserved; others are left out and reported"),
    ROW(STORE, NULL, DROPPED, "the API keeps no answers"),
    ROW(PREVIOUS_RESPONSE, NULL, REFUSED, "the API keeps no answers: send the conversation"),
    ROW(MODALITIES, NULL, REFUSED, "what is put out goes by the model"),
    ROW(VERBOSITY, NULL, DROPPED, "the API has no verbosity"),
    ROW(PREDICTION, NULL, DROPPED, "the API takes no predictions"),
    ROW(SAFETY, "guardrailConfig", DROPPED, "guardrails are Bedrock's own"),
    ROW(BACKGROUND, NULL, REFUSED, "it has no background responses"),
};
