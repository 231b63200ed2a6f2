"""edgeq profile"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from edgeq.cli import context
from edgeq.errors import UsageError
from edgeq.target import Target


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
@context.computer_options
@context.meter_options
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
    **more: Any,
) -> int:
    """Run MODEL (.tflite) on a device: outputs compared byte for byte, latency per layer, memory, energy.

    The device's own model hash is compared first. Exits with 1 when outputs differ. Of Linux computers (--host) and
    phones (--serial) the conditions are told too: governor, temperature, throttling, battery.

    \b
    Examples:
      edgeq profile model.tflite --target nucleo-l4r5zi --sim
      edgeq profile model.tflite --target nucleo-l4r5zi --port /dev/ttyACM0 --data test.npz --samples 50
      edgeq profile model_nested.tflite --target nucleo-l4r5zi --sim --precision all
      edgeq profile model.tflite --target raspberry-pi-4b --host pi@raspberrypi.local --engine litert-xnnpack
      edgeq profile model.tflite --target pixel-8 --serial 3A1FDJH --cpus big
      edgeq profile model.tflite --target nrf52840dk --port auto --meter ppk2 --supply 3.0 --save-power power.npz
    """
    from edgeq import pipeline
    from edgeq.files import require_writable
    from edgeq.pipeline.nested import profile_precisions
    from edgeq.report.nested import precisions_text
    from edgeq.report.profile import profile_text

    if output is not None:
        require_writable(output)
    out = context.output("profile", as_json, quiet)
    board = context.load_target(target)
    metering = {name: more.pop(name) for name in context.METERING}
    if board.kind != "microcontroller":
        _refuse(
            board,
            port=bool(port),
            sim=sim,
            wait_states=wait_states is not None,
            firmware=firmware is not None,
            precision=bool(precision),
        )
        return _on_computers(
            out, model, board, {**more, "meter": metering["meter"]}, (data, samples, runs, seed), output
        )
    context.refuse_computer_options(more, board)
    plan = context.metering(metering)
    with out.teller() as listener:
        call: Any = partial(
            pipeline.profile if precision != "all" else profile_precisions,
            model,
            board,
            port=context.port_called(port),
            sim=sim,
            hardware=hardware,
            wait_states=wait_states,
            firmware=firmware,
            data=data,
            samples=samples,
            runs=runs,
            seed=seed,
            meter=plan,
            cache=context.cache_folder(),
            trace=(lambda way, line: click.echo(f"{way} {line}", err=True)) if trace else None,
            listener=(lambda event: None) if trace else listener,
        )
        several = call() if precision == "all" else (call(precision=int(precision or 0)),)
    first = several[0]
    if plan is not None:
        from edgeq.measure.energy.files import save

        for path in metering["traces"]:
            for m in several:
                save(m.metered, path if len(several) == 1 else path.with_stem(f"{path.stem}_{m.precision}bit"))
    if precision == "all":
        out.show(
            lambda width, color: precisions_text(several, width=width, color=color),
            lambda: {"target": first.target, "precisions": [m.to_json() for m in several]},
            output,
        )
    else:
        out.show(lambda width, color: profile_text(first, width=width, color=color), first.to_json, output)
    return 0 if all(m.validation.passed for m in several) else 1


def _refuse(board: Target, **given: bool) -> None:
    """Options of microcontrollers mean nothing on a computer or phone."""
    wrong = [f"--{name.replace('_', '-')}" for name, is_given in given.items() if is_given]
    if wrong:
        way = "--host user@address" if board.kind == "linux" else "--serial NUMBER (see `adb devices`)"
        raise UsageError(f"{', '.join(wrong)} is for microcontrollers", where=board.name, next_step=f"give {way}")


def _on_computers(
    out: context.Output,
    model: Path,
    board: Target,
    options: Mapping[str, Any],
    wanted: tuple[str, int, int, int],
    output: Path | None,
) -> int:
    """On one computer or phone, or several at once."""
    from concurrent.futures import ThreadPoolExecutor

    from edgeq import pipeline
    from edgeq.pipeline.computers import profile_computer
    from edgeq.report.computer import computer_text

    data, samples, runs, seed = wanted
    read = pipeline.read_model(model)
    requests = context.computer_requests(options, board, runs, options["meter"])
    with out.teller() as listener, ThreadPoolExecutor(len(requests)) as pool:
        futures = [
            pool.submit(
                profile_computer,
                read,
                board,
                request,
                data=data,
                samples=samples,
                seed=seed,
                listener=listener,
            )
            for request in requests
        ]
        measured = [future.result() for future in futures]

    def body() -> Mapping[str, object]:
        return measured[0].to_json() if len(measured) == 1 else {"measurements": [m.to_json() for m in measured]}

    out.show(lambda width, color: "\n".join(computer_text(m, width=width, color=color) for m in measured), body, output)
    return 0 if all(m.passed for m in measured) else 1
