"""What `check` says before anything is built, against the ELF files of real builds."""

from __future__ import annotations

from pathlib import Path

import pytest
from models import digits_int8_tflite

from edgeq import pipeline, registry, target
from edgeq.check import FitReport, after_build
from edgeq.toolchains.firmware import Usage

BOARDS = [name for name in target.names() if target.load(name).soc.firmware]
FEW = ["nucleo-l4r5zi", "raspberry-pi-pico", "nucleo-h743zi2"]
"""For every run of the tests: three cores, three families, one board with its RAM in pieces."""
TOLERANCE = 0.05
pytestmark = pytest.mark.skipif(
    bool(registry.missing(registry.TOOLCHAINS["zig"])), reason="the extra 'build' is not installed"
)


def judged_and_built(model: bytes | Path, board: str) -> tuple[FitReport, Usage]:
    report = pipeline.check(model, board)
    assert report.fits
    return report, pipeline.build(model, board).usage


def held(report: FitReport, usage: Usage) -> None:
    """The flash within 5 %, the RAM to the byte, and the arena as planned; after the build all of it exactly."""
    assert report.plan is not None and report.plan.arena_bytes == usage.arena_bytes
    assert abs(report.flash.used_bytes - usage.flash_bytes) <= TOLERANCE * usage.flash_bytes
    weights = sum(p.size_bytes for p in report.flash.parts if p.name == "weights")
    assert weights == usage.weights_bytes
    assert report.ram.used_bytes == usage.ram_bytes
    exact = after_build(
        report,
        flash_bytes=usage.flash_bytes,
        weights_bytes=usage.weights_bytes,
        ram_bytes=usage.ram_bytes,
    )
    assert (exact.flash.used_bytes, exact.ram.used_bytes) == (usage.flash_bytes, usage.ram_bytes)
    assert not exact.flash.estimated and not exact.ram.estimated


def test_there_are_ten_boards() -> None:
    assert len(BOARDS) >= 10
    assert set(FEW) <= set(BOARDS)


@pytest.mark.parametrize("board", FEW)
def test_a_small_network_on_some_boards(board: str) -> None:
    held(*judged_and_built(digits_int8_tflite(), board))


@pytest.mark.slow
@pytest.mark.parametrize("board", sorted(set(BOARDS) - set(FEW)))
def test_a_small_network_on_every_board(board: str) -> None:
    held(*judged_and_built(digits_int8_tflite(), board))


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", ["kws", "vww", "ic", "ad"])
def test_the_reference_models_on_every_board(shared: Path, name: str, board: str) -> None:
    model = shared / "mlperf_tiny" / f"{name}_int8.tflite"
    if not pipeline.check(model, board).fits:
        with pytest.raises(Exception, match=r"needs .* more than"):
            pipeline.build(model, board)
        return
    held(*judged_and_built(model, board))


@pytest.mark.shared
def test_vww_on_the_g0b1re_to_the_byte(shared: Path) -> None:
    """144 KB of RAM: what the report says of it is what the linker says."""
    model = shared / "mlperf_tiny" / "vww_int8.tflite"
    for name in ("nucleo-g0b1re", "nucleo-l4r5zi"):
        report = pipeline.check(model, name)
        usage = pipeline.build(model, name).usage
        held(report, usage)
        (ram,) = [budget for budget in report.budgets if budget.kind == "ram"]
        assert report.fits == (usage.ram_bytes <= ram.available_bytes)
        assert ram.headroom_bytes == ram.available_bytes - usage.ram_bytes
