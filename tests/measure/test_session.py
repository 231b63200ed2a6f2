"""Sessions: the MLPerf Tiny commands and edgeq's own, on a link that loses bytes."""

from __future__ import annotations

import re
import zlib

import pytest
from device_double import Behaviour, DeviceDouble, Firmware, invert
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.errors import NegativeResult, ProtocolError
from edgeq.measure.answers import DeviceInfo, check_model
from edgeq.measure.frames import believed, frames
from edgeq.measure.session import Session
from edgeq.measure.wire import Wire

INFO = DeviceInfo("double", "ab" * 32, "nucleo-l4r5zi", 120_000_000, 512, (70,), (70,), 11, 4096, "0123456789abcdef")


def test_info() -> None:
    with DeviceDouble() as device, Wire.open(device.port, 115200) as wire:
        assert Session(wire).info() == INFO


def test_a_firmware_without_the_extra_command_has_no_info() -> None:
    with (
        DeviceDouble(behaviour=Behaviour(standard_only=True)) as device,
        Wire.open(device.port, 115200) as wire,
    ):
        assert Session(wire).info() is None


@pytest.mark.parametrize("position", range(1, 11))
def test_a_lost_byte_does_not_make_edgeqs_firmware_a_foreign_one(position: int) -> None:
    """Each byte of `edgeq info` in turn; without its first the device says that it doesn't know the command."""
    with DeviceDouble() as device, Wire.open(device.port, 115200) as wire:
        session = Session(wire)
        device.lose(position)
        assert session.info() == INFO


def test_edgeqs_firmware_that_refuses_is_not_a_foreign_one() -> None:
    firmware = Firmware(name="edgeq")
    with (
        DeviceDouble(firmware, Behaviour(standard_only=True)) as device,
        Wire.open(device.port, 115200) as wire,
        pytest.raises(ProtocolError, match="refuses 'edgeq info #"),
    ):
        Session(wire).info()


def test_a_hash_that_lost_a_digit_is_not_another_models() -> None:
    with (
        DeviceDouble(Firmware(sha256="ab" * 31 + "a")) as device,
        Wire.open(device.port, 115200) as wire,
        pytest.raises(ProtocolError, match="64 hexadecimal digits"),
    ):
        Session(wire).info()


@pytest.mark.parametrize("size", [1, 30, 31, 32, 62, 70, 200])
def test_load_run_and_read_back(size: int) -> None:
    data = bytes((7 * i) % 256 for i in range(size))
    firmware = Firmware(inputs=size, outputs=size)
    with DeviceDouble(firmware) as device, Wire.open(device.port, 115200) as wire:
        session = Session(wire)
        session.load(data)
        assert session.run(1) == (sum(firmware.layer_cycles) + 100,)
        assert session.output(0, size) == invert(data)
        assert session.layers(11) == firmware.layer_cycles
        assert session.stack_used() == 712
    assert all(len(command) + 1 <= 80 for command in firmware.seen)


@pytest.mark.parametrize("size", [1, 8, 9, 70])
def test_what_was_loaded_can_be_asked(size: int) -> None:
    data = bytes((7 * i) % 256 for i in range(size))
    with DeviceDouble(Firmware(inputs=size)) as device, Wire.open(device.port, 115200) as wire:
        session = Session(wire)
        session.load(data)
        assert session.loaded() == data


def test_many_runs_come_in_several_lines() -> None:
    with DeviceDouble() as device, Wire.open(device.port, 115200) as wire:
        session = Session(wire)
        session.load(bytes(70))
        assert len(session.run(16)) == 16


@settings(max_examples=6, deadline=None)
@given(st.integers(min_value=20, max_value=90))
def test_a_lost_byte_costs_time_and_no_correctness(position: int) -> None:
    data = bytes(range(40))
    behaviour = Behaviour(drop_every=position, drop_budget=1)
    with (
        DeviceDouble(Firmware(inputs=40, outputs=40), behaviour) as device,
        Wire.open(device.port, 115200) as wire,
    ):
        session = Session(wire)
        session.load(data)
        session.run(1)
        assert session.output(0, 40) == invert(data)


def test_a_link_that_always_loses_bytes_ends_with_advice() -> None:
    with DeviceDouble() as device, Wire.open(device.port, 115200) as wire:
        session = Session(wire)
        device.behaviour.drop_every, device.behaviour.drop_budget = 61, 1000
        with pytest.raises(ProtocolError, match="3 tries") as caught:
            session.load(bytes(70))
        assert "cable" in caught.value.next_step


def test_the_standard_inference() -> None:
    with (
        DeviceDouble(Firmware(inputs=3, outputs=3), Behaviour(standard_only=True)) as device,
        Wire.open(device.port, 115200) as wire,
    ):
        session = Session(wire)
        session.load(bytes([0xFF, 0xFE, 0x00]))
        run = session.infer(4, 1)
    assert (run.inferences, run.elapsed_us, run.results) == (4, 1000, (0.0, 0.5, -0.5))


def test_another_models_hash_names_both_and_the_way_out() -> None:
    with pytest.raises(NegativeResult) as caught:
        check_model(INFO, "cd" * 32, "kws", "nucleo-l4r5zi")
    assert "abababab" in caught.value.what
    assert "cdcdcdcd" in caught.value.what
    assert "edgeq deploy" in caught.value.next_step
    assert caught.value.exit_code == 1


def test_another_targets_firmware_is_refused() -> None:
    with pytest.raises(NegativeResult, match="another-board"):
        check_model(INFO, "ab" * 32, "double", "another-board")


def test_an_answer_that_cannot_be_right_is_quoted() -> None:
    with DeviceDouble(Firmware(layer_cycles=(1, 2, 3))) as device, Wire.open(device.port, 115200) as wire:
        session = Session(wire)
        with pytest.raises(ProtocolError, match="layers 0 to 4"):
            session.layers(5)


@given(st.binary(min_size=1, max_size=300), st.integers(1, 64))
def test_frames_carry_any_bytes_and_none_that_a_line_swallows(data: bytes, size: int) -> None:
    back = bytearray()
    for piece in frames(data, size):
        body = piece.body[:-1]
        assert piece.body.endswith(b"%") and not set(body) & set(b"%\x11\x13\r\n")
        back += re.sub(rb"}(.)", lambda m: bytes([m[1][0] ^ 0x20]), body, flags=re.DOTALL)
        assert len(piece.command) < 80
    assert bytes(back) == data


@pytest.mark.parametrize("size", [1, 1024, 1025, 5000])
def test_inputs_go_in_frames_and_damaged_ones_again(size: int) -> None:
    data = bytes((7 * i) % 256 for i in range(size))
    firmware = Firmware(inputs=size, outputs=size)
    with (
        DeviceDouble(firmware, Behaviour(corrupt_frames=1)) as device,
        Wire.open(device.port, 115200) as wire,
    ):
        session = Session(wire)
        session.info()
        steps: list[int] = []
        session.load(data, steps.append)
        assert session.loaded() == data
        assert session.repaired == 1 and max(steps) == size
    assert not [command for command in firmware.seen if command.startswith("db load")]


def test_a_device_that_takes_no_frames_gets_digits() -> None:
    with (
        DeviceDouble(Firmware(), Behaviour(corrupt_frames=1000)) as device,
        Wire.open(device.port, 115200) as wire,
    ):
        session = Session(wire)
        session.info()
        session.load(bytes(range(70)))
        assert session.loaded() == bytes(range(70))


def test_answers_are_believed_by_their_sum() -> None:
    lines = ("m-edgeq-stack-used-[712]",)
    crc = zlib.crc32(b"edgeq stack #5m-edgeq-stack-used-[712]\r\n")
    assert believed("edgeq stack #5", (*lines, f"m-edgeq-sum-[5,{crc:08x}]")) == lines
    assert believed("edgeq stack #6", (*lines, f"m-edgeq-sum-[5,{crc:08x}]")) is None
    assert believed("edgeq stack #5", ("m-edgeq-stack-used-[713]", f"m-edgeq-sum-[5,{crc:08x}]")) is None
    assert believed("edgeq stack #5", lines) is None and believed("edgeq stack #5", ()) is None


def faster(device: DeviceDouble) -> tuple[int, list[str]]:
    with Wire.open(device.port, 115200) as wire:
        session = Session(wire)
        info = session.info()
        assert info is not None
        reached = session.faster(info)
        session.load(bytes(70))
        session.usual_speed(115200)
    with Wire.open(device.port, 115200) as wire:  # the next program finds it as it was
        assert wire.hello(attempts=1) == "double-board"
    return reached, [c.partition(" #")[0] for c in device.firmware.seen if "baud" in c]


def test_the_line_is_as_fast_as_both_sides_can() -> None:
    with DeviceDouble(Firmware(max_baud=921600)) as device:
        assert faster(device) == (921600, ["edgeq baud 921600", "edgeq baud 115200"])
    with DeviceDouble(Firmware(max_baud=500000)) as device:
        assert faster(device)[0] == 460800
    with DeviceDouble(Firmware(max_baud=0)) as device:
        assert faster(device) == (115200, [])


def test_a_speed_that_the_wiring_does_not_carry_is_taken_back() -> None:
    with DeviceDouble(Firmware(max_baud=921600), Behaviour(garble_from_baud=460800)) as device:
        assert faster(device)[0] == 230400


def test_a_device_that_a_crashed_host_left_fast_is_found() -> None:
    with DeviceDouble(Firmware(max_baud=921600)) as device:
        with Wire.open(device.port, 115200) as wire:
            session = Session(wire)
            info = session.info()
            assert info is not None and session.faster(info) == 921600
        with Wire.open(device.port, 115200) as wire:
            assert wire.hello() == "double-board"
