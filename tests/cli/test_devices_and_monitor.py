"""`edgeq devices`, names of one's own, `doctor --udev` and `edgeq monitor`, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Edgeq
from device_double import DeviceDouble

from edgeq.cli import devices
from edgeq.runners import ports, usb
from edgeq.runners.ports import SerialPort

SERIAL = "0672FF555185754867113245"


@pytest.fixture(autouse=True)
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of names, and no device but what a test plugs in."""
    place = tmp_path / "config" / "devices.toml"
    monkeypatch.setenv("EDGEQ_DEVICES", str(place))
    monkeypatch.setattr(usb, "devices", lambda root=None: ())
    return place


def plug(monkeypatch: pytest.MonkeyPatch) -> None:
    board = usb.UsbDevice("1-2", 0x0483, 0x374B, SERIAL, "STM32 STLink", "/dev/bus/usb/001/007", ("ttyACM77",))
    monkeypatch.setattr(usb, "devices", lambda root=None: (board,))


def test_nothing_is_a_negative_result_with_a_hint(edgeq: Edgeq) -> None:
    told = edgeq("devices")
    assert told.code == 1 and "cable" in told.out
    assert edgeq("devices", "--json").json["devices"] == []


def test_what_is_here_and_what_it_is_called(edgeq: Edgeq, monkeypatch: pytest.MonkeyPatch, names: Path) -> None:
    plug(monkeypatch)
    told = edgeq("devices")
    assert told.code == 0 and "/dev/ttyACM77" in told.out and SERIAL in told.out and "one of" in told.out
    assert edgeq("devices", "name", "bench-3", SERIAL, "--target", "nucleo-l4r5zi").code == 0
    assert edgeq("devices", "name", "away", "1234").code == 0
    assert "bench-3" in names.read_text()
    (device,) = edgeq("devices", "--json").json["devices"]
    assert (device["name"], device["targets"]) == ("bench-3", ["nucleo-l4r5zi"])
    assert edgeq("devices", "--json").json["absent"] == [{"name": "away", "serial_number": "1234"}]
    assert "not here: away" in edgeq("devices").out
    assert edgeq("devices", "forget", "away").code == 0
    assert edgeq("devices", "forget", "away").code == 2
    assert edgeq("devices", "name", "x", "1", "--target", "no-such-board").code != 0


@pytest.mark.parametrize("as_json", [False, True])
def test_what_comes_and_goes_is_told(edgeq: Edgeq, monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    """A board that is unplugged and plugged in again; Ctrl-C ends it."""
    board = usb.UsbDevice("1-2", 0x0483, 0x374B, SERIAL, "STM32 STLink", "/dev/bus/usb/001/007", ("ttyACM77",))
    seen: list[tuple[usb.UsbDevice, ...]] = [(board,), (board,), (), (board,)]

    def pause(seconds: float) -> None:
        del seen[0]
        if not seen:
            raise KeyboardInterrupt

    monkeypatch.setattr(usb, "devices", lambda root=None: seen[0])
    monkeypatch.setattr(devices.time, "sleep", pause)
    told = edgeq("devices", "--watch", *(["--json"] if as_json else []))
    assert told.code == 130
    if as_json:
        decoder, rest, changes = json.JSONDecoder(), told.out.strip(), []
        while rest:
            change, end = decoder.raw_decode(rest)
            changes.append((change["change"], change["device"]["serial_number"]))
            rest = rest[end:].strip()
        assert changes == [("came", SERIAL), ("went", SERIAL), ("came", SERIAL)]
    else:
        assert [line[0] for line in told.out.splitlines() if "/dev/ttyACM77" in line] == ["+", "-", "+"]


def test_a_name_is_a_port(edgeq: Edgeq, monkeypatch: pytest.MonkeyPatch) -> None:
    edgeq("devices", "name", "bench-3", SERIAL)
    with DeviceDouble() as double:
        here = SerialPort(double.port, "ST-LINK", 0x0483, 0x374B, SERIAL.lower())
        monkeypatch.setattr(ports.port_of, "__defaults__", (lambda: (here,),))
        told = edgeq("monitor", "bench-3", "--send", "name%", "--until", "m-ready", "--seconds", "10")
    assert told.code == 0 and "m-name-dut-[double-board]" in told.out
    monkeypatch.setattr(ports.port_of, "__defaults__", (lambda: (),))
    told = edgeq("monitor", "bench-3", "--seconds", "1")
    assert told.code == 5 and "edgeq devices" in told.err


def test_udev_rules_on_stdout(edgeq: Edgeq) -> None:
    told = edgeq("doctor", "--udev")
    assert told.code == 0 and told.out.startswith("# edgeq") and '"0483"' in told.out
    assert edgeq("doctor", "--udev", "--json").json["udev"]["rules"] == told.out


def test_the_monitor_ends_where_it_is_told(edgeq: Edgeq) -> None:
    with DeviceDouble() as device:
        told = edgeq("monitor", device.port, "--send", "name%", "--until", "m-ready", "--seconds", "10")
    assert told.code == 0 and "m-name-dut-[double-board]" in told.out


def test_what_was_not_heard_is_a_negative_result_and_json_is_one_object(edgeq: Edgeq, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with DeviceDouble() as device:
        told = edgeq(
            "monitor",
            device.port,
            "--send",
            "name%",
            "--until",
            "never",
            "--seconds",
            "0.5",
            "--json",
            "--log",
            str(log),
        )
    assert told.code == 1 and told.json["found"] is False
    assert [e["text"] for e in told.json["events"]] == ["m-name-dut-[double-board]", "m-ready"]
    assert "m-ready" in log.read_text()


def test_wrong_use_of_the_monitor(edgeq: Edgeq) -> None:
    assert edgeq("monitor").code == 2
    assert edgeq("monitor", "/dev/ttyACM99", "--json").code == 2
    assert edgeq("monitor", "/dev/ttyACM99", "--seconds", "1").code == 5
