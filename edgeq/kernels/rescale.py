"""The call that moves values from one quantization to another, with a clamp: QUANTIZE and the activations."""

from __future__ import annotations

from edgeq.graph import Tensor
from edgeq.kernels import arithmetic, overlaps
from edgeq.kernels.contract import Lowering
from edgeq.kernels.elementwise import scale_initializer


def lower_rescale(inp: Tensor, out: Tensor, factor: float, limits: tuple[int, int]) -> Lowering:
    """Element for element.

    Args:
        factor: the input's scale by the output's, rounded as this operator's reference does.
        limits: the least and the greatest output.
    """
    low, high = limits
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_rescale_params",
        fields={
            "count": str(out.elements),
            "in_zero": str(arithmetic.zero_point_of(inp)),
            "out_zero": str(arithmetic.zero_point_of(out)),
            "scale": scale_initializer(arithmetic.quantize_multiplier(factor)),
            "act_min": str(low),
            "act_max": str(high),
        },
        overlap={0: overlaps.elementwise(inp, out)},
    )
