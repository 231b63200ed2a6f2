"""The drive that a DAPLink probe shows (github.com/ARMmbed/DAPLink, docs/MSD_COMMANDS.md and DETAILS.TXT).

DAPLink erases the whole chip before it programs a file, unless its page erasing is on: it says which in DETAILS.TXT.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import UnsupportedError
from edgeq.runners.contract import FlashOptions
from edgeq.runners.drives import MARKS, ProbeDrive, details, words_of


@dataclass(frozen=True)
class DaplinkDrive(ProbeDrive):
    """The runner."""

    name: str = "daplink-drive"
    probe: str = "DAPLink"

    def accepts(self, drive: Path) -> bool:
        """DETAILS.TXT names DAPLink, and not its bootloader, which would take the file as firmware for the probe."""
        if not ProbeDrive.accepts(self, drive):
            return False
        mode = details(drive).get("daplink mode", "interface").lower()
        return "daplink" in words_of(drive / MARKS[0]).lower() and mode == "interface"

    def check_erase(self, drive: Path, options: FlashOptions) -> None:
        """Raises UnsupportedError unless page erasing is on, or erasing everything is allowed."""
        if options.allow_erase or details(drive).get("page erasing") == "1":
            return
        raise UnsupportedError(
            "this DAPLink erases the whole chip before it programs (DETAILS.TXT: Page erasing is not 1)",
            where=str(drive),
            next_step="add --allow-erase, or use --runner pyocd, which erases only what it writes",
            reason="erase",
        )


RUNNER = DaplinkDrive()
