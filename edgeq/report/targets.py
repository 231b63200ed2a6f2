"""Targets as text and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.text import Text

from edgeq.report.json import plain
from edgeq.report.render import facts, listing, to_text, verdict
from edgeq.target import Kind, Memory, Target, Tried
from edgeq.units import Provenance, format_bytes, short_bytes

_KINDS: Mapping[Kind, str] = {"microcontroller": "MCU", "linux": "Linux", "phone": "phone"}
_TRIED: Mapping[Tried, str] = {
    "no": "none yet: `edgeq export` makes a package for a project of your own",
    "built": "built by both compilers, not yet run anywhere",
    "qemu": "the very image runs in QEMU; not yet on silicon",
    "virtual": "the very image runs on the virtual board; not yet on silicon",
    "silicon": "run on the board",
}
Row = tuple[str, RenderableType, Provenance | None]


def targets_text(targets: Sequence[Target], *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq targets list`."""
    if not targets:
        return "no target matches\n"
    columns = [
        ("name", False),
        ("kind", False),
        ("core", False),
        ("clock", True),
        ("RAM", True),
        ("flash", True),
        ("runtimes", False),
        ("flashed by", False),
        ("virtual", False),
    ]
    rows: list[list[RenderableType]] = [
        [
            t.name,
            _KINDS[t.kind],
            t.core.name,
            f"{t.clock_hz / 1e6:g} MHz" if t.clock_hz else "-",
            short_bytes(t.ram_bytes),
            short_bytes(t.flash_bytes) if t.flash_bytes else "-",
            ", ".join(t.board.runtimes),
            ", ".join(flashed_by(t)) or "-",
            "yes" if t.has_virtual_board else "no",
        ]
        for t in targets
    ]
    table = to_text(listing(columns, rows, elastic=("runtimes", "flashed by")), width=width, color=color)
    return table + "\n(in brackets: ways that edgeq has no runner for; `edgeq targets show NAME` says how)\n"


def flashed_by(t: Target) -> list[str]:
    """edgeq's runners, then in brackets the ways it has no runner for."""
    own = [r for r in t.board.runners if r != "virtual"]
    served = {*own, *(["swd"] if "pyocd" in own else [])}
    return own + [f"({way.method})" for way in t.board.flash_method if way.method not in served]


def target_text(t: Target, *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq targets show`: every figure, and below it where it comes from."""
    rows: list[Row] = [
        ("kind", t.kind, None),
        ("chip", t.soc.title, None),
        _source(t.soc.source),
        ("core", f"{t.core.title}, {t.core.architecture}: {', '.join(t.core.isa)}", None),
        _source(t.core.source),
        *_microcontroller_rows(t),
        *_system_rows(t),
        ("runtimes", ", ".join(t.board.runtimes), None),
        *_flash_rows(t),
        *_power_rows(t),
        ("file", str(t.path), None),
        ("more", t.board.url or "-", None),
        _source(t.board.source),
    ]
    return to_text(verdict(True, f"{t.name}: {t.board.title}"), Text(""), facts(rows), width=width, color=color)


def _source(text: str) -> Row:
    return ("", Text(text, style="dim"), None)


def _microcontroller_rows(t: Target) -> list[Row]:
    if t.board.system is not None:
        return []
    clock = f"{t.clock_hz / 1e6:g} MHz of {t.soc.max_clock_hz / 1e6:g}"
    if t.soc.flash_timing is not None:
        clock += f", {t.wait_states} flash wait states ({t.soc.flash_timing.source})"
    rows: list[Row] = [("clock", clock, None)]
    for memory in t.soc.memory:
        rows += [(memory.name, _memory(memory), None), _source(memory.source)]
    for piece in (*t.soc.reserved, *t.board.reserved):
        told = f"{format_bytes(piece.size_bytes)} at the {piece.at} of {piece.memory}: {piece.by}"
        rows += [("reserved", told, None), _source(piece.source)]
    arena = t.region_for("arena")
    rows += [
        ("arena", f"in one piece: up to {format_bytes(arena.size_bytes)}, in {arena.name}", None),
        ("console", f"{t.board.console.peripheral} at {t.board.console.baud} baud", None),
        _source(t.board.console.source),
    ]
    pin = t.board.window_pin
    if pin is not None:
        rows += [("window pin", f"{pin.pin} ({pin.title}): pulsed around timed inferences", None), _source(pin.source)]
    rows.append(("firmware", _TRIED[t.board.firmware_tried], None))
    for usb in t.board.usb:
        rows += [("USB", f"{usb.vendor_id:04x}:{usb.product_id:04x} {usb.title}", None), _source(usb.source)]
    return rows


def _memory(m: Memory) -> str:
    words = [m.kind, f"{format_bytes(m.size_bytes)} at {m.base:#010x}"]
    if m.attached != "chip":
        words.append("tightly coupled" if m.attached == "core" else "beside the chip")
    if m.wait_states is not None:
        words.append(f"{m.wait_states} wait states")
    words.append(f"for {', '.join(m.holds)}" if m.holds else "edgeq puts nothing there")
    if m.needs_setup:
        words.append("not counted: firmware has to set it up first")
    return ", ".join(words)


def _system_rows(t: Target) -> list[Row]:
    system = t.board.system
    if system is None:
        return []
    rows: list[Row] = []
    for c in t.soc.cluster:
        rows += [("cores", f"{c.count} × {c.core} up to {c.max_clock_hz / 1e6:,.0f} MHz", None), _source(c.source)]
    rows += [
        ("system", f"{system.os} ({system.os_version or 'any version'}), {system.abi}", None),
        ("RAM", format_bytes(system.ram_bytes), None),
        _source(system.source),
        ("for an app", format_bytes(system.app_ram_bytes), "estimated" if system.app_ram_estimated else None),
        _source(system.app_ram_source),
    ]
    for delegate in t.board.delegate:
        rows += [("delegate", f"{delegate.name}: {delegate.title}", None), _source(delegate.source)]
    return rows


def _flash_rows(t: Target) -> list[Row]:
    rows: list[Row] = [("flashed by", ", ".join(flashed_by(t)) or "-", None)]
    for way in t.board.flash_method:
        rows += [(f"  {way.method}", way.how, None), _source(way.source)]
    rows.append(("virtual board", "yes" if t.has_virtual_board else "no", None))
    return rows


def _power_rows(t: Target) -> list[Row]:
    power = t.board.power
    if power is None:
        return []
    told = (
        f"{power.active_mw:g} mW ±{power.tolerance_percent:g} % while inferring, at {power.clock_hz / 1e6:g} MHz and "
        f"{power.supply_v:g} V"
    )
    return [("power", told, "measured"), _source(power.source)]


def target_json(t: Target) -> dict[str, object]:
    """One target, whole. `usable_memory` is what is left of `soc.memory` for an application."""
    return {
        "name": t.name,
        "title": t.board.title,
        "kind": t.kind,
        "core_name": t.core.name,
        "clock_hz": t.clock_hz,
        "ram_bytes": t.ram_bytes,
        "largest_arena_bytes": t.region_for("arena").size_bytes,
        "flash_bytes": t.flash_bytes,
        "runtimes": list(t.board.runtimes),
        "runners": list(t.board.runners),
        "flash_methods": [way.method for way in t.board.flash_method],
        "virtual_board": t.has_virtual_board,
        "firmware_tried": t.board.firmware_tried,
        "usable_memory": [plain(m) for m in t.memory],
        "board": plain(t.board),
        "soc": plain(t.soc),
        "core": plain(t.core),
        "path": str(t.path),
    }


def summary_json(t: Target) -> dict[str, object]:
    """One target of a list."""
    return {k: v for k, v in target_json(t).items() if k not in ("board", "soc", "core", "usable_memory")}


def validation_text(results: Sequence[Mapping[str, object]], *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq targets validate`.

    Args:
        results: path, kind, name, valid and error of each file.
    """
    lines: list[RenderableType] = []
    for result in results:
        if result["valid"]:
            lines.append(Text(f"{result['path']}: valid ({result['kind']} '{result['name']}')", style="green"))
        else:
            lines.append(Text(str(result["message"]), style="red"))
    return to_text(*lines, width=width, color=color)
