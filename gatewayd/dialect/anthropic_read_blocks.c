/*
 * anthropic_read_blocks.c: reads content blocks into messages and parts.
 *
 * A user message that mixes tool results with other blocks becomes an IR_TOOL and an IR_USER
 * message, in the order of the blocks. What a server tool left behind in an earlier turn is noted
 * as unknown: the text that was made of it stands beside it.
 */
#include "gatewayd/dialect/anthropic.h"


enum { PATH_BYTES = 64 };

/* Where blocks go: the message that is filled, or a tool result. */
struct place {
    struct anthropic_reader *r;
    enum ir_role role; /* of the caller's message */
    uint32_t index;
    struct ir_message *message; /* the one being filled; NULL: none yet */
    struct ir_part **tail;      /* its last part's place, so that adding is no walk */
    const char *path;           /* of the block that is read */
};

static int refuse(struct place *at, const char *what)
{
    return anthropic_refuse(at->r->why, "invalid_value", at->path, "%s", what);
}

static struct ir_part *add_part(struct place *at, enum ir_role role, enum ir_part_kind kind)
{
    struct ir_request *out = at->r->out;
    if (!at->tail || (at->message && at->message->role != role)) {
        at->message = ir_add_message(out, role, at->index);
        if (!at->message)
            return NULL;
        at->tail = &at->message->parts;
    }
    struct ir_part *p = ir_add_part(out->arena, at->tail, kind);
    if (p)
        at->tail = &p->next;
    return p;
}

static struct ir_part *add(struct place *at, enum ir_part_kind kind)
{
    struct ir_part *p = add_part(at, at->role, kind);
    if (!p)
        refuse(at, "the request is too large.");
    return p;
}

static uint32_t get(const struct place *at, uint32_t block, const char *name)
{
    return json_get(at->r->d, block, slice_str(name));
}

/* A string member that must be there. */
static int need(struct place *at, uint32_t block, const char *name, struct ir_text *out)
{
    uint32_t v = get(at, block, name);
    *out = ir_text_of(at->r->d, v);
    if (ir_has(*out))
        return 0;
    return anthropic_refuse(at->r->why, "invalid_type", at->path, "%s must be a string, not %s.",
                            name, json_type_name(json_type(at->r->d, v)));
}

/* Reads cache_control, and notes every member that isn't named in `known`. */
static int read_rest(struct place *at, uint32_t block, const char *const *known,
                     enum ir_cache *cache)
{
    const struct json_doc *d = at->r->d;
    json_foreach_member(d, block, k)
    {
        bool is_known = json_str_eq_lit(d, k, "type") || json_is_null(d, k + 1);
        for (size_t i = 0; known[i] && !is_known; i++)
            is_known = json_str_eq(d, k, slice_str(known[i]));
        if (is_known)
            continue;
        if (!json_str_eq_lit(d, k, "cache_control"))
            anthropic_note_unknown(at->r, at->path, k);
        else if (anthropic_read_cache(at->r, at->path, k + 1, cache) < 0)
            return -1;
    }
    return 0;
}
#define KNOWN(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- text ---- */

static int read_text(struct place *at, uint32_t block)
{
    struct ir_text text;
    if (need(at, block, "text", &text) < 0)
        return -1;
    struct ir_part *p = add(at, IR_PART_TEXT);
    if (!p)
        return -1;
    p->text = text;
    json_foreach_element(at->r->d, get(at, block, "citations"), c)
    {
        if (anthropic_read_citation(at->r->d, c, at->r->out->arena, &p->citations) < 0)
            return refuse(at, "the request is too large.");
    }
    if (p->citations)
        ir_note(at->r->out, IR_F_CITATIONS);
    return read_rest(at, block, KNOWN("text", "citations"), &p->cache);
}

/* ---- images and documents ---- */

static int read_source(struct place *at, uint32_t source, struct ir_part *p)
{
    static const struct {
        const char *type, *member;
        enum ir_source source;
        enum ir_field image, file;
    } kinds[] = {
        {"base64", "data", IR_SOURCE_BASE64, IR_F_IMAGE_BASE64, IR_F_FILE_BASE64},
        {"url", "url", IR_SOURCE_URL, IR_F_IMAGE_URL, IR_F_FILE_URL},
        {"file", "file_id", IR_SOURCE_FILE_ID, IR_F_IMAGE_FILE_ID, IR_F_FILE_ID},
        {"text", "data", IR_SOURCE_TEXT, IR_FIELD_COUNT, IR_F_FILE_TEXT},
    };
    bool image = p->kind == IR_PART_IMAGE;
    uint32_t type = get(at, source, "type");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        enum ir_field f = image ? kinds[i].image : kinds[i].file;
        if (f == IR_FIELD_COUNT || !json_str_eq(at->r->d, type, slice_str(kinds[i].type)))
            continue;
        p->source = kinds[i].source;
        p->media_type = ir_text_of(at->r->d, get(at, source, "media_type"));
        if (p->source == IR_SOURCE_BASE64 && !ir_has(p->media_type))
            return refuse(at, "source.media_type must be a string.");
        ir_note(at->r->out, f);
        return need(at, source, kinds[i].member, &p->data);
    }
    return refuse(at, image ? "source.type must be \"base64\", \"url\" or \"file\"."
                            : "source.type must be \"base64\", \"text\", \"content\", \"url\" or "
                              "\"file\".");
}

static int read_image(struct place *at, uint32_t block)
{
    struct ir_part *p = add(at, IR_PART_IMAGE);
    if (!p || read_source(at, get(at, block, "source"), p) < 0)
        return -1;
    return read_rest(at, block, KNOWN("source"), &p->cache);
}

/* A document that is made of blocks: each text is a document of its own, images stand as they are.
 */
static int read_content_document(struct place *at, uint32_t content, struct ir_text title,
                                 struct ir_part **last)
{
    const struct json_doc *d = at->r->d;
    if (json_type(d, content) == JSON_STRING) {
        if (!(*last = add(at, IR_PART_FILE)))
            return -1;
        (*last)->source = IR_SOURCE_TEXT;
        (*last)->data = ir_text_of(d, content);
        (*last)->filename = title;
        ir_note(at->r->out, IR_F_FILE_TEXT);
        return 0;
    }
    if (json_type(d, content) != JSON_ARRAY)
        return refuse(at, "source.content must be a string or an array of blocks.");
    json_foreach_element(d, content, b)
    {
        bool text = json_str_eq_lit(d, get(at, b, "type"), "text");
        if (!text && !json_str_eq_lit(d, get(at, b, "type"), "image"))
            return refuse(at, "source.content may hold text and image blocks only.");
        if (!(*last = add(at, text ? IR_PART_FILE : IR_PART_IMAGE)))
            return -1;
        if (!text) {
            if (read_source(at, get(at, b, "source"), *last) < 0)
                return -1;
            continue;
        }
        (*last)->source = IR_SOURCE_TEXT;
        (*last)->filename = title;
        ir_note(at->r->out, IR_F_FILE_TEXT);
        if (need(at, b, "text", &(*last)->data) < 0)
            return -1;
    }
    return 0;
}

static int read_document(struct place *at, uint32_t block)
{
    uint32_t source = get(at, block, "source");
    struct ir_text title = ir_text_of(at->r->d, get(at, block, "title"));
    struct ir_part *p = NULL;
    enum ir_cache cache = IR_CACHE_NONE;
    if (json_str_eq_lit(at->r->d, get(at, source, "type"), "content")) {
        if (read_content_document(at, get(at, source, "content"), title, &p) < 0)
            return -1;
    } else {
        p = add(at, IR_PART_FILE);
        if (!p || read_source(at, source, p) < 0)
            return -1;
        p->filename = title;
    }
    if (read_rest(at, block, KNOWN("source", "title"), &cache) < 0)
        return -1;
    if (p)
        p->cache = cache;
    return 0;
}

/* ---- the assistant's ---- */

static int read_thinking(struct place *at, uint32_t block)
{
    struct ir_part *p = add(at, IR_PART_REASONING);
    if (!p || need(at, block, "thinking", &p->text) < 0)
        return -1;
    p->signature = ir_text_of(at->r->d, get(at, block, "signature"));
    ir_note(at->r->out, IR_F_REASONING);
    if (ir_has(p->signature))
        ir_note(at->r->out, IR_F_REASONING_SIGNATURE);
    return read_rest(at, block, KNOWN("thinking", "signature"), &p->cache);
}

static int read_redacted(struct place *at, uint32_t block)
{
    struct ir_part *p = add(at, IR_PART_REASONING);
    if (!p || need(at, block, "data", &p->signature) < 0)
        return -1;
    p->redacted = true;
    ir_note(at->r->out, IR_F_REASONING);
    ir_note(at->r->out, IR_F_REASONING_SIGNATURE);
    return read_rest(at, block, KNOWN("data"), &p->cache);
}

static int read_call(struct place *at, uint32_t block)
{
    uint32_t input = get(at, block, "input");
    struct ir_part *p = add(at, IR_PART_TOOL_CALL);
    if (!p || need(at, block, "id", &p->call_id) < 0 || need(at, block, "name", &p->name) < 0)
        return -1;
    if (json_type(at->r->d, input) != JSON_OBJECT)
        return refuse(at, "input must be an object.");
    p->arguments = ir_plain(json_raw(at->r->d, input));
    return read_rest(at, block, KNOWN("id", "name", "input", "caller"), &p->cache);
}

/* ---- tool results ---- */

static int read_result_block(struct place *at, uint32_t block)
{
    const struct json_doc *d = at->r->d;
    uint32_t type = get(at, block, "type");
    if (json_str_eq_lit(d, type, "text"))
        return read_text(at, block);
    if (json_str_eq_lit(d, type, "image")) {
        ir_note(at->r->out, IR_F_TOOL_RESULT_IMAGE);
        return read_image(at, block);
    }
    if (json_str_eq_lit(d, type, "document"))
        return read_document(at, block);
    return refuse(at, "a tool result may hold text, image and document blocks only.");
}

static int read_result_content(struct place *at, uint32_t content, struct ir_part *result)
{
    const struct json_doc *d = at->r->d;
    char path[PATH_BYTES];
    struct place inner = {.r = at->r, .role = IR_TOOL, .tail = &result->content, .path = path};
    unsigned n = 0;
    if (content == JSON_NONE || json_is_null(d, content))
        return 0;
    if (json_type(d, content) == JSON_STRING) {
        inner.path = at->path;
        struct ir_part *p = add(&inner, IR_PART_TEXT);
        if (!p)
            return -1;
        p->text = ir_text_of(d, content);
        return 0;
    }
    if (json_type(d, content) != JSON_ARRAY)
        return refuse(at, "content must be a string or an array of blocks.");
    size_t n_up = ir_place_text(path, sizeof path, 0, at->path);
    n_up = ir_place_text(path, sizeof path, n_up, ".content.");
    json_foreach_element(d, content, b)
    {
        ir_place_index(path, sizeof path, n_up, n++);
        if (read_result_block(&inner, b) < 0)
            return -1;
    }
    return 0;
}

static int read_result(struct place *at, uint32_t block)
{
    uint32_t is_error = get(at, block, "is_error");
    struct ir_part *p = add_part(at, IR_TOOL, IR_PART_TOOL_RESULT);
    if (!p)
        return refuse(at, "the request is too large.");
    if (need(at, block, "tool_use_id", &p->call_id) < 0)
        return -1;
    if (is_error != JSON_NONE && !json_is_null(at->r->d, is_error) &&
        json_bool(at->r->d, is_error, &p->is_error) < 0)
        return refuse(at, "is_error must be a boolean.");
    if (p->is_error)
        ir_note(at->r->out, IR_F_TOOL_RESULT_ERROR);
    if (read_result_content(at, get(at, block, "content"), p) < 0)
        return -1;
    return read_rest(at, block, KNOWN("tool_use_id", "content", "is_error"), &p->cache);
}

/* ---- a message's content ---- */

/* What the provider's own tools called and answered. */
static int skip_hosted(struct place *at, uint32_t block)
{
    ir_note_unknown(at->r->out, "%s", at->path);
    return 0;
}

enum { IN_SYSTEM = 1, IN_USER = 2, IN_ASSISTANT = 4 };
static const struct {
    const char *type;
    unsigned where;
    int (*read)(struct place *at, uint32_t block);
} blocks[] = {
    {"text", IN_SYSTEM | IN_USER | IN_ASSISTANT, read_text},
    {"image", IN_USER, read_image},
    {"document", IN_USER, read_document},
    {"tool_result", IN_USER, read_result},
    {"thinking", IN_ASSISTANT, read_thinking},
    {"redacted_thinking", IN_ASSISTANT, read_redacted},
    {"tool_use", IN_ASSISTANT, read_call},
    {"server_tool_use", IN_ASSISTANT, skip_hosted},
    {"web_search_tool_result", IN_ASSISTANT, skip_hosted},
    {"web_fetch_tool_result", IN_ASSISTANT, skip_hosted},
    {"code_execution_tool_result", IN_ASSISTANT, skip_hosted},
    {"bash_code_execution_tool_result", IN_ASSISTANT, skip_hosted},
    {"text_editor_code_execution_tool_result", IN_ASSISTANT, skip_hosted},
    {"tool_search_tool_result", IN_ASSISTANT, skip_hosted},
};

static int read_block(struct place *at, uint32_t block)
{
    const struct json_doc *d = at->r->d;
    uint32_t type = get(at, block, "type");
    struct slice word = json_raw(d, type);
    unsigned here = at->role == IR_SYSTEM ? IN_SYSTEM
                    : at->role == IR_USER ? IN_USER
                                          : IN_ASSISTANT;
    if (json_type(d, block) != JSON_OBJECT)
        return anthropic_wrong_type(at->r->why, d, block, at->path, "an object");
    if (json_type(d, type) != JSON_STRING)
        return refuse(at, "type is required.");
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        if ((blocks[i].where & here) && json_str_eq(d, type, slice_str(blocks[i].type)))
            return blocks[i].read(at, block);
    return anthropic_refuse(at->r->why, "invalid_value", at->path,
                            "blocks of type %.*s can't be sent to this model's provider from here.",
                            GW_MIN((int)word.n, 60), word.p);
}

int anthropic_read_content(struct anthropic_reader *r, enum ir_role role, uint32_t index,
                           const char *path, uint32_t content)
{
    char block_path[PATH_BYTES];
    unsigned n = 0;
    struct place at = {.r = r, .role = role, .index = index, .path = path};
    if (json_type(r->d, content) == JSON_STRING) {
        struct ir_part *p = add(&at, IR_PART_TEXT);
        if (!p)
            return -1;
        p->text = ir_text_of(r->d, content);
        return 0;
    }
    if (json_type(r->d, content) != JSON_ARRAY)
        return anthropic_wrong_type(r->why, r->d, content, path, "a string or an array of blocks");
    at.path = block_path;
    size_t n_up = ir_place_text(block_path, sizeof block_path, 0, path);
    n_up = ir_place_text(block_path, sizeof block_path, n_up, ".");
    json_foreach_element(r->d, content, b)
    {
        ir_place_index(block_path, sizeof block_path, n_up, n++);
        if (read_block(&at, b) < 0)
            return -1;
    }
    return 0;
}
