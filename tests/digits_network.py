"""A network that the tests train themselves on scikit-learn's digits, also with channels of uneven width."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from models import RELU, SAME, VALID, NetBuilder, digits

from edgeq.importers import Model
from edgeq.importers.plain_float import plain_float

Weights = list[tuple[np.ndarray, np.ndarray]]
_CHANNELS = 16
_EPOCHS = 14


@dataclass(frozen=True)
class Trained:
    """A network of 3×3, depthwise, 1×1, depthwise and 1×1 convolutions, mean and dense layer: (weights, bias) each."""

    weights: tuple[tuple[np.ndarray, np.ndarray], ...]

    def model(self) -> Model:
        """As a float Model; the scores have no SOFTMAX behind them."""
        net = NetBuilder()
        x = net.input((1, 8, 8, 1), name="image")
        options: dict[str, Any] = {
            "strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1, "fusedActivationFunction": RELU
        }  # fmt: skip
        for place, (kernel, bias) in enumerate(self.weights[:-1]):
            depthwise = kernel.shape[0] == 1 and kernel.shape[1] == 3
            more = {"padding": SAME if kernel.shape[1] == 3 else VALID, **({"depthMultiplier": 1} if depthwise else {})}
            kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
            shape = (1, 8, 8, _CHANNELS)
            ends = [x, net.constant(kernel), net.constant(bias)]
            x = net.op(kind, ends, shape, name=f"layer{place}", **options, **more)
        axes = net.constant(np.array([1, 2], np.int32))
        x = net.op("MEAN", [x, axes], (1, _CHANNELS), name="mean", keepDims=False)
        kernel, bias = self.weights[-1]
        x = net.op("FULLY_CONNECTED", [x, net.constant(kernel), net.constant(bias)], (1, 10), name="scores")
        return plain_float(net.finish([x]), name="digits", source="", kind="tflite")

    def uneven(self, octaves: int) -> Trained:
        """The same function with channels rescaled by powers of two up to 2**octaves either way."""
        rng = np.random.default_rng(3)
        weights = [(kernel.copy(), bias.copy()) for kernel, bias in self.weights]
        for place in range(len(weights) - 1):
            factor = 2.0 ** rng.integers(-octaves, octaves + 1, _CHANNELS).astype(np.float32)
            kernel, bias = weights[place]
            depthwise = kernel.shape[0] == 1 and kernel.shape[1] == 3
            weights[place] = (kernel * (factor if depthwise else factor[:, None, None, None]), bias * factor)
            after, next_bias = weights[place + 1]
            weights[place + 1] = (after / factor, next_bias)
        return Trained(tuple((k.astype(np.float32), b.astype(np.float32)) for k, b in weights))


@lru_cache(maxsize=1)
def trained() -> Trained:
    """Trained in numpy on 1200 digits: a few seconds, the same every time; above .9 on the others."""
    return Trained(tuple(_train()))


def _train() -> Weights:
    """Adam on the cross entropy, the gradient by hand."""
    rng = np.random.default_rng(0)
    images, labels = digits()
    images, labels = images[:1200], labels[:1200]
    c = _CHANNELS
    shapes = [(c, 3, 3, 1), (1, 3, 3, c), (c, 1, 1, c), (1, 3, 3, c), (c, 1, 1, c), (10, c)]
    deviations = [0.4, 0.4, (2 / c) ** 0.5, 0.4, (2 / c) ** 0.5, (1 / c) ** 0.5]
    weights: Weights = [
        (rng.normal(0, d, shape).astype(np.float32), np.zeros(shape[-1 if shape[0] == 1 else 0], np.float32))
        for shape, d in zip(shapes, deviations, strict=True)
    ]
    flat = [array for pair in weights for array in pair]
    first, second = [np.zeros_like(a) for a in flat], [np.zeros_like(a) for a in flat]
    step = 0
    for epoch in range(_EPOCHS):
        order = rng.permutation(len(images))
        for batch in np.array_split(order, len(order) // 40):
            step += 1
            gradients = _gradients(weights, images[batch], labels[batch])
            rate = 0.01 * (1 - epoch / _EPOCHS) * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
            for array, gradient, m, v in zip(flat, gradients, first, second, strict=True):
                m += 0.1 * (gradient - m)
                v += 0.001 * (gradient**2 - v)
                array -= np.float32(rate) * m / (np.sqrt(v) + np.float32(1e-8))
    return weights


def _gradients(weights: Weights, x: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Of every kernel and bias, in the order of `weights`."""
    inputs = []
    for kernel, bias in weights[:-1]:
        inputs.append(x)
        if kernel.shape[1] == 1:
            x = x @ kernel[:, 0, 0, :].T
        else:
            # The first layer reads one channel, which broadcasting makes a depthwise layer of.
            taps = kernel.reshape(-1, 9).T if kernel.shape[0] > 1 else kernel.reshape(9, -1)
            x = sum(seen * tap for seen, tap in zip(_shifted(x), taps, strict=True))
        x = np.maximum(x + bias, 0.0)
    inputs.append(x)
    mean = x.mean(axis=(1, 2))
    kernel, bias = weights[-1]
    scores = mean @ kernel.T + bias
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares[np.arange(len(labels)), labels] -= 1.0
    shares /= len(labels)
    found = [shares.T @ mean, shares.sum(axis=0)]
    back = np.broadcast_to((shares @ kernel)[:, None, None, :] / 64.0, x.shape)
    for place in reversed(range(len(weights) - 1)):
        kernel, _ = weights[place]
        back = back * (inputs[place + 1] > 0)
        summed = back.sum(axis=(0, 1, 2))
        if kernel.shape[1] == 1:
            rows = back.reshape(-1, back.shape[3])
            gradient = (rows.T @ inputs[place].reshape(len(rows), -1))[:, None, None, :]
            back = back @ kernel[:, 0, 0, :]
        else:
            by_tap = np.stack([(back * seen).sum(axis=(0, 1, 2)) for seen in _shifted(inputs[place])])
            gradient = by_tap.T.reshape(kernel.shape) if kernel.shape[0] > 1 else by_tap.reshape(kernel.shape)
            if place:
                taps = kernel.reshape(9, -1)[::-1]
                back = sum(seen * tap for seen, tap in zip(_shifted(back), taps, strict=True))
        found = [gradient, summed, *found]
    return found


def _shifted(x: np.ndarray) -> list[np.ndarray]:
    """What each of the nine taps of a padded 3×3 window sees."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return [padded[:, i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
