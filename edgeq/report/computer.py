"""A ComputerMeasurement as text."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from edgeq.measure.computer.conditions import Conditions
from edgeq.measure.computer.measurement import ComputerMeasurement, OperatorTime
from edgeq.report.render import facts, listing, notices, short_name, to_text, verdict
from edgeq.units import Provenance, format_bytes, format_duration_ms

_PERCENTILES = (90, 95, 99)


def computer_text(m: ComputerMeasurement, *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq profile` for a computer or phone."""
    heading = f"{m.model_path or 'the model'} on {m.target} with {m.engine}: {_verdict(m)}"
    parts: list[RenderableType] = [
        verdict(m.passed, heading),
        Text(""),
        facts([*_heading(m), *_latency(m), *_memory(m), *_energy(m), *_conditions(m)]),
    ]
    if m.operators:
        parts += [Text(""), Text("operators, median of single runs (measured)", "bold"), _operators(m, width)]
    parts += notices(m.notices)
    return to_text(*parts, width=width, color=color)


def _verdict(m: ComputerMeasurement) -> str:
    v = m.validation
    if v is None:
        what = "outputs not compared"
    elif v.passed:
        what = "bit-exact"
    else:
        what = "OUTPUTS DIFFER" if m.exact else f"outputs within {v.max_abs_diff:g} of the reference"
    time = f", {format_duration_ms(m.latency.percentile_ms(50))} per inference (measured)" if m.latency else ""
    return what + time


def _heading(m: ComputerMeasurement) -> list[tuple[str, RenderableType, Provenance | None]]:
    before = m.before
    threads = f"{m.threads} thread{'s' if m.threads > 1 else ''}"
    rows: list[tuple[str, RenderableType, Provenance | None]] = [
        ("device", f"{m.device} at {m.host}: {before.os}, {before.kernel}, {before.machine}", None),
        ("ran with", f"{threads} on {'all cores' if m.cpus == 'all' else f'cores {m.cpus}'}", None),
    ]
    v = m.validation
    if v is not None:
        told = (
            f"{v.samples} samples ({v.inputs}), {v.elements:,} output elements equal to {v.reference}"
            if v.passed
            else f"{v.differing:,} of {v.elements:,} output elements differ from {v.reference}, by up to "
            f"{v.max_abs_diff:g}; {v.samples} samples ({v.inputs}); first: {v.first_difference}"
        )
        rows.append(("validation", told, None))
    return rows


def _latency(m: ComputerMeasurement) -> list[tuple[str, RenderableType, Provenance | None]]:
    if m.latency is None:
        return []
    at = m.latency.percentile_ms
    ends = f"{format_duration_ms(at(0))} min, {format_duration_ms(at(100))} max"
    tail = ", ".join(f"{format_duration_ms(at(p))} p{p}" for p in _PERCENTILES)
    return [
        (
            "latency",
            f"{format_duration_ms(at(50))} median ({ends}; {tail}) over {m.latency.inferences:,} inferences",
            "measured",
        )
    ]


def _memory(m: ComputerMeasurement) -> list[tuple[str, RenderableType, Provenance | None]]:
    rows: list[tuple[str, RenderableType, Provenance | None]] = []
    if m.peak_rss_bytes is not None:
        rows.append(("peak RSS", format_bytes(m.peak_rss_bytes), "measured"))
    if m.arena_bytes is not None:
        rows.append(("arena", format_bytes(m.arena_bytes), None))
    if m.program_bytes is not None:
        weights = f", weights {format_bytes(m.weights_bytes)}" if m.weights_bytes is not None else ""
        rows.append(("program", f"{format_bytes(m.program_bytes)} in one static file{weights}", None))
    return rows


def _energy(m: ComputerMeasurement) -> list[tuple[str, RenderableType, Provenance | None]]:
    e = m.energy
    if e is None:
        return []
    above = f", {e.above_idle_uj:,.1f} above idle" if e.above_idle_uj is not None else ""
    told = (
        f"{e.uj_per_inference:,.1f} µJ ± {e.uncertainty_uj:,.1f} (95 %) per inference{above}: "
        f"{e.mean_mw:,.0f} mW over {e.samples} readings; {e.source}"
    )
    return [("energy", told, e.provenance)]


def _conditions(m: ComputerMeasurement) -> list[tuple[str, RenderableType, Provenance | None]]:
    told = [part for part in (_clock(m.before), _heat(m.before, m.after), m.before.battery) if part]
    return [("conditions", "; ".join(told), None)] if told else []


def _clock(c: Conditions) -> str:
    fastest = max((cpu.max_hz for cpu in c.cpus), default=0)
    cores = f"{len(c.cpus)} cores" + (f" up to {fastest / 1e6:,.0f} MHz" if fastest else "")
    return cores + (f", governor {', '.join(c.governors)}" if c.governors else "")


def _heat(before: Conditions, after: Conditions) -> str:
    if before.hottest_c is None or after.hottest_c is None:
        return ""
    return f"{before.hottest_c:.0f} °C before, {after.hottest_c:.0f} °C after"


def _operators(m: ComputerMeasurement, width: int) -> RenderableType:
    total = sum(o.ns for o in m.operators) or 1
    columns = [
        ("#", True),
        ("op", False),
        ("name", False),
        ("MACs", True),
        ("time", True),
        ("%", True),
        ("kernel", False),
    ]
    rows = [_row(o, total) for o in m.operators]
    return listing(columns, rows, elastic=("name",) if width >= 110 else ("name", "kernel"))


def _row(o: OperatorTime, total: int) -> list[RenderableType]:
    return [
        str(o.index),
        o.op,
        short_name(o.name),
        f"{o.macs:,}" if o.macs else "",
        format_duration_ms(o.ns / 1e6),
        f"{100 * o.ns / total:.1f}",
        o.kernel,
    ]
