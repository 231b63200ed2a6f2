"""The data of the arena's drawing."""

from __future__ import annotations

from graphs import PLAIN, Network, chain, networks
from hypothesis import given, settings

from edgeq.kernels import Lowering
from edgeq.memory import chart, plan_memory


def test_rows_and_columns() -> None:
    network = chain([32, 64, 64])
    asks = [Lowering(scratch_bytes=16), Lowering(overlap={0: 0})]
    drawing = chart(network, plan_memory(network, asks))
    assert drawing.columns == ("start", "ADD #0", "ADD #1", "end")
    assert drawing.live_bytes == (32, 112, 64, 64)
    assert drawing.peak == 1
    rows = {r.label: r for r in drawing.rows}
    assert {label: r.kind for label, r in rows.items()} == {
        "t0": "input",
        "t1": "tensor",
        "t2": "output",
        "scratch of ADD #0": "scratch",
    }
    assert (rows["t0"].first, rows["t0"].last) == (0, 1)
    assert (rows["t2"].first, rows["t2"].last) == (2, 3)
    assert drawing.rows[rows["t2"].in_place_of].label == "t1"
    assert drawing.idle_bytes == 0


@settings(deadline=None, max_examples=50)
@given(networks())
def test_bytes_drawn_in_a_column_are_its_live_bytes(network: Network) -> None:
    plan = plan_memory(network.graph, network.lowerings)
    drawing = chart(network.graph, plan)
    for column in range(len(drawing.columns)):
        drawn = sum(drawing.at(column, offset) is not None for offset in range(plan.arena_bytes))
        assert drawn == drawing.live_bytes[column]


def test_what_lies_at_a_byte() -> None:
    network = chain([64, 32])
    drawing = chart(network, plan_memory(network, [PLAIN]))
    assert {getattr(drawing.at(1, offset), "label", None) for offset in range(96)} == {"t0", "t1"}
    assert drawing.at(2, 95 if drawing.at(2, 0) else 0) is None
