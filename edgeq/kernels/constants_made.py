"""Operators whose output is one value over and over, or known from shapes: FILL, ZEROS_LIKE, SHAPE, RANK; and PADV2."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import rules
from edgeq.kernels.contract import Call, Constant, Facts, Kernel, Lowering
from edgeq.kernels.copies import ints
from edgeq.kernels.data_movement import integers_are_quantized, lower_padding, paddings_fit, type_is_kept
from edgeq.kernels.operands import operand
from edgeq.kernels.types import INDEX, INT32, MOVED


def _fill(pointer: str, count: int, item_bytes: int, constants: tuple[Constant, ...]) -> Lowering:
    fields = MappingProxyType({"count": str(count), "item_bytes": str(item_bytes)})
    return Lowering((Call((pointer, "{out0}"), "edgeq_fill_params", fields),), constants)


def _lower_fill(graph: Graph, op: Op) -> Lowering:
    value, out = graph.input_of(op, 1), graph.output_of(op)
    assert value is not None
    pointer, constants = operand(value, 1)
    return _fill(pointer, out.elements, out.dtype.bits // 8, constants)


def _lower_zeros(graph: Graph, op: Op) -> Lowering:
    out = graph.output_of(op)
    return _fill("{const:zero}", out.size_bytes, 1, (Constant("zero", "uint8_t", b"\0", "parameters"),))


def _lower_shape(graph: Graph, op: Op) -> Lowering:
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    sizes = np.array(inp.shape, out.dtype.numpy.newbyteorder("<")).tobytes()
    return _fill("{const:shape}", 1, len(sizes), (Constant("shape", "uint8_t", sizes, "parameters"),))


def _lower_rank(graph: Graph, op: Op) -> Lowering:
    inp = graph.input_of(op, 0)
    assert inp is not None
    rank = np.array([len(inp.shape)], "<i4").tobytes()
    return _fill("{const:rank}", 1, 4, (Constant("rank", "uint8_t", rank, "parameters"),))


def fill_fits(graph: Graph, op: Op) -> Facts | None:
    """The sizes {sizes} don't give an output {out_shape}, or its value isn't one of the output's type: the file is
    damaged."""
    value, out = graph.input_of(op, 1), graph.output_of(op)
    assert value is not None
    sizes = ints(graph.input_of(op, 0))
    if sizes == out.shape and value.elements == 1 and value.dtype is out.dtype:
        return None
    return {"sizes": list(sizes), "out_shape": list(out.shape)}


def shape_fits(graph: Graph, op: Op) -> Facts | None:
    """An input of {rank} dimensions has a shape of {rank} numbers, not {out_shape}: the file is damaged."""
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    return None if out.shape == (len(inp.shape),) else {"rank": len(inp.shape), "out_shape": list(out.shape)}


def rank_is_a_number(graph: Graph, op: Op) -> Facts | None:
    """The number of dimensions is one number, not {out_shape}: the file is damaged."""
    out = graph.output_of(op)
    return None if out.shape == () else {"out_shape": list(out.shape)}


def shapes_are_equal(graph: Graph, op: Op) -> Facts | None:
    """The output {out_shape} must have the shape and type of the input {in_shape}: the file is damaged."""
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    if inp.shape == out.shape and inp.dtype is out.dtype:
        return None
    return {"in_shape": list(inp.shape), "out_shape": list(out.shape)}


def value_fits(graph: Graph, op: Op) -> Facts | None:
    """The value to pad with must be one number of the input's type: the file is damaged."""
    inp, value = graph.input_of(op, 0), graph.input_of(op, 2)
    assert inp is not None and value is not None
    return None if value.elements == 1 and value.dtype is inp.dtype else {}


def _lower_padv2(graph: Graph, op: Op) -> Lowering:
    value = graph.input_of(op, 2)
    assert value is not None and value.data is not None
    data = value.data.reshape(-1)[:1].astype(value.dtype.numpy.newbyteorder("<")).tobytes()
    return lower_padding(graph, op, int.from_bytes(data.ljust(4, b"\0")[:4], "little", signed=True))


_PADDED = (DType.INT8, DType.INT16, DType.INT32, DType.UINT8, DType.FLOAT32)

KERNELS = (
    Kernel(
        symbol="edgeq_fill",
        op="FILL",
        types="any",
        max_version=4,
        sources=("portable/copy.c",),
        rules=(
            rules.arity(2, 2),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((INDEX, MOVED), MOVED),
            rules.constant(0, "sizes"),
            fill_fits,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_fill,
        why="every core",
    ),
    Kernel(
        symbol="edgeq_fill",
        op="ZEROS_LIKE",
        types="int32, int64, float32",
        max_version=1,
        sources=("portable/copy.c",),
        rules=(
            rules.arity(1, 1),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types(((DType.INT32, DType.INT64, DType.FLOAT32),), (DType.INT32, DType.INT64, DType.FLOAT32)),
            shapes_are_equal,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_zeros,
        why="every core",
    ),
    Kernel(
        symbol="edgeq_fill",
        op="SHAPE",
        types="any",
        max_version=1,
        sources=("portable/copy.c",),
        rules=(
            rules.arity(1, 1),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((MOVED,), INDEX),
            shape_fits,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_shape,
        why="every core; known when code is generated",
    ),
    Kernel(
        symbol="edgeq_fill",
        op="RANK",
        types="any",
        max_version=1,
        sources=("portable/copy.c",),
        rules=(
            rules.arity(1, 1),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((MOVED,), INT32),
            rank_is_a_number,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_rank,
        why="every core; known when code is generated",
    ),
    Kernel(
        symbol="edgeq_pad",
        op="PADV2",
        types="any",
        max_version=4,
        sources=("portable/data_movement.c",),
        rules=(
            rules.arity(3, 3),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((_PADDED, INDEX, _PADDED), _PADDED),
            type_is_kept,
            rules.constant(1, "paddings"),
            rules.constant(2, "value"),
            rules.rank(0, (1, 2, 3, 4, 5, 6)),
            paddings_fit,
            value_fits,
            integers_are_quantized,
            rules.same_quantization,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_padv2,
        why="every core",
    ),
)
