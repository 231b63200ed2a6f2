"""scikit-learn's digits as an `.npz` for PyTorch, and the test images as the `.tflite` takes them (channels last)."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def main(folder: Path) -> None:
    """Write digits.npz and test.npz."""
    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 1, 8, 8) / 16.0).astype(np.float32)
    x_train, x_test, y_train, y_test = train_test_split(images, labels, test_size=400, random_state=7, stratify=labels)
    np.savez(folder / "digits.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    np.savez(folder / "test.npz", image=x_test.transpose(0, 2, 3, 1), y=y_test)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
