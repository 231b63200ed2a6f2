"""Clip each channel's widest weights where that leaves less error than the coarser grid they ask for.

Per output channel, the bound is the one with the least squared error of the weights, each weighed by the variance of
what it is multiplied with where samples show it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.importers import Model
from edgeq.quantize.repairs.contract import Setting
from edgeq.quantize.repairs.moments import Moments, moments
from edgeq.quantize.repairs.network import Layer, layers, with_constants
from edgeq.quantize.repairs.weights import Floats, levels, scales

_BOUNDS = np.linspace(1.0, 0.4, 31)
"""Tried as the share of the widest weight."""


@dataclass(frozen=True)
class WeightClipping:
    """The repair; it has no parameters."""

    name: str = "weight-clipping"
    exact: bool = False
    needs_data: bool = True

    def apply(self, model: Model, setting: Setting) -> Model:
        """Clip the weights of every layer that will be integers."""
        if setting.data is None:
            return model
        seen = moments(model, setting)
        changed: dict[int, npt.NDArray[np.float32]] = {}
        for layer in layers(model.graph):
            bits = setting.weight_bits(model.graph, layer.op)
            if bits <= 8:
                rows = layer.rows.astype(np.float64)
                bound = best_bound(rows, _importance(layer, seen.get(layer.op.index)), bits)
                changed[layer.weights.index] = layer.from_rows(np.clip(rows, -bound, bound))
        return with_constants(model, changed)


def best_bound(rows: Floats, importance: Floats, bits: int) -> Floats:
    """(out, 1): where to clip.

    Args:
        importance: of each weight's squared error, like `rows`.
    """
    most = levels(bits)
    costs = []
    for share in _BOUNDS:
        scale = scales(rows, bits) * share
        stored = np.clip(np.rint(rows / scale), -most, most) * scale
        costs.append(np.sum(importance * (stored - rows) ** 2, axis=1))
    best = _BOUNDS[np.argmin(np.stack(costs), axis=0)]
    found: Floats = np.abs(rows).max(axis=1, keepdims=True) * best[:, None]
    return found


def _importance(layer: Layer, seen: Moments | None) -> Floats:
    if seen is None or seen.covariance is None:
        return np.ones(layer.rows.shape)
    variance = np.diagonal(seen.covariance, axis1=-2, axis2=-1)
    return np.broadcast_to(variance + 1e-3 * variance.mean() + 1e-12, layer.rows.shape)


METHOD = WeightClipping()
