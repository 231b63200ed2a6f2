"""AVERAGE_POOL_2D and MAX_POOL_2D."""

from __future__ import annotations

from collections.abc import Callable

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import rules, windows
from edgeq.kernels.contract import Facts, Kernel, Lowering, Rule
from edgeq.kernels.types import SUFFIX


def depth_is_kept(graph: Graph, op: Op) -> Facts | None:
    """Pooling keeps the number of channels, but the input has {in_c} and the output {out_c}: the file is damaged."""
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    return None if inp.shape[3] == out.shape[3] else {"in_c": inp.shape[3], "out_c": out.shape[3]}


def _lower(graph: Graph, op: Op) -> Lowering:
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    window = windows.window_of(inp, out, op, op.integer("filter_height"), op.integer("filter_width"))
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_pool_params",
        fields={"window": window.initializer(), **windows.activation_fields(op, out)},
    )


def _rules(dtype: DType) -> tuple[Rule, ...]:
    return (
        rules.arity(1, 1),
        rules.shapes_are_static,
        rules.nothing_is_empty,
        rules.types(((dtype,),), (dtype,)),
        rules.rank(0, (4,)),
        windows.geometry(filter_from_options=True),
        depth_is_kept,
        rules.quantization_is_usable(0),
        rules.same_quantization,
        rules.activation_is_known,
        rules.activation_range_fits,
        rules.activations_come_from_the_arena,
    )


def _row(op: str, dtype: DType, lower: Callable[[Graph, Op], Lowering]) -> Kernel:
    return Kernel(
        symbol=f"edgeq_{op.lower()}_{SUFFIX[dtype]}",
        op=op,
        types=dtype.value.lower(),
        max_version=3,
        sources=(f"portable/pool_2d_{SUFFIX[dtype]}.c",),
        rules=_rules(dtype),
        lower=lower,
        why="every core",
    )


KERNELS = tuple(
    _row(op, dtype, _lower) for op in ("AVERAGE_POOL_2D", "MAX_POOL_2D") for dtype in (DType.INT8, DType.INT16)
)
