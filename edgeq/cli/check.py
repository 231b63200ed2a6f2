"""edgeq check"""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli import context
from edgeq.errors import UsageError


@click.command("check")
@context.model_argument
@click.option("-t", "--target", default="", metavar="NAME", help="See `edgeq targets list`; or a board's .toml file.")
@context.targets_dir_option
@context.runtime_option()
@context.kernels_option
@context.reserve_options
@click.option("--plan", "with_plan", is_flag=True, help="Draw the arena over time.")
@context.common
def command(
    model: Path,
    target: str,
    runtime: str,
    kernels: str,
    reserve_ram: int,
    reserve_flash: int,
    with_plan: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Tell whether MODEL (.tflite) runs on a target: operators, types, RAM and flash.

    With --runtime, tell instead what another runtime does with each operator: supported, left to the CPU, or refused;
    for tflm also the tensor arena (a target's core then decides the scratch of CMSIS-NN's kernels).

    Exits with 1 when it doesn't, with the reason and what would help.

    \b
    Examples:
      edgeq check model.tflite --target nucleo-l4r5zi --reserve-ram 64K --plan
      edgeq check model.tflite --runtime tflm
    """
    if runtime:
        if with_plan or reserve_ram or reserve_flash:
            raise UsageError("--plan and --reserve-… are of edgeq's own engine", next_step="leave --runtime out")
        return _check_runtime(model, runtime, kernels, target, context.output("check", as_json, quiet))
    if not target or kernels:
        missing = "--kernels needs --runtime" if kernels else "missing option '--target' (or '--runtime')"
        raise UsageError(missing, next_step="give --target NAME (see `edgeq targets list`) or --runtime NAME")
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


def _check_runtime(model: Path, runtime: str, kernels: str, target: str, shown: context.Output) -> int:
    from edgeq import pipeline
    from edgeq.report.runtime import runtime_text

    board = context.load_target(target) if target else None
    report = pipeline.judge(model, runtime, kernels=kernels, target=board)

    def text(width: int, color: bool) -> str:
        return runtime_text(report, width=width, color=color)

    shown.show(text, report.to_json)
    return 0 if report.runs else 1
