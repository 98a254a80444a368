/*
 * cohere.c: chat as Cohere's API answers it; search.c has embed and rerank.
 *
 * Formats: https://docs.cohere.com/reference/chat and .../chat-stream,
 * https://docs.cohere.com/v2/docs/streaming, .../docs/tool-use-streaming, .../reference/errors.
 * What is taken is cohere_check.c's.
 */
#include "tests/mockllm/cohere_check.h"
#include "tests/mockllm/dialect.h"
#include "tests/mockllm/json.h"
#include "tests/mockllm/sample.h"
#include "tests/mockllm/search.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    M_MODEL,
    M_MESSAGES,
    M_TOOLS,
    M_TOOL_CHOICE,
    M_DOCUMENTS,
    M_MAX_TOKENS,
    M_STREAM,
    M_FORMAT,
    M_THINKING,
    M_LOGPROBS,
    M_COUNT
};
static const char *const member_names[M_COUNT] = {
    "model",      "messages", "tools",           "tool_choice", "documents",
    "max_tokens", "stream",   "response_format", "thinking",    "logprobs",
};

/* ---- reading ---- */

static bool read_chat(struct call *call, struct error *err)
{
    struct slice body = slice_trim(call->req->body), key, value;
    struct json j;
    bool started = false;
    json_init(&j, body);
    json_enter(&j, '{');
    while (j.error == NULL && json_next_member(&j, &started, &key, &value))
        continue;
    if (!json_finish(&j)) {
        err->status = 400;
        snprintf(err->message, sizeof err->message, "invalid request: %s at byte %zu", j.error,
                 json_offset(&j));
        return false;
    }
    if (!cohere_check(body, err))
        return false;
    for (int i = 0; i < M_COUNT; i++)
        call->members[i] = json_get(body, member_names[i]);
    json_decode(call->members[M_MODEL], &call->model);
    size_t bytes =
        call->members[M_MESSAGES].len + call->members[M_TOOLS].len + call->members[M_DOCUMENTS].len;
    call->prompt_tokens = (int64_t)(bytes + 3) / 4;
    call->stream = slice_is(call->members[M_STREAM], "true");
    call->n = 1;
    call->from_content = true;
    return true;
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
};

struct message {
    struct block blocks[BLOCKS_MAX];
    size_t n, tokens;
    const char *finish;
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
    size_t n = count_elements(array);
    return n > 0 ? element(array, n - 1) : (struct slice){NULL, 0};
}

static bool is_model(const struct call *call, const char *prefix)
{
    size_t n = strlen(prefix);
    return call->model.len >= n && memcmp(call->model.p, prefix, n) == 0;
}

static int64_t calls_wanted(const struct call *call, const struct script *s, struct slice last)
{
    struct slice choice = call->members[M_TOOL_CHOICE];
    if (count_elements(call->members[M_TOOLS]) == 0 || slice_is(choice, "\"NONE\""))
        return 0;
    if (s->tools > 0)
        return s->tools < BLOCKS_MAX - 2 ? s->tools : BLOCKS_MAX - 2;
    if (slice_is(json_get(last, "role"), "\"tool\""))
        return 0;
    return slice_is(choice, "\"REQUIRED\"") || is_model(call, "mock-tools") ? 1 : 0;
}

static struct slice choose_tool(const struct call *call, const struct script *s, int64_t nth)
{
    struct slice tools = call->members[M_TOOLS];
    size_t n = count_elements(tools);
    for (size_t i = 0; i < n && s->tool[0] != '\0'; i++) {
        struct slice function = json_get(element(tools, i), "function");
        if (slice_is(json_inner(json_get(function, "name")), s->tool))
            return function;
    }
    return json_get(element(tools, (size_t)nth % n), "function");
}

static void add_call(struct message *m, const struct call *call, const struct script *s,
                     int64_t nth)
{
    struct slice function = choose_tool(call, s, nth);
    struct bytes arguments = {0};
    struct block *b = add_block(m, BLOCK_CALL);
    b->name = json_inner(json_get(function, "name"));
    snprintf(b->id, sizeof b->id, "call_mock_%zu_%" PRId64,
             count_elements(call->members[M_MESSAGES]), nth);
    sample_instance(&arguments, json_get(function, "parameters"));
    add_quoted(b, &arguments);
    bytes_fini(&arguments);
    m->finish = "TOOL_CALL";
}

static void add_thoughts(struct message *m, const struct script *s)
{
    struct block *b = add_block(m, BLOCK_THINKING);
    for (int64_t i = 0; i < s->reason; i++) {
        sample_thought(&b->raw, i);
        end_token(b);
    }
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
    struct slice format = call->members[M_FORMAT], schema = json_get(format, "json_schema");
    struct block *b = add_block(m, BLOCK_TEXT);
    struct bytes instance = {0};
    if (schema.p == NULL)
        schema = json_get(format, "schema");
    if (slice_is(json_get(format, "type"), "\"json_object\"")) {
        if (schema.p != NULL)
            sample_instance(&instance, schema);
        else
            bytes_adds(&instance, "{\"answer\":\"mock\"}");
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
    m->tokens = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct block *b = &m->blocks[i];
        size_t room = (size_t)max - m->tokens;
        if (b->n > room && b->kind != BLOCK_CALL) {
            b->n = room;
            b->raw.len = room > 0 ? b->ends[room - 1] : 0;
            m->finish = "MAX_TOKENS";
        }
        m->tokens += b->n;
    }
}

static void choose(struct message *m, const struct call *call, const struct script *s)
{
    struct slice last = last_element(call->members[M_MESSAGES]);
    int64_t calls = calls_wanted(call, s, last);
    *m = (struct message){.finish = "COMPLETE"};
    if (s->reason > 0 && !slice_is(json_get(call->members[M_THINKING], "type"), "\"disabled\""))
        add_thoughts(m, s);
    for (int64_t i = 0; i < calls; i++)
        add_call(m, call, s, i);
    if (calls == 0 && !s->empty)
        add_text(m, call, s, last);
    limit_tokens(m, call);
    if (s->finish[0] != '\0')
        m->finish = s->finish;
}

/* ---- usage ---- */

enum { TEMPLATE_TOKENS = 60 }; /* of the provider's own prompt, which nobody is billed for */

struct figures {
    int64_t input, cached, output;
};

static struct figures figures_of(const struct call *call, const struct script *s,
                                 const struct message *m)
{
    return (struct figures){
        .input = s->prompt != INT64_MIN ? s->prompt : call->prompt_tokens,
        .cached = s->cached,
        .output = s->completion != INT64_MIN ? s->completion : (int64_t)m->tokens,
    };
}

static void add_tokens(struct bytes *b, const char *name, int64_t input, int64_t output)
{
    bytes_addf(b, "\"%s\":{\"input_tokens\":%" PRId64 ",\"output_tokens\":%" PRId64 "}", name,
               input, output);
}

static void add_usage(struct bytes *b, const struct script *s, struct figures f)
{
    int64_t template = TEMPLATE_TOKENS;
    if (s->usage == USAGE_ABSENT)
        return;
    bytes_adds(b, ",\"usage\":");
    switch (s->usage) {
    case USAGE_NULL:
        bytes_adds(b, "null");
        return;
    case USAGE_HUGE:
        bytes_adds(b, "{\"billed_units\":{\"input_tokens\":99999999999999999999,"
                      "\"output_tokens\":1e300}}");
        return;
    case USAGE_FRACTION:
        bytes_adds(b, "{\"billed_units\":{\"input_tokens\":1.5,\"output_tokens\":2.25}}");
        return;
    case USAGE_STRING:
        bytes_addf(b,
                   "{\"billed_units\":{\"input_tokens\":\"%" PRId64
                   "\",\"output_tokens\":\"%" PRId64 "\"}}",
                   f.input, f.output);
        return;
    case USAGE_PARTIAL:
        bytes_addf(b, "{\"billed_units\":{\"input_tokens\":%" PRId64 "}}", f.input);
        return;
    case USAGE_ZERO:
        f = (struct figures){0};
        template = 0;
        break;
    case USAGE_NEGATIVE:
        f = (struct figures){-f.input - 1, -1, -f.output - 1};
        break;
    default:
        break;
    }
    bytes_adds(b, "{");
    add_tokens(b, "billed_units", f.input, f.output);
    bytes_adds(b, ",");
    add_tokens(b, "tokens", f.input + template, f.output);
    bytes_addf(b, ",\"cached_tokens\":%" PRId64 "}", f.cached);
}

/* ---- whole answers ---- */

static void begin_reply(struct reply *out, int status, const char *ctype)
{
    out->status = status;
    out->ctype = ctype;
    bytes_adds(&out->headers, "x-debug-trace-id: mock\r\n");
}

static void add_citation(struct bytes *b, int64_t i)
{
    bytes_addf(b,
               "{\"start\":%" PRId64 ",\"end\":%" PRId64 ",\"text\":\"mock %" PRId64
               "\",\"sources\":[{\"type\":\"document\",\"id\":\"doc:%" PRId64
               "\",\"document\":{\"title\":\"Mock %" PRId64
               "\",\"url\":\"https://example.com/%" PRId64
               "\"}}],\"content_index\":0,\"type\":\"TEXT_CONTENT\"}",
               i, i + 1, i, i, i, i);
}

static void add_logprob(struct bytes *b, struct slice text, size_t i)
{
    bytes_adds(b, "{\"text\":\"");
    bytes_add_slice(b, text);
    bytes_addf(b, "\",\"token_ids\":[%zu],\"logprobs\":[-0.%zu]}", i, i % 9 + 1);
}

static void add_content(struct bytes *b, const struct message *m)
{
    bool any = false;
    for (size_t i = 0; i < m->n; i++) {
        const struct block *block = &m->blocks[i];
        const char *kind = block->kind == BLOCK_THINKING ? "thinking" : "text";
        if (block->kind == BLOCK_CALL)
            continue;
        bytes_addf(b, "%s{\"type\":\"%s\",\"%s\":\"", any ? "," : ",\"content\":[", kind, kind);
        bytes_add_slice(b, bytes_slice(&block->raw));
        bytes_adds(b, "\"}");
        any = true;
    }
    bytes_adds(b, any ? "]" : "");
}

static void add_calls(struct bytes *b, const struct message *m)
{
    bool any = false;
    for (size_t i = 0; i < m->n; i++) {
        const struct block *block = &m->blocks[i];
        if (block->kind != BLOCK_CALL)
            continue;
        bytes_addf(b,
                   "%s{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":\"" SLICE_FMT
                   "\",\"arguments\":\"" SLICE_FMT "\"}}",
                   any ? "," : ",\"tool_calls\":[", block->id, SLICE_ARG(block->name),
                   SLICE_ARG(bytes_slice(&block->raw)));
        any = true;
    }
    bytes_adds(b, any ? "]" : "");
}

static bool wants_logprobs(const struct call *call)
{
    return slice_is(call->members[M_LOGPROBS], "true");
}

static void add_logprobs(struct bytes *b, const struct message *m)
{
    const char *glue = ",\"logprobs\":[";
    for (size_t i = 0; i < m->n; i++)
        for (size_t t = 0; m->blocks[i].kind == BLOCK_TEXT && t < m->blocks[i].n; t++) {
            bytes_adds(b, glue);
            add_logprob(b, token(&m->blocks[i], t), t);
            glue = ",";
        }
    bytes_adds(b, glue[1] == '\0' ? "]" : "");
}

static void write_whole(const struct call *call, const struct script *s, const struct message *m,
                        struct reply *out)
{
    struct bytes *b = &out->text;
    bytes_adds(b, "{\"id\":\"mock-id\",\"message\":{\"role\":\"assistant\"");
    add_content(b, m);
    add_calls(b, m);
    for (int64_t i = 0; i < m->citations; i++) {
        bytes_adds(b, i > 0 ? "," : ",\"citations\":[");
        add_citation(b, i);
    }
    bytes_addf(b, "%s},\"finish_reason\":\"%s\"", m->citations > 0 ? "]" : "", m->finish);
    add_usage(b, s, figures_of(call, s, m));
    if (wants_logprobs(call))
        add_logprobs(b, m);
    bytes_adds(b, "}");
    reply_end_piece(out, PIECE_WHOLE, (uint32_t)out->completion_tokens);
}

/* ---- streams ---- */

struct stream {
    const struct call *call;
    const struct script *s;
    const struct message *m;
    struct reply *out;
    int64_t events;
    bool failed;
};

/* False when the script wants an error here instead. */
static bool begin(struct stream *st, const char *type)
{
    struct bytes *b = &st->out->text;
    if (st->failed)
        return false;
    if (st->s->error_after >= 0 && st->events >= st->s->error_after) {
        st->failed = true;
        bytes_adds(b, "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"error\":"
                      "\"the generation failed\",\"finish_reason\":\"ERROR\"}}\n\n");
        reply_end_piece(st->out, PIECE_EVENT, 0);
        return false;
    }
    st->events++;
    bytes_addf(b, "event: %s\ndata: {\"type\":\"%s\"", type, type);
    return true;
}

static void end(struct stream *st, uint32_t tokens)
{
    bytes_adds(&st->out->text, "}\n\n");
    reply_end_piece(st->out, PIECE_EVENT, tokens);
}

static void write_start(struct stream *st)
{
    if (!begin(st, "message-start"))
        return;
    bytes_adds(&st->out->text, ",\"id\":\"mock-id\",\"delta\":{\"message\":{\"role\":\"assistant\","
                               "\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],"
                               "\"citations\":[]}}");
    end(st, 0);
}

static void write_indexed(struct stream *st, const char *type, size_t index)
{
    if (!begin(st, type))
        return;
    bytes_addf(&st->out->text, ",\"index\":%zu", index);
    end(st, 0);
}

static void write_citations(struct stream *st)
{
    for (int64_t i = 0; i < st->m->citations; i++) {
        if (!begin(st, "citation-start"))
            return;
        bytes_addf(&st->out->text,
                   ",\"index\":%" PRId64 ",\"delta\":{\"message\":{\"citations\":", i);
        add_citation(&st->out->text, i);
        bytes_adds(&st->out->text, "}}");
        end(st, 0);
        write_indexed(st, "citation-end", (size_t)i);
    }
}

static void write_content(struct stream *st, size_t index, const struct block *block)
{
    struct bytes *b = &st->out->text;
    const char *kind = block->kind == BLOCK_THINKING ? "thinking" : "text";
    bool text = block->kind == BLOCK_TEXT;
    if (begin(st, "content-start")) {
        bytes_addf(
            b,
            ",\"index\":%zu,\"delta\":{\"message\":{\"content\":{\"type\":\"%s\",\"%s\":\"\"}"
            "}}",
            index, kind, kind);
        end(st, 0);
    }
    for (size_t t = 0; t < block->n && begin(st, "content-delta"); t++) {
        bytes_addf(b, ",\"index\":%zu,\"delta\":{\"message\":{\"content\":{\"%s\":\"", index, kind);
        bytes_add_slice(b, token(block, t));
        bytes_adds(b, "\"}}}");
        if (text && wants_logprobs(st->call)) {
            bytes_adds(b, ",\"logprobs\":");
            add_logprob(b, token(block, t), t);
        }
        end(st, 1);
    }
    if (text)
        write_citations(st);
    write_indexed(st, "content-end", index);
}

static void write_call(struct stream *st, size_t index, const struct block *block)
{
    struct bytes *b = &st->out->text;
    if (begin(st, "tool-call-start")) {
        bytes_addf(b,
                   ",\"index\":%zu,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"%s\",\"type\":"
                   "\"function\",\"function\":{\"name\":\"" SLICE_FMT "\",\"arguments\":\"\"}}}}",
                   index, block->id, SLICE_ARG(block->name));
        end(st, 0);
    }
    for (size_t t = 0; t < block->n && begin(st, "tool-call-delta"); t++) {
        bytes_addf(b,
                   ",\"index\":%zu,\"delta\":{\"message\":{\"tool_calls\":{\"function\":"
                   "{\"arguments\":\"" SLICE_FMT "\"}}}}",
                   index, SLICE_ARG(token(block, t)));
        end(st, 1);
    }
    write_indexed(st, "tool-call-end", index);
}

static void write_stream(const struct call *call, const struct script *s, const struct message *m,
                         struct reply *out)
{
    struct stream st = {.call = call, .s = s, .m = m, .out = out};
    size_t content = 0, calls = 0;
    write_start(&st);
    for (size_t i = 0; i < m->n; i++) {
        if (m->blocks[i].kind == BLOCK_CALL)
            write_call(&st, calls++, &m->blocks[i]);
        else
            write_content(&st, content++, &m->blocks[i]);
    }
    if (begin(&st, "message-end")) {
        bytes_addf(&out->text, ",\"delta\":{\"finish_reason\":\"%s\"", m->finish);
        add_usage(&out->text, s, figures_of(call, s, m));
        bytes_adds(&out->text, "}");
        end(&st, 0);
    }
    if (s->done && !st.failed) {
        bytes_adds(&out->text, "data: [DONE]\n\n");
        reply_end_piece(out, PIECE_DONE, 0);
    }
}

static void write_chat(const struct call *call, const struct script *s, struct reply *out)
{
    struct message m;
    choose(&m, call, s);
    struct figures f = figures_of(call, s, &m);
    begin_reply(out, 200, call->stream ? "text/event-stream" : "application/json");
    out->prompt_tokens = f.input;
    out->completion_tokens = f.output;
    if (call->stream)
        write_stream(call, s, &m, out);
    else
        write_whole(call, s, &m, out);
    message_fini(&m);
}

/* ---- errors and credentials ---- */

/* What the API says at a status, or, where there is a code, of what that means. */
static const struct {
    int status;
    const char *code, *message;
} errors[] = {
    {401, NULL, "invalid api token"},
    {402, NULL, "Please add or update your payment method at https://dashboard.cohere.com/billing"},
    {429, "insufficient_quota",
     "You are using a Trial key, which is limited to 1000 API calls / month."},
    {429, NULL, "trial token rate limit exceeded, limit is 100000 tokens per minute"},
    {400, "context_length_exceeded",
     "too many tokens: size limit exceeded by 11326 tokens. Try using shorter or fewer inputs."},
    {498, NULL, "blocked output: please see the usage guidelines"},
    {500, NULL, "internal server error"},
};

static void write_error(const struct error *err, struct reply *out)
{
    const char *message = err->message;
    for (size_t i = ARRAY_LEN(errors); i-- > 0;) {
        if (errors[i].status != err->status)
            continue;
        if (errors[i].code == NULL || (err->code != NULL && strcmp(errors[i].code, err->code) == 0))
            message = errors[i].message;
    }
    begin_reply(out, err->status, "application/json");
    bytes_adds(&out->text, "{\"id\":\"mock-id\",\"message\":");
    bytes_add_json(&out->text, (struct slice){message, strlen(message)});
    bytes_adds(&out->text, "}");
    reply_end_piece(out, PIECE_WHOLE, 0);
}

static struct slice credential(const struct request *req)
{
    struct slice v = http_header(req, "authorization");
    if (v.len > 7 && slice_is_nocase((struct slice){v.p, 7}, "bearer "))
        return (struct slice){v.p + 7, v.len - 7};
    return (struct slice){NULL, 0};
}

static const struct route routes[] = {
    {"POST", "/v2/chat", read_chat, write_chat},
    {"POST", "/v2/embed", cohere_embed_read, cohere_embed_write},
    {"POST", "/v2/rerank", cohere_rerank_read, cohere_rerank_write},
};

const struct dialect dialect_cohere = {
    .name = "cohere",
    .routes = routes,
    .nroutes = ARRAY_LEN(routes),
    .credential = credential,
    .write_error = write_error,
};
