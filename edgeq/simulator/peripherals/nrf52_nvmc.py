"""NVMC of the nRF52840: the flash controller (Product Specification, chapter NVMC)."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import Device, Programming

_READY, _READYNEXT, _CONFIG, _ERASEPAGE, _ERASEALL, _ERASEUICR, _ICACHECNF = (
    0x400, 0x408, 0x504, 0x508, 0x50C, 0x514, 0x540,
)  # fmt: skip
_ERASEPAGEPARTIAL = 0x518
_WRITE_ENABLE, _ERASE_ENABLE, _CACHE_ON = 1, 2, 1
_PAGE_BYTES, _FLASH_BYTES = 4096, 1 << 20
_UICR_BASE, _UICR_BYTES = 0x1000_1000, 4096
# Other writes end in a hard fault (section "Writing to flash").
_WORDS = Programming(width_bytes=4, traps=True)


class Nvmc(Device):
    """Erasing and programming take no time. The wait states are fixed; only the instruction cache can be switched."""

    def reset(self) -> None:
        """Read only, cache off."""
        super().reset()
        self.wires.flash_write(None)
        self._apply()

    def _apply(self) -> None:
        self.wires.flash_settings(None, False, bool(self.words.get(_ICACHECNF, 0) & _CACHE_ON), False)

    def load(self, offset: int) -> int:
        """Always ready."""
        return 1 if offset in (_READY, _READYNEXT) else super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """CONFIG opens the flash for writing or erasing."""
        erasing = self.words.get(_CONFIG, 0) & 3 == _ERASE_ENABLE
        if offset == _CONFIG:
            super().store(offset, value)
            self.wires.flash_write(_WORDS if value & 3 == _WRITE_ENABLE else None)
        elif offset == _ICACHECNF:
            super().store(offset, value)
            self._apply()
        elif offset in (_ERASEPAGE, _ERASEPAGEPARTIAL):
            if erasing and value < _FLASH_BYTES:
                self.wires.flash_erase(value & ~(_PAGE_BYTES - 1), _PAGE_BYTES)
        elif offset == _ERASEALL:
            if erasing and value & 1:
                self.wires.flash_erase(0, _FLASH_BYTES)
                self.wires.flash_erase(_UICR_BASE, _UICR_BYTES)
        elif offset == _ERASEUICR:
            if erasing and value & 1:
                self.wires.flash_erase(_UICR_BASE, _UICR_BYTES)
        else:
            super().store(offset, value)
