/*
 * gemini_content.c: reads a Content of a request: its role and parts (ai.google.dev/api/caching,
 * Content and Part).
 *
 * Answers of functions stand in contents of the role user (or function, as older clients write);
 * they become messages of IR_TOOL of their own, in the order in which they stand.
 */
#include "gatewayd/dialect/gemini.h"

#include <stdio.h>

enum { WHERE_BYTES = 64 };

struct place {
    const struct gemini_in *in;
    uint32_t index;
    bool of_model;
    struct ir_message *m; /* the one that parts go to now; NULL before the first */
    char where[WHERE_BYTES];
};

/* The tokens of one part's members. */
struct members {
    uint32_t text, inline_data, file_data, call, response;
    uint32_t thought, signature;
    unsigned hosted;
};

enum ir_part_kind gemini_media_kind(struct ir_text t)
{
    if (!t.escaped && ir_has(t)) {
        if (slice_starts_with(t.s, SLICE_LIT("image/")))
            return IR_PART_IMAGE;
        if (slice_starts_with(t.s, SLICE_LIT("audio/")))
            return IR_PART_AUDIO;
        if (slice_starts_with(t.s, SLICE_LIT("video/")))
            return IR_PART_VIDEO;
    }
    return IR_PART_FILE;
}

static struct ir_part *add_part(struct place *p, enum ir_role role, enum ir_part_kind kind)
{
    if (!p->m || p->m->role != role)
        p->m = ir_add_message(p->in->r, role, p->index);
    return p->m ? ir_add_part(p->in->r->arena, &p->m->parts, kind) : NULL;
}

static int refuse(const struct place *p, const char *member, const char *what)
{
    char param[WHERE_BYTES + 64];
    snprintf(param, sizeof param, "%s%s%s", p->where, *member ? "." : "", member);
    return gemini_refuse(p->in, "invalid_value", param, "'%s' %s.", param, what);
}

static int wrong_type(const struct place *p, const char *member, uint32_t v, const char *expected)
{
    char param[WHERE_BYTES + 64];
    snprintf(param, sizeof param, "%s.%s", p->where, member);
    return gemini_wrong_type(p->in, param, v, expected);
}

static void note_unknown(const struct place *p, const char *member, uint32_t k)
{
    ir_note_unknown(p->in->r, "%s%s%s.%.*s", p->where, *member ? "." : "", member,
                    SLICE_FMT(gemini_name(p->in->d, k)));
}

static void note_others(const struct place *p, const char *member, uint32_t object,
                        const char *const *known)
{
    json_foreach_member(p->in->d, object, k)
    {
        const char *const *name = known;
        while (*name && !gemini_is(p->in->d, k, *name))
            name++;
        if (!*name)
            note_unknown(p, member, k);
    }
}

static enum ir_role role_of(const struct place *p)
{
    return p->of_model ? IR_ASSISTANT : IR_USER;
}

static int take_signature(struct place *p, const struct members *m, struct ir_part *part)
{
    if (m->signature == JSON_NONE)
        return 0;
    if (json_type(p->in->d, m->signature) != JSON_STRING)
        return wrong_type(p, "thoughtSignature", m->signature, "a base64 string");
    part->signature = gemini_base64(p->in->d, m->signature, p->in->r->arena);
    ir_note(p->in->r, IR_F_REASONING_SIGNATURE);
    return ir_has(part->signature) ? 0 : gemini_too_large(p->in);
}

/* A part that holds nothing but a signature closes a turn: text that is empty. */
static int read_text(struct place *p, const struct members *m)
{
    const struct json_doc *d = p->in->d;
    bool thought = false;
    if (m->thought != JSON_NONE && json_bool(d, m->thought, &thought) < 0)
        return wrong_type(p, "thought", m->thought, "a boolean");
    if (m->text != JSON_NONE && json_type(d, m->text) != JSON_STRING)
        return wrong_type(p, "text", m->text, "a string");
    if (thought && !p->of_model)
        return refuse(p, "thought", "is for contents of the role 'model' only");
    struct ir_part *part = add_part(p, role_of(p), thought ? IR_PART_REASONING : IR_PART_TEXT);
    if (!part)
        return gemini_too_large(p->in);
    part->text = m->text == JSON_NONE ? IR_LIT("") : ir_text_of(d, m->text);
    if (thought)
        ir_note(p->in->r, IR_F_REASONING);
    return take_signature(p, m, part);
}

static int read_name(struct place *p, const char *member, uint32_t object, struct ir_part *part)
{
    const struct json_doc *d = p->in->d;
    char path[48];
    uint32_t name = gemini_get(d, object, "name"), id = gemini_get(d, object, "id");
    snprintf(path, sizeof path, "%s.name", member);
    if (json_type(d, name) != JSON_STRING)
        return wrong_type(p, path, name, "a string");
    part->name = ir_text_of(d, name);
    if (id == JSON_NONE)
        return 0;
    snprintf(path, sizeof path, "%s.id", member);
    if (json_type(d, id) != JSON_STRING)
        return wrong_type(p, path, id, "a string");
    part->call_id = ir_text_of(d, id);
    return 0;
}

static int read_call(struct place *p, const struct members *m)
{
    static const char *const known[] = {"id", "name", "args", NULL};
    const struct json_doc *d = p->in->d;
    if (json_type(d, m->call) != JSON_OBJECT)
        return wrong_type(p, "functionCall", m->call, "an object");
    if (!p->of_model)
        return refuse(p, "functionCall", "is for contents of the role 'model' only");
    struct ir_part *part = add_part(p, IR_ASSISTANT, IR_PART_TOOL_CALL);
    if (!part)
        return gemini_too_large(p->in);
    uint32_t args = gemini_get(d, m->call, "args");
    if (args != JSON_NONE && json_type(d, args) != JSON_OBJECT)
        return wrong_type(p, "functionCall.args", args, "an object");
    part->arguments = args == JSON_NONE ? IR_LIT("{}") : ir_plain(json_raw(d, args));
    note_others(p, "functionCall", m->call, known);
    if (read_name(p, "functionCall", m->call, part) < 0)
        return -1;
    return take_signature(p, m, part);
}

static int read_blob(struct place *p, const char *member, uint32_t blob, struct ir_part *part)
{
    static const char *const known[] = {"mimeType", "data", "displayName", NULL};
    const struct json_doc *d = p->in->d;
    char path[64];
    uint32_t type = gemini_get(d, blob, "mimeType"), data = gemini_get(d, blob, "data");
    snprintf(path, sizeof path, "%s.mimeType", member);
    if (json_type(d, type) != JSON_STRING)
        return wrong_type(p, path, type, "a string");
    snprintf(path, sizeof path, "%s.data", member);
    if (json_type(d, data) != JSON_STRING)
        return wrong_type(p, path, data, "a base64 string");
    part->media_type = ir_text_of(d, type);
    part->filename = ir_text_of(d, gemini_get(d, blob, "displayName"));
    part->source = IR_SOURCE_BASE64;
    part->data = gemini_base64(d, data, p->in->r->arena);
    part->kind = gemini_media_kind(part->media_type);
    note_others(p, member, blob, known);
    return ir_has(part->data) ? 0 : gemini_too_large(p->in);
}

static void note_media(struct ir_request *r, const struct ir_part *part)
{
    static const enum ir_field image[] = {[IR_SOURCE_BASE64] = IR_F_IMAGE_BASE64,
                                          [IR_SOURCE_URL] = IR_F_IMAGE_URL,
                                          [IR_SOURCE_FILE_ID] = IR_F_IMAGE_FILE_ID};
    static const enum ir_field file[] = {[IR_SOURCE_BASE64] = IR_F_FILE_BASE64,
                                         [IR_SOURCE_URL] = IR_F_FILE_URL,
                                         [IR_SOURCE_FILE_ID] = IR_F_FILE_ID};
    if (part->kind == IR_PART_AUDIO)
        ir_note(r, IR_F_AUDIO);
    else if (part->kind == IR_PART_VIDEO)
        ir_note(r, IR_F_VIDEO);
    else
        ir_note(r, part->kind == IR_PART_IMAGE ? image[part->source] : file[part->source]);
}

static int read_inline(struct place *p, const struct members *m)
{
    if (json_type(p->in->d, m->inline_data) != JSON_OBJECT)
        return wrong_type(p, "inlineData", m->inline_data, "an object");
    struct ir_part *part = add_part(p, role_of(p), IR_PART_FILE);
    if (!part)
        return gemini_too_large(p->in);
    if (read_blob(p, "inlineData", m->inline_data, part) < 0)
        return -1;
    note_media(p->in->r, part);
    return take_signature(p, m, part);
}

/* Google's own stores: nobody else can read these. */
static bool is_google_uri(struct slice uri)
{
    return slice_starts_with(uri, SLICE_LIT("gs://")) ||
           slice_starts_with(uri, SLICE_LIT("files/")) ||
           slice_starts_with(uri, SLICE_LIT("https://generativelanguage.googleapis.com/"));
}

static int read_file(struct place *p, const struct members *m)
{
    static const char *const known[] = {"mimeType", "fileUri", "displayName", NULL};
    const struct json_doc *d = p->in->d;
    uint32_t file = m->file_data;
    if (json_type(d, file) != JSON_OBJECT)
        return wrong_type(p, "fileData", file, "an object");
    struct ir_part *part = add_part(p, role_of(p), IR_PART_FILE);
    if (!part)
        return gemini_too_large(p->in);
    uint32_t uri = gemini_get(d, file, "fileUri"), type = gemini_get(d, file, "mimeType");
    if (json_type(d, uri) != JSON_STRING)
        return wrong_type(p, "fileData.fileUri", uri, "a string");
    if (type != JSON_NONE && json_type(d, type) != JSON_STRING)
        return wrong_type(p, "fileData.mimeType", type, "a string");
    part->media_type = ir_text_of(d, type);
    part->filename = ir_text_of(d, gemini_get(d, file, "displayName"));
    part->data = ir_text_of(d, uri);
    struct slice plain = ir_decode(p->in->r->arena, part->data);
    if (!plain.p)
        return refuse(p, "fileData.fileUri", "must be valid Unicode");
    part->source = is_google_uri(plain) ? IR_SOURCE_FILE_ID : IR_SOURCE_URL;
    part->kind = gemini_media_kind(part->media_type);
    note_media(p->in->r, part);
    note_others(p, "fileData", file, known);
    return take_signature(p, m, part);
}

/* functionResponse.parts: media that belong to the result
 * (ai.google.dev/gemini-api/docs/function-calling, multimodal function responses). */
static int read_result_media(struct place *p, uint32_t parts, struct ir_part *result)
{
    const struct json_doc *d = p->in->d;
    if (parts == JSON_NONE)
        return 0;
    if (json_type(d, parts) != JSON_ARRAY)
        return wrong_type(p, "functionResponse.parts", parts, "an array");
    json_foreach_element(d, parts, e)
    {
        uint32_t blob = gemini_get(d, e, "inlineData");
        if (json_type(d, blob) != JSON_OBJECT)
            return wrong_type(p, "functionResponse.parts.inlineData", blob, "an object");
        struct ir_part *media = ir_add_part(p->in->r->arena, &result->content, IR_PART_FILE);
        if (!media)
            return gemini_too_large(p->in);
        if (read_blob(p, "functionResponse.parts.inlineData", blob, media) < 0)
            return -1;
        ir_note(p->in->r, IR_F_TOOL_RESULT_IMAGE);
    }
    return 0;
}

static int read_result(struct place *p, const struct members *m)
{
    static const char *const known[] = {"id", "name", "response", "parts", NULL};
    const struct json_doc *d = p->in->d;
    if (json_type(d, m->response) != JSON_OBJECT)
        return wrong_type(p, "functionResponse", m->response, "an object");
    if (p->of_model)
        return refuse(p, "functionResponse", "is for contents of the role 'user' only");
    struct ir_part *part = add_part(p, IR_TOOL, IR_PART_TOOL_RESULT);
    if (!part)
        return gemini_too_large(p->in);
    uint32_t response = gemini_get(d, m->response, "response");
    if (json_type(d, response) != JSON_OBJECT)
        return wrong_type(p, "functionResponse.response", response, "an object");
    part->result_json = json_raw(d, response);
    part->is_error = gemini_get(d, response, "error") != JSON_NONE;
    if (part->is_error)
        ir_note(p->in->r, IR_F_TOOL_RESULT_ERROR);
    note_others(p, "functionResponse", m->response, known);
    if (read_name(p, "functionResponse", m->response, part) < 0)
        return -1;
    return read_result_media(p, gemini_get(d, m->response, "parts"), part);
}

static struct members list_members(const struct place *p, uint32_t part)
{
    const struct json_doc *d = p->in->d;
    struct members m = {JSON_NONE, JSON_NONE, JSON_NONE, JSON_NONE,
                        JSON_NONE, JSON_NONE, JSON_NONE, 0};
    json_foreach_member(d, part, k)
    {
        if (json_is_null(d, k + 1))
            continue;
        if (gemini_is(d, k, "text"))
            m.text = k + 1;
        else if (gemini_is(d, k, "inlineData"))
            m.inline_data = k + 1;
        else if (gemini_is(d, k, "fileData"))
            m.file_data = k + 1;
        else if (gemini_is(d, k, "functionCall"))
            m.call = k + 1;
        else if (gemini_is(d, k, "functionResponse"))
            m.response = k + 1;
        else if (gemini_is(d, k, "thought"))
            m.thought = k + 1;
        else if (gemini_is(d, k, "thoughtSignature"))
            m.signature = k + 1;
        else {
            m.hosted += gemini_is(d, k, "executableCode") ||
                        gemini_is(d, k, "codeExecutionResult") || gemini_is(d, k, "toolCall") ||
                        gemini_is(d, k, "toolResponse");
            note_unknown(p, "", k);
        }
    }
    return m;
}

static int read_part(struct place *p, uint32_t part)
{
    if (json_type(p->in->d, part) != JSON_OBJECT)
        return gemini_wrong_type(p->in, p->where, part, "an object");
    struct members m = list_members(p, part);
    unsigned n = (m.text != JSON_NONE) + (m.inline_data != JSON_NONE) + (m.file_data != JSON_NONE) +
                 (m.call != JSON_NONE) + (m.response != JSON_NONE) + m.hosted;
    if (n > 1)
        return refuse(p, "",
                      "must hold one of text, inlineData, fileData, functionCall and "
                      "functionResponse, not several");
    if (m.hosted)
        return 0;
    if (m.inline_data != JSON_NONE)
        return read_inline(p, &m);
    if (m.file_data != JSON_NONE)
        return read_file(p, &m);
    if (m.call != JSON_NONE)
        return read_call(p, &m);
    if (m.response != JSON_NONE)
        return read_result(p, &m);
    if (n == 0 && m.signature == JSON_NONE)
        return refuse(p, "",
                      "holds none of text, inlineData, fileData, functionCall and "
                      "functionResponse");
    return read_text(p, &m);
}

static int read_parts(struct place *p, const char *list, uint32_t parts)
{
    uint32_t i = 0;
    if (parts == JSON_NONE)
        return 0;
    snprintf(p->where, sizeof p->where, "%s.parts", list);
    if (json_type(p->in->d, parts) != JSON_ARRAY)
        return gemini_wrong_type(p->in, p->where, parts, "an array");
    json_foreach_element(p->in->d, parts, e)
    {
        snprintf(p->where, sizeof p->where, "%s.parts[%u]", list, i++);
        if (read_part(p, e) < 0)
            return -1;
    }
    return 0;
}

int gemini_read_content(const struct gemini_in *in, uint32_t content, uint32_t index)
{
    struct place p = {.in = in, .index = index};
    char list[32], param[48];
    const struct json_doc *d = in->d;
    snprintf(list, sizeof list, "contents[%u]", index);
    snprintf(param, sizeof param, "%s.role", list);
    if (json_type(d, content) != JSON_OBJECT)
        return gemini_wrong_type(in, list, content, "an object");
    uint32_t role = gemini_get(d, content, "role");
    if (role != JSON_NONE && json_type(d, role) != JSON_STRING)
        return gemini_wrong_type(in, param, role, "a string");
    p.of_model = json_str_eq_lit(d, role, "model");
    if (role != JSON_NONE && !p.of_model && !json_str_eq_lit(d, role, "user") &&
        !json_str_eq_lit(d, role, "function") && !json_str_eq_lit(d, role, ""))
        return gemini_refuse(in, "invalid_value", param, "'%s' must be 'user' or 'model'.", param);
    json_foreach_member(d, content, k)
    {
        if (!gemini_is(d, k, "role") && !gemini_is(d, k, "parts"))
            ir_note_unknown(in->r, "%s.%.*s", list, SLICE_FMT(gemini_name(d, k)));
    }
    return read_parts(&p, list, gemini_get(d, content, "parts"));
}

int gemini_read_system(const struct gemini_in *in, uint32_t content)
{
    static const char list[] = "systemInstruction";
    const struct json_doc *d = in->d;
    if (json_type(d, content) != JSON_OBJECT)
        return gemini_wrong_type(in, list, content, "an object");
    uint32_t parts = gemini_get(d, content, "parts");
    if (parts == JSON_NONE || json_count(d, parts) == 0)
        return 0;
    struct place p = {.in = in};
    p.m = ir_add_message(in->r, IR_SYSTEM, 0);
    if (!p.m)
        return gemini_too_large(in);
    ir_note(in->r, IR_F_SYSTEM);
    if (json_type(d, parts) != JSON_ARRAY)
        return gemini_wrong_type(in, "systemInstruction.parts", parts, "an array");
    json_foreach_element(d, parts, e)
    {
        uint32_t text = gemini_get(d, e, "text");
        if (json_type(d, text) != JSON_STRING)
            return gemini_wrong_type(in, "systemInstruction.parts.text", text, "a string");
        struct ir_part *part = ir_add_part(in->r->arena, &p.m->parts, IR_PART_TEXT);
        if (!part)
            return gemini_too_large(in);
        part->text = ir_text_of(d, text);
    }
    return 0;
}
