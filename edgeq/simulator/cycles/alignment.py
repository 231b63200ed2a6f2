"""Which registers decide, at a block's entry, how its loads and stores will be aligned.

An unaligned LDR costs cycles, an unaligned LDM, LDRD or VLDR faults. Looking at every access while it happens would
slow the emulator down four times; but nearly all addresses in a block are a register's value at its entry plus a
constant. Those are followed here; an address that isn't of that kind is taken to be aligned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from capstone import arm as a

from edgeq.simulator.cycles.block import AlignmentCheck

_WORDS = frozenset((a.ARM_INS_LDR, a.ARM_INS_LDRT))
_HALVES = frozenset((a.ARM_INS_LDRH, a.ARM_INS_LDRSH, a.ARM_INS_LDRHT, a.ARM_INS_LDRSHT))
_ALL_WORDS, _ALL_HALVES = _WORDS | {a.ARM_INS_STR}, _HALVES | {a.ARM_INS_STRH}
_STRICT = frozenset((a.ARM_INS_LDRD, a.ARM_INS_STRD, a.ARM_INS_VLDR, a.ARM_INS_VSTR, a.ARM_INS_LDREX, a.ARM_INS_STREX))
_STRICT_MULTIPLE = frozenset(
    (a.ARM_INS_LDM, a.ARM_INS_LDMDB, a.ARM_INS_STM, a.ARM_INS_STMDB, a.ARM_INS_VLDMIA, a.ARM_INS_VLDMDB,
     a.ARM_INS_VSTMIA, a.ARM_INS_VSTMDB)
)  # fmt: skip
_MULTIPLE_BYTES = frozenset((a.ARM_INS_LDM, a.ARM_INS_STM))
_NO_RESULT = frozenset(
    (a.ARM_INS_STR, a.ARM_INS_STRB, a.ARM_INS_STRH, a.ARM_INS_STRD, a.ARM_INS_CMP, a.ARM_INS_CMN, a.ARM_INS_TST,
     a.ARM_INS_TEQ, a.ARM_INS_STM, a.ARM_INS_STMDB, a.ARM_INS_PUSH, a.ARM_INS_CBZ, a.ARM_INS_CBNZ, a.ARM_INS_B)
)  # fmt: skip
# Extra cycles of a load by address modulo 4 (Arm 100166, 3.3.3): one more access for a halfword or a word at a
# halfword's address, two for a word at a byte's.
_WORD_EXTRA, _HALF_EXTRA = (0, 2, 1, 2), (0, 1, 0, 1)


@dataclass(frozen=True)
class _Place:
    """A register's value: `origin` at the block's entry, plus `offset`."""

    origin: int
    offset: int


class AlignmentTracker:
    """Follows registers through a block.

    Args:
        strict: the core has no unaligned access at all (Armv6-M ARM, DDI 0419, A3.2).
    """

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._places: dict[int, _Place | None] = {}
        self._extra: dict[int, list[int]] = {}
        self._traps: dict[int, int] = {}

    def follow(self, insn: Any, written: frozenset[int]) -> None:
        """Take one instruction into account."""
        operands = insn.operands
        memory = next((o for o in operands if o.type == a.ARM_OP_MEM), None)
        if memory is not None and memory.mem.base != a.ARM_REG_PC:
            self._access(insn, memory)
        elif insn.id in _STRICT_MULTIPLE and operands and operands[0].type == a.ARM_OP_REG:
            self._note(insn, operands[0].reg, 0)
        self._results(insn, memory, written)

    def checks(self) -> tuple[AlignmentCheck, ...]:
        """What has to be looked at when the block is entered."""
        found = []
        for register in sorted(self._extra.keys() | self._traps.keys()):
            extra = tuple(self._extra.get(register, [0, 0, 0, 0]))
            found.append(AlignmentCheck(register, extra, self._traps.get(register, 0)))
        return tuple(found)

    def _place(self, register: int) -> _Place | None:
        return self._places.get(register, _Place(register, 0))

    def _access(self, insn: Any, memory: Any) -> None:
        if not memory.mem.index:
            self._note(insn, memory.mem.base, 0 if insn.post_index else memory.mem.disp)

    def _note(self, insn: Any, register: int, offset: int) -> None:
        place = self._place(register)
        if place is None or place.origin == a.ARM_REG_SP:
            return
        shift = place.offset + offset
        size = 4 if insn.id in _ALL_WORDS else 2 if insn.id in _ALL_HALVES else 0
        if self._strict and size:
            for value in range(4):
                if (value + shift) % size:
                    self._traps[place.origin] = self._traps.get(place.origin, 0) | 1 << value
        elif insn.id in _WORDS or insn.id in _HALVES:
            table = _WORD_EXTRA if insn.id in _WORDS else _HALF_EXTRA
            extra = self._extra.setdefault(place.origin, [0, 0, 0, 0])
            for value in range(4):
                extra[value] += table[(value + shift) % 4]
        elif insn.id in _STRICT | _STRICT_MULTIPLE and insn.cc == a.ARM_CC_AL:
            for value in range(4):
                if (value + shift) % 4:
                    self._traps[place.origin] = self._traps.get(place.origin, 0) | 1 << value

    def _results(self, insn: Any, memory: Any, written: frozenset[int]) -> None:
        operands = insn.operands
        moved = self._moved(operands, insn)
        changed = set(written)
        if insn.id not in _NO_RESULT:  # capstone's list of written registers has gaps: SMLAD, LDRD, SMLAL
            changed |= {o.reg for o in operands[:2] if o.type == a.ARM_OP_REG and o is not operands[-1]}
        base, update = self._update(insn, memory)
        for register in changed - {base}:
            self._places[register] = None
        if base:
            place = self._place(base)
            self._places[base] = None
            if place is not None and update is not None and insn.cc == a.ARM_CC_AL:
                self._places[base] = _Place(place.origin, place.offset + update)
        if moved is not None and insn.cc == a.ARM_CC_AL:
            self._places[operands[0].reg] = moved

    def _update(self, insn: Any, memory: Any) -> tuple[int, int | None]:
        """The base register that an access changes (0 = none) and by how much (None = unknown)."""
        if not insn.writeback:
            return 0, None
        if memory is None:
            words = len(insn.operands) - 1
            return insn.operands[0].reg, 4 * words if insn.id in _MULTIPLE_BYTES else None
        if not insn.post_index:
            return memory.mem.base, memory.mem.disp if not memory.mem.index else None
        last = insn.operands[-1]
        return memory.mem.base, last.imm if last.type == a.ARM_OP_IMM else None

    def _moved(self, operands: Sequence[Any], insn: Any) -> _Place | None:
        """The place that MOV, ADD or SUB with a constant gives its result."""
        if insn.id == a.ARM_INS_MOV and len(operands) == 2 and operands[1].type == a.ARM_OP_REG:
            return self._place(operands[1].reg) if not operands[1].shift.type else None
        if insn.id not in (a.ARM_INS_ADD, a.ARM_INS_SUB) or operands[-1].type != a.ARM_OP_IMM:
            return None
        source = operands[-2].reg if operands[-2].type == a.ARM_OP_REG else 0
        place = self._place(source) if source and source != a.ARM_REG_PC else None
        if place is None:
            return None
        step = operands[-1].imm if insn.id == a.ARM_INS_ADD else -operands[-1].imm
        return _Place(place.origin, place.offset + step)
