"""A small int8 model as a file, and the command line run in this process or in its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import Edgeq, Said
from models_flatbuffer import T, single_op_model

from edgeq.cli.main import main


@pytest.fixture
def edgeq(capsys: pytest.CaptureFixture[str]) -> Edgeq:
    """Run a command line in this process."""

    def run(*arguments: str | Path) -> Said:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return run


@pytest.fixture(scope="session")
def process() -> Edgeq:
    """Run a command line as a process of its own, with what a terminal would have."""

    def run(*arguments: str | Path, environment: dict[str, str] | None = None, code: str = "") -> Said:
        script = code or "from edgeq.cli.main import run; run()"
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, **(environment or {})},
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fully-connected layer, 12 → 7, int8."""
    values = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("model") / "small.tflite"
    path.write_bytes(
        single_op_model(
            "FULLY_CONNECTED",
            [
                T((1, 12), scale=0.5, zero_point=3, name="x"),
                T((7, 12), scale=0.01, data=values.integers(-127, 128, (7, 12)), name="w"),
                T((7,), "INT32", scale=0.005, data=values.integers(-500, 500, 7), name="b"),
            ],
            T((1, 7), scale=0.25, zero_point=-5, name="y"),
        )
    )
    return path


@pytest.fixture(scope="session")
def refused_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An operator that no kernel serves."""
    path = tmp_path_factory.mktemp("model") / "refused.tflite"
    path.write_bytes(single_op_model("Sparkle", [T((1, 4), scale=0.5, name="x")], T((1, 4), scale=0.5, name="y")))
    return path
