"""Whole networks of the kinds that people deploy: quantized by TensorFlow, then bit for bit on host and core."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conformance.machine import Machine
from networks import NETWORKS

from edgeq import registry
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


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["host"], indirect=True)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_equals_the_reference(machine: Machine, folder: Path, name: str) -> None:
    _compare(machine, (folder / f"{name}.tflite").read_bytes(), 5)


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["core"], indirect=True)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_equals_the_reference_on_a_cortex_m4(machine: Machine, folder: Path, name: str) -> None:
    _compare(machine, (folder / f"{name}.tflite").read_bytes(), 1)
