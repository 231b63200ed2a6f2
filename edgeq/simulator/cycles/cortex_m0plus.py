"""Cortex-M0+ (r0p1) instruction timing on memory without wait states.

Source: Arm DDI 0484 (Cortex-M0+ Technical Reference Manual r0p1), 3.3 "Instruction set summary", table 3-1, for the
core with the single-cycle multiplier, which the RP2040 has (RP2040 Datasheet, section 2.4.1.1) and so have ST's
STM32G0. Two pipeline stages: a taken branch refills one, and a load takes the bus for two cycles, whatever comes
before it. Only loads and stores on the single-cycle I/O port (the RP2040's SIO) take one: that depends on an address
that isn't known when a block is priced, so that they are counted as two.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from capstone import CS_ARCH_ARM, CS_MODE_MCLASS, CS_MODE_THUMB, Cs
from capstone import arm as a

from edgeq.simulator.cycles import block
from edgeq.simulator.cycles.alignment import AlignmentTracker
from edgeq.simulator.cycles.block import CycleModel, PricedBlock

_LOADS_AND_STORES = frozenset(
    (a.ARM_INS_LDR, a.ARM_INS_LDRB, a.ARM_INS_LDRH, a.ARM_INS_LDRSB, a.ARM_INS_LDRSH, a.ARM_INS_STR, a.ARM_INS_STRB,
     a.ARM_INS_STRH)
)  # fmt: skip
_STACK = frozenset((a.ARM_INS_PUSH, a.ARM_INS_POP))
_MULTIPLE = frozenset((a.ARM_INS_LDM, a.ARM_INS_STM))
_SPECIAL = frozenset((a.ARM_INS_MRS, a.ARM_INS_MSR, a.ARM_INS_DMB, a.ARM_INS_DSB, a.ARM_INS_ISB))
_MASK = frozenset((a.ARM_INS_CPS, a.ARM_INS_MSR))


@lru_cache(maxsize=1)
def _decoder() -> Any:
    decoder = Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS)
    decoder.detail = True
    return decoder


def describe(insn: Any) -> tuple[int, int]:
    """Cycles of one decoded instruction (capstone's, with details) when it doesn't branch, and those that it takes
    more when it does."""
    if insn.id in _LOADS_AND_STORES:
        return 2, 0
    if insn.id in _STACK:
        count = len(insn.operands)
        to_pc = any(o.reg == a.ARM_REG_PC for o in insn.operands)
        return 1 + count, 2 if to_pc else 0  # with the PC 3 + N; N counts it, as it does LR
    if insn.id in _MULTIPLE:
        return len(insn.operands), 0  # 1 + N; the first operand is the base
    if insn.id == a.ARM_INS_B:
        return 1, 1
    if insn.id == a.ARM_INS_BL:
        return 2, 1
    if insn.id in (a.ARM_INS_BX, a.ARM_INS_BLX):
        return 1, 1
    if insn.id in _SPECIAL:
        return 3, 0
    if insn.operands and insn.operands[0].type == a.ARM_OP_REG and insn.operands[0].reg == a.ARM_REG_PC:
        return 1, 1  # ADD or MOV to the PC
    return 1, 0


def price(code: bytes, address: int, unit: int) -> PricedBlock:
    """Price the block of `code` at `address`; `unit` is the flash's read width in bytes (a power of two)."""
    first = address // unit
    cycles = [0] * ((address + len(code) - 1) // unit - first + 1)
    count, flags, end, refill = 0, 0, address, 0
    tracker = AlignmentTracker(strict=True)
    last: Any = None
    for last in _decoder().disasm(code, address):
        cost, refill = describe(last)
        _, changed = last.regs_access()
        tracker.follow(last, frozenset(changed))
        end = last.address + last.size
        cycles[(end - 1) // unit - first] += cost
        count += 1
        flags |= block.CHANGES_MASK if last.id in _MASK else 0
    # What the decoder doesn't know the emulator refuses too; one cycle a halfword keeps the clock going.
    for at in range(end, address + len(code), 2):
        cycles[at // unit - first] += 1
        count += 1
    alone = count == 1 and last is not None and last.id == a.ARM_INS_B and last.cc == a.ARM_CC_AL
    if alone and last.operands[0].imm == address:
        flags |= block.SELF_LOOP
    return PricedBlock(address, len(code), count, tuple(cycles), refill, flags, alignment=tracker.checks())


MODEL = CycleModel(
    name="cortex-m0plus r1",
    price=price,
    unaligned_branch_cycles=0,
    exception_entry_cycles=15,
    exception_return_cycles=15,
    tail_chain_cycles=6,
    known_error="Arm's table of cycles per instruction; not compared with silicon yet",
)
