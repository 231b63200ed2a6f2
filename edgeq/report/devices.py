"""What is plugged in, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from edgeq.report.render import listing, to_text, verdict
from edgeq.runners.attached import Attached
from edgeq.runners.names import Named, Names

_NOTHING = (
    "no board, probe, bootloader or phone is plugged in. If one is: try another cable (many only charge), another "
    "port, and look at its power LED; `edgeq simulate` and --sim need none"
)
_MANY = 3


def devices_text(found: Sequence[Attached], names: Names, *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq devices`."""
    absent = absent_names(found, names)
    if not found:
        return to_text(verdict(False, _NOTHING), *_absent(absent), width=width, color=color)
    rows: list[Sequence[RenderableType]] = [
        (a.name or "–", a.title, _where(a), _targets(a), ", ".join(a.runners) or "–", a.serial_number or "–")
        for a in found
    ]
    columns = [("name", False), ("device", False), ("where", False), ("target", False), ("flash by", False)]
    table = listing([*columns, ("serial number", False)], rows)
    obstacles = [
        Text(f"{a.name or a.serial_number or a.where}: {o.what}\n  next: {o.fix}", style="yellow")
        for a in found
        for o in a.obstacles
    ]
    return to_text(table, *([Text("")] if obstacles else []), *obstacles, *_absent(absent), width=width, color=color)


def devices_json(found: Sequence[Attached], names: Names) -> dict[str, object]:
    """The body of `devices --json`."""
    return {
        "devices": [a.to_json() for a in found],
        "absent": [{"name": n.name, "serial_number": n.serial_number} for n in absent_names(found, names)],
    }


def absent_names(found: Sequence[Attached], names: Names) -> list[Named]:
    """Named devices that are not plugged in."""
    here = {a.name for a in found}
    return [n for n in names.device if n.name not in here]


def change_text(came: bool, device: Attached) -> str:
    """One line of `devices --watch`."""
    told = f"{'+' if came else '-'} {device.name or device.title}  {_where(device)}  {_targets(device)}"
    for obstacle in device.obstacles if came else ():
        told += f"\n    {obstacle.what}; next: {obstacle.fix}"
    return told + "\n"


def _where(device: Attached) -> str:
    return ", ".join((*device.ports, *device.drives)) or f"USB {device.where}"


def _targets(device: Attached) -> str:
    if not device.targets:
        return {"adapter": "any board (a serial adapter)"}.get(device.kind, "–")
    if len(device.targets) > _MANY:
        return f"one of {len(device.targets)}, such as {device.targets[0]}"
    return " or ".join(device.targets)


def _absent(names: Sequence[Named]) -> list[RenderableType]:
    return [Text(f"not here: {', '.join(n.name for n in names)}", style="dim")] if names else []
