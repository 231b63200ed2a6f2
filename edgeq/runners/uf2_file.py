"""UF2: a file of 512-byte blocks, each with its address (github.com/microsoft/uf2, README)."""

from __future__ import annotations

import struct

from edgeq.errors import InputFileError

BLOCK_BYTES, PAYLOAD_BYTES = 512, 256
_MAGIC, _MAGIC_2, _MAGIC_END = 0x0A32_4655, 0x9E5D_5157, 0x0AB1_6F30
_FAMILY_PRESENT, _NOT_FOR_FLASH = 0x2000, 0x0001
_HEADER = struct.Struct("<8I")


def encode(base: int, data: bytes, family_id: int) -> bytes:
    """The file for an image; the last block is filled up with 0xFF.

    Raises:
        InputFileError: the image doesn't start at a block's boundary.
    """
    if base % PAYLOAD_BYTES:
        raise InputFileError(
            f"starts at {base:#010x}, and a UF2 file is made of {PAYLOAD_BYTES} bytes at multiples of that",
            where="the image",
            next_step="link it to such an address",
        )
    count = -(-len(data) // PAYLOAD_BYTES)
    blocks = []
    for number in range(count):
        at = number * PAYLOAD_BYTES
        payload = data[at : at + PAYLOAD_BYTES].ljust(PAYLOAD_BYTES, b"\xff")
        header = _HEADER.pack(_MAGIC, _MAGIC_2, _FAMILY_PRESENT, base + at, PAYLOAD_BYTES, number, count, family_id)
        blocks.append(header + payload.ljust(476, b"\0") + struct.pack("<I", _MAGIC_END))
    return b"".join(blocks)


def decode(data: bytes) -> dict[int, bytes]:
    """Address → bytes of every block that is for the flash.

    Raises:
        InputFileError: a block that isn't one.
    """
    found: dict[int, bytes] = {}
    for start in range(0, len(data) - BLOCK_BYTES + 1, BLOCK_BYTES):
        magic, magic_2, flags, address, size, _, _, _ = _HEADER.unpack_from(data, start)
        (end,) = struct.unpack_from("<I", data, start + BLOCK_BYTES - 4)
        if (magic, magic_2, end) != (_MAGIC, _MAGIC_2, _MAGIC_END) or size > 476:
            raise InputFileError(
                f"is no UF2 file: block {start // BLOCK_BYTES} has other magic numbers",
                where="UF2",
                next_step="copy it again",
            )
        if not flags & _NOT_FOR_FLASH:
            found[address] = data[start + 32 : start + 32 + size]
    return found


def covered(blocks: dict[int, bytes], base: int, size: int) -> bytes | None:
    """`size` bytes from `base` on, None where blocks are missing."""
    out = bytearray()
    while len(out) < size:
        at = base + len(out)
        block = next(((a, b) for a, b in blocks.items() if a <= at < a + len(b)), None)
        if block is None:
            return None
        out += block[1][at - block[0] :]
    return bytes(out[:size])
