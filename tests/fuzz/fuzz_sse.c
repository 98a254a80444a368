/*
 * fuzz_sse.c: event streams: no byte lost or changed, and the same events however they are cut.
 *
 * The first byte chooses the pieces, the second the cap.
 */
#include "common/check.h"
#include "gatewayd/http/sse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Data of all events, one behind the other with its length; raw bytes likewise without. */
struct story {
    struct buf payload;
    struct buf raw;
};

static void tell(struct story *s, const struct sse_event *ev)
{
    GW_REQUIRE(buf_append(&s->raw, ev->raw.p, ev->raw.n) == 0);
    if (ev->data.p)
        GW_REQUIRE(buf_printf(&s->payload, "%zu:", ev->data.n) == 0 &&
                   buf_append(&s->payload, ev->data.p, ev->data.n) == 0);
}

static void run(const char *in, size_t n, size_t piece, size_t max, struct story *s)
{
    struct sse_reader r;
    struct sse_event ev;
    size_t start = 0;
    buf_init(&s->payload, 64 * n + 64);
    buf_init(&s->raw, n + 1);
    sse_reader_init(&r, max);
    for (size_t end = 0; end < n;) {
        end = GW_MIN(end + piece, n);
        while (sse_reader_next(&r, in + start, end - start, &ev) != SSE_MORE) {
            GW_REQUIRE(ev.raw.n > 0 && ev.raw.p == in + start);
            tell(s, &ev);
            start += ev.raw.n;
        }
        GW_REQUIRE(end - start <= max);
    }
    if (sse_reader_finish(&r, in + start, n - start, &ev) != SSE_MORE)
        tell(s, &ev);
    GW_REQUIRE(slice_eq(buf_slice(&s->raw), slice_of(in, n)));
    sse_reader_release(&r);
}

static void release(struct story *s)
{
    buf_release(&s->payload);
    buf_release(&s->raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct story whole, cut, capped;
    if (size < 3)
        return 0;
    const char *in = (const char *)data + 2;
    size_t n = size - 2;
    run(in, n, n, SSE_MAX_EVENT_BYTES, &whole);
    run(in, n, 1 + data[0] % 17, SSE_MAX_EVENT_BYTES, &cut);
    GW_REQUIRE(slice_eq(buf_slice(&whole.payload), buf_slice(&cut.payload)));
    run(in, n, 1 + data[0] % 17, 1 + data[1] % 64, &capped);
    release(&whole);
    release(&cut);
    release(&capped);
    return 0;
}
