"""MLPerf Tiny's energy mode: edgeq's firmware on a virtual board, behind an interface board, measured by an LPM01A.

The official runner itself is not part of this project. EDGEQ_MLPERF_RUNNER names its folder (benchmark/runner of
github.com/mlcommons/tiny); without it what it sends and expects is done here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mlperf_bench import ACTIVE_J, EnergyBench, environment, port_listing
from models_flatbuffer import T, single_op_model

import edgeq
from edgeq import target as targets

BOARD = targets.load("nucleo-l4r5zi")
RUNNER = os.environ.get("EDGEQ_MLPERF_RUNNER", "")
COUNT, WINDOWS, INPUT_BYTES = 400, 5, 48
# Of a window of the official runner, in whose 1 kHz samples an edge is known to a millisecond.
LONG_COUNT = 8000


@pytest.fixture(scope="module")
def image() -> bytes:
    values = np.random.default_rng(3)
    model = single_op_model(
        "FULLY_CONNECTED",
        [
            T((1, INPUT_BYTES), scale=0.5, zero_point=3, name="x"),
            T((12, INPUT_BYTES), scale=0.01, data=values.integers(-127, 128, (12, INPUT_BYTES)), name="w"),
            T((12,), "INT32", scale=0.005, data=values.integers(-500, 500, 12), name="b"),
        ],
        T((1, 12), scale=0.25, zero_point=-5, name="y"),
    )
    return bytes(edgeq.build(model, BOARD, mlperf="kws01").image)


@pytest.fixture
def bench(image: bytes) -> Iterator[EnergyBench]:
    with EnergyBench(BOARD, image) as made:
        yield made


def test_a_window_as_the_runner_asks_for_it(bench: EnergyBench) -> None:
    """Its commands through the interface board; the meter's events are the pin's, and mark the window exactly."""
    import serial

    with (
        serial.Serial(bench.interface.port, 115200, timeout=5) as line,
        serial.Serial(bench.meter.port, 3_686_400, timeout=1) as power,
    ):

        def ask(command: str) -> list[str]:
            line.write(f"dut {command}%".encode())
            assert line.readline() and line.readline() == b"m-ready\r\n"
            lines: list[str] = []
            while not lines or lines[-1] != "m-ready":
                lines.append(line.readline().decode().strip().removeprefix("[dut]: "))
            return lines

        power.write(b"start\r\n")
        assert ask("name")[0] == "m-name-dut-[edgeq]" and "m-model-[kws01]" in ask("profile")
        ask(f"db load {INPUT_BYTES}")
        for at in range(0, INPUT_BYTES, 26):  # what it sends behind an interface board
            answer = ask(f"db {bytes(range(at, min(at + 26, INPUT_BYTES))).hex()}")
        assert "m-load-done" in answer
        said = ask(f"infer {COUNT} 10")
        assert "m-infer-done" in said and any(word.startswith("m-results-[") for word in said)
        first, second = (int(re.sub(r"\D", "", w)) for w in said if w.startswith("m-lap-us-"))
        time.sleep(0.2)
        measured = power.read(power.in_waiting).decode().split("\r\n")
    events = [i for i, word in enumerate(measured) if word.startswith("event")]
    assert len(events) == 2 and len(bench.falls) == 2
    samples = [word for word in measured[events[0] : events[1]] if word.endswith("-08")]
    assert len(samples) == pytest.approx(bench.window_seconds[0] * 1000, abs=1.5)
    # The pulses lie around the timestamps.
    assert 0 <= bench.window_seconds[0] - (second - first) * 1e-6 < 200e-6
    assert {round(float(s.replace("-08", "e-08")) / ACTIVE_J, 3) for s in samples} == {1.0}


@pytest.mark.slow
@pytest.mark.skipif(not RUNNER, reason="EDGEQ_MLPERF_RUNNER doesn't name a copy of the official runner")
def test_the_official_runner_completes(bench: EnergyBench, tmp_path: Path) -> None:
    data = tmp_path / "data" / "kws01"
    data.mkdir(parents=True)
    rng = np.random.default_rng(5)
    for i in range(WINDOWS):
        (data / f"{i}.bin").write_bytes(rng.bytes(INPUT_BYTES))
    (data / "y_labels.csv").write_text("".join(f"{i}.bin,12,{i}\n" for i in range(WINDOWS)))
    devices = [
        {"name": "stm32h573i-dk", "type": "interface", "preference": 2, "baud": 115200, "usb": {0x0483: 0x374E}},
        {"name": "lpm01a", "type": "power", "baud": 3686400, "preference": 2, "voltage": 1.8, "usb": {0x0483: 0x5740}},
        {"name": "edgeq", "type": "dut", "baud": {"energy": 115200}, "usb": {}},
    ]
    script = {"name": "k", "model": "kws01", "truth_file": "y_labels.csv"}
    steps = [{f"loop {WINDOWS}": ["download", f"infer {LONG_COUNT} 10"]}]
    import yaml

    (tmp_path / "devices.yaml").write_text(yaml.safe_dump(devices))
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({"kws01": {**script, "script": steps}}))
    words = ["main.py", "-d", "devices.yaml", "-t", "tests.yaml", "-s", "data", "-m", "e"]
    code = port_listing(bench) + (
        f"import runpy, sys\nsys.path.insert(0, {RUNNER!r})\nsys.argv = {words!r}\n"
        f"runpy.run_path({str(Path(RUNNER) / 'main.py')!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=200
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told[-3000:]
    assert len(bench.falls) == 2 * WINDOWS
    seconds = float(np.median(bench.window_seconds))
    assert seconds > 0.15
    expected_uj = seconds * 1000 * ACTIVE_J / LONG_COUNT * 1e6
    (median,) = re.findall(r"Median energy cost is ([\d.]+) uJ/inf", told)
    assert float(median) == pytest.approx(expected_uj, rel=0.01)
    (results,) = tmp_path.glob("sessions/*/results.json")
    windows = json.loads(results.read_text())
    assert [len(w["power"]["timestamps"]) for w in windows] == [2] * WINDOWS
    assert all(len(w["infer"]["results"]) == 12 for w in windows)
