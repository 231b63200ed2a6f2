"""The RP2040's blocks from CLOCKS to PLL_USB: clocks, resets, pads, oscillator and PLLs, which look at each other.

RP2040 Datasheet, sections 2.14 (resets), 2.15 (clocks), 2.16 (crystal), 2.17 (ring oscillator) and 2.18 (PLL).
Offsets are from CLOCKS on, a block each 16 KB.
"""

from __future__ import annotations

from edgeq.simulator.peripherals.device import Clocks
from edgeq.simulator.peripherals.rp2 import CRYSTAL_HZ, Block

_REF_CTRL, _REF_SELECTED, _SYS_CTRL, _SYS_SELECTED = 0x30, 0x38, 0x3C, 0x44
_RESETS = 0x4000
_RESET_DONE = _RESETS + 8
_ALL_RESETS = 0x01FF_FFFF
_XOSC = 0x1C000
_XOSC_STATUS = _XOSC + 4
_XOSC_ENABLE = 0xFAB
_PLL_SYS, _PLL_USB = 0x20000, 0x24000
_RING_HZ = 6_500_000  # as it starts, roughly
_LOCKED = _STABLE = 1 << 31
_POWERED_DOWN, _VCO_DOWN = 1 << 0, 1 << 5


class System(Block, Clocks):
    """An oscillator that is on is stable, a PLL that has power is locked, and a block out of reset is ready. Blocks
    still in reset answer all the same."""

    def load(self, offset: int) -> int:
        """Status registers follow what was asked for."""
        if offset == _REF_SELECTED:
            return 1 << (self.words.get(_REF_CTRL, 0) & 3)
        if offset == _SYS_SELECTED:
            return 1 << (self.words.get(_SYS_CTRL, 0) & 1)
        if offset == _RESET_DONE:
            return ~self.words.get(_RESETS, 0) & _ALL_RESETS
        if offset == _XOSC_STATUS:
            return _STABLE if self._crystal_on() else 0
        if offset in (_PLL_SYS, _PLL_USB):
            return super().load(offset) | (_LOCKED if self._locked(offset) else 0)
        return super().load(offset)

    def _crystal_on(self) -> bool:
        return self.words.get(_XOSC, 0) >> 12 == _XOSC_ENABLE

    def _locked(self, pll: int) -> bool:
        down = self.words.get(pll + 4, 0) & (_POWERED_DOWN | _VCO_DOWN)
        return self._crystal_on() and not down and self.words.get(pll + 8, 0) >= 16

    def _pll_hz(self, pll: int) -> int:
        if not self._locked(pll):
            return 0
        dividers = self.words.get(pll + 12, 0)
        by = (dividers >> 16 & 7) * (dividers >> 12 & 7)
        reference = CRYSTAL_HZ // max(self.words.get(pll, 0) & 63, 1)
        return reference * self.words.get(pll + 8, 0) // by if by else 0

    def core_hz(self) -> int:
        """clk_sys as the registers have it."""
        crystal = CRYSTAL_HZ if self._crystal_on() else 0
        if self.words.get(_SYS_CTRL, 0) & 1 == 0:
            return (_RING_HZ, 0, crystal, 0)[self.words.get(_REF_CTRL, 0) & 3]
        sources = (self._pll_hz(_PLL_SYS), self._pll_hz(_PLL_USB), _RING_HZ, crystal, 0, 0, 0, 0)
        return sources[self.words.get(_SYS_CTRL, 0) >> 5 & 7]
