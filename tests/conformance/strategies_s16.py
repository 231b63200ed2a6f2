"""Operators on int16 activations: 16x8 convolutions, and what stands between them."""

from __future__ import annotations

from typing import Any

import numpy as np
from conformance.cases import ACTIVATIONS, Case, Values, float32, int8_values, rngs, scales, zero_points
from conformance.shapes import broadcastable, pooled, window
from hypothesis import strategies as st
from models_flatbuffer import T, single_op_model


def _weights(draw: st.DrawFn, rng: np.random.Generator, shape: tuple[int, ...], axis: int) -> T:
    data = int8_values(rng, shape, -127)
    if draw(st.booleans()):
        return T(shape, scale=draw(scales()), data=data)
    per_channel = [float32(draw(scales()) * 2.0**s) for s in rng.uniform(-6, 6, shape[axis])]
    return T(shape, scale=per_channel, axis=axis, data=data)


def _bias(
    draw: st.DrawFn, rng: np.random.Generator, channels: int, depth: int, scale: float = 1.0, only64: bool = False
) -> T:
    reach = draw(st.sampled_from((0, 1, 32768 * depth, 32768 * 128 * depth, 1 << 40)))
    dtype = draw(st.sampled_from(("INT64", "INT64", "INT32")))
    if only64:
        dtype = "INT64"
    if dtype == "INT32":
        reach = min(reach, (1 << 31) - 1)
    return T((channels,), dtype, scale=scale, data=rng.integers(-reach, reach + 1, channels))


def _output_scale(draw: st.DrawFn, product: float, depth: int) -> float:
    kind = draw(st.integers(0, 6))
    reach = (-6, 8) if kind == 0 else (8, 30) if kind == 1 else (-2, 4)
    return float32(product * max(depth, 1) ** 0.5 * 64 * draw(scales(*reach)))


@st.composite
def convolutions(draw: st.DrawFn, depthwise: bool) -> Case:
    """CONV_2D, grouped too, or DEPTHWISE_CONV_2D."""
    rng = draw(rngs())
    geometry = draw(window())
    batch = draw(st.sampled_from((1, 1, 2)))
    options = {**geometry.options, "fused_activation_function": draw(ACTIVATIONS)}
    if depthwise:
        in_c, multiplier = draw(st.integers(1, 6)), draw(st.sampled_from((1, 1, 2, 3)))
        options["depth_multiplier"] = multiplier
        out_c = in_c * multiplier
        shape, axis = (1, *geometry.filter, out_c), 3
        depth = int(np.prod(geometry.filter))
    else:
        groups = draw(st.sampled_from((1, 1, 2)))
        group, out_c = draw(st.integers(1, 6)), groups * draw(st.integers(1, 4))
        in_c = groups * group
        shape, axis = (out_c, *geometry.filter, group), 0
        depth = int(np.prod(shape[1:]))
    weights = _weights(draw, rng, shape, axis)
    s_in = draw(scales(-16, 0))
    inp = T((batch, *geometry.size, in_c), "INT16", scale=s_in)
    product = s_in * float(np.max(np.asarray(weights.scale)))
    out = T((batch, *geometry.out, out_c), "INT16", scale=_output_scale(draw, product, depth))
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    inputs = [inp, weights, _bias(draw, rng, out_c, depth, only64=depthwise)]
    if depthwise and draw(st.integers(0, 3)) == 0:
        inputs = inputs[:2]
    model = single_op_model(kind, inputs, out, options, version=5)
    return Case(model, {"kind": kind, "in": inp, "weights": weights, "out": out, **options})


@st.composite
def fully_connected(draw: st.DrawFn) -> Case:
    """FULLY_CONNECTED with one scale."""
    rng = draw(rngs())
    depth, outputs = draw(st.integers(1, 40)), draw(st.integers(1, 20))
    rows = draw(st.sampled_from((1, 1, 3)))
    weights = T((outputs, depth), scale=draw(scales()), data=int8_values(rng, (outputs, depth), -127))
    s_in = draw(scales(-16, 0))
    inp = T((rows, depth), "INT16", scale=s_in)
    assert isinstance(weights.scale, float)
    out = T((rows, outputs), "INT16", scale=_output_scale(draw, s_in * weights.scale, depth))
    options = {"fused_activation_function": draw(ACTIVATIONS)}
    inputs = [
        inp,
        weights,
        _bias(draw, rng, outputs, depth, float32(s_in * weights.scale)) if draw(st.booleans()) else None,
    ]
    model = single_op_model("FULLY_CONNECTED", inputs, out, options, version=7)
    return Case(model, {"in": inp, "weights": weights, "out": out, **options})


@st.composite
def pools(draw: st.DrawFn, kind: str) -> Case:
    """AVERAGE_POOL_2D and MAX_POOL_2D."""
    geometry = draw(pooled())
    batch, depth = draw(st.sampled_from((1, 1, 2))), draw(st.integers(1, 5))
    scale = draw(scales(-16, 0))
    options = {**geometry.options, "fused_activation_function": draw(ACTIVATIONS)}
    inp = T((batch, *geometry.size, depth), "INT16", scale=scale)
    out = T((batch, *geometry.out, depth), "INT16", scale=scale)
    return Case(single_op_model(kind, [inp], out, options, version=3), {"kind": kind, "in": inp, "out": out, **options})


@st.composite
def elementwise(draw: st.DrawFn, kind: str) -> Case:
    """ADD, SUB and MUL: equal shapes, broadcasting both ways, one constant side."""
    rng = draw(rngs())
    a, b, shape = draw(broadcastable())
    sa, sb = draw(scales(-18, 0)), draw(scales(-18, 0))
    typical = sa * sb * 16384 if kind == "MUL" else max(sa, sb)
    s_out = float32(typical * draw(scales(*draw(st.sampled_from(((-3, 3), (-13, 20)))))))
    constant = draw(st.sampled_from((-1, -1, 0, 1)))
    parts = [
        T(dims, "INT16", scale=scale, data=rng.integers(-32768, 32768, dims) if position == constant else None)
        for position, (dims, scale) in enumerate(((a, sa), (b, sb)))
    ]
    out = T(shape, "INT16", scale=s_out)
    options: dict[str, Any] = {"fused_activation_function": draw(ACTIVATIONS)}
    if kind != "MUL":
        options["pot_scale_int16"] = False
    model = single_op_model(kind, parts, out, options, version=4)
    return Case(model, {"kind": kind, "in": parts, "out": out, **options})


def _every(shape: tuple[int, ...]) -> tuple[tuple[Any, ...], ...]:
    """Runs that together go through all of int16, a part of them in a small shape."""
    count = int(np.prod(shape))
    values = np.arange(-32768, 32768).astype(np.int16)
    rounds = min(-(-65536 // count), 64)
    spread = np.resize(values[:: max(65536 // (rounds * count), 1)], (rounds, *shape))
    return tuple((each,) for each in spread)


@st.composite
def sigmoids(draw: st.DrawFn, kind: str) -> Case:
    """LOGISTIC and TANH: any scale, powers of two often."""
    scale = draw(st.one_of(scales(-20, 1), st.sampled_from((2.0**-12, 2.0**-11, 2.0**-13, 2.0**-15))))
    inp, out = T((64, 64), "INT16", scale=scale), T((64, 64), "INT16", scale=2.0**-15)
    return Case(single_op_model(kind, [inp], out, version=3), {"kind": kind, "in": inp}, _every((64, 64)))


@st.composite
def softmaxes(draw: st.DrawFn) -> Case:
    """SOFTMAX of one to four dimensions, odd scales and betas."""
    rank = draw(st.integers(1, 4))
    shape = (*(draw(st.integers(1, 3)) for _ in range(rank - 1)), draw(st.integers(1, 40)))
    beta = draw(st.one_of(st.just(1.0), scales(-3, 3)))
    inp = T(shape, "INT16", scale=draw(scales(-18, -4)))
    model = single_op_model("SOFTMAX", [inp], T(shape, "INT16", scale=2.0**-15), {"beta": beta}, version=3)
    return Case(model, {"in": inp, "beta": beta})


@st.composite
def means(draw: st.DrawFn) -> Case:
    """MEAN over any axes."""
    rank = draw(st.integers(1, 4))
    shape = tuple(draw(st.integers(1, 8)) for _ in range(rank))
    axes = draw(st.lists(st.integers(-rank, rank - 1), min_size=1, max_size=rank))
    keep = draw(st.booleans())
    resolved = {a % rank for a in axes}
    kept = tuple(1 if i in resolved else d for i, d in enumerate(shape) if keep or i not in resolved)
    s_in = draw(scales(-16, 0))
    s_out = s_in if draw(st.booleans()) else float32(s_in * draw(scales(-6, 6)))
    inp, out = T(shape, "INT16", scale=s_in), T(kept, "INT16", scale=s_out)
    index = T((len(axes),), "INT32", data=axes)
    model = single_op_model("MEAN", [inp, index], out, {"keep_dims": keep}, version=3)
    return Case(model, {"in": inp, "out": out, "axes": axes, "keep": keep})


@st.composite
def rescales(draw: st.DrawFn, kind: str, *only: tuple[str, str]) -> Case:
    """QUANTIZE between int8 and int16, and activations of their own."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    pairs: tuple[tuple[str, str], ...] = (("INT16", "INT16"),)
    if kind == "QUANTIZE":
        pairs = (("INT16", "INT16"), ("INT16", "INT8"), ("INT8", "INT16"), ("UINT8", "INT16"))
        pairs += (("INT16", "INT32"), ("INT32", "INT16"), ("INT32", "INT8"))
    types = draw(st.sampled_from(only or pairs))
    s_in = draw(scales(-16, 0))
    s_out = s_in if draw(st.integers(0, 3)) == 0 else float32(s_in * draw(scales(-8, 8)))
    ends = [
        T(shape, dtype, scale=scale, zero_point=_zero(draw, dtype))
        for dtype, scale in zip(types, (s_in, s_out), strict=True)
    ]
    model = single_op_model(kind, [ends[0]], ends[1], version={"RELU_N1_TO_1": 1, "QUANTIZE": 2}.get(kind, 3))
    runs = _every(shape) if types[0] == "INT16" else ()
    widens = types in (("INT8", "INT16"), ("UINT8", "INT16"))  # which 2.14 doesn't have yet
    return Case(model, {"kind": kind, "in": ends[0], "out": ends[1]}, runs, "litert" if widens else "tflite-runtime")


def _zero(draw: st.DrawFn, dtype: str) -> int:
    if dtype in ("INT16", "INT32"):
        return 0
    return draw(zero_points(0, 255) if dtype == "UINT8" else zero_points())


@st.composite
def float_ends(draw: st.DrawFn, kind: str) -> Case:
    """QUANTIZE from float and DEQUANTIZE to it."""
    rng = draw(rngs())
    scale = draw(scales(-20, 0))
    whole = T((4, 16), "INT16", scale=scale)
    if kind == "DEQUANTIZE":
        model = single_op_model(kind, [whole], T((4, 16), "FLOAT32"), version=3)
        return Case(model, {"in": whole}, _every((4, 16)))
    values = rng.uniform(-40000, 40000, 64) * scale
    ties = (np.arange(64) - 32 + 0.5) * scale * 999
    special = np.array([2.0**30, -(2.0**30), 0.0, -0.0, 32767.5, -32768.5, 1e-40, -1e-40] * 8) * scale
    runs = tuple((np.asarray(v, np.float32).reshape(4, 16),) for v in (values, ties, special))
    return Case(single_op_model(kind, [T((4, 16), "FLOAT32")], whole, version=2), {"out": whole}, runs)


@st.composite
def unary(draw: st.DrawFn, kind: str) -> Case:
    """LEAKY_RELU, ABS and EXP."""
    s_in = draw(scales(-14, -10) if kind == "EXP" else scales(-16, 0))  # exp() of float32 ends at 88
    s_out = draw(scales(-18, 16)) if kind == "EXP" else float32(s_in * draw(scales(-4, 6)))
    if kind == "ABS" and draw(st.booleans()):
        s_out = s_in
    options = {"alpha": draw(st.one_of(st.just(0.3), st.just(0.0), scales(-8, 2)))} if kind == "LEAKY_RELU" else {}
    shape = (8, 1024)
    ends = [T(shape, "INT16", scale=s) for s in (s_in, s_out)]
    version = {"LEAKY_RELU": 2, "ABS": 3, "EXP": 2}[kind]
    model = single_op_model(kind, ends[:1], ends[1], options, version=version)
    return Case(model, {"kind": kind, "scales": (s_in, s_out), **options}, _every(shape))


CASES: dict[str, Values] = {
    **{f"{kind}, int16": unary(kind) for kind in ("LEAKY_RELU", "ABS", "EXP")},
    "CONV_2D, int16": convolutions(False),
    "DEPTHWISE_CONV_2D, int16": convolutions(True),
    "FULLY_CONNECTED, int16": fully_connected(),
    "AVERAGE_POOL_2D, int16": pools("AVERAGE_POOL_2D"),
    "MAX_POOL_2D, int16": pools("MAX_POOL_2D"),
    "ADD, int16": elementwise("ADD"),
    "SUB, int16": elementwise("SUB"),
    "MUL, int16": elementwise("MUL"),
    "MEAN, int16": means(),
    "SOFTMAX, int16": softmaxes(),
    "LOGISTIC, int16": sigmoids("LOGISTIC"),
    "TANH, int16": sigmoids("TANH"),
    "QUANTIZE, int16": rescales("QUANTIZE"),
    "QUANTIZE, int16 to int8": rescales("QUANTIZE", ("INT16", "INT8")),
    "QUANTIZE, uint8 to int16": rescales("QUANTIZE", ("UINT8", "INT16")),
    "RELU, int16": rescales("RELU"),
    "RELU6, int16": rescales("RELU6"),
    "QUANTIZE, float to int16": float_ends("QUANTIZE"),
    "DEQUANTIZE, int16": float_ends("DEQUANTIZE"),
}
