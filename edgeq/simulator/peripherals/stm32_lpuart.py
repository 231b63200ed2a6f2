"""LPUART and USART of the second generation (STM32L4+: RM0432 sections 50 and 51), with FIFO.

The line isn't paced at the baud rate.
"""

from __future__ import annotations

from edgeq.simulator.peripherals.device import SerialPort

_CR1, _CR3, _ISR, _ICR, _RQR, _RDR, _TDR = 0x00, 0x08, 0x1C, 0x20, 0x18, 0x24, 0x28
_UE, _RE, _TE = 1 << 0, 1 << 2, 1 << 3
_FIFO = 1 << 29
_FIFO_BYTES = 8


class Lpuart(SerialPort):
    """Receives what the host feeds, in FIFO mode eight bytes at a time; sends without waiting."""

    def reset(self) -> None:
        """The interrupt line is low."""
        super().reset()
        self._level = False

    def receiving(self) -> bool:
        """UE and RE."""
        return self.words.get(_CR1, 0) & (_UE | _RE) == _UE | _RE

    def depth(self) -> int:
        """Of the FIFO, when it is on."""
        return _FIFO_BYTES if self.words.get(_CR1, 0) & _FIFO else 1

    def burst(self) -> int:
        """Without the FIFO one character an interrupt."""
        return super().burst() if self.words.get(_CR1, 0) & _FIFO else 1

    def _status(self) -> int:
        control = self.words.get(_CR1, 0)
        status = 0x00C0  # transmit register (FIFO) can take a character, transmission complete
        status |= 0x20 if self.held else 0
        status |= 1 << 21 if control & _TE and control & _UE else 0
        status |= 1 << 22 if control & _RE and control & _UE else 0
        if control & _FIFO:
            status |= 1 << 23  # transmit FIFO empty
            status |= 1 << 24 if len(self.held) >= _FIFO_BYTES else 0
            status |= 1 << 27  # transmit FIFO below its threshold
            threshold = (1, 2, 4, 6, 7, 8, 8, 8)[self.words.get(_CR3, 0) >> 25 & 7]
            status |= 1 << 26 if len(self.held) >= threshold else 0
        return status

    def update(self) -> None:
        """Flags that are set and enabled."""
        control, status = self.words.get(_CR1, 0), self._status()
        wanted = control & status & 0xE0  # RXNEIE, TCIE, TXEIE sit where RXNE, TC, TXE do
        wanted |= status & 1 << 26 if self.words.get(_CR3, 0) & 1 << 28 else 0
        wanted |= status & 1 << 27 if self.words.get(_CR3, 0) & 1 << 23 else 0
        wanted |= status & 1 << 23 if control & 1 << 30 else 0
        wanted |= status & 1 << 24 if control & 1 << 31 else 0
        level = bool(wanted and control & _UE)
        if level != self._level:
            self._level = level
            self.wires.interrupt(self.row.irq, level)

    def load(self, offset: int) -> int:
        """Reading RDR takes a character out of the FIFO."""
        if offset == _ISR:
            return self._status()
        if offset == _RDR:
            return self.take()
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Writing TDR sends."""
        if offset == _TDR:
            if self.words.get(_CR1, 0) & (_UE | _TE) == _UE | _TE:
                self.wires.transmit(value & 0xFF)
        elif offset == _RQR:
            if value & 8:
                self.held.clear()
                self.update()
        elif offset not in (_ISR, _ICR, _RDR):
            super().store(offset, value)
            self.update()
            self.wires.wake()
