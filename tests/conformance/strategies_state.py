"""Operators that keep something from one inference to the next: several inferences in a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from conformance.cases import Case, Values, float32, int8_values, rngs, scales, zero_points
from hypothesis import strategies as st
from models_flatbuffer import O, T, model_object, pack, single_op_model

_STEPS = 6


def _sequence(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], ...]:
    return tuple((rng.integers(-128, 128, shape).astype(np.int8),) for _ in range(_STEPS))


@st.composite
def svdfs(draw: st.DrawFn, state_type: str) -> Case:
    """SVDF with an int16 state, as converters make it, or an int8 one, as TFLM's models have it."""
    rng = draw(rngs())
    batches, inputs, units = draw(st.integers(1, 2)), draw(st.integers(1, 8)), draw(st.integers(1, 5))
    rank, memory = draw(st.integers(1, 2)), draw(st.integers(1, 6))
    filters = units * rank
    small = state_type == "INT8"
    s_in, s_feature, s_time = (
        draw(scales(-8, 0)),
        draw(scales(-10, -4)),
        draw(scales(-10, -4) if small else scales(-18, -12)),
    )
    s_state = float32(s_in * s_feature * inputs**0.5 * (64 if small else 1) * draw(scales(-2, 3)))
    s_out = float32(s_state * s_time * memory**0.5 * (64 if small else 32768 * 64) * draw(scales(-2, 3)))
    times = rng.integers(-127, 128, (filters, memory)) if small else rng.integers(-32767, 32768, (filters, memory))
    ends = [
        T((batches, inputs), scale=s_in, zero_point=draw(zero_points())),
        T((filters, inputs), scale=s_feature, data=int8_values(rng, (filters, inputs), -127)),
        T((filters, memory), state_type, scale=s_time, data=times),
        T((units,), "INT32", scale=float32(s_state * s_time), data=rng.integers(-1000, 1000, units)),
        T((batches, memory * filters), state_type, scale=s_state, is_variable=True),
    ]
    out = T((batches, units), scale=s_out, zero_point=draw(zero_points()))
    options = {"rank": rank, "fused_activation_function": "RELU"}  # which 2.14 asks for and doesn't apply
    model = single_op_model("SVDF", ends, out, options, version=3)
    runs = _sequence(rng, (batches, inputs))
    about = {"in": ends[0], "state": ends[4], "out": out, **options}
    expected = _svdf(ends, out, rank, runs) if small else ()
    return Case(model, about, runs, expected=expected)


def _svdf(ends: list[T], out: T, rank: int, runs: tuple[tuple[Any, ...], ...]) -> tuple[tuple[Any, ...], ...]:
    """An int8 SVDF replayed as TFLM defines it (tensorflow/lite/micro/kernels/svdf_common.cc), written anew."""
    from edgeq.reference.fully_connected import quantized_multiplier, requantize

    inp, features, times, bias, state = ends
    one = [np.float32(t.scale) for t in (inp, features, times, state, out)]
    first = quantized_multiplier(float(np.float32(np.float32(one[0] * one[1]) / one[3])))
    second = quantized_multiplier(float(np.float32(np.float32(one[3] * one[2]) / one[4])))
    batches, units = out.shape
    filters, memory = times.shape
    kept = np.zeros((batches, filters, memory), np.int64)
    found = []
    for (x,) in runs:
        dot = (x.astype(np.int64) - inp.zero_point) @ np.asarray(features.data, np.int64).T
        new = np.clip(requantize(dot, np.int64(first[0]), np.int64(first[1])), -128, 127)  # type: ignore[arg-type]
        kept = np.concatenate([kept[:, :, 1:], new[:, :, None]], axis=2)
        weighed = (kept * np.asarray(times.data, np.int64)).sum(axis=2).reshape(batches, units, rank).sum(axis=2)
        scaled = requantize(weighed + np.asarray(bias.data, np.int64), np.int64(second[0]), np.int64(second[1]))  # type: ignore[arg-type]
        found.append((np.clip(scaled + out.zero_point, -128, 127).astype(np.int8),))
    return tuple(found)


@st.composite
def counters(draw: st.DrawFn) -> Case:
    """A variable that each inference adds its input to: y = v + x, v = y; set by CALL_ONCE or left at zero."""
    rng = draw(rngs())
    shape = (1, draw(st.integers(1, 8)))
    dtype = "INT32"
    handle = T((), "RESOURCE")
    tensors = [T(shape, dtype, name="x"), handle, T(shape, dtype), T(shape, dtype, name="y")]
    operators = [
        O("VAR_HANDLE", [], [1], {"container": "", "shared_name": "v"}),
        O("READ_VARIABLE", [1], [2]),
        O("ADD", [2, 0], [3]),
        O("ASSIGN_VARIABLE", [1, 3], []),
    ]
    starts = draw(st.booleans())
    if starts:
        operators.insert(0, O("CALL_ONCE", [], [], {"init_subgraph_index": 1}))
    model = model_object(tensors, operators, [0], [3])
    first = rng.integers(-9, 9, shape)
    inner = model_object(
        [T((), "RESOURCE"), T(shape, dtype, data=first)],
        [O("VAR_HANDLE", [], [0], {"container": "", "shared_name": "v"}), O("ASSIGN_VARIABLE", [0, 1], [])],
        [],
        [],
    )
    if starts:
        _append_subgraph(model, inner)
    runs = tuple((rng.integers(-9, 9, shape).astype(np.int32),) for _ in range(_STEPS))
    # 2.14 refuses to read what was never assigned; here it is zero.
    totals = np.cumsum([x for (x,) in runs], axis=0).astype(np.int32)
    expected = () if starts else tuple((total,) for total in totals)
    return Case(pack(model), {"shape": shape, "starts": starts}, runs, expected=expected)


@st.composite
def lstms(draw: st.DrawFn) -> Case:
    """UNIDIRECTIONAL_SEQUENCE_LSTM as Keras models have it: four gates, no peepholes, no projection."""
    rng = draw(rngs())
    batches, steps, inputs, units = (draw(st.integers(1, n)) for n in (2, 4, 6, 6))
    major = draw(st.booleans())
    s_in, s_hidden, z_hidden = draw(scales(-8, -4)), draw(scales(-8, -6)), draw(zero_points())
    cell = 2.0 ** draw(st.integers(-15, -11))
    ends: list[T | None] = [None] * 24
    shape = (steps, batches, inputs) if major else (batches, steps, inputs)
    ends[0] = T(shape, scale=s_in, zero_point=draw(zero_points()))
    for gate in range(4):
        s_w, s_r = draw(scales(-9, -4)), draw(scales(-9, -4))
        ends[1 + gate] = T((units, inputs), scale=s_w, data=int8_values(rng, (units, inputs), -127))
        ends[5 + gate] = T((units, units), scale=s_r, data=int8_values(rng, (units, units), -127))
        bias = rng.integers(-3000, 3000, units)
        ends[12 + gate] = T((units,), "INT32", scale=float32(s_in * s_w), data=bias)
    ends[18] = T((batches, units), scale=s_hidden, zero_point=z_hidden, is_variable=True)
    ends[19] = T((batches, units), "INT16", scale=cell, is_variable=True)
    out = T((*shape[:2], units), scale=s_hidden, zero_point=z_hidden)
    clip = draw(st.sampled_from((0.0, 0.0, 0.5)))
    options = {"fused_activation_function": "TANH", "cell_clip": clip, "time_major": major}
    present = [t for t in ends if t is not None]
    places = [-1 if t is None else next(i for i, p in enumerate(present) if p is t) for t in ends]
    between = [T((0,), "INT16", scale=2.0**-12) for _ in range(4)] + [T((0,), scale=s_hidden, zero_point=z_hidden)]
    first = len(present) + 1
    operator = O("UNIDIRECTIONAL_SEQUENCE_LSTM", places, [len(present)], options, version=3)
    model = model_object([*present, out, *between], [operator], [0], [len(present)])
    model.subgraphs[0].operators[0].intermediates = list(range(first, first + 5))
    about = {"in": ends[0], "units": units, "cell": cell, "out": out, **options}
    return Case(pack(model), about, _sequence(rng, shape))


def _append_subgraph(model: Any, other: Any) -> None:
    """The first subgraph of `other` behind those of `model`."""
    added = other.subgraphs[0]
    buffers, codes = len(model.buffers), len(model.operatorCodes)
    model.buffers += other.buffers[1:]
    model.operatorCodes += other.operatorCodes
    for tensor in added.tensors:
        tensor.buffer = tensor.buffer + buffers - 1 if tensor.buffer else 0
    for operator in added.operators:
        operator.opcodeIndex += codes
    model.subgraphs.append(added)


CASES: dict[str, Values] = {
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstms(),
    "SVDF": svdfs("INT16"),
    "SVDF, int8 state": svdfs("INT8"),
    "VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE, CALL_ONCE": counters(),
}
