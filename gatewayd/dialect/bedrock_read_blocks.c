/*
 * bedrock_read_blocks.c: reads messages, their content blocks and the system prompt.
 *
 * A message of the user that holds tool results becomes several: the results stand in messages of
 * the tool role there. A cache point belongs to the block before it, also across messages.
 */
#include "gatewayd/dialect/bedrock.h"

/* Where blocks go. */
struct place {
    struct bedrock_reader *r;
    enum ir_role role; /* of the message as it is written */
    uint32_t index;
    struct ir_message *message; /* the last one made for it; NULL: none yet */
    struct ir_part **last;      /* of the request: what a cache point belongs to */
};

static struct ir_part *add_part(struct place *p, const struct bedrock_at *at,
                                enum ir_part_kind kind)
{
    enum ir_role role = kind == IR_PART_TOOL_RESULT ? IR_TOOL : p->role;
    if (!p->message || p->message->role != role)
        p->message = ir_add_message(p->r->out, role, p->index);
    struct ir_part *part =
        p->message ? ir_add_part(p->r->out->arena, &p->message->parts, kind) : NULL;
    if (!part) {
        (void)bedrock_too_large(p->r, at);
        return NULL;
    }
    *p->last = part;
    return part;
}

int bedrock_read_cache_point(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v,
                             enum ir_cache *out)
{
    struct bedrock_at ttl_at = bedrock_in(at, "ttl");
    uint32_t type = json_get_lit(r->d, v, "type"), ttl = json_get_lit(r->d, v, "ttl");
    if (!json_str_eq_lit(r->d, type, "default"))
        return bedrock_refuse(r, at, "invalid_value", "its type must be default.");
    if (json_str_eq_lit(r->d, ttl, "1h"))
        *out = IR_CACHE_1H;
    else if (ttl == JSON_NONE || json_is_null(r->d, ttl) || json_str_eq_lit(r->d, ttl, "5m"))
        *out = IR_CACHE_5M;
    else
        return bedrock_refuse(r, &ttl_at, "invalid_value", "must be 5m or 1h.");
    ir_note(r->out, IR_F_CACHE_CONTROL);
    return 0;
}

/* ---- media ---- */

struct media {
    struct ir_text format, name, context;
    uint32_t source, citations;
};

/* Formats as members of the API and as media types; of several types the first is the usual one. */
static const struct format {
    enum ir_part_kind kind;
    const char *format;
    struct slice type;
} formats[] = {
#define FORMAT(kind, format, type)                                                                 \
    {                                                                                              \
        IR_PART_##kind, format,                                                                    \
        {                                                                                          \
            type, sizeof(type) - 1                                                                 \
        }                                                                                          \
    }
    FORMAT(IMAGE, "png", "image/png"),
    FORMAT(IMAGE, "jpeg", "image/jpeg"),
    FORMAT(IMAGE, "jpeg", "image/jpg"),
    FORMAT(IMAGE, "gif", "image/gif"),
    FORMAT(IMAGE, "webp", "image/webp"),
    FORMAT(FILE, "pdf", "application/pdf"),
    FORMAT(FILE, "csv", "text/csv"),
    FORMAT(FILE, "doc", "application/msword"),
    FORMAT(FILE, "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    FORMAT(FILE, "xls", "application/vnd.ms-excel"),
    FORMAT(FILE, "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    FORMAT(FILE, "html", "text/html"),
    FORMAT(FILE, "txt", "text/plain"),
    FORMAT(FILE, "md", "text/markdown"),
    FORMAT(VIDEO, "mkv", "video/x-matroska"),
    FORMAT(VIDEO, "mov", "video/quicktime"),
    FORMAT(VIDEO, "mp4", "video/mp4"),
    FORMAT(VIDEO, "webm", "video/webm"),
    FORMAT(VIDEO, "flv", "video/x-flv"),
    FORMAT(VIDEO, "mpeg", "video/mpeg"),
    FORMAT(VIDEO, "mpg", "video/mpeg"),
    FORMAT(VIDEO, "wmv", "video/x-ms-wmv"),
    FORMAT(VIDEO, "three_gp", "video/3gpp"),
    FORMAT(AUDIO, "mp3", "audio/mpeg"),
    FORMAT(AUDIO, "wav", "audio/wav"),
    FORMAT(AUDIO, "mp3", "audio/mp3"),
    FORMAT(AUDIO, "wav", "audio/x-wav"),
    FORMAT(AUDIO, "flac", "audio/flac"),
    FORMAT(AUDIO, "aac", "audio/aac"),
    FORMAT(AUDIO, "x-aac", "audio/x-aac"),
    FORMAT(AUDIO, "ogg", "audio/ogg"),
    FORMAT(AUDIO, "opus", "audio/opus"),
    FORMAT(AUDIO, "webm", "audio/webm"),
    FORMAT(AUDIO, "m4a", "audio/m4a"),
    FORMAT(AUDIO, "mp4", "audio/mp4"),
    FORMAT(AUDIO, "mpeg", "audio/mpeg"),
    FORMAT(AUDIO, "mpga", "audio/mpeg"),
    FORMAT(AUDIO, "pcm", "audio/pcm"),
    FORMAT(AUDIO, "mkv", "audio/x-matroska"),
    FORMAT(AUDIO, "mka", "audio/x-matroska"),
#undef FORMAT
};

static struct ir_text type_of_format(enum ir_part_kind kind, struct ir_text format)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (formats[i].kind == kind && ir_text_is(format, slice_str(formats[i].format)))
            return ir_plain(formats[i].type);
    return (struct ir_text){{NULL, 0}, false};
}

struct ir_text bedrock_image_type(const struct json_doc *d, uint32_t format)
{
    return type_of_format(IR_PART_IMAGE, ir_text_of(d, format));
}

const char *bedrock_format(enum ir_part_kind kind, struct ir_text media_type)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (formats[i].kind == kind && ir_text_is(media_type, formats[i].type))
            return formats[i].format;
    return NULL;
}

const char *bedrock_known_format(enum ir_part_kind kind, struct slice format)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (formats[i].kind == kind && slice_ieq(format, slice_str(formats[i].format)))
            return formats[i].format;
    return NULL;
}

static void note_media(struct ir_request *out, const struct ir_part *p)
{
    switch (p->kind) {
    case IR_PART_IMAGE:
        ir_note(out, IR_F_IMAGE_BASE64);
        break;
    case IR_PART_VIDEO:
        ir_note(out, IR_F_VIDEO);
        break;
    case IR_PART_AUDIO:
        ir_note(out, IR_F_AUDIO);
        break;
    default:
        ir_note(out, p->source == IR_SOURCE_TEXT ? IR_F_FILE_TEXT : IR_F_FILE_BASE64);
        break;
    }
}

/* Texts of one JSON body one behind the other. An escaped text is found by the quote before it. */
static struct ir_text join(struct arena *a, struct ir_text x, struct ir_text y)
{
    char *mem = arena_alloc(a, x.s.n + y.s.n + 2);
    if (!mem)
        return (struct ir_text){{NULL, 0}, false};
    mem[0] = '"';
    if (x.s.n)
        memcpy(mem + 1, x.s.p, x.s.n);
    if (y.s.n)
        memcpy(mem + 1 + x.s.n, y.s.p, y.s.n);
    mem[1 + x.s.n + y.s.n] = '"';
    return (struct ir_text){slice_of(mem + 1, x.s.n + y.s.n), x.escaped || y.escaped};
}

/* [{"text":"…"},…] as one text. */
static int read_texts(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v,
                      struct ir_text *out)
{
    uint32_t i = 0;
    if (json_type(r->d, v) != JSON_ARRAY)
        return bedrock_wrong_type(r, at, v, "an array");
    json_foreach_element(r->d, v, e)
    {
        struct bedrock_at here = bedrock_element(at, i++), text_at = bedrock_in(&here, "text");
        uint32_t text = json_get_lit(r->d, e, "text");
        if (json_type(r->d, text) != JSON_STRING)
            return bedrock_wrong_type(r, &text_at, text, "a string");
        struct ir_text t = ir_text_of(r->d, text);
        *out = ir_has(*out) ? join(r->out->arena, *out, t) : t;
        if (!ir_has(*out))
            return bedrock_too_large(r, at);
    }
    return 0;
}

static int read_source(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v,
                       struct ir_part *p)
{
    uint32_t k = bedrock_read_union(r, at, v);
    if (k == JSON_NONE)
        return -1;
    if (json_str_eq_lit(r->d, k, "content") && p->kind == IR_PART_FILE) {
        struct bedrock_at content = bedrock_in(at, "content");
        p->source = IR_SOURCE_TEXT;
        return read_texts(r, &content, k + 1, &p->data);
    }
    if (json_str_eq_lit(r->d, k, "s3Location"))
        return bedrock_refuse(r, at, "unsupported_parameter",
                              "objects in S3 can be read by Bedrock only: send the bytes.");
    if (json_str_eq_lit(r->d, k, "bytes"))
        p->source = IR_SOURCE_BASE64;
    else if (json_str_eq_lit(r->d, k, "text") && p->kind == IR_PART_FILE)
        p->source = IR_SOURCE_TEXT;
    else
        return bedrock_refuse(r, at, "invalid_value", "must have its bytes.");
    struct bedrock_at member = bedrock_in(at, p->source == IR_SOURCE_TEXT ? "text" : "bytes");
    if (json_type(r->d, k + 1) != JSON_STRING)
        return bedrock_wrong_type(r, &member, k + 1, "a string");
    p->data = ir_text_of(r->d, k + 1);
    return 0;
}

static int read_media(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v,
                      struct ir_part *p)
{
    static const struct bedrock_member members[] = {
        BEDROCK_MEMBER("format", TEXT, struct media, format),
        BEDROCK_MEMBER("source", OBJECT, struct media, source),
        BEDROCK_MEMBER("name", TEXT, struct media, name),
        BEDROCK_MEMBER("context", TEXT, struct media, context),
        BEDROCK_MEMBER("citations", OBJECT, struct media, citations),
    };
    struct bedrock_at format = bedrock_in(at, "format"), source = bedrock_in(at, "source"),
                      context = bedrock_in(at, "context"), citations = bedrock_in(at, "citations");
    struct media in = {.source = JSON_NONE, .citations = JSON_NONE};
    if (BEDROCK_READ(r, at, v, members, &in) < 0 || read_source(r, &source, in.source, p) < 0)
        return -1;
    p->media_type = type_of_format(p->kind, in.format);
    if (p->source == IR_SOURCE_TEXT && !ir_has(in.format))
        p->media_type = IR_LIT("text/plain");
    if (!ir_has(p->media_type))
        return bedrock_refuse(r, &format, "invalid_value", "must be a format that the API names.");
    p->filename = in.name;
    if (ir_has(in.context))
        bedrock_note_unknown(r, &context);
    if (in.citations != JSON_NONE)
        bedrock_note_unknown(r, &citations);
    note_media(r->out, p);
    return 0;
}

/* ---- tools ---- */

struct tool_use {
    struct ir_text id, name, type;
    uint32_t input;
};

static int read_tool_use(struct place *p, const struct bedrock_at *at, uint32_t v)
{
    static const struct bedrock_member members[] = {
        BEDROCK_MEMBER("toolUseId", TEXT, struct tool_use, id),
        BEDROCK_MEMBER("name", TEXT, struct tool_use, name),
        BEDROCK_MEMBER("input", OBJECT, struct tool_use, input),
        BEDROCK_MEMBER("type", TEXT, struct tool_use, type),
    };
    struct tool_use in = {.input = JSON_NONE};
    if (BEDROCK_READ(p->r, at, v, members, &in) < 0)
        return -1;
    if (!in.id.s.n || !in.name.s.n || in.input == JSON_NONE)
        return bedrock_refuse(p->r, at, "missing_required_parameter",
                              "toolUseId, name and input are required.");
    if (ir_has(in.type)) /* of a tool that the provider ran */
        ir_note(p->r->out, IR_F_HOSTED_TOOLS);
    struct ir_part *part = add_part(p, at, IR_PART_TOOL_CALL);
    if (!part)
        return -1;
    part->call_id = in.id;
    part->name = in.name;
    part->arguments = ir_plain(json_raw(p->r->d, in.input));
    return 0;
}

/* One block of a result. A JSON value beside other blocks goes as its text. */
static int read_result_block(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v,
                             bool only, struct ir_part *result)
{
    static const struct {
        struct slice name;
        enum ir_part_kind kind;
    } media[] = {
        {SLICE_LIT("image"), IR_PART_IMAGE},
        {SLICE_LIT("document"), IR_PART_FILE},
        {SLICE_LIT("video"), IR_PART_VIDEO},
    };
    uint32_t k = bedrock_read_union(r, at, v);
    if (k == JSON_NONE)
        return -1;
    bool json = json_str_eq_lit(r->d, k, "json");
    if (json && only && json_type(r->d, k + 1) == JSON_OBJECT) {
        result->result_json = json_raw(r->d, k + 1);
        return 0;
    }
    enum ir_part_kind kind = IR_PART_TEXT;
    for (size_t i = 0; i < ARRAY_LEN(media); i++)
        if (json_str_eq(r->d, k, media[i].name))
            kind = media[i].kind;
    if (kind == IR_PART_TEXT && !json && !json_str_eq_lit(r->d, k, "text"))
        return bedrock_refuse(r, at, "unsupported_parameter",
                              "a tool result for this model can hold text, json, image, document "
                              "and video.");
    struct ir_part *part = ir_add_part(r->out->arena, &result->content, kind);
    if (!part)
        return bedrock_too_large(r, at);
    if (kind == IR_PART_IMAGE)
        ir_note(r->out, IR_F_TOOL_RESULT_IMAGE);
    if (kind != IR_PART_TEXT)
        return read_media(r, at, k + 1, part);
    if (!json && json_type(r->d, k + 1) != JSON_STRING)
        return bedrock_wrong_type(r, at, k + 1, "a string");
    part->text = json ? ir_plain(json_raw(r->d, k + 1)) : ir_text_of(r->d, k + 1);
    return 0;
}

struct tool_result {
    struct ir_text id, status, type;
    uint32_t content;
};

static int read_tool_result(struct place *p, const struct bedrock_at *at, uint32_t v)
{
    static const struct bedrock_member members[] = {
        BEDROCK_MEMBER("toolUseId", TEXT, struct tool_result, id),
        BEDROCK_MEMBER("content", ARRAY, struct tool_result, content),
        BEDROCK_MEMBER("status", TEXT, struct tool_result, status),
        BEDROCK_MEMBER("type", TEXT, struct tool_result, type),
    };
    struct tool_result in = {.content = JSON_NONE};
    struct bedrock_at content = bedrock_in(at, "content");
    struct bedrock_reader *r = p->r;
    uint32_t i = 0;
    if (BEDROCK_READ(r, at, v, members, &in) < 0)
        return -1;
    if (!in.id.s.n || in.content == JSON_NONE)
        return bedrock_refuse(r, at, "missing_required_parameter",
                              "toolUseId and content are required.");
    struct ir_part *part = add_part(p, at, IR_PART_TOOL_RESULT);
    if (!part)
        return -1;
    part->call_id = in.id;
    part->is_error = ir_text_is(in.status, SLICE_LIT("error"));
    if (part->is_error)
        ir_note(r->out, IR_F_TOOL_RESULT_ERROR);
    json_foreach_element(r->d, in.content, e)
    {
        struct bedrock_at here = bedrock_element(&content, i++);
        if (read_result_block(r, &here, e, json_count(r->d, in.content) == 1, part) < 0)
            return -1;
    }
    return 0;
}

/* ---- texts ---- */

static int read_text(struct place *p, const struct bedrock_at *at, uint32_t v)
{
    if (json_type(p->r->d, v) != JSON_STRING)
        return bedrock_wrong_type(p->r, at, v, "a string");
    struct ir_part *part = add_part(p, at, IR_PART_TEXT);
    if (!part)
        return -1;
    part->text = ir_text_of(p->r->d, v);
    return 0;
}

struct reasoning {
    struct ir_text text, signature;
};

static int read_reasoning(struct place *p, const struct bedrock_at *at, uint32_t v)
{
    static const struct bedrock_member members[] = {
        BEDROCK_MEMBER("text", TEXT, struct reasoning, text),
        BEDROCK_MEMBER("signature", TEXT, struct reasoning, signature),
    };
    struct bedrock_reader *r = p->r;
    struct bedrock_at text = bedrock_in(at, "reasoningText"),
                      redacted = bedrock_in(at, "redactedContent");
    struct reasoning in = {0};
    uint32_t k = bedrock_read_union(r, at, v);
    if (k == JSON_NONE)
        return -1;
    struct ir_part *part = add_part(p, at, IR_PART_REASONING);
    if (!part)
        return -1;
    ir_note(r->out, IR_F_REASONING);
    if (json_str_eq_lit(r->d, k, "redactedContent")) {
        if (json_type(r->d, k + 1) != JSON_STRING)
            return bedrock_wrong_type(r, &redacted, k + 1, "a string");
        part->redacted = true;
        part->signature = ir_text_of(r->d, k + 1);
        ir_note(r->out, IR_F_REASONING_SIGNATURE);
        return 0;
    }
    if (!json_str_eq_lit(r->d, k, "reasoningText"))
        return bedrock_refuse(r, at, "invalid_value", "must be reasoningText or redactedContent.");
    if (BEDROCK_READ(r, &text, k + 1, members, &in) < 0)
        return -1;
    part->text = in.text;
    part->signature = in.signature;
    if (ir_has(in.signature))
        ir_note(r->out, IR_F_REASONING_SIGNATURE);
    return 0;
}

void bedrock_read_citation(const struct json_doc *d, uint32_t v, struct ir_citation *out)
{
    uint32_t location = json_get_lit(d, v, "location");
    uint32_t web = json_get_lit(d, location, "web");
    uint32_t chars = json_get_lit(d, location, "documentChar");
    uint32_t source = json_get_lit(d, v, "source");
    *out = (struct ir_citation){.start = -1, .end = -1};
    out->title = ir_text_of(d, json_get_lit(d, v, "title"));
    out->url = ir_text_of(d, web == JSON_NONE ? source : json_get_lit(d, web, "url"));
    json_foreach_element(d, json_get_lit(d, v, "sourceContent"), c)
    {
        if (!ir_has(out->cited_text))
            out->cited_text = ir_text_of(d, json_get_lit(d, c, "text"));
    }
    if (json_i64(d, json_get_lit(d, chars, "start"), &out->start) < 0 ||
        json_i64(d, json_get_lit(d, chars, "end"), &out->end) < 0)
        out->start = out->end = -1;
}

/* What was generated, with what it cites: the latter goes into no request. */
static int read_cited(struct place *p, const struct bedrock_at *at, uint32_t v)
{
    struct bedrock_at content = bedrock_in(at, "content");
    struct ir_part *part = add_part(p, at, IR_PART_TEXT);
    if (!part)
        return -1;
    ir_note(p->r->out, IR_F_CITATIONS);
    return read_texts(p->r, &content, json_get_lit(p->r->d, v, "content"), &part->text);
}

/* Text or image that a guardrail is to look at; to the model they are content like any other, and
 * a request with a guardrail doesn't come here. */
static int read_guarded(struct place *p, const struct bedrock_at *at, uint32_t v)
{
    uint32_t k = bedrock_read_union(p->r, at, v);
    if (k == JSON_NONE)
        return -1;
    if (json_str_eq_lit(p->r->d, k, "text")) {
        struct bedrock_at outer = bedrock_in(at, "text"), text = bedrock_in(&outer, "text");
        return read_text(p, &text, json_get_lit(p->r->d, k + 1, "text"));
    }
    if (!json_str_eq_lit(p->r->d, k, "image"))
        return bedrock_refuse(p->r, at, "invalid_value", "must be text or image.");
    struct ir_part *part = add_part(p, at, IR_PART_IMAGE);
    return part ? read_media(p->r, at, k + 1, part) : -1;
}

static int read_cache_point(struct place *p, const struct bedrock_at *at, uint32_t v)
{
    enum ir_cache cache = IR_CACHE_NONE;
    if (bedrock_read_cache_point(p->r, at, v, &cache) < 0)
        return -1;
    if (*p->last)
        (*p->last)->cache = cache;
    return 0;
}

/* ---- blocks ---- */

enum { IN_SYSTEM = 1, IN_USER = 2, IN_ASSISTANT = 4, ANYWHERE = 7 };

static const struct block {
    const char *name;
    unsigned roles;
    enum ir_part_kind media; /* where `read` is NULL */
    int (*read)(struct place *p, const struct bedrock_at *at, uint32_t v);
} blocks[] = {
    {"text", ANYWHERE, 0, read_text},
    {"image", IN_USER, IR_PART_IMAGE, NULL},
    {"document", IN_USER, IR_PART_FILE, NULL},
    {"video", IN_USER, IR_PART_VIDEO, NULL},
    {"audio", IN_USER, IR_PART_AUDIO, NULL},
    {"toolUse", IN_ASSISTANT, 0, read_tool_use},
    {"toolResult", IN_USER, 0, read_tool_result},
    {"reasoningContent", IN_ASSISTANT, 0, read_reasoning},
    {"citationsContent", IN_ASSISTANT, 0, read_cited},
    {"guardContent", IN_SYSTEM | IN_USER, 0, read_guarded},
    {"cachePoint", ANYWHERE, 0, read_cache_point},
};

static int read_block(struct place *p, const struct bedrock_at *at, uint32_t v)
{
    struct bedrock_reader *r = p->r;
    unsigned role = p->role == IR_SYSTEM ? IN_SYSTEM : p->role == IR_USER ? IN_USER : IN_ASSISTANT;
    uint32_t k = bedrock_read_union(r, at, v);
    if (k == JSON_NONE)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        const struct block *b = &blocks[i];
        struct bedrock_at here = bedrock_in(at, b->name);
        if (!json_str_eq(r->d, k, slice_str(b->name)))
            continue;
        if (!(b->roles & role))
            return bedrock_refuse(r, &here, "invalid_value", "can't stand here.");
        if (b->read)
            return b->read(p, &here, k + 1);
        struct ir_part *part = add_part(p, &here, b->media);
        return part ? read_media(r, &here, k + 1, part) : -1;
    }
    return bedrock_refuse(r, at, "unsupported_parameter",
                          "blocks of this kind can't be sent to this model.");
}

static int read_blocks(struct place *p, const struct bedrock_at *at, uint32_t v)
{
    uint32_t i = 0;
    if (json_type(p->r->d, v) != JSON_ARRAY)
        return bedrock_wrong_type(p->r, at, v, "an array");
    json_foreach_element(p->r->d, v, e)
    {
        struct bedrock_at here = bedrock_element(at, i++);
        if (read_block(p, &here, e) < 0)
            return -1;
    }
    return 0;
}

int bedrock_read_system(struct bedrock_reader *r, uint32_t system)
{
    struct bedrock_at at = bedrock_in(NULL, "system");
    struct ir_part *last = NULL;
    struct place p = {.r = r, .role = IR_SYSTEM, .last = &last};
    ir_note(r->out, IR_F_SYSTEM);
    return read_blocks(&p, &at, system);
}

struct message {
    struct ir_text role;
    uint32_t content;
};

static int read_message(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t index,
                        uint32_t v, struct ir_part **last)
{
    static const struct bedrock_member members[] = {
        BEDROCK_MEMBER("role", TEXT, struct message, role),
        BEDROCK_MEMBER("content", ARRAY, struct message, content),
    };
    struct bedrock_at role = bedrock_in(at, "role"), content = bedrock_in(at, "content");
    struct message in = {.content = JSON_NONE};
    struct place p = {.r = r, .index = index, .last = last};
    if (BEDROCK_READ(r, at, v, members, &in) < 0)
        return -1;
    if (ir_text_is(in.role, SLICE_LIT("user")))
        p.role = IR_USER;
    else if (ir_text_is(in.role, SLICE_LIT("assistant")))
        p.role = IR_ASSISTANT;
    else if (ir_text_is(in.role, SLICE_LIT("system")))
        p.role = IR_SYSTEM;
    else
        return bedrock_refuse(r, &role, "invalid_value", "must be user, assistant or system.");
    if (p.role == IR_SYSTEM)
        ir_note(r->out, IR_F_SYSTEM);
    return read_blocks(&p, &content, in.content);
}

int bedrock_read_messages(struct bedrock_reader *r, uint32_t messages)
{
    struct bedrock_at at = bedrock_in(NULL, "messages");
    struct ir_part *last = NULL;
    uint32_t i = 0;
    if (json_count(r->d, messages) == 0)
        return bedrock_refuse(r, &at, "invalid_value", "must have at least one message.");
    json_foreach_element(r->d, messages, m)
    {
        struct bedrock_at here = bedrock_element(&at, i);
        if (read_message(r, &here, i, m, &last) < 0)
            return -1;
        i++;
    }
    return 0;
}
