/*
 * fuzz_head.c: request and response heads from the same bytes.
 *
 * Beside memory errors it looks for: an end that depends on the pieces in which the bytes came;
 * results that point outside the head; a head on which our reading and http-parser's differ (that
 * ours is the stricter one is the whole idea).
 */
#include "common/check.h"
#include "gatewayd/http/path.h"
#include "gatewayd/http/response.h"

#include <stdlib.h>

static const struct http_limits limits = {
    .max_head_bytes = 4096, .max_target_bytes = 512, .max_body_bytes = 1 << 20};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct slice head, struct slice part)
{
    GW_REQUIRE(!part.p || (part.p >= head.p && part.p + part.n <= head.p + head.n));
}

static void check_fields(struct slice head, const struct http_fields *fs)
{
    GW_REQUIRE(fs->n <= HTTP_MAX_FIELDS);
    for (unsigned i = 0; i < fs->n; i++) {
        inside(head, http_fields_name(fs, i));
        inside(head, http_fields_value(fs, i));
        GW_REQUIRE(http_is_token(http_fields_name(fs, i)));
        GW_REQUIRE(http_is_field_value(http_fields_value(fs, i)));
    }
}

/* Debian's http-parser (its patch for CVE-2020-8287) takes a name that only begins with
 * transfer-encoding for the real one; such a head is refused, rightly so. Elsewhere the two readers
 * must agree. */
static bool misleads_http_parser(struct slice head)
{
    static const struct slice name = SLICE_LIT("transfer-encoding");
    for (size_t i = 0; i + name.n < head.n; i++)
        if (slice_ieq(slice_of(head.p + i, name.n), name) && head.p[i + name.n] != ':')
            return true;
    return false;
}

static void not_two_readings(struct slice head, const struct http_error *err)
{
    GW_REQUIRE(err->status >= 400 && err->status < 600);
    GW_REQUIRE(!slice_eq_str(slice_str(err->reason), "the head can be read in two ways") ||
               misleads_http_parser(head));
}

static void check_path(struct slice path)
{
    char *scratch = malloc(path.n);
    struct slice out;
    struct http_error err;
    if (http_path_normalise(path, scratch, &out, &err) == 0)
        GW_REQUIRE(out.n <= path.n && out.n > 0 && !memmem(out.p, out.n, "//", 2) &&
                   !memmem(out.p, out.n, "/../", 4));
    free(scratch);
}

static void as_request(const char *p, size_t n)
{
    size_t scan = 0, whole = 0, dripped_scan = 0, dripped = 0;
    struct http_request req;
    struct http_error err;
    enum http_step step = http_head_find(p, n, &limits, &scan, &whole, &err);
    enum http_step slow = HTTP_STEP_MORE;
    for (size_t i = 1; i <= n && slow == HTTP_STEP_MORE; i++)
        slow = http_head_find(p, i, &limits, &dripped_scan, &dripped, &err);
    GW_REQUIRE(step == slow && (step != HTTP_STEP_DONE || whole == dripped));
    if (step != HTTP_STEP_DONE)
        return;
    if (http_request_parse(p, whole, &limits, &req, &err) < 0) {
        not_two_readings(slice_of(p, whole), &err);
        return;
    }
    struct slice head = slice_of(p, whole);
    check_fields(head, &req.fields);
    inside(head, http_request_target(&req));
    inside(head, http_request_query(&req));
    GW_REQUIRE(!(req.chunked && req.has_content_length));
    GW_REQUIRE(req.content_length <= limits.max_body_bytes);
    check_path(http_request_path(&req));
}

static void as_response(const char *p, size_t n)
{
    struct http_response_reader r;
    struct http_response res;
    struct http_error err;
    size_t body_at;
    http_response_reader_init(&r);
    enum http_step step = http_response_read(&r, p, n, &limits, n & 1, &res, &body_at, &err);
    if (step == HTTP_STEP_BAD)
        not_two_readings(slice_of(p, n), &err);
    if (step != HTTP_STEP_DONE)
        return;
    GW_REQUIRE(body_at <= n && res.status >= 101 && res.status <= 599);
    GW_REQUIRE(!res.keep_alive || res.framing != HTTP_BODY_CLOSE);
    check_fields(slice_of(p, body_at), &res.fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_request((const char *)data, size);
    as_response((const char *)data, size);
    return 0;
}
