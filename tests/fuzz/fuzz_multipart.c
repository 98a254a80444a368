/*
 * fuzz_multipart.c: any bytes as a content type, a line end, and a body. Parts lie within the body
 * in the order in which they stand, and what a reader of delimiters alone would find between them
 * is what was handed out.
 */
#include "gatewayd/http/multipart.h"

#include "common/check.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_part(const struct multipart *m, const struct multipart_part *p, const char *from)
{
    const char *end = m->body.p + m->body.n;
    struct slice delimiter = slice_of(m->delimiter, m->delimiter_bytes);
    GW_REQUIRE(p->name.p >= from && p->name.p + p->name.n <= p->data.p);
    GW_REQUIRE(p->data.p + p->data.n + delimiter.n <= end);
    GW_REQUIRE(memcmp(p->data.p + p->data.n, delimiter.p, delimiter.n) == 0);
    GW_REQUIRE(!p->data.n || !memmem(p->data.p, p->data.n, delimiter.p, delimiter.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice body = slice_of((const char *)data, size), boundary;
    struct slice type = slice_split(&body, '\n');
    struct multipart m;
    struct multipart_part part;
    enum multipart_step step;
    if (!body.p || multipart_boundary(type, &boundary) != NULL)
        return 0;
    GW_REQUIRE(boundary.n > 0 && boundary.n <= MULTIPART_BOUNDARY_MAX_BYTES);
    multipart_init(&m, boundary, body);
    const char *from = body.p;
    while ((step = multipart_next(&m, &part)) == MULTIPART_PART) {
        check_part(&m, &part, from);
        from = part.data.p + part.data.n;
    }
    GW_REQUIRE(m.parts <= MULTIPART_PARTS_MAX + 1);
    GW_REQUIRE(step == MULTIPART_END ? !m.why : m.why_at <= body.n);
    GW_REQUIRE(multipart_next(&m, &part) == step);
    return 0;
}
