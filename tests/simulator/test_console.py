"""The console as other programs see it: a process, a port that pyserial opens, an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgeq.simulator.board import Ended
from tests.simulator.conftest import MakeBoard
from tests.simulator.images import CONSOLE, TestImage, build

serial = pytest.importorskip("serial")

# Sends back every byte, from the receive interrupt.
ECHO = """
 ldr r0, =0x40008000
1: ldr r1, [r0, #0x1C]
 lsls r2, r1, #26
 bpl 2f
 ldr r1, [r0, #0x24]
 str r1, [r0, #0x28]
 b 1b
2: bx lr
"""
WAIT = "1: wfi\n b 1b\n"
ECHO_IMAGE = (CONSOLE + WAIT, {70: ECHO})


@contextmanager
def served(
    firmware: TestImage, folder: Path, *options: str
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    """`python -m edgeq.simulator` with its first line; killed at the end."""
    (folder / "image.bin").write_bytes(firmware.image)
    (folder / "image.elf").write_bytes(firmware.elf)
    argv = [sys.executable, "-m", "edgeq.simulator", str(folder / "image.bin"), "--target", "nucleo-l4r5zi",
            "--elf", str(folder / "image.elf"), *options]  # fmt: skip
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe) as child:
        try:
            assert child.stdout is not None
            yield child, json.loads(child.stdout.readline())
        finally:
            child.kill()


def test_characters_wait_in_the_fifo_and_raise_the_interrupt(board: MakeBoard) -> None:
    running = board(build(*ECHO_IMAGE))
    text = bytes(range(256)) * 8
    running.feed(text)
    assert running.run(10_000_000, until=lambda: len(running.sent) >= len(text)) in (Ended.CONDITION, Ended.IDLE)
    assert bytes(running.sent) == text


def test_sixty_thousand_characters_are_taken_quickly(board: MakeBoard) -> None:
    """What loading an image of 96 × 96 × 3 bytes takes over the console, as hexadecimal."""
    running = board(build(*ECHO_IMAGE))
    running.feed(b"x" * 60_000)
    started = time.process_time()
    running.run(1_000_000_000, until=lambda: len(running.sent) >= 60_000)
    assert len(running.sent) == 60_000
    assert time.process_time() - started < 5  # measured: 1 s; the rest is for busy machines


@pytest.mark.parametrize("options", [(), ("--socket",)])
def test_echo_through_pyserial(tmp_path: Path, options: tuple[str, ...]) -> None:
    with served(build(*ECHO_IMAGE), tmp_path, *options) as (child, told):
        assert told["port"].startswith("socket://127.0.0.1:" if options else "/dev/")
        assert told["cycle_model"].startswith("cortex-m4 r")
        with serial.serial_for_url(told["port"], baudrate=115200, timeout=5) as port:
            for chunk in (b"a", b"hello\r\n", bytes(range(256)), b"\x03\x04\x11\x13" * 20):
                port.write(chunk)
                assert port.read(len(chunk)) == chunk
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(5) == 0


def test_a_socket_can_be_opened_again_after_it_was_closed(tmp_path: Path) -> None:
    with served(build(*ECHO_IMAGE), tmp_path, "--socket") as (_, told):
        for text in (b"first", b"second"):
            with serial.serial_for_url(told["port"], timeout=5) as port:
                port.write(text)
                assert port.read(len(text)) == text


@pytest.mark.skipif(not hasattr(os, "kill") or os.name != "posix", reason="POSIX signals")
def test_terminating_it_is_no_error(tmp_path: Path) -> None:
    with served(build(*ECHO_IMAGE), tmp_path) as (child, _):
        child.terminate()
        assert child.wait(5) == 0


def test_a_fault_ends_it_with_code_5_and_says_where(tmp_path: Path) -> None:
    body = CONSOLE + " ldr r0, =0x60000000\n ldr r1, [r0]\n"
    with served(build(body), tmp_path) as (child, _):
        assert child.stdout is not None and child.stderr is not None
        out, err = child.stdout.read(), child.stderr.read()  # it ends by itself
        child.wait(5)
    fault = json.loads(out.splitlines()[-1])["fault"]
    assert child.returncode == fault["exit_code"] == 5
    assert fault["facts"]["kind"] == "bus-fault"
    assert fault["facts"]["symbol"].startswith("reset+")
    assert "0x60000000" in err.decode()


def test_an_unknown_target_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "image.bin").write_bytes(build(" wfi\n").image)
    argv = [sys.executable, "-m", "edgeq.simulator", str(tmp_path / "image.bin"), "--target", "nucleo-l4r5z"]
    ended = subprocess.run(argv, capture_output=True, timeout=30, check=False, stdin=subprocess.DEVNULL)
    assert ended.returncode == 2
    assert "nucleo-l4r5zi" in ended.stderr.decode()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads processor time from /proc")
def test_a_sleeping_board_costs_nothing(tmp_path: Path) -> None:
    def ticks(pid: int) -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    with served(build(*ECHO_IMAGE), tmp_path) as (child, _):
        time.sleep(0.5)
        before = ticks(child.pid)
        time.sleep(1.5)
        assert ticks(child.pid) - before <= 8  # hundredths of a second


def test_a_console_whose_clock_is_off_is_silent_and_says_why(board: MakeBoard) -> None:
    said: list[str] = []
    body = " ldr r0, =0x40008000\n movs r1, #13\n str r1, [r0]\n movs r1, #65\n str r1, [r0, #0x28]\n wfi\n"
    running = board(build(body), listener=lambda event: said.append(event.text))
    assert running.run(10_000) is Ended.IDLE
    assert bytes(running.sent) == b""
    assert len(said) == 1 and "LPUART1" in said[0]
