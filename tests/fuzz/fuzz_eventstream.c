/*
 * fuzz_eventstream.c: frames of application/vnd.amazon.eventstream: the same however they are cut,
 * and what was read is written back to the same bytes.
 *
 * The first byte chooses the pieces, and whether checksums are mended first (else hardly any input
 * would get behind them).
 */
#include "common/check.h"
#include "common/crc32.h"
#include "gatewayd/http/eventstream.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 4096, HEADERS = 64 };

static uint32_t get32(const char *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void put32(char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (char)(v >> (24 - 8 * i));
}

static void mend(char *in, size_t n)
{
    for (size_t at = 0; n - at >= 16;) {
        uint32_t total = get32(in + at);
        put32(in + at + 8, crc32_update(0, in + at, 8));
        if (total < 16 || total > n - at)
            return;
        put32(in + at + total - 4, crc32_update(0, in + at, total - 4));
        at += total;
    }
}

static void write_back(const struct eventstream_message *m)
{
    struct eventstream_header h[HEADERS];
    struct slice rest = m->headers;
    struct buf out;
    size_t n = 0;
    int more;
    while ((more = eventstream_next_header(&rest, &h[n])) > 0)
        GW_REQUIRE(++n <= HEADERS);
    GW_REQUIRE(more == 0);
    buf_init(&out, m->raw.n);
    GW_REQUIRE(eventstream_write(&out, h, n, m->payload) == 0);
    GW_REQUIRE(slice_eq(buf_slice(&out), m->raw));
    buf_release(&out);
}

struct story {
    size_t messages, taken;
    enum eventstream_fault fault;
};

static struct story run(const char *in, size_t n, size_t piece)
{
    struct story s = {0};
    struct eventstream_reader r;
    struct eventstream_message m;
    enum eventstream_result res = EVENTSTREAM_MORE;
    eventstream_reader_init(&r, MAX_BYTES);
    for (size_t end = 0; end < n && res != EVENTSTREAM_BAD;) {
        end = GW_MIN(end + piece, n);
        while ((res = eventstream_reader_next(&r, in + s.taken, end - s.taken, &m)) ==
               EVENTSTREAM_MESSAGE) {
            GW_REQUIRE(m.raw.p == in + s.taken && m.raw.n >= 16 && m.raw.n <= end - s.taken);
            write_back(&m);
            s.taken += m.raw.n;
            s.messages++;
        }
        GW_REQUIRE(res == EVENTSTREAM_BAD || end - s.taken <= MAX_BYTES);
    }
    s.fault = r.fault;
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t n = size - 1;
    char *in = malloc(n);
    GW_REQUIRE(in != NULL);
    memcpy(in, data + 1, n);
    if (data[0] & 1)
        mend(in, n);
    struct story whole = run(in, n, n), cut = run(in, n, 1 + data[0] % 17);
    GW_REQUIRE(whole.messages == cut.messages && whole.taken == cut.taken &&
               whole.fault == cut.fault);
    free(in);
    return 0;
}
