"""The firmware itself, as linked by both toolchains, on the virtual board: start-up, interrupts, counters, faults."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from fake_model import ELEMENTS, WEIGHTS, fake_tree

from edgeq import registry
from edgeq.codegen.tree import SourceTree
from edgeq.errors import EdgeqError
from edgeq.target import Target
from edgeq.toolchains.build import build_firmware
from edgeq.toolchains.firmware import Firmware

pytestmark = pytest.mark.skipif(
    bool(registry.missing(registry.RUNNERS["virtual"])), reason="the extra 'simulate' is not installed"
)
LIMIT = 200_000_000


class Device:
    """A virtual board under power."""

    def __init__(self, target: Target, firmware: Firmware) -> None:
        from edgeq.simulator.board import VirtualBoard

        self.board = VirtualBoard(target, firmware.image, firmware.elf)

    def until(self, text: bytes, sent: bytes = b"") -> str:
        """Send; what the device says until that text."""
        start = len(self.board.sent)
        self.board.feed(sent)
        self.board.run(LIMIT, until=lambda: text in self.board.sent[start:], slice_cycles=20_000)
        return bytes(self.board.sent[start:]).decode("ascii")

    def ask(self, command: str) -> list[str]:
        """The lines that a command is answered with."""
        said = self.until(b"m-ready\r\n", command.encode() + b"%")
        assert said.endswith("m-ready\r\n"), said
        return said.split("\r\n")[:-2]


@contextmanager
def powered(target: Target, firmware: Firmware) -> Iterator[Device]:
    device = Device(target, firmware)
    try:
        yield device
    finally:
        device.board.close()


@pytest.fixture(scope="session")
def firmware(board: Target, toolchain: str, cache: Path) -> Firmware:
    return build_firmware(fake_tree(board), board, toolchain, cache=cache)


@pytest.fixture
def device(board: Target, firmware: Firmware) -> Iterator[Device]:
    with powered(board, firmware) as device:
        assert re.fullmatch(
            r"m-timestamp-mode-performance\r\nm-lap-us-\d+\r\nm-init-done\r\nm-ready\r\n",
            device.until(b"m-ready\r\n"),
        )
        yield device


def test_it_runs_at_the_boards_clock(device: Device, board: Target) -> None:
    assert device.board.core_hz == board.clock_hz
    assert device.ask("edgeq info")[2:4] == [
        "m-edgeq-target-[nucleo-l4r5zi]",
        f"m-edgeq-clock-hz-[{board.clock_hz}]",
    ]


def test_the_clock_rises_by_way_of_its_half(board: Target, firmware: Firmware, monkeypatch: pytest.MonkeyPatch) -> None:
    """RM0432, dynamic voltage scaling: the prescaler before the switch, and back again after it."""
    from edgeq.simulator.peripherals import stm32l4_rcc

    seen: list[int] = []
    store = stm32l4_rcc.Rcc.store

    def noted(self: stm32l4_rcc.Rcc, offset: int, value: int) -> None:
        store(self, offset, value)
        seen.append(self.core_hz())

    monkeypatch.setattr(stm32l4_rcc.Rcc, "store", noted)
    with powered(board, firmware) as device:
        device.until(b"m-ready\r\n")
    changes = [hz for hz, before in zip(seen, [0, *seen], strict=False) if hz != before]
    assert changes == [4_000_000, 2_000_000, board.clock_hz // 2, board.clock_hz]


def test_a_reset_at_full_speed(device: Device) -> None:
    """The flash's wait states and the clock both go back, whichever comes first."""
    device.board.reset()
    assert device.board.core_hz == 4_000_000
    assert "m-init-done" in device.until(b"m-ready\r\n")


def test_an_inference(device: Device) -> None:
    x = np.array([-128, -127, -1, 0, 1, 2, 60, 100, 124, 125, 126, 127], np.int8)
    assert device.ask(f"db load {ELEMENTS}") == [f"m-[Expecting {ELEMENTS} bytes]"]
    assert device.ask(f"db {x.tobytes().hex()}") == ["m-load-done"]
    said = device.ask("infer 2 1")
    y = np.clip(x.astype(int) + np.array(WEIGHTS), -128, 127).astype(np.int8)
    assert said[-1] == "m-results-[" + ",".join(f"{(int(v) + 128) / 256:.3f}" for v in y) + "]"
    assert device.ask("edgeq out 0 0") == [f"m-edgeq-out-[{y.tobytes().hex()}]"]


def test_cycles_and_microseconds_agree(device: Device, board: Target) -> None:
    device.ask("infer 200 0")
    said = device.ask("infer 4000 0")
    start, end = (int(line.removeprefix("m-lap-us-")) for line in said if line.startswith("m-lap-us-"))
    (line,) = device.ask("edgeq run 8")
    first, *cycles = (int(n) for n in re.findall(r"\d+", line))
    assert max(cycles) - min(cycles) <= 2  # nothing interrupts a measurement
    assert first >= max(cycles)  # its instructions were not in the flash's cache yet
    per_run = (end - start) * board.clock_hz / 1e6 / 4000
    assert cycles[0] < per_run < cycles[0] + 400  # and the input's copy, loop and call


def test_layers_add_up(device: Device) -> None:
    (line,) = device.ask("edgeq run 3")
    total = int(re.findall(r"\d+", line)[-1])
    (layers,) = device.ask("edgeq layers")
    index, *cycles = (int(n) for n in re.findall(r"\d+", layers))
    assert index == 0
    assert len(cycles) == 2
    assert all(cycles)
    assert total - 100 < sum(cycles) < total  # but for the hook's own cycles


def test_the_stacks_high_water_mark(device: Device) -> None:
    def used() -> int:
        return int(re.findall(r"\d+", device.ask("edgeq stack")[0])[0])

    before = used()
    device.ask("infer 1 0")
    after = used()
    assert 64 <= before <= after <= 600
    assert used() == after


def test_a_command_that_comes_during_an_inference_is_not_lost(device: Device) -> None:
    """More than a FIFO's eight bytes, while the core computes: the interrupt has to take them."""
    start = len(device.board.sent)
    device.board.feed(b"infer 3000 0%" + b"edgeq out 0 00000000000000000000000%" + b"name%")
    device.board.run(LIMIT, until=lambda: device.board.sent[start:].count(b"m-ready") == 3)
    assert bytes(device.board.sent[start:]).endswith(b"m-ready\r\nm-name-dut-[edgeq]\r\nm-ready\r\n")


def test_it_sleeps_when_idle(device: Device) -> None:
    from edgeq.simulator.board import Ended

    device.ask("name")
    assert device.board.run(LIMIT) is Ended.IDLE
    assert device.ask("name") == ["m-name-dut-[edgeq]"]


FAULTS = {
    "undefined": ('__asm volatile("udf #0");', r"e-\[UsageFault pc=0x(\w{8}) lr=0x\w{8} cfsr=0x00010000\]"),
    "no handler": (
        "*(volatile unsigned *)0xE000E100 = 1u << 11; *(volatile unsigned *)0xE000E200 = 1u << 11;"
        ' __asm volatile("dsb; isb");',
        r"e-\[Interrupt 11 pc=0x(\w{8}) lr=0x\w{8} cfsr=0x00000000\]",
    ),
    "no memory there": (
        "*(volatile int *)0xD0000000 = 1;",
        r"e-\[BusFault pc=0x(\w{8}) lr=0x\w{8} cfsr=0x0000\w{4}\]",
    ),
}


def with_statement(tree: SourceTree, statement: str, before: str = "") -> SourceTree:
    """The fake model with a statement at the start of model_invoke, and something before all functions."""
    head, includes = "int8_t *x = (int8_t *)arena;", "#include <string.h>\n"
    model = tree.files["model.c"].decode().replace(head, f"{head}\n    {statement}")
    model = model.replace(includes, includes + before)
    return dataclasses.replace(tree, files={**tree.files, "model.c": model.encode()})


@pytest.mark.parametrize("cause", sorted(FAULTS))
def test_faults_end_in_one_line(board: Target, toolchain: str, cache: Path, cause: str) -> None:
    statement, report = FAULTS[cause]
    firmware = build_firmware(with_statement(fake_tree(board), statement), board, toolchain, cache=cache)
    with powered(board, firmware) as device:
        device.until(b"m-ready\r\n")
        with suppress(EdgeqError):  # the board tells of it too
            device.until(b"cfsr=", b"infer 1 0%")
            device.until(b"]\r\n")
        said = bytes(device.board.sent).decode()
    found = re.search(report, said)
    assert found, said
    start, size = firmware.symbols["model_invoke"]
    assert start <= int(found[1], 16) < start + size


DEEPER = """
int deeper(int n);
__attribute__((noinline)) int deeper(int n) {
    volatile int space[16];
    space[n & 15] = n;
    return n > 0 ? deeper(n - 1) + space[n & 15] : 0;
}
"""


def test_a_stack_overflow_is_caught_before_it_overwrites_data(board: Target, toolchain: str, cache: Path) -> None:
    tree = with_statement(fake_tree(board), "x[0] = (int8_t)deeper(1000000);", DEEPER)
    with powered(board, build_firmware(tree, board, toolchain, cache=cache)) as device:
        device.until(b"m-ready\r\n")
        with pytest.raises(EdgeqError, match=r"stack (overflow|pointer)"):
            device.until(b"m-ready\r\n", b"infer 1 0%")
