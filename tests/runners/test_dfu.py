"""dfu-util: its arguments, its output, and the real program where it is installed."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from edgeq import target as targets
from edgeq.errors import DeviceError, MissingDependencyError, ToolError
from edgeq.events import Event, Progress, silent
from edgeq.process import Transcript
from edgeq.runners import dfu
from edgeq.runners.contract import FlashOptions
from edgeq.runners.dfu import Dfu, parse_list
from edgeq.runners.image import Image

TARGET = targets.load("nucleo-f429zi")
IMAGE = Image(0x0800_0000, struct.pack("<II", 0x2000_1000, 0x0800_0101) + bytes(range(250)) * 9)
# dfu-util 0.11, as it prints a chip's boot ROM, a board that runs its program, and another chip.
LISTING = """\
dfu-util 0.11

Found DFU: [0483:df11] ver=2200, devnum=7, cfg=1, intf=0, path="3-1", alt=1, name="@Option Bytes  /0x1FFFC000/01*016 e", serial="205C32845242"
Found DFU: [0483:df11] ver=2200, devnum=7, cfg=1, intf=0, path="3-1", alt=0, name="@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg", serial="205C32845242"
Found DFU: [0483:df11] ver=2200, devnum=9, cfg=1, intf=0, path="3-2", alt=0, name="@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg", serial="UNKNOWN"
Found Runtime: [0483:df11] ver=0200, devnum=8, cfg=1, intf=2, path="3-4", alt=0, name="UNKNOWN", serial="1234"
Found DFU: [1209:2327] ver=0100, devnum=5, cfg=1, intf=0, path="1-2", alt=0, name="flash", serial="99"
"""  # noqa: E501


@dataclass
class Tool:
    """Stands for dfu-util: keeps the flash, and every argv."""

    listing: str = LISTING
    spoil: int = -1
    fails_at: str = ""
    said: str = "No DFU capable USB device available"
    argvs: list[list[str]] = field(default_factory=list)
    flash: bytes = b""

    def __call__(self, argv: Sequence[str | Path], timeout_s: float) -> Transcript:
        words = [str(word) for word in argv]
        self.argvs.append(words)
        if self.fails_at and self.fails_at in words:
            raise ToolError("dfu-util exited with 74", stderr=self.said)
        if "-D" in words:
            self.flash = Path(words[-1]).read_bytes()
        if "-U" in words:
            size = int(words[words.index("-s") + 1].split(":")[1])
            data = bytearray(self.flash[:size])
            if self.spoil >= 0:
                data[self.spoil] ^= 1
            Path(words[-1]).write_bytes(data)
        return Transcript(tuple(words), 0, self.listing, "")


def test_the_list_is_read() -> None:
    found = parse_list(LISTING)
    assert [(f.vendor_id, f.product_id, f.path, f.alt, f.serial_number, f.runtime) for f in found] == [
        (0x0483, 0xDF11, "3-1", 1, "205C32845242", False),
        (0x0483, 0xDF11, "3-1", 0, "205C32845242", False),
        (0x0483, 0xDF11, "3-2", 0, "UNKNOWN", False),
        (0x0483, 0xDF11, "3-4", 0, "1234", True),
        (0x1209, 0x2327, "1-2", 0, "99", False),
    ]
    assert parse_list("dfu-util 0.11\n\n") == []


def test_devices_are_the_targets_in_dfu_mode_with_flash() -> None:
    found = Dfu(run=Tool()).find(TARGET, FlashOptions())
    assert [(d.id, d.where) for d in found] == [("205C32845242", "USB 3-1"), ("3-2", "USB 3-2")]


def test_the_arguments() -> None:
    tool = Tool()
    on = Dfu(run=tool)
    by_serial, by_path = on.find(TARGET, FlashOptions())
    events: list[Event] = []
    result = on.flash(IMAGE, TARGET, by_serial, FlashOptions(), events.append)
    assert result.verified and result.size_bytes == len(IMAGE.data)
    write, read = tool.argvs[1:]
    common = ["dfu-util", "-d", "0483:df11", "-S", "205C32845242", "-a", "0"]
    assert write[:-1] == [*common, "-s", "0x08000000", "-D"]
    assert read[:-1] == [*common, "-s", f"0x08000000:{len(IMAGE.data)}:leave", "-U"]
    assert not any("mass-erase" in word or "force" in word for argv in tool.argvs for word in argv)
    assert [e for e in events if isinstance(e, Progress)][-1].detail == "reading back"
    on.flash(IMAGE, TARGET, by_path, FlashOptions(), silent)
    assert tool.argvs[3][:5] == ["dfu-util", "-d", "0483:df11", "-p", "3-2"]


def test_a_wrong_byte_is_found() -> None:
    on = Dfu(run=Tool(spoil=0x123))
    with pytest.raises(DeviceError, match="at 0x08000123 it reads"):
        on.flash(IMAGE, TARGET, on.find(TARGET, FlashOptions())[0], FlashOptions(), silent)


@pytest.mark.parametrize("at", ["-D", "-U"])
@pytest.mark.parametrize(
    ("said", "step"),
    [
        ("No DFU capable USB device available", "enter its bootloader again"),
        ("Cannot open device 0483:df11: LIBUSB_ERROR_ACCESS", "edgeq doctor --udev"),
        ("ERASE_PAGE not correctly executed", "flash it again"),
    ],
)
def test_what_dfu_util_says_is_told_with_a_way_on(at: str, said: str, step: str) -> None:
    on = Dfu(run=Tool(fails_at=at, said=said))
    with pytest.raises(DeviceError) as caught:
        on.flash(IMAGE, TARGET, on.find(TARGET, FlashOptions())[0], FlashOptions(), silent)
    assert step in caught.value.next_step and caught.value.facts["stderr"] == said


def test_without_dfu_util(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(MissingDependencyError, match="dfu-util") as caught:
        Dfu().find(TARGET, FlashOptions())
    assert "apt install dfu-util" in caught.value.next_step


needs_dfu_util = pytest.mark.skipif(shutil.which("dfu-util") is None, reason="dfu-util is not on PATH")


@needs_dfu_util
def test_the_real_program_lists_nothing_where_nothing_is() -> None:
    listed = subprocess.run(["dfu-util", "-l"], capture_output=True, text=True, check=True, timeout=30).stdout
    if "Found" in listed:
        pytest.skip("a DFU device is plugged in")
    assert Dfu().find(TARGET, FlashOptions()) == []


@needs_dfu_util
def test_the_real_program_takes_the_arguments_and_misses_the_device(tmp_path: Path) -> None:
    """It reads all options before it looks for the device; a wrong one ends with its usage, exit code 64."""
    (way,) = [w for w in TARGET.board.flash_method if w.method == "dfu"]
    device = Dfu(run=Tool()).find(TARGET, FlashOptions())[0]
    (tmp_path / "firmware.bin").write_bytes(IMAGE.data)
    for argv in (
        dfu.write_argv(way, device, IMAGE.base, tmp_path / "firmware.bin"),
        dfu.read_argv(way, device, IMAGE.base, 16, tmp_path / "read.bin"),
    ):
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
        assert "No DFU capable USB device available" in done.stderr and done.returncode not in (0, 64)
    on = replace(Dfu(), run=dfu._run)
    with pytest.raises(DeviceError, match="dfu-util exited with") as caught:
        on.flash(IMAGE, TARGET, device, FlashOptions(), silent)
    assert "enter its bootloader again" in caught.value.next_step
