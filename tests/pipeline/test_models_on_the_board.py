"""The MLPerf Tiny reference models through the whole flow: built, booted on the virtual board, compared, budgeted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgeq import pipeline

pytestmark = [pytest.mark.slow, pytest.mark.shared]

# TFLM with CMSIS-NN, gcc -O2, on a Cortex-M4 with ideal memory: millions of cycles and bytes of arena.
TFLM = {"kws": (9.12, 22_820), "vww": (28.9, 100_708), "ic": (36.5, 54_996), "ad": (0.725, 2_580)}
DATA = {"kws": "kws_features.npz:x_int8", "ic": "cifar10_subset.npz:x_test"}
CODE_BYTES = 24 * 1024


@pytest.mark.parametrize("toolchain", ["zig", "gcc"])
@pytest.mark.parametrize("name", list(TFLM))
def test_bit_exact_on_the_board_and_not_slower_than_tflm(shared: Path, name: str, toolchain: str) -> None:
    if toolchain == "gcc" and not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("arm-none-eabi-gcc is not on PATH")
    model = shared / "mlperf_tiny" / f"{name}_int8.tflite"
    firmware = pipeline.build(model, "nucleo-l4r5zi", toolchain=toolchain)
    data = str(shared / DATA[name]) if name in DATA else ""
    measured = pipeline.profile(model, "nucleo-l4r5zi", sim=True, firmware=firmware, data=data, samples=20, runs=1)
    assert measured.validation.bit_exact and measured.validation.samples == 20
    assert measured.provenance == "simulated"
    cycles, arena = TFLM[name]
    assert measured.median_cycles < cycles * 1e6
    assert firmware.usage.arena_bytes <= arena
    assert firmware.usage.code_bytes < CODE_BYTES
