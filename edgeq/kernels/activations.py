"""RELU, RELU6, RELU_N1_TO_1 and RELU_0_TO_1 as operators of their own."""

from __future__ import annotations

import numpy as np

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import arithmetic, rules
from edgeq.kernels.contract import Facts, Kernel, Lowering
from edgeq.kernels.rescale import lower_rescale
from edgeq.kernels.types import SUFFIX


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


def _row(op: str, max_version: int, dtype: DType = DType.INT8) -> Kernel:
    return Kernel(
        symbol=f"edgeq_rescale_{SUFFIX[dtype]}",
        op=op,
        types=dtype.value.lower(),
        max_version=max_version,
        sources=("portable/rescale_s16.c" if dtype is DType.INT16 else "portable/rescale.c",),
        rules=(
            rules.arity(1, 1),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types(((dtype,),), (dtype,)),
            size_is_kept,
            rules.quantization_is_usable(0),
            rules.factor_is_defined(0),
            rules.activation_range_fits,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower,
        why="every core; in place",
    )


KERNELS = (
    _row("RELU", 3),
    _row("RELU6", 3),
    _row("RELU_N1_TO_1", 2),
    _row("RELU_0_TO_1", 1),
    _row("RELU", 4, DType.INT16),
    _row("RELU6", 4, DType.INT16),
)
