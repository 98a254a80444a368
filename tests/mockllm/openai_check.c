/*
 * openai_check.c: what OpenAI's API refuses, in its words.
 *
 * Names that no API has pass: a newer one may have them. Names of another provider's API, or of the
 * other one of OpenAI's, are what a wrong translation leaves behind, and are refused as the API
 * does with a name that it doesn't know. Stricter than the API in one thing: a signature of
 * reasoning must be that of its text.
 */
#include "tests/mockllm/openai.h"
#include "tests/mockllm/passed.h"
#include "tests/mockllm/sample.h"

#include <stdio.h>
#include <string.h>

static bool is_any(struct slice v, const char *const *words)
{
    for (; *words != NULL; words++)
        if (slice_is(v, *words))
            return true;
    return false;
}

static bool is_type(struct slice v, char open)
{
    return v.len > 0 && v.p[0] == open;
}

static bool given(struct slice v)
{
    return v.p != NULL && !slice_is(v, "null");
}

static const char *const foreign[] = {"system",
                                      "stop_sequences",
                                      "thinking",
                                      "anthropic_version",
                                      "contents",
                                      "generationConfig",
                                      "systemInstruction",
                                      "safetySettings",
                                      "toolConfig",
                                      "inferenceConfig",
                                      "modelId",
                                      "additionalModelRequestFields",
                                      "cached_content",
                                      "documents",
                                      "top_k",
                                      NULL};
static const char *const of_responses[] = {
    "input", "instructions", "max_output_tokens", "previous_response_id", "text", "include", NULL};
static const char *const of_chat[] = {"messages",
                                      "max_tokens",
                                      "max_completion_tokens",
                                      "response_format",
                                      "reasoning_effort",
                                      "stop",
                                      "n",
                                      "functions",
                                      "logprobs",
                                      NULL};

static bool check_names(struct slice body, const char *const *others, struct error *err)
{
    struct json j;
    struct slice key, value;
    bool started = false;
    json_init(&j, body);
    json_enter(&j, '{');
    while (json_next_member(&j, &started, &key, &value))
        if (is_any(key, foreign) || is_any(key, others))
            return openai_refuse(err, 400, "unknown_parameter", NULL,
                                 "Unknown parameter: '" SLICE_FMT "'.", SLICE_ARG(key));
    return true;
}

static bool check_number(struct slice body, const char *name, double min, double max,
                         struct error *err)
{
    struct slice v = json_get(body, name);
    double n = 0;
    char text[32];
    if (!given(v))
        return true;
    snprintf(text, sizeof text, SLICE_FMT, SLICE_ARG(v));
    if (sscanf(text, "%lf", &n) != 1 || is_type(v, '"'))
        return openai_refuse(err, 400, "invalid_type", name,
                             "Invalid type for '%s': expected a number.", name);
    if (n < min || n > max)
        return openai_refuse(err, 400, "invalid_value", name,
                             "Invalid '%s': must be from %g to %g.", name, min, max);
    return true;
}

/* ---- tools ---- */

static bool is_name(struct slice v)
{
    struct slice s = json_is_string(v) ? json_inner(v) : (struct slice){NULL, 0};
    if (s.len < 1 || s.len > 64)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", s.p[i]) ==
            NULL)
            return false;
    return true;
}

static bool check_tools(struct slice body, bool flat, struct error *err)
{
    struct slice tools = json_get(body, "tools"), choice = json_get(body, "tool_choice"), v;
    struct json j;
    bool started = false;
    if (!given(tools)) {
        if (given(choice) && !slice_is(choice, "\"none\""))
            return openai_refuse(err, 400, NULL, "tool_choice",
                                 "Invalid value for 'tool_choice': 'tool_choice' is only allowed "
                                 "when 'tools' are specified.");
        return true;
    }
    if (!is_type(tools, '['))
        return openai_refuse(err, 400, "invalid_type", "tools",
                             "Invalid type for 'tools': expected an array of objects.");
    json_init(&j, tools);
    json_enter(&j, '[');
    while (json_next_element(&j, &started, &v)) {
        struct slice type = json_get(v, "type"), f = flat ? v : json_get(v, "function");
        struct slice parameters = json_get(f, "parameters");
        if (!json_is_string(type))
            return openai_refuse(err, 400, "missing_required_parameter", "tools[0].type",
                                 "Missing required parameter: 'tools[0].type'.");
        if (!slice_is(type, "\"function\""))
            continue;
        if (!is_name(json_get(f, "name")))
            return openai_refuse(err, 400, "invalid_value", "tools[0].function.name",
                                 "Invalid 'tools[0].function.name': string does not match pattern. "
                                 "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.");
        if (given(parameters) && !is_type(parameters, '{'))
            return openai_refuse(err, 400, "invalid_type", "tools[0].function.parameters",
                                 "Invalid type for 'tools[0].function.parameters': expected an "
                                 "object.");
    }
    return true;
}

/* ---- chat completions ---- */

static bool check_part(struct slice part, struct error *err)
{
    struct slice type = json_get(part, "type");
    if (slice_is(type, "\"text\"") && json_is_string(json_get(part, "text")))
        return true;
    if (slice_is(type, "\"refusal\"") && json_is_string(json_get(part, "refusal")))
        return true;
    if (slice_is(type, "\"image_url\"") &&
        json_is_string(json_get(json_get(part, "image_url"), "url")))
        return true;
    if (slice_is(type, "\"input_audio\"") &&
        json_is_string(json_get(json_get(part, "input_audio"), "data")))
        return true;
    if (slice_is(type, "\"file\"") && is_type(json_get(part, "file"), '{'))
        return true;
    return openai_refuse(err, 400, "invalid_value", "messages",
                         "Invalid value: '" SLICE_FMT "' is no part of a message's content.",
                         SLICE_ARG(type));
}

static bool check_content(struct slice content, struct error *err)
{
    struct json j;
    struct slice v;
    bool started = false;
    if (json_is_string(content))
        return true;
    if (!is_type(content, '['))
        return openai_refuse(err, 400, "invalid_type", "messages",
                             "Invalid type for 'messages[0].content': expected one of a string or "
                             "array of objects.");
    json_init(&j, content);
    json_enter(&j, '[');
    while (json_next_element(&j, &started, &v))
        if (!check_part(v, err))
            return false;
    return true;
}

static bool check_details(struct slice message, struct error *err)
{
    struct json j;
    struct slice v;
    bool started = false;
    json_init(&j, json_get(message, "reasoning_details"));
    if (!json_enter(&j, '['))
        return true;
    while (json_next_element(&j, &started, &v)) {
        struct slice signature = json_get(v, "signature"), text = json_get(v, "text");
        struct bytes plain = {0};
        if (!given(signature))
            continue;
        if (json_is_string(text))
            json_decode(text, &plain);
        bool fits =
            sample_signature_fits(json_inner(signature), SAMPLE_COMPATIBLE, bytes_slice(&plain));
        bytes_fini(&plain);
        if (!fits)
            return openai_refuse(err, 400, "invalid_value", "messages",
                                 "Invalid signature of reasoning.");
    }
    return true;
}

enum { MAX_CALLS = 128 };
struct open_calls {
    struct slice ids[MAX_CALLS];
    size_t n;
    bool any; /* since the last assistant message */
};

static bool take_calls(struct open_calls *open, struct slice calls, struct error *err)
{
    struct json j;
    struct slice v;
    bool started = false;
    open->n = 0;
    open->any = false;
    json_init(&j, calls);
    if (!given(calls) || !json_enter(&j, '['))
        return true;
    while (json_next_element(&j, &started, &v)) {
        struct slice f = json_get(v, "function"), id = json_get(v, "id");
        if (!json_is_string(id) || !json_is_string(json_get(f, "name")) ||
            !json_is_string(json_get(f, "arguments")) ||
            !slice_is(json_get(v, "type"), "\"function\""))
            return openai_refuse(err, 400, "missing_required_parameter", "messages",
                                 "Missing required parameter of 'messages[0].tool_calls[0]'.");
        if (open->n < MAX_CALLS)
            open->ids[open->n++] = id;
    }
    open->any = open->n > 0;
    if (!open->any)
        return openai_refuse(
            err, 400, "empty_array", "messages",
            "Invalid 'messages[0].tool_calls': empty array. Expected an array with "
            "minimum length 1, but got an empty array instead.");
    return true;
}

static bool take_result(struct open_calls *open, struct slice message, struct error *err)
{
    struct slice id = json_get(message, "tool_call_id");
    for (size_t i = 0; i < open->n; i++) {
        if (!slice_eq(open->ids[i], id))
            continue;
        open->ids[i] = open->ids[--open->n];
        return check_content(json_get(message, "content"), err);
    }
    return openai_refuse(err, 400, NULL, "messages",
                         "Invalid parameter: messages with role 'tool' must be a response to a "
                         "preceeding message with 'tool_calls'.");
}

static bool check_message(struct open_calls *open, struct slice message, struct error *err)
{
    static const char *const roles[] = {"\"system\"", "\"developer\"", "\"user\"", "\"function\"",
                                        NULL};
    struct slice role = json_get(message, "role"), content = json_get(message, "content");
    if (slice_is(role, "\"tool\""))
        return take_result(open, message, err);
    if (open->n > 0)
        return openai_refuse(err, 400, NULL, "messages",
                             "An assistant message with 'tool_calls' must be followed by tool "
                             "messages responding to each 'tool_call_id'. The following "
                             "tool_call_ids did not have response messages: " SLICE_FMT,
                             SLICE_ARG(open->ids[0]));
    if (slice_is(role, "\"assistant\"")) {
        struct slice calls = json_get(message, "tool_calls");
        bool said = given(content) || given(json_get(message, "refusal")) || given(calls) ||
                    given(json_get(message, "function_call"));
        if (!said)
            return openai_refuse(err, 400, "invalid_value", "messages",
                                 "Invalid value for 'content': expected a string, got null.");
        return (!given(content) || check_content(content, err)) && check_details(message, err) &&
               take_calls(open, calls, err);
    }
    if (!is_any(role, roles))
        return openai_refuse(err, 400, "invalid_value", "messages[0].role",
                             "Invalid value: '" SLICE_FMT "'. Supported values are: 'system', "
                             "'assistant', 'user', 'function', 'tool', and 'developer'.",
                             SLICE_ARG(role));
    return check_content(content, err);
}

static bool check_messages(struct slice messages, struct error *err)
{
    struct open_calls open = {.n = 0};
    struct json j;
    struct slice v;
    bool started = false;
    json_init(&j, messages);
    json_enter(&j, '[');
    while (json_next_element(&j, &started, &v)) {
        if (!is_type(v, '{'))
            return openai_refuse(err, 400, "invalid_type", "messages[0]",
                                 "Invalid type for 'messages[0]': expected an object.");
        if (!check_message(&open, v, err))
            return false;
    }
    if (open.n > 0)
        return openai_refuse(err, 400, NULL, "messages",
                             "An assistant message with 'tool_calls' must be followed by tool "
                             "messages responding to each 'tool_call_id'.");
    return true;
}

static bool check_format(struct slice format, struct error *err)
{
    static const char *const types[] = {"\"text\"", "\"json_object\"", "\"json_schema\"", NULL};
    struct slice type = json_get(format, "type"), schema = json_get(format, "json_schema");
    if (!given(format))
        return true;
    if (!is_any(type, types))
        return openai_refuse(err, 400, "invalid_value", "response_format.type",
                             "Invalid value: 'response_format.type'.");
    if (slice_is(type, "\"json_schema\"") &&
        (!is_name(json_get(schema, "name")) || !is_type(json_get(schema, "schema"), '{')))
        return openai_refuse(err, 400, "missing_required_parameter", "response_format.json_schema",
                             "Missing required parameter: 'response_format.json_schema'.");
    return true;
}

static bool check_chat(struct slice body, struct error *err)
{
    if (given(json_get(body, "max_tokens")) && given(json_get(body, "max_completion_tokens")))
        return openai_refuse(err, 400, "invalid_parameter_combination", "max_tokens",
                             "Setting 'max_tokens' and 'max_completion_tokens' at the same time is "
                             "not supported.");
    return check_names(body, of_responses, err) && check_number(body, "temperature", 0, 2, err) &&
           check_number(body, "top_p", 0, 1, err) &&
           check_number(body, "presence_penalty", -2, 2, err) &&
           check_number(body, "frequency_penalty", -2, 2, err) && check_tools(body, false, err) &&
           check_format(json_get(body, "response_format"), err) &&
           check_messages(json_get(body, "messages"), err);
}

bool openai_check_chat(struct slice body, struct error *err)
{
    static _Thread_local struct passed passed;
    if (passed_before(&passed, body))
        return true;
    if (!check_chat(body, err))
        return false;
    passed_note(&passed, body);
    return true;
}

/* ---- Responses ---- */

static bool check_input_content(struct slice content, bool assistant, struct error *err)
{
    static const char *const in[] = {"\"input_text\"", "\"input_image\"", "\"input_file\"", NULL};
    static const char *const out[] = {"\"output_text\"", "\"refusal\"", NULL};
    struct json j;
    struct slice v;
    bool started = false;
    if (json_is_string(content))
        return true;
    json_init(&j, content);
    if (!is_type(content, '[') || !json_enter(&j, '['))
        return openai_refuse(err, 400, "invalid_type", "input",
                             "Invalid type for 'input[0].content'.");
    while (json_next_element(&j, &started, &v))
        if (!is_any(json_get(v, "type"), assistant ? out : in))
            return openai_refuse(err, 400, "invalid_value", "input",
                                 "Invalid value: '" SLICE_FMT "'. Supported values are: %s.",
                                 SLICE_ARG(json_get(v, "type")),
                                 assistant ? "'output_text' and 'refusal'"
                                           : "'input_text', 'input_image', and 'input_file'");
    return true;
}

/* An item of reasoning that came from here has the signature of its summary and its own id. */
static bool check_reasoning(struct slice item, struct error *err)
{
    struct slice encrypted = json_get(item, "encrypted_content");
    struct slice summary = openai_last_element(json_get(item, "summary"));
    struct bytes plain = {0};
    if (!json_is_string(json_get(item, "id")))
        return openai_refuse(err, 400, "missing_required_parameter", "input[0].id",
                             "Missing required parameter: 'input[0].id'.");
    if (json_is_string(json_get(summary, "text")))
        json_decode(json_get(summary, "text"), &plain);
    bool fits = !given(encrypted) ||
                sample_signature_fits(json_inner(encrypted), SAMPLE_OPENAI, bytes_slice(&plain));
    bytes_fini(&plain);
    if (fits)
        return true;
    return openai_refuse(err, 400, "invalid_encrypted_content", NULL,
                         "The encrypted content could not be verified.");
}

static bool check_item(struct open_calls *open, struct slice item, struct error *err)
{
    static const char *const roles[] = {"\"system\"", "\"developer\"", "\"user\"", "\"assistant\"",
                                        NULL};
    struct slice type = json_get(item, "type"), role = json_get(item, "role");
    struct slice id = json_get(item, "call_id");
    if (slice_is(type, "\"function_call\"")) {
        if (!json_is_string(id) || !json_is_string(json_get(item, "name")) ||
            !json_is_string(json_get(item, "arguments")))
            return openai_refuse(err, 400, "missing_required_parameter", "input",
                                 "Missing required parameter of 'input[0]'.");
        if (open->n < MAX_CALLS)
            open->ids[open->n++] = id;
        return true;
    }
    if (slice_is(type, "\"function_call_output\"")) {
        for (size_t i = 0; i < open->n; i++) {
            if (!slice_eq(open->ids[i], id))
                continue;
            open->ids[i] = open->ids[--open->n];
            return check_input_content(json_get(item, "output"), false, err);
        }
        return openai_refuse(err, 400, NULL, "input",
                             "No tool call found for function call output with call_id " SLICE_FMT
                             ".",
                             SLICE_ARG(id));
    }
    if (slice_is(type, "\"reasoning\""))
        return check_reasoning(item, err);
    if (given(type) && !slice_is(type, "\"message\""))
        return openai_refuse(err, 400, "invalid_value", "input[0].type",
                             "Invalid value: " SLICE_FMT, SLICE_ARG(type));
    if (!is_any(role, roles))
        return openai_refuse(err, 400, "invalid_value", "input[0].role",
                             "Invalid value: " SLICE_FMT
                             ". Supported values are: 'assistant', 'system', 'developer', and "
                             "'user'.",
                             SLICE_ARG(role));
    return check_input_content(json_get(item, "content"), slice_is(role, "\"assistant\""), err);
}

static bool check_input(struct slice input, struct error *err)
{
    struct open_calls open = {.n = 0};
    struct json j;
    struct slice v;
    bool started = false;
    if (json_is_string(input))
        return true;
    json_init(&j, input);
    if (!is_type(input, '[') || !json_enter(&j, '['))
        return openai_refuse(err, 400, "invalid_type", "input",
                             "Invalid type for 'input': expected one of a string or array of "
                             "input items.");
    while (json_next_element(&j, &started, &v))
        if (!check_item(&open, v, err))
            return false;
    if (open.n > 0)
        return openai_refuse(err, 400, NULL, "input",
                             "No tool output found for function call " SLICE_FMT ".",
                             SLICE_ARG(open.ids[0]));
    return true;
}

bool openai_check_responses(struct slice body, struct error *err)
{
    struct slice input = json_get(body, "input");
    bool kept = given(json_get(body, "previous_response_id"));
    return check_names(body, of_chat, err) && check_number(body, "temperature", 0, 2, err) &&
           check_number(body, "top_p", 0, 1, err) && check_tools(body, true, err) &&
           (kept || check_input(input, err));
}
