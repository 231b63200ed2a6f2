"""TIMER of the nRF52 (nRF52840 Product Specification, chapter TIMER): counts 16 MHz over 2^PRESCALER."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import NEVER
from edgeq.simulator.peripherals.nrf52_events import EventDevice

_TIMER_HZ = 16_000_000
_START, _STOP, _COUNT, _CLEAR, _SHUTDOWN, _CAPTURE = 0x000, 0x004, 0x008, 0x00C, 0x010, 0x040
_COMPARE, _MODE, _BITMODE, _PRESCALER, _CC, _CHANNELS = 0x140, 0x504, 0x508, 0x510, 0x540, 6
_SETTINGS = 0x200
_BITS = (16, 8, 24, 32)
_TIMER_MODE = 0


class Timer(EventDevice):
    """Six capture and compare registers, with interrupts and the shortcuts to CLEAR and STOP."""

    def reset(self) -> None:
        """Stopped, at zero."""
        super().reset()
        self._running = False
        self._count = 0  # at `_since`, when it was started, cleared or looked at last
        self._since = 0

    def _divider(self) -> int:
        """Core cycles a tick."""
        return max(1, self.wires.clock_hz() // _TIMER_HZ) << (self.words.get(_PRESCALER, 0) & 15)

    def _mask(self) -> int:
        return (1 << _BITS[self.words.get(_BITMODE, 0) & 3]) - 1

    def _catch_up(self, now: int) -> None:
        """Bring the counter up to `now`; compare events on the way."""
        if not self._running or self.words.get(_MODE, 0) != _TIMER_MODE:
            self._since = now
            return
        ticks = (now - self._since) // self._divider()
        if ticks == 0:
            return
        before, mask = self._count, self._mask()
        self._since += ticks * self._divider()
        self._count = before + ticks & mask
        for channel in range(_CHANNELS):
            behind = (self.words.get(_CC + 4 * channel, 0) - before - 1 & mask) + 1  # ticks until it matches
            if behind <= ticks:
                self._matched(channel, ticks - behind)

    def _matched(self, channel: int, ticks_ago: int) -> None:
        self.raise_event(_COMPARE + 4 * channel)
        if self.short(channel):
            self._count = ticks_ago
        if self.short(8 + channel):
            self._running = False

    def next_event(self) -> int:
        """The next compare event that interrupts."""
        if not self._running or self.words.get(_MODE, 0) != _TIMER_MODE:
            return NEVER
        waiting = [
            (self.words.get(_CC + 4 * channel, 0) - self._count - 1 & self._mask()) + 1
            for channel in range(_CHANNELS)
            if self.interrupts(_COMPARE + 4 * channel) and not self.words.get(_COMPARE + 4 * channel, 0)
        ]
        return self._since + min(waiting) * self._divider() if waiting else NEVER

    def advance(self, now: int, asleep: bool) -> None:
        """Compare events that are due; without their interrupts nobody sees the counter before it is read."""
        if self.next_event() <= now:
            self._catch_up(now)

    def task(self, offset: int) -> None:
        """Start, stop, clear, count, capture."""
        self._catch_up(self.wires.now())
        if offset == _START:
            self._running = True
        elif offset in (_STOP, _SHUTDOWN):
            self._running = False
        elif offset == _CLEAR:
            self._count = 0
        elif offset == _COUNT:
            if self.words.get(_MODE, 0) != _TIMER_MODE:
                self._count = self._count + 1 & self._mask()
        elif offset >= _CAPTURE:
            self.words[_CC + offset - _CAPTURE] = self._count
        self.wires.schedule(self.next_event())

    def load(self, offset: int) -> int:
        """Compare events are worked out when they are looked at."""
        self._catch_up(self.wires.now())
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """A changed setting counts from now on."""
        self._catch_up(self.wires.now())
        super().store(offset, value)
        if offset >= _SETTINGS:
            self.wires.schedule(self.next_event())
