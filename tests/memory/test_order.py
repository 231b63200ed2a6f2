"""The order of operators: never worse than the file's, the best where that is said, and state stays in its order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from graphs import PLAIN, Network, chain, graph, networks, tensor
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.graph import DType, Graph, Op, verify
from edgeq.kernels import Lowering
from edgeq.memory import find_order, plan_in_order, plan_memory, reordered
from edgeq.memory.liveness import lifetimes
from edgeq.memory.order import BEAM_STEPS, SEARCH_STEPS
from edgeq.memory.placement import lower_bound

# Two towers, each large before it is small, that the file walks in step.
TOWERS = graph(
    [64, 512, 512, 32, 32, 32],
    [((0,), (1,)), ((0,), (2,)), ((1,), (3,)), ((2,), (4,)), ((3, 4), (5,))],
    [0],
    [5],
)


def _peak(network: Network, order: tuple[int, ...] | range) -> int:
    moved = reordered(network.graph, order)
    return lower_bound(lifetimes(moved, [network.lowerings[i] for i in order]))


def _every_order(made: Graph) -> Iterator[tuple[int, ...]]:
    """All orders in which no operator runs before what it reads is made, and those with variables stay as they are."""
    makers = {t: op.index for op in made.ops for t in op.outputs}
    fixed = [op.index for op in made.ops if any(made.tensors[t].is_variable for t in (*op.inputs, *op.outputs))]

    def go(done: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(done) == len(made.ops):
            yield done
        for op in made.ops:
            ready = op.index not in done and all(makers[t] in done for t in op.inputs if t in makers)
            waits = op.index in fixed and any(i not in done for i in fixed[: fixed.index(op.index)])
            if ready and not waits:
                yield from go((*done, op.index))

    return go(())


def test_towers_are_walked_one_by_one() -> None:
    found = find_order(TOWERS, [PLAIN] * 5)
    assert found.order == (0, 2, 1, 3, 4)
    assert (found.file_peak_bytes, found.peak_bytes, found.bound_bytes) == (1088, 608, 608)
    plan = plan_in_order(TOWERS, [PLAIN] * 5)
    assert plan.ordering == found
    assert plan.arena_bytes == 608 < plan_memory(TOWERS, [PLAIN] * 5).arena_bytes


def test_the_files_order_stays_where_none_is_better() -> None:
    for network in (chain([64, 160, 32, 96, 16]), graph([64] * 3, [((0,), (1,)), ((0,), (2,))], [0], [1, 2])):
        plan = plan_in_order(network, [PLAIN] * len(network.ops))
        assert plan.ordering is not None
        assert plan.ordering.is_files
        assert plan.ordering.peak_bytes == plan.ordering.bound_bytes == plan.arena_bytes


@settings(max_examples=50, deadline=None)
@given(networks(most_ops=6))
def test_it_is_the_best_of_all_orders(network: Network) -> None:
    found = find_order(network.graph, network.lowerings)
    best = min(_peak(network, order) for order in _every_order(network.graph))
    assert found.peak_bytes == found.bound_bytes == best == _peak(network, found.order)
    assert found.file_peak_bytes == _peak(network, range(len(network.graph.ops)))
    assert found.is_files or best < found.file_peak_bytes


@settings(max_examples=25, deadline=None)
@given(networks(), st.sampled_from([0, 10, 40]))
def test_what_is_not_searched_to_the_end_keeps_its_bound(network: Network, steps: int) -> None:
    found = find_order(network.graph, network.lowerings, search_steps=steps, beam_steps=10)
    best = find_order(network.graph, network.lowerings)
    assert best.bound_bytes == best.peak_bytes
    assert found.bound_bytes <= best.peak_bytes <= found.peak_bytes <= found.file_peak_bytes
    assert found.peak_bytes == _peak(network, found.order)


@settings(max_examples=25, deadline=None)
@given(networks())
def test_a_plan_in_another_order_is_smaller_and_sound(network: Network) -> None:
    plan = plan_in_order(network.graph, network.lowerings)
    assert plan.ordering is not None
    verify(reordered(network.graph, plan.ordering.order))
    usual = plan_memory(network.graph, network.lowerings)
    assert plan.arena_bytes < usual.arena_bytes or (plan.ordering.is_files and replace(plan, ordering=None) == usual)
    assert plan.ordering.bound_bytes <= plan.arena_bytes


@pytest.mark.parametrize("kept", ["variable", "resource"])
def test_what_keeps_state_stays_in_its_order(kept: str) -> None:
    """A read, then a write that a larger peak asks to come first."""
    tensors = [tensor(i, size) for i, size in enumerate((64, 512, 512, 32, 32, 32, 16))]
    tensors[6] = replace(
        tensors[6], is_variable=kept == "variable", dtype=DType.INT8 if kept == "variable" else DType.RESOURCE
    )
    reads = [(0, 6), (0,), (1,), (2, 6), (3, 4)]
    ops = tuple(Op(i, "READ_VARIABLE", 1, inputs, (i + 1,)) for i, inputs in enumerate(reads))
    made = Graph("made", "", "0" * 64, 0, tuple(tensors), ops, (0, 6) if kept == "resource" else (0,), (5,))
    order = find_order(made, [PLAIN] * 5).order
    assert order == (0, 1, 2, 3, 4)  # by the operators' kind
    free = replace(made, ops=tuple(replace(op, kind="ADD") for op in ops))
    assert [i for i in find_order(free, [PLAIN] * 5).order if i in (0, 3)] == [0, 3]
    assert find_order(free, [PLAIN] * 5).order == (0, 2, 1, 3, 4)


@pytest.mark.parametrize("count", [50, 200, 800])
@pytest.mark.parametrize("reach", [3, 30])
def test_the_work_is_bounded_whatever_the_size(count: int, reach: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeq.memory import order

    tried = 0
    run = order._Part.run

    def counted(*arguments: object) -> tuple[int, int]:
        nonlocal tried
        tried += 1
        return run(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(order._Part, "run", counted)
    rng = np.random.default_rng(count)
    ops = [(tuple({max(0, i - int(rng.integers(0, reach))), i}), (i + 1,)) for i in range(count)]
    network = graph([int(s) for s in rng.integers(1, 5000, count + 1)], ops, [0], [count])
    found = find_order(network, [Lowering(scratch_bytes=8)] * count)
    assert found.peak_bytes <= found.file_peak_bytes
    assert tried <= SEARCH_STEPS + BEAM_STEPS + 40 * count
