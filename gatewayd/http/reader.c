/*
 * reader.c: the request reader's three states and its buffer.
 *
 * A head always lies at the front of the buffer while its request lives; body bytes that were taken
 * are overwritten by the next ones.
 */
#include "gatewayd/http/reader.h"

#include "common/check.h"

enum { READ_BYTES = 16 << 10, BODY_ROOM = 64 << 10 };

enum state { HEAD, BODY, BAD, CLOSED };

void http_reader_init(struct http_reader *r, const struct http_limits *limits)
{
    r->limits = *limits;
    buf_init(&r->in, limits->max_head_bytes + BODY_ROOM);
    r->at = r->scan_from = r->head_len = 0;
    r->state = HEAD;
}

void http_reader_release(struct http_reader *r)
{
    buf_release(&r->in);
}

/* Drops what was taken, except for the head of a request that goes on. */
static void drop_taken(struct http_reader *r)
{
    size_t keep = r->state == BODY ? r->head_len : 0;
    size_t rest = r->in.len - r->at;
    if (r->at > keep && rest > 0)
        memmove(r->in.data + keep, r->in.data + r->at, rest);
    r->at = keep;
    r->in.len = keep + rest;
}

char *http_reader_space(struct http_reader *r, size_t *n_space)
{
    drop_taken(r);
    if (buf_reserve(&r->in, READ_BYTES) < 0)
        return NULL;
    r->req.fields.base = r->in.data;
    *n_space = r->in.cap - r->in.len;
    return r->in.data + r->in.len;
}

void http_reader_added(struct http_reader *r, size_t n)
{
    GW_REQUIRE(n <= r->in.cap - r->in.len);
    r->in.len += n;
}

static enum http_reader_event reader_bad(struct http_reader *r)
{
    r->state = BAD;
    return HTTP_READER_BAD;
}

static enum http_reader_event next_head(struct http_reader *r)
{
    drop_taken(r);
    switch (
        http_head_find(r->in.data, r->in.len, &r->limits, &r->scan_from, &r->head_len, &r->err)) {
    case HTTP_STEP_MORE:
        return HTTP_READER_MORE;
    case HTTP_STEP_BAD:
        return reader_bad(r);
    case HTTP_STEP_DONE:
        break;
    }
    if (http_request_parse(r->in.data, r->head_len, &r->limits, &r->req, &r->err) < 0)
        return reader_bad(r);
    http_body_init_request(&r->body, &r->req);
    r->at = r->head_len;
    r->scan_from = 0;
    r->state = BODY;
    return HTTP_READER_HEAD;
}

static enum http_reader_event next_body(struct http_reader *r, struct slice *piece)
{
    const char *p = r->in.data + r->at;
    enum http_body_step step = http_body_step(&r->body, &p, r->in.data + r->in.len, piece);
    r->at = (size_t)(p - r->in.data);
    if (r->body.data_bytes > r->limits.max_body_bytes) {
        r->err = (struct http_error){413, 0, "the body is longer than this server takes"};
        return reader_bad(r);
    }
    switch (step) {
    case HTTP_BODY_MORE:
        return HTTP_READER_MORE;
    case HTTP_BODY_DATA:
        return HTTP_READER_BODY;
    case HTTP_BODY_BAD:
        r->err = (struct http_error){400, 0, http_body_reason(&r->body)};
        return reader_bad(r);
    case HTTP_BODY_END:
        break;
    }
    r->state = r->req.keep_alive ? HEAD : CLOSED;
    return HTTP_READER_END;
}

enum http_reader_event http_reader_next(struct http_reader *r, struct slice *piece)
{
    switch ((enum state)r->state) {
    case HEAD:
        return next_head(r);
    case BODY:
        return next_body(r, piece);
    case CLOSED:
        return HTTP_READER_CLOSED;
    case BAD:
        break;
    }
    return HTTP_READER_BAD;
}

bool http_reader_is_idle(const struct http_reader *r)
{
    return r->state == HEAD && r->in.len == r->at;
}
