"""Power traces as files: `.npz`, `.csv`, and pictures with the windows marked."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from edgeq import registry
from edgeq.errors import UsageError
from edgeq.files import write_whole
from edgeq.measure.energy.measurement import MeteredEnergy

PICTURES = (".png", ".svg")
# A picture is a few thousand pixels wide: of longer traces each point is a block's mean.
_POINTS = 4000


def require_format(path: Path) -> None:
    """Refuse, before anything is measured, a name that can't be written.

    Raises:
        UsageError: an unknown suffix.
        MissingDependencyError: a picture without matplotlib.
    """
    if path.suffix not in (".npz", ".csv", *PICTURES):
        raise UsageError(
            f"a power trace is not written as '{path.suffix}'",
            where=str(path),
            next_step=f"choose one of: .npz, .csv, {', '.join(PICTURES)}",
        )
    if path.suffix in PICTURES:
        registry.require(registry.PLOTTING, "a picture of the trace")


def save(energy: MeteredEnergy, path: Path) -> None:
    """Write all windows' traces; the suffix says how.

    `.npz` holds, for window number N: power_w_N (watts), span_N (first sample of the window, one after its last), and
    rate_hz. `.csv` has a line a sample: window, seconds, watts, whether inferences ran.
    """
    require_format(path)
    if path.suffix == ".npz":
        write_whole(path, _npz(energy))
    elif path.suffix == ".csv":
        write_whole(path, _csv(energy))
    else:
        write_whole(path, _picture(energy, path.suffix[1:]))


def _npz(energy: MeteredEnergy) -> bytes:
    arrays: dict[str, object] = {"rate_hz": energy.traces[0].rate_hz}
    for number, (trace, span) in enumerate(zip(energy.traces, energy.spans, strict=True)):
        arrays[f"power_w_{number}"] = trace.power_w.astype(np.float32)
        arrays[f"span_{number}"] = np.array(span)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def _csv(energy: MeteredEnergy) -> str:
    lines = ["window,seconds,watts,inferring"]
    for number, (trace, (start, end)) in enumerate(zip(energy.traces, energy.spans, strict=True)):
        lines += [
            f"{number},{second:.6f},{power:.9g},{int(start <= i < end)}"
            for i, (second, power) in enumerate(zip(trace.seconds, trace.power_w, strict=True))
        ]
    return "\n".join(lines) + "\n"


def _picture(energy: MeteredEnergy, kind: str) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 2.2 * len(energy.traces)), layout="constrained")
    axes = figure.subplots(len(energy.traces), 1, squeeze=False)[:, 0]
    for number, (axis, trace, (start, end)) in enumerate(zip(axes, energy.traces, energy.spans, strict=True)):
        block = max(1, len(trace.power_w) // _POINTS)
        count = len(trace.power_w) // block
        milliwatts = trace.power_w[: count * block].reshape(count, block).mean(axis=1) * 1000
        axis.plot(np.arange(count) * block / trace.rate_hz, milliwatts, linewidth=0.6)
        axis.axvspan(start / trace.rate_hz, end / trace.rate_hz, alpha=0.15)
        axis.set_ylabel("mW")
        axis.set_title(f"window {number}: {energy.uj[number]:,.1f} µJ per inference ({energy.provenance})", fontsize=9)
    axes[-1].set_xlabel("s")
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, dpi=120)
    return stream.getvalue()
