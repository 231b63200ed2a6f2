"""CONV_2D."""

from __future__ import annotations

from edgeq.graph import Graph, Op
from edgeq.kernels.contract import Facts, Kernel, Lowering
from edgeq.kernels.convolution import convolution_rules, lower_portable, parts


def macs(graph: Graph, op: Op) -> int:
    """Multiply-accumulates, those that fall on padding included."""
    p = parts(graph, op)
    return p.window.positions * p.weights.size


def channels_fit(graph: Graph, op: Op) -> Facts | None:
    """The weights {weights} don't fit the input's {in_c} and the output's {out_c} channels: the file is damaged."""
    inp, weights, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert inp is not None and weights is not None
    in_c, out_c = inp.shape[3], out.shape[3]
    groups = in_c // weights.shape[3]
    if groups and in_c % weights.shape[3] == 0 and out_c == weights.shape[0] and out_c % groups == 0:
        return None
    return {"weights": list(weights.shape), "in_c": in_c, "out_c": out_c}


def _lower(graph: Graph, op: Op) -> Lowering:
    weights = graph.input_of(op, 1)
    assert weights is not None
    return lower_portable(graph, op, group=weights.shape[3], macs=macs(graph, op))


RULES = (*convolution_rules(axis=0), channels_fit)

KERNELS = (
    Kernel(
        symbol="edgeq_conv_2d_s8",
        op="CONV_2D",
        types="int8",
        max_version=6,
        sources=("portable/conv_2d_s8.c",),
        rules=RULES,
        lower=_lower,
        why="every core; grouped convolutions everywhere",
    ),
)
