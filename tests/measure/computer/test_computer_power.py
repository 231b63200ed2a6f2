"""Energy from a sensor's trace, against charges that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import DeviceError
from edgeq.measure.computer.engines import EngineRun, SensorTrace
from edgeq.measure.computer.power import PowerSensor, energy, parse_pmic

SENSOR = PowerSensor("ina226", "/sys/class/hwmon/hwmon3/power1_input")
MS = 1_000_000


def run_of(milliwatts: np.ndarray, *, inferences: int = 100, start_ms: int = 2000, period_ms: int = 5) -> EngineRun:
    """Readings from 0; the window begins at `start_ms` and ends with the readings."""
    samples = tuple((i * period_ms * MS, round(v * 1000)) for i, v in enumerate(milliwatts))
    end = len(milliwatts) * period_ms * MS
    return EngineRun(
        "engine", True, (), (1,) * inferences, window_ns=(start_ms * MS, end), idle_ns=(0, start_ms * MS - 1),
        traces=(SensorTrace(SENSOR.file, samples),),
    )  # fmt: skip


@given(st.floats(200, 3000), st.floats(100, 9000), st.integers(1, 1000))
def test_a_step_of_power(idle_mw: float, added_mw: float, inferences: int) -> None:
    found = energy(
        run_of(np.r_[np.full(400, idle_mw), np.full(1000, idle_mw + added_mw)], inferences=inferences), SENSOR
    )
    # 1000 readings of 5 ms: 5 s; mW × s / inferences, in µJ.
    assert found.uj_per_inference == pytest.approx((idle_mw + added_mw) * 5 / inferences * 1000, rel=1e-4)
    assert found.above_idle_uj == pytest.approx(added_mw * 5 / inferences * 1000, rel=1e-3)
    assert found.uncertainty_uj == pytest.approx(0, abs=1e-6 * found.uj_per_inference + 1e-9)
    assert found.provenance == "measured"


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    values = np.random.default_rng(5)
    inside = 0
    for _ in range(300):
        trace = np.r_[np.full(400, 500.0), values.normal(2000, 300, 1000)]
        found = energy(run_of(trace), SENSOR)
        inside += abs(found.uj_per_inference - 2000 * 5 / 100 * 1000) <= found.uncertainty_uj
    assert 0.91 < inside / 300 < 0.985


def test_too_few_readings_are_refused() -> None:
    with pytest.raises(DeviceError, match="gave 19 readings") as caught:
        energy(run_of(np.full(419, 1000.0)), SENSOR)
    assert "--seconds" in str(caught.value)


def test_without_idle_nothing_is_said_of_it() -> None:
    found = energy(replace(run_of(np.full(1400, 1000.0)), idle_ns=None), SENSOR)
    assert (found.above_idle_uj, found.idle_mw) == (None, None)


def test_the_pmic_is_an_estimate() -> None:
    one = " VDD_CORE_A current(7)=1.25000000A\n VDD_CORE_V volt(15)=0.80000000V\n 3V3_SYS_A current(1)=0.1A\n"
    one += " 3V3_SYS_V volt(9)=3.3V\n EXT5V_V volt(24)=5.15V\n"
    text = "".join(f"at {at:.2f}\n{one}" for at in np.arange(0, 10, 0.125))
    readings = parse_pmic(text + "at 10.00\n")
    assert len(readings) == 80
    assert readings[8] == (1_000_000_000, 1_330_000)  # 1.25 A × 0.8 V + 0.1 A × 3.3 V
    run = EngineRun(
        "e", True, (), (1,) * 10, window_ns=(5 * 1000 * MS, 10 * 1000 * MS), traces=(SensorTrace("p", readings),)
    )
    found = energy(run, PowerSensor("pmic", "p"))
    assert found.provenance == "estimated"
    assert found.uj_per_inference == pytest.approx(1330 * 5 / 10 * 1000)
