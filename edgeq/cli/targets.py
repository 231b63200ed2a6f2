"""edgeq targets"""

from __future__ import annotations

import click

from edgeq.cli import context


@click.group("targets")
def command() -> None:
    """List and show what edgeq builds for.

    EDGEQ_TARGETS names a folder of your own, laid out like the project's targets/.

    \b
    Examples:
      edgeq targets list
      edgeq targets show nucleo-l4r5zi --json
    """


@command.command("list")
@context.common
def list_command(as_json: bool, quiet: bool) -> int:
    """List the targets.

    \b
    Example:
      edgeq targets list
    """
    from edgeq import target as targets
    from edgeq.report.targets import summary_json, targets_text

    found = [context.load_target(name) for name in targets.names(context.targets_folder())]
    context.output("targets", as_json, quiet).show(
        lambda width, color: targets_text(found, width=width, color=color),
        lambda: {"targets": [summary_json(t) for t in found]},
    )
    return 0


@command.command("show")
@click.argument("name")
@context.common
def show_command(name: str, as_json: bool, quiet: bool) -> int:
    """Show one target with the sources of its figures.

    \b
    Example:
      edgeq targets show nucleo-l4r5zi
    """
    from edgeq.report.targets import target_json, target_text

    found = context.load_target(name)
    context.output("targets", as_json, quiet).show(
        lambda width, color: target_text(found, width=width, color=color),
        lambda: {"target": target_json(found)},
    )
    return 0
