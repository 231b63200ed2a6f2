"""Energy meters: one file and one row of `edgeq.registry.METERS` each, opened by `open_meter`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import cast

from edgeq import registry
from edgeq.measure.energy.measurement import Meter, Plan

Opener = Callable[[str, Plan], AbstractContextManager[Meter]]
"""A row's object: address ("" to find the only one) and plan → an open meter."""


def open_meter(plan: Plan) -> AbstractContextManager[Meter]:
    """The meter that a plan names, connected and set up.

    Raises:
        UsageError: no such meter.
        MissingDependencyError: its package isn't installed.
        DeviceError: it isn't there, or doesn't answer.
    """
    name, _, address = plan.meter.partition(":")
    opener = cast(Opener, registry.load(registry.METERS, name, "meter"))
    return opener(address, plan)
