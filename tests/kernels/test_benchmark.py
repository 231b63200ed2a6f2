"""Each row that asks for a feature has a layer in benchmarks/kernels.py that chooses it, or a reason why not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgeq import target
from edgeq.kernels import KERNELS, lower

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
_SCALES = "scales that few trained networks have: of those that the layers have, a faster row makes the same bytes"
_FOUR_BITS = "the same loop as with int8 weights, which are unpacked first"
_ONE_PLACE = "a CONV_2D that is a FULLY_CONNECTED: the same kernel, measured there"
UNMEASURED = {
    "nucleo-l4r5zi": {
        ("ADD", "edgeq_add_s8_dsp"): _SCALES,
        ("CONV_2D", "edgeq_conv_2d_few_s8_dsp"): "measured as a DEPTHWISE_CONV_2D over one channel",
        ("CONV_2D", "edgeq_fully_connected_paired_s8_dsp"): _ONE_PLACE,
        ("CONV_2D", "edgeq_fully_connected_s8_dsp"): _ONE_PLACE,
        ("CONV_2D", "edgeq_pointwise_conv_2d_s8_dsp"): _SCALES,
        ("DEPTHWISE_CONV_2D", "edgeq_depthwise_3x3_s4_dsp"): _FOUR_BITS,
        ("DEPTHWISE_CONV_2D", "edgeq_depthwise_conv_2d_s4_dsp"): _FOUR_BITS,
    },
    "raspberry-pi-pico": {
        (
            "FULLY_CONNECTED",
            "edgeq_pointwise_s8_thumb",
        ): "rows of vectors are pixels of a 1x1 CONV_2D, measured there",
    },
    "corstone-300": {("CONV_2D", "edgeq_fully_connected_s8_mve"): _ONE_PLACE},
}
FEATURES = {"nucleo-l4r5zi": "dsp", "raspberry-pi-pico": "armv6-m", "corstone-300": "mve"}


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    sys.path.insert(0, str(_BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location("kernels_benchmark", _BENCHMARKS / "kernels.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(_BENCHMARKS))
    return module


@pytest.mark.parametrize("name", UNMEASURED)
def test_a_special_row_is_measured_or_says_why_not(benchmark: ModuleType, name: str) -> None:
    core = target.load(name).core
    programs = [lower(bench.graph("kernels"), core) for bench in benchmark.groups()]
    measured = {(s.kernel.op, s.kernel.symbol) for program in programs for s in program.steps}
    special = {(k.op, k.symbol) for k in KERNELS if FEATURES[name] in k.requires}
    assert special - measured == set(UNMEASURED[name])
    assert all(len(reason) > 20 for reason in UNMEASURED[name].values())
