"""DIV of int8; FLOOR_DIV and FLOOR_MOD of int8 and int16, which take the bytes as they are; ABS and NEG of int32."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import arithmetic, rules, windows
from edgeq.kernels.activations import size_is_kept
from edgeq.kernels.arithmetic import scale_of, zero_point_of
from edgeq.kernels.binary import lower_broadcast, numbers
from edgeq.kernels.contract import Call, Constant, Facts, Kernel, Lowering
from edgeq.kernels.elementwise import scale_initializer, shapes_broadcast
from edgeq.kernels.types import INT8, INT32, SUFFIX

_MOST_SHIFT = 23  # of the factor: a dividend of eight bits leaves that many above it


def _multiplier(graph: Graph, op: Op) -> arithmetic.Multiplier:
    """div.cc multiplies and divides in float before it widens the quotient."""
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    return arithmetic.quantize_multiplier(float(np.float32(scale_of(a) / np.float32(scale_of(b) * scale_of(out)))))


def quotient_is_defined(graph: Graph, op: Op) -> Facts | None:
    """Its scales make a factor of 2**{shift}; from 2**{most} on the reference's arithmetic is undefined: convert the
    model again."""
    shift = _multiplier(graph, op).shift
    return None if shift <= _MOST_SHIFT else {"shift": shift, "most": _MOST_SHIFT}


def _lower_div(graph: Graph, op: Op) -> Lowering:
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    fields = {
        "zero0": str(zero_point_of(a)),
        "zero1": str(zero_point_of(b)),
        "out_zero": str(zero_point_of(out)),
        "out_scale": scale_initializer(_multiplier(graph, op)),
        **windows.activation_fields(op, out),
    }
    return lower_broadcast(graph, op, "edgeq_binary_params", fields)


def _lower_floor(graph: Graph, op: Op) -> Lowering:
    return lower_broadcast(graph, op, "edgeq_integer_params", {})


def _lower_sign(graph: Graph, op: Op) -> Lowering:
    """0 - x; for ABS then the larger of that and x, which may share no byte with the output."""
    out = graph.output_of(op)
    size = (1, 1, 1, 1, 1, out.elements)
    step = (0, 0, 0, 0, 0, 1)
    limits = {"act_min": "INT32_MIN", "act_max": "INT32_MAX"}
    below = {"size": numbers(size), "stride0": numbers((0,) * 6), "stride1": numbers(step), **limits}
    either = {**below, "stride0": numbers(step)}
    zero = Constant("zero", "int32_t", bytes(4), "parameters")
    struct = "edgeq_integer_params"
    negated = Call(("{const:zero}", "{in0}", "{out0}"), struct, MappingProxyType(below), "edgeq_sub_s32")
    if op.kind == "NEG":
        return Lowering((negated,), (zero,), overlap=MappingProxyType({0: 0}))
    larger = ("(const void *){out0}", "{in0}", "{out0}")
    return Lowering((negated, Call(larger, struct, MappingProxyType(either), "edgeq_maximum_s32")), (zero,))


def _sign_row(op: str, max_version: int, symbol: str, *sources: str) -> Kernel:
    return Kernel(
        symbol=symbol,
        op=op,
        types="int32",
        max_version=max_version,
        sources=tuple(f"portable/{source}.c" for source in sources),
        rules=(
            rules.arity(1, 1),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((INT32,), INT32),
            size_is_kept,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_sign,
        why="every core; as a difference from zero",
    )


KERNELS = (
    Kernel(
        symbol="edgeq_div_s8",
        op="DIV",
        types="int8",
        max_version=2,
        sources=("portable/div_s8.c",),
        rules=(
            rules.arity(2, 2),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((INT8, INT8), INT8),
            shapes_broadcast,
            rules.quantization_is_usable(0, 1),
            quotient_is_defined,
            rules.activation_is_known,
            rules.activation_range_fits,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_div,
        why="every core; broadcasting",
        exact="equal where the reference divides and shifts by 31 bits at most; else what it comes to, and by zero 0",
    ),
    *(
        Kernel(
            symbol=f"edgeq_{op.lower()}_{SUFFIX[dtype]}",
            op=op,
            types=dtype.value.lower(),
            max_version=version,
            sources=(f"portable/floor_{SUFFIX[dtype]}.c",),
            rules=(
                rules.arity(2, 2),
                rules.shapes_are_static,
                rules.nothing_is_empty,
                rules.types(((dtype,), (dtype,)), (dtype,)),
                shapes_broadcast,
                rules.activations_come_from_the_arena,
            ),
            lower=_lower_floor,
            why="every core; broadcasting",
            exact="equal where the reference divides; by zero, which it refuses, the result is 0",
        )
        for op, version in (("FLOOR_DIV", 3), ("FLOOR_MOD", 2))
        for dtype in (DType.INT16, DType.INT8)
    ),
    _sign_row("NEG", 2, "edgeq_sub_s32", "integers_s32"),
    _sign_row("ABS", 5, "edgeq_maximum_s32", "integers_s32", "extremes_s32"),
)
