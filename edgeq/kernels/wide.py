"""What the operators on int16 activations share (TensorFlow Lite's 16x8 scheme)."""

from __future__ import annotations

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import arithmetic
from edgeq.kernels.contract import Facts, Rule
from edgeq.kernels.types import LIMITS

INT16_MIN, INT16_MAX = LIMITS[DType.INT16]


def zero_points_are_zero(graph: Graph, op: Op) -> Facts | None:
    """Tensor '{tensor}' has the zero point {zero_point}; int16 activations are symmetric (0) in TensorFlow Lite's
    scheme: convert the model again."""
    for index in (*op.inputs, *op.outputs):
        tensor = graph.tensors[index] if index >= 0 else None
        if tensor is not None and tensor.dtype is DType.INT16 and tensor.quant is not None:
            zero_point = arithmetic.zero_point_of(tensor)
            if zero_point:
                return {"tensor": tensor.short_name, "zero_point": zero_point}
    return None


def sums_in_32_bits(graph: Graph, op: Op) -> bool:
    """Whether the reference adds up in 32 bits, as for int8: with an int32 bias, and FULLY_CONNECTED without one."""
    bias = graph.input_of(op, 2)
    return op.kind == "FULLY_CONNECTED" if bias is None else bias.dtype is DType.INT32


def wide_factor_is_defined(*positions: int) -> Rule:
    """A rule: the product of these inputs' scales over the output's stays where the 64-bit arithmetic has a meaning."""

    def wide_effective_scale_is_defined(graph: Graph, op: Op) -> Facts | None:
        """The scales of its tensors make a factor of {factor}; from 128 on the reference's arithmetic for int16 is
        undefined: convert the model again."""
        factor = 1.0 / float(arithmetic.scale_of(graph.output_of(op)))
        for position in positions:
            tensor = graph.input_of(op, position)
            if tensor is not None and tensor.quant is not None:
                factor *= float(tensor.quant.scale.max())
        return None if factor < _LEAST_UNDEFINED_FACTOR else {"factor": f"{factor:.3g}"}

    return wide_effective_scale_is_defined


_LEAST_UNDEFINED_FACTOR = 127.99
