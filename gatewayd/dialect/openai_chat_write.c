/*
 * openai_chat_write.c: a request of the internal form as a chat completion.
 */
#include "gatewayd/dialect/openai_chat.h"

#include <ctype.h>
#include <stdio.h>

struct out {
    struct json_writer w;
    const struct ir_request *r;
    const struct codec_target *t;
    const struct ir_message *images; /* first of a run of tool messages with images; NULL: none */
};

static bool has_quirk(const struct out *o, uint32_t quirk)
{
    return o->t->quirks & quirk;
}

/* A member that the provider has only with that quirk: true if it is to be written. */
static bool takes(const struct out *o, uint32_t quirk, enum ir_field f)
{
    if (!ir_noted(o->r, f))
        return false;
    if (!has_quirk(o, quirk))
        ir_list_dropped(o->r, f, o->t->dropped);
    return has_quirk(o, quirk);
}

/* A member that every provider has but for some: true if it is to be written. */
static bool may_have(const struct out *o, uint32_t member, enum ir_field f)
{
    bool refused = o->t->refused & member;
    if (refused && ir_noted(o->r, f))
        ir_list_dropped(o->r, f, o->t->dropped);
    return !refused;
}

static void type_of(struct json_writer *w, const char *type)
{
    jw_member_str(w, "type", slice_str(type));
}

static void write_cache(struct out *o, enum ir_cache cache)
{
    if (cache == IR_CACHE_NONE || !has_quirk(o, PROVIDER_QUIRK_CACHE_CONTROL))
        return;
    jw_member_object(&o->w, "cache_control");
    type_of(&o->w, "ephemeral");
    if (cache == IR_CACHE_1H)
        jw_member_str(&o->w, "ttl", SLICE_LIT("1h"));
    jw_object_end(&o->w);
}

/* ---- content ---- */

static struct ir_text or_else(struct ir_text t, const char *otherwise)
{
    return t.s.n ? t : ir_plain(slice_str(otherwise));
}

void openai_chat_write_url(struct json_writer *w, const struct ir_part *p)
{
    const char *type = p->kind == IR_PART_FILE    ? "application/pdf"
                       : p->kind == IR_PART_VIDEO ? "video/mp4"
                                                  : "image/png";
    if (p->source != IR_SOURCE_BASE64) {
        ir_write_str(w, p->data);
        return;
    }
    struct ir_text t[] = {IR_LIT("data:"), or_else(p->media_type, type), IR_LIT(";base64,"),
                          p->data};
    ir_write_str_parts(w, t, ARRAY_LEN(t));
}

static void write_url_part(struct out *o, const struct ir_part *p, struct slice member)
{
    jw_member_str(&o->w, "type", member);
    jw_key_plain(&o->w, member);
    jw_object(&o->w);
    jw_key_plain(&o->w, SLICE_LIT("url"));
    openai_chat_write_url(&o->w, p);
    if (ir_has(p->detail))
        ir_member(&o->w, "detail", p->detail);
    jw_object_end(&o->w);
}

static void write_audio(struct out *o, const struct ir_part *p)
{
    struct slice format = openai_chat_audio_format(p->media_type);
    type_of(&o->w, "input_audio");
    jw_member_object(&o->w, "input_audio");
    ir_member(&o->w, "data", p->data);
    jw_member_str(&o->w, "format", format.p ? format : SLICE_LIT("wav"));
    jw_object_end(&o->w);
}

static void write_file(struct out *o, const struct ir_part *p)
{
    if (p->source == IR_SOURCE_TEXT) {
        type_of(&o->w, "text");
        ir_member(&o->w, "text", p->data);
        return;
    }
    type_of(&o->w, "file");
    jw_member_object(&o->w, "file");
    if (p->source == IR_SOURCE_FILE_ID) {
        ir_member(&o->w, "file_id", p->data);
    } else {
        ir_member(&o->w, "filename", or_else(p->filename, "document.pdf"));
        jw_key_plain(&o->w, SLICE_LIT("file_data"));
        openai_chat_write_url(&o->w, p);
    }
    jw_object_end(&o->w);
}

static void write_part(struct out *o, const struct ir_part *p)
{
    jw_object(&o->w);
    switch (p->kind) {
    case IR_PART_IMAGE:
        write_url_part(o, p, SLICE_LIT("image_url"));
        break;
    case IR_PART_VIDEO:
        write_url_part(o, p, SLICE_LIT("video_url"));
        break;
    case IR_PART_AUDIO:
        write_audio(o, p);
        break;
    case IR_PART_FILE:
        write_file(o, p);
        break;
    case IR_PART_REFUSAL:
        type_of(&o->w, "refusal");
        ir_member(&o->w, "refusal", p->text);
        break;
    default:
        type_of(&o->w, "text");
        ir_member(&o->w, "text", p->text);
        break;
    }
    write_cache(o, p->cache);
    jw_object_end(&o->w);
}

static bool is_content(const struct ir_part *p)
{
    return p->kind < IR_PART_TOOL_CALL;
}

static bool is_text(const struct ir_part *p)
{
    return p->kind == IR_PART_TEXT;
}

static bool keeps_cache(const struct out *o, const struct ir_part *p)
{
    return p->cache != IR_CACHE_NONE && has_quirk(o, PROVIDER_QUIRK_CACHE_CONTROL);
}

/* One text is a string, which every server understands; several, or anything else, are parts. */
static void write_content(struct out *o, const struct ir_part *list,
                          bool (*which)(const struct ir_part *), const char *if_none)
{
    const struct ir_part *first = list;
    while (first && !which(first))
        first = first->next;
    const struct ir_part *second = first ? first->next : NULL;
    while (second && !which(second))
        second = second->next;
    jw_key_plain(&o->w, SLICE_LIT("content"));
    if (!first && if_none) {
        jw_str(&o->w, slice_str(if_none));
    } else if (!first) {
        jw_null(&o->w);
    } else if (!second && is_text(first) && !keeps_cache(o, first)) {
        ir_write_str(&o->w, first->text);
    } else {
        jw_array(&o->w);
        for (const struct ir_part *p = first; p; p = p->next)
            if (which(p))
                write_part(o, p);
        jw_array_end(&o->w);
    }
}

/* ---- messages ---- */

static void begin_message(struct out *o, const char *role, struct ir_text name)
{
    jw_object(&o->w);
    jw_member_str(&o->w, "role", slice_str(role));
    if (ir_has(name) && may_have(o, PROVIDER_MEMBER_NAME, IR_F_NAME))
        ir_member(&o->w, "name", name);
}

/* An empty content is an error in most servers where nothing else stands beside it. */
static bool has_kind(const struct ir_part *p, enum ir_part_kind kind)
{
    while (p && p->kind != kind)
        p = p->next;
    return p != NULL;
}

enum { SHORT_ID_BYTES = 9 };

static bool is_short_id(struct slice id)
{
    for (size_t i = 0; i < id.n; i++)
        if (!isalnum((unsigned char)id.p[i]))
            return false;
    return id.n == SHORT_ID_BYTES;
}

/* A call and its result have the same id, so what is made of one must be made of it anywhere: a
 * digest of it in base 62. */
static void write_call_id(struct out *o, struct slice member, struct ir_text id)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char made[SHORT_ID_BYTES];
    struct slice plain =
        has_quirk(o, PROVIDER_QUIRK_CALL_IDS_OF_9) ? ir_decode(o->r->arena, id) : slice_of(NULL, 0);
    if (!plain.p || is_short_id(plain)) {
        jw_key_plain(&o->w, member);
        ir_write_str(&o->w, id);
        return;
    }
    uint64_t digest = slice_hash(plain);
    for (size_t i = 0; i < sizeof made; i++, digest /= sizeof digits - 1)
        made[i] = digits[digest % (sizeof digits - 1)];
    jw_key_plain(&o->w, member);
    jw_str(&o->w, slice_of(made, sizeof made));
}

static void write_call(struct out *o, const struct ir_part *p)
{
    jw_object(&o->w);
    write_call_id(o, SLICE_LIT("id"), p->call_id);
    type_of(&o->w, "function");
    jw_member_object(&o->w, "function");
    ir_member(&o->w, "name", p->name);
    ir_member(&o->w, "arguments", or_else(p->arguments, "{}"));
    jw_object_end(&o->w);
    jw_object_end(&o->w);
}

static void write_calls(struct out *o, const struct ir_part *p)
{
    if (!has_kind(p, IR_PART_TOOL_CALL))
        return;
    jw_member_array(&o->w, "tool_calls");
    for (; p; p = p->next)
        if (p->kind == IR_PART_TOOL_CALL)
            write_call(o, p);
    jw_array_end(&o->w);
}

static void write_reasoning_details(struct out *o, const struct ir_part *p)
{
    int64_t index = 0;
    jw_member_array(&o->w, "reasoning_details");
    for (; p; p = p->next) {
        if (p->kind != IR_PART_REASONING)
            continue;
        jw_object(&o->w);
        type_of(&o->w, p->redacted ? "reasoning.encrypted" : "reasoning.text");
        if (p->redacted) {
            ir_member(&o->w, "data", p->signature);
        } else {
            ir_member(&o->w, "text", or_else(p->text, ""));
            if (ir_has(p->signature))
                ir_member(&o->w, "signature", p->signature);
        }
        openai_chat_write_format(&o->w, p->maker);
        jw_member_i64(&o->w, "index", index++);
        jw_object_end(&o->w);
    }
    jw_array_end(&o->w);
}

static void write_reasoning(struct out *o, const struct ir_part *list)
{
    bool signed_ = false, text = false;
    for (const struct ir_part *p = list; p; p = p->next) {
        signed_ |= p->kind == IR_PART_REASONING && ir_has(p->signature);
        text |= p->kind == IR_PART_REASONING && p->text.s.n;
    }
    if (text) {
        jw_key_plain(&o->w, SLICE_LIT("reasoning_content"));
        openai_chat_write_joined(&o->w, list, IR_PART_REASONING);
    }
    if (signed_)
        write_reasoning_details(o, list);
}

static void write_assistant(struct out *o, const struct ir_message *m)
{
    begin_message(o, "assistant", m->name);
    bool silent = has_kind(m->parts, IR_PART_TOOL_CALL) || has_kind(m->parts, IR_PART_REFUSAL);
    write_content(o, m->parts, is_text, silent ? NULL : "");
    if (has_kind(m->parts, IR_PART_REFUSAL)) {
        jw_key_plain(&o->w, SLICE_LIT("refusal"));
        openai_chat_write_joined(&o->w, m->parts, IR_PART_REFUSAL);
    }
    if (has_quirk(o, PROVIDER_QUIRK_REASONING_BACK))
        write_reasoning(o, m->parts);
    write_calls(o, m->parts);
    jw_object_end(&o->w);
}

static void write_result(struct out *o, const struct ir_part *p)
{
    begin_message(o, "tool", (struct ir_text){{NULL, 0}, false});
    write_call_id(o, SLICE_LIT("tool_call_id"), p->call_id);
    if (p->result_json.p)
        jw_member_str(&o->w, "content", p->result_json);
    else
        write_content(o, p->content, is_text, "");
    jw_object_end(&o->w);
}

static bool holds_media(const struct ir_message *m)
{
    for (const struct ir_part *p = m->parts; p; p = p->next)
        for (const struct ir_part *c = p->content; c; c = c->next)
            if (!is_text(c))
                return true;
    return false;
}

/* A run of tool messages ends: what their results showed follows as a user message, for no other
 * message may stand between calls and results. */
static void write_media_of_results(struct out *o, const struct ir_message *end)
{
    const struct ir_message *m = o->images;
    o->images = NULL;
    if (!m)
        return;
    begin_message(o, "user", (struct ir_text){{NULL, 0}, false});
    jw_member_array(&o->w, "content");
    for (; m != end; m = m->next) {
        for (const struct ir_part *p = m->parts; p; p = p->next) {
            bool named = false;
            for (const struct ir_part *c = p->content; c; c = c->next) {
                struct ir_text t[] = {IR_LIT("Shown by the result of call "), p->call_id,
                                      IR_LIT(":")};
                if (is_text(c))
                    continue;
                if (!named) {
                    jw_object(&o->w);
                    type_of(&o->w, "text");
                    jw_key_plain(&o->w, SLICE_LIT("text"));
                    ir_write_str_parts(&o->w, t, ARRAY_LEN(t));
                    jw_object_end(&o->w);
                    named = true;
                }
                write_part(o, c);
            }
        }
    }
    jw_array_end(&o->w);
    jw_object_end(&o->w);
}

static void write_message(struct out *o, const struct ir_message *m)
{
    static const char *const roles[] = {
        [IR_SYSTEM] = "system", [IR_DEVELOPER] = "developer", [IR_USER] = "user"};
    if (m->role == IR_TOOL) {
        for (const struct ir_part *p = m->parts; p; p = p->next)
            if (p->kind == IR_PART_TOOL_RESULT)
                write_result(o, p);
        if (!o->images && holds_media(m))
            o->images = m;
        return;
    }
    write_media_of_results(o, m);
    if (m->role == IR_ASSISTANT) {
        write_assistant(o, m);
        return;
    }
    bool old = m->role == IR_DEVELOPER && !has_quirk(o, PROVIDER_QUIRK_NEW_NAMES);
    begin_message(o, old ? "system" : roles[m->role], m->name);
    write_content(o, m->parts, is_content, "");
    jw_object_end(&o->w);
}

static bool is_system(const struct ir_message *m)
{
    return m->role == IR_SYSTEM || m->role == IR_DEVELOPER;
}

/* m, or what is behind it where it has been said in front: "After the (optional) system message(s),
 * user or tool message(s) should alternate with assistant message(s)", says Perplexity. */
static const struct ir_message *next_turn(const struct out *o, const struct ir_message *m)
{
    while (m && is_system(m) && has_quirk(o, PROVIDER_QUIRK_ALTERNATES))
        m = m->next;
    return m;
}

/* Behind the messages that become one with m; the one behind m itself where none do. */
static const struct ir_message *end_of_run(const struct out *o, const struct ir_message *m)
{
    const struct ir_message *end = next_turn(o, m->next);
    if (!has_quirk(o, PROVIDER_QUIRK_ALTERNATES) || (m->role != IR_USER && m->role != IR_ASSISTANT))
        return end;
    while (end && end->role == m->role && !has_kind(end->parts, IR_PART_TOOL_CALL))
        end = next_turn(o, end->next);
    return has_kind(m->parts, IR_PART_TOOL_CALL) ? next_turn(o, m->next) : end;
}

static void write_run(struct out *o, const struct ir_message *m, const struct ir_message *end)
{
    write_media_of_results(o, m);
    begin_message(o, m->role == IR_USER ? "user" : "assistant", m->name);
    jw_member_array(&o->w, "content");
    for (; m != end; m = next_turn(o, m->next))
        for (const struct ir_part *p = m->parts; p; p = p->next)
            if (m->role == IR_USER ? is_content(p) : is_text(p))
                write_part(o, p);
    jw_array_end(&o->w);
    jw_object_end(&o->w);
}

static void write_messages(struct out *o)
{
    const struct ir_message *end;
    jw_member_array(&o->w, "messages");
    for (const struct ir_message *m = o->r->messages; m; m = m->next)
        if (is_system(m) && has_quirk(o, PROVIDER_QUIRK_ALTERNATES))
            write_message(o, m);
    for (const struct ir_message *m = next_turn(o, o->r->messages); m; m = end) {
        end = end_of_run(o, m);
        if (end == next_turn(o, m->next))
            write_message(o, m);
        else
            write_run(o, m, end);
    }
    write_media_of_results(o, NULL);
    jw_array_end(&o->w);
}

/* ---- tools ---- */

static bool is_allowed(const struct ir_request *r, struct ir_text name)
{
    for (size_t i = 0; i < r->n_allowed_tools; i++)
        if (ir_text_eq(r->allowed_tools[i], name))
            return true;
    return r->n_allowed_tools == 0;
}

static void write_tool(struct out *o, const struct ir_tool *t)
{
    jw_object(&o->w);
    type_of(&o->w, "function");
    jw_member_object(&o->w, "function");
    ir_member(&o->w, "name", t->name);
    if (ir_has(t->description))
        ir_member(&o->w, "description", t->description);
    if (t->parameters.p)
        jw_member_raw(&o->w, "parameters", t->parameters);
    if (t->strict >= 0)
        jw_member_bool(&o->w, "strict", t->strict);
    jw_object_end(&o->w);
    write_cache(o, t->cache);
    jw_object_end(&o->w);
}

static void write_tools(struct out *o)
{
    bool all = has_quirk(o, PROVIDER_QUIRK_NEW_NAMES);
    if (!ir_noted(o->r, IR_F_TOOLS))
        return;
    jw_member_array(&o->w, "tools");
    for (const struct ir_tool *t = o->r->tools; t; t = t->next)
        if (!ir_has(t->hosted_type) && (all || is_allowed(o->r, t->name)))
            write_tool(o, t);
    jw_array_end(&o->w);
}

static void write_named(struct json_writer *w, struct ir_text name)
{
    jw_object(w);
    type_of(w, "function");
    jw_member_object(w, "function");
    ir_member(w, "name", name);
    jw_object_end(w);
    jw_object_end(w);
}

static void write_allowed(struct out *o)
{
    jw_object(&o->w);
    type_of(&o->w, "allowed_tools");
    jw_member_object(&o->w, "allowed_tools");
    jw_member_str(&o->w, "mode",
                  slice_str(o->r->tool_choice == IR_CHOICE_ANY ? "required" : "auto"));
    jw_member_array(&o->w, "tools");
    for (size_t i = 0; i < o->r->n_allowed_tools; i++)
        write_named(&o->w, o->r->allowed_tools[i]);
    jw_array_end(&o->w);
    jw_object_end(&o->w);
    jw_object_end(&o->w);
}

static void write_tool_choice(struct out *o)
{
    static const char *const words[] = {
        [IR_CHOICE_AUTO] = "auto", [IR_CHOICE_NONE] = "none", [IR_CHOICE_ANY] = "required"};
    const struct ir_request *r = o->r;
    if (r->tool_choice == IR_CHOICE_UNSET || !ir_noted(r, IR_F_TOOLS))
        return;
    jw_key_plain(&o->w, SLICE_LIT("tool_choice"));
    if (r->tool_choice == IR_CHOICE_TOOL)
        write_named(&o->w, r->tool_choice_name);
    else if (r->n_allowed_tools && has_quirk(o, PROVIDER_QUIRK_NEW_NAMES))
        write_allowed(o);
    else
        jw_str(&o->w, slice_str(words[r->tool_choice]));
}

/* ---- the rest ---- */

static void write_format(struct out *o)
{
    const struct ir_request *r = o->r;
    struct json_writer *w = &o->w;
    if (r->format == IR_FORMAT_UNSET)
        return;
    jw_member_object(w, "response_format");
    if (r->format == IR_FORMAT_SCHEMA) {
        type_of(w, "json_schema");
        jw_member_object(w, "json_schema");
        ir_member(w, "name", or_else(r->format_name, "response"));
        if (ir_has(r->format_description))
            ir_member(w, "description", r->format_description);
        if (r->format_schema.p)
            jw_member_raw(w, "schema", r->format_schema);
        if (r->format_strict >= 0)
            jw_member_bool(w, "strict", r->format_strict);
        jw_object_end(w);
    } else {
        type_of(w, r->format == IR_FORMAT_JSON ? "json_object" : "text");
    }
    jw_object_end(w);
}

static void write_effort(struct out *o)
{
    enum ir_effort e = o->r->effort;
    if (e == IR_EFFORT_UNSET && o->r->thinking_budget != 0)
        e = ir_effort_of_budget(o->r->thinking_budget);
    if (e != IR_EFFORT_UNSET && may_have(o, PROVIDER_MEMBER_EFFORT, IR_F_EFFORT))
        jw_member_str(&o->w, "reasoning_effort", slice_str(ir_effort_name(e)));
}

static void write_stop(struct out *o)
{
    if (o->r->n_stop == 0 || !may_have(o, PROVIDER_MEMBER_STOP, IR_F_STOP))
        return;
    jw_member_array(&o->w, "stop");
    for (size_t i = 0; i < o->r->n_stop; i++)
        ir_write_str(&o->w, o->r->stop[i]);
    jw_array_end(&o->w);
}

struct ir_text openai_tier(struct ir_text tier)
{
    if (ir_text_is(tier, SLICE_LIT("standard_only")) || ir_text_is(tier, SLICE_LIT("standard")))
        return IR_LIT("default");
    return tier;
}

static void write_number(struct out *o, const char *name, struct slice spelled)
{
    if (!spelled.p)
        return;
    jw_key_plain(&o->w, slice_str(name));
    jw_raw(&o->w, spelled);
}

static void write_text(struct out *o, const char *name, struct ir_text t)
{
    if (!ir_has(t))
        return;
    jw_key_plain(&o->w, slice_str(name));
    ir_write_str(&o->w, t);
}

static void write_sampling(struct out *o)
{
    const struct ir_request *r = o->r;
    if (may_have(o, PROVIDER_MEMBER_SAMPLING, IR_F_TEMPERATURE))
        write_number(o, "temperature", r->temperature);
    if (may_have(o, PROVIDER_MEMBER_SAMPLING, IR_F_TOP_P))
        write_number(o, "top_p", r->top_p);
    if (takes(o, PROVIDER_QUIRK_TOP_K, IR_F_TOP_K))
        write_number(o, "top_k", r->top_k);
    if (may_have(o, PROVIDER_MEMBER_PENALTIES, IR_F_PRESENCE_PENALTY))
        write_number(o, "presence_penalty", r->presence_penalty);
    if (may_have(o, PROVIDER_MEMBER_PENALTIES, IR_F_FREQUENCY_PENALTY))
        write_number(o, "frequency_penalty", r->frequency_penalty);
    write_number(o, has_quirk(o, PROVIDER_QUIRK_RANDOM_SEED) ? "random_seed" : "seed", r->seed);
    write_stop(o);
    if (r->n > 1)
        jw_member_i64(&o->w, "n", r->n);
    bool logprobs = r->logprobs && may_have(o, PROVIDER_MEMBER_LOGPROBS, IR_F_LOGPROBS);
    if (logprobs)
        jw_member_bool(&o->w, "logprobs", true);
    if (logprobs && r->top_logprobs >= 0)
        jw_member_i64(&o->w, "top_logprobs", r->top_logprobs);
    if (may_have(o, PROVIDER_MEMBER_LOGIT_BIAS, IR_F_LOGIT_BIAS))
        write_number(o, "logit_bias", r->logit_bias);
}

static void write_account(struct out *o)
{
    const struct ir_request *r = o->r;
    const uint32_t own = PROVIDER_QUIRK_NEW_NAMES;
    if (may_have(o, PROVIDER_MEMBER_USER, IR_F_USER))
        write_text(o, "user", r->user);
    if (may_have(o, PROVIDER_MEMBER_SERVICE_TIER, IR_F_SERVICE_TIER))
        write_text(o, "service_tier", openai_tier(r->service_tier));
    if (takes(o, own, IR_F_METADATA))
        jw_member_raw(&o->w, "metadata", r->metadata);
    if (takes(o, own, IR_F_STORE))
        jw_member_bool(&o->w, "store", r->store > 0);
    if (takes(o, own, IR_F_PREDICTION))
        jw_member_raw(&o->w, "prediction", r->prediction);
    if (takes(o, own, IR_F_VERBOSITY))
        write_text(o, "verbosity", r->verbosity);
    if (takes(o, own, IR_F_PROMPT_CACHE_KEY)) {
        write_text(o, "prompt_cache_key", r->prompt_cache_key);
        write_text(o, "prompt_cache_retention", r->prompt_cache_retention);
    }
    (void)takes(o, PROVIDER_QUIRK_REASONING_BACK, IR_F_REASONING);
    (void)takes(o, PROVIDER_QUIRK_REASONING_BACK, IR_F_REASONING_SIGNATURE);
    (void)takes(o, PROVIDER_QUIRK_CACHE_CONTROL, IR_F_CACHE_CONTROL);
}

static void write_all(struct out *o)
{
    const struct ir_request *r = o->r;
    struct json_writer *w = &o->w;
    jw_object(w);
    jw_member_str(w, "model", o->t->model);
    write_messages(o);
    write_tools(o);
    write_tool_choice(o);
    if (r->parallel_tools >= 0 && ir_noted(r, IR_F_TOOLS) &&
        may_have(o, PROVIDER_MEMBER_PARALLEL_TOOLS, IR_F_PARALLEL_TOOLS))
        jw_member_bool(w, "parallel_tool_calls", r->parallel_tools);
    if (r->max_tokens >= 0 && has_quirk(o, PROVIDER_QUIRK_NEW_NAMES))
        jw_member_i64(w, "max_completion_tokens", r->max_tokens);
    else if (r->max_tokens >= 0)
        jw_member_i64(w, "max_tokens", r->max_tokens);
    write_sampling(o);
    write_format(o);
    write_effort(o);
    write_account(o);
    if (r->stream)
        jw_member_bool(w, "stream", true);
    if (r->stream && o->t->want_usage) {
        jw_member_object(w, "stream_options");
        jw_member_bool(w, "include_usage", true);
        jw_object_end(w);
    }
    jw_object_end(w);
}

/* Formats of audio are all that can be wrong with values here. */
static const struct ir_message *odd_audio(const struct ir_request *r)
{
    for (const struct ir_message *m = r->messages; m; m = m->next)
        for (const struct ir_part *p = m->parts; p; p = p->next)
            if (p->kind == IR_PART_AUDIO &&
                (p->source != IR_SOURCE_BASE64 || !openai_chat_audio_format(p->media_type).p))
                return m;
    return NULL;
}

int openai_chat_write_request(const struct ir_request *r, const struct codec_target *t,
                              struct buf *out, struct dialect_refusal *why)
{
    struct out o = {.r = r, .t = t};
    const struct ir_message *odd = odd_audio(r);
    size_t n;
    memset(why, 0, sizeof *why);
    if (odd) {
        snprintf(why->message, sizeof why->message,
                 "Message %u holds audio that can't be sent to this model's provider: it takes "
                 "base64 of a known format, such as WAV or MP3.",
                 odd->index);
        why->code = "unsupported_value";
        return -1;
    }
    jw_init_buf(&o.w, out);
    write_all(&o);
    return jw_finish(&o.w, &n);
}
