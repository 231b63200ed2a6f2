"""Machines, made once per session."""

from __future__ import annotations

import pytest
from conformance.helium import HeliumMachine
from conformance.machine import CoreMachine, HostMachine, Machine, NotHereError, SanitizedMachine

from edgeq import registry

_MAKERS = {
    "host": HostMachine,
    "sanitized": SanitizedMachine,
    "core": lambda folder: CoreMachine("gcc", folder=folder),
    "core-watched": lambda folder: CoreMachine("gcc", watch=True, folder=folder),
    "core-zig": lambda folder: CoreMachine("zig", folder=folder),
    "helium": lambda folder: HeliumMachine("gcc", folder),
    "helium-zig": lambda folder: HeliumMachine("zig", folder),
    "m0plus": lambda folder: CoreMachine("gcc", watch=True, folder=folder, name="raspberry-pi-pico"),
    "m0plus-zig": lambda folder: CoreMachine("zig", folder=folder, name="raspberry-pi-pico"),
    "m7": lambda folder: CoreMachine("gcc", folder=folder, name="nucleo-h7a3zi-q"),
    "m33": lambda folder: CoreMachine("gcc", folder=folder, name="nrf5340dk"),
    "core-portable": lambda folder: CoreMachine("gcc", special=False, folder=folder),
}


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Machine]:
    """Filled as machines are asked for."""
    return {}


@pytest.fixture
def machine(
    request: pytest.FixtureRequest, machines: dict[str, Machine], tmp_path_factory: pytest.TempPathFactory
) -> Machine:
    """The machine named by the test's parameter, the host without one."""
    name = getattr(request, "param", "host")
    if not registry.installed("tflite_runtime"):
        pytest.skip("the reference, tflite-runtime 2.14, is not installed here")
    if name not in machines:
        try:
            machines[name] = _MAKERS[name](tmp_path_factory.mktemp(name))
        except NotHereError as missing:
            pytest.skip(str(missing))
    return machines[name]
