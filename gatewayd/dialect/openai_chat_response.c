/*
 * openai_chat_response.c: whole chat completions, read and written, and the words and objects that
 * they share with streams.
 *
 * What compatible servers add is read too: reasoning in its three members, content given in parts
 * (docs.mistral.ai/capabilities/reasoning), `images` (openrouter.ai/docs/features/multimodal/
 * image-generation), the matched stop sequence (vLLM's stop_reason, SGLang's matched_stop).
 */
#include "gatewayd/dialect/openai.h"
#include "gatewayd/dialect/openai_chat.h"
#include "gatewayd/dialect/provenance.h"

static const struct ir_text no_text = {{NULL, 0}, false};

/* ---- words ---- */

static const struct {
    struct slice format;
    const char *type;
} audio_formats[] = {
    {{"wav", 3}, "audio/wav"},   {{"mp3", 3}, "audio/mp3"},   {{"flac", 4}, "audio/flac"},
    {{"ogg", 3}, "audio/ogg"},   {{"aac", 3}, "audio/aac"},   {{"aiff", 4}, "audio/aiff"},
    {{"m4a", 3}, "audio/m4a"},   {{"opus", 4}, "audio/opus"}, {{"pcm16", 5}, "audio/pcm"},
    {{"wav", 3}, "audio/x-wav"}, {{"wav", 3}, "audio/wave"},  {{"mp3", 3}, "audio/mpeg"},
};

struct slice openai_chat_audio_format(struct ir_text media_type)
{
    for (size_t i = 0; i < ARRAY_LEN(audio_formats); i++)
        if (ir_text_is(media_type, slice_str(audio_formats[i].type)))
            return audio_formats[i].format;
    return slice_of(NULL, 0);
}

struct ir_text openai_chat_audio_type(struct ir_text format)
{
    for (size_t i = 0; i < ARRAY_LEN(audio_formats); i++)
        if (ir_text_is(format, audio_formats[i].format))
            return ir_plain(slice_str(audio_formats[i].type));
    return no_text;
}

/* The reference's words, then those of Mistral (model_length), Hugging Face's TGI (eos_token) and
 * DeepSeek; any other is OTHER. */
static const struct {
    struct slice word;
    enum ir_finish finish;
} finishes[] = {
    {{"stop", 4}, IR_FINISH_STOP},
    {{"length", 6}, IR_FINISH_LENGTH},
    {{"tool_calls", 10}, IR_FINISH_TOOL_CALLS},
    {{"content_filter", 14}, IR_FINISH_CONTENT_FILTER},
    {{"function_call", 13}, IR_FINISH_TOOL_CALLS},
    {{"model_length", 12}, IR_FINISH_CONTEXT},
    {{"eos_token", 9}, IR_FINISH_STOP},
    {{"stop_sequence", 13}, IR_FINISH_STOP_SEQUENCE},
};

static struct ir_text matched_stop(const struct json_doc *d, uint32_t choice)
{
    uint32_t v = json_get_lit(d, choice, "stop_reason");
    if (json_type(d, v) != JSON_STRING)
        v = json_get_lit(d, choice, "matched_stop");
    return ir_text_of(d, v);
}

enum ir_finish openai_chat_finish(const struct json_doc *d, uint32_t choice, unsigned kinds,
                                  struct ir_text *stop_sequence)
{
    uint32_t v = json_get_lit(d, choice, "finish_reason");
    enum ir_finish f = json_type(d, v) == JSON_STRING ? IR_FINISH_OTHER : IR_FINISH_STOP;
    *stop_sequence = no_text;
    for (size_t i = 0; i < ARRAY_LEN(finishes); i++)
        if (json_str_eq(d, v, finishes[i].word))
            f = finishes[i].finish;
    if (f != IR_FINISH_STOP)
        return f;
    if (kinds & 1u << IR_PART_TOOL_CALL)
        return IR_FINISH_TOOL_CALLS;
    if (kinds & 1u << IR_PART_REFUSAL)
        return IR_FINISH_REFUSAL;
    *stop_sequence = matched_stop(d, choice);
    return ir_has(*stop_sequence) ? IR_FINISH_STOP_SEQUENCE : f;
}

/* What ended for a reason that this dialect has no word for was cut short: `length` says that,
 * `stop` would say that the model was through. */
const char *openai_chat_finish_word(enum ir_finish f, bool refused)
{
    switch (f) {
    case IR_FINISH_LENGTH:
    case IR_FINISH_CONTEXT:
    case IR_FINISH_PAUSE:
    case IR_FINISH_OTHER:
        return "length";
    case IR_FINISH_TOOL_CALLS:
        return "tool_calls";
    case IR_FINISH_CONTENT_FILTER:
        return "content_filter";
    case IR_FINISH_REFUSAL:
        return refused ? "stop" : "content_filter";
    default:
        return "stop";
    }
}

/* ---- reasoning and citations ---- */

struct openai_chat_reasoning openai_chat_find_reasoning(const struct json_doc *d, uint32_t message)
{
    struct openai_chat_reasoning found = {JSON_NONE, no_text};
    json_foreach_member(d, message, k)
    {
        if (json_str_eq_lit(d, k, "reasoning_details") && json_type(d, k + 1) == JSON_ARRAY &&
            json_count(d, k + 1)) {
            found.details = k + 1;
        } else if (json_str_eq_lit(d, k, "reasoning_content") ||
                   json_str_eq_lit(d, k, "reasoning")) {
            struct ir_text t = ir_text_of(d, k + 1);
            if (t.s.n > found.plain.s.n)
                found.plain = t;
        }
    }
    return found;
}

bool openai_chat_read_citation(const struct json_doc *d, uint32_t annotation,
                               struct ir_citation *out)
{
    uint32_t c = json_get_lit(d, annotation, "url_citation");
    memset(out, 0, sizeof *out);
    out->url = ir_text_of(d, json_get_lit(d, c, "url"));
    out->title = ir_text_of(d, json_get_lit(d, c, "title"));
    if (json_i64(d, json_get_lit(d, c, "start_index"), &out->start) < 0)
        out->start = -1;
    if (json_i64(d, json_get_lit(d, c, "end_index"), &out->end) < 0)
        out->end = -1;
    return ir_has(out->url);
}

bool openai_chat_write_citation(struct json_writer *w, const struct ir_citation *c, int64_t shift)
{
    if (!ir_has(c->url))
        return false;
    jw_object(w);
    jw_member_str(w, "type", SLICE_LIT("url_citation"));
    jw_member_object(w, "url_citation");
    jw_member_i64(w, "start_index", GW_MAX(c->start, 0) + shift);
    jw_member_i64(w, "end_index", GW_MAX(c->end, 0) + shift);
    ir_member(w, "url", c->url);
    ir_member(w, "title", ir_has(c->title) ? c->title : c->url);
    jw_object_end(w);
    jw_object_end(w);
    return true;
}

void openai_chat_write_joined(struct json_writer *w, const struct ir_part *list,
                              enum ir_part_kind kind)
{
    jw_str_begin(w);
    for (const struct ir_part *p = list; p; p = p->next) {
        if (p->kind != kind || !ir_has(p->text))
            continue;
        ir_add_text(w, p->text);
    }
    jw_str_end(w);
}

void openai_chat_write_usage(struct json_writer *w, const struct dialect_usage *u)
{
    jw_object(w);
    jw_member_i64(w, "prompt_tokens", u->input_tokens);
    jw_member_i64(w, "completion_tokens", u->output_tokens);
    jw_member_i64(w, "total_tokens", u->input_tokens + u->output_tokens);
    jw_member_object(w, "prompt_tokens_details");
    jw_member_i64(w, "cached_tokens", u->cached_tokens);
    jw_member_i64(w, "cache_write_tokens", u->cache_write_tokens);
    jw_member_i64(w, "audio_tokens", u->audio_input_tokens);
    jw_object_end(w);
    jw_member_object(w, "completion_tokens_details");
    jw_member_i64(w, "reasoning_tokens", u->reasoning_tokens);
    jw_member_i64(w, "audio_tokens", u->audio_output_tokens);
    jw_member_i64(w, "accepted_prediction_tokens", 0);
    jw_member_i64(w, "rejected_prediction_tokens", 0);
    jw_object_end(w);
    jw_object_end(w);
}

/* ---- reading ---- */

struct in {
    const struct json_doc *d;
    struct ir_response *out;
    struct ir_choice *c;
    bool full;
};

static struct ir_part *add(struct in *in, enum ir_part_kind kind, struct ir_text text)
{
    struct ir_part *p = ir_add_part(in->out->arena, &in->c->parts, kind);
    in->full |= !p;
    if (p)
        p->text = text;
    return p;
}

static void read_details(struct in *in, uint32_t details)
{
    const struct json_doc *d = in->d;
    json_foreach_element(d, details, e)
    {
        struct ir_text text = ir_text_of(d, json_get_lit(d, e, "text"));
        struct ir_text data = ir_text_of(d, json_get_lit(d, e, "data"));
        struct ir_text signature = ir_text_of(d, json_get_lit(d, e, "signature"));
        if (!ir_has(text))
            text = ir_text_of(d, json_get_lit(d, e, "summary"));
        struct ir_part *p = ir_has(text) || ir_has(signature) || ir_has(data)
                                ? add(in, IR_PART_REASONING, text)
                                : NULL;
        if (!p)
            continue;
        p->redacted = !ir_has(text) && ir_has(data);
        p->signature = p->redacted ? data : signature;
        p->maker = provenance_of_format(ir_text_of(d, json_get_lit(d, e, "format")));
    }
}

static void read_reasoning(struct in *in, uint32_t message)
{
    struct openai_chat_reasoning found = openai_chat_find_reasoning(in->d, message);
    if (found.details != JSON_NONE)
        read_details(in, found.details);
    bool said = false;
    for (const struct ir_part *p = in->c->parts; p; p = p->next)
        said |= p->text.s.n > 0;
    if (!said && found.plain.s.n)
        add(in, IR_PART_REASONING, found.plain);
}

static void read_content_part(struct in *in, uint32_t e)
{
    const struct json_doc *d = in->d;
    uint32_t type = json_get_lit(d, e, "type");
    if (json_str_eq_lit(d, type, "thinking")) {
        uint32_t thinking = json_get_lit(d, e, "thinking");
        if (json_type(d, thinking) == JSON_STRING)
            add(in, IR_PART_REASONING, ir_text_of(d, thinking));
        json_foreach_element(d, thinking, t)
        {
            add(in, IR_PART_REASONING, ir_text_of(d, json_get_lit(d, t, "text")));
        }
    } else if (json_str_eq_lit(d, type, "refusal")) {
        add(in, IR_PART_REFUSAL, ir_text_of(d, json_get_lit(d, e, "refusal")));
    } else if (json_type(d, json_get_lit(d, e, "text")) == JSON_STRING) {
        add(in, IR_PART_TEXT, ir_text_of(d, json_get_lit(d, e, "text")));
    }
}

static void read_content(struct in *in, uint32_t content)
{
    if (json_type(in->d, content) == JSON_STRING && json_raw(in->d, content).n > 2)
        add(in, IR_PART_TEXT, ir_text_of(in->d, content));
    json_foreach_element(in->d, content, e)
    {
        read_content_part(in, e);
    }
}

static void read_citations(struct in *in, uint32_t annotations)
{
    struct ir_part *text = in->c->parts;
    while (text && text->kind != IR_PART_TEXT)
        text = text->next;
    struct ir_citation **at = text ? &text->citations : NULL, found;
    json_foreach_element(in->d, annotations, e)
    {
        if (!at || !openai_chat_read_citation(in->d, e, &found))
            continue;
        *at = arena_alloc(in->out->arena, sizeof **at);
        in->full |= !*at;
        if (!*at)
            return;
        **at = found;
        at = &(*at)->next;
    }
}

static void read_call(struct in *in, uint32_t call, uint32_t function)
{
    const struct json_doc *d = in->d;
    uint32_t arguments = json_get_lit(d, function, "arguments");
    struct ir_part *p = add(in, IR_PART_TOOL_CALL, no_text);
    if (!p)
        return;
    p->call_id = ir_text_of(d, json_get_lit(d, call, "id"));
    p->name = ir_text_of(d, json_get_lit(d, function, "name"));
    p->arguments = json_type(d, arguments) == JSON_OBJECT ? ir_plain(json_raw(d, arguments))
                                                          : ir_text_of(d, arguments);
}

static void read_images(struct in *in, uint32_t images)
{
    struct dialect_refusal why;
    struct openai_reader r = {.d = in->d, .why = &why};
    json_foreach_element(in->d, images, e)
    {
        struct ir_text url =
            ir_text_of(in->d, json_get_lit(in->d, json_get_lit(in->d, e, "image_url"), "url"));
        struct ir_part *p = ir_has(url) ? add(in, IR_PART_IMAGE, no_text) : NULL;
        if (p && openai_read_url(&r, NULL, url, p) < 0)
            p->source = IR_SOURCE_NONE;
    }
}

static void read_audio(struct in *in, uint32_t audio)
{
    struct ir_text data = ir_text_of(in->d, json_get_lit(in->d, audio, "data"));
    struct ir_part *p = ir_has(data) ? add(in, IR_PART_AUDIO, no_text) : NULL;
    if (!p)
        return;
    p->source = IR_SOURCE_BASE64;
    p->data = data;
    p->text = ir_text_of(in->d, json_get_lit(in->d, audio, "transcript"));
}

static void read_message(struct in *in, uint32_t message)
{
    const struct json_doc *d = in->d;
    uint32_t refusal = json_get_lit(d, message, "refusal");
    uint32_t function = json_get_lit(d, message, "function_call");
    read_reasoning(in, message);
    read_content(in, json_get_lit(d, message, "content"));
    read_citations(in, json_get_lit(d, message, "annotations"));
    read_images(in, json_get_lit(d, message, "images"));
    read_audio(in, json_get_lit(d, message, "audio"));
    if (json_type(d, refusal) == JSON_STRING && json_raw(d, refusal).n > 2)
        add(in, IR_PART_REFUSAL, ir_text_of(d, refusal));
    json_foreach_element(d, json_get_lit(d, message, "tool_calls"), e)
    {
        read_call(in, e, json_get_lit(d, e, "function"));
    }
    if (json_type(d, function) == JSON_OBJECT)
        read_call(in, JSON_NONE, function);
}

static unsigned kinds_of(const struct ir_part *p)
{
    unsigned kinds = 0;
    for (; p; p = p->next)
        kinds |= 1u << p->kind;
    return kinds;
}

static void read_choice(struct in *in, uint32_t choice, uint32_t nth)
{
    int64_t index;
    uint32_t logprobs = json_get_lit(in->d, choice, "logprobs");
    if (json_i64(in->d, json_get_lit(in->d, choice, "index"), &index) < 0 || index < 0 ||
        index > UINT32_MAX)
        index = nth;
    in->c = ir_add_choice(in->out, (uint32_t)index);
    in->full |= !in->c;
    if (!in->c)
        return;
    read_message(in, json_get_lit(in->d, choice, "message"));
    in->c->finish =
        openai_chat_finish(in->d, choice, kinds_of(in->c->parts), &in->c->stop_sequence);
    if (json_type(in->d, logprobs) == JSON_OBJECT)
        in->c->logprobs = json_raw(in->d, logprobs);
}

int openai_chat_read_response(const struct json_doc *d, struct ir_response *out)
{
    struct in in = {.d = d, .out = out};
    uint32_t choices = json_get_lit(d, JSON_ROOT, "choices"), nth = 0;
    if (json_type(d, choices) != JSON_ARRAY || openai_error_object(d) != JSON_NONE)
        return -1;
    out->id = ir_text_of(d, json_get_lit(d, JSON_ROOT, "id"));
    out->model = ir_text_of(d, json_get_lit(d, JSON_ROOT, "model"));
    out->service_tier = ir_text_of(d, json_get_lit(d, JSON_ROOT, "service_tier"));
    out->system_fingerprint = ir_text_of(d, json_get_lit(d, JSON_ROOT, "system_fingerprint"));
    if (json_i64(d, json_get_lit(d, JSON_ROOT, "created"), &out->created_s) < 0)
        out->created_s = 0;
    json_foreach_element(d, choices, e)
    {
        read_choice(&in, e, nth++);
    }
    openai_read_usage(d, json_get_lit(d, JSON_ROOT, "usage"), &out->usage);
    return in.full ? -1 : 0;
}

/* ---- writing ---- */

static bool has_kind(const struct ir_part *p, enum ir_part_kind kind)
{
    return kinds_of(p) & 1u << kind;
}

/* Characters of a text as Unicode counts them; an escaped surrogate pair is one. */
static int64_t count_chars(struct ir_text t)
{
    int64_t n = 0;
    for (size_t i = 0; i < t.s.n; i++) {
        unsigned char c = (unsigned char)t.s.p[i];
        if ((c & 0xc0) == 0x80)
            continue;
        n++;
        if (!t.escaped || c != '\\' || i + 1 >= t.s.n)
            continue;
        bool unicode = t.s.p[++i] == 'u' && i + 4 < t.s.n;
        if (unicode && (t.s.p[i + 1] | 0x20) == 'd' && strchr("cdefCDEF", t.s.p[i + 2]))
            n--; /* the second half of a pair */
        if (unicode)
            i += 4;
    }
    return n;
}

static void write_annotations(struct json_writer *w, const struct ir_part *p)
{
    int64_t before = 0;
    jw_member_array(w, "annotations");
    for (; p; p = p->next) {
        if (p->kind != IR_PART_TEXT)
            continue;
        for (const struct ir_citation *c = p->citations; c; c = c->next)
            (void)openai_chat_write_citation(w, c, before);
        before += count_chars(p->text);
    }
    jw_array_end(w);
}

void openai_chat_write_format(struct json_writer *w, enum ir_maker m)
{
    const char *format = provenance_format(m);
    if (format)
        jw_member_str(w, "format", slice_str(format));
}

static void write_details(struct json_writer *w, const struct ir_part *p)
{
    int64_t index = 0;
    jw_member_array(w, "reasoning_details");
    for (; p; p = p->next) {
        if (p->kind != IR_PART_REASONING)
            continue;
        jw_object(w);
        if (p->redacted) {
            jw_member_str(w, "type", SLICE_LIT("reasoning.encrypted"));
            ir_member(w, "data", p->signature);
        } else {
            jw_member_str(w, "type", SLICE_LIT("reasoning.text"));
            ir_member(w, "text", ir_has(p->text) ? p->text : IR_LIT(""));
            if (ir_has(p->signature))
                ir_member(w, "signature", p->signature);
        }
        openai_chat_write_format(w, p->maker);
        jw_member_i64(w, "index", index++);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void write_calls(struct json_writer *w, const struct ir_part *p)
{
    jw_member_array(w, "tool_calls");
    for (; p; p = p->next) {
        if (p->kind != IR_PART_TOOL_CALL)
            continue;
        jw_object(w);
        jw_key_plain(w, SLICE_LIT("id"));
        ir_write_signed_id(w, p->call_id, p->signature);
        jw_member_str(w, "type", SLICE_LIT("function"));
        jw_member_object(w, "function");
        ir_member(w, "name", p->name);
        ir_member(w, "arguments", p->arguments.s.n ? p->arguments : IR_LIT("{}"));
        jw_object_end(w);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void write_images(struct json_writer *w, const struct ir_part *p)
{
    jw_member_array(w, "images");
    for (; p; p = p->next) {
        if (p->kind != IR_PART_IMAGE)
            continue;
        jw_object(w);
        jw_member_str(w, "type", SLICE_LIT("image_url"));
        jw_member_object(w, "image_url");
        jw_key_plain(w, SLICE_LIT("url"));
        openai_chat_write_url(w, p);
        jw_object_end(w);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void write_message(struct json_writer *w, const struct ir_part *parts)
{
    bool silent = has_kind(parts, IR_PART_TOOL_CALL) || has_kind(parts, IR_PART_REFUSAL);
    jw_object(w);
    jw_member_str(w, "role", SLICE_LIT("assistant"));
    jw_key_plain(w, SLICE_LIT("content"));
    if (silent && !has_kind(parts, IR_PART_TEXT))
        jw_null(w);
    else
        openai_chat_write_joined(w, parts, IR_PART_TEXT);
    jw_key_plain(w, SLICE_LIT("refusal"));
    if (has_kind(parts, IR_PART_REFUSAL))
        openai_chat_write_joined(w, parts, IR_PART_REFUSAL);
    else
        jw_null(w);
    write_annotations(w, parts);
    if (has_kind(parts, IR_PART_REASONING)) {
        jw_key_plain(w, SLICE_LIT("reasoning_content"));
        openai_chat_write_joined(w, parts, IR_PART_REASONING);
        write_details(w, parts);
    }
    if (has_kind(parts, IR_PART_IMAGE))
        write_images(w, parts);
    if (has_kind(parts, IR_PART_TOOL_CALL))
        write_calls(w, parts);
    jw_object_end(w);
}

static void write_choice(struct json_writer *w, const struct ir_choice *c)
{
    jw_object(w);
    jw_member_i64(w, "index", c->index);
    jw_key_plain(w, SLICE_LIT("message"));
    write_message(w, c->parts);
    jw_key_plain(w, SLICE_LIT("logprobs"));
    if (c->logprobs.p)
        jw_raw(w, c->logprobs);
    else
        jw_null(w);
    jw_member_str(
        w, "finish_reason",
        slice_str(openai_chat_finish_word(c->finish, has_kind(c->parts, IR_PART_REFUSAL))));
    jw_object_end(w);
}

int openai_chat_write_response(const struct ir_response *r, const struct codec_caller *c,
                               struct buf *out)
{
    struct json_writer w;
    size_t n;
    struct ir_text own[] = {IR_LIT("chatcmpl-"), ir_plain(c->request_id)};
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_key_plain(&w, SLICE_LIT("id"));
    if (r->id.s.n)
        ir_write_str(&w, r->id);
    else
        ir_write_str_parts(&w, own, ARRAY_LEN(own));
    jw_member_str(&w, "object", SLICE_LIT("chat.completion"));
    jw_member_i64(&w, "created", r->created_s ? r->created_s : c->now_s);
    ir_member(&w, "model", ir_has(c->model) ? c->model : r->model);
    jw_member_array(&w, "choices");
    for (const struct ir_choice *choice = r->choices; choice; choice = choice->next)
        write_choice(&w, choice);
    jw_array_end(&w);
    if (r->usage.flags & USAGE_PRESENT) {
        jw_key_plain(&w, SLICE_LIT("usage"));
        openai_chat_write_usage(&w, &r->usage);
    }
    if (ir_has(r->service_tier))
        ir_member(&w, "service_tier", openai_tier(r->service_tier));
    if (ir_has(r->system_fingerprint))
        ir_member(&w, "system_fingerprint", r->system_fingerprint);
    jw_object_end(&w);
    return jw_finish(&w, &n);
}
