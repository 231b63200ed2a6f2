"""SOFTMAX on int16: exp() and a reciprocal from tables."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgeq.graph import Graph, Op
from edgeq.kernels import arithmetic, rules, wide
from edgeq.kernels.activations import size_is_kept
from edgeq.kernels.contract import Constant, Facts, Kernel, Lowering
from edgeq.kernels.elementwise import scale_initializer
from edgeq.kernels.softmax import beta_of
from edgeq.kernels.types import INT16

_STEPS = 512


def interpolation_table(function: Callable[[float], float], first: float, last: float) -> bytes:
    """`function` over first..last as 513 values in units of 2**-15, for lines between them.

    Each value is moved by half of the error that the line has in the middle of its step (gen_lut in
    tensorflow/lite/kernels/internal/common.h, 2.14).
    """
    step = (last - first) / _STEPS
    scale = 65536.0 / 2.0
    table = []
    for i in range(_STEPS):
        sample = _round(function(first + i * step) * scale)
        line = _round((function(first + (i + 1) * step) * scale + sample) / 2.0)
        error = line - _round(function(first + i * step + step / 2.0) * scale)
        table.append(min(max(sample - _round(error / 2.0), -32768), 32767))
    table.append(min(max(_round(function(last) * scale), -32768), 32767))
    return np.array(table, "<i2").tobytes()


def _round(value: float) -> int:
    return math.floor(value + 0.5) if value >= 0 else -math.floor(-value + 0.5)


def output_is_fraction(graph: Graph, op: Op) -> Facts | None:
    """The output's scale is {scale}; softmax on int16 writes units of 1/32768: convert the model again."""
    scale = float(arithmetic.scale_of(graph.output_of(op)))
    return None if abs(scale - 1 / 32768) <= 0.001 / 32768 else {"scale": scale}


def beta_is_positive(graph: Graph, op: Op) -> Facts | None:
    """The option beta is {beta} with an input scale of {scale}; their product must be positive and less than 2**15:
    convert the model again."""
    inp = graph.input_of(op, 0)
    assert inp is not None
    beta, scale = beta_of(op), float(arithmetic.scale_of(inp))
    return None if math.isfinite(beta) and 0 <= beta * scale < 1 else {"beta": beta, "scale": scale}


def _lower(graph: Graph, op: Op) -> Lowering:
    inp = graph.input_of(op, 0)
    assert inp is not None
    depth = inp.shape[-1]
    real = float(arithmetic.scale_of(inp)) * beta_of(op) / (10.0 / 65535.0)
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_softmax_s16_params",
        fields={
            "rows": str(inp.elements // depth),
            "depth": str(depth),
            "scale": scale_initializer(arithmetic.quantize_multiplier(real)),
            "exp": "{const:exp}",
            "reciprocal": "{const:reciprocal}",
        },
        constants=(
            Constant("exp", "int16_t", interpolation_table(math.exp, -10.0, 0.0), "parameters"),
            Constant("reciprocal", "int16_t", interpolation_table(_reciprocal, 0.0, 1.0), "parameters"),
        ),
        overlap={0: 0},
    )


def _reciprocal(x: float) -> float:
    return 1.0 / (1.0 + x)


KERNELS = (
    Kernel(
        symbol="edgeq_softmax_s16",
        op="SOFTMAX",
        types="int16",
        max_version=3,
        sources=("portable/softmax_s16.c",),
        rules=(
            rules.arity(1, 1),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((INT16,), INT16),
            rules.rank(0, (1, 2, 3, 4)),
            size_is_kept,
            rules.quantization_is_usable(0),
            wide.zero_points_are_zero,
            output_is_fraction,
            beta_is_positive,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower,
        why="every core; in place",
    ),
)
