"""BATCH_MATMUL."""

from __future__ import annotations

from math import prod

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels import arithmetic, rules, wide
from edgeq.kernels.binary import numbers
from edgeq.kernels.contract import Facts, Kernel, Lowering, Rule
from edgeq.kernels.elementwise import scale_initializer
from edgeq.kernels.operands import operand
from edgeq.kernels.types import SUFFIX

_BATCH_DIMENSIONS = 4


def _ends(graph: Graph, op: Op) -> tuple[Tensor, Tensor, Tensor]:
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    return a, b, out


def _matrix(shape: tuple[int, ...], transposed: bool) -> tuple[int, int]:
    return (shape[-1], shape[-2]) if transposed else (shape[-2], shape[-1])


def matrices_fit(graph: Graph, op: Op) -> Facts | None:
    """Matrices {a} and {b} don't multiply to {out}, or have more than six dimensions: the file is damaged."""
    a, b, out = _ends(graph, op)
    facts = {"a": list(a.shape), "b": list(b.shape), "out": list(out.shape)}
    if not min(len(a.shape), len(b.shape)) >= 2 or len(out.shape) > _BATCH_DIMENSIONS + 2:
        return facts
    (rows, depth), (deep, columns) = _matrix(a.shape, _adjoint(op, "x")), _matrix(b.shape, _adjoint(op, "y"))
    if depth != deep or out.shape[-2:] != (rows, columns):
        return facts
    lead = len(out.shape) - 2
    batches = [(1,) * (lead - len(t.shape) + 2) + t.shape[:-2] for t in (a, b)]
    sound = all(len(n) == lead for n in batches) and all(
        size == max(x, y) and x in (1, size) and y in (1, size)
        for size, x, y in zip(out.shape[:-2], *batches, strict=True)
    )
    return None if sound else facts


def _adjoint(op: Op, side: str) -> bool:
    return bool(op.options.get(f"adj_{side}"))


def _strides(shape: tuple[int, ...], lead: tuple[int, ...]) -> tuple[int, ...]:
    """Elements from one matrix to the next, for each batch dimension of the output."""
    batch = (1,) * (len(lead) - len(shape) + 2) + shape[:-2]
    matrix = prod(shape[-2:])
    steps = [0 if n == 1 else matrix * prod(batch[d + 1 :]) for d, n in enumerate(batch)]
    return (0,) * (_BATCH_DIMENSIONS - len(lead)) + tuple(steps)


def fields_of(graph: Graph, op: Op) -> dict[str, str]:
    """Sizes and strides, of every type."""
    a, b, out = _ends(graph, op)
    lead = out.shape[:-2]
    rows, depth = _matrix(a.shape, _adjoint(op, "x"))
    columns = out.shape[-1]
    return {
        "batch": numbers((1,) * (_BATCH_DIMENSIONS - len(lead)) + lead),
        "stride_a": numbers(_strides(a.shape, lead)),
        "stride_b": numbers(_strides(b.shape, lead)),
        "rows": str(rows),
        "depth": str(depth),
        "columns": str(columns),
        "a_row": "1" if _adjoint(op, "x") else str(depth),
        "a_step": str(rows) if _adjoint(op, "x") else "1",
        "b_step": "1" if _adjoint(op, "y") else str(columns),
        "b_column": str(depth) if _adjoint(op, "y") else "1",
    }


def lower_product(graph: Graph, op: Op, struct: str, fields: dict[str, str]) -> Lowering:
    """The call, with either side a constant."""
    a, b, out = _ends(graph, op)
    first, constants = operand(a, 0)
    second, more = operand(b, 1)
    depth = _matrix(a.shape, _adjoint(op, "x"))[1]
    return Lowering.of_call(
        arguments=(first, second, "{out0}"),
        struct=struct,
        fields={**fields_of(graph, op), **fields},
        constants=(*constants, *more),
        macs=out.elements * depth,
    )


def _lower(graph: Graph, op: Op) -> Lowering:
    a, b, out = _ends(graph, op)
    return lower_product(
        graph,
        op,
        "edgeq_batch_matmul_params",
        {
            "a_zero": str(arithmetic.zero_point_of(a)),
            "b_zero": str(arithmetic.zero_point_of(b)),
            "out_zero": str(arithmetic.zero_point_of(out)),
            "scale": scale_initializer(arithmetic.fully_connected_multiplier(a, b, out)),
        },
    )


def product_rules(dtype: DType, *more: Rule) -> tuple[Rule, ...]:
    """The rules of every type."""
    return (
        rules.arity(2, 2),
        rules.shapes_are_static,
        rules.nothing_is_empty,
        rules.types(((dtype,), (dtype,)), (dtype,)),
        matrices_fit,
        *more,
        rules.activations_come_from_the_arena,
    )


_QUANTIZED = rules.quantization_is_usable(0, 1)

KERNELS = tuple(
    Kernel(
        symbol=f"edgeq_batch_matmul_{SUFFIX[dtype]}",
        op="BATCH_MATMUL",
        types=dtype.value.lower(),
        max_version=4,
        sources=(f"portable/batch_matmul_{SUFFIX[dtype]}.c",),
        rules=product_rules(dtype, _QUANTIZED, *more),
        lower=_lower,
        why="every core; batches broadcast, either side transposed",
    )
    for dtype, more in (
        (DType.INT16, (wide.zero_points_are_zero, wide.wide_factor_is_defined(0, 1))),
        (DType.INT8, (rules.factor_is_defined(0, 1),)),
    )
)
