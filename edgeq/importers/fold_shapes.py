"""Arithmetic on shapes, which a frozen batch makes constant: SHAPE, STRIDED_SLICE, PACK and the like before RESHAPE."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq import tflite
from edgeq.graph import DType, Graph, Op
from edgeq.tflite.objects import constant_buffer, pack

_INTEGERS = (DType.INT32, DType.INT64)


def fold_shapes(model: Any) -> list[str]:
    """Replace operators that compute only with shapes and integer constants by their results, in place.

    Args:
        model: a `schema.ModelT` with its batch frozen.

    Returns:
        A sentence about what was folded, if anything was.
    """
    data = pack(model)
    graph = tflite.parse(data)
    folded = _foldable(graph)
    if not folded:
        return []
    values = _run(data, graph, [index for op in folded for index in op.outputs])
    if values is None:
        return []
    subgraph = model.subgraphs[0]
    for index, array in values.items():
        tensor = subgraph.tensors[index]
        tensor.shape = list(array.shape)
        tensor.buffer = constant_buffer(model, array)
    gone = {op.index for op in folded}
    subgraph.operators = [operator for i, operator in enumerate(subgraph.operators) if i not in gone]
    return [f"with the batch frozen, {len(folded)} operators that computed shapes became constants"]


def _foldable(graph: Graph) -> list[Op]:
    known = {t.index for t in graph.tensors if t.is_constant}
    found = []
    for op in graph.ops:
        from_constants = bool(op.inputs) and all(i < 0 or i in known for i in op.inputs)
        integers = all(graph.tensors[i].dtype in _INTEGERS for i in op.outputs)
        if integers and (from_constants or op.kind in ("SHAPE", "RANK")) and not set(op.outputs) & set(graph.outputs):
            found.append(op)
            known.update(op.outputs)
    return found


def _run(data: bytes, graph: Graph, wanted: list[int]) -> dict[int, npt.NDArray[Any]] | None:
    """The values of tensors that don't depend on the model's inputs; None where the model can't run."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            interpreter: Any = Interpreter(
                model_content=data,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                experimental_preserve_all_tensors=True,
                num_threads=1,
            )
        interpreter.allocate_tensors()
        for index in graph.inputs:
            tensor = graph.tensors[index]
            interpreter.set_tensor(index, np.zeros(tensor.shape, tensor.dtype.numpy))
        interpreter.invoke()
        return {index: np.array(interpreter.get_tensor(index)) for index in wanted}
    except (RuntimeError, ValueError):
        return None
