"""`edgeq export`: what it says, and what it refuses before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Edgeq

from edgeq.registry import EXPORTS


def test_the_json_lists_files_and_sizes(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "net"
    told = edgeq("export", model, "--format", "cmake", "--name", "net", "-o", folder, "--json").json
    assert told["command"] == "export"
    assert (told["format"], told["name"], told["version"]) == ("cmake", "net", "1.0.0")
    there = {p.relative_to(folder).as_posix(): p.stat().st_size for p in folder.rglob("*") if p.is_file()}
    assert {file["path"]: file["bytes"] for file in told["files"]} == there
    assert told["kernels"] == "portable C"
    # 12 inputs and 7 outputs at multiples of 16 bytes; 7 rows of 12 weights, and biases.
    assert told["memory"] == {"arena_bytes": 32, "arena_bytes_by_kernels": {"all": 32}, "weights_bytes": 84 + 28}
    assert told["example"]["inferences"] == 1


def test_the_text_says_what_to_do_next(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    said = edgeq("export", model, "--format", "c", "--core", "cortex-m4", "--with-portable", "-o", tmp_path / "net")
    assert said.code == 0
    assert "C library 'small' 1.0.0" in said.out
    assert "for Arm Cortex-M4F (dsp), and portable C" in said.out
    assert "make check" in said.out


def test_help_has_an_example_of_each_format(edgeq: Edgeq) -> None:
    said = edgeq("export", "--help")
    assert all(f"--format {name} " in said.out for name in EXPORTS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no format was given"),
        (("--format", "c", "--runtime", "tflm"), "say different things"),
        (("--format", "nothing"), "there is no format 'nothing'"),
        (("--format", "c", "--name", "a b"), "is no C identifier"),
        (("--format", "c", "--target", "nothing"), "there is no target 'nothing'"),
        (("--runtime", "tfml"), "did you mean tflm"),
    ],
)
def test_wrong_use(edgeq: Edgeq, model: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    said = edgeq("export", model, *arguments, "-o", tmp_path / "net")
    assert (said.code, message in said.err) == (2, True), said.err
    assert not (tmp_path / "net").exists()


def test_what_has_no_kernel_is_refused_whole(edgeq: Edgeq, refused_model: Path, tmp_path: Path) -> None:
    said = edgeq("export", refused_model, "--format", "arduino", "-o", tmp_path / "net")
    assert (said.code, "Sparkle" in said.err) == (1, True)
    assert not (tmp_path / "net").exists()
