"""The smallest placement, or the proof that there is none smaller: branch and bound over which of two buffers is below.

Each pair of buffers that must keep a distance is a choice of two inequalities, x[i] + a <= x[j] or x[j] + b <= x[i].
With some choices made, the least offsets that keep them are longest paths, and so is the least room that must remain
above each buffer; a branch in which some buffer's two together reach the best total is cut off. This is the disjunctive
graph of job-shop scheduling: J. Carlier and E. Pinson, "An Algorithm for Solving the Job-Shop Problem", Management
Science 35(2), 1989.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Apart = tuple[int, int, int, int]
"""(i, j, a, b): buffer j begins a bytes or more behind i, or i b bytes or more behind j. Both may be negative."""

_DEPTH = 400
"""Decisions on top of each other, each a call within the one before."""


@dataclass(frozen=True)
class Verdict:
    """What the search found.

    Attributes:
        offsets: the smallest placement below the limit that it was given; () if it met none.
        total_bytes: of that placement; the limit if there is none.
        proven: whether everything was searched, so that no placement is smaller.
    """

    offsets: tuple[int, ...]
    total_bytes: int
    proven: bool


class _ExhaustedError(Exception):
    """The steps are used up."""


def search(sizes: Sequence[int], apart: Sequence[Apart], limit: int, bound: int, steps: int) -> Verdict:
    """Look for placements smaller than `limit` bytes.

    Args:
        sizes: bytes of each buffer.
        bound: no placement is smaller than that: reaching it ends the search.
        steps: how many pairs and buffers it may look at.
    """
    found = _Search(sizes, apart, limit, bound, steps)
    try:
        found.descend(list(range(len(apart))), [0] * len(sizes), list(sizes))
    except _ExhaustedError:
        return Verdict(found.offsets, found.best, proven=found.best == bound)
    return Verdict(found.offsets, found.best, proven=True)


class _Search:
    """A depth-first search; `best` falls while it runs."""

    def __init__(self, sizes: Sequence[int], apart: Sequence[Apart], limit: int, bound: int, steps: int) -> None:
        self.sizes = sizes
        self.apart = apart
        self.best = limit
        self.bound = bound
        self.steps = steps
        self.offsets: tuple[int, ...] = ()
        self.depth = 0
        self.above: list[list[tuple[int, int]]] = [[] for _ in sizes]  # i → (j, a): x[j] >= x[i] + a
        self.below: list[list[tuple[int, int]]] = [[] for _ in sizes]

    def descend(self, undecided: list[int], least: list[int], room: list[int]) -> None:
        """Search all ways to decide the pairs.

        Args:
            least: offsets that no placement with the decisions made so far can go below.
            room: bytes from each buffer's offset to the arena's end, at least.
        """
        chosen: list[tuple[int, int]] = []
        self.depth += 1
        self.steps -= len(least)
        try:
            if self.depth > _DEPTH:
                raise _ExhaustedError
            pair = self._decide(undecided, least, room, chosen)
            if pair is None:
                return
            if pair < 0:
                self.best = max(x + size for x, size in zip(least, self.sizes, strict=True))
                self.offsets = tuple(least)
                if self.best <= self.bound:
                    raise _ExhaustedError
                return
            i, j, a, b = self.apart[pair]
            rest = [p for p in undecided if p != pair]
            for lower, upper, distance in sorted(((i, j, a), (j, i, b)), key=lambda way: least[way[0]] + way[2]):
                self._add(lower, upper, distance)
                x, y = list(least), list(room)
                if self._push(lower, upper, distance, x, y):
                    self.descend(list(rest), x, y)
                self._drop(lower, upper)
        finally:
            self.depth -= 1
            for lower, upper in reversed(chosen):
                self._drop(lower, upper)

    def _decide(
        self, undecided: list[int], least: list[int], room: list[int], chosen: list[tuple[int, int]]
    ) -> int | None:
        """Decide what is no choice any more. The violated pair to branch on, -1 if none is violated, None if stuck."""
        again = True
        while again:
            again = False
            branch, tightest = -1, float("-inf")
            for pair in list(undecided):
                self.steps -= 1
                i, j, a, b = self.apart[pair]
                up, down = least[i] + a, least[j] + b  # where j, where i would have to be at least
                can_up, can_down = up + room[j] < self.best, down + room[i] < self.best
                if not can_up and not can_down:
                    return None
                if can_up and can_down:
                    if up > least[j] and down > least[i]:
                        tight = up + room[j] + down + room[i]
                        if tight > tightest:
                            branch, tightest = pair, tight
                    continue
                lower, upper, distance = (i, j, a) if can_up else (j, i, b)
                undecided.remove(pair)
                self._add(lower, upper, distance)
                chosen.append((lower, upper))
                if not self._push(lower, upper, distance, least, room):
                    return None
                again = True
            if self.steps < 0:
                raise _ExhaustedError
        return branch

    def _add(self, lower: int, upper: int, distance: int) -> None:
        self.above[lower].append((upper, distance))
        self.below[upper].append((lower, distance))

    def _drop(self, lower: int, upper: int) -> None:
        self.above[lower].pop()
        self.below[upper].pop()

    def _push(self, lower: int, upper: int, distance: int, least: list[int], room: list[int]) -> bool:
        """Offsets and rooms with one more inequality; False when something no longer fits below the best total."""
        return self._spread(upper, least[lower] + distance, self.above, least, room) and self._spread(
            lower, room[upper] + distance, self.below, room, least
        )

    def _spread(
        self, start: int, value: int, edges: list[list[tuple[int, int]]], along: list[int], other: list[int]
    ) -> bool:
        waiting = [(start, value)]
        while waiting:
            node, value = waiting.pop()
            if value <= along[node]:
                continue
            along[node] = value
            self.steps -= len(edges[node]) + 1
            if value + other[node] >= self.best:  # round a circle it grows until it doesn't fit
                return False
            waiting += [(following, value + distance) for following, distance in edges[node]]
        return True
