"""ADD, SUB and MUL, with broadcasting."""

from __future__ import annotations

import math
from dataclasses import replace
from math import prod
from types import MappingProxyType

import numpy as np

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import arithmetic, overlaps, rules, wide, windows
from edgeq.kernels.add_weighted import Addition, weighted
from edgeq.kernels.arithmetic import Multiplier
from edgeq.kernels.contract import Facts, Kernel, Lowering, Rule
from edgeq.kernels.operands import operand
from edgeq.kernels.types import INT8, INT16

_RANK = 6


def shapes_broadcast(graph: Graph, op: Op) -> Facts | None:
    """The shapes {a} and {b} don't broadcast to {out}: the file is damaged."""
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    try:
        if tuple(np.broadcast_shapes(a.shape, b.shape)) == out.shape and len(out.shape) <= _RANK:
            return None
    except ValueError:
        pass
    return {"a": list(a.shape), "b": list(b.shape), "out": list(out.shape)}


def broadcast_strides(shape: tuple[int, ...], out: tuple[int, ...]) -> tuple[int, ...]:
    """Elements to step per output dimension (0 repeats), padded in front to six dimensions."""
    padded = (1,) * (_RANK - len(shape)) + shape
    target = (1,) * (_RANK - len(out)) + out
    strides = [prod(padded[d + 1 :]) for d in range(_RANK)]
    return tuple(0 if padded[d] == 1 and target[d] != 1 else strides[d] for d in range(_RANK))


def merged(out: tuple[int, ...], *strides: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Fewer, longer loops: neighbouring dimensions that all inputs step through evenly become one."""
    sizes = list((1,) * (_RANK - len(out)) + out)
    steps = [list(s) for s in strides]
    d = _RANK - 1
    while d > 0:
        if sizes[d - 1] == 1 or all(s[d - 1] == s[d] * sizes[d] for s in steps):
            if sizes[d - 1] != 1:
                sizes[d] *= sizes[d - 1]
            for values in (sizes, *steps):
                del values[d - 1]
            sizes.insert(0, 1)
            for values in steps:
                values.insert(0, 0)
            if all(size == 1 for size in sizes[:d]):
                break
        else:
            d -= 1
    return tuple(sizes), tuple(tuple(s) for s in steps)


def _array(values: tuple[int, ...]) -> str:
    return "{" + ", ".join(map(str, values)) + "}"


def scale_initializer(m: Multiplier) -> str:
    """An `edgeq_scale` in C."""
    return f"{{{m.value}, {m.shift}}}"


def _lower(graph: Graph, op: Op, scales: tuple[Multiplier, Multiplier, Multiplier], left_shift: int) -> Lowering:
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    sizes, (stride0, stride1) = merged(
        out.shape, broadcast_strides(a.shape, out.shape), broadcast_strides(b.shape, out.shape)
    )
    first, first_constants = operand(a, 0)
    second, second_constants = operand(b, 1)
    overlap = {i: overlaps.broadcast(t, out) for i, t in enumerate((a, b)) if not t.is_constant}
    return Lowering.of_call(
        arguments=(first, second, "{out0}"),
        struct="edgeq_binary_params",
        fields={
            "size": _array(sizes),
            "stride0": _array(stride0),
            "stride1": _array(stride1),
            "zero0": str(arithmetic.zero_point_of(a)),
            "zero1": str(arithmetic.zero_point_of(b)),
            "out_zero": str(arithmetic.zero_point_of(out)),
            "scale0": scale_initializer(scales[0]),
            "scale1": scale_initializer(scales[1]),
            "out_scale": scale_initializer(scales[2]),
            "left_shift": str(left_shift),
            **windows.activation_fields(op, out),
        },
        constants=(*first_constants, *second_constants),
        overlap=overlap,
    )


def headroom_bits(graph: Graph, op: Op) -> int:
    """The left shift of inputs in tensorflow/lite/kernels/add.cc."""
    return 15 if graph.output_of(op).dtype is DType.INT16 else 20


def add_scales(graph: Graph, op: Op) -> tuple[Multiplier, Multiplier, Multiplier]:
    """Of the two inputs, after the left shift by `headroom_bits`, and of the output (add.cc)."""
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    s0, s1, s_out = (float(arithmetic.scale_of(t)) for t in (a, b, out))
    twice = 2 * max(s0, s1)
    return (
        arithmetic.quantize_multiplier(s0 / twice),
        arithmetic.quantize_multiplier(s1 / twice),
        arithmetic.quantize_multiplier(twice / ((1 << headroom_bits(graph, op)) * s_out)),
    )


def _lower_add(graph: Graph, op: Op) -> Lowering:
    return _lower(graph, op, add_scales(graph, op), headroom_bits(graph, op))


def _addition(graph: Graph, op: Op) -> Addition:
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    return Addition(
        arithmetic.zero_point_of(a),
        arithmetic.zero_point_of(b),
        arithmetic.zero_point_of(out),
        *add_scales(graph, op),
        headroom_bits(graph, op),
        *arithmetic.activation_range(op.text("fused_activation_function", "NONE"), out),
    )


def is_a_weighted_sum(graph: Graph, op: Op) -> Facts | None:
    """Its clamp is tighter than int8, or no weighted sum of its inputs gives every byte, as the tables do."""
    return None if weighted(_addition(graph, op)) is not None else {}


def _lower_add_weighted(graph: Graph, op: Op) -> Lowering:
    weights = weighted(_addition(graph, op))
    assert weights is not None
    portable = _lower_add(graph, op)
    (call,) = portable.calls
    fields = {
        "count": str(graph.output_of(op).elements),
        "m0": str(weights.m0),
        "m1": str(weights.m1),
        "constant": str(weights.constant),
    }
    return replace(portable, calls=(replace(call, struct="edgeq_dsp_add_params", fields=MappingProxyType(fields)),))


_TABLES_BYTES = 2 * 256 * 4


def _lower_add_dsp(graph: Graph, op: Op) -> Lowering:
    portable = _lower_add(graph, op)
    (call,) = portable.calls
    with_tables = replace(call, arguments=(*call.arguments, "{scratch}"))
    return replace(portable, calls=(with_tables,), scratch_bytes=_TABLES_BYTES)


def _lower_mul(graph: Graph, op: Op) -> Lowering:
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    # mul.cc computes this product and quotient in float before it widens them.
    real = np.float32(np.float32(arithmetic.scale_of(a) * arithmetic.scale_of(b)) / arithmetic.scale_of(out))
    unused = Multiplier(0, 0)
    return _lower(graph, op, (unused, unused, arithmetic.quantize_multiplier(float(real))), 0)


def _rules(types: tuple[DType, ...]) -> tuple[Rule, ...]:
    return (
        rules.arity(2, 2),
        rules.shapes_are_static,
        rules.nothing_is_empty,
        rules.types((types, types), types),
        shapes_broadcast,
        rules.quantization_is_usable(0, 1),
        rules.activation_is_known,
        rules.activation_range_fits,
        rules.activations_come_from_the_arena,
    )


def sums_fit_output(graph: Graph, op: Op) -> Facts | None:
    """The output's scale {scale} is less than {least} of an input's; the reference has no arithmetic for that: convert
    the model again."""
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    s0, s1, s_out = (float(arithmetic.scale_of(t)) for t in (a, b, out))
    # add.cc: QuantizeMultiplierSmallerThanOneExp ends the process otherwise.
    bits = headroom_bits(graph, op)
    if 2 * max(s0, s1) / ((1 << bits) * s_out) < 1:
        return None
    return {"scale": s_out, "least": f"2**-{bits - 1}"}


def scales_are_general(graph: Graph, op: Op) -> Facts | None:
    """It asks for the older int16 arithmetic, which only shifts (pot_scale_int16), and its scales are powers of two:
    convert the model again with a TensorFlow newer than 2.3."""
    tensors = (graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op))
    powers = [math.frexp(float(arithmetic.scale_of(t)))[0] == 0.5 for t in tensors if t is not None]
    return {} if op.options.get("pot_scale_int16", True) and all(powers) else None


ADD_RULES = (*_rules(INT8), sums_fit_output)
_ADD_RULES_16 = (*_rules(INT16), wide.zero_points_are_zero, sums_fit_output, scales_are_general)


def shapes_are_equal(graph: Graph, op: Op) -> Facts | None:
    """The shapes {a} and {b} differ, so that one is repeated; the portable kernel takes that."""
    a, b = graph.input_of(op, 0), graph.input_of(op, 1)
    assert a is not None and b is not None
    return None if a.shape == b.shape else {"a": list(a.shape), "b": list(b.shape)}


def shifts_are_moderate(graph: Graph, op: Op) -> Facts | None:
    """Its scales ask for shifts by {shifts} bits, not 0 to 30 to the right; the portable kernel takes that."""
    shifts = [-m.shift for m in add_scales(graph, op)]
    return None if all(0 <= s <= 30 for s in shifts) else {"shifts": shifts}


KERNELS = (
    Kernel(
        symbol="edgeq_add_weighted_s8_dsp",
        op="ADD",
        types="int8",
        max_version=4,
        requires=("dsp",),
        sources=("dsp/edgeq_dsp.h", "dsp/add_weighted_s8_dsp.c"),
        rules=(*ADD_RULES, shapes_are_equal, shifts_are_moderate, is_a_weighted_sum),
        lower=_lower_add_weighted,
        why="equal shapes, all 65,536 pairs of bytes proved: two products and one rounding per element",
    ),
    Kernel(
        symbol="edgeq_add_s8_dsp",
        op="ADD",
        types="int8",
        max_version=4,
        requires=("dsp",),
        sources=("dsp/edgeq_dsp.h", "dsp/add_s8_dsp.c"),
        rules=(*ADD_RULES, shapes_are_equal, shifts_are_moderate),
        lower=_lower_add_dsp,
        why="equal shapes: each input's scaling tabulated, one rounding by SMMULR per element",
    ),
    Kernel(
        symbol="edgeq_add_s8",
        op="ADD",
        types="int8",
        max_version=4,
        sources=("portable/binary_s8.c",),
        rules=ADD_RULES,
        lower=_lower_add,
        why="every core; broadcasting",
    ),
    Kernel(
        symbol="edgeq_mul_s8",
        op="MUL",
        types="int8",
        max_version=5,
        sources=("portable/binary_s8.c",),
        rules=(*_rules(INT8), rules.factor_is_defined(0, 1)),
        lower=_lower_mul,
        why="every core; broadcasting",
    ),
    Kernel(
        symbol="edgeq_sub_s8",
        op="SUB",
        types="int8",
        max_version=5,
        sources=("portable/sub_s8.c",),
        rules=ADD_RULES,
        lower=_lower_add,
        why="every core; broadcasting",
    ),
    *(
        Kernel(
            symbol=f"edgeq_{op.lower()}_s16",
            op=op,
            types="int16",
            max_version=7,
            sources=("portable/binary_s16.c",),
            rules=which,
            lower=lower,
            why="every core; broadcasting",
        )
        for op, which, lower in (
            ("ADD", _ADD_RULES_16, _lower_add),
            ("SUB", _ADD_RULES_16, _lower_add),
            ("MUL", (*_rules(INT16), wide.zero_points_are_zero, rules.factor_is_defined(0, 1)), _lower_mul),
        )
    ),
)
