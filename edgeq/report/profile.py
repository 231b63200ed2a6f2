"""A Measurement as text."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from edgeq.measure.energy.measurement import MeteredEnergy
from edgeq.measure.measurement import LayerTime, Measurement
from edgeq.report.render import facts, listing, notices, provenance, reasons, short_name, to_text, verdict
from edgeq.units import (
    Provenance,
    cycles_to_ms,
    format_bytes,
    format_cycles,
    format_duration_ms,
)


def profile_text(m: Measurement, *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq profile`."""
    parts: list[RenderableType] = [
        verdict(m.validation.passed, f"{m.model_path or 'the model'} on {m.target}: {_verdict(m)}"),
        Text(""),
        facts([*_heading(m), *_latency(m), *_memory(m), *_energy(m)]),
    ]
    if m.layers:
        parts += [Text(""), Text.assemble(("layers, ", "bold"), provenance(m.provenance)), _layers(m, width)]
        parts += reasons(m.optimize, m.choices, [(f"{t.layer.op} #{t.layer.index}", t.layer.why) for t in m.layers])
    parts += notices(m.notices)
    return to_text(*parts, width=width, color=color)


def _verdict(m: Measurement) -> str:
    v = m.validation
    what = "bit-exact" if v.bit_exact else "results agree" if v.passed else "OUTPUTS DIFFER"
    return f"{what}, {format_duration_ms(m.median_ms)} per inference ({m.provenance})"


def _heading(m: Measurement) -> list[tuple[str, RenderableType, Provenance | None]]:
    v = m.validation
    device = f"{m.device} at {m.port}"
    rows: list[tuple[str, RenderableType, Provenance | None]] = [("device", device, None)]
    if m.cycle_model:
        error = f"; {m.cycle_model.known_error}" if m.cycle_model.known_error else ""
        rows.append(("cycle model", m.cycle_model.name + error, None))
    rows.append(("model", f"sha256 {m.model_sha256[:16]}…{_verified(m)}, {m.macs:,} MACs", None))
    if v.passed:
        told = f"{v.samples} samples ({v.inputs}), {v.elements:,} output elements equal to {v.reference}"
    else:
        told = (
            f"{v.differing:,} of {v.elements:,} output elements differ from {v.reference} by up to "
            f"{v.max_abs_diff:g}; {v.samples} samples ({v.inputs}); first: {v.first_difference}"
        )
    if v.bit_exact is None:
        told += f" ({v.compared}, not bytes)"
    rows.append(("validation", told, m.provenance))
    return rows


def _verified(m: Measurement) -> str:
    return " (asked from the device)" if m.model_verified else " (NOT checked on the device)"


def _latency(m: Measurement) -> list[tuple[str, RenderableType, Provenance | None]]:
    low, high = (format_duration_ms(cycles_to_ms(c, m.clock_hz)) for c in (min(m.cycles), max(m.cycles)))
    rate = f", {m.macs / m.median_cycles:.2f} MAC/cycle" if m.macs and m.median_cycles else ""
    return [
        (
            "latency",
            f"{format_duration_ms(m.median_ms)} median ({low} min, {high} max) over {len(m.cycles)} inferences",
            m.provenance,
        ),
        ("cycles", format_cycles(m.median_cycles, m.clock_hz) + rate, m.provenance),
    ]


def _memory(m: Measurement) -> list[tuple[str, RenderableType, Provenance | None]]:
    # Sizes are exact by construction (the linker's); only the stack's use is an observation.
    u = m.memory
    rows: list[tuple[str, RenderableType, Provenance | None]] = [("arena", format_bytes(u.arena_bytes), None)]
    if u.stack_bytes is not None:
        reserved = f" of {format_bytes(u.stack_reserved_bytes)} reserved" if u.stack_reserved_bytes else ""
        rows.append(("stack", f"{format_bytes(u.stack_bytes)} used{reserved}", m.provenance))
    if u.ram_bytes is not None:
        rows.append(("RAM", f"{format_bytes(u.ram_bytes)} (arena, data and reserved stack)", None))
    if u.flash_bytes is not None and u.code_bytes is not None:
        rows.append(
            (
                "flash",
                f"{format_bytes(u.flash_bytes)}: weights {format_bytes(u.weights_bytes)}, "
                f"parameters {format_bytes(u.parameter_bytes or 0)}, code {format_bytes(u.code_bytes)}",
                None,
            )
        )
    else:
        rows.append(("weights", format_bytes(u.weights_bytes), None))
    return rows


def _energy(m: Measurement) -> list[tuple[str, RenderableType, Provenance | None]]:
    if m.metered is not None:
        return _metered(m.metered)
    if m.energy is None:
        return []
    e = m.energy
    return [
        (
            "energy",
            f"{e.uj_per_inference:,.1f} µJ per inference ({e.active_mw:g} mW × time, ±{e.tolerance_percent:g} %; "
            f"{e.source})",
            "estimated",
        )
    ]


def _metered(e: MeteredEnergy) -> list[tuple[str, RenderableType, Provenance | None]]:
    windows = f"{len(e.uj)} windows of {e.window_s:.3g} s, {e.inferences:,} inferences each"
    above = sum(e.above_idle_uj) / len(e.above_idle_uj)
    lost = f", {e.lost:,} of {e.samples:,} samples lost" if e.lost else ""
    return [
        (
            "energy",
            f"{e.uj_per_inference:,.1f} µJ ± {e.uncertainty_uj:,.2g} (95 %) per inference, {above:,.1f} above idle",
            e.provenance,
        ),
        ("power", f"{e.active_mw:,.2f} mW while inferring, {e.idle_mw:,.2f} mW idle; {windows}", e.provenance),
        ("meter", f"{e.meter}{lost}", None),
    ]


def _layers(m: Measurement, width: int) -> RenderableType:
    total = sum(t.cycles for t in m.layers) or 1
    columns = [
        ("#", True),
        ("op", False),
        ("name", False),
        ("MACs", True),
        ("cycles", True),
        ("%", True),
        ("MAC/cycle", True),
        ("kernel", False),
    ]
    return listing(
        columns, [_row(t, total) for t in m.layers], elastic=("name",) if width >= 110 else ("name", "kernel")
    )


def _row(t: LayerTime, total: int) -> list[RenderableType]:
    macs = t.layer.macs
    return [
        str(t.layer.index),
        t.layer.op,
        short_name(t.layer.name),
        f"{macs:,}" if macs else "",
        f"{t.cycles:,}",
        f"{100 * t.cycles / total:.1f}",
        f"{macs / t.cycles:.2f}" if macs and t.cycles else "",
        t.layer.kernel,
    ]
