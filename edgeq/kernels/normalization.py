"""L2_NORMALIZATION and LOG_SOFTMAX of int8."""

from __future__ import annotations

import math
from collections.abc import Callable

from edgeq.graph import Graph, Op
from edgeq.kernels import arithmetic, rules
from edgeq.kernels.activations import size_is_kept
from edgeq.kernels.contract import Facts, Kernel, Lowering, Rule
from edgeq.kernels.elementwise import scale_initializer
from edgeq.kernels.types import INT8

_INTEGER_BITS = 5


def output_has(scale: float, zero_point: int) -> Rule:
    """A rule: the output's quantization is what the operator always has."""

    def output_range_is_its_own(graph: Graph, op: Op) -> Facts | None:
        """The output's scale is {scale} and its zero point {zero_point}; {kind} writes {want_scale} and {want_zero}:
        convert the model again."""
        out = graph.output_of(op)
        if arithmetic.scale_of(out) == scale and arithmetic.zero_point_of(out) == zero_point:
            return None
        return {
            "scale": float(arithmetic.scale_of(out)),
            "zero_point": arithmetic.zero_point_of(out),
            "kind": op.kind,
            "want_scale": scale,
            "want_zero": zero_point,
        }

    return output_range_is_its_own


def rows_are_at_most(most: int) -> Rule:
    """A rule: a row's sum fits 32 bits."""

    def rows_are_summable(graph: Graph, op: Op) -> Facts | None:
        """Its rows have {depth} elements; the sum of more than {most} overflows the reference's 32 bits: compute it
        after the network."""
        inp = graph.input_of(op, 0)
        assert inp is not None
        return None if inp.shape[-1] <= most else {"depth": inp.shape[-1], "most": most}

    return rows_are_summable


def scale_is_moderate(graph: Graph, op: Op) -> Facts | None:
    """The input's scale is {scale}; LOG_SOFTMAX has arithmetic for 2**-25 to 32: convert the model again."""
    inp = graph.input_of(op, 0)
    assert inp is not None
    scale = float(arithmetic.scale_of(inp))
    return None if 2.0**-25 <= scale < 32 else {"scale": scale}


def _rows(graph: Graph, op: Op) -> dict[str, str]:
    inp = graph.input_of(op, 0)
    assert inp is not None
    depth = inp.shape[-1]
    return {"rows": str(inp.elements // depth), "depth": str(depth)}


def _lower_l2(graph: Graph, op: Op) -> Lowering:
    inp = graph.input_of(op, 0)
    assert inp is not None
    fields = {**_rows(graph, op), "in_zero": str(arithmetic.zero_point_of(inp))}
    return Lowering.of_call(("{in0}", "{out0}"), "edgeq_l2_normalization_params", fields, overlap={0: 0})


def _lower_log_softmax(graph: Graph, op: Op) -> Lowering:
    """PreprocessLogSoftmaxScalingExp (kernels/internal/quantization_util.cc) with beta 1."""
    inp = graph.input_of(op, 0)
    assert inp is not None
    real = min(float(arithmetic.scale_of(inp)) * (1 << (31 - _INTEGER_BITS)), (1 << 31) - 1.0)
    scale = arithmetic.quantize_multiplier(real)
    back = arithmetic.quantize_multiplier((1 << (31 - scale.shift)) / scale.value)
    radius = ((1 << _INTEGER_BITS) - 1) * (1 << (31 - _INTEGER_BITS)) / (1 << scale.shift)
    fields = {
        **_rows(graph, op),
        "scale": scale_initializer(scale),
        "back": scale_initializer(back),
        "diff_min": str(-math.floor(radius)),
    }
    return Lowering.of_call(("{in0}", "{out0}"), "edgeq_log_softmax_params", fields, overlap={0: 0})


def _row(op: str, max_version: int, lower: Callable[[Graph, Op], Lowering], *more: Rule) -> Kernel:
    return Kernel(
        symbol=f"edgeq_{op.lower()}_s8",
        op=op,
        types="int8",
        max_version=max_version,
        sources=(f"portable/{op.lower()}_s8.c",),
        rules=(
            rules.arity(1, 1),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((INT8,), INT8),
            rules.rank(0, (1, 2, 3, 4)),
            size_is_kept,
            rules.quantization_is_usable(0),
            *more,
            rules.activations_come_from_the_arena,
        ),
        lower=lower,
        why="every core; in place",
    )


KERNELS = (
    _row("L2_NORMALIZATION", 2, _lower_l2, output_has(1 / 128, 0), rows_are_at_most(33025)),
    _row("LOG_SOFTMAX", 2, _lower_log_softmax, output_has(1 / 16, 127), scale_is_moderate, rows_are_at_most(4095)),
)
