"""RCC of the STM32L4+ (RM0432 section 6)."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import Clocks

_MSI_HZ = (100_000, 200_000, 400_000, 800_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000,
           24_000_000, 32_000_000, 48_000_000)  # fmt: skip
_HSI_HZ = 16_000_000
_HSE_HZ = 8_000_000  # the ST-LINK's clock output on Nucleo boards (UM2179 section 6.8)
_CR, _CFGR, _PLLCFGR, _BDCR, _CSR, _CRRCR = 0x00, 0x08, 0x0C, 0x90, 0x94, 0x98


class Rcc(Clocks):
    """Reset and clock control (RM0432 section 6). An oscillator that is on is ready."""

    def load(self, offset: int) -> int:
        """Ready bits follow the enable bits, the clock in use follows the one asked for."""
        value = super().load(offset)
        if offset == _CR:
            on = value & (1 << 0 | 1 << 8 | 1 << 16 | 1 << 24 | 1 << 26 | 1 << 28)
            ready = (on & ~(1 << 8)) << 1 | (on & 1 << 8) << 2
            return value & ~(1 << 1 | 1 << 10 | 1 << 17 | 1 << 25 | 1 << 27 | 1 << 29) | ready
        if offset == _CFGR:
            return value & ~0xC | (value & 3) << 2
        if offset in (_BDCR, _CSR, _CRRCR):
            return value & ~2 | (value & 1) << 1
        return value

    def core_hz(self) -> int:
        """HCLK as the registers say."""
        source = self.words.get(_CFGR, 0) & 3
        hz = (self._msi_hz(), _HSI_HZ, _HSE_HZ, self._pll_hz())[source]
        divider = self.words.get(_CFGR, 0) >> 4 & 15
        return hz >> ((0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 6, 7, 8, 9)[divider])

    def timer_divider(self) -> int:
        """Core cycles per timer clock: timers run at twice PCLK1 unless that is HCLK (RM0432 section 6.2.17)."""
        prescaler = self.words.get(_CFGR, 0) >> 8 & 7
        return 1 << max(0, prescaler - 4)

    def _msi_hz(self) -> int:
        control = self.words.get(_CR, 0)
        selected = control >> 4 & 15 if control & 8 else self.words.get(_CSR, 0) >> 8 & 15 or 6
        return _MSI_HZ[min(selected, len(_MSI_HZ) - 1)]

    def _pll_hz(self) -> int:
        setup = self.words.get(_PLLCFGR, 0)
        source = (0, self._msi_hz(), _HSI_HZ, _HSE_HZ)[setup & 3]
        multiplier, divider = setup >> 8 & 0x7F, (setup >> 4 & 15) + 1
        return source * multiplier // divider // (((setup >> 25 & 3) + 1) * 2)
