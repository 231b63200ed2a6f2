"""edgeq flash"""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli import context


@click.command("flash")
@click.argument("image", type=click.Path(path_type=Path))
@context.target_option
@click.option("--sim", is_flag=True, help="A virtual board, which ends with this command.")
@context.flash_options
@click.option("--port", default="", metavar="PORT", help="The board's console  [default: found by its USB id]")
@click.option("--hello/--no-hello", default=None, help="Ask the board afterwards which build it runs.")
@context.common
def command(
    image: Path,
    target: str,
    sim: bool,
    runner: str,
    device: str,
    pack: Path | None,
    allow_erase: bool,
    port: str,
    hello: bool | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Write IMAGE (.bin, .hex, .elf, or the folder of a build) onto a board.

    Takes the first of the target's roads on which a board is found. What can be read back is compared. Then the board
    is asked which build it runs, where IMAGE is a build of edgeq's.

    \b
    Examples:
      edgeq flash build/firmware.bin --target nucleo-l4r5zi
      edgeq flash build/ --target nucleo-g0b1re --runner stm32-uart --device /dev/ttyUSB0
      edgeq flash build/ --target nucleo-l4r5zi --runner pyocd --pack Keil.STM32L4xx_DFP.2.6.1.pack
    """
    from edgeq import pipeline
    from edgeq.report.flash import flash_text
    from edgeq.runners.contract import FlashOptions

    out = context.output("flash", as_json, quiet)
    board = context.load_target(target)
    with out.teller() as listener:
        result = pipeline.flash(
            image,
            board,
            sim=sim,
            runner=runner,
            device=context.device_called(device),
            port=context.port_called(port),
            hello=hello,
            options=FlashOptions(pack=pack, allow_erase=allow_erase),
            listener=listener,
        )
    out.show(
        lambda width, color: flash_text(result, board.name, width=width, color=color),
        lambda: {"target": board.name, **result.to_json()},
    )
    return 0
