"""A profile with a meter: a device double that falls in step with a meter's script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_double import DeviceDouble
from meter_doubles import Ppk2Double, Script
from models_flatbuffer import T, single_op_model

from edgeq import pipeline
from edgeq import target as targets
from edgeq.cli.main import main
from edgeq.codegen.tree import Layer, Manifest, TensorInfo
from edgeq.errors import UsageError
from edgeq.measure.energy import Plan
from edgeq.measure.energy.meters.ppk2 import RATE_HZ
from edgeq.measure.inputs import seeded
from edgeq.measure.profile import Setting, Subject, profile
from edgeq.report.profile import profile_text

END = TensorInfo("x", "INT8", (1, 70), 70, 0.5, 0)
MANIFEST = Manifest(
    "double", "ab" * 32, 1000, "nucleo-l4r5zi", 120_000_000, 512, 640, 9_000, (END,), (replace(END, name="y"),),
    tuple(Layer(i, "CONV_2D", f"conv{i}", "k", 800, 60) for i in range(11)), "0123456789abcdef",
)  # fmt: skip
EACH_S = 250e-6  # of the double's `infer`
WINDOW_S = 0.012


def reference(inputs: Sequence[Any]) -> list[Any]:
    return [np.invert(inputs[0])]


def test_a_meter_goes_before_the_estimate() -> None:
    subject = Subject(MANIFEST, targets.load("nucleo-l4r5zi"), seeded([END], 2, 1), reference, "the double's rule")
    with DeviceDouble() as device:
        plain = profile(Setting(device.port, 115200, "simulated"), subject)
        assert plain.metered is None
        assert plain.energy is not None
        count = math.ceil(WINDOW_S / (plain.median_ms / 1000))
        meter = Ppk2Double(scripts=[Script.windows(RATE_HZ, 1.0, 12.0, 0.5, count * EACH_S)])
        plan = Plan(f"ppk2:{meter.port}", window_s=WINDOW_S, windows=3)
        measured = profile(Setting(device.port, 115200, "simulated", plan=plan), subject)
        meter.close()
    found = measured.metered
    assert found is not None
    assert found.inferences == count
    assert found.uj_per_inference == pytest.approx(12.0 * 3.3 * EACH_S * 1000, rel=0.005)
    said: Any = measured.to_json()["energy"]
    assert said["provenance"] == "simulated"  # as the device behind the pseudo-terminal is
    assert said["uj_per_inference"] == pytest.approx(9.9, rel=0.005)
    assert said["windows_uj"] == pytest.approx([9.9] * 3, rel=0.005)
    text = profile_text(measured)
    assert "(95 %) per inference" in text
    assert "PPK2 at" in text


def test_a_virtual_board_has_no_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.tflite"
    ends = T((1, 4), scale=0.5, name="x"), T((1, 4), scale=0.5, name="y")
    path.write_bytes(single_op_model("RELU", [ends[0]], ends[1]))
    with pytest.raises(UsageError, match="draws no current"):
        pipeline.profile(path, "nucleo-l4r5zi", sim=True, meter=Plan("ppk2"))
    line = ["profile", str(path), "--target", "nucleo-l4r5zi"]
    assert main([*line, "--sim", "--meter", "ppk2"]) == 2
    assert "draws no current" in capsys.readouterr().err
    assert main([*line, "--port", "x", "--save-power", "p.npz"]) == 2
    assert "--save-power needs a meter" in capsys.readouterr().err
    assert main([*line, "--port", "x", "--meter", "ppk2", "--save-power", "p.doc"]) == 2
    assert "is not written as '.doc'" in capsys.readouterr().err
