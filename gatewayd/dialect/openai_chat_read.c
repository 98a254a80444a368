/*
 * openai_chat_read.c: the messages of a chat completion request.
 *
 * The legacy function role and function_call become tool results and calls without ids, which
 * ir_link_tools joins by name.
 */
#include "gatewayd/dialect/openai_chat.h"
#include "gatewayd/dialect/provenance.h"

/* ---- content parts ---- */

struct part_in {
    uint32_t type, image_url, input_audio, video_url, file;
    struct ir_text text, refusal;
    enum ir_cache cache;
};
static const struct openai_member part_members[] = {
    OPENAI_MEMBER("type", VALUE, struct part_in, type),
    OPENAI_MEMBER("text", TEXT, struct part_in, text),
    OPENAI_MEMBER("refusal", TEXT, struct part_in, refusal),
    OPENAI_MEMBER("image_url", VALUE, struct part_in, image_url),
    OPENAI_MEMBER("input_audio", VALUE, struct part_in, input_audio),
    OPENAI_MEMBER("video_url", VALUE, struct part_in, video_url),
    OPENAI_MEMBER("file", VALUE, struct part_in, file),
    OPENAI_MEMBER_FN_AT("cache_control", openai_read_cache_control, struct part_in, cache),
    OPENAI_MEMBER_FN_AT("prompt_cache_breakpoint", openai_read_breakpoint, struct part_in, cache),
};

struct url_in {
    struct ir_text url, detail;
};
static const struct openai_member url_members[] = {
    OPENAI_MEMBER("url", TEXT, struct url_in, url),
    OPENAI_MEMBER("detail", TEXT, struct url_in, detail),
};

struct audio_in {
    struct ir_text data, format;
};
static const struct openai_member audio_members[] = {
    OPENAI_MEMBER("data", TEXT, struct audio_in, data),
    OPENAI_MEMBER("format", TEXT, struct audio_in, format),
};

struct file_in {
    struct ir_text file_data, file_id, filename;
};
static const struct openai_member file_members[] = {
    OPENAI_MEMBER("file_data", TEXT, struct file_in, file_data),
    OPENAI_MEMBER("file_id", TEXT, struct file_in, file_id),
    OPENAI_MEMBER("filename", TEXT, struct file_in, filename),
};

static int missing(struct openai_reader *r, const struct openai_at *at, const char *name)
{
    struct openai_at here = openai_in(at, name);
    return openai_refuse(r, &here, "missing_required_parameter", "is required.");
}

static int read_url_part(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                         struct ir_part *p)
{
    struct url_in in = {0};
    struct openai_at here = openai_in(at, "url");
    if (OPENAI_READ(r, at, v, url_members, &in) < 0)
        return -1;
    if (!ir_has(in.url))
        return missing(r, at, "url");
    p->detail = in.detail;
    return openai_read_url(r, &here, in.url, p);
}

static int read_audio(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                      struct ir_part *p)
{
    struct audio_in in = {0};
    struct openai_at here = openai_in(at, "format");
    if (OPENAI_READ(r, at, v, audio_members, &in) < 0)
        return -1;
    if (!ir_has(in.data))
        return missing(r, at, "data");
    p->source = IR_SOURCE_BASE64;
    p->data = in.data;
    p->media_type = openai_chat_audio_type(in.format);
    if (!ir_has(p->media_type))
        return openai_refuse(r, &here, "invalid_value", "must name a format of audio: wav or mp3.");
    return 0;
}

static int read_file(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                     struct ir_part *p)
{
    struct file_in in = {0};
    struct openai_at here = openai_in(at, "file_data");
    if (OPENAI_READ(r, at, v, file_members, &in) < 0)
        return -1;
    p->filename = in.filename;
    if (ir_has(in.file_id)) {
        p->source = IR_SOURCE_FILE_ID;
        p->data = in.file_id;
        return 0;
    }
    if (!ir_has(in.file_data))
        return missing(r, at, "file_data");
    if (openai_read_file_data(r, &here, in.file_data, p) < 0)
        return -1;
    return 0;
}

typedef int (*read_part_fn)(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                            struct ir_part *p);

/* The value of the member that is named like the part's type. */
static int read_media(struct openai_reader *r, const struct openai_at *at, const char *member,
                      uint32_t v, read_part_fn read, struct ir_part *p)
{
    struct openai_at here = openai_in(at, member);
    if (v == JSON_NONE)
        return missing(r, at, member);
    if (read(r, &here, v, p) < 0)
        return -1;
    openai_note_media(r->out, p);
    return 0;
}

static int read_part(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                     struct ir_part **list)
{
    static const struct {
        struct slice type;
        enum ir_part_kind kind;
    } kinds[] = {
        {{"text", 4}, IR_PART_TEXT},       {{"refusal", 7}, IR_PART_REFUSAL},
        {{"image_url", 9}, IR_PART_IMAGE}, {{"input_audio", 11}, IR_PART_AUDIO},
        {{"video_url", 9}, IR_PART_VIDEO}, {{"file", 4}, IR_PART_FILE},
    };
    struct part_in in = {JSON_NONE, JSON_NONE,          JSON_NONE,          JSON_NONE,
                         JSON_NONE, {{NULL, 0}, false}, {{NULL, 0}, false}, IR_CACHE_NONE};
    struct openai_at type_at = openai_in(at, "type");
    if (OPENAI_READ(r, at, v, part_members, &in) < 0)
        return -1;
    size_t k = 0;
    while (k < ARRAY_LEN(kinds) && !json_str_eq(r->d, in.type, kinds[k].type))
        k++;
    if (in.type == JSON_NONE)
        return missing(r, at, "type");
    if (k == ARRAY_LEN(kinds))
        return openai_refuse(r, &type_at, "invalid_value",
                             "must be text, image_url, input_audio, video_url, file or refusal.");
    struct ir_part *p = ir_add_part(r->out->arena, list, kinds[k].kind);
    if (!p)
        return openai_too_large(r);
    p->cache = in.cache;
    switch (p->kind) {
    case IR_PART_IMAGE:
        return read_media(r, at, "image_url", in.image_url, read_url_part, p);
    case IR_PART_AUDIO:
        return read_media(r, at, "input_audio", in.input_audio, read_audio, p);
    case IR_PART_VIDEO:
        return read_media(r, at, "video_url", in.video_url, read_url_part, p);
    case IR_PART_FILE:
        return read_media(r, at, "file", in.file, read_file, p);
    case IR_PART_REFUSAL:
        ir_note(r->out, IR_F_REFUSAL);
        p->text = in.refusal;
        return ir_has(p->text) ? 0 : missing(r, at, "refusal");
    default:
        p->text = in.text;
        return ir_has(p->text) ? 0 : missing(r, at, "text");
    }
}

static int add_text(struct openai_reader *r, struct ir_part **list, enum ir_part_kind kind,
                    struct ir_text t)
{
    struct ir_part *p = ir_add_part(r->out->arena, list, kind);
    if (!p)
        return openai_too_large(r);
    p->text = t;
    return 0;
}

static int read_content(struct openai_reader *r, const struct openai_at *up, uint32_t v,
                        struct ir_part **list)
{
    struct openai_at at = openai_in(up, "content");
    uint32_t i = 0;
    if (!openai_given(r->d, v))
        return 0;
    if (json_type(r->d, v) == JSON_STRING)
        return add_text(r, list, IR_PART_TEXT, ir_text_of(r->d, v));
    if (json_type(r->d, v) != JSON_ARRAY)
        return openai_wrong_type(r, &at, v, "a string or an array of parts");
    json_foreach_element(r->d, v, e)
    {
        struct openai_at here = openai_elem(&at, i++);
        if (read_part(r, &here, e, list) < 0)
            return -1;
    }
    return 0;
}

/* ---- reasoning of an earlier turn ---- */

struct detail_in {
    struct ir_text type, text, summary, data, signature, format;
};
static const struct openai_member detail_members[] = {
    OPENAI_MEMBER("type", TEXT, struct detail_in, type),
    OPENAI_MEMBER("text", TEXT, struct detail_in, text),
    OPENAI_MEMBER("summary", TEXT, struct detail_in, summary),
    OPENAI_MEMBER("data", TEXT, struct detail_in, data),
    OPENAI_MEMBER("signature", TEXT, struct detail_in, signature),
    OPENAI_MEMBER_KNOWN("id"),
    OPENAI_MEMBER("format", TEXT, struct detail_in, format),
    OPENAI_MEMBER_KNOWN("index"),
};

static int read_detail(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                       struct ir_part **list)
{
    struct detail_in in = {0};
    if (OPENAI_READ(r, at, v, detail_members, &in) < 0)
        return -1;
    struct ir_text text = ir_has(in.text) ? in.text : in.summary;
    bool encrypted = ir_text_is(in.type, SLICE_LIT("reasoning.encrypted"));
    if (encrypted ? !ir_has(in.data) : !ir_has(text) && !ir_has(in.signature))
        return 0;
    struct ir_part *p = ir_add_part(r->out->arena, list, IR_PART_REASONING);
    if (!p)
        return openai_too_large(r);
    p->redacted = encrypted;
    p->text = encrypted ? (struct ir_text){{NULL, 0}, false} : text;
    p->signature = encrypted ? in.data : in.signature;
    p->maker = provenance_of_format(in.format);
    ir_note(r->out, IR_F_REASONING);
    if (ir_has(p->signature))
        ir_note(r->out, IR_F_REASONING_SIGNATURE);
    return 0;
}

/* ---- messages ---- */

struct message_in {
    uint32_t role, content, tool_calls, function_call, details;
    struct ir_text name, refusal, tool_call_id, reasoning_content, reasoning;
    uint32_t audio;
    enum ir_cache cache;
};
static const struct openai_member message_members[] = {
    OPENAI_MEMBER("role", VALUE, struct message_in, role),
    OPENAI_MEMBER("content", VALUE, struct message_in, content),
    OPENAI_MEMBER("name", TEXT, struct message_in, name),
    OPENAI_MEMBER("tool_calls", VALUE, struct message_in, tool_calls),
    OPENAI_MEMBER("function_call", VALUE, struct message_in, function_call),
    OPENAI_MEMBER("tool_call_id", TEXT, struct message_in, tool_call_id),
    OPENAI_MEMBER("refusal", TEXT, struct message_in, refusal),
    OPENAI_MEMBER("reasoning_content", TEXT, struct message_in, reasoning_content),
    OPENAI_MEMBER("reasoning", TEXT, struct message_in, reasoning),
    OPENAI_MEMBER("reasoning_details", VALUE, struct message_in, details),
    OPENAI_MEMBER("audio", VALUE, struct message_in, audio),
    OPENAI_MEMBER_FN_AT("cache_control", openai_read_cache_control, struct message_in, cache),
    OPENAI_MEMBER_KNOWN("annotations"),
};

static int read_reasoning(struct openai_reader *r, const struct openai_at *at,
                          const struct message_in *in, struct ir_part **list)
{
    struct openai_at details_at = openai_in(at, "reasoning_details");
    struct ir_text plain = ir_has(in->reasoning_content) ? in->reasoning_content : in->reasoning;
    uint32_t i = 0;
    if (openai_need_array(r, &details_at, in->details) < 0)
        return -1;
    json_foreach_element(r->d, in->details, e)
    {
        struct openai_at here = openai_elem(&details_at, i++);
        if (read_detail(r, &here, e, list) < 0)
            return -1;
    }
    /* A client that put the deltas of a stream together may have kept a signature without what it
     * signs: that stands in the plain text. */
    if (*list && !(*list)->next && !(*list)->redacted && !ir_has((*list)->text))
        (*list)->text = plain;
    if (*list || plain.s.n == 0)
        return 0;
    ir_note(r->out, IR_F_REASONING);
    return add_text(r, list, IR_PART_REASONING, plain);
}

struct function_in {
    struct ir_text name, arguments;
};
static const struct openai_member function_members[] = {
    OPENAI_MEMBER("name", TEXT, struct function_in, name),
    OPENAI_MEMBER("arguments", TEXT, struct function_in, arguments),
};

struct call_in {
    struct ir_text id;
    uint32_t type, function;
};
static const struct openai_member call_members[] = {
    OPENAI_MEMBER("id", TEXT, struct call_in, id),
    OPENAI_MEMBER("type", VALUE, struct call_in, type),
    OPENAI_MEMBER("function", VALUE, struct call_in, function),
    OPENAI_MEMBER_KNOWN("index"),
    OPENAI_MEMBER_KNOWN("custom"),
};

static int add_call(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                    struct ir_text id, struct ir_part **list)
{
    struct function_in in = {0};
    if (OPENAI_READ(r, at, v, function_members, &in) < 0)
        return -1;
    if (!ir_has(in.name))
        return missing(r, at, "name");
    struct ir_part *p = ir_add_part(r->out->arena, list, IR_PART_TOOL_CALL);
    if (!p)
        return openai_too_large(r);
    p->call_id = id;
    p->name = in.name;
    p->arguments = in.arguments;
    return 0;
}

static int read_tool_call(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                          struct ir_part **list)
{
    struct call_in in = {.type = JSON_NONE, .function = JSON_NONE};
    struct openai_at type_at = openai_in(at, "type"), function_at = openai_in(at, "function");
    if (OPENAI_READ(r, at, v, call_members, &in) < 0)
        return -1;
    if (in.type != JSON_NONE && !json_str_eq_lit(r->d, in.type, "function"))
        return openai_refuse(r, &type_at, "unsupported_parameter",
                             "must be function: other calls can't be sent to this model's "
                             "provider.");
    if (in.function == JSON_NONE)
        return missing(r, at, "function");
    return add_call(r, &function_at, in.function, in.id, list);
}

static int read_calls(struct openai_reader *r, const struct openai_at *at,
                      const struct message_in *in, struct ir_part **list)
{
    struct openai_at calls_at = openai_in(at, "tool_calls");
    struct openai_at function_at = openai_in(at, "function_call");
    uint32_t i = 0;
    if (openai_need_array(r, &calls_at, in->tool_calls) < 0)
        return -1;
    json_foreach_element(r->d, in->tool_calls, e)
    {
        struct openai_at here = openai_elem(&calls_at, i++);
        if (read_tool_call(r, &here, e, list) < 0)
            return -1;
    }
    if (in->function_call == JSON_NONE)
        return 0;
    return add_call(r, &function_at, in->function_call, (struct ir_text){{NULL, 0}, false}, list);
}

static int read_assistant(struct openai_reader *r, const struct openai_at *at,
                          const struct message_in *in, struct ir_message *m)
{
    struct openai_at audio_at = openai_in(at, "audio");
    bool acts = json_count(r->d, in->tool_calls) || in->function_call != JSON_NONE;
    bool silent = json_type(r->d, in->content) == JSON_STRING && json_raw(r->d, in->content).n == 2;
    if (in->audio != JSON_NONE)
        return openai_refuse(r, &audio_at, "unsupported_parameter",
                             "refers to audio that this model's provider doesn't have.");
    if (read_reasoning(r, at, in, &m->parts) < 0)
        return -1;
    /* Empty content beside calls is a habit of clients and says nothing. */
    if (!(acts && silent) && read_content(r, at, in->content, &m->parts) < 0)
        return -1;
    if (ir_has(in->refusal)) {
        ir_note(r->out, IR_F_REFUSAL);
        if (add_text(r, &m->parts, IR_PART_REFUSAL, in->refusal) < 0)
            return -1;
    }
    return read_calls(r, at, in, &m->parts);
}

static int read_tool_result(struct openai_reader *r, const struct openai_at *at,
                            const struct message_in *in, bool legacy, struct ir_message *m)
{
    if (legacy && !ir_has(in->name))
        return missing(r, at, "name");
    if (!legacy && !ir_has(in->tool_call_id))
        return missing(r, at, "tool_call_id");
    struct ir_part *p = ir_add_part(r->out->arena, &m->parts, IR_PART_TOOL_RESULT);
    if (!p)
        return openai_too_large(r);
    p->call_id = in->tool_call_id;
    p->name = in->name;
    p->cache = in->cache;
    m->name = (struct ir_text){{NULL, 0}, false};
    if (read_content(r, at, in->content, &p->content) < 0)
        return -1;
    for (const struct ir_part *c = p->content; c; c = c->next)
        if (c->kind == IR_PART_IMAGE)
            ir_note(r->out, IR_F_TOOL_RESULT_IMAGE);
    return 0;
}

static int read_message(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                        uint32_t index)
{
    static const struct {
        struct slice word;
        enum ir_role role;
        unsigned note;
    } roles[] = {
        {{"user", 4}, IR_USER, 0},
        {{"assistant", 9}, IR_ASSISTANT, 0},
        {{"tool", 4}, IR_TOOL, 0},
        {{"system", 6}, IR_SYSTEM, 1 + IR_F_SYSTEM},
        {{"developer", 9}, IR_DEVELOPER, 1 + IR_F_DEVELOPER},
        {{"function", 8}, IR_TOOL, 0},
    };
    struct message_in in = {.role = JSON_NONE,
                            .content = JSON_NONE,
                            .tool_calls = JSON_NONE,
                            .function_call = JSON_NONE,
                            .details = JSON_NONE,
                            .audio = JSON_NONE};
    struct openai_at role_at = openai_in(at, "role");
    if (OPENAI_READ(r, at, v, message_members, &in) < 0)
        return -1;
    if (in.role == JSON_NONE)
        return missing(r, at, "role");
    size_t k = 0;
    while (k < ARRAY_LEN(roles) && !json_str_eq(r->d, in.role, roles[k].word))
        k++;
    if (k == ARRAY_LEN(roles))
        return openai_refuse(r, &role_at, "invalid_value",
                             "must be system, developer, user, assistant, tool or function.");
    struct ir_message *m = ir_add_message(r->out, roles[k].role, index);
    if (!m)
        return openai_too_large(r);
    m->name = in.name;
    if (ir_has(in.name) && m->role != IR_TOOL)
        ir_note(r->out, IR_F_NAME);
    if (roles[k].note)
        ir_note(r->out, (enum ir_field)(roles[k].note - 1));
    if (m->role == IR_ASSISTANT)
        return read_assistant(r, at, &in, m);
    if (m->role == IR_TOOL)
        return read_tool_result(r, at, &in, roles[k].word.n == 8, m);
    if (in.content == JSON_NONE)
        return missing(r, at, "content");
    if (read_content(r, at, in.content, &m->parts) < 0)
        return -1;
    struct ir_part *last = m->parts;
    while (last && last->next)
        last = last->next;
    if (last && in.cache != IR_CACHE_NONE)
        last->cache = in.cache;
    return 0;
}

int openai_chat_read_messages(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                              void *into)
{
    uint32_t i = 0;
    (void)into;
    if (json_type(r->d, v) != JSON_ARRAY)
        return openai_wrong_type(r, at, v, "an array");
    json_foreach_element(r->d, v, e)
    {
        struct openai_at here = openai_elem(at, i);
        if (read_message(r, &here, e, i++) < 0)
            return -1;
    }
    if (i == 0)
        return openai_refuse(r, at, "invalid_value", "must hold at least one message.");
    return 0;
}
