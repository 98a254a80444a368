/*
 * test_sse.c: every way in which a stream of events may be written and cut up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "gatewayd/http/sse.h"

/* What came out: "[type|data]" an event, "-" for none, "!" before a tail; raw bytes apart. */
struct story {
    struct buf text;
    struct buf raw;
};

static void put(struct buf *b, struct slice s)
{
    assert_int_equal(buf_append(b, s.p, s.n), 0);
}

static void tell(struct story *s, enum sse_result res, const struct sse_event *ev)
{
    put(&s->raw, ev->raw);
    if (res == SSE_PASS) {
        if (ev->ends)
            put(&s->text, SLICE_LIT("<pass>"));
        return;
    }
    if (ev->incomplete)
        put(&s->text, SLICE_LIT("!"));
    put(&s->text, SLICE_LIT("["));
    if (ev->type.p)
        put(&s->text, ev->type);
    put(&s->text, SLICE_LIT("|"));
    put(&s->text, ev->data.p ? ev->data : SLICE_LIT("-"));
    put(&s->text, SLICE_LIT("]"));
}

/* Feeds `in` in pieces of `step` bytes through a buffer that is moved every time, as a growing one
 * is. */
static void run(struct slice in, size_t step, size_t max, struct story *s)
{
    struct sse_reader r;
    struct sse_event ev;
    enum sse_result res;
    size_t start = 0;
    buf_init(&s->text, 1 << 20);
    buf_init(&s->raw, 4 << 20);
    sse_reader_init(&r, max);
    for (size_t end = 0; end < in.n;) {
        end = GW_MIN(end + step, in.n);
        for (;;) {
            size_t n = end - start;
            char *copy = malloc(n ? n : 1);
            memcpy(copy, in.p + start, n);
            res = sse_reader_next(&r, copy, n, &ev);
            if (res != SSE_MORE) {
                tell(s, res, &ev);
                start += ev.raw.n;
            }
            free(copy);
            if (res == SSE_MORE)
                break;
        }
    }
    if (sse_reader_finish(&r, in.p + start, in.n - start, &ev) != SSE_MORE)
        tell(s, ev.ends ? SSE_PASS : SSE_EVENT, &ev);
    sse_reader_release(&r);
}

static void release(struct story *s)
{
    buf_release(&s->text);
    buf_release(&s->raw);
}

struct row {
    struct slice in;
    const char *story;
};

#define ROW(in, story)                                                                             \
    {                                                                                              \
        {in, sizeof(in) - 1}, story                                                                \
    }

/* A final LF that arrives behind its CR's event comes out as a block of its own, without data. */
static bool same_story(struct slice text, const char *story, struct slice in)
{
    struct slice extra = SLICE_LIT("[|-]"), crlf = SLICE_LIT("\r\n");
    if (slice_eq_str(text, story))
        return true;
    return text.n >= extra.n && in.n >= 2 && memcmp(in.p + in.n - 2, crlf.p, 2) == 0 &&
           memcmp(text.p + text.n - extra.n, extra.p, extra.n) == 0 &&
           slice_eq_str(slice_of(text.p, text.n - extra.n), story);
}

static void streams(void **state)
{
    static const struct row rows[] = {
        ROW("data: a\n\n", "[|a]"),
        ROW("data: a\n\ndata: b\n\n", "[|a][|b]"),
        ROW("data: a\r\n\r\ndata: b\r\n\r\n", "[|a][|b]"),
        ROW("data: a\r\rdata: b\r\r", "[|a][|b]"),
        ROW("data:a\n\n", "[|a]"),
        ROW("data:  a \n\n", "[| a ]"),
        ROW("data\n\n", "[|]"),
        ROW("data:\n\n", "[|]"),
        ROW("data:\ndata\n\n", "[|\n]"),
        ROW("data: a\ndata: b\ndata: c\n\ndata: d\n\n", "[|a\nb\nc][|d]"),
        ROW("data: a\rdata: b\r\ndata: c\n\r\n", "[|a\nb\nc]"),
        ROW("event: ping\ndata: {}\n\n", "[ping|{}]"),
        ROW("data: {}\nevent:x\n\n", "[x|{}]"),
        ROW("event: a\nevent: b\ndata: 1\n\n", "[b|1]"),
        ROW("event: ping\n\n", "[ping|-]"),
        ROW(": comment\n\n", "[|-]"),
        ROW(": comment\ndata: a\n: data: b\n\n", "[|a]"),
        ROW("id: 1\nretry: 10\nfoo: bar\ndata: a\n\n", "[|a]"),
        ROW("datax: a\nxdata: b\n data: c\nData: d\ndata : e\n\n", "[|-]"),
        ROW("\n\n\ndata: a\n\n", "[|-][|-][|-][|a]"),
        ROW("\xef\xbb\xbf"
            "data: a\n\ndata: b\n\n",
            "[|a][|b]"),
        ROW("\xef\xbb\xbf\n\ndata: b\n\n", "[|-][|-][|b]"),
        ROW("data: a\n\n\xef\xbb\xbf"
            "data: b\n\n",
            "[|a][|-]"),
        ROW("data: \xf0\x9f\x98\x80 \0\x01\n\n", NULL),
        ROW("data: [DONE]\n", "![|[DONE]]"),
        ROW("data: [DONE]", "![|[DONE]]"),
        ROW("data: a\n\nevent: x", "[|a]![x|-]"),
        ROW("data: a\ndata: b", "![|a\nb]"),
        ROW("data: a\r", "![|a]"),
        ROW("data: 0123456789abcdef\rdata: x\n\n", "[|0123456789abcdef\nx]"),
        ROW("", ""),
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t step = 1; step <= rows[i].in.n + 1; step++) {
            struct story s;
            run(rows[i].in, step, SSE_MAX_EVENT_BYTES, &s);
            if (!slice_eq(buf_slice(&s.raw), rows[i].in))
                fail_msg("row %zu, step %zu: bytes were lost or changed", i, step);
            if (rows[i].story && !same_story(buf_slice(&s.text), rows[i].story, rows[i].in))
                fail_msg("row %zu, step %zu: %.*s, expected %s", i, step,
                         SLICE_FMT(buf_slice(&s.text)), rows[i].story);
            release(&s);
        }
    }
}

/* The LF of a CRLF that comes late belongs to the event before, whose end wasn't held back. */
static void an_event_is_not_held_back_for_its_last_lf(void **state)
{
    struct sse_reader r;
    struct sse_event ev;
    sse_reader_init(&r, 100);
    assert_int_equal(sse_reader_next(&r, "data: a\r\n\r", 10, &ev), SSE_EVENT);
    assert_int_equal(ev.raw.n, 10);
    assert_int_equal(sse_reader_next(&r, "\n", 1, &ev), SSE_MORE);
    assert_int_equal(sse_reader_next(&r, "\ndata: b\n\n", 10, &ev), SSE_EVENT);
    assert_true(slice_eq_str(ev.data, "b"));
    assert_int_equal(ev.raw.n, 10);
    sse_reader_release(&r);
}

static void one_data_line_is_not_copied(void **state)
{
    static const char in[] = "event: x\ndata: payload\n\n";
    struct sse_reader r;
    struct sse_event ev;
    sse_reader_init(&r, 100);
    assert_int_equal(sse_reader_next(&r, in, sizeof in - 1, &ev), SSE_EVENT);
    assert_ptr_equal(ev.data.p, strstr(in, "payload"));
    assert_null(r.joined.data);
    sse_reader_release(&r);
}

static void events_above_the_cap_are_passed_through(void **state)
{
    static const struct row rows[] = {
        ROW("data: 0123456789abcdef\n\ndata: b\n\n", "<pass>[|b]"),
        ROW("data: 0123456789abcdef\r\n\r\ndata: b\r\n\r\n", NULL),
        ROW("data: 0123456789abcdef\r\rdata: b\r\r", "<pass>[|b]"),
        ROW("data: 01234567\ndata: 89abcdef\n\ndata: b\n\n", "<pass>[|b]"),
        ROW("data: b\n\ndata: 0123456789abcdef0123456789abcdef", "[|b]"),
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t step = 1; step <= rows[i].in.n + 1; step++) {
            struct story s;
            run(rows[i].in, step, 16, &s);
            assert_true(slice_eq(buf_slice(&s.raw), rows[i].in));
            struct slice text = buf_slice(&s.text);
            if (rows[i].story && !slice_starts_with(text, slice_str(rows[i].story)))
                fail_msg("row %zu, step %zu: %.*s", i, step, SLICE_FMT(text));
            release(&s);
        }
    }
}

/* 1 MiB in one-byte drips: were every byte looked at again each time, this would not end. */
static void drips_cost_linear_time(void **state)
{
    size_t n = SSE_MAX_EVENT_BYTES;
    char *in = malloc(n);
    struct sse_reader r;
    struct sse_event ev;
    memset(in, 'x', n);
    memcpy(in, "data: ", 6);
    for (size_t i = 100; i < n; i += 100)
        in[i] = '\r';
    in[n - 2] = in[n - 1] = '\n';
    sse_reader_init(&r, n);
    for (size_t i = 1; i < n; i++)
        assert_int_equal(sse_reader_next(&r, in, i, &ev), SSE_MORE);
    assert_int_equal(sse_reader_next(&r, in, n, &ev), SSE_EVENT);
    assert_int_equal(ev.raw.n, n);
    sse_reader_release(&r);
    free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams),
        cmocka_unit_test(an_event_is_not_held_back_for_its_last_lf),
        cmocka_unit_test(one_data_line_is_not_copied),
        cmocka_unit_test(events_above_the_cap_are_passed_through),
        cmocka_unit_test(drips_cost_linear_time),
    };
    return cmocka_run_group_tests_name("sse", tests, NULL, NULL);
}
