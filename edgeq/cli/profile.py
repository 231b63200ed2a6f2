"""edgeq profile"""

from __future__ import annotations

from pathlib import Path

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
    """
    from edgeq import pipeline
    from edgeq.files import require_writable
    from edgeq.report.profile import profile_text

    if output is not None:
        require_writable(output)
    out = context.output("profile", as_json, quiet)
    with out.teller() as listener:
        measured = pipeline.profile(
            model,
            context.load_target(target),
            port=port,
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
    out.show(lambda width, color: profile_text(measured, width=width, color=color), measured.to_json, output)
    return 0 if measured.validation.passed else 1
