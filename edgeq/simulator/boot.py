"""What a boot ROM does before it starts the flash's contents, where a chip has one that looks at them."""

from __future__ import annotations

SECOND_STAGE_BYTES = 256
_POLYNOMIAL = 0x04C1_1DB7


def second_stage_is_sound(stage: bytes) -> bool:
    """Whether the RP2040's boot ROM would start this second stage: the CRC-32 of its first 252 bytes, most significant
    bit first, from 0xFFFFFFFF on and without a final inversion, is in the last four (Datasheet section 2.8.1.3.1)."""
    crc = 0xFFFF_FFFF
    for byte in stage[: SECOND_STAGE_BYTES - 4]:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (_POLYNOMIAL if crc >> 31 else 0)) & 0xFFFF_FFFF
    return crc == int.from_bytes(stage[SECOND_STAGE_BYTES - 4 : SECOND_STAGE_BYTES], "little")
