/*
 * openai.c: chat completions, completions, embeddings and models as OpenAI's API answers them.
 *
 * Formats: https://platform.openai.com/docs/api-reference (chat/object, chat/streaming,
 * completions/object, embeddings/object, models/list) and its guide to error codes.
 */
#include "tests/mockllm/dialect.h"
#include "tests/mockllm/json.h"
#include "tests/mockllm/sample.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    M_MODEL,
    M_STREAM,
    M_STREAM_OPTIONS,
    M_MESSAGES,
    M_PROMPT,
    M_INPUT,
    M_TOOLS,
    M_TOOL_CHOICE,
    M_RESPONSE_FORMAT,
    M_N,
    M_MAX_TOKENS,
    M_MAX_COMPLETION_TOKENS,
    M_DIMENSIONS,
    M_ENCODING_FORMAT,
    M_COUNT
};
static const char *const member_names[M_COUNT] = {
    "model",      "stream",          "stream_options",
    "messages",   "prompt",          "input",
    "tools",      "tool_choice",     "response_format",
    "n",          "max_tokens",      "max_completion_tokens",
    "dimensions", "encoding_format",
};

#define CREATED "1700000000"

/* ---- reading ---- */

static bool refuse(struct error *err, int status, const char *code, const char *param,
                   const char *fmt, ...) CHECKED_FMT(5);
static bool refuse(struct error *err, int status, const char *code, const char *param,
                   const char *fmt, ...)
{
    va_list ap;
    err->status = status;
    err->type = "invalid_request_error";
    err->code = code;
    err->param = param;
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    return false;
}

static bool read_members(struct call *call, struct error *err)
{
    struct json j;
    struct slice key, value;
    bool started = false;
    json_init(&j, call->req->body);
    json_enter(&j, '{');
    while (j.error == NULL && json_next_member(&j, &started, &key, &value)) {
        for (int i = 0; i < M_COUNT; i++) {
            if (!slice_is(key, member_names[i]))
                continue;
            if (call->members[i].p != NULL)
                return refuse(err, 400, "duplicate_member", member_names[i], "'%s' is given twice.",
                              member_names[i]);
            call->members[i] = value;
            break;
        }
    }
    if (!json_finish(&j))
        return refuse(err, 400, NULL, NULL,
                      "We could not parse the JSON body of your request: %s at byte %zu.", j.error,
                      json_offset(&j));
    return true;
}

static bool read_bool(struct call *call, int member, bool *out, struct error *err)
{
    struct slice v = call->members[member];
    *out = slice_is(v, "true");
    if (v.p == NULL || *out || slice_is(v, "false") || slice_is(v, "null"))
        return true;
    return refuse(err, 400, "invalid_type", member_names[member], "'%s' must be a boolean.",
                  member_names[member]);
}

static bool read_int(struct call *call, int member, int64_t min, int64_t max, int64_t *out,
                     struct error *err)
{
    struct slice v = call->members[member];
    if (v.p == NULL || slice_is(v, "null"))
        return true;
    if (slice_to_int(v, out) && *out >= min && *out <= max)
        return true;
    return refuse(err, 400, "invalid_value", member_names[member],
                  "'%s' must be an integer from %" PRId64 " to %" PRId64 ".", member_names[member],
                  min, max);
}

static bool need(struct call *call, int member, char open, struct error *err)
{
    struct slice v = call->members[member];
    if (v.len > 2 && (open == '*' || v.p[0] == open))
        return true;
    return refuse(err, 400, "missing_required_parameter", member_names[member],
                  "Missing required parameter: '%s'.", member_names[member]);
}

static bool read_common(struct call *call, int prompt, struct error *err)
{
    if (!read_members(call, err))
        return false;
    if (!json_is_string(call->members[M_MODEL]))
        return refuse(err, 400, NULL, NULL, "you must provide a model parameter");
    json_decode(call->members[M_MODEL], &call->model);
    /* A token is at least a byte; a quarter of the bytes is about what English text costs. */
    call->prompt_tokens = (int64_t)(call->members[prompt].len + 3) / 4;
    call->n = 1;
    if (!read_int(call, M_N, 1, 128, &call->n, err) ||
        !read_bool(call, M_STREAM, &call->stream, err))
        return false;
    struct slice options = call->members[M_STREAM_OPTIONS];
    if (options.p != NULL && !slice_is(options, "null")) {
        if (!call->stream)
            return refuse(err, 400, NULL, "stream_options",
                          "The 'stream_options' parameter is only allowed when 'stream' is "
                          "enabled.");
        call->include_usage = slice_is(json_get(options, "include_usage"), "true");
    }
    return true;
}

static bool has(const struct call *call, int member)
{
    return call->members[member].p != NULL && !slice_is(call->members[member], "null");
}

static bool is_echo(const struct call *call)
{
    return call->model.len >= 9 && memcmp(call->model.p, "mock-echo", 9) == 0;
}

static bool read_chat(struct call *call, struct error *err)
{
    if (!read_common(call, M_MESSAGES, err) || !need(call, M_MESSAGES, '[', err))
        return false;
    call->from_content = is_echo(call) || has(call, M_TOOLS) || has(call, M_RESPONSE_FORMAT) ||
                         has(call, M_MAX_TOKENS) || has(call, M_MAX_COMPLETION_TOKENS);
    return true;
}

static bool read_completion(struct call *call, struct error *err)
{
    if (!read_common(call, M_PROMPT, err) || !need(call, M_PROMPT, '*', err))
        return false;
    call->from_content = is_echo(call) || has(call, M_MAX_TOKENS);
    return true;
}

static bool read_embeddings(struct call *call, struct error *err)
{
    call->from_content = true;
    return read_common(call, M_INPUT, err) && need(call, M_INPUT, '*', err);
}

static bool read_nothing(struct call *call, struct error *err)
{
    bytes_add_slice(&call->model, call->suffix);
    call->from_content = true;
    return true;
}

/* ---- what is answered ---- */

enum content { CONTENT_TEXT, CONTENT_TOOL };

/* The raw text of an answer's JSON string, cut into tokens. */
struct tokens {
    enum content content;
    struct bytes raw;
    size_t *ends;
    size_t n, cap;
    const char *finish;
    struct bytes tool; /* raw name */
};

static void end_token(struct tokens *t)
{
    if (t->n == t->cap) {
        t->cap = t->cap > 0 ? t->cap * 2 : 64;
        t->ends = xrealloc(t->ends, t->cap * sizeof *t->ends);
    }
    t->ends[t->n++] = t->raw.len;
}

static struct slice token(const struct tokens *t, size_t i)
{
    size_t from = i > 0 ? t->ends[i - 1] : 0;
    return (struct slice){t->raw.p + from, t->ends[i] - from};
}

static void tokens_fini(struct tokens *t)
{
    bytes_fini(&t->raw);
    bytes_fini(&t->tool);
    free(t->ends);
}

static void add_words(struct tokens *t, const struct script *s)
{
    int64_t size = s->size > 0 && s->tokens > 0 ? s->size / s->tokens : s->token_size;
    for (int64_t i = 0; i < s->tokens; i++) {
        if (i == 0 && s->tokens > 0 && s->size > 0)
            sample_token(&t->raw, i, size + s->size % s->tokens);
        else
            sample_token(&t->raw, i, size);
        end_token(t);
    }
}

static void add_raw(struct tokens *t, struct slice raw)
{
    while (raw.len > 0) {
        size_t n = json_safe_prefix(raw, 16);
        bytes_add(&t->raw, raw.p, n);
        end_token(t);
        raw.p += n;
        raw.len -= n;
    }
}

/* Valid JSON as the raw text of a string. */
static void add_quoted(struct tokens *t, struct slice json)
{
    struct bytes raw = {0};
    for (size_t i = 0; i < json.len; i++) {
        if (json.p[i] == '"' || json.p[i] == '\\')
            bytes_adds(&raw, "\\");
        bytes_add(&raw, &json.p[i], 1);
    }
    add_raw(t, bytes_slice(&raw));
    bytes_fini(&raw);
}

static struct slice last_element(struct slice array)
{
    struct json j;
    struct slice v, last = {NULL, 0};
    bool started = false;
    json_init(&j, array);
    if (json_enter(&j, '['))
        while (json_next_element(&j, &started, &v))
            last = v;
    return last;
}

/* A message's text: its content, or the text of the last part that has one. */
static struct slice message_text(struct slice message)
{
    struct slice content = json_get(message, "content");
    if (content.len > 0 && content.p[0] == '[')
        content = json_get(last_element(content), "text");
    return json_is_string(content) ? json_inner(content) : SLICE("");
}

static void add_tool_call(struct tokens *t, struct slice tools)
{
    struct json j;
    struct slice tool = {NULL, 0};
    bool started = false;
    json_init(&j, tools);
    if (json_enter(&j, '['))
        json_next_element(&j, &started, &tool);
    struct slice function = json_get(tool, "function"), name = json_get(function, "name");
    struct bytes arguments = {0};
    sample_instance(&arguments, json_get(function, "parameters"));
    t->content = CONTENT_TOOL;
    t->finish = "tool_calls";
    bytes_add_slice(&t->tool, json_is_string(name) ? json_inner(name) : SLICE("nameless"));
    add_quoted(t, bytes_slice(&arguments));
    bytes_fini(&arguments);
}

static bool wants_tool(const struct call *call, struct slice last)
{
    struct slice choice = call->members[M_TOOL_CHOICE];
    if (!has(call, M_TOOLS) || slice_is(choice, "\"none\"") ||
        slice_is(json_get(last, "role"), "\"tool\""))
        return false;
    bool forced = slice_is(choice, "\"required\"") || (choice.len > 0 && choice.p[0] == '{');
    return forced || (call->model.len >= 10 && memcmp(call->model.p, "mock-tools", 10) == 0);
}

static void limit_tokens(struct tokens *t, const struct call *call)
{
    int64_t max = INT64_MAX, v;
    if (slice_to_int(call->members[M_MAX_TOKENS], &v) && v >= 0)
        max = v;
    if (slice_to_int(call->members[M_MAX_COMPLETION_TOKENS], &v) && v >= 0)
        max = v;
    if ((int64_t)t->n > max) {
        t->n = (size_t)max;
        t->finish = "length";
    }
    t->raw.len = t->n > 0 ? t->ends[t->n - 1] : 0;
}

static void choose_chat(struct tokens *t, const struct call *call, const struct script *s)
{
    struct slice last = call->from_content ? last_element(call->members[M_MESSAGES]) : SLICE("");
    struct slice format = json_get(call->members[M_RESPONSE_FORMAT], "type");
    *t = (struct tokens){.finish = "stop"};
    if (wants_tool(call, last)) {
        add_tool_call(t, call->members[M_TOOLS]);
    } else if (slice_is(format, "\"json_schema\"")) {
        struct bytes instance = {0};
        struct slice schema = json_get(call->members[M_RESPONSE_FORMAT], "json_schema");
        sample_instance(&instance, json_get(schema, "schema"));
        add_quoted(t, bytes_slice(&instance));
        bytes_fini(&instance);
    } else if (slice_is(format, "\"json_object\"")) {
        add_raw(t, SLICE("{\\\"answer\\\":\\\"mock\\\"}"));
    } else if (is_echo(call)) {
        add_raw(t, message_text(last));
    } else {
        add_words(t, s);
    }
    limit_tokens(t, call);
    if (s->finish[0] != '\0')
        t->finish = s->finish;
}

static void choose_completion(struct tokens *t, const struct call *call, const struct script *s)
{
    struct slice prompt = call->members[M_PROMPT];
    *t = (struct tokens){.finish = s->finish[0] != '\0' ? s->finish : "stop"};
    if (is_echo(call))
        add_raw(t, json_is_string(prompt) ? json_inner(prompt) : SLICE(""));
    else
        add_words(t, s);
    limit_tokens(t, call);
}

/* ---- usage ---- */

struct figures {
    int64_t prompt, completion, cached, reasoning;
};

static struct figures figures_of(const struct call *call, const struct script *s, size_t tokens)
{
    return (struct figures){
        .prompt = s->prompt != INT64_MIN ? s->prompt : call->prompt_tokens,
        .completion = s->completion != INT64_MIN ? s->completion : (int64_t)tokens * call->n,
        .cached = s->cached,
        .reasoning = s->reasoning,
    };
}

static void add_usage(struct bytes *out, const struct script *s, struct figures f)
{
    switch (s->usage) {
    case USAGE_NULL:
        bytes_adds(out, "null");
        return;
    case USAGE_HUGE:
        bytes_adds(out, "{\"prompt_tokens\":99999999999999999999,\"completion_tokens\":"
                        "99999999999999999999,\"total_tokens\":1e300}");
        return;
    case USAGE_FRACTION:
        bytes_adds(out, "{\"prompt_tokens\":1.5,\"completion_tokens\":2.25,\"total_tokens\":3.75}");
        return;
    case USAGE_STRING:
        bytes_addf(out, "{\"prompt_tokens\":\"%" PRId64 "\",\"completion_tokens\":\"%" PRId64 "\"}",
                   f.prompt, f.completion);
        return;
    case USAGE_PARTIAL:
        bytes_addf(out, "{\"prompt_tokens\":%" PRId64 "}", f.prompt);
        return;
    case USAGE_ZERO:
        f = (struct figures){0};
        break;
    case USAGE_NEGATIVE:
        f = (struct figures){-f.prompt - 1, -f.completion - 1, -1, -1};
        break;
    default:
        break;
    }
    bytes_addf(out,
               "{\"prompt_tokens\":%" PRId64 ",\"completion_tokens\":%" PRId64
               ",\"total_tokens\":%" PRId64 ",\"prompt_tokens_details\":{\"cached_tokens\":%" PRId64
               ",\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":%" PRId64
               ",\"audio_tokens\":0,\"accepted_prediction_tokens\":0,"
               "\"rejected_prediction_tokens\":0}}",
               f.prompt, f.completion, f.prompt + f.completion, f.cached, f.reasoning);
}

static void add_whole_usage(struct bytes *out, const struct script *s, struct figures f)
{
    if (s->usage == USAGE_ABSENT)
        return;
    bytes_adds(out, ",\"usage\":");
    add_usage(out, s, f);
}

/* ---- whole answers ---- */

static void add_model(struct bytes *out, const struct call *call, const struct script *s)
{
    bytes_adds(out, "\"model\":");
    if (s->reply_model[0] != '\0')
        bytes_add_json(out, (struct slice){s->reply_model, strlen(s->reply_model)});
    else
        bytes_add_json(out, bytes_slice(&call->model));
}

static void add_message(struct bytes *out, const struct tokens *t)
{
    if (t->content == CONTENT_TEXT) {
        bytes_adds(out, "{\"role\":\"assistant\",\"content\":\"");
        bytes_add_slice(out, bytes_slice(&t->raw));
        bytes_adds(out, "\",\"refusal\":null,\"annotations\":[]}");
        return;
    }
    bytes_adds(out, "{\"role\":\"assistant\",\"content\":null,\"refusal\":null,\"tool_calls\":"
                    "[{\"id\":\"call_mock\",\"type\":\"function\",\"function\":{\"name\":\"");
    bytes_add_slice(out, bytes_slice(&t->tool));
    bytes_adds(out, "\",\"arguments\":\"");
    bytes_add_slice(out, bytes_slice(&t->raw));
    bytes_adds(out, "\"}}]}");
}

static void write_whole(const struct call *call, const struct script *s, const struct tokens *t,
                        bool chat, struct reply *out)
{
    struct bytes *b = &out->text;
    bytes_adds(
        b, chat ? "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"created\":" CREATED
                  ","
                : "{\"id\":\"cmpl-mock\",\"object\":\"text_completion\",\"created\":" CREATED ",");
    add_model(b, call, s);
    bytes_adds(b, ",\"choices\":[");
    for (int64_t i = 0; i < call->n; i++) {
        bytes_addf(b, "%s{\"index\":%" PRId64 ",", i > 0 ? "," : "", i);
        if (chat) {
            bytes_adds(b, "\"message\":");
            add_message(b, t);
        } else {
            bytes_adds(b, "\"text\":\"");
            bytes_add_slice(b, bytes_slice(&t->raw));
            bytes_adds(b, "\"");
        }
        bytes_addf(b, ",\"logprobs\":null,\"finish_reason\":\"%s\"}", t->finish);
    }
    bytes_adds(b, "]");
    add_whole_usage(b, s, figures_of(call, s, t->n));
    bytes_adds(b, chat ? ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\"}" : "}");
    reply_end_piece(out, PIECE_WHOLE, (uint32_t)(out->completion_tokens));
}

/* ---- streams ---- */

struct stream {
    const struct call *call;
    const struct script *s;
    const struct tokens *t;
    struct reply *out;
    bool chat;
    struct figures total;
    int64_t sent; /* completion tokens so far */
};

static void begin_event(struct stream *st)
{
    struct bytes *b = &st->out->text;
    bytes_adds(b, st->chat ? "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\","
                             "\"created\":" CREATED ","
                           : "data: {\"id\":\"cmpl-mock\",\"object\":\"text_completion\","
                             "\"created\":" CREATED ",");
    add_model(b, st->call, st->s);
    bytes_adds(b, st->chat ? ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\","
                             "\"choices\":["
                           : ",\"choices\":[");
}

/* What this event says about usage: where the script puts it, else null in each but the last when
 * usage was asked for. */
static void add_event_usage(struct stream *st, bool first, bool last)
{
    struct bytes *b = &st->out->text;
    struct figures f = st->total;
    enum usage u = st->s->usage;
    if (u == USAGE_EVERY)
        f.completion = st->sent;
    else if (u == USAGE_DECREASING)
        f.completion = 2 * st->total.completion - st->sent;
    if (u == USAGE_EVERY || u == USAGE_DECREASING || (u == USAGE_FIRST && first) ||
        (u == USAGE_LAST && last)) {
        bytes_adds(b, ",\"usage\":");
        add_usage(b, st->s, f);
    } else if (st->call->include_usage && u != USAGE_ABSENT) {
        bytes_adds(b, ",\"usage\":null");
    }
}

static void end_event(struct stream *st, uint32_t tokens)
{
    bytes_adds(&st->out->text, "}\n\n");
    reply_end_piece(st->out, PIECE_EVENT, tokens);
}

static void add_delta(struct stream *st, int64_t index, struct slice text, bool first)
{
    struct bytes *b = &st->out->text;
    bytes_addf(b, "{\"index\":%" PRId64 ",", index);
    if (!st->chat)
        bytes_adds(b, "\"text\":\"");
    else if (st->t->content == CONTENT_TEXT)
        bytes_adds(b, first ? "\"delta\":{\"role\":\"assistant\",\"refusal\":null,\"content\":\""
                            : "\"delta\":{\"content\":\"");
    else if (first)
        bytes_addf(
            b,
            "\"delta\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"index\":0,"
            "\"id\":\"call_mock\",\"type\":\"function\",\"function\":{\"name\":\"" SLICE_FMT
            "\",\"arguments\":\"",
            SLICE_ARG(bytes_slice(&st->t->tool)));
    else
        bytes_adds(b, "\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"");
    bytes_add_slice(b, text);
    if (st->chat)
        bytes_adds(b, st->t->content == CONTENT_TEXT ? "\"}" : "\"}}]}");
    else
        bytes_adds(b, "\"");
    bytes_adds(b, ",\"logprobs\":null,\"finish_reason\":null}]");
}

static void add_finish(struct stream *st, int64_t index)
{
    bytes_addf(&st->out->text,
               "{\"index\":%" PRId64 ",%s,\"logprobs\":null,\"finish_reason\":\"%s\"}]", index,
               st->chat ? "\"delta\":{}" : "\"text\":\"\"", st->t->finish);
}

static void add_usage_event(struct stream *st, struct figures f)
{
    begin_event(st);
    bytes_adds(&st->out->text, "],\"usage\":");
    add_usage(&st->out->text, st->s, f);
    end_event(st, 0);
}

static void add_last_events(struct stream *st)
{
    enum usage u = st->s->usage;
    bool asked = st->call->include_usage || u == USAGE_ALWAYS || u == USAGE_TWICE;
    if (asked && u != USAGE_ABSENT && u != USAGE_FIRST && u != USAGE_LAST && u != USAGE_EVERY &&
        u != USAGE_DECREASING)
        add_usage_event(st, st->total);
    if (u == USAGE_TWICE)
        add_usage_event(st, (struct figures){st->total.prompt + 1, st->total.completion + 1, 0, 0});
    if (st->s->done) {
        bytes_adds(&st->out->text, "data: [DONE]\n\n");
        reply_end_piece(st->out, PIECE_DONE, 0);
    }
}

static void write_error_event(const struct error *err, struct reply *out);

/* True when the script wants an error here instead of the next event. */
static bool fail_stream(struct stream *st, int64_t events)
{
    if (st->s->error_after < 0 || events < st->s->error_after)
        return false;
    struct error err = {.type = "server_error",
                        .code = st->s->error[0] != '\0' ? st->s->error : NULL,
                        .message = "The server had an error while processing your request."};
    write_error_event(&err, st->out);
    return true;
}

static void write_stream(const struct call *call, const struct script *s, const struct tokens *t,
                         bool chat, struct reply *out)
{
    struct stream st = {call, s, t, out, chat, figures_of(call, s, t->n), 0};
    int64_t events = 0;
    for (size_t i = 0; i < t->n; i++) {
        for (int64_t c = 0; c < call->n; c++) {
            if (fail_stream(&st, events++))
                return;
            begin_event(&st);
            add_delta(&st, c, token(t, i), i == 0);
            st.sent++;
            add_event_usage(&st, events == 1, false);
            end_event(&st, 1);
        }
    }
    for (int64_t c = 0; c < call->n; c++) {
        if (fail_stream(&st, events++))
            return;
        begin_event(&st);
        add_finish(&st, c);
        add_event_usage(&st, false, c == call->n - 1);
        end_event(&st, 0);
    }
    add_last_events(&st);
}

static void write_text(const struct call *call, const struct script *s, struct tokens *t, bool chat,
                       struct reply *out)
{
    struct figures f = figures_of(call, s, t->n);
    out->status = 200;
    out->prompt_tokens = f.prompt;
    out->completion_tokens = f.completion;
    out->ctype = call->stream ? "text/event-stream; charset=utf-8" : "application/json";
    if (call->stream)
        write_stream(call, s, t, chat, out);
    else
        write_whole(call, s, t, chat, out);
    tokens_fini(t);
}

static void write_chat(const struct call *call, const struct script *s, struct reply *out)
{
    struct tokens t;
    choose_chat(&t, call, s);
    write_text(call, s, &t, true, out);
}

static void write_completion(const struct call *call, const struct script *s, struct reply *out)
{
    struct tokens t;
    choose_completion(&t, call, s);
    write_text(call, s, &t, false, out);
}

/* ---- embeddings ---- */

/* The same text has the same vector, and two texts hardly ever the same. */
static float component(uint64_t seed, int64_t i)
{
    uint64_t x = seed + (uint64_t)i * 0x9e3779b97f4a7c15u; /* splitmix64 */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (float)((int64_t)(x >> 44) - 524288) / 524288.0f;
}

static void add_vector(struct bytes *b, struct slice input, int64_t dimensions, bool base64)
{
    uint64_t seed = slice_hash(input);
    if (!base64) {
        for (int64_t i = 0; i < dimensions; i++)
            bytes_addf(b, "%c%.6f", i > 0 ? ',' : '[', (double)component(seed, i));
        bytes_adds(b, "]");
        return;
    }
    float *v = xcalloc((size_t)dimensions, sizeof *v);
    for (int64_t i = 0; i < dimensions; i++)
        v[i] = component(seed, i);
    int raw = (int)((size_t)dimensions * sizeof *v);
    bytes_adds(b, "\"");
    char *to = bytes_reserve(b, (size_t)(raw + 2) / 3 * 4 + 1);
    b->len += (size_t)EVP_EncodeBlock((unsigned char *)to, (unsigned char *)v, raw);
    bytes_adds(b, "\"");
    free(v);
}

static void add_embedding(struct bytes *b, int64_t index, struct slice input, int64_t dimensions,
                          bool base64)
{
    bytes_addf(b, "%s{\"object\":\"embedding\",\"index\":%" PRId64 ",\"embedding\":",
               index > 0 ? "," : "", index);
    add_vector(b, input, dimensions, base64);
    bytes_adds(b, "}");
}

static void write_embeddings(const struct call *call, const struct script *s, struct reply *out)
{
    struct bytes *b = &out->text;
    struct slice input = call->members[M_INPUT], v;
    int64_t dimensions = 64, count = 0;
    struct figures f = figures_of(call, s, 0);
    bool base64 = slice_is(call->members[M_ENCODING_FORMAT], "\"base64\""), started = false;
    if (!slice_to_int(call->members[M_DIMENSIONS], &dimensions) || dimensions < 1 ||
        dimensions > 65536)
        dimensions = 64;
    bytes_adds(b, "{\"object\":\"list\",\"data\":[");
    struct json j;
    json_init(&j, input);
    if (input.p[0] != '[' || (input.len > 1 && strchr("0123456789", input.p[1]) != NULL))
        add_embedding(b, 0, input, dimensions, base64);
    else if (json_enter(&j, '['))
        while (json_next_element(&j, &started, &v))
            add_embedding(b, count++, v, dimensions, base64);
    bytes_adds(b, "],");
    add_model(b, call, s);
    if (s->usage != USAGE_ABSENT)
        bytes_addf(b, ",\"usage\":{\"prompt_tokens\":%" PRId64 ",\"total_tokens\":%" PRId64 "}",
                   f.prompt, f.prompt);
    bytes_adds(b, "}");
    out->status = 200;
    out->ctype = "application/json";
    out->prompt_tokens = f.prompt;
    reply_end_piece(out, PIECE_WHOLE, 0);
}

/* ---- models ---- */

static void add_model_object(struct bytes *b, struct slice id)
{
    bytes_adds(b, "{\"id\":");
    bytes_add_json(b, id);
    bytes_adds(b, ",\"object\":\"model\",\"created\":" CREATED ",\"owned_by\":\"mockllm\"}");
}

static void write_models(const struct call *call, const struct script *s, struct reply *out)
{
    static const char *const ids[] = {"mock-chat", "mock-echo", "mock-tools", "mock-embed"};
    bytes_adds(&out->text, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        if (i > 0)
            bytes_adds(&out->text, ",");
        add_model_object(&out->text, (struct slice){ids[i], strlen(ids[i])});
    }
    bytes_adds(&out->text, "]}");
    out->status = 200;
    out->ctype = "application/json";
    reply_end_piece(out, PIECE_WHOLE, 0);
}

static void write_model(const struct call *call, const struct script *s, struct reply *out)
{
    add_model_object(&out->text, bytes_slice(&call->model));
    out->status = 200;
    out->ctype = "application/json";
    reply_end_piece(out, PIECE_WHOLE, 0);
}

/* ---- errors and credentials ---- */

static void add_or_null(struct bytes *b, const char *text)
{
    if (text == NULL)
        bytes_adds(b, "null");
    else
        bytes_add_json(b, (struct slice){text, strlen(text)});
}

static void add_error(struct bytes *b, const struct error *err)
{
    bytes_adds(b, "{\"error\":{\"message\":");
    add_or_null(b, err->message);
    bytes_adds(b, ",\"type\":");
    add_or_null(b, err->type);
    bytes_adds(b, ",\"param\":");
    add_or_null(b, err->param);
    bytes_adds(b, ",\"code\":");
    add_or_null(b, err->code);
    bytes_adds(b, "}}");
}

static void write_error(const struct error *err, struct reply *out)
{
    out->status = err->status;
    out->ctype = "application/json";
    add_error(&out->text, err);
    reply_end_piece(out, PIECE_WHOLE, 0);
}

static void write_error_event(const struct error *err, struct reply *out)
{
    bytes_adds(&out->text, "data: ");
    add_error(&out->text, err);
    bytes_adds(&out->text, "\n\n");
    reply_end_piece(out, PIECE_EVENT, 0);
}

static struct slice credential(const struct request *req)
{
    struct slice v = http_header(req, "authorization");
    if (v.len < 7 || !slice_is_nocase((struct slice){v.p, 7}, "bearer "))
        return (struct slice){NULL, 0};
    return (struct slice){v.p + 7, v.len - 7};
}

static const struct route routes[] = {
    {"POST", "/v1/chat/completions", read_chat, write_chat},
    {"POST", "/v1/completions", read_completion, write_completion},
    {"POST", "/v1/embeddings", read_embeddings, write_embeddings},
    {"GET", "/v1/models", read_nothing, write_models},
    {"GET", "/v1/models/*", read_nothing, write_model},
};

const struct dialect dialect_openai = {
    .name = "openai",
    .routes = routes,
    .nroutes = ARRAY_LEN(routes),
    .credential = credential,
    .write_error = write_error,
};
