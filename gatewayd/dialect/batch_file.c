/*
 * batch_file.c: lines of a batch's input file.
 */
#include "gatewayd/dialect/batch_file.h"

#include "gatewayd/dialect/openai.h"

#include <stdarg.h>
#include <stdio.h>

struct lines {
    struct slice rest;
    uint32_t n; /* of the last one, from 1 */
};

/* The next line that isn't blank, without its end. */
static bool next_line(struct lines *l, struct slice *line)
{
    while (l->rest.p) {
        *line = slice_split(&l->rest, '\n');
        l->n++;
        if (slice_trim(*line).n)
            return true;
    }
    return false;
}

static int refuse(struct dialect_refusal *why, uint32_t line, const char *code, const char *fmt,
                  ...) GW_PRINTF(4, 5);
static int refuse(struct dialect_refusal *why, uint32_t line, const char *code, const char *fmt,
                  ...)
{
    va_list ap;
    int n = snprintf(why->message, sizeof why->message, "line %u of the batch's file: ", line);
    va_start(ap, fmt);
    vsnprintf(why->message + n, sizeof why->message - (size_t)n, fmt, ap);
    va_end(ap);
    snprintf(why->param, sizeof why->param, "file");
    why->code = code;
    return -1;
}

/* How the body of a line is read; false: nothing of it but its model and its files is known. */
static bool op_of(uint8_t url, enum dialect_op *op)
{
    *op = DIALECT_CHAT;
    if (url == OPENAI_BATCH_COMPLETIONS)
        *op = DIALECT_COMPLETIONS;
    else if (url == OPENAI_BATCH_EMBEDDINGS)
        *op = DIALECT_EMBEDDINGS;
    return *op != DIALECT_CHAT || url == OPENAI_BATCH_CHAT || url == OPENAI_BATCH_RESPONSES;
}

struct line {
    struct slice body; /* raw */
    uint8_t url;       /* enum openai_batch_url */
    bool known;
    enum dialect_op op;
};

static int refuse_url(const struct json_doc *d, uint32_t url, uint32_t n,
                      struct dialect_refusal *why)
{
    struct slice text = SLICE_LIT("");
    if (json_type(d, url) != JSON_STRING)
        return refuse(why, n, "invalid_url", "'url' must be a path that batches take.");
    (void)!json_str_plain(d, url, &text);
    return refuse(why, n, "invalid_url", "its url '%.*s' is none that batches take.",
                  (int)GW_MIN(text.n, (size_t)64), text.p);
}

static int read_envelope(struct json_doc *d, struct slice text, uint32_t n, struct line *out,
                         struct dialect_refusal *why)
{
    struct errbuf e;
    bool twice, url_twice;
    if (json_parse(d, text.p, text.n) < 0) {
        json_parse_error(d, &e);
        return refuse(why, n, "invalid_json", "it is not valid JSON: %s.", e.msg);
    }
    uint32_t body = json_get_unique(d, JSON_ROOT, SLICE_LIT("body"), &twice);
    uint32_t url = json_get_unique(d, JSON_ROOT, SLICE_LIT("url"), &url_twice);
    if (twice || url_twice)
        return refuse(why, n, "duplicate_member", "'%s' is given more than once.",
                      twice ? "body" : "url");
    if (json_type(d, JSON_ROOT) != JSON_OBJECT || json_type(d, body) != JSON_OBJECT)
        return refuse(why, n, "invalid_value", "it must be an object with a request in 'body'.");
    out->body = json_raw(d, body);
    out->url = openai_batch_url(d, url);
    out->known = op_of(out->url, &out->op);
    return out->url == OPENAI_BATCH_NO_URL ? refuse_url(d, url, n, why) : 0;
}

static int read_model(struct json_doc *d, const struct line *l, uint32_t n,
                      struct dialect_request *ask, struct dialect_refusal *why)
{
    bool twice;
    memset(ask, 0, sizeof *ask);
    if (json_parse(d, l->body.p, l->body.n) < 0)
        return refuse(why, n, "invalid_json", "its body is not valid JSON.");
    uint32_t model = json_get_unique(d, JSON_ROOT, SLICE_LIT("model"), &twice);
    openai_copy_name(d, model, &ask->model);
    if (twice || ask->model.n == 0)
        return refuse(why, n, "invalid_value", "'body.model' must be a name, once.");
    ask->model_value = openai_span(d, model);
    ask->prompt_bytes = l->body.n;
    openai_note_files(d, JSON_ROOT, ask);
    return 0;
}

static int read_body(struct json_doc *d, const struct line *l, uint32_t n,
                     struct dialect_request *ask, struct dialect_refusal *why)
{
    struct slice none = {NULL, 0};
    char inner[sizeof why->message];
    if (!l->known)
        return read_model(d, l, n, ask, why);
    int rc = l->url == OPENAI_BATCH_RESPONSES
                 ? openai_responses_read_native(d, l->body, l->op, none, ask, why)
                 : openai_read_request(d, l->body, l->op, none, ask, why);
    if (rc == 0)
        return 0;
    memcpy(inner, why->message, sizeof inner);
    return refuse(why, n, why->code, "%s", inner);
}

static int check_line(const struct line *l, const struct dialect_request *ask, uint32_t n,
                      struct batch_file *out, struct dialect_refusal *why)
{
    struct slice model = dialect_name_slice(&ask->model), first = dialect_name_slice(&out->model);
    if (ask->stream)
        return refuse(why, n, "invalid_value", "a batch's request can't be a stream.");
    if (ask->n_refs > DIALECT_REFS_MAX)
        return refuse(why, n, "too_many_objects",
                      "it names %u objects that a provider keeps; at most %d are taken.",
                      ask->n_refs, DIALECT_REFS_MAX);
    if (out->requests > 0 && l->url != out->url)
        return refuse(why, n, "mismatched_url",
                      "its url is '%s', that of the lines before '%s': a batch has one.",
                      openai_batch_url_name(l->url), openai_batch_url_name(out->url));
    out->url = l->url;
    if (out->requests++ == 0)
        out->model = ask->model;
    else if (!slice_eq(model, first))
        return refuse(why, n, "mismatched_model",
                      "its model is `%.*s`, that of the lines before `%.*s`: a file has one.",
                      SLICE_FMT(model), SLICE_FMT(first));
    return 0;
}

static int check_refs(const struct line *l, const struct dialect_request *ask, uint32_t n,
                      batch_file_ref_fn fn, void *arg, struct dialect_refusal *why)
{
    for (uint32_t i = 0; i < ask->n_refs; i++) {
        const struct dialect_ref *ref = &ask->refs[i];
        struct slice id = slice_of(l->body.p + ref->id.off + 1, ref->id.end - ref->id.off - 2);
        char inner[sizeof why->message];
        if (fn(arg, (enum object_kind)ref->kind, id, ref->param, why))
            continue;
        memcpy(inner, why->message, sizeof inner);
        return refuse(why, n, why->code, "%s", inner);
    }
    return 0;
}

int batch_file_read(struct json_doc *d, struct slice file, batch_file_ref_fn ref,
                    batch_file_ask_fn line, void *arg, struct batch_file *out,
                    struct dialect_refusal *why)
{
    struct lines lines = {.rest = file};
    struct slice text;
    struct line l = {.known = false};
    struct dialect_request ask;
    memset(out, 0, sizeof *out);
    while (next_line(&lines, &text)) {
        if (read_envelope(d, text, lines.n, &l, why) < 0 ||
            read_body(d, &l, lines.n, &ask, why) < 0 ||
            check_line(&l, &ask, lines.n, out, why) < 0 ||
            check_refs(&l, &ask, lines.n, ref, arg, why) < 0)
            return -1;
        line(arg, &ask);
    }
    if (out->requests == 0)
        return refuse(why, 1, "empty_file", "there is no request in it.");
    return 0;
}

/* The model is looked for in the line itself, so that its place is one in the line. */
static int rewrite_line(struct json_doc *d, struct slice text, struct slice model, struct buf *out)
{
    struct json_writer w;
    size_t n;
    if (json_parse(d, text.p, text.n) < 0)
        return -1;
    struct slice was = json_raw(d, json_get_lit(d, json_get_lit(d, JSON_ROOT, "body"), "model"));
    if (!was.p || buf_append(out, text.p, (size_t)(was.p - text.p)) < 0)
        return -1;
    jw_init_buf(&w, out);
    jw_str(&w, model);
    if (jw_finish(&w, &n) < 0)
        return -1;
    const char *behind = was.p + was.n;
    return buf_append(out, behind, (size_t)(text.p + text.n - behind));
}

int batch_file_rewrite(struct json_doc *d, struct slice file, struct slice model, struct buf *out)
{
    struct lines lines = {.rest = file};
    struct slice text;
    while (next_line(&lines, &text))
        if (rewrite_line(d, text, model, out) < 0 || buf_append(out, "\n", 1) < 0)
            return -1;
    return 0;
}
