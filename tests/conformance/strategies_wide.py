"""Shapes that fill vectors, blocks and chunks of the special kernels, and those that just don't."""

from __future__ import annotations

import numpy as np
from conformance.cases import ACTIVATIONS, Case, Values, float32, rngs, scales, zero_points
from conformance.strategies import _bias, _bias_scale, _largest, _weights
from hypothesis import strategies as st
from models_flatbuffer import T, single_op_model

from edgeq.kernels import arithmetic

_MANY = st.sampled_from((1, 3, 4, 15, 16, 17, 33, 63, 64, 65, 68, 130))
_FOURS = st.sampled_from((4, 12, 16, 20, 32, 36, 64, 68))


@st.composite
def convolutions(draw: st.DrawFn, depthwise: bool = False, whole: bool = False) -> Case:
    """No padding, no dilation.

    Args:
        whole: the filter is as large as the plane, so that there is one output position.
    """
    rng = draw(rngs())
    filter_h, filter_w = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    out_h, out_w = (1, 1) if whole else (draw(st.integers(1, 3)), draw(st.integers(1, 4)))
    in_c = draw(_FOURS if depthwise else st.sampled_from((1, 3, 8, 16, 17, 40)))
    out_c = in_c if depthwise else draw(_MANY)
    shape = (1, filter_h, filter_w, out_c) if depthwise else (out_c, filter_h, filter_w, in_c)
    depth = filter_h * filter_w * (1 if depthwise else in_c)
    weights = _weights(draw, rng, shape, 3 if depthwise else 0)
    s_in = draw(scales())
    bias = T((out_c,), "INT32", scale=_bias_scale(s_in, weights), data=_bias(draw, rng, out_c, depth))
    inp = T((1, filter_h + out_h - 1, filter_w + out_w - 1, in_c), scale=s_in, zero_point=draw(zero_points()))
    out = T((1, out_h, out_w, out_c), scale=_spread(draw, s_in, weights, depth), zero_point=draw(zero_points()))
    options = {"padding": "VALID", "stride_h": 1, "stride_w": 1, "fused_activation_function": draw(ACTIVATIONS)}
    if depthwise:
        options["depth_multiplier"] = 1
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    model = single_op_model(kind, [inp, weights, bias], out, options, version=3)
    return Case(model, {"kind": kind, "in": inp, "weights": shape, "out": out, **options})


@st.composite
def fully_connected(draw: st.DrawFn) -> Case:
    """One row or two, with and without a scale per channel."""
    rng = draw(rngs())
    rows, outputs = draw(st.integers(1, 2)), draw(_MANY)
    depth = draw(st.sampled_from((1, 8, 16, 31, 64, 129)))
    weights = _weights(draw, rng, (outputs, depth), 0)
    s_in = draw(scales())
    bias = T((outputs,), "INT32", scale=_bias_scale(s_in, weights), data=_bias(draw, rng, outputs, depth))
    inp = T((rows, depth), scale=s_in, zero_point=draw(zero_points()))
    out = T((rows, outputs), scale=_spread(draw, s_in, weights, depth), zero_point=draw(zero_points()))
    options = {"fused_activation_function": draw(ACTIVATIONS)}
    model = single_op_model("FULLY_CONNECTED", [inp, weights, bias], out, options, version=5)
    return Case(model, {"in": inp, "weights": weights, "out": out, **options})


@st.composite
def sums(draw: st.DrawFn) -> Case:
    """ADD of one shape; scales often equal."""
    shape = (1, draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    a = draw(scales(-6, 2))
    b = a if draw(st.integers(0, 2)) == 0 else draw(scales(-6, 2))
    out = float32(max(a, b) * draw(scales(-3, 5)))
    tensors = [T(shape, scale=s, zero_point=draw(zero_points())) for s in (a, b, out)]
    options = {"fused_activation_function": draw(ACTIVATIONS)}
    model = single_op_model("ADD", tensors[:2], tensors[2], options, version=2)
    return Case(model, {"tensors": tensors, **options})


@st.composite
def strips(draw: st.DrawFn, plane: tuple[int, int, int, int] | None = None) -> Case:
    """DEPTHWISE_CONV_2D, 3x3 with a fused RELU, on planes of more rows and columns than a kernel takes at once.

    Args:
        plane: height, width, channels and stride, if not any.
    """
    rng = draw(rngs())
    if plane is not None:
        in_h, in_w, channels, stride_h = plane
        stride_w = stride_h
    else:
        in_h, in_w, channels = draw(st.integers(1, 36)), draw(st.integers(1, 36)), draw(st.sampled_from((4, 8, 24)))
        stride_h, stride_w = draw(st.sampled_from(((1, 1), (1, 1), (2, 2), (2, 2), (1, 2), (2, 1), (3, 1), (3, 2))))
    padding = draw(st.sampled_from(("SAME", "VALID"))) if min(in_h, in_w) >= 3 else "SAME"
    out_h, out_w = (
        arithmetic.output_size(size, 3, stride, 1, padding) for size, stride in ((in_h, stride_h), (in_w, stride_w))
    )
    weights = _weights(draw, rng, (1, 3, 3, channels), 3)
    s_in = draw(scales())
    bias = T((channels,), "INT32", scale=_bias_scale(s_in, weights), data=_bias(draw, rng, channels, 9))
    batch = draw(st.sampled_from((1, 1, 2)))
    inp = T((batch, in_h, in_w, channels), scale=s_in, zero_point=draw(zero_points()))
    out = T((batch, out_h, out_w, channels), scale=_spread(draw, s_in, weights, 9), zero_point=-128)
    options = {
        "padding": padding, "stride_h": stride_h, "stride_w": stride_w, "depth_multiplier": 1,
        "fused_activation_function": "RELU",
    }  # fmt: skip
    model = single_op_model("DEPTHWISE_CONV_2D", [inp, weights, bias], out, options, version=3)
    return Case(model, {"in": inp, "weights": weights, "out": out, **options})


@st.composite
def ties(draw: st.DrawFn, kind: str) -> Case:
    """Small sums times a power of two: every second result, or fourth, lies in the middle between two bytes."""
    rng = draw(rngs())
    channels, depth = draw(st.sampled_from((8, 20, 36))), draw(st.integers(1, 5))
    shapes = {
        "FULLY_CONNECTED": ((4, depth), (channels, depth), (4, channels), 0),
        "CONV_2D": ((1, 3, 3, depth), (channels, 1, 1, depth), (1, 3, 3, channels), 0),
        "DEPTHWISE_CONV_2D": ((1, 3, 3, channels), (1, 1, 1, channels), (1, 3, 3, channels), 3),
    }
    in_shape, shape, out_shape, axis = shapes[kind]
    one_shift = draw(st.booleans())
    scale = [2.0 ** -float(n) for n in (np.ones(channels) if one_shift else rng.integers(1, 5, channels))]
    weights = T(shape, "INT8", scale=scale, axis=axis, data=rng.integers(-2, 3, shape).astype(np.int8))
    bias = T((channels,), "INT32", scale=scale, data=rng.integers(-9, 10, channels))
    inp = T(in_shape, scale=1.0, zero_point=draw(st.integers(-2, 2)))
    out = T(out_shape, scale=draw(st.sampled_from((1.0, 2.0, 4.0, 16.0))), zero_point=draw(st.integers(-9, 9)))
    options = {"fused_activation_function": draw(st.sampled_from(("NONE", "RELU")))}
    if kind != "FULLY_CONNECTED":
        options |= {"padding": "VALID", "stride_h": 1, "stride_w": 1}
    model = single_op_model(kind, [inp, weights, bias], out, options, version=5 if axis == 0 and len(shape) == 2 else 3)
    return Case(model, {"kind": kind, "in": inp, "weights": weights, "out": out, **options})


def _spread(draw: st.DrawFn, s_in: float, weights: T, depth: int) -> float:
    """Mostly such that results spread over int8."""
    return float32(s_in * _largest(weights.scale) * np.sqrt(depth) * draw(scales(2, 9)))


WIDE: dict[str, Values] = {
    "CONV_2D, wide": convolutions(),
    "CONV_2D, one position": convolutions(whole=True),
    "DEPTHWISE_CONV_2D, wide": convolutions(depthwise=True),
    "FULLY_CONNECTED, wide": fully_connected(),
    "ADD, one shape": sums(),
    **{f"{kind}, ties": ties(kind) for kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")},
}
"""For cores with special kernels; what they add to the portable ones' cases is size."""
