"""The examples that bring in models of other frameworks, run as a user would."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edgeq import process, registry

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, folder: Path, timeout_s: float) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said = process.run(
        ["sh", EXAMPLES / name / "demo.sh", folder], timeout_s=timeout_s, environment={"PATH": path}, cwd=folder
    )
    assert "digits on nucleo-l4r5zi: fits" in said.stdout and "integer only" in said.stdout
    assert (folder / "digits_int8.tflite").stat().st_size > 5000
    return said.stdout + said.stderr


@pytest.mark.skipif(not registry.installed("onnxruntime"), reason="the onnx extra is not installed")
@pytest.mark.skipif(not registry.installed("ai_edge_quantizer"), reason="the convert extra is not installed")
def test_onnx(tmp_path: Path) -> None:
    assert "verified against onnxruntime" in run("onnx", tmp_path, 200)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not registry.installed("ai_edge_quantizer"), reason="the convert extra is not installed")
def test_torch(tmp_path: Path) -> None:
    """The environment of PyTorch is made when it isn't there: one to two minutes and 1.1 GB, once."""
    assert "verified against PyTorch" in run("torch", tmp_path, 1100)
