/*
 * fuzz_ini.c: no byte of an accepted text is lost.
 *
 * A second, plain reading of the text that knows nothing of inih gives the sections, keys and
 * values that must come out; and what came out, written as quoted values, reads as the same again.
 */
#include "common/buf.h"
#include "common/check.h"
#include "common/ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 32 << 20 };

static void put(struct buf *b, struct slice s)
{
    GW_REQUIRE(buf_append(b, s.p, s.n) == 0);
}

static void put_section(struct buf *b, struct slice name)
{
    put(b, SLICE_LIT("\x01S"));
    put(b, name);
}

static void put_pair(struct buf *b, struct slice key, struct slice value)
{
    put(b, SLICE_LIT("\x01K"));
    put(b, key);
    put(b, SLICE_LIT("\x01V"));
    put(b, value);
}

/* ---- what the reader says ---- */

struct got {
    struct buf events;
    struct buf rewritten; /* the same as INI text */
};

static void on_section(void *user, struct slice section, uint32_t line)
{
    struct got *g = user;
    put_section(&g->events, section);
    put(&g->rewritten, SLICE_LIT("["));
    put(&g->rewritten, section);
    put(&g->rewritten, SLICE_LIT("]\n"));
}

static void on_entry(void *user, const struct ini_entry *e)
{
    struct got *g = user;
    put_pair(&g->events, e->key, e->value);
    put(&g->rewritten, e->key);
    put(&g->rewritten, SLICE_LIT("=\""));
    for (size_t i = 0; i < e->value.n; i++) {
        char c = e->value.p[i];
        char escaped[2] = {'\\', c == '\n' ? 'n' : c == '\t' ? 't' : c};
        bool needs = c == '"' || c == '\\' || c == '\n' || c == '\t';
        put(&g->rewritten, needs ? slice_of(escaped, 2) : slice_of(&c, 1));
    }
    put(&g->rewritten, SLICE_LIT("\"\n"));
}

static void on_error(void *user, uint32_t line, const char *text)
{
    GW_REQUIRE(line > 0 && text[0] != '\0');
}

static uint32_t read_text(struct slice text, struct got *g)
{
    static const struct ini_sink sink = {on_section, on_entry, on_error};
    buf_init(&g->events, TEXT_MAX);
    buf_init(&g->rewritten, TEXT_MAX);
    put(&g->rewritten,
        SLICE_LIT(";\n")); /* a key may begin with what at the start of a text is a BOM */
    return ini_read(text, &sink, g);
}

static void release(struct got *g)
{
    buf_release(&g->events);
    buf_release(&g->rewritten);
}

/* ---- what it should have said ---- */

struct model {
    struct buf events;
    struct buf value;
    struct slice key; /* p != NULL: a value is open */
};

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct slice before_comment(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ';' && (i == 0 || blank(s.p[i - 1])))
            return slice_trim(slice_of(s.p, i));
    return slice_trim(s);
}

static void close_value(struct model *m)
{
    if (m->key.p)
        put_pair(&m->events, m->key, buf_slice(&m->value));
    m->key.p = NULL;
    m->value.len = 0;
}

static void quoted(struct model *m, struct slice s)
{
    for (size_t i = 1; s.p[i] != '"'; i++) {
        char c = s.p[i];
        if (c == '\\') {
            c = s.p[++i];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        put(&m->value, slice_of(&c, 1));
    }
}

static void model_line(struct model *m, struct slice line)
{
    struct slice trimmed = slice_trim(line);
    if (trimmed.n && (trimmed.p[0] == ';' || trimmed.p[0] == '#'))
        return;
    if (trimmed.n && blank(line.p[0])) {
        struct slice more = before_comment(trimmed);
        if (m->value.len && more.n)
            put(&m->value, SLICE_LIT(" "));
        put(&m->value, more);
        return;
    }
    close_value(m);
    if (trimmed.n && line.p[0] == '[') {
        struct slice head = before_comment(line);
        put_section(&m->events, slice_trim(slice_of(head.p + 1, head.n - 2)));
    } else if (trimmed.n) {
        struct slice rest = line;
        m->key = slice_trim(slice_split(&rest, '='));
        rest = slice_trim(rest);
        if (rest.n && rest.p[0] == '"')
            quoted(m, rest);
        else
            put(&m->value, before_comment(rest));
    }
}

static void model_text(struct model *m, struct slice text)
{
    *m = (struct model){.key = {NULL, 0}};
    buf_init(&m->events, TEXT_MAX);
    buf_init(&m->value, TEXT_MAX);
    if (slice_starts_with(text, SLICE_LIT("\xef\xbb\xbf")))
        text = slice_of(text.p + 3, text.n - 3);
    for (struct slice rest = text; rest.p;) {
        struct slice line = slice_split(&rest, '\n');
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        model_line(m, line);
    }
    close_value(m);
    buf_release(&m->value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    struct got first, second;
    struct model want;
    if (read_text(text, &first) == 0) {
        model_text(&want, text);
        GW_REQUIRE(slice_eq(buf_slice(&first.events), buf_slice(&want.events)));
        GW_REQUIRE(read_text(buf_slice(&first.rewritten), &second) == 0 ||
                   first.rewritten.len > INI_VALUE_MAX);
        GW_REQUIRE(slice_eq(buf_slice(&first.events), buf_slice(&second.events)) ||
                   first.rewritten.len > INI_VALUE_MAX);
        buf_release(&want.events);
        release(&second);
    }
    release(&first);
    return 0;
}
