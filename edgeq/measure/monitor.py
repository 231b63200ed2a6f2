"""What a board says, line by line, for as long as somebody wants to know; it may be unplugged meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from edgeq.errors import EdgeqError, PortError
from edgeq.runners.port import SerialLike, explain, open_port
from edgeq.runners.port import reset as restart

Kind = Literal["line", "part", "gone", "back"]
_READ_S = 0.1
# A line that doesn't end, such as a prompt, is shown after this silence.
_PART_S = 0.3
_LONGEST_LINE = 4096


@dataclass(frozen=True)
class Heard:
    """One thing that happened.

    Attributes:
        kind: a "line"; a "part" of one, after which nothing came; the port has "gone", or is "back".
        at_s: seconds since the monitor began.
        text: the line without its end, bytes that aren't UTF-8 as \\xNN; of "gone", why.
    """

    kind: Kind
    at_s: float
    text: str = ""


class Monitor:
    """A port that is listened to; a context that closes it.

    Args:
        port: gives the port's name each time it is opened: after an unplug it may be another.
        reconnect_s: how long to wait for a port that has gone; 0, an unplug is an error.
        reset: restart the board as soon as it is listened to, by DTR and RTS; never otherwise.

    Raises:
        UsageError: `reset` on a port without such lines.
        PortError: the port can't be opened to begin with, or doesn't come back in time.
    """

    def __init__(self, port: Callable[[], str], baud: int, *, reconnect_s: float = 0.0, reset: bool = False) -> None:
        self._name_of, self._baud, self._patience = port, baud, reconnect_s
        self._name = port()
        self._port: SerialLike | None = open_port(self._name, baud)
        if reset:
            try:
                restart(self._port, self._name)
            except EdgeqError:
                self._port.close()
                raise
        self._began = time.monotonic()

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the port back."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def send(self, data: bytes) -> None:
        """Type something; lost while the port is gone."""
        if self._port is not None:
            try:
                self._port.write(data)
            except OSError:
                return  # `events` notices too

    def events(self, stop: Callable[[], bool]) -> Iterator[Heard]:
        """What comes, until `stop` says so; it is asked ten times a second."""
        buffer, last = bytearray(), time.monotonic()
        while not stop():
            try:
                data = self._read()
            except PortError as gone:
                if buffer:
                    yield self._heard("part", bytes(buffer))
                    buffer.clear()
                yield Heard("gone", self._now(), gone.what)
                self._come_back(gone, stop)
                if self._port is not None:
                    yield Heard("back", self._now(), self._name)
                continue
            if data:
                buffer += data
                last = time.monotonic()
            while (end := buffer.find(b"\n")) >= 0 or len(buffer) > _LONGEST_LINE:
                whole = 0 <= end <= _LONGEST_LINE
                yield self._heard("line", bytes(buffer[: end if whole else _LONGEST_LINE]))
                del buffer[: end + 1 if whole else _LONGEST_LINE]
            if buffer and time.monotonic() - last > _PART_S:
                yield self._heard("part", bytes(buffer))
                buffer.clear()
        if buffer:
            yield self._heard("part", bytes(buffer))

    def _read(self) -> bytes:
        assert self._port is not None
        try:
            self._port.timeout = _READ_S
            return self._port.read(max(1, self._port.in_waiting))
        except (OSError, TypeError) as failed:
            raise explain(self._name, failed) from failed

    def _come_back(self, gone: PortError, stop: Callable[[], bool]) -> None:
        self.close()
        end = time.monotonic() + self._patience
        while time.monotonic() < end and not stop():
            time.sleep(_READ_S)
            try:
                self._name = self._name_of()
                self._port = open_port(self._name, self._baud)
                return
            except PortError as absent:
                if absent.facts.get("reason") in ("busy", "locked"):
                    raise
        if not stop():
            raise PortError(
                f"the port went away: {gone.what}",
                where=self._name,
                next_step="plug the board in again" + ("" if self._patience else "; with --reconnect it is waited for"),
                reason="gone",
            )

    def _heard(self, kind: Kind, data: bytes) -> Heard:
        return Heard(kind, self._now(), data.rstrip(b"\r").decode("utf-8", "backslashreplace"))

    def _now(self) -> float:
        return time.monotonic() - self._began
