"""SUM, REDUCE_MAX and REDUCE_MIN (also of bool: ANY and ALL), ARG_MAX and ARG_MIN, CUMSUM, TOPK_V2."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import arithmetic, rules
from edgeq.kernels.binary import numbers
from edgeq.kernels.contract import Facts, Kernel, Lowering, Rule
from edgeq.kernels.copies import ints
from edgeq.kernels.elementwise import scale_initializer
from edgeq.kernels.mean import axes_are_valid, reduced_axes
from edgeq.kernels.types import INDEX, INT32, SUFFIX

_RANK = 6


def sizes_and_axes(graph: Graph, op: Op) -> dict[str, str]:
    """`size` and `reduce` of a reduction."""
    inp = graph.input_of(op, 0)
    assert inp is not None
    lead = _RANK - len(inp.shape)
    axes = reduced_axes(graph, op)
    reduce = tuple(1 if d - lead in axes else 0 for d in range(_RANK))
    return {"size": numbers((1,) * lead + inp.shape), "reduce": numbers(reduce)}


def _lower_plain(graph: Graph, op: Op) -> Lowering:
    return Lowering.of_call(("{in0}", "{out0}"), "edgeq_reduce_params", sizes_and_axes(graph, op))


def _lower_sum(graph: Graph, op: Op) -> Lowering:
    """The kernel of MEAN, without a division in its factor."""
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    real = float(arithmetic.scale_of(inp)) / float(arithmetic.scale_of(out))
    return Lowering.of_call(
        arguments=("{in0}", "{out0}", "{scratch}"),
        struct="edgeq_mean_params",
        fields={
            **sizes_and_axes(graph, op),
            "count": str(prod(inp.shape[a] for a in reduced_axes(graph, op))),
            "in_zero": str(arithmetic.zero_point_of(inp)),
            "out_zero": str(arithmetic.zero_point_of(out)),
            "scale": scale_initializer(arithmetic.quantize_multiplier(real)),
        },
        scratch_bytes=4 * out.elements,
    )


def reduction_rules(dtype: DType, *more: Rule) -> tuple[Rule, ...]:
    """The rules of every reduction."""
    return (
        rules.arity(2, 2),
        rules.shapes_are_static,
        rules.nothing_is_empty,
        rules.types(((dtype,), INT32), (dtype,)),
        rules.constant(1, "axes"),
        rules.rank(0, (1, 2, 3, 4, 5, 6)),
        axes_are_valid,
        *more,
        rules.activations_come_from_the_arena,
    )


def _reduced(
    op: str,
    symbol: str,
    source: str,
    dtype: DType,
    max_version: int,
    lower: Callable[[Graph, Op], Lowering] = _lower_plain,
    *more: Rule,
) -> Kernel:
    return Kernel(
        symbol=symbol,
        op=op,
        types=dtype.value.lower(),
        max_version=max_version,
        sources=(f"portable/{source}.c",),
        rules=reduction_rules(dtype, *more),
        lower=lower,
        why="every core; any axes",
    )


def _axis(graph: Graph, op: Op) -> int | None:
    """The one axis that input 1 names, from 0; None where it names none of the input's."""
    inp = graph.input_of(op, 0)
    assert inp is not None
    given, rank = ints(graph.input_of(op, 1)), len(inp.shape)
    return given[0] % rank if len(given) == 1 and -rank <= given[0] < rank else None


def _around_axis(graph: Graph, op: Op) -> dict[str, str]:
    inp, axis = graph.input_of(op, 0), _axis(graph, op)
    assert inp is not None and axis is not None
    return {
        "outer": str(prod(inp.shape[:axis])),
        "axis": str(inp.shape[axis]),
        "inner": str(prod(inp.shape[axis + 1 :])),
    }


def axis_is_dropped(graph: Graph, op: Op) -> Facts | None:
    """The place of the extreme of an input {in_shape} along {axis} doesn't give an output {out_shape}: the file is
    damaged."""
    inp, out, axis = graph.input_of(op, 0), graph.output_of(op), _axis(graph, op)
    assert inp is not None
    if axis is not None and inp.shape[:axis] + inp.shape[axis + 1 :] == out.shape:
        return None
    given = list(ints(graph.input_of(op, 1)))
    return {"in_shape": list(inp.shape), "axis": given, "out_shape": list(out.shape)}


def axis_is_kept(graph: Graph, op: Op) -> Facts | None:
    """Sums of an input {in_shape} along {axis} don't give an output {out_shape}: the file is damaged."""
    inp, out, axis = graph.input_of(op, 0), graph.output_of(op), _axis(graph, op)
    assert inp is not None
    if axis is not None and inp.shape == out.shape:
        return None
    given = list(ints(graph.input_of(op, 1)))
    return {"in_shape": list(inp.shape), "axis": given, "out_shape": list(out.shape)}


def _lower_arg(graph: Graph, op: Op) -> Lowering:
    fields = {**_around_axis(graph, op), "out_words": str(graph.output_of(op).dtype.bits // 32)}
    return Lowering.of_call(("{in0}", "{out0}"), "edgeq_axis_params", fields)


def _lower_cumsum(graph: Graph, op: Op) -> Lowering:
    fields = {
        **_around_axis(graph, op),
        "exclusive": str(op.integer("exclusive")),
        "reverse": str(op.integer("reverse")),
    }
    return Lowering.of_call(("{in0}", "{out0}"), "edgeq_cumsum_params", fields)


def cumsum_row(dtype: DType) -> Kernel:
    """CUMSUM of one type."""
    return Kernel(
        symbol=f"edgeq_cumsum_{SUFFIX[dtype]}",
        op="CUMSUM",
        types=dtype.value.lower(),
        max_version=1,
        sources=(f"portable/cumsum_{SUFFIX[dtype]}.c",),
        rules=(
            rules.arity(2, 2),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types(((dtype,), INT32), (dtype,)),
            rules.constant(1, "axis"),
            rules.rank(0, (1, 2, 3, 4, 5, 6)),
            axis_is_kept,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_cumsum,
        why="every core",
    )


def _arg_row(op: str, dtype: DType) -> Kernel:
    return Kernel(
        symbol=f"edgeq_{op.lower()}_{SUFFIX[dtype]}",
        op=op,
        types=dtype.value.lower(),
        max_version=3,
        sources=(f"portable/arg_extremes_{SUFFIX[dtype]}.c",),
        rules=(
            rules.arity(2, 2),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types(((dtype,), INDEX), INDEX),
            rules.constant(1, "axis"),
            rules.rank(0, (1, 2, 3, 4, 5, 6)),
            axis_is_dropped,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_arg,
        why="every core; the first of equal ones",
    )


def _lower_topk(graph: Graph, op: Op) -> Lowering:
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    depth = inp.shape[-1]
    fields = {"rows": str(inp.elements // depth), "depth": str(depth), "k": str(out.shape[-1])}
    return Lowering.of_call(("{in0}", "{out0}", "{out1}"), "edgeq_topk_params", fields)


def topk_fits(graph: Graph, op: Op) -> Facts | None:
    """The {k} largest of each row of an input {in_shape} don't give outputs {values} and {indices} of its type and
    int32: the file is damaged."""
    inp, values, indices = graph.input_of(op, 0), graph.output_of(op), graph.output_of(op, 1)
    assert inp is not None
    k = ints(graph.input_of(op, 1))
    typed = values.dtype is inp.dtype and indices.dtype is DType.INT32
    counted = len(k) == 1 and 0 < k[0] <= inp.shape[-1]
    if typed and counted and values.shape == indices.shape == (*inp.shape[:-1], k[0]):
        return None
    return {"k": list(k), "in_shape": list(inp.shape), "values": list(values.shape), "indices": list(indices.shape)}


_TOPPED = (DType.FLOAT32, DType.INT32, DType.INT8)
_ARGUED = (DType.FLOAT32, DType.INT32, DType.INT8)
_SUMMED = (rules.quantization_is_usable(0), rules.factor_is_defined(0))

KERNELS = (
    *(
        _reduced(
            op,
            f"edgeq_{op.lower()}_{SUFFIX[dtype]}",
            f"reduce_extremes_{SUFFIX[dtype]}",
            dtype,
            3,
        )
        for op in ("REDUCE_MAX", "REDUCE_MIN")
        for dtype in (DType.FLOAT32, DType.INT32, DType.INT16, DType.INT8)
    ),
    _reduced("REDUCE_ANY", "edgeq_reduce_max_s8", "reduce_extremes_s8", DType.BOOL, 2),
    _reduced("REDUCE_ALL", "edgeq_reduce_min_s8", "reduce_extremes_s8", DType.BOOL, 2),
    _reduced("SUM", "edgeq_sum_s32", "sum_s32", DType.INT32, 2),
    _reduced("SUM", "edgeq_mean_s16", "mean_s16", DType.INT16, 2, _lower_sum, *_SUMMED),
    _reduced("SUM", "edgeq_mean_s8", "mean_s8", DType.INT8, 2, _lower_sum, *_SUMMED),
    *(_arg_row(op, dtype) for op in ("ARG_MAX", "ARG_MIN") for dtype in _ARGUED),
    cumsum_row(DType.INT32),
    *(
        Kernel(
            symbol=f"edgeq_topk_{SUFFIX[dtype]}",
            op="TOPK_V2",
            types=dtype.value.lower(),
            max_version=3,
            sources=(f"portable/topk_{SUFFIX[dtype]}.c",),
            rules=(
                rules.arity(2, 2, outputs=2),
                rules.shapes_are_static,
                rules.nothing_is_empty,
                rules.types(((dtype,), INT32), (dtype, DType.INT32)),
                rules.constant(1, "count"),
                rules.rank(0, (1, 2, 3, 4, 5, 6)),
                topk_fits,
                rules.activations_come_from_the_arena,
            ),
            lower=_lower_topk,
            why="every core; of equal ones the first",
        )
        for dtype in _TOPPED
    ),
)
