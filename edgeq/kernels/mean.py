"""MEAN."""

from __future__ import annotations

from math import prod

import numpy as np

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import arithmetic, rules
from edgeq.kernels.arithmetic import Multiplier
from edgeq.kernels.contract import Facts, Kernel, Lowering
from edgeq.kernels.elementwise import scale_initializer
from edgeq.kernels.types import SUFFIX

_RANK = 6


def reduced_axes(graph: Graph, op: Op) -> tuple[int, ...]:
    """The dimensions that are averaged over, each once, from 0."""
    inp, axes = graph.input_of(op, 0), graph.input_of(op, 1)
    assert inp is not None and axes is not None and axes.data is not None
    rank = len(inp.shape)
    return tuple(sorted({int(np.int64(a)) % rank if rank else 0 for a in axes.data.reshape(-1)}))


def axes_are_valid(graph: Graph, op: Op) -> Facts | None:
    """The axes {axes} of an input {in_shape} don't give an output {out_shape}: the file is damaged."""
    inp, axes, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert inp is not None and axes is not None and axes.data is not None
    values = [int(np.int64(a)) for a in axes.data.reshape(-1)]
    rank = len(inp.shape)
    if rank and all(-rank <= v < rank for v in values):
        kept = prod(d for i, d in enumerate(inp.shape) if i not in reduced_axes(graph, op))
        if kept == out.elements:
            return None
    return {"axes": values, "in_shape": list(inp.shape), "out_shape": list(out.shape)}


def mean_multiplier(scale: Multiplier, count: int) -> Multiplier:
    """s_in / s_out with 1/count folded in, as QuantizedMeanOrSum does it: in integers, with at most 32 more bits."""
    shift = min(count.bit_length() - 1, 32, 31 + scale.shift)
    return Multiplier((scale.value << shift) // count, scale.shift - shift)


def _lower(graph: Graph, op: Op) -> Lowering:
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    axes = reduced_axes(graph, op)
    count = prod(inp.shape[a] for a in axes)
    lead = _RANK - len(inp.shape)
    sizes = (1,) * lead + inp.shape
    reduce = tuple(1 if d - lead in axes else 0 for d in range(_RANK))
    real = float(arithmetic.scale_of(inp)) / float(arithmetic.scale_of(out))
    return Lowering.of_call(
        arguments=("{in0}", "{out0}", "{scratch}"),
        struct="edgeq_mean_params",
        fields={
            "size": "{" + ", ".join(map(str, sizes)) + "}",
            "reduce": "{" + ", ".join(map(str, reduce)) + "}",
            "count": str(count),
            "in_zero": str(arithmetic.zero_point_of(inp)),
            "out_zero": str(arithmetic.zero_point_of(out)),
            "scale": scale_initializer(mean_multiplier(arithmetic.quantize_multiplier(real), count)),
        },
        scratch_bytes=4 * out.elements,
        overlap={0: -inp.size_bytes},  # all is summed before anything is written
    )


KERNELS = tuple(
    Kernel(
        symbol=f"edgeq_mean_{SUFFIX[dtype]}",
        op="MEAN",
        types=dtype.value.lower(),
        max_version=3,
        sources=(f"portable/mean_{SUFFIX[dtype]}.c",),
        rules=(
            rules.arity(2, 2),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types(((dtype,), (DType.INT32,)), (dtype,)),
            rules.constant(1, "axes"),
            rules.rank(0, (1, 2, 3, 4, 5, 6)),
            axes_are_valid,
            rules.quantization_is_usable(0),
            rules.factor_is_defined(0),
            rules.activations_come_from_the_arena,
        ),
        lower=_lower,
        why="every core; any axes",
    )
    for dtype in (DType.INT8, DType.INT16)
)
