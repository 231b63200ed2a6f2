"""Operators over rows, dimensions and planes: reductions, places of extremes, matrices, transposed convolutions."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from conformance.cases import Case, Values, float32, int8_values, rngs, scales, zero_points
from conformance.shapes import broadcastable, shapes, window
from conformance.strategies_moves import quantization
from hypothesis import strategies as st
from models_flatbuffer import T, single_op_model


@st.composite
def reductions(draw: st.DrawFn, kind: str, dtypes: tuple[str, ...]) -> Case:
    """SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_ANY, REDUCE_ALL over any axes."""
    shape = draw(shapes(4, 6))
    rank = len(shape)
    axes = draw(st.lists(st.integers(-rank, rank - 1), min_size=1, max_size=rank))
    resolved = {a % rank for a in axes}
    keep = draw(st.booleans())
    kept = tuple(1 if i in resolved else d for i, d in enumerate(shape) if keep or i not in resolved)
    dtype = draw(st.sampled_from(dtypes))
    quant = draw(quantization(dtype))
    made = dict(quant)
    if kind == "SUM" and dtype != "INT32":
        made = {"scale": float32(quant["scale"] * draw(scales(-3, 5))), "zero_point": 0}
        if dtype == "INT8":
            made["zero_point"] = draw(zero_points())
    inp, out = T(shape, dtype, **quant), T(kept, dtype, **made)
    model = single_op_model(kind, [inp, T((len(axes),), "INT32", data=axes)], out, {"keep_dims": keep}, version=1)
    return Case(model, {"kind": kind, "in": inp, "out": out, "axes": axes})


@st.composite
def arguments(draw: st.DrawFn, kind: str) -> Case:
    """ARG_MAX and ARG_MIN: few values, so that several are equal."""
    rng = draw(rngs())
    shape = draw(shapes())
    axis = draw(st.integers(0, len(shape) - 1))
    dtype = draw(st.sampled_from(("INT8", "INT32", "FLOAT32")))
    quant = draw(quantization(dtype))
    inp = T(shape, dtype, **quant)
    place = T((), "INT32", data=axis - len(shape) if draw(st.booleans()) else axis)
    index = draw(st.sampled_from(("INT32", "INT64")))
    out = T(shape[:axis] + shape[axis + 1 :], index)
    model = single_op_model(kind, [inp, place], out, {"output_type": index}, version=2)
    values = rng.integers(-3, 4, shape).astype(dtype.lower())
    return Case(model, {"kind": kind, "in": inp, "axis": axis, "index": index}, ((values,),))


@st.composite
def running(draw: st.DrawFn) -> Case:
    """CUMSUM, both ways, with and without the element itself."""
    shape = draw(shapes())
    axis = draw(st.integers(0, len(shape) - 1))
    options = {"exclusive": draw(st.booleans()), "reverse": draw(st.booleans())}
    inp = T(shape, "INT32")
    model = single_op_model("CUMSUM", [inp, T((), "INT32", data=axis)], T(shape, "INT32"), options)
    return Case(model, {"in": inp, "axis": axis, **options})


@st.composite
def largest(draw: st.DrawFn) -> Case:
    """TOPK_V2 with equal values among the input."""
    rng = draw(rngs())
    shape = draw(shapes(3, 12))
    k = draw(st.integers(1, shape[-1]))
    dtype = draw(st.sampled_from(("INT8", "INT32", "FLOAT32")))
    quant = draw(quantization(dtype))
    outs = [T((*shape[:-1], k), dtype, **quant), T((*shape[:-1], k), "INT32")]
    model = single_op_model("TOPK_V2", [T(shape, dtype, **quant), T((), "INT32", data=k)], outs, version=1)
    reach = draw(st.sampled_from((3, 100)))
    return Case(
        model, {"in": shape, "k": k, "dtype": dtype}, ((rng.integers(-reach, reach, shape).astype(dtype.lower()),),)
    )


@st.composite
def normalized(draw: st.DrawFn, kind: str) -> Case:
    """L2_NORMALIZATION and LOG_SOFTMAX of int8."""
    shape = (*draw(shapes(2, 3)), draw(st.integers(1, 40)))
    inp = T(shape, scale=draw(scales(-12, 4)), zero_point=draw(zero_points()))
    fixed: dict[str, Any] = {"scale": 1 / 128} if kind == "L2_NORMALIZATION" else {"scale": 1 / 16, "zero_point": 127}
    return Case(single_op_model(kind, [inp], T(shape, **fixed), version=2), {"kind": kind, "in": inp})


@st.composite
def transposed(draw: st.DrawFn, dtype: str) -> Case:
    """TRANSPOSE_CONV with and without bias."""
    rng = draw(rngs())
    made = draw(window(7, dilated=False))
    in_c, out_c, batch = draw(st.integers(1, 6)), draw(st.integers(1, 5)), draw(st.sampled_from((1, 1, 2)))
    shape = (out_c, *made.filter, in_c)
    depth = prod(made.filter) * in_c
    data = int8_values(rng, shape, -127)
    scale: Any = draw(scales())
    if draw(st.booleans()):
        scale = [float32(scale * 2.0**s) for s in rng.uniform(-4, 4, out_c)]
    weights = T(shape, scale=scale, data=data)
    small = dtype == "INT8"
    s_in = draw(scales(-10, 2) if small else scales(-16, 0))
    largest_scale = float(np.max(np.asarray(scale)))
    s_out = float32(
        s_in * largest_scale * depth**0.5 * (1 if small else 64) * draw(scales(3, 9) if small else scales(-2, 4))
    )
    zeros = (draw(zero_points()), draw(zero_points())) if small else (0, 0)
    inp = T((batch, *made.out, in_c), dtype, scale=s_in, zero_point=zeros[0])
    out = T((batch, *made.size, out_c), dtype, scale=s_out, zero_point=zeros[1])
    inputs = [T((4,), "INT32", data=list(out.shape)), weights, inp]
    bias = draw(st.booleans())
    if bias:
        reach = 128 * 128 * depth * (1 if small else 256)
        inputs.append(T((out_c,), "INT32" if small else "INT64", scale=scale, data=rng.integers(-reach, reach, out_c)))
    model = single_op_model("TRANSPOSE_CONV", inputs, out, made.options, version=3 if bias else 2)
    return Case(model, {"in": inp, "weights": weights, "out": out, "bias": bias, **made.options})


@st.composite
def bilinear(draw: st.DrawFn) -> Case:
    """RESIZE_BILINEAR: larger and smaller, corners, centres."""
    size = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    made = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    n, c = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    dtype = draw(st.sampled_from(("INT8", "INT16")))
    quant = draw(quantization(dtype))
    options = draw(st.sampled_from(({}, {"align_corners": True}, {"half_pixel_centers": True})))
    ends = T((n, *size, c), dtype, **quant), T((n, *made, c), dtype, **quant)
    model = single_op_model("RESIZE_BILINEAR", [ends[0], T((2,), "INT32", data=made)], ends[1], options, version=3)
    return Case(model, {"in": ends[0], "out": made, **options})


@st.composite
def products(draw: st.DrawFn, dtype: str) -> Case:
    """BATCH_MATMUL: batches that repeat, both sides transposed, a constant right side."""
    rng = draw(rngs())
    rows, depth, columns = (draw(st.integers(1, 6)) for _ in range(3))
    lead: tuple[tuple[int, ...], ...] = ((), (), ())
    if draw(st.booleans()):
        lead = draw(broadcastable(2))
    flips = draw(st.booleans()), draw(st.booleans())
    a = (*lead[0], *((depth, rows) if flips[0] else (rows, depth)))
    b = (*lead[1], *((columns, depth) if flips[1] else (depth, columns)))
    small = dtype == "INT8"
    s0, s1 = draw(scales(-8, 2) if small else scales(-16, -8)), draw(scales(-8, 2) if small else scales(-16, -8))
    s_out = float32(s0 * s1 * depth**0.5 * (64 if small else 16384) * draw(scales(-2, 4)))
    zeros = [draw(zero_points()) if small else 0 for _ in range(3)]
    constant = draw(st.booleans())
    limit = 128 if small else 32768
    right = rng.integers(-limit, limit, b) if constant else None
    parts = [T(a, dtype, scale=s0, zero_point=zeros[0]), T(b, dtype, scale=s1, zero_point=zeros[1], data=right)]
    out = T((*lead[2], rows, columns), dtype, scale=s_out, zero_point=zeros[2])
    options = {"adj_x": flips[0], "adj_y": flips[1]}
    model = single_op_model("BATCH_MATMUL", parts, out, options, version=2 if small else 3)
    # 2.14 transposes a half of int16 matrices only.
    engine = "litert" if not small and any(flips) else "tflite-runtime"
    return Case(model, {"in": parts, "out": out, **options}, (), engine)  # type: ignore[arg-type]


@st.composite
def made(draw: st.DrawFn, kind: str) -> Case:
    """FILL with a computed value, ZEROS_LIKE, SHAPE, RANK."""
    shape = draw(shapes())
    if kind == "FILL":
        dtype = draw(st.sampled_from(("INT8", "INT16", "INT32", "FLOAT32", "BOOL", "INT64")))
        quant = draw(quantization(dtype))
        inputs = [T((len(shape),), "INT32", data=shape), T((), dtype, **quant)]
        version = 3 if dtype in ("INT8", "INT16") else 1
        return Case(
            single_op_model(kind, inputs, T(shape, dtype, **quant), version=version), {"kind": kind, "out": shape}
        )
    dtype = draw(st.sampled_from(("INT32", "INT64", "FLOAT32")))
    if kind == "ZEROS_LIKE":
        return Case(single_op_model(kind, [T(shape, dtype)], T(shape, dtype)), {"kind": kind, "in": shape})
    if kind == "RANK":
        return Case(single_op_model(kind, [T(shape, dtype)], T((), "INT32")), {"kind": kind, "in": shape})
    wide = draw(st.sampled_from(("INT32", "INT64")))
    model = single_op_model(kind, [T(shape, dtype)], T((len(shape),), wide), {"out_type": wide})
    return Case(model, {"kind": kind, "in": shape})


@st.composite
def padded(draw: st.DrawFn) -> Case:
    """PADV2 with a value of its own."""
    rank = draw(st.integers(1, 4))
    shape = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    paddings = [(draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(rank)]
    dtype = draw(st.sampled_from(("INT8", "INT32", "FLOAT32")))
    quant = draw(quantization(dtype))
    value = T((1,), dtype, **quant, data=[draw(st.integers(-128, 127))])
    out = T(tuple(d + b + a for d, (b, a) in zip(shape, paddings, strict=True)), dtype, **quant)
    inputs = [T(shape, dtype, **quant), T((rank, 2), "INT32", data=paddings), value]
    return Case(single_op_model("PADV2", inputs, out, version=2), {"in": shape, "paddings": paddings, "dtype": dtype})


_REDUCED = ("INT8", "INT16", "INT32", "FLOAT32")

CASES: dict[str, Values] = {
    "REDUCE_MAX": reductions("REDUCE_MAX", _REDUCED),
    "REDUCE_MIN": reductions("REDUCE_MIN", _REDUCED),
    "REDUCE_ANY": reductions("REDUCE_ANY", ("BOOL",)),
    "REDUCE_ALL": reductions("REDUCE_ALL", ("BOOL",)),
    "SUM": reductions("SUM", ("INT8", "INT16", "INT32")),
    "ARG_MAX": arguments("ARG_MAX"),
    "ARG_MIN": arguments("ARG_MIN"),
    "CUMSUM": running(),
    "TOPK_V2": largest(),
    "L2_NORMALIZATION": normalized("L2_NORMALIZATION"),
    "LOG_SOFTMAX": normalized("LOG_SOFTMAX"),
    "TRANSPOSE_CONV": transposed("INT8"),
    "TRANSPOSE_CONV, int16": transposed("INT16"),
    "RESIZE_BILINEAR": bilinear(),
    "BATCH_MATMUL": products("INT8"),
    "BATCH_MATMUL, int16": products("INT16"),
    "FILL": made("FILL"),
    "ZEROS_LIKE": made("ZEROS_LIKE"),
    "SHAPE": made("SHAPE"),
    "RANK": made("RANK"),
    "PADV2": padded(),
}
