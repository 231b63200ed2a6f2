"""Rules that explain a part of a layer's error: what is wrong, what to do, and with which option.

Limits are chosen on networks with planted faults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from edgeq.quantize.sensitivity.products import Component, LayerError

_WIDE = 6.0
"""Times the median channel, from which on channels are uneven."""
_SPARE = 2.5
_TAIL = 3.0
_JOIN = 8.0
_PEAK = 12.0
_LOGITS_STEP = 0.25
"""Step of a softmax's input from which on one step changes a ratio of probabilities by more than a quarter."""
RECALIBRATE = "--calibration auto"
# Operators whose input and output must have one scale (TensorFlow Lite's quantization specification).
_TIED = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "PAD", "TRANSPOSE", "GATHER")
SQUASHING = ("SOFTMAX", "LOGISTIC", "TANH", "LOG_SOFTMAX")


@dataclass(frozen=True)
class Finding:
    """An explanation: what is wrong, in words that follow a layer's name, what helps, and the option that does it."""

    kind: str
    text: str
    remedy: str
    option: str = ""
    repairable: bool = True


_Rule = Callable[[LayerError], Finding | None]


def _weights_differ(layer: LayerError) -> Finding | None:
    w = layer.weights
    if w is None or w.off_share <= 0.0 or float(w.worst_steps.max()) < 2.0:
        return None
    channels = np.flatnonzero(w.worst_steps > 1.5)
    scaled = np.abs(w.slope - 1.0) > 0.05
    worst = float(w.worst_steps.max())
    if scaled.any() and _explained_by_slope(layer):
        factors = w.slope[scaled]
        told = f"{float(np.median(factors)):.3g} times too large" if np.ptp(factors) < 0.1 else "by different factors"
        return Finding(
            "weight-scale",
            f"the quantized weights of {scaled.sum()} of {len(w.slope)} channels are off, {told}: the scale is wrong",
            "convert the float model again; if it was equalized before, analyze against that float model",
        )
    return Finding(
        "weights-differ",
        f"the quantized weights aren't the float ones: {w.off_share:.1%} are off by more than rounding makes, in "
        f"{len(channels)} of {len(w.slope)} channels, by up to {worst:.0f} steps",
        "convert the float model again; if this is its file, weights were damaged or come from another training",
    )


def _explained_by_slope(layer: LayerError) -> bool:
    """Whether a factor per channel accounts for what the weights are off by."""
    w = layer.weights
    assert w is not None
    scales = np.broadcast_to(w.scales, w.widths.shape) if w.scales.size in (1, w.widths.size) else w.widths
    predicted = np.abs(w.slope - 1.0) * w.widths / np.maximum(scales, 1e-30)
    many = w.worst_steps > 2.0
    return bool(np.all(np.abs(predicted[many] - w.worst_steps[many]) <= 1.0 + 0.1 * w.worst_steps[many]))


def _per_tensor(layer: LayerError) -> Finding | None:
    w = layer.weights
    if w is None or w.scales.size > 1 or len(w.widths) < 2 or not w.per_channel_possible:
        return None
    uneven, channel = _unevenness(w.widths)
    if uneven < 3.0:
        return None
    return Finding(
        "per-tensor-weights",
        f"its weights have one scale for all {len(w.widths)} channels, and channel {channel} is {uneven:.3g} times "
        "wider than the median",
        "give each output channel a scale of its own",
        "edgeq convert does, by default",
    )


def _few_bits(layer: LayerError) -> Finding | None:
    w = layer.weights
    if w is None or w.bits >= 8:
        return None
    return Finding(
        "few-bits", f"its weights have {w.bits} bits, which are too few here", "give this layer 8 bits", "--mixed"
    )


def _uneven_inputs(layer: LayerError) -> Finding | None:
    w = layer.weights
    if w is None or not len(w.input_widths):
        return None
    uneven, channel = _unevenness(w.input_widths)
    if uneven < _WIDE:
        return None
    return Finding(
        "uneven-inputs",
        f"its weights for input channel {channel} are {uneven:.3g} times larger than for the median one",
        "equalize with the layer before: scale the channel up there and its weights down here",
        "--repair auto",
    )


def _weight_peak(layer: LayerError) -> Finding | None:
    w = layer.weights
    if w is None or w.peak < _PEAK:
        return None
    return Finding(
        "weight-outlier",
        f"single weights are {w.peak:.3g} times larger than their channel's root mean square and coarsen the others",
        "clip them, or round the others adaptively",
        "--repair auto",
    )


def _weight_rounding(layer: LayerError) -> Finding:
    return Finding("weight-rounding", "rounding of its weights", "round them adaptively", "--repair auto", False)


def _bias(layer: LayerError) -> Finding:
    b = layer.bias
    if b is not None:
        over = np.abs(b.needed_steps) > b.limit
        if over.any():
            channel = int(np.argmax(np.abs(b.needed_steps)))
            return Finding(
                "bias-overflow",
                f"the bias of {over.sum()} of {len(over)} channels doesn't fit: channel {channel} needs "
                f"{abs(b.needed_steps[channel]):.3g} steps of input scale × weight scale, the type holds {b.limit:.3g}",
                "make the scale of these channels' weights larger (their weights are tiny beside the bias)",
                "--repair auto",
            )
        gap = np.abs(b.needed_steps - b.stored_steps)
        wrong = gap > 2 + 1e-5 * np.abs(b.needed_steps)
        scaled = _weights_differ(layer)
        if wrong.any() and scaled is not None and scaled.kind == "weight-scale" and _follows(layer, wrong):
            return scaled
        if wrong.any():
            channel = int(np.argmax(gap))
            return Finding(
                "bias-wrong",
                f"the bias of {wrong.sum()} of {len(wrong)} channels isn't the float one: channel {channel} has "
                f"{b.stored_steps[channel]:.6g} steps and should have {b.needed_steps[channel]:.6g}",
                "convert the float model again; if its bias was corrected on purpose, this is that correction",
            )
    return Finding("bias-rounding", "rounding of its bias", "nothing: it is small", "", False)


def _follows(layer: LayerError, wrong: npt.NDArray[np.bool_]) -> bool:
    """Whether a bias is off by the factor that its channel's weights are off by: the scale of both is one."""
    w, b = layer.weights, layer.bias
    if w is None or b is None or len(w.slope) != len(wrong):
        return False
    predicted = np.abs((w.slope - 1.0) * b.needed_steps)
    gap = np.abs(b.needed_steps - b.stored_steps)
    return bool(np.all(np.abs(predicted - gap)[wrong] <= 2 + 0.1 * gap[wrong]))


def _one(layer: LayerError) -> Finding | None:
    """1 itself is beyond what a softmax's or logistic's fixed scale of 1/256 holds."""
    if layer.kind not in SQUASHING:
        return None
    return Finding("rounding", "its fixed scale ends one step below 1", "nothing: every runtime does it", "", False)


def _driven_out(layer: LayerError) -> Finding | None:
    a = layer.activation
    if a is None or a.clipped > 1e-4 or max(a.high - a.held_high, a.held_low - a.low) > a.scale:
        return None
    return Finding(
        "inherited",
        "its inputs, coarse as they are, drive it out of its range, which suits the float model",
        "look at the layers before it",
        "",
        False,
    )


def _clipped(layer: LayerError) -> Finding:
    a = layer.activation
    assert a is not None
    return Finding(
        "range-clipped",
        f"{a.clipped:.2%} of its values are clipped: they reach from {a.low:.4g} to {a.high:.4g}, its integers from "
        f"{a.held_low:.4g} to {a.held_high:.4g}",
        "calibrate with data that are like these, or with a wider method",
        RECALIBRATE,
    )


def _join(layer: LayerError) -> Finding | None:
    s = layer.input_scales
    if layer.kind not in ("ADD", "SUB", "CONCATENATION", "MAXIMUM", "MINIMUM") or len(s) < 2 or max(s) < _JOIN * min(s):
        return None
    return Finding(
        "uneven-join",
        f"it joins inputs of very different ranges: a step of {max(s):.3g} is {max(s) / min(s):.3g} times the other's",
        "scale the branches alike, or give it 16 bits",
        "--mixed",
    )


def tied(layer: LayerError) -> Finding | None:
    """The same, where the operator must keep its input's scale."""
    a = layer.activation
    if a is None or a.spare < _SPARE or layer.kind not in _TIED or a.scale not in layer.input_scales:
        return None
    return Finding(
        "tied-scale",
        f"it must keep its input's scale, in which its values, {a.low:.4g} to {a.high:.4g}, use only a part of "
        f"{a.held_low:.4g} to {a.held_high:.4g}: {np.log2(a.spare):.1f} of {a.bits} bits are lost",
        "give it 16 bits; an AVERAGE_POOL_2D over everything may be a MEAN, which has a scale of its own",
        "--mixed",
    )


def too_wide(layer: LayerError) -> Finding | None:
    """A range several times wider than the values in it."""
    a = layer.activation
    if a is None or a.spare < _SPARE or layer.kind in SQUASHING:
        return None
    return Finding(
        "range-too-wide",
        f"its range, {a.held_low:.4g} to {a.held_high:.4g}, is {a.spare:.3g} times wider than its values, "
        f"{a.low:.4g} to {a.high:.4g}: {np.log2(a.spare):.1f} of {a.bits} bits are lost",
        "calibrate anew: an outlier in the calibration data, or other data, made it so wide",
        RECALIBRATE,
    )


def _uneven(layer: LayerError) -> Finding | None:
    a = layer.activation
    if a is None or len(a.channel_low) < 4:
        return None
    uneven, channel = _unevenness(a.channel_widths)
    if uneven < _WIDE:
        return None
    count = int(np.sum(a.channel_widths > _WIDE * np.median(a.channel_widths[a.channel_widths > 0])))
    what = "one channel is" if count == 1 else f"{count} channels are wide; the widest is"
    return Finding(
        "uneven-channels",
        f"{what} {uneven:.3g} times wider than the median (channel {channel}, {a.channel_widths[channel]:.4g})",
        "equalize: scale the channel down here and up in the next layer",
        "--repair auto",
    )


def _tail(layer: LayerError) -> Finding | None:
    a = layer.activation
    if a is None or a.tail < _TAIL:
        return None
    return Finding(
        "range-outliers",
        f"0.1 % of its values make its range {a.tail:.3g} times wider than the rest needs",
        "clip them: calibrate with a percentile",
        RECALIBRATE,
    )


def _logits(layer: LayerError) -> Finding | None:
    a = layer.activation
    if a is None or a.bits > 8 or a.scale < _LOGITS_STEP or not any(kind in SQUASHING for kind in layer.readers):
        return None
    reader = next(kind for kind in layer.readers if kind in SQUASHING)
    return Finding(
        "wide-logits",
        f"it feeds {reader} in steps of {a.scale:.3g}: one changes a ratio of probabilities by {np.expm1(a.scale):.0%}",
        "clip the range, or give it 16 bits",
        "--mixed",
    )


def _rounding(layer: LayerError) -> Finding:
    bits = 8 if layer.activation is None else layer.activation.bits
    return Finding("rounding", f"rounding of its {bits}-bit output", "give it 16 bits if it matters", "--mixed", False)


def _wrapped(layer: LayerError) -> Finding | None:
    if layer.wrapped <= 0.0:
        return None
    return Finding(
        "wrapped",
        f"{layer.wrapped:.2%} of its outputs jump from one end of the range to the other: arithmetic overflows",
        "its scales don't suit its kernel: convert the float model again",
    )


def _distorted(layer: LayerError) -> Finding | None:
    factor, offset = layer.distortion
    if abs(factor - 1.0) > 0.1:
        return Finding(
            "output-scale",
            f"its integers stand for values {factor:.3g} times too large: the scale in the file isn't the one that its "
            "arithmetic uses",
            "convert the float model again: the file's parameters are damaged",
        )
    if abs(offset) > 1.5:
        return Finding(
            "output-zero-point",
            f"its integers are off by {offset:+.3g} steps: the zero point in the file isn't the one of its arithmetic",
            "convert the float model again: the file's parameters are damaged",
        )
    return None


def _arithmetic(layer: LayerError) -> Finding:
    if layer.weights is None and layer.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"):
        text = "error of its weights and arithmetic together (something was folded into the weights)"
        return Finding("weights-or-arithmetic", text, "analyze against the float model with that folded in", "", False)
    return Finding(
        "arithmetic", "rounding of its integer arithmetic", "give it 16 bits if it matters", "--mixed", False
    )


def _unevenness(widths: npt.NDArray[np.float32]) -> tuple[float, int]:
    """(widest over median channel, the widest); channels that are always zero don't count."""
    alive = widths[widths > 0]
    channel = int(np.argmax(widths))
    return (float(widths[channel] / np.median(alive)), channel) if alive.size else (1.0, channel)


RULES: Mapping[Component, tuple[_Rule, ...]] = MappingProxyType(
    {
        "weights": (_weights_differ, _per_tensor, _few_bits, _uneven_inputs, _weight_peak, _weight_rounding),
        "bias": (_bias,),
        "clipping": (_one, _driven_out, _clipped),
        "rounding": (tied, too_wide, _uneven, _tail, _join, _logits, _rounding),
        "arithmetic": (_distorted, _wrapped, _arithmetic),
    }
)
"""For each part of an error the rules that may explain it; the first that fits does."""
