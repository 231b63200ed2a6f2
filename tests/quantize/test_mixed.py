"""Mixed precision on the digits network: bounds kept, costs real, and the choice better than one width for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from models import digits
from planted import data, digits_model, ranges_of

from edgeq import target as targets
from edgeq import tflite
from edgeq.check import check
from edgeq.errors import NegativeResult, UsageError
from edgeq.graph import Graph
from edgeq.kernels.macs import macs
from edgeq.quantize.mixed import Goal, MixedModel, convert_mixed
from edgeq.quantize.ptq import quantize
from edgeq.reference import Reference

TARGET = targets.load("nucleo-l4r5zi")


def counted(model: bytes, graph: Graph) -> Mapping[str, float]:
    """Stands for the virtual board: a cycle for each MAC or element, two in 16 bits, 1.2 with 4-bit weights."""
    found = {}
    for op in graph.ops:
        bits = [graph.tensors[i].dtype.bits for i in op.inputs if i >= 0]
        factor = 2.0 if 16 in bits else 1.2 if 4 in bits else 1.0
        found[graph.output_of(op).name] = factor * (macs(graph, op) or graph.output_of(op).elements)
    return found


def converted(goal: Goal, **changes: Any) -> MixedModel:
    images, labels = digits()
    wanted = {"labels": labels[:240], "cycles_of": counted, "seed": 1, **changes}
    return convert_mixed(digits_model(), target=TARGET, goal=goal, representative_data=images[:240], **wanted)


@pytest.fixture(scope="module")
def small_drop() -> MixedModel:
    return converted(Goal(max_drop=0.03))


def test_a_bounded_drop_is_kept_cheaper_than_with_8_bits(small_drop: MixedModel) -> None:
    report = small_drop.report
    chosen = report.chosen
    assert report.drop_kind == "accuracy" and chosen.drop is not None and chosen.drop <= 0.03
    assert chosen.cost < 1.0 and "4" in chosen.bits
    assert report.eight.bits == ("8",) * 6 and report.eight.drop is not None
    assert sum(point.chosen for point in report.front) == 1
    assert report.tried == sum(point.drop is not None for point in report.front)
    # What is cheaper and was tried doesn't keep the bound.
    assert all(p.drop > 0.03 for p in report.front if p.drop is not None and p.cost < chosen.cost - 1e-12)


def test_the_file_is_what_the_report_says(small_drop: MixedModel) -> None:
    graph, report = small_drop.graph, small_drop.report
    by_name = {graph.output_of(op).name: op for op in graph.ops}
    for layer in report.layers:
        op = by_name[digits_model().graph.output_of(digits_model().graph.ops[layer.op]).name]
        weights, source = graph.input_of(op, 1), graph.input_of(op, 0)
        assert weights is not None and source is not None
        assert {"4": (4, 8), "8": (8, 8), "16": (8, 16)}[layer.bits] == (weights.dtype.bits, source.dtype.bits)
    fit = check(graph, TARGET)
    assert fit.fits and fit.flash.used_bytes == report.chosen.flash_bytes
    assert Reference(small_drop.tflite, graph).name
    assert [graph.tensors[i].dtype.value for i in (*graph.inputs, *graph.outputs)] == ["INT8", "INT8"]


def test_the_drop_is_that_of_the_file_on_the_samples_of_the_search(small_drop: MixedModel) -> None:
    report = small_drop.report
    accuracy = report.evaluation.accuracy
    assert accuracy is not None and report.evaluation.held_back
    assert accuracy.samples == 48 and report.search_samples == 192
    assert accuracy.quantized_model > accuracy.float_model - 0.1


def test_flash_is_bounded_as_check_counts_it() -> None:
    whole = check(
        tflite.parse(quantize(digits_model(), ranges_of(digits_model(), data(digits_model(), 0, 200)))), TARGET
    )
    limit = whole.flash.used_bytes - 700
    made = converted(Goal(max_flash_bytes=limit))
    assert check(made.graph, TARGET).flash.used_bytes <= limit
    assert "4" in made.report.chosen.bits


@pytest.mark.slow
def test_latency_is_bounded_and_the_most_accurate_within_it_is_taken() -> None:
    eight = converted(Goal(max_latency_ms=1000.0)).report
    assert eight.costs == "simulated" and eight.eight.latency_ms is not None
    assert "16" in eight.chosen.bits  # time enough for 16 bits, which lose less
    limit = 1.3 * eight.eight.latency_ms
    made = converted(Goal(max_latency_ms=limit))
    cycles = sum(counted(made.tflite, made.graph).values())
    assert cycles / TARGET.clock_hz * 1000 <= limit
    assert made.report.chosen.predicted_noise >= eight.chosen.predicted_noise


def test_bounds_that_cannot_be_kept_are_said_with_the_nearest() -> None:
    with pytest.raises(NegativeResult, match="bytes of flash"):
        converted(Goal(max_flash_bytes=9000))
    with pytest.raises(NegativeResult, match="nearest"):
        converted(Goal(max_latency_ms=0.001))


@pytest.mark.slow
def test_without_labels_the_drop_is_disagreement_and_without_cycles_costs_are_called_assumed() -> None:
    made = converted(Goal(max_drop=0.05), labels=None, cycles_of=None)
    assert made.report.drop_kind == "disagreement" and made.report.costs == "assumed"
    assert made.report.chosen.drop is not None and 0 <= made.report.chosen.drop <= 0.05
    assert made.report.chosen.latency_ms is None
    with pytest.raises(UsageError, match="neither estimated nor"):
        converted(Goal(max_latency_ms=5.0), cycles_of=None)


def test_a_bound_is_needed() -> None:
    with pytest.raises(UsageError, match="needs a bound"):
        converted(Goal())


def test_ends_of_8_bits_at_a_layer_of_16_hold_what_the_layer_gives() -> None:
    """The last layers in 16 bits, the model's output int8: converted in the range that calibration saw."""
    model = digits_model()
    ranges = ranges_of(model, data(model, 0, 200))
    wide = {8: "static_wi8_ai16", 9: "static_wi8_ai16"}
    graphs = {io: tflite.parse(quantize(model, ranges, io, per_layer=wide)) for io in ("int8", "uint8")}  # type: ignore[arg-type]
    for io, graph in graphs.items():
        output = graph.tensors[graph.outputs[0]]
        assert output.dtype.value == io.upper() and output.quant is not None
        held = (np.array([np.iinfo(io).min, np.iinfo(io).max]) - output.quant.zero_point[0]) * output.quant.scale[0]
        assert held[0] <= 0.0 and 0.95 <= held[1] <= 1.05
        assert graph.ops[-1].kind == "QUANTIZE"
