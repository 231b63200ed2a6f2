"""A basic block with its price on ideal memory; what the moment adds is native/core.c's part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

STARTS_WITH_LOAD = 1
ENDS_WITH_LOAD = 2
WIDE_UNALIGNED = 4
FPU = 8
SELF_LOOP = 16
CHANGES_MASK = 32
CONDITIONAL = 64


@dataclass(frozen=True)
class AlignmentCheck:
    """What a register's value at a block's entry decides.

    Attributes:
        register: capstone's number of it.
        extra_cycles: by value modulo 4: what the block's unaligned loads add.
        traps: bit n: with that value modulo 4 the block has an access that faults.
    """

    register: int
    extra_cycles: tuple[int, ...]
    traps: int


@dataclass(frozen=True)
class PricedBlock:
    """A straight run of instructions.

    Attributes:
        unit_cycles: cycles per fetch unit (aligned pieces of the flash's read width) that the block
            touches, in order; an instruction counts where its last byte is.
        taken_cycles: pipeline refill when the block is left by a branch.
        flags: the constants of this module; native/core.c has the same.
        fpu_address: the first floating-point instruction, 0 if there is none.
    """

    address: int
    size: int
    instructions: int
    unit_cycles: tuple[int, ...]
    taken_cycles: int
    flags: int
    fpu_address: int = 0
    alignment: tuple[AlignmentCheck, ...] = ()

    @property
    def cycles(self) -> int:
        """Cycles on ideal memory when no branch is taken."""
        return sum(self.unit_cycles)


@dataclass(frozen=True)
class CycleModel:
    """A core's timing.

    Attributes:
        name: with its revision, as it stands beside every figure ("cortex-m4 r1").
        price: (code, address, fetch unit in bytes) → PricedBlock.
        unaligned_branch_cycles: added when a branch goes to a 32-bit instruction across a word boundary.
        exception_entry_cycles, exception_return_cycles, tail_chain_cycles: with memory without wait states.
        known_error: how far off it is known to be, in words.
    """

    name: str
    price: Callable[[bytes, int, int], PricedBlock]
    unaligned_branch_cycles: int
    exception_entry_cycles: int
    exception_return_cycles: int
    tail_chain_cycles: int
    known_error: str
