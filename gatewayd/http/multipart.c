/*
 * multipart.c: finds delimiters with memmem, so a file of megabytes costs one run over its bytes,
 * and reads the few lines above each part.
 */
#include "gatewayd/http/multipart.h"

#include "common/check.h"
#include "gatewayd/http/header.h"

/* ---- parameters of a field: `; name=token` or `; name="text"` ---- */

enum param_step { PARAM_FOUND, PARAM_NONE, PARAM_BAD };

/* bchars of RFC 2046 section 5.1.1 and all that a quoted-string may hold are field-value bytes, so
 * nothing here meets a control character. */
static enum param_step next_param(struct slice *rest, struct slice *name, struct slice *value)
{
    *rest = slice_trim(*rest);
    if (rest->n == 0)
        return PARAM_NONE;
    if (rest->p[0] != ';')
        return PARAM_BAD;
    *rest = slice_trim(slice_of(rest->p + 1, rest->n - 1));
    const char *equals = rest->n ? memchr(rest->p, '=', rest->n) : NULL;
    if (!equals)
        return PARAM_BAD;
    *name = slice_of(rest->p, (size_t)(equals - rest->p));
    struct slice v = slice_of(equals + 1, rest->n - name->n - 1);
    if (!http_is_token(*name))
        return PARAM_BAD;
    if (v.n && v.p[0] == '"') {
        const char *close = memchr(v.p + 1, '"', v.n - 1);
        /* Some readers take \" for a quote within, some for its end. */
        if (!close || close[-1] == '\\')
            return PARAM_BAD;
        *value = slice_of(v.p + 1, (size_t)(close - v.p) - 1);
        *rest = slice_of(close + 1, v.n - value->n - 2);
        return PARAM_FOUND;
    }
    size_t n = 0;
    while (n < v.n && v.p[n] != ';')
        n++;
    *value = slice_trim(slice_of(v.p, n));
    *rest = slice_of(v.p + n, v.n - n);
    return http_is_token(*value) ? PARAM_FOUND : PARAM_BAD;
}

static bool is_boundary(struct slice b)
{
    static const char others[] = "'()+_,-./:=? ";
    if (b.n == 0 || b.n > MULTIPART_BOUNDARY_MAX_BYTES || b.p[b.n - 1] == ' ')
        return false;
    for (size_t i = 0; i < b.n; i++) {
        char c = b.p[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && (c == 0 || !strchr(others, c)))
            return false;
    }
    return true;
}

const char *multipart_boundary(struct slice content_type, struct slice *boundary)
{
    struct slice rest = content_type, name, value;
    (void)slice_split(&rest, ';');
    bool found = false;
    if (!rest.p)
        return "it has no boundary";
    rest = slice_of(rest.p - 1, rest.n + 1);
    for (;;) {
        switch (next_param(&rest, &name, &value)) {
        case PARAM_BAD:
            return "its parameters can't be read";
        case PARAM_NONE:
            return found ? NULL : "it has no boundary";
        case PARAM_FOUND:
            break;
        }
        if (!slice_ieq(name, SLICE_LIT("boundary")))
            continue;
        if (found)
            return "it has two boundaries";
        if (!is_boundary(value))
            return "its boundary isn't 1 to 70 of the characters of RFC 2046 section 5.1.1";
        *boundary = value;
        found = true;
    }
}

/* ---- parts ---- */

static enum multipart_step bad(struct multipart *m, const char *at, const char *why)
{
    m->why = why;
    m->why_at = (size_t)(at - m->body.p);
    return MULTIPART_BAD;
}

void multipart_init(struct multipart *m, struct slice boundary, struct slice body)
{
    GW_REQUIRE(boundary.n > 0 && boundary.n <= MULTIPART_BOUNDARY_MAX_BYTES);
    *m = (struct multipart){.body = body, .delimiter_bytes = boundary.n + 4};
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary.p, boundary.n);
}

/* "--" and the boundary: as it stands at the beginning, and nowhere else without a CRLF before. */
static struct slice dashed(const struct multipart *m)
{
    return slice_of(m->delimiter + 2, m->delimiter_bytes - 2);
}

/* Behind a delimiter: CRLF and another part, or "--" and the end. */
static enum multipart_step after_delimiter(struct multipart *m, const char *p)
{
    const char *end = m->body.p + m->body.n;
    size_t left = (size_t)(end - p);
    if (left >= 2 && memcmp(p, "\r\n", 2) == 0) {
        m->at = (size_t)(p + 2 - m->body.p);
        return MULTIPART_PART;
    }
    if (left < 2 || memcmp(p, "--", 2) != 0)
        return bad(m, p, "a boundary is followed by something else than CRLF or --");
    if (left != 2 && (left != 4 || memcmp(p + 2, "\r\n", 2) != 0))
        return bad(m, p + 2, "bytes follow the last boundary");
    m->done = true;
    return MULTIPART_END;
}

static enum multipart_step first_delimiter(struct multipart *m)
{
    struct slice want = dashed(m), body = m->body;
    size_t skip = slice_starts_with(body, SLICE_LIT("\r\n")) ? 2 : 0;
    if (!slice_starts_with(slice_of(body.p + skip, body.n - skip), want))
        return bad(m, body.p, "the body doesn't begin with the boundary");
    return after_delimiter(m, body.p + skip + want.n);
}

static const char *take_disposition(struct slice value, struct multipart_part *part)
{
    struct slice name, v;
    const char *semicolon = value.n ? memchr(value.p, ';', value.n) : NULL;
    struct slice kind = slice_of(value.p, semicolon ? (size_t)(semicolon - value.p) : value.n);
    struct slice rest = slice_of(value.p + kind.n, value.n - kind.n);
    if (!slice_ieq(slice_trim(kind), SLICE_LIT("form-data")))
        return "Content-Disposition isn't form-data";
    for (;;) {
        switch (next_param(&rest, &name, &v)) {
        case PARAM_BAD:
            return "the parameters of Content-Disposition can't be read";
        case PARAM_NONE:
            return part->name.p ? NULL : "Content-Disposition has no name";
        case PARAM_FOUND:
            break;
        }
        if (slice_ieq(name, SLICE_LIT("name*")))
            return "Content-Disposition has name*, which RFC 7578 forbids";
        if (slice_ieq(name, SLICE_LIT("name"))) {
            if (part->name.p)
                return "Content-Disposition has two names";
            if (v.n && memchr(v.p, '\\', v.n))
                return "a name holds a backslash";
            part->name = v;
        } else if (slice_ieq(name, SLICE_LIT("filename")) ||
                   slice_ieq(name, SLICE_LIT("filename*"))) {
            part->is_file = true;
        }
    }
}

/* 7bit, 8bit and binary change nothing (RFC 2045 section 6.2); RFC 7578 section 4.7 has no others.
 */
static bool encodes(struct slice coding)
{
    return !slice_ieq(coding, SLICE_LIT("binary")) && !slice_ieq(coding, SLICE_LIT("8bit")) &&
           !slice_ieq(coding, SLICE_LIT("7bit"));
}

static const char *take_line(struct slice line, struct multipart_part *part, bool *disposed)
{
    const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
    struct slice name = slice_of(line.p, colon ? (size_t)(colon - line.p) : 0);
    if (!colon || !http_is_token(name))
        return "a header line of a part can't be read";
    struct slice value = slice_trim(slice_of(colon + 1, line.n - name.n - 1));
    if (!http_is_field_value(value))
        return "a header line of a part holds a control character";
    if (slice_ieq(name, SLICE_LIT("content-transfer-encoding")) && encodes(value))
        return "a part has a Content-Transfer-Encoding";
    if (!slice_ieq(name, SLICE_LIT("content-disposition")))
        return NULL;
    if (*disposed)
        return "a part has two Content-Dispositions";
    *disposed = true;
    return take_disposition(value, part);
}

/* The header lines, up to the empty one. *p is moved behind them. */
static enum multipart_step take_head(struct multipart *m, const char **p,
                                     struct multipart_part *part)
{
    const char *start = *p, *end = m->body.p + m->body.n;
    bool disposed = false;
    for (;;) {
        size_t room = GW_MIN((size_t)(end - *p), MULTIPART_HEAD_MAX_BYTES - (size_t)(*p - start));
        const char *cr = room ? memmem(*p, room, "\r\n", 2) : NULL;
        if (!cr)
            return bad(m, start, "the header lines of a part don't end, or are over 4096 bytes");
        struct slice line = slice_of(*p, (size_t)(cr - *p));
        const char *at = *p;
        *p = cr + 2;
        if (line.n == 0)
            return disposed ? MULTIPART_PART : bad(m, start, "a part has no Content-Disposition");
        const char *why = take_line(line, part, &disposed);
        if (why)
            return bad(m, at, why);
    }
}

enum multipart_step multipart_next(struct multipart *m, struct multipart_part *part)
{
    const char *end = m->body.p + m->body.n;
    *part = (struct multipart_part){.is_file = false};
    if (m->why)
        return MULTIPART_BAD;
    if (!m->done && m->at == 0 && first_delimiter(m) == MULTIPART_BAD)
        return MULTIPART_BAD;
    if (m->done)
        return MULTIPART_END;
    if (m->parts++ == MULTIPART_PARTS_MAX)
        return bad(m, m->body.p + m->at, "there are more than 256 parts");
    const char *p = m->body.p + m->at;
    if (take_head(m, &p, part) == MULTIPART_BAD)
        return MULTIPART_BAD;
    struct slice want = dashed(m);
    const char *found = memmem(p, (size_t)(end - p), want.p, want.n);
    if (!found)
        return bad(m, end, "the last boundary is missing");
    if (found - p < 2 || memcmp(found - 2, "\r\n", 2) != 0)
        return bad(m, found, "a boundary stands within a part");
    part->data = slice_of(p, (size_t)(found - 2 - p));
    return after_delimiter(m, found + want.n) == MULTIPART_BAD ? MULTIPART_BAD : MULTIPART_PART;
}
