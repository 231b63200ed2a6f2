"""Reports as text and JSON: every figure says how it came about, and nothing needed is cut."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq import target as targets
from edgeq.codegen.tree import Layer
from edgeq.errors import NegativeResult
from edgeq.measure.measurement import CycleModel, Energy, LayerTime, Measurement, MemoryUse, Validation
from edgeq.memory import ArenaChart, ChartRow
from edgeq.report.diagnosis import Diagnosis, Finding
from edgeq.report.doctor import doctor_text
from edgeq.report.flash import flash_text
from edgeq.report.json import document, error_document, plain
from edgeq.report.plan import plan_text
from edgeq.report.profile import profile_text
from edgeq.report.render import short_name
from edgeq.report.targets import target_json, target_text, targets_text
from edgeq.runners.contract import Device, FlashResult

MEASUREMENT = Measurement(
    target="nucleo-l4r5zi",
    provenance="simulated",
    device="virtual ST NUCLEO-L4R5ZI",
    port="/dev/pts/7",
    model_path="kws.tflite",
    model_sha256="ab" * 32,
    model_verified=True,
    macs=2_656_768,
    clock_hz=120_000_000,
    cycles=(6_907_202, 6_907_203, 6_907_210),
    validation=Validation(3, True, 0, 0, 36, "tflite-runtime 2.14.0 BUILTIN_REF", "random, seed 0"),
    layers=(
        LayerTime(Layer(0, "DEPTHWISE_CONV_2D", f"a/very/long/{'scope/' * 5}conv;b", "k_s8", 320_000, 64), 818_669),
        LayerTime(Layer(1, "RESHAPE", "flat", "", 0, 0), 33),
    ),
    memory=MemoryUse(16_512, 25_136, 628, 2_048, 19_856, 15_072, 47_132, 6_924),
    energy=Energy(2417.5, 42.0, 6.0, "a source"),
    cycle_model=CycleModel("cortex-m4 r1", "-9 to -1 %"),
)  # fmt: skip


def test_a_profile_says_how_each_figure_came_about() -> None:
    lines = profile_text(MEASUREMENT, width=120).splitlines()
    by_name = {line.split("  ")[0].strip(): line for line in lines}
    for name in ("validation", "latency", "cycles", "stack"):
        assert by_name[name].endswith("simulated"), by_name[name]
    assert by_name["energy"].endswith("estimated")
    assert "layers, simulated" in lines
    assert "cortex-m4 r1; -9 to -1 %" in by_name["cycle model"]
    assert "measured" not in "\n".join(lines)


def test_measured_figures_say_so() -> None:
    text = profile_text(replace(MEASUREMENT, provenance="measured", cycle_model=None))
    assert "simulated" not in text and "measured" in text


@pytest.mark.parametrize("width", [80, 100, 140])
def test_figures_of_layers_are_never_cut(width: int) -> None:
    text = profile_text(MEASUREMENT, width=width)
    row = next(line for line in text.splitlines() if "DEPTHWISE_CONV_2D" in line)
    assert all(figure in row for figure in ("320,000", "818,669", "100.0", "0.39"))
    assert all(len(line) <= width for line in text.splitlines())


def test_outputs_that_differ_are_the_first_thing_one_reads() -> None:
    wrong = Validation(3, False, 4, 2, 36, "the reference", "x.npz", first_difference="sample 0, output 'y' element 3")
    text = profile_text(replace(MEASUREMENT, validation=wrong))
    assert "OUTPUTS DIFFER" in text.splitlines()[0]
    assert "2 of 36" in text and "element 3" in text


def test_what_is_not_known_is_left_out_or_said() -> None:
    bare = replace(
        MEASUREMENT, layers=(), energy=None, model_verified=False, memory=MemoryUse(16_512, 25_136), notices=("hm",)
    )
    text = profile_text(bare)
    assert "NOT checked on the device" in text and "note: hm" in text
    assert "energy" not in text and "stack" not in text and "layers" not in text


def test_colour_only_when_asked_for() -> None:
    assert "\x1b[" not in profile_text(MEASUREMENT)
    assert "\x1b[" in profile_text(MEASUREMENT, color=True)


@given(st.text(min_size=1, max_size=80))
def test_names_are_cut_in_front(name: str) -> None:
    short = short_name(name)
    assert len(short) <= 28
    assert name.split(";")[0].endswith(short.removeprefix("…"))


CHART = ArenaChart(
    arena_bytes=4096,
    columns=("start", *(f"CONV_2D #{i}" for i in range(200)), "end"),
    live_bytes=(100, *(4096 if i == 117 else 200 for i in range(200)), 10),
    peak=118,
    rows=(
        ChartRow("input", "input", 0, 100, 0, 1),
        ChartRow("the fat one", "tensor", 0, 4096, 118, 118),
        ChartRow("out", "output", 4000, 10, 119, 201, in_place_of=1),
    ),
    idle_bytes=0,
)


@pytest.mark.parametrize("width", [80, 120])
def test_the_peak_is_drawn_however_many_layers_there_are(width: int) -> None:
    text = plan_text(CHART, width=width)
    drawing = [line.split("│")[1] for line in text.splitlines() if "│" in line]
    mark = next(line for line in text.splitlines() if "↑ peak" in line).index("↑") - 11
    assert all(line[mark] == "B" for line in drawing)
    assert all(len(line) <= width for line in text.splitlines())
    assert "no placement can be smaller" in " ".join(text.split()) and "in place of B" in text


def test_a_small_buffer_is_drawn_too() -> None:
    drawing = "".join(line.split("│")[1] for line in plan_text(CHART).splitlines() if "│" in line)
    assert "A" in drawing and "C" in drawing


def test_flash_says_when_nothing_was_verified() -> None:
    result = FlashResult(Device("r", "i", "t", "w"), 0x0800_0000, 1000, False, "it can't read back", True, 1.2)
    assert "NOT verified" in flash_text(result, "board")
    assert "written and verified" in flash_text(replace(result, verified=True), "board")


def test_targets() -> None:
    target = targets.load("nucleo-l4r5zi")
    assert "nucleo-l4r5zi" in targets_text([target])
    text = target_text(target)
    assert "120 MHz" in text and target.board.power is not None and "42 mW" in text and "measured" in text
    body = json.loads(json.dumps(target_json(target)))
    assert body["soc"]["memory"][0]["base"] == 0x0800_0000 and body["virtual_board"] is True


def test_doctor_tells_how_to_get_what_is_missing() -> None:
    found = Diagnosis(
        (
            Finding("python", "python", "ok", "3.11"),
            Finding("core", "numpy", "ok", "1.26"),
            Finding("convert", "tensorflow", "missing", fix="pip install 'edgeq[convert]'"),
        )
    )
    assert found.core_works and found.missing_extras == ("convert",)
    assert "edgeq convert: pip install 'edgeq[convert]'" in doctor_text(found)
    broken = Diagnosis((Finding("core", "numpy", "missing"),))
    assert not broken.core_works and "incomplete" in doctor_text(broken)


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Thing:
    path: Path
    colour: Colour
    array: object
    ratio: float


def test_products_become_plain_json() -> None:
    thing = Thing(Path("a/b"), Colour.RED, np.arange(3, dtype=np.int8), math.inf)
    assert plain({"t": thing, 3: (1, np.float32(0.5))}) == {
        "t": {"path": "a/b", "colour": "red", "array": [0, 1, 2], "ratio": None},
        "3": [1, 0.5],
    }


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=8))
def test_every_document_is_valid_json(value: object) -> None:
    told = json.loads(document("check", {"value": value}))
    assert told["schema_version"] == 1 and told["command"] == "check"


def test_an_error_document() -> None:
    told = json.loads(error_document("profile", NegativeResult("no", where="here", next_step="there", path=Path("x"))))
    assert told["error"] == {
        "type": "NegativeResult", "what": "no", "where": "here", "next_step": "there", "exit_code": 1,
        "facts": {"path": "x"},
    }  # fmt: skip
