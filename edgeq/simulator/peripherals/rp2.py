"""What most of the RP2040's blocks have in common, and its pins and microsecond timer.

RP2040 Datasheet, sections 2.1.2 (aliases), 2.3.1 (SIO), 4.6 (timer), 4.7.2 (ticks).
"""

from __future__ import annotations

from edgeq.simulator.peripherals.device import Device, Wires
from edgeq.target import Peripheral

_BLOCK = 0x4000
_ALIAS = 0x1000
CRYSTAL_HZ = 12_000_000


class Block(Device):
    """Blocks of 16 KB, whose registers appear four times: plain, and for XOR, set and clear of single bits."""

    def read(self, offset: int, size: int) -> int:
        """All aliases read alike."""
        return super().read(offset & ~(_BLOCK - _ALIAS), size)

    def write(self, offset: int, size: int, value: int) -> None:
        """The alias decides what becomes of the old value."""
        alias, offset = offset // _ALIAS % 4, offset & ~(_BLOCK - _ALIAS)
        if alias:
            old = self.load(offset & ~3)
            value <<= 8 * (offset & 3)
            self.store(offset & ~3, (old ^ value, old | value, old & ~value)[alias - 1] & 0xFFFF_FFFF)
        else:
            super().write(offset, size, value)


class MicrosecondTimer(Block):
    """TIMER and, behind it, WATCHDOG, whose ticks it counts: the crystal's clock divided by TICK. No alarms."""

    _TIMEHR, _TIMELR, _TIMERAWH, _TIMERAWL, _TICK = 0x08, 0x0C, 0x24, 0x28, 0x4000 + 0x2C
    _ENABLE, _RUNNING, _CYCLES = 1 << 9, 1 << 10, 0x1FF

    def reset(self) -> None:
        """At zero."""
        super().reset()
        self._ticks, self._rest, self._seen, self._high = 0, 0, self.wires.now(), 0

    def _count(self) -> int:
        """Ticks so far; the core's clock is taken to be since the last look what it is now."""
        now, hz, tick = self.wires.now(), self.wires.clock_hz(), self.words.get(self._TICK, 0)
        if tick & self._ENABLE and tick & self._CYCLES and hz:
            whole = (now - self._seen) * (CRYSTAL_HZ // (tick & self._CYCLES)) + self._rest
            self._ticks += whole // hz
            self._rest = whole % hz
        self._seen = now
        return self._ticks

    def load(self, offset: int) -> int:
        """Reading the low word latches the high one."""
        if offset in (self._TIMERAWL, self._TIMELR):
            count = self._count()
            self._high = count >> 32 if offset == self._TIMELR else self._high
            return count & 0xFFFF_FFFF
        if offset == self._TIMERAWH:
            return self._count() >> 32
        if offset == self._TIMEHR:
            return self._high
        if offset == self._TICK:
            value = super().load(offset)
            return value | self._RUNNING if value & self._ENABLE else value
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Another tick counts from now on."""
        if offset == self._TICK:
            self._count()
        super().store(offset, value)


class Sio(Device):
    """The pins as processor 0 has them. Whether a pin's function is SIO isn't looked at; inputs read zero."""

    _CPUID, _OUT, _OE = 0x00, 0x10, 0x20

    def __init__(self, row: Peripheral, wires: Wires) -> None:
        self._driven: dict[int, bool] = {}
        super().__init__(row, wires)

    def reset(self) -> None:
        """All pins are inputs."""
        super().reset()
        self._driven.clear()

    def load(self, offset: int) -> int:
        """GPIO_IN shows what outputs drive; the set, clear and XOR registers read as zero."""
        if offset == 0x04:
            return self.words.get(self._OUT, 0) & self.words.get(self._OE, 0)
        return super().load(offset) if offset in (self._OUT, self._OE) or offset >= 0x30 else 0

    def store(self, offset: int, value: int) -> None:
        """Value, set, clear and XOR follow each other, for the outputs and for their enables."""
        for register in (self._OUT, self._OE):
            if register <= offset <= register + 12:
                old = self.words.get(register, 0)
                self.words[register] = (value, old | value, old & ~value, old ^ value)[(offset - register) // 4]
                self._drive()
                return
        super().store(offset, value)

    def _drive(self) -> None:
        for pin in range(30):
            if self.words.get(self._OE, 0) >> pin & 1:
                level = bool(self.words.get(self._OUT, 0) >> pin & 1)
                if self._driven.get(pin) is not level:
                    self._driven[pin] = level
                    self.wires.pin(f"GP{pin}", level)
