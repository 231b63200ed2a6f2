"""Train a small convolutional network on scikit-learn's bundled 8x8 digits.

Writes into the folder given: digits.keras, calibration.npz (representative inputs) and test.npz (labelled).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def network() -> keras.Model:
    """A convolution, a depthwise-separable block and another convolution, for ten classes."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, padding="same", activation="relu"),
            layers.Conv2D(32, 1, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def main(folder: Path) -> None:
    """Train, and write the model and the data."""
    keras.utils.set_random_seed(7)
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8, 1) / 16.0).astype(np.float32)
    x_train, x_test, y_train, y_test = train_test_split(images, labels, test_size=400, random_state=7, stratify=labels)
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=30, batch_size=32, verbose=0)
    accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "digits.keras")
    np.savez(folder / "calibration.npz", image=x_train[:400], y=y_train[:400])
    np.savez(folder / "test.npz", image=x_test, y=y_test)
    print(f"trained on {len(x_train)} digits: float accuracy {accuracy:.3f} on {len(x_test)} others; wrote {folder}/")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo-output"))
