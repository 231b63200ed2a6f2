"""MemoryPlan: where every tensor and scratch buffer lies in the arena, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Buffer:
    """A stretch of the arena that one or more tensors, or one operator's scratch, live in.

    Attributes:
        tensors: indices of the tensors that are the same bytes (a RESHAPE's input and output); () for
            scratch.
        scratch_of: the operator index whose scratch it is, -1 for tensors.
        first_op, last_op: first and last operator index during which it must be kept; -1 and
            len(ops) stand for the model's ends.
        offset: bytes from the arena's start.
        over: (position in MemoryPlan.buffers, distance) of each buffer that this one overlaps while operator
            `first_op` reads the other, which begins that many bytes or more behind this one; see `Lowering.overlap`.
        exactly: that many, not more.
    """

    tensors: tuple[int, ...]
    scratch_of: int
    first_op: int
    last_op: int
    offset: int
    size_bytes: int
    over: tuple[tuple[int, int], ...] = ()
    exactly: bool = False

    @property
    def end(self) -> int:
        """Offset of the first byte behind it."""
        return self.offset + self.size_bytes

    @property
    def in_place_of(self) -> int:
        """The first buffer that it overlaps; -1 if none."""
        return self.over[0][0] if self.over else -1


@dataclass(frozen=True)
class Ordering:
    """An order, and what is known of all others.

    Attributes:
        order: the operators' places in the file, in the order in which they are to run.
        peak_bytes: the most bytes live at one time.
        file_peak_bytes: the same in the file's order.
        bound_bytes: no order's peak, and so no arena, is less; `peak_bytes` where that is proven to be the least.
    """

    order: tuple[int, ...]
    peak_bytes: int
    file_peak_bytes: int
    bound_bytes: int

    @property
    def is_files(self) -> bool:
        """Whether it is the file's own."""
        return all(place == old for place, old in enumerate(self.order))


@dataclass(frozen=True)
class MemoryPlan:
    """The arena.

    A model input's memory is used again once its last reader has run, so an input must be written before
    each inference, not once. Inputs that are also outputs, and variable tensors, keep theirs.

    Attributes:
        arena_bytes: its size: exactly what the generated code allocates.
        lower_bound_bytes: no plan with these lifetimes can be smaller: the peak of live bytes, or more where a
            search of all placements has shown it. When it equals arena_bytes the plan is optimal.
        alignment: every offset and the arena's size are multiples of it.
        buffers: in the order of their first operator.
        ordering: what is known of other orders of the operators; None where nobody looked.
    """

    arena_bytes: int
    lower_bound_bytes: int
    alignment: int
    buffers: tuple[Buffer, ...]
    ordering: Ordering | None = None

    @property
    def offsets(self) -> dict[int, int]:
        """Tensor index → offset in the arena."""
        return {t: b.offset for b in self.buffers for t in b.tensors}

    @property
    def scratch_offsets(self) -> dict[int, int]:
        """Operator index → offset of its scratch."""
        return {b.scratch_of: b.offset for b in self.buffers if b.scratch_of >= 0}

    def live_at(self, op_index: int) -> tuple[Buffer, ...]:
        """The buffers in use while that operator runs (-1, len(ops): before and after all), by offset."""
        live = [b for b in self.buffers if b.first_op <= op_index <= b.last_op]
        return tuple(sorted(live, key=lambda b: (b.offset, b.first_op)))

    def live_bytes(self, op_index: int) -> int:
        """Bytes in use while that operator runs; bytes that two share count once."""
        return self.timeline().get(op_index, 0)

    def timeline(self) -> dict[int, int]:
        """Operator index (and -1, len(ops): before and after all) → bytes in use then."""
        last = max((b.last_op for b in self.buffers), default=-1)
        live: dict[int, list[Buffer]] = {t: [] for t in range(-1, last + 1)}
        for buffer in sorted(self.buffers, key=lambda b: b.offset):
            for time in range(buffer.first_op, buffer.last_op + 1):
                live[time].append(buffer)
        return {time: _covered(buffers) for time, buffers in live.items()}

    @property
    def peak_op(self) -> int:
        """The first operator at which most bytes are in use (-1: only the model's inputs are)."""
        timeline = self.timeline()
        return max(timeline, key=timeline.__getitem__, default=-1)


def _covered(buffers: Sequence[Buffer]) -> int:
    """Bytes that at least one of them has; they are in the order of their offsets."""
    found = end = 0
    for buffer in buffers:
        found += max(0, buffer.end - max(end, buffer.offset))
        end = max(end, buffer.end)
    return found
