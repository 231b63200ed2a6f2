"""What an analysis hands on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Component = Literal["weights", "bias", "clipping", "rounding", "arithmetic"]
COMPONENTS: tuple[Component, ...] = ("weights", "bias", "clipping", "rounding", "arithmetic")


@dataclass(frozen=True, eq=False)
class ActivationRange:
    """What an activation really holds, beside what its integers can express.

    Attributes:
        low, high: of the float model over the analysed samples; `inner_low`, `inner_high`: all but 0.1 % on each side.
        held_low, held_high: the least and the greatest value that the integers stand for.
        scale, zero_point, bits: of the integers.
        clipped: share of values outside of what is held, 0 to 1.
        channel_low, channel_high: per channel (the last axis); of one element where there are no channels.
    """

    low: float
    high: float
    inner_low: float
    inner_high: float
    held_low: float
    held_high: float
    scale: float
    zero_point: int
    bits: int
    clipped: float
    channel_low: npt.NDArray[np.float32]
    channel_high: npt.NDArray[np.float32]

    @property
    def spare(self) -> float:
        """How many times wider than used the range is; zero is always part of what is used, and both signs in 16 bits,
        which have no zero point."""
        used = max(self.high, 0.0) - min(self.low, 0.0)
        if self.bits == 16:
            used = 2 * max(self.high, -self.low, 0.0)
        return (self.held_high - self.held_low) / used if used > 0 else math.inf

    @property
    def tail(self) -> float:
        """How many times wider the outermost 0.1 % on each side make the range."""
        inner = max(self.inner_high, 0.0) - min(self.inner_low, 0.0)
        return (max(self.high, 0.0) - min(self.low, 0.0)) / inner if inner > 0 else 1.0

    @property
    def channel_widths(self) -> npt.NDArray[np.float32]:
        """The greatest magnitude of each channel."""
        return np.maximum(np.abs(self.channel_low), np.abs(self.channel_high))


@dataclass(frozen=True, eq=False)
class WeightRange:
    """A layer's weights, float beside quantized.

    Attributes:
        widths: greatest magnitude of each output channel in float.
        input_widths: the same of each input channel; empty where an output channel reads only one.
        scales: as in the file: one, or one per output channel.
        bits: of each weight.
        slope: per output channel, by what factor the quantized weights are larger than the float ones (least squares).
        worst_steps: per output channel, the greatest distance in steps of the scale; rounding makes one half.
        off_share: share of weights that are further off than one and a half steps.
        peak: greatest over root mean square magnitude, of the channel where that is greatest.
        per_channel_possible: whether the runtime knows per-channel scales for this operator.
    """

    widths: npt.NDArray[np.float32]
    input_widths: npt.NDArray[np.float32]
    scales: npt.NDArray[np.float32]
    bits: int
    slope: npt.NDArray[np.float32]
    worst_steps: npt.NDArray[np.float32]
    off_share: float
    peak: float
    per_channel_possible: bool


@dataclass(frozen=True, eq=False)
class BiasRange:
    """A layer's bias, float beside quantized.

    Attributes:
        needed_steps: per channel, the float bias in steps of input scale × weight scale.
        stored_steps: per channel, as in the file.
        limit: the greatest integer of its type.
    """

    needed_steps: npt.NDArray[np.float64]
    stored_steps: npt.NDArray[np.float64]
    limit: float


@dataclass(frozen=True, eq=False)
class LayerError:
    """One layer's part in the loss. SQNR is float signal over error in dB; infinite without error, None without signal.

    Attributes:
        op: its index in the quantized graph; -1 for a model's input.
        label: as messages name it: `CONV_2D #7 (name)`.
        own_sqnr_db: of its output when it is fed the quantized *float* inputs: what it adds itself.
        total_sqnr_db: of its output in the quantized network: with what it inherits.
        alone_sqnr_db: of the network's output when all but this layer stay in float: what it costs.
        alone_noise: the same as a ratio, error over signal.
        flips: share of samples whose first choice changes by this layer alone; None of other than classifiers.
        shares: of its own error, what comes from where; sums to 1 where there is error.
        distortion: (factor, offset in steps) of its integer output against what it should give: (1, 0) when right.
        wrapped: share of output values that are off by more than half of the whole range.
        constant_channels: channels of its output that have one value over all samples.
        input_scales: of its integer inputs.
        sources: the operators that give its integer inputs.
        readers: kinds of the operators that read its output.
        matched_by: how its float counterpart was found.
    """

    op: int
    kind: str
    label: str
    own_sqnr_db: float | None
    total_sqnr_db: float | None
    alone_sqnr_db: float | None
    alone_noise: float
    flips: float | None
    shares: Mapping[Component, float]
    distortion: tuple[float, float]
    wrapped: float
    activation: ActivationRange | None
    weights: WeightRange | None
    bias: BiasRange | None
    constant_channels: tuple[int, ...]
    input_scales: tuple[float, ...]
    sources: tuple[int, ...]
    readers: tuple[str, ...]
    matched_by: str


@dataclass(frozen=True)
class Cause:
    """Why accuracy is lost, in words.

    Attributes:
        kind: a stable identifier (`uneven-channels`, `range-clipped`, …; docs/accuracy.md lists them).
        layer: the operator's index in the quantized graph; -1 for a model's input; None for the whole network.
        label: its name.
        text: what is wrong, with the figures that show it.
        remedy: what to do.
        option: how edgeq does it; "" where no option does.
        noise: error over signal at the network's output, from this cause alone.
        share: of the noise of all causes.
        repairable: False for the rounding that every integer model has.
    """

    kind: str
    layer: int | None
    label: str
    text: str
    remedy: str
    option: str
    noise: float
    share: float
    repairable: bool


@dataclass(frozen=True, eq=False)
class Analysis:
    """The answer of `edgeq analyze`.

    Attributes:
        layers: in execution order.
        causes: the worst first.
        output_sqnr_db: by output name, of the quantized network.
        agreement: share of samples with the same first choice as float; None of other than classifiers.
        samples: analysed; `available` were there.
        unmatched: labels of quantized operators whose float counterpart wasn't found.
    """

    float_path: str
    model_path: str
    model_sha256: str
    data: str
    samples: int
    available: int
    layers: tuple[LayerError, ...]
    causes: tuple[Cause, ...]
    output_sqnr_db: Mapping[str, float | None]
    agreement: float | None
    unmatched: tuple[str, ...]
    reference: str
    notices: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """The same for programs, units in the names; ranges per channel included."""
        return {
            "model": {"path": self.model_path, "sha256": self.model_sha256},
            "float": self.float_path,
            "data": self.data,
            "samples": self.samples,
            "available": self.available,
            "outputs": [{"name": n, "sqnr_db": _finite(v)} for n, v in self.output_sqnr_db.items()],
            "agreement": self.agreement,
            "causes": list(self.causes),
            "layers": [_layer_json(layer) for layer in self.layers],
            "unmatched": list(self.unmatched),
            "reference": self.reference,
            "notices": list(self.notices),
        }


def _layer_json(layer: LayerError) -> dict[str, object]:
    body = dict(vars(layer))
    for key in ("own_sqnr_db", "total_sqnr_db", "alone_sqnr_db"):
        body[key] = _finite(body[key])
    body["distortion"] = {"factor": layer.distortion[0], "offset_steps": layer.distortion[1]}
    return body


def _finite(value: object) -> object:
    return value if isinstance(value, float) and math.isfinite(value) else None
