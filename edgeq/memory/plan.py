"""MemoryPlan: where every tensor and scratch buffer lies in the arena, and when."""

from __future__ import annotations

import itertools
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
        in_place_of: the position in MemoryPlan.buffers of the buffer whose memory this one takes over
            while operator `first_op` reads it, -1 if none. Both have the same offset; sizes may differ.
    """

    tensors: tuple[int, ...]
    scratch_of: int
    first_op: int
    last_op: int
    offset: int
    size_bytes: int
    in_place_of: int = -1

    @property
    def end(self) -> int:
        """Offset of the first byte behind it."""
        return self.offset + self.size_bytes


@dataclass(frozen=True)
class MemoryPlan:
    """The arena.

    A model input's memory is used again once its last reader has run, so an input must be written before
    each inference, not once. Inputs that are also outputs, and variable tensors, keep theirs.

    Attributes:
        arena_bytes: its size: exactly what the generated code allocates.
        lower_bound_bytes: no plan with these lifetimes can be smaller (the peak of live bytes). When it
            equals arena_bytes the plan is optimal.
        alignment: every offset and the arena's size are multiples of it.
        buffers: in the order of their first operator.
    """

    arena_bytes: int
    lower_bound_bytes: int
    alignment: int
    buffers: tuple[Buffer, ...]

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
        """Bytes in use while that operator runs; a buffer and the one it takes over count once."""
        return self.timeline().get(op_index, 0)

    def timeline(self) -> dict[int, int]:
        """Operator index (and -1, len(ops): before and after all) → bytes in use then."""
        last = max((b.last_op for b in self.buffers), default=-1)
        change = dict.fromkeys(range(-1, last + 3), 0)
        for buffer in self.buffers:
            change[buffer.first_op] += buffer.size_bytes
            change[buffer.last_op + 1] -= buffer.size_bytes
            if buffer.in_place_of >= 0:
                shared = min(buffer.size_bytes, self.buffers[buffer.in_place_of].size_bytes)
                change[buffer.first_op] -= shared
                change[buffer.first_op + 1] += shared
        running = itertools.accumulate(change[t] for t in range(-1, last + 1))
        return dict(zip(range(-1, last + 1), running, strict=True))

    @property
    def peak_op(self) -> int:
        """The first operator at which most bytes are in use (-1: only the model's inputs are)."""
        timeline = self.timeline()
        return max(timeline, key=timeline.__getitem__, default=-1)
