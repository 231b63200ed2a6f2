"""What edgeq's own commands add to the wire: answers with a checksum, and inputs as bytes instead of digits.

The device's side is firmware_templates/runtime/frame.h and edgeq.c. CRCs are CRC-32 as zlib has it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

# Bytes of input in one frame: long beside the 40 characters around it, short beside what is lost with it.
FRAME_BYTES = 1024
_ESCAPE, _FLIP = 0x7D, 0x20
# What doesn't go over the wire as it is: '%' closes a frame and '}' escapes; XON, XOFF and line ends are taken out or
# changed by terminals, and by servers of remote ports that weren't set to raw.
_SPECIAL = frozenset(b"%}\x11\x13\r\n")
_SUM = re.compile(r"m-edgeq-sum-\[([^,\]]*),([0-9a-f]{8})\]")
SUM_PREFIX = "m-edgeq-sum-["


@dataclass(frozen=True)
class Frame:
    """A piece of the input buffer, on its way.

    Attributes:
        command: what announces it, without the closing `%`.
        body: escaped, with the closing `%`.
        answer: the line that says that it has arrived whole.
    """

    offset: int
    count: int
    command: str
    body: bytes
    answer: str


def frames(data: bytes, size: int = FRAME_BYTES) -> Iterator[Frame]:
    """All of `data` in frames of at most `size` bytes, in order."""
    for offset in range(0, len(data), size):
        yield frame(offset, data[offset : offset + size])


def frame(offset: int, data: bytes) -> Frame:
    """One piece. Its CRC is that of offset and count too, so that it can't arrive at another place."""
    place = offset.to_bytes(4, "little") + len(data).to_bytes(4, "little")
    crc = zlib.crc32(place + data)
    return Frame(
        offset,
        len(data),
        f"edgeq put {offset} {len(data)} {crc:08x}",
        escape(data) + b"%",
        f"m-edgeq-put-[{offset},{len(data)}]",
    )


def escape(data: bytes) -> bytes:
    """Bytes as they go over the wire inside a frame."""
    return b"".join(bytes((_ESCAPE, b ^ _FLIP)) if b in _SPECIAL else bytes((b,)) for b in data)


def tagged(text: str, number: int) -> str:
    """A command whose answer is to end with a sum. The tag tells answers to equal commands apart."""
    return f"{text} #{number % 4096:x}"


def believed(command: str, lines: tuple[str, ...]) -> tuple[str, ...] | None:
    """The lines of an answer without its sum; None where the sum is missing or isn't theirs.

    Args:
        command: as it was sent, with its tag.
        lines: as they came.
    """
    if not lines:
        return None
    *rest, last = lines
    found = _SUM.fullmatch(last)
    if found is None or found[1] != command.rpartition("#")[2]:
        return None
    said = command + "".join(f"{line}\r\n" for line in rest)
    return tuple(rest) if zlib.crc32(said.encode("ascii", "replace")) == int(found[2], 16) else None
