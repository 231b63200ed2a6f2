"""What goes wrong on a board, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeq.errors import DeviceError

# CFSR bits, Armv7-M ARM B3.2.15.
FETCH_VIOLATION, INSTRUCTION_BUS, PRECISE, IMPRECISE, STACKING = 1 << 0, 1 << 8, 1 << 9, 1 << 10, 1 << 12
UNDEFINED, INVALID_STATE, INVALID_PC, NO_COPROCESSOR = 1 << 16, 1 << 17, 1 << 18, 1 << 19
UNALIGNED, DIVIDE_BY_ZERO, ADDRESS_VALID = 1 << 24, 1 << 25, 1 << 15


@dataclass(frozen=True)
class FaultFacts:
    """The first thing that went wrong.

    Attributes:
        kind: "bus-fault", "undefined-instruction", "unaligned", "lock-up", …
        cause: one sentence.
        symbol: nearest symbol and offset of `pc`, "" without an ELF.
        caller: the same for `lr`.
        address: the address accessed, -1 where that means nothing.
    """

    kind: str
    cause: str
    pc: int
    lr: int
    sp: int
    symbol: str
    caller: str
    registers: Mapping[str, int]
    address: int = -1
    cycles: int = 0


@dataclass(frozen=True)
class Defects:
    """What is wrong with a board's flash, to see how that is noticed.

    Attributes:
        flash_dead: its controller takes everything, and erases and programs nothing.
        stuck_address, stuck_bits: these bits of that byte can't be programmed to 0.
    """

    flash_dead: bool = False
    stuck_address: int = 0
    stuck_bits: int = 0


SOUND = Defects()


class BoardFault(DeviceError):  # noqa: N818  - it is the firmware's, not the board's
    """The firmware on a virtual board has run into something that it can't come back from."""

    def __init__(self, facts: FaultFacts, ended: str = "") -> None:
        self.fault = facts
        self.ended = ended
        place = f"0x{facts.pc:08X}" + (f" ({facts.symbol})" if facts.symbol else "")
        came_from = f", LR 0x{facts.lr:08X}" + (f" ({facts.caller})" if facts.caller else "")
        super().__init__(
            f"{facts.cause} at PC {place}{came_from}" + (f"; {ended}" if ended else ""),
            where="virtual board",
            next_step="look at that instruction with `arm-none-eabi-objdump -d` or pass the ELF to see symbols"
            if not facts.symbol
            else "look at that function; the registers are in the error's facts",
            kind=facts.kind,
            pc=facts.pc,
            lr=facts.lr,
            sp=facts.sp,
            symbol=facts.symbol,
            caller=facts.caller,
            cause=facts.cause,
            address=facts.address,
            cycles=facts.cycles,
            ended=ended,
            registers=dict(facts.registers),
        )
