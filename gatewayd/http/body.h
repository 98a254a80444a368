/*
 * body.h: one reader of message bodies for both sides, whatever ends them: a length, the last chunk
 * or the end of the connection.
 *
 * Emits spans of the caller's input, copies nothing, holds no bytes. Bytes behind the end are left
 * to the caller: the next pipelined request on one side, poison on the other.
 */
#ifndef GW_HTTP_BODY_H
#define GW_HTTP_BODY_H

#include "gatewayd/http/chunked.h"

enum http_body_kind {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,
    HTTP_BODY_CHUNKED,
    HTTP_BODY_CLOSE, /* ends with the connection; responses only */
};

struct http_body {
    uint8_t kind; /* enum http_body_kind */
    bool done;
    uint64_t left;       /* HTTP_BODY_LENGTH: bytes still to come */
    uint64_t data_bytes; /* handed out so far, framing not counted */
    struct http_chunked chunked;
};

struct http_request;

void http_body_init(struct http_body *b, enum http_body_kind kind, uint64_t content_length,
                    bool from_upstream);
void http_body_init_request(struct http_body *b, const struct http_request *req);

/* As http_chunked_step. HTTP_BODY_END comes as soon as the last byte was taken (at once for an
 * empty body) and again on every later call, without touching *p. */
enum http_body_step http_body_step(struct http_body *b, const char **p, const char *end,
                                   struct slice *data);

/* Decodes where it lies: moves all data of p[0..n) together at p. *n_data is how much there is,
 * *n_used how much of the input was taken (< n only behind the end or at an error). Returns MORE,
 * END or BAD. Bytes behind *n_used stay where they are. For a body that must be contiguous; does
 * nothing but count when the body isn't chunked. */
enum http_body_step http_body_compact(struct http_body *b, char *p, size_t n, size_t *n_data,
                                      size_t *n_used);

/* The connection ended. HTTP_BODY_END if that is, or already was, the end of the body; else
 * HTTP_BODY_BAD: it was cut. */
enum http_body_step http_body_eof(struct http_body *b);

/* After HTTP_BODY_BAD: static text. */
const char *http_body_reason(const struct http_body *b);

#endif
