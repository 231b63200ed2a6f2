"""Which erasable pieces of a flash an image lies in."""

from __future__ import annotations

from itertools import accumulate

from edgeq.errors import UnsupportedError
from edgeq.target import Memory, Target


def flash_at(target: Target, address: int) -> Memory:
    """The flash that an address lies in, with nothing cut off it.

    Raises:
        UnsupportedError: none does.
    """
    for memory in (*target.soc.memory, *target.board.memory):
        if memory.kind == "flash" and memory.base <= address < memory.base + memory.size_bytes:
            return memory
    raise UnsupportedError(f"{target.name} has no flash at {address:#010x}", where=target.name)


def pieces(memory: Memory, address: int, size_bytes: int) -> range:
    """The numbers of the pages (or sectors) that hold `size_bytes` bytes from `address` on.

    Raises:
        UnsupportedError: the target's file doesn't say how large they are.
    """
    first, last = address - memory.base, address - memory.base + size_bytes - 1
    if memory.sector_bytes:
        ends = list(accumulate(memory.sector_bytes))
        numbers = [n for n, end in enumerate(ends) if end > first and end - memory.sector_bytes[n] <= last]
        return range(numbers[0], numbers[-1] + 1)
    if not memory.erase_bytes:
        raise UnsupportedError(
            f"it isn't known how large the pages of {memory.name} are", next_step="add erase_bytes to the target's file"
        )
    return range(first // memory.erase_bytes, last // memory.erase_bytes + 1)
