"""What figures over a port may be called."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from device_double import DeviceDouble

from edgeq.errors import UsageError
from edgeq.measure.origin import is_emulated, provenance

linux = pytest.mark.skipif(sys.platform != "linux", reason="whose a port is can be seen on Linux only")


@contextmanager
def console_of_a_simulator(form: str) -> Iterator[str]:
    """A process that is called like a virtual board and has a console like one, without a board behind it."""
    program = (
        "import sys; from edgeq.simulator.serve import PtyConsole, SocketConsole\n"
        f"console = {form}(); print(console.port, flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, "edgeq.simulator"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        yield child.stdout.readline().strip()
    finally:
        child.communicate("", timeout=20)


def test_pseudo_terminals_and_loopback_are_never_hardware(tmp_path: Path) -> None:
    with DeviceDouble() as device:
        assert is_emulated(device.port)
        link = tmp_path / "ttyACM0"
        link.symlink_to(device.port)
        assert is_emulated(str(link))
    assert is_emulated("socket://localhost:3333")
    assert is_emulated("socket://127.0.0.1:3333")
    assert is_emulated("socket://[::1]:3333")
    assert is_emulated("loop://")
    assert not is_emulated("/dev/ttyACM0")
    assert not is_emulated("socket://192.0.2.7:3333")


@pytest.mark.parametrize(
    "host", ["", "LocalHost", "0.0.0.0", "0", "127.1", "2130706433", "[::ffff:127.0.0.1]", "[::]", "127.0.0.2"]
)
@pytest.mark.parametrize("scheme", ["socket", "SOCKET", "rfc2217"])
def test_this_machine_has_many_names(scheme: str, host: str) -> None:
    assert is_emulated(f"{scheme}://{host}:3333")


@linux
def test_a_pseudo_terminal_under_another_name_is_one(tmp_path: Path) -> None:
    node = tmp_path / "ttyUSB0"
    with DeviceDouble() as device:
        try:
            os.mknod(node, 0o020600, Path(device.port).stat().st_rdev)
        except PermissionError:
            pytest.skip("device nodes need root")
        assert is_emulated(str(node))


@linux
@pytest.mark.parametrize("form", ["PtyConsole", "SocketConsole"])
def test_a_virtual_board_is_never_hardware_whatever_is_said(form: str) -> None:
    pytest.importorskip("unicorn")
    with console_of_a_simulator(form) as port:
        for name in (port, f"spy://{port}"):
            with pytest.raises(UsageError, match="virtual board of edgeq") as caught:
                provenance(name, hardware=True)
            assert "--hardware" in caught.value.next_step
        assert provenance(port) == provenance(port, hardware=False) == "simulated"


def test_what_the_user_knows_of_a_pseudo_terminal() -> None:
    with DeviceDouble() as device:
        assert provenance(device.port) == "simulated"
        assert provenance(device.port, hardware=True) == "measured"
        assert provenance(device.port, hardware=False) == "simulated"


def test_a_serial_device_of_this_machine_is_hardware() -> None:
    assert provenance("/dev/ttyACM0") == "measured"


@pytest.mark.parametrize("scheme", ["socket", "rfc2217", "SOCKET"])
def test_a_remote_port_needs_a_word(scheme: str) -> None:
    port = f"{scheme}://192.0.2.7:3333"
    with pytest.raises(UsageError) as caught:
        provenance(port)
    assert "--hardware" in caught.value.next_step and "--simulated" in caught.value.next_step
    assert provenance(port, hardware=True) == "measured"
    assert provenance(port, hardware=False) == "simulated"
