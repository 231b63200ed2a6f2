"""Train a small perceptron with scikit-learn on its bundled digits, and write it as ONNX by hand.

Writes into the folder given: digits.onnx, calibration.npz (representative inputs, labelled) and test.npz. Before the
trained layers comes a fixed one of 3x3 filters, channels first as ONNX has them: edges in eight directions.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

Array = npt.NDArray[np.float32]
FILTERS = 8


def strokes() -> Array:
    """Eight 3x3 filters, (8, 1, 3, 3): an edge in each direction."""
    rows, columns = np.mgrid[-1:2, -1:2]
    angles = np.arange(FILTERS) * 2 * np.pi / FILTERS
    filters = np.stack([np.cos(a) * rows + np.sin(a) * columns for a in angles])
    return (filters[:, None] / 3.0).astype(np.float32)


def features(images: Array) -> Array:
    """What Conv, Relu, MaxPool and Flatten of the ONNX graph compute: (n, 1, 8, 8) to (n, 128)."""
    padded = np.pad(images[:, 0], ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    maps = np.maximum(np.einsum("nhwij,cij->nchw", windows, strokes()[:, 0]), 0)
    pooled = maps.reshape(len(images), FILTERS, 4, 2, 4, 2).max(axis=(3, 5))
    return pooled.reshape(len(images), -1).astype(np.float32)


def network(trained: MLPClassifier) -> onnx.ModelProto:
    """The graph, with an open batch."""
    constants = {"filters": strokes()}
    for layer, (weights, bias) in enumerate(zip(trained.coefs_, trained.intercepts_, strict=True)):
        constants[f"weights_{layer}"] = weights.astype(np.float32)
        constants[f"bias_{layer}"] = bias.astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "filters"], ["edges"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["edges"], ["strokes"]),
        helper.make_node("MaxPool", ["strokes"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "weights_0", "bias_0"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "weights_1", "bias_1"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
    ]
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", kind, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("scores", kind, ["batch", 10])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main(folder: Path) -> None:
    """Train, and write the model and the data."""
    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 1, 8, 8) / 16.0).astype(np.float32)
    x_train, x_test, y_train, y_test = train_test_split(images, labels, test_size=400, random_state=7, stratify=labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it need not converge
        trained = MLPClassifier((48,), max_iter=60, random_state=7).fit(features(x_train), y_train)
    accuracy = trained.score(features(x_test), y_test)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(network(trained), str(folder / "digits.onnx"))
    np.savez(folder / "calibration.npz", image=x_train[:400], y=y_train[:400])
    np.savez(folder / "test.npz", image=x_test.transpose(0, 2, 3, 1), y=y_test)  # the .tflite has channels last
    print(f"trained on {len(x_train)} digits: float accuracy {accuracy:.3f} on {len(x_test)} others; wrote {folder}/")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo-output"))
