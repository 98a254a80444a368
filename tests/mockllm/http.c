/*
 * http.c: see http.h.
 */
#include "tests/mockllm/http.h"

#include <string.h>
#include <strings.h>

/* tchar of RFC 9110 §5.6.2 */
static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return s.len > 0;
}

static bool is_field_value(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static const char *parse_request_line(struct slice line, struct request *req)
{
    struct slice rest = line, version, target;
    if (!slice_split(&rest, " ", &req->method) || !is_token(req->method))
        return "bad method";
    if (!slice_split(&rest, " ", &target) || target.len == 0 || target.p[0] != '/')
        return "bad request target";
    for (size_t i = 0; i < target.len; i++)
        if ((unsigned char)target.p[i] <= 0x20 || (unsigned char)target.p[i] >= 0x7f)
            return "bad byte in the request target";
    if (!slice_split(&rest, " ", &version) || rest.p != NULL || !slice_is(version, "HTTP/1.1"))
        return "bad HTTP version";
    req->query = target;
    slice_split(&req->query, "?", &req->path);
    return NULL;
}

static const char *parse_field(struct slice line, struct header *h)
{
    struct slice rest = line;
    slice_split(&rest, ":", &h->name);
    if (rest.p == NULL)
        return "header line without a colon";
    if (!is_token(h->name))
        return "bad header name";
    h->value = slice_trim(rest);
    return is_field_value(h->value) ? NULL : "bad byte in a header value";
}

static bool is_single(struct slice name)
{
    static const char *const single[] = {"host",   "content-length", "transfer-encoding",
                                         "expect", "content-type",   "authorization"};
    for (size_t i = 0; i < ARRAY_LEN(single); i++)
        if (slice_is_nocase(name, single[i]))
            return true;
    return false;
}

static const struct header *find(const struct request *req, struct slice name)
{
    for (size_t i = 0; i < req->nheaders; i++)
        if (req->headers[i].name.len == name.len &&
            strncasecmp(req->headers[i].name.p, name.p, name.len) == 0)
            return &req->headers[i];
    return NULL;
}

static const char *note_length(struct request *req, struct slice value)
{
    int64_t n;
    if (!slice_to_int(value, &n) || value.p[0] == '-')
        return "bad content-length";
    if (n > HTTP_MAX_BODY)
        return "body too large";
    req->content_length = (size_t)n;
    req->has_length = true;
    return NULL;
}

/* Acts on a field that isn't in the table yet. */
static const char *note_field(struct request *req, const struct header *h)
{
    if (is_single(h->name) && find(req, h->name) != NULL)
        return "field given twice";
    if (slice_is_nocase(h->name, "content-length"))
        return note_length(req, h->value);
    if (slice_is_nocase(h->name, "transfer-encoding")) {
        req->chunked = true;
        return slice_is_nocase(h->value, "chunked") ? NULL : "unknown transfer-encoding";
    }
    if (slice_is_nocase(h->name, "expect")) {
        req->expect_continue = true;
        return slice_is_nocase(h->value, "100-continue") ? NULL : "unknown expectation";
    }
    if (slice_is_nocase(h->name, "connection")) {
        struct slice rest = h->value, word;
        while (slice_split(&rest, ",", &word))
            if (slice_is_nocase(slice_trim(word), "close"))
                req->keepalive = false;
    }
    return NULL;
}

/* The next line without its CRLF. A bare CR or LF is an error. */
static const char *next_line(struct slice *rest, struct slice *line)
{
    const char *lf = memchr(rest->p, '\n', rest->len);
    if (lf == rest->p || lf[-1] != '\r')
        return "line without CRLF";
    *line = (struct slice){rest->p, (size_t)(lf - 1 - rest->p)};
    if (memchr(line->p, '\r', line->len) != NULL)
        return "bare CR";
    *rest = (struct slice){lf + 1, rest->len - (size_t)(lf + 1 - rest->p)};
    return NULL;
}

static const char *parse_fields(struct slice rest, struct request *req)
{
    struct slice line;
    const char *why;
    while ((why = next_line(&rest, &line)) == NULL && line.len > 0) {
        struct header h;
        if (req->nheaders == HTTP_MAX_HEADERS)
            return "too many headers";
        if ((why = parse_field(line, &h)) != NULL || (why = note_field(req, &h)) != NULL)
            return why;
        req->headers[req->nheaders++] = h;
    }
    if (why != NULL)
        return why;
    if (http_header(req, "host").p == NULL)
        return "no host";
    if (req->chunked && req->has_length)
        return "both content-length and transfer-encoding";
    return NULL;
}

enum http_result http_parse_head(struct slice in, struct request *req, const char **why)
{
    size_t window = in.len < HTTP_MAX_HEAD ? in.len : HTTP_MAX_HEAD;
    const char *end = window == 0 ? NULL : memmem(in.p, window, "\r\n\r\n", 4);
    if (end == NULL) {
        *why = "head too large";
        if (window == HTTP_MAX_HEAD)
            return HTTP_BAD;
        *why = "head ends without CRLF";
        return window > 0 && memmem(in.p, window, "\n\n", 2) != NULL ? HTTP_BAD : HTTP_MORE;
    }
    req->head = (struct slice){in.p, (size_t)(end - in.p) + 4};
    req->nheaders = 0;
    req->content_length = 0;
    req->has_length = req->chunked = req->expect_continue = false;
    req->keepalive = true;
    req->annotates = false;
    req->body = (struct slice){NULL, 0};
    struct slice rest = req->head, line;
    if ((*why = next_line(&rest, &line)) != NULL ||
        (*why = parse_request_line(line, req)) != NULL || (*why = parse_fields(rest, req)) != NULL)
        return HTTP_BAD;
    return HTTP_OK;
}

struct slice http_header(const struct request *req, const char *name)
{
    const struct header *h = find(req, (struct slice){name, strlen(name)});
    return h != NULL ? h->value : (struct slice){NULL, 0};
}

struct slice http_query(const struct request *req, const char *name)
{
    struct slice rest = req->query, pair;
    while (slice_split(&rest, "&", &pair)) {
        struct slice value = pair, key;
        slice_split(&value, "=", &key);
        if (slice_is(key, name))
            return value.p != NULL ? value : SLICE("");
    }
    return (struct slice){NULL, 0};
}

/* A chunk-size line, RFC 9112 §7.1; extensions are let pass. */
static enum http_result read_size(struct chunked *c, const char *body, size_t len, const char **why)
{
    const char *line = body + c->raw;
    const char *lf = memchr(line, '\n', len - c->raw);
    *why = "bad chunk size";
    if (lf == NULL)
        return len - c->raw > 1024 ? HTTP_BAD : HTTP_MORE;
    size_t digits = 0, size = 0;
    for (; digits < 8; digits++) {
        char ch = line[digits];
        if (ch >= '0' && ch <= '9')
            size = size * 16 + (size_t)(ch - '0');
        else if ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f')
            size = size * 16 + (size_t)((ch | 0x20) - 'a' + 10);
        else
            break;
    }
    if (digits == 0 || lf[-1] != '\r' || (line[digits] != '\r' && line[digits] != ';') ||
        c->decoded + size > HTTP_MAX_BODY)
        return HTTP_BAD;
    c->raw = (size_t)(lf + 1 - body);
    c->left = size;
    c->state = size > 0 ? CHUNK_DATA : CHUNK_LAST;
    return HTTP_OK;
}

static enum http_result read_crlf(struct chunked *c, const char *body, size_t len, const char **why)
{
    if (len - c->raw < 2)
        return HTTP_MORE;
    *why = c->state == CHUNK_LAST ? "trailers are not accepted" : "chunk not followed by CRLF";
    if (memcmp(body + c->raw, "\r\n", 2) != 0)
        return HTTP_BAD;
    c->raw += 2;
    c->state = c->state == CHUNK_LAST ? CHUNK_DONE : CHUNK_SIZE;
    return HTTP_OK;
}

enum http_result http_dechunk(struct chunked *c, char *body, size_t len, const char **why)
{
    while (c->state != CHUNK_DONE) {
        enum http_result r = HTTP_OK;
        if (c->state == CHUNK_SIZE) {
            r = read_size(c, body, len, why);
        } else if (c->state == CHUNK_DATA) {
            size_t n = len - c->raw < c->left ? len - c->raw : c->left;
            memmove(body + c->decoded, body + c->raw, n);
            c->raw += n;
            c->decoded += n;
            c->left -= n;
            if (c->left > 0)
                return HTTP_MORE;
            c->state = CHUNK_DATA_END;
        } else {
            r = read_crlf(c, body, len, why);
        }
        if (r != HTTP_OK)
            return r;
    }
    return HTTP_OK;
}
