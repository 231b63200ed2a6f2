"""Boards behind labgrid: its real coordinator, exporter and ser2net on loopback, a board double behind them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from device_double import DeviceDouble

from edgeq.errors import DeviceError, EdgeqError, MissingDependencyError
from edgeq.importers import environments
from edgeq.measure.session import Session
from edgeq.measure.wire import Wire
from edgeq.pipeline.bench import Rules, reach
from edgeq.runners import labgrid
from edgeq.runners.names import Named

ENVIRONMENT = environments.ENVIRONMENTS["labgrid"]


def test_without_labgrid_it_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="doctor --install labgrid") as refused:
        labgrid.look("place", "127.0.0.1:1", tmp_path)
    assert "edgeq[" not in refused.value.next_step  # its pyserial would replace edgeq's


@dataclass(frozen=True)
class Lab:
    """A coordinator with places "board" (a serial port through ser2net), and "empty"."""

    coordinator: str
    cache: Path
    double: DeviceDouble
    acquired: Callable[[], str]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(what: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it didn't come"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if shutil.which("ser2net", path=os.environ["PATH"] + ":/usr/sbin") is None:
        pytest.skip(
            "ser2net, which labgrid's exporter serves serial ports with, is not installed (apt install ser2net)"
        )
    root = tmp_path_factory.mktemp("labgrid")
    cache = root / "cache"
    own = environments.isolated(ENVIRONMENT)
    if own is not None:  # the user has it already
        cache = own.parents[3]
    else:
        try:
            environments.install("labgrid", cache)
        except EdgeqError as failed:
            pytest.skip(f"labgrid can't be installed here: {failed.what[-200:]}")
    tools = environments.python_for("labgrid", cache).parent
    at = f"127.0.0.1:{free_port()}"
    running: list[subprocess.Popen[bytes]] = []

    def start(*words: str | Path) -> None:
        log = (root / f"log{len(running)}").open("wb")
        running.append(subprocess.Popen(words, cwd=root, stdout=log, stderr=log))

    def client(*words: str) -> str:
        argv = [tools / "labgrid-client", "-x", at, *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout

    with DeviceDouble() as double:
        (root / "exported.yaml").write_text(
            f"b:\n  RawSerialPort:\n    port: {double.port}\n    speed: 115200\n"
            "e:\n  NetworkPowerPort:\n    model: simplerest\n    host: 127.0.0.1\n    index: 1\n"
        )
        try:
            start(tools / "labgrid-coordinator", "-l", at)
            until(lambda: "error" not in client("places") and socket.create_connection(("127.0.0.1", int(at[10:]))))
            start(tools / "labgrid-exporter", "-c", at, "--hostname", "127.0.0.1", "-n", "loop", root / "exported.yaml")
            until(lambda: "NetworkSerialPort" in client("resources"))
            for place, group in (("board", "b"), ("empty", "e")):
                client("-p", place, "create")
                client("-p", place, "add-match", f"loop/{group}/*")
            yield Lab(at, cache, double, lambda: labgrid.look("board", at, cache))
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait(10)


@pytest.mark.slow
def test_a_board_behind_labgrid(lab: Lab, tmp_path: Path) -> None:
    """Acquired, talked to through ser2net's RFC 2217, and released; refused while somebody has it."""
    device = Named("far", target="nucleo-l4r5zi", place="board", coordinator=lab.coordinator)
    rules = Rules(tmp_path / "locks", "a test", cache=lab.cache)
    with reach(device, rules) as way:
        assert way.port.startswith("rfc2217://127.0.0.1:")
        with Wire.open(way.port, 115200) as wire:
            session = Session(wire)
            info = session.info()
            session.load(bytes(range(70)))
            assert info is not None and info.sha256 == lab.double.firmware.sha256
            assert session.run(1) and session.output(0, 70) == bytes(b ^ 0xFF for b in range(70))
        with (
            pytest.raises(DeviceError, match="already acquired"),
            labgrid.acquired("board", lab.coordinator, lab.cache),
        ):
            pass
    assert lab.acquired() == ""
    with pytest.raises(RuntimeError, match="in the midst"), reach(device, rules):
        raise RuntimeError("in the midst")
    assert lab.acquired() == ""


@pytest.mark.slow
def test_a_killed_run_gives_its_place_back(lab: Lab, tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom edgeq.runners import labgrid\n"
        "with labgrid.acquired('board', sys.argv[1], Path(sys.argv[2])):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, lab.coordinator, lab.cache], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"held\n"
    assert lab.acquired() != ""
    child.kill()
    child.communicate()
    until(lambda: lab.acquired() == "", 20.0)


@pytest.mark.slow
def test_what_labgrid_refuses_is_told(lab: Lab) -> None:
    cases = {("nowhere", lab.coordinator): "matches nothing", ("empty", lab.coordinator): "no serial port"}
    for (place, at), words in {**cases, ("board", f"127.0.0.1:{free_port()}"): "connect to coordinator"}.items():
        with pytest.raises(DeviceError, match=words) as refused, labgrid.acquired(place, at, lab.cache):
            pass
        assert refused.value.next_step
