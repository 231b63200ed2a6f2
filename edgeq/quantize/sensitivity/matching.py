"""Which tensor of a quantized model is which of the float model, by how the two graphs are built.

Converters fuse, rename, fold and insert: an activation goes into the operator before it, batch norm into weights,
padding into a convolution, QUANTIZE comes between. So operators are matched from the inputs on, by kind, size and what
they read; among several that fit, by weights, then names, then order. Names alone serve where structure doesn't.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgeq.graph import Graph, Op, Tensor

How = Literal["structure", "name"]
VIEWS = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE", "DEQUANTIZE"})
"""Operators that give what they are given, in another shape or type."""
_ACTIVATIONS = frozenset({"RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "TANH"})
_WITH_CONSTANT = frozenset({"MUL", "ADD", "SUB", "DIV"})
_FOLDED = _ACTIVATIONS | _WITH_CONSTANT | {"PAD", "PADV2", "CAST"}
_COMMUTATIVE = frozenset({"ADD", "MUL", "MAXIMUM", "MINIMUM", "ADD_N"})
_SAME = ({"CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL"}, {"MEAN", "AVERAGE_POOL_2D"}, {"PAD", "PADV2"})
_DEPTH = 6
"""Operators in a row that may have been folded into one."""


@dataclass(frozen=True)
class Layer:
    """An operator of the quantized model with what it stands for.

    Attributes:
        op: index of the quantized operator that gives the layer its name: the one with weights, else the last.
        parts: all quantized operators of it, in execution order: that one alone, unless its activation follows.
        group: the float operators that compute the same from the same, in execution order; none for QUANTIZE.
        inputs: quantized tensor → float tensor, for each activation that is read and known.
        outputs: quantized tensor → float tensor.
        how: what they were matched by.
    """

    op: int
    parts: tuple[int, ...]
    group: tuple[int, ...]
    inputs: tuple[tuple[int, int], ...]
    outputs: tuple[tuple[int, int], ...]
    how: How


@dataclass(frozen=True)
class Matching:
    """Both graphs, side by side.

    Attributes:
        tensors: quantized activation → float activation; views of a tensor stand for it.
        layers: in execution order of the quantized model, without views that change nothing.
        unmatched: quantized operators for which no counterpart was found.
    """

    tensors: Mapping[int, int]
    layers: tuple[Layer, ...]
    unmatched: tuple[int, ...]


def match(floating: Graph, quantized: Graph) -> Matching:
    """Match a quantized graph with the float graph that it was made from."""
    return _Matcher(floating, quantized).matching()


def dequantized_constant(tensor: Tensor) -> npt.NDArray[np.float32] | None:
    """A constant's real values; None of what isn't one."""
    if tensor.data is None or tensor.dtype.bits == 0:
        return None
    values = np.asarray(tensor.data).astype(np.float32)
    if tensor.quant is None:
        return values
    along = [1] * values.ndim
    if tensor.quant.per_channel:
        along[tensor.quant.quantized_dimension] = tensor.quant.scale.size
    zero = tensor.quant.zero_point.astype(np.float32).reshape(along)
    found: npt.NDArray[np.float32] = (values - zero) * tensor.quant.scale.reshape(along)
    return found


class _Side:
    """One graph, with who makes and who reads each tensor, and views followed back."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.maker = {t: op for op in graph.ops for t in op.outputs}
        self.readers: dict[int, list[Op]] = {}
        for op in graph.ops:
            for t in op.inputs:
                if t >= 0:
                    self.readers.setdefault(self.root(t), [])
                    if op.kind not in VIEWS:
                        self.readers[self.root(t)].append(op)

    def root(self, tensor: int) -> int:
        """What a chain of views starts from."""
        maker = self.maker.get(tensor)
        while maker is not None and maker.kind in VIEWS:
            tensor = maker.inputs[0]
            maker = self.maker.get(tensor)
        return tensor

    def read(self, op: Op) -> list[int]:
        """The roots of the activations that an operator reads, in order."""
        tensors = self.graph.tensors
        return [self.root(t) for t in op.inputs if t >= 0 and not tensors[t].is_constant and not tensors[t].is_variable]

    def next_alone(self, tensor: int) -> Op | None:
        """The one reader of a tensor; None where there are several, or none, or it is an end of the model."""
        readers = self.readers.get(tensor, [])
        ends = {self.root(t) for t in self.graph.outputs}
        return readers[0] if len(readers) == 1 and tensor not in ends else None

    def is_folded(self, op: Op) -> bool:
        """Whether an operator may have gone into another: an activation, or arithmetic with a constant."""
        if op.kind in _WITH_CONSTANT:
            return any(t >= 0 and self.graph.tensors[t].is_constant for t in op.inputs)
        return op.kind in _FOLDED

    def behind(self, tensor: int) -> set[int]:
        """A tensor, and those before it with nothing but what may be folded in between."""
        found = {tensor}
        for _ in range(_DEPTH):
            maker = self.maker.get(tensor)
            if maker is None or not self.is_folded(maker) or not (read := self.read(maker)):
                break
            tensor = read[0]
            found.add(tensor)
        return found


class _Matcher:
    def __init__(self, floating: Graph, quantized: Graph) -> None:
        self.f, self.q = _Side(floating), _Side(quantized)
        self.known: dict[int, int] = {}  # roots: quantized → float
        self.taken: set[int] = set()  # float operators
        self.how: dict[int, How] = {}
        self._match_ends()

    def matching(self) -> Matching:
        for op in self.q.graph.ops:
            if op.kind in VIEWS or op.index in self.how:
                continue
            found = self._counterpart(op)
            if found is not None:
                self._settle(op, found, "structure")
            else:
                self._by_name(op)
        tensors = {
            t.index: self.known[self.q.root(t.index)]
            for t in self.q.graph.tensors
            if not t.is_constant and self.q.root(t.index) in self.known
        }
        layers = tuple(filter(None, (self._layer(op, tensors) for op in self.q.graph.ops)))
        unmatched = tuple(op.index for op in self.q.graph.ops if op.kind not in VIEWS and op.index not in self.how)
        return Matching(tensors, layers, unmatched)

    def _match_ends(self) -> None:
        """Inputs by name where the names are those of both, else by shape and place."""
        mine, its = list(self.q.graph.inputs), list(self.f.graph.inputs)
        names = {_plain(self.f.graph.tensors[i].name): i for i in its}
        for place, index in enumerate(mine):
            tensor = self.q.graph.tensors[index]
            named = names.get(_plain(tensor.name))
            if named is None or self.f.graph.tensors[named].elements != tensor.elements:
                named = its[place] if place < len(its) else None
            if named is not None:
                self.known[index] = named

    def _counterpart(self, op: Op) -> Op | None:
        wanted = [self.known.get(t) for t in self.q.read(op)]
        if not wanted or None in wanted:
            return None
        size = self.q.graph.output_of(op).elements
        fitting = [
            other
            for other in self.f.graph.ops
            if other.index not in self.taken
            and other.kind not in VIEWS
            and _same_kind(op.kind, other.kind)
            and self._sizes(other, size)
            and self._reads(other, [t for t in wanted if t is not None])
        ]
        if not fitting:
            return None
        place = {other.index: i for i, other in enumerate(fitting)}
        return max(fitting, key=lambda other: (*self._likeness(op, other), -place[other.index]))

    def _sizes(self, other: Op, size: int) -> bool:
        """Whether an operator, or what may be folded into it, gives so many elements."""
        return self.f.graph.output_of(other).elements == size

    def _reads(self, other: Op, wanted: Sequence[int]) -> bool:
        read = [self.f.behind(t) for t in self.f.read(other)]
        if len(read) != len(wanted):
            return False
        if all(w in r for w, r in zip(wanted, read, strict=True)):
            return True
        return other.kind in _COMMUTATIVE and all(w in r for w, r in zip(reversed(wanted), read, strict=True))

    def _likeness(self, op: Op, other: Op) -> tuple[float, float, float]:
        weights = 0.0
        for position in (1, 2):
            mine, its = self.q.graph.input_of(op, position), self.f.graph.input_of(other, position)
            if mine is not None and its is not None and mine.is_constant and its.is_constant:
                weights += _cosine(dequantized_constant(mine), dequantized_constant(its))
        same = _plain(self.q.graph.output_of(op).name) == _plain(self.f.graph.output_of(other).name)
        kind = op.kind == other.kind
        # Weights tell for certain only where they are nearly equal; spoiled ones must not mislead.
        return (float(kind), round(weights, 1), float(same))

    def _settle(self, op: Op, other: Op, how: How) -> None:
        if self._wait_for_activation(op, other):
            return
        self.taken.add(other.index)
        self.how[op.index] = how
        last = self._extended(op, other)
        for mine, its in zip(op.outputs, last.outputs, strict=False):
            self.known[mine] = its

    def _wait_for_activation(self, op: Op, other: Op) -> bool:
        """An operator whose activation follows it in the quantized model and is inside it in the float one."""
        inside = other.text("fused_activation_function", "NONE")
        after = self.q.next_alone(op.outputs[0])
        if (
            inside == "NONE"
            or op.text("fused_activation_function", "NONE") != "NONE"
            or after is None
            or after.kind != inside
        ):
            return False
        self.taken.add(other.index)
        self.how[after.index] = "structure"
        self.known[after.outputs[0]] = other.outputs[0]
        self.how[op.index] = "structure"
        return True

    def _extended(self, op: Op, other: Op) -> Op:
        """The float operator whose output the quantized one gives: further on, where activations and arithmetic with
        constants were folded into it."""
        after = self.q.readers.get(self.q.root(op.outputs[0]), [])
        kinds = {reader.kind for reader in after}
        last = other
        for _ in range(_DEPTH):
            reader = self.f.next_alone(last.outputs[0])
            if (
                reader is None
                or not self.f.is_folded(reader)
                or reader.kind in kinds
                or reader.kind in ("PAD", "PADV2")
            ):
                break
            if self.f.graph.output_of(reader).elements != self.q.graph.output_of(op).elements:
                break
            self.taken.add(reader.index)
            last = reader
        return last

    def _by_name(self, op: Op) -> None:
        name = _plain(self.q.graph.output_of(op).name)
        for other in self.f.graph.ops:
            end = self.f.graph.output_of(other)
            same = _plain(end.name) == name and end.elements == self.q.graph.output_of(op).elements
            if same and other.index not in self.taken and other.kind not in VIEWS:
                self._settle(op, other, "name")
                return

    def _layer(self, op: Op, tensors: Mapping[int, int]) -> Layer | None:
        if op.kind in VIEWS and not _changes_parameters(self.q.graph, op):
            return None
        outputs = tuple((t, tensors[t]) for t in op.outputs if t in tensors)
        if not outputs or (op.kind not in VIEWS and op.index not in self.how):
            return None
        known = set(tensors) - set(op.outputs)
        parts = _between(self.q, op.outputs, known)
        if parts is None:
            return None
        made = {t for i in parts for t in self.q.graph.ops[i].outputs}
        read = dict.fromkeys(t for i in parts for t in self.q.graph.ops[i].inputs if t in known and t not in made)
        inputs = tuple((t, tensors[t]) for t in read)
        group = _between(self.f, [f for _, f in outputs], {f for _, f in inputs})
        if group is None:
            return None
        weighted = [i for i in parts if _has_weights(self.q.graph, self.q.graph.ops[i])]
        how = self.how.get(op.index, "structure")
        return Layer(weighted[0] if weighted else op.index, parts, group, inputs, outputs, how)


def _between(side: _Side, ends: Sequence[int], starts: set[int]) -> tuple[int, ...] | None:
    """The operators from some tensors to others; None where they need something else, or are too many for a layer."""
    tensors = side.graph.tensors
    needed: set[int] = set()
    todo = [t for t in ends if t not in starts]
    while todo:
        maker = side.maker.get(todo.pop())
        if maker is None or len(needed) > 4 * _DEPTH:
            return None
        if maker.index in needed:
            continue
        needed.add(maker.index)
        todo += [
            t
            for t in maker.inputs
            if t >= 0 and t not in starts and not tensors[t].is_constant and not tensors[t].is_variable
        ]
    return tuple(sorted(needed))


def _has_weights(graph: Graph, op: Op) -> bool:
    return len(op.inputs) > 1 and op.inputs[1] >= 0 and graph.tensors[op.inputs[1]].is_constant


def _changes_parameters(graph: Graph, op: Op) -> bool:
    """Whether a view isn't one: QUANTIZE rounds, and a copy between different scales changes values."""
    if op.kind == "DEQUANTIZE":
        return False
    before, after = graph.tensors[op.inputs[0]], graph.output_of(op)
    if before.quant is None or after.quant is None:
        return after.quant is not None
    return before.dtype is not after.dtype or not (
        np.array_equal(before.quant.scale, after.quant.scale)
        and np.array_equal(before.quant.zero_point, after.quant.zero_point)
    )


def _same_kind(first: str, second: str) -> bool:
    return first == second or any(first in group and second in group for group in _SAME)


def _plain(name: str) -> str:
    """A tensor's name without what converters add."""
    text = name.split(";", 1)[0].removeprefix("serving_default_")
    for suffix in ("_int8", "_quantized", "_requant", ":0"):
        text = text.removesuffix(suffix)
    return text


def _cosine(first: Any, second: Any) -> float:
    if first is None or second is None or first.size != second.size:
        return 0.0
    product = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float(np.vdot(first, second)) / product if product else 0.0
