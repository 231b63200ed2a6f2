"""Budgets: the file is read strictly, every limit is held against its figure, and what isn't known says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgeq import target as targets
from edgeq.check import Estimate, Finding, FitReport, Limits, Unknown, check, judge_limits, read_budgets
from edgeq.check.estimate import LayerEstimate
from edgeq.errors import BudgetFileError
from edgeq.tflite import parse

HEAD = '[[budget]]\nmodel = "m.tflite"\ntarget = "nucleo-l4r5zi"\n'


@pytest.fixture(scope="module")
def fit() -> FitReport:
    from models_flatbuffer import T, single_op_model

    ends = [T((1, 4), scale=0.5), T((3, 4), data=[[1] * 4] * 3, scale=0.01)]
    data = single_op_model("FULLY_CONNECTED", ends, T((1, 3), scale=0.5))
    # 120,000 cycles at 120 MHz: 1 ms ± 10 %, 40 µJ ± 20 %
    layer = LayerEstimate(0, "k", 120_000.0, 10.0)
    known = Estimate(120_000_000, (layer,), 10.0, 40.0, 20.0, "a test")
    return replace(check(parse(data), targets.load("nucleo-l4r5zi")), latency=known)


def judged(fit: FitReport, folder: Path = Path(), **limits: object) -> Finding:
    found = judge_limits(Limits("m", "t", **limits), 1, fit, folder)  # type: ignore[arg-type]
    assert found.findings[0].name == "fits"
    return found.findings[-1]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "edgeq.toml"
    path.write_text(text)
    return path


def test_a_file_is_read_with_the_lines_of_its_budgets(tmp_path: Path) -> None:
    text = f"# ours\n{HEAD}max_latency_ms = 5\n\n{HEAD}max_ram_bytes = 7\n"
    (first, line), (second, other) = read_budgets(written(tmp_path, text))
    assert (first.max_latency_ms, first.max_ram_bytes, line) == (5.0, None, 2)
    assert (second.max_ram_bytes, other) == (7, 7)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + "max_latency = 5\n", "did you mean 'max_latency_ms'"),
        (HEAD + 'max_ram_bytes = "64K"\n', "must be an integer"),
        (HEAD + "max_flash_bytes = 0\n", "must be above zero"),
        (HEAD + "max_energy_uj = nan\n", "must be above zero"),
        (HEAD + "min_accuracy = 90\n", "share from 0 to 1"),
        ('[[budget]]\nmodel = "m"\n', "'budget[0].target' is missing"),
        ("[budget", "not valid TOML"),
        ("", "'budget' is missing"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BudgetFileError) as wrong:
        read_budgets(written(tmp_path, text))
    assert told in str(wrong.value) and "edgeq.toml" in str(wrong.value) and wrong.value.exit_code == 3


@pytest.mark.parametrize(
    ("name", "limit", "status", "inside"),
    [
        ("max_latency_ms", 1.2, "within", False),
        ("max_latency_ms", 1.05, "within", True),
        ("max_latency_ms", 0.95, "exceeded", True),
        ("max_latency_ms", 0.5, "exceeded", False),
        ("max_energy_uj", 50.0, "within", False),
        ("max_energy_uj", 39.0, "exceeded", True),
    ],
)
def test_estimated_figures_are_called_so_with_their_band(
    fit: FitReport, name: str, limit: float, status: str, inside: bool
) -> None:
    found = judged(fit, **{name: limit})
    assert (found.status, found.provenance) == (status, "estimated")
    assert ("inside the error band" in found.note) is inside


def test_memory_counts_to_the_byte(fit: FitReport) -> None:
    for name, used in (("max_ram_bytes", fit.ram.used_bytes), ("max_flash_bytes", fit.flash.used_bytes)):
        assert judged(fit, **{name: used}).status == "within"
        assert judged(fit, **{name: used - 1}).status == "exceeded"


def test_what_is_not_known_says_why_and_exceeds_nothing(fit: FitReport) -> None:
    without = replace(fit, latency=Unknown("another core"))
    found = judged(without, max_latency_ms=1.0)
    assert (found.status, found.value, found.note) == ("unknown", None, "another core")
    assert isinstance(fit.latency, Estimate)
    no_power = replace(fit, latency=replace(fit.latency, energy_uj=None, energy_error_percent=None))
    assert "power" in judged(no_power, max_energy_uj=1.0).note
    phone = replace(fit, budgets=tuple(b for b in fit.budgets if b.kind == "ram"))
    assert judged(phone, max_flash_bytes=1).status == "unknown"


def test_a_model_that_does_not_fit_exceeds_its_budget(fit: FitReport) -> None:
    full = replace(fit, budgets=tuple(replace(b, available_bytes=1) for b in fit.budgets))
    (only,) = judge_limits(Limits("m", "t"), 1, full, Path()).findings
    assert (only.status, only.note) == ("exceeded", "it doesn't fit")
    assert judge_limits(Limits("m", "t"), 1, fit, Path()).findings[0].status == "within"


@pytest.mark.parametrize(
    ("accuracy", "limit", "status"), [(0.93, 0.9, "within"), (0.93, 0.94, "exceeded"), (None, 0.9, "unknown")]
)
def test_accuracy_comes_from_a_report_of_the_conversion(
    fit: FitReport, tmp_path: Path, accuracy: float | None, limit: float, status: str
) -> None:
    told = None if accuracy is None else {"float_model": 1.0, "quantized_model": accuracy, "samples": 40}
    body = {"evaluation": {"accuracy": told}, "check": {"model": {"sha256": fit.model_sha256}}}
    (tmp_path / "r.json").write_text(json.dumps(body))
    assert judged(fit, tmp_path, min_accuracy=limit, report="r.json").status == status
    body["check"]["model"]["sha256"] = "0" * 64  # type: ignore[index]
    (tmp_path / "r.json").write_text(json.dumps(body))
    other = judged(fit, tmp_path, min_accuracy=limit, report="r.json")
    assert other.status == "unknown" and "another file" in other.note


def test_accuracy_without_a_report_is_not_known_and_a_broken_report_is_an_error(fit: FitReport, tmp_path: Path) -> None:
    assert "--labels" in judged(fit, min_accuracy=0.5).note
    (tmp_path / "r.json").write_text("{")
    for name in ("r.json", "missing.json"):
        with pytest.raises(BudgetFileError, match="can't be read"):
            judged(fit, tmp_path, min_accuracy=0.5, report=name)
