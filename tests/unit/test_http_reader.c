/*
 * test_http_reader.c: pipelined requests, whatever the pieces they arrive in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "gatewayd/http/reader.h"

static const struct http_limits limits = {
    .max_head_bytes = 4096, .max_target_bytes = 1024, .max_body_bytes = 100000};

/* What happened, one letter an event, with paths and bodies: "H/a B:hello E ". */
struct story {
    char text[512];
    size_t n;
};

static void tell(struct story *s, const char *p, size_t n)
{
    assert_true(s->n + n < sizeof s->text);
    memcpy(s->text + s->n, p, n);
    s->n += n;
    s->text[s->n] = '\0';
}

static enum http_reader_event drain(struct http_reader *r, struct story *s)
{
    for (;;) {
        struct slice piece;
        enum http_reader_event ev = http_reader_next(r, &piece);
        switch (ev) {
        case HTTP_READER_HEAD:
            tell(s, "H", 1);
            break;
        case HTTP_READER_BODY:
            tell(s, piece.p, piece.n);
            break;
        case HTTP_READER_END: {
            struct slice path = http_request_path(&r->req);
            tell(s, path.p, path.n);
            tell(s, "E", 1);
            break;
        }
        default:
            return ev;
        }
    }
}

static enum http_reader_event feed(struct http_reader *r, struct slice in, size_t step,
                                   struct story *s)
{
    enum http_reader_event ev = HTTP_READER_MORE;
    for (size_t at = 0; at < in.n && ev == HTTP_READER_MORE;) {
        size_t room;
        char *p = http_reader_space(r, &room);
        assert_non_null(p);
        size_t n = GW_MIN(GW_MIN(step, room), in.n - at);
        assert_true(n > 0);
        memcpy(p, in.p + at, n);
        http_reader_added(r, n);
        at += n;
        ev = drain(r, s);
    }
    return ev;
}

struct row {
    const char *in;
    const char *story;
    enum http_reader_event last;
    unsigned status;
};

static void stories(void **state)
{
    static const struct row rows[] = {
        {"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", "H/aE", HTTP_READER_MORE, 0},
        {"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n", "H/aEH/bE",
         HTTP_READER_MORE, 0},
        {"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
         "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
         "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
         "GET /c HTTP/1.1\r\nHost: h\r\n\r\n",
         "Hhello/aEHhello/bEH/cE", HTTP_READER_MORE, 0},
        {"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\n\r\n", "H/aE",
         HTTP_READER_CLOSED, 0},
        {"GET /a HTTP/1.0\r\n\r\nGET /b HTTP/1.0\r\n\r\n", "H/aE", HTTP_READER_CLOSED, 0},
        {"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n", "", HTTP_READER_BAD, 400},
        {"GET /a HTTP/1.1\r\nHost: h\r\n\r\nBAD\n\n", "H/aE", HTTP_READER_BAD, 400},
        {"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhe\r\n", "H",
         HTTP_READER_BAD, 400},
        {"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\n\r\n", "", HTTP_READER_BAD, 413},
        {"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhello", "Hhello",
         HTTP_READER_MORE, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice in = slice_str(rows[i].in);
        for (size_t step = 1; step <= in.n; step++) {
            struct http_reader r;
            struct story s = {.n = 0};
            http_reader_init(&r, &limits);
            enum http_reader_event last = feed(&r, in, step, &s);
            assert_string_equal(s.text, rows[i].story);
            assert_int_equal(last, rows[i].last);
            if (last == HTTP_READER_BAD)
                assert_int_equal(r.err.status, rows[i].status);
            http_reader_release(&r);
        }
    }
}

static void a_long_chunked_body_is_bounded(void **state)
{
    static char chunk[0x1000 + 8];
    struct http_reader r;
    struct story s = {.n = 0};
    struct slice piece;
    http_reader_init(&r, &limits);
    assert_int_equal(
        feed(&r, SLICE_LIT("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"), 99,
             &s),
        HTTP_READER_MORE);
    memcpy(chunk, "1000\r\n", 6);
    memset(chunk + 6, 'x', 0x1000);
    memcpy(chunk + 6 + 0x1000, "\r\n", 2);
    unsigned taken = 0;
    enum http_reader_event ev = HTTP_READER_MORE;
    while (ev == HTTP_READER_MORE) {
        size_t room;
        char *p = http_reader_space(&r, &room);
        assert_true(room >= sizeof chunk);
        memcpy(p, chunk, sizeof chunk);
        http_reader_added(&r, sizeof chunk);
        taken += 0x1000;
        while ((ev = http_reader_next(&r, &piece)) == HTTP_READER_BODY)
            ;
        assert_true(r.in.cap <= limits.max_head_bytes + (64 << 10));
    }
    assert_int_equal(ev, HTTP_READER_BAD);
    assert_int_equal(r.err.status, 413);
    assert_in_range(taken, 100001, 100000 + 0x1000);
    http_reader_release(&r);
}

static void idle_between_requests_only(void **state)
{
    struct http_reader r;
    struct story s = {.n = 0};
    http_reader_init(&r, &limits);
    assert_true(http_reader_is_idle(&r));
    feed(&r, SLICE_LIT("G"), 1, &s);
    assert_false(http_reader_is_idle(&r));
    feed(&r, SLICE_LIT("ET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n"), 99, &s);
    assert_false(http_reader_is_idle(&r));
    feed(&r, SLICE_LIT("x"), 1, &s);
    assert_true(http_reader_is_idle(&r));
    http_reader_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories),
        cmocka_unit_test(a_long_chunked_body_is_bounded),
        cmocka_unit_test(idle_between_requests_only),
    };
    return cmocka_run_group_tests_name("http_reader", tests, NULL, NULL);
}
