"""Devices of a device file, as a user runs them: several at once, locks, reachability, what fails on one of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import Edgeq
from device_double import DeviceDouble

from edgeq.runners import locks, ports, usb
from edgeq.runners.ports import SerialPort

BOARD = "nucleo-l4r5zi"


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The device file; nothing is plugged in."""
    place = tmp_path / "devices.toml"
    monkeypatch.setenv("EDGEQ_DEVICES", str(place))
    monkeypatch.setenv("EDGEQ_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr(usb, "devices", lambda root=None: ())
    return place


def write(file: Path, *entries: str) -> None:
    file.write_text("".join(f"[[device]]\n{entry}\n" for entry in entries))


def test_some_do_well_and_some_fail_and_all_is_told(edgeq: Edgeq, model: Path, file: Path, tmp_path: Path) -> None:
    """Two virtual boards, one board with another model, one that isn't there."""
    output = tmp_path / "report.json"
    with DeviceDouble() as double:
        write(
            file,
            f'name = "v1"\ntarget = "{BOARD}"\nrunner = "virtual"',
            f'name = "v2"\ntarget = "{BOARD}"\nrunner = "virtual"',
            f'name = "other"\ntarget = "{BOARD}"\nport = "{double.port}"',
            f'name = "gone"\ntarget = "{BOARD}"\nport = "/dev/ttyACM99"',
        )
        both = edgeq("profile", model, "--device", "v1", "--device", "v2", "--samples", "2", "--json")
        assert both.code == 0 and both.json["passed"] is True
        assert [d["result"]["validation"]["bit_exact"] for d in both.json["devices"]] == [True, True]
        named = [word for name in ("v1", "other", "gone") for word in ("--device", name)]
        told = edgeq("profile", model, *named, "--samples", "2", "-o", output)
    assert told.code == 5
    assert "1 of 3 devices are well" in told.out and "bit-exact" in told.out and "another model" in told.out
    assert output.exists()
    with DeviceDouble() as double:
        write(file, f'name = "a"\ntarget = "{BOARD}"\nrunner = "virtual"', f'name = "b"\nport = "{double.port}"')
        negative = edgeq("profile", model, "--target", BOARD, "--device", "a", "--device", "b", "--json")
    assert negative.code == 1
    well, ill = negative.json["devices"]
    assert well["passed"] and well["result"]["validation"]["passed"] and ill["error"]["type"] == "NegativeResult"


def test_a_device_in_use_is_refused_with_who_has_it(edgeq: Edgeq, model: Path, file: Path, tmp_path: Path) -> None:
    with DeviceDouble() as double:
        write(file, f'name = "a"\ntarget = "{BOARD}"\nport = "{double.port}"')
        with locks.hold(tmp_path / "locks", [locks.key_of_port(double.port)], "edgeq deploy something"):
            said = edgeq("profile", model, "--device", "a", "--json")
            assert said.code == 5 and "edgeq deploy something" in said.json["error"]["what"]
            assert said.json["error"]["facts"]["holder"]["pid"] == os.getpid()
            by_port = edgeq("profile", model, "--target", BOARD, "--port", double.port, "--wait", "0.2", "--json")
            assert by_port.code == 5 and by_port.json["error"]["facts"]["reason"] == "locked"
            assert "in use by edgeq deploy something" in edgeq("devices").out
        assert double.firmware.seen == []  # nobody disturbed it


def test_what_is_reachable(edgeq: Edgeq, file: Path) -> None:
    with DeviceDouble() as double:
        for words in (
            ("here", "--port", double.port, "--target", BOARD),
            ("away", "--port", "socket://127.0.0.1:9", "--hardware"),
            ("pi", "--host", "pi@127.0.0.1:9", "--target", "raspberry-pi-5"),
            ("phone", "--adb", "ABC123"),
            ("made", "--runner", "virtual"),
        ):
            assert edgeq("devices", "name", *words).code == 0
        said = edgeq("devices", "--json")
    assert said.code == 0
    assert {e["name"]: e["reachable"] for e in said.json["entries"]} == {
        "here": True,
        "away": False,
        "pi": False,
        "phone": False,
        "made": True,
    }
    assert "hardware = true" in file.read_text()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('name = "a"\nport = "/dev/ttyACM0"\nhost = "pi@pi"', "one place only"),
        ('name = "a"\ntarget = "nucleo-l4r5zi"', "nothing leads to 'a'"),
        ('name = "a"\nprot = "/dev/ttyACM0"', "did you mean 'port'"),
        ('name = "a"\nport = "x"\nhardware = "yes"', "true or false"),
    ],
)
def test_a_wrong_device_file(edgeq: Edgeq, file: Path, entry: str, words: str) -> None:
    write(file, entry)
    said = edgeq("devices")
    assert said.code == 3 and words in said.err


def test_a_file_of_before_is_read(edgeq: Edgeq, file: Path) -> None:
    write(file, 'name = "bench-3"\nserial_number = "0672"\ntarget = "nucleo-l4r5zi"\nnote = "left"')
    said = edgeq("devices", "--json")
    assert said.json["absent"] == [{"name": "bench-3", "serial_number": "0672"}]
    assert edgeq("devices", "name", "away", "1234").code == 0
    assert 'note = "left"' in file.read_text() and "hardware" not in file.read_text()


def test_wrong_use(edgeq: Edgeq, model: Path, file: Path) -> None:
    write(file, f'name = "a"\ntarget = "{BOARD}"\nrunner = "virtual"', 'name = "b"\nport = "/dev/ttyACM0"')
    cases = {
        ("--device", "nobody"): "no device is called",
        ("--device", "a", "--port", "x"): "--device says where",
        ("--device", "b"): "which board is",
        ("--device", "a", "--target", "nrf52840dk"): "is a nucleo-l4r5zi",
        ("--device", "a", "--device", "a"): "named twice",
        ("--device", "a", "--device", "b", "--meter", "ppk2"): "for one device",
        (): "--target",
    }
    for words, expected in cases.items():
        said = edgeq("profile", model, *words)
        assert said.code == 2 and expected in said.err, (words, said.err)
    assert edgeq("devices", "name", "nowhere").code == 2


def test_several_are_flashed_at_once(edgeq: Edgeq, model: Path, file: Path, tmp_path: Path) -> None:
    assert edgeq("build", model, "--target", BOARD, "-o", tmp_path / "build").code == 0
    write(
        file,
        f'name = "a"\ntarget = "{BOARD}"\nrunner = "virtual"',
        f'name = "b"\ntarget = "{BOARD}"\nrunner = "virtual"',
        f'name = "c"\ntarget = "{BOARD}"\nrunner = "stm32-uart"\nport = "/dev/ttyACM99"',
    )
    well = edgeq("flash", tmp_path / "build", "--device", "a", "--device", "b", "--json")
    assert well.code == 0 and [d["result"]["verified"] for d in well.json["devices"]] == [True, True]
    assert edgeq("flash", tmp_path / "build", "--device", "a").code == 0
    ill = edgeq("flash", tmp_path / "build", "--device", "a", "--device", "c", "--json")
    assert ill.code != 0 and ill.json["devices"][0]["passed"] and "error" in ill.json["devices"][1]


def test_a_serial_number_is_followed_and_locked(
    edgeq: Edgeq, model: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A board on USB by its number: its port now, and the lock of whoever flashes it by its probe."""
    write(file, f'name = "usb"\ntarget = "{BOARD}"\nserial_number = "0672FF"')
    with DeviceDouble() as double:
        here = SerialPort(double.port, "ST-LINK", 0x0483, 0x374B, "0672ff")
        monkeypatch.setattr(ports.port_of, "__defaults__", (lambda: (here,),))
        said = edgeq("profile", model, "--device", "usb", "--json")
        assert said.code == 1 and "another model" in said.json["error"]["what"]  # it was reached
        with locks.hold(tmp_path / "locks", [locks.key_of_usb("0672FF")], "edgeq flash build"):
            assert edgeq("profile", model, "--device", "usb", "--json").json["error"]["facts"]["reason"] == "locked"
            flashing = edgeq("flash", tmp_path, "--device", "usb", "--json")
            assert flashing.code == 5 and "edgeq flash build" in flashing.json["error"]["what"]
    monkeypatch.setattr(ports.port_of, "__defaults__", (lambda: (),))
    assert edgeq("profile", model, "--device", "usb").code == 5


def test_deploy_respects_the_locks(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    with locks.hold(tmp_path / "locks", [locks.key_of_usb("0672FF")], "edgeq profile something"):
        said = edgeq("deploy", model, "--target", BOARD, "--device", "0672FF", "--json")
    assert said.code == 5 and "edgeq profile something" in said.json["error"]["what"]


def test_computers_and_meters_are_locked_too(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    """Nobody listens there: with the lock taken, nobody even tries."""
    pi = ("--target", "raspberry-pi-5", "--host", "pi@127.0.0.1:9")
    with locks.hold(tmp_path / "locks", [locks.key_of_host("other@127.0.0.1:9")], "edgeq profile first"):
        said = edgeq("profile", model, *pi, "--json")
        assert said.json["error"]["facts"]["reason"] == "locked"
    assert "reason" not in edgeq("profile", model, *pi, "--json").json["error"]["facts"]
    with (
        DeviceDouble() as double,
        DeviceDouble() as meter,
        locks.hold(tmp_path / "locks", [locks.key_of_port(meter.port)], "edgeq profile first"),
    ):
        words = ("--target", BOARD, "--port", double.port, "--hardware", "--meter", f"ppk2:{meter.port}")
        said = edgeq("profile", model, *words, "--json")
        assert said.json["error"]["facts"]["reason"] == "locked" and meter.port in said.json["error"]["where"]
        assert double.firmware.seen == []
