"""A Firmware as text and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from edgeq.report.render import facts, reasons, to_text, verdict
from edgeq.target import Target
from edgeq.toolchains.firmware import Firmware
from edgeq.units import Provenance, format_bytes


def build_text(
    firmware: Firmware, target: Target, paths: Mapping[str, Path], *, width: int = 100, color: bool = False
) -> str:
    """The report of `edgeq build`. Sizes are the linker's, read from the ELF: exact, whatever runs them."""
    u = firmware.usage
    rows: list[tuple[str, RenderableType, Provenance | None]] = [
        ("flash", _of(u.flash_bytes, target.flash_bytes), None),
        ("  weights", format_bytes(u.weights_bytes), None),
        ("  parameters", format_bytes(u.parameter_bytes), None),
        ("  code", format_bytes(u.code_bytes), None),
        ("RAM", _of(u.ram_bytes, target.ram_bytes), None),
        ("  arena", format_bytes(u.arena_bytes), None),
        ("  stack", f"{format_bytes(u.stack_bytes)} reserved", None),
        ("toolchain", firmware.toolchain, None),
        *((kind, str(path), None) for kind, path in paths.items()),
    ]
    head = verdict(True, f"{firmware.manifest.model_name} built for {firmware.target}")
    m = firmware.manifest
    told = reasons(m.optimize, m.choices, [(f"{layer.op} #{layer.index}", layer.why) for layer in m.layers])
    return to_text(head, Text(""), facts(rows), *told, width=width, color=color)


def build_json(firmware: Firmware, target: Target, paths: Mapping[str, Path]) -> dict[str, object]:
    """The body of `build --json`."""
    u, m = firmware.usage, firmware.manifest
    return {
        "target": firmware.target,
        "toolchain": firmware.toolchain,
        "model": {"name": m.model_name, "sha256": m.model_sha256, "macs": m.macs},
        "optimize": m.optimize,
        "choices": list(m.choices),
        "layers": [
            {"index": layer.index, "op": layer.op, "name": layer.name, "kernel": layer.kernel, "why": layer.why}
            for layer in m.layers
        ],
        "base": f"{firmware.base:#010x}",
        "memory": {
            "flash_bytes": u.flash_bytes,
            "weights_bytes": u.weights_bytes,
            "parameter_bytes": u.parameter_bytes,
            "code_bytes": u.code_bytes,
            "ram_bytes": u.ram_bytes,
            "arena_bytes": u.arena_bytes,
            "stack_reserved_bytes": u.stack_bytes,
            "flash_available_bytes": target.flash_bytes,
            "ram_available_bytes": target.ram_bytes,
        },
        "files": {kind: str(path) for kind, path in paths.items()},
    }


def _of(used: int, available: int) -> str:
    return f"{format_bytes(used)}, {100 * used / available:.1f} % of {format_bytes(available)}"
