"""Parts of a model as models of their own: single operators to replay, and what follows a layer."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq import tflite
from edgeq.errors import UnsupportedError
from edgeq.graph import Graph
from edgeq.reference import Reference
from edgeq.tflite.objects import constant_buffer, pack, unpack

Array = npt.NDArray[Any]


class Cutter:
    """A `.tflite`, unpacked once, from which parts are cut.

    Args:
        data: bytes that `edgeq.tflite` has read without complaint.
    """

    def __init__(self, data: bytes, graph: Graph) -> None:
        self.graph = graph
        self._whole = unpack(data)

    def cut(
        self,
        operators: Sequence[int],
        inputs: Sequence[int],
        outputs: Sequence[int],
        constants: Mapping[int, Array] | None = None,
    ) -> bytes:
        """A file with these operators only and with the tensors that they touch.

        Args:
            operators: their places in the execution order, ascending.
            inputs, outputs: tensor indices of the whole model that become the part's ends, in this order.
            constants: other values for constants, by tensor index, of the same type and shape.
        """
        graph = self._whole.subgraphs[0]
        part, made = copy.copy(self._whole), copy.copy(graph)
        part.subgraphs, part.buffers = [made], [self._whole.buffers[0]]
        part.signatureDefs = part.metadata = part.metadataBuffer = None
        chosen = [graph.operators[i] for i in operators]
        used = dict.fromkeys([*inputs, *outputs])
        for operator in chosen:
            used.update(dict.fromkeys(int(t) for t in [*_list(operator.inputs), *_list(operator.outputs)] if t >= 0))
        place = {old: new for new, old in enumerate(used)}
        made.tensors = [self._tensor(part, old, (constants or {}).get(old)) for old in used]
        made.operators = []
        for operator in chosen:
            moved = copy.copy(operator)
            moved.inputs = [place[int(t)] if t >= 0 else -1 for t in _list(operator.inputs)]
            moved.outputs = [place[int(t)] for t in _list(operator.outputs)]
            made.operators.append(moved)
        made.inputs, made.outputs = [place[t] for t in inputs], [place[t] for t in outputs]
        return pack(part)

    def _tensor(self, part: Any, index: int, values: Array | None) -> Any:
        tensor = copy.copy(self._whole.subgraphs[0].tensors[index])
        if values is not None:
            tensor.buffer = constant_buffer(part, values)
        elif tensor.buffer:
            part.buffers.append(self._whole.buffers[tensor.buffer])
            tensor.buffer = len(part.buffers) - 1
        return tensor


class FloatPart:
    """A part of a float model in LiteRT.

    Raises:
        UnsupportedError: the interpreter can't run it.
    """

    def __init__(self, data: bytes, what: str) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._what = what
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._interpreter: Any = Interpreter(
                    model_content=data,
                    experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                    num_threads=1,
                )
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as refused:
            raise self._unsupported(refused) from refused
        self._ins = [d["index"] for d in self._interpreter.get_input_details()]
        self._outs = [d["index"] for d in self._interpreter.get_output_details()]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One inference, ends in the part's order."""
        try:
            self._interpreter.reset_all_variables()
            for index, array in zip(self._ins, inputs, strict=True):
                self._interpreter.set_tensor(index, array)
            self._interpreter.invoke()
            return [np.array(self._interpreter.get_tensor(index)) for index in self._outs]
        except (RuntimeError, ValueError) as failed:
            raise self._unsupported(failed) from failed

    def _unsupported(self, failure: Exception) -> UnsupportedError:
        return UnsupportedError(
            f"LiteRT can't run {self._what} by itself: {str(failure).strip()}",
            next_step="check that the float model runs by itself",
        )


def integer_part(data: bytes) -> Reference:
    """A part of a quantized model, on the reference kernels."""
    return Reference(data, tflite.parse(data))


def following(graph: Graph, tensors: Sequence[int], ends: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What has to be computed again when `tensors` change.

    Args:
        ends: the tensors that are wanted.

    Returns:
        The operators between `tensors` and `ends`, ascending, and the other activations that they read.
    """
    changed = set(tensors)
    touched = []
    for op in graph.ops:
        if any(t in changed for t in op.inputs) and not set(op.outputs) <= set(tensors):
            touched.append(op)
            changed.update(op.outputs)
    needed, kept = set(ends), []
    for op in reversed(touched):
        if needed & set(op.outputs):
            kept.append(op)
            needed.update(op.inputs)
    made = {t for op in kept for t in op.outputs}
    read = {t for op in kept for t in op.inputs if t >= 0 and t not in made and t not in tensors}
    others = tuple(sorted(t for t in read if not graph.tensors[t].is_constant and not graph.tensors[t].is_variable))
    return tuple(sorted(op.index for op in kept)), others


def _list(values: Any) -> list[int]:
    return [] if values is None else [int(v) for v in values]
