/*
 * ini.c: the line reader in front of inih, and the check behind it.
 *
 * Invariant: of each line that gives a key, `key` and `value` hold what must come back from inih;
 * `pending` says that it hasn't yet.
 */
#include "common/ini.h"
#include "common/buf.h"

#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    /* key, " = ", value, "\n", NUL; and room to see that a value is too long */
    LINE_MAX_BYTES = INI_NAME_MAX + INI_VALUE_MAX + 64,
    /* Stands for ':' in keys while they go through inih; control characters are refused before. */
    COLON_MASK = '\x01',
};

struct feed {
    struct slice text; /* what is left */
    uint32_t line;     /* of the last physical line taken */
    const struct ini_sink *sink;
    void *user;
    uint32_t n_errors;

    struct slice section;
    char section_ordinal[16]; /* what inih knows it by */
    uint32_t n_sections;
    bool section_refused;

    struct buf key;
    struct buf value; /* raw: quotes still on */
    uint32_t entry_line;
    bool pending;
};

static void report(struct feed *f, uint32_t line, const char *fmt, ...) GW_PRINTF(3, 4);
static void report(struct feed *f, uint32_t line, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    f->n_errors++;
    f->sink->on_error(f->user, line, text);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_comment(struct slice trimmed)
{
    return trimmed.n && (trimmed.p[0] == ';' || trimmed.p[0] == '#');
}

/* Bytes of the well-formed UTF-8 sequence at s (RFC 3629, section 4), or 0. */
static size_t utf8_sequence(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned char lo = 0x80, hi = 0xbf;
    size_t n;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        n = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        n = 3;
        lo = p[0] == 0xe0 ? 0xa0 : lo;
        hi = p[0] == 0xed ? 0x9f : hi;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        n = 4;
        lo = p[0] == 0xf0 ? 0x90 : lo;
        hi = p[0] == 0xf4 ? 0x8f : hi;
    } else {
        return 0;
    }
    if (s.n < n || p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return n;
}

static bool check_bytes(struct feed *f, struct slice line)
{
    for (size_t i = 0; i < line.n;) {
        unsigned char c = (unsigned char)line.p[i];
        size_t n = utf8_sequence(slice_of(line.p + i, line.n - i));
        if (n == 0) {
            report(f, f->line, "byte %zu (0x%02x) is not UTF-8", i + 1, c);
            return false;
        }
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            report(f, f->line, "byte %zu is a control character (0x%02x)", i + 1, c);
            return false;
        }
        i += n;
    }
    return true;
}

static struct slice peek_line(const struct feed *f, size_t *taken)
{
    const char *nl = f->text.n ? memchr(f->text.p, '\n', f->text.n) : NULL;
    size_t n = nl ? (size_t)(nl - f->text.p) : f->text.n;
    *taken = n + (nl != NULL);
    if (n && f->text.p[n - 1] == '\r')
        n--;
    while (n && is_blank(f->text.p[n - 1]))
        n--;
    return slice_of(f->text.p, n);
}

/* False at the end. A line with bytes that can't be is reported and comes out empty. */
static bool take_line(struct feed *f, struct slice *line)
{
    size_t taken;
    if (f->text.n == 0)
        return false;
    *line = peek_line(f, &taken);
    f->text = slice_of(f->text.p + taken, f->text.n - taken);
    f->line++;
    if (!check_bytes(f, *line)) {
        if (line->p[0] == '[')
            f->section_refused = true;
        line->n = 0;
    }
    return true;
}

/* Up to a ';' at the start or behind a blank. */
static struct slice cut_comment(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ';' && (i == 0 || is_blank(s.p[i - 1])))
            return slice_trim(slice_of(s.p, i));
    return slice_trim(s);
}

/* Length of the quoted text at the start of s, both quotes included; 0: it doesn't end. */
static size_t quoted_length(struct slice s)
{
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            return i + 1;
    }
    return 0;
}

static bool begin_section(struct feed *f, struct slice line)
{
    struct slice head = cut_comment(line);
    f->section_refused = true;
    if (head.p[head.n - 1] != ']') {
        report(f, f->line, "a section head ends with ']'");
        return false;
    }
    head = slice_trim(slice_of(head.p + 1, head.n - 2));
    if (head.n == 0 || memchr(head.p, '[', head.n) || memchr(head.p, ']', head.n)) {
        report(f, f->line, "a section head is one name between '[' and ']'");
        return false;
    }
    if (head.n > INI_NAME_MAX) {
        report(f, f->line, "the section name has %zu bytes; the limit is %d", head.n, INI_NAME_MAX);
        return false;
    }
    f->section = head;
    f->section_refused = false;
    snprintf(f->section_ordinal, sizeof f->section_ordinal, "%u", ++f->n_sections);
    f->sink->on_section(f->user, head, f->line);
    return true;
}

/* Appends as much as fits; that it didn't fit is found by the length, which may pass the limit. */
static void append_value(struct feed *f, struct slice part, size_t *total)
{
    size_t glue = *total && part.n ? 1 : 0;
    *total += glue + part.n;
    if (*total > INI_VALUE_MAX)
        return;
    if ((glue && buf_append(&f->value, " ", 1) < 0) || buf_append(&f->value, part.p, part.n) < 0)
        *total = INI_VALUE_MAX + 1;
}

static bool take_continuation(struct feed *f, bool quoted, size_t *total)
{
    struct slice line;
    size_t taken;
    bool ok = true;
    for (;;) {
        line = peek_line(f, &taken);
        if (line.n == 0 || !is_blank(line.p[0]) || !take_line(f, &line))
            return ok;
        struct slice part = cut_comment(slice_trim(line));
        if (is_comment(part) || part.n == 0)
            continue;
        if (quoted || (*total == 0 && part.p[0] == '"')) {
            report(f, f->line, "a quoted value stands whole on the line of its key");
            ok = false;
        } else {
            append_value(f, part, total);
        }
    }
}

static bool take_quoted(struct feed *f, struct slice part, size_t *total)
{
    size_t n = quoted_length(part);
    if (n == 0) {
        report(f, f->line, "the quoted value has no closing quote on its line");
        return false;
    }
    if (cut_comment(slice_of(part.p + n, part.n - n)).n) {
        report(f, f->line, "text behind the closing quote; write \\\" for a quote inside");
        return false;
    }
    append_value(f, slice_of(part.p, n), total);
    return true;
}

static bool begin_entry(struct feed *f, struct slice line)
{
    struct slice rest = line;
    struct slice key = slice_trim(slice_split(&rest, '='));
    uint32_t start = f->line;
    size_t total = 0;
    bool ok = true;
    f->key.len = f->value.len = 0;
    if (!rest.p) {
        report(f, start, "expected `key = value` or `[section]`");
        rest = slice_of(line.p + line.n, 0);
        ok = false;
    } else if (key.n == 0) {
        report(f, start, "there is no key before '='");
        ok = false;
    } else if (key.n > INI_NAME_MAX) {
        report(f, start, "the key has %zu bytes; the limit is %d", key.n, INI_NAME_MAX);
        ok = false;
    }
    struct slice part = slice_trim(rest);
    if (part.n && part.p[0] == '"') {
        ok = take_quoted(f, part, &total) && ok;
        ok = take_continuation(f, true, &total) && ok;
    } else {
        append_value(f, cut_comment(part), &total);
        ok = take_continuation(f, false, &total) && ok;
    }
    if (total > INI_VALUE_MAX) {
        report(f, start, "the value of `%.*s` has %zu bytes; the limit is %d", SLICE_FMT(key),
               total, INI_VALUE_MAX);
        ok = false;
    }
    if (!ok || f->section_refused)
        return false;
    f->entry_line = start;
    return buf_append(&f->key, key.p, key.n) == 0;
}

static void mask_colons(struct buf *key, char from, char to)
{
    for (size_t i = 0; i < key->len; i++)
        if (key->data[i] == from)
            key->data[i] = to;
}

static void expect_delivered(struct feed *f)
{
    if (f->pending)
        report(f, f->entry_line, "the INI library didn't take this line (a limit of inih)");
    f->pending = false;
}

/* fgets for inih: one section head or one whole entry a call. */
static char *feed_line(char *str, int num, void *stream)
{
    struct feed *f = stream;
    struct slice line;
    expect_delivered(f);
    while (take_line(f, &line)) {
        struct slice trimmed = slice_trim(line);
        if (trimmed.n == 0 || is_comment(trimmed))
            continue;
        if (is_blank(line.p[0])) {
            report(f, f->line,
                   "an indented line goes on with the value above it, and there is none; keys and "
                   "sections start in the first column");
        } else if (line.p[0] == '[') {
            if (begin_section(f, line)) {
                snprintf(str, (size_t)num, "[%s]\n", f->section_ordinal);
                return str;
            }
        } else if (begin_entry(f, line)) {
            mask_colons(&f->key, ':', COLON_MASK);
            int n = snprintf(str, (size_t)num, "%.*s = %.*s\n", (int)f->key.len, f->key.data,
                             (int)f->value.len, f->value.len ? f->value.data : "");
            if (n < 0 || n >= num) {
                report(f, f->entry_line, "the line has %d bytes; the limit of inih is %d", n,
                       num - 1);
                continue;
            }
            f->pending = true;
            return str;
        }
    }
    return NULL;
}

/* Resolves the quotes in place. */
static bool unquote(struct feed *f, struct buf *value)
{
    size_t out = 0;
    for (size_t i = 1; i + 1 < value->len; i++) {
        char c = value->data[i];
        if (c == '\\') {
            switch (c = value->data[++i]) {
            case '"':
            case '\\':
                break;
            case 'n':
                c = '\n';
                break;
            case 't':
                c = '\t';
                break;
            default:
                report(f, f->entry_line,
                       "unknown escape in a quoted value; there are \\\" \\\\ "
                       "\\n \\t");
                return false;
            }
        }
        value->data[out++] = c;
    }
    value->len = out;
    return true;
}

/* inih's handler: what it found must be what the line holds. */
static int on_pair(void *user, const char *section, const char *name, const char *value)
{
    struct feed *f = user;
    if (!f->pending || strcmp(section, f->section_ordinal) != 0 ||
        !slice_eq(slice_str(name), buf_slice(&f->key)) ||
        !slice_eq(slice_str(value), buf_slice(&f->value)))
        return 0;
    f->pending = false;
    mask_colons(&f->key, COLON_MASK, ':');
    bool quoted = f->value.len && f->value.data[0] == '"';
    if ((quoted && !unquote(f, &f->value)) || buf_reserve(&f->value, 1) < 0)
        return 1;
    f->value.data[f->value.len] = '\0';
    struct ini_entry e = {.section = f->section,
                          .key = buf_slice(&f->key),
                          .value = buf_slice(&f->value),
                          .line = f->entry_line,
                          .quoted = quoted};
    f->sink->on_entry(f->user, &e);
    return 1;
}

/* Settings of the library, process-wide: only this module uses it. */
static void set_up_inih(void)
{
    ini_use_stack = false;
    ini_initial_alloc = LINE_MAX_BYTES;
    ini_max_line = LINE_MAX_BYTES;
    ini_allow_realloc = false;
    ini_allow_multiline = false;
    ini_allow_inline_comments = false;
    ini_allow_bom = false;
    ini_allow_no_value = false;
    ini_stop_on_first_error = false;
}

uint32_t ini_read(struct slice text, const struct ini_sink *sink, void *user)
{
    struct feed f = {.text = text, .sink = sink, .user = user};
    if (slice_starts_with(text, SLICE_LIT("\xef\xbb\xbf")))
        f.text = slice_of(text.p + 3, text.n - 3);
    buf_init(&f.key, INI_NAME_MAX + 1);
    buf_init(&f.value, INI_VALUE_MAX + 1);
    set_up_inih();
    int rc = ini_parse_stream(feed_line, &f, on_pair, &f);
    expect_delivered(&f);
    if (rc != 0 && f.n_errors == 0)
        report(&f, f.line, "the INI library failed (%s)", rc == -2 ? "out of memory" : "a line");
    buf_release(&f.key);
    buf_release(&f.value);
    return f.n_errors;
}
