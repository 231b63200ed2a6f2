"""`python -m edgeq.simulator IMAGE --target NAME`: a virtual board as a process; with `--kept NAME`, one that stays.

Standard output: one JSON object per line; the first tells the port, a fault is another. Standard error: a fault in
words. Ends when its standard input is closed, with SIGTERM or SIGINT, or on a fault (exit code 5).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
from pathlib import Path

from edgeq import target as targets
from edgeq.errors import EdgeqError, PortError
from edgeq.events import Event, Notice
from edgeq.simulator import kept
from edgeq.simulator.board import VirtualBoard
from edgeq.simulator.faults import SOUND, BoardFault
from edgeq.simulator.serve import Console, Line, PtyConsole, SocketConsole, serve


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m edgeq.simulator", description="A virtual board.")
    parser.add_argument("image", type=Path, nargs="?", help="raw image (.bin), as flashed from the start of the flash")
    parser.add_argument("--kept", help="what is in this board's flash (virtual:TARGET@FOLDER) instead of an image")
    parser.add_argument("--target", required=True)
    parser.add_argument("--elf", type=Path, help="names for fault messages")
    parser.add_argument("--socket", action="store_true", help="a loopback socket instead of a pseudo-terminal")
    parser.add_argument("--wait-states", type=int, help="override the flash's wait states (0 = ideal memory)")
    parser.add_argument("--targets", type=Path, help="folder of the user's own targets")
    options = parser.parse_args(arguments)
    if (options.image is None) == (options.kept is None):
        parser.error("needs an image or --kept")
    try:
        return _run(options)
    except EdgeqError as failed:
        _say({"error": failed.to_json()})
        print(failed, file=sys.stderr, flush=True)  # noqa: T201  - this file is a process entry
        return failed.exit_code
    except OSError as failed:
        print(failed, file=sys.stderr, flush=True)  # noqa: T201
        return 3


def _run(options: argparse.Namespace) -> int:
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: stopped.append(received))
    target = targets.load(options.target, options.targets)
    image = None if options.image is None else options.image.read_bytes()
    address = None if options.kept is None else kept.parse(options.kept)
    console = _console(options.socket)
    line = Line(console)
    board = VirtualBoard(
        target,
        image,
        options.elf.read_bytes() if options.elf else None,
        transmitted=line.send,
        wait_states=options.wait_states,
        listener=_tell,
        kept={} if address is None else kept.files_of(address, target),
        defects=SOUND if address is None else address.defects,
    )
    if image is None:
        board.check_flash()
    _say(
        {
            "port": console.port,
            "target": target.name,
            "cycle_model": board.model.name,
            "known_error": target.soc.cycle_error or board.model.known_error,
            "flash_sha256": hashlib.sha256(board.read_back(board.image_offset, image and len(image))).hexdigest(),
        }
    )
    try:
        serve(board, line, stop=lambda: bool(stopped), watch=sys.stdin.fileno())
    except BoardFault as fault:
        line.flush()
        _say({"fault": fault.to_json()})
        print(fault, file=sys.stderr, flush=True)  # noqa: T201
        return fault.exit_code
    finally:
        console.close()
        board.close()
    return 0


def _console(socket: bool) -> Console:
    if socket:
        return SocketConsole()
    try:
        return PtyConsole()
    except PortError:
        return SocketConsole()


def _tell(event: Event) -> None:
    if isinstance(event, Notice):
        print(event.text, file=sys.stderr, flush=True)  # noqa: T201


def _say(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
