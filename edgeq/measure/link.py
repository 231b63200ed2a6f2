"""A session that survives an unplug: the port is waited for, the same build must answer, and the step begins again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import TypeVar

from edgeq.errors import DeviceError, NegativeResult, PortError, ProtocolError
from edgeq.events import Listener, Progress, silent
from edgeq.measure.answers import DeviceInfo
from edgeq.measure.session import Session
from edgeq.measure.wire import Wire

T = TypeVar("T")

# A step that fails so often in a row doesn't fail by accident.
_TRIES = 4
_LOOK_EVERY_S = 0.25
# Reasons of a PortError that pass while a board comes back.
_GONE = ("absent", "gone", "busy", "permission", "refused")


class Link:
    """An open session with one device, opened again when its port goes away and comes back.

    Args:
        find: the port's name now, which may be another after an unplug; see `edgeq.runners.ports.follow`.
        wait_s: how long to wait for it; 0, not at all.

    Attributes:
        session: the one that is open.
        info: what the device said about itself at first.
        reconnections: how often it has come back.
        holding: the session whose device has the last sample as its input.
    """

    def __init__(
        self,
        find: Callable[[], str],
        baud: int,
        wait_s: float,
        trace: Callable[[str, str], None] | None = None,
        listener: Listener = silent,
    ) -> None:
        self._find, self._baud, self._wait_s = find, baud, wait_s
        self._trace, self._listener = trace, listener
        self._stack = ExitStack()
        self._again: list[Callable[[Session], object]] = []
        self.reconnections = 0
        self.repaired_before = 0
        self.session = self._open()
        self.info: DeviceInfo | None = None
        self.holding: Session | None = None
        self._identity = ""

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.session.usual_speed(self._baud)
        finally:
            self._close()

    def close(self) -> None:
        """Give the port back as it is."""
        self._close()

    @property
    def repaired(self) -> int:
        """How often something was damaged and sent again, in all sessions."""
        return self.repaired_before + self.session.repaired

    def identify(self) -> DeviceInfo | None:
        """Ask who it is, which has to stay so; None from firmware without edgeq's command."""
        self.info = self.keep(lambda session: session.info())
        if self.info is None:
            self._identity = self.keep(_standard_identity)
        return self.info

    def on_return(self, act: Callable[[Session], object]) -> None:
        """What to do with each new session, before the step that was cut off begins again."""
        self._again.append(act)

    def keep(self, step: Callable[[Session], T]) -> T:
        """Do a step, from its beginning again where the port goes away in it.

        Raises:
            PortError: it didn't come back in time.
            NegativeResult: something else came back.
            DeviceError: the step's own errors.
        """
        for attempt in range(_TRIES):
            try:
                return step(self.session)
            except PortError as failed:
                if failed.facts.get("reason") not in _GONE or not self._wait_s or attempt == _TRIES - 1:
                    raise
                self._return(failed)
        raise AssertionError("the last attempt raises")

    def _open(self) -> Session:
        wire = Wire.open(self._find(), self._baud, self._trace)
        self._stack.callback(wire.close)
        try:
            return Session(wire)
        except BaseException:
            self._close()
            raise

    def _return(self, failed: PortError) -> None:
        """Wait for the port and the device behind it, and make sure that it is the same one."""
        self.repaired_before += self.session.repaired
        self._close()
        end = time.monotonic() + self._wait_s
        last: DeviceError = failed
        while time.monotonic() < end:
            self._listener(Progress("reconnect", 0, None, detail=f"{failed.where} went away; waiting for it"))
            try:
                self.session = self._open()
                self._check_same()
                for act in self._again:
                    act(self.session)
            except (PortError, ProtocolError) as not_yet:
                last = not_yet
                self._close()
                time.sleep(_LOOK_EVERY_S)
                continue
            self.reconnections += 1
            return
        raise PortError(
            f"the port went away, and the device did not come back within {self._wait_s:g} s: {last.what}",
            where=failed.where,
            next_step="plug it in and run it again; --timeout SECONDS waits longer",
            reason="gone",
            reconnections=self.reconnections,
        ) from failed

    def _close(self) -> None:
        with contextlib.suppress(OSError):  # a port that isn't there any more
            self._stack.close()
        self._stack = ExitStack()

    def _check_same(self) -> None:
        if self.info is not None:
            found = self.session.info()
            same, now = found == self.info, f"model '{found.model}', build {found.build}" if found else "other firmware"
            before = f"model '{self.info.model}', build {self.info.build}"
        else:
            now, before = _standard_identity(self.session), self._identity
            same = now == before or not before
        if not same:
            raise NegativeResult(
                f"after the port came back another device answers: {now}, before it was {before}",
                next_step="one device has to stay at the port until the run has ended",
            )


def _standard_identity(session: Session) -> str:
    return f"{session.device_name}, {session.model_name()}"
