"""What zeros there are in a quantized file, and what they buy: told from the file, as the engine sees it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from edgeq.graph import DType, Graph, Op
from edgeq.kernels.macs import total_macs
from edgeq.optimize import remove_constant_channels

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True)
class LayerSparsity:
    """One layer's weights.

    Attributes:
        weights, zeros: how many; biases don't count.
        channels, dead_channels: outputs, and those of them whose weights are all zero.
    """

    label: str
    weights: int
    zeros: int
    channels: int
    dead_channels: int


@dataclass(frozen=True)
class SparsityReport:
    """Zeros in a file.

    Attributes:
        dense_bytes: what edgeq's engine (and TensorFlow Lite Micro) keep in flash for these weights: all of them, zeros
            too.
        deflated_bytes: the same weights through zlib, level 9: what an update over the air could save, not flash.
        macs, macs_kept: of the file, and of what edgeq generates after removing channels that never change.
        removed_channels: how many those are.
    """

    layers: tuple[LayerSparsity, ...]
    dense_bytes: int
    deflated_bytes: int
    macs: int
    macs_kept: int
    removed_channels: int

    @property
    def zero_share(self) -> float:
        """Zeros among all weights, 0 to 1."""
        return sum(layer.zeros for layer in self.layers) / max(sum(layer.weights for layer in self.layers), 1)

    def text(self) -> str:
        """A line for each layer, then what the zeros buy."""
        lines = [
            f"{layer.label:<40} {layer.zeros / max(layer.weights, 1):6.1%} of {layer.weights:>8,} weights are zero, "
            f"{layer.dead_channels} of {layer.channels} channels"
            for layer in self.layers
        ]
        lines.append(f"all: {self.zero_share:.1%} zeros; stored dense in flash: {self.dense_bytes:,} bytes")
        lines.append(f"deflated (for transfer only): {self.deflated_bytes:,} bytes")
        lines.append(
            f"channels that edgeq removes: {self.removed_channels} ({self.macs:,} MACs become {self.macs_kept:,})"
        )
        return "\n".join(lines)


def sparsity(graph: Graph) -> SparsityReport:
    """Count a file's zeros, and what edgeq's engine makes of them."""
    layers, stored, dense = [], [], 0
    for op in graph.ops:
        weights = graph.input_of(op, 1) if op.kind in _WEIGHTED else None
        if weights is None or weights.data is None:
            continue
        zeros = weights.data == _zero(graph, op)
        axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
        dead = np.moveaxis(zeros, axis, 0).reshape(weights.shape[axis], -1).all(axis=1)
        layers.append(
            LayerSparsity(graph.label(op), weights.elements, int(zeros.sum()), int(dead.size), int(dead.sum()))
        )
        stored.append(weights.data.tobytes())
        dense += weights.size_bytes
    removal = remove_constant_channels(graph)
    return SparsityReport(
        tuple(layers),
        dense,
        len(zlib.compress(b"".join(stored), 9)),
        total_macs(graph),
        total_macs(removal.graph),
        sum(removal.channels.values()),
    )


def _zero(graph: Graph, op: Op) -> int:
    weights = graph.input_of(op, 1)
    assert weights is not None
    if weights.quant is None or weights.dtype is DType.FLOAT32:
        return 0
    return int(weights.quant.zero_point[0])
