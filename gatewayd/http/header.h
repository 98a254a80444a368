/*
 * header.h: the field section of a message: an enum of the names that the gateway knows, and a
 * fixed array of fields that refer to the bytes of the head by offset.
 *
 * Owns nothing and copies nothing. A field is 16 bytes; all positions are offsets from `base`, so a
 * head whose buffer moves stays valid by setting `base` to the new place.
 */
#ifndef GW_HTTP_HEADER_H
#define GW_HTTP_HEADER_H

#include "common/slice.h"

/* Sorted by length: the look-up goes by it, and test_http_header checks the order. Names are in
 * lower case and hold only a-z, 0-9 and '-'. `a` is handed through to X. */
#define HTTP_HEADER_NAMES(X, a)                                                                    \
    X(a, TE, "te")                                                                                 \
    X(a, VIA, "via")                                                                               \
    X(a, DATE, "date")                                                                             \
    X(a, HOST, "host")                                                                             \
    X(a, ACCEPT, "accept")                                                                         \
    X(a, COOKIE, "cookie")                                                                         \
    X(a, EXPECT, "expect")                                                                         \
    X(a, ORIGIN, "origin")                                                                         \
    X(a, SERVER, "server")                                                                         \
    X(a, API_KEY, "api-key")                                                                       \
    X(a, TRAILER, "trailer")                                                                       \
    X(a, UPGRADE, "upgrade")                                                                       \
    X(a, LOCATION, "location")                                                                     \
    X(a, FORWARDED, "forwarded")                                                                   \
    X(a, X_API_KEY, "x-api-key")                                                                   \
    X(a, X_REAL_IP, "x-real-ip")                                                                   \
    X(a, CONNECTION, "connection")                                                                 \
    X(a, KEEP_ALIVE, "keep-alive")                                                                 \
    X(a, REQUEST_ID, "request-id")                                                                 \
    X(a, SET_COOKIE, "set-cookie")                                                                 \
    X(a, TRACESTATE, "tracestate")                                                                 \
    X(a, USER_AGENT, "user-agent")                                                                 \
    X(a, X_GW_CLAMP, "x-gw-clamp")                                                                 \
    X(a, OPENAI_BETA, "openai-beta")                                                               \
    X(a, RETRY_AFTER, "retry-after")                                                               \
    X(a, TRACEPARENT, "traceparent")                                                               \
    X(a, CONTENT_TYPE, "content-type")                                                             \
    X(a, X_REQUEST_ID, "x-request-id")                                                             \
    X(a, AUTHORIZATION, "authorization")                                                           \
    X(a, X_GW_PROVIDER, "x-gw-provider")                                                           \
    X(a, ANTHROPIC_BETA, "anthropic-beta")                                                         \
    X(a, CONTENT_LENGTH, "content-length")                                                         \
    X(a, OPENAI_PROJECT, "openai-project")                                                         \
    X(a, RETRY_AFTER_MS, "retry-after-ms")                                                         \
    X(a, X_GOOG_API_KEY, "x-goog-api-key")                                                         \
    X(a, X_SHOULD_RETRY, "x-should-retry")                                                         \
    X(a, ACCEPT_ENCODING, "accept-encoding")                                                       \
    X(a, IDEMPOTENCY_KEY, "idempotency-key")                                                       \
    X(a, X_FORWARDED_FOR, "x-forwarded-for")                                                       \
    X(a, CONTENT_ENCODING, "content-encoding")                                                     \
    X(a, PROXY_CONNECTION, "proxy-connection")                                                     \
    X(a, X_AMZN_ERRORTYPE, "x-amzn-errortype")                                                     \
    X(a, X_AMZN_REQUESTID, "x-amzn-requestid")                                                     \
    X(a, X_GW_STREAM_COST, "x-gw-stream-cost")                                                     \
    X(a, ANTHROPIC_VERSION, "anthropic-version")                                                   \
    X(a, TRANSFER_ENCODING, "transfer-encoding")                                                   \
    X(a, X_FORWARDED_PROTO, "x-forwarded-proto")                                                   \
    X(a, CONTENT_DISPOSITION, "content-disposition")                                               \
    X(a, OPENAI_ORGANIZATION, "openai-organization")                                               \
    X(a, PROXY_AUTHORIZATION, "proxy-authorization")                                               \
    X(a, OPENAI_PROCESSING_MS, "openai-processing-ms")                                             \
    X(a, X_STAINLESS_RETRY_COUNT, "x-stainless-retry-count")                                       \
    X(a, X_RATELIMIT_RESET_TOKENS, "x-ratelimit-reset-tokens")                                     \
    X(a, X_RATELIMIT_LIMIT_TOKENS, "x-ratelimit-limit-tokens")                                     \
    X(a, X_RATELIMIT_RESET_REQUESTS, "x-ratelimit-reset-requests")                                 \
    X(a, X_RATELIMIT_LIMIT_REQUESTS, "x-ratelimit-limit-requests")                                 \
    X(a, X_RATELIMIT_REMAINING_TOKENS, "x-ratelimit-remaining-tokens")                             \
    X(a, ACCESS_CONTROL_REQUEST_METHOD, "access-control-request-method")                           \
    X(a, ACCESS_CONTROL_REQUEST_HEADERS, "access-control-request-headers")                         \
    X(a, X_RATELIMIT_REMAINING_REQUESTS, "x-ratelimit-remaining-requests")                         \
    X(a, X_AMZN_BEDROCK_INPUT_TOKEN_COUNT, "x-amzn-bedrock-input-token-count")

/* Names with one of these prefixes and no id of their own. */
#define HTTP_HEADER_FAMILIES(X, a)                                                                 \
    X(a, X_GW, "x-gw-")                                                                            \
    X(a, X_STAINLESS, "x-stainless-")                                                              \
    X(a, X_RATELIMIT, "x-ratelimit-")                                                              \
    X(a, ANTHROPIC_RATELIMIT, "anthropic-ratelimit-")

enum http_header_id {
#define HTTP_HEADER_ENUM(a, id, name) HTTP_H_##id,
    HTTP_HEADER_NAMES(HTTP_HEADER_ENUM, _) HTTP_HEADER_FAMILIES(HTTP_HEADER_ENUM, _)
#undef HTTP_HEADER_ENUM
        HTTP_H_OTHER, /* none of the above */
    HTTP_H_COUNT
};

/* The name in lower case (a family's prefix; "" for HTTP_H_OTHER). */
struct slice http_header_name(enum http_header_id id);
/* Any case. `name` must hold token characters only. */
enum http_header_id http_header_lookup(struct slice name);

/* tchar of RFC 9110 §5.6.2 */
bool http_is_token(struct slice s);
/* Bytes that may stand in a field value: HTAB, 0x20-0x7E, 0x80-0xFF (RFC 9110 §5.5). */
bool http_is_field_value(struct slice s);

enum { HTTP_MAX_FIELDS = 100, HTTP_NO_FIELD = 0xff };

struct http_field {
    uint32_t name_off;
    uint32_t value_off;
    uint32_t value_len; /* without the white space around it */
    uint8_t name_len;   /* a longer name is a malformed head */
    uint8_t id;         /* enum http_header_id */
    uint8_t next;       /* index of the next field of the same id, or HTTP_NO_FIELD */
    uint8_t reserved;
};

struct http_fields {
    const char *base; /* the first byte of the head; set it again if the buffer moves */
    uint8_t n;
    uint8_t first[HTTP_H_COUNT]; /* index of the first field of an id, or HTTP_NO_FIELD */
    uint8_t count[HTTP_H_COUNT]; /* how many of it: duplicates are seen here */
    struct http_field f[HTTP_MAX_FIELDS];
};

void http_fields_init(struct http_fields *fs, const char *base);
/* Adds a field at the end. false when HTTP_MAX_FIELDS are there already. */
GW_MUSTUSE bool http_fields_add(struct http_fields *fs, struct slice name, struct slice value);

static inline struct slice http_fields_name(const struct http_fields *fs, unsigned i)
{
    return slice_of(fs->base + fs->f[i].name_off, fs->f[i].name_len);
}

static inline struct slice http_fields_value(const struct http_fields *fs, unsigned i)
{
    return slice_of(fs->base + fs->f[i].value_off, fs->f[i].value_len);
}

/* The value of the first field of this id; p is NULL when there is none. */
static inline struct slice http_fields_get(const struct http_fields *fs, enum http_header_id id)
{
    unsigned i = fs->first[id];
    return i == HTTP_NO_FIELD ? slice_of(NULL, 0) : http_fields_value(fs, i);
}

static inline unsigned http_fields_count(const struct http_fields *fs, enum http_header_id id)
{
    return fs->count[id];
}

/* Walks a field value as a comma-separated list (RFC 9110 §5.6.1): the next element, trimmed, empty
 * ones left out; p is NULL at the end. */
struct slice http_list_next(struct slice *rest);

#endif
