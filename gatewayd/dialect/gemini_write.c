/*
 * gemini_write.c: writes a request in the internal form as the body of generateContent; the model
 * and whether it streams are told by the path.
 *
 * Contents: messages that follow each other in one role are one Content; the results of a turn's
 * calls stand in a Content of their own, since the API wants as many functionResponse parts behind
 * a turn as it had functionCall parts (ai.google.dev/gemini-api/docs/function-calling).
 */
#include "gatewayd/dialect/gemini.h"

#include <stdio.h>

enum group { GROUP_NONE, GROUP_USER, GROUP_MODEL, GROUP_RESULTS };

struct out {
    const struct ir_request *r;
    const struct codec_target *t;
    struct json_writer w;
    struct dialect_refusal *why;
    enum group group; /* of the Content that is open */
    bool has_call;    /* the open Content has a functionCall */
    bool has_content;
    bool has_levels; /* the model takes thinkingLevel and insists on thought signatures */
};

static int refuse(const struct out *o, const struct ir_message *m, const char *what)
{
    snprintf(o->why->param, sizeof o->why->param, "%s[%u]", o->r->list, m->index);
    snprintf(o->why->message, sizeof o->why->message, "'%s': %s.", o->why->param, what);
    o->why->code = "invalid_value";
    return -1;
}

/* Gemini 3 and later take a level and refuse a functionCall of the current turn that comes without
 * its signature; 2.5 and earlier take a budget (ai.google.dev/gemini-api/docs/thinking and
 * /thought-signatures). */
static bool knows_levels(struct slice model)
{
    static const char family[] = "gemini-";
    const char *at = memmem(model.p, model.n, family, sizeof family - 1);
    if (!at)
        return false;
    const char *digit = at + sizeof family - 1;
    return digit >= model.p + model.n || *digit < '0' || *digit > '2';
}

/* ---- parts ---- */

static void put_signature(struct out *o, struct ir_text signature)
{
    if (ir_has(signature) && signature.s.n)
        ir_member(&o->w, "thoughtSignature", signature);
}

static void put_text(struct out *o, struct ir_text text, bool thought, struct ir_text signature)
{
    jw_object(&o->w);
    ir_member(&o->w, "text", ir_has(text) ? text : IR_LIT(""));
    if (thought)
        jw_member_bool(&o->w, "thought", true);
    put_signature(o, signature);
    jw_object_end(&o->w);
}

static const struct {
    const char *ending, *type;
} endings[] = {
    {".png", "image/png"},       {".jpg", "image/jpeg"},   {".jpeg", "image/jpeg"},
    {".webp", "image/webp"},     {".gif", "image/gif"},    {".heic", "image/heic"},
    {".pdf", "application/pdf"}, {".txt", "text/plain"},   {".html", "text/html"},
    {".csv", "text/csv"},        {".md", "text/markdown"}, {".mp3", "audio/mp3"},
    {".wav", "audio/wav"},       {".mp4", "video/mp4"},    {".webm", "video/webm"},
};

/* {NULL}: the URL's path doesn't tell. */
static struct ir_text type_of_url(struct slice url)
{
    const char *stop = memchr(url.p, '?', url.n);
    struct slice path = slice_of(url.p, stop ? (size_t)(stop - url.p) : url.n);
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        struct slice e = slice_str(endings[i].ending);
        if (path.n > e.n && slice_ieq(slice_of(path.p + path.n - e.n, e.n), e))
            return ir_plain(slice_str(endings[i].type));
    }
    return (struct ir_text){{NULL, 0}, false};
}

static struct ir_text default_type(enum ir_part_kind kind)
{
    switch (kind) {
    case IR_PART_IMAGE:
        return IR_LIT("image/jpeg");
    case IR_PART_AUDIO:
        return IR_LIT("audio/wav");
    case IR_PART_VIDEO:
        return IR_LIT("video/mp4");
    default:
        return IR_LIT("application/pdf");
    }
}

static bool is_type(struct ir_text t)
{
    return ir_has(t) && memchr(t.s.p, '/', t.s.n);
}

/* Some dialects name the format of audio alone ("wav"). */
static void put_type(struct out *o, const struct ir_part *p, struct ir_text fallback)
{
    struct ir_text format[] = {IR_LIT("audio/"), p->media_type};
    if (is_type(p->media_type))
        ir_member(&o->w, "mimeType", p->media_type);
    else if (p->kind == IR_PART_AUDIO && ir_has(p->media_type) && p->media_type.s.n) {
        jw_key_plain(&o->w, SLICE_LIT("mimeType"));
        ir_write_str_parts(&o->w, format, ARRAY_LEN(format));
    } else if (ir_has(fallback))
        ir_member(&o->w, "mimeType", fallback);
}

static void put_blob(struct out *o, const struct ir_part *p)
{
    jw_member_object(&o->w, "inlineData");
    put_type(o, p, default_type(p->kind));
    ir_member(&o->w, "data", p->data);
    jw_object_end(&o->w);
}

static bool is_google_id(struct slice id)
{
    return slice_starts_with(id, SLICE_LIT("https://")) ||
           slice_starts_with(id, SLICE_LIT("gs://")) || slice_starts_with(id, SLICE_LIT("files/"));
}

static int put_file(struct out *o, const struct ir_message *m, const struct ir_part *p)
{
    struct slice uri = ir_decode(o->r->arena, p->data);
    if (!uri.p)
        return refuse(o, m, "the URL of a file isn't valid Unicode");
    if (p->source == IR_SOURCE_FILE_ID && !is_google_id(uri))
        return refuse(o, m,
                      "the file id is of another provider; give this model the file itself, or "
                      "its URL");
    if (p->source == IR_SOURCE_URL && !slice_starts_with(uri, SLICE_LIT("https://")))
        return refuse(o, m, "this model's provider fetches files from https URLs only");
    jw_member_object(&o->w, "fileData");
    put_type(o, p, type_of_url(uri));
    ir_member(&o->w, "fileUri", p->data);
    jw_object_end(&o->w);
    return 0;
}

static int put_media(struct out *o, const struct ir_message *m, const struct ir_part *p)
{
    int rc = 0;
    if (p->source == IR_SOURCE_TEXT) {
        put_text(o, p->data, false, p->signature);
        return 0;
    }
    jw_object(&o->w);
    if (p->source == IR_SOURCE_BASE64)
        put_blob(o, p);
    else
        rc = put_file(o, m, p);
    put_signature(o, p->signature);
    jw_object_end(&o->w);
    return rc;
}

static int put_call(struct out *o, const struct ir_message *m, const struct ir_part *p)
{
    jw_object(&o->w);
    jw_member_object(&o->w, "functionCall");
    if (p->call_id.s.n)
        ir_member(&o->w, "id", p->call_id);
    ir_member(&o->w, "name", p->name);
    jw_key_plain(&o->w, SLICE_LIT("args"));
    if (ir_write_object(&o->w, o->r->arena, p->arguments) < 0)
        return refuse(o, m, "the arguments of a tool call are no JSON object");
    jw_object_end(&o->w);
    /* A call that another model made, or that lost its signature on the way; the first of a turn
     * must have one (ai.google.dev/gemini-api/docs/thought-signatures, FAQ). */
    if (o->has_levels && !o->has_call && !p->signature.s.n)
        put_signature(o, IR_LIT("skip_thought_signature_validator"));
    else
        put_signature(o, p->signature);
    jw_object_end(&o->w);
    o->has_call = true;
    return 0;
}

static struct ir_text text_of(const struct ir_part *p)
{
    if (p->kind == IR_PART_TEXT || p->kind == IR_PART_REFUSAL)
        return p->text;
    return p->source == IR_SOURCE_TEXT ? p->data : (struct ir_text){{NULL, 0}, false};
}

/* All texts of a result as one, a line between them. */
static int put_result_text(struct out *o, const struct ir_message *m, const struct ir_part *p)
{
    size_t n = 0, cap = 0;
    for (const struct ir_part *c = p->content; c; c = c->next)
        cap += 2;
    struct ir_text *all = arena_alloc(o->r->arena, (cap + 1) * sizeof *all);
    if (!all)
        return refuse(o, m, "the result of a tool is too large");
    for (const struct ir_part *c = p->content; c; c = c->next) {
        struct ir_text t = text_of(c);
        if (!ir_has(t))
            continue;
        if (n)
            all[n++] = IR_LIT("\n");
        all[n++] = t;
    }
    jw_member_object(&o->w, "response");
    jw_key_plain(&o->w, p->is_error ? SLICE_LIT("error") : SLICE_LIT("output"));
    ir_write_str_parts(&o->w, all, n);
    jw_object_end(&o->w);
    return 0;
}

static int put_result_media(struct out *o, const struct ir_message *m, const struct ir_part *p)
{
    bool any = false;
    for (const struct ir_part *c = p->content; c; c = c->next) {
        if (ir_has(text_of(c)))
            continue;
        if (c->source != IR_SOURCE_BASE64)
            return refuse(o, m,
                          "this model's provider takes files in a tool's result as base64 only");
        if (!any)
            jw_member_array(&o->w, "parts");
        any = true;
        jw_object(&o->w);
        put_blob(o, c);
        jw_object_end(&o->w);
    }
    if (any)
        jw_array_end(&o->w);
    return 0;
}

static int put_result(struct out *o, const struct ir_message *m, const struct ir_part *p)
{
    jw_object(&o->w);
    jw_member_object(&o->w, "functionResponse");
    if (p->call_id.s.n)
        ir_member(&o->w, "id", p->call_id);
    ir_member(&o->w, "name", p->name);
    if (p->result_json.p)
        jw_member_raw(&o->w, "response", p->result_json);
    else if (put_result_text(o, m, p) < 0)
        return -1;
    if (put_result_media(o, m, p) < 0)
        return -1;
    jw_object_end(&o->w);
    jw_object_end(&o->w);
    return 0;
}

static int put_part(struct out *o, const struct ir_message *m, const struct ir_part *p)
{
    static const struct ir_text none = {{NULL, 0}, false};
    switch (p->kind) {
    case IR_PART_TEXT:
    case IR_PART_REFUSAL:
        put_text(o, p->text, false, p->signature);
        return 0;
    case IR_PART_REASONING:
        put_text(o, p->redacted ? none : p->text, true, p->signature);
        return 0;
    case IR_PART_TOOL_CALL:
        return put_call(o, m, p);
    case IR_PART_TOOL_RESULT:
        return put_result(o, m, p);
    default:
        return put_media(o, m, p);
    }
}

/* ---- contents ---- */

static bool is_system(const struct ir_message *m)
{
    return m->role == IR_SYSTEM || m->role == IR_DEVELOPER;
}

/* The API refuses parts that hold nothing. */
static bool is_empty(const struct ir_part *p)
{
    bool is_text =
        p->kind == IR_PART_TEXT || p->kind == IR_PART_REFUSAL || p->kind == IR_PART_REASONING;
    return is_text && !p->text.s.n && !p->signature.s.n;
}

static void open_content(struct out *o, enum group g)
{
    if (o->group == g)
        return;
    if (o->group != GROUP_NONE) {
        jw_array_end(&o->w);
        jw_object_end(&o->w);
    }
    o->group = g;
    o->has_call = false;
    o->has_content = true;
    jw_object(&o->w);
    jw_member_str(&o->w, "role", g == GROUP_MODEL ? SLICE_LIT("model") : SLICE_LIT("user"));
    jw_member_array(&o->w, "parts");
}

static int put_message(struct out *o, const struct ir_message *m)
{
    for (const struct ir_part *p = m->parts; p; p = p->next) {
        if (is_empty(p))
            continue;
        open_content(o, p->kind == IR_PART_TOOL_RESULT ? GROUP_RESULTS
                        : m->role == IR_ASSISTANT      ? GROUP_MODEL
                                                       : GROUP_USER);
        if (put_part(o, m, p) < 0)
            return -1;
    }
    return 0;
}

static int put_contents(struct out *o)
{
    jw_member_array(&o->w, "contents");
    for (const struct ir_message *m = o->r->messages; m; m = m->next)
        if (!is_system(m) && put_message(o, m) < 0)
            return -1;
    if (!o->has_content) {
        snprintf(o->why->message, sizeof o->why->message,
                 "The request has no message with content besides system messages; this model "
                 "needs one.");
        snprintf(o->why->param, sizeof o->why->param, "%s", o->r->list);
        o->why->code = "invalid_value";
        return -1;
    }
    jw_array_end(&o->w);
    jw_object_end(&o->w);
    jw_array_end(&o->w);
    return 0;
}

static void put_system(struct out *o)
{
    bool any = false;
    for (const struct ir_message *m = o->r->messages; m; m = m->next) {
        if (!is_system(m))
            continue;
        for (const struct ir_part *p = m->parts; p; p = p->next) {
            struct ir_text t = text_of(p);
            if (!t.s.n)
                continue;
            if (!any) {
                jw_member_object(&o->w, "systemInstruction");
                jw_member_array(&o->w, "parts");
            }
            any = true;
            put_text(o, t, false, p->signature);
        }
    }
    if (any) {
        jw_array_end(&o->w);
        jw_object_end(&o->w);
    }
}

/* ---- tools ---- */

static void put_function(struct out *o, const struct ir_tool *t)
{
    jw_object(&o->w);
    ir_member(&o->w, "name", t->name);
    if (ir_has(t->description))
        ir_member(&o->w, "description", t->description);
    if (t->parameters.p)
        jw_member_raw(&o->w, "parametersJsonSchema", t->parameters);
    jw_object_end(&o->w);
}

static const char *mode_of(const struct ir_request *r)
{
    bool strict = false;
    for (const struct ir_tool *t = r->tools; t; t = t->next)
        strict |= t->strict == 1;
    switch (r->tool_choice) {
    case IR_CHOICE_NONE:
        return "NONE";
    case IR_CHOICE_ANY:
    case IR_CHOICE_TOOL:
        return "ANY";
    case IR_CHOICE_AUTO:
        return strict || r->n_allowed_tools ? "VALIDATED" : "AUTO";
    default:
        return strict ? "VALIDATED" : NULL;
    }
}

static void put_tool_config(struct out *o)
{
    const struct ir_request *r = o->r;
    const char *mode = mode_of(r);
    if (!mode)
        return;
    jw_member_object(&o->w, "toolConfig");
    jw_member_object(&o->w, "functionCallingConfig");
    jw_member_str(&o->w, "mode", slice_str(mode));
    if (r->tool_choice == IR_CHOICE_TOOL || r->n_allowed_tools) {
        jw_member_array(&o->w, "allowedFunctionNames");
        if (r->tool_choice == IR_CHOICE_TOOL)
            ir_write_str(&o->w, r->tool_choice_name);
        else
            for (size_t i = 0; i < r->n_allowed_tools; i++)
                ir_write_str(&o->w, r->allowed_tools[i]);
        jw_array_end(&o->w);
    }
    jw_object_end(&o->w);
    jw_object_end(&o->w);
}

static void put_tools(struct out *o)
{
    if (!o->r->tools)
        return;
    jw_member_array(&o->w, "tools");
    jw_object(&o->w);
    jw_member_array(&o->w, "functionDeclarations");
    for (const struct ir_tool *t = o->r->tools; t; t = t->next)
        put_function(o, t);
    jw_array_end(&o->w);
    jw_object_end(&o->w);
    jw_array_end(&o->w);
    put_tool_config(o);
}

/* ---- generationConfig ---- */

static const char *level_of(enum ir_effort e)
{
    switch (e) {
    case IR_EFFORT_NONE:
    case IR_EFFORT_MINIMAL:
        return "MINIMAL";
    case IR_EFFORT_LOW:
        return "LOW";
    case IR_EFFORT_MEDIUM:
        return "MEDIUM";
    default:
        return "HIGH";
    }
}

/* The most that every thinking model with a budget takes
 * (ai.google.dev/gemini-api/docs/thinking#set-budget). */
enum { BUDGET_MAX = 24576 };

/* Elsewhere who asks for reasoning is shown it where the provider gives it away; here it must be
 * asked for. */
static int shows_thoughts(const struct ir_request *r)
{
    bool effort = r->effort != IR_EFFORT_UNSET && r->effort != IR_EFFORT_NONE;
    bool budget = r->thinking_budget > 0 || r->thinking_budget == IR_BUDGET_DYNAMIC;
    if (r->include_thoughts < 0 && r->names != gemini_fields && (effort || budget))
        return 1;
    return r->include_thoughts;
}

/* Both a level and a budget in one request are refused; a budget alone is taken by every model. */
static void put_thinking(struct out *o)
{
    const struct ir_request *r = o->r;
    bool effort = r->effort != IR_EFFORT_UNSET, budget = r->thinking_budget != -1;
    int show = shows_thoughts(r);
    if (!effort && !budget && show < 0)
        return;
    jw_member_object(&o->w, "thinkingConfig");
    if (effort && (o->has_levels || !budget)) {
        if (o->has_levels)
            jw_member_str(&o->w, "thinkingLevel", slice_str(level_of(r->effort)));
        else
            jw_member_i64(&o->w, "thinkingBudget",
                          GW_MIN(ir_budget_of_effort(r->effort), (int64_t)BUDGET_MAX));
    } else if (budget)
        jw_member_i64(&o->w, "thinkingBudget",
                      r->thinking_budget == IR_BUDGET_DYNAMIC ? -1 : r->thinking_budget);
    if (show >= 0)
        jw_member_bool(&o->w, "includeThoughts", show);
    jw_object_end(&o->w);
}

static void put_modalities(struct out *o)
{
    struct json_doc d;
    json_doc_init(&d, 64);
    jw_member_array(&o->w, "responseModalities");
    if (json_parse(&d, o->r->modalities.p, o->r->modalities.n) == 0)
        json_foreach_element(&d, JSON_ROOT, e)
        {
            char name[32];
            size_t n;
            if (json_str_decode(&d, e, name, sizeof name, &n) < 0)
                continue;
            for (size_t i = 0; i < n; i++)
                name[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] & ~0x20) : name[i];
            jw_str(&o->w, slice_of(name, n));
        }
    jw_array_end(&o->w);
    json_doc_release(&d);
}

static void put_format(struct out *o)
{
    const struct ir_request *r = o->r;
    if (r->format != IR_FORMAT_JSON && r->format != IR_FORMAT_SCHEMA)
        return;
    jw_member_str(&o->w, "responseMimeType", SLICE_LIT("application/json"));
    if (r->format == IR_FORMAT_SCHEMA && r->format_schema.p)
        jw_member_raw(&o->w, "responseJsonSchema", r->format_schema);
}

static void put_number(struct out *o, const char *name, struct slice number)
{
    if (!number.p)
        return;
    jw_key_plain(&o->w, slice_str(name));
    jw_raw(&o->w, number);
}

static void put_figures(struct out *o)
{
    const struct ir_request *r = o->r;
    if (r->max_tokens >= 0)
        jw_member_i64(&o->w, "maxOutputTokens", r->max_tokens);
    put_number(o, "temperature", r->temperature);
    put_number(o, "topP", r->top_p);
    put_number(o, "topK", r->top_k);
    put_number(o, "presencePenalty", r->presence_penalty);
    put_number(o, "frequencyPenalty", r->frequency_penalty);
    put_number(o, "seed", r->seed);
    if (r->n >= 0)
        jw_member_i64(&o->w, "candidateCount", r->n);
    if (r->logprobs)
        jw_member_bool(&o->w, "responseLogprobs", true);
    if (r->logprobs && r->top_logprobs >= 0)
        jw_member_i64(&o->w, "logprobs", r->top_logprobs);
}

static void put_config(struct out *o)
{
    const struct ir_request *r = o->r;
    jw_member_object(&o->w, "generationConfig");
    put_figures(o);
    if (r->n_stop) {
        jw_member_array(&o->w, "stopSequences");
        for (size_t i = 0; i < r->n_stop; i++)
            ir_write_str(&o->w, r->stop[i]);
        jw_array_end(&o->w);
    }
    put_format(o);
    put_thinking(o);
    if (ir_noted(r, IR_F_MODALITIES) && r->modalities.p)
        put_modalities(o);
    jw_object_end(&o->w);
}

/* ---- the body ---- */

/* ai.google.dev/gemini-api/docs/service-tiers: standard, flex, priority. */
static void put_tier(struct out *o)
{
    struct ir_text tier = o->r->service_tier;
    if (!ir_has(tier) || ir_text_is(tier, SLICE_LIT("auto")))
        return;
    if (ir_text_is(tier, SLICE_LIT("default")) || ir_text_is(tier, SLICE_LIT("standard")))
        jw_member_str(&o->w, "serviceTier", SLICE_LIT("standard"));
    else if (ir_text_is(tier, SLICE_LIT("flex")) || ir_text_is(tier, SLICE_LIT("priority")))
        ir_member(&o->w, "serviceTier", tier);
    else
        ir_list_dropped(o->r, IR_F_SERVICE_TIER, o->t->dropped);
}

int gemini_write_request(const struct ir_request *r, const struct codec_target *t, struct buf *out,
                         struct dialect_refusal *why)
{
    struct out o = {.r = r, .t = t, .why = why, .has_levels = knows_levels(t->model)};
    size_t n;
    jw_init_buf(&o.w, out);
    jw_object(&o.w);
    put_system(&o);
    if (put_contents(&o) < 0)
        return -1;
    put_tools(&o);
    put_config(&o);
    if (r->safety.p)
        jw_member_raw(&o.w, "safetySettings", r->safety);
    if (ir_has(r->cached_content))
        ir_member(&o.w, "cachedContent", r->cached_content);
    put_tier(&o);
    jw_object_end(&o.w);
    if (jw_finish(&o.w, &n) == 0)
        return 0;
    memset(why, 0, sizeof *why);
    return -1;
}
