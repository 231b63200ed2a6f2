"""Latency and energy before anything is built: where they are given, how far off they may be, where they aren't."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgeq import pipeline
from edgeq import target as targets
from edgeq.check import Estimate, Unknown
from edgeq.check.estimate import LayerCounts, estimate
from edgeq.kernels import KERNELS
from edgeq.selection.cost import costs, cycles
from edgeq.target import Target

ONES = dict.fromkeys(("calls", "inputs", "outputs", "signed", "channels", "rows", "positions", "columns", "macs"), 1.0)


@pytest.fixture(scope="module")
def real() -> Target:
    return targets.load("nucleo-l4r5zi")


def layers(*kernels: str) -> list[LayerCounts]:
    return [LayerCounts(i, kernel, {**ONES, "macs": 1000.0}) for i, kernel in enumerate(kernels)]


def reason(found: Estimate | Unknown) -> str:
    assert isinstance(found, Unknown)
    return found.reason


def test_the_costs_are_of_kernels_that_there_are_and_count_what_is_counted(real: Target) -> None:
    known = costs()
    assert set(known.kernel) <= {k.symbol for k in KERNELS}
    for cost in known.kernel.values():
        assert set(cost.cycles) <= set(ONES) and all(value >= 0 for value in cost.cycles.values())
        assert cost.cycles and cost.layers >= 5 and 1.0 <= cost.error_percent < 30
    assert (known.core, known.cycle_model) == (real.core.name, real.core.cycle_model)


def test_an_estimate_is_its_layers_with_a_band_between_theirs(real: Target) -> None:
    one, other = "edgeq_fully_connected_s8_dsp", "edgeq_pointwise_conv_2d_s8_dsp"
    found = estimate(layers(one, other, ""), real, 1000)
    assert isinstance(found, Estimate)
    known = costs().kernel
    expected = [cycles(known[k], {**ONES, "macs": 1000.0}) for k in (one, other)]
    assert [layer.cycles for layer in found.layers] == [*expected, 0.0]
    assert found.cycles == round(sum(expected)) and found.ms == pytest.approx(found.cycles / 120_000)
    low, high = sorted((known[one].error_percent, known[other].error_percent))
    assert low < found.error_percent < high
    assert found.to_json()["provenance"] == "estimated"


def test_energy_is_power_times_time_where_the_power_is_known(real: Target) -> None:
    some = layers("edgeq_fully_connected_s8_dsp")
    found = estimate(some, real, 1000)
    assert isinstance(found, Estimate) and real.board.power is not None
    assert found.energy_uj == pytest.approx(real.board.power.active_mw * found.layers[0].cycles / 120_000)
    assert found.energy_error_percent == pytest.approx(found.error_percent + real.board.power.tolerance_percent)
    without = estimate(some, replace(real, board=replace(real.board, power=None)), 1000)
    assert isinstance(without, Estimate) and without.energy_uj is None and without.energy_error_percent is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nucleo-h743zi2", "fitted on cortex-m4 only"),
        ("pixel-8", "fitted on cortex-m4 only"),
        ("nrf52840dk", "its flash is another"),
        ("b-l475e-iot01a", "its flash is another"),
    ],
)
def test_no_estimate_for_another_core_or_memory(name: str, why: str) -> None:
    assert why in reason(estimate(layers("edgeq_fully_connected_s8_dsp"), targets.load(name), 1000))


def test_no_estimate_at_another_clock_in_slow_ram_or_for_an_unknown_kernel(real: Target) -> None:
    some = layers("edgeq_fully_connected_s8_dsp")
    slower = replace(real, board=replace(real.board, clock_hz=80_000_000))
    assert "its flash is another" in reason(estimate(some, slower, 1000))
    assert isinstance(estimate(some, real, 196_608), Estimate)
    assert "slower part" in reason(estimate(some, real, 196_609))
    assert reason(estimate(layers("edgeq_softmax_s8", "edgeq_new"), real, 1)) == "no cost was fitted for edgeq_new"


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("name", ["ad", "kws", "vww", "ic"])
def test_the_virtual_board_is_within_the_band(shared: Path, real: Target, name: str) -> None:
    """None of the four was in the fit."""
    pytest.importorskip("ziglang")
    pytest.importorskip("unicorn")
    path = shared / "mlperf_tiny" / f"{name}_int8.tflite"
    found = pipeline.check(path, real).latency
    assert isinstance(found, Estimate)
    simulated = pipeline.profile(path, real, sim=True, samples=1, runs=1)
    off = 100 * (found.cycles / simulated.median_cycles - 1)
    assert abs(off) <= found.error_percent and abs(off) < 12
    assert simulated.energy is not None and found.energy_uj is not None
    assert found.energy_uj == pytest.approx(simulated.energy.uj_per_inference, rel=found.error_percent / 100)
