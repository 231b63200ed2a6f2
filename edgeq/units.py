"""Figures as people of the field write them: bytes *and* KiB, ms (µs below 1 ms), cycles with their clock."""

from __future__ import annotations

from typing import Literal

Provenance = Literal["measured", "simulated", "estimated"]
"""How a number came about: on hardware, on a virtual board with a named cycle model, or by arithmetic."""


def format_bytes(count: int) -> str:
    """`22,820 B (22.3 KiB)`; below 1024 only the bytes."""
    if abs(count) < 1024:
        return f"{count:,} B"
    if abs(count) < 1024 * 1024:
        return f"{count:,} B ({count / 1024:.1f} KiB)"
    return f"{count:,} B ({count / 1024 / 1024:.2f} MiB)"


def short_bytes(count: int) -> str:
    """`264 KiB`, `1.97 MiB`, `3.5 GiB`: a size in a column."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count / 1024:.4g} KiB"


def format_duration_ms(milliseconds: float) -> str:
    """`43.2 ms`; below 1 ms in µs."""
    if abs(milliseconds) < 1:
        return f"{milliseconds * 1000:.1f} µs"
    if abs(milliseconds) < 10_000:
        return f"{milliseconds:.2f} ms"
    return f"{milliseconds / 1000:.2f} s"


def format_cycles(cycles: int, clock_hz: int) -> str:
    """`5,184,000 cycles at 120 MHz`."""
    return f"{cycles:,} cycles at {clock_hz / 1e6:g} MHz"


def cycles_to_ms(cycles: float, clock_hz: int) -> float:
    """Milliseconds that `cycles` take at `clock_hz`."""
    return cycles * 1000.0 / clock_hz


def align_up(value: int, alignment: int) -> int:
    """The least multiple of `alignment` that is not below `value`."""
    return -(-value // alignment) * alignment
