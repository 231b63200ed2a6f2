"""What a debug probe reaches over the chip's memory access port: memory, devices, and the core's debug registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from unicorn import UcError
from unicorn import arm_const as reg

from edgeq.simulator import debug as d
from edgeq.simulator import private_bus
from edgeq.simulator.bus import Bus, UnansweredError
from edgeq.simulator.debug import DebugState
from edgeq.simulator.engine import Engine
from edgeq.simulator.faults import BoardFault
from edgeq.simulator.native.state import Programmed
from edgeq.simulator.processor import Processor

# Cycles that pass while a debugger looks whether the core still runs: more than a page takes to be programmed.
_LOOK_CYCLES = 1_000_000
_PC, _SPECIAL, _FPSCR, _FIRST_FLOAT = 15, 20, 33, 64
_CORE = {
    **{i: getattr(reg, f"UC_ARM_REG_R{i}") for i in range(13)},
    13: reg.UC_ARM_REG_SP, 14: reg.UC_ARM_REG_LR, 16: reg.UC_ARM_REG_XPSR, 17: reg.UC_ARM_REG_MSP,
    18: reg.UC_ARM_REG_PSP, _FPSCR: reg.UC_ARM_REG_FPSCR,
    **{_FIRST_FLOAT + i: getattr(reg, f"UC_ARM_REG_S{i}") for i in range(32)},
}  # fmt: skip
# CONTROL, FAULTMASK, BASEPRI, PRIMASK share a register, from its highest byte down.
_SPECIALS = (reg.UC_ARM_REG_PRIMASK, reg.UC_ARM_REG_BASEPRI, reg.UC_ARM_REG_FAULTMASK, reg.UC_ARM_REG_CONTROL)


@dataclass(frozen=True)
class Board:
    """What a debugger needs of a board.

    Attributes:
        run: let that many cycles pass.
        reset: as by its reset pin.
        erase: everything, RAM too.
    """

    engine: Engine
    processor: Processor
    bus: Bus
    debug: DebugState
    run: Callable[[int], object]
    reset: Callable[[], None]
    erase: Callable[[], None]


class Debugger:
    """Reads and writes as the access port does. The core runs while its status is asked for, and only then.

    There are no hardware breakpoints: the FPB says that it has no comparators.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self._register = 0  # DCRDR
        self._written = False  # code may have changed since the core ran

    def read(self, address: int, size: int) -> int:
        """Read 1, 2 or 4 bytes.

        Raises:
            UnansweredError: nothing is there.
        """
        if private_bus.BASE <= address < private_bus.BASE + private_bus.SIZE and address & ~3 in (d.DHCSR, d.DCRDR):
            word = self._status() if address & ~3 == d.DHCSR else self._register
            return word >> 8 * (address & 3) & ((1 << 8 * size) - 1)
        if self.board.bus.answers(address):
            return self.board.bus.read(address, size)
        return int.from_bytes(self.read_block(address, size), "little")

    def read_block(self, address: int, size: int) -> bytes:
        """Read memory.

        Raises:
            UnansweredError: it isn't all memory.
        """
        try:
            return bytes(self.board.engine.uc.mem_read(address, size))
        except UcError as failed:
            raise UnansweredError(address, size, write=False) from failed

    def write(self, address: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes.

        Raises:
            UnansweredError: nothing is there, or it refuses that width.
        """
        if address in (d.DHCSR, d.DCRSR, d.DCRDR):
            {d.DHCSR: self._control, d.DCRSR: self._transfer, d.DCRDR: self._keep}[address](value)
        elif self.board.bus.answers(address):
            try:
                self.board.bus.write(address, size, value)
            except BoardFault as fault:  # a setting that no chip would survive
                self.board.debug.locked_up = fault
            if self.board.processor.reset_wanted:
                self.board.reset()
        else:
            self.write_block(address, value.to_bytes(size, "little"))

    def write_block(self, address: int, data: bytes) -> None:
        """Write memory: flash as its controller is set, in pieces of up to a word.

        Raises:
            UnansweredError: it isn't all memory, or flash refuses that width.
        """
        self._written = True
        for offset in range(0, len(data), 4):
            piece = data[offset : offset + 4]
            done = self.board.engine.program(address + offset, len(piece), int.from_bytes(piece, "little"))
            if done is Programmed.NO_FLASH and not offset:
                break
            if done in (Programmed.TRAPPED, Programmed.NO_FLASH):
                raise UnansweredError(address + offset, len(piece), write=True)
        else:
            return
        try:
            self.board.engine.uc.mem_write(address, data)
        except UcError as failed:
            raise UnansweredError(address, len(data), write=True) from failed

    def hold_reset(self, low: bool) -> None:
        """Pull the reset pin, or let it go."""
        released = self.board.debug.held and not low
        self.board.debug.held = low
        if released:
            self.board.reset()

    # The core

    def _status(self) -> int:
        debug = self.board.debug
        if not debug.halted and not debug.held and debug.locked_up is None:
            self._run(_LOOK_CYCLES)
        value = debug.status(self.board.processor.sleeping)
        debug.was_reset = debug.retired = False
        return value

    def _run(self, cycles: int) -> None:
        if self._written:
            self.board.engine.code_changed()
            self._written = False
        self.board.debug.retired = True
        try:
            self.board.run(cycles)
        except BoardFault as fault:
            self.board.debug.locked_up = fault

    def _control(self, value: int) -> None:
        debug = self.board.debug
        if value >> 16 != d.KEY:
            return
        debug.control = value & (d.C_DEBUGEN | d.C_STEP | d.C_MASKINTS)
        if not debug.enabled:
            debug.halted = False
        elif value & d.C_HALT:
            if not debug.halted:
                self.board.processor.halt(d.HALTED)
        elif debug.halted:
            debug.halted = False
            if value & d.C_STEP:
                self._run(1)

    def _keep(self, value: int) -> None:
        self._register = value

    def _transfer(self, value: int) -> None:
        """DCRSR: a register to or from DCRDR, while the core is halted."""
        number, uc = value & 0x7F, self.board.engine.uc
        if not self.board.debug.halted:
            return
        writing = bool(value & 1 << 16)
        if number == _PC:
            if writing:
                self.board.processor.pc = self._register & ~1
            self._register = self.board.processor.pc
        elif number == _SPECIAL:
            if writing:
                uc.reg_write_batch([(r, self._register >> 8 * i & 0xFF) for i, r in enumerate(_SPECIALS)])
            self._register = sum((int(uc.reg_read(r)) & 0xFF) << 8 * i for i, r in enumerate(_SPECIALS))
        elif number in _CORE:
            if writing:
                uc.reg_write(_CORE[number], self._register)
            self._register = int(uc.reg_read(_CORE[number])) & 0xFFFF_FFFF
