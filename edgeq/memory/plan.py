"""MemoryPlan: where every tensor and scratch buffer lies in the arena, and when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Buffer:
    """A stretch of the arena that one or more tensors (in place), or one operator's scratch, live in.

    Attributes:
        tensors: indices of the tensors that share it in turn; () for scratch.
        scratch_of: the operator index whose scratch it is, -1 for tensors.
        first_op, last_op: first and last operator index during which it must be kept; -1 and
            len(ops) stand for the model's ends.
        offset: bytes from the arena's start.
    """

    tensors: tuple[int, ...]
    scratch_of: int
    first_op: int
    last_op: int
    offset: int
    size_bytes: int


@dataclass(frozen=True)
class MemoryPlan:
    """The arena.

    Attributes:
        arena_bytes: its size: exactly what the generated code allocates.
        lower_bound_bytes: no plan with these lifetimes can be smaller (the peak of live bytes).
        offsets: tensor index to offset, for every tensor that isn't a constant.
        scratch_offsets: operator index to the offset of its scratch.
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

    def live_bytes(self, op_index: int) -> int:
        """Bytes in use while that operator runs."""
        return sum(b.size_bytes for b in self.buffers if b.first_op <= op_index <= b.last_op)
