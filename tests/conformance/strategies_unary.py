"""Operators of one input, element by element: every int8, a good part of int16."""

from __future__ import annotations

from typing import Any

import numpy as np
from conformance.cases import Case, Values, float32, scales, zero_points
from hypothesis import strategies as st
from models_flatbuffer import T, single_op_model

_EVERY8 = np.arange(-128, 128).astype(np.int8).reshape(4, 64)
_ENDS: dict[str, dict[str, Any]] = {
    "LOGISTIC": {"scale": 1 / 256, "zero_point": -128},
}
_LITERT_ONLY = ("LOG", "SQRT")


@st.composite
def tables(draw: st.DrawFn, kind: str, reach: tuple[int, int] = (-9, 1)) -> Case:
    """int8, all of its values."""
    zero = draw(zero_points())
    if kind == "EXP":
        reach = (-9, -5)  # to e**16: conversions from float that overflow are undefined
    inp = T((4, 64), scale=draw(scales(*reach)), zero_point=zero)
    typical = {"EXP": 1.0, "RSQRT": 1.0, "SQRT": 0.05, "LOG": 0.05, "TANH": 1 / 128}.get(kind, float(inp.scale))  # type: ignore[arg-type]
    s_out = float32(typical * draw(scales(-4, 4)))
    if kind == "ABS" and draw(st.booleans()):
        s_out = float(inp.scale)  # type: ignore[arg-type]
    out = T((4, 64), **(_ENDS.get(kind) or {"scale": s_out, "zero_point": draw(zero_points())}))
    options: dict[str, Any] = {}
    if kind == "LEAKY_RELU":
        options = {"alpha": draw(st.one_of(st.just(0.3), st.just(0.0), scales(-8, 2)))}
    if kind == "GELU":
        options = {"approximate": draw(st.booleans())}
    values = np.maximum(_EVERY8, zero) if kind == "SQRT" else _EVERY8  # the reference refuses what is negative
    if kind in ("RSQRT", "LOG"):  # the reference refuses what isn't positive
        values = np.maximum(values, min(zero + 1, 127)) if zero < 127 else np.full_like(values, 127)
        if zero == 127:
            inp, values = T((4, 64), scale=inp.scale, zero_point=126), np.full_like(values, 127)
    model = single_op_model(kind, [inp], out, options, version=2 if kind in ("LOGISTIC", "TANH") else 1)
    engine = "litert" if kind in _LITERT_ONLY else "tflite-runtime"
    return Case(model, {"kind": kind, "in": inp, "out": out, **options}, ((values,),), engine)  # type: ignore[arg-type]


_TABLES = ("LOGISTIC", "TANH", "HARD_SWISH", "LEAKY_RELU", "ELU", "EXP", "LOG", "RSQRT", "SQRT", "GELU", "ABS")

CASES: dict[str, Values] = {kind: tables(kind) for kind in _TABLES}
