"""A board that is unplugged in the midst of a profile, and comes back, under another name too."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from device_double import Behaviour, DeviceDouble, Firmware

from edgeq import target as targets
from edgeq.codegen.tree import Layer, Manifest, TensorInfo
from edgeq.errors import NegativeResult, PortError
from edgeq.measure.inputs import seeded
from edgeq.measure.measurement import Measurement
from edgeq.measure.profile import Setting, Subject, profile
from edgeq.runners.ports import SerialPort, follow

SERIAL = "0672FF"
END = TensorInfo("x", "INT8", (1, 70), 70, 0.5, 0)
MANIFEST = Manifest(
    model_name="double",
    model_sha256="ab" * 32,
    model_bytes=1000,
    target="nucleo-l4r5zi",
    clock_hz=120_000_000,
    arena_bytes=512,
    weights_bytes=640,
    macs=9_000,
    inputs=(END,),
    outputs=(replace(END, name="y"),),
    layers=tuple(Layer(i, "CONV_2D", f"conv{i}", "conv_1x1_m4", 800 + i, 60) for i in range(11)),
    build="0123456789abcdef",
)


def reference(inputs: Any) -> list[Any]:
    return [np.invert(inputs[0])]


def subject() -> Subject:
    return Subject(MANIFEST, targets.load("nucleo-l4r5zi"), seeded([END], 4, 1), reference, "the double's rule")


@dataclass
class Bench:
    """One plug: what is in it now has the serial number; `plug` changes what that is."""

    here: DeviceDouble | None = None

    def look(self) -> tuple[SerialPort, ...]:
        other = SerialPort("/dev/ttyS0", "on board", -1, -1, "")
        device = self.here
        return (other,) if device is None else (other, SerialPort(device.port, "ST-LINK", 0x0483, 0x374B, SERIAL))


def run(
    firmware: Firmware,
    cut: str,
    away_s: float = 0.3,
    timeout_s: float = 10.0,
    comes_back: Callable[[], DeviceDouble] | None = None,
    wanted: Subject | None = None,
) -> tuple[Measurement, list[str]]:
    """A profile in which the board goes when it has heard `cut` for the second time; what the second board heard."""
    bench = Bench()
    with ExitStack() as stack:
        first = stack.enter_context(DeviceDouble(firmware, Behaviour()))
        bench.here = first
        again = stack.enter_context(comes_back()) if comes_back else None  # another name, because both are there
        find = follow(first.port, bench.look)

        def unplug() -> None:
            end = time.monotonic() + 20
            while sum(c.startswith(cut) for c in list(first.firmware.seen)) < 2 and time.monotonic() < end:
                time.sleep(0.001)
            bench.here = None
            first.unplug()
            time.sleep(away_s)
            bench.here = again

        hand = threading.Thread(target=unplug)
        hand.start()
        try:
            setting = Setting(first.port, 115200, "simulated", runs=9, find=find, reconnect_s=timeout_s)
            got = profile(setting, wanted or subject())
        finally:
            hand.join()
        return got, bench.here.firmware.seen if bench.here else []


@pytest.mark.parametrize("cut", ["edgeq put", "edgeq run", "edgeq out", "edgeq layers"])
def test_it_goes_on_where_it_was(cut: str) -> None:
    got, heard = run(Firmware(), cut, comes_back=lambda: DeviceDouble(Firmware()))
    assert got.validation.bit_exact and got.validation.samples == 4 and len(got.cycles) == 9
    assert got.reconnections == 1 and got.to_json()["reconnections"] == 1
    assert any("came back once" in text for text in got.notices)
    # The sample that was cut off and those after it, and one load for the runs without a sample; not the first again.
    assert 2 <= sum(command.startswith("edgeq put") for command in heard) <= 5


def test_a_state_starts_again_on_both_sides() -> None:
    class Counting:
        done = 0

        def run(self, inputs: Any) -> list[Any]:
            self.done += 1
            return [np.invert(inputs[0]) ^ np.int8(self.done - 1)]

        def reset(self) -> None:
            self.done = 0

    rule = Counting()
    stateful = replace(subject(), reference=rule.run, reset=rule.reset)
    firmware = Firmware(state_bytes=8)
    got, heard = run(firmware, "edgeq run", comes_back=lambda: DeviceDouble(Firmware(state_bytes=8)), wanted=stateful)
    assert got.validation.bit_exact and got.reconnections == 1
    assert any(command.startswith("edgeq reset") for command in heard)


def test_another_board_at_the_port_is_refused() -> None:
    with pytest.raises(NegativeResult, match="another device answers"):
        run(Firmware(), "edgeq run", comes_back=lambda: DeviceDouble(Firmware(build="f" * 16)))


def test_one_that_stays_away_is_an_error_in_time() -> None:
    started = time.monotonic()
    with pytest.raises(PortError, match=r"did not come back within 1 s") as gone:
        run(Firmware(), "edgeq run", timeout_s=1.0)
    assert time.monotonic() - started < 15 and "--timeout" in gone.value.next_step


def test_a_port_is_followed_by_its_place_on_its_device() -> None:
    """Boards with two ports come back with both, under other names."""
    ports = [SerialPort("/dev/ttyACM0", "a", 1, 2, "X"), SerialPort("/dev/ttyACM1", "b", 1, 2, "X")]
    now = follow("/dev/ttyACM1", lambda: tuple(ports))
    assert now() == "/dev/ttyACM1"
    ports[:] = [SerialPort("/dev/ttyACM2", "a", 1, 2, "X"), SerialPort("/dev/ttyACM5", "b", 1, 2, "X")]
    assert now() == "/dev/ttyACM5"
    ports.clear()
    with pytest.raises(PortError, match="isn't plugged in"):
        now()
    assert follow("socket://lab:1", lambda: tuple(ports))() == "socket://lab:1"
