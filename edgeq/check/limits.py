"""Budgets as code: what a model may take on a target, in the user's edgeq.toml, and whether it keeps to it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgeq.check.estimate import Unknown
from edgeq.check.fit import Budget, FitReport
from edgeq.errors import BudgetFileError, TargetFileError
from edgeq.toml_schema import build
from edgeq.units import Provenance

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Status = Literal["within", "exceeded", "unknown"]
_HEADER = re.compile(r"\s*\[\[\s*budget\s*\]\]")


@dataclass(frozen=True)
class Limits:
    """One [[budget]]. Without any limit it only asks that the model runs there.

    Attributes:
        model: a .tflite, relative to the budget file.
        target: its name, or a board's file relative to the budget file.
        optimize: what the build's kernels are chosen for.
        max_latency_ms, max_energy_uj: of one inference; estimated, where that can be.
        max_ram_bytes, max_flash_bytes: of the whole firmware, as `edgeq check` counts it.
        min_accuracy: share of right answers, 0 to 1; needs `report`.
        report: what `edgeq evaluate --json` or `edgeq convert --labels … --json` printed for this model, by its path
            from the budget file.
    """

    model: str
    target: str
    optimize: Literal["balanced", "latency", "size", "ram"] = "balanced"
    max_latency_ms: float | None = None
    max_ram_bytes: int | None = None
    max_flash_bytes: int | None = None
    max_energy_uj: float | None = None
    min_accuracy: float | None = None
    report: str = ""


@dataclass(frozen=True)
class BudgetFile:
    """A user's edgeq.toml.

    Attributes:
        budget: in the file's order.
    """

    budget: tuple[Limits, ...]


@dataclass(frozen=True)
class Finding:
    """One limit with the figure that it is held against.

    Attributes:
        name: the limit's key; "fits" for whether the model runs at all.
        value, limit: in the key's unit; value is None where it isn't known.
        provenance: how the value came about; None where it is exact or isn't known.
        note: why it isn't known, or how far to trust it.
    """

    name: str
    status: Status
    value: float | None
    limit: float | None
    provenance: Provenance | None = None
    note: str = ""


@dataclass(frozen=True)
class Judgement:
    """One budget with its findings.

    Attributes:
        line: of the budget in its file, from 1.
    """

    limits: Limits
    line: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class BudgetReport:
    """The answer of `check --budget`."""

    path: str
    judgements: tuple[Judgement, ...]

    @property
    def kept(self) -> bool:
        """Whether nothing is known to be exceeded."""
        return not self.of("exceeded")

    def of(self, status: Status) -> tuple[tuple[Judgement, Finding], ...]:
        """The findings of a status, with their budgets."""
        return tuple((j, f) for j in self.judgements for f in j.findings if f.status == status)

    def to_json(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "file": self.path,
            "kept": self.kept,
            "exceeded": len(self.of("exceeded")),
            "unknown": len(self.of("unknown")),
            "budgets": [
                {"model": j.limits.model, "target": j.limits.target, "line": j.line, "findings": list(j.findings)}
                for j in self.judgements
            ],
        }


def read_budgets(path: Path) -> tuple[tuple[Limits, int], ...]:
    """The budgets of a file, each with its line.

    Raises:
        BudgetFileError: it can't be read, isn't TOML, has an unknown key, or a limit that can't be meant.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = build(BudgetFile, tomllib.loads(text), str(path)).budget
    except OSError as failed:
        raise BudgetFileError(
            f"can't be read: {failed.strerror}", where=str(path), next_step="see docs/checking.md for what it holds"
        ) from failed
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failed:
        raise BudgetFileError(f"is not valid TOML: {failed}", where=str(path)) from failed
    except TargetFileError as wrong:
        raise BudgetFileError(wrong.what, where=wrong.where, next_step=wrong.next_step, **wrong.facts) from wrong
    for place, limits in enumerate(found):
        _check_limits(limits, f"budget[{place}]", str(path))
    headers = [n for n, line in enumerate(text.splitlines(), 1) if _HEADER.match(line)]
    lines = headers if len(headers) == len(found) else [1] * len(found)
    return tuple(zip(found, lines, strict=True))


def _check_limits(limits: Limits, key: str, where: str) -> None:
    for name in ("max_latency_ms", "max_ram_bytes", "max_flash_bytes", "max_energy_uj"):
        value = getattr(limits, name)
        if value is not None and not 0 < value < float("inf"):
            raise BudgetFileError(f"'{key}.{name}' must be above zero, not {value}", where=where, key=f"{key}.{name}")
    if limits.min_accuracy is not None and not 0 <= limits.min_accuracy <= 1:
        told = f"'{key}.min_accuracy' is a share from 0 to 1, not {limits.min_accuracy}"
        raise BudgetFileError(told, where=where, next_step="write 0.9 for 90 %", key=f"{key}.min_accuracy")


def judge_limits(limits: Limits, line: int, fit: FitReport, folder: Path) -> Judgement:
    """One budget against a report.

    Args:
        folder: of the budget file.

    Raises:
        BudgetFileError: the report that it names can't be read.
    """
    why = "" if fit.fits else "it doesn't fit" if fit.supported else "it isn't supported"
    findings = [Finding("fits", "within" if fit.fits else "exceeded", None, None, None, why)]
    if limits.max_latency_ms is not None:
        findings.append(_time("max_latency_ms", limits.max_latency_ms, fit))
    if limits.max_energy_uj is not None:
        findings.append(_time("max_energy_uj", limits.max_energy_uj, fit))
    for name, limit, memory in (
        ("max_ram_bytes", limits.max_ram_bytes, fit.ram),
        ("max_flash_bytes", limits.max_flash_bytes, fit.flash),
    ):
        if limit is not None:
            findings.append(_memory(name, limit, memory, fit.supported))
    if limits.min_accuracy is not None:
        findings.append(_accuracy(limits, fit.model_sha256, folder))
    return Judgement(limits, line, tuple(findings))


def _time(name: str, limit: float, fit: FitReport) -> Finding:
    found = fit.latency
    if isinstance(found, Unknown):
        return Finding(name, "unknown", None, limit, None, found.reason)
    energy = name == "max_energy_uj"
    value, band = (found.energy_uj, found.energy_error_percent) if energy else (found.ms, found.error_percent)
    if value is None or band is None:
        return Finding(name, "unknown", None, limit, None, "the target's power isn't known at its clock")
    note = f"±{band:.0f} %"
    if value * (1 - band / 100) <= limit <= value * (1 + band / 100):
        note += ": the limit is inside the error band, `edgeq profile` tells for sure"
    return Finding(name, "exceeded" if value > limit else "within", value, limit, "estimated", note)


def _memory(name: str, limit: int, memory: Budget, supported: bool) -> Finding:
    if not memory.parts:
        return Finding(name, "unknown", None, limit, None, "the target has no such memory of its own")
    if not supported:
        return Finding(name, "unknown", None, limit, None, "the model isn't supported")
    word: Provenance | None = "estimated" if memory.estimated else None
    used = memory.used_bytes
    return Finding(name, "exceeded" if used > limit else "within", used, limit, word)


def _accuracy(limits: Limits, sha256: str, folder: Path) -> Finding:
    def unknown(why: str) -> Finding:
        return Finding("min_accuracy", "unknown", None, limits.min_accuracy, None, why)

    assert limits.min_accuracy is not None
    if not limits.report:
        return unknown("needs `report`: what `edgeq evaluate --labels … --json` printed")
    path = folder / limits.report
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as failed:
        raise BudgetFileError(f"the report can't be read: {failed}", where=str(path)) from failed
    evaluated = _inside(body, "command") == "evaluate"
    if _inside(body, *(() if evaluated else ("check",)), "model", "sha256") != sha256:
        return unknown(f"{limits.report} is of another file than this model")
    if evaluated and _inside(body, "metric", "higher_is_better") is not True:
        return unknown(f"{limits.report} has no share of right answers, but '{_inside(body, 'metric', 'name')}'")
    value = _inside(body, *(("score", "value") if evaluated else ("evaluation", "accuracy", "quantized_model")))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return unknown(f"{limits.report} has no accuracy: give the labels too")
    samples = _inside(body, *(("samples",) if evaluated else ("evaluation", "accuracy", "samples")))
    status: Status = "within" if value >= limits.min_accuracy else "exceeded"
    note = f"on {samples} samples" + _surroundings(body, limits.min_accuracy)
    word = _inside(body, "provenance") if evaluated else None
    provenance: Provenance | None = word if word in ("measured", "simulated") else None
    return Finding("min_accuracy", status, float(value), limits.min_accuracy, provenance, note)


def _surroundings(body: Any, limit: float) -> str:
    """What to add where the limit lies inside the interval of an evaluation."""
    low, high = _inside(body, "score", "low"), _inside(body, "score", "high")
    if isinstance(low, int | float) and isinstance(high, int | float) and low <= limit <= high:
        return f", 95 % interval {low:.3f} to {high:.3f}: the limit is inside, more samples would tell"
    return ""


def _inside(body: Any, *keys: str) -> object:
    for key in keys:
        body = body.get(key) if isinstance(body, Mapping) else None
    found: object = body
    return found
