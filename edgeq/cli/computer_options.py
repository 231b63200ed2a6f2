"""Options of `profile` for Linux computers and phones, and what they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeq.cli.context import F
from edgeq.errors import UsageError
from edgeq.target import Target

if TYPE_CHECKING:
    from edgeq.measure.computer import Request


def options(command: F) -> F:
    """Options of Linux computers and phones: --host, --serial, --engine and what these take."""
    for option in (
        click.option(
            "--python", default="", metavar="PATH", help="Of litert: an interpreter there that has it already."
        ),
        click.option(
            "--wheels",
            type=click.Path(path_type=Path),
            help="Of litert: a folder of wheels, for a device without internet.",
        ),
        click.option(
            "--delegate",
            type=click.Choice(["none", "xnnpack", "gpu", "nnapi"]),
            default="none",
            help="Of benchmark-model.",
        ),
        click.option(
            "--benchmark-model",
            "tool",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="TensorFlow Lite's benchmark_model for the device; takes --engine benchmark-model.",
        ),
        click.option(
            "--seconds", type=click.IntRange(min=0), default=0, help="Time for so long at least  [default: 2]"
        ),
        click.option("--cpus", default="all", help="all, big, little, or numbers such as 0-3."),
        click.option("--threads", type=click.IntRange(min=1), default=1, help="Of litert and benchmark-model."),
        click.option(
            "--engine",
            default="",
            metavar="NAME",
            help="On a computer or phone: edgeq, litert-xnnpack, litert, tflite-runtime-2.14, benchmark-model.",
        ),
        click.option(
            "--serial", multiple=True, metavar="NUMBER", help="A phone, by adb; several times for several phones."
        ),
        click.option("--host", multiple=True, metavar="[USER@]NAME[:PORT]", help="A Linux computer, by SSH."),
    ):
        command = option(command)
    return command


_COMPUTER_DEFAULTS: Mapping[str, object] = {"cpus": "all", "threads": 1, "delegate": "none"}


def refuse(chosen: Mapping[str, Any], board: Target) -> None:
    """Raise UsageError for an option of computers and phones on a microcontroller."""
    given = [name for name, value in chosen.items() if value and value != _COMPUTER_DEFAULTS.get(name)]
    if given:
        names = ", ".join("--benchmark-model" if name == "tool" else f"--{name}" for name in given)
        raise UsageError(
            f"{names} is for Linux computers and phones", where=board.name, next_step="give --port PORT, or --sim"
        )


def requests(chosen: Mapping[str, Any], board: Target, runs: int, meter: str, cache: Path | None) -> list[Request]:
    """One request for each --host or --serial.

    Args:
        cache: see `cache_folder`.

    Raises:
        UsageError: neither, or the wrong one for the target.
    """
    from edgeq.kernels import Objective
    from edgeq.measure.computer import Request

    linux = board.kind == "linux"
    addresses, others = (chosen["host"], chosen["serial"]) if linux else (chosen["serial"], chosen["host"])
    way = "--host user@address" if linux else "--serial NUMBER (see `adb devices`)"
    if others or (linux and not addresses):
        raise UsageError(f"{board.board.title} is reached with {way}", where=board.name, next_step=f"give {way}")
    engine = chosen["engine"] or ("benchmark-model" if chosen["tool"] else "edgeq")
    optimize = chosen.get("optimize") or ""
    if optimize and engine != "edgeq":
        raise UsageError(f"--optimize is of edgeq's own engine, not of {engine}", next_step="leave one of them out")
    return [
        Request(
            "ssh" if linux else "adb",
            address,
            engine=engine,
            threads=chosen["threads"],
            cpus=chosen["cpus"],
            meter=meter,
            runs=runs,
            seconds=chosen["seconds"],
            cache=cache,
            tool=chosen["tool"],
            delegate=chosen["delegate"],
            wheels=chosen["wheels"],
            python=chosen["python"],
            objective=Objective.named(optimize or "balanced"),
        )
        for address in (addresses or ("",))
    ]
