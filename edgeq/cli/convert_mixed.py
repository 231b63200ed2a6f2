"""edgeq convert --mixed"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from edgeq.cli import context
from edgeq.target import Target

F = TypeVar("F", bound=Callable[..., Any])


class Share(click.ParamType[float]):
    """0.5% or 0.005."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """A share from 0 to 1."""
        text = str(value).strip()
        try:
            found = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            found = -1.0
        if not 0 <= found < 1:
            self.fail(f"'{value}' is no share; write 0.5% or 0.005", param, ctx)
        return found


@dataclass(frozen=True)
class Wanted:
    """What the options ask for.

    Attributes:
        data, labels, samples, seed, io, calibration, repair, signature: as of `edgeq convert`.
    """

    model: Path
    target: Target
    output: Path
    data: Any
    labels: str | None
    io: str | None
    calibration: str
    repair: str
    samples: int | None
    seed: int
    signature: str
    max_drop: float | None
    max_latency: float | None
    max_flash: int | None
    pareto: Path | None


def options(command: F) -> F:
    """--mixed, --max-drop, --max-latency, --max-flash, --pareto."""
    for option in (
        click.option(
            "--pareto",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="With --mixed: draw the front, .svg or .png.",
        ),
        click.option(
            "--max-flash", type=context.Size(), metavar="BYTES", help="With --mixed: of the whole firmware (96K)."
        ),
        click.option("--max-latency", type=float, metavar="MS", help="With --mixed: of an inference."),
        click.option(
            "--max-drop", type=Share(), metavar="SHARE", help="With --mixed: of accuracy against float (0.5%)."
        ),
        click.option(
            "--mixed", is_flag=True, help="4, 8 or 16 bits for each layer, as a bound wants; see the next four."
        ),
    ):
        command = option(command)
    return command


def refuse_stray(**given: object) -> None:
    """Bounds mean nothing without --mixed.

    Raises:
        UsageError: one is given.
    """
    from edgeq.errors import UsageError

    stray = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if stray:
        raise UsageError(f"{stray[0]} is for mixed precision", next_step="add --mixed")


def run(wanted: Wanted, shown: context.Output) -> int:
    """Convert, write, tell."""
    from edgeq import pipeline
    from edgeq.errors import UsageError
    from edgeq.files import require_writable, write_whole
    from edgeq.report.fit import fit_text, headline
    from edgeq.report.mixed import mixed_text, pareto_picture

    if wanted.data is None:
        raise UsageError("mixed precision needs data", next_step="--representative-data calib.npz, with labels if any")
    for path in (wanted.output, wanted.pareto):
        if path is not None:
            require_writable(path)
    with shown.teller() as listener:
        made = pipeline.convert_mixed(
            wanted.model,
            wanted.target,
            representative_data=wanted.data,
            max_drop=wanted.max_drop,
            max_latency_ms=wanted.max_latency,
            max_flash_bytes=wanted.max_flash,
            labels=wanted.labels,
            io=wanted.io,  # type: ignore[arg-type]  # click.Choice holds exactly EndType's values
            calibration=wanted.calibration,
            repair=wanted.repair,
            samples=wanted.samples,
            seed=wanted.seed,
            signature=wanted.signature,
            cache=context.cache_folder(),
            listener=listener,
        )
    write_whole(wanted.output, made.tflite)
    if wanted.pareto is not None:
        write_whole(wanted.pareto, pareto_picture(made.report, wanted.pareto))
    fit = pipeline.check(pipeline.Model(made.tflite, made.graph, str(wanted.output)), wanted.target)

    def text(width: int, color: bool) -> str:
        judged = f"{headline(fit)}\n" if fit.fits else fit_text(fit, width=width, color=color)
        return f"{mixed_text(made.report, str(wanted.output), width=width, color=color)}\n{judged}"

    shown.show(text, lambda: {"output": str(wanted.output), "mixed": made.report.to_json(), "check": fit.to_json()})
    return 0 if fit.fits else 1
