"""Whole networks of the kinds that people deploy: quantized by TensorFlow, then bit for bit on host and core."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conformance.machine import Machine
from models_flatbuffer import O, T, model_bytes
from networks import NETWORKS
from towers import towers

from edgeq import registry
from edgeq.memory import arrange
from edgeq.optimize import compile_program
from edgeq.reference import Reference
from edgeq.tflite import parse

_SCRIPT = Path(__file__).parents[1] / "networks.py"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All networks, made in a process of their own."""
    if not registry.installed("tensorflow"):
        pytest.skip("TensorFlow, which makes the networks, is not installed here")
    made = tmp_path_factory.mktemp("networks")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, _SCRIPT, made], capture_output=True, text=True, timeout=600, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return made


def keyword_network() -> bytes:
    """Keyword spotting as it runs on a stream: three SVDF layers that each remember eight frames, a dense layer and
    SOFTMAX; one frame an inference."""
    rng = np.random.default_rng(11)
    units, rank, memory, scale = 24, 2, 8, 0.05
    tensors, operators, depth = [T((1, 40), scale=scale, zero_point=-3)], [], 40
    for _ in range(3):
        at, before = len(tensors), scale
        feature, time = 0.01, 2.0**-15
        state = before * feature * depth**0.5 * 0.5
        scale = state * 5 * memory**0.5
        tensors += [
            T((units * rank, depth), scale=feature, data=rng.integers(-127, 128, (units * rank, depth))),
            T((units * rank, memory), "INT16", scale=time, data=rng.integers(-32767, 32768, (units * rank, memory))),
            T((units,), "INT32", scale=state * time, data=rng.integers(-1000, 1000, units)),
            T((1, memory * units * rank), "INT16", scale=state, is_variable=True),
            T((1, units), scale=scale, zero_point=-20),
        ]
        options = {"rank": rank, "fused_activation_function": "RELU"}
        operators.append(O("SVDF", [at - 1, at, at + 1, at + 2, at + 3], [at + 4], options, version=3))
        depth = units
    at = len(tensors)
    tensors += [
        T((4, units), scale=0.01, data=rng.integers(-127, 128, (4, units))),
        T((4,), "INT32", scale=scale * 0.01, data=rng.integers(-100, 100, 4)),
        T((1, 4), scale=scale * 0.02, zero_point=5),
        T((1, 4), scale=1 / 256, zero_point=-128),
    ]
    operators.append(O("FULLY_CONNECTED", [at - 1, at, at + 1], [at + 2], version=4))
    operators.append(O("SOFTMAX", [at + 2], [at + 3], {"beta": 1.0}, version=2))
    return model_bytes(tensors, operators, [0], [at + 3])


@pytest.mark.parametrize("machine", ["host", "core"], indirect=True)
def test_operators_in_another_order_equal_the_reference(machine: Machine) -> None:
    model = towers()
    program = arrange(compile_program(parse(model), machine.core)).program
    assert [op.kind for op in program.graph.ops] == ["CONV_2D", "MAX_POOL_2D"] * 2 + ["ADD"]
    assert [op.index for op in program.graph.ops] == [step.op.index for step in program.steps] == list(range(5))
    _compare(machine, model, 3)


def _compare(machine: Machine, model: bytes, runs: int) -> None:
    graph = parse(model, name="network")
    reference, loaded = Reference(model, graph), machine.load(graph)
    rng = np.random.default_rng(3)
    seen = set()
    for number in range(runs):
        inputs = [rng.integers(-128, 128, graph.tensors[i].shape).astype(np.int8) for i in graph.inputs]
        wanted, got = reference.run(inputs), loaded.run(inputs)
        for a, b in zip(got, wanted, strict=True):
            assert a.tobytes() == b.tobytes(), f"run {number}: {np.count_nonzero(a != b)} of {a.size} differ"
        seen.add(wanted[0].tobytes())
    loaded.close()
    assert len(seen) > 1 or runs == 1, "outputs that never change prove nothing"


@pytest.mark.parametrize("machine", ["host", "core", "helium"], indirect=True)
def test_keywords_in_a_stream_equal_the_reference(machine: Machine) -> None:
    _compare(machine, keyword_network(), 20)


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["host"], indirect=True)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_equals_the_reference(machine: Machine, folder: Path, name: str) -> None:
    _compare(machine, (folder / f"{name}.tflite").read_bytes(), 5)


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["core", "helium"], indirect=True)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_equals_the_reference_on_a_microcontroller(machine: Machine, folder: Path, name: str) -> None:
    _compare(machine, (folder / f"{name}.tflite").read_bytes(), 1)
