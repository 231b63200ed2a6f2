"""edgeq profile"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from edgeq.cli import context


@click.command("profile")
@context.model_argument
@context.target_option
@click.option("--port", default="", metavar="PORT", help="/dev/ttyACM0, socket://host:port, …, or auto.")
@click.option("--sim", is_flag=True, help="Build it and start a virtual board.")
@click.option(
    "--firmware",
    type=click.Path(path_type=Path),
    help="The folder of the build that is on the device, for its sizes.",
)
@context.hardware_option
@click.option(
    "--wait-states",
    type=click.IntRange(0, 15),
    help="With --sim: of the flash, instead of the chip's at its clock; 0 is ideal memory.",
)
@click.option(
    "--precision",
    type=click.Choice(["8", "4", "2", "all"]),
    help="Of a nested model: bits of the weights, or all in one table  [default: 8]",
)
@context.sample_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the JSON report to this file too.")
@click.option("--trace", is_flag=True, help="Show what goes over the wire on stderr.")
@context.common
def command(
    model: Path,
    target: str,
    port: str,
    sim: bool,
    firmware: Path | None,
    hardware: bool | None,
    wait_states: int | None,
    precision: str | None,
    data: str,
    samples: int,
    runs: int,
    seed: int,
    output: Path | None,
    trace: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run MODEL (.tflite) on a device: outputs compared byte for byte, latency per layer, memory, energy.

    The device's own model hash is compared first. Exits with 1 when outputs differ.

    \b
    Examples:
      edgeq profile model.tflite --target nucleo-l4r5zi --sim
      edgeq profile model.tflite --target nucleo-l4r5zi --port /dev/ttyACM0 --data test.npz --samples 50
      edgeq profile model_nested.tflite --target nucleo-l4r5zi --sim --precision all
    """
    from edgeq import pipeline
    from edgeq.files import require_writable
    from edgeq.pipeline.nested import profile_precisions
    from edgeq.report.nested import precisions_text
    from edgeq.report.profile import profile_text

    if output is not None:
        require_writable(output)
    out = context.output("profile", as_json, quiet)
    with out.teller() as listener:
        call: Any = partial(
            pipeline.profile if precision != "all" else profile_precisions,
            model,
            context.load_target(target),
            port=context.port_called(port),
            sim=sim,
            hardware=hardware,
            wait_states=wait_states,
            firmware=firmware,
            data=data,
            samples=samples,
            runs=runs,
            seed=seed,
            cache=context.cache_folder(),
            trace=(lambda way, line: click.echo(f"{way} {line}", err=True)) if trace else None,
            listener=(lambda event: None) if trace else listener,
        )
        several = call() if precision == "all" else (call(precision=int(precision or 0)),)
    first = several[0]
    if precision == "all":
        out.show(
            lambda width, color: precisions_text(several, width=width, color=color),
            lambda: {"target": first.target, "precisions": [m.to_json() for m in several]},
            output,
        )
    else:
        out.show(lambda width, color: profile_text(first, width=width, color=color), first.to_json, output)
    return 0 if all(m.validation.passed for m in several) else 1
