/*
 * when.c: durations and RFC 3339 times, without the C library's locale and time zones.
 */
#include "common/when.h"

#include <stdio.h>

static const int64_t SECOND_US = 1000000;
static const int64_t DAY_US = INT64_C(86400000000);

static const struct {
    const char *name;
    int64_t us;
} units[] = {
    {"w", INT64_C(604800000000)},
    {"d", INT64_C(86400000000)},
    {"h", INT64_C(3600000000)},
    {"m", INT64_C(60000000)},
    {"s", INT64_C(1000000)},
    {"ms", 1000},
    {"us", 1},
};

int when_parse_duration(struct slice s, int64_t *us)
{
    size_t n = 0;
    uint64_t v;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    if (slice_to_u64(slice_of(s.p, n), INT64_MAX, &v) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (slice_eq_str(slice_of(s.p + n, s.n - n), units[i].name))
            return !__builtin_mul_overflow((int64_t)v, units[i].us, us) && *us <= 36525 * DAY_US
                       ? 0
                       : -1;
    return -1;
}

/* `width` digits at the front of *s, taken off. -1 if there are fewer. */
static int take_digits(struct slice *s, size_t width, unsigned *out)
{
    uint64_t v;
    if (s->n < width || slice_to_u64(slice_of(s->p, width), 9999, &v) < 0)
        return -1;
    *out = (unsigned)v;
    *s = slice_of(s->p + width, s->n - width);
    return 0;
}

static bool take_char(struct slice *s, char c)
{
    if (s->n == 0 || *s->p != c)
        return false;
    *s = slice_of(s->p + 1, s->n - 1);
    return true;
}

/* Days since 1970-01-01, by https://howardhinnant.github.io/date_algorithms.html#days_from_civil */
static int64_t days_from_civil(unsigned year, unsigned month, unsigned day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = y / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (int64_t)(month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int take_date(struct slice *s, int64_t *days)
{
    unsigned year, month, day;
    static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (take_digits(s, 4, &year) < 0 || !take_char(s, '-') || take_digits(s, 2, &month) < 0 ||
        !take_char(s, '-') || take_digits(s, 2, &day) < 0)
        return -1;
    if (year < 1970 || month < 1 || month > 12)
        return -1;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day < 1 || day > lengths[month - 1] + (unsigned)(month == 2 && leap))
        return -1;
    *days = days_from_civil(year, month, day);
    return 0;
}

static int take_fraction(struct slice *s, int64_t *us)
{
    *us = 0;
    if (!take_char(s, '.'))
        return 0;
    int64_t scale = SECOND_US;
    size_t n = 0;
    for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++) {
        scale /= 10;
        *us += (s->p[n] - '0') * scale;
    }
    *s = slice_of(s->p + n, s->n - n);
    return n ? 0 : -1;
}

/* "Z" or "+hh:mm", seconds east of UTC. */
static int take_offset(struct slice *s, int64_t *seconds)
{
    unsigned h, m;
    *seconds = 0;
    if (take_char(s, 'Z') || take_char(s, 'z'))
        return 0;
    bool west = take_char(s, '-');
    if ((!west && !take_char(s, '+')) || take_digits(s, 2, &h) < 0 || !take_char(s, ':') ||
        take_digits(s, 2, &m) < 0 || h > 23 || m > 59)
        return -1;
    *seconds = (int64_t)(h * 3600 + m * 60) * (west ? -1 : 1);
    return 0;
}

int when_parse_time(struct slice s, int64_t *wall_us)
{
    int64_t days, fraction_us, offset_s;
    unsigned h, m, sec;
    if (take_date(&s, &days) < 0)
        return -1;
    *wall_us = days * DAY_US;
    if (s.n == 0)
        return 0;
    if (!take_char(&s, 'T') && !take_char(&s, 't') && !take_char(&s, ' '))
        return -1;
    if (take_digits(&s, 2, &h) < 0 || !take_char(&s, ':') || take_digits(&s, 2, &m) < 0 ||
        !take_char(&s, ':') || take_digits(&s, 2, &sec) < 0 || h > 23 || m > 59 || sec > 60)
        return -1;
    if (take_fraction(&s, &fraction_us) < 0 || take_offset(&s, &offset_s) < 0 || s.n)
        return -1;
    *wall_us += (int64_t)(h * 3600 + m * 60 + sec) * SECOND_US + fraction_us - offset_s * SECOND_US;
    return *wall_us < 0 ? -1 : 0;
}

char *when_format_duration(int64_t us, char out[WHEN_DURATION_BYTES])
{
    int64_t s = us / SECOND_US;
    if (s >= 86400)
        snprintf(out, WHEN_DURATION_BYTES, "%lldd %lldh", (long long)(s / 86400),
                 (long long)(s % 86400 / 3600));
    else if (s >= 3600)
        snprintf(out, WHEN_DURATION_BYTES, "%lldh %lldm", (long long)(s / 3600),
                 (long long)(s % 3600 / 60));
    else if (s >= 60)
        snprintf(out, WHEN_DURATION_BYTES, "%lldm %llds", (long long)(s / 60), (long long)(s % 60));
    else
        snprintf(out, WHEN_DURATION_BYTES, "%llds", (long long)s);
    return out;
}
