/*
 * eventstream.c: see eventstream.h.
 */
#include "tests/mockllm/eventstream.h"

#include "tests/mockllm/gzip.h"

#include <string.h>

static void add_be(struct bytes *out, uint32_t v, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        char b = (char)(v >> (8 * i));
        bytes_add(out, &b, 1);
    }
}

/* Of type 7: a string. */
static void add_header(struct bytes *out, const char *name, const char *value)
{
    add_be(out, (uint32_t)strlen(name), 1);
    bytes_adds(out, name);
    add_be(out, 7, 1);
    add_be(out, (uint32_t)strlen(value), 2);
    bytes_adds(out, value);
}

void eventstream_add(struct bytes *out, const char *type, bool exception, struct slice payload)
{
    struct bytes headers = {0};
    size_t start = out->len;
    add_header(&headers, exception ? ":exception-type" : ":event-type", type);
    add_header(&headers, ":content-type", "application/json");
    add_header(&headers, ":message-type", exception ? "exception" : "event");
    add_be(out, (uint32_t)(16 + headers.len + payload.len), 4);
    add_be(out, (uint32_t)headers.len, 4);
    add_be(out, gzip_crc32((struct slice){out->p + start, 8}), 4);
    bytes_add_slice(out, bytes_slice(&headers));
    bytes_add_slice(out, payload);
    add_be(out, gzip_crc32((struct slice){out->p + start, out->len - start}), 4);
    bytes_fini(&headers);
}
