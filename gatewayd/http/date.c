/*
 * date.c: IMF-fixdate.
 */
#include "gatewayd/http/date.h"

enum { IMF_FIXDATE_BYTES = 29 };

static int month_of(const char *p)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int m = 0; m < 12; m++)
        if (memcmp(p, names + 3 * m, 3) == 0)
            return m + 1;
    return 0;
}

/* https://howardhinnant.github.io/date_algorithms.html#days_from_civil */
static int64_t days_from_civil(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = y / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

int http_date_parse(struct slice t, int64_t *wall_us)
{
    uint64_t day, year, hour, min, sec;
    if (t.n != IMF_FIXDATE_BYTES || memcmp(t.p + 3, ", ", 2) != 0 ||
        memcmp(t.p + 25, " GMT", 4) != 0 || t.p[7] != ' ' || t.p[11] != ' ' || t.p[16] != ' ' ||
        t.p[19] != ':' || t.p[22] != ':')
        return -1;
    int month = month_of(t.p + 8);
    if (month == 0 || slice_to_u64(slice_of(t.p + 5, 2), 31, &day) < 0 || day == 0 ||
        slice_to_u64(slice_of(t.p + 12, 4), 9999, &year) < 0 || year < 1970 ||
        slice_to_u64(slice_of(t.p + 17, 2), 23, &hour) < 0 ||
        slice_to_u64(slice_of(t.p + 20, 2), 59, &min) < 0 ||
        slice_to_u64(slice_of(t.p + 23, 2), 60, &sec) < 0)
        return -1;
    int64_t days = days_from_civil((int64_t)year, month, (int)day);
    *wall_us =
        ((days * 24 + (int64_t)hour) * 60 + (int64_t)min) * 60000000 + (int64_t)sec * 1000000;
    return 0;
}
