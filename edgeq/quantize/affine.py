"""real = scale * (q - zero_point), both ways, as QUANTIZE and DEQUANTIZE compute it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.graph import Tensor


def quantized(tensor: Tensor, real: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Real values as the elements of `tensor`: halves away from zero, saturated. Float tensors: as they are."""
    if tensor.quant is None:
        return np.asarray(real).astype(tensor.dtype.numpy, copy=False)
    limits = np.iinfo(str(tensor.dtype.numpy))
    ratio = np.asarray(real, np.float32) / tensor.quant.scale[0]
    rounded = np.trunc(ratio + np.copysign(np.float32(0.5), ratio)) + np.float32(tensor.quant.zero_point[0])
    stored: npt.NDArray[Any] = np.clip(rounded, limits.min, limits.max).astype(tensor.dtype.numpy)
    return stored


def dequantized(tensor: Tensor, stored: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Elements of `tensor` as real values."""
    values = np.asarray(stored).astype(np.float32)
    if tensor.quant is None:
        return values
    shifted = values - np.float32(tensor.quant.zero_point[0])
    real: npt.NDArray[np.float32] = shifted * tensor.quant.scale[0]
    return real
