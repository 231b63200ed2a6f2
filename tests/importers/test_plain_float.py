"""What differs between producers is settled before anything is calibrated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from models import RELU, TYPES, NetBuilder, digits_float_tflite, digits_int8_tflite

from edgeq.errors import UnsupportedError
from edgeq.importers import Model
from edgeq.importers.plain_float import plain_float
from edgeq.quantize.calibration import FloatRunner
from edgeq.tflite.objects import pack, unpack


def plain(data: bytes) -> Model:
    return plain_float(data, name="net", source="net.tflite", kind="tflite")


def dense(net: NetBuilder, x: int, weights: int, rows: int, **kwargs: Any) -> int:
    return net.op("FULLY_CONNECTED", [x, weights, -1], (1, rows), **kwargs)


def test_the_batch_is_frozen_and_told() -> None:
    model = plain(digits_float_tflite())
    assert model.inputs == ("image",) and model.outputs == ("scores",)
    assert model.graph.tensors[model.graph.inputs[0]].shape_signature == ()
    assert any("'image'" in n or "of image" in n for n in model.notices)


def test_other_open_dimensions_are_refused_by_name() -> None:
    net = NetBuilder()
    x = net.input((1, 8, 8, 1), name="photo", signature=(-1, -1, 8, 1))
    data = net.finish([net.op("RELU", [x], (1, 8, 8, 1))])
    with pytest.raises(UnsupportedError, match=r"input 'photo' has the shape \(\?, \?, 8, 1\)") as caught:
        plain(data)
    assert caught.value.facts["open_dimensions"] == [0, 1]


def test_a_quantized_file_is_refused_with_the_count() -> None:
    with pytest.raises(UnsupportedError, match=r"quantized already: 7 of 7 operators.*CONV_2D #0 \(conv\)"):
        plain(digits_int8_tflite())
    with pytest.raises(UnsupportedError, match="quantized already: 7 of 9"):
        plain(digits_int8_tflite("float32"))


def test_operator_codes_of_old_files_are_in_both_fields() -> None:
    model = unpack(digits_float_tflite())
    for code in model.operatorCodes:
        code.builtinCode = 0  # files from before 2020 have only the other field
    codes = unpack(plain(pack(model)).tflite).operatorCodes
    assert all(code.builtinCode == code.deprecatedBuiltinCode for code in codes)
    assert len({code.builtinCode for code in codes}) == len(codes) > 1


def test_tensor_names_become_unique_and_ends_keep_theirs() -> None:
    net = NetBuilder()
    x = net.input((1, 4), name="x")
    y = net.op("RELU", [x], (1, 4), name="same")
    y = net.op("TANH", [y], (1, 4), name="same")
    y = net.op("LOGISTIC", [y], (1, 4), name="")
    model = plain(net.finish([y]))
    names = [t.name for t in model.graph.tensors]
    assert len(set(names)) == len(names) == 4 and names[0] == "x" and all(names)


@pytest.mark.parametrize("per_channel", [False, True])
def test_eight_bit_weights_beside_float_become_float(per_channel: bool) -> None:
    rng = np.random.default_rng(3)
    stored = rng.integers(-127, 128, (5, 6)).astype(np.int8)
    scales = rng.uniform(0.01, 0.1, 5 if per_channel else 1).astype(np.float32)
    net = NetBuilder()
    x = net.input((1, 6))
    weights = net.constant(stored, quant=(scales, np.zeros_like(scales), 0))
    model = plain(net.finish([dense(net, x, weights, 5)]))
    restored = model.graph.tensors[weights]
    assert restored.dtype.value == "FLOAT32" and restored.quant is None
    np.testing.assert_allclose(restored.data, stored * scales.reshape(-1, 1), rtol=1e-6)
    assert any("not quite float" in n for n in model.notices)


@pytest.mark.parametrize("stored", ["float16", "int8"])
def test_weights_behind_dequantize_become_float(stored: str) -> None:
    values = np.random.default_rng(4).integers(-100, 100, (5, 6)) / 8.0
    net = NetBuilder()
    x = net.input((1, 6))
    if stored == "float16":
        small = net.constant(values.astype(np.float16), "float16")
    else:
        small = net.constant((values * 8).astype(np.int8), quant=(0.125, 0))
    weights = net.op("DEQUANTIZE", [small], (5, 6))
    y = dense(net, x, weights, 5, fusedActivationFunction=RELU)
    model = plain(net.finish([y]))
    assert [op.kind for op in model.graph.ops] == ["FULLY_CONNECTED"]
    sample = np.random.default_rng(5).normal(size=(1, 6)).astype(np.float32)
    expected = np.maximum(sample @ values.T, 0)
    np.testing.assert_allclose(FloatRunner(model).run([sample])[0], expected, rtol=1e-5, atol=1e-5)


def test_a_plain_file_stays_as_it_is() -> None:
    first = plain(digits_float_tflite())
    again = plain(first.tflite)
    assert again.tflite == first.tflite and again.notices == ()


def test_shape_arithmetic_behind_a_frozen_batch_becomes_constant() -> None:
    """What TensorFlow's converter writes for Reshape or Flatten when the batch is open."""
    net = NetBuilder()
    x = net.input((1, 4, 2), name="x", signature=(-1, 4, 2))
    shape = net.op("SHAPE", [x], (3,), "int32", outType=TYPES["int32"])
    ends = [net.constant(np.array([value], np.int32)) for value in (0, 1, 1)]
    batch = net.op("STRIDED_SLICE", [shape, *ends], (), "int32", shrinkAxisMask=1)
    target = net.op("PACK", [batch, net.constant(np.int32(8))], (2,), "int32", valuesCount=2)
    flat = net.op("RESHAPE", [x, target], (1, 8))
    model = plain(net.finish([net.op("TANH", [flat], (1, 8))]))
    assert [op.kind for op in model.graph.ops] == ["RESHAPE", "TANH"]
    reshape = model.graph.ops[0]
    found = model.graph.input_of(reshape, 1)
    assert found is not None and found.data is not None and found.data.tolist() == [1, 8]
    assert any("3 operators that computed shapes" in text for text in model.notices)
    sample = np.arange(8, dtype=np.float32).reshape(1, 4, 2) / 8
    np.testing.assert_allclose(FloatRunner(model).run([sample])[0], np.tanh(sample.reshape(1, 8)), rtol=1e-5)
