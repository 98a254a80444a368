/*
 * report.c: beginning, refusing and ending a report; its query.
 */
#include "common/report.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/crypto.h"

#include <stdio.h>

void report_init(struct report *r)
{
    *r = (struct report){0};
    buf_init(&r->out, REPORT_MAX_BYTES);
}

void report_release(struct report *r)
{
    buf_release(&r->out);
}

struct json_writer *report_json(struct report *r)
{
    r->status = 200;
    r->out.len = 0;
    jw_init_buf(&r->w, &r->out);
    jw_object(&r->w);
    return &r->w;
}

void report_verror(struct report *r, uint16_t status, const char *code, const char *fmt, va_list ap)
{
    char message[1024];
    vsnprintf(message, sizeof(message), fmt, ap);
    struct json_writer *w = report_json(r);
    jw_member_object(w, "error");
    jw_member_str(w, "message", slice_str(message));
    jw_member_str(w, "code", slice_str(code));
    jw_object_end(w);
    r->status = status;
}

void report_error(struct report *r, uint16_t status, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report_verror(r, status, code, fmt, ap);
    va_end(ap);
}

void report_finish(struct report *r)
{
    size_t n;
    jw_object_end(&r->w);
    if (jw_finish(&r->w, &n) == 0)
        return;
    report_error(r, 500, "answer_too_large", "the answer is too large: ask for fewer records");
    jw_object_end(&r->w);
    GW_REQUIRE(jw_finish(&r->w, &n) == 0);
}

void report_put_time(struct json_writer *w, const char *name, int64_t wall_us)
{
    char text[CLOCK_RFC3339_BYTES];
    jw_key(w, slice_str(name));
    if (wall_us <= 0) {
        jw_null(w);
        return;
    }
    clock_format_rfc3339(wall_us, text);
    jw_str(w, slice_str(text));
}

int report_decode(struct slice s, char *out, size_t cap)
{
    size_t n = 0;
    while (s.n) {
        char c = *s.p == '+' ? ' ' : *s.p;
        size_t used = 1;
        if (c == '%') {
            if (s.n < 3 || crypto_unhex(slice_of(s.p + 1, 2), &c, 1) < 0)
                return -1;
            used = 3;
        }
        if (n + 1 >= cap || c == '\0')
            return -1;
        out[n++] = c;
        s = slice_of(s.p + used, s.n - used);
    }
    out[n] = '\0';
    return 0;
}

bool report_query(const struct report *r, const char *name, char *out, size_t cap)
{
    struct slice rest = r->query;
    while (rest.p) {
        struct slice value = slice_split(&rest, '&');
        struct slice key = slice_split(&value, '=');
        if (slice_eq_str(key, name))
            return report_decode(value.p ? value : slice_of("", 0), out, cap) == 0;
    }
    return false;
}

int report_query_u64(struct report *r, const char *name, uint64_t dflt, uint64_t min, uint64_t max,
                     uint64_t *out)
{
    char text[32];
    *out = dflt;
    if (!report_query(r, name, text, sizeof(text)))
        return 0;
    if (slice_to_u64(slice_str(text), max, out) == 0 && *out >= min)
        return 0;
    report_error(r, 400, "bad_parameter", "%s: expected a number from %llu to %llu, got \"%s\"",
                 name, (unsigned long long)min, (unsigned long long)max, text);
    return -1;
}
