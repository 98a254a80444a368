/*
 * test_eventstream.c: frames of application/vnd.amazon.eventstream, good, corrupt and cut anywhere.
 *
 * The vectors are those that Amazon's SDKs share: aws-c-event-stream
 * tests/message_deserializer_test.c, aws-sdk-go-v2 aws/protocol/eventstream/testdata, aws-sdk-js-v3
 * eventstream-marshaller TestVectors.fixture.ts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>

#include "common/crc32.h"
#include "common/crypto.h"
#include "gatewayd/http/eventstream.h"

enum { FRAME_MAX = 1024 };

static size_t from_hex(const char *hex, char *out)
{
    size_t n = strlen(hex) / 2;
    assert_true(n <= FRAME_MAX);
    assert_int_equal(crypto_unhex(slice_str(hex), out, n), 0);
    return n;
}

/* "name=type:value," a header, then the payload. */
static void tell(struct buf *out, const struct eventstream_message *m)
{
    struct eventstream_header h;
    struct slice rest = m->headers;
    char hex[2 * FRAME_MAX + 1];
    int more;
    while ((more = eventstream_next_header(&rest, &h)) > 0) {
        assert_int_equal(buf_printf(out, "%.*s=%d:", SLICE_FMT(h.name), (int)h.type), 0);
        if (h.type == EVENTSTREAM_STRING)
            assert_int_equal(buf_append(out, h.value.p, h.value.n), 0);
        else if (h.value.p) {
            crypto_hex(h.value.p, h.value.n, hex);
            assert_int_equal(buf_printf(out, "%s", hex), 0);
        } else
            assert_int_equal(buf_printf(out, "%" PRId64, h.number), 0);
        assert_int_equal(buf_append(out, ",", 1), 0);
    }
    assert_int_equal(more, 0);
    assert_int_equal(buf_append(out, m->payload.p, m->payload.n), 0);
    assert_int_equal(buf_append(out, ";", 1), 0);
}

/* Feeds `in` in pieces of `step` bytes from memory of exactly their size. */
static enum eventstream_fault run(const char *in, size_t n, size_t step, size_t max,
                                  struct buf *story)
{
    struct eventstream_reader r;
    struct eventstream_message m;
    enum eventstream_result res;
    size_t start = 0;
    eventstream_reader_init(&r, max);
    for (size_t end = 0; end < n;) {
        end = GW_MIN(end + step, n);
        do {
            size_t have = end - start;
            char *copy = malloc(have ? have : 1);
            memcpy(copy, in + start, have);
            res = eventstream_reader_next(&r, copy, have, &m);
            if (res == EVENTSTREAM_MESSAGE) {
                tell(story, &m);
                start += m.raw.n;
            }
            free(copy);
        } while (res == EVENTSTREAM_MESSAGE);
        if (res == EVENTSTREAM_BAD) {
            assert_int_not_equal(r.fault, EVENTSTREAM_FAULT_NONE);
            assert_int_equal(eventstream_reader_next(&r, in, n, &m), EVENTSTREAM_BAD);
            return r.fault;
        }
    }
    if (start < n)
        assert_int_equal(buf_append(story, "...", 3), 0);
    return EVENTSTREAM_FAULT_NONE;
}

#define ONE_STRING                                                                                 \
    "0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e"     \
    "7b27666f6f273a27626172277d8d9c08b1"

static void published_vectors(void **state)
{
    static const struct {
        const char *name, *hex, *story;
        enum eventstream_fault fault;
    } rows[] = {
        {"empty_message", "000000100000000005c248eb7d98c8ff", ";", EVENTSTREAM_FAULT_NONE},
        {"int32_header",
         "0000002d0000001041c424b80a6576656e742d74797065040000a00c7b27666f6f273a27626172277d36f480a"
         "0",
         "event-type=4:40972,{'foo':'bar'};", EVENTSTREAM_FAULT_NONE},
        {"payload_no_headers", "0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936",
         "{'foo':'bar'};", EVENTSTREAM_FAULT_NONE},
        {"payload_one_str_header", ONE_STRING, "content-type=7:application/json,{'foo':'bar'};",
         EVENTSTREAM_FAULT_NONE},
        {"two messages", "000000100000000005c248eb7d98c8ff" ONE_STRING,
         ";content-type=7:application/json,{'foo':'bar'};", EVENTSTREAM_FAULT_NONE},
        {"corrupted_headers",
         "0000003d0000002007fd83960c636f6e74656e742b747970650700106170706c69636174696f6e2f6a736f6e"
         "7b27666f6f273a27626172277d8d9c08b1",
         "", EVENTSTREAM_FAULT_MESSAGE_CRC},
        {"corrupted_header_len",
         "0000003d0000012007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e"
         "7b27666f6f273a27626172277d8d9c08b1",
         "", EVENTSTREAM_FAULT_PRELUDE_CRC},
        {"corrupted_length", "0100001d00000000fd528c5a7b27666f6f273a27626172277dc3653936", "",
         EVENTSTREAM_FAULT_PRELUDE_CRC},
        {"corrupted_payload", "0000001d00000000fd528c5a7b27666f6f273a27626172278dc3653936", "",
         EVENTSTREAM_FAULT_MESSAGE_CRC},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char in[FRAME_MAX];
        size_t n = from_hex(rows[i].hex, in);
        for (size_t step = 1; step <= n + 1; step++) {
            struct buf story;
            buf_init(&story, 1 << 16);
            assert_int_equal(buf_reserve(&story, 1), 0);
            enum eventstream_fault fault = run(in, n, step, EVENTSTREAM_MAX_MESSAGE_BYTES, &story);
            if (fault != rows[i].fault || !slice_eq_str(buf_slice(&story), rows[i].story))
                fail_msg("%s, step %zu: %s, %.*s", rows[i].name, step,
                         eventstream_fault_text(fault), SLICE_FMT(buf_slice(&story)));
            buf_release(&story);
        }
    }
}

static void put32(char *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(v >> (24 - 8 * i));
}

static uint32_t get32(const char *at)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 8 | (uint8_t)at[i];
    return v;
}

/* testdata/decoded/positive/all_headers tells the lengths and checksums of the frame. */
static void all_header_types(void **state)
{
    static const struct eventstream_header headers[] = {
        {SLICE_LIT("event-type"), EVENTSTREAM_INT32, 40972, {NULL, 0}},
        {SLICE_LIT("content-type"), EVENTSTREAM_STRING, 0, SLICE_LIT("application/json")},
        {SLICE_LIT("bool false"), EVENTSTREAM_FALSE, 0, {NULL, 0}},
        {SLICE_LIT("bool true"), EVENTSTREAM_TRUE, 1, {NULL, 0}},
        {SLICE_LIT("byte"), EVENTSTREAM_BYTE, -49, {NULL, 0}},
        {SLICE_LIT("byte buf"), EVENTSTREAM_BYTES, 0, SLICE_LIT("I'm a little teapot!")},
        {SLICE_LIT("timestamp"), EVENTSTREAM_TIMESTAMP, 8675309, {NULL, 0}},
        {SLICE_LIT("int16"), EVENTSTREAM_INT16, 42, {NULL, 0}},
        {SLICE_LIT("int64"), EVENTSTREAM_INT64, 42424242, {NULL, 0}},
        {SLICE_LIT("uuid"), EVENTSTREAM_UUID, 0,
         SLICE_LIT("\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20")},
    };
    struct eventstream_reader r;
    struct eventstream_message m;
    struct buf out, story;
    buf_init(&out, 4096);
    buf_init(&story, 4096);
    assert_int_equal(
        eventstream_write(&out, headers, ARRAY_LEN(headers), SLICE_LIT("{'foo':'bar'}")), 0);
    assert_int_equal(out.len, 204);
    assert_int_equal(get32(out.data), 204);
    assert_int_equal(get32(out.data + 4), 175);
    assert_int_equal(get32(out.data + 8), 263087306);
    assert_int_equal((int32_t)get32(out.data + 200), -1415188212);

    eventstream_reader_init(&r, EVENTSTREAM_MAX_MESSAGE_BYTES);
    assert_int_equal(eventstream_reader_next(&r, out.data, out.len, &m), EVENTSTREAM_MESSAGE);
    tell(&story, &m);
    assert_true(slice_eq_str(
        buf_slice(&story),
        "event-type=4:40972,content-type=7:application/json,bool false=1:0,bool true=0:1,"
        "byte=2:-49,byte buf=6:49276d2061206c6974746c6520746561706f7421,timestamp=8:8675309,"
        "int16=3:42,int64=5:42424242,uuid=9:0102030405060708090a0b0c0d0e0f10,{'foo':'bar'};"));
    buf_release(&story);
    buf_release(&out);
}

/* A frame around raw header bytes, its checksums right. */
static size_t frame(char *out, const char *headers, size_t n, uint32_t claimed_headers,
                    uint32_t claimed_total)
{
    size_t total = n + 16;
    put32(out, claimed_total ? claimed_total : (uint32_t)total);
    put32(out + 4, claimed_headers);
    put32(out + 8, crc32_update(0, out, 8));
    memcpy(out + 12, headers, n);
    put32(out + 12 + n, crc32_update(0, out, 12 + n));
    return total;
}

static void bad_headers_and_lengths(void **state)
{
#define RAW(lit) lit, sizeof(lit) - 1, sizeof(lit) - 1, 0
    static const struct {
        const char *name, *headers;
        size_t n;
        uint32_t claimed_headers, claimed_total;
        enum eventstream_fault fault;
    } rows[] = {
        {"good", RAW("\1a\0\1b\1"), EVENTSTREAM_FAULT_NONE},
        {"no name", RAW("\0\0"), EVENTSTREAM_FAULT_HEADER},
        {"name beyond the headers", RAW("\5abc"), EVENTSTREAM_FAULT_HEADER},
        {"no type", RAW("\1a"), EVENTSTREAM_FAULT_HEADER},
        {"type 10", RAW("\1a\12"), EVENTSTREAM_FAULT_HEADER},
        {"type 255", RAW("\1a\377"), EVENTSTREAM_FAULT_HEADER},
        {"half a number", RAW("\1a\4\0\0\0"), EVENTSTREAM_FAULT_HEADER},
        {"half a length", RAW("\1a\7\0"), EVENTSTREAM_FAULT_HEADER},
        {"value beyond the headers", RAW("\1a\7\0\4abc"), EVENTSTREAM_FAULT_HEADER},
        {"half a UUID",
         RAW("\1a\11"
             "0123456789abcde"),
         EVENTSTREAM_FAULT_HEADER},
        {"name twice", RAW("\1a\0\1a\1"), EVENTSTREAM_FAULT_DUPLICATE},
        {"headers beyond the frame", "", 0, 1, 0, EVENTSTREAM_FAULT_LENGTH},
        {"headers of 4 GiB", "", 0, UINT32_MAX, 0, EVENTSTREAM_FAULT_LENGTH},
        {"total below the overhead", "", 0, 0, 15, EVENTSTREAM_FAULT_LENGTH},
        {"total above the cap", "", 0, 0, 257, EVENTSTREAM_FAULT_TOO_LARGE},
        {"total of 4 GiB", "", 0, 0, UINT32_MAX, EVENTSTREAM_FAULT_TOO_LARGE},
    };
#undef RAW
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char in[FRAME_MAX];
        size_t n =
            frame(in, rows[i].headers, rows[i].n, rows[i].claimed_headers, rows[i].claimed_total);
        for (size_t step = 1; step <= n + 1; step++) {
            struct buf story;
            buf_init(&story, 4096);
            enum eventstream_fault fault = run(in, n, step, 256, &story);
            if (fault != rows[i].fault)
                fail_msg("%s: %s", rows[i].name, eventstream_fault_text(fault));
            buf_release(&story);
        }
    }
}

/* A prelude alone is enough to refuse: nothing is waited for. */
static void a_bad_length_is_refused_at_once(void **state)
{
    char in[FRAME_MAX];
    struct eventstream_reader r;
    struct eventstream_message m;
    frame(in, "", 0, 0, 1 << 21);
    eventstream_reader_init(&r, EVENTSTREAM_MAX_MESSAGE_BYTES);
    assert_int_equal(eventstream_reader_next(&r, in, 11, &m), EVENTSTREAM_MORE);
    assert_int_equal(eventstream_reader_next(&r, in, 12, &m), EVENTSTREAM_BAD);
    assert_int_equal(r.fault, EVENTSTREAM_FAULT_TOO_LARGE);
}

static void every_flipped_bit_is_seen(void **state)
{
    char in[FRAME_MAX];
    size_t n = from_hex(ONE_STRING, in);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        struct buf story;
        buf_init(&story, 4096);
        in[bit / 8] = (char)(in[bit / 8] ^ 1 << bit % 8);
        if (run(in, n, n, EVENTSTREAM_MAX_MESSAGE_BYTES, &story) == EVENTSTREAM_FAULT_NONE)
            fail_msg("bit %zu", bit);
        in[bit / 8] = (char)(in[bit / 8] ^ 1 << bit % 8);
        buf_release(&story);
    }
}

static void events_and_exceptions(void **state)
{
    struct eventstream_reader r;
    struct eventstream_message m;
    struct eventstream_frame f;
    struct buf out;
    char word[64];
    buf_init(&out, 4096);
    assert_int_equal(eventstream_begin_event(&out, SLICE_LIT("messageStart"), &f), 0);
    assert_int_equal(buf_append(&out, "{\"role\":\"assistant\"}", 20), 0);
    assert_int_equal(eventstream_end(&out, &f), 0);
    assert_int_equal(eventstream_begin_exception(&out, SLICE_LIT("throttlingException"), &f), 0);
    assert_int_equal(eventstream_end(&out, &f), 0);

    eventstream_reader_init(&r, EVENTSTREAM_MAX_MESSAGE_BYTES);
    assert_int_equal(eventstream_reader_next(&r, out.data, out.len, &m), EVENTSTREAM_MESSAGE);
    assert_true(slice_eq_str(m.message_type, "event"));
    assert_true(slice_eq_str(m.event_type, "messageStart"));
    assert_true(slice_eq_str(m.content_type, "application/json"));
    assert_true(slice_eq_str(m.payload, "{\"role\":\"assistant\"}"));
    assert_null(m.exception_type.p);
    assert_true(slice_eq_str(eventstream_event_type(&m, word, sizeof word), "messageStart"));
    buf_consume(&out, m.raw.n);
    assert_int_equal(eventstream_reader_next(&r, out.data, out.len, &m), EVENTSTREAM_MESSAGE);
    assert_true(slice_eq_str(m.message_type, "exception"));
    assert_true(slice_eq_str(m.exception_type, "throttlingException"));
    assert_null(m.event_type.p);
    assert_int_equal(m.payload.n, 0);
    assert_true(slice_eq_str(eventstream_event_type(&m, word, sizeof word),
                             "exception:throttlingException"));
    assert_null(eventstream_event_type(&m, word, 28).p);
    m.message_type = SLICE_LIT("error");
    m.error_code = SLICE_LIT("500");
    assert_true(slice_eq_str(eventstream_event_type(&m, word, sizeof word), "error:500"));
    assert_int_equal(m.raw.n, out.len);
    buf_release(&out);
}

static void what_cannot_be_written_leaves_no_trace(void **state)
{
    char big[40000] = {0};
    struct eventstream_header string = {.name = SLICE_LIT("a"), .type = EVENTSTREAM_STRING};
    struct buf out, small;
    buf_init(&out, 1 << 20);
    buf_init(&small, 40);
    assert_int_equal(buf_append(&out, "before", 6), 0);
    string.value = slice_of(big, 32768);
    assert_int_equal(eventstream_write(&out, &string, 1, SLICE_LIT("")), -1);
    string.value = slice_of(big, 3);
    string.name = slice_of(big, 256);
    assert_int_equal(eventstream_write(&out, &string, 1, SLICE_LIT("")), -1);
    string.name.n = 0;
    assert_int_equal(eventstream_write(&out, &string, 1, SLICE_LIT("")), -1);
    string = (struct eventstream_header){.name = SLICE_LIT("a"), .type = EVENTSTREAM_UUID};
    string.value = slice_of(big, 15);
    assert_int_equal(eventstream_write(&out, &string, 1, SLICE_LIT("")), -1);
    assert_true(slice_eq_str(buf_slice(&out), "before"));
    for (size_t n = 25; n < 60; n++)
        assert_int_equal(eventstream_write(&small, NULL, 0, slice_of(big, n)), -1);
    assert_int_equal(small.len, 0);
    assert_int_equal(eventstream_write(&small, NULL, 0, slice_of(big, 24)), 0);
    assert_int_equal(small.len, 40);
    buf_release(&small);
    buf_release(&out);
}

/* The check value of CRC-32/ISO-HDLC, and every length and alignment against bit by bit. */
static void crc32_is_right(void **state)
{
    char text[64];
    assert_int_equal(crc32_update(0, "123456789", 9), 0xcbf43926);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 37 + 11);
    for (size_t from = 0; from < 16; from++)
        for (size_t n = 0; from + n <= sizeof text; n++) {
            uint32_t crc = 0xffffffff;
            for (size_t i = 0; i < n; i++) {
                crc ^= (uint8_t)text[from + i];
                for (int bit = 0; bit < 8; bit++)
                    crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
            }
            assert_int_equal(crc32_update(0, text + from, n), ~crc);
            uint32_t half = crc32_update(0, text + from, n / 2);
            assert_int_equal(crc32_update(half, text + from + n / 2, n - n / 2), ~crc);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(all_header_types),
        cmocka_unit_test(bad_headers_and_lengths),
        cmocka_unit_test(a_bad_length_is_refused_at_once),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(events_and_exceptions),
        cmocka_unit_test(what_cannot_be_written_leaves_no_trace),
        cmocka_unit_test(crc32_is_right),
    };
    return cmocka_run_group_tests_name("eventstream", tests, NULL, NULL);
}
