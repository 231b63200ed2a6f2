"""LPUART and USART of the second generation (STM32L4+: RM0432 sections 50 and 51), with FIFO.

The line isn't paced at the baud rate.
"""

from __future__ import annotations

from collections import deque

from edgeq.simulator.peripherals.device import NEVER, SerialPort

_CR1, _CR3, _ISR, _ICR, _RQR, _RDR, _TDR = 0x00, 0x08, 0x1C, 0x20, 0x18, 0x24, 0x28
_UE, _RE, _TE = 1 << 0, 1 << 2, 1 << 3
_FIFO = 1 << 29
_FIFO_BYTES = 8
# Cycles between characters while the core is busy: far more than a receive interrupt takes, far less than the
# 10,400 of a real line at 115,200 baud and 120 MHz. A core that sleeps gets the next ones at once.
_CHARACTER_CYCLES = 500
# A receive interrupt that reads until the FIFO is empty finds up to this many characters: fewer interrupts to simulate,
# and few enough for any buffer that holds a command (80 characters) to be emptied in between.
_BURST = 32


class Lpuart(SerialPort):
    """Receives what the host feeds, in FIFO mode eight bytes at a time; sends without waiting."""

    def reset(self) -> None:
        """Characters that are still on the line stay there."""
        super().reset()
        self._fifo: deque[int] = deque()
        self._next_refill = 0
        self._burst = 0
        self._level = False

    def _receiving(self) -> bool:
        return self.words.get(_CR1, 0) & (_UE | _RE) == _UE | _RE

    def next_event(self) -> int:
        """When the next characters arrive."""
        return self._next_refill if self.waiting and not self._fifo and self._receiving() else NEVER

    def advance(self, now: int, asleep: bool) -> None:
        """Characters arrive."""
        if self._fifo or not self.waiting or not self._receiving():
            return
        if asleep or now >= self._next_refill:
            self._burst = _BURST if self.words.get(_CR1, 0) & _FIFO else 1
            self._next_refill = now + self._burst * _CHARACTER_CYCLES
            self._refill()
            self._update()

    def _refill(self) -> None:
        for _ in range(min(_FIFO_BYTES, self._burst, len(self.waiting))):
            self._fifo.append(self.waiting.popleft())
            self._burst -= 1

    def _status(self) -> int:
        control = self.words.get(_CR1, 0)
        status = 0x00C0  # transmit register (FIFO) can take a character, transmission complete
        status |= 0x20 if self._fifo else 0
        status |= 1 << 21 if control & _TE and control & _UE else 0
        status |= 1 << 22 if control & _RE and control & _UE else 0
        if control & _FIFO:
            status |= 1 << 23  # transmit FIFO empty
            status |= 1 << 24 if len(self._fifo) >= _FIFO_BYTES else 0
            status |= 1 << 27  # transmit FIFO below its threshold
            threshold = (1, 2, 4, 6, 7, 8, 8, 8)[self.words.get(_CR3, 0) >> 25 & 7]
            status |= 1 << 26 if len(self._fifo) >= threshold else 0
        return status

    def _update(self) -> None:
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
            value = self._fifo.popleft() if self._fifo else 0
            if not self._fifo:
                self._refill()
            if not self._fifo:
                self._update()
                self.wires.schedule(self.next_event())
            return value
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Writing TDR sends."""
        if offset == _TDR:
            if self.words.get(_CR1, 0) & (_UE | _TE) == _UE | _TE:
                self.wires.transmit(value & 0xFF)
        elif offset == _RQR:
            if value & 8:
                self._fifo.clear()
                self._update()
        elif offset not in (_ISR, _ICR, _RDR):
            super().store(offset, value)
            self._update()
            self.wires.wake()
