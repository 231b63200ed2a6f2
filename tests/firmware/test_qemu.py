"""The very images that `edgeq build` makes, booted in QEMU's emulated boards and spoken to over their serial port.

Cortex-M4 (mps2-an386), an STM32F405 (netduinoplus2) and a Cortex-M55 (mps3-an547): another emulator than edgeq's own,
with its own idea of reset, interrupts and memory. Its time means nothing, so only what is computed is looked at.
"""

from __future__ import annotations

import re
import select
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_model import fake_tree
from models import digits_int8_tflite
from test_boot import DEEPER, with_statement
from toolchain_fixtures import require_toolchain

from edgeq import pipeline, process, target, tflite
from edgeq.measure.session import Session
from edgeq.measure.wire import Wire
from edgeq.reference.engine import Reference
from edgeq.target import Target
from edgeq.toolchains.build import build_firmware
from edgeq.toolchains.firmware import Firmware

PROGRAM = "qemu-system-arm"
MACHINES = {
    name: way.machine for name in target.names() for way in target.load(name).board.flash_method if way.method == "qemu"
}
START_S = 30.0
pytestmark = [
    pytest.mark.skipif(shutil.which(PROGRAM) is None, reason=f"{PROGRAM} is not on PATH"),
    pytest.mark.skipif(not Path("/dev/ptmx").exists(), reason="there are no pseudo-terminals here"),
]


@pytest.fixture(params=sorted(MACHINES))
def emulated(request: pytest.FixtureRequest) -> Target:
    return target.load(str(request.param))


@contextmanager
def booted(firmware: Firmware, folder: Path) -> Iterator[str]:
    """The pseudo-terminal of the board's console."""
    image = folder / "firmware.elf"
    image.write_bytes(firmware.elf)
    machine = ["-machine", MACHINES[firmware.target], "-kernel", image]
    child = process.start([PROGRAM, *machine, "-serial", "pty", "-display", "none", "-monitor", "none"])
    try:
        yield _console(child)
    finally:
        process.kill_tree(child)
        child.communicate()


def _console(child: object) -> str:
    """What QEMU says first: "char device redirected to /dev/pts/4 (label serial0)"."""
    streams = [child.stdout, child.stderr]  # type: ignore[attr-defined]
    said, deadline = b"", time.monotonic() + START_S
    while time.monotonic() < deadline:
        for stream in select.select(streams, [], [], 0.1)[0]:
            said += stream.read1()
        found = re.search(rb"redirected to (\S+)", said)
        if found:
            return found[1].decode()
    raise AssertionError(f"QEMU told no port: {said!r}")


def exact(model: bytes, board: Target, toolchain: str, folder: Path, cache: Path, samples: list[Any]) -> None:
    """The device's outputs are the reference's, byte for byte."""
    graph = tflite.parse(model)
    reference = Reference(model, graph)
    built = pipeline.build(model, board, toolchain=toolchain, cache=cache)
    with booted(built, folder) as port, Wire.open(port, board.board.console.baud) as wire:
        session = Session(wire)
        told = session.info()
        assert told is not None and (told.target, told.build) == (board.name, built.manifest.build)
        for sample in samples:
            session.load(sample.tobytes())
            # Not session.infer, which looks at the time too: QEMU's STM32F405 has timers twelve times too fast.
            wire.command("infer 1 0", expect="m-results-[", timeout_s=START_S)
            (expected,) = reference.run([sample])
            assert session.output(0, expected.nbytes) == expected.tobytes()
        assert 0 < session.stack_used() < 2048


@pytest.mark.parametrize("compiler", ["gcc", pytest.param("zig", marks=pytest.mark.slow)])
def test_a_network_is_bit_exact(emulated: Target, compiler: str, tmp_path: Path, cache: Path) -> None:
    toolchain = require_toolchain(compiler)
    model = digits_int8_tflite()
    tensor = tflite.parse(model).tensors[tflite.parse(model).inputs[0]]
    generator = np.random.default_rng(5)
    samples = [generator.integers(-128, 128, tensor.shape, np.int8) for _ in range(5)]
    exact(model, emulated, toolchain, tmp_path, cache, samples)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("name", ["kws", "vww", "ic", "ad"])
def test_the_reference_models_are_bit_exact(
    shared: Path, emulated: Target, toolchain: str, tmp_path: Path, cache: Path, name: str
) -> None:
    model = (shared / "mlperf_tiny" / f"{name}_int8.tflite").read_bytes()
    if not pipeline.check(model, emulated).fits:
        pytest.skip(f"{name} doesn't fit {emulated.name}")
    tensor = tflite.parse(model).tensors[tflite.parse(model).inputs[0]]
    samples = [np.random.default_rng(i).integers(-128, 128, tensor.shape, np.int8) for i in range(2)]
    exact(model, emulated, toolchain, tmp_path, cache, samples)


def test_it_can_be_profiled(tmp_path: Path, cache: Path) -> None:
    """Its cycles are the emulator's, and called simulated."""
    board, model = target.load("corstone-300"), digits_int8_tflite()
    built = pipeline.build(model, board, toolchain=require_toolchain("gcc"), cache=cache)
    with booted(built, tmp_path) as port:
        measured = pipeline.profile(model, board, port=port, firmware=built, samples=2, runs=2)
    assert measured.validation.bit_exact and measured.provenance == "simulated"
    assert measured.median_cycles > 0


def test_a_command_that_comes_during_an_inference_is_not_lost(emulated: Target, tmp_path: Path, cache: Path) -> None:
    """The console's interrupt takes its bytes while the core computes."""
    firmware = build_firmware(fake_tree(emulated), emulated, require_toolchain("gcc"), cache=cache)
    from serial import Serial

    with booted(firmware, tmp_path) as port:
        with Wire.open(port, emulated.board.console.baud) as wire:
            Session(wire)
        with Serial(port, emulated.board.console.baud, timeout=0.1) as line:
            line.write(b"infer 20000 0%" + b"edgeq out 0 00000000000000000000000%" + b"name%")
            said, deadline = b"", time.monotonic() + START_S
            while said.count(b"m-ready") < 3 and time.monotonic() < deadline:
                said += line.read(1000)
    assert said.endswith(b"m-ready\r\nm-name-dut-[edgeq]\r\nm-ready\r\n")


FAULTS = {
    "undefined": ('__asm volatile("udf #0");', "", r"UsageFault pc=0x(\w{8}) lr=0x\w{8} cfsr=0x00010000"),
    "overflow": (
        "x[0] = (int8_t)deeper(1000000);",
        DEEPER,
        r"\w+Fault (?:stack overflow sp|pc)=0x(\w{8}) .*cfsr=0x\w+",
    ),
}


@pytest.mark.parametrize("cause", sorted(FAULTS))
def test_a_fault_ends_in_one_line(emulated: Target, tmp_path: Path, cache: Path, cause: str) -> None:
    from edgeq.errors import DeviceError

    statement, before, report = FAULTS[cause]
    tree = with_statement(fake_tree(emulated), statement, before)
    firmware = build_firmware(tree, emulated, require_toolchain("gcc"), cache=cache)
    with booted(firmware, tmp_path) as port, Wire.open(port, emulated.board.console.baud) as wire:
        Session(wire)
        with pytest.raises(DeviceError) as caught:
            wire.command("infer 1 0")
    assert re.search(report, str(caught.value)), caught.value
