/*
 * eventstream.c: see eventstream.h.
 */
#include "gatewayd/http/eventstream.h"

#include "common/crc32.h"

enum {
    PRELUDE_BYTES = 12,
    CRC_BYTES = 4,
    MAX_NAME_BYTES = 255,
    MAX_VALUE_BYTES = 32767,
    /* Names are compared pair by pair, so there is a cap. Amazon's services send about four. */
    MAX_HEADERS = 64,
};

const char *eventstream_fault_text(enum eventstream_fault f)
{
    static const char *const texts[] = {
#define X(name, text) text,
        EVENTSTREAM_FAULTS(X)
#undef X
    };
    return (size_t)f < ARRAY_LEN(texts) ? texts[f] : "unknown";
}

/* ---- numbers ---- */

static uint64_t get(const char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | (uint8_t)p[i];
    return v;
}

static void put(char *p, size_t n, uint64_t v)
{
    for (size_t i = n; i-- > 0; v >>= 8)
        p[i] = (char)v;
}

static uint32_t get32(const char *p)
{
    return (uint32_t)get(p, 4);
}

/* ---- reading ---- */

/* Bytes of a value that is a number. */
static size_t number_bytes(enum eventstream_type type)
{
    switch (type) {
    case EVENTSTREAM_BYTE:
        return 1;
    case EVENTSTREAM_INT16:
        return 2;
    case EVENTSTREAM_INT32:
        return 4;
    case EVENTSTREAM_INT64:
    case EVENTSTREAM_TIMESTAMP:
        return 8;
    default:
        return 0;
    }
}

static bool take(struct slice *rest, size_t n, struct slice *out)
{
    if (rest->n < n)
        return false;
    *out = slice_of(rest->p, n);
    *rest = slice_of(rest->p + n, rest->n - n);
    return true;
}

/* Two's complement of n bytes. */
static int64_t to_signed(const char *p, size_t n)
{
    unsigned unused_bits = 64 - 8 * (unsigned)n;
    return (int64_t)(get(p, n) << unused_bits) >> unused_bits;
}

static bool take_value(struct slice *rest, struct eventstream_header *h)
{
    struct slice field;
    size_t n = number_bytes(h->type);
    h->number = h->type == EVENTSTREAM_TRUE;
    h->value = slice_of(NULL, 0);
    switch (h->type) {
    case EVENTSTREAM_TRUE:
    case EVENTSTREAM_FALSE:
        return true;
    case EVENTSTREAM_BYTES:
    case EVENTSTREAM_STRING:
        if (!take(rest, 2, &field))
            return false;
        n = (size_t)get(field.p, 2);
        return n <= MAX_VALUE_BYTES && take(rest, n, &h->value);
    case EVENTSTREAM_UUID:
        return take(rest, 16, &h->value);
    default:
        if (n == 0 || !take(rest, n, &field))
            return false;
        h->number = to_signed(field.p, n);
        return true;
    }
}

int eventstream_next_header(struct slice *rest, struct eventstream_header *h)
{
    struct slice field;
    if (rest->n == 0)
        return 0;
    if (!take(rest, 1, &field))
        return -1;
    size_t name_bytes = (uint8_t)field.p[0];
    if (name_bytes == 0 || !take(rest, name_bytes, &h->name) || !take(rest, 1, &field))
        return -1;
    h->type = (enum eventstream_type)(uint8_t)field.p[0];
    return take_value(rest, h) ? 1 : -1;
}

static void note_header(struct eventstream_message *m, const struct eventstream_header *h)
{
    static const struct {
        struct slice name;
        size_t at;
    } known[] = {
#define KNOWN(lit, member) {{lit, sizeof(lit) - 1}, offsetof(struct eventstream_message, member)}
        KNOWN(":message-type", message_type),     KNOWN(":event-type", event_type),
        KNOWN(":exception-type", exception_type), KNOWN(":error-code", error_code),
        KNOWN(":error-message", error_message),   KNOWN(":content-type", content_type),
#undef KNOWN
    };
    if (h->type != EVENTSTREAM_STRING)
        return;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (slice_eq(h->name, known[i].name))
            *(struct slice *)((char *)m + known[i].at) = h->value;
}

static enum eventstream_fault read_headers(struct eventstream_message *m)
{
    struct slice names[MAX_HEADERS], rest = m->headers;
    struct eventstream_header h;
    size_t n = 0;
    int more;
    while ((more = eventstream_next_header(&rest, &h)) > 0) {
        if (n == MAX_HEADERS)
            return EVENTSTREAM_FAULT_HEADER;
        for (size_t i = 0; i < n; i++)
            if (slice_eq(names[i], h.name))
                return EVENTSTREAM_FAULT_DUPLICATE;
        names[n++] = h.name;
        note_header(m, &h);
    }
    return more < 0 ? EVENTSTREAM_FAULT_HEADER : EVENTSTREAM_FAULT_NONE;
}

static enum eventstream_fault check_prelude(const struct eventstream_reader *r, const char *buf)
{
    uint32_t total = get32(buf), headers = get32(buf + 4);
    if (crc32_update(0, buf, 8) != get32(buf + 8))
        return EVENTSTREAM_FAULT_PRELUDE_CRC;
    if (total < EVENTSTREAM_OVERHEAD_BYTES || headers > total - EVENTSTREAM_OVERHEAD_BYTES)
        return EVENTSTREAM_FAULT_LENGTH;
    if (total > r->max_message_bytes || headers > EVENTSTREAM_MAX_HEADERS_BYTES)
        return EVENTSTREAM_FAULT_TOO_LARGE;
    return EVENTSTREAM_FAULT_NONE;
}

static enum eventstream_fault read_message(const char *buf, size_t total,
                                           struct eventstream_message *m)
{
    size_t headers = get32(buf + 4), payload = PRELUDE_BYTES + headers;
    if (crc32_update(0, buf, total - CRC_BYTES) != get32(buf + total - CRC_BYTES))
        return EVENTSTREAM_FAULT_MESSAGE_CRC;
    *m = (struct eventstream_message){
        .raw = {buf, total},
        .headers = {buf + PRELUDE_BYTES, headers},
        .payload = {buf + payload, total - CRC_BYTES - payload},
    };
    return read_headers(m);
}

void eventstream_reader_init(struct eventstream_reader *r, size_t max_message_bytes)
{
    *r = (struct eventstream_reader){.max_message_bytes =
                                         GW_MIN(max_message_bytes, EVENTSTREAM_LIMIT_BYTES)};
}

enum eventstream_result eventstream_reader_next(struct eventstream_reader *r, const char *buf,
                                                size_t len, struct eventstream_message *m)
{
    if (r->fault != EVENTSTREAM_FAULT_NONE)
        return EVENTSTREAM_BAD;
    if (r->total_bytes == 0) {
        if (len < PRELUDE_BYTES)
            return EVENTSTREAM_MORE;
        r->fault = check_prelude(r, buf);
        if (r->fault != EVENTSTREAM_FAULT_NONE)
            return EVENTSTREAM_BAD;
        r->total_bytes = get32(buf);
    }
    if (len < r->total_bytes)
        return EVENTSTREAM_MORE;
    r->fault = read_message(buf, r->total_bytes, m);
    r->total_bytes = 0;
    return r->fault == EVENTSTREAM_FAULT_NONE ? EVENTSTREAM_MESSAGE : EVENTSTREAM_BAD;
}

static struct slice prefixed(struct slice prefix, struct slice name, char *scratch, size_t cap)
{
    if (prefix.n + name.n > cap)
        return slice_of(NULL, 0);
    memcpy(scratch, prefix.p, prefix.n);
    if (name.n)
        memcpy(scratch + prefix.n, name.p, name.n);
    return slice_of(scratch, prefix.n + name.n);
}

struct slice eventstream_event_type(const struct eventstream_message *m, char *scratch, size_t cap)
{
    if (slice_eq_str(m->message_type, "exception"))
        return prefixed(SLICE_LIT("exception:"), m->exception_type, scratch, cap);
    if (slice_eq_str(m->message_type, "error"))
        return prefixed(SLICE_LIT("error:"), m->error_code, scratch, cap);
    return m->event_type.p ? m->event_type : SLICE_LIT("");
}

/* ---- writing ---- */

static int append_number(struct buf *out, uint64_t v, size_t n)
{
    char bytes[8];
    put(bytes, n, v);
    return buf_append(out, bytes, n);
}

static int append_value(struct buf *out, const struct eventstream_header *h)
{
    switch (h->type) {
    case EVENTSTREAM_TRUE:
    case EVENTSTREAM_FALSE:
        return 0;
    case EVENTSTREAM_BYTES:
    case EVENTSTREAM_STRING:
        if (h->value.n > MAX_VALUE_BYTES || append_number(out, h->value.n, 2) < 0)
            return -1;
        return buf_append(out, h->value.p, h->value.n);
    case EVENTSTREAM_UUID:
        return h->value.n == 16 ? buf_append(out, h->value.p, 16) : -1;
    default:
        return append_number(out, (uint64_t)h->number, number_bytes(h->type));
    }
}

static int append_header(struct buf *out, const struct eventstream_header *h)
{
    if (h->name.n == 0 || h->name.n > MAX_NAME_BYTES || append_number(out, h->name.n, 1) < 0 ||
        buf_append(out, h->name.p, h->name.n) < 0 || append_number(out, h->type, 1) < 0)
        return -1;
    return append_value(out, h);
}

int eventstream_begin(struct buf *out, const struct eventstream_header *headers, size_t n_headers,
                      struct eventstream_frame *f)
{
    static const char prelude[PRELUDE_BYTES];
    f->start = out->len;
    if (buf_append(out, prelude, sizeof prelude) < 0)
        goto fail;
    for (size_t i = 0; i < n_headers; i++)
        if (append_header(out, &headers[i]) < 0)
            goto fail;
    f->headers_end = out->len;
    if (f->headers_end - f->start - PRELUDE_BYTES > EVENTSTREAM_MAX_HEADERS_BYTES)
        goto fail;
    return 0;
fail:
    out->len = f->start;
    return -1;
}

int eventstream_end(struct buf *out, const struct eventstream_frame *f)
{
    size_t total = out->len - f->start + CRC_BYTES;
    char *prelude = out->data + f->start;
    if (total > EVENTSTREAM_LIMIT_BYTES)
        goto fail;
    put(prelude, 4, total);
    put(prelude + 4, 4, f->headers_end - f->start - PRELUDE_BYTES);
    put(prelude + 8, 4, crc32_update(0, prelude, 8));
    if (append_number(out, crc32_update(0, prelude, total - CRC_BYTES), CRC_BYTES) < 0)
        goto fail;
    return 0;
fail:
    out->len = f->start;
    return -1;
}

int eventstream_write(struct buf *out, const struct eventstream_header *headers, size_t n_headers,
                      struct slice payload)
{
    struct eventstream_frame f;
    if (eventstream_begin(out, headers, n_headers, &f) < 0)
        return -1;
    if (buf_append(out, payload.p, payload.n) < 0) {
        out->len = f.start;
        return -1;
    }
    return eventstream_end(out, &f);
}

static int begin_json(struct buf *out, struct slice type_name, struct slice type,
                      struct slice message_type, struct eventstream_frame *f)
{
    struct eventstream_header headers[] = {
        {.name = type_name, .type = EVENTSTREAM_STRING, .value = type},
        {.name = SLICE_LIT(":content-type"),
         .type = EVENTSTREAM_STRING,
         .value = SLICE_LIT("application/json")},
        {.name = SLICE_LIT(":message-type"), .type = EVENTSTREAM_STRING, .value = message_type},
    };
    return eventstream_begin(out, headers, ARRAY_LEN(headers), f);
}

int eventstream_begin_event(struct buf *out, struct slice event_type, struct eventstream_frame *f)
{
    return begin_json(out, SLICE_LIT(":event-type"), event_type, SLICE_LIT("event"), f);
}

int eventstream_begin_exception(struct buf *out, struct slice exception_type,
                                struct eventstream_frame *f)
{
    return begin_json(out, SLICE_LIT(":exception-type"), exception_type, SLICE_LIT("exception"), f);
}
