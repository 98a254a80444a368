/*
 * chunked.h: strict push decoder of the chunked transfer coding (RFC 9112 §7.1), and the writer's
 * half of it.
 *
 * Takes `1*8HEXDIG CRLF`, exactly that many bytes, CRLF, ..., `0 CRLF`, trailer lines, CRLF. Data
 * is handed out as spans of the input: nothing is copied. Trailers are bounded, checked for bare
 * CR, LF and control bytes, and dropped: none may become a header.
 *
 * Chunk extensions: refused in requests, where they serve only to make two parsers disagree.
 * In responses they are skipped: a client must ignore those that it doesn't know (§7.1.1), some
 * servers pad the size with blanks, and since the gateway writes its own framing, nobody behind it
 * can be misled. They hold printable bytes and blanks only and count as framing.
 *
 * Framing is bounded by the data that it carries, so that one-byte chunks or extensions can't buy
 * unbounded work: see the limits in chunked.c.
 */
#ifndef GW_HTTP_CHUNKED_H
#define GW_HTTP_CHUNKED_H

#include "common/slice.h"

enum http_body_step {
    HTTP_BODY_MORE, /* the input is used up */
    HTTP_BODY_DATA, /* *data is a span of the input */
    HTTP_BODY_END,  /* the body is complete; the cursor stands behind its last byte */
    HTTP_BODY_BAD,  /* malformed; stays so */
};

struct http_chunked {
    uint8_t state;
    uint8_t n_digits;
    bool from_upstream;
    uint32_t left; /* data bytes of the current chunk still to come; while its size line is read,
                      the size so far */
    uint32_t trailer_bytes;
    uint64_t data_bytes;
    uint64_t framing_bytes;
    const char *reason; /* with HTTP_BODY_BAD: static text */
};

/* from_upstream: read by the rules for responses. */
void http_chunked_init(struct http_chunked *c, bool from_upstream);

/* Takes bytes from *p up to end and moves *p. Call until it returns something other than DATA;
 * spans are never empty. */
enum http_body_step http_chunked_step(struct http_chunked *c, const char **p, const char *end,
                                      struct slice *data);

/* For writing. "%zx\r\n" into out, returns its length; behind the data goes "\r\n", behind the last
 * chunk HTTP_CHUNKED_END. */
enum { HTTP_CHUNK_HEADER_BYTES = 18 };
size_t http_chunk_header(char out[HTTP_CHUNK_HEADER_BYTES], size_t n_data);
#define HTTP_CHUNKED_END "0\r\n\r\n"

#endif
