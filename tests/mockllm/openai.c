/*
 * openai.c: chat completions, completions, embeddings and models as OpenAI's API answers them.
 *
 * Formats: https://platform.openai.com/docs/api-reference (chat/object, chat/streaming,
 * completions/object, embeddings/object, models/list) and its guide to error codes.
 */
#include "tests/mockllm/openai.h"

#include "tests/mockllm/search.h"

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

#define CREATED OPENAI_CREATED

/* ---- reading ---- */

bool openai_refuse(struct error *err, int status, const char *code, const char *param,
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

bool openai_read_members(struct call *call, const char *const *names, int n, struct error *err)
{
    struct json j;
    struct slice key, value;
    bool started = false;
    json_init(&j, call->req->body);
    json_enter(&j, '{');
    while (j.error == NULL && json_next_member(&j, &started, &key, &value)) {
        for (int i = 0; i < n; i++) {
            if (!slice_is(key, names[i]))
                continue;
            if (call->members[i].p != NULL)
                return openai_refuse(err, 400, "duplicate_member", names[i], "'%s' is given twice.",
                                     names[i]);
            call->members[i] = value;
            break;
        }
    }
    if (!json_finish(&j))
        return openai_refuse(err, 400, NULL, NULL,
                             "We could not parse the JSON body of your request: %s at byte %zu.",
                             j.error, json_offset(&j));
    if (!json_is_string(call->members[0]))
        return openai_refuse(err, 400, NULL, NULL, "you must provide a model parameter");
    json_decode(call->members[0], &call->model);
    return true;
}

bool openai_read_bool(struct slice v, const char *name, bool *out, struct error *err)
{
    *out = slice_is(v, "true");
    if (v.p == NULL || *out || slice_is(v, "false") || slice_is(v, "null"))
        return true;
    return openai_refuse(err, 400, "invalid_type", name, "'%s' must be a boolean.", name);
}

static bool read_int(struct call *call, int member, int64_t min, int64_t max, int64_t *out,
                     struct error *err)
{
    struct slice v = call->members[member];
    if (v.p == NULL || slice_is(v, "null"))
        return true;
    if (slice_to_int(v, out) && *out >= min && *out <= max)
        return true;
    return openai_refuse(err, 400, "invalid_value", member_names[member],
                         "'%s' must be an integer from %" PRId64 " to %" PRId64 ".",
                         member_names[member], min, max);
}

static bool need(struct call *call, int member, char open, struct error *err)
{
    struct slice v = call->members[member];
    if (v.len > 2 && (open == '*' || v.p[0] == open))
        return true;
    return openai_refuse(err, 400, "missing_required_parameter", member_names[member],
                         "Missing required parameter: '%s'.", member_names[member]);
}

static bool read_common(struct call *call, int prompt, struct error *err)
{
    if (!openai_read_members(call, member_names, M_COUNT, err))
        return false;
    /* A token is at least a byte; a quarter of the bytes is about what English text costs. */
    call->prompt_tokens = (int64_t)(call->members[prompt].len + 3) / 4;
    call->n = 1;
    if (!read_int(call, M_N, 1, 128, &call->n, err) ||
        !openai_read_bool(call->members[M_STREAM], "stream", &call->stream, err))
        return false;
    struct slice options = call->members[M_STREAM_OPTIONS];
    if (options.p != NULL && !slice_is(options, "null")) {
        if (!call->stream)
            return openai_refuse(err, 400, NULL, "stream_options",
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
    if (!read_common(call, M_MESSAGES, err) || !need(call, M_MESSAGES, '[', err) ||
        !openai_check_chat(call->req->body, err))
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

static int64_t max_tokens(const struct call *call)
{
    int64_t max = INT64_MAX, v;
    if (slice_to_int(call->members[M_MAX_TOKENS], &v) && v >= 0)
        max = v;
    if (slice_to_int(call->members[M_MAX_COMPLETION_TOKENS], &v) && v >= 0)
        max = v;
    return max;
}

static void choose_chat(struct openai_content *c, const struct call *call, const struct script *s)
{
    struct slice last =
        call->from_content ? openai_last_element(call->members[M_MESSAGES]) : SLICE("");
    struct slice format = call->members[M_RESPONSE_FORMAT], type = json_get(format, "type");
    struct openai_ask ask = {
        .echo = is_echo(call),
        .tools_by_name = call->model.len >= 10 && memcmp(call->model.p, "mock-tools", 10) == 0,
        .said = openai_message_text(last),
        .after_result = slice_is(json_get(last, "role"), "\"tool\""),
        .tools = call->members[M_TOOLS],
        .tool_choice = call->members[M_TOOL_CHOICE],
        .json_object = slice_is(type, "\"json_object\""),
        .max_tokens = max_tokens(call),
    };
    if (slice_is(type, "\"json_schema\""))
        ask.schema = json_get(json_get(format, "json_schema"), "schema");
    openai_choose(c, &ask, s);
}

static void choose_completion(struct openai_content *c, const struct call *call,
                              const struct script *s)
{
    struct slice prompt = call->members[M_PROMPT];
    struct script plain = *s;
    struct openai_ask ask = {.echo = is_echo(call),
                             .said = json_is_string(prompt) ? json_inner(prompt) : SLICE(""),
                             .max_tokens = max_tokens(call)};
    plain.tools = plain.reason = plain.refusal = plain.empty = 0;
    openai_choose(c, &ask, &plain);
}

/* ---- usage ---- */

struct openai_figures openai_figures_of(const struct call *call, const struct script *s,
                                        int64_t tokens)
{
    return (struct openai_figures){
        .prompt = s->prompt != INT64_MIN ? s->prompt : call->prompt_tokens,
        .completion = s->completion != INT64_MIN ? s->completion : tokens * call->n,
        .cached = s->cached,
        .cache_write = s->cache_write,
        .reasoning = s->reasoning != 0 ? s->reasoning : s->reason,
    };
}

void openai_add_usage(struct bytes *out, const struct script *s, struct openai_figures f,
                      bool responses)
{
    const char *in = responses ? "input" : "prompt", *of = responses ? "output" : "completion";
    switch (s->usage) {
    case USAGE_NULL:
        bytes_adds(out, "null");
        return;
    case USAGE_HUGE:
        bytes_addf(out,
                   "{\"%s_tokens\":99999999999999999999,\"%s_tokens\":99999999999999999999,"
                   "\"total_tokens\":1e300}",
                   in, of);
        return;
    case USAGE_FRACTION:
        bytes_addf(out, "{\"%s_tokens\":1.5,\"%s_tokens\":2.25,\"total_tokens\":3.75}", in, of);
        return;
    case USAGE_STRING:
        bytes_addf(out, "{\"%s_tokens\":\"%" PRId64 "\",\"%s_tokens\":\"%" PRId64 "\"}", in,
                   f.prompt, of, f.completion);
        return;
    case USAGE_PARTIAL:
        bytes_addf(out, "{\"%s_tokens\":%" PRId64 "}", in, f.prompt);
        return;
    case USAGE_ZERO:
        f = (struct openai_figures){0};
        break;
    case USAGE_NEGATIVE:
        f = (struct openai_figures){-f.prompt - 1, -f.completion - 1, -1, 0, -1};
        break;
    default:
        break;
    }
    bytes_addf(out,
               "{\"%s_tokens\":%" PRId64 ",\"%s_tokens\":%" PRId64 ",\"total_tokens\":%" PRId64
               ",\"%s_tokens_details\":{\"cached_tokens\":%" PRId64,
               in, f.prompt, of, f.completion, f.prompt + f.completion, in, f.cached);
    if (responses || f.cache_write != 0)
        bytes_addf(out, ",\"cache_write_tokens\":%" PRId64, f.cache_write);
    bytes_addf(out, "%s},\"%s_tokens_details\":{\"reasoning_tokens\":%" PRId64 "%s}}",
               responses ? "" : ",\"audio_tokens\":0", of, f.reasoning,
               responses ? ""
                         : ",\"audio_tokens\":0,\"accepted_prediction_tokens\":0,"
                           "\"rejected_prediction_tokens\":0");
}

static void add_whole_usage(struct bytes *out, const struct script *s, struct openai_figures f)
{
    if (s->usage == USAGE_ABSENT)
        return;
    bytes_adds(out, ",\"usage\":");
    openai_add_usage(out, s, f, false);
}

/* ---- whole answers ---- */

void openai_add_model(struct bytes *out, const struct call *call, const struct script *s)
{
    bytes_adds(out, "\"model\":");
    if (s->reply_model[0] != '\0')
        bytes_add_json(out, (struct slice){s->reply_model, strlen(s->reply_model)});
    else
        bytes_add_json(out, bytes_slice(&call->model));
}

static const struct openai_block *find_block(const struct openai_content *c,
                                             enum openai_block_kind kind)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->blocks[i].kind == kind)
            return &c->blocks[i];
    return NULL;
}

static void add_quoted_block(struct bytes *out, const struct openai_block *b)
{
    bytes_addf(out, "\"" SLICE_FMT "\"", SLICE_ARG(bytes_slice(&b->raw)));
}

static void add_annotations(struct bytes *out, int64_t n)
{
    bytes_adds(out, "\"annotations\":[");
    for (int64_t i = 0; i < n; i++)
        bytes_addf(out,
                   "%s{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":%" PRId64
                   ",\"end_index\":%" PRId64 ",\"url\":\"https://mock.test/%" PRId64
                   "\",\"title\":\"Mock %" PRId64 "\"}}",
                   i > 0 ? "," : "", i, i + 1, i, i);
    bytes_adds(out, "]");
}

static void add_message(struct bytes *out, const struct openai_content *c)
{
    const struct openai_block *text = find_block(c, OPENAI_TEXT), *b;
    bool calls = find_block(c, OPENAI_CALL) != NULL;
    bytes_adds(out, "{\"role\":\"assistant\",\"content\":");
    if (text != NULL)
        add_quoted_block(out, text);
    else
        bytes_adds(out, calls || find_block(c, OPENAI_REFUSAL) != NULL ? "null" : "\"\"");
    bytes_adds(out, ",\"refusal\":");
    if ((b = find_block(c, OPENAI_REFUSAL)) != NULL)
        add_quoted_block(out, b);
    else
        bytes_adds(out, "null");
    if (!calls) {
        bytes_adds(out, ",");
        add_annotations(out, c->cite);
    }
    if ((b = find_block(c, OPENAI_REASONING)) != NULL) {
        bytes_adds(out, ",\"reasoning_content\":");
        add_quoted_block(out, b);
        bytes_addf(out,
                   ",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"" SLICE_FMT
                   "\",\"signature\":\"" SLICE_FMT "\",\"index\":0}]",
                   SLICE_ARG(bytes_slice(&b->raw)), SLICE_ARG(bytes_slice(&b->signature)));
    }
    const char *comma = ",\"tool_calls\":[";
    for (size_t i = 0; i < c->n; i++) {
        b = &c->blocks[i];
        if (b->kind != OPENAI_CALL)
            continue;
        bytes_addf(out,
                   "%s{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":\"" SLICE_FMT
                   "\",\"arguments\":\"" SLICE_FMT "\"}}",
                   comma, b->id, SLICE_ARG(bytes_slice(&b->name)), SLICE_ARG(bytes_slice(&b->raw)));
        comma = ",";
    }
    bytes_adds(out, calls ? "]}" : "}");
}

/* ---- what Azure's content filter says of it ---- */

#define FILTERED_NOTHING                                                                           \
    "{\"hate\":{\"filtered\":false,\"severity\":\"safe\"},"                                        \
    "\"self_harm\":{\"filtered\":false,\"severity\":\"safe\"}}"
#define PROMPT_FILTERED                                                                            \
    "\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":" FILTERED_NOTHING  \
    "}]"

static void write_whole(const struct call *call, const struct script *s,
                        const struct openai_content *c, bool chat, struct reply *out)
{
    struct bytes *b = &out->text;
    const struct openai_block *text = find_block(c, OPENAI_TEXT);
    bytes_adds(
        b, chat ? "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"created\":" CREATED
                  ","
                : "{\"id\":\"cmpl-mock\",\"object\":\"text_completion\",\"created\":" CREATED ",");
    openai_add_model(b, call, s);
    bytes_adds(b, ",\"choices\":[");
    for (int64_t i = 0; i < call->n; i++) {
        bytes_addf(b, "%s{\"index\":%" PRId64 ",", i > 0 ? "," : "", i);
        if (chat) {
            bytes_adds(b, "\"message\":");
            add_message(b, c);
        } else {
            bytes_addf(b, "\"text\":\"" SLICE_FMT "\"", SLICE_ARG(bytes_slice(&text->raw)));
        }
        bytes_addf(b, ",\"logprobs\":null,\"finish_reason\":\"%s\"", c->finish);
        if (call->req->annotates)
            bytes_adds(b, ",\"content_filter_results\":" FILTERED_NOTHING);
        bytes_adds(b, "}");
    }
    bytes_adds(b, "]");
    if (call->req->annotates)
        bytes_adds(b, "," PROMPT_FILTERED);
    add_whole_usage(b, s, openai_figures_of(call, s, c->tokens));
    bytes_adds(b, chat ? ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\"}" : "}");
    reply_end_piece(out, PIECE_WHOLE, (uint32_t)(out->completion_tokens));
}

/* ---- streams ---- */

struct stream {
    const struct call *call;
    const struct script *s;
    const struct openai_content *c;
    struct reply *out;
    bool chat;
    struct openai_figures total;
    int64_t sent; /* completion tokens so far */
    int64_t events;
};

static void begin_event(struct stream *st)
{
    struct bytes *b = &st->out->text;
    bytes_adds(b, st->chat ? "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\","
                             "\"created\":" CREATED ","
                           : "data: {\"id\":\"cmpl-mock\",\"object\":\"text_completion\","
                             "\"created\":" CREATED ",");
    openai_add_model(b, st->call, st->s);
    bytes_adds(b, st->chat ? ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\","
                             "\"choices\":["
                           : ",\"choices\":[");
}

/* What this event says about usage: where the script puts it, else null in each but the last when
 * usage was asked for. */
static void add_event_usage(struct stream *st, bool first, bool last)
{
    struct bytes *b = &st->out->text;
    struct openai_figures f = st->total;
    enum usage u = st->s->usage;
    if (u == USAGE_EVERY)
        f.completion = st->sent;
    else if (u == USAGE_DECREASING)
        f.completion = 2 * st->total.completion - st->sent;
    if (u == USAGE_EVERY || u == USAGE_DECREASING || (u == USAGE_FIRST && first) ||
        (u == USAGE_LAST && last)) {
        bytes_adds(b, ",\"usage\":");
        openai_add_usage(b, st->s, f, false);
    } else if (st->call->include_usage && u != USAGE_ABSENT) {
        bytes_adds(b, ",\"usage\":null");
    }
}

static void end_event(struct stream *st, uint32_t tokens)
{
    bytes_adds(&st->out->text, "}\n\n");
    reply_end_piece(st->out, PIECE_EVENT, tokens);
}

/* The members of a delta that carries a piece of a block; `nth` counts the calls before it. */
static void add_piece(struct bytes *b, const struct openai_block *block, struct slice text,
                      bool first, int nth)
{
    switch (block->kind) {
    case OPENAI_TEXT:
        bytes_addf(b, "\"content\":\"" SLICE_FMT "\"", SLICE_ARG(text));
        break;
    case OPENAI_REFUSAL:
        bytes_addf(b, "\"refusal\":\"" SLICE_FMT "\"", SLICE_ARG(text));
        break;
    case OPENAI_REASONING:
        bytes_addf(b,
                   "\"reasoning_content\":\"" SLICE_FMT
                   "\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"" SLICE_FMT
                   "\",\"index\":0}]",
                   SLICE_ARG(text), SLICE_ARG(text));
        break;
    case OPENAI_CALL:
        bytes_addf(b, "\"tool_calls\":[{\"index\":%d,", nth);
        if (first)
            bytes_addf(b,
                       "\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":\"" SLICE_FMT
                       "\",\"arguments\":\"",
                       block->id, SLICE_ARG(bytes_slice(&block->name)));
        else
            bytes_adds(b, "\"function\":{\"arguments\":\"");
        bytes_addf(b, SLICE_FMT "\"}}]", SLICE_ARG(text));
        break;
    }
}

/* role is true in the first delta of a choice. */
static void add_delta(struct stream *st, int64_t index, const struct openai_block *block, size_t i,
                      bool role, int nth)
{
    struct bytes *b = &st->out->text;
    struct slice text = openai_token(block, i);
    bytes_addf(b, "{\"index\":%" PRId64 ",", index);
    if (!st->chat) {
        bytes_addf(b, "\"text\":\"" SLICE_FMT "\"", SLICE_ARG(text));
    } else {
        bytes_adds(b, "\"delta\":{");
        if (role)
            bytes_adds(b, block->kind == OPENAI_TEXT ? "\"role\":\"assistant\",\"refusal\":null,"
                                                     : "\"role\":\"assistant\",\"content\":null,");
        add_piece(b, block, text, i == 0, nth);
        bytes_adds(b, "}");
    }
    bytes_adds(b, ",\"logprobs\":null,\"finish_reason\":null");
    if (st->call->req->annotates)
        bytes_adds(b, ",\"content_filter_results\":" FILTERED_NOTHING);
    bytes_adds(b, "}]");
}

/* In front of everything, with what an event has but empty; the answer's own come without a delta
 * where the filter runs beside the stream
 * (learn.microsoft.com/azure/ai-foundry/openai/concepts/content-streaming). */
static void add_prompt_filter(struct stream *st)
{
    bytes_adds(&st->out->text, "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\","
                               "\"object\":\"\"," PROMPT_FILTERED);
    end_event(st, 0);
}

static void add_late_filter(struct stream *st)
{
    bytes_adds(&st->out->text,
               "data: {\"id\":\"\",\"object\":\"\",\"created\":0,\"model\":\"\",\"choices\":[{"
               "\"index\":0,\"finish_reason\":null,\"content_filter_results\":" FILTERED_NOTHING
               ",\"content_filter_offsets\":{\"check_offset\":0,\"start_offset\":0,"
               "\"end_offset\":0}}]");
    end_event(st, 0);
}

/* A delta of its own, which carries no token. */
static void add_bare(struct stream *st, int64_t index, struct slice members)
{
    begin_event(st);
    bytes_addf(&st->out->text,
               "{\"index\":%" PRId64 ",\"delta\":{" SLICE_FMT
               "},\"logprobs\":null,\"finish_reason\":null}]",
               index, SLICE_ARG(members));
    add_event_usage(st, false, false);
    end_event(st, 0);
}

static void add_finish(struct stream *st, int64_t index)
{
    bytes_addf(&st->out->text,
               "{\"index\":%" PRId64 ",%s,\"logprobs\":null,\"finish_reason\":\"%s\"}]", index,
               st->chat ? "\"delta\":{}" : "\"text\":\"\"", st->c->finish);
}

static void add_usage_event(struct stream *st, struct openai_figures f)
{
    begin_event(st);
    bytes_adds(&st->out->text, "],\"usage\":");
    openai_add_usage(&st->out->text, st->s, f, false);
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
        add_usage_event(st, (struct openai_figures){.prompt = st->total.prompt + 1,
                                                    .completion = st->total.completion + 1});
    if (st->s->done) {
        bytes_adds(&st->out->text, "data: [DONE]\n\n");
        reply_end_piece(st->out, PIECE_DONE, 0);
    }
}

static void write_error_event(const struct error *err, struct reply *out);

/* True when the script wants an error here instead of the next event. */
static bool fail_stream(struct stream *st)
{
    if (st->s->error_after < 0 || st->events++ < st->s->error_after)
        return false;
    struct error err = {.type = "server_error",
                        .code = st->s->error[0] != '\0' ? st->s->error : NULL,
                        .message = "The server had an error while processing your request."};
    write_error_event(&err, st->out);
    return true;
}

/* False where the script ended the stream. */
static bool write_block(struct stream *st, const struct openai_block *block, bool first, int nth)
{
    for (size_t i = 0; i < block->n; i++) {
        for (int64_t c = 0; c < st->call->n; c++) {
            if (fail_stream(st))
                return false;
            begin_event(st);
            add_delta(st, c, block, i, first && i == 0, nth);
            st->sent++;
            add_event_usage(st, st->sent == 1, false);
            end_event(st, 1);
        }
    }
    return true;
}

/* What follows the text of a block: its signature, its citations. */
static void end_block(struct stream *st, const struct openai_block *block)
{
    struct bytes b = {0};
    if (block->kind == OPENAI_REASONING)
        bytes_addf(&b,
                   "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"signature\":\"" SLICE_FMT
                   "\",\"index\":0}]",
                   SLICE_ARG(bytes_slice(&block->signature)));
    else if (block->kind == OPENAI_TEXT && st->c->cite > 0)
        add_annotations(&b, st->c->cite);
    for (int64_t c = 0; b.len > 0 && c < st->call->n; c++)
        add_bare(st, c, bytes_slice(&b));
    bytes_fini(&b);
}

static void write_stream(const struct call *call, const struct script *s,
                         const struct openai_content *c, bool chat, struct reply *out)
{
    struct stream st = {call, s, c, out, chat, openai_figures_of(call, s, c->tokens), 0, 0};
    int calls = 0;
    if (call->req->annotates)
        add_prompt_filter(&st);
    for (int64_t i = 0; c->tokens == 0 && chat && i < call->n; i++)
        add_bare(&st, i, SLICE("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"));
    for (size_t i = 0; i < c->n; i++) {
        if (!write_block(&st, &c->blocks[i], i == 0, calls))
            return;
        calls += c->blocks[i].kind == OPENAI_CALL;
        end_block(&st, &c->blocks[i]);
    }
    if (call->req->annotates)
        add_late_filter(&st);
    for (int64_t i = 0; i < call->n; i++) {
        if (fail_stream(&st))
            return;
        begin_event(&st);
        add_finish(&st, i);
        add_event_usage(&st, false, i == call->n - 1);
        end_event(&st, 0);
    }
    add_last_events(&st);
}

static void write_text(const struct call *call, const struct script *s, struct openai_content *c,
                       bool chat, struct reply *out)
{
    struct openai_figures f = openai_figures_of(call, s, c->tokens);
    out->status = 200;
    out->prompt_tokens = f.prompt;
    out->completion_tokens = f.completion;
    out->ctype = call->stream ? "text/event-stream; charset=utf-8" : "application/json";
    if (call->stream)
        write_stream(call, s, c, chat, out);
    else
        write_whole(call, s, c, chat, out);
    openai_content_fini(c);
}

static void write_chat(const struct call *call, const struct script *s, struct reply *out)
{
    struct openai_content c;
    choose_chat(&c, call, s);
    write_text(call, s, &c, true, out);
}

static void write_completion(const struct call *call, const struct script *s, struct reply *out)
{
    struct openai_content c;
    choose_completion(&c, call, s);
    write_text(call, s, &c, false, out);
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
    struct openai_figures f = openai_figures_of(call, s, 0);
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
    openai_add_model(b, call, s);
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
    {"POST", "/v1/responses/input_tokens", openai_count_read, openai_count_write},
    {"POST", "/v1/responses", openai_responses_read, openai_responses_write},
    {"POST", "/v1/completions", read_completion, write_completion},
    {"POST", "/v1/rerank", openai_rerank_read, openai_rerank_write},
    {"POST", "/v1/embeddings", read_embeddings, write_embeddings},
    {"POST", "/v1/moderations", openai_read_moderation, openai_write_moderation},
    {"POST", "/v1/audio/speech", openai_read_speech, openai_write_speech},
    {"POST", "/v1/audio/transcriptions", openai_read_transcription, openai_write_transcription},
    {"POST", "/v1/audio/translations", openai_read_transcription, openai_write_transcription},
    {"POST", "/v1/images/generations", openai_read_image, openai_write_image},
    {"POST", "/v1/images/edits", openai_read_edit, openai_write_image},
    {"POST", "/v1/images/variations", openai_read_variation, openai_write_image},
    {"GET", "/v1/models", read_nothing, write_models},
    {"GET", "/v1/models/*", read_nothing, write_model},
};

static enum body_type body_type(const struct route *r)
{
    if (r->read == openai_read_edit)
        return TAKES_EITHER;
    return r->read == openai_read_transcription || r->read == openai_read_variation ? TAKES_FORM
                                                                                    : TAKES_JSON;
}

const struct dialect dialect_openai_objects = {
    .name = "openai",
    .any_body = true,
    .routes = openai_object_routes,
    .nroutes = ARRAY_LEN(openai_object_routes),
    .credential = credential,
    .write_error = write_error,
};

const struct dialect dialect_openai = {
    .name = "openai",
    .routes = routes,
    .nroutes = ARRAY_LEN(routes),
    .credential = credential,
    .write_error = write_error,
    .body_type = body_type,
};
