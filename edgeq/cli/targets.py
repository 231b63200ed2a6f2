"""edgeq targets"""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli import context


@click.group("targets")
def command() -> None:
    """List, show and check what edgeq builds for.

    A folder of your own, given by --targets-dir or EDGEQ_TARGETS, is looked into first: board files directly in it,
    or laid out like the project's targets/.

    \b
    Examples:
      edgeq targets list --kind microcontroller --min-ram 256K
      edgeq targets show nucleo-l4r5zi --json
      edgeq targets validate boards/my-board.toml
    """


@command.command("list")
@click.option("--kind", type=click.Choice(["microcontroller", "linux", "phone"]), help="Only these.")
@click.option("--core", default="", metavar="NAME", help="Only with this core (cortex-m4, cortex-a76).")
@click.option("--min-ram", type=context.Size(), default=0, metavar="BYTES", help="RAM that an application may use.")
@click.option(
    "--min-flash", type=context.Size(), default=0, metavar="BYTES", help="Of microcontrollers; the others stay."
)
@context.targets_dir_option
@context.common
def list_command(kind: str | None, core: str, min_ram: int, min_flash: int, as_json: bool, quiet: bool) -> int:
    """List the targets. Exits with 1 when none matches.

    \b
    Example:
      edgeq targets list --core cortex-m4 --min-flash 1M
    """
    from edgeq import target as targets
    from edgeq.report.targets import summary_json, targets_text

    order = ("microcontroller", "linux", "phone")
    every = [context.load_target(name) for name in targets.names(context.targets_folder())]
    found = [
        t
        for t in sorted(every, key=lambda t: order.index(t.kind))
        if kind in (None, t.kind)
        and (not core or core.lower() in (t.core.name, *(c.core for c in t.soc.cluster)))
        and t.ram_bytes >= min_ram
        and (t.kind != "microcontroller" or t.flash_bytes >= min_flash)
    ]
    context.output("targets", as_json, quiet).show(
        lambda width, color: targets_text(found, width=width, color=color),
        lambda: {"targets": [summary_json(t) for t in found]},
    )
    return 0 if found else 1


@command.command("show")
@click.argument("name")
@context.targets_dir_option
@context.common
def show_command(name: str, as_json: bool, quiet: bool) -> int:
    """Show one target with the sources of its figures. NAME may be a board's .toml file.

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


@command.command("validate")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@context.targets_dir_option
@context.common
def validate_command(files: tuple[Path, ...], as_json: bool, quiet: bool) -> int:
    """Check target files of your own: boards, socs or cores. Exits with 1 when one isn't valid.

    \b
    Example:
      edgeq targets validate my-board.toml
    """
    from edgeq import target as targets
    from edgeq.errors import TargetFileError
    from edgeq.report.targets import validation_text

    results: list[dict[str, object]] = []
    for path in files:
        try:
            kind, name = targets.validate_file(path, context.targets_folder())
            results.append({"path": str(path), "valid": True, "kind": kind, "name": name, "error": None})
        except TargetFileError as wrong:
            results.append({"path": str(path), "valid": False, "error": wrong.to_json(), "message": str(wrong)})
    context.output("targets", as_json, quiet).show(
        lambda width, color: validation_text(results, width=width, color=color),
        lambda: {"files": [{k: v for k, v in r.items() if k != "message"} for r in results]},
    )
    return 0 if all(r["valid"] for r in results) else 1
