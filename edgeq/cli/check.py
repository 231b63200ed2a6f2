"""edgeq check"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import click

from edgeq import target as targets
from edgeq.cli import context
from edgeq.errors import UsageError
from edgeq.target import Kind, Target

KINDS = get_args(Kind)


@click.command("check")
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option(
    "-t",
    "--target",
    "names",
    multiple=True,
    metavar="NAME",
    help="See `edgeq targets list`; or a board's .toml file. Several make a table.",
)
@click.option("--kind", type=click.Choice(KINDS), help="A table of all targets of this kind.")
@click.option("--all", "everything", is_flag=True, help="A table of all targets.")
@context.targets_dir_option
@context.runtime_option()
@context.kernels_option
@context.reserve_options
@context.optimize_option(None)
@click.option(
    "--budget",
    is_flag=False,
    flag_value="edgeq.toml",
    type=click.Path(path_type=Path),
    metavar="[FILE]",
    help="Check the budgets of a file instead  [default: edgeq.toml]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "junit", "markdown", "sarif"]),
    default="text",
    show_default=True,
    help="Of the budgets.",
)
@click.option("--plan", "with_plan", is_flag=True, help="Draw the arena over time.")
@context.common
def command(
    model: Path | None,
    names: tuple[str, ...],
    kind: Kind | None,
    everything: bool,
    runtime: str,
    kernels: str,
    reserve_ram: int,
    reserve_flash: int,
    optimize: str | None,
    budget: Path | None,
    form: str,
    with_plan: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Tell whether MODEL (.tflite) runs on a target: operators, types, RAM and flash.

    With --runtime, tell instead what another runtime does with each operator: supported, left to the CPU, or refused;
    for tflm also the tensor arena (a target's core then decides the scratch of CMSIS-NN's kernels).

    With several targets, --kind or --all, one table over all of them, those that fit first.

    Exits with 1 when it doesn't, with the reason and what would help: when one of the named targets doesn't fit; with
    --kind or --all alone, when none does; with --budget, when a limit is exceeded.

    \b
    Examples:
      edgeq check model.tflite --target nucleo-l4r5zi --reserve-ram 64K --plan
      edgeq check model.tflite --target nucleo-l4r5zi --target nrf52840dk
      edgeq check model.tflite --kind microcontroller
      edgeq check model.tflite --runtime tflm
      edgeq check --budget edgeq.toml --format markdown
    """
    shown = context.output("check", as_json, quiet)
    if budget is not None:
        others = (model, names, kind, everything, runtime, kernels, reserve_ram, reserve_flash, with_plan, optimize)
        if any(others) or (as_json and form != "text"):
            what = "--json and --format exclude each other" if as_json and form != "text" else "--budget stands alone"
            raise UsageError(what, next_step="models and targets are in the budget file, see docs/checking.md")
        return _check_budgets(budget, form, shown)
    if form != "text":
        raise UsageError("--format is of --budget", next_step="add --budget [FILE], or use --json")
    if model is None:
        raise UsageError("missing argument 'MODEL'", next_step="give a .tflite, or --budget [FILE]")
    many = kind is not None or everything or len(names) > 1
    if many and (runtime or with_plan):
        raise UsageError("--runtime and --plan are of a single target", next_step="give one --target")
    if runtime:
        if with_plan or reserve_ram or reserve_flash or optimize:
            raise UsageError(
                "--plan, --optimize and --reserve-… are of edgeq's own engine", next_step="leave --runtime out"
            )
        return _check_runtime(model, runtime, kernels, names[0] if names else "", shown)
    if kernels:
        raise UsageError("--kernels needs --runtime", next_step="give --runtime NAME")
    if many:
        reserves = reserve_ram, reserve_flash
        return _check_many(model, _Asked(names, kind, everything), reserves, optimize or "balanced", shown)
    if not names:
        raise UsageError(
            "missing option '--target' (or '--kind', '--all', '--runtime')",
            next_step="give --target NAME (see `edgeq targets list`) or --runtime NAME",
        )
    from edgeq import pipeline
    from edgeq.report.fit import fit_text

    board = context.load_target(names[0])
    read = pipeline.read_model(model)
    wanted = optimize or "balanced"
    report = pipeline.check(
        read, board, reserve_ram_bytes=reserve_ram, reserve_flash_bytes=reserve_flash, optimize=wanted
    )

    def text(width: int, color: bool) -> str:
        told = fit_text(report, width=width, color=color)
        if with_plan and report.supported and report.plan is not None:
            from edgeq.report.plan import plan_text

            told += "\n" + plan_text(pipeline.plan(read, board, optimize=wanted)[1], width=width, color=color)
        return told

    shown.show(text, report.to_json)
    return 0 if report.fits else 1


@dataclass(frozen=True)
class _Asked:
    """Which targets: those named, and those of a kind, or all."""

    names: tuple[str, ...]
    kind: Kind | None
    everything: bool

    def load(self) -> tuple[list[Target], set[str]]:
        """Each target once, and the names of those that were named."""
        named = {t.path: t for t in map(context.load_target, self.names)}
        every = dict(named)
        if self.kind is not None or self.everything:
            for t in map(context.load_target, targets.names(context.targets_folder())):
                if self.everything or t.kind == self.kind:
                    every.setdefault(t.path, t)
        return list(every.values()), {t.name for t in named.values()}


def _check_many(model: Path, asked: _Asked, reserves: tuple[int, int], optimize: str, shown: context.Output) -> int:
    from edgeq import pipeline
    from edgeq.report.survey import survey_text

    ram, flash = reserves
    boards, named = asked.load()
    found = pipeline.survey(model, boards, reserve_ram_bytes=ram, reserve_flash_bytes=flash, optimize=optimize)
    shown.show(lambda width, color: survey_text(found, width=width, color=color), found.to_json)
    fitting = {row.target.name for row in found.fitting}
    return 0 if fitting and named <= fitting else 1


def _check_budgets(file: Path, form: str, shown: context.Output) -> int:
    from edgeq import pipeline
    from edgeq.report.budgets import FORMATS, budgets_text

    found = pipeline.check_budgets(file, context.targets_folder())

    def text(width: int, color: bool) -> str:
        return FORMATS[form](found) if form in FORMATS else budgets_text(found, width=width, color=color)

    shown.show(text, found.to_json)
    return 0 if found.kept else 1


def _check_runtime(model: Path, runtime: str, kernels: str, target: str, shown: context.Output) -> int:
    from edgeq import pipeline
    from edgeq.report.runtime import runtime_text

    board = context.load_target(target) if target else None
    report = pipeline.judge(model, runtime, kernels=kernels, target=board)

    def text(width: int, color: bool) -> str:
        return runtime_text(report, width=width, color=color)

    shown.show(text, report.to_json)
    return 0 if report.runs else 1
