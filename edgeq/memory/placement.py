"""Offsets for buffers whose lifetimes are known: small, and the same every time.

Buffers that continue each other's memory (in place) form one *block* with one offset, whose size changes
over time. For two blocks that are ever live together, the upper one must keep a distance of at least the
lower one's largest size at such a time. First fit places blocks one after another at the lowest offset
that keeps all distances; any optimal arrangement is reached by first fit in *some* order (that of its
offsets), so the search is over orders: a few good ones, then changes of the best at random with a fixed
seed and a fixed number of steps, and not at all when the lower bound is reached.

Orders by size and by breadth: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
Inference", 2020 (arXiv:2001.03288), sections 4.2 and 4.3.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgeq.memory.liveness import Lifetime

SEARCH_STEPS = 300_000
"""Pairs of blocks that the search may look at: 0.1 to 0.2 s, whatever the size of the network."""


@dataclass(frozen=True)
class Placement:
    """Offsets of the lifetimes, in their order, and the bytes they need in all."""

    offsets: tuple[int, ...]
    total_bytes: int


@dataclass(frozen=True)
class _Blocks:
    """Blocks and the distances they must keep.

    Attributes:
        of: lifetime index → block index.
        sizes: largest size at any time.
        spans: operators from the first to the last.
        distances: for each block, (other, distance when this one is below, when the other is below).
    """

    of: tuple[int, ...]
    sizes: tuple[int, ...]
    spans: tuple[int, ...]
    distances: tuple[tuple[tuple[int, int, int], ...], ...]


def lower_bound(buffers: Sequence[Lifetime]) -> int:
    """The most bytes live at one time: no placement can be smaller."""
    return max(_live_bytes(buffers).values(), default=0)


def place(buffers: Sequence[Lifetime], steps: int = SEARCH_STEPS) -> Placement:
    """Offsets for all of them; no two that are live together overlap, but for those in place.

    Args:
        steps: how long to search when the first orders miss the lower bound; see SEARCH_STEPS.
    """
    bound = lower_bound(buffers)
    blocks = _blocks(buffers)
    best_order: list[int] = []
    best: list[int] = []
    best_total = -1
    for order in _orders(buffers, blocks):
        offsets, total = _first_fit(blocks, order)
        if best_total < 0 or total < best_total:
            best_order, best, best_total = order, offsets, total
        if best_total == bound:
            break
    if best_total > bound:
        best, best_total = _search(blocks, best_order, best, best_total, bound, steps)
    return Placement(tuple(best[b] for b in blocks.of), max(best_total, 0))


def live_pairs(buffers: Sequence[Lifetime]) -> Iterator[tuple[int, int]]:
    """All pairs of lifetimes that share a time; as many steps as there are pairs, not all with all."""
    live: list[tuple[int, int]] = []
    for index in sorted(range(len(buffers)), key=lambda i: buffers[i].first):
        while live and live[0][0] < buffers[index].first:
            heapq.heappop(live)
        for _, other in live:
            yield other, index
        heapq.heappush(live, (buffers[index].last, index))


def _live_bytes(buffers: Sequence[Lifetime]) -> dict[int, int]:
    """Bytes live at each time at which a buffer begins (the peak is at one of these)."""
    starts = sorted({b.first for b in buffers})
    change: dict[int, int] = {}
    for buffer in buffers:
        change[buffer.first] = change.get(buffer.first, 0) + buffer.size_bytes
        change[buffer.last + 1] = change.get(buffer.last + 1, 0) - buffer.size_bytes
        if buffer.takes_over >= 0:  # both are live at `first`, in the same place
            shared = min(buffer.size_bytes, buffers[buffer.takes_over].size_bytes)
            change[buffer.first] -= shared
            change[buffer.first + 1] = change.get(buffer.first + 1, 0) + shared
    found: dict[int, int] = {}
    running = 0
    for time in sorted(change):
        running += change[time]
        found[time] = running
    return {t: found[t] for t in starts}


def _blocks(buffers: Sequence[Lifetime]) -> _Blocks:
    of: list[int] = []
    members: list[list[int]] = []
    for index, buffer in enumerate(buffers):  # sorted by first, so a predecessor comes before
        if buffer.takes_over >= 0:
            of.append(of[buffer.takes_over])
        else:
            of.append(len(members))
            members.append([])
        members[of[index]].append(index)
    distances: list[dict[int, list[int]]] = [{} for _ in members]
    for i, j in live_pairs(buffers):
        a, b = of[i], of[j]
        if a == b or not buffers[i].size_bytes or not buffers[j].size_bytes:
            continue
        for one, other, size, other_size in ((a, b, i, j), (b, a, j, i)):
            pair = distances[one].setdefault(other, [0, 0])
            pair[0] = max(pair[0], buffers[size].size_bytes)
            pair[1] = max(pair[1], buffers[other_size].size_bytes)
    return _Blocks(
        tuple(of),
        tuple(max(buffers[m].size_bytes for m in block) for block in members),
        tuple(1 + max(buffers[m].last for m in block) - min(buffers[m].first for m in block) for block in members),
        tuple(tuple((o, d[0], d[1]) for o, d in near.items()) for near in distances),
    )


def _orders(buffers: Sequence[Lifetime], blocks: _Blocks) -> Iterator[list[int]]:
    numbers = range(len(blocks.sizes))
    yield sorted(numbers, key=lambda b: (-blocks.sizes[b], -blocks.spans[b], b))
    yield sorted(numbers, key=lambda b: (-blocks.sizes[b] * blocks.spans[b], b))
    yield sorted(numbers, key=lambda b: (-blocks.spans[b], -blocks.sizes[b], b))
    yield _by_breadth(buffers, blocks)
    yield list(numbers)
    yield list(reversed(numbers))


def _by_breadth(buffers: Sequence[Lifetime], blocks: _Blocks) -> list[int]:
    """The blocks of the fullest moment first, the largest of them first."""
    live = _live_bytes(buffers)
    times = sorted(live, key=lambda t: -live[t])
    rank = {time: i for i, time in enumerate(times)}
    fullest = [len(times)] * len(blocks.sizes)
    starts = sorted(times)
    ranks = [rank[t] for t in starts]
    position = {t: i for i, t in enumerate(starts)}
    for index, buffer in enumerate(buffers):
        i = position[buffer.first]
        while i < len(starts) and starts[i] <= buffer.last:
            fullest[blocks.of[index]] = min(fullest[blocks.of[index]], ranks[i])
            i += 1
    return sorted(range(len(blocks.sizes)), key=lambda b: (fullest[b], -blocks.sizes[b], b))


def _first_fit(blocks: _Blocks, order: Sequence[int]) -> tuple[list[int], int]:
    """Offsets of the blocks when each takes the lowest place left, in that order."""
    offsets = [-1] * len(order)
    total = 0
    for block in order:
        size = blocks.sizes[block]
        # Starting strictly between `offset - below` and `offset + above` would touch the other block.
        taken = sorted(
            (offsets[other] - below, offsets[other] + above)
            for other, below, above in blocks.distances[block]
            if offsets[other] >= 0
        )
        offset = 0
        for start, end in taken:
            if start >= offset:
                break
            offset = max(offset, end)
        offsets[block] = offset
        total = max(total, offset + size)
    return offsets, total


def _search(
    blocks: _Blocks, order: list[int], offsets: list[int], total: int, bound: int, steps: int
) -> tuple[list[int], int]:
    """Better orders by moving one block at a time: mostly one that touches the top, and mostly to the front."""
    chance = random.Random(len(order))
    cost = len(order) + sum(len(d) for d in blocks.distances)
    current, current_total = list(order), total
    best = offsets
    for _ in range(steps // max(cost, 1)):
        trial = list(current)
        moved = chance.randrange(len(trial))
        if chance.random() < 0.7:
            ends = [offsets[b] + blocks.sizes[b] for b in trial]
            moved = ends.index(max(ends))
        block = trial.pop(moved)
        front = chance.choice((0, moved, len(trial)))
        trial.insert(chance.randrange(front + 1), block)
        trial_offsets, trial_total = _first_fit(blocks, trial)
        if trial_total <= current_total:
            current, current_total, offsets = trial, trial_total, trial_offsets
        if trial_total < total:
            best, total = trial_offsets, trial_total
        if total == bound:
            break
    return best, total
