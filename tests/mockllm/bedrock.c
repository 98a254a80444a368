/*
 * bedrock.c: Converse and ConverseStream as Amazon Bedrock answers them; bedrock_invoke.c has
 * InvokeModel and CountTokens.
 *
 * Formats: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
 * API_runtime_ConverseStream.html. Requests carry a Bedrock API key as a bearer token, or they are
 * signed (sigv4.h); their bodies are checked by bedrock_check.c.
 */
#include "tests/mockllm/bedrock_check.h"
#include "tests/mockllm/bedrock_invoke.h"
#include "tests/mockllm/dialect.h"
#include "tests/mockllm/eventstream.h"
#include "tests/mockllm/json.h"
#include "tests/mockllm/sample.h"
#include "tests/mockllm/sigv4.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { M_MESSAGES, M_INFERENCE, M_TOOL_CONFIG, M_OUTPUT_CONFIG, M_PATHS, M_SYSTEM, M_COUNT };
static const char *const member_names[M_COUNT] = {
    "messages",
    "inferenceConfig",
    "toolConfig",
    "outputConfig",
    "additionalModelResponseFieldPaths",
    "system",
};

/* ---- reading ---- */

static bool refuse(struct error *err, int status, const char *type, const char *why)
{
    err->status = status;
    err->type = type;
    snprintf(err->message, sizeof err->message, "%s", why);
    return false;
}

enum operation { CONVERSE, CONVERSE_STREAM, INVOKE, COUNT_TOKENS, NO_OPERATION };

static enum operation operation_of(struct slice suffix, struct slice *id)
{
    static const char *const names[] = {"converse", "converse-stream", "invoke", "count-tokens"};
    struct slice op;
    int i = CONVERSE;
    if (!slice_split(&suffix, "/", id) || !slice_split(&suffix, "/", &op) || suffix.len > 0 ||
        id->len == 0)
        return NO_OPERATION;
    while (i < NO_OPERATION && !slice_is(op, names[i]))
        i++;
    return (enum operation)i;
}

/* Takes the operation off, and decodes what is left of the path. */
static bool read_path(struct call *call, struct error *err)
{
    struct slice id;
    enum operation op = operation_of(call->suffix, &id);
    if (op == NO_OPERATION)
        return refuse(err, 404, "UnknownOperationException", "There is no such operation.");
    call->stream = op == CONVERSE_STREAM;
    for (size_t i = 0; i < id.len; i++) {
        unsigned char c = (unsigned char)id.p[i];
        char hex[3] = {0};
        if (c == '%' && i + 2 < id.len) {
            memcpy(hex, id.p + i + 1, 2);
            c = (unsigned char)strtoul(hex, NULL, 16);
            i += 2;
        }
        bytes_add(&call->model, &c, 1);
    }
    return true;
}

static bool read_members(struct call *call, struct error *err)
{
    struct json j;
    struct slice key, value;
    bool started = false;
    json_init(&j, call->req->body);
    json_enter(&j, '{');
    while (j.error == NULL && json_next_member(&j, &started, &key, &value))
        for (int i = 0; i < M_COUNT; i++)
            if (slice_is(key, member_names[i]))
                call->members[i] = value;
    if (!json_finish(&j))
        return refuse(err, 400, "SerializationException", "The body is no JSON object.");
    return true;
}

static bool check_body(struct call *call, enum operation op, struct error *err)
{
    if (op == INVOKE)
        return bedrock_invoke_read(call, err->message, sizeof err->message);
    if (op == COUNT_TOKENS)
        return bedrock_count_read(call, err->message, sizeof err->message);
    size_t prompt = call->members[M_MESSAGES].len + call->members[M_SYSTEM].len;
    call->prompt_tokens = (int64_t)(prompt + 3) / 4;
    return bedrock_check(call->req->body, err->message, sizeof err->message);
}

static bool read_model(struct call *call, struct error *err)
{
    const char *name, *why = NULL;
    struct slice id;
    if (!read_path(call, err))
        return false;
    if (sigv4_access_key_id(call->req).p != NULL &&
        (why = sigv4_check(call->req, "bedrock", &name)) != NULL)
        return refuse(err, 403, name, why);
    if (!read_members(call, err))
        return false;
    call->from_content = true;
    if (!check_body(call, operation_of(call->suffix, &id), err)) {
        err->status = 400;
        err->type = "ValidationException";
        return false;
    }
    return true;
}

/* ---- what is answered ---- */

enum block_kind { BLOCK_THOUGHT, BLOCK_TEXT, BLOCK_TOOL };

/* A content block whose raw JSON text is cut into tokens. */
struct block {
    enum block_kind kind;
    struct bytes raw;
    size_t *ends;
    size_t n, cap;
    struct bytes name;
    struct slice input; /* of a tool: the JSON itself */
    struct bytes json;
};

enum { MAX_BLOCKS = 34 };

struct content {
    struct block blocks[MAX_BLOCKS];
    size_t n, tokens;
    const char *reason;
    struct slice stop_sequence; /* raw JSON; {NULL,0}: none was hit, or nobody asked */
    int64_t citations;
};

static struct block *add_block(struct content *c, enum block_kind kind)
{
    struct block *b = &c->blocks[c->n++];
    b->kind = kind;
    return b;
}

static void end_token(struct block *b)
{
    if (b->n == b->cap) {
        b->cap = b->cap > 0 ? b->cap * 2 : 16;
        b->ends = xrealloc(b->ends, b->cap * sizeof *b->ends);
    }
    b->ends[b->n++] = b->raw.len;
}

static struct slice token(const struct block *b, size_t i)
{
    size_t from = i > 0 ? b->ends[i - 1] : 0;
    return (struct slice){b->raw.p + from, b->ends[i] - from};
}

static void add_raw(struct block *b, struct slice raw)
{
    while (raw.len > 0) {
        size_t n = json_safe_prefix(raw, 16);
        bytes_add(&b->raw, raw.p, n);
        end_token(b);
        raw.p += n;
        raw.len -= n;
    }
}

/* Valid JSON as the raw text of a string. */
static void add_quoted(struct block *b, struct slice json)
{
    struct bytes raw = {0};
    for (size_t i = 0; i < json.len; i++) {
        if (json.p[i] == '"' || json.p[i] == '\\')
            bytes_adds(&raw, "\\");
        bytes_add(&raw, &json.p[i], 1);
    }
    add_raw(b, bytes_slice(&raw));
    bytes_fini(&raw);
}

static void content_fini(struct content *c)
{
    for (size_t i = 0; i < c->n; i++) {
        bytes_fini(&c->blocks[i].raw);
        bytes_fini(&c->blocks[i].name);
        bytes_fini(&c->blocks[i].json);
        free(c->blocks[i].ends);
    }
}

static bool begins(const struct call *call, const char *prefix)
{
    size_t n = strlen(prefix);
    return call->model.len >= n && memcmp(call->model.p, prefix, n) == 0;
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

/* The i-th tool, in turn; those that are only cache points don't count. */
static struct slice find_tool(const struct call *call, const struct script *s, int64_t i)
{
    struct slice tools = json_get(call->members[M_TOOL_CONFIG], "tools"), v, found = {NULL, 0};
    struct slice wanted = {s->tool, strlen(s->tool)};
    struct slice choice = json_get(call->members[M_TOOL_CONFIG], "toolChoice");
    struct slice forced = json_get(json_get(choice, "tool"), "name");
    int64_t n = 0;
    if (wanted.len == 0 && forced.p != NULL)
        wanted = json_inner(forced);
    for (int round = 0; round < 2 && found.p == NULL; round++) {
        struct json j;
        bool started = false;
        int64_t at = 0;
        json_init(&j, tools);
        if (!json_enter(&j, '['))
            break;
        while (json_next_element(&j, &started, &v)) {
            struct slice spec = json_get(v, "toolSpec");
            if (spec.p == NULL ||
                (wanted.len > 0 && !slice_eq(json_inner(json_get(spec, "name")), wanted)))
                continue;
            if (round == 0)
                n++;
            else if (at++ == i % n)
                found = spec;
        }
        if (n == 0)
            break;
    }
    return found;
}

static void add_tool(struct content *c, const struct call *call, const struct script *s, int64_t i)
{
    struct slice spec = find_tool(call, s, i), name = json_get(spec, "name");
    struct block *b = add_block(c, BLOCK_TOOL);
    sample_instance(&b->json, json_get(json_get(spec, "inputSchema"), "json"));
    b->input = bytes_slice(&b->json);
    if (s->tool[0] != '\0')
        bytes_adds(&b->name, s->tool);
    else
        bytes_add_slice(&b->name, json_is_string(name) ? json_inner(name) : SLICE("nameless"));
    add_quoted(b, b->input);
    c->reason = "tool_use";
}

static bool wants_tool(const struct call *call)
{
    struct slice config = call->members[M_TOOL_CONFIG], choice = json_get(config, "toolChoice"),
                 last = last_element(json_get(last_element(call->members[M_MESSAGES]), "content"));
    if (json_get(config, "tools").p == NULL || json_get(last, "toolResult").p != NULL)
        return false;
    return json_get(choice, "any").p != NULL || json_get(choice, "tool").p != NULL ||
           begins(call, "mock-tools");
}

static void add_words(struct block *b, const struct script *s)
{
    int64_t size = s->size > 0 && s->tokens > 0 ? s->size / s->tokens : s->token_size;
    for (int64_t i = 0; i < s->tokens; i++) {
        if (s->unicode)
            sample_unicode_token(&b->raw, i);
        else if (i == 0 && s->size > 0)
            sample_token(&b->raw, i, size + s->size % s->tokens);
        else
            sample_token(&b->raw, i, size);
        end_token(b);
    }
}

static void add_text(struct content *c, const struct call *call, const struct script *s)
{
    struct slice format = json_get(call->members[M_OUTPUT_CONFIG], "textFormat");
    struct slice schema = json_get(json_get(json_get(format, "structure"), "jsonSchema"), "schema");
    struct slice said = json_get(
        last_element(json_get(last_element(call->members[M_MESSAGES]), "content")), "text");
    struct block *b = add_block(c, BLOCK_TEXT);
    if (schema.p != NULL) {
        struct bytes plain = {0}, instance = {0};
        json_decode(schema, &plain);
        sample_instance(&instance, bytes_slice(&plain));
        add_quoted(b, bytes_slice(&instance));
        bytes_fini(&plain);
        bytes_fini(&instance);
    } else if (begins(call, "mock-echo")) {
        add_raw(b, said.p != NULL ? json_inner(said) : SLICE(""));
    } else {
        add_words(b, s);
    }
    c->citations = s->cite;
    if (s->refusal)
        c->reason = "content_filtered";
}

static void add_thought(struct content *c, const struct script *s)
{
    struct block *b = add_block(c, BLOCK_THOUGHT);
    for (int64_t i = 0; i < s->reason; i++) {
        sample_thought(&b->raw, i);
        end_token(b);
    }
}

/* Cuts the content to the tokens that are allowed; of reasoning none are taken. */
static void limit_tokens(struct content *c, const struct call *call)
{
    int64_t max = INT64_MAX;
    slice_to_int(json_get(call->members[M_INFERENCE], "maxTokens"), &max);
    for (size_t i = 0; i < c->n; i++) {
        struct block *b = &c->blocks[i];
        if (b->kind == BLOCK_TEXT && (int64_t)b->n > max) {
            b->n = (size_t)max;
            b->raw.len = b->n > 0 ? b->ends[b->n - 1] : 0;
            c->reason = "max_tokens";
        }
        c->tokens += b->n;
    }
}

/* The first stop sequence, where the answer ended at one and the caller wants to know which. */
static void choose_stop_sequence(struct content *c, const struct call *call)
{
    struct json j;
    bool started = false;
    json_init(&j, json_get(call->members[M_INFERENCE], "stopSequences"));
    if (strcmp(c->reason, "stop_sequence") == 0 && call->members[M_PATHS].p != NULL &&
        json_enter(&j, '['))
        json_next_element(&j, &started, &c->stop_sequence);
}

static void choose(struct content *c, const struct call *call, const struct script *s)
{
    *c = (struct content){.reason = "end_turn"};
    if (s->reason > 0)
        add_thought(c, s);
    if (s->tools > 0 || wants_tool(call))
        for (int64_t i = 0; i < (s->tools > 0 ? s->tools : 1) && c->n < MAX_BLOCKS - 1; i++)
            add_tool(c, call, s, i);
    else if (!s->empty)
        add_text(c, call, s);
    limit_tokens(c, call);
    if (s->finish[0] != '\0')
        c->reason = s->finish;
    choose_stop_sequence(c, call);
}

static void add_signature(struct bytes *out, const struct block *b)
{
    struct bytes quoted = {0}, plain = {0};
    bytes_adds(&quoted, "\"");
    bytes_add_slice(&quoted, bytes_slice(&b->raw));
    bytes_adds(&quoted, "\"");
    json_decode(bytes_slice(&quoted), &plain);
    sample_signature(out, SAMPLE_CLAUDE, bytes_slice(&plain));
    bytes_fini(&quoted);
    bytes_fini(&plain);
}

static void add_citation(struct bytes *out, int64_t i)
{
    bytes_addf(out,
               "{\"title\":\"Source %" PRId64 "\",\"sourceContent\":[{\"text\":\"cited\"}],"
               "\"location\":{\"web\":{\"url\":\"https://example.com/%" PRId64
               "\",\"domain\":\"example.com\"}}}",
               i + 1, i + 1);
}

/* ---- usage ---- */

struct figures {
    int64_t prompt, completion, cached, written;
};

static struct figures figures_of(const struct call *call, const struct script *s, size_t tokens)
{
    return (struct figures){
        .prompt = s->prompt != INT64_MIN ? s->prompt : call->prompt_tokens,
        .completion = s->completion != INT64_MIN ? s->completion : (int64_t)tokens,
        .cached = s->cached,
        .written = s->cache_write,
    };
}

/* `inputTokens` is what was neither read from the cache nor written to it. */
static void add_usage(struct bytes *out, const struct script *s, struct figures f)
{
    switch (s->usage) {
    case USAGE_NULL:
        bytes_adds(out, "null");
        return;
    case USAGE_HUGE:
        bytes_adds(out, "{\"inputTokens\":99999999999999999999,\"outputTokens\":"
                        "99999999999999999999,\"totalTokens\":1e300}");
        return;
    case USAGE_FRACTION:
        bytes_adds(out, "{\"inputTokens\":1.5,\"outputTokens\":2.25,\"totalTokens\":3.75}");
        return;
    case USAGE_STRING:
        bytes_addf(out, "{\"inputTokens\":\"%" PRId64 "\",\"outputTokens\":\"%" PRId64 "\"}",
                   f.prompt, f.completion);
        return;
    case USAGE_PARTIAL:
        bytes_addf(out, "{\"inputTokens\":%" PRId64 "}", f.prompt);
        return;
    case USAGE_ZERO:
        f = (struct figures){0};
        break;
    case USAGE_NEGATIVE:
        f = (struct figures){-f.prompt - 1, -f.completion - 1, 0, 0};
        break;
    default:
        break;
    }
    bytes_addf(out,
               "{\"inputTokens\":%" PRId64 ",\"outputTokens\":%" PRId64 ",\"totalTokens\":%" PRId64
               ",\"cacheReadInputTokens\":%" PRId64 ",\"cacheWriteInputTokens\":%" PRId64,
               f.prompt - f.cached - f.written, f.completion, f.prompt + f.completion, f.cached,
               f.written);
    if (f.written > 0)
        bytes_addf(out, ",\"cacheDetails\":[{\"ttl\":\"5m\",\"inputTokens\":%" PRId64 "}]",
                   f.written);
    bytes_adds(out, "}");
}

static void add_stop_fields(struct bytes *out, const struct content *c)
{
    if (c->stop_sequence.p != NULL)
        bytes_addf(out, ",\"additionalModelResponseFields\":{\"stop_sequence\":" SLICE_FMT "}",
                   SLICE_ARG(c->stop_sequence));
}

/* ---- whole answers ---- */

static void add_whole_text(struct bytes *out, const struct content *c, const struct block *b)
{
    if (c->citations == 0) {
        bytes_addf(out, "{\"text\":\"" SLICE_FMT "\"}", SLICE_ARG(bytes_slice(&b->raw)));
        return;
    }
    bytes_addf(out,
               "{\"citationsContent\":{\"content\":[{\"text\":\"" SLICE_FMT "\"}],\"citations\":[",
               SLICE_ARG(bytes_slice(&b->raw)));
    for (int64_t i = 0; i < c->citations; i++) {
        bytes_adds(out, i > 0 ? "," : "");
        add_citation(out, i);
    }
    bytes_adds(out, "]}}");
}

static void add_whole_block(struct bytes *out, const struct content *c, const struct block *b,
                            size_t index)
{
    switch (b->kind) {
    case BLOCK_TEXT:
        add_whole_text(out, c, b);
        break;
    case BLOCK_TOOL:
        bytes_addf(out,
                   "{\"toolUse\":{\"toolUseId\":\"tooluse_mock%zu\",\"name\":\"" SLICE_FMT
                   "\",\"input\":" SLICE_FMT "}}",
                   index, SLICE_ARG(bytes_slice(&b->name)), SLICE_ARG(b->input));
        break;
    case BLOCK_THOUGHT:
        bytes_addf(out,
                   "{\"reasoningContent\":{\"reasoningText\":{\"text\":\"" SLICE_FMT
                   "\",\"signature\":\"",
                   SLICE_ARG(bytes_slice(&b->raw)));
        add_signature(out, b);
        bytes_adds(out, "\"}}}");
        break;
    }
}

static void write_whole(const struct script *s, const struct content *c, struct figures f,
                        struct reply *out)
{
    struct bytes *b = &out->text;
    bytes_adds(b, "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[");
    for (size_t i = 0; i < c->n; i++) {
        bytes_adds(b, i > 0 ? "," : "");
        add_whole_block(b, c, &c->blocks[i], i);
    }
    bytes_addf(b, "]}},\"stopReason\":\"%s\"", c->reason);
    if (s->usage != USAGE_ABSENT) {
        bytes_adds(b, ",\"usage\":");
        add_usage(b, s, f);
    }
    bytes_adds(b, ",\"metrics\":{\"latencyMs\":1}");
    add_stop_fields(b, c);
    bytes_adds(b, "}");
    reply_end_piece(out, PIECE_WHOLE, (uint32_t)out->completion_tokens);
}

/* ---- streams ---- */

struct stream {
    const struct script *s;
    struct reply *out;
    int64_t events;
    bool failed;
};

static void add_exception(const struct script *s, struct reply *out)
{
    const char *name = s->error[0] != '\0' ? s->error : "modelStreamErrorException";
    eventstream_add(&out->text, name, true,
                    SLICE("{\"message\":\"The model had an error while answering.\"}"));
    reply_end_piece(out, PIECE_EVENT, 0);
}

/* One event, or the error that the script wants in its place. */
static void put(struct stream *st, const char *type, struct bytes *payload, enum piece_kind kind,
                uint32_t tokens)
{
    if (!st->failed && st->s->error_after >= 0 && st->events == st->s->error_after) {
        st->failed = true;
        add_exception(st->s, st->out);
    }
    if (!st->failed) {
        eventstream_add(&st->out->text, type, false, bytes_slice(payload));
        reply_end_piece(st->out, kind, tokens);
        st->events++;
    }
    payload->len = 0;
}

/* `open` and `close` stand around the raw text; "p" is the padding that the service adds. */
static void put_delta(struct stream *st, size_t index, const char *open, struct slice raw,
                      const char *close, uint32_t tokens)
{
    struct bytes b = {0};
    bytes_addf(&b, "{\"contentBlockIndex\":%zu,\"delta\":{%s" SLICE_FMT "%s},\"p\":\"%.*s\"}",
               index, open, SLICE_ARG(raw), close, (int)(st->events % 8), "abcdefgh");
    put(st, "contentBlockDelta", &b, PIECE_EVENT, tokens);
    bytes_fini(&b);
}

static void put_start(struct stream *st, size_t index, const struct block *block)
{
    struct bytes b = {0};
    bytes_addf(&b,
               "{\"contentBlockIndex\":%zu,\"start\":{\"toolUse\":{\"name\":\"" SLICE_FMT
               "\",\"toolUseId\":\"tooluse_mock%zu\"}},\"p\":\"ab\"}",
               index, SLICE_ARG(bytes_slice(&block->name)), index);
    put(st, "contentBlockStart", &b, PIECE_EVENT, 0);
    bytes_fini(&b);
}

static void put_block(struct stream *st, const struct content *c, size_t index)
{
    static const struct {
        const char *open, *close;
    } around[] = {
        [BLOCK_THOUGHT] = {"\"reasoningContent\":{\"text\":\"", "\"}"},
        [BLOCK_TEXT] = {"\"text\":\"", "\""},
        [BLOCK_TOOL] = {"\"toolUse\":{\"input\":\"", "\"}"},
    };
    const struct block *block = &c->blocks[index];
    struct bytes b = {0};
    if (block->kind == BLOCK_TOOL)
        put_start(st, index, block);
    for (size_t i = 0; i < block->n; i++)
        put_delta(st, index, around[block->kind].open, token(block, i), around[block->kind].close,
                  1);
    for (int64_t i = 0; block->kind == BLOCK_TEXT && i < c->citations; i++) {
        add_citation(&b, i);
        put_delta(st, index, "\"citation\":", bytes_slice(&b), "", 0);
        b.len = 0;
    }
    if (block->kind == BLOCK_THOUGHT) {
        add_signature(&b, block);
        put_delta(st, index, "\"reasoningContent\":{\"signature\":\"", bytes_slice(&b), "\"}", 0);
        b.len = 0;
    }
    bytes_addf(&b, "{\"contentBlockIndex\":%zu,\"p\":\"abc\"}", index);
    put(st, "contentBlockStop", &b, PIECE_EVENT, 0);
    bytes_fini(&b);
}

static void write_stream(const struct script *s, const struct content *c, struct figures f,
                         struct reply *out)
{
    struct stream st = {.s = s, .out = out};
    struct bytes b = {0};
    bytes_adds(&b, "{\"role\":\"assistant\",\"p\":\"abcd\"}");
    put(&st, "messageStart", &b, PIECE_EVENT, 0);
    for (size_t i = 0; i < c->n; i++)
        put_block(&st, c, i);
    if (s->done) {
        bytes_addf(&b, "{\"stopReason\":\"%s\"", c->reason);
        add_stop_fields(&b, c);
        bytes_adds(&b, "}");
        put(&st, "messageStop", &b, PIECE_EVENT, 0);
        bytes_adds(&b, "{");
        if (s->usage != USAGE_ABSENT) {
            bytes_adds(&b, "\"usage\":");
            add_usage(&b, s, f);
            bytes_adds(&b, ",");
        }
        bytes_adds(&b, "\"metrics\":{\"latencyMs\":1}}");
        put(&st, "metadata", &b, PIECE_DONE, 0);
    }
    bytes_fini(&b);
}

static void write_converse(const struct call *call, const struct script *s, struct reply *out)
{
    struct content c;
    choose(&c, call, s);
    struct figures f = figures_of(call, s, c.tokens);
    out->status = 200;
    out->prompt_tokens = f.prompt;
    out->completion_tokens = f.completion;
    out->ctype = call->stream ? "application/vnd.amazon.eventstream" : "application/json";
    bytes_adds(&out->headers, "x-amzn-RequestId: 00000000-mock-mock-mock-000000000000\r\n");
    if (call->stream)
        write_stream(s, &c, f, out);
    else
        write_whole(s, &c, f, out);
    content_fini(&c);
}

static void write_model(const struct call *call, const struct script *s, struct reply *out)
{
    struct slice id;
    enum operation op = operation_of(call->suffix, &id);
    if (op != INVOKE && op != COUNT_TOKENS) {
        write_converse(call, s, out);
        return;
    }
    out->status = 200;
    out->ctype = "application/json";
    bytes_adds(&out->headers, "x-amzn-RequestId: 00000000-mock-mock-mock-000000000000\r\n");
    if (op == INVOKE)
        bedrock_invoke_write(call, s, out);
    else
        bedrock_count_write(call, out);
}

/* ---- errors and credentials ---- */

/* What the service says at a status: for scripts, and for what is refused before a dialect reads
 * the request, in OpenAI's words. */
static const struct {
    int status, sent;
    const char *name, *message;
} errors[] = {
    {400, 400, "ValidationException", NULL},
    {401, 403, "UnrecognizedClientException",
     "The security token included in the request is invalid."},
    {403, 403, "AccessDeniedException",
     "You don't have access to the model with the specified model ID."},
    {404, 404, "ResourceNotFoundException", NULL},
    {408, 408, "ModelTimeoutException", "The model took too long to answer."},
    {424, 424, "ModelErrorException", "The model had an error."},
    {429, 429, "ThrottlingException", "Too many requests, please wait before trying again."},
    {500, 500, "InternalServerException",
     "The system encountered an unexpected error during processing. Try your request again."},
    {503, 503, "ServiceUnavailableException", "Bedrock is unable to process your request."},
};

static bool is_exception(const char *name)
{
    return name != NULL && strstr(name, "Exception") != NULL;
}

static void write_error(const struct error *err, struct reply *out)
{
    const char *name = err->type, *message = err->message;
    out->status = err->status;
    for (size_t i = 0; i < ARRAY_LEN(errors) && !is_exception(err->type); i++) {
        if (errors[i].status != err->status)
            continue;
        name = errors[i].name;
        message = errors[i].message != NULL ? errors[i].message : err->message;
        out->status = errors[i].sent;
    }
    if (is_exception(err->code))
        name = err->code;
    if (!is_exception(name))
        name = "InternalServerException";
    out->ctype = "application/json";
    bytes_addf(&out->headers,
               "x-amzn-ErrorType: %s:http://internal.amazon.com/coral/com.amazon.bedrock/\r\n",
               name);
    bytes_adds(&out->text, "{\"message\":");
    bytes_add_json(&out->text, (struct slice){message, strlen(message)});
    bytes_adds(&out->text, "}");
    reply_end_piece(out, PIECE_WHOLE, 0);
}

static struct slice credential(const struct request *req)
{
    struct slice v = http_header(req, "authorization");
    if (v.len > 7 && slice_is_nocase((struct slice){v.p, 7}, "bearer "))
        return (struct slice){v.p + 7, v.len - 7};
    return sigv4_access_key_id(req);
}

static const struct route routes[] = {
    {"POST", "/model/*", read_model, write_model},
};

const struct dialect dialect_bedrock = {
    .name = "bedrock",
    .routes = routes,
    .nroutes = ARRAY_LEN(routes),
    .credential = credential,
    .write_error = write_error,
};
