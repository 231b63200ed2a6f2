"""The drive that an ST-Link shows; see `edgeq.runners.drives.ProbeDrive`."""

from __future__ import annotations

from dataclasses import dataclass

from edgeq.runners.drives import ProbeDrive


@dataclass(frozen=True)
class StlinkDrive(ProbeDrive):
    """The runner."""

    name: str = "stlink-drive"
    probe: str = "ST-Link"


RUNNER = StlinkDrive()
