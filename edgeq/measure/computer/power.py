"""Energy of a computer from a sensor that it has itself: INA2xx chips through hwmon, and the Raspberry Pi 5's PMIC.

An INA2xx is read every 5 ms by whatever runs the model. The PMIC is asked by a shell loop beside it, a few times a
second; its rails leave out what the regulators lose and what USB devices draw, so what comes of it is an estimate.
"""

from __future__ import annotations

import posixpath
import re
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from edgeq.errors import DeviceError, UsageError
from edgeq.measure.computer.engines import EngineRun, SensorTrace
from edgeq.measure.computer.measurement import ComputerEnergy
from edgeq.runners.hosts import Host

MIN_SAMPLES = 20
"""Readings in the window, below which nothing is said of energy."""

IDLE_SECONDS = 2
_BLOCKS = 10
# Student's t, 97.5 %, for _BLOCKS - 1 degrees of freedom.
_T_95 = 2.262
_TIMEOUT_S = 60.0
# The kernel's hwmon ABI: power1_input in µW; the ina2xx and ina238 drivers have it.
_FIND = (
    "for d in /sys/class/hwmon/hwmon*; do n=$(cat $d/name 2>/dev/null); "
    '[ -r $d/power1_input ] && printf "%s %s\\n" "$n" $d/power1_input; done; true'
)
_CHIP = re.compile(r"ina\d+\w*")


# /proc/uptime counts what CLOCK_MONOTONIC does, as long as the computer isn't suspended (proc(5)).
_PMIC_LOOP = (
    'command -v vcgencmd >/dev/null || exit 1; (while :; do read -r u r </proc/uptime; echo "at $u"; '
    "vcgencmd pmic_read_adc; sleep 0.1; done) >{file} 2>/dev/null </dev/null & echo $!"
)
_RAIL = re.compile(r"(?P<rail>\w+)_(?P<kind>[AV])\s+(?:current|volt)\(\d+\)=(?P<value>[\d.]+)[AV]")


@dataclass(frozen=True)
class PowerSensor:
    """Something that knows a computer's power.

    Attributes:
        chip: an INA2xx driver's name, or "pmic".
        file: with µW, whole numbers; of the PMIC, where its readings are gathered.
    """

    chip: str
    file: str

    @property
    def read_by_engine(self) -> bool:
        """Whether `file` can be read whenever one likes."""
        return self.chip != "pmic"


def find_ina(host: Host) -> PowerSensor:
    """The INA2xx of a computer.

    Raises:
        DeviceError: there is none, or several.
    """
    said = host.script(_FIND, timeout_s=_TIMEOUT_S).text
    chips = [PowerSensor(*line.split(" ", 1)) for line in said.splitlines() if _CHIP.match(line)]
    if len(chips) == 1:
        return chips[0]
    if not chips:
        raise DeviceError(
            "has no INA2xx power sensor",
            where=host.name,
            next_step="load its driver (dtoverlay=i2c-sensor,ina226,addr=0x40,shunt-resistor=…); "
            "`cat /sys/class/hwmon/hwmon*/name` lists what there is",
        )
    raise DeviceError(
        f"has {len(chips)} power sensors",
        where=host.name,
        next_step="name one with --meter ina2xx:FILE: " + ", ".join(chip.file for chip in chips),
    )


def sensor_of(meter: str, host: Host) -> PowerSensor | None:
    """The sensor that `--meter` names; None for "".

    Raises:
        UsageError: a computer has no such meter.
        DeviceError: see `find_ina`.
    """
    if not meter:
        return None
    kind, _, file = meter.partition(":")
    if kind == "pmic":
        return PowerSensor(kind, posixpath.join(host.folder, "pmic"))
    if kind != "ina2xx":
        raise UsageError(
            f"'{kind}' doesn't measure a computer from within",
            next_step="--meter ina2xx, ina2xx:/sys/class/hwmon/hwmon3/power1_input, or pmic (Raspberry Pi 5)",
        )
    return PowerSensor("ina2xx", file) if file else find_ina(host)


@contextmanager
def watching(sensor: PowerSensor | None, host: Host) -> Iterator[list[SensorTrace]]:
    """Read, for as long as the context lasts, what no engine reads; the list has its trace afterwards.

    Raises:
        DeviceError: there is no `vcgencmd`.
    """
    traces: list[SensorTrace] = []
    if sensor is None or sensor.read_by_engine:
        yield traces
        return
    started = host.script(_PMIC_LOOP.format(file=shlex.quote(sensor.file)), timeout_s=_TIMEOUT_S)
    if started.exit_code != 0 or not started.text.strip().isdigit():
        raise DeviceError(
            "has no vcgencmd, which reads the PMIC", where=host.name, next_step="only Raspberry Pi OS on a Pi 5 has it"
        )
    time.sleep(IDLE_SECONDS)
    try:
        yield traces
    finally:
        host.run(["kill", started.text.strip()], timeout_s=_TIMEOUT_S)
    traces.append(SensorTrace(sensor.file, parse_pmic(host.read(sensor.file).decode(errors="replace"))))


def parse_pmic(text: str) -> tuple[tuple[int, int], ...]:
    """Time in ns and the sum of all rails in µW, for each reading between two `at` lines."""
    readings = []
    for part in text.split("at ")[1:]:
        head, _, body = part.partition("\n")
        rails: dict[str, dict[str, float]] = {}
        for found in _RAIL.finditer(body):
            rails.setdefault(found["rail"], {})[found["kind"]] = float(found["value"])
        watts = [rail["A"] * rail["V"] for rail in rails.values() if len(rail) == 2]
        if watts:
            readings.append((round(float(head) * 1e9), round(sum(watts) * 1e6)))
    return tuple(readings)


def energy(run: EngineRun, sensor: PowerSensor) -> ComputerEnergy:
    """Energy per inference of a run whose `traces` has the sensor's readings.

    The mean power over the window times its length, by the number of inferences. The uncertainty is that of the mean,
    from the spread of the window's tenths; the sensor's own tolerance (its shunt's, mostly) comes on top.

    Raises:
        DeviceError: too few readings in the window.
    """
    trace = next(t for t in run.traces if t.file == sensor.file)
    start, end = run.window_ns
    inside = _milliwatts(trace, start, end)
    if len(inside) < MIN_SAMPLES:
        raise DeviceError(
            f"the sensor gave {len(inside)} readings while the model ran, {MIN_SAMPLES} are needed",
            where=sensor.file,
            next_step="--seconds 10, or more",
            readings=len(inside),
        )
    count = run.inferences or len(run.run_ns)
    each_s = (end - start) / 1e9 / count
    blocks = [float(block.mean()) for block in np.array_split(inside, _BLOCKS)]
    spread = _T_95 * float(np.std(blocks, ddof=1)) / _BLOCKS**0.5
    mean = float(inside.mean())
    idle = _idle(trace, run.idle_ns)
    return ComputerEnergy(
        uj_per_inference=mean * each_s * 1000,
        above_idle_uj=None if idle is None else (mean - idle) * each_s * 1000,
        uncertainty_uj=spread * each_s * 1000,
        provenance="measured" if sensor.read_by_engine else "estimated",
        mean_mw=mean,
        idle_mw=idle,
        samples=len(inside),
        source=f"{sensor.chip} ({sensor.file}) in the computer's supply; its own tolerance not included"
        if sensor.read_by_engine
        else "the PMIC's rails (vcgencmd pmic_read_adc), without the regulators' losses and USB devices",
    )


def _milliwatts(trace: SensorTrace, start: int, end: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([value / 1000 for at, value in trace.samples if start <= at <= end], np.float64)


def _idle(trace: SensorTrace, window: Sequence[int] | None) -> float | None:
    if window is None:
        return None
    readings = _milliwatts(trace, window[0], window[1])
    return float(readings.mean()) if len(readings) >= MIN_SAMPLES else None
