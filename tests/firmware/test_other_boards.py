"""The image for the nRF52840 DK and the NUCLEO-F429ZI, as linked, on their virtual boards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_model import ELEMENTS, WEIGHTS, fake_tree

from edgeq import registry, target
from edgeq.target import Target
from edgeq.toolchains.build import build_firmware

pytestmark = pytest.mark.skipif(
    bool(registry.missing(registry.RUNNERS["virtual"])), reason="the extra 'simulate' is not installed"
)
LIMIT = 200_000_000


class Powered:
    """A virtual board under power, with its window pin watched."""

    def __init__(self, board: Target, cache: Path) -> None:
        from edgeq.simulator.board import VirtualBoard

        self.target = board
        self.edges: list[tuple[bool, int]] = []
        firmware = build_firmware(fake_tree(board), board, "zig", cache=cache)
        self.board = VirtualBoard(board, firmware.image, firmware.elf, pin_changed=self._pin)

    def _pin(self, name: str, level: bool, cycle: int) -> None:
        if self.target.board.window_pin is not None and name == self.target.board.window_pin.pin:
            self.edges.append((level, cycle))

    def ask(self, command: str = "") -> list[str]:
        """The lines that a command is answered with."""
        start = len(self.board.sent)
        self.board.feed((command + "%").encode() if command else b"")
        self.board.run(LIMIT, until=lambda: b"m-ready\r\n" in self.board.sent[start:], slice_cycles=20_000)
        said = bytes(self.board.sent[start:]).decode("ascii")
        assert said.endswith("m-ready\r\n"), said
        return said.split("\r\n")[:-2]


@pytest.fixture(scope="module", params=["nrf52840dk", "nucleo-f429zi"])
def device(request: pytest.FixtureRequest, cache: Path) -> Iterator[Powered]:
    powered = Powered(target.load(str(request.param)), cache)
    assert powered.ask()[-1] == "m-init-done"
    yield powered
    powered.board.close()


def test_it_runs_at_the_boards_clock(device: Powered) -> None:
    assert device.board.core_hz == device.target.clock_hz
    said = device.ask("edgeq info")
    assert f"m-edgeq-target-[{device.target.name}]" in said
    assert f"m-edgeq-clock-hz-[{device.target.clock_hz}]" in said


def test_an_inference_and_the_pin_at_its_windows_edges(device: Powered) -> None:
    x = np.array([-128, -127, -1, 0, 1, 2, 60, 100, 124, 125, 126, 127], np.int8)
    device.ask(f"db load {ELEMENTS}")
    device.ask(f"db {x.tobytes().hex()}")
    device.edges.clear()
    said = device.ask("infer 50 1")
    y = np.clip(x.astype(int) + np.array(WEIGHTS), -128, 127).astype(np.int8)
    assert device.ask("edgeq out 0 0") == [f"m-edgeq-out-[{y.tobytes().hex()}]"]
    # Low at both edges of the window, and the window between the two falls is what the timer says.
    assert [level for level, _ in device.edges] == [False, True, False, True]
    start, end = (int(line.removeprefix("m-lap-us-")) for line in said if line.startswith("m-lap-us-"))
    window_us = (device.edges[2][1] - device.edges[0][1]) / device.target.clock_hz * 1e6
    pulse_us = (device.edges[1][1] - device.edges[0][1]) / device.target.clock_hz * 1e6
    assert 50 < pulse_us < 200
    assert 0 <= window_us - (end - start) <= 2 * pulse_us


def test_cycles_and_microseconds_agree(device: Powered) -> None:
    device.ask("infer 200 0")
    said = device.ask("infer 2000 0")
    start, end = (int(line.removeprefix("m-lap-us-")) for line in said if line.startswith("m-lap-us-"))
    (line,) = device.ask("edgeq run 8")
    _, *cycles = (int(n) for n in re.findall(r"\d+", line))
    assert max(cycles) - min(cycles) <= 6
    per_run = (end - start) * device.target.clock_hz / 1e6 / 2000
    assert cycles[-1] < per_run < cycles[-1] + 400  # and the input's copy, loop and call


def test_a_command_that_comes_during_an_inference_is_not_lost(device: Powered) -> None:
    start = len(device.board.sent)
    device.board.feed(b"infer 1000 0%" + b"edgeq out 0 00000000000000000000000%" + b"name%")
    device.board.run(LIMIT, until=lambda: device.board.sent[start:].count(b"m-ready") == 3)
    assert bytes(device.board.sent[start:]).endswith(b"m-ready\r\nm-name-dut-[edgeq]\r\nm-ready\r\n")


def test_a_reset_at_full_speed_and_sleep_afterwards(device: Powered) -> None:
    from edgeq.simulator.board import Ended

    device.board.reset()
    assert device.ask()[-1] == "m-init-done"
    assert device.board.run(LIMIT) is Ended.IDLE
    assert device.ask("name") == ["m-name-dut-[edgeq]"]
