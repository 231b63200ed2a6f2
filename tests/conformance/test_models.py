"""The MLPerf Tiny networks as a whole, compiled for this computer, on real data where there is some."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conformance.cases import Array
from conformance.machine import Machine

from edgeq.graph import Graph
from edgeq.reference import Reference
from edgeq.tflite import read

pytestmark = pytest.mark.shared

_RUNS = 20


def _quantized(values: Array, graph: Graph) -> Array:
    """Real values in the model's input quantization."""
    tensor = graph.tensors[graph.inputs[0]]
    assert tensor.quant is not None
    steps = np.round(values / tensor.quant.scale[0]) + tensor.quant.zero_point[0]
    return np.clip(steps, -128, 127).astype(np.int8)


def _inputs(name: str, graph: Graph, data: Path, count: int) -> Iterator[Array]:
    shape = graph.tensors[graph.inputs[0]].shape
    if name == "kws":
        samples = np.load(data / "kws_features.npz")
        values = samples[_largest(samples)][:count]
        for x in values:
            yield (x if x.dtype == np.int8 else _quantized(x, graph)).reshape(shape)
    elif name == "ic":
        samples = np.load(data / "cifar10_subset.npz")
        for x in samples[_largest(samples)][:count]:
            yield _quantized(x.astype(np.float64), graph).reshape(shape)
    else:
        rng = np.random.default_rng(2024)
        for number in range(count):
            if name == "ad":
                yield rng.integers(-128, 128, shape).astype(np.int8)
                continue
            # Patches of colour: on plain noise the person detector always says the same.
            side = (3, 6, 12, 24, 96)[number % 5]
            patches = rng.normal(rng.integers(-60, 60), 60, (1, side, side, 3))
            image = patches.repeat(96 // side, 1).repeat(96 // side, 2)
            yield np.clip(image, -128, 127).astype(np.int8).reshape(shape)


def _largest(samples: np.lib.npyio.NpzFile) -> str:
    return max(samples.files, key=lambda key: samples[key].size)


def _compare(machine: Machine, name: str, data: Path, count: int) -> int:
    path = data / "mlperf_tiny" / f"{name}_int8.tflite"
    graph = read(path)
    reference = Reference(path.read_bytes(), graph, engine="tflite-runtime")
    model = machine.load(graph)
    seen = set()
    done = 0
    for x in _inputs(name, graph, data, count):
        (wanted,), (got,) = reference.run([x]), model.run([x])
        assert got.tobytes() == wanted.tobytes(), f"input {done}"
        seen.add(wanted.tobytes())
        done += 1
    model.close()
    assert len(seen) > count // 3, "inputs that all give the same output prove nothing"
    return done


@pytest.mark.parametrize("name", ["kws", "ic", "ad", "vww"])
def test_a_network_equals_the_reference(machine: Machine, shared: Path, name: str) -> None:
    assert _compare(machine, name, shared, _RUNS) == _RUNS


@pytest.mark.slow
def test_all_kws_predictions(machine: Machine, shared: Path) -> None:
    assert _compare(machine, "kws", shared, 1000) == 1000


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["core", "core-zig"], indirect=True)
@pytest.mark.parametrize("name", ["kws", "ic", "ad", "vww"])
def test_a_network_on_a_bare_cortex_m4(machine: Machine, shared: Path, name: str) -> None:
    assert _compare(machine, name, shared, 1) == 1


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["sanitized"], indirect=True)
@pytest.mark.parametrize("name", ["kws", "ic", "ad", "vww"])
def test_a_network_has_no_undefined_behaviour(machine: Machine, shared: Path, name: str) -> None:
    assert _compare(machine, name, shared, 2) == 2
