/*
 * test_http_date.c: HTTP dates, the valid ones and everything near them.
 */
#include "gatewayd/http/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void valid_dates(void **state)
{
    static const struct {
        const char *text;
        int64_t sec;
    } rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 23:59:60 GMT", 1709251200},
        {"Fri, 31 Dec 2100 12:00:00 GMT", 4133937600},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t us;
        assert_int_equal(http_date_parse(slice_str(rows[i].text), &us), 0);
        assert_int_equal(us, rows[i].sec * 1000000);
    }
}

static void refused(void **state)
{
    static const char *const rows[] = {
        "",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t us;
        assert_int_equal(http_date_parse(slice_str(rows[i]), &us), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(valid_dates), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
