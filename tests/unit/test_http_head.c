/*
 * test_http_head.c: what is taken as a request head and what is refused, row by row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/http/head.h"

static const struct http_limits limits = {
    .max_head_bytes = 32 << 10,
    .max_target_bytes = HTTP_MAX_TARGET_BYTES,
    .max_body_bytes = 64 << 20,
};

/* The way a connection goes: find the end, then parse. Returns the status, 0 when it was taken, 1
 * when more bytes are wanted. The head lies at the end of its own allocation, so that a read behind
 * it is seen. */
static unsigned judge(struct slice head, struct http_request *req, const char **reason)
{
    struct http_error err = {0};
    size_t scan = 0, n = 0;
    char *copy = malloc(head.n ? head.n : 1);
    memcpy(copy, head.p, head.n);
    unsigned status = 1;
    enum http_step step = http_head_find(copy, head.n, &limits, &scan, &n, &err);
    if (step == HTTP_STEP_BAD ||
        (step == HTTP_STEP_DONE && http_request_parse(copy, n, &limits, req, &err) < 0))
        status = err.status;
    else if (step == HTTP_STEP_DONE)
        status = 0;
    *reason = status > 1 ? err.reason : "taken";
    free(copy);
    return status;
}

struct row {
    struct slice head;
    unsigned status;
};

#define ROW(head, status)                                                                          \
    {                                                                                              \
        {head, sizeof(head) - 1}, status                                                           \
    }
#define POST      "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
#define GET(rest) "GET / HTTP/1.1\r\nHost: a\r\n" rest "\r\n"

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct http_request req;
        const char *reason;
        unsigned status = judge(rows[i].head, &req, &reason);
        if (status != rows[i].status)
            fail_msg("row %zu: %u (%s), expected %u:\n%.*s", i, status, reason, rows[i].status,
                     SLICE_FMT(rows[i].head));
    }
}

static void good_heads_are_taken(void **state)
{
    static const struct row rows[] = {
        ROW(GET(""), 0),
        ROW(GET("Content-Length: 0\r\n"), 0),
        ROW(GET("Content-Length:5\r\n"), 0),
        ROW(GET("Content-Length:   5  \r\n"), 0),
        ROW(GET("Transfer-Encoding: chunked\r\n"), 0),
        ROW(GET("TRANSFER-ENCODING: Chunked \r\n"), 0),
        ROW(GET("X:\r\nY: \r\nZ:\t\t\r\n"), 0),
        ROW(GET("X: \x80\xff\tb \"(),/:;<=>?@[\\]{}\r\n"), 0),
        ROW(GET("!#$%&'*+-.^_`|~: 1\r\n"), 0),
        ROW(GET("Connection: close\r\n"), 0),
        ROW(GET("Expect: 100-Continue\r\nContent-Length: 3\r\n"), 0),
        ROW("GET / HTTP/1.0\r\n\r\n", 0),
        ROW("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0),
        ROW("GET / HTTP/1.0\r\nExpect: something\r\n\r\n", 0),
        ROW("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0),
        ROW("OPTIONS /v1 HTTP/1.1\r\nHost: a\r\n\r\n", 0),
        ROW("DELETE /a?b=c&d=%2f?x HTTP/1.1\r\nHost: a\r\n\r\n", 0),
        ROW("GET /~a!$&'()*+,;=:@\"<>[]^`{|}\\ HTTP/1.1\r\nHost: a\r\n\r\n", 0),
        ROW("HEAD / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 0),
        ROW("PUT / HTTP/1.1\r\nHost: my_host-1.example.com:65535\r\n\r\n", 0),
        ROW("PATCH / HTTP/1.1\r\nHost: 127.0.0.1:0\r\n\r\n", 0),
        ROW("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1", 0),
    };
    check_rows(rows, ARRAY_LEN(rows));
}

/* What Debian's build of http-parser takes, and honours, because it is built without STRICT. */
static void what_the_lenient_parser_takes_is_refused(void **state)
{
    static const struct row rows[] = {
        ROW(POST "Transfer-Encoding : chunked\r\n\r\n", 400),
        ROW(POST "Content-Length : 5\r\n\r\n", 400),
        ROW(POST "Content-Length\t: 5\r\n\r\n", 400),
        ROW(GET("X A: b\r\n"), 400),
        ROW("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", 400),
        ROW("GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("GET /\ta HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("GET / HTPP/1.1\r\nHost: a\r\n\r\n", 400),
    };
    check_rows(rows, ARRAY_LEN(rows));
}

/* What http-parser takes in either build. */
static void what_both_builds_take_is_refused(void **state)
{
    static const struct row rows[] = {
        ROW("GET / HTTP/1.1\nHost: a\n\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        ROW("GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
        ROW(GET("X: a\r\n b\r\n"), 400),
        ROW(GET("X: a\r\n\tb\r\n"), 400),
        ROW(GET("X:\r\n b\r\n"), 400),
        ROW(POST "Transfer-Encoding:\r\n chunked\r\n\r\n", 400),
        ROW(POST "Content-Length:\r\n 5\r\n\r\n", 400),
        ROW(POST "Content-Length: 005\r\n\r\n", 400),
        ROW(POST "Content-Length: 00\r\n\r\n", 400),
        ROW(POST "Content-Length:\t5\r\n\r\n", 400),
        ROW(POST "Content-Length: 5\t\r\n\r\n", 400),
        ROW(POST "Transfer-Encoding:\tchunked\r\n\r\n", 400),
        ROW(POST "Content-Length: 18446744073709551600\r\n\r\n", 400),
        ROW(POST "Content-Length: 9223372036854775808\r\n\r\n", 400),
        ROW(POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ROW(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ROW("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ROW("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: [v1.a]\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: a%41\r\n\r\n", 400),
        ROW("GET /\r\n\r\n", 400),
        ROW("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        ROW("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ROW("GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505),
        ROW("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
        ROW("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        ROW(" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("\r\n\r\n", 400),
        ROW("\r\n", 400),
        ROW("\n", 400),
        ROW(POST "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 501),
        ROW(POST "Upgrade: h2c\r\n\r\n", 501),
        ROW("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ROW("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ROW("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void what_both_builds_refuse_is_refused_here_too(void **state)
{
    static const struct row rows[] = {
        ROW(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ROW(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400),
        ROW(POST "Transfer-Encoding: x\r\nContent-Length: 5\r\n\r\n", 400),
        ROW(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400),
        ROW(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        ROW(POST "Content-Length: 5, 5\r\n\r\n", 400),
        ROW(POST "Content-Length: +5\r\n\r\n", 400),
        ROW(POST "Content-Length: -5\r\n\r\n", 400),
        ROW(POST "Content-Length: 0x5\r\n\r\n", 400),
        ROW(POST "Content-Length: 5 5\r\n\r\n", 400),
        ROW(POST "Content-Length:\r\n\r\n", 400),
        ROW(POST "Transfer-Encoding: chunked, gzip\r\n\r\n", 501),
        ROW(POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 501),
        ROW(POST "Transfer-Encoding: xchunked\r\n\r\n", 501),
        ROW(POST "Transfer-Encoding: identity\r\n\r\n", 501),
        ROW(POST "Transfer-Encoding:\r\n\r\n", 501),
        ROW(POST "Transfer-Encoding: \x0b"
                 "chunked\r\n\r\n",
            400),
        ROW(POST "Transfer-Encoding: \"chunked\"\r\n\r\n", 501),
        ROW(POST "Transfer-Encoding: chunked;q=1\r\n\r\n", 501),
        ROW(POST "Transfer-Encoding: chunked,\r\n\r\n", 501),
        ROW(GET("X: a\0b\r\n"), 400),
        ROW(GET("X: a\x01\r\n"), 400),
        ROW(GET("X: a\x7f\r\n"), 400),
        ROW(GET("X\0: a\r\n"), 400),
        ROW(GET("X: a\rb\r\n"), 400),
        ROW("GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
        ROW("GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n\r\n", 400),
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void the_rest_of_the_list(void **state)
{
    static const struct row rows[] = {
        ROW(POST "Content_Length: 5\r\n\r\n", 400),
        ROW(POST "content-length: 5\r\nTransfer_Encoding: chunked\r\n\r\n", 400),
        ROW(GET("Some_Header_Of: ok\r\n"), 0),
        ROW(GET("no colon\r\n"), 400),
        ROW(GET("nocolon\r\n"), 400),
        ROW(GET(": empty name\r\n"), 400),
        ROW(GET("Na(me: x\r\n"), 400),
        ROW(GET("N\xe4me: x\r\n"), 400),
        ROW(GET("Expect: 200-ok\r\n"), 417),
        ROW(GET("Expect: 100-continue\r\nExpect: 100-continue\r\n"), 417),
        ROW(POST "Content-Length: 67108865\r\n\r\n", 413),
        ROW(POST "Content-Length: 67108864\r\n\r\n", 0),
        ROW("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ROW("get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ROW("GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        ROW("GET / HTTP/1.1", 1),
        ROW("GET / HTTP/1.1\r\nHost: a\r\n\r", 1),
        ROW("", 1),
        ROW("\x16\x03\x01\x02", 400),
        ROW("\0", 400),
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void fill(char *head, size_t cap, const char *prefix, size_t n, const char *suffix)
{
    size_t at = strlen(prefix);
    assert_true(at + n + strlen(suffix) < cap);
    memcpy(head, prefix, at);
    memset(head + at, 'a', n);
    strcpy(head + at + n, suffix);
}

static void limits_hold_to_the_byte(void **state)
{
    static char head[80 << 10];
    struct http_request req;
    const char *reason;
    const char *end = " HTTP/1.1\r\nHost: a\r\n\r\n";
    fill(head, sizeof head, "GET /", HTTP_MAX_TARGET_BYTES - 1, end);
    assert_int_equal(judge(slice_str(head), &req, &reason), 0);
    fill(head, sizeof head, "GET /", HTTP_MAX_TARGET_BYTES, end);
    assert_int_equal(judge(slice_str(head), &req, &reason), 414);
    fill(head, sizeof head, "GET /", HTTP_MAX_TARGET_BYTES + 200, "");
    assert_int_equal(judge(slice_str(head), &req, &reason), 414);

    const char *prefix = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    size_t fixed = strlen(prefix) + 4;
    fill(head, sizeof head, prefix, limits.max_head_bytes - fixed, "\r\n\r\n");
    assert_int_equal(judge(slice_str(head), &req, &reason), 0);
    fill(head, sizeof head, prefix, limits.max_head_bytes - fixed + 1, "\r\n\r\n");
    assert_int_equal(judge(slice_str(head), &req, &reason), 431);
    fill(head, sizeof head, prefix, limits.max_head_bytes, "");
    assert_int_equal(judge(slice_str(head), &req, &reason), 431);

    fill(head, sizeof head, "GET / HTTP/1.1\r\nHost: a\r\n", 255, ": x\r\n\r\n");
    assert_int_equal(judge(slice_str(head), &req, &reason), 0);
    fill(head, sizeof head, "GET / HTTP/1.1\r\nHost: a\r\n", 256, ": x\r\n\r\n");
    assert_int_equal(judge(slice_str(head), &req, &reason), 431);
}

static void a_head_above_the_librarys_own_limit_is_taken(void **state)
{
    static char head[200 << 10];
    struct http_limits large = limits;
    struct http_request req;
    struct http_error err;
    large.max_head_bytes = sizeof head;
    fill(head, sizeof head, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 150 << 10, "\r\n\r\n");
    assert_int_equal(http_request_parse(head, strlen(head), &large, &req, &err), 0);
}

static void header_count(void **state)
{
    for (int n = 99; n <= 100; n++) {
        char head[4096];
        struct http_request req;
        const char *reason;
        int at = sprintf(head, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (int i = 0; i < n; i++)
            at += sprintf(head + at, "h%d: %d\r\n", i, i);
        strcpy(head + at, "\r\n");
        assert_int_equal(judge(slice_str(head), &req, &reason), n == 99 ? 0 : 431);
    }
}

static void parsed_fields(void **state)
{
    static const char head[] = "POST /v1/messages?beta=true&x=%20 HTTP/1.1\r\n"
                               "Host: api.example:8443\r\n"
                               "Authorization: Bearer k1\r\n"
                               "X-Api-Key:  k2 \r\n"
                               "authorization: Bearer k3\r\n"
                               "Connection: foo, Close\r\n"
                               "Expect: 100-continue\r\n"
                               "Content-Length: 42\r\n\r\n";
    struct http_request r;
    struct http_error err;
    assert_int_equal(http_request_parse(head, sizeof head - 1, &limits, &r, &err), 0);
    assert_int_equal(r.method, HTTP_M_POST);
    assert_string_equal(http_method_name(r.method), "POST");
    assert_true(slice_eq_str(http_request_target(&r), "/v1/messages?beta=true&x=%20"));
    assert_true(slice_eq_str(http_request_path(&r), "/v1/messages"));
    assert_true(slice_eq_str(http_request_query(&r), "beta=true&x=%20"));
    assert_true(slice_eq_str(http_request_host(&r), "api.example:8443"));
    assert_true(slice_eq_str(http_fields_get(&r.fields, HTTP_H_X_API_KEY), "k2"));
    assert_int_equal(http_fields_count(&r.fields, HTTP_H_AUTHORIZATION), 2);
    assert_int_equal(r.version_minor, 1);
    assert_int_equal(r.content_length, 42);
    assert_true(r.has_content_length && r.expect_continue);
    assert_false(r.keep_alive || r.chunked);
}

static void keep_alive(void **state)
{
    static const struct {
        const char *head;
        bool keep_alive;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: y, CLOSE\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_request r;
        struct http_error err;
        assert_int_equal(http_request_parse(rows[i].head, strlen(rows[i].head), &limits, &r, &err),
                         0);
        assert_int_equal(r.keep_alive, rows[i].keep_alive);
    }
}

static void queries(void **state)
{
    struct http_request r;
    struct http_error err;
    struct slice none = SLICE_LIT("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    struct slice empty = SLICE_LIT("GET /a? HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(http_request_parse(none.p, none.n, &limits, &r, &err), 0);
    assert_null(http_request_query(&r).p);
    assert_int_equal(http_request_parse(empty.p, empty.n, &limits, &r, &err), 0);
    assert_non_null(http_request_query(&r).p);
    assert_int_equal(http_request_query(&r).n, 0);
}

static void the_end_is_found_byte_by_byte(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
    size_t scan = 0, head_len = 0, expected = sizeof head - 1 - 4;
    struct http_error err;
    for (size_t n = 0; n < expected; n++)
        assert_int_equal(http_head_find(head, n, &limits, &scan, &head_len, &err), HTTP_STEP_MORE);
    assert_int_equal(http_head_find(head, sizeof head - 1, &limits, &scan, &head_len, &err),
                     HTTP_STEP_DONE);
    assert_int_equal(head_len, expected);
}

static void errors_say_where(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n";
    struct http_request r;
    struct http_error err;
    assert_int_equal(http_request_parse(head, sizeof head - 1, &limits, &r, &err), -1);
    assert_int_equal(err.offset, strstr(head, " Y") - head);
    assert_string_equal(err.reason, "white space between a header name and its colon");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_heads_are_taken),
        cmocka_unit_test(what_the_lenient_parser_takes_is_refused),
        cmocka_unit_test(what_both_builds_take_is_refused),
        cmocka_unit_test(what_both_builds_refuse_is_refused_here_too),
        cmocka_unit_test(the_rest_of_the_list),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(a_head_above_the_librarys_own_limit_is_taken),
        cmocka_unit_test(header_count),
        cmocka_unit_test(parsed_fields),
        cmocka_unit_test(keep_alive),
        cmocka_unit_test(queries),
        cmocka_unit_test(the_end_is_found_byte_by_byte),
        cmocka_unit_test(errors_say_where),
    };
    return cmocka_run_group_tests_name("http_head", tests, NULL, NULL);
}
