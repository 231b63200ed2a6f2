"""RCC, PWR and FLASH of the STM32L4+: everything that decides how fast the core and its memory are."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import Device

_MSI_HZ = (100_000, 200_000, 400_000, 800_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000,
           24_000_000, 32_000_000, 48_000_000)  # fmt: skip
_HSI_HZ = 16_000_000
_HSE_HZ = 8_000_000  # the ST-LINK's clock output on Nucleo boards (UM2179 section 6.8)
_CR, _CFGR, _PLLCFGR, _BDCR, _CSR, _CRRCR = 0x00, 0x08, 0x0C, 0x90, 0x94, 0x98


class Rcc(Device):
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

    def store(self, offset: int, value: int) -> None:
        """A change of the clock tree is told to the board."""
        before = self.core_hz()
        super().store(offset, value)
        after = self.core_hz()
        if after != before:
            self.wires.clock_changed(after)

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


class Pwr(Device):
    """Power control (RM0432 section 5). Voltage scaling is ready at once."""

    def load(self, offset: int) -> int:
        """SR2: the low-power regulator is ready, the main one has settled."""
        return 0x100 if offset == 0x14 else super().load(offset)


_ACR, _KEYR, _OPTKEYR, _SR, _FCR = 0x00, 0x08, 0x0C, 0x10, 0x14
_LOCK, _START, _PG, _PER, _BKER = 1 << 31, 1 << 16, 1 << 0, 1 << 1, 1 << 11
_PAGE_BYTES, _BANK_BYTES = 4096, 1 << 20


class Flash(Device):
    """Flash controller (RM0432 section 3): wait states, caches, unlocking, page and mass erase, programming."""

    def reset(self) -> None:
        """Locked."""
        super().reset()
        self._keys = 0
        self.words[_FCR] = self.words.get(_FCR, 0) | _LOCK
        self._apply()

    def _apply(self) -> None:
        acr = self.words.get(_ACR, 0)
        self.wires.flash_settings(acr & 15, bool(acr & 1 << 8), bool(acr & 1 << 9), bool(acr & 1 << 10))

    def store(self, offset: int, value: int) -> None:
        """Keys, control bits, wait states."""
        if offset == _KEYR:
            expected = (0x4567_0123, 0xCDEF_89AB)[min(self._keys, 1)]
            self._keys = self._keys + 1 if value == expected else 0
            if self._keys == 2:
                self.words[_FCR] &= ~_LOCK
        elif offset == _SR:
            self.words[_SR] = self.words.get(_SR, 0) & ~value  # flags are cleared by writing ones
        elif offset == _FCR:
            self._control(value)
        elif offset != _OPTKEYR:
            super().store(offset, value)
            if offset == _ACR:
                self._apply()

    def _control(self, value: int) -> None:
        before = self.words.get(_FCR, 0)
        if before & _LOCK:
            return
        self.words[_FCR] = value & ~_START
        if value & _LOCK:
            self._keys = 0
        if value & _START and value & _PER:
            page = value >> 3 & 0xFF
            bank = _BANK_BYTES if value & _BKER else 0
            self.wires.flash_erase(bank + page * _PAGE_BYTES, _PAGE_BYTES)
        elif value & _START:
            for bit, bank in ((1 << 2, 0), (1 << 15, _BANK_BYTES)):
                if value & bit:
                    self.wires.flash_erase(bank, _BANK_BYTES)
        if (before ^ value) & _PG:
            self.wires.flash_write(bool(value & _PG))
