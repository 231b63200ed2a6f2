"""The whole loop on a virtual board: flash, simulate, profile, deploy."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Edgeq

from edgeq import pipeline
from edgeq.errors import DeviceError
from edgeq.measure.session import Session
from edgeq.measure.wire import Wire

for package in ("unicorn", "capstone", "ziglang", "elftools", "serial"):
    pytest.importorskip(package)

TARGET = ("--target", "nucleo-l4r5zi")


@pytest.fixture(scope="module")
def built(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    pipeline.build(model, "nucleo-l4r5zi", output=folder)
    return folder


def boards_of(parent: int) -> set[int]:
    """Processes of virtual boards that this process has started."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ours = f"PPid:\t{parent}\n" in (process / "status").read_text()
            if ours and b"edgeq.simulator" in (process / "cmdline").read_bytes():
                found.add(int(process.name))
    return found


def gone(boards: set[int]) -> bool:
    """Whether they have ended, soon."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if not any(alive(board) for board in boards):
            return True
        time.sleep(0.1)
    return False


def alive(process: int) -> bool:
    try:
        # A zombie has no command line any more.
        return b"edgeq.simulator" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def test_flash_and_read_back(edgeq: Edgeq, built: Path) -> None:
    said = edgeq("flash", built / "firmware.bin", *TARGET, "--sim", "--json")
    assert said.code == 0, said.err
    assert said.json["verified"] is True and "read back" in said.json["verification"]
    same = [edgeq("flash", built / name, *TARGET, "--sim", "--json").json for name in ("firmware.hex", "firmware.elf")]
    assert {s["size_bytes"] for s in same} == {said.json["size_bytes"]}
    assert edgeq("flash", built, *TARGET, "--sim").out.startswith("nucleo-l4r5zi: written and verified")


def test_profile(edgeq: Edgeq, model: Path, built: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    said = edgeq("profile", model, *TARGET, "--sim", "--samples", "3", "--runs", "5", "-o", report)
    assert said.code == 0, said.err
    assert "bit-exact" in said.out and "simulated" in said.out
    body = json.loads(report.read_text())
    assert body["provenance"] == "simulated" and body["cycle_model"]["name"]
    assert body["validation"] | {"inputs": ""} == body["validation"] | {"inputs": "", "bit_exact": True, "samples": 3}
    assert body["latency"]["runs"] == 5
    assert sum(layer["macs"] for layer in body["layers"]) == body["model"]["macs"] == 84
    assert body["memory"]["flash_bytes"] == (built / "firmware.bin").stat().st_size
    assert 0 < body["memory"]["stack_bytes"] <= body["memory"]["stack_reserved_bytes"]


def test_the_standard_commands_tell_the_same_time(model: Path, built: Path) -> None:
    """`infer` counts microseconds with a timer of its own, and the copy of the input with them; edgeq's command
    counts core cycles of the layers alone."""
    with pipeline.simulate(built, "nucleo-l4r5zi") as board, Wire.open(board.port, 115200) as wire:
        session = Session(wire)
        info = session.info()
        assert info is not None and info.clock_hz == 120_000_000
        session.load(bytes(12))
        cycles = session.run(1)[0]
        run = session.infer(200, 1)
        assert 0 < run.elapsed_us / 200 - cycles / 120 < 4
        assert len(run.results) == 7
        # What the device prints are the real values of the bytes that it gives.
        real = [(b - 256 if b > 127 else b) * 0.25 + 1.25 for b in session.output(0, 7)]
        assert run.results == pytest.approx(real, abs=1e-3)


def test_data_from_a_file(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "x.npz", x=np.linspace(-60, 60, 48).reshape(4, 12).astype(np.float32))
    said = edgeq("profile", model, *TARGET, "--sim", "--data", tmp_path / "x.npz", "--json")
    assert said.code == 0, said.err
    assert said.json["validation"]["samples"] == 4 and said.json["validation"]["inputs"] == "x.npz"


def test_deploy(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    said = edgeq("deploy", model, *TARGET, "--sim", "--samples", "2", "--json", "--build", tmp_path / "b")
    assert said.code == 0, said.err
    body = said.json
    assert body["check"]["fits"] and body["flash"]["verified"] and body["profile"]["validation"]["bit_exact"]
    assert body["check"]["flash"]["used_bytes"] == body["build"]["memory"]["flash_bytes"]
    assert body["check"]["flash"]["estimated"] is False
    assert (tmp_path / "b" / "firmware.bin").is_file()


def test_deploy_of_what_does_not_fit_builds_nothing(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    said = edgeq("deploy", model, *TARGET, "--sim", "--reserve-ram", "640K", "--build", tmp_path / "b")
    assert said.code == 1 and "does not fit" in said.err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("form", [[], ["--socket"]])
def test_simulate_prints_a_port_that_profile_can_use(edgeq: Edgeq, model: Path, built: Path, form: list[str]) -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from edgeq.cli.main import run; run()",
            "simulate",
            built / "firmware.bin",
            *TARGET,
            *form,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, a shell has Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert child.stdout is not None
        port = child.stdout.readline().split()[1]
        assert port.startswith("socket://" if form else "/dev/")
        said = edgeq("profile", model, *TARGET, "--port", port, "--samples", "2", "--firmware", built, "--json")
        assert said.code == 0, said.err
        assert said.json["provenance"] == "simulated"
        assert said.json["memory"]["flash_bytes"] == (built / "firmware.bin").stat().st_size
        other = edgeq("profile", model, *TARGET, "--port", port, "--samples", "2")
        assert other.code == 0, other.err
        claimed = edgeq("profile", model, *TARGET, "--port", port, "--samples", "2", "--hardware")
        assert claimed.code == 2 and "virtual board" in claimed.err
        boards = boards_of(child.pid)
        assert boards
    finally:
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 130
    assert gone(boards)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_board_outlives_its_command(built: Path, number: signal.Signals) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "from edgeq.cli.main import run; run()", "simulate", built, *TARGET],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    child.stdout.readline()
    boards = boards_of(child.pid)
    assert boards
    child.send_signal(number)
    assert child.wait(20) == (143 if number == signal.SIGTERM else -9)
    assert gone(boards)


def test_a_fault_of_the_firmware_is_told_with_its_place(model: Path) -> None:
    """The first instruction of the model becomes an undefined one."""
    firmware = pipeline.build(model, "nucleo-l4r5zi")
    place = firmware.symbols["model_invoke"][0]
    broken = bytearray(firmware.image)
    broken[place - firmware.base : place - firmware.base + 2] = b"\xff\xde"  # udf #255
    crashing = replace(firmware, image=bytes(broken))
    with pytest.raises(DeviceError, match="in model_invoke") as caught:
        pipeline.profile(model, "nucleo-l4r5zi", sim=True, firmware=crashing, samples=1)
    assert f"{place:08X}" in str(caught.value).upper()


def test_the_users_own_target_can_be_simulated(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    shipped = pipeline.load_target("nucleo-l4r5zi").path.read_text()
    mine = tmp_path / "my-board.toml"
    mine.write_text(shipped.replace('name = "nucleo-l4r5zi"', 'name = "my-board"'))
    said = edgeq("profile", model, "--target", mine, "--sim", "--samples", "2", "--json")
    assert said.code == 0, said.err
    assert said.json["target"] == "my-board"


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("name", ["kws", "vww", "ic", "ad"])
def test_the_reference_models_are_bit_exact(edgeq: Edgeq, shared: Path, name: str) -> None:
    model = shared / "mlperf_tiny" / f"{name}_int8.tflite"
    said = edgeq("profile", model, *TARGET, "--sim", "--samples", "2", "--json")
    assert said.code == 0, said.err
    assert said.json["validation"]["bit_exact"] is True
