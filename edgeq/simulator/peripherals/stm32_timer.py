"""General-purpose timers of the STM32 (RM0432 section 38): up-counting, update interrupt."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import NEVER, Device

_CR1, _DIER, _SR, _EGR, _CNT, _PSC, _ARR = 0x00, 0x0C, 0x10, 0x14, 0x24, 0x28, 0x2C


class Timer(Device):
    """Counts the clock of the first peripheral bus (twice that where the bus is slower than the core) over PSC + 1."""

    def reset(self) -> None:
        """Stopped, at zero."""
        super().reset()
        self._start = 0  # the cycle at which the counter was zero
        self._overflows = 0

    def _period(self) -> int:
        return self.words.get(_ARR, 0xFFFF_FFFF) + 1

    def _divider(self) -> int:
        return (self.words.get(_PSC, 0) + 1) * self.wires.timer_divider()

    def _running(self) -> bool:
        return bool(self.words.get(_CR1, 0) & 1)

    def _ticks(self) -> int:
        return (self.wires.now() - self._start) // self._divider()

    def next_event(self) -> int:
        """The next update, when it interrupts."""
        if not self._running() or not self.words.get(_DIER, 0) & 1 or self.words.get(_SR, 0) & 1:
            return NEVER
        return self._start + (self._overflows + 1) * self._period() * self._divider()

    def advance(self, now: int, asleep: bool) -> None:
        """Set the update flag when the counter has wrapped."""
        if self._running() and self._ticks() // self._period() > self._overflows:
            self._overflows = self._ticks() // self._period()
            self.words[_SR] = self.words.get(_SR, 0) | 1
            self._update()

    def _update(self) -> None:
        level = bool(self.words.get(_SR, 0) & self.words.get(_DIER, 0) & 1)
        if self.row.irq >= 0:
            self.wires.interrupt(self.row.irq, level)

    def load(self, offset: int) -> int:
        """CNT is worked out from the clock."""
        if offset == _CNT:
            return self._ticks() % self._period() if self._running() else super().load(_CNT)
        if offset == _SR:
            self.advance(self.wires.now(), False)
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Starting, stopping and setting the counter move its zero."""
        count = self.load(_CNT)
        if offset == _SR:
            self.words[_SR] = self.words.get(_SR, 0) & value
        elif offset == _EGR:
            count = 0 if value & 1 else count
        elif offset == _CNT:
            count = value
        else:
            super().store(offset, value)
        if offset in (_CR1, _EGR, _CNT, _PSC, _ARR):
            self.words[_CNT] = count
            self._start = self.wires.now() - count * self._divider()
            self._overflows = 0
        self._update()
        self.wires.wake()
