"""edgeq deploy"""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli import bench, context


@click.command("deploy")
@context.model_argument
@context.target_option
@click.option("--sim", is_flag=True, help="Onto a virtual board.")
@click.option("--port", default="", metavar="PORT", help="The board's console  [default: found by its USB id]")
@context.hardware_option
@context.reserve_options
@context.flash_options
@context.device_option
@bench.wait_option
@context.sample_options
@context.optimize_option()
@click.option("--toolchain", default="auto", show_default=True, help="zig, gcc, or auto.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the JSON report to this file too.")
@click.option("--build", "folder", type=click.Path(path_type=Path), help="Keep sources and firmware in this folder.")
@context.common
def command(
    model: Path,
    target: str,
    sim: bool,
    port: str,
    hardware: bool | None,
    reserve_ram: int,
    reserve_flash: int,
    runner: str,
    device: str,
    wait_s: float,
    pack: Path | None,
    allow_erase: bool,
    data: str,
    samples: int,
    runs: int,
    seed: int,
    optimize: str,
    toolchain: str,
    output: Path | None,
    folder: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Take MODEL (.tflite) to a board: check, build, flash and profile.

    Exits with 1 when it doesn't fit, with the report of `edgeq check`, or when outputs differ.

    \b
    Examples:
      edgeq deploy model.tflite --target nucleo-l4r5zi --sim
      edgeq deploy model.tflite --target nucleo-l4r5zi --port auto -o report.json
    """
    from edgeq import pipeline
    from edgeq.check import DoesNotFit
    from edgeq.files import require_writable
    from edgeq.report.build import build_json, build_text
    from edgeq.report.fit import fit_text
    from edgeq.report.flash import flash_text
    from edgeq.report.profile import profile_text
    from edgeq.runners.contract import FlashOptions
    from edgeq.runners.locks import key_of_usb

    if output is not None:
        require_writable(output)
    out = context.output("deploy", as_json, quiet)
    board = context.load_target(target)
    console, wanted = context.port_called(port), context.device_called(device)
    try:
        with out.teller() as listener, bench.claims(wait_s, listener, console) as claim:
            if wanted:  # known before it is built for
                claim([key_of_usb(wanted)])
            done = pipeline.deploy(
                model,
                board,
                sim=sim,
                port=console,
                hardware=hardware,
                reserve_ram_bytes=reserve_ram,
                reserve_flash_bytes=reserve_flash,
                toolchain=toolchain,
                optimize=optimize,
                runner=runner,
                device=wanted,
                options=FlashOptions(pack=pack, allow_erase=allow_erase),
                data=data,
                samples=samples,
                runs=runs,
                seed=seed,
                output=folder,
                cache=context.cache_folder(),
                claim=claim,
                listener=listener,
            )
    except DoesNotFit as refused:
        if not as_json:  # whose one object, the error, holds the report
            click.echo(fit_text(refused.report, width=out.width, color=out.color), nl=False, color=out.color)
        raise
    paths = {} if folder is None else {"folder": folder}

    def body() -> dict[str, object]:
        return {
            "target": board.name,
            "check": done.fit.to_json(),
            "build": build_json(done.firmware, board, paths),
            "flash": done.flash.to_json(),
            "profile": done.measurement.to_json(),
        }

    def text(width: int, color: bool) -> str:
        return "\n".join(
            (
                fit_text(done.fit, width=width, color=color),
                build_text(done.firmware, board, paths, width=width, color=color),
                flash_text(done.flash, board.name, width=width, color=color),
                profile_text(done.measurement, width=width, color=color),
            )
        )

    out.show(text, body, output)
    return 0 if done.measurement.validation.passed else 1
