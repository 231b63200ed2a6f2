"""Arm PrimeCell UART (PL011; Arm DDI 0183, chapter 3), as in the RP2040 (Datasheet section 4.2). Not paced."""

from __future__ import annotations

from collections import deque

from edgeq.simulator.peripherals.device import NEVER, SerialPort

_DR, _FR, _LCR_H, _CR, _IFLS, _IMSC, _RIS, _MIS, _ICR = 0x00, 0x18, 0x2C, 0x30, 0x34, 0x38, 0x3C, 0x40, 0x44
_EMPTY_RECEIVER, _EMPTY_TRANSMITTER = 1 << 4, 1 << 7
_FIFO = 1 << 4
_ON, _TRANSMIT, _RECEIVE = 1 << 0, 1 << 8, 1 << 9
_INT_RECEIVE, _INT_TIMEOUT = 1 << 4, 1 << 6
_FIFO_CHARACTERS = 32
_LEVELS = (4, 8, 16, 24, 28)
# Cycles between bursts while the core is busy: longer than a receive interrupt takes.
_CHARACTER_CYCLES = 500


class Pl011(SerialPort):
    """Sends without waiting; receives what the host feeds, a FIFO at a time."""

    def reset(self) -> None:
        """Characters that are still on the line stay there."""
        super().reset()
        self._fifo: deque[int] = deque()
        self._next = 0
        self._level = False

    def receiving(self) -> bool:
        """Whether characters on the line are taken."""
        return self.words.get(_CR, 0) & (_ON | _RECEIVE) == _ON | _RECEIVE

    def next_event(self) -> int:
        """When the next characters arrive."""
        return self._next if self.waiting and not self._fifo and self.receiving() else NEVER

    def advance(self, now: int, asleep: bool) -> None:
        """Characters arrive."""
        if self._fifo or not self.waiting or not self.receiving() or not (asleep or now >= self._next):
            return
        room = _FIFO_CHARACTERS if self.words.get(_LCR_H, 0) & _FIFO else 1
        count = min(room, len(self.waiting))
        self._next = now + count * _CHARACTER_CYCLES
        self._fifo.extend(self.waiting.popleft() for _ in range(count))
        self.update()

    def _raw(self) -> int:
        """Fewer characters than the level time out at once: nothing else is on the line."""
        level = _LEVELS[min(self.words.get(_IFLS, 0) >> 3 & 7, 4)] if self.words.get(_LCR_H, 0) & _FIFO else 1
        return (_INT_RECEIVE if len(self._fifo) >= level else 0) | (_INT_TIMEOUT if self._fifo else 0)

    def update(self) -> None:
        """The interrupt line as it is now."""
        level = bool(self._raw() & self.words.get(_IMSC, 0))
        if level != self._level:
            self._level = level
            self.wires.interrupt(self.row.irq, level)

    def load(self, offset: int) -> int:
        """Reading DR takes a character."""
        if offset == _DR:
            value = self._fifo.popleft() if self._fifo else 0
            self.update()
            if not self._fifo:
                self.wires.schedule(self.next_event())
            return value
        if offset == _FR:
            return _EMPTY_TRANSMITTER | (0 if self._fifo else _EMPTY_RECEIVER)
        if offset in (_RIS, _MIS):
            return self._raw() & (self.words.get(_IMSC, 0) if offset == _MIS else 0x7FF)
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Writing DR sends."""
        if offset == _DR:
            if self.words.get(_CR, 0) & (_ON | _TRANSMIT) == _ON | _TRANSMIT:
                self.wires.transmit(value & 0xFF)
        elif offset not in (_FR, _ICR, _RIS, _MIS):
            super().store(offset, value)
            self.update()
            self.wires.wake()
