"""What is plugged in, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from edgeq.report.render import listing, to_text, verdict
from edgeq.runners.attached import Attached, Obstacle
from edgeq.runners.names import Named, Names
from edgeq.runners.reachable import Entry
from edgeq.simulator.kept import KeptBoard

_NOTHING = (
    "no board, probe, bootloader or phone is plugged in. If one is: try another cable (many only charge), another "
    "port, and look at its power LED; `edgeq simulate` and --sim need none"
)
_MANY = 3
_OF_ANY_BOARD = {
    "adapter": "any board (a serial adapter)",
    "probe": "any board (a debug probe)",
    "meter": "any board (an energy meter)",
}


def devices_text(
    found: Sequence[Attached],
    names: Names,
    entries: Sequence[Entry],
    virtual: Sequence[KeptBoard] | None = None,
    *,
    width: int = 100,
    color: bool = False,
) -> str:
    """The report of `edgeq devices`; virtual: the boards that are kept, None where nobody asks for them."""
    absent = absent_names(found, names)
    if not found:
        nothing = verdict(False, _NOTHING)
        return to_text(nothing, *_absent(absent), *_entries(entries), *_kept(virtual), width=width, color=color)
    rows: list[Sequence[RenderableType]] = [
        (a.name or "–", a.title, _where(a), _targets(a), ", ".join(a.runners) or "–", a.serial_number or "–")
        for a in found
    ]
    columns = [("name", False), ("device", False), ("where", False), ("target", False), ("flash by", False)]
    table = listing([*columns, ("serial number", False)], rows)
    obstacles = [
        Text(f"{a.name or a.serial_number or a.where}: {o.what}\n  next: {o.fix}{_rule(o)}", style="yellow")
        for a in found
        for o in a.obstacles
    ]
    return to_text(
        table,
        *([Text("")] if obstacles else []),
        *obstacles,
        *_absent(absent),
        *_entries(entries),
        *_kept(virtual),
        width=width,
        color=color,
    )


def devices_json(
    found: Sequence[Attached], names: Names, entries: Sequence[Entry], virtual: Sequence[KeptBoard] | None = None
) -> dict[str, object]:
    """The body of `devices --json`."""
    return {
        "devices": [a.to_json() for a in found],
        "absent": [{"name": n.name, "serial_number": n.serial_number} for n in absent_names(found, names)],
        "entries": [entry.to_json() for entry in entries],
        **({} if virtual is None else {"virtual": [board.to_json() for board in virtual]}),
    }


def absent_names(found: Sequence[Attached], names: Names) -> list[Named]:
    """Devices named by their serial number that are not plugged in."""
    here = {a.name for a in found}
    return [n for n in names.device if n.serial_number and n.name not in here]


def change_text(came: bool, device: Attached) -> str:
    """One line of `devices --watch`."""
    told = f"{'+' if came else '-'} {device.name or device.title}  {_where(device)}  {_targets(device)}"
    for obstacle in device.obstacles if came else ():
        told += f"\n    {obstacle.what}; next: {obstacle.fix}"
    return told + "\n"


def _rule(obstacle: Obstacle) -> str:
    return f"\n  its rule: {obstacle.rule}" if obstacle.rule else ""


def _where(device: Attached) -> str:
    return ", ".join((*device.ports, *device.drives)) or f"USB {device.where}"


def _targets(device: Attached) -> str:
    if not device.targets:
        return _OF_ANY_BOARD.get(device.kind, "–")
    if len(device.targets) > _MANY:
        return f"one of {len(device.targets)}, such as {device.targets[0]}"
    return " or ".join(device.targets)


def _entries(entries: Sequence[Entry]) -> list[RenderableType]:
    """The device file's entries, where one leads elsewhere than to this machine's USB, or is in use."""
    if not any(e.used_by or not e.device.serial_number for e in entries):
        return []
    rows: list[Sequence[RenderableType]] = [
        (
            e.device.name,
            e.device.target or "–",
            e.device.address,
            Text("yes" if e.reachable else "NO", style="green" if e.reachable else "red"),
            e.told + (f"; in use by {e.used_by}" if e.used_by else ""),
        )
        for e in entries
    ]
    columns = [("entry", False), ("target", False), ("address", False), ("reachable", False), ("", False)]
    return [Text(""), listing(columns, rows, elastic=("address", ""))]


def _kept(boards: Sequence[KeptBoard] | None) -> list[RenderableType]:
    if boards is None:
        return []
    if not boards:
        return [
            Text("no virtual board is kept; `edgeq flash build/ --probe virtual:nrf52840dk` makes one", style="dim")
        ]
    rows: list[Sequence[RenderableType]] = [
        (
            f"virtual:{b.target}",
            Text(b.damage, style="red") if b.damage else f"{b.programmed_bytes:,} B programmed",
            str(b.folder),
        )
        for b in boards
    ]
    return [Text(""), listing([("virtual board", False), ("flash", False), ("kept in", False)], rows)]


def _absent(names: Sequence[Named]) -> list[RenderableType]:
    return [Text(f"not here: {', '.join(n.name for n in names)}", style="dim")] if names else []
