"""Does the board that was just flashed answer, and with the build that was flashed?"""

from __future__ import annotations

import time
from dataclasses import dataclass

from edgeq.codegen.tree import Manifest
from edgeq.errors import DeviceError, PortError
from edgeq.measure.answers import DeviceInfo
from edgeq.measure.session import Session
from edgeq.measure.wire import Wire

# Reasons of a PortError that pass while a board re-enumerates.
_PASSING = ("absent", "gone", "busy")


@dataclass(frozen=True)
class Greeting:
    """What a board answered.

    Attributes:
        info: None from firmware without edgeq's command.
    """

    port: str
    device_name: str
    info: DeviceInfo | None

    def __str__(self) -> str:
        if self.info is None:
            return f"'{self.device_name}' answers at {self.port}; it has no edgeq command"
        return f"'{self.device_name}' answers at {self.port}: model '{self.info.model}', build {self.info.build}"


def greet(port: str, baud: int, manifest: Manifest, *, timeout_s: float = 15.0) -> Greeting:
    """Ask a board which build it runs, and wait for its port where that is still coming back.

    Args:
        manifest: of the build that it should run.

    Raises:
        PortError: the port can't be opened.
        DeviceError: it doesn't answer, or runs something else.
    """
    end = time.monotonic() + timeout_s
    while True:
        try:
            with Wire.open(port, baud) as wire:
                session = Session(wire)
                found = Greeting(port, session.device_name, session.info())
            break
        except PortError as failed:
            if failed.facts.get("reason") not in _PASSING or time.monotonic() >= end:
                raise
            time.sleep(0.25)
    info = found.info
    if info is None or (info.sha256, info.build) != (manifest.model_sha256.lower(), manifest.build):
        runs = (
            f"model '{info.model}', build {info.build or '(unnamed)'}" if info else "firmware without edgeq's command"
        )
        raise DeviceError(
            f"the board runs {runs}, not what was flashed: model '{manifest.model_name}', build {manifest.build}",
            where=port,
            next_step="reset the board; check that this is that board's console (--port), and that "
            "it boots from its flash",
            device_build=info.build if info else "",
            build=manifest.build,
        )
    return found
