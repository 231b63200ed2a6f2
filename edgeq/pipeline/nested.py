"""Models with several precisions: made, and measured at each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.events import Listener, silent
from edgeq.pipeline import ModelLike, TargetLike, Trace, build, load_target, profile, read_model

if TYPE_CHECKING:
    from edgeq.measure.energy import Plan
    from edgeq.measure.measurement import Measurement
    from edgeq.quantize import EndType
    from edgeq.quantize.nested import NestedModel
    from edgeq.toolchains.firmware import Firmware


def convert_nested(
    source: object,
    *,
    representative_data: Any,
    precisions: Sequence[int] = (8, 4, 2),
    ends_too: bool = False,
    io: EndType | None = None,
    target: TargetLike | None = None,
    calibration: str = "auto",
    labels: object | None = None,
    samples: int | None = None,
    seed: int = 0,
    signature: str = "",
    cache: Path | None = None,
    listener: Listener = silent,
) -> NestedModel:
    """Make an int8 `.tflite` that holds lower precisions; see `edgeq.quantize.nested.convert_nested`."""
    from edgeq.quantize import nested

    return nested.convert_nested(
        source,
        representative_data=representative_data,
        precisions=precisions,
        ends_too=ends_too,
        io=io,
        target=None if target is None else load_target(target),
        calibration=calibration,
        labels=labels,
        samples=samples,
        seed=seed,
        signature=signature,
        cache=cache,
        listener=listener,
    )


def profile_precisions(
    model: ModelLike,
    target: TargetLike,
    precisions: Sequence[int] = (),
    *,
    port: str = "",
    sim: bool = False,
    hardware: bool | None = None,
    wait_states: int | None = None,
    firmware: Firmware | Path | None = None,
    data: str | Path = "",
    samples: int = 0,
    runs: int = 0,
    seed: int = 0,
    optimize: str = "",
    meter: Plan | None = None,
    timeout_s: float = 15.0,
    cache: Path | None = None,
    trace: Trace | None = None,
    listener: Listener = silent,
) -> tuple[Measurement, ...]:
    """`profile` at several precisions of one model, with one firmware.

    Args:
        precisions: bits; all that the model has unless told.

    Raises:
        UsageError: the model has one precision, or not these; and see `profile`.
    """
    from edgeq.tflite import require_precision

    read, board = read_model(model), load_target(target)
    nested = require_precision(read.graph, 8)
    for bits in precisions:
        require_precision(read.graph, bits)
    if sim and firmware is None:
        firmware = build(read, board, optimize=optimize or "balanced", cache=cache, listener=listener)
        optimize = ""
    return tuple(
        profile(
            read,
            board,
            port=port,
            sim=sim,
            hardware=hardware,
            wait_states=wait_states,
            firmware=firmware,
            data=data,
            samples=samples,
            runs=runs,
            seed=seed,
            precision=bits,
            optimize=optimize,
            meter=meter,
            timeout_s=timeout_s,
            cache=cache,
            trace=trace,
            listener=listener,
        )
        for bits in precisions or nested.precisions
    )
