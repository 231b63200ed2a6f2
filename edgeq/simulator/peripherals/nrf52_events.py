"""What the blocks of the nRF52 have in common: tasks that are written, events that are raised, one interrupt.

nRF52840 Product Specification, chapter "Peripheral interface".
"""

from __future__ import annotations

from edgeq.simulator.peripherals.device import Device

_TASKS_END, _EVENTS, _EVENTS_END = 0x100, 0x100, 0x180
_SHORTS, _INTEN, _INTENSET, _INTENCLR = 0x200, 0x300, 0x304, 0x308


class EventDevice(Device):
    """Registers below 0x100 are tasks, those from 0x100 on events; event n interrupts with bit n of INTEN."""

    def reset(self) -> None:
        """No events, no interrupts."""
        super().reset()
        self._enabled = 0
        self._level = False

    def task(self, offset: int) -> None:
        """A task is triggered."""

    def raise_event(self, offset: int) -> None:
        """An event happens."""
        self.words[offset] = 1
        self.update()

    def short(self, bit: int) -> bool:
        """Whether SHORTS has that bit."""
        return bool(self.words.get(_SHORTS, 0) >> bit & 1)

    def interrupts(self, event: int) -> bool:
        """Whether that event may interrupt."""
        return bool(self._enabled >> (event - _EVENTS) // 4 & 1)

    def update(self) -> None:
        """The interrupt line: any event that is set and enabled."""
        level = any(
            self._enabled >> bit & 1 and self.words.get(_EVENTS + 4 * bit, 0)
            for bit in range((_EVENTS_END - _EVENTS) // 4)
        )
        if level != self._level:
            self._level = level
            if self.row.irq >= 0:
                self.wires.interrupt(self.row.irq, level)

    def load(self, offset: int) -> int:
        """Tasks read as zero; INTENSET and INTENCLR both read what is enabled."""
        if offset in (_INTEN, _INTENSET, _INTENCLR):
            return self._enabled
        return 0 if offset < _TASKS_END else super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Tasks, events, interrupt enables."""
        if offset < _TASKS_END:
            if value & 1:
                self.task(offset)
        elif offset in (_INTEN, _INTENSET, _INTENCLR):
            before = self._enabled
            self._enabled = {_INTEN: value, _INTENSET: before | value, _INTENCLR: before & ~value}[offset]
            self.update()
            self.wires.wake()
        else:
            super().store(offset, value)
            if offset < _EVENTS_END:
                self.update()
