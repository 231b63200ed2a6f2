"""USART of the first generation (STM32F4: RM0090 chapter 30): one status and one data register, no FIFO."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import SerialPort

_SR, _DR, _CR1 = 0x00, 0x04, 0x0C
_RXNE, _TC, _TXE = 1 << 5, 1 << 6, 1 << 7
_RE, _TE, _UE = 1 << 2, 1 << 3, 1 << 13


class Usart(SerialPort):
    """Receives what the host feeds, a byte at a time; sends without waiting."""

    def reset(self) -> None:
        """The interrupt line is low."""
        super().reset()
        self._level = False

    def receiving(self) -> bool:
        """UE and RE."""
        return self.words.get(_CR1, 0) & (_UE | _RE) == _UE | _RE

    def _status(self) -> int:
        return _TC | _TXE | (_RXNE if self.held else 0)

    def update(self) -> None:
        """RXNEIE, TCIE and TXEIE sit where RXNE, TC and TXE do."""
        control = self.words.get(_CR1, 0)
        level = bool(control & _UE and control & self._status() & (_RXNE | _TC | _TXE))
        if level != self._level:
            self._level = level
            self.wires.interrupt(self.row.irq, level)

    def load(self, offset: int) -> int:
        """Reading DR takes the character that has come."""
        if offset == _SR:
            return self._status()
        return self.take() if offset == _DR else super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Writing DR sends."""
        if offset == _DR:
            if self.words.get(_CR1, 0) & (_UE | _TE) == _UE | _TE:
                self.wires.transmit(value & 0xFF)
        elif offset != _SR:  # its flags are cleared by reading, or stand for what is true at once
            super().store(offset, value)
            self.update()
            self.wires.wake()
