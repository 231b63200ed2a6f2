"""Quantization-aware training: folding, gradients, the file against the trained model, saving, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_models import every_layer, samples, training_digits, unseen_digits

import edgeq
from edgeq import target as targets
from edgeq.errors import DataError, ModelFileError, UnsupportedError, UsageError
from edgeq.quantize.absorb import affine
from edgeq.quantize.affine import dequantized, quantized
from edgeq.quantize.calibration import FloatRunner
from edgeq.quantize.proof import float_leftovers
from edgeq.reference import Reference
from edgeq.training.conversion import integer_file
from edgeq.training.export import float_model
from edgeq.training.fold import fold
from edgeq.training.prepare import Prepared, quantized_layer
from edgeq.training.trace import trace


def fine_tuned(keras: Any, model: Any, epochs: int = 2, freeze: int | None = None, **options: Any) -> Prepared:
    images, labels = training_digits()
    keras.utils.set_random_seed(5)
    prepared = edgeq.qat(model, representative_data=images[:100], **options)
    prepared.model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    prepared.model.fit(images, labels, epochs=epochs, batch_size=64, verbose=0, callbacks=prepared.callbacks(freeze))
    return prepared


@pytest.fixture(scope="module")
def prepared(keras: Any, trained: Any) -> Prepared:
    return fine_tuned(keras, trained, freeze=1)


def run_file(data: bytes, graph: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    reference = Reference(data, graph)
    ends = [graph.tensors[i] for i in graph.inputs]
    made = []
    for at in range(len(inputs[0])):
        outs = reference.run([quantized(t, a[at : at + 1]) for t, a in zip(ends, inputs, strict=True)])
        made.append([dequantized(graph.tensors[i], o) for i, o in zip(graph.outputs, outs, strict=True)])
    return [np.concatenate([m[place] for m in made]) for place in range(len(graph.outputs))]


def test_folding_changes_nothing(keras: Any) -> None:
    model = every_layer(keras)
    traced = trace(model)
    network, weights = fold(traced.network, traced.weights)
    assert not {"AFFINE"} & {node.kind for node in network.nodes}
    runner = FloatRunner(float_model(network, weights))
    inputs = samples()
    expected = model.predict(inputs, verbose=0)
    for at in range(len(inputs[0])):
        for wanted, got in zip(expected, runner.run([a[at : at + 1] for a in inputs]), strict=True):
            np.testing.assert_allclose(got[0], wanted[at], rtol=1e-4, atol=1e-5)


def test_every_layer_in_the_file_computes_what_training_computes(keras: Any) -> None:
    inputs = samples()
    made = edgeq.qat(every_layer(keras), representative_data=dict(zip(("image", "extra"), inputs, strict=True)))
    _, data, graph = integer_file(made.model)
    assert float_leftovers(graph) == ()
    for index, (wanted, got) in enumerate(
        zip(made.model.predict(inputs, verbose=0), run_file(data, graph, inputs), strict=True)
    ):
        steps = np.abs(wanted - got) / graph.tensors[graph.outputs[index]].quant.scale[0]
        assert steps.max() < 1.5 and np.mean(steps < 0.5) > 0.99, steps.max()  # all equal, where this was written


def test_trained_predictions_agree_with_the_file(prepared: Prepared) -> None:
    images, labels = unseen_digits()
    result = edgeq.convert(prepared, representative_data=images, labels=labels)
    evaluation = result.report.evaluation
    assert evaluation is not None and evaluation.samples == 497 and evaluation.held_back
    assert evaluation.top1_agreement is not None and evaluation.top1_agreement >= 0.995
    assert evaluation.accuracy is not None and evaluation.accuracy.quantized_model > 0.9
    assert result.report.integer_only and result.report.chosen.calibration == "learned in training"
    (outputs,) = run_file(result.tflite, result.graph, [images[:100]])
    trained_outputs = prepared.model.predict(images[:100], verbose=0)
    assert np.mean(outputs.argmax(1) == trained_outputs.argmax(1)) >= 0.99
    assert edgeq.check(result.tflite, "nucleo-l4r5zi").fits


def test_the_file_has_the_learned_ranges(prepared: Prepared, trained: Any) -> None:
    graph = edgeq.convert(prepared).graph
    learned = prepared.ranges()
    fresh = edgeq.qat(trained, representative_data=training_digits()[0][:100]).ranges()
    named = {t.name: t for t in graph.tensors if t.name in learned}
    assert {"image", "first", "join", "scores", "scores_activation"} <= set(named)
    moved = 0
    for name, tensor in named.items():
        assert tensor.quant is not None
        scale, zero = affine(learned[name].low, learned[name].high)
        if prepared.plan.groups[name].fixed is None:
            assert tensor.quant.scale[0] == pytest.approx(scale, rel=1e-6) and tensor.quant.zero_point[0] == zero
            moved += scale != affine(fresh[name].low, fresh[name].high)[0]
    assert moved > 3


def test_ranges_stay_when_frozen(keras: Any, trained: Any) -> None:
    images, labels = training_digits()
    made = edgeq.qat(trained, representative_data=images[:20])
    made.model.compile("sgd", "sparse_categorical_crossentropy")
    before = made.ranges()
    made.freeze_ranges()
    made.model.fit(images[:128], labels[:128], verbose=0)
    assert made.ranges() == before
    made.freeze_ranges(False)
    made.model.fit(images[:128], labels[:128], verbose=0)
    assert made.ranges() != before


def test_every_trainable_variable_has_a_gradient(keras: Any, trained: Any) -> None:
    import tensorflow as tf

    images, labels = training_digits()
    made = edgeq.qat(trained, representative_data=images[:50], scheme="static_wi4_ai8", ranges="trainable")
    with tf.GradientTape() as tape:
        outputs = made.model(images[:64], training=True)
        loss = -tf.reduce_mean(tf.math.log(tf.gather(outputs + 1e-3, labels[:64], batch_dims=1)))
    variables = made.model.trainable_variables
    gradients = tape.gradient(loss, [getattr(v, "value", v) if keras.__name__ == "keras" else v for v in variables])
    names = [str(getattr(v, "path", v.name)) for v in variables]
    assert any("high" in n for n in names) and any("limit" in n for n in names)
    # No ReLU's range begins anywhere but at 0, so there is nothing to learn there.
    assert not any("first__low" in n for n in names)
    for name, gradient in zip(names, gradients, strict=True):
        assert gradient is not None and np.all(np.isfinite(gradient)), name
        if "kernel" in name:
            assert np.any(np.asarray(gradient) != 0), name


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "ranges"), [("static_wi4_ai8", "trainable"), ("static_wi8_ai16", "moving-average")])
def test_other_schemes_agree_too(keras: Any, trained: Any, scheme: str, ranges: Any) -> None:
    made = fine_tuned(keras, trained, scheme=scheme, ranges=ranges)
    images, labels = (part[:200] for part in unseen_digits())
    result = edgeq.convert(made, representative_data=images, labels=labels)
    assert result.report.scheme == scheme
    kinds = {t.dtype.value for t in result.graph.tensors}
    assert ("INT4" if scheme == "static_wi4_ai8" else "INT16") in kinds
    evaluation = result.report.evaluation
    assert evaluation is not None and evaluation.accuracy is not None and evaluation.top1_agreement is not None
    assert evaluation.top1_agreement >= 0.995 and evaluation.accuracy.quantized_model > 0.9


def test_a_saved_model_goes_on_where_it_was(prepared: Prepared, tmp_path: Path) -> None:
    path = tmp_path / "prepared.keras"
    prepared.save(path)
    loaded = edgeq.load_qat(path)
    images = unseen_digits()[0][:50]
    np.testing.assert_array_equal(loaded.model.predict(images, verbose=0), prepared.model.predict(images, verbose=0))
    assert loaded.plan == prepared.plan and loaded.ranges() == prepared.ranges()
    assert edgeq.convert(loaded).tflite == edgeq.convert(prepared.model).tflite == edgeq.convert(prepared).tflite
    images, labels = training_digits()
    loaded.model.fit(images[:64], labels[:64], verbose=0)  # compiled as it was


def test_zeros_stay_zero(keras: Any, trained: Any) -> None:
    model = keras.models.clone_model(trained)
    model.set_weights(trained.get_weights())
    layer = model.get_layer("first")
    kernel = layer.get_weights()[0]
    kernel[:, :, :, ::2] = 0.0
    layer.set_weights([kernel])
    made = fine_tuned(keras, model, epochs=1)
    weights = made.layer.engine.array("first/kernel_mask")
    assert not weights[..., ::2].any() and weights[..., 1::2].all()
    _, _, graph = integer_file(made.model)
    first = next(t for t in graph.tensors if t.name == "first/kernel")
    assert first.data is not None and not first.data[::2].any()


def test_inner_models_operators_and_dictionaries(keras: Any) -> None:
    layers = keras.layers
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(8, activation="relu"), layers.Dense(8)], name="inner")
    a, b = keras.Input((8,), name="a"), keras.Input((8,), name="b")
    total = inner(a) + layers.Dense(8)(b)
    model = keras.Model({"a": a, "b": b}, {"out": layers.Dense(3, name="out")(total)})
    rng = np.random.default_rng(0)
    data = {"a": rng.normal(size=(40, 8)).astype(np.float32), "b": rng.normal(size=(40, 8)).astype(np.float32)}
    made = edgeq.qat(model, representative_data=data)
    out = model.predict(data, verbose=0)["out"]
    close = np.asarray(made.model.predict(data, verbose=0))
    assert np.abs(close - out).max() < 0.1 * np.abs(out).max()
    assert edgeq.convert(made).report.evaluation is not None


def test_a_sequential_of_layers(keras: Any) -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)])
    made = edgeq.qat(model, representative_data=training_digits()[0][:20])
    assert [n.kind for n in made.plan.network.nodes] == ["INPUT", "CONV_2D", "RESHAPE", "FULLY_CONNECTED"]
    lines = made.summary().splitlines()
    assert len(lines) == 4 and "int8 weights" in lines[1] and lines[0].endswith("0 to 1")


def test_what_cannot_be_trained_is_refused_by_name(keras: Any) -> None:
    layers, data = keras.layers, training_digits()[0][:8]

    class Own(keras.Model):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(UnsupportedError, match=r"subclassed model \(Own\)"):
        edgeq.qat(Own(), representative_data=data)
    with pytest.raises(UnsupportedError, match="no input shape yet"):
        edgeq.qat(keras.Sequential([layers.Dense(3)]), representative_data=data)
    image = keras.Input((8, 8, 1))
    with pytest.raises(UnsupportedError, match=r"layer 'odd' \(GaussianNoise\) has no form"):
        edgeq.qat(keras.Model(image, layers.GaussianNoise(0.1, name="odd")(image)), representative_data=data)
    with pytest.raises(UnsupportedError, match=r"layer 'odd' .* activation 'elu'"):
        edgeq.qat(
            keras.Model(image, layers.Conv2D(2, 3, activation="elu", name="odd")(image)), representative_data=data
        )
    shared = layers.Conv2D(1, 3, padding="same", name="twice")
    with pytest.raises(UnsupportedError, match="'twice' is used in several places"):
        edgeq.qat(keras.Model(image, shared(shared(image))), representative_data=data)
    norm = keras.Sequential([keras.Input((4,)), layers.ReLU(), layers.BatchNormalization(name="lone"), layers.ReLU()])
    with pytest.raises(UnsupportedError, match="layer 'lone' scales a vector"):
        edgeq.qat(norm, representative_data=np.zeros((3, 4)))


def test_wrong_use(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    data = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    with pytest.raises(ModelFileError, match="not a Keras model"):
        edgeq.qat("model.keras", representative_data=data)
    with pytest.raises(UsageError, match="float16"):
        edgeq.qat(model, representative_data=data, scheme="float16")
    with pytest.raises(DataError, match=r"takes \(N, 4\)"):
        edgeq.qat(model, representative_data=data[:, :2])
    made = edgeq.qat(model, representative_data=data)
    with pytest.raises(UsageError, match="was trained for static_wi8_ai8"):
        edgeq.convert(made, scheme="static_wi8_ai16")
    model.save(tmp_path / "plain.keras")
    with pytest.raises(ModelFileError, match="no network prepared"):
        edgeq.load_qat(tmp_path / "plain.keras")


def test_a_target_that_cannot_run_it_is_refused_before_training(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    data = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    board = targets.load("nucleo-l4r5zi")
    assert edgeq.qat(model, representative_data=data, target=board).plan.target == "nucleo-l4r5zi"

    own = tmp_path / "own-board.toml"
    told = board.path.read_text(encoding="utf-8").replace('name = "nucleo-l4r5zi"', 'name = "own-board"')
    own.write_text(told.replace('runtimes = ["edgeq", "tflm"]', 'runtimes = ["tflm"]'), encoding="utf-8")
    lone = targets.load_file(own)
    assert lone.board.runtimes == ("tflm",)
    assert edgeq.qat(model, representative_data=data, target=lone).plan.target == "own-board"
    # TensorFlow Lite Micro has no FULLY_CONNECTED of int16 whose weights have a scale per channel; edgeq's engine has.
    assert (
        edgeq.qat(model, representative_data=data, target=board, scheme="static_wi8_ai16").plan.bits.activations == 16
    )
    with pytest.raises(
        UnsupportedError, match=r"own-board can't run static_wi8_ai16.*none of its runtimes \(tflm\) has these kernels"
    ) as refused:
        edgeq.qat(model, representative_data=data, target=lone, scheme="static_wi8_ai16")
    assert refused.value.facts["target"] == "own-board"
    assert "static_wi8_ai8" in refused.value.facts["schemes"]  # type: ignore[operator]


def test_a_channel_of_zeros_with_a_large_bias_fits_int32(keras: Any) -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="dense"), layers.ReLU()])
    kernel = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    kernel[:, 1] = 0.0
    model.get_layer("dense").set_weights([kernel, np.array([0.0, 7.0, 0.0], np.float32)])
    data = np.random.default_rng(1).normal(size=(30, 4)).astype(np.float32)
    made = edgeq.qat(model, representative_data=data, keep_zeros=False)
    _, file, graph = integer_file(made.model)
    (outputs,) = run_file(file, graph, [data])
    np.testing.assert_allclose(outputs[:, 1], 7.0, atol=float(graph.tensors[graph.outputs[0]].quant.scale[0]))


def test_the_layer_is_found_in_the_model(prepared: Prepared) -> None:
    assert quantized_layer(prepared.model) is prepared.layer
