/*
 * crc32.c: eight bytes a step by eight tables (M. Kounavis, F. Berry: "A Systematic Approach to
 * Building High Performance Software-based CRC Generators", 2005). The tables are made before main
 * and never change.
 */
#include "common/crc32.h"

#include <endian.h>
#include <string.h>

/* tables[k][b]: the checksum of byte b followed by k zero bytes. */
static uint32_t tables[8][256];

__attribute__((constructor)) static void make_tables(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
        tables[0][b] = crc;
    }
    for (uint32_t b = 0; b < 256; b++)
        for (int k = 1; k < 8; k++)
            tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 0xff];
}

uint32_t crc32_update(uint32_t crc, const void *p, size_t n)
{
    const uint8_t *at = p;
    crc = ~crc;
    for (; n >= 8; n -= 8, at += 8) {
        uint64_t v;
        memcpy(&v, at, 8);
        v = le64toh(v) ^ crc;
        crc = tables[7][v & 0xff] ^ tables[6][v >> 8 & 0xff] ^ tables[5][v >> 16 & 0xff] ^
              tables[4][v >> 24 & 0xff] ^ tables[3][v >> 32 & 0xff] ^ tables[2][v >> 40 & 0xff] ^
              tables[1][v >> 48 & 0xff] ^ tables[0][v >> 56];
    }
    while (n--)
        crc = crc >> 8 ^ tables[0][(crc ^ *at++) & 0xff];
    return ~crc;
}
