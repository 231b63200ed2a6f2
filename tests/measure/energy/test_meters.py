"""Meters against their protocols, with charges that are known; and the window that the pin marks."""

from __future__ import annotations

import csv
import importlib.machinery
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meter_doubles import PowerShieldDouble, Ppk2Double, PtyMeter, Script, encode, metadata

from edgeq.errors import DeviceError, UsageError
from edgeq.measure import energy
from edgeq.measure.energy import Plan, Trace
from edgeq.measure.energy.files import require_format, save
from edgeq.measure.energy.measurement import MeteredEnergy
from edgeq.measure.energy.meters import open_meter
from edgeq.measure.energy.meters.power_shield import parse
from edgeq.measure.energy.meters.ppk2 import RATE_HZ, Calibration, decode
from edgeq.measure.energy.trace import window

# A device's own figures, of the size that real ones have.
CALIBRATION = Calibration(
    r=(1003.35, 101.66, 10.30, 0.96, 0.0575),
    gs=(0.0, 1.3, -0.9, 0.25, 0.08),
    gi=(1.0003, 0.9861, 0.9755, 0.9571, 0.9570),
    o=(168.6, 99.9, 81.5, 72.1, 80.0),
    s=(-4.5e-8, -1.2e-7, 3.0e-7, 1.1e-6, 6.0e-6),
    i=(-3.6e-7, 2.4e-6, 2.8e-5, 3.3e-4, 4.2e-3),
    ug=(1.0, 1.0, 1.0, 1.0, 1.0),
)
IDLE_S, WINDOW_S, COUNT = 0.5, 0.4, 100


@contextmanager
def closing(meter: PtyMeter) -> Iterator[PtyMeter]:
    try:
        yield meter
    finally:
        meter.close()


def measured(plan: Plan, seconds: float = WINDOW_S) -> MeteredEnergy:
    with open_meter(plan) as meter:
        return energy.measure(plan, meter, plan.window_s / COUNT, lambda count: seconds, "simulated")


def ppk2_plan(double: Ppk2Double, **changes: Any) -> Plan:
    return replace(Plan(f"ppk2:{double.port}", window_s=WINDOW_S, windows=3, supply_v=double.supply_v), **changes)


@pytest.mark.parametrize(("idle_ma", "active_ma"), [(0.004, 0.3), (1.2, 6.5), (0.3, 42.0), (9.0, 310.0)])
def test_a_known_charge_through_a_ppk2(idle_ma: float, active_ma: float) -> None:
    script = Script.windows(RATE_HZ, idle_ma, active_ma, IDLE_S, WINDOW_S)
    with closing(Ppk2Double(scripts=[script], calibration=CALIBRATION, supply_v=3.0)) as double:
        assert isinstance(double, Ppk2Double)
        found = measured(ppk2_plan(double))
    charge_uc = active_ma * 1000 * WINDOW_S  # µA · s
    assert found.uj_per_inference == pytest.approx(charge_uc * 3.0 / COUNT, rel=0.005)
    assert np.mean(found.above_idle_uj) == pytest.approx(
        (active_ma - idle_ma) * 1000 * WINDOW_S * 3.0 / COUNT, rel=0.005
    )
    assert found.idle_mw == pytest.approx(idle_ma * 3.0, rel=0.02)
    assert found.window_s == pytest.approx(WINDOW_S)
    assert (found.inferences, found.lost, len(found.uj)) == (COUNT, 0, 3)
    commands = b"".join(double.heard)
    # 3.0 V: 3 · 256 + 32 + 3000 - 800 = 3000 = 0x0BB8.
    for expected in (b"\x19", b"\x11\x01", b"\x0d\x0b\xb8", b"\x0c\x01"):
        assert expected in commands
    assert commands.count(b"\x06") == 3


def test_the_ppk2_supplies() -> None:
    script = Script.windows(RATE_HZ, 1.0, 5.0, IDLE_S, WINDOW_S)
    with closing(Ppk2Double(scripts=[script])) as double:
        assert isinstance(double, Ppk2Double)
        found = measured(ppk2_plan(double, source=True))
        assert b"\x11\x02" in b"".join(double.heard)
    assert "supplies 3.3 V" in found.meter


def test_lost_samples_are_filled_and_counted_and_many_are_refused() -> None:
    script = Script.windows(RATE_HZ, 1.0, 5.0, IDLE_S, WINDOW_S)
    few = frozenset(range(60_000, 60_040))
    with closing(Ppk2Double(scripts=[script], missing=few)) as double:
        assert isinstance(double, Ppk2Double)
        found = measured(ppk2_plan(double))
    assert found.lost == 3 * 40
    assert found.window_s == pytest.approx(WINDOW_S)
    assert found.uj_per_inference == pytest.approx(5.0 * 1000 * WINDOW_S * 3.3 / COUNT, rel=0.005)
    many = frozenset(range(60_000, 80_000, 3))
    with closing(Ppk2Double(scripts=[script], missing=many)) as double, pytest.raises(DeviceError, match="were lost"):
        assert isinstance(double, Ppk2Double)
        measured(ppk2_plan(double))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda pin: np.ones_like(pin), "fell 0 times"),
        (lambda pin: np.where(np.arange(len(pin)) < 80_000, pin, 1), "fell 1 times"),
        (lambda pin: np.where(np.arange(len(pin)) == 70_000, 0, pin), "fell 3 times"),
        (
            lambda pin: np.where(np.arange(len(pin)) < 70_000, np.roll(pin, 20_000), pin),
            "marks a",
        ),
    ],
)
def test_a_pin_that_is_missing_or_shifted_is_noticed(change: Any, told: str) -> None:
    script = Script.windows(RATE_HZ, 1.0, 5.0, IDLE_S, WINDOW_S)
    spoiled = Script(script.milliamperes, change(script.pin).astype(np.uint8))
    with closing(Ppk2Double(scripts=[spoiled])) as double, pytest.raises(DeviceError, match=told):
        assert isinstance(double, Ppk2Double)
        measured(ppk2_plan(double))


def test_the_devices_clock_is_held_against_the_pin() -> None:
    trace = Trace(1000.0, np.ones(5000), (1000, 3000), 0, "x")
    assert window(trace, 2.0, "x") == (1000, 3000)
    assert window(trace, 2.03, "x") == (1000, 3000)
    with pytest.raises(DeviceError, match=r"marks a window of 2 s, the device says that it took 2.1 s"):
        window(trace, 2.1, "x")


def test_windows_that_say_nothing_are_refused() -> None:
    with closing(Ppk2Double(scripts=[])) as double:
        assert isinstance(double, Ppk2Double)
        with pytest.raises(UsageError, match="too short for PPK2"):
            measured(ppk2_plan(double, window_s=0.001))
        with pytest.raises(UsageError, match="2 windows tell no uncertainty"):
            measured(ppk2_plan(double, windows=2))
        with pytest.raises(UsageError, match=r"0\.8 to 5 V"):
            measured(ppk2_plan(double, supply_v=12.0))
        with pytest.raises(DeviceError, match="sent no samples"):
            measured(ppk2_plan(double))


def test_what_is_no_ppk2() -> None:
    class Silent(PtyMeter):
        def receive(self, data: bytes) -> None:
            self.send(b"m-ready\r\n")

    with closing(Silent()) as double, pytest.raises(DeviceError, match="doesn't answer as a PPK2"):
        measured(Plan(f"ppk2:{double.port}"))
    with pytest.raises(DeviceError, match="can't open it"):
        measured(Plan("ppk2:/dev/nowhere"))
    with pytest.raises(DeviceError, match="no PPK2 is plugged in"):
        measured(Plan("ppk2"))
    with pytest.raises(UsageError, match="no meter 'multimeter'"):
        measured(Plan("multimeter"))


def test_the_same_samples_through_ppk2_api() -> None:
    """The community's client library, from the same bytes: it is a witness for our reading of the protocol."""
    api = pytest.importorskip("ppk2_api.ppk2_api", reason="ppk2-api (GPL) is not installed")
    values = np.random.default_rng(7).uniform(1.0, 6.0, 2000)  # of one range: it smooths after a change, we interpolate
    raw = encode(Script(values, np.ones(len(values), np.uint8)), CALIBRATION, 3.0)
    witness = api.PPK2_API.__new__(api.PPK2_API)
    witness.ser = None
    api.PPK2_API.__init__.__globals__["serial"] = types.SimpleNamespace(
        Serial=lambda port, **more: types.SimpleNamespace(close=lambda: None)
    )
    witness.__init__("none")  # type: ignore[misc]
    assert witness._parse_metadata(metadata(CALIBRATION).decode())
    witness.current_vdd = 3000
    microamperes, logic = witness.get_samples(raw)
    amperes, held, lost = decode(np.frombuffer(raw, "<u4"), CALIBRATION, 3.0)
    assert lost == 0
    assert np.allclose(amperes * 1e6, microamperes, rtol=1e-9)
    assert held.tolist() == logic


@given(
    st.floats(1e-3, 500), st.floats(0.8, 5.0),
    st.builds(
        Calibration,
        gi=st.tuples(*[st.floats(0.9, 1.1)] * 5), gs=st.tuples(*[st.floats(0, 0.5)] * 5),
        o=st.tuples(*[st.floats(0, 200)] * 5), s=st.tuples(*[st.floats(-1e-8, 1e-8)] * 5),
    ),
)  # fmt: skip
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_decoding_is_the_inverse_of_encoding(milliamperes: float, supply_v: float, calibration: Calibration) -> None:
    script = Script(np.full(20, milliamperes), np.ones(20, np.uint8))
    amperes, _, lost = decode(np.frombuffer(encode(script, calibration, supply_v), "<u4"), calibration, supply_v)
    assert lost == 0
    # Half a step of the ADC in the range that was taken, or 0.5 %.
    assert np.allclose(amperes * 1000, milliamperes, rtol=0.005, atol=3e-5)
    text = metadata(calibration).decode()
    assert np.allclose(Calibration.parse(text).gi, calibration.gi, rtol=1e-6)


@pytest.mark.parametrize(("kind", "prompt"), [("lpm01a", "PowerShield > "), ("stlink-v3pwr", "stlp > ")])
def test_a_known_charge_through_the_power_shields(kind: str, prompt: str) -> None:
    script = Script.windows(1000, 0.9, 7.3, IDLE_S, 1.2)
    with closing(PowerShieldDouble(scripts=[script], prompt=prompt, supply_v=1.8, damage=frozenset({900}))) as double:
        assert isinstance(double, PowerShieldDouble)
        found = measured(Plan(f"{kind}:{double.port}", window_s=1.2, windows=3, supply_v=1.8), 1.2)
        assert "volt 1800m" in double.settings
        assert "eventsrc d7 fal" in double.settings
        assert double.settings.index("output energy") < double.settings.index("start")
    assert found.uj_per_inference == pytest.approx(7.3 * 1000 * 1.2 * 1.8 / COUNT, rel=0.005)
    assert np.mean(found.above_idle_uj) == pytest.approx(6.4 * 1000 * 1.2 * 1.8 / COUNT, rel=0.005)
    assert found.lost == 3  # a line a window was cut off


def test_a_power_shield_that_refuses() -> None:
    with closing(PowerShieldDouble(refuses="volt")) as double:
        with pytest.raises(DeviceError, match="refuses 'volt 3300m'"):
            measured(Plan(f"lpm01a:{double.port}"))
        with pytest.raises(UsageError, match=r"supplies 1\.8 to 3.3 V, not 5 V"):
            measured(Plan(f"lpm01a:{double.port}", supply_v=5.0))


def test_lines_of_the_power_shield() -> None:
    values, falls, broken = parse(
        b"6409-07\r\nevent 00 fal\r\n0012+01\r\nPowerShield > ack stop\r\n64-07\r\nsummary beg\r\n"
    )
    assert values[:2] == [pytest.approx(640.9e-6), 120.0]
    assert np.isnan(values[2])
    assert (falls, broken) == ((1,), 1)


class JoulescopeDouble:
    """pyjoulescope_driver's Driver, as far as the meter uses it; values as JS220's blocks have them."""

    def __init__(self, script: Script, *, gap: int = 0) -> None:
        self.script, self.gap = script, gap
        self.topics: dict[str, Any] = {}
        self.published: list[tuple[str, object]] = []
        self.opened: list[str] = []
        self.gone = False

    def __enter__(self) -> JoulescopeDouble:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def device_paths(self) -> list[str]:
        return ["u/js220/000415"]

    def open(self, path: str) -> None:
        self.opened.append(path)

    def close(self, path: str) -> None:
        self.opened.remove(path)

    def subscribe(self, topic: str, flags: str, function: Any) -> None:
        self.topics[topic] = function

    def unsubscribe(self, topic: str, function: Any) -> None:
        del self.topics[topic]

    def publish(self, topic: str, value: object) -> None:
        if self.gone and value == 0:
            raise RuntimeError("jsdrv_publish failed 11")
        self.published.append((topic, value))
        if topic.endswith("/ctrl") and value == 1:
            signal = topic.removesuffix("ctrl") + "!data"
            power = "/s/p/" in topic
            data = self.script.milliamperes / 1000 * 3.3 if power else self.script.pin
            for at in range(0, len(data), 10_000):
                if power and self.gap and at == 50_000:
                    continue
                block = np.asarray(data[at : at + 10_000], np.float32 if power else np.uint8)
                # Sample numbers count the sensor's 1 MHz, whatever rate is sent.
                self.topics[signal](
                    signal, {"sample_id": 777 + at * 10, "sample_rate": 1_000_000, "decimate_factor": 10, "data": block}
                )


def test_a_known_charge_through_a_joulescope(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script.windows(100_000, 2.0, 31.0, IDLE_S, WINDOW_S)
    double = JoulescopeDouble(script)
    module = types.ModuleType("pyjoulescope_driver")
    module.__spec__ = importlib.machinery.ModuleSpec("pyjoulescope_driver", None)
    monkeypatch.setattr(module, "Driver", lambda: double, raising=False)
    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", module)
    found = measured(Plan("joulescope", window_s=WINDOW_S, windows=3))
    assert found.uj_per_inference == pytest.approx(31.0 * 1000 * WINDOW_S * 3.3 / COUNT, rel=0.005)
    assert found.lost == 0
    assert double.opened == []
    assert ("u/js220/000415/s/p/ctrl", 0) in double.published
    double.gap = 1
    with pytest.raises(DeviceError, match="were lost"):
        measured(Plan("joulescope", window_s=WINDOW_S, windows=3))
    double.gone = True
    with pytest.raises(DeviceError, match="went away, or refuses: jsdrv_publish"):
        measured(Plan("joulescope", window_s=WINDOW_S, windows=3))
    assert double.opened == []
    with pytest.raises(DeviceError, match="no Joulescope 'u/js220/1'"):
        measured(Plan("joulescope:u/js220/1", window_s=WINDOW_S, windows=3))


def test_the_drivers_own_interface() -> None:
    driver = pytest.importorskip(
        "pyjoulescope_driver",
        reason="pyjoulescope_driver needs numpy 2, which the reference (tflite-runtime) can't have",
    )
    for name in ("device_paths", "open", "close", "publish", "subscribe", "unsubscribe"):
        assert hasattr(driver.Driver, name)
    with pytest.raises(DeviceError, match="no Joulescope 'u/js220/999999'"):
        measured(Plan("joulescope:u/js220/999999"))


def sample_energy(windows: int = 3) -> MeteredEnergy:
    trace = Trace(1000.0, np.r_[np.full(500, 0.001), np.full(1000, 0.02), np.full(100, 0.001)], (500, 1500), 0, "m")
    uj = tuple(200.0 + i for i in range(windows))
    return MeteredEnergy(
        uj, uj, 100, 1.0, 20.0, 1.0, "m", 1600, 0, "simulated", (trace,) * windows, ((500, 1500),) * windows
    )


def test_the_uncertainty_is_students() -> None:
    # 200, 201, 202: mean 201, s = 1; t(2) = 4.303; 4.303 / √3.
    assert sample_energy().uncertainty_uj == pytest.approx(4.303 / 3**0.5)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    values = np.random.default_rng(11)
    inside = 0
    for _ in range(2000):
        found = replace(sample_energy(), uj=tuple(values.normal(300, 7, 5)))
        inside += abs(found.uj_per_inference - 300) <= found.uncertainty_uj
    assert 0.935 < inside / 2000 < 0.965


def test_traces_as_files(tmp_path: Path) -> None:
    save(sample_energy(), tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as arrays:
        assert arrays["rate_hz"] == 1000
        assert arrays["span_2"].tolist() == [500, 1500]
        assert arrays["power_w_0"].shape == (1600,)
    save(sample_energy(), tmp_path / "t.csv")
    with (tmp_path / "t.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 4800
    assert sum(row["inferring"] == "1" for row in rows) == 3000
    assert float(rows[700]["watts"]) == pytest.approx(0.02)
    with pytest.raises(UsageError, match=r"not written as '.txt'"):
        require_format(tmp_path / "t.txt")


def test_traces_as_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    save(sample_energy(), tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes()[:4] == b"\x89PNG"
    save(sample_energy(), tmp_path / "t.svg")
    assert (tmp_path / "t.svg").read_text().count("<path") > 3 * 2  # a line and a marked window for each


@pytest.mark.parametrize("name", ["ppk2", "lpm01a"])
def test_a_meter_that_is_unplugged_in_the_midst(name: str) -> None:
    """An error of the meter's, and nothing hangs."""
    if name == "ppk2":
        script = Script.windows(RATE_HZ, 1.0, 5.0, IDLE_S, WINDOW_S)
        double: PtyMeter = Ppk2Double(scripts=[script])
        plan = ppk2_plan(double)  # type: ignore[arg-type]
    else:
        script = Script.windows(1000, 1.0, 5.0, IDLE_S, 1.2)
        double = PowerShieldDouble(scripts=[script])
        plan = Plan(f"lpm01a:{double.port}", window_s=1.2, windows=3)
    told = []

    def infer(count: int) -> float:
        told.append(count)
        double.unplug()
        return WINDOW_S if name == "ppk2" else 1.2

    with pytest.raises(DeviceError, match="the meter went away"), open_meter(plan) as meter:
        energy.measure(plan, meter, plan.window_s / COUNT, infer, "simulated")
    assert told == [COUNT]
