"""edgeq monitor"""

from __future__ import annotations

import select
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeq.cli import bench, context
from edgeq.errors import UsageError
from edgeq.events import silent

if TYPE_CHECKING:
    from edgeq.measure.monitor import Heard, Monitor
    from edgeq.runners.virtual import VirtualBoardProcess

_FOR_EVER_S = 1e9


@click.command("monitor")
@click.argument("port", default="")
@click.option("-t", "--target", default="", metavar="NAME", help="Find the port, and its speed, by the target.")
@context.targets_dir_option
@click.option("--baud", type=click.IntRange(min=50), help="Speed of the port  [default: the target's, or 115200]")
@click.option("--send", multiple=True, metavar="TEXT", help="Send this at the start, such as 'name%'.")
@click.option("--until", default="", metavar="TEXT", help="End when a line holds this.")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="End after this time.")
@click.option("--timestamps", is_flag=True, help="Seconds since the start in front of each line.")
@click.option("--reconnect", is_flag=True, help="Wait for a port that goes away, as long as it takes.")
@click.option("--reset", is_flag=True, help="Restart the board first, by DTR and RTS, where its adapter wires them.")
@click.option("--log", type=click.Path(path_type=Path), help="Write what is heard to this file too.")
@bench.wait_option
@context.common
def command(
    port: str,
    target: str,
    baud: int | None,
    send: tuple[str, ...],
    until: str,
    seconds: float | None,
    timestamps: bool,
    reconnect: bool,
    reset: bool,
    log: Path | None,
    wait_s: float,
    as_json: bool,
    quiet: bool,
) -> int:
    """Show what a board says at PORT, and send it the lines that are typed. Ctrl-C ends it.

    PORT is a serial port, a pyserial URL, a name given with `edgeq devices name`, or a virtual board that stays. The
    port is taken exclusively, and the board isn't reset by opening it, unless --reset asks for it. Exits with 1 when
    --until was not heard.

    \b
    Examples:
      edgeq monitor /dev/ttyACM0
      edgeq monitor bench-3 --timestamps --reconnect
      edgeq monitor virtual:nrf52840dk --send 'name%' --until m-ready
      edgeq monitor socket://127.0.0.1:3333 --send 'name%' --until m-ready --seconds 5
    """
    from edgeq.files import require_writable, write_whole
    from edgeq.measure.monitor import Monitor
    from edgeq.runners.locks import key_of_port
    from edgeq.runners.virtual import kept_board
    from edgeq.simulator import kept

    if log is not None:
        require_writable(log)
    if not port and not target:
        raise UsageError("needs a port or a target", next_step="`edgeq devices` shows what is here")
    if as_json and not until and seconds is None:
        raise UsageError("--json needs an end", next_step="add --until TEXT or --seconds N")
    out = context.output("monitor", as_json, quiet)
    target = target or bench.virtual_target(context.port_called(port) if port != "auto" else "")
    board = context.load_target(target) if target else None
    speed = baud or (board.board.console.baud if board else 115_200)

    def name_of() -> str:
        if port and port != "auto":
            return context.port_called(port)
        from edgeq.runners import ports

        if board is None:
            raise UsageError("needs a port or a target", next_step="`edgeq devices` shows what is here")
        return ports.console_of(board, ports.present()).device

    def ours() -> str:
        name = name_of()
        claim([key_of_port(name)])  # the port alone: the probe behind it may flash meanwhile
        if kept.is_address(name) and board is not None:
            if not running:
                running.append(stack.enter_context(kept_board(name, board, command="edgeq monitor")))
            return running[0].port
        return name

    heard: list[Heard] = []
    running: list[VirtualBoardProcess] = []
    found = threading.Event()
    end = time.monotonic() + (seconds or _FOR_EVER_S)
    try:
        with (
            bench.claims(wait_s, silent) as claim,
            ExitStack() as stack,
            Monitor(ours, speed, reconnect_s=_FOR_EVER_S if reconnect else 0.0, reset=reset) as monitor,
        ):
            for text in send:
                monitor.send(text.encode())
            if not as_json and sys.stdin is not None and sys.stdin.isatty():
                threading.Thread(target=_type, args=(monitor, found), daemon=True).start()
            for event in monitor.events(lambda: found.is_set() or time.monotonic() > end):
                heard.append(event)
                if not as_json:
                    click.echo(_shown(event, timestamps))
                if until and event.kind in ("line", "part") and until in event.text:
                    found.set()
    finally:  # Ctrl-C is the usual end
        if log is not None:
            write_whole(log, "".join(f"{_shown(event, True)}\n" for event in heard))
    if as_json:
        events = [{"kind": e.kind, "seconds": round(e.at_s, 3), "text": e.text} for e in heard]
        out.show(lambda width, color: "", lambda: {"found": found.is_set() if until else None, "events": events})
    return 1 if until and not found.is_set() else 0


def _shown(event: Heard, timestamps: bool) -> str:
    time_of = f"{event.at_s:10.3f}  " if timestamps else ""
    if event.kind == "gone":
        return f"{time_of}--- the port went away: {event.text} ---"
    if event.kind == "back":
        return f"{time_of}--- the port is back: {event.text} ---"
    return f"{time_of}{event.text}"


def _type(monitor: Monitor, ended: threading.Event) -> None:
    """Send the lines that are typed, with the line end that terminals send."""
    while not ended.is_set():
        if select.select([sys.stdin], [], [], 0.2)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            monitor.send(line.rstrip("\n").encode() + b"\r\n")
