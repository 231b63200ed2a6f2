"""What `edgeq convert --mixed` says, writes and draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import Edgeq
from models import digits
from planted import digits_model

from edgeq import tflite


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("mixed")
    images, labels = digits()
    (made / "digits.tflite").write_bytes(digits_model().tflite)
    np.savez(made / "calib.npz", image=images[:200], y=labels[:200])
    return made


def line(folder: Path, *more: str | Path) -> tuple[str | Path, ...]:
    data = ("--data", folder / "calib.npz", "--labels", "y")
    return ("convert", folder / "digits.tflite", "--target", "nucleo-l4r5zi", *data, *more)


def test_bounds_belong_to_mixed(edgeq: Edgeq, folder: Path) -> None:
    said = edgeq(*line(folder, "--max-drop", "1%"))
    assert said.code == 2 and "--max-drop" in said.err and "--mixed" in said.err
    assert edgeq(*line(folder, "--mixed")).code == 2
    assert edgeq(*line(folder, "--mixed", "--max-drop", "many")).code == 2


@pytest.mark.slow
def test_a_mixed_model_with_costs_from_the_virtual_board(edgeq: Edgeq, folder: Path) -> None:
    pytest.importorskip("unicorn")
    pytest.importorskip("matplotlib")
    out, picture = folder / "mixed.tflite", folder / "front.svg"
    said = edgeq(*line(folder, "--mixed", "--max-drop", "0.02", "-o", out, "--pareto", picture))
    assert said.code == 0, said.err
    assert "loss of accuracy at most 2.00%" in said.out and "simulated" in said.out and "fits" in said.out
    graph = tflite.read(out)
    assert any(t.dtype.value == "INT4" for t in graph.tensors)
    assert "8 bits everywhere" in picture.read_text()
    told = edgeq(*line(folder, "--mixed", "--max-drop", "2%", "-o", out, "--json")).json
    chosen = next(point for point in told["mixed"]["front"] if point["chosen"])
    assert chosen["drop"] <= 0.02 and told["mixed"]["costs"] == "simulated" and told["check"]["fits"]
    assert edgeq(*line(folder, "--mixed", "--max-flash", "1K", "-o", out)).code == 1
