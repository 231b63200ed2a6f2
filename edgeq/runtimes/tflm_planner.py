"""The plan that tflite-micro's GreedyMemoryPlanner makes of buffers with lifetimes.

Reimplemented from the rules in tensorflow/lite/micro/memory_planner/greedy_memory_planner.cc at the commit that
`targets/runtimes/tflm.toml` names: largest first, each at the lowest gap among those alive at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Lifetime:
    """One buffer to be placed.

    Attributes:
        size_bytes: already rounded up to the arena's alignment.
        first, last: the allocation scopes (0: the model's inputs, n: operator n - 1) that need it, both included.
    """

    size_bytes: int
    first: int
    last: int


def place(buffers: Sequence[Lifetime]) -> tuple[int, ...]:
    """The offset of each buffer, in the order given."""
    offsets = [0] * len(buffers)
    placed: list[tuple[int, int]] = []  # (offset, buffer), kept in the order of offsets
    for index in _by_size(buffers):
        wanted = buffers[index]
        offset = 0
        for start, other in placed:
            known = buffers[other]
            if known.first > wanted.last or wanted.first > known.last:
                continue
            if start - offset >= wanted.size_bytes:
                break
            offset = max(offset, start + known.size_bytes)
        offsets[index] = offset
        after = next((at for at, (start, _) in enumerate(placed) if start > offset), len(placed))
        placed.insert(after, (offset, index))
    return tuple(offsets)


def plan_bytes(buffers: Sequence[Lifetime]) -> int:
    """What the plan takes: the end of its highest buffer; 0 without any."""
    return max((o + b.size_bytes for o, b in zip(place(buffers), buffers, strict=True)), default=0)


def _by_size(buffers: Sequence[Lifetime]) -> list[int]:
    """Largest first; of equal ones the one added last (the planner sorts a list that it fills from its end)."""
    return sorted(range(len(buffers)), key=lambda index: (-buffers[index].size_bytes, -index))
