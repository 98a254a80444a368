/*
 * head.c: the end of a head, request heads, and the second reading by http-parser.
 *
 * Debian builds libhttp-parser with HTTP_PARSER_STRICT=0: it takes white space before colons, bare
 * line feeds, folded lines and much more. That is why nothing here relies on what it refuses; it is
 * asked only whether it reads what we read.
 */
#include "gatewayd/http/head.h"

#include "gatewayd/http/rawhead.h"

#include <http_parser.h>

/* Method, two spaces, version, CRLF: what a request line has beside its target. */
enum { REQUEST_LINE_REST = 64 };

static enum http_step head_bad(struct http_error *err, unsigned status, size_t offset,
                               const char *reason)
{
    http_fail(err, status, offset, reason);
    return HTTP_STEP_BAD;
}

/* Whether the first line doesn't end where it must, seen from a byte at `at`. */
static bool is_line_too_long(const char *buf, size_t at, const struct http_limits *limits)
{
    size_t max = limits->max_target_bytes + REQUEST_LINE_REST;
    return at >= max && !memchr(buf, '\n', max);
}

enum http_step http_head_find(const char *buf, size_t len, const struct http_limits *limits,
                              size_t *scan_from, size_t *head_len, struct http_error *err)
{
    if (len == 0)
        return HTTP_STEP_MORE;
    if (!http_byte_is(buf[0], HTTP_BYTE_TOKEN))
        return head_bad(err, 400, 0,
                        buf[0] == 0x16 ? "a TLS handshake on a connection without TLS"
                                       : "the first byte is not that of an HTTP message");
    size_t end = GW_MIN(len, limits->max_head_bytes);
    for (size_t at = *scan_from; at < end; at++) {
        const char *lf = memchr(buf + at, '\n', end - at);
        at = lf ? (size_t)(lf - buf) : end - 1;
        if (is_line_too_long(buf, at, limits))
            return head_bad(err, 414, 0, "the request line is too long");
        if (!lf)
            break;
        if (buf[at - 1] != '\r')
            return head_bad(err, 400, at, "a line ends with a bare line feed");
        if (at >= 3 && buf[at - 2] == '\n') {
            *head_len = at + 1;
            return HTTP_STEP_DONE;
        }
    }
    *scan_from = end;
    if (len >= limits->max_head_bytes)
        return head_bad(err, 431, 0, "the head of the message is too long");
    return HTTP_STEP_MORE;
}

static const struct slice method_names[] = {
#define METHOD_NAME(name) SLICE_LIT(#name),
    HTTP_METHODS(METHOD_NAME)
#undef METHOD_NAME
};

const char *http_method_name(enum http_method_id m)
{
    return method_names[m].p;
}

static int lookup_method(struct slice name, enum http_method_id *out)
{
    for (unsigned m = 0; m < ARRAY_LEN(method_names); m++) {
        if (slice_eq(name, method_names[m])) {
            *out = m;
            return 0;
        }
    }
    return -1;
}

static int check_target(struct slice target, struct slice method, const struct http_limits *limits,
                        size_t offset, struct http_error *err)
{
    if (target.n > limits->max_target_bytes)
        return http_fail(err, 414, offset, "the request target is too long");
    if (target.p[0] == '/')
        return 0;
    if (slice_eq(target, SLICE_LIT("*")) && slice_eq(method, SLICE_LIT("OPTIONS")))
        return 0;
    return http_fail(err, 400, offset, "the request target must begin with '/'");
}

/* "HTTP/1.1\r\n" at p; *version_minor is 0 or 1. */
static int parse_version(const char *p, size_t n, size_t offset, uint8_t *version_minor,
                         struct http_error *err)
{
    if (n < 10 || memcmp(p, "HTTP/", 5) != 0 || p[5] < '0' || p[5] > '9' || p[6] != '.' ||
        p[7] < '0' || p[7] > '9' || p[8] != '\r' || p[9] != '\n')
        return http_fail(err, 400, offset, "the request line doesn't end with an HTTP version");
    if (p[5] != '1' || p[7] > '1')
        return http_fail(err, 505, offset, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    *version_minor = (uint8_t)(p[7] - '0');
    return 0;
}

struct request_line {
    struct slice method, target;
    size_t len; /* with its CRLF */
};

/* method SP request-target SP HTTP-version CRLF, RFC 9112 §3, with exactly one space each. The head
 * ends with CRLF CRLF, so the scans need no bound. */
static int parse_request_line(const char *head, size_t head_len, const struct http_limits *limits,
                              struct request_line *line, struct http_request *req,
                              struct http_error *err)
{
    const char *p = head;
    while (http_byte_is(*p, HTTP_BYTE_TOKEN))
        p++;
    line->method = slice_of(head, (size_t)(p - head));
    if (line->method.n == 0 || *p != ' ')
        return http_fail(err, 400, (size_t)(p - head),
                         "the request line doesn't begin with a method and a space");
    const char *target = ++p;
    while (http_byte_is(*p, HTTP_BYTE_TARGET))
        p++;
    line->target = slice_of(target, (size_t)(p - target));
    if (line->target.n == 0 || *p != ' ')
        return http_fail(err, 400, (size_t)(p - head),
                         *p == '#' ? "a fragment in the request target"
                                   : "a character in the request target that may not stand there, "
                                     "or no HTTP version behind it");
    p++;
    size_t at = (size_t)(p - head);
    if (parse_version(p, head_len - at, at, &req->version_minor, err) < 0)
        return -1;
    line->len = at + 10;
    if (lookup_method(line->method, &req->method) < 0)
        return http_fail(err, 501, 0, "this method is not implemented");
    return check_target(line->target, line->method, limits, (size_t)(target - head), err);
}

static bool is_port(struct slice s)
{
    uint64_t port;
    return s.n <= 5 && slice_to_u64(s, 65535, &port) == 0;
}

static bool is_ipv6_literal(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!http_byte_is(s.p[i], HTTP_BYTE_HEX) && s.p[i] != ':' && s.p[i] != '.')
            return false;
    return s.n > 0;
}

/* uri-host [":" port]; of reg-name only the unreserved characters: no host of ours holds others. */
static bool is_host(struct slice v)
{
    size_t n = 0;
    if (v.n > 0 && v.p[0] == '[') {
        const char *close = memchr(v.p, ']', v.n);
        if (!close || !is_ipv6_literal(slice_of(v.p + 1, (size_t)(close - v.p - 1))))
            return false;
        n = (size_t)(close - v.p) + 1;
    } else {
        while (n < v.n && http_byte_is(v.p[n], HTTP_BYTE_HOST))
            n++;
        if (n == 0)
            return false;
    }
    return n == v.n || (v.p[n] == ':' && is_port(slice_of(v.p + n + 1, v.n - n - 1)));
}

static int check_host(const struct http_request *req, struct http_error *err)
{
    const struct http_fields *fs = &req->fields;
    unsigned n = fs->count[HTTP_H_HOST];
    if (n == 0)
        return req->version_minor == 0 ? 0 : http_fail(err, 400, 0, "no Host header");
    size_t offset = fs->f[fs->first[HTTP_H_HOST]].name_off;
    if (n > 1)
        return http_fail(err, 400, offset, "more than one Host header");
    if (!is_host(http_request_host(req)))
        return http_fail(err, 400, offset, "the Host header is not a host name and a port");
    return 0;
}

static int check_expect(struct http_request *req, struct http_error *err)
{
    const struct http_fields *fs = &req->fields;
    unsigned n = fs->count[HTTP_H_EXPECT];
    /* An HTTP/1.0 client can't know of it: RFC 9110 §10.1.1. */
    if (n == 0 || req->version_minor == 0)
        return 0;
    if (n > 1 || !slice_ieq(http_fields_get(fs, HTTP_H_EXPECT), SLICE_LIT("100-continue")))
        return http_fail(err, 417, fs->f[fs->first[HTTP_H_EXPECT]].name_off,
                         "an Expect header other than `100-continue`");
    req->expect_continue = req->chunked || req->content_length > 0;
    return 0;
}

static int check_upgrade(const struct http_fields *fs, struct http_error *err)
{
    unsigned i = fs->first[HTTP_H_UPGRADE];
    if (i == HTTP_NO_FIELD)
        return 0;
    return http_fail(err, 501, fs->f[i].name_off,
                     "an Upgrade header: set the client to plain HTTP/1.1");
}

static int check_fields(struct http_request *req, const struct http_limits *limits,
                        struct http_framing *framing, struct http_error *err)
{
    if (http_raw_framing(&req->fields, req->version_minor, framing, err) < 0)
        return -1;
    if (framing->content_length > limits->max_body_bytes)
        return http_fail(err, 413, req->fields.f[req->fields.first[HTTP_H_CONTENT_LENGTH]].name_off,
                         "the body is longer than this server takes");
    req->keep_alive = framing->keep_alive;
    req->chunked = framing->chunked;
    req->has_content_length = framing->has_content_length;
    req->content_length = framing->content_length;
    if (check_host(req, err) < 0 || check_upgrade(&req->fields, err) < 0)
        return -1;
    return check_expect(req, err);
}

static void set_target(struct http_request *req, const char *head, struct slice target)
{
    const char *question = memchr(target.p, '?', target.n);
    req->target_off = (uint32_t)(target.p - head);
    req->target_len = (uint32_t)target.n;
    req->path_len = (uint32_t)(question ? (size_t)(question - target.p) : target.n);
}

int http_request_parse(const char *head, size_t head_len, const struct http_limits *limits,
                       struct http_request *req, struct http_error *err)
{
    struct request_line line = {0};
    struct http_framing framing;
    if (head_len < 4 || memcmp(head + head_len - 4, "\r\n\r\n", 4) != 0)
        return http_fail(err, 400, 0, "the head doesn't end with an empty line");
    if (head_len > limits->max_head_bytes || head_len > UINT32_MAX)
        return http_fail(err, 431, 0, "the head of the message is too long");
    req->expect_continue = false;
    http_fields_init(&req->fields, head);
    if (parse_request_line(head, head_len, limits, &line, req, err) < 0 ||
        http_raw_fields(head, head_len, line.len, &req->fields, err) < 0 ||
        check_fields(req, limits, &framing, err) < 0)
        return -1;
    if (limits->max_fields && req->fields.n > limits->max_fields)
        return http_fail(err, 431, 0, "more header lines than max_headers allows");
    set_target(req, head, line.target);
    struct http_expected expected = {
        .method = line.method,
        .target = line.target,
        .version_minor = req->version_minor,
        .n_fields = req->fields.n,
        .framing = &framing,
    };
    if (http_second_reading(head, head_len, &expected) < 0)
        return http_fail(err, 400, 0, "the head can be read in two ways");
    return 0;
}

struct reading {
    const char *target;
    size_t target_len;
    unsigned n_fields;
    bool complete;
    bool chunked;
    uint64_t content_length; /* UINT64_MAX: none */
};

static int on_url(http_parser *parser, const char *p, size_t n)
{
    struct reading *r = parser->data;
    if (!r->target)
        r->target = p;
    r->target_len += n;
    return 0;
}

/* The whole head lies in one buffer, so that a name comes in one piece. */
static int on_header_field(http_parser *parser, const char *p, size_t n)
{
    struct reading *r = parser->data;
    r->n_fields++;
    return 0;
}

/* 2: neither a body nor another message is this parser's business. */
static int on_headers_complete(http_parser *parser)
{
    struct reading *r = parser->data;
    r->complete = true;
    r->chunked = parser->flags & F_CHUNKED;
    r->content_length = parser->flags & F_CONTENTLENGTH ? parser->content_length : UINT64_MAX;
    return 2;
}

static bool same_message(const http_parser *parser, const struct reading *r,
                         const struct http_expected *e)
{
    uint64_t length = e->framing->has_content_length ? e->framing->content_length : UINT64_MAX;
    if (parser->http_major != 1 || parser->http_minor != e->version_minor ||
        r->n_fields != e->n_fields || r->chunked != e->framing->chunked ||
        r->content_length != length)
        return false;
    if (!e->method.p)
        return parser->status_code == e->status;
    return r->target == e->target.p && r->target_len == e->target.n &&
           slice_eq_str(e->method, http_method_str((enum http_method)parser->method));
}

int http_second_reading(const char *head, size_t head_len, const struct http_expected *expected)
{
    static const http_parser_settings settings = {
        .on_url = on_url,
        .on_header_field = on_header_field,
        .on_headers_complete = on_headers_complete,
    };
    struct reading r = {0};
    http_parser parser;
    /* The library's own limit is a global; ours was applied already. */
    if (head_len >= HTTP_MAX_HEADER_SIZE)
        http_parser_set_max_header_size(UINT32_MAX);
    http_parser_init(&parser, expected->method.p ? HTTP_REQUEST : HTTP_RESPONSE);
    parser.data = &r;
    size_t n = http_parser_execute(&parser, &settings, head, head_len);
    if (n != head_len || !r.complete || HTTP_PARSER_ERRNO(&parser) != HPE_OK)
        return -1;
    return same_message(&parser, &r, expected) ? 0 : -1;
}
