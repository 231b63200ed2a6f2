"""One model on many targets: the same verdicts as one by one, in an order that helps."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from models_flatbuffer import T, single_op_model

from edgeq import pipeline
from edgeq import target as targets
from edgeq.check import Row, check, check_many, checker, survey
from edgeq.kernels import KERNELS
from edgeq.target import Target
from edgeq.tflite import parse

random = np.random.default_rng(7)


@pytest.fixture(scope="module")
def every() -> list[Target]:
    return [targets.load(name) for name in targets.names()]


def layer(inputs: int, outputs: int, dtype: str = "INT8") -> bytes:
    """FULLY_CONNECTED; with int8 weights also when the ends are float."""
    quant = {"scale": 0.1} if dtype == "INT8" else {}
    return single_op_model(
        "FULLY_CONNECTED",
        [
            T((1, inputs), dtype, **quant),  # type: ignore[arg-type]
            T((outputs, inputs), data=random.integers(-100, 100, (outputs, inputs)), scale=0.01),
        ],
        T((1, outputs), dtype, **quant),  # type: ignore[arg-type]
    )


def without_advice(report: object) -> object:
    body = report.to_json()  # type: ignore[attr-defined]
    return json.dumps({k: v for k, v in body.items() if k != "advice"}, default=str)


@pytest.mark.parametrize("size", [(12, 7), (3000, 400)])
def test_each_target_is_judged_as_if_alone(every: list[Target], size: tuple[int, int]) -> None:
    graph = parse(layer(*size))
    together = check_many(graph, every)
    for target, report in zip(every, together, strict=True):
        alone = check(graph, target)
        assert report.target == target.name
        assert without_advice(report) == without_advice(alone)
        assert report.advice == alone.advice[: len(report.advice)]  # but for the other targets' names


def test_a_model_is_lowered_once_per_kind_of_core(every: list[Target], monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = checker._Prepared.lowered_for
    monkeypatch.setattr(
        checker._Prepared, "lowered_for", lambda self, core, wanted: made.append(core) or real(self, core, wanted)
    )
    check_many(parse(layer(12, 7)), every)
    features = {f for k in KERNELS for f in k.requires}
    assert len(made) == len({frozenset(t.core.isa) & features for t in every}) < len(every)


def test_those_that_fit_come_first_then_by_headroom(every: list[Target]) -> None:
    found = survey(parse(layer(3000, 400)), every)  # 1.2 MB of weights

    def place(row: Row) -> tuple[bool, bool]:
        return (not row.fit.fits, not row.fit.supported)

    places = [place(row) for row in found.rows]
    assert places == sorted(places) and len(set(places)) == 2
    for group in set(places):
        left = [row.headroom_percent for row in found.rows if place(row) == group]
        assert left == sorted(left, reverse=True)
    assert {row.target.name for row in found.rows} == set(targets.names())
    assert "nucleo-g0b1re" not in {row.target.name for row in found.fitting}


def test_where_the_engine_refuses_the_targets_other_runtimes_are_named(every: list[Target]) -> None:
    found = survey(parse(layer(12, 7, "FLOAT32")), every)  # dynamic range
    rows = {row.target.name: row for row in found.rows}
    assert not found.fitting and all(row.verdict == "not supported" for row in found.rows)
    assert "litert-xnnpack" in rows["raspberry-pi-5"].other_runtimes
    assert set(rows["nucleo-l4r5zi"].other_runtimes) <= {"tflm"}
    assert rows["nucleo-l4r5zi"].to_json()["findings"]


def test_no_targets_is_an_empty_table() -> None:
    found = survey(parse(layer(12, 7)), [])
    assert found.rows == () and found.to_json()["targets"] == []


@pytest.mark.shared
def test_the_person_detector_over_all_targets_is_quick(shared: Path, every: list[Target]) -> None:
    """1.5 s is what the whole command may take; half of a second of it is Python starting."""
    model = pipeline.read_model(shared / "mlperf_tiny" / "vww_int8.tflite")
    started = time.process_time()
    found = survey(model.graph, every)
    assert time.process_time() - started < 1.0
    assert len(found.rows) == len(every)
