"""One-operator models that tests of runtimes ask about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from models_flatbuffer import T, single_op_model

from edgeq import tflite
from edgeq.graph import Graph

_BIAS = {"FLOAT32": "FLOAT32", "INT16": "INT64"}


def convolution(
    kind: str = "CONV_2D",
    *,
    data: Sequence[int] = (1, 8, 8, 4),
    weights: Sequence[int] = (8, 3, 3, 4),
    output: Sequence[int] = (1, 8, 8, 8),
    activations: str = "INT8",
    held: str = "INT8",
    stride: int = 1,
) -> Graph:
    """A convolution with SAME padding; int types are quantized, weights per channel."""
    plain, channels = activations == "FLOAT32", output[3]
    options: dict[str, Any] = {"padding": "SAME", "stride_w": stride, "stride_h": stride}
    options |= {"dilation_w_factor": 1, "dilation_h_factor": 1}
    if kind == "DEPTHWISE_CONV_2D":
        options["depth_multiplier"] = channels // data[3]
    real = None if plain else 0.5
    scales = None if held == "FLOAT32" else [0.01] * channels
    zeros = [0] * channels
    axis = 0 if kind == "CONV_2D" else 3
    return _read(
        kind,
        [
            T(data, activations, real),
            T(weights, held, scales, None if scales is None else zeros, axis=axis, data=np.zeros(weights)),
            T(
                (channels,),
                _BIAS.get(activations, "INT32"),
                real and [0.005] * channels,
                zeros,
                data=np.zeros(channels),
            ),
        ],
        T(output, activations, real),
        options,
    )


def dense(
    *,
    data: Sequence[int] = (1, 12),
    output: Sequence[int] = (1, 7),
    activations: str = "INT8",
    held: str = "INT8",
    per_channel: bool = False,
    version: int = 1,
) -> Graph:
    """A fully connected layer, 12 → 7."""
    plain = activations == "FLOAT32"
    scale: Any = [0.01] * 7 if per_channel else 0.01
    zero: Any = [0] * 7 if per_channel else 0
    return _read(
        "FULLY_CONNECTED",
        [
            T(data, activations, None if plain else 0.5),
            T((7, 12), held, None if held == "FLOAT32" else scale, zero, data=np.zeros((7, 12))),
            T((7,), _BIAS.get(activations, "INT32"), None if plain else scale, zero, data=np.zeros(7)),
        ],
        T(output, activations, None if plain else 0.5),
        {"keep_num_dims": len(data) > 2},
        version,
    )


def single(
    kind: str,
    data: T,
    output: T,
    *further: T,
    options: Mapping[str, Any] | None = None,
    version: int = 1,
) -> Graph:
    """Any operator with one data input and constants after it."""
    return _read(kind, [data, *further], output, options or {}, version)


def _read(kind: str, inputs: Sequence[T], output: T, options: Mapping[str, Any], version: int = 1) -> Graph:
    return tflite.parse(single_op_model(kind, inputs, output, options, version))
