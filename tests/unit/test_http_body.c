/*
 * test_http_body.c: the chunked decoder and the reader of bodies over all three framings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/http/body.h"

struct row {
    struct slice in;
    const char *data; /* NULL: malformed */
    size_t rest;      /* bytes behind the end */
    bool from_upstream;
};

#define ROW(in, ...)                                                                               \
    {                                                                                              \
        {in, sizeof(in) - 1}, __VA_ARGS__                                                          \
    }

/* The same bytes in pieces of `step`; appends the data to out. */
static enum http_body_step decode(struct http_body *b, struct slice in, size_t step, char *out,
                                  size_t *n_out, size_t *n_used)
{
    enum http_body_step res = HTTP_BODY_MORE;
    size_t at = 0;
    *n_out = 0;
    do {
        size_t n = in.n - at < step ? in.n - at : step;
        const char *p = in.p + at, *end = p + n;
        struct slice data;
        while ((res = http_body_step(b, &p, end, &data)) == HTTP_BODY_DATA) {
            assert_true(data.n > 0);
            memcpy(out + *n_out, data.p, data.n);
            *n_out += data.n;
        }
        at = (size_t)(p - in.p);
    } while (res == HTTP_BODY_MORE && at < in.n);
    *n_used = at;
    return res;
}

static void check_chunked(const struct row *row, size_t i, size_t step)
{
    struct http_body b;
    char out[256];
    size_t n_out, used;
    http_body_init(&b, HTTP_BODY_CHUNKED, 0, row->from_upstream);
    enum http_body_step res = decode(&b, row->in, step, out, &n_out, &used);
    if (!row->data) {
        if (res != HTTP_BODY_BAD || !b.chunked.reason)
            fail_msg("row %zu, step %zu: taken", i, step);
        assert_int_equal(http_body_eof(&b), HTTP_BODY_BAD);
        return;
    }
    if (res != HTTP_BODY_END)
        fail_msg("row %zu, step %zu: %d %s", i, step, res, http_body_reason(&b));
    assert_int_equal(n_out, strlen(row->data));
    assert_memory_equal(out, row->data, n_out);
    assert_int_equal(used, row->in.n - row->rest);
    assert_int_equal(b.data_bytes, n_out);
    assert_int_equal(http_body_eof(&b), HTTP_BODY_END);
}

static void chunked_rows(void **state)
{
    static const struct row rows[] = {
        ROW("0\r\n\r\n", "", 0, false),
        ROW("5\r\nhello\r\n0\r\n\r\n", "hello", 0, false),
        ROW("5\r\nhello\r\n0\r\n\r\nGET", "hello", 3, false),
        ROW("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", 0, false),
        ROW("00000001\r\nx\r\n00000000\r\n\r\n", "x", 0, false),
        ROW("1\r\nx\r\n0\r\nAuthorization: evil\r\nX:\r\n\r\n", "x", 0, false),
        ROW("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0, false),
        /* as in requests: nothing behind the size */
        ROW("000000001\r\nx\r\n0\r\n\r\n", NULL, 0, false),
        ROW("5;a=b\r\nhello\r\n0\r\n\r\n", NULL, 0, false),
        ROW("5;a\nhello\r\n0\r\n\r\n", NULL, 0, false),
        ROW("5;a\rX\nhello\r\n0\r\n\r\n", NULL, 0, false),
        ROW("5 \r\nhello\r\n0\r\n\r\n", NULL, 0, false),
        ROW("5 zzzz\r\nhello\r\n0\r\n\r\n", NULL, 0, false),
        ROW("5;\r\nhello\r\n0\r\n\r\n", NULL, 0, false),
        ROW("5\rXhello\r\n0\r\n\r\n", NULL, 0, false),
        ROW("5\nhello\r\n0\r\n\r\n", NULL, 0, false),
        ROW("5\r\nhelloXX0\r\n\r\n", NULL, 0, false),
        ROW("5\r\nhello\n0\r\n\r\n", NULL, 0, false),
        ROW("5\r\nhello0\r\n\r\n", NULL, 0, false),
        ROW("0\r\n\rX", NULL, 0, false),
        ROW("0\n\n", NULL, 0, false),
        ROW("0\r\n\n", NULL, 0, false),
        ROW("\r\n", NULL, 0, false),
        ROW(" 5\r\n", NULL, 0, false),
        ROW("0x5\r\n", NULL, 0, false),
        ROW("-5\r\n", NULL, 0, false),
        ROW("+5\r\n", NULL, 0, false),
        ROW("g\r\n", NULL, 0, false),
        ROW("5\0\r\n", NULL, 0, false),
        ROW("0\r\n folded\r\n\r\n", NULL, 0, false),
        ROW("0\r\nX\0: a\r\n\r\n", NULL, 0, false),
        ROW("0\r\nX: a\nY: b\r\n\r\n", NULL, 0, false),
        ROW("0\r\nX: a\rY\r\n\r\n", NULL, 0, false),
        ROW("0\r\nnocolon\r\n\r\n", NULL, 0, false),
        ROW("0\r\n: x\r\n\r\n", NULL, 0, false),
        /* from an upstream extensions are skipped, never trusted */
        ROW("5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n", "hello", 0, true),
        ROW("5  \r\nhello\r\n0\r\n\r\n", "hello", 0, true),
        ROW("5;a\nhello\r\n0\r\n\r\n", NULL, 0, true),
        ROW("5;a\rXhello\r\n0\r\n\r\n", NULL, 0, true),
        ROW("5;\0\r\nhello\r\n0\r\n\r\n", NULL, 0, true),
        ROW("5x\r\nhello\r\n0\r\n\r\n", NULL, 0, true),
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t step = 1; step <= rows[i].in.n; step++)
            check_chunked(&rows[i], i, step);
    }
}

static void unfinished_chunked_is_cut(void **state)
{
    static const char whole[] = "5\r\nhello\r\n0\r\nX: y\r\n\r\n";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        struct http_body b;
        char out[16];
        size_t n_out, used;
        http_body_init(&b, HTTP_BODY_CHUNKED, 0, true);
        assert_int_equal(decode(&b, slice_of(whole, n), n ? n : 1, out, &n_out, &used),
                         HTTP_BODY_MORE);
        assert_int_equal(http_body_eof(&b), HTTP_BODY_BAD);
        assert_string_equal(http_body_reason(&b), "the body was cut short");
    }
}

/* How many repetitions of `unit` are taken before the decoder gives up. */
static unsigned endure(const char *before, const char *unit, bool from_upstream, unsigned max)
{
    struct http_body b;
    struct slice data;
    const char *p = before;
    http_body_init(&b, HTTP_BODY_CHUNKED, 0, from_upstream);
    assert_int_equal(http_body_step(&b, &p, before + strlen(before), &data), HTTP_BODY_MORE);
    for (unsigned i = 0; i < max; i++) {
        enum http_body_step step;
        p = unit;
        while ((step = http_body_step(&b, &p, unit + strlen(unit), &data)) == HTTP_BODY_DATA)
            ;
        if (step == HTTP_BODY_BAD)
            return i;
    }
    return max;
}

static void framing_is_bounded_by_data(void **state)
{
    assert_in_range(endure("", "1\r\nx\r\n", false, 100000), 4000, 4200);
    assert_int_equal(endure("", "1\r\nx\r\n", true, 100000), 100000);
    assert_int_equal(endure("", "20\r\n0123456789abcdef0123456789abcdef\r\n", false, 100000),
                     100000);
    assert_in_range(endure("5;", "aaaaaaaaaaaaaaaa", true, 100000), 4000, 4100);
    assert_in_range(endure("0\r\n", "X: aaaaaaaaaaaa\r\n", false, 100000), 450, 490);
}

static void lengths(void **state)
{
    struct http_body b;
    char out[16];
    size_t n_out, used;
    http_body_init(&b, HTTP_BODY_LENGTH, 5, false);
    assert_int_equal(decode(&b, SLICE_LIT("hel"), 2, out, &n_out, &used), HTTP_BODY_MORE);
    assert_int_equal(http_body_eof(&b), HTTP_BODY_BAD);
    assert_int_equal(decode(&b, SLICE_LIT("loGET"), 5, out, &n_out, &used), HTTP_BODY_END);
    assert_int_equal(used, 2);
    assert_int_equal(b.data_bytes, 5);
    assert_int_equal(http_body_eof(&b), HTTP_BODY_END);

    http_body_init(&b, HTTP_BODY_LENGTH, 0, false);
    assert_int_equal(decode(&b, SLICE_LIT("GET"), 3, out, &n_out, &used), HTTP_BODY_END);
    assert_int_equal(used, 0);
    http_body_init(&b, HTTP_BODY_NONE, 0, true);
    assert_int_equal(decode(&b, SLICE_LIT("GET"), 3, out, &n_out, &used), HTTP_BODY_END);
    assert_int_equal(used, 0);
}

static void until_close(void **state)
{
    struct http_body b;
    char out[16];
    size_t n_out, used;
    http_body_init(&b, HTTP_BODY_CLOSE, 0, true);
    assert_int_equal(decode(&b, SLICE_LIT("hello"), 2, out, &n_out, &used), HTTP_BODY_MORE);
    assert_memory_equal(out, "hello", 5);
    assert_int_equal(http_body_eof(&b), HTTP_BODY_END);
    assert_int_equal(decode(&b, SLICE_LIT("x"), 1, out, &n_out, &used), HTTP_BODY_END);
}

static void compact_in_place(void **state)
{
    char in[] = "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\nNEXT";
    struct http_body b;
    size_t n_data, n_used;
    http_body_init(&b, HTTP_BODY_CHUNKED, 0, false);
    assert_int_equal(http_body_compact(&b, in, sizeof in - 1, &n_data, &n_used), HTTP_BODY_END);
    assert_int_equal(n_data, 19);
    assert_memory_equal(in, "abc0123456789abcdef", 19);
    assert_string_equal(in + n_used, "NEXT");

    char split[] = "3\r\nab";
    http_body_init(&b, HTTP_BODY_CHUNKED, 0, false);
    assert_int_equal(http_body_compact(&b, split, 5, &n_data, &n_used), HTTP_BODY_MORE);
    assert_int_equal(n_data, 2);
    assert_int_equal(n_used, 5);
    assert_memory_equal(split, "ab", 2);
}

static void chunk_headers(void **state)
{
    static const size_t sizes[] = {1, 9, 10, 15, 16, 255, 256, 4096, 0xabcdef, SIZE_MAX};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char out[HTTP_CHUNK_HEADER_BYTES], expected[32];
        size_t n = http_chunk_header(out, sizes[i]);
        assert_int_equal(n, snprintf(expected, sizeof expected, "%zx\r\n", sizes[i]));
        assert_memory_equal(out, expected, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunked_rows),
        cmocka_unit_test(unfinished_chunked_is_cut),
        cmocka_unit_test(framing_is_bounded_by_data),
        cmocka_unit_test(lengths),
        cmocka_unit_test(until_close),
        cmocka_unit_test(compact_in_place),
        cmocka_unit_test(chunk_headers),
    };
    return cmocka_run_group_tests_name("http_body", tests, NULL, NULL);
}
