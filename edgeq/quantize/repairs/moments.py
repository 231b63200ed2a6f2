"""What each layer's weights are multiplied with: means and covariances over calibration samples, in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from edgeq.importers import Model
from edgeq.quantize.calibration import FloatRunner
from edgeq.quantize.data import Dataset
from edgeq.quantize.repairs.contract import Setting
from edgeq.quantize.repairs.network import Layer, chunks, layers, rows_seen

Floats = npt.NDArray[np.float64]

_SAMPLES = 64
_PLACES = 4096
"""Of all samples together, so many places of a layer's output: several times the columns that weights commonly have."""
MOST_COLUMNS = 2304
"""Covariances of wider layers would take too long: 2304 is a 3×3 convolution of 256 channels."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Of one layer.

    Attributes:
        mean: (columns,) of `Layer.rows`; of a depthwise layer (height * width, out).
        covariance: (columns, columns); of a depthwise layer (out, height * width, height * width); None where the
            layer is too wide.
    """

    mean: Floats
    covariance: Floats | None


def moments(model: Model, setting: Setting) -> Mapping[int, Moments]:
    """Of each layer, by operator index, on the setting's data; grouped convolutions are left out."""
    key = f"moments of {model.graph.sha256}"
    if key not in setting.memo:
        setting.memo[key] = {} if setting.data is None else _measured(model, setting.data)
    return cast(Mapping[int, Moments], setting.memo[key])


def _measured(model: Model, data: Dataset) -> Mapping[int, Moments]:
    runner = FloatRunner(model, keep_all=True)
    net = layers(model.graph)
    rng = np.random.default_rng(0)
    sums: dict[int, _Sum] = {}
    chosen = list(chunks(len(data), _SAMPLES))
    for index in chosen:
        runner.run(data.sample(index))
        for layer in net:
            source = runner.tensor(layer.source.index)
            seen = None if source is None else rows_seen(layer, source, max(_PLACES // len(chosen), 1), rng)
            if seen is not None:
                sums.setdefault(layer.op.index, _Sum(layer)).add(seen)
    return {index: total.moments() for index, total in sums.items()}


class _Sum:
    def __init__(self, layer: Layer) -> None:
        self.depthwise = layer.kind == "DEPTHWISE_CONV_2D"
        columns = layer.rows.shape[1]
        self.first = np.zeros((columns, layer.outputs) if self.depthwise else columns)
        self.second: Floats | None = None
        if columns <= MOST_COLUMNS:
            self.second = np.zeros((layer.outputs, columns, columns) if self.depthwise else (columns, columns))
        self.count = 0

    def add(self, seen: npt.NDArray[np.float32]) -> None:
        self.count += len(seen)
        self.first += seen.sum(axis=0, dtype=np.float64)
        if self.second is not None and self.depthwise:
            by_channel = seen.transpose(2, 1, 0)
            self.second += by_channel @ by_channel.transpose(0, 2, 1)
        elif self.second is not None:
            self.second += seen.T @ seen

    def moments(self) -> Moments:
        mean = self.first / self.count
        if self.second is None:
            return Moments(mean, None)
        square = np.einsum("ic,jc->cij", mean, mean) if self.depthwise else np.outer(mean, mean)
        return Moments(mean, self.second / self.count - square)
