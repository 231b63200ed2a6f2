"""FLASH of the STM32L4+ (RM0432 section 3)."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import Device, Programming

_ACR, _KEYR, _OPTKEYR, _SR, _FCR = 0x00, 0x08, 0x0C, 0x10, 0x14
_LOCK, _START, _PG, _PER, _BKER = 1 << 31, 1 << 16, 1 << 0, 1 << 1, 1 << 11
_FLASH_BASE, _PAGE_BYTES, _BANK_BYTES = 0x0800_0000, 4096, 1 << 20


class Flash(Device):
    """Flash controller (RM0432 section 3): wait states, caches, unlocking, page and mass erase, programming."""

    def reset(self) -> None:
        """Locked."""
        super().reset()
        self._keys = 0
        self.words[_FCR] = self.words.get(_FCR, 0) | _LOCK
        self.wires.flash_write(None)
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
            self.wires.flash_erase(_FLASH_BASE + bank + page * _PAGE_BYTES, _PAGE_BYTES)
        elif value & _START:
            for bit, bank in ((1 << 2, 0), (1 << 15, _BANK_BYTES)):
                if value & bit:
                    self.wires.flash_erase(_FLASH_BASE + bank, _BANK_BYTES)
        if (before ^ value) & _PG:
            self.wires.flash_write(Programming() if value & _PG else None)
