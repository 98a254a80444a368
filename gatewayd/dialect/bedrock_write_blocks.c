/*
 * bedrock_write_blocks.c: writes the content blocks of a request.
 */
#include "gatewayd/dialect/bedrock.h"

#include "common/crypto.h"

#include <stdarg.h>
#include <stdio.h>

enum { CALL_ID_MAX_BYTES = 64, DOCUMENT_NAME_MAX_BYTES = 100 };

int bedrock_refuse_part(struct bedrock_writer *bw, const struct ir_message *m, const char *fmt, ...)
{
    struct dialect_refusal *why = bw->why;
    va_list ap;
    snprintf(why->param, sizeof why->param, "%s[%u]", bw->r->list, m->index);
    int n = snprintf(why->message, sizeof why->message, "%s: ", why->param);
    va_start(ap, fmt);
    if (n > 0 && (size_t)n < sizeof why->message)
        vsnprintf(why->message + n, sizeof why->message - (size_t)n, fmt, ap);
    va_end(ap);
    why->code = "unsupported_value";
    return -1;
}

/* ---- texts ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Nothing but white space, which the API refuses ("The text field … is blank"). */
static bool is_blank(struct ir_text t)
{
    for (size_t i = 0; i < t.s.n; i++) {
        if (is_space(t.s.p[i]))
            continue;
        if (!t.escaped || t.s.p[i] != '\\' || i + 1 == t.s.n || !strchr("ntr", t.s.p[i + 1]))
            return false;
        i++;
    }
    return true;
}

bool bedrock_has_block(const struct ir_part *p)
{
    switch (p->kind) {
    case IR_PART_TEXT:
    case IR_PART_REFUSAL:
        return !is_blank(p->text);
    case IR_PART_REASONING:
        return ir_has(p->signature) && p->signature.s.n > 0;
    default:
        return true;
    }
}

static void write_text(struct json_writer *w, struct ir_text t)
{
    jw_object(w);
    ir_member(w, "text", t);
    jw_object_end(w);
}

static void write_reasoning(struct json_writer *w, const struct ir_part *p)
{
    jw_object(w);
    jw_member_object(w, "reasoningContent");
    if (p->redacted)
        ir_member(w, "redactedContent", p->signature);
    else {
        jw_member_object(w, "reasoningText");
        ir_member(w, "text", p->text);
        ir_member(w, "signature", p->signature);
        jw_object_end(w);
    }
    jw_object_end(w);
    jw_object_end(w);
}

/* ---- media ---- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("()[]-", c));
}

/* The name without its suffix; every run of characters that are not allowed becomes one space. */
static size_t clean_name(struct slice name, char out[DOCUMENT_NAME_MAX_BYTES])
{
    const char *dot = name.n ? memrchr(name.p, '.', name.n) : NULL;
    size_t n = 0;
    bool owed = false;
    if (dot && dot > name.p)
        name.n = (size_t)(dot - name.p);
    for (size_t i = 0; i < name.n && n + 1 < DOCUMENT_NAME_MAX_BYTES; i++) {
        if (!is_name_char(name.p[i])) {
            owed = n > 0;
            continue;
        }
        if (owed)
            out[n++] = ' ';
        owed = false;
        out[n++] = name.p[i];
    }
    return n;
}

/* The number keeps names apart, as the API requires, and goes by the documents' order: it stays the
 * same while a conversation grows. */
static void write_document_name(struct bedrock_writer *bw, struct ir_text filename)
{
    char text[DOCUMENT_NAME_MAX_BYTES + 16];
    size_t n = clean_name(ir_decode(bw->r->arena, filename), text);
    if (n == 0) {
        memcpy(text, "document", 8);
        n = 8;
    }
    n += (size_t)snprintf(text + n, 16, "-%u", ++bw->n_documents);
    jw_member_str(bw->w, "name", slice_of(text, n));
}

/* A file's format by its type, else by its name; text of any other kind goes as plain text. */
static const char *document_format(struct arena *a, const struct ir_part *p)
{
    const char *format = bedrock_format(IR_PART_FILE, p->media_type);
    struct slice type = ir_decode(a, p->media_type), name = ir_decode(a, p->filename);
    if (format)
        return format;
    const char *dot = name.n ? memrchr(name.p, '.', name.n) : NULL;
    if (dot && (format = bedrock_known_format(
                    IR_PART_FILE, slice_of(dot + 1, (size_t)(name.p + name.n - dot - 1)))))
        return format;
    bool text = p->source == IR_SOURCE_TEXT || slice_starts_with(type, SLICE_LIT("text/")) ||
                slice_eq_str(type, "application/json") || slice_eq_str(type, "application/xml");
    return text ? "txt" : NULL;
}

static const char *format_of(struct arena *a, const struct ir_part *p)
{
    return p->kind == IR_PART_FILE ? document_format(a, p) : bedrock_format(p->kind, p->media_type);
}

static int write_media(struct bedrock_writer *bw, const struct ir_message *m,
                       const struct ir_part *p)
{
    static const char *const names[] = {
        [IR_PART_IMAGE] = "image",
        [IR_PART_AUDIO] = "audio",
        [IR_PART_VIDEO] = "video",
        [IR_PART_FILE] = "document",
    };
    const char *name = names[p->kind], *format = format_of(bw->r->arena, p);
    bool text = p->kind == IR_PART_FILE && p->source == IR_SOURCE_TEXT;
    if (m->role == IR_ASSISTANT)
        return bedrock_refuse_part(bw, m, "%s: the assistant's messages can't hold one here.",
                                   name);
    if (p->source != IR_SOURCE_BASE64 && !text)
        return bedrock_refuse_part(bw, m,
                                   "%s: must be given as base64; this model's provider "
                                   "fetches nothing.",
                                   name);
    if (!format)
        return bedrock_refuse_part(bw, m, "%s: this model's provider doesn't take the type '%.*s'.",
                                   name, SLICE_FMT(p->media_type.s));
    jw_object(bw->w);
    jw_key_plain(bw->w, slice_str(name));
    jw_object(bw->w);
    jw_member_str(bw->w, "format", slice_str(format));
    if (p->kind == IR_PART_FILE)
        write_document_name(bw, p->filename);
    jw_member_object(bw->w, "source");
    jw_key_plain(bw->w, text ? SLICE_LIT("text") : SLICE_LIT("bytes"));
    ir_write_str(bw->w, p->data);
    jw_object_end(bw->w);
    jw_object_end(bw->w);
    jw_object_end(bw->w);
    return 0;
}

/* ---- tools ---- */

static bool is_id_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_.:-", c));
}

void bedrock_write_call_id(struct json_writer *w, struct arena *a, struct ir_text id)
{
    enum { HASH_BYTES = 8, KEPT_BYTES = CALL_ID_MAX_BYTES - 2 * HASH_BYTES - 1 };
    struct slice plain = ir_decode(a, id);
    char text[CALL_ID_MAX_BYTES + 1];
    uint8_t hash[CRYPTO_SHA256_BYTES];
    size_t n = 0;
    while (n < plain.n && is_id_char(plain.p[n]))
        n++;
    if (n == plain.n && n > 0 && n <= CALL_ID_MAX_BYTES) {
        jw_str(w, plain);
        return;
    }
    crypto_sha256(plain.p, plain.n, hash);
    for (n = 0; n < plain.n && n < KEPT_BYTES; n++)
        text[n] = is_id_char(plain.p[n]) ? plain.p[n] : '_';
    text[n++] = '_';
    crypto_hex(hash, HASH_BYTES, text + n);
    jw_str(w, slice_of(text, n + 2 * (size_t)HASH_BYTES));
}

static int write_tool_use(struct bedrock_writer *bw, const struct ir_message *m,
                          const struct ir_part *p)
{
    jw_object(bw->w);
    jw_member_object(bw->w, "toolUse");
    jw_key_plain(bw->w, SLICE_LIT("toolUseId"));
    bedrock_write_call_id(bw->w, bw->r->arena, p->call_id);
    ir_member(bw->w, "name", p->name);
    jw_key_plain(bw->w, SLICE_LIT("input"));
    if (ir_write_object(bw->w, bw->r->arena, p->arguments) < 0)
        return bedrock_refuse_part(bw, m,
                                   "the arguments of the call of '%.*s' must be a JSON object.",
                                   SLICE_FMT(p->name.s));
    jw_object_end(bw->w);
    jw_object_end(bw->w);
    return 0;
}

static int write_result_content(struct bedrock_writer *bw, const struct ir_message *m,
                                const struct ir_part *p)
{
    bool empty = true;
    if (p->result_json.p) {
        jw_object(bw->w);
        jw_member_raw(bw->w, "json", p->result_json);
        jw_object_end(bw->w);
        return 0;
    }
    for (const struct ir_part *c = p->content; c; c = c->next) {
        if (!bedrock_has_block(c))
            continue;
        empty = false;
        if (c->kind == IR_PART_TEXT)
            write_text(bw->w, c->text);
        else if (c->kind == IR_PART_AUDIO)
            return bedrock_refuse_part(bw, m, "a tool result can't hold audio here.");
        else if (write_media(bw, m, c) < 0)
            return -1;
    }
    /* Blank texts are refused, and so may be a result without any content. */
    if (empty)
        write_text(bw->w, IR_LIT("."));
    return 0;
}

static int write_tool_result(struct bedrock_writer *bw, const struct ir_message *m,
                             const struct ir_part *p)
{
    jw_object(bw->w);
    jw_member_object(bw->w, "toolResult");
    jw_key_plain(bw->w, SLICE_LIT("toolUseId"));
    bedrock_write_call_id(bw->w, bw->r->arena, p->call_id);
    jw_member_array(bw->w, "content");
    if (write_result_content(bw, m, p) < 0)
        return -1;
    jw_array_end(bw->w);
    /* Only Claude and Nova know it. */
    if (p->is_error)
        jw_member_str(bw->w, "status", SLICE_LIT("error"));
    jw_object_end(bw->w);
    jw_object_end(bw->w);
    return 0;
}

/* ---- blocks ---- */

void bedrock_write_cache_point(struct json_writer *w, enum ir_cache cache)
{
    jw_object(w);
    jw_member_object(w, "cachePoint");
    jw_member_str(w, "type", SLICE_LIT("default"));
    if (cache == IR_CACHE_1H)
        jw_member_str(w, "ttl", SLICE_LIT("1h"));
    jw_object_end(w);
    jw_object_end(w);
}

static int write_one(struct bedrock_writer *bw, const struct ir_message *m, const struct ir_part *p)
{
    switch (p->kind) {
    case IR_PART_TEXT:
    case IR_PART_REFUSAL:
        write_text(bw->w, p->text);
        return 0;
    case IR_PART_REASONING:
        write_reasoning(bw->w, p);
        return 0;
    case IR_PART_TOOL_CALL:
        return write_tool_use(bw, m, p);
    case IR_PART_TOOL_RESULT:
        return write_tool_result(bw, m, p);
    case IR_PART_IMAGE:
    case IR_PART_AUDIO:
    case IR_PART_VIDEO:
    case IR_PART_FILE:
        return write_media(bw, m, p);
    }
    return -1;
}

int bedrock_write_block(struct bedrock_writer *bw, const struct ir_message *m,
                        const struct ir_part *p)
{
    if (write_one(bw, m, p) < 0)
        return -1;
    if (p->cache != IR_CACHE_NONE && bw->caches)
        bedrock_write_cache_point(bw->w, p->cache);
    return 0;
}
