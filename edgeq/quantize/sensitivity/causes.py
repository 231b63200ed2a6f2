"""From figures to words: what is wrong with a layer, what to do, and with which option.

A layer's error at the network's output is divided among what it comes from (weights, bias, clipping, rounding,
arithmetic); each part is then explained by the rule that fits (`explanations`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from edgeq.quantize.sensitivity.explanations import RECALIBRATE, RULES, SQUASHING, Finding, tied, too_wide
from edgeq.quantize.sensitivity.products import Cause, LayerError

_LEAST_SHARE = 0.08
"""Of a layer's own error; parts below aren't explained."""
_RELEVANT = 0.03
"""Share of the whole noise from which on something repairable stands before mere rounding."""
_DEFECTS = frozenset(
    {"weights-differ", "weight-scale", "bias-wrong", "bias-overflow", "output-scale", "output-zero-point", "wrapped"}
)


def find_causes(layers: Sequence[LayerError]) -> tuple[Cause, ...]:
    """All causes, the worst first. A file that is wrong stands before what could be better, and that before the
    rounding which every integer model has, unless it hardly matters."""
    found = _merged([cause for layer in layers for cause in _of_layer(layer)], layers)
    found += [*_calibration(layers, found), *_equalization(found)]
    whole = sum(cause.noise for cause in found if cause.layer is not None)
    shared = [replace(cause, share=min(1.0, cause.noise / whole) if whole else 0.0) for cause in found]

    def order(cause: Cause) -> tuple[int, float]:
        if not cause.repairable or cause.share < _RELEVANT:
            return 2, -cause.noise
        return 0 if cause.kind in _DEFECTS else 1, -cause.noise

    return tuple(sorted(shared, key=order))


def _merged(causes: Sequence[Cause], layers: Sequence[LayerError]) -> list[Cause]:
    """One cause of each kind and layer; a scale that is tied to too wide a range is that range's fault."""
    by_op = {layer.op: layer for layer in layers}
    found: dict[tuple[str, int | None], Cause] = {}
    for cause in causes:
        if cause.kind == "tied-scale" and cause.layer is not None:
            blamed = next((b for s in by_op[cause.layer].sources if (b := _blamed(by_op, s)) is not None), None)
            if blamed is not None:
                finding = too_wide(blamed)
                assert finding is not None
                told = f"{finding.text}; {cause.label} behind it must keep that range"
                cause = _cause(blamed, replace(finding, text=told), cause.noise)
        key = (cause.kind, cause.layer)
        before = found.get(key)
        longest = cause if before is None or len(cause.text) > len(before.text) else before
        found[key] = replace(longest, noise=cause.noise + (0.0 if before is None else before.noise))
    return list(found.values())


def _blamed(by_op: Mapping[int, LayerError], op: int) -> LayerError | None:
    """The layer that first had the range that `op` passes on, if that is too wide."""
    layer = by_op.get(op)
    if layer is None or too_wide(layer) is None:
        return None
    if tied(layer) is None:
        return layer
    return next((found for source in layer.sources if (found := _blamed(by_op, source)) is not None), None)


def _cause(layer: LayerError, found: Finding, noise: float) -> Cause:
    return Cause(
        kind=found.kind,
        layer=layer.op,
        label=layer.label,
        text=f"{layer.label}: {found.text}",
        remedy=found.remedy,
        option=found.option,
        noise=noise,
        share=0.0,
        repairable=found.repairable,
    )


def _calibration(layers: Sequence[LayerError], causes: Sequence[Cause]) -> list[Cause]:
    """Ranges that are too wide nearly everywhere have one cause, and it isn't in a layer."""
    wide = [cause for cause in causes if cause.kind == "range-too-wide"]
    ranged = [layer for layer in layers if layer.activation is not None and layer.kind not in SQUASHING]
    if len(wide) < 3 or 2 * len(wide) < len(ranged):
        return []
    spare = [layer.activation.spare for layer in ranged if layer.activation is not None]
    inputs = any(cause.layer == -1 for cause in wide)
    text = (
        f"{len(wide)} of {len(ranged)} activations{', the input among them,' if inputs else ''} have ranges up to "
        f"{max(spare):.3g} times wider than their values: the calibration data hold outliers"
        + (", perhaps a sample that wasn't scaled like the others" if inputs else "")
    )
    return [
        Cause(
            kind="calibration-outliers",
            layer=None,
            label="the whole network",
            text=f"the whole network: {text}",
            remedy="look at the calibration data, and calibrate with a method that bears outliers",
            option=RECALIBRATE,
            noise=sum(cause.noise for cause in wide),
            share=0.0,
            repairable=True,
        )
    ]


def _equalization(causes: Sequence[Cause]) -> list[Cause]:
    """Channels that are uneven in many layers are repaired in one go."""
    uneven = [cause for cause in causes if cause.kind in ("uneven-channels", "uneven-inputs")]
    layers = {cause.layer for cause in uneven}
    noise = sum(cause.noise for cause in uneven)
    if len(layers) < 3 or 4 * noise < sum(cause.noise for cause in causes):
        return []
    return [
        Cause(
            kind="uneven-network",
            layer=None,
            label="the whole network",
            text=f"the whole network: channels of {len(layers)} layers are so uneven that most of them are coarse",
            remedy="equalize across layers",
            option="--repair auto",
            noise=noise,
            share=0.0,
            repairable=True,
        )
    ]


def _of_layer(layer: LayerError) -> Iterator[Cause]:
    for component, share in layer.shares.items():
        if share < _LEAST_SHARE:
            continue
        found = next(filter(None, (rule(layer) for rule in RULES[component])))
        yield _cause(layer, found, layer.alone_noise * share)
    if layer.constant_channels:
        count, of = len(layer.constant_channels), 0 if layer.activation is None else len(layer.activation.channel_low)
        yield Cause(
            kind="constant-channels",
            layer=layer.op,
            label=layer.label,
            text=f"{layer.label}: {count} of {of} channels have one value over all samples",
            remedy="they cost memory and time and say nothing on these data: prune them, or look at the data",
            option="",
            noise=0.0,
            share=0.0,
            repairable=False,
        )
