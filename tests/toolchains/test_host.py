"""C for this machine: programs, libraries, refusals; and a model as a program on the command line."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from fake_model import ELEMENTS, WEIGHTS, fake_tree

from edgeq.codegen.project import linux_files
from edgeq.errors import MissingDependencyError, ToolError, UsageError
from edgeq.files import write_tree
from edgeq.target import Target
from edgeq.toolchains import host
from edgeq.toolchains.host import compile_host

COMPILERS = ["auto", pytest.param("gcc", marks=pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc here"))]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_library_for_ctypes(tmp_path: Path, compiler: str) -> None:
    source = tmp_path / "twice.c"
    source.write_text("int twice(int x);\nint twice(int x) { return 2 * x; }\n")
    library = ctypes.CDLL(str(compile_host([source], tmp_path / "lib" / "t.so", [], shared=True, compiler=compiler)))
    assert library.twice(21) == 42


@pytest.mark.parametrize("compiler", COMPILERS)
def test_errors_are_the_compilers_own(tmp_path: Path, compiler: str) -> None:
    source = tmp_path / "broken.c"
    source.write_text("int f(void) { return missing; }\n")
    with pytest.raises(ToolError, match=r"broken\.c:1") as caught:
        compile_host([source], tmp_path / "t.so", [], shared=True, compiler=compiler)
    assert "missing" in str(caught.value.facts["stderr"])


def test_unknown_and_absent_compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="tcc"):
        compile_host([], tmp_path / "x", [], compiler="tcc")
    monkeypatch.setattr(host.shutil, "which", lambda name: None)
    with pytest.raises(MissingDependencyError, match="clang"):
        compile_host([], tmp_path / "x", [], compiler="clang")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_model_as_a_program(tmp_path: Path, board: Target, compiler: str) -> None:
    tree = fake_tree(board)
    model = {path: data for path, data in tree.files.items() if path.startswith("model.")}
    write_tree(tmp_path, {**model, **linux_files()})
    program = compile_host(sorted(tmp_path.glob("*.c")), tmp_path / "model", [tmp_path], compiler=compiler)
    x = np.random.default_rng(1).integers(-128, 128, (1000, ELEMENTS)).astype(np.int8)
    done = subprocess.run([program], input=x.tobytes(), capture_output=True, check=True)
    y = np.clip(x.astype(int) + np.array(WEIGHTS), -128, 127).astype(np.int8)
    assert done.stdout == y.tobytes()
    (tmp_path / "input").write_bytes(x.tobytes())
    assert subprocess.run([program, tmp_path / "input"], capture_output=True, check=True).stdout == done.stdout
    cut = subprocess.run([program], input=x.tobytes()[:-1], capture_output=True, check=False)
    assert cut.returncode == 3
    assert b"ends in the middle" in cut.stderr
    assert cut.stdout == y.tobytes()[:-ELEMENTS]
    assert subprocess.run([program, tmp_path / "no"], capture_output=True, check=False).returncode == 2
