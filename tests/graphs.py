"""Graphs made in memory, and a hypothesis strategy of them, for tests of the rooms above `graph`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels import Lowering

PLAIN = Lowering()


def tensor(index: int, size_bytes: int, *, variable: bool = False, constant: bool = False) -> Tensor:
    """An int8 vector of that many bytes."""
    data = np.zeros(size_bytes, np.int8) if constant else None
    return Tensor(index, f"t{index}", (size_bytes,), DType.INT8, data=data, is_variable=variable)


def graph(
    sizes: Sequence[int],
    ops: Sequence[tuple[Sequence[int], Sequence[int]]],
    inputs: Sequence[int],
    outputs: Sequence[int],
    *,
    constants: Sequence[int] = (),
    variables: Sequence[int] = (),
    kind: str = "ADD",
) -> Graph:
    """A graph of int8 vectors.

    Args:
        sizes: bytes of each tensor.
        ops: (inputs, outputs) of each operator, as tensor indices.
    """
    tensors = tuple(tensor(i, size, variable=i in variables, constant=i in constants) for i, size in enumerate(sizes))
    made = tuple(Op(i, kind, 1, tuple(reads), tuple(writes)) for i, (reads, writes) in enumerate(ops))
    return Graph("made", "", "0" * 64, 0, tensors, made, tuple(inputs), tuple(outputs))


def chain(sizes: Sequence[int]) -> Graph:
    """One operator after another; sizes[0] is the model's input, the last its output."""
    ops = [((i,), (i + 1,)) for i in range(len(sizes) - 1)]
    return graph(sizes, ops, [0], [len(sizes) - 1])


@dataclass(frozen=True)
class Network:
    """A random graph with what its kernels ask of memory."""

    graph: Graph
    lowerings: tuple[Lowering, ...]

    def __repr__(self) -> str:
        g = self.graph
        ops = [(op.inputs, op.outputs) for op in g.ops]
        asks = [(w.scratch_bytes, dict(w.overlap), w.exactly, w.alias) for w in self.lowerings]
        return f"Network({[t.size_bytes for t in g.tensors]}, {ops}, {g.inputs}, {g.outputs}, {asks})"


@st.composite
def networks(draw: st.DrawFn, most_ops: int = 14) -> Network:
    """Graphs with branches, several ends, constants, variables, unread outputs, aliases, in-place, scratch."""
    size = st.integers(0, 300)
    tensors: list[Tensor] = []

    def new(size_bytes: int, **flags: bool) -> int:
        tensors.append(tensor(len(tensors), size_bytes, **flags))
        return len(tensors) - 1

    inputs = [new(draw(size)) for _ in range(draw(st.integers(1, 3)))]
    variables = [new(draw(size), variable=True) for _ in range(draw(st.integers(0, 1)))]
    constants = [new(draw(size), constant=True) for _ in range(draw(st.integers(0, 1)))]
    plain = list(inputs)
    ops: list[Op] = []
    lowerings: list[Lowering] = []
    for index in range(draw(st.integers(0, most_ops))):
        alias = draw(st.integers(0, 5)) == 0
        sources = plain if alias else plain + variables + constants
        recent = sources[-4:] if draw(st.booleans()) else sources
        reads = draw(st.lists(st.sampled_from(recent), min_size=1, max_size=1 if alias else 3))
        if alias:
            writes = [new(tensors[reads[0]].size_bytes)]
        else:
            same = draw(st.booleans())
            count = draw(st.sampled_from([1, 1, 1, 2]))
            writes = [new(tensors[reads[0]].size_bytes if same else draw(size)) for _ in range(count)]
        plain += writes
        ops.append(Op(index, "ADD", 1, tuple(reads), tuple(writes)))
        distance = st.one_of(st.just(0), st.integers(-300, 300))
        allowed = draw(st.dictionaries(st.integers(0, len(reads) - 1), distance))
        scratch = draw(st.one_of(st.just(0), st.integers(1, 200)))
        exactly = not alias and draw(st.booleans())
        asks = Lowering(alias=True) if alias else Lowering(scratch_bytes=scratch, overlap=allowed, exactly=exactly)
        lowerings.append(asks)
    outputs = draw(st.lists(st.sampled_from(plain), min_size=1, max_size=3, unique=True))
    made = Graph("random", "", "0" * 64, 0, tuple(tensors), tuple(ops), tuple(inputs), tuple(outputs))
    return Network(made, tuple(lowerings))
