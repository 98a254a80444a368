/*
 * test_http_response.c: upstream heads: what is malformed, and how the body ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

#include "gatewayd/http/response.h"

static const struct http_limits limits = {.max_head_bytes = 16 << 10};

#define OK11 "HTTP/1.1 200 OK\r\n"

struct row {
    struct slice head;
    int status; /* -1: malformed */
    enum http_body_kind framing;
    bool keep_alive;
    bool to_head;
};

#define ROW(head, ...)                                                                             \
    {                                                                                              \
        {head, sizeof(head) - 1}, __VA_ARGS__                                                      \
    }
#define BAD(head)                                                                                  \
    {                                                                                              \
        {head, sizeof(head) - 1}, -1, 0, false, false                                              \
    }

static void heads(void **state)
{
    static const struct row rows[] = {
        ROW(OK11 "Content-Length: 5\r\n\r\n", 200, HTTP_BODY_LENGTH, true, false),
        ROW(OK11 "Content-Length: 5\r\nConnection: close\r\n\r\n", 200, HTTP_BODY_LENGTH, false,
            false),
        ROW(OK11 "Content-Length: 0\r\n\r\n", 200, HTTP_BODY_LENGTH, true, false),
        ROW(OK11 "Transfer-Encoding: chunked\r\n\r\n", 200, HTTP_BODY_CHUNKED, true, false),
        ROW(OK11 "\r\n", 200, HTTP_BODY_CLOSE, false, false),
        ROW(OK11 "Content-Length: 5\r\n\r\n", 200, HTTP_BODY_NONE, true, true),
        ROW(OK11 "\r\n", 200, HTTP_BODY_NONE, true, true),
        ROW("HTTP/1.1 204 No Content\r\n\r\n", 204, HTTP_BODY_NONE, true, false),
        ROW("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, HTTP_BODY_NONE, true,
            false),
        ROW("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", 200, HTTP_BODY_LENGTH, false, false),
        ROW("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", 200,
            HTTP_BODY_LENGTH, true, false),
        ROW("HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", 200, HTTP_BODY_LENGTH, true, false),
        ROW("HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", 200, HTTP_BODY_LENGTH, true, false),
        ROW("HTTP/1.1 529 \xc3\xbc"
            "berlastet\r\nContent-Length: 5\r\n\r\n",
            529, HTTP_BODY_LENGTH, true, false),
        ROW("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 302,
            HTTP_BODY_LENGTH, true, false),
        ROW("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", 101,
            HTTP_BODY_NONE, false, false),
        ROW(OK11 "Upgrade: h2,h2c\r\nConnection: Upgrade\r\nContent-Length: 5\r\n\r\n", 200,
            HTTP_BODY_LENGTH, true, false),
        ROW("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK11
            "Content-Length: 5\r\n\r\n",
            200, HTTP_BODY_LENGTH, true, false),
        BAD(OK11 "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
        BAD(OK11 "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
        BAD(OK11 "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
        BAD(OK11 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
        BAD(OK11 "Transfer-Encoding: gzip, chunked\r\n\r\n"),
        BAD("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        BAD(OK11 "Content-Length: -5\r\n\r\n"),
        BAD(OK11 "Content-Length: 99999999999999999999\r\n\r\n"),
        BAD(OK11 "Content-Length : 5\r\n\r\n"),
        BAD(OK11 "X: a\r\n b\r\n\r\n"),
        BAD(OK11 "X: a\0b\r\n\r\n"),
        BAD(OK11 "X: a\n\r\n"),
        BAD("HTTP/1.1 200 OK\n\n"),
        BAD("HTTP/1.1 999 X\r\n\r\n"),
        BAD("HTTP/1.1 099 X\r\n\r\n"),
        BAD("HTTP/1.1 600 X\r\n\r\n"),
        BAD("HTTP/1.1 20 X\r\n\r\n"),
        BAD("HTTP/1.1 2000 X\r\n\r\n"),
        BAD("HTTP/1.1  200 X\r\n\r\n"),
        BAD("HTTP/2.0 200 OK\r\n\r\n"),
        BAD("HTTP/1.2 200 OK\r\n\r\n"),
        BAD("ICY 200 OK\r\n\r\n"),
        BAD("a\r\n\r\n"),
        BAD("HTTP/1.1 200 O\0K\r\n\r\n"),
        BAD("HTTP/1.1 200 O\rK\r\n\r\n"),
        BAD("\r\n\r\n"),
        BAD("<html>\r\n\r\n"),
        BAD("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_response_reader r;
        struct http_response res = {0};
        struct http_error err = {0};
        size_t body_at = 0;
        http_response_reader_init(&r);
        enum http_step step = http_response_read(&r, rows[i].head.p, rows[i].head.n, &limits,
                                                 rows[i].to_head, &res, &body_at, &err);
        if (rows[i].status < 0) {
            if (step != HTTP_STEP_BAD || err.status != 502)
                fail_msg("row %zu was taken: %.*s", i, SLICE_FMT(rows[i].head));
            continue;
        }
        if (step != HTTP_STEP_DONE || res.status != rows[i].status ||
            res.framing != rows[i].framing || res.keep_alive != rows[i].keep_alive)
            fail_msg("row %zu: step %d status %u framing %d keep %d (%s)", i, step, res.status,
                     res.framing, res.keep_alive, err.reason ? err.reason : "");
        assert_int_equal(body_at, rows[i].head.n);
        bool five = memmem(rows[i].head.p, rows[i].head.n, "Length: 5", 9) != NULL;
        if (res.framing == HTTP_BODY_LENGTH)
            assert_int_equal(res.content_length, five ? 5 : 0);
    }
}

static void interim_heads_in_drips(void **state)
{
    static const char answer[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
                                 "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nX-Request-Id: r\r\n"
                                 "x-ratelimit-remaining-tokens: 12\r\nContent-Length: 2\r\n\r\nhi";
    struct http_response_reader r;
    struct http_response res;
    struct http_error err;
    size_t body_at, end = sizeof answer - 1 - 2;
    http_response_reader_init(&r);
    for (size_t n = 0; n < end; n++)
        assert_int_equal(http_response_read(&r, answer, n, &limits, false, &res, &body_at, &err),
                         HTTP_STEP_MORE);
    assert_int_equal(http_response_read(&r, answer, end, &limits, false, &res, &body_at, &err),
                     HTTP_STEP_DONE);
    assert_int_equal(res.status, 429);
    assert_int_equal(body_at, end);
    assert_true(slice_eq_str(http_fields_get(&res.fields, HTTP_H_RETRY_AFTER), "7"));
    assert_true(slice_eq_str(http_fields_get(&res.fields, HTTP_H_X_REQUEST_ID), "r"));
    assert_true(
        slice_eq_str(http_fields_get(&res.fields, HTTP_H_X_RATELIMIT_REMAINING_TOKENS), "12"));
}

static enum http_step read_repeated(const char *interim, int n, const struct http_limits *lim)
{
    static char answer[64 << 10];
    struct http_response_reader r;
    struct http_response res;
    struct http_error err;
    size_t body_at;
    int at = 0;
    for (int i = 0; i < n; i++)
        at += sprintf(answer + at, "%s", interim);
    at += sprintf(answer + at, OK11 "Content-Length: 0\r\n\r\n");
    http_response_reader_init(&r);
    return http_response_read(&r, answer, (size_t)at, lim, false, &res, &body_at, &err);
}

static void interim_heads_are_bounded(void **state)
{
    const char *interim = "HTTP/1.1 102 Processing\r\n\r\n";
    assert_int_equal(read_repeated(interim, HTTP_MAX_INTERIM, &limits), HTTP_STEP_DONE);
    assert_int_equal(read_repeated(interim, HTTP_MAX_INTERIM + 1, &limits), HTTP_STEP_BAD);
    struct http_limits tight = {.max_head_bytes = 100};
    assert_int_equal(read_repeated(interim, 1, &tight), HTTP_STEP_DONE);
    assert_int_equal(read_repeated(interim, 4, &tight), HTTP_STEP_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads),
        cmocka_unit_test(interim_heads_in_drips),
        cmocka_unit_test(interim_heads_are_bounded),
    };
    return cmocka_run_group_tests_name("http_response", tests, NULL, NULL);
}
