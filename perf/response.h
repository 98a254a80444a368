/*
 * response.h: checks an HTTP/1.1 response as it arrives, byte range by byte range.
 *
 * A response counts as good only when its framing is complete and its body is what the request
 * asked for: a JSON object, or an event stream that ends with the event that ends it in its
 * dialect.
 */
#ifndef PERF_RESPONSE_H
#define PERF_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RESPONSE_TAIL_BYTES = 64 };

enum response_result { RESPONSE_MORE, RESPONSE_DONE, RESPONSE_BAD };

struct response {
    /* Results, valid once done. */
    int status;
    bool close;
    uint64_t events; /* blank lines of the body */
    size_t body_bytes;
    const char *error;

    enum { R_HEAD, R_LENGTH, R_SIZE, R_CHUNK, R_CHUNK_END, R_TRAILER } state;
    char head[8192];
    size_t head_length;
    uint64_t left;
    char tail[RESPONSE_TAIL_BYTES]; /* last bytes of the body */
    char first;
    bool newline;
};

void response_start(struct response *r);
/* Takes bytes; `*used` says how many belong to this response. */
enum response_result response_feed(struct response *r, const char *p, size_t n, size_t *used);
/* After RESPONSE_DONE: NULL, or what is wrong with it. `end` is the last line of an event stream
 * (at most RESPONSE_TAIL_BYTES - 2 bytes); NULL: the answer is an object. events: 0: any number. */
const char *response_verify(const struct response *r, int status, const char *end, uint64_t events);

#endif
