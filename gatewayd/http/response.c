/*
 * response.c: status lines, interim responses, and how a response's body ends (RFC 9112 §6.3).
 */
#include "gatewayd/http/response.h"

#include "gatewayd/http/rawhead.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* HTTP-version SP status-code [SP reason-phrase] CRLF. The space before an empty reason is required
 * by RFC 9112 §4 and left out by some servers; nothing hangs on it. */
static int parse_status_line(const char *head, struct http_response *res, size_t *line_len,
                             struct http_error *err)
{
    if (memcmp(head, "HTTP/1.", 7) != 0 || (head[7] != '0' && head[7] != '1') || head[8] != ' ')
        return http_fail(err, 502, 0, "the answer doesn't begin with HTTP/1.0 or HTTP/1.1");
    if (!is_digit(head[9]) || !is_digit(head[10]) || !is_digit(head[11]))
        return http_fail(err, 502, 9, "no status code of three digits");
    unsigned status = (unsigned)(head[9] - '0') * 100 + (unsigned)(head[10] - '0') * 10 +
                      (unsigned)(head[11] - '0');
    if (status < 100 || status > 599)
        return http_fail(err, 502, 9, "a status code outside 100 to 599");
    const char *p = head + 12;
    if (*p == ' ')
        while (http_byte_is(*p, HTTP_BYTE_VALUE))
            p++;
    if (p[0] != '\r' || p[1] != '\n')
        return http_fail(err, 502, (size_t)(p - head), "a malformed status line");
    res->version_minor = (uint8_t)(head[7] - '0');
    res->status = (uint16_t)status;
    *line_len = (size_t)(p + 2 - head);
    return 0;
}

static void set_framing(struct http_response *res, const struct http_framing *framing, bool to_head)
{
    res->content_length = 0;
    if (to_head || res->status < 200 || res->status == 204 || res->status == 304) {
        res->framing = HTTP_BODY_NONE;
    } else if (framing->chunked) {
        res->framing = HTTP_BODY_CHUNKED;
    } else if (framing->has_content_length) {
        res->framing = HTTP_BODY_LENGTH;
        res->content_length = framing->content_length;
    } else {
        res->framing = HTTP_BODY_CLOSE;
    }
    res->keep_alive = framing->keep_alive && res->framing != HTTP_BODY_CLOSE && res->status != 101;
}

static int parse_head(const char *head, size_t head_len, bool to_head, struct http_response *res,
                      struct http_error *err)
{
    enum { SHORTEST = sizeof "HTTP/1.1 200\r\n\r\n" - 1 };
    struct http_framing framing;
    size_t line_len = 0;
    if (head_len < SHORTEST)
        return http_fail(err, 502, 0, "a malformed status line");
    http_fields_init(&res->fields, head);
    if (parse_status_line(head, res, &line_len, err) < 0 ||
        http_raw_fields(head, head_len, line_len, &res->fields, err) < 0 ||
        http_raw_framing(&res->fields, res->version_minor, &framing, err) < 0)
        return -1;
    struct http_expected expected = {
        .status = res->status,
        .version_minor = res->version_minor,
        .n_fields = res->fields.n,
        .framing = &framing,
    };
    if (http_second_reading(head, head_len, &expected) < 0)
        return http_fail(err, 502, 0, "the head can be read in two ways");
    set_framing(res, &framing, to_head);
    return 0;
}

static enum http_step response_bad(const struct http_response_reader *r, struct http_error *err)
{
    err->status = 502;
    err->offset += (uint32_t)r->start;
    return HTTP_STEP_BAD;
}

enum http_step http_response_read(struct http_response_reader *r, const char *buf, size_t len,
                                  const struct http_limits *limits, bool to_head,
                                  struct http_response *res, size_t *body_at,
                                  struct http_error *err)
{
    for (;;) {
        /* Interim heads count: all together stay below the limit. */
        struct http_limits left = {.max_head_bytes = limits->max_head_bytes - r->start,
                                   .max_target_bytes = limits->max_head_bytes};
        size_t head_len;
        enum http_step step =
            http_head_find(buf + r->start, len - r->start, &left, &r->scan_from, &head_len, err);
        if (step == HTTP_STEP_MORE)
            return step;
        if (step == HTTP_STEP_BAD || parse_head(buf + r->start, head_len, to_head, res, err) < 0)
            return response_bad(r, err);
        r->start += head_len;
        r->scan_from = 0;
        if (res->status >= 200 || res->status == 101) {
            *body_at = r->start;
            return HTTP_STEP_DONE;
        }
        if (++r->n_interim > HTTP_MAX_INTERIM) {
            http_fail(err, 502, 0, "too many interim responses");
            return response_bad(r, err);
        }
    }
}
