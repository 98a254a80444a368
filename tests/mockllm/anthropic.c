/*
 * anthropic.c: messages and their tokens' count as Anthropic's API answers them.
 *
 * Formats: https://platform.claude.com/docs/en/api/messages/create, .../messages/count_tokens,
 * .../build-with-claude/streaming, .../api/errors. What is taken is anthropic_check.c's.
 */
#include "tests/mockllm/anthropic_check.h"
#include "tests/mockllm/dialect.h"
#include "tests/mockllm/json.h"
#include "tests/mockllm/sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    M_MODEL,
    M_MESSAGES,
    M_SYSTEM,
    M_TOOLS,
    M_TOOL_CHOICE,
    M_OUTPUT_CONFIG,
    M_MAX_TOKENS,
    M_STOP,
    M_STREAM,
    M_THINKING,
    M_COUNT
};
static const char *const member_names[M_COUNT] = {
    "model",         "messages",   "system",         "tools",  "tool_choice",
    "output_config", "max_tokens", "stop_sequences", "stream", "thinking",
};

/* ---- reading ---- */

static bool refuse(struct error *err, const char *fmt, ...) CHECKED_FMT(2);
static bool refuse(struct error *err, const char *fmt, ...)
{
    va_list ap;
    err->status = 400;
    err->type = "invalid_request_error";
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    return false;
}

/* What version 2026-10-21 no longer takes
 * (https://platform.claude.com/docs/en/api/migration-2026-10-21). */
static bool check_latest(struct slice body, struct error *err)
{
    static const char *const removed[] = {"temperature", "top_p", "top_k"};
    for (size_t i = 0; i < ARRAY_LEN(removed); i++)
        if (json_get(body, removed[i]).p != NULL)
            return refuse(err, "%s: Extra inputs are not permitted", removed[i]);
    return true;
}

/* Of a name that stands twice the first counts, as for json_get. */
static void note_member(struct call *call, struct slice key, struct slice value)
{
    for (int i = 0; i < M_COUNT; i++)
        if (call->members[i].p == NULL && slice_is(key, member_names[i]))
            call->members[i] = value;
}

static bool read_body(struct call *call, bool counting, struct error *err)
{
    struct slice body = call->req->body, version = http_header(call->req, "anthropic-version");
    struct json j;
    struct slice key, value;
    bool started = false;
    if (version.len == 0)
        return refuse(err, "anthropic-version: header is required");
    bool latest = slice_is(version, "2026-10-21");
    if (!latest && !slice_is(version, "2023-06-01"))
        return refuse(err, "anthropic-version: \"" SLICE_FMT "\" is not a valid version",
                      SLICE_ARG(version));
    json_init(&j, body);
    json_enter(&j, '{');
    while (j.error == NULL && json_next_member(&j, &started, &key, &value))
        note_member(call, key, value);
    if (!json_finish(&j))
        return refuse(err, "The request body is not valid JSON: %s at byte %zu", j.error,
                      json_offset(&j));
    if (!anthropic_check(slice_trim(body), counting, err) ||
        (latest && !check_latest(slice_trim(body), err)))
        return false;
    json_decode(call->members[M_MODEL], &call->model);
    /* A token is at least a byte; a quarter of the bytes is about what English text costs. */
    size_t bytes =
        call->members[M_MESSAGES].len + call->members[M_SYSTEM].len + call->members[M_TOOLS].len;
    call->prompt_tokens = (int64_t)(bytes + 3) / 4;
    call->stream = slice_is(call->members[M_STREAM], "true");
    call->n = 1;
    call->from_content = true;
    return true;
}

static bool read_messages(struct call *call, struct error *err)
{
    return read_body(call, false, err);
}

static bool read_count(struct call *call, struct error *err)
{
    return read_body(call, true, err);
}

/* ---- what is answered ---- */

enum { BLOCKS_MAX = 34, CITED_MAX = 8 };
enum block_kind { BLOCK_THINKING, BLOCK_TEXT, BLOCK_CALL };

/* The raw text of a block's JSON string, cut into tokens. */
struct block {
    enum block_kind kind;
    struct bytes raw;
    size_t *ends;
    size_t n, cap;
    struct slice name; /* raw */
    char id[48];
    struct bytes signature;
};

struct message {
    struct block blocks[BLOCKS_MAX];
    size_t n;
    size_t tokens, thought;
    const char *stop_reason;
    struct slice stop_sequence; /* raw JSON, null if there is none */
    int64_t citations;
};

static struct block *add_block(struct message *m, enum block_kind kind)
{
    struct block *b = &m->blocks[m->n++];
    *b = (struct block){.kind = kind};
    return b;
}

static void end_token(struct block *b)
{
    if (b->n == b->cap) {
        b->cap = b->cap > 0 ? b->cap * 2 : 64;
        b->ends = xrealloc(b->ends, b->cap * sizeof *b->ends);
    }
    b->ends[b->n++] = b->raw.len;
}

static struct slice token(const struct block *b, size_t i)
{
    size_t from = i > 0 ? b->ends[i - 1] : 0;
    return (struct slice){b->raw.p + from, b->ends[i] - from};
}

static void message_fini(struct message *m)
{
    for (size_t i = 0; i < m->n; i++) {
        bytes_fini(&m->blocks[i].raw);
        bytes_fini(&m->blocks[i].signature);
        free(m->blocks[i].ends);
    }
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
static void add_quoted(struct block *b, const struct bytes *json)
{
    struct bytes raw = {0};
    for (size_t i = 0; i < json->len; i++) {
        if (json->p[i] == '"' || json->p[i] == '\\')
            bytes_adds(&raw, "\\");
        bytes_add(&raw, &json->p[i], 1);
    }
    add_raw(b, bytes_slice(&raw));
    bytes_fini(&raw);
}

static void add_words(struct block *b, const struct script *s)
{
    int64_t size = s->size > 0 && s->tokens > 0 ? s->size / s->tokens : s->token_size;
    for (int64_t i = 0; i < s->tokens; i++) {
        int64_t rest = i == 0 && s->size > 0 ? s->size % s->tokens : 0;
        if (s->unicode)
            sample_unicode_token(&b->raw, i);
        else
            sample_token(&b->raw, i, size + rest);
        end_token(b);
    }
}

static size_t count_elements(struct slice array)
{
    struct json j;
    struct slice v;
    bool started = false;
    size_t n = 0;
    json_init(&j, array);
    if (array.len > 0 && json_enter(&j, '['))
        while (json_next_element(&j, &started, &v))
            n++;
    return n;
}

static struct slice element(struct slice array, size_t at)
{
    struct json j;
    struct slice v;
    bool started = false;
    json_init(&j, array);
    if (array.len > 0 && json_enter(&j, '['))
        for (size_t i = 0; json_next_element(&j, &started, &v); i++)
            if (i == at)
                return v;
    return (struct slice){NULL, 0};
}

static struct slice last_element(struct slice array)
{
    struct json j;
    struct slice value, last = {NULL, 0};
    bool started = false;
    json_init(&j, array);
    if (array.len > 0 && json_enter(&j, '['))
        while (json_next_element(&j, &started, &value))
            last = value;
    return last;
}

static bool is_model(const struct call *call, const char *prefix)
{
    size_t n = strlen(prefix);
    return call->model.len >= n && memcmp(call->model.p, prefix, n) == 0;
}

static int64_t calls_wanted(const struct call *call, const struct script *s, struct slice last)
{
    struct slice type = json_get(call->members[M_TOOL_CHOICE], "type");
    struct slice first = element(json_get(last, "content"), 0);
    if (count_elements(call->members[M_TOOLS]) == 0 || slice_is(type, "\"none\""))
        return 0;
    if (s->tools > 0)
        return s->tools < BLOCKS_MAX - 2 ? s->tools : BLOCKS_MAX - 2;
    if (slice_is(json_get(first, "type"), "\"tool_result\""))
        return 0;
    bool forced = slice_is(type, "\"any\"") || slice_is(type, "\"tool\"");
    return forced || is_model(call, "mock-tools") ? 1 : 0;
}

static struct slice choose_tool(const struct call *call, const struct script *s, int64_t nth)
{
    struct slice tools = call->members[M_TOOLS];
    struct slice name = json_get(call->members[M_TOOL_CHOICE], "name");
    size_t n = count_elements(tools);
    for (size_t i = 0; i < n; i++) {
        struct slice tool = element(tools, i), own = json_get(tool, "name");
        if (s->tool[0] != '\0' ? slice_is(json_inner(own), s->tool)
                               : name.p != NULL && slice_eq(own, name))
            return tool;
    }
    return element(tools, (size_t)nth % n);
}

static void add_call(struct message *m, const struct call *call, const struct script *s,
                     int64_t nth)
{
    struct slice tool = choose_tool(call, s, nth);
    struct bytes input = {0};
    struct block *b = add_block(m, BLOCK_CALL);
    b->name = json_inner(json_get(tool, "name"));
    snprintf(b->id, sizeof b->id, "toolu_mock_%zu_%" PRId64,
             count_elements(call->members[M_MESSAGES]), nth);
    sample_instance(&input, json_get(tool, "input_schema"));
    add_quoted(b, &input);
    bytes_fini(&input);
    m->stop_reason = "tool_use";
}

static void add_thoughts(struct message *m, const struct script *s)
{
    struct block *b = add_block(m, BLOCK_THINKING);
    struct bytes quoted = {0}, text = {0};
    for (int64_t i = 0; i < s->reason; i++) {
        sample_thought(&b->raw, i);
        end_token(b);
    }
    bytes_adds(&quoted, "\"");
    bytes_add_slice(&quoted, bytes_slice(&b->raw));
    bytes_adds(&quoted, "\"");
    json_decode(bytes_slice(&quoted), &text);
    sample_signature(&b->signature, SAMPLE_CLAUDE, bytes_slice(&text));
    bytes_fini(&quoted);
    bytes_fini(&text);
}

static struct slice last_text(struct slice message)
{
    struct slice content = json_get(message, "content");
    if (content.len > 0 && content.p[0] == '[')
        content = json_get(last_element(content), "text");
    return json_is_string(content) ? json_inner(content) : SLICE("");
}

static void add_text(struct message *m, const struct call *call, const struct script *s,
                     struct slice last)
{
    struct slice schema = json_get(json_get(call->members[M_OUTPUT_CONFIG], "format"), "schema");
    struct block *b = add_block(m, BLOCK_TEXT);
    struct bytes instance = {0};
    if (schema.p != NULL) {
        sample_instance(&instance, schema);
        add_quoted(b, &instance);
        bytes_fini(&instance);
    } else if (is_model(call, "mock-echo")) {
        add_raw(b, last_text(last));
    } else {
        add_words(b, s);
    }
    m->citations = s->cite < CITED_MAX ? s->cite : CITED_MAX;
}

static void limit_tokens(struct message *m, const struct call *call)
{
    int64_t max = INT64_MAX;
    slice_to_int(call->members[M_MAX_TOKENS], &max);
    m->tokens = m->thought = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct block *b = &m->blocks[i];
        size_t room = (size_t)max - m->tokens;
        if (b->n > room && b->kind != BLOCK_CALL) {
            b->n = room;
            b->raw.len = room > 0 ? b->ends[room - 1] : 0;
            m->stop_reason = "max_tokens";
        }
        m->tokens += b->n;
        if (b->kind == BLOCK_THINKING)
            m->thought += b->n;
    }
}

static void choose(struct message *m, const struct call *call, const struct script *s)
{
    struct slice last = last_element(call->members[M_MESSAGES]);
    int64_t calls = calls_wanted(call, s, last);
    *m = (struct message){.stop_reason = "end_turn", .stop_sequence = SLICE("null")};
    if (s->reason > 0 && slice_is(json_get(call->members[M_THINKING], "type"), "\"disabled\"") == 0)
        add_thoughts(m, s);
    for (int64_t i = 0; i < calls; i++)
        add_call(m, call, s, i);
    if (calls == 0 && !s->empty)
        add_text(m, call, s, last);
    limit_tokens(m, call);
    if (s->refusal)
        m->stop_reason = "refusal";
    if (s->finish[0] != '\0')
        m->stop_reason = s->finish;
    if (strcmp(m->stop_reason, "stop_sequence") == 0 && count_elements(call->members[M_STOP]) > 0)
        m->stop_sequence = element(call->members[M_STOP], 0);
}

/* ---- usage ---- */

struct figures {
    int64_t input, cache_read, cache_write, cache_write_1h, output, thinking;
};

/* Bytes of the prompt up to the last breakpoint, and whether that one is for an hour. */
static int64_t cached_prefix(const struct call *call, bool *hour)
{
    static const char mark[] = "\"cache_control\"";
    static const int parts[] = {M_TOOLS, M_SYSTEM, M_MESSAGES};
    size_t before = 0, prefix = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct slice v = call->members[parts[i]];
        const char *end = v.p + v.len, *at = v.p;
        for (; at != NULL && (at = memmem(at, (size_t)(end - at), mark, sizeof mark - 1)) != NULL;
             at++) {
            size_t rest = (size_t)(end - at);
            prefix = before + (size_t)(at - v.p);
            *hour = memmem(at, rest < 64 ? rest : 64, "\"1h\"", 4) != NULL;
        }
        before += v.len;
    }
    return (int64_t)(prefix + 3) / 4;
}

/* What is marked is written to a cache, for a mock remembers nothing; `cached` and `cache_write`
 * of the script say otherwise. */
static struct figures figures_of(const struct call *call, const struct script *s,
                                 const struct message *m)
{
    bool hour = false;
    int64_t prefix = cached_prefix(call, &hour);
    int64_t prompt = s->prompt != INT64_MIN ? s->prompt : call->prompt_tokens;
    bool scripted = s->cached > 0 || s->cache_write > 0 || s->prompt != INT64_MIN;
    struct figures f = {
        .cache_read = s->cached,
        .cache_write = scripted ? s->cache_write : prefix,
        .output = s->completion != INT64_MIN ? s->completion : (int64_t)m->tokens,
        .thinking = s->reasoning > 0 ? s->reasoning : (int64_t)m->thought,
    };
    f.cache_write_1h = hour ? f.cache_write : 0;
    f.input = prompt - f.cache_read - f.cache_write;
    return f;
}

static void add_counts(struct bytes *b, struct figures f, bool start)
{
    bytes_addf(b,
               "{\"input_tokens\":%" PRId64 ",\"cache_creation_input_tokens\":%" PRId64
               ",\"cache_read_input_tokens\":%" PRId64 ",",
               f.input, f.cache_write, f.cache_read);
    if (start)
        bytes_addf(b,
                   "\"cache_creation\":{\"ephemeral_5m_input_tokens\":%" PRId64
                   ",\"ephemeral_1h_input_tokens\":%" PRId64 "},",
                   f.cache_write - f.cache_write_1h, f.cache_write_1h);
    bytes_addf(b, "\"output_tokens\":%" PRId64, f.output);
    if (f.thinking > 0)
        bytes_addf(b, ",\"output_tokens_details\":{\"thinking_tokens\":%" PRId64 "}", f.thinking);
    bytes_adds(b, start ? ",\"service_tier\":\"standard\"}" : "}");
}

/* `start`: of a whole answer or of message_start, which say more. */
static void add_usage(struct bytes *b, const struct script *s, struct figures f, bool start)
{
    if (s->usage == USAGE_ABSENT || (s->usage == USAGE_FIRST && !start))
        return;
    bytes_adds(b, ",\"usage\":");
    switch (s->usage) {
    case USAGE_NULL:
        bytes_adds(b, "null");
        return;
    case USAGE_HUGE:
        bytes_adds(b, "{\"input_tokens\":99999999999999999999,\"output_tokens\":1e300}");
        return;
    case USAGE_FRACTION:
        bytes_adds(b, "{\"input_tokens\":1.5,\"output_tokens\":2.25}");
        return;
    case USAGE_STRING:
        bytes_addf(b, "{\"input_tokens\":\"%" PRId64 "\",\"output_tokens\":\"%" PRId64 "\"}",
                   f.input, f.output);
        return;
    case USAGE_PARTIAL:
        bytes_addf(b, "{\"input_tokens\":%" PRId64 "}", f.input);
        return;
    case USAGE_ZERO:
        f = (struct figures){0};
        break;
    case USAGE_NEGATIVE:
        f = (struct figures){-f.input - 1, -1, -1, -1, -f.output - 1, 0};
        break;
    default:
        break;
    }
    add_counts(b, f, start);
}

/* ---- whole answers ---- */

static void begin_reply(struct reply *out, int status, const char *ctype)
{
    out->status = status;
    out->ctype = ctype;
    bytes_adds(&out->headers, "request-id: req_mock\r\n");
}

static void add_head(struct bytes *b, const struct call *call, const struct script *s)
{
    bytes_adds(b, "\"id\":\"msg_mock\",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    if (s->reply_model[0] != '\0')
        bytes_add_json(b, (struct slice){s->reply_model, strlen(s->reply_model)});
    else
        bytes_add_json(b, bytes_slice(&call->model));
}

static void add_citation(struct bytes *b, int64_t i)
{
    bytes_addf(b,
               "{\"type\":\"web_search_result_location\",\"cited_text\":\"mock %" PRId64
               "\",\"url\":\"https://example.com/%" PRId64 "\",\"title\":\"Mock %" PRId64
               "\",\"encrypted_index\":\"bW9jaw==\"}",
               i, i, i);
}

static void add_input(struct bytes *b, const struct block *block)
{
    struct bytes quoted = {0};
    bytes_adds(&quoted, "\"");
    bytes_add_slice(&quoted, bytes_slice(&block->raw));
    bytes_adds(&quoted, "\"");
    json_decode(bytes_slice(&quoted), b);
    bytes_fini(&quoted);
}

static void add_whole_block(struct bytes *b, const struct message *m, const struct block *block)
{
    if (block->kind == BLOCK_THINKING) {
        bytes_addf(b,
                   "{\"type\":\"thinking\",\"thinking\":\"" SLICE_FMT
                   "\",\"signature\":\"" SLICE_FMT "\"}",
                   SLICE_ARG(bytes_slice(&block->raw)), SLICE_ARG(bytes_slice(&block->signature)));
        return;
    }
    if (block->kind == BLOCK_CALL) {
        bytes_addf(b, "{\"type\":\"tool_use\",\"id\":\"%s\",\"name\":\"" SLICE_FMT "\",\"input\":",
                   block->id, SLICE_ARG(block->name));
        add_input(b, block);
        bytes_adds(b, "}");
        return;
    }
    bytes_adds(b, "{\"type\":\"text\",\"text\":\"");
    bytes_add_slice(b, bytes_slice(&block->raw));
    bytes_adds(b, m->citations > 0 ? "\",\"citations\":[" : "\"");
    for (int64_t i = 0; i < m->citations; i++) {
        bytes_adds(b, i > 0 ? "," : "");
        add_citation(b, i);
    }
    bytes_adds(b, m->citations > 0 ? "]}" : "}");
}

static void write_whole(const struct call *call, const struct script *s, const struct message *m,
                        struct reply *out)
{
    struct bytes *b = &out->text;
    bytes_adds(b, "{");
    add_head(b, call, s);
    bytes_adds(b, ",\"content\":[");
    for (size_t i = 0; i < m->n; i++) {
        bytes_adds(b, i > 0 ? "," : "");
        add_whole_block(b, m, &m->blocks[i]);
    }
    bytes_addf(b, "],\"stop_reason\":\"%s\",\"stop_sequence\":" SLICE_FMT, m->stop_reason,
               SLICE_ARG(m->stop_sequence));
    add_usage(b, s, figures_of(call, s, m), true);
    bytes_adds(b, "}");
    reply_end_piece(out, PIECE_WHOLE, (uint32_t)out->completion_tokens);
}

/* ---- streams ---- */

struct stream {
    const struct call *call;
    const struct script *s;
    const struct message *m;
    struct reply *out;
    struct figures total;
    int64_t events;
    bool failed;
};

static void write_error_event(const struct error *err, struct reply *out);

/* False when the script wants an error here instead. */
static bool begin(struct stream *st, const char *type)
{
    if (st->failed)
        return false;
    if (st->s->error_after >= 0 && st->events >= st->s->error_after) {
        struct error err = {.status = 529,
                            .type = "server_error",
                            .code = st->s->error[0] != '\0' ? st->s->error : NULL,
                            .message = "Overloaded"};
        st->failed = true;
        write_error_event(&err, st->out);
        return false;
    }
    st->events++;
    bytes_addf(&st->out->text, "event: %s\ndata: {\"type\":\"%s\"", type, type);
    return true;
}

static void end(struct stream *st, enum piece_kind kind, uint32_t tokens)
{
    bytes_adds(&st->out->text, "}\n\n");
    reply_end_piece(st->out, kind, tokens);
}

static void write_start(struct stream *st)
{
    struct figures f = st->total;
    struct bytes *b = &st->out->text;
    f.thinking = 0;
    if (st->s->usage == USAGE_DECREASING)
        f.output += 5;
    else if (st->s->usage != USAGE_FIRST && f.output > 1)
        f.output = 1;
    if (!begin(st, "message_start"))
        return;
    bytes_adds(b, ",\"message\":{");
    add_head(b, st->call, st->s);
    bytes_adds(b, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null");
    if (st->s->usage != USAGE_LAST)
        add_usage(b, st->s, f, true);
    bytes_adds(b, "}");
    end(st, PIECE_EVENT, 0);
}

static void write_ping(struct stream *st)
{
    if (begin(st, "ping"))
        end(st, PIECE_EVENT, 0);
}

static void write_block_start(struct stream *st, size_t i, const struct block *block)
{
    struct bytes *b = &st->out->text;
    if (!begin(st, "content_block_start"))
        return;
    bytes_addf(b, ",\"index\":%zu,\"content_block\":", i);
    if (block->kind == BLOCK_THINKING)
        bytes_adds(b, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
    else if (block->kind == BLOCK_TEXT)
        bytes_adds(b, "{\"type\":\"text\",\"text\":\"\"}");
    else
        bytes_addf(b,
                   "{\"type\":\"tool_use\",\"id\":\"%s\",\"name\":\"" SLICE_FMT "\",\"input\":{}}",
                   block->id, SLICE_ARG(block->name));
    end(st, PIECE_EVENT, 0);
}

static bool begin_delta(struct stream *st, size_t i, const char *type)
{
    if (!begin(st, "content_block_delta"))
        return false;
    bytes_addf(&st->out->text, ",\"index\":%zu,\"delta\":{\"type\":\"%s\",", i, type);
    return true;
}

static void write_delta(struct stream *st, size_t i, enum block_kind kind, struct slice raw,
                        uint32_t tokens)
{
    static const struct {
        const char *type, *member;
    } deltas[] = {
        [BLOCK_THINKING] = {"thinking_delta", "thinking"},
        [BLOCK_TEXT] = {"text_delta", "text"},
        [BLOCK_CALL] = {"input_json_delta", "partial_json"},
    };
    if (!begin_delta(st, i, deltas[kind].type))
        return;
    bytes_addf(&st->out->text, "\"%s\":\"", deltas[kind].member);
    bytes_add_slice(&st->out->text, raw);
    bytes_adds(&st->out->text, "\"}");
    end(st, PIECE_EVENT, tokens);
}

static void write_citations(struct stream *st, size_t i)
{
    for (int64_t c = 0; c < st->m->citations; c++) {
        if (!begin_delta(st, i, "citations_delta"))
            return;
        bytes_adds(&st->out->text, "\"citation\":");
        add_citation(&st->out->text, c);
        bytes_adds(&st->out->text, "}");
        end(st, PIECE_EVENT, 0);
    }
}

static void write_signature(struct stream *st, size_t i, const struct block *block)
{
    if (!begin_delta(st, i, "signature_delta"))
        return;
    bytes_addf(&st->out->text, "\"signature\":\"" SLICE_FMT "\"}",
               SLICE_ARG(bytes_slice(&block->signature)));
    end(st, PIECE_EVENT, 0);
}

static void write_block(struct stream *st, size_t i, const struct block *block)
{
    write_block_start(st, i, block);
    if (i == 0)
        write_ping(st);
    if (block->kind == BLOCK_CALL) /* as the API begins every input */
        write_delta(st, i, BLOCK_CALL, SLICE(""), 0);
    for (size_t t = 0; t < block->n; t++)
        write_delta(st, i, block->kind, token(block, t), 1);
    if (block->kind == BLOCK_TEXT)
        write_citations(st, i);
    else if (block->kind == BLOCK_THINKING)
        write_signature(st, i, block);
    if (begin(st, "content_block_stop")) {
        bytes_addf(&st->out->text, ",\"index\":%zu", i);
        end(st, PIECE_EVENT, 0);
    }
}

static void write_message_delta(struct stream *st, struct figures f)
{
    if (!begin(st, "message_delta"))
        return;
    bytes_addf(&st->out->text,
               ",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":" SLICE_FMT "}",
               st->m->stop_reason, SLICE_ARG(st->m->stop_sequence));
    add_usage(&st->out->text, st->s, f, false);
    end(st, PIECE_EVENT, 0);
}

static void write_stream(const struct call *call, const struct script *s, const struct message *m,
                         struct reply *out)
{
    struct stream st = {.call = call, .s = s, .m = m, .out = out};
    st.total = figures_of(call, s, m);
    write_start(&st);
    for (size_t i = 0; i < m->n; i++)
        write_block(&st, i, &m->blocks[i]);
    write_message_delta(&st, st.total);
    if (s->usage == USAGE_TWICE) {
        st.total.input++;
        st.total.output++;
        write_message_delta(&st, st.total);
    }
    if (s->done && begin(&st, "message_stop"))
        end(&st, PIECE_DONE, 0);
}

static void write_messages(const struct call *call, const struct script *s, struct reply *out)
{
    struct message m;
    choose(&m, call, s);
    struct figures f = figures_of(call, s, &m);
    begin_reply(out, 200, call->stream ? "text/event-stream; charset=utf-8" : "application/json");
    out->prompt_tokens = f.input + f.cache_read + f.cache_write;
    out->completion_tokens = f.output;
    if (call->stream)
        write_stream(call, s, &m, out);
    else
        write_whole(call, s, &m, out);
    message_fini(&m);
}

static void write_count(const struct call *call, const struct script *s, struct reply *out)
{
    begin_reply(out, 200, "application/json");
    bytes_addf(&out->text, "{\"input_tokens\":%" PRId64 "}",
               s->prompt != INT64_MIN ? s->prompt : call->prompt_tokens);
    reply_end_piece(out, PIECE_WHOLE, 0);
}

/* ---- errors and credentials ---- */

static const struct {
    const char *type;
    int status;
    const char *message; /* of a scripted status; NULL: as it is */
} types[] = {
    {"invalid_request_error", 400, NULL},
    {"authentication_error", 401, "invalid x-api-key"},
    {"billing_error", 402, "There is a problem with your billing or payment information."},
    {"permission_error", 403, "Your API key does not have permission to use the resource."},
    {"not_found_error", 404, NULL},
    {"request_too_large", 413, "Request exceeds the maximum size"},
    {"rate_limit_error", 429, "This request would exceed your organization's rate limit."},
    {"timeout_error", 504, NULL},
    {"overloaded_error", 529, "Overloaded"},
    {"api_error", 500, "Internal server error"},
};

/* Scripted codes with which the API has no type of their own for. */
static const struct {
    const char *code, *message;
} meanings[] = {
    {"insufficient_quota", "Your credit balance is too low to access the Anthropic API. Please go "
                           "to Plans & Billing to upgrade or purchase credits."},
    {"context_length_exceeded", "prompt is too long: 210000 tokens > 200000 maximum"},
    {"content_filter", "Output blocked by content filtering policy"},
};

static void add_error(struct bytes *b, const struct error *err)
{
    size_t at = ARRAY_LEN(types) - 1;
    const char *message = err->message;
    for (size_t i = ARRAY_LEN(types); i-- > 0;)
        if (types[i].status == err->status)
            at = i;
    if (err->status >= 400 && err->status < 500 && types[at].status >= 500)
        at = 0;
    for (size_t i = 0; err->code != NULL && i < ARRAY_LEN(types); i++)
        if (strcmp(types[i].type, err->code) == 0)
            at = i;
    if (types[at].message != NULL)
        message = types[at].message;
    for (size_t i = 0; err->code != NULL && i < ARRAY_LEN(meanings); i++)
        if (strcmp(meanings[i].code, err->code) == 0)
            message = meanings[i].message;
    bytes_addf(b, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", types[at].type);
    bytes_add_json(b, (struct slice){message, strlen(message)});
    bytes_adds(b, "},\"request_id\":\"req_mock\"}");
}

static void write_error(const struct error *err, struct reply *out)
{
    begin_reply(out, err->status, "application/json");
    add_error(&out->text, err);
    reply_end_piece(out, PIECE_WHOLE, 0);
}

static void write_error_event(const struct error *err, struct reply *out)
{
    bytes_adds(&out->text, "event: error\ndata: ");
    add_error(&out->text, err);
    bytes_adds(&out->text, "\n\n");
    reply_end_piece(out, PIECE_EVENT, 0);
}

static struct slice credential(const struct request *req)
{
    return http_header(req, "x-api-key");
}

static const struct route routes[] = {
    {"POST", "/v1/messages", read_messages, write_messages},
    {"POST", "/v1/messages/count_tokens", read_count, write_count},
};

const struct dialect dialect_anthropic = {
    .name = "anthropic",
    .routes = routes,
    .nroutes = ARRAY_LEN(routes),
    .credential = credential,
    .write_error = write_error,
};
