"""Train a small convolutional network with PyTorch on scikit-learn's bundled digits, and export it.

Runs with the Python of `edgeq doctor --install torch`, which has no scikit-learn: the digits come as an `.npz` (see
demo.sh). Writes digits.pt2 and calibration.npz into the folder given.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn


def network() -> nn.Module:
    """Convolutions with batch norm, one of them depthwise at stride 2, a residual, global pooling, ten classes."""

    class Digits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
            self.middle = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16))
            self.down = nn.Sequential(
                nn.Conv2d(16, 16, 3, padding=1, stride=2, groups=16, bias=False),
                nn.BatchNorm2d(16),
                nn.ReLU6(),
                nn.Conv2d(16, 32, 1),
                nn.ReLU(),
            )
            self.head = nn.Linear(32 * 4 * 4, 10)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            x = self.first(image)
            x = torch.relu(x + self.middle(x))
            return torch.softmax(self.head(torch.flatten(self.down(x), 1)), 1)

    return Digits()


def main(digits: Path, folder: Path) -> None:
    """Train, and write the program and the calibration data."""
    torch.manual_seed(7)
    torch.set_num_threads(1)
    stored = np.load(digits)
    images, labels = torch.from_numpy(stored["x_train"]), torch.from_numpy(stored["y_train"])
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(12):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            loss = nn.functional.nll_loss(torch.log(model(images[batch]) + 1e-9), labels[batch])
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        right = model(torch.from_numpy(stored["x_test"])).argmax(1).numpy() == stored["y_test"]
    torch.export.save(torch.export.export(model, (images[:1],)), folder / "digits.pt2")
    np.savez(folder / "calibration.npz", image=stored["x_train"][:400], y=stored["y_train"][:400])
    print(f"trained on {len(images)} digits: float accuracy {right.mean():.3f} on {len(right)} others; wrote {folder}/")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
