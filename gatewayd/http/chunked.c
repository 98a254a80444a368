/*
 * chunked.c: the decoder's state machine. Framing goes byte by byte, data in spans.
 */
#include "gatewayd/http/chunked.h"

#include "gatewayd/http/rawhead.h"

enum state {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_START,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    DONE,
    BAD,
};

enum {
    MAX_SIZE_DIGITS = 8,
    MAX_TRAILER_BYTES = 8192,
};

/* Framing may be this much, plus so many times the data. A request in one-byte chunks costs five
 * bytes of framing each and is refused after 4096 of them; an upstream that streams single bytes is
 * odd but no attack. */
static const struct {
    uint32_t base_bytes, per_data_byte;
} framing_limits[] = {{16 << 10, 1}, {64 << 10, 16}};

void http_chunked_init(struct http_chunked *c, bool from_upstream)
{
    *c = (struct http_chunked){.state = SIZE, .from_upstream = from_upstream};
}

static enum state bad(struct http_chunked *c, const char *reason)
{
    c->reason = reason;
    return BAD;
}

static int hex_value(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    ch |= 0x20;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static enum state size_byte(struct http_chunked *c, char ch)
{
    int digit = hex_value(ch);
    if (digit >= 0) {
        if (c->n_digits == MAX_SIZE_DIGITS)
            return bad(c, "a chunk size of more than 8 digits");
        c->n_digits++;
        c->left = c->left << 4 | (uint32_t)digit;
        return SIZE;
    }
    if (c->n_digits == 0)
        return bad(c, "a chunk doesn't begin with its size");
    if (ch == '\r')
        return SIZE_LF;
    if (ch != ';' && ch != ' ' && ch != '\t')
        return bad(c, "a chunk size is not a hexadecimal number");
    return c->from_upstream ? EXTENSION : bad(c, "a chunk extension");
}

static enum state line_byte(struct http_chunked *c, char ch, enum state stay, enum state next)
{
    if (http_byte_is(ch, HTTP_BYTE_VALUE))
        return stay;
    return ch == '\r' ? next : bad(c, "a control character in a chunk extension or trailer");
}

static enum state trailer_start_byte(struct http_chunked *c, char ch)
{
    if (ch == '\r')
        return END_LF;
    return http_byte_is(ch, HTTP_BYTE_TOKEN) ? TRAILER_NAME : bad(c, "a malformed trailer");
}

static enum state trailer_name_byte(struct http_chunked *c, char ch)
{
    if (ch == ':')
        return TRAILER_VALUE;
    return http_byte_is(ch, HTTP_BYTE_TOKEN) ? TRAILER_NAME : bad(c, "a malformed trailer");
}

static enum state must_be(struct http_chunked *c, char ch, char wanted, enum state next)
{
    return ch == wanted ? next : bad(c, "a chunk doesn't end with CRLF where its size says");
}

static enum state next_chunk(struct http_chunked *c, char ch)
{
    c->left = 0;
    c->n_digits = 0;
    return must_be(c, ch, '\n', SIZE);
}

static enum state framing_byte(struct http_chunked *c, char ch)
{
    switch ((enum state)c->state) {
    case SIZE:
        return size_byte(c, ch);
    case EXTENSION:
        return line_byte(c, ch, EXTENSION, SIZE_LF);
    case SIZE_LF:
        return must_be(c, ch, '\n', c->left ? DATA : TRAILER_START);
    case DATA_CR:
        return must_be(c, ch, '\r', DATA_LF);
    case DATA_LF:
        return next_chunk(c, ch);
    case TRAILER_START:
        return trailer_start_byte(c, ch);
    case TRAILER_NAME:
        return trailer_name_byte(c, ch);
    case TRAILER_VALUE:
        return line_byte(c, ch, TRAILER_VALUE, TRAILER_LF);
    case TRAILER_LF:
        return must_be(c, ch, '\n', TRAILER_START);
    case END_LF:
        return must_be(c, ch, '\n', DONE);
    case DATA:
    case DONE:
    case BAD:
        break;
    }
    return bad(c, "an impossible state");
}

static bool too_much_framing(struct http_chunked *c)
{
    uint64_t max = framing_limits[c->from_upstream].base_bytes +
                   framing_limits[c->from_upstream].per_data_byte * c->data_bytes;
    if (++c->framing_bytes > max) {
        c->state = bad(c, "far more chunk framing than data");
        return true;
    }
    if (c->state >= TRAILER_START && ++c->trailer_bytes > MAX_TRAILER_BYTES) {
        c->state = bad(c, "trailers of more than 8 KiB");
        return true;
    }
    return false;
}

static enum http_body_step take_data(struct http_chunked *c, const char **p, const char *end,
                                     struct slice *data)
{
    *data = slice_of(*p, GW_MIN(c->left, (size_t)(end - *p)));
    *p += data->n;
    c->left -= (uint32_t)data->n;
    c->data_bytes += data->n;
    if (c->left == 0)
        c->state = DATA_CR;
    return HTTP_BODY_DATA;
}

enum http_body_step http_chunked_step(struct http_chunked *c, const char **p, const char *end,
                                      struct slice *data)
{
    for (;;) {
        if (c->state == DONE)
            return HTTP_BODY_END;
        if (c->state == BAD)
            return HTTP_BODY_BAD;
        if (*p == end)
            return HTTP_BODY_MORE;
        if (c->state == DATA)
            return take_data(c, p, end, data);
        if (too_much_framing(c))
            return HTTP_BODY_BAD;
        c->state = (uint8_t)framing_byte(c, **p);
        if (c->state != BAD)
            (*p)++;
    }
}

size_t http_chunk_header(char out[HTTP_CHUNK_HEADER_BYTES], size_t n_data)
{
    size_t n_digits = 1;
    for (size_t rest = n_data >> 4; rest; rest >>= 4)
        n_digits++;
    for (size_t i = n_digits; i-- > 0; n_data >>= 4)
        out[i] = "0123456789abcdef"[n_data & 15];
    out[n_digits] = '\r';
    out[n_digits + 1] = '\n';
    return n_digits + 2;
}
