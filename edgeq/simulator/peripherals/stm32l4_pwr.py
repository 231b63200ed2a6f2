"""PWR of the STM32L4+ (RM0432 section 5)."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import Device


class Pwr(Device):
    """Power control (RM0432 section 5). Voltage scaling is ready at once."""

    def load(self, offset: int) -> int:
        """SR2: the low-power regulator is ready, the main one has settled."""
        return 0x100 if offset == 0x14 else super().load(offset)
