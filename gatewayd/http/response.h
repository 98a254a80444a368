/*
 * response.h: response heads of an upstream, which is trusted no more than a client.
 *
 * The same raw-byte check and second reading by http-parser as for requests (head.h). What is
 * malformed here is a 502 and the end of that connection.
 */
#ifndef GW_HTTP_RESPONSE_H
#define GW_HTTP_RESPONSE_H

#include "gatewayd/http/body.h"
#include "gatewayd/http/head.h"

struct http_response {
    uint16_t status;             /* 100..599; 101 and 3xx are the caller's to refuse */
    uint8_t version_minor;       /* HTTP/1.0 or 1.1 */
    bool keep_alive;             /* the connection may be used again after the body */
    enum http_body_kind framing; /* how the body ends */
    uint64_t content_length;     /* framing HTTP_BODY_LENGTH */
    struct http_fields fields;
};

/* Interim responses (1xx) in front of the final one. More, or all heads together longer than
 * max_head_bytes, is malformed. */
enum { HTTP_MAX_INTERIM = 8 };

struct http_response_reader {
    size_t start; /* of the head being looked at */
    size_t scan_from;
    unsigned n_interim;
};

static inline void http_response_reader_init(struct http_response_reader *r)
{
    *r = (struct http_response_reader){0, 0, 0};
}

/* buf begins where the first byte of the answer arrived; call again with the same bytes plus more.
 * Skips interim responses except 101, which is delivered. On DONE *body_at is the offset in buf of
 * the first byte behind the head; `res` refers into buf. `to_head`: the request was HEAD (or
 * CONNECT, whose 2xx has no body either). limits->max_body_bytes is not applied: a long answer is
 * not malformed. */
enum http_step http_response_read(struct http_response_reader *r, const char *buf, size_t len,
                                  const struct http_limits *limits, bool to_head,
                                  struct http_response *res, size_t *body_at,
                                  struct http_error *err);

#endif
