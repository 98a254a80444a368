/*
 * rawhead.h: what the checks of request heads and response heads share. Internal to gatewayd/http.
 */
#ifndef GW_HTTP_RAWHEAD_H
#define GW_HTTP_RAWHEAD_H

#include "gatewayd/http/head.h"

enum {
    HTTP_BYTE_TOKEN = 1,  /* tchar */
    HTTP_BYTE_VALUE = 2,  /* field value, reason phrase */
    HTTP_BYTE_TARGET = 4, /* 0x21-0x7E without '#' */
    HTTP_BYTE_HOST = 8,   /* unreserved characters of RFC 3986 */
    HTTP_BYTE_HEX = 16,
};

extern const uint8_t http_byte_class[256];

static inline bool http_byte_is(char c, unsigned class_bits)
{
    return http_byte_class[(unsigned char)c] & class_bits;
}

/* Fills *err and returns -1. */
int http_fail(struct http_error *err, unsigned status, size_t offset, const char *reason);

/* Reads the field lines from `at` up to and with the empty line, which must be the end of the head.
 * The head must end with CRLF CRLF. */
GW_MUSTUSE int http_raw_fields(const char *head, size_t head_len, size_t at, struct http_fields *fs,
                               struct http_error *err);

/* What the fields say about the body and the connection. */
struct http_framing {
    bool chunked;
    bool has_content_length;
    bool keep_alive;
    uint64_t content_length;
};

GW_MUSTUSE int http_raw_framing(const struct http_fields *fs, unsigned version_minor,
                                struct http_framing *out, struct http_error *err);

/* http-parser reads the same head and must find the same message: method (a token) or status, the
 * version, so many fields, this framing. -1 where it refuses or differs. */
struct http_expected {
    struct slice method; /* p is NULL for a response */
    struct slice target;
    unsigned status;
    unsigned version_minor;
    unsigned n_fields;
    const struct http_framing *framing;
};

GW_MUSTUSE int http_second_reading(const char *head, size_t head_len,
                                   const struct http_expected *expected);

#endif
