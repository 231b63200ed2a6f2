"""The wire client against a real pseudo-terminal with a double behind it that misbehaves."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from device_double import Behaviour, DeviceDouble, Firmware

from edgeq.errors import DeviceError, PortError, ProtocolError, UsageError
from edgeq.measure.wire import Wire
from edgeq.runners.port import open_port


def test_hello_names_the_device() -> None:
    with DeviceDouble() as device, Wire.open(device.port, 115200) as wire:
        assert wire.hello() == "double-board"


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(boot_banner=True),
        Behaviour(stale_command=b"AT+GMI"),
        Behaviour(junk_before_reply=b"\x00\xff\xfe"),
        Behaviour(split_writes=True),
        Behaviour(delay_s=0.3),
        Behaviour(drop_every=3, drop_budget=1),
    ],
    ids=["boot banner", "half a command in its buffer", "junk", "split writes", "slow", "dropped byte"],
)
def test_hello_gets_in_step(behaviour: Behaviour) -> None:
    with DeviceDouble(behaviour=behaviour) as device, Wire.open(device.port, 115200) as wire:
        assert wire.hello() == "double-board"
        # In step means: the next answer belongs to the next question.
        assert wire.command("profile", expect="m-profile").value("m-model") == "double"


def test_what_was_in_the_port_before_is_not_an_answer() -> None:
    with DeviceDouble() as device:
        os.write(device._master, b"m-name-dut-[somebody else]\r\nm-ready\r\nm-ready\r\n")
        with Wire.open(device.port, 115200) as wire:
            assert wire.hello() == "double-board"


def test_silence_ends_and_says_that_nothing_was_heard() -> None:
    with DeviceDouble(behaviour=Behaviour(silent=True)) as device, Wire.open(device.port, 115200) as wire:
        started = time.monotonic()
        with pytest.raises(ProtocolError, match="nothing at all was heard") as caught:
            wire.hello(timeout_s=0.2, attempts=2)
        assert time.monotonic() - started < 3
        assert "edgeq flash" in caught.value.next_step
        assert caught.value.where == device.port


def test_a_babbling_device_ends_and_is_quoted() -> None:
    with DeviceDouble(behaviour=Behaviour(babble=True)) as device, Wire.open(device.port, 115200) as wire:
        started = time.monotonic()
        with pytest.raises(ProtocolError, match=r"temperature 21\.5"):
            wire.hello(timeout_s=0.3, attempts=1)
        assert time.monotonic() - started < 5


def test_a_reply_without_end_tells_the_last_line() -> None:
    with DeviceDouble() as device, Wire.open(device.port, 115200) as wire:
        wire.hello()
        device.behaviour.restart_at_run = False
        device._say("m-lap-us-7")
        with pytest.raises(ProtocolError, match="last heard: 'm-name-dut-"):
            wire.command("name", expect="m-never-comes", timeout_s=0.3)


def test_a_restart_is_noticed() -> None:
    with (
        DeviceDouble(behaviour=Behaviour(restart_at_run=True)) as device,
        Wire.open(device.port, 115200) as wire,
        pytest.raises(ProtocolError, match="restarted"),
    ):
        wire.command("edgeq run 1", expect="m-edgeq-cycles", timeout_s=2)


def test_a_crash_of_the_firmware_is_told_at_once() -> None:
    with (
        DeviceDouble(behaviour=Behaviour(fault_at_run=True)) as device,
        Wire.open(device.port, 115200) as wire,
        pytest.raises(DeviceError, match="HardFault pc=0x08001234") as caught,
    ):
        started = time.monotonic()
        wire.command("edgeq run 1", expect="m-edgeq-cycles", timeout_s=20)
    assert time.monotonic() - started < 5
    assert not isinstance(caught.value, ProtocolError)


def test_a_port_that_goes_away_is_an_error_of_the_port() -> None:
    with DeviceDouble(behaviour=Behaviour(die_at_run=True)) as device:
        os.close(device._slave)
        device._slave = -1
        with Wire.open(device.port, 115200) as wire:
            wire.hello()
            with pytest.raises(PortError, match="went away") as caught:
                wire.command("edgeq run 1", expect="m-edgeq-cycles", timeout_s=5)
            assert caught.value.facts["reason"] == "gone"


def test_commands_longer_than_the_protocol_allows_are_a_mistake_of_the_caller() -> None:
    with (
        DeviceDouble() as device,
        Wire.open(device.port, 115200) as wire,
        pytest.raises(ValueError, match="80"),
    ):
        wire.command("db " + "00" * 39)


def test_a_second_opener_is_told_who_holds_the_port() -> None:
    with DeviceDouble() as device, Wire.open(device.port, 115200):
        with pytest.raises(PortError, match="busy") as caught:
            open_port(device.port, 115200)
        assert caught.value.facts["reason"] == "busy"


def test_an_absent_port(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="no such port") as caught:
        open_port(str(tmp_path / "ttyACM9"), 115200)
    assert caught.value.facts["reason"] == "absent"
    assert caught.value.exit_code == 5


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_port_without_permission(tmp_path: Path) -> None:
    place = tmp_path / "ttyACM0"
    place.touch(mode=0o000)
    with pytest.raises(PortError, match="permission") as caught:
        open_port(str(place), 115200)
    assert "dialout" in caught.value.next_step


def test_permission_is_recognised_by_its_number() -> None:
    from edgeq.runners.port import explain

    error = explain("/dev/ttyACM0", PermissionError(13, "Permission denied"))
    assert error.facts["reason"] == "permission"
    assert "dialout" in error.next_step


def test_a_socket_where_nobody_listens() -> None:
    with pytest.raises(PortError, match="nobody listens"):
        open_port("socket://127.0.0.1:1", 115200)


def test_an_unknown_kind_of_url() -> None:
    with pytest.raises(UsageError):
        open_port("telepathy://board", 115200)


def test_the_transcript_has_both_sides() -> None:
    heard: list[tuple[str, str]] = []
    with (
        DeviceDouble(Firmware()) as device,
        Wire.open(device.port, 115200, lambda a, b: heard.append((a, b))) as wire,
    ):
        wire.command("name", expect="m-name-dut")
    assert heard == [(">", "name%"), ("<", "m-name-dut-[double-board]"), ("<", "m-ready")]
