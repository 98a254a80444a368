/*
 * openai_relay.c: OpenAI's operations that are relayed (relay.h): what is read of their forms,
 * their answers and their events. Their JSON requests are openai_request.c's, their errors
 * openai_error.c's.
 *
 * Formats: platform.openai.com/docs/api-reference, moderations, audio, images; event and usage
 * types as in the official client (openai-node, resources/audio and resources/images).
 */
#include "gatewayd/dialect/relay.h"

#include "common/json_scan.h"
#include "gatewayd/dialect/openai.h"
#include "gatewayd/http/multipart.h"

#include <stdio.h>

/* An audio token of speech is about 50 ms (OpenAI's guide to its realtime costs); at 100 bytes each
 * that is 16 kbit/s, less than any format that the API answers in takes. So audio of n bytes is at
 * most n / 100 tokens. */
enum { AUDIO_BYTES_PER_TOKEN = 100 };

uint64_t relay_audio_tokens(uint64_t bytes)
{
    return (bytes + AUDIO_BYTES_PER_TOKEN - 1) / AUDIO_BYTES_PER_TOKEN;
}

/* ---- forms ---- */

struct form {
    enum dialect_op op;
    struct dialect_request *out;
    struct dialect_refusal *why;
    const char *body;
    uint32_t seen;
};

static bool is_utf8(struct slice s)
{
    const uint8_t *p = (const uint8_t *)s.p, *end = p + s.n;
    while (p < end) {
        unsigned n = *p < 0x80 ? 1 : json_utf8_length(p, end);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

/* Names go into header fields and logs. */
static int take_name(struct form *f, const char *param, struct slice v, struct dialect_name *out)
{
    if (v.n == 0 || v.n > DIALECT_NAME_BYTES || !is_utf8(v))
        return dialect_refuse(f->why, "invalid_value", param,
                              "'%s' must be a name of 1 to %d bytes of valid Unicode.", param,
                              DIALECT_NAME_BYTES);
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f)
            return dialect_refuse(f->why, "invalid_value", param,
                                  "'%s' must not hold control characters.", param);
    memcpy(out->s, v.p, v.n);
    out->n = (uint8_t)v.n;
    return 0;
}

static int form_model(struct form *f, const char *param, struct slice v)
{
    f->out->model_value.off = (uint32_t)(v.p - f->body);
    f->out->model_value.end = f->out->model_value.off + (uint32_t)v.n;
    return take_name(f, param, v, &f->out->model);
}

static int form_user(struct form *f, const char *param, struct slice v)
{
    return v.n == 0 ? 0 : take_name(f, param, v, &f->out->user);
}

/* The words that servers read as booleans in a form (OpenAI's clients write true and false; vLLM
 * and others take pydantic's). */
static int form_stream(struct form *f, const char *param, struct slice v)
{
    static const char *const yes[] = {"true", "1", "yes", "on", "y", "t"};
    static const char *const no[] = {"false", "0", "no", "off", "n", "f", ""};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        if (slice_ieq(v, slice_str(yes[i]))) {
            f->out->stream = true;
            return 0;
        }
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        if (slice_ieq(v, slice_str(no[i])))
            return 0;
    return dialect_refuse(f->why, "invalid_type", param, "'%s' must be true or false.", param);
}

static int form_prompt(struct form *f, const char *param, struct slice v)
{
    (void)param;
    f->out->prompt_bytes += v.n;
    return 0;
}

enum { FORM_N_MAX = 1000 };

static int form_n(struct form *f, const char *param, struct slice v)
{
    uint64_t n;
    if (slice_to_u64(v, FORM_N_MAX, &n) < 0 || n == 0)
        return dialect_refuse(f->why, "invalid_value", param,
                              "'%s' must be an integer from 1 to %d.", param, FORM_N_MAX);
    f->out->n = (int64_t)n;
    return 0;
}

static int form_purpose(struct form *f, const char *param, struct slice v)
{
    (void)param;
    f->out->upload_is_batch = slice_eq_str(v, "batch");
    return 0;
}

enum {
    AUDIO = 1 << 0, /* transcriptions, translations */
    EDITS = 1 << 1,
    VARIATIONS = 1 << 2,
    UPLOAD = 1 << 3,
};

static unsigned form_of(enum dialect_op op)
{
    if (op == DIALECT_IMAGE_EDITS)
        return EDITS;
    if (op == DIALECT_FILE_CREATE)
        return UPLOAD;
    return op == DIALECT_IMAGE_VARIATIONS ? VARIATIONS : AUDIO;
}

static const struct {
    struct slice name;
    unsigned forms;
    int (*read)(struct form *f, const char *param, struct slice v);
} fields[] = {
    {SLICE_LIT("model"), AUDIO | EDITS | VARIATIONS, form_model},
    {SLICE_LIT("stream"), AUDIO | EDITS, form_stream},
    {SLICE_LIT("prompt"), AUDIO | EDITS, form_prompt},
    {SLICE_LIT("n"), EDITS | VARIATIONS, form_n},
    {SLICE_LIT("user"), EDITS | VARIATIONS, form_user},
    {SLICE_LIT("purpose"), UPLOAD, form_purpose},
};
enum { FIELD_MODEL = 0 };

static int take_field(struct form *f, const struct multipart_part *part)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const char *name = fields[i].name.p;
        if (!(fields[i].forms & form_of(f->op)) || !slice_eq(part->name, fields[i].name))
            continue;
        if (part->is_file)
            return dialect_refuse(f->why, "invalid_type", name, "'%s' must be a field, not a file.",
                                  name);
        if (f->seen >> i & 1)
            return dialect_refuse(f->why, "duplicate_member", name, "'%s' is given more than once.",
                                  name);
        f->seen |= UINT32_C(1) << i;
        return fields[i].read(f, name, part->data);
    }
    return 0;
}

static int take_file(struct form *f, const struct multipart_part *part)
{
    struct dialect_span *upload = &f->out->upload;
    if (form_of(f->op) == AUDIO)
        f->out->media_bytes += part->data.n;
    else if (form_of(f->op) != UPLOAD)
        f->out->images++;
    else if (upload->end)
        return dialect_refuse(f->why, "duplicate_member", "file", "there must be one file.");
    else {
        upload->off = (uint32_t)(part->data.p - f->body);
        upload->end = upload->off + (uint32_t)part->data.n;
    }
    return 0;
}

static int check_form(struct form *f, bool file, struct slice default_model)
{
    const char *name = form_of(f->op) & (AUDIO | UPLOAD) ? "file" : "image";
    if (!file)
        return dialect_refuse(f->why, "missing_required_parameter", name,
                              "'%s' is required, as a file.", name);
    if (f->seen >> FIELD_MODEL & 1)
        return 0;
    if (default_model.n == 0 && relay_of(f->op)->model != RELAY_MODEL_NEEDED)
        return 0;
    if (default_model.n == 0 || default_model.n > DIALECT_NAME_BYTES)
        return dialect_refuse(f->why, "missing_required_parameter", "model",
                              "'model' is required.");
    memcpy(f->out->model.s, default_model.p, default_model.n);
    f->out->model.n = (uint8_t)default_model.n;
    return 0;
}

int relay_read_form(struct slice body, struct slice boundary, enum dialect_op op,
                    struct slice default_model, struct dialect_request *out,
                    struct dialect_refusal *why)
{
    struct form f = {.op = op, .out = out, .why = why, .body = body.p};
    struct multipart m;
    struct multipart_part part;
    bool file = false;
    memset(out, 0, sizeof *out);
    out->op = op;
    out->max_output_tokens = out->n = out->best_of = -1;
    out->form_boundary = boundary;
    out->root.end = (uint32_t)body.n;
    multipart_init(&m, boundary, body);
    for (;;) {
        switch (multipart_next(&m, &part)) {
        case MULTIPART_BAD:
            return dialect_refuse(
                why, "invalid_form", "",
                "The request body is not valid multipart/form-data: %s, at byte %zu.", m.why,
                m.why_at);
        case MULTIPART_END:
            return check_form(&f, file, default_model);
        case MULTIPART_PART:
            break;
        }
        file |= part.is_file;
        if ((part.is_file && take_file(&f, &part) < 0) || take_field(&f, &part) < 0)
            return -1;
    }
}

/* ---- the model upstream ---- */

static int note(struct splices *out, uint32_t off, uint32_t cut, struct slice made)
{
    struct slice own = splices_note(out, made);
    return own.p ? splices_add(out, off, cut, own) : -1;
}

/* As the first part, so that no delimiter of the caller's is touched. */
static int add_model_part(const struct dialect_request *req, struct slice model,
                          struct splices *out)
{
    char text[MULTIPART_BOUNDARY_MAX_BYTES + DIALECT_NAME_BYTES + 80];
    int n = snprintf(text, sizeof text,
                     "--%.*s\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n%.*s\r\n",
                     SLICE_FMT(req->form_boundary), SLICE_FMT(model));
    if (n < 0 || (size_t)n >= sizeof text)
        return -1;
    return note(out, req->root.off, 0, slice_of(text, (size_t)n));
}

static int rewrite_request(const struct dialect_request *req, const struct dialect_rewrite *how,
                           struct splices *out, bool *injected)
{
    const struct dialect_span *at = &req->model_value;
    splices_reset(out);
    *injected = false;
    if (how->model.n == 0 || req->root.end == 0 || relay_of(req->op)->role != RELAY_PLAIN)
        return 0;
    if (!req->form_boundary.n)
        return dialect_splice_model(req, how->model, out);
    if (!at->end)
        return add_model_part(req, how->model, out);
    if (slice_eq(how->model, dialect_name_slice(&req->model)))
        return 0;
    return note(out, at->off, at->end - at->off, how->model);
}

/* ---- answers ---- */

/* Whole seconds, begun ones included. Also of a string: the API has had `duration` as one. */
static bool read_seconds(const struct json_doc *d, uint32_t v, int64_t *out)
{
    enum json_type t = json_type(d, v);
    struct slice text;
    uint64_t whole;
    if (json_i64(d, v, out) == 0)
        return *out >= 0 && *out <= USAGE_MAX_TOKENS;
    if (t != JSON_NUMBER && t != JSON_STRING)
        return false;
    text = json_raw(d, v);
    if (t == JSON_STRING)
        text = slice_of(text.p + 1, text.n - 2);
    struct slice digits = slice_split(&text, '.');
    if (slice_to_u64(digits, USAGE_MAX_TOKENS - 1, &whole) < 0)
        return false;
    bool more = false;
    for (size_t i = 0; text.p && i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        more |= text.p[i] != '0';
    }
    *out = (int64_t)whole + more;
    return true;
}

/* {"type":"tokens",…} as everywhere, or {"type":"duration","seconds":…}. */
static void read_usage(const struct json_doc *d, uint32_t object, struct dialect_usage *out)
{
    bool twice = false, more = false;
    uint32_t usage = json_get_unique(d, object, SLICE_LIT("usage"), &twice);
    uint32_t seconds = json_get_unique(d, usage, SLICE_LIT("seconds"), &more);
    int64_t n;
    if (twice || more) {
        openai_usage_is_odd(out);
    } else if (seconds == JSON_NONE) {
        openai_read_usage(d, usage, out);
    } else if (!(out->flags & USAGE_ODD) && read_seconds(d, seconds, &n)) {
        out->flags |= USAGE_PRESENT;
        out->units = n;
    } else {
        openai_usage_is_odd(out);
    }
}

/* verbose_json says how long the audio is, also where it has no usage. */
static void read_transcript(const struct json_doc *d, struct dialect_response *out)
{
    int64_t n;
    out->output_bytes = json_str_bytes(d, json_get_lit(d, JSON_ROOT, "text"));
    if (!(out->usage.flags & (USAGE_PRESENT | USAGE_ODD)) &&
        read_seconds(d, json_get_lit(d, JSON_ROOT, "duration"), &n)) {
        out->usage.flags = USAGE_PRESENT;
        out->usage.units = n;
    }
}

/* Nothing is billed for it; `expires_at` of files. */
static void read_object(const struct json_doc *d, struct dialect_response *out)
{
    out->usage.flags = USAGE_PRESENT | USAGE_ZERO;
    out->model_value = (struct dialect_span){0, 0};
    if (json_i64(d, json_get_lit(d, JSON_ROOT, "expires_at"), &out->expires_s) < 0 ||
        out->expires_s < 0)
        out->expires_s = 0;
}

static void read_result(const struct json_doc *d, enum dialect_op op, struct dialect_response *out)
{
    if (relay_of(op)->role != RELAY_PLAIN) {
        read_object(d, out);
        return;
    }
    switch (op) {
    case DIALECT_MODERATIONS:
        out->usage.flags = USAGE_PRESENT | USAGE_ZERO; /* nobody bills it */
        break;
    case DIALECT_IMAGES:
    case DIALECT_IMAGE_EDITS:
    case DIALECT_IMAGE_VARIATIONS:
        read_usage(d, JSON_ROOT, &out->usage);
        out->usage.units = json_count(d, json_get_lit(d, JSON_ROOT, "data"));
        break;
    default:
        read_usage(d, JSON_ROOT, &out->usage);
        read_transcript(d, out);
        break;
    }
}

static int read_response(struct json_doc *d, struct slice body, enum dialect_op op,
                         struct dialect_response *out)
{
    if (openai_begin_response(d, body, out) < 0)
        return -1;
    read_result(d, op, out);
    return 0;
}

/* ---- streams ---- */

static bool ends_with(const struct json_doc *d, uint32_t type, const char *end)
{
    struct slice s;
    size_t n = strlen(end);
    return json_str_plain(d, type, &s) && s.n >= n && memcmp(s.p + s.n - n, end, n) == 0;
}

/* Images have been generated for the most part when the first of them is shown: no count of bytes
 * says what a cut stream has cost, so it is the reservation's output. */
static void count_output(struct dialect_stream *s, const struct json_doc *d)
{
    s->output_bytes += json_str_bytes(d, json_get_lit(d, JSON_ROOT, "delta"));
    s->output_bytes +=
        relay_audio_tokens(json_str_bytes(d, json_get_lit(d, JSON_ROOT, "audio")) / 4 * 3);
    if (json_type(d, json_get_lit(d, JSON_ROOT, "b64_json")) == JSON_STRING)
        s->output_bytes = USAGE_MAX_TOKENS;
}

/* The chunks of servers that stream transcripts as they do chats (vLLM,
 * docs.vllm.ai/en/latest/serving/openai_compatible_server.html#transcriptions-api). */
static void read_choices(struct dialect_stream *s, const struct json_doc *d)
{
    json_foreach_element(d, json_get_lit(d, JSON_ROOT, "choices"), c)
    {
        s->output_bytes += openai_choice_bytes(d, c);
        s->finished |= json_type(d, json_get_lit(d, c, "finish_reason")) == JSON_STRING;
    }
}

/* With n images there are as many ends: only the body's end is the stream's. */
static enum dialect_verdict stream_event(struct dialect_stream *s, struct json_doc *d,
                                         struct slice event, struct slice data,
                                         struct splices *cuts)
{
    splices_reset(cuts);
    s->events++;
    if (slice_eq_str(slice_trim(data), "[DONE]")) {
        s->done = true;
        return DIALECT_PASS;
    }
    if (json_parse(d, data.p, data.n) < 0 || json_type(d, JSON_ROOT) != JSON_OBJECT) {
        s->malformed++;
        return DIALECT_PASS;
    }
    uint32_t error = openai_error_object(d);
    uint32_t type = json_get_lit(d, JSON_ROOT, "type");
    if (error != JSON_NONE || slice_eq_str(event, "error") || json_str_eq_lit(d, type, "error")) {
        s->failed = true;
        s->fault = openai_fault(d, error == JSON_NONE ? JSON_ROOT : error, 200);
        return DIALECT_PASS;
    }
    bool image = ends_with(d, type, ".completed");
    int64_t units = s->usage.units + image;
    s->finished |= image || ends_with(d, type, ".done");
    count_output(s, d);
    read_choices(s, d);
    read_usage(d, JSON_ROOT, &s->usage);
    if (image)
        s->usage.units = units;
    return DIALECT_PASS;
}

const struct dialect dialect_openai_relay = {
    .name = "openai",
    .content_type_stream = "text/event-stream",
    .read_request = openai_relay_read_request,
    .rewrite_request = rewrite_request,
    .read_response = read_response,
    .read_error = openai_read_error,
    .stream_init = openai_stream_init,
    .stream_event = stream_event,
    .error_type = openai_error_type,
    .write_error = openai_write_error,
    .write_stream_error = openai_write_stream_error,
};
