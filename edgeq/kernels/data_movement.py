"""Operators that move bytes: RESHAPE (and its like), PAD, CONCATENATION."""

from __future__ import annotations

from math import prod
from types import MappingProxyType

import numpy as np

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import arithmetic, overlaps, rules
from edgeq.kernels.activations import size_is_kept
from edgeq.kernels.contract import Call, Constant, Facts, Kernel, Lowering
from edgeq.kernels.types import INDEX, MOVED

_RANK = 6
_PADDED = tuple(dtype for dtype in MOVED if dtype.bits <= 32)


def type_is_kept(graph: Graph, op: Op) -> Facts | None:
    """The output is {out_dtype} but the input {in_dtype}: the file is damaged."""
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    if inp.dtype is out.dtype:
        return None
    return {"in_dtype": inp.dtype.value, "out_dtype": out.dtype.value}


def _alias(graph: Graph, op: Op) -> Lowering:
    return Lowering(alias=True)


def paddings_fit(graph: Graph, op: Op) -> Facts | None:
    """The paddings {paddings} of an input {in_shape} don't give an output {out_shape}: the file is damaged."""
    inp, paddings, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert inp is not None and paddings is not None and paddings.data is not None
    values = np.asarray(paddings.data, np.int64)
    if values.shape == (len(inp.shape), 2) and np.all(values >= 0):
        expected = tuple(d + int(b) + int(a) for d, (b, a) in zip(inp.shape, values, strict=True))
        if expected == out.shape:
            return None
    return {"paddings": values.tolist(), "in_shape": list(inp.shape), "out_shape": list(out.shape)}


def pad_fields(graph: Graph, op: Op, value: int) -> dict[str, str]:
    """The members of `edgeq_pad_params`.

    Args:
        value: whose lowest bytes are one element of the padding.
    """
    inp, paddings, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert inp is not None and paddings is not None and paddings.data is not None
    before = tuple(int(np.int64(b)) for b in paddings.data.reshape(-1, 2)[:, 0])

    def six(values: tuple[int, ...], fill: int) -> str:
        return "{" + ", ".join(map(str, (fill,) * (_RANK - len(values)) + values)) + "}"

    return {
        "size": six(inp.shape, 1),
        "before": six(before, 0),
        "out_size": six(out.shape, 1),
        "item_bytes": str(out.dtype.bits // 8),
        "value": str(value) if value > -(1 << 31) else "INT32_MIN",
    }


def _lower_pad(graph: Graph, op: Op) -> Lowering:
    out = graph.output_of(op)
    value = arithmetic.zero_point_of(out) if out.quant is not None else 0
    return lower_padding(graph, op, value)


def lower_padding(graph: Graph, op: Op, value: int) -> Lowering:
    """The call, for any value to pad with."""
    inp, paddings = graph.input_of(op, 0), graph.input_of(op, 1)
    assert inp is not None and paddings is not None and paddings.data is not None
    before = tuple(int(b) for b in paddings.data.reshape(-1, 2)[:, 0])
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_pad_params",
        fields=pad_fields(graph, op, value),
        overlap={0: overlaps.padded(before, inp.shape, graph.output_of(op))},
    )


def parts_are_there(graph: Graph, op: Op) -> Facts | None:
    """Input {position} is left out, which {kind} doesn't allow: the file is damaged."""
    absent = [position for position, index in enumerate(op.inputs) if index < 0]
    return {"position": absent[0], "kind": op.kind} if absent else None


def _axis(graph: Graph, op: Op) -> int:
    return op.integer("axis") % max(len(graph.output_of(op).shape), 1)


def parts_fit(graph: Graph, op: Op) -> Facts | None:
    """The inputs {shapes} don't join along axis {axis} to {out_shape}: the file is damaged."""
    out = graph.output_of(op)
    shapes = [graph.tensors[i].shape for i in op.inputs if i >= 0]
    axis = op.integer("axis")
    if out.shape and -len(out.shape) <= axis < len(out.shape) and all(len(s) == len(out.shape) for s in shapes):
        where = _axis(graph, op)
        rest = {s[:where] + s[where + 1 :] for s in (*shapes, out.shape)}
        if len(rest) == 1 and sum(s[where] for s in shapes) == out.shape[where]:
            return None
    return {"shapes": [list(s) for s in shapes], "axis": axis, "out_shape": list(out.shape)}


def parts_share_quantization(graph: Graph, op: Op) -> Facts | None:
    """Input '{tensor}' has scale {scale} and zero point {zero_point}, the output {out_scale} and {out_zero_point};
    TensorFlow Lite's CONCATENATION of integers needs the same everywhere: convert the model again."""
    out = graph.output_of(op)
    for index in op.inputs:
        tensor = graph.tensors[index]
        if tensor.quant is None or out.quant is None:
            continue
        same_scale = arithmetic.scale_of(tensor) == arithmetic.scale_of(out)
        if not same_scale or arithmetic.zero_point_of(tensor) != arithmetic.zero_point_of(out):
            return {
                "tensor": tensor.short_name,
                "scale": float(arithmetic.scale_of(tensor)),
                "zero_point": arithmetic.zero_point_of(tensor),
                "out_scale": float(arithmetic.scale_of(out)),
                "out_zero_point": arithmetic.zero_point_of(out),
            }
    return None


def no_fused_activation(graph: Graph, op: Op) -> Facts | None:
    """A fused {activation} on {kind} is not allowed by the reference for int8: export the model again."""
    activation = op.text("fused_activation_function", "NONE")
    return None if activation == "NONE" else {"activation": activation, "kind": op.kind}


def parts_have_one_type(graph: Graph, op: Op) -> Facts | None:
    """Input '{tensor}' is {in_dtype}, the output {out_dtype}: the file is damaged."""
    out = graph.output_of(op)
    for index in op.inputs:
        tensor = graph.tensors[index]
        if tensor.dtype is not out.dtype:
            return {"tensor": tensor.short_name, "in_dtype": tensor.dtype.value, "out_dtype": out.dtype.value}
    return None


def integers_are_quantized(graph: Graph, op: Op) -> Facts | None:
    """Tensor '{tensor}' must have one finite, positive scale and zero point, but {found}: convert the model again."""
    small = graph.output_of(op).dtype in (DType.INT8, DType.INT16)
    return rules.quantization_is_usable(0)(graph, op) if small else None


def _lower_concatenation(graph: Graph, op: Op) -> Lowering:
    """One call per input, each copying its blocks to their places."""
    out = graph.output_of(op)
    axis = _axis(graph, op)
    item = out.dtype.bits // 8
    calls: list[Call] = []
    constants: list[Constant] = []
    overlap: dict[int, int] = {}
    outer, step = prod(out.shape[:axis]), prod(out.shape[axis:]) * item
    offset = 0
    for position, index in enumerate(op.inputs):
        tensor = graph.tensors[index]
        block = prod(tensor.shape[axis:]) * item
        pointer = f"{{in{position}}}"
        if tensor.data is not None:
            data = tensor.data.astype(tensor.dtype.numpy.newbyteorder("<")).tobytes()
            constants.append(Constant(f"part{position}", "uint8_t", data))
            pointer = f"{{const:part{position}}}"
        else:  # the parts before it are written whole before it is read; the first is read row by row
            overlap[position] = (outer - 1) * (step - (0 if position else block)) + offset
        fields = {
            "outer": str(outer),
            "block_bytes": str(block),
            "step_bytes": str(step),
            "offset_bytes": str(offset),
        }
        calls.append(Call((pointer, "{out0}"), "edgeq_concat_params", fields))
        offset += block
    return Lowering(tuple(calls), tuple(constants), overlap=MappingProxyType(overlap))


_MOVE = (rules.shapes_are_static, rules.nothing_is_empty, rules.activations_come_from_the_arena)


def _alias_row(op: str, max_version: int, inputs: int) -> Kernel:
    return Kernel(
        symbol="",
        op=op,
        types="any",
        max_version=max_version,
        sources=(),
        rules=(rules.arity(1, inputs), *_MOVE, rules.types((MOVED, INDEX), MOVED), size_is_kept, type_is_kept),
        lower=_alias,
        why="no code: the output is the input's memory",
    )


KERNELS = (
    _alias_row("RESHAPE", 1, inputs=2),
    _alias_row("SQUEEZE", 2, inputs=1),
    _alias_row("EXPAND_DIMS", 1, inputs=2),
    Kernel(
        symbol="edgeq_pad",
        op="PAD",
        types="any",
        max_version=4,
        sources=("portable/data_movement.c",),
        rules=(
            rules.arity(2, 2),
            *_MOVE,
            rules.types((_PADDED, INDEX), _PADDED),
            type_is_kept,
            rules.constant(1, "paddings"),
            rules.rank(0, (1, 2, 3, 4, 5, 6)),
            paddings_fit,
            integers_are_quantized,
            rules.same_quantization,
        ),
        lower=_lower_pad,
        why="every core",
    ),
    Kernel(
        symbol="edgeq_concat_part",
        op="CONCATENATION",
        types="any",
        max_version=4,
        sources=("portable/data_movement.c",),
        rules=(
            rules.arity(1, 1 << 16),
            parts_are_there,
            *_MOVE,
            rules.types((MOVED,), MOVED),
            parts_have_one_type,
            parts_fit,
            parts_share_quantization,
            no_fused_activation,
        ),
        lower=_lower_concatenation,
        why="every core; one call per input",
    ),
)
