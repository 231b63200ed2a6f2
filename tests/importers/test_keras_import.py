"""Keras and SavedModel through a TensorFlow process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeq import importers, registry
from edgeq.errors import ModelFileError, UnsupportedError, UsageError
from edgeq.importers import ImportOptions
from edgeq.quantize import convert
from edgeq.quantize.calibration import FloatRunner

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not registry.installed("tensorflow"), reason="TensorFlow is not installed"),
]


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


@pytest.fixture(scope="module")
def two_inputs(keras: Any) -> Any:
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 1), name="image")
    extra = keras.Input((4,), name="extra")
    x = keras.layers.Conv2D(6, 3, padding="same", use_bias=False)(image)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU(6.0)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Concatenate()([x, keras.layers.Dense(6, activation="relu")(extra)])
    return keras.Model([image, extra], keras.layers.Dense(3, activation="softmax", name="out")(x), name="two")


def outputs_of(model: importers.Model, **inputs: np.ndarray) -> np.ndarray:
    return FloatRunner(model).run([inputs[name] for name in model.inputs])[0]


def samples() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "image": rng.random((1, 8, 8, 1)).astype(np.float32),
        "extra": rng.normal(size=(1, 4)).astype(np.float32),
    }


@pytest.mark.parametrize("form", ["keras", "h5", "savedmodel", "object"])
def test_every_form_gives_the_same_function(two_inputs: Any, form: str, tmp_path: Path) -> None:
    inputs = samples()
    expected = np.asarray(two_inputs([inputs["image"], inputs["extra"]]))
    source: Any = two_inputs
    if form in ("keras", "h5"):
        source = tmp_path / f"model.{form}"
        two_inputs.save(source)
        source = source.rename(tmp_path / "model.bin")  # the content decides, not the name
    elif form == "savedmodel":
        source = tmp_path / "exported"
        two_inputs.export(source, verbose=False)
    model = importers.load(source)
    assert sorted(model.inputs) == ["extra", "image"]
    assert all(op.kind not in ("SHAPE", "VAR_HANDLE", "READ_VARIABLE") for op in model.graph.ops)
    np.testing.assert_allclose(outputs_of(model, **inputs), expected, rtol=1e-4, atol=1e-5)


def test_a_large_model_takes_the_other_road_to_the_same_function(
    two_inputs: Any, keras: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeq.importers import tensorflow_worker

    inputs = samples()
    expected = np.asarray(two_inputs([inputs["image"], inputs["extra"]]))
    usual = importers.load(two_inputs)
    monkeypatch.setattr(tensorflow_worker, "LARGE_BYTES", 0)
    monkeypatch.setattr(tensorflow_worker, "_converted_in_memory", None)
    large = importers.load(two_inputs)
    assert sorted(large.inputs) == sorted(usual.inputs)
    assert sorted(op.kind for op in large.graph.ops) == sorted(op.kind for op in usual.graph.ops)
    np.testing.assert_allclose(outputs_of(large, **inputs), expected, rtol=1e-4, atol=1e-5)


def test_a_keras_object_converts_to_int8(two_inputs: Any) -> None:
    rng = np.random.default_rng(1)
    data = {"image": rng.random((40, 8, 8, 1)), "extra": rng.normal(size=(40, 4))}
    result = convert(two_inputs, representative_data=data)
    assert result.report.integer_only and result.report.kind == "keras"
    sqnr = result.report.evaluation.outputs[0].sqnr_db
    assert sqnr is not None and sqnr > 20


def test_several_open_dimensions_are_named(keras: Any, tmp_path: Path) -> None:
    image = keras.Input((None, None, 3), name="photo")
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
    model.save(tmp_path / "open.keras")
    with pytest.raises(UnsupportedError, match=r"input 'photo' has the shape \(\?, \?, \?, 3\)"):
        importers.load(tmp_path / "open.keras")


def test_a_custom_layer_is_named_and_an_object_has_it(keras: Any, tmp_path: Path) -> None:
    class Doubled(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x * 2.0

    data = keras.Input((4,), name="x")
    model = keras.Model(data, Doubled()(data))
    model.save(tmp_path / "custom.keras")
    with pytest.raises(UnsupportedError, match="custom layer or object 'Doubled'") as caught:
        importers.load(tmp_path / "custom.keras")
    assert "model object" in caught.value.next_step
    sample = np.arange(4, dtype=np.float32)[None]
    np.testing.assert_allclose(outputs_of(importers.load(model), x=sample), sample * 2)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_lambda_layer_is_not_run(keras: Any, tmp_path: Path, suffix: str) -> None:
    mark = tmp_path / "was run"
    data = keras.Input((4,), name="x")
    code = f"lambda x: (__import__('pathlib').Path({str(mark)!r}).touch(), x)[1]"
    model = keras.Model(data, keras.layers.Lambda(eval(code), output_shape=(4,))(data))
    model.save(tmp_path / f"lambda.{suffix}")
    mark.unlink(missing_ok=True)
    with pytest.raises(UnsupportedError, match="Lambda"):
        importers.load(tmp_path / f"lambda.{suffix}")
    assert not mark.exists()


def test_damaged_files_say_so_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "cut.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    with pytest.raises(ModelFileError, match="can't be loaded") as caught:
        importers.load(path)
    assert "Traceback" not in str(caught.value) and len(str(caught.value).splitlines()) <= 4
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\x08\x01\xff\xff\xff")
    with pytest.raises(ModelFileError, match="can't load this SavedModel"):
        importers.load(folder)


def test_tensorflow_stays_in_its_process(tmp_path: Path, keras: Any) -> None:
    """And nothing in the folder that edgeq was started in shadows what the worker imports."""
    from edgeq import process

    data = keras.Input((4,), name="x")
    keras.Model(data, keras.layers.Dense(2)(data)).save(tmp_path / "m.keras")
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('shadowed')")
    root = str(Path(importers.__file__).parents[2])
    program = (
        f"import sys; sys.path[0] = {root!r}\nfrom edgeq import importers\n"
        "importers.load('m.keras')\nprint('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    said = process.run([sys.executable, "-c", program], timeout_s=120, cwd=tmp_path)
    assert said.stdout.split() == ["False", "False"]


@pytest.mark.shared
@pytest.mark.parametrize("name", ["vww.h5", "ic.h5", "ad.h5", "kws_saved_model"])
def test_the_reference_models_equal_their_published_float_files(shared: Path, name: str) -> None:
    folder = shared / "mlperf_tiny"
    model = importers.load(folder / name)
    shape = model.graph.tensors[model.graph.inputs[0]].shape
    sample = np.random.default_rng(0).random(shape).astype(np.float32)
    got = FloatRunner(model).run([sample])[0]
    if name == "kws_saved_model":  # kws_float.tflite is another training of the network
        assert got.shape == (1, 12) and abs(float(got.sum()) - 1) < 1e-4
        return
    published = importers.load(folder / f"{name[:-3]}_float.tflite")
    wanted = FloatRunner(published).run([sample])[0]
    if name == "ad.h5":  # the file says what Keras says; ad_float.tflite is a slightly different training
        assert np.corrcoef(got.ravel(), wanted.ravel())[0, 1] > 0.99
    else:
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


def test_a_worker_that_dies_is_reported(tmp_path: Path) -> None:
    from edgeq.errors import ToolError
    from edgeq.importers.worker import ask

    with pytest.raises(ToolError, match="Nothing's process ended without an answer") as caught:
        ask(Path(sys.executable), "no_such_worker", [], framework="Nothing", source=tmp_path, folder=tmp_path)
    assert "no_such_worker" in str(caught.value)


def recurrent(keras: Any, kind: str) -> Any:
    """A small network with one kind of recurrent layer, over 8 steps of 4 values."""
    layers = keras.layers
    x = keras.Input((8, 4), name="x")
    y = {
        "lstm": lambda: layers.LSTM(6)(x),
        "gru": lambda: layers.GRU(6, return_sequences=True)(x),
        "simple": lambda: layers.SimpleRNN(5)(layers.SimpleRNN(6, return_sequences=True)(x)),
        "both ways": lambda: layers.Bidirectional(layers.LSTM(5, return_sequences=True))(x),
    }[kind]()
    if len(y.shape) == 3:
        y = layers.GlobalAveragePooling1D()(y)
    return keras.Model(x, layers.Dense(3)(y), name="recurrent")


@pytest.mark.parametrize("kind", ["lstm", "gru", "simple", "both ways"])
def test_recurrent_layers_are_unrolled_and_become_integers(keras: Any, kind: str) -> None:
    keras.utils.set_random_seed(2)
    model = recurrent(keras, kind)
    samples = np.random.default_rng(0).normal(size=(40, 8, 4)).astype(np.float32)
    imported = importers.load(model)
    assert not {op.kind for op in imported.graph.ops} & {"WHILE", "CALL_ONCE", "UNIDIRECTIONAL_SEQUENCE_LSTM"}
    expected = np.asarray(model(samples[:1]))
    np.testing.assert_allclose(outputs_of(imported, x=samples[:1]), expected, rtol=1e-4, atol=1e-5)
    report = convert(imported, representative_data=samples).report
    assert report.integer_only and report.evaluation is not None
    sqnr = report.evaluation.outputs[0].sqnr_db
    assert sqnr is not None and sqnr > 12
    assert not any(getattr(layer, "unroll", False) for layer in model.layers)  # the caller's own object is as it was


def test_a_recurrent_layer_of_keras_2_too_and_in_a_savedmodel(keras: Any, tmp_path: Path) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    tf_keras.utils.set_random_seed(3)
    model = recurrent(tf_keras, "lstm")
    sample = np.random.default_rng(0).normal(size=(1, 8, 4)).astype(np.float32)
    expected = np.asarray(model(sample))
    model.save(tmp_path / "old.h5")
    model.save(tmp_path / "folder")  # of Keras 2: it holds the layers, not only their loops
    for source in (tmp_path / "old.h5", tmp_path / "folder"):
        imported = importers.load(source)
        assert all(op.kind != "WHILE" for op in imported.graph.ops)
        np.testing.assert_allclose(outputs_of(imported, x=sample), expected, rtol=1e-4, atol=1e-5)
    recurrent(keras, "lstm").export(tmp_path / "exported", verbose=False)
    with pytest.raises(UnsupportedError, match=r"recurrent layer as a loop(.|\n)*model.save"):
        importers.load(tmp_path / "exported")


def test_the_signatures_of_a_savedmodel(keras: Any, tmp_path: Path) -> None:
    import tensorflow as tf

    class Twice(tf.Module):  # type: ignore[misc, name-defined]
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])  # type: ignore[untyped-decorator]
        def double(self, x: Any) -> Any:
            return {"y": x * 2.0}

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])  # type: ignore[untyped-decorator]
        def square(self, x: Any) -> Any:
            return {"y": x * x}

    module = Twice()
    signatures = {"double": module.double, "square": module.square}
    tf.saved_model.save(module, str(tmp_path / "two"), signatures=signatures)
    with pytest.raises(UsageError, match=r"2 signatures and none is 'serving_default': double, square"):
        importers.load(tmp_path / "two")
    with pytest.raises(UsageError, match=r"no signature 'half'(.|\n)*double, square"):
        importers.load(tmp_path / "two", options=ImportOptions(signature="half"))
    sample = np.arange(4, dtype=np.float32)[None]
    squared = importers.load(tmp_path / "two", options=ImportOptions(signature="square"))
    np.testing.assert_allclose(outputs_of(squared, x=sample), sample**2)
