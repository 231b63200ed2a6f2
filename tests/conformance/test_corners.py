"""Cases that random shapes and scales reach too rarely, each with a reason."""

from __future__ import annotations

import numpy as np
import pytest
from conformance.cases import Case, held
from conformance.machine import Machine
from models_flatbuffer import T, single_op_model

from edgeq.kernels import arithmetic, choose
from edgeq.reference import Reference
from edgeq.reference.fully_connected import requantize
from edgeq.tflite import parse

_EVERYWHERE = pytest.mark.parametrize("machine", ["host", "core", "sanitized"], indirect=True)


def _product(kind: str, bias: int | None, s_out: float, zero_point: int = 5) -> bytes:
    """One output position of a convolution or fully-connected operator with all weights 127."""
    channels = 8 if kind == "DEPTHWISE_CONV_2D" else 4
    shapes = {
        "CONV_2D": ((1, 1, 1, 8), (4, 1, 1, 8), (1, 1, 1, 4)),
        "DEPTHWISE_CONV_2D": ((1, 1, 1, 8), (1, 1, 1, 8), (1, 1, 1, 8)),
        "FULLY_CONNECTED": ((1, 8), (4, 8), (1, 4)),
    }[kind]
    options: dict[str, object] = {}
    if kind != "FULLY_CONNECTED":
        options = {"stride_h": 1, "stride_w": 1, "padding": "VALID"}
    parts = [
        T(shapes[0], scale=1.0, zero_point=-3),
        T(shapes[1], scale=1.0, data=np.full(shapes[1], 127)),
    ]
    if bias is not None:
        parts.append(T((channels,), "INT32", scale=1.0, data=np.full(channels, bias)))
    out = T(shapes[2], scale=s_out, zero_point=zero_point)
    return single_op_model(kind, parts, out, options, version=3)


@_EVERYWHERE
@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
@pytest.mark.parametrize(("bias", "s_out"), [((1 << 31) - 1, 1e6), (-(1 << 31), 1.0), ((1 << 31) - 1000, 1e-3)])
def test_sums_beyond_32_bits_wrap_as_the_reference_does(machine: Machine, kind: str, bias: int, s_out: float) -> None:
    held(machine, Case(_product(kind, bias, s_out), {"kind": kind, "bias": bias, "s_out": s_out}))


def _telling_sums(a: float, b: float, out: float) -> list[int]:
    """Sums that become one byte where the product of the scales is rounded to a float, and another where it isn't."""
    product = float(np.float32(a) * np.float32(b))
    multipliers = [arithmetic.quantize_multiplier(real / out) for real in (a * b, product)]
    edges = ((n + 0.5) * out / (a * b) for n in range(-120, 120))
    near = np.array([round(edge) + d for edge in edges for d in range(-60, 61)])
    near = near[abs(near) < 1 << 29]
    once = [requantize(near, np.int64(m.value), np.int64(m.shift)) for m in multipliers]
    return [int(total) for total in near[once[0] != once[1]]]


@_EVERYWHERE
@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "FULLY_CONNECTED per channel"])
def test_the_product_of_scales_is_rounded_where_the_reference_rounds_it(machine: Machine, kind: str) -> None:
    """Its last bit decides about one byte in a hundred thousand, so random cases say nothing."""
    a, b, s_out = (float(np.float32(v)) for v in (0.7310586, 0.3333333, 1.1e6))
    sums = _telling_sums(a, b, s_out)[:64]
    assert len(sums) == 64
    one = kind.partition(" ")[0]
    shapes = {
        "CONV_2D": ((1, 1, 1, 8), (64, 1, 1, 8), (1, 1, 1, 64)),
        "DEPTHWISE_CONV_2D": ((1, 1, 1, 64), (1, 1, 1, 64), (1, 1, 1, 64)),
        "FULLY_CONNECTED": ((1, 8), (64, 8), (1, 64)),
    }[one]
    options: dict[str, object] = {}
    if one != "FULLY_CONNECTED":
        options = {"stride_h": 1, "stride_w": 1, "padding": "VALID"}
    parts = [
        T(shapes[0], scale=a),
        T(shapes[1], scale=[b] * 64 if one != kind else b, data=np.ones(shapes[1])),
        T((64,), "INT32", scale=float(np.float32(a * b)), data=sums),
    ]
    model = single_op_model(one, parts, T(shapes[2], scale=s_out), options, version=5)
    held(machine, Case(model, {"kind": kind}, ((np.zeros(shapes[0], np.int8),),)))


@_EVERYWHERE
@pytest.mark.parametrize(("across", "down"), [(2, 1), (1, 2), (2, 2)])
def test_one_position_of_a_dilated_window_is_no_matrix_times_the_input(
    machine: Machine, across: int, down: int
) -> None:
    """The window reaches beyond the input although nothing is padded before it."""
    rng = np.random.default_rng(1)
    parts = [
        T((1, 2, 2, 4), scale=0.5, zero_point=-3),
        T((4, 2, 2, 4), scale=1.0, data=rng.integers(-127, 128, (4, 2, 2, 4))),
        T((4,), "INT32", scale=0.5, data=rng.integers(-1000, 1000, 4)),
    ]
    options = {"stride_h": 2, "stride_w": 2, "padding": "SAME", "dilation_w_factor": across, "dilation_h_factor": down}
    model = single_op_model("CONV_2D", parts, T((1, 1, 1, 4), scale=60.0, zero_point=5), options, version=3)
    held(machine, Case(model, {"across": across, "down": down}))


@_EVERYWHERE
@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
@pytest.mark.parametrize("scales", [[1.0, 0.0, 2.0, 0.5], 0.0])
def test_a_weight_scale_of_zero(machine: Machine, kind: str, scales: list[float] | float) -> None:
    """What older converters write for channels whose weights are all zero."""
    rng = np.random.default_rng(2)
    weights = {"CONV_2D": (4, 2, 2, 4), "DEPTHWISE_CONV_2D": (1, 3, 3, 4), "FULLY_CONNECTED": (4, 36)}[kind]
    out = {"CONV_2D": (1, 2, 2, 4), "DEPTHWISE_CONV_2D": (1, 1, 1, 4), "FULLY_CONNECTED": (1, 4)}[kind]
    axis = 3 if kind == "DEPTHWISE_CONV_2D" and isinstance(scales, list) else 0
    parts = [
        T((1, 36) if kind == "FULLY_CONNECTED" else (1, 3, 3, 4), scale=0.5, zero_point=-3),
        T(weights, scale=scales, axis=axis, data=rng.integers(-127, 128, weights)),
        T((4,), "INT32", scale=0.5, data=[5, 7, -9, 0]),
    ]
    options: dict[str, object] = {}
    if kind != "FULLY_CONNECTED":
        options = {"stride_h": 1, "stride_w": 1, "padding": "VALID"}
    model = single_op_model(kind, parts, T(out, scale=60.0, zero_point=5), options, version=5)
    held(machine, Case(model, {"kind": kind, "scales": scales}))


@_EVERYWHERE
@pytest.mark.parametrize("depth", [511, 512, 1001, 4096, 8191])
def test_softmax_of_many_equal_elements(machine: Machine, depth: int) -> None:
    inp = T((1, depth), scale=0.1)
    model = single_op_model("SOFTMAX", [inp], T((1, depth), scale=1 / 256, zero_point=-128), {"beta": 1.0}, version=2)
    rng = np.random.default_rng(depth)
    runs = (np.zeros((1, depth), np.int8), rng.integers(-9, 1, (1, depth)).astype(np.int8))
    held(machine, Case(model, {"depth": depth}, tuple((x,) for x in runs)))


@pytest.mark.parametrize("machine", ["host", "core"], indirect=True)
def test_a_convolution_without_bias_has_a_bias_of_zero(machine: Machine) -> None:
    """tflite-runtime 2.14 refuses CONV_2D without one."""
    without, zero = _product("CONV_2D", None, 300.0), _product("CONV_2D", 0, 300.0)
    x = np.arange(-4, 4, dtype=np.int8).reshape(1, 1, 1, 8)
    (wanted,) = Reference(zero, parse(zero)).run([x])
    model = machine.load(parse(without))
    assert model.run([x])[0].tobytes() == wanted.tobytes()
    model.close()


@pytest.mark.parametrize("machine", ["host", "core"], indirect=True)
def test_per_channel_rows_that_2_14_leaves_out(machine: Machine) -> None:
    """keep_num_dims with a scale per channel: 2.14 writes the first rows only, LiteRT and this all of them."""
    rng = np.random.default_rng(7)
    weights = T((3, 8), scale=[0.1, 0.2, 0.3], data=rng.integers(-127, 128, (3, 8)))
    ends = [T((2, 3, 5, 8), scale=0.5, zero_point=4), weights, None]
    model = single_op_model("FULLY_CONNECTED", ends, T((2, 3, 5, 3), scale=20.0), {"keep_num_dims": True}, version=5)
    graph = parse(model)
    x = rng.integers(-128, 128, (2, 3, 5, 8)).astype(np.int8)
    (wanted,) = Reference(model, graph, engine="litert").run([x])
    assert np.unique(wanted).size > 20
    loaded = machine.load(graph)
    assert loaded.run([x])[0].tobytes() == wanted.tobytes()
    loaded.close()


@pytest.mark.parametrize("machine", ["host", "core", "sanitized"], indirect=True)
def test_quantize_saturates_where_the_reference_is_undefined(machine: Machine) -> None:
    out = T((1, 6), scale=0.5, zero_point=-7)
    model = machine.load(parse(single_op_model("QUANTIZE", [T((1, 6), "FLOAT32")], out)))
    x = np.array([[np.inf, -np.inf, np.nan, 1e38, -1e38, 3e9]], np.float32)
    assert model.run([x])[0].tolist() == [[127, -128, -128, 127, -128, 127]]
    model.close()


@pytest.mark.parametrize("machine", ["host", "core"], indirect=True)
def test_every_product_of_two_bytes(machine: Machine) -> None:
    """MUL over all 65,536 pairs, for factors whose rounding to float and to double differ."""
    grid = np.arange(-128, 128, dtype=np.int8)
    x, y = np.meshgrid(grid, grid)
    run = (x.reshape(1, -1).copy(), y.reshape(1, -1).copy())
    for seed in range(3):
        a, b, c = np.random.default_rng(seed).uniform(0.01, 0.1, 3).astype(np.float32)
        ends = [T((1, 65536), scale=float(a), zero_point=3), T((1, 65536), scale=float(b), zero_point=-9)]
        model = single_op_model("MUL", ends, T((1, 65536), scale=float(c) * 6), version=2)
        held(machine, Case(model, {"scales": (a, b, c)}, (run,)))


@_EVERYWHERE
@pytest.mark.parametrize("activation", ["NONE", "RELU"])
def test_every_pair_of_bytes_is_added(machine: Machine, activation: str) -> None:
    a, b = (m.astype(np.int8) for m in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    shape, zero_point = (1, 255, 257), -128 if activation == "RELU" else 5  # not a multiple of four
    parts = [T(shape, scale=0.0217, zero_point=-12), T(shape, scale=0.0574, zero_point=4)]
    out = T(shape, scale=0.0281, zero_point=zero_point)
    model = single_op_model("ADD", parts, out, {"fused_activation_function": activation}, version=2)
    pairs = (a.reshape(-1)[:-1].reshape(shape), b.reshape(-1)[:-1].reshape(shape))
    graph = parse(model)
    chosen = choose(graph, graph.ops[0], machine.core).kernel
    assert chosen is not None
    assert chosen.symbol == ("edgeq_add_weighted_s8_dsp" if "dsp" in machine.core.isa else "edgeq_add_s8")
    held(machine, Case(model, {"activation": activation}, (pairs,)))
