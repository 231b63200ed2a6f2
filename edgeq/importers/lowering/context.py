"""What the lowering of one ONNX operator needs: its inputs by position, and a writer for what it becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.errors import UnsupportedError
from edgeq.importers.lowering.net import Array, NetWriter, Shape, narrow_type, narrowed
from edgeq.importers.lowering.onnx_graph import Node, OnnxGraph


class Context:
    """Values by their ONNX names while the graph is lowered, all in ONNX's own layout."""

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph
        self.writer = NetWriter()
        self._names: dict[str, str] = {}
        self.makers: dict[str, Node] = {name: node for node in graph.nodes for name in node.outputs}

    def at(self, node: Node) -> Lowering:
        """The view of one node."""
        return Lowering(self, node)

    def bind(self, name: str, value: str) -> None:
        """`value` of the net is what ONNX calls `name`."""
        self._names[name] = value

    def lookup(self, name: str) -> str:
        """The net's value for a tensor; constants enter the net when they are first asked for."""
        if name not in self._names:
            self._names[name] = self.writer.constant(self.graph.constants[name], name)
        return self._names[name]


@dataclass(frozen=True)
class Lowering:
    """One node, and the means to write operators for it."""

    context: Context
    node: Node

    # --- the node's own ---

    def input(self, position: int = 0) -> str:
        """The net's value for an input."""
        return self.context.lookup(self.node.inputs[position])

    def constant(self, position: int) -> Array | None:
        """An input's values where they are known, else None."""
        if not self.node.has(position):
            return None
        name = self.node.inputs[position]
        stored = self.context.graph.constants.get(name)
        return stored if stored is not None else self.context.writer.values[self.context.lookup(name)].data

    def known(self, position: int, what: str) -> Array:
        """An input that must be constant.

        Raises:
            UnsupportedError: it is computed.
        """
        found = self.constant(position)
        if found is None:
            raise self.unsupported(f"{what} is computed while the model runs")
        return found

    def shape(self, position: int = 0) -> Shape:
        """An input's shape."""
        return self.shape_of(self.input(position))

    def out_shape(self, position: int = 0) -> Shape:
        """An output's shape."""
        return self.context.graph.shapes[self.node.outputs[position]][0]

    def out_type(self, position: int = 0) -> str:
        """An output's element type in the net."""
        return narrow_type(self.context.graph.shapes[self.node.outputs[position]][1])

    def axes(self, position: int, rank: int, attribute: str = "axes") -> list[int] | None:
        """Axes from the attribute (older opsets) or the input (newer), counted from 0; None where absent."""
        values = self.node.integers(attribute)
        if values is None and self.node.has(position):
            values = [int(v) for v in np.ravel(self.known(position, attribute))]
        return None if values is None else [v % rank for v in values]

    def give(self, value: str, position: int = 0) -> None:
        """This is the node's output."""
        if position < len(self.node.outputs) and self.node.outputs[position]:
            self.context.bind(self.node.outputs[position], value)

    def unsupported(self, why: str) -> UnsupportedError:
        """This node can't be had in a `.tflite`."""
        return UnsupportedError(
            f"{self.node.label}: {why}",
            next_step="replace this layer in the network",
            operator=self.node.op,
            node=self.node.name,
        )

    # --- writing ---

    def shape_of(self, value: str) -> Shape:
        """The shape of a value of the net."""
        return self.context.writer.values[value].shape

    def type_of(self, value: str) -> str:
        """The element type of a value of the net."""
        return self.context.writer.values[value].dtype

    def op(self, kind: str, inputs: Sequence[str], shape: Sequence[int], dtype: str = "", **options: Any) -> str:
        """An operator named after the node's output; its type is the first input's unless given."""
        name = self.node.outputs[0] or self.node.name
        return self.context.writer.op(kind, inputs, shape, dtype or self.type_of(inputs[0]), name=name, **options)

    def binary(self, kind: str, first: str, second: str, dtype: str = "") -> str:
        """An operator that broadcasts its two inputs."""
        shape = np.broadcast_shapes(self.shape_of(first), self.shape_of(second))
        return self.op(kind, [first, second], shape, dtype)

    def number(self, value: Any) -> str:
        """A float constant: one number, or an array."""
        return self.context.writer.constant(narrowed(np.asarray(value, np.float32)), "constant")

    def integers(self, values: Sequence[int] | Array) -> str:
        """An int32 constant."""
        return self.context.writer.constant(np.asarray(values, np.int32), "constant")

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """A value in another shape."""
        return self.context.writer.reshape(value, shape, self.node.outputs[0])

    def transpose(self, value: str, axes: Sequence[int]) -> str:
        """A value with its axes in another order."""
        return self.context.writer.transpose(value, axes, self.node.outputs[0])

    def channels_last(self, value: str) -> str:
        """(N, C, …) to (N, …, C)."""
        rank = len(self.shape_of(value))
        return self.transpose(value, (0, *range(2, rank), 1))

    def channels_first(self, value: str) -> str:
        """(N, …, C) to (N, C, …)."""
        rank = len(self.shape_of(value))
        return self.transpose(value, (0, rank - 1, *range(1, rank - 1)))

    def slice(self, value: str, begin: Sequence[int], end: Sequence[int], strides: Sequence[int] | None = None) -> str:
        """A part of a value; all bounds within it, strides positive."""
        steps = list(strides or [1] * len(begin))
        shape = [-(-(e - b) // s) for b, e, s in zip(begin, end, steps, strict=True)]
        if list(self.shape_of(value)) == shape:
            return value
        ends = [value, self.integers(list(begin)), self.integers(list(end)), self.integers(steps)]
        return self.op("STRIDED_SLICE", ends, shape)

    def split(self, value: str, sizes: Sequence[int], axis: int) -> list[str]:
        """A value cut along an axis."""
        if len(sizes) == 1:
            return [value]
        shape = list(self.shape_of(value))
        shapes = [[*shape[:axis], size, *shape[axis + 1 :]] for size in sizes]
        return self.context.writer.ops(
            "SPLIT_V",
            [value, self.integers(list(sizes)), self.context.writer.constant(np.array(axis, np.int32), "axis")],
            shapes,
            self.type_of(value),
            self.node.outputs[0],
            numSplits=len(sizes),
        )

    def concatenate(self, values: Sequence[str], axis: int) -> str:
        """Values one after the other along an axis."""
        if len(values) == 1:
            return values[0]
        shape = list(self.shape_of(values[0]))
        shape[axis] = sum(self.shape_of(v)[axis] for v in values)
        return self.op("CONCATENATION", list(values), shape, axis=axis, fusedActivationFunction=0)

    def pad(self, value: str, rows: Sequence[tuple[int, int]], fill: float | None = None) -> str:
        """A value with something around it: zero, or `fill`."""
        if not any(map(any, rows)):
            return value
        shape = [d + b + e for d, (b, e) in zip(self.shape_of(value), rows, strict=True)]
        table = self.integers(np.array(rows, np.int32))
        if fill is None or fill == 0:
            return self.op("PAD", [value, table], shape)
        filler = self.context.writer.constant(np.array(fill, self.type_of(value)), "fill")
        return self.op("PADV2", [value, table, filler], shape)

    def reduce(self, kind: str, value: str, axes: Sequence[int], *, keep: bool) -> str:
        """MEAN, SUM, REDUCE_MAX, … along axes."""
        shape = self.shape_of(value)
        left = [1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes]
        return self.op(kind, [value, self.integers(sorted(axes))], left, keepDims=keep)

    def linear(self, value: str, weights: Array, bias: Array | None = None) -> str:
        """FULLY_CONNECTED along the last axis; weights (outputs, inputs)."""
        shape = self.shape_of(value)
        ends = [value, self.context.writer.constant(weights.astype(np.float32), "weights")]
        ends.append(self.number(np.zeros(len(weights)) if bias is None else bias.reshape(-1)))
        return self.op(
            "FULLY_CONNECTED", ends, (*shape[:-1], len(weights)), keepNumDims=len(shape) > 2, fusedActivationFunction=0
        )


Rule = Callable[[Lowering], None]
