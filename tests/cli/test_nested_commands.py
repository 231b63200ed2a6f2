"""convert --nested, extract, profile --precision, build --precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import Edgeq
from models import digits, digits_float_tflite, digits_int8_tflite
from nested_models import nested_digits

from edgeq import tflite

TARGET = ("--target", "nucleo-l4r5zi")


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nested") / "digits_nested.tflite"
    path.write_bytes(nested_digits().tflite)
    return path


def test_convert(edgeq: Edgeq, tmp_path: Path) -> None:
    images, labels = digits()
    np.savez(tmp_path / "data.npz", image=images[:100], y=labels[:100])
    (tmp_path / "digits.tflite").write_bytes(digits_float_tflite())
    ends = (tmp_path / "digits.tflite", *TARGET, "--data", tmp_path / "data.npz", "--labels", "y")
    said = edgeq("convert", *ends, "--nested", "8,4", "--json")
    assert said.code == 0, said.err
    told = said.json["nested"]["precisions"]
    assert [p["bits"] for p in told] == [8, 4]
    assert all(p["evaluation"]["held_back"] and p["evaluation"]["accuracy"]["samples"] == 20 for p in told)
    written = tflite.read(tmp_path / "digits_nested.tflite")
    assert written.nested is not None and written.nested.precisions == (8, 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--nested", "8,3"), "can't be nested"),
        (("--nested", "eight"), "'eight' are no precisions"),
        (("--nested", "8,4", "--scheme", "static_wi4_ai8"), "int8 weights and activations throughout"),
        (("--nested", "8,4", "--allow-float"), "leave --scheme and --allow-float out, or --nested"),
        (("--nested", "8,4", "--repair", "cle"), "leave --repair out, or --nested"),
        (("--nested", "8,4", "--mixed"), "leave --scheme, --nested and --allow-float out, or --mixed"),
        (("--mixed", "--scheme", "static_wi4_ai8"), "leave --scheme, --nested and --allow-float out, or --mixed"),
        (("--mixed", "--allow-float"), "leave --scheme, --nested and --allow-float out, or --mixed"),
    ],
)
def test_precisions_and_options_that_make_no_sense_together(
    edgeq: Edgeq, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    np.save(tmp_path / "data.npy", digits()[0][:30])
    (tmp_path / "digits.tflite").write_bytes(digits_float_tflite())
    said = edgeq("convert", tmp_path / "digits.tflite", *TARGET, "--data", tmp_path / "data.npy", *options)
    assert said.code == 2 and words in said.err
    assert not (tmp_path / "digits_nested.tflite").exists() and not (tmp_path / "digits_mixed.tflite").exists()


def test_extract(edgeq: Edgeq, nested: Path, tmp_path: Path) -> None:
    said = edgeq("extract", nested, "--precision", "4", "-o", tmp_path / "four.tflite", "--json")
    assert said.code == 0 and said.json["precision_bits"] == 4
    assert (tmp_path / "four.tflite").read_bytes() == tflite.at_precision(nested.read_bytes(), 4)
    refused = edgeq("extract", nested, "--precision", "5", "-o", tmp_path / "five.tflite")
    assert refused.code == 2 and "no precision of 5 bits" in refused.err and "8, 4, 2" in refused.err


def test_check_and_build_of_one_precision(edgeq: Edgeq, nested: Path, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    pytest.importorskip("elftools")
    assert edgeq("check", nested, *TARGET).code == 0
    whole = edgeq("build", nested, *TARGET, "-o", tmp_path / "all", "--json")
    four = edgeq("build", nested, *TARGET, "--precision", "4", "-o", tmp_path / "four", "--json")
    assert whole.code == four.code == 0, whole.err + four.err
    assert b"model_invoke_at" in (tmp_path / "all" / "model.h").read_bytes()
    assert b"model_invoke_at" not in (tmp_path / "four" / "model.h").read_bytes()


@pytest.mark.slow
def test_profile_at_all_precisions_on_the_virtual_board(edgeq: Edgeq, nested: Path, tmp_path: Path) -> None:
    for package in ("unicorn", "capstone", "ziglang", "elftools", "serial"):
        pytest.importorskip(package)
    said = edgeq("profile", nested, *TARGET, "--sim", "--precision", "all", "--samples", "4", "--json")
    assert said.code == 0, said.err
    measured = said.json["precisions"]
    assert [m["model"]["precision_bits"] for m in measured] == [8, 4, 2]
    assert all(m["validation"]["bit_exact"] and m["provenance"] == "simulated" for m in measured)
    assert len({m["latency"]["cycles"]["median"] for m in measured}) == 3
    one = edgeq("profile", nested, *TARGET, "--sim", "--precision", "4", "--samples", "2", "--json")
    assert one.json["model"]["precision_bits"] == 4
    # What was in the flash's cache before differs a little.
    assert one.json["latency"]["cycles"]["median"] == pytest.approx(
        measured[1]["latency"]["cycles"]["median"], rel=1e-3
    )


def test_profile_of_a_model_with_one_precision(edgeq: Edgeq, tmp_path: Path) -> None:
    (tmp_path / "plain.tflite").write_bytes(digits_int8_tflite())
    for wanted in ("4", "all"):
        said = edgeq("profile", tmp_path / "plain.tflite", *TARGET, "--sim", "--precision", wanted)
        assert said.code == 2 and "one precision only" in said.err
