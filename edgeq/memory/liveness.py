"""Which buffers a network needs, how large, and from which operator to which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgeq.errors import UnsupportedError
from edgeq.graph import Graph, Op
from edgeq.kernels.contract import Lowering
from edgeq.units import align_up


@dataclass(frozen=True)
class Lifetime:
    """One buffer before it has a place.

    Attributes:
        tensors: the tensors that are these bytes; () for scratch.
        scratch_of: operator index, -1 for tensors.
        first, last: operator indices, both included; -1 and len(ops) are the model's ends.
        size_bytes: a multiple of the alignment; 0 for tensors without elements.
        over: (index of a lifetime that ends at this one's `first`, distance) for each that this one may overlap: the
            other may begin that many bytes or more behind this one's offset; see `Lowering.overlap`.
        exactly: not more than that.
    """

    tensors: tuple[int, ...]
    scratch_of: int
    first: int
    last: int
    size_bytes: int
    over: tuple[tuple[int, int], ...] = ()
    exactly: bool = False


@dataclass
class Group:
    """Tensors that share memory because one operator hands the same bytes on.

    Attributes:
        first, last, size_bytes, over, exactly: as in `Lifetime`.
        fixed: a variable tensor, kept from one inference to the next.
    """

    tensors: list[int]
    first: int
    last: int
    size_bytes: int
    fixed: bool
    over: tuple[tuple[int, int], ...] = ()
    exactly: bool = False


def lifetimes(graph: Graph, lowerings: Sequence[Lowering], alignment: int = 16) -> tuple[Lifetime, ...]:
    """Every buffer of the arena, in the order of `first`.

    Model inputs live from the start to their last reader, model outputs to the end, variable tensors
    always; what an operator writes and nobody reads lives while it runs. Constants have no buffer.

    Args:
        lowerings: one per operator.

    Raises:
        UnsupportedError: an operator that only renames memory is given a constant or a variable.
    """
    shared, group_of = groups(graph, lowerings, alignment)
    for op, lowering in zip(graph.ops, lowerings, strict=True):
        _go_over(op, lowering, shared, group_of, alignment)
    found = [Lifetime(tuple(g.tensors), -1, g.first, g.last, g.size_bytes, g.over, g.exactly) for g in shared] + [
        Lifetime((), op.index, op.index, op.index, align_up(lowering.scratch_bytes, alignment))
        for op, lowering in zip(graph.ops, lowerings, strict=True)
        if lowering.scratch_bytes > 0
    ]
    order = sorted(range(len(found)), key=lambda i: (found[i].first, i))
    place = {old: new for new, old in enumerate(order)}
    return tuple(
        replace(t, over=tuple((place[source], distance) for source, distance in t.over))
        for t in (found[i] for i in order)
    )


def groups(graph: Graph, lowerings: Sequence[Lowering], alignment: int) -> tuple[list[Group], dict[int, int]]:
    """All groups, those that an operator may let overlap not yet, and tensor index → its group.

    Raises:
        UnsupportedError: as `lifetimes` does.
    """
    end = len(graph.ops)
    groups: list[Group] = []
    group_of: dict[int, int] = {}

    def start(index: int, first: int) -> None:
        tensor = graph.tensors[index]
        if index in group_of or tensor.is_constant:
            return
        group_of[index] = len(groups)
        last = end if tensor.is_variable else first
        first = -1 if tensor.is_variable else first
        size = align_up(tensor.size_bytes, alignment)
        groups.append(Group([index], first, last, size, tensor.is_variable))

    for index in graph.inputs:
        start(index, -1)
    for tensor in graph.tensors:
        if tensor.is_variable:
            start(tensor.index, -1)
    for op, lowering in zip(graph.ops, lowerings, strict=True):
        for index in op.inputs:
            if index >= 0:
                start(index, op.index)  # empty tensors that nothing writes
            if index in group_of:
                groups[group_of[index]].last = max(groups[group_of[index]].last, op.index)
        if lowering.alias:
            _share(graph, op, groups, group_of)
        for index in op.outputs:
            start(index, op.index)
    for index in graph.outputs:
        start(index, end)
        if index in group_of:
            groups[group_of[index]].last = end
    return groups, group_of


def _share(graph: Graph, op: Op, groups: list[Group], group_of: dict[int, int]) -> None:
    """Make the operator's output the same bytes as its first input."""
    source, output = op.inputs[0], op.outputs[0]
    if source not in group_of or groups[group_of[source]].fixed or graph.tensors[output].is_variable:
        raise UnsupportedError(
            f"{graph.label(op)} renames memory, but its input or output is a constant or a variable",
            where=graph.source or graph.name,
            next_step="fold that operator: convert the model again",
            op_index=op.index,
        )
    group_of[output] = group_of[source]
    groups[group_of[source]].tensors.append(output)


def _go_over(op: Op, lowering: Lowering, groups: list[Group], group_of: dict[int, int], alignment: int) -> None:
    """Let the first output overlap the inputs that die here, as far as the kernel allows it."""
    output = group_of.get(op.outputs[0]) if op.outputs else None
    if output is None or not lowering.overlap or groups[output].first != op.index or groups[output].fixed:
        return
    groups[output].exactly = lowering.exactly
    groups[output].over = tuple(
        (source, distance)
        for source, distance in crossings(op, lowering, group_of, alignment)
        if groups[source].last == op.index
        and groups[source].first < op.index
        and groups[source].size_bytes > 0
        and groups[output].size_bytes > 0
    )


def crossings(op: Op, lowering: Lowering, group_of: Mapping[int, int], alignment: int) -> tuple[tuple[int, int], ...]:
    """(group, distance) of each input that the operator's first output may overlap, should the input die there."""
    readers: dict[int, set[int]] = {}
    for position, index in enumerate(op.inputs):
        if index in group_of:
            readers.setdefault(group_of[index], set()).add(position)
    return tuple(
        (source, align_up(max(lowering.overlap[p] for p in positions), alignment))
        for source, positions in readers.items()
        if positions <= set(lowering.overlap)
        and not (lowering.exactly and any(lowering.overlap[p] % alignment for p in positions))
        and not (lowering.exactly and len({lowering.overlap[p] for p in positions}) > 1)
    )
