"""Models of peripherals by the name that a SoC's `[[peripheral]]` row gives in `model`: rows of the registry."""

from __future__ import annotations

from edgeq import registry
from edgeq.errors import TargetFileError
from edgeq.simulator.peripherals.device import Device, Wires
from edgeq.target import Peripheral


def make(row: Peripheral, wires: Wires) -> Device:
    """The device of a `[[peripheral]]` row.

    Raises:
        TargetFileError: there is no model of that name.
    """
    if row.model not in registry.PERIPHERALS:
        raise TargetFileError(
            f"peripheral '{row.name}' asks for the model '{row.model}'",
            where="peripheral",
            next_step=f"models: {', '.join(registry.PERIPHERALS)}",
        )
    made: Device = registry.load(registry.PERIPHERALS, row.model, "peripheral model")(row, wires)
    return made
