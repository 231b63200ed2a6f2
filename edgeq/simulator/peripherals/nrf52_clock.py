"""CLOCK, POWER and APPROTECT of the nRF52, which share a block (nRF52840 Product Specification, those chapters)."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import Clocks
from edgeq.simulator.peripherals.nrf52_events import EventDevice

_CORE_HZ = 64_000_000  # from the crystal or the internal oscillator, the core's clock is the same
_HFCLKSTART, _HFCLKSTOP, _LFCLKSTART, _LFCLKSTOP, _CAL = 0x000, 0x004, 0x008, 0x00C, 0x010
_HFCLKSTARTED, _LFCLKSTARTED, _DONE = 0x100, 0x104, 0x10C
_HFCLKRUN, _HFCLKSTAT, _LFCLKRUN, _LFCLKSTAT, _LFCLKSRCCOPY, _LFCLKSRC = 0x408, 0x40C, 0x414, 0x418, 0x41C, 0x518
_RUNNING, _CRYSTAL = 1 << 16, 1


class Clock(EventDevice, Clocks):
    """Oscillators that are started run at once; power settings are kept and do nothing."""

    def core_hz(self) -> int:
        """Always 64 MHz."""
        return _CORE_HZ

    def task(self, offset: int) -> None:
        """Start or stop an oscillator."""
        if offset == _HFCLKSTART:
            self.words[_HFCLKRUN] = 1
            self.words[_HFCLKSTAT] = _RUNNING | _CRYSTAL
            self.raise_event(_HFCLKSTARTED)
        elif offset == _HFCLKSTOP:
            self.words[_HFCLKRUN] = 0
            self.words[_HFCLKSTAT] = _RUNNING
        elif offset == _LFCLKSTART:
            source = self.words.get(_LFCLKSRC, 0) & 3
            self.words[_LFCLKRUN] = 1
            self.words[_LFCLKSRCCOPY] = source
            self.words[_LFCLKSTAT] = _RUNNING | source
            self.raise_event(_LFCLKSTARTED)
        elif offset == _LFCLKSTOP:
            self.words[_LFCLKRUN] = self.words[_LFCLKSTAT] = 0
        elif offset == _CAL:
            self.raise_event(_DONE)
