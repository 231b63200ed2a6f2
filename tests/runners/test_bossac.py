"""Arduino's way: a touch at 1200 baud on a real pseudo-terminal, and bossac's arguments."""

from __future__ import annotations

import os
import struct
import termios
import threading
import time
import tty
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from edgeq import target as targets
from edgeq.errors import DeviceError, MissingDependencyError, PortError, ToolError, UnsupportedError
from edgeq.events import silent
from edgeq.process import Transcript
from edgeq.runners.bossac import Bossac, touch
from edgeq.runners.contract import FlashOptions
from edgeq.runners.image import Image
from edgeq.runners.ports import SerialPort

TARGET = targets.load("arduino-nano-33-ble")
IMAGE = Image(0x1_0000, struct.pack("<II", 0x2000_1000, 0x1_0101) + bytes(range(250)) * 9)
SKETCH, BOOTLOADER = 0x805A, 0x005A
ALLOWED = FlashOptions(allow_erase=True)


@dataclass
class Board:
    """A Nano 33 BLE: a sketch at a pseudo-terminal; a touch brings the bootloader's port, under another name."""

    serial_number: str = "8E64E9D5A3A0C9F2"
    wakes: bool = True
    speeds: list[int] = field(default_factory=list)
    in_bootloader: bool = False
    port: str = ""

    def ports(self) -> tuple[SerialPort, ...]:
        other = SerialPort("/dev/ttyACM7", "another Nano", 0x2341, BOOTLOADER, "0000")
        if self.in_bootloader:
            return (other, SerialPort("/dev/ttyACM1", "bootloader", 0x2341, BOOTLOADER, self.serial_number))
        return (other, SerialPort(self.port, "Nano 33 BLE", 0x2341, SKETCH, self.serial_number))

    def watch(self, master: int, stop: threading.Event) -> None:
        """What the sketch's USB stack does: look at the speed, and restart when it was 1200 and the port is closed."""
        while not stop.is_set():
            speed = termios.tcgetattr(master)[4]
            if speed != (self.speeds[-1] if self.speeds else -1):
                self.speeds.append(speed)
            if speed == termios.B1200 and self.wakes:
                time.sleep(0.15)
                self.in_bootloader = True
            time.sleep(0.01)


@pytest.fixture
def board() -> Iterator[Board]:
    made, stop = Board(), threading.Event()
    master, slave = os.openpty()
    tty.setraw(slave)
    made.port = os.ttyname(slave)
    thread = threading.Thread(target=made.watch, args=(master, stop), daemon=True)
    thread.start()
    yield made
    stop.set()
    thread.join(5)
    os.close(master)
    os.close(slave)


@dataclass
class Tool:
    """Stands for bossac: keeps the flash, and every argv."""

    spoil: int = -1
    fails_at: str = ""
    argvs: list[list[str]] = field(default_factory=list)
    flash: bytes = b""

    def __call__(self, argv: Sequence[str | Path], timeout_s: float) -> Transcript:
        words = [str(word) for word in argv]
        self.argvs.append(words)
        if self.fails_at and self.fails_at in words:
            raise ToolError("bossac exited with 1", stderr="No device found on ttyACM1")
        if "-w" in words:
            self.flash = Path(words[-1]).read_bytes()
        for word in words:
            if word.startswith("-r="):
                data = bytearray(self.flash[: int(word[3:])])
                if self.spoil >= 0:
                    data[self.spoil] ^= 1
                Path(words[-1]).write_bytes(data)
        return Transcript(tuple(words), 0, "", "")


def runner(board: Board, tool: Tool, settle_s: float = 5.0) -> Bossac:
    return Bossac(present=board.ports, run=tool, tool=lambda: "bossac", settle_s=settle_s, poll_s=0.02)


def test_a_touch_opens_at_1200_baud_and_closes(board: Board) -> None:
    touch(board.port, 1200)
    time.sleep(0.05)
    assert board.speeds[-1] == termios.B1200
    with pytest.raises(PortError, match="no such port"):
        touch("/dev/ttyACM99", 1200)


def test_the_bootloader_is_followed_by_its_serial_number_and_the_arguments(board: Board) -> None:
    tool = Tool()
    on = runner(board, tool)
    device = next(d for d in on.find(TARGET, ALLOWED) if d.id == board.port)
    result = on.flash(IMAGE, TARGET, device, ALLOWED, silent)
    assert board.in_bootloader and result.verified
    write, read, reset = tool.argvs
    assert write[:-1] == ["bossac", "--port=ttyACM1", "-U", "-i", "-e", "-w"]
    assert read[:-1] == ["bossac", "--port=ttyACM1", "-U", "-i", f"-r={len(IMAGE.data)}"]
    assert reset == ["bossac", "--port=ttyACM1", "-U", "-i", "-R"]


def test_a_board_in_its_bootloader_is_not_touched(board: Board) -> None:
    board.in_bootloader = True
    tool = Tool()
    on = runner(board, tool)
    device = next(d for d in on.find(TARGET, ALLOWED) if d.id == "/dev/ttyACM1")
    assert on.flash(IMAGE, TARGET, device, ALLOWED, silent).verified
    assert termios.B1200 not in board.speeds


def test_erasing_must_be_allowed(board: Board) -> None:
    on = runner(board, Tool())
    device = next(d for d in on.find(TARGET, FlashOptions()) if d.id == board.port)
    with pytest.raises(UnsupportedError, match="erases everything behind itself") as caught:
        on.flash(IMAGE, TARGET, device, FlashOptions(), silent)
    assert "--allow-erase" in caught.value.next_step and not board.in_bootloader


def test_a_bootloader_that_does_not_come(board: Board) -> None:
    board.wakes = False
    on = runner(board, Tool(), settle_s=0.3)
    device = next(d for d in on.find(TARGET, ALLOWED) if d.id == board.port)
    with pytest.raises(DeviceError, match="has not come") as caught:
        on.flash(IMAGE, TARGET, device, ALLOWED, silent)
    assert "reset button twice" in caught.value.next_step


@pytest.mark.parametrize("at", ["-w", "-R"])
def test_a_board_that_went_away(board: Board, at: str) -> None:
    on = runner(board, Tool(fails_at=at))
    device = next(d for d in on.find(TARGET, ALLOWED) if d.id == board.port)
    with pytest.raises(DeviceError, match="bossac exited with 1") as caught:
        on.flash(IMAGE, TARGET, device, ALLOWED, silent)
    assert "flash it again" in caught.value.next_step


def test_a_wrong_byte_is_found(board: Board) -> None:
    on = runner(board, Tool(spoil=0x20))
    device = next(d for d in on.find(TARGET, ALLOWED) if d.id == board.port)
    with pytest.raises(DeviceError, match="at 0x00010020 it reads"):
        on.flash(IMAGE, TARGET, device, ALLOWED, silent)


def test_without_bossac(board: Board) -> None:
    on = replace(runner(board, Tool()), tool=lambda: "")
    with pytest.raises(MissingDependencyError, match="bossac") as caught:
        on.find(TARGET, ALLOWED)
    assert "arduino-cli" in caught.value.next_step
