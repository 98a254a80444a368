/*
 * http.h: requests, read strictly as RFC 9112 writes them.
 *
 * What a lenient server would let pass is an error here: the mock is there to show what a gateway
 * sends, not to make the best of it.
 */
#ifndef MOCKLLM_HTTP_H
#define MOCKLLM_HTTP_H

#include "tests/mockllm/bytes.h"

enum { HTTP_MAX_HEAD = 65536, HTTP_MAX_HEADERS = 128, HTTP_MAX_BODY = 268435456 };

struct header {
    struct slice name, value;
};

struct request {
    struct slice head; /* all of it, with the empty line */
    struct slice method, path, query;
    struct header headers[HTTP_MAX_HEADERS];
    size_t nheaders;
    size_t content_length;
    bool has_length, chunked, keepalive, expect_continue;
    struct slice body; /* decoded; set by the caller once it is there */
    bool annotates;    /* a cloud's, which filters contents and says so (cloud.h) */
};

enum http_result { HTTP_MORE, HTTP_OK, HTTP_BAD };

/* Reads a request head from the front of `in`; every slice points into it. `why` of a bad one is a
 * static text. */
enum http_result http_parse_head(struct slice in, struct request *req, const char **why);

/* The value of the only field of that name; {NULL,0} where there is none. */
struct slice http_header(const struct request *req, const char *name);
/* A parameter of the query, not decoded. */
struct slice http_query(const struct request *req, const char *name);

/* Strict chunked decoding in place: `raw` is where the undecoded rest begins, `decoded` where the
 * decoded bytes end, both counted from the start of the body. */
struct chunked {
    size_t raw, decoded, left;
    enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_LAST, CHUNK_DONE } state;
};
enum http_result http_dechunk(struct chunked *c, char *body, size_t len, const char **why);

#endif
