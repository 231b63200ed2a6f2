"""An Analysis as text."""

from __future__ import annotations

import math

from rich.console import RenderableType
from rich.text import Text

from edgeq.quantize.sensitivity import Analysis, LayerError
from edgeq.report.render import facts, listing, notices, short_name, to_text, verdict
from edgeq.units import Provenance

_MOST_CAUSES = 8


def analyze_text(a: Analysis, *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq analyze`."""
    parts: list[RenderableType] = [verdict(not problems(a), headline(a)), Text(""), facts(_heading(a)), Text("")]
    parts += _causes(a)
    parts += [Text(""), Text("layers, SQNR in dB", style="bold"), _layers(a, width)]
    parts += notices(a.notices)
    return to_text(*parts, width=width, color=color)


def problems(a: Analysis) -> bool:
    """Whether something that can be repaired makes most of the loss."""
    return bool(a.causes) and a.causes[0].repairable and a.causes[0].share >= 0.25


def headline(a: Analysis) -> str:
    """One sentence."""
    told = f"{a.model_path or 'the model'}: "
    if not a.causes:
        return told + "equal to the float model"
    first = a.causes[0]
    if problems(a):
        return f"{told}{first.share:.0%} of the loss comes from {first.label}: {first.kind}"
    return told + "no single cause makes the loss" + (f"; {first.label} has the largest part" if first.share else "")


def decibels(value: float | None) -> str:
    """`31.4`, `∞` without any error, `-` without a signal."""
    return "-" if value is None else "∞" if math.isinf(value) else f"{value:.1f}"


def _heading(a: Analysis) -> list[tuple[str, RenderableType, Provenance | None]]:
    rows: list[tuple[str, RenderableType, Provenance | None]] = [
        ("float model", a.float_path or "in memory", None),
        ("data", f"{a.data}, {a.samples} of {a.available} samples", None),
        ("computed by", a.reference, None),
    ]
    rows += [(f"SQNR {name}"[:40], f"{decibels(value)} dB", None) for name, value in a.output_sqnr_db.items()]
    if a.agreement is not None:
        rows.append(("agreement", f"{a.agreement:.1%} same first choice as float", None))
    return rows


def _causes(a: Analysis) -> list[RenderableType]:
    shown = [cause for cause in a.causes if cause.repairable or cause.share >= 0.02][:_MOST_CAUSES]
    lines: list[RenderableType] = [Text("causes, the worst first, with their share of the loss", style="bold")]
    for number, cause in enumerate(shown, 1):
        style = "red" if cause.repairable and cause.share >= 0.25 else ""
        lines.append(Text(f"{number:2}. {cause.share:6.1%}  {cause.text}", style=style))
        option = f" ({cause.option})" if cause.option else ""
        lines.append(Text(f"            {cause.remedy}{option}", style="dim"))
    left = len(a.causes) - len(shown)
    return [*lines, Text(f"    {left} more with --json", style="dim")] if left else lines


def _layers(a: Analysis, width: int) -> RenderableType:
    columns = [
        ("#", True),
        ("layer", False),
        ("own", True),
        ("total", True),
        ("alone", True),
        ("flips", True),
        ("clipped", True),
        ("bits used", True),
        ("channels", True),
        ("mostly", False),
    ]
    elastic = ("layer",) if width >= 100 else ("layer", "mostly")
    return listing(columns, [_row(layer) for layer in a.layers], elastic=elastic)


def _layer_name(layer: LayerError) -> str:
    if layer.op < 0:
        return short_name(layer.label)
    return f"{layer.kind} {short_name(layer.label.partition('(')[2].removesuffix(')'))}".strip()


def _row(layer: LayerError) -> list[RenderableType]:
    a = layer.activation
    used = "" if a is None or not math.isfinite(a.spare) else f"{a.bits - max(0.0, math.log2(a.spare)):.1f}"
    alive = [] if a is None else [w for w in a.channel_widths.tolist() if w > 0]
    uneven = f"{max(alive) / sorted(alive)[len(alive) // 2]:.1f}x" if len(alive) > 1 else ""
    most = max(layer.shares.items(), key=lambda item: item[1]) if any(layer.shares.values()) else None
    return [
        "" if layer.op < 0 else str(layer.op),
        _layer_name(layer),
        decibels(layer.own_sqnr_db),
        decibels(layer.total_sqnr_db),
        decibels(layer.alone_sqnr_db),
        "" if layer.flips is None else f"{layer.flips:.0%}",
        "" if a is None or not a.clipped else f"{a.clipped:.2%}",
        used,
        uneven,
        "" if most is None else f"{most[0]} {most[1]:.0%}",
    ]
