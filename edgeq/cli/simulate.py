"""edgeq simulate"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edgeq.cli import context


@click.command("simulate")
@click.argument("image", type=click.Path(path_type=Path))
@context.target_option
@click.option("--socket", is_flag=True, help="The console on a loopback socket instead of a pseudo-terminal.")
@context.common
def command(image: Path, target: str, socket: bool, as_json: bool, quiet: bool) -> int:
    """Run IMAGE (.bin, .hex, .elf, or the folder of a build) on a virtual board until Ctrl-C.

    Prints the port of its console first; any serial program can open it. A fault of the firmware ends it with 5 and
    is told on stderr, with --json too.

    \b
    Example:
      edgeq simulate build/firmware.bin --target nucleo-l4r5zi
    """
    from edgeq import pipeline

    out = context.output("simulate", as_json, quiet)
    board = context.load_target(target)
    with pipeline.simulate(image, board, socket=socket) as running:
        told = running.announcement
        out.show(
            lambda width, color: (
                f"port {running.port}\n"
                f"virtual {board.board.title}, cycle model {told.cycle_model}"
                f"{f' ({told.known_error})' if told.known_error else ''}; Ctrl-C ends it\n"
            ),
            lambda: {
                "target": board.name,
                "port": running.port,
                "cycle_model": told.cycle_model,
                "known_error": told.known_error,
                "provenance": "simulated",
            },
        )
        sys.stdout.flush()
        fault = running.wait()
    if not as_json:
        raise fault
    # stdout has had its one object.
    click.echo(click.style("error: ", fg="red") + str(fault), err=True)
    return fault.exit_code
