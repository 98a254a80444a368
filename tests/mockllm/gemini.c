/*
 * gemini.c: Google's Gemini API: generateContent, streamGenerateContent (server-sent events with
 * alt=sse, else one JSON array), countTokens, embedContent, batchEmbedContents, models.
 *
 * Formats: https://ai.google.dev/api/generate-content, https://ai.google.dev/api/tokens,
 * https://ai.google.dev/api/embeddings, https://ai.google.dev/api/models; signatures:
 * https://ai.google.dev/gemini-api/docs/thought-signatures; errors:
 * https://cloud.google.com/apis/design/errors.
 */
#include "tests/mockllm/gemini.h"
#include "tests/mockllm/json.h"
#include "tests/mockllm/sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

/* A '%XX' of a path. */
static void add_decoded(struct bytes *out, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned c;
        char two[3] = {0};
        if (s.p[i] == '%' && s.len - i > 2) {
            memcpy(two, s.p + i + 1, 2);
            if (strspn(two, "0123456789abcdefABCDEF") == 2 && sscanf(two, "%x", &c) == 1) {
                char byte = (char)c;
                bytes_add(out, &byte, 1);
                i += 2;
                continue;
            }
        }
        bytes_add(out, &s.p[i], 1);
    }
}

/* "{model}:{method}" parted at the last colon; a model without a method is a look-up. */
static struct slice method_of(struct slice suffix, struct slice *model)
{
    *model = suffix;
    for (size_t i = suffix.len; i > 0; i--) {
        if (suffix.p[i - 1] != ':')
            continue;
        *model = (struct slice){suffix.p, i - 1};
        return (struct slice){suffix.p + i, suffix.len - i};
    }
    return (struct slice){NULL, 0};
}

static const struct {
    const char *name;
    enum gemini_message message;
    bool stream;
} methods[] = {
    {"generateContent", GEMINI_GENERATE, false},
    {"streamGenerateContent", GEMINI_GENERATE, true},
    {"countTokens", GEMINI_COUNT, false},
    {"embedContent", GEMINI_EMBED, false},
    {"batchEmbedContents", GEMINI_BATCH_EMBED, false},
};

static bool read_method(struct call *call, struct error *err)
{
    struct slice model, method = method_of(call->suffix, &model);
    add_decoded(&call->model, model);
    call->from_content = true;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (!slice_is(method, methods[i].name))
            continue;
        call->stream = methods[i].stream;
        if (!gemini_check(methods[i].message, call->req->body, err) ||
            !gemini_cache_is_there(call, err))
            return false;
        struct slice config = gemini_get(call->req->body, "generationConfig");
        int64_t n;
        if (slice_to_int(gemini_get(config, "candidateCount"), &n))
            call->n = n;
        call->prompt_tokens = (int64_t)(call->req->body.len + 3) / 4;
        return true;
    }
    *err = (struct error){.status = 404, .type = "NOT_FOUND"};
    snprintf(err->message, sizeof err->message,
             "models/" SLICE_FMT " is not found for API version v1beta, or is not supported for "
             "that method.",
             SLICE_ARG(call->suffix));
    return false;
}

static bool read_nothing(struct call *call, struct error *err)
{
    add_decoded(&call->model, call->suffix);
    call->from_content = true;
    return true;
}

/* ---- what is answered ---- */

enum kind { KIND_THOUGHT, KIND_TEXT, KIND_CALL };

/* One part of an event: raw JSON string text, or a whole object. */
struct item {
    enum kind kind;
    struct bytes raw;       /* text, or the args of a call */
    struct bytes name, id;  /* of a call; raw text of strings */
    struct bytes signature; /* empty: none */
};

struct content {
    struct item *items;
    size_t n, cap;
    const char *finish;
    size_t thoughts; /* tokens of reasoning, shown or not */
};

static struct item *add_item(struct content *c, enum kind kind)
{
    if (c->n == c->cap) {
        c->cap = c->cap > 0 ? c->cap * 2 : 64;
        c->items = xrealloc(c->items, c->cap * sizeof *c->items);
    }
    c->items[c->n] = (struct item){.kind = kind};
    return &c->items[c->n++];
}

static void drop_items(struct content *c, size_t from)
{
    for (size_t i = from; i < c->n; i++) {
        bytes_fini(&c->items[i].raw);
        bytes_fini(&c->items[i].name);
        bytes_fini(&c->items[i].id);
        bytes_fini(&c->items[i].signature);
    }
    c->n = from;
}

static void content_fini(struct content *c)
{
    drop_items(c, 0);
    free(c->items);
}

static void add_words(struct content *c, const struct script *s)
{
    int64_t size = s->size > 0 && s->tokens > 0 ? s->size / s->tokens : s->token_size;
    for (int64_t i = 0; i < s->tokens; i++) {
        struct bytes *raw = &add_item(c, KIND_TEXT)->raw;
        if (s->unicode)
            sample_unicode_token(raw, i);
        else
            sample_token(raw, i, i == 0 && s->size > 0 ? size + s->size % s->tokens : size);
    }
}

static void add_raw(struct content *c, struct slice raw)
{
    while (raw.len > 0) {
        size_t n = json_safe_prefix(raw, 16);
        bytes_add(&add_item(c, KIND_TEXT)->raw, raw.p, n);
        raw.p += n;
        raw.len -= n;
    }
}

static void add_quoted(struct content *c, struct slice json)
{
    struct bytes raw = {0};
    for (size_t i = 0; i < json.len; i++) {
        if (json.p[i] == '"' || json.p[i] == '\\')
            bytes_adds(&raw, "\\");
        bytes_add(&raw, &json.p[i], 1);
    }
    add_raw(c, bytes_slice(&raw));
    bytes_fini(&raw);
}

/* The thoughts of a model that is asked to show them; the last one is signed by the text of all. */
static void add_thoughts(struct content *c, const struct script *s, struct slice config)
{
    struct slice thinking = gemini_get(config, "thinkingConfig");
    struct bytes raw = {0}, plain = {0};
    c->thoughts = s->reason > 0 ? (size_t)s->reason : 0;
    if (!slice_is(gemini_get(thinking, "includeThoughts"), "true") || s->reason <= 0)
        return;
    bytes_adds(&raw, "\"");
    for (int64_t i = 0; i < s->reason; i++) {
        struct item *item = add_item(c, KIND_THOUGHT);
        sample_thought(&item->raw, i);
        bytes_add_slice(&raw, bytes_slice(&item->raw));
    }
    bytes_adds(&raw, "\"");
    json_decode(bytes_slice(&raw), &plain);
    sample_signature(&c->items[c->n - 1].signature, SAMPLE_GEMINI, bytes_slice(&plain));
    bytes_fini(&raw);
    bytes_fini(&plain);
}

static bool element(struct slice array, int64_t n, struct slice *out)
{
    struct json j;
    bool started = false;
    json_init(&j, array.p != NULL ? array : SLICE("[]"));
    json_enter(&j, '[');
    while (json_next_element(&j, &started, out))
        if (n-- == 0)
            return true;
    return false;
}

/* The n-th of all declarations, from the front again behind the last. */
static struct slice function_at(struct slice tools, int64_t n)
{
    struct slice tool, function = {NULL, 0};
    int64_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        int64_t at = pass == 0 ? -1 : n % (count > 0 ? count : 1);
        count = 0;
        for (int64_t t = 0; element(tools, t, &tool); t++)
            for (int64_t f = 0; element(gemini_get(tool, "functionDeclarations"), f, &function);
                 f++)
                if (count++ == at)
                    return function;
    }
    return (struct slice){NULL, 0};
}

static struct slice function_named(struct slice tools, struct slice name)
{
    struct slice first = function_at(tools, 0), f = first;
    for (int64_t i = 0; f.p != NULL; f = function_at(tools, ++i)) {
        if (slice_eq(json_inner(gemini_get(f, "name")), name))
            return f;
        if (i > 0 && f.p == first.p)
            break;
    }
    return first;
}

/* The first call of a turn that was thought about is signed; the others never are. */
static void add_call(struct content *c, const struct script *s, struct slice function, int64_t nth)
{
    struct item *item = add_item(c, KIND_CALL);
    struct slice name = gemini_get(function, "name");
    struct slice schema = gemini_get(function, "parametersJsonSchema");
    bool sign = nth == 0 && s->reason > 0;
    sample_instance(&item->raw, schema.p != NULL ? schema : gemini_get(function, "parameters"));
    bytes_add_slice(&item->name, json_is_string(name) ? json_inner(name) : SLICE("nameless"));
    bytes_addf(&item->id, "%s%" PRId64, sign ? GEMINI_SIGNED_ID : "mock-call-", nth);
    if (!sign)
        return;
    struct bytes plain = {0};
    bytes_add_slice(&plain, bytes_slice(&item->id));
    json_decode(name, &plain);
    sample_signature(&item->signature, SAMPLE_GEMINI, bytes_slice(&plain));
    bytes_fini(&plain);
}

static void add_calls(struct content *c, const struct script *s, struct slice body)
{
    struct slice tools = gemini_get(body, "tools"), allowed;
    struct slice config = gemini_get(gemini_get(body, "toolConfig"), "functionCallingConfig");
    int64_t n = s->tools > 0 ? s->tools : 1;
    for (int64_t i = 0; i < n; i++) {
        struct slice function = function_at(tools, i);
        if (s->tool[0] != '\0')
            function = function_named(tools, (struct slice){s->tool, strlen(s->tool)});
        else if (element(gemini_get(config, "allowedFunctionNames"), i, &allowed))
            function = function_named(tools, json_inner(allowed));
        add_call(c, s, function, i);
    }
}

static struct slice last_content(struct slice body)
{
    struct slice contents = gemini_get(body, "contents"), v, last = {NULL, 0};
    for (int64_t i = 0; element(contents, i, &v); i++)
        last = v;
    return last;
}

static bool has_prefix(const struct call *call, const char *prefix)
{
    size_t n = strlen(prefix);
    return call->model.len >= n && memcmp(call->model.p, prefix, n) == 0;
}

static bool wants_call(const struct call *call, const struct script *s, struct slice body)
{
    struct slice config = gemini_get(gemini_get(body, "toolConfig"), "functionCallingConfig");
    struct slice mode = gemini_get(config, "mode"), part;
    if (function_at(gemini_get(body, "tools"), 0).p == NULL || slice_is(mode, "\"NONE\""))
        return false;
    if (s->tools > 0)
        return true;
    if (element(gemini_get(last_content(body), "parts"), 0, &part) &&
        gemini_get(part, "functionResponse").p != NULL)
        return false;
    return slice_is(mode, "\"ANY\"") || has_prefix(call, "mock-tools");
}

static void add_schema_text(struct content *c, struct slice config)
{
    struct slice schema = gemini_get(config, "responseJsonSchema");
    struct bytes instance = {0};
    if (schema.p == NULL)
        schema = gemini_get(config, "responseSchema");
    if (schema.p == NULL) {
        add_raw(c, SLICE("{\\\"answer\\\":\\\"mock\\\"}"));
        return;
    }
    sample_instance(&instance, schema);
    add_quoted(c, bytes_slice(&instance));
    bytes_fini(&instance);
}

static void add_echo(struct content *c, struct slice body)
{
    struct slice parts = gemini_get(last_content(body), "parts"), part, text = {NULL, 0};
    for (int64_t i = 0; element(parts, i, &part); i++)
        if (gemini_get(part, "text").p != NULL)
            text = gemini_get(part, "text");
    if (json_is_string(text))
        add_raw(c, json_inner(text));
}

static void limit(struct content *c, struct slice config, size_t shown_thoughts)
{
    int64_t max;
    if (!slice_to_int(gemini_get(config, "maxOutputTokens"), &max) ||
        (int64_t)(c->n - shown_thoughts) <= max)
        return;
    drop_items(c, shown_thoughts + (size_t)max);
    c->finish = "MAX_TOKENS";
}

static void choose(struct content *c, const struct call *call, const struct script *s)
{
    struct slice body = call->req->body, config = gemini_get(body, "generationConfig");
    *c = (struct content){.finish = "STOP"};
    add_thoughts(c, s, config);
    size_t thoughts = c->n;
    if (s->empty)
        ;
    else if (wants_call(call, s, body))
        add_calls(c, s, body);
    else if (slice_is(gemini_get(config, "responseMimeType"), "\"application/json\""))
        add_schema_text(c, config);
    else if (has_prefix(call, "mock-echo"))
        add_echo(c, body);
    else
        add_words(c, s);
    limit(c, config, thoughts);
    if (s->finish[0] != '\0')
        c->finish = s->finish;
}

/* ---- usage ---- */

struct figures {
    int64_t prompt, candidates, cached, thoughts;
};

static size_t candidate_tokens(const struct content *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        n += c->items[i].kind != KIND_THOUGHT;
    return n;
}

/* `completion` is all of the output, thoughts included. */
static struct figures figures_of(const struct call *call, const struct script *s,
                                 const struct content *c)
{
    struct figures f = {
        .prompt = s->prompt != INT64_MIN ? s->prompt : call->prompt_tokens,
        .cached = s->cached,
        .thoughts = s->reasoning > 0 ? s->reasoning : (int64_t)c->thoughts * call->n,
    };
    f.candidates = s->completion != INT64_MIN ? s->completion - f.thoughts
                                              : (int64_t)candidate_tokens(c) * call->n;
    return f;
}

static void add_usage(struct bytes *b, const struct script *s, struct figures f)
{
    switch (s->usage) {
    case USAGE_ABSENT:
        return;
    case USAGE_NULL:
        bytes_adds(b, ",\"usageMetadata\":null");
        return;
    case USAGE_HUGE:
        bytes_adds(b, ",\"usageMetadata\":{\"promptTokenCount\":99999999999999999999,"
                      "\"candidatesTokenCount\":99999999999999999999,\"totalTokenCount\":1e300}");
        return;
    case USAGE_FRACTION:
        bytes_adds(b, ",\"usageMetadata\":{\"promptTokenCount\":1.5,\"candidatesTokenCount\":2.25,"
                      "\"totalTokenCount\":3.75}");
        return;
    case USAGE_STRING:
        bytes_adds(b, ",\"usageMetadata\":{\"promptTokenCount\":\"many\","
                      "\"candidatesTokenCount\":\"few\"}");
        return;
    case USAGE_PARTIAL:
        bytes_addf(b, ",\"usageMetadata\":{\"promptTokenCount\":%" PRId64 "}", f.prompt);
        return;
    case USAGE_ZERO:
        f = (struct figures){0};
        break;
    case USAGE_NEGATIVE:
        f = (struct figures){-f.prompt - 1, -f.candidates - 1, 0, 0};
        break;
    default:
        break;
    }
    bytes_addf(b, ",\"usageMetadata\":{\"promptTokenCount\":%" PRId64, f.prompt);
    if (f.cached > 0)
        bytes_addf(b, ",\"cachedContentTokenCount\":%" PRId64, f.cached);
    if (f.candidates != 0)
        bytes_addf(b, ",\"candidatesTokenCount\":%" PRId64, f.candidates);
    if (f.thoughts > 0)
        bytes_addf(b, ",\"thoughtsTokenCount\":%" PRId64, f.thoughts);
    bytes_addf(b,
               ",\"totalTokenCount\":%" PRId64
               ",\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":%" PRId64 "}]}",
               f.prompt + f.candidates + f.thoughts, f.prompt);
}

/* ---- candidates ---- */

static void add_part(struct bytes *b, const struct item *item)
{
    if (item->kind == KIND_CALL)
        bytes_addf(b,
                   "{\"functionCall\":{\"id\":\"" SLICE_FMT "\",\"name\":\"" SLICE_FMT
                   "\",\"args\":" SLICE_FMT "}",
                   SLICE_ARG(bytes_slice(&item->id)), SLICE_ARG(bytes_slice(&item->name)),
                   SLICE_ARG(bytes_slice(&item->raw)));
    else
        bytes_addf(b, "{\"text\":\"" SLICE_FMT "\"%s", SLICE_ARG(bytes_slice(&item->raw)),
                   item->kind == KIND_THOUGHT ? ",\"thought\":true" : "");
    if (item->signature.len > 0)
        bytes_addf(b, ",\"thoughtSignature\":\"" SLICE_FMT "\"",
                   SLICE_ARG(bytes_slice(&item->signature)));
    bytes_adds(b, "}");
}

/* Pieces of one kind as one part, as a whole answer has them. */
static void add_whole_parts(struct bytes *b, const struct content *c)
{
    for (size_t i = 0; i < c->n;) {
        struct item all = {.kind = c->items[i].kind};
        size_t end = i + 1;
        bytes_adds(b, i > 0 ? "," : "");
        if (all.kind == KIND_CALL) {
            add_part(b, &c->items[i++]);
            continue;
        }
        while (end < c->n && c->items[end].kind == all.kind)
            end++;
        for (; i < end; i++) {
            bytes_add_slice(&all.raw, bytes_slice(&c->items[i].raw));
            bytes_add_slice(&all.signature, bytes_slice(&c->items[i].signature));
        }
        add_part(b, &all);
        bytes_fini(&all.raw);
        bytes_fini(&all.signature);
    }
}

static void add_citations(struct bytes *b, const struct script *s)
{
    if (s->cite <= 0)
        return;
    bytes_adds(b, ",\"groundingMetadata\":{\"groundingChunks\":[");
    for (int64_t i = 0; i < s->cite; i++)
        bytes_addf(b,
                   "%s{\"web\":{\"uri\":\"https://example.com/%" PRId64
                   "\",\"title\":\"Source %" PRId64 "\"}}",
                   i > 0 ? "," : "", i, i);
    bytes_adds(b, "],\"groundingSupports\":[");
    for (int64_t i = 0; i < s->cite; i++)
        bytes_addf(
            b,
            "%s{\"segment\":{\"endIndex\":1,\"text\":\"A\"},\"groundingChunkIndices\":[%" PRId64
            "]}",
            i > 0 ? "," : "", i);
    bytes_adds(b, "]}");
}

static void add_names(struct bytes *b, const struct call *call, const struct script *s)
{
    bytes_adds(b, ",\"modelVersion\":");
    if (s->reply_model[0] != '\0')
        bytes_add_json(b, (struct slice){s->reply_model, strlen(s->reply_model)});
    else
        bytes_add_json(b, bytes_slice(&call->model));
    bytes_adds(b, ",\"responseId\":\"mock-response\"");
}

static void write_whole(const struct call *call, const struct script *s, const struct content *c,
                        struct reply *out)
{
    struct bytes *b = &out->text;
    bytes_adds(b, "{\"candidates\":[");
    for (int64_t i = 0; i < call->n; i++) {
        bytes_addf(b, "%s{\"content\":{", i > 0 ? "," : "");
        if (c->n > 0) {
            bytes_adds(b, "\"parts\":[");
            add_whole_parts(b, c);
            bytes_adds(b, "],");
        }
        bytes_addf(b, "\"role\":\"model\"},\"finishReason\":\"%s\",\"index\":%" PRId64, c->finish,
                   i);
        add_citations(b, s);
        bytes_adds(b, "}");
    }
    bytes_adds(b, "]");
    add_usage(b, s, figures_of(call, s, c));
    add_names(b, call, s);
    bytes_adds(b, "}");
    reply_end_piece(out, PIECE_WHOLE, (uint32_t)out->completion_tokens);
}

/* ---- streams ---- */

struct stream {
    const struct call *call;
    const struct script *s;
    const struct content *c;
    struct reply *out;
    bool array;
    struct figures total, sent;
    int64_t events;
};

static void begin_event(struct stream *st)
{
    struct bytes *b = &st->out->text;
    if (st->array)
        bytes_adds(b, st->events == 0 ? "[" : ",\r\n");
    else
        bytes_adds(b, "data: ");
    st->events++;
}

static void end_event(struct stream *st, uint32_t tokens)
{
    if (!st->array)
        bytes_adds(&st->out->text, "\n\n");
    reply_end_piece(st->out, PIECE_EVENT, tokens);
}

static void add_error(struct bytes *b, const struct error *err);

static bool fail_stream(struct stream *st)
{
    if (st->s->error_after < 0 || st->events < st->s->error_after)
        return false;
    struct error err = {.status = 500,
                        .type = "INTERNAL",
                        .message = "An internal error has occurred. Please retry."};
    begin_event(st);
    add_error(&st->out->text, &err);
    end_event(st, 0);
    return true;
}

/* Every event of Gemini's says how much has been used; some scripts want it elsewhere. */
static void add_event_usage(struct stream *st, bool first, bool last)
{
    enum usage u = st->s->usage;
    struct figures f = last ? st->total : st->sent;
    if (u == USAGE_DECREASING) {
        f.candidates = 2 * st->total.candidates - st->sent.candidates;
        add_usage(&st->out->text, st->s, f);
    } else if (u == USAGE_FIRST ? first : u == USAGE_LAST ? last : true)
        add_usage(&st->out->text, st->s, u == USAGE_FIRST ? st->total : f);
}

/* The finish reason comes with the last piece, in an event of its own where there is none. */
static void add_event(struct stream *st, int64_t index, const struct item *item, bool last)
{
    struct bytes *b = &st->out->text;
    bool first = st->events == 0;
    begin_event(st);
    bytes_adds(b, "{\"candidates\":[{\"content\":{");
    if (item != NULL) {
        bytes_adds(b, "\"parts\":[");
        add_part(b, item);
        bytes_adds(b, "],");
        *(item->kind == KIND_THOUGHT ? &st->sent.thoughts : &st->sent.candidates) += 1;
    }
    bytes_adds(b, "\"role\":\"model\"}");
    if (last) {
        bytes_addf(b, ",\"finishReason\":\"%s\"", st->c->finish);
        add_citations(b, st->s);
    }
    bytes_addf(b, ",\"index\":%" PRId64 "}]", index);
    add_event_usage(st, first, last && index == st->call->n - 1);
    add_names(b, st->call, st->s);
    bytes_adds(b, "}");
    end_event(st, item != NULL);
}

static void write_stream(const struct call *call, const struct script *s, const struct content *c,
                         bool array, struct reply *out)
{
    struct stream st = {
        .call = call, .s = s, .c = c, .out = out, .array = array, .total = figures_of(call, s, c)};
    st.sent.prompt = st.total.prompt;
    st.sent.cached = st.total.cached;
    for (size_t i = 0; i < c->n || i == 0; i++)
        for (int64_t k = 0; k < call->n; k++) {
            if (fail_stream(&st))
                return;
            add_event(&st, k, i < c->n ? &c->items[i] : NULL, i + 1 >= c->n);
        }
    if (array) {
        bytes_adds(&out->text, "]");
        reply_end_piece(out, PIECE_DONE, 0);
    }
}

static void write_content(const struct call *call, const struct script *s, struct reply *out)
{
    struct content c;
    bool array = !slice_is(http_query(call->req, "alt"), "sse");
    choose(&c, call, s);
    struct figures f = figures_of(call, s, &c);
    out->status = 200;
    out->prompt_tokens = f.prompt;
    out->completion_tokens = f.candidates + f.thoughts;
    out->ctype = call->stream && !array ? "text/event-stream" : "application/json; charset=UTF-8";
    if (call->stream)
        write_stream(call, s, &c, array, out);
    else
        write_whole(call, s, &c, out);
    content_fini(&c);
}

/* ---- the other methods ---- */

static void write_count(const struct call *call, struct reply *out)
{
    bytes_addf(&out->text,
               "{\"totalTokens\":%" PRId64
               ",\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":%" PRId64 "}]}",
               call->prompt_tokens, call->prompt_tokens);
}

static void add_vector(struct bytes *b, struct slice request)
{
    int64_t dimensions = 64;
    uint64_t seed = slice_hash(gemini_get(request, "content"));
    if (!slice_to_int(gemini_get(request, "outputDimensionality"), &dimensions))
        dimensions = 64;
    bytes_adds(b, "{\"values\":[");
    for (int64_t i = 0; i < dimensions; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
        bytes_addf(b, "%s%.6f", i > 0 ? "," : "", (double)(int32_t)(seed >> 32) / 2147483648.0);
    }
    bytes_adds(b, "]}");
}

static void write_embeddings(const struct call *call, const struct script *s, bool batch,
                             struct reply *out)
{
    struct slice request;
    if (!batch) {
        bytes_adds(&out->text, "{\"embedding\":");
        add_vector(&out->text, call->req->body);
    } else {
        bytes_adds(&out->text, "{\"embeddings\":[");
        for (int64_t i = 0; element(gemini_get(call->req->body, "requests"), i, &request); i++) {
            bytes_adds(&out->text, i > 0 ? "," : "");
            add_vector(&out->text, request);
        }
        bytes_adds(&out->text, "]");
    }
    if (s->usage != USAGE_ABSENT)
        bytes_addf(&out->text, ",\"usageMetadata\":{\"promptTokenCount\":%" PRId64 "}",
                   out->prompt_tokens);
    bytes_adds(&out->text, "}");
}

static void write_method(const struct call *call, const struct script *s, struct reply *out)
{
    struct slice model, method = method_of(call->suffix, &model);
    if (slice_is(method, "generateContent") || slice_is(method, "streamGenerateContent")) {
        write_content(call, s, out);
        return;
    }
    out->status = 200;
    out->ctype = "application/json; charset=UTF-8";
    if (slice_is(method, "countTokens")) {
        write_count(call, out);
    } else {
        out->prompt_tokens = s->prompt != INT64_MIN ? s->prompt : call->prompt_tokens;
        write_embeddings(call, s, slice_is(method, "batchEmbedContents"), out);
    }
    reply_end_piece(out, PIECE_WHOLE, 0);
}

static void add_model(struct bytes *b, struct slice id)
{
    struct bytes name = {0};
    bytes_addf(&name, "models/" SLICE_FMT, SLICE_ARG(id));
    bytes_adds(b, "{\"name\":");
    bytes_add_json(b, bytes_slice(&name));
    bytes_adds(b, ",\"version\":\"001\",\"inputTokenLimit\":1048576,\"outputTokenLimit\":65536,"
                  "\"supportedGenerationMethods\":[\"generateContent\",\"countTokens\"]}");
    bytes_fini(&name);
}

static void write_models(const struct call *call, const struct script *s, struct reply *out)
{
    static const char *const ids[] = {"mock-chat", "mock-echo", "mock-tools", "mock-embed"};
    bytes_adds(&out->text, "{\"models\":[");
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        bytes_adds(&out->text, i > 0 ? "," : "");
        add_model(&out->text, (struct slice){ids[i], strlen(ids[i])});
    }
    bytes_adds(&out->text, "]}");
    out->status = 200;
    out->ctype = "application/json; charset=UTF-8";
    reply_end_piece(out, PIECE_WHOLE, 0);
}

static void write_model(const struct call *call, const struct script *s, struct reply *out)
{
    add_model(&out->text, bytes_slice(&call->model));
    out->status = 200;
    out->ctype = "application/json; charset=UTF-8";
    reply_end_piece(out, PIECE_WHOLE, 0);
}

/* ---- errors and credentials ---- */

static const char *status_word(int status)
{
    static const struct {
        int status;
        const char *word;
    } words[] = {
        {400, "INVALID_ARGUMENT"}, {401, "UNAUTHENTICATED"}, {403, "PERMISSION_DENIED"},
        {404, "NOT_FOUND"},        {405, "UNIMPLEMENTED"},   {429, "RESOURCE_EXHAUSTED"},
        {500, "INTERNAL"},         {503, "UNAVAILABLE"},     {504, "DEADLINE_EXCEEDED"},
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (words[i].status == status)
            return words[i].word;
    return "UNKNOWN";
}

/* A reason in capitals is one of Google's own (google.api.ErrorReason). */
static void add_error(struct bytes *b, const struct error *err)
{
    bytes_addf(b, "{\"error\":{\"code\":%d,\"message\":", err->status);
    bytes_add_json(b, (struct slice){err->message, strlen(err->message)});
    bytes_addf(b, ",\"status\":\"%s\"", status_word(err->status));
    if (err->code != NULL && err->code[0] >= 'A' && err->code[0] <= 'Z')
        bytes_addf(b,
                   ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\","
                   "\"reason\":\"%s\",\"domain\":\"googleapis.com\"}]",
                   err->code);
    bytes_adds(b, "}}");
}

static void write_error(const struct error *err, struct reply *out)
{
    out->status = err->status;
    out->ctype = "application/json; charset=UTF-8";
    add_error(&out->text, err);
    reply_end_piece(out, PIECE_WHOLE, 0);
}

/* No key is a caller that nobody knows; a wrong one is an invalid argument. */
static void refuse_key(struct slice key, struct error *err)
{
    *err = (struct error){.status = key.len == 0 ? 403 : 400,
                          .code = key.len == 0 ? NULL : "API_KEY_INVALID"};
    snprintf(err->message, sizeof err->message, "%s",
             key.len == 0
                 ? "Method doesn't allow unregistered callers (callers without established "
                   "identity). Please use API Key or other form of API consumer identity "
                   "to call this API."
                 : "API key not valid. Please pass a valid API key.");
}

static struct slice credential(const struct request *req)
{
    struct slice v = http_header(req, "x-goog-api-key");
    return v.p != NULL ? v : http_query(req, "key");
}

static const struct route routes[] = {
    {"POST", "/v1beta/models/*", read_method, write_method},
    {"GET", "/v1beta/models", read_nothing, write_models},
    {"GET", "/v1beta/models/*", read_nothing, write_model},
};

const struct dialect dialect_gemini_cache = {
    .name = "gemini",
    .any_body = true,
    .routes = gemini_cache_routes,
    .nroutes = ARRAY_LEN(gemini_cache_routes),
    .credential = credential,
    .write_error = write_error,
    .refuse_key = refuse_key,
};

const struct dialect dialect_gemini = {
    .name = "gemini",
    .routes = routes,
    .nroutes = ARRAY_LEN(routes),
    .credential = credential,
    .write_error = write_error,
    .refuse_key = refuse_key,
};
