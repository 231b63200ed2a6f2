"""What must hold of every Graph, checked after each stage that makes one."""

from __future__ import annotations

from edgeq.errors import ModelFileError
from edgeq.graph.model import Graph, Op, Tensor


def verify(graph: Graph) -> None:
    """Check a graph's own consistency (not whether edgeq supports it).

    Raises:
        ModelFileError: an index out of range, a tensor read before it is written or written twice,
            data that doesn't match shape and type, quantization that doesn't match the shape.
    """
    where = graph.source or graph.name
    count = len(graph.tensors)
    for tensor in graph.tensors:
        _verify_tensor(tensor, where)
    for index in (*graph.inputs, *graph.outputs):
        if not 0 <= index < count:
            raise _broken(f"the model's ends name tensor {index}, but there are {count}", where)
    # An empty tensor has no data in the file but needs none either.
    ready = set(graph.inputs)
    ready |= {t.index for t in graph.tensors if t.is_constant or t.is_variable or t.elements == 0}
    for op in graph.ops:
        _verify_op(graph, op, ready, where)
    for index in graph.outputs:
        if index not in ready:
            raise _broken(f"output tensor {index} ('{graph.tensors[index].name}') is never written", where)


def _verify_op(graph: Graph, op: Op, ready: set[int], where: str) -> None:
    label = f"{op.custom_name or op.kind} #{op.index}"
    count = len(graph.tensors)
    if not op.outputs:
        raise _broken(f"{label} has no output", where)
    for index in op.inputs:
        if not -1 <= index < count:
            raise _broken(f"{label} reads tensor {index}, but there are {count}", where)
        if index >= 0 and index not in ready:
            name = graph.tensors[index].name
            raise _broken(f"{label} reads tensor {index} ('{name}') before anything writes it", where)
    for index in op.outputs:
        if not 0 <= index < count:
            raise _broken(f"{label} writes tensor {index}, but there are {count}", where)
        written = graph.tensors[index]
        if index in ready and not written.is_variable and written.elements > 0:
            name = graph.tensors[index].name
            raise _broken(f"{label} writes tensor {index} ('{name}'), which already has a value", where)
    ready.update(op.outputs)


def _verify_tensor(tensor: Tensor, where: str) -> None:
    label = f"tensor {tensor.index} ('{tensor.name}')"
    if any(d < 0 for d in tensor.shape):
        raise _broken(f"{label} has the shape {tensor.shape}", where)
    countable = tensor.dtype.bits > 0 and tensor.dtype.value != "BFLOAT16"  # the others' data stay raw bytes
    if countable and tensor.data is not None and tuple(tensor.data.shape) != tensor.shape:
        raise _broken(f"{label} has the shape {tensor.shape} but data of {tensor.data.shape}", where)
    quant = tensor.quant
    if quant is None:
        return
    if quant.scale.shape != quant.zero_point.shape or quant.scale.ndim != 1 or quant.scale.size == 0:
        raise _broken(f"{label} has {quant.scale.size} scales but {quant.zero_point.size} zero points", where)
    if quant.per_channel:
        axis = quant.quantized_dimension
        if not 0 <= axis < len(tensor.shape) or tensor.shape[axis] != quant.scale.size:
            raise _broken(
                f"{label} of shape {tensor.shape} has {quant.scale.size} scales along dimension {axis}", where
            )


def _broken(what: str, where: str) -> ModelFileError:
    return ModelFileError(what, where=where, next_step="export the model again; this file is inconsistent")
