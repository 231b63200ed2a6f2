"""Rounded weights shift a layer's outputs on average: take the shift out of the bias.

The shift is (rounded weights - weights) times the mean of what they are multiplied with, measured on samples (Nagel et
al., 2019, section 4.2, in its empirical form).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.importers import Model
from edgeq.quantize.repairs.contract import Setting
from edgeq.quantize.repairs.moments import moments
from edgeq.quantize.repairs.network import layers, with_biases, with_constants
from edgeq.quantize.repairs.weights import Floats, nearest


@dataclass(frozen=True)
class BiasCorrection:
    """The repair; it has no parameters."""

    name: str = "bias-correction"
    exact: bool = False
    needs_data: bool = True

    def apply(self, model: Model, setting: Setting) -> Model:
        """Correct the bias of every layer whose weights will be integers."""
        if setting.data is None:
            return model
        model = with_biases(model)
        seen = moments(model, setting)
        changed: dict[int, npt.NDArray[np.float32]] = {}
        for layer in layers(model.graph):
            bits = setting.weight_bits(model.graph, layer.op)
            if layer.bias is None or bits > 8 or layer.op.index not in seen:
                continue
            rows = layer.rows.astype(np.float64)
            shift = mean_shift(nearest(rows, bits) - rows, seen[layer.op.index].mean)
            changed[layer.bias.index] = (layer.bias_values - shift).astype(np.float32)
        return with_constants(model, changed)


def mean_shift(error: Floats, mean: Floats) -> Floats:
    """(out,): how far outputs move on average when `error` is added to rows of weights.

    Args:
        error: (out, columns).
        mean: as in `Moments`.
    """
    if mean.ndim == 2:
        moved: Floats = np.einsum("ok,ko->o", error, mean)
        return moved
    return error @ mean


METHOD = BiasCorrection()
