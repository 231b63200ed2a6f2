"""What is plugged in, from a folder that is laid out like Linux' sysfs."""

from __future__ import annotations

import os
import re
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from edgeq import target as targets
from edgeq.errors import TargetFileError, UsageError
from edgeq.measure.energy.meters import power_shield, ppk2
from edgeq.report.devices import devices_json, devices_text
from edgeq.runners import udev, usb
from edgeq.runners.attached import Attached, System, adb_devices, attached
from edgeq.runners.names import Named, Names, add, read, remove

TARGETS = [targets.load(name) for name in targets.names()]


class Machine:
    """A computer to plug things into."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("sys", "dev/bus/usb/001", "proc/1", "udev", "media"):
            (root / name).mkdir(parents=True)
        (root / "proc/1/comm").write_text("init\n")
        (root / "mounts").write_text("")
        self.held: dict[str, list[str]] = {}
        self.phones: dict[str, str] = {}

    def plug(
        self,
        path: str,
        ids: tuple[int, int],
        title: str,
        serial: str = "",
        *,
        ttys: tuple[str, ...] = (),
        block: str = "",
        mounted: str = "",
        interface: tuple[int, int, int] = (0, 0, 0),
        device_class: int = 0,
    ) -> Path:
        place = self.root / "sys" / path
        place.mkdir()
        number = len(list((self.root / "sys").iterdir()))
        values = {
            "idVendor": f"{ids[0]:04x}", "idProduct": f"{ids[1]:04x}", "bDeviceClass": f"{device_class:02x}",
            "product": title, "serial": serial, "busnum": "1", "devnum": str(number),
        }  # fmt: skip
        for name, value in values.items():
            if value:
                (place / name).write_text(value + "\n")
        for n, tty in enumerate(ttys or ("",)):
            part = place / f"{path}:1.{n}"
            part.mkdir()
            for name, value in zip(("Class", "SubClass", "Protocol"), interface, strict=True):
                (part / f"bInterface{name}").write_text(f"{value:02x}\n")
            if tty:
                (part / ("tty" if tty.startswith("ttyACM") else ".") / tty).mkdir(parents=True)
                (self.root / "dev" / tty).touch()
        if block:
            (place / f"{path}:1.0" / "host6/target6:0:0/6:0:0:0/block" / block).mkdir(parents=True)
        (self.root / f"dev/bus/usb/001/{number:03d}").touch()
        folder = self.root / "media" / mounted
        if mounted:
            folder.mkdir(parents=True)
            with (self.root / "mounts").open("a") as stream:
                stream.write(f"/dev/{block}1 {folder} vfat rw 0 0\n")
        return folder

    def see(self, names: Names | None = None) -> tuple[Attached, ...]:
        root = self.root
        system = System(
            root / "sys", root / "dev", root / "proc", root / "mounts", root / "udev", lambda: self.phones,
            lambda port: self.held.get(Path(port).name, []),
        )  # fmt: skip
        return attached(TARGETS, names or Names(), system)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


NUCLEO = ((0x0483, 0x374B), "STM32 STLink", "0672FF555185754867113245")


def test_nothing(machine: Machine, tmp_path: Path) -> None:
    assert machine.see() == ()
    assert usb.devices(tmp_path / "nowhere") == ()


def test_a_board_is_told_from_others_with_the_same_probe_by_its_drive(machine: Machine) -> None:
    machine.plug("1-2", *NUCLEO, ttys=("ttyACM0",), block="sda", mounted="NODE_L4R5ZI")
    (board,) = machine.see()
    assert (board.kind, board.targets, board.ports) == ("board", ("nucleo-l4r5zi",), ("/dev/ttyACM0",))
    assert board.runners == ("stlink-drive", "pyocd") and board.serial_number == NUCLEO[2]
    assert board.obstacles == ()
    assert board.to_json()["usb_id"] == "0483:374b"


def test_a_drive_is_known_by_the_serial_number_of_its_board(machine: Machine) -> None:
    """So that a name of one's own, which has that number, leads to the drive too."""
    folder = machine.plug("1-2", *NUCLEO, ttys=("ttyACM0",), block="sda", mounted="NODE_L4R5ZI")
    other = machine.plug("1-3", (0x0781, 0x5581), "a memory stick", "4C53", block="sdb", mounted="STICK")
    where = (machine.root / "sys", machine.root / "mounts")
    assert usb.number_of_drive(folder, *where) == NUCLEO[2] and usb.number_of_drive(other, *where) == "4C53"
    assert usb.number_of_drive(machine.root, *where) == ""


def test_without_its_drive_it_can_be_several_and_the_way_to_mount_it_is_told(machine: Machine) -> None:
    machine.plug("1-2", *NUCLEO, ttys=("ttyACM0",), block="sda")
    (board,) = machine.see()
    assert {"nucleo-l4r5zi", "nucleo-f429zi"} <= set(board.targets)
    assert [o.fix for o in board.obstacles] == ["udisksctl mount -b /dev/sda"]


def test_a_name_of_ones_own_says_which_it_is(machine: Machine) -> None:
    machine.plug("1-2", *NUCLEO, ttys=("ttyACM0",))
    (board,) = machine.see(Names((Named("bench-3", NUCLEO[2].lower(), "nucleo-f429zi"),)))
    assert (board.name, board.targets) == ("bench-3", ("nucleo-f429zi",))


def test_bootloaders(machine: Machine) -> None:
    drive = machine.plug("1-1", (0x2E8A, 0x0003), "RP2 Boot", "E0C9125B0D9B", block="sdb", mounted="RPI-RP2")
    (drive / "INFO_UF2.TXT").write_text("Model: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n")
    machine.plug("1-2", (0x0483, 0xDF11), "STM32  BOOTLOADER", "205C32845242", interface=usb.DFU)
    machine.plug("1-3", (0x2341, 0x005A), "Arduino Nano 33 BLE", "8E64", ttys=("ttyACM3",))
    pico, rom, nano = machine.see()
    assert (pico.kind, pico.targets, pico.runners) == ("bootloader", ("raspberry-pi-pico",), ("uf2",))
    assert rom.kind == "bootloader" and "nucleo-f429zi" in rom.targets and rom.runners == ("dfu",)
    assert (nano.kind, nano.targets, nano.runners) == ("bootloader", ("arduino-nano-33-ble",), ("bossac",))


def test_probes_and_meters_that_belong_to_no_board(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.plug("1-1", (0x0483, 0x3748), "ST-LINK/V2", "37FF")
    machine.plug("1-2", (0xC251, 0xF001), "LPC-Link CMSIS-DAP V5", "LPC1")
    machine.plug("1-3", (0x1915, 0xC00A), "PPK2", "C6A8", ttys=("ttyACM3", "ttyACM4"))
    machine.plug("1-4", (0x16D0, 0x10BA), "Joulescope JS220", "000415")
    found = machine.see()
    assert [a.kind for a in found] == ["probe", "probe", "meter", "meter"]
    assert [a.runners for a in found] == [("pyocd",), ("pyocd",), (), ()]
    assert "any board (a debug probe)" in devices_text(found, Names(), ())
    monkeypatch.setattr(os, "access", lambda *_: False)
    blocked = [a.obstacles[0].what for a in machine.see()]
    assert all(blocked[i].startswith("no permission for the USB device") for i in (0, 1, 3))
    assert blocked[2] == "no permission for /dev/ttyACM3"


def test_what_is_no_board_is_left_out(machine: Machine) -> None:
    machine.plug("usb1", (0x1D6B, 0x0002), "hub", device_class=9)
    machine.plug("1-1", (0x046D, 0xC077), "a mouse", interface=(3, 1, 2))
    machine.plug("1-2", (0x0781, 0x5567), "a stick", block="sdc", mounted="USBSTICK")
    machine.plug("1-3", (0x0403, 0x6001), "FT232R", "A50285BI", ttys=("ttyUSB0",))
    (adapter,) = machine.see()
    assert (adapter.kind, adapter.ports, adapter.targets) == ("adapter", ("/dev/ttyUSB0",), ())


def test_a_port_that_another_program_holds(machine: Machine) -> None:
    machine.plug("1-2", *NUCLEO, ttys=("ttyACM0",), block="sda", mounted="NODE_L4R5ZI")
    machine.held["ttyACM0"] = ["screen (pid 4711)"]
    (obstacle,) = machine.see()[0].obstacles
    assert "screen (pid 4711)" in obstacle.what


def test_modem_manager_is_in_the_way_unless_udev_keeps_it_off(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.plug("1-2", *NUCLEO, ttys=("ttyACM0",), block="sda", mounted="NODE_L4R5ZI")
    (machine.root / "proc/815").mkdir()
    (machine.root / "proc/815/comm").write_text("ModemManager\n")
    (obstacle,) = machine.see()[0].obstacles
    assert "ModemManager" in obstacle.what and "edgeq doctor --udev" in obstacle.fix
    number = (machine.root / "dev/ttyACM0").stat().st_rdev
    known = machine.root / "udev" / f"c{os.major(number)}:{os.minor(number)}"
    known.write_text("I:1\nE:ID_MM_DEVICE_IGNORE=1\n")
    assert machine.see()[0].obstacles == ()


def test_permissions(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.plug("1-2", *NUCLEO, ttys=("ttyACM0",), block="sda", mounted="NODE_L4R5ZI")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may open everything
    told = [o.what for o in machine.see()[0].obstacles]
    assert told == ["no permission for /dev/ttyACM0", "no permission for the USB device (/dev/bus/usb/001/001)"]
    for obstacle in machine.see()[0].obstacles:
        assert "edgeq doctor --udev" in obstacle.fix and obstacle.rule in udev.rules(TARGETS).splitlines()
    (shown,) = devices_json(machine.see(), Names(), ())["devices"]  # type: ignore[misc]
    assert {o["udev_rule"] for o in shown["obstacles"]} == {udev.rule(*NUCLEO[0])}
    assert udev.rule(*NUCLEO[0]) in devices_text(machine.see(), Names(), (), width=300)


@pytest.mark.parametrize(
    ("state", "told"),
    [(None, "adb start-server"), ("unauthorized", "accept the dialogue"), ("offline", "unplug"), ("device", "")],
)
def test_phones(machine: Machine, state: str | None, told: str) -> None:
    machine.plug("1-4", (0x18D1, 0x4EE7), "Pixel 8", "3A051FDJH", interface=usb.ADB)
    machine.phones = {"3A051FDJH": state} if state else {}
    (phone,) = machine.see()
    assert phone.kind == "android"
    assert [told in o.fix for o in phone.obstacles] == ([True] if told else [])


def test_the_adb_server_is_asked_and_none_is_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked: list[bytes] = []

        def serve() -> None:
            link, _ = server.accept()
            with link:
                asked.append(link.recv(100))
                body = b"3A051FDJH\tdevice\nemulator-5554\toffline\n"
                link.sendall(b"OKAY" + b"%04x" % len(body) + body)

        thread = threading.Thread(target=serve)
        thread.start()
        assert adb_devices(server.getsockname()) == {"3A051FDJH": "device", "emulator-5554": "offline"}
        thread.join(5)
        assert asked == [b"000chost:devices"]
        closed = server.getsockname()
    assert adb_devices(closed) == {}


def test_names_are_kept_in_a_file(tmp_path: Path) -> None:
    place = tmp_path / "edgeq" / "devices.toml"
    assert read(place) == Names()
    add(place, Named("bench-3", "0672FF", "nucleo-l4r5zi", 'the one with "tape" on it'))
    add(place, Named("bench-1", "9904"))
    assert [d.name for d in read(place).device] == ["bench-1", "bench-3"]
    assert read(place).find("bench-3") == Named("bench-3", "0672FF", "nucleo-l4r5zi", 'the one with "tape" on it')
    assert read(place).of("0672ff") == read(place).find("bench-3") and read(place).of("") is None
    add(place, Named("bench-4", "0672ff"))  # the same device, called something else
    assert [d.name for d in read(place).device] == ["bench-1", "bench-4"]
    remove(place, "bench-4")
    with pytest.raises(UsageError, match="no device is called 'bench-4'"):
        remove(place, "bench-4")
    with pytest.raises(UsageError, match="no name for a device"):
        add(place, Named("a b", "1"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[device]]\nname = "a"\n', "serial_number"),
        ('[[device]]\nname = "a"\nserial_number = "1"\ncolour = "red"\n', "colour"),
        ('[[device]]\nname = "a"\nserial_number = "1"\n[[device]]\nname = "a"\nserial_number = "2"\n', "two devices"),
        ("not toml", "can't be read"),
    ],
)
def test_files_of_names_that_are_wrong(tmp_path: Path, text: str, told: str) -> None:
    place = tmp_path / "devices.toml"
    place.write_text(text)
    with pytest.raises(TargetFileError, match=told):
        read(place)


def test_udev_rules_have_every_id_of_every_target() -> None:
    text = udev.rules(TARGETS)
    rows = re.findall(
        r'^ATTRS{idVendor}=="(\w{4})", ATTRS{idProduct}=="(\w{4})", MODE="0660", GROUP="plugdev", TAG\+="uaccess", '
        r'ENV{ID_MM_DEVICE_IGNORE}="1"$',
        text,
        re.MULTILINE,
    )
    listed = {(int(vendor, 16), int(product, 16)) for vendor, product in rows}
    assert len(rows) == len(listed)
    for target in TARGETS:
        assert {(u.vendor_id, u.product_id) for u in target.board.usb} <= listed
        assert {(w.vendor_id, w.product_id) for w in target.board.flash_method if w.vendor_id} <= listed
    # What `find_port` looks for; the same meters' messages send people here.
    assert {(ppk2._VENDOR, ppk2._PRODUCT), power_shield.LPM01A.usb, power_shield.STLINK_V3PWR.usb} <= listed
    # Each other line is a comment, or one of the two jumps and their label.
    others = [line for line in text.splitlines() if not line.startswith(("ATTRS", "#"))]
    assert [line.split(",")[-1].strip() for line in others] == [
        'GOTO="edgeq_end"', 'GOTO="edgeq_end"', 'LABEL="edgeq_end"',
    ]  # fmt: skip
    assert udev.FILE_NAME < "73-seat-late.rules"


def test_a_target_of_ones_own_has_its_rule_too() -> None:
    own = TARGETS[0]
    mine = replace(own, board=replace(own.board, usb=(targets.UsbId(0x1209, 0x0001, "my board", "me"),)))
    assert '"1209"' in udev.rules([mine]) and '"1209"' not in udev.rules(TARGETS)
