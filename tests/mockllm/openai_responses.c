/*
 * openai_responses.c: the Responses API: whole responses and their streams of events.
 *
 * Formats: https://platform.openai.com/docs/api-reference/responses (object, responses-streaming).
 */
#include "tests/mockllm/kept.h"
#include "tests/mockllm/openai.h"

#include <inttypes.h>
#include <string.h>

enum {
    R_MODEL,
    R_STREAM,
    R_INPUT,
    R_TOOLS,
    R_TOOL_CHOICE,
    R_TEXT,
    R_MAX_TOKENS,
    R_STORE,
    R_PREVIOUS,
    R_BACKGROUND,
    R_COUNT
};
static const char *const names[R_COUNT] = {
    "model",
    "stream",
    "input",
    "tools",
    "tool_choice",
    "text",
    "max_output_tokens",
    "store",
    "previous_response_id",
    "background",
};

/* What the same credential has stored. */
static bool check_previous(const struct call *call, struct error *err)
{
    struct slice previous = call->members[R_PREVIOUS];
    if (!json_is_string(previous) ||
        kept_has(KEPT_RESPONSE, call->credential, json_inner(previous)))
        return true;
    return openai_refuse(err, 400, "previous_response_not_found", "previous_response_id",
                         "Previous response with id '" SLICE_FMT "' not found.",
                         SLICE_ARG(json_inner(previous)));
}

bool openai_responses_read(struct call *call, struct error *err)
{
    if (!openai_read_members(call, names, R_COUNT, err) ||
        !openai_read_bool(call->members[R_STREAM], "stream", &call->stream, err))
        return false;
    call->n = 1;
    call->from_content = true;
    call->prompt_tokens = (int64_t)(call->members[R_INPUT].len + 3) / 4;
    kept_new_id("resp_", call->id);
    return openai_check_responses(call->req->body, err) && check_previous(call, err);
}

static bool is_stored(const struct call *call)
{
    return !slice_is(call->members[R_STORE], "false");
}

static bool is_background(const struct call *call)
{
    return slice_is(call->members[R_BACKGROUND], "true");
}

static bool begins(const struct call *call, const char *with)
{
    size_t n = strlen(with);
    return call->model.len >= n && memcmp(call->model.p, with, n) == 0;
}

static void choose(struct openai_content *c, const struct call *call, const struct script *s)
{
    struct slice input = call->members[R_INPUT], format = json_get(call->members[R_TEXT], "format");
    struct slice last = openai_last_element(input), type = json_get(format, "type");
    struct openai_ask ask = {
        .echo = begins(call, "mock-echo"),
        .tools_by_name = begins(call, "mock-tools"),
        .said = json_is_string(input) ? json_inner(input) : openai_message_text(last),
        .after_result = slice_is(json_get(last, "type"), "\"function_call_output\""),
        .tools = call->members[R_TOOLS],
        .tool_choice = call->members[R_TOOL_CHOICE],
        .flat = true,
        .json_object = slice_is(type, "\"json_object\""),
        .max_tokens = INT64_MAX,
    };
    int64_t max;
    if (slice_to_int(call->members[R_MAX_TOKENS], &max) && max >= 0)
        ask.max_tokens = max;
    if (slice_is(type, "\"json_schema\""))
        ask.schema = json_get(format, "schema");
    openai_choose(c, &ask, s);
}

/* ---- objects ---- */

static void add_annotation(struct bytes *b, int64_t i)
{
    bytes_addf(b,
               "{\"type\":\"url_citation\",\"start_index\":%" PRId64 ",\"end_index\":%" PRId64
               ",\"url\":\"https://mock.test/%" PRId64 "\",\"title\":\"Mock %" PRId64 "\"}",
               i, i + 1, i, i);
}

/* The part of a block that is done, or as it begins. */
static void add_part(struct bytes *b, const struct openai_block *block, bool done, int64_t cite)
{
    struct slice text = done ? bytes_slice(&block->raw) : SLICE("");
    switch (block->kind) {
    case OPENAI_REASONING:
        bytes_addf(b, "{\"type\":\"summary_text\",\"text\":\"" SLICE_FMT "\"}", SLICE_ARG(text));
        break;
    case OPENAI_REFUSAL:
        bytes_addf(b, "{\"type\":\"refusal\",\"refusal\":\"" SLICE_FMT "\"}", SLICE_ARG(text));
        break;
    default:
        bytes_addf(b, "{\"type\":\"output_text\",\"text\":\"" SLICE_FMT "\",\"annotations\":[",
                   SLICE_ARG(text));
        for (int64_t i = 0; done && i < cite; i++) {
            bytes_adds(b, i > 0 ? "," : "");
            add_annotation(b, i);
        }
        bytes_adds(b, "],\"logprobs\":[]}");
        break;
    }
}

static const char *prefix_of(const struct openai_block *block)
{
    return block->kind == OPENAI_REASONING ? "rs" : block->kind == OPENAI_CALL ? "fc" : "msg";
}

static void add_item(struct bytes *b, const struct openai_block *block, size_t i, bool done,
                     int64_t cite)
{
    const char *status = done ? "completed" : "in_progress";
    bytes_addf(b, "{\"id\":\"%s_mock_%zu\",", prefix_of(block), i);
    switch (block->kind) {
    case OPENAI_REASONING:
        bytes_adds(b, "\"type\":\"reasoning\",\"summary\":[");
        if (done)
            add_part(b, block, true, 0);
        bytes_adds(b, "]");
        if (done)
            bytes_addf(b, ",\"encrypted_content\":\"" SLICE_FMT "\"",
                       SLICE_ARG(bytes_slice(&block->signature)));
        break;
    case OPENAI_CALL:
        bytes_addf(b,
                   "\"type\":\"function_call\",\"status\":\"%s\",\"arguments\":\"" SLICE_FMT
                   "\",\"call_id\":\"%s\",\"name\":\"" SLICE_FMT "\"",
                   status, SLICE_ARG(done ? bytes_slice(&block->raw) : SLICE("")), block->id,
                   SLICE_ARG(bytes_slice(&block->name)));
        break;
    default:
        bytes_addf(b, "\"type\":\"message\",\"status\":\"%s\",\"role\":\"assistant\",\"content\":[",
                   status);
        if (done)
            add_part(b, block, true, cite);
        bytes_adds(b, "]");
        break;
    }
    bytes_adds(b, "}");
}

static const char *incomplete_of(const struct openai_content *c)
{
    if (strcmp(c->finish, "length") == 0)
        return "max_output_tokens";
    return strcmp(c->finish, "content_filter") == 0 ? "content_filter" : NULL;
}

static void add_response(struct bytes *b, const struct call *call, const struct script *s,
                         const struct openai_content *c, const char *status)
{
    bool done = strcmp(status, "in_progress") != 0 && strcmp(status, "queued") != 0;
    const char *reason = done ? incomplete_of(c) : NULL;
    bytes_addf(b,
               "{\"id\":\"%s\",\"object\":\"response\",\"created_at\":" OPENAI_CREATED
               ",\"status\":\"%s\",\"background\":%s,\"error\":null,\"incomplete_details\":",
               call->id, reason != NULL ? "incomplete" : status,
               is_background(call) ? "true" : "false");
    if (reason != NULL)
        bytes_addf(b, "{\"reason\":\"%s\"},", reason);
    else
        bytes_adds(b, "null,");
    openai_add_model(b, call, s);
    bytes_adds(b, ",\"instructions\":null,\"max_output_tokens\":null,\"output\":[");
    for (size_t i = 0; done && i < c->n; i++) {
        bytes_adds(b, i > 0 ? "," : "");
        add_item(b, &c->blocks[i], i, true, c->cite);
    }
    bytes_adds(b, "],\"parallel_tool_calls\":true,\"previous_response_id\":");
    if (json_is_string(call->members[R_PREVIOUS]))
        bytes_add_slice(b, call->members[R_PREVIOUS]);
    else
        bytes_adds(b, "null");
    bytes_addf(b, ",\"store\":%s", is_stored(call) ? "true" : "false");
    bytes_adds(b, ",\"reasoning\":{\"effort\":null,\"summary\":null},\"service_tier\":\"default\","
                  "\"temperature\":1.0,\"text\":{\"format\":{\"type\":\"text\"}},\"tool_choice\":"
                  "\"auto\",\"tools\":[],\"top_p\":1.0,\"truncation\":\"disabled\",\"usage\":");
    if (done && s->usage != USAGE_ABSENT)
        openai_add_usage(b, s, openai_figures_of(call, s, c->tokens), true);
    else
        bytes_adds(b, "null");
    bytes_adds(b, ",\"user\":null,\"metadata\":{}}");
}

/* ---- streams ---- */

struct stream {
    const struct call *call;
    const struct script *s;
    const struct openai_content *c;
    struct reply *out;
    int64_t sequence, deltas;
};

static struct bytes *begin(struct stream *st, const char *type)
{
    struct bytes *b = &st->out->text;
    bytes_addf(b, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%" PRId64, type, type,
               st->sequence++);
    return b;
}

static void end(struct stream *st, uint32_t tokens)
{
    bytes_adds(&st->out->text, "}\n\n");
    reply_end_piece(st->out, PIECE_EVENT, tokens);
}

static void add_lifecycle(struct stream *st, const char *type, const char *status)
{
    struct bytes *b = begin(st, type);
    bytes_adds(b, ",\"response\":");
    add_response(b, st->call, st->s, st->c, status);
    end(st, 0);
}

static void add_item_event(struct stream *st, size_t i, bool done)
{
    struct bytes *b = begin(st, done ? "response.output_item.done" : "response.output_item.added");
    bytes_addf(b, ",\"output_index\":%zu,\"item\":", i);
    add_item(b, &st->c->blocks[i], i, done, st->c->cite);
    end(st, 0);
}

/* Where an event belongs: the item and, but for calls, its only part. */
static struct bytes *begin_at(struct stream *st, const char *type, size_t i)
{
    const struct openai_block *block = &st->c->blocks[i];
    struct bytes *b = begin(st, type);
    bytes_addf(b, ",\"item_id\":\"%s_mock_%zu\",\"output_index\":%zu", prefix_of(block), i, i);
    if (block->kind == OPENAI_REASONING)
        bytes_adds(b, ",\"summary_index\":0");
    else if (block->kind != OPENAI_CALL)
        bytes_adds(b, ",\"content_index\":0");
    return b;
}

static void add_part_event(struct stream *st, size_t i, bool done)
{
    const struct openai_block *block = &st->c->blocks[i];
    bool thought = block->kind == OPENAI_REASONING;
    if (block->kind == OPENAI_CALL)
        return;
    struct bytes *b = begin_at(st,
                               thought ? done ? "response.reasoning_summary_part.done"
                                              : "response.reasoning_summary_part.added"
                               : done  ? "response.content_part.done"
                                       : "response.content_part.added",
                               i);
    bytes_adds(b, ",\"part\":");
    add_part(b, block, done, st->c->cite);
    end(st, 0);
}

static const struct {
    const char *delta, *done, *member;
} words[] = {
    [OPENAI_REASONING] = {"response.reasoning_summary_text.delta",
                          "response.reasoning_summary_text.done", "text"},
    [OPENAI_TEXT] = {"response.output_text.delta", "response.output_text.done", "text"},
    [OPENAI_REFUSAL] = {"response.refusal.delta", "response.refusal.done", "refusal"},
    [OPENAI_CALL] = {"response.function_call_arguments.delta",
                     "response.function_call_arguments.done", "arguments"},
};

/* True when the script wants an error here instead of the next delta. */
static bool fail(struct stream *st)
{
    if (st->s->error_after < 0 || st->deltas++ < st->s->error_after)
        return false;
    const char *code = st->s->error[0] != '\0' ? st->s->error : "server_error";
    bytes_addf(begin(st, "error"),
               ",\"code\":\"%s\",\"message\":\"The server had an error while processing your "
               "request.\",\"param\":null",
               code);
    end(st, 0);
    return true;
}

static bool add_block(struct stream *st, size_t i)
{
    const struct openai_block *block = &st->c->blocks[i];
    const char *logprobs = block->kind == OPENAI_TEXT ? ",\"logprobs\":[]" : "";
    add_item_event(st, i, false);
    add_part_event(st, i, false);
    for (size_t t = 0; t < block->n; t++) {
        if (fail(st))
            return false;
        bytes_addf(begin_at(st, words[block->kind].delta, i), ",\"delta\":\"" SLICE_FMT "\"%s",
                   SLICE_ARG(openai_token(block, t)), logprobs);
        end(st, 1);
    }
    for (int64_t n = 0; block->kind == OPENAI_TEXT && n < st->c->cite; n++) {
        struct bytes *b = begin_at(st, "response.output_text.annotation.added", i);
        bytes_addf(b, ",\"annotation_index\":%" PRId64 ",\"annotation\":", n);
        add_annotation(b, n);
        end(st, 0);
    }
    struct bytes *b = begin_at(st, words[block->kind].done, i);
    bytes_addf(b, ",\"%s\":\"" SLICE_FMT "\"%s", words[block->kind].member,
               SLICE_ARG(bytes_slice(&block->raw)), logprobs);
    if (block->kind == OPENAI_CALL)
        bytes_addf(b, ",\"name\":\"" SLICE_FMT "\"", SLICE_ARG(bytes_slice(&block->name)));
    end(st, 0);
    add_part_event(st, i, true);
    add_item_event(st, i, true);
    return true;
}

static void write_stream(const struct call *call, const struct script *s,
                         const struct openai_content *c, struct reply *out)
{
    struct stream st = {call, s, c, out, 0, 0};
    add_lifecycle(&st, "response.created", "in_progress");
    add_lifecycle(&st, "response.in_progress", "in_progress");
    for (size_t i = 0; i < c->n; i++)
        if (!add_block(&st, i))
            return;
    if (fail(&st) || !s->done)
        return;
    add_lifecycle(&st, incomplete_of(c) != NULL ? "response.incomplete" : "response.completed",
                  "completed");
    out->pieces[out->npieces - 1].kind = PIECE_DONE;
}

/* ---- stored responses ---- */

/* One in the background is queued for as many polls as the script says. */
static void store(const struct call *call, const struct script *s, const struct openai_content *c)
{
    struct kept k = {.polls = is_background(call) ? s->polls : 0};
    add_response(&k.content, call, s, c, "completed");
    add_response(&k.json, call, s, c, is_background(call) ? "queued" : "completed");
    kept_put(KEPT_RESPONSE, call->credential, (struct slice){call->id, strlen(call->id)}, &k);
}

static bool ends_with(struct slice s, const char *end, struct slice *before)
{
    size_t n = strlen(end);
    if (s.len <= n || memcmp(s.p + s.len - n, end, n) != 0)
        return false;
    *before = (struct slice){s.p, s.len - n};
    return true;
}

static bool unknown(struct slice id, struct error *err)
{
    return openai_refuse(err, 404, NULL, NULL, "Response with id '" SLICE_FMT "' not found.",
                         SLICE_ARG(id));
}

/* {id}, {id}/input_items, {id}/cancel */
bool openai_stored_read(struct call *call, struct error *err)
{
    struct slice id = call->suffix;
    (void)(ends_with(call->suffix, "/input_items", &id) || ends_with(call->suffix, "/cancel", &id));
    call->from_content = true;
    call->members[0] = id;
    return kept_has(KEPT_RESPONSE, call->credential, id) || unknown(id, err);
}

static void begin_json(struct reply *out)
{
    out->status = 200;
    out->ctype = "application/json";
}

void openai_stored_write(const struct call *call, const struct script *s, struct reply *out)
{
    struct kept k;
    struct slice before;
    begin_json(out);
    (void)s;
    kept_get(KEPT_RESPONSE, call->credential, call->members[0], &k);
    if (ends_with(call->suffix, "/input_items", &before))
        bytes_adds(
            &out->text,
            "{\"object\":\"list\",\"data\":[{\"id\":\"msg_input\",\"type\":\"message\",\"role\":"
            "\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"kept\"}]}],\"first_id\":"
            "\"msg_input\",\"last_id\":\"msg_input\",\"has_more\":false}");
    else
        bytes_add_slice(&out->text, bytes_slice(k.polls > 0 ? &k.json : &k.content));
    kept_fini(&k);
    reply_end_piece(out, PIECE_WHOLE, 0);
}

void openai_stored_delete(const struct call *call, const struct script *s, struct reply *out)
{
    (void)s;
    kept_delete(KEPT_RESPONSE, call->credential, call->members[0]);
    begin_json(out);
    bytes_addf(&out->text,
               "{\"id\":\"" SLICE_FMT "\",\"object\":\"response.deleted\",\"deleted\":true}",
               SLICE_ARG(call->members[0]));
    reply_end_piece(out, PIECE_WHOLE, 0);
}

void openai_responses_write(const struct call *call, const struct script *s, struct reply *out)
{
    struct openai_content c;
    choose(&c, call, s);
    struct openai_figures f = openai_figures_of(call, s, c.tokens);
    out->status = 200;
    /* What goes on in the background is billed when it is through. */
    out->prompt_tokens = is_background(call) ? 0 : f.prompt;
    out->completion_tokens = is_background(call) ? 0 : f.completion;
    out->ctype = call->stream ? "text/event-stream; charset=utf-8" : "application/json";
    if (is_stored(call))
        store(call, s, &c);
    if (call->stream) {
        write_stream(call, s, &c, out);
    } else {
        add_response(&out->text, call, s, &c, is_background(call) ? "queued" : "completed");
        reply_end_piece(out, PIECE_WHOLE, (uint32_t)out->completion_tokens);
    }
    openai_content_fini(&c);
}

/* ---- responses/input_tokens ---- */

/* platform.openai.com/docs/api-reference/responses/input-tokens */
bool openai_count_read(struct call *call, struct error *err)
{
    static const char *const known[] = {
        "model",     "input", "instructions", "conversation",        "previous_response_id",
        "text",      "tools", "tool_choice",  "parallel_tool_calls", "reasoning",
        "truncation"};
    struct json j;
    struct slice key, value;
    bool started = false;
    if (!openai_responses_read(call, err))
        return false;
    json_init(&j, call->req->body);
    json_enter(&j, '{');
    while (json_next_member(&j, &started, &key, &value)) {
        size_t i = 0;
        while (i < ARRAY_LEN(known) && !slice_is(key, known[i]))
            i++;
        if (i == ARRAY_LEN(known))
            return openai_refuse(err, 400, "unknown_parameter", "input_tokens",
                                 "Unknown parameter: '" SLICE_FMT "'.", SLICE_ARG(key));
    }
    call->prompt_tokens = (int64_t)(call->req->body.len + 3) / 4;
    return true;
}

void openai_count_write(const struct call *call, const struct script *s, struct reply *out)
{
    bytes_addf(&out->text, "{\"object\":\"response.input_tokens\",\"input_tokens\":%" PRId64 "}",
               call->prompt_tokens);
    out->status = 200;
    out->ctype = "application/json";
    reply_end_piece(out, PIECE_WHOLE, 0);
}
