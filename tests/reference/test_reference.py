"""Reference: both engines give the bytes that tflite-runtime 2.14's reference kernels give."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import RELU, RELU6, NetBuilder, digits_int8_tflite
from models_flatbuffer import O, T, model_bytes, single_op_model

from edgeq import registry, tflite
from edgeq.errors import DataError, UnsupportedError, UsageError
from edgeq.reference import Reference
from edgeq.reference.fully_connected import quantized_multiplier, requantize

needs_2_14 = pytest.mark.skipif(
    not registry.installed("tflite_runtime"), reason="tflite-runtime 2.14 has no wheel for this Python"
)


def int8_dense(
    rng: np.random.Generator,
    columns: int,
    rows: int,
    *,
    per_channel: bool,
    bias: bool = True,
    activation: int = 0,
    before: bool = False,
    output_scale: float = 0.05,
) -> bytes:
    """One int8 FULLY_CONNECTED (behind a RELU when `before`), a MAXIMUM behind it."""
    scale_in, zero_in = float(rng.uniform(0.002, 0.1)), int(rng.integers(-128, 128))
    scales = rng.uniform(0.001, 0.02, rows if per_channel else 1).astype(np.float32)
    net = NetBuilder()
    x = net.input((2, columns), "int8", quant=(scale_in, zero_in))
    if before:
        x = net.op("RELU", [x], (2, columns), "int8", version=2, quant=(scale_in, zero_in))
    weights = net.constant(
        rng.integers(-127, 128, (rows, columns)).astype(np.int8), quant=(scales, np.zeros_like(scales), 0)
    )
    ends = [x, weights]
    if bias:
        product = np.float32(scale_in) * scales
        values = rng.integers(-3000, 3000, rows).astype(np.int32)
        ends.append(net.constant(values, quant=(product, np.zeros_like(product), 0)))
    quant = (output_scale, int(rng.integers(-128, 128)))
    y = net.op("FULLY_CONNECTED", ends, (2, rows), "int8", version=6, quant=quant, fusedActivationFunction=activation)
    floor = net.constant(np.full((2, rows), -128, np.int8), quant=quant)
    return net.finish([net.op("MAXIMUM", [y, floor], (2, rows), "int8", version=2, quant=quant), y])


def same_on_both(data: bytes, rng: np.random.Generator, runs: int = 3) -> list[Any]:
    graph = tflite.parse(data)
    old, new = Reference(data, graph, "tflite-runtime"), Reference(data, graph, "litert")
    outputs: list[Any] = []
    for _ in range(runs):
        inputs = [rng.integers(-128, 128, graph.tensors[i].shape).astype(np.int8) for i in graph.inputs]
        wanted, got = old.run(inputs), new.run(inputs)
        assert len(wanted) == len(got) == len(graph.outputs)
        for a, b in zip(wanted, got, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_array_equal(a, b)
        outputs += wanted
    return outputs


@needs_2_14
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    columns=st.integers(1, 70),
    rows=st.integers(1, 20),
    per_channel=st.booleans(),
    bias=st.booleans(),
    activation=st.sampled_from([0, RELU, RELU6]),
    before=st.booleans(),
    output_scale=st.sampled_from([1e-4, 0.003, 0.05, 3.0]),
)
def test_fully_connected_is_replayed_bit_for_bit(
    seed: int,
    columns: int,
    rows: int,
    per_channel: bool,
    bias: bool,
    activation: int,
    before: bool,
    output_scale: float,
) -> None:
    rng = np.random.default_rng(seed)
    data = int8_dense(
        rng,
        columns,
        rows,
        per_channel=per_channel,
        bias=bias,
        activation=activation,
        before=before,
        output_scale=output_scale,
    )
    same_on_both(data, rng)


@needs_2_14
def test_a_converted_network_is_the_same_on_both_engines() -> None:
    outputs = same_on_both(digits_int8_tflite(), np.random.default_rng(0), runs=30)
    assert len(np.unique(np.stack(outputs))) > 10


@needs_2_14
@pytest.mark.shared
@pytest.mark.parametrize("name", ["ad", "kws", "ic"])
def test_the_reference_models_are_the_same_on_both_engines(shared: Path, name: str) -> None:
    data = (shared / "mlperf_tiny" / f"{name}_int8.tflite").read_bytes()
    same_on_both(data, np.random.default_rng(1), runs=20 if name == "ad" else 4)


@pytest.mark.shared
def test_the_replay_is_what_makes_ad_agree(shared: Path) -> None:
    """Without it LiteRT's own kernel differs, so the test above would notice a replay that does nothing."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    data = (shared / "mlperf_tiny" / "ad_int8.tflite").read_bytes()
    graph = tflite.parse(data)
    plain = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    plain.allocate_tensors()
    sample = np.random.default_rng(2).integers(-128, 128, (1, 640)).astype(np.int8)
    plain.set_tensor(plain.get_input_details()[0]["index"], sample)
    plain.invoke()
    raw = plain.get_tensor(plain.get_output_details()[0]["index"])
    assert np.any(raw != Reference(data, graph, "litert").run([sample])[0])


def gemmlowp(value: int, multiplier: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier in plain integers, as its C++ reads."""
    product = value * (1 << max(shift, 0)) * multiplier
    nudge = (1 << 30) if product >= 0 else 1 - (1 << 30)
    total = product + nudge
    high = abs(total) // (1 << 31) * (1 if total >= 0 else -1)
    right = max(-shift, 0)
    mask = (1 << right) - 1
    threshold = (mask >> 1) + (1 if high < 0 else 0)
    return (high >> right) + (1 if (high & mask) > threshold else 0)


@given(
    value=st.integers(-(2**24), 2**24),
    multiplier=st.integers(2**30, 2**31 - 1),
    shift=st.integers(-31, 6),
)
def test_requantize_is_gemmlowps(value: int, multiplier: int, shift: int) -> None:
    got = requantize(np.array([value], np.int64), np.array([multiplier]), np.array([shift]))
    assert int(got[0]) == gemmlowp(value, multiplier, shift)


@given(real=st.floats(1e-8, 1e4))
def test_quantized_multiplier_expresses_the_factor(real: float) -> None:
    mantissa, exponent = quantized_multiplier(real)
    assert 2**30 <= mantissa < 2**31
    assert abs(mantissa * 2.0 ** (exponent - 31) / real - 1) < 1e-9


def test_quantized_multiplier_at_the_edges() -> None:
    assert quantized_multiplier(0.0) == (0, 0)
    assert quantized_multiplier(1e-12) == (0, 0)
    assert quantized_multiplier(1.0 - 1e-12) == (2**30, 1)  # rounds up to the next power of two


def test_wrong_inputs_are_named() -> None:
    data = digits_int8_tflite()
    reference = Reference(data, tflite.parse(data))
    with pytest.raises(DataError, match="1 inputs, 0 were given"):
        reference.run([])
    with pytest.raises(DataError, match=r"'image' is INT8 \(1, 8, 8, 1\), not float32 \(1, 8, 8, 1\)"):
        reference.run([np.zeros((1, 8, 8, 1), np.float32)])
    with pytest.raises(DataError, match=r"not int8 \(8, 8\)"):
        reference.run([np.zeros((8, 8), np.int8)])


def test_a_custom_operator_is_refused_with_its_name() -> None:
    net = NetBuilder()
    data = net.finish([net.custom("MyOperator", [net.input((1, 4))], (1, 4))])
    with pytest.raises(UnsupportedError, match="MyOperator"):
        Reference(data, tflite.parse(data))


def test_svdf_with_an_int8_state_never_reaches_an_interpreter() -> None:
    net = NetBuilder()
    x = net.input((1, 4), "int8", quant=(0.1, 0))
    weights = net.constant(np.ones((4, 4), np.int8), quant=(0.1, 0))
    time = net.constant(np.ones((4, 2), np.int8), quant=(0.1, 0))
    state = net.tensor((1, 8), "int8", "state", (0.1, 0))
    net.graph.tensors[state].isVariable = True
    data = net.finish([net.op("SVDF", [x, weights, time, -1, state], (1, 4), "int8", quant=(0.1, 0), rank=1)])
    with pytest.raises(UnsupportedError, match="int8 state"):
        Reference(data, tflite.parse(data))


@needs_2_14
@pytest.mark.parametrize("kind", ["ELU", "TILE", "DEPTH_TO_SPACE"])
def test_an_operator_without_reference_kernel_runs_amid_others(kind: str) -> None:
    """As a part of a network: no interpreter may meet its name among those it has no kernel for."""
    shape = (1, 2, 2, 4)
    out, version, ends, options = {
        "ELU": (shape, 1, [], {}),
        "TILE": ((1, 4, 2, 4), 3, [T((4,), "INT32", data=[1, 2, 1, 1])], {}),
        "DEPTH_TO_SPACE": ((1, 4, 4, 1), 2, [], {"block_size": 2}),
    }[kind]
    tensors = [T(shape, scale=0.1), T(shape, scale=0.1), *ends, T(out, scale=0.1), T(out, scale=0.1)]
    last = len(tensors) - 1
    operators = [
        O("RELU", [0], [1], version=2),
        O(kind, [1, *range(2, 2 + len(ends))], [last - 1], options, version=version),
        O("RELU", [last - 1], [last], version=2),
    ]
    data = model_bytes(tensors, operators, [0], [last])
    values = np.arange(-8, 8).astype(np.int8).reshape(shape)
    (got,) = Reference(data, tflite.parse(data), "tflite-runtime").run([values])
    kept = np.maximum(values, 0)
    if kind == "TILE":
        kept = np.tile(kept, (1, 2, 1, 1))
    if kind == "DEPTH_TO_SPACE":
        kept = kept.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(out)
    assert got.tobytes() == kept.tobytes()


@needs_2_14
def test_a_broadcast_that_ends_the_process_goes_to_the_other_engine() -> None:
    shapes = (1, 2, 2, 3, 2), (3, 2)
    parts = [T(s, scale=0.1) for s in shapes]
    data = single_op_model("MUL", parts, T(shapes[0], scale=0.1), version=2)
    graph = tflite.parse(data)
    with pytest.raises(UnsupportedError, match="more than 4 dimensions"):
        Reference(data, graph, "tflite-runtime")
    reference = Reference(data, graph)
    assert reference.name.startswith("litert")
    (got,) = reference.run([np.full(shapes[0], 20, np.int8), np.full(shapes[1], 30, np.int8)])
    assert np.all(got == 60)


def test_an_unknown_engine_is_wrong_use() -> None:
    data = digits_int8_tflite()
    with pytest.raises(UsageError, match="tflite-runtime, litert"):
        Reference(data, tflite.parse(data), "xnnpack")  # type: ignore[arg-type]


def test_the_name_says_engine_and_version() -> None:
    data = digits_int8_tflite()
    name = Reference(data, tflite.parse(data), "litert").name
    assert name.startswith("litert ") and name.endswith("BUILTIN_REF + integer FULLY_CONNECTED")


@needs_2_14
def test_an_interpreter_that_tensorflow_breaks_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """tflite-runtime 2.14 crashes the process when TensorFlow was imported before it."""
    monkeypatch.setitem(sys.modules, "tensorflow", ModuleType("tensorflow"))
    monkeypatch.delitem(sys.modules, "tflite_runtime.interpreter", raising=False)
    data = digits_int8_tflite()
    graph = tflite.parse(data)
    assert Reference(data, graph).name.startswith("litert")
    with pytest.raises(UsageError, match="crashes"):
        Reference(data, graph, "tflite-runtime")
