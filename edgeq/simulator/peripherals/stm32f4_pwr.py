"""PWR of the STM32F427/429 (RM0090 chapter 5)."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import Device

_CR, _CSR = 0x00, 0x04
_OVER_DRIVE = 1 << 16 | 1 << 17  # ODEN and ODSWEN; ODRDY and ODSWRDY sit in the same places of CSR
_VOSRDY = 1 << 14


class Pwr(Device):
    """Power control. Over-drive and voltage scaling are ready at once."""

    def load(self, offset: int) -> int:
        """The ready bits follow what was asked for."""
        if offset == _CSR:
            return super().load(_CSR) & ~_OVER_DRIVE | self.words.get(_CR, 0) & _OVER_DRIVE | _VOSRDY
        return super().load(offset)
