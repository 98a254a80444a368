/*
 * clock.c: monotonic and wall time, with a fake for tests, and the RFC 3339 form.
 */
#include "common/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t fake_mono_us = -1;
static int64_t fake_wall_us = -1;

static int64_t read_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_mono_ns(void)
{
    return fake_mono_us >= 0 ? fake_mono_us * 1000 : read_ns(CLOCK_MONOTONIC);
}

int64_t clock_mono_us(void)
{
    return clock_mono_ns() / 1000;
}

int64_t clock_wall_us(void)
{
    return fake_wall_us >= 0 ? fake_wall_us : read_ns(CLOCK_REALTIME) / 1000;
}

void clock_fake_set(int64_t mono_us, int64_t wall_us)
{
    fake_mono_us = mono_us;
    fake_wall_us = wall_us;
}

/* Civil date from days since 1970-01-01, by the era arithmetic of
 * https://howardhinnant.github.io/date_algorithms.html#civil_from_days (gmtime_r takes a lock). */
static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned doe = (unsigned)(days - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)((int64_t)yoe + era * 400) + (*month <= 2);
}

static char *put_digits(char *p, unsigned v, int width)
{
    for (int i = width - 1; i >= 0; i--, v /= 10)
        p[i] = (char)('0' + v % 10);
    return p + width;
}

void clock_format_rfc3339(int64_t wall_us, char out[CLOCK_RFC3339_BYTES])
{
    int64_t sec = wall_us / 1000000, us = wall_us % 1000000;
    if (us < 0) {
        us += 1000000;
        sec--;
    }
    int64_t days = sec / 86400, tod = sec % 86400;
    if (tod < 0) {
        tod += 86400;
        days--;
    }
    int year, month, day;
    civil_from_days(days, &year, &month, &day);
    char *p = put_digits(out, (unsigned)year, 4);
    *p++ = '-';
    p = put_digits(p, (unsigned)month, 2);
    *p++ = '-';
    p = put_digits(p, (unsigned)day, 2);
    *p++ = 'T';
    p = put_digits(p, (unsigned)(tod / 3600), 2);
    *p++ = ':';
    p = put_digits(p, (unsigned)(tod / 60 % 60), 2);
    *p++ = ':';
    p = put_digits(p, (unsigned)(tod % 60), 2);
    *p++ = '.';
    p = put_digits(p, (unsigned)us, 6);
    *p++ = 'Z';
    *p = '\0';
}
