"""At each precision a nested layer computes the bytes of the plain int4 model that it stands for."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from conformance import machine as machines
from conformance.cases import Case, fill
from conformance.machine import Machine
from conformance.strategies import convolutions, fully_connected
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from edgeq import tflite
from edgeq.errors import UnsupportedError
from edgeq.graph import Graph, Level, Nested, NestedLayer
from edgeq.kernels import Program, choose, lower
from edgeq.reference import Reference
from edgeq.target import Core
from edgeq.tflite.nested import attach


@st.composite
def nested_models(draw: st.DrawFn, base: st.SearchStrategy[Case]) -> bytes:
    """An int8 layer with lower precisions: scales and biases of their own, not those that its bits suggest."""
    model = draw(base).model
    graph = tflite.parse(model)
    (op,) = graph.ops
    weights, bias = graph.input_of(op, 1), graph.input_of(op, 2)
    assume(weights is not None and bias is not None and weights.quant is not None)
    assume(weights.quant.scale.min() > 0 and not weights.quant.zero_point.any())
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    channels = weights.shape[0]
    levels = {}
    for bits, step in ((4, 16), (2, 32)):
        scale = np.broadcast_to(weights.quant.scale, (channels,)) * step * rng.uniform(0.5, 1.5, channels)
        levels[bits] = Level(scale.astype(np.float32), (bias.data.reshape(-1) // step).astype(np.int32))
    layer = NestedLayer(op.inputs[1], op.inputs[2], MappingProxyType(levels))
    return attach(model, Nested((8, 4, 2), (layer,)))


LAYERS = {
    "CONV_2D": convolutions(),
    "CONV_2D, 1x1": convolutions(fixed_filter=1),
    "FULLY_CONNECTED": fully_connected(),
}


def rescaled_fits(graph: Graph) -> bool:
    """Whether no sum leaves 32 bits when it is rescaled: there the reference overflows, which C++ leaves undefined."""
    (op,) = graph.ops
    source, weights, bias = (graph.input_of(op, position) for position in range(3))
    assert source is not None and weights is not None and bias is not None
    assert source.quant is not None and weights.quant is not None
    result = graph.output_of(op).quant
    assert result is not None
    channels = bias.data.size
    taps = np.abs(weights.data.astype(np.float64)).reshape(channels, -1).sum(axis=1)
    largest = 255 * taps + np.abs(bias.data.reshape(-1).astype(np.float64))
    return bool((largest * source.quant.scale[0] * weights.quant.scale / result.scale[0] < 2**30).all())


def drawn(name: str, examples: int, core: Core) -> list[tuple[Graph, int, bytes]]:
    """Nested models that the kernel table accepts, each with a precision and its plain model at that."""
    found: list[tuple[Graph, int, bytes]] = []

    @settings(
        max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(nested_models(LAYERS[name]))
    def note(model: bytes) -> None:
        graph = tflite.parse(model, name="case")
        assume(all(choose(graph, op, core).kernel for op in graph.ops))
        bits = (8, 4, 2)[len(found) % 3]
        try:
            lower(graph, core)
        except UnsupportedError:  # scales that a rule refuses at some precision
            assume(False)
        plain = tflite.at_precision(model, bits)
        assume(rescaled_fits(tflite.parse(plain)))
        found.append((graph, bits, plain))

    note()
    return found


def hold(machine: Machine, name: str, examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = drawn(name, examples, machine.core)
    wanted_bits = {id(graph): bits for graph, bits, _ in cases}

    def at_bits(graph: Graph, core: Core) -> Program:
        whole, bits = lower(graph, core), wanted_bits[id(graph)]
        return replace(whole, lower={}) if bits == 8 else whole.lower[bits]

    monkeypatch.setattr(machines, "compile_program", at_bits)
    loaded = machine.load_many([graph for graph, _, _ in cases])
    for number, (model, (graph, bits, plain)) in enumerate(zip(loaded, cases, strict=True)):
        reference = Reference(plain, tflite.parse(plain), engine="tflite-runtime")
        for inputs in fill(graph, number):
            (wanted,), (got,) = reference.run(inputs), model.run(inputs)
            kernel = model.program.steps[0].kernel
            assert got.tobytes() == wanted.tobytes(), (bits, kernel.symbol, kernel.types, graph.ops[0])
    for model in loaded:
        model.close()
    assert len(cases) >= examples // 2


@pytest.mark.parametrize("examples", [15, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("machine", ["host", "core"], indirect=True)
@pytest.mark.parametrize("name", LAYERS)
def test_every_precision_equals_its_plain_model(
    machine: Machine, name: str, examples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(machine, name, examples, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["core-zig", "core-watched", "core-portable", "sanitized"], indirect=True)
@pytest.mark.parametrize("name", LAYERS)
def test_every_precision_on_other_machines(machine: Machine, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(machine, name, 15, monkeypatch)
