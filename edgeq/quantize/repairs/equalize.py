"""Rescale channels so that none of a tensor is much narrower than the others; the network's function stays.

Integers of one scale resolve a channel whose values are 32 times smaller than its neighbours' with 5 bits less. Any
factor that leaves a channel of one layer can be taken out in the next (Nagel et al., "Data-Free Quantization Through
Weight Equalization and Bias Correction", 2019). Two ways to choose the factors: by the weights on both sides alone, or
by the values that the channel is seen to take (Xiao et al., "SmoothQuant", 2023, for the same idea with transformers).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.importers import Model
from edgeq.quantize.calibration import FloatRunner
from edgeq.quantize.repairs.channels import FIXED, Channels, Ids, channels
from edgeq.quantize.repairs.contract import Setting
from edgeq.quantize.repairs.network import Layer, chunks, with_constants

Floats = npt.NDArray[np.float64]

_ROUNDS = 100
_NEARLY_NOTHING = 0.01  # factors within 1 % of 1 are not worth a new file
_LIMIT = 2.0**20
_SAMPLES = 64


@dataclass(frozen=True)
class CrossLayerEqualization:
    """Factors from weights: the widest weight that makes a channel equals the widest that reads it."""

    name: str = "cle"
    exact: bool = True
    needs_data: bool = False

    def apply(self, model: Model, setting: Setting) -> Model:
        """See the module."""
        net = channels(model.graph)
        logs = np.zeros(net.count)
        strengths = [_Strengths.of(net, layer) for layer in net.layers]
        for _ in range(_ROUNDS):
            made, read = np.full(net.count, -np.inf), np.full(net.count, -np.inf)
            for s in strengths:
                s.note(logs, made, read)
            step = _half_way(made, read)
            logs += step
            if np.abs(step).max(initial=0.0) < 1e-3:
                break
        return rescaled(model, net, _centred(net, logs))


@dataclass(frozen=True)
class ActivationEqualization:
    """Factors from values: a channel's width, as samples show it, against the widest weight that reads it.

    Where only depthwise layers read it, whose weights have a scale of their own per channel, the factor is the width
    itself.

    Attributes:
        percent: of the samples decide; the oddest have no say.
    """

    name: str = "activation-equalization"
    exact: bool = True
    needs_data: bool = True
    percent: float = 90.0

    def apply(self, model: Model, setting: Setting) -> Model:
        """See the module."""
        if setting.data is None:
            return model
        net = channels(model.graph)
        width = self._widths(model, setting, net)
        read = np.full(net.count, -np.inf)
        for layer in net.layers:
            if layer.kind != "DEPTHWISE_CONV_2D":
                _Strengths.of(net, layer).note(np.zeros(net.count), np.full(net.count, -np.inf), read)
        seen, free = np.isfinite(width), np.isfinite(width) & ~np.isfinite(read)
        logs = np.zeros(net.count)
        logs[free] = width[free]
        both = seen & ~free
        logs[both] = 0.5 * (width[both] - read[both])
        return rescaled(model, net, _centred(net, logs))

    def _widths(self, model: Model, setting: Setting, net: Channels) -> Floats:
        """The log2 of each channel's width."""
        assert setting.data is not None
        runner = FloatRunner(model, keep_all=True)
        seen: list[Floats] = []
        for index in chunks(len(setting.data), _SAMPLES):
            runner.run(setting.data.sample(index))
            widest = np.zeros(net.count)
            for tensor, ids in net.of_tensor.items():
                values = runner.tensor(tensor) if ids.any() else None
                if values is not None:
                    np.maximum.at(widest, ids, np.abs(values).reshape(-1, len(ids)).max(axis=0))
            seen.append(widest)
        width = np.percentile(np.stack(seen), self.percent, axis=0)
        return np.where(width > 0.0, np.log2(np.maximum(width, 1e-30)), -np.inf)


def rescaled(model: Model, net: Channels, factors: Floats) -> Model:
    """The model with every channel divided by its factor.

    Args:
        factors: positive, by the numbers of `net`; that of FIXED is 1.
    """
    if np.all(np.abs(factors - 1.0) < _NEARLY_NOTHING):
        return model
    changed: dict[int, npt.NDArray[np.float32]] = {}
    for layer in net.layers:
        into, out = factors[net.inputs(layer)], factors[net.outputs(layer)]
        weights = layer.values.astype(np.float64)
        if layer.kind == "DEPTHWISE_CONV_2D":
            weights = weights * np.repeat(into, layer.outputs // len(into)) / out
        else:
            weights = weights * into / out.reshape(-1, *[1] * (weights.ndim - 1))
        changed[layer.weights.index] = weights.astype(np.float32)
        if layer.bias is not None:
            changed[layer.bias.index] = (layer.bias_values / out).astype(np.float32)
    for constant, activation in net.added:
        assert constant.data is not None
        divided = constant.data.astype(np.float64) / factors[net.of_tensor[activation]]
        changed[constant.index] = divided.astype(np.float32)
    return with_constants(model, changed)


@dataclass(frozen=True, eq=False)
class _Strengths:
    """The logs of a layer's weights' widths, by output and input channel; of a depthwise layer by channel."""

    into: Ids
    out: Ids
    logs: Floats
    depthwise: bool

    @classmethod
    def of(cls, net: Channels, layer: Layer) -> _Strengths:
        depthwise = layer.kind == "DEPTHWISE_CONV_2D"
        into, out = net.inputs(layer), net.outputs(layer)
        widths = np.abs(layer.values).astype(np.float64)
        if depthwise:
            widths = widths.reshape(-1, layer.outputs).max(axis=0)
            into = np.repeat(into, layer.outputs // len(into))
        elif layer.kind == "CONV_2D":
            widths = widths.max(axis=(1, 2))
        with np.errstate(divide="ignore"):
            return cls(into, out, np.log2(widths), depthwise)

    def note(self, logs: Floats, made: Floats, read: Floats) -> None:
        """Raise `made` and `read` to the widest weight that makes and reads each channel, after rescaling."""
        if self.depthwise:
            now = self.logs + logs[self.into] - logs[self.out]
            np.maximum.at(made, self.out, now)
            np.maximum.at(read, self.into, now)
            return
        now = self.logs + logs[self.into][None, :] - logs[self.out][:, None]
        np.maximum.at(made, self.out, now.max(axis=1))
        np.maximum.at(read, self.into, now.max(axis=0))


def _half_way(made: Floats, read: Floats) -> Floats:
    """A step of each factor's log towards where both sides are equally wide; none where one side is all zero."""
    found = np.zeros(len(made))
    both = np.isfinite(made) & np.isfinite(read)
    both[FIXED] = False
    found[both] = 0.25 * (made[both] - read[both])
    return found


def _centred(net: Channels, logs: Floats) -> Floats:
    """As factors; the free channels of each tensor keep their size on the whole, so that no tensor runs away."""
    logs = logs.copy()
    logs[FIXED] = 0.0
    for group in _groups(net):
        logs[group] -= np.median(logs[group])
    factors: Floats = np.clip(np.exp2(logs), 1.0 / _LIMIT, _LIMIT)
    return factors


def _groups(net: Channels) -> tuple[Ids, ...]:
    """Sets of free factors that don't share a tensor."""
    parent = np.arange(net.count)
    for ids in net.of_tensor.values():
        free = np.unique(ids[ids != FIXED])
        if len(free):
            members = np.isin(parent, parent[free])
            parent[members] = parent[free].min()
    return tuple(np.flatnonzero(parent == root) for root in np.unique(parent[1:]) if root != FIXED)


CLE = CrossLayerEqualization()
BY_ACTIVATION = ActivationEqualization()
