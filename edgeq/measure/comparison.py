"""Device outputs against the reference, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.codegen.tree import TensorInfo
from edgeq.measure.measurement import Validation

Array = npt.NDArray[Any]


def equal(got: Sequence[bytes], expected: Sequence[Array]) -> bool:
    """Whether every byte of every output is the same."""
    return all(g == e.tobytes() for g, e in zip(got, expected, strict=True))


def real_values(array: Array, info: TensorInfo) -> npt.NDArray[np.float64]:
    """Quantized values as real ones: scale * (q - zero_point); floats as they are."""
    values = np.asarray(array).astype(np.float64)
    return (values - info.zero_point) * info.scale if info.scale else values


class Comparison:
    """Differences so far, over samples and outputs."""

    def __init__(self, outputs: Sequence[TensorInfo]) -> None:
        self._outputs = outputs
        self._samples = self._elements = self._differing = 0
        self._worst = 0.0
        self._first = ""

    def add(self, number: int, got: Sequence[bytes], expected: Sequence[Array]) -> None:
        """One sample's outputs."""
        self._samples += 1
        for info, data, want in zip(self._outputs, got, expected, strict=True):
            have = np.frombuffer(data, want.dtype)
            flat = want.ravel()
            # Bytes, not values: two NaNs with the same bits are equal, 0.0 and -0.0 are not.
            width = f"V{want.dtype.itemsize}"
            differs = np.frombuffer(data, width) != np.frombuffer(flat.tobytes(), width)
            self._elements += flat.size
            self._differing += int(differs.sum())
            if differs.any():
                gap = np.abs(have[differs].astype(np.float64) - flat[differs].astype(np.float64))
                self._worst = max(self._worst, float(np.where(np.isnan(gap), np.inf, gap).max()))
                at = int(np.argmax(differs))
                self._first = self._first or (
                    f"sample {number}, output '{info.name}' element {at}: device {have[at]}, reference {flat[at]}"
                )

    def result(self, inputs: str, reference: str) -> Validation:
        """The sum of it."""
        worst = int(self._worst) if self._worst.is_integer() else self._worst
        return Validation(
            self._samples,
            self._differing == 0,
            worst,
            self._differing,
            self._elements,
            reference,
            inputs,
            first_difference=self._first,
        )
