"""GPIO of the STM32 with MODER (RM0432 section 8, RM0090 section 8): outputs that can be watched."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import Device, Wires
from edgeq.target import ClockEnable, Peripheral

_PORT_BYTES = 0x400
_MODER, _PUPDR, _IDR, _ODR, _BSRR, _BRR = 0x00, 0x0C, 0x10, 0x14, 0x18, 0x28
_OUTPUT, _PULL_UP = 1, 1


class Gpio(Device):
    """All ports of a chip, A first, a kilobyte each. Nothing is connected to the pins: inputs read their pull-up.

    The clock enable of the row is port A's; the other ports' bits follow it.
    """

    def __init__(self, row: Peripheral, wires: Wires) -> None:
        self._driven: dict[str, bool] = {}
        super().__init__(row, wires)

    def reset(self) -> None:
        """All pins are inputs again."""
        super().reset()
        self._driven.clear()

    def clock_enable(self, offset: int) -> ClockEnable | None:
        """A bit for each port."""
        first = self.row.clock_enable
        return first and ClockEnable(first.register, first.bit + offset // _PORT_BYTES)

    def load(self, offset: int) -> int:
        """IDR shows what outputs drive and inputs are pulled to; BSRR and BRR read as zero."""
        port, register = offset & ~(_PORT_BYTES - 1), offset & (_PORT_BYTES - 1)
        if register == _IDR:
            return self._outputs(port) & self.words.get(port + _ODR, 0) | ~self._outputs(port) & self._pulled_up(port)
        return 0 if register in (_BSRR, _BRR) else super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """BSRR and BRR set and clear single bits of ODR."""
        port, register = offset & ~(_PORT_BYTES - 1), offset & (_PORT_BYTES - 1)
        latch = self.words.get(port + _ODR, 0)
        if register == _BSRR:
            self.words[port + _ODR] = latch & ~(value >> 16) | value & 0xFFFF
        elif register == _BRR:
            self.words[port + _ODR] = latch & ~(value & 0xFFFF)
        elif register != _IDR:
            super().store(offset, value)
        if register in (_BSRR, _BRR, _ODR, _MODER):
            self._drive(port)

    def _fields(self, register: int, wanted: int) -> int:
        """Pins whose two bits in a register are `wanted`."""
        word = self.words.get(register, 0)
        return sum(1 << pin for pin in range(16) if word >> 2 * pin & 3 == wanted)

    def _outputs(self, port: int) -> int:
        return self._fields(port + _MODER, _OUTPUT)

    def _pulled_up(self, port: int) -> int:
        return self._fields(port + _PUPDR, _PULL_UP)

    def _drive(self, port: int) -> None:
        outputs, latch = self._outputs(port), self.words.get(port + _ODR, 0)
        for pin in range(16):
            name, level = f"P{chr(ord('A') + port // _PORT_BYTES)}{pin}", bool(latch >> pin & 1)
            if outputs >> pin & 1 and self._driven.get(name) is not level:
                self._driven[name] = level
                self.wires.pin(name, level)
