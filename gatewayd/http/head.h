/*
 * head.h: request heads: finding the end, the raw-byte check, the parse.
 *
 * A head is taken only when every byte of it can be read in one way. The check here is stricter
 * than RFC 9112 allows a server to be; what it refuses is what parsers are known to read
 * differently (request smuggling), and no client of ours sends it. http-parser then reads the same
 * bytes and must come to the same result: a head on which the two differ is refused.
 *
 * No allocation, no copy; all results refer into the caller's head by offset. Reads only bytes of
 * the head; the body belongs to body.h.
 */
#ifndef GW_HTTP_HEAD_H
#define GW_HTTP_HEAD_H

#include "gatewayd/http/header.h"

struct http_limits {
    size_t max_head_bytes;   /* request line and fields with their CRLFs; above it 431 */
    size_t max_target_bytes; /* above it 414 */
    uint64_t max_body_bytes; /* Content-Length above it: 413 */
    unsigned max_fields;     /* of a request, above it 431; 0: HTTP_MAX_FIELDS */
};

enum { HTTP_MAX_TARGET_BYTES = 8192 };

/* Why a message was refused. `reason` is static text for people, without anything of the message
 * in it; after such an error the connection can't be used any more (answer, `Connection: close`,
 * lingering close). */
struct http_error {
    uint16_t status; /* 400, 413, 414, 417, 431, 501, 505; 502 for responses */
    uint32_t offset; /* of the offending byte or line in the head */
    const char *reason;
};

enum http_step {
    HTTP_STEP_MORE, /* not complete: read on */
    HTTP_STEP_DONE,
    HTTP_STEP_BAD, /* the error is filled */
};

/* Looks for the end of a head in buf, which begins with its first byte. *scan_from is the caller's
 * cursor, 0 at the start of a head and handed back with the same bytes plus more; the work in all
 * is O(length) however the bytes arrive. On DONE *head_len counts the head with its empty line. On
 * BAD: too long (431, 414), a bare LF, or a first byte that no HTTP message begins with. */
enum http_step http_head_find(const char *buf, size_t len, const struct http_limits *limits,
                              size_t *scan_from, size_t *head_len, struct http_error *err);

/* HTTP_M_x, the token. CONNECT, TRACE and all others are refused with 501. */
#define HTTP_METHODS(X)                                                                            \
    X(GET)                                                                                         \
    X(HEAD)                                                                                        \
    X(POST)                                                                                        \
    X(PUT)                                                                                         \
    X(PATCH)                                                                                       \
    X(DELETE)                                                                                      \
    X(OPTIONS)

enum http_method_id {
#define HTTP_METHOD_ENUM(name) HTTP_M_##name,
    HTTP_METHODS(HTTP_METHOD_ENUM)
#undef HTTP_METHOD_ENUM
};

const char *http_method_name(enum http_method_id m);

struct http_request {
    enum http_method_id method;
    uint8_t version_minor;   /* HTTP/1.0 or 1.1 */
    bool keep_alive;         /* after this request; false: nothing behind it may be read */
    bool chunked;            /* the body is chunked; else it has content_length bytes */
    bool has_content_length; /* the field was there */
    bool expect_continue;    /* the client waits for 100 before it sends the body */
    uint64_t content_length; /* 0 when the field was absent */
    uint32_t target_off;
    uint32_t path_len;   /* target up to '?' */
    uint32_t target_len; /* all of it */
    struct http_fields fields;
};

/* Checks and parses a head that http_head_find has delimited. head stays borrowed by *req. */
GW_MUSTUSE int http_request_parse(const char *head, size_t head_len,
                                  const struct http_limits *limits, struct http_request *req,
                                  struct http_error *err);

/* The request target as it was sent: "/v1/models?x=1", or "*" with OPTIONS. */
static inline struct slice http_request_target(const struct http_request *r)
{
    return slice_of(r->fields.base + r->target_off, r->target_len);
}

/* The target without its query; not decoded (path.h). */
static inline struct slice http_request_path(const struct http_request *r)
{
    return slice_of(r->fields.base + r->target_off, r->path_len);
}

/* Behind '?'; p is NULL when the target has none. */
static inline struct slice http_request_query(const struct http_request *r)
{
    if (r->path_len == r->target_len)
        return slice_of(NULL, 0);
    return slice_of(r->fields.base + r->target_off + r->path_len + 1,
                    r->target_len - r->path_len - 1);
}

/* uri-host[:port], checked; p is NULL for an HTTP/1.0 request without it. */
static inline struct slice http_request_host(const struct http_request *r)
{
    return http_fields_get(&r->fields, HTTP_H_HOST);
}

#endif
