"""Which channels of which tensors can be rescaled together without changing what a network computes.

Every channel of every activation has a factor by which it is divided. A layer with weights sets its outputs' factors
freely, as its weights make up for them; ADD ties the channels of its operands and its output to one factor; pooling,
padding, reshaping, RELU hand factors on. Where a function isn't proportional (RELU6, SOFTMAX, LOGISTIC) and at the
model's ends the factor is 1.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.quantize.repairs.network import Layer, layers

Ids = npt.NDArray[np.int64]
FIXED = 0
"""The factor that is 1."""

_PROPORTIONAL = ("NONE", "RELU")
_HAND_ON = frozenset(
    {
        "AVERAGE_POOL_2D",
        "MAX_POOL_2D",
        "PAD",
        "MIRROR_PAD",
        "RELU",
        "LEAKY_RELU",
        "ABS",
        "NEG",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "SPACE_TO_BATCH_ND",
        "BATCH_TO_SPACE_ND",
        "STRIDED_SLICE",
        "SLICE",
        "MEAN",
        "SUM",
        "REDUCE_MAX",
        "REDUCE_MIN",
    }
)
_RESHAPE = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})


@dataclass(frozen=True, eq=False)
class Channels:
    """The factors of a network.

    Attributes:
        count: how many there are; factor 0 is FIXED.
        of_tensor: for each float activation, the factor of each place of its last axis.
        layers: those with weights.
        added: constants that ADD and SUB have on one side: (constant, activation); they are divided like the latter.
    """

    count: int
    of_tensor: dict[int, Ids]
    layers: tuple[Layer, ...]
    added: tuple[tuple[Tensor, int], ...]

    def inputs(self, layer: Layer) -> Ids:
        """The factor of each input channel of a layer's weights."""
        ids = self.of_tensor[layer.source.index]
        if layer.kind != "FULLY_CONNECTED":
            return ids
        return np.tile(ids, layer.weights.shape[1] // len(ids))

    def outputs(self, layer: Layer) -> Ids:
        """The factor of each output channel."""
        return self.of_tensor[layer.output.index]


def channels(graph: Graph) -> Channels:
    """The factors of a float network."""
    return _Search(graph).channels()


class _Search:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.layers = {layer.op.index: layer for layer in layers(graph)}
        self.used = Counter(i for op in graph.ops for i in op.inputs)
        self.parent: list[int] = [FIXED]
        self.ids: dict[int, Ids] = {}
        self.added: list[tuple[Tensor, int]] = []

    def channels(self) -> Channels:
        graph = self.graph
        for index in graph.inputs:
            self.fix(index)
        for op in graph.ops:
            self.visit(op)
        for index in graph.outputs:
            self.fix(index)
        roots = np.array([self.find(i) for i in range(len(self.parent))], np.int64)
        order = np.unique(np.concatenate([[FIXED], roots]))
        places = np.searchsorted(order, roots)
        of_tensor = {index: places[ids] for index, ids in self.ids.items()}
        return Channels(len(order), of_tensor, tuple(self.layers.values()), tuple(self.added))

    def visit(self, op: Op) -> None:
        graph = self.graph
        output = graph.output_of(op)
        inputs = [i for i in op.inputs if i >= 0 and self.is_activation(i)]
        proportional = op.text("fused_activation_function", "NONE") in _PROPORTIONAL
        if op.index in self.layers and self.visit_layer(self.layers[op.index]):
            pass
        elif op.kind in ("ADD", "SUB", "MUL", "DIV") and len(op.inputs) == 2:
            self.visit_arithmetic(op, output, inputs)
        elif op.kind == "CONCATENATION" and inputs:
            self.visit_concatenation(op, output, inputs)
        elif op.kind in _HAND_ON and len(inputs) == 1 and self.same_last_axis(op, inputs[0], output):
            self.ids[output.index] = self.of(inputs[0])
        elif op.kind in _RESHAPE and len(inputs) == 1:
            self.visit_reshape(output, inputs[0])
        elif op.kind == "TRANSPOSE" and len(inputs) == 1 and self.keeps_last(op):
            self.ids[output.index] = self.of(inputs[0])
        else:
            for index in (*inputs, *op.outputs):
                self.fix(index)
        if not proportional:
            self.fix(output.index)

    def visit_layer(self, layer: Layer) -> bool:
        """Whether its weights can make up for factors."""
        ids = self.of(layer.source.index)
        columns = layer.weights.shape[1 if layer.kind == "FULLY_CONNECTED" else 3]
        if layer.kind == "CONV_2D" and columns != len(ids):
            return False  # grouped
        if layer.kind == "FULLY_CONNECTED" and columns % len(ids):
            return False
        if layer.kind == "DEPTHWISE_CONV_2D" and columns % len(ids):
            return False
        if layer.output.shape[-1:] != (layer.outputs,):
            return False
        self.ids[layer.output.index] = self.new(layer.outputs)
        return True

    def visit_arithmetic(self, op: Op, output: Tensor, inputs: list[int]) -> None:
        constants = [t for i in op.inputs if (t := self.graph.tensors[i]).is_constant]
        shapes = {self.graph.tensors[i].shape for i in (*inputs, output.index)}
        if len(inputs) == 2 and op.kind in ("ADD", "SUB") and len(shapes) == 1:
            self.tie(self.of(inputs[0]), self.of(inputs[1]))
            self.ids[output.index] = self.of(inputs[0])
        elif len(inputs) == 1 and len(constants) == 1 and len(shapes) == 1:
            (constant,) = constants
            if op.kind in ("ADD", "SUB"):
                if constant.shape[-1:] != output.shape[-1:] or self.used[constant.index] > 1:
                    self.fix(inputs[0])
                else:
                    self.added.append((constant, inputs[0]))
            if op.kind == "DIV" and op.inputs[0] == constant.index:
                self.fix(inputs[0])
            self.ids[output.index] = self.of(inputs[0])
        elif len(inputs) == 2 and op.kind == "MUL" and self.gate(inputs) is not None:
            self.ids[output.index] = self.of(next(i for i in inputs if i != self.gate(inputs)))
        else:
            for index in (*inputs, output.index):
                self.fix(index)

    def gate(self, inputs: list[int]) -> int | None:
        """The factor-free side of a product of an activation and its gate."""
        fixed = [i for i in inputs if not any(self.find(int(c)) for c in self.of(i))]
        wide = [i for i in inputs if i not in fixed]
        shapes = [self.graph.tensors[i].shape[-1:] for i in inputs]
        return fixed[0] if len(fixed) == 1 and len(wide) == 1 and shapes[0] == shapes[1] else None

    def visit_concatenation(self, op: Op, output: Tensor, inputs: list[int]) -> None:
        axis = op.integer("axis") % max(len(output.shape), 1)
        if any(self.graph.tensors[i].is_constant for i in op.inputs):
            for index in inputs:
                self.fix(index)
            self.fix(output.index)
        elif axis == len(output.shape) - 1:
            self.ids[output.index] = np.concatenate([self.of(i) for i in op.inputs])
        else:
            for index in inputs[1:]:
                self.tie(self.of(inputs[0]), self.of(index))
            self.ids[output.index] = self.of(inputs[0])

    def visit_reshape(self, output: Tensor, source: int) -> None:
        ids = self.of(source)
        last = output.shape[-1] if output.shape else 1
        if last % len(ids) == 0:
            self.ids[output.index] = np.tile(ids, last // len(ids))
        else:
            self.fix(source)
            self.fix(output.index)

    def same_last_axis(self, op: Op, source: int, output: Tensor) -> bool:
        """Whether the last axis goes through whole."""
        shape = self.graph.tensors[source].shape
        if op.kind in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"):
            axes = self.graph.input_of(op, 1)
            if axes is None or axes.data is None:
                return False
            return (len(shape) - 1) not in {int(a) % len(shape) for a in axes.data.reshape(-1)}
        return output.shape[-1:] == shape[-1:]

    def keeps_last(self, op: Op) -> bool:
        order = self.graph.input_of(op, 1)
        return order is not None and order.data is not None and int(order.data[-1]) == order.elements - 1

    def is_activation(self, index: int) -> bool:
        tensor = self.graph.tensors[index]
        return tensor.dtype is DType.FLOAT32 and not tensor.is_constant

    def of(self, index: int) -> Ids:
        if index not in self.ids:
            tensor = self.graph.tensors[index]
            self.ids[index] = np.zeros(tensor.shape[-1] if tensor.shape else 1, np.int64)
        return self.ids[index]

    def new(self, count: int) -> Ids:
        first = len(self.parent)
        self.parent += range(first, first + count)
        return np.arange(first, first + count)

    def find(self, i: int) -> int:
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def tie(self, a: Ids, b: Ids) -> None:
        for one, other in zip(a, b, strict=True):
            first, second = sorted((self.find(int(one)), self.find(int(other))))
            self.parent[second] = first  # FIXED is the least

    def fix(self, index: int) -> None:
        if self.is_activation(index):
            ids = self.of(index)
            self.tie(ids, np.zeros(len(ids), np.int64))
