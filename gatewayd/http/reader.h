/*
 * reader.h: requests out of a byte stream, for servers that are simple rather than fast.
 *
 * Owns one bounded input buffer. Feed it bytes, then ask for events until it wants more: the head,
 * body pieces, the end of the request, then the next pipelined one. A reader that said BAD or
 * CLOSED says so for ever.
 *
 *     char *p = http_reader_space(&r, &n);  read up to n bytes into p;  http_reader_added(&r, got);
 *     while ((ev = http_reader_next(&r, &piece)) != HTTP_READER_MORE) ...
 */
#ifndef GW_HTTP_READER_H
#define GW_HTTP_READER_H

#include "common/buf.h"
#include "gatewayd/http/body.h"
#include "gatewayd/http/head.h"

enum http_reader_event {
    HTTP_READER_MORE,
    HTTP_READER_HEAD,   /* r->req is filled and stays valid up to and with END */
    HTTP_READER_BODY,   /* *piece, valid until the next call of space() */
    HTTP_READER_END,    /* the request is complete */
    HTTP_READER_BAD,    /* r->err: answer it and close */
    HTTP_READER_CLOSED, /* the last request said that nothing follows it */
};

struct http_reader {
    struct http_limits limits;
    struct buf in;
    size_t at;        /* in `in`: the first byte not yet taken */
    size_t scan_from; /* of http_head_find */
    size_t head_len;
    uint8_t state;
    struct http_request req;
    struct http_body body;
    struct http_error err;
};

void http_reader_init(struct http_reader *r, const struct http_limits *limits);
void http_reader_release(struct http_reader *r);

/* Where to put input, and how much fits (> 0 after next() returned MORE). NULL when memory is
 * short. */
char *http_reader_space(struct http_reader *r, size_t *n_space);
void http_reader_added(struct http_reader *r, size_t n);

enum http_reader_event http_reader_next(struct http_reader *r, struct slice *piece);

/* Whether it stands between two requests with no byte of the next: the connection is idle. */
bool http_reader_is_idle(const struct http_reader *r);

#endif
