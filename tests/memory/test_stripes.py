"""Regions in stripes: every row made once and there when it is read, the same bytes, less RAM."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planes import plane_network
from towers import towers

from edgeq import target as targets
from edgeq.graph import Graph
from edgeq.kernels import lower
from edgeq.memory import arrange, arrange_small
from edgeq.memory.rows import Region, regions, runs, schedule
from edgeq.memory.stripes import in_stripes
from edgeq.target import Target
from edgeq.tflite import parse


@pytest.fixture(scope="module")
def board() -> Target:
    return targets.load("nucleo-l4r5zi")


def whole(graph: Graph) -> Region:
    """All operators as one region."""
    (region,) = [region for region in regions(graph, 0, 40) if region.end == len(graph.ops)]
    return region


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7))
def test_every_row_is_made_once_and_there_when_it_is_read(seed: int, rows: int) -> None:
    graph = parse(plane_network(seed))
    region = whole(graph)
    made = schedule(region, rows)
    assert made.holds
    buffers: dict[int, list[int]] = {t: [-1] * made.capacity(t) for t in made.bases}
    done = {op.outputs[0]: 0 for op in region.ops}
    for stripe, pieces in enumerate(made.stripes):
        for piece in pieces:
            op, reach = region.ops[piece.op], region.reaches[piece.op]
            for t, low, count in piece.reads:
                needed = [
                    row
                    for y in range(piece.at, piece.at + piece.rows)
                    for row in range(y * reach.stride - reach.pad, y * reach.stride - reach.pad + reach.size)
                    if 0 <= row < region.height(t)
                ]
                assert low <= min(needed)
                assert max(needed) < low + count <= region.height(t)
                assert piece.at * reach.stride - reach.pad == low - piece.pad
                assert count > 0
                if t in made.bases:
                    there = buffers[t][low - made.bases[t][stripe] :][:count]
                    assert there == list(range(low, low + count))
            out = op.outputs[0]
            assert piece.at == done[out]
            done[out] += piece.rows
            if out in made.bases:
                kept, base = made.kept(out, stripe), made.bases[out][stripe]
                moved = base - made.bases[out][stripe - 1] if stripe else 0
                buffers[out][:kept] = buffers[out][moved : moved + kept]
                at = piece.at - base
                buffers[out][at : at + piece.rows] = range(piece.at, piece.at + piece.rows)
                assert len(buffers[out]) == made.capacity(out)
    assert done[region.result] == region.height(region.result)
    assert sum(times for _, times in runs(made)) == len(made.stripes)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_nothing_is_computed_twice_and_constants_are_there_once(board: Target, seed: int, rows: int) -> None:
    graph = parse(plane_network(seed))
    program = lower(graph, board.core)
    region = whole(graph)
    striped = in_stripes(program, schedule(region, rows), board.core)
    assert striped is not None
    assert [op.index for op in striped.graph.ops] == list(range(len(striped.steps)))
    # A row of outputs that a VALID window doesn't reach is not needed, and then not made.
    assert striped.macs <= program.macs
    for section in ("weights", "parameters"):
        assert striped.constant_bytes(section) <= program.constant_bytes(section) * 1.5
    calls = striped.steps[region.first].lowering
    assert all(a.end <= b.first for a, b in zip(calls.repeats, calls.repeats[1:], strict=False))


def test_a_network_takes_less_and_says_how(board: Target) -> None:
    graph = parse(towers())
    program = lower(graph, board.core)
    usual, small = arrange(program), arrange_small(program, board.core)
    assert small.plan.arena_bytes < 0.8 * usual.plan.arena_bytes
    assert small.plan == arrange_small(program, board.core).plan
    (step,) = [step for step in small.program.steps if step.inside]
    assert step.op.kind == "STRIPES"
    assert sum(inside.lowering.macs for inside in step.inside) == step.lowering.macs
    assert small.program.macs == program.macs
    assert small.program.constant_bytes("weights") == program.constant_bytes("weights")
    assert set(step.kernel.sources) > {source for inside in step.inside for source in inside.kernel.sources}


def test_what_has_no_rows_stays_as_it_is(board: Target) -> None:
    from models_flatbuffer import T, single_op_model

    weights = T((4, 8), scale=0.1, data=[[1] * 8] * 4)
    graph = parse(single_op_model("FULLY_CONNECTED", [T((1, 8), scale=0.1), weights, None], T((1, 4), scale=0.5)))
    program = lower(graph, board.core)
    assert regions(graph, 0, 9) == []
    assert arrange_small(program, board.core) == arrange(program)


def test_a_tensor_that_is_read_outside_ends_a_region() -> None:
    graph = parse(towers())
    other = replace(graph, outputs=(*graph.outputs, graph.ops[0].outputs[0]))
    assert {(r.first, r.end) for r in regions(graph, 0, 9)} == {(0, 1), (0, 5)}
    assert {(r.first, r.end) for r in regions(other, 0, 9)} == {(0, 1)}
