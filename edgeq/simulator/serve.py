"""A virtual board's console for other programs: a pseudo-terminal, or a loopback socket."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from edgeq.errors import PortError
from edgeq.simulator.board import Ended, VirtualBoard

_CHUNK = 4096
_OUTGOING_LIMIT = 1 << 20  # a reader that is this far behind loses what comes next, as on a real line


class Console(Protocol):
    """One end of the line."""

    port: str

    def fileno(self) -> int:
        """What to wait on for input (and new connections)."""

    def read(self) -> bytes:
        """What has come in; empty when nothing has."""

    def write(self, data: bytes) -> int:
        """Send what fits now; how many bytes did."""

    def close(self) -> None:
        """Give it back."""


class PtyConsole:
    """A pseudo-terminal in raw mode; `port` is its path.

    Raises:
        PortError: this system has none.
    """

    def __init__(self) -> None:
        try:
            import pty
            import tty
        except ImportError as missing:
            raise PortError("this system has no pseudo-terminals", next_step="use a socket (--socket)") from missing
        # The other end stays open here too, so that programs can come and go.
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)

    def fileno(self) -> int:
        """The master's descriptor."""
        return self._master

    def read(self) -> bytes:
        """What a program has written to the terminal."""
        try:
            return os.read(self._master, _CHUNK)
        except (BlockingIOError, OSError):
            return b""

    def write(self, data: bytes) -> int:
        """What the terminal takes now."""
        try:
            return os.write(self._master, data[:_CHUNK])
        except BlockingIOError:
            return 0
        except OSError as failed:
            if failed.errno == errno.EIO:
                return len(data)  # nobody there
            raise

    def close(self) -> None:
        """Hang up."""
        os.close(self._master)
        os.close(self._slave)


class SocketConsole:
    """A loopback TCP port that serves one program at a time; `port` is its socket:// URL."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._peer: socket.socket | None = None
        self.port = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def fileno(self) -> int:
        """The connection's descriptor, or the listener's while there is none."""
        return (self._peer or self._listener).fileno()

    def read(self) -> bytes:
        """What the peer has sent; accepts one first."""
        if self._peer is None:
            with suppress(BlockingIOError):
                self._peer, _ = self._listener.accept()
                self._peer.setblocking(False)
                self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return b""
        try:
            data = self._peer.recv(_CHUNK)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._peer.close()
            self._peer = None
        return data

    def write(self, data: bytes) -> int:
        """What the connection takes now; with nobody there it is lost, as on a real line."""
        if self._peer is None:
            return len(data)
        try:
            return self._peer.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)

    def close(self) -> None:
        """Hang up."""
        if self._peer is not None:
            self._peer.close()
        self._listener.close()


class Line:
    """A console with the board's outgoing bytes queued in front of it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._outgoing = bytearray()

    def send(self, data: bytes) -> None:
        """Queue bytes."""
        if len(self._outgoing) < _OUTGOING_LIMIT:
            self._outgoing += data

    def flush(self) -> bool:
        """Send what goes out now; whether all of it did."""
        while self._outgoing:
            count = self.console.write(bytes(self._outgoing[:_CHUNK]))
            if count == 0:
                return False
            del self._outgoing[:count]
        return True


def serve(
    board: VirtualBoard,
    line: Line,
    *,
    stop: Callable[[], bool] = lambda: False,
    watch: int | None = None,
    slice_cycles: int = 500_000,
) -> None:
    """Run a board whose `transmitted` is `line.send` until `stop()` says so or `watch` is closed.

    A sleeping core costs nothing: this waits for input, for the next timer in real time, or for `watch`.

    Args:
        watch: a descriptor that ends the service when it is closed at its other end (standard input).

    Raises:
        BoardFault: the firmware has crashed.
    """
    console = line.console
    while not stop():
        arrived = console.read()
        if arrived:
            board.feed(arrived)
        ended = board.run(slice_cycles, slice_cycles=slice_cycles, skip_sleep=False)
        sent = line.flush()
        if watch is not None and _closed(watch):
            return
        if ended is not Ended.IDLE or board.unread:
            continue
        wake = board.next_wake_cycles
        timeout = 0.25 if wake is None else min(0.25, wake / max(board.core_hz, 1))
        started = time.monotonic()
        _wait(console, watch, timeout, to_send=not sent)
        elapsed = int((time.monotonic() - started) * max(board.core_hz, 1))
        board.sleep_for(elapsed if wake is None else max(1, min(elapsed, wake)))


def _wait(console: Console, watch: int | None, timeout: float, *, to_send: bool) -> None:
    with selectors.DefaultSelector() as selector:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if to_send else 0)
        selector.register(console.fileno(), events)
        if watch is not None:
            with suppress(PermissionError):  # a plain file can't be waited for
                selector.register(watch, selectors.EVENT_READ)
        selector.select(timeout)


def _closed(descriptor: int) -> bool:
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(descriptor, selectors.EVENT_READ)
        except (PermissionError, ValueError):
            return False
        if not selector.select(0):
            return False
    try:
        return os.read(descriptor, _CHUNK) == b""
    except OSError:
        return True
