"""`edgeq check --runtime` and `edgeq export`."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Edgeq


def test_check_on_another_runtime(edgeq: Edgeq, model: Path) -> None:
    said = edgeq("check", model, "--runtime", "tflm")
    assert said.code == 0
    assert "on TensorFlow Lite Micro: runs (1 operators)" in said.out
    assert "arena_used_bytes()  468" in said.out
    told = edgeq("check", model, "--runtime", "tflm", "--kernels", "reference", "--json").json
    assert told["command"] == "check"
    assert told["runtime"]["name"] == "tflm"
    assert (told["arena"]["used_bytes"], told["arena"]["provenance"]) == (436, "estimated")
    assert told["operators"][0]["status"] == "supported"


def test_a_targets_core_decides_the_scratch(edgeq: Edgeq, model: Path) -> None:
    told = edgeq("check", model, "--runtime", "tflm", "--target", "nucleo-l4r5zi", "--json").json
    assert told["arena"]["isa"] == "dsp"


def test_refusals_exit_with_one(edgeq: Edgeq, refused_model: Path, tmp_path: Path) -> None:
    said = edgeq("check", refused_model, "--runtime", "tflm")
    assert said.code == 1
    assert "'Sparkle' is a custom operator" in said.out
    exported = edgeq("export", refused_model, "--runtime", "tflm", "-o", tmp_path / "out")
    assert exported.code == 1
    assert "'Sparkle' is a custom operator" in exported.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--runtime", "tfml"), "did you mean tflm"),
        (("--runtime", "tflm", "--plan"), "leave --runtime out"),
        (("--runtime", "litert", "--kernels", "reference"), "leave --kernels out"),
        (("--target", "nucleo-l4r5zi", "--kernels", "reference"), "--kernels needs --runtime"),
        ((), "--runtime NAME"),
    ],
)
def test_wrong_use(edgeq: Edgeq, model: Path, arguments: tuple[str, ...], message: str) -> None:
    said = edgeq("check", model, *arguments)
    assert said.code == 2
    assert message in said.err


def test_export_writes_all_files(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "tflm"
    told = edgeq("export", model, "--runtime", "tflm", "-o", folder, "--json").json
    names = ["README.md", "edgeq-export.json", "small_model.c", "small_model.h", "small_resolver.h"]
    assert told["files"] == [{"path": name, "bytes": (folder / name).stat().st_size} for name in names]
    assert sorted(p.name for p in folder.iterdir()) == names
    assert (told["format"], told["arena"]["used_bytes"]) == ("tflm", 468)
    (folder / "mine.txt").write_text("kept")
    again = edgeq("export", model, "--runtime", "tflm", "-o", folder)
    assert (again.code, "is not empty" in again.err) == (2, True)
    assert edgeq("export", model, "--format", "tflm", "-o", folder, "--force").code == 0
    assert (folder / "mine.txt").read_text() == "kept"
    assert not list(folder.parent.glob(".tflm*"))


def test_export_where_nothing_can_be_written(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said = edgeq("export", model, "--runtime", "tflm", "-o", tmp_path / "file" / "out")
    assert said.code == 2
    assert "can't be written" in said.err
    assert edgeq("export", model, "--runtime", "litert", "-o", tmp_path / "out").code == 2
