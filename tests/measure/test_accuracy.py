"""Evaluating the digits network: figures against a plain loop, places, data in every form, what is refused."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_double import Behaviour, DeviceDouble, Firmware
from models import dense_float_tflite, digits, digits_float_tflite, digits_int8_tflite
from models_flatbuffer import O, T, model_bytes, single_op_model

from edgeq import pipeline, tflite
from edgeq.errors import DataError, NegativeResult, UsageError
from edgeq.events import Event, Progress
from edgeq.measure.accuracy import Answers, load_labelled
from edgeq.quantize import dequantized, quantized
from edgeq.reference import Reference
from edgeq.runners import ports
from edgeq.runners.ports import SerialPort


@pytest.fixture(scope="module")
def float_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("digits") / "digits.tflite"
    path.write_bytes(digits_float_tflite())
    return path


@pytest.fixture(scope="module")
def held_back() -> dict[str, Any]:
    images, labels = digits()
    return {"image": images[1000:1120], "y": labels[1000:1120]}


def choices(model: bytes, images: np.ndarray) -> np.ndarray:
    graph = tflite.parse(model)
    reference = Reference(model, graph)
    end = graph.tensors[graph.inputs[0]]
    return np.array([int(reference.run([quantized(end, image[None])])[0].argmax()) for image in images])


def test_the_figures_are_those_of_a_plain_loop(float_path: Path, held_back: dict[str, Any]) -> None:
    model = digits_int8_tflite()
    events: list[Event] = []
    report = pipeline.evaluate(model, data=held_back, float_model=float_path, listener=events.append)
    said = choices(model, held_back["image"])
    assert report.score is not None and report.score.value == np.mean(said == held_back["y"])
    assert report.confusion is not None and report.confusion.sum() == 120
    assert all(
        report.confusion[r, c] == np.sum((held_back["y"] == r) & (said == c)) for r in range(10) for c in range(10)
    )
    beside = report.against_float
    assert beside is not None and beside.score is not None and beside.difference is not None
    assert beside.difference.value == pytest.approx(report.score.value - beside.score.value)
    assert {d.sample for d in beside.disagreements} == {
        d.sample for d in beside.disagreements if d.model != d.float_model
    }
    assert beside.agreement == 1 - len(beside.disagreements) / 120
    assert all(said[d.sample] == d.model and held_back["y"][d.sample] == d.label for d in beside.disagreements)
    done = [e.done for e in events if isinstance(e, Progress)]
    assert done == sorted(done) and done[-1] == 120


def test_stored_values_and_real_ones_give_the_same(held_back: dict[str, Any]) -> None:
    model = digits_int8_tflite()
    graph = tflite.parse(model)
    stored = quantized(graph.tensors[graph.inputs[0]], held_back["image"])
    real = pipeline.evaluate(model, data=held_back)
    own = pipeline.evaluate(model, data={"image": stored, "y": held_back["y"]})
    assert own.score == real.score and np.array_equal(own.confusion, real.confusion)


def test_the_generated_c_gives_the_same_and_says_how_far_that_was_checked(held_back: dict[str, Any]) -> None:
    pytest.importorskip("ziglang")
    here = pipeline.evaluate(digits_int8_tflite(), data=held_back)
    compiled = pipeline.evaluate(digits_int8_tflite(), data=held_back, on="host-c")
    assert np.array_equal(here.confusion, compiled.confusion)
    assert compiled.compared is not None and (compiled.compared.samples, compiled.compared.differing) == (8, 0)
    assert compiled.provenance is None


def test_a_float_model_is_evaluated_as_it_is(float_path: Path, held_back: dict[str, Any]) -> None:
    report = pipeline.evaluate(float_path, data=held_back, float_model=float_path)
    assert report.against_float is not None and report.against_float.agreement == 1.0
    assert "float" in report.engine
    assert report.model_sha256 == tflite.read(float_path).sha256


def test_files_name_the_input_and_the_labels(tmp_path: Path, held_back: dict[str, Any]) -> None:
    path = tmp_path / "all.npz"
    np.savez(path, x_test=held_back["image"], x_cal=held_back["image"][:3], y_test=held_back["y"])
    report = pipeline.evaluate(digits_int8_tflite(), data=f"{path}:x_test", labels="y_test")
    assert report.score == pipeline.evaluate(digits_int8_tflite(), data=held_back).score
    with pytest.raises(DataError, match="x_train"):
        pipeline.evaluate(digits_int8_tflite(), data=f"{path}:x_train", labels="y_test")
    with pytest.raises(DataError, match="neither a file nor an array"):
        pipeline.evaluate(digits_int8_tflite(), data=f"{path}:x_test", labels="z")


def test_a_part_of_the_samples_is_chosen_by_the_seed_and_keeps_its_numbers(
    float_path: Path, held_back: dict[str, Any]
) -> None:
    first, again, other = (
        pipeline.evaluate(digits_int8_tflite(), data=held_back, samples=30, seed=seed, float_model=float_path)
        for seed in (1, 1, 2)
    )
    assert (first.samples, first.available) == (30, 120)
    assert first.against_float == again.against_float and np.array_equal(first.confusion, again.confusion)
    assert not np.array_equal(first.confusion, other.confusion)
    assert any("30 of 120" in text for text in first.notices)


@pytest.mark.parametrize(("limit", "passed"), [(0.0, True), (1.0, False)])
def test_the_gate(held_back: dict[str, Any], limit: float, passed: bool) -> None:
    report = pipeline.evaluate(digits_int8_tflite(), data=held_back, limit=limit)
    assert report.passed is passed and report.gate is not None and report.gate.kind == "min"


def test_nothing_to_hold_the_answers_against(held_back: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="neither labels nor a float model"):
        pipeline.evaluate(digits_int8_tflite(), data=held_back["image"])
    with pytest.raises(DataError, match="119 labels for 120"):
        pipeline.evaluate(digits_int8_tflite(), data=held_back["image"], labels=held_back["y"][1:])
    with pytest.raises(UsageError, match="no metric 'f1'"):
        pipeline.evaluate(digits_int8_tflite(), data=held_back, metric="f1")
    with pytest.raises(UsageError, match="port or a virtual board"):
        pipeline.evaluate(digits_int8_tflite(), data=held_back, on="nucleo-l4r5zi")
    with pytest.raises(UsageError, match="belongs to a target"):
        pipeline.evaluate(digits_int8_tflite(), data=held_back, sim=True)


def two_inputs() -> bytes:
    """ADD of 'left' and 'right', each (1, 4)."""
    ends = [T((1, 4), scale=0.5, name="left"), T((1, 4), scale=0.25, zero_point=3, name="right")]
    return single_op_model("ADD", ends, T((1, 4), scale=0.5, name="sum"), {"fused_activation_function": "NONE"})


def test_inputs_go_by_their_names_and_a_target_may_be_anything() -> None:
    rng = np.random.default_rng(0)
    left, right = (rng.integers(-20, 20, (25, 4)) * 0.25 for _ in range(2))
    left = np.round(left * 2) / 2
    wanted = left + right
    report = pipeline.evaluate(two_inputs(), data={"right": right, "left": left, "y": wanted}, metric="mse")
    assert report.score is not None and report.score.value <= 0.25**2
    wrong = pipeline.evaluate(
        two_inputs(), data={"right": left, "left": right, "y": wanted - 1}, metric="mse", limit=0.5
    )
    assert wrong.score is not None and wrong.score.value > 0.5 and not wrong.passed
    with pytest.raises(DataError, match="'right'"):
        pipeline.evaluate(two_inputs(), data={"left": left, "y": wanted}, metric="mse")


def autoencoder() -> bytes:
    """Gives back what lies within ±4, and clips what doesn't: RELU_N1_TO_1 stands for a bottleneck."""
    tensors = [T((1, 6), scale=0.125, name="x"), T((1, 6), scale=4 / 127, name="y")]
    return model_bytes(tensors, [O("QUANTIZE", [0], [1])], [0], [1])


def anomalies() -> dict[str, Any]:
    rng = np.random.default_rng(4)
    strange = np.arange(60) % 3 == 0
    windows = rng.uniform(-3, 3, (60, 5, 6)) + 2.0 * strange[:, None, None] * (rng.random((60, 5, 6)) < 0.3)
    return {
        "x": windows.reshape(300, 6).astype(np.float32),
        "label": np.repeat(strange, 5).astype(int),
        "group": np.repeat(np.arange(60), 5),
    }


def test_anomalies_are_what_is_reconstructed_badly_and_a_recording_counts_once() -> None:
    data = anomalies()
    report = pipeline.evaluate(autoencoder(), data=data, metric="auc")
    clipped = np.clip(data["x"], -4 * 128 / 127, 4)
    scores = ((clipped - data["x"]) ** 2).mean(axis=1).reshape(60, 5).mean(axis=1)
    assert report.groups == 60 and report.score is not None and report.score.method.startswith("DeLong")
    strange = np.arange(60) % 3 == 0
    pairs = scores[strange][:, None] - scores[~strange][None, :]
    assert report.score.value == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean(), abs=0.03)
    data["label"][0] ^= 1
    with pytest.raises(DataError, match="one group have different labels"):
        pipeline.evaluate(autoencoder(), data=data, metric="auc")


OWN = '''
import numpy as np

def auc_of_recordings(answers):
    """MLPerf Tiny's anomaly detection: a recording's score is the mean reconstruction error of its windows."""
    scores = np.bincount(answers.groups, answers.reconstruction_error) / np.bincount(answers.groups)
    strange = np.bincount(answers.groups, answers.labels) > 0
    seen = np.unique(answers.groups)
    scores, strange = scores[seen], strange[seen]
    return np.mean(scores[strange][:, None] > scores[~strange][None, :])

def broken(answers):
    return answers.nothing
'''


def test_a_metric_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_metric.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    with np.errstate(invalid="ignore"):
        own = pipeline.evaluate(autoencoder(), data=anomalies(), metric="own_metric:auc_of_recordings")
    builtin = pipeline.evaluate(autoencoder(), data=anomalies(), metric="auc")
    assert own.score is not None and builtin.score is not None
    assert own.score.value == pytest.approx(builtin.score.value, abs=0.02)
    assert own.score.low is not None and own.score.low < own.score.value and "groups" in own.score.method
    with pytest.raises(DataError, match="raised AttributeError"):
        pipeline.evaluate(autoencoder(), data=anomalies(), metric="own_metric:broken")


def test_what_a_metric_is_given_can_be_drawn_from() -> None:
    answers = Answers((np.arange(6.0).reshape(3, 2),), (np.ones((3, 2)),), np.array([1, 0, 1]), None)
    drawn = answers.take(np.array([2, 2]))
    assert (
        drawn.outputs[0].tolist() == [[4, 5], [4, 5]] and drawn.labels is not None and drawn.labels.tolist() == [1, 1]
    )


def inverter() -> bytes:
    """y = ~x on stored values: what the firmware double computes (y = -x - 1 step)."""
    return single_op_model(
        "FULLY_CONNECTED",
        [
            T((1, 70), scale=1.0, name="x"),
            T((70, 70), scale=1.0, data=-np.eye(70, dtype=np.int8), name="w"),
            T((70,), "INT32", scale=1.0, data=-np.ones(70, np.int32), name="b"),
        ],
        T((1, 70), scale=1.0, name="y"),
    )


def device_report(behaviour: Behaviour, count: int = 6, **firmware: Any) -> Any:
    model = inverter()
    data = np.random.default_rng(1).integers(-128, 128, (count, 70)).astype(np.int8)
    known = Firmware(sha256=tflite.parse(model).sha256, layer_cycles=(900,), **firmware)
    with DeviceDouble(known, behaviour) as device:
        return pipeline.evaluate(
            model,
            data={"x": data, "y": -data.astype(np.float32) - 1},
            metric="mse",
            on="nucleo-l4r5zi",
            port=device.port,
        )


def test_a_device_answers_and_is_held_against_the_reference() -> None:
    report = device_report(Behaviour())
    assert report.provenance == "simulated"
    assert report.score.value == 0.0
    assert (report.compared.samples, report.compared.differing) == (6, 0)


def test_damage_on_the_line_is_repaired_and_a_device_that_is_wrong_stays_wrong() -> None:
    assert device_report(Behaviour(corrupt_reads=1)).score.value == 0.0
    repaired = device_report(Behaviour(corrupt_loads=1))
    assert repaired.score.value == 0.0 and any("sent again" in text for text in repaired.notices)
    wrong = device_report(Behaviour(corrupt_runs=2))
    assert wrong.compared.differing == 2 and wrong.score.value > 0.0


def test_a_run_goes_on_after_an_unplug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off in the midst of its samples, and back under another name; every answer counts once."""
    model = inverter()
    here: list[str] = []
    known = Firmware(sha256=tflite.parse(model).sha256, layer_cycles=(900,))
    data = np.random.default_rng(1).integers(-128, 128, (8, 70)).astype(np.int8)
    with DeviceDouble(known) as first, DeviceDouble(replace(known, seen=[])) as again:
        here.append(first.port)
        look = lambda: tuple(SerialPort(name, "ST-LINK", 0x0483, 0x374B, "0672FF") for name in here)  # noqa: E731
        monkeypatch.setattr(ports.follow, "__defaults__", (look,))

        def unplug() -> None:
            end = time.monotonic() + 20
            while sum(c.startswith("edgeq run") for c in list(first.firmware.seen)) < 4 and time.monotonic() < end:
                time.sleep(0.001)
            here.clear()
            first.unplug()
            here.append(again.port)

        hand = threading.Thread(target=unplug)
        hand.start()
        try:
            report = pipeline.evaluate(
                model, data={"x": data, "y": -data.astype(np.float32) - 1}, metric="mse", on="nucleo-l4r5zi",
                port=first.port, timeout_s=10.0,
            )  # fmt: skip
        finally:
            hand.join()
    assert report.score.value == 0.0 and report.compared is not None and report.compared.samples == 8
    assert any("came back once" in text for text in report.notices)
    assert 4 <= sum(command.startswith("edgeq run") for command in again.firmware.seen) <= 6


def test_another_model_on_the_device_is_refused() -> None:
    with pytest.raises(NegativeResult, match="another model"), DeviceDouble(Firmware(sha256="cd" * 32)) as device:
        pipeline.evaluate(inverter(), data=np.zeros((2, 70)), metric="mse", on="nucleo-l4r5zi", port=device.port)


def test_the_json_is_plain_and_complete(float_path: Path, held_back: dict[str, Any]) -> None:
    from edgeq.report.json import document

    report = pipeline.evaluate(digits_int8_tflite(), data=held_back, float_model=float_path, limit=0.5)
    body = json.loads(document("evaluate", report.to_json()))
    assert body["model"]["sha256"] == tflite.parse(digits_int8_tflite()).sha256
    assert body["score"]["low"] <= body["score"]["value"] <= body["score"]["high"] and body["score"]["level"] == 0.95
    assert body["gate"] == {"kind": "min", "limit": 0.5, "passed": True}
    assert np.array(body["confusion"]).shape == (10, 10)
    assert len(body["float"]["disagreements"]) == len(
        report.against_float.disagreements if report.against_float else ()
    )


def test_labels_of_any_shape_stay_as_they_are(held_back: dict[str, Any]) -> None:
    one_hot = np.eye(10)[held_back["y"]]
    given = load_labelled({"image": held_back["image"], "y": one_hot}, tflite.parse(digits_int8_tflite()))
    assert given.labels is not None and given.labels.shape == (120, 10)
    report = pipeline.evaluate(digits_int8_tflite(), data={"image": held_back["image"], "y": one_hot})
    assert report.score == pipeline.evaluate(digits_int8_tflite(), data=held_back).score


def test_a_regression_of_a_float_network_is_told_by_its_distance(tmp_path: Path) -> None:
    path = tmp_path / "dense.tflite"
    path.write_bytes(dense_float_tflite((16, 32, 16)))
    data = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    report = pipeline.evaluate(path, data=data)
    reconstructed = report.score
    assert report.metric == "mse" and reconstructed is not None and reconstructed.value > 0
    assert dequantized(tflite.parse(path.read_bytes()).tensors[0], data).shape == data.shape


@pytest.mark.slow
def test_the_virtual_board_answers_the_whole_set(held_back: dict[str, Any]) -> None:
    pytest.importorskip("unicorn")
    here = pipeline.evaluate(digits_int8_tflite(), data=held_back)
    there = pipeline.evaluate(digits_int8_tflite(), data=held_back, on="nucleo-l4r5zi", sim=True)
    assert there.provenance == "simulated" and np.array_equal(here.confusion, there.confusion)
    assert there.compared is not None and (there.compared.samples, there.compared.differing) == (120, 0)


@pytest.mark.slow
@pytest.mark.shared
def test_the_reference_keyword_model(shared: Path) -> None:
    report = pipeline.evaluate(
        shared / "mlperf_tiny" / "kws_int8.tflite",
        data=str(shared / "kws_features.npz"),
        float_model=shared / "mlperf_tiny" / "kws_float.tflite",
    )
    assert report.score is not None and report.score.low is not None and report.score.high is not None
    assert report.score.low <= 0.906 <= report.score.high  # the figure published for this file
    assert report.against_float is not None and (report.against_float.agreement or 0) > 0.97
