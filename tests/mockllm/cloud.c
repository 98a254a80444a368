/*
 * cloud.c: see cloud.h.
 *
 * Azure: https://learn.microsoft.com/azure/ai-foundry/openai/reference (deployments and
 * api-version), .../openai/api-version-lifecycle (the v1 API). Vertex:
 * https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
 * .../model-reference/count-tokens, .../partner-models/claude/use-claude,
 * .../maas/call-open-models-api.
 */
#include "tests/mockllm/cloud.h"
#include "tests/mockllm/json.h"

#include <stdio.h>
#include <string.h>

static bool refuse(struct error *err, int status, const char *code, const char *fmt, ...)
    CHECKED_FMT(4);
static bool refuse(struct error *err, int status, const char *code, const char *fmt, ...)
{
    va_list ap;
    *err = (struct error){.status = status, .type = "invalid_request_error", .code = code};
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    return false;
}

static bool strip(struct slice *s, const char *prefix)
{
    size_t n = strlen(prefix);
    if (s->len < n || memcmp(s->p, prefix, n) != 0)
        return false;
    *s = (struct slice){s->p + n, s->len - n};
    return true;
}

/* Up to a slash, which stays. False where nothing stands there. */
static bool segment(struct slice *s, struct slice *out)
{
    size_t n = 0;
    while (n < s->len && s->p[n] != '/')
        n++;
    *out = (struct slice){s->p, n};
    *s = (struct slice){s->p + n, s->len - n};
    return n > 0;
}

static void rename_header(struct request *req, const char *from, struct slice to, struct slice v)
{
    for (size_t i = 0; i < req->nheaders; i++)
        if (slice_is_nocase(req->headers[i].name, from))
            req->headers[i] = (struct header){to, v};
}

static struct slice bearer_of(const struct request *req)
{
    struct slice v = http_header(req, "authorization");
    return strip(&v, "Bearer ") ? v : (struct slice){NULL, 0};
}

/* ---- Azure ---- */

/* YYYY-MM-DD, then perhaps -preview. */
static bool is_dated(struct slice v)
{
    static const char form[] = "dddd-dd-dd";
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (i >= v.len || (form[i] == 'd' ? v.p[i] < '0' || v.p[i] > '9' : v.p[i] != form[i]))
            return false;
    v = (struct slice){v.p + sizeof form - 1, v.len - sizeof form + 1};
    return v.len == 0 || slice_is(v, "-preview");
}

static bool has_operation(struct slice rest)
{
    static const char *const operations[] = {
        "/chat/completions",     "/completions",        "/embeddings",         "/audio/speech",
        "/audio/transcriptions", "/audio/translations", "/images/generations", "/images/edits"};
    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        if (slice_is(rest, operations[i]))
            return true;
    return false;
}

static bool azure_path(struct cloud_view *v, struct error *err)
{
    struct slice rest = v->req.path, deployment, version = http_query(&v->req, "api-version");
    strip(&rest, "/openai");
    if (strip(&rest, "/v1")) {
        if (version.p != NULL && !slice_is(version, "preview"))
            return refuse(err, 400, "BadRequest", "API version not supported");
        bytes_addf(&v->path, "/v1" SLICE_FMT, SLICE_ARG(rest));
        return true;
    }
    if (version.p == NULL || !is_dated(version))
        return refuse(err, 404, "404", "Resource not found");
    if (slice_is(rest, "/responses") && strncmp(version.p, "2025-03-01", 10) >= 0) {
        bytes_adds(&v->path, "/v1/responses");
        return true;
    }
    if (!strip(&rest, "/deployments/") || !segment(&rest, &deployment) || !has_operation(rest))
        return refuse(err, 404, "404", "Resource not found");
    bytes_addf(&v->path, "/v1" SLICE_FMT, SLICE_ARG(rest));
    return true;
}

/* The deployment decides, whatever model the body names. */
static void azure_body(struct cloud_view *v)
{
    struct slice rest = v->req.path, deployment, body = slice_trim(v->req.body);
    if (!strip(&rest, "/openai/deployments/") || !segment(&rest, &deployment) || body.len < 2 ||
        body.p[0] != '{')
        return;
    struct slice model = json_get(body, "model");
    if (model.p != NULL) {
        bytes_add(&v->body, body.p, (size_t)(model.p - body.p));
        bytes_add_json(&v->body, deployment);
        bytes_add(&v->body, model.p + model.len, (size_t)(body.p + body.len - model.p) - model.len);
    } else {
        bytes_addf(&v->body, "{\"model\":\"" SLICE_FMT "\",", SLICE_ARG(deployment));
        bytes_add(&v->body, body.p + 1, body.len - 1);
    }
    v->req.body = bytes_slice(&v->body);
}

/* api-key, or a token of Entra; never both. */
static bool azure_key(struct cloud_view *v, struct error *err)
{
    struct slice key = http_header(&v->req, "api-key"), bearer = bearer_of(&v->req);
    if ((key.p == NULL) == (bearer.p == NULL))
        return refuse(err, 401, "401",
                      "Access denied due to invalid subscription key or wrong API endpoint.");
    if (key.p == NULL)
        return true;
    bytes_addf(&v->key, "Bearer " SLICE_FMT, SLICE_ARG(key));
    rename_header(&v->req, "api-key", SLICE("authorization"), bytes_slice(&v->key));
    return true;
}

static bool azure_view(struct cloud_view *v, struct error *err)
{
    v->refuses = &dialect_openai;
    if (!azure_key(v, err) || !azure_path(v, err))
        return false;
    azure_body(v);
    return true;
}

/* ---- Vertex ---- */

static bool vertex_refuse(struct error *err, const char *what)
{
    return refuse(err, 400, NULL, "%s", what);
}

/* The name of the header in which the dialect looks for a key. */
static bool vertex_key(struct cloud_view *v, const char *dialects)
{
    struct slice key = http_header(&v->req, "x-goog-api-key"), bearer = bearer_of(&v->req);
    if ((key.p == NULL) == (bearer.p == NULL))
        return false;
    bool wants_bearer = strcmp(dialects, "authorization") == 0;
    bytes_addf(&v->key, "%s" SLICE_FMT, wants_bearer ? "Bearer " : "",
               SLICE_ARG(key.p != NULL ? key : bearer));
    rename_header(&v->req, key.p != NULL ? "x-goog-api-key" : "authorization",
                  (struct slice){dialects, strlen(dialects)}, bytes_slice(&v->key));
    return true;
}

/* countTokens takes the members of a request that make its prompt, without an envelope
 * (https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens). */
static bool vertex_count(struct cloud_view *v, struct slice rest, struct error *err)
{
    static const char *const others[] = {"toolConfig", "safetySettings", "cachedContent",
                                         "serviceTier", "labels"};
    static const struct slice method = {":countTokens", 12};
    struct slice body = slice_trim(v->req.body);
    if (rest.len < method.len ||
        memcmp(rest.p + rest.len - method.len, method.p, method.len) != 0 || body.len == 0 ||
        body.p[0] != '{')
        return true;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (json_get(body, others[i]).p != NULL)
            return vertex_refuse(err, "Invalid JSON payload received. Unknown name of countTokens: "
                                      "Cannot find field.");
    bytes_adds(&v->body, "{\"generateContentRequest\":");
    bytes_add_slice(&v->body, body);
    bytes_adds(&v->body, "}");
    v->req.body = bytes_slice(&v->body);
    return true;
}

static bool vertex_gemini(struct cloud_view *v, struct slice rest, struct error *err)
{
    struct slice body = slice_trim(v->req.body), item, contents = json_get(body, "contents");
    struct json j;
    bool started = false;
    if (json_get(body, "generateContentRequest").p != NULL)
        return vertex_refuse(err, "Invalid JSON payload received. Unknown name "
                                  "\"generateContentRequest\": Cannot find field.");
    json_init(&j, contents);
    if (contents.p != NULL && contents.p[0] == '[' && json_enter(&j, '['))
        while (json_next_element(&j, &started, &item)) {
            struct slice role = json_inner(json_get(item, "role"));
            if (!slice_is(role, "user") && !slice_is(role, "model"))
                return vertex_refuse(err, "Please use a valid role: user, model.");
        }
    bytes_addf(&v->path, "/v1beta/models/" SLICE_FMT, SLICE_ARG(rest));
    return vertex_count(v, rest, err);
}

/* The version's member leaves the body; the model's, if any, takes its place. */
static void claude_body(struct cloud_view *v, struct slice model, struct slice version)
{
    struct slice body = slice_trim(v->req.body);
    const char *name = version.p, *after = version.p + version.len, *end = body.p + body.len;
    while (memcmp(name, "\"anthropic_version\"", 19) != 0)
        name--;
    if (model.p == NULL) { /* with a comma, behind it or in front */
        while (*after == ' ' || *after == '\t' || *after == '\r' || *after == '\n')
            after++;
        if (*after == ',')
            after++;
        else
            while (name > body.p + 1 && *name != ',')
                name--;
    }
    bytes_add(&v->body, body.p, (size_t)(name - body.p));
    if (model.p != NULL) {
        bytes_adds(&v->body, "\"model\":");
        bytes_add_json(&v->body, model);
    }
    bytes_add(&v->body, after, (size_t)(end - after));
    v->req.body = bytes_slice(&v->body);
}

static bool claude_version(struct cloud_view *v, struct slice version, struct error *err)
{
    struct slice word = json_inner(version);
    if (http_header(&v->req, "anthropic-version").p != NULL)
        return vertex_refuse(err, "anthropic-version: belongs into the body here");
    if (version.p == NULL)
        return vertex_refuse(err, "anthropic_version: Field required");
    bool old = slice_is(word, "vertex-2023-10-16");
    if (!old && !slice_is(word, "2026-10-21"))
        return vertex_refuse(err, "anthropic_version: not a valid version");
    bytes_adds(&v->version, old ? "2023-06-01" : "2026-10-21");
    v->req.headers[v->req.nheaders++] =
        (struct header){SLICE("anthropic-version"), bytes_slice(&v->version)};
    return true;
}

static void add_decoded(struct bytes *out, struct slice s)
{
    unsigned c;
    for (size_t i = 0; i < s.len; i++) {
        char byte = s.p[i];
        if (byte == '%' && s.len - i > 2 && sscanf(s.p + i + 1, "%2x", &c) == 1) {
            byte = (char)c;
            i += 2;
        }
        bytes_add(out, &byte, 1);
    }
}

static bool vertex_claude(struct cloud_view *v, struct slice rest, struct error *err)
{
    struct slice body = slice_trim(v->req.body), model = rest, verb = {NULL, 0};
    struct slice version = body.len > 0 ? json_get(body, "anthropic_version") : body;
    for (size_t i = rest.len; i-- > 0 && verb.p == NULL;)
        if (rest.p[i] == ':') {
            model = (struct slice){rest.p, i};
            verb = (struct slice){rest.p + i + 1, rest.len - i - 1};
        }
    bool streams = slice_is(verb, "streamRawPredict"), counts = slice_is(model, "count-tokens");
    if (!streams && !slice_is(verb, "rawPredict"))
        return refuse(err, 404, NULL, "The requested URL was not found on this server.");
    if (!claude_version(v, version, err))
        return false;
    if (!counts && json_get(body, "model").p != NULL)
        return vertex_refuse(err, "model: Extra inputs are not permitted");
    if (streams != slice_is(json_get(body, "stream"), "true"))
        return vertex_refuse(err, "stream: doesn't go with this method");
    struct bytes name = {0};
    add_decoded(&name, model);
    claude_body(v, counts ? (struct slice){NULL, 0} : bytes_slice(&name), version);
    bytes_fini(&name);
    bytes_adds(&v->path, counts ? "/v1/messages/count_tokens" : "/v1/messages");
    return true;
}

static bool vertex_view(struct cloud_view *v, struct error *err)
{
    struct slice rest = v->req.path, project = {NULL, 0}, location;
    v->refuses = &dialect_gemini;
    strip(&rest, "/v1");
    if (strip(&rest, "/projects/") &&
        (!segment(&rest, &project) || !strip(&rest, "/locations/") || !segment(&rest, &location)))
        return refuse(err, 404, NULL, "The requested URL was not found on this server.");
    bool gemini = strip(&rest, "/publishers/google/models/");
    bool claude = !gemini && project.p != NULL && strip(&rest, "/publishers/anthropic/models/");
    bool open = project.p != NULL && slice_is(rest, "/endpoints/openapi/chat/completions");
    if (!vertex_key(v, gemini ? "x-goog-api-key" : claude ? "x-api-key" : "authorization"))
        return refuse(err, 401, NULL,
                      "Request is missing required authentication credential. Expected OAuth 2 "
                      "access token, login cookie or other valid authentication credential.");
    if (gemini)
        return vertex_gemini(v, rest, err);
    if (claude)
        return vertex_claude(v, rest, err);
    struct slice model = json_get(slice_trim(v->req.body), "model");
    if (!open || model.p == NULL || memchr(model.p, '/', model.len) == NULL)
        return refuse(err, 404, NULL, "The requested URL was not found on this server.");
    bytes_adds(&v->path, "/v1/chat/completions");
    return true;
}

/* ---- both ---- */

static const struct {
    const char *prefix;
    bool (*view)(struct cloud_view *v, struct error *err);
    bool annotates;
} clouds[] = {
    {"/openai/", azure_view, true},
    {"/v1/projects/", vertex_view, false},
    {"/v1/publishers/", vertex_view, false},
};

static size_t find_cloud(struct slice path)
{
    size_t i = 0;
    while (i < ARRAY_LEN(clouds) && !strip(&path, clouds[i].prefix))
        i++;
    return i;
}

bool cloud_is_path(struct slice path)
{
    return find_cloud(path) < ARRAY_LEN(clouds);
}

/* The body is looked into before a dialect has validated it. */
static bool is_json(struct slice text)
{
    struct json j;
    struct slice key, value;
    bool started = false;
    json_init(&j, text);
    json_enter(&j, '{');
    while (j.error == NULL && json_next_member(&j, &started, &key, &value))
        continue;
    return json_finish(&j);
}

/* Forms are the operation's to read. */
static bool is_form(const struct request *req)
{
    static const char want[] = "multipart/form-data";
    struct slice type = http_header(req, "content-type");
    return type.len >= sizeof want - 1 && memcmp(type.p, want, sizeof want - 1) == 0;
}

bool cloud_view(const struct request *req, struct cloud_view *out, struct error *err)
{
    size_t i = find_cloud(req->path);
    *out = (struct cloud_view){.req = *req, .refuses = &dialect_openai};
    if (req->body.len > 0 && !is_form(req) && !is_json(req->body))
        return refuse(err, 400, NULL, "The request body is not valid JSON.");
    if (out->req.nheaders == HTTP_MAX_HEADERS)
        return refuse(err, 400, NULL, "Too many header fields.");
    if (!clouds[i].view(out, err))
        return false;
    out->req.path = bytes_slice(&out->path);
    out->req.annotates = clouds[i].annotates;
    return true;
}

void cloud_view_fini(struct cloud_view *v)
{
    bytes_fini(&v->path);
    bytes_fini(&v->key);
    bytes_fini(&v->version);
    bytes_fini(&v->body);
}
