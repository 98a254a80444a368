/*
 * openai_content.c: what an OpenAI model answers: reasoning, text or a refusal, calls of tools.
 */
#include "tests/mockllm/openai.h"
#include "tests/mockllm/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct openai_block *add_block(struct openai_content *c, enum openai_block_kind kind)
{
    struct openai_block *b = &c->blocks[c->n++];
    *b = (struct openai_block){.kind = kind};
    return b;
}

static void end_token(struct openai_block *b)
{
    if (b->n == b->cap) {
        b->cap = b->cap > 0 ? b->cap * 2 : 64;
        b->ends = xrealloc(b->ends, b->cap * sizeof *b->ends);
    }
    b->ends[b->n++] = b->raw.len;
}

struct slice openai_token(const struct openai_block *b, size_t i)
{
    size_t from = i > 0 ? b->ends[i - 1] : 0;
    return (struct slice){b->raw.p + from, b->ends[i] - from};
}

void openai_content_fini(struct openai_content *c)
{
    for (size_t i = 0; i < c->n; i++) {
        bytes_fini(&c->blocks[i].raw);
        bytes_fini(&c->blocks[i].name);
        bytes_fini(&c->blocks[i].signature);
        free(c->blocks[i].ends);
    }
}

static void add_words(struct openai_block *b, const struct script *s)
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

static void add_raw(struct openai_block *b, struct slice raw)
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
static void add_quoted(struct openai_block *b, struct slice json)
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

struct slice openai_last_element(struct slice array)
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

struct slice openai_message_text(struct slice message)
{
    struct slice content = json_get(message, "content");
    if (content.len > 0 && content.p[0] == '[')
        content = json_get(openai_last_element(content), "text");
    return json_is_string(content) ? json_inner(content) : SLICE("");
}

/* ---- calls ---- */

static struct slice function_of(const struct openai_ask *ask, struct slice tool)
{
    return ask->flat ? tool : json_get(tool, "function");
}

/* The i-th tool, counted round and round; of those that bear the name if one is given. */
static struct slice find_tool(const struct openai_ask *ask, struct slice wanted, int64_t i)
{
    struct slice found = {NULL, 0}, v;
    int64_t n = 0;
    for (int round = 0; round < 2; round++) {
        struct json j;
        bool started = false;
        int64_t at = 0;
        json_init(&j, ask->tools);
        if (!json_enter(&j, '['))
            return found;
        while (json_next_element(&j, &started, &v)) {
            struct slice f = function_of(ask, v), name = json_get(f, "name");
            if (wanted.len > 0 && !(json_is_string(name) && slice_eq(json_inner(name), wanted)))
                continue;
            if (round == 0)
                n++;
            else if (at++ == i % n)
                found = f;
        }
        if (n == 0)
            return found;
    }
    return found;
}

static void add_call(struct openai_content *c, const struct openai_ask *ask, const struct script *s,
                     int64_t i)
{
    struct slice wanted = {s->tool, strlen(s->tool)};
    struct slice forced = json_get(function_of(ask, ask->tool_choice), "name");
    if (wanted.len == 0 && json_is_string(forced))
        wanted = json_inner(forced);
    struct slice f = find_tool(ask, wanted, i), name = json_get(f, "name");
    struct bytes arguments = {0};
    struct openai_block *b = add_block(c, OPENAI_CALL);
    sample_instance(&arguments, json_get(f, "parameters"));
    add_quoted(b, bytes_slice(&arguments));
    bytes_fini(&arguments);
    if (json_is_string(name))
        bytes_add_slice(&b->name, json_inner(name));
    else if (wanted.len > 0)
        bytes_add_slice(&b->name, wanted);
    else
        bytes_adds(&b->name, "nameless");
    if (i == 0)
        snprintf(b->id, sizeof b->id, "call_mock");
    else
        snprintf(b->id, sizeof b->id, "call_mock_%d", (int)i + 1);
    c->finish = "tool_calls";
}

static bool wants_tool(const struct openai_ask *ask)
{
    bool given = ask->tools.len > 2 && !slice_is(ask->tools, "null");
    if (!given || slice_is(ask->tool_choice, "\"none\"") || ask->after_result)
        return false;
    bool forced = slice_is(ask->tool_choice, "\"required\"") ||
                  (ask->tool_choice.len > 0 && ask->tool_choice.p[0] == '{');
    return forced || ask->tools_by_name;
}

/* ---- the rest ---- */

static void add_reasoning(struct openai_content *c, const struct openai_ask *ask,
                          const struct script *s)
{
    struct openai_block *b = add_block(c, OPENAI_REASONING);
    struct bytes quoted = {0}, plain = {0};
    for (int64_t i = 0; i < s->reason; i++) {
        sample_thought(&b->raw, i);
        end_token(b);
    }
    bytes_adds(&quoted, "\"");
    bytes_add_slice(&quoted, bytes_slice(&b->raw));
    bytes_adds(&quoted, "\"");
    json_decode(bytes_slice(&quoted), &plain);
    sample_signature(&b->signature, ask->flat ? SAMPLE_OPENAI : SAMPLE_COMPATIBLE,
                     bytes_slice(&plain));
    bytes_fini(&quoted);
    bytes_fini(&plain);
}

static void add_text(struct openai_content *c, const struct openai_ask *ask, const struct script *s)
{
    struct openai_block *b = add_block(c, s->refusal ? OPENAI_REFUSAL : OPENAI_TEXT);
    if (ask->schema.p != NULL) {
        struct bytes instance = {0};
        sample_instance(&instance, ask->schema);
        add_quoted(b, bytes_slice(&instance));
        bytes_fini(&instance);
    } else if (ask->json_object) {
        add_raw(b, SLICE("{\\\"answer\\\":\\\"mock\\\"}"));
    } else if (ask->echo) {
        add_raw(b, ask->said);
    } else {
        add_words(b, s);
    }
    c->cite = s->cite;
}

static void limit(struct openai_content *c, int64_t max)
{
    for (size_t i = 0; i < c->n; i++) {
        struct openai_block *b = &c->blocks[i];
        if ((int64_t)b->n > max) {
            b->n = (size_t)max;
            b->raw.len = b->n > 0 ? b->ends[b->n - 1] : 0;
            c->finish = "length";
        }
        c->tokens += (int64_t)b->n;
        if (b->kind == OPENAI_REASONING)
            c->reasoning = (int64_t)b->n;
    }
}

void openai_choose(struct openai_content *c, const struct openai_ask *ask, const struct script *s)
{
    c->n = 0;
    c->tokens = c->reasoning = c->cite = 0;
    c->finish = "stop";
    bool calls = s->tools > 0 ? !ask->after_result : wants_tool(ask);
    if (s->reason > 0)
        add_reasoning(c, ask, s);
    if (calls)
        for (int64_t i = 0; i < (s->tools > 0 ? s->tools : 1) && i < 64; i++)
            add_call(c, ask, s, i);
    else if (!s->empty)
        add_text(c, ask, s);
    limit(c, ask->max_tokens);
    if (s->finish[0] != '\0')
        c->finish = s->finish;
}
