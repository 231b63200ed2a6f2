"""edgeq check"""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli import context


@click.command("check")
@context.model_argument
@context.target_option
@context.reserve_options
@click.option("--plan", "with_plan", is_flag=True, help="Draw the arena over time.")
@context.common
def command(
    model: Path, target: str, reserve_ram: int, reserve_flash: int, with_plan: bool, as_json: bool, quiet: bool
) -> int:
    """Tell whether MODEL (.tflite) runs on a target: operators, types, RAM and flash.

    Exits with 1 when it doesn't, with the reason and what would help.

    \b
    Example:
      edgeq check model.tflite --target nucleo-l4r5zi --reserve-ram 64K --plan
    """
    from edgeq import pipeline
    from edgeq.report.fit import fit_text

    board = context.load_target(target)
    read = pipeline.read_model(model)
    report = pipeline.check(read, board, reserve_ram_bytes=reserve_ram, reserve_flash_bytes=reserve_flash)

    def text(width: int, color: bool) -> str:
        told = fit_text(report, width=width, color=color)
        if with_plan and report.supported and report.plan is not None:
            from edgeq.report.plan import plan_text

            told += "\n" + plan_text(pipeline.plan(read, board)[1], width=width, color=color)
        return told

    context.output("check", as_json, quiet).show(text, report.to_json)
    return 0 if report.fits else 1
