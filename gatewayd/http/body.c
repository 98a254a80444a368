/*
 * body.c: one interface over the three ways in which a body ends.
 */
#include "gatewayd/http/body.h"

#include "gatewayd/http/head.h"

void http_body_init(struct http_body *b, enum http_body_kind kind, uint64_t content_length,
                    bool from_upstream)
{
    b->kind = (uint8_t)kind;
    b->left = kind == HTTP_BODY_LENGTH ? content_length : 0;
    b->data_bytes = 0;
    b->done = kind == HTTP_BODY_NONE || (kind == HTTP_BODY_LENGTH && content_length == 0);
    http_chunked_init(&b->chunked, from_upstream);
}

void http_body_init_request(struct http_body *b, const struct http_request *req)
{
    enum http_body_kind kind = req->chunked              ? HTTP_BODY_CHUNKED
                               : req->content_length > 0 ? HTTP_BODY_LENGTH
                                                         : HTTP_BODY_NONE;
    http_body_init(b, kind, req->content_length, false);
}

static enum http_body_step step_plain(struct http_body *b, const char **p, const char *end,
                                      struct slice *data)
{
    size_t n = (size_t)(end - *p);
    if (n == 0)
        return HTTP_BODY_MORE;
    if (b->kind == HTTP_BODY_LENGTH) {
        n = (size_t)GW_MIN((uint64_t)n, b->left);
        b->left -= n;
        b->done = b->left == 0;
    }
    *data = slice_of(*p, n);
    *p += n;
    return HTTP_BODY_DATA;
}

enum http_body_step http_body_step(struct http_body *b, const char **p, const char *end,
                                   struct slice *data)
{
    if (b->done)
        return HTTP_BODY_END;
    enum http_body_step step = b->kind == HTTP_BODY_CHUNKED
                                   ? http_chunked_step(&b->chunked, p, end, data)
                                   : step_plain(b, p, end, data);
    if (step == HTTP_BODY_DATA)
        b->data_bytes += data->n;
    b->done = b->done || step == HTTP_BODY_END;
    return step;
}

enum http_body_step http_body_compact(struct http_body *b, char *p, size_t n, size_t *n_data,
                                      size_t *n_used)
{
    const char *at = p, *end = p + n;
    struct slice data;
    enum http_body_step step;
    *n_data = 0;
    while ((step = http_body_step(b, &at, end, &data)) == HTTP_BODY_DATA) {
        if (data.p != p + *n_data)
            memmove(p + *n_data, data.p, data.n);
        *n_data += data.n;
    }
    *n_used = (size_t)(at - p);
    return step;
}

enum http_body_step http_body_eof(struct http_body *b)
{
    if (b->kind == HTTP_BODY_CLOSE)
        b->done = true;
    return b->done ? HTTP_BODY_END : HTTP_BODY_BAD;
}

const char *http_body_reason(const struct http_body *b)
{
    return b->chunked.reason ? b->chunked.reason : "the body was cut short";
}
