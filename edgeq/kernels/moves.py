"""Operators that copy blocks of elements, all one kernel; `copies` says which blocks."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np

from edgeq.graph import Graph, Op
from edgeq.kernels import rules
from edgeq.kernels.contract import Call, Constant, Facts, Kernel, Lowering, Rule
from edgeq.kernels.copies import (
    Copy,
    batches_copies,
    batches_fit,
    blocks_fit,
    broadcast_to_copies,
    depth_to_space_copies,
    ints,
    permutation_fits,
    reversal_fits,
    reverse_copies,
    shape_broadcasts,
    slice_copies,
    slice_fits,
    space_to_depth_copies,
    split_copies,
    split_fits,
    split_v_copies,
    split_v_fits,
    steps,
    strided_slice_copies,
    strided_slice_fits,
    tile_copies,
    tiles_fit,
    transpose_copies,
    unpack_copies,
    unpack_fits,
)
from edgeq.kernels.operands import operand
from edgeq.kernels.types import INDEX, MOVED

Copies = Callable[[Graph, Op], tuple[Copy, ...]]


def _lower(copies: Copies, position: int = 0) -> Callable[[Graph, Op], Lowering]:
    def lower(graph: Graph, op: Op) -> Lowering:
        source = graph.input_of(op, position)
        assert source is not None
        pointer, constants = operand(source, position)
        several = len(op.outputs) > 1
        calls = [
            copy.call(pointer, number if several else 0, source.dtype.bits // 8)
            for number, copy in enumerate(copies(graph, op))
        ]
        return Lowering(tuple(calls), constants)

    return lower


def _lower_to_batch(graph: Graph, op: Op) -> Lowering:
    """Where there are paddings the output is filled with the zero point first."""
    copied = _lower(batches_copies)(graph, op)
    out = graph.output_of(op)
    if not any(ints(graph.input_of(op, 2))):
        return copied
    value = int(out.quant.zero_point[0]) if out.quant is not None else 0
    constant = Constant("padding", "uint8_t", np.array([value], out.dtype.numpy.newbyteorder("<")).tobytes())
    fields = {"count": str(out.elements), "item_bytes": str(out.dtype.bits // 8)}
    fill = Call(("{const:padding}", "{out0}"), "edgeq_fill_params", MappingProxyType(fields), "edgeq_fill")
    return Lowering((fill, *copied.calls), (*copied.constants, constant))


def outputs_keep_type(graph: Graph, op: Op) -> Facts | None:
    """Output '{tensor}' is {out_dtype}, but the input {in_dtype}: the file is damaged."""
    source = graph.input_of(op, 1 if op.kind == "SPLIT" else 0)
    assert source is not None
    for index in op.outputs:
        tensor = graph.tensors[index]
        if tensor.dtype is not source.dtype:
            return {
                "tensor": tensor.short_name,
                "out_dtype": tensor.dtype.value,
                "in_dtype": source.dtype.value,
            }
    return None


def quantization_is_kept(graph: Graph, op: Op) -> Facts | None:
    """Its input and output '{tensor}' have different scales or zero points; {kind} moves elements and needs the same:
    convert the model again."""
    source = graph.input_of(op, 1 if op.kind == "SPLIT" else 0)
    assert source is not None
    for index in op.outputs:
        tensor = graph.tensors[index]
        if source.quant is None or tensor.quant is None:
            continue
        if source.quant.scale[0] != tensor.quant.scale[0] or source.quant.zero_point[0] != tensor.quant.zero_point[0]:
            return {"tensor": tensor.short_name, "kind": op.kind}
    return None


_MANY = 1 << 16


def outputs_are_there(least: int, most: int) -> Rule:
    """A rule: the number of inputs, with any number of outputs."""

    def arity_is_right(graph: Graph, op: Op) -> Facts | None:
        """It has {inputs} inputs and {outputs} outputs, which is not {kind}: the file is damaged or was made by a tool
        that means something else."""
        given = [i for i in op.inputs[:least] if i >= 0]
        if len(given) < least or len(op.inputs) > most or not op.outputs:
            return {"inputs": len(op.inputs), "outputs": len(op.outputs), "kind": op.kind}
        return None

    return arity_is_right


def _row(
    op: str,
    max_version: int,
    copies: Copies,
    fits: Rule,
    constants: tuple[tuple[int, str], ...] = (),
    *,
    position: int = 0,
    ranks: tuple[int, ...] = (1, 2, 3, 4, 5, 6),
    outputs: bool = False,
    lower: Callable[[Graph, Op], Lowering] | None = None,
) -> Kernel:
    inputs = 1 + len(constants)
    kinds = tuple(MOVED if i == position else INDEX for i in range(inputs))
    return Kernel(
        symbol="edgeq_copy",
        op=op,
        types="any",
        max_version=max_version,
        sources=("portable/copy.c",),
        rules=(
            outputs_are_there(inputs, inputs) if outputs else rules.arity(inputs, inputs),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types(kinds, MOVED),
            *(rules.constant(at, what) for at, what in constants),
            rules.rank(position, ranks),
            outputs_keep_type,
            fits,
            quantization_is_kept,
            rules.activations_come_from_the_arena,
        ),
        lower=lower or _lower(copies, position),
        why="every core",
    )


def _lower_pack(graph: Graph, op: Op) -> Lowering:
    """One copy per input."""
    out = graph.output_of(op)
    axis = op.integer("axis") % len(out.shape)
    stride = steps(out.shape)
    kept = stride[:axis] + stride[axis + 1 :]
    calls: list[Call] = []
    constants: list[Constant] = []
    for position, index in enumerate(op.inputs):
        tensor = graph.tensors[index]
        pointer, more = operand(tensor, position)
        constants += more
        shape = tensor.shape or (1,)
        copy = Copy(shape, steps(shape), kept or (1,), 0, position * stride[axis])
        calls.append(copy.call(pointer, 0, out.dtype.bits // 8))
    return Lowering(tuple(calls), tuple(constants))


def pack_fits(graph: Graph, op: Op) -> Facts | None:
    """The inputs {shapes} packed along {axis} don't give an output {out_shape} of their type: the file is damaged."""
    out = graph.output_of(op)
    parts = [graph.tensors[i] for i in op.inputs if i >= 0]
    axis, rank = op.integer("axis"), len(out.shape)
    if len(parts) == len(op.inputs) and -rank <= axis < rank and out.shape[axis % rank] == len(parts):
        at = axis % rank
        if all(t.shape == out.shape[:at] + out.shape[at + 1 :] and t.dtype is out.dtype for t in parts):
            return None
    return {"shapes": [list(t.shape) for t in parts], "axis": axis, "out_shape": list(out.shape)}


KERNELS = (
    _row("TRANSPOSE", 6, transpose_copies, permutation_fits, ((1, "permutation"),)),
    _row("SLICE", 6, slice_copies, slice_fits, ((1, "begin"), (2, "size"))),
    _row("STRIDED_SLICE", 8, strided_slice_copies, strided_slice_fits, ((1, "begin"), (2, "end"), (3, "strides"))),
    _row("SPLIT", 4, split_copies, split_fits, ((0, "axis"),), position=1, outputs=True),
    _row("SPLIT_V", 2, split_v_copies, split_v_fits, ((1, "sizes"), (2, "axis")), outputs=True),
    _row("UNPACK", 4, unpack_copies, unpack_fits, outputs=True),
    _row("SPACE_TO_DEPTH", 2, space_to_depth_copies, blocks_fit, ranks=(4,)),
    _row("DEPTH_TO_SPACE", 2, depth_to_space_copies, blocks_fit, ranks=(4,)),
    _row("REVERSE_V2", 3, reverse_copies, reversal_fits, ((1, "axes"),)),
    _row("BROADCAST_TO", 3, broadcast_to_copies, shape_broadcasts, ((1, "shape"),), ranks=(0, 1, 2, 3, 4, 5, 6)),
    _row("TILE", 3, tile_copies, tiles_fit, ((1, "repeats"),)),
    _row(
        "SPACE_TO_BATCH_ND",
        4,
        batches_copies,
        batches_fit,
        ((1, "block shape"), (2, "paddings")),
        ranks=(3, 4),
        lower=_lower_to_batch,
    ),
    _row("BATCH_TO_SPACE_ND", 4, batches_copies, batches_fit, ((1, "block shape"), (2, "crops")), ranks=(3, 4)),
    Kernel(
        symbol="edgeq_copy",
        op="PACK",
        types="any",
        max_version=4,
        sources=("portable/copy.c",),
        rules=(
            rules.arity(1, _MANY),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((MOVED,), MOVED),
            pack_fits,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_pack,
        why="every core; one copy per input",
    ),
)
