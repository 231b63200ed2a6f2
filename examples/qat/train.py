"""Quantization-aware training and pruning on scikit-learn's bundled 8x8 digits, with Keras 3 or tf_keras.

    python examples/qat/train.py OUTPUT [tf_keras]

Trains a small network in float, quantizes it to 4-bit weights after training and in training, prunes half of its
channels and trains the rest for int8. Writes the .tflite files and results.json into OUTPUT, and checks the int8
files against a board.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.datasets import load_digits

import edgeq

BOARD = "nucleo-l4r5zi"
Digits = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def data() -> Digits:
    """1300 digits to train on and 497 others."""
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8, 1) / 16.0).astype(np.float32)
    return images[:1300], labels[:1300], images[1300:], labels[1300:]


def network(keras: Any) -> Any:
    """A convolution, a residual block and two more, depthwise separable, with batch norms."""
    layers = keras.layers

    def block(x: Any, channels: int) -> Any:
        x = layers.SeparableConv2D(channels, 3, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Add()([block(x, 16), x])
    x = layers.MaxPooling2D(2)(x)
    x = block(block(x, 32), 32)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10, activation="softmax", name="scores")(x), name="digits")


def fit(keras: Any, model: Any, digits: Digits, rate: float, epochs: int, callbacks: list[Any]) -> None:
    """The user's own training; nothing of edgeq is in it but callbacks."""
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(digits[0], digits[1], epochs=epochs, batch_size=32, verbose=0, callbacks=callbacks)


def top1(file: bytes, digits: Digits) -> float:
    """Accuracy of a .tflite on the digits that training hasn't seen."""
    graph = edgeq.read_model(file).graph
    from edgeq.quantize import quantized
    from edgeq.reference import Reference

    reference, end = Reference(file, graph), graph.tensors[graph.inputs[0]]
    choices = [reference.run([quantized(end, image[None])])[0].argmax() for image in digits[2]]
    return float(np.mean(np.array(choices) == digits[3]))


def trained_for(keras: Any, model: Any, digits: Digits, **options: Any) -> tuple[Any, dict[str, float]]:
    """Six epochs of quantization-aware training, and how well the file agrees with what was trained."""
    prepared = edgeq.qat(model, representative_data=digits[0][:200], **options)
    fit(keras, prepared.model, digits, 1e-3, 6, prepared.callbacks(freeze_ranges_after=4))
    result = edgeq.convert(prepared, representative_data=digits[2], labels=digits[3])
    judged = result.report.evaluation
    assert judged is not None and judged.top1_agreement is not None and judged.accuracy is not None
    return result, {"accuracy": judged.accuracy.quantized_model, "agreement": judged.top1_agreement}


def four_bits(keras: Any, model: Any, digits: Digits, folder: Path) -> dict[str, Any]:
    """4-bit weights: after training, and in training."""
    after = edgeq.convert(model, representative_data=digits[0][:200], scheme="static_wi4_ai8")
    during, found = trained_for(keras, model, digits, scheme="static_wi4_ai8", ranges="trainable")
    (folder / "ptq_int4.tflite").write_bytes(after.tflite)
    (folder / "qat_int4.tflite").write_bytes(during.tflite)
    return {"ptq": top1(after.tflite, digits), "qat": found["accuracy"], "agreement": found["agreement"]}


def eight_bits(keras: Any, model: Any, digits: Digits, path: Path) -> dict[str, Any]:
    """int8 for the board: refused before training if it couldn't run there."""
    result, found = trained_for(keras, model, digits, target=BOARD)
    path.write_bytes(result.tflite)
    fit_report = edgeq.check(path, BOARD)
    zeros = edgeq.sparsity(path)
    return {**found, "fits": fit_report.fits, "zero_share": zeros.zero_share, "macs": zeros.macs,
            "weights_bytes": zeros.dense_bytes, "deflated_bytes": zeros.deflated_bytes}  # fmt: skip


def pruned(keras: Any, model: Any, digits: Digits, folder: Path) -> dict[str, Any]:
    """Half of all channels go during 15 epochs of float training, then the rest is trained for int8."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    pruning = edgeq.prune(copy, sparsity=0.5, end_step=200, structured=True)
    fit(keras, copy, digits, 2e-3, 15, [pruning.callback()])
    smaller = edgeq.remove_dead_channels(copy)
    parameters = {"parameters_before": smaller.weights_before, "parameters_after": smaller.weights_after}
    return {**parameters, **eight_bits(keras, smaller.model, digits, folder / "pruned_int8.tflite")}


def main(folder: Path, generation: str) -> None:
    """Everything, in order; the figures go to the terminal and into results.json."""
    keras = importlib.import_module(generation)
    folder.mkdir(parents=True, exist_ok=True)
    digits = data()
    keras.utils.set_random_seed(1)
    model = network(keras)
    fit(keras, model, digits, 3e-3, 20, [])
    results: dict[str, Any] = {"float": float(model.evaluate(digits[2], digits[3], verbose=0)[1])}
    print(f"float accuracy {results['float']:.3f} on {len(digits[2])} unseen digits ({generation})")
    four = results["int4"] = four_bits(keras, model, digits, folder)
    print(f"4-bit weights: {four['ptq']:.3f} quantized after training, {four['qat']:.3f} in training; "
          f"the file agrees with the trained model on {four['agreement']:.1%} of predictions")  # fmt: skip
    eight = results["int8"] = eight_bits(keras, model, digits, folder / "qat_int8.tflite")
    print(f"int8: {eight['accuracy']:.3f}, agreement {eight['agreement']:.1%}, fits {BOARD}: {eight['fits']}")
    half = results["pruned"] = pruned(keras, model, digits, folder)
    print(f"half of the channels pruned, int8: {half['accuracy']:.3f}, agreement {half['agreement']:.1%}, "
          f"{half['weights_bytes']:,} bytes of weights instead of {eight['weights_bytes']:,}, "
          f"{half['macs']:,} MACs instead of {eight['macs']:,}, fits {BOARD}: {half['fits']}")  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "qat-output"), sys.argv[2] if len(sys.argv) > 2 else "keras")
