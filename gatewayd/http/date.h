/*
 * date.h: HTTP dates (RFC 9110 section 5.6.7).
 */
#ifndef GW_HTTP_DATE_H
#define GW_HTTP_DATE_H

#include "common/slice.h"

/* "Sun, 06 Nov 1994 08:49:37 GMT", the only form that senders may use; the day's name is not
 * checked. 0 and µs since the epoch, or -1. No locale, no time zone of the process. */
GW_MUSTUSE int http_date_parse(struct slice text, int64_t *wall_us);

#endif
