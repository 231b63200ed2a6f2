"""What the types of a target file can't say."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable

from edgeq import registry, resources
from edgeq.errors import TargetFileError
from edgeq.target.model import Target
from edgeq.target.schema import OWN_ENGINE, USES, Memory, Soc

_ADDRESS_END = 1 << 32


def validate(target: Target) -> None:
    """Check that board, chip and core belong together.

    Raises:
        TargetFileError: with the key and the number that shows it.
    """
    where = str(target.path)
    if target.kind == "microcontroller":
        _microcontroller(target, where)
    else:
        _computer(target, where)
    for name in target.board.runners:
        if name not in registry.RUNNERS:
            raise TargetFileError(
                f"'runners' names '{name}', which edgeq doesn't have",
                where=where,
                next_step=_nearest(name, registry.RUNNERS) + " (ways that edgeq doesn't have go into [[flash_method]])",
                key="runners",
            )
    known = {OWN_ENGINE, *(path.stem for path in (resources.folder("targets") / "runtimes").glob("*.toml"))}
    for name in target.board.runtimes:
        if name not in known:
            raise TargetFileError(
                f"'runtimes' names '{name}', which edgeq doesn't know",
                where=where,
                next_step=_nearest(name, known),
                key="runtimes",
            )


def validate_soc(soc: Soc, where: str) -> None:
    """Check a chip by itself.

    Raises:
        TargetFileError: memories overlap or lie outside the address space, or a peripheral's model doesn't exist.
    """
    _regions(soc.memory, where)
    _models(soc, where)
    for cluster in soc.cluster:
        if cluster.count < 1 or cluster.max_clock_hz <= 0:
            raise TargetFileError(f"cluster '{cluster.core}' has no cores or no clock", where=where, key="cluster")


def _models(soc: Soc, where: str) -> None:
    for row in soc.peripheral:
        if row.model and row.model not in registry.PERIPHERALS:
            raise TargetFileError(
                f"peripheral '{row.name}' asks for the model '{row.model}', which edgeq doesn't have",
                where=where,
                next_step=_nearest(row.model, registry.PERIPHERALS),
                key="peripheral.model",
            )


def _microcontroller(target: Target, where: str) -> None:
    soc, board = target.soc, target.board
    for key, given in (("console", board.console.peripheral), ("clock_hz", board.clock_hz)):
        if not given:
            raise TargetFileError(f"'{key}' is missing", where=where, next_step=f"add {key}", key=key)
    if not 0 < board.clock_hz <= soc.max_clock_hz:
        raise TargetFileError(
            f"clock_hz is {board.clock_hz} but the {soc.title} allows {soc.max_clock_hz}", where=where, key="clock_hz"
        )
    if board.system is not None:
        raise TargetFileError(
            "'system' is for computers and phones, and this is a microcontroller",
            where=where,
            next_step="drop [system], or set kind",
            key="system",
        )
    _regions(soc.memory, where)
    _reserved(target, where)
    for use in USES:
        if not target.memory_for(use):
            raise TargetFileError(
                f"no memory of {soc.name} may hold '{use}'",
                where=where,
                next_step=f"add '{use}' to `holds` of a [[memory]] that doesn't need setting up",
                key="memory",
            )
    peripherals = {p.name for p in soc.peripheral}
    if peripherals and board.console.peripheral not in peripherals:
        raise TargetFileError(
            f"the console '{board.console.peripheral}' is not a peripheral of {soc.name}",
            where=where,
            next_step=_nearest(board.console.peripheral, peripherals),
            key="console.peripheral",
        )


def _computer(target: Target, where: str) -> None:
    board, soc = target.board, target.soc
    if board.system is None:
        raise TargetFileError(
            f"'system' is missing: a target of kind '{board.kind}' says what a program finds there",
            where=where,
            next_step="add [system]",
            key="system",
        )
    system = board.system
    if not 0 < system.app_ram_bytes <= system.ram_bytes:
        raise TargetFileError(
            f"app_ram_bytes is {system.app_ram_bytes}, and there are {system.ram_bytes} bytes of RAM",
            where=where,
            key="system.app_ram_bytes",
        )
    for key, given in (("memory", (*soc.memory, *board.memory)), ("console", board.console.peripheral)):
        if given:
            raise TargetFileError(
                f"'{key}' is for microcontrollers, and this is of kind '{board.kind}'",
                where=where,
                next_step="say what a program finds in [system]",
                key=key,
            )


def _regions(memories: tuple[Memory, ...], where: str) -> None:
    for memory in memories:
        if memory.size_bytes <= 0 or memory.base < 0 or memory.base + memory.size_bytes > _ADDRESS_END:
            raise TargetFileError(f"memory '{memory.name}' has no valid place or size", where=where, key="memory")
        volatile = [use for use in memory.holds if use in ("arena", "data", "stack")]
        if memory.kind == "flash" and volatile:
            raise TargetFileError(
                f"memory '{memory.name}' is flash and can't hold {', '.join(volatile)}", where=where, key="memory"
            )
        if memory.sector_bytes and sum(memory.sector_bytes) != memory.size_bytes:
            raise TargetFileError(
                f"the sectors of '{memory.name}' are {sum(memory.sector_bytes)} bytes, it has {memory.size_bytes}",
                where=where,
                key="memory.sector_bytes",
            )
    names = [m.name for m in memories]
    for name in names:
        if names.count(name) > 1:
            raise TargetFileError(f"two memories are called '{name}'", where=where, key="memory.name")
    for lower, upper in itertools.pairwise(sorted(memories, key=lambda m: m.base)):
        if lower.base + lower.size_bytes > upper.base:
            raise TargetFileError(f"memories '{lower.name}' and '{upper.name}' overlap", where=where, key="memory")


def _reserved(target: Target, where: str) -> None:
    regions = {m.name: m for m in target.soc.memory}
    everything = (*target.soc.reserved, *target.board.reserved)
    for piece in everything:
        if piece.memory not in regions:
            raise TargetFileError(
                f"'reserved' names the memory '{piece.memory}', which {target.name} doesn't have",
                where=where,
                next_step=_nearest(piece.memory, regions),
                key="reserved.memory",
            )
    for name, region in regions.items():
        taken = [r.size_bytes for r in everything if r.memory == name]
        if any(size <= 0 for size in taken) or sum(taken) >= region.size_bytes:
            raise TargetFileError(
                f"{sum(taken)} bytes are reserved of the {region.size_bytes} of '{name}'",
                where=where,
                key="reserved.size_bytes",
            )


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(known))}"
