"""Element-wise operators of two inputs beside ADD, SUB and MUL of int8 and int16; choices."""

from __future__ import annotations

from typing import Any

import numpy as np
from conformance.cases import ACTIVATIONS, Case, Values, float32, int8_values, rngs, scales, zero_points
from conformance.shapes import broadcastable, shapes
from conformance.strategies_moves import quantization
from hypothesis import strategies as st
from models_flatbuffer import T, single_op_model

_VERSIONS = {"PRELU": 1, "POW": 1, "FLOOR_MOD": 1, "LOGICAL_AND": 1, "LOGICAL_OR": 1, "SQUARED_DIFFERENCE": 1, "DIV": 1}


@st.composite
def raw(draw: st.DrawFn, kind: str, dtypes: tuple[str, ...], to_bool: bool = False, engine: str = "") -> Case:
    """Values as they are: no scales matter."""
    rng = draw(rngs())
    a, b, shape = draw(broadcastable())
    dtype = draw(st.sampled_from(dtypes))
    quant = draw(quantization(dtype))
    divides = kind in ("DIV", "FLOOR_DIV", "FLOOR_MOD", "POW")
    constant = draw(st.sampled_from((-1, -1, 0, 1)))
    values = [_numbers(rng, dims, dtype, kind, side) for side, dims in enumerate((a, b))]
    parts = [
        T(dims, dtype, **quant, data=values[side] if side == constant else None) for side, dims in enumerate((a, b))
    ]
    out = T(shape, "BOOL") if to_bool else T(shape, dtype, **quant)
    options: dict[str, Any] = {}
    if kind in ("ADD", "SUB", "MUL", "DIV"):
        options = {"fused_activation_function": draw(ACTIVATIONS)}
    model = single_op_model(kind, parts, out, options, version=_VERSIONS.get(kind, 2))
    free = tuple(v for side, v in enumerate(values) if side != constant)
    runs = (free,) if divides or kind.endswith("EQUAL") else ()
    litert = kind in engine.split() and dtype == "INT16"
    return Case(model, {"kind": kind, "in": parts, **options}, runs, "litert" if litert else "tflite-runtime")


def _numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str, kind: str, side: int) -> Any:
    if dtype == "BOOL":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype == "FLOAT32":
        return (rng.integers(-9, 9, shape) / 4).astype(np.float32)
    low, high = (-100, 101) if kind not in ("POW",) else (0, 9) if side else (-9, 10)
    if kind.endswith("EQUAL"):
        low, high = -2, 3
    values = rng.integers(low, high, shape).astype(dtype.lower())
    if side and kind != "POW" and not kind.endswith("EQUAL"):
        values[values == 0] = 7
    return values


@st.composite
def compared(draw: st.DrawFn, kind: str) -> Case:
    """int8 by real value: near scales, so that many are equal."""
    rng = draw(rngs())
    a, b, shape = draw(broadcastable())
    s0 = draw(scales(-10, -1))
    s1 = s0 if draw(st.booleans()) else draw(scales(-10, -1))
    constant = draw(st.sampled_from((-1, -1, 0, 1)))
    parts = [
        T(dims, scale=s, zero_point=draw(zero_points()), data=int8_values(rng, dims) if side == constant else None)
        for side, (dims, s) in enumerate(((a, s0), (b, s1)))
    ]
    return Case(single_op_model(kind, parts, T(shape, "BOOL"), version=2), {"kind": kind, "in": parts})


@st.composite
def squared_differences(draw: st.DrawFn) -> Case:
    """SQUARED_DIFFERENCE of int8."""
    a, b, shape = draw(broadcastable())
    s0, s1 = draw(scales(-8, 2)), draw(scales(-8, 2))
    s_out = float32(max(s0, s1) ** 2 * 64 * draw(scales(-4, 4)))
    parts = [T(dims, scale=s, zero_point=draw(zero_points())) for dims, s in ((a, s0), (b, s1))]
    out = T(shape, scale=s_out, zero_point=draw(zero_points()))
    return Case(single_op_model("SQUARED_DIFFERENCE", parts, out, version=2), {"in": parts, "out": out})


@st.composite
def quotients(draw: st.DrawFn) -> Case:
    """DIV of int8, where the reference divides and shifts by 31 bits at most."""
    rng = draw(rngs())
    a, b, shape = draw(broadcastable())
    s0, s1 = draw(scales(-8, 2)), draw(scales(-8, 2))
    s_out = float32(s0 / s1 / 64 * min(draw(scales(-9, 0)), 0.999))  # a multiplier from 64 on: no shift is longer
    zeros = draw(zero_points()), draw(zero_points())
    values = [int8_values(rng, dims) for dims in (a, b)]
    values[1][values[1] == zeros[1]] += 1 if zeros[1] < 127 else -1
    parts = [T(dims, scale=s, zero_point=z) for dims, s, z in ((a, s0, zeros[0]), (b, s1, zeros[1]))]
    out = T(shape, scale=s_out, zero_point=draw(zero_points()))
    options = {"fused_activation_function": draw(ACTIVATIONS)}
    model = single_op_model("DIV", parts, out, options, version=2)
    return Case(model, {"in": parts, "out": out, **options}, (tuple(values),), "litert")


@st.composite
def signs(draw: st.DrawFn, kind: str) -> Case:
    """NEG and ABS of int32."""
    shape = draw(shapes())
    values = draw(rngs()).integers(-9, 10, shape).astype(np.int32)
    return Case(single_op_model(kind, [T(shape, "INT32")], T(shape, "INT32")), {"kind": kind}, ((values,),))


@st.composite
def prelus(draw: st.DrawFn) -> Case:
    """PRELU with slopes per channel, element or for all."""
    rng = draw(rngs())
    shape = tuple(draw(st.integers(1, 5)) for _ in range(draw(st.integers(2, 4))))
    slopes = tuple(d if draw(st.booleans()) else 1 for d in shape)[draw(st.integers(0, len(shape) - 1)) :]
    s_in, s_slope = draw(scales(-8, 2)), draw(scales(-10, -4))
    s_out = float32(s_in * draw(scales(-4, 4)))
    inp = T(shape, scale=s_in, zero_point=draw(zero_points()))
    alpha = T(slopes, scale=s_slope, zero_point=draw(zero_points()), data=int8_values(rng, slopes))
    out = T(shape, scale=s_out, zero_point=draw(zero_points()))
    return Case(single_op_model("PRELU", [inp, alpha], out, version=1), {"in": inp, "alpha": alpha, "out": out})


@st.composite
def selects(draw: st.DrawFn, kind: str) -> Case:
    """SELECT_V2 with broadcasting, SELECT with one condition per element, slice or all."""
    rng = draw(rngs())
    dtype = draw(st.sampled_from(("INT8", "INT16", "INT32", "FLOAT32", "BOOL")))
    quant = draw(quantization(dtype))
    if kind == "SELECT_V2":
        a, b, shape = draw(broadcastable())
        condition = tuple(d if draw(st.booleans()) else 1 for d in shape)
    else:
        a = b = shape = draw(shapes())
        condition = draw(st.sampled_from((shape, shape[:1], ())))
    constant = draw(st.sampled_from((-1, -1, 0, 1)))
    parts = [
        T(dims, dtype, **quant, data=rng.integers(0, 2, dims) if side == constant else None)
        for side, dims in enumerate((a, b))
    ]
    model = single_op_model(kind, [T(condition, "BOOL"), *parts], T(shape, dtype, **quant), version=1)
    return Case(model, {"kind": kind, "if": condition, "in": parts})


@st.composite
def negations(draw: st.DrawFn) -> Case:
    """LOGICAL_NOT."""
    shape = draw(shapes())
    return Case(single_op_model("LOGICAL_NOT", [T(shape, "BOOL")], T(shape, "BOOL")), {"in": shape})


_ORDERED = ("INT16", "INT32", "INT64", "FLOAT32")
_RELATIONS = ("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")

CASES: dict[str, Values] = {
    **{kind: raw(kind, ("INT8", "INT16")) for kind in ("MAXIMUM", "MINIMUM")},
    **{f"{kind}, int32": raw(kind, ("INT32",)) for kind in ("MAXIMUM", "MINIMUM")},
    **{f"{kind}, int32": raw(kind, ("INT32",)) for kind in ("ADD", "SUB", "MUL", "SQUARED_DIFFERENCE")},
    **{kind: raw(kind, ("INT32",)) for kind in ("DIV", "FLOOR_DIV", "FLOOR_MOD", "POW")},
    **{f"{kind}, bytes": raw(kind, ("INT8", "INT16")) for kind in ("FLOOR_DIV", "FLOOR_MOD")},
    "DIV, int8": quotients(),
    **{f"{kind}, int32": signs(kind) for kind in ("NEG", "ABS")},
    "SQUARED_DIFFERENCE": squared_differences(),
    "PRELU": prelus(),
    **{kind: compared(kind) for kind in (*_RELATIONS, "EQUAL", "NOT_EQUAL")},
    **{f"{kind}, plain": raw(kind, _ORDERED, True, "LESS_EQUAL GREATER") for kind in _RELATIONS},
    "EQUAL, plain": raw("EQUAL", (*_ORDERED, "BOOL"), True),
    "NOT_EQUAL, float": raw("NOT_EQUAL", ("FLOAT32",), True),
    "NOT_EQUAL, plain": raw("NOT_EQUAL", ("INT32", "INT64", "FLOAT32", "BOOL"), True),
    **{kind: raw(kind, ("BOOL",)) for kind in ("LOGICAL_AND", "LOGICAL_OR")},
    "LOGICAL_NOT": negations(),
    "SELECT_V2": selects("SELECT_V2"),
    "SELECT": selects("SELECT"),
}
