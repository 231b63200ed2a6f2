"""Models with several precisions as text: how right each is, and what each costs on a device."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from edgeq.measure.measurement import Measurement
from edgeq.quantize.nested import NestedModel
from edgeq.quantize.products import Evaluation
from edgeq.report.render import facts, listing, notices, provenance, to_text, verdict
from edgeq.units import format_bytes, format_duration_ms


def nested_text(model: NestedModel, output: str, *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq convert --nested`. Figures are computed on this computer by the reference kernels."""
    report, first = model.report, model.evaluations[8]
    method = report.chosen.calibration
    bits = ", ".join(map(str, model.evaluations))
    which = "held back from calibration" if first.held_back else "ALSO used for calibration"
    rows: list[tuple[str, RenderableType, None]] = [
        ("size", f"{format_bytes(report.float_bytes)} float → {format_bytes(report.quantized_bytes)}", None),
        (
            "calibration",
            f"{method} over {report.calibration_samples} samples, seed {report.seed}",
            None,
        ),
        ("evaluated on", f"{first.samples} samples {which}, with {first.reference}", None),
        ("layers", f"{len(model.layers)} have {bits} bits, the others 8: {'; '.join(model.layers)}", None),
        ("time", ", ".join(f"{stage} {s:.1f} s" for stage, s in report.seconds.items()), None),
    ]
    columns = [("bits", True), ("accuracy", True), ("float", True), ("agreement", True), ("SQNR", True)]
    return to_text(
        verdict(True, f"{output}: one file, {bits} bits"),
        Text(""),
        facts(rows),
        Text(""),
        listing(columns, [_row(b, e) for b, e in model.evaluations.items()]),
        *notices(report.notices),
        width=width,
        color=color,
    )


def _row(bits: int, e: Evaluation) -> list[RenderableType]:
    sqnr = e.outputs[0].sqnr_db
    return [
        str(bits),
        f"{e.accuracy.quantized_model:.3f}" if e.accuracy else "",
        f"{e.accuracy.float_model:.3f}" if e.accuracy else "",
        f"{e.top1_agreement:.1%}" if e.top1_agreement is not None else "",
        "" if sqnr is None else "equal" if math.isinf(sqnr) else f"{sqnr:.1f} dB",
    ]


def precisions_text(measured: Sequence[Measurement], *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq profile --precision all`."""
    first = measured[0]
    good = all(m.validation.passed for m in measured)
    names = ", ".join(str(m.precision) for m in measured)
    state = f"bit-exact at {names} bits" if good else "OUTPUTS DIFFER"
    columns = [
        ("bits", True),
        ("validation", False),
        ("latency", True),
        ("cycles", True),
        ("of 8 bits", True),
        ("energy", True),
    ]
    memory = first.memory
    sizes: list[tuple[str, RenderableType, None]] = [
        ("device", f"{first.device} at {first.port}", None),
        ("reference", first.validation.reference, None),
        ("arena", format_bytes(memory.arena_bytes), None),
    ]
    if memory.flash_bytes is not None and memory.code_bytes is not None:
        told = (
            f"{format_bytes(memory.flash_bytes)} for all: weights and biases {format_bytes(memory.weights_bytes)}, "
            f"parameters {format_bytes(memory.parameter_bytes or 0)}, code {format_bytes(memory.code_bytes)}"
        )
        sizes.append(("flash", told, None))
    return to_text(
        verdict(good, f"{first.model_path or 'the model'} on {first.target}: {state}"),
        Text(""),
        facts(sizes),
        Text(""),
        Text.assemble(("precisions, ", "bold"), provenance(first.provenance), " (energy estimated)"),
        listing(columns, [_measured(m, first) for m in measured]),
        *notices(tuple(dict.fromkeys(text for m in measured for text in m.notices))),
        width=width,
        color=color,
    )


def _measured(m: Measurement, first: Measurement) -> list[RenderableType]:
    v = m.validation
    return [
        str(m.precision),
        f"{v.samples} samples equal" if v.passed else f"{v.differing:,} of {v.elements:,} differ",
        format_duration_ms(m.median_ms),
        f"{m.median_cycles:,}",
        f"{m.median_cycles / first.median_cycles:.3f}",
        f"{m.energy.uj_per_inference:,.0f} µJ" if m.energy else "",
    ]
