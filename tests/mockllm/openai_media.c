/*
 * openai_media.c: moderations, audio and images as OpenAI's API answers them.
 *
 * Formats: platform.openai.com/docs/api-reference, moderations/create, audio/createSpeech,
 * audio/createTranscription, audio/createTranslation, images/create, images/createEdit,
 * images/createVariation, and the events of the last four; types as in its official client.
 *
 * What is billed: characters spoken; seconds heard by mock-whisper*, tokens by every other
 * transcriber; images made, and tokens but for mock-dalle* and without a model; of moderations
 * nothing.
 */
#include "tests/mockllm/multipart.h"
#include "tests/mockllm/openai.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AUDIO_BYTES = 24000,
    IMAGE_BYTES = 3000,
    BYTES_PER_SECOND = 16000, /* of what is uploaded */
    MAX_CHARACTERS = 4096,
    DELTAS = 6,
};

#define WORDS "The quick brown fox jumps over the lazy dog."

/* ---- reading JSON ---- */

enum {
    M_MODEL,
    M_INPUT,
    M_VOICE,
    M_FORMAT,
    M_SPEED,
    M_STREAM_FORMAT,
    M_PROMPT,
    M_N,
    M_STREAM,
    M_PARTIAL,
    M_IMAGES,
    M_COUNT
};
static const char *const names[M_COUNT] = {
    "model",  "input", "voice",  "response_format", "speed",  "stream_format",
    "prompt", "n",     "stream", "partial_images",  "images",
};

static bool read_object(struct call *call, struct error *err)
{
    struct json j;
    struct slice key, value;
    bool started = false;
    json_init(&j, call->req->body);
    json_enter(&j, '{');
    while (j.error == NULL && json_next_member(&j, &started, &key, &value))
        for (int i = 0; i < M_COUNT; i++)
            if (slice_is(key, names[i])) {
                if (call->members[i].p != NULL)
                    return openai_refuse(err, 400, "duplicate_member", names[i],
                                         "'%s' is given twice.", names[i]);
                call->members[i] = value;
            }
    if (!json_finish(&j))
        return openai_refuse(err, 400, NULL, NULL,
                             "We could not parse the JSON body of your request: %s at byte %zu.",
                             j.error, json_offset(&j));
    call->from_content = true;
    if (call->members[M_MODEL].p != NULL && !json_is_string(call->members[M_MODEL]))
        return openai_refuse(err, 400, "invalid_type", "model", "'model' must be a string.");
    if (call->members[M_MODEL].p != NULL)
        json_decode(call->members[M_MODEL], &call->model);
    return true;
}

static bool missing(struct error *err, const char *name)
{
    return openai_refuse(err, 400, "missing_required_parameter", name,
                         "Missing required parameter: '%s'.", name);
}

static bool one_of(struct slice v, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (slice_is(v, words[i]))
            return true;
    return false;
}

/* Characters of a string, in code points. */
static int64_t characters(struct slice string)
{
    struct bytes text = {0};
    int64_t n = 0;
    json_decode(string, &text);
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    bytes_fini(&text);
    return n;
}

static bool model_is(const struct call *call, const char *prefix)
{
    size_t n = strlen(prefix);
    return call->model.len >= n && memcmp(call->model.p, prefix, n) == 0;
}

/* ---- moderations ---- */

bool openai_read_moderation(struct call *call, struct error *err)
{
    if (!read_object(call, err))
        return false;
    return call->members[M_INPUT].p != NULL || missing(err, "input");
}

void openai_write_moderation(const struct call *call, const struct script *s, struct reply *out)
{
    struct bytes *b = &out->text;
    struct slice input = call->members[M_INPUT], v;
    struct json j;
    bool started = false;
    int64_t n = 1;
    json_init(&j, input);
    if (input.p[0] == '[' && json_enter(&j, '['))
        for (n = 0; json_next_element(&j, &started, &v);)
            n++;
    bytes_adds(b, "{\"id\":\"modr-mock\",\"model\":");
    if (call->model.len > 0)
        bytes_add_json(b, bytes_slice(&call->model));
    else
        bytes_adds(b, "\"omni-moderation-latest\"");
    bytes_adds(b, ",\"results\":[");
    for (int64_t i = 0; i < n; i++)
        bytes_addf(b,
                   "%s{\"flagged\":false,\"categories\":{\"violence\":false},"
                   "\"category_scores\":{\"violence\":0.0001},"
                   "\"category_applied_input_types\":{\"violence\":[\"text\"]}}",
                   i > 0 ? "," : "");
    bytes_adds(b, "]}");
    out->status = 200;
    out->ctype = "application/json";
    reply_end_piece(out, PIECE_WHOLE, 0);
}

/* ---- speech ---- */

static const struct {
    const char *word, *ctype;
} formats[] = {
    {"\"mp3\"", "audio/mpeg"},  {"\"opus\"", "audio/ogg"}, {"\"aac\"", "audio/aac"},
    {"\"flac\"", "audio/flac"}, {"\"wav\"", "audio/wav"},  {"\"pcm\"", "audio/pcm"},
};

static const char *audio_type(struct slice format)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (slice_is(format, formats[i].word))
            return formats[i].ctype;
    return format.p == NULL ? "audio/mpeg" : NULL;
}

bool openai_read_speech(struct call *call, struct error *err)
{
    const struct slice *m = call->members;
    if (!read_object(call, err))
        return false;
    if (m[M_MODEL].p == NULL)
        return missing(err, "model");
    if (!json_is_string(m[M_INPUT]))
        return missing(err, "input");
    if (m[M_VOICE].p == NULL)
        return missing(err, "voice");
    if (characters(m[M_INPUT]) > MAX_CHARACTERS)
        return openai_refuse(err, 400, "string_too_long", "input",
                             "String should have at most %d characters", MAX_CHARACTERS);
    if (audio_type(m[M_FORMAT]) == NULL)
        return openai_refuse(err, 400, "invalid_value", "response_format",
                             "Invalid value for 'response_format'.");
    call->stream = slice_is(m[M_STREAM_FORMAT], "\"sse\"");
    if (m[M_STREAM_FORMAT].p != NULL && !call->stream && !slice_is(m[M_STREAM_FORMAT], "\"audio\""))
        return openai_refuse(err, 400, "invalid_value", "stream_format",
                             "Invalid value for 'stream_format'.");
    return true;
}

/* Every byte value occurs, line ends and NULs included. */
static void add_sound(struct bytes *b, size_t n)
{
    char *to = bytes_reserve(b, n + 1);
    for (size_t i = 0; i < n; i++)
        to[i] = (char)((i * 31 + (i >> 8) * 7 + 13) & 0xff);
    b->len += n;
}

static void add_base64(struct bytes *b, struct slice raw)
{
    char *to = bytes_reserve(b, (raw.len + 2) / 3 * 4 + 1);
    b->len +=
        (size_t)EVP_EncodeBlock((unsigned char *)to, (const unsigned char *)raw.p, (int)raw.len);
}

static size_t content_bytes(const struct script *s, size_t usual)
{
    return s->size > 0 ? (size_t)s->size : usual;
}

static void add_tokens(struct bytes *b, int64_t in, int64_t out, const char *more)
{
    bytes_addf(b,
               "{\"input_tokens\":%" PRId64 ",\"output_tokens\":%" PRId64
               ",\"total_tokens\":%" PRId64 "%s}",
               in, out, in + out, more);
}

static void end_event(struct reply *out, uint32_t tokens)
{
    bytes_adds(&out->text, "}\n\n");
    reply_end_piece(out, PIECE_EVENT, tokens);
}

/* True where the script wants an error instead of the next event. */
static bool fail_here(const struct script *s, int64_t events, struct reply *out)
{
    if (s->error_after < 0 || events < s->error_after)
        return false;
    bytes_adds(&out->text, "data: {\"type\":\"error\",\"error\":{\"message\":\"The server had an "
                           "error.\",\"type\":\"server_error\",\"code\":null,\"param\":null}}\n\n");
    reply_end_piece(out, PIECE_EVENT, 0);
    return true;
}

static void write_speech_events(const struct call *call, const struct script *s, struct reply *out)
{
    struct bytes sound = {0};
    size_t n = content_bytes(s, AUDIO_BYTES), each = (n + DELTAS - 1) / DELTAS;
    add_sound(&sound, n);
    out->prompt_tokens = (int64_t)(call->members[M_INPUT].len + 3) / 4;
    out->completion_tokens = DELTAS;
    for (size_t i = 0; i < DELTAS; i++) {
        size_t from = i * each < n ? i * each : n, to = from + each < n ? from + each : n;
        if (fail_here(s, (int64_t)i, out)) {
            bytes_fini(&sound);
            return;
        }
        bytes_adds(&out->text, "data: {\"type\":\"speech.audio.delta\",\"audio\":\"");
        add_base64(&out->text, (struct slice){sound.p + from, to - from});
        bytes_adds(&out->text, "\"");
        end_event(out, 1);
    }
    bytes_adds(&out->text, "data: {\"type\":\"speech.audio.done\"");
    if (s->usage != USAGE_ABSENT) {
        bytes_adds(&out->text, ",\"usage\":");
        add_tokens(&out->text, out->prompt_tokens, out->completion_tokens, "");
    }
    end_event(out, 0);
    bytes_fini(&sound);
}

void openai_write_speech(const struct call *call, const struct script *s, struct reply *out)
{
    out->status = 200;
    if (call->stream) {
        out->ctype = "text/event-stream";
        write_speech_events(call, s, out);
        return;
    }
    out->ctype = audio_type(call->members[M_FORMAT]);
    out->units = characters(call->members[M_INPUT]);
    bytes_adds(&out->headers, "content-disposition: attachment; filename=\"speech\"\r\n");
    add_sound(&out->text, content_bytes(s, AUDIO_BYTES));
    reply_end_piece(out, PIECE_WHOLE, 0);
}

/* ---- forms ---- */

static bool read_form(struct call *call, struct form *f, struct error *err)
{
    const char *why = form_read(f, http_header(call->req, "content-type"), call->req->body);
    if (why != NULL)
        return openai_refuse(err, 400, "invalid_form", NULL, "Could not parse multipart form: %s.",
                             why);
    call->from_content = true;
    const struct form_part *model = form_get(f, "model");
    if (model != NULL && (model->is_file || form_count(f, "model") > 1))
        return openai_refuse(err, 400, "invalid_type", "model", "'model' must be one field.");
    if (model != NULL)
        bytes_add_slice(&call->model, model->data);
    return true;
}

static struct slice field(const struct form *f, const char *name)
{
    const struct form_part *p = form_get(f, name);
    return p != NULL ? p->data : (struct slice){NULL, 0};
}

static bool read_flag(const struct form *f, const char *name, bool *out, struct error *err)
{
    struct slice v = field(f, name);
    *out = slice_is(v, "true");
    if (v.p == NULL || *out || slice_is(v, "false"))
        return true;
    return openai_refuse(err, 400, "invalid_type", name, "'%s' must be a boolean.", name);
}

/* ---- transcriptions ---- */

enum { SECONDS = M_COUNT }; /* members[SECONDS]: the file, whose length says them */

bool openai_read_transcription(struct call *call, struct error *err)
{
    static const char *const words[] = {"json",         "text", "srt",
                                        "verbose_json", "vtt",  "diarized_json"};
    struct form f;
    if (!read_form(call, &f, err))
        return false;
    const struct form_part *file = form_get(&f, "file");
    if (file == NULL || !file->is_file || form_count(&f, "file") != 1)
        return missing(err, "file");
    if (call->model.len == 0)
        return missing(err, "model");
    if (file->data.len == 0)
        return openai_refuse(err, 400, "audio_too_short", "file", "Audio file is too short.");
    call->members[M_FORMAT] = field(&f, "response_format");
    if (call->members[M_FORMAT].p != NULL &&
        !one_of(call->members[M_FORMAT], words, ARRAY_LEN(words)))
        return openai_refuse(err, 400, "invalid_value", "response_format",
                             "Invalid value for 'response_format'.");
    call->members[SECONDS] = file->data;
    call->prompt_tokens = (int64_t)(file->data.len / 1000) + 1;
    return read_flag(&f, "stream", &call->stream, err);
}

static bool is_whisper(const struct call *call)
{
    return model_is(call, "mock-whisper");
}

static double duration(const struct call *call)
{
    return (double)call->members[SECONDS].len / BYTES_PER_SECOND;
}

static int64_t seconds(const struct call *call)
{
    return (int64_t)(call->members[SECONDS].len + BYTES_PER_SECOND - 1) / BYTES_PER_SECOND;
}

static void add_heard(struct bytes *b, const struct call *call, struct reply *out)
{
    if (is_whisper(call)) {
        bytes_addf(b, "{\"type\":\"duration\",\"seconds\":%" PRId64 "}", seconds(call));
        return;
    }
    bytes_addf(b,
               "{\"type\":\"tokens\",\"input_tokens\":%" PRId64 ",\"output_tokens\":%" PRId64
               ",\"total_tokens\":%" PRId64 ",\"input_token_details\":{\"text_tokens\":0,"
               "\"audio_tokens\":%" PRId64 "}}",
               out->prompt_tokens, out->completion_tokens,
               out->prompt_tokens + out->completion_tokens, out->prompt_tokens);
}

static void write_transcript_events(const struct call *call, const struct script *s,
                                    struct reply *out)
{
    struct slice rest = SLICE(WORDS), word;
    struct bytes *b = &out->text;
    for (int64_t i = 0; slice_split(&rest, " ", &word); i++) {
        if (fail_here(s, i, out))
            return;
        bytes_addf(b, "data: {\"type\":\"transcript.text.delta\",\"delta\":\"%s" SLICE_FMT "\"",
                   i > 0 ? " " : "", SLICE_ARG(word));
        end_event(out, 1);
    }
    bytes_adds(b, "data: {\"type\":\"transcript.text.done\",\"text\":\"" WORDS "\"");
    if (s->usage != USAGE_ABSENT) {
        bytes_adds(b, ",\"usage\":");
        add_heard(b, call, out);
    }
    end_event(out, 0);
}

static void add_segments(struct bytes *b, const struct call *call, bool diarized)
{
    bytes_addf(b, ",\"duration\":%.3f,\"segments\":[{", duration(call));
    if (diarized)
        bytes_adds(b, "\"type\":\"transcript.text.segment\",\"id\":\"seg_0\",\"speaker\":\"A\",");
    else
        bytes_adds(b, "\"id\":0,\"seek\":0,\"tokens\":[1],\"temperature\":0.0,\"avg_logprob\":-0.1,"
                      "\"compression_ratio\":1.0,\"no_speech_prob\":0.01,");
    bytes_addf(b, "\"start\":0.0,\"end\":%.3f,\"text\":\"" WORDS "\"}]", duration(call));
}

static void write_transcript(const struct call *call, const struct script *s, struct reply *out)
{
    struct bytes *b = &out->text;
    struct slice format = call->members[M_FORMAT];
    bool verbose = slice_is(format, "verbose_json"), diarized = slice_is(format, "diarized_json");
    out->ctype = "application/json";
    if (slice_is(format, "text") || slice_is(format, "srt") || slice_is(format, "vtt")) {
        out->ctype = "text/plain; charset=utf-8";
        if (slice_is(format, "vtt"))
            bytes_adds(b, "WEBVTT\n\n");
        if (!slice_is(format, "text"))
            bytes_adds(b, "00:00:00,000 --> 00:00:01,000\n");
        bytes_adds(b, WORDS "\n");
    } else {
        bytes_adds(b, "{");
        if (verbose || diarized)
            bytes_adds(b, "\"task\":\"transcribe\",\"language\":\"english\",");
        bytes_adds(b, "\"text\":\"" WORDS "\"");
        if (verbose || diarized)
            add_segments(b, call, diarized);
        if (s->usage != USAGE_ABSENT) {
            bytes_adds(b, ",\"usage\":");
            add_heard(b, call, out);
        }
        bytes_adds(b, "}");
    }
    reply_end_piece(out, PIECE_WHOLE, (uint32_t)out->completion_tokens);
}

/* whisper-1 takes no notice of stream. */
void openai_write_transcription(const struct call *call, const struct script *s, struct reply *out)
{
    out->status = 200;
    if (is_whisper(call)) {
        out->units = seconds(call);
    } else {
        out->prompt_tokens = call->prompt_tokens;
        out->completion_tokens = 9; /* words */
    }
    if (call->stream && !is_whisper(call)) {
        out->ctype = "text/event-stream; charset=utf-8";
        write_transcript_events(call, s, out);
    } else {
        write_transcript(call, s, out);
    }
}

/* ---- images ---- */

static bool check_n(struct slice v, int64_t *n, struct error *err)
{
    if (v.p == NULL || (slice_to_int(v, n) && *n >= 1 && *n <= 10))
        return true;
    return openai_refuse(err, 400, "invalid_value", "n", "'n' must be an integer from 1 to 10.");
}

static bool bills_tokens(const struct call *call)
{
    return call->model.len > 0 && !model_is(call, "mock-dalle");
}

bool openai_read_image(struct call *call, struct error *err)
{
    const struct slice *m = call->members;
    if (!read_object(call, err))
        return false;
    if (!json_is_string(m[M_PROMPT]))
        return missing(err, "prompt");
    call->prompt_tokens = (int64_t)(m[M_PROMPT].len + 3) / 4;
    if (!openai_read_bool(m[M_STREAM], "stream", &call->stream, err) ||
        !check_n(m[M_N], &call->n, err))
        return false;
    if (call->stream && !bills_tokens(call))
        return openai_refuse(err, 400, "invalid_value", "stream",
                             "Streaming is not supported for this model.");
    return true;
}

static bool read_image_form(struct call *call, bool prompt, struct error *err)
{
    struct form f;
    if (!read_form(call, &f, err))
        return false;
    size_t n = form_count(&f, "image") + form_count(&f, "image[]");
    if (n == 0 || n > 16)
        return missing(err, "image");
    for (size_t i = 0; i < f.n; i++)
        if (memcmp(f.parts[i].name.p, "image", f.parts[i].name.len < 5 ? 0 : 5) == 0 &&
            f.parts[i].name.len >= 5 && !f.parts[i].is_file)
            return openai_refuse(err, 400, "invalid_type", "image", "'image' must be a file.");
    if (prompt && field(&f, "prompt").p == NULL)
        return missing(err, "prompt");
    call->prompt_tokens = (int64_t)(field(&f, "prompt").len + 3) / 4 + 300 * (int64_t)n;
    return check_n(field(&f, "n"), &call->n, err) &&
           (!prompt || read_flag(&f, "stream", &call->stream, err));
}

static bool is_form(const struct call *call)
{
    struct slice type = http_header(call->req, "content-type");
    return type.len >= 9 && memcmp(type.p, "multipart", 9) == 0;
}

bool openai_read_edit(struct call *call, struct error *err)
{
    if (is_form(call))
        return read_image_form(call, true, err);
    if (!openai_read_image(call, err))
        return false;
    return call->members[M_IMAGES].p != NULL || missing(err, "images");
}

bool openai_read_variation(struct call *call, struct error *err)
{
    return read_image_form(call, false, err);
}

static void add_picture(struct bytes *b, const struct script *s)
{
    struct bytes raw = {0};
    add_sound(&raw, content_bytes(s, IMAGE_BYTES));
    bytes_adds(b, "\"b64_json\":\"");
    add_base64(b, bytes_slice(&raw));
    bytes_adds(b, "\"");
    bytes_fini(&raw);
}

static void add_image_usage(struct bytes *b, const struct script *s, const struct reply *out,
                            bool tokens)
{
    char details[80];
    if (!tokens || s->usage == USAGE_ABSENT)
        return;
    snprintf(details, sizeof details,
             ",\"input_tokens_details\":{\"text_tokens\":%" PRId64 ",\"image_tokens\":0}",
             out->prompt_tokens);
    bytes_adds(b, ",\"usage\":");
    add_tokens(b, out->prompt_tokens, out->completion_tokens, details);
}

static void write_image_events(const struct call *call, const struct script *s, struct reply *out)
{
    struct bytes *b = &out->text;
    const char *what =
        slice_is(call->req->path, "/v1/images/edits") ? "image_edit" : "image_generation";
    int64_t partial = 1;
    slice_to_int(call->members[M_PARTIAL], &partial);
    for (int64_t i = 0; i <= partial; i++) {
        const char *kind = i < partial ? "partial_image" : "completed";
        if (fail_here(s, i, out))
            return;
        bytes_addf(b, "event: %s.%s\ndata: {\"type\":\"%s.%s\",", what, kind, what, kind);
        add_picture(b, s);
        bytes_adds(b, ",\"created_at\":" OPENAI_CREATED ",\"size\":\"1024x1024\",\"quality\":"
                      "\"high\",\"background\":\"opaque\",\"output_format\":\"png\"");
        if (i < partial)
            bytes_addf(b, ",\"partial_image_index\":%" PRId64, i);
        else
            add_image_usage(b, s, out, true);
        end_event(out, i < partial ? 100 : (uint32_t)out->completion_tokens);
    }
}

void openai_write_image(const struct call *call, const struct script *s, struct reply *out)
{
    struct bytes *b = &out->text;
    bool tokens = bills_tokens(call);
    out->status = 200;
    out->units = call->n;
    if (tokens) {
        out->prompt_tokens = call->prompt_tokens;
        out->completion_tokens = 272 * call->n;
    }
    if (call->stream) {
        out->ctype = "text/event-stream; charset=utf-8";
        write_image_events(call, s, out);
        return;
    }
    out->ctype = "application/json";
    bytes_adds(b, "{\"created\":" OPENAI_CREATED ",\"data\":[");
    for (int64_t i = 0; i < call->n; i++) {
        bytes_adds(b, i > 0 ? ",{" : "{");
        add_picture(b, s);
        bytes_adds(b, "}");
    }
    bytes_adds(b, "]");
    add_image_usage(b, s, out, tokens);
    bytes_adds(b, "}");
    reply_end_piece(out, PIECE_WHOLE, (uint32_t)out->completion_tokens);
}
