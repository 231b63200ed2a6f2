"""GPIO of the nRF52840 (Product Specification, chapter GPIO): outputs that can be watched."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import Device, Wires
from edgeq.target import Peripheral

_PORT_BYTES, _FIRST = 0x300, 0x500  # P1's registers are 0x300 behind P0's, which start at 0x504
_OUT, _OUTSET, _OUTCLR, _IN, _DIR, _DIRSET, _DIRCLR, _PIN_CNF = (
    0x504, 0x508, 0x50C, 0x510, 0x514, 0x518, 0x51C, 0x700,
)  # fmt: skip
_PULL_UP = 3


class Gpio(Device):
    """P0 and P1. Nothing is connected to the pins: inputs read their pull-up."""

    def __init__(self, row: Peripheral, wires: Wires) -> None:
        self._driven: dict[str, bool] = {}
        super().__init__(row, wires)

    def reset(self) -> None:
        """All pins are inputs again."""
        super().reset()
        self._driven.clear()

    @staticmethod
    def _place(offset: int) -> tuple[int, int]:
        """The port's first register less P0's, and the register as P0 has it."""
        port = _PORT_BYTES if offset >= _FIRST + _PORT_BYTES else 0
        return port, offset - port

    def load(self, offset: int) -> int:
        """IN shows what outputs drive and inputs are pulled to; SET and CLR registers read what they change."""
        port, register = self._place(offset)
        if register == _IN:
            outputs = self.words.get(port + _DIR, 0)
            pulled = sum(1 << pin for pin in range(32) if self._configured(port, pin) >> 2 & 3 == _PULL_UP)
            return outputs & self.words.get(port + _OUT, 0) | ~outputs & pulled
        same = {_OUTSET: _OUT, _OUTCLR: _OUT, _DIRSET: _DIR, _DIRCLR: _DIR}
        return super().load(port + same.get(register, register))

    def _configured(self, port: int, pin: int) -> int:
        return self.words.get(port + _PIN_CNF + 4 * pin, 2)

    def store(self, offset: int, value: int) -> None:
        """Single bits are set and cleared; DIR is bit 0 of each pin's PIN_CNF too."""
        port, register = self._place(offset)
        latch, outputs = self.words.get(port + _OUT, 0), self.words.get(port + _DIR, 0)
        if register in (_OUT, _OUTSET, _OUTCLR):
            self.words[port + _OUT] = {_OUT: value, _OUTSET: latch | value, _OUTCLR: latch & ~value}[register]
        elif register in (_DIR, _DIRSET, _DIRCLR):
            self.words[port + _DIR] = {_DIR: value, _DIRSET: outputs | value, _DIRCLR: outputs & ~value}[register]
        elif register >= _PIN_CNF:
            super().store(offset, value)
            bit = 1 << (register - _PIN_CNF) // 4
            self.words[port + _DIR] = outputs & ~bit | (bit if value & 1 else 0)
        elif register != _IN:
            super().store(offset, value)
        self._drive(port)

    def _drive(self, port: int) -> None:
        outputs, latch = self.words.get(port + _DIR, 0), self.words.get(port + _OUT, 0)
        for pin in range(32):
            if not outputs >> pin & 1:
                continue
            name, level = f"P{port // _PORT_BYTES}.{pin:02d}", bool(latch >> pin & 1)
            if self._driven.get(name) is not level:
                self._driven[name] = level
                self.wires.pin(name, level)
