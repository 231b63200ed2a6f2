"""SOFTMAX."""

from __future__ import annotations

import math

from edgeq.graph import Graph, Op, Tensor
from edgeq.kernels import arithmetic, rules
from edgeq.kernels.activations import size_is_kept
from edgeq.kernels.contract import Facts, Kernel, Lowering
from edgeq.kernels.convolution import INT8

_INTEGER_BITS = 5  # of the fixed-point input of exp(): Q5.26 (reference/softmax.h)


def output_is_probability(graph: Graph, op: Op) -> Facts | None:
    """The output's scale is {scale} and its zero point {zero_point}; softmax writes units of 1/256 from -128:
    convert the model again."""
    out = graph.output_of(op)
    scale, zero = float(arithmetic.scale_of(out)), arithmetic.zero_point_of(out)
    # The reference tolerates a scale that is off by a thousandth of a unit (activations.cc).
    if zero == -128 and abs(scale - 1 / 256) <= 0.001 / 256:
        return None
    return {"scale": scale, "zero_point": zero}


def beta_is_usable(graph: Graph, op: Op) -> Facts | None:
    """The option beta is {beta} with an input scale of {scale}; their product must be more than 2**-26, below which the
    reference has no arithmetic: convert the model again."""
    inp = graph.input_of(op, 0)
    assert inp is not None
    beta = beta_of(op)
    if math.isfinite(beta) and beta * float(arithmetic.scale_of(inp)) * (1 << (31 - _INTEGER_BITS)) > 1:
        return None
    return {"beta": beta, "scale": float(arithmetic.scale_of(inp))}


_MOST_ELEMENTS = 8191


def rows_are_summable(graph: Graph, op: Op) -> Facts | None:
    """Its rows have {depth} elements; the sum of more than {most} overflows the reference's 32 bits: apply softmax
    after the network."""
    inp = graph.input_of(op, 0)
    assert inp is not None
    return None if inp.shape[-1] <= _MOST_ELEMENTS else {"depth": inp.shape[-1], "most": _MOST_ELEMENTS}


def beta_of(op: Op) -> float:
    """The option, 1 where it is left out."""
    beta = op.options.get("beta", 1.0)
    return float(beta) if isinstance(beta, int | float) else 1.0


def _scaling(inp: Tensor, beta: float) -> arithmetic.Multiplier:
    """PreprocessSoftmaxScaling: beta * scale in units of 2**-26."""
    real = min(beta * float(arithmetic.scale_of(inp)) * (1 << (31 - _INTEGER_BITS)), (1 << 31) - 1.0)
    return arithmetic.quantize_multiplier(real)


def _lower(graph: Graph, op: Op) -> Lowering:
    inp = graph.input_of(op, 0)
    assert inp is not None
    scaling = _scaling(inp, beta_of(op))
    radius = ((1 << _INTEGER_BITS) - 1) * (1 << (31 - _INTEGER_BITS)) / (1 << scaling.shift)
    depth = inp.shape[-1]
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_softmax_params",
        fields={
            "rows": str(inp.elements // depth),
            "depth": str(depth),
            "multiplier": str(scaling.value),
            "left_shift": str(scaling.shift),
            "diff_min": str(-math.floor(radius)),
        },
        overlap={0: 0},
    )


KERNELS = (
    Kernel(
        symbol="edgeq_softmax_s8",
        op="SOFTMAX",
        types="int8",
        max_version=3,
        sources=("portable/softmax_s8.c",),
        rules=(
            rules.arity(1, 1),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((INT8,), INT8),
            rules.rank(0, (1, 2, 3, 4)),
            size_is_kept,
            rules.quantization_is_usable(0),
            output_is_probability,
            beta_is_usable,
            rows_are_summable,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower,
        why="every core; in place",
    ),
)
