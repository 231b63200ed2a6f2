"""`edgeq monitor` through pyserial's URLs, with pyserial's own RFC 2217 server on the other side of a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from command_line import Edgeq
from device_double import DeviceDouble

serial = pytest.importorskip("serial")
from serial import rfc2217  # noqa: E402 - after the check

ASK = ("--send", "name%", "--until", "m-ready", "--seconds", "10")
ANSWER = "m-name-dut-[double-board]"


class Adapter(serial.Serial):  # type: ignore[misc, name-defined]
    """A pseudo-terminal that has modem lines as a USB adapter has them; what DTR and RTS are is kept."""

    cts = dsr = ri = cd = False

    def __init__(self, *words: Any, **more: Any) -> None:
        self.levels: list[tuple[bool, bool]] = []
        super().__init__(*words, **more)

    def _update_dtr_state(self) -> None:
        self.levels.append((bool(self._dtr_state), bool(self._rts_state)))

    _update_rts_state = _update_dtr_state


def _pump(port: Adapter, link: socket.socket, manager: Any, stop: threading.Event) -> None:
    while not stop.is_set():
        with suppress(OSError, TypeError):  # closed meanwhile
            data = port.read(max(1, port.in_waiting))
            if data:
                link.sendall(b"".join(manager.escape(data)))


class _Link:
    """What the server writes its own answers to."""

    def __init__(self, link: socket.socket) -> None:
        self.write = link.sendall


@contextmanager
def served(name: str) -> Iterator[tuple[str, Adapter]]:
    """The port behind an RFC 2217 server: its URL, and the adapter."""
    stop = threading.Event()
    with Adapter(name, 115_200, timeout=0.05) as port, socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def serve() -> None:
            with suppress(OSError):
                link, _ = server.accept()
                manager = rfc2217.PortManager(port, _Link(link))
                pump = threading.Thread(target=_pump, args=(port, link, manager, stop), daemon=True)
                pump.start()
                with link:
                    while data := link.recv(1024):
                        port.write(b"".join(manager.filter(data)))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port.dtr = port.rts = False
        port.levels.clear()
        try:
            yield f"rfc2217://127.0.0.1:{server.getsockname()[1]}", port
        finally:
            stop.set()
            thread.join(10)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_rfc2217_and_a_reset_only_when_it_is_asked_for(edgeq: Edgeq) -> None:
    for options, raised in (((), False), (("--reset",), True)):
        with DeviceDouble() as double, served(double.port) as (url, adapter):
            told = edgeq("monitor", url, *ASK, *options)
            assert told.code == 0 and ANSWER in told.out, told.err
            assert any(dtr or rts for dtr, rts in adapter.levels) == raised
            assert adapter.levels[-1] == (False, False)


def test_a_socket(edgeq: Edgeq) -> None:
    """Raw bytes, as socat and ser2net serve them."""
    with DeviceDouble() as double, socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        stop = threading.Event()

        def serve() -> None:
            link, _ = server.accept()
            with serial.Serial(double.port, 115_200, timeout=0.05) as port, link, suppress(OSError):
                link.settimeout(0.02)
                while not stop.is_set():
                    with suppress(TimeoutError):
                        port.write(link.recv(1024))
                    link.sendall(port.read(max(1, port.in_waiting)))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        told = edgeq("monitor", url, *ASK)
        stop.set()
        thread.join(10)
    assert told.code == 0 and ANSWER in told.out


def test_a_port_without_such_lines_is_told(edgeq: Edgeq) -> None:
    with DeviceDouble() as double:
        told = edgeq("monitor", double.port, "--reset", "--seconds", "1")
    assert told.code == 2 and "no DTR and RTS" in told.err
