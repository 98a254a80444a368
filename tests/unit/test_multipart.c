/*
 * test_multipart.c: forms as clients write them, and everything that two readers could read
 * differently.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/http/multipart.h"

#include <stdio.h>
#include <string.h>

#define B     "--xyz"
#define CD    "Content-Disposition: form-data; "
#define FIELD B "\r\n" CD "name=\"model\"\r\n\r\nwhisper-1\r\n"
#define END   B "--\r\n"

static struct multipart reader(struct slice body)
{
    struct multipart m;
    multipart_init(&m, SLICE_LIT("xyz"), body);
    return m;
}

static void test_parts(void **state)
{
    static const char body[] = FIELD B "\r\nX-Other: 1\r\n" CD "name=file; filename=\"a b.mp3\"\r\n"
                                       "content-TYPE: audio/mpeg\r\n\r\n\0\r\n-\r\n--xy\r\n" B
                                       "\r\n" CD "name=\"empty\"\r\n\r\n\r\n" END;
    struct multipart m = reader(slice_of(body, sizeof body - 1));
    struct multipart_part p;
    assert_int_equal(multipart_next(&m, &p), MULTIPART_PART);
    assert_true(slice_eq_str(p.name, "model") && slice_eq_str(p.data, "whisper-1"));
    assert_false(p.is_file);
    assert_int_equal(multipart_next(&m, &p), MULTIPART_PART);
    assert_true(slice_eq_str(p.name, "file") && p.is_file);
    assert_true(slice_eq(p.data, slice_of("\0\r\n-\r\n--xy", 10)));
    assert_int_equal(multipart_next(&m, &p), MULTIPART_PART);
    assert_true(slice_eq_str(p.name, "empty") && p.data.n == 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(multipart_next(&m, &p), MULTIPART_END);
}

static void test_ends(void **state)
{
    static const char *const bodies[] = {FIELD END, FIELD B "--", "\r\n" FIELD END, END, B "--"};
    struct multipart_part p;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct multipart m = reader(slice_str(bodies[i]));
        while (multipart_next(&m, &p) == MULTIPART_PART)
            continue;
        if (m.why)
            fail_msg("%zu: %s", i, m.why);
    }
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *body, *why;
        size_t at;
    } cases[] = {
        {"", "the body doesn't begin", 0},
        {"x" FIELD END, "the body doesn't begin", 0},
        {" " B "--", "the body doesn't begin", 0},
        {"\n" FIELD END, "the body doesn't begin", 0},
        {B " \r\n", "something else than CRLF", 5},
        {B "z--", "something else than CRLF", 5},
        {B "-", "something else than CRLF", 5},
        {B "--\n", "bytes follow", 7},
        {FIELD END "x", "bytes follow", 73},
        {FIELD END FIELD, "bytes follow", 73},
        {FIELD, "the last boundary is missing", 66},
        {B "\r\n" CD "name=a\r\n\r\nx--xyz--", "within a part", 0},
        {B "\r\n" CD "name=a\r\n\r\nx\n--xyz--", "within a part", 0},
        {B "\r\n" CD "name=a\r\n\r\n" B "--", "within a part", 0},
        {B "\r\n" CD "name=a\r\n\r\nx\r\n--xyzw\r\n", "something else than CRLF", 0},
        {B "\r\n\r\nx\r\n" END, "no Content-Disposition", 0},
        {B "\r\nX: 1\r\n\r\nx\r\n" END, "no Content-Disposition", 0},
        {B "\r\n" CD "name=a\r\n" CD "name=b\r\n\r\nx\r\n" END, "two Content-Dispositions", 0},
        {B "\r\nContent-Disposition: file; name=a\r\n\r\nx\r\n" END, "isn't form-data", 0},
        {B "\r\nContent-Disposition: form-data\r\n\r\nx\r\n" END, "has no name", 0},
        {B "\r\n" CD "name*=utf-8''a\r\n\r\nx\r\n" END, "name*", 0},
        {B "\r\n" CD "name=a; NAME=b\r\n\r\nx\r\n" END, "two names", 0},
        {B "\r\n" CD "name=\"a\\\"b\"\r\n\r\nx\r\n" END, "can't be read", 0},
        {B "\r\n" CD "name=\"mod\\el\"\r\n\r\nx\r\n" END, "a backslash", 0},
        {B "\r\n" CD "name=\"a\r\n\r\nx\r\n" END, "can't be read", 0},
        {B "\r\n" CD "name=a b\r\n\r\nx\r\n" END, "can't be read", 0},
        {B "\r\n" CD "name\r\n\r\nx\r\n" END, "can't be read", 0},
        {B "\r\n" CD "name=a\r\n folded\r\n\r\nx\r\n" END, "header line", 0},
        {B "\r\n" CD "name=a\nX: 1\r\n\r\nx\r\n" END, "control character", 0},
        {B "\r\n" CD "name=a\r\nX : 1\r\n\r\nx\r\n" END, "header line", 0},
        {B "\r\n" CD "name=a\r\n", "don't end", 0},
        {B "\r\n" CD "name=a\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n" END,
         "Content-Transfer-Encoding", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct multipart m = reader(slice_str(cases[i].body));
        struct multipart_part p;
        enum multipart_step step;
        while ((step = multipart_next(&m, &p)) == MULTIPART_PART)
            continue;
        if (step != MULTIPART_BAD || !strstr(m.why, cases[i].why))
            fail_msg("%s: %s", cases[i].body, m.why ? m.why : "taken");
        if (cases[i].at && m.why_at != cases[i].at)
            fail_msg("%s: at %zu", cases[i].body, m.why_at);
        assert_int_equal(multipart_next(&m, &p), MULTIPART_BAD);
    }
}

static void test_limits(void **state)
{
    static char body[300 * 64];
    struct multipart_part p;
    size_t n = 0;
    unsigned parts = 0;
    for (int i = 0; i < 300; i++)
        n += (size_t)snprintf(body + n, sizeof body - n, "%s", B "\r\n" CD "name=a\r\n\r\n\r\n");
    struct multipart m = reader(slice_of(body, n));
    while (multipart_next(&m, &p) == MULTIPART_PART)
        parts++;
    assert_int_equal(parts, MULTIPART_PARTS_MAX);
    assert_non_null(m.why);
    n = (size_t)snprintf(body, sizeof body, "%sX: %05000d\r\n" CD "name=a\r\n\r\n\r\n" END,
                         B "\r\n", 1);
    m = reader(slice_of(body, n));
    assert_int_equal(multipart_next(&m, &p), MULTIPART_BAD);
}

static void test_boundaries(void **state)
{
    static const struct {
        const char *type, *boundary; /* NULL: refused */
    } cases[] = {
        {"multipart/form-data; boundary=abc", "abc"},
        {"multipart/form-data;boundary=\"a b:c\"", "a b:c"},
        {"multipart/form-data; charset=utf-8 ; BOUNDARY=x", "x"},
        {"multipart/form-data; boundary=x; q=\"a;boundary=b\"", "x"},
        {"multipart/form-data", NULL},
        {"multipart/form-data;", NULL},
        {"multipart/form-data; boundary", NULL},
        {"multipart/form-data; boundary=", NULL},
        {"multipart/form-data; boundary=\"\"", NULL},
        {"multipart/form-data; boundary=\"a \"", NULL},
        {"multipart/form-data; boundary=a b", NULL},
        {"multipart/form-data; boundary=\"a\\\"b\"", NULL},
        {"multipart/form-data; boundary=\"a@b\"", NULL},
        {"multipart/form-data; boundary=a; boundary=a", NULL},
        {"multipart/form-data; boundary="
         "01234567890123456789012345678901234567890123456789012345678901234567890",
         NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice b = {NULL, 0};
        const char *why = multipart_boundary(slice_str(cases[i].type), &b);
        if (!why != !!cases[i].boundary || (!why && !slice_eq_str(b, cases[i].boundary)))
            fail_msg("%s: %s", cases[i].type, why ? why : "taken");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),           cmocka_unit_test(test_ends),
        cmocka_unit_test(test_what_is_refused), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_boundaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
