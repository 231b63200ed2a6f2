"""LOGISTIC and TANH on int16: one table of the logistic function, with lines between its values."""

from __future__ import annotations

import math

from edgeq.graph import Graph, Op
from edgeq.kernels import arithmetic, rules, wide
from edgeq.kernels.activations import size_is_kept
from edgeq.kernels.contract import Facts, Kernel, Lowering
from edgeq.kernels.types import INT16


def steps(scale: float, shifts: tuple[int, ...]) -> tuple[int, int]:
    """Multiplier and right shift that bring an int16 to the table's steps: 3 * 4096 per unit.

    Args:
        shifts: left shifts that need no multiplier, where the scale is a power of two: within a thousandth of one in
            its logarithm, as the reference's CheckedLog2 has it.
    """
    logarithm = math.log2(scale)
    shift = 12 + round(logarithm)
    if abs(logarithm - round(logarithm)) < 1e-3 and shift in shifts:
        return 3 << shift, 0
    multiplier, right = scale * 4096.0 * 3.0, 0
    while multiplier <= 32767.0 / 2.0 and right <= 30:
        multiplier *= 2.0
        right += 1
    return int(multiplier), right


def output_is_fraction(graph: Graph, op: Op) -> Facts | None:
    """The output's scale is {scale}; it must be 1/32768 on int16: convert the model again."""
    scale = float(arithmetic.scale_of(graph.output_of(op)))
    return None if scale == 1 / 32768 else {"scale": scale}


def input_is_moderate(graph: Graph, op: Op) -> Facts | None:
    """The input's scale is {scale}; from 5 on the reference's arithmetic overflows: convert the model again."""
    inp = graph.input_of(op, 0)
    assert inp is not None
    scale = float(arithmetic.scale_of(inp))
    return None if scale < 5 else {"scale": scale}


def _lower(graph: Graph, op: Op) -> Lowering:
    inp = graph.input_of(op, 0)
    assert inp is not None
    multiplier, shift = steps(float(arithmetic.scale_of(inp)), (0,) if op.kind == "LOGISTIC" else (0, 1))
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_sigmoid_s16_params",
        fields={"count": str(inp.elements), "multiplier": str(multiplier), "shift": str(shift)},
        overlap={0: 0},
    )


KERNELS = tuple(
    Kernel(
        symbol=f"edgeq_{op.lower()}_s16",
        op=op,
        types="int16",
        max_version=3,
        sources=("portable/sigmoid_s16.c",),
        rules=(
            rules.arity(1, 1),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((INT16,), INT16),
            size_is_kept,
            rules.quantization_is_usable(0),
            wide.zero_points_are_zero,
            output_is_fraction,
            input_is_moderate,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower,
        why="every core; in place",
    )
    for op in ("LOGISTIC", "TANH")
)
