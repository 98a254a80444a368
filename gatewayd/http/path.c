/*
 * path.c: refuses ambiguous paths and decodes the rest.
 */
#include "gatewayd/http/path.h"

#include "gatewayd/http/rawhead.h"

static int hex_value(char c)
{
    if (!http_byte_is(c, HTTP_BYTE_HEX))
        return -1;
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* The byte that %XX at path.p[i] stands for; -1 if it is malformed or must not be encoded. */
static int decode_at(struct slice path, size_t i)
{
    if (path.n - i < 3)
        return -1;
    int high = hex_value(path.p[i + 1]), low = hex_value(path.p[i + 2]);
    if (high < 0 || low < 0)
        return -1;
    int c = high << 4 | low;
    return c <= 0x20 || c >= 0x7f || strchr("/\\.%;", c) ? -1 : c;
}

/* Behind these stands a name that may hold a slash of its own: of a model (ARNs on Bedrock), of a
 * deployment. */
static bool is_before_name(struct slice segment)
{
    return slice_eq(segment, SLICE_LIT("model")) || slice_eq(segment, SLICE_LIT("models")) ||
           slice_eq(segment, SLICE_LIT("deployments"));
}

static bool is_encoded_slash(struct slice path, size_t i)
{
    return path.n - i >= 3 && path.p[i + 1] == '2' && (path.p[i + 2] | 0x20) == 'f';
}

static int decode(struct slice path, char *scratch, struct slice *out, struct http_error *err)
{
    size_t n = 0, segment = 0;
    bool name = false;
    for (size_t i = 0; i < path.n; i++, n++) {
        scratch[n] = path.p[i];
        if (path.p[i] == '/') {
            name = is_before_name(slice_of(scratch + segment, n - segment));
            segment = n + 1;
        }
        if (path.p[i] != '%')
            continue;
        if (name && is_encoded_slash(path, i)) {
            memcpy(scratch + n, HTTP_PATH_SLASH, 3);
            n += 2;
            i += 2;
            continue;
        }
        int c = decode_at(path, i);
        if (c < 0)
            return http_fail(err, 400, i,
                             "an encoding in the path that is malformed or hides a slash, a dot, a "
                             "backslash, a percent sign or an unprintable byte");
        scratch[n] = (char)c;
        i += 2;
    }
    *out = slice_of(scratch, n);
    return 0;
}

static int check_segment(struct slice segment, size_t offset, bool is_last, struct http_error *err)
{
    if (segment.n == 0 && !is_last)
        return http_fail(err, 400, offset, "an empty segment in the path");
    if (slice_eq(segment, SLICE_LIT(".")) || slice_eq(segment, SLICE_LIT("..")))
        return http_fail(err, 400, offset, "a dot segment in the path");
    if (memchr(segment.p, ';', segment.n) || memchr(segment.p, '\\', segment.n))
        return http_fail(err, 400, offset, "a semicolon or a backslash in the path");
    return 0;
}

size_t http_path_name(struct slice name, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < name.n; i++, n++) {
        bool slash = is_encoded_slash(name, i) && name.p[i] == '%';
        out[n] = slash ? '/' : name.p[i];
        i += slash ? 2 : 0;
    }
    return n;
}

int http_path_normalise(struct slice path, char *scratch, struct slice *out, struct http_error *err)
{
    *out = path;
    if (slice_eq(path, SLICE_LIT("*")))
        return 0;
    if (path.n == 0 || path.p[0] != '/')
        return http_fail(err, 400, 0, "the path must begin with '/'");
    struct slice rest = slice_of(path.p + 1, path.n - 1);
    while (rest.p) {
        struct slice segment = slice_split(&rest, '/');
        if (check_segment(segment, (size_t)(segment.p - path.p), !rest.p, err) < 0)
            return -1;
    }
    return memchr(path.p, '%', path.n) ? decode(path, scratch, out, err) : 0;
}
