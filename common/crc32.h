/*
 * crc32.h: the CRC-32 of IEEE 802.3 (reflected polynomial 0xedb88320), as gzip, PNG and Amazon's
 * event streams use it.
 */
#ifndef GW_COMMON_CRC32_H
#define GW_COMMON_CRC32_H

#include "common/base.h"

/* The checksum of n more bytes behind those whose checksum is `crc`; 0 begins. */
uint32_t crc32_update(uint32_t crc, const void *p, size_t n);

#endif
