"""After flashing: the board is asked which build it runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgeq.errors import PortError, UsageError
from edgeq.events import Listener, Progress
from edgeq.simulator import kept
from edgeq.target import Target

if TYPE_CHECKING:
    from edgeq.codegen.tree import Manifest
    from edgeq.runners.contract import FlashResult
    from edgeq.runners.locks import Claim


def one_board(device: str, port: str, sim: bool) -> tuple[str, str]:
    """Device and port, where a virtual board that stays is one of them: it is the other too.

    Raises:
        UsageError: they are different boards.
    """
    named = [name for name in (device, port) if kept.is_address(name)]
    if not named:
        return device, port
    board = named[0]
    same = [
        not name or name == "auto" or (kept.is_address(name) and _key(name) == _key(board)) for name in (device, port)
    ]
    if sim or not all(same):
        raise UsageError(
            "is a board of its own, with its own console",
            where=board,
            next_step="leave --sim, or the other --device or --port, out",
        )
    return board, board


def _key(name: str) -> str:
    return kept.parse(name).key


def greeted(
    result: FlashResult,
    board: Target,
    manifest: Manifest | None,
    port: str,
    required: bool,
    listener: Listener,
    claim: Claim | None = None,
) -> FlashResult:
    """The result with the board's answer, or with a notice why it wasn't asked.

    Args:
        manifest: of the build that was flashed, None where it isn't known.
        port: the board's console; "" or "auto" finds it by USB id and the device's serial number.
        required: not being able to ask is an error.
        claim: takes the lock of the console, whose name may be new since the board was flashed.

    Raises:
        DeviceError: the board doesn't answer, or runs something else.
    """
    from edgeq.measure.hello import greet
    from edgeq.runners import locks, ports

    if manifest is None:
        told = "the board was not asked what it runs: no edgeq.json of a build lies beside the image"
        if required:
            raise UsageError(told, next_step="give the folder that `edgeq build -o` wrote")
        return replace(result, notices=(*result.notices, told))
    listener(Progress("flash", result.size_bytes, result.size_bytes, "bytes", "waiting for its answer"))
    if kept.is_address(port):
        return _virtual(result, board, manifest, port)
    try:
        if port in ("", "auto"):
            port = ports.console_of_flashed(board, result.device, 15.0 if required else 5.0).device
        if claim is not None:
            claim([locks.key_of_port(port)])
        greeting = greet(port, board.board.console.baud, manifest)
    except PortError as absent:
        if required:
            raise
        return replace(result, notices=(*result.notices, f"the board was not asked what it runs: {absent.what}"))
    return replace(result, answer=str(greeting))


def _virtual(result: FlashResult, board: Target, manifest: Manifest, name: str) -> FlashResult:
    """The same for a virtual board that stays: it is switched on for that."""
    from edgeq.measure.hello import greet
    from edgeq.runners.virtual import kept_board

    with kept_board(name, board, command="edgeq flash") as running:
        greeting = replace(greet(running.port, board.board.console.baud, manifest), port=f"{kept.PREFIX}{board.name}")
    folder = kept.parse(name).folder
    stays = f"a virtual board: its flash stays in {folder}, and `edgeq profile --port` and `edgeq monitor` start it"
    return replace(result, answer=str(greeting), notices=(*result.notices, stays))
