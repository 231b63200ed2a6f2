"""The algebra of axes: a tensor seen with its axes split, reordered and joined, without moving any data.

A view v of a base b is `b.reshape(split).transpose(order).reshape(shape)`. `split` holds no axes of length 1: they
move for free. A view whose `order` is ascending is the base in another shape, whatever became of its axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from edgeq.importers.lowering.net import Shape


@dataclass(frozen=True)
class View:
    """See above; `base` is a value's name, and its elements in memory order are those of `split`."""

    base: str
    split: Shape
    order: tuple[int, ...]
    shape: Shape

    @property
    def in_order(self) -> bool:
        """Whether the data lie in memory as the view has them: a RESHAPE at most."""
        return self.order == tuple(range(len(self.order)))

    @property
    def factors(self) -> Shape:
        """The split axes in the view's order; each axis of `shape` is a run of them."""
        return tuple(self.split[axis] for axis in self.order)


def whole(base: str, shape: Shape) -> View:
    """The base as it is."""
    split = tuple(d for d in shape if d != 1)
    return View(base, split, tuple(range(len(split))), shape)


def runs(view: View) -> list[tuple[int, ...]]:
    """For each axis of the view's shape the split axes it is made of; none for an axis of length 1."""
    found, place = [], 0
    for length in view.shape:
        run: list[int] = []
        product = 1
        while product < length:
            run.append(view.order[place])
            product *= view.split[view.order[place]]
            place += 1
        found.append(tuple(run))
    return found


def transposed(view: View, axes: Sequence[int]) -> View:
    """The view with the axes of its shape in another order."""
    parts = runs(view)
    order = tuple(axis for a in axes for axis in parts[a])
    return View(view.base, view.split, order, tuple(view.shape[a] for a in axes))


def reshaped(view: View, shape: Shape) -> View | None:
    """The view in another shape; None where an axis would have to be cut at a place that isn't a whole number."""
    if 0 in shape or 0 in view.shape:
        return None
    wanted = [d for d in shape if d != 1]
    pieces: list[list[int]] = [[] for _ in view.split]  # lengths that each split axis falls into
    factors = list(view.factors)
    place, rest = 0, factors[0] if factors else 1
    for length in wanted:
        need = length
        while need > 1:
            if rest == 1:
                place += 1
                rest = factors[place]
            if rest % need == 0:
                take = need
            elif need % rest == 0:
                take = rest
            else:
                return None
            pieces[view.order[place]].append(take)
            rest //= take
            need //= take
    return replace(_refined(view, pieces), shape=shape)


def _refined(view: View, pieces: list[list[int]]) -> View:
    starts: list[int] = []
    split: list[int] = []
    for axis in range(len(view.split)):
        starts.append(len(split))
        split += pieces[axis]
    order = tuple(starts[axis] + i for axis in view.order for i in range(len(pieces[axis])))
    return View(view.base, tuple(split), order, view.shape)


def joined(view: View) -> tuple[Shape, tuple[int, ...]]:
    """(split, order) with neighbours that stay neighbours joined: equal for equal arrangements."""
    groups: list[list[int]] = []
    for axis in view.order:
        if groups and groups[-1][-1] + 1 == axis:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    by_memory = sorted(range(len(groups)), key=lambda g: groups[g][0])
    lengths = []
    for g in by_memory:
        length = 1
        for axis in groups[g]:
            length *= view.split[axis]
        lengths.append(length)
    return tuple(lengths), tuple(by_memory.index(g) for g in range(len(groups)))


def memory_order(view: View, base_shape: Shape) -> tuple[int, ...] | None:
    """Axes that bring the view's shape into the order of memory; None where one of its axes mixes several.

    Axes of length 1 go where the base has its own, if it has as many.
    """
    parts = runs(view)
    for run in parts:
        if any(b != a + 1 for a, b in pairwise(run)):
            return None
    long = sorted((i for i, run in enumerate(parts) if run), key=lambda i: parts[i][0])
    short = iter([i for i, run in enumerate(parts) if not run])
    lengths = tuple(view.shape[i] for i in long)
    fits = len(base_shape) == len(view.shape) and tuple(d for d in base_shape if d != 1) == lengths
    pattern = base_shape if fits else view.shape
    following = iter(long)
    return tuple(next(short) if length == 1 else next(following) for length in pattern)
