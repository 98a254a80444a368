/*
 * token_xml.c: as much of XML as STS speaks.
 *
 * One pass with a stack of open elements; what isn't an element, an attribute or a text ends it.
 */
#include "gatewayd/keeper/token_xml.h"

enum { DEPTH_MAX = 16 };

struct scan {
    struct slice rest;
    struct slice open[DEPTH_MAX];
    size_t depth;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':';
}

static void skip(struct scan *s, size_t n)
{
    s->rest = slice_of(s->rest.p + n, s->rest.n - n);
}

static void skip_blanks(struct scan *s)
{
    while (s->rest.n && is_blank(s->rest.p[0]))
        skip(s, 1);
}

static struct slice take_name(struct scan *s)
{
    size_t n = 0;
    while (n < s->rest.n && is_name_char(s->rest.p[n]))
        n++;
    struct slice name = slice_of(s->rest.p, n);
    skip(s, n);
    return name;
}

/* NAME = "VALUE", whatever it holds. */
static bool skip_attribute(struct scan *s)
{
    if (take_name(s).n == 0)
        return false;
    skip_blanks(s);
    if (!s->rest.n || s->rest.p[0] != '=')
        return false;
    skip(s, 1);
    skip_blanks(s);
    char quote = s->rest.n ? s->rest.p[0] : '\0';
    if (quote != '"' && quote != '\'')
        return false;
    skip(s, 1);
    const char *end = s->rest.n ? memchr(s->rest.p, quote, s->rest.n) : NULL;
    if (!end || memchr(s->rest.p, '<', (size_t)(end - s->rest.p)))
        return false;
    skip(s, (size_t)(end - s->rest.p) + 1);
    return true;
}

/* Behind the name of a start tag, to its end. *empty: <a/>. */
static bool skip_attributes(struct scan *s, bool *empty)
{
    for (;;) {
        skip_blanks(s);
        if (slice_starts_with(s->rest, SLICE_LIT("/>")) ||
            slice_starts_with(s->rest, SLICE_LIT(">"))) {
            *empty = s->rest.p[0] == '/';
            skip(s, *empty ? 2 : 1);
            return true;
        }
        if (!skip_attribute(s))
            return false;
    }
}

static bool open_element(struct scan *s)
{
    bool empty;
    skip(s, 1);
    struct slice name = take_name(s);
    if (name.n == 0 || s->depth == DEPTH_MAX || !skip_attributes(s, &empty))
        return false;
    if (!empty)
        s->open[s->depth++] = name;
    return true;
}

static bool close_element(struct scan *s)
{
    skip(s, 2);
    struct slice name = take_name(s);
    skip_blanks(s);
    if (s->depth == 0 || !slice_eq(name, s->open[s->depth - 1]) || !s->rest.n ||
        s->rest.p[0] != '>')
        return false;
    skip(s, 1);
    s->depth--;
    return true;
}

static bool at_path(const struct scan *s, const char *path)
{
    struct slice rest = slice_str(path);
    for (size_t i = 0; i < s->depth; i++)
        if (!rest.p || !slice_eq(slice_split(&rest, '/'), s->open[i]))
            return false;
    return !rest.p;
}

static size_t entity(struct slice s, char *out)
{
    static const struct {
        struct slice text;
        char c;
    } known[] = {{SLICE_LIT("&amp;"), '&'},
                 {SLICE_LIT("&lt;"), '<'},
                 {SLICE_LIT("&gt;"), '>'},
                 {SLICE_LIT("&quot;"), '"'},
                 {SLICE_LIT("&apos;"), '\''}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (slice_starts_with(s, known[i].text)) {
            *out = known[i].c;
            return known[i].text.n;
        }
    return 0;
}

static int decode(struct slice text, char *out, size_t cap)
{
    size_t n = 0;
    while (text.n) {
        char c = text.p[0];
        size_t took = c == '&' ? entity(text, &c) : 1;
        if (took == 0 || n == cap)
            return -1;
        out[n++] = c;
        text = slice_of(text.p + took, text.n - took);
    }
    return (int)n;
}

static struct slice take_text(struct scan *s)
{
    const char *end = memchr(s->rest.p, '<', s->rest.n);
    struct slice text = slice_of(s->rest.p, end ? (size_t)(end - s->rest.p) : s->rest.n);
    skip(s, text.n);
    return text;
}

/* <?xml ...?>, once, in front. */
static bool skip_prolog(struct scan *s)
{
    skip_blanks(s);
    if (!slice_starts_with(s->rest, SLICE_LIT("<?xml")))
        return true;
    const char *end = memchr(s->rest.p, '>', s->rest.n);
    if (!end || end[-1] != '?')
        return false;
    skip(s, (size_t)(end - s->rest.p) + 1);
    return true;
}

int token_xml_text(struct slice xml, const char *path, char *out, size_t cap)
{
    struct scan s = {.rest = xml};
    int found = -1;
    if (!xml.n || !skip_prolog(&s))
        return -1;
    while (s.rest.n) {
        bool ok = true;
        if (slice_starts_with(s.rest, SLICE_LIT("</")))
            ok = close_element(&s);
        else if (s.rest.p[0] == '<')
            ok = open_element(&s);
        else {
            struct slice text = take_text(&s);
            bool here =
                found < 0 && at_path(&s, path) && slice_starts_with(s.rest, SLICE_LIT("</"));
            found = here ? decode(text, out, cap) : found;
            ok = !here || found >= 0;
        }
        if (!ok)
            return -1;
    }
    return s.depth == 0 ? found : -1;
}
