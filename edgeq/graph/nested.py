"""One model, several precisions: int8 weights whose highest four or two bits are weights of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BITS = (8, 4, 2)
"""The precisions there are, the file's own first."""

Int8 = npt.NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Level:
    """One layer at one precision below eight bits.

    Attributes:
        scale: float32, (channels,): real weight = scale * slice_weights(weights, bits).
        bias: int32, (channels,), in steps of the input's scale times `scale`.
    """

    scale: npt.NDArray[np.float32]
    bias: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class NestedLayer:
    """A CONV_2D or FULLY_CONNECTED with lower precisions.

    Attributes:
        weights, bias: tensor indices; the layer's alone.
        levels: bits → scale and bias.
    """

    weights: int
    bias: int
    levels: Mapping[int, Level]


@dataclass(frozen=True, eq=False)
class Nested:
    """What the metadata say.

    Attributes:
        precisions: bits, falling; 8 is the first.
    """

    precisions: tuple[int, ...]
    layers: tuple[NestedLayer, ...]


def slice_weights(weights: Int8, bits: int) -> Int8:
    """The weights that int8 weights hold in their highest bits.

    8: themselves. 4: round(w / 16), -8 to 7. 2: the middle of the quarter that w lies in, as 2 * floor(w / 64) + 1:
    -3, -1, 1 or 3 steps of 32.
    """
    if bits == 8:
        return weights
    wide = weights.astype(np.int16)
    if bits == 4:
        return np.minimum((wide + 8) >> 4, 7).astype(np.int8)
    if bits == 2:
        return (2 * (wide >> 6) + 1).astype(np.int8)
    raise ValueError(f"there is no precision of {bits} bits")
