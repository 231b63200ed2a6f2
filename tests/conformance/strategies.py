"""Every operator of the kernel table as a hypothesis strategy of cases that it must compute exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from conformance.cases import (
    ACTIVATIONS,
    Case,
    float32,
    int8_values,
    rngs,
    scales,
    zero_points,
)
from hypothesis import strategies as st
from models_flatbuffer import O, T, model_bytes, single_op_model

from edgeq.kernels import arithmetic

_PADDINGS = st.sampled_from(("SAME", "VALID"))


def _output_scale(draw: st.DrawFn, product: float, depth: int) -> float:
    """Mostly one that spreads the results over int8; sometimes one that makes the effective scale ≥ 1 or tiny, or so
    large or tiny that the multiplier saturates."""
    kind = draw(st.integers(0, 8))
    if kind == 0:
        return float32(product * draw(scales(-6, 0)))
    if kind == 1:
        return float32(product * draw(scales(16, 30)))
    if kind == 2:
        return float32(product * draw(scales(-34, 38)))
    return float32(product * max(depth, 1) ** 0.5 * draw(scales(3, 9)))


def _bias(draw: st.DrawFn, rng: np.random.Generator, channels: int, depth: int) -> Any:
    reach = draw(st.sampled_from((0, 1, 128 * depth, 128 * 128 * depth, (1 << 31) - 1)))
    return rng.integers(-reach, reach + 1, channels)


def _weights(
    draw: st.DrawFn, rng: np.random.Generator, shape: tuple[int, ...], axis: int, bits: int = 8, one_scale: bool = False
) -> T:
    """Symmetric int8 or int4, per tensor or per channel along `axis`; -128 too, which producers avoid but files may
    hold."""
    data = int8_values(rng, shape, draw(st.sampled_from((-127, -127, -128)))) >> (8 - bits)
    if one_scale or draw(st.booleans()):
        return T(shape, f"INT{bits}", scale=draw(scales()), data=data)
    base = draw(scales())
    spread = rng.uniform(draw(st.sampled_from((-6, -6, -24))), 6, shape[axis])  # -24: channels that never change
    per_channel = [float32(base * 2.0**s) for s in spread]
    return T(shape, f"INT{bits}", scale=per_channel, axis=axis, data=data)


def _largest(scale: Any) -> float:
    return float(np.max(np.asarray(scale)))


@st.composite
def convolutions(
    draw: st.DrawFn, depthwise: bool = False, most: int = 9, fixed_filter: int = 0, bits: int = 8, wide: bool = False
) -> Case:
    """CONV_2D, grouped too, or DEPTHWISE_CONV_2D.

    Args:
        fixed_filter: 1 or 3 for the shapes that have kernels of their own: 1x1, or depthwise 3x3, over four channels
            or a multiple.
        bits: of the weights.
        wide: over sixteen channels or a multiple, on planes of an even width, or of the filter's size.
    """
    rng = draw(rngs())
    in_h, in_w = draw(st.integers(1, most)), draw(st.integers(1, most))
    filter_h, filter_w = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    if draw(st.integers(0, 3)) == 0:
        filter_h = filter_w = 1
    stride_h, stride_w = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    dilation_h, dilation_w = (draw(st.integers(1, 3)), draw(st.integers(1, 3))) if draw(st.booleans()) else (1, 1)
    if fixed_filter:
        filter_h = filter_w = fixed_filter
        dilation_h = dilation_w = 1
        stride_h = stride_w = 1 if fixed_filter == 1 else draw(st.integers(1, 2))
    padding = draw(_PADDINGS)
    if wide:
        in_h, in_w, padding = draw(st.integers(3, 6)), 4 * draw(st.integers(1, 2)), "SAME"
        filter_h, filter_w, stride_h = draw(st.sampled_from(((3, 3, 1), (3, 3, 2), (2, 3, 1), (1, 1, 2))))
        stride_w, dilation_h, dilation_w = stride_h, 1, 1
        if draw(st.integers(0, 3)) == 0:
            in_h, in_w, padding = filter_h, filter_w, "VALID"
    sizes = (in_h, filter_h, stride_h, dilation_h), (in_w, filter_w, stride_w, dilation_w)
    out_h, out_w = (arithmetic.output_size(*size, padding) for size in sizes)
    if min(out_h, out_w) < 1:
        padding = "SAME"
        out_h, out_w = (arithmetic.output_size(*size, padding) for size in sizes)
    batch = draw(st.sampled_from((1, 1, 1, 2)))
    options = {
        "padding": padding,
        "stride_h": stride_h,
        "stride_w": stride_w,
        "dilation_h_factor": dilation_h,
        "dilation_w_factor": dilation_w,
        "fused_activation_function": draw(ACTIVATIONS),
    }
    if depthwise:
        in_c = draw(st.sampled_from((1, 2, 3, 4, 5, 8, 12, 16)))
        multiplier = draw(st.sampled_from((1, 1, 1, 2, 3, 4)))
        if fixed_filter:
            in_c, multiplier = draw(st.sampled_from((4, 8, 12))), 1
        out_c = in_c * multiplier
        options["depth_multiplier"] = multiplier
        shape, depth, axis = (1, filter_h, filter_w, out_c), filter_h * filter_w, 3
    else:
        groups = draw(st.sampled_from((1, 1, 1, 1, 2, 3)))
        group = draw(st.sampled_from((1, 2, 3, 4, 5, 7, 8, 12, 16)))
        if fixed_filter:
            groups, group = 1, draw(st.sampled_from((4, 8, 12, 16)))
        out_c = groups * draw(st.sampled_from((1, 2, 3, 4, 5, 6, 8, 9)))
        if wide:
            groups, group, out_c = 1, draw(st.sampled_from((16, 16, 32, 64))), 4 * draw(st.integers(1, 3))
        in_c = group * groups
        shape, depth, axis = (out_c, filter_h, filter_w, group), filter_h * filter_w * group, 0
    weights = _weights(draw, rng, shape, axis, bits)
    s_in = draw(scales())
    product = s_in * _largest(weights.scale)
    bias = None
    if not depthwise or draw(st.integers(0, 3)):  # the reference refuses CONV_2D without a bias
        bias = T((out_c,), "INT32", scale=_bias_scale(s_in, weights), data=_bias(draw, rng, out_c, depth))
    inp = T((batch, in_h, in_w, in_c), scale=s_in, zero_point=draw(zero_points()))
    out = T((batch, out_h, out_w, out_c), scale=_output_scale(draw, product, depth), zero_point=draw(zero_points()))
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    inputs = [inp, weights] if bias is None else [inp, weights, bias]  # an absent third is refused by the reference
    model = single_op_model(kind, inputs, out, options, version=3)
    about = {"kind": kind, "in": inp, "weights": shape, "out": out, **options}
    return Case(model, about)


def _bias_scale(s_in: float, weights: T) -> Any:
    if isinstance(weights.scale, float):
        return float32(np.float32(s_in) * np.float32(weights.scale))
    return [float32(s_in * s) for s in np.asarray(weights.scale)]


@st.composite
def fully_connected(draw: st.DrawFn, most: int = 40, bits: int = 8) -> Case:
    """FULLY_CONNECTED: batches, ranks, no bias, keep_num_dims, per channel, weights with a zero point.

    int4 weights have one scale only: 2.14 knows no others.
    """
    rng = draw(rngs())
    depth, outputs = draw(st.integers(1, most)), draw(st.integers(1, 20))
    lead = draw(st.sampled_from(((1,), (1,), (3,), (2, 2), (1, 2, 2))))
    rows = int(np.prod(lead))
    keep = len(lead) > 1 and draw(st.booleans())
    weights = _weights(draw, rng, (outputs, depth), 0, bits, one_scale=bits == 4)
    if isinstance(weights.scale, float) and draw(st.integers(0, 4)) == 0:
        zero_point = draw(zero_points()) >> (8 - bits)
        weights = T(weights.shape, weights.dtype, scale=weights.scale, zero_point=zero_point, data=weights.data)
    s_in = draw(scales())
    bias = None
    if draw(st.booleans()):
        bias = T((outputs,), "INT32", scale=_bias_scale(s_in, weights), data=_bias(draw, rng, outputs, depth))
    inp = T((*lead, depth), scale=s_in, zero_point=draw(zero_points()))
    shape = (*lead, outputs) if keep else (rows, outputs)
    product = s_in * _largest(weights.scale)
    out = T(shape, scale=_output_scale(draw, product, depth), zero_point=draw(zero_points()))
    options = {"fused_activation_function": draw(ACTIVATIONS), "keep_num_dims": keep}
    inputs: list[T | None] = [inp, weights, bias]
    if bias is None and draw(st.booleans()):
        inputs = inputs[:2]
    model = single_op_model("FULLY_CONNECTED", inputs, out, options, version=5)
    return Case(model, {"in": inp, "weights": weights, "bias": bias, "out": out, **options})


@st.composite
def products(draw: st.DrawFn) -> Case:
    """FULLY_CONNECTED by weights that are an input."""
    rng = draw(rngs())
    rows, depth, outputs = draw(st.integers(1, 4)), draw(st.integers(1, 12)), draw(st.integers(1, 9))
    s_in, s_weights = draw(scales()), draw(scales())
    inp = T((rows, depth), scale=s_in, zero_point=draw(zero_points()))
    weights = T((outputs, depth), scale=s_weights, zero_point=draw(st.one_of(st.just(0), zero_points())))
    bias = None
    if draw(st.booleans()):
        bias = T((outputs,), "INT32", scale=float32(s_in * s_weights), data=_bias(draw, rng, outputs, depth))
    out = T((rows, outputs), scale=_output_scale(draw, s_in * s_weights, depth), zero_point=draw(zero_points()))
    options = {"fused_activation_function": draw(ACTIVATIONS)}
    model = single_op_model("FULLY_CONNECTED", [inp, weights, bias], out, options, version=4)
    return Case(model, {"in": inp, "weights": weights, "out": out, **options})


@st.composite
def pools(draw: st.DrawFn, kind: str, most: int = 9) -> Case:
    """AVERAGE_POOL_2D and MAX_POOL_2D."""
    in_h, in_w, depth = draw(st.integers(1, most)), draw(st.integers(1, most)), draw(st.integers(1, 9))
    filter_h, filter_w = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    stride_h, stride_w = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = draw(_PADDINGS)
    sizes = (in_h, filter_h, stride_h, 1), (in_w, filter_w, stride_w, 1)
    out_h, out_w = (arithmetic.output_size(*size, padding) for size in sizes)
    if min(out_h, out_w) < 1:
        padding = "SAME"
        out_h, out_w = (arithmetic.output_size(*size, padding) for size in sizes)
    batch = draw(st.sampled_from((1, 1, 2)))
    scale, zero = draw(scales(-10, 6)), draw(zero_points())
    options = {
        "padding": padding,
        "stride_h": stride_h,
        "stride_w": stride_w,
        "filter_height": filter_h,
        "filter_width": filter_w,
        "fused_activation_function": draw(ACTIVATIONS),
    }
    inp = T((batch, in_h, in_w, depth), scale=scale, zero_point=zero)
    out = T((batch, out_h, out_w, depth), scale=scale, zero_point=zero)
    return Case(single_op_model(kind, [inp], out, options, version=2), {"kind": kind, "in": inp, "out": out, **options})


def _broadcastable(draw: st.DrawFn, most_rank: int = 4) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    rank = draw(st.integers(1, most_rank))
    out = tuple(draw(st.integers(1, 5)) for _ in range(rank))
    first, second = [], []
    for size in out:
        which = draw(st.integers(0, 3))
        first.append(1 if which == 1 else size)
        second.append(1 if which == 2 else size)
    cut = draw(st.integers(0, rank - 1)) if draw(st.booleans()) else 0
    shorter = second[cut:]
    shape = tuple(np.broadcast_shapes(tuple(first), tuple(shorter)))
    a, b = tuple(first), tuple(shorter)
    return (a, b, shape) if draw(st.booleans()) else (b, a, shape)


@st.composite
def elementwise(draw: st.DrawFn, kind: str) -> Case:
    """ADD and MUL: equal shapes, broadcasting both ways, one constant side."""
    rng = draw(rngs())
    a, b, shape = _broadcastable(draw)
    sa, sb = draw(scales(-12, 4)), draw(scales(-12, 4))
    if draw(st.integers(0, 5)) == 0:
        sa = float32(sb * draw(scales(-36, 36)))
    typical = max(sa, sb) if kind != "MUL" else sa * sb * 64
    # ADD's reference ends the process when 2 * max(s) / 2**20 isn't smaller than the output's scale.
    reach = draw(st.sampled_from(((-3, 3), (-3, 3), (-18, 30) if kind != "MUL" else (-40, 36))))
    s_out = float32(typical * draw(scales(*reach)))
    constant = draw(st.sampled_from((-1, -1, 0, 1)))
    parts = []
    for position, (dims, scale) in enumerate(((a, sa), (b, sb))):
        data = int8_values(rng, dims) if position == constant else None
        parts.append(T(dims, scale=scale, zero_point=draw(zero_points()), data=data))
    out = T(shape, scale=s_out, zero_point=draw(zero_points()))
    options = {"fused_activation_function": draw(ACTIVATIONS)}
    model = single_op_model(kind, parts, out, options, version=2)
    return Case(model, {"kind": kind, "in": parts, "out": out, **options})


@st.composite
def pads(draw: st.DrawFn) -> Case:
    """PAD of one to five dimensions, int32 and int64 paddings."""
    rank = draw(st.integers(1, 5))
    shape = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    paddings = [(draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(rank)]
    scale, zero = draw(scales()), draw(zero_points())
    inp = T(shape, scale=scale, zero_point=zero)
    index = T((rank, 2), draw(st.sampled_from(("INT32", "INT64"))), data=paddings)
    out = T(tuple(d + b + a for d, (b, a) in zip(shape, paddings, strict=True)), scale=scale, zero_point=zero)
    return Case(single_op_model("PAD", [inp, index], out, version=2), {"in": inp, "paddings": paddings})


@st.composite
def means(draw: st.DrawFn) -> Case:
    """MEAN over any axes, negative and repeated ones too; equal and different quantization."""
    rank = draw(st.integers(1, 4))
    shape = tuple(draw(st.integers(1, 8)) for _ in range(rank))
    axes = draw(st.lists(st.integers(-rank, rank - 1), min_size=1, max_size=rank))
    if rank == 4 and draw(st.booleans()):
        axes = draw(st.sampled_from(([1, 2], [2, 1], [-2, -3])))
    resolved = {a % rank for a in axes}
    keep = draw(st.booleans())
    kept = tuple(1 if i in resolved else d for i, d in enumerate(shape) if keep or i not in resolved)
    s_in, z_in = draw(scales(-12, 6)), draw(zero_points())
    same = draw(st.booleans())
    s_out, z_out = (s_in, z_in) if same else (float32(s_in * draw(scales(-6, 6))), draw(zero_points()))
    inp = T(shape, scale=s_in, zero_point=z_in)
    out = T(kept, scale=s_out, zero_point=z_out)
    index = T((len(axes),), "INT32", data=axes)
    model = single_op_model("MEAN", [inp, index], out, {"keep_dims": keep}, version=2)
    return Case(model, {"in": inp, "out": out, "axes": axes, "keep": keep})


@st.composite
def softmaxes(draw: st.DrawFn) -> Case:
    """SOFTMAX of one to four dimensions, odd scales and betas."""
    rank = draw(st.integers(1, 4))
    shape = (*(draw(st.integers(1, 3)) for _ in range(rank - 1)), draw(st.integers(1, 40)))
    beta = draw(st.one_of(st.just(1.0), scales(-6, 6)))
    inp = T(shape, scale=draw(scales(-14, 8)), zero_point=draw(zero_points()))
    out = T(shape, scale=1 / 256, zero_point=-128)
    model = single_op_model("SOFTMAX", [inp], out, {"beta": beta}, version=2)
    return Case(model, {"in": inp, "beta": beta})


@st.composite
def rescales(draw: st.DrawFn, kind: str) -> Case:
    """QUANTIZE between integers, and the activations of their own."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    types = ("INT8", "INT8")
    if kind == "QUANTIZE":
        types = draw(st.sampled_from((("INT8", "INT8"), ("UINT8", "INT8"), ("INT8", "UINT8"))))
    s_in = draw(scales(-10, 6))
    s_out = s_in if draw(st.integers(0, 3)) == 0 else float32(s_in * draw(scales(-8, 8)))
    ends = [
        T(shape, dtype, scale=scale, zero_point=draw(zero_points(*((0, 255) if dtype == "UINT8" else (-128, 127)))))
        for dtype, scale in zip(types, (s_in, s_out), strict=True)
    ]
    model = single_op_model(kind, [ends[0]], ends[1], version=1 if "1" in kind else 2)
    values = np.arange(256) - (0 if types[0] == "UINT8" else 128)
    count = int(np.prod(shape))
    rounds = -(-256 // count)
    every = np.resize(values, (rounds, *shape)).astype(types[0].lower())
    runs = tuple((each,) for each in every[:64])
    return Case(model, {"kind": kind, "in": ends[0], "out": ends[1]}, runs)


@st.composite
def quantizations(draw: st.DrawFn) -> Case:
    """QUANTIZE from float: ties, what is out of range, what the reference still defines (quotients within int32)."""
    rng = draw(rngs())
    scale = draw(scales(-12, 6))
    out = T((4, 16), scale=scale, zero_point=draw(zero_points()))
    values = rng.uniform(-300, 300, 64) * scale
    ties = (np.arange(64) - 32 + 0.5) * scale
    special = np.array([2.0**30, -(2.0**30), 0.0, -0.0, 130.5, -129.5, 1e-40, -1e-40] * 8) * scale
    below = np.nextafter(ties.astype(np.float32), np.float32(0))
    runs = tuple((np.asarray(v, np.float32).reshape(4, 16),) for v in (values, ties, special, below))
    model = single_op_model("QUANTIZE", [T((4, 16), "FLOAT32")], out)
    return Case(model, {"out": out}, runs)


@st.composite
def dequantizations(draw: st.DrawFn) -> Case:
    """DEQUANTIZE of every int8."""
    inp = T((4, 64), scale=draw(scales(-30, 20)), zero_point=draw(zero_points()))
    model = single_op_model("DEQUANTIZE", [inp], T((4, 64), "FLOAT32"), version=2)
    return Case(model, {"in": inp}, ((np.arange(-128, 128).reshape(4, 64).astype(np.int8),),))


@st.composite
def concatenations(draw: st.DrawFn) -> Case:
    """CONCATENATION along any axis, of one to four parts, some of them constants."""
    rng = draw(rngs())
    rank = draw(st.integers(1, 4))
    axis = draw(st.integers(0, rank - 1))
    shape = [draw(st.integers(1, 4)) for _ in range(rank)]
    scale, zero = draw(scales()), draw(zero_points())
    parts = []
    for position in range(draw(st.integers(1, 4))):
        shape[axis] = draw(st.integers(1, 4))
        constant = position > 0 and draw(st.integers(0, 2)) == 0
        data = int8_values(rng, shape) if constant else None
        parts.append(T(tuple(shape), scale=scale, zero_point=zero, data=data))
    shape[axis] = sum(p.shape[axis] for p in parts)
    given_axis = axis - rank if draw(st.booleans()) else axis
    out = T(tuple(shape), scale=scale, zero_point=zero)
    model = single_op_model("CONCATENATION", parts, out, {"axis": given_axis}, version=2)
    return Case(model, {"parts": parts, "axis": given_axis})


@st.composite
def reshapes(draw: st.DrawFn) -> Case:
    """RESHAPE, SQUEEZE and EXPAND_DIMS, with an operator behind that works in place on what they made."""
    kind = draw(st.sampled_from(("RESHAPE", "SQUEEZE", "EXPAND_DIMS")))
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    scale, zero = draw(scales()), draw(zero_points())
    options: dict[str, Any] = {}
    extra: list[T] = []
    made: tuple[int, ...]
    if kind == "RESHAPE":
        made = draw(st.sampled_from((tuple(reversed(shape)), (int(np.prod(shape)),), (1, *shape))))
        options = {"new_shape": list(made)}
        if draw(st.booleans()):
            extra = [T((len(made),), "INT32", data=list(made))]
    elif kind == "SQUEEZE":
        shape = (1, *shape, 1)
        made = shape[1:-1]
        options = {"squeeze_dims": [0, len(shape) - 1]}
    else:
        axis = draw(st.integers(0, len(shape)))
        made = (*shape[:axis], 1, *shape[axis:])
        extra = [T((1,), "INT32", data=[axis])]
    ends = [T(shape, scale=scale, zero_point=zero), *extra, T(made, scale=scale, zero_point=zero)]
    made_at = len(ends) - 1
    operators = [O(kind, list(range(made_at)), [made_at], options)]
    outputs = [made_at]
    if draw(st.booleans()):
        ends.append(T(made, scale=float32(scale * draw(scales(-1, 1))), zero_point=draw(zero_points())))
        operators.append(O("RELU", [made_at], [made_at + 1], version=2))
        outputs = [made_at + 1] if draw(st.booleans()) else [made_at + 1, made_at]
    model = model_bytes(ends, operators, [0], outputs)
    return Case(model, {"kind": kind, "in": shape, "out": made, "outputs": outputs})


CASES: dict[str, st.SearchStrategy[Case]] = {
    "CONV_2D": convolutions(),
    "DEPTHWISE_CONV_2D": convolutions(depthwise=True),
    "CONV_2D, 1x1": convolutions(fixed_filter=1),
    "CONV_2D, even rows": convolutions(wide=True),
    "DEPTHWISE_CONV_2D, 3x3": convolutions(depthwise=True, fixed_filter=3),
    "FULLY_CONNECTED": fully_connected(),
    "CONV_2D, int4": convolutions(bits=4),
    "CONV_2D, 1x1 int4": convolutions(fixed_filter=1, bits=4),
    "DEPTHWISE_CONV_2D, int4": convolutions(depthwise=True, bits=4),
    "DEPTHWISE_CONV_2D, 3x3 int4": convolutions(depthwise=True, fixed_filter=3, bits=4),
    "FULLY_CONNECTED, int4": fully_connected(bits=4),
    "AVERAGE_POOL_2D": pools("AVERAGE_POOL_2D"),
    "MAX_POOL_2D": pools("MAX_POOL_2D"),
    "ADD": elementwise("ADD"),
    "SUB": elementwise("SUB"),
    "MUL": elementwise("MUL"),
    "PAD": pads(),
    "MEAN": means(),
    "SOFTMAX": softmaxes(),
    "QUANTIZE": rescales("QUANTIZE"),
    "QUANTIZE from float": quantizations(),
    "DEQUANTIZE": dequantizations(),
    "RELU": rescales("RELU"),
    "RELU6": rescales("RELU6"),
    "RELU_N1_TO_1": rescales("RELU_N1_TO_1"),
    "RELU_0_TO_1": rescales("RELU_0_TO_1"),
    "FULLY_CONNECTED, computed weights": products(),
    "CONCATENATION": concatenations(),
    "RESHAPE, SQUEEZE, EXPAND_DIMS": reshapes(),
}
