/*
 * sse.c: line by line through an event, remembering where its data lies.
 */
#include "gatewayd/http/sse.h"

void sse_reader_init(struct sse_reader *r, size_t max_event_bytes)
{
    *r = (struct sse_reader){.max_event_bytes = max_event_bytes, .first_line = true};
    buf_init(&r->joined, max_event_bytes);
}

void sse_reader_release(struct sse_reader *r)
{
    buf_release(&r->joined);
}

/* Nonzero where a byte of v equals that of the pattern; exact up to and with the first such byte.
 */
static uint64_t equal_bytes(uint64_t v, uint64_t pattern)
{
    v ^= pattern;
    return (v - 0x0101010101010101u) & ~v & 0x8080808080808080u;
}

/* The offset of the first CR or LF at or behind `at`, or len. Two memchr would look at bytes more
 * than once where one of the two is rare. */
static size_t find_line_end(const char *buf, size_t at, size_t len)
{
    for (; len - at >= 8; at += 8) {
        uint64_t v;
        memcpy(&v, buf + at, 8);
        if (equal_bytes(v, 0x0a0a0a0a0a0a0a0au) | equal_bytes(v, 0x0d0d0d0d0d0d0d0du))
            break;
    }
    while (at < len && buf[at] != '\n' && buf[at] != '\r')
        at++;
    return at;
}

/* Takes the line end at `at`; returns what is behind it. Of a CRLF whose LF hasn't arrived only the
 * CR is taken: to wait for it would hold back a whole event. */
static size_t take_line_end(struct sse_reader *r, const char *buf, size_t at, size_t len)
{
    r->after_cr = false;
    if (buf[at++] == '\n')
        return at;
    if (at == len)
        r->after_cr = true;
    else if (buf[at] == '\n')
        at++;
    return at;
}

static bool is_late_lf(struct sse_reader *r, const char *buf, size_t at, size_t len)
{
    if (!r->after_cr || at == len)
        return false;
    r->after_cr = false;
    return buf[at] == '\n';
}

/* "name", "name:value" or "name: value". */
static bool is_field(struct slice line, struct slice name, struct slice *value)
{
    if (line.n < name.n || memcmp(line.p, name.p, name.n) != 0)
        return false;
    if (line.n == name.n) {
        *value = slice_of(line.p + line.n, 0);
        return true;
    }
    if (line.p[name.n] != ':')
        return false;
    size_t skip = name.n + 1;
    if (line.n > skip && line.p[skip] == ' ')
        skip++;
    *value = slice_of(line.p + skip, line.n - skip);
    return true;
}

/* -1: memory is short; the event can't be read. */
static int add_data_line(struct sse_reader *r, const char *buf, struct slice value)
{
    r->n_data_lines++;
    if (r->n_data_lines == 1) {
        r->data_off = (size_t)(value.p - buf);
        r->data_len = value.n;
        return 0;
    }
    if (r->n_data_lines == 2 && buf_append(&r->joined, buf + r->data_off, r->data_len) < 0)
        return -1;
    if (buf_append(&r->joined, "\n", 1) < 0)
        return -1;
    return buf_append(&r->joined, value.p, value.n);
}

static int take_line(struct sse_reader *r, const char *buf, struct slice line)
{
    struct slice value;
    if (is_field(line, SLICE_LIT("data"), &value))
        return add_data_line(r, buf, value);
    if (is_field(line, SLICE_LIT("event"), &value)) {
        r->has_type = true;
        r->type_off = (size_t)(value.p - buf);
        r->type_len = value.n;
    }
    return 0;
}

static struct slice without_bom(struct sse_reader *r, struct slice line)
{
    if (r->first_line && line.n >= 3 && memcmp(line.p, "\xef\xbb\xbf", 3) == 0)
        line = slice_of(line.p + 3, line.n - 3);
    r->first_line = false;
    return line;
}

static void begin_event(struct sse_reader *r)
{
    r->scan = 0;
    r->line_start = 0;
    r->n_data_lines = 0;
    r->has_type = false;
    r->passing = false;
}

static enum sse_result pass(struct sse_reader *r, const char *buf, size_t n, bool ends,
                            struct sse_event *ev)
{
    bool bol = r->line_start == n;
    begin_event(r);
    r->passing = !ends;
    r->bol = bol;
    *ev = (struct sse_event){.raw = {buf, n}, .ends = ends};
    return SSE_PASS;
}

static enum sse_result emit(struct sse_reader *r, const char *buf, size_t n, struct sse_event *ev)
{
    if (n > r->max_event_bytes)
        return pass(r, buf, n, true, ev);
    *ev = (struct sse_event){.raw = {buf, n}};
    if (r->n_data_lines == 1)
        ev->data = slice_of(buf + r->data_off, r->data_len);
    else if (r->n_data_lines > 1)
        ev->data = buf_slice(&r->joined);
    if (r->has_type)
        ev->type = slice_of(buf + r->type_off, r->type_len);
    begin_event(r);
    return SSE_EVENT;
}

static enum sse_result pass_on(struct sse_reader *r, const char *buf, size_t len,
                               struct sse_event *ev)
{
    size_t at = is_late_lf(r, buf, 0, len) ? 1 : 0;
    bool bol = r->bol;
    while (at < len) {
        size_t end = find_line_end(buf, at, len);
        bool blank = bol && end == at;
        bol = end < len;
        at = bol ? take_line_end(r, buf, end, len) : len;
        if (blank)
            return pass(r, buf, at, true, ev);
    }
    r->line_start = bol ? len : 0;
    return pass(r, buf, len, false, ev);
}

enum sse_result sse_reader_next(struct sse_reader *r, const char *buf, size_t len,
                                struct sse_event *ev)
{
    if (r->scan == 0)
        r->joined.len = 0;
    if (r->scan == len)
        return SSE_MORE;
    if (r->passing)
        return pass_on(r, buf, len, ev);
    for (size_t at = r->scan; at < len;) {
        if (is_late_lf(r, buf, at, len)) {
            r->line_start = r->scan = ++at;
            continue;
        }
        size_t end = find_line_end(buf, at, len);
        r->scan = end;
        if (end == len)
            break;
        struct slice line = without_bom(r, slice_of(buf + r->line_start, end - r->line_start));
        r->line_start = r->scan = at = take_line_end(r, buf, end, len);
        if (line.n == 0)
            return emit(r, buf, at, ev);
        if (take_line(r, buf, line) < 0)
            return pass(r, buf, at, false, ev);
    }
    return len > r->max_event_bytes ? pass(r, buf, len, false, ev) : SSE_MORE;
}

enum sse_result sse_reader_give_up(struct sse_reader *r, const char *buf, size_t len,
                                   struct sse_event *ev)
{
    return len == 0 ? SSE_MORE : pass(r, buf, len, false, ev);
}

enum sse_result sse_reader_finish(struct sse_reader *r, const char *buf, size_t len,
                                  struct sse_event *ev)
{
    if (len == 0)
        return SSE_MORE;
    if (r->passing)
        return pass(r, buf, len, true, ev);
    struct slice line = without_bom(r, slice_of(buf + r->line_start, len - r->line_start));
    if (line.n > 0 && take_line(r, buf, line) < 0)
        return pass(r, buf, len, true, ev);
    bool late_lf_alone = len == 1 && r->line_start == 1;
    enum sse_result result = emit(r, buf, len, ev);
    ev->incomplete = !late_lf_alone;
    return result;
}
