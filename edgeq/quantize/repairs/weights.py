"""Weights as the quantizer will store them: symmetric integers with one scale per output channel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def scales(rows: Floats, bits: int) -> Floats:
    """(out, 1): the scale that the quantizer gives each row, by its widest weight."""
    widest = np.abs(rows).max(axis=1, keepdims=True)
    found: Floats = np.where(widest > 0.0, widest, 1.0) / levels(bits)
    return found


def levels(bits: int) -> int:
    """The largest integer of so many bits (the smallest is its negative)."""
    return int((1 << (bits - 1)) - 1)


def nearest(rows: Floats, bits: int) -> Floats:
    """Rows as they come back from storage, each weight rounded to the nearest."""
    scale = scales(rows, bits)
    stored: Floats = np.clip(np.rint(rows / scale), -levels(bits), levels(bits)) * scale
    return stored
