"""What `edgeq evaluate` says, and that budgets can be held against what it said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import Edgeq
from models import digits, digits_float_tflite, digits_int8_tflite


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("evaluate")
    images, labels = digits()
    np.savez(made / "test.npz", image=images[1000:1080], y=labels[1000:1080])
    (made / "digits.tflite").write_bytes(digits_float_tflite())
    (made / "digits_int8.tflite").write_bytes(digits_int8_tflite())
    return made


def test_the_report_and_the_gate(edgeq: Edgeq, folder: Path) -> None:
    line = (
        "evaluate",
        folder / "digits_int8.tflite",
        "--data",
        folder / "test.npz",
        "--float",
        folder / "digits.tflite",
    )
    said = edgeq(*line, "--min-accuracy", "0.5")
    assert said.code == 0
    assert "on 80 samples" in said.out and "Wilson" in said.out and "same first choice" in said.out
    assert "confusion" in said.out and "BUILTIN_REF" in said.out
    missed = edgeq(*line, "--min-accuracy", "0.999", "--json")
    assert missed.code == 1 and missed.json["gate"]["passed"] is False and missed.json["command"] == "evaluate"
    assert "MISSES THE LIMIT" in edgeq(*line, "--min-accuracy", "0.999").out


def test_wrong_use(edgeq: Edgeq, folder: Path) -> None:
    line = ("evaluate", folder / "digits_int8.tflite", "--data", folder / "test.npz")
    assert edgeq(*line, "--metric", "mse", "--min-accuracy", "1").code == 2
    assert edgeq(*line, "--metric", "top1", "--max-error", "1").code == 2
    assert edgeq(*line, "--on", "nucleo-l4r5zi").code == 2
    assert edgeq(*line, "--on", "no-such-board", "--sim").code == 2
    assert edgeq("evaluate", folder / "digits_int8.tflite", "--data", folder / "none.npz").code == 3


def test_a_budget_is_held_against_the_report(edgeq: Edgeq, folder: Path) -> None:
    report = folder / "report.json"
    line = ("evaluate", folder / "digits_int8.tflite", "--data", folder / "test.npz", "-o", report)
    value = edgeq(*line, "--json").json["score"]["value"]
    budget = folder / "edgeq.toml"

    def finding(limit: float, model: str = "digits_int8.tflite") -> dict[str, object]:
        budget.write_text(
            f'[[budget]]\nmodel = "{model}"\ntarget = "nucleo-l4r5zi"\nmin_accuracy = {limit}\nreport = "report.json"\n'
        )
        told = edgeq("check", "--budget", budget, "--json").json
        return next(f for f in told["budgets"][0]["findings"] if f["name"] == "min_accuracy")

    kept, missed = finding(0.5), finding(1.0)
    assert (kept["status"], kept["value"]) == ("within", value)
    assert missed["status"] == ("exceeded" if value < 1 else "within")
    assert "80 samples" in str(kept["note"])
    assert "the limit is inside" in str(finding(value - 0.001)["note"])
    assert finding(0.5, "digits.tflite")["status"] == "unknown"
    edgeq(*line, "--metric", "mse", "--labels", folder / "test.npz")
