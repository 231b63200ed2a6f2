"""An Otii through Qoitech's own client, against a server that speaks their protocol on loopback."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from meter_doubles import Script

from edgeq.errors import DeviceError, MissingDependencyError, UsageError
from edgeq.measure import energy
from edgeq.measure.energy import Plan
from edgeq.measure.energy.measurement import MeteredEnergy
from edgeq.measure.energy.meters import open_meter

IDLE_S, WINDOW_S, COUNT = 0.5, 0.4, 100


def test_without_the_client_it_says_what_to_install() -> None:
    try:
        import otii_tcp_client  # noqa: F401
    except ImportError:
        with pytest.raises(MissingDependencyError, match=r"edgeq\[otii\]"):
            open_meter(Plan("otii"))
    else:
        with pytest.raises(DeviceError, match="no Otii server answers"), open_meter(Plan("otii:127.0.0.1:9")):
            pass


pytest.importorskip("otii_tcp_client", reason="Qoitech's client (edgeq[otii]) is not installed")
from otii_double import OtiiDouble  # noqa: E402


def measured(double: OtiiDouble, **changes: Any) -> MeteredEnergy:
    plan = Plan(f"otii:127.0.0.1:{double.port}", window_s=WINDOW_S, windows=3, supply_v=double.supply_v)
    plan = replace(plan, **changes)
    with open_meter(plan) as meter:
        return energy.measure(plan, meter, plan.window_s / COUNT, lambda count: WINDOW_S, "simulated")


@pytest.mark.parametrize(
    ("idle_ma", "active_ma", "source"), [(0.004, 0.3, False), (1.2, 42.0, True), (9.0, 310.0, False)]
)
def test_a_known_charge(idle_ma: float, active_ma: float, source: bool) -> None:
    script = Script.windows(50_000, idle_ma, active_ma, IDLE_S, WINDOW_S)
    with OtiiDouble([script], 50_000, supply_v=3.0) as double:
        found = measured(double, source=source)
    assert found.uj_per_inference == pytest.approx(active_ma * 1000 * WINDOW_S * 3.0 / COUNT, rel=0.005)
    above = (active_ma - idle_ma) * 1000 * WINDOW_S * 3.0 / COUNT
    assert np.mean(found.above_idle_uj) == pytest.approx(above, rel=0.005)
    assert found.window_s == pytest.approx(WINDOW_S) and len(found.uj) == 3
    asked = [command for command, _ in double.asked]
    assert asked.count("project_start_recording") == asked.count("recording_delete") == 3
    assert ("arc_set_main_voltage" in asked) is source
    mode = next(data["mode"] for command, data in double.asked if command == "arc_set_power_regulation")
    assert mode == ("voltage" if source else "inline")
    assert double.reserved == [] and asked[-1] == "otii_return_license"  # the licence is given back


def test_a_pin_that_is_missing_or_shifted_is_noticed() -> None:
    script = Script.windows(50_000, 1.0, 5.0, IDLE_S, WINDOW_S)
    where = np.arange(len(script.pin))
    spoiled = {
        "fell 0 times": np.ones_like(script.pin),
        "fell 1 times": np.where(where < 40_000, script.pin, 1),
        "marks a window of": np.where(where < 35_000, np.roll(script.pin, 3_000), script.pin),
    }
    for told, pin in spoiled.items():
        bad = Script(script.milliamperes, pin.astype(np.uint8))
        with OtiiDouble([bad], 50_000) as double, pytest.raises(DeviceError, match=told):
            measured(double)


def test_an_arc_is_slower_and_says_so() -> None:
    script = Script.windows(4_000, 1.0, 5.0, IDLE_S, WINDOW_S)
    with OtiiDouble([script], 4_000, kind="Arc") as double:
        found = measured(double)
        assert found.uj_per_inference == pytest.approx(5.0 * 1000 * WINDOW_S * 3.3 / COUNT, rel=0.005)
        with pytest.raises(UsageError, match="too short for Otii Arc 'bench'"):
            measured(double, window_s=0.1)


def test_what_is_in_the_way_is_told() -> None:
    script = Script.windows(4_000, 1.0, 5.0, IDLE_S, WINDOW_S)
    with OtiiDouble([script], 4_000) as double:
        with pytest.raises(DeviceError, match="no meter 'other'"):
            measured(double, meter=f"otii:127.0.0.1:{double.port}/other")
        with pytest.raises(UsageError, match=r"0\.5 to 5 V"):
            measured(double, supply_v=9.0)
        double.devices = [*double.devices, {"device_id": "Ace02", "name": "two", "type": "Ace"}]
        with pytest.raises(DeviceError, match="2 meters are connected") as several:
            measured(double)
        assert "/bench" in several.value.next_step
        double.devices, double.licensed = double.devices[:1], False
        with pytest.raises(DeviceError, match="licen") as unlicensed:
            measured(double)
        assert "OTII_USERNAME" in unlicensed.value.next_step
