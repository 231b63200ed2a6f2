"""What a host is: a computer or phone that runs programs for us."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Answer:
    """What a program on a host said."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Its standard output as text, without the last line's end."""
        return self.stdout.decode(errors="replace").rstrip("\r\n")


class Host(Protocol):
    """One connection to a computer or phone."""

    @property
    def name(self) -> str:
        """As the user gave it: `pi@raspberrypi.local`, a phone's serial number."""
        ...

    @property
    def folder(self) -> str:
        """A folder of ours alone on the host; it goes with the connection."""
        ...

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> Answer:
        """Run a program to its end. Words are quoted: no shell of the host sees them as anything but words.

        Raises:
            DeviceError: the connection is lost.
            ToolError: it doesn't end in time; it is stopped.
        """
        ...

    def script(self, text: str, *, timeout_s: float) -> Answer:
        """Run a script of the POSIX shell; raises as `run`."""
        ...

    def write(self, path: str, data: bytes, *, executable: bool = False) -> None:
        """Write a file.

        Raises:
            DeviceError: it can't be written; the host's own words.
        """
        ...

    def read(self, path: str) -> bytes:
        """Read a file.

        Raises:
            DeviceError: it can't be read; the host's own words.
        """
        ...


class Connector(Protocol):
    """A row of `edgeq.registry.HOSTS`."""

    def __call__(self, address: str) -> AbstractContextManager[Host]:
        """Connect; leaving the context removes the folder and hangs up.

        Raises:
            UsageError: an address that can't be one.
            DeviceError: no answer, a key that isn't known, no permission; each says what to do.
        """
        ...
