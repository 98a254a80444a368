/*
 * openai_objects.c: files and batches as OpenAI's API keeps them.
 *
 * Formats: https://platform.openai.com/docs/api-reference/files and /batch. A batch answers every
 * line of its input with the completion that the script says; it is `in_progress` for as many polls
 * as the script's `polls`, then `completed`, and its output is a file like any other.
 */
#include "tests/mockllm/kept.h"
#include "tests/mockllm/openai.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- forms ---- */

struct form {
    struct slice purpose, file, filename;
};

static struct slice find(struct slice in, struct slice what)
{
    const char *p = in.len >= what.len ? memmem(in.p, in.len, what.p, what.len) : NULL;
    return p == NULL ? (struct slice){NULL, 0} : (struct slice){p, in.len - (size_t)(p - in.p)};
}

/* The text between `before` and the next quote. */
static struct slice quoted(struct slice head, const char *before)
{
    struct slice at = find(head, (struct slice){before, strlen(before)}), value;
    if (at.p == NULL)
        return at;
    at = (struct slice){at.p + strlen(before), at.len - strlen(before)};
    return slice_split(&at, "\"", &value) ? value : (struct slice){NULL, 0};
}

static void take_part(struct form *f, struct slice part)
{
    struct slice data = find(part, SLICE("\r\n\r\n"));
    if (data.p == NULL || data.len < 6)
        return;
    struct slice head = {part.p, (size_t)(data.p - part.p)};
    struct slice name = quoted(head, "; name=\"");
    data = (struct slice){data.p + 4, data.len - 6}; /* the CRLF belongs to the delimiter */
    if (slice_is(name, "purpose"))
        f->purpose = data;
    if (slice_is(name, "file")) {
        f->file = data;
        f->filename = quoted(head, "; filename=\"");
    }
}

static bool read_form(const struct call *call, struct form *f)
{
    char mark[80];
    struct slice type = http_header(call->req, "content-type"), body = call->req->body;
    struct slice boundary = find(type, SLICE("boundary="));
    memset(f, 0, sizeof *f);
    if (boundary.p == NULL)
        return false;
    boundary = (struct slice){boundary.p + 9, boundary.len - 9};
    if (boundary.len > 0 && boundary.p[0] == '"')
        boundary = (struct slice){boundary.p + 1, boundary.len - 2};
    int n = snprintf(mark, sizeof mark, "--" SLICE_FMT, SLICE_ARG(boundary));
    if (n < 0 || (size_t)n >= sizeof mark)
        return false;
    struct slice delimiter = {mark, (size_t)n}, at = find(body, delimiter);
    while (at.p != NULL) {
        struct slice part = {at.p + delimiter.len, at.len - delimiter.len};
        at = find(part, delimiter);
        part.len -= at.len;
        take_part(f, part);
    }
    return f->purpose.p != NULL && f->file.p != NULL;
}

/* ---- files ---- */

static void put_file(struct slice account, const char *id, struct slice filename,
                     struct slice purpose, struct bytes *content)
{
    struct kept k = {.content = *content};
    bytes_addf(&k.json,
               "{\"id\":\"%s\",\"object\":\"file\",\"bytes\":%zu,\"created_at\":" OPENAI_CREATED
               ",\"expires_at\":null,\"filename\":",
               id, content->len);
    bytes_add_json(&k.json, filename);
    bytes_adds(&k.json, ",\"purpose\":");
    bytes_add_json(&k.json, purpose);
    bytes_adds(&k.json, ",\"status\":\"processed\",\"status_details\":null}");
    *content = (struct bytes){0};
    kept_put(KEPT_FILE, account, (struct slice){id, strlen(id)}, &k);
}

static void begin_json(struct reply *out)
{
    out->status = 200;
    out->ctype = "application/json";
}

static bool read_upload(struct call *call, struct error *err)
{
    static const char *const purposes[] = {"assistants", "batch",     "fine-tune",
                                           "vision",     "user_data", "evals"};
    struct form f;
    call->from_content = true;
    if (!read_form(call, &f))
        return openai_refuse(err, 400, NULL, NULL, "'file' and 'purpose' are required.");
    for (size_t i = 0; i < ARRAY_LEN(purposes); i++)
        if (slice_is(f.purpose, purposes[i]))
            return true;
    return openai_refuse(err, 400, NULL, "purpose", "'" SLICE_FMT "' is not one of the purposes.",
                         SLICE_ARG(f.purpose));
}

static void write_kept(enum kept_kind kind, struct slice account, const char *id, struct reply *out)
{
    struct kept k;
    begin_json(out);
    kept_get(kind, account, (struct slice){id, strlen(id)}, &k);
    bytes_add_slice(&out->text, bytes_slice(&k.json));
    kept_fini(&k);
    reply_end_piece(out, PIECE_WHOLE, 0);
}

static void write_upload(const struct call *call, const struct script *s, struct reply *out)
{
    char id[64];
    struct form f;
    struct bytes content = {0};
    (void)s;
    read_form(call, &f);
    kept_new_id("file-", id);
    bytes_add_slice(&content, f.file);
    put_file(call->credential, id, f.filename, f.purpose, &content);
    write_kept(KEPT_FILE, call->credential, id, out);
}

static bool ends_with(struct slice s, const char *end, struct slice *before)
{
    size_t n = strlen(end);
    if (s.len <= n || memcmp(s.p + s.len - n, end, n) != 0)
        return false;
    *before = (struct slice){s.p, s.len - n};
    return true;
}

static bool read_file(struct call *call, struct error *err)
{
    struct slice id = call->suffix;
    (void)ends_with(call->suffix, "/content", &id);
    call->from_content = true;
    call->members[0] = id;
    return kept_has(KEPT_FILE, call->credential, id) ||
           openai_refuse(err, 404, NULL, "id", "No such File object: " SLICE_FMT, SLICE_ARG(id));
}

static void write_file(const struct call *call, const struct script *s, struct reply *out)
{
    struct kept k;
    struct slice before;
    (void)s;
    begin_json(out);
    kept_get(KEPT_FILE, call->credential, call->members[0], &k);
    bool content = ends_with(call->suffix, "/content", &before);
    if (content)
        out->ctype = "application/octet-stream";
    bytes_add_slice(&out->text, bytes_slice(content ? &k.content : &k.json));
    kept_fini(&k);
    reply_end_piece(out, PIECE_WHOLE, 0);
}

static void delete_file(const struct call *call, const struct script *s, struct reply *out)
{
    (void)s;
    kept_delete(KEPT_FILE, call->credential, call->members[0]);
    begin_json(out);
    bytes_addf(&out->text, "{\"id\":\"" SLICE_FMT "\",\"object\":\"file\",\"deleted\":true}",
               SLICE_ARG(call->members[0]));
    reply_end_piece(out, PIECE_WHOLE, 0);
}

/* ---- lists ---- */

enum { LIMIT_FILES = 10000, LIMIT_BATCHES = 100, DEFAULT_BATCHES = 20 };

static bool read_page(struct call *call, int64_t most, int64_t fallback, struct kept_page *page,
                      struct error *err)
{
    struct slice limit = http_query(call->req, "limit");
    page->after = http_query(call->req, "after");
    page->limit = fallback;
    call->from_content = true;
    if (limit.p == NULL ||
        (slice_to_int(limit, &page->limit) && page->limit >= 1 && page->limit <= most))
        return true;
    return openai_refuse(err, 400, "integer_above_max_value", "limit",
                         "Invalid 'limit': expected a value from 1 to %" PRId64 ".", most);
}

static bool read_files(struct call *call, struct error *err)
{
    struct kept_page page = {0};
    return read_page(call, LIMIT_FILES, LIMIT_FILES, &page, err);
}

static bool read_batches(struct call *call, struct error *err)
{
    struct kept_page page = {0};
    return read_page(call, LIMIT_BATCHES, DEFAULT_BATCHES, &page, err);
}

static void write_page(enum kept_kind kind, const struct call *call, struct kept_page *page,
                       struct reply *out)
{
    struct bytes *b = &out->text;
    begin_json(out);
    kept_list(kind, call->credential, page);
    bytes_addf(b, "{\"object\":\"list\",\"data\":[" SLICE_FMT "],\"first_id\":",
               SLICE_ARG(bytes_slice(&page->items)));
    if (page->n > 0)
        bytes_add_json(b, bytes_slice(&page->first));
    else
        bytes_adds(b, "null");
    bytes_adds(b, ",\"last_id\":");
    if (page->n > 0)
        bytes_add_json(b, bytes_slice(&page->last));
    else
        bytes_adds(b, "null");
    bytes_addf(b, ",\"has_more\":%s}", page->more ? "true" : "false");
    kept_page_fini(page);
    reply_end_piece(out, PIECE_WHOLE, 0);
}

static void write_files(const struct call *call, const struct script *s, struct reply *out)
{
    struct kept_page page = {0};
    struct error err;
    (void)s;
    (void)read_page((struct call *)call, LIMIT_FILES, LIMIT_FILES, &page, &err);
    write_page(KEPT_FILE, call, &page, out);
}

static void write_batches(const struct call *call, const struct script *s, struct reply *out)
{
    struct kept_page page = {0};
    struct error err;
    (void)s;
    (void)read_page((struct call *)call, LIMIT_BATCHES, DEFAULT_BATCHES, &page, &err);
    write_page(KEPT_BATCH, call, &page, out);
}

/* ---- batches ---- */

enum { B_INPUT, B_ENDPOINT, B_WINDOW, B_COUNT };
static const char *const batch_names[B_COUNT] = {"input_file_id", "endpoint", "completion_window"};

static bool read_batch(struct call *call, struct error *err)
{
    struct kept k;
    struct slice purpose = SLICE("\"purpose\":\"batch\"");
    if (!openai_read_members(call, batch_names, B_COUNT, err))
        return false;
    call->from_content = true;
    call->model.len = 0;
    for (int i = 0; i < B_COUNT; i++)
        if (!json_is_string(call->members[i]))
            return openai_refuse(err, 400, "missing_required_parameter", batch_names[i],
                                 "Missing required parameter: '%s'.", batch_names[i]);
    if (!slice_is(call->members[B_WINDOW], "\"24h\""))
        return openai_refuse(err, 400, "invalid_value", "completion_window",
                             "Invalid value for 'completion_window': the only one is '24h'.");
    bool there = kept_get(KEPT_FILE, call->credential, json_inner(call->members[B_INPUT]), &k);
    there = there && find(bytes_slice(&k.json), purpose).p != NULL;
    kept_fini(&k);
    return there || openai_refuse(err, 400, "invalid_value", "input_file_id",
                                  "There is no file with that id and the purpose 'batch'.");
}

/* One line of the output for each of the input, with the model that the line asked for. */
static int64_t answer_lines(const struct call *call, struct openai_figures f, struct bytes *out,
                            int64_t *wrong)
{
    struct kept k;
    struct slice line;
    int64_t n = 0;
    kept_get(KEPT_FILE, call->credential, json_inner(call->members[B_INPUT]), &k);
    struct slice rest = bytes_slice(&k.content);
    while (slice_split(&rest, "\n", &line)) {
        if (slice_trim(line).len == 0)
            continue;
        struct slice model = json_get(json_get(line, "body"), "model");
        *wrong += !json_is_string(model) || json_inner(model).len < 5 ||
                  memcmp(json_inner(model).p, "mock-", 5) != 0;
        bytes_addf(out,
                   "{\"id\":\"batch_req_%" PRId64 "\",\"custom_id\":" SLICE_FMT
                   ",\"response\":{\"status_code\":200,\"request_id\":\"req_%" PRId64
                   "\",\"body\":{\"id\":\"chatcmpl-%" PRId64
                   "\",\"object\":\"chat.completion\",\"model\":" SLICE_FMT
                   ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
                   "\"hello\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":%" PRId64
                   ",\"completion_tokens\":%" PRId64 ",\"total_tokens\":%" PRId64
                   "}}},\"error\":null}\n",
                   n, SLICE_ARG(json_get(line, "custom_id")), n, n, SLICE_ARG(model), f.prompt,
                   f.completion, f.prompt + f.completion);
        n++;
    }
    kept_fini(&k);
    return n;
}

struct batch {
    const struct call *call;
    const struct script *s;
    const char *id, *output, *error;
    struct openai_figures figures;
    int64_t lines, wrong;
};

static void add_batch(struct bytes *b, const struct batch *batch, const char *status)
{
    const struct call *call = batch->call;
    bool done = strcmp(status, "completed") == 0;
    bytes_addf(b,
               "{\"id\":\"%s\",\"object\":\"batch\",\"endpoint\":" SLICE_FMT
               ",\"errors\":null,\"input_file_id\":" SLICE_FMT
               ",\"completion_window\":\"24h\",\"status\":\"%s\",",
               batch->id, SLICE_ARG(call->members[B_ENDPOINT]), SLICE_ARG(call->members[B_INPUT]),
               status);
    if (done)
        bytes_addf(b, "\"output_file_id\":\"%s\",\"error_file_id\":\"%s\",", batch->output,
                   batch->error);
    else
        bytes_adds(b, "\"output_file_id\":null,\"error_file_id\":null,");
    bytes_addf(b,
               "\"created_at\":" OPENAI_CREATED ",\"request_counts\":{\"total\":%" PRId64
               ",\"completed\":%" PRId64 ",\"failed\":%" PRId64 "},\"metadata\":null",
               batch->lines, done ? batch->lines - batch->wrong : 0, done ? batch->wrong : 0);
    if (done && batch->s->usage != USAGE_ABSENT) {
        struct openai_figures all = batch->figures;
        all.prompt *= batch->lines;
        all.completion *= batch->lines;
        bytes_adds(b, ",\"usage\":");
        openai_add_usage(b, batch->s, all, true);
    }
    bytes_adds(b, "}");
}

static void write_batch(const struct call *call, const struct script *s, struct reply *out)
{
    char id[64], output[64], error[64];
    struct bytes lines = {0}, none = {0};
    struct batch batch = {
        .call = call,
        .s = s,
        .id = id,
        .output = output,
        .error = error,
        .figures = {.prompt = s->prompt != INT64_MIN ? s->prompt : 10,
                    .completion = s->completion != INT64_MIN ? s->completion : 5},
    };
    struct kept k = {.polls = s->polls};
    kept_new_id("batch_", id);
    kept_new_id("file-", output);
    kept_new_id("file-", error);
    batch.lines = answer_lines(call, batch.figures, &lines, &batch.wrong);
    put_file(call->credential, output, SLICE("output.jsonl"), SLICE("batch_output"), &lines);
    put_file(call->credential, error, SLICE("error.jsonl"), SLICE("batch_output"), &none);
    begin_json(out);
    add_batch(&out->text, &batch, "validating");
    add_batch(&k.json, &batch, "in_progress");
    add_batch(&k.content, &batch, "completed");
    kept_put(KEPT_BATCH, call->credential, (struct slice){id, strlen(id)}, &k);
    reply_end_piece(out, PIECE_WHOLE, 0);
}

/* {id}, {id}/cancel */
static bool read_one_batch(struct call *call, struct error *err)
{
    struct slice id = call->suffix;
    (void)ends_with(call->suffix, "/cancel", &id);
    call->from_content = true;
    call->members[0] = id;
    return kept_has(KEPT_BATCH, call->credential, id) ||
           openai_refuse(err, 404, NULL, NULL, "No batch found with id '" SLICE_FMT "'.",
                         SLICE_ARG(id));
}

static void write_one_batch(const struct call *call, const struct script *s, struct reply *out)
{
    struct kept k;
    (void)s;
    begin_json(out);
    kept_get(KEPT_BATCH, call->credential, call->members[0], &k);
    bytes_add_slice(&out->text, bytes_slice(k.polls > 0 ? &k.json : &k.content));
    kept_fini(&k);
    reply_end_piece(out, PIECE_WHOLE, 0);
}

const struct route openai_object_routes[OPENAI_OBJECT_ROUTES] = {
    {"GET", "/v1/responses/*", openai_stored_read, openai_stored_write},
    {"DELETE", "/v1/responses/*", openai_stored_read, openai_stored_delete},
    {"POST", "/v1/responses/*", openai_stored_read, openai_stored_write},
    {"POST", "/v1/files", read_upload, write_upload},
    {"GET", "/v1/files", read_files, write_files},
    {"GET", "/v1/files/*", read_file, write_file},
    {"DELETE", "/v1/files/*", read_file, delete_file},
    {"POST", "/v1/batches", read_batch, write_batch},
    {"GET", "/v1/batches", read_batches, write_batches},
    {"GET", "/v1/batches/*", read_one_batch, write_one_batch},
    {"POST", "/v1/batches/*", read_one_batch, write_one_batch},
};
