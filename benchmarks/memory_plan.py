"""How long planning and the search for an order take, and how far from their bounds they stay, over networks of several
sizes.

    python benchmarks/memory_plan.py

Networks are random. Planning: each operator reads the tensor before it and one up to four back, has scratch, and
every other one may work in place. Order: each reads one or two tensors up to 4, or 30, back, so that many orders are
possible. The seed is fixed, so that sizes repeat from run to run; times don't.
"""

from __future__ import annotations

import time

import numpy as np

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels import Lowering
from edgeq.memory import find_order, plan_memory


def network(count: int, random: np.random.Generator) -> tuple[Graph, list[Lowering]]:
    """A random network of `count` operators, and what they ask of memory."""
    sizes = [int(s) for s in random.integers(100, 20_000, count + 1)]
    tensors = tuple(Tensor(i, f"t{i}", (size,), DType.INT8) for i, size in enumerate(sizes))
    ops = tuple(Op(i, "ADD", 1, (max(0, i - int(random.integers(0, 4))), i), (i + 1,)) for i in range(count))
    asks = [
        Lowering(scratch_bytes=int(random.integers(0, 2000)), overlap={0: 0, 1: 0} if i % 2 else {})
        for i in range(count)
    ]
    return Graph("random", "", "0" * 64, 0, tensors, ops, (0,), (count,)), asks


def branches(count: int, reach: int, random: np.random.Generator) -> tuple[Graph, list[Lowering]]:
    """A random network in which operators read from up to `reach` back; what nobody reads is an output."""
    sizes = [int(s) for s in random.integers(100, 20_000, count + 1)]
    tensors = tuple(Tensor(i, f"t{i}", (size,), DType.INT8) for i, size in enumerate(sizes))
    reads = [
        {int(max(0, i - random.integers(0, reach))) for _ in range(1 + int(random.random() < 0.4))}
        for i in range(count)
    ]
    ops = tuple(Op(i, "ADD", 1, tuple(sorted(read)), (i + 1,)) for i, read in enumerate(reads))
    outputs = tuple(sorted(set(range(1, count + 1)) - set().union(*reads)))
    asks = [Lowering(scratch_bytes=64, overlap={0: 0} if i % 2 else {}) for i in range(count)]
    return Graph("random", "", "0" * 64, 0, tensors, ops, (0,), outputs), asks


def orders() -> None:
    """Print one row per size and reach."""
    print(f"{'operators':>9} {'reach':>6} {'ms':>8} {'file B':>10} {'order B':>10} {'bound B':>10}")
    for reach in (4, 30):
        for count in (50, 200, 800):
            graph, asks = branches(count, reach, np.random.default_rng(count))
            started = time.perf_counter()
            found = find_order(graph, asks)
            spent_ms = (time.perf_counter() - started) * 1000
            figures = (found.file_peak_bytes, found.peak_bytes, found.bound_bytes)
            print(f"{count:>9} {reach:>6} {spent_ms:>8.1f} " + " ".join(f"{figure:>10,}" for figure in figures))


def main() -> None:
    """Print one row per size."""
    print(f"{'operators':>9} {'ms':>8} {'arena B':>9} {'bound B':>9} {'above':>7}")
    for count in (10, 50, 200, 800):
        graph, asks = network(count, np.random.default_rng(count))
        started = time.perf_counter()
        plan = plan_memory(graph, asks)
        spent_ms = (time.perf_counter() - started) * 1000
        above = plan.arena_bytes / plan.lower_bound_bytes - 1
        print(f"{count:>9} {spent_ms:>8.1f} {plan.arena_bytes:>9,} {plan.lower_bound_bytes:>9,} {above:>7.1%}")
    print()
    orders()


if __name__ == "__main__":
    main()
