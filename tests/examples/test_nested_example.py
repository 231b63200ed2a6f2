"""examples/nested, from training to the choice of a precision for each image."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeq import tflite

EXAMPLE = Path(__file__).parents[2] / "examples" / "nested"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_nested_example(tmp_path: Path) -> None:
    for package in ("tensorflow", "ai_edge_quantizer", "unicorn", "capstone", "ziglang", "serial", "sklearn"):
        pytest.importorskip(package)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", EXAMPLE / "demo.sh", tmp_path], env=environment, capture_output=True, text=True, timeout=850, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    measured = json.loads((tmp_path / "precisions.json").read_text())["precisions"]
    assert [m["model"]["precision_bits"] for m in measured] == [8, 4, 2]
    assert all(m["validation"]["bit_exact"] for m in measured)
    assert tflite.read(tmp_path / "digits_4bit.tflite").nested is None
    rows = re.findall(r"margin of +(\d+): ([\d.]+) right, ([\d.]+)% ran at 8 bits too", done.stdout)
    right, twice = np.array([[float(r), float(t)] for _, r, t in rows]).T
    assert len(rows) == 3 and right.min() > 0.93, "every precision reads digits"
    assert twice[0] == 0 < twice[1] < 50 < twice[2] == 100
