/*
 * gzip.c: see gzip.h.
 */
#include "tests/mockllm/gzip.h"

uint32_t gzip_crc32(struct slice data)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < data.len; i++) {
        crc ^= (unsigned char)data.p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void add_le(struct bytes *out, uint32_t v, int width)
{
    for (int i = 0; i < width; i++) {
        char b = (char)(v >> (8 * i));
        bytes_add(out, &b, 1);
    }
}

void gzip_store(struct bytes *out, struct slice data)
{
    struct slice rest = data;
    bytes_add(out, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
    do {
        uint32_t n = rest.len < 65535 ? (uint32_t)rest.len : 65535;
        add_le(out, n == rest.len, 1);
        add_le(out, n, 2);
        add_le(out, ~n & 0xffff, 2);
        bytes_add(out, rest.p, n);
        rest.p += n;
        rest.len -= n;
    } while (rest.len > 0);
    add_le(out, gzip_crc32(data), 4);
    add_le(out, (uint32_t)data.len, 4);
}
