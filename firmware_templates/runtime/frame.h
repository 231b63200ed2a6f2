/* Bytes for the input buffer as they are, instead of two hexadecimal digits each: `edgeq put OFFSET COUNT CRC%` opens
 * a frame, which the next '%' closes.
 *
 * In a frame '}' means: the next byte, with bit 5 turned over. '%' and '}' themselves are sent so, and whatever else
 * the host thinks a link could swallow. So a '%' always closes a frame, however many bytes were lost, and a host that
 * has lost its place gets in step as with any other command.
 *
 * The CRC is that of OFFSET and COUNT, four bytes each with the lowest first, and of the bytes. What doesn't match is
 * left out of the buffer as far as `edgeq check` can tell: hosts ask for that when all frames are sent. */
#ifndef EDGEQ_RUNTIME_FRAME_H
#define EDGEQ_RUNTIME_FRAME_H

#include <stdint.h>

/* Take `count` bytes at `offset` of the input buffer next. 0 where they don't fit. */
int frame_begin(uint32_t offset, uint32_t count, uint32_t crc);

/* Whether what is received belongs to a frame. One that has been silent for a quarter of a second is given up: its
 * host is gone, and what comes now is a command. */
int frame_open(void);

/* A received byte. 1 when it closed the frame: the answer has been printed then, but for `m-ready`. */
int frame_byte(uint8_t byte);

#endif
