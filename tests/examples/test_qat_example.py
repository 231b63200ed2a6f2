"""examples/qat, run as its user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgeq import registry

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "qat" / "train.py"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("generation", ["keras", "tf_keras"])
def test_the_example_keeps_what_it_promises(generation: str, tmp_path: Path) -> None:
    if not registry.installed("tensorflow") or not registry.installed(generation):
        pytest.skip(f"TensorFlow or {generation} is not installed")
    legacy = {"TF_USE_LEGACY_KERAS": "1"} if generation == "tf_keras" else {}
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path, generation],
        env={**os.environ, **legacy},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["float"] > 0.94
    assert all(results[key]["agreement"] >= 0.995 for key in ("int4", "int8", "pruned"))
    # Repairs after training give 4 bits as much as training does here (docs/qat.md): neither is held above the other.
    assert results["int4"]["qat"] > results["float"] - 0.03 and results["int8"]["accuracy"] > results["float"] - 0.02
    assert results["int8"]["fits"] and results["pruned"]["fits"]
    assert results["pruned"]["weights_bytes"] < 0.45 * results["int8"]["weights_bytes"]
    assert results["pruned"]["accuracy"] > results["float"] - 0.04
    assert "in training" in done.stdout
