/*
 * rawhead.c: the field section byte by byte, and what it says about framing.
 *
 * Lines end with CRLF and nothing else does; names are tokens directly followed by ':'; no folding;
 * values without control bytes. Content-Length and Transfer-Encoding are read in the one spelling
 * that no parser misreads.
 */
#include "gatewayd/http/rawhead.h"

int http_fail(struct http_error *err, unsigned status, size_t offset, const char *reason)
{
    *err = (struct http_error){(uint16_t)status, (uint32_t)offset, reason};
    return -1;
}

/* Why a byte ended a value that isn't the CR of a CRLF. */
static const char *value_fault(const char *p)
{
    if (*p == '\r')
        return "a carriage return without a line feed in a header";
    if (*p == '\n')
        return "a header line ends with a bare line feed";
    if (*p == '\0')
        return "a NUL byte in a header";
    return "a control character in a header value";
}

static const char *name_fault(const char *name, const char *p)
{
    bool blank = *p == ' ' || *p == '\t';
    if (p == name && blank)
        return "a header line begins with white space (folded lines are not accepted)";
    if (blank)
        return "white space between a header name and its colon";
    if (*p == ':')
        return "an empty header name";
    if (*p == '\r' || *p == '\n')
        return "a header line without a colon";
    return "a character in a header name that may not stand there";
}

/* "Content_Length": some servers behind proxies take it for Content-Length. */
static bool is_framing_lookalike(struct slice name)
{
    char dashed[sizeof "transfer-encoding"];
    if ((name.n != 14 && name.n != 17) || !memchr(name.p, '_', name.n))
        return false;
    for (size_t i = 0; i < name.n; i++)
        dashed[i] = name.p[i] == '_' ? '-' : name.p[i];
    enum http_header_id id = http_header_lookup(slice_of(dashed, name.n));
    return id == HTTP_H_CONTENT_LENGTH || id == HTTP_H_TRANSFER_ENCODING;
}

static int add_field(struct http_fields *fs, struct slice name, struct slice raw_value,
                     struct http_error *err)
{
    size_t offset = (size_t)(name.p - fs->base);
    if (name.n > UINT8_MAX)
        return http_fail(err, 431, offset, "a header name of more than 255 bytes");
    if (!http_fields_add(fs, name, slice_trim(raw_value)))
        return http_fail(err, 431, offset, "more than 100 header lines");
    unsigned id = fs->f[fs->n - 1].id;
    if (id == HTTP_H_OTHER && is_framing_lookalike(name))
        return http_fail(err, 400, offset,
                         "an underscore in a header name that looks like Content-Length or "
                         "Transfer-Encoding");
    if ((id == HTTP_H_CONTENT_LENGTH || id == HTTP_H_TRANSFER_ENCODING) &&
        memchr(raw_value.p, '\t', raw_value.n))
        return http_fail(err, 400, offset, "a tab in Content-Length or Transfer-Encoding");
    return 0;
}

int http_raw_fields(const char *head, size_t head_len, size_t at, struct http_fields *fs,
                    struct http_error *err)
{
    /* The scans below need no bound of their own: every one stops at the CR of the last CRLF. */
    const char *p = head + at;
    const char *last_line = head + head_len - 2;
    while (p < last_line) {
        const char *name = p;
        while (http_byte_is(*p, HTTP_BYTE_TOKEN))
            p++;
        if (p == name || *p != ':')
            return http_fail(err, 400, (size_t)(p - head), name_fault(name, p));
        const char *value = p + 1;
        for (p = value; http_byte_is(*p, HTTP_BYTE_VALUE);)
            p++;
        if (p[0] != '\r' || p[1] != '\n')
            return http_fail(err, 400, (size_t)(p - head), value_fault(p));
        if (add_field(fs, slice_of(name, (size_t)(value - 1 - name)),
                      slice_of(value, (size_t)(p - value)), err) < 0)
            return -1;
        p += 2;
    }
    if (p != last_line)
        return http_fail(err, 400, (size_t)(p - head), "the head ends inside a header line");
    return 0;
}

static int read_content_length(const struct http_fields *fs, struct http_framing *out,
                               struct http_error *err)
{
    unsigned i = fs->first[HTTP_H_CONTENT_LENGTH];
    if (i == HTTP_NO_FIELD)
        return 0;
    struct slice v = http_fields_value(fs, i);
    size_t offset = fs->f[i].name_off;
    if (fs->count[HTTP_H_CONTENT_LENGTH] > 1)
        return http_fail(err, 400, offset, "more than one Content-Length");
    if (v.n > 1 && v.p[0] == '0')
        return http_fail(err, 400, offset, "Content-Length with a leading zero");
    if (slice_to_u64(v, INT64_MAX, &out->content_length) < 0)
        return http_fail(err, 400, offset, "Content-Length is not a decimal number");
    out->has_content_length = true;
    return 0;
}

static int read_transfer_encoding(const struct http_fields *fs, unsigned version_minor,
                                  struct http_framing *out, struct http_error *err)
{
    unsigned i = fs->first[HTTP_H_TRANSFER_ENCODING];
    if (i == HTTP_NO_FIELD)
        return 0;
    size_t offset = fs->f[i].name_off;
    if (fs->count[HTTP_H_TRANSFER_ENCODING] > 1)
        return http_fail(err, 400, offset, "more than one Transfer-Encoding");
    if (out->has_content_length)
        return http_fail(err, 400, offset, "both Transfer-Encoding and Content-Length");
    if (version_minor == 0)
        return http_fail(err, 400, offset, "Transfer-Encoding in an HTTP/1.0 message");
    if (!slice_ieq(http_fields_value(fs, i), SLICE_LIT("chunked")))
        return http_fail(err, 501, offset, "a Transfer-Encoding other than `chunked`");
    out->chunked = true;
    return 0;
}

static bool read_keep_alive(const struct http_fields *fs, unsigned version_minor)
{
    bool close = false, keep = version_minor > 0;
    for (unsigned i = fs->first[HTTP_H_CONNECTION]; i != HTTP_NO_FIELD; i = fs->f[i].next) {
        struct slice rest = http_fields_value(fs, i), option;
        while ((option = http_list_next(&rest)).p) {
            if (slice_ieq(option, SLICE_LIT("close")))
                close = true;
            else if (slice_ieq(option, SLICE_LIT("keep-alive")))
                keep = true;
        }
    }
    return keep && !close;
}

int http_raw_framing(const struct http_fields *fs, unsigned version_minor, struct http_framing *out,
                     struct http_error *err)
{
    *out = (struct http_framing){.keep_alive = read_keep_alive(fs, version_minor)};
    if (read_content_length(fs, out, err) < 0)
        return -1;
    return read_transfer_encoding(fs, version_minor, out, err);
}
