/*
 * anthropic_write_blocks.c: parts of the internal form as content blocks of a request.
 */
#include "gatewayd/dialect/anthropic.h"

#include <stdio.h>

/* ---- ids ---- */

static bool fits_id(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static struct slice fitting_id(struct arena *a, struct slice id)
{
    enum { MARK_BYTES = 9 };
    bool fits = id.n > 0;
    for (size_t i = 0; i < id.n; i++)
        fits &= fits_id(id.p[i]);
    char *mem = fits ? NULL : arena_alloc(a, id.n + MARK_BYTES + 1);
    if (!mem)
        return id;
    for (size_t i = 0; i < id.n; i++)
        mem[i] = fits_id(id.p[i]) ? id.p[i] : '_';
    snprintf(mem + id.n, MARK_BYTES + 1, "_%08x", (unsigned)(slice_hash(id) & 0xffffffff));
    return slice_of(mem, id.n + MARK_BYTES);
}

void anthropic_write_call_id(struct json_writer *w, struct arena *a, struct ir_text id,
                             struct ir_text signature)
{
    struct slice plain = ir_decode(a, id);
    struct slice fitting = fitting_id(a, plain.p ? plain : id.s);
    ir_write_signed_id(w, ir_plain(fitting), signature);
}

/* ---- what can be sent ---- */

bool anthropic_is_blank(struct ir_text t)
{
    for (size_t i = 0; i < t.s.n; i++) {
        char c = t.s.p[i];
        if (t.escaped && c == '\\' && i + 1 < t.s.n && strchr("nrt", t.s.p[i + 1]))
            i++;
        else if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            return false;
    }
    return true;
}

bool anthropic_has_block(const struct ir_part *p)
{
    switch (p->kind) {
    case IR_PART_TEXT:
    case IR_PART_REFUSAL:
        return !anthropic_is_blank(p->text);
    case IR_PART_REASONING:
        return p->signature.s.n > 0;
    default:
        return true;
    }
}

void anthropic_write_cache(struct json_writer *w, enum ir_cache cache)
{
    if (cache == IR_CACHE_5M)
        jw_member_raw(w, "cache_control", SLICE_LIT("{\"type\":\"ephemeral\"}"));
    else if (cache == IR_CACHE_1H)
        jw_member_raw(w, "cache_control", SLICE_LIT("{\"type\":\"ephemeral\",\"ttl\":\"1h\"}"));
}

static int refuse(struct anthropic_writer *aw, const struct ir_message *m, const char *what)
{
    char path[32];
    snprintf(path, sizeof path, "%s[%u]", aw->r->list, m->index);
    return anthropic_refuse(aw->why, "invalid_value", path, "%s", what);
}

/* ---- images and documents ---- */

static void begin_source(struct json_writer *w, const char *type)
{
    jw_member_object(w, "source");
    jw_member_str(w, "type", slice_str(type));
}

static bool write_reference(struct json_writer *w, const struct ir_part *p)
{
    if (p->source != IR_SOURCE_URL && p->source != IR_SOURCE_FILE_ID)
        return false;
    bool url = p->source == IR_SOURCE_URL;
    begin_source(w, url ? "url" : "file");
    jw_key_plain(w, url ? SLICE_LIT("url") : SLICE_LIT("file_id"));
    ir_write_str(w, p->data);
    jw_object_end(w);
    return true;
}

static void write_base64(struct json_writer *w, struct ir_text media_type, struct ir_text data)
{
    begin_source(w, "base64");
    ir_member(w, "media_type", media_type);
    ir_member(w, "data", data);
    jw_object_end(w);
}

static int write_image(struct anthropic_writer *aw, const struct ir_message *m,
                       const struct ir_part *p)
{
    jw_member_str(aw->w, "type", SLICE_LIT("image"));
    if (write_reference(aw->w, p))
        return 0;
    if (p->source != IR_SOURCE_BASE64 || !ir_has(p->media_type))
        return refuse(aw, m, "an image needs its media type (image/png, image/jpeg, …).");
    write_base64(aw->w, p->media_type, p->data);
    return 0;
}

static int digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* RFC 4648, section 4. {NULL}: it is none, or doesn't fit. */
static struct slice decode_base64(struct arena *a, struct slice in)
{
    char *mem = arena_alloc(a, in.n / 4 * 3 + 4);
    uint32_t bits = 0;
    size_t n = 0, have = 0;
    while (in.n && in.p[in.n - 1] == '=')
        in.n--;
    if (!mem)
        return slice_of(NULL, 0);
    for (size_t i = 0; i < in.n; i++) {
        int v = digit(in.p[i]);
        if (v < 0)
            return slice_of(NULL, 0);
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            mem[n++] = (char)(bits >> have & 0xff);
        }
    }
    return slice_of(mem, n);
}

static bool is_text_type(struct slice media_type)
{
    return slice_starts_with(media_type, SLICE_LIT("text/")) ||
           slice_eq_str(media_type, "application/json");
}

static void write_text_document(struct json_writer *w, struct ir_text text)
{
    begin_source(w, "text");
    jw_member_str(w, "media_type", SLICE_LIT("text/plain"));
    ir_member(w, "data", text);
    jw_object_end(w);
}

static int write_file(struct anthropic_writer *aw, const struct ir_message *m,
                      const struct ir_part *p)
{
    struct arena *a = aw->r->arena;
    jw_member_str(aw->w, "type", SLICE_LIT("document"));
    if (p->source == IR_SOURCE_TEXT) {
        write_text_document(aw->w, p->data);
    } else if (!write_reference(aw->w, p)) {
        struct slice type = ir_decode(a, p->media_type);
        if (type.p && is_text_type(type)) {
            struct slice text = decode_base64(a, ir_decode(a, p->data));
            if (!text.p)
                return refuse(aw, m, "a file's data is not valid base64.");
            write_text_document(aw->w, ir_plain(text));
        } else if (type.p && slice_eq_str(type, "application/pdf")) {
            write_base64(aw->w, p->media_type, p->data);
        } else {
            return refuse(aw, m,
                          "a file must be a PDF or text: this model's provider takes no other.");
        }
    }
    if (p->filename.s.n)
        ir_member(aw->w, "title", p->filename);
    return 0;
}

/* ---- tool calls and results ---- */

static int write_call(struct anthropic_writer *aw, const struct ir_message *m,
                      const struct ir_part *p)
{
    jw_member_str(aw->w, "type", SLICE_LIT("tool_use"));
    jw_key_plain(aw->w, SLICE_LIT("id"));
    anthropic_write_call_id(aw->w, aw->r->arena, p->call_id, (struct ir_text){{NULL, 0}, false});
    ir_member(aw->w, "name", p->name);
    jw_key_plain(aw->w, SLICE_LIT("input"));
    if (ir_write_object(aw->w, aw->r->arena, p->arguments) < 0)
        return refuse(aw, m, "the arguments of a tool call must be a JSON object.");
    return 0;
}

static int write_result_content(struct anthropic_writer *aw, const struct ir_message *m,
                                const struct ir_part *p)
{
    const struct ir_part *only = p->content;
    size_t n = 0;
    for (const struct ir_part *c = p->content; c; c = c->next)
        if (anthropic_has_block(c)) {
            only = c;
            n++;
        }
    if (p->result_json.p) {
        jw_member_str(aw->w, "content", p->result_json);
        return 0;
    }
    if (n == 0)
        return 0;
    jw_key_plain(aw->w, SLICE_LIT("content"));
    if (n == 1 && only->kind == IR_PART_TEXT && only->cache == IR_CACHE_NONE) {
        ir_write_str(aw->w, only->text);
        return 0;
    }
    jw_array(aw->w);
    for (const struct ir_part *c = p->content; c; c = c->next)
        if (anthropic_has_block(c) && anthropic_write_block(aw, m, c) < 0)
            return -1;
    jw_array_end(aw->w);
    return 0;
}

static int write_result(struct anthropic_writer *aw, const struct ir_message *m,
                        const struct ir_part *p)
{
    jw_member_str(aw->w, "type", SLICE_LIT("tool_result"));
    jw_key_plain(aw->w, SLICE_LIT("tool_use_id"));
    anthropic_write_call_id(aw->w, aw->r->arena, p->call_id, (struct ir_text){{NULL, 0}, false});
    if (write_result_content(aw, m, p) < 0)
        return -1;
    if (p->is_error)
        jw_member_bool(aw->w, "is_error", true);
    return 0;
}

static void write_reasoning(struct json_writer *w, const struct ir_part *p)
{
    if (p->redacted) {
        jw_member_str(w, "type", SLICE_LIT("redacted_thinking"));
        ir_member(w, "data", p->signature);
        return;
    }
    jw_member_str(w, "type", SLICE_LIT("thinking"));
    ir_member(w, "thinking", p->text);
    ir_member(w, "signature", p->signature);
}

static int write_members(struct anthropic_writer *aw, const struct ir_message *m,
                         const struct ir_part *p)
{
    switch (p->kind) {
    case IR_PART_TEXT:
    case IR_PART_REFUSAL:
        jw_member_str(aw->w, "type", SLICE_LIT("text"));
        ir_member(aw->w, "text", p->text);
        return 0;
    case IR_PART_IMAGE:
        return write_image(aw, m, p);
    case IR_PART_FILE:
        return write_file(aw, m, p);
    case IR_PART_TOOL_CALL:
        return write_call(aw, m, p);
    case IR_PART_TOOL_RESULT:
        return write_result(aw, m, p);
    case IR_PART_REASONING:
        write_reasoning(aw->w, p);
        return 0;
    case IR_PART_AUDIO:
    case IR_PART_VIDEO:
        break;
    }
    return refuse(aw, m, "audio and video can't be sent to this model's provider.");
}

int anthropic_write_block(struct anthropic_writer *aw, const struct ir_message *m,
                          const struct ir_part *p)
{
    jw_object(aw->w);
    if (write_members(aw, m, p) < 0)
        return -1;
    if (p->kind != IR_PART_REASONING) /* it takes no breakpoint */
        anthropic_write_cache(aw->w, p->cache);
    jw_object_end(aw->w);
    return 0;
}
