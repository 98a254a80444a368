/*
 * fuzz_chunked.c: the chunked decoder by both rule sets.
 *
 * However the input is cut, data, verdict and end must be the same; what requests may hold,
 * responses may too; and a decoded body written out again by our own framing reads back the same.
 */
#include "common/buf.h"
#include "common/check.h"
#include "gatewayd/http/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum http_body_step step;
    size_t used;
    struct buf data;
};

static void decode(const char *p, size_t n, size_t piece, bool from_upstream, struct outcome *out)
{
    struct http_body b;
    struct slice span;
    const char *at = p, *end = p + n;
    http_body_init(&b, HTTP_BODY_CHUNKED, 0, from_upstream);
    buf_init(&out->data, n + 1);
    do {
        const char *stop = (size_t)(end - at) < piece ? end : at + piece;
        while ((out->step = http_body_step(&b, &at, stop, &span)) == HTTP_BODY_DATA)
            GW_REQUIRE(span.n > 0 && buf_append(&out->data, span.p, span.n) == 0);
    } while (out->step == HTTP_BODY_MORE && at < end);
    out->used = (size_t)(at - p);
    GW_REQUIRE(out->data.len == b.data_bytes);
}

static void same(const struct outcome *a, const struct outcome *b)
{
    GW_REQUIRE(a->step == b->step && a->used == b->used);
    GW_REQUIRE(slice_eq(buf_slice(&a->data), buf_slice(&b->data)));
}

static void reads_back(const struct outcome *o)
{
    struct buf framed;
    struct outcome again;
    char header[HTTP_CHUNK_HEADER_BYTES];
    if (o->step != HTTP_BODY_END || o->data.len == 0)
        return;
    buf_init(&framed, o->data.len + 64);
    size_t n = http_chunk_header(header, o->data.len);
    GW_REQUIRE(buf_append(&framed, header, n) == 0);
    GW_REQUIRE(buf_append(&framed, o->data.data, o->data.len) == 0);
    GW_REQUIRE(buf_append(&framed, "\r\n" HTTP_CHUNKED_END, 7) == 0);
    decode(framed.data, framed.len, framed.len, false, &again);
    GW_REQUIRE(again.step == HTTP_BODY_END && again.used == framed.len);
    GW_REQUIRE(slice_eq(buf_slice(&again.data), buf_slice(&o->data)));
    buf_release(&again.data);
    buf_release(&framed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    struct outcome whole[2], drips[2];
    if (size == 0)
        return 0;
    for (int upstream = 0; upstream < 2; upstream++) {
        decode(p, size, size, upstream, &whole[upstream]);
        decode(p, size, 1 + data[0] % 7, upstream, &drips[upstream]);
        same(&whole[upstream], &drips[upstream]);
    }
    if (whole[0].step == HTTP_BODY_END)
        same(&whole[0], &whole[1]);
    reads_back(&whole[0]);
    for (int i = 0; i < 2; i++) {
        buf_release(&whole[i].data);
        buf_release(&drips[i].data);
    }
    return 0;
}
