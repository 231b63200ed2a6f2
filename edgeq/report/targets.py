"""Targets as text and JSON."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from edgeq.report.json import plain
from edgeq.report.render import facts, listing, to_text, verdict
from edgeq.target import Target
from edgeq.units import Provenance, format_bytes


def targets_text(targets: Sequence[Target], *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq targets list`."""
    columns = [
        ("name", False),
        ("board", False),
        ("core", False),
        ("clock", True),
        ("RAM", True),
        ("flash", True),
        ("virtual", False),
    ]
    rows: list[list[RenderableType]] = [
        [
            t.name,
            t.board.title,
            t.core.title,
            f"{t.clock_hz / 1e6:g} MHz",
            f"{t.ram_bytes / 1024:g} KiB",
            f"{t.flash_bytes / 1024:g} KiB",
            "yes" if has_virtual_board(t) else "no",
        ]
        for t in targets
    ]
    return to_text(listing(columns, rows), width=width, color=color)


def target_text(t: Target, *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq targets show`."""
    rows: list[tuple[str, RenderableType, Provenance | None]] = [
        ("chip", f"{t.soc.title} ({t.soc.source})", None),
        ("core", f"{t.core.title}, {t.core.architecture}: {', '.join(t.core.isa)}", None),
        ("clock", f"{t.clock_hz / 1e6:g} MHz of {t.soc.max_clock_hz / 1e6:g}, {t.wait_states} flash wait states", None),
        *(
            (
                m.name,
                f"{m.kind}, {format_bytes(m.size_bytes)} at {m.base:#010x} for {', '.join(m.holds) or 'nothing'}",
                None,
            )
            for m in t.soc.memory
        ),
        ("console", f"{t.board.console.peripheral} at {t.board.console.baud} baud", None),
        ("USB", ", ".join(f"{u.title} {u.vendor_id:04x}:{u.product_id:04x}" for u in t.board.usb) or "-", None),
        ("flashed by", ", ".join(t.board.runners), None),
        ("virtual board", "yes" if has_virtual_board(t) else "no", None),
    ]
    if t.board.power is not None:
        p = t.board.power
        rows.append(
            (
                "power",
                f"{p.active_mw:g} mW ±{p.tolerance_percent:g} % at {p.clock_hz / 1e6:g} MHz ({p.source})",
                "measured",
            )
        )
    rows += [("file", str(t.path), None), ("more", t.board.url or "-", None)]
    return to_text(verdict(True, f"{t.name}: {t.board.title}"), Text(""), facts(rows), width=width, color=color)


def has_virtual_board(t: Target) -> bool:
    """Whether `--sim` works for it."""
    return bool("virtual" in t.board.runners and t.core.cycle_model and t.core.emulator_cpu)


def target_json(t: Target) -> dict[str, object]:
    """One target, whole."""
    return {
        "name": t.name,
        "title": t.board.title,
        "clock_hz": t.clock_hz,
        "ram_bytes": t.ram_bytes,
        "flash_bytes": t.flash_bytes,
        "virtual_board": has_virtual_board(t),
        "board": plain(t.board),
        "soc": plain(t.soc),
        "core": plain(t.core),
        "path": str(t.path),
    }


def summary_json(t: Target) -> dict[str, object]:
    """One target of a list."""
    return {k: v for k, v in target_json(t).items() if k not in ("board", "soc", "core")}
