"""RELU, RELU6 and RELU_N1_TO_1 as operators of their own."""

from __future__ import annotations

import numpy as np

from edgeq.graph import Graph, Op
from edgeq.kernels import arithmetic, rules
from edgeq.kernels.contract import Facts, Kernel, Lowering
from edgeq.kernels.convolution import INT8
from edgeq.kernels.rescale import lower_rescale


def size_is_kept(graph: Graph, op: Op) -> Facts | None:
    """The output {out_shape} must have as many elements as the input {in_shape}: the file is damaged."""
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    return None if inp.elements == out.elements else {"in_shape": list(inp.shape), "out_shape": list(out.shape)}


def _lower(graph: Graph, op: Op) -> Lowering:
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    # activations.cc divides the scales in float before it widens the quotient.
    factor = float(np.float32(arithmetic.scale_of(inp) / arithmetic.scale_of(out)))
    return lower_rescale(inp, out, factor, arithmetic.activation_range(op.kind, out))


def _row(op: str, max_version: int) -> Kernel:
    return Kernel(
        symbol="edgeq_rescale_s8",
        op=op,
        types="int8",
        max_version=max_version,
        sources=("portable/rescale.c",),
        rules=(
            rules.arity(1, 1),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((INT8,), INT8),
            size_is_kept,
            rules.quantization_is_usable(0),
            rules.factor_is_defined(0),
            rules.activation_range_fits,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower,
        why="every core; in place",
    )


KERNELS = (_row("RELU", 3), _row("RELU6", 3), _row("RELU_N1_TO_1", 2))
