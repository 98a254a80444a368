/*
 * cohere_read.c: reads a request into the internal form.
 *
 * Documents are what the answer shall rest on: they become documents in front of the last user
 * message. A tool plan is text in front of the calls.
 */
#include "gatewayd/dialect/cohere.h"

#include <stdarg.h>
#include <stdio.h>

enum { PATH_BYTES = 64 };

struct reader {
    const struct json_doc *d;
    struct ir_request *out;
    struct dialect_refusal *why;
};

int cohere_refuse(struct dialect_refusal *why, const char *code, const char *path, const char *fmt,
                  ...)
{
    va_list ap;
    int n = snprintf(why->message, sizeof why->message, "invalid request: %s%s", path,
                     *path ? ": " : "");
    va_start(ap, fmt);
    if (n >= 0 && (size_t)n < sizeof why->message)
        vsnprintf(why->message + n, sizeof why->message - (size_t)n, fmt, ap);
    va_end(ap);
    snprintf(why->param, sizeof why->param, "%s", path);
    why->code = code;
    return -1;
}

int cohere_wrong_type(struct dialect_refusal *why, const struct json_doc *d, uint32_t v,
                      const char *path, const char *expected)
{
    return cohere_refuse(why, "invalid_type", path, "must be %s, not %s.", expected,
                         json_type_name(json_type(d, v)));
}

static int wrong_type(struct reader *r, const char *path, uint32_t v, const char *expected)
{
    return cohere_wrong_type(r->why, r->d, v, path, expected);
}

static int out_of_memory(struct reader *r, const char *path)
{
    return cohere_refuse(r->why, "request_too_large", path, "the request is too large.");
}

static bool is_given(const struct reader *r, uint32_t v)
{
    return v != JSON_NONE && !json_is_null(r->d, v);
}

/* ---- objects ---- */

typedef int (*read_fn)(struct reader *r, const char *path, uint32_t v, void *into);
struct member {
    struct slice name;
    read_fn read; /* NULL: known, and read elsewhere or saying nothing here */
};
#define MEMBER(lit, fn)                                                                            \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, fn                                                                 \
    }

/* Members in the order of the table: a later one may need what an earlier one read. What stands
 * twice is refused, null counts as absent, what isn't in the table is noted as unknown. At most 32
 * members. */
static int read_object(struct reader *r, const char *path, uint32_t v, const struct member *table,
                       size_t n, void *into)
{
    uint32_t at[32] = {0};
    char inner[2 * PATH_BYTES];
    if (json_type(r->d, v) != JSON_OBJECT)
        return wrong_type(r, path, v, "an object");
    json_foreach_member(r->d, v, k)
    {
        size_t i = 0;
        struct slice name = json_raw(r->d, k);
        while (i < n && !json_str_eq(r->d, k, table[i].name))
            i++;
        if (i == n && !json_is_null(r->d, k + 1))
            ir_note_unknown(r->out, "%s%s%.*s", path, *path ? "." : "", GW_MIN((int)name.n - 2, 60),
                            name.p + 1);
        if (i < n && at[i])
            return cohere_refuse(r->why, "duplicate_member", path, "%s is given more than once.",
                                 table[i].name.p);
        if (i < n)
            at[i] = k + 1;
    }
    for (size_t i = 0; i < n; i++) {
        if (!at[i] || json_is_null(r->d, at[i]) || !table[i].read)
            continue;
        snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", table[i].name.p);
        if (table[i].read(r, inner, at[i], into) < 0)
            return -1;
    }
    return 0;
}
#define READ(r, path, v, table, into)                                                              \
    read_object((r), (path), (v), (table), ARRAY_LEN(table), (into))

static int read_text(struct reader *r, const char *path, uint32_t v, struct ir_text *out)
{
    if (json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, path, v, "a string");
    *out = ir_text_of(r->d, v);
    return 0;
}

static int read_bool(struct reader *r, const char *path, uint32_t v, bool *out)
{
    return json_bool(r->d, v, out) < 0 ? wrong_type(r, path, v, "a boolean") : 0;
}

static int read_number(struct reader *r, const char *path, uint32_t v, enum ir_field f,
                       struct slice *out)
{
    if (json_type(r->d, v) != JSON_NUMBER)
        return wrong_type(r, path, v, "a number");
    *out = json_raw(r->d, v);
    ir_note(r->out, f);
    return 0;
}

static int read_count(struct reader *r, const char *path, uint32_t v, int64_t *out)
{
    if (json_type(r->d, v) != JSON_NUMBER)
        return wrong_type(r, path, v, "an integer");
    if (json_i64(r->d, v, out) < 0 || *out < 0 || *out > USAGE_MAX_TOKENS)
        return cohere_refuse(r->why, "invalid_value", path, "must be an integer from 0 to %d.",
                             (int)USAGE_MAX_TOKENS);
    return 0;
}

static int need_array(struct reader *r, const char *path, uint32_t v)
{
    return json_type(r->d, v) == JSON_ARRAY ? 0 : wrong_type(r, path, v, "an array");
}

/* ---- content ---- */

static struct ir_part *add_part(struct reader *r, struct ir_part **list, enum ir_part_kind kind,
                                const char *path)
{
    struct ir_part *p = ir_add_part(r->out->arena, list, kind);
    if (!p)
        out_of_memory(r, path);
    return p;
}

static int add_text(struct reader *r, const char *path, struct ir_part **list, struct ir_text text)
{
    struct ir_part *p = add_part(r, list, IR_PART_TEXT, path);
    if (p)
        p->text = text;
    return p ? 0 : -1;
}

static int text_text(struct reader *r, const char *path, uint32_t v, void *into)
{
    return read_text(r, path, v, &((struct ir_part *)into)->text);
}

static int thinking_signature(struct reader *r, const char *path, uint32_t v, void *into)
{
    ir_note(r->out, IR_F_REASONING_SIGNATURE);
    return read_text(r, path, v, &((struct ir_part *)into)->signature);
}

/* data:[type][;parameter]*;base64,DATA (RFC 2397), or any other URL. */
static int read_url(struct reader *r, const char *path, uint32_t v, void *into)
{
    struct ir_part *p = into;
    if (read_text(r, path, v, &p->data) < 0)
        return -1;
    struct slice data = p->data.s, head = slice_split(&data, ','), mark = SLICE_LIT(";base64");
    p->source = IR_SOURCE_URL;
    if (!slice_starts_with(head, SLICE_LIT("data:"))) {
        ir_note(r->out, IR_F_IMAGE_URL);
        return 0;
    }
    if (!data.p || head.n < 5 + mark.n || memcmp(head.p + head.n - mark.n, mark.p, mark.n) != 0)
        return cohere_refuse(r->why, "invalid_value", path,
                             "a data: URL must be of the form data:TYPE;base64,DATA.");
    struct slice type = slice_of(head.p + 5, head.n - 5);
    type = slice_split(&type, ';');
    p->source = IR_SOURCE_BASE64;
    if (type.n)
        p->media_type = (struct ir_text){type, p->data.escaped, p->data.verbatim};
    p->data.s = data;
    ir_note(r->out, IR_F_IMAGE_BASE64);
    return 0;
}

static int read_detail(struct reader *r, const char *path, uint32_t v, void *into)
{
    ir_note(r->out, IR_F_IMAGE_DETAIL);
    return read_text(r, path, v, &((struct ir_part *)into)->detail);
}

static int read_image_url(struct reader *r, const char *path, uint32_t v, void *into)
{
    static const struct member members[] = {MEMBER("url", read_url), MEMBER("detail", read_detail)};
    return READ(r, path, v, members, into);
}

static int read_text_part(struct reader *r, const char *path, uint32_t v, struct ir_part **list)
{
    static const struct member members[] = {MEMBER("type", NULL), MEMBER("text", text_text)};
    struct ir_part *p = add_part(r, list, IR_PART_TEXT, path);
    if (!p || READ(r, path, v, members, p) < 0)
        return -1;
    return ir_has(p->text)
               ? 0
               : cohere_refuse(r->why, "missing_required_parameter", path, "text is required.");
}

static int read_image_part(struct reader *r, const char *path, uint32_t v, struct ir_part **list)
{
    static const struct member members[] = {MEMBER("type", NULL),
                                            MEMBER("image_url", read_image_url)};
    struct ir_part *p = add_part(r, list, IR_PART_IMAGE, path);
    if (!p || READ(r, path, v, members, p) < 0)
        return -1;
    return ir_has(p->data) ? 0
                           : cohere_refuse(r->why, "missing_required_parameter", path,
                                           "image_url.url is required.");
}

static int read_thinking_part(struct reader *r, const char *path, uint32_t v, struct ir_part **list)
{
    static const struct member members[] = {
        MEMBER("type", NULL),
        MEMBER("thinking", text_text),
        MEMBER("signature", thinking_signature),
    };
    struct ir_part *p = add_part(r, list, IR_PART_REASONING, path);
    if (!p || READ(r, path, v, members, p) < 0)
        return -1;
    ir_note(r->out, IR_F_REASONING);
    return 0;
}

/* ---- documents ---- */

struct document {
    uint32_t data; /* JSON_NONE: there is none */
    struct ir_text id;
};

static int document_data(struct reader *r, const char *path, uint32_t v, void *into)
{
    enum json_type t = json_type(r->d, v);
    ((struct document *)into)->data = v;
    return t == JSON_OBJECT || t == JSON_STRING ? 0 : wrong_type(r, path, v, "an object");
}

static int document_id(struct reader *r, const char *path, uint32_t v, void *into)
{
    return read_text(r, path, v, &((struct document *)into)->id);
}

static int read_document(struct reader *r, const char *path, uint32_t v, struct document *out)
{
    static const struct member members[] = {MEMBER("data", document_data),
                                            MEMBER("id", document_id)};
    *out = (struct document){.data = JSON_NONE};
    if (json_type(r->d, v) == JSON_STRING) {
        out->data = v;
        return 0;
    }
    if (READ(r, path, v, members, out) < 0)
        return -1;
    return out->data != JSON_NONE
               ? 0
               : cohere_refuse(r->why, "missing_required_parameter", path, "data is required.");
}

/* A string, or the object's own text. */
static struct ir_text document_text(struct reader *r, const struct document *doc)
{
    return json_type(r->d, doc->data) == JSON_STRING ? ir_text_of(r->d, doc->data)
                                                     : ir_plain(json_raw(r->d, doc->data));
}

static int result_document(struct reader *r, const char *path, uint32_t v, void *into)
{
    return read_document(r, path, v, into);
}

/* One document that is an object is a result that is one. */
static int read_document_part(struct reader *r, const char *path, uint32_t v, bool alone,
                              struct ir_part *result)
{
    static const struct member members[] = {MEMBER("type", NULL),
                                            MEMBER("document", result_document)};
    struct document doc = {.data = JSON_NONE};
    if (READ(r, path, v, members, &doc) < 0)
        return -1;
    if (doc.data == JSON_NONE)
        return cohere_refuse(r->why, "missing_required_parameter", path, "document is required.");
    if (alone && json_type(r->d, doc.data) == JSON_OBJECT) {
        result->result_json = json_raw(r->d, doc.data);
        return 0;
    }
    return add_text(r, path, &result->content, document_text(r, &doc));
}

static struct ir_message *last_user(struct ir_request *out)
{
    struct ir_message *found = NULL;
    for (struct ir_message *m = out->messages; m; m = m->next)
        if (m->role == IR_USER)
            found = m;
    return found;
}

static int read_documents(struct reader *r, const char *path, uint32_t v, void *into)
{
    struct ir_message *m = last_user(r->out);
    struct ir_part *list = NULL;
    char at[PATH_BYTES];
    unsigned index = 0;
    if (need_array(r, path, v) < 0)
        return -1;
    json_foreach_element(r->d, v, e)
    {
        struct document doc;
        snprintf(at, sizeof at, "%s[%u]", path, index++);
        if (read_document(r, at, e, &doc) < 0)
            return -1;
        struct ir_part *p = add_part(r, &list, IR_PART_FILE, at);
        if (!p)
            return -1;
        p->source = IR_SOURCE_TEXT;
        p->media_type = IR_LIT("text/plain");
        p->data = document_text(r, &doc);
        p->filename = doc.id;
        ir_note(r->out, IR_F_FILE_TEXT);
    }
    if (list && !m)
        return cohere_refuse(r->why, "invalid_value", path, "needs a user message.");
    if (list) {
        list->last->next = m->parts;
        list->last = m->parts ? m->parts->last : list->last;
        m->parts = list;
    }
    return 0;
}

/* ---- messages ---- */

struct message {
    struct ir_message *m;
    enum ir_role role;
    struct ir_part *result; /* of a tool message */
};

static int refuse_part(struct reader *r, const char *path)
{
    return cohere_refuse(r->why, "invalid_value", path,
                         "type isn't one that a message of this role may hold.");
}

static int read_part(struct reader *r, const char *path, uint32_t v, bool alone,
                     struct message *message)
{
    struct ir_part **list = message->result ? &message->result->content : &message->m->parts;
    uint32_t type = json_get_lit(r->d, v, "type");
    if (json_type(r->d, v) != JSON_OBJECT)
        return wrong_type(r, path, v, "an object");
    if (json_str_eq_lit(r->d, type, "text"))
        return read_text_part(r, path, v, list);
    if (message->role == IR_USER && json_str_eq_lit(r->d, type, "image_url"))
        return read_image_part(r, path, v, list);
    if (message->role == IR_ASSISTANT && json_str_eq_lit(r->d, type, "thinking"))
        return read_thinking_part(r, path, v, list);
    if (message->role == IR_TOOL && json_str_eq_lit(r->d, type, "document"))
        return read_document_part(r, path, v, alone, message->result);
    return refuse_part(r, path);
}

static int message_content(struct reader *r, const char *path, uint32_t v, void *into)
{
    struct message *message = into;
    char at[PATH_BYTES];
    unsigned index = 0;
    if (json_type(r->d, v) == JSON_STRING)
        return add_text(r, path, message->result ? &message->result->content : &message->m->parts,
                        ir_text_of(r->d, v));
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, path, v, "a string or an array");
    json_foreach_element(r->d, v, e)
    {
        snprintf(at, sizeof at, "%s[%u]", path, index++);
        if (read_part(r, at, e, json_count(r->d, v) == 1, message) < 0)
            return -1;
    }
    return 0;
}

static int message_plan(struct reader *r, const char *path, uint32_t v, void *into)
{
    struct message *message = into;
    struct ir_text text;
    if (read_text(r, path, v, &text) < 0)
        return -1;
    return text.s.n ? add_text(r, path, &message->m->parts, text) : 0;
}

static int message_citations(struct reader *r, const char *path, uint32_t v, void *into)
{
    if (json_count(r->d, v))
        ir_note(r->out, IR_F_CITATIONS);
    return need_array(r, path, v);
}

static int message_call_id(struct reader *r, const char *path, uint32_t v, void *into)
{
    return read_text(r, path, v, &((struct message *)into)->result->call_id);
}

static int call_id(struct reader *r, const char *path, uint32_t v, void *into)
{
    return read_text(r, path, v, &((struct ir_part *)into)->call_id);
}

static int call_name(struct reader *r, const char *path, uint32_t v, void *into)
{
    return read_text(r, path, v, &((struct ir_part *)into)->name);
}

static int call_arguments(struct reader *r, const char *path, uint32_t v, void *into)
{
    return read_text(r, path, v, &((struct ir_part *)into)->arguments);
}

static int call_function(struct reader *r, const char *path, uint32_t v, void *into)
{
    static const struct member members[] = {MEMBER("name", call_name),
                                            MEMBER("arguments", call_arguments)};
    return READ(r, path, v, members, into);
}

static int message_calls(struct reader *r, const char *path, uint32_t v, void *into)
{
    static const struct member members[] = {MEMBER("id", call_id), MEMBER("type", NULL),
                                            MEMBER("function", call_function)};
    struct message *message = into;
    char at[PATH_BYTES];
    unsigned index = 0;
    if (need_array(r, path, v) < 0)
        return -1;
    json_foreach_element(r->d, v, e)
    {
        snprintf(at, sizeof at, "%s[%u]", path, index++);
        struct ir_part *p = add_part(r, &message->m->parts, IR_PART_TOOL_CALL, at);
        if (!p || READ(r, at, e, members, p) < 0)
            return -1;
        if (!p->name.s.n)
            return cohere_refuse(r->why, "missing_required_parameter", at,
                                 "function.name is required.");
    }
    return 0;
}

static const struct member plain_members[] = {MEMBER("role", NULL),
                                              MEMBER("content", message_content)};
static const struct member assistant_members[] = {
    MEMBER("role", NULL),
    MEMBER("content", message_content),
    MEMBER("tool_plan", message_plan),
    MEMBER("tool_calls", message_calls),
    MEMBER("citations", message_citations),
};
static const struct member tool_members[] = {
    MEMBER("role", NULL),
    MEMBER("tool_call_id", message_call_id),
    MEMBER("content", message_content),
};
static const struct {
    struct slice word;
    enum ir_role role;
    const struct member *members;
    size_t n;
} roles[] = {
    {SLICE_LIT("user"), IR_USER, plain_members, ARRAY_LEN(plain_members)},
    {SLICE_LIT("assistant"), IR_ASSISTANT, assistant_members, ARRAY_LEN(assistant_members)},
    {SLICE_LIT("system"), IR_SYSTEM, plain_members, ARRAY_LEN(plain_members)},
    {SLICE_LIT("tool"), IR_TOOL, tool_members, ARRAY_LEN(tool_members)},
};

static int read_message(struct reader *r, uint32_t index, uint32_t v)
{
    char path[PATH_BYTES];
    size_t i = 0;
    snprintf(path, sizeof path, "messages[%u]", index);
    if (json_type(r->d, v) != JSON_OBJECT)
        return wrong_type(r, path, v, "an object");
    while (i < ARRAY_LEN(roles) && !json_str_eq(r->d, json_get_lit(r->d, v, "role"), roles[i].word))
        i++;
    if (i == ARRAY_LEN(roles))
        return cohere_refuse(r->why, "invalid_value", path,
                             "role must be \"user\", \"assistant\", \"system\" or \"tool\".");
    struct message message = {.role = roles[i].role};
    message.m = ir_add_message(r->out, message.role, index);
    if (!message.m)
        return out_of_memory(r, path);
    if (message.role == IR_SYSTEM)
        ir_note(r->out, IR_F_SYSTEM);
    if (message.role == IR_TOOL) {
        message.result = add_part(r, &message.m->parts, IR_PART_TOOL_RESULT, path);
        if (!message.result)
            return -1;
    }
    if (read_object(r, path, v, roles[i].members, roles[i].n, &message) < 0)
        return -1;
    if (message.role == IR_TOOL && !message.result->call_id.s.n)
        return cohere_refuse(r->why, "missing_required_parameter", path,
                             "tool_call_id is required.");
    return 0;
}

static int read_messages(struct reader *r, const char *path, uint32_t v, void *into)
{
    uint32_t index = 0;
    if (need_array(r, path, v) < 0)
        return -1;
    if (json_count(r->d, v) == 0)
        return cohere_refuse(r->why, "invalid_value", path, "at least one message is required.");
    json_foreach_element(r->d, v, m)
    {
        if (read_message(r, index++, m) < 0)
            return -1;
    }
    return 0;
}

/* ---- tools ---- */

static int tool_name(struct reader *r, const char *path, uint32_t v, void *into)
{
    return read_text(r, path, v, &((struct ir_tool *)into)->name);
}

static int tool_description(struct reader *r, const char *path, uint32_t v, void *into)
{
    return read_text(r, path, v, &((struct ir_tool *)into)->description);
}

static int tool_parameters(struct reader *r, const char *path, uint32_t v, void *into)
{
    ((struct ir_tool *)into)->parameters = json_raw(r->d, v);
    return json_type(r->d, v) == JSON_OBJECT ? 0 : wrong_type(r, path, v, "an object");
}

static int tool_function(struct reader *r, const char *path, uint32_t v, void *into)
{
    static const struct member members[] = {
        MEMBER("name", tool_name),
        MEMBER("description", tool_description),
        MEMBER("parameters", tool_parameters),
    };
    return READ(r, path, v, members, into);
}

static int read_tools(struct reader *r, const char *path, uint32_t v, void *into)
{
    static const struct member members[] = {MEMBER("type", NULL),
                                            MEMBER("function", tool_function)};
    char at[PATH_BYTES];
    unsigned index = 0;
    if (need_array(r, path, v) < 0)
        return -1;
    json_foreach_element(r->d, v, e)
    {
        snprintf(at, sizeof at, "%s[%u]", path, index++);
        struct ir_tool *t = ir_add_tool(r->out);
        if (!t)
            return out_of_memory(r, at);
        if (READ(r, at, e, members, t) < 0)
            return -1;
        if (!json_str_eq_lit(r->d, json_get_lit(r->d, e, "type"), "function"))
            return cohere_refuse(r->why, "invalid_value", at, "type must be \"function\".");
        if (!t->name.s.n)
            return cohere_refuse(r->why, "missing_required_parameter", at,
                                 "function.name is required.");
        ir_note(r->out, IR_F_TOOLS);
    }
    return 0;
}

static int read_strict_tools(struct reader *r, const char *path, uint32_t v, void *into)
{
    bool on;
    if (read_bool(r, path, v, &on) < 0)
        return -1;
    for (struct ir_tool *t = r->out->tools; t && on; t = t->next) {
        t->strict = 1;
        ir_note(r->out, IR_F_TOOL_STRICT);
    }
    return 0;
}

static int read_tool_choice(struct reader *r, const char *path, uint32_t v, void *into)
{
    if (json_str_eq_lit(r->d, v, "REQUIRED")) {
        r->out->tool_choice = IR_CHOICE_ANY;
        ir_note(r->out, IR_F_TOOL_CHOICE_ANY);
    } else if (json_str_eq_lit(r->d, v, "NONE")) {
        r->out->tool_choice = IR_CHOICE_NONE;
        ir_note(r->out, IR_F_TOOL_CHOICE_NONE);
    } else {
        return cohere_refuse(r->why, "invalid_value", path, "must be \"REQUIRED\" or \"NONE\".");
    }
    return 0;
}

/* ---- the rest ---- */

static int read_model(struct reader *r, const char *path, uint32_t v, void *into)
{
    return json_type(r->d, v) == JSON_STRING ? 0 : wrong_type(r, path, v, "a string");
}

static int read_stream(struct reader *r, const char *path, uint32_t v, void *into)
{
    if (read_bool(r, path, v, &r->out->stream) < 0)
        return -1;
    r->out->include_usage = r->out->stream; /* its streams always carry it */
    return 0;
}

static int read_max_tokens(struct reader *r, const char *path, uint32_t v, void *into)
{
    ir_note(r->out, IR_F_MAX_TOKENS);
    return read_count(r, path, v, &r->out->max_tokens);
}

static int read_stop(struct reader *r, const char *path, uint32_t v, void *into)
{
    if (need_array(r, path, v) < 0)
        return -1;
    uint32_t n = json_count(r->d, v);
    if (n == 0)
        return 0;
    r->out->stop = arena_alloc(r->out->arena, n * sizeof *r->out->stop);
    if (!r->out->stop)
        return out_of_memory(r, path);
    json_foreach_element(r->d, v, e)
    {
        if (read_text(r, path, e, &r->out->stop[r->out->n_stop++]) < 0)
            return -1;
    }
    ir_note(r->out, IR_F_STOP);
    return 0;
}

#define NUMBER(fn, field, F)                                                                       \
    static int fn(struct reader *r, const char *path, uint32_t v, void *into)                      \
    {                                                                                              \
        (void)into;                                                                                \
        return read_number(r, path, v, IR_F_##F, &r->out->field);                                  \
    }
NUMBER(read_temperature, temperature, TEMPERATURE)
NUMBER(read_p, top_p, TOP_P)
NUMBER(read_k, top_k, TOP_K)
NUMBER(read_seed, seed, SEED)
NUMBER(read_frequency_penalty, frequency_penalty, FREQUENCY_PENALTY)
NUMBER(read_presence_penalty, presence_penalty, PRESENCE_PENALTY)

static int read_logprobs(struct reader *r, const char *path, uint32_t v, void *into)
{
    if (read_bool(r, path, v, &r->out->logprobs) < 0)
        return -1;
    if (r->out->logprobs)
        ir_note(r->out, IR_F_LOGPROBS);
    return 0;
}

static int format_schema(struct reader *r, const char *path, uint32_t v, void *into)
{
    r->out->format_schema = json_raw(r->d, v);
    return json_type(r->d, v) == JSON_OBJECT ? 0 : wrong_type(r, path, v, "an object");
}

/* `schema` is how the member is called in version 1, which version 2 takes as well. */
static int read_format(struct reader *r, const char *path, uint32_t v, void *into)
{
    static const struct member members[] = {
        MEMBER("type", NULL),
        MEMBER("json_schema", format_schema),
        MEMBER("schema", format_schema),
    };
    uint32_t type = json_get_lit(r->d, v, "type");
    if (READ(r, path, v, members, into) < 0)
        return -1;
    if (json_str_eq_lit(r->d, type, "text") && !r->out->format_schema.p) {
        r->out->format = IR_FORMAT_TEXT;
        return 0;
    }
    if (!json_str_eq_lit(r->d, type, "json_object"))
        return cohere_refuse(r->why, "invalid_value", path,
                             "type must be \"text\", without a schema, or \"json_object\".");
    bool schema = r->out->format_schema.p;
    r->out->format = schema ? IR_FORMAT_SCHEMA : IR_FORMAT_JSON;
    ir_note(r->out, schema ? IR_F_FORMAT_SCHEMA : IR_F_FORMAT_JSON);
    if (schema)
        r->out->format_strict = 1;
    return 0;
}

static int thinking_budget(struct reader *r, const char *path, uint32_t v, void *into)
{
    ir_note(r->out, IR_F_THINKING_BUDGET);
    return read_count(r, path, v, &r->out->thinking_budget);
}

static int read_thinking(struct reader *r, const char *path, uint32_t v, void *into)
{
    static const struct member members[] = {MEMBER("type", NULL),
                                            MEMBER("token_budget", thinking_budget)};
    uint32_t type = json_get_lit(r->d, v, "type");
    if (READ(r, path, v, members, into) < 0)
        return -1;
    if (json_str_eq_lit(r->d, type, "disabled")) {
        ir_note(r->out, IR_F_THINKING_BUDGET);
        r->out->thinking_budget = 0;
    } else if (is_given(r, type) && !json_str_eq_lit(r->d, type, "enabled")) {
        return cohere_refuse(r->why, "invalid_value", path,
                             "type must be \"enabled\" or \"disabled\".");
    } else if (r->out->thinking_budget < 0) {
        r->out->thinking_budget = IR_BUDGET_DYNAMIC;
    }
    return 0;
}

/* CONTEXTUAL is what there is without a word. */
static int read_safety_mode(struct reader *r, const char *path, uint32_t v, void *into)
{
    if (json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, path, v, "a string");
    r->out->safety = json_raw(r->d, v);
    if (!json_str_eq_lit(r->d, v, "CONTEXTUAL"))
        ir_note(r->out, IR_F_SAFETY);
    return 0;
}

static const struct member members[] = {
    MEMBER("model", read_model),
    MEMBER("messages", read_messages),
    MEMBER("documents", read_documents),
    MEMBER("tools", read_tools),
    MEMBER("strict_tools", read_strict_tools),
    MEMBER("tool_choice", read_tool_choice),
    MEMBER("stream", read_stream),
    MEMBER("max_tokens", read_max_tokens),
    MEMBER("stop_sequences", read_stop),
    MEMBER("temperature", read_temperature),
    MEMBER("p", read_p),
    MEMBER("k", read_k),
    MEMBER("seed", read_seed),
    MEMBER("frequency_penalty", read_frequency_penalty),
    MEMBER("presence_penalty", read_presence_penalty),
    MEMBER("logprobs", read_logprobs),
    MEMBER("response_format", read_format),
    MEMBER("thinking", read_thinking),
    MEMBER("safety_mode", read_safety_mode),
};

int cohere_read_request_ir(const struct json_doc *d, struct ir_request *out,
                           struct dialect_refusal *why)
{
    struct reader r = {d, out, why};
    out->names = cohere_fields;
    if (READ(&r, "", JSON_ROOT, members, NULL) < 0)
        return -1;
    if (!out->messages)
        return cohere_refuse(why, "missing_required_parameter", "messages", "is required.");
    return 0;
}
