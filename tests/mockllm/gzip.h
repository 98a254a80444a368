/*
 * gzip.h: gzip without compression, so that the mock needs no zlib.
 */
#ifndef MOCKLLM_GZIP_H
#define MOCKLLM_GZIP_H

#include "tests/mockllm/bytes.h"

/* A gzip member (RFC 1952) of stored deflate blocks (RFC 1951 §3.2.4). */
void gzip_store(struct bytes *out, struct slice data);
/* The CRC-32 in its trailer. */
uint32_t gzip_crc32(struct slice data);

#endif
