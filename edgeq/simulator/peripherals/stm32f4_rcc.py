"""RCC of the STM32F405/407/427/429 (RM0090 chapter 6)."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import Clocks

_HSI_HZ = 16_000_000
_HSE_HZ = 8_000_000  # the ST-LINK's clock output on Nucleo-144 boards (UM1974, "HSE clock")
_CR, _PLLCFGR, _CFGR, _BDCR, _CSR, _DCKCFGR = 0x00, 0x04, 0x08, 0x70, 0x74, 0x8C
_ENABLES = 1 << 0 | 1 << 16 | 1 << 24 | 1 << 26 | 1 << 28  # HSION, HSEON, PLLON, PLLI2SON, PLLSAION
_TIMPRE = 1 << 24


class Rcc(Clocks):
    """Reset and clock control. An oscillator that is on is ready."""

    def load(self, offset: int) -> int:
        """Ready bits follow the enable bits, the clock in use follows the one asked for."""
        value = super().load(offset)
        if offset == _CR:
            return value & ~(_ENABLES << 1) | (value & _ENABLES) << 1
        if offset == _CFGR:
            return value & ~0xC | (value & 3) << 2
        if offset in (_BDCR, _CSR):
            return value & ~2 | (value & 1) << 1
        return value

    def core_hz(self) -> int:
        """HCLK as the registers say."""
        setting = self.words.get(_CFGR, 0)
        hz = (_HSI_HZ, _HSE_HZ, self._pll_hz(), 0)[setting & 3]
        return hz >> ((0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 6, 7, 8, 9)[setting >> 4 & 15])

    def timer_divider(self) -> int:
        """Timers run at twice PCLK1 unless that is HCLK; with TIMPRE at four times (RM0090 section 6.2, clock tree)."""
        prescaler = 1 << max(0, (self.words.get(_CFGR, 0) >> 10 & 7) - 3)
        return max(1, prescaler // (4 if self.words.get(_DCKCFGR, 0) & _TIMPRE else 2))

    def _pll_hz(self) -> int:
        setup = self.words.get(_PLLCFGR, 0)
        source = _HSE_HZ if setup & 1 << 22 else _HSI_HZ
        divider = max(setup & 0x3F, 1) * ((setup >> 16 & 3) + 1) * 2
        return source * (setup >> 6 & 0x1FF) // divider
