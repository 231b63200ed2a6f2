"""Cortex-M4 (r0p1) instruction timing on memory without wait states.

Source: Arm 100166 / DDI 0439 (Cortex-M4 Technical Reference Manual), 3.3.1 "Table of processor instructions",
3.3.2 "Table of processor DSP instructions", 3.3.3 "Load/store timings", 7.2.3 "FPU instruction set". Where the
manual gives a range, the choice is a field of `Timing`, and docs/cycle-model.md says how it was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from capstone import CS_ARCH_ARM, CS_MODE_MCLASS, CS_MODE_THUMB, Cs
from capstone import arm as a

from edgeq.simulator.cycles import block
from edgeq.simulator.cycles.alignment import AlignmentTracker
from edgeq.simulator.cycles.block import CycleModel, PricedBlock


@dataclass(frozen=True)
class Timing:
    """Cycles where the manual leaves room; fitted to silicon, see docs/cycle-model.md.

    Attributes:
        refill_immediate: P after B, BL, CBZ, CBNZ: the target is known at decode (manual: 1 to 3).
        refill_indirect: P after BX, BLX, POP {PC}, LDR PC, TBB and other writes to the PC.
        divide: mean of SDIV and UDIV (manual: 2 to 12, early termination).
        address_interlock: stall when an address depends on the data-processing instruction just before.
        writeback_load: extra cycles of a load that updates its base and is followed by another load.
    """

    refill_immediate: int = 2
    refill_indirect: int = 3
    divide: int = 6
    address_interlock: int = 0
    writeback_load: int = 0


TIMING = Timing()

_LOADS = frozenset(
    (a.ARM_INS_LDR, a.ARM_INS_LDRB, a.ARM_INS_LDRH, a.ARM_INS_LDRSB, a.ARM_INS_LDRSH, a.ARM_INS_LDRT,
     a.ARM_INS_LDRBT, a.ARM_INS_LDRHT, a.ARM_INS_LDRSBT, a.ARM_INS_LDRSHT, a.ARM_INS_LDREX, a.ARM_INS_LDREXB,
     a.ARM_INS_LDREXH, a.ARM_INS_STREX, a.ARM_INS_STREXB, a.ARM_INS_STREXH)
)  # fmt: skip
_STORES = frozenset((a.ARM_INS_STR, a.ARM_INS_STRB, a.ARM_INS_STRH, a.ARM_INS_STRT, a.ARM_INS_STRBT, a.ARM_INS_STRHT))
_PAIRS = frozenset((a.ARM_INS_LDRD, a.ARM_INS_STRD))
_LOAD_MULTIPLE = frozenset((a.ARM_INS_LDM, a.ARM_INS_LDMDB, a.ARM_INS_LDMDA, a.ARM_INS_LDMIB))
_STORE_MULTIPLE = frozenset((a.ARM_INS_STM, a.ARM_INS_STMDB, a.ARM_INS_STMDA, a.ARM_INS_STMIB))
_STACK = frozenset((a.ARM_INS_PUSH, a.ARM_INS_POP))
_FPU_MULTIPLE = frozenset(
    (a.ARM_INS_VLDMIA, a.ARM_INS_VLDMDB, a.ARM_INS_VSTMIA, a.ARM_INS_VSTMDB, a.ARM_INS_VPUSH, a.ARM_INS_VPOP)
)
_IMMEDIATE_BRANCHES = frozenset((a.ARM_INS_B, a.ARM_INS_BL, a.ARM_INS_CBZ, a.ARM_INS_CBNZ))
_INDIRECT_BRANCHES = frozenset((a.ARM_INS_BX, a.ARM_INS_BLX, a.ARM_INS_TBB, a.ARM_INS_TBH))
_FPU_MAC = frozenset(
    (a.ARM_INS_VMLA, a.ARM_INS_VMLS, a.ARM_INS_VNMLA, a.ARM_INS_VNMLS, a.ARM_INS_VFMA, a.ARM_INS_VFMS,
     a.ARM_INS_VFNMA, a.ARM_INS_VFNMS)
)  # fmt: skip
_MASK = frozenset((a.ARM_INS_CPS, a.ARM_INS_MSR))


@lru_cache(maxsize=1)
def _decoder() -> Any:
    decoder = Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS)
    decoder.detail = True
    return decoder


@dataclass(frozen=True)
class Instruction:
    """What the pricing needs to know of one instruction.

    Attributes:
        cycles: on its own, a branch not taken.
        loads: a single load that the next load or store may pipeline behind.
        pipelines: a single load or store that saves a cycle behind a load.
        refill: added when it branches.
        written, address: registers written (a load: only what it loads), and those that form its address.
    """

    cycles: int
    loads: bool = False
    pipelines: bool = False
    refill: int = 0
    written: frozenset[int] = frozenset()
    address: frozenset[int] = frozenset()
    data_processing: bool = False
    base_update: bool = False


def describe(insn: Any, timing: Timing = TIMING) -> Instruction:
    """The cost of one decoded instruction (capstone's, with details)."""
    operands = insn.operands
    registers = [o.reg for o in operands if o.type == a.ARM_OP_REG]
    _, changed = insn.regs_access()
    written = frozenset(changed)
    to_pc = a.ARM_REG_PC in written or insn.id in _IMMEDIATE_BRANCHES | _INDIRECT_BRANCHES
    address = frozenset(
        register
        for o in operands
        if o.type == a.ARM_OP_MEM
        for register in (o.mem.base, o.mem.index)
        if register and register != a.ARM_REG_PC
    )
    indirect = timing.refill_indirect
    if insn.id in _LOADS:
        if to_pc:
            return Instruction(2, refill=indirect, written=written, address=address)
        update = bool(insn.writeback)  # the new base is there early, what is loaded is not
        return Instruction(2, True, True, 0, frozenset(registers[:1]), address, base_update=update)
    if insn.id in _STORES:
        indexed = any(o.type == a.ARM_OP_MEM and o.mem.index for o in operands)
        return Instruction(2 if indexed else 1, False, indexed, 0, written, address)
    if insn.id in _PAIRS:
        return Instruction(3, written=written, address=address)
    if insn.id in _STACK | _LOAD_MULTIPLE | _STORE_MULTIPLE:
        count = len(registers) - (insn.id not in _STACK)
        return Instruction(1 + count, refill=indirect if to_pc else 0, written=written)
    if insn.group(a.ARM_GRP_VFP2) or insn.mnemonic.startswith("v"):
        return Instruction(_fpu_cycles(insn, registers), written=written, address=address)
    if insn.id in (a.ARM_INS_TBB, a.ARM_INS_TBH):
        return Instruction(3, refill=indirect + 1, written=written, address=address)
    if insn.id in _IMMEDIATE_BRANCHES:
        return Instruction(1, refill=timing.refill_immediate, written=written)
    if to_pc:
        return Instruction(1, refill=indirect, written=written)
    if insn.id in (a.ARM_INS_SDIV, a.ARM_INS_UDIV):
        return Instruction(timing.divide, written=written, data_processing=True)
    if insn.id in (a.ARM_INS_MRS, a.ARM_INS_MSR):
        return Instruction(2, written=written)
    if insn.id == a.ARM_INS_ISB:
        return Instruction(1 + timing.refill_immediate)
    return Instruction(1, written=written, data_processing=True)


def _fpu_cycles(insn: Any, registers: list[int]) -> int:
    if insn.id in (a.ARM_INS_VDIV, a.ARM_INS_VSQRT):
        return 14
    if insn.id in _FPU_MAC:
        return 3
    double = any(a.ARM_REG_D0 <= r <= a.ARM_REG_D31 for r in registers)
    if insn.id in (a.ARM_INS_VLDR, a.ARM_INS_VSTR):
        return 3 if double else 2
    if insn.id in _FPU_MULTIPLE:
        count = len(registers) - (insn.id not in (a.ARM_INS_VPUSH, a.ARM_INS_VPOP))
        return 1 + count * (2 if double else 1)
    if insn.id == a.ARM_INS_VMOV and len(registers) > 2:
        return len(registers) // 2
    return 1


def price(code: bytes, address: int, unit: int, timing: Timing = TIMING) -> PricedBlock:
    """Price the block of `code` at `address`; `unit` is the flash's read width in bytes (a power of two)."""
    first = address // unit
    cycles = [0] * ((address + len(code) - 1) // unit - first + 1)
    count, flags, fpu, end = 0, 0, 0, address
    tracker = AlignmentTracker()
    before: Instruction | None = None
    opening: Any = None
    last: Any = None
    for last in _decoder().disasm(code, address):
        now = describe(last, timing)
        cost = now.cycles
        if before is None:
            opening = now
        elif before.loads and now.pipelines and not before.written & now.address:
            cost -= 1
            cost += timing.writeback_load if before.base_update else 0
        elif before.data_processing and before.written & now.address:
            cost += timing.address_interlock
        tracker.follow(last, now.written)
        end = last.address + last.size
        cycles[(end - 1) // unit - first] += cost
        count += 1
        flags |= _flags(last)
        if not fpu and flags & block.FPU:
            fpu = last.address
        before = now
    # What the decoder doesn't know the emulator refuses too; one cycle a halfword keeps the clock going.
    for at in range(end, address + len(code), 2):
        cycles[at // unit - first] += 1
        count += 1
    if opening is not None and before is not None:
        flags |= block.STARTS_WITH_LOAD if opening.pipelines else 0
        flags |= block.ENDS_WITH_LOAD if before.loads else 0
        if address % 4 and (code[1] >> 3) in (0b11101, 0b11110, 0b11111):
            flags |= block.WIDE_UNALIGNED
        if count == 1 and last.id == a.ARM_INS_B and last.operands[0].imm == address and last.cc == a.ARM_CC_AL:
            flags |= block.SELF_LOOP
    return PricedBlock(
        address,
        len(code),
        count,
        tuple(cycles),
        before.refill if before else 0,
        flags,
        fpu,
        tracker.checks(),
    )


def _flags(insn: Any) -> int:
    flags = block.CHANGES_MASK if insn.id in _MASK else 0
    flags |= block.CONDITIONAL if insn.id == a.ARM_INS_IT else 0
    return flags | (block.FPU if insn.mnemonic.startswith("v") else 0)


MODEL = CycleModel(
    name="cortex-m4 r1",
    price=price,
    unaligned_branch_cycles=1,
    exception_entry_cycles=12,
    exception_return_cycles=12,
    tail_chain_cycles=6,
    known_error="never compared with this chip's silicon; within 5 % on an STM32L4R5",
)
