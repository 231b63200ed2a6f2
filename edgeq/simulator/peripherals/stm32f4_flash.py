"""FLASH of the STM32F42x and F43x (RM0090 chapter 3): wait states, caches, unlocking, sector and mass erase,
programming."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import Device, ProgramFault, Programming

_ACR, _KEYR, _SR, _CR = 0x00, 0x04, 0x0C, 0x10
_KEYS = (0x4567_0123, 0xCDEF_89AB)
_PG, _SER, _MER, _MER1, _STRT, _LOCK = 1 << 0, 1 << 1, 1 << 2, 1 << 15, 1 << 16, 1 << 31
_EOP, _EOPIE = 1 << 0, 1 << 24
# Of SR: alignment, parallelism and sequence errors (RM0090 section 3.9.4).
_FLAGS = ((ProgramFault.ROW, 1 << 5), (ProgramFault.WIDTH, 1 << 6), (ProgramFault.CLOSED, 1 << 7))
_ROW_BYTES = 16
_FLASH_BASE, _BANK_BYTES = 0x0800_0000, 1 << 20
_SECTORS = (*(16 << 10,) * 4, 64 << 10, *(128 << 10,) * 7)  # of each bank (RM0090 table 6)


class Flash(Device):
    """Erasing and programming take no time; option bytes can be read only."""

    def reset(self) -> None:
        """Locked."""
        super().reset()
        self._keys = 0
        self.words[_CR] = _LOCK
        self.wires.flash_write(None)
        self._apply()

    def _apply(self) -> None:
        acr = self.words.get(_ACR, 0)
        self.wires.flash_settings(acr & 15, bool(acr & 1 << 8), bool(acr & 1 << 9), bool(acr & 1 << 10))

    def load(self, offset: int) -> int:
        """SR tells what was wrong with writes to the flash."""
        if offset == _SR:
            faults = self.wires.flash_faults()
            self.words[_SR] = self.words.get(_SR, 0) | sum(flag for fault, flag in _FLAGS if faults & fault)
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Keys, control bits, wait states."""
        if offset == _KEYR:
            self._key(value)
        elif offset == _SR:
            self.words[_SR] = self.load(_SR) & ~value  # flags are cleared by writing ones
        elif offset == _CR:
            self._control(value)
        elif offset == _ACR:
            super().store(offset, value)
            self._apply()

    def _key(self, value: int) -> None:
        """A wrong key, or one too many, locks the controller until the next reset."""
        right = 0 <= self._keys < len(_KEYS) and value == _KEYS[self._keys]
        self._keys = self._keys + 1 if right else -1
        if self._keys == len(_KEYS):
            self.words[_CR] &= ~_LOCK
            self._keys = 0

    def _control(self, value: int) -> None:
        if self.words[_CR] & _LOCK:
            return
        self.words[_CR] = value & ~_STRT
        programs = value & _PG and not value & (_SER | _MER | _MER1 | _LOCK)
        self.wires.flash_write(Programming(1 << (value >> 8 & 3), _ROW_BYTES) if programs else None)
        if not value & _STRT:
            return
        if value & _EOPIE:
            self.words[_SR] = self.words.get(_SR, 0) | _EOP
        if value & _SER:
            self._erase_sector(value >> 3 & 0x1F)
        for bit, bank in ((_MER, 0), (_MER1, _BANK_BYTES)):
            if value & bit:
                self.wires.flash_erase(_FLASH_BASE + bank, _BANK_BYTES)

    def _erase_sector(self, number: int) -> None:
        bank, sector = number >> 4, number & 15
        if bank < 2 and sector < len(_SECTORS):
            start = _FLASH_BASE + bank * _BANK_BYTES + sum(_SECTORS[:sector])
            self.wires.flash_erase(start, _SECTORS[sector])
