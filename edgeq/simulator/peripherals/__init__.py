"""Models of peripherals by the name that a SoC's `[[peripheral]]` row gives in `model`."""

from __future__ import annotations

from collections.abc import Mapping

from edgeq.errors import TargetFileError
from edgeq.simulator.peripherals.device import Device, ReadOnly, Wires
from edgeq.simulator.peripherals.stm32_timer import Timer
from edgeq.simulator.peripherals.stm32l4_clocks import Flash, Pwr, Rcc
from edgeq.simulator.peripherals.stm32l4_uart import Lpuart
from edgeq.target import Peripheral

MODELS: Mapping[str, type[Device]] = {
    "memory": Device,
    "read-only": ReadOnly,
    "stm32l4-rcc": Rcc,
    "stm32l4-pwr": Pwr,
    "stm32l4-flash": Flash,
    "stm32-lpuart": Lpuart,
    "stm32-timer": Timer,
}


def make(row: Peripheral, wires: Wires) -> Device:
    """The device of a `[[peripheral]]` row.

    Raises:
        TargetFileError: there is no model of that name.
    """
    if row.model not in MODELS:
        raise TargetFileError(
            f"peripheral '{row.name}' asks for the model '{row.model}'",
            where="peripheral",
            next_step=f"models: {', '.join(MODELS)}",
        )
    return MODELS[row.model](row, wires)
