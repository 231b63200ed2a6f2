"""Profiling the double: what is compared, counted, and called what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from device_double import Behaviour, DeviceDouble, Firmware

from edgeq import target as targets
from edgeq.codegen.tree import Layer, Manifest, TensorInfo
from edgeq.errors import NegativeResult, UnsupportedError
from edgeq.events import Event, Progress
from edgeq.measure.comparison import Comparison
from edgeq.measure.inputs import Samples, seeded
from edgeq.measure.measurement import CycleModel, Measurement
from edgeq.measure.profile import Setting, Subject, default_samples, profile

END = TensorInfo("x", "INT8", (1, 70), 70, 0.5, 0)
MANIFEST = Manifest(
    model_name="double",
    model_sha256="ab" * 32,
    model_bytes=1000,
    target="nucleo-l4r5zi",
    clock_hz=120_000_000,
    arena_bytes=512,
    weights_bytes=640,
    macs=9_000,
    inputs=(END,),
    outputs=(replace(END, name="y"),),
    layers=tuple(Layer(i, "CONV_2D", f"conv{i}", "conv_1x1_m4", 800 + i, 60) for i in range(11)),
    build="0123456789abcdef",
)


def reference(inputs: Sequence[Any]) -> list[Any]:
    return [np.invert(inputs[0])]


def subject(samples: Samples | None = None) -> Subject:
    return Subject(
        MANIFEST,
        targets.load("nucleo-l4r5zi"),
        samples or seeded([END], 4, 1),
        reference,
        "the double's rule",
        "x.tflite",
    )


def setting(device: DeviceDouble, **changes: Any) -> Setting:
    return Setting(device.port, 115200, "simulated", cycle_model=CycleModel("a model", "±10 %"), **changes)


def measure(device: DeviceDouble, **changes: Any) -> Measurement:
    return profile(setting(device, **changes), subject())


def test_a_good_device() -> None:
    events: list[Event] = []
    with DeviceDouble() as device:
        got = profile(setting(device, runs=10), subject(), listener=events.append)
    assert got.validation.bit_exact and got.validation.passed
    assert (got.validation.samples, got.validation.elements) == (4, 280)
    assert len(got.cycles) == 10
    assert got.model_verified
    assert [t.cycles for t in got.layers] == [1000 + i for i in range(11)]
    assert (got.memory.stack_bytes, got.memory.stack_reserved_bytes) == (712, 4096)
    steps = [e.done for e in events if isinstance(e, Progress)]
    assert steps == sorted(steps) and steps[-1] == 10


def test_the_json_is_the_designs() -> None:
    with DeviceDouble() as device:
        body = json.loads(json.dumps(measure(device).to_json()))
    assert body["provenance"] == "simulated"
    assert body["cycle_model"] == {"name": "a model", "known_error": "±10 %"}
    assert body["model"]["sha256"] == "ab" * 32
    assert body["validation"]["bit_exact"] is True and body["validation"]["max_abs_diff"] == 0
    assert body["latency"]["cycles"]["median"] == 11_155
    assert body["latency"]["ms"]["median"] == pytest.approx(11_155 / 120e3, abs=1e-6)
    assert body["layers"][3] == {
        "index": 3, "op": "CONV_2D", "name": "conv3", "macs": 803, "cycles": 1003, "kernel": "conv_1x1_m4",
            "why": "",
    }  # fmt: skip
    assert set(body["memory"]) >= {
        "arena_bytes", "stack_bytes", "ram_bytes", "weights_bytes", "code_bytes", "flash_bytes",
    }  # fmt: skip
    # 42 mW for 11,155 cycles at 120 MHz.
    assert body["energy"]["uj_per_inference"] == pytest.approx(3.904, abs=1e-3)
    assert body["energy"]["provenance"] == "estimated"


def test_a_sample_that_arrived_damaged_is_sent_again_and_told() -> None:
    with DeviceDouble(behaviour=Behaviour(corrupt_loads=1)) as device:
        got = measure(device)
    assert got.validation.bit_exact
    assert len(got.cycles) == 4
    assert [n for n in got.notices if "1 times something was damaged on the line" in n]


def test_outputs_that_were_damaged_on_the_way_back_are_read_again() -> None:
    with DeviceDouble(behaviour=Behaviour(corrupt_reads=1)) as device:
        got = measure(device)
        seen = device.firmware.seen
    assert got.validation.bit_exact and "damaged on the line" in got.notices[0]
    assert sum(command.startswith("edgeq run") for command in seen) == 4


def test_a_device_that_is_wrong_only_once_is_wrong() -> None:
    """Memory that isn't initialised looks like this: the second inference finds what the first has left."""
    with DeviceDouble(behaviour=Behaviour(corrupt_runs=1)) as device:
        got = measure(device)
    assert got.validation.bit_exact is False and not got.validation.passed


class Counting:
    """The reference for a double with a state: xor the inferences since the last reset."""

    def __init__(self) -> None:
        self.done = 0

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        self.done += 1
        return [np.invert(inputs[0]) ^ np.int8(self.done - 1)]

    def reset(self) -> None:
        self.done = 0


@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_a_state_is_forgotten_first_and_where_an_answer_was_lost(damaged: int) -> None:
    """Asked once more after a damaged answer, the device is one inference further than the reference."""
    rule = Counting()
    rule.done = 5
    stateful = replace(subject(), reference=rule.run, reset=rule.reset)
    with DeviceDouble(Firmware(state_bytes=8), Behaviour(corrupt_answers=damaged)) as device:
        for _ in range(2):  # the second finds what the first has left
            got = profile(setting(device), stateful)
            assert got.validation.bit_exact and got.validation.samples == 4
            assert "the samples are one sequence, from a reset on" in " ".join(got.notices)
        resets = sum(command.startswith("edgeq reset") for command in device.firmware.seen)
    assert resets == 2 + bool(damaged)


def test_a_state_that_cannot_be_forgotten_is_not_validated() -> None:
    with DeviceDouble(behaviour=Behaviour(standard_only=True)) as device:
        rule = Counting()
        with pytest.raises(UnsupportedError, match="keeps a state"):
            profile(setting(device), replace(subject(), reference=rule.run, reset=rule.reset))


def test_outputs_that_differ_say_where() -> None:
    with DeviceDouble(behaviour=Behaviour(corrupt_runs=1)) as device:
        got = measure(device)
    assert got.validation.bit_exact is False and not got.validation.passed
    assert (got.validation.differing, got.validation.max_abs_diff) == (1, 4)
    assert got.validation.first_difference.startswith("sample 0, output 'y' element 0: device ")


def test_another_model_on_the_device_is_a_negative_result_before_anything_is_loaded() -> None:
    firmware = Firmware(sha256="cd" * 32)
    with DeviceDouble(firmware) as device, pytest.raises(NegativeResult, match="another model"):
        measure(device)
    assert not [command for command in firmware.seen if command.startswith("db")]


def test_inputs_and_outputs_of_other_sizes_are_refused() -> None:
    with DeviceDouble(Firmware(outputs=69)) as device, pytest.raises(NegativeResult, match="69"):
        measure(device)


def test_mlperf_firmware_without_the_extra_command() -> None:
    with DeviceDouble(behaviour=Behaviour(standard_only=True)) as device:
        got = measure(device, runs=8)
    assert got.validation.bit_exact is None and got.validation.passed
    assert not got.model_verified and got.layers == () and got.memory.stack_bytes is None
    # 250 µs by the double's clock, at the target's 120 MHz.
    assert got.median_cycles == 30_000
    assert any("hash could not be checked" in n for n in got.notices)


def test_mlperf_firmware_with_other_results() -> None:
    with DeviceDouble(behaviour=Behaviour(standard_only=True, corrupt_runs=1)) as device:
        got = measure(device)
    assert not got.validation.passed
    assert got.validation.max_abs_diff == 2.0


def several_outputs() -> Subject:
    outputs = (replace(END, name="y", shape=(1, 40), size_bytes=40), replace(END, name="z", shape=(30,), size_bytes=30))

    def two(inputs: Sequence[Any]) -> list[Any]:
        inverted = np.invert(inputs[0]).ravel()
        return [inverted[:40].reshape(1, 40), inverted[40:]]

    return replace(subject(), manifest=replace(MANIFEST, outputs=outputs), reference=two)


def test_mlperf_firmware_that_prints_all_of_several_outputs() -> None:
    with DeviceDouble(behaviour=Behaviour(standard_only=True)) as device:
        got = profile(setting(device), several_outputs())
    assert got.validation.passed and got.validation.elements == 4 * 70
    assert not any("could not be compared" in n for n in got.notices)


def test_mlperf_firmware_that_prints_the_first_output_only() -> None:
    with DeviceDouble(Firmware(outputs=40), Behaviour(standard_only=True)) as device:
        got = profile(setting(device), several_outputs())
    assert got.validation.passed and got.validation.elements == 4 * 40
    assert any("prints only 'y': 'z' could not be compared" in n for n in got.notices)


def test_mlperf_firmware_with_another_number_of_results() -> None:
    with (
        DeviceDouble(Firmware(outputs=30), Behaviour(standard_only=True)) as device,
        pytest.raises(NegativeResult, match=r"30 results, the model has 70 \(40 \+ 30 in 2 outputs\)"),
    ):
        profile(setting(device), several_outputs())


def test_a_device_that_prints_nan_does_not_agree() -> None:
    with DeviceDouble(behaviour=Behaviour(standard_only=True, nan_results=True)) as device:
        got = measure(device)
    assert not got.validation.passed
    assert got.validation.differing == got.validation.elements


@pytest.mark.parametrize("have", [np.nan, np.inf, -np.inf])
def test_float_outputs_that_are_no_numbers_differ_and_can_be_told(have: float) -> None:
    comparison = Comparison((replace(END, dtype="FLOAT32", scale=0.0),))
    comparison.add(0, [np.array([0.0, have], np.float32).tobytes()], [np.array([0.0, 1.0], np.float32)])
    got = comparison.result("inputs", "reference")
    assert (got.bit_exact, got.differing, got.max_abs_diff) == (False, 1, np.inf)


def test_firmware_of_another_version_is_told_by_its_arena() -> None:
    with DeviceDouble() as device:
        got = profile(setting(device), replace(subject(), manifest=replace(MANIFEST, arena_bytes=496)))
    assert any("512 bytes" in n and "another version" in n for n in got.notices)


@pytest.mark.parametrize(("build", "told"), [("f" * 16, "build ffffffffffffffff"), ("", "names none")])
def test_another_build_of_the_same_model_is_told(build: str, told: str) -> None:
    with DeviceDouble(Firmware(build=build)) as device:
        got = measure(device)
    assert any(told in n and "0123456789abcdef" in n for n in got.notices)
    assert got.to_json()["device"] == {"name": "double-board", "port": device.port, "build": build}


def test_the_same_build_is_not_worth_a_word() -> None:
    with DeviceDouble() as device:
        assert measure(device).notices == ()


def test_a_clock_that_differs_from_the_target_file_is_said_and_used() -> None:
    with DeviceDouble(Firmware(clock_hz=80_000_000)) as device:
        got = measure(device)
    assert got.clock_hz == 80_000_000
    assert got.energy is None  # the power is known at 120 MHz only
    assert any("80,000,000" in n for n in got.notices)


def test_measured_figures_carry_no_cycle_model() -> None:
    with DeviceDouble() as device:
        got = profile(replace(setting(device), provenance="measured"), subject())
    assert got.cycle_model is None
    assert got.to_json()["provenance"] == "measured"


def test_fewer_samples_by_default_where_they_take_long() -> None:
    assert default_samples(MANIFEST) == 20
    assert default_samples(replace(MANIFEST, inputs=(replace(END, size_bytes=27_648),))) == 2
    assert default_samples(replace(MANIFEST, inputs=(replace(END, size_bytes=10_000_000),))) == 2
    assert default_samples(replace(MANIFEST, macs=2_656_768), virtual=True) == 7
    assert default_samples(replace(MANIFEST, macs=2_656_768)) == 20
    assert default_samples(replace(MANIFEST, macs=12_501_632), virtual=True) == 2
