"""What CONV_2D and DEPTHWISE_CONV_2D share: their tensors, rules and packed parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels import arithmetic, overlaps, rules, windows
from edgeq.kernels.arithmetic import Multiplier
from edgeq.kernels.channels import Channels
from edgeq.kernels.contract import Constant, Facts, Lowering, Rule

INT8 = (DType.INT8,)
INT4 = (DType.INT4,)


@dataclass(frozen=True)
class Parts:
    """A convolution taken apart.

    Attributes:
        weights: int8 (int4 unpacked), [out_c][filter_h][filter_w][in_c / groups], depthwise
            [filter_h][filter_w][out_c].
        bias: int32, (out_c,); zeros where the operator has none.
        filter: the weights' tensor, for its scales.
    """

    window: windows.Window
    inp: Tensor
    out: Tensor
    filter: Tensor
    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    act_min: int
    act_max: int

    @cached_property
    def multipliers(self) -> tuple[Multiplier, ...]:
        """One per output channel; worked out when first asked for, as most rules don't."""
        return arithmetic.convolution_multipliers(self.inp, self.filter, self.out, self.window.out_c)

    def channels(self, weights: npt.NDArray[np.int8]) -> Channels:
        """Its output channels, with the weights as a matrix [out_c][depth]."""
        limits = (self.act_min, self.act_max)
        return Channels.between(self.inp, self.out, weights, self.bias, self.multipliers, limits)


def parts(graph: Graph, op: Op) -> Parts:
    """Take a convolution apart; its rules hold."""
    inp, weights, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    bias = graph.input_of(op, 2)
    assert inp is not None and weights is not None and weights.data is not None
    channels = out.shape[3]
    values = np.zeros(channels, np.int32) if bias is None or bias.data is None else bias.data.astype(np.int32)
    low, high = arithmetic.activation_range(op.text("fused_activation_function", "NONE"), out)
    return Parts(
        window=windows.window_of(inp, out, op, weights.shape[1], weights.shape[2]),
        inp=inp,
        out=out,
        filter=weights,
        weights=weights.data.astype(np.int8),
        bias=values.reshape(-1),
        act_min=low,
        act_max=high,
    )


def lower_portable(graph: Graph, op: Op, group: int, macs: int, ahead: int, in_step: bool = False) -> Lowering:
    """The portable kernels' call: weights as in the file, int4 packed.

    Args:
        ahead, in_step: see `overlaps.windows`.
    """
    p = parts(graph, op)
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_conv_params",
        fields={
            "window": p.window.initializer(),
            "weights": "{const:weights}",
            "bias": "{const:bias}",
            "scales": "(const edgeq_scale *){const:scales}",
            "in_zero": str(arithmetic.zero_point_of(p.inp)),
            "out_zero": str(arithmetic.zero_point_of(p.out)),
            "act_min": str(p.act_min),
            "act_max": str(p.act_max),
            "group": str(group),
        },
        constants=(
            Constant("weights", "int8_t", packed_weights(p.filter, p.weights)),
            Constant("bias", "int32_t", p.bias.astype("<i4").tobytes()),
            Constant("scales", "int32_t", scale_pairs(p.multipliers), "parameters"),
        ),
        overlap={0: overlaps.windows(p.window, ahead=ahead, in_step=in_step)},
        macs=macs,
    )


def packed_weights(tensor: Tensor, weights: npt.NDArray[np.int8]) -> bytes:
    """Weights as the file holds them: int4 packed."""
    return pack_nibbles(weights) if tensor.dtype is DType.INT4 else weights.tobytes()


def pack_nibbles(values: npt.NDArray[np.int8]) -> bytes:
    """int4 values, two in a byte, the first in the low half."""
    flat = np.zeros(values.size + values.size % 2, np.uint8)
    flat[: values.size] = values.reshape(-1).view(np.uint8) & 15
    return (flat[0::2] | flat[1::2] << 4).astype(np.uint8).tobytes()


def scale_pairs(multipliers: tuple[Multiplier, ...]) -> bytes:
    """`edgeq_scale` records: multiplier, shift."""
    return np.array([[m.value, m.shift] for m in multipliers], "<i4").tobytes()


def weights_are_symmetric(graph: Graph, op: Op) -> Facts | None:
    """The weights '{tensor}' have the zero point {zero_point}; int8 weights are symmetric (0) in TensorFlow Lite's
    scheme: convert the model again."""
    weights = graph.input_of(op, 1)
    if weights is None or weights.quant is None or not np.any(weights.quant.zero_point):
        return None
    return {"tensor": weights.short_name, "zero_point": int(weights.quant.zero_point[0])}


def weight_scales(axis: int) -> Rule:
    """A rule: one scale, or one per output channel along `axis`."""

    def weight_scales_fit(graph: Graph, op: Op) -> Facts | None:
        """The weights '{tensor}' of shape {shape} {found}; the kernels take one scale, or one per output channel, each
        finite and not negative: convert the model again."""
        weights = graph.input_of(op, 1)
        assert weights is not None
        facts = {"tensor": weights.short_name, "shape": list(weights.shape)}
        quant = weights.quant
        if quant is None:
            return {**facts, "found": "have no scales"}
        if quant.per_channel and quant.quantized_dimension != axis:
            return {**facts, "found": f"have {quant.scale.size} scales along dimension {quant.quantized_dimension}"}
        # 0 is what older converters write for channels of zeros: whatever the sum, the output is its zero point.
        bad = np.flatnonzero(~(np.isfinite(quant.scale) & (quant.scale >= 0)))
        if bad.size:
            return {**facts, "found": f"have the scale {float(quant.scale[bad[0]])} in channel {int(bad[0])}"}
        return None

    return weight_scales_fit


def bias_fits(graph: Graph, op: Op) -> Facts | None:
    """The bias '{tensor}' has {elements} elements for {channels} output channels: the file is damaged."""
    bias, out = graph.input_of(op, 2), graph.output_of(op)
    if bias is None or bias.elements == out.shape[-1]:
        return None
    return {"tensor": bias.short_name, "elements": bias.elements, "channels": out.shape[-1]}


def convolution_rules(axis: int, weights: tuple[DType, ...] = INT8) -> tuple[Rule, ...]:
    """The rules of both convolutions; output channels run along `axis` of the weights, which are of these types."""
    return (
        rules.arity(2, 3),
        rules.shapes_are_static,
        rules.nothing_is_empty,
        rules.types((INT8, weights, (DType.INT32,)), INT8),
        rules.constant(1, "weights"),
        rules.constant(2, "biases"),
        rules.rank(0, (4,)),
        rules.rank(1, (4,)),
        windows.geometry(filter_from_options=False),
        rules.quantization_is_usable(0),
        weight_scales(axis),
        weights_are_symmetric,
        rules.factor_is_defined(0, 1),
        bias_fits,
        rules.activation_is_known,
        rules.activation_range_fits,
        rules.activations_come_from_the_arena,
    )
