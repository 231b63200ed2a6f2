"""Two command lines, two processes, one device: the second is told who has it, and gets it when the first has ended."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import Edgeq, Said
from device_double import DeviceDouble

from edgeq.runners import locks

PICO = "raspberry-pi-pico"
# The command line on a machine whose only drive is the folder that it is given.
WITH_DRIVE = """
import sys
from pathlib import Path
from edgeq.runners import uf2
drive = Path(sys.argv.pop(1))
uf2.RUNNER = uf2.Uf2(mounts=lambda: [drive], settle_s=30.0)
from edgeq.cli.main import run
run()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of the locks."""
    monkeypatch.setenv("EDGEQ_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("EDGEQ_DEVICES", str(tmp_path / "devices.toml"))
    return tmp_path / "locks"


@contextmanager
def first(folder: Path, *arguments: str | Path, code: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has a lock by the time that this begins."""
    script = code or "from edgeq.cli.main import run; run()"
    words = [sys.executable, "-c", script, *map(str, arguments)]
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not any(other.pid == child.pid for other in locks.holders(folder)):
            assert child.poll() is None and time.monotonic() < end, "the first process has taken nothing"
            time.sleep(0.05)
        yield child
    finally:
        child.kill()
        child.wait()


def refused(said: Said, child: subprocess.Popen[bytes], command: str) -> None:
    error = said.json["error"]
    assert said.code == 5 and error["facts"]["reason"] == "locked", error
    assert f"in use by edgeq {command}" in error["what"] and f"pid {child.pid} " in error["what"]


def test_a_monitor_keeps_others_off_its_port(edgeq: Edgeq, model: Path, folder: Path, tmp_path: Path) -> None:
    """Whatever they want of it: and by a link to it too."""
    data = tmp_path / "data.npz"
    link = tmp_path / "by-id"
    with DeviceDouble() as double, first(folder, "monitor", double.port) as child:
        link.symlink_to(double.port)
        board = ("nucleo-l4r5zi", "--port", link)
        refused(edgeq("monitor", link, "--seconds", "1", "--until", "x", "--json"), child, "monitor")
        refused(edgeq("profile", model, "--target", *board, "--json"), child, "monitor")
        refused(edgeq("evaluate", model, "--data", data, "--on", *board, "--json"), child, "monitor")
        refused(edgeq("deploy", model, "--target", *board, "--json"), child, "monitor")
        refused(edgeq("flash", model, "--target", *board, "--json"), child, "monitor")
        waited = edgeq("monitor", link, "--seconds", "1", "--until", "x", "--wait", "0.3", "--json")
        refused(waited, child, "monitor")
        assert "waited 0.3 s" in waited.json["error"]["what"]
        assert double.firmware.seen == []
        child.send_signal(signal.SIGINT)  # Ctrl-C, the usual end
        assert child.wait(10) == 130
        assert edgeq("monitor", link, "--send", "name%", "--until", "m-ready", "--seconds", "10").code == 0
    assert locks.holders(folder) == ()


def test_what_flash_finds_by_itself_is_locked(edgeq: Edgeq, folder: Path, tmp_path: Path, process: Edgeq) -> None:
    """A bootloader's drive: flashed by a process that is killed in the midst, while another wants it."""
    drive = tmp_path / "RPI-RP2"
    drive.mkdir()
    (drive / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n")
    image = tmp_path / "firmware.bin"
    image.write_bytes(bytes(0x100) + struct.pack("<II", 0x2000_1000, 0x1000_0201) + bytes(0x200))  # behind boot2
    words = (drive, "flash", image, "--target", PICO, "--json", "--no-hello")
    with first(folder, *words, code=WITH_DRIVE) as child:
        refused(process(*words, code=WITH_DRIVE), child, "flash")
        # A device that hides while it is flashed: who has one is said instead.
        hidden = process(drive / "nothing", *words[1:], code=WITH_DRIVE)
        assert hidden.code == 5 and f"pid {child.pid} " in hidden.json["error"]["next_step"]
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert locks.holders(folder) == ()
    with first(folder, *words, code=WITH_DRIVE) as again:  # it got as far as the first
        again.terminate()
        again.wait(20)
        assert locks.holders(folder) == ()
