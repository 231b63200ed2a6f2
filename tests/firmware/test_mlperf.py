"""Firmware for the official MLPerf Tiny runner: what that sends, and in which order, against the very runtime."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from fake_model import BUILD, ELEMENTS, WEIGHTS, fake_manifest, fake_tree
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq import target
from edgeq.codegen import for_mlperf
from edgeq.errors import UsageError
from edgeq.files import write_tree
from edgeq.measure.forms import on_the_wire
from edgeq.toolchains.host import compile_host

BOARD = target.load("nucleo-l4r5zi")
Talk = Callable[[str, bytes], list[str]]
INPUT = fake_manifest(BOARD).inputs
GREETING = 4
# The runner's own figures (mlcommons/tiny, benchmark/runner/device_under_test.py): bytes of a `db` command, fewer
# where the interface board stands between, and that every infer names its warm-ups.
CHUNK_DIRECT, CHUNK_INTERFACE = 31, 26


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not on PATH: the sanitizers come with it")
    made = {}
    for name in ("ic01", "kws01", "ad01"):
        root = tmp_path_factory.mktemp(name)
        write_tree(root, for_mlperf(fake_tree(BOARD), name).files)
        sources = [root / "main.c", root / "model.c", *sorted((root / "runtime").glob("*.c"))]
        board = Path(__file__).with_name("fake_board.c")
        flags = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DMODEL_LAYER_HOOK")
        made[name] = compile_host([*sources, board], root / "device", [root], flags, compiler="gcc")
    return made


@pytest.fixture(scope="module")
def talk(programs: dict[str, Path]) -> Talk:
    def exchange(name: str, sent: bytes) -> list[str]:
        done = subprocess.run([programs[name]], input=sent, capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("ascii").split("\r\n")[GREETING:-1]

    return exchange


def load(data: bytes, chunk: int = CHUNK_DIRECT) -> bytes:
    parts = [data[i : i + chunk].hex() for i in range(0, len(data), chunk)]
    return f"db load {len(data)}%".encode() + b"".join(f"db {p}%".encode() for p in parts)


def computed(x: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    return np.clip(x.astype(np.int32) + np.array(WEIGHTS), -128, 127).astype(np.int8)


@settings(max_examples=8, deadline=None)
@given(data=st.binary(min_size=ELEMENTS, max_size=ELEMENTS))
@pytest.mark.parametrize("name", ["ic01", "kws01", "ad01"])
def test_what_the_runner_sends_is_what_the_model_gets(talk: Talk, name: str, data: bytes) -> None:
    x = np.frombuffer(data, np.int8)
    form = {"ic01": "unsigned", "kws01": "stored", "ad01": "float"}[name]
    sent = on_the_wire([x], INPUT, form)
    assert len(sent) == ELEMENTS * (4 if form == "float" else 1)
    said = talk(name, load(sent, CHUNK_INTERFACE) + b"infer 1 0%edgeq out 0 0%")
    assert f"m-edgeq-out-[{computed(x).tobytes().hex()}]" in said


def test_pixels_are_128_more_than_int8(talk: Talk) -> None:
    said = talk("ic01", load(bytes([0, 127, 128, 255] * 3)) + b"infer 1 0%edgeq out 0 0%")
    x = np.array([-128, -1, 0, 127] * 3, np.int8)
    assert f"m-edgeq-out-[{computed(x).tobytes().hex()}]" in said


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30, 0.25, -0.25, 0.75, -1.75, 62.0, -65.5])
def test_floats_are_quantized_half_away_from_zero_and_clamped(talk: Talk, value: float) -> None:
    """scale 0.5, zero point 3."""
    sent = np.full(ELEMENTS, value, "<f4").tobytes()
    said = talk("ad01", load(sent) + b"infer 1 0%edgeq out 0 0%")
    steps = value / 0.5
    whole = -1000.0 if np.isnan(steps) else float(np.clip(np.sign(steps) * np.floor(abs(steps) + 0.5), -1000, 1000))
    x = np.full(ELEMENTS, np.clip(whole + 3, -128, 127), np.int8)
    assert f"m-edgeq-out-[{computed(x).tobytes().hex()}]" in said


@pytest.mark.parametrize("name", ["ic01", "kws01", "ad01"])
def test_the_runners_conversation(talk: Talk, name: str) -> None:
    """Its start-up, then a window of each mode: the lines that it looks for are there, once each, and in order."""
    x = np.arange(-6, 6).astype(np.int8)
    sent = on_the_wire([x], INPUT, {"ic01": "unsigned", "ad01": "float"}.get(name, "stored"))
    start = b"name%profile%"
    said = talk(name, start + load(sent) + b"infer 1 0%" + load(sent, CHUNK_INTERFACE) + b"infer 70 10%timestamp%")
    assert said[0] == "m-name-dut-[edgeq]"
    assert said[2:4] == ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", f"m-model-[{name}]"]
    assert said.count("m-load-done") == 2
    windows = [i for i, line in enumerate(said) if line.startswith("m-infer-start-")]
    assert [said[i] for i in windows] == ["m-infer-start-1", "m-infer-start-70"]
    for i in windows:
        first, last = (int(re.fullmatch(r"m-lap-us-(\d+)", said[i + k])[1]) for k in (1, 2))  # type: ignore[index]
        assert last > first and said[i + 3] == "m-infer-done"
        results = re.fullmatch(r"m-results-\[([^]]+)\]", said[i + 4])
        assert results is not None and len(results[1].split(",")) == ELEMENTS
        assert said[i + 5] == "m-ready"


def test_the_build_is_another_one_and_says_what_it_takes(talk: Talk) -> None:
    plain, made = fake_tree(BOARD), for_mlperf(fake_tree(BOARD), "ad01")
    assert made.manifest.build not in ("", BUILD, for_mlperf(fake_tree(BOARD), "ic01").manifest.build)
    assert made.manifest.input_form == "float" and plain.manifest.input_form == "stored"
    said = talk("ad01", b"edgeq info%")
    assert "m-edgeq-input-form-[float]" in said and f"m-edgeq-build-[{made.manifest.build}]" in said
    with pytest.raises(UsageError, match="no model of MLPerf Tiny"):
        for_mlperf(plain, "ic99")
