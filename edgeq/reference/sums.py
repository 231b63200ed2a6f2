"""SUM of int8 and int16 as TFLM computes it.

The host's kernel takes int8 for uint8 (2.14, LiteRT 2.3 too) and refuses int16 with scales that differ: no reference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.graph import DType, Graph, Op
from edgeq.reference.fully_connected import quantized_multiplier, requantize


def is_quantized_sum(graph: Graph, op: Op) -> bool:
    """Whether `op` is a SUM that the host gets wrong."""
    if op.kind != "SUM":
        return False
    inp = graph.input_of(op, 0)
    return inp is not None and inp.dtype in (DType.INT8, DType.INT16) and inp.quant is not None


def quantized_sum(graph: Graph, op: Op, inputs: npt.NDArray[Any], axes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Run one: sums of what is left after the zero point, brought to the output's scale with double rounding."""
    source, target = graph.input_of(op, 0), graph.output_of(op)
    assert source is not None and source.quant is not None and target.quant is not None
    rank = inputs.ndim
    dimensions = tuple({int(a) % rank for a in axes.reshape(-1)})
    total = (inputs.astype(np.int64) - int(source.quant.zero_point[0])).sum(axis=dimensions)
    value, shift = quantized_multiplier(float(source.quant.scale[0]) / float(target.quant.scale[0]))
    scaled = requantize(np.asarray(total), np.int64(value), np.int64(shift)) + int(target.quant.zero_point[0])  # type: ignore[arg-type]
    most = (1 << (target.dtype.bits - 1)) - 1
    return np.clip(scaled, -most - 1, most).astype(target.dtype.numpy).reshape(target.shape)
