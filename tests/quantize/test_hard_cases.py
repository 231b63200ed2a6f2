"""What breaks int8, repaired by the default settings: uneven channels, and samples that were scaled wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digits_network import trained
from models import digits

from edgeq.importers import Model
from edgeq.quantize import QuantizedModel, convert, dequantized, quantized
from edgeq.quantize.calibration import FloatRunner
from edgeq.reference import Reference

SPOILED = {"one by 255": (slice(17, 18), 255.0), "every 20th by 20": (slice(0, None, 20), 20.0)}


def spoiled(samples: np.ndarray, how: str) -> np.ndarray:
    places, factor = SPOILED[how]
    changed = samples.copy()
    changed[places] *= factor
    return changed


def first_choices(result: QuantizedModel, samples: np.ndarray) -> np.ndarray:
    graph = result.graph
    reference = Reference(result.tflite, graph)
    first, last = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    return np.array([dequantized(last, reference.run([quantized(first, s[None])])[0]).argmax() for s in samples])


def float_choices(model: Model, samples: np.ndarray) -> np.ndarray:
    runner = FloatRunner(model)
    return np.array([runner.run([s[None]])[0].argmax() for s in samples])


def held_back() -> tuple[np.ndarray, np.ndarray]:
    images, labels = digits()
    return images[1200:], labels[1200:]


def loss(result: QuantizedModel, model: Model) -> float:
    """By how much accuracy falls on digits that neither trained nor calibrated."""
    images, labels = held_back()
    return float(np.mean(float_choices(model, images) == labels) - np.mean(first_choices(result, images) == labels))


def test_the_network_reads_digits_and_rescaling_leaves_it_as_it_is() -> None:
    images, labels = held_back()
    plain = float_choices(trained().model(), images)
    assert np.mean(plain == labels) > 0.9
    np.testing.assert_array_equal(float_choices(trained().uneven(5).model(), images), plain)


def test_uneven_channels_ruin_plain_int8_and_not_the_default() -> None:
    model = trained().uneven(5).model()
    images, labels = (part[:200] for part in digits())
    plain = convert(model, representative_data=images, calibration="min-max", repair="none")
    assert loss(plain, model) > 0.1
    result = convert(model, representative_data=images, labels=labels)
    assert loss(result, model) <= 0.01
    assert result.report.chosen.repairs[0] in ("cle", "activation-equalization")
    score, before = result.report.chosen.score, result.report.plain
    assert score is not None and before is not None and before.score is not None
    assert score.mean_db > before.score.mean_db + 10


def test_one_sample_scaled_wrongly_is_named_and_does_no_harm() -> None:
    model = trained().model()
    images = spoiled(digits()[0][:200], "one by 255")
    result = convert(model, representative_data=images, seed=_seed_that_calibrates_with(17))
    assert loss(result, model) <= 0.01
    (suspicion,) = (s for s in result.report.suspicions if s.fault == "scale")
    assert suspicion.samples == (17,) and "sample 17 of 'image'" in suspicion.text
    assert suspicion.text in result.report.notices
    assert result.report.chosen.calibration == "sample-percentile"


def _seed_that_calibrates_with(sample: int) -> int:
    from edgeq.quantize.split import split

    return next(seed for seed in range(100) if sample in split(200, seed).calibration)


@pytest.mark.slow
@pytest.mark.parametrize("labelled", [False, True], ids=["without labels", "with labels"])
@pytest.mark.parametrize("octaves", [0, 3, 5])
@pytest.mark.parametrize("how", ["", *SPOILED])
def test_every_case_ends_within_a_hundredth_of_float(octaves: int, how: str, labelled: bool) -> None:
    model = trained().uneven(octaves).model()
    images, labels = (part[:200] for part in digits())
    data = spoiled(images, how) if how else images
    result = convert(model, representative_data=data, labels=labels if labelled else None)
    assert loss(result, model) <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize("octaves", [0, 5])
def test_four_bit_weights_end_near_float(octaves: int) -> None:
    model = trained().uneven(octaves).model()
    images, labels = (part[:200] for part in digits())
    result = convert(model, representative_data=images, labels=labels, scheme="static_wi4_ai8")
    assert "adaround" in result.report.chosen.repairs
    assert loss(result, model) <= 0.02


def cifar(shared: Path, scale: float) -> Any:
    with np.load(shared / "cifar10_subset.npz") as archive:
        calibration, test = (archive[k].astype(np.float32) * np.float32(scale) for k in ("x_cal", "x_test"))
        return calibration[:200], archive["y_cal"][:200], test, archive["y_test"]


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "within"), [("static_wi8_ai8", 0.01), ("static_wi4_ai8", 0.012)], ids=["8 bits", "4 bits"]
)
@pytest.mark.parametrize("case", ["even", "uneven3", "uneven5", *SPOILED])
def test_the_shared_hard_cases(shared: Path, case: str, scheme: str, within: float) -> None:
    name = "even" if case in SPOILED else case
    calibration, labels, test, wanted = cifar(shared, 1 / 255)
    data = spoiled(calibration, case) if case in SPOILED else calibration
    result = convert(
        shared / "hard_cases" / f"{name}_float.tflite", representative_data=data, labels=labels, scheme=scheme
    )
    assert np.mean(first_choices(result, test) == wanted) >= 0.677 - within


@pytest.mark.shared
@pytest.mark.slow
def test_image_classification_keeps_its_accuracy(shared: Path) -> None:
    from edgeq import importers

    calibration, labels, test, wanted = cifar(shared, 1.0)
    model = importers.load(shared / "mlperf_tiny" / "ic_float.tflite")
    result = convert(model, representative_data=calibration, labels=labels)
    floating = np.mean(float_choices(model, test) == wanted)
    assert np.mean(first_choices(result, test) == wanted) >= floating - 0.004


@pytest.mark.shared
@pytest.mark.slow
def test_keyword_spotting_keeps_its_accuracy(shared: Path) -> None:
    from edgeq import importers

    with np.load(shared / "kws_features.npz") as archive:
        values = (archive["x_int8"].astype(np.float32) - archive["zero_point"]) * archive["scale"]
        samples, labels = values.astype(np.float32)[..., None], archive["y"]
    model = importers.load(shared / "mlperf_tiny" / "kws_float.tflite")
    result = convert(model, representative_data=samples[:200], labels=labels[:200])
    floating = np.mean(float_choices(model, samples[200:]) == labels[200:])
    assert np.mean(first_choices(result, samples[200:]) == labels[200:]) >= floating - 0.003
