"""AdaRound: weights rounded up or down as the layer's output wants it, not each to its nearest.

Per output channel it minimizes the mean squared error of what the layer computes on samples,

    e' C e,  e = rounded weights - weights,  C = covariance of what they are multiplied with,

and leaves the mean of the error to the bias, where it costs nothing. (Nagel et al., "Up or Down? Adaptive Rounding for
Post-Training Quantization", 2020, state the problem and relax it; here it is solved directly: column by column, each
column's error handed to those that follow, as in Frantar et al., "GPTQ", 2023; then one weight at a time, while that
helps.)

The scales stay those that the quantizer will find: a channel's widest weight is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.importers import Model
from edgeq.quantize.repairs.bias_correction import mean_shift
from edgeq.quantize.repairs.contract import Setting
from edgeq.quantize.repairs.moments import moments
from edgeq.quantize.repairs.network import layers, with_biases, with_constants
from edgeq.quantize.repairs.weights import Floats, levels, nearest, scales

_DAMPING = 0.01
"""Of the mean variance, added to each: samples never show all directions."""
_SWEEPS = 200


@dataclass(frozen=True)
class AdaptiveRounding:
    """The repair; it has no parameters."""

    name: str = "adaround"
    exact: bool = False
    needs_data: bool = True

    def apply(self, model: Model, setting: Setting) -> Model:
        """Put the weights of every layer that will be integers on the grid of the quantizer, with the bias for it."""
        if setting.data is None:
            return model
        model = with_biases(model)
        seen = moments(model, setting)
        changed: dict[int, npt.NDArray[np.float32]] = {}
        for layer in layers(model.graph):
            bits = setting.weight_bits(model.graph, layer.op)
            found = seen.get(layer.op.index)
            if layer.bias is None or bits > 8 or found is None:
                continue
            rows = layer.rows.astype(np.float64)
            if found.covariance is None:
                rounded = nearest(rows, bits)  # too wide: the bias alone
            else:
                rounded = round_rows(rows, found.covariance, bits)
                changed[layer.weights.index] = layer.from_rows(rounded)
            shift = mean_shift(rounded - rows, found.mean)
            changed[layer.bias.index] = (layer.bias_values - shift).astype(np.float32)
        return with_constants(model, changed)


def round_rows(rows: Floats, covariance: Floats, bits: int) -> Floats:
    """Weights on the grid that their widest spans.

    Args:
        rows: (out, columns).
        covariance: (columns, columns), or one per row.
    """
    whole = _damped(covariance[None] if covariance.ndim == 2 else covariance)
    # The inverse's Cholesky factor tells how: column i of the rest moves by -error_i * U[i, j] / U[i, i].
    upper = np.linalg.cholesky(np.linalg.inv(whole)).transpose(0, 2, 1)
    scale, most = scales(rows, bits), levels(bits)
    wanted = rows / scale
    start = _column_by_column(wanted, upper, most)
    plain = np.clip(np.rint(wanted), -most, most)
    better = _cost(start - wanted, whole) < _cost(plain - wanted, whole)
    return _one_at_a_time(np.where(better[:, None], start, plain), wanted, whole, most) * scale


def _damped(covariance: Floats) -> Floats:
    size = covariance.shape[-1]
    variance = np.trace(covariance, axis1=1, axis2=2) / size
    extra: Floats = np.eye(size) * (_DAMPING * np.maximum(variance, 1e-12))[:, None, None]
    return covariance + extra


def _cost(error: Floats, covariance: Floats) -> Floats:
    """(out,) e' C e."""
    found: Floats = np.einsum("oi,oi->o", _times(error, covariance), error)
    return found


def _times(error: Floats, covariance: Floats) -> Floats:
    """(out, columns): C e for each row."""
    if len(covariance) == 1:
        return np.asarray(error @ covariance[0])
    found: Floats = np.einsum("oi,oij->oj", error, covariance)
    return found


def _column_by_column(wanted: Floats, upper: Floats, most: int) -> Floats:
    """Each column rounded to the nearest, then its error made up for by the columns that follow."""
    left, rounded = wanted.copy(), np.empty_like(wanted)
    for i in range(wanted.shape[1]):
        rounded[:, i] = np.clip(np.rint(left[:, i]), -most, most)
        widest = np.abs(wanted[:, i]) >= most - 1e-6
        rounded[widest, i] = np.sign(wanted[widest, i]) * most
        error = (left[:, i] - rounded[:, i]) / upper[:, i, i]
        left[:, i + 1 :] -= error[:, None] * upper[:, i, i + 1 :]
    return rounded


def _one_at_a_time(rounded: Floats, wanted: Floats, covariance: Floats, most: int) -> Floats:
    """In each row the one step up or down that helps most, again and again, while any does."""
    rounded = rounded.copy()
    slope = 2.0 * _times(rounded - wanted, covariance)
    curvature = np.diagonal(covariance, axis1=1, axis2=2)
    pinned = np.abs(wanted) >= most - 1e-6
    every = np.arange(len(rounded))
    for _ in range(_SWEEPS):
        step = np.where(slope > 0.0, -1.0, 1.0)
        gain = -(step * slope + curvature)
        gain[pinned | (np.abs(rounded + step) > most)] = 0.0
        best = gain.argmax(axis=1)
        helps = gain[every, best] > 1e-12
        if not helps.any():
            break
        rows, columns = every[helps], best[helps]
        move = step[rows, columns]
        rounded[rows, columns] += move
        which = np.zeros_like(rows) if len(covariance) == 1 else rows
        slope[rows] += 2.0 * move[:, None] * covariance[which, columns]
    return rounded


METHOD = AdaptiveRounding()
