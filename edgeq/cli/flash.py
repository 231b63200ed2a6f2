"""edgeq flash"""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli import bench, context
from edgeq.errors import UsageError
from edgeq.events import Listener


@click.command("flash")
@click.argument("image", type=click.Path(path_type=Path))
@bench.target_or_device_options
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
    devices: tuple[str, ...],
    wait_s: float,
    pack: Path | None,
    allow_erase: bool,
    port: str,
    hello: bool | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Write IMAGE (.bin, .hex, .elf, or the folder of a build) onto a board.

    Takes the first of the target's roads on which a board is found. What can be read back is compared. Then the board
    is asked which build it runs, where IMAGE is a build of edgeq's. With several --device all are flashed at once.
    A virtual board that stays is flashed by pyOCD, as a real one is; docs/flashing.md tells what can be wrong with it.

    \b
    Examples:
      edgeq flash build/firmware.bin --target nucleo-l4r5zi
      edgeq flash build/ --target nucleo-g0b1re --runner stm32-uart --device /dev/ttyUSB0
      edgeq flash build/ --device bench-3 --device bench-4 --wait 60
      edgeq flash build/ --target nucleo-l4r5zi --runner pyocd --pack Keil.STM32L4xx_DFP.2.6.1.pack
      edgeq flash build/ --probe virtual:nrf52840dk
    """
    from edgeq import pipeline
    from edgeq.pipeline.bench import reach
    from edgeq.report.flash import flash_text
    from edgeq.runners.contract import FlashOptions, FlashResult
    from edgeq.runners.names import Named

    out = context.output("flash", as_json, quiet)
    options = FlashOptions(pack=pack, allow_erase=allow_erase)
    if port and len(devices) > 1:
        raise UsageError("one --port can't be the console of several devices", next_step="write port = … per device")
    chosen = bench.named(devices, ids=True)
    console = context.port_called(port)
    # click's context, which all of these read, isn't there in other threads
    how, boards = bench.rules(wait_s), {device.name: bench.target_of(target, device) for device in chosen}

    def work(device: Named, listener: Listener) -> FlashResult:
        board = boards[device.name]
        with reach(device, how, console=False, listener=listener) as way:
            return pipeline.flash(
                image,
                board,
                sim=sim or way.sim,
                runner=runner or ("" if way.sim else device.runner),
                device=way.device,
                port=console or way.port,
                hello=hello,
                options=options,
                claim=way.claim,
                listener=listener,
            )

    if len(chosen) > 1:
        return bench.on_several(
            out,
            chosen,
            target,
            work,
            passed=lambda result: True,
            told=lambda result: "verified" if result.verified else "written, not verified",
            text=lambda result, width, color: flash_text(result, result.device.title, width=width, color=color),
            body=lambda result: result.to_json(),
        )
    board = boards[chosen[0].name] if chosen else bench.target_of(target, None)
    with out.teller() as listener:
        if chosen:
            result = work(chosen[0], listener)
        else:
            with bench.claims(wait_s, listener, "" if sim else console) as claim:
                result = pipeline.flash(
                    image, board, sim=sim, runner=runner, port=console, hello=hello, options=options, claim=claim,
                    listener=listener,
                )  # fmt: skip
    out.show(
        lambda width, color: flash_text(result, board.name, width=width, color=color),
        lambda: {"target": board.name, **result.to_json()},
    )
    return 0
