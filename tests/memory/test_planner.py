"""Planning: what it saves, what it must never do, and that it holds when a network really runs in it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from graphs import PLAIN, Network, chain, graph, networks
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.errors import EdgeqError, UnsupportedError
from edgeq.graph import Graph, verify
from edgeq.kernels import Lowering
from edgeq.memory import MemoryPlan, exact, plan_memory, verify_plan
from edgeq.memory.liveness import lifetimes
from edgeq.memory.placement import live_pairs, lower_bound, place

IN_PLACE = Lowering(overlap={0: 0, 1: 0})
ALIAS = Lowering(alias=True)


def test_a_chain_needs_its_two_largest_neighbours() -> None:
    plan = plan_memory(chain([64, 160, 32, 96, 16]), [PLAIN] * 4)
    assert plan.arena_bytes == plan.lower_bound_bytes == 64 + 160
    assert plan.peak_op == 0
    assert plan.timeline() == {-1: 64, 0: 224, 1: 192, 2: 128, 3: 112, 4: 16}


def test_every_offset_and_the_arena_keep_the_alignment() -> None:
    network = chain([10, 33, 7, 100])
    for alignment in (1, 4, 16, 64):
        plan = plan_memory(network, [PLAIN] * 3, alignment=alignment)
        assert all(b.offset % alignment == 0 for b in plan.buffers)
        assert plan.arena_bytes % alignment == 0
    assert plan_memory(network, [PLAIN] * 3, alignment=1).arena_bytes == 107
    with pytest.raises(ValueError, match="not a power of two"):
        plan_memory(network, [PLAIN] * 3, alignment=12)


def test_scratch_lives_while_its_operator_runs() -> None:
    asks = [Lowering(scratch_bytes=100), Lowering(scratch_bytes=40)]
    plan = plan_memory(chain([64, 64, 64]), asks)
    assert set(plan.scratch_offsets) == {0, 1}
    assert plan.arena_bytes == 64 + 64 + 112
    assert plan.live_bytes(1) == 64 + 64 + 48


def test_in_place_takes_over_a_dying_input() -> None:
    plan = plan_memory(chain([64, 64, 64]), [IN_PLACE] * 2)
    assert plan.arena_bytes == 64
    assert set(plan.offsets.values()) == {0}
    assert [b.in_place_of for b in plan.buffers] == [-1, 0, 1]


def test_in_place_leaves_alone_what_is_read_later_or_is_an_output() -> None:
    residual = graph([64] * 3, [((0,), (1,)), ((0, 1), (2,))], [0], [2])
    plan = plan_memory(residual, [IN_PLACE] * 2)
    assert plan.offsets[0] != plan.offsets[1]
    assert plan.offsets[2] in (plan.offsets[0], plan.offsets[1])
    kept = graph([64] * 2, [((0,), (1,))], [0], [0, 1])
    assert plan_memory(kept, [IN_PLACE]).arena_bytes == 128


def test_in_place_needs_leave_for_every_position_that_reads_the_memory() -> None:
    twice = graph([64, 64], [((0, 0), (1,))], [0], [1])
    assert plan_memory(twice, [Lowering(overlap={0: 0})]).arena_bytes == 128
    assert plan_memory(twice, [Lowering(overlap={0: 0, 1: 0})]).arena_bytes == 64


def test_in_place_shares_the_start_where_sizes_differ() -> None:
    """A pooled tensor doesn't hold on to the large one's bytes."""
    plan = plan_memory(chain([160, 32, 128]), [IN_PLACE, PLAIN])
    assert plan.arena_bytes == plan.lower_bound_bytes == 160
    assert plan.live_bytes(0) == 160


def test_of_two_dying_inputs_the_better_fitting_is_taken() -> None:
    broadcast = graph([16, 128, 128], [((0, 1), (2,))], [0, 1], [2])
    plan = plan_memory(broadcast, [IN_PLACE])
    assert plan.offsets[2] == plan.offsets[1]
    assert plan.arena_bytes == 144


def test_an_alias_is_the_same_memory_for_as_long_as_either_lives() -> None:
    network = graph([64] * 4, [((0,), (1,)), ((1,), (2,)), ((0, 2), (3,))], [0], [3])
    plan = plan_memory(network, [ALIAS, IN_PLACE, PLAIN])
    assert plan.offsets[0] == plan.offsets[1] != plan.offsets[2]
    assert plan.arena_bytes == 192


def test_an_alias_of_a_model_input_that_is_an_output_is_kept() -> None:
    network = graph([64] * 3, [((0,), (1,)), ((0,), (2,))], [0], [1, 2])
    plan = plan_memory(network, [ALIAS, IN_PLACE])
    assert plan.offsets[0] == plan.offsets[1] != plan.offsets[2]


def test_an_alias_of_a_constant_is_refused() -> None:
    network = graph([64] * 2, [((0,), (1,))], [], [1], constants=[0])
    with pytest.raises(UnsupportedError, match="ADD #0"):
        plan_memory(network, [ALIAS])


def test_variables_keep_their_memory_throughout() -> None:
    network = graph([64] * 4, [((0, 1), (2,)), ((2,), (3,))], [0], [3], variables=[1])
    plan = plan_memory(network, [IN_PLACE] * 2)
    (buffer,) = [b for b in plan.buffers if 1 in b.tensors]
    assert (buffer.first_op, buffer.last_op) == (-1, 2)
    assert buffer.offset not in {plan.offsets[t] for t in (0, 2, 3)}


def test_constants_have_no_place_and_unread_outputs_have() -> None:
    network = graph([64] * 4, [((0, 1), (2, 3))], [0], [2], constants=[1])
    assert set(plan_memory(network, [PLAIN]).offsets) == {0, 2, 3}


def test_one_lowering_per_operator() -> None:
    with pytest.raises(ValueError, match="1 lowerings for 2 operators"):
        plan_memory(chain([1, 1, 1]), [PLAIN])


def test_where_no_plain_order_finds_the_optimum_the_search_does() -> None:
    ops = [((0, 0), (1,)), ((1, 1), (2,)), ((0, 2), (3,)), ((3, 3), (4,))]
    network = graph([32, 144, 144, 112, 192], ops, [0], [4])
    buffers = lifetimes(network, [PLAIN] * 4)
    assert place(buffers, steps=0, proof_steps=0).total_bytes > lower_bound(buffers)
    assert place(buffers, proof_steps=0).total_bytes == lower_bound(buffers)
    assert place(buffers, steps=0).total_bytes == lower_bound(buffers)
    plan = plan_memory(network, [PLAIN] * 4)
    assert plan.arena_bytes == plan.lower_bound_bytes


def test_planning_twice_gives_the_same() -> None:
    random = np.random.default_rng(3)
    network = _irregular(40, random)
    assert plan_memory(network, [PLAIN] * 40) == plan_memory(network, [PLAIN] * 40)


@pytest.mark.parametrize("count", [50, 200, 800])
def test_the_work_grows_with_the_network_and_not_with_its_square(count: int) -> None:
    network = _irregular(count, np.random.default_rng(1))
    buffers = lifetimes(network, [Lowering(scratch_bytes=8)] * count)
    assert sum(1 for _ in live_pairs(buffers)) < 20 * count


def _irregular(count: int, random: np.random.Generator) -> Graph:
    sizes = [int(s) for s in random.integers(1, 5000, count + 1)]
    ops = [((max(0, i - int(random.integers(0, 4))), i), (i + 1,)) for i in range(count)]
    return graph(sizes, ops, [0], [count])


@settings(max_examples=80, deadline=None)
@given(networks(), st.sampled_from([1, 4, 16]))
def test_bounds(network: Network, alignment: int) -> None:
    verify(network.graph)
    plan = plan_memory(network.graph, network.lowerings, alignment=alignment)
    assert plan.lower_bound_bytes <= plan.arena_bytes <= sum(b.size_bytes for b in plan.buffers)
    assert plan.lower_bound_bytes <= max(plan.timeline().values()) <= plan.arena_bytes
    placed = {t for b in plan.buffers for t in b.tensors}
    used = {i for op in network.graph.ops for i in (*op.inputs, *op.outputs)} | set(network.graph.inputs)
    assert placed >= {i for i in used if not network.graph.tensors[i].is_constant}


@settings(max_examples=100, deadline=None)
@given(networks())
def test_without_overlaps_the_bound_is_the_plain_sum_of_what_is_live(network: Network) -> None:
    buffers = lifetimes(network.graph, [replace(asks, overlap={}) for asks in network.lowerings])
    sums = [sum(b.size_bytes for b in buffers if b.first <= t <= b.last) for t in range(-1, 20)]
    assert lower_bound(buffers) == max(sums)
    naive = {
        (i, j)
        for j in range(len(buffers))
        for i in range(len(buffers))
        if i != j and buffers[i].first <= buffers[j].last and buffers[j].first <= buffers[i].last
    }
    assert {p for i, j in live_pairs(buffers) for p in ((i, j), (j, i))} == naive


@settings(max_examples=60, deadline=None)
@given(networks(most_ops=5))
def test_small_networks_are_placed_optimally_among_all_orders(network: Network) -> None:
    """Held against a far longer search."""
    buffers = lifetimes(network.graph, network.lowerings)
    quick, patient = place(buffers).total_bytes, place(buffers, steps=2_000_000).total_bytes
    assert quick == patient


def test_one_input_at_two_exact_distances_lies_apart() -> None:
    twice = graph([64, 64], [((0, 0), (1,))], [0], [1])
    assert plan_memory(twice, [Lowering(overlap={0: 0, 1: 16}, exactly=True)]).arena_bytes == 128


@settings(max_examples=100, deadline=None)
@given(networks())
def test_nothing_is_clobbered_when_the_network_runs(network: Network) -> None:
    run(network, plan_memory(network.graph, network.lowerings))


def run(network: Network, plan: MemoryPlan) -> None:
    """Run two inferences of patterns through the arena, looking at every byte an operator relies on."""
    made = network.graph
    arena = np.zeros(plan.arena_bytes, np.uint8)
    offsets, scratch = plan.offsets, plan.scratch_offsets
    content: dict[int, int] = {}  # tensor → the pattern it must hold

    def span(index: int) -> slice:
        return slice(offsets[index], offsets[index] + made.tensors[index].size_bytes)

    def write(index: int, pattern: int) -> None:
        content[index] = pattern
        arena[span(index)] = pattern

    def intact(index: int) -> bool:
        return made.tensors[index].is_constant or bool(np.all(arena[span(index)] == content[index]))

    variables = [t.index for t in made.tensors if t.is_variable and t.index in offsets]
    for index in variables:
        write(index, 200)
    for inference in range(2):
        for index in made.inputs:
            write(index, 1 + index + inference)
        for op, asks in zip(made.ops, network.lowerings, strict=True):
            assert all(intact(i) for i in op.inputs), f"operator {op.index} reads what was overwritten"
            if asks.alias:
                content[op.outputs[0]] = content[op.inputs[0]]
                assert intact(op.outputs[0])
                continue
            if asks.scratch_bytes:
                arena[scratch[op.index] : scratch[op.index] + asks.scratch_bytes] = 255
                assert all(intact(i) for i in op.inputs), f"scratch of operator {op.index} hits its inputs"
            for position, distance in asks.overlap.items():
                first, second = op.inputs[position], op.outputs[0]
                if first in offsets and second in offsets and made.tensors[first].size_bytes:
                    behind = offsets[first] - offsets[second]
                    apart = behind >= made.tensors[second].size_bytes or -behind >= made.tensors[first].size_bytes
                    sound = behind == distance if asks.exactly else behind >= distance
                    assert apart or sound or not made.tensors[second].size_bytes
            for index in op.outputs:
                write(index, 10 + index + inference)
            held = [i for p, i in enumerate(op.inputs) if p not in asks.overlap]
            assert all(intact(i) for i in held), f"operator {op.index} writes over its own inputs"
            if asks.scratch_bytes:
                area = arena[scratch[op.index] : scratch[op.index] + asks.scratch_bytes]
                assert np.all(area == 255), f"operator {op.index} writes over its own scratch"
        assert all(intact(i) for i in (*made.outputs, *variables))


def test_verify_plan_finds_what_is_wrong() -> None:
    plan = plan_memory(chain([64, 64, 64]), [PLAIN, Lowering(scratch_bytes=16)])
    verify_plan(plan)
    first, second, *rest = plan.buffers
    spoiled = {
        "overlap": replace(plan, buffers=(first, replace(second, offset=first.offset), *rest)),
        "misaligned": replace(plan, buffers=(replace(first, offset=first.offset + 1), second, *rest)),
        "outside": replace(plan, arena_bytes=plan.arena_bytes - 16),
        "still needed": replace(plan, buffers=(replace(first, last_op=1), replace(second, over=((0, 0),)), *rest)),
        "begins too early": replace(
            plan,
            buffers=(
                replace(first, offset=second.offset + 16),
                replace(second, over=((0, 0),), exactly=True),
                *(replace(b, offset=b.offset + 16) for b in rest),
            ),
            arena_bytes=plan.arena_bytes + 16,
        ),
        "too early for that": replace(
            plan, buffers=(first, replace(second, offset=first.offset, over=((0, 16),)), *rest)
        ),
    }
    for what, broken in spoiled.items():
        with pytest.raises(EdgeqError, match=what):
            verify_plan(broken)


def test_verify_plan_sees_past_a_smaller_buffer_in_place() -> None:
    """A large buffer, a small one in its place, and a third between their ends."""
    plan = plan_memory(graph([96, 32, 32], [((0,), (1, 2))], [0], [1, 2]), [IN_PLACE])
    large, *others = plan.buffers
    assert [b.in_place_of for b in others] == [0, -1]
    moved = replace(plan, buffers=(large, others[0], replace(others[1], offset=large.offset + 48)))
    with pytest.raises(EdgeqError, match="overlap"):
        verify_plan(moved)


def _puzzles(count: int) -> st.SearchStrategy[tuple[list[int], list[exact.Apart]]]:
    """Few small buffers and distances between some of them, negative ones too."""
    pair = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1), st.integers(-2, 3), st.integers(-2, 3))
    apart = st.lists(pair.filter(lambda p: p[0] != p[1]), max_size=6) if count > 1 else st.just([])
    return st.tuples(st.lists(st.integers(1, 3), min_size=count, max_size=count), apart)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3).flatmap(_puzzles))
def test_branch_and_bound_finds_what_trying_all_offsets_finds(puzzle: tuple[list[int], list[exact.Apart]]) -> None:
    sizes, apart = puzzle
    limit = sum(sizes) + 6
    fitting = [
        max(x + size for x, size in zip(offsets, sizes, strict=True))
        for offsets in itertools.product(range(limit), repeat=len(sizes))
        if all(offsets[i] + a <= offsets[j] or offsets[j] + b <= offsets[i] for i, j, a, b in apart)
    ]
    smallest = min([limit, *fitting])
    found = exact.search(sizes, apart, limit, 0, 10**6)
    assert found.proven and found.total_bytes == smallest
    if found.offsets:
        assert max(x + size for x, size in zip(found.offsets, sizes, strict=True)) == smallest
        x = found.offsets
        assert all(x[i] + a <= x[j] or x[j] + b <= x[i] for i, j, a, b in apart)


@settings(max_examples=30, deadline=None)
@given(networks())
def test_no_search_gets_below_what_a_plan_says_is_the_least(network: Network) -> None:
    buffers = lifetimes(network.graph, network.lowerings)
    placed = place(buffers)
    patient = place(buffers, proof_steps=0)
    assert lower_bound(buffers) <= placed.bound_bytes <= placed.total_bytes <= patient.total_bytes
