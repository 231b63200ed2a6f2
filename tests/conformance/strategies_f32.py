"""Float operators: bit for bit where they add, multiply and divide, a few units in the last place where they take
exponentials."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from conformance.cases import ACTIVATIONS, Case, Values, rngs
from conformance.shapes import broadcastable, pooled, shapes, window
from hypothesis import strategies as st
from models_flatbuffer import O, T, model_bytes, single_op_model

F = "FLOAT32"


def _runs(rng: np.random.Generator, *shapes_of: tuple[int, ...], reach: float = 3.0) -> tuple[tuple[Any, ...], ...]:
    return tuple(
        tuple((rng.standard_normal(s) * scale).astype(np.float32) for s in shapes_of) for scale in (reach, reach / 99)
    )


@st.composite
def convolutions(draw: st.DrawFn, kind: str) -> Case:
    """CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV."""
    rng = draw(rngs())
    geometry = draw(window(7, dilated=kind != "TRANSPOSE_CONV"))
    batch, in_c = draw(st.sampled_from((1, 2))), draw(st.integers(1, 5))
    out_c = in_c * draw(st.integers(1, 2)) if kind == "DEPTHWISE_CONV_2D" else draw(st.integers(1, 4))
    shape = (1, *geometry.filter, out_c) if kind == "DEPTHWISE_CONV_2D" else (out_c, *geometry.filter, in_c)
    options = dict(geometry.options)
    if kind != "TRANSPOSE_CONV":
        options["fused_activation_function"] = draw(ACTIVATIONS)
    if kind == "DEPTHWISE_CONV_2D":
        options["depth_multiplier"] = out_c // in_c
    weights = T(shape, F, data=rng.standard_normal(shape))
    bias = T((out_c,), F, data=rng.standard_normal(out_c))
    ends = (batch, *geometry.size, in_c), (batch, *geometry.out, out_c)
    inputs = [T(ends[0], F), weights, bias]
    if kind == "TRANSPOSE_CONV":
        ends = (batch, *geometry.out, in_c), (batch, *geometry.size, out_c)
        inputs = [T((4,), "INT32", data=ends[1]), weights, T(ends[0], F), bias]
    model = single_op_model(kind, inputs, T(ends[1], F), options, version=3 if kind == "TRANSPOSE_CONV" else 1)
    return Case(model, {"kind": kind, "in": ends[0], "weights": shape, **options}, _runs(rng, ends[0]))


@st.composite
def matrices(draw: st.DrawFn, kind: str, computed: bool = False) -> Case:
    """FULLY_CONNECTED, also by weights that are an input, and BATCH_MATMUL."""
    rng = draw(rngs())
    rows, depth, columns = (draw(st.integers(1, 8)) for _ in range(3))
    if kind == "FULLY_CONNECTED":
        weights = T((columns, depth), F, data=rng.standard_normal((columns, depth)))
        bias = T((columns,), F, data=rng.standard_normal(columns)) if draw(st.booleans()) else None
        options: dict[str, Any] = {"fused_activation_function": draw(ACTIVATIONS)}
        ends = [(rows, depth), *([(columns, depth)] if computed else [])]
        weights = T((columns, depth), F) if computed else weights
        model = single_op_model(kind, [T((rows, depth), F), weights, bias], T((rows, columns), F), options, version=1)
        return Case(model, {"kind": kind, "rows": rows, "depth": depth, **options}, _runs(rng, *ends))
    lead: tuple[tuple[int, ...], ...] = draw(broadcastable(2)) if draw(st.booleans()) else ((), (), ())
    flips = draw(st.booleans()), draw(st.booleans())
    a = (*lead[0], *((depth, rows) if flips[0] else (rows, depth)))
    b = (*lead[1], *((columns, depth) if flips[1] else (depth, columns)))
    options = {"adj_x": flips[0], "adj_y": flips[1]}
    model = single_op_model(kind, [T(a, F), T(b, F)], T((*lead[2], rows, columns), F), options)
    # 2.14 transposes the first of several matrices only, and reads what was never written for the others.
    engine: Any = "litert" if any(flips) else "tflite-runtime"
    return Case(model, {"kind": kind, "a": a, "b": b, **options}, _runs(rng, a, b), engine)


@st.composite
def pools(draw: st.DrawFn, kind: str) -> Case:
    """The three poolings."""
    geometry = draw(pooled())
    shape = (draw(st.integers(1, 2)), *geometry.size, draw(st.integers(1, 4)))
    options = {**geometry.options, "fused_activation_function": draw(ACTIVATIONS)}
    model = single_op_model(kind, [T(shape, F)], T((shape[0], *geometry.out, shape[3]), F), options)
    return Case(model, {"kind": kind, "in": shape, **options}, _runs(draw(rngs()), shape))


@st.composite
def elementwise(draw: st.DrawFn, kind: str) -> Case:
    """Two inputs with broadcasting."""
    rng = draw(rngs())
    a, b, shape = draw(broadcastable())
    if kind == "PRELU":
        a, b = shape, tuple(d if draw(st.booleans()) else 1 for d in shape)
    options: dict[str, Any] = {}
    if kind in ("ADD", "SUB", "MUL", "DIV"):
        options = {"fused_activation_function": draw(ACTIVATIONS)}
    runs = _runs(rng, a, b)
    if kind == "POW":
        runs = tuple((np.abs(x) + np.float32(0.01), y) for x, y in runs)
        runs += ((rng.standard_normal(a).astype(np.float32), rng.integers(-3, 4, b).astype(np.float32)),)
    model = single_op_model(kind, [T(a, F), T(b, F)], T(shape, F), options)
    return Case(model, {"kind": kind, "a": a, "b": b, **options}, runs, ulps=4 if kind == "POW" else 0)


@st.composite
def unary(draw: st.DrawFn, kind: str, ulps: int = 0, near: float = 0.0) -> Case:
    """One input, values of all sizes."""
    rng = draw(rngs())
    shape = draw(shapes(3, 9))
    options = {"alpha": draw(st.sampled_from((0.2, 0.0, 1.5)))} if kind == "LEAKY_RELU" else {}
    if kind == "GELU":
        options = {"approximate": draw(st.booleans())}
    runs = _runs(rng, shape)
    if kind in ("SQRT", "RSQRT", "LOG"):
        runs = tuple((np.abs(x) + np.float32(1e-6),) for (x,) in runs)
    if kind == "ROUND":
        runs += (((rng.integers(-9, 9, shape) / 2).astype(np.float32),),)
    model = single_op_model(kind, [T(shape, F)], T(shape, F), options)
    return Case(model, {"kind": kind, "in": shape, **options}, runs, ulps=ulps, near=near)


@st.composite
def rows(draw: st.DrawFn, kind: str, ulps: int = 0) -> Case:
    """SOFTMAX, LOG_SOFTMAX, L2_NORMALIZATION."""
    shape = (*draw(shapes(2, 3)), draw(st.integers(1, 30)))
    options = {"beta": draw(st.sampled_from((1.0, 0.5)))} if kind == "SOFTMAX" else {}
    model = single_op_model(kind, [T(shape, F)], T(shape, F), options)
    return Case(model, {"kind": kind, "in": shape, **options}, _runs(draw(rngs()), shape), ulps=ulps)


@st.composite
def reductions(draw: st.DrawFn, kind: str) -> Case:
    """SUM and MEAN."""
    shape = draw(shapes(4, 6))
    axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=len(shape), unique=True))
    kept = tuple(d for i, d in enumerate(shape) if i not in axes)
    model = single_op_model(
        kind, [T(shape, F), T((len(axes),), "INT32", data=axes)], T(kept, F), {"keep_dims": False}, version=1
    )
    return Case(model, {"kind": kind, "in": shape, "axes": axes}, _runs(draw(rngs()), shape))


@st.composite
def running(draw: st.DrawFn) -> Case:
    """CUMSUM."""
    shape = draw(shapes())
    axis = draw(st.integers(0, len(shape) - 1))
    options = {"exclusive": draw(st.booleans()), "reverse": draw(st.booleans())}
    model = single_op_model("CUMSUM", [T(shape, F), T((), "INT32", data=axis)], T(shape, F), options)
    return Case(model, {"in": shape, "axis": axis, **options}, _runs(draw(rngs()), shape))


@st.composite
def bilinear(draw: st.DrawFn) -> Case:
    """RESIZE_BILINEAR."""
    size, made = ((draw(st.integers(1, 9)), draw(st.integers(1, 9))) for _ in range(2))
    n, c = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    options = draw(st.sampled_from(({}, {"align_corners": True}, {"half_pixel_centers": True})))
    ends = T((n, *size, c), F), T((n, *made, c), F)
    model = single_op_model("RESIZE_BILINEAR", [ends[0], T((2,), "INT32", data=made)], ends[1], options, version=3)
    return Case(model, {"in": size, "out": made, **options}, _runs(draw(rngs()), (n, *size, c)))


@st.composite
def svdfs(draw: st.DrawFn) -> Case:
    """SVDF over six steps."""
    rng = draw(rngs())
    batches, inputs, units = draw(st.integers(1, 2)), draw(st.integers(1, 8)), draw(st.integers(1, 5))
    rank, memory = draw(st.integers(1, 2)), draw(st.integers(1, 6))
    ends = [
        T((batches, inputs), F),
        T((units * rank, inputs), F, data=rng.standard_normal((units * rank, inputs))),
        T((units * rank, memory), F, data=rng.standard_normal((units * rank, memory))),
        T((units,), F, data=rng.standard_normal(units)),
        T((batches, memory * units * rank), F, is_variable=True),
    ]
    options = {"rank": rank, "fused_activation_function": draw(st.sampled_from(("NONE", "RELU")))}
    model = single_op_model("SVDF", ends, T((batches, units), F), options)
    runs = tuple((rng.standard_normal((batches, inputs)).astype(np.float32),) for _ in range(6))
    return Case(model, {"in": ends[0], "memory": memory, **options}, runs)


@st.composite
def lstms(draw: st.DrawFn) -> Case:
    """UNIDIRECTIONAL_SEQUENCE_LSTM with four gates, over six inferences."""
    rng = draw(rngs())
    batches, steps, inputs, units = (draw(st.integers(1, n)) for n in (2, 4, 6, 6))
    major = draw(st.booleans())
    shape = (steps, batches, inputs) if major else (batches, steps, inputs)
    kernels = [T((units, n), F, data=rng.standard_normal((units, n))) for n in [inputs] * 4 + [units] * 4]
    biases = [T((units,), F, data=rng.standard_normal(units)) for _ in range(4)]
    states = [T((batches, units), F, is_variable=True) for _ in range(2)]
    none: list[T | None] = [None]
    ends = [T(shape, F), *kernels, *none * 3, *biases, *none * 2, *states, *none * 4]
    clip = draw(st.sampled_from((0.0, 0.0, 0.5)))
    options = {"fused_activation_function": "TANH", "cell_clip": clip, "time_major": major}
    model = single_op_model("UNIDIRECTIONAL_SEQUENCE_LSTM", ends, T((*shape[:2], units), F), options, version=1)
    runs = tuple((rng.standard_normal(shape).astype(np.float32),) for _ in range(6))
    return Case(model, {"in": shape, "units": units, **options}, runs, near=2.0**-20)


@st.composite
def casts(draw: st.DrawFn, from_float: bool = False) -> Case:
    """CAST between all types, values that both hold."""
    rng = draw(rngs())
    kinds = ("INT8", "UINT8", "INT16", "INT32", "INT64", "FLOAT32", "BOOL")
    source, target = draw(st.sampled_from(kinds)), draw(st.sampled_from(kinds))
    if from_float:
        source, target = F, draw(st.sampled_from(("INT8", "INT16", "INT32", "INT64", "UINT8")))
    shape = draw(shapes())
    values = rng.integers(0, 2 if source == "BOOL" else 127, shape).astype(np.dtype(source.lower()))
    if source == F and target != "BOOL":
        values = values + np.float32(0.75)
    model = single_op_model(
        "CAST", [T(shape, source)], T(shape, target), {"in_data_type": source, "out_data_type": target}
    )
    return Case(model, {"from": source, "to": target, "in": shape}, ((values,),))


@st.composite
def sums_of_many(draw: st.DrawFn, dtype: str) -> Case:
    """ADD_N."""
    rng = draw(rngs())
    shape, count = draw(shapes()), draw(st.integers(2, 4))
    model = single_op_model("ADD_N", [T(shape, dtype)] * count, T(shape, dtype))
    values = tuple((rng.standard_normal(shape) * 99).astype(dtype.lower()) for _ in range(count))
    return Case(model, {"in": shape, "count": count, "dtype": dtype}, (values,))


@st.composite
def islands(draw: st.DrawFn) -> Case:
    """A float operator between integer ones."""
    shape = (1, prod(draw(shapes(2, 5))))
    tensors = [T(shape, scale=0.1, zero_point=3), T(shape, F), T(shape, F), T(shape, scale=0.3, zero_point=-9)]
    operators = [O("DEQUANTIZE", [0], [1], version=2), O("SQUARE", [1], [2]), O("QUANTIZE", [2], [3])]
    return Case(model_bytes(tensors, operators, [0], [3]), {"in": shape})


_EXACT_BINARY = ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "FLOOR_DIV", "PRELU", "POW")
_EXACT_UNARY = ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "ABS", "NEG", "SQUARE", "HARD_SWISH")
_ROUNDED = ("FLOOR", "CEIL", "ROUND", "SQRT", "RSQRT")

CASES: dict[str, Values] = {
    **{f"{kind}, float": convolutions(kind) for kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")},
    **{f"{kind}, float": matrices(kind) for kind in ("FULLY_CONNECTED", "BATCH_MATMUL")},
    "FULLY_CONNECTED, computed weights, float": matrices("FULLY_CONNECTED", computed=True),
    **{f"{kind}, float": pools(kind) for kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")},
    **{f"{kind}, float": elementwise(kind) for kind in _EXACT_BINARY},
    **{f"{kind}, float": unary(kind) for kind in (*_EXACT_UNARY, *_ROUNDED)},
    **{f"{kind}, float": unary(kind, ulps=2) for kind in ("EXP", "LOG", "TANH", "LOGISTIC", "ELU")},
    "GELU, float": unary("GELU", near=2.0**-20),
    "UNIDIRECTIONAL_SEQUENCE_LSTM, float": lstms(),
    "SOFTMAX, float": rows("SOFTMAX", ulps=8),
    "LOG_SOFTMAX, float": rows("LOG_SOFTMAX", ulps=64),
    "L2_NORMALIZATION, float": rows("L2_NORMALIZATION"),
    **{f"{kind}, float": reductions(kind) for kind in ("SUM", "MEAN")},
    "CUMSUM, float": running(),
    "RESIZE_BILINEAR, float": bilinear(),
    "SVDF, float": svdfs(),
    "CAST": casts(),
    "CAST from float": casts(from_float=True),
    "ADD_N, float": sums_of_many(F),
    "ADD_N, int32": sums_of_many("INT32"),
    "SQUARE, between integers": islands(),
}
