"""Nested precisions keep the accuracy, on networks that the project makes itself."""

from __future__ import annotations

import numpy as np
import pytest
from models import dense_float_tflite, digits, digits_float_tflite
from nested_models import nested_digits, nested_digits_throughout

from edgeq import tflite
from edgeq.errors import UnsupportedError, UsageError
from edgeq.importers.plain_float import plain_float
from edgeq.quantize.nested import checked_precisions, convert_nested, nested_layers
from edgeq.quantize.nested.weights import Chosen, Moments, choose
from edgeq.reference import Reference


def test_every_precision_of_the_digits_keeps_the_accuracy() -> None:
    made = nested_digits()
    assert list(made.evaluations) == [8, 4, 2]
    floats = made.evaluations[8].accuracy.float_model
    for bits, least in ((8, 0.0), (4, 0.02), (2, 0.05)):
        accuracy = made.evaluations[bits].accuracy
        assert accuracy.samples == 60 and made.evaluations[bits].held_back
        assert accuracy.quantized_model >= floats - least - 1e-9, bits
    assert made.report.evaluation is made.evaluations[8]
    sqnr = [made.evaluations[b].outputs[0].sqnr_db for b in (8, 4, 2)]
    assert sqnr[0] > sqnr[1] > sqnr[2]


def test_the_first_the_last_and_depthwise_layers_keep_8_bits_unless_told() -> None:
    kept, throughout = nested_digits(), nested_digits_throughout()
    assert [name.split(" ")[0] for name in kept.layers] == ["CONV_2D"]
    assert [name.split(" ")[0] for name in throughout.layers] == ["CONV_2D", "CONV_2D", "FULLY_CONNECTED"]
    assert throughout.evaluations[4].accuracy.quantized_model > 0.85


def test_any_runtime_runs_the_file_at_8_bits() -> None:
    made = nested_digits().tflite
    images, _ = digits()
    plain = tflite.at_precision(made, 8)
    whole, alone = (Reference(data, tflite.parse(data)) for data in (made, plain))
    for image in images[300:310]:
        sample = np.rint(image[None] * 255 - 128).astype(np.int8)
        assert np.array_equal(whole.run([sample])[0], alone.run([sample])[0])


def test_the_same_arguments_give_the_same_bytes() -> None:
    images, labels = digits()
    model = plain_float(digits_float_tflite(), name="digits", source="", kind="tflite")
    again = convert_nested(model, representative_data=images[:300], labels=labels[:300])
    assert again.tflite == nested_digits().tflite


def _correlated(channels: int = 12, depth: int = 40, rows: int = 600) -> tuple[np.ndarray, dict[int, Moments]]:
    """Weights with outliers, and inputs as behind a ReLU that have much in common."""
    rng = np.random.default_rng(5)
    weights = rng.standard_t(4, (channels, depth))
    inputs = np.maximum(rng.normal(0.5, 1, (rows, 8)) @ rng.normal(0, 1, (8, depth)) + rng.normal(0, 0.3, depth), 0)
    return weights, {bits: Moments.of(inputs, inputs @ weights.T) for bits in (8, 4, 2)}


def _error(chosen: Chosen, moments: dict[int, Moments], bits: int) -> float:
    real = chosen.sliced(bits) * chosen.scales[bits][:, None]
    return float((moments[bits].errors(real) / moments[bits].outputs).mean())


def test_joint_weights_are_near_the_best_at_each_precision_and_far_from_plain_slices() -> None:
    weights, moments = _correlated()
    together = choose(weights, moments, 1e-6)
    widest = np.abs(weights).max(axis=1)
    codes = np.clip(np.rint(weights / widest[:, None] * 127), -127, 127).astype(np.int8)
    plain = Chosen(codes, {8: widest / 127, 4: widest / 127 * 16, 2: widest / 127 * 32})
    for bits, factor in ((4, 3.0), (2, 3.0)):
        alone = choose(weights, moments, 1e-6, counted=(bits,))
        assert _error(together, moments, bits) < factor * _error(alone, moments, bits)
        assert _error(together, moments, bits) < 0.5 * _error(plain, moments, bits)
    errors = [_error(together, moments, bits) for bits in (8, 4, 2)]
    assert errors == sorted(errors)


def test_precisions_are_checked() -> None:
    assert checked_precisions((2, 8)) == (8, 2)
    for wrong in ((8,), (4, 2), (8, 3), ()):
        with pytest.raises(UsageError, match="can't be nested"):
            checked_precisions(wrong)


def test_a_network_without_a_layer_between_the_ends_is_refused() -> None:
    rng = np.random.default_rng(0)
    model = plain_float(dense_float_tflite((16, 8, 8, 4), bias=False), name="dense", source="", kind="tflite")
    with pytest.raises(UnsupportedError, match="no layer can have lower precisions"):
        convert_nested(model, representative_data=rng.random((30, 16), np.float32))
    two = plain_float(dense_float_tflite((16, 8, 4)), name="dense", source="", kind="tflite")
    graph = convert_nested(two, representative_data=rng.random((30, 16), np.float32)).graph
    assert len(nested_layers(graph)) == 2, "of two layers none would be left"
