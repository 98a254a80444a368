/*
 * test_when.c: durations and times, row by row.
 */
#include "common/when.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t us; /* -1: refused */
    } rows[] = {
        {"0s", 0},
        {"90s", 90000000},
        {"30d", INT64_C(2592000000000)},
        {"2w", INT64_C(1209600000000)},
        {"250ms", 250000},
        {"7us", 7},
        {"1h", INT64_C(3600000000)},
        {"", -1},
        {"s", -1},
        {"30", -1},
        {"-1s", -1},
        {"1.5h", -1},
        {"1 h", -1},
        {"1H", -1},
        {"99999999999999999d", -1},
        {"9223372036854775807us", -1},
        {"36526d", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t us = -1;
        int rc = when_parse_duration(slice_str(rows[i].text), &us);
        if ((rc == 0) != (rows[i].us >= 0) || (rc == 0 && us != rows[i].us))
            fail_msg("%s: %d, %lld", rows[i].text, rc, (long long)us);
    }
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"1970-01-01", 0},
        {"2001-09-09T01:46:40Z", INT64_C(1000000000000000)},
        {"2001-09-09t01:46:40.5z", INT64_C(1000000000500000)},
        {"2001-09-09 03:46:40+02:00", INT64_C(1000000000000000)},
        {"2001-09-08T20:16:40-05:30", INT64_C(1000000000000000)},
        {"2024-02-29", INT64_C(1709164800000000)},
        {"2000-02-29T00:00:00.000001Z", INT64_C(951782400000001)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000000)},
        {"2023-02-29", -1},
        {"1900-02-29", -1},
        {"2100-02-29", -1},
        {"2026-13-01", -1},
        {"2026-00-01", -1},
        {"2026-01-32", -1},
        {"1969-12-31", -1},
        {"2026-1-1", -1},
        {"2026-01-01T", -1},
        {"2026-01-01T00:00:00", -1},
        {"2026-01-01T24:00:00Z", -1},
        {"2026-01-01T00:60:00Z", -1},
        {"2026-01-01T00:00:00.Z", -1},
        {"2026-01-01T00:00:00Zx", -1},
        {"1970-01-01T00:00:00+01:00", -1},
        {"yesterday", -1},
        {"", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t us = -1;
        int rc = when_parse_time(slice_str(rows[i].text), &us);
        if ((rc == 0) != (rows[i].us >= 0) || (rc == 0 && us != rows[i].us))
            fail_msg("%s: %d, %lld", rows[i].text, rc, (long long)us);
    }
}

static void test_format(void **state)
{
    char out[WHEN_DURATION_BYTES];
    assert_string_equal(when_format_duration(0, out), "0s");
    assert_string_equal(when_format_duration(INT64_C(62) * 1000000, out), "1m 2s");
    assert_string_equal(when_format_duration(INT64_C(3661) * 1000000, out), "1h 1m");
    assert_string_equal(when_format_duration(INT64_C(273600) * 1000000, out), "3d 4h");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests_name("when", tests, NULL, NULL);
}
