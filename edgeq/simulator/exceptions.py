"""Exception entry and return: stack frames, EXC_RETURN, which stack. Armv7-M ARM (DDI 0403), B1.5.6 to B1.5.8."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from unicorn import UcError
from unicorn import arm_const as reg

from edgeq.simulator.engine import Engine, Registers
from edgeq.simulator.nvic import Nvic

_FRAME = (reg.UC_ARM_REG_R0, reg.UC_ARM_REG_R1, reg.UC_ARM_REG_R2, reg.UC_ARM_REG_R3, reg.UC_ARM_REG_R12,
          reg.UC_ARM_REG_LR)  # fmt: skip
_FLOATS = tuple(getattr(reg, f"UC_ARM_REG_S{i}") for i in range(16))
_STATE = (reg.UC_ARM_REG_SP, reg.UC_ARM_REG_XPSR, reg.UC_ARM_REG_CONTROL, reg.UC_ARM_REG_IPSR)
_MASKS = (reg.UC_ARM_REG_PRIMASK, reg.UC_ARM_REG_BASEPRI, reg.UC_ARM_REG_FAULTMASK)
_NAMES = ("r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "sp", "lr", "pc")
_GENERAL = tuple(getattr(reg, f"UC_ARM_REG_{name.upper()}") for name in _NAMES)
_FPCA, _SPSEL = 4, 2
_HANDLER_BITS, _STACK_ALIGNED = 0x1FF, 1 << 9
_EXC_RETURN = 0xFFFF_FF00


class StackError(Exception):
    """The frame can't be written or read: the stack pointer is outside RAM."""

    def __init__(self, address: int) -> None:
        super().__init__(f"0x{address:08X}")
        self.address = address


class ExceptionUnit:
    """Moves the core into handlers and back."""

    def __init__(self, engine: Engine, nvic: Nvic) -> None:
        self._engine = engine
        self._nvic = nvic
        self._frame = Registers(engine.uc, _FRAME)
        self._floats = Registers(engine.uc, _FLOATS)
        self._entry = Registers(engine.uc, (*_FRAME, *_STATE))
        self._masks = Registers(engine.uc, _MASKS)

    @property
    def _uc(self) -> Any:
        return self._engine.uc

    def registers(self) -> dict[str, int]:
        """All general registers and xPSR."""
        values = self._uc.reg_read_batch((*_GENERAL, reg.UC_ARM_REG_XPSR))
        return dict(zip((*_NAMES, "xpsr"), (int(v) for v in values), strict=True))

    def masks(self) -> tuple[int, int, int]:
        """PRIMASK, BASEPRI, FAULTMASK."""
        primask, basepri, faultmask = self._masks.read()
        return primask, basepri, faultmask

    def reset(self, stack: int, *, thumb: bool = True) -> None:
        """Thread mode, main stack, all registers zero; `thumb`: the T bit, as the entry's address has it."""
        self._uc.reg_write_batch(
            [(r, 0) for r in _GENERAL]
            + [(reg.UC_ARM_REG_CONTROL, 0), (reg.UC_ARM_REG_XPSR, thumb << 24)]
            + [(reg.UC_ARM_REG_PRIMASK, 0), (reg.UC_ARM_REG_BASEPRI, 0), (reg.UC_ARM_REG_FAULTMASK, 0)]
        )
        self._uc.reg_write(reg.UC_ARM_REG_LR, 0xFFFF_FFFF)
        self._uc.reg_write(reg.UC_ARM_REG_SP, stack & ~3)

    def enter(self, number: int, pc: int, vector: int) -> int:
        """Stack the frame and go to the handler; the handler's address.

        Raises:
            StackError: the frame doesn't fit where the stack pointer is.
        """
        uc = self._uc
        *low, sp, xpsr, control, handler_mode = self._entry.read()
        in_handler = handler_mode & _HANDLER_BITS != 0
        extended = bool(control & _FPCA)
        frame = sp - (104 if extended else 32)
        padded = frame & 4
        frame &= ~7
        words = [*low, pc & ~1, xpsr & ~_STACK_ALIGNED | (_STACK_ALIGNED if padded else 0)]
        if extended:
            words += self._floats.read()
            words += [int(uc.reg_read(reg.UC_ARM_REG_FPSCR)), 0]
        self._store(frame, words)
        on_process_stack = not in_handler and bool(control & _SPSEL)
        returns = 0xFFFF_FFF1 if in_handler else 0xFFFF_FFFD if on_process_stack else 0xFFFF_FFF9
        returns &= ~0x10 if extended else ~0
        uc.reg_write(reg.UC_ARM_REG_SP, frame)  # still the interrupted mode's stack pointer
        uc.reg_write(reg.UC_ARM_REG_CONTROL, control & 1)
        uc.reg_write(reg.UC_ARM_REG_XPSR, 0x0100_0000 | number)
        uc.reg_write(reg.UC_ARM_REG_LR, returns)
        self._nvic.activate(number)
        self._engine.break_sequence()
        return self._load(vector + 4 * number)[0] & ~1

    def leave(self, exc_return: int) -> int:
        """Return from the active handler; the address to go on at.

        Raises:
            StackError: the frame can't be read.
            ValueError: EXC_RETURN says something that can't be.
        """
        uc = self._uc
        exc_return |= 1
        if exc_return & 0xFFFF_FFE0 != 0xFFFF_FFE0 or exc_return & 0xF not in (0x1, 0x9, 0xD):
            raise ValueError(f"EXC_RETURN is 0x{exc_return:08X}")
        if not self._nvic.active:
            raise ValueError("a return from an exception while none is active")
        number = int(uc.reg_read(reg.UC_ARM_REG_IPSR)) & _HANDLER_BITS
        self._nvic.deactivate(number)
        if number != 2:  # an NMI leaves FAULTMASK as it is
            uc.reg_write(reg.UC_ARM_REG_FAULTMASK, 0)
        to_process_stack = exc_return & 0xF == 0xD
        frame = int(uc.reg_read(reg.UC_ARM_REG_PSP if to_process_stack else reg.UC_ARM_REG_SP))
        extended = not exc_return & 0x10
        words = self._load(frame, 26 if extended else 8)
        xpsr = words[7]
        after = frame + (104 if extended else 32) + (4 if xpsr & _STACK_ALIGNED else 0)
        privilege = int(uc.reg_read(reg.UC_ARM_REG_CONTROL)) & 1
        if to_process_stack:
            uc.reg_write(reg.UC_ARM_REG_PSP, after)
        else:
            uc.reg_write(reg.UC_ARM_REG_SP, after)
        uc.reg_write(reg.UC_ARM_REG_XPSR, xpsr & ~_STACK_ALIGNED | 0x0100_0000)
        control = privilege | (_SPSEL if to_process_stack else 0) | (_FPCA if extended else 0)
        uc.reg_write(reg.UC_ARM_REG_CONTROL, control)
        self._frame.write(words[:6])
        if extended:
            self._floats.write(words[8:24])
            uc.reg_write(reg.UC_ARM_REG_FPSCR, words[24])
        self._engine.break_sequence()
        return words[6]

    def _store(self, address: int, words: Sequence[int]) -> None:
        try:
            self._uc.mem_write(address, struct.pack(f"<{len(words)}I", *(w & 0xFFFF_FFFF for w in words)))
        except (UcError, OverflowError) as failed:
            raise StackError(address) from failed

    def _load(self, address: int, count: int = 1) -> tuple[int, ...]:
        try:
            return struct.unpack(f"<{count}I", self._uc.mem_read(address, 4 * count))
        except (UcError, OverflowError) as failed:
            raise StackError(address) from failed
