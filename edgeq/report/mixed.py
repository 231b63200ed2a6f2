"""A MixedReport as text, and its front as a picture."""

from __future__ import annotations

from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from edgeq import registry
from edgeq.errors import UsageError
from edgeq.quantize.mixed import LayerBits, MixedReport, Point
from edgeq.report.analyze_plots import canvas, saved
from edgeq.report.render import facts, listing, notices, to_text, verdict
from edgeq.units import Provenance, format_bytes, format_duration_ms

_MOST_POINTS = 12
_NAMES = {"accuracy": "loss of accuracy", "disagreement": "disagreement", "relative error": "relative error"}


def mixed_text(r: MixedReport, output: str, *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq convert --mixed`."""
    counts = {bits: sum(layer.bits == bits for layer in r.layers) for bits in ("4", "8", "16")}
    told = ", ".join(f"{count} layers with {bits}" for bits, count in counts.items() if count)
    layers = [
        ("#", True),
        ("layer", False),
        ("bits", True),
        ("flash", True),
        ("kcycles", True),
        ("noise 4 / 8 / 16", False),
    ]
    points = [
        ("bits", False),
        ("flash", True),
        ("latency", True),
        ("cost", True),
        ("predicted noise", True),
        ("drop", True),
    ]
    parts: list[RenderableType] = [
        verdict(True, f"{output}: {told} bits"),
        Text(""),
        facts(_heading(r)),
        Text(""),
        listing(layers, [_layer(layer, r) for layer in r.layers], elastic=("layer",)),
        Text(""),
        Text(f"the front between cost and error ({len(r.front)} points; those tried have a drop)", style="bold"),
        listing(points, [_point(point) for point in _shown(r)], elastic=("bits",)),
    ]
    return to_text(*parts, *notices(r.notices), width=width, color=color)


def _heading(r: MixedReport) -> list[tuple[str, RenderableType, Provenance | None]]:
    goal, chosen, eight = r.goal, r.chosen, r.eight
    bounds = []
    if goal.max_drop is not None:
        bounds.append(f"{_NAMES[r.drop_kind]} at most {goal.max_drop:.2%}")
    if goal.max_latency_ms is not None:
        bounds.append(f"latency at most {goal.max_latency_ms:g} ms")
    if goal.max_flash_bytes is not None:
        bounds.append(f"flash at most {format_bytes(goal.max_flash_bytes)}")
    word: Provenance | None = r.costs if r.costs != "assumed" else None
    rows: list[tuple[str, RenderableType, Provenance | None]] = [
        ("prepared", " + ".join((*r.repairs, r.calibration)), None),
        ("bound", ", ".join(bounds) + f", on {r.target}", None),
        (
            _NAMES[r.drop_kind],
            f"{_drop(chosen)}, 8 bits everywhere {_drop(eight)}, on {r.search_samples} samples",
            None,
        ),
        (
            "flash",
            f"{format_bytes(chosen.flash_bytes)}, 8 bits everywhere {format_bytes(eight.flash_bytes)}",
            "estimated",
        ),
    ]
    if chosen.latency_ms is not None and eight.latency_ms is not None:
        told = f"{format_duration_ms(chosen.latency_ms)}, 8 bits everywhere {format_duration_ms(eight.latency_ms)}"
        rows.append(("latency", told, word))
    else:
        told = f"{chosen.cost:.2f} of 8 bits everywhere, if 16-bit activations take twice as long (assumed)"
        rows.append(("cost", told, None))
    e = r.evaluation
    if e.accuracy is not None:
        a = e.accuracy
        told = f"accuracy {a.quantized_model:.3f}, float {a.float_model:.3f}"
    elif e.top1_agreement is not None:
        told = f"{e.top1_agreement:.1%} same first choice as float"
    else:
        told = ", ".join(f"{o.name} {o.sqnr_db:.1f} dB" for o in e.outputs if o.sqnr_db is not None)
    which = "held back from all of this" if e.held_back else "ALSO used for the choice"
    rows += [("evaluated", f"{told}, on {e.samples} samples {which}", None), ("optimality", r.optimality, None)]
    return rows


def _drop(point: Point) -> str:
    return "-" if point.drop is None else f"{point.drop:+.2%}"


def _layer(layer: LayerBits, r: MixedReport) -> list[RenderableType]:
    place = ("4", "8", "16").index(layer.bits)
    flash, cycles = layer.flash_bytes[place], layer.cycles[place]
    noise = " / ".join("-" if value is None else f"{value:.1e}" for value in layer.noise)
    return [
        str(layer.op),
        layer.label.replace(f" #{layer.op}", ""),
        layer.bits,
        "" if flash is None else f"{flash:,}",
        "" if cycles is None or r.costs == "assumed" else f"{cycles / 1000:,.1f}",
        noise,
    ]


def _shown(r: MixedReport) -> list[Point]:
    """Those tried, and some of the others between them."""
    tried = [p for p in r.front if p.drop is not None]
    others = [p for p in r.front if p.drop is None]
    step = max(1, -(-len(others) // max(1, _MOST_POINTS - len(tried))))
    return sorted([*tried, *others[::step]], key=lambda point: (point.cost, point.predicted_noise))


def _point(point: Point) -> list[RenderableType]:
    latency = "" if point.latency_ms is None else format_duration_ms(point.latency_ms)
    cells = [
        " ".join(point.bits),
        f"{point.flash_bytes:,}",
        latency,
        f"{point.cost:.3f}",
        f"{point.predicted_noise:.1e}",
    ]
    style = "bold green" if point.chosen else ""
    return [Text(cell, style=style) for cell in (*cells, "" if point.drop is None else _drop(point))]


def pareto_picture(r: MixedReport, path: Path) -> bytes:
    """The front as a picture, of the kind that the file's name says.

    Raises:
        UsageError: neither .svg nor .png.
        MissingDependencyError: matplotlib is not installed.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in ("svg", "png"):
        raise UsageError(f"'{path.name}' is neither .svg nor .png", next_step="name the picture so", where=str(path))
    registry.require(registry.PLOTTING, "drawing")
    figure, axes = canvas(12, f"Mixed precision on {r.target}: cost against predicted error")
    axes.plot([p.cost for p in r.front], [p.predicted_noise for p in r.front], ".", color="#c9cdd3", label="predicted")
    tried = [p for p in r.front if p.drop is not None]
    axes.plot(
        [p.cost for p in tried], [p.predicted_noise for p in tried], "o", color="#3b6fb6", label="converted and run"
    )
    for point in tried:
        axes.annotate(_drop(point), (point.cost, point.predicted_noise), (4, 4), textcoords="offset points", fontsize=7)
    axes.plot([r.chosen.cost], [r.chosen.predicted_noise], "*", color="#c0392b", ms=14, label="chosen")
    axes.plot([r.eight.cost], [r.eight.predicted_noise], "s", color="black", ms=5, label="8 bits everywhere")
    axes.set_yscale("log")
    axes.set_xlabel(f"flash and latency in equal parts, 8 bits everywhere = 1 (cycles {r.costs})")
    axes.set_ylabel("error over signal at the output")
    axes.legend(fontsize=7, frameon=False)
    return saved(figure, kind)
