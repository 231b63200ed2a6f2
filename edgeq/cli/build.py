"""edgeq build"""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli import context


@click.command("build")
@context.model_argument
@context.target_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("build"), show_default=True, help="Folder."
)
@click.option("--toolchain", default="auto", show_default=True, help="zig, gcc, or auto.")
@click.option(
    "--precision", type=click.Choice(["8", "4", "2"]), help="Of a nested model: only this one  [default: all of them]"
)
@click.option(
    "--mlperf", default="", metavar="NAME", help="Of MLPerf Tiny, for its official runner: ic01, vww01, kws01 or ad01."
)
@context.optimize_option()
@context.common
def command(
    model: Path,
    target: str,
    output: Path,
    toolchain: str,
    precision: str | None,
    mlperf: str,
    optimize: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Make firmware for MODEL (.tflite): generated C, compiled and linked.

    The folder holds firmware.elf, .bin and .hex, and the sources, which compile by themselves (see its README).

    \b
    Examples:
      edgeq build model.tflite --target nucleo-l4r5zi -o build/
      edgeq build model.tflite --target nucleo-l4r5zi --optimize ram -o build/
    """
    from edgeq import pipeline
    from edgeq.report.build import build_json, build_text

    out = context.output("build", as_json, quiet)
    board = context.load_target(target)
    with out.teller() as listener:
        wanted = model if precision is None else pipeline.at_precision(model, int(precision))
        firmware = pipeline.build(
            wanted,
            board,
            toolchain=toolchain,
            output=output,
            mlperf=mlperf,
            optimize=optimize,
            cache=context.cache_folder(),
            listener=listener,
        )
    paths = {kind: output / f"firmware.{kind}" for kind in ("bin", "hex", "elf")} | {"sources": output}
    out.show(
        lambda width, color: build_text(firmware, board, paths, width=width, color=color),
        lambda: build_json(firmware, board, paths),
    )
    return 0
