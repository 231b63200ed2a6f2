"""How much is tried: everything for small models, what is cheap for large ones, and that is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from digits_network import trained
from models import digits

from edgeq import registry
from edgeq.graph import Graph
from edgeq.quantize import SCHEMES, choose, convert
from edgeq.quantize.choose import AUTO, EQUALIZATIONS, ROUNDINGS, Wishes, extent

LEAST = ("min-max", "sample-percentile", "percentile")


def wishes(calibration: str = AUTO, repairs: tuple[str, ...] | None = None, scheme: str = "static_wi8_ai8") -> Wishes:
    chosen = SCHEMES[scheme]
    return Wishes(chosen, {}, chosen.ends[0], calibration, repairs)


def of_size(graph: Graph, total: int) -> Graph:
    """The graph, its largest constant widened until all constants have so many bytes."""
    constants = [tensor for tensor in graph.tensors if tensor.is_constant]
    largest = max(constants, key=lambda tensor: tensor.size_bytes)
    rest = sum(tensor.size_bytes for tensor in constants) - largest.size_bytes
    wider = replace(largest, shape=((total - rest) // 4,))
    return replace(graph, tensors=tuple(wider if t is largest else t for t in graph.tensors))


def test_up_to_32_mb_everything_is_tried_and_above_what_is_cheap() -> None:
    graph = trained().model().graph
    whole = extent(of_size(graph, 32 << 20), wishes())
    assert whole == extent(graph, wishes()) and not whole.left_out
    assert (whole.calibrations, whole.equalizations) == (tuple(registry.CALIBRATIONS), EQUALIZATIONS)
    assert whole.roundings == ROUNDINGS
    less = extent(of_size(graph, 192 << 20), wishes())
    assert (less.calibrations, less.equalizations, less.roundings) == (LEAST, ("cle",), ())
    assert "192 MB" in less.left_out and "min-max, sample-percentile, percentile, batch-norm, cle" in less.left_out
    assert less.left_out.endswith("to try everything: --calibration all --repair all")


def test_of_a_large_model_only_what_is_left_open_is_cut() -> None:
    large = of_size(trained().model().graph, 192 << 20)
    assert not extent(large, wishes("all", ("all",))).left_out
    assert not extent(large, wishes("mse", ("cle", "adaround"))).left_out
    by_repairs = extent(large, wishes("all"))
    assert by_repairs.calibrations == tuple(registry.CALIBRATIONS) and by_repairs.roundings == ()
    assert by_repairs.left_out.endswith("everything: --repair all")
    by_calibration = extent(large, wishes(AUTO, ("all",)))
    assert (by_calibration.calibrations, by_calibration.roundings) == (LEAST, ROUNDINGS)
    assert by_calibration.left_out.endswith("everything: --calibration all")
    assert extent(large, wishes(scheme="dynamic_wi8_afp32")).left_out.endswith("everything: --repair all")


def test_a_conversion_above_the_bound_says_what_it_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained().uneven(5).model()
    images = digits()[0][:60]
    everything = convert(model, representative_data=images)
    monkeypatch.setattr(choose, "_LARGE_BYTES", 1000)
    less = convert(model, representative_data=images)
    assert sum("to try everything: --calibration all --repair all" in text for text in less.report.notices) == 1
    names = {name for candidate in less.report.candidates for name in (*candidate.repairs, candidate.calibration)}
    assert names <= {*LEAST, "batch-norm", "cle"} and "cle" in names
    assert len(less.report.candidates) < len(everything.report.candidates)
    assert not any("to try everything" in text for text in everything.report.notices)
    every = convert(model, representative_data=images, calibration="all", repair="all")
    assert every.tflite == everything.tflite
    assert len(every.report.candidates) == len(everything.report.candidates)
    assert every.report.to_json()["choice"]["asked"] == {"calibration": "all", "repair": "all"}  # type: ignore[index]
