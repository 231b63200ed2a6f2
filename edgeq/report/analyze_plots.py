"""An Analysis as pictures, and as one HTML page that holds them. Needs matplotlib (the extra `plot`)."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from edgeq import registry
from edgeq.quantize.sensitivity import Analysis, LayerError
from edgeq.report.analyze import decibels, headline

_HIGHEST_DB = 70.0
"""Where bars of layers without error end."""
_BLUE, _ORANGE, _GREY, _RED = "#3b6fb6", "#e08a2c", "#c9cdd3", "#c0392b"


def analyze_pictures(a: Analysis) -> Mapping[str, bytes]:
    """File name → contents: each picture as SVG and PNG, and `report.html`, which needs nothing else.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    registry.require(registry.PLOTTING, "drawing")
    drawn = {"sqnr": _sqnr(a), "ranges": _ranges(a), "channels": _channels(a), "causes": _causes(a)}
    files: dict[str, bytes] = {}
    for name, figure in drawn.items():
        for kind in ("svg", "png"):
            files[f"{name}.{kind}"] = saved(figure, kind)
    files["report.html"] = _page(a, {name: files[f"{name}.svg"].decode() for name in drawn}).encode()
    return files


def saved(figure: Any, kind: str) -> bytes:
    """A figure as a file; the same bytes for the same figure."""
    import matplotlib

    stream = io.BytesIO()
    # Text stays text: small, and it can be searched. Neither dates nor random identifiers.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "edgeq"}):
        figure.savefig(stream, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return stream.getvalue()


def canvas(rows: int, title: str) -> tuple[Any, Any]:
    """An empty figure with one row per layer; no window system is asked for anything."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 1.4 + 0.28 * max(3, rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _rows(axes: Any, layers: Sequence[LayerError]) -> None:
    axes.set_yticks(range(len(layers)), [_name(layer) for layer in layers], fontsize=7)
    axes.set_ylim(len(layers) - 0.4, -0.6)


def _name(layer: LayerError) -> str:
    return layer.label if len(layer.label) <= 46 else layer.label[:45] + "…"


def _sqnr(a: Analysis) -> Any:
    figure, axes = canvas(len(a.layers), "SQNR of each layer's output, dB: longer is better")
    for offset, color, key, told in (
        (-0.27, _BLUE, "own_sqnr_db", "its own error"),
        (0.0, _GREY, "total_sqnr_db", "with what it inherits"),
        (0.27, _ORANGE, "alone_sqnr_db", "network's output, this layer alone"),
    ):
        values = [getattr(layer, key) for layer in a.layers]
        lengths = [0.0 if v is None else min(_HIGHEST_DB, max(0.0, v)) for v in values]
        axes.barh(np.arange(len(lengths)) + offset, lengths, 0.25, color=color, label=told)
    _rows(axes, a.layers)
    axes.set_xlabel("dB")
    figure.legend(fontsize=7, ncols=3, loc="outside lower right", frameon=False)
    return figure


def _ranges(a: Analysis) -> Any:
    layers = [layer for layer in a.layers if layer.activation is not None]
    figure, axes = canvas(len(layers), "What of each activation's range is used (0 to 1 is what its integers hold)")
    for row, layer in enumerate(layers):
        r = layer.activation
        assert r is not None
        width = r.held_high - r.held_low
        places = [(v - r.held_low) / width for v in (r.low, r.inner_low, r.inner_high, r.high)]
        low, inner_low, inner_high, high = (min(2.0, max(-1.0, p)) for p in places)
        axes.barh(row, 1.0, 0.7, color=_GREY, alpha=0.5)
        axes.barh(row, high - low, 0.4, left=low, color=_RED if r.clipped > 0.001 else _BLUE, alpha=0.5)
        axes.barh(row, inner_high - inner_low, 0.4, left=inner_low, color=_RED if r.clipped > 0.001 else _BLUE)
    _rows(axes, layers)
    axes.axvline(0.0, color="black", lw=0.6)
    axes.axvline(1.0, color="black", lw=0.6)
    axes.set_xlabel("dark: all but 0.1 % on each side; light: all; red: clipped")
    return figure


def _channels(a: Analysis) -> Any:
    layers = [layer for layer in a.layers if _widths(layer)]
    figure, axes = canvas(len(layers), "Widths of channels against their median")
    for row, layer in enumerate(layers):
        for offset, color, widths in zip((-0.15, 0.15), (_BLUE, _ORANGE), _widths(layer), strict=False):
            alive = widths[widths > 0]
            axes.plot(alive / np.median(alive), np.full(alive.size, row + offset), "|", color=color, ms=6, mew=1.0)
    axes.set_xscale("log")
    axes.axvline(1.0, color="black", lw=0.6)
    _rows(axes, layers)
    axes.set_xlabel("blue: activations, greatest magnitude over the samples; orange: weights (logarithmic)")
    return figure


def _widths(layer: LayerError) -> list[Any]:
    """Of activations and weights, where there are several channels and they aren't all zero."""
    found = [] if layer.activation is None else [layer.activation.channel_widths]
    found += [] if layer.weights is None else [layer.weights.widths]
    return [widths for widths in found if len(widths) > 1 and (widths > 0).any()]


def _causes(a: Analysis) -> Any:
    causes = [cause for cause in a.causes if cause.share > 0][:15]
    figure, axes = canvas(len(causes), "Causes, by their share of the loss")
    colors = [_RED if cause.repairable else _GREY for cause in causes]
    axes.barh(range(len(causes)), [100 * cause.share for cause in causes], 0.6, color=colors)
    axes.set_yticks(range(len(causes)), [f"{c.kind}: {c.label}"[:60] for c in causes], fontsize=7)
    axes.set_ylim(max(len(causes), 1) - 0.4, -0.6)
    axes.set_xlabel("%; red: can be repaired, grey: rounding")
    return figure


_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}
h1{font-size:1.3em}h2{font-size:1.05em;margin-top:1.8em}svg{max-width:100%;height:auto}
table{border-collapse:collapse;font-size:13px}td,th{padding:.2em .7em;text-align:right;border-bottom:1px solid #e4e6ea}
td:nth-child(2),th:nth-child(2),td:last-child,th:last-child{text-align:left}
li{margin:.5em 0}.share{font-weight:600}.remedy{color:#555}.repairable .share{color:#c0392b}
"""


def _page(a: Analysis, pictures: Mapping[str, str]) -> str:
    told = [
        f"<p>{escape(a.model_path or 'the model')} beside {escape(a.float_path or 'its float model')}, "
        f"{a.samples} of {a.available} samples of {escape(a.data)}, computed by {escape(a.reference)}. "
        + " ".join(f"{escape(n)}: {decibels(v)} dB." for n, v in a.output_sqnr_db.items())
        + ("" if a.agreement is None else f" Same first choice as float: {a.agreement:.1%}.")
        + "</p>",
        "<h2>Causes</h2><ol>",
    ]
    for cause in a.causes[:15]:
        option = f" <code>{escape(cause.option)}</code>" if cause.option else ""
        kind = " class='repairable'" if cause.repairable else ""
        told.append(
            f"<li{kind}><span class='share'>{cause.share:.1%}</span> {escape(cause.text)}"
            f"<br><span class='remedy'>{escape(cause.remedy)}{option}</span></li>"
        )
    told.append("</ol>")
    for name, title in (("causes", "Shares"), ("sqnr", "Errors"), ("ranges", "Ranges"), ("channels", "Channels")):
        picture = pictures[name]
        told.append(f"<h2>{title}</h2>{picture[picture.index('<svg') :]}")
    told.append("<h2>Layers</h2><table><tr><th>#<th>layer<th>own dB<th>total dB<th>alone dB<th>clipped<th>mostly</tr>")
    told += [_table_row(layer) for layer in a.layers]
    told.append("</table>")
    told += [f"<p>Note: {escape(text)}</p>" for text in a.notices]
    head = f"<meta charset='utf-8'><title>{escape(headline(a))}</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang='en'>{head}<h1>{escape(headline(a))}</h1>{''.join(told)}</html>\n"


def _table_row(layer: LayerError) -> str:
    most = max(layer.shares.items(), key=lambda item: item[1]) if any(layer.shares.values()) else None
    clipped = layer.activation.clipped if layer.activation is not None else math.nan
    cells = [
        "" if layer.op < 0 else str(layer.op),
        layer.label,
        decibels(layer.own_sqnr_db),
        decibels(layer.total_sqnr_db),
        decibels(layer.alone_sqnr_db),
        f"{clipped:.2%}" if clipped > 0 else "",
        "" if most is None else f"{most[0]} {most[1]:.0%}",
    ]
    return "<tr>" + "".join(f"<td>{escape(cell)}" for cell in cells) + "</tr>"
