/* CRC-32 of IEEE 802.3, reflected, as zlib and Python's binascii.crc32() have it. */
#ifndef EDGEQ_RUNTIME_CHECKSUM_H
#define EDGEQ_RUNTIME_CHECKSUM_H

#include <stdint.h>

#define CHECKSUM_START UINT32_C(0xFFFFFFFF)

/* The running value with one more byte; begin with CHECKSUM_START. */
uint32_t checksum_add(uint32_t running, uint8_t byte);

/* The CRC of what has been added. */
uint32_t checksum_end(uint32_t running);

#endif
