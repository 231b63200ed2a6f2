"""What `edgeq analyze` says and draws."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from command_line import Edgeq
from planted import FAULTS, data, digits_model, ranges_of

from edgeq import tflite


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Float, a model whose first depthwise layer has a range 20 times too wide, and images."""
    made = tmp_path_factory.mktemp("analyze")
    model = digits_model()
    _, spoiled = FAULTS[0].plant(model, ranges_of(model, data(model, 0, 400)), 1, np.random.default_rng(0))
    (made / "digits.tflite").write_bytes(model.tflite)
    (made / "digits_int8.tflite").write_bytes(spoiled)
    np.savez(made / "test.npz", image=data(model).arrays[0][:, 0], y=np.zeros(40))
    return made


def line(folder: Path) -> tuple[str | Path, ...]:
    return (
        "analyze",
        folder / "digits.tflite",
        folder / "digits_int8.tflite",
        "--data",
        folder / "test.npz",
        "--samples",
        "8",
    )


def test_the_report_names_the_layer_the_cause_and_what_to_do(edgeq: Edgeq, folder: Path) -> None:
    said = edgeq(*line(folder))
    assert said.code == 0
    first = said.out.split("\n\n")[0].replace("\n", " ")
    assert "of the loss comes from DEPTHWISE_CONV_2D #1 (depthwise0): range-too-wide" in first
    assert "calibrate anew" in said.out and "bits are lost" in said.out and "SQNR" in said.out
    told = edgeq(*line(folder), "--json").json
    assert told["command"] == "analyze" and told["model"]["sha256"] == tflite.read(folder / "digits_int8.tflite").sha256
    cause = told["causes"][0]
    assert (cause["kind"], cause["layer"], cause["repairable"]) == ("range-too-wide", 1, True)
    layer = next(layer for layer in told["layers"] if layer["op"] == 1)
    assert layer["own_sqnr_db"] < 30 and len(layer["activation"]["channel_high"]) == 16
    assert len(layer["weights"]["widths"]) == 16 and layer["shares"]["rounding"] > 0.9


class _Page(HTMLParser):
    """Collects what a page refers to, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.text: list[str] = []
        self.pictures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.pictures += tag == "svg"
        self.references += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_data(self, text: str) -> None:
        self.text.append(text)


def test_pictures_and_a_page_that_needs_nothing_else(edgeq: Edgeq, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert edgeq(*line(folder), "--plots", tmp_path / "p").code == 0
    names = sorted(path.name for path in (tmp_path / "p").iterdir())
    kinds = [f"{name}.{kind}" for name in ("causes", "channels", "ranges", "sqnr") for kind in ("png", "svg")]
    assert names == sorted([*kinds, "report.html"])
    page = _Page()
    page.feed((tmp_path / "p" / "report.html").read_text())
    assert page.pictures == 4 and all(reference.startswith("#") for reference in page.references)
    assert "DEPTHWISE_CONV_2D #1 (depthwise0): its range" in "".join(page.text)
    assert (tmp_path / "p" / "report.html").stat().st_size < 1_000_000
    drawn = (tmp_path / "p" / "sqnr.svg").read_text()
    assert "FULLY_CONNECTED #8 (logits)" in drawn and not re.search(r"<dc:date>", drawn)
    edgeq(*line(folder), "--plots", tmp_path / "again")
    assert all((tmp_path / "again" / n).read_bytes() == (tmp_path / "p" / n).read_bytes() for n in names)


def test_wrong_use(edgeq: Edgeq, folder: Path, tmp_path: Path) -> None:
    turned = ("analyze", folder / "digits_int8.tflite", folder / "digits.tflite", "--data", folder / "test.npz")
    assert edgeq(*turned).code == 1  # the float model is read first, and it is quantized
    both = ("analyze", folder / "digits.tflite", folder / "digits.tflite", "--data", folder / "test.npz")
    said = edgeq(*both)
    assert said.code == 2 and "computes in float" in said.err
    (tmp_path / "file").touch()
    assert edgeq(*line(folder), "--plots", tmp_path / "file" / "x").code == 2
